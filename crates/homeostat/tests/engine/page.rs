//! The pages in a real browser: who signs in and how, what an operator sees at night, and does.
//! Skipped where Chromium with its driver is not installed.

use homeostat::demo::stack::{self, Sandbox};
use serde_json::json;

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
    browser.go(&format!("{url}incidents/1")).await;
    browser.sees("#login", "Password or token").await;
    browser.sound("signed-out").await;
    browser.write("#user", "ann").await;
    browser.write("#secret", "wrong").await;
    browser.click("#login button").await;
    browser.sees("#refusal", "these credentials are wrong").await;
    assert_eq!(browser.value("document.querySelector('#secret').value").await, "");
    browser.write("#user", "ann").await;
    browser.write("#secret", "secret").await;
    browser.click("#login button").await;
    browser.sees("#who", "user:ann").await;
    // Where they wanted to go; after a sign-in that failed, where it begins.
    browser.sees("#main", "<b>a:80</b>").await;
    browser.sound("signed-in").await;
    assert_eq!(browser.value("document.cookie").await, "", "no script sees the session");
    browser.go(&format!("{url}incidents/1")).await;
    browser.sees("h1", "Down · <b>a:80</b>").await;
    browser.sees("#main", "shadowed").await;
    browser.click("#out").await;
    browser.sees("#login", "Sign in").await;
    browser.go(&format!("{url}policies")).await;
    browser.write("#secret", "t0ken").await;
    browser.click("#login button").await;
    browser.sees("#who", "token:admin").await;
    browser.sees("h1", "Policies").await;
    browser.go(&format!("{url}pause")).await;
    browser.sees("h1", "You may not see this").await;
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
    provider.know("bob", &json!({ "groups": ["sre"] })).await;
    // By another name than the engine's, so that it is another site for the browser.
    let issuer = format!("http://localhost:{}", provider.address.port());
    let oidc =
        format!("  oidc: {{ issuer: \"{issuer}\", client_id: homeostat, client_secret: s }}\n");
    let (_engine, url) = engine(&sandbox, &oidc).await;
    browser.go(&format!("{url}incidents/1")).await;
    browser.sees("#provider", "Sign in at localhost").await;
    browser.picture("provider").await;
    browser.click("#provider").await;
    browser.sees("h1", "Authorize Client").await;
    browser.click("button[value=deny]").await;
    browser.sees("#refusal", "The provider did not let you in (access_denied).").await;
    browser.until("location.search === ''").await;
    browser.go(&format!("{url}incidents/1")).await;
    browser.click("#provider").await;
    browser.sees("h1", "Authorize Client").await;
    browser.write("input[name=sub]", "bob").await;
    browser.click("form button[type=submit]").await;
    browser.sees("#who", "user:bob").await;
    browser.sees("h1", "Down · ").await;
    let address = browser.value("location.href").await;
    assert_eq!(address, format!("{url}incidents/1"), "nothing of what the provider sent is left");
    browser.picture("signed-in-by-provider").await;
    assert_eq!(browser.value("document.cookie").await, "");
    browser.click("#out").await;
    browser.sees("#provider", "Sign in at localhost").await;
    // What somebody else made a browser come back with.
    browser.go(&format!("{url}?code=x&state=y")).await;
    browser.sees("#refusal", "this sign-in did not begin in this browser").await;
    browser.go(&format!("{url}?error=<b>call+555</b>&state=y")).await;
    browser.sees("#refusal", "The provider did not let you in.").await;
    assert_eq!(browser.complaints().await, [""; 0]);
    browser.close().await;
}

/// What an operator has at night: one question, one action that runs, one that was given up, and a
/// storm that a guard holds.
const NIGHT: &str = r#"policies:
  - name: db-primary
    matchers: ['alertname="DatabaseDown"']
    target: [cluster]
    mode: approve
    escalate: none
    remedies: [{ name: failover, exec: [/bin/echo, failed over, "{{ labels.cluster }}"] }]
    verify: { within: 1h }
  - name: web
    matchers: ['alertname="ServiceDown"']
    target: [instance]
    mode: auto
    escalate: none
    remedies: [{ name: restart, script: "echo restarting; sleep 60", timeout: 15m }]
  - name: disk-full
    matchers: ['alertname="DiskFull"']
    target: [instance]
    mode: auto
    escalate: none
    guard: { rate: { max: 1, per: 1h } }
    remedies: [{ name: clean, exec: [/bin/sleep, "60"], timeout: 15m }]
