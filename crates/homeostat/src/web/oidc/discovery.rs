//! What a provider says of itself, and its keys: fetched together, kept, and fetched again in bounds.
//!
//! ```text
//!  needed ─> known? ── no ──────────────> fetch, once for all who wait ─> known, or why not
//!              │ yes                         ▲ no sooner than PAUSE after the last time
//!              ├─ for long ─> used, and meanwhile ┘
//!              └─ key unknown ────────────────────┘
//! ```
//!
//! A provider that gives no answer leaves in force what is known of it. Who makes up names of keys can
//! have it asked once in a while, and no oftener.
//!
//! Source: `OpenID` Connect Discovery 1.0.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use serde::Deserialize;
use tokio::time::Instant;

use super::keys::Keys;
use crate::client::{Client, ClientError, ClientOptions, NoAnswer, Outgoing, REQUEST_TIMEOUT};

/// How soon after a fetch there may be another.
const PAUSE: Duration = Duration::from_secs(10);

/// From when on what is known is fetched again: so long does a key count that was taken back.
const OLD: Duration = Duration::from_hours(1);

/// Bytes of what a provider says of itself, or of its keys.
pub(super) const BYTES: usize = 1 << 20;

/// What a provider says of itself, as far as it is of use here, and its keys.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) document: Document,
    pub(super) keys: Keys,
}

/// What a provider says of itself.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Said")]
pub(super) struct Document {
    issuer: String,
    jwks_uri: Url,
    pub(super) authorization_endpoint: Option<Url>,
    pub(super) token_endpoint: Option<Url>,
    /// Whether we can say in a header who we are.
    pub(super) takes_basic: bool,
}

/// The same, as it is said.
#[derive(Deserialize)]
struct Said {
    issuer: String,
    jwks_uri: String,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

impl TryFrom<Said> for Document {
    type Error = String;

    fn try_from(said: Said) -> Result<Self, String> {
        let url = |text: String| {
            Url::parse(&text).map_err(|error| format!("{text:?} is not a URL: {error}"))
        };
        let ways = said.token_endpoint_auth_methods_supported;
        // Where nothing is said, this is the way.
        let takes_basic =
            ways.is_none_or(|ways| ways.iter().any(|way| way == "client_secret_basic"));
        Ok(Self {
            issuer: said.issuer,
            jwks_uri: url(said.jwks_uri)?,
            authorization_endpoint: said.authorization_endpoint.map(url).transpose()?,
            token_endpoint: said.token_endpoint.map(url).transpose()?,
            takes_basic,
        })
    }
}

/// What is known of a provider.
#[derive(Debug)]
pub(super) struct Discovery {
    issuer: String,
    options: ClientOptions,
    client: Client,
    state: Mutex<State>,
    /// One fetch at a time.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    known: Option<(Arc<Known>, Instant)>,
    /// When it was tried last, and why it failed, if it did.
    tried: Option<(Instant, Option<String>)>,
}

impl Discovery {
    /// Prepares to ask. Nothing is sent yet.
    pub(super) fn new(issuer: &str, options: ClientOptions) -> Result<Self, String> {
        let client = Client::new(issuer, options.clone()).map_err(|error| error.line())?;
        let (state, turn) = (Mutex::default(), tokio::sync::Mutex::default());
        Ok(Self { issuer: issuer.to_owned(), options, client, state, turn })
    }

    /// Makes a client for one of its places, which may be elsewhere.
    pub(super) fn client(&self, url: &Url) -> Result<Client, String> {
        Client::new(url.as_str(), self.options.clone()).map_err(|error| told(&error))
    }

    /// Returns what is known, or why nothing is. What is known for long is fetched again meanwhile.
    pub(super) async fn known(self: &Arc<Self>) -> Result<Arc<Known>, String> {
        let known = self.state.lock().known.clone();
        match known {
            None => self.renew().await,
            Some((known, at)) => {
                if at.elapsed() >= OLD && self.may_try() {
                    let this = Arc::clone(self);
                    tokio::spawn(async move { this.renew().await });
                }
                Ok(known)
            }
        }
    }

