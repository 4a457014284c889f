//! Simulation: incidents a second on one core.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use homeostat_sim::play::{Watch, play};
use homeostat_sim::script::{Script, World};

use crate::bench::Bench;
use crate::figure::Figures;
use crate::row::{Row, Verdict};

/// How long a round takes at least.
const ROUND: Duration = Duration::from_secs(2);

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    Ok(vec![
        row(bench, "core alone", World::Kind, Watch::Never, 10_000.0)?,
        row(bench, "faults and oracles", World::Hostile, Watch::Closely, 2_000.0)?,
    ])
}

fn row(bench: &Bench, what: &str, world: World, watch: Watch, bar: f64) -> Result<Row> {
    let mut figures = Figures::default();
    let mut seed = 0;
    for _ in 0..bench.rounds {
        let (mut incidents, mut spent) = (0, Duration::ZERO);
        while spent < ROUND {
            seed += 1;
            let script = Script::draw(seed, world);
            let begun = Instant::now();
            let report = play(&script, watch, false);
            spent += begun.elapsed();
            incidents += report.incidents;
            if let Some(violation) = report.violation {
                bail!("seed {seed} breaks {violation}");
            }
        }
        figures.add(crate::figure::rate(usize::try_from(incidents)?, spent.as_secs_f64()));
    }
    Ok(Row {
        what: format!("simulated incidents a second, {what}"),
        ours: figures.spread(),
        against: "–".into(),
        ratio: "–".into(),
        bar: format!("≥ {}", crate::figure::number(bar)),
        verdict: Verdict::of(figures.median() >= bar),
    })
}
