//! What *healed* promises, on the real stack: an exporter that tells the truth of a fault, a rule on a
//! Prometheus, an Alertmanager that sends its alert, and an engine process with two remedies. Only who
//! saw an alert fire says that it is over.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::support::exporter::exporter;
use crate::support::{Engine, policy, ran, until};
use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use homeostat::demo::stack::{
    self, Alertmanager, Prometheus, PrometheusBuilder, Sandbox, Signal, Timings,
};
use serde_json::Value;

/// The target of every scenario is down, or not.
const DOWN: &str = "{ alert: Down, expr: 'down == 1' }";

/// How long a healing is looked for, and how often, where a scenario says nothing else.
const SOON: &str = "    verify: { within: 6s, every: 1s }";

/// What a Prometheus that sends so often says is over four seconds after its last word.
const OFTEN: &str = "--rules.alert.resend-delay=1s";

/// A remedy that runs until the test lets it end.
const WAITS: &str = "until [ -e {dir}/go ]; do sleep 0.1; done";

/// All that runs. It ends in this order, the sandbox last.
struct World {
    engine: Engine,
    alertmanager: Alertmanager,
    prometheus: Prometheus,
    _second: Option<Prometheus>,
    sandbox: Sandbox,
}

/// What a world is to be like.
struct Plan {
    rules: String,
    prometheus: PrometheusBuilder,
    policy: String,
    target: &'static str,
    script: String,
    direct: bool,
    second: Option<Second>,
    timings: Timings,
}

/// A second Prometheus, which has the same rules.
#[derive(Clone, Copy)]
enum Second {
    /// It sees another thing by the name of `a:80`, with which nothing is wrong.
    Elsewhere,
    /// It scrapes the same, as the first one's replica.
    Twin,
}

impl Plan {
    /// A world with these rules, one a text.
    fn new(rules: &[&str]) -> Self {
        Self {
            rules: format!("groups: [{{ name: g, rules: [{}] }}]", rules.join(", ")),
            prometheus: Prometheus::builder(),
            policy: SOON.to_owned(),
            target: "[instance]",
            script: String::new(),
            direct: false,
            second: None,
            timings: Timings::QUICK,
        }
    }

    fn prometheus(mut self, change: impl FnOnce(PrometheusBuilder) -> PrometheusBuilder) -> Self {
        self.prometheus = change(self.prometheus);
        self
    }

    /// The policy's lines, in place of [`SOON`].
    fn policy(mut self, lines: &str) -> Self {
        lines.clone_into(&mut self.policy);
        self
    }

    fn target(mut self, labels: &'static str) -> Self {
        self.target = labels;
        self
    }

    /// What the first remedy does after it wrote its line; `{dir}` is the sandbox.
    fn script(mut self, line: &str) -> Self {
        line.clone_into(&mut self.script);
        self
    }

    /// Prometheus sends to the engine, too, and no Alertmanager does.
    fn direct(mut self) -> Self {
        self.direct = true;
        self
    }

    /// Alertmanager tells each group once, and says nothing more while the test runs.
    fn told_once(mut self) -> Self {
        self.timings.group_interval = Duration::from_hours(1);
        self
    }

    /// A second Prometheus is asked, too.
    fn with(mut self, second: Second) -> Self {
        self.second = Some(second);
        self
    }

    /// Starts it. What is scraped from `a:80` is what `print` makes of the remedies that ran.
    async fn begin(self, print: impl Fn(&[String]) -> String + Send + 'static) -> World {
        self.begin_in(Sandbox::new().unwrap(), print).await
    }

