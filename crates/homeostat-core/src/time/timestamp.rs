//! Moments.
//!
//! Duty: hold, print and read them as RFC 3339, in bounds that printing can keep.
//! Not its duty: reading a clock, calendars, time zones.
//!
//! Source: RFC 3339.

use std::fmt;
use std::num::NonZeroU64;
use std::ops::{Add, Sub};
use std::str::FromStr;

use jiff::civil::DateTime;
use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

use super::{Parsing, Span};

const MICROS_PER_SECOND: i64 = 1_000_000;

/// A moment: microseconds since the Unix epoch, within the years 0000 to 9999.
///
/// It prints as RFC 3339 in UTC with as many digits of the fraction as it needs. Parsing accepts
/// any offset and any number of fraction digits, of which the first six count.
///
/// Source: RFC 3339.
///
/// ```
/// use homeostat_core::time::{Span, Timestamp};
///
/// let started: Timestamp = "2026-11-22T07:07:50.028807454+01:00".parse().unwrap();
/// assert_eq!(started.to_string(), "2026-11-22T06:07:50.028807Z");
/// assert_eq!((started + Span::from_secs(90)).since(started).to_string(), "1m30s");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(NonZeroU64);

/// What a moment counts from, in microseconds since the Unix epoch: [`Timestamp::MIN`] is 1, so that
/// no moment is 0 and an `Option` of one takes no more room. There is one in many maps.
const ORIGIN: i64 = -62_167_219_200 * MICROS_PER_SECOND - 1;

/// The latest moment, in microseconds since the Unix epoch.
const LAST: i64 = 253_402_207_200 * MICROS_PER_SECOND;

impl Timestamp {
    /// The Unix epoch, `1970-01-01T00:00:00Z`.
    pub const EPOCH: Self = Self::from_micros(0);
    /// The earliest moment, `0000-01-01T00:00:00Z`.
    pub const MIN: Self = Self::from_micros(i64::MIN);
    /// The latest moment, `9999-12-30T22:00:00Z`: the last full second that every time zone can
    /// still write with four digits of a year.
    pub const MAX: Self = Self::from_micros(i64::MAX);
    /// `0001-01-01T00:00:00Z`, how Go writes "no time": Alertmanager sends it as the end of an
    /// alert that still fires.
    pub const GO_ZERO: Self = Self::from_micros(-62_135_596_800 * MICROS_PER_SECOND);

    /// A moment from microseconds since the Unix epoch; beyond the ends, the nearest end.
    pub const fn from_micros(micros: i64) -> Self {
        let bounded = if micros <= ORIGIN {
            ORIGIN + 1
        } else if micros > LAST {
            LAST
        } else {
            micros
        };
        Self(NonZeroU64::new(bounded.abs_diff(ORIGIN)).expect("it was just bounded"))
    }

    /// A moment from whole seconds since the Unix epoch; beyond the ends, the nearest end.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self::from_micros(seconds.saturating_mul(MICROS_PER_SECOND))
    }

    /// A moment from Prometheus's floating point seconds, rounded to the microsecond.
    ///
    /// `None` when the number is not finite or lies outside the years 0000 to 9999: such a sample
    /// is not a time, and silently moving it to an end would invent one.
    pub fn from_seconds_f64(seconds: f64) -> Option<Self> {
        let micros = (seconds * 1e6).round();
        #[expect(clippy::cast_precision_loss, reason = "exact: multiples of 64 below 2^59")]
        let range = Self::MIN.micros() as f64..=Self::MAX.micros() as f64;
        #[expect(clippy::cast_possible_truncation, reason = "within the range just tested")]
        range.contains(&micros).then_some(Self::from_micros(micros as i64))
    }

    /// Microseconds since the Unix epoch, negative before it.
    pub const fn micros(self) -> i64 {
        ORIGIN.wrapping_add_unsigned(self.0.get())
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn seconds(self) -> i64 {
        self.micros().div_euclid(MICROS_PER_SECOND)
    }

    /// Returns the day in UTC, counted from 1970-01-01.
    pub const fn day(self) -> i64 {
        self.seconds().div_euclid(86_400)
    }

    /// Whether this is Go's zero time, which means "no time" wherever Go programs write one.
    pub const fn is_go_zero(self) -> bool {
        self.micros() == Self::GO_ZERO.micros()
    }

    /// The time that has passed since `earlier`, zero if `earlier` is not earlier.
    pub const fn since(self, earlier: Self) -> Span {
        Span::from_micros(self.0.get().saturating_sub(earlier.0.get()))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Timestamp").field(&self.micros()).finish()
    }
}

