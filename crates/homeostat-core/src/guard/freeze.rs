//! Freeze: in some times nothing is done by itself, as in business hours or during a release.
//!
//! Rule: while the present moment lies in one of the named time intervals, orders are held: also
//! retries and the next remedy of an incident that has acted. What runs is finished and verified.
//! The hold lasts to the end of the freeze, over all of the policy's intervals that follow each
//! other without a gap.
//!
//! Source: `time_intervals` of Alertmanager, see [`crate::interval`].

use super::{Deed, Ruling};
use crate::hold::Hold;
use crate::interval;

pub(super) fn judge(deed: &Deed<'_>) -> Ruling {
    let intervals = &deed.policy.guard.freeze;
    match interval::cover(intervals, deed.wall) {
        Some(cover) => Ruling::Hold(Hold::Frozen {
            intervals: cover.names.iter().map(ToString::to_string).collect(),
            local: cover.local,
            until: deed.now + cover.until.since(deed.wall),
            ends: cover.ends,
        }),
        None if intervals.is_empty() => Ruling::Unset,
        None => Ruling::Clear("outside of its time intervals".into()),
    }
}
