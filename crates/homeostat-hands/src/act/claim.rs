//! An order's directory: its claim, its record of the end, and what a restarted engine reads there.
//!
//! The claim is what makes a run happen at most once. It is not synced to the disk: it must outlive
//! the engine, which the page cache does, and not the machine, because another boot id alone makes
//! the outcome unknown.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use homeostat_core::name::BootId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::limits::{ORDER_NAME_MAX, RECORD_MAX};
use super::{Doubt, Ended, Outcome, Refusal, output};
use crate::failpoint;

const ALERT: &str = "alert.json";
const SCRIPT: &str = "script";
const CLAIM: &str = "claim";
const EXIT: &str = "exit";

/// Returns the id that the kernel drew when this machine was started.
///
/// # Errors
///
/// It cannot be read. No claim can be judged then, so nothing may be started.
pub fn current_boot() -> io::Result<BootId> {
    // No process outlives its boot.
    static BOOT: OnceLock<BootId> = OnceLock::new();
    if let Some(boot) = BOOT.get() {
        return Ok(boot.clone());
    }
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(BOOT.get_or_init(|| BootId::new(id.trim_end())).clone())
}

/// What an order's directory tells a restarted engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It was certainly not started, provided that nobody is about to start it now.
    NotStarted,
    /// It may have run, and may be running.
    Unknown(Doubt),
    /// It ended, and this is how.
    Ended(Ended),
}

/// Tells what became of an order that was issued while the machine had the boot id `issued`.
///
/// | `exit` | `claim` | same boot | found |
/// |---|---|---|---|
/// | yes | | | what it says |
/// | no | yes | yes | unknown: no end recorded |
/// | no | no | yes | not started |
/// | no | | no | unknown: another boot |
pub fn inspect(root: &Path, order: &str, issued: &BootId) -> Found {
    let Ok(path) = path_of(root, order) else { return Found::NotStarted };
    match read_record(&path) {
        Ok(Some(record)) => return Found::Ended(record.into_ended(&path)),
        Ok(None) => {}
        Err(error) => return Found::Unknown(Doubt::Record { error: error.to_string() }),
    }
    match current_boot() {
        Ok(current) if current == *issued => {}
        Ok(_) => return Found::Unknown(Doubt::OtherBoot),
        Err(error) => return Found::Unknown(Doubt::NoBootId { error: error.to_string() }),
    }
    match fs::exists(path.join(CLAIM)) {
        Ok(true) => Found::Unknown(Doubt::NoExit),
        Ok(false) => Found::NotStarted,
        Err(error) => Found::Unknown(Doubt::Record { error: error.to_string() }),
    }
}

/// Removes the directory of an order that nobody will ask about any more, and what its action has
/// left there. One that is not there is removed already. Links are removed and never followed.
///
/// # Errors
///
/// Something of it is left.
pub fn forget(root: &Path, order: &str) -> io::Result<()> {
    let path = path_of(root, order)
        .map_err(|refusal| io::Error::new(io::ErrorKind::InvalidInput, refusal))?;
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Draws a token that no other run has, for recognising the processes of this one.
pub(super) fn draw_run() -> Result<String, Refusal> {
    fs::read_to_string("/proc/sys/kernel/random/uuid")
        .map(|text| text.trim_end().to_owned())
        .map_err(|error| storage("draw a token for the run", &error))
}

/// The directory of one order, as one run sees it.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
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
    /// Makes the directory, readable for the engine's user only.
    pub(super) fn prepare(root: &Path, order: &str, run: &str) -> Result<Self, Refusal> {
        let path = path_of(root, order)?;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .and_then(|()| std::path::absolute(&path))
            .map(|path| Self { path, run: run.into() })
            .map_err(|error| storage("make the order's directory", &error))
    }

    /// The directory that was prepared for a run. Both names may come from outside of this process:
    /// neither leads out of the root.
    pub(super) fn prepared(root: &Path, order: &str, run: &str) -> Result<Self, Refusal> {
        path_of(Path::new(""), run)?;
        std::path::absolute(path_of(root, order)?)
            .map(|path| Self { path, run: run.into() })
            .map_err(|error| storage("find the order's directory", &error))
    }

    /// The absolute path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the text of a script lies.
    pub(super) fn script_path(&self) -> PathBuf {
        self.path.join(SCRIPT)
    }

    /// Whether somebody claimed the order: then nothing here may be touched.
    pub(super) fn is_claimed(&self) -> Result<bool, Refusal> {
        fs::exists(self.path.join(CLAIM)).map_err(|error| storage("look for a claim", &error))
    }

    /// Writes what the action reads. A file is renamed into place: if another engine gets the claim
    /// first, its action keeps the file that it has open.
    pub(super) fn write_inputs(&self, alert: &[u8], script: Option<&str>) -> Result<(), Refusal> {
        self.replace(ALERT, alert, Sync::No)
            .map_err(|error| storage("write alert.json", &error))?;
        let Some(script) = script else { return Ok(()) };
        self.replace(SCRIPT, script.as_bytes(), Sync::No)
            .map_err(|error| storage("write the script", &error))
    }

    /// The alert's data, opened for reading.
    pub(super) fn open_alert(&self) -> io::Result<File> {
        File::open(self.path.join(ALERT))
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
        let fresh = self.path.join(format!(".{name}.{}", self.run));
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(content)?;
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
        }
    }

    fn into_ended(self, path: &Path) -> Ended {
        let started_at = self.started.as_ref().and_then(Timed::time);
        let duration = started_at
            .zip(self.ended.time())
            .and_then(|(start, end)| end.duration_since(start).ok())
            .unwrap_or(Duration::ZERO);
        let tail = output::tail(path);
        Ended {
            outcome: self.outcome,
            started_at,
            duration,
            tail: tail.text,
            truncated: tail.truncated,
            left: self.left,
        }
    }
}