impl Add<Span> for Timestamp {
    type Output = Self;

    /// The moment `span` later, at most [`Timestamp::MAX`].
    fn add(self, span: Span) -> Self {
        Self::from_micros(self.micros().saturating_add_unsigned(span.as_micros()))
    }
}

impl Sub<Span> for Timestamp {
    type Output = Self;

    /// The moment `span` earlier, at least [`Timestamp::MIN`].
    fn sub(self, span: Span) -> Self {
        Self::from_micros(self.micros().saturating_sub_unsigned(span.as_micros()))
    }
}

/// Prints RFC 3339 in UTC. A precision rounds the fraction of the second: `{:.0}` prints whole
/// seconds, for sentences.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = jiff::Timestamp::from_microsecond(self.micros())
            .expect("MIN and MAX lie within jiff's range of timestamps");
        fmt::Display::fmt(&moment, f)
    }
}

impl FromStr for Timestamp {
    type Err = ParseTimestampError;

    fn from_str(input: &str) -> Result<Self, Self::Err> {
        let wrong = |cause| ParseTimestampError { input: input.to_owned(), cause };
        let mut scan = Scan { rest: input.as_bytes() };
        let (year, month, day) = scan.date().ok_or(wrong("expected a date as in 2026-11-22"))?;
        scan.any_of(b"Tt ").ok_or(wrong("expected `T` between date and time"))?;
        let (hour, minute, second) = scan.clock().ok_or(wrong("expected a time as in 06:07:50"))?;
        let micros = scan.fraction().ok_or(wrong("expected digits after the point"))?;
        let offset = scan.offset().ok_or(wrong("expected `Z` or an offset as in +01:00"))?;
        if !scan.rest.is_empty() {
            return Err(wrong("expected nothing after the offset"));
        }
        // A leap second is the first moment of the next minute: no clock here can hold it.
        let leap = i64::from(second == 60);
        let second = if second == 60 { 59 } else { second };
        let civil = DateTime::new(year, month, day, hour, minute, second, 0)
            .map_err(|_| wrong("there is no such date or time"))?;
        let epoch = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
        let seconds = civil.duration_since(epoch).as_secs() + leap - offset;
        Ok(Self::from_micros(seconds * MICROS_PER_SECOND + micros))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Parsing::new("an RFC 3339 time"))
    }
}

/// Why a text is not a time: RFC 3339, as in `2026-11-22T06:07:50Z`, is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseTimestampError {
    input: String,
    cause: &'static str,
}

impl fmt::Display for ParseTimestampError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not an RFC 3339 time: {}", self.input, self.cause)
    }
}

impl std::error::Error for ParseTimestampError {}

/// Reads the fixed fields of RFC 3339 from the front of a text.
///
/// jiff's own reader is not used: it refuses fractions of more than nine digits and the last day
/// of the year 9999, which is a common way to write "never".
struct Scan<'a> {
    rest: &'a [u8],
}

