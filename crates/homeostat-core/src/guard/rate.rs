//! Rate: token buckets for the book, for the policy, and for its team where that has a limit, taken from
//! together.
//!
//! A run that certainly did not start before a restart has taken its share already, and takes no
//! other.
//!
//! | a run | is held by the policy's bucket | by the team's and the book's |
//! |---|---|---|
//! | for which a person is still to be asked | no: the question is no order | no |
//! | that a person approved | yes, and before all others of its policy | no, and is counted |
//! | any other, one that was approved ahead as well | yes | yes, and the last quarter of the book's is kept for those that took little |
//!
//! The last quarter is there so that the storm of one leaves room for the others: each of them may take
//! as much of it as if they shared it. Those who share are teams, and policies that are no team's: a
//! team has one part, however many its policies are. A limit of fewer than four is too small to be
//! shared.
//!
//! Source: the generic cell rate algorithm (ITU-T I.371), see [`crate::ledger::Charge`].

use super::{Bench, Deed, Ruling, Weather};
use crate::approval::Consent;
use crate::hold::{Hold, Scope};
use crate::ledger::Charge;
use crate::limits;
use crate::policy::{Policy, Rate};
use crate::time::Timestamp;

pub(super) fn judge(deed: &Deed<'_>, bench: Bench<'_>) -> Ruling {
    if deed.returned {
        return Ruling::Clear("its share of the rate was taken when it was first permitted".into());
    }
    if matches!(deed.consent, Consent::Sought) {
        return Ruling::Clear("a person is asked before it takes its share of the rate".into());
    }
    let policy = (Scope::Policy(deed.policy.name.clone()), deed.policy.guard.rate);
    if matches!(deed.consent, Consent::Given(_)) {
        return match spent(policy, deed, bench) {
            Some(hold) => Ruling::Hold(hold),
            None => Ruling::Clear("approved, and within the rate of its policy".into()),
        };
    }
    let book = spent((Scope::Book, bench.book.limits.rate), deed, bench);
    let book = book.or_else(|| had_its_share(deed, bench));
    let team = of_team(deed.policy, bench).and_then(|team| spent(team, deed, bench));
    let latest = book.into_iter().chain(team).chain(spent(policy, deed, bench));
    let latest = latest.max_by_key(Hold::until);
    let behind = deed.behind.map(|incident| Hold::BehindApproved {
        incident,
        until: deed.now + limits::BEHIND_APPROVED,
    });
    match latest.or(behind) {
        Some(hold) => Ruling::Hold(hold),
        None => Ruling::Clear("within the rate".into()),
    }
}

fn spent((scope, rate): (Scope, Rate), deed: &Deed<'_>, bench: Bench<'_>) -> Option<Hold> {
    let until = bench.ledgers.next_token(&scope, rate).filter(|until| *until > deed.now)?;
    Some(Hold::RateSpent { scope, max: rate.max, per: rate.per, until })
}

/// Holds a policy that would take from what is kept for others, though it had its part of that.
fn had_its_share(deed: &Deed<'_>, bench: Bench<'_>) -> Option<Hold> {
    let rate = bench.book.limits.rate;
    let (kept, part) = bench.book.kept_of(rate.max)?;
    let share = share_of(deed.policy);
    let taken = rate.max - bench.ledgers.tokens(&share, rate, deed.now);
    let until = bench.ledgers.tokens_at(&Scope::Book, rate, kept + 1)?;
    let hold = Hold::ShareTaken {
        policy: deed.policy.name.clone(),
        team: deed.policy.about.team.clone(),
        taken,
        max: rate.max,
        per: rate.per,
        kept,
        until,
    };
    (taken >= part && until > deed.now).then_some(hold)
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
        Scope::Book | Scope::Team(_) | Scope::Share(_) | Scope::TeamShare(_) => rate,
    };
    let book = bench.book.limits.rate;
    let shared = bench.book.kept_of(book.max).is_some();
    let share = shared.then(|| (share_of(policy), book));
    buckets(policy, bench)
        .into_iter()
        .chain(share)
        .map(|(scope, rate)| {
            let rate = slowed(&scope, rate);
            bench.ledgers.charge(scope, rate, now)
        })
        .collect()
}

/// Lists the buckets that an order is taken from.
pub(super) fn buckets(policy: &Policy, bench: Bench<'_>) -> Vec<(Scope, Rate)> {
    let book = (Scope::Book, bench.book.limits.rate);
    let own = (Scope::Policy(policy.name.clone()), policy.guard.rate);
    [book].into_iter().chain(of_team(policy, bench)).chain([own]).collect()
}

fn of_team(policy: &Policy, bench: Bench<'_>) -> Option<(Scope, Rate)> {
    let (team, limits) = bench.book.team_of(policy)?;
    Some((Scope::Team(team.clone()), limits.rate?))
}

/// Whose part of what all share an order of a policy is taken from.
fn share_of(policy: &Policy) -> Scope {
    match &policy.about.team {
        Some(team) => Scope::TeamShare(team.clone()),
        None => Scope::Share(policy.name.clone()),
    }
}
