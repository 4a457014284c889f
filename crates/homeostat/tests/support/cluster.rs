//! A real API of Kubernetes, and what stands in for the nodes that it does not have. `make test-kubernetes`
//! starts it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::{Certificate, Client, Identity, Method};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::until;

/// A namespace, and two nodes, of one test.
pub(crate) struct Cluster {
    pub(crate) directory: PathBuf,
    pub(crate) client: Client,
    pub(crate) server: String,
    /// The namespace; nodes are named after it.
    pub(crate) name: String,
    kubelet: Kubelet,
}

/// What makes pods of the namespace run, and end.
struct Kubelet {
    task: JoinHandle<()>,
    starts: Arc<AtomicBool>,
    ends: Arc<AtomicBool>,
    /// All pods that there ever were, by uid.
    seen: Arc<Mutex<BTreeSet<String>>>,
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Cluster {
    /// Makes a namespace and nodes for a test of this name.
    pub(crate) async fn new(test: &str) -> Self {
        let directory = std::env::var_os("HOMEOSTAT_TEST_KUBERNETES");
        let directory = PathBuf::from(directory.expect("`make test-kubernetes` runs this"));
        let read = |name: &str| std::fs::read(directory.join(name)).unwrap();
        // The provider of TLS is installed with it.
        drop(homeostat::demo::stack::client());
        let identity = [read("admin.crt"), read("admin.key")].concat();
        let client = Client::builder()
            .no_proxy()
            .tls_certs_only([Certificate::from_pem(&read("ca.crt")).unwrap()])
            .identity(Identity::from_pem(&identity).unwrap())
            .build()
            .unwrap();
        let config: Value =
            serde_saphyr::from_str(&String::from_utf8(read("admin.kubeconfig")).unwrap()).unwrap();
        let server = config["clusters"][0]["cluster"]["server"].as_str().unwrap().to_owned();
        let name = format!("{test}-{}", std::process::id());
        let (starts, ends) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(true)));
        let seen = Arc::<Mutex<BTreeSet<String>>>::default();
        let lane = Lane {
            client: client.clone(),
            server: server.clone(),
            name: name.clone(),
            seen: seen.clone(),
        };
        let task = tokio::spawn(lane.keep(starts.clone(), ends.clone()));
        let kubelet = Kubelet { task, starts, ends, seen };
        let cluster = Self { directory, client, server, name, kubelet };
        let namespace = json!({ "apiVersion": "v1", "kind": "Namespace",
                                "metadata": { "name": cluster.name } });
        cluster.post("/api/v1/namespaces", namespace).await;
        for node in ["a", "b"] {
            let node = cluster.node(node);
            let made = json!({ "apiVersion": "v1", "kind": "Node",
                               "metadata": { "name": node, "labels": { "of": cluster.name } } });
            cluster.post("/api/v1/nodes", made).await;
            // A node is not ready until its kubelet says so, and there is none.
            let path = format!("/api/v1/nodes/{node}");
            cluster.patch(&path, json!({ "spec": { "taints": null } })).await;
        }
        cluster
    }

    /// The name of one of its nodes.
    pub(crate) fn node(&self, node: &str) -> String {
        format!("{}-{node}", self.name)
    }

    /// Where something of the namespace is.
    pub(crate) fn path(&self, kind: &str, name: &str) -> String {
        let group = match kind {
            "pods" | "events" => "/api/v1",
            "poddisruptionbudgets" => "/apis/policy/v1beta1",
            "cronjobs" => "/apis/batch/v1beta1",
            "jobs" => "/apis/batch/v1",
            _ => "/apis/apps/v1",
        };
        let path = format!("{group}/namespaces/{}/{kind}", self.name);
        if name.is_empty() { path } else { format!("{path}/{name}") }
    }

    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (u16, Value) {
        ask(&self.client, &self.server, method, path, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Option<Value> {
        let (status, value) = self.ask(Method::GET, path, None).await;
        (status == 200).then_some(value)
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        let (status, value) = self.ask(Method::POST, path, Some(body)).await;
        assert!(status < 300, "{path}: {value:#}");
        value
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Value {
        let (status, value) = self.ask(Method::PATCH, path, Some(body)).await;
        assert!(status < 300, "{path}: {value:#}");
        value
    }

    /// Ends something at once.
    pub(crate) async fn delete(&self, path: &str) {
        let (status, value) =
            self.ask(Method::DELETE, &format!("{path}?gracePeriodSeconds=0"), None).await;
        assert!(status < 300, "{path}: {value:#}");
    }

    pub(crate) async fn items(&self, path: &str) -> Vec<Value> {
        self.get(path).await.unwrap()["items"].as_array().unwrap().clone()
    }

    /// Makes a workload and waits until all of its pods are ready.
    pub(crate) async fn workload(&self, kind: &str, name: &str, replicas: u32) -> Value {
        self.post(&self.path(kind, ""), self.workload_of(kind, name, replicas)).await;
        self.ready(kind, name).await
    }

    /// A workload as it is made.
    pub(crate) fn workload_of(&self, kind: &str, name: &str, replicas: u32) -> Value {
        let kind_of = match kind {
            "deployments" => "Deployment",
            "statefulsets" => "StatefulSet",
            _ => "DaemonSet",
        };
        let mut spec = json!({
            "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name } },
                "spec": { "nodeSelector": { "of": self.name },
                          "containers": [{ "name": "c", "image": "registry/x:1" }] },
            },
        });
        match kind {
            "deployments" => spec["replicas"] = replicas.into(),
            "statefulsets" => {
                spec["replicas"] = replicas.into();
                spec["serviceName"] = name.into();
            }
            _ => {}
        }
        json!({ "apiVersion": "apps/v1", "kind": kind_of, "metadata": { "name": name }, "spec": spec })
    }

    /// Waits until all pods of a workload are ready.
    pub(crate) async fn ready(&self, kind: &str, name: &str) -> Value {
        let path = self.path(kind, name);
        until("a ready workload", || async {
            let object = self.get(&path).await?;
            let status = |key: &str| object["status"][key].as_i64().unwrap_or(0);
            let (wanted, is) = match kind {
                "daemonsets" => (status("desiredNumberScheduled").max(1), status("numberReady")),
                _ => (object["spec"]["replicas"].as_i64()?, status("readyReplicas")),
            };
            let is_seen =
                status("observedGeneration") >= object["metadata"]["generation"].as_i64()?;
            (is_seen && is >= wanted).then_some(object)
        })
        .await
    }

    /// The pods of a workload that are not ending, the oldest first.
    pub(crate) async fn pods(&self, app: &str) -> Vec<Value> {
        let path = format!("{}?labelSelector=app%3D{app}", self.path("pods", ""));
        let mut pods = self.items(&path).await;
        pods.retain(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        pods
    }

    /// Makes a pod that nobody would start again.
    pub(crate) async fn pod(&self, name: &str, node: &str) -> Value {
        self.post(&self.path("pods", ""), pod_of(name, node)).await
    }

    /// A budget that lets pods of an app go as long as so many are ready, once it says so.
    pub(crate) async fn budget(&self, app: &str, least: u32) {
        let budget = json!({
            "apiVersion": "policy/v1beta1", "kind": "PodDisruptionBudget",
            "metadata": { "name": app },
            "spec": { "minAvailable": least, "selector": { "matchLabels": { "app": app } } },
        });
        self.post(&self.path("poddisruptionbudgets", ""), budget).await;
        let path = self.path("poddisruptionbudgets", app);
        until("the budget's status", || async {
            let budget = self.get(&path).await?;
            budget["status"]["observedGeneration"].as_i64().filter(|seen| *seen > 0)?;
            (budget["status"]["currentHealthy"].as_i64()? >= i64::from(least)).then_some(())
        })
        .await;
    }

    /// Whether pods become ready.
    pub(crate) fn starts_pods(&self, so: bool) {
        self.kubelet.starts.store(so, Ordering::Relaxed);
    }

    /// Whether pods that end are gone at last.
    pub(crate) fn ends_pods(&self, so: bool) {
        self.kubelet.ends.store(so, Ordering::Relaxed);
    }

    /// How many pods there ever were.
    pub(crate) fn pods_ever(&self) -> usize {
        self.kubelet.seen.lock().len()
    }

    /// The kubeconfig of a user of the server.
    pub(crate) fn kubeconfig(&self, user: &str) -> PathBuf {
        self.directory.join(format!("{user}.kubeconfig"))
    }
}

/// A pod that nobody would start again, as it is made.
pub(crate) fn pod_of(name: &str, node: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": name, "labels": { "app": name } },
        "spec": { "nodeName": node, "containers": [{ "name": "c", "image": "registry/x:1" }] },
    })
}