"#;

const DISKS: usize = 203;

/// An alert fires on so many nodes.
async fn fire_on(engine: &Engine, alert: &str, nodes: usize) {
    let nodes: Vec<String> = (0..nodes).map(|node| format!("node{node:03}.eu:9100")).collect();
    for some in nodes.chunks(50) {
        let labels: Vec<[(&str, &str); 2]> =
            some.iter().map(|node| [("alertname", alert), ("instance", node)]).collect();
        let alerts: Vec<&[(&str, &str)]> = labels.iter().map(|labels| &labels[..]).collect();
        assert_eq!(engine.post("/hooks", notification(&alerts)).await, 200);
    }
}

async fn night(sandbox: &Sandbox) -> (Engine, String) {
    let engine = Engine::start(sandbox, NIGHT, &[]).await;
    fire_on(&engine, "DiskFull", DISKS).await;
    let others: [&[(&str, &str)]; 3] = [
        &[("alertname", "DatabaseDown"), ("cluster", "orders"), ("severity", "critical")],
        &[("alertname", "DatabaseDown"), ("cluster", "stock"), ("severity", "warning")],
        &[("alertname", "ServiceDown"), ("instance", "web01:80"), ("severity", "critical")],
    ];
    assert_eq!(engine.post("/hooks", notification(&others)).await, 200);
    let open = || async {
        let status = engine.json("/api/v1/status").await;
        let open = &status["incidents_open"];
        (open["awaiting_approval"] == 2 && open["acting"] == 2).then_some(())
    };
    until("a night", open).await;
    let url = engine.url("/");
    (engine, url)
}

#[tokio::test]
async fn an_operator_sees_who_is_needed_and_approves_rejects_cancels_and_pauses() {
    let sandbox = Sandbox::new().unwrap();
    let Some(browser) = Browser::open(&sandbox).await else { return Browser::skipped() };
    let (engine, url) = night(&sandbox).await;
    browser.go(&url).await;
    browser.sees(".tiles", "2 need you").await;
    assert_eq!(browser.value("document.title").await, "(2) needs you · Now · Homeostat");
    // On a phone, too, the question is on the first screen, and nothing is wider than it.
    browser.resize(390, 844).await;
    browser
        .until(
            "document.querySelector('a[data-deed=approve]').getBoundingClientRect().bottom < 844",
        )
        .await;
    browser.until("document.documentElement.scrollWidth <= 390").await;
    browser.sound("now-phone").await;
    browser.resize(1400, 1000).await;
    browser.sound("now").await;
    browser.sees(".group summary", "202 held by rate").await;

    // By keys alone: to the first card, and what it asks.
    browser.press("j").await;
    browser.until("document.activeElement.textContent === 'DatabaseDown · orders'").await;
    browser.press("a").await;
    browser.sees("h1", "Approve: DatabaseDown · orders?").await;
    browser.sees("pre", "/bin/echo").await;
    browser.sound("approve").await;
    browser.write("input[name=by]", "ann").await;
    browser.write("textarea", "looked at it").await;
    browser.click(".confirm summary").await;
    browser.write("input[name=next]", "2").await;
    browser.write("input[name=for]", "24h").await;
    browser.confirm().await;
    browser.sees("#said", "starts").await;
    browser.until("location.pathname.startsWith('/incidents/')").await;
    browser.sees("#main", "verifying").await;
    browser
        .sees("#story ~ .story", "ann approves, and 2 more runs like it within 1d: looked at it.")
        .await;
    browser.sees("pre", "failed over orders").await;
    browser.sound("incident").await;
    // What would be done, from the alert itself.
    browser.click_text("a", "Explain").await;
    browser.sees("h1", "What would be done about an alert?").await;
    browser.sees(".rungs", "/bin/echo \"failed over\" orders").await;
    browser.sees(".card", "is verifying").await;
    browser.sound("explain").await;
    browser.value("history.back()").await;
    browser.sees("pre", "failed over orders").await;
    browser.resize(390, 844).await;
    browser.until("document.documentElement.scrollWidth <= 390").await;
    browser.sound("incident-phone").await;
    browser.resize(1400, 1000).await;

    revoke(&browser, &url).await;

    browser.go(&url).await;
    browser.sees(".tiles", "1 needs you").await;
    browser.press("j").await;
    browser.press("r").await;
    browser.sees("h1", "Reject: DatabaseDown · stock?").await;
    browser.write("input[name=by]", "ann").await;
    browser.confirm().await;
    browser.sees("#main", "rejected").await;

    browser.go(&format!("{url}?show=acting")).await;
    browser.click_text("a", "ServiceDown · web01:80").await;
    browser.sees(".next", "Remedy restart runs").await;
    browser.sees("#printed", "Output of restart, run 1, so far").await;
    browser.sees("#output", "restarting").await;
    let web = engine.json("/api/v1/incidents?policy=web&fields=orders").await;
    let id = web["incidents"][0]["id"].as_str().unwrap();
    let incident = engine.json(&format!("/api/v1/incidents/{id}")).await;
    assert_eq!(incident["orders"][0]["output"], "restarting\n", "{incident:#}");
    browser.click_text("a", "Cancel…").await;
    browser.sees("h1", "Cancel: ServiceDown").await;
    browser.write("input[name=by]", "ann").await;
    browser.confirm().await;
    browser.sees("#main", "cancelled").await;

    browser.go(&url).await;
    browser.press("p").await;
    browser.sees("h1", "Pause?").await;
    browser.write("input[name=by]", "ann").await;
    browser.write("textarea", "migration").await;
    browser.confirm().await;
    browser.sees(".strip", "Paused by ann").await;
    browser.sees(".strip", "migration").await;
    browser.sound("paused").await;
    browser.press("p").await;
    browser.sees("h1", "Resume?").await;
    browser.write("input[name=by]", "ann").await;
    browser.confirm().await;
    browser.until("!document.querySelector('.strip')").await;
    let deeds = engine.json("/api/v1/audit").await;
    let what: Vec<&str> =
        deeds["entries"].as_array().unwrap().iter().map(|d| d["what"].as_str().unwrap()).collect();
    assert_eq!(what, ["resume", "pause", "cancel", "reject", "revoke", "approve", "start"]);
    browser.go(&format!("{url}audit")).await;
    browser.sees("#main", "looked at it").await;
    browser.sound("audit").await;
    assert_eq!(browser.complaints().await, [""; 0]);
    browser.close().await;
}

