//! Remedies in a cluster: real engines, and a real API server. What each outcome is must be certain, and
//! nothing is done twice. `make test-kubernetes` builds the server, starts it, and runs these.

mod crowd;
mod guarded;
mod logs;
mod owner;
mod rehearsal;
mod revert;

use std::path::Path;
use std::sync::Arc;

use homeostat::demo::stack::Sandbox;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::cluster::{Cluster, pod_of};
use crate::support::hands::{ended_order, hand, kill, runner};
use crate::support::wire::{Fate, Wire};
use crate::support::{Engine, notification, policy_of, ran, until};

/// Verification that ends soon, so that the test does; and no dry run, so that what an order comes to is
/// said by the order. What the guard makes of dry runs is in `guarded`.
const SOON: &str = "    verify: { within: 2s, every: 1s, times: 1 }\n    guard: { dry_run: false }";

/// A policy whose first remedy does this in the cluster of a kubeconfig.
fn remedy(sandbox: &Sandbox, kubeconfig: &Path, deed: &str, limit: &str) -> String {
    let first = format!(
        "        timeout: {limit}\n        kubernetes: {{ kubeconfig: {}, {deed} }}",
        kubeconfig.display()
    );
    policy_of(sandbox.path(), &first, SOON)
}

async fn fired(sandbox: &Sandbox, config: &str) -> Engine {
    let engine = Engine::start(sandbox, config, &[]).await;
    let alert: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "a:80")];
    assert_eq!(engine.post("/hooks", notification(&[alert])).await, 200);
    engine
}

/// Does one thing to its end, and returns the order.
async fn done(kubeconfig: &Path, deed: &str, limit: &str) -> (Value, Vec<String>) {
    let sandbox = Sandbox::new().unwrap();
    let engine = fired(&sandbox, &remedy(&sandbox, kubeconfig, deed, limit)).await;
    let order = ended_order(&engine).await;
    if order["result"] == "not_started" || order["result"] == "failed" {
        until("the next remedy", || async { (!ran(sandbox.path()).is_empty()).then_some(()) })
            .await;
    }
    (order, ran(sandbox.path()))
}

#[track_caller]
fn assert_ended(order: &Value, result: &str, words: &str) {
    assert_eq!(order["result"], result, "{order:#}");
    assert!(order["outcome"].as_str().unwrap().contains(words), "{words}: {order:#}");
}

fn workload(cluster: &Cluster, verb: &str, kind: &str) -> String {
    let key = kind.trim_end_matches('s');
    format!("{verb}: {{ namespace: {}, {key}: web }}", cluster.name)
}

fn pod_deed(cluster: &Cluster, verb: &str, pod: &str) -> String {
    format!("{verb}: {{ namespace: {}, pod: {pod} }}", cluster.name)
}

/// How often the template of a workload was changed.
fn revision(deployment: &Value) -> &str {
    let annotations = &deployment["metadata"]["annotations"];
    annotations["deployment.kubernetes.io/revision"].as_str().unwrap()
}

fn order_of(object: &Value) -> &str {
    object["metadata"]["annotations"]["homeostat/order"].as_str().unwrap_or_default()
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap()
}

#[tokio::test]
#[ignore = "needs an API server: make test-kubernetes"]
async fn a_restart_is_done_when_all_pods_are_new_and_available() {
    let cluster = Cluster::new("restart").await;
    for kind in ["deployments", "statefulsets", "daemonsets"] {
        cluster.workload(kind, "web", 2).await;
        let before = cluster.pods("web").await;
        let deed = workload(&cluster, "rollout_restart", kind);
        let (order, ran) = done(&cluster.kubeconfig("admin"), &deed, "40s").await;
        assert_ended(&order, "succeeded", "is done");
        assert!(ran.is_empty());
        let object = cluster.get(&cluster.path(kind, "web")).await.unwrap();
        let output = order["output"].as_str().unwrap();
        assert!(output.contains(object["metadata"]["uid"].as_str().unwrap()), "{output}");
        assert!(order_of(&object).starts_with("1.first.1-"), "{object:#}");
        let manager = object["metadata"]["managedFields"].as_array().unwrap().iter();
        assert!(manager.clone().any(|fields| fields["manager"] == "homeostat"), "{object:#}");
        let after = cluster.pods("web").await;
        assert_eq!(after.len(), before.len());
        assert!(
            after
                .iter()
                .all(|pod| !before.iter().any(|b| b["metadata"]["uid"] == pod["metadata"]["uid"]))
        );
        cluster.delete(&cluster.path(kind, "web")).await;
        until("its end", || async { cluster.pods("web").await.is_empty().then_some(()) }).await;
    }
}

