mod witnesses;

use std::cell::Cell;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use homeostat_core::evidence::{Listing, PresentAlert, Sight};
use homeostat_core::label::{Fingerprint, LabelSet, Matchers};
use homeostat_core::limits::LISTED_ALERTS;
use homeostat_core::policy::TargetLabels;
use homeostat_core::time::Span;
use serde_json::{Value, json};

use super::*;
use crate::client::ClientOptions;
use crate::client::tests::{Canned, Server, eventually, ok};
use crate::demo::stack;

fn now() -> Timestamp {
    let micros = jiff::Timestamp::now().as_microsecond();
    Timestamp::from_micros(micros)
}

fn client(url: &str) -> Client {
    Client::new(url, ClientOptions::default()).unwrap()
}

fn alertmanagers(urls: &[&str]) -> Prober {
    let peers = urls.iter().map(|url| client(url)).collect();
    let main = AlertmanagerSource { name: SourceName::new("main"), peers };
    Prober::new(Witnesses { alertmanagers: vec![main], prometheuses: Vec::new() })
}

/// The first is called `p0`, the next `p1`.
fn prometheuses(urls: &[&str]) -> Prober {
    let source = |(number, url): (usize, &&str)| PrometheusSource {
        name: SourceName::new(format!("p{number}")),
        client: client(url),
        external_labels: None,
    };
    let prometheuses = urls.iter().enumerate().map(source).collect();
    Prober::new(Witnesses { alertmanagers: Vec::new(), prometheuses })
}

fn labels(pairs: &[(&str, &str)]) -> LabelSet {
    LabelSet::from_pairs(pairs.iter().copied())
}

fn listed(pairs: &[(&str, &str)]) -> Ask {
    let fingerprint = labels(pairs).fingerprint();
    Ask::Listed { source: SourceName::new("main"), fingerprint }
}

async fn find(prober: &Prober, ask: Ask) -> Finding {
    let evidence = prober.ask(vec![ask.clone()], now).await;
    let [(asked, finding)] = <[_; 1]>::try_from(evidence.found).unwrap();
    assert_eq!(asked, ask);
    finding
}

async fn listing(prober: &Prober, ask: Ask) -> Result<Listing, String> {
    match find(prober, ask).await {
        Finding::Listed(answer) => answer.map_err(|Trouble(text)| text),
        other => panic!("a listing was asked for: {other:?}"),
    }
}

async fn query(prober: &Prober, promql: &str) -> Result<usize, String> {
    match find(prober, Ask::Query { promql: promql.into(), by: None }).await {
        Finding::Query(answer) => answer.map_err(|Trouble(text)| text),
        other => panic!("a query was asked: {other:?}"),
    }
}

/// Nobody listens there.
fn dead() -> String {
    format!("http://{}", stack::free_address().unwrap())
}

const DOWN: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "a")];
const OTHER: &[(&str, &str)] = &[("alertname", "Other"), ("instance", "a")];

fn present(by: Lister, matchers: &str, target: &[(&str, &str)]) -> Ask {
    let matchers = Matchers::parse(matchers).unwrap().matchers;
    Ask::Present { by, matchers, target: labels(target) }
}

async fn presence(prober: &Prober, ask: Ask) -> Result<Present, String> {
    match find(prober, ask).await {
        Finding::Present(answer) => answer.map_err(|Trouble(text)| text),
        other => panic!("a listing was asked: {other:?}"),
    }
}

/// The names of the alerts that are there, those that are pending in brackets.
fn names(present: &Present) -> Vec<String> {
    let name = |alert: &PresentAlert| {
        let name = alert.labels.get("alertname").unwrap_or_default();
        if alert.fires { name.to_owned() } else { format!("[{name}]") }
    };
    present.alerts.iter().map(name).collect()
}

// --- what is there on a target ---

