//! Values as they stand in JSON: texts, times, counts.
//!
//! Duty: read what a person would read. A number or a truth value is taken as it is written, so
//! that `1e3`, `1.10` and a number of thirty digits stay what they are: a value is looked at before
//! anything makes a float of it. A time is what Alertmanager takes for one. A value of the wrong
//! type is a value here and not an error.
//!
//! *Not* its duty: objects and arrays (`wire`).

use std::borrow::Cow;

use homeostat_core::time::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, Error};
use serde_json::value::RawValue;

/// Where a text is expected.
#[derive(Debug, Default)]
pub(super) enum Text<'a> {
    /// Not there, or null.
    #[default]
    Absent,
    /// A text.
    Sent(Cow<'a, str>),
    /// A number or a truth value, as it is written, and which of them.
    Bare(&'a str, &'static str),
    /// Something else, and what.
    Wrong(&'static str),
}

impl<'a> Text<'a> {
    fn of(raw: &'a str) -> Result<Self, serde_json::Error> {
        Ok(match raw.as_bytes() {
            // Most texts have no escapes in them and are not copied.
            [b'"', inner @ .., b'"'] if !inner.contains(&b'\\') => {
                Self::Sent(Cow::Borrowed(&raw[1..raw.len() - 1]))
            }
            [b'"', ..] => Self::Sent(Cow::Owned(serde_json::from_str(raw)?)),
            [b'{', ..] => Self::Wrong("an object"),
            [b'[', ..] => Self::Wrong("an array"),
            [b'n', ..] => Self::Absent,
            [b't' | b'f', ..] => Self::Bare(raw, "a boolean"),
            _ => Self::Bare(raw, "a number"),
        })
    }

    /// The text, empty where there is none.
    pub(super) fn or_empty(&self) -> &str {
        match self {
            Self::Sent(text) => text,
            Self::Bare(text, _) => text,
            Self::Absent | Self::Wrong(_) => "",
        }
    }

    /// The moment that it names. Go writes "no time" as a time of its own; an empty text, which
    /// Alertmanager takes for 1970, is no time here.
    pub(super) fn time(&self) -> Time {
        match self {
            Self::Absent => Time::Absent,
            Self::Sent(text) if text.trim().is_empty() => Time::Absent,
            Self::Sent(text) => match moment(text.trim()) {
                Some(moment) if moment.is_go_zero() => Time::Absent,
                Some(moment) => Time::At(moment),
                None => Time::Wrong(format!("{:?}", start_of(text))),
            },
            Self::Bare(text, kind) => Time::Wrong(format!("{kind}, {}", start_of(text))),
            Self::Wrong(kind) => Time::Wrong((*kind).to_owned()),
        }
    }
}

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::of(<&RawValue>::deserialize(deserializer)?.get()).map_err(D::Error::custom)
    }
}

/// Where a moment is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Time {
    /// Not there, or no time.
    Absent,
    /// A moment.
    At(Timestamp),
    /// Something else, and what.
    Wrong(String),
}

impl Time {
    pub(super) fn known(&self) -> Option<Timestamp> {
        match self {
            Self::At(moment) => Some(*moment),
            Self::Absent | Self::Wrong(_) => None,
        }
    }

    /// What is wrong with it, where something is.
    pub(super) fn problem(&self, name: &str) -> Option<String> {
        match self {
            Self::Wrong(sent) => {
                Some(format!("its {name} is {sent}, not a time as 2026-11-22T06:07:50Z"))
            }
            Self::Absent | Self::At(_) => None,
        }
    }
}

/// Where a number of things is expected: anything else counts as none.
#[derive(Debug, Default)]
pub(super) struct Count(pub(super) u64);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        Ok(Self(raw.get().parse().unwrap_or_default()))
    }
}

/// The start of a text that somebody sent, to be shown.
pub(super) fn start_of(text: &str) -> String {
    text.chars().take(32).collect()
}

/// The length of a date, as 2026-11-22.
const DATE: usize = 10;

/// Reads a time as Alertmanager does, which takes more than RFC 3339: one without a zone is UTC;
/// seconds, and the whole time of the day, may be missing; an offset may do without its colon.
///
/// Source: `DateTimeFormats` in `time.go` of go-openapi/strfmt.
fn moment(text: &str) -> Option<Timestamp> {
    if let Ok(moment) = text.parse() {
        return Some(moment);
    }
    let (date, rest) = text.split_at_checked(DATE)?;
    if rest.is_empty() {
        return format!("{date}T00:00:00Z").parse().ok();
    }
    let clock = rest.strip_prefix(['T', 't', ' '])?;
    let (clock, zone) = clock.split_at(clock.find(['Z', 'z', '+', '-']).unwrap_or(clock.len()));
    let seconds = if clock.len() == "06:07".len() { ":00" } else { "" };
    let zone = match zone.split_at_checked("+01".len()) {
        Some((hours, minutes)) if !minutes.starts_with(':') => format!("{hours}:{minutes}"),
        None if zone.is_empty() => "Z".to_owned(),
        Some(_) | None => zone.to_owned(),
    };
    format!("{date}T{clock}{seconds}{zone}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(raw: &str) -> Text<'_> {
        serde_json::from_str(raw).unwrap()
    }

    #[test]
    fn numbers_and_truth_values_stay_as_they_are_written() {
        for written in ["500", "1.10", "1e3", "1E400", "-0", "true", "false", &"9".repeat(400)] {
            assert_eq!(text(written).or_empty(), written);
        }
        for (raw, read) in [(r#""a\n\u00e9""#, "a\né"), (r#""""#, ""), (r#""é""#, "é")] {
            assert_eq!(text(raw).or_empty(), read);
        }
        assert!(matches!(text("null"), Text::Absent));
        assert!(matches!(text("[1]"), Text::Wrong("an array")));
        assert!(matches!(text("{}"), Text::Wrong("an object")));
        assert!(serde_json::from_str::<Text<'_>>(r#""a"#).is_err());
    }

    /// The same list is shown to a real Alertmanager in `tests/engine/doors.rs`.
    #[test]
    fn times_are_read_as_alertmanager_reads_them() {
        for (sent, meant) in super::super::tests::TIMES {
            let meant: Timestamp = meant.parse().unwrap();
            assert_eq!(Text::Sent((*sent).into()).time(), Time::At(meant), "{sent}");
        }
        // Since a later version than the one that tests start.
        let midnight = Time::At("2026-11-22T00:00:00Z".parse().unwrap());
        assert_eq!(Text::Sent("2026-11-22".into()).time(), midnight);
        for sent in ["", " ", "0001-01-01T00:00:00Z", "0001-01-01"] {
            assert_eq!(Text::Sent(sent.into()).time(), Time::Absent, "{sent:?}");
        }
    }

    #[test]
    fn what_is_no_time_says_what_it_is() {
        for (raw, said) in [
            (r#""yesterday""#, r#"its endsAt is "yesterday", not a time"#),
            (r#""2026-02-30""#, r#"its endsAt is "2026-02-30", not a time"#),
            (r#""2026-11-22T25:00""#, r#"its endsAt is "2026-11-22T25:00", not a time"#),
            (r#""2026-11-22T06:07+1""#, r#"its endsAt is "2026-11-22T06:07+1", not a time"#),
            (r#""2026-11-22é""#, r#"its endsAt is "2026-11-22é", not a time"#),
            ("1700000000", "its endsAt is a number, 1700000000, not a time"),
            ("{}", "its endsAt is an object, not a time"),
        ] {
            let problem = text(raw).time().problem("endsAt").unwrap();
            assert!(problem.starts_with(said), "{problem}");
        }
    }
}
