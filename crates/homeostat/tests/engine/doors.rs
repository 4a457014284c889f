//! What the doors answer, and what a real Alertmanager makes of it.

use std::time::Duration;

use crate::support::proxy::Proxy;
use crate::support::{Engine, notification, policy, ran, resolution, until};
use homeostat::demo::stack::{Alertmanager, Sandbox, Timings};
use reqwest::Method;

const A: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "a:80")];

/// Groups are told again after a second, and unchanged ones after an hour.
const ONCE: Timings = Timings { repeat_interval: Duration::from_hours(1), ..Timings::QUICK };

#[tokio::test]
async fn no_path_and_no_method_is_ever_redirected() {
    let sandbox = Sandbox::new().unwrap();
    let engine = Engine::start(&sandbox, "", &[]).await;
    let paths = [
        "/",
        "//",
        "/hooks",
        "/hooks/",
        "/hooks//",
        "//hooks",
        "/hooks/main",
        "/hooks/main/",
        "/hooks/main//",
        "/hooks/a/b",
        "/Hooks",
        "/hooks?x=1",
        "/hooks/%2e%2e/x",
        "/api",
        "/api/v2/alerts",
        "/api/v2/alerts/",
        "/api/v2/alerts//",
        "/api/v1/alerts",
        "/-/ready/",
        "/metrics/",
        "/api/v1/incidents/",
        "/nowhere",
    ];
    for path in paths {
        for method in [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::OPTIONS] {
            let request = engine.client().request(method.clone(), engine.url(path));
            let status = request.send().await.unwrap().status();
            assert!(!status.is_redirection(), "{method} {path}: {status}");
            assert_ne!(status, 429, "{method} {path}");
            if method == Method::GET && path.starts_with("/hooks") && !path.contains("//") {
                let is_hook = !["/hooks/a/b", "/hooks/%2e%2e/x"].contains(&path);
                assert_eq!(status, if is_hook { 405 } else { 404 }, "{path}");
            }
        }
    }
    for path in ["/hooks", "/hooks/", "/hooks/main", "/hooks/main/"] {
        assert_eq!(engine.post(path, notification(&[A])).await, 200, "{path}");
    }
    assert_eq!(engine.post("/hooks/main/extra", notification(&[A])).await, 404);
}

#[tokio::test]
async fn garbage_is_counted_and_a_real_alertmanager_does_not_send_it_again() {
    let sandbox = Sandbox::new().unwrap();
    let config = policy(sandbox.path(), "", "");
    let engine = Engine::start(&sandbox, &config, &[]).await;
    let proxy = Proxy::start(engine.url("/hooks"), |body| body[..body.len() / 2].to_owned()).await;
    let alertmanager = Alertmanager::builder()
        .webhook(&proxy.url)
        .timings(ONCE)
        .start(sandbox.path())
        .await
        .unwrap();
    alertmanager.fire(A).await.unwrap();
    let quarantined = "homeostat_notifications_received_total{source=\"alertmanager\",\
                       result=\"quarantined\"}";
    until("a quarantined notification", || async { engine.metric(quarantined).await }).await;
    // A second alert of the group is told a group interval later, so that one has passed.
    alertmanager.fire(&[("alertname", "Down"), ("instance", "b:80")]).await.unwrap();
    until("the next notification of the group", || async {
        (proxy.seen().answers.len() >= 2).then_some(())
    })
    .await;
    assert_eq!(proxy.seen().answers, [200, 200], "the first was not sent again");
    assert_eq!(engine.metric(quarantined).await, Some(2.0));
    assert!(engine.log().contains("notification quarantined"), "{}", engine.log());
    assert!(engine.incidents().await.is_empty() && ran(sandbox.path()).is_empty());
}

#[tokio::test]
async fn of_alerts_that_come_in_a_crowd_the_log_has_one_line() {
    let sandbox = Sandbox::new().unwrap();
    let engine = Engine::start(&sandbox, "", &[]).await;
    let names: Vec<String> = (0..50).map(|number| format!("{number}:80")).collect();
    let labels = names.iter().map(|name| [("alertname", "Down"), ("instance", name.as_str())]);
    let labels: Vec<_> = labels.collect();
    let alerts: Vec<&[(&str, &str)]> = labels.iter().map(|labels| &labels[..]).collect();
    assert_eq!(engine.post("/hooks", notification(&alerts)).await, 200);
    until("all are recorded", || async {
        let all = engine.incidents().await;
        (all.len() == 50 && all.iter().all(|one| one["state"] == "closed")).then_some(())
    })
    .await;
    let log = engine.whole_log();
    let lines = |text: &str| log.lines().filter(|line| line.contains(text)).count();
    assert_eq!(lines("fire=50 resolved=0 opened=50"), 1, "{log}");
    for one in ["alert fires", "incident opened", "incident closed"] {
        assert_eq!(lines(one), 0, "{log}");
    }
}

#[tokio::test]
async fn firing_resolved_stale_firing_resolved_is_one_action() {
    let sandbox = Sandbox::new().unwrap();
    let config = policy(sandbox.path(), "", "");
    let engine = Engine::start(&sandbox, &config, &[]).await;
    engine.post("/hooks", notification(&[A])).await;
    engine.incident_in("verifying").await;
    engine.post("/hooks", resolution(&[A])).await;
    engine.incident_in("closed").await;
    // What another peer of the cluster sends late.
    assert_eq!(engine.post("/hooks", notification(&[A])).await, 200);
    assert_eq!(engine.post("/hooks", resolution(&[A])).await, 200);
    let incident = engine.incident_in("closed").await;
    assert_eq!(incident["outcome"], "healed");
    // How many there are is counted now and then.
    until("that no alert is active", || async {
        (engine.json("/api/v1/status").await["alerts_active"] == 0).then_some(())
    })
    .await;
    assert_eq!(ran(sandbox.path()), ["1.first.1"]);
}
