//! What processes that we start inherit of our environment: all of it, save what is about us alone.
//!
//! Duty: which variables these are. *Not* its duty: what a process gets besides (`act`, `notice`).

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// What a service manager tells the engine and nobody else: a child that used the socket would
/// report, or keep alive, the engine.
const ENGINE_ONLY: [&str; 6] = [
    "NOTIFY_SOCKET",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
];

/// The variables of the engine that a process must not inherit.
pub fn not_inherited() -> impl Iterator<Item = OsString> {
    std::env::vars_os().map(|(name, _)| name).filter(|name| !is_inherited(name))
}

/// The variables of the engine that a process inherits, for one that another process starts.
pub fn inherited() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os().filter(|(name, _)| is_inherited(name))
}

fn is_inherited(name: &OsStr) -> bool {
    let bytes = name.as_bytes();
    let ours = bytes.starts_with(b"HOMEOSTAT_") || bytes.starts_with(b"AMX_");
    !ours && !ENGINE_ONLY.iter().any(|engine| bytes == engine.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_addressed_to_the_engine_is_not_inherited() {
        for name in ["HOMEOSTAT_LABEL_x", "AMX_STATUS", "NOTIFY_SOCKET"] {
            assert!(!is_inherited(OsStr::new(name)), "{name}");
        }
        for name in ["PATH", "HOME", "LANG", "HOMEOSTAT", "KUBECONFIG"] {
            assert!(is_inherited(OsStr::new(name)), "{name}");
        }
    }
}
