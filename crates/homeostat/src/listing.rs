//! What the Alertmanagers of a cluster list, and how the answers of peers are put together.
//!
//! All peers of a cluster are asked. Alerts are not gossiped: each peer lists what was sent to it,
//! so that the answers are put together, and each use gets its safe reading:
//!
//! | what | of the peers that answer | because |
//! |---|---|---|
//! | the alert is listed | any lists it | what one knows to fire may fire |
//! | `updated_at` | the latest | the last time that anybody said so |
//! | `starts_at` | the earliest | what began later may have begun before |
//! | active | all that list it say so | what one suppresses is not to be begun |
//! | suppressed | any says so | a silence may not have reached the others; a hold harms nobody |
//! | `uptime` | the shortest | the one that forgot may be the one that knew |
//! | `total` | different alerts in all | |
//! | what is there on a target | any lists it | as for one alert |
//!
//! Peers that do not answer are left out as long as one does. Homeostat's own alerts, which it
//! refreshes each minute, are left out: an Alertmanager that has forgotten all others would not look
//! empty.
//!
//! Duty: to ask one peer, read its answer, and this table. *Not* its duty: when to ask, and what it
//! means (`probe`, `intake`).
//!
//! Source: `api/v2/openapi.yaml` of Alertmanager.

use std::collections::{BTreeMap, HashMap};

use homeostat_core::alert::OWN_LABEL;
use homeostat_core::evidence::{ListedAlert, Trouble};
use homeostat_core::label::{Fingerprint, LabelSet};
use homeostat_core::text::Text;
use homeostat_core::time::{Span, Timestamp};
use serde::Deserialize;

use crate::client::{self, Client};

/// Silences or inhibiting alerts that are named; one says enough, a few help.
const SUPPRESSORS_NAMED: usize = 3;

/// What one peer lists.
#[derive(Debug)]
pub(crate) struct Told {
    uptime: Span,
    alerts: HashMap<Fingerprint, Entry>,
    /// Its configuration, as it writes it.
    config: Option<String>,
}

/// An alert as one peer lists it.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) labels: LabelSet,
    pub(crate) annotations: LabelSet,
    pub(crate) generator_url: Text,
    /// Whom its routes lead to, by name.
    pub(crate) receivers: Vec<String>,
    /// Whether it is told to them: neither suppressed, nor too new to know.
    pub(crate) is_active: bool,
    pub(crate) listed: ListedAlert,
}

impl Entry {
    fn join(&mut self, other: &Self) {
        self.is_active &= other.is_active;
        let (one, other) = (&mut self.listed, &other.listed);
        one.updated_at = one.updated_at.max(other.updated_at);
        one.starts_at = one.starts_at.min(other.starts_at);
        if one.suppressed_by.is_none() {
            one.suppressed_by.clone_from(&other.suppressed_by);
        }
    }
}

/// What the peers list that answer.
#[derive(Debug)]
pub(crate) struct Together<'a> {
    told: Vec<&'a Told>,
    /// For how long the youngest of them runs.
    pub(crate) uptime: Span,
}

impl<'a> Together<'a> {
    /// Puts answers together. Where nobody answers, all troubles are told.
    pub(crate) fn of(
        answers: impl Iterator<Item = &'a Result<Told, Trouble>>,
    ) -> Result<Self, Trouble> {
        let (mut told, mut troubles) = (Vec::new(), Vec::new());
        for answer in answers {
            match answer {
                Ok(one) => told.push(one),
                Err(Trouble(text)) => troubles.push(text.as_str()),
            }
        }
        if let Some(uptime) = told.iter().map(|told| told.uptime).min() {
            return Ok(Self { told, uptime });
        }
        let nobody = "it has no URL".to_owned();
        Err(Trouble(if troubles.is_empty() { nobody } else { troubles.join("; ") }))
    }

    /// One alert, if it is listed.
    pub(crate) fn alert(&self, fingerprint: Fingerprint) -> Option<ListedAlert> {
        let mut listed = self.told.iter().filter_map(|told| told.alerts.get(&fingerprint));
        let mut joined = listed.next()?.clone();
        listed.for_each(|entry| joined.join(entry));
        Some(joined.listed)
    }

    /// How many alerts are listed.
    pub(crate) fn total(&self) -> usize {
        match self.told.as_slice() {
            [only] => only.alerts.len(),
            several => {
                let mut all: Vec<_> = several.iter().flat_map(|told| told.alerts.keys()).collect();
                all.sort_unstable();
                all.dedup();
                all.len()
            }
        }
    }

