//! The `homeostat` binary: parse, run, exit code; or a runner, where an engine started it to be one.

use std::ffi::c_long;
use std::io;
use std::process::ExitCode;

use homeostat::cli::{self, Streams};
use libmimalloc_sys::{mi_option_set_default, mi_option_t};
use mimalloc::MiMalloc;

/// Reading notifications is mostly allocating and freeing small texts, on several threads. Without
/// huge pages, which make an idle engine half as large again (`no_thp`).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// `mi_option_purge_delay` of `mimalloc.h`, which the crate does not name: for how long memory must be
/// free before it goes back to the system.
const PURGE_DELAY: mi_option_t = 15;

/// In ms. By its own delay, a second, what a start or a flood of alerts took is still kept when the
/// engine has come to rest, and then nothing looks at it any more. The environment may say otherwise, as
/// for any program (`MIMALLOC_PURGE_DELAY`).
const FREE_FOR: c_long = 100;

#[allow(unsafe_code, reason = "the allocator's options have no safe name")]
fn give_memory_back() {
    // SAFETY: an option is set before there is a second thread, by a number and a value that it may have.
    unsafe { mi_option_set_default(PURGE_DELAY, FREE_FOR) }
}

fn main() -> ExitCode {
    // Before anything that takes memory: a runner must stay small.
    if let Some(ended) = homeostat::runner::become_one_if_asked() {
        return ended.into();
    }
    give_memory_back();
    // Only an earlier call in this process could make it fail, and there is none.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (mut out, mut err) = (io::stdout(), io::stderr());
    cli::run(std::env::args_os(), Streams { out: &mut out, err: &mut err }).into()
}

#[cfg(test)]
mod tests {
    use libmimalloc_sys::mi_option_get;

    use super::*;

    #[test]
    #[allow(unsafe_code, reason = "the allocator's options have no safe name")]
    fn the_option_that_is_set_is_the_delay() {
        // SAFETY: it is read only.
        let delay = || unsafe { mi_option_get(PURGE_DELAY) };
        assert_eq!(delay(), 1_000, "what mimalloc says of itself");
        give_memory_back();
        assert_eq!(delay(), FREE_FOR);
    }
}
