//! The journal in SQLite: WAL, `synchronous=FULL`, one writer.

use std::path::{Path, PathBuf};

use homeostat_core::fact::{Fact, VERSION, What};
use homeostat_core::time::Timestamp;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, Transaction, ffi, params};
use thiserror::Error;

use super::chain::{self, Hash, Head, Kind, Link, StoredFact};
use super::project::Projection;
use super::{encode, mover, schema};
use homeostat_hands::failpoint;

/// Why the journal cannot be read or written.
#[derive(Debug, Error)]
pub enum JournalError {
    /// SQLite says so.
    #[error("the journal {} cannot be {doing}", path.display())]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// What was attempted: `opened`, `read`, `written`.
        doing: &'static str,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// What lies on the disk is not what was written.
    #[error(
        "the journal {} is damaged: keep a copy of its directory and restore a backup \
         (docs/how-to/upgrade-and-backup.md says how)",
        path.display()
    )]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What SQLite found.
        #[source]
        source: rusqlite::Error,
    },
    /// A newer program has written it.
    #[error(
        "the journal {} has version {found} and this program knows version {}: \
         a newer homeostat wrote it",
        path.display(),
        schema::VERSION
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i64,
    },
    /// It was written before there was a chain.
    #[error(
        "the journal {} was written before there was a chain: the next start of an engine begins one",
        path.display()
    )]
    Unchained {
        /// The database.
        path: PathBuf,
    },
    /// Facts are gone, and the snapshot that covered them cannot be read.
    #[error(
        "fact {seq} of the journal {} is gone, and no snapshot that covers it can be read: \
         restore {} from a backup",
        path.display(),
        path.display()
    )]
    Gone {
        /// The database.
        path: PathBuf,
        /// The first fact that is missing.
        seq: i64,
    },
    /// A fact cannot be read.
    #[error("fact {seq} of the journal {} cannot be read: {reason}", path.display())]
    Unreadable {
        /// The database.
        path: PathBuf,
        /// Which fact.
        seq: i64,
        /// Why.
        reason: String,
    },
}

impl JournalError {
    /// What SQLite says of the database at `path` while it was `doing`.
    pub(super) fn of(path: &Path, doing: &'static str, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged { path, source }
            }
            _ => Self::Sqlite { path, doing, source },
        }
    }
}

/// Why a group was not committed.
#[derive(Debug, Error)]
pub enum CommitError {
    /// Nothing of it was written.
    #[error("nothing was written")]
    NotWritten(#[source] JournalError),
    /// Nobody knows whether it was written: stop, and recover from what is on the disk.
    #[error("it is uncertain whether the facts were written")]
    Uncertain(#[source] JournalError),
}

/// The writer's end of the journal.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    connection: Connection,
    /// The number of the last fact.
    last: i64,
    /// The last link of the chain.
    head: Head,
}

impl Journal {
    /// Opens the journal in a directory, making it where it is missing.
    ///
    /// # Errors
    ///
    /// It cannot be opened, or a newer program has written it.
    pub fn open(directory: &Path) -> Result<Self, JournalError> {
        let path = directory.join("homeostat.db");
        let failed = |source| JournalError::of(&path, "opened", source);
        let mut connection = Connection::open(&path).map_err(failed)?;
        keep_plans(&connection).map_err(failed)?;
        connection
            .execute_batch(&format!(
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=1000;
                 PRAGMA wal_autocheckpoint={}; PRAGMA temp_store=MEMORY;",
                mover::LOG
            ))
            .map_err(failed)?;
        if let Err(found) = schema::settle(&mut connection).map_err(failed)? {
            return Err(JournalError::Newer { path, found });
        }
        let sql = "SELECT COALESCE(MAX(seq), 0) FROM facts";
        let last = connection.query_row(sql, [], |row| row.get(0)).map_err(failed)?;
        let head = chain::head(&connection).map_err(failed)?;
        Ok(Self { path, connection, last, head })
    }

    /// Returns the last link of the chain.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Takes note of the last link of the chain, once it is committed.
    pub(super) fn set_head(&mut self, head: Head) {
        self.head = head;
    }

    /// Returns the number of the last fact; 0 where there is none.
    pub fn last(&self) -> i64 {
        self.last
    }

    /// Returns the number of this start of the engine, which is greater than that of every earlier
    /// start that did anything: each begins with a fact, and it is the number of the next one, also
    /// where the last ones were let go.
    ///
    /// # Errors
    ///
    /// The database cannot be read.
    pub fn fence(&self) -> Result<u64, JournalError> {
        let sql = "SELECT COALESCE(MAX(seq), 0) FROM snapshots";
        let covered: i64 = self
            .connection
            .query_row(sql, [], |row| row.get(0))
            .map_err(|source| self.error("read", source))?;
        Ok(u64::try_from(covered.max(self.last)).unwrap_or(0) + 1)
    }

    /// Reads all facts that are there, in order.
    ///
    /// # Errors
    ///
    /// The database cannot be read, or a fact is not understood.
    pub fn replay(&self, mut each: impl FnMut(&Fact)) -> Result<(), JournalError> {
        self.each_after(0, |_, fact| {
            each(fact);
            Ok(())
        })
    }

    /// Reads the facts after one, each with its number.
    pub(super) fn each_after(
        &self,
        after: i64,
        mut each: impl FnMut(i64, &Fact) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        let failed = |source| self.error("read", source);
        let mut statement = self
            .connection
            .prepare("SELECT seq, at, version, body FROM facts WHERE seq > ?1 ORDER BY seq")
            .map_err(failed)?;
        let mut rows = statement.query([after]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let seq: i64 = row.get(0).map_err(failed)?;
            let fact = read_fact(row.get(1), row.get(2), row.get_ref(3)).map_err(|reason| {
                JournalError::Unreadable { path: self.path.clone(), seq, reason }
            })?;
            each(seq, &fact)?;
        }
        Ok(())
    }

