//! What a real Prometheus sends of its alerts, held against what we think that it sends.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use crate::support::until;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use homeostat::demo::stack::{Prometheus, Sandbox};
use homeostat::relabelling::{self, Dialect};
use homeostat_core::label::LabelSet;
use serde_json::Value;

/// Each set of labels that was ever posted.
type Posted = Arc<Mutex<BTreeSet<LabelSet>>>;

/// Takes alerts as an Alertmanager does, and only remembers them.
async fn listener() -> (SocketAddr, Posted) {
    let posted = Posted::default();
    let take = |State(posted): State<Posted>, body: Bytes| async move {
        let alerts: Vec<Value> = serde_json::from_slice(&body).unwrap();
        let labels = alerts.into_iter().map(|mut alert| alert["labels"].take());
        posted.lock().unwrap().extend(labels.map(|json| serde_json::from_value(json).unwrap()));
        StatusCode::OK
    };
    let app = Router::new().route("/api/v2/alerts", post(take)).with_state(posted.clone());
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(socket, app).await });
    (address, posted)
}

const EXTERNAL: &str = r#"
  external_labels:
    cluster: "eu: 1"
    team: external
    replica: "0"
    "yes": "no"
"#;

/// Every action at least once, and each way in which a replacement can come to nothing.
const RELABEL: &str = r#"
alerting:
  alertmanagers:
    - static_configs: [{ targets: ["ADDRESS"] }]
  alert_relabel_configs:
    - { regex: replica, action: labeldrop }
    - { source_labels: [instance], regex: "([^:]+):(?P<port>\\d+)", target_label: host, replacement: "$1" }
    - { source_labels: [instance], regex: "([^:]+):(?P<port>\\d+)", target_label: "port_${1}", replacement: "${port}" }
    - { source_labels: [severity], regex: none, action: drop }
    - { source_labels: [team], regex: "(?i)EXTERNAL|web", action: keep }
    - { source_labels: [team, cluster], separator: "", target_label: joined }
    - { source_labels: [team, missing, cluster], separator: "/", regex: "(.*)/(.*)", target_label: joined2, replacement: "${2}$$${1}$x" }
    - { source_labels: [host], regex: "(.*)", target_label: gone, replacement: "" }
    - { source_labels: [host], regex: "a(.*)?", target_label: kept_or_not, replacement: "$1" }
    - { source_labels: [host], regex: "(.+)", target_label: "${1}", replacement: nowhere }
    - { source_labels: [host], regex: "", target_label: hostless, replacement: "yes" }
    - { source_labels: [instance], modulus: 1000, target_label: shard, action: hashmod }
    - { source_labels: [alertname], target_label: left, action: dropequal }
    - { source_labels: [same1], target_label: same2, action: keepequal }
    - { regex: "__?meta_(.+)", replacement: "meta_$1", action: labelmap }
    - { regex: "map.*", replacement: one, action: labelmap }
    - { source_labels: [shout], target_label: loud, action: Uppercase }
    - { source_labels: [shout], target_label: quiet, action: lowercase }
    - { target_label: constant, replacement: "c" }
    - { source_labels: [lines], regex: "a.b", target_label: dot, replacement: "lf" }
    - { regex: "secret.*", action: labeldrop }
    - { regex: "alertname|a|cluster|team|joined2?|host|port_.*|gone|kept_or_not|hostless|shard|instance|right|left|same.|meta_.*|map.|one|loud|quiet|constant|yes|dot|lines|severity", action: labelkeep }
"#;

const RULES: &str = r#"
groups:
  - name: g
    rules:
      - { alert: Plain, expr: vector(1) }
      - { alert: Own, expr: vector(1), labels: { team: web, cluster: mine, instance: "a:9100", gone: "x", kept_or_not: "y" } }
      - { alert: Other, expr: vector(1), labels: { team: db } }
      - { alert: Quiet, expr: vector(1), labels: { severity: none } }
      - { alert: Host, expr: vector(1), labels: { instance: "web-1:80", secret_a: "1", unkept: "1", shout: "Straße Σ É" } }
      - { alert: Equal, expr: vector(1), labels: { left: "Equal" } }
      - { alert: Unequal, expr: vector(1), labels: { left: "Equal", right: "2" } }
      - { alert: Keep, expr: vector(1), labels: { same1: "1", same2: "2" } }
      - { alert: Same, expr: vector(1), labels: { same1: "1", same2: "1" } }
      - { alert: Map, expr: vector(1), labels: { _meta_a: "1", _meta_b: "2", mapb: "3", mapa: "4", mapc: "5" } }
      - { alert: Lines, expr: vector(1), labels: { lines: "a\nb" } }
      - { alert: Dot, expr: vector(1), labels: { lines: "a.b" } }
"#;

/// What it says of itself: its configuration as YAML, and its version.
async fn status(prometheus: &Prometheus) -> (String, Dialect) {
    let ask = |path: &str| {
        let url = format!("{}/api/v1/status/{path}", prometheus.url());
        async move {
            let client = homeostat::demo::stack::client();
            client.get(url).send().await.unwrap().json::<Value>().await.unwrap()
        }
    };
    let config = ask("config").await["data"]["yaml"].as_str().unwrap().to_owned();
    let version = ask("buildinfo").await["data"]["version"].as_str().unwrap().to_owned();
    (config, Dialect::of_version(&version).unwrap())
}

fn labels_of(alert: &homeostat::demo::stack::RuleAlert) -> LabelSet {
    LabelSet::from_pairs(&alert.labels)
}

#[tokio::test]
async fn what_a_prometheus_sends_is_what_its_configuration_says() {
    let (address, posted) = listener().await;
    let sandbox = Sandbox::new().unwrap();
    let prometheus = Prometheus::builder()
        .rules(RULES)
        .global(EXTERNAL)
        .alerting(&RELABEL.replace("ADDRESS", &address.to_string()))
        // What was sent before it knew of its Alertmanager is sent again.
        .argument("--rules.alert.resend-delay=1s")
        .start(sandbox.path())
        .await
        .unwrap();
    let instances = until("all alerts to fire", || async {
        let rules = prometheus.rules().await.unwrap();
        let all: Vec<LabelSet> = rules.iter().flat_map(|r| &r.alerts).map(labels_of).collect();
        (all.len() == 12).then_some(all)
    })
    .await;
    let (config, dialect) = status(&prometheus).await;
    let wire = relabelling::read(&config, dialect).unwrap();
    let expected: BTreeSet<LabelSet> = instances.iter().filter_map(|own| wire.send(own)).collect();
    assert_eq!(expected.len(), 8, "four are dropped: {expected:#?}");
    // The last rule of the group is sent last.
    until("the last alert", || async {
        let posted = posted.lock().unwrap();
        let last = |labels: &LabelSet| labels.get("alertname") == Some("Dot");
        posted.iter().any(last).then_some(())
    })
    .await;
    assert_eq!(*posted.lock().unwrap(), expected);
    let all: BTreeSet<LabelSet> = instances.iter().flat_map(|own| wire.send_all(own)).collect();
    assert_eq!(all, expected);
}
