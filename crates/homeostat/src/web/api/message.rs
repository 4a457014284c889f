//! What a fact tells those who listen, as a server-sent event that is written once for all of them.

use bytes::Bytes;
use homeostat_core::incident::End;
use homeostat_core::label::LabelSet;
use homeostat_core::name::PolicyName;
use serde::Serialize;

use super::view::{Entry, IncidentView, StateView};
use crate::access::{Caller, Permission, Subject};

/// What one fact tells.
#[derive(Debug)]
pub(super) struct Message {
    number: i64,
    pieces: Vec<Piece>,
    /// For those who may see all of it.
    whole: Bytes,
    ends: bool,
}

/// What it tells of one incident.
#[derive(Debug)]
pub(super) struct Piece {
    incident: String,
    policy: PolicyName,
    target: LabelSet,
    json: String,
}

/// An entry of a timeline, and what it is about.
#[derive(Debug, Serialize)]
struct Line<'a> {
    incident: &'a str,
    policy: &'a str,
    target: &'a LabelSet,
    state: StateView,
    outcome: Option<End>,
    entry: &'a Entry,
}

/// What somebody wants to hear.
#[derive(Debug, Clone)]
pub(super) struct Ear {
    /// Who listens.
    pub(super) caller: Caller,
    /// Of this incident alone.
    pub(super) incident: Option<String>,
}

impl Piece {
    /// Tells the last entry of an incident's timeline.
    pub(super) fn of(view: &IncidentView) -> Option<Self> {
        let line = Line {
            incident: &view.id,
            policy: &view.policy,
            target: &view.target,
            state: view.state,
            outcome: view.outcome,
            entry: view.timeline.last()?,
        };
        let json = match serde_json::to_string(&line) {
            Ok(json) => json,
            Err(error) => {
                tracing::error!(%error, "an entry could not be written as JSON");
                return None;
            }
        };
        let (policy, target) = (PolicyName::new(&view.policy), view.target.clone());
        Some(Self { incident: view.id.clone(), policy, target, json })
    }

    fn is_for(&self, ear: &Ear) -> bool {
        let subject = Subject::Incident { policy: &self.policy, target: &self.target };
        ear.incident.as_ref().is_none_or(|incident| *incident == self.incident)
            && ear.caller.may(Permission::View, &subject).is_ok()
    }
}

impl Message {
    /// What a fact tells, and whether those who listen must come again, because they may be allowed
    /// something else now.
    pub(super) fn new(number: i64, pieces: Vec<Piece>, ends: bool) -> Self {
        let whole = write(number, pieces.iter());
        Self { number, pieces, whole, ends }
    }

    /// The number of the fact.
    pub(super) fn number(&self) -> i64 {
        self.number
    }

    /// Whether those who listen must come again.
    pub(super) fn ends(&self) -> bool {
        self.ends
    }

    /// What somebody hears of it.
    pub(super) fn heard_by(&self, ear: &Ear) -> Option<Bytes> {
        let is_all = ear.incident.is_none() && ear.caller.may_all(Permission::View);
        let heard = || self.pieces.iter().filter(|piece| piece.is_for(ear));
        match if is_all { self.pieces.len() } else { heard().count() } {
            0 => None,
            all if all == self.pieces.len() => Some(self.whole.clone()),
            _ => Some(write(self.number, heard())),
        }
    }
}

/// One event, so that whoever has its number has heard all of it.
fn write<'a>(number: i64, pieces: impl Iterator<Item = &'a Piece>) -> Bytes {
    let pieces: Vec<&str> = pieces.map(|piece| piece.json.as_str()).collect();
    format!("id: {number}\ndata: {{\"entries\":[{}]}}\n\n", pieces.join(",")).into()
}
