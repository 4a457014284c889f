//! A provider in this process, whose tokens can be wrong in every way, and which is strict where we
//! must be right.

use std::collections::BTreeMap;

use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::*;
use crate::client::tests::{Canned, Received, Server, ok};

/// A key by which tokens are signed.
pub(crate) struct Key {
    name: &'static str,
    algorithm: &'static str,
    pair: Pair,
}

enum Pair {
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Key {
    pub(crate) fn new(name: &'static str, algorithm: &'static str) -> Self {
        let random = SystemRandom::new();
        let ec = |curve: &'static EcdsaSigningAlgorithm| {
            let pair = EcdsaKeyPair::generate_pkcs8(curve, &random).unwrap();
            Pair::Ec(EcdsaKeyPair::from_pkcs8(curve, pair.as_ref(), &random).unwrap())
        };
        let pair = match algorithm {
            "ES256" => ec(&ECDSA_P256_SHA256_FIXED_SIGNING),
            "ES384" => ec(&ECDSA_P384_SHA384_FIXED_SIGNING),
            _ => {
                let pair = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
                Pair::Ed(Ed25519KeyPair::from_pkcs8(pair.as_ref()).unwrap())
            }
        };
        Self { name, algorithm, pair }
    }

    fn public(&self) -> Value {
        match &self.pair {
            Pair::Ec(pair) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let curve = if x.len() == 32 { "P-256" } else { "P-384" };
                let [x, y] = [x, y].map(encoded);
                json!({ "kty": "EC", "crv": curve, "x": x, "y": y, "kid": self.name })
            }
            Pair::Ed(pair) => {
                let x = encoded(pair.public_key().as_ref());
                json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": self.name })
            }
        }
    }

    /// Signs these claims; the header is changed by those that are given.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        let mut whole = json!({ "alg": self.algorithm, "typ": "JWT", "kid": self.name });
        merge(&mut whole, header);
        let message = format!("{}.{}", part(&whole), part(claims));
        let signature = match &self.pair {
            Pair::Ec(pair) => {
                let signed = pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
                encoded(signed.as_ref())
            }
            Pair::Ed(pair) => encoded(pair.sign(message.as_bytes()).as_ref()),
        };
        format!("{message}.{signature}")
    }
}

