//! Breaker: what fails time and again is tried by one incident at a time, by a tally of our own.

use std::collections::BTreeMap;

use homeostat_core::fact::What;
use homeostat_core::hold::Circuit;
use homeostat_core::incident::End;
use homeostat_core::name::{CircuitName, IncidentId, OrderId, PolicyName, RemedyName};
use homeostat_core::order::Outcome;
use homeostat_core::policy::{Breaker, Policy};
use homeostat_core::time::Timestamp;

use super::guards::is_undo;
use super::{Oracle, Verdict, Violation};

/// How many results are remembered, as the configuration's reference says.
const REMEMBERED: usize = 10;

/// How a trial went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Result {
    Healed,
    Failed,
    Worse,
}

/// What a breaker allows.
#[derive(Debug, PartialEq, Eq)]
enum State {
    Closed,
    /// Nobody may try it before that.
    Open(Timestamp),
    /// One may.
    HalfOpen,
}

/// What an incident tries, and the breaker that its policy shared when it was ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Trial {
    policy: PolicyName,
    remedy: RemedyName,
    shared: Option<CircuitName>,
}

impl Trial {
    fn circuits(&self) -> Vec<Circuit> {
        let own = Circuit::Remedy(self.policy.clone(), self.remedy.clone());
        [own].into_iter().chain(self.shared.clone().map(Circuit::Shared)).collect()
    }
}

/// What remedies came to, and who tries them.
#[derive(Debug, Default)]
pub(super) struct Breakers {
    results: BTreeMap<Circuit, Vec<(Timestamp, Result)>>,
    trials: BTreeMap<IncidentId, Trial>,
}

impl Breakers {
    fn tries(&mut self, incident: IncidentId, trial: Trial) {
        self.trials.insert(incident, trial);
    }

    /// A trial is over. Each has one result; that it made things worse is one more.
    fn ends(&mut self, incident: IncidentId, result: Option<Result>, now: Timestamp) {
        if let Some(trial) = self.trials.remove(&incident)
            && let Some(result) = result
        {
            self.note(&trial, result, now);
        }
    }

    fn note(&mut self, trial: &Trial, result: Result, now: Timestamp) {
        for circuit in trial.circuits() {
            let results = self.results.entry(circuit).or_default();
            results.push((now, result));
            let surplus = results.len().saturating_sub(REMEMBERED);
            results.drain(..surplus);
        }
    }

    fn state(&self, circuit: &Circuit, breaker: &Breaker, now: Timestamp) -> State {
        let results = self.results.get(circuit).map_or(&[][..], Vec::as_slice);
        let counted = &results[results.len().saturating_sub(breaker.of as usize)..];
        let failed = counted.iter().filter(|(_, r)| *r != Result::Healed).count();
        let Some((at, newest)) = counted.last().filter(|(_, r)| *r != Result::Healed) else {
            return State::Closed;
        };
        let opens = failed >= breaker.failures as usize || *newest == Result::Worse;
        match *at + breaker.after {
            _ if !opens => State::Closed,
            until if until > now => State::Open(until),
            _ => State::HalfOpen,
        }
    }

    /// Who else tries what a circuit is about.
    fn others(&self, circuit: &Circuit, besides: IncidentId) -> impl Iterator<Item = IncidentId> {
        let others = self.trials.iter().filter(move |(id, _)| **id != besides);
        others.filter(|(_, trial)| trial.circuits().contains(circuit)).map(|(id, _)| *id)
    }

    /// No order by a breaker that is open, and one at a time where it is half open.
    pub(super) fn lets_pass(&self, policy: &Policy, id: &OrderId, now: Timestamp) -> Verdict {
        let Some(breaker) = &policy.guard.breaker else { return Ok(()) };
        let (policy, remedy) = (policy.name.clone(), id.remedy.clone());
        let trial = Trial { policy, remedy, shared: breaker.shared.clone() };
        for circuit in trial.circuits() {
            let text = match self.state(&circuit, breaker, now) {
                State::Closed => continue,
                State::Open(until) => format!("order {id}, but {circuit} is open until {until}"),
                State::HalfOpen => match self.others(&circuit, id.incident).next() {
                    Some(other) => format!("order {id} beside the trial of incident {other}"),
                    None => continue,
                },
            };
            return Err(Violation::new(now, "breaker", text));
        }
        Ok(())
    }

    /// A breaker holds only while it is open.
    pub(super) fn is_open_until(
        &self,
        policy: &Policy,
        circuit: &Circuit,
        until: Timestamp,
        now: Timestamp,
    ) -> Verdict {
        let found = policy.guard.breaker.as_ref().map(|breaker| self.state(circuit, breaker, now));
        if found == Some(State::Open(until)) {
            return Ok(());
        }
        let text = format!("{circuit} is said to be open until {until}, and is {found:?}");
        Err(Violation::new(now, "breaker", text))
    }

    /// A trial holds others only while it goes on.
    pub(super) fn is_tried_by(
        &self,
        policy: &Policy,
        circuit: &Circuit,
        (mine, by): (IncidentId, IncidentId),
        now: Timestamp,
    ) -> Verdict {
        let found = policy.guard.breaker.as_ref().map(|breaker| self.state(circuit, breaker, now));
        if found == Some(State::HalfOpen) && self.others(circuit, mine).any(|other| other == by) {
            return Ok(());
        }
        let text = format!("{circuit} is said to be tried by incident {by}, and is {found:?}");
        Err(Violation::new(now, "breaker", text))
    }
}

impl Oracle {
    /// Notes who tries what, and what it came to.
    pub(super) fn note_trials(&mut self, what: &What, now: Timestamp) {
        match what {
            What::OrderIssued { order } | What::OrderReissued { order } if !is_undo(&order.id) => {
                if let Some(case) = self.cases.get(&order.id.incident) {
                    let (policy, remedy) = (case.subject.0.clone(), order.id.remedy.clone());
                    let trial = Trial { policy, remedy, shared: order.shared.clone() };
                    self.breakers.tries(order.id.incident, trial);
                }
            }
            What::OrderReturned { order } if !is_undo(order) => {
                self.breakers.ends(order.incident, None, now);
            }
            What::OrderEnded { order, ended } if !is_undo(order) => match ended.outcome {
                Outcome::TimedOut | Outcome::Unknown { .. } => {
                    self.breakers.ends(order.incident, Some(Result::Failed), now);
                }
                Outcome::Cancelled | Outcome::Refused { .. } => {
                    self.breakers.ends(order.incident, None, now);
                }
                _ => {}
            },
            What::RemedyGivenUp { incident, .. } => {
                self.breakers.ends(*incident, Some(Result::Failed), now);
            }
            What::TurnedWorse { order, .. } => {
                self.breakers.ends(order.incident, None, now);
                if let Some(case) = self.cases.get(&order.incident) {
                    let (policy, remedy) = (case.subject.0.clone(), order.remedy.clone());
                    let shared = case.runs.last().and_then(|run| run.order.shared.clone());
                    self.breakers.note(&Trial { policy, remedy, shared }, Result::Worse, now);
                }
            }
            What::IncidentClosed { incident, closing, .. } => {
                let tried = self.breakers.trials.get(incident).map(|trial| &trial.remedy);
                let result = match closing.outcome {
                    // The last remedy may never have started: one before it healed.
                    End::Healed if closing.remedy.as_ref() != tried => None,
                    End::Healed => Some(Result::Healed),
                    End::Escalated => Some(Result::Failed),
                    End::Recovered | End::Shadowed | End::Rejected | End::Cancelled => None,
                };
                self.breakers.ends(*incident, result, now);
            }
            _ => {}
        }
    }
}
