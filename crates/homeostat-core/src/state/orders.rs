//! What orders do to the state: what they lock, charge and count, and what their ends give back.

use crate::hold::{Gate, Scope};
use crate::incident::{Act, Incident, Running, Stage, Told};
use crate::ledger::Straggler;
use crate::limits;
use crate::name::{IncidentId, OrderId, Part, PolicyName, TeamName};
use crate::order::{Ended, Order, Outcome};
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
        self.ledgers.started(&subject.0, order.team.as_ref());
        self.try_remedy(order);
        self.ledgers.acted(&subject, at);
        self.use_approval(order);
        self.change(id, |incident| {
            match order.id.part {
                Part::Heal => {
                    let last = incident.runs.room();
                    last.insert(order.id.remedy.clone(), order.id.attempt);
                }
                Part::Undo => {}
            }
            incident.looks = 0;
            // It is kept for the case that a restart finds the order not started.
            incident.approved = incident.approved.take().filter(|a| a.asked.order == order.id);
            run(incident, order, at);
        });
    }

    pub(super) fn reissue(&mut self, order: &Order, at: Timestamp) {
        self.ledgers.lock(&order.locks, order.id.incident);
        self.ledgers.started(&self.policy_of(order.id.incident), order.team.as_ref());
        self.try_remedy(order);
        self.use_approval(order);
        self.change(order.id.incident, |incident| run(incident, order, at));
    }

    /// A run that was approved ahead counts, whether it starts or not.
    fn use_approval(&mut self, order: &Order) {
        if let Some(used) = &order.standing {
            self.approvals.note_run(used.approval, &order.id);
        }
    }

    /// Takes back an order that certainly did not start.
    pub(super) fn give_back(&mut self, order: &OrderId) {
        self.stop_running(order);
        self.end_trial(order, None);
        self.change(order.incident, |incident| {
            match order.part {
                Part::Heal => {
                    incident.ladder.orders = incident.ladder.orders.saturating_sub(1);
                    forget_act(incident);
                }
                Part::Undo => {}
            }
            incident.seeks.returned();
            incident.stage = Stage::Ready;
        });
        self.make_room(order.incident);
    }

    pub(super) fn end_run(&mut self, order: &OrderId, ended: &Ended, at: Timestamp) {
        let outcome = &ended.outcome;
        self.stop_running(order);
        self.note_straggler(order, ended, at);
        self.note_run(order, outcome, at);
        self.end_trial_of_run(order, outcome, at);
        self.change(order.incident, |incident| {
            match order.part {
                Part::Heal if !outcome.has_run() => forget_act(incident),
                Part::Heal | Part::Undo => {}
            }
            incident.approved = None;
            incident.stage = Stage::Ready;
        });
    }

    /// What a crash has lost sight of may go on until its time limit is past; what could not be ended,
    /// until it is gone.
    fn note_straggler(&mut self, id: &OrderId, ended: &Ended, at: Timestamp) {
        self.ledgers.stragglers.forget(at);
        let Some(incident) = self.incidents.get(&id.incident) else { return };
        let Some(order) = incident.order.as_ref().filter(|order| order.id == *id) else { return };
        let Stage::Acting(running) = &incident.stage else { return };
        let until = running.since + order.timeout;
        let lost =
            matches!(ended.outcome, Outcome::Unknown { .. }) && order.action.outlives_the_engine();
        let mut straggler = Straggler {
            order: id.clone(),
            locks: order.locks.clone(),
            until: None,
            boot: order.boot.clone(),
            left: ended.left.clone(),
        };
        if !ended.left.is_empty() {
            self.ledgers.stragglers.enter(straggler);
        } else if lost && until > at {
            straggler.until = Some(until);
            self.ledgers.stragglers.enter(straggler);
        }
    }

    /// Nothing of a run goes on any more: whoever waits for what it locked may look.
    pub(super) fn let_go(&mut self, order: &OrderId) {
        let locks = self.ledgers.stragglers.remove(order).map(|run| run.locks);
        for key in locks.into_iter().flatten() {
            self.open_gate(&Gate::Lock(key), limits::WOKEN_PER_GATE);
        }
    }

    fn stop_running(&mut self, order: &OrderId) {
        let policy = self.policy_of(order.incident);
        let team = self.team_of(order);
        self.ledgers.ended(&policy, team.as_ref());
        self.open_gate(&Gate::Running(Scope::Policy(policy)), limits::WOKEN_PER_GATE);
        if let Some(team) = team {
            self.open_gate(&Gate::Running(Scope::Team(team)), limits::WOKEN_PER_GATE);
        }
        self.open_gate(&Gate::Running(Scope::Book), limits::WOKEN_PER_GATE);
    }

    /// Which team counts an order that runs.
    fn team_of(&self, id: &OrderId) -> Option<TeamName> {
        let order = self.incidents.get(&id.incident)?.order.as_ref()?;
        order.team.clone().filter(|_| order.id == *id)
    }

    pub(super) fn policy_of(&self, id: IncidentId) -> PolicyName {
        let known = self.incidents.get(&id);
        known.map_or_else(|| PolicyName::new(""), |i| i.policy.clone())
    }
}

/// An order is on its way: it may have begun from now on.
fn run(incident: &mut Incident, order: &Order, at: Timestamp) {
    match order.id.part {
        Part::Heal => {
            incident.ladder.orders += 1;
            let remedy = order.id.remedy.clone();
            incident.acts.room().push(Act { remedy, since: at });
        }
        Part::Undo => {}
    }
    incident.locks.room().extend(order.locks.iter().cloned());
    incident.order = Some(Box::new(order.without_grants()));
    incident.seeks.resumed();
    incident.stage = Stage::Acting(Running { since: at, progressed: 0, told: Told::Nothing });
}

/// The last run certainly did not start: it was no act.
fn forget_act(incident: &mut Incident) {
    incident.acts.change(|acts| drop(acts.pop()));
}
