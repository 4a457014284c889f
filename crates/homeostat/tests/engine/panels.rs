//! What the dashboards show of a night with a bit of everything: a real Prometheus that has the mixin's
//! rules asks a real engine, answers each panel, and a page draws what it answered.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use homeostat::demo::stack::{self, Alertmanager, Prometheus, Sandbox};
use reqwest::Url;
use serde_json::{Value, json};

use crate::support::browser::{self, Browser};
use crate::support::{Engine, until};

/// Hours of the night, each a bit of everything. For pictures it is longer: something is to be seen.
const HOURS: u32 = 1;
const HOURS_FOR_PICTURES: u32 = 24;

/// The hour of what is open when the dashboards are looked at.
const LATER: u32 = 99;

/// How often everything is scraped.
const SCRAPE: Duration = Duration::from_millis(200);

/// What the dashboards say that they ask, and what is asked here, where a night takes seconds.
const USUALLY: &str =
    "Drawn from the answers of a Prometheus to the dashboard’s own queries. The night took";

fn contrib(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contrib").join(path)
}

/// What goes wrong, and whose it is. Each hour it is another target's.
#[derive(Clone, Copy)]
struct Trouble {
    alertname: &'static str,
    policy: &'static str,
}

impl Trouble {
    fn target(self, hour: u32) -> String {
        format!("{}-{hour:02}", self.policy)
    }
}

const WEB: Trouble = Trouble { alertname: "WebDown", policy: "web" };
const DISK: Trouble = Trouble { alertname: "DiskFull", policy: "disk" };
const PRIMARY: Trouble = Trouble { alertname: "PrimaryDown", policy: "primary" };
const CACHE: Trouble = Trouble { alertname: "CacheSlow", policy: "cache" };
const RACK: Trouble = Trouble { alertname: "RackDark", policy: "rack" };

