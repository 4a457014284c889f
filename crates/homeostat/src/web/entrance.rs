//! Finds out who has come: by what a request shows, and by whom it was handed on.
//!
//! | what is shown | identity |
//! |---|---|
//! | `Authorization: Bearer` with the token of `--web.bearer-token-file` | `token:admin` |
//! | the same with a token of `access.tokens` | `token:NAME` |
//! | the same with a token of the provider of `access.oidc` | `user:NAME`, with its groups |
//! | `Authorization: Basic` with a user of `basic_auth_users` | `user:NAME` |
//! | the cookie of a session | who signed in |
//! | the header of a proxy that `access.proxy` trusts | `user:NAME`, with its groups |
//! | that it comes by a socket of this machine | `local:`, and the name of the user |
//! | a certificate that is vouched for | `cert:`, and its first subject alternative name |
//! | nothing, where nobody is asked, or where `access` grants something to `anonymous` | `anonymous` |
//!
//! The first one counts. What is shown must be right: who shows a wrong token is not taken for somebody
//! else. Tokens are known by their SHA-256, and all are compared, each in constant time. Where nobody
//! comes in without a certificate, and there are users, as well, a certificate is not enough, as for
//! Prometheus: it opens the door, and says nothing.
//!
//! *Not* its duty: what somebody may do ([`crate::access`]).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, COOKIE};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use homeostat_config::{Access, TokenSecret, TrustedProxy};
use homeostat_core::operator::{ANONYMOUS, Way};
use homeostat_core::time::Timestamp;
use parking_lot::RwLock;

use super::auth::{Digest, Token, TokenError, basic, bearer};
use super::listening::{Listening, Served};
use super::oidc::{self, Back, Provider, SignInError};
use super::passwords::{Checked, Passwords};
use super::peer::{Address, Certified, Peer};
use super::sessions::{LIFE, Named, Proof, Session, Sessions};
use super::socket::{UNTOLD, user_name};
use crate::access::{Arrival, Caller, GROUPS, Identity, NAME_BYTES, Refusal, Rights, Stranger};
use subtle::ConstantTimeEq as _;

/// The name of the token of `--web.bearer-token-file`.
const ADMIN: &str = "admin";

/// Finds out who has come.
#[derive(Debug)]
pub struct Entrance {
    admin: Option<Token>,
    access: RwLock<Arc<Rules>>,
    listening: Arc<Listening>,
    passwords: Passwords,
    sessions: Sessions,
    /// Whether people come by `https`, though a proxy may end it before us.
    is_https: bool,
}

/// What `access` of the configuration says, ready to be asked.
#[derive(Debug)]
pub struct Rules {
    tokens: Vec<NamedToken>,
    proxy: Option<TrustedProxy>,
    provider: Option<Arc<Provider>>,
    rights: Rights,
    knows_strangers: bool,
}

#[derive(Debug)]
struct NamedToken {
    name: String,
    secret: Secret,
    expires: Option<Timestamp>,
}

#[derive(Debug)]
enum Secret {
    Digest(Digest),
    File(Token),
}

impl Rules {
    /// Reads the files that hold tokens. Without `access`, whoever is known may do everything.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or holds no token.
    pub fn new(access: Option<&Access>) -> Result<Self, TokenError> {
        let Some(Access { tokens, grants, proxy, oidc: _ }) = access else {
            return Ok(Self {
                tokens: Vec::new(),
                proxy: None,
                provider: None,
                rights: Rights::Everything,
                knows_strangers: false,
            });
        };
        let token = |token: &homeostat_config::AccessToken| {
            let secret = match &token.secret {
                TokenSecret::Sha256(digest) => Secret::Digest(Digest::new(*digest)),
                TokenSecret::File(path) => Secret::File(Token::from_file(path)?),
            };
            Ok(NamedToken { name: token.name.clone(), secret, expires: token.expires })
        };
        Ok(Self {
            tokens: tokens.iter().map(token).collect::<Result<_, TokenError>>()?,
            proxy: proxy.clone(),
            provider: None,
            knows_strangers: grants.iter().any(|grant| grant.who.iter().any(|w| w == ANONYMOUS)),
            rights: Rights::Granted(grants.as_slice().into()),
        })
    }

