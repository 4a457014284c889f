//! Two teams share an engine: the storm of one holds up neither the orders of the other nor what a
//! person is asked.

use std::time::Duration;

use crate::support::{Engine, Start, notification, until};
use homeostat::demo::stack::Sandbox;
use serde_json::{Value, json};

/// Targets of the storm.
const TARGETS: usize = 1_000;

/// How much later than alone the other team's order may start.
const LATER: Duration = Duration::from_secs(2);

/// What all share is left as it is by default. The storming team has asked for more than that, and its
/// remedy takes long: as long as the sandbox is there.
fn config(sandbox: &Sandbox) -> String {
    let home = sandbox.path().display();
    format!(
        r#"
policies:
  - name: storming
    matchers: ['alertname="NodeDown"']
    target: [instance]
    mode: auto
    escalate: none
    guard: {{ concurrency: 64, rate: {{ max: 1000, per: 1s }} }}
    remedies: [{{ name: reboot, script: 'while [ -e {home} ]; do sleep 0.1; done' }}]
  - name: primary
    matchers: ['alertname="PrimaryDown"']
    target: [instance]
    mode: auto
    escalate: none
    remedies: [{{ name: promote, exec: [/bin/true] }}]
  - name: replica
    matchers: ['alertname="ReplicaDown"']
    target: [instance]
    mode: approve
    escalate: none
    remedies: [{{ name: rebuild, exec: [/bin/true] }}]
"#
    )
}

async fn of(engine: &Engine, policy: &str, instance: &str) -> Option<Value> {
    let list = engine.json(&format!("/api/v1/incidents?policy={policy}&fields=all")).await;
    let incidents = list["incidents"].as_array().unwrap();
    incidents.iter().find(|incident| incident["target"]["instance"] == instance).cloned()
}

/// How long after a moment, named by a field, something of an incident happened.
fn since(incident: &Value, from: &Value) -> Duration {
    let at = |value: &Value| value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    at(&incident["orders"][0]["issued_at"]).duration_since(at(from)).unsigned_abs()
}

/// Lets the primary of the other team fail, and returns how long its order took to start.
async fn promote(engine: &Engine, instance: &str) -> Duration {
    let alert = [("alertname", "PrimaryDown"), ("instance", instance)];
    engine.post("/hooks", notification(&[&alert])).await;
    let acted = until("the order for the primary", || async {
        let incident = of(engine, "primary", instance).await?;
        incident["orders"][0]["started_at"].is_string().then_some(incident)
    })
    .await;
    since(&acted, &acted["opened_at"])
}

#[tokio::test]
async fn the_storm_of_one_team_holds_up_neither_the_orders_nor_the_questions_of_another() {
    let sandbox = Sandbox::new().unwrap();
    let engine = Engine::broken(&sandbox, &Start { config: &config(&sandbox), ..Start::default() });
    engine.ready().await;
    let alone = promote(&engine, "alone:80").await;

    let names: Vec<String> = (0..TARGETS).map(|number| format!("node-{number}:9100")).collect();
    let storm: Vec<_> =
        names.iter().map(|name| [("alertname", "NodeDown"), ("instance", name.as_str())]).collect();
    for some in storm.chunks(100) {
        let alerts: Vec<&[(&str, &str)]> = some.iter().map(<[_; 2]>::as_slice).collect();
        engine.post("/hooks", notification(&alerts)).await;
    }
    // As many run as may, and all others are held.
    let running = until("the storm", || async {
        let open = engine.json("/api/v1/status").await["incidents_open"].clone();
        let (acting, waiting) = (open["acting"].as_u64()?, open["waiting"].as_u64()?);
        let all = usize::try_from(acting + waiting).unwrap() >= TARGETS;
        (all && acting > 1).then_some(acting)
    })
    .await;
    assert!(running < 16, "the last quarter of what all share is left to others: {running}");

    let beside = promote(&engine, "beside:80").await;
    assert!(beside <= alone + LATER, "{alone:?} alone, and {beside:?} beside a storm");

    let alert = [("alertname", "ReplicaDown"), ("instance", "replica:80")];
    engine.post("/hooks", notification(&[&alert])).await;
    let asked = until("the question", || async {
        let incident = of(&engine, "replica", "replica:80").await?;
        (incident["state"] == "awaiting_approval").then_some(incident)
    })
    .await;
    let question = asked["timeline"].as_array().unwrap();
    let question = question.iter().find(|entry| entry["kind"] == "approval_asked").unwrap();
    let at = |value: &Value| value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let waited = at(&question["at"]).duration_since(at(&asked["opened_at"])).unsigned_abs();
    assert!(waited <= LATER, "a person was asked after {waited:?}");

    let approved = jiff::Timestamp::now();
    let path = format!("/api/v1/incidents/{}/approve", asked["id"].as_str().unwrap());
    let status = engine.post(&path, json!({ "by": "ann", "reason": "seen" }).to_string()).await;
    assert!(status.is_success(), "{status}");
    let acted = until("the order for the replica", || async {
        let incident = of(&engine, "replica", "replica:80").await?;
        incident["orders"][0]["started_at"].is_string().then_some(incident)
    })
    .await;
    let honoured = since(&acted, &json!(approved.to_string()));
    assert!(honoured <= LATER, "what was approved was ordered after {honoured:?}");
}
