//! Breaker: a remedy that fails time and again is not run any more, but for one trial now and then.
//!
//! ```text
//!  closed ── failures of the last results ──> open ── after ──> half open ── healed ──> closed
//!                                               ▲                   └── failed ──┐
//!                                               └────────────────────────────────┘
//! ```
//!
//! Rule: it is open if the newest result is a failure, and of the last `of` results at least
//! `failures` are, or the newest made things worse. `after` the newest failure it is half open: one
//! incident tries the remedy while the others wait. A success closes it. The failures before it
//! still count until they are more than `of` results ago: one more opens it again.
//!
//! A breaker is about one remedy of one policy. Remedies of other policies that have the same name
//! may do different things, so that nothing is concluded from a name. Policies whose remedies do one
//! thing say so: `shared` names a breaker that counts the results of all of them, by the same rule.
//!
//! `after` does not grow. The cooldown of each target grows already; a breaker that grew, too,
//! would be the last to notice that somebody has repaired what the remedy needs.
//!
//! What is a result, [`crate::ledger::Circuits`] says. Source: the circuit breaker of M. Nygard,
//! "Release It!", with its three states.

use serde::{Deserialize, Serialize};

use super::account::IncidentNumber;
use super::{Deed, Ruling};
use crate::hold::{Circuit, Hold};
use crate::ledger::{Ledgers, Mark, Trial};
use crate::limits;
use crate::policy::Breaker;
use crate::time::Timestamp;

pub(super) fn judge(deed: &Deed<'_>, ledgers: &Ledgers) -> Ruling {
    let Some(breaker) = &deed.policy.guard.breaker else {
        return Ruling::Unset;
    };
    let mut clear = "it did not fail often of late".to_owned();
    for circuit in circuits(deed, breaker) {
        let marks = newest(&circuit, breaker, ledgers);
        match position(&circuit, &marks, breaker, deed, ledgers) {
            Position::Closed => {}
            Position::Open { failures, until } => {
                return Ruling::Hold(Hold::BreakerOpen {
                    failures,
                    of: u32::try_from(marks.len()).unwrap_or(u32::MAX),
                    last: marks.iter().filter_map(|mark| told(mark)).take(TOLD).collect(),
                    until,
                    circuit,
                });
            }
            Position::HalfOpen { tried_by: Some(IncidentNumber(by)), .. } => {
                return Ruling::Hold(Hold::BreakerTried { circuit, by });
            }
            Position::HalfOpen { failures, tried_by: None } => {
                clear = format!("half open after {failures} failures: this is the trial");
            }
        }
    }
    Ruling::Clear(clear)
}

/// Lists the circuits that a deed closes: its remedy's own, and what that shares.
pub(super) fn circuits(deed: &Deed<'_>, breaker: &Breaker) -> impl Iterator<Item = Circuit> {
    Circuit::of(&deed.policy.name, &deed.remedy.name, breaker.shared.as_ref())
}

/// Where a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Position {
    /// It lets everybody pass.
    Closed,
    /// It lets nobody pass.
    Open {
        /// How many of the last results are failures.
        failures: u32,
        /// When one trial may pass.
        until: Timestamp,
    },
    /// It lets one incident try the remedy.
    HalfOpen {
        /// How many of the last results are failures.
        failures: u32,
        /// The other incident that tries it; `None` where the next one may.
        tried_by: Option<IncidentNumber>,
    },
}

/// Tells where a breaker stands by its newest results.
pub(super) fn position(
    circuit: &Circuit,
    marks: &[&Mark],
    breaker: &Breaker,
    deed: &Deed<'_>,
    ledgers: &Ledgers,
) -> Position {
    let Some(Open { newest, failures }) = Open::find(marks, breaker) else {
        return Position::Closed;
    };
    let until = newest.at + breaker.after;
    if until > deed.now {
        return Position::Open { failures, until };
    }
    let tried_by = ledgers.circuits.tried_by(circuit, deed.incident).map(IncidentNumber);
    Position::HalfOpen { failures, tried_by }
}

/// Lists the results that a breaker looks at, the newest first.
pub(super) fn newest<'a>(
    circuit: &Circuit,
    breaker: &Breaker,
    ledgers: &'a Ledgers,
) -> Vec<&'a Mark> {
    ledgers.circuits.newest(circuit).take(size(breaker)).collect()
}

/// How many of the last failures a reason tells.
const TOLD: usize = 3;

fn size(breaker: &Breaker) -> usize {
    usize::try_from(breaker.of).unwrap_or(usize::MAX).min(limits::CIRCUIT_MARKS)
}

fn failure(mark: &Mark) -> Option<&str> {
    match &mark.trial {
        Trial::Healed => None,
        Trial::Failed(why) | Trial::Worse(why) => Some(why),
    }
}

fn told(mark: &Mark) -> Option<String> {
    failure(mark).map(|why| format!("incident {}: {why}", mark.incident))
}

/// That a breaker does not let everybody pass.
struct Open<'a> {
    newest: &'a Mark,
    failures: u32,
}

impl<'a> Open<'a> {
    fn find(marks: &[&'a Mark], breaker: &Breaker) -> Option<Self> {
        let newest = *marks.first()?;
        failure(newest)?;
        let failed = marks.iter().filter(|mark| failure(mark).is_some()).count();
        let failures = u32::try_from(failed).unwrap_or(u32::MAX);
        let worse = matches!(newest.trial, Trial::Worse(_));
        (worse || failures >= breaker.failures).then_some(Self { newest, failures })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::{IncidentId, PolicyName};

    /// One letter a result, the oldest first: `h`ealed, `f`ailed, `w`orse.
    fn is_open(results: &str, breaker: &Breaker) -> bool {
        let marks: Vec<Mark> = results
            .bytes()
            .map(|result| Mark {
                at: Timestamp::EPOCH,
                policy: PolicyName::new("a"),
                incident: IncidentId(1),
                trial: match result {
                    b'h' => Trial::Healed,
                    b'f' => Trial::Failed("exited with code 1".into()),
                    _ => Trial::Worse("more alerts than before".into()),
                },
            })
            .collect();
        let newest: Vec<&Mark> = marks.iter().rev().take(size(breaker)).collect();
        Open::find(&newest, breaker).is_some()
    }

    #[test]
    fn three_failures_of_the_last_five_open_it_and_a_success_closes_it() {
        for (results, open) in [
            ("", false),
            ("ff", false),
            ("fff", true),
            ("fhfhf", true),
            ("ffhhf", true),
            ("ffhhhf", false),
            ("fffhhh", false),
            ("fffh", false),
            ("fffhf", true),
            ("hhhhhw", true),
            ("wh", false),
            ("whf", false),
        ] {
            assert_eq!(is_open(results, &Breaker::default()), open, "{results}");
        }
    }

    #[test]
    fn more_allowed_failures_never_open_it_sooner() {
        let results: Vec<String> = (0..2_u32.pow(6))
            .map(|n| (0..6).map(|place| ['h', 'f'][(n / 2_u32.pow(place) % 2) as usize]).collect())
            .collect();
        for failures in 1..5 {
            let strict = Breaker { failures, ..Breaker::default() };
            let wide = Breaker { failures: failures + 1, ..strict.clone() };
            for text in &results {
                let (narrow, wide) = (is_open(text, &strict), is_open(text, &wide));
                assert!(narrow || !wide, "{text} with {failures}");
            }
        }
    }
}
