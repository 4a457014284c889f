//! What notifications mean to a real engine that asks nobody: whole ones, ends without proof, and what
//! fires again since a later time. The bodies are those of `cases/intake.jsonl`.

use crate::support::{Engine, ran, until};
use homeostat::demo::stack::Sandbox;
use serde_json::Value;

/// The bodies of the case whose `why` begins so.
fn bodies(why: &str) -> Vec<String> {
    let cases = include_str!("../cases/intake.jsonl").lines().map(|line| {
        let case: Value = serde_json::from_str(line).unwrap();
        case
    });
    let case = cases.into_iter().find(|case| case["why"].as_str().unwrap().starts_with(why));
    case.unwrap()["post"].as_array().unwrap().iter().map(Value::to_string).collect()
}

/// An engine that runs this script for what the cases send.
async fn engine(sandbox: &Sandbox, script: &str) -> Engine {
    let ran = sandbox.path().join("ran");
    let config = format!(
        "policies:\n  - name: t\n    matchers: ['alertname=\"T\"']\n    target: [instance]\n    \
         mode: auto\n    escalate: none\n    remedies:\n      - name: first\n        script: |\n          \
         echo \"$HOMEOSTAT_ORDER\" >> {}\n          {script}\n",
        ran.display()
    );
    Engine::start(sandbox, &config, &[]).await
}

#[tokio::test]
async fn a_label_that_carries_the_value_changes_and_nothing_is_healed() {
    let sandbox = Sandbox::new().unwrap();
    let engine = engine(&sandbox, "true").await;
    let [first, second] = <[String; 2]>::try_from(bodies("a label carries the value")).unwrap();
    engine.post("/hooks", first).await;
    engine.incident_in("verifying").await;
    engine.post("/hooks", second).await;
    let incident = engine.incident_in("verifying").await;
    let alerts = incident["alerts"].as_array().unwrap();
    let standing: Vec<&Value> = alerts.iter().map(|alert| &alert["status"]).collect();
    assert_eq!(standing, ["resolved", "firing"], "{incident:#}");
    assert_eq!(ran(sandbox.path()).len(), 1);
}

#[tokio::test]
async fn after_an_escalation_a_later_start_is_a_new_trouble() {
    let sandbox = Sandbox::new().unwrap();
    let engine = engine(&sandbox, "exit 1").await;
    let [first, second] = <[String; 2]>::try_from(bodies("the resolved between")).unwrap();
    engine.post("/hooks", first.clone()).await;
    let incident = engine.incident_in("closed").await;
    assert_eq!(incident["outcome"], "escalated");
    engine.post("/hooks", first).await;
    assert_eq!(engine.incidents().await.len(), 1, "a repeat is none");
    engine.post("/hooks", second).await;
    until("another incident", || async { (engine.incidents().await.len() == 2).then_some(()) })
        .await;
}

#[tokio::test]
async fn what_grafana_resolves_for_want_of_data_is_not_healed() {
    let sandbox = Sandbox::new().unwrap();
    let engine = engine(&sandbox, "true").await;
    let [first, second] = <[String; 2]>::try_from(bodies("Grafana")).unwrap();
    engine.post("/hooks", first).await;
    engine.incident_in("verifying").await;
    engine.post("/hooks", second).await;
    let incident = engine.incident_in("verifying").await;
    assert_eq!(incident["alerts"][0]["status"], "lapsed", "{incident:#}");
    let timeline = incident["timeline"].as_array().unwrap();
    let told = timeline.iter().find(|entry| entry["kind"] == "episode_ended").unwrap();
    assert!(told["text"].as_str().unwrap().contains("MissingSeries"), "{told}");
}
