//! Lengths of time.
//!
//! Duty: hold, print and read them as Prometheus durations, in bounds that printing can keep.
//! Not its duty: durations with a sign, and those below a microsecond.
//!
//! Source: `ParseDuration` and `Duration.String` in `model/time.go` of `prometheus/common`.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

use super::Parsing;

const MICROS_PER_MILLI: u64 = 1_000;
const MICROS_PER_SECOND: u64 = 1_000_000;

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
                write!(f, "duration {input:?} is too long: expected at most 292y")
            }
        }
    }
}

impl std::error::Error for ParseSpanError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_read_and_print_as_in_prometheus() {
        for (input, millis, printed) in [
            ("0", 0, "0s"),
            ("0s", 0, "0s"),
            ("0y0ms", 0, "0s"),
            ("500ms", 500, "500ms"),
            ("90s", 90_000, "1m30s"),
            ("1h30m", 5_400_000, "1h30m"),
            ("1m5ms", 60_005, "1m5ms"),
            ("60000ms", 60_000, "1m"),
            ("24h", 86_400_000, "1d"),
            ("7d", 604_800_000, "1w"),
            ("8d", 691_200_000, "8d"),
            ("14d", 1_209_600_000, "2w"),
            ("90d", 7_776_000_000, "90d"),
            ("365d", 31_536_000_000, "1y"),
            ("1y1d", 31_622_400_000, "366d"),
            ("1y1w", 32_140_800_000, "372d"),
            ("2y", 63_072_000_000, "2y"),
            ("007s", 7_000, "7s"),
            ("1y2w3d4h5m6s7ms", 33_019_506_007, "382d4h5m6s7ms"),
            ("292y24w3d23h47m16s854ms", 9_223_372_036_854, "106751d23h47m16s854ms"),
        ] {
            let span: Span = input.parse().unwrap();
            assert_eq!((span.as_millis(), span.to_string().as_str()), (millis, printed), "{input}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_a_reason() {
        for (input, reason) in [
            ("", "empty duration: expected one as in 1h30m, 90s or 500ms"),
            ("5", "duration without unit: expected 5 with y, w, d, h, m, s or ms"),
            ("00", "duration without unit: expected 00 with y, w, d, h, m, s or ms"),
            ("1h30", "duration without unit: expected 30 with y, w, d, h, m, s or ms"),
            ("m", "expected a whole number in a duration as in 1h30m, found 'm'"),
            ("-5m", "expected a whole number in a duration as in 1h30m, found '-'"),
            (" 5m", "expected a whole number in a duration as in 1h30m, found ' '"),
            ("5 m", "unknown unit \" m\": expected y, w, d, h, m, s or ms"),
            ("1.5h", "unknown unit \".\": expected y, w, d, h, m, s or ms"),
            ("5us", "unknown unit \"us\": expected y, w, d, h, m, s or ms"),
            (
                "1m1h",
                "unit h after m: expected y, w, d, h, m, s, ms in this order, each at most once",
            ),
            (
                "1h1h",
                "unit h after h: expected y, w, d, h, m, s, ms in this order, each at most once",
            ),
            ("293y", "duration \"293y\" is too long: expected at most 292y"),
        ] {
            assert_eq!(input.parse::<Span>().unwrap_err().to_string(), reason);
        }
    }

    #[test]
    fn a_duration_is_bounded_where_prometheus_bounds_it() {
        for longest in ["292y24w3d23h47m16s854ms", "106751d", "9223372036854ms"] {
            assert!(longest.parse::<Span>().is_ok(), "{longest}");
        }
        for longer in ["292y24w3d23h47m16s855ms", "106752d", "99999999999999999999s", "292y1y"] {
            assert!(longer.parse::<Span>().is_err(), "{longer}");
        }
    }

    #[test]
    fn arithmetic_stops_at_the_ends() {
        let (one, two) = (Span::from_secs(1), Span::from_secs(2));
        assert_eq!(one.saturating_add(one), two);
        assert_eq!(two.saturating_sub(one), one);
        assert_eq!(one.saturating_sub(two), Span::ZERO);
        assert_eq!(one.saturating_mul(2), two);
        assert_eq!(Span::MAX.saturating_add(one), Span::MAX);
        assert_eq!(Span::MAX.saturating_mul(2), Span::MAX);
        assert_eq!(Span::from_secs(u64::MAX), Span::MAX);
        assert_eq!((one.checked_add(one), one.checked_mul(2)), (Some(two), Some(two)));
        assert_eq!((Span::MAX.checked_add(one), Span::MAX.checked_mul(2)), (None, None));
        assert_eq!(one.checked_mul(u64::MAX), None);
    }

    #[test]
    fn spans_turn_into_other_units() {
        let span = Span::from_micros(1_234_567);
        assert_eq!((span.as_millis(), span.as_micros()), (1_234, 1_234_567));
        assert!((span.as_secs_f64() - 1.234_567).abs() < 1e-9);
        assert_eq!(span.to_string(), "1s234ms");
        assert_eq!(Span::from_micros(999).to_string(), "0s");
        let duration = std::time::Duration::from(span);
        assert_eq!((duration.as_micros(), Span::from(duration)), (1_234_567, span));
        assert_eq!(Span::from(std::time::Duration::MAX), Span::MAX);
        assert!(Span::ZERO.is_zero() && !span.is_zero());
    }

    #[test]
    fn json_is_the_printed_duration() {
        assert_eq!(serde_json::to_string(&Span::from_secs(90)).unwrap(), r#""1m30s""#);
        assert_eq!(serde_json::from_str::<Span>(r#""90s""#).unwrap(), Span::from_secs(90));
        assert!(serde_json::from_str::<Span>("90").is_err());
    }

    proptest! {
        #[test]
        fn whole_milliseconds_read_back_as_they_print(millis in any::<u64>(), shift in 0..64_u32) {
            let span = Span::from_millis((millis >> shift).min(Span::MAX.as_millis()));
            prop_assert_eq!(span.to_string().parse(), Ok(span));
        }
    }
}
