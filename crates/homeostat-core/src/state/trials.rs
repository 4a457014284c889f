//! What facts say of how remedies ran and went, for the guards `cooldown` and `breaker`.

use super::State;
use crate::hold::{Circuit, Gate};
use crate::ledger::Trial;
use crate::limits;
use crate::name::{IncidentId, OrderId, Part};
use crate::order::{Order, Outcome, Result};
use crate::time::Timestamp;

impl State {
    /// An incident tries a remedy: until its result is known, it alone may where the breaker is
    /// half open. What it tried before and a changed ladder took from it has no result.
    pub(super) fn try_remedy(&mut self, order: &Order) {
        let id = &order.id;
        let Some(incident) = self.incidents.get(&id.incident) else { return };
        if id.part == Part::Undo {
            return;
        }
        let circuits = Circuit::of(&incident.policy, &id.remedy, order.shared.as_ref());
        let is_another =
            |before: &&Order| before.id.remedy != id.remedy || before.shared != order.shared;
        let before = incident.order.as_deref().filter(is_another).map(|before| before.id.clone());
        if let Some(before) = before {
            self.end_trial(&before, None);
        }
        self.ledgers.circuits.try_it(circuits, id.incident);
    }

    /// A cooldown counts from the last run: an order that certainly did not start is none, and
    /// taking one back is no healing.
    pub(super) fn note_run(&mut self, order: &OrderId, outcome: &Outcome, at: Timestamp) {
        if order.part == Part::Undo {
            return;
        }
        if let Some(incident) = self.incidents.get(&order.incident).filter(|_| outcome.has_run()) {
            self.ledgers.ran(&incident.subject(), order.incident, &order.remedy, at);
        }
    }

    /// A run that is over ends its trial if nobody knows what it did, or if it was refused. What is
    /// known to have failed may be tried again, and what is done is still to be proven. An undo is no
    /// trial.
    pub(super) fn end_trial_of_run(&mut self, order: &OrderId, outcome: &Outcome, at: Timestamp) {
        if order.part == Part::Undo {
            return;
        }
        match outcome.result() {
            // Whoever ended it before its time leaves open what it would have done.
            Result::Uncertain if *outcome == Outcome::Cancelled => self.end_trial(order, None),
            Result::Uncertain => {
                let failed = (at, Trial::Failed(told(&outcome.to_string())));
                self.end_trial(order, Some(&failed));
            }
            Result::Refused => self.end_trial(order, None),
            Result::Done | Result::Failed => {}
        }
    }

    /// Ends what an incident tries at last.
    pub(super) fn end_trial_of(&mut self, id: IncidentId, result: Option<&(Timestamp, Trial)>) {
        let last = self.incidents.get(&id).and_then(|incident| incident.order.as_ref());
        if let Some(order) = last.map(|order| order.id.clone()) {
            self.end_trial(&order, result);
        }
    }

    pub(super) fn end_trial(&mut self, order: &OrderId, result: Option<&(Timestamp, Trial)>) {
        let Some(incident) = self.incidents.get(&order.incident) else { return };
        let last = incident.order.as_ref().filter(|last| last.id.remedy == order.remedy);
        let shared = last.and_then(|last| last.shared.as_ref());
        let circuits: Vec<_> = Circuit::of(&incident.policy, &order.remedy, shared).collect();
        self.ledgers.circuits.end(&circuits, &incident.policy, incident.id, result);
        for circuit in circuits {
            self.open_gate(&Gate::Circuit(circuit), limits::WOKEN_PER_GATE);
        }
    }
}

/// Cuts a reason to what one line holds; many of them are remembered.
pub(super) fn told(reason: &str) -> String {
    let mut text = reason.to_owned();
    if text.len() > limits::CIRCUIT_REASON_BYTES {
        text.truncate(text.floor_char_boundary(limits::CIRCUIT_REASON_BYTES));
        text.push('…');
    }
    text
}
