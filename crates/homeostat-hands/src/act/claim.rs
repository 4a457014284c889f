//! An order's directory: its claim, its record of the end, and what a restarted engine reads there.
//!
//! The claim is what makes a run happen at most once. It is not synced to the disk: it must outlive
//! the engine, which the page cache does, and not the machine, because another boot id alone makes
//! the outcome unknown.
//!
//! Of what lies there nothing is believed that is not a plain file, and nothing is waited for: an
//! action that means harm, or has a bug, may put a pipe or a link in the place of a record. Then the
//! outcome is unknown. That a claim is not there says nothing by itself: a disk may lose it. Certainly
//! not started is what whoever would have started it says ([`Word`]).

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, IntoInnerError, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use homeostat_core::errand::Errand;
use homeostat_core::name::BootId;
use jiff::Timestamp;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use super::life::{Life, current_boot, draw};
use super::limits::{ORDER_NAME_MAX, RECORD_MAX};
use super::output::{self, Tail};
use super::process::Process;
use super::setting::SECRETS;
use super::{Doubt, Ended, Outcome, Refusal};
use crate::failpoint;

const ALERT: &str = "alert.json";
const SCRIPT: &str = "script";
const CLAIM: &str = "claim";
const EXIT: &str = "exit";
const WITHHELD: &str = "withheld";

/// What a hand is asked to do. That it is there says that the order is an errand.
pub(super) const ERRAND: &str = "errand";

/// Where the records of all orders lie, in the storage directory.
pub const ORDERS: &str = "orders";

/// Where the working directories of all actions lie, in the storage directory.
pub const WORK: &str = "work";

/// What whoever would have started an order says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// It never took it, and nobody else could have.
    NeverTook,
    /// It took it.
    Took,
    /// It is not there any more, or was not there all the time.
    Nobody,
}

/// What an order's directory tells a restarted engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It was certainly not started.
    NotStarted,
    /// It may have run, and may be running.
    Unknown(Doubt),
    /// It ended, and this is how.
    Ended(Ended),
}

/// What an order of this name has printed by now; nothing where it has printed nothing, or is not there.
pub fn printed(root: &Path, name: &str) -> String {
    path_of(root, ORDERS, name).map(|path| output::tail(&path).text).unwrap_or_default()
}

/// The end of what it printed, at most so many bytes.
pub fn printed_within(root: &Path, name: &str, most: usize) -> Tail {
    path_of(root, ORDERS, name).map(|path| output::tail_within(&path, most)).unwrap_or_default()
}

/// Tells what became of an order that was issued in the life `issued` of an engine, by its name
/// there, its records and the word of whoever would have started it.
///
/// | `exit` | `claim` | same boot | word | found |
/// |---|---|---|---|---|
/// | yes | | | | what it says |
/// | no | yes | yes | | unknown: no end recorded |
/// | no | | no | | unknown: another boot |
/// | no | no | yes | never took it | not started |
/// | no | no | yes | took it | unknown: its records are gone |
/// | no | no | yes | none | unknown: nobody can say |
///
/// An order that its engine did not start any more as it stopped says so: not started.
pub(super) fn inspect(root: &Path, name: &str, issued: &Life, word: Word) -> Found {
    let unknown = |error: io::Error| Found::Unknown(Doubt::Record { error: error.to_string() });
    let Ok(path) = path_of(root, ORDERS, name) else { return Found::NotStarted };
    match read_record(&path) {
        Ok(Some(record)) => return Found::Ended(record.into_ended(&path)),
        Ok(None) => {}
        Err(error) => return unknown(error),
    }
    let claimed = match is_there(&path.join(CLAIM)) {
        Ok(claimed) => claimed,
        Err(error) => return unknown(error),
    };
    if !claimed && open_plain(&path.join(WITHHELD)).is_ok() {
        return Found::NotStarted;
    }
    match (issued.is_of_this_boot(), claimed, word) {
        (Ok(true), true, _) => Found::Unknown(Doubt::NoExit),
        (Ok(true), false, Word::NeverTook) => Found::NotStarted,
        (Ok(true), false, Word::Took) => Found::Unknown(Doubt::RecordsGone),
        (Ok(true), false, Word::Nobody) => Found::Unknown(Doubt::NoWitness),
        (Ok(false), ..) => Found::Unknown(Doubt::OtherBoot),
        (Err(error), ..) => Found::Unknown(Doubt::NoBootId { error: error.to_string() }),
    }
}

