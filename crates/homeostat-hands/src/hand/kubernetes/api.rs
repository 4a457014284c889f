//! Requests to the API of a cluster, and what is known of each.
//!
//! Nothing is ever sent twice here: whoever asks knows whether it may ask again.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Identity, Method, Proxy, Response, Url};
use serde_json::{Value, json};

use super::access::{Access, Token};
use super::end::End;
use crate::act::one_line;

/// As whom the server is told that a field is set.
pub(super) const MANAGER: &str = "homeostat";

/// A dry run goes through all stages of a request, admission too, but the last one, which keeps it.
const EVERY_STAGE: &str = "All";

/// The longest that a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// The longest that a server may take to answer: webhooks that it asks first may take ten seconds.
const ANSWER: Duration = Duration::from_secs(15);

/// The longest answer: far more than all pods of a large node take.
const ANSWER_BYTES: usize = 64 << 20;

/// A server that can be asked.
pub(super) struct Api {
    client: Client,
    server: Url,
    token: Token,
    /// Whether the server is to change nothing of what it is asked to.
    rehearses: bool,
}

/// What is known of a request.
#[derive(Debug)]
pub(super) enum Answer {
    /// The server did it.
    Yes(Value),
    /// The server says why not, and has not done it.
    No(No),
    /// Nothing was sent.
    Unsent(String),
    /// It was sent, at least in part, and nobody says what came of it.
    Lost(String),
}

/// Why a server did not do something.
#[derive(Debug, Default)]
pub(super) struct No {
    pub(super) code: u16,
    /// Its words.
    pub(super) message: String,
    /// The disruption budget that is why, in its words.
    pub(super) budget: Option<String>,
    /// How long it asks us to wait.
    pub(super) retry_after: Option<Duration>,
}

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// An object, or options.
    Json,
    /// A change of some fields (RFC 7386).
    Merge,
    /// A change of some fields, by what the server knows of lists.
    Strategic,
    /// A list of operations (RFC 6902).
    Operations,
}

impl Form {
    fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Merge => "application/merge-patch+json",
            Self::Strategic => "application/strategic-merge-patch+json",
            Self::Operations => "application/json-patch+json",
        }
    }
}

impl Api {
    /// Gets ready to ask a server; asks nothing yet.
    pub(super) async fn new(access: Access, rehearses: bool) -> Result<Self, End> {
        // An error says that one is chosen already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let refuse = |what: &str| {
            let what = what.to_owned();
            move |error: reqwest::Error| End::Refused(format!("{what}: {}", causes(&error)))
        };
        let mut server = Url::parse(&access.server).map_err(|error| {
            End::Refused(format!("{:?} is no URL of a server: {error}", access.server))
        })?;
        let mut builder = Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            .user_agent(concat!("homeostat/", env!("CARGO_PKG_VERSION")));
        if let Some(authorities) = &access.authorities {
            let authorities = Certificate::from_pem_bundle(authorities);
            builder =
                builder.tls_certs_only(authorities.map_err(refuse("the cluster's authorities"))?);
        }
        if let Some(pem) = &access.certificate {
            builder = builder.identity(Identity::from_pem(pem).map_err(refuse("our certificate"))?);
        }
        if access.skip_verify {
            builder = builder.tls_danger_accept_invalid_certs(true);
        }
        if let Some(proxy) = &access.proxy {
            builder = builder.proxy(Proxy::all(proxy).map_err(refuse("proxy-url"))?);
        }
        if let Some(name) = &access.server_name {
            let host = server.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
            let found = tokio::net::lookup_host((host.as_str(), 0)).await;
            let found = found.map_err(|error| End::NotNow(format!("{host}: {error}")))?;
            let found: Vec<SocketAddr> = found.collect();
            builder = builder.resolve_to_addrs(name, &found);
            let named = server.set_host(Some(name));
            named.map_err(|_| End::Refused(format!("{name:?} is no name of a server")))?;
        }
        let client = builder.build().map_err(refuse("the kubeconfig"))?;
        Ok(Self { client, server, token: access.token, rehearses })
    }

    /// Asks for something, and changes nothing.
    pub(super) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Answer {
        match self.ask(Method::GET, path, query, None).await {
            Ok(response) => answer(response).await,
            Err(answer) => answer,
        }
    }

    /// Asks for a text, at most so long.
    pub(super) async fn text(&self, path: &str, query: &[(&str, &str)], most: usize) -> Answer {
        match self.ask(Method::GET, path, query, None).await {
            Ok(response) if response.status().is_success() => text(response, most).await,
            Ok(response) => answer(response).await,
            Err(answer) => answer,
        }
    }

    /// Asks for a change.
    pub(super) async fn write(
        &self,
        method: Method,
        path: &str,
        form: Form,
        mut body: Value,
    ) -> Answer {
        let mut query = Vec::new();
        if method != Method::DELETE {
            query.push(("fieldManager", MANAGER));
            query.extend(self.rehearses.then_some(("dryRun", EVERY_STAGE)));
        } else if self.rehearses {
            // Of a deletion the server reads the body, and then not the query.
            body["dryRun"] = json!([EVERY_STAGE]);
        }
        match self.ask(method, path, &query, Some((form, &body))).await {
            Ok(response) => answer(response).await,
            Err(answer) => answer,
        }
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<(Form, &Value)>,
    ) -> Result<Response, Answer> {
        let mut url = self.server.clone();
        // A server may be behind a path, as behind a gateway.
        url.set_path(&format!("{}{path}", self.server.path().trim_end_matches('/')));
        // A log is a text, and why there is none, JSON.
        let mut request = self.client.request(method, url).header(ACCEPT, "application/json, */*");
        if !query.is_empty() {
            request = request.query(query);
        }
        request = match &self.token {
            Token::None => request,
            Token::Bearer(token) => request.bearer_auth(token),
            Token::Basic(name, password) => request.basic_auth(name, Some(password)),
            Token::File(path) => match std::fs::read_to_string(path) {
                Ok(token) => request.bearer_auth(token.trim()),
                Err(error) => return Err(Answer::Unsent(format!("{}: {error}", path.display()))),
            },
        };
        if let Some((form, body)) = body {
            request = request.header(CONTENT_TYPE, form.media_type()).body(body.to_string());
        }
        request.send().await.map_err(|error| {
            let is_unsent = error.is_connect() || error.is_builder();
            let why = causes(&error.without_url());
            if is_unsent { Answer::Unsent(why) } else { Answer::Lost(why) }
        })
    }
}

