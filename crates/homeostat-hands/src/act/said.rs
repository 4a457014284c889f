//! What a hand is asked to do, and what it says that came of it.
//!
//! A hand is this program once more, started as any process: with a claim, a time limit, an output, a
//! tree that is ended, a runner that owns it. How the process ended says little of the errand, so the
//! hand says it itself, in a file where it works, as the last thing that it does:
//!
//! ```text
//!  the process          the hand said         so
//!  ended by itself      what came of it       that, and ended by its own limit: it timed out
//!  ended by itself      nothing               unknown: it may have done it, in part or not at all
//!  was told to end      that it was ended     timed out, or cancelled: what it started is ended, too
//!  was told to end      what came of it       that: it was over before
//!  was told to end      nothing               unknown
//!  was not started                            that
//! ```
//!
//! The records of the run, claim and exit, stay what they are for every process. *Not* the duty of this
//! file: what a hand does (the room `hand`).

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use homeostat_core::errand::Errand;
use serde::{Deserialize, Serialize};

use super::claim::{self, ERRAND, Found, Word, open_plain, path_of};
use super::limits::RECORD_MAX;
use super::{Doubt, Ended, Life, ORDERS, Outcome, WORK};

/// The variable by which a process knows that it is a hand: where it says what its errand came to.
pub const HAND: &str = "HOMEOSTAT_HAND";

/// The name of that file.
const SAID: &str = "said";

/// What a hand reads of the data on its standard input, under the key `hand`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The errand.
    pub errand: Errand,
    /// Whether it is only asked whether it could be done.
    #[serde(default)]
    pub rehearse: bool,
    /// How long it may take.
    pub timeout: Duration,
    /// How long it may take to end after it is told to.
    pub grace: Duration,
}

/// Where the hand of an order says what came of it.
pub(super) fn place(work: &Path) -> PathBuf {
    work.join(SAID)
}

/// Says what an errand came to.
///
/// # Errors
///
/// It cannot be written: then nobody knows.
pub fn say(place: &Path, outcome: &Outcome) -> io::Result<()> {
    let text = serde_json::to_vec(outcome).map_err(io::Error::other)?;
    let mut fresh = place.as_os_str().to_owned();
    fresh.push(".new");
    fs::write(&fresh, text)?;
    fs::rename(fresh, place)
}

/// Tells what became of an order, as [`claim`] finds it; of an errand, as its hand said.
pub fn inspect(root: &Path, name: &str, issued: &Life, word: Word) -> Found {
    match claim::inspect(root, name, issued, word) {
        Found::Ended(ended) => Found::Ended(heard(root, name, ended)),
        found @ (Found::NotStarted | Found::Unknown(_)) => found,
    }
}

/// Takes the end of a hand's process for what the hand said; other ends are what they are.
pub fn heard(root: &Path, name: &str, mut ended: Ended) -> Ended {
    let was_told_to_end = matches!(ended.outcome, Outcome::TimedOut | Outcome::Cancelled);
    let ended_by_itself =
        matches!(ended.outcome, Outcome::Exited { .. } | Outcome::Signalled { .. });
    if !was_told_to_end && !ended_by_itself || !is_errand(root, name) {
        return ended;
    }
    ended.outcome = match said(root, name) {
        None => Outcome::Unknown { reason: Doubt::NotSaid },
        Some(Outcome::Cancelled) if was_told_to_end => ended.outcome,
        Some(Outcome::Cancelled) => Outcome::TimedOut,
        Some(said) => said,
    };
    if let Outcome::Refused { .. } = ended.outcome {
        ended.started_at = None;
    }
    ended
}

/// Whether an order was an errand: where nobody can look, it may have been one.
fn is_errand(root: &Path, name: &str) -> bool {
    let Ok(path) = path_of(root, ORDERS, name) else { return false };
    let looked = fs::symlink_metadata(path.join(ERRAND));
    !matches!(looked, Err(error) if error.kind() == io::ErrorKind::NotFound)
}

