//! How the last runs of each remedy went, and who is trying it now.
//!
//! What one incident does with one remedy, retries included, is one **trial** and has one result:
//!
//! | the trial ends | result |
//! |---|---|
//! | the incident closes as healed | healed |
//! | the remedy is given up: it failed after all retries, or the alert fires on | failed |
//! | the run times out, or its outcome is unknown | failed, at once |
//! | the incident is handed over because nobody knows whether it healed | failed |
//! | the run was refused, a crash kept it from starting, or its policy was removed | none |
//! | it made things worse | worse, at once |
//!
//! A result is noted for the remedy of its policy, and for the breaker that the policy names to share
//! one with others: equal names of remedies mean nothing. Limits are not kept, so that a changed
//! configuration counts at once; what is shared counts from then on.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::Line;
use crate::collections::RisingSet;
use crate::hold::Circuit;
use crate::limits;
use crate::name::{IncidentId, PolicyName};
use crate::time::{Span, Timestamp, age};

/// How a trial went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trial {
    /// It healed.
    Healed,
    /// It did not.
    Failed(String),
    /// It made things worse: one is enough to open the breaker.
    Worse(String),
}

/// The result of one trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// When it was known.
    pub at: Timestamp,
    /// Under which policy.
    pub policy: PolicyName,
    /// By which incident.
    pub incident: IncidentId,
    /// What it was.
    pub trial: Trial,
}

/// All circuits, bounded in number and by age.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Circuits {
    marks: BTreeMap<Circuit, VecDeque<Mark>>,
    by_age: RisingSet<(Timestamp, Circuit)>,
    trying: BTreeMap<Circuit, BTreeSet<IncidentId>>,
}

impl Circuits {
    /// Returns the last results, the newest first.
    pub fn newest(&self, circuit: &Circuit) -> impl Iterator<Item = &Mark> {
        self.marks.get(circuit).into_iter().flatten().rev()
    }

    /// Returns an incident other than this one that is trying the remedy.
    pub fn tried_by(&self, circuit: &Circuit, besides: IncidentId) -> Option<IncidentId> {
        self.trying.get(circuit).into_iter().flatten().copied().find(|id| *id != besides)
    }

    /// Notes that an incident tries a remedy.
    pub(crate) fn try_it(&mut self, circuits: impl Iterator<Item = Circuit>, incident: IncidentId) {
        for circuit in circuits {
            self.trying.entry(circuit).or_default().insert(incident);
        }
    }

    /// Notes that a trial ended, with its result if it has one. What was noted before is not noted
    /// again: a run that timed out has failed, whatever its incident comes to. Only that it made
    /// things worse is always noted.
    pub(crate) fn end(
        &mut self,
        circuits: &[Circuit],
        policy: &PolicyName,
        incident: IncidentId,
        result: Option<&(Timestamp, Trial)>,
    ) {
        for circuit in circuits {
            let tried = self.drop_out(circuit, incident);
            match result {
                Some((at, trial)) if tried || matches!(trial, Trial::Worse(_)) => {
                    let (policy, trial) = (policy.clone(), trial.clone());
                    self.mark(circuit.clone(), Mark { at: *at, policy, incident, trial });
                }
                Some(_) | None => {}
            }
        }
    }

    fn drop_out(&mut self, circuit: &Circuit, incident: IncidentId) -> bool {
        let Some(trying) = self.trying.get_mut(circuit) else { return false };
        let tried = trying.remove(&incident);
        if trying.is_empty() {
            self.trying.remove(circuit);
        }
        tried
    }

