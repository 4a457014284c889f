//! What the guards have counted for one deed, and what each says of it now: for a person who asks.
//!
//! Every number is read from the ledgers by the guard that judges orders by it, and every opinion is
//! that guard's own ruling, so that what is shown and what is done cannot differ. Nothing can be done
//! with it: there is no permit in it, and nothing is charged.
//!
//! Not asked: the guards that judge by evidence. Whoever reads this must not set off questions to
//! others, and evidence that is older than an order is worth nothing to it.

use serde::{Deserialize, Serialize};

use super::{Bench, Deed, Ruling, blast_radius, breaker, cooldown, flap, ledger_rulings, watchdog};
use crate::hold::{Circuit, Guard, Scope};
use crate::ledger::{Mark, Pause};
use crate::name::{IncidentId, RemedyName};
use crate::plan::LockKey;
use crate::policy::{Policy, Rate};
use crate::reach::Sum;
use crate::storm::Storm;
use crate::time::{Span, Timestamp};

pub use breaker::Position;
pub use flap::Penalized;
pub use watchdog::Heard;

/// The number of an incident as the API writes it, as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct IncidentNumber(pub IncidentId);

impl From<IncidentNumber> for String {
    fn from(number: IncidentNumber) -> Self {
        number.0.to_string()
    }
}

impl TryFrom<String> for IncidentNumber {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(|number| Self(IncidentId(number)))
    }
}

/// What one guard says of an order that would be issued now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opinion {
    /// The guard.
    pub guard: Guard,
    /// What it says.
    #[serde(flatten)]
    pub says: Says,
}

/// What a guard says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "verdict")]
pub enum Says {
    /// Nothing speaks against it.
    Clear {
        /// Why.
        reason: String,
    },
    /// Not now.
    Hold {
        /// Why.
        reason: String,
        /// Until when, where time alone ends it.
        until: Option<Timestamp>,
    },
    /// Never for this incident.
    Stop {
        /// Why.
        reason: String,
    },
}

/// What the guards have counted for a target under a policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Who paused everything; `None` where nobody did.
    pub pause: Option<Pause>,
    /// What it would lock, and who has locked it.
    pub locks: Vec<Lock>,
    /// The token buckets that an order is taken from, all of them together.
    pub rates: Vec<Bucket>,
    /// The orders that run.
    pub running: Vec<Running>,
    /// The orders of the incident.
    pub attempts: Attempts,
    /// When the watchdog was heard of; `None` where the policy has none.
    pub watchdog: Option<Heard>,
    /// How the target flaps; `None` where that is not damped.
    pub flap: Option<Penalized>,
    /// The other targets that count; `None` where the policy has no blast radius.
    pub blast_radius: Option<Sum>,
    /// How many targets fire; `None` where nothing is a storm.
    pub storm: Option<Firing>,
}

/// A lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// What is locked.
    pub key: LockKey,
    /// By which incident; `None` where it is free.
    pub held_by: Option<IncidentNumber>,
}

/// A token bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// What is counted.
    pub scope: Scope,
    /// How many tokens it holds at most.
    pub max: u32,
    /// In which time it fills.
    pub per: Span,
    /// How many tokens are in it.
    pub tokens: u32,
    /// When the next order may be; `None` where it may be now.
    pub next_at: Option<Timestamp>,
}

/// Orders that run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// What is counted.
    pub scope: Scope,
    /// How many run.
    pub running: u32,
    /// How many may.
    pub max: u32,
}

/// The orders of one incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempts {
    /// How many it has had, those of the incident of which it is a relapse included.
    pub used: u32,
    /// How many it may have.
    pub max: u32,
}

/// The targets of a policy that fire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Firing {
    /// How many.
    pub targets: u64,
    /// The storm that they make; `None` where it is calm.
    pub storm: Option<Storm>,
}

/// What is counted for one remedy, and what the guards say of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RemedyAccount {
    /// The remedy.
    pub remedy: RemedyName,
    /// What the guards say that look at the remedy.
    pub opinions: Vec<Opinion>,
    /// Its breakers: its own, and what it shares; none where the policy has switched them off.
    pub breakers: Vec<Breaking>,
}

/// Where a breaker stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Breaking {
    /// What it interrupts.
    pub circuit: Circuit,
    /// Where it stands.
    pub position: Position,
    /// The results that it looks at, the newest first.
    pub results: Vec<Mark>,
}

