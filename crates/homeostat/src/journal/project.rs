//! The list of incidents: a row each, kept true by the facts of each group.
//!
//! What a group changes is gathered and written once: of an incident that opens and closes within it one
//! row is written, and what closes is counted together.

use std::collections::BTreeMap;

use homeostat_core::command::Command;
use homeostat_core::fact::{Fact, What};
use homeostat_core::name::{IncidentId, PolicyName};
use homeostat_core::policy::Target;
use homeostat_core::time::Timestamp;
use rusqlite::{Transaction, params};

use super::days::{Closed, Days};
use super::sqlite::number;

/// What a group of facts changes in the list.
#[derive(Debug, Default)]
pub(super) struct Projection<'a> {
    changes: BTreeMap<IncidentId, Change<'a>>,
    closings: Vec<(IncidentId, Closed)>,
}

/// What it changes in one row.
#[derive(Debug, Default)]
struct Change<'a> {
    opened: Option<Opened<'a>>,
    state: Option<&'static str>,
    closed: Option<Closed>,
}

#[derive(Debug)]
struct Opened<'a> {
    policy: &'a PolicyName,
    target: &'a Target,
    at: Timestamp,
}

impl<'a> Projection<'a> {
    /// Takes the next fact in, by its number.
    pub(super) fn take(&mut self, seq: i64, fact: &'a Fact) {
        let Some(incident) = fact.what.incident() else { return };
        let Some(state) = state_after(&fact.what) else { return };
        let change = self.changes.entry(incident).or_default();
        change.state = Some(state);
        match &fact.what {
            What::IncidentOpened { policy, target, .. } => {
                change.opened = Some(Opened { policy, target, at: fact.at });
            }
            What::IncidentClosed { closing, .. } => {
                let closed = Closed { outcome: closing.outcome, at: fact.at, seq };
                change.closed = Some(closed);
                self.closings.push((incident, closed));
            }
            _ => {}
        }
    }

    /// Writes the rows.
    pub(super) fn write(&self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        for (incident, change) in &self.changes {
            change.write(transaction, number(incident.0))?;
        }
        Ok(())
    }

    /// Counts what closed. The facts are written.
    pub(super) fn count(&self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut days = Days::default();
        for (incident, closed) in &self.closings {
            let opened = self.changes.get(incident).and_then(|change| change.opened.as_ref());
            let opened = opened.map(|opened| (opened.at.micros(), opened.policy.as_str()));
            days.add(transaction, number(incident.0), opened, *closed)?;
        }
        days.write(transaction)
    }
}

impl Change<'_> {
    fn write(&self, transaction: &Transaction<'_>, id: i64) -> rusqlite::Result<()> {
        let Self { opened, state, closed } = self;
        let outcome = closed.map(|closed| closed.outcome.as_str());
        let closed_at = closed.map(|closed| closed.at.micros());
        if let Some(Opened { policy, target, at }) = opened {
            let target = serde_json::to_string(target)
                .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
            let sql =
                "INSERT INTO incidents (id, policy, target, state, opened_at, outcome, closed_at)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
            let (policy, at) = (policy.as_str(), at.micros());
            let row = params![id, policy, target, state, at, outcome, closed_at];
            transaction.prepare_cached(sql)?.execute(row)?;
        } else if closed.is_some() {
            let sql = "UPDATE incidents SET state = ?2, outcome = ?3, closed_at = ?4 WHERE id = ?1";
            transaction.prepare_cached(sql)?.execute(params![id, state, outcome, closed_at])?;
        } else {
            let sql = "UPDATE incidents SET state = ?2 WHERE id = ?1 AND state <> ?2";
            transaction.prepare_cached(sql)?.execute(params![id, state])?;
        }
        Ok(())
    }
}

/// The state in which a fact leaves its incident, where it changes it.
fn state_after(what: &What) -> Option<&'static str> {
    match what {
        What::IncidentClosed { .. } => Some("closed"),
        What::OrderIssued { .. } | What::OrderReissued { .. } => Some("acting"),
        What::VerificationBegan { .. } => Some("verifying"),
        What::ApprovalAsked { .. } => Some("awaiting_approval"),
        What::IncidentOpened { .. }
        | What::ApprovalVoided { .. }
        | What::IncidentCommanded { command: Command::Approve, missing: 0, .. }
        | What::OrderHeld { .. }
        | What::OrderReturned { .. }
        | What::OrderEnded { .. }
        | What::RetryScheduled { .. }
        | What::RemedyGivenUp { .. } => Some("waiting"),
        _ => None,
    }
}
