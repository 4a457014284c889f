//! HTTP to the servers that we ask and tell: Alertmanager and Prometheus.
//!
//! Duty: one server's base URL with what its `http_config` says about credentials, headers, TLS and
//! a proxy, read anew where it stands in files, because these rotate; answers whole, and bounded in
//! time and size; errors that a person can read. *Not* its duty: what the answers mean (`probe`,
//! `notice`).
//!
//! A redirect is never followed: followed as in a browser, a POST becomes a GET whose answer looks
//! like success. It is an error that names the place to configure instead. Proxies from the
//! environment are not used, as in Prometheus.

mod call;
mod connect;
mod credentials;
mod error;
mod form;
mod oauth2;
mod options;
#[cfg(test)]
pub(crate) mod tests;

use std::fmt;
use std::future::{Future, poll_fn};
use std::path::Path;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use parking_lot::Mutex;
use reqwest::header::{CONTENT_TYPE, HOST, LOCATION};
use reqwest::{Method, RequestBuilder, StatusCode, Url};
use tokio::time::Instant;

pub(crate) use call::without;
pub use call::{Answer, NoAnswer, Outgoing};
pub use error::ClientError;
use error::causes;
pub use homeostat_hands::act::one_line;
pub(crate) use oauth2::encoded;
pub use oauth2::{TokenOptions, Tokens};
pub use options::{
    Authorization, BasicAuth, ClientOptions, ExtraHeader, ProxyOptions, Secret, TlsOptions,
};

/// How long one request may take, its answer read: half of a busy server's scrape time-out, and
/// short enough for several in the time that the engine waits for an answer.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of one answer. An alert is listed in about 1 KiB, so that this is a listing of 64,000.
pub const ANSWER_BYTES: usize = 64 << 20;

/// Bytes that are looked at of an answer that is quoted: its quote is shorter.
const EXCERPT_BYTES: usize = 2 << 10;

/// How long it may take to be connected, TLS included: whoever takes longer was sent nothing.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an idle connection is kept: several looks of a verification.
const IDLE_CONNECTION: Duration = Duration::from_secs(90);

/// What a server answered.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// Returns the beginning of the body as one line, for a person.
    pub fn excerpt(&self) -> String {
        let most = &self.body[..self.body.len().min(EXCERPT_BYTES)];
        one_line(&String::from_utf8_lossy(most))
    }
}

/// One server, and how to speak with it.
pub struct Client {
    base: Url,
    server: String,
    options: ClientOptions,
    current: Mutex<Option<(Stamp, reqwest::Client)>>,
    /// When a POST of a question was refused that a GET was answered.
    post_refused: Mutex<Option<Instant>>,
}

/// A body and its media type.
type Body = (&'static str, Vec<u8>);

/// When the files of a client's TLS settings were changed, and how long they are.
type Stamp = Vec<(SystemTime, u64)>;

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("server", &self.server).finish_non_exhaustive()
    }
}

