//! An engine in a process of its own, for tests that break it.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod browser;
pub(crate) mod cluster;
pub(crate) mod exporter;
pub(crate) mod hands;
pub(crate) mod manager;
pub(crate) mod provider;
pub(crate) mod proxy;
pub(crate) mod secure;
pub(crate) mod sshd;
pub(crate) mod wire;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use homeostat::demo::stack::{self, Process, Sandbox, Signal};
use reqwest::{Client, StatusCode};
use serde_json::Value;

/// The longest that anything may take: far more than it does on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// An engine that runs, and what it was started with.
pub(crate) struct Engine {
    process: Process,
    program: PathBuf,
    pub(crate) address: SocketAddr,
    pub(crate) directory: PathBuf,
    arguments: Vec<String>,
    prefix: String,
    scheme: &'static str,
    /// What it is to do at failpoints, in this run.
    failpoints: String,
    client: Client,
}

/// A configuration, and how an engine that is to break is started with it.
#[derive(Default)]
pub(crate) struct Start<'a> {
    pub(crate) config: &'a str,
    pub(crate) more: &'a [&'a str],
    /// As in `FAILPOINTS`; only an engine that was built with them knows them.
    pub(crate) failpoints: &'a str,
    /// Shell words before the program, as in `ulimit -f 100;`.
    pub(crate) before: &'a str,
}

/// Waits until something is there, looking every few milliseconds.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Looks for a program on the PATH that only some tests need.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|place| place.join(name)).find(|file| file.is_file())
}

/// The directory of an order's records: its name begins with the order's id.
pub(crate) fn order_directory(data: &Path, order: &str) -> PathBuf {
    let orders = data.join("orders");
    let begins = format!("{order}-");
    let entries = std::fs::read_dir(&orders).into_iter().flatten().filter_map(Result::ok);
    let mut found = entries.map(|entry| entry.path()).filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(&begins) || name == order
    });
    found.next().unwrap_or_else(|| orders.join(order))
}

impl Engine {
    /// Starts an engine with this configuration, or without one where it is empty.
    pub(crate) async fn start(sandbox: &Sandbox, config: &str, more: &[&str]) -> Self {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_homeostat"));
        Self::run(program, &["serve"], sandbox, config, more).await
    }

    /// Starts an engine that is served by TLS, and talks to it by a client of its own.
    pub(crate) async fn start_secure(
        sandbox: &Sandbox,
        config: &str,
        more: &[&str],
        client: impl FnOnce(&Path) -> Client,
    ) -> Self {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_homeostat"));
        let start = Start { config, more, ..Start::default() };
        let mut engine = Self::begin(program, &["serve"], sandbox, &start);
        (engine.scheme, engine.client) = ("https", client(sandbox.path()));
        engine.ready().await;
        engine
    }

    /// Starts an engine that is another program, with these words before its options.
    pub(crate) async fn run(
        program: PathBuf,
        words: &[&str],
        sandbox: &Sandbox,
        config: &str,
        more: &[&str],
    ) -> Self {
        let start = Start { config, more, ..Start::default() };
        let engine = Self::begin(program, words, sandbox, &start);
        engine.ready().await;
        engine
    }

    /// Starts an engine that may break before it is ready.
    pub(crate) fn broken(sandbox: &Sandbox, start: &Start<'_>) -> Self {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_homeostat"));
        if start.before.is_empty() {
            return Self::begin(program, &["serve"], sandbox, start);
        }
        let script = format!("{} exec \"$0\" \"$@\"", start.before);
        let words = ["-c", &script, program.to_str().unwrap(), "serve"];
        Self::begin(PathBuf::from("/bin/sh"), &words, sandbox, start)
    }

    /// Starts an engine that has its mounts for itself: what is mounted before it is gone with it.
    pub(crate) fn apart(sandbox: &Sandbox, start: &Start<'_>) -> Self {
        let script = format!("{} exec \"$0\" \"$@\"", start.before);
        let program = env!("CARGO_BIN_EXE_homeostat");
        let words =
            ["--mount", "--propagation", "private", "/bin/sh", "-c", &script, program, "serve"];
        Self::begin(PathBuf::from("unshare"), &words, sandbox, start)
    }

    fn begin(program: PathBuf, words: &[&str], sandbox: &Sandbox, start: &Start<'_>) -> Self {
        let Start { config, more, failpoints, .. } = *start;
        let address = stack::free_address().unwrap();
        let directory = sandbox.path().join("engine");
        std::fs::create_dir_all(&directory).unwrap();
        let mut arguments: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        arguments.extend([
            format!("--web.listen-address={address}"),
            format!("--storage.path={}", directory.join("data").display()),
        ]);
        if !config.is_empty() {
            std::fs::write(directory.join("homeostat.yml"), config).unwrap();
            arguments.push(format!("--config.file={}", directory.join("homeostat.yml").display()));
        }
        arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
        let failpoints = failpoints.to_owned();
        let process = spawn(&program, &directory, &arguments, &failpoints);
        let value = |name: &str| arguments.iter().find_map(|a| a.strip_prefix(name));
        let prefix = value("--web.route-prefix=").unwrap_or_default().to_owned();
        let client = match value("--web.bearer-token-file=") {
            Some(file) => client_with(std::fs::read_to_string(file).unwrap().trim()),
            None => stack::client(),
        };
        let scheme = "http";
        Self { process, program, address, directory, arguments, prefix, scheme, failpoints, client }
    }

