//! One engine a directory.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use thiserror::Error;

/// How long what an engine was starting when it died may keep its lock: a child has all that is open
/// until it runs its program.
const LEFT: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Why a directory cannot be used.
#[derive(Debug, Error)]
pub enum LockError {
    /// Another engine uses it.
    #[error(
        "another engine (process {pid}) uses {}; stop it, or give another --storage.path",
        path.display()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The other engine's process, as it wrote it down.
        pid: String,
    },
    /// It cannot be made or written.
    #[error("cannot use {} as storage", path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Holds a directory for one engine, until it is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Makes the directory where it is missing, and takes it.
    ///
    /// # Errors
    ///
    /// Another engine has it, or it cannot be written.
    pub fn take(directory: &Path) -> Result<Self, LockError> {
        let io = |source| LockError::Io { path: directory.to_owned(), source };
        // Labels, annotations and the output of actions are nobody else's business.
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(io)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(directory.join("lock"))
            .map_err(io)?;
        let asked = Instant::now();
        while flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut pid = String::new();
            file.rewind().map_err(io)?;
            file.read_to_string(&mut pid).map_err(io)?;
            let pid = pid.trim().to_owned();
            let is_gone = !pid.is_empty() && !Path::new("/proc").join(&pid).exists();
            if !is_gone || asked.elapsed() >= LEFT {
                return Err(LockError::InUse { path: directory.to_owned(), pid });
            }
            sleep(LOOK_EVERY);
        }
        file.set_len(0).map_err(io)?;
        file.rewind().map_err(io)?;
        writeln!(file, "{}", std::process::id()).map_err(io)?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_child_of_an_engine_that_is_gone_is_waited_for_and_an_engine_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let held = DirectoryLock::take(directory.path()).unwrap();
        let in_use = DirectoryLock::take(directory.path()).unwrap_err();
        let own = std::process::id().to_string();
        assert!(matches!(in_use, LockError::InUse { pid, .. } if pid == own));
        let mut gone = Command::new("true").spawn().unwrap();
        gone.wait().unwrap();
        std::fs::write(directory.path().join("lock"), format!("{}\n", gone.id())).unwrap();
        let (taken, tells) = channel();
        let path = directory.path().to_owned();
        let taking = std::thread::spawn(move || taken.send(DirectoryLock::take(&path)).unwrap());
        let early = tells.recv_timeout(LOOK_EVERY * 10);
        assert!(early.is_err(), "{early:?} while the lock was held");
        drop(held);
        tells.recv().unwrap().unwrap();
        taking.join().unwrap();
    }
}
