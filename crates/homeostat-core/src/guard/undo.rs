//! May an order be taken back now?
//!
//! An undo repairs what we broke a moment ago, so that the guards that keep us from acting too
//! often do not hold it. Those hold it that speak for a person, or for what happens now:
//!
//! | guard | an undo | because |
//! |---|---|---|
//! | `pause` | is held | a person said that nothing starts |
//! | `lock` | is held by another's | its own incident has the locks, and keeps them |
//! | `concurrency` | is held | what the machine can carry does not depend on what it is for |
//! | `regression` | is held unless it is still worse | somebody may have repaired it meanwhile |
//! | `rate` | is counted, not held | worse for an hour is no price for a limit |
//! | `freeze` | – | it keeps things as they are, and an undo brings that back |
//! | `watchdog` | – | `regression` asks a witness, and holds where nobody knows |
//! | `flap`, `breaker` | – | they keep us from doing again what did not help |
//! | `cooldown`, `attempts` | – | there is at most one for an order, and it is no healing |
//! | `fresh`, `silence` | – | they are about the alert that was to be healed |

use super::{Bench, Judgement, Ruling, Weather, concurrency, lock, pause, rate, settle};
use crate::clock::After;
use crate::evidence::Evidence;
use crate::hold::{Guard, Hold, Stop};
use crate::name::IncidentId;
use crate::plan::LockKey;
use crate::policy::Policy;
use crate::regression::{Baseline, Change};
use crate::time::Timestamp;

/// What is about to be taken back.
#[derive(Debug, Clone, Copy)]
pub struct Reversal<'a> {
    /// For which incident.
    pub incident: IncidentId,
    /// Under which policy.
    pub policy: &'a Policy,
    /// What the order that is taken back has locked.
    pub locks: &'a [LockKey],
    /// What was there before that order.
    pub baseline: &'a Baseline,
    /// What was stamped since it was found to be worse.
    pub since: After,
    /// When.
    pub now: Timestamp,
}

/// Judges whether an order may be taken back. Without evidence the ledgers alone judge, so that
/// nobody is asked about what is held anyway.
pub fn judge_undo(
    reversal: &Reversal<'_>,
    bench: Bench<'_>,
    evidence: Option<&Evidence>,
) -> Judgement {
    let mut rulings = vec![
        (Guard::Pause, pause::judge(bench.ledgers)),
        (Guard::Lock, lock_of(reversal, bench)),
        (Guard::Concurrency, concurrency::judge(reversal.policy, bench)),
    ];
    if let Some(evidence) = evidence {
        rulings.push((Guard::Regression, is_still_worse(reversal, evidence)));
    }
    settle(rulings, || rate::charges(reversal.policy, bench, &Weather::Calm, reversal.now))
}

fn lock_of(reversal: &Reversal<'_>, bench: Bench<'_>) -> Ruling {
    lock::judge((reversal.incident, None), reversal.locks, bench.ledgers, reversal.now)
}

fn is_still_worse(reversal: &Reversal<'_>, evidence: &Evidence) -> Ruling {
    match reversal.baseline.compare(reversal.since, evidence) {
        Change::Worse { text } => Ruling::Clear(format!("still worse: {text}")),
        Change::Same => Ruling::Stop(Stop::NothingIsWorse),
        Change::Unknown { text } => Ruling::Hold(Hold::NoListing { why: text }),
    }
}
