//! The engine is killed again and again under load, at random moments and at random failpoints, and
//! all that it answered 200 is accounted for at the end: it ran exactly once, or nobody knows and a
//! person was told.
//!
//! `make torture` does it a thousand times and prints a table. Rounds come in series; each series has
//! a directory and a seed of its own, so that one that failed is run again by its seed alone. A seed
//! gives the same alerts, the same failpoints and the same pauses; what the machine does in between
//! is its own affair.
//!
//! What ran is judged by the lines that remedies write and by what the API says, never by whose child
//! a process is.

#![expect(clippy::unwrap_used, reason = "the helpers of a test are a test, too")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, Instant};

use homeostat::demo::stack::Sandbox;
use homeostat::failpoint;
use serde_json::Value;
use support::{Engine, Start, notification, ran, until};
use tokio::task::JoinSet;

/// Kills of one series, after which everything is accounted for.
const SERIES: usize = 25;

/// New alerts of a round, at most.
const ALERTS: u64 = 12;

/// The longest that a round waits for a failpoint before it kills by itself.
const LONGEST: Duration = Duration::from_millis(400);

/// Splitmix64: numbers that a seed repeats.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    /// Where the next run dies: nowhere, at the so many-th time at a failpoint, or sometime there.
    fn failpoint(&mut self) -> String {
        if self.below(3) == 0 {
            return String::new();
        }
        let names: Vec<&&str> =
            failpoint::ALL.iter().filter(|name| !name.starts_with("snapshot.")).collect();
        let name = names[usize::try_from(self.below(names.len() as u64)).unwrap()];
        match self.below(4) {
            0 => format!("{name}=20%kill"),
            1 => format!("{name}=kill"),
            _ => format!("{name}={}*off->kill", 1 + self.below(6)),
        }
    }
}

/// What became of everything.
#[derive(Debug, Default)]
struct Account {
    kills: usize,
    at_failpoints: usize,
    accepted: usize,
    ran: usize,
    unknown: usize,
    /// The unknown that ran all the same: they are never run again.
    unknown_and_ran: usize,
    lost: Vec<String>,
    double: Vec<String>,
    restarts: Vec<Duration>,
}

impl Account {
    fn add(&mut self, other: Self) {
        self.kills += other.kills;
        self.at_failpoints += other.at_failpoints;
        self.accepted += other.accepted;
        self.ran += other.ran;
        self.unknown += other.unknown;
        self.unknown_and_ran += other.unknown_and_ran;
        self.lost.extend(other.lost);
        self.double.extend(other.double);
        self.restarts.extend(other.restarts);
    }

    fn is_clean(&self) -> bool {
        self.lost.is_empty() && self.double.is_empty()
    }

    fn table(&self, seed: u64) -> String {
        let mut restarts = self.restarts.clone();
        restarts.sort();
        let at =
            |share: usize| restarts.get(restarts.len() * share / 100).copied().unwrap_or_default();
        let mut text = String::new();
        for (what, number) in [
            ("seed", seed.to_string()),
            ("rounds", self.kills.to_string()),
            ("of them killed at a failpoint", self.at_failpoints.to_string()),
            ("alerts accepted", self.accepted.to_string()),
            ("orders run, end known", self.ran.to_string()),
            ("orders unknown, verified, told", self.unknown.to_string()),
            ("of them had run", self.unknown_and_ran.to_string()),
            ("lost", self.lost.len().to_string()),
            ("run twice", self.double.len().to_string()),
            ("restart p50", format!("{:?}", at(50))),
            ("restart p99", format!("{:?}", at(99))),
        ] {
            writeln!(text, "{what:<32} {number:>12}").unwrap();
        }
        text
    }
}

fn config(sandbox: &Sandbox) -> String {
    format!(
        r#"
limits: {{ concurrency: 64, rate: {{ max: 1000000, per: 1s }} }}
notify: [{{ name: oncall, exec: [/bin/sh, -c, 'printf "%s\n" "$(cat)" >> {directory}/told'] }}]
policies:
  - name: web
    matchers: ['alertname="Down"']
    target: [instance]
    mode: auto
    verify: {{ within: 1s, every: 1s, times: 1 }}
    guard: {{ cooldown: 0s, rate: {{ max: 1000000, per: 1s }}, concurrency: 64, breaker: none }}
    remedies:
      - name: first
        timeout: 5s
        script: echo "$HOMEOSTAT_ORDER" >> {directory}/ran
"#,
        directory = sandbox.path().display()
    )
}

