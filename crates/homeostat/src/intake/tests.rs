mod bodies;
mod doors;
mod known;
mod signed;

use super::*;

const FIRING: &[u8] = include_bytes!("fixtures/alertmanager-0.25/firing.json");
const RESOLVED: &[u8] = include_bytes!("fixtures/alertmanager-0.25/resolved.json");

const NOW: &str = "2026-11-22T12:00:00Z";

/// Times as they may be sent, and what Alertmanager takes them for.
pub(super) const TIMES: &[(&str, &str)] = &[
    ("2026-11-22T06:07:50Z", "2026-11-22T06:07:50Z"),
    ("2026-11-22T06:07:50.123456Z", "2026-11-22T06:07:50.123456Z"),
    ("2026-11-22T06:07:50.5+01:00", "2026-11-22T05:07:50.5Z"),
    ("2026-11-22T06:07:50.123+0100", "2026-11-22T05:07:50.123Z"),
    ("2026-11-22T06:07:50.123456-0930", "2026-11-22T15:37:50.123456Z"),
    ("2026-11-22T06:07:50", "2026-11-22T06:07:50Z"),
    ("2026-11-22T06:07:50.25", "2026-11-22T06:07:50.25Z"),
    ("2026-11-22T06:07Z", "2026-11-22T06:07:00Z"),
    ("2026-11-22T06:07", "2026-11-22T06:07:00Z"),
    ("2026-11-22 06:07:50", "2026-11-22T06:07:50Z"),
    ("2026-11-22 06:07:50.75", "2026-11-22T06:07:50.75Z"),
];

fn main_source() -> SourceName {
    SourceName::new("main")
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}
