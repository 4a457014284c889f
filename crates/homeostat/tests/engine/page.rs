//! The page in a real browser: signing in by a password, by a token and at a provider, and signing out.
//! Skipped where Chromium with its driver is not installed.

use homeostat::demo::stack::{self, Sandbox};

use crate::support::browser::Browser;
use crate::support::provider::Provider;
use crate::support::{Engine, notification, until};

/// The hash of `secret`, by bcrypt with cost 4.
const HASH: &str = "$2y$04$cDOV4OiDtLXgDqGkJr.wK.ZTkTVVO8TYOWLzQuL6I4Ct/fcl9cf4G";

/// An engine that asks who people are, at an address that they are told of beforehand.
async fn engine(sandbox: &Sandbox, oidc: &str) -> (Engine, String) {
    let at = |name: &str| sandbox.path().join(name).display().to_string();
    std::fs::write(at("web.yml"), format!("basic_auth_users: {{ ann: {HASH} }}\n")).unwrap();
    std::fs::write(at("token"), "t0ken\n").unwrap();
    let config = format!(
        "access:
{oidc}  grants:
    - {{ who: [\"user:ann\", \"token:admin\"], may: [view, send] }}
    - {{ who: [\"group:sre\"], may: [view] }}
policies:
  - {{ name: web, matchers: ['alertname=\"Down\"'], target: [instance], mode: shadow, remedies: [] }}
"
    );
    let address = stack::free_address().unwrap();
    let arguments = [
        format!("--web.config.file={}", at("web.yml")),
        format!("--web.bearer-token-file={}", at("token")),
        format!("--web.listen-address={address}"),
        format!("--web.external-url=http://{address}"),
    ];
    let arguments = arguments.each_ref().map(String::as_str);
    let engine = Engine::start(sandbox, &config, &arguments).await;
    let alert = notification(&[&[("alertname", "Down"), ("instance", "<b>a:80</b>")]]);
    assert_eq!(engine.post("/hooks", alert).await, 200);
    until("an incident", || async { engine.incidents().await.pop() }).await;
    (engine, format!("http://{address}/"))
}

#[tokio::test]
async fn a_person_signs_in_by_password_and_by_token_and_signs_out() {
    let sandbox = Sandbox::new().unwrap();
    let Some(browser) = Browser::open(&sandbox).await else { return Browser::skipped() };
    let (_engine, url) = engine(&sandbox, "").await;
    browser.go(&url).await;
    browser.sees("#login", "Password or token").await;
    browser.sees("#standing", "Sign in to see what happens.").await;
    browser.picture("signed-out").await;
    browser.write("#user", "ann").await;
    browser.write("#secret", "wrong").await;
    browser.click("#login button").await;
    browser.sees("#refusal", "these credentials are wrong").await;
    assert_eq!(browser.value("document.querySelector('#secret').value").await, "");
    browser.write("#secret", "secret").await;
    browser.click("#login button").await;
    browser.sees("#who", "Signed in as user:ann.").await;
    browser.sees("#main", "instance=\"<b>a:80</b>\"").await;
    browser.until("document.querySelector('#login').hidden").await;
    browser.until("document.querySelector('#refusal').hidden").await;
    browser.picture("signed-in").await;
    assert_eq!(browser.value("document.cookie").await, "", "no script sees the session");
    browser.click("#main a").await;
    browser.sees("#main h2", "Incident 1: shadowed").await;
    browser.go(&url).await;
    browser.sees("#who", "Signed in as user:ann.").await;
    browser.click("#out").await;
    browser.sees("#login", "Sign in").await;
    browser.until("document.querySelector('#main').textContent === ''").await;
    browser.write("#secret", "t0ken").await;
    browser.click("#login button").await;
    browser.sees("#who", "Signed in as token:admin.").await;
    browser.sees("#main", "web").await;
    browser.click("#out").await;
    browser.sees("#login", "Sign in").await;
    assert_eq!(browser.complaints().await, [""; 0]);
    browser.close().await;
}

#[tokio::test]
async fn a_person_signs_in_at_a_provider_and_comes_back_to_where_they_were() {
    let sandbox = Sandbox::new().unwrap();
    let Some(provider) = Provider::start(&sandbox, "provider", &[]).await else {
        return Provider::skipped();
    };
    let Some(browser) = Browser::open(&sandbox).await else { return Browser::skipped() };
    provider.know("bob", &serde_json::json!({ "groups": ["sre"] })).await;
    // By another name than the engine's, so that it is another site for the browser.
    let issuer = format!("http://localhost:{}", provider.address.port());
    let oidc =
        format!("  oidc: {{ issuer: \"{issuer}\", client_id: homeostat, client_secret: s }}\n");
    let (_engine, url) = engine(&sandbox, &oidc).await;
    let mark = "sessionStorage.setItem('mark', 'kept')";
    browser.go(&format!("{url}#1")).await;
    browser.sees("#provider", "Sign in at localhost").await;
    browser.value(mark).await;
    browser.picture("provider").await;
    browser.click("#provider").await;
    browser.sees("h1", "Authorize Client").await;
    browser.click("button[value=deny]").await;
    browser.sees("#refusal", "The provider did not let you in (access_denied).").await;
    browser.until("location.search === ''").await;
    browser.click("#provider").await;
    browser.sees("h1", "Authorize Client").await;
    browser.write("input[name=sub]", "bob").await;
    browser.click("form button[type=submit]").await;
    browser.sees("#who", "Signed in as user:bob.").await;
    browser.sees("#main h2", "Incident 1: ").await;
    let address = browser.value("location.href").await;
    assert_eq!(address, format!("{url}#1"), "nothing of what the provider sent is left");
    browser.until("document.querySelector('#refusal').hidden").await;
    browser.picture("signed-in-by-provider").await;
    assert_eq!(browser.value("document.cookie").await, "");
    browser.click("#out").await;
    browser.sees("#provider", "Sign in at localhost").await;
    // What somebody else made a browser come back with.
    browser.go(&format!("{url}?code=x&state=y")).await;
    browser.sees("#refusal", "this sign-in did not begin in this browser").await;
    browser.until("location.search === ''").await;
    browser.go(&format!("{url}?error=<b>call+555</b>&state=y")).await;
    browser.sees("#refusal", "The provider did not let you in.").await;
    assert_eq!(browser.complaints().await, [""; 0]);
    browser.close().await;
}
