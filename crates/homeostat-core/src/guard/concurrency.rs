//! Concurrency: so many orders run at once, of the book and of the policy.
//!
//! Of the book's, the last quarter is kept for policies of which few run, as it is with the rate; and
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
    let running = bench.ledgers.running(&Scope::Policy(policy.name.clone()));
    match bench.book.kept_of(max) {
        Some((kept, part)) if running >= part && all + kept >= max => {
            Ruling::Hold(Hold::ShareRunning { policy: policy.name.clone(), running, max, kept })
        }
        Some(_) | None => Ruling::Clear("few enough orders are running".into()),
    }
}

/// Lists what is counted, and how many may run.
pub(super) fn limits(policy: &Policy, bench: Bench<'_>) -> [(Scope, u32); 2] {
    [
        (Scope::Policy(policy.name.clone()), policy.guard.concurrency),
        (Scope::Book, bench.book.limits.concurrency),
    ]
}