    /// Believes this provider, which the app makes of `access.oidc`.
    #[must_use]
    pub fn believing(self, provider: Option<Arc<Provider>>) -> Self {
        Self { provider, ..self }
    }

    fn is_written(&self) -> bool {
        matches!(self.rights, Rights::Granted(_))
    }
}

impl Entrance {
    /// Asks by these rules, knows the token of `--web.bearer-token-file`, where there is one, and the
    /// users of the web configuration.
    pub fn new(admin: Option<Token>, rules: Rules, listening: Arc<Listening>) -> Self {
        let access = RwLock::new(Arc::new(rules));
        let (passwords, sessions) = (Passwords::default(), Sessions::default());
        Self { admin, access, listening, passwords, sessions, is_https: false }
    }

    /// Says by which URL people come, where that is known.
    #[must_use]
    pub fn reached_by(self, external_url: Option<&str>) -> Self {
        Self { is_https: external_url.is_some_and(|url| url.starts_with("https:")), ..self }
    }

    /// Puts other rules in force, after a reload.
    pub fn configure(&self, rules: Rules) {
        *self.access.write() = Arc::new(rules);
    }

    /// Tells whether anybody would be asked who they are, were this in force.
    pub fn would_ask(&self, access: Option<&Access>) -> bool {
        self.admin.is_some() || access.is_some() || self.listening.served().asks()
    }

    /// Tells whether anybody would be asked who they are, were the listener served so.
    pub fn would_ask_by(&self, served: &Served) -> bool {
        self.admin.is_some() || self.access.read().is_written() || served.asks()
    }

    /// Tells whether people show what others must not read.
    pub fn asks_for_secrets(&self) -> bool {
        let has_users = !self.listening.served().config.users.is_empty();
        let rules = self.access.read();
        let knows_others = !rules.tokens.is_empty() || rules.provider.is_some();
        self.admin.is_some() || knows_others || has_users
    }

    /// Returns the provider that is believed.
    pub fn provider(&self) -> Option<Arc<Provider>> {
        self.access.read().provider.clone()
    }

    /// What is in force of the web configuration.
    pub(super) fn served(&self) -> Arc<Served> {
        self.listening.served()
    }

    /// Finds out who sends a request with these headers.
    pub(super) async fn arrive(&self, headers: &HeaderMap, peer: Option<&Peer>) -> Arrived {
        let session = self.session(headers, peer).filter(|_| !headers.contains_key(AUTHORIZATION));
        match session {
            Some(Session { named: (identity, groups, _), form_token, .. }) => {
                let address = peer.map_or_else(|| "unknown".into(), Peer::shown);
                let rights = self.access.read().rights.clone();
                let caller = Caller::new(identity, groups, Way::Session, address, rights);
                Arrived { arrival: Arrival(Ok(caller)), form_token: Some(FormToken(form_token)) }
            }
            None => Arrived { arrival: self.meet(headers, peer).await, form_token: None },
        }
    }

    /// Finds out who it is without a session.
    async fn meet(&self, headers: &HeaderMap, peer: Option<&Peer>) -> Arrival {
        let rules = self.access.read().clone();
        let served = self.listening.served();
        let asks = self.admin.is_some() || rules.is_written() || served.asks();
        let called = |(identity, groups, way): Named| {
            let address = peer.map_or_else(|| "unknown".into(), Peer::shown);
            Arrival(Ok(Caller::new(identity, groups, way, address, rules.rights.clone())))
        };
        let mut shown = headers.get_all(AUTHORIZATION).iter();
        match (shown.next(), shown.next()) {
            (Some(_), Some(_)) if asks => return stranger(Stranger::Wrong),
            (Some(header), None) if asks => {
                let named = self.show(&rules, &served, header.as_bytes()).await;
                return named.map_or_else(stranger, called);
            }
            (Some(_) | None, _) => {}
        }
        if let Some((user, groups)) = rules.proxy.as_ref().and_then(|p| told(p, headers, peer)) {
            return called((Identity::User(user), groups, Way::Proxy));
        }
        match peer.and_then(|peer| by_connection(peer, &served)) {
            Some(named) => called(named),
            None if asks && !rules.knows_strangers => stranger(Stranger::Nothing),
            None => called((Identity::Anonymous, Vec::new(), Way::Unasked)),
        }
    }

