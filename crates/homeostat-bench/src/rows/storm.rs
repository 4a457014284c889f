//! A storm: what a thousand targets that are held cost whoever sends an alert meanwhile.

use std::time::Instant;

use anyhow::{Result, ensure};

use crate::alerts;
use crate::bench::Bench;
use crate::engine::Engine;
use crate::figure::{Figures, number, percentile, rate};
use crate::load::{self, Line};
use crate::row::{Row, Verdict};

/// Targets that fire.
const TARGETS: usize = 1_000;

/// Notifications of each kind that are timed.
const TIMED: usize = 400;

/// One target in an hour: all others are held.
pub(super) const CONFIG: &str = r#"
policies:
  - name: bench
    matchers: ['alertname="ServiceDown"']
    target: [instance]
    mode: auto
    escalate: none
    guard: { cooldown: 0s, blast_radius: { max: 1, window: 1h } }
    remedies:
      - name: act
        exec: [/bin/true]
"#;

/// How long answers took, in milliseconds.
#[derive(Debug, Default)]
struct Answers {
    p50: Figures,
    p99: Figures,
}

impl Answers {
    fn add(&mut self, mut seconds: Vec<f64>) {
        self.p50.add(percentile(&mut seconds, 50.0) * 1e3);
        self.p99.add(percentile(&mut seconds, 99.0) * 1e3);
    }
}

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let [mut calm_repeats, mut repeats, mut calm_news, mut news]: [Answers; 4] = Default::default();
    for round in 0..bench.rounds {
        let engine = Engine::start(bench, Some(CONFIG))?;
        let mut line = engine.line()?;
        // It is the one that may be acted on.
        let first = [alerts::body(&format!("first{round}"), [0])];
        times(&mut line, &first)?;
        let again: Vec<Vec<u8>> = (0..TIMED).map(|_| first[0].clone()).collect();
        calm_repeats.add(times(&mut line, &again)?);
        calm_news.add(times(&mut line, &ones(&format!("calm{round}"), TIMED))?);
        let storm = alerts::notifications(&format!("storm{round}"), TARGETS / 100, 100);
        load::pour(engine.address, "/hooks", 1, &storm)?;
        engine.wait_for("homeostat_incidents_open", rate(TARGETS + TIMED, 1.0))?;
        repeats.add(times(&mut line, &again)?);
        news.add(times(&mut line, &ones(&format!("storming{round}"), TIMED))?);
        let orders = Engine::metric(&mut line, "homeostat_orders_total")?;
        ensure!(orders <= 1.0, "{orders} orders; one target may be acted on");
    }
    let row = |what: &str, ours: &Answers, calm: &Answers| {
        let share = ours.p50.over(&calm.p50);
        let both = |answers: &Answers| {
            format!("{}, {} ms", number(answers.p50.median()), number(answers.p99.median()))
        };
        Row {
            what: format!("answer to {what} in a storm of 1,000 targets, p50, p99"),
            ours: both(ours),
            against: format!("before: {}", both(calm)),
            ratio: share.spread(),
            bar: "≤ 1.5".into(),
            verdict: Verdict::of(share.median() <= 1.5),
        }
    };
    Ok(vec![row("a repeat", &repeats, &calm_repeats), row("a new alert", &news, &calm_news)])
}

/// Notifications of one new alert each.
fn ones(family: &str, count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|number| alerts::body(family, [number])).collect()
}

/// Sends them one after the other; the seconds from the first byte of each to its answer.
fn times(line: &mut Line, bodies: &[Vec<u8>]) -> Result<Vec<f64>> {
    let time = |body: &Vec<u8>| {
        let request = load::post("/hooks", body);
        let began = Instant::now();
        line.send(&request)?;
        line.receive()?;
        Ok(began.elapsed().as_secs_f64())
    };
    bodies.iter().map(time).collect()
}
