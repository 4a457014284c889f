//! Breaker: what fails time and again is tried by one incident at a time, by a tally of our own.

use std::collections::{BTreeMap, BTreeSet};

use homeostat_core::fact::What;
use homeostat_core::hold::Circuit;
use homeostat_core::incident::End;
use homeostat_core::name::{IncidentId, OrderId, PolicyName, RemedyName};
use homeostat_core::order::Outcome;
use homeostat_core::policy::{Breaker, Policy};
use homeostat_core::time::Timestamp;

use super::guards::is_undo;
use super::{Oracle, Verdict, Violation};

/// How many results are remembered, as `docs/configuration.md` says.
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

/// What remedies came to, and who tries them.
#[derive(Debug, Default)]
pub(super) struct Breakers {
    results: BTreeMap<Circuit, Vec<(Timestamp, PolicyName, Result)>>,
    trials: BTreeMap<IncidentId, (PolicyName, RemedyName)>,
}

impl Breakers {
    fn tries(&mut self, incident: IncidentId, policy: &PolicyName, remedy: &RemedyName) {
        self.trials.insert(incident, (policy.clone(), remedy.clone()));
    }

    /// A trial is over. Each has one result; that it made things worse is one more.
    fn ends(&mut self, incident: IncidentId, result: Option<Result>, now: Timestamp) {
        if let Some((policy, remedy)) = self.trials.remove(&incident)
            && let Some(result) = result
        {
            self.note(&policy, &remedy, result, now);
        }
    }

    fn note(&mut self, policy: &PolicyName, remedy: &RemedyName, result: Result, now: Timestamp) {
        for circuit in circuits(policy, remedy) {
            let results = self.results.entry(circuit).or_default();
            results.push((now, policy.clone(), result));
            let surplus = results.len().saturating_sub(REMEMBERED);
            results.drain(..surplus);
        }
    }

    fn state(&self, circuit: &Circuit, breaker: Breaker, now: Timestamp) -> State {
        let results = self.results.get(circuit).map_or(&[][..], Vec::as_slice);
        let counted = &results[results.len().saturating_sub(breaker.of as usize)..];
        let failed: Vec<_> = counted.iter().filter(|(.., r)| *r != Result::Healed).collect();
        let Some((at, _, newest)) = counted.last().filter(|(.., r)| *r != Result::Healed) else {
            return State::Closed;
        };
        let policies: BTreeSet<_> = failed.iter().map(|(_, policy, _)| policy).collect();
        let often = failed.len() >= breaker.failures as usize;
        let opens = match circuit {
            Circuit::Remedy(..) => often || *newest == Result::Worse,
            Circuit::Everywhere(_) => often && policies.len() > 1,
        };
        match *at + breaker.after {
            _ if !opens => State::Closed,
            until if until > now => State::Open(until),
            _ => State::HalfOpen,
        }
    }

    /// Who else tries what a circuit is about.
    fn others(&self, circuit: &Circuit, besides: IncidentId) -> impl Iterator<Item = IncidentId> {
        let tries = |(policy, remedy): &(PolicyName, RemedyName)| match circuit {
            Circuit::Remedy(p, r) => p == policy && r == remedy,
            Circuit::Everywhere(r) => r == remedy,
        };
        let others = self.trials.iter().filter(move |(id, _)| **id != besides);
        others.filter(move |(_, trial)| tries(trial)).map(|(id, _)| *id)
    }

    /// No order by a breaker that is open, and one at a time where it is half open.
    pub(super) fn lets_pass(&self, policy: &Policy, id: &OrderId, now: Timestamp) -> Verdict {
        let Some(breaker) = policy.guard.breaker else { return Ok(()) };
        for circuit in circuits(&policy.name, &id.remedy) {
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
        let found = policy.guard.breaker.map(|breaker| self.state(circuit, breaker, now));
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
        let found = policy.guard.breaker.map(|breaker| self.state(circuit, breaker, now));
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
                    self.breakers.tries(order.id.incident, &case.subject.0, &order.id.remedy);
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
                    self.breakers.note(&case.subject.0, &order.remedy, Result::Worse, now);
                }
            }
            What::IncidentClosed { incident, closing, .. } => {
                let result = match closing.outcome {
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

fn circuits(policy: &PolicyName, remedy: &RemedyName) -> [Circuit; 2] {
    [Circuit::Remedy(policy.clone(), remedy.clone()), Circuit::Everywhere(remedy.clone())]
}
