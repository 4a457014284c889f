//! Moments and lengths of time, as values.
//!
//! Duty: [`Timestamp`] is a moment, [`Span`] a length of time; both are whole microseconds, both
//! print and parse the way the Prometheus ecosystem writes them, and no sum of them can fail.
//! Every reading of a clock arrives here from outside: this module cannot tell what time it is.
//!
//! ```text
//!   MIN ───── 0001-01-01 (Go's zero) ───── 1970 ───── now ───── MAX      Timestamp
//!                                            ├── 1h30m ──┤               Span
//! ```
//!
//! Both types are bounded by what they can print: a moment lies within the years 0000 to 9999, a
//! span below the 292 years that a Prometheus duration can hold. Arithmetic stops at these ends,
//! so that whatever was stored can be read back.
//!
//! Not its duty: calendars, time zones and freeze windows.
//!
//! Source: RFC 3339; `model/time.go` of `prometheus/common` for durations.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;

use jiff::SignedDuration;
use jiff::civil::DateTime;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

const MICROS_PER_MILLI: u64 = 1_000;
const MICROS_PER_SECOND: u64 = 1_000_000;
const MICROS_PER_SECOND_SIGNED: i64 = 1_000_000;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The Unix epoch, `1970-01-01T00:00:00Z`.
    pub const EPOCH: Self = Self(0);
    /// The earliest moment, `0000-01-01T00:00:00Z`.
    pub const MIN: Self = Self(-62_167_219_200 * MICROS_PER_SECOND_SIGNED);
    /// The latest moment, `9999-12-30T22:00:00Z`: the last full second that every time zone can
    /// still write with four digits of a year.
    pub const MAX: Self = Self(253_402_207_200 * MICROS_PER_SECOND_SIGNED);
    /// `0001-01-01T00:00:00Z`, how Go writes "no time": Alertmanager sends it as the end of an
    /// alert that still fires.
    pub const GO_ZERO: Self = Self(-62_135_596_800 * MICROS_PER_SECOND_SIGNED);

    /// A moment from microseconds since the Unix epoch; beyond the ends, the nearest end.
    pub const fn from_micros(micros: i64) -> Self {
        if micros < Self::MIN.0 {
            Self::MIN
        } else if micros > Self::MAX.0 {
            Self::MAX
        } else {
            Self(micros)
        }
    }

    /// A moment from whole seconds since the Unix epoch; beyond the ends, the nearest end.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self::from_micros(seconds.saturating_mul(MICROS_PER_SECOND_SIGNED))
    }

    /// A moment from Prometheus's floating point seconds, rounded to the microsecond.
    ///
    /// `None` when the number is not finite or lies outside the years 0000 to 9999: such a sample
    /// is not a time, and silently moving it to an end would invent one.
    pub fn from_seconds_f64(seconds: f64) -> Option<Self> {
        let micros = (seconds * 1e6).round();
        #[expect(clippy::cast_precision_loss, reason = "the ends are whole seconds below 2^53 ms")]
        let range = Self::MIN.0 as f64..=Self::MAX.0 as f64;
        #[expect(clippy::cast_possible_truncation, reason = "within the range just tested")]
        range.contains(&micros).then_some(Self(micros as i64))
    }

    /// Microseconds since the Unix epoch, negative before it.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(MICROS_PER_SECOND_SIGNED)
    }

    /// Whether this is Go's zero time, which means "no time" wherever Go programs write one.
    pub const fn is_go_zero(self) -> bool {
        self.0 == Self::GO_ZERO.0
    }

    /// The time that has passed since `earlier`, zero if `earlier` is not earlier.
    pub const fn since(self, earlier: Self) -> Span {
        if self.0 <= earlier.0 {
            return Span::ZERO;
        }
        Span::from_micros(self.0.abs_diff(earlier.0))
    }
}

impl Add<Span> for Timestamp {
    type Output = Self;

    /// The moment `span` later, at most [`Timestamp::MAX`].
    fn add(self, span: Span) -> Self {
        Self::from_micros(self.0.saturating_add_unsigned(span.0))
    }
}

impl Sub<Span> for Timestamp {
    type Output = Self;