/// Says for the next engine that this one did not start an order, and will not.
///
/// # Errors
///
/// It cannot be said: then nobody can say whether the order was started, which is safe.
pub fn withhold(root: &Path, name: &str) -> io::Result<()> {
    let directory = Directory::prepare(root, name, "withheld").map_err(invalid)?;
    directory.replace(WITHHELD, b"", Sync::No)
}

/// Removes the directories of an order that nobody will ask about any more, and what its action has
/// left there. What is not there is removed already. Links are removed and never followed.
///
/// # Errors
///
/// Something of it is left.
pub fn forget(root: &Path, name: &str) -> io::Result<()> {
    for kind in [SECRETS, WORK, ORDERS] {
        match fs::remove_dir_all(path_of(root, kind, name).map_err(invalid)?) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// Removes all directories whose names begin so, if nobody has touched them for that long.
///
/// # Errors
///
/// They cannot be listed, or one of them cannot be removed.
pub fn forget_all(root: &Path, prefix: &str, untouched: Duration) -> io::Result<()> {
    let entries = match fs::read_dir(root.join(ORDERS)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| name.starts_with(prefix)) else { continue };
        let touched = entry.metadata()?.modified()?;
        if touched.elapsed().is_ok_and(|age| age >= untouched) {
            forget(root, name)?;
        }
    }
    Ok(())
}

fn invalid(refusal: Refusal) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, refusal)
}

/// Draws a token that no other run has, for recognising the processes of this one.
pub(super) fn draw_run() -> Result<String, Refusal> {
    draw().map_err(|error| storage("draw a token for the run", &error))
}

/// The directories of one order, as one run sees them: that of its records, and that in which its
/// action works.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    work: PathBuf,
    run: String,
}

/// What the claim says, for people and for tools that look for the processes of a run.
#[derive(Serialize)]
struct Claim<'a> {
    pid: u32,
    boot: &'a BootId,
    run: &'a str,
    at: String,
}

/// How a claim was answered.
pub(super) enum Claimed {
    /// It is ours: spawn once.
    Now,
    /// It was there.
    Before,
}

