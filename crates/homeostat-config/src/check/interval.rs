//! `time_intervals`: names, ranges and time zones, in Alertmanager's terms.
//!
//! A time zone is looked up here, in the database that the program carries, and becomes a value:
//! the decision core looks nothing up, and two engines of one version agree about every hour,
//! whatever is installed where they run. What Alertmanager refuses is refused here, too.
//!
//! Source: `timeinterval/timeinterval.go` of Alertmanager.

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use homeostat_core::interval::{Part, TimeInterval};
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::Names;
use crate::limits;
use crate::nearest::nearest;
use crate::raw::interval as raw;
use crate::read::{Field, Problems, Spanned, Text};
use crate::report::Problem;

/// All time intervals by name.
#[derive(Debug, Default)]
pub(super) struct Intervals {
    known: BTreeMap<String, Arc<TimeInterval>>,
    /// Whether some could not be read: a name that is missing may be theirs.
    torn: bool,
}

impl Intervals {
    /// Finds the intervals that a list names, and reports those that there are not.
    pub(super) fn named(&self, list: &[Text], problems: &mut Problems) -> Vec<Arc<TimeInterval>> {
        let mut found: Vec<Arc<TimeInterval>> = Vec::new();
        for name in list {
            match self.known.get(&name.value) {
                Some(interval) if found.contains(interval) => {
                    let message = format!("{:?} is named twice", name.value);
                    problems.report(Problem::error(name.span.clone(), message));
                }
                Some(interval) => found.push(interval.clone()),
                None if self.torn => {}
                None => problems.report(self.unknown(name)),
            }
        }
        if list.len() > limits::FREEZE_INTERVALS {
            let message = format!("more than {} time intervals", limits::FREEZE_INTERVALS);
            problems.report(Problem::error(list[0].span.clone(), message));
        }
        found
    }

    fn unknown(&self, name: &Text) -> Problem {
        let message = format!("there is no time interval {:?}", name.value);
        let problem = Problem::error(name.span.clone(), message);
        let names = self.known.keys().map(String::as_str);
        match nearest(&name.value, names.clone()) {
            Some(meant) => problem.help(format!("did you mean {meant:?}?")),
            None if self.known.is_empty() => {
                problem.help("define it under `time_intervals`, at the top level of the file")
            }
            None => problem.help(format!("there are: {}", names.collect::<Vec<_>>().join(", "))),
        }
    }
}

/// Checks all time intervals.
pub(super) fn check(
    field: &Field<Spanned<Vec<raw::TimeInterval>>>,
    problems: &mut Problems,
) -> Intervals {
    let list = match field {
        Field::Absent => return Intervals::default(),
        Field::Wrong => return Intervals { torn: true, ..Intervals::default() },
        Field::Given(list) => list,
    };
    let zones = TimeZoneDatabase::bundled();
    let mut names = Names::of("time interval");
    let mut intervals = Intervals::default();
    for raw in &list.value {
        let name = names.check(&raw.name, &raw.span, problems);
        intervals.torn |= name.is_empty();
        let parts = parts(raw, &zones, problems);
        let interval = TimeInterval { name: name.as_str().into(), parts };
        intervals.known.insert(name, Arc::new(interval));
    }
    intervals
}

/// Checks the parts of a time interval.
pub(crate) fn parts(
    raw: &raw::TimeInterval,
    zones: &TimeZoneDatabase,
    problems: &mut Problems,
) -> Vec<Part> {
    let list = match &raw.parts {
        Field::Given(list) => list,
        Field::Absent => {
            let message = "this time interval has no `time_intervals`";
            let problem = Problem::error(raw.span.clone(), message);
            problems.report(problem.help(
                "write when it is, as in time_intervals: [{ weekdays: [\"monday:friday\"] }]",
            ));
            return Vec::new();
        }
        Field::Wrong => return Vec::new(),
    };
    if list.value.is_empty() {
        problems.report(Problem::warning(list.span.clone(), "this time interval is never"));
    }
    if list.value.len() > limits::INTERVAL_PARTS {
        let message = format!("more than {} parts", limits::INTERVAL_PARTS);
        problems.report(Problem::error(list.span.clone(), message));
    }
    list.value.iter().map(|raw| part(raw, zones, problems)).collect()
}

