//! A person is asked, answers and commands: on a real engine process, by the real command line,
//! and with a real Alertmanager.

use std::process::Command;

use crate::support::{Engine, PATIENCE, notification, policy, ran, resolution, until};
use homeostat::demo::stack::{Alertmanager, Sandbox, Timings};
use serde_json::Value;

const A: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "a:80")];

/// A policy whose first remedy asks a person.
fn asking(sandbox: &Sandbox) -> String {
    policy(sandbox.path(), "", "").replace("mode: auto", "mode: approve")
}

/// Runs the command line against an engine: its exit code and what it printed.
async fn homeostat(engine: &Engine, words: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_homeostat"));
    command.args(words).args(["--url", &engine.url("")]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout) + &text(output.stderr))
}

fn entry<'a>(incident: &'a Value, kind: &str) -> &'a Value {
    let timeline = incident["timeline"].as_array().unwrap();
    let known = timeline.iter().find(|entry| entry["kind"] == kind);
    known.unwrap_or_else(|| panic!("no {kind}: {incident:#}"))
}

#[tokio::test]
async fn an_approve_only_reboot_is_asked_for_in_alertmanager_and_runs_once_when_approved() {
    let sandbox = Sandbox::new().unwrap();
    let alertmanager = Alertmanager::builder()
        .webhook("http://127.0.0.1:9/hooks")
        .timings(Timings::QUICK)
        .start(sandbox.path())
        .await
        .unwrap();
    let url = alertmanager.url();
    let sources = format!("sources:\n  alertmanagers: [{{ name: main, urls: [\"{url}\"] }}]\n");
    let policy = asking(&sandbox).replace("    escalate: none\n", "");
    let engine = Engine::start(&sandbox, &format!("{sources}{policy}"), &[]).await;
    alertmanager.fire(A).await.unwrap();
    until("the alert in Alertmanager", || async {
        let alerts = alertmanager.alerts().await.unwrap();
        alerts.into_iter().find(|alert| alert.label("alertname") == "Down")
    })
    .await;
    engine.post("/hooks/main", notification(&[A])).await;
    let asked = engine.incident_in("awaiting_approval").await;
    let approval = &asked["approval"];
    assert_eq!((&approval["remedy"], &approval["order"]), (&"first".into(), &"1.first.1".into()));
    let notice = || async {
        let alerts = alertmanager.alerts().await.unwrap();
        alerts.into_iter().find(|alert| alert.label("alertname") == "HomeostatApprovalNeeded")
    };
    until("the question in Alertmanager", notice).await;
    assert!(ran(sandbox.path()).is_empty());

    let words = ["approve", "1", "--by", "alice", "--reason", "nobody is logged in"];
    let (code, text) = homeostat(&engine, &words).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("remedy first is approved until"), "{text}");
    let acted = engine.incident_in("verifying").await;
    let grants = entry(&acted, "order_issued")["grants"].as_array().unwrap();
    let granted = grants.iter().find(|grant| grant["guard"] == "approval").unwrap();
    assert!(granted["reason"].as_str().unwrap().starts_with("alice approved it"), "{granted}");
    let (code, text) = homeostat(&engine, &["incidents", "1", "--why"]).await;
    assert_eq!(code, Some(0), "{text}");
    for told in ["remedy  first: chosen", "clear   approval: alice approved it", "lists it active"]
    {
        assert!(text.contains(told), "{told} is missing in {text}");
    }
    until("the end of the question", || async { notice().await.is_none().then_some(()) }).await;
    alertmanager.resolve(A).await.unwrap();
    engine.post("/hooks/main", resolution(&[A])).await;
    let healed = engine.incident_in("closed").await;
    assert_eq!(healed["outcome"], "healed", "{healed:#}");
    assert_eq!(ran(sandbox.path()), ["1.first.1"]);
}

#[tokio::test]
async fn a_question_outlives_a_kill_and_is_answered_once() {
    let sandbox = Sandbox::new().unwrap();
    let mut engine = Engine::start(&sandbox, &asking(&sandbox), &[]).await;
    engine.post("/hooks", notification(&[A])).await;
    let before = engine.incident_in("awaiting_approval").await;
    engine.kill();
    engine.restart().await;
    let after = engine.incident_in("awaiting_approval").await;
    assert_eq!(before["approval"], after["approval"]);
    let waiting = engine.json("/api/v1/incidents?state=awaiting_approval").await;
    assert_eq!(waiting["incidents"].as_array().unwrap().len(), 1);

    let (code, text) = homeostat(&engine, &["approve", "1", "--by", "alice"]).await;
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = homeostat(&engine, &["approve", "1", "--by", "bob"]).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.starts_with("refused: "), "{text}");
    // What was mentioned before the restart is not fresh any more.
    engine.post("/hooks", notification(&[A])).await;
    engine.incident_in("verifying").await;
    assert_eq!(ran(sandbox.path()), ["1.first.1"]);
}

