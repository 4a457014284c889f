//! One child process: started with a log, watched, and ended by its pid.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use reqwest::Client;
pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process, kill_process_group};

use super::StackError;

/// How long a child may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(5);

/// How often a child that should be ready, or should have ended, is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// How many lines of a log an error shows.
const LOG_TAIL_LINES: usize = 12;

/// A child process in a process group of its own, so that a Ctrl-C in the terminal reaches only the
/// parent, which then ends its children in order. Its output goes to `NAME.log`. Its standard input
/// is a pipe that closes when the parent is gone, however it went: a child that wants to end with
/// its parent reads it. Dropping it asks it to end, and kills it when it does not; a panic that
/// drops it is told the end of its log.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a child whose log lies in `directory`.
    pub fn spawn(name: &str, command: &mut Command, directory: &Path) -> Result<Self, StackError> {
        let log = directory.join(format!("{name}.log"));
        let open = || File::options().create(true).append(true).open(&log);
        let file = |source| StackError::File { path: log.clone(), source };
        let child = command
            .stdin(Stdio::piped())
            .stdout(open().map_err(file)?)
            .stderr(open().map_err(file)?)
            .process_group(0)
            .spawn()
            .map_err(|source| StackError::Spawn { name: name.to_owned(), source })?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    /// The name that it was started under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The last lines that it wrote.
    pub fn log_tail(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
    }

    /// How it ended, if it has.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Says an error if it has ended: for those who rely on it.
    pub fn must_run(&mut self) -> Result<(), StackError> {
        match self.exit_status() {
            None => Ok(()),
            Some(status) => {
                Err(StackError::Ended { name: self.name.clone(), status, log: self.log_tail() })
            }
        }
    }

    /// Sends a signal to this process alone: `KILL` for a crash, `STOP` and `CONT` for a hang.
    pub fn signal(&mut self, signal: Signal) -> io::Result<()> {
        match self.exit_status() {
            None => Ok(kill_process(Pid::from_child(&self.child), signal)?),
            Some(_) => Ok(()),
        }
    }

    /// Waits until a GET of `url` answers with a success.
    ///
    /// # Errors
    ///
    /// With the end of the log, when it ended or did not answer in time.
    pub async fn ready(
        &mut self,
        client: &Client,
        url: &str,
        within: Duration,
    ) -> Result<(), StackError> {
        let began = Instant::now();
        loop {
            self.must_run()?;
            if client.get(url).send().await.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            if began.elapsed() > within {
                let (name, log) = (self.name.clone(), self.log_tail());
                return Err(StackError::NotReady { name, waited: within, log });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Asks it and its process group to end, waits, and kills what did not.
    pub fn end(&mut self) {
        // The group is signalled only while its leader is not yet reaped: until then nobody else
        // can have been given the same number.
        if self.exit_status().is_some() {
            return;
        }
        let group = Pid::from_child(&self.child);
        let _ = kill_process_group(group, Signal::TERM);
        let _ = kill_process_group(group, Signal::CONT);
        let asked = Instant::now();
        while asked.elapsed() < GRACE {
            if self.exit_status().is_some() {
                return;
            }
            thread::sleep(LOOK_EVERY);
        }
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the end of the log of {}:\n{}", self.name, self.log_tail());
        }
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, directory: &Path) -> Process {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(script);
        Process::spawn("shell", &mut command, directory).unwrap()
    }

    #[test]
    fn a_dropped_process_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let process = shell("sleep 600", directory.path());
        let pid = process.pid();
        assert!(Path::new(&format!("/proc/{pid}")).exists());
        drop(process);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn one_that_hangs_is_ended_too() {
        let directory = tempfile::tempdir().unwrap();
        let mut process = shell("sleep 600", directory.path());
        process.signal(Signal::STOP).unwrap();
        process.end();
        assert!(process.exit_status().is_some());
    }

    #[tokio::test]
    async fn one_that_ends_early_shows_its_last_words() {
        let directory = tempfile::tempdir().unwrap();
        let mut process = shell("echo no such disk >&2; exit 3", directory.path());
        let nowhere = "http://127.0.0.1:9/";
        let error = process.ready(&super::super::client(), nowhere, GRACE).await.unwrap_err();
        let told = error.to_string();
        assert!(told.contains("exit status: 3") && told.contains("no such disk"), "{told}");
    }
}
