//! People who sign in at a provider, and programs that show its tokens.

use super::*;
use crate::web::entrance::Rules;
use crate::web::oidc::Provider;
use crate::web::oidc::tests::Idp;

const JSON: &str = "Content-Type: application/json";

fn rules(idp: &Idp, provider: Option<Arc<Provider>>, grants: &str) -> Rules {
    let text = format!(
        "access:\n  grants:\n{grants}  oidc: {{ issuer: \"{}\", audience: api }}\n",
        idp.url()
    );
    let config = homeostat_config::parse("homeostat.yml", &text);
    let access = config.unwrap_or_else(|report| panic!("{report}")).access;
    Rules::new(access.as_ref()).unwrap().believing(provider)
}

const GRANTS: &str = "  - { who: [\"user:ann\"], may: [view] }
  - { who: [\"group:sre\"], may: [operate] }
";

async fn open(idp: &Idp) -> House {
    let house = House::usual().await;
    house.entrance.configure(rules(idp, Some(idp.provider()), GRANTS));
    house
}

/// The value of a cookie that an answer sets, with what stands beside it.
fn cookie<'a>(answer: &'a Answer, name: &str) -> (&'a str, &'a str) {
    let start = format!("set-cookie: {name}=");
    let line = answer.head_as_sent.lines().find_map(|line| {
        line.get(..start.len())
            .filter(|s| s.eq_ignore_ascii_case(&start))
            .map(|_| &line[start.len()..])
    });
    line.unwrap_or_else(|| panic!("no {name}: {answer:?}")).split_once("; ").unwrap()
}

/// Begins to sign in; returns the cookie as it is shown, and what the provider sends back.
async fn begin(house: &House, idp: &Idp) -> (String, Value) {
    let begun = house.ask("POST", "/-/session/oidc", &[JSON], "").await;
    assert_eq!(begun.status, 200, "{begun:?}");
    let (value, attributes) = cookie(&begun, "homeostat-sign-in");
    assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Strict; Max-Age=600");
    let url = begun.json()["url"].as_str().unwrap().to_owned();
    assert!(!url.contains(value) && !url.contains("secret"), "{url}");
    (format!("Cookie: homeostat-sign-in={value}"), idp.authorize(&url))
}

async fn sign_in(house: &House, idp: &Idp) -> (String, String) {
    let (pending, back) = begin(house, idp).await;
    let answer = house.ask("POST", "/-/session", &[JSON, &pending], &back.to_string()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["identity"], "user:ann");
    let cleared = "Path=/; HttpOnly; SameSite=Strict; Max-Age=0";
    assert_eq!(cookie(&answer, "homeostat-sign-in"), ("", cleared));
    let (value, _) = cookie(&answer, "homeostat");
    let form_token = answer.json()["form_token"].as_str().unwrap().to_owned();
    (format!("Cookie: homeostat={value}"), form_token)
}

#[tokio::test]
async fn who_signs_in_at_a_provider_has_its_name_and_groups() {
    let idp = Idp::start();
    let house = open(&idp).await;
    let nobody = house.get("/-/session").await.json();
    assert_eq!((&nobody["ways"], &nobody["provider"]), (&json!(["oidc"]), &json!("127.0.0.1")));
    let (session, form_token) = sign_in(&house, &idp).await;
    let known = house.ask("GET", "/api/v1/whoami", &[&session], "").await.json();
    assert_eq!((&known["identity"], &known["way"]), (&json!("user:ann"), &json!("session")));
    assert_eq!(known["groups"], json!(["group:sre"]));
    let pause = json!({ "reason": "r" }).to_string();
    let shown = format!("X-CSRF-Token: {form_token}");
    let bare = house.ask("POST", "/api/v1/pause", &[JSON, &session], &pause).await;
    assert_eq!(bare.status, 403, "a form token is needed as ever");
    let paused = house.ask("POST", "/api/v1/pause", &[JSON, &session, &shown], &pause).await;
    assert_eq!(paused.status, 200, "{paused:?}");
    let out = house.ask("DELETE", "/-/session", &[&session, &shown], "").await;
    assert_eq!(out.status, 200);
    assert_eq!(house.ask("GET", "/api/v1/status", &[&session], "").await.status, 401);
}

#[tokio::test]
async fn what_did_not_begin_in_this_browser_is_refused_and_says_so() {
    let idp = Idp::start();
    let house = open(&idp).await;
    let (pending, back) = begin(&house, &idp).await;
    let (other, _) = begin(&house, &idp).await;
    let body = back.to_string();
    let forged = json!({ "code": back["code"], "state": "x" }).to_string();
    let foreign = "Origin: https://evil.example";
    for (headers, body, status) in [
        (vec![JSON], &body, 401),
        (vec![JSON, &*other], &body, 401),
        (vec![JSON, &*pending], &forged, 401),
        (vec![JSON, &*pending, &*other], &body, 401),
        (vec!["Content-Type: text/plain", &*pending], &body, 400),
        (vec![JSON, &*pending, foreign], &body, 403),
    ] {
        let answer = house.ask("POST", "/-/session", &headers, body).await;
        assert_eq!(answer.status, status, "{headers:?}: {answer:?}");
        assert!(!answer.head.contains("set-cookie: homeostat="), "{answer:?}");
    }
    let answer = house.ask("POST", "/-/session", &[JSON, &pending], &body).await;
    assert_eq!(answer.status, 200, "the right browser can still: {answer:?}");
    let again = house.ask("POST", "/-/session", &[JSON, &pending], &body).await;
    assert_eq!(again.status, 401);
    assert_eq!(
        again.error(),
        "this sign-in did not begin in this browser, or is over: sign in again"
    );
    let foreign = house.ask("POST", "/-/session/oidc", &[JSON, foreign], "").await;
    assert_eq!(foreign.status, 403, "no page of others begins a sign-in");
    assert_eq!(house.get("/-/session/oidc").await.status, 401, "nor a link");
}

#[tokio::test]
async fn a_session_outlives_the_provider_that_is_down_and_not_one_that_is_removed() {
    let idp = Idp::start();
    let house = open(&idp).await;
    let (session, _) = sign_in(&house, &idp).await;
    let status = async || house.ask("GET", "/api/v1/status", &[&session], "").await.status;
    let (pending, back) = begin(&house, &idp).await;
    idp.set_down(true);
    assert_eq!(status().await, 200);
    let answer = house.ask("POST", "/-/session", &[JSON, &pending], &back.to_string()).await;
    assert_eq!(answer.status, 503);
    let expected = "signing in is not possible now: its token endpoint answered 503";
    assert_eq!(answer.error(), expected);
    // Another configuration of the same provider is the same provider.
    house.entrance.configure(rules(&idp, Some(idp.provider()), GRANTS));
    assert_eq!(status().await, 200);
    house.entrance.configure(rules(
        &idp,
        Some(idp.provider()),
        "  - { who: [\"user:bob\"], may: [view] }\n",
    ));
    assert_eq!(status().await, 403, "what they may do is looked at with each request");
    house.entrance.configure(rules(&idp, None, GRANTS));
    assert_eq!(status().await, 401, "it is believed no more");
    house.entrance.configure(rules(&idp, Some(idp.provider()), GRANTS));
    assert_eq!(status().await, 401, "and so it stays");
    let gone = house.ask("POST", "/-/session/oidc", &[JSON], "").await;
    assert_eq!(gone.status, 503, "{gone:?}");
    house.entrance.configure(rules(&idp, None, GRANTS));
    let none = house.ask("POST", "/-/session/oidc", &[JSON], "").await;
    assert_eq!((none.status, &*none.error()), (400, "nobody signs in by OpenID Connect here"));
}

#[tokio::test]
async fn a_program_shows_a_token_of_the_provider() {
    let idp = Idp::start();
    let house = open(&idp).await;
    let ask = async |token: &str| {
        let shown = format!("Authorization: Bearer {token}");
        house.ask("GET", "/api/v1/whoami", &[&shown], "").await
    };
    let good = idp.token(&json!({}), &json!({}));
    let known = ask(&good).await.json();
    assert_eq!((&known["identity"], &known["way"]), (&json!("user:ann"), &json!("oidc")));
    assert_eq!(known["groups"], json!(["group:dba", "group:sre"]));
    for (header, claims, message) in [
        (json!({}), json!({ "exp": 1 }), "this token has expired"),
        (json!({}), json!({ "aud": "homeostat" }), "this token is for another audience"),
        (json!({}), json!({ "iss": "x" }), "this token is of another issuer"),
        (json!({ "alg": "none" }), json!({}), "this token cannot be read"),
    ] {
        let answer = ask(&idp.token(&header, &claims)).await;
        assert_eq!((answer.status, &*answer.error()), (401, message), "{header} {claims}");
        assert!(answer.head.contains("www-authenticate: bearer"));
    }
    assert_eq!(ask("x").await.error(), "these credentials are wrong");
    idp.set_down(true);
    assert_eq!(ask(&good).await.status, 200, "its keys are known");
    house.entrance.configure(rules(&idp, Some(idp.provider()), GRANTS));
    let answer = ask(&good).await;
    let message = "the provider that could verify this token gives no answer";
    assert_eq!((answer.status, &*answer.error()), (503, message));
    let session =
        house.ask("POST", "/-/session", &[JSON], &json!({ "token": good }).to_string()).await;
    assert_eq!(session.status, 401, "a token of the provider begins no session");
}
