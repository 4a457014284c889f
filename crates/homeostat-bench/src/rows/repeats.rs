//! Repeats: one known firing alert over and over, against a handler that does nothing.

use anyhow::Result;

use crate::alerts;
use crate::bench::Bench;
use crate::engine::Engine;
use crate::figure::{Figures, number, rate};
use crate::load;
use crate::peer::Peer;
use crate::row::{Row, Verdict};

/// How long each is loaded in a round.
const SECONDS: u32 = 3;

/// What a server does for one load.
#[derive(Debug, Default)]
struct Served {
    rate: Figures,
    cpu_microseconds: Figures,
}

impl Served {
    fn add(&mut self, seen: load::Seen, cpu_seconds: f64) {
        let requests = rate(seen.requests, 1.0);
        self.rate.add(requests / seen.seconds);
        self.cpu_microseconds.add(cpu_seconds / requests * 1e6);
    }
}

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let body = bench.write("repeat.json", &alerts::body("repeat", [1]))?;
    let engine = Engine::start(bench, None)?;
    let handler = Peer::handler(bench)?;
    load::wrk(bench, &engine.url("/hooks"), &body, 1)?;
    load::wrk(bench, &handler.url("/hooks"), &body, 1)?;
    let (mut ours, mut theirs) = (Served::default(), Served::default());
    for _ in 0..bench.rounds {
        let before = engine.cpu_seconds()?;
        let seen = load::wrk(bench, &engine.url("/hooks"), &body, SECONDS)?;
        ours.add(seen, engine.cpu_seconds()? - before);
        let before = handler.cpu_seconds()?;
        let seen = load::wrk(bench, &handler.url("/hooks"), &body, SECONDS)?;
        theirs.add(seen, handler.cpu_seconds()? - before);
    }
    let faster = ours.rate.over(&theirs.rate);
    let cheaper = ours.cpu_microseconds.over(&theirs.cpu_microseconds);
    Ok(vec![
        Row {
            what: "repeats taken in".into(),
            ours: format!("{} requests/s", number(ours.rate.median())),
            against: format!("Go handler: {} requests/s", number(theirs.rate.median())),
            ratio: faster.spread(),
            bar: "≥ 1.3".into(),
            verdict: Verdict::of(faster.median() >= 1.3),
        },
        Row {
            what: "CPU time of a repeat".into(),
            ours: format!("{} µs", number(ours.cpu_microseconds.median())),
            against: format!("Go handler: {} µs", number(theirs.cpu_microseconds.median())),
            ratio: cheaper.spread(),
            bar: "≤ 0.6".into(),
            verdict: Verdict::of(cheaper.median() <= 0.6),
        },
    ])
}
