//! Time intervals: sets of moments by calendar and clock, in Alertmanager's terms.
//!
//! Duty: does a moment lie in an interval, and until when is that so. Not its duty: reading them
//! from a file, and finding a time zone by its name. A zone arrives here as a value with all of its
//! transitions in it, so that nothing is looked up.
//!
//! ```text
//!  times ∧ weekdays ∧ days of month ∧ months ∧ years = a part;  part ∨ part = an interval
//! ```
//!
//! What counts is what a clock on the wall of that zone shows. A time that daylight saving skips
//! does not happen on that day; one that it repeats happens twice.
//!
//! Source: `timeinterval/timeinterval.go` of Alertmanager (`ContainsTime`).

use std::fmt::Write;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::limits;
use crate::time::{Span, Timestamp};

const MINUTES_PER_DAY: u16 = 24 * 60;

/// A set of moments, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeInterval {
    /// Its name, unique in a configuration.
    pub name: Arc<str>,
    /// A moment lies in the interval if it lies in one of these.
    pub parts: Vec<Part>,
}

/// One part of an interval: what is left empty is always so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Minutes of the day; the end is not included, and may be the day's end (1440).
    pub times: Vec<Range<u16>>,
    /// Days of the week, Sunday as 0.
    pub weekdays: Vec<RangeInclusive<i8>>,
    /// Days of the month, from 1; negative ones count from its end, the last day as -1.
    pub days_of_month: Vec<RangeInclusive<i8>>,
    /// Months, from 1.
    pub months: Vec<RangeInclusive<i8>>,
    /// Years.
    pub years: Vec<RangeInclusive<i16>>,
    /// Whose clocks and calendars count.
    pub zone: TimeZone,
}

impl Part {
    /// Returns until when a moment's surroundings surely lie in this part, if it does itself: to
    /// the end of its time range, to midnight, or to the next change of the zone's clocks.
    fn lasts(&self, at: Timestamp) -> Option<Timestamp> {
        let moment = moment(at);
        let local = self.zone.to_datetime(moment);
        if !self.has_date(local.date()) {
            return None;
        }
        let end = self.time_end(minute(local))?;
        let change = self.zone.following(moment).next();
        let change =
            change.map(|change| Timestamp::from_micros(change.timestamp().as_microsecond()));
        let by_clock = at + Span::from_micros(micros_until(local, end));
        Some(change.map_or(by_clock, |change| by_clock.min(change)))
    }

    fn has_date(&self, date: Date) -> bool {
        is_in(&self.years, &date.year())
            && is_in(&self.months, &date.month())
            && is_in(&self.weekdays, &date.weekday().to_sunday_zero_offset())
            && self.has_day(date)
    }

    /// Days beyond the month's last are cut off, so that a range never reaches into another month.
    fn has_day(&self, date: Date) -> bool {
        let last = date.days_in_month();
        let from_start = |day: i8| if day < 0 { last + day + 1 } else { day };
        self.days_of_month.is_empty()
            || self.days_of_month.iter().any(|range| {
                let (first, end) = (from_start(*range.start()), from_start(*range.end()));
                first <= date.day() && date.day() <= end
            })
    }

    /// The end of the time range in which a minute lies.
    fn time_end(&self, minute: u16) -> Option<u16> {
        if self.times.is_empty() {
            return Some(MINUTES_PER_DAY);
        }
        self.times.iter().filter(|range| range.contains(&minute)).map(|range| range.end).max()
    }
}

fn is_in<T: PartialOrd>(ranges: &[RangeInclusive<T>], value: &T) -> bool {
    ranges.is_empty() || ranges.iter().any(|range| range.contains(value))
}

fn moment(at: Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_microsecond(at.micros())
        .expect("a timestamp lies within jiff's range of timestamps")
}

fn minute(local: DateTime) -> u16 {
    u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs())
}

fn micros_until(local: DateTime, end: u16) -> u64 {
    let seconds = u64::from(minute(local)) * 60 + u64::from(local.second().unsigned_abs());
    let micros = u64::from(local.subsec_nanosecond().unsigned_abs()) / 1_000;
    (u64::from(end) * 60_000_000).saturating_sub(seconds * 1_000_000 + micros)
}

