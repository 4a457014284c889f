//! Replay: a start with a million facts in the journal, and what folding them takes.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use homeostat::journal::Journal;
use homeostat_core::fact::Fact;
use homeostat_core::state::State;
use homeostat_core::time::Timestamp;

use crate::bench::Bench;
use crate::engine::Engine;
use crate::figure::{Figures, number, rate};
use crate::row::{Row, Verdict};
use crate::walk::Walk;

/// Facts in the journal.
const FACTS: usize = 1_000_000;

/// Facts of one commit.
const GROUP: usize = 5_000;

/// Incidents that are open all the time.
const OPEN: usize = 100;

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let facts = history()?;
    let directory = bench.directory()?;
    write(&directory.join("data"), &facts)?;
    let (engine, first) = Engine::start_in(bench, &directory, None)?;
    engine.stop()?;
    let [mut starts, mut folds] = <[Figures; 2]>::default();
    for _ in 0..bench.rounds {
        let (engine, seconds) = Engine::start_in(bench, &directory, None)?;
        starts.add(seconds);
        engine.stop()?;
        folds.add(fold(&facts) / 1e6);
    }
    Ok(vec![
        Row {
            what: "start with 1,000,000 facts".into(),
            ours: format!("{} s, for the first time {} s", starts.spread(), number(first)),
            against: "–".into(),
            ratio: "–".into(),
            bar: "≤ 1 s".into(),
            verdict: Verdict::of(starts.median() <= 1.0),
        },
        Row {
            what: "fold of decoded facts".into(),
            ours: format!("{} M/s", folds.spread()),
            against: "–".into(),
            ratio: "–".into(),
            bar: "≥ 1 M/s".into(),
            verdict: Verdict::of(folds.median() >= 1.0),
        },
    ])
}

/// What happens when incident after incident lives from its alert to its proof.
fn history() -> Result<Vec<Fact>> {
    let mut walk = Walk::new(100, Timestamp::from_seconds(1_767_603_600))?;
    walk.facts = Some(Vec::with_capacity(FACTS));
    walk.open(OPEN)?;
    while walk.facts.as_ref().is_some_and(|facts| facts.len() < FACTS) {
        walk.live()?;
    }
    let mut facts = walk.facts.unwrap_or_default();
    facts.truncate(FACTS);
    Ok(facts)
}

fn write(data: &Path, facts: &[Fact]) -> Result<()> {
    std::fs::create_dir_all(data)?;
    let mut journal = Journal::open(data)?;
    for group in facts.chunks(GROUP) {
        journal.commit(group)?;
    }
    Ok(())
}

/// Facts a second.
fn fold(facts: &[Fact]) -> f64 {
    let began = Instant::now();
    let mut state = State::default();
    for fact in facts {
        state.apply(fact);
    }
    let seconds = began.elapsed().as_secs_f64();
    std::hint::black_box(&state);
    rate(facts.len(), seconds)
}
