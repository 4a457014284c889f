//! The socket in the storage directory, and who may speak through it.
//!
//! The engine makes it and hands it to the runner: so it is there before anybody could need it, and
//! nobody waits for a process to come up. It cannot be reached before it may be: it is bound under
//! another name, made private, made to listen, and only then gets its name.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::net::UnixStream;

use super::limits::{SOCKET_PATH_MAX, STRANGERS_MAX};

/// The name of the socket in the storage directory.
pub const NAME: &str = "runner.sock";

/// Makes the socket that takes the place of any earlier one.
pub(super) fn listen(storage: &Path) -> io::Result<OwnedFd> {
    let temporary = storage.join(format!(".{NAME}.{}", std::process::id()));
    // Left by an engine that had our number and was killed here.
    let _ = fs::remove_file(&temporary);
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    with_address(&temporary, |address| Ok(rustix::net::bind(&socket, address)?))?;
    // Nobody can connect before it listens.
    fs::set_permissions(&temporary, Permissions::from_mode(0o600))?;
    rustix::net::listen(&socket, i32::try_from(STRANGERS_MAX).unwrap_or(i32::MAX))?;
    fs::rename(&temporary, storage.join(NAME))?;
    Ok(socket)
}

/// Connects to whoever serves the socket. None: nobody does.
pub(super) fn connect(storage: &Path) -> io::Result<Option<UnixStream>> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    let path = storage.join(NAME);
    match with_address(&path, |address| Ok(rustix::net::connect(&socket, address)?)) {
        Ok(()) => {
            let stream = std::os::unix::net::UnixStream::from(socket);
            Ok(Some(UnixStream::from_std(stream)?))
        }
        Err(error) => match error.kind() {
            // A full backlog: whoever listens there answers nobody.
            io::ErrorKind::NotFound
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::WouldBlock => Ok(None),
            _ => Err(error),
        },
    }
}

/// Takes its name from a socket whose runner is of no use: it takes no more orders, not even those
/// that were said to it already.
pub(super) fn retire(storage: &Path) -> io::Result<()> {
    match fs::remove_file(storage.join(NAME)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Which file stands under the socket's name, to see whether another takes its place.
pub(super) fn identity(storage: &Path) -> Option<(u64, u64)> {
    let file = fs::symlink_metadata(storage.join(NAME)).ok()?;
    Some((file.dev(), file.ino()))
}

/// Whether the other end of a connection is this very user, or root. Whoever else can open the
/// socket, by rights that were changed or by a descriptor that was passed on, may not start
/// anything.
pub(super) fn is_trusted(connection: impl AsFd) -> io::Result<bool> {
    let peer = socket_peercred(connection)?;
    let own = rustix::process::geteuid();
    Ok(is_one_of_us(peer.uid.as_raw(), own.as_raw()))
}

fn is_one_of_us(peer: u32, own: u32) -> bool {
    peer == own || peer == 0
}

/// Uses the address of a path, however long the path is: one that does not fit is reached through
/// its directory, which this process holds open meanwhile.
fn with_address<T>(
    path: &Path,
    then: impl FnOnce(&SocketAddrUnix) -> io::Result<T>,
) -> io::Result<T> {
    let length = path.as_os_str().len();
    if length <= SOCKET_PATH_MAX {
        return then(&SocketAddrUnix::new(path)?);
    }
    let (directory, name) = path.parent().zip(path.file_name()).ok_or(io::ErrorKind::NotFound)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    let directory = File::options().read(true).custom_flags(flags).open(directory)?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd())).join(name);
    then(&SocketAddrUnix::new(&short)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_private_replaces_an_earlier_one_and_is_refused_when_nobody_serves_it() {
        let storage = tempfile::tempdir().unwrap();
        assert!(connect(storage.path()).unwrap().is_none(), "there is none");
        let first = listen(storage.path()).unwrap();
        let path = storage.path().join(NAME);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let before = identity(storage.path()).unwrap();
        let stream = connect(storage.path()).unwrap().unwrap();
        assert!(is_trusted(&stream).unwrap());
        let second = listen(storage.path()).unwrap();
        assert_ne!(identity(storage.path()).unwrap(), before);
        assert_eq!(fs::read_dir(storage.path()).unwrap().count(), 1, "no other name is left");
        drop((first, second));
        assert!(connect(storage.path()).unwrap().is_none(), "nobody serves it");
    }

    #[tokio::test]
    async fn a_path_that_fits_no_address_is_no_obstacle() {
        let root = tempfile::tempdir().unwrap();
        let storage = root.path().join("x".repeat(120));
        fs::create_dir(&storage).unwrap();
        let listener = listen(&storage).unwrap();
        assert!(storage.join(NAME).as_os_str().len() > SOCKET_PATH_MAX);
        assert!(connect(&storage).unwrap().is_some());
        drop(listener);
    }

    #[test]
    fn only_the_same_user_and_root_are_let_in() {
        for (peer, own, trusted) in
            [(1_000, 1_000, true), (0, 1_000, true), (1_001, 1_000, false), (65_534, 0, false)]
        {
            assert_eq!(is_one_of_us(peer, own), trusted, "{peer} to {own}");
        }
    }
}
