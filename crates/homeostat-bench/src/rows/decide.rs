//! Decide: what a turn takes, however many policies and open incidents there are.

use anyhow::{Context as _, Result};
use homeostat_core::time::Timestamp;

use crate::bench::Bench;
use crate::figure::{Figures, number, rate};
use crate::row::{Row, Verdict};
use crate::walk::{TURNS, Walk};

/// Policies, each told from the others by the name of its alert.
const POLICIES: [usize; 4] = [10, 100, 1_000, 10_000];

/// Incidents that are open meanwhile.
const INCIDENTS: [usize; 3] = [1_000, 10_000, 100_000];

/// Incidents that live from begin to end in a round.
const LIVES: usize = 3_000;

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let began = Timestamp::from_seconds(1_767_603_600);
    let mut by_policies = Vec::new();
    for policies in POLICIES {
        let mut walk = Walk::new(policies, began)?;
        walk.open(1_000)?;
        by_policies.push(walk);
    }
    let mut by_incidents = Vec::new();
    for incidents in INCIDENTS {
        let mut walk = Walk::new(100, began)?;
        walk.open(incidents)?;
        by_incidents.push(walk);
    }
    Ok(vec![
        row(bench, "decide, 10 to 10,000 policies", &mut by_policies)?,
        row(bench, "decide, 1,000 to 100,000 open incidents", &mut by_incidents)?,
    ])
}

/// Lets all of them walk in turn, and compares the last with the first.
fn row(bench: &Bench, what: &str, walks: &mut [Walk]) -> Result<Row> {
    let mut turns = vec![Figures::default(); walks.len()];
    for round in 0..=bench.rounds {
        for (walk, turns) in walks.iter_mut().zip(&mut turns) {
            let mut seconds = 0.0;
            for _ in 0..LIVES {
                seconds += walk.live()?;
            }
            // The first round warms up.
            if round > 0 {
                turns.add(seconds * 1e6 / rate(LIVES * TURNS, 1.0));
            }
        }
    }
    let (first, last) = (turns.first().context("sizes")?, turns.last().context("sizes")?);
    let grown = last.over(first);
    let each: Vec<String> = turns.iter().map(|turns| number(turns.median())).collect();
    Ok(Row {
        what: what.into(),
        ours: format!("{} µs a turn", each.join(", ")),
        against: "the smallest of them".into(),
        ratio: grown.spread(),
        bar: "≤ 1.5".into(),
        verdict: Verdict::of(grown.median() <= 1.5),
    })
}
