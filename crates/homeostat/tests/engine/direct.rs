//! Prometheus sends its alerts to the engine itself, without an Alertmanager between them.

#![expect(clippy::print_stdout, reason = "a measurement is shown to whoever runs it")]

use std::net::SocketAddr;

use crate::support::{Engine, policy, ran, until};
use axum::Router;
use axum::routing::get;
use homeostat::demo::stack::{self, Alertmanager, Prometheus, Sandbox, Timings};

const RULES: &str = r#"
groups:
  - name: web
    rules:
      - alert: Down
        expr: up{job="web"} == 0
        labels: { selfhealing: "true" }
"#;

/// A service that a scrape can see, from now on.
async fn serve(address: SocketAddr) {
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let router = Router::new().route("/metrics", get(|| async { "" }));
    tokio::spawn(async move { axum::serve(listener, router).await });
}

fn sources(prometheus: SocketAddr) -> String {
    format!("sources: {{ prometheuses: [{{ name: main, url: \"http://{prometheus}\" }}] }}\n")
}

#[tokio::test]
async fn one_trouble_is_healed_once_and_its_end_is_told_by_a_past_end() {
    let sandbox = Sandbox::new().unwrap();
    let (service, address) = (stack::free_address().unwrap(), stack::free_address().unwrap());
    let token = sandbox.path().join("token");
    std::fs::write(&token, "letmein\n").unwrap();
    let shown = format!("--web.bearer-token-file={}", token.display());
    let config = format!("{}{}", sources(address), policy(sandbox.path(), "", ""));
    let flags = ["--web.route-prefix=/homeostat", &shown];
    let engine = Engine::start(&sandbox, &config, &flags).await;
    let alerting = format!(
        "alerting:\n  alert_relabel_configs: [{{ regex: replica, action: labeldrop }}]\n  \
         alertmanagers:\n    - path_prefix: /homeostat\n      \
         authorization: {{ credentials_file: {} }}\n      \
         static_configs: [{{ targets: [\"{}\"] }}]\n",
        token.display(),
        engine.address
    );
    let _prometheus = Prometheus::builder()
        .listen(address)
        .rules(RULES)
        .scrape("web", "a:80", service)
        .global("  external_labels: { region: eu, replica: one }\n")
        .alerting(&alerting)
        .argument("--rules.alert.resend-delay=1s")
        .start(sandbox.path())
        .await
        .unwrap();
    until("the action", || async { (!ran(sandbox.path()).is_empty()).then_some(()) }).await;
    serve(service).await;
    let incident = engine.incident_in("closed").await;
    assert_eq!((&incident["outcome"], &incident["grade"]), (&"healed".into(), &"confirmed".into()));
    let alert = &incident["alerts"][0];
    assert_eq!((&alert["source"], &alert["labels"]["region"]), (&"api".into(), &"eu".into()));
    assert_eq!(alert["labels"]["replica"], serde_json::Value::Null);
    // Prometheus says it again and again: it is over.
    let resolved = "homeostat_alerts_received_total{source=\"api\",status=\"resolved\"}";
    until("five words that it is over", || async {
        engine.metric(resolved).await.filter(|count| *count >= 5.0)
    })
    .await;
    let incident = engine.incident_in("closed").await;
    assert_eq!(incident["alerts"][0]["status"], "resolved");
    assert_eq!(ran(sandbox.path()), ["1.first.1"]);
    let anonymous = stack::client().get(engine.url("/api/v1/status")).send().await.unwrap();
    assert_eq!(anonymous.status(), 401);
}

#[tokio::test]
async fn an_end_that_nobody_heard_of_is_found_by_the_rule() {
    let sandbox = Sandbox::new().unwrap();
    let (service, address) = (stack::free_address().unwrap(), stack::free_address().unwrap());
    let config = format!("{}{}", sources(address), policy(sandbox.path(), "", "    for: 1h"));
    let mut engine = Engine::start(&sandbox, &config, &["--reconcile.every=300ms"]).await;
    let prometheus = Prometheus::builder()
        .listen(address)
        .rules(RULES)
        .scrape("web", "a:80", service)
        .global("  external_labels: { region: eu }\n")
        .alertmanager(engine.address)
        // What is lost is not said again while this test runs.
        .argument("--rules.alert.resend-delay=1h")
        .start(sandbox.path())
        .await
        .unwrap();
    engine.incident_in("waiting").await;
    // Only who saw it fire may say that it is over.
    until("who sees it fire", || async {
        let incident = engine.incidents().await.pop()?;
        let timeline = incident["timeline"].as_array()?;
        timeline.iter().any(|entry| entry["kind"] == "episode_sighted").then_some(())
    })
    .await;
    engine.kill();
    serve(service).await;
    until("a rule that finds nothing", || async {
        let rules = prometheus.rules().await.ok()?;
        rules[0].alerts.is_empty().then_some(())
    })
    .await;
    engine.restart().await;
    let incident = engine.incident_in("closed").await;
    assert_eq!(incident["outcome"], "recovered", "{incident:#}");
    assert_eq!(incident["alerts"][0]["status"], "resolved");
}

/// Prints the seconds between the moment at which the engine hears of an alert from Prometheus, and
/// the one at which it hears of it by an Alertmanager with the timings of the mission.
#[tokio::test]
async fn direct_is_sooner_by_the_wait_of_a_group() {
    let sandbox = Sandbox::new().unwrap();
    let service = stack::free_address().unwrap();
    let engine = Engine::start(&sandbox, &policy(sandbox.path(), "", "    for: 1h"), &[]).await;
    let builder = Alertmanager::builder().webhook(&engine.url("/hooks/main"));
    let alertmanager = builder.timings(Timings::MISSION).start(sandbox.path()).await.unwrap();
    let _prometheus = Prometheus::builder()
        .rules(RULES)
        .scrape("web", "a:80", service)
        .alertmanager(alertmanager.address())
        .alertmanager(engine.address)
        .start(sandbox.path())
        .await
        .unwrap();
    let (direct, by_alertmanager) = until("both ways", || async {
        let incident = engine.incidents().await.pop()?;
        let at =
            |text: &serde_json::Value| text.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        let timeline = incident["timeline"].as_array()?;
        let attached = |entry: &&serde_json::Value| {
            entry["text"].as_str().unwrap().contains("belongs to this trouble")
        };
        Some((at(&incident["opened_at"]), at(&timeline.iter().find(attached)?["at"])))
    })
    .await;
    let saved = by_alertmanager.duration_since(direct).as_secs_f64();
    println!("direct is {saved:.1} s sooner than by an Alertmanager with a group_wait of 10 s");
    assert!((9.0..20.0).contains(&saved), "{saved}");
}