fn encoded(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn part(value: &Value) -> String {
    encoded(value.to_string().as_bytes())
}

/// What is null in the change is taken out.
fn merge(whole: &mut Value, change: &Value) {
    let whole = whole.as_object_mut().unwrap();
    for (name, value) in change.as_object().unwrap() {
        if value.is_null() {
            whole.remove(name);
        } else {
            whole.insert(name.clone(), value.clone());
        }
    }
}

fn now() -> u64 {
    jsonwebtoken::get_current_timestamp()
}

/// What it does, and what it has seen.
struct House {
    key: Key,
    /// The keys that it shows.
    shown: Vec<Value>,
    is_down: bool,
    /// What is changed in what it says of itself, and in the tokens of sign-ins.
    document: Value,
    claims: Value,
    /// The codes that it has given, with what the browser brought along for each.
    codes: BTreeMap<String, BTreeMap<String, String>>,
}

/// A provider.
pub(crate) struct Idp {
    house: Arc<Mutex<House>>,
    server: Server,
}

impl Idp {
    pub(crate) fn start() -> Self {
        let key = Key::new("first", "ES256");
        let shown = vec![key.public()];
        let house = Arc::new(Mutex::new(House {
            key,
            shown,
            is_down: false,
            document: json!({}),
            claims: json!({}),
            codes: BTreeMap::new(),
        }));
        let served = house.clone();
        let server = Server::start(move |request| served.lock().answer(request));
        Self { house, server }
    }

    pub(crate) fn url(&self) -> &str {
        &self.server.url
    }

    pub(crate) fn config(&self) -> OidcProvider {
        let text = format!(
            "access: {{ grants: [], oidc: {{ issuer: \"{}\", client_id: homeostat, audience: api,
             client_secret: \"very secret\" }} }}",
            self.server.url
        );
        let config = homeostat_config::parse("homeostat.yml", &text);
        config.unwrap_or_else(|report| panic!("{report}")).access.unwrap().oidc.unwrap()
    }

    pub(crate) fn provider(&self) -> Arc<Provider> {
        let options = ClientOptions::default();
        let secret = Some(Secret::Text("very secret".into()));
        let url = Some("https://homeostat.example/heal");
        Arc::new(Provider::new(self.config(), options, secret, url).unwrap())
    }

    pub(crate) fn set_down(&self, is_down: bool) {
        self.house.lock().is_down = is_down;
    }

    /// Changes what the tokens of sign-ins say.
    pub(crate) fn claim(&self, claims: Value) {
        self.house.lock().claims = claims;
    }

    /// Signs by another key from now on, and shows that one only.
    fn rotate(&self, name: &'static str) {
        let mut house = self.house.lock();
        house.key = Key::new(name, "ES256");
        house.shown = vec![house.key.public()];
    }

    /// A token that counts as of a program, changed by these.
    pub(crate) fn token(&self, header: &Value, claims: &Value) -> String {
        let mut whole = json!({
            "iss": self.server.url, "aud": "api", "sub": "ann", "iat": now(), "exp": now() + 600,
            "groups": ["sre", "dba"],
        });
        merge(&mut whole, claims);
        self.house.lock().key.sign(header, &whole)
    }

    /// Lets a browser sign in that was sent here: what it brings back.
    pub(crate) fn authorize(&self, url: &str) -> Value {
        let url: Url = url.parse().unwrap();
        assert!(url.as_str().starts_with(&format!("{}/authorize?", self.server.url)), "{url}");
        let asked: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        let of = |name: &str| asked[name].clone();
        assert_eq!((of("response_type"), of("client_id")), ("code".into(), "homeostat".into()));
        assert_eq!(of("redirect_uri"), "https://homeostat.example/heal/");
        assert_eq!(
            (of("scope"), of("code_challenge_method")),
            ("openid profile".into(), "S256".into())
        );
        let state = of("state");
        let mut house = self.house.lock();
        let code = format!("code{}", house.codes.len());
        house.codes.insert(code.clone(), asked);
        json!({ "code": code, "state": state })
    }

    /// The paths that were asked for.
    fn asked(&self) -> Vec<String> {
        let received = self.server.received();
        let path = |request: &Received| request.head.split(' ').nth(1).unwrap().to_owned();
        received.iter().map(path).collect()
    }
}

impl House {
    fn answer(&mut self, request: &Received) -> Canned {
        if self.is_down {
            return Canned::Answer(503, "", b"down".to_vec());
        }
        let url = format!("http://{}", request.header("host").unwrap());
        match request.head.split(' ').nth(1).unwrap() {
            "/.well-known/openid-configuration" => {
                let mut document = json!({
                    "issuer": url,
                    "authorization_endpoint": format!("{url}/authorize"),
                    "token_endpoint": format!("{url}/token"),
                    "jwks_uri": format!("{url}/keys"),
                });
                merge(&mut document, &self.document);
                ok(&document.to_string())
            }
            "/keys" => ok(&json!({ "keys": self.shown }).to_string()),
            "/token" => self.exchange(request, &url),
            path => panic!("{path}"),
        }
    }

    /// Takes each code once, and only with the verifier of the challenge that came with it.
    fn exchange(&mut self, request: &Received, url: &str) -> Canned {
        let refuse = |error: &str| {
            let body = json!({ "error": error, "error_description": "not with very secret" });
            Canned::Answer(400, "", body.to_string().into_bytes())
        };
        let form = Url::parse(&format!("http://x/?{}", request.body)).unwrap();
        let form: BTreeMap<String, String> = form.query_pairs().into_owned().collect();
        // `homeostat:very+secret`: each is encoded before they are put together.
        if request.header("authorization") != Some("Basic aG9tZW9zdGF0OnZlcnkrc2VjcmV0") {
            return refuse("invalid_client");
        }
        let Some(asked) = self.codes.get_mut(&form["code"]).map(std::mem::take) else {
            return refuse("invalid_grant");
        };
        let challenge = encoded(&Sha256::digest(form["code_verifier"].as_bytes()));
        let is_right = asked.get("code_challenge") == Some(&challenge)
            && asked.get("redirect_uri") == form.get("redirect_uri")
            && form["grant_type"] == "authorization_code";
        if !is_right {
            return refuse("invalid_grant");
        }
        let mut claims = json!({
            "iss": url, "aud": "homeostat", "sub": "ann", "nonce": asked["nonce"],
            "iat": now(), "exp": now() + 300, "groups": ["sre", "everyone", 7],
        });
        merge(&mut claims, &self.claims);
        let token = self.key.sign(&json!({}), &claims);
        ok(&json!({ "id_token": token, "access_token": "x", "token_type": "Bearer" }).to_string())
    }
}

/// Makes so much time go by for what is known of the provider.
fn later(provider: &Provider, time: Duration) {
    provider.discovery.age(time);
}

fn faulty(fault: Fault) -> Stranger {
    Stranger::Token(fault)
}

#[tokio::test]
async fn a_token_counts_if_the_provider_signed_it_for_us_and_for_now() {
    let idp = Idp::start();
    let provider = idp.provider();
    let ann = Named { user: "ann".into(), groups: vec!["sre".into(), "dba".into()] };
    let none = json!({});
    for (header, claims) in [
        (none.clone(), none.clone()),
        (json!({ "typ": "at+jwt" }), none.clone()),
        (json!({ "typ": null, "kid": null }), none.clone()),
        (none.clone(), json!({ "aud": ["other", "api"] })),
        (none.clone(), json!({ "exp": now() - 30, "iat": now() - 90 })),
        (none.clone(), json!({ "nbf": now() + 30, "iat": now() + 30 })),
    ] {
        let token = idp.token(&header, &claims);
        assert_eq!(provider.bearer(token.as_bytes()).await, Ok(ann.clone()), "{header} {claims}");
    }
    for (header, claims, why) in [
        (none.clone(), json!({ "exp": now() - 90 }), Stranger::Expired),
        (none.clone(), json!({ "exp": null }), faulty(Fault::Claims)),
        (none.clone(), json!({ "exp": "soon" }), faulty(Fault::Claims)),
        (none.clone(), json!({ "nbf": now() + 90 }), faulty(Fault::Early)),
        (none.clone(), json!({ "iat": now() + 90 }), faulty(Fault::Early)),
        (none.clone(), json!({ "iat": "now" }), faulty(Fault::Early)),
        (none.clone(), json!({ "iss": "https://other.example" }), faulty(Fault::Issuer)),
        (none.clone(), json!({ "iss": format!("{}/", idp.url()) }), faulty(Fault::Issuer)),
        (none.clone(), json!({ "iss": null }), faulty(Fault::Issuer)),
        (none.clone(), json!({ "aud": "homeostat" }), faulty(Fault::Audience)),
        (none.clone(), json!({ "aud": null }), faulty(Fault::Audience)),
        (none.clone(), json!({ "sub": null }), faulty(Fault::Nameless)),
        (none.clone(), json!({ "sub": "" }), faulty(Fault::Nameless)),
        (none.clone(), json!({ "sub": "ann\nroot" }), faulty(Fault::Nameless)),
        (none.clone(), json!({ "sub": "x".repeat(257) }), faulty(Fault::Nameless)),
        (json!({ "typ": "logout+jwt" }), none.clone(), faulty(Fault::Kind)),
        (json!({ "alg": "none" }), none.clone(), faulty(Fault::Unreadable)),
        (json!({ "alg": "HS256" }), none.clone(), faulty(Fault::Algorithm)),
        (json!({ "alg": "HS256", "kid": null }), none.clone(), faulty(Fault::Algorithm)),
        (json!({ "alg": "RS256" }), none.clone(), faulty(Fault::Algorithm)),
        (json!({ "kid": "other" }), none.clone(), faulty(Fault::Key)),
        (json!({ "crit": ["exp"] }), none.clone(), faulty(Fault::Unreadable)),
    ] {
        let token = idp.token(&header, &claims);
        assert_eq!(provider.bearer(token.as_bytes()).await, Err(why), "{header} {claims}");
    }
}

#[tokio::test]
async fn a_token_that_was_changed_or_that_another_signed_is_wrong() {
    let idp = Idp::start();
    let provider = idp.provider();
    let good = idp.token(&json!({}), &json!({}));
    let parts: Vec<&str> = good.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!() };
    let root = idp.token(&json!({}), &json!({ "sub": "root" }));
    let root = root.split('.').nth(1).unwrap();
    // What everybody can read of the provider, taken for a shared secret.
    let public = idp.house.lock().shown[0].to_string();
    let by_public = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, public.as_bytes());
    let message = format!("{}.{claims}", part(&json!({ "alg": "HS256", "kid": "first" })));
    let by_public = encoded(ring::hmac::sign(&by_public, message.as_bytes()).as_ref());
    let theirs = Key::new("first", "ES256");
    let named = json!({ "iss": idp.url(), "aud": "api", "sub": "ann", "exp": now() + 600 });
    let with_key = json!({ "jwk": theirs.public(), "jku": "http://evil.example/keys" });
    for (token, fault) in [
        (format!("{header}.{root}.{signature}"), Fault::Signature),
        (format!("{header}.{claims}."), Fault::Signature),
        (format!("{header}.{claims}.{}", encoded(&[0; 64])), Fault::Signature),
        (format!("{message}.{by_public}"), Fault::Algorithm),
        (theirs.sign(&json!({}), &named), Fault::Signature),
        (theirs.sign(&json!({ "kid": null }), &named), Fault::Signature),
        (theirs.sign(&with_key, &named), Fault::Signature),
        (format!("{}.{claims}.", part(&json!({ "alg": "none" }))), Fault::Unreadable),
        (format!("{header}.{claims}.{signature}!"), Fault::Unreadable),
        ("a.b.c".to_owned(), Fault::Unreadable),
        ("..".to_owned(), Fault::Unreadable),
        (format!("{header}.{}.{signature}", "x".repeat(20_000)), Fault::Unreadable),
    ] {
        let shown = provider.bearer(token.as_bytes()).await;
        assert_eq!(shown, Err(faulty(fault)), "{token}");
    }
    for token in ["", "a", "a.b", "a.b.c.d"] {
        assert_eq!(provider.bearer(token.as_bytes()).await, Err(Stranger::Wrong), "{token}");
    }
}

