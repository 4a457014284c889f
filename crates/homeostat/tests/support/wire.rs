//! Stands between a hand and the API of a cluster, and loses what a test wants lost.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::cluster::Cluster;

/// What becomes of a request.
#[derive(Clone)]
pub(crate) enum Fate {
    /// It passes.
    Pass,
    /// It is not passed on, and its connection is cut.
    Deaf,
    /// It is passed on, and its connection is cut instead of an answer.
    Mute,
    /// It waits until the test says so.
    Wait(Arc<Notify>),
}

type Decide = Box<dyn FnMut(&str) -> Fate + Send>;

/// A wire that is there until the test ends.
pub(crate) struct Wire {
    pub(crate) port: u16,
    seen: Arc<Mutex<Vec<String>>>,
    answered: Arc<Mutex<Vec<(String, u16)>>>,
}

impl Wire {
    /// Lays a wire: `decide` is told each request, as `PATCH /path`, and says what becomes of it.
    pub(crate) async fn new(
        cluster: &Cluster,
        decide: impl FnMut(&str) -> Fate + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let answered = Arc::<Mutex<Vec<(String, u16)>>>::default();
        let line = Line {
            client: cluster.client.clone(),
            server: cluster.server.clone(),
            decide: Mutex::new(Box::new(decide)),
            seen: seen.clone(),
            answered: answered.clone(),
        };
        let line = Arc::new(line);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let line = line.clone();
                tokio::spawn(async move {
                    // A connection that is cut in the middle is what it is for.
                    let _ = line.serve(connection).await;
                });
            }
        });
        Self { port, seen, answered }
    }

    /// What was asked so far.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().clone()
    }

    /// What the server answered so far, and to what.
    pub(crate) fn answered(&self) -> Vec<(String, u16)> {
        self.answered.lock().clone()
    }

    /// A kubeconfig by which the cluster is reached through it.
    pub(crate) fn kubeconfig(&self, directory: &std::path::Path) -> PathBuf {
        let path = directory.join("wire.kubeconfig");
        let config = format!(
            "current-context: w\nclusters: [{{name: w, cluster: {{server: 'http://127.0.0.1:{}'}}}}]\n\
             users: [{{name: w, user: {{}}}}]\ncontexts: [{{name: w, context: {{cluster: w, user: w}}}}]\n",
            self.port
        );
        std::fs::write(&path, config).unwrap();
        path
    }
}

/// What a connection needs.
struct Line {
    client: reqwest::Client,
    server: String,
    decide: Mutex<Decide>,
    seen: Arc<Mutex<Vec<String>>>,
    answered: Arc<Mutex<Vec<(String, u16)>>>,
}

impl Line {
    async fn serve(&self, connection: TcpStream) -> Option<()> {
        let mut connection = BufReader::new(connection);
        let mut line = String::new();
        connection.read_line(&mut line).await.ok()?;
        let mut words = line.split_whitespace();
        let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
        let (mut length, mut form) = (0, String::new());
        loop {
            let mut header = String::new();
            connection.read_line(&mut header).await.ok()?;
            let Some((name, value)) = header.trim().split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().ok()?,
                "content-type" => value.trim().clone_into(&mut form),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        connection.read_exact(&mut body).await.ok()?;
        let asked = format!("{method} {path}");
        let fate = self.decide.lock()(&asked);
        self.seen.lock().push(asked.clone());
        match &fate {
            Fate::Deaf => return None,
            Fate::Wait(until) => until.notified().await,
            Fate::Pass | Fate::Mute => {}
        }
        let mut request =
            self.client.request(method.parse().ok()?, format!("{}{path}", self.server)).body(body);
        if !form.is_empty() {
            request = request.header("content-type", form);
        }
        let answer = request.send().await.ok()?;
        let status = answer.status();
        self.answered.lock().push((asked, status.as_u16()));
        let body = answer.bytes().await.ok()?;
        if let Fate::Mute = fate {
            return None;
        }
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n",
            body.len()
        );
        connection.write_all(head.as_bytes()).await.ok()?;
        connection.write_all(&body).await.ok()?;
        connection.flush().await.ok()
    }
}
