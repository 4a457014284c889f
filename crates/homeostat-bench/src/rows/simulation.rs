//! Simulation: incidents a second, once there is one.

use anyhow::Result;

use crate::bench::Bench;
use crate::row::Row;

#[expect(clippy::unnecessary_wraps, reason = "all measurements have one type")]
pub(super) fn measure(_: &Bench) -> Result<Vec<Row>> {
    let row =
        |what: &str, bar: &str| Row { bar: bar.into(), ..Row::skipped(what, "not built yet") };
    Ok(vec![
        row("simulated incidents a second, core alone", "≥ 10,000"),
        row("simulated incidents a second, faults and oracles", "≥ 2,000"),
    ])
}