impl Directory {
    /// Makes both directories, readable for the engine's user only.
    pub(super) fn prepare(root: &Path, name: &str, run: &str) -> Result<Self, Refusal> {
        let directory = Self::prepared(root, name, run)?;
        let make = |path: &Path, mode| {
            let made = DirBuilder::new().recursive(true).mode(mode).create(path);
            made.map_err(|error| storage("make the order's directory", &error))
        };
        make(&directory.path, 0o700)?;
        match DirBuilder::new().mode(0o700).create(&directory.work) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // An action that runs as another user passes through it.
                make(&root.join(WORK), 0o711)?;
                make(&directory.work, 0o700)?;
            }
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(storage("make the order's directory", &error));
            }
            Ok(()) | Err(_) => {}
        }
        Ok(directory)
    }

    /// The directories that were prepared for a run. Both names may come from outside of this
    /// process: neither leads out of the root.
    pub(super) fn prepared(root: &Path, name: &str, run: &str) -> Result<Self, Refusal> {
        path_of(Path::new(""), ORDERS, run)?;
        let absolute = |kind| {
            std::path::absolute(path_of(root, kind, name)?)
                .map_err(|error| storage("find the order's directory", &error))
        };
        Ok(Self { path: absolute(ORDERS)?, work: absolute(WORK)?, run: run.into() })
    }

    /// The absolute path of the records.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The absolute path of where the action works.
    pub(super) fn work(&self) -> &Path {
        &self.work
    }

    /// Where the text of a script lies.
    pub(super) fn script_path(&self) -> PathBuf {
        self.path.join(SCRIPT)
    }

    /// Copies the script to where the action works, for an action that may not look in here.
    pub(super) fn copy_script_to_work(&self) -> io::Result<PathBuf> {
        let to = self.work.join(SCRIPT);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o500).open(&to)?;
        io::copy(&mut open_plain(&self.script_path())?, &mut file)?;
        Ok(to)
    }

    /// Whether somebody claimed the order: then nothing here may be touched.
    pub(super) fn is_claimed(&self) -> Result<bool, Refusal> {
        is_there(&self.path.join(CLAIM)).map_err(|error| storage("look for a claim", &error))
    }

    /// Writes what the action reads. A file is renamed into place: if another engine gets the claim
    /// first, its action keeps the file that it has open.
    pub(super) fn write_inputs(
        &self,
        alert: impl FnOnce(&mut dyn Write) -> io::Result<()>,
        script: Option<&str>,
    ) -> Result<(), Refusal> {
        self.replace_by(ALERT, alert, Sync::No)
            .map_err(|error| storage("write alert.json", &error))?;
        let Some(script) = script else { return Ok(()) };
        self.replace(SCRIPT, script.as_bytes(), Sync::No)
            .map_err(|error| storage("write the script", &error))
    }

    /// Writes what a hand is asked to do, and by that, that the order is an errand.
    pub(super) fn write_errand(&self, errand: &Errand) -> Result<(), Refusal> {
        let text = serde_json::to_vec(errand).expect("texts and lists are always JSON");
        self.replace(ERRAND, &text, Sync::No).map_err(|error| storage("write the errand", &error))
    }

    /// The alert's data, opened for reading.
    pub(super) fn open_alert(&self) -> io::Result<File> {
        open_plain(&self.path.join(ALERT))
    }

    /// Takes the right to spawn, which exists once.
    pub(super) fn claim(&self) -> Result<Claimed, Refusal> {
        let boot = current_boot().map_err(|error| storage("read the boot id", &error))?;
        let at = Timestamp::now().to_string();
        let claim = Claim { pid: std::process::id(), boot: &boot, run: &self.run, at };
        let text = serde_json::to_vec(&claim).expect("strings and numbers are always JSON");
        let opened =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.path.join(CLAIM));
        match opened {
            Ok(mut file) => {
                // Its content is for people and tools; an empty claim is a claim.
                let _ = file.write_all(&text);
                Ok(Claimed::Now)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Claimed::Before),
            Err(error) => Err(storage("make the claim", &error)),
        }
    }

    /// Records the end.
    ///
    /// An error is not reported: the caller is the engine, which has the outcome and journals it at
    /// once. If it dies before that, an order without a record is unknown, which is safe. For the
    /// same reason it is not synced: what a loss of power destroys is missing or unreadable in
    /// another boot, and so unknown.
    pub(super) fn record(&self, ended: &Ended) {
        let _ = self.record_for_others(ended, Sync::No);
    }

    /// Records the end of a run that others will hear of by this record alone.
    ///
    /// # Errors
    ///
    /// It could not be written: then the end is known here only.
    pub(super) fn record_for_others(&self, ended: &Ended, sync: Sync) -> io::Result<()> {
        failpoint::reach("act.ended");
        let record = Record::of(ended);
        let text = serde_json::to_vec(&record).expect("strings and numbers are always JSON");
        self.replace(EXIT, &text, sync)?;
        failpoint::reach("act.recorded");
        Ok(())
    }

    /// Keeps a file for people to read. That it cannot be written changes nothing about the run.
    pub(super) fn keep(&self, name: &str, content: &[u8]) {
        let _ = self.replace(name, content, Sync::No);
    }

    fn replace(&self, name: &str, content: &[u8], sync: Sync) -> io::Result<()> {
        self.replace_by(name, |to| to.write_all(content), sync)
    }

    fn replace_by(
        &self,
        name: &str,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
        sync: Sync,
    ) -> io::Result<()> {
        let fresh = self.path.join(format!(".{name}.{}", self.run));
        let create = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh);
        let file = match create() {
            // One is left where the disk was full before. Whatever it is, it is not opened.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::remove_file(&fresh)?;
                create()?
            }
            made => made?,
        };
        let mut writer = BufWriter::new(file);
        write(&mut writer)?;
        let file = writer.into_inner().map_err(IntoInnerError::into_error)?;
        match sync {
            Sync::Yes => file.sync_all()?,
            Sync::No => {}
        }
        fs::rename(&fresh, self.path.join(name))
    }
}

/// Whether a file must outlive a loss of power.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sync {
    Yes,
    No,
}

