//! One engine a directory.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use thiserror::Error;

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
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut pid = String::new();
            file.read_to_string(&mut pid).map_err(io)?;
            let pid = pid.trim().to_owned();
            return Err(LockError::InUse { path: directory.to_owned(), pid });
        }
        file.set_len(0).map_err(io)?;
        file.rewind().map_err(io)?;
        writeln!(file, "{}", std::process::id()).map_err(io)?;
        Ok(Self { _file: file })
    }
}