    /// Fetches it again, if that was not just tried; returns what is known then, or why nothing is.
    pub(super) async fn renew(&self) -> Result<Arc<Known>, String> {
        let _turn = self.turn.lock().await;
        if self.may_try() {
            self.state.lock().tried = Some((Instant::now(), None));
            let fetched = self.fetch().await;
            let mut state = self.state.lock();
            match fetched {
                Ok(known) => state.known = Some((Arc::new(known), Instant::now())),
                Err(why) => {
                    let issuer = &self.issuer;
                    tracing::warn!(issuer, why, "the provider of `access.oidc` gives no answer");
                    state.tried = Some((Instant::now(), Some(why)));
                }
            }
        }
        let state = self.state.lock();
        match (&state.known, &state.tried) {
            (Some((known, _)), _) => Ok(known.clone()),
            (None, Some((_, Some(why)))) => Err(why.clone()),
            (None, Some((_, None)) | None) => Err("it was not asked to the end".to_owned()),
        }
    }

    #[cfg(test)]
    pub(super) fn age(&self, time: Duration) {
        let mut state = self.state.lock();
        let earlier = |at: &mut Instant| *at = at.checked_sub(time).expect("it is recent");
        state.known.iter_mut().for_each(|(_, at)| earlier(at));
        state.tried.iter_mut().for_each(|(at, _)| earlier(at));
    }

    fn may_try(&self) -> bool {
        self.state.lock().tried.as_ref().is_none_or(|(at, _)| at.elapsed() >= PAUSE)
    }

    async fn fetch(&self) -> Result<Known, String> {
        let mut url = self.client.base().clone();
        let path = format!("{}/.well-known/openid-configuration", url.path().trim_end_matches('/'));
        url.set_path(&path);
        let document = get(&self.client, url).await?;
        let document: Document = serde_json::from_slice(&document).map_err(|error| {
            format!("{} does not say what a provider says: {error}", self.client.server())
        })?;
        self.check(&document)?;
        let client = self.client(&document.jwks_uri)?;
        let keys = get(&client, document.jwks_uri.clone()).await?;
        let keys = Keys::read(&keys);
        let keys = keys.map_err(|error| format!("the keys of {}: {error}", client.server()))?;
        Ok(Known { document, keys })
    }

    /// Who calls itself by another name is another one; and who is asked over TLS does not lead us to
    /// where there is none.
    fn check(&self, document: &Document) -> Result<(), String> {
        if document.issuer != self.issuer {
            return Err(format!("it calls itself {:?}: write that as `issuer`", document.issuer));
        }
        let Document { jwks_uri, authorization_endpoint, token_endpoint, .. } = document;
        let places = [Some(jwks_uri), authorization_endpoint.as_ref(), token_endpoint.as_ref()];
        let is_fine = |url: &&Url| match self.client.base().scheme() {
            "https" => url.scheme() == "https",
            _ => ["http", "https"].contains(&url.scheme()),
        };
        match places.into_iter().flatten().find(|url| !is_fine(url)) {
            Some(url) => Err(format!("it names {url}, which is not https")),
            None => Ok(()),
        }
    }
}

async fn get(client: &Client, url: Url) -> Result<Vec<u8>, String> {
    let accept = (ACCEPT, HeaderValue::from_static("application/json"));
    let headers = HeaderMap::from_iter([accept]);
    let (status, body) = send(client, Method::GET, url.clone(), headers, None, &[]).await?;
    if status == 200 { Ok(body) } else { Err(format!("{url} answered {status}")) }
}

/// Sends a request, and reads its whole answer.
pub(super) async fn send(
    client: &Client,
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
    secrets: &[String],
) -> Result<(u16, Vec<u8>), String> {
    let timeout = REQUEST_TIMEOUT;
    let request = Outgoing { method, url, headers, body, timeout, keep: BYTES };
    match client.call(request, secrets).await {
        Ok(answer) if answer.truncated => {
            Err(format!("the answer of {} broke off, or is too long", client.server()))
        }
        Ok(answer) => Ok((answer.status, answer.body)),
        Err(NoAnswer::NotSent(error) | NoAnswer::Broken(error)) => Err(told(&error)),
        Err(NoAnswer::TooSlow) => {
            let server = client.server().to_owned();
            Err(told(&ClientError::TooSlow { server, timeout }))
        }
    }
}

/// What strangers are told of an error, who see it when they cannot sign in: nothing of our files, which
/// the log tells of.
pub(super) fn told(error: &ClientError) -> String {
    match error {
        ClientError::File { .. } | ClientError::Settings { .. } => {
            let error = error.line();
            tracing::error!(error, "the provider of `access.oidc` cannot be asked as configured");
            "it cannot be asked as configured; the log says why".to_owned()
        }
        ClientError::Url { .. }
        | ClientError::Unreachable { .. }
        | ClientError::Broken { .. }
        | ClientError::NoToken { .. }
        | ClientError::TooSlow { .. }
        | ClientError::TooLong { .. }
        | ClientError::Redirected { .. } => error.line(),
    }
}
