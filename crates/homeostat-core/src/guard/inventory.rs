//! Inventory: how many targets a policy has. Not a guard, but what two of them must know.
//!
//! It is asked each time that a guard judges by it, and never taken from the alerts. An answer that
//! is missing, or that counts none although one is about to be healed, is no inventory.

use std::sync::Arc;

use super::{Deed, Ruling};
use crate::evidence::{Ask, Evidence};
use crate::hold::{Guard, Hold};
use crate::policy::Book;

/// Lists the inventories that the guards of a deed must know, each once.
pub(super) fn questions(deed: &Deed<'_>, book: &Book) -> Vec<Ask> {
    let limits = &deed.policy.guard;
    let radius = limits.blast_radius.as_ref().and_then(|radius| radius.extent.inventory());
    let storm = limits.storm.as_ref().map(|storm| &storm.inventory);
    let mut asks: Vec<Ask> = Vec::new();
    let leading = deed.firing.first().map(|(alert, _)| &alert.labels);
    for promql in [radius, storm].into_iter().flatten().cloned() {
        let by = book.witnesses.asked(deed.policy, leading);
        let ask = Ask::Inventory { promql, by };
        if !asks.contains(&ask) {
            asks.push(ask);
        }
    }
    asks
}

/// Returns how many targets there are: at least one.
///
/// # Errors
///
/// Nobody knows, for a person.
pub(super) fn count(query: &Arc<str>, evidence: &Evidence) -> Result<u64, String> {
    match evidence.inventory(query) {
        Some(Ok(0)) => Err(format!("the inventory counts none, and here is one ({query})")),
        Some(Ok(count)) => Ok(*count),
        Some(Err(trouble)) => Err(format!("{} ({query})", trouble.0)),
        None => Err(format!("nobody was asked ({query})")),
    }
}

/// Holds for want of an inventory.
pub(super) fn hold(asked_by: Guard, why: String) -> Ruling {
    Ruling::Hold(Hold::NoInventory { asked_by, why })
}