/// The `exit` file.
#[derive(Serialize, Deserialize)]
struct Record {
    outcome: Outcome,
    started: Option<Timed>,
    ended: Timed,
    left: u32,
    /// What could not be ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    stuck: Vec<Process>,
    /// The end of the output, as whoever ran it read it; earlier programs read it from the files.
    #[serde(default)]
    tail: Option<Tail>,
}

/// An instant as RFC 3339 in UTC.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Timed(String);

impl Timed {
    fn of(at: SystemTime) -> Self {
        Self(Timestamp::try_from(at).unwrap_or(Timestamp::UNIX_EPOCH).to_string())
    }

    fn time(&self) -> Option<SystemTime> {
        self.0.parse::<Timestamp>().ok().map(SystemTime::from)
    }
}

impl Record {
    fn of(ended: &Ended) -> Self {
        // The end is the start plus the monotonic duration, so a clock that was set meanwhile does
        // not make it negative.
        let end = ended.started_at.map_or_else(SystemTime::now, |start| start + ended.duration);
        Self {
            outcome: ended.outcome.clone(),
            started: ended.started_at.map(Timed::of),
            ended: Timed::of(end),
            left: ended.left,
            stuck: ended.stuck.clone(),
            tail: Some(Tail { text: ended.tail.clone(), truncated: ended.truncated }),
        }
    }

    fn into_ended(self, path: &Path) -> Ended {
        let started_at = self.started.as_ref().and_then(Timed::time);
        let duration = started_at
            .zip(self.ended.time())
            .and_then(|(start, end)| end.duration_since(start).ok())
            .unwrap_or(Duration::ZERO);
        let tail = self.tail.unwrap_or_else(|| output::tail(path));
        Ended {
            outcome: self.outcome,
            started_at,
            duration,
            tail: tail.text,
            truncated: tail.truncated,
            left: self.left,
            stuck: self.stuck,
        }
    }
}

fn read_record(path: &Path) -> io::Result<Option<Record>> {
    let file = match open_plain(&path.join(EXIT)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    file.take(RECORD_MAX).read_to_end(&mut text)?;
    Ok(Some(serde_json::from_slice(&text)?))
}

/// Opens a plain file for reading, and nothing else: whatever stands in its place, this does not
/// wait.
///
/// # Errors
///
/// It is not there, cannot be read, or is no plain file.
pub(super) fn open_plain(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidData, "it is no plain file"))
    }
}