async fn answer(mut response: Response) -> Answer {
    let code = response.status();
    let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = header.and_then(|text| text.parse().ok()).map(Duration::from_secs);
    let mut text = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if text.len() + chunk.len() <= ANSWER_BYTES => text.extend(chunk),
            Ok(Some(_)) => return Answer::Lost("the answer is too long".into()),
            Ok(None) => break,
            Err(error) => return Answer::Lost(causes(&error.without_url())),
        }
    }
    let said = std::str::from_utf8(&text).unwrap_or_default().trim();
    let body = serde_json::from_str::<Value>(said);
    if code.is_success() {
        return match body {
            Ok(body) => Answer::Yes(body),
            Err(_) => Answer::Lost(format!("the answer {code} is no JSON")),
        };
    }
    let body = body.unwrap_or_default();
    let is_status = body["kind"] == "Status";
    let message = match body["message"].as_str() {
        Some(message) if is_status => one_line(message),
        // Whoever stands before the server may say it in a line, or with a page.
        Some(_) | None if said.is_empty() || said.starts_with('<') => code.to_string(),
        Some(_) | None => one_line(&format!("{code}: {said}")),
    };
    // A server that has not come to an end with it, or somebody who stands before it.
    if matches!(code.as_u16(), 502..=504) || code.is_server_error() && !is_status {
        return Answer::Lost(message);
    }
    let mut causes = body["details"]["causes"].as_array().into_iter().flatten();
    let budget = causes.find(|cause| cause["reason"] == "DisruptionBudget");
    let budget = budget.map(|cause| cause["message"].as_str().unwrap_or(&message).to_owned());
    let said = body["details"]["retryAfterSeconds"].as_u64().map(Duration::from_secs);
    Answer::No(No { code: code.as_u16(), message, budget, retry_after: said.or(retry_after) })
}

/// The beginning of a text.
async fn text(mut response: Response, most: usize) -> Answer {
    let mut text = Vec::new();
    while text.len() < most {
        match response.chunk().await {
            Ok(Some(chunk)) => text.extend(chunk),
            Ok(None) => break,
            Err(error) => return Answer::Lost(causes(&error.without_url())),
        }
    }
    text.truncate(most);
    Answer::Yes(String::from_utf8_lossy(&text).into())
}

/// Writes an error and its causes, the same words once.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    one_line(text.trim_start_matches("error sending request: "))
}

impl No {
    /// How it ends where the server's answer is the last one.
    pub(super) fn end(self) -> End {
        let Self { code, message, .. } = self;
        match code {
            401 => End::Forbidden(format!("the server does not know who we are: {message}")),
            403 => End::Forbidden(message),
            404 => End::Gone(message),
            409 | 429 | 500.. => End::NotNow(format!("the server refused: {message}")),
            _ => End::Refused(format!("the server refused: {message}")),
        }
    }
}
