//! A socket of this machine, on which the kernel says who comes.
//!
//! Its file is made for its owner and group (mode 0660): who may open it may come in, under the name
//! that the user has here.

use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

/// Who somebody is whom the kernel does not tell: the user of whoever is not of our user namespace, as
/// with `PrivateUsers=` of systemd. Many have it, so it is nobody's name.
pub(super) const UNTOLD: u32 = 65_534;

/// Who may open the socket.
const MODE: u32 = 0o660;

/// A socket that is listened on. Its file goes with it.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    file: Option<(u64, u64)>,
}

impl Socket {
    /// Listens there. What an engine left that is gone is replaced; what is in use is not.
    ///
    /// # Errors
    ///
    /// It cannot be listened there.
    pub fn bind(path: &Path) -> io::Result<Self> {
        let std = match std::os::unix::net::UnixListener::bind(path) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_left(path) => {
                std::fs::remove_file(path)?;
                std::os::unix::net::UnixListener::bind(path)?
            }
            bound => bound?,
        };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(MODE))?;
        std.set_nonblocking(true)?;
        let listener = UnixListener::from_std(std)?;
        Ok(Self { listener, path: path.to_owned(), file: identity(path) })
    }

    /// Takes a connection, and says which user's it is.
    ///
    /// # Errors
    ///
    /// The kernel gives none, or does not say.
    pub(super) async fn accept(&self) -> io::Result<(UnixStream, u32)> {
        let (stream, _) = self.listener.accept().await?;
        let user = stream.peer_cred()?.uid();
        Ok((stream, user))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Not that of another engine which took its place.
        if self.file.is_some() && identity(&self.path) == self.file {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Whether a socket is there, and nobody listens on it.
fn is_left(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    is_socket && std::os::unix::net::UnixStream::connect(path).err().is_some_and(refused)
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let file = std::fs::symlink_metadata(path).ok()?;
    Some((file.dev(), file.ino()))
}

/// Returns the name of a user of this machine, or the number where `/etc/passwd` has no name for it.
pub(super) fn user_name(user: u32) -> String {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    name_in(&users, user).unwrap_or_else(|| user.to_string())
}

fn name_in(users: &str, user: u32) -> Option<String> {
    let number = user.to_string();
    let mut lines = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let entry = lines.find(|fields| fields.get(2) == Some(&number.as_str()))?;
    entry.first().filter(|name| !name.is_empty()).map(|name| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_a_name_or_a_number() {
        let users = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n";
        assert_eq!(name_in(users, 1000).as_deref(), Some("ann"));
        assert_eq!(name_in(users, 1), None);
        assert_eq!(user_name(0), "root");
        assert_eq!(user_name(4_000_000_000), "4000000000");
    }

    #[tokio::test]
    async fn what_is_left_is_replaced_and_what_is_in_use_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("homeostat.sock");
        let first = Socket::bind(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, MODE);
        assert_eq!(Socket::bind(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(first);
        assert!(!path.exists());
        // As one leaves it that was killed.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        drop(Socket::bind(&path).unwrap());
        std::fs::write(&path, "a file").unwrap();
        assert!(Socket::bind(&path).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a file");
    }
}