    /// The moment `span` earlier, at least [`Timestamp::MIN`].
    fn sub(self, span: Span) -> Self {
        Self::from_micros(self.0.saturating_sub_unsigned(span.0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = jiff::Timestamp::from_microsecond(self.0)
            .expect("MIN and MAX lie within jiff's range of timestamps");
        write!(f, "{moment}")
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
        let seconds = SignedDuration::as_secs(&civil.duration_since(epoch)) + leap - offset;
        Ok(Self::from_micros(seconds * MICROS_PER_SECOND_SIGNED + micros))
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
        let mut unit = MICROS_PER_SECOND_SIGNED / 10;
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

/// A length of time: microseconds, never negative, at most [`Span::MAX`].
///
/// It parses and prints as a Prometheus duration: `1h30m`, `90s`, `500ms`, `0`. The units are
/// `y w d h m s ms`, in this order and each at most once, where a year is 365 days. Printing is
/// canonical and rounds down to the millisecond, the smallest unit that the format has.
///
/// Source: `ParseDuration` and `Duration.String` in `model/time.go` of `prometheus/common`.
///
/// ```
/// use homeostat_core::time::Span;
///
/// let cooldown: Span = "90m".parse().unwrap();
/// assert_eq!(cooldown, Span::from_secs(5_400));
/// assert_eq!(cooldown.to_string(), "1h30m");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(u64);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// The longest span, a little more than 292 years: the most that a Prometheus duration holds,
    /// which counts nanoseconds in 63 bits.
    pub const MAX: Self = Self(i64::MAX.unsigned_abs() / 1_000);

    /// A span from microseconds, at most [`Span::MAX`].
    pub const fn from_micros(micros: u64) -> Self {
        if micros > Self::MAX.0 { Self::MAX } else { Self(micros) }
    }

    /// A span from milliseconds, at most [`Span::MAX`].
    pub const fn from_millis(millis: u64) -> Self {
        Self::from_micros(millis.saturating_mul(MICROS_PER_MILLI))
    }

    /// A span from whole seconds, at most [`Span::MAX`].
    pub const fn from_secs(seconds: u64) -> Self {
        Self::from_micros(seconds.saturating_mul(MICROS_PER_SECOND))
    }

    /// The span in microseconds.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The span in milliseconds, rounded down.
    pub const fn as_millis(self) -> u64 {
        self.0 / MICROS_PER_MILLI
    }

    /// The span in seconds, as Prometheus counts them.
    pub fn as_secs_f64(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "exact up to 285 years")]
        let micros = self.0 as f64;
        micros / 1e6
    }

    /// Whether this is no time at all.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum, at most [`Span::MAX`].
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self::from_micros(self.0.saturating_add(other.0))
    }

    /// The difference, at least [`Span::ZERO`].
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// The product, at most [`Span::MAX`].
    #[must_use]
    pub const fn saturating_mul(self, factor: u64) -> Self {
        Self::from_micros(self.0.saturating_mul(factor))
    }

    /// The sum, or `None` if it is longer than [`Span::MAX`].
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        Self::bounded(self.0.checked_add(other.0))
    }

    /// The product, or `None` if it is longer than [`Span::MAX`].
    #[must_use]
    pub const fn checked_mul(self, factor: u64) -> Option<Self> {
        Self::bounded(self.0.checked_mul(factor))
    }

    const fn bounded(micros: Option<u64>) -> Option<Self> {
        match micros {
            Some(micros) if micros <= Self::MAX.0 => Some(Self(micros)),
            Some(_) | None => None,
        }
    }
}

impl From<Span> for std::time::Duration {
    fn from(span: Span) -> Self {
        Self::from_micros(span.0)
    }
}

impl From<std::time::Duration> for Span {
    /// Rounds down to the microsecond; at most [`Span::MAX`].
    fn from(duration: std::time::Duration) -> Self {
        u64::try_from(duration.as_micros()).map_or(Self::MAX, Self::from_micros)
    }
}

