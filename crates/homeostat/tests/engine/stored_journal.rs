//! A journal that an engine of version 0.1.0 has left goes on: with an incident in each stage, killed
//! in the middle of its work. What it began is neither lost nor done again, and each incident can be
//! led to its end.
//!
//! `fixtures/journal-0.1.0` has the journal as SQL, the configuration and the rules of then, and the
//! program that made them. Moments are moved, so that the kill was just now.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::support::exporter::exporter;
use crate::support::{Engine, Start, until};
use homeostat::demo::stack::{self, Alertmanager, Prometheus, Sandbox};
use homeostat::journal::{Journal, verify};
use homeostat_core::incident::Stage;
use homeostat_core::state::State;
use jiff::{SignedDuration, Timestamp};
use regex::Regex;
use rusqlite::Connection;
use serde_json::{Value, json};

const JOURNAL: &str = include_str!("../fixtures/journal-0.1.0/journal.sql");
const CONFIG: &str = include_str!("../fixtures/journal-0.1.0/homeostat.yml");
const RULES: &str = include_str!("../fixtures/journal-0.1.0/rules.yml");

/// One incident of the journal: its policy, the first label of its target, how it stood at the kill,
/// and how it stands after a start while everything is paused.
const STOOD: &[(&str, &str, &str, &str)] = &[
    ("settling", "settling-a", "waiting", "waiting"),
    ("recovered", "recovered-a", "closed: recovered", "closed: recovered"),
    ("breaker-one", "one-a", "closed: escalated", "closed: escalated"),
    ("breaker-one", "one-b", "closed: escalated", "closed: escalated"),
    ("breaker-two", "breakertwo-a", "closed: escalated", "closed: escalated"),
    ("breaker-three", "breakerthree-a", "waiting", "waiting"),
    ("escalated", "escalated-a", "closed: escalated", "closed: escalated"),
    ("shadowed", "shadowed-a", "closed: shadowed", "closed: shadowed"),
    ("cooling", "cooling-a", "closed: healed", "closed: healed"),
    ("storm", "s1", "waiting", "waiting"),
    ("storm", "s2", "waiting", "waiting"),
    ("storm", "s3", "waiting", "waiting"),
    ("commanded", "commanded-a", "closed: ended by a person", "closed: ended by a person"),
    ("commanded", "commanded-b", "closed: ended by a person", "closed: ended by a person"),
    ("approval", "approval-a", "awaiting_approval", "awaiting_approval"),
    ("verifying-reported", "verifyingreported-a", "verifying", "verifying"),
    ("frozen", "frozen-a", "waiting", "waiting"),
    ("removed", "removed-a", "closed: cancelled", "closed: cancelled"),
    ("lapsed", "lapsed-a", "closed: cancelled", "closed: cancelled"),
    // The relapse of the one above.
    ("cooling", "cooling-a", "waiting", "waiting"),
    ("backing-off", "backingoff-a", "waiting", "waiting"),
    ("verifying-rule", "verifying-rule-a", "verifying", "verifying"),
    ("verifying-query", "verifying-query-a", "verifying", "verifying"),
    ("healed", "healed-a", "closed: healed", "closed: healed"),
    // The undo of what is worse waits for room, and what takes the room is below.
    ("worse", "w1", "waiting", "waiting"),
    // The machine is another one, so that nobody knows how these went: they are verified.
    ("acting", "acting-a", "acting", "verifying"),
    ("locked", "p", "waiting", "waiting"),
    ("worse", "w2", "acting", "verifying"),
    // Nobody knows whether it was taken back: a person has it.
    ("undoing", "w3", "acting", "closed: escalated"),
    ("asking", "asking-a", "waiting", "waiting"),
    ("paused", "paused-a", "waiting", "waiting"),
];

/// The state of an incident, and its outcome.
fn standing(incident: &Value) -> String {
    let text = |key: &str| incident[key].as_str().unwrap_or_default();
    match (text("policy"), text("outcome")) {
        (_, "") => text("state").to_owned(),
        ("commanded", "rejected" | "cancelled") => "closed: ended by a person".to_owned(),
        (_, outcome) => format!("{}: {outcome}", text("state")),
    }
}

/// Its policy and the first label of its target.
fn subject(incident: &Value) -> (&str, &str) {
    let target = incident["target"].as_object().unwrap();
    (incident["policy"].as_str().unwrap(), target.values().next().unwrap().as_str().unwrap())
}