#[tokio::test]
#[ignore = "needs an API server: make test-kubernetes"]
async fn a_rollout_that_is_given_up_failed_and_one_that_goes_on_is_unknown() {
    let cluster = Cluster::new("progress").await;
    let mut wanted = cluster.workload_of("deployments", "web", 2);
    wanted["spec"]["progressDeadlineSeconds"] = 2.into();
    cluster.post(&cluster.path("deployments", ""), wanted).await;
    cluster.ready("deployments", "web").await;
    cluster.starts_pods(false);
    let deed = workload(&cluster, "rollout_restart", "deployments");
    let (order, ran) = done(&cluster.kubeconfig("admin"), &deed, "40s").await;
    assert_ended(&order, "failed", "ProgressDeadlineExceeded");
    assert_eq!(ran, ["1.second.1"]);
    let path = cluster.path("deployments", "web");
    cluster.patch(&path, json!({ "spec": { "progressDeadlineSeconds": 600 } })).await;
    let (order, ran) = done(&cluster.kubeconfig("admin"), &deed, "3s").await;
    assert_ended(&order, "unknown", "the rollout goes on");
    assert!(ran.is_empty(), "{ran:?}");
}

#[tokio::test]
#[ignore = "needs an API server: make test-kubernetes"]
async fn what_brings_no_rollout_is_refused() {
    let cluster = Cluster::new("norollout").await;
    cluster.workload("deployments", "web", 1).await;
    let path = cluster.path("deployments", "web");
    cluster.patch(&path, json!({ "spec": { "paused": true } })).await;
    let deed = workload(&cluster, "rollout_restart", "deployments");
    let (order, ran) = done(&cluster.kubeconfig("admin"), &deed, "20s").await;
    assert_ended(&order, "refused", "are paused");
    assert!(ran.is_empty());
    let deed = workload(&cluster, "rollout_undo", "deployments");
    cluster.patch(&path, json!({ "spec": { "paused": false } })).await;
    let (order, _) = done(&cluster.kubeconfig("admin"), &deed, "20s").await;
    assert_ended(&order, "refused", "has no revision before");
}

#[tokio::test]
#[ignore = "needs an API server: make test-kubernetes"]
async fn an_undo_brings_the_template_of_before_back() {
    let cluster = Cluster::new("undo").await;
    for kind in ["deployments", "statefulsets", "daemonsets"] {
        cluster.workload(kind, "web", 2).await;
        let path = cluster.path(kind, "web");
        let image = |image: &str| {
            json!({ "spec": { "template": { "spec": {
                "containers": [{ "name": "c", "image": image }] } } } })
        };
        cluster.patch(&path, image("registry/x:2")).await;
        until("the second revision", || async {
            let pods = cluster.pods("web").await;
            let is_new = |pod: &Value| pod["spec"]["containers"][0]["image"] == "registry/x:2";
            (!pods.is_empty() && pods.iter().all(is_new)).then_some(())
        })
        .await;
        let deed = workload(&cluster, "rollout_undo", kind);
        let (order, _) = done(&cluster.kubeconfig("admin"), &deed, "40s").await;
        assert_ended(&order, "succeeded", "is done");
        let object = cluster.get(&path).await.unwrap();
        let pods = &object["spec"]["template"];
        assert_eq!(pods["spec"]["containers"][0]["image"], "registry/x:1", "{object:#}");
        assert!(pods["metadata"]["labels"]["pod-template-hash"].is_null());
        assert!(order_of(&object).starts_with("1.first.1-"));
        cluster.delete(&path).await;
        until("its end", || async { cluster.pods("web").await.is_empty().then_some(()) }).await;
    }
}

#[tokio::test]
#[ignore = "needs an API server: make test-kubernetes"]
async fn a_workload_is_scaled_by_a_step_up_to_its_bound() {
    let cluster = Cluster::new("scale").await;
    cluster.workload("deployments", "web", 2).await;
    let path = cluster.path("deployments", "web");
    let scale =
        |how: &str| format!("scale: {{ namespace: {}, deployment: web, {how} }}", cluster.name);
    let admin = cluster.kubeconfig("admin");
    for (how, result, words, replicas) in [
        ("by: 1, max: 3", "succeeded", "is done", 3),
        ("by: 1, max: 3", "not_started", "`max` ends at", 3),
        ("by: -1, min: 1", "succeeded", "is done", 2),
        ("to: 4", "succeeded", "is done", 4),
        ("to: 4", "succeeded", "is done", 4),
        ("to: 0", "succeeded", "is done", 0),
    ] {
        let (order, _) = done(&admin, &scale(how), "40s").await;
        assert_ended(&order, result, words);
        let object = cluster.get(&path).await.unwrap();
        assert_eq!(object["spec"]["replicas"], replicas, "{how}");
    }
}

