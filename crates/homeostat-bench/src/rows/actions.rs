//! Actions: orders from their alert to their recorded end, against nothing but processes.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;

use crate::alerts;
use crate::bench::Bench;
use crate::engine::{self, Engine};
use crate::figure::{Figures, number, rate};
use crate::limit;
use crate::load;
use crate::row::{Row, Verdict};

/// Orders of a round.
const ORDERS: usize = 2_000;

/// How many run at once.
const AT_ONCE: usize = 64;

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let config = engine::acting_on_all(Path::new("/bin/true"));
    let [mut ours, mut raw] = <[Figures; 2]>::default();
    for round in 0..bench.rounds {
        let engine = Engine::start(bench, Some(&config))?;
        let bodies = alerts::notifications(&format!("actions{round}"), ORDERS / 100, 100);
        let began = Instant::now();
        load::pour(engine.address, "/hooks", 1, &bodies)?;
        engine.wait_for("homeostat_orders_total", rate(ORDERS, 1.0))?;
        ours.add(rate(ORDERS, began.elapsed().as_secs_f64()));
        drop(engine);
        raw.add(limit::spawns(ORDERS, AT_ONCE)?);
    }
    let share = ours.over(&raw);
    Ok(vec![Row {
        what: "actions, 64 at once".into(),
        ours: format!("{} orders/s", number(ours.median())),
        against: format!("spawn and wait: {} processes/s", number(raw.median())),
        ratio: share.spread(),
        bar: "≥ 0.7".into(),
        verdict: Verdict::of(share.median() >= 0.7),
    }])
}