fn part(raw: &raw::Part, zones: &TimeZoneDatabase, problems: &mut Problems) -> Part {
    Part {
        times: listed(&raw.times, problems).iter().filter_map(|t| times(t, problems)).collect(),
        weekdays: ranges(&raw.weekdays, "weekday", weekday, 0..=6, problems),
        days_of_month: days_of_month(&raw.days_of_month, problems),
        months: ranges(&raw.months, "month", month, 1..=12, problems),
        years: ranges(&raw.years, "year", number, 0..=9999, problems),
        zone: zone(&raw.location, zones, problems),
    }
}

/// An empty list is no time at all in Alertmanager, and easily meant as any time.
fn listed<'a, T>(field: &'a Field<Spanned<Vec<T>>>, problems: &mut Problems) -> &'a [T] {
    let Some(list) = field.given() else { return &[] };
    if list.value.is_empty() {
        let problem = Problem::error(list.span.clone(), "an empty list contains no time");
        problems.report(problem.help("to mean any, leave the key out"));
    }
    &list.value
}

fn zone(field: &Field<Text>, zones: &TimeZoneDatabase, problems: &mut Problems) -> TimeZone {
    let Some(text) = field.given() else { return TimeZone::UTC };
    let local = text.value.eq_ignore_ascii_case("local");
    match zones.get(&text.value) {
        Ok(zone) if !local => zone,
        Ok(_) | Err(_) => {
            let message = format!("there is no time zone {:?}", text.value);
            let problem = Problem::error(text.span.clone(), message);
            problems.report(if local {
                problem.help("name the zone, so that it is the same wherever the engine runs")
            } else {
                match meant_zone(&text.value, zones) {
                    Some(meant) => problem.help(format!("did you mean {meant:?}?")),
                    None => problem.help("zones have IANA's names, as Europe/Berlin or UTC"),
                }
            });
            TimeZone::UTC
        }
    }
}

fn meant_zone(name: &str, zones: &TimeZoneDatabase) -> Option<String> {
    let names: BTreeMap<String, String> =
        zones.available().map(|name| (name.as_str().to_lowercase(), name.to_string())).collect();
    let meant = nearest(name, names.keys().map(String::as_str))?;
    names.get(meant).cloned()
}

fn times(raw: &raw::Times, problems: &mut Problems) -> Option<Range<u16>> {
    for (key, missing) in [("start_time", &raw.start), ("end_time", &raw.end)] {
        if missing.is_absent() {
            let message = format!("this time range has no `{key}`");
            let problem = Problem::error(raw.span.clone(), message);
            problems.report(
                problem.help("write both, as in { start_time: \"09:00\", end_time: \"17:00\" }"),
            );
        }
    }
    let mut minute = |text: &Text| {
        let minute = minute(&text.value);
        if minute.is_none() {
            let message = format!("{:?} is not a time of the day", text.value);
            let problem = Problem::error(text.span.clone(), message);
            problems.report(problem.help("write hours and minutes, from \"00:00\" to \"24:00\""));
        }
        minute
    };
    let (start, end) = (raw.start.given().map(&mut minute), raw.end.given().map(&mut minute));
    let (start, end) = (start.flatten()?, end.flatten()?);
    if start >= end {
        let problem = Problem::error(raw.span.clone(), "this time range ends before it begins");
        problems.report(problem.help(
            "a range lies within one day: write two, one to \"24:00\" and one from \"00:00\"",
        ));
        return None;
    }
    Some(start..end)
}

/// Reads `HH:MM`, both with two digits.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let two = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    if !two(hour) || !two(minute) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let valid = (hour < 24 && minute < 60) || (hour == 24 && minute == 0);
    valid.then_some(hour * 60 + minute)
}