#[tokio::test]
async fn an_alertmanager_lists_what_is_there_on_a_target() {
    let sandbox = stack::Sandbox::new().unwrap();
    let alertmanager = stack::Alertmanager::builder().start(sandbox.path()).await.unwrap();
    let prober = alertmanagers(&[&alertmanager.url(), &dead()]);
    let own = &[("alertname", "HomeostatEscalation"), ("instance", "a"), ("homeostat", "x")];
    for alert in [DOWN, OTHER, &[("alertname", "Down"), ("instance", "b")][..], &own[..]] {
        alertmanager.fire(alert).await.unwrap();
    }
    let main = || Lister::Alertmanager(SourceName::new("main"));
    let all = presence(&prober, present(main(), "", &[("instance", "a")])).await.unwrap();
    assert_eq!(names(&all), ["Down", "Other"], "not those of others, and not our own");
    let Sight::Alertmanager { uptime } = all.sight else { panic!("{all:?}") };
    assert!(uptime < Span::from_secs(60));
    let other = present(main(), "alertname=\"Other\"", &[("instance", "a")]);
    assert_eq!(names(&presence(&prober, other).await.unwrap()), ["Other"]);
    let unknown = Lister::Alertmanager(SourceName::new("no"));
    let trouble = presence(&prober, present(unknown, "", &[])).await.unwrap_err();
    assert_eq!(trouble, "no Alertmanager is configured as no");
    let trouble = presence(&alertmanagers(&[&dead()]), present(main(), "", &[])).await;
    assert!(trouble.is_err());
}

fn rule_of(name: &str, severity: &str, health: &str, evaluated: u32, state: &str) -> Value {
    json!({
        "type": "alerting", "name": name, "labels": { "severity": severity }, "health": health,
        "lastError": if health == "ok" { "" } else { "many-to-many" },
        "lastEvaluation": format!("2026-01-05T09:00:{evaluated:02}Z"),
        "alerts": [
            { "labels": { "alertname": name, "severity": severity, "instance": "a" },
              "state": state },
            { "labels": { "alertname": name, "severity": severity, "instance": "b" },
              "state": "firing" },
        ],
    })
}

/// A server that has these rules, and nothing else to show.
fn prometheus_with(rules: &[Value]) -> Server {
    let body = json!({ "status": "success", "data": { "groups": [{ "rules": rules }] } });
    Server::start(move |request| {
        if request.head.starts_with("GET /api/v1/rules") {
            ok(&body.to_string())
        } else {
            Canned::Answer(404, "", b"404 page not found".to_vec())
        }
    })
}

#[tokio::test]
async fn the_rules_that_could_fire_what_is_asked_for_list_it() {
    let server = prometheus_with(&[
        rule_of("Errors", "critical", "ok", 7, "firing"),
        rule_of("Slow", "critical", "ok", 5, "pending"),
        rule_of("Old", "{{ $labels.level }}", "ok", 6, "inactive"),
        rule_of("Noise", "warning", "err", 1, "firing"),
    ]);
    let critical = || present(Lister::Prometheus, "severity=\"critical\"", &[("instance", "a")]);
    let prober = prometheuses(&[&server.url]);
    let found = presence(&prober, critical()).await.unwrap();
    assert_eq!(names(&found), ["Errors", "[Slow]"]);
    let evaluated_at = Some("2026-01-05T09:00:05Z".parse().unwrap());
    assert_eq!(found.sight, Sight::Rules { evaluated_at, unhealthy: None }, "the oldest of these");
    let none = present(Lister::Prometheus, "severity=\"page\",alertname=\"Errors\"", &[]);
    let found = presence(&prober, none).await.unwrap();
    assert_eq!(found.sight, Sight::Rules { evaluated_at: None, unhealthy: None });
    let all = present(Lister::Prometheus, "", &[("instance", "a")]);
    let Sight::Rules { unhealthy, .. } = presence(&prober, all).await.unwrap().sight else {
        panic!("rules were asked");
    };
    assert_eq!(unhealthy.as_deref(), Some("rule Noise is not healthy: many-to-many"));

    let second = prometheus_with(&[rule_of("Slow", "critical", "ok", 9, "firing")]);
    let both = prometheuses(&[&server.url, &second.url]);
    let found = presence(&both, critical()).await.unwrap();
    assert_eq!(names(&found), ["Errors", "Slow"], "it fires if any says so");
    let one_is_silent = prometheuses(&[&server.url, &dead()]);
    assert!(presence(&one_is_silent, critical()).await.is_err(), "it may be the one that knows");
    assert!(presence(&prometheuses(&[]), critical()).await.is_err());
}

#[tokio::test]
async fn a_flood_of_alerts_on_a_target_is_cut_and_counted() {
    let alerts: Vec<Value> = (0..300)
        .map(|n| json!({ "labels": { "alertname": format!("A{n:03}") }, "state": "pending" }))
        .chain([json!({ "labels": { "alertname": "Z" }, "state": "firing" })])
        .collect();
    let rule = json!({
        "name": "A", "health": "ok", "lastEvaluation": "2026-01-05T09:00:00Z", "alerts": alerts,
    });
    let server = prometheus_with(&[rule]);
    let asked = present(Lister::Prometheus, "", &[]);
    let found = presence(&prometheuses(&[&server.url]), asked).await.unwrap();
    assert_eq!((found.alerts.len(), found.more), (LISTED_ALERTS, 45));
    assert_eq!(names(&found)[0], "Z", "what fires is not cut away");
}