#[tokio::test]
async fn keys_of_all_curves_are_known_and_each_is_for_its_own_algorithm() {
    let idp = Idp::start();
    let keys = [Key::new("b", "ES384"), Key::new("c", "EdDSA")];
    idp.house.lock().shown.extend(keys.each_ref().map(Key::public));
    let provider = idp.provider();
    let claims = json!({ "iss": idp.url(), "aud": "api", "sub": "ann", "exp": now() + 600 });
    for key in keys {
        let good = key.sign(&json!({}), &claims);
        assert!(provider.bearer(good.as_bytes()).await.is_ok(), "{}", key.algorithm);
        let odd = key.sign(&json!({ "alg": "ES256" }), &claims);
        assert!(provider.bearer(odd.as_bytes()).await.is_err(), "{}", key.algorithm);
    }
}

#[tokio::test]
async fn a_name_is_what_its_claim_says_and_an_address_must_be_verified() {
    let idp = Idp::start();
    let mut config = idp.config();
    (config.username_claim, config.groups_claim) = ("email".into(), "roles".into());
    let options = ClientOptions::default();
    let provider = Provider::new(config, options, None, Some("http://localhost")).unwrap();
    let email = "ann@example.com";
    for (claims, came_to) in [
        (json!({ "email": email, "email_verified": true, "roles": "dba" }), Ok(vec!["dba"])),
        (json!({ "email": email, "roles": ["a", "everyone", "", 7] }), Ok(vec!["a"])),
        (json!({ "email": email, "roles": { "dba": true } }), Ok(vec![])),
        (json!({ "email": email, "email_verified": false }), Err(Fault::Unverified)),
        (json!({ "email": email, "email_verified": "true" }), Err(Fault::Unverified)),
        (json!({ "email": [email] }), Err(Fault::Nameless)),
        (json!({}), Err(Fault::Nameless)),
    ] {
        let token = idp.token(&json!({}), &claims);
        let named = provider.bearer(token.as_bytes()).await;
        let expected = came_to.map_err(faulty).map(|groups| Named {
            user: email.into(),
            groups: groups.into_iter().map(str::to_owned).collect(),
        });
        assert_eq!(named, expected, "{claims}");
    }
}

