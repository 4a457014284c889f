//! Group commit: many senders share one sync of the disk.

use anyhow::Result;

use crate::alerts;
use crate::bench::Bench;
use crate::engine::Engine;
use crate::figure::{Figures, number, rate};
use crate::limit::Disk;
use crate::load;
use crate::row::{Row, Verdict};

/// Notifications of a round.
const NOTIFICATIONS: usize = 20_000;

/// Senders.
const CONNECTIONS: usize = 64;

/// How long repeats are sent, for the second limit.
const REPEATS_SECONDS: u32 = 1;

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let known = bench.write("known.json", &alerts::body("group0", [0]))?;
    let [mut ours, mut syncs, mut repeats, mut ratio] = <[Figures; 4]>::default();
    for round in 0..bench.rounds {
        let engine = Engine::start(bench, None)?;
        let bodies = alerts::notifications(&format!("group{round}"), NOTIFICATIONS, 1);
        let seconds = load::pour(engine.address, "/hooks", CONNECTIONS, &bodies)?;
        let new = rate(NOTIFICATIONS, seconds);
        let seen = load::wrk(bench, &engine.url("/hooks"), &known, REPEATS_SECONDS)?;
        drop(engine);
        let known = rate(seen.requests, seen.seconds);
        let disk = Disk::measure(bench)?.rate();
        ours.add(new);
        syncs.add(disk);
        repeats.add(known);
        ratio.add(new / (10.0 * disk).min(0.4 * known));
    }
    Ok(vec![Row {
        what: "group commit, 64 senders".into(),
        ours: format!("{} notifications/s", number(ours.median())),
        against: format!(
            "the smaller of 10 × {} fdatasync/s and 0.4 × {} repeats/s",
            number(syncs.median()),
            number(repeats.median())
        ),
        ratio: ratio.spread(),
        bar: "≥ 1".into(),
        verdict: Verdict::of(ratio.median() >= 1.0),
    }])
}