/// Moves every moment of a text by so much, those aside that stand for none.
fn moved(text: &str, by: SignedDuration) -> String {
    let moments = Regex::new(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z").unwrap();
    let moved = moments.replace_all(text, |found: &regex::Captures<'_>| {
        (found[0].parse::<Timestamp>().unwrap() + by).to_string()
    });
    moved.into_owned()
}

/// The sum that stands beside a snapshot, which a moment that has moved has changed.
fn checksum(parts: &[Vec<u8>]) -> i64 {
    let mut sum = 0xcbf2_9ce4_8422_2325_u64;
    for body in parts {
        let (words, rest) = body.as_chunks::<8>();
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        let words = words.iter().chain([&last]).map(|word| u64::from_le_bytes(*word));
        for word in words.chain([body.len() as u64]) {
            sum = (sum ^ word).wrapping_mul(0x0100_0000_01b3);
        }
    }
    sum.cast_signed()
}

/// Puts the journal into a directory; the engine was killed `ago`.
fn restore(data: &Path, ago: SignedDuration) {
    std::fs::create_dir_all(data).unwrap();
    let connection = Connection::open(data.join("homeostat.db")).unwrap();
    let then = Regex::new(r"INSERT INTO facts VALUES \(\d+, (\d+),").unwrap();
    let killed = then.captures_iter(JOURNAL).map(|fact| fact[1].parse::<i64>().unwrap()).max();
    let killed = Timestamp::from_microsecond(killed.unwrap()).unwrap();
    let by = (Timestamp::now() - ago).duration_since(killed);
    connection.execute_batch(&format!("BEGIN; {} COMMIT;", moved(JOURNAL, by))).unwrap();
    let micros = i64::try_from(by.as_micros()).unwrap();
    connection
        .execute_batch(&format!(
            "UPDATE facts SET at = at + {micros};
             UPDATE snapshots SET at = at + {micros};
             UPDATE incidents SET opened_at = opened_at + {micros}, closed_at = closed_at + {micros};"
        ))
        .unwrap();
    let mut snapshots = connection.prepare("SELECT seq FROM snapshots").unwrap();
    for seq in snapshots.query_map([], |row| row.get::<_, i64>(0)).unwrap().map(Result::unwrap) {
        let sql = "SELECT body FROM snapshot_parts WHERE seq = ?1 ORDER BY part";
        let mut parts = connection.prepare(sql).unwrap();
        let parts = parts.query_map([seq], |row| row.get(0)).unwrap();
        let sum = checksum(&parts.map(Result::unwrap).collect::<Vec<_>>());
        let sql = "UPDATE snapshots SET checksum = ?2 WHERE seq = ?1";
        connection.execute(sql, [seq, sum]).unwrap();
    }
}

/// What the exporter says: `state{case, host}`.
type Metrics = Arc<Mutex<BTreeMap<(&'static str, &'static str), u8>>>;

fn print(metrics: &Metrics) -> String {
    let metrics = metrics.lock().unwrap();
    let lines = metrics
        .iter()
        .map(|((case, host), value)| format!("state{{case=\"{case}\",host=\"{host}\"}} {value}\n"));
    lines.collect()
}

/// An engine of today on the journal of then, with the world around it as it was.
struct World {
    sandbox: Sandbox,
    metrics: Metrics,
    engine: Engine,
    alertmanager: Alertmanager,
    /// Held for as long as it is to run.
    _prometheus: Prometheus,
}

impl World {
    async fn start() -> Self {
        let sandbox = Sandbox::new().unwrap();
        let firing = [
            ("rule", "verifying-rule-a"),
            ("query", "verifying-query-a"),
            ("worse", "w1"),
            ("worse", "w2"),
            ("worse", "w3"),
            ("errors", "w1"),
            ("errors", "w3"),
        ];
        let storm = ["s1", "s2", "s3", "s4"].map(|host| ("storm", host));
        let metrics: BTreeMap<_, _> = firing.into_iter().chain(storm).map(|key| (key, 1)).collect();
        let metrics: Metrics = Arc::new(Mutex::new(metrics));
        let listen = stack::free_address().unwrap();
        let printed = metrics.clone();
        let prometheus = Prometheus::builder()
            .scrape("fixture", "exporter", exporter(move || print(&printed)))
            .rules(RULES)
            .alertmanager(listen)
            .start(sandbox.path())
            .await
            .unwrap();
        until("the alerts of the rules", || async {
            let rules = prometheus.rules().await.unwrap();
            let firing = rules.iter().flat_map(|rule| &rule.alerts).count();
            (firing == 7).then_some(())
        })
        .await;
        restore(&sandbox.path().join("engine/data"), SignedDuration::from_secs(2));
        let (ran, told) = (sandbox.path().join("ran"), sandbox.path().join("told"));
        let (ran, told) = (ran.display(), told.display());
        let before = format!("export RAN_FILE={ran} TOLD_FILE={told};");
        let config = CONFIG
            .replace("@PROMETHEUS@", &prometheus.url())
            .replace("@ALERTMANAGER@", &format!("http://{listen}"));
        let start = Start {
            config: &config,
            more: &["--reconcile.every=1s"],
            before: &before,
            ..Start::default()
        };
        let engine = Engine::broken(&sandbox, &start);
        engine.ready().await;
        let alertmanager = Alertmanager::builder()
            .configuration(&routes(&engine))
            .listen(listen)
            .start(sandbox.path())
            .await
            .unwrap();
        let world = Self { sandbox, metrics, engine, alertmanager, _prometheus: prometheus };
        world.fire_again().await;
        world
    }