#[tokio::test]
#[ignore = "needs an API server: make test-kubernetes"]
async fn a_pod_is_evicted_or_deleted_once_and_another_takes_its_place() {
    let cluster = Cluster::new("evict").await;
    cluster.workload("deployments", "web", 2).await;
    for verb in ["evict", "delete_pod"] {
        let before = cluster.pods("web").await;
        let deed = pod_deed(&cluster, verb, name(&before[0]));
        let (order, _) = done(&cluster.kubeconfig("admin"), &deed, "20s").await;
        assert_ended(&order, "succeeded", "is done");
        cluster.ready("deployments", "web").await;
        let after = cluster.pods("web").await;
        assert!(after.iter().all(|pod| name(pod) != name(&before[0])));
        assert!(after.iter().any(|pod| name(pod) == name(&before[1])), "the other one is there");
    }
    // One that does not end is not said to have ended.
    cluster.ends_pods(false);
    let deed = pod_deed(&cluster, "evict", name(&cluster.pods("web").await[0]));
    let (order, ran) = done(&cluster.kubeconfig("admin"), &deed, "3s").await;
    assert_ended(&order, "unknown", "has not ended yet");
    assert!(ran.is_empty());
}

#[tokio::test]
#[ignore = "needs an API server: make test-kubernetes"]
async fn what_is_not_there_is_gone_and_the_next_remedy_is_tried() {
    let cluster = Cluster::new("gone").await;
    let node = cluster.node("nowhere");
    for deed in [
        pod_deed(&cluster, "evict", "web-1"),
        pod_deed(&cluster, "delete_pod", "web-1"),
        workload(&cluster, "rollout_restart", "deployments"),
        workload(&cluster, "rollout_undo", "statefulsets"),
        format!("scale: {{ namespace: {}, deployment: web, to: 2 }}", cluster.name),
        format!("cordon: {{ node: {node} }}"),
        format!("drain: {{ node: {node} }}"),
        format!("run_job: {{ namespace: {}, cronjob: clean }}", cluster.name),
    ] {
        let (order, ran) = done(&cluster.kubeconfig("admin"), &deed, "20s").await;
        assert_ended(&order, "not_started", "gone: ");
        assert_eq!(ran, ["1.second.1"], "{deed}");
    }
}

#[tokio::test]
#[ignore = "needs an API server: make test-kubernetes"]
async fn who_may_not_is_forbidden_and_a_person_has_it() {
    let cluster = Cluster::new("forbidden").await;
    cluster.workload("deployments", "web", 1).await;
    let deed = workload(&cluster, "rollout_restart", "deployments");
    let sandbox = Sandbox::new().unwrap();
    let config = remedy(&sandbox, &cluster.kubeconfig("bob"), &deed, "20s");
    let engine = fired(&sandbox, &config).await;
    let order = ended_order(&engine).await;
    assert_ended(
        &order,
        "refused",
        "forbidden: deployments.apps \"web\" is forbidden: User \"bob\"",
    );
    let incident = engine.incident_in("closed").await;
    assert_eq!(incident["outcome"], "escalated", "{incident:#}");
    assert!(ran(sandbox.path()).is_empty(), "no remedy after it");
}

/// Puts another pod in the place of one, with its name.
async fn replace(cluster: &Cluster, pod: &str) -> Value {
    cluster.delete(&cluster.path("pods", pod)).await;
    cluster.pod(pod, &cluster.node("a")).await
}

#[tokio::test]
#[ignore = "needs an API server: make test-kubernetes"]
async fn a_pod_that_was_replaced_between_look_and_act_is_left_alone() {
    let cluster = Cluster::new("replaced").await;
    for (verb, begins) in [("evict", "POST"), ("delete_pod", "DELETE")] {
        cluster.pod("web-0", &cluster.node("a")).await;
        let (go, waits) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (gate, told) = (go.clone(), waits.clone());
        let wire = Wire::new(&cluster, move |asked| {
            if !asked.starts_with(begins) {
                return Fate::Pass;
            }
            told.notify_one();
            Fate::Wait(gate.clone())
        })
        .await;
        let sandbox = Sandbox::new().unwrap();
        let kubeconfig = wire.kubeconfig(sandbox.path());
        let deed = pod_deed(&cluster, verb, "web-0");
        let engine = fired(&sandbox, &remedy(&sandbox, &kubeconfig, &deed, "20s")).await;
        waits.notified().await;
        let other = replace(&cluster, "web-0").await;
        go.notify_one();
        let order = ended_order(&engine).await;
        assert_ended(&order, "not_started", "replaced: the pod");
        let pod = cluster.get(&cluster.path("pods", "web-0")).await.unwrap();
        assert_eq!(pod["metadata"]["uid"], other["metadata"]["uid"]);
        assert!(pod["metadata"]["deletionTimestamp"].is_null(), "{pod:#}");
        cluster.delete(&cluster.path("pods", "web-0")).await;
    }
    // The alert may name the pod that it means.
    let pod = cluster.pod("web-0", &cluster.node("a")).await;
    let uid = pod["metadata"]["uid"].as_str().unwrap();
    replace(&cluster, "web-0").await;
    let deed = format!("evict: {{ namespace: {}, pod: web-0, uid: {uid} }}", cluster.name);
    let (order, _) = done(&cluster.kubeconfig("admin"), &deed, "20s").await;
    assert_ended(&order, "not_started", "replaced: the pod");
}