    /// The session whose cookie is shown, if that by which it began still counts.
    fn session(&self, headers: &HeaderMap, peer: Option<&Peer>) -> Option<Session> {
        let secret = self.secret_in(headers, peer)?;
        let session = self.sessions.find(&secret)?;
        let counts = match &session.proof {
            Proof::Password { user, hash } => {
                let served = self.listening.served();
                let now =
                    served.config.users.get(user).map(|hash| Digest::of(hash.reveal().as_bytes()));
                now.is_some_and(|now| now.is(hash))
            }
            Proof::Token(digest) => self.token(&self.access.read(), digest).is_ok(),
            Proof::Provider(mark) => {
                self.provider().and_then(|provider| provider.mark()).as_ref() == Some(mark)
            }
        };
        if !counts {
            self.sessions.end(&secret);
        }
        counts.then_some(session)
    }

    /// Signs in by a password: who it is, the secret of the session, and what its forms must show.
    pub(super) async fn sign_in_by_password(
        &self,
        user: &str,
        password: &[u8],
    ) -> Result<SignedIn, Stranger> {
        let served = self.listening.served();
        match self.passwords.check(&served.config.users, user, password).await {
            Checked::Right => {}
            Checked::Wrong => return Err(Stranger::Wrong),
            Checked::Crowded => return Err(Stranger::Crowded),
        }
        let hash = served.config.users.get(user).ok_or(Stranger::Wrong)?;
        let hash = Digest::of(hash.reveal().as_bytes());
        let identity = Identity::User(user.to_owned());
        let proof = Proof::Password { user: user.to_owned(), hash };
        Ok(self.begin(identity, Vec::new(), proof, LIFE))
    }

    /// Signs in by a token.
    pub(super) fn sign_in_by_token(&self, token: &str) -> Result<SignedIn, Stranger> {
        let digest = Digest::of(token.trim().as_bytes());
        let name = self.token(&self.access.read(), &digest)?;
        Ok(self.begin(Identity::Token(name), Vec::new(), Proof::Token(digest), LIFE))
    }

    /// Signs in by what a provider has sent somebody back with.
    pub(super) async fn sign_in_by_provider(
        &self,
        headers: &HeaderMap,
        peer: Option<&Peer>,
        back: &Back,
    ) -> Result<SignedIn, SignInError> {
        let provider = self.provider().ok_or(SignInError::NotOffered)?;
        let cookie = cookie_of(headers, pending_name(self.is_secure(peer)));
        let cookie = cookie.as_deref().and_then(|cookie| cookie.split(PLACE).next());
        let named = provider.finish(cookie, back).await?;
        let (mark, life) = (provider.mark(), provider.session());
        let (mark, life) = mark.zip(life).ok_or(SignInError::NotOffered)?;
        Ok(self.begin(Identity::User(named.user), named.groups, Proof::Provider(mark), life))
    }

    fn begin(
        &self,
        identity: Identity,
        groups: Vec<String>,
        proof: Proof,
        life: Duration,
    ) -> SignedIn {
        let named = (identity.clone(), groups, Way::Session);
        let (secret, form_token) = self.sessions.begin(named, proof, life);
        SignedIn { identity, secret, form_token }
    }

    /// Ends a session.
    pub(super) fn sign_out(&self, secret: &str) {
        self.sessions.end(secret);
    }

