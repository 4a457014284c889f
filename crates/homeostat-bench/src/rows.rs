//! One file a bar, or a few that are measured together.

mod access;
mod actions;
mod crowd;
mod decide;
mod durable;
mod group;
mod growth;
mod healing;
mod latency;
mod memory;
mod repeats;
mod pages;
mod replay;
mod search;
mod simulation;
mod start;
mod storm;
mod stream;

use anyhow::Result;

use crate::bench::Bench;
use crate::row::Row;

/// Takes a measurement.
type Measure = fn(&Bench) -> Result<Vec<Row>>;

/// All measurements by the name that `BENCH_ONLY` knows, in the order of the table.
pub(crate) const ALL: [(&str, Measure); 18] = [
    ("repeats", repeats::measure),
    ("access", access::measure),
    ("durable", durable::measure),
    ("group", group::measure),
    ("actions", actions::measure),
    ("latency", latency::measure),
    ("storm", storm::measure),
    ("crowd", crowd::measure),
    ("stream", stream::measure),
    ("pages", pages::measure),
    ("decide", decide::measure),
    ("replay", replay::measure),
    ("search", search::measure),
    ("growth", growth::measure),
    ("memory", memory::measure),
    ("start", start::measure),
    ("simulation", simulation::measure),
    ("healing", healing::measure),
];