#[tokio::test]
async fn a_rejection_latches_and_a_retry_asks_again() {
    let sandbox = Sandbox::new().unwrap();
    let engine = Engine::start(&sandbox, &asking(&sandbox), &[]).await;
    engine.post("/hooks", notification(&[A])).await;
    engine.incident_in("awaiting_approval").await;
    let words = ["reject", "1", "--by", "alice", "--reason", "not at noon"];
    assert_eq!(homeostat(&engine, &words).await.0, Some(0));
    let rejected = engine.incident_in("closed").await;
    assert_eq!((&rejected["outcome"], &rejected["approval"]), (&"rejected".into(), &Value::Null));
    assert_eq!(rejected["reason"], "rejected by alice: not at noon");
    let (code, text) = homeostat(&engine, &["approve", "1"]).await;
    assert_eq!((code, text.as_str()), (Some(1), "refused: incident 1 is closed as rejected\n"));
    let (code, text) = homeostat(&engine, &["retry", "1", "--by", "alice"]).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("incident 2 is opened"), "{text}");
    engine.post("/hooks", notification(&[A])).await;
    until("the next question", || async {
        let second = engine.incidents().await.into_iter().nth(1)?;
        (second["state"] == "awaiting_approval").then_some(())
    })
    .await;
    assert!(ran(sandbox.path()).is_empty());
    let (code, text) = homeostat(&engine, &["reject", "9"]).await;
    assert_eq!(code, Some(2));
    assert!(text.contains("there is no incident \"9\""), "{text}");
}

#[tokio::test]
async fn a_cancel_ends_the_processes_of_a_running_action() {
    let sandbox = Sandbox::new().unwrap();
    let script = "trap 'echo ended >> ../../../../ran; exit 9' TERM; sleep 19 & wait";
    let engine = Engine::start(&sandbox, &policy(sandbox.path(), script, ""), &[]).await;
    engine.post("/hooks", notification(&[A])).await;
    until("the action", || async { (!ran(sandbox.path()).is_empty()).then_some(()) }).await;
    let words = ["cancel", "1", "--by", "alice", "--reason", "I take over"];
    let (code, text) = homeostat(&engine, &words).await;
    assert_eq!(code, Some(0), "{text}");
    let cancelled = engine.incident_in("closed").await;
    assert_eq!(cancelled["outcome"], "cancelled", "{cancelled:#}");
    assert_eq!(cancelled["orders"][0]["result"], "cancelled", "{cancelled:#}");
    assert_eq!(
        cancelled["reason"],
        "cancelled by alice: I take over; remedy first was told to end, and ended"
    );
    assert_eq!(ran(sandbox.path()), ["1.first.1", "ended"]);
}

#[tokio::test]
async fn an_action_is_told_to_end_when_its_alert_resolves() {
    let sandbox = Sandbox::new().unwrap();
    let config = policy(sandbox.path(), "exec sleep 19", "    on_resolve: signal");
    let engine = Engine::start(&sandbox, &config, &[]).await;
    engine.post("/hooks", notification(&[A])).await;
    until("the action", || async { (!ran(sandbox.path()).is_empty()).then_some(()) }).await;
    engine.post("/hooks", resolution(&[A])).await;
    let healed = engine.incident_in("closed").await;
    assert_eq!(healed["outcome"], "healed", "{healed:#}");
    assert_eq!(healed["resolved_during_action"], true);
    assert_eq!(healed["orders"][0]["result"], "cancelled");
    let told = entry(&healed, "order_cancelled")["text"].as_str().unwrap();
    assert_eq!(told, "Remedy first is told to end: all alerts have resolved.");
}

#[tokio::test]
async fn a_cancel_does_not_wait_for_the_answer_of_a_request() {
    let sandbox = Sandbox::new().unwrap();
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/reboot", silent.local_addr().unwrap());
    let config = format!(
        "policies:\n  - name: web\n    matchers: ['alertname=\"Down\"']\n    target: [instance]\n    \
         mode: auto\n    escalate: none\n    remedies:\n      \
         - {{ name: reboot, http: {{ method: POST, url: \"{url}\" }} }}\n"
    );
    let engine = Engine::start(&sandbox, &config, &[]).await;
    engine.post("/hooks", notification(&[A])).await;
    let (_connection, _) = tokio::time::timeout(PATIENCE, silent.accept()).await.unwrap().unwrap();
    let (code, text) = homeostat(&engine, &["cancel", "1", "--by", "alice"]).await;
    assert_eq!(code, Some(0), "{text}");
    let cancelled = engine.incident_in("closed").await;
    assert_eq!(cancelled["outcome"], "cancelled", "{cancelled:#}");
    assert_eq!(cancelled["orders"][0]["result"], "cancelled", "{cancelled:#}");
}
