//! The harness of the demo and of the acceptance tests, on the real programs.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::{get, post};
use homeostat::demo::stack::{self, Alertmanager, Cluster, Prometheus, Sandbox, Timings};
use serde_json::Value;
use tokio::sync::mpsc;

const RULES: &str = r#"
groups:
  - name: web
    rules:
      - alert: ServiceDown
        expr: up{job="web"} == 0
        for: 0s
        labels: { selfhealing: "true" }
        annotations: { summary: "{{ $labels.instance }} is down" }
"#;

const PATIENCE: Duration = Duration::from_secs(30);

fn runs(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// A server that is up as far as a scrape can see, and one that hands on the bodies it is sent.
async fn serve(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn receiver() -> (SocketAddr, mpsc::UnboundedReceiver<Value>) {
    let (sender, bodies) = mpsc::unbounded_channel();
    let hook = move |body: String| {
        sender.send(serde_json::from_str(&body).unwrap()).unwrap();
        async {}
    };
    (serve(Router::new().route("/hooks", post(hook))).await, bodies)
}

#[tokio::test]
async fn a_scrape_becomes_an_alert_and_the_alert_a_webhook() {
    let up = serve(Router::new().route("/metrics", get(|| async { "" }))).await;
    let down = stack::free_address().unwrap();
    let (hook, mut bodies) = receiver().await;

    let sandbox = Sandbox::new().unwrap();
    let mut alertmanager = Alertmanager::builder()
        .webhook(&format!("http://{hook}/hooks"))
        .timings(Timings::QUICK)
        .start(sandbox.path())
        .await
        .unwrap();
    let mut prometheus = Prometheus::builder()
        .rules(RULES)
        .scrape("web", "a", up)
        .scrape("web", "b", down)
        .alertmanager(alertmanager.address())
        .start(sandbox.path())
        .await
        .unwrap();

    let body = tokio::time::timeout(PATIENCE, bodies.recv()).await.unwrap().unwrap();
    assert_eq!(body["version"], "4");
    assert_eq!(body["receiver"], "my-receiver");
    assert_eq!(body["status"], "firing");
    assert_eq!(body["groupLabels"], serde_json::json!({ "alertname": "ServiceDown" }));
    assert_eq!(body["alerts"].as_array().unwrap().len(), 1);
    assert_eq!(body["alerts"][0]["labels"]["instance"], "b");
    assert_eq!(body["alerts"][0]["labels"]["job"], "web");
    assert_eq!(body["alerts"][0]["annotations"]["summary"], "b is down");

    // The scrapes of an interval are spread over it: b may be scraped, and missed, before a.
    let deadline = Instant::now() + PATIENCE;
    while prometheus.query(r#"up{job="web", instance="a"} == 1"#).await.unwrap().len() != 1 {
        assert!(Instant::now() < deadline, "a is never scraped");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let rule = prometheus.rules().await.unwrap().remove(0);
    assert_eq!((rule.name.as_str(), rule.health.as_str()), ("ServiceDown", "ok"));
    assert_eq!((rule.alerts[0].label("instance"), rule.alerts[0].state.as_str()), ("b", "firing"));
    assert!(rule.alerts[0].active_at <= rule.last_evaluation);
    let listed = alertmanager.alerts().await.unwrap();
    assert_eq!(listed[0].label("instance"), "b");
    assert_eq!(body["alerts"][0]["fingerprint"], listed[0].fingerprint.as_str());

    let pids = [alertmanager.process().pid(), prometheus.process().pid()];
    assert!(pids.iter().all(|&pid| runs(pid)));
    assert_eq!(sandbox.leftovers().len(), 2);
    drop((alertmanager, prometheus));
    assert!(!pids.iter().any(|&pid| runs(pid)));
    assert_eq!(sandbox.leftovers(), [0; 0]);
}

#[tokio::test]
async fn an_alertmanager_can_be_fired_at_and_started_again() {
    let sandbox = Sandbox::new().unwrap();
    let mut alertmanager = Alertmanager::builder().start(sandbox.path()).await.unwrap();
    let labels = [("alertname", "ServiceDown"), ("instance", "a")];

    alertmanager.fire(&labels).await.unwrap();
    assert_eq!(alertmanager.alerts().await.unwrap()[0].label("instance"), "a");
    alertmanager.resolve(&labels).await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    while !alertmanager.alerts().await.unwrap().is_empty() {
        assert!(Instant::now() < deadline, "a resolved alert is still listed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    let (before, address) = (alertmanager.process().pid(), alertmanager.address());
    alertmanager.restart().await.unwrap();
    assert_ne!(alertmanager.process().pid(), before);
    assert_eq!(alertmanager.address(), address);
    assert!(!runs(before));
}

#[tokio::test]
async fn two_alertmanagers_make_a_cluster() {
    let sandbox = Sandbox::new().unwrap();
    let gossip = [stack::free_address().unwrap(), stack::free_address().unwrap()];
    let mut peers = Vec::new();
    for (name, listen) in ["one", "two"].into_iter().zip(gossip) {
        let builder = Alertmanager::builder().name(name);
        let cluster = Cluster { listen, peers: gossip.to_vec() };
        peers.push(builder.cluster(cluster).start(sandbox.path()).await.unwrap());
    }
    let deadline = Instant::now() + PATIENCE;
    for peer in &peers {
        let status = format!("{}/api/v2/status", peer.url());
        loop {
            let answer = stack::client().get(&status).send().await.unwrap();
            let status: Value = answer.json().await.unwrap();
            if status["cluster"]["peers"].as_array().is_some_and(|peers| peers.len() == 2) {
                break;
            }
            assert!(Instant::now() < deadline, "no cluster: {status}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test]
async fn a_configuration_that_is_refused_shows_why() {
    let sandbox = Sandbox::new().unwrap();
    let error = Alertmanager::builder()
        .configuration("route: { receiver: nobody }")
        .start(sandbox.path())
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("alertmanager ended by itself") && error.contains("nobody"), "{error}");
}