impl Scan<'_> {
    fn any_of(&mut self, accepted: &[u8]) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        accepted.contains(first).then(|| {
            self.rest = rest;
            *first
        })
    }

    fn digits(&mut self, count: usize) -> Option<i16> {
        (0..count).try_fold(0_i16, |number, _| {
            self.any_of(b"0123456789").map(|digit| number * 10 + i16::from(digit - b'0'))
        })
    }

    fn two_digits(&mut self) -> Option<i8> {
        self.digits(2).and_then(|number| i8::try_from(number).ok())
    }

    fn date(&mut self) -> Option<(i16, i8, i8)> {
        let year = self.digits(4)?;
        self.any_of(b"-")?;
        let month = self.two_digits()?;
        self.any_of(b"-")?;
        Some((year, month, self.two_digits()?))
    }

    fn clock(&mut self) -> Option<(i8, i8, i8)> {
        let hour = self.two_digits()?;
        self.any_of(b":")?;
        let minute = self.two_digits()?;
        self.any_of(b":")?;
        Some((hour, minute, self.two_digits()?))
    }

    /// The fraction in microseconds, rounded down; zero if there is none.
    fn fraction(&mut self) -> Option<i64> {
        if self.any_of(b".,").is_none() {
            return Some(0);
        }
        let mut micros = 0;
        let mut unit = MICROS_PER_SECOND / 10;
        let mut digits = 0_usize;
        while let Some(digit) = self.any_of(b"0123456789") {
            micros += i64::from(digit - b'0') * unit;
            unit /= 10;
            digits += 1;
        }
        (digits > 0).then_some(micros)
    }

    /// The offset in seconds, positive east of Greenwich.
    fn offset(&mut self) -> Option<i64> {
        let sign = match self.any_of(b"Zz+-")? {
            b'+' => 1,
            b'-' => -1,
            _ => return Some(0),
        };
        let hours = self.two_digits().filter(|hours| *hours < 24)?;
        self.any_of(b":")?;
        let minutes = self.two_digits().filter(|minutes| *minutes < 60)?;
        Some(sign * (i64::from(hours) * 3_600 + i64::from(minutes) * 60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_precision_rounds_the_printed_fraction() {
        let moment: Timestamp = "2026-11-22T06:07:50.528807Z".parse().unwrap();
        assert_eq!(moment.to_string(), "2026-11-22T06:07:50.528807Z");
        assert_eq!(format!("{moment:.0}"), "2026-11-22T06:07:50Z");
    }

    #[test]
    fn times_print_as_rfc_3339_in_utc() {
        for (input, printed) in [
            ("2026-11-22T06:07:50.028807454Z", "2026-11-22T06:07:50.028807Z"),
            ("2026-11-22T06:07:50Z", "2026-11-22T06:07:50Z"),
            ("2026-11-22T06:07:50.500Z", "2026-11-22T06:07:50.5Z"),
            ("2026-11-22T07:07:50.5+01:00", "2026-11-22T06:07:50.5Z"),
            ("2026-01-01T00:30:00+05:30", "2025-12-31T19:00:00Z"),
            ("2026-11-22t06:07:50z", "2026-11-22T06:07:50Z"),
            ("2026-11-22 06:07:50-00:00", "2026-11-22T06:07:50Z"),
            ("2026-11-22T06:07:50.1234567890123456789Z", "2026-11-22T06:07:50.123456Z"),
            ("1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z"),
            ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
            ("0000-01-01T00:00:00+23:59", "0000-01-01T00:00:00Z"),
            ("9999-12-31T23:59:59Z", "9999-12-30T22:00:00Z"),
        ] {
            assert_eq!(at(input).to_string(), printed, "{input}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_a_reason() {
        for (input, reason) in [
            ("", "expected a date as in 2026-11-22"),
            ("now", "expected a date as in 2026-11-22"),
            ("2026-11-22", "expected `T` between date and time"),
            ("2026-11-22T6:07:50Z", "expected a time as in 06:07:50"),
            ("2026-11-22T06:07:50", "expected `Z` or an offset as in +01:00"),
            ("2026-11-22T06:07:50+24:00", "expected `Z` or an offset as in +01:00"),
            ("2026-11-22T06:07:50.Z", "expected digits after the point"),
            ("2026-11-22T06:07:50Z ", "expected nothing after the offset"),
            ("2026-02-29T06:07:50Z", "there is no such date or time"),
            ("2026-11-22T24:00:00Z", "there is no such date or time"),
            ("2026-11-22T06:07:61Z", "there is no such date or time"),
        ] {
            let error = input.parse::<Timestamp>().unwrap_err().to_string();
            assert_eq!(error, format!("{input:?} is not an RFC 3339 time: {reason}"));
        }
    }

    #[test]
    fn the_zero_time_of_go_is_recognised() {
        assert!(at("0001-01-01T00:00:00Z").is_go_zero());
        assert!(!at("0001-01-01T00:00:00.000001Z").is_go_zero());
        assert!(!Timestamp::MIN.is_go_zero());
        assert!(at("0001-01-01T00:00:00Z") < Timestamp::EPOCH);
    }

    #[test]
    fn seconds_of_prometheus_become_times_if_they_are_any() {
        let time = Timestamp::from_seconds_f64(1_795_327_670.028).unwrap();
        assert_eq!(time.micros(), 1_795_327_670_028_000);
        assert_eq!(Timestamp::from_seconds_f64(-0.5), Some(Timestamp::from_micros(-500_000)));
        for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e12, -1e12, 1e300] {
            assert_eq!(Timestamp::from_seconds_f64(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn arithmetic_stops_at_the_ends() {
        let start = Timestamp::from_seconds(100);
        assert_eq!(start + Span::from_secs(5), Timestamp::from_seconds(105));
        assert_eq!(start - Span::from_millis(1), Timestamp::from_micros(99_999_000));
        assert_eq!(start.since(Timestamp::EPOCH), Span::from_secs(100));
        assert_eq!(Timestamp::EPOCH.since(start), Span::ZERO);
        assert_eq!(Timestamp::MAX + Span::MAX, Timestamp::MAX);
        assert_eq!(Timestamp::MIN - Span::MAX, Timestamp::MIN);
        assert_eq!(Timestamp::MAX.since(Timestamp::MIN), Span::MAX);
        assert_eq!(Timestamp::from_seconds(i64::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::from_micros(i64::MIN), Timestamp::MIN);
    }

    #[test]
    fn seconds_round_down() {
        assert_eq!(Timestamp::from_micros(1_999_999).seconds(), 1);
        assert_eq!(Timestamp::from_micros(-1).seconds(), -1);
    }

    #[test]
    fn json_is_the_printed_time() {
        let time = at("2026-11-22T06:07:50.5Z");
        assert_eq!(serde_json::to_string(&time).unwrap(), r#""2026-11-22T06:07:50.5Z""#);
        let read = serde_json::from_str::<Timestamp>(r#""2026-11-22T07:07:50.5+01:00""#);
        assert_eq!(read.unwrap(), time);
        assert!(serde_json::from_str::<Timestamp>("5").is_err());
    }

    proptest! {
        #[test]
        fn every_time_reads_back_as_it_prints(micros in any::<i64>()) {
            let time = Timestamp::from_micros(micros);
            prop_assert_eq!(time.to_string().parse(), Ok(time));
        }

        #[test]
        fn times_of_our_age_read_back_as_they_print(micros in 0..4_000_000_000_000_000_i64) {
            let time = Timestamp::from_micros(micros);
            prop_assert_eq!(time.to_string().parse(), Ok(time));
        }

        #[test]
        fn a_span_later_is_that_span_since(
            micros in 0..4_000_000_000_000_000_i64,
            span in 0..4_000_000_000_000_000_u64,
        ) {
            let (time, span) = (Timestamp::from_micros(micros), Span::from_micros(span));
            prop_assert_eq!((time + span).since(time), span);
            prop_assert_eq!(time + span - span, time);
        }
    }
}
