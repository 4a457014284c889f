//! An Alertmanager of one's own: configured, started, asked.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use reqwest::Client;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Binary, Process, START_LIMIT, StackError, client, duration, find, free_address, get_json,
    sandbox, yaml_string,
};

/// The three intervals of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timings {
    /// How long a new group waits for more alerts.
    pub group_wait: Duration,
    /// How long a group waits between two notifications.
    pub group_interval: Duration,
    /// After how long an unchanged group is told again.
    pub repeat_interval: Duration,
}

impl Timings {
    /// Those of the mission: ten seconds each.
    pub const MISSION: Self = Self {
        group_wait: Duration::from_secs(10),
        group_interval: Duration::from_secs(10),
        repeat_interval: Duration::from_secs(10),
    };

    /// For tests that do not want to wait.
    pub const QUICK: Self = Self {
        group_wait: Duration::from_millis(200),
        group_interval: Duration::from_secs(1),
        repeat_interval: Duration::from_secs(1),
    };
}

/// Membership in a cluster of Alertmanagers.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Where this one gossips; see [`free_address`].
    pub listen: SocketAddr,
    /// Where the others do.
    pub peers: Vec<SocketAddr>,
}

/// What an Alertmanager should be like. Unless said otherwise: the mission's route and timings, no
/// cluster, no receiver.
#[derive(Clone, Debug)]
pub struct AlertmanagerBuilder {
    name: String,
    webhooks: Vec<String>,
    group_by: Vec<String>,
    timings: Timings,
    cluster: Option<Cluster>,
    address: Option<SocketAddr>,
    configuration: Option<String>,
}

impl AlertmanagerBuilder {
    /// Names it, where several live in one sandbox: its files are called by the name.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Tells this URL, too.
    #[must_use]
    pub fn webhook(mut self, url: &str) -> Self {
        self.webhooks.push(url.to_owned());
        self
    }

    /// Groups by these labels instead of by `alertname`.
    #[must_use]
    pub fn group_by(mut self, labels: &[&str]) -> Self {
        self.group_by = labels.iter().map(|&label| label.to_owned()).collect();
        self
    }

    /// Waits so long.
    #[must_use]
    pub const fn timings(mut self, timings: Timings) -> Self {
        self.timings = timings;
        self
    }

    /// Joins a cluster.
    #[must_use]
    pub fn cluster(mut self, cluster: Cluster) -> Self {
        self.cluster = Some(cluster);
        self
    }

