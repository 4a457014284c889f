//! What the API server asks of others, by TLS: kubelets, and webhooks that judge what is about to be written.

use std::sync::Arc;

use base64::Engine as _;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::cluster::Cluster;
use super::until;

/// What is answered: a status, and a text.
pub(crate) type Said = (u16, String);

type Answer = Box<dyn FnMut(&str, &Value) -> Said + Send>;

/// A server that is there until the test ends.
pub(crate) struct Secure {
    pub(crate) port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Secure {
    /// Starts one: `answer` is told each request, as `GET /path`, and its body.
    pub(crate) async fn new(
        cluster: &Cluster,
        answer: impl FnMut(&str, &Value) -> Said + Send + 'static,
    ) -> Self {
        let at = |name: &str| cluster.directory.join(name);
        let certificate = CertificateDer::from_pem_file(at("server.crt")).unwrap();
        let key = PrivateKeyDer::from_pem_file(at("server.key")).unwrap();
        let config = ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![certificate], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let noted = seen.clone();
        let answer: Arc<Mutex<Answer>> = Arc::new(Mutex::new(Box::new(answer)));
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let (acceptor, answer, noted) = (acceptor.clone(), answer.clone(), noted.clone());
                tokio::spawn(async move {
                    // A connection that the server gives up is none of the test's.
                    let _ = serve(&acceptor, connection, &answer, &noted).await;
                });
            }
        });
        Self { port, seen }
    }

    /// What was asked so far.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().clone()
    }

    /// Makes it the kubelet of a node.
    pub(crate) async fn keeps(&self, cluster: &Cluster, node: &str) {
        let status = json!({ "status": {
            "addresses": [{ "type": "InternalIP", "address": "127.0.0.1" }],
            "daemonEndpoints": { "kubeletEndpoint": { "Port": self.port } },
        } });
        cluster.patch(&format!("/api/v1/nodes/{node}/status"), status).await;
    }

    /// Lets it judge what is changed of the Deployments of the cluster's namespace, once it is asked.
    pub(crate) async fn judges(&self, cluster: &Cluster) {
        judged_at(cluster, self.port).await;
        until("the webhook in force", || async {
            let path = format!("{}?dryRun=All", cluster.path("deployments", "web"));
            let change = json!({ "metadata": { "labels": { "judged": "yes" } } });
            cluster.ask(reqwest::Method::PATCH, &path, Some(change)).await;
            (!self.seen().is_empty()).then_some(())
        })
        .await;
    }
}

/// Lets whoever listens at a port judge what is changed of the Deployments of the cluster's namespace.
pub(crate) async fn judged_at(cluster: &Cluster, port: u16) {
    let label = json!({ "metadata": { "labels": { "of": cluster.name } } });
    cluster.patch(&format!("/api/v1/namespaces/{}", cluster.name), label).await;
    let authority = std::fs::read(cluster.directory.join("ca.crt")).unwrap();
    let webhook = json!({
        "name": "friday.example.org", "sideEffects": "None", "failurePolicy": "Fail",
        "admissionReviewVersions": ["v1"], "timeoutSeconds": 5,
        "namespaceSelector": { "matchLabels": { "of": cluster.name } },
        "rules": [{ "apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["UPDATE"],
                    "resources": ["deployments"] }],
        "clientConfig": { "url": format!("https://127.0.0.1:{port}/"),
                          "caBundle": base64::prelude::BASE64_STANDARD.encode(authority) },
    });
    let all = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
    let body = json!({ "metadata": { "name": cluster.name }, "webhooks": [webhook] });
    cluster.post(all, body).await;
}

async fn serve(
    acceptor: &TlsAcceptor,
    connection: TcpStream,
    answer: &Mutex<Answer>,
    seen: &Mutex<Vec<String>>,
) -> Option<()> {
    let mut connection = BufReader::new(acceptor.accept(connection).await.ok()?);
    let mut line = String::new();
    connection.read_line(&mut line).await.ok()?;
    let asked = line.trim().rsplit_once(' ')?.0.to_owned();
    let mut length = 0;
    loop {
        let mut header = String::new();
        connection.read_line(&mut header).await.ok()?;
        let Some((name, value)) = header.trim().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await.ok()?;
    let body = serde_json::from_slice(&body).unwrap_or_default();
    seen.lock().push(asked.clone());
    let (status, text) = answer.lock()(&asked, &body);
    let head = format!(
        "HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        text.len()
    );
    connection.write_all(head.as_bytes()).await.ok()?;
    connection.write_all(text.as_bytes()).await.ok()?;
    connection.shutdown().await.ok()
}
