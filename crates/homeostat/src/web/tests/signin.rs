//! Browsers: sessions, their cookies and their form tokens.

use super::access::{access, bearer};
use super::*;
use crate::web::entrance::Rules;

const JSON: &str = "Content-Type: application/json";

async fn open() -> House {
    let grants = "  - { who: [\"token:ci\"], may: [view, operate] }\n";
    House::open(Ways { access: Some(access(&["ci", "old"], grants)), ..Ways::default() }).await
}

/// Signs in by a token; returns the cookie as it is shown, and the form token.
async fn sign_in(house: &House) -> (String, String) {
    let body = json!({ "token": "secret-of-ci" }).to_string();
    let answer = house.ask("POST", "/-/session", &[JSON], &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let line = answer.head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    let (pair, attributes) = line.split_once("; ").unwrap();
    assert_eq!(attributes, "path=/; httponly; samesite=strict; max-age=43200");
    let known = answer.json();
    assert_eq!(known["identity"], "token:ci");
    assert!(!answer.body.contains(pair.strip_prefix("homeostat=").unwrap()), "scripts see it not");
    (format!("Cookie: {pair}"), known["form_token"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_session_reads_by_its_cookie_and_commands_by_its_form_token_besides() {
    let house = open().await;
    let (cookie, form_token) = sign_in(&house).await;
    let known = house.ask("GET", "/api/v1/whoami", &[&cookie], "").await.json();
    assert_eq!((&known["identity"], &known["way"]), (&json!("token:ci"), &json!("session")));
    let pause = json!({ "reason": "r" }).to_string();
    let shown = format!("X-CSRF-Token: {form_token}");
    let other = format!("X-CSRF-Token: {}", "0".repeat(64));
    for headers in [vec![JSON, &*cookie], vec![JSON, &cookie, &other]] {
        let answer = house.ask("POST", "/api/v1/pause", &headers, &pause).await;
        assert_eq!(answer.status, 403);
        assert!(answer.error().contains("form token"), "{}", answer.body);
    }
    assert!(house.events.lock().is_empty());
    assert_eq!(
        house.ask("POST", "/api/v1/pause", &[JSON, &cookie, &shown], &pause).await.status,
        200
    );
    let foreign = [JSON, &*cookie, &shown, "Origin: https://evil.example"];
    assert_eq!(house.ask("POST", "/api/v1/pause", &foreign, &pause).await.status, 403);
    // A page that is loaded again asks for it; one of another origin cannot read the answer.
    let again = house.ask("GET", "/-/session", &[&cookie], "").await.json();
    assert_eq!(again["form_token"], *form_token);
    let counted = refusals(&house, "", &[&bearer("ci")]).await;
    assert!(counted.contains(&r#"{reason="no_form_token"} 2"#.to_owned()), "{counted:?}");
}

#[tokio::test]
async fn a_session_ends_by_sign_out_and_with_its_token() {
    let house = open().await;
    let (cookie, form_token) = sign_in(&house).await;
    let (second, _) = sign_in(&house).await;
    assert_eq!(house.ask("DELETE", "/-/session", &[&cookie], "").await.status, 403);
    let shown = format!("X-CSRF-Token: {form_token}");
    let out = house.ask("DELETE", "/-/session", &[&cookie, &shown], "").await;
    assert_eq!(out.status, 200);
    assert!(
        out.head.contains("set-cookie: homeostat=; path=/; httponly; samesite=strict; max-age=0")
    );
    let status =
        async |cookie: &str| house.ask("GET", "/api/v1/status", &[cookie], "").await.status;
    assert_eq!((status(&cookie).await, status(&second).await), (401, 200));
    let grants = "  - { who: [\"token:other\"], may: [view] }\n";
    house.entrance.configure(Rules::new(Some(&access(&["other"], grants))).unwrap());
    assert_eq!(status(&second).await, 401, "the token is gone");
    let grants = "  - { who: [\"token:ci\"], may: [view] }\n";
    house.entrance.configure(Rules::new(Some(&access(&["ci"], grants))).unwrap());
    assert_eq!(status(&second).await, 401, "and so it stays");
}

#[tokio::test]
async fn who_cannot_sign_in_is_told_and_gets_no_cookie() {
    let house = open().await;
    for (headers, body, status) in [
        (&[JSON][..], json!({ "token": "wrong" }), 401),
        (&[JSON], json!({ "token": "secret-of-old" }), 401),
        (&[JSON], json!({ "user": "ann", "password": "x" }), 401),
        (&[JSON], json!({ "user": "ann" }), 400),
        (&["Content-Type: text/plain"], json!({ "token": "secret-of-ci" }), 400),
        (&[JSON, "Origin: https://evil.example"], json!({ "token": "secret-of-ci" }), 403),
    ] {
        let answer = house.ask("POST", "/-/session", headers, &body.to_string()).await;
        assert_eq!(answer.status, status, "{body}: {answer:?}");
        assert!(!answer.head.contains("set-cookie") && !answer.error().is_empty(), "{answer:?}");
    }
    let nobody = house.get("/-/session").await.json();
    assert_eq!(
        nobody,
        json!({ "identity": null, "form_token": null, "ways": ["token"], "provider": null })
    );
    let anyone = House::usual().await.get("/-/session").await.json();
    assert_eq!(
        anyone,
        json!({ "identity": "anonymous", "form_token": null, "ways": [], "provider": null })
    );
    for cookie in ["Cookie: homeostat=x", "Cookie: homeostat=", "Cookie: __Host-homeostat=x"] {
        let answer = house.ask("GET", "/api/v1/status", &[cookie], "").await;
        assert_eq!(answer.status, 401, "{cookie}");
    }
}

#[tokio::test]
async fn the_scripts_of_a_page_are_not_asked_for_a_password_by_their_browser() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.yml");
    let hash = bcrypt::hash("secret", 4).unwrap();
    std::fs::write(&path, format!("basic_auth_users: {{ ann: \"{hash}\" }}")).unwrap();
    let listening = Arc::new(Listening::open(&path).unwrap());
    let told = Arc::new(Notify::new());
    let tell = told.clone();
    tokio::spawn(listening.clone().follow(
        |_| Ok(()),
        move |_| {
            tell.notify_one();
            async {}
        },
    ));
    let house = House::open(Ways { listening: Some(listening), ..Ways::default() }).await;
    let challenged = async |headers: &[&str]| {
        let answer = house.ask("GET", "/api/v1/status", headers, "").await;
        assert_eq!(answer.status, 401);
        answer.head.contains("www-authenticate: basic")
    };
    assert!(challenged(&[]).await);
    assert!(!challenged(&["Sec-Fetch-Dest: empty"]).await);
    let body = json!({ "user": "ann", "password": "secret" }).to_string();
    let answer = house.ask("POST", "/-/session", &[JSON], &body).await;
    let line = answer.head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    let cookie = format!("Cookie: {}", line.split(';').next().unwrap());
    let status = async || house.ask("GET", "/api/v1/status", &[&cookie], "").await.status;
    assert_eq!(status().await, 200);
    let hash = bcrypt::hash("another", 4).unwrap();
    std::fs::write(&path, format!("basic_auth_users: {{ ann: \"{hash}\" }}")).unwrap();
    told.notified().await;
    assert_eq!(status().await, 401, "the password was replaced");
}

const FORM: &str = "Content-Type: application/x-www-form-urlencoded";
const HTML: &str = "Accept: text/html";

#[tokio::test]
async fn a_form_of_a_page_shows_the_token_of_its_session_and_is_answered_by_a_page() {
    let house = open().await;
    let (cookie, token) = sign_in(&house).await;
    let page = house.ask("GET", "/pause", &[&cookie, HTML], "").await;
    let field = format!("<input type=\"hidden\" name=\"csrf\" value=\"{token}\">");
    assert!(page.body.contains(&field), "{page:?}");
    let other = "0".repeat(64);
    for form in ["reason=r".to_owned(), format!("csrf={other}&reason=r"), "csrf=".to_owned()] {
        let answer = house.ask("POST", "/pause", &[FORM, &cookie, HTML], &form).await;
        assert_eq!(answer.status, 403, "{form}");
        assert!(answer.body.contains("form token"), "{answer:?}");
    }
    let shown = format!("csrf={token}&reason=r");
    let foreign = [FORM, &*cookie, HTML, "Origin: https://evil.example"];
    assert_eq!(house.ask("POST", "/pause", &foreign, &shown).await.status, 403);
    let unnamed = format!("csrf={token}");
    let answer = house.ask("POST", "/pause", &[FORM, &cookie, HTML], &unnamed).await;
    assert!(answer.status == 400 && answer.body.contains("say why"), "{answer:?}");
    assert!(house.events.lock().is_empty());
    let answer = house.ask("POST", "/pause", &[FORM, &cookie, HTML], &shown).await;
    assert!(answer.status == 200 && answer.body.contains(PAUSED), "{answer:?}");
    assert_eq!(house.events.lock().len(), 1);
    let other = "csrf=x&digest=odd&reason=r".replace('x', &token);
    let answer = house.ask("POST", "/incidents/1/cancel", &[FORM, &cookie, HTML], &other).await;
    assert!(answer.status == 400 && answer.body.contains("no digest"), "{answer:?}");
    let approve = house.ask("GET", "/incidents/1/approve", &[&cookie, HTML], "").await;
    assert!(approve.status == 403 && approve.body.contains("You may not see this"), "{approve:?}");
}

#[tokio::test]
async fn who_signs_in_by_a_form_goes_on_to_where_they_were_and_nowhere_else() {
    let house = open().await;
    for (next, goes) in [
        ("/incidents/7?x=y", "../incidents/7?x=y"),
        ("//evil.example", "../"),
        ("https://evil.example/", "../"),
    ] {
        let form = format!("secret=secret-of-ci&next={next}");
        let answer = house.ask("POST", "/-/session", &[FORM, HTML], &form).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.body.contains(&format!("content=\"0; url={goes}\"")), "{}", answer.body);
        assert!(answer.head.contains("set-cookie: homeostat="));
    }
    let wrong = house.ask("POST", "/-/session", &[FORM, HTML], "secret=guess").await;
    assert!(wrong.status == 401 && wrong.body.contains("credentials are wrong"), "{wrong:?}");
    assert!(!wrong.head.contains("set-cookie") && !wrong.body.contains("guess"));
    let (cookie, token) = sign_in(&house).await;
    let out = house.ask("POST", "/sign-out", &[FORM, &cookie], "").await;
    assert_eq!(out.status, 403, "another site does not sign anybody out");
    let shown = format!("csrf={token}");
    let out = house.ask("POST", "/sign-out", &[FORM, &cookie], &shown).await;
    assert!(out.head.contains("set-cookie: homeostat=; path=/"), "{out:?}");
    assert_eq!(house.ask("GET", "/api/v1/status", &[&cookie], "").await.status, 401);
}
