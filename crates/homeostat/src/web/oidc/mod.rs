//! A provider that says, by `OpenID` Connect, who somebody is: people who sign in at the page, and
//! programs that show its tokens.
//!
//! ```text
//!  page ─ POST /-/session/oidc ─> begin ─> the provider's URL, and a cookie
//!    └─> the provider ─> back to the page with `code` and `state`
//!          └─ POST /-/session ─> finish ─ code, verifier ─> the provider ─ its token ─> who it is
//!  program ─ Authorization: Bearer ─> bearer ─> who it is
//! ```
//!
//! The page takes what the provider sends back, and posts it like a password. So this server answers
//! no redirect, all its cookies are `SameSite=Strict`, and nobody is sent anywhere but to the provider and
//! to `--web.external-url`.
//!
//! *Not* its duty: sessions, and what somebody may do.

mod discovery;
mod keys;
mod sign_in;
mod signatures;
mod token;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use homeostat_config::{OidcClient, OidcProvider};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use serde::Deserialize;
use thiserror::Error;
use tokio::sync::Semaphore;

use crate::access::{Fault, Stranger};
use crate::client::{self, ClientOptions, Secret, one_line};
use discovery::{Discovery, Known};
use sign_in::SignIns;
use token::{Unproven, Use};

pub use token::Named;

/// How long a sign-in may take at the provider.
pub(super) const LIFE: Duration = sign_in::LIFE;

/// Codes that are exchanged at once.
const PLACES: usize = 8;

/// Why a provider cannot be used.
#[derive(Debug, Error)]
pub enum ProviderError {
    /// Nobody knows where people come back to.
    #[error(
        "to let people sign in there, --web.external-url must say by which URL they reach this \
         server: the provider sends them back to it"
    )]
    NoExternalUrl,
    /// A URL cannot be one.
    #[error("{0}")]
    Url(String),
}

/// Why nobody could sign in.
#[derive(Debug, Error)]
pub enum SignInError {
    /// There is nothing to finish.
    #[error("this sign-in did not begin in this browser, or is over: sign in again")]
    NotBegun,
    /// Nobody signs in by it.
    #[error("nobody signs in by OpenID Connect here")]
    NotOffered,
    /// Too many do at once.
    #[error("too many sign in at once: try again")]
    Crowded,
    /// It gives no answer.
    #[error("signing in is not possible now: {0}")]
    NoAnswer(String),
    /// It says no.
    #[error("the provider does not take this sign-in: {0}")]
    Refused(String),
    /// Its token does not count.
    #[error("the provider's token does not count here: {}", said(*.0))]
    Token(Stranger),
}

/// A provider.
#[derive(Debug)]
pub struct Provider {
    config: OidcProvider,
    external_url: Option<String>,
    client: Option<SignInClient>,
    discovery: Arc<Discovery>,
    places: Semaphore,
}

/// What signing in needs.
#[derive(Debug)]
struct SignInClient {
    config: OidcClient,
    secret: Option<Secret>,
    /// Where people come back to: the page.
    page: Url,
    sign_ins: SignIns,
}

/// What makes two providers one, for those who have signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    issuer: String,
    client_id: String,
    username_claim: String,
    groups_claim: String,
}

/// What a browser is told to begin.
#[derive(Debug)]
pub(super) struct Begun {
    /// Where to go.
    pub(super) url: Url,
    /// What to keep meanwhile.
    pub(super) cookie: String,
}

impl Provider {
    /// Prepares to ask a provider. Nothing is read or sent yet.
    ///
    /// # Errors
    ///
    /// People are to sign in, and nobody knows where they come back to.
    pub fn new(
        config: OidcProvider,
        options: ClientOptions,
        secret: Option<Secret>,
        external_url: Option<&str>,
    ) -> Result<Self, ProviderError> {
        signatures::install();
        let client = match &config.client {
            Some(client) => Some(SignInClient {
                config: client.clone(),
                secret,
                page: page(external_url.ok_or(ProviderError::NoExternalUrl)?)?,
                sign_ins: SignIns::default(),
            }),
            None => None,
        };
        let discovery = Discovery::new(&config.issuer, options).map_err(ProviderError::Url)?;
        let (discovery, places) = (Arc::new(discovery), Semaphore::new(PLACES));
        let external_url = external_url.map(str::to_owned);
        Ok(Self { config, external_url, client, discovery, places })
    }

    /// Tells whether it is as this would be.
    pub fn is_of(&self, config: &OidcProvider, external_url: Option<&str>) -> bool {
        self.config == *config && self.external_url.as_deref() == external_url
    }

