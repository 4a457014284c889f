//! Asks the world: gathers the evidence that core's questions name.
//!
//! ```text
//!  asks ─┬─ Listed ─> every peer of the alert's Alertmanager ─┐
//!        ├─ Rule   ─> every Prometheus                        ├─> findings, in order ─> Evidence
//!        ├─ Present ─> every Prometheus, or an Alertmanager    │
//!        ├─ Query  ─> the first Prometheus                    │
//!        └─ Inventory ─> the first Prometheus                 ┘
//! ```
//!
//! Duty: always answer, within a bounded time, with what was found or with a [`Trouble`] that a
//! person can read. An answer is never older than its question. *Not* its duty: what the answers
//! mean (core's `guard` and `verdict`).
//!
//! Times are compared as the servers tell them (`lastEvaluation`, `updatedAt`): clocks that differ
//! by more than a rule's interval make a healing look proven, or not, by mistake. Run NTP.

mod alertmanager;
mod flight;
mod present;
mod prometheus;
#[cfg(test)]
mod tests;

use std::time::Duration;

use homeostat_core::evidence::{Ask, Evidence, Finding, Lister, Present, Trouble};
use homeostat_core::name::SourceName;
use homeostat_core::time::Timestamp;
use tokio::sync::Semaphore;

use crate::client::{self, Client};
use alertmanager::Alertmanager;
use prometheus::Prometheus;

/// Requests under way at once, to all servers together: what a server of the stack answers without
/// slowing its scrapes.
const REQUESTS: usize = 32;

/// How long one ask may take: a request under way before ours, ours, and waiting for a place; less
/// than core's patience for a whole question.
const PATIENCE: Duration = Duration::from_secs(20);

/// One cluster of Alertmanagers.
#[derive(Debug)]
pub struct AlertmanagerSource {
    /// Its name, under which its notifications arrive.
    pub name: SourceName,
    /// Its peers.
    pub peers: Vec<Client>,
}

/// Whom to ask.
#[derive(Debug, Default)]
pub struct Witnesses {
    /// The clusters of Alertmanagers.
    pub alertmanagers: Vec<AlertmanagerSource>,
    /// The Prometheuses; queries go to the first.
    pub prometheuses: Vec<Client>,
}

/// Asks the witnesses.
#[derive(Debug)]
pub struct Prober {
    alertmanagers: Vec<Alertmanager>,
    prometheuses: Vec<Prometheus>,
    places: Semaphore,
}

/// An answer, and when its oldest part was asked for.
type Found<T> = (Result<T, Trouble>, Timestamp);

impl Prober {
    /// Prepares to ask these. Nothing is sent yet.
    pub fn new(witnesses: Witnesses) -> Self {
        Self {
            alertmanagers: witnesses.alertmanagers.into_iter().map(Alertmanager::new).collect(),
            prometheuses: witnesses.prometheuses.into_iter().map(Prometheus::new).collect(),
            places: Semaphore::new(REQUESTS),
        }
    }

    /// Asks all of this at once. Every ask gets a finding, in the order of the asks.
    pub async fn ask(&self, asks: Vec<Ask>, now: impl Fn() -> Timestamp) -> Evidence {
        let asked_at = now();
        let findings = client::all(asks.iter().map(|ask| self.find(ask, &now))).await;
        let gathered_at = findings.iter().map(|(_, at)| *at).min().unwrap_or(asked_at);
        let findings = findings.into_iter().map(|(finding, _)| finding);
        Evidence { found: asks.into_iter().zip(findings).collect(), gathered_at }
    }

    async fn find(&self, ask: &Ask, now: &impl Fn() -> Timestamp) -> (Finding, Timestamp) {
        match ask {
            Ask::Listed { source, fingerprint } => {
                let asked = async {
                    match self.alertmanager(source) {
                        Ok(own) => own.listing(*fingerprint, &self.places, now).await,
                        Err(trouble) => (Err(trouble), now()),
                    }
                };
                let (answer, at) = patiently(asked, now).await;
                (Finding::Listed(answer), at)
            }
            Ask::Rule { alertname, labels, target } => {
                let wanted = prometheus::Wanted { alertname, labels, target };
                let asked = prometheus::rule(&self.prometheuses, wanted, &self.places, now);
                let (answer, at) = patiently(asked, now).await;
                (Finding::Rule(answer), at)
            }
            Ask::Present { by, matchers, target } => {
                let wanted = present::Wanted { matchers, target };
                let (answer, at) = patiently(self.present(by, &wanted, now), now).await;
                (Finding::Present(answer), at)
            }
            Ask::Query { promql } => {
                let asked = prometheus::query(&self.prometheuses, promql, &self.places, now);
                let (answer, at) = patiently(asked, now).await;
                (Finding::Query(answer), at)
            }
            Ask::Inventory { promql } => {
                let asked = prometheus::inventory(&self.prometheuses, promql, &self.places, now);
                let (answer, at) = patiently(asked, now).await;
                (Finding::Inventory(answer), at)
            }
        }
    }
}

impl Prober {
    fn alertmanager(&self, name: &SourceName) -> Result<&Alertmanager, Trouble> {
        let known = self.alertmanagers.iter().find(|known| known.name == *name);
        known.ok_or_else(|| Trouble(format!("no Alertmanager is configured as {name}")))
    }

    async fn present(
        &self,
        by: &Lister,
        wanted: &present::Wanted<'_>,
        now: &impl Fn() -> Timestamp,
    ) -> Found<Present> {
        match by {
            Lister::Prometheus => {
                prometheus::present(&self.prometheuses, wanted, &self.places, now).await
            }
            Lister::Alertmanager(name) => match self.alertmanager(name) {
                Ok(known) => known.present(wanted, &self.places, now).await,
                Err(trouble) => (Err(trouble), now()),
            },
        }
    }
}

/// Waits for an answer, but not for ever.
async fn patiently<T>(
    asked: impl Future<Output = Found<T>>,
    now: &impl Fn() -> Timestamp,
) -> Found<T> {
    let asked_at = now();
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| {
        let trouble = format!("there was no answer within {} s", PATIENCE.as_secs());
        (Err(Trouble(trouble)), asked_at)
    })
}

async fn decode<T: serde::de::DeserializeOwned + Send + 'static>(
    body: bytes::Bytes,
    server: &str,
) -> Result<T, Trouble> {
    client::decode(body, server).await.map_err(Trouble)
}