    /// Lists all lines, for a snapshot.
    pub(super) fn lines(&self) -> impl Iterator<Item = Line> + '_ {
        let results = self.marks.iter().map(|(circuit, marks)| Line::Results {
            circuit: circuit.clone(),
            marks: marks.iter().cloned().collect(),
        });
        let trying = self.trying.iter().flat_map(|(circuit, incidents)| {
            let line = |&incident| Line::Trying { circuit: circuit.clone(), incident };
            incidents.iter().map(line)
        });
        results.chain(trying)
    }

    /// Enters the results of a snapshot. What version 0.1.0 counted by a remedy's name alone is
    /// nobody's.
    pub(super) fn enter_results(&mut self, circuit: Circuit, marks: Vec<Mark>) {
        match circuit {
            Circuit::Remedy(..) | Circuit::Shared(_) => {}
            Circuit::Everywhere(_) => return,
        }
        if let Some(last) = marks.last() {
            self.by_age.insert((last.at, circuit.clone()));
        }
        self.marks.insert(circuit, marks.into());
    }

    /// Enters a trial of a snapshot.
    pub(super) fn enter_trying(&mut self, circuit: Circuit, incident: IncidentId) {
        match circuit {
            Circuit::Remedy(..) | Circuit::Shared(_) => {
                self.trying.entry(circuit).or_default().insert(incident);
            }
            Circuit::Everywhere(_) => {}
        }
    }

    /// Moves all moments along.
    pub(super) fn move_along(&mut self, by: Span) {
        self.by_age.clear();
        for (circuit, marks) in &mut self.marks {
            for mark in marks.iter_mut() {
                mark.at = mark.at + by;
            }
            if let Some(last) = marks.back() {
                self.by_age.insert((last.at, circuit.clone()));
            }
        }
    }

    fn mark(&mut self, circuit: Circuit, mark: Mark) {
        let marks = self.marks.entry(circuit.clone()).or_default();
        if let Some(last) = marks.back() {
            self.by_age.remove(&(last.at, circuit.clone()));
        }
        let at = mark.at;
        marks.push_back(mark);
        if marks.len() > limits::CIRCUIT_MARKS {
            marks.pop_front();
        }
        self.by_age.insert((at, circuit));
        self.forget(at);
    }

    fn forget(&mut self, now: Timestamp) {
        let (memory, most) = (limits::CIRCUIT_MEMORY, limits::CIRCUITS);
        age::forget(&mut self.by_age, now, memory, most, |circuit| {
            self.marks.remove(circuit);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::{CircuitName, RemedyName};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    /// The circuits of remedy `restart` of a policy, which all share one.
    fn of(policy: &str) -> Vec<Circuit> {
        let (policy, remedy) = (PolicyName::new(policy), RemedyName::new("restart"));
        Circuit::of(&policy, &remedy, Some(&CircuitName::new("fleet"))).collect()
    }

    fn end(circuits: &mut Circuits, incident: u64, result: Option<&(Timestamp, Trial)>) {
        let (policy, incident) = (PolicyName::new("a"), IncidentId(incident));
        circuits.end(&of("a"), &policy, incident, result);
    }

    fn run(circuits: &mut Circuits, policy: &str, incident: u64, at: Timestamp) {
        let (of, incident) = (of(policy), IncidentId(incident));
        circuits.try_it(of.iter().cloned(), incident);
        circuits.end(&of, &PolicyName::new(policy), incident, Some(&(at, Trial::Healed)));
    }

    fn known(circuits: &Circuits, policy: &str) -> Vec<Vec<u64>> {
        let newest = |circuit| circuits.newest(circuit).map(|mark| mark.incident.0).collect();
        of(policy).iter().map(newest).collect()
    }

    #[test]
    fn a_result_counts_for_the_remedy_of_its_policy_and_for_what_it_shares() {
        let mut circuits = Circuits::default();
        run(&mut circuits, "a", 1, at(1));
        run(&mut circuits, "b", 2, at(2));
        assert_eq!(known(&circuits, "a"), [vec![1], vec![2, 1]]);
        assert_eq!(known(&circuits, "b"), [vec![2], vec![2, 1]]);
    }

    #[test]
    fn what_an_old_snapshot_counts_by_a_name_alone_is_dropped() {
        let mut circuits = Circuits::default();
        let everywhere = Circuit::Everywhere(RemedyName::new("restart"));
        let (policy, incident) = (PolicyName::new("a"), IncidentId(1));
        let mark = Mark { at: at(1), policy, incident, trial: Trial::Healed };
        circuits.enter_results(everywhere.clone(), vec![mark]);
        circuits.enter_trying(everywhere, incident);
        assert_eq!(circuits, Circuits::default());
    }

    #[test]
    fn a_trial_has_one_result_and_what_was_not_tried_has_none() {
        let mut circuits = Circuits::default();
        run(&mut circuits, "a", 1, at(1));
        end(&mut circuits, 1, Some(&(at(2), Trial::Healed)));
        circuits.try_it(of("a").into_iter(), IncidentId(2));
        let circuit = &of("a")[0];
        assert_eq!(circuits.tried_by(circuit, IncidentId(1)), Some(IncidentId(2)));
        assert_eq!(circuits.tried_by(circuit, IncidentId(2)), None);
        end(&mut circuits, 2, None);
        assert_eq!(circuits.tried_by(circuit, IncidentId(1)), None);
        assert_eq!(known(&circuits, "a"), [vec![1], vec![1]]);
    }

    #[test]
    fn that_it_made_things_worse_is_noted_after_any_other_result() {
        let mut circuits = Circuits::default();
        run(&mut circuits, "a", 1, at(1));
        let worse = Trial::Worse("two more alerts".into());
        end(&mut circuits, 1, Some(&(at(2), worse.clone())));
        let newest = circuits.newest(&of("a")[0]).next().map(|mark| &mark.trial);
        assert_eq!(newest, Some(&worse));
    }

    #[test]
    fn results_are_bounded_in_number_and_by_age() {
        let mut circuits = Circuits::default();
        for number in 1..=30 {
            run(&mut circuits, "a", number, at(1));
        }
        let newest = &known(&circuits, "a")[0];
        assert_eq!((newest.len(), newest[0]), (limits::CIRCUIT_MARKS, 30));
        let later = at(1) + limits::CIRCUIT_MEMORY + Span::from_secs(1);
        run(&mut circuits, "b", 31, later);
        assert_eq!(known(&circuits, "a")[0], [0_u64; 0]);
        assert_eq!(circuits.by_age.len(), circuits.marks.len());
    }
}