    /// Whatever fired then fires still, and is listed again.
    async fn fire_again(&self) {
        for incident in self.engine.incidents().await {
            for alert in incident["alerts"].as_array().unwrap() {
                if alert["status"] == "firing" && alert["labels"]["job"].is_null() {
                    self.post(alert, Value::Null).await;
                }
            }
        }
    }

    /// What began later than an incident that is closed would be new trouble.
    async fn post(&self, alert: &Value, ends_at: Value) {
        let mut alert = json!({ "labels": alert["labels"], "startsAt": alert["starts_at"] });
        if !ends_at.is_null() {
            alert["endsAt"] = ends_at;
        }
        self.alertmanager.post(json!([alert])).await.unwrap();
    }

    /// Ends the alerts of an incident, in the Alertmanager or at their rule.
    async fn resolve(&self, policy: &str, host: &str) {
        let incident = self.find(policy, host).await;
        for alert in incident["alerts"].as_array().unwrap() {
            if alert["labels"]["job"].is_null() {
                self.post(alert, Timestamp::now().to_string().into()).await;
            }
        }
    }

    fn set(&self, case: &'static str, host: &'static str, value: u8) {
        self.metrics.lock().unwrap().insert((case, host), value);
    }

    /// The newest incident of a policy on a target, if there is one yet.
    async fn look(&self, policy: &str, host: &str) -> Option<Value> {
        let incidents = self.engine.incidents().await;
        let found = incidents.into_iter().rfind(|incident| subject(incident) == (policy, host))?;
        let path = format!("/api/v1/incidents/{}", found["id"].as_str().unwrap());
        Some(self.engine.json(&path).await)
    }

    async fn find(&self, policy: &str, host: &str) -> Value {
        let found = self.look(policy, host).await;
        found.unwrap_or_else(|| panic!("no incident of {policy} on {host}"))
    }

    /// Waits until the newest incident of a policy on a target stands so.
    async fn stands(&self, policy: &str, host: &str, wanted: &str) -> Value {
        let what = format!("{policy} on {host} that is {wanted}");
        until(&what, || async {
            let incident = self.look(policy, host).await?;
            (standing(&incident) == wanted).then_some(incident)
        })
        .await
    }

    async fn command(&self, policy: &str, host: &str, verb: &str) {
        let incident = self.find(policy, host).await;
        let path = format!("/api/v1/incidents/{}/{verb}", incident["id"].as_str().unwrap());
        let word = r#"{"by": "operator", "reason": "the test"}"#;
        assert_eq!(self.engine.post(&path, word).await, 200, "{verb} {incident:#}");
    }

    /// The orders that ran since the start, by the lines that they wrote.
    fn ran(&self) -> Vec<String> {
        crate::support::ran(self.sandbox.path())
    }
}

fn routes(engine: &Engine) -> String {
    format!(
        "global: {{ resolve_timeout: 10h }}\n\
         route:\n  receiver: homeostat\n  group_by: ['...']\n  group_wait: 100ms\n  \
         group_interval: 1s\n  repeat_interval: 5s\n  routes:\n    \
         - {{ receiver: nobody, matchers: ['homeostat=~\".+\"'] }}\n\
         receivers:\n  - name: nobody\n  - name: homeostat\n    \
         webhook_configs: [{{ url: \"{}\" }}]\n",
        engine.url("/hooks/main")
    )
}

