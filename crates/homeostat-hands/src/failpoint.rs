//! Failpoints: named steps at which a test lets the engine, or its runner, die, wait or fail.
//!
//! ```text
//!  FAILPOINTS='intake.parsed=kill;journal.written=2*off->kill'
//! ```
//!
//! An action is one of the crate `fail`, or `kill`: SIGKILL to ourselves, as a kernel that is out of
//! memory would send it. Only with the cargo feature `failpoints`; without it nothing of this is
//! left in the program.
//! Those of the engine are named here too, so that there is one list, armed once in a process.
//! Not its duty: to say what must be true afterwards. That is the tests'.

/// Every step that can be named, in the order in which an alert comes by.
#[cfg(feature = "failpoints")]
pub const ALL: [&str; 23] = [
    "start.locked",
    "start.recovered",
    "intake.read",
    "intake.parsed",
    "queue.put",
    "driver.taken",
    "driver.decided",
    "journal.written",
    "journal.synced",
    "driver.committed",
    "driver.performed",
    "intake.committed",
    "act.prepared",
    "act.claimed",
    "act.spawned",
    "act.ended",
    "act.recorded",
    "driver.ended",
    "driver.inquired",
    "notice.sent",
    "snapshot.part",
    "snapshot.whole",
    "index.step",
];

/// Does what was asked for at this step: usually nothing.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub const fn reach(_: &str) {}

/// Does what was asked for at this step, and tells whether the step is to fail (`return`).
#[cfg(not(feature = "failpoints"))]
#[inline]
pub const fn fails(_: &str) -> bool {
    false
}

/// Takes in what is asked for in the environment.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub const fn arm() {}

#[cfg(feature = "failpoints")]
pub use armed::{arm, fails, reach};

#[cfg(feature = "failpoints")]
mod armed {
    use std::sync::Once;

    use rustix::process::{Signal, getpid, kill_process};

    use super::ALL;

    /// What `kill` is to the crate `fail`, which has no such action.
    const KILL: &str = "return(kill)";

    /// Does what was asked for at this step: usually nothing.
    pub fn reach(name: &'static str) {
        let _ = fails(name);
    }

    /// Does what was asked for at this step, and tells whether the step is to fail (`return`).
    pub fn fails(name: &'static str) -> bool {
        arm();
        debug_assert!(ALL.contains(&name), "failpoint {name} is not listed");
        let asked = fail::eval(name, |word| word);
        if asked.as_ref().is_some_and(|word| word.as_deref() == Some("kill")) {
            die();
        }
        asked.is_some()
    }

    /// Takes in what is asked for in the environment, once.
    ///
    /// # Panics
    ///
    /// What is asked for cannot be: a test that armed nothing would show nothing.
    pub fn arm() {
        static ARMED: Once = Once::new();
        ARMED.call_once(|| {
            let Ok(asked) = std::env::var("FAILPOINTS") else { return };
            for one in asked.split(';').filter(|one| !one.trim().is_empty()) {
                let (name, actions) = one.split_once('=').unwrap_or((one, ""));
                assert!(ALL.contains(&name), "there is no failpoint {name}");
                let terms: Vec<String> = actions.split("->").map(translate).collect();
                let actions = terms.join("->");
                if let Err(error) = fail::cfg(name, &actions) {
                    panic!("failpoint {name} cannot do {actions}: {error}");
                }
            }
            tracing::warn!(asked, "failpoints are armed");
        });
    }

    /// Writes one term as the crate `fail` knows it.
    fn translate(term: &str) -> String {
        let many = term.strip_suffix("kill").filter(|many| many.is_empty() || is_frequency(many));
        many.map_or_else(|| term.to_owned(), |many| format!("{many}{KILL}"))
    }

    /// Whether this says how often, as `3*` or `20%`.
    fn is_frequency(text: &str) -> bool {
        text.ends_with(['*', '%'])
    }

    fn die() -> ! {
        // It cannot be refused; until it comes this thread must do nothing more.
        let _ = kill_process(getpid(), Signal::KILL);
        loop {
            std::thread::park();
        }
    }
}
