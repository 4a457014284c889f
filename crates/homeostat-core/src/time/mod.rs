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

pub(crate) mod age;
mod span;
mod timestamp;

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Visitor};

pub use span::{ParseSpanError, Span};
pub use timestamp::{ParseTimestampError, Timestamp};

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