    /// Asks for what will be needed, so that it is known from then on, and what is wrong is told.
    pub fn look_ahead(&self) -> impl Future<Output = ()> + Send + use<> {
        let discovery = self.discovery.clone();
        async move { drop(discovery.known().await) }
    }

    /// What people sign in at, in a word.
    pub(super) fn name(&self) -> Option<String> {
        self.client.as_ref()?;
        let issuer: Url = self.config.issuer.parse().ok()?;
        Some(issuer.host_str()?.to_owned())
    }

    /// Tells it from others.
    pub(super) fn mark(&self) -> Option<Mark> {
        let client = self.client.as_ref()?;
        let OidcProvider { issuer, username_claim, groups_claim, .. } = &self.config;
        Some(Mark {
            issuer: issuer.clone(),
            client_id: client.config.client_id.clone(),
            username_claim: username_claim.clone(),
            groups_claim: groups_claim.clone(),
        })
    }

    /// How long a session lasts at most that began by it.
    pub(super) fn session(&self) -> Option<Duration> {
        Some(self.client.as_ref()?.config.session.into())
    }

    /// Finds out whose a token is that a program shows.
    pub(super) async fn bearer(&self, shown: &[u8]) -> Result<Named, Stranger> {
        let audience = self.config.audience.as_deref().filter(|_| token::is_one(shown));
        let audience = audience.ok_or(Stranger::Wrong)?;
        self.verify(shown, Use::Bearer { audience }).await.map_err(|error| match error {
            SignInError::Token(stranger) => stranger,
            SignInError::NoAnswer(_)
            | SignInError::NotBegun
            | SignInError::NotOffered
            | SignInError::Crowded
            | SignInError::Refused(_) => Stranger::Unverifiable,
        })
    }

    /// Begins a sign-in.
    pub(super) async fn begin(&self) -> Result<Begun, SignInError> {
        let client = self.client.as_ref().ok_or(SignInError::NotOffered)?;
        let known = self.discovery.known().await.map_err(SignInError::NoAnswer)?;
        let mut url =
            place(known.document.authorization_endpoint.as_ref(), "authorization_endpoint")?;
        let (cookie, secrets) = client.sign_ins.begin();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &client.config.client_id)
            .append_pair("redirect_uri", client.page.as_str())
            .append_pair("scope", &client.config.scopes.join(" "))
            .append_pair("state", &secrets.state)
            .append_pair("nonce", &secrets.nonce)
            .append_pair("code_challenge", &secrets.challenge())
            .append_pair("code_challenge_method", "S256");
        Ok(Begun { url, cookie })
    }

    /// Finishes a sign-in by what the provider has sent the browser back with.
    pub(super) async fn finish(
        &self,
        cookie: Option<&str>,
        back: &Back,
    ) -> Result<Named, SignInError> {
        let client = self.client.as_ref().ok_or(SignInError::NotOffered)?;
        let secrets = cookie.and_then(|cookie| client.sign_ins.finish(cookie, &back.state));
        let secrets = secrets.ok_or(SignInError::NotBegun)?;
        if back.iss.as_ref().is_some_and(|issuer| *issuer != self.config.issuer) {
            return Err(SignInError::Token(Stranger::Token(Fault::Issuer)));
        }
        let _place = self.places.try_acquire().map_err(|_| SignInError::Crowded)?;
        let known = self.discovery.known().await.map_err(SignInError::NoAnswer)?;
        let token = self.exchange(client, &known, &back.code, &secrets.verifier).await?;
        let (client_id, nonce) = (client.config.client_id.as_str(), secrets.nonce.as_str());
        self.verify(token.as_bytes(), Use::SignIn { client_id, nonce }).await
    }

    /// Verifies a token by the keys that are known, and by those of now where that could help.
    async fn verify(&self, token: &[u8], usage: Use<'_>) -> Result<Named, SignInError> {
        let known = self.discovery.known().await.map_err(SignInError::NoAnswer)?;
        let by = |known: &Known| token::verify(token, usage, &self.config, &known.keys);
        let verified = match by(&known) {
            Err(Unproven::ByThese(_)) => {
                let renewed = self.discovery.renew().await.map_err(SignInError::NoAnswer)?;
                by(&renewed)
            }
            verified => verified,
        };
        verified.map_err(|unproven| {
            SignInError::Token(match unproven {
                Unproven::Stranger(stranger) => stranger,
                Unproven::ByThese(fault) => Stranger::Token(fault),
            })
        })
    }

    /// Gives the provider a code, and gets its token.
    ///
    /// Source: RFC 6749, sections 2.3.1 and 4.1.3.
    async fn exchange(
        &self,
        client: &SignInClient,
        known: &Known,
        code: &str,
        verifier: &str,
    ) -> Result<String, SignInError> {
        let no_answer = SignInError::NoAnswer;
        let url = place(known.document.token_endpoint.as_ref(), "token_endpoint")?;
        let talks = self.discovery.client(&url).map_err(no_answer)?;
        let secret = match &client.secret {
            Some(secret) => {
                let secret = talks.reveal(secret).await;
                Some(secret.map_err(|error| no_answer(discovery::told(&error)))?)
            }
            None => None,
        };
        let id = client.config.client_id.as_str();
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", client.page.as_str()),
            ("code_verifier", verifier),
        ];
        let mut headers = HeaderMap::from_iter([
            (ACCEPT, HeaderValue::from_static("application/json")),
            (CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")),
        ]);
        match &secret {
            Some(secret) if known.document.takes_basic => {
                headers.insert(AUTHORIZATION, basic(id, secret)?);
            }
            Some(secret) => fields.extend([("client_id", id), ("client_secret", secret)]),
            None => fields.push(("client_id", id)),
        }
        let body = form(&fields).into_bytes();
        let sent = discovery::send(&talks, Method::POST, url, headers, Some(body), &[]).await;
        let (status, body) = sent.map_err(no_answer)?;
        read(status, &body, secret.as_slice())
    }
}