#[tokio::test]
#[ignore = "needs an API server: make test-kubernetes"]
async fn a_budget_holds_an_eviction_until_it_lets_the_pod_go() {
    let cluster = Cluster::new("budget").await;
    cluster.workload("deployments", "web", 2).await;
    cluster.budget("web", 2).await;
    let pod = name(&cluster.pods("web").await[0]).to_owned();
    let deed = pod_deed(&cluster, "evict", &pod);
    let (order, ran) = done(&cluster.kubeconfig("admin"), &deed, "5s").await;
    assert_ended(&order, "not_started", "held_by_budget: ");
    assert!(order["outcome"].as_str().unwrap().contains(&pod));
    assert_eq!(ran, ["1.second.1"]);
    assert_eq!(cluster.pods("web").await.len(), 2);

    let sandbox = Sandbox::new().unwrap();
    let config = remedy(&sandbox, &cluster.kubeconfig("admin"), &deed, "30s");
    let engine = fired(&sandbox, &config).await;
    let held = until("the budget's word", || async { output_with(&engine, "stands in the way") });
    held.await;
    let path = cluster.path("poddisruptionbudgets", "web");
    let (_, _) =
        cluster.ask(Method::PATCH, &path, Some(json!({ "spec": { "minAvailable": 1 } }))).await;
    assert_ended(&ended_order(&engine).await, "succeeded", "is done");
    assert!(cluster.pods("web").await.iter().all(|other| name(other) != pod));
}

/// A process of an engine.
type Who = fn(&Engine) -> i32;

/// Whether the output of an order that runs has these words.
fn output_with(engine: &Engine, words: &str) -> Option<()> {
    let orders = std::fs::read_dir(engine.directory.join("data/orders")).ok()?;
    let mut outputs =
        orders.filter_map(|order| std::fs::read_to_string(order.ok()?.path().join("stdout")).ok());
    outputs.any(|output| output.contains(words)).then_some(())
}

