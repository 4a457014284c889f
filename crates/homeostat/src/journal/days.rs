//! What became of the incidents of each day: a small table, so that a season is read in no time.
//!
//! A row says how many incidents of a policy closed on a day with an outcome, and of those that were healed
//! after about how long ([`Step`]). It is counted in the commit that closes an incident, and stays when the incident goes.

use std::collections::BTreeMap;

use homeostat_core::incident::End;
use homeostat_core::name::PolicyName;
use homeostat_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::read::Reader;
use super::sqlite::JournalError;
use crate::incidents::{Closings, Step};

const COUNT: &str = "INSERT INTO days (day, policy, outcome, step, incidents, alone)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6)
     ON CONFLICT DO UPDATE SET incidents = incidents + excluded.incidents, alone = alone + excluded.alone";

/// How and when an incident closed, and by which fact.
#[derive(Debug, Clone, Copy)]
pub(super) struct Closed {
    pub(super) outcome: End,
    pub(super) at: Timestamp,
    pub(super) seq: i64,
}

/// What a group of facts adds to the days.
#[derive(Debug, Default)]
pub(super) struct Days(BTreeMap<(i64, String, &'static str, u16), (u32, u32)>);

impl Days {
    /// Counts an incident that closes. When it opened, and of which policy it is, its row tells where
    /// nobody else does; one that has none is not counted.
    pub(super) fn add(
        &mut self,
        connection: &Connection,
        id: i64,
        opened: Option<(i64, &str)>,
        closed: Closed,
    ) -> rusqlite::Result<()> {
        let Closed { outcome, at, seq } = closed;
        let sql = "SELECT opened_at, policy FROM incidents WHERE id = ?1";
        let opened = match opened {
            Some((opened_at, policy)) => Some((opened_at, policy.to_owned())),
            None => connection
                .prepare_cached(sql)?
                .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?,
        };
        let Some((opened_at, policy)) = opened else { return Ok(()) };
        let alone = outcome == End::Healed && !was_told(connection, id, seq)?;
        let outcome = outcome.as_str();
        let step = step(outcome, opened_at, at.micros());
        let (incidents, all_alone) = self.0.entry((at.day(), policy, outcome, step)).or_default();
        *incidents += 1;
        *all_alone += u32::from(alone);
        Ok(())
    }

    /// Adds it.
    pub(super) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        for ((day, policy, outcome, step), (incidents, alone)) in &self.0 {
            let row = params![day, policy, outcome, step, incidents, alone];
            connection.prepare_cached(COUNT)?.execute(row)?;
        }
        Ok(())
    }
}

/// Whether a person was told of an incident, or asked about it, before a fact.
fn was_told(connection: &Connection, id: i64, before: i64) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM facts WHERE incident = ?1 AND seq < ?2
               AND kind IN ('notice_raised', 'approval_asked', 'incident_commanded')";
    connection.prepare_cached(sql)?.exists([id, before])
}

/// Counts all incidents that are there, of a journal that had no such table.
pub(super) fn adopt(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let mut closed = transaction.prepare(
        "SELECT id, policy, outcome, opened_at, closed_at FROM incidents
         WHERE closed_at IS NOT NULL AND outcome IS NOT NULL",
    )?;
    let mut rows = closed.query([])?;
    let mut count = transaction.prepare(COUNT)?;
    while let Some(row) = rows.next()? {
        let (id, policy, outcome): (i64, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let (opened_at, closed_at): (i64, i64) = (row.get(3)?, row.get(4)?);
        let alone = outcome == End::Healed.as_str() && !was_told(transaction, id, i64::MAX)?;
        let day = Timestamp::from_micros(closed_at).day();
        let step = step(&outcome, opened_at, closed_at);
        count.execute(params![day, policy, outcome, step, 1, alone])?;
    }
    Ok(())
}

/// How long a healing took. Of other ends nobody asks, so that they share one row.
fn step(outcome: &str, opened_at: i64, closed_at: i64) -> u16 {
    if outcome != End::Healed.as_str() {
        return 0;
    }
    let took = Timestamp::from_micros(closed_at).since(Timestamp::from_micros(opened_at));
    Step::of(took).0
}

impl Reader {
    /// Tells what became of the incidents that closed on these days, the last one not among them; by
    /// day, then by policy.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    pub fn days(&self, from: i64, until: i64) -> Result<Vec<Closings>, JournalError> {
        let connection = self.connection.lock();
        let failed = |source| self.error(source);
        let sql = "SELECT day, policy, outcome, step, incidents, alone FROM days
                   WHERE day >= ?1 AND day < ?2 ORDER BY day, policy";
        let mut statement = connection.prepare_cached(sql).map_err(failed)?;
        let rows = statement.query_map([from, until], |row| {
            Ok(Closings {
                day: row.get(0)?,
                policy: PolicyName::new(row.get::<_, String>(1)?),
                outcome: row.get(2)?,
                step: Step(row.get(3)?),
                incidents: row.get::<_, i64>(4)?.unsigned_abs(),
                alone: row.get::<_, i64>(5)?.unsigned_abs(),
            })
        });
        rows.map_err(failed)?.collect::<Result<_, _>>().map_err(failed)
    }
}
