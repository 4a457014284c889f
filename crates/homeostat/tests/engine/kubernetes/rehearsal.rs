//! Dry runs by a real API server: what they find out, and that they change nothing.

use std::cell::RefCell;
use std::collections::BTreeMap;

use homeostat::demo::stack;
use reqwest::Method;
use serde_json::{Value, json};

use super::{cron_job, name, on_node};
use crate::support::cluster::Cluster;
use crate::support::hands::errand;
use crate::support::secure::{Secure, judged_at};
use crate::support::until;

/// A verb, and its fields besides the namespace.
type Deed<'a> = (&'a str, &'a [(&'a str, &'a str)]);

const RESTART: Deed<'_> = ("rollout_restart", &[("deployment", "web")]);
const SCALE: Deed<'_> = ("scale", &[("deployment", "web"), ("to", "5")]);

/// Rehearses a deed as a user of the cluster, and returns what comes of it in a line.
async fn rehearsed(cluster: &Cluster, user: &str, (verb, fields): Deed<'_>) -> String {
    let fields = [&[("namespace", cluster.name.as_str())], fields].concat();
    let (said, output) = errand(&cluster.kubeconfig(user), (verb, &fields), true).await;
    match (said["kind"].as_str().unwrap(), said["managed_by"].as_str()) {
        ("rehearsed", None) => "it could be done".to_owned(),
        ("rehearsed", Some(who)) => format!("it could be done, beside {who}"),
        ("refused", _) => {
            let how = if said["reason"]["lasting"] == true { "refused" } else { "not started" };
            format!("{how}: {}", said["reason"]["reason"].as_str().unwrap())
        }
        _ => format!("{said} {output}"),
    }
}