impl Client {
    /// Prepares to speak with the server at this base URL. Nothing is read or sent yet.
    ///
    /// # Errors
    ///
    /// The URL is not an http or https URL with a host.
    pub fn new(base: &str, options: ClientOptions) -> Result<Self, ClientError> {
        let wrong = |reason: String| ClientError::Url { url: base.to_owned(), reason };
        let url = Url::parse(base).map_err(|error| wrong(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(wrong("expected http://HOST or https://HOST".into()));
        }
        let server = readable(&url);
        let (current, post_refused) = (Mutex::default(), Mutex::default());
        Ok(Self { base: url, server, options, current, post_refused })
    }

    /// Returns the base URL without credentials, as errors call the server.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Sends a GET.
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Reply, ClientError> {
        let mut url = self.url(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.send(Method::GET, url, None).await
    }

    /// Sends a POST of a form.
    pub async fn post_form(
        &self,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Result<Reply, ClientError> {
        self.send(Method::POST, self.url(path), Some(self.form(fields))).await
    }

    /// Sends a POST of a form to the very URL that was configured, as somebody.
    async fn post_form_as(
        &self,
        whom: Option<&BasicAuth>,
        fields: &[(&str, &str)],
    ) -> Result<Reply, ClientError> {
        self.send_as(whom, Method::POST, self.base.clone(), Some(self.form(fields))).await
    }

    fn form(&self, fields: &[(&str, &str)]) -> Body {
        let mut form = self.url("");
        form.query_pairs_mut().clear().extend_pairs(fields);
        let body = form.query().unwrap_or_default().to_owned().into_bytes();
        ("application/x-www-form-urlencoded", body)
    }

    /// Sends a POST of JSON.
    pub async fn post_json(&self, path: &str, json: Vec<u8>) -> Result<Reply, ClientError> {
        self.send(Method::POST, self.url(path), Some(("application/json", json))).await
    }

    /// Sends a request to a URL at this server, with JSON where there is any.
    pub async fn request(
        &self,
        method: Method,
        url: Url,
        json: Option<Vec<u8>>,
    ) -> Result<Reply, ClientError> {
        self.send(method, url, json.map(|json| ("application/json", json))).await
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url
    }

    async fn send(
        &self,
        method: Method,
        url: Url,
        body: Option<Body>,
    ) -> Result<Reply, ClientError> {
        self.send_as(self.options.basic_auth.as_ref(), method, url, body).await
    }

    async fn send_as(
        &self,
        whom: Option<&BasicAuth>,
        method: Method,
        mut url: Url,
        body: Option<Body>,
    ) -> Result<Reply, ClientError> {
        if !self.options.params.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.options.params);
        }
        let request = async {
            let client = self.client().await?;
            let mut request = self.address(&client, method, url)?;
            request = self.introduce(request, whom).await?;
            if let Some((kind, body)) = body {
                request = request.header(CONTENT_TYPE, kind).body(body);
            }
            let sent_at = Instant::now();
            let reply = self.receive(request).await?;
            self.heed(reply.status, sent_at).await;
            Ok(reply)
        };
        let timeout = self.options.timeout.unwrap_or(REQUEST_TIMEOUT);
        let slow = |_| ClientError::TooSlow { server: self.server.clone(), timeout };
        tokio::time::timeout(timeout, request).await.map_err(slow)?
    }

    /// Puts the name of the certificate in place of the host, if it has another. The name is never
    /// looked up: see [`Fixed`].
    fn address(
        &self,
        client: &reqwest::Client,
        method: Method,
        mut url: Url,
    ) -> Result<RequestBuilder, ClientError> {
        let Some(name) = &self.options.tls.server_name else {
            return Ok(client.request(method, url));
        };
        let host = match (url.host_str().unwrap_or_default(), url.port()) {
            (host, Some(port)) => format!("{host}:{port}"),
            (host, None) => host.to_owned(),
        };
        let changed = url.set_host(Some(name));
        if changed.is_err() || url.domain().is_none() {
            return Err(self.unusable(format!("server_name {name:?} is not a host name")));
        }
        Ok(client.request(method, url).header(HOST, host))
    }

    async fn receive(&self, request: RequestBuilder) -> Result<Reply, ClientError> {
        let mut response = request.send().await.map_err(|error| self.unreachable(error))?;
        let status = response.status();
        if status.is_redirection() {
            let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            let location = location.unwrap_or("nowhere").to_owned();
            return Err(ClientError::Redirected { server: self.server.clone(), location });
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.broken(error))? {
            if body.len() + chunk.len() > ANSWER_BYTES {
                return Err(ClientError::TooLong { server: self.server.clone() });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status, body: body.into() })
    }

    async fn read(&self, path: &Path) -> Result<Vec<u8>, ClientError> {
        tokio::fs::read(path).await.map_err(|source| self.unreadable(path, source))
    }

    fn unreadable(&self, path: &Path, source: std::io::Error) -> ClientError {
        ClientError::File { server: self.server.clone(), path: path.to_owned(), source }
    }

    fn unusable(&self, reason: String) -> ClientError {
        ClientError::Settings { server: self.server.clone(), reason }
    }

    fn broken(&self, error: reqwest::Error) -> ClientError {
        let reason = causes(&error.without_url());
        ClientError::Broken { server: self.server.clone(), reason }
    }

    fn unreachable(&self, error: reqwest::Error) -> ClientError {
        ClientError::Unreachable {
            server: self.server.clone(),
            reason: causes(&error.without_url()),
        }
    }
}

/// Writes a URL without credentials and without the slash at its end.
fn readable(url: &Url) -> String {
    let mut url = url.clone();
    // Neither fails for a URL with a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.as_str().trim_end_matches('/').to_owned()
}

/// Reads a long answer of a server where it holds up nobody else. An error is for a person.
pub(crate) async fn decode<T: serde::de::DeserializeOwned + Send + 'static>(
    body: Bytes,
    server: &str,
) -> Result<T, String> {
    let read = tokio::task::spawn_blocking(move || serde_json::from_slice(&body)).await;
    match read {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(format!("the answer of {server} is not understood: {error}")),
        Err(_) => Err(format!("the answer of {server} was not read: shutting down")),
    }
}

/// Waits for all of these at once; their results keep the order.
///
/// For the handful of requests of one question: each wake-up looks at all that are not done.
pub(crate) async fn all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    enum Part<F: Future> {
        Waiting(Pin<Box<F>>),
        Done(Option<F::Output>),
    }
    let mut parts: Vec<Part<F>> =
        futures.into_iter().map(|future| Part::Waiting(Box::pin(future))).collect();
    poll_fn(|context| {
        let mut waiting = false;
        for part in &mut parts {
            if let Part::Waiting(future) = part {
                match future.as_mut().poll(context) {
                    Poll::Ready(output) => *part = Part::Done(Some(output)),
                    Poll::Pending => waiting = true,
                }
            }
        }
        if waiting { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    let outputs = parts.into_iter().map(|part| match part {
        Part::Done(output) => output,
        Part::Waiting(_) => None,
    });
    outputs.map(|output| output.expect("all of them are done")).collect()
}
