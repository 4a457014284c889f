//! Runs that may go on though their order has ended: a crash has lost sight of them, or they could not
//! be ended. What they locked stays locked, whatever becomes of their incident.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::name::{BootId, IncidentId, OrderId};
use crate::plan::LockKey;
use crate::process::Process;
use crate::time::{Span, Timestamp};

/// A run that may go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Straggler {
    /// Which run.
    pub order: OrderId,
    /// What it locked.
    pub locks: Vec<LockKey>,
    /// When it is over at the latest: its time limit holds whatever happens. `None` where that is known
    /// only once it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// In which boot of the machine it was issued.
    pub boot: BootId,
    /// Its processes that could not be ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<Process>,
}

impl Straggler {
    fn goes_on(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| until > now)
    }
}

/// All of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stragglers(BTreeMap<OrderId, Straggler>);

impl Stragglers {
    /// Returns a run that may go on now and has locked this, the one that is over last.
    pub fn on(&self, key: &LockKey, now: Timestamp) -> Option<&Straggler> {
        let here = self.0.values().filter(|run| run.goes_on(now) && run.locks.contains(key));
        here.max_by_key(|run| (run.until.is_none(), run.until))
    }

    /// Returns the runs of an incident that could not be ended.
    pub fn left_of(&self, incident: IncidentId) -> impl Iterator<Item = &Straggler> {
        self.0.values().filter(move |run| run.order.incident == incident && !run.left.is_empty())
    }

    /// Returns a run that could not be ended.
    pub fn left(&self, order: &OrderId) -> Option<&Straggler> {
        self.0.get(order).filter(|run| !run.left.is_empty())
    }

    /// Returns all that were noted, also those that are over meanwhile.
    pub fn iter(&self) -> impl Iterator<Item = &Straggler> {
        self.0.values()
    }

    pub(crate) fn enter(&mut self, straggler: Straggler) {
        self.0.insert(straggler.order.clone(), straggler);
    }

    pub(crate) fn remove(&mut self, order: &OrderId) -> Option<Straggler> {
        self.0.remove(order)
    }

    /// Forgets those that are over, as of this moment.
    pub(crate) fn forget(&mut self, at: Timestamp) {
        self.0.retain(|_, run| run.goes_on(at));
    }

    pub(crate) fn move_along(&mut self, by: Span) {
        self.0.values_mut().for_each(|run| run.until = run.until.map(|at| at + by));
    }
}
