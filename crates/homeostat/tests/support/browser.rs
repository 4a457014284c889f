//! A real browser: Debian's Chromium without a window, steered by its driver over HTTP.
//!
//! Source: W3C `WebDriver`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use homeostat::demo::stack::{self, Process, Sandbox};
use reqwest::Client;
use serde_json::{Value, json};

use super::{program, until};

/// Where pictures of pages are kept, for a person to look at; nowhere unless it is said.
const PICTURES: &str = "HOMEOSTAT_TEST_PICTURES";

/// Where pictures are wanted.
pub(crate) fn pictures() -> Option<PathBuf> {
    std::env::var_os(PICTURES).map(PathBuf::from)
}

/// The text of axe-core, where it is installed beside the programs.
fn axe() -> Option<String> {
    let path = std::env::var_os("PATH")?;
    let places = std::env::split_paths(&path);
    let files = places.map(|place| place.join("../share/javascript/axe.min.js"));
    files.into_iter().find_map(|file| std::fs::read_to_string(file).ok())
}

/// A browser with one page.
pub(crate) struct Browser {
    _driver: Process,
    client: Client,
    session: String,
}

impl Browser {
    /// Opens one; `None` where it is not installed.
    pub(crate) async fn open(sandbox: &Sandbox) -> Option<Self> {
        let mut command = Command::new(program("chromedriver")?);
        let address: SocketAddr = stack::free_address().unwrap();
        command.arg(format!("--port={}", address.port()));
        command.env("HOME", sandbox.path());
        let driver = Process::spawn("chromedriver", &mut command, sandbox.path()).unwrap();
        // The provider of TLS is installed with it.
        drop(stack::client());
        let client = Client::builder().no_proxy().timeout(super::PATIENCE).build().unwrap();
        let url = format!("http://{address}");
        until("a driver of a browser", || async {
            let status: Value =
                client.get(format!("{url}/status")).send().await.ok()?.json().await.ok()?;
            (status["value"]["ready"] == true).then_some(())
        })
        .await;
        // As root, and in containers, there is no sandbox; /dev/shm may be small there.
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--no-proxy-server",
            "--window-size=1000,700",
        ];
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let answer = client.post(format!("{url}/session")).json(&wanted).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        let id = answer["value"]["sessionId"].as_str().unwrap_or_else(|| panic!("{answer}"));
        Some(Self { _driver: driver, client, session: format!("{url}/session/{id}") })
    }

    async fn ask(&self, path: &str, body: &Value) -> Result<Value, String> {
        let request = self.client.post(format!("{}{path}", self.session)).json(body);
        let answer = request.send().await.unwrap();
        let (status, answer) = (answer.status(), answer.json::<Value>().await.unwrap());
        if status.is_success() { Ok(answer["value"].clone()) } else { Err(answer.to_string()) }
    }

    /// Goes to a page.
    pub(crate) async fn go(&self, url: &str) {
        self.ask("/url", &json!({ "url": url })).await.unwrap();
    }

    /// Evaluates an expression in the page.
    pub(crate) async fn value(&self, expression: &str) -> Value {
        let script = json!({ "script": format!("return ({expression});"), "args": [] });
        self.ask("/execute/sync", &script).await.unwrap_or(Value::Null)
    }

    /// Waits until an expression is true in the page.
    pub(crate) async fn until(&self, expression: &str) {
        until(expression, || async { (self.value(expression).await == true).then_some(()) }).await;
    }

    /// Waits until a person sees this text in an element.
    pub(crate) async fn sees(&self, selector: &str, text: &str) {
        let expression = format!(
            "(e => e !== null && e.checkVisibility() && e.textContent.includes({}))\
             (document.querySelector({}))",
            json!(text),
            json!(selector)
        );
        self.until(&expression).await;
    }

    /// The element of a page that may still be coming.
    async fn element(&self, selector: &str) -> String {
        self.until(&format!("document.querySelector({}) !== null", json!(selector))).await;
        let wanted = json!({ "using": "css selector", "value": selector });
        let found = self.ask("/element", &wanted).await.unwrap();
        let id = found.as_object().and_then(|found| found.values().next()?.as_str());
        format!("/element/{}", id.unwrap_or_else(|| panic!("{found}")))
    }

    /// Clicks as a person does: on what can be seen.
    pub(crate) async fn click(&self, selector: &str) {
        let element = self.element(selector).await;
        self.ask(&format!("{element}/click"), &json!({})).await.unwrap();
    }

    /// Does what a page asks about, and waits for the page that says what it came to: until then the
    /// browser is on its way there, and would leave any other page for it.
    pub(crate) async fn confirm(&self) {
        self.click("#do").await;
        self.sees("#said", "").await;
    }

    /// Types into a field.
    pub(crate) async fn write(&self, selector: &str, text: &str) {
        let element = self.element(selector).await;
        self.ask(&format!("{element}/value"), &json!({ "text": text })).await.unwrap();
    }

    /// Clicks on the first element of a kind that has this text.
    pub(crate) async fn click_text(&self, tag: &str, text: &str) {
        let of = format!("[...document.querySelectorAll({})]", json!(tag));
        let found = format!("{of}.find(e => e.textContent.trim() === {})", json!(text));
        self.until(&format!("{found} !== undefined")).await;
        self.value(&format!("{found}.click()")).await;
    }

    /// Presses a key, wherever the focus is, as a person does: once there is something to see. Of a
    /// page that was not painted yet, Chromium drops what is pressed.
    pub(crate) async fn press(&self, key: &str) {
        self.until("performance.getEntriesByName('first-contentful-paint').length > 0").await;
        let actions = json!({ "actions": [{ "type": "key", "id": "keys", "actions": [
            { "type": "keyDown", "value": key }, { "type": "keyUp", "value": key },
        ] }] });
        self.ask("/actions", &actions).await.unwrap();
    }

    /// Makes the page as large as a screen.
    pub(crate) async fn resize(&self, width: u32, height: u32) {
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 640,
        });
        self.emulate("Emulation.setDeviceMetricsOverride", &metrics).await;
    }

    /// Lets the page be `light` or `dark`.
    pub(crate) async fn scheme(&self, scheme: &str) {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.emulate("Emulation.setEmulatedMedia", &features).await;
    }

    async fn emulate(&self, command: &str, parameters: &Value) {
        let command = json!({ "cmd": command, "params": parameters });
        self.ask("/goog/cdp/execute", &command).await.unwrap();
    }

    /// Sees that everybody can use the page: axe-core finds nothing against WCAG 2.2 AA. Takes a
    /// picture, too.
    pub(crate) async fn sound(&self, name: &str) {
        self.picture(name).await;
        let Some(axe) = axe() else {
            return eprintln!("not asked: there is no axe-core; `make test` installs it");
        };
        self.ask("/execute/sync", &json!({ "script": axe, "args": [] })).await.unwrap();
        let script = "const done = arguments[0]; \
            axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] }) \
              .then(r => done(r.violations.map(v => v.id + ': ' + v.help + ' ' \
                + v.nodes.slice(0, 3).map(n => n.html + ' ' + n.failureSummary).join(' | '))), \
              e => done(String(e)));";
        let found = json!({ "script": script, "args": [] });
        let found = self.ask("/execute/async", &found).await.unwrap();
        assert_eq!(found, json!([]), "{name}");
    }

    /// What the page's console has shown since the last look, but failed requests, which are not of
    /// the page's doing.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let lines = self.ask("/se/log", &json!({ "type": "browser" })).await.unwrap();
        let lines = lines.as_array().unwrap().iter().filter(|line| line["source"] != "network");
        lines.map(ToString::to_string).collect()
    }

    /// Takes a picture, where pictures are wanted.
    pub(crate) async fn picture(&self, name: &str) {
        let Some(directory) = pictures() else { return };
        let url = format!("{}/screenshot", self.session);
        let answer: Value = self.client.get(url).send().await.unwrap().json().await.unwrap();
        let picture = BASE64_STANDARD.decode(answer["value"].as_str().unwrap()).unwrap();
        std::fs::write(directory.join(format!("{name}.png")), picture).unwrap();
    }

    /// Says that there is none.
    pub(crate) fn skipped() {
        eprintln!("skipped: there is no chromedriver on the PATH; `make test` installs it");
    }

    /// Closes it, with all that it has started.
    pub(crate) async fn close(self) {
        self.client.delete(&self.session).send().await.unwrap();
    }
}
