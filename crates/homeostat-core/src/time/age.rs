//! What is remembered for a time, and so many at most: the oldest is forgotten first.

use super::{Span, Timestamp};
use crate::collections::RisingSet;

/// Forgets the keys that are older than `memory`, and the oldest of more than `most`. Each is told.
pub(crate) fn forget<K: Ord + Clone>(
    by_age: &mut RisingSet<(Timestamp, K)>,
    now: Timestamp,
    memory: Span,
    most: usize,
    mut forgotten: impl FnMut(&K),
) {
    while let Some((at, _)) = by_age.first() {
        if now.since(*at) <= memory && by_age.len() <= most {
            return;
        }
        if let Some((_, key)) = by_age.pop_first() {
            forgotten(&key);
        }
    }
}