// --- an Alertmanager ---

#[tokio::test]
async fn an_alert_is_listed_from_its_firing_to_its_end() {
    let sandbox = stack::Sandbox::new().unwrap();
    let alertmanager = stack::Alertmanager::builder().start(sandbox.path()).await.unwrap();
    let prober = alertmanagers(&[&alertmanager.url()]);
    let before = now();
    assert_eq!(listing(&prober, listed(DOWN)).await.unwrap().total, 0);
    alertmanager.fire(DOWN).await.unwrap();
    alertmanager.fire(OTHER).await.unwrap();
    let found = listing(&prober, listed(DOWN)).await.unwrap();
    assert_eq!(found.total, 2);
    assert!(found.uptime < Span::from_secs(60), "{found:?}");
    let alert = found.alert.unwrap();
    assert_eq!(alert.suppressed_by, None);
    assert!(alert.updated_at >= before && alert.updated_at <= now(), "{alert:?}");
    assert!(alert.starts_at >= before, "{alert:?}");
    assert_eq!(listing(&prober, listed(&[("no", "such")])).await.unwrap().alert, None);
    alertmanager.resolve(DOWN).await.unwrap();
    eventually("a resolved alert is not listed", async || {
        let found = listing(&prober, listed(DOWN)).await.unwrap();
        found.alert.is_none() && found.total == 1
    })
    .await;
}

#[tokio::test]
async fn silences_and_inhibiting_alerts_are_named() {
    let sandbox = stack::Sandbox::new().unwrap();
    let configuration = r#"{ route: { receiver: x, group_wait: 1s }, receivers: [{ name: x }],
        inhibit_rules: [{ source_matchers: ["alertname=Other"],
                          target_matchers: ["alertname=Down"], equal: [instance] }] }"#;
    let builder = stack::Alertmanager::builder().configuration(configuration);
    let alertmanager = builder.start(sandbox.path()).await.unwrap();
    let prober = alertmanagers(&[&alertmanager.url()]);
    alertmanager.fire(DOWN).await.unwrap();
    alertmanager.fire(OTHER).await.unwrap();
    let inhibitor = format!("inhibiting alert {}", labels(OTHER).fingerprint());
    eventually("the alert is inhibited", async || {
        let alert = listing(&prober, listed(DOWN)).await.unwrap().alert.unwrap();
        alert.suppressed_by.as_deref() == Some(&*inhibitor)
    })
    .await;
    assert_eq!(listing(&prober, listed(OTHER)).await.unwrap().alert.unwrap().suppressed_by, None);
    let silence = json!({
        "matchers": [{ "name": "alertname", "value": "Other", "isRegex": false }],
        "startsAt": now().to_string(), "endsAt": (now() + Span::from_secs(600)).to_string(),
        "createdBy": "test", "comment": "test",
    });
    let api = client(&alertmanager.url());
    let reply = api.post_json("/api/v2/silences", silence.to_string().into_bytes()).await.unwrap();
    let reply: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    let silenced = format!("silence {}", reply["silenceID"].as_str().unwrap());
    eventually("the alert is silenced", async || {
        let alert = listing(&prober, listed(OTHER)).await.unwrap().alert.unwrap();
        alert.suppressed_by.as_deref() == Some(&*silenced)
    })
    .await;
}

#[tokio::test]
async fn one_peer_that_answers_is_enough_and_none_is_trouble() {
    let sandbox = stack::Sandbox::new().unwrap();
    let alertmanager = stack::Alertmanager::builder().start(sandbox.path()).await.unwrap();
    alertmanager.fire(DOWN).await.unwrap();
    let dead = dead();
    let prober = alertmanagers(&[&dead, &alertmanager.url()]);
    assert!(listing(&prober, listed(DOWN)).await.unwrap().alert.is_some());
    let trouble = listing(&alertmanagers(&[&dead]), listed(DOWN)).await.unwrap_err();
    assert!(trouble.starts_with(&format!("{dead} could not be reached: ")), "{trouble}");
    assert_eq!(listing(&alertmanagers(&[]), listed(DOWN)).await.unwrap_err(), "it has no URL");
    let stranger =
        Ask::Listed { source: SourceName::new("x"), fingerprint: labels(DOWN).fingerprint() };
    let trouble = listing(&prober, stranger).await.unwrap_err();
    assert_eq!(trouble, "no Alertmanager is configured as x");
}

