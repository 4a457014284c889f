//! HTTP to the servers that we ask and tell: Alertmanager and Prometheus.
//!
//! Duty: one server's base URL with what its `http_config` says about credentials and TLS, read
//! anew where it stands in files, because these rotate; answers bounded in time and size; errors
//! that a person can read. *Not* its duty: what the answers mean (`probe`, `notice`).
//!
//! A redirect is never followed: followed as in a browser, a POST becomes a GET whose answer looks
//! like success. It is an error that names the place to configure instead. Proxies from the
//! environment are not used, as in Prometheus.

mod call;
mod error;
#[cfg(test)]
pub(crate) mod tests;

use std::fmt;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use parking_lot::Mutex;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Identity, Method, RequestBuilder, StatusCode, Url};

pub use call::{Answer, NoAnswer, Outgoing};
use error::causes;
pub use error::{ClientError, one_line};

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

/// A password or token, or the file that holds it.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// The secret itself.
    Text(String),
    /// A file whose content, without white space around it, is the secret. Read for each request.
    File(PathBuf),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text(<secret>)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// User name and password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BasicAuth {
    /// The user name.
    pub username: String,
    /// The password; none is sent as an empty one.
    pub password: Option<Secret>,
}

/// An `Authorization` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    /// Its first word, usually `Bearer`.
    pub scheme: String,
    /// The rest.
    pub credentials: Secret,
}

/// What is special about TLS with a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// Certificates (PEM) of those who may vouch for the server; else those of the system.
    pub ca_file: Option<PathBuf>,
    /// Our certificate (PEM).
    pub cert_file: Option<PathBuf>,
    /// The key of our certificate (PEM).
    pub key_file: Option<PathBuf>,
    /// The host name that the server's certificate is for, where it differs from the URL's.
    pub server_name: Option<String>,
    /// Whether any certificate will do.
    pub insecure_skip_verify: bool,
}