    /// Listens here instead of anywhere; see [`free_address`].
    #[must_use]
    pub const fn listen(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// Uses this text as its whole configuration, in place of webhooks, grouping and timings.
    #[must_use]
    pub fn configuration(mut self, text: &str) -> Self {
        self.configuration = Some(text.to_owned());
        self
    }

    /// Starts it with its files in `directory`, and waits until it is ready.
    pub async fn start(self, directory: &Path) -> Result<Alertmanager, StackError> {
        let text = self.configuration.clone().unwrap_or_else(|| self.render());
        let config = sandbox::write(directory, &format!("{}.yml", self.name), &text)?;
        let address = self.address.map_or_else(free_address, Ok)?;
        let program = find(Binary::Alertmanager)?;
        let launch = Launch { program, config, address, directory: directory.to_owned() };
        let mut process = launch.spawn(&self)?;
        let client = client();
        process.ready(&client, &format!("http://{address}/-/ready"), START_LIMIT).await?;
        Ok(Alertmanager { process, address, client, builder: self, launch })
    }

    /// The mission's `alertmanager.yml`, with our webhooks in it.
    fn render(&self) -> String {
        let mut text = String::from("receivers:\n  - name: my-receiver\n    webhook_configs:");
        text.push_str(if self.webhooks.is_empty() { " []\n" } else { "\n" });
        for url in &self.webhooks {
            let _ = writeln!(text, "      - url: {}", yaml_string(url));
        }
        let Timings { group_wait, group_interval, repeat_interval } = self.timings;
        let _ = write!(
            text,
            "\nroute:\n  group_by: {}\n  group_wait: {}\n  group_interval: {}\n  \
             repeat_interval: {}\n  receiver: my-receiver\n  routes:\n    \
             - receiver: my-receiver\n",
            Value::from(self.group_by.clone()),
            duration(group_wait),
            duration(group_interval),
            duration(repeat_interval),
        );
        text
    }
}

/// What is needed to start one again as it was.
#[derive(Debug)]
struct Launch {
    program: PathBuf,
    config: PathBuf,
    address: SocketAddr,
    directory: PathBuf,
}

impl Launch {
    fn spawn(&self, builder: &AlertmanagerBuilder) -> Result<Process, StackError> {
        let mut command = Command::new(&self.program);
        let storage = self.directory.join(format!("{}-data", builder.name));
        command.arg(format!("--config.file={}", self.config.display()));
        command.arg(format!("--storage.path={}", storage.display()));
        command.arg(format!("--web.listen-address={}", self.address));
        match &builder.cluster {
            None => {
                command.arg("--cluster.listen-address=");
            }
            Some(Cluster { listen, peers }) => {
                command.arg(format!("--cluster.listen-address={listen}"));
                command.arg(format!("--cluster.advertise-address={listen}"));
                command.args(peers.iter().map(|peer| format!("--cluster.peer={peer}")));
            }
        }
        Process::spawn(&builder.name, &mut command, &self.directory)
    }
}

/// An alert as `GET /api/v2/alerts` lists it.
#[derive(Clone, Debug, Deserialize)]
pub struct ListedAlert {
    /// Its identity in Alertmanager.
    pub fingerprint: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

impl ListedAlert {
    /// The value of a label; the empty text where there is none.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

/// A running Alertmanager. Dropping it ends it.
#[derive(Debug)]
pub struct Alertmanager {
    process: Process,
    address: SocketAddr,
    client: Client,
    builder: AlertmanagerBuilder,
    launch: Launch,
}

impl Alertmanager {
    /// Begins to describe one.
    pub fn builder() -> AlertmanagerBuilder {
        AlertmanagerBuilder {
            name: "alertmanager".to_owned(),
            webhooks: Vec::new(),
            group_by: vec!["alertname".to_owned()],
            timings: Timings::MISSION,
            cluster: None,
            address: None,
            configuration: None,
        }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its base URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its process: to look at, to stop, to crash.
    pub const fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Ends it and starts it again on the same port, with the same configuration and storage.
    pub async fn restart(&mut self) -> Result<(), StackError> {
        self.process.end();
        self.process = self.launch.spawn(&self.builder)?;
        let ready = format!("{}/-/ready", self.url());
        self.process.ready(&self.client, &ready, START_LIMIT).await
    }

    /// Fires an alert by its API; it stays until it is resolved, or `resolve_timeout` passes.
    pub async fn fire(&self, labels: &[(&str, &str)]) -> Result<(), StackError> {
        self.post(json!([{ "labels": to_map(labels) }])).await
    }

    /// Says by its API that an alert is over.
    pub async fn resolve(&self, labels: &[(&str, &str)]) -> Result<(), StackError> {
        let now = jiff::Timestamp::now().to_string();
        self.post(json!([{ "labels": to_map(labels), "endsAt": now }])).await
    }

    /// Posts a batch of alerts as it is.
    pub async fn post(&self, alerts: Value) -> Result<(), StackError> {
        let url = format!("{}/api/v2/alerts", self.url());
        let asking = |source| StackError::Asking { url: url.clone(), source };
        let answer = self.client.post(&url).json(&alerts).send().await.map_err(asking)?;
        answer.error_for_status().map(drop).map_err(asking)
    }

    /// The alerts that it holds now; resolved ones are never among them.
    pub async fn alerts(&self) -> Result<Vec<ListedAlert>, StackError> {
        get_json(&self.client, &format!("{}/api/v2/alerts", self.url())).await
    }
}

fn to_map(labels: &[(&str, &str)]) -> Value {
    labels.iter().map(|&(name, value)| (name.to_owned(), Value::from(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_the_missions() {
        let text = Alertmanager::builder().webhook("http://127.0.0.1:9999/hooks").render();
        let expected = r#"receivers:
  - name: my-receiver
    webhook_configs:
      - url: "http://127.0.0.1:9999/hooks"

route:
  group_by: ["alertname"]
  group_wait: 10000ms
  group_interval: 10000ms
  repeat_interval: 10000ms
  receiver: my-receiver
  routes:
    - receiver: my-receiver
"#;
        assert_eq!(text, expected);
    }
}
