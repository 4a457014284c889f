//! Concurrency: so many orders run at once, of the book, of the policy, and of its team where that has a
//! limit.
//!
//! Of the book's, the last quarter is kept for those of which few run, as it is with the rate; and
//! a question to a person is no order.

use super::{Bench, Ruling};
use crate::hold::{Hold, Scope};
use crate::policy::Policy;

pub(super) fn judge(policy: &Policy, bench: Bench<'_>) -> Ruling {
    for (scope, max) in limits(policy, bench) {
        let running = bench.ledgers.running(&scope);
        if running >= max {
            return Ruling::Hold(Hold::TooManyRunning { scope, running, max });
        }
    }
    let (max, all) = (bench.book.limits.concurrency, bench.ledgers.running(&Scope::Book));
    let team = policy.about.team.clone();
    let unit = team.clone().map_or_else(|| Scope::Policy(policy.name.clone()), Scope::Team);
    let running = bench.ledgers.running(&unit);
    match bench.book.kept_of(max) {
        Some((kept, part)) if running >= part && all + kept >= max => {
            let policy = policy.name.clone();
            Ruling::Hold(Hold::ShareRunning { policy, team, running, max, kept })
        }
        Some(_) | None => Ruling::Clear("few enough orders are running".into()),
    }
}

/// Lists what is counted, and how many may run.
pub(super) fn limits(policy: &Policy, bench: Bench<'_>) -> Vec<(Scope, u32)> {
    let own = (Scope::Policy(policy.name.clone()), policy.guard.concurrency);
    let team = bench.book.team_of(policy);
    let team =
        team.and_then(|(name, limits)| Some((Scope::Team(name.clone()), limits.concurrency?)));
    let book = (Scope::Book, bench.book.limits.concurrency);
    [own].into_iter().chain(team).chain([book]).collect()
}