/// How to speak with a server: the part of Prometheus' `http_config` that we know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientOptions {
    /// User name and password.
    pub basic_auth: Option<BasicAuth>,
    /// An `Authorization` header; wins over `basic_auth`.
    pub authorization: Option<Authorization>,
    /// What is special about TLS.
    pub tls: TlsOptions,
    /// Whether each request has a connection of its own.
    pub single_use: bool,
}

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
}

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
        Ok(Self { base: url, server, options, current: Mutex::new(None) })
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
        let mut form = self.url("");
        form.query_pairs_mut().clear().extend_pairs(fields);
        let body = form.query().unwrap_or_default().to_owned().into_bytes();
        self.send(Method::POST, self.url(path), Some(("application/x-www-form-urlencoded", body)))
            .await
    }

    /// Sends a POST of JSON.
    pub async fn post_json(&self, path: &str, json: Vec<u8>) -> Result<Reply, ClientError> {
        self.send(Method::POST, self.url(path), Some(("application/json", json))).await
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
        body: Option<(&'static str, Vec<u8>)>,
    ) -> Result<Reply, ClientError> {
        let request = async {
            let client = self.client().await?;
            let mut request = self.address(&client, method, url)?;
            request = self.authorize(request).await?;
            if let Some((kind, body)) = body {
                request = request.header(CONTENT_TYPE, kind).body(body);
            }
            self.receive(request).await
        };
        let slow = |_| ClientError::TooSlow { server: self.server.clone() };
        tokio::time::timeout(REQUEST_TIMEOUT, request).await.map_err(slow)?
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

    async fn authorize(&self, request: RequestBuilder) -> Result<RequestBuilder, ClientError> {
        if let Some(Authorization { scheme, credentials }) = &self.options.authorization {
            let text = format!("{scheme} {}", self.reveal(credentials).await?);
            let mut value = HeaderValue::from_str(&text)
                .map_err(|_| self.unusable("the credentials do not fit into a header".into()))?;
            value.set_sensitive(true);
            return Ok(request.header(AUTHORIZATION, value));
        }
        let Some(BasicAuth { username, password }) = &self.options.basic_auth else {
            return Ok(request);
        };
        let password = match password {
            Some(secret) => Some(self.reveal(secret).await?),
            None => None,
        };
        Ok(request.basic_auth(username, password))
    }

    /// Reads a secret.
    pub(crate) async fn reveal(&self, secret: &Secret) -> Result<String, ClientError> {
        match secret {
            Secret::Text(text) => Ok(text.clone()),
            Secret::File(path) => {
                let text = tokio::fs::read_to_string(path).await;
                Ok(text.map_err(|source| self.unreadable(path, source))?.trim().to_owned())
            }
        }
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
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(error))? {
            if body.len() + chunk.len() > ANSWER_BYTES {
                return Err(ClientError::TooLong { server: self.server.clone() });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status, body: body.into() })
    }

    /// Returns the client in use, made anew where the files of its TLS settings have changed.
    async fn client(&self) -> Result<reqwest::Client, ClientError> {
        let mut stamp = Stamp::new();
        let TlsOptions { ca_file, cert_file, key_file, .. } = &self.options.tls;
        for path in [ca_file, cert_file, key_file].into_iter().flatten() {
            let about = tokio::fs::metadata(path).await;
            let about = about.map_err(|source| self.unreadable(path, source))?;
            stamp.push((about.modified().unwrap_or(SystemTime::UNIX_EPOCH), about.len()));
        }
        if let Some((made_of, client)) = &*self.current.lock()
            && *made_of == stamp
        {
            return Ok(client.clone());
        }
        let client = self.build().await?;
        *self.current.lock() = Some((stamp, client.clone()));
        Ok(client)
    }

    async fn build(&self) -> Result<reqwest::Client, ClientError> {
        // Whoever runs us as a library has not necessarily chosen a provider; an error says that
        // one is chosen already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(if self.options.single_use { 0 } else { usize::MAX })
            .pool_idle_timeout(IDLE_CONNECTION)
            .user_agent(concat!("homeostat/", env!("CARGO_PKG_VERSION")));
        if self.base.scheme() == "http" {
            // The system's certificates are not even read: they take time and a MiB.
            builder = builder.tls_certs_only([]);
            return builder.build().map_err(|error| self.unusable(causes(&error)));
        }
        let tls = &self.options.tls;
        if let Some(path) = &tls.ca_file {
            let certificates = Certificate::from_pem_bundle(&self.read(path).await?);
            let certificates = certificates.map_err(|error| self.unusable(causes(&error)))?;
            builder = builder.tls_certs_only(certificates);
        }
        if let (Some(certificate), Some(key)) = (&tls.cert_file, &tls.key_file) {
            let mut pem = self.read(certificate).await?;
            pem.push(b'\n');
            pem.extend(self.read(key).await?);
            let identity = Identity::from_pem(&pem);
            builder = builder.identity(identity.map_err(|error| self.unusable(causes(&error)))?);
        }
        if tls.insecure_skip_verify {
            builder = builder.tls_danger_accept_invalid_certs(true);
        }
        if tls.server_name.is_some() {
            let host = self.base.host_str().unwrap_or_default();
            builder = builder.dns_resolver(Fixed(host.trim_matches(['[', ']']).into()));
        }
        builder.build().map_err(|error| self.unusable(causes(&error)))
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

    fn unreachable(&self, error: reqwest::Error) -> ClientError {
        ClientError::Unreachable {
            server: self.server.clone(),
            reason: causes(&error.without_url()),
        }
    }
}

/// Finds the addresses of one host, whatever name is asked for: this is how a certificate for
/// another name is accepted while the connection goes to the host of the URL.
struct Fixed(String);

impl Resolve for Fixed {
    fn resolve(&self, _: Name) -> Resolving {
        let host = self.0.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host, 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
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
