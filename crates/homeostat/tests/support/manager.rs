//! A service manager's end of `sd_notify`, as systemd makes it.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use homeostat::demo::stack::Sandbox;

use super::PATIENCE;

/// What an engine says by which only its manager sees that it is alive.
pub(crate) const ALIVE: &str = "WATCHDOG=1\n";

/// The manager's end.
pub(crate) struct Manager {
    socket: UnixDatagram,
}

impl Manager {
    /// Listens, and says how an engine is started that reports to it.
    pub(crate) fn new(sandbox: &Sandbox, watchdog: Duration) -> (Self, String) {
        let path = sandbox.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let before = format!(
            "export NOTIFY_SOCKET={} WATCHDOG_USEC={} WATCHDOG_PID=$$;",
            path.display(),
            watchdog.as_micros()
        );
        (Self { socket }, before)
    }

    /// The next message within this time.
    pub(crate) fn hears_within(&self, time: Duration) -> Option<String> {
        let mut buffer = [0; 4096];
        self.socket.set_read_timeout(Some(time)).unwrap();
        match self.socket.recv(&mut buffer) {
            Ok(length) => Some(String::from_utf8(buffer[..length].to_vec()).unwrap()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// The next message.
    pub(crate) fn hears(&self) -> String {
        self.hears_within(PATIENCE).expect("a word in time")
    }

    /// The next message that is not only a sign of life.
    pub(crate) fn hears_news(&self) -> String {
        loop {
            let message = self.hears();
            if message != ALIVE {
                return message;
            }
        }
    }
}