    pub(crate) async fn ready(&self) {
        until("a ready engine", || async {
            let answer = self.client.get(self.url("/-/ready")).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}://{}{}{path}", self.scheme, self.address, self.prefix)
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn log(&self) -> String {
        self.process.log_tail()
    }

    /// The log from its beginning.
    pub(crate) fn whole_log(&self) -> String {
        std::fs::read_to_string(self.directory.join("homeostat.log")).unwrap()
    }

    /// Ends it as the kernel would, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        self.process.signal(Signal::KILL).unwrap();
        self.wait();
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        self.process.signal(signal).unwrap();
    }

    /// Waits for its end and returns its exit code.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.process.exit_status() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "the engine does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Starts it again on what is on the disk.
    pub(crate) async fn restart(&mut self) {
        self.failpoints.clear();
        self.start_again();
        self.ready().await;
    }

    /// Starts it again on what is on the disk, to do this at failpoints.
    pub(crate) fn restart_to(&mut self, failpoints: &str) {
        failpoints.clone_into(&mut self.failpoints);
        self.start_again();
    }

    fn start_again(&mut self) {
        let (directory, arguments) = (&self.directory, &self.arguments);
        self.process = spawn(&self.program, directory, arguments, &self.failpoints);
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.process.exit_status().is_some()
    }

    /// Posts as Alertmanager does: whatever is not an answer is another try, later.
    pub(crate) async fn try_post(&self, path: &str, body: &str) -> Option<StatusCode> {
        let request = self.client.post(self.url(path)).body(body.to_owned());
        let answer = request.header("content-type", "application/json").send().await;
        answer.ok().map(|answer| answer.status())
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> StatusCode {
        let request = self.client.post(self.url(path)).body(body);
        request.header("content-type", "application/json").send().await.unwrap().status()
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        self.client.get(self.url(path)).send().await.unwrap().json().await.unwrap()
    }

    /// All incidents, the oldest first.
    pub(crate) async fn incidents(&self) -> Vec<Value> {
        let mut list = self.json("/api/v1/incidents?limit=100&fields=all").await;
        let mut incidents = list["incidents"].as_array_mut().unwrap().clone();
        incidents.reverse();
        incidents
    }

    /// Waits until the only incident is in this state, and returns it.
    pub(crate) async fn incident_in(&self, state: &str) -> Value {
        let what = format!("an incident that is {state}");
        until(&what, || async {
            let incidents = self.incidents().await;
            assert!(incidents.len() <= 1, "more than one incident: {incidents:#?}");
            incidents.into_iter().find(|incident| incident["state"] == state)
        })
        .await
    }

    pub(crate) async fn metric(&self, line: &str) -> Option<f64> {
        let text = self.client.get(self.url("/metrics")).send().await.ok()?.text().await.ok()?;
        let value = text.lines().find_map(|l| l.strip_prefix(line)?.strip_prefix(' '));
        value.map(|value| value.parse().unwrap())
    }
}

/// A client that shows this token.
fn client_with(token: &str) -> Client {
    // The provider of TLS is installed with it.
    drop(stack::client());
    let mut headers = reqwest::header::HeaderMap::new();
    let value = format!("Bearer {token}").parse().unwrap();
    headers.insert(reqwest::header::AUTHORIZATION, value);
    Client::builder().no_proxy().timeout(PATIENCE).default_headers(headers).build().unwrap()
}

fn spawn(program: &Path, directory: &Path, arguments: &[String], failpoints: &str) -> Process {
    let mut command = Command::new(program);
    command.args(arguments);
    if !failpoints.is_empty() {
        command.env("FAILPOINTS", failpoints);
    }
    Process::spawn("homeostat", &mut command, directory).unwrap()
}

/// A webhook's body with these alerts, each firing.
pub(crate) fn notification(alerts: &[&[(&str, &str)]]) -> String {
    body("firing", "0001-01-01T00:00:00Z", alerts)
}

/// A webhook's body with these alerts, each resolved now.
pub(crate) fn resolution(alerts: &[&[(&str, &str)]]) -> String {
    body("resolved", &jiff::Timestamp::now().to_string(), alerts)
}

fn body(status: &str, ends_at: &str, alerts: &[&[(&str, &str)]]) -> String {
    let alerts: Vec<Value> = alerts
        .iter()
        .map(|labels| {
            let labels: serde_json::Map<String, Value> =
                labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).into())).collect();
            serde_json::json!({
                "status": status, "labels": labels, "annotations": {},
                "startsAt": "2026-01-05T09:00:00Z", "endsAt": ends_at, "generatorURL": "",
            })
        })
        .collect();
    serde_json::json!({
        "version": "4", "receiver": "r", "status": status, "alerts": alerts,
        "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {},
        "externalURL": "http://am", "groupKey": "{}:{}", "truncatedAlerts": 0,
    })
    .to_string()
}

/// A policy that heals `Down` by appending a line to `ran`, then doing what `script` says.
pub(crate) fn policy(directory: &Path, script: &str, more: &str) -> String {
    let ran = directory.join("ran");
    let first = format!(
        r#"
        timeout: 20s
        script: |
          echo "$HOMEOSTAT_ORDER" >> {}
          {script}"#,
        ran.display()
    );
    policy_of(directory, &first, more)
}

/// A policy that heals `Down` by this remedy, and by appending a line to `ran` where that failed.
pub(crate) fn policy_of(directory: &Path, first: &str, more: &str) -> String {
    format!(
        r#"
policies:
  - name: web
    matchers: ['alertname="Down"']
    target: [instance]
    mode: auto
    escalate: none
{more}
    remedies:
      - name: first
{first}
      - name: second
        script: echo "$HOMEOSTAT_ORDER" >> {ran}
"#,
        ran = directory.join("ran").display()
    )
}

/// The orders that really ran, by the lines that they wrote.
pub(crate) fn ran(directory: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(directory.join("ran")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}