async fn cancel(engine: &Engine) {
    let request = engine.client().post(engine.url("/api/v1/incidents/1/cancel"));
    let request = request.header("content-type", "application/json");
    assert_eq!(request.body(r#"{"by": "sre"}"#).send().await.unwrap().status(), 200);
}

#[tokio::test]
#[ignore = "needs an API server: make test-kubernetes"]
async fn a_cancel_leaves_nothing_behind_where_nothing_was_done() {
    let cluster = Cluster::new("cancel").await;
    cluster.workload("deployments", "web", 2).await;
    cluster.budget("web", 2).await;
    let pod = name(&cluster.pods("web").await[0]).to_owned();
    let node = cluster.node("a");
    for deed in [pod_deed(&cluster, "evict", &pod), format!("drain: {{ node: {node} }}")] {
        let sandbox = Sandbox::new().unwrap();
        let config = remedy(&sandbox, &cluster.kubeconfig("admin"), &deed, "40s");
        let engine = fired(&sandbox, &config).await;
        until("the budget's word", || async { output_with(&engine, "stands in the way") }).await;
        cancel(&engine).await;
        assert_ended(&ended_order(&engine).await, "cancelled", "");
        let node = cluster.get(&format!("/api/v1/nodes/{node}")).await.unwrap();
        assert!(node["spec"]["unschedulable"].is_null(), "{node:#}");
        assert_eq!(cluster.pods("web").await.len(), 2);
    }
    cluster.starts_pods(false);
    let sandbox = Sandbox::new().unwrap();
    let deed = workload(&cluster, "rollout_restart", "deployments");
    let config = remedy(&sandbox, &cluster.kubeconfig("admin"), &deed, "40s");
    let engine = fired(&sandbox, &config).await;
    until("the rollout", || async { output_with(&engine, "pods are new") }).await;
    cancel(&engine).await;
    assert_ended(&ended_order(&engine).await, "unknown", "the rollout goes on");
}

#[tokio::test]
#[ignore = "needs an API server: make test-kubernetes"]
async fn a_node_is_closed_and_opened() {
    let cluster = Cluster::new("cordon").await;
    let node = cluster.node("a");
    let path = format!("/api/v1/nodes/{node}");
    for (verb, is_closed) in
        [("cordon", json!(true)), ("cordon", json!(true)), ("uncordon", Value::Null)]
    {
        let deed = format!("{verb}: {{ node: {node} }}");
        let (order, _) = done(&cluster.kubeconfig("admin"), &deed, "20s").await;
        assert_ended(&order, "succeeded", "is done");
        let node = cluster.get(&path).await.unwrap();
        assert_eq!(node["spec"]["unschedulable"], is_closed, "{node:#}");
    }
}

/// Pods of the namespace on a node that are not ending.
async fn on_node(cluster: &Cluster, node: &str) -> Vec<Value> {
    let mut pods = cluster.items(&cluster.path("pods", "")).await;
    pods.retain(|pod| {
        pod["spec"]["nodeName"] == node && pod["metadata"]["deletionTimestamp"].is_null()
    });
    pods
}

#[tokio::test]
#[ignore = "needs an API server: make test-kubernetes"]
async fn a_drain_moves_what_can_move_and_leaves_what_belongs_to_the_node() {
    let cluster = Cluster::new("drain").await;
    cluster.workload("deployments", "web", 5).await;
    cluster.workload("daemonsets", "agent", 0).await;
    cluster.budget("web", 4).await;
    let (a, b) = (cluster.node("a"), cluster.node("b"));
    let mut mirror = pod_of("static", &a);
    mirror["metadata"]["annotations"] = json!({ "kubernetes.io/config.mirror": "x" });
    cluster.post(&cluster.path("pods", ""), mirror).await;
    assert_eq!(on_node(&cluster, &a).await.len(), 7, "5, a daemon and the node's own");
    let deed = format!("drain: {{ node: {a}, max_unavailable: 2 }}");
    let (order, _) = done(&cluster.kubeconfig("admin"), &deed, "40s").await;
    assert_ended(&order, "succeeded", "is done");
    let left = on_node(&cluster, &a).await;
    let names: Vec<&str> = left.iter().map(name).collect();
    assert!(names.len() == 2 && names.contains(&"static"), "{names:?}");
    cluster.ready("deployments", "web").await;
    assert!(on_node(&cluster, &b).await.len() >= 5);
    let node = cluster.get(&format!("/api/v1/nodes/{a}")).await.unwrap();
    assert_eq!(node["spec"]["unschedulable"], true);
    let output = order["output"].as_str().unwrap();
    assert_eq!(output.matches("was evicted").count(), 5, "{output}");
}

#[tokio::test]
#[ignore = "needs an API server: make test-kubernetes"]
async fn a_drain_that_is_held_opens_the_node_again_and_names_who_stands_in_the_way() {
    let cluster = Cluster::new("held").await;
    cluster.workload("deployments", "web", 2).await;
    cluster.budget("web", 2).await;
    let node = cluster.node("a");
    let path = format!("/api/v1/nodes/{node}");
    let deed = format!("drain: {{ node: {node}, timeout: 5s }}");
    let sandbox = Sandbox::new().unwrap();
    let first = format!(
        "        kubernetes: {{ kubeconfig: {}, {deed} }}",
        cluster.kubeconfig("admin").display()
    );
    let engine = fired(&sandbox, &policy_of(sandbox.path(), &first, SOON)).await;
    let order = ended_order(&engine).await;
    assert_ended(&order, "failed", "held_by_budget: pod held-");
    assert_ended(&order, "failed", "was uncordoned");
    assert!(cluster.get(&path).await.unwrap()["spec"]["unschedulable"].is_null());
    // What somebody else has closed stays closed.
    cluster.patch(&path, json!({ "spec": { "unschedulable": true } })).await;
    let (order, _) =
        done(&cluster.kubeconfig("admin"), &deed.replace(", timeout: 5s", ""), "5s").await;
    assert_ended(&order, "not_started", "held_by_budget: pod held-");
    assert_eq!(cluster.get(&path).await.unwrap()["spec"]["unschedulable"], true);
}

#[tokio::test]
#[ignore = "needs an API server: make test-kubernetes"]
async fn a_pod_that_nobody_would_start_again_keeps_its_node_unless_it_may_go() {
    let cluster = Cluster::new("alone").await;
    let node = cluster.node("a");
    cluster.pod("alone", &node).await;
    let deed = format!("drain: {{ node: {node} }}");
    let (order, ran) = done(&cluster.kubeconfig("admin"), &deed, "20s").await;
    assert_ended(&order, "refused", "/alone stands in the way: no controller");
    assert!(ran.is_empty());
    let found = cluster.get(&format!("/api/v1/nodes/{node}")).await.unwrap();
    assert!(found["spec"]["unschedulable"].is_null(), "nothing was done");
    let deed = format!("drain: {{ node: {node}, force: true }}");
    let (order, _) = done(&cluster.kubeconfig("admin"), &deed, "20s").await;
    assert_ended(&order, "succeeded", "is done");
    assert!(on_node(&cluster, &node).await.is_empty());
}

/// A `CronJob` that is never run by itself.
async fn cron_job(cluster: &Cluster) {
    let pods = json!({ "spec": { "restartPolicy": "Never",
                                 "containers": [{ "name": "c", "image": "registry/x:1" }] } });
    let template = json!({ "spec": { "backoffLimit": 0, "template": pods } });
    let body = json!({
        "apiVersion": "batch/v1beta1", "kind": "CronJob", "metadata": { "name": "clean" },
        "spec": { "schedule": "0 0 1 1 *", "suspend": true, "jobTemplate": template },
    });
    cluster.post(&cluster.path("cronjobs", ""), body).await;
}

/// Lets the pod of a job come to its end.
async fn end_job(cluster: &Cluster, phase: &str) {
    let pod = until("the pod of the job", || async {
        let pods = cluster.items(&cluster.path("pods", "")).await;
        let is_of_a_job = |pod: &Value| pod["metadata"]["ownerReferences"][0]["kind"] == "Job";
        pods.into_iter().find(|pod| is_of_a_job(pod) && pod["status"]["phase"] == "Running")
    })
    .await;
    let path = format!("{}/status", cluster.path("pods", name(&pod)));
    cluster.patch(&path, json!({ "status": { "phase": phase } })).await;
}

#[tokio::test]
#[ignore = "needs an API server: make test-kubernetes"]
async fn a_job_runs_once_and_its_end_is_that_of_the_order() {
    let cluster = Cluster::new("job").await;
    cron_job(&cluster).await;
    let deed = format!("run_job: {{ namespace: {}, cronjob: clean }}", cluster.name);
    for (phase, result, words) in
        [("Succeeded", "succeeded", "is done"), ("Failed", "failed", "BackoffLimitExceeded")]
    {
        let admin = cluster.kubeconfig("admin");
        let ((order, _), ()) = tokio::join!(done(&admin, &deed, "40s"), end_job(&cluster, phase));
        assert_ended(&order, result, words);
        let jobs = cluster.items(&cluster.path("jobs", "")).await;
        assert_eq!(jobs.len(), 1, "{jobs:#?}");
        assert_eq!(jobs[0]["metadata"]["ownerReferences"][0]["name"], "clean");
        cluster.delete(&cluster.path("jobs", name(&jobs[0]))).await;
        until("the end of its pods", || async {
            let pods = cluster.items(&cluster.path("pods", "")).await;
            for pod in &pods {
                cluster.ask(Method::DELETE, &cluster.path("pods", name(pod)), None).await;
            }
            pods.is_empty().then_some(())
        })
        .await;
    }
    // One that does not end is ended.
    let (order, _) = done(&cluster.kubeconfig("admin"), &deed, "6s").await;
    assert_ended(&order, "timed_out", "");
    let jobs = cluster.items(&cluster.path("jobs", "")).await;
    let condition = &jobs[0]["status"]["conditions"][0];
    assert_eq!(condition["reason"], "DeadlineExceeded", "{jobs:#?}");
}

#[tokio::test]
#[ignore = "needs an API server: make test-kubernetes"]
async fn a_write_whose_answer_is_lost_is_done_once() {
    let cluster = Cluster::new("lost").await;
    cluster.workload("deployments", "web", 2).await;
    let path = cluster.path("deployments", "web");
    let scale = format!("scale: {{ namespace: {}, deployment: web, by: 1, max: 9 }}", cluster.name);
    let restart = workload(&cluster, "rollout_restart", "deployments");
    for fate in [Fate::Mute, Fate::Deaf] {
        for deed in [&scale, &restart] {
            let before = cluster.ready("deployments", "web").await;
            let (mut is_first, loses) = (true, fate.clone());
            let wire = Wire::new(&cluster, move |asked| {
                let is_lost = asked.starts_with("PATCH") && std::mem::take(&mut is_first);
                if is_lost { loses.clone() } else { Fate::Pass }
            })
            .await;
            let sandbox = Sandbox::new().unwrap();
            let (order, _) = done(&wire.kubeconfig(sandbox.path()), deed, "40s").await;
            assert_ended(&order, "succeeded", "is done");
            let after = cluster.get(&path).await.unwrap();
            let writes = wire.seen().iter().filter(|asked| asked.starts_with("PATCH")).count();
            // What was heard is not asked again; what was not heard is.
            assert_eq!(writes, if matches!(fate, Fate::Mute) { 1 } else { 2 }, "{:?}", wire.seen());
            let generation = |object: &Value| object["metadata"]["generation"].as_i64().unwrap();
            assert_eq!(generation(&after), generation(&before) + 1, "it was changed once");
            let step = i64::from(*deed == scale);
            let replicas = |object: &Value| object["spec"]["replicas"].as_i64().unwrap();
            assert_eq!(replicas(&after), replicas(&before) + step);
        }
    }
    // A pod whose eviction is not answered is evicted, and none beside it.
    let before = cluster.ready("deployments", "web").await;
    let mut is_first = true;
    let wire = Wire::new(&cluster, move |asked| {
        let is_lost = asked.starts_with("POST") && std::mem::take(&mut is_first);
        if is_lost { Fate::Mute } else { Fate::Pass }
    })
    .await;
    let sandbox = Sandbox::new().unwrap();
    let pods = cluster.pods("web").await;
    let deed = pod_deed(&cluster, "evict", name(&pods[0]));
    let (order, _) = done(&wire.kubeconfig(sandbox.path()), &deed, "20s").await;
    assert_ended(&order, "succeeded", "is done");
    cluster.ready("deployments", "web").await;
    let after = cluster.pods("web").await;
    let stayed = pods.iter().filter(|pod| after.iter().any(|a| name(a) == name(pod))).count();
    assert_eq!((stayed, after.len()), (pods.len() - 1, pods.len()));
    assert_eq!(
        before["metadata"]["generation"],
        cluster.get(&path).await.unwrap()["metadata"]["generation"]
    );
}

#[tokio::test]
#[ignore = "needs an API server: make test-kubernetes"]
async fn a_cluster_that_is_lost_for_good_is_not_started_before_the_write_and_unknown_after() {
    let cluster = Cluster::new("cut").await;
    cluster.workload("deployments", "web", 1).await;
    let restart = workload(&cluster, "rollout_restart", "deployments");
    let wire = Wire::new(&cluster, |_| Fate::Deaf).await;
    let sandbox = Sandbox::new().unwrap();
    let (order, ran) = done(&wire.kubeconfig(sandbox.path()), &restart, "4s").await;
    assert_ended(&order, "not_started", "no answer from the cluster");
    assert_eq!(ran, ["1.second.1"]);
    for fate in [Fate::Mute, Fate::Deaf] {
        let mut is_cut = false;
        let wire = Wire::new(&cluster, move |asked| {
            if is_cut {
                return Fate::Deaf;
            }
            is_cut = asked.starts_with("PATCH");
            if is_cut { fate.clone() } else { Fate::Pass }
        })
        .await;
        let sandbox = Sandbox::new().unwrap();
        let (order, ran) = done(&wire.kubeconfig(sandbox.path()), &restart, "4s").await;
        assert_ended(&order, "unknown", "no answer came to the change");
        assert!(ran.is_empty());
    }
    let deployment = cluster.get(&cluster.path("deployments", "web")).await.unwrap();
    assert_eq!(revision(&deployment), "2", "one of the two was heard");
}

#[tokio::test]
#[ignore = "needs an API server: make test-kubernetes"]
async fn it_goes_on_while_the_engine_is_killed_and_is_unknown_without_runner_or_hand() {
    let cluster = Cluster::new("kill").await;
    cluster.workload("deployments", "web", 1).await;
    let path = cluster.path("deployments", "web");
    let deed = workload(&cluster, "rollout_restart", "deployments");
    cluster.starts_pods(false);
    let sandbox = Sandbox::new().unwrap();
    let config = remedy(&sandbox, &cluster.kubeconfig("admin"), &deed, "60s");
    let mut engine = fired(&sandbox, &config).await;
    until("the rollout", || async { output_with(&engine, "old pods have not ended") }).await;
    for _ in 0..2 {
        engine.kill();
        engine.restart().await;
    }
    cluster.starts_pods(true);
    assert_ended(&ended_order(&engine).await, "succeeded", "is done");
    assert_eq!(revision(&cluster.get(&path).await.unwrap()), "2", "once");
    drop(engine);
    for (who, restarts) in [(runner as Who, "3"), (hand as Who, "4")] {
        cluster.ready("deployments", "web").await;
        cluster.starts_pods(false);
        let sandbox = Sandbox::new().unwrap();
        let config = remedy(&sandbox, &cluster.kubeconfig("admin"), &deed, "60s");
        let engine = fired(&sandbox, &config).await;
        until("the rollout", || async { output_with(&engine, "old pods have not ended") }).await;
        kill(who(&engine));
        assert_eq!(ended_order(&engine).await["result"], "unknown");
        cluster.starts_pods(true);
        cluster.ready("deployments", "web").await;
        assert_eq!(revision(&cluster.get(&path).await.unwrap()), restarts, "once");
        assert!(ran(sandbox.path()).is_empty());
    }
}

#[tokio::test]
#[ignore = "needs an API server: make test-kubernetes"]
async fn a_hostile_label_never_becomes_a_path() {
    let cluster = Cluster::new("hostile").await;
    let wire = Wire::new(&cluster, |_| Fate::Pass).await;
    for hostile in ["../../nodes/x", "a/b", "a?b=c", "a%2f..", "..", "A", "a;b", "a\nb", ""] {
        let sandbox = Sandbox::new().unwrap();
        let deed =
            format!("delete_pod: {{ namespace: {}, pod: \"{{{{ labels.pod }}}}\" }}", cluster.name);
        let config = remedy(&sandbox, &wire.kubeconfig(sandbox.path()), &deed, "20s");
        let engine = Engine::start(&sandbox, &config, &[]).await;
        let labels: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "a"), ("pod", hostile)];
        assert_eq!(engine.post("/hooks", notification(&[labels])).await, 200);
        let incident = engine.incident_in("closed").await;
        assert_eq!(incident["outcome"], "escalated", "{incident:#}");
        assert_eq!(incident["orders"].as_array().unwrap().len(), 0, "{incident:#}");
    }
    assert!(wire.seen().is_empty(), "{:?}", wire.seen());
}

