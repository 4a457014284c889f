//! Concurrency: so many orders run at once, of the book and of the policy.

use super::{Bench, Deed, Ruling};
use crate::hold::{Hold, Scope};

pub(super) fn judge(deed: &Deed<'_>, bench: Bench<'_>) -> Ruling {
    let limits = [
        (Scope::Policy(deed.policy.name.clone()), deed.policy.guard.concurrency),
        (Scope::Book, bench.book.limits.concurrency),
    ];
    for (scope, max) in limits {
        let running = bench.ledgers.running(&scope);
        if running >= max {
            return Ruling::Hold(Hold::TooManyRunning { scope, running, max });
        }
    }
    Ruling::Clear("few enough orders are running".into())
}