fn said(root: &Path, name: &str) -> Option<Outcome> {
    let work = path_of(root, WORK, name).ok()?;
    let mut text = Vec::new();
    open_plain(&place(&work)).ok()?.take(RECORD_MAX).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::super::Refusal;
    use super::super::claim::Directory;
    use super::*;

    const ORDER: &str = "1.restart.1";

    fn errand() -> Errand {
        Errand { hand: "ssh".into(), verb: "exec".into(), fields: Vec::new() }
    }

    fn hear(process: Outcome, said: Option<Outcome>) -> Outcome {
        let root = tempfile::tempdir().unwrap();
        let directory = Directory::prepare(root.path(), ORDER, "one").unwrap();
        directory.write_errand(&errand()).unwrap();
        if let Some(said) = said {
            say(&place(directory.work()), &said).unwrap();
        }
        heard(root.path(), ORDER, Ended::without_run(process)).outcome
    }

    #[test]
    fn the_end_of_an_errand_follows_its_table() {
        let exit = |code| Outcome::Exited { code };
        let lost = || Outcome::Unknown { reason: Doubt::Hand { reason: "lost".into() } };
        let not_said = || Outcome::Unknown { reason: Doubt::NotSaid };
        let no =
            || Outcome::Refused { reason: Refusal::Hand { reason: "no".into(), lasting: true } };
        let signalled = || Outcome::Signalled { signal: 9 };
        let table = [
            (exit(0), Some(exit(7)), exit(7)),
            (exit(0), Some(lost()), lost()),
            (exit(0), Some(no()), no()),
            (exit(0), Some(Outcome::Cancelled), Outcome::TimedOut),
            (exit(0), None, not_said()),
            (signalled(), None, not_said()),
            (signalled(), Some(exit(0)), exit(0)),
            (Outcome::TimedOut, Some(Outcome::Cancelled), Outcome::TimedOut),
            (Outcome::Cancelled, Some(Outcome::Cancelled), Outcome::Cancelled),
            (Outcome::TimedOut, Some(exit(0)), exit(0)),
            (Outcome::Cancelled, Some(lost()), lost()),
            (Outcome::Cancelled, Some(no()), no()),
            (Outcome::TimedOut, None, not_said()),
            (no(), Some(exit(0)), no()),
            (lost(), Some(exit(0)), lost()),
        ];
        for (process, said, expected) in table {
            assert_eq!(hear(process.clone(), said.clone()), expected, "{process:?} and {said:?}");
        }
    }

    #[test]
    fn what_is_no_errand_is_what_it_is_whatever_lies_where_it_worked() {
        let root = tempfile::tempdir().unwrap();
        let directory = Directory::prepare(root.path(), ORDER, "one").unwrap();
        say(&place(directory.work()), &Outcome::Done).unwrap();
        let ended = Ended::without_run(Outcome::Exited { code: 3 });
        assert_eq!(heard(root.path(), ORDER, ended.clone()), ended);
    }

    #[test]
    fn what_stands_in_the_place_of_a_word_is_not_believed() {
        let root = tempfile::tempdir().unwrap();
        let directory = Directory::prepare(root.path(), ORDER, "one").unwrap();
        directory.write_errand(&errand()).unwrap();
        let elsewhere = root.path().join("elsewhere");
        say(&elsewhere, &Outcome::Done).unwrap();
        std::os::unix::fs::symlink(&elsewhere, place(directory.work())).unwrap();
        let ended = heard(root.path(), ORDER, Ended::without_run(Outcome::Exited { code: 0 }));
        assert_eq!(ended.outcome, Outcome::Unknown { reason: Doubt::NotSaid });
        fs::remove_file(place(directory.work())).unwrap();
        fs::write(place(directory.work()), "{").unwrap();
        let ended = heard(root.path(), ORDER, Ended::without_run(Outcome::Exited { code: 0 }));
        assert_eq!(ended.outcome, Outcome::Unknown { reason: Doubt::NotSaid });
    }
}
