//! What an Alertmanager lists.
//!
//! All peers of a cluster are asked. Alerts are not gossiped: each peer lists what was sent to it,
//! so that the answers are put together, and each use gets its safe reading:
//!
//! | what | of the peers that answer | because |
//! |---|---|---|
//! | the alert is listed | any lists it | what one knows to fire may fire |
//! | `updated_at` | the latest | the last time that anybody said so |
//! | suppressed | any says so | a silence may not have reached the others; a hold harms nobody |
//! | `uptime` | the shortest | the one that forgot may be the one that knew |
//! | `total` | different alerts in all | |
//! | what is there on a target | any lists it | as for one alert |
//!
//! Peers that do not answer are left out as long as one does.
//!
//! Source: `api/v2/openapi.yaml` of Alertmanager.

use std::collections::HashMap;
use std::sync::Arc;

use homeostat_core::evidence::{ListedAlert, Listing, Present, Sight, Trouble};
use homeostat_core::label::{Fingerprint, LabelSet};
use homeostat_core::name::SourceName;
use homeostat_core::time::{Span, Timestamp};
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::flight::Flight;
use super::present::Wanted;
use super::{AlertmanagerSource, Found, decode};
use crate::client::{self, Client};

/// Silences or inhibiting alerts that are named; one says enough, a few help.
const SUPPRESSORS_NAMED: usize = 3;

/// One cluster.
#[derive(Debug)]
pub(super) struct Alertmanager {
    pub(super) name: SourceName,
    peers: Vec<Peer>,
}

#[derive(Debug)]
struct Peer {
    client: Client,
    flight: Flight<(), Answer>,
}

/// What one peer said, and when it was asked.
type Answer = Arc<(Result<Told, Trouble>, Timestamp)>;

#[derive(Debug)]
struct Told {
    uptime: Span,
    alerts: HashMap<Fingerprint, Entry>,
}

#[derive(Debug)]
struct Entry {
    labels: LabelSet,
    listed: ListedAlert,
}

impl Alertmanager {
    pub(super) fn new(source: AlertmanagerSource) -> Self {
        let peer = |client| Peer { client, flight: Flight::default() };
        Self { name: source.name, peers: source.peers.into_iter().map(peer).collect() }
    }

    /// Asks whether the alert is listed.
    pub(super) async fn listing(
        &self,
        fingerprint: Fingerprint,
        places: &Semaphore,
        now: &impl Fn() -> Timestamp,
    ) -> Found<Listing> {
        let (answers, at) = self.answers(places, now).await;
        (combine(&answers, fingerprint), at)
    }

    /// Asks which alerts of a target are listed.
    pub(super) async fn present(
        &self,
        wanted: &Wanted<'_>,
        places: &Semaphore,
        now: &impl Fn() -> Timestamp,
    ) -> Found<Present> {
        let (answers, at) = self.answers(places, now).await;
        (collect(&answers, wanted), at)
    }

    async fn answers(
        &self,
        places: &Semaphore,
        now: &impl Fn() -> Timestamp,
    ) -> (Vec<Answer>, Timestamp) {
        let answers = client::all(self.peers.iter().map(|peer| peer.answer(places, now))).await;
        let at = answers.iter().map(|answer| answer.1).min().unwrap_or_else(now);
        (answers, at)
    }
}

impl Peer {
    async fn answer(&self, places: &Semaphore, now: &impl Fn() -> Timestamp) -> Answer {
        let request = |()| async {
            let _place = places.acquire().await;
            let at = now();
            Arc::new((ask(&self.client, at).await, at))
        };
        self.flight.join(|()| {}, request).await
    }
}

/// What the peers said that answered, and for how long the youngest of them runs.
fn told(answers: &[Answer]) -> Result<(Vec<&Told>, Span), Trouble> {
    let told: Vec<&Told> = answers.iter().filter_map(|answer| answer.0.as_ref().ok()).collect();
    if let Some(uptime) = told.iter().map(|told| told.uptime).min() {
        return Ok((told, uptime));
    }
    let troubles: Vec<&str> = answers
        .iter()
        .filter_map(|answer| answer.0.as_ref().err().map(|Trouble(text)| text.as_str()))
        .collect();
    let nobody = "it has no URL".to_owned();
    Err(Trouble(if troubles.is_empty() { nobody } else { troubles.join("; ") }))
}

fn collect(answers: &[Answer], wanted: &Wanted<'_>) -> Result<Present, Trouble> {
    let (told, uptime) = told(answers)?;
    let entries = told.iter().flat_map(|told| told.alerts.values());
    let alerts = entries.map(|entry| (&entry.labels, true));
    Ok(wanted.of(alerts, Sight::Alertmanager { uptime }))
}

fn combine(answers: &[Answer], fingerprint: Fingerprint) -> Result<Listing, Trouble> {
    let (told, uptime) = told(answers)?;
    let total = match told.as_slice() {
        [only] => only.alerts.len(),
        several => {
            let mut all: Vec<_> = several.iter().flat_map(|told| told.alerts.keys()).collect();
            all.sort_unstable();
            all.dedup();
            all.len()
        }
    };
    let listed = told.iter().filter_map(|told| told.alerts.get(&fingerprint));
    let alert = listed.map(|entry| entry.listed.clone()).reduce(|one, other| ListedAlert {
        suppressed_by: one.suppressed_by.or(other.suppressed_by),
        updated_at: one.updated_at.max(other.updated_at),
        starts_at: one.starts_at.min(other.starts_at),
    });
    Ok(Listing { uptime, total, alert })
}

async fn ask(client: &Client, now: Timestamp) -> Result<Told, Trouble> {
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
    let alerts = alerts.into_iter().map(|alert| (alert.fingerprint, alert.entry())).collect();
    Ok(Told { uptime: now.since(status.uptime), alerts })
}

#[derive(Deserialize)]
struct StatusAnswer {
    /// In spite of its name, when the process started.
    uptime: Timestamp,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AlertAnswer {
    fingerprint: Fingerprint,
    #[serde(default)]
    labels: LabelSet,
    starts_at: Timestamp,
    updated_at: Timestamp,
    status: AlertStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AlertStatus {
    state: String,
    #[serde(default)]
    silenced_by: Vec<String>,
    #[serde(default)]
    inhibited_by: Vec<String>,
}

impl AlertAnswer {
    fn entry(self) -> Entry {
        let suppressed_by = self.status.suppressed_by();
        let (updated_at, starts_at) = (self.updated_at, self.starts_at);
        Entry { labels: self.labels, listed: ListedAlert { suppressed_by, updated_at, starts_at } }
    }
}

impl AlertStatus {
    fn suppressed_by(&self) -> Option<String> {
        let silences = self.silenced_by.iter().map(|id| format!("silence {id}"));
        let alerts = self.inhibited_by.iter().map(|print| format!("inhibiting alert {print}"));
        let by: Vec<String> = silences.chain(alerts).take(SUPPRESSORS_NAMED).collect();
        match (self.state.as_str(), by.is_empty()) {
            (_, false) => Some(by.join(", ")),
            ("suppressed", true) => Some("its Alertmanager, which does not say why".into()),
            (_, true) => None,
        }
    }
}