#[tokio::test]
async fn new_keys_are_asked_for_and_made_up_ones_are_no_flood() {
    let idp = Idp::start();
    let provider = idp.provider();
    let bearer = async || {
        let token = idp.token(&json!({}), &json!({}));
        provider.bearer(token.as_bytes()).await.map(|named| named.user)
    };
    let fetched = || idp.asked().iter().filter(|path| *path == "/keys").count();
    assert_eq!((bearer().await, fetched()), (Ok("ann".into()), 1));
    idp.rotate("second");
    assert_eq!(bearer().await, Err(faulty(Fault::Key)), "it was asked a moment ago");
    later(&provider, Duration::from_secs(10));
    assert_eq!((bearer().await, fetched()), (Ok("ann".into()), 2));
    let many = (0..500).map(|number| {
        let token = idp.token(&json!({ "kid": format!("made up {number}") }), &json!({}));
        let provider = provider.clone();
        async move { provider.bearer(token.as_bytes()).await }
    });
    later(&provider, Duration::from_secs(10));
    for shown in crate::client::all(many).await {
        assert_eq!(shown, Err(faulty(Fault::Key)));
    }
    assert_eq!(fetched(), 3, "one of them had it asked");
}

#[tokio::test]
async fn what_is_known_goes_on_while_the_provider_is_down() {
    let idp = Idp::start();
    idp.set_down(true);
    let provider = idp.provider();
    let token = idp.token(&json!({}), &json!({}));
    let bearer = async || provider.bearer(token.as_bytes()).await.map(|named| named.user);
    assert_eq!(bearer().await, Err(Stranger::Unverifiable));
    let error = provider.begin().await.unwrap_err().to_string();
    assert!(
        error.starts_with("signing in is not possible now: ") && error.contains("503"),
        "{error}"
    );
    idp.set_down(false);
    later(&provider, Duration::from_secs(10));
    assert_eq!(bearer().await, Ok("ann".into()));
    idp.set_down(true);
    for _ in 0..3 {
        later(&provider, Duration::from_hours(2));
        assert!(provider.discovery.known().await.is_ok());
    }
    let shown = provider.bearer(idp.token(&json!({}), &json!({})).as_bytes()).await;
    assert_eq!(shown.map(|named| named.user), Ok("ann".into()));
    let begun = provider.begin().await.unwrap();
    let back: Back = serde_json::from_value(idp.authorize(begun.url.as_str())).unwrap();
    let error = provider.finish(Some(&begun.cookie), &back).await.unwrap_err();
    assert!(matches!(error, SignInError::NoAnswer(_)), "{error}");
}

