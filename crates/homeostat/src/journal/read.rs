//! The readers' end of the journal: committed facts only, beside the writer and never in its way.

use std::path::{Path, PathBuf};

use homeostat_core::name::{IncidentId, PolicyName};
use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction};

use super::search::find;
use super::sqlite::{JournalError, keep_plans, number};
use crate::incidents::{ALERTS, Filter, Open, Page, Story};

/// Reads what is committed.
#[derive(Debug)]
pub struct Reader {
    pub(super) path: PathBuf,
    pub(super) connection: Mutex<Connection>,
}

impl Reader {
    /// Opens the journal of a directory for reading. A writer must have made it.
    ///
    /// # Errors
    ///
    /// It cannot be opened.
    pub fn open(directory: &Path) -> Result<Self, JournalError> {
        let path = directory.join("homeostat.db");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let failed = |source| JournalError::of(&path, "opened", source);
        let connection = Connection::open_with_flags(&path, flags).map_err(failed)?;
        keep_plans(&connection).map_err(failed)?;
        Ok(Self { path, connection: Mutex::new(connection) })
    }

    /// Lists incidents.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    pub fn list(&self, filter: &Filter) -> Result<Page, JournalError> {
        let guard = self.connection.lock();
        let connection = self.at_one_moment(&guard)?;
        let mut ids = self.ids(&connection, filter)?;
        let next = (ids.len() > filter.limit).then(|| {
            ids.truncate(filter.limit);
            ids.last().copied().unwrap_or_default()
        });
        let incidents = ids
            .iter()
            .map(|&id| Ok((id, self.story(&connection, id, i64::MAX)?)))
            .collect::<Result<_, JournalError>>()?;
        Ok(Page { incidents, next })
    }

    /// Returns the story of one incident; `None` where there is none.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    pub fn incident(&self, id: IncidentId) -> Result<Option<Story>, JournalError> {
        let guard = self.connection.lock();
        let connection = self.at_one_moment(&guard)?;
        // What has no row is gone, or going batch by batch.
        let sql = "SELECT 1 FROM incidents WHERE id = ?1";
        let known = connection.query_row(sql, [number(id.0)], |_| Ok(())).optional();
        match known.map_err(|source| self.error(source))? {
            Some(()) => self.story(&connection, id, i64::MAX).map(Some),
            None => Ok(None),
        }
    }

    /// Gives the policy, the target and the state of each incident that is open.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    pub fn open_incidents(&self) -> Result<Vec<Open>, JournalError> {
        let connection = self.connection.lock();
        let failed = |source| self.error(source);
        let sql = "SELECT policy, target, state FROM incidents
                   WHERE state IN ('waiting', 'awaiting_approval', 'acting', 'verifying')
                   AND closed_at IS NULL";
        let mut statement = connection.prepare_cached(sql).map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        let mut open = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            let policy: String = row.get(0).map_err(failed)?;
            let target: String = row.get(1).map_err(failed)?;
            // What cannot be read is of no target that anybody is granted.
            let Ok(target) = serde_json::from_str(&target) else { continue };
            let (policy, state) = (PolicyName::new(policy), row.get(2).map_err(failed)?);
            open.push(Open { policy, target, state });
        }
        Ok(open)
    }

    /// Lets all that follows see one moment, whatever is written or let go meanwhile.
    pub(super) fn at_one_moment<'a>(
        &self,
        connection: &'a Connection,
    ) -> Result<Transaction<'a>, JournalError> {
        connection.unchecked_transaction().map_err(|source| self.error(source))
    }

    fn ids(
        &self,
        connection: &Connection,
        filter: &Filter,
    ) -> Result<Vec<IncidentId>, JournalError> {
        let ids = find(connection, filter).map_err(|source| self.error(source))?;
        Ok(ids.into_iter().map(|id| IncidentId(id.unsigned_abs())).collect())
    }

    /// The story of an incident before a fact.
    pub(super) fn story(
        &self,
        connection: &Connection,
        id: IncidentId,
        before: i64,
    ) -> Result<Story, JournalError> {
        let failed = |source| self.error(source);
        let count = "SELECT count(DISTINCT episode) FROM facts WHERE incident = ?1 AND seq < ?2";
        let count = connection
            .prepare_cached(count)
            .map_err(failed)?
            .query_row([number(id.0), before], |row| row.get::<_, i64>(0));
        let alerts = count.map_err(failed)?.unsigned_abs();
        let mut statement = connection
            .prepare_cached(
                "WITH shown (episode) AS
                   (SELECT * FROM (SELECT episode FROM facts
                      WHERE incident = ?1 AND episode IS NOT NULL AND seq < ?3
                      ORDER BY seq LIMIT 1)
                    UNION
                    SELECT * FROM (SELECT episode FROM facts
                      WHERE incident = ?1 AND episode IS NOT NULL AND seq < ?3
                      ORDER BY seq DESC LIMIT ?2 - 1))
                 SELECT seq, at, version, body FROM facts
                   WHERE incident = ?1 AND (episode IS NULL OR episode IN shown) AND seq < ?3
                 UNION
                 SELECT seq, at, version, body FROM facts
                   WHERE incident IS NULL AND episode IN shown AND seq < ?3
                 ORDER BY seq",
            )
            .map_err(failed)?;
        let most = i64::try_from(ALERTS).unwrap_or(i64::MAX);
        let mut rows = statement.query([number(id.0), most, before]).map_err(failed)?;
        let mut facts = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            facts.push(self.fact(row, row.get(0).map_err(failed)?)?);
        }
        Ok(Story { facts, left_out: alerts.saturating_sub(ALERTS as u64) })
    }

    pub(super) fn error(&self, source: rusqlite::Error) -> JournalError {
        JournalError::of(&self.path, "read", source)
    }
}
