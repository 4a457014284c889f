//! Cooldown: time lies between two healings of one target, `base·2ⁿ` after n healings in a row
//! that did not hold. Retries and the next remedy of one incident are exempt.
//!
//! A target is its labels and their values. It does not matter which policy healed it, or what that
//! policy is called now: a machine that was restarted a moment ago is not restarted for another
//! reason. Nor does a policy that comes to a target make it one that holds: n is what is known of the
//! target by any policy.

use super::{Deed, Ruling};
use crate::hold::{Cooling, Hold};
use crate::ledger::Ledgers;
use crate::limits;
use crate::time::Span;

pub(super) fn judge(deed: &Deed<'_>, ledgers: &Ledgers) -> Ruling {
    if deed.continues {
        return Ruling::Clear("the same incident goes on".into());
    }
    let subject = (deed.policy.name.clone(), deed.target.clone());
    let pasts: Vec<_> = ledgers.pasts(&subject).collect();
    if pasts.is_empty() {
        return Ruling::Clear("this target was not healed before".into());
    }
    let others = pasts.iter().filter(|(by, _)| **by != subject.0).map(|(_, past)| past.unheld);
    let unheld = others.fold(deed.unheld, u32::max);
    let cooldown = length(deed.policy.guard.cooldown, unheld);
    let counts = pasts.iter().flat_map(|(_, past)| {
        let closed = past.closed_at.map(|at| (at + cooldown, Cooling::Closed(past.incident)));
        let ran = past.ran_at.get(&deed.remedy.name).map(|&at| (at + cooldown, Cooling::Ran));
        closed.into_iter().chain(ran)
    });
    match counts.max_by_key(|(until, _)| *until) {
        Some((until, since)) if until > deed.now => {
            Ruling::Hold(Hold::CoolingDown { since, cooldown, unheld, until })
        }
        Some(_) | None => Ruling::Clear(format!("the last healing is more than {cooldown} ago")),
    }
}

fn length(base: Span, unheld: u32) -> Span {
    base.saturating_mul(1 << unheld.min(20)).min(limits::COOLDOWN_CAP.max(base))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cooldown_doubles_up_to_its_cap() {
        let minutes = |m: u64| Span::from_secs(m * 60);
        for (base, unheld, wanted) in [
            (minutes(5), 0, minutes(5)),
            (minutes(5), 1, minutes(10)),
            (minutes(5), 3, minutes(40)),
            (minutes(5), 60, limits::COOLDOWN_CAP),
            (minutes(3000), 2, minutes(3000)),
            (Span::ZERO, 9, Span::ZERO),
        ] {
            assert_eq!(length(base, unheld), wanted);
        }
    }
}