/// All that deeds could change, by kind and name, and at which version it is.
async fn versions(cluster: &Cluster) -> BTreeMap<String, String> {
    let mut versions = BTreeMap::new();
    let kinds = ["deployments", "statefulsets", "daemonsets", "replicasets", "pods", "jobs"];
    let mut places: Vec<String> = kinds.iter().map(|kind| cluster.path(kind, "")).collect();
    places.push(format!("/api/v1/nodes?labelSelector=of%3D{}", cluster.name));
    for place in places {
        for object in cluster.items(&place).await {
            let version = object["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
            versions.insert(format!("{place} {}", name(&object)), version);
        }
    }
    versions
}

/// Waits until no controller has anything left to do.
async fn settled(cluster: &Cluster) -> BTreeMap<String, String> {
    let last = RefCell::new((BTreeMap::new(), 0));
    until("controllers that have nothing to do", || async {
        let now = versions(cluster).await;
        let (before, times) = last.take();
        let times = if now == before { times + 1 } else { 0 };
        last.replace((now.clone(), times));
        (times == 10).then_some(now)
    })
    .await
}

#[tokio::test]
#[ignore = "needs an API server: make test-kubernetes"]
async fn a_dry_run_of_each_verb_could_be_done_and_changes_nothing() {
    let cluster = Cluster::new("dry").await;
    cluster.workload("deployments", "web", 2).await;
    cluster.workload("statefulsets", "db", 1).await;
    cluster.workload("daemonsets", "agent", 0).await;
    for (kind, workload) in
        [("deployments", "web"), ("statefulsets", "db"), ("daemonsets", "agent")]
    {
        let image = json!([{ "name": "c", "image": "registry/x:2" }]);
        let second = json!({ "spec": { "template": { "spec": { "containers": image } } } });
        cluster.patch(&cluster.path(kind, workload), second).await;
        cluster.ready(kind, workload).await;
    }
    cron_job(&cluster).await;
    let (a, b) = (cluster.node("a"), cluster.node("b"));
    cluster
        .patch(&format!("/api/v1/nodes/{b}"), json!({ "spec": { "unschedulable": true } }))
        .await;
    let before = settled(&cluster).await;
    let pod = name(&cluster.pods("web").await[0]).to_owned();
    let (pod, a, b) = ([("pod", pod.as_str())], [("node", a.as_str())], [("node", b.as_str())]);
    let deeds: [Deed<'_>; 16] = [
        RESTART,
        ("rollout_restart", &[("statefulset", "db")]),
        ("rollout_restart", &[("daemonset", "agent")]),
        ("rollout_undo", &[("deployment", "web")]),
        ("rollout_undo", &[("statefulset", "db")]),
        ("rollout_undo", &[("daemonset", "agent")]),
        SCALE,
        ("scale", &[("statefulset", "db"), ("by", "1"), ("max", "3")]),
        ("evict", &pod),
        ("delete_pod", &pod),
        ("cordon", &a),
        ("cordon", &b),
        ("uncordon", &b),
        ("drain", &a),
        ("drain", &b),
        ("run_job", &[("cronjob", "clean")]),
    ];
    for deed in deeds {
        assert_eq!(rehearsed(&cluster, "admin", deed).await, "it could be done", "{deed:?}");
        assert_eq!(versions(&cluster).await, before, "{deed:?}");
    }
    for deployment in cluster.items(&cluster.path("deployments", "")).await {
        assert!(!deployment["metadata"].to_string().contains("homeostat"), "{deployment:#}");
    }
}

#[tokio::test]
#[ignore = "needs an API server: make test-kubernetes"]
async fn a_dry_run_ends_as_the_deed_would_where_it_cannot_be_done() {
    let cluster = Cluster::new("drynot").await;
    cluster.workload("deployments", "web", 2).await;
    cluster.pod("alone", &cluster.node("b")).await;
    until("a pod", || async {
        (!on_node(&cluster, &cluster.node("b")).await.is_empty()).then_some(())
    })
    .await;
    let b = cluster.node("b");
    let rows: [(Deed<'_>, &str); 6] = [
        (("evict", &[("pod", "nobody")]), "not started: gone: there is no pod"),
        (
            ("rollout_restart", &[("deployment", "other")]),
            "not started: gone: there is no deployment",
        ),
        (
            ("evict", &[("pod", "alone"), ("uid", "0b7c1a2e-6c1b-4a53-9f5e-0d6a8c1f2b3d")]),
            "not started: replaced: the pod",
        ),
        (
            ("scale", &[("deployment", "web"), ("by", "1"), ("max", "2")]),
            "not started: there are 2 pods, which `max` ends at",
        ),
        (("rollout_undo", &[("deployment", "web")]), "refused: deployment"),
        (("drain", &[("node", b.as_str())]), "refused: pod "),
    ];
    for (deed, expected) in rows {
        let outcome = rehearsed(&cluster, "admin", deed).await;
        assert!(outcome.starts_with(expected), "{deed:?}: {outcome}");
    }
    let force = [("node", b.as_str()), ("force", "true")];
    assert_eq!(rehearsed(&cluster, "admin", ("drain", &force)).await, "it could be done");
    // As things are, a budget holds the pod; nothing is waited for.
    cluster.budget("web", 2).await;
    let pod = name(&cluster.pods("web").await[0]).to_owned();
    let evict: Deed<'_> = ("evict", &[("pod", pod.as_str())]);
    let outcome = rehearsed(&cluster, "admin", evict).await;
    let held =
        format!("not started: held_by_budget: pod {}/{pod} stands in the way: ", cluster.name);
    assert!(outcome.starts_with(&held), "{outcome}");
    let path = cluster.path("poddisruptionbudgets", "web");
    cluster.ask(Method::PATCH, &path, Some(json!({ "spec": { "minAvailable": 1 } }))).await;
    until("the budget to let it go", || async {
        (rehearsed(&cluster, "admin", evict).await == "it could be done").then_some(())
    })
    .await;
    assert_eq!(cluster.pods("web").await.len(), 2);
}

/// Lets a user do this in the namespace, and nothing else.
pub(super) async fn may(cluster: &Cluster, user: &str, rules: Value) {
    let place = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{}", cluster.name);
    let role = json!({ "metadata": { "name": user }, "rules": rules });
    cluster.post(&format!("{place}/roles"), role).await;
    let group = "rbac.authorization.k8s.io";
    let binding = json!({
        "metadata": { "name": user },
        "roleRef": { "apiGroup": group, "kind": "Role", "name": user },
        "subjects": [{ "apiGroup": group, "kind": "User", "name": user }],
    });
    cluster.post(&format!("{place}/rolebindings"), binding).await;
}

#[tokio::test]
#[ignore = "needs an API server: make test-kubernetes"]
async fn who_may_look_and_not_write_is_forbidden_in_a_dry_run() {
    let cluster = Cluster::new("dryrights").await;
    cluster.workload("deployments", "web", 1).await;
    cron_job(&cluster).await;
    let pod = name(&cluster.pods("web").await[0]).to_owned();
    let get = |group: &str, kind: &str| json!({ "apiGroups": [group], "resources": [kind], "verbs": ["get"] });
    let rules = json!([get("apps", "deployments"), get("", "pods"), get("batch", "cronjobs")]);
    may(&cluster, "bob", rules).await;
    let pod = [("pod", pod.as_str())];
    let rows: [(Deed<'_>, &str); 4] = [
        (SCALE, "cannot patch resource \"deployments\""),
        (("evict", &pod), "cannot create resource \"pods/eviction\""),
        (("delete_pod", &pod), "cannot delete resource \"pods\""),
        (("run_job", &[("cronjob", "clean")]), "cannot create resource \"jobs\""),
    ];
    for (deed, expected) in rows {
        let outcome = until("the role in force", || async {
            let outcome = rehearsed(&cluster, "bob", deed).await;
            (!outcome.contains("cannot get")).then_some(outcome)
        })
        .await;
        assert!(outcome.starts_with("refused: forbidden: "), "{outcome}");
        assert!(outcome.contains(expected), "{outcome}");
    }
}

#[tokio::test]
#[ignore = "needs an API server: make test-kubernetes"]
async fn what_a_webhook_or_a_quota_denies_is_refused_in_its_words() {
    let cluster = Cluster::new("drydenied").await;
    cluster.workload("deployments", "web", 1).await;
    let judge = Secure::new(&cluster, |_, review| {
        let response = json!({
            "uid": review["request"]["uid"], "allowed": false,
            "status": { "code": 403, "message": "no changes on a Friday" },
        });
        let answer = json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
                             "response": response });
        (200, answer.to_string())
    })
    .await;
    judge.judges(&cluster).await;
    let denied = "refused: forbidden: admission webhook \"friday.example.org\" denied the request: no \
                  changes on a Friday";
    for deed in [RESTART, SCALE] {
        assert_eq!(rehearsed(&cluster, "admin", deed).await, denied);
    }
    cron_job(&cluster).await;
    let hard = json!({ "hard": { "count/jobs.batch": "0" } });
    let quota = json!({ "metadata": { "name": "none" }, "spec": hard });
    let quotas = format!("/api/v1/namespaces/{}/resourcequotas", cluster.name);
    cluster.post(&quotas, quota).await;
    // No controller counts here.
    let status = json!({ "status": { "hard": hard["hard"], "used": hard["hard"] } });
    cluster.patch(&format!("{quotas}/none/status"), status).await;
    until("the quota in force", || async {
        let outcome = rehearsed(&cluster, "admin", ("run_job", &[("cronjob", "clean")])).await;
        let denied = outcome.starts_with("refused: forbidden: jobs.batch \"clean-");
        (denied && outcome.contains("exceeded quota: none")).then_some(())
    })
    .await;
}

#[tokio::test]
#[ignore = "needs an API server: make test-kubernetes"]
async fn a_webhook_that_cannot_be_asked_holds_a_dry_run_up() {
    let cluster = Cluster::new("drydown").await;
    cluster.workload("deployments", "web", 1).await;
    let nobody = stack::free_address().unwrap().port();
    judged_at(&cluster, nobody).await;
    let outcome = until("the webhook in force", || async {
        let outcome = rehearsed(&cluster, "admin", SCALE).await;
        (outcome != "it could be done").then_some(outcome)
    })
    .await;
    let expected = "not started: the server refused: Internal error occurred: failed calling webhook \
                    \"friday.example.org\"";
    assert!(outcome.starts_with(expected), "{outcome}");
}

#[tokio::test]
#[ignore = "needs an API server: make test-kubernetes"]
async fn whoever_follows_a_repository_is_seen_on_the_workload_and_not_on_its_pods() {
    let cluster = Cluster::new("gitops").await;
    let tracking = format!("shop:apps/Deployment:{}/web", cluster.name);
    let argo = json!({ "annotations": { "argocd.argoproj.io/tracking-id": tracking } });
    let flux = json!({ "labels": { "kustomize.toolkit.fluxcd.io/name": "apps",
                                   "kustomize.toolkit.fluxcd.io/namespace": "flux-system" } });
    for (metadata, manager, expected) in [
        (json!({}), "kubectl", "it could be done"),
        (argo, "argocd-controller", "it could be done, beside Argo CD (application shop)"),
        (json!({}), "argocd-controller", "it could be done, beside Argo CD"),
        (
            flux,
            "kustomize-controller",
            "it could be done, beside Flux (Kustomization flux-system/apps)",
        ),
    ] {
        let mut wanted = cluster.workload_of("deployments", "web", 1);
        for (key, value) in metadata.as_object().unwrap() {
            wanted["metadata"][key] = value.clone();
        }
        let path = format!("{}?fieldManager={manager}", cluster.path("deployments", ""));
        cluster.post(&path, wanted).await;
        cluster.ready("deployments", "web").await;
        let undo: Deed<'_> = ("rollout_undo", &[("deployment", "web")]);
        let image = json!([{ "name": "c", "image": "registry/x:2" }]);
        let second = json!({ "spec": { "template": { "spec": { "containers": image } } } });
        cluster.patch(&cluster.path("deployments", "web"), second).await;
        cluster.ready("deployments", "web").await;
        for deed in [RESTART, SCALE, undo] {
            assert_eq!(rehearsed(&cluster, "admin", deed).await, expected);
        }
        let pod = name(&cluster.pods("web").await[0]).to_owned();
        let evict: Deed<'_> = ("evict", &[("pod", pod.as_str())]);
        assert_eq!(rehearsed(&cluster, "admin", evict).await, "it could be done");
        cluster.delete(&cluster.path("deployments", "web")).await;
        until("its end", || async { cluster.pods("web").await.is_empty().then_some(()) }).await;
    }
}