/// Every order that is in the journal of then.
fn orders_of_then(incidents: &[Value]) -> BTreeSet<String> {
    let orders = incidents.iter().flat_map(|incident| incident["orders"].as_array().unwrap());
    orders.map(|order| order["id"].as_str().unwrap().to_owned()).collect()
}

/// Each incident of the table, once, in any order.
fn assert_table(incidents: &[Value], column: impl Fn(&'static (&str, &str, &str, &str)) -> String) {
    let sorted = |mut lines: Vec<String>| {
        lines.sort();
        lines
    };
    let found = incidents.iter().map(|incident| {
        let (policy, host) = subject(incident);
        format!("{policy} on {host}: {}", standing(incident))
    });
    let wanted =
        STOOD.iter().map(|row @ (policy, host, ..)| format!("{policy} on {host}: {}", column(row)));
    assert_eq!(sorted(found.collect()), sorted(wanted.collect()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_of_0_1_0_goes_on_and_each_of_its_incidents_can_be_led_to_its_end() {
    let world = World::start().await;
    let engine = &world.engine;

    // Everything is there, in its stage or in what a restart makes of it.
    for (policy, host, _, now) in STOOD.iter().filter(|(_, _, then, now)| then != now) {
        world.stands(policy, host, now).await;
    }
    let then = engine.incidents().await;
    assert_table(&then, |(.., now)| (*now).to_owned());
    let of_then = orders_of_then(&then);
    assert_eq!(of_then.len(), 15, "{of_then:?}");
    assert_eq!(world.ran(), [""; 0], "it is paused, and nothing is done again");
    let status = engine.json("/api/v1/status").await;
    assert_eq!(status["paused"]["reason"], "maintenance", "{status:#}");
    let relapse = world.find("cooling", "cooling-a").await;
    let healed = then.iter().find(|i| subject(i) == ("cooling", "cooling-a")).unwrap();
    assert_eq!(relapse["relapse_of"], healed["id"], "{relapse:#}");

    // Those who waited for the operator go on, and so does what waited for an answer.
    assert_eq!(engine.post("/api/v1/resume", r#"{"by": "operator"}"#).await, 200);
    for (policy, host, order) in
        [("paused", "paused-a", "resumed"), ("asking", "asking-a", "asked")]
    {
        world.stands(policy, host, "verifying").await;
        world.resolve(policy, host).await;
        let incident = world.stands(policy, host, "closed: healed").await;
        assert_eq!(incident["orders"][0]["remedy"], order, "{incident:#}");
    }

    // What a person was asked is approved, runs as it was shown, and heals.
    world.command("approval", "approval-a", "approve").await;
    let approved = world.stands("approval", "approval-a", "verifying").await;
    let order = approved["orders"][0]["id"].as_str().unwrap();
    let ran = world.ran();
    assert!(ran.contains(&format!("{order} host approval-a")), "{order}: {ran:?}");
    world.resolve("approval", "approval-a").await;
    world.stands("approval", "approval-a", "closed: healed").await;

    lead_the_rest_to_its_end(&world).await;

    // A person was told what was owed, and of what is not told any more nothing is left.
    let told = std::fs::read_to_string(world.sandbox.path().join("told")).unwrap();
    assert!(told.contains("no remedy healed it: fail: exited with code 4"), "{told}");

    // A new alert is a new incident.
    let labels = json!({ "alertname": "Paused", "host": "new" });
    let now = Timestamp::now().to_string();
    world.post(&json!({ "labels": labels, "starts_at": now }), Value::Null).await;
    world.stands("paused", "new", "verifying").await;
    world.resolve("paused", "new").await;
    world.stands("paused", "new", "closed: healed").await;

    let open = engine.incidents().await.into_iter().filter(|i| i["state"] != "closed");
    assert_eq!(open.map(|i| i["policy"].clone()).collect::<Vec<_>>(), [Value::Null; 0]);
    let orders: Vec<String> =
        world.ran().iter().map(|l| l.split(' ').next().unwrap().to_owned()).collect();
    let once: BTreeSet<String> = orders.iter().cloned().collect();
    assert_eq!(orders.len(), once.len(), "nothing ran twice: {orders:?}");
    let again: Vec<_> = once.intersection(&of_then).collect();
    assert!(again.is_empty(), "what was ordered before the kill ran again: {again:?}");

    // It had no chain; from this start on it is proved, and what was there as it was found.
    let verified = verify(&engine.directory.join("data"), None).unwrap();
    assert!(verified.is_whole(), "{verified:#?}");
    let facts = JOURNAL.matches("\nINSERT INTO facts VALUES (").count();
    assert!(verified.adopted.is_some_and(|last| last >= i64::try_from(facts).unwrap()));
}

async fn lead_the_rest_to_its_end(world: &World) {
    // Proven in each of the three ways.
    world.resolve("verifying-reported", "verifyingreported-a").await;
    world.set("rule", "verifying-rule-a", 0);
    world.set("query", "verifying-query-a", 0);
    for (policy, host) in [
        ("verifying-reported", "verifyingreported-a"),
        ("verifying-rule", "verifying-rule-a"),
        ("verifying-query", "verifying-query-a"),
    ] {
        world.stands(policy, host, "closed: healed").await;
    }

    // What was held because remedies of other policies with the same name had failed is not held
    // any more.
    world.stands("breaker-three", "breakerthree-a", "verifying").await;
    world.resolve("breaker-three", "breakerthree-a").await;
    world.stands("breaker-three", "breakerthree-a", "closed: healed").await;

    // What waits recovers, or is cancelled.
    for (policy, host) in
        [("settling", "settling-a"), ("storm", "s1"), ("storm", "s2"), ("storm", "s3")]
    {
        world.resolve(policy, host).await;
        world.stands(policy, host, "closed: recovered").await;
    }
    for (policy, host) in [("frozen", "frozen-a"), ("cooling", "cooling-a")] {
        world.command(policy, host, "cancel").await;
        world.stands(policy, host, "closed: cancelled").await;
        world.resolve(policy, host).await;
    }
    world.resolve("backing-off", "backingoff-a").await;
    until("the end of what backs off", || async {
        let incident = world.find("backing-off", "backingoff-a").await;
        (incident["state"] == "closed").then_some(())
    })
    .await;

    // What may still have run is over with its time limit. Then its locks and its room are free: who
    // waited for the lock runs, and what was made worse is taken back.
    world.resolve("acting", "acting-a").await;
    world.set("worse", "w2", 0);
    for (policy, host) in [("acting", "acting-a"), ("worse", "w2")] {
        until("the end of a run of which nothing is known", || async {
            let incident = world.find(policy, host).await;
            (incident["state"] == "closed").then_some(())
        })
        .await;
    }
    world.stands("locked", "p", "verifying").await;
    world.resolve("locked", "p").await;
    world.stands("locked", "p", "closed: healed").await;
    let worse = world.stands("worse", "w1", "closed: escalated").await;
    let undo = worse["orders"].as_array().unwrap().iter().find(|order| order["undo"] == true);
    let undo = undo.unwrap_or_else(|| panic!("it was not taken back: {worse:#}"));
    assert_eq!(undo["exit_code"], 0, "{worse:#}");
}

/// What must be the same of two states, and told where it is not: not all of a state, which is long.
/// No snapshot of then says when an incident's orders were issued, or when its action was over.
fn essence(state: &State) -> Vec<String> {
    let incidents = state.incidents().map(|incident| {
        let mut incident = incident.clone();
        let acts = std::mem::take(&mut incident.acts).len();
        if let (Stage::Verifying(verification), Some(order)) =
            (&mut incident.stage, &incident.order)
        {
            verification.over_at = Some(verification.over_at(&order.proof));
        }
        format!("{acts} acts: {incident:?}")
    });
    let notices = state.notices().map(|notice| format!("{notice:?}"));
    let firing = state.all_firing().map(|episode| format!("{episode:?} fires"));
    incidents.chain(notices).chain(firing).collect()
}

#[test]
fn the_facts_of_0_1_0_fold_and_its_snapshot_with_the_facts_after_it_comes_to_the_same() {
    let directory = tempfile::tempdir().unwrap();
    restore(directory.path(), SignedDuration::from_secs(2));
    let journal = Journal::open(directory.path()).unwrap();
    let mut state = State::default();
    journal.replay(|fact| state.apply(fact)).unwrap();
    let open = state.incidents().filter(|incident| !incident.is_closed()).count();
    assert_eq!(open, STOOD.iter().filter(|(_, _, then, _)| !then.starts_with("closed")).count());
    let recovered = journal.recover().unwrap();
    assert!(recovered.covered > 0, "there is a snapshot, and it can be read");
    assert!(recovered.facts > 0, "there are facts after it");
    for (fold, snapshot) in essence(&state).iter().zip(essence(&recovered.state)) {
        assert_eq!(*fold, snapshot);
    }
    assert_eq!(essence(&state).len(), essence(&recovered.state).len());
}