/// An Alertmanager that started and was told of alerts at these times.
fn canned_alertmanager(uptime: &str, alerts: serde_json::Value) -> Server {
    let status = json!({ "uptime": uptime, "cluster": {}, "versionInfo": {} }).to_string();
    Server::start(move |request| {
        if request.head.starts_with("GET /api/v2/status ") {
            return ok(&status);
        }
        ok(&alerts.to_string())
    })
}

fn canned_alert(fingerprint: &str, updated: &str, silenced_by: &[&str]) -> serde_json::Value {
    let state = if silenced_by.is_empty() { "active" } else { "suppressed" };
    json!({
        "fingerprint": fingerprint, "startsAt": "2026-11-22T10:00:00.123456789+01:00",
        "updatedAt": updated, "endsAt": "2026-11-22T13:00:00Z", "labels": { "a": "b" },
        "status": { "state": state, "silencedBy": silenced_by, "inhibitedBy": [] },
        "annotations": {}, "receivers": [{ "name": "x" }], "generatorURL": "",
    })
}

#[tokio::test]
async fn peers_are_put_together_on_the_safe_side() {
    let (old, young) = ("2026-11-22T11:30:00Z", "2026-11-22T12:00:00Z");
    let first = canned_alertmanager(
        "2026-11-01T00:00:00Z",
        json!([
            canned_alert("00000000000000aa", old, &[]),
            canned_alert("00000000000000bb", old, &[])
        ]),
    );
    let second = canned_alertmanager(
        "2026-11-22T11:59:00Z",
        json!([
            canned_alert("00000000000000aa", young, &["s-1"]),
            canned_alert("00000000000000cc", old, &[])
        ]),
    );
    let at: Timestamp = young.parse().unwrap();
    let prober = alertmanagers(&[&first.url, &second.url]);
    let ask =
        |number| Ask::Listed { source: SourceName::new("main"), fingerprint: Fingerprint(number) };
    let evidence = prober.ask(vec![ask(0xaa), ask(0xbb), ask(0xdd)], || at).await;
    let listings: Vec<&Listing> = evidence
        .found
        .iter()
        .map(|(_, finding)| match finding {
            Finding::Listed(Ok(listing)) => listing,
            other => panic!("{other:?}"),
        })
        .collect();
    for listing in &listings {
        assert_eq!((listing.total, listing.uptime), (3, Span::from_secs(60)));
    }
    let both = listings[0].alert.as_ref().unwrap();
    assert_eq!(both.suppressed_by.as_deref(), Some("silence s-1"));
    assert_eq!(both.updated_at, at);
    assert_eq!(both.starts_at.to_string(), "2026-11-22T09:00:00.123456Z");
    assert_eq!(listings[1].alert.as_ref().unwrap().suppressed_by, None);
    assert_eq!(listings[2].alert, None);
    assert_eq!(evidence.gathered_at, at);
}

#[tokio::test]
async fn an_answer_that_is_none_is_trouble() {
    let cases: [(u16, &str, &str); 4] = [
        (503, "no\nleader", "answered 503 Service Unavailable: no leader"),
        (401, "", "answered 401 Unauthorized: "),
        (200, "<html>", "is not understood: "),
        (200, "{}", "is not understood: missing field"),
    ];
    for (status, body, text) in cases {
        let answer = move |_: &_| Canned::Answer(status, "", body.as_bytes().to_vec());
        let server = Server::start(answer);
        let trouble = listing(&alertmanagers(&[&server.url]), listed(DOWN)).await.unwrap_err();
        assert!(trouble.contains(text) && trouble.contains(&server.url), "{trouble}");
        let trouble = query(&prometheuses(&[&server.url]), "up").await.unwrap_err();
        assert!(trouble.contains(text), "{trouble}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_witness_that_hangs_is_trouble_after_a_while() {
    let server = Server::start(|_| Canned::Silence);
    let prober = alertmanagers(&[&server.url]);
    let asked_at = now();
    let evidence = prober.ask(vec![listed(DOWN), listed(OTHER)], || asked_at).await;
    for (_, finding) in &evidence.found {
        let Finding::Listed(Err(Trouble(text))) = finding else { panic!("{finding:?}") };
        assert!(text.ends_with("did not answer within 5 s"), "{text}");
    }
    assert_eq!(evidence.gathered_at, asked_at);
}

async fn inventory(prober: &Prober, promql: &str) -> Result<u64, String> {
    match find(prober, Ask::Inventory { promql: promql.into(), by: None }).await {
        Finding::Inventory(count) => count.map_err(|trouble| trouble.0),
        other => panic!("an inventory was asked: {other:?}"),
    }
}

#[tokio::test]
async fn a_thousand_inventories_at_once_cost_two_queries() {
    let body = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1.5,"7"]}]}}"#;
    let server = Server::start(move |_: &_| Canned::Answer(200, "", body.into()));
    let prober = Arc::new(prometheuses(&[&server.url]));
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..1_000 {
        let prober = prober.clone();
        asked.spawn(async move { inventory(&prober, "count(up)").await });
    }
    assert!(asked.join_all().await.iter().all(|count| *count == Ok(7)));
    assert!(server.received().len() <= 4, "{}", server.received().len());
}