/// Ends what was approved ahead, where the policies are.
async fn revoke(browser: &Browser, url: &str) {
    browser.go(&format!("{url}policies")).await;
    browser.sees("#ahead + table", "2 of 2").await;
    browser.sound("ahead").await;
    browser.click_text("a", "Revoke…").await;
    browser.sees("h1", "Revoke what was approved ahead?").await;
    browser.sees("pre", "failed over").await;
    browser.write("input[name=by]", "ann").await;
    browser.sound("revoke").await;
    browser.confirm().await;
    browser.until("!document.querySelector('#ahead')").await;
}

#[tokio::test]
async fn what_changes_is_drawn_anew_and_focus_and_what_was_unfolded_stay() {
    let sandbox = Sandbox::new().unwrap();
    let Some(browser) = Browser::open(&sandbox).await else { return Browser::skipped() };
    let (engine, url) = night(&sandbox).await;
    browser.go(&url).await;
    browser.click(".group summary").await;
    browser.value("document.activeElement.blur()").await;
    browser.press("j").await;
    browser.until("document.activeElement.textContent === 'DatabaseDown · orders'").await;
    browser.value("window.mark = document.querySelector('#main')").await;
    let more = [("alertname", "DatabaseDown"), ("cluster", "users"), ("severity", "critical")];
    assert_eq!(engine.post("/hooks", notification(&[&more])).await, 200);
    browser.sees("#needs + .cards", "DatabaseDown · users").await;
    for kept in [
        "window.mark === document.querySelector('#main')",
        "document.activeElement.textContent === 'DatabaseDown · orders'",
        "document.querySelector('details.group').open",
    ] {
        assert_eq!(browser.value(kept).await, true, "{kept}");
    }
    // A form that somebody fills in is left alone.
    browser.click_text("a", "Approve…").await;
    browser.write("textarea", "half a").await;
    let another = [("alertname", "DatabaseDown"), ("cluster", "mail"), ("severity", "critical")];
    assert_eq!(engine.post("/hooks", notification(&[&another])).await, 200);
    browser.write("textarea", " sentence").await;
    assert_eq!(browser.value("document.querySelector('textarea').value").await, "half a sentence");
    // Whoever does not answer is told of.
    browser.go(&url).await;
    let process = rustix::process::Pid::from_raw(i32::try_from(engine.pid()).unwrap()).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::STOP).unwrap();
    browser.sees("#age", "Not updated for").await;
    browser.until("document.body.classList.contains('stale')").await;
    rustix::process::kill_process(process, rustix::process::Signal::CONT).unwrap();
    browser.until("!document.body.classList.contains('stale')").await;
    browser.close().await;
}

