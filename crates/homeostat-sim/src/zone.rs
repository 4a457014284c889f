//! The time zones of the worlds: how far their clocks are from UTC, and when they are changed.
//!
//! A book takes one as a value of `jiff`, and the oracle reads its clocks by the numbers here, so
//! that neither relies on what the other computes.

use homeostat_core::time::Timestamp;
use jiff::tz::{Offset, TimeZone};

/// A zone whose clocks change at most once while a world lasts, back in its autumn, and so in each
/// further year: a freeze may last for longer than a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zone {
    /// The zone as POSIX writes it; where that is empty, its clocks never change.
    posix: &'static str,
    /// Minutes before UTC at first.
    before: i32,
    /// Minutes before UTC once the clocks were changed.
    after: i32,
}

const MINUTES_PER_DAY: i64 = 1_440;

/// The minute before which no world lies: 2026-01-01T00:00:00Z.
pub const FIRST: i64 = 29_453_760;

/// When clocks change, in minutes of the year by UTC: on the fifth of January at ten o'clock, in 2026
/// an hour after every world begins.
const CHANGE: i64 = 4 * MINUTES_PER_DAY + 10 * 60;

/// When they are changed back, in minutes of the year by the clocks themselves: on the 27th of October
/// at three o'clock. POSIX does not count a leap day.
const CHANGED_BACK: i64 = 299 * MINUTES_PER_DAY + 3 * 60;

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
        let (minute, leap_day) = minute_of_year(at);
        let changed_back = CHANGED_BACK + leap_day - i64::from(self.after);
        let changed = (CHANGE..changed_back).contains(&minute);
        i64::from(if changed { self.after } else { self.before })
    }
}

/// How many minutes of its year by UTC are over, and how many its leap day has.
fn minute_of_year(at: Timestamp) -> (i64, i64) {
    let (mut year, mut minute) = (2026, at.micros().div_euclid(60_000_000) - FIRST);
    loop {
        let leap_day = if length(year, 2) == 29 { MINUTES_PER_DAY } else { 0 };
        let whole = 365 * MINUTES_PER_DAY + leap_day;
        if minute < whole {
            return (minute, leap_day);
        }
        (year, minute) = (year + 1, minute - whole);
    }
}

/// How many days a month has.
pub fn length(year: i16, month: i8) -> i8 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
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
            let second = Span::from_secs(1);
            for begin in [FIRST, FIRST + 365 * MINUTES_PER_DAY, FIRST + 730 * MINUTES_PER_DAY] {
                let leap_day = i64::from(begin == FIRST + 730 * MINUTES_PER_DAY);
                let back = CHANGED_BACK + leap_day * MINUTES_PER_DAY - i64::from(zone.after);
                for minute in [begin, begin + CHANGE, begin + back] {
                    let at = Timestamp::from_seconds(minute * 60);
                    for at in [at - second, at, at + second] {
                        let moment = jiff::Timestamp::from_microsecond(at.micros()).unwrap();
                        let shown = zone.value().to_offset(moment).seconds();
                        assert_eq!(i64::from(shown), zone.minutes_at(at) * 60, "{zone:?} at {at}");
                    }
                }
            }
        }
    }
}
