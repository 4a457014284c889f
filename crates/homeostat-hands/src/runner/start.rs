//! How a runner comes to be: the engine starts its own program again, and that becomes a runner.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use tokio::process::{Child, Command};
use tracing::error;

use super::limits::LOG_MAX;
use super::{server, socket};
use crate::act;
use crate::inherited::not_inherited;

/// The name of the runner's log in the storage directory.
pub const LOG: &str = "runner.log";

/// The variable by which a process knows that it is to be a runner: its storage directory. No action
/// sees it, as no variable with this beginning is inherited.
const ASKED: &str = "HOMEOSTAT_RUNNER";

/// The program that becomes a runner: the one that runs, with these arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its own name, as lists of processes show it.
    pub name: OsString,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// The arguments with which it becomes a hand.
    pub hand: Vec<OsString>,
}

impl Program {
    /// The stock binary, which looks at nothing but the variable.
    pub fn stock() -> Self {
        Self { name: own_name(), arguments: vec!["runner".into()], hand: vec!["hand".into()] }
    }

    /// A program that embeds an engine. It gets the arguments that it was started with, so
    /// that it comes to the same place again.
    pub fn again() -> Self {
        let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
        Self { name: own_name(), hand: arguments.clone(), arguments }
    }

    /// The arguments with which it becomes a hand. One that is no text is handed on as far as it is one:
    /// a hand looks at nothing but its variable.
    pub fn as_hand(&self) -> Vec<String> {
        self.hand.iter().map(|argument| argument.to_string_lossy().into_owned()).collect()
    }
}

fn own_name() -> OsString {
    std::env::args_os().next().unwrap_or_else(|| "homeostat".into())
}

/// Starts a runner for a storage directory, with a socket that takes the place of any earlier one.
///
/// What is started is the file that this process runs, even when another was put in its place. It
/// is spawned without anything that would need a fork: the engine may be large.
pub(super) fn start(storage: &Path, program: &Program) -> io::Result<Child> {
    let listener = socket::listen(storage)?;
    let log = open_log(storage)?;
    let mut command = Command::new("/proc/self/exe");
    command.as_std_mut().args(&program.arguments);
    std::os::unix::process::CommandExt::arg0(command.as_std_mut(), &program.name);
    for name in not_inherited() {
        command.env_remove(name);
    }
    command
        .env(ASKED, storage)
        .stdin(Stdio::from(listener))
        .stdout(Stdio::from(log.try_clone()?))
        .stderr(Stdio::from(log))
        .spawn()
}

fn open_log(storage: &Path) -> io::Result<File> {
    let path = storage.join(LOG);
    let log = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    if log.metadata()?.len() > LOG_MAX {
        log.set_len(0)?;
    }
    Ok(log)
}

/// Whether this process was started to be a runner.
pub fn is_asked() -> bool {
    std::env::var_os(ASKED).is_some()
}

/// How a runner ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fine(bool);

impl Fine {
    /// Ends the process with what it came to.
    pub fn exit_process(self) -> ! {
        std::process::exit(i32::from(!self.0))
    }
}

impl From<bool> for Fine {
    fn from(fine: bool) -> Self {
        Self(fine)
    }
}

impl From<Fine> for ExitCode {
    fn from(fine: Fine) -> Self {
        if fine.0 { Self::SUCCESS } else { Self::FAILURE }
    }
}

/// Becomes a runner if this process was started to be one, and returns its exit code when it ends.
///
/// `begin_log` is called in a runner, before it says anything.
pub fn become_one_if_asked(begin_log: impl FnOnce()) -> Option<Fine> {
    let storage = PathBuf::from(std::env::var_os(ASKED)?);
    begin_log();
    // In a thread of its own, because the caller may be inside of a runtime.
    let thread = std::thread::Builder::new().name("runner".into());
    let ran = thread.spawn(move || {
        settle()
            .and_then(|listener| server::run(&storage, listener))
            .inspect_err(|error| error!(%error, "runner cannot run"))
            .is_ok()
    });
    let fine = ran.is_ok_and(|thread| thread.join().unwrap_or(false));
    Some(Fine(fine))
}

/// Leaves the engine's session, and lets go of what was inherited. Returns the socket.
fn settle() -> io::Result<OwnedFd> {
    keep_from_children();
    let stdin = io::stdin();
    let listener = rustix::io::fcntl_dupfd_cloexec(stdin.as_fd(), 3)?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    // It fails where this process leads its group already, as one that was started by hand.
    let _ = rustix::process::setsid();
    rustix::process::set_child_subreaper(rustix::process::Pid::from_raw(1))?;
    std::env::set_current_dir("/")?;
    Ok(listener)
}

/// Sees to it that no action inherits a descriptor that somebody left open in us.
fn keep_from_children() {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return };
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    for number in numbers.filter(|number: &i32| *number > 2).collect::<Vec<_>>() {
        act::close_on_exec(number);
    }
}

/// Empties the log when it is full: it is this process's standard error.
pub(super) fn bound_log() {
    if !is_asked() {
        // A test: its standard error is not ours.
        return;
    }
    let log = io::stderr();
    let length = rustix::fs::fstat(log.as_fd()).map_or(0, |file| file.st_size);
    if u64::try_from(length).is_ok_and(|length| length > LOG_MAX) {
        // Where it is no file, as when somebody started a runner by hand, nothing need be bounded.
        let _ = rustix::fs::ftruncate(log.as_fd(), 0);
    }
}