/// Whether something has this name, whatever it is.
fn is_there(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

pub(super) fn path_of(root: &Path, kind: &str, order: &str) -> Result<PathBuf, Refusal> {
    let legal = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
    let name = !order.is_empty()
        && order.len() <= ORDER_NAME_MAX
        && order.bytes().all(legal)
        && !matches!(order, "." | "..");
    if name {
        Ok(root.join(kind).join(order))
    } else {
        Err(Refusal::OrderName { order: order.into() })
    }
}

/// The refusal for a file operation that failed before anything was started.
pub(super) fn storage(attempt: &str, error: &io::Error) -> Refusal {
    Refusal::Storage { attempt: attempt.into(), error: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: &str = "i1-restart-1";

    fn ended(outcome: Outcome) -> Ended {
        let started_at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_250);
        Ended {
            started_at: Some(started_at),
            duration: Duration::from_millis(1_500),
            left: 2,
            ..Ended::without_run(outcome)
        }
    }

    #[test]
    fn what_is_forgotten_by_its_beginning_is_nobodys_and_untouched() {
        let root = tempfile::tempdir().unwrap();
        for name in ["aside.1", "aside.2", "1.restart.1"] {
            Directory::prepare(root.path(), name, "one").unwrap();
        }
        let there = |name: &str| root.path().join(ORDERS).join(name).exists();
        forget_all(root.path(), "aside.", Duration::from_hours(1)).unwrap();
        assert!(there("aside.1") && there("aside.2"), "somebody may be at work there");
        forget_all(root.path(), "aside.", Duration::ZERO).unwrap();
        assert!(!there("aside.1") && !there("aside.2") && there("1.restart.1"));
        assert!(!root.path().join(WORK).join("aside.1").exists());
        forget_all(&root.path().join("nowhere"), "aside.", Duration::ZERO).unwrap();
    }

    #[test]
    fn inspect_follows_its_table() {
        let here = Life::begin().unwrap();
        let elsewhere = Life::of(&BootId::new("another"));
        let root = tempfile::tempdir().unwrap();
        let look = |issued: &Life, word| inspect(root.path(), ORDER, issued, word);
        let unheard = |doubt: Doubt| {
            assert_eq!(look(&here, Word::NeverTook), Found::NotStarted);
            assert_eq!(look(&here, Word::Took), Found::Unknown(Doubt::RecordsGone));
            assert_eq!(look(&here, Word::Nobody), Found::Unknown(doubt));
            for word in [Word::NeverTook, Word::Took, Word::Nobody] {
                assert_eq!(look(&elsewhere, word), Found::Unknown(Doubt::OtherBoot));
            }
        };

        unheard(Doubt::NoWitness);
        let directory = Directory::prepare(root.path(), ORDER, "one").unwrap();
        directory.write_inputs(|to| to.write_all(b"{}"), None).unwrap();
        unheard(Doubt::NoWitness);

        assert!(matches!(directory.claim().unwrap(), Claimed::Now));
        for word in [Word::NeverTook, Word::Took, Word::Nobody] {
            assert_eq!(look(&here, word), Found::Unknown(Doubt::NoExit));
            assert_eq!(look(&elsewhere, word), Found::Unknown(Doubt::OtherBoot));
        }

        let end = ended(Outcome::Exited { code: 3 });
        directory.record(&end);
        assert_eq!(look(&here, Word::NeverTook), Found::Ended(end.clone()));
        assert_eq!(look(&elsewhere, Word::Nobody), Found::Ended(end));
    }

    #[test]
    fn what_stands_in_the_place_of_a_record_is_not_believed_and_not_waited_for() {
        type Put = fn(&Path);
        let puts: [Put; 6] = [
            |path| fs::write(path, "{").unwrap(),
            |path| {
                let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
                assert!(made.success());
            },
            |path| std::os::unix::fs::symlink("/etc/hostname", path).unwrap(),
            |path| std::os::unix::fs::symlink("nowhere", path).unwrap(),
            |path| std::os::unix::fs::symlink(path, path).unwrap(),
            |path| fs::create_dir(path).unwrap(),
        ];
        let here = Life::begin().unwrap();
        for put in puts {
            let root = tempfile::tempdir().unwrap();
            let directory = Directory::prepare(root.path(), ORDER, "one").unwrap();
            put(&directory.path().join(EXIT));
            let found = inspect(root.path(), ORDER, &here, Word::NeverTook);
            assert!(matches!(found, Found::Unknown(Doubt::Record { .. })), "{found:?}");

            let root = tempfile::tempdir().unwrap();
            let directory = Directory::prepare(root.path(), ORDER, "one").unwrap();
            put(&directory.path().join(CLAIM));
            let found = inspect(root.path(), ORDER, &here, Word::NeverTook);
            assert_eq!(found, Found::Unknown(Doubt::NoExit));
            assert!(matches!(directory.claim().unwrap(), Claimed::Before));
        }
    }

    #[test]
    fn an_order_that_was_withheld_has_not_started_whoever_asks() {
        let root = tempfile::tempdir().unwrap();
        let here = Life::begin().unwrap();
        withhold(root.path(), ORDER).unwrap();
        assert_eq!(inspect(root.path(), ORDER, &here, Word::Nobody), Found::NotStarted);
        let elsewhere = Life::of(&BootId::new("another"));
        assert_eq!(inspect(root.path(), ORDER, &elsewhere, Word::Nobody), Found::NotStarted);
        let directory = Directory::prepared(root.path(), ORDER, "one").unwrap();
        assert!(matches!(directory.claim().unwrap(), Claimed::Now));
        let found = inspect(root.path(), ORDER, &here, Word::Nobody);
        assert_eq!(found, Found::Unknown(Doubt::NoExit), "a claim says more");
    }

    #[test]
    fn a_record_of_an_earlier_program_is_read_with_its_output() {
        let root = tempfile::tempdir().unwrap();
        let directory = Directory::prepare(root.path(), ORDER, "one").unwrap();
        let record = r#"{"outcome":{"kind":"exited","code":3},"started":"2026-01-05T09:00:00Z",
            "ended":"2026-01-05T09:00:01Z","left":1}"#;
        fs::write(directory.path().join(EXIT), record).unwrap();
        fs::write(directory.path().join("stdout"), "said\n").unwrap();
        let issued = Life::of(&BootId::new("5b1c"));
        let Found::Ended(found) = inspect(root.path(), ORDER, &issued, Word::Nobody) else {
            panic!("it is not found")
        };
        assert_eq!((found.outcome, found.tail.as_str()), (Outcome::Exited { code: 3 }, "said\n"));
        assert_eq!((found.duration, found.left), (Duration::from_secs(1), 1));
    }

    #[test]
    fn every_outcome_survives_its_record() {
        let root = tempfile::tempdir().unwrap();
        let directory = Directory::prepare(root.path(), ORDER, "one").unwrap();
        let outcomes = [
            Outcome::Exited { code: 0 },
            Outcome::Signalled { signal: 9 },
            Outcome::Done,
            Outcome::Failed { reason: "x".into() },
            Outcome::Answered { status: 404, expected: false },
            Outcome::TimedOut,
            Outcome::Cancelled,
            Outcome::Refused { reason: Refusal::NoProgram },
            Outcome::Unknown { reason: Doubt::Wait { error: "x".into() } },
            Outcome::Unknown { reason: Doubt::Hand { reason: "x".into() } },
            Outcome::Refused { reason: Refusal::Hand { reason: "x".into(), lasting: true } },
        ];
        for outcome in outcomes {
            let end = ended(outcome);
            directory.record_for_others(&end, Sync::Yes).unwrap();
            let elsewhere = Life::of(&BootId::new("another"));
            let found = inspect(root.path(), ORDER, &elsewhere, Word::Nobody);
            assert_eq!(found, Found::Ended(end));
        }
    }

    #[test]
    fn a_claim_is_given_once() {
        let root = tempfile::tempdir().unwrap();
        let directory = Directory::prepare(root.path(), ORDER, "one").unwrap();
        assert!(matches!(directory.claim().unwrap(), Claimed::Now));
        assert!(matches!(directory.claim().unwrap(), Claimed::Before));
        let claim: serde_json::Value =
            serde_json::from_slice(&fs::read(directory.path().join(CLAIM)).unwrap()).unwrap();
        assert_eq!(claim["run"], "one");
        assert_eq!(claim["pid"], std::process::id());
        assert_eq!(claim["boot"], current_boot().unwrap().as_str());
    }

    #[test]
    fn only_plain_names_make_directories() {
        let root = tempfile::tempdir().unwrap();
        let long = "x".repeat(ORDER_NAME_MAX + 1);
        for order in ["", ".", "..", "a/b", "../x", "/etc", "a\0", "ä", "a b", &long] {
            let refusal = Directory::prepare(root.path(), order, "one").unwrap_err();
            assert_eq!(refusal, Refusal::OrderName { order: order.into() });
        }
        for order in ["a", "A.b_c-1", "...", "-x"] {
            assert!(Directory::prepare(root.path(), order, "one").is_ok(), "{order}");
        }
    }

    #[test]
    fn what_is_forgotten_is_gone_and_what_it_linked_to_stays() {
        let home = tempfile::tempdir().unwrap();
        let (root, precious) = (home.path().join("storage"), home.path().join("precious"));
        fs::create_dir(&precious).unwrap();
        fs::write(precious.join("data"), "x").unwrap();
        let directory = Directory::prepare(&root, ORDER, "one").unwrap();
        directory.write_inputs(|to| to.write_all(b"{}"), None).unwrap();
        fs::create_dir(directory.work().join("dropped")).unwrap();
        std::os::unix::fs::symlink(&precious, directory.work().join("dropped/link")).unwrap();
        forget(&root, ORDER).unwrap();
        for kind in [ORDERS, WORK] {
            assert!(!fs::exists(root.join(kind).join(ORDER)).unwrap());
        }
        forget(&root, ORDER).unwrap();

        for kind in [ORDERS, WORK] {
            std::os::unix::fs::symlink(&precious, root.join(kind).join("link")).unwrap();
            forget(&root, "link").unwrap();
            assert!(!fs::exists(root.join(kind).join("link")).unwrap());
        }
        for outside in ["..", "../precious", "/", ""] {
            assert!(forget(&root, outside).is_err(), "{outside}");
        }
        assert!(fs::exists(precious.join("data")).unwrap());
    }
}
