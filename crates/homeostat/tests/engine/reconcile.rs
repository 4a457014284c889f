//! What notifications lose, and how asking Alertmanager finds it: a real engine process with real
//! Alertmanagers.

use std::net::SocketAddr;
use std::time::Duration;

use crate::support::{Engine, policy, ran, until};
use homeostat::demo::stack::{self, Alertmanager, AlertmanagerBuilder, Cluster, Sandbox, Timings};
use serde_json::{Value, json};

const A: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "a:80")];
const B: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "b:80")];
const OTHER: &[(&str, &str)] = &[("alertname", "Other")];

/// Polls follow each other closely, and an Alertmanager is believed from its first moment on.
const CLOSE: [&str; 2] = ["--reconcile.every=300ms", "--reconcile.young=0s"];

/// Nothing is done before long: what becomes of an alert shows in its incident.
const LATER: &str = "    for: 1h";

/// Groups that are told once, and then not for an hour.
const ONCE: Timings = Timings {
    group_wait: Duration::from_millis(200),
    group_interval: Duration::from_hours(1),
    repeat_interval: Duration::from_hours(1),
};

fn sources(addresses: &[SocketAddr], more: &str) -> String {
    let urls: Vec<String> =
        addresses.iter().map(|address| format!("\"http://{address}\"")).collect();
    format!("sources: {{ alertmanagers: [{{ name: main, urls: [{}]{more} }}] }}\n", urls.join(", "))
}

/// An engine and its Alertmanager, which tells it of everything.
async fn pair(
    sandbox: &Sandbox,
    policy: &str,
    flags: &[&str],
    configure: impl FnOnce(AlertmanagerBuilder, &Engine) -> AlertmanagerBuilder,
) -> (Engine, Alertmanager) {
    let address = stack::free_address().unwrap();
    let config = format!("{}{policy}", sources(&[address], ""));
    let engine = Engine::start(sandbox, &config, flags).await;
    let builder = Alertmanager::builder().listen(address).webhook(&engine.url("/hooks/main"));
    let builder = configure(builder.timings(Timings::QUICK), &engine);
    (engine, builder.start(sandbox.path()).await.unwrap())
}

async fn polls(engine: &Engine, result: &str) -> f64 {
    let name = "homeostat_reconcile_polls_total";
    engine.metric(&format!("{name}{{source=\"main\",result=\"{result}\"}}")).await.unwrap_or(0.0)
}

/// Waits for three polls from now on that said so.
async fn three_polls(engine: &Engine, result: &str) {
    let before = polls(engine, result).await;
    until(&format!("three polls: {result}"), || async {
        (polls(engine, result).await >= before + 3.0).then_some(())
    })
    .await;
}