/// That a moment lies in some intervals, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cover {
    /// The intervals that cover the time from the moment to `until`, in that order.
    pub names: Vec<Arc<str>>,
    /// The first moment that lies in none of them; where `ends` is false, how far was looked.
    pub until: Timestamp,
    /// Whether the end was found.
    pub ends: bool,
    /// `until` as a clock of the last interval's zone shows it.
    pub local: String,
}

/// Looks whether a moment lies in one of these intervals, and for the end of that: of all of them
/// together, so that one which begins where another ends goes on with it.
pub fn cover(intervals: &[Arc<TimeInterval>], now: Timestamp) -> Option<Cover> {
    let parts = || intervals.iter().flat_map(|whole| whole.parts.iter().map(move |p| (whole, p)));
    let longest = |at: Timestamp| {
        let lasting = parts().filter_map(|(whole, part)| Some((part.lasts(at)?, whole, part)));
        lasting.max_by_key(|(until, _, _)| *until)
    };
    let (mut until, first, mut part) = longest(now)?;
    let mut names = vec![first.name.clone()];
    let mut ends = false;
    let steps = limits::FREEZE_LOOKS / parts().count().max(1);
    for _ in 0..steps.min(limits::FREEZE_STEPS) {
        let Some((later, next, its_part)) = longest(until) else {
            ends = true;
            break;
        };
        if !names.contains(&next.name) {
            names.push(next.name.clone());
        }
        (until, part) = (later, its_part);
    }
    Some(Cover { names, until, ends, local: shown(until, &part.zone) })
}

