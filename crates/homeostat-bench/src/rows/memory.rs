//! Memory: what is resident, idle and with many alerts.

use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;

use crate::alerts;
use crate::bench::Bench;
use crate::engine::Engine;
use crate::figure::Figures;
use crate::load;
use crate::row::{Row, Verdict};

/// Alerts that fire.
const ALERTS: usize = 100_000;

/// Alerts of a notification.
const IN_ONE: usize = 100;

/// How long after its start, or its last alert, an engine counts as calm.
const CALM: Duration = Duration::from_secs(1);

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let bodies = alerts::notifications("memory", ALERTS / IN_ONE, IN_ONE);
    let [mut idle, mut full] = <[Figures; 2]>::default();
    for _ in 0..bench.rounds {
        let engine = Engine::start(bench, None)?;
        sleep(CALM);
        idle.add(engine.resident_megabytes()?);
        load::pour(engine.address, "/hooks", 4, &bodies)?;
        engine.wait_for("homeostat_alerts_active", crate::figure::rate(ALERTS, 1.0))?;
        sleep(CALM);
        full.add(engine.resident_megabytes()?);
    }
    let row = |what: &str, figures: &Figures, bar: f64| Row {
        what: format!("memory, {what}"),
        ours: format!("{} MB", figures.spread()),
        against: "–".into(),
        ratio: "–".into(),
        bar: format!("≤ {bar:.0} MB"),
        verdict: Verdict::of(figures.median() <= bar),
    };
    Ok(vec![row("idle", &idle, 20.0), row("100,000 active alerts", &full, 150.0)])
}