#[tokio::test]
async fn a_thousand_questions_at_once_cost_two_listings() {
    let server = canned_alertmanager(
        "2026-11-01T00:00:00Z",
        json!([canned_alert("00000000000000aa", "2026-11-22T12:00:00Z", &[])]),
    );
    let prober = Arc::new(alertmanagers(&[&server.url]));
    let mut asked = tokio::task::JoinSet::new();
    for number in 0..1_000 {
        let prober = prober.clone();
        asked.spawn(async move {
            let fingerprint = Fingerprint(number);
            let ask = Ask::Listed { source: SourceName::new("main"), fingerprint };
            listing(&prober, ask).await.unwrap().alert.is_some()
        });
    }
    let answers = asked.join_all().await;
    assert_eq!(answers.iter().filter(|listed| **listed).count(), 1);
    assert!(server.received().len() <= 4, "{}", server.received().len());
}

#[tokio::test]
async fn nothing_to_ask_is_answered_at_once() {
    let evidence = alertmanagers(&[]).ask(Vec::new(), || Timestamp::EPOCH).await;
    assert_eq!(evidence, Evidence::none(Timestamp::EPOCH));
}

// --- rounds ---

#[tokio::test]
async fn whoever_asks_later_is_not_answered_by_what_was_sent_before() {
    let flight = flight::Flight::<Vec<u32>, usize>::default();
    let rounds = Cell::new(0);
    let (start, started) = tokio::sync::oneshot::channel();
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let slow = async |wanted: Vec<u32>| {
        assert_eq!(wanted, [1]);
        start.send(()).unwrap();
        ended.await.unwrap();
        rounds.replace(rounds.get() + 1) + 1
    };
    let quick = |wanted: Vec<u32>| {
        assert_eq!(wanted, [2, 3]);
        rounds.set(rounds.get() + 1);
        std::future::ready(rounds.get())
    };
    let first = flight.join(|wanted| wanted.push(1), slow);
    let rest = async {
        started.await.unwrap();
        let second = flight.join(|wanted| wanted.push(2), quick);
        let third = flight.join(|wanted| wanted.push(3), quick);
        let end = async {
            end.send(()).unwrap();
            0
        };
        let (second, third, _) = tokio::join!(second, third, end);
        (second, third)
    };
    assert_eq!(tokio::join!(first, rest), (1, (2, 2)));
}

#[tokio::test]
async fn a_round_whose_leader_gave_up_is_led_by_the_next() {
    let flight = flight::Flight::<(), u32>::default();
    let never = |()| std::future::pending::<u32>();
    let wait = |joined: &mut Pin<Box<dyn Future<Output = u32> + '_>>| {
        let mut context = Context::from_waker(Waker::noop());
        assert!(joined.as_mut().poll(&mut context).is_pending());
    };
    let mut under_way: Pin<Box<dyn Future<Output = u32>>> = Box::pin(flight.join(|()| {}, never));
    wait(&mut under_way);
    // Two of one round: the first leads it, and gives up while it is under way.
    let mut first: Pin<Box<dyn Future<Output = u32>>> = Box::pin(flight.join(|()| {}, never));
    let two = |()| std::future::ready(2);
    let mut second: Pin<Box<dyn Future<Output = u32>>> = Box::pin(flight.join(|()| {}, two));
    wait(&mut first);
    wait(&mut second);
    drop(under_way);
    wait(&mut first);
    // Somebody of a later round waits already.
    let three = |()| std::future::ready(3);
    let mut third: Pin<Box<dyn Future<Output = u32>>> = Box::pin(flight.join(|()| {}, three));
    wait(&mut third);
    drop(first);
    assert_eq!((second.await, third.await), (2, 3));
}