/// Runs a command of ours on a configuration, and returns what it says.
fn says(words: &[&str], config: &Path) -> String {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_homeostat"));
    command.args(words).arg(format!("--config.file={}", config.display()));
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    assert!(output.status.success(), "{said}");
    said
}

#[tokio::test]
#[ignore = "needs an API server: make test-kubernetes"]
async fn the_printed_roles_let_the_engine_do_what_its_policies_want_and_no_more() {
    let cluster = Cluster::new("rbac").await;
    cluster.workload("deployments", "web", 2).await;
    cluster.workload("deployments", "other", 1).await;
    cron_job(&cluster).await;
    let sandbox = Sandbox::new().unwrap();
    let alice = cluster.kubeconfig("alice");
    let (pod, node) = (name(&cluster.pods("web").await[0]).to_owned(), cluster.node("a"));
    let deeds = [
        workload(&cluster, "rollout_restart", "deployments"),
        workload(&cluster, "rollout_undo", "deployments"),
        pod_deed(&cluster, "evict", &pod),
        format!("run_job: {{ namespace: {}, cronjob: clean }}", cluster.name),
        format!("drain: {{ node: {node} }}"),
    ];
    let remedies = deeds.iter().enumerate().map(|(number, deed)| {
        let kubeconfig = alice.display();
        format!("    - {{ name: r{number}, kubernetes: {{ kubeconfig: {kubeconfig}, {deed} }} }}\n")
    });
    let head = "policies:\n  - name: web\n    matchers: ['alertname=\"Down\"']\n    \
                target: [instance]\n    mode: auto\n    escalate: none\n    remedies:\n";
    let config = sandbox.path().join("all.yml");
    std::fs::write(&config, format!("{head}{}", remedies.collect::<String>())).unwrap();

    let missing = says(&["check", "--kubernetes"], &config);
    assert!(missing.contains("does not let the engine patch deployments.apps web"), "{missing}");
    assert!(missing.contains("does not let the engine create pods/eviction"), "{missing}");

    // What is printed for a ServiceAccount is given to alice.
    let roles = says(&["rbac", "--kubernetes.name", &cluster.name], &config);
    for document in roles.split("---\n").filter(|text| text.contains("Role")) {
        let mut role: Value = serde_saphyr::from_str(document).unwrap();
        if let Some(subjects) = role.get_mut("subjects") {
            *subjects = json!([{ "kind": "User", "name": "alice",
                                 "apiGroup": "rbac.authorization.k8s.io" }]);
        }
        let kind = format!("{}s", role["kind"].as_str().unwrap().to_lowercase());
        let place = match role["metadata"]["namespace"].as_str() {
            Some(namespace) => format!("/namespaces/{namespace}"),
            None => String::new(),
        };
        cluster.post(&format!("/apis/rbac.authorization.k8s.io/v1{place}/{kind}"), role).await;
    }
    until("the roles in force", || async {
        let said = says(&["check", "--kubernetes"], &config);
        (!said.contains("does not let")).then_some(())
    })
    .await;

    for (deed, words) in [(&deeds[0], "is done"), (&deeds[1], "is done"), (&deeds[4], "is done")] {
        let (order, _) = done(&alice, deed, "40s").await;
        assert_ended(&order, "succeeded", words);
    }
    let ((order, _), ()) =
        tokio::join!(done(&alice, &deeds[3], "40s"), end_job(&cluster, "Succeeded"));
    assert_ended(&order, "succeeded", "is done");
    for deed in [
        workload(&cluster, "rollout_restart", "deployments").replace("web", "other"),
        pod_deed(&cluster, "delete_pod", name(&cluster.pods("other").await[0])),
    ] {
        let (order, _) = done(&alice, &deed, "20s").await;
        assert_ended(&order, "refused", "forbidden: ");
    }
}
