//! What the guard `dry_run` makes of what a real API server says beforehand.

use homeostat::demo::stack::Sandbox;
use serde_json::{Value, json};

use super::{assert_ended, fired, order_of, pod_deed, workload};
use crate::support::cluster::Cluster;
use crate::support::hands::ended_order;
use crate::support::{Engine, policy_of, ran, until};

/// An engine that was told of an alert, and does this about it as a user of the cluster.
async fn told(sandbox: &Sandbox, cluster: &Cluster, user: &str, deed: &str) -> Engine {
    let kubeconfig = cluster.kubeconfig(user);
    let first = format!(
        "        timeout: 40s\n        kubernetes: {{ kubeconfig: {}, {deed} }}",
        kubeconfig.display()
    );
    let verify = "    verify: { within: 2s, every: 1s, times: 1 }";
    fired(sandbox, &policy_of(sandbox.path(), &first, verify)).await
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[tokio::test]
#[ignore = "needs an API server: make test-kubernetes"]
async fn what_would_be_forbidden_goes_to_a_person_before_anything_is_tried() {
    let cluster = Cluster::new("guardno").await;
    cluster.workload("deployments", "web", 1).await;
    let sandbox = Sandbox::new().unwrap();
    let deed = workload(&cluster, "rollout_restart", "deployments");
    let engine = told(&sandbox, &cluster, "alice", &deed).await;
    let incident = engine.incident_in("closed").await;
    assert_eq!(incident["outcome"], "escalated", "{incident:#}");
    let reason = text(&incident, "/reason");
    assert!(reason.starts_with("dry_run: it would be refused: forbidden: "), "{reason}");
    assert!(reason.contains("alice"), "the server's own words: {reason}");
    assert_eq!(incident["orders"], json!([]));
    assert_eq!(ran(sandbox.path()), [""; 0], "the next remedy is not for this");
}

#[tokio::test]
#[ignore = "needs an API server: make test-kubernetes"]
async fn what_a_budget_holds_waits_and_is_evicted_once_it_lets_go() {
    let cluster = Cluster::new("guardheld").await;
    cluster.workload("deployments", "web", 1).await;
    cluster.budget("web", 1).await;
    let pod = text(&cluster.pods("web").await[0], "/metadata/name").to_owned();
    let sandbox = Sandbox::new().unwrap();
    let engine = told(&sandbox, &cluster, "admin", &pod_deed(&cluster, "evict", &pod)).await;
    let held = until("a hold", || async {
        let incident = engine.incidents().await.first()?.clone();
        (incident["holds"][0]["guard"] == "dry_run").then_some(incident)
    })
    .await;
    assert!(text(&held, "/holds/0/reason").contains("held_by_budget"), "{held:#}");
    assert_eq!(held["orders"], json!([]));
    cluster.delete(&cluster.path("poddisruptionbudgets", "web")).await;
    assert_ended(&ended_order(&engine).await, "succeeded", "is done");
}

#[tokio::test]
#[ignore = "needs an API server: make test-kubernetes"]
async fn what_git_says_how_it_is_is_changed_only_if_a_person_agrees() {
    let cluster = Cluster::new("guardgit").await;
    cluster.workload("deployments", "web", 1).await;
    let path = cluster.path("deployments", "web");
    let of = format!("shop:apps/Deployment:{}/web", cluster.name);
    let tracked = json!({ "argocd.argoproj.io/tracking-id": of });
    cluster.patch(&path, json!({ "metadata": { "annotations": tracked } })).await;
    let sandbox = Sandbox::new().unwrap();
    let deed = workload(&cluster, "rollout_restart", "deployments");
    let engine = told(&sandbox, &cluster, "admin", &deed).await;
    let asked = engine.incident_in("awaiting_approval").await;
    let said = asked["timeline"].to_string();
    assert!(said.contains("and Argo CD (application shop) may take it back"), "{asked:#}");
    assert_eq!(order_of(&cluster.get(&path).await.unwrap()), "", "nothing was changed");
    let approve = engine.client().post(engine.url("/api/v1/incidents/1/approve"));
    let digest = &asked["approval"]["digest"];
    let approve = approve.json(&json!({ "by": "ann", "reason": "it is down", "digest": digest }));
    assert_eq!(approve.send().await.unwrap().status(), 200);
    assert_ended(&ended_order(&engine).await, "succeeded", "is done");
    assert!(order_of(&cluster.get(&path).await.unwrap()).starts_with("1.first.1-"));
}