#[tokio::test]
async fn every_page_is_there_in_both_schemes_and_widths_and_works_without_a_script() {
    let sandbox = Sandbox::new().unwrap();
    let Some(browser) = Browser::open(&sandbox).await else { return Browser::skipped() };
    let (engine, url) = night(&sandbox).await;
    for (page, heading) in [
        ("", "Now"),
        ("incidents", "Incidents"),
        ("incidents?state=waiting&policy=disk-full", "Incidents"),
        ("incidents/1", "DiskFull · node000.eu:9100"),
        ("incidents/99999", "There is no incident 99999"),
        ("policies", "Policies"),
        ("alerts", "Alerts that fire"),
        ("explain", "What would be done about an alert?"),
        ("explain?label=alertname%3DDiskFull", "What would be done about an alert?"),
        (
            "explain?label=alertname%3DDiskFull&label=instance%3Dnode000.eu%3A9100",
            "What would be done about an alert?",
        ),
        ("explain?labels=alertname", "What would be done about an alert?"),
        ("history", "The last 90 days"),
        ("audit", "Audit"),
        ("pause", "Pause?"),
    ] {
        let name = page.replace(['/', '?', '&', '=', '%'], "-");
        for scheme in ["light", "dark"] {
            browser.scheme(scheme).await;
            for (width, height) in [(390, 844), (1400, 1000)] {
                browser.resize(width, height).await;
                browser.go(&format!("{url}{page}")).await;
                browser
                    .until(&format!("document.querySelector('h1').textContent === '{heading}'"))
                    .await;
                browser.until(&format!("document.documentElement.scrollWidth <= {width}")).await;
                browser.sound(&format!("page-{name}-{scheme}-{width}")).await;
            }
        }
        let answer = engine.client().get(format!("{url}{page}")).header("accept", "text/html");
        let body = answer.send().await.unwrap().text().await.unwrap();
        assert!(body.contains(heading) || heading.contains('·'), "{page}");
        assert!(body.len() < 150_000, "{page} has {} bytes", body.len());
    }
    assert_eq!(browser.complaints().await, [""; 0]);
    browser.close().await;
}

/// How soon there is something to see of ten thousand incidents, a thousand of them open. It is for a
/// quiet machine, and told in the manual: `cargo nextest run … --run-ignored only -E 'test(painted)'`.
#[tokio::test]
#[ignore = "it measures"]
async fn pages_of_ten_thousand_incidents_are_painted_soon() {
    const CONFIG: &str = r#"policies:
  - name: quiet
    matchers: ['alertname="Quiet"']
    target: [instance]
    mode: shadow
    escalate: none
    remedies: [{ name: act, exec: [/bin/true] }]
  - name: disk-full
    matchers: ['alertname="DiskFull"']
    target: [instance]
    mode: auto
    escalate: none
    guard: { rate: { max: 1, per: 1h } }
    remedies: [{ name: clean, exec: [/bin/sleep, "60"], timeout: 15m }]
"#;
    let sandbox = Sandbox::new().unwrap();
    let Some(browser) = Browser::open(&sandbox).await else { return Browser::skipped() };
    let engine = Engine::start(&sandbox, CONFIG, &["--log.level=warn"]).await;
    for (name, count) in [("Quiet", 9_000), ("DiskFull", 1_000)] {
        fire_on(&engine, name, count).await;
    }
    until("all incidents", || async {
        let status = engine.json("/api/v1/status").await;
        (status["incidents_open"]["waiting"] == 999).then_some(())
    })
    .await;
    for page in ["", "incidents", "incidents?state=open", "policies", "alerts", "history"] {
        let mut painted = Vec::new();
        for _ in 0..5 {
            browser.go(&engine.url(&format!("/{page}"))).await;
            let first = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime";
            browser.until(&format!("{first} > 0")).await;
            painted.push(browser.value(first).await.as_f64().unwrap());
        }
        painted.sort_by(f64::total_cmp);
        eprintln!("/{page}: painted after {:.0} ms, at most {:.0} ms", painted[2], painted[4]);
        assert!(painted[2] <= 300.0, "/{page}: {painted:?}");
    }
    browser.close().await;
}