/// Counts what the guards judge a deed by.
pub fn counts(deed: &Deed<'_>, bench: Bench<'_>) -> Counts {
    let (policy, ledgers) = (deed.policy, bench.ledgers);
    let guards = &policy.guard;
    let lock =
        |key: &LockKey| Lock { key: key.clone(), held_by: ledgers.holder(key).map(IncidentNumber) };
    let storms = ledgers.storms();
    Counts {
        // As it is shown: how somebody is known, and from where they came, is not for all who ask.
        pause: ledgers.paused.clone().map(|p| Pause { by: p.by.to_string().into(), ..p }),
        locks: deed.locks.iter().map(lock).collect(),
        rates: super::rate::buckets(policy, bench)
            .into_iter()
            .map(|b| bucket(b, deed, bench))
            .collect(),
        running: super::concurrency::limits(policy, bench)
            .into_iter()
            .map(|(scope, max)| Running { running: ledgers.running(&scope), scope, max })
            .collect(),
        attempts: Attempts { used: deed.ladder.orders, max: guards.attempts },
        watchdog: guards.watchdog.as_ref().map(|_| Heard::of(deed.watchdog)),
        flap: flap::penalized(deed, ledgers),
        blast_radius: blast_radius::sum(deed, ledgers, None),
        storm: guards.storm.as_ref().map(|_| Firing {
            targets: ledgers.count_firing(&policy.name),
            storm: storms.get(&policy.name).cloned(),
        }),
    }
}

fn bucket((scope, rate): (Scope, Rate), deed: &Deed<'_>, bench: Bench<'_>) -> Bucket {
    let next_at = bench.ledgers.next_token(&scope, rate).filter(|at| *at > deed.now);
    let tokens = bench.ledgers.tokens(&scope, rate, deed.now);
    Bucket { scope, max: rate.max, per: rate.per, tokens, next_at }
}

/// Lists what the guards say that look at the policy and the target, whatever the remedy is.
pub fn opinions(deed: &Deed<'_>, bench: Bench<'_>) -> Vec<Opinion> {
    let mut rulings = ledger_rulings(deed, bench);
    rulings.retain(|(guard, _)| !matches!(guard, Guard::Cooldown | Guard::Breaker));
    rulings.push((Guard::BlastRadius, blast_radius::judge(deed, bench.ledgers, None)));
    told(rulings)
}

/// Counts what the guards judge the remedy of a deed by, and lists what they say of it.
pub fn of_remedy(deed: &Deed<'_>, bench: Bench<'_>) -> RemedyAccount {
    let rulings = vec![
        (Guard::Cooldown, cooldown::judge(deed, bench.ledgers)),
        (Guard::Breaker, breaker::judge(deed, bench.ledgers)),
    ];
    RemedyAccount {
        remedy: deed.remedy.name.clone(),
        opinions: told(rulings),
        breakers: breakers(deed.policy, deed, bench),
    }
}

fn breakers(policy: &Policy, deed: &Deed<'_>, bench: Bench<'_>) -> Vec<Breaking> {
    let Some(breaker) = &policy.guard.breaker else { return Vec::new() };
    breaker::circuits(deed, breaker)
        .map(|circuit| {
            let marks = breaker::newest(&circuit, breaker, bench.ledgers);
            let position = breaker::position(&circuit, &marks, breaker, deed, bench.ledgers);
            Breaking { position, results: marks.into_iter().cloned().collect(), circuit }
        })
        .collect()
}

fn told(rulings: Vec<(Guard, Ruling)>) -> Vec<Opinion> {
    let opinion = |(guard, ruling)| {
        let says = match ruling {
            Ruling::Unset | Ruling::Unapproved => return None,
            Ruling::Clear(reason) => Says::Clear { reason },
            Ruling::Hold(hold) => {
                Says::Hold { reason: bare(guard, &hold.to_string()), until: hold.until() }
            }
            Ruling::Stop(stop) => Says::Stop { reason: bare(guard, &stop.to_string()) },
        };
        Some(Opinion { guard, says })
    };
    rulings.into_iter().filter_map(opinion).collect()
}

/// A reason without the guard's name before it: that stands beside it.
fn bare(guard: Guard, reason: &str) -> String {
    let prefix = format!("{guard}: ");
    reason.strip_prefix(&prefix).unwrap_or(reason).to_owned()
}