    /// How one can sign in here.
    pub(super) fn ways(&self) -> Vec<&'static str> {
        let rules = self.access.read();
        let has_tokens = self.admin.is_some() || !rules.tokens.is_empty();
        let has_users = !self.listening.served().config.users.is_empty();
        let has_provider = rules.provider.as_ref().is_some_and(|p| p.name().is_some());
        let ways = [("password", has_users), ("token", has_tokens), ("oidc", has_provider)];
        ways.into_iter().filter_map(|(way, is_there)| is_there.then_some(way)).collect()
    }

    /// The secret in the cookie of a session.
    pub(super) fn secret_in(&self, headers: &HeaderMap, peer: Option<&Peer>) -> Option<String> {
        cookie_of(headers, cookie_name(self.is_secure(peer)))
    }

    /// The cookie of a session; without a secret, the one that clears it.
    pub(super) fn cookie(&self, peer: Option<&Peer>, secret: &str) -> String {
        let is_secure = self.is_secure(peer);
        cookie(cookie_name(is_secure), secret, LIFE, is_secure)
    }

    /// The cookie of a sign-in at a provider that has begun, and of where somebody was then; without
    /// one, the one that clears it.
    pub(super) fn pending_cookie(&self, peer: Option<&Peer>, pending: &str, place: &str) -> String {
        let is_secure = self.is_secure(peer);
        let place = BASE64_URL_SAFE_NO_PAD.encode(place);
        let value =
            if pending.is_empty() { String::new() } else { format!("{pending}{PLACE}{place}") };
        cookie(pending_name(is_secure), &value, oidc::LIFE, is_secure)
    }

    /// Where somebody was when a sign-in at a provider began; empty where that is not known.
    pub(super) fn place_before(&self, headers: &HeaderMap, peer: Option<&Peer>) -> String {
        let cookie = cookie_of(headers, pending_name(self.is_secure(peer))).unwrap_or_default();
        let place = cookie.split(PLACE).nth(1).and_then(|p| BASE64_URL_SAFE_NO_PAD.decode(p).ok());
        place.and_then(|place| String::from_utf8(place).ok()).unwrap_or_default()
    }

    fn is_secure(&self, peer: Option<&Peer>) -> bool {
        self.is_https || peer.is_some_and(|peer| peer.is_secure)
    }

    /// Finds out whose an `Authorization` is.
    async fn show(&self, rules: &Rules, served: &Served, header: &[u8]) -> Result<Named, Stranger> {
        let Some((user, password)) = basic(header) else {
            let shown = bearer(header).ok_or(Stranger::Wrong)?;
            return match (self.token(rules, &Digest::of(shown)), &rules.provider) {
                (Ok(token), _) => Ok((Identity::Token(token), Vec::new(), Way::Token)),
                (Err(Stranger::Wrong), Some(provider)) => {
                    let named = provider.bearer(shown).await?;
                    Ok((Identity::User(named.user), named.groups, Way::Oidc))
                }
                (Err(why), _) => Err(why),
            };
        };
        match self.passwords.check(&served.config.users, &user, &password).await {
            Checked::Right => Ok((Identity::User(user), Vec::new(), Way::Password)),
            Checked::Wrong => Err(Stranger::Wrong),
            Checked::Crowded => Err(Stranger::Crowded),
        }
    }

    /// Finds the token that is shown.
    fn token(&self, rules: &Rules, shown: &Digest) -> Result<String, Stranger> {
        let is_admin = self.admin.as_ref().is_some_and(|admin| admin.is(shown));
        let mut found = None;
        // All are compared, so that nobody learns by the time which one comes first.
        for token in &rules.tokens {
            let is_shown = match &token.secret {
                Secret::Digest(digest) => digest.is(shown),
                Secret::File(file) => file.is(shown),
            };
            if is_shown {
                found = Some(token);
            }
        }
        match found {
            _ if is_admin => Ok(ADMIN.to_owned()),
            Some(token) if token.expires.is_some_and(|end| end <= now()) => Err(Stranger::Expired),
            Some(token) => Ok(token.name.clone()),
            None => Err(Stranger::Wrong),
        }
    }
}

/// Who signed in.
#[derive(Debug)]
pub(super) struct SignedIn {
    pub(super) identity: Identity,
    /// The secret of the session.
    pub(super) secret: String,
    /// What its forms must show.
    pub(super) form_token: String,
}

/// What the forms of a session must show, besides its cookie.
#[derive(Debug, Clone)]
pub(super) struct FormToken(pub(super) String);