fn shown(at: Timestamp, zone: &TimeZone) -> String {
    let local = zone.to_datetime(moment(at));
    let (year, month, day) = (local.year(), local.month(), local.day());
    let (hour, minute, second) = (local.hour(), local.minute(), local.second());
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}");
    if second != 0 {
        // Writing to a text cannot fail.
        let _ = write!(text, ":{second:02}");
    }
    text + " " + zone.iana_name().unwrap_or("UTC")
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZoneDatabase;

    fn zone(name: &str) -> TimeZone {
        TimeZoneDatabase::bundled().get(name).unwrap()
    }

    fn any(name: &str) -> Part {
        Part {
            times: Vec::new(),
            weekdays: Vec::new(),
            days_of_month: Vec::new(),
            months: Vec::new(),
            years: Vec::new(),
            zone: zone(name),
        }
    }

    fn hours(name: &str, from: u16, to: u16) -> Part {
        Part { times: std::iter::once(from * 60..to * 60).collect(), ..any(name) }
    }

    fn end(part: &Part, now: &str) -> Option<String> {
        let whole = TimeInterval { name: "x".into(), parts: vec![part.clone()] };
        cover(&[Arc::new(whole)], now.parse().unwrap()).map(|cover| cover.local)
    }

    #[test]
    fn a_moment_lies_in_a_part_by_the_clock_of_its_zone() {
        let business = Part { weekdays: vec![1..=5], ..hours("Europe/Berlin", 9, 17) };
        for (now, until) in [
            ("2026-01-05T07:59:59Z", None),
            ("2026-01-05T08:00:00Z", Some("2026-01-05T17:00 Europe/Berlin")),
            ("2026-01-05T15:59:59.999999Z", Some("2026-01-05T17:00 Europe/Berlin")),
            ("2026-01-05T16:00:00Z", None),
            ("2026-07-06T07:00:00Z", Some("2026-07-06T17:00 Europe/Berlin")),
            ("2026-01-04T10:00:00Z", None),
        ] {
            assert_eq!(end(&business, now).as_deref(), until, "{now}");
        }
    }

    #[test]
    fn days_months_and_years_count_as_in_alertmanager() {
        let days = |range: RangeInclusive<i8>| Part { days_of_month: vec![range], ..any("UTC") };
        for (part, now, inside) in [
            (days(-1..=-1), "2026-02-28T12:00:00Z", true),
            (days(-1..=-1), "2028-02-28T12:00:00Z", false),
            (days(-3..=-1), "2026-04-28T00:00:00Z", true),
            (days(-3..=-1), "2026-04-27T23:59:59Z", false),
            (days(-31..=-31), "2026-04-01T00:00:00Z", false),
            (days(31..=31), "2026-04-30T12:00:00Z", false),
            (days(29..=31), "2026-04-30T12:00:00Z", true),
            (days(RangeInclusive::new(1, -2)), "2026-04-30T12:00:00Z", false),
            (Part { months: vec![1..=3, 12..=12], ..any("UTC") }, "2026-12-31T00:00:00Z", true),
            (Part { months: vec![1..=3, 12..=12], ..any("UTC") }, "2026-04-01T00:00:00Z", false),
            (Part { years: vec![2027..=2028], ..any("UTC") }, "2026-12-31T23:59:59Z", false),
            (Part { years: vec![2027..=2028], ..any("UTC") }, "2027-01-01T00:00:00Z", true),
            (Part { weekdays: vec![0..=0], ..any("UTC") }, "2026-01-04T00:00:00Z", true),
            (Part { weekdays: vec![6..=6], ..any("Asia/Tokyo") }, "2026-01-02T15:00:00Z", true),
        ] {
            assert_eq!(end(&part, now).is_some(), inside, "{part:?} at {now}");
        }
    }

    #[test]
    fn a_time_that_daylight_saving_skips_does_not_happen() {
        let night = hours("Europe/Berlin", 2, 3);
        assert_eq!(end(&night, "2026-03-29T00:59:59Z"), None, "01:59:59, a second before the gap");
        assert_eq!(end(&night, "2026-03-29T01:00:00Z"), None, "03:00, right after it");
        let across = hours("Europe/Berlin", 1, 4);
        let until = cover(
            &[Arc::new(TimeInterval { name: "x".into(), parts: vec![across] })],
            "2026-03-29T00:30:00Z".parse().unwrap(),
        );
        assert_eq!(until.map(|c| c.until.to_string()).as_deref(), Some("2026-03-29T02:00:00Z"));
    }

    #[test]
    fn a_time_that_daylight_saving_repeats_happens_twice() {
        let night = Part { times: std::iter::once(120..150).collect(), ..any("Europe/Berlin") };
        let until = |now: &str| {
            let whole = TimeInterval { name: "x".into(), parts: vec![night.clone()] };
            cover(&[Arc::new(whole)], now.parse().unwrap()).map(|cover| cover.until.to_string())
        };
        assert_eq!(until("2026-10-25T00:00:00Z").as_deref(), Some("2026-10-25T00:30:00Z"));
        assert_eq!(until("2026-10-25T00:45:00Z"), None);
        assert_eq!(until("2026-10-25T01:00:00Z").as_deref(), Some("2026-10-25T01:30:00Z"));
        let whole_hour = hours("Europe/Berlin", 2, 3);
        assert_eq!(
            end(&whole_hour, "2026-10-25T00:10:00Z").as_deref(),
            Some("2026-10-25T03:00 Europe/Berlin"),
            "both hours follow each other"
        );
    }

    #[test]
    fn a_day_that_a_zone_skips_does_not_confuse_the_search() {
        // Samoa left out 30 December 2011.
        let december = Part { months: vec![12..=12], ..any("Pacific/Apia") };
        let until = end(&december, "2011-12-30T05:00:00Z");
        assert_eq!(until.as_deref(), Some("2012-01-01T00:00 Pacific/Apia"));
    }

    #[test]
    fn intervals_that_touch_are_one_freeze() {
        let interval =
            |name: &str, part| Arc::new(TimeInterval { name: name.into(), parts: vec![part] });
        let both = [
            interval("evening", hours("UTC", 20, 24)),
            interval("night", hours("UTC", 0, 6)),
            interval("noon", hours("UTC", 12, 13)),
        ];
        let cover = cover(&both, "2026-01-05T21:00:00Z".parse().unwrap()).unwrap();
        assert_eq!(cover.local, "2026-01-06T06:00 UTC");
        assert_eq!(cover.names, ["evening".into(), "night".into()]);
        assert!(cover.ends);
    }

    #[test]
    fn the_search_for_an_end_is_bounded() {
        let always = Arc::new(TimeInterval { name: "x".into(), parts: vec![any("UTC")] });
        let now: Timestamp = "2026-01-05T12:00:00Z".parse().unwrap();
        let cover = cover(&[always], now).unwrap();
        assert!(!cover.ends);
        assert!(cover.until.since(now) > Span::from_secs(365 * 86_400), "{}", cover.until);
    }

    #[test]
    fn no_intervals_cover_nothing() {
        let nothing = Arc::new(TimeInterval { name: "x".into(), parts: Vec::new() });
        assert_eq!(cover(&[], Timestamp::EPOCH), None);
        assert_eq!(cover(&[nothing], Timestamp::EPOCH), None);
    }
}
