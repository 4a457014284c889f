//! A Prometheus of one's own: configured, started, asked.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Client, Url};
use serde::Deserialize;
use serde_json::Value;

use super::{
    Binary, Process, START_LIMIT, StackError, client, duration, find, free_address, get_json,
    sandbox, timestamp, yaml_string,
};

/// What a Prometheus should be like. Unless said otherwise it scrapes and evaluates every second,
/// watches nothing and tells nobody.
#[derive(Clone, Debug)]
pub struct PrometheusBuilder {
    interval: Duration,
    rules: Option<String>,
    jobs: BTreeMap<String, Vec<Target>>,
    alertmanagers: Vec<SocketAddr>,
    global: String,
    alerting: Option<String>,
    relabelling: String,
    sections: String,
    arguments: Vec<String>,
    address: Option<SocketAddr>,
}

#[derive(Clone, Debug)]
struct Target {
    instance: String,
    address: SocketAddr,
}

impl PrometheusBuilder {
    /// Scrapes and evaluates so often.
    #[must_use]
    pub const fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Evaluates these rules: the text of a rule file.
    #[must_use]
    pub fn rules(mut self, text: &str) -> Self {
        self.rules = Some(text.to_owned());
        self
    }

    /// Scrapes an address under these values of `job` and `instance`.
    #[must_use]
    pub fn scrape(mut self, job: &str, instance: &str, address: SocketAddr) -> Self {
        let target = Target { instance: instance.to_owned(), address };
        self.jobs.entry(job.to_owned()).or_default().push(target);
        self
    }

    /// Tells its alerts to an Alertmanager.
    #[must_use]
    pub fn alertmanager(mut self, address: SocketAddr) -> Self {
        self.alertmanagers.push(address);
        self
    }

    /// Adds these lines to `global`, as `external_labels`.
    #[must_use]
    pub fn global(mut self, lines: &str) -> Self {
        lines.clone_into(&mut self.global);
        self
    }

    /// Uses this text as its section `alerting`, in place of addresses of Alertmanagers.
    #[must_use]
    pub fn alerting(mut self, text: &str) -> Self {
        self.alerting = Some(text.to_owned());
        self
    }

    /// Adds these lines to `alerting`, as `alert_relabel_configs`, beside its Alertmanagers.
    #[must_use]
    pub fn relabelling(mut self, lines: &str) -> Self {
        lines.clone_into(&mut self.relabelling);
        self
    }

    /// Adds this text to its configuration, as a section `remote_read`.
    #[must_use]
    pub fn section(mut self, text: &str) -> Self {
        self.sections.push_str(text);
        self
    }

    /// Listens here instead of anywhere; see [`free_address`].
    #[must_use]
    pub const fn listen(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// Starts it with this argument, too.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Starts it with its files in `directory`, and waits until it is ready.
    pub async fn start(self, directory: &Path) -> Result<Prometheus, StackError> {
        if let Some(rules) = &self.rules {
            sandbox::write(directory, "rules.yml", rules)?;
        }
        let config = sandbox::write(directory, "prometheus.yml", &self.render())?;
        let address = self.address.map_or_else(free_address, Ok)?;
        let mut command = Command::new(find(Binary::Prometheus)?);
        command.arg(format!("--config.file={}", config.display()));
        let storage = directory.join("prometheus-data");
        command.arg(format!("--storage.tsdb.path={}", storage.display()));
        command.arg(format!("--web.listen-address={address}"));
        command.args(&self.arguments);
        let mut process = Process::spawn("prometheus", &mut command, directory)?;
        let client = client();
        process.ready(&client, &format!("http://{address}/-/ready"), START_LIMIT).await?;
        Ok(Prometheus { process, address, client })
    }

    fn render(&self) -> String {
        let interval = duration(self.interval);
        let mut text = format!(
            "global:\n  scrape_interval: {interval}\n  scrape_timeout: {interval}\n  \
             evaluation_interval: {interval}\n"
        );
        text.push_str(&self.global);
        if self.rules.is_some() {
            text.push_str("rule_files: [rules.yml]\n");
        }
        if let Some(alerting) = &self.alerting {
            text.push_str(alerting);
        } else if !self.alertmanagers.is_empty() {
            let all: Vec<String> = self.alertmanagers.iter().map(ToString::to_string).collect();
            let all = Value::from(all);
            let _ = write!(
                text,
                "alerting:\n{}  alertmanagers:\n    - static_configs: [{{ targets: {all} }}]\n",
                self.relabelling
            );
        }
        text.push_str(&self.sections);
        text.push_str("scrape_configs:\n");
        for (job, targets) in &self.jobs {
            let job = yaml_string(job);
            let _ = write!(text, "  - job_name: {job}\n    static_configs:\n");
            for Target { instance, address } in targets {
                let labels = format!("{{ instance: {} }}", yaml_string(instance));
                let _ = writeln!(text, "      - {{ targets: [\"{address}\"], labels: {labels} }}");
            }
        }
        text
    }
}

/// An alert of a rule.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleAlert {
    /// The labels of its rule and its series; without external labels.
    pub labels: BTreeMap<String, String>,
    /// `pending` or `firing`.
    pub state: String,
    /// Since when its expression holds.
    #[serde(deserialize_with = "timestamp")]
    pub active_at: Timestamp,
}

