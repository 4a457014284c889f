//! How long people are called, and who is: a real engine process, killed in between, and a real
//! Alertmanager that tells a team.

use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{Engine, notification, policy, until};
use axum::Router;
use axum::routing::post;
use homeostat::demo::stack::{Alertmanager, ListedAlert, Sandbox};
use serde_json::Value;

const A: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "a:80"), ("team", "web")];

/// An alert that does not say what is to be healed: a person is needed at once.
const NOWHERE: &[(&str, &str)] = &[("alertname", "Down"), ("team", "web")];

/// How long the Alertmanager of these tests lets a group wait.
const GROUP_INTERVAL: Duration = Duration::from_secs(2);

/// What a team was told: the bodies of notifications.
#[derive(Clone, Default)]
struct Team(Arc<Mutex<Vec<Value>>>);

impl Team {
    /// Starts to listen, and returns where.
    async fn listen() -> (Self, String) {
        let team = Self::default();
        let told = team.clone();
        let hook = move |body: String| {
            told.0.lock().unwrap().push(serde_json::from_str(&body).unwrap());
            async {}
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let router = Router::new().route("/", post(hook));
        tokio::spawn(async move { axum::serve(listener, router).await });
        (team, url)
    }

    fn statuses(&self) -> Vec<String> {
        let told = self.0.lock().unwrap();
        told.iter().map(|body| body["status"].as_str().unwrap().to_owned()).collect()
    }

    async fn hears(&self, statuses: &[&str]) {
        until(&format!("the team hears {statuses:?}"), || async {
            (self.statuses() == statuses).then_some(())
        })
        .await;
    }
}

/// An Alertmanager that tells the team what is routed to it by label, once.
async fn alertmanager(sandbox: &Sandbox, team: &str) -> Alertmanager {
    let text = format!(
        "route:
  receiver: nobody
  group_by: [alertname]
  group_wait: 100ms
  group_interval: {}s
  repeat_interval: 1h
  routes:
    - {{ receiver: team, matchers: ['homeostat!=\"\"', 'team=\"web\"', 'channel=\"#web\"'] }}
receivers:
  - name: nobody
  - {{ name: team, webhook_configs: [{{ url: '{team}' }}] }}
",
        GROUP_INTERVAL.as_secs()
    );
    Alertmanager::builder().configuration(&text).start(sandbox.path()).await.unwrap()
}

fn config(sandbox: &Sandbox, alertmanager: &Alertmanager) -> String {
    let url = alertmanager.url();
    let sources = format!("sources:\n  alertmanagers: [{{ name: main, urls: [\"{url}\"] }}]\n");
    let escalate = "    escalate: { labels: { channel: '#web' } }\n";
    let policy = policy(sandbox.path(), "", "");
    let policy = policy.replace("mode: auto", "mode: approve");
    format!("{sources}{}", policy.replace("    escalate: none\n", escalate))
}

/// What Alertmanager lists of ours.
async fn ours(alertmanager: &Alertmanager) -> Vec<ListedAlert> {
    let alerts = alertmanager.alerts().await.unwrap();
    alerts.into_iter().filter(|alert| !alert.label("homeostat").is_empty()).collect()
}

/// Until whatever a group has to tell was told.
async fn two_groups() {
    tokio::time::sleep(2 * GROUP_INTERVAL + Duration::from_millis(500)).await;
}

#[tokio::test]
async fn a_question_is_gone_with_its_trouble_and_a_restart_between_calls_nobody_again() {
    let sandbox = Sandbox::new().unwrap();
    let (team, url) = Team::listen().await;
    let alertmanager = alertmanager(&sandbox, &url).await;
    let mut engine = Engine::start(&sandbox, &config(&sandbox, &alertmanager), &[]).await;
    alertmanager.fire(A).await.unwrap();
    until("the alert in Alertmanager", || async {
        let alerts = alertmanager.alerts().await.unwrap();
        alerts.into_iter().find(|alert| alert.label("alertname") == "Down")
    })
    .await;
    engine.post("/hooks/main", notification(&[A])).await;
    engine.incident_in("awaiting_approval").await;
    team.hears(&["firing"]).await;

    engine.kill();
    two_groups().await;
    engine.restart().await;
    two_groups().await;
    assert_eq!(team.statuses(), ["firing"], "neither over nor told again");
    let listed = ours(&alertmanager).await;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].label("alertname"), "HomeostatApprovalNeeded");

    let mut reject = Command::new(env!("CARGO_BIN_EXE_homeostat"));
    reject.args(["reject", "1", "--by", "alice", "--url", &engine.url("")]);
    let output = tokio::task::spawn_blocking(move || reject.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    until("nothing of ours in Alertmanager", || async {
        ours(&alertmanager).await.is_empty().then_some(())
    })
    .await;
    let over = tokio::time::Instant::now();
    team.hears(&["firing", "resolved"]).await;
    // The rest is the patience of a machine that is busy with other tests.
    assert!(over.elapsed() < 2 * GROUP_INTERVAL + Duration::from_secs(5), "{:?}", over.elapsed());
}

#[tokio::test]
async fn a_cry_for_help_outlives_the_engine_and_a_trouble_that_is_over_at_once() {
    let sandbox = Sandbox::new().unwrap();
    let (team, url) = Team::listen().await;
    let alertmanager = alertmanager(&sandbox, &url).await;
    let mut engine = Engine::start(&sandbox, &config(&sandbox, &alertmanager), &[]).await;
    engine.post("/hooks/main", notification(&[NOWHERE])).await;
    team.hears(&["firing"]).await;
    engine.post("/hooks/main", crate::support::resolution(&[NOWHERE])).await;
    until("that it is over", || async {
        let incident = engine.json("/api/v1/incidents/1").await;
        incident.to_string().contains("notice_cleared").then_some(())
    })
    .await;
    engine.kill();
    engine.restart().await;
    two_groups().await;
    assert_eq!(team.statuses(), ["firing"], "somebody was called, and has time to come");
    let listed = ours(&alertmanager).await;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].label("team"), "web");
}
