//! Many alerts on one target: they are taken in as fast as on many, nobody waits for them, and an action
//! on all of them starts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use crate::alerts;
use crate::bench::Bench;
use crate::engine::Engine;
use crate::figure::{Figures, number, percentile, rate};
use crate::load;
use crate::row::{Row, Verdict};

/// Alerts that fire.
const ALERTS: usize = 60_000;

/// Alerts of a batch, as Prometheus sends them.
const BATCH: usize = 64;

/// Batches under way at once.
const CONNECTIONS: usize = 4;

/// What is done says how many alerts it was told of. No other guard than a pause holds it.
const CONFIG: &str = r#"
limits: { concurrency: 64, rate: { max: 1000000, per: 1s } }
policies:
  - name: bench
    matchers: ['alertname="ServiceDown"']
    target: [instance]
    mode: auto
    escalate: none
    guard: { cooldown: 0s, rate: { max: 1000000, per: 1s }, concurrency: 64 }
    remedies:
      - name: act
        script: 'echo "${AMX_ALERT_LEN} $(grep -o fingerprint | wc -l)"'
"#;

/// What one engine showed.
struct Taken {
    alerts_a_second: f64,
    /// How long answers to repeats of another alert took meanwhile.
    answers: Vec<f64>,
    engine: Engine,
}

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let [mut one, mut many, mut blocked, mut free, mut starts] = <[Figures; 5]>::default();
    for _ in 0..bench.rounds {
        let mut apart = take(bench, |number| alerts::instance("crowd", number))?;
        many.add(apart.alerts_a_second);
        free.add(percentile(&mut apart.answers, 100.0) * 1e3);
        drop(apart);
        let mut crowd = take(bench, |_| alerts::instance("crowd", 0))?;
        one.add(crowd.alerts_a_second);
        blocked.add(percentile(&mut crowd.answers, 100.0) * 1e3);
        starts.add(act(&crowd.engine)?);
    }
    let share = one.over(&many);
    Ok(vec![
        Row {
            what: "60,000 alerts on one target".into(),
            ours: format!("{} alerts/s", number(one.median())),
            against: format!("on 60,000 targets: {} alerts/s", number(many.median())),
            ratio: share.spread(),
            bar: "≥ 0.5".into(),
            verdict: Verdict::of(share.median() >= 0.5),
        },
        Row {
            what: "the longest answer to a repeat meanwhile".into(),
            ours: format!("{} ms", number(blocked.median())),
            against: format!("on 60,000 targets: {} ms", number(free.median())),
            ratio: blocked.over(&free).spread(),
            bar: "≤ 2".into(),
            verdict: Verdict::of(blocked.over(&free).median() <= 2.0),
        },
        Row {
            what: "an action on 60,000 alerts, until it has read them".into(),
            ours: format!("{} s", starts.spread()),
            against: "–".into(),
            ratio: "–".into(),
            bar: "≤ 5 s".into(),
            verdict: Verdict::of(starts.median() <= 5.0),
        },
    ])
}

/// Lets an engine that is paused take in all alerts, and looks how long it answers somebody else.
fn take(bench: &Bench, instance: impl Fn(usize) -> String) -> Result<Taken> {
    let engine = Engine::start(bench, Some(CONFIG))?;
    let mut line = engine.line()?;
    command(&mut line, "pause")?;
    let other = load::post("/api/v2/alerts", &alerts::batch("Other", [(0, "elsewhere".into())]));
    line.send(&other)?;
    line.receive()?;
    let numbers: Vec<usize> = (0..ALERTS).collect();
    let bodies: Vec<Vec<u8>> = numbers
        .chunks(BATCH)
        .map(|batch| alerts::batch(alerts::NAME, batch.iter().map(|n| (*n, instance(*n)))))
        .collect();
    let over = AtomicBool::new(false);
    let (seconds, answers) = thread::scope(|scope| {
        let waits = scope.spawn(|| wait(&mut line, &other, &over));
        let seconds = load::pour(engine.address, "/api/v2/alerts", CONNECTIONS, &bodies);
        over.store(true, Ordering::Relaxed);
        let answers = waits.join().ok().context("who waits for answers died")??;
        anyhow::Ok((seconds?, answers))
    })?;
    engine.wait_for("homeostat_alerts_active", rate(ALERTS + 1, 1.0))?;
    Ok(Taken { alerts_a_second: rate(ALERTS, seconds), answers, engine })
}

/// Sends the same over and over; the seconds until each answer.
fn wait(line: &mut load::Line, request: &[u8], over: &AtomicBool) -> Result<Vec<f64>> {
    let mut answers = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let began = Instant::now();
        line.send(request)?;
        line.receive()?;
        answers.push(began.elapsed().as_secs_f64());
    }
    Ok(answers)
}

/// Lets the engine act, and returns the seconds until its action has ended, which reads all of its data.
fn act(engine: &Engine) -> Result<f64> {
    let mut line = engine.line()?;
    let began = Instant::now();
    command(&mut line, "resume")?;
    engine.wait_for("homeostat_orders_total", 1.0)?;
    let seconds = began.elapsed().as_secs_f64();
    let sql = "SELECT trim(body ->> '$.ended.output', char(10)) FROM facts
               WHERE kind = 'order_ended'";
    let output: String = engine.journal()?.query_row(sql, [], |row| row.get(0))?;
    ensure!(output.trim() == format!("{ALERTS} {ALERTS}"), "the action was told of {output:?}");
    Ok(seconds)
}

fn command(line: &mut load::Line, what: &str) -> Result<()> {
    let body = br#"{"by": "bench", "reason": "all alerts first"}"#;
    line.send(&load::post(&format!("/api/v1/{what}"), body))?;
    line.receive()?;
    Ok(())
}
