//! What was committed since, for those who keep up with it.

use homeostat_core::fact::Fact;
use homeostat_core::name::IncidentId;
use rusqlite::{Connection, Row, params};

use super::read::Reader;
use super::sqlite::{JournalError, read_fact};
use crate::incidents::{AllOpen, Numbered, Story};

impl Reader {
    /// Returns the number of the last fact; 0 where there is none.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    pub fn last(&self) -> Result<i64, JournalError> {
        self.last_of(&self.connection.lock())
    }

    /// Gives the facts after one, in order, at most so many.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    pub fn follow(&self, after: i64, most: usize) -> Result<Vec<Numbered>, JournalError> {
        let guard = self.connection.lock();
        let connection = self.at_one_moment(&guard)?;
        let failed = |source| self.error(source);
        let mut statement = connection
            .prepare_cached(
                "SELECT seq, at, version, body, incident, episode FROM facts
                 WHERE seq > ?1 ORDER BY seq LIMIT ?2",
            )
            .map_err(failed)?;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![after, most]).map_err(failed)?;
        let mut facts = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            facts.push(self.numbered(&connection, row)?);
        }
        Ok(facts)
    }

    /// Gives the numbers of all incidents that are open, and the stories of the newest ones.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    pub fn all_open(&self, most: usize) -> Result<AllOpen, JournalError> {
        let guard = self.connection.lock();
        let connection = self.at_one_moment(&guard)?;
        let failed = |source| self.error(source);
        let mut statement = connection
            .prepare_cached(
                "SELECT id FROM incidents
                 WHERE state IN ('waiting', 'awaiting_approval', 'acting', 'verifying')
                 AND closed_at IS NULL
                 ORDER BY id DESC",
            )
            .map_err(failed)?;
        let ids = statement.query_map([], |row| row.get::<_, i64>(0)).map_err(failed)?;
        let open = ids.map(|id| id.map(|id| IncidentId(id.unsigned_abs())));
        let open = open.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let newest = open.iter().take(most);
        let stories = newest.map(|&id| Ok((id, self.story(&connection, id, i64::MAX)?)));
        let stories = stories.collect::<Result<_, JournalError>>()?;
        Ok(AllOpen { last: self.last_of(&connection)?, open, stories })
    }

    /// Returns the story of an incident before the fact of this number; without a fact where it had not
    /// opened, or is gone.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    pub fn story_before(&self, id: IncidentId, before: i64) -> Result<Story, JournalError> {
        let guard = self.connection.lock();
        let connection = self.at_one_moment(&guard)?;
        self.story(&connection, id, before)
    }

    fn last_of(&self, connection: &Connection) -> Result<i64, JournalError> {
        let sql = "SELECT COALESCE(MAX(seq), 0) FROM facts";
        connection.query_row(sql, [], |row| row.get(0)).map_err(|source| self.error(source))
    }

    fn numbered(&self, connection: &Connection, row: &Row<'_>) -> Result<Numbered, JournalError> {
        let failed = |source| self.error(source);
        let number: i64 = row.get(0).map_err(failed)?;
        let fact = self.fact(row, number)?;
        let incident: Option<i64> = row.get(4).map_err(failed)?;
        let episode: Option<i64> = row.get(5).map_err(failed)?;
        let (of, before) = match (incident, episode) {
            (Some(incident), None) => (vec![incident], Vec::new()),
            (Some(incident), Some(episode)) => {
                (vec![incident], self.of_alert(connection, episode, number)?)
            }
            (None, Some(episode)) => {
                let sql = "SELECT DISTINCT incident FROM facts
                           WHERE episode = ?1 AND incident IS NOT NULL AND seq < ?2";
                let mut statement = connection.prepare_cached(sql).map_err(failed)?;
                let of =
                    statement.query_map([episode, number], |row| row.get(0)).map_err(failed)?;
                (of.collect::<Result<_, _>>().map_err(failed)?, Vec::new())
            }
            (None, None) => (Vec::new(), Vec::new()),
        };
        let of = of.into_iter().map(|id| IncidentId(id.unsigned_abs())).collect();
        Ok(Numbered { number, fact, of, before })
    }

    /// What was known of an alert before a fact, and is no incident's.
    fn of_alert(
        &self,
        connection: &Connection,
        episode: i64,
        before: i64,
    ) -> Result<Vec<Fact>, JournalError> {
        let failed = |source| self.error(source);
        let sql = "SELECT seq, at, version, body FROM facts
                   WHERE episode = ?1 AND incident IS NULL AND seq < ?2 ORDER BY seq";
        let mut statement = connection.prepare_cached(sql).map_err(failed)?;
        let mut rows = statement.query([episode, before]).map_err(failed)?;
        let mut facts = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            facts.push(self.fact(row, row.get(0).map_err(failed)?)?);
        }
        Ok(facts)
    }

    /// Reads a fact of a row that begins with its number, time, version and body.
    pub(super) fn fact(&self, row: &Row<'_>, number: i64) -> Result<Fact, JournalError> {
        read_fact(row.get(1), row.get(2), row.get_ref(3)).map_err(|reason| {
            JournalError::Unreadable { path: self.path.clone(), seq: number, reason }
        })
    }
}