    async fn begin_in(
        self,
        sandbox: Sandbox,
        print: impl Fn(&[String]) -> String + Send + 'static,
    ) -> World {
        let directory = sandbox.path().to_owned();
        let [alerts, rules, seconds] = [(); 3].map(|()| stack::free_address().unwrap());
        let config = self.config(&directory, [alerts, rules, seconds]);
        let engine = Engine::start(&sandbox, &config, &[]).await;
        let mut builder = Alertmanager::builder().timings(self.timings).listen(alerts);
        let mut prometheus = self.prometheus.rules(&self.rules).listen(rules);
        if self.direct {
            prometheus = prometheus.alertmanager(engine.address);
        } else {
            builder = builder.webhook(&engine.url("/hooks/main"));
            prometheus = prometheus.alertmanager(alerts);
        }
        let alertmanager = builder.start(&directory).await.unwrap();
        let ran = directory.clone();
        let target = exporter(move || print(&remedies(&ran)));
        let second = match self.second {
            None => None,
            Some(second) => {
                let directory = directory.join("second");
                std::fs::create_dir(&directory).unwrap();
                let builder = Prometheus::builder().listen(seconds).alertmanager(alerts);
                let (builder, scraped) = match second {
                    Second::Elsewhere => (builder, exporter(well)),
                    Second::Twin => {
                        prometheus = replica(prometheus, "one");
                        (replica(builder, "two"), target)
                    }
                };
                let builder = builder.rules(&self.rules).scrape("web", "a:80", scraped);
                Some(builder.start(&directory).await.unwrap())
            }
        };
        let prometheus = prometheus.scrape("web", "a:80", target).start(&directory).await.unwrap();
        World { engine, alertmanager, prometheus, _second: second, sandbox }
    }

    fn config(&self, directory: &Path, [alerts, rules, seconds]: [SocketAddr; 3]) -> String {
        let second = if self.second.is_some() {
            format!("    - {{ name: second, url: \"http://{seconds}\" }}\n")
        } else {
            String::new()
        };
        let script = self.script.replace("{dir}", &directory.display().to_string());
        let policy = policy(directory, &script, &self.policy)
            .replace("[instance]", self.target)
            .replace("alertname=\"Down\"", "alertname=~\"Down|Errors\"");
        format!(
            "sources:\n  alertmanagers: [{{ name: main, urls: [\"http://{alerts}\"] }}]\n  \
             prometheuses:\n    - {{ name: main, url: \"http://{rules}\" }}\n{second}{policy}"
        )
    }
}

/// One of a pair whose alerts are the same on the wire.
fn replica(builder: PrometheusBuilder, name: &str) -> PrometheusBuilder {
    builder
        .global(&format!("  external_labels: {{ cluster: eu, replica: {name} }}\n"))
        .relabelling("  alert_relabel_configs: [{ action: labeldrop, regex: replica }]\n")
}

impl World {
    fn path(&self) -> &Path {
        self.sandbox.path()
    }

    async fn acts(&self) {
        until("the first remedy", || async { (!ran(self.path()).is_empty()).then_some(()) }).await;
    }

    /// The only incident, once it is over.
    async fn closed(&self) -> Value {
        self.acts().await;
        self.engine.incident_in("closed").await
    }

    /// It ends as healed in this grade, after these remedies.
    async fn heals(&self, grade: &str, remedies: &[&str]) -> Value {
        let incident = self.closed().await;
        let end = (incident["outcome"].as_str(), incident["grade"].as_str());
        assert_eq!(end, (Some("healed"), Some(grade)), "{incident:#}");
        assert_eq!(self::remedies(self.path()), remedies, "{incident:#}");
        incident
    }

    /// It ends with a person after the first remedy, because of this, and nothing is known.
    async fn is_unknown(&self, because: &str) -> Value {
        let incident = self.closed().await;
        assert_eq!(incident["outcome"], "escalated", "{incident:#}");
        let reason = incident["reason"].as_str().unwrap();
        assert!(reason.starts_with("whether remedy first healed is unknown"), "{reason}");
        assert!(reason.contains(because), "{reason}");
        assert_eq!(remedies(self.path()), ["first"], "{incident:#}");
        incident
    }

    /// The application sends its alert itself.
    async fn says(&self, ends_at: &str) {
        let labels: serde_json::Map<String, Value> =
            ERRORS.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        let mut alert = serde_json::json!({ "labels": labels });
        if !ends_at.is_empty() {
            alert["endsAt"] = ends_at.into();
        }
        let body = Value::from(vec![alert]).to_string();
        assert_eq!(self.engine.post("/api/v2/alerts", body).await, 200);
    }

    /// Whether any rule of the Prometheus fires now.
    async fn fires(&self) -> bool {
        let rules = self.prometheus.rules().await.unwrap();
        rules.iter().flat_map(|rule| &rule.alerts).any(|alert| alert.state == "firing")
    }
}

/// The remedies that ran, by name.
fn remedies(directory: &Path) -> Vec<String> {
    let name = |order: String| order.split('.').nth(1).unwrap_or_default().to_owned();
    ran(directory).into_iter().map(name).collect()
}

