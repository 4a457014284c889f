//! A secret that stands in a file, and is read again when the file changes: it is replaced without a
//! restart.
//!
//! A file that is missing or holds nothing usable for a moment, while it is replaced, leaves the last
//! secret in force. *Not* its duty: what a secret looks like, which is whose it is who reads it.

use std::error::Error;
use std::fmt;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;

/// How often the file is looked at, at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Bytes that such a file may have; a secret is far shorter.
const MOST_BYTES: u64 = 64 * 1024;

/// A secret that stands in a file.
pub struct SecretFile<T, E> {
    path: PathBuf,
    read: fn(&Path) -> Result<T, E>,
    known: Mutex<Known<T>>,
}

struct Known<T> {
    secret: T,
    version: Option<Version>,
    looked_at: Instant,
}

/// What changes when a file is written or replaced.
type Version = (Option<SystemTime>, u64, u64);

impl<T, E> fmt::Debug for SecretFile<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretFile").field("path", &self.path).finish_non_exhaustive()
    }
}

impl<T: Clone, E: Error + 'static> SecretFile<T, E> {
    /// Reads the secret from a file, for the first time and whenever it has changed.
    ///
    /// # Errors
    ///
    /// What reading it says.
    pub fn open(path: &Path, read: fn(&Path) -> Result<T, E>) -> Result<Self, E> {
        // The version first: what changes while it is read is read once more.
        let version = version(path);
        let known = Known { secret: read(path)?, version, looked_at: Instant::now() };
        Ok(Self { path: path.to_owned(), read, known: Mutex::new(known) })
    }

    /// Returns the secret as the file has it.
    pub fn current(&self) -> T {
        let mut known = self.known.lock();
        if known.looked_at.elapsed() >= LOOK_EVERY {
            known.looked_at = Instant::now();
            self.look_again(&mut known);
        }
        known.secret.clone()
    }

    /// Looks at the file when it is asked for the next time.
    #[cfg(test)]
    pub(crate) fn look_next_time(&self) {
        self.known.lock().looked_at -= LOOK_EVERY;
    }

    fn look_again(&self, known: &mut Known<T>) {
        let version = version(&self.path);
        if version.is_none() || version == known.version {
            return;
        }
        let path = self.path.display();
        match (self.read)(&self.path) {
            Ok(secret) => {
                known.secret = secret;
                tracing::info!(%path, "a secret was read again");
            }
            Err(error) => tracing::warn!(
                %path,
                error = &error as &dyn Error,
                "a secret cannot be read again; the last one stays in force"
            ),
        }
        known.version = version;
    }
}

fn version(path: &Path) -> Option<Version> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok(), metadata.len(), metadata.ino()))
}

/// Reads what a file holds, of a bounded length.
///
/// # Errors
///
/// It cannot be read.
pub fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MOST_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}
