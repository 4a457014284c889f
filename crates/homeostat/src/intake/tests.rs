mod bodies;
mod doors;

use super::*;

const FIRING: &[u8] = include_bytes!("fixtures/alertmanager-0.25/firing.json");
const RESOLVED: &[u8] = include_bytes!("fixtures/alertmanager-0.25/resolved.json");

const NOW: &str = "2026-11-22T12:00:00Z";

fn main_source() -> SourceName {
    SourceName::new("main")
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}