/// What a provider sends a browser back with.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Back {
    pub(super) code: String,
    pub(super) state: String,
    /// Who sends it back, where the provider says so (RFC 9207).
    pub(super) iss: Option<String>,
}

/// Reads the provider's answer to a code.
fn read(status: u16, body: &[u8], secrets: &[String]) -> Result<String, SignInError> {
    #[derive(Deserialize)]
    struct Answer {
        id_token: Option<String>,
        error: Option<String>,
        #[serde(default)]
        error_description: String,
    }
    let answer: Option<Answer> = serde_json::from_slice(body).ok();
    match answer {
        Some(Answer { id_token: Some(token), .. }) if status == 200 => Ok(token),
        Some(Answer { error: Some(error), error_description, .. }) => {
            let text = format!("{error}: {error_description}").into_bytes();
            let text = client::without(text, secrets);
            let text = one_line(&String::from_utf8_lossy(&text));
            Err(SignInError::Refused(text.trim_end_matches(": ").to_owned()))
        }
        _ if status == 200 => Err(SignInError::Refused("it gave no id_token".to_owned())),
        // What it says may hold a secret.
        _ => Err(SignInError::NoAnswer(format!("its token endpoint answered {status}"))),
    }
}

fn place(url: Option<&Url>, name: &str) -> Result<Url, SignInError> {
    let missing = || SignInError::NoAnswer(format!("the provider names no {name}"));
    url.cloned().ok_or_else(missing)
}

/// The page, as people come back to it: to the letter as the provider knows it.
fn page(external_url: &str) -> Result<Url, ProviderError> {
    let wrong = |error| ProviderError::Url(format!("--web.external-url is not a URL: {error}"));
    let mut page = Url::parse(external_url).map_err(wrong)?;
    page.set_query(None);
    page.set_fragment(None);
    let path = format!("{}/", page.path().trim_end_matches('/'));
    page.set_path(&path);
    Ok(page)
}

fn form(fields: &[(&str, &str)]) -> String {
    let mut url = Url::parse("http://x").expect("it is a URL");
    url.query_pairs_mut().extend_pairs(fields);
    url.query().unwrap_or_default().to_owned()
}

/// Both are encoded before they are put together.
fn basic(id: &str, secret: &str) -> Result<HeaderValue, SignInError> {
    let [id, secret] = [id, secret].map(client::encoded);
    let shown = format!("Basic {}", BASE64_STANDARD.encode(format!("{id}:{secret}")));
    let mut value = HeaderValue::from_str(&shown)
        .map_err(|_| SignInError::NoAnswer("the client's secret fits into no header".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

fn said(stranger: Stranger) -> String {
    match stranger {
        Stranger::Token(fault) => fault.to_string(),
        Stranger::Expired => "it has expired".to_owned(),
        Stranger::Nothing | Stranger::Wrong | Stranger::Crowded | Stranger::Unverifiable => {
            "it says nothing".to_owned()
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
