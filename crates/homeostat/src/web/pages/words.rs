//! Times, spans and labels as a page writes them.
//!
//! A time is written once for everybody, in UTC and as it was when the page was made; the page's script
//! lets it count on, and shows local time to whoever wants it.

use homeostat_core::label::LabelSet;
use homeostat_core::time::{Span, Timestamp};
use maud::{Markup, html};

/// How a time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum As {
    /// How long ago.
    Ago,
    /// For how long it has been so.
    For,
    /// In how long.
    In,
    /// Date and time.
    Moment,
    /// The time of the day.
    Clock,
}

impl As {
    /// The name by which the script knows it.
    const fn name(self) -> &'static str {
        match self {
            Self::Ago => "ago",
            Self::For => "for",
            Self::In => "in",
            Self::Moment => "moment",
            Self::Clock => "clock",
        }
    }
}

/// `3 min ago`.
pub(super) fn ago(at: Timestamp, now: Timestamp) -> Markup {
    time(at, As::Ago, &format!("{} ago", span(now.since(at))))
}

/// `3 min`: since when something is so.
pub(super) fn since(at: Timestamp, now: Timestamp) -> Markup {
    time(at, As::For, &span(now.since(at)))
}

/// `in 40 s`, and `now` once it has come.
pub(super) fn until(at: Timestamp, now: Timestamp) -> Markup {
    let text = if at > now { format!("in {}", span(at.since(now))) } else { "now".to_owned() };
    time(at, As::In, &text)
}

/// `2026-01-05 09:00:00 UTC`.
pub(super) fn moment(at: Timestamp) -> Markup {
    time(at, As::Moment, &utc(at))
}

/// `09:00:00`, for where the day is known.
pub(super) fn clock(at: Timestamp) -> Markup {
    let text = utc(at);
    time(at, As::Clock, text.get(11..19).unwrap_or(&text))
}

fn time(at: Timestamp, how: As, text: &str) -> Markup {
    let exact = utc(at);
    html! {
        time datetime=(at) title=(exact) data-as=(how.name()) data-utc=(text) { (text) }
    }
}

/// Date and time of the day, by whole seconds.
fn utc(at: Timestamp) -> String {
    format!("{at:.0}").replacen('T', " ", 1).replacen('Z', " UTC", 1)
}

/// A span, short and with its unit: `40 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`.
pub(super) fn span(span: Span) -> String {
    let seconds = (span.as_millis() + 500) / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let with = |whole: u64, unit: &str, rest: u64, of: &str| {
        if rest == 0 { format!("{whole} {unit}") } else { format!("{whole} {unit} {rest} {of}") }
    };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..600 => with(minutes, "min", seconds % 60, "s"),
        600..3600 => format!("{minutes} min"),
        3600..86_400 => with(hours, "h", minutes % 60, "min"),
        _ => with(days, "d", hours % 24, "h"),
    }
}

/// The values of a target, for a title: `web01, eu`.
pub(super) fn values(labels: &LabelSet) -> String {
    let values: Vec<&str> = labels.iter().map(|(_, value)| value).collect();
    if values.is_empty() { "everything".to_owned() } else { values.join(", ") }
}

/// A target with the names of its labels: `instance=web01 zone=eu`.
pub(super) fn pairs(labels: &LabelSet) -> String {
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join(" ")
}

/// `1 incident`, `2 incidents`.
pub(super) fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// A web address that is safe to link to.
pub(super) fn link(url: &str) -> Option<&str> {
    let is_web = ["http://", "https://"].iter().any(|scheme| {
        url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    });
    (is_web && url.parse::<axum::http::Uri>().is_ok()).then_some(url)
}

/// A value in the query of an address.
pub(super) fn escaped(value: &str) -> String {
    let escaped = value.bytes().map(|byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    });
    escaped.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short_and_have_their_units() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (200, "3 min 20 s"),
            (600, "10 min"),
            (3599, "59 min"),
            (3600, "1 h"),
            (7500, "2 h 5 min"),
            (86_400, "1 d"),
            (273_600, "3 d 4 h"),
        ] {
            assert_eq!(span(Span::from_secs(seconds)), text);
        }
        assert_eq!(span(Span::from_millis(1499)), "1 s");
    }

    #[test]
    fn a_time_says_when_exactly_and_counts_from_there() {
        let at: Timestamp = "2026-01-05T09:00:00.25Z".parse().unwrap();
        let now: Timestamp = "2026-01-05T09:03:20.25Z".parse().unwrap();
        assert_eq!(
            ago(at, now).into_string(),
            "<time datetime=\"2026-01-05T09:00:00.25Z\" title=\"2026-01-05 09:00:00 UTC\" \
             data-as=\"ago\" data-utc=\"3 min 20 s ago\">3 min 20 s ago</time>"
        );
        assert!(until(now, at).into_string().ends_with(">in 3 min 20 s</time>"));
        assert!(until(at, now).into_string().ends_with(">now</time>"));
        assert!(clock(at).into_string().ends_with(">09:00:00</time>"));
    }

    #[test]
    fn only_web_addresses_are_links() {
        assert_eq!(link("HTTPS://a/b?c=d"), Some("HTTPS://a/b?c=d"));
        for no in ["javascript:alert(1)", "", "http:/a", "data:text/html,x", "//a", "https://a b"] {
            assert_eq!(link(no), None, "{no}");
        }
    }

    #[test]
    fn what_stands_in_a_query_is_escaped() {
        assert_eq!(escaped("a b&c=d/é"), "a%20b%26c%3Dd%2F%C3%A9");
    }
}
