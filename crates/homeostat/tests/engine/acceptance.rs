//! What the README promises, shown on a real engine process and, where it says so, with a real
//! Prometheus and Alertmanager.

use std::time::Duration;

use crate::support::{Engine, notification, policy, ran, resolution, until};
use homeostat::demo::stack::{Alertmanager, Prometheus, Sandbox, Signal, Timings};
use reqwest::Method;
use serde_json::Value;

const A: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "a:80")];

/// Verification that ends soon, so that the test does.
const SOON: &str = "    verify: { within: 2s, every: 1s, times: 1 }";

fn kinds(incident: &Value) -> Vec<String> {
    let timeline = incident["timeline"].as_array().unwrap();
    timeline.iter().map(|entry| entry["kind"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_alert_that_alertmanager_repeats_is_one_incident_and_one_order() {
    let sandbox = Sandbox::new().unwrap();
    let config = policy(sandbox.path(), "", "");
    let engine = Engine::start(&sandbox, &config, &[]).await;
    let alertmanager = Alertmanager::builder()
        .webhook(&engine.url("/hooks"))
        .timings(Timings::QUICK)
        .start(sandbox.path())
        .await
        .unwrap();
    alertmanager.fire(A).await.unwrap();
    let received = "homeostat_notifications_received_total{source=\"alertmanager\",\
                    result=\"accepted\"}";
    until("twelve notifications", || async {
        engine.metric(received).await.filter(|count| *count >= 12.0)
    })
    .await;
    assert_eq!(ran(sandbox.path()), ["1.first.1"]);
    let incidents = engine.incidents().await;
    assert_eq!(incidents.len(), 1);
    let listed = alertmanager.alerts().await.unwrap();
    assert_eq!(incidents[0]["alerts"][0]["fingerprint"], listed[0].fingerprint.as_str());
}

#[tokio::test]
async fn fifty_identical_posts_at_once_are_one_order() {
    let sandbox = Sandbox::new().unwrap();
    let config = policy(sandbox.path(), "", "");
    let engine = Engine::start(&sandbox, &config, &[]).await;
    let posts = (0..50).map(|_| {
        let request = engine.client().post(engine.url("/hooks")).body(notification(&[A]));
        tokio::spawn(request.send())
    });
    for post in posts.collect::<Vec<_>>() {
        assert_eq!(post.await.unwrap().unwrap().status(), 200);
    }
    engine.incident_in("verifying").await;
    assert_eq!(ran(sandbox.path()), ["1.first.1"]);
}

#[tokio::test]
async fn with_nothing_but_webhooks_a_success_does_not_lead_to_the_next_remedy() {
    let sandbox = Sandbox::new().unwrap();
    let config = policy(sandbox.path(), "", SOON);
    let engine = Engine::start(&sandbox, &config, &[]).await;
    engine.post("/hooks", notification(&[A])).await;
    let incident = until("an end", || async {
        engine.post("/hooks", notification(&[A])).await;
        engine.incidents().await.into_iter().find(|incident| incident["state"] == "closed")
    })
    .await;
    assert_eq!(incident["outcome"], "escalated");
    assert!(incident["reason"].as_str().unwrap().contains("unknown"), "{incident:#}");
    assert_eq!(ran(sandbox.path()), ["1.first.1"]);
}

#[tokio::test]
async fn resolved_by_its_source_is_healed() {
    let sandbox = Sandbox::new().unwrap();
    let config = policy(sandbox.path(), "", "");
    let engine = Engine::start(&sandbox, &config, &[]).await;
    engine.post("/hooks/main", notification(&[A])).await;
    engine.incident_in("verifying").await;
    engine.post("/hooks/main", resolution(&[A])).await;
    let incident = engine.incident_in("closed").await;
    assert_eq!((&incident["outcome"], &incident["grade"]), (&"healed".into(), &"reported".into()));
}

#[tokio::test]
async fn killed_before_the_action_it_runs_once_after_the_restart() {
    let sandbox = Sandbox::new().unwrap();
    let config = policy(sandbox.path(), "", "    for: 1s");
    let mut engine = Engine::start(&sandbox, &config, &[]).await;
    let alertmanager = Alertmanager::builder()
        .webhook(&engine.url("/hooks"))
        .timings(Timings::QUICK)
        .start(sandbox.path())
        .await
        .unwrap();
    alertmanager.fire(A).await.unwrap();
    engine.incident_in("waiting").await;
    engine.kill();
    assert!(ran(sandbox.path()).is_empty());
    engine.restart().await;
    let incident = engine.incident_in("verifying").await;
    assert_eq!(incident["id"], "1", "the incident that was accepted before the kill");
    assert_eq!(ran(sandbox.path()), ["1.first.1"]);
}

#[tokio::test]
async fn killed_while_the_action_runs_it_goes_on_and_its_end_is_known_and_verified() {
    let sandbox = Sandbox::new().unwrap();
    let config = policy(sandbox.path(), "sleep 3; echo finished", SOON);
    let mut engine = Engine::start(&sandbox, &config, &[]).await;
    engine.post("/hooks", notification(&[A])).await;
    until("the action", || async { (!ran(sandbox.path()).is_empty()).then_some(()) }).await;
    engine.kill();
    engine.restart().await;
    let incident = until("an end", || async {
        engine.post("/hooks", notification(&[A])).await;
        engine.incidents().await.into_iter().find(|incident| incident["state"] == "closed")
    })
    .await;
    let order = &incident["orders"][0];
    assert_eq!((&order["result"], &order["exit_code"]), (&"succeeded".into(), &0.into()));
    assert_eq!(order["output"], "finished\n", "{incident:#}");
    assert!(kinds(&incident).contains(&"verification_began".to_owned()));
    assert_eq!(incident["outcome"], "escalated", "nothing but webhooks: unknown, a person has it");
    assert_eq!(ran(sandbox.path()), ["1.first.1"]);
}

#[tokio::test]
async fn killed_at_any_moment_nothing_runs_twice_and_nothing_is_lost() {
    let sandbox = Sandbox::new().unwrap();
    let config = policy(sandbox.path(), "", SOON);
    let mut engine = Engine::start(&sandbox, &config, &[]).await;
    for round in 0..12_u64 {
        let instance = format!("host-{round}");
        let alert: &[(&str, &str)] = &[("alertname", "Down"), ("instance", &instance)];
        assert_eq!(engine.post("/hooks", notification(&[alert])).await, 200);
        // Not to wait for something, but to strike at another moment each time.
        tokio::time::sleep(Duration::from_micros(round * round * 150)).await;
        engine.kill();
        engine.restart().await;
        let accepted = engine.incidents().await;
        let known = accepted.iter().any(|incident| incident["target"]["instance"] == instance);
        assert!(known, "the alert of round {round} was answered 200 and is lost");
    }
    until("an end of each", || async {
        let incidents = engine.incidents().await;
        for incident in &incidents {
            let instance = incident["target"]["instance"].as_str().unwrap();
            let alert: &[(&str, &str)] = &[("alertname", "Down"), ("instance", instance)];
            engine.post("/hooks", notification(&[alert])).await;
        }
        let unfinished = ["acting", "verifying"];
        let ended = incidents.iter().all(|i| !unfinished.contains(&i["state"].as_str().unwrap()));
        ended.then_some(())
    })
    .await;
    let mut runs = ran(sandbox.path());
    let before = runs.len();
    runs.sort();
    runs.dedup();
    assert_eq!(runs.len(), before, "an order ran twice: {runs:?}");
    assert!(before > 0, "nothing ran at all");
}

#[tokio::test]
async fn hostile_labels_never_break_out_and_never_stop_other_alerts() {
    let sandbox = Sandbox::new().unwrap();
    let out = sandbox.path().join("out");
    let config = format!(
        r#"
policies:
  - name: web
    matchers: ['alertname="Down"']
    target: [instance]
    mode: auto
    escalate: none
    guard: {{ rate: {{ max: 100, per: 1h }}, concurrency: 50 }}
    remedies:
      - name: write
        exec: [/bin/sh, -c, 'printf "%s" "$1" > {out}/$HOMEOSTAT_INCIDENT', sh, "{{{{ labels.instance }}}}"]
"#,
        out = out.display()
    );
    std::fs::create_dir(&out).unwrap();
    let engine = Engine::start(&sandbox, &config, &[]).await;
    let long = "x".repeat(200 * 1024);
    let harmless = ["\"';$(touch pwned)`touch pwned`", "a\nb", "$HOME", "{{ labels.x }}", "%s%n"];
    let refused = ["-rf", "a\0b", &long];
    for instance in harmless.iter().chain(&refused).chain(&["last"]) {
        let alert: &[(&str, &str)] = &[("alertname", "Down"), ("instance", instance)];
        assert_eq!(engine.post("/hooks", notification(&[alert])).await, 200);
    }
    until("all orders", || async {
        let incidents = engine.incidents().await;
        incidents.iter().all(|i| i["state"] == "verifying" || i["state"] == "closed").then_some(())
    })
    .await;
    for incident in engine.incidents().await {
        let instance = incident["target"]["instance"].as_str().unwrap();
        let written = std::fs::read_to_string(out.join(incident["id"].as_str().unwrap())).ok();
        if refused.contains(&instance) {
            assert_eq!(incident["outcome"], "escalated", "{instance:.20}");
            assert_eq!(written, None, "{instance:.20}");
        } else {
            assert_eq!(written.as_deref(), Some(instance));
        }
    }
    assert_eq!(engine.incidents().await.len(), 9);
    assert!(!sandbox.path().join("engine/pwned").exists());
}

#[tokio::test]
async fn the_doors_answer_as_their_senders_need_it() {
    let sandbox = Sandbox::new().unwrap();
    let engine = Engine::start(&sandbox, "", &[]).await;
    for path in ["/hooks", "/hooks/", "/hooks/other", "/api/v2/alerts", "/api/v1/alerts"] {
        for method in [Method::GET, Method::DELETE] {
            let request = engine.client().request(method.clone(), engine.url(path));
            // Where alerts come in by our own API, what fires is read, too.
            let is_read = (method, path) == (Method::GET, "/api/v1/alerts");
            let expected = if is_read { 200 } else { 405 };
            assert_eq!(request.send().await.unwrap().status(), expected, "{path}");
        }
    }
    assert_eq!(
        engine.client().put(engine.url("/hooks")).body("{}").send().await.unwrap().status(),
        200
    );
    for garbage in ["", "{", "[]", "null", "\u{0}", "{\"alerts\": 3}"] {
        assert_eq!(engine.post("/hooks", garbage).await, 200, "garbage is quarantined");
    }
    for garbage in ["", "{", "{}", "3", "\u{0}", "[{\"labels\": 3}]", "[{\"labels\": {}}]"] {
        assert_eq!(engine.post("/api/v2/alerts", garbage).await, 400, "{garbage}");
    }
    assert_eq!(engine.post("/nowhere", "").await, 404);
    let foreign = engine.client().post(engine.url("/hooks")).header("origin", "http://evil");
    assert_eq!(foreign.body(notification(&[A])).send().await.unwrap().status(), 403);
    let foreign = engine.client().get(engine.url("/api/v1/status")).header("host", "evil.example");
    assert_eq!(foreign.send().await.unwrap().status(), 403);
    assert!(engine.incidents().await.is_empty());
}

#[tokio::test]
async fn a_bad_reload_keeps_the_old_configuration() {
    let sandbox = Sandbox::new().unwrap();
    let config = policy(sandbox.path(), "", "");
    let engine = Engine::start(&sandbox, &config, &[]).await;
    let file = engine.directory.join("homeostat.yml");
    std::fs::write(&file, config.replace("mode: auto", "mode: automatic")).unwrap();
    let answer = engine.client().post(engine.url("/-/reload")).send().await.unwrap();
    assert_eq!(answer.status(), 500);
    assert!(answer.text().await.unwrap().contains("homeostat.yml:6:"), "the place is named");
    assert_eq!(engine.metric("homeostat_config_last_reload_successful").await, Some(0.0));
    engine.post("/hooks", notification(&[A])).await;
    engine.incident_in("verifying").await;

    std::fs::write(&file, config.replace("Down", "Else")).unwrap();
    assert_eq!(engine.post("/-/reload", "").await, 200);
    assert_eq!(engine.metric("homeostat_config_last_reload_successful").await, Some(1.0));
    let policies = engine.json("/api/v1/policies").await;
    assert!(policies.to_string().contains("Else"), "{policies}");
}

#[tokio::test]
async fn a_reload_is_of_all_files_or_of_none() {
    let sandbox = Sandbox::new().unwrap();
    let teams = sandbox.path().join("engine/teams");
    std::fs::create_dir_all(&teams).unwrap();
    let policy = |name: &str| {
        format!(
            "policies: [{{ name: {name}, matchers: [a=b], mode: shadow, remedies: [], continue: true }}]"
        )
    };
    let write = |file: &str, text: &str| std::fs::write(teams.join(file), text).unwrap();
    write("web.yml", &policy("web"));
    let more = sandbox.write("more.yml", &policy("more")).unwrap();
    let more = format!("--config.file={}", more.display());
    let main = format!("include: ['teams/*.yml']\n{}", policy("main"));
    let engine = Engine::start(&sandbox, &main, &[&more]).await;
    let names = || async {
        let list = engine.json("/api/v1/policies").await;
        let names = list["policies"].as_array().unwrap().iter();
        names.map(|policy| policy["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names().await, ["main", "web", "more"]);

    write("db.yml", &policy("db"));
    write("web.yml", &policy("more"));
    let answer = engine.client().post(engine.url("/-/reload")).send().await.unwrap();
    assert_eq!(answer.status(), 500);
    let said = answer.text().await.unwrap();
    assert!(said.contains("more.yml:1:20") && said.contains("teams/web.yml:1:20"), "{said}");
    assert_eq!(names().await, ["main", "web", "more"], "nothing of it is in force");

    write("web.yml", &policy("web"));
    assert_eq!(engine.post("/-/reload", "").await, 200);
    assert_eq!(names().await, ["main", "db", "web", "more"], "a new file is found");
}

#[tokio::test]
async fn a_second_engine_on_the_same_directory_is_refused() {
    let sandbox = Sandbox::new().unwrap();
    let engine = Engine::start(&sandbox, "", &[]).await;
    let second = std::process::Command::new(env!("CARGO_BIN_EXE_homeostat"))
        .args(["serve", "--web.listen-address=127.0.0.1:0", "--storage.path"])
        .arg(engine.directory.join("data"))
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(2));
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(said.contains("another engine (process "), "{said}");
}

#[tokio::test]
async fn a_term_waits_for_what_runs_and_writes_its_end_down() {
    let sandbox = Sandbox::new().unwrap();
    let config = policy(sandbox.path(), "sleep 1", "");
    let mut engine = Engine::start(&sandbox, &config, &[]).await;
    engine.post("/hooks", notification(&[A])).await;
    until("the action", || async { (!ran(sandbox.path()).is_empty()).then_some(()) }).await;
    engine.signal(Signal::TERM);
    assert_eq!(engine.wait(), Some(0));
    engine.restart().await;
    let incident = engine.incident_in("verifying").await;
    assert_eq!(incident["orders"][0]["exit_code"], 0, "{incident:#}");
}

#[tokio::test]
async fn a_pause_holds_and_survives_a_restart() {
    let sandbox = Sandbox::new().unwrap();
    let config = policy(sandbox.path(), "", "");
    let mut engine = Engine::start(&sandbox, &config, &[]).await;
    let pause = r#"{"by": "sre", "reason": "deploy"}"#;
    assert_eq!(engine.post("/api/v1/pause", pause).await, 200);
    engine.post("/hooks", notification(&[A])).await;
    engine.kill();
    engine.restart().await;
    engine.post("/hooks", notification(&[A])).await;
    let incident = engine.incident_in("waiting").await;
    assert!(incident["reason"].as_str().unwrap().contains("deploy"), "{incident:#}");
    assert!(ran(sandbox.path()).is_empty());
    assert_eq!(engine.post("/api/v1/resume", r#"{"by": "sre"}"#).await, 200);
    engine.incident_in("verifying").await;
    assert_eq!(ran(sandbox.path()), ["1.first.1"]);
}

#[tokio::test]
async fn prometheus_that_dies_after_the_action_leaves_it_unknown_and_a_person_is_told() {
    let sandbox = Sandbox::new().unwrap();
    let mut alertmanager = Alertmanager::builder()
        .webhook("http://127.0.0.1:9/hooks")
        .timings(Timings::QUICK)
        .start(sandbox.path())
        .await
        .unwrap();
    // Prometheus finds its Alertmanagers after five seconds, and an alert that fires before is sent
    // again a minute later only.
    let rules = "groups: [{ name: g, rules: [{ alert: Down, expr: 'vector(1)', for: 7s, \
                 labels: { instance: 'a:80' } }] }]";
    let mut prometheus = Prometheus::builder()
        .rules(rules)
        .alertmanager(alertmanager.address())
        .start(sandbox.path())
        .await
        .unwrap();
    let sources = format!(
        "sources:\n  alertmanagers: [{{ name: main, urls: [\"{}\"] }}]\n  \
         prometheuses: [{{ name: main, url: \"{}\" }}]\n",
        alertmanager.url(),
        prometheus.url()
    );
    let policy = policy(sandbox.path(), "", SOON).replace("    escalate: none\n", "");
    let engine = Engine::start(&sandbox, &format!("{sources}{policy}"), &[]).await;
    until("the alert in Alertmanager", || async {
        alertmanager.alerts().await.unwrap().into_iter().find(|a| a.label("alertname") == "Down")
    })
    .await;
    engine.post("/hooks/main", notification(&[A])).await;
    until("the action", || async { (!ran(sandbox.path()).is_empty()).then_some(()) }).await;
    prometheus.process().end();
    let incident = engine.incident_in("closed").await;
    assert_eq!(incident["outcome"], "escalated", "{incident:#}");
    assert!(incident["reason"].as_str().unwrap().contains("unknown"), "{incident:#}");
    assert_eq!(ran(sandbox.path()), ["1.first.1"], "unknown never climbs the ladder");
    until("the escalation in Alertmanager", || async {
        let alerts = alertmanager.alerts().await.unwrap();
        alerts.into_iter().find(|alert| alert.label("homeostat") == "escalation")
    })
    .await;
    alertmanager.process().must_run().unwrap();
}

#[tokio::test]
async fn killed_before_a_person_was_told_the_engine_tells_after_the_restart_and_tells_the_end() {
    let sandbox = Sandbox::new().unwrap();
    let (up, tries) = (sandbox.path().join("up"), sandbox.path().join("tries"));
    let told = sandbox.path().join("told");
    let script = format!(
        "echo x >> {tries}; test -e {up} && cat >> {told} && echo >> {told}",
        tries = tries.display(),
        up = up.display(),
        told = told.display()
    );
    let notify = format!("notify: [{{ name: oncall, exec: [/bin/sh, -c, '{script}'] }}]\n");
    let policy = policy(sandbox.path(), "exit 1", SOON).replace("escalate: none", "for: 0s");
    let mut engine = Engine::start(&sandbox, &format!("{notify}{policy}"), &[]).await;
    engine.post("/hooks/main", notification(&[A])).await;
    let count = || std::fs::read_to_string(&tries).unwrap_or_default().lines().count();
    until("two tries to tell", || async { (count() >= 2).then_some(()) }).await;
    engine.kill();
    assert!(!told.exists(), "the fact is written, and nobody has heard of it");
    std::fs::write(&up, "").unwrap();
    engine.restart().await;
    let documents = || {
        let text = std::fs::read_to_string(&told).unwrap_or_default();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.collect::<Vec<Value>>()
    };
    until("a person is told", || async { (documents().len() == 1).then_some(()) }).await;
    let accepted = "homeostat_notices_total{channel=\"oncall\",result=\"accepted\"}";
    until("it is counted", || async { engine.metric(accepted).await }).await;
    until("it is written that all were told", || async {
        let incident = engine.incidents().await.pop()?;
        kinds(&incident).contains(&"notice_told".to_owned()).then_some(())
    })
    .await;
    engine.kill();
    engine.restart().await;
    engine.post("/hooks/main", resolution(&[A])).await;
    until("the end is told", || async { (documents().len() == 2).then_some(()) }).await;
    let [firing, resolved] = <[Value; 2]>::try_from(documents()).unwrap();
    assert_eq!((&firing["status"], &firing["incident"]), (&"firing".into(), &1.into()));
    assert!(firing["reason"].as_str().unwrap().contains("unknown"), "{firing:#}");
    assert_eq!(resolved["status"], "resolved", "accepted before the second kill: not told again");
}