fn read_record(path: &Path) -> io::Result<Option<Record>> {
    let file = match File::open(path.join(EXIT)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    file.take(RECORD_MAX).read_to_end(&mut text)?;
    Ok(Some(serde_json::from_slice(&text)?))
}

fn path_of(root: &Path, order: &str) -> Result<PathBuf, Refusal> {
    let legal = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
    let name = !order.is_empty()
        && order.len() <= ORDER_NAME_MAX
        && order.bytes().all(legal)
        && !matches!(order, "." | "..");
    if name { Ok(root.join(order)) } else { Err(Refusal::OrderName { order: order.into() }) }
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
    fn inspect_follows_its_table() {
        let here = current_boot().unwrap();
        let elsewhere = BootId::new("another");
        let root = tempfile::tempdir().unwrap();
        let look = |issued: &BootId| inspect(root.path(), ORDER, issued);

        assert_eq!(look(&here), Found::NotStarted);
        assert_eq!(look(&elsewhere), Found::Unknown(Doubt::OtherBoot));

        let directory = Directory::prepare(root.path(), ORDER, "one").unwrap();
        directory.write_inputs(b"{}", None).unwrap();
        assert_eq!(look(&here), Found::NotStarted);

        assert!(matches!(directory.claim().unwrap(), Claimed::Now));
        assert_eq!(look(&here), Found::Unknown(Doubt::NoExit));
        assert_eq!(look(&elsewhere), Found::Unknown(Doubt::OtherBoot));

        let end = ended(Outcome::Exited { code: 3 });
        directory.record(&end);
        assert_eq!(look(&here), Found::Ended(end.clone()));
        assert_eq!(look(&elsewhere), Found::Ended(end));

        fs::write(directory.path().join(EXIT), "{").unwrap();
        assert!(matches!(look(&here), Found::Unknown(Doubt::Record { .. })));
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
        ];
        for outcome in outcomes {
            let end = ended(outcome);
            directory.record_for_others(&end, Sync::Yes).unwrap();
            let found = inspect(root.path(), ORDER, &BootId::new("another"));
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
        let (root, precious) = (home.path().join("orders"), home.path().join("precious"));
        fs::create_dir(&precious).unwrap();
        fs::write(precious.join("data"), "x").unwrap();
        let directory = Directory::prepare(&root, ORDER, "one").unwrap();
        directory.write_inputs(b"{}", None).unwrap();
        fs::create_dir(directory.path().join("dropped")).unwrap();
        std::os::unix::fs::symlink(&precious, directory.path().join("dropped/link")).unwrap();
        forget(&root, ORDER).unwrap();
        assert!(!fs::exists(root.join(ORDER)).unwrap());
        forget(&root, ORDER).unwrap();

        std::os::unix::fs::symlink(&precious, root.join("link")).unwrap();
        forget(&root, "link").unwrap();
        assert!(!fs::exists(root.join("link")).unwrap());
        for outside in ["..", "../precious", "/", ""] {
            assert!(forget(&root, outside).is_err(), "{outside}");
        }
        assert!(fs::exists(precious.join("data")).unwrap());
    }
}
