//! Letting go of what is old, in batches that take a few milliseconds each.
//!
//! A sweep walks through the facts, the oldest first. A fact goes when all of the following hold:
//!
//! - it is older than the retention, and every kept snapshot covers it;
//! - the same is true of the last fact of its incident, and of its episode and of all incidents
//!   that the episode has part in: an incident's story stays whole or goes whole;
//! - the state knows neither: nothing is open, latched, or owed to a person.
//!
//! A fact that goes leaves its hash in the chain (`fold`).
//!
//! What the state itself needs of the past (cooldowns, relapses, rates, locks, notices) lies in the
//! snapshots and not in these facts, so that no retention is too short for it.

use std::collections::BTreeMap;

use homeostat_core::name::{BootId, EpisodeId, IncidentId};
use homeostat_core::notice::Topic;
use homeostat_core::state::State;
use homeostat_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::fold;
use super::index;
use super::sqlite::{CommitError, Journal, JournalError};

/// Facts that one batch looks at, and lets go at most.
const BATCH: u32 = 256;

/// Facts that may go together.
#[derive(Debug, Default)]
pub struct Batch {
    /// What was over before then may go.
    until: i64,
    facts: Vec<i64>,
    incidents: Vec<i64>,
    /// The orders that were issued in these facts, by their ids and in which life of an engine: their
    /// directories go first.
    pub orders: Vec<(String, BootId)>,
    /// Where the sweep goes on; `None` at its end.
    pub next: Option<i64>,
}

impl Batch {
    /// Returns how many facts go.
    pub fn len(&self) -> usize {
        self.facts.len()
    }

    /// Tells whether nothing goes.
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty()
    }
}

/// One fact as a sweep sees it.
struct Row {
    seq: i64,
    at: i64,
    incident: Option<i64>,
    episode: Option<i64>,
    opens: bool,
    order: Option<(String, BootId)>,
}

impl Journal {
    /// Looks for facts that may go, after the fact `after`. `state` is the fold of all facts.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    pub fn expired(
        &self,
        after: i64,
        cutoff: Timestamp,
        state: &State,
    ) -> Result<Batch, JournalError> {
        self.look(after, cutoff, state).map_err(|source| self.error("read", source))
    }

    fn look(&self, after: i64, cutoff: Timestamp, state: &State) -> rusqlite::Result<Batch> {
        let connection = self.connection();
        let sql = "SELECT MIN(seq) FROM snapshots";
        let covered: Option<i64> = connection.query_row(sql, [], |row| row.get(0))?;
        let Some(covered) = covered else { return Ok(Batch::default()) };
        let mut judge = Judge {
            connection,
            state,
            cutoff: cutoff.micros(),
            covered,
            incidents: BTreeMap::new(),
        };
        let rows = judge.rows(after)?;
        let mut batch = Batch { until: judge.cutoff, ..Batch::default() };
        for row in &rows {
            if judge.lets_go(row)? {
                batch.facts.push(row.seq);
                batch.orders.extend(row.order.clone());
                batch.incidents.extend(row.incident.filter(|_| row.opens));
            }
        }
        // Facts are in order of time, but for what a clock that was set leaves: a whole batch of
        // facts that are too young is the end.
        let is_full = u32::try_from(rows.len()) == Ok(BATCH);
        let goes_on = is_full && rows.iter().any(|row| row.at < judge.cutoff);
        batch.next = rows.last().filter(|_| goes_on).map(|row| row.seq);
        Ok(batch)
    }

    /// Lets a batch go.
    ///
    /// # Errors
    ///
    /// Nothing was let go, or nobody knows.
    pub fn let_go(&mut self, batch: &Batch) -> Result<(), CommitError> {
        let head = self.head();
        let head = self.transact(|transaction| {
            let mut rows = transaction.prepare_cached("DELETE FROM incidents WHERE id = ?1")?;
            for id in &batch.incidents {
                rows.execute([id])?;
                index::forget(transaction, *id)?;
            }
            fold::let_go(transaction, head, &batch.facts, batch.until)
        })?;
        self.set_head(head);
        Ok(())
    }

    /// Folds links after this one of which nothing is there any more. Returns where to go on; `None` at
    /// the end.
    ///
    /// # Errors
    ///
    /// Nothing was folded, or nobody knows.
    pub fn fold(&mut self, after: i64) -> Result<Option<i64>, CommitError> {
        let head = self.head();
        let (head, next) = self.transact(|transaction| fold::fold(transaction, head, after))?;
        self.set_head(head);
        Ok(next)
    }
}

