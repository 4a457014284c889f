//! Memory: what is resident, idle and with a flood of alerts, of which none may be lost.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::alerts;
use crate::bench::Bench;
use crate::engine::Engine;
use crate::figure::{Figures, rate};
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
        engine.wait_for("homeostat_alerts_active", rate(ALERTS, 1.0))?;
        sleep(CALM);
        full.add(engine.resident_megabytes()?);
        account(&engine)?;
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

/// Accounts for the flood. Each of its notifications was answered 200, else pouring them had failed: so
/// each alert fires, and stands in the journal once.
fn account(engine: &Engine) -> Result<()> {
    let active = Engine::metric(&mut engine.line()?, "homeostat_alerts_active")?;
    let sql = "SELECT count(*), count(DISTINCT body ->> '$.alert.fingerprint')
               FROM facts WHERE kind = 'episode_began'";
    let written: (i64, i64) =
        engine.journal()?.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let all = i64::try_from(ALERTS)?;
    ensure!(
        active.to_bits() == rate(ALERTS, 1.0).to_bits() && written == (all, all),
        "of {ALERTS} alerts that were answered 200, {active} fire, and {written:?} were written"
    );
    Ok(())
}
