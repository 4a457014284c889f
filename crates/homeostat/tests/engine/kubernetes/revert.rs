//! Somebody takes back what an order has changed, while it waits for the rollout.

use homeostat::demo::stack::Sandbox;
use serde_json::{Value, json};

use super::{assert_ended, fired, output_with, remedy, workload};
use crate::support::cluster::Cluster;
use crate::support::hands::ended_order;
use crate::support::until;

#[tokio::test]
#[ignore = "needs an API server: make test-kubernetes"]
async fn whoever_takes_a_change_back_is_named_and_the_order_failed() {
    let cluster = Cluster::new("revert").await;
    let path = cluster.path("deployments", "web");
    let replicas = json!({ "spec": { "replicas": 2 } });
    let image = json!([{ "name": "c", "image": "registry/x:2" }]);
    let image = json!({ "spec": { "template": { "spec": { "containers": image } } } });
    let marks = json!({ "homeostat/order": null, "kubectl.kubernetes.io/restartedAt": null });
    let marks = json!({ "spec": { "template": { "metadata": { "annotations": marks } } } });
    let scale = format!("scale: {{ namespace: {}, deployment: web, to: 3 }}", cluster.name);
    let undo = workload(&cluster, "rollout_undo", "deployments");
    let restart = workload(&cluster, "rollout_restart", "deployments");
    let rows: [(&str, &Value, &str); 3] = [
        (
            &scale,
            &replicas,
            "argocd-controller took the change back: the number of pods is what it was",
        ),
        (
            &undo,
            &image,
            "argocd-controller took the change back: the template of the pods is what it was",
        ),
        // Who takes fields away and sets none is not known to the server.
        (
            &restart,
            &marks,
            "somebody took the change back: the template of the pods is what it was",
        ),
    ];
    for (deed, back, words) in rows {
        cluster.starts_pods(true);
        cluster.workload("deployments", "web", 2).await;
        cluster.patch(&path, image.clone()).await;
        until("the second revision", || async {
            let pods = cluster.pods("web").await;
            let is_new = |pod: &Value| pod["spec"]["containers"][0]["image"] == "registry/x:2";
            (pods.len() == 2 && pods.iter().all(is_new)).then_some(())
        })
        .await;
        cluster.starts_pods(false);
        let sandbox = Sandbox::new().unwrap();
        let config = remedy(&sandbox, &cluster.kubeconfig("admin"), deed, "40s");
        let engine = fired(&sandbox, &config).await;
        until("the rollout", || async { output_with(&engine, "pods are") }).await;
        cluster.patch(&format!("{path}?fieldManager=argocd-controller"), back.clone()).await;
        assert_ended(&ended_order(&engine).await, "failed", words);
        cluster.delete(&path).await;
        until("its end", || async { cluster.pods("web").await.is_empty().then_some(()) }).await;
    }
}
