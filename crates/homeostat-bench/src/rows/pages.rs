//! The pages with 10,000 incidents of which 1,000 are open: how long each takes to be made and sent, and
//! how large it is.

use std::time::Instant;

use anyhow::{Result, ensure};

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

const PAGES: [&str; 6] = [
    "/",
    "/incidents",
    "/incidents?state=open",
    "/incidents?q=nothing",
    "/incidents/9500",
    "/policies",
];

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let engine = Engine::start(bench, Some(CONFIG))?;
    load::pour(engine.address, "/hooks", 4, &alerts::notifications("quiet", CLOSED / 100, 100))?;
    load::pour(engine.address, "/hooks", 4, &alerts::notifications("held", OPEN / 100, 100))?;
    let mut line = engine.line()?;
    let mut rows = Vec::new();
    for page in PAGES {
        let mut took = Figures::default();
        let mut bytes = 0;
        // Once before: who looks first lets what is open be read.
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
        let met = took.median() <= 50.0 && bytes <= 150_000;
        rows.push(Row {
            what: format!("page {page} at {} incidents, {OPEN} open", CLOSED + OPEN),
            ours: format!("{} ms, {} KB", took.spread(), bytes / 1000),
            against: "–".into(),
            ratio: "–".into(),
            bar: "≤ 50 ms, ≤ 150 KB".into(),
            verdict: Verdict::of(met),
        });
    }
    Ok(rows)
}
