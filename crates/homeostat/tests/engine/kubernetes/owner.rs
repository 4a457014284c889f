//! Whose a pod is, by a real API server.

use homeostat::demo::stack::Sandbox;
use serde_json::{Value, json};

use super::rehearsal::may;
use super::{assert_ended, name, order_of};
use crate::support::cluster::Cluster;
use crate::support::hands::{ended_order, errand};
use crate::support::{Engine, Start, notification, until};

/// A policy that restarts the Deployment of a pod, where `cluster` says which cluster that is in.
fn config(cluster: &str) -> String {
    format!(
        r#"
policies:
  - name: crash-looping
    matchers: ['alertname="PodCrashLooping"']
    owner_of: {{ {cluster} namespace: "{{{{ labels.namespace }}}}", pod: "{{{{ labels.pod }}}}" }}
    target: [namespace, owner_kind, owner_name]
    mode: auto
    escalate: none
    verify: {{ within: 2s, every: 1s, times: 1 }}
    remedies:
      - name: restart
        timeout: 40s
        kubernetes:
          {cluster_lines}
          rollout_restart: {{ namespace: "{{{{ labels.namespace }}}}", deployment: "{{{{ labels.owner_name }}}}" }}
"#,
        cluster_lines = cluster.trim_end_matches([',', ' ']),
    )
}

fn of(cluster: &Cluster, user: &str) -> String {
    format!("kubeconfig: {},", cluster.kubeconfig(user).display())
}

fn crash(cluster: &Cluster, pods: &[Value]) -> String {
    let alerts: Vec<[(&str, &str); 3]> = pods
        .iter()
        .map(|pod| {
            let namespace = cluster.name.as_str();
            [("alertname", "PodCrashLooping"), ("namespace", namespace), ("pod", name(pod))]
        })
        .collect();
    let alerts: Vec<&[(&str, &str)]> = alerts.iter().map(|alert| &alert[..]).collect();
    notification(&alerts)
}

/// Waits until the Deployment was restarted for all of its pods at once.
async fn restarted(engine: &Engine, cluster: &Cluster) {
    assert_ended(&ended_order(engine).await, "succeeded", "is done");
    let [incident] = <[Value; 1]>::try_from(engine.incidents().await).unwrap();
    let target =
        json!({ "namespace": cluster.name, "owner_kind": "Deployment", "owner_name": "web" });
    assert_eq!(incident["target"], target, "{incident:#}");
    assert_eq!(incident["alerts_total"], 3, "{incident:#}");
    assert_eq!(incident["orders"].as_array().unwrap().len(), 1, "{incident:#}");
    let deployment = cluster.get(&cluster.path("deployments", "web")).await.unwrap();
    assert!(order_of(&deployment).starts_with("1.restart.1-"), "{deployment:#}");
    let uid = &deployment["metadata"]["uid"];
    let alerts = incident["alerts"].as_array().unwrap();
    assert!(alerts.iter().all(|alert| alert["owner"]["uid"] == *uid), "{incident:#}");
}

#[tokio::test]
#[ignore = "needs an API server: make test-kubernetes"]
async fn three_pods_of_one_deployment_are_one_incident_and_one_order() {
    let cluster = Cluster::new("owner").await;
    cluster.workload("deployments", "web", 3).await;
    let sandbox = Sandbox::new().unwrap();
    let engine = Engine::start(&sandbox, &config(&of(&cluster, "admin")), &[]).await;
    let pods = cluster.pods("web").await;
    assert_eq!(engine.post("/hooks", crash(&cluster, &pods)).await, 200);
    restarted(&engine, &cluster).await;
}

#[tokio::test]
#[ignore = "needs an API server: make test-kubernetes"]
async fn each_kind_of_owner_is_told_and_what_has_none_or_is_gone_is_told_apart() {
    let cluster = Cluster::new("owners").await;
    for kind in ["deployments", "statefulsets", "daemonsets"] {
        let app = &kind[..kind.len() - 1];
        cluster.workload(kind, app, 1).await;
        let pod = cluster.pods(app).await.remove(0);
        let said = tell(&cluster, "admin", name(&pod)).await;
        let owner = cluster.get(&cluster.path(kind, app)).await.unwrap();
        let wanted = json!({ "kind": owner["kind"], "name": app, "uid": owner["metadata"]["uid"] });
        assert_eq!(said["whose"]["of"], wanted, "{said:#}");
    }
    cluster.pod("bare", &cluster.node("a")).await;
    let said = tell(&cluster, "admin", "bare").await;
    let nobody = format!("pod {}/bare has no owner", cluster.name);
    assert_eq!(said["whose"]["nobody"]["why"], nobody, "{said:#}");
    let said = tell(&cluster, "admin", "gone").await;
    let gone = format!("gone: there is no pod {}/gone", cluster.name);
    assert_eq!(said["reason"]["reason"], gone, "{said:#}");
}