#[tokio::test]
async fn a_provider_that_is_another_or_leads_elsewhere_is_not_believed() {
    for (document, why) in [
        (json!({ "issuer": "https://other.example" }), "calls itself \"https://other.example\""),
        (json!({ "issuer": null }), "does not say what a provider says: missing field `issuer`"),
        (json!({ "jwks_uri": "file:///etc/passwd" }), "is not https"),
        (json!({ "token_endpoint": "ftp://x/token" }), "is not https"),
    ] {
        let idp = Idp::start();
        idp.house.lock().document = document.clone();
        let error = idp.provider().begin().await.unwrap_err().to_string();
        assert!(error.contains(why), "{document}: {error}");
    }
    let idp = Idp::start();
    idp.house.lock().shown.clear();
    let error = idp.provider().begin().await.unwrap_err().to_string();
    assert!(error.contains("there is no key"), "{error}");
    idp.house.lock().document = json!({ "authorization_endpoint": null });
    idp.rotate("x");
    let error = idp.provider().begin().await.unwrap_err().to_string();
    assert!(error.contains("names no authorization_endpoint"), "{error}");
}

#[tokio::test]
async fn a_sign_in_shows_its_verifier_and_counts_once() {
    let idp = Idp::start();
    let provider = idp.provider();
    let begun = provider.begin().await.unwrap();
    let other = provider.begin().await.unwrap();
    let back: Back = serde_json::from_value(idp.authorize(begun.url.as_str())).unwrap();
    for cookie in [None, Some(other.cookie.as_str()), Some("")] {
        let error = provider.finish(cookie, &back).await.unwrap_err();
        assert!(matches!(error, SignInError::NotBegun), "{error}");
    }
    let named = provider.finish(Some(&begun.cookie), &back).await.unwrap();
    assert_eq!(named, Named { user: "ann".into(), groups: vec!["sre".into()] });
    let error = provider.finish(Some(&begun.cookie), &back).await.unwrap_err();
    assert!(matches!(error, SignInError::NotBegun), "{error}");
    // A code that somebody else's browser brought along has another challenge.
    let stolen: Back = serde_json::from_value(idp.authorize(begun.url.as_str())).unwrap();
    let mut injected: Back = serde_json::from_value(idp.authorize(other.url.as_str())).unwrap();
    injected.code = stolen.code;
    let error = provider.finish(Some(&other.cookie), &injected).await.unwrap_err();
    assert!(matches!(error, SignInError::Refused(_)), "{error}");
    let text = error.to_string();
    assert!(text.contains("invalid_grant") && !text.contains("very secret"), "{text}");
}