async fn ask(
    client: &Client,
    server: &str,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> (u16, Value) {
    let form = if method == Method::PATCH { "strategic-merge-patch+json" } else { "json" };
    let mut request = client.request(method, format!("{server}{path}"));
    if let Some(body) = body {
        request = request.header("content-type", format!("application/{form}"));
        request = request.body(body.to_string());
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or_default())
}

/// What the kubelet asks by.
struct Lane {
    client: Client,
    server: String,
    name: String,
    seen: Arc<Mutex<BTreeSet<String>>>,
}

impl Lane {
    async fn keep(self, starts: Arc<AtomicBool>, ends: Arc<AtomicBool>) {
        loop {
            let path = format!("/api/v1/namespaces/{}/pods", self.name);
            let (_, list) = ask(&self.client, &self.server, Method::GET, &path, None).await;
            for pod in list["items"].as_array().into_iter().flatten() {
                self.seen.lock().insert(pod["metadata"]["uid"].as_str().unwrap().to_owned());
                if !pod["metadata"]["deletionTimestamp"].is_null() {
                    if ends.load(Ordering::Relaxed) {
                        self.end(pod).await;
                    }
                } else if starts.load(Ordering::Relaxed) {
                    self.start(pod).await;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn path(&self, pod: &Value, of: &str) -> String {
        let name = pod["metadata"]["name"].as_str().unwrap();
        format!("/api/v1/namespaces/{}/pods/{name}{of}", self.name)
    }

    async fn ask(&self, method: Method, path: &str, body: Value) {
        // Another may have been there first.
        ask(&self.client, &self.server, method, path, Some(body)).await;
    }

    async fn end(&self, pod: &Value) {
        let body = json!({ "apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0,
                           "preconditions": { "uid": pod["metadata"]["uid"] } });
        self.ask(Method::DELETE, &self.path(pod, ""), body).await;
    }

    /// Binds a pod, and makes it ready: on the node that is wanted for it, else on one that is open.
    async fn start(&self, pod: &Value) {
        if pod["spec"]["nodeName"].is_null() {
            let wanted = pod.pointer(
                "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution\
                 /nodeSelectorTerms/0/matchFields/0/values/0",
            );
            let node = match wanted.and_then(Value::as_str) {
                Some(node) => node.to_owned(),
                None => self.open_node().await,
            };
            let target = json!({ "apiVersion": "v1", "kind": "Node", "name": node });
            let body = json!({ "apiVersion": "v1", "kind": "Binding", "target": target,
                               "metadata": { "name": pod["metadata"]["name"] } });
            self.ask(Method::POST, &self.path(pod, "/binding"), body).await;
        }
        if pod["status"]["phase"] != "Running" && pod["status"]["phase"] != "Succeeded" {
            let at = "2026-01-01T00:00:00Z";
            let condition =
                |kind| json!({ "type": kind, "status": "True", "lastTransitionTime": at });
            let conditions = ["Ready", "ContainersReady", "PodScheduled", "Initialized"];
            let body = json!({ "status": {
                "phase": "Running", "startTime": at, "podIP": "10.1.0.1",
                "conditions": conditions.map(condition),
            } });
            self.ask(Method::PATCH, &self.path(pod, "/status"), body).await;
        }
    }

    async fn open_node(&self) -> String {
        let path = format!("/api/v1/nodes?labelSelector=of%3D{}", self.name);
        let (_, list) = ask(&self.client, &self.server, Method::GET, &path, None).await;
        let nodes = list["items"].as_array().into_iter().flatten();
        let open = nodes.filter(|node| node["spec"]["unschedulable"] != true);
        let names = open.filter_map(|node| node["metadata"]["name"].as_str());
        names.min().unwrap_or("nowhere").to_owned()
    }
}
