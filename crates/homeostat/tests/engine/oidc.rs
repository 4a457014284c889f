//! `OpenID` Connect with a real provider, `oidc-provider-mock`: a browser's steps, one by one, and programs
//! that show its tokens. Skipped where it is not installed.

use homeostat::demo::stack::{self, Sandbox, Signal};
use reqwest::{Client, Url};
use serde_json::{Value, json};

use crate::support::provider::Provider;
use crate::support::{Engine, Start, until};

/// A browser, as far as cookies and form tokens go.
struct Browser {
    engine: String,
    client: Client,
    cookies: Vec<String>,
    form_token: String,
}

impl Browser {
    fn new(engine: &Engine) -> Self {
        let (engine, client) = (engine.url(""), stack::client());
        Self { engine, client, cookies: Vec::new(), form_token: String::new() }
    }

    async fn post(&mut self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.client.post(format!("{}{path}", self.engine)).json(body);
        let request = request.header("cookie", self.cookies.join("; "));
        let answer = request.header("x-csrf-token", &self.form_token).send().await.unwrap();
        for line in answer.headers().get_all("set-cookie") {
            let pair = line.to_str().unwrap().split(';').next().unwrap().to_owned();
            let name = format!("{}=", pair.split('=').next().unwrap());
            self.cookies.retain(|known| !known.starts_with(&name));
            self.cookies.push(pair);
        }
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.unwrap();
        if let Some(form_token) = body["form_token"].as_str() {
            form_token.clone_into(&mut self.form_token);
        }
        (status, body)
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let request = self.client.get(format!("{}{path}", self.engine));
        let answer = request.header("cookie", self.cookies.join("; ")).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// Begins to sign in; returns where to go.
    async fn begin(&mut self) -> String {
        let (status, body) = self.post("/-/session/oidc", &json!({})).await;
        assert_eq!(status, 200, "{body}");
        body["url"].as_str().unwrap().to_owned()
    }

    /// Shows what the provider has sent along.
    async fn come_back(&mut self, sent: &Url) -> (u16, Value) {
        let pairs = sent.query_pairs();
        let pairs: serde_json::Map<String, Value> =
            pairs.map(|(name, value)| (name.into_owned(), value.into_owned().into())).collect();
        self.post("/-/session", &pairs.into()).await
    }
}

fn config(issuer: &str, more: &str) -> String {
    format!(
        "access:
  oidc: {{ issuer: \"{issuer}\", client_id: homeostat, client_secret: s, audience: homeostat{more} }}
  grants:
    - {{ who: [\"group:sre\"], may: [view, send] }}
"
    )
}

async fn engine(sandbox: &Sandbox, config: &str) -> Engine {
    Engine::start(sandbox, config, &["--web.external-url=http://homeostat.example/heal"]).await
}

fn error(body: &Value) -> &str {
    body["error"].as_str().unwrap_or_else(|| panic!("{body}"))
}

#[tokio::test]
async fn people_sign_in_at_a_provider_and_are_signed_in_until_it_is_removed() {
    let sandbox = Sandbox::new().unwrap();
    let Some(mut provider) = Provider::start(&sandbox, "provider", &["--require-nonce"]).await
    else {
        return Provider::skipped();
    };
    provider.know("ann", &json!({ "groups": ["sre", "everyone"] })).await;
    let mut engine = engine(&sandbox, &config(&provider.issuer, "")).await;
    let mut ann = Browser::new(&engine);
    let sent = provider.authorize(&ann.begin().await, "ann").await;
    assert!(sent.as_str().starts_with("http://homeostat.example/heal/?"), "{sent}");
    let (status, body) = Browser::new(&engine).come_back(&sent).await;
    assert_eq!(status, 401, "another browser: {body}");
    let (status, body) = ann.come_back(&sent).await;
    assert_eq!((status, &body["identity"]), (200, &json!("user:ann")), "{body}");
    assert_eq!(ann.get("/api/v1/whoami").await.1["groups"], json!(["group:sre"]));
    let (status, body) = ann.come_back(&sent).await;
    assert_eq!(status, 401, "the same once more: {body}");
    let mut bob = Browser::new(&engine);
    let mut unknown = provider.authorize(&bob.begin().await, "bob").await;
    let query = unknown.query().unwrap().replacen("code=", "code=x", 1);
    unknown.set_query(Some(&query));
    let (status, body) = bob.come_back(&unknown).await;
    assert!(error(&body).contains("does not take this sign-in: invalid_"), "{status} {body}");
    let sent = provider.authorize(&bob.begin().await, "bob").await;
    assert_eq!(bob.come_back(&sent).await.0, 200);
    assert_eq!(bob.get("/api/v1/status").await.0, 403, "nothing is granted to bob");

    let mut late = Browser::new(&engine);
    let sent = provider.authorize(&late.begin().await, "ann").await;
    provider.process.end();
    let (status, body) = late.come_back(&sent).await;
    let text = error(&body);
    assert!(text.starts_with("signing in is not possible now: "), "{status} {text}");
    assert!(status == 503 && text.contains("could not be reached"), "{status} {text}");
    assert_eq!(ann.get("/api/v1/status").await.0, 200, "who is signed in stays");
    std::fs::write(engine.directory.join("homeostat.yml"), "access: { grants: [] }\n").unwrap();
    engine.signal(Signal::HUP);
    until("the end of the session", || async {
        (ann.get("/api/v1/status").await.0 == 401).then_some(())
    })
    .await;
}

#[tokio::test]
async fn programs_come_by_tokens_of_the_provider_and_by_no_others() {
    let sandbox = Sandbox::new().unwrap();
    let Some(mut provider) = Provider::start(&sandbox, "provider", &[]).await else {
        return Provider::skipped();
    };
    let other = Provider::start(&sandbox, "other", &[]).await.unwrap();
    let old = Provider::start(&sandbox, "old", &["--token-max-age=-120"]).await.unwrap();
    let groups = json!({ "groups": ["sre"] });
    for provider in [&provider, &other, &old] {
        provider.know("ann", &groups).await;
    }
    let engine = engine(&sandbox, &config(&provider.issuer, "")).await;
    let ask = async |engine: &Engine, token: &str| {
        let url = engine.url("/api/v1/whoami");
        let answer = stack::client().get(url).bearer_auth(token).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let good = provider.token(&provider.issuer).await;
    let (status, known) = ask(&engine, &good).await;
    assert_eq!((status, &known["identity"]), (200, &json!("user:ann")), "{known}");
    assert_eq!((&known["way"], &known["groups"]), (&json!("oidc"), &json!(["group:sre"])));
    let parts: Vec<&str> = good.split('.').collect();
    let by_other = other.token(&provider.issuer).await;
    let others: Vec<&str> = by_other.split('.').collect();
    let by_name = format!("http://localhost:{}", provider.address.port());
    for (token, message) in [
        (format!("{}.{}.{}", parts[0], parts[1], others[2]), "signature"),
        (format!("{}.{}.{}", parts[0], others[1], parts[2]), "signature"),
        (by_other.clone(), "signature"),
        (provider.token(&by_name).await, "this token is of another issuer"),
    ] {
        let (status, body) = ask(&engine, &token).await;
        assert!(status == 401 && error(&body).contains(message), "{message}: {status} {body}");
    }
    provider.process.end();
    assert_eq!(ask(&engine, &good).await.0, 200, "its keys are known");
    drop(engine);

    let elsewhere = config(&other.issuer, "").replace("audience: homeostat", "audience: api");
    let engine = self::engine(&sandbox, &elsewhere).await;
    let (status, body) = ask(&engine, &other.token(&other.issuer).await).await;
    assert_eq!((status, error(&body)), (401, "this token is for another audience"));
    drop(engine);
    let engine = self::engine(&sandbox, &config(&old.issuer, "")).await;
    let (status, body) = ask(&engine, &old.token(&old.issuer).await).await;
    assert_eq!((status, error(&body)), (401, "this token has expired"));
    let mut late = Browser::new(&engine);
    let sent = old.authorize(&late.begin().await, "ann").await;
    let (status, body) = late.come_back(&sent).await;
    let expected = "the provider's token does not count here: it has expired";
    assert_eq!((status, error(&body)), (401, expected));
}

#[tokio::test]
async fn a_provider_is_known_by_its_certificate() {
    let sandbox = Sandbox::new().unwrap();
    let Some(provider) = Provider::start_secure(&sandbox).await else { return Provider::skipped() };
    provider.know("ann", &json!({})).await;
    let at = sandbox.path().join("provider.pem").display().to_string();
    let trusting = config(&provider.issuer, &format!(", tls_config: {{ ca_file: {at} }}"));
    let engine = self::engine(&sandbox, &trusting).await;
    let mut ann = Browser::new(&engine);
    let sent = provider.authorize(&ann.begin().await, "ann").await;
    let (status, body) = ann.come_back(&sent).await;
    assert_eq!((status, &body["identity"]), (200, &json!("user:ann")), "{body}");
    drop(engine);
    let engine = self::engine(&sandbox, &config(&provider.issuer, "")).await;
    let (status, body) = Browser::new(&engine).post("/-/session/oidc", &json!({})).await;
    assert!(status == 503 && error(&body).contains("certificate"), "{status} {body}");
}

#[tokio::test]
async fn without_an_external_url_nobody_can_come_back_and_it_does_not_start() {
    let sandbox = Sandbox::new().unwrap();
    let start = Start { config: &config("https://idp.example", ""), ..Start::default() };
    let mut engine = Engine::broken(&sandbox, &start);
    assert_eq!(engine.wait(), Some(2));
    let log = engine.whole_log();
    assert!(
        log.contains("`access.oidc` cannot be used: ") && log.contains("--web.external-url"),
        "{log}"
    );
}
