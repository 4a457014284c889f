//! Who sends, and what they are told: strangers, senders by another URL, and those who are refused.

use crate::support::{Engine, until};
use homeostat::demo::stack::{Alertmanager, Sandbox, Timings};
use serde_json::json;

const A: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "a:80")];

const SOURCES: &str = "sources:
  alertmanagers: [{ name: main, urls: [\"http://am.example:9093/\"] }]
  webhooks: [{ name: grafana }]
";

fn body(external_url: &str) -> String {
    let alert = json!({ "status": "firing", "labels": { "alertname": "Down" } });
    json!({ "alerts": [alert], "externalURL": external_url }).to_string()
}

fn count(engine: &Engine, text: &str) -> usize {
    engine.whole_log().matches(text).count()
}

#[tokio::test]
async fn a_hook_that_nobody_has_named_is_taken_in_and_told_once() {
    let sandbox = Sandbox::new().unwrap();
    let engine = Engine::start(&sandbox, SOURCES, &["--reconcile.every=1h"]).await;
    for path in ["/hooks", "/hooks/main", "/hooks/grafana", "/hooks/new", "/hooks/new"] {
        assert_eq!(engine.post(path, body("")).await, 200, "{path}");
    }
    let incident = engine.incidents().await.remove(0);
    let alerts = incident["alerts"].as_array().unwrap();
    let sources: Vec<_> = alerts.iter().map(|alert| alert["source"].as_str().unwrap()).collect();
    assert_eq!(sources, ["main", "grafana", "new"]);
    let told = "a hook has a name that `sources` does not have";
    assert_eq!(count(&engine, told), 1, "{}", engine.whole_log());
    assert_eq!(count(&engine, "sources.webhooks: [{name: new}]"), 1, "{}", engine.whole_log());
    // A name that is none shares a source, and is told how to get one.
    for path in ["/hooks/a%20b", "/hooks/c%20d"] {
        assert_eq!(engine.post(path, body("")).await, 200, "{path}");
    }
    assert_eq!(count(&engine, "post to /hooks/NAME"), 1, "{}", engine.whole_log());
    // Once it is named it is nobody's riddle any more.
    let named = SOURCES.replace("name: grafana", "name: other-one");
    std::fs::write(engine.directory.join("homeostat.yml"), named).unwrap();
    assert_eq!(engine.post("/-/reload", "").await, 200);
    assert_eq!(engine.post("/hooks/other-one", body("")).await, 200);
    assert_eq!(engine.post("/hooks/grafana", body("")).await, 200);
    assert_eq!(count(&engine, "sources.webhooks: [{name: grafana}]"), 1, "{}", engine.whole_log());
    assert_eq!(count(&engine, "[{name: other-one}]"), 0, "{}", engine.whole_log());
}

#[tokio::test]
async fn where_nobody_is_named_nobody_is_a_stranger() {
    let sandbox = Sandbox::new().unwrap();
    let engine = Engine::start(&sandbox, "", &[]).await;
    assert_eq!(engine.post("/hooks/new", body("http://any")).await, 200);
    assert_eq!(count(&engine, "WARN") + count(&engine, "level=warn"), 0, "{}", engine.whole_log());
}

#[tokio::test]
async fn a_sender_by_another_url_is_told_once() {
    let sandbox = Sandbox::new().unwrap();
    let engine = Engine::start(&sandbox, SOURCES, &["--reconcile.every=1h"]).await;
    let told = "a sender calls itself by a URL";
    for (path, url, in_all) in [
        ("/hooks/main", "http://am.example:9093", 0),
        ("/hooks/main", "", 0),
        ("/hooks/grafana", "http://grafana.example/", 0),
        ("/hooks/main", "http://other.example:9093", 1),
        ("/hooks", "http://other.example:9093", 1),
        ("/hooks", "http://third.example:9093", 2),
    ] {
        assert_eq!(engine.post(path, body(url)).await, 200, "{path} {url}");
        assert_eq!(count(&engine, told), in_all, "{path} {url}: {}", engine.whole_log());
    }
}

/// Each of the paths that people write for a webhook, by an Alertmanager that means it.
#[tokio::test]
async fn an_alertmanager_with_a_wrong_url_is_told_the_right_one() {
    for (path, reason) in [
        ("/", "wrong_method"),
        ("/hook", "unknown_path"),
        ("/webhook", "unknown_path"),
        ("/api/v1/webhook", "unknown_path"),
    ] {
        let sandbox = Sandbox::new().unwrap();
        let engine = Engine::start(&sandbox, "", &[]).await;
        let builder = Alertmanager::builder().webhook(&engine.url(path)).timings(Timings::QUICK);
        let alertmanager = builder.start(sandbox.path()).await.unwrap();
        alertmanager.fire(A).await.unwrap();
        let counter = format!("homeostat_http_refusals_total{{reason=\"{reason}\"}}");
        until("two refusals", || async { engine.metric(&counter).await.filter(|n| *n >= 2.0) })
            .await;
        let way = "webhooks go to /hooks or /hooks/NAME";
        assert_eq!(count(&engine, way), 1, "{path}: {}", engine.whole_log());
        assert!(engine.whole_log().contains("Alertmanager/"), "{path}: {}", engine.whole_log());
    }
}

#[tokio::test]
async fn a_host_that_is_not_listed_is_told_the_flag() {
    let sandbox = Sandbox::new().unwrap();
    let engine = Engine::start(&sandbox, "", &[]).await;
    for _ in 0..3 {
        let request = engine.client().post(engine.url("/hooks")).header("Host", "heal.svc:9999");
        assert_eq!(request.body(body("")).send().await.unwrap().status(), 403);
    }
    assert_eq!(count(&engine, "--web.allowed-host=heal.svc:9999"), 1, "{}", engine.whole_log());
    let counter = "homeostat_http_refusals_total{reason=\"unlisted_host\"}";
    assert_eq!(engine.metric(counter).await, Some(3.0));
}
