//! The time zones of the worlds: how far their clocks are from UTC, and when they are changed.
//!
//! A book takes one as a value of `jiff`, and the oracle reads its clocks by the numbers here, so
//! that neither relies on what the other computes.

use homeostat_core::time::Timestamp;
use jiff::tz::{Offset, TimeZone};

/// A zone whose clocks change at most once while a world lasts, and back in its autumn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zone {
    /// The zone as POSIX writes it; where that is empty, its clocks never change.
    posix: &'static str,
    /// Minutes before UTC at first.
    before: i32,
    /// Minutes before UTC once the clocks were changed.
    after: i32,
}

/// When clocks change: an hour after every world begins, 2026-01-05T10:00:00Z.
const CHANGE: Timestamp = Timestamp::from_seconds(1_767_607_200);

/// The day on which they are changed back, at three o'clock: 2026-10-27. A freeze may last longer.
const CHANGED_BACK: Timestamp = Timestamp::from_seconds(1_793_059_200 + 3 * 3_600);

/// All zones.
pub const ZONES: [Zone; 5] = [
    Zone { posix: "", before: 0, after: 0 },
    Zone { posix: "", before: 330, after: 330 },
    Zone { posix: "", before: -210, after: -210 },
    // An hour is left out on the fifth day of the year, and one happens twice.
    Zone { posix: "WIN-1SUM-2,J5/11,J300/3", before: 60, after: 120 },
    Zone { posix: "WIN-1SUM-2,J300/3,J5/12", before: 120, after: 60 },
];

impl Zone {
    /// The zone as a part of a time interval holds it.
    pub fn value(self) -> TimeZone {
        if self.posix.is_empty() {
            let offset = Offset::from_seconds(self.before * 60);
            return TimeZone::fixed(offset.expect("the zones here lie within a day of UTC"));
        }
        TimeZone::posix(self.posix).expect("the zones here are written as POSIX asks")
    }

    /// The zone that a value came from.
    pub fn of(value: &TimeZone) -> Option<Self> {
        ZONES.into_iter().find(|zone| zone.value() == *value)
    }

    /// How many minutes its clocks are before UTC at a time.
    pub fn minutes_at(self, at: Timestamp) -> i64 {
        let local = Timestamp::from_micros(at.micros() + i64::from(self.after) * 60_000_000);
        let changed = at >= CHANGE && local < CHANGED_BACK;
        i64::from(if changed { self.after } else { self.before })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use homeostat_core::time::Span;

    #[test]
    fn clocks_show_what_the_zone_says_before_and_after_they_are_changed() {
        for zone in ZONES {
            assert_eq!(Zone::of(&zone.value()), Some(zone));
            let back = CHANGED_BACK.micros() - i64::from(zone.after) * 60_000_000;
            let back = Timestamp::from_micros(back);
            let second = Span::from_secs(1);
            for at in [CHANGE - second, CHANGE, CHANGE + second, back - second, back] {
                let moment = jiff::Timestamp::from_microsecond(at.micros()).unwrap();
                let shown = zone.value().to_offset(moment).seconds();
                assert_eq!(i64::from(shown), zone.minutes_at(at) * 60, "{zone:?} at {at}");
            }
        }
    }
}
