//! Tokens of a service that vouches for us.
//!
//! Duty: one token, asked for by our own credentials, kept until shortly before it expires, and
//! asked for once, however many need it at that time; who waited for an answer shares a refusal, too.
//! Not its duty: the requests that the token goes with.
//!
//! Source: RFC 6749, section 4.4, as `golang.org/x/oauth2/clientcredentials` does it for Prometheus:
//! who we are is said in a header, and in the form where that is refused.

use std::borrow::Cow;
use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{BasicAuth, Client, ClientError, ClientOptions, Reply, Secret, one_line, without};

/// A token is not used for the last moments of its life, in which it may expire on its way. One that
/// lives for less than twice as long is used for half of its life.
const MARGIN: Duration = Duration::from_secs(10);

/// Where tokens come from, and by which credentials.
#[derive(Debug, Clone)]
pub struct TokenOptions {
    /// Who we are.
    pub client_id: String,
    /// How it is known that we are; none is sent as an empty one.
    pub client_secret: Option<Secret>,
    /// Where it is asked for.
    pub token_url: String,
    /// For what.
    pub scopes: Vec<String>,
    /// What else the service wants to be told.
    pub endpoint_params: Vec<(String, String)>,
    /// How the service is talked to: TLS and a proxy; its credentials are those above.
    pub client: ClientOptions,
}

/// The tokens of one service, for all clients that use them.
pub struct Tokens {
    client: Client,
    options: TokenOptions,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    /// The last refusal, and when it was known.
    refusal: Option<(Instant, String)>,
    /// How we said who we are when that was last taken.
    way: Way,
}

struct Token {
    /// The whole header.
    header: String,
    since: Instant,
    until: Option<Instant>,
}

/// How we say who we are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Way {
    #[default]
    Header,
    Form,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("client", &self.client).finish_non_exhaustive()
    }
}

impl Tokens {
    /// Prepares to ask for tokens. Nothing is read or sent yet.
    ///
    /// # Errors
    ///
    /// The URL is not an http or https URL with a host.
    pub fn new(options: TokenOptions) -> Result<Self, ClientError> {
        let client = Client::new(&options.token_url, options.client.clone())?;
        Ok(Self { client, options, state: Mutex::default() })
    }

    /// Returns the `Authorization` header of now.
    ///
    /// A box, because the token is itself asked for by a client.
    pub(super) fn current(
        &self,
    ) -> Pin<Box<dyn Future<Output = Result<String, ClientError>> + Send + '_>> {
        let asked_at = Instant::now();
        Box::pin(async move {
            let mut state = self.state.lock().await;
            if let Some(token) = &state.token
                && token.until.is_none_or(|until| Instant::now() < until)
            {
                return Ok(token.header.clone());
            }
            if let Some((at, reason)) = &state.refusal
                && *at > asked_at
            {
                return Err(self.no_token(reason.clone()));
            }
            match self.ask(&mut state.way).await {
                Ok(token) => {
                    let header = token.header.clone();
                    (state.token, state.refusal) = (Some(token), None);
                    Ok(header)
                }
                Err(reason) => {
                    state.refusal = Some((Instant::now(), reason.clone()));
                    Err(self.no_token(reason))
                }
            }
        })
    }

    /// Forgets the token with which a request was refused that was sent then. A later one is another.
    pub(super) async fn refused(&self, sent_at: Instant) {
        let mut state = self.state.lock().await;
        if state.token.as_ref().is_some_and(|token| token.since <= sent_at) {
            state.token = None;
        }
    }

    fn no_token(&self, reason: String) -> ClientError {
        ClientError::NoToken { server: self.client.server().to_owned(), reason }
    }

    /// Asks for a token, in the way that was taken last, and in the other where that is refused.
    async fn ask(&self, way: &mut Way) -> Result<Token, String> {
        let secret = match &self.options.client_secret {
            Some(secret) => self.client.reveal(secret).await.map_err(|error| error.line())?,
            None => String::new(),
        };
        let other = match *way {
            Way::Header => Way::Form,
            Way::Form => Way::Header,
        };
        let mut reply = self.send(*way, &secret).await?;
        if reply.status.is_client_error() {
            let again = self.send(other, &secret).await?;
            if again.status.is_success() {
                *way = other;
                reply = again;
            }
        }
        read(&reply, &secret)
    }

    async fn send(&self, way: Way, secret: &str) -> Result<Reply, String> {
        let TokenOptions { client_id, scopes, endpoint_params, .. } = &self.options;
        let scope = scopes.join(" ");
        let mut fields = vec![("grant_type", "client_credentials")];
        fields.extend((!scope.is_empty()).then_some(("scope", &*scope)));
        fields.extend(endpoint_params.iter().map(|(name, value)| (&**name, &**value)));
        let reply = match way {
            Way::Header => {
                // Both are encoded before they are put together (RFC 6749, section 2.3.1).
                let basic_auth = BasicAuth {
                    username: encoded(client_id),
                    password: Some(Secret::Text(encoded(secret))),
                };
                self.client.post_form_as(Some(&basic_auth), &fields).await
            }
            Way::Form => {
                fields.push(("client_id", client_id));
                fields.extend((!secret.is_empty()).then_some(("client_secret", secret)));
                self.client.post_form_as(None, &fields).await
            }
        };
        reply.map_err(|error| error.line())
    }
}

/// Writes a text as in a form.
pub(crate) fn encoded(text: &str) -> String {
    let mut url = Url::parse("http://x").expect("it is a URL");
    url.query_pairs_mut().append_key_only(text);
    url.query().unwrap_or_default().to_owned()
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default)]
    token_type: String,
    /// A number, or a text of one.
    #[serde(default)]
    expires_in: Value,
}

#[derive(Deserialize)]
struct Refused {
    error: String,
    #[serde(default)]
    error_description: String,
}

/// Reads the service's answer. No error repeats our secret, even where the service does.
fn read(reply: &Reply, secret: &str) -> Result<Token, String> {
    let since = Instant::now();
    if !reply.status.is_success() {
        let text = match serde_json::from_slice::<Refused>(&reply.body) {
            Ok(Refused { error, error_description }) if error_description.is_empty() => error,
            Ok(Refused { error, error_description }) => format!("{error}: {error_description}"),
            Err(_) => reply.excerpt(),
        };
        let text = without(text.into_bytes(), &[secret.to_owned()]);
        let text = one_line(&String::from_utf8_lossy(&text));
        return Err(format!("it answered {}: {text}", reply.status));
    }
    // What cannot be read may hold a token, so that it is not quoted.
    let Ok(granted) = serde_json::from_slice::<Granted>(&reply.body) else {
        return Err("its answer has no access_token".to_owned());
    };
    let kind: Cow<'_, str> = match granted.token_type.as_str() {
        "" => "Bearer".into(),
        kind if kind.eq_ignore_ascii_case("bearer") => "Bearer".into(),
        kind => kind.into(),
    };
    let seconds = match &granted.expires_in {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    let life = seconds.filter(|seconds| *seconds > 0.0);
    let life = life.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let until = life.and_then(|life| since.checked_add(life.saturating_sub(MARGIN.min(life / 2))));
    Ok(Token { header: format!("{kind} {}", granted.access_token), since, until })
}