/// The metrics of what is down until this remedy ran.
fn down_until(remedy: &'static str) -> impl Fn(&[String]) -> String + Send + 'static {
    move |ran| format!("down {}\n", u8::from(!ran.iter().any(|name| name == remedy)))
}

/// The metrics of something that counts errors until this remedy ran.
fn errors_until(remedy: &'static str) -> impl Fn(&[String]) -> String + Send + 'static {
    let (begun, end) = (Instant::now(), OnceLock::new());
    move |ran| {
        if ran.iter().any(|name| name == remedy) {
            end.get_or_init(|| begun.elapsed());
        }
        let lasted = end.get().copied().unwrap_or_else(|| begun.elapsed());
        format!("errors_total {}\nfaulty {}\n", lasted.as_millis(), u8::from(end.get().is_none()))
    }
}

/// The metrics of what nothing is wrong with.
fn well() -> String {
    "down 0\n".to_owned()
}

fn text_of(incident: &Value) -> Vec<&str> {
    let timeline = incident["timeline"].as_array().unwrap();
    timeline.iter().map(|entry| entry["text"].as_str().unwrap()).collect()
}

/// What fires on after the first remedy is seen to: the second one runs, and heals.
async fn both_ways(plan: impl Fn() -> Plan) -> Value {
    let first =
        async { plan().begin(down_until("first")).await.heals("confirmed", &["first"]).await };
    let second = async {
        let world = plan().begin(down_until("second")).await;
        world.heals("confirmed", &["first", "second"]).await
    };
    let (cured, not_cured) = tokio::join!(first, second);
    assert_eq!(cured["target"], not_cured["target"]);
    let given_up = "did not heal within 6s: rule Down fires";
    assert!(text_of(&not_cured).iter().any(|text| text.contains(given_up)), "{not_cured:#}");
    cured
}

#[tokio::test]
async fn external_labels_in_the_target_hide_neither_a_cure_nor_a_fault() {
    let plan = || {
        let labels = "  external_labels: { cluster: eu, replica: one }\n";
        Plan::new(&[DOWN])
            .prometheus(|builder| builder.global(labels))
            .target("[cluster, instance]")
    };
    let cured = both_ways(plan).await;
    assert_eq!(cured["target"]["cluster"], "eu");
}

#[tokio::test]
async fn a_port_cut_off_and_a_label_dropped_hide_neither_a_cure_nor_a_fault() {
    let relabelling = "  alert_relabel_configs:
    - { source_labels: [instance], regex: '(.+):[0-9]+', target_label: instance }
    - { action: labeldrop, regex: job }
";
    let plan = || Plan::new(&[DOWN]).prometheus(|builder| builder.relabelling(relabelling));
    let cured = both_ways(plan).await;
    assert_eq!(cured["target"]["instance"], "a");
    let labels: Vec<&String> = cured["alerts"][0]["labels"].as_object().unwrap().keys().collect();
    assert_eq!(labels, ["alertname", "instance"]);
}

async fn elsewhere_is_silent() {
    both_ways(|| Plan::new(&[DOWN]).with(Second::Elsewhere)).await;
}

async fn the_one_that_saw_it_died() {
    let mut world = Plan::new(&[DOWN])
        .with(Second::Elsewhere)
        .prometheus(|builder| builder.argument(OFTEN))
        .policy("    verify: { within: 15s, every: 1s }")
        .script(WAITS)
        .begin(down_until("second"))
        .await;
    world.acts().await;
    world.prometheus.process().signal(Signal::KILL).unwrap();
    world.sandbox.write("go", "").unwrap();
    let incident = world.is_unknown("Prometheus main could not be asked").await;
    assert_eq!(incident["alerts"][0]["status"], "resolved", "{incident:#}");
}

#[tokio::test]
async fn the_silence_of_a_rule_of_the_same_name_elsewhere_heals_nothing() {
    tokio::join!(elsewhere_is_silent(), the_one_that_saw_it_died());
}

/// Acts once both of a pair have seen the alert fire.
fn pair() -> Plan {
    Plan::new(&[DOWN]).with(Second::Twin).policy(&format!("    for: 5s\n{SOON}"))
}

async fn both_of_a_pair_say_so() {
    let world = pair().begin(down_until("first")).await;
    let incident = world.heals("confirmed", &["first"]).await;
    let reason = incident["reason"].as_str().unwrap();
    for name in ["main", "second"] {
        let word = format!("rule Down on Prometheus {name} is inactive");
        assert!(reason.contains(&word), "{reason}");
    }
}

async fn one_of_a_pair_says_that_it_fires() {
    let mut world = pair().script(WAITS).begin(down_until("second")).await;
    world.acts().await;
    world.prometheus.process().signal(Signal::KILL).unwrap();
    world.sandbox.write("go", "").unwrap();
    let incident = world.heals("confirmed", &["first", "second"]).await;
    let given_up = "Prometheus main could not be asked";
    let texts = text_of(&incident);
    assert!(
        texts.iter().any(|t| t.contains("not tried again") && t.contains(given_up)),
        "{texts:#?}"
    );
}

#[tokio::test]
async fn what_a_pair_saw_fire_is_over_when_both_say_so_and_fires_when_one_does() {
    tokio::join!(both_of_a_pair_say_so(), one_of_a_pair_says_that_it_fires());
}

/// Counts errors, and looks back for half a minute.
const LOOKS_BACK: &str = "{ alert: Down, expr: 'increase(errors_total[30s]) > 0' }";

/// A window that is over long before such a rule forgets.
const SHORT: &str = "    verify: { within: 5s, every: 1s }";

/// It is healed once the rule forgets, and no second remedy has run by then.
async fn is_awaited(rules: &[&str]) {
    let world = Plan::new(rules).policy(SHORT).begin(errors_until("first")).await;
    world.acts().await;
    let acted = Instant::now();
    until("a longer window", || async {
        let incident = world.engine.incidents().await.pop()?;
        let told = "may still be looking at what is over";
        text_of(&incident).iter().any(|text| text.contains(told)).then_some(())
    })
    .await;
    assert!(world.fires().await, "the rule goes on firing");
    world.heals("confirmed", &["first"]).await;
    assert!(acted.elapsed() > Duration::from_secs(25), "{:?}", acted.elapsed());
}

#[tokio::test]
async fn what_only_the_memory_of_a_rule_denies_is_awaited() {
    let recording = "{ record: errors:rate, expr: 'rate(errors_total[30s])' }";
    let recorded = "{ alert: Down, expr: 'errors:rate > 0' }";
    let recorded = [recording, recorded];
    tokio::join!(is_awaited(&[LOOKS_BACK]), is_awaited(&recorded));
}

#[tokio::test]
async fn a_query_that_holds_heals_before_the_rule_forgets() {
    let verify = "    verify: { within: 5s, every: 1s, times: 2, query: 'faulty == 0' }";
    let world = Plan::new(&[LOOKS_BACK]).policy(verify).begin(errors_until("first")).await;
    let incident = world.heals("proven", &["first"]).await;
    assert!(world.fires().await, "the rule goes on firing");
    let reason = incident["reason"].as_str().unwrap();
    assert!(reason.contains("the query holds; the alert may fire on until"), "{reason}");
    let last = *text_of(&incident).last().unwrap();
    assert!(last.contains("the alert may fire on until"), "{last}");
}

/// Counts errors, and looks back for a moment only.
const SHORT_SIGHTED: &str = "{ alert: Down, expr: 'increase(errors_total[4s]) > 0' }";

async fn fires_past_its_memory() {
    let world = Plan::new(&[SHORT_SIGHTED]).policy(SHORT).begin(errors_until("second")).await;
    let incident = world.heals("confirmed", &["first", "second"]).await;
    let texts = text_of(&incident);
    assert!(texts.iter().any(|text| text.contains("did not heal within")), "{incident:#}");
}

async fn fires_past_its_memory_though_a_query_held() {
    let policy = "    guard: { cooldown: 0s }
    verify: { within: 5s, every: 1s, times: 2, query: 'up == 1' }";
    let world = Plan::new(&[SHORT_SIGHTED]).policy(policy).begin(errors_until("second")).await;
    let relapse = until("a relapse", || async {
        let incidents = world.engine.incidents().await;
        incidents.into_iter().find(|incident| incident["relapse_of"] == "1")
    })
    .await;
    let first = &world.engine.incidents().await[0];
    assert_eq!((&first["outcome"], &first["grade"]), (&"healed".into(), &"proven".into()));
    until("the second remedy", || async { (remedies(world.path()).len() == 2).then_some(()) })
        .await;
    assert_eq!(remedies(world.path()), ["first", "second"], "{relapse:#}");
}

#[tokio::test]
async fn what_fires_past_the_memory_of_its_rule_gets_the_next_remedy() {
    tokio::join!(fires_past_its_memory(), fires_past_its_memory_though_a_query_held());
}

/// A fault that goes on out of sight: nothing of it is shown any more once a remedy ran.
fn vanishing(ran: &[String]) -> String {
    if ran.is_empty() { "down 1\n".to_owned() } else { "other 1\n".to_owned() }
}

#[tokio::test]
async fn series_that_vanish_are_out_of_sight_and_only_a_person_or_a_query_says_otherwise() {
    let begin = |more: &str| {
        let verify = format!("    verify: {{ within: 6s, every: 1s{more} }}");
        Plan::new(&[DOWN]).policy(&verify).begin(vanishing)
    };
    let unknown = async {
        begin("").await.is_unknown("the series that it reads are gone: down{").await;
    };
    let vanishes = async {
        begin(", vanishes: true").await.heals("confirmed", &["first"]).await;
    };
    let query = async {
        begin(", times: 2, query: 'other == 1'").await.heals("proven", &["first"]).await;
    };
    tokio::join!(unknown, vanishes, query);
}

/// A store of older series that has none, and answers until a remedy ran in this directory.
async fn store(directory: &Path) -> String {
    let directory = directory.to_owned();
    let read = move || async move {
        let down = !ran(&directory).is_empty();
        let status = if down { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
        // One empty result, as snappy writes it.
        (status, [("content-type", "application/x-protobuf")], [2_u8, 4, 10, 0])
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/read", listener.local_addr().unwrap());
    let router = Router::new().route("/read", post(read));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// A world whose Prometheus reads from such a store, too, for whoever asks it.
async fn begin_with_store(policy: &str) -> World {
    let sandbox = Sandbox::new().unwrap();
    let section = format!(
        "remote_read: [{{ url: \"{}\", read_recent: true }}]\n",
        store(sandbox.path()).await
    );
    let plan = Plan::new(&[DOWN]).policy(policy).prometheus(|builder| builder.section(&section));
    plan.begin_in(sandbox, down_until("first")).await
}

async fn an_inventory_is_not_whole() {
    let sandbox = Sandbox::new().unwrap();
    let section = "remote_read: [{ url: 'http://127.0.0.1:9/read', read_recent: true }]\n";
    let guard =
        "    guard: { blast_radius: { window: 1m, percent: 100, inventory: 'count(down)' } }";
    let plan = Plan::new(&[DOWN]).policy(&format!("{SOON}\n{guard}"));
    let plan = plan.prometheus(|builder| builder.section(section));
    let world = plan.begin_in(sandbox, down_until("first")).await;
    let reason = until("a hold", || async {
        let reason = world.engine.incidents().await.pop()?["reason"].as_str()?.to_owned();
        reason.contains("blast_radius").then_some(reason)
    })
    .await;
    assert!(reason.contains("did not answer in full: remote_read: "), "{reason}");
    assert_eq!(ran(world.path()), [""; 0]);
}

#[tokio::test]
async fn an_answer_that_is_not_whole_is_none() {
    let part = "did not answer in full: remote_read: remote server";
    let inputs = async {
        let world = begin_with_store(SOON).await;
        world.is_unknown(part).await;
        assert!(!world.fires().await, "the rule itself is inactive");
    };
    let query = async {
        let verify = "    verify: { within: 6s, every: 1s, query: 'down == 0' }";
        let world = begin_with_store(verify).await;
        let incident = world.is_unknown(part).await;
        let reason = incident["reason"].as_str().unwrap();
        assert!(reason.contains("the query could not be asked: "), "{reason}");
    };
    tokio::join!(inputs, query, an_inventory_is_not_whole());
}

/// A rule whose alerts carry what it measured.
const TELLS_VALUE: &str = "{ alert: Down, expr: 'level > 50', labels: { value: '{{ $value }}' } }";

async fn a_value_changes_once() {
    let level = |well_after: &'static str| {
        move |ran: &[String]| match ran {
            [] => "level 91\n".to_owned(),
            [.., last] if last == well_after => "level 9\n".to_owned(),
            [..] => "level 93\n".to_owned(),
        }
    };
    let cured = async {
        let world = Plan::new(&[TELLS_VALUE]).begin(level("first")).await;
        world.heals("confirmed", &["first"]).await;
    };
    let not_cured = async {
        let world = Plan::new(&[TELLS_VALUE]).begin(level("second")).await;
        // That the first alert is over, which had ended before the second remedy ran, is its source's
        // word alone.
        let incident = world.heals("reported", &["first", "second"]).await;
        let alerts = incident["alerts"].as_array().unwrap();
        let mut values: Vec<&str> =
            alerts.iter().map(|alert| alert["labels"]["value"].as_str().unwrap()).collect();
        values.sort_unstable();
        assert_eq!(values, ["91", "93"], "{incident:#}");
    };
    tokio::join!(cured, not_cured);
}

async fn a_value_changes_and_nobody_tells() {
    let level = |ran: &[String]| format!("level {}\n", if ran.is_empty() { 91 } else { 93 });
    let world = Plan::new(&[TELLS_VALUE]).told_once().begin(level).await;
    let incident = world.is_unknown("rule Down shows the same target under other labels").await;
    assert_eq!(incident["alerts"].as_array().unwrap().len(), 1, "{incident:#}");
}

async fn a_value_never_rests() {
    let level = |well_after: &'static str| {
        let begun = Instant::now();
        move |ran: &[String]| match ran.last() {
            Some(last) if last == well_after => "level 9\n".to_owned(),
            Some(_) | None => format!("level {}\n", 91 + begun.elapsed().as_secs() / 2),
        }
    };
    let plan = || Plan::new(&[TELLS_VALUE]).policy("    verify: { within: 9s, every: 1s }");
    let cured = async {
        let world = plan().begin(level("first")).await;
        world.heals("confirmed", &["first"]).await;
    };
    let not_cured = async {
        let world = plan().begin(level("nobody")).await;
        let incident = world.closed().await;
        assert_eq!(incident["outcome"], "escalated", "{incident:#}");
        assert!(incident["alerts"].as_array().unwrap().len() > 2, "{incident:#}");
    };
    tokio::join!(cured, not_cured);
}

#[tokio::test]
async fn a_value_that_changes_ends_an_alert_and_heals_nothing() {
    tokio::join!(a_value_changes_once(), a_value_changes_and_nobody_tells(), a_value_never_rests());
}

/// What an application says of the same target.
const ERRORS: &[(&str, &str)] = &[("alertname", "Errors"), ("instance", "a:80")];

#[tokio::test]
async fn an_alert_of_a_rule_and_one_of_an_application_are_healed_as_well_as_the_lesser_can_be() {
    let both = |by_alertmanager: bool| async move {
        let policy = format!("    for: 6s\n{SOON}");
        let world = Plan::new(&[DOWN]).policy(&policy).begin(down_until("first")).await;
        until("the alert of the rule", || async { world.engine.incidents().await.pop() }).await;
        if by_alertmanager {
            world.alertmanager.fire(ERRORS).await.unwrap();
        } else {
            world.says("").await;
        }
        until("both alerts before the action", || async {
            let incident = world.engine.incidents().await.pop()?;
            assert!(ran(world.path()).is_empty(), "too late: {incident:#}");
            (incident["alerts"].as_array()?.len() == 2).then_some(())
        })
        .await;
        world.acts().await;
        if by_alertmanager {
            world.alertmanager.resolve(ERRORS).await.unwrap();
        } else {
            world.says(&jiff::Timestamp::now().to_string()).await;
        }
        world.heals("reported", &["first"]).await;
    };
    tokio::join!(both(true), both(false));
}

#[tokio::test]
async fn what_prometheus_sends_itself_is_known_in_spite_of_external_labels() {
    let plan = || {
        let labels = "  external_labels: { cluster: eu, replica: one }\n";
        let plan = Plan::new(&[DOWN]).target("[cluster, instance]").direct();
        plan.prometheus(|builder| builder.global(labels).argument(OFTEN))
    };
    let cured = both_ways(plan).await;
    let alert = &cured["alerts"][0];
    assert_eq!((&alert["source"], &alert["labels"]["cluster"]), (&"api".into(), &"eu".into()));
}

#[tokio::test]
async fn a_rule_whose_memory_nobody_knows_never_climbs() {
    let rule = "{ alert: Down, expr: 'down @ end() == 1' }";
    let cured = async {
        let world = Plan::new(&[rule]).begin(down_until("first")).await;
        world.heals("confirmed", &["first"]).await;
    };
    let not_cured = async {
        let world = Plan::new(&[rule]).begin(down_until("second")).await;
        world.is_unknown("what it remembers is not known").await;
    };
    tokio::join!(cured, not_cured);
}