// --- a Prometheus ---

#[tokio::test]
async fn queries_hold_when_their_vector_is_not_empty() {
    let sandbox = stack::Sandbox::new().unwrap();
    let prometheus = stack::Prometheus::builder().start(sandbox.path()).await.unwrap();
    let prober = prometheuses(&[&prometheus.url(), "http://127.0.0.1:1"]);
    assert_eq!(query(&prober, "vector(1)").await, Ok(1));
    assert_eq!(query(&prober, "vector(0)").await, Ok(1));
    assert_eq!(query(&prober, "vector(0) / vector(0)").await, Ok(1));
    assert_eq!(query(&prober, "vector(1) > 1").await, Ok(0));
    let two = r#"vector(1) or label_replace(vector(1), "a", "é & =", "", "")"#;
    assert_eq!(query(&prober, two).await, Ok(2));
    for (promql, text) in [
        ("1", "the query returns a scalar; use a vector expression"),
        ("\"x\"", "the query returns a string; use a vector expression"),
        ("up[5m]", "the query returns a matrix; use a vector expression"),
        ("up ==", "answered 400 Bad Request: bad_data: "),
        (
            r#"label_replace(vector(1), "a", "", "b", "(")"#,
            "answered 422 Unprocessable Entity: execution: ",
        ),
    ] {
        let trouble = query(&prober, promql).await.unwrap_err();
        assert!(trouble.contains(text), "{promql}: {trouble}");
    }
    let trouble = query(&prometheuses(&[]), "up").await.unwrap_err();
    assert_eq!(trouble, "no Prometheus is configured");
}

#[tokio::test]
async fn an_inventory_is_one_whole_number_or_none() {
    let sandbox = stack::Sandbox::new().unwrap();
    let prometheus = stack::Prometheus::builder().start(sandbox.path()).await.unwrap();
    let prober = prometheuses(&[&prometheus.url()]);
    for (promql, count) in [
        ("vector(3)", 3),
        ("vector(2.999)", 2),
        ("vector(0)", 0),
        ("vector(0.5)", 0),
        ("count(vector(1) or label_replace(vector(1), \"a\", \"b\", \"\", \"\"))", 2),
    ] {
        assert_eq!(inventory(&prober, promql).await, Ok(count), "{promql}");
    }
    for (promql, text) in [
        ("vector(1) > 1", "the inventory returns nothing"),
        ("vector(1) or label_replace(vector(1), \"a\", \"b\", \"\", \"\")", "returns 2 values"),
        ("vector(0) / vector(0)", "the inventory is NaN, which is no count"),
        ("vector(1) / vector(0)", "the inventory is +Inf, which is no count"),
        ("vector(-1)", "the inventory is -1, which is no count"),
        ("vector(1e300)", "which is no count"),
        ("3", "the query returns a scalar; use a vector expression"),
        ("up ==", "answered 400 Bad Request: bad_data: "),
    ] {
        let trouble = inventory(&prober, promql).await.unwrap_err();
        assert!(trouble.contains(text), "{promql}: {trouble}");
    }
    assert!(inventory(&prometheuses(&["http://127.0.0.1:1"]), "vector(1)").await.is_err());
    let trouble = inventory(&prometheuses(&[]), "vector(1)").await.unwrap_err();
    assert_eq!(trouble, "no Prometheus is configured");
}

#[test]
fn a_question_can_be_asked_from_any_thread() {
    fn sendable(_: impl Future<Output = Evidence> + Send) {}
    let prober = alertmanagers(&[]);
    sendable(prober.ask(Vec::new(), || Timestamp::EPOCH));
}

#[tokio::test]
async fn a_prometheus_behind_a_gateway_that_lets_only_get_pass_is_queried() {
    let server = Server::start(|request| {
        let text = r#"{"status":"success","data":{"resultType":"vector","result":[{}]}}"#;
        let asked = request.head.starts_with("GET /api/v1/query?query=up+%3D%3D+1&");
        if asked { ok(text) } else { Canned::Answer(403, "", b"read only".to_vec()) }
    });
    assert_eq!(query(&prometheuses(&[&server.url]), "up == 1").await, Ok(1));
}