fn config(alertmanager: &str) -> String {
    let policy = |trouble: Trouble, mode: &str, script: &str| {
        let Trouble { alertname, policy: name } = trouble;
        format!(
            "  - name: {name}
    matchers: ['alertname=\"{alertname}\"']
    target: [instance]
    mode: {mode}
    escalate: {{ severity: critical }}
    verify: {{ within: 1m }}
    relapse: 0s
    remedies: [{{ name: {name}-remedy, script: \"{script}\" }}]
"
        )
    };
    [
        format!(
            "sources: {{ alertmanagers: [{{ name: main, urls: [\"{alertmanager}\"] }}] }}
notify: [{{ name: oncall, exec: [/bin/true] }}]
defaults: {{ guard: {{ rate: {{ max: 1000, per: 1h }}, breaker: none }} }}
limits: {{ rate: {{ max: 1000, per: 1h }} }}
policies:
"
        ),
        policy(WEB, "auto", "sleep 0.2"),
        policy(DISK, "auto", "exit 1"),
        policy(PRIMARY, "approve", "sleep 0.5"),
        policy(CACHE, "shadow", "exit 0"),
        policy(RACK, "shadow", "exit 0"),
    ]
    .concat()
}

/// Everything by itself and at once; of racks that are dark, the first is told of all.
fn routes(hook: &str) -> String {
    format!(
        "receivers: [{{ name: homeostat, webhook_configs: [{{ url: \"{hook}\", max_alerts: 1 }}] }}]
route:
  receiver: homeostat
  group_by: ['...']
  group_wait: 100ms
  group_interval: 500ms
  routes: [{{ receiver: homeostat, matchers: ['alertname=\"RackDark\"'], group_by: [alertname], group_wait: 500ms }}]
"
    )
}

/// An engine, its Alertmanager, and the Prometheus that watches it.
struct Night {
    sandbox: Sandbox,
    engine: Engine,
    alertmanager: Alertmanager,
    prometheus: Prometheus,
    began: jiff::Timestamp,
}

impl Night {
    async fn begin() -> Self {
        let sandbox = Sandbox::new().unwrap();
        let address = stack::free_address().unwrap();
        let flags = ["--reconcile.every=300ms", "--reconcile.young=0s"];
        let engine = Engine::start(&sandbox, &config(&format!("http://{address}")), &flags).await;
        let alertmanager = Alertmanager::builder().listen(address);
        let alertmanager = alertmanager.configuration(&routes(&engine.url("/hooks/main")));
        let prometheus = Prometheus::builder().scrape("homeostat", "heal-1:9999", engine.address);
        let prometheus = prometheus.interval(SCRAPE).rules(&rules());
        let alertmanager = alertmanager.start(sandbox.path()).await.unwrap();
        let prometheus = prometheus.start(sandbox.path()).await.unwrap();
        let began = jiff::Timestamp::now();
        let mut night = Self { sandbox, engine, alertmanager, prometheus, began };
        // Of an Alertmanager that lists nothing at all, nobody believes that something is over.
        let watchdog = json!([{ "labels": { "alertname": "Watchdog" } }]);
        night.alertmanager.post(watchdog).await.unwrap();
        // The engine must have been seen before, as it is anywhere.
        night.shows("count_over_time(homeostat_build_info[1m]) > 2").await;
        night.began = jiff::Timestamp::now();
        night
    }

    /// Waits until Prometheus knows it.
    async fn shows(&self, query: &str) {
        until(query, || async { self.prometheus.query(query).await.unwrap().pop() }).await;
    }

    async fn fire(&self, trouble: Trouble, hour: u32) {
        let labels = json!({ "alertname": trouble.alertname, "instance": trouble.target(hour) });
        self.alertmanager.post(json!([{ "labels": labels }])).await.unwrap();
    }

    async fn resolve(&self, trouble: Trouble, hour: u32) {
        let target = trouble.target(hour);
        let labels = [("alertname", trouble.alertname), ("instance", &*target)];
        self.alertmanager.resolve(&labels).await.unwrap();
    }

    /// Waits until the incident of a trouble stands so.
    async fn sees(&self, trouble: Trouble, hour: u32, key: &str, value: &str) -> Value {
        let target = trouble.target(hour);
        let path = format!("/api/v1/incidents?policy={}&target=instance={target}", trouble.policy);
        until(&format!("{target} with {key} {value}"), || async {
            let list = self.engine.json(&path).await;
            let incident = list["incidents"].as_array().unwrap().first()?;
            (incident[key] == value).then(|| incident.clone())
        })
        .await
    }

    async fn command(&self, path: &str) {
        let body = json!({ "by": "ann", "reason": "deploy" }).to_string();
        assert_eq!(self.engine.post(path, body).await, 200, "{path}");
    }

    /// One is healed, one after a word, one needs a person, and one ends without us; now and then nothing may
    /// start. The first hour has all of it.
    async fn hour(&self, hour: u32) {
        let (asks, fails, pauses) =
            (hour.is_multiple_of(3), hour.is_multiple_of(6), hour.is_multiple_of(5));
        if pauses {
            self.command("/api/v1/pause").await;
        }
        self.fire(WEB, hour).await;
        self.fire(CACHE, hour).await;
        if pauses {
            let held = self.sees(WEB, hour, "state", "waiting").await;
            assert!(held["reason"].as_str().is_some());
            let holds = format!("sum(homeostat_holds_total{{policy=\"web\"}}) > {}", hour / 5);
            self.shows(&holds).await;
            self.command("/api/v1/resume").await;
        }
        if fails {
            self.fire(DISK, hour).await;
            self.sees(DISK, hour, "outcome", "escalated").await;
            self.resolve(DISK, hour).await;
        }
        if asks {
            self.fire(PRIMARY, hour).await;
            let asked = self.sees(PRIMARY, hour, "state", "awaiting_approval").await;
            let id = asked["id"].as_str().unwrap();
            self.command(&format!("/api/v1/incidents/{id}/approve")).await;
            self.sees(PRIMARY, hour, "state", "verifying").await;
            self.resolve(PRIMARY, hour).await;
            self.sees(PRIMARY, hour, "outcome", "healed").await;
        }
        self.sees(WEB, hour, "state", "verifying").await;
        self.sees(CACHE, hour, "outcome", "shadowed").await;
        self.resolve(WEB, hour).await;
        self.resolve(CACHE, hour).await;
        self.sees(WEB, hour, "outcome", "healed").await;
    }

    /// What need not happen each hour.
    async fn oddities(&self) {
        let racks = ["a", "b", "c"].map(
            |rack| json!({ "labels": { "alertname": "RackDark", "instance": rack, "rack": rack } }),
        );
        self.alertmanager.post(json!(racks)).await.unwrap();
        self.shows("homeostat_reconcile_alerts_total > 0").await;
        assert_eq!(self.engine.post("/hooks/main", "no JSON").await, 200);
        let stranger = self.engine.client().post(self.engine.url("/api/v1/pause"));
        let stranger = stranger.header("origin", "http://elsewhere.example").body("{}");
        assert_eq!(stranger.send().await.unwrap().status(), 403);
        // It stays open.
        self.fire(PRIMARY, LATER).await;
        self.sees(PRIMARY, LATER, "state", "awaiting_approval").await;
    }

    /// Asks each query of each panel of a dashboard, as Grafana does.
    async fn asked(&self, dashboard: &str) -> Value {
        let text = std::fs::read_to_string(contrib("mixin/dashboards").join(dashboard)).unwrap();
        let mut asked: Value = serde_json::from_str(&text).unwrap();
        let end = jiff::Timestamp::now();
        let took = end.duration_since(self.began).as_secs();
        let step = (took / 80).max(1);
        let window = Window { start: self.began, end, step };
        for panel in asked["panels"].as_array_mut().unwrap() {
            let mut answers = Vec::new();
            for target in panel["targets"].as_array().into_iter().flatten() {
                answers.push(self.ask(target, &window).await);
            }
            panel["answers"] = answers.into();
        }
        asked["about"] = format!("{USUALLY} {took} seconds.").into();
        asked["start"] = window.start.as_second().into();
        asked["end"] = window.end.as_second().into();
        asked["step"] = step.into();
        asked
    }

    /// What Prometheus answers to one query.
    async fn ask(&self, target: &Value, window: &Window) -> Value {
        let query = window.filled_in(target["expr"].as_str().unwrap());
        let [start, end] = [window.start, window.end].map(|at| at.to_string());
        let step = window.step.to_string();
        let (path, parameters) = if target["instant"] == true {
            ("query", vec![("query", &query), ("time", &end)])
        } else {
            let parameters = [("query", &query), ("start", &start), ("end", &end), ("step", &step)];
            ("query_range", parameters.to_vec())
        };
        let base = format!("{}/api/v1/{path}", self.prometheus.url());
        let url = Url::parse_with_params(&base, parameters).unwrap();
        let answer = stack::client().get(url).send().await.unwrap();
        let mut answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["status"], "success", "{query}: {answer:#}");
        answer["data"]["result"].take()
    }
}

/// What is looked at.
struct Window {
    start: jiff::Timestamp,
    end: jiff::Timestamp,
    /// Seconds from one value to the next.
    step: i64,
}

impl Window {
    /// A query with what Grafana puts in place of its variables.
    fn filled_in(&self, query: &str) -> String {
        let range = self.end.duration_since(self.start).as_secs();
        let rate = Duration::from_secs(self.step.unsigned_abs()) + SCRAPE * 4;
        let filled = [
            ("$__rate_interval", format!("{}ms", rate.as_millis())),
            ("$__interval", format!("{}s", self.step)),
            ("$__range", format!("{range}s")),
            ("$instance", ".*".to_owned()),
            ("$policy", ".*".to_owned()),
            ("$team", ".*".to_owned()),
        ];
        let fill = |query: String, (name, value): &(&str, String)| query.replace(name, value);
        let filled = filled.iter().fold(query.to_owned(), fill);
        assert!(!filled.contains('$'), "an unknown variable: {filled}");
        filled
    }
}

/// The rules of the mixin, judged as often as everything is scraped.
fn rules() -> String {
    let [rules, alerts] = ["mixin/rules.yml", "mixin/alerts.yml"]
        .map(|path| std::fs::read_to_string(contrib(path)).unwrap());
    let (_, alerts) = alerts.split_once("groups:\n").unwrap();
    assert!(rules.contains("interval: \"5m\""), "{rules}");
    format!("{}{alerts}", rules.replace("interval: \"5m\"", "interval: \"200ms\""))
}

/// The last number of each series of each panel, by the panel's title. Where nothing was measured for a
/// moment, there is no number.
fn last(asked: &Value) -> BTreeMap<String, Vec<f64>> {
    let mut shown: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for panel in asked["panels"].as_array().unwrap() {
        let answers = panel["answers"].as_array().unwrap().iter();
        let series = answers.flat_map(|answer| answer.as_array().unwrap());
        let numbers = series.filter_map(|one| {
            let pairs = one["values"]
                .as_array()
                .map_or_else(|| vec![&one["value"]], |pairs| pairs.iter().collect());
            let number = |pair: &&Value| pair[1].as_str().unwrap().parse::<f64>().unwrap();
            pairs.iter().rev().map(number).find(|number| !number.is_nan())
        });
        if panel["type"] != "row" {
            let title = panel["title"].as_str().unwrap().to_owned();
            shown.entry(title).or_default().extend(numbers);
        }
    }
    shown
}

/// Draws a dashboard, and sees that something is to be seen on each panel.
async fn draw(browser: &Browser, sandbox: &Sandbox, name: &str, asked: &Value) {
    let page = include_str!("../fixtures/panels.html");
    // A text in a script ends at no tag.
    let data = asked.to_string().replace('<', "\\u003c");
    let page = page.replacen("const asked = DATA;", &format!("const asked = {data};"), 1);
    let file = sandbox.write(&format!("{name}.html"), &page).unwrap();
    browser.resize(1400, 900).await;
    browser.go(&format!("file://{}", file.display())).await;
    browser.until("document.body.dataset.height > 0").await;
    let height = browser.value("Number(document.body.dataset.height)").await.as_u64().unwrap();
    browser.resize(1400, u32::try_from(height).unwrap()).await;
    let empty = "[...document.querySelectorAll('[data-drawn=nothing] h2')].map(e => e.textContent)";
    assert_eq!(browser.value(empty).await, json!([]), "{name} has panels without anything on them");
    let panels = asked["panels"].as_array().unwrap().len();
    let drawn = browser.value("document.querySelectorAll('[data-drawn]').length").await;
    assert_eq!(drawn, panels, "{name}");
    assert_eq!(browser.complaints().await, [""; 0]);
    browser.picture(name).await;
}

#[tokio::test]
async fn a_night_is_seen_on_every_panel() {
    let night = Night::begin().await;
    let hours = if browser::pictures().is_some() { HOURS_FOR_PICTURES } else { HOURS };
    for hour in 0..hours {
        night.hour(hour).await;
    }
    night.oddities().await;
    // What was counted last must have been seen, and a gauge is of a moment ago.
    night.shows("sum(homeostat_shadow_total) > 0").await;
    night.shows("count_over_time(homeostat_http_refusals_total[1m]) > 2").await;
    night.shows("sum(homeostat_incidents_open) == 1").await;
    night.shows("job_policy:homeostat_incidents_closed:healed_ratio1d").await;
    night.shows("ALERTS{alertname=\"HomeostatIncidentEscalated\", alertstate=\"firing\"}").await;

    let [healing, engine] = [night.asked("healing.json").await, night.asked("engine.json").await];
    let mut shown = last(&healing);
    shown.extend(last(&engine));
    for (title, values) in &shown {
        assert!(!values.is_empty(), "{title} shows nothing");
    }
    if hours == HOURS {
        for (title, expected) in [
            ("Healed", 2.0),
            ("Pages saved", 1.0),
            ("Escalated", 1.0),
            ("Healed of what was tried", 2.0 / 3.0),
            ("Open now", 1.0),
            ("Reached", 1.0),
            ("Journal", 1.0),
            ("Paused", 0.0),
        ] {
            let sum: f64 = shown[title].iter().sum();
            assert!((sum - expected).abs() < 0.1, "{title} shows {sum} and not {expected}");
        }
    }
    // Alerts of the mixin that must be there now, and no other.
    let firing: Vec<String> = night
        .prometheus
        .rules()
        .await
        .unwrap()
        .into_iter()
        .filter_map(|rule| {
            assert_eq!(rule.health, "ok", "{}", rule.name);
            rule.alerts.iter().any(|alert| alert.state == "firing").then_some(rule.name)
        })
        .collect();
    assert_eq!(firing, ["HomeostatNotificationsUnusable", "HomeostatIncidentEscalated"]);

    let Some(browser) = Browser::open(&night.sandbox).await else { return Browser::skipped() };
    draw(&browser, &night.sandbox, "dashboard-healing", &healing).await;
    draw(&browser, &night.sandbox, "dashboard-engine", &engine).await;
    browser.close().await;
}
