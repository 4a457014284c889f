//! Asks the world: gathers the evidence that core's questions name.
//!
//! ```text
//!  asks ─┬─ Listed ─> every peer of the alert's Alertmanager ─┐
//!        ├─ Rule   ─> each Prometheus that is named           ├─> findings, in order ─> Evidence
//!        ├─ Instance ─> the Prometheus that saw it            │
//!        ├─ Present ─> Prometheuses, or an Alertmanager       │
//!        └─ Query, Inventory ─> one Prometheus                ┘
//! ```
//!
//! Duty: always answer, within a bounded time, with what was found or with a [`Trouble`] that a
//! person can read. An answer is never older than its question. *Not* its duty: what the answers
//! mean (core's `guard`, `witness` and `healing`).
//!
//! Times are compared as the servers tell them (`lastEvaluation`, `updatedAt`): clocks that differ
//! by more than a rule's interval make a healing look proven, or not, by mistake. Run NTP.

mod alertmanager;
mod flight;
mod present;
mod prometheus;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use homeostat_core::evidence::{Ask, Evidence, Finding, Lister, Present, RuleWord, Trouble};
use homeostat_core::name::SourceName;
use homeostat_core::time::Timestamp;
use tokio::sync::Semaphore;

use crate::client::{self, Client};
use alertmanager::Alertmanager;
use prometheus::Prometheus;
pub use prometheus::{PrometheusSource, RuleText};

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
    /// The Prometheuses; what names none is asked of the first.
    pub prometheuses: Vec<PrometheusSource>,
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

    /// Reads the rules of this name of each of these Prometheuses: what they remember and read, whether
    /// they fire or not.
    pub async fn texts(
        &self,
        alertname: &Arc<str>,
        by: &[SourceName],
        now: impl Fn() -> Timestamp,
    ) -> Vec<(SourceName, Result<Vec<RuleText>, Trouble>)> {
        let now = &now;
        let asked = by.iter().map(|name| async move {
            let asked = async {
                match self.prometheus(Some(name)) {
                    Ok(known) => known.texts(alertname, &self.places, now).await,
                    Err(trouble) => (Err(trouble), now()),
                }
            };
            (name.clone(), patiently(asked, now).await.0)
        });
        client::all(asked).await
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
            Ask::Rule { alertname, labels, target, by } => {
                let wanted = prometheus::Wanted { alertname, labels, target };
                let (words, at) = self.words(wanted, by, now).await;
                (Finding::Rule(words), at)
            }
            Ask::Instance { prometheus, rule, instance, target, inputs } => {
                let asked = async {
                    match self.prometheus(Some(prometheus)) {
                        Ok(known) => {
                            known.says(rule, instance, target, inputs, &self.places, now).await
                        }
                        Err(trouble) => (Err(trouble), now()),
                    }
                };
                let (answer, at) = patiently(asked, now).await;
                (Finding::Instance(answer), at)
            }
            Ask::Present { by, matchers, target } => {
                let wanted = present::Wanted { matchers, target };
                let (answer, at) = patiently(self.present(by, &wanted, now), now).await;
                (Finding::Present(answer), at)
            }
            Ask::Query { promql, by } => {
                let promql = promql.as_str().into();
                let asked = async {
                    match self.prometheus(by.as_ref()) {
                        Ok(known) => known.query(&promql, &self.places, now).await,
                        Err(trouble) => (Err(trouble), now()),
                    }
                };
                let (answer, at) = patiently(asked, now).await;
                (Finding::Query(answer), at)
            }
            Ask::Inventory { promql, by } => {
                let asked = async {
                    match self.prometheus(by.as_ref()) {
                        Ok(known) => known.inventory(promql, &self.places, now).await,
                        Err(trouble) => (Err(trouble), now()),
                    }
                };
                let (answer, at) = patiently(asked, now).await;
                (Finding::Inventory(answer), at)
            }
            Ask::Rehearsal { .. } => {
                (Finding::Rehearsal(Err(Trouble("no server can say that".into()))), now())
            }
            Ask::Owner { .. } => {
                (Finding::Owner(Err(Trouble("no server can say that".into()))), now())
            }
        }
    }

    /// Reads what an expression returns, for a person.
    ///
    /// # Errors
    ///
    /// There is no answer.
    pub async fn show(&self, promql: &str, by: Option<&SourceName>) -> Result<String, Trouble> {
        let known = self.prometheus(by)?;
        let shown = tokio::time::timeout(PATIENCE, known.show(promql, &self.places)).await;
        shown.unwrap_or_else(|_| Err(Trouble("there was no answer".into())))
    }
}

impl Prober {
    fn alertmanager(&self, name: &SourceName) -> Result<&Alertmanager, Trouble> {
        let known = self.alertmanagers.iter().find(|known| known.name == *name);
        known.ok_or_else(|| Trouble(format!("no Alertmanager is configured as {name}")))
    }

    /// Returns the Prometheus of this name, or the first.
    fn prometheus(&self, name: Option<&SourceName>) -> Result<&Prometheus, Trouble> {
        let Some(name) = name else {
            let nobody = || Trouble("no Prometheus is configured".into());
            return self.prometheuses.first().ok_or_else(nobody);
        };
        let known = self.prometheuses.iter().find(|known| known.name == *name);
        known.ok_or_else(|| {
            Trouble(if name.as_str().is_empty() {
                "no Prometheus may be asked about this alert: it lacks the `labels` of each".into()
            } else {
                format!("no Prometheus is configured as {name}")
            })
        })
    }

    /// Asks each of these Prometheuses who fires an alert. Each has its own patience: one that hangs
    /// does not take the word from the others.
    async fn words(
        &self,
        wanted: prometheus::Wanted<'_>,
        by: &[SourceName],
        now: &impl Fn() -> Timestamp,
    ) -> (Vec<RuleWord>, Timestamp) {
        let asked = by.iter().map(|name| async move {
            let asked = async {
                match self.prometheus(Some(name)) {
                    Ok(known) => known.knows(wanted, &self.places, now).await,
                    Err(trouble) => (Err(trouble), now()),
                }
            };
            let (knows, at) = patiently(asked, now).await;
            (RuleWord { prometheus: name.clone(), knows }, at)
        });
        let words = client::all(asked).await;
        let at = words.iter().map(|(_, at)| *at).min().unwrap_or_else(now);
        (words.into_iter().map(|(word, _)| word).collect(), at)
    }

    async fn present(
        &self,
        by: &Lister,
        wanted: &present::Wanted<'_>,
        now: &impl Fn() -> Timestamp,
    ) -> Found<Present> {
        match by {
            Lister::Prometheus => {
                let all: Vec<&Prometheus> = self.prometheuses.iter().collect();
                prometheus::present(&all, wanted, &self.places, now).await
            }
            Lister::Prometheuses(names) => {
                let named = names.iter().map(|name| self.prometheus(Some(name)));
                match named.collect::<Result<Vec<_>, _>>() {
                    Ok(named) => prometheus::present(&named, wanted, &self.places, now).await,
                    Err(trouble) => (Err(trouble), now()),
                }
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