impl RuleAlert {
    /// The value of a label; the empty text where there is none.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

/// An alerting rule as `GET /api/v1/rules` lists it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// The name of its alerts.
    pub name: String,
    /// `ok`, `err` or `unknown`.
    pub health: String,
    /// When it was last evaluated; the year 1 where it never was.
    #[serde(deserialize_with = "timestamp")]
    pub last_evaluation: Timestamp,
    /// What it holds since then, pending ones too.
    pub alerts: Vec<RuleAlert>,
}

/// One element of an instant vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

#[derive(Deserialize)]
struct Groups {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Vector {
    result: Vec<Element>,
}

#[derive(Deserialize)]
struct Element {
    metric: BTreeMap<String, String>,
    value: (f64, String),
}

/// A running Prometheus. Dropping it ends it.
#[derive(Debug)]
pub struct Prometheus {
    process: Process,
    address: SocketAddr,
    client: Client,
}

impl Prometheus {
    /// Begins to describe one.
    pub const fn builder() -> PrometheusBuilder {
        PrometheusBuilder {
            interval: Duration::from_secs(1),
            rules: None,
            jobs: BTreeMap::new(),
            alertmanagers: Vec::new(),
            global: String::new(),
            alerting: None,
            relabelling: String::new(),
            sections: String::new(),
            arguments: Vec::new(),
            address: None,
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

    /// Its alerting rules, with the alerts that they hold now.
    pub async fn rules(&self) -> Result<Vec<Rule>, StackError> {
        let url = format!("{}/api/v1/rules?type=alert", self.url());
        let answer: Answer<Groups> = get_json(&self.client, &url).await?;
        Ok(answer.data.groups.into_iter().flat_map(|group| group.rules).collect())
    }

    /// Evaluates an expression now; it must give an instant vector.
    pub async fn query(&self, expression: &str) -> Result<Vec<Sample>, StackError> {
        let base = format!("{}/api/v1/query", self.url());
        let url = Url::parse_with_params(&base, [("query", expression)])
            .expect("an address makes a valid URL");
        let answer: Answer<Vector> = get_json(&self.client, url.as_str()).await?;
        let elements = answer.data.result.into_iter();
        Ok(elements
            .map(|Element { metric, value }| Sample {
                labels: metric,
                value: value.1.parse().unwrap_or(f64::NAN),
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_names_all_that_was_asked_for() {
        let text = Prometheus::builder()
            .rules("groups: []")
            .alertmanager(([127, 0, 0, 1], 9093).into())
            .scrape("web", "a", ([127, 0, 0, 1], 8080).into())
            .render();
        let expected = r#"global:
  scrape_interval: 1000ms
  scrape_timeout: 1000ms
  evaluation_interval: 1000ms
rule_files: [rules.yml]
alerting:
  alertmanagers:
    - static_configs: [{ targets: ["127.0.0.1:9093"] }]
scrape_configs:
  - job_name: "web"
    static_configs:
      - { targets: ["127.0.0.1:8080"], labels: { instance: "a" } }
"#;
        assert_eq!(text, expected);
    }
}
