//! The pages with 10,000 incidents of which 1,000 are open, and the history of a million: how long each
//! takes to be made and sent, and how large it is.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, ensure};
use jiff::Timestamp;
use rusqlite::{Connection, params};

use crate::alerts;
use crate::bench::Bench;
use crate::engine::Engine;
use crate::figure::Figures;
use crate::load;
use crate::row::{Row, Verdict};

const CLOSED: usize = 9_000;
const OPEN: usize = 1_000;

/// What is in shadow is over at once; of the others, one may be acted on.
const CONFIG: &str = r#"
policies:
  - name: quiet
    matchers: ['instance=~"quiet.*"']
    target: [instance]
    mode: shadow
    escalate: none
    remedies: [{ name: act, exec: [/bin/true] }]
  - name: held
    matchers: ['alertname="ServiceDown"']
    target: [instance]
    mode: auto
    escalate: none
    guard: { rate: { max: 1, per: 1d } }
    remedies: [{ name: act, exec: [/bin/sleep, "300"], timeout: 10m }]
"#;

/// Of a season, what became of a million: each policy heals in as many different times on each day.
const INCIDENTS: i64 = 1_000_000;
const DAYS: i64 = 90;
const POLICIES: i64 = 20;
const STEPS: i64 = 30;

const PAGES: [&str; 7] = [
    "/",
    "/incidents",
    "/incidents?state=open",
    "/incidents?q=nothing",
    "/incidents/9500",
    "/policies",
    "/alerts",
];

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let engine = Engine::start(bench, Some(CONFIG))?;
    load::pour(engine.address, "/hooks", 4, &alerts::notifications("quiet", CLOSED / 100, 100))?;
    load::pour(engine.address, "/hooks", 4, &alerts::notifications("held", OPEN / 100, 100))?;
    let mut rows = Vec::new();
    for page in PAGES {
        let what = format!("page {page} at {} incidents, {OPEN} open", CLOSED + OPEN);
        rows.push(row(bench, &engine, page, what, 50.0)?);
    }
    drop(engine);
    let directory = bench.directory()?;
    let (engine, _) = Engine::start_in(bench, &directory, Some(CONFIG))?;
    engine.stop()?;
    let incidents = remember(&directory.join("data"))?;
    let (engine, _) = Engine::start_in(bench, &directory, Some(CONFIG))?;
    let what =
        format!("page /history at {incidents} incidents of {DAYS} days and {POLICIES} policies");
    rows.push(row(bench, &engine, "/history", what, 100.0)?);
    Ok(rows)
}

/// Asks for a page once in each round, and once before: who looks first lets what is open be read.
fn row(bench: &Bench, engine: &Engine, page: &str, what: String, within: f64) -> Result<Row> {
    let mut line = engine.line()?;
    let mut took = Figures::default();
    let mut bytes = 0;
    for round in 0..=bench.rounds {
        let began = Instant::now();
        let answer = line.get(page)?;
        let milliseconds = began.elapsed().as_secs_f64() * 1e3;
        ensure!(answer.contains("</html>"), "{page} is no page");
        bytes = answer.len();
        if round > 0 {
            took.add(milliseconds);
        }
    }
    Ok(Row {
        what,
        ours: format!("{} ms, {} KB", took.spread(), bytes / 1000),
        against: "–".into(),
        ratio: "–".into(),
        bar: format!("≤ {within} ms, ≤ 150 KB"),
        verdict: Verdict::of(took.median() <= within && bytes <= 150_000),
    })
}

/// Writes what became of a million incidents as the engine counts it, and tells how many they are.
fn remember(data: &Path) -> Result<u64> {
    let mut connection = Connection::open(data.join("homeostat.db"))?;
    let transaction = connection.transaction()?;
    let today = Timestamp::now().as_second() / 86_400;
    let each = INCIDENTS / (DAYS * POLICIES * STEPS);
    {
        let sql = "INSERT INTO days (day, policy, outcome, step, incidents, alone)
                   VALUES (?1, ?2, 'healed', ?3, ?4, ?4)";
        let mut insert = transaction.prepare(sql)?;
        for day in 0..DAYS {
            for policy in 0..POLICIES {
                for step in 0..STEPS {
                    let row = params![today - day, format!("policy-{policy}"), step, each];
                    insert.execute(row)?;
                }
            }
        }
    }
    transaction.commit()?;
    Ok((each * DAYS * POLICIES * STEPS).unsigned_abs())
}