impl FormToken {
    /// Tells whether this is it, in constant time.
    pub(super) fn is(&self, shown: &[u8]) -> bool {
        shown.ct_eq(self.0.as_bytes()).into()
    }
}

/// Who has come, and what their session's forms must show, where it is by a session.
#[derive(Debug, Clone)]
pub(super) struct Arrived {
    pub(super) arrival: Arrival,
    pub(super) form_token: Option<FormToken>,
}

/// What stands in the cookie of a sign-in before where somebody was.
const PLACE: char = '~';

/// With its prefix, browsers take the cookie over TLS only, and from nobody else.
const fn cookie_name(is_secure: bool) -> &'static str {
    if is_secure { "__Host-homeostat" } else { "homeostat" }
}

/// The name of the cookie of a sign-in at a provider.
const fn pending_name(is_secure: bool) -> &'static str {
    if is_secure { "__Host-homeostat-sign-in" } else { "homeostat-sign-in" }
}

fn cookie(name: &str, value: &str, life: Duration, is_secure: bool) -> String {
    let secure = if is_secure { "; Secure" } else { "" };
    let age = if value.is_empty() { 0 } else { life.as_secs() };
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age}{secure}")
}

/// The value of a cookie of this name, if there is exactly one.
fn cookie_of(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut values = lines.flat_map(|line| line.split(';')).filter_map(|pair| {
        let (known, value) = pair.trim().split_once('=')?;
        (known == name).then_some(value)
    });
    let value = values.next()?;
    (values.next().is_none() && !value.is_empty()).then(|| value.to_owned())
}

/// Who somebody is by the connection alone.
fn by_connection(peer: &Peer, served: &Served) -> Option<Named> {
    if let Address::Unix { user } = peer.address {
        return (user != UNTOLD)
            .then(|| (Identity::Local(user_name(user)), Vec::new(), Way::Socket));
    }
    match &peer.certified {
        Certified::Yes { name: Some(name), is_mandatory }
            if !is_mandatory || served.config.users.is_empty() =>
        {
            Some((Identity::Cert(name.to_string()), Vec::new(), Way::Certificate))
        }
        Certified::Yes { .. } | Certified::No => None,
    }
}

fn stranger(why: Stranger) -> Arrival {
    Arrival(Err(Refusal::Unknown(why)))
}

/// What a trusted proxy tells of whoever it hands on. Of several headers none counts: the sender may
/// have added one.
fn told(
    proxy: &TrustedProxy,
    headers: &HeaderMap,
    peer: Option<&Peer>,
) -> Option<(String, Vec<String>)> {
    let from = peer?.ip()?;
    if !proxy.trusted.iter().any(|network| network.contains(from)) {
        return None;
    }
    let only = |name: &str| {
        let mut values = headers.get_all(name).iter();
        let value = values.next()?.to_str().ok()?.trim();
        (values.next().is_none() && !value.is_empty()).then_some(value)
    };
    let user = only(&proxy.user_header).filter(|user| user.len() <= NAME_BYTES)?;
    let groups = proxy.groups_header.as_deref().and_then(only).unwrap_or_default();
    let groups = groups.split(',').map(str::trim).take(GROUPS);
    let groups: BTreeSet<&str> =
        groups.filter(|group| !group.is_empty() && group.len() <= NAME_BYTES).collect();
    // Everybody who has a name is of this group; nobody else is.
    let groups = groups.into_iter().filter(|group| *group != "everyone").map(str::to_owned);
    Some((user.to_owned(), groups.collect()))
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_cookie_is_found_among_others_and_two_of_a_name_are_none() {
        let find = |lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(COOKIE, HeaderValue::from_static(line));
            }
            cookie_of(&headers, "s")
        };
        assert_eq!(find(&["a=1; s=x; b=2"]).as_deref(), Some("x"));
        assert_eq!(find(&["a=1", "s=x"]).as_deref(), Some("x"));
        for none in [&[][..], &["s="], &["s=x; s=y"], &["s=x", "s=x"], &["ss=x"], &["s"]] {
            assert_eq!(find(none), None, "{none:?}");
        }
    }
}