/// Tells what may go.
struct Judge<'a> {
    connection: &'a Connection,
    state: &'a State,
    cutoff: i64,
    /// Facts before this one are in every snapshot. The fact itself stays, so that the next one
    /// gets a larger number.
    covered: i64,
    incidents: BTreeMap<i64, bool>,
}

impl Judge<'_> {
    fn rows(&self, after: i64) -> rusqlite::Result<Vec<Row>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT seq, at, incident, episode, kind = 'incident_opened',
                    CASE kind WHEN 'order_issued' THEN json_extract(body, '$.order.id') END,
                    CASE kind WHEN 'order_issued' THEN json_extract(body, '$.order.boot') END
             FROM facts WHERE seq > ?1 AND seq < ?2 ORDER BY seq LIMIT ?3",
        )?;
        let rows = statement.query_map(params![after, self.covered, BATCH], |row| {
            Ok(Row {
                seq: row.get(0)?,
                at: row.get(1)?,
                incident: row.get(2)?,
                episode: row.get(3)?,
                opens: row.get(4)?,
                order: row
                    .get::<_, Option<String>>(5)?
                    .zip(row.get::<_, Option<String>>(6)?)
                    .map(|(id, boot)| (id, BootId::new(boot))),
            })
        })?;
        rows.collect()
    }

    fn lets_go(&mut self, row: &Row) -> rusqlite::Result<bool> {
        match (row.incident, row.episode) {
            (Some(incident), _) => self.lets_incident_go(incident),
            (None, Some(episode)) => self.lets_episode_go(episode),
            (None, None) => Ok(row.at < self.cutoff),
        }
    }

    fn lets_incident_go(&mut self, id: i64) -> rusqlite::Result<bool> {
        if let Some(known) = self.incidents.get(&id) {
            return Ok(*known);
        }
        let incident = IncidentId(id.unsigned_abs());
        let topics = [Topic::Escalation { incident }, Topic::Approval { incident }];
        let owed = topics.iter().any(|topic| self.state.notice(topic).is_some());
        let needed = owed || self.state.incident(incident).is_some();
        let sql = "SELECT seq, at FROM facts WHERE incident = ?1 ORDER BY seq DESC LIMIT 1";
        let goes = !needed && self.is_over(sql, id)?;
        self.incidents.insert(id, goes);
        Ok(goes)
    }

    fn lets_episode_go(&mut self, id: i64) -> rusqlite::Result<bool> {
        let needed = self.state.episode(EpisodeId(id.unsigned_abs())).is_some();
        let sql = "SELECT seq, at FROM facts WHERE episode = ?1 ORDER BY seq DESC LIMIT 1";
        if needed || !self.is_over(sql, id)? {
            return Ok(false);
        }
        let mut statement = self.connection.prepare_cached(
            "SELECT DISTINCT incident FROM facts WHERE episode = ?1 AND incident IS NOT NULL",
        )?;
        let incidents = statement.query_map([id], |row| row.get(0))?;
        for incident in incidents {
            if !self.lets_incident_go(incident?)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the last fact of something is old and in every snapshot.
    fn is_over(&self, last_fact: &str, id: i64) -> rusqlite::Result<bool> {
        let mut statement = self.connection.prepare_cached(last_fact)?;
        let last: Option<(i64, i64)> =
            statement.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        Ok(last.is_none_or(|(seq, at)| seq < self.covered && at < self.cutoff))
    }
}
