//! How cost grows with what there is: each measured at two sizes, a factor of ten apart.

use std::fmt::Write as _;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::storm;
use crate::alerts;
use crate::bench::Bench;
use crate::engine::Engine;
use crate::figure::{Figures, number, rate};
use crate::load;
use crate::row::{Row, Verdict};

/// Alerts that a Prometheus sends directly, over and over.
const ACTIVE: [usize; 2] = [2_000, 20_000];

/// Alerts of a batch, and how often each is sent, as Prometheus does.
const BATCH: usize = 64;
const MINUTE: f64 = 60.0;

/// Incidents that are held.
const HELD: [usize; 2] = [1_000, 10_000];

/// How long those who are held are watched: each looks by itself within a minute.
const WATCH: Duration = Duration::from_secs(61);

/// How long an engine has to come to rest before.
const CALM: Duration = Duration::from_secs(5);

/// Policies that are read again.
const POLICIES: [usize; 2] = [1_000, 10_000];

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    Ok(vec![active(bench)?, held(bench)?, policies(bench)?])
}

/// Figures of a tenth of the size, and of the whole.
#[derive(Debug, Default)]
struct Grown {
    tenth: Figures,
    whole: Figures,
}

impl Grown {
    /// `unit` and `bar` are of the whole.
    fn row(&self, what: String, of_a_tenth: &str, unit: &str, bar: f64) -> Row {
        Row {
            what,
            ours: format!("{} {unit}", self.whole.spread()),
            against: format!("{of_a_tenth}: {} {unit}", number(self.tenth.median())),
            ratio: format!("exponent {}", self.whole.exponent(&self.tenth).spread()),
            bar: format!("≤ {bar} {unit}"),
            verdict: Verdict::of(self.whole.median() <= bar),
        }
    }
}

/// The share of a core that goes into alerts which are sent again each minute.
fn active(bench: &Bench) -> Result<Row> {
    let mut grown = Grown::default();
    for _ in 0..bench.rounds {
        grown.tenth.add(repeated(bench, ACTIVE[0])?);
        grown.whole.add(repeated(bench, ACTIVE[1])?);
    }
    let what =
        format!("{} alerts sent directly each minute, of a core", number(rate(ACTIVE[1], 1.0)));
    Ok(grown.row(what, &number(rate(ACTIVE[0], 1.0)), "%", 2.0))
}

fn repeated(bench: &Bench, count: usize) -> Result<f64> {
    let engine = Engine::start(bench, None)?;
    let numbers: Vec<usize> = (0..count).collect();
    let bodies = || -> Vec<Vec<u8>> {
        let name = |number: &usize| (*number, alerts::instance("growth", *number));
        let batches = numbers.chunks(BATCH);
        batches.map(|batch| alerts::batch(alerts::NAME, batch.iter().map(name))).collect()
    };
    load::pour(engine.address, "/api/v2/alerts", 1, &bodies())?;
    engine.wait_for("homeostat_alerts_active", rate(count, 1.0))?;
    // They say anew until when they fire.
    let again = bodies();
    let before = engine.cpu_seconds()?;
    load::pour(engine.address, "/api/v2/alerts", 1, &again)?;
    Ok((engine.cpu_seconds()? - before) / MINUTE * 100.0)
}

/// The share of a core that incidents take which are held, and of which nobody hears anything. Both
/// engines rest beside each other.
fn held(bench: &Bench) -> Result<Row> {
    let (tenth, whole) = (holding(bench, HELD[0])?, holding(bench, HELD[1])?);
    sleep(CALM);
    let before = (tenth.cpu_seconds()?, whole.cpu_seconds()?);
    sleep(WATCH);
    let share = |seconds: f64| seconds / WATCH.as_secs_f64() * 100.0;
    let mut grown = Grown::default();
    grown.tenth.add(share(tenth.cpu_seconds()? - before.0));
    grown.whole.add(share(whole.cpu_seconds()? - before.1));
    let orders = Engine::metric(&mut whole.line()?, "homeostat_orders_total")?;
    ensure!(orders <= 1.0, "{orders} orders; one target may be acted on");
    let what = format!("{} incidents that are held, of a core", number(rate(HELD[1], 1.0)));
    Ok(grown.row(what, &number(rate(HELD[0], 1.0)), "%", 1.0))
}

fn holding(bench: &Bench, count: usize) -> Result<Engine> {
    let engine = Engine::start(bench, Some(storm::CONFIG))?;
    load::pour(engine.address, "/hooks", 1, &alerts::notifications("held", count / 100, 100))?;
    engine.wait_for("homeostat_incidents_open", rate(count - 1, 1.0))?;
    Ok(engine)
}

/// How long a reload takes.
fn policies(bench: &Bench) -> Result<Row> {
    let mut grown = Grown::default();
    let start = |count| Engine::start(bench, Some(&configuration(count)));
    let (tenth, whole) = (start(POLICIES[0])?, start(POLICIES[1])?);
    let mut lines = (tenth.line()?, whole.line()?);
    for _ in 0..bench.rounds {
        grown.tenth.add(reload(&mut lines.0)?);
        grown.whole.add(reload(&mut lines.1)?);
    }
    let what = format!("a reload of {} policies", number(rate(POLICIES[1], 1.0)));
    Ok(grown.row(what, &number(rate(POLICIES[0], 1.0)), "s", 1.0))
}

fn reload(line: &mut load::Line) -> Result<f64> {
    let began = Instant::now();
    line.send(&load::post("/-/reload", b""))?;
    line.receive()?;
    Ok(began.elapsed().as_secs_f64())
}

fn configuration(policies: usize) -> String {
    let mut text = "policies:\n".to_owned();
    for number in 0..policies {
        let _ = write!(
            text,
            r#"  - name: policy-{number}
    matchers: ['alertname="Alert{number}"', 'severity="critical"']
    target: [instance]
    mode: auto
    escalate: none
    remedies:
      - {{ name: restart, exec: [/bin/systemctl, restart, "web@{{{{ labels.instance | host }}}}"] }}
      - {{ name: again, exec: [/bin/true] }}
"#
        );
    }
    text
}