#[tokio::test]
#[ignore = "needs an API server: make test-kubernetes"]
async fn who_may_not_look_up_to_the_owner_is_told_so_in_the_servers_words() {
    let cluster = Cluster::new("ownerno").await;
    cluster.workload("deployments", "web", 1).await;
    let pod = name(&cluster.pods("web").await[0]).to_owned();
    let said = tell(&cluster, "alice", &pod).await;
    assert!(said.to_string().contains("cannot get resource \\\"pods\\\""), "{said:#}");
    let pods = json!([{ "apiGroups": [""], "resources": ["pods"], "verbs": ["get"] }]);
    may(&cluster, "alice", pods).await;
    until("the right to look at pods", || async {
        let said = tell(&cluster, "alice", &pod).await.to_string();
        said.contains("cannot get resource \\\"replicasets\\\"").then_some(())
    })
    .await;
}

/// Asks whose a pod is, as a user.
async fn tell(cluster: &Cluster, user: &str, pod: &str) -> Value {
    let fields = [("namespace", cluster.name.as_str()), ("pod", pod)];
    errand(&cluster.kubeconfig(user), ("owner", &fields), false).await.0
}

/// The roles that `homeostat rbac` prints for a configuration, and an account that has them: its token.
async fn account(cluster: &Cluster, config: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("homeostat.yml");
    std::fs::write(&file, config).unwrap();
    let printed = std::process::Command::new(env!("CARGO_BIN_EXE_homeostat"))
        .args(["rbac", "--config.file"])
        .arg(file)
        .args(["--kubernetes.namespace", &cluster.name, "--kubernetes.name", &cluster.name])
        .output()
        .unwrap();
    let text = String::from_utf8(printed.stdout).unwrap();
    for document in text.split("---\n") {
        let object: Value = serde_saphyr::from_str(document).unwrap();
        let kind = object["kind"].as_str().unwrap();
        let path = if kind == "ServiceAccount" {
            format!("/api/v1/namespaces/{}/serviceaccounts", cluster.name)
        } else {
            format!("/apis/rbac.authorization.k8s.io/v1/{}s", kind.to_lowercase())
        };
        cluster.post(&path, object).await;
    }
    let name = &cluster.name;
    let path = format!("/api/v1/namespaces/{name}/serviceaccounts/{name}/token");
    let request = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
                          "spec": { "expirationSeconds": 3600 } });
    let token = cluster.post(&path, request).await;
    token["status"]["token"].as_str().unwrap().to_owned()
}

/// As a pod has it: the account's token and the cluster's authority where programs look for them, in a
/// mount namespace of the engine's own, of which nothing is left.
#[tokio::test]
#[ignore = "needs an API server: make test-kubernetes"]
async fn an_engine_in_the_cluster_acts_as_its_own_account_with_the_rights_that_rbac_prints() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let cluster = Cluster::new("incluster").await;
    cluster.workload("deployments", "web", 3).await;
    let config = config("");
    let token = account(&cluster, &config).await;
    let sandbox = Sandbox::new().unwrap();
    let file = sandbox.path().join("token");
    std::fs::write(&file, token).unwrap();
    let authority = cluster.directory.join("ca.crt");
    let (host, port) = cluster.server.rsplit_once(':').unwrap();
    let host = host.trim_start_matches("https://");
    let place = "/var/run/secrets/kubernetes.io/serviceaccount";
    let before = format!(
        "unset KUBECONFIG; export KUBERNETES_SERVICE_HOST={host} KUBERNETES_SERVICE_PORT={port}; \
         mount -t tmpfs secrets /var/run && mkdir -p {place} && cp {} {place}/token && \
         cp {} {place}/ca.crt || exit 9;",
        file.display(),
        authority.display()
    );
    let start = Start { config: &config, before: &before, ..Start::default() };
    let engine = Engine::apart(&sandbox, &start);
    engine.ready().await;
    let pods = cluster.pods("web").await;
    assert_eq!(engine.post("/hooks", crash(&cluster, &pods)).await, 200);
    restarted(&engine, &cluster).await;
    assert!(!std::path::Path::new(place).exists(), "nothing is laid there for others");
}