    /// Writes a group of facts durably, all or none.
    ///
    /// # Errors
    ///
    /// Nothing was written, or nobody knows.
    pub fn commit(&mut self, facts: &[Fact]) -> Result<(), CommitError> {
        if facts.is_empty() {
            return Ok(());
        }
        let (before, head) = (self.last, self.head);
        (self.last, self.head) = self.transact(|transaction| {
            let mut content = Vec::with_capacity(facts.len() * size_of::<Hash>());
            let mut projection = Projection::default();
            let mut insert = transaction.prepare_cached(INSERT)?;
            let mut last = before;
            encode::each(facts, before + 1, |stored, hash| {
                let StoredFact { seq, at, version, kind, incident, episode, body } = stored;
                insert.execute(params![seq, at, version, kind, incident, episode, body])?;
                last = seq;
                content.extend(hash);
                Ok(())
            })?;
            for (seq, fact) in (before + 1..).zip(facts) {
                projection.take(seq, fact);
            }
            projection.write(transaction)?;
            projection.count(transaction)?;
            let link = Link { kind: Kind::Facts, first: before + 1, last, content: &content };
            let head = chain::append(transaction, head, &link, None)?;
            if failpoint::fails("journal.written") { Err(failure()) } else { Ok((last, head)) }
        })?;
        if failpoint::fails("journal.synced") {
            return Err(CommitError::Uncertain(self.error("written", failure())));
        }
        Ok(())
    }

    /// Writes something durably, all or none.
    pub(super) fn transact<T>(
        &mut self,
        write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, CommitError> {
        let path = self.path.clone();
        let failed = |source| JournalError::of(&path, "written", source);
        let not_written = |error| CommitError::NotWritten(failed(error));
        let transaction = self.connection.transaction().map_err(not_written)?;
        let written = write(&transaction).map_err(not_written)?;
        transaction.commit().map_err(|error| {
            if is_certainly_not_written(&error) {
                CommitError::NotWritten(failed(error))
            } else {
                CommitError::Uncertain(failed(error))
            }
        })?;
        Ok(written)
    }

    /// Tries whether the journal can be written, without leaving a trace.
    ///
    /// # Errors
    ///
    /// It cannot.
    pub fn probe(&mut self) -> Result<(), JournalError> {
        let path = self.path.clone();
        let failed = |source| JournalError::of(&path, "written", source);
        let transaction = self.connection.transaction().map_err(failed)?;
        // The index makes this write pages, so that a full disk shows.
        transaction
            .execute("CREATE TABLE probe AS SELECT hex(zeroblob(65536)) AS filler", [])
            .map_err(failed)?;
        transaction.execute("DROP TABLE probe", []).map_err(failed)?;
        transaction.commit().map_err(failed)
    }

    /// Lets the database have no more pages than this, as a full disk would.
    #[cfg(test)]
    pub(crate) fn bound_pages(&self, pages: u32) -> rusqlite::Result<()> {
        self.connection.query_row(&format!("PRAGMA max_page_count={pages}"), [], |_| Ok(()))
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn error(&self, doing: &'static str, source: rusqlite::Error) -> JournalError {
        JournalError::of(&self.path, doing, source)
    }
}

/// Keeps a statement as it was prepared. Else SQLite prepares some anew when another value is bound, by
/// which it could choose another way.
pub(super) fn keep_plans(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

/// What a disk says that fails, for failpoints.
fn failure() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_IOERR), None)
}

/// Errors after which SQLite has rolled back, or had not yet begun to write the commit.
///
/// A quota or a limit of the process is no full disk to SQLite but a write that failed. A commit is
/// in the log only when the last frame of it is whole there, and the next commit is written over
/// what there is of this one, so that a failed write is a commit that was not made. A failed sync
/// is another matter: what was written before may be lost, too.
fn is_certainly_not_written(error: &rusqlite::Error) -> bool {
    let is_failed_write = error.sqlite_error().is_some_and(|error| {
        matches!(error.extended_code, ffi::SQLITE_IOERR_WRITE | ffi::SQLITE_IOERR_SHMSIZE)
    });
    is_failed_write
        || matches!(
            error.sqlite_error_code(),
            Some(
                ErrorCode::DiskFull
                    | ErrorCode::DatabaseBusy
                    | ErrorCode::DatabaseLocked
                    | ErrorCode::ReadOnly
                    | ErrorCode::OutOfMemory
            )
        )
}

/// Reads one row. Facts of other versions than the present one will be translated here.
pub(super) fn read_fact(
    at: rusqlite::Result<i64>,
    version: rusqlite::Result<u32>,
    body: rusqlite::Result<rusqlite::types::ValueRef<'_>>,
) -> Result<Fact, String> {
    let text = |error: rusqlite::Error| error.to_string();
    let version = version.map_err(text)?;
    if version != VERSION {
        return Err(format!("it has version {version}, and this program knows {VERSION}"));
    }
    let body = body.map_err(text)?;
    let body = body.as_str().map_err(|error| error.to_string())?;
    let what: What = serde_json::from_str(body).map_err(|error| error.to_string())?;
    Ok(Fact { at: Timestamp::from_micros(at.map_err(text)?), what })
}

/// Writes one fact.
const INSERT: &str = "INSERT INTO facts (seq, at, version, kind, incident, episode, body)
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

/// Numbers count from 1 and stay far below SQLite's largest.
pub(super) fn number(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(i64::MAX)
}
