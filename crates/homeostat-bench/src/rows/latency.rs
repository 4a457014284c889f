//! Alert to action: from the last byte sent to the first instruction of the process.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};

use crate::alerts;
use crate::bench::Bench;
use crate::engine::{self, Engine};
use crate::figure::{Figures, number, percentile, rate};
use crate::limit::Disk;
use crate::load;
use crate::peer;
use crate::row::{Row, Verdict};

/// Alerts of a round.
const ALERTS: usize = 200;

/// Fifty a second.
const EVERY: Duration = Duration::from_millis(20);

/// What processes cost whatever we do, in the bar.
const ALLOWED: f64 = 0.002;

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let config = engine::acting_on_all(&peer::instant(bench)?);
    let [mut ours50, mut ours99, mut disk50, mut disk99] = <[Figures; 4]>::default();
    let [mut ratio50, mut ratio99] = <[Figures; 2]>::default();
    for round in 0..bench.rounds {
        let mut delays = delays(bench, &config, &format!("latency{round}"))?;
        let disk = Disk::measure(bench)?;
        let (p50, p99) = (percentile(&mut delays, 50.0), percentile(&mut delays, 99.0));
        let (sync50, sync99) = (disk.percentile(50.0), disk.percentile(99.0));
        ours50.add(p50 * 1e3);
        ours99.add(p99 * 1e3);
        disk50.add(sync50 * 1e3);
        disk99.add(sync99 * 1e3);
        ratio50.add(p50 / (2.0 * sync50 + ALLOWED));
        ratio99.add(p99 / (4.0 * sync99 + ALLOWED));
    }
    let row = |what: &str, ours: &Figures, times: &str, disk: &Figures, ratio: &Figures| Row {
        what: format!("alert to action, {what}"),
        ours: format!("{} ms", number(ours.median())),
        against: format!("{times} × fdatasync {what} of {} ms + 2 ms", number(disk.median())),
        ratio: ratio.spread(),
        bar: "≤ 1".into(),
        verdict: Verdict::of(ratio.median() <= 1.0),
    };
    Ok(vec![
        row("p50", &ours50, "2", &disk50, &ratio50),
        row("p99", &ours99, "4", &disk99, &ratio99),
    ])
}

/// The seconds from each alert's last byte to its process' first instruction.
fn delays(bench: &Bench, config: &str, family: &str) -> Result<Vec<f64>> {
    let engine = Engine::start(bench, Some(config))?;
    let mut line = engine.line()?;
    let mut sent = BTreeMap::new();
    let began = Instant::now();
    for number in 0..ALERTS {
        let request = load::post("/hooks", &alerts::body(family, [number]));
        let due = EVERY * u32::try_from(number)?;
        std::thread::sleep(due.saturating_sub(began.elapsed()));
        line.send(&request)?;
        sent.insert(alerts::instance(family, number), nanoseconds(SystemTime::now())?);
        line.receive()?;
    }
    engine.wait_for("homeostat_orders_total", rate(ALERTS, 1.0))?;
    let started = instants(&engine)?;
    ensure!(started.len() == ALERTS, "{} of {ALERTS} orders ran", started.len());
    let delays = started.iter().map(|(instance, at)| {
        let sent = sent.get(instance).context("an order of an unknown alert")?;
        let delay = at.checked_sub(*sent).context("a process ran before its alert was sent")?;
        Ok(Duration::from_nanos(delay).as_secs_f64())
    });
    delays.collect()
}

/// When the process of each instance says that it began: its output is in the journal.
fn instants(engine: &Engine) -> Result<Vec<(String, u64)>> {
    let journal = engine.journal()?;
    let mut statement = journal.prepare(
        "SELECT i.target ->> 'instance', trim(f.body ->> '$.ended.output', char(10))
         FROM facts f JOIN incidents i ON i.id = f.incident WHERE f.kind = 'order_ended'",
    )?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
    rows.map(|row| {
        let (instance, output) = row?;
        let at = output.trim().parse();
        Ok((instance, at.with_context(|| format!("an order's output was {output:?}"))?))
    })
    .collect()
}

fn nanoseconds(at: SystemTime) -> Result<u64> {
    Ok(u64::try_from(at.duration_since(UNIX_EPOCH)?.as_nanos())?)
}
