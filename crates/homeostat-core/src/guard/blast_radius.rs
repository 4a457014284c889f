//! Blast radius: of all the targets of a policy, only so many are acted on in a time.
//!
//! Distinct targets acted on within `window`, those in flight, and this one: at most
//! `max(min, min(max, ⌊percent · inventory / 100⌋))`. In flight is a target on which an order
//! runs, is being proven, or will be tried again. A target that counts already counts once: its
//! retries and next remedies are not refused because of itself. Each policy counts by itself, also
//! where several share a target.
//!
//! How many targets there are comes from an inventory, never from the alerts: a mistake that makes
//! everything fire would also make it look like a lot. An inventory that is empty, fails, or counts
//! none at all denies.
//!
//! Source: the outage of Amazon S3 in February 2017 (a command took away capacity without a
//! floor), and Google's Diskerase (an empty set of machines was read as all of them).

use super::{Deed, Ruling, inventory};
use crate::evidence::Evidence;
use crate::hold::{Guard, Hold};
use crate::ledger::Ledgers;
use crate::reach::Sum;

/// Judges where the policy has a blast radius: without evidence, by what it never exceeds.
pub(super) fn judge(deed: &Deed<'_>, ledgers: &Ledgers, evidence: Option<&Evidence>) -> Ruling {
    let Some(radius) = &deed.policy.guard.blast_radius else { return Ruling::Unset };
    let inventory = match (radius.extent.inventory(), evidence) {
        (Some(query), Some(evidence)) => match inventory::count(query, evidence) {
            Ok(count) => Some(count),
            Err(why) => return inventory::hold(Guard::BlastRadius, why),
        },
        (Some(_), None) | (None, _) => None,
    };
    let Some(sum) = sum(deed, ledgers, inventory) else { return Ruling::Unset };
    if sum.has_room() {
        return Ruling::Clear(sum.to_string());
    }
    let (window, now) = (radius.window, deed.now);
    let reach = ledgers.reach(&deed.policy.name);
    let most = sum.allowed().checked_sub(1);
    let until = most.and_then(|most| reach?.room_at(deed.target, window, most, now));
    Ruling::Hold(Hold::BeyondRadius { sum: Box::new(sum), judged_at: now, until })
}

/// Counts the targets, where the policy has a blast radius.
pub(super) fn sum(deed: &Deed<'_>, ledgers: &Ledgers, inventory: Option<u64>) -> Option<Sum> {
    let radius = deed.policy.guard.blast_radius.as_ref()?;
    let (policy, window) = (deed.policy.name.clone(), radius.window);
    let reach = ledgers.reach(&policy);
    let others = reach.map(|reach| reach.others(deed.target, window, deed.now));
    let (others, extent) = (others.unwrap_or_default(), radius.extent.clone());
    Some(Sum { policy, others, extent, inventory, window })
}