fn texts(incident: &Value) -> Vec<String> {
    let timeline = incident["timeline"].as_array().unwrap();
    timeline.iter().map(|entry| entry["text"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn of_a_mixed_group_only_what_fires_is_acted_on() {
    let sandbox = Sandbox::new().unwrap();
    let policy = policy(sandbox.path(), "", "    for: 10s");
    let (engine, alertmanager) = pair(&sandbox, &policy, &CLOSE, |builder, _| builder).await;
    alertmanager.post(json!([{ "labels": map(A) }, { "labels": map(B) }])).await.unwrap();
    until("two incidents", || async { (engine.incidents().await.len() == 2).then_some(()) }).await;
    alertmanager.resolve(B).await.unwrap();
    until("the action", || async { (!ran(sandbox.path()).is_empty()).then_some(()) }).await;
    let incidents = engine.incidents().await;
    let of = |instance: &str| {
        incidents.iter().find(|incident| incident["target"]["instance"] == instance).unwrap()
    };
    assert_eq!(of("b:80")["outcome"], "recovered", "{incidents:#?}");
    let acted_on = of("a:80")["id"].as_str().unwrap();
    assert_eq!(ran(sandbox.path()), [format!("{acted_on}.first.1")]);
}

#[tokio::test]
async fn of_a_truncated_notification_all_alerts_are_found() {
    let sandbox = Sandbox::new().unwrap();
    let policy = policy(sandbox.path(), "", LATER);
    // Only what is out of turn can find them in time, and nobody but the notification names the
    // receiver.
    let flags = ["--reconcile.every=1h"];
    let (engine, alertmanager) = pair(&sandbox, &policy, &flags, |builder, engine| {
        builder.configuration(&format!(
            "receivers: [{{ name: web.hook, webhook_configs: [{{ url: \"{}\", max_alerts: 1 }}] }}]\n\
             route: {{ receiver: web.hook, group_by: [alertname], group_wait: 500ms }}\n",
            engine.url("/hooks/main")
        ))
    })
    .await;
    let c = [("alertname", "Down"), ("instance", "c:80")];
    let alerts = [A, B, &c].map(|labels| json!({ "labels": map(labels) }));
    alertmanager.post(json!(alerts)).await.unwrap();
    until("three incidents", || async { (engine.incidents().await.len() == 3).then_some(()) })
        .await;
    let out_of_turn = polls(&engine, "prompted").await + polls(&engine, "young").await;
    assert!((1.0..2.0).contains(&out_of_turn), "{out_of_turn}");
    assert_eq!(
        engine.metric("homeostat_reconcile_alerts_total{change=\"began\"}").await,
        Some(2.0)
    );
}

#[tokio::test]
async fn of_a_notification_that_is_too_large_all_alerts_are_found() {
    let sandbox = Sandbox::new().unwrap();
    let address = stack::free_address().unwrap();
    let sources = sources(&[address], ", receivers: [my-receiver]");
    let config = format!("{sources}{}", policy(sandbox.path(), "", LATER));
    let flags = ["--reconcile.every=1h", "--web.max-body=1KiB"];
    let engine = Engine::start(&sandbox, &config, &flags).await;
    let builder = Alertmanager::builder().listen(address).webhook(&engine.url("/hooks/main"));
    let alertmanager = builder.timings(ONCE).start(sandbox.path()).await.unwrap();
    let text = "x".repeat(2000);
    let alert = json!([{ "labels": map(A), "annotations": { "text": text } }]);
    alertmanager.post(alert).await.unwrap();
    let incident = engine.incident_in("waiting").await;
    assert_eq!(incident["alerts"][0]["annotations"]["text"], text);
    let refused = "homeostat_notifications_received_total{source=\"main\",result=\"too_large\"}";
    assert!(engine.metric(refused).await >= Some(1.0));
}

#[tokio::test]
async fn a_flap_that_no_notification_shows_is_a_relapse() {
    let sandbox = Sandbox::new().unwrap();
    let policy = policy(sandbox.path(), "", "    guard: { cooldown: 0s }");
    let (engine, alertmanager) =
        pair(&sandbox, &policy, &CLOSE, |builder, _| builder.timings(ONCE)).await;
    alertmanager.fire(OTHER).await.unwrap();
    alertmanager.fire(A).await.unwrap();
    engine.incident_in("verifying").await;
    alertmanager.resolve(A).await.unwrap();
    let healed = engine.incident_in("closed").await;
    assert_eq!((&healed["outcome"], &healed["grade"]), (&"healed".into(), &"reported".into()));
    let told = texts(&healed).into_iter().any(|text| text.contains("was asked twice"));
    assert!(told, "{healed:#}");
    // Within its group's interval, so that nobody is told.
    alertmanager.fire(A).await.unwrap();
    let relapse = until("a relapse", || async {
        engine.incidents().await.into_iter().find(|incident| incident["relapse_of"] == "1")
    })
    .await;
    until("the next remedy", || async { (ran(sandbox.path()).len() == 2).then_some(()) }).await;
    assert_eq!(relapse["alerts"][0]["source"], "main");
    assert!(ran(sandbox.path())[1].contains("second"), "{:?}", ran(sandbox.path()));
}

#[tokio::test]
async fn what_fires_again_while_it_is_verified_is_not_healed() {
    let sandbox = Sandbox::new().unwrap();
    let soon = "    verify: { within: 3s, every: 1s }";
    let policy = policy(sandbox.path(), "", soon);
    let (engine, alertmanager) =
        pair(&sandbox, &policy, &CLOSE, |builder, _| builder.timings(ONCE)).await;
    alertmanager.fire(OTHER).await.unwrap();
    alertmanager.fire(A).await.unwrap();
    engine.incident_in("verifying").await;
    alertmanager.resolve(A).await.unwrap();
    alertmanager.fire(A).await.unwrap();
    until("the second remedy", || async {
        (ran(sandbox.path()).last()?.contains("second")).then_some(())
    })
    .await;
    let incidents = engine.incidents().await;
    assert!(incidents.iter().all(|incident| incident["outcome"] != "healed"), "{incidents:#?}");
    assert_eq!(incidents.len(), 1, "{incidents:#?}");
}

#[tokio::test]
async fn what_resolves_under_a_silence_closes() {
    let sandbox = Sandbox::new().unwrap();
    let policy = policy(sandbox.path(), "", LATER);
    let (engine, alertmanager) = pair(&sandbox, &policy, &CLOSE, |builder, _| builder).await;
    alertmanager.fire(OTHER).await.unwrap();
    alertmanager.fire(A).await.unwrap();
    engine.incident_in("waiting").await;
    silence(&alertmanager).await;
    // Silenced is not absent.
    three_polls(&engine, "listed").await;
    engine.incident_in("waiting").await;
    alertmanager.resolve(A).await.unwrap();
    let incident = engine.incident_in("closed").await;
    assert_eq!(incident["outcome"], "recovered");
    let told = texts(&incident).into_iter().any(|text| text.contains("was asked twice"));
    assert!(told, "{incident:#}");
    let ended = "homeostat_reconcile_alerts_total{change=\"ended\"}";
    assert!(engine.metric(ended).await >= Some(1.0));
}

#[tokio::test]
async fn an_alertmanager_that_is_gone_or_empty_or_young_ends_nothing() {
    let sandbox = Sandbox::new().unwrap();
    let policy = policy(sandbox.path(), "", LATER);
    let flags = ["--reconcile.every=300ms"];
    let (engine, mut alertmanager) = pair(&sandbox, &policy, &flags, |builder, _| builder).await;
    alertmanager.fire(A).await.unwrap();
    engine.incident_in("waiting").await;
    alertmanager.process().end();
    three_polls(&engine, "failed").await;
    alertmanager.restart().await.unwrap();
    three_polls(&engine, "empty").await;
    alertmanager.fire(OTHER).await.unwrap();
    three_polls(&engine, "young").await;
    let incident = engine.incidents().await.remove(0);
    assert_eq!(incident["state"], "waiting", "{incident:#}");
    assert_eq!(incident["alerts"][0]["status"], "firing");
    assert_eq!(engine.metric("homeostat_reconcile_alerts_total{change=\"ended\"}").await, None);
}

#[tokio::test]
async fn only_what_is_routed_here_begins() {
    let sandbox = Sandbox::new().unwrap();
    let address = stack::free_address().unwrap();
    let policy = policy(sandbox.path(), "", LATER);
    let config = format!("{}{policy}", sources(&[address], ""));
    let engine = Engine::start(&sandbox, &config, &CLOSE).await;
    let builder = Alertmanager::builder().listen(address);
    let alertmanager = builder.start(sandbox.path()).await.unwrap();
    alertmanager.fire(A).await.unwrap();
    three_polls(&engine, "listed").await;
    three_polls(&engine, "listed").await;
    assert!(engine.incidents().await.is_empty());
    let begins = "reconcile begins nothing until a notification names its receiver";
    assert_eq!(engine.log().matches(begins).count(), 1, "{}", engine.log());
    let named = format!("{}{policy}", sources(&[address], ", receivers: [my-receiver]"));
    std::fs::write(engine.directory.join("homeostat.yml"), named).unwrap();
    assert_eq!(engine.post("/-/reload", "").await, 200);
    let incident = engine.incident_in("waiting").await;
    assert_eq!(incident["alerts"][0]["source"], "main");
}

/// Routes by instance to a receiver whose notifications reach nobody: what begins was found.
fn routes(location: &str) -> String {
    format!(
        "receivers: [{{ name: web.hook, webhook_configs: [{{ url: \"http://127.0.0.1:9/\" }}] }}]
route:
  receiver: web.hook
  group_wait: 1s
  routes:
  - {{ matchers: ['instance=\"waits\"'], group_wait: 4s }}
  - {{ matchers: ['instance=\"waits for long\"'], group_wait: 1h }}
  - {{ match: {{ instance: mute }}, mute_time_intervals: [always] }}
  - {{ match_re: {{ instance: not.active }}, active_time_intervals: [never] }}
  - {{ matchers: [instance=~active.*], active_time_intervals: [never, always] }}
  - {{ matchers: [instance=goes-on], group_wait: 1h, continue: true }}
  - {{ matchers: [instance=goes-on], group_wait: 0s }}
time_intervals:
- name: always
  time_intervals:
  - times: [{{ start_time: '00:00', end_time: '24:00' }}]
    weekdays: ['sunday:saturday']
    days_of_month: ['1:-1']
    months: ['january:december']
    years: ['2000:2999']
    location: {location}
- {{ name: never, time_intervals: [{{ years: ['1999'] }}] }}
"
    )
}

const INSTANCES: [&str; 7] =
    ["plain", "waits", "waits for long", "mute", "not active", "active", "goes-on"];

async fn fire_all(alertmanager: &Alertmanager) {
    let alert = |instance| json!({ "labels": { "alertname": "Down", "instance": instance } });
    alertmanager.post(INSTANCES.into_iter().map(alert).collect()).await.unwrap();
}

/// The instances of all incidents.
async fn begun(engine: &Engine) -> Vec<String> {
    let incidents = engine.incidents().await;
    let instances = incidents.iter().map(|incident| incident["target"]["instance"].as_str());
    let mut instances: Vec<String> = instances.map(|name| name.unwrap().to_owned()).collect();
    instances.sort();
    instances
}

#[tokio::test]
async fn what_waits_or_is_mute_begins_when_the_alertmanager_would_tell_of_it() {
    let sandbox = Sandbox::new().unwrap();
    let address = stack::free_address().unwrap();
    let policy = policy(sandbox.path(), "", LATER);
    let config = format!("{}{policy}", sources(&[address], ", receivers: [web.hook]"));
    let engine = Engine::start(&sandbox, &config, &CLOSE).await;
    let builder = Alertmanager::builder().listen(address).configuration(&routes("Europe/Berlin"));
    let alertmanager = builder.start(sandbox.path()).await.unwrap();
    let fired = std::time::Instant::now();
    fire_all(&alertmanager).await;
    until("what does not wait", || async { (begun(&engine).await.len() == 3).then_some(()) }).await;
    assert!(fired.elapsed() < Duration::from_secs(4), "the machine is too slow for this test");
    assert_eq!(begun(&engine).await, ["active", "goes-on", "plain"]);
    until("what waits", || async { (begun(&engine).await.len() == 4).then_some(()) }).await;
    assert!(fired.elapsed() >= Duration::from_secs(4), "{:?}", fired.elapsed());
    three_polls(&engine, "listed").await;
    three_polls(&engine, "listed").await;
    assert_eq!(begun(&engine).await, ["active", "goes-on", "plain", "waits"]);
    assert!(!engine.whole_log().contains("cannot be read"), "{}", engine.whole_log());
}

#[tokio::test]
async fn where_the_routes_cannot_be_read_all_that_is_listed_for_us_begins() {
    let sandbox = Sandbox::new().unwrap();
    let address = stack::free_address().unwrap();
    let policy = policy(sandbox.path(), "", LATER);
    let config = format!("{}{policy}", sources(&[address], ", receivers: [web.hook]"));
    let engine = Engine::start(&sandbox, &config, &CLOSE).await;
    // Whose time that is, nobody else can tell.
    let builder = Alertmanager::builder().listen(address).configuration(&routes("Local"));
    let alertmanager = builder.start(sandbox.path()).await.unwrap();
    fire_all(&alertmanager).await;
    until("all of them", || async { (begun(&engine).await.len() == 7).then_some(()) }).await;
    three_polls(&engine, "listed").await;
    let told = "the configuration of the Alertmanager cannot be read";
    assert_eq!(engine.whole_log().matches(told).count(), 1, "{}", engine.whole_log());
    assert!(engine.whole_log().contains("there is no time zone"), "{}", engine.whole_log());
}

#[tokio::test]
async fn two_peers_and_an_engine_that_was_down_make_one_action() {
    let sandbox = Sandbox::new().unwrap();
    let addresses = [stack::free_address().unwrap(), stack::free_address().unwrap()];
    let gossip = [stack::free_address().unwrap(), stack::free_address().unwrap()];
    let config = format!("{}{}", sources(&addresses, ""), policy(sandbox.path(), "", ""));
    let mut engine = Engine::start(&sandbox, &config, &CLOSE).await;
    let mut peers = Vec::new();
    for (number, name) in ["one", "two"].into_iter().enumerate() {
        let cluster = Cluster { listen: gossip[number], peers: gossip.to_vec() };
        let builder = Alertmanager::builder().name(name).listen(addresses[number]).cluster(cluster);
        let builder = builder.webhook(&engine.url("/hooks/main")).timings(Timings::QUICK);
        peers.push(builder.start(sandbox.path()).await.unwrap());
    }
    engine.kill();
    for peer in &peers {
        peer.fire(A).await.unwrap();
        peer.fire(OTHER).await.unwrap();
    }
    // Each peer has tried in vain, the second one after it has waited for the first.
    for peer in &peers {
        until("a failed request", || async {
            let text =
                reqwest::get(format!("{}/metrics", peer.url())).await.ok()?.text().await.ok()?;
            let name = "alertmanager_notification_requests_failed_total{integration=\"webhook\"} ";
            let failed = text.lines().find_map(|line| line.strip_prefix(name))?;
            (failed != "0").then_some(())
        })
        .await;
    }
    engine.restart().await;
    let taken = "homeostat_notifications_received_total{source=\"main\",result=\"accepted\"}";
    until("notifications", || async { engine.metric(taken).await.filter(|count| *count >= 4.0) })
        .await;
    three_polls(&engine, "listed").await;
    until("the action", || async { (!ran(sandbox.path()).is_empty()).then_some(()) }).await;
    assert_eq!(ran(sandbox.path()), ["1.first.1"]);
    assert_eq!(engine.incidents().await.len(), 1);
}

fn map(labels: &[(&str, &str)]) -> Value {
    labels.iter().map(|&(name, value)| (name.to_owned(), Value::from(value))).collect()
}

/// Silences `A` for an hour.
async fn silence(alertmanager: &Alertmanager) {
    let now = jiff::Timestamp::now();
    let end = now + jiff::SignedDuration::from_hours(1);
    let matcher = |(name, value): &(&str, &str)| json!({ "name": name, "value": value, "isRegex": false, "isEqual": true });
    let silence = json!({
        "matchers": A.iter().map(matcher).collect::<Vec<_>>(), "createdBy": "test", "comment": "test",
        "startsAt": now.to_string(), "endsAt": end.to_string(),
    });
    let url = format!("{}/api/v2/silences", alertmanager.url());
    let answer = stack::client().post(url).json(&silence).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    let url = format!("{}/api/v2/alerts?silenced=true&active=false", alertmanager.url());
    until("the silence", || async {
        let listed: Vec<Value> = stack::client().get(&url).send().await.ok()?.json().await.ok()?;
        (!listed.is_empty()).then_some(())
    })
    .await;
}
