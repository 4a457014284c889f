//! Concurrency: so many orders run at once, of the book and of the policy.

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
    Ruling::Clear("few enough orders are running".into())
}

/// Lists what is counted, and how many may run.
pub(super) fn limits(policy: &Policy, bench: Bench<'_>) -> [(Scope, u32); 2] {
    [
        (Scope::Policy(policy.name.clone()), policy.guard.concurrency),
        (Scope::Book, bench.book.limits.concurrency),
    ]
}
