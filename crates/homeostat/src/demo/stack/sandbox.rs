//! The directory that everything is started in, and the last look that nothing is left of it.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process;

use rustix::process::{Pid, Signal, kill_process};

use super::StackError;

/// A temporary directory with a name that occurs nowhere else. Every process that belongs to it
/// names it on its command line; what still runs when it is dropped is killed, by pid, and the
/// directory is removed.
#[derive(Debug)]
pub struct Sandbox {
    directory: tempfile::TempDir,
}

impl Sandbox {
    /// Makes the directory, readable by its owner only.
    pub fn new() -> Result<Self, StackError> {
        let made = tempfile::Builder::new().prefix("homeostat-").tempdir();
        let file = |source| StackError::File { path: std::env::temp_dir(), source };
        Ok(Self { directory: made.map_err(file)? })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a file into it and says where it is.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf, StackError> {
        write(self.path(), name, text)
    }

    /// The processes, other than this one, whose command line names the directory.
    ///
    /// Reads `/proc`; where there is none, nothing is found.
    pub fn leftovers(&self) -> Vec<u32> {
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|pid| *pid != process::id() && self.is_named_by(*pid)).collect()
    }

    fn is_named_by(&self, pid: u32) -> bool {
        let mine = self.path().as_os_str().as_bytes();
        fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| line.windows(mine.len()).any(|window| window == mine))
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        for pid in self.leftovers() {
            if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

pub(super) fn write(directory: &Path, name: &str, text: &str) -> Result<PathBuf, StackError> {
    let path = directory.join(name);
    match fs::write(&path, text) {
        Ok(()) => Ok(path),
        Err(source) => Err(StackError::File { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn whatever_names_the_directory_ends_with_it() {
        let sandbox = Sandbox::new().unwrap();
        let mut stray = Command::new("/bin/sh")
            .args(["-c", "read -r line", "stray"])
            .arg(sandbox.path())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        while sandbox.leftovers() != [stray.id()] {
            assert!(Instant::now() < deadline, "the stray was not found");
        }
        let path = sandbox.path().to_owned();
        drop(sandbox);
        assert!(!stray.wait().unwrap().success());
        assert!(!path.exists());
    }
}
