//! What a container has said, by a real API server that asks a kubelet.

use serde_json::{Value, json};

use super::rehearsal::may;
use crate::support::cluster::Cluster;
use crate::support::hands::errand;
use crate::support::secure::Secure;
use crate::support::until;

/// Reads the log of a pod as a user, and returns what came of it in a line, and what was printed.
async fn read(cluster: &Cluster, user: &str, fields: &[(&str, &str)]) -> (String, String) {
    let fields = [&[("namespace", cluster.name.as_str())], fields].concat();
    let (said, output) = errand(&cluster.kubeconfig(user), ("logs", &fields), false).await;
    let outcome = match said["kind"].as_str().unwrap() {
        "refused" => {
            let how = if said["reason"]["lasting"] == true { "refused" } else { "not started" };
            format!("{how}: {}", said["reason"]["reason"].as_str().unwrap())
        }
        kind => kind.to_owned(),
    };
    (outcome, output)
}

/// A pod with two containers, on the node of a kubelet.
async fn pod(cluster: &Cluster, annotations: Value) {
    let mut pod = crate::support::cluster::pod_of("web-0", &cluster.node("a"));
    pod["metadata"]["annotations"] = annotations;
    pod["spec"]["containers"] = json!([{ "name": "sidecar", "image": "registry/x:1" }, { "name": "c", "image": "registry/x:1" }]);
    cluster.post(&cluster.path("pods", ""), pod).await;
}

#[tokio::test]
#[ignore = "needs an API server: make test-kubernetes"]
async fn the_end_of_a_log_is_shown_bounded() {
    let cluster = Cluster::new("logs").await;
    let long = "0123456789abcde\n".repeat(100_000);
    let kubelet = Secure::new(&cluster, move |asked, _| {
        let log = if asked.contains("/web-0/c?") { "an error\n".to_owned() } else { long.clone() };
        (200, log)
    })
    .await;
    kubelet.keeps(&cluster, &cluster.node("a")).await;
    let default = json!({ "kubectl.kubernetes.io/default-container": "c" });
    pod(&cluster, default).await;
    for (more, heading, asked) in [
        (&[][..], "container c", "/c?limitBytes=1048576&tailLines=100"),
        (
            &[("tail", "7"), ("previous", "false")],
            "container c",
            "/c?limitBytes=1048576&tailLines=7",
        ),
        (
            &[("previous", "true")],
            "container c, as it ran before",
            "/c?limitBytes=1048576&previous=true&tailLines=100",
        ),
    ] {
        let fields = [&[("pod", "web-0")], more].concat();
        let (outcome, output) = read(&cluster, "admin", &fields).await;
        assert_eq!(outcome, "done");
        let (head, log) = output.split_once('\n').unwrap();
        assert!(head.starts_with(&format!("pod {}/web-0: uid ", cluster.name)), "{head}");
        assert!(head.ends_with(&format!(", {heading}")), "{head}");
        assert_eq!(log, "an error\n");
        let seen = kubelet.seen();
        let path = format!("GET /containerLogs/{}/web-0{asked}", cluster.name);
        assert_eq!(seen.last(), Some(&path), "{seen:#?}");
    }
    let (outcome, output) =
        read(&cluster, "admin", &[("pod", "web-0"), ("container", "sidecar")]).await;
    assert_eq!(outcome, "done");
    let (_, log) = output.split_once('\n').unwrap();
    assert!(log.len() <= 64 << 10 && log.len() > 60 << 10, "{}", log.len());
    assert!(log.starts_with("0123456789abcde\n"), "in whole lines");
}

#[tokio::test]
#[ignore = "needs an API server: make test-kubernetes"]
async fn a_log_that_cannot_be_had_says_why() {
    let cluster = Cluster::new("nologs").await;
    let waiting = "container \"c\" in pod \"web-0\" is waiting to start: ContainerCreating";
    let kubelet = Secure::new(&cluster, move |asked, _| {
        let is_sidecar = asked.contains("/sidecar?");
        let (status, text) = if is_sidecar { (500, "the disk is gone") } else { (400, waiting) };
        (status, text.to_owned())
    })
    .await;
    pod(&cluster, Value::Null).await;
    let web: &[(&str, &str)] = &[("pod", "web-0"), ("container", "c")];
    // A node that has not said where its kubelet is.
    let (outcome, _) = read(&cluster, "admin", web).await;
    assert!(outcome.starts_with("not started: no answer from the cluster: "), "{outcome}");
    kubelet.keeps(&cluster, &cluster.node("a")).await;
    for (fields, expected) in [
        (
            web,
            "not started: container \"c\" in pod \"web-0\" is waiting to start: ContainerCreating",
        ),
        (&[("pod", "web-0")], "not started: no answer from the cluster: "),
        (
            &[("pod", "web-0"), ("container", "d")],
            "not started: container d is not valid for pod web-0",
        ),
        (&[("pod", "web-1")], "not started: gone: there is no pod"),
        (&[("pod", "web-0"), ("tail", "many")], "refused: tail is no number of lines"),
        (
            &[("pod", "web-0"), ("container", "../c")],
            "refused: \"../c\" is not the name of an object",
        ),
    ] {
        let (outcome, output) = read(&cluster, "admin", fields).await;
        assert!(outcome.starts_with(expected), "{outcome}\n{output}");
    }
    let get = json!({ "apiGroups": [""], "resources": ["pods"], "verbs": ["get"] });
    may(&cluster, "bob", json!([get])).await;
    until("the role in force", || async {
        let (outcome, _) = read(&cluster, "bob", web).await;
        let expected = "refused: forbidden: pods \"web-0\" is forbidden: User \"bob\" cannot get resource \
                        \"pods/log\"";
        outcome.starts_with(expected).then_some(())
    })
    .await;
}
