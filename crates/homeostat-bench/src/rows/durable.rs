//! New alerts made durable, against bare SQLite, and against a peer that remembers nothing.

use anyhow::Result;

use crate::alerts;
use crate::bench::Bench;
use crate::engine::Engine;
use crate::figure::{Figures, number, rate};
use crate::limit;
use crate::load;
use crate::peer::Peer;
use crate::row::{Row, Verdict};

/// Notifications of a round.
const NOTIFICATIONS: usize = 400;

/// Alerts of a notification.
const ALERTS: usize = 100;

/// How many are under way at once: an Alertmanager has a few groups that notify at the same time.
const CONNECTIONS: usize = 8;

/// How long the peer is loaded in a round.
const PEER_SECONDS: u32 = 2;

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let one = bench.write("trigger.json", &alerts::body("trigger", [1]))?;
    let [mut ours, mut rows, mut bare, mut triggers] = <[Figures; 4]>::default();
    let mut missing = None;
    for round in 0..bench.rounds {
        let taken = take(bench, round)?;
        ours.add(taken.alerts_a_second);
        rows.add(taken.rows_a_second);
        let in_one = taken.rows / NOTIFICATIONS;
        bare.add(limit::sqlite_rows(bench, taken.rows, in_one, taken.bytes)?);
        match Peer::webhook(bench) {
            // It answers first and runs its commands afterwards, for seconds: ended here, it leaves the
            // machine to whoever is measured next.
            Ok(webhook) => {
                let seen = load::wrk(bench, &webhook.url("/hooks/alert"), &one, PEER_SECONDS)?;
                triggers.add(rate(seen.requests, seen.seconds));
            }
            Err(error) => missing = Some(error),
        }
    }
    let share = rows.over(&bare);
    let first = Row {
        what: "new alerts made durable".into(),
        ours: format!("{} alerts/s, {} rows/s", number(ours.median()), number(rows.median())),
        against: format!("bare SQLite: {} rows/s", number(bare.median())),
        ratio: share.spread(),
        bar: "≥ 0.4".into(),
        verdict: Verdict::of(share.median() >= 0.4),
    };
    let what = "new alerts, against a peer";
    let second = if let Some(error) = missing {
        Row::skipped(what, format!("{error:#}"))
    } else {
        let times = ours.over(&triggers);
        Row {
            what: what.into(),
            ours: format!("{} alerts/s", number(ours.median())),
            against: format!("webhook: {} triggers/s", number(triggers.median())),
            ratio: times.spread(),
            bar: "≥ 4".into(),
            verdict: Verdict::of(times.median() >= 4.0),
        }
    };
    Ok(vec![first, second])
}

/// What an engine took in, and what it wrote for it.
struct Taken {
    alerts_a_second: f64,
    rows_a_second: f64,
    rows: usize,
    bytes: usize,
}

fn take(bench: &Bench, round: usize) -> Result<Taken> {
    let engine = Engine::start(bench, None)?;
    let bodies = alerts::notifications(&format!("durable{round}"), NOTIFICATIONS, ALERTS);
    let seconds = load::pour(engine.address, "/hooks", CONNECTIONS, &bodies)?;
    let sql = "SELECT count(*), CAST(avg(length(CAST(body AS BLOB))) AS INTEGER) FROM facts";
    let (rows, bytes): (u32, u32) =
        engine.journal()?.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (rows, bytes) = (usize::try_from(rows)?, usize::try_from(bytes)?);
    Ok(Taken {
        alerts_a_second: rate(NOTIFICATIONS * ALERTS, seconds),
        rows_a_second: rate(rows, seconds),
        rows,
        bytes,
    })
}
