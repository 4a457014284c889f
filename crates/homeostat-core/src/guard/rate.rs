//! Rate: token buckets for the book and for the policy, taken from together.
//!
//! A run that certainly did not start before a restart has taken its share already, and takes no
//! other.
//!
//! Source: the generic cell rate algorithm (ITU-T I.371), see [`crate::ledger::Charge`].

use super::{Bench, Deed, Ruling, Weather};
use crate::hold::{Hold, Scope};
use crate::ledger::Charge;
use crate::policy::{Policy, Rate};
use crate::time::Timestamp;

pub(super) fn judge(deed: &Deed<'_>, bench: Bench<'_>) -> Ruling {
    if deed.returned {
        return Ruling::Clear("its share of the rate was taken when it was first permitted".into());
    }
    let mut latest = None;
    for (scope, rate) in buckets(deed.policy, bench) {
        match bench.ledgers.next_token(&scope, rate) {
            Some(until) if until > deed.now => {
                let hold = Hold::RateSpent { scope, max: rate.max, per: rate.per, until };
                if latest.as_ref().and_then(Hold::until).is_none_or(|other| other < until) {
                    latest = Some(hold);
                }
            }
            Some(_) | None => {}
        }
    }
    latest.map_or_else(|| Ruling::Clear("within the rate".into()), Ruling::Hold)
}

/// Charges the buckets, the policy's by its slower rate in a storm.
pub(super) fn charges(
    policy: &Policy,
    bench: Bench<'_>,
    weather: &Weather,
    now: Timestamp,
) -> Vec<Charge> {
    let slowed = |scope: &Scope, rate| match scope {
        Scope::Policy(_) => weather.slowed(rate).unwrap_or(rate),
        Scope::Book => rate,
    };
    buckets(policy, bench)
        .into_iter()
        .map(|(scope, rate)| {
            let rate = slowed(&scope, rate);
            (scope, rate)
        })
        .map(|(scope, rate)| bench.ledgers.charge(scope, rate, now))
        .collect()
}

/// Lists the buckets that an order is taken from.
pub(super) fn buckets(policy: &Policy, bench: Bench<'_>) -> [(Scope, Rate); 2] {
    [(Scope::Book, bench.book.limits.rate), (Scope::Policy(policy.name.clone()), policy.guard.rate)]
}
