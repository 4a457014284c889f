//! Freeze: no order in a policy's time intervals, by a calendar of our own.

use std::ops::RangeInclusive;
use std::sync::Arc;

use homeostat_core::interval::{Part, TimeInterval};
use homeostat_core::name::OrderId;
use homeostat_core::policy::Policy;
use homeostat_core::time::{Span, Timestamp};

use super::{Verdict, Violation};
use crate::zone::{FIRST, Zone, length};

/// Moments of a hold that are looked at.
const LOOKS: u64 = 8;

/// No order while a freeze lasts.
pub(super) fn is_thawed(policy: &Policy, id: &OrderId, now: Timestamp) -> Verdict {
    if is_frozen(&policy.guard.freeze, now) {
        return Err(Violation::new(now, "freeze", format!("order {id} in a time that is frozen")));
    }
    Ok(())
}

/// A hold lasts as long as the freeze, and no longer.
pub(super) fn is_held_rightly(
    policy: &Policy,
    until: Timestamp,
    ends: bool,
    now: Timestamp,
) -> Verdict {
    let intervals = &policy.guard.freeze;
    let whole = until.since(now).as_micros();
    let looks = (0..LOOKS).map(|look| now + Span::from_micros(whole / LOOKS * look));
    let last = until - Span::from_micros(1);
    let thawed = looks.chain([last]).find(|at| !is_frozen(intervals, *at));
    let text = match thawed {
        _ if until <= now => format!("a freeze holds until {until}, which is over"),
        Some(at) => format!("a freeze holds until {until}, and nothing is frozen at {at}"),
        None if ends && is_frozen(intervals, until) => {
            format!("a freeze is said to end at {until}, and goes on")
        }
        None => return Ok(()),
    };
    Err(Violation::new(now, "freeze", text))
}

fn is_frozen(intervals: &[Arc<TimeInterval>], at: Timestamp) -> bool {
    intervals.iter().flat_map(|interval| &interval.parts).any(|part| lies_in(part, at))
}

fn lies_in(part: &Part, at: Timestamp) -> bool {
    let Some(zone) = Zone::of(&part.zone) else { return false };
    let wall = Wall::at(at, zone);
    let last = wall.last_day;
    let counted = |day: i8| if day < 0 { last + day + 1 } else { day };
    let days = &part.days_of_month;
    (part.times.is_empty() || part.times.iter().any(|range| range.contains(&wall.minute)))
        && one_has(&part.weekdays, &wall.weekday)
        && one_has(&part.months, &wall.month)
        && one_has(&part.years, &wall.year)
        && (days.is_empty()
            || days
                .iter()
                .any(|range| (counted(*range.start())..=counted(*range.end())).contains(&wall.day)))
}

fn one_has<T: PartialOrd>(ranges: &[RangeInclusive<T>], value: &T) -> bool {
    ranges.is_empty() || ranges.iter().any(|range| range.contains(value))
}

/// What a clock and a calendar on the wall show.
#[derive(Debug, PartialEq, Eq)]
struct Wall {
    year: i16,
    month: i8,
    day: i8,
    /// Sunday as 0.
    weekday: i8,
    last_day: i8,
    minute: u16,
}

impl Wall {
    /// Counts days from the first of January 2026, a Thursday; worlds lie after it.
    fn at(at: Timestamp, zone: Zone) -> Self {
        const THURSDAY: i64 = 4;
        let minutes = at.micros().div_euclid(60_000_000) + zone.minutes_at(at) - FIRST;
        let (days, minute) = (minutes.div_euclid(1_440), minutes.rem_euclid(1_440));
        let (mut year, mut month, mut day) = (2026, 1, days);
        while day >= i64::from(length(year, month)) {
            day -= i64::from(length(year, month));
            (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
        }
        let small = |number: i64| i8::try_from(number).unwrap_or(i8::MAX);
        Self {
            year,
            month,
            day: small(day + 1),
            weekday: small((days + THURSDAY).rem_euclid(7)),
            last_day: length(year, month),
            minute: u16::try_from(minute).unwrap_or(u16::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::ZONES;

    #[test]
    fn the_calendar_is_that_of_the_wall() {
        for (at, zone, year, month, day, weekday, minute) in [
            ("2026-01-05T09:00:00Z", 0, 2026, 1, 5, 1, 540),
            ("2026-01-05T09:59:59Z", 3, 2026, 1, 5, 1, 659),
            ("2026-01-05T10:00:00Z", 3, 2026, 1, 5, 1, 720),
            ("2026-01-05T10:00:00Z", 4, 2026, 1, 5, 1, 660),
            ("2026-01-31T23:59:00Z", 1, 2026, 2, 1, 0, 329),
            ("2026-03-01T00:00:00Z", 2, 2026, 2, 28, 6, 1_230),
            ("2028-02-29T12:00:00Z", 0, 2028, 2, 29, 2, 720),
        ] {
            let wall = Wall::at(at.parse().unwrap(), ZONES[zone]);
            let found = (wall.year, wall.month, wall.day, wall.weekday, wall.minute);
            assert_eq!(found, (year, month, day, weekday, minute), "{at}");
        }
    }
}