    /// The configuration of the first peer that shows one: all peers of a cluster have the same.
    pub(crate) fn config(&self) -> Option<&'a str> {
        self.told.iter().find_map(|told| told.config.as_deref())
    }

    /// The labels of all that is listed, by each peer that lists it.
    pub(crate) fn labels(&self) -> impl Iterator<Item = &'a LabelSet> {
        self.told.iter().flat_map(|told| told.alerts.values()).map(|entry| &entry.labels)
    }

    /// All alerts, each once.
    pub(crate) fn all(&self) -> BTreeMap<Fingerprint, Entry> {
        let mut all: BTreeMap<Fingerprint, Entry> = BTreeMap::new();
        for (fingerprint, entry) in self.told.iter().flat_map(|told| &told.alerts) {
            match all.get_mut(fingerprint) {
                Some(known) => known.join(entry),
                None => {
                    all.insert(*fingerprint, entry.clone());
                }
            }
        }
        all
    }
}

/// Asks one peer.
pub(crate) async fn ask(client: &Client, now: Timestamp) -> Result<Told, Trouble> {
    let get = async |path, query| {
        let reply = client.get(path, query).await.map_err(|error| Trouble(error.line()))?;
        if reply.status.is_success() {
            return Ok(reply.body);
        }
        let (server, status, text) = (client.server(), reply.status, reply.excerpt());
        Err(Trouble(format!("{server} answered {status}: {text}")))
    };
    let every = [("active", "true"), ("silenced", "true"), ("inhibited", "true")];
    let (status, alerts) = tokio::join!(get("/api/v2/status", &[]), get("/api/v2/alerts", &every));
    let status: StatusAnswer = decode(status?, client.server()).await?;
    let alerts: Vec<AlertAnswer> = decode(alerts?, client.server()).await?;
    let foreign = alerts.into_iter().filter(|alert| alert.labels.get(OWN_LABEL).is_none());
    let alerts = foreign.map(|alert| (alert.fingerprint, alert.entry())).collect();
    let config = status.config.and_then(|config| config.original);
    Ok(Told { uptime: now.since(status.uptime), alerts, config })
}

async fn decode<T: serde::de::DeserializeOwned + Send + 'static>(
    body: bytes::Bytes,
    server: &str,
) -> Result<T, Trouble> {
    client::decode(body, server).await.map_err(Trouble)
}

#[derive(Deserialize)]
struct StatusAnswer {
    /// In spite of its name, when the process started.
    uptime: Timestamp,
    #[serde(default)]
    config: Option<ConfigAnswer>,
}

#[derive(Deserialize)]
struct ConfigAnswer {
    #[serde(default)]
    original: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AlertAnswer {
    fingerprint: Fingerprint,
    #[serde(default)]
    labels: LabelSet,
    #[serde(default)]
    annotations: LabelSet,
    #[serde(default, rename = "generatorURL")]
    generator_url: Option<String>,
    #[serde(default)]
    receivers: Vec<Receiver>,
    starts_at: Timestamp,
    updated_at: Timestamp,
    status: AlertStatus,
}

#[derive(Deserialize)]
struct Receiver {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AlertStatus {
    state: String,
    #[serde(default)]
    silenced_by: Vec<String>,
    #[serde(default)]
    inhibited_by: Vec<String>,
    #[serde(default)]
    muted_by: Vec<String>,
}

impl AlertAnswer {
    fn entry(self) -> Entry {
        let suppressed_by = self.status.suppressed_by();
        let is_active = suppressed_by.is_none() && self.status.state == "active";
        let (updated_at, starts_at) = (self.updated_at, self.starts_at);
        Entry {
            labels: self.labels,
            annotations: self.annotations,
            generator_url: self.generator_url.as_deref().unwrap_or_default().into(),
            receivers: self.receivers.into_iter().map(|receiver| receiver.name).collect(),
            is_active,
            listed: ListedAlert { suppressed_by, updated_at, starts_at },
        }
    }
}

impl AlertStatus {
    fn suppressed_by(&self) -> Option<String> {
        let silences = self.silenced_by.iter().map(|id| format!("silence {id}"));
        let alerts = self.inhibited_by.iter().map(|print| format!("inhibiting alert {print}"));
        let times = self.muted_by.iter().map(|name| format!("time interval {name}"));
        let by: Vec<String> = silences.chain(alerts).chain(times).take(SUPPRESSORS_NAMED).collect();
        match (self.state.as_str(), by.is_empty()) {
            (_, false) => Some(by.join(", ")),
            ("suppressed", true) => Some("its Alertmanager, which does not say why".into()),
            (_, true) => None,
        }
    }
}