#[tokio::test]
async fn the_token_of_a_sign_in_is_for_this_sign_in_only() {
    let idp = Idp::start();
    let provider = idp.provider();
    for (claims, fault) in [
        (json!({ "nonce": "other" }), Some(Fault::Nonce)),
        (json!({ "nonce": null }), Some(Fault::Nonce)),
        (json!({ "aud": "api" }), Some(Fault::Audience)),
        (json!({ "azp": "other" }), Some(Fault::Audience)),
        (json!({ "aud": ["homeostat", "api"] }), Some(Fault::Audience)),
        (json!({ "aud": ["homeostat", "api"], "azp": "homeostat" }), None),
        (json!({ "aud": ["homeostat"] }), None),
        (json!({ "iss": "https://other.example" }), Some(Fault::Issuer)),
        (json!({ "sub": null }), Some(Fault::Nameless)),
    ] {
        idp.claim(claims.clone());
        let begun = provider.begin().await.unwrap();
        let back: Back = serde_json::from_value(idp.authorize(begun.url.as_str())).unwrap();
        let came_to = match provider.finish(Some(&begun.cookie), &back).await {
            Ok(_) => None,
            Err(SignInError::Token(Stranger::Token(fault))) => Some(fault),
            Err(error) => panic!("{claims}: {error}"),
        };
        assert_eq!(came_to, fault, "{claims}");
    }
    let begun = provider.begin().await.unwrap();
    let mut back = idp.authorize(begun.url.as_str());
    back["iss"] = json!("https://other.example");
    let back: Back = serde_json::from_value(back).unwrap();
    let error = provider.finish(Some(&begun.cookie), &back).await.unwrap_err();
    assert!(matches!(error, SignInError::Token(Stranger::Token(Fault::Issuer))), "{error}");
}

#[tokio::test]
async fn a_client_says_who_it_is_as_the_provider_wants_it() {
    let idp = Idp::start();
    let last = |idp: &Idp| idp.server.received().pop().unwrap();
    let finish = async |provider: &Provider| {
        let begun = provider.begin().await.unwrap();
        let back: Back = serde_json::from_value(idp.authorize(begun.url.as_str())).unwrap();
        // The provider of these tests wants the header.
        provider.finish(Some(&begun.cookie), &back).await.unwrap_err();
    };
    let ways = json!({ "token_endpoint_auth_methods_supported": ["client_secret_post"] });
    idp.house.lock().document = ways;
    finish(&idp.provider()).await;
    let sent = last(&idp);
    assert_eq!(sent.header("authorization"), None);
    assert!(sent.body.ends_with("&client_id=homeostat&client_secret=very+secret"), "{sent:?}");
    let url = Some("https://homeostat.example/heal");
    let public = Provider::new(idp.config(), ClientOptions::default(), None, url).unwrap();
    finish(&public).await;
    let sent = last(&idp);
    assert!(sent.body.ends_with("&client_id=homeostat") && !sent.body.contains("secret"));
}

#[tokio::test]
async fn strangers_are_told_nothing_of_our_files() {
    let idp = Idp::start();
    let url = Some("https://homeostat.example/heal");
    let secret = Some(Secret::File("/nonexistent/secret".into()));
    let provider = Provider::new(idp.config(), ClientOptions::default(), secret, url).unwrap();
    let begun = provider.begin().await.unwrap();
    let back: Back = serde_json::from_value(idp.authorize(begun.url.as_str())).unwrap();
    let error = provider.finish(Some(&begun.cookie), &back).await.unwrap_err().to_string();
    assert!(error.contains("as configured") && !error.contains("nonexistent"), "{error}");
    let tls = crate::client::TlsOptions {
        ca_file: Some("/nonexistent/ca.pem".into()),
        ..crate::client::TlsOptions::default()
    };
    let options = ClientOptions { tls, ..ClientOptions::default() };
    let provider = Provider::new(idp.config(), options, None, url).unwrap();
    let error = provider.begin().await.unwrap_err().to_string();
    assert!(error.contains("as configured") && !error.contains("nonexistent"), "{error}");
}

#[test]
fn people_come_back_to_the_page_at_the_external_url() {
    for (url, expected) in [
        ("https://x.example", "https://x.example/"),
        ("https://x.example/heal", "https://x.example/heal/"),
        ("https://x.example/heal/?a#b", "https://x.example/heal/"),
        ("http://localhost:9999/", "http://localhost:9999/"),
    ] {
        assert_eq!(page(url).unwrap().as_str(), expected);
    }
    let idp = Idp::start();
    let error = Provider::new(idp.config(), ClientOptions::default(), None, None).unwrap_err();
    assert!(error.to_string().contains("--web.external-url"), "{error}");
    let mut config = idp.config();
    config.client = None;
    assert!(Provider::new(config, ClientOptions::default(), None, None).is_ok());
}