const WEEKDAYS: [&str; 7] =
    ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

fn place(word: &str, words: &[&str]) -> Result<i16, Option<String>> {
    match words.iter().position(|known| *known == word) {
        Some(place) => Ok(i16::try_from(place).unwrap_or(i16::MAX)),
        None => Err(nearest(word, words.iter().copied()).map(str::to_owned)),
    }
}

fn weekday(word: &str) -> Result<i16, Option<String>> {
    place(word, &WEEKDAYS)
}

fn month(word: &str) -> Result<i16, Option<String>> {
    number(word).or_else(|_| place(word, &MONTHS).map(|place| place + 1))
}

fn number(word: &str) -> Result<i16, Option<String>> {
    word.parse().map_err(|_| None)
}

/// Reads one end of a range: the value, or the word that was probably meant.
type ReadEnd = fn(&str) -> Result<i16, Option<String>>;

/// Reads `first:last` or a single one.
fn ends(text: &Text, kind: &str, read: ReadEnd, problems: &mut Problems) -> Option<(i16, i16)> {
    let whole = text.value.to_lowercase();
    let (first, last) = whole.split_once(':').unwrap_or((&whole, &whole));
    let mut end = |word: &str| match read(word) {
        Ok(value) => Some(value),
        Err(meant) => {
            let message = format!("{word:?} is not a {kind}");
            let problem = Problem::error(text.span.clone(), message);
            problems.report(match meant {
                Some(meant) => problem.help(format!("did you mean {meant:?}?")),
                None => problem.help(format!("write a {kind}, or a range as \"first:last\"")),
            });
            None
        }
    };
    let first = end(first)?;
    let last = if whole.contains(':') { end(last)? } else { first };
    Some((first, last))
}

fn ranges<T: TryFrom<i16>>(
    field: &Field<Spanned<Vec<Text>>>,
    kind: &str,
    read: ReadEnd,
    allowed: RangeInclusive<i16>,
    problems: &mut Problems,
) -> Vec<RangeInclusive<T>> {
    let mut found = Vec::new();
    for text in listed(field, problems) {
        let Some((first, last)) = ends(text, kind, read, problems) else { continue };
        if !allowed.contains(&first) || !allowed.contains(&last) {
            let message = format!("{:?} is not a {kind}", text.value);
            problems.report(Problem::error(text.span.clone(), message));
        } else if first > last {
            let message = format!("{:?} ends before it begins", text.value);
            let problem = Problem::error(text.span.clone(), message);
            problems.report(problem.help("write two ranges"));
        } else if let (Ok(first), Ok(last)) = (T::try_from(first), T::try_from(last)) {
            found.push(first..=last);
        }
    }
    found
}

/// Days count from the month's start or, negative, from its end. A range that ends before it
/// begins in the shortest month is refused, as in Alertmanager.
fn days_of_month(
    field: &Field<Spanned<Vec<Text>>>,
    problems: &mut Problems,
) -> Vec<RangeInclusive<i8>> {
    let mut found = Vec::new();
    for text in listed(field, problems) {
        let Some((first, last)) = ends(text, "day of the month", number, problems) else {
            continue;
        };
        let from_start = |day: i16| if day < 0 { 28 + day } else { day };
        let wrong = if [first, last].iter().any(|day| *day == 0 || day.abs() > 31) {
            Some("days of the month are 1 to 31, or -1 to -31 from its end")
        } else if first < 0 && last > 0 {
            Some("a range that begins from the month's end must end from it, too")
        } else if from_start(first) > from_start(last) {
            Some("this range ends before it begins")
        } else {
            None
        };
        match (wrong, i8::try_from(first), i8::try_from(last)) {
            (None, Ok(first), Ok(last)) => found.push(first..=last),
            (wrong, _, _) => {
                let message = wrong.unwrap_or("this is not a day of the month");
                problems.report(Problem::error(text.span.clone(), message));
            }
        }
    }
    found
}
