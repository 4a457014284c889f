//! The hands: this program once more, started to do one errand.
//!
//! ```text
//!  runner ─> claim ─> spawn: this program, HOMEOSTAT_HAND set ─> becomes a hand
//!                                             stdin: the data, with the errand and its limits
//!                                             does it ─> says what came of it (`act::said`) ─> ends
//! ```
//!
//! As a process of its own an errand has all that any action has: it outlives the engine, and the
//! runner too; a limit or a cancel ends it; its output is kept; and a library that fails takes nobody
//! with it. A hand is told to end by SIGTERM, and ends what it has begun elsewhere before it ends.
//! Where nobody is left to tell it, it goes by its own clock.
//!
//! A hand may be asked to *rehearse*: to find out, on the other side, whether its errand could be done as
//! things are, and to do nothing. One that cannot says so.
//!
//! Duty: to do one errand, and to say what certainly came of it, and no more. *Not* its duty: whether
//! it may be done (`guard`), and the claim, the tree and the record of its process (`act`).
//!
//! To add a hand: a file here with a function `perform`, its line in `perform` below, and in the
//! configuration what is typed, checked, and made an `ErrandTemplate`.

#[cfg(feature = "kubernetes")]
pub mod kubernetes;
mod ssh;
#[cfg(feature = "systemd")]
mod systemd;

use std::io::{self, BufReader};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use homeostat_core::errand::Errand;
use serde::Deserialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::act::{Asked, HAND, Outcome, Refusal, say};

/// How long after its limit a hand waits to be told to end, before it ends by itself.
const UNTOLD: Duration = Duration::from_secs(1);

/// An errand that is being done.
#[derive(Debug)]
struct Doing {
    errand: Errand,
    /// Whether nothing is to be done, but found out whether it could be.
    rehearse: bool,
    since: Instant,
    timeout: Duration,
    grace: Duration,
    /// Where its files are.
    work: PathBuf,
    ending: watch::Receiver<bool>,
}

impl Doing {
    /// Waits until it is to end.
    async fn told_to_end(&self) {
        let mut ending = self.ending.clone();
        if ending.wait_for(|ending| *ending).await.is_err() {
            // Nobody is left who could tell.
            std::future::pending::<()>().await;
        }
    }

    /// How much of its time is left.
    fn left(&self) -> Duration {
        self.timeout.saturating_sub(self.since.elapsed())
    }
}

/// Does an errand and ends, if this process was started to be a hand. Tells whether it could say what
/// came of it.
///
/// Called before this process does anything else.
pub fn become_one_if_asked() -> Option<bool> {
    let place = PathBuf::from(std::env::var_os(HAND)?);
    // In a thread of its own, because the caller may be inside of a runtime.
    let thread = std::thread::Builder::new().name("hand".into());
    let spawned = thread.spawn(move || {
        let outcome = begin(place.clone()).unwrap_or_else(|error| {
            refused(&format!("the hand could not begin: {error}"), Lasting::No)
        });
        say(&place, &outcome).is_ok()
    });
    // One that panics says nothing, and so nobody knows.
    Some(spawned.is_ok_and(|thread| thread.join().unwrap_or(false)))
}

fn begin(place: PathBuf) -> io::Result<Outcome> {
    #[derive(Deserialize)]
    struct Document {
        homeostat: Order,
    }
    #[derive(Deserialize)]
    struct Order {
        hand: Asked,
    }
    let since = Instant::now();
    let document: Document = serde_json::from_reader(BufReader::new(io::stdin()))?;
    let Asked { errand, rehearse, timeout, grace } = document.homeostat.hand;
    let mut work = place;
    work.pop();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(async move {
        let (end, ending) = watch::channel(false);
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                () = tokio::time::sleep(timeout + UNTOLD) => {}
            }
            end.send_replace(true);
            end.closed().await;
        });
        Ok(perform(Doing { errand, rehearse, since, timeout, grace, work, ending }).await)
    });
    runtime.shutdown_background();
    outcome
}

async fn perform(doing: Doing) -> Outcome {
    match &*doing.errand.hand {
        #[cfg(feature = "kubernetes")]
        kubernetes::NAME => kubernetes::perform(doing).await,
        hand if doing.rehearse => refused(&format!("the hand {hand} has no dry run"), Lasting::Yes),
        ssh::NAME => ssh::perform(doing).await,
        #[cfg(feature = "systemd")]
        systemd::NAME => systemd::perform(doing).await,
        hand => refused(&format!("this program has no hand {hand:?}"), Lasting::Yes),
    }
}

/// Whether an errand that was not begun could not be begun the next time either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lasting {
    Yes,
    No,
}

/// Nothing was done.
fn refused(reason: &str, lasting: Lasting) -> Outcome {
    let reason = Refusal::Hand { reason: reason.to_owned(), lasting: lasting == Lasting::Yes };
    Outcome::Refused { reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hand_that_cannot_rehearse_says_so_and_does_nothing() {
        for hand in ["ssh", "systemd", "another"] {
            let errand = Errand { hand: hand.into(), verb: "exec".into(), fields: Vec::new() };
            let (_end, ending) = watch::channel(false);
            let doing = Doing {
                errand,
                rehearse: true,
                since: Instant::now(),
                timeout: Duration::from_secs(1),
                grace: Duration::from_secs(1),
                work: PathBuf::new(),
                ending,
            };
            let expected = refused(&format!("the hand {hand} has no dry run"), Lasting::Yes);
            assert_eq!(perform(doing).await, expected);
        }
    }
}
