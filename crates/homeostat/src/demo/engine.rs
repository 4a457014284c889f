//! The engine as a child of the demo, and what its API says about incidents.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use jiff::Timestamp;
use reqwest::Client;
use serde::Deserialize;

use super::stack::{Process, START_LIMIT, StackError, client, get_json, timestamp};

/// The only policy of the demo.
pub(super) const POLICY: &str = "web-down";

/// A running engine. Dropping it ends it.
pub(super) struct Engine {
    process: Process,
    address: SocketAddr,
    client: Client,
}

impl Engine {
    /// Starts `homeostat serve` with this configuration file, and waits until it is ready.
    pub(super) async fn start(
        program: &Path,
        config: &Path,
        address: SocketAddr,
        directory: &Path,
    ) -> Result<Self, StackError> {
        let mut command = Command::new(program);
        command.arg("serve").arg("--config.file").arg(config);
        command.args(["--web.listen-address", &address.to_string()]);
        command.arg("--storage.path").arg(directory.join("homeostat-data"));
        let mut process = Process::spawn("engine", &mut command, directory)?;
        let client = client();
        process.ready(&client, &format!("http://{address}/-/ready"), START_LIMIT).await?;
        Ok(Self { process, address, client })
    }

    /// Its base URL, without a slash at the end.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) const fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// All incidents of the demo's policy, with their timelines.
    pub(super) async fn incidents(&self) -> Result<Vec<Incident>, StackError> {
        let url = format!("{}/api/v1/incidents", self.url());
        let list: List = get_json(&self.client, &format!("{url}?policy={POLICY}")).await?;
        let mut incidents = Vec::new();
        for incident in list.incidents {
            if incident.timeline.is_empty() {
                incidents.push(get_json(&self.client, &format!("{url}/{}", incident.id)).await?);
            } else {
                incidents.push(incident);
            }
        }
        Ok(incidents)
    }
}

#[derive(Deserialize)]
struct List {
    incidents: Vec<Incident>,
}

/// An incident, as far as the demo reads it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Incident {
    pub(super) id: String,
    pub(super) target: BTreeMap<String, String>,
    pub(super) state: String,
    pub(super) outcome: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) grade: Option<String>,
    pub(super) alerts: Vec<Alert>,
    pub(super) orders: Vec<Order>,
    pub(super) timeline: Vec<Entry>,
}

impl Incident {
    pub(super) fn is_closed(&self) -> bool {
        self.state == "closed"
    }

    /// Whether the engine was told that all its alerts are over.
    pub(super) fn is_resolved(&self) -> bool {
        !self.alerts.is_empty() && self.alerts.iter().all(|alert| alert.status == "resolved")
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Alert {
    pub(super) status: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Order {
    pub(super) remedy: String,
    #[serde(deserialize_with = "maybe_timestamp")]
    pub(super) started_at: Option<Timestamp>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Entry {
    #[serde(deserialize_with = "timestamp")]
    pub(super) at: Timestamp,
    pub(super) kind: String,
    #[serde(default)]
    pub(super) text: String,
}

fn maybe_timestamp<'de, D>(deserializer: D) -> Result<Option<Timestamp>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    let text: Option<String> = Deserialize::deserialize(deserializer)?;
    text.map(|text| text.parse().map_err(serde::de::Error::custom)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incident_is_read_as_the_interface_has_it() {
        let list: List = serde_json::from_str(
            r#"{"incidents": [{
                "id": "i1", "policy": "web-down", "target": {"instance": "a"}, "state": "closed",
                "outcome": "healed", "reason": null, "grade": "proven", "relapse_of": null,
                "opened_at": "2026-01-05T09:00:00Z", "closed_at": "2026-01-05T09:00:04Z",
                "alerts": [{"fingerprint": "f", "labels": {}, "annotations": {},
                            "status": "resolved", "starts_at": "2026-01-05T08:59:50Z"}],
                "orders": [{"id": "o1", "remedy": "restart", "attempt": 1, "state": "ended",
                            "started_at": "2026-01-05T09:00:00.25Z", "ended_at": null,
                            "exit_code": 0, "signal": null, "output": ""}],
                "timeline": [{"at": "2026-01-05T09:00:00Z", "kind": "alert_firing", "text": "t",
                              "source": "main"}]
            }], "next_cursor": null}"#,
        )
        .unwrap();
        let incident = &list.incidents[0];
        assert!(incident.is_closed() && incident.is_resolved());
        assert_eq!(incident.target["instance"], "a");
        let started = incident.orders[0].started_at.unwrap();
        assert_eq!(started.duration_since(incident.timeline[0].at).as_millis(), 250);
    }
}
