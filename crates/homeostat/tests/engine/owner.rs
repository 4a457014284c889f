//! Whose a pod is: a real engine, and somebody who answers as an API server does.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use homeostat::demo::stack::Sandbox;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Engine, notification, ran, until};

/// A cluster in which every pod is the Deployment's that its name begins with.
#[derive(Default)]
struct Api {
    is_up: AtomicBool,
    asked: AtomicUsize,
}

impl Api {
    /// Serves until the test ends, and returns a kubeconfig by which it is found.
    async fn serve(self: &Arc<Self>, directory: &Path) -> PathBuf {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = format!(
            "current-context: a\nclusters: [{{name: a, cluster: {{server: 'http://{}'}}}}]\n\
             users: [{{name: a, user: {{token: t}}}}]\n\
             contexts: [{{name: a, context: {{cluster: a, user: a}}}}]\n",
            listener.local_addr().unwrap()
        );
        let path = directory.join("kubeconfig");
        std::fs::write(&path, config).unwrap();
        let api = self.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                api.answer(connection).await;
            }
        });
        path
    }

    async fn answer(&self, connection: TcpStream) {
        let mut connection = BufReader::new(connection);
        let mut line = String::new();
        connection.read_line(&mut line).await.unwrap();
        loop {
            let mut header = String::new();
            connection.read_line(&mut header).await.unwrap();
            if header.trim().is_empty() {
                break;
            }
        }
        self.asked.fetch_add(1, Ordering::Relaxed);
        let path = line.split(' ').nth(1).unwrap();
        let (status, body) = if self.is_up.load(Ordering::Relaxed) {
            object(path)
        } else {
            let words = "pods is forbidden: User \"homeostat\" cannot get resource";
            (403, json!({ "kind": "Status", "message": words, "code": 403 }))
        };
        let body = body.to_string();
        let text = format!(
            "HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        connection.write_all(text.as_bytes()).await.unwrap();
    }
}

fn object(path: &str) -> (u16, Value) {
    let (kinds, name) = path.rsplit_once('/').unwrap();
    let app = name.split('-').next().unwrap();
    let (uid, owner) = match kinds.rsplit('/').next() {
        Some("pods") => (format!("uid of {name}"), ("ReplicaSet", format!("{app}-5d4f"))),
        _ => (format!("uid of {name}"), ("Deployment", app.to_owned())),
    };
    let (kind, owner) = owner;
    let reference = json!({ "apiVersion": "apps/v1", "kind": kind, "name": owner,
                            "uid": format!("uid of {owner}"), "controller": true });
    (200, json!({ "metadata": { "name": name, "uid": uid, "ownerReferences": [reference] } }))
}

fn config(sandbox: &Sandbox, kubeconfig: &Path) -> String {
    let ran = sandbox.path().join("ran");
    format!(
        r#"
policies:
  - name: crash-looping
    matchers: ['alertname="PodCrashLooping"']
    owner_of: {{ kubeconfig: {}, namespace: "{{{{ labels.namespace }}}}", pod: "{{{{ labels.pod }}}}" }}
    target: [namespace, owner_kind, owner_name]
    mode: auto
    escalate: none
    guard: {{ lock: ["{{{{ labels.owner_name }}}}"] }}
    remedies:
      - name: restart
        script: echo "$HOMEOSTAT_LABEL_owner_kind/$HOMEOSTAT_LABEL_owner_name" >> {}
"#,
        kubeconfig.display(),
        ran.display()
    )
}

fn crash(pods: &[&str]) -> String {
    let alerts: Vec<[(&str, &str); 3]> = pods
        .iter()
        .map(|pod| [("alertname", "PodCrashLooping"), ("namespace", "shop"), ("pod", *pod)])
        .collect();
    let alerts: Vec<&[(&str, &str)]> = alerts.iter().map(|alert| &alert[..]).collect();
    notification(&alerts)
}

#[tokio::test]
async fn three_pods_of_one_deployment_are_one_incident_and_one_order() {
    let sandbox = Sandbox::new().unwrap();
    let api = Arc::new(Api { is_up: true.into(), ..Api::default() });
    let kubeconfig = api.serve(sandbox.path()).await;
    let engine = Engine::start(&sandbox, &config(&sandbox, &kubeconfig), &[]).await;
    assert_eq!(engine.post("/hooks", crash(&["web-1", "web-2", "web-3"])).await, 200);
    let incident = until("all three alerts and the end of the order", || async {
        let incident = engine.incidents().await.first()?.clone();
        let is_whole = incident["alerts_total"] == 3;
        (is_whole && incident["orders"][0]["ended_at"].is_string()).then_some(incident)
    })
    .await;
    let target = json!({ "namespace": "shop", "owner_kind": "Deployment", "owner_name": "web" });
    assert_eq!(incident["target"], target, "{incident:#}");
    let owner = json!({ "kind": "Deployment", "name": "web", "uid": "uid of web" });
    let alerts = incident["alerts"].as_array().unwrap();
    assert!(alerts.iter().all(|alert| alert["owner"] == owner), "{incident:#}");
    assert_eq!(engine.incidents().await.len(), 1);
    assert_eq!(ran(sandbox.path()), ["Deployment/web"]);
    assert_eq!(api.asked.load(Ordering::Relaxed), 6, "a pod and its ReplicaSet, once each");
    let timeline = incident["timeline"].to_string();
    assert!(timeline.contains("is about belongs to Deployment web."), "{incident:#}");
    let left = std::fs::read_dir(engine.directory.join("data/orders")).unwrap();
    let aside = left.filter(|entry| {
        entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("aside.")
    });
    assert_eq!(aside.count(), 0, "what was asked leaves nothing behind");
}

#[tokio::test]
async fn what_the_server_does_not_tell_is_asked_again_by_the_next_engine_too() {
    let sandbox = Sandbox::new().unwrap();
    let api = Arc::<Api>::default();
    let kubeconfig = api.serve(sandbox.path()).await;
    let mut engine = Engine::start(&sandbox, &config(&sandbox, &kubeconfig), &[]).await;
    assert_eq!(engine.post("/hooks", crash(&["web-1"])).await, 200);
    let said = until("the server's words", || async {
        let alerts = engine.json("/api/v1/alerts").await;
        let owner = alerts["groups"][0]["alerts"][0]["owner"].as_str()?.to_owned();
        owner.contains("forbidden").then_some(owner)
    })
    .await;
    assert!(said.starts_with("asked again at "), "{said}");
    assert!(said.contains("cannot get resource"), "{said}");
    assert!(engine.incidents().await.is_empty());
    engine.kill();
    api.is_up.store(true, Ordering::Relaxed);
    engine.restart().await;
    until("the order", || async { (ran(sandbox.path()) == ["Deployment/web"]).then_some(()) })
        .await;
    let incident = engine.incidents().await.remove(0);
    assert_eq!(incident["alerts_total"], 1, "{incident:#}");
}
