//! Replay: a start with a million facts in the journal, and what folding them takes; and how starts and
//! lists grow with the journal.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use homeostat::journal::Journal;
use homeostat_core::fact::{Fact, What};
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

/// How long one round of everything took, in seconds.
#[derive(Debug, Default)]
struct Seen {
    start: Figures,
    list: Figures,
}

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let facts = history()?;
    let [tenth, whole] = [bench.directory()?, bench.directory()?];
    // Without a snapshot, so that all is read.
    begin(bench, &tenth, &facts[..FACTS / 10])?;
    let first = begin(bench, &whole, &facts)?;
    let [mut small, mut large]: [Seen; 2] = Default::default();
    let mut folds = Figures::default();
    for _ in 0..bench.rounds {
        small.see(bench, &tenth)?;
        large.see(bench, &whole)?;
        folds.add(fold(&facts) / 1e6);
    }
    let incidents = facts.iter().filter(|fact| opens(fact)).count();
    let grown = |what: String, of: fn(&Seen) -> &Figures, within: f64| Row {
        what,
        ours: format!("{} s", of(&large).spread()),
        against: format!("of a tenth: {} s", number(of(&small).median())),
        ratio: format!("exponent {}", of(&large).exponent(of(&small)).spread()),
        bar: format!("≤ {within} s"),
        verdict: Verdict::of(of(&large).median() <= within),
    };
    let incidents = number(rate(incidents, 1.0));
    Ok(vec![
        grown(
            format!("start with 1,000,000 facts; for the first time {} s", number(first)),
            |seen| &seen.start,
            1.0,
        ),
        grown(format!("the last 50 of {incidents} incidents by the API"), |seen| &seen.list, 0.05),
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

/// Starts an engine for the first time on these facts; the seconds until it was ready.
fn begin(bench: &Bench, directory: &Path, facts: &[Fact]) -> Result<f64> {
    write(&directory.join("data"), facts)?;
    let (engine, seconds) = Engine::start_in(bench, directory, None)?;
    engine.stop()?;
    Ok(seconds)
}

impl Seen {
    fn see(&mut self, bench: &Bench, directory: &Path) -> Result<()> {
        let (engine, seconds) = Engine::start_in(bench, directory, None)?;
        self.start.add(seconds);
        let mut line = engine.line()?;
        let mut time = |path: &str| -> Result<f64> {
            let began = Instant::now();
            line.get(path)?;
            Ok(began.elapsed().as_secs_f64())
        };
        // Who asks first lets what is open be read.
        time("/api/v1/incidents?limit=50")?;
        self.list.add(time("/api/v1/incidents?limit=50")?);
        engine.stop()
    }
}

fn opens(fact: &Fact) -> bool {
    matches!(fact.what, What::IncidentOpened { .. })
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
