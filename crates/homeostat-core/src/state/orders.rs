//! What orders do to the state: what they lock, charge and count, and what their ends give back.

use crate::hold::{Gate, Scope};
use crate::incident::Stage;
use crate::ledger::Straggler;
use crate::limits;
use crate::name::{IncidentId, OrderId, Part, PolicyName};
use crate::order::{Order, Outcome};
use crate::time::Timestamp;

use super::State;

impl State {
    pub(super) fn issue(&mut self, order: &Order, at: Timestamp) {
        let id = order.id.incident;
        let Some(incident) = self.incidents.get(&id) else { return };
        let subject = incident.subject();
        self.ledgers.stragglers.forget(at);
        self.ledgers.take(&order.charges, at);
        self.ledgers.lock(&order.locks, id);
        self.ledgers.started(&subject.0);
        self.try_remedy(order);
        self.ledgers.acted(&subject, at);
        self.change(id, |incident| {
            match order.id.part {
                Part::Heal => {
                    incident.ladder.orders += 1;
                    incident.runs.room().insert(order.id.remedy.clone(), order.id.attempt);
                }
                Part::Undo => {}
            }
            incident.looks = 0;
            incident.locks.room().extend(order.locks.iter().cloned());
            incident.order = Some(Box::new(order.without_grants()));
            incident.ordered_at = at;
            incident.acted_at = incident.acted_at.or(Some(at));
            incident.progressed = 0;
            incident.order_cancelled = false;
            // It is kept for the case that a restart finds the order not started.
            incident.approved = incident.approved.take().filter(|a| a.asked.order == order.id);
            incident.stage = Stage::Acting;
        });
    }

    pub(super) fn reissue(&mut self, order: &Order, at: Timestamp) {
        self.ledgers.lock(&order.locks, order.id.incident);
        self.ledgers.started(&self.policy_of(order.id.incident));
        self.try_remedy(order);
        self.change(order.id.incident, |incident| {
            incident.locks.room().extend(order.locks.iter().cloned());
            incident.order = Some(Box::new(order.without_grants()));
            incident.ordered_at = at;
            incident.acted_at = incident.acted_at.or(Some(at));
            incident.returned = false;
            incident.order_cancelled = false;
            incident.stage = Stage::Acting;
        });
    }

    /// Takes back an order that certainly did not start.
    pub(super) fn give_back(&mut self, order: &OrderId) {
        self.stop_running(order);
        self.end_trial(order, None);
        self.change(order.incident, |incident| {
            incident.returned = true;
            incident.stage = Stage::Ready;
            incident.forget_unstarted_act();
        });
        self.make_room(order.incident);
    }

    pub(super) fn end_run(&mut self, order: &OrderId, outcome: &Outcome, at: Timestamp) {
        self.stop_running(order);
        self.note_straggler(order, outcome, at);
        self.note_run(order, outcome, at);
        self.end_trial_of_run(order, outcome, at);
        self.change(order.incident, |incident| {
            match order.part {
                Part::Heal if outcome.has_run() => incident.ran = Some(order.remedy.clone()),
                Part::Heal => incident.unstarted += 1,
                Part::Undo => {}
            }
            incident.approved = None;
            incident.stage = Stage::Ready;
            incident.forget_unstarted_act();
        });
    }

    /// What a crash has lost sight of may go on until its time limit is past.
    fn note_straggler(&mut self, id: &OrderId, outcome: &Outcome, at: Timestamp) {
        self.ledgers.stragglers.forget(at);
        let Some(incident) = self.incidents.get(&id.incident) else { return };
        let Some(order) = incident.order.as_ref().filter(|order| order.id == *id) else { return };
        let until = incident.ordered_at + order.timeout;
        let lost = matches!(outcome, Outcome::Unknown { .. }) && order.action.outlives_the_engine();
        if lost && until > at {
            let (order, locks) = (id.clone(), order.locks.clone());
            self.ledgers.stragglers.enter(Straggler { order, locks, until: Some(until) });
        }
    }

    fn stop_running(&mut self, order: &OrderId) {
        let policy = self.policy_of(order.incident);
        self.ledgers.ended(&policy);
        self.open_gate(&Gate::Running(Scope::Policy(policy)), limits::WOKEN_PER_GATE);
        self.open_gate(&Gate::Running(Scope::Book), limits::WOKEN_PER_GATE);
    }

    pub(super) fn policy_of(&self, id: IncidentId) -> PolicyName {
        let known = self.incidents.get(&id);
        known.map_or_else(|| PolicyName::new(""), |i| i.policy.clone())
    }
}