/// The units of a Prometheus duration, the longest first, in milliseconds; and whether the unit
/// is printed only when nothing is left over, because `90d` reads better than `12w6d`.
const UNITS: [(&str, u64, bool); 7] = [
    ("y", 365 * 86_400_000, true),
    ("w", 7 * 86_400_000, true),
    ("d", 86_400_000, false),
    ("h", 3_600_000, false),
    ("m", 60_000, false),
    ("s", 1_000, false),
    ("ms", 1, false),
];

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.as_millis();
        if left == 0 {
            return f.write_str("0s");
        }
        for (unit, millis, only_exact) in UNITS {
            if left < millis || (only_exact && !left.is_multiple_of(millis)) {
                continue;
            }
            write!(f, "{}{unit}", left / millis)?;
            left %= millis;
        }
        Ok(())
    }
}

impl FromStr for Span {
    type Err = ParseSpanError;

    fn from_str(input: &str) -> Result<Self, Self::Err> {
        if input.is_empty() {
            return Err(ParseSpanError::Empty);
        }
        if input == "0" {
            return Ok(Self::ZERO);
        }
        let mut span = Self::ZERO;
        let mut last: Option<usize> = None;
        let mut rest = input;
        while !rest.is_empty() {
            let (number, after) = split_while(rest, |c| c.is_ascii_digit());
            if number.is_empty() {
                let found = rest.chars().next().unwrap_or_default();
                return Err(ParseSpanError::NoNumber { found });
            }
            let (unit, after) = split_while(after, |c| !c.is_ascii_digit());
            let position = unit_position(number, unit, last)?;
            let part = number
                .parse()
                .ok()
                .and_then(|count: u64| Self::from_millis(UNITS[position].1).checked_mul(count));
            span = part
                .and_then(|part| span.checked_add(part))
                .ok_or_else(|| ParseSpanError::TooLong { input: input.to_owned() })?;
            last = Some(position);
            rest = after;
        }
        Ok(span)
    }
}

fn split_while(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

fn unit_position(number: &str, unit: &str, last: Option<usize>) -> Result<usize, ParseSpanError> {
    if unit.is_empty() {
        return Err(ParseSpanError::NoUnit { number: number.to_owned() });
    }
    let position = UNITS
        .iter()
        .position(|(name, ..)| *name == unit)
        .ok_or_else(|| ParseSpanError::UnknownUnit { unit: unit.to_owned() })?;
    match last {
        Some(last) if position <= last => {
            Err(ParseSpanError::UnitOrder { unit: UNITS[position].0, after: UNITS[last].0 })
        }
        Some(_) | None => Ok(position),
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Parsing::new("a duration as in 1h30m, 90s or 500ms"))
    }
}

/// Why a text is not a Prometheus duration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParseSpanError {
    /// The text is empty.
    Empty,
    /// A number should stand where something else was found.
    NoNumber {
        /// What stands there.
        found: char,
    },
    /// A number has no unit.
    NoUnit {
        /// The number.
        number: String,
    },
    /// A unit is none of `y w d h m s ms`.
    UnknownUnit {
        /// The text in the unit's place.
        unit: String,
    },
    /// A unit comes twice, or after a shorter one.
    UnitOrder {
        /// The unit that is out of place.
        unit: &'static str,
        /// The unit before it.
        after: &'static str,
    },
    /// The duration is longer than [`Span::MAX`].
    TooLong {
        /// The whole text.
        input: String,
    },
}

impl fmt::Display for ParseSpanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("empty duration: expected one as in 1h30m, 90s or 500ms"),
            Self::NoNumber { found } => {
                write!(f, "expected a whole number in a duration as in 1h30m, found {found:?}")
            }
            Self::NoUnit { number } => {
                write!(f, "duration without unit: expected {number} with y, w, d, h, m, s or ms")
            }
            Self::UnknownUnit { unit } => {
                write!(f, "unknown unit {unit:?}: expected y, w, d, h, m, s or ms")
            }
            Self::UnitOrder { unit, after } => write!(
                f,
                "unit {unit} after {after}: expected y, w, d, h, m, s, ms in this order, \
                 each at most once"
            ),
            Self::TooLong { input } => {
                write!(f, "duration {input:?} is too long: expected at most {}", Span::MAX)
            }
        }
    }
}

impl std::error::Error for ParseSpanError {}

/// Deserialises by [`FromStr`].
struct Parsing<T> {
    expected: &'static str,
    target: std::marker::PhantomData<T>,
}

impl<T> Parsing<T> {
    fn new(expected: &'static str) -> Self {
        Self { expected, target: std::marker::PhantomData }
    }
}

impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Parsing<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}