fn body(instance: &str) -> String {
    notification(&[&[("alertname", "Down"), ("instance", instance)]])
}

/// One engine, killed again and again.
struct Series {
    engine: Engine,
    random: Random,
    account: Account,
    /// Not yet answered 200: sent again in the next round.
    pending: BTreeSet<String>,
    accepted: BTreeSet<String>,
}

impl Series {
    /// Posts all that is pending at once, each once.
    async fn post(&mut self) {
        let mut sends = JoinSet::new();
        for instance in &self.pending {
            let request = self.engine.client().post(self.engine.url("/hooks")).body(body(instance));
            let instance = instance.clone();
            sends.spawn(async move {
                let answer = request.send().await;
                (instance, answer.is_ok_and(|answer| answer.status() == 200))
            });
        }
        for (instance, accepted) in sends.join_all().await {
            if accepted {
                self.pending.remove(&instance);
                self.accepted.insert(instance);
            }
        }
    }

    /// Waits until the engine has died at a failpoint, or kills it at a random moment.
    ///
    /// Where actions have a runner of their own, its death belongs here, too.
    async fn kill(&mut self, has_failpoint: bool) {
        let longest =
            if has_failpoint { LONGEST } else { Duration::from_micros(self.random.below(60_000)) };
        let begun = Instant::now();
        while begun.elapsed() < longest && !self.engine.has_ended() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.account.kills += 1;
        if self.engine.has_ended() {
            self.account.at_failpoints += 1;
            let code = self.engine.wait();
            assert_eq!(code, None, "it ended by itself: {}", self.engine.log());
        } else {
            self.engine.kill();
        }
    }

