//! Moves what the log holds into the database, beside whoever writes.
//!
//! SQLite by itself does it in the middle of a commit, which then waits for all of it. A checkpoint that
//! waits for nobody (`PASSIVE`) takes no lock that a commit needs, so that it may take as long as the
//! disk likes. While commits follow each other without a pause it cannot come to the log's end, and only
//! then the log begins anew: so SQLite does the rest, which is little, once the log has [`LOG`] pages.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use rusqlite::{Connection, OpenFlags};
use tracing::warn;

use super::sqlite::JournalError;

/// Pages of the log after which SQLite moves what is left of it, within a commit: 64 MiB.
pub(super) const LOG: u32 = 16_000;

/// Who moves.
#[derive(Debug)]
pub struct Mover {
    path: PathBuf,
    /// It begins when there is something to move.
    thread: Option<Thread>,
}

#[derive(Debug)]
struct Thread {
    wake: SyncSender<()>,
    ended: JoinHandle<()>,
}

impl Mover {
    /// Moves the log of the journal in a directory.
    pub fn new(directory: &Path) -> Self {
        Self { path: directory.join("homeostat.db"), thread: None }
    }

    /// Lets it move what there is; returns at once. Where that fails, the log holds it still.
    pub fn wake(&mut self) {
        if self.thread.is_none() {
            self.thread = start(self.path.clone())
                .inspect_err(|error| warn!(%error, "journal's log is moved within commits"))
                .ok();
        }
        if let Some(thread) = &self.thread {
            // One that is full has been told.
            let _ = thread.wake.try_send(());
        }
    }
}

impl Drop for Mover {
    fn drop(&mut self) {
        if let Some(Thread { wake, ended }) = self.thread.take() {
            drop(wake);
            // What it died of has its own line in the log.
            let _ = ended.join();
        }
    }
}

fn start(path: PathBuf) -> std::io::Result<Thread> {
    let (wake, woken) = sync_channel(1);
    let thread = thread::Builder::new().name("mover".to_owned());
    Ok(Thread { wake, ended: thread.spawn(move || work(&path, &woken))? })
}

fn work(path: &Path, woken: &Receiver<()>) {
    let mut connection = None;
    while let Ok(()) = woken.recv() {
        if let Err(error) = move_log(path, &mut connection) {
            let error = JournalError::of(path, "written", error);
            warn!(%error, "journal's log was not moved; it is tried again");
        }
    }
}

fn move_log(path: &Path, connection: &mut Option<Connection>) -> rusqlite::Result<()> {
    let connection = if let Some(connection) = connection {
        connection
    } else {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        connection.insert(Connection::open_with_flags(path, flags)?)
    };
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}