    async fn round(&mut self, number: usize) {
        let failpoint = self.random.failpoint();
        let begun = Instant::now();
        self.engine.restart_to(&failpoint);
        let is_ready = loop {
            if self.engine.has_ended() {
                break false;
            }
            if self.engine.client().get(self.engine.url("/-/ready")).send().await.is_ok() {
                break true;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        if is_ready {
            self.account.restarts.push(begun.elapsed());
        }
        for alert in 0..1 + self.random.below(ALERTS) {
            self.pending.insert(format!("host-{number}-{alert}"));
        }
        self.post().await;
        self.kill(!failpoint.is_empty()).await;
    }

    /// Lets everything come to its end, and accounts for it.
    async fn settle(&mut self, sandbox: &Sandbox) {
        self.engine.restart().await;
        let known = self.incidents().await;
        for instance in &self.accepted {
            if !known.contains_key(instance) {
                self.account.lost.push(format!("{instance}: answered 200, and no incident"));
            }
        }
        let deadline = Instant::now() + support::PATIENCE;
        while !self.pending.is_empty() {
            assert!(Instant::now() < deadline, "it takes no alerts: {}", self.engine.log());
            self.post().await;
        }
        self.account.accepted += self.accepted.len();
        let all: Vec<[(&str, &str); 2]> =
            self.accepted.iter().map(|i| [("alertname", "Down"), ("instance", i)]).collect();
        let all: Vec<&[(&str, &str)]> = all.iter().map(|alert| &alert[..]).collect();
        let engine = &self.engine;
        until("an end of all incidents", || async {
            // As Alertmanager repeats them: the guard `fresh` wants to hear of each again.
            assert_eq!(engine.post("/hooks", notification(&all)).await, 200);
            tokio::time::sleep(Duration::from_millis(500)).await;
            let status = engine.json("/api/v1/status").await;
            status["incidents_open"].as_object().unwrap().is_empty().then_some(())
        })
        .await;
        self.judge(sandbox).await;
    }

    async fn incidents(&self) -> BTreeMap<String, Vec<Value>> {
        let mut by_instance: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for incident in list(&self.engine).await {
            let instance = incident["target"]["instance"].as_str().unwrap().to_owned();
            by_instance.entry(instance).or_default().push(incident);
        }
        by_instance
    }

    async fn judge(&mut self, sandbox: &Sandbox) {
        let mut lines: BTreeMap<String, usize> = BTreeMap::new();
        for order in ran(sandbox.path()) {
            *lines.entry(order).or_default() += 1;
        }
        let told = sandbox.path().join("told");
        let oncall = "homeostat_notices_total{channel=\"oncall\",result=\"accepted\"}";
        until("that somebody is told", || async {
            let text = std::fs::read_to_string(&told).unwrap_or_default();
            let told: BTreeSet<String> = text
                .lines()
                .filter_map(|line| serde_json::from_str::<Value>(line).ok())
                .map(|notice| notice["incident"].to_string())
                .collect();
            let _ = self.engine.metric(oncall).await;
            (told.len() >= self.accepted.len()).then_some(())
        })
        .await;
        for (instance, incidents) in self.incidents().await {
            let [incident] = &incidents[..] else {
                self.account.double.push(format!("{instance}: {} incidents", incidents.len()));
                continue;
            };
            let orders = incident["orders"].as_array().unwrap();
            let [order] = &orders[..] else {
                let which = if orders.is_empty() {
                    &mut self.account.lost
                } else {
                    &mut self.account.double
                };
                which.push(format!("{instance}: {} orders: {incident:#}", orders.len()));
                continue;
            };
            let times = lines.get(order["id"].as_str().unwrap()).copied().unwrap_or(0);
            if times > 1 {
                self.account.double.push(format!("{instance}: run {times} times: {incident:#}"));
            }
            match order["result"].as_str() {
                Some("unknown") => {
                    self.account.unknown += 1;
                    self.account.unknown_and_ran += times.min(1);
                }
                Some("succeeded") if times > 0 => self.account.ran += 1,
                result => {
                    let what = format!("{instance}: {result:?}, run {times} times: {incident:#}");
                    self.account.lost.push(what);
                }
            }
        }
    }
}

/// All incidents.
async fn list(engine: &Engine) -> Vec<Value> {
    let mut all = Vec::new();
    let mut path = "/api/v1/incidents?limit=50".to_owned();
    loop {
        let page = engine.json(&path).await;
        all.extend(page["incidents"].as_array().unwrap().iter().cloned());
        let Some(cursor) = page["next_cursor"].as_str() else { return all };
        path = format!("/api/v1/incidents?limit=50&cursor={cursor}");
    }
}

/// Runs so many rounds on one directory.
async fn series(seed: u64, rounds: usize) -> Account {
    let sandbox = Sandbox::new().unwrap();
    let config = config(&sandbox);
    let mut engine = Engine::broken(&sandbox, &Start { config: &config, ..Start::default() });
    engine.ready().await;
    engine.kill();
    let mut series = Series {
        engine,
        random: Random(seed),
        account: Account::default(),
        pending: BTreeSet::new(),
        accepted: BTreeSet::new(),
    };
    for number in 0..rounds {
        series.round(number).await;
    }
    series.settle(&sandbox).await;
    series.account
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().filter(|text| !text.is_empty()).map(|text| text.parse().unwrap())
}

fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: make torture"]
async fn torture() {
    let seed =
        number("SEED").unwrap_or_else(|| Random(u64::from(std::process::id())).below(1 << 32));
    let rounds = usize::try_from(number("ROUNDS").unwrap_or(1000)).unwrap();
    let mut total = Account::default();
    let mut left = rounds;
    for index in 0.. {
        let count = left.min(SERIES);
        if count == 0 {
            break;
        }
        left -= count;
        let seed = seed + index;
        let account = series(seed, count).await;
        if !account.is_clean() {
            say(&format!("again: make torture SEED={seed} ROUNDS={count}"));
        }
        total.add(account);
        say(&format!("{} of {rounds} rounds, {} alerts", total.kills, total.accepted));
    }
    say(&total.table(seed));
    assert!(total.is_clean(), "lost: {:#?}\nrun twice: {:#?}", total.lost, total.double);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_few_rounds_lose_nothing_and_run_nothing_twice() {
    let account = series(1, 15).await;
    assert!(account.is_clean(), "lost: {:#?}\nrun twice: {:#?}", account.lost, account.double);
    assert_eq!(account.kills, 15);
    assert_eq!(account.ran + account.unknown, account.accepted, "{account:#?}");
}
