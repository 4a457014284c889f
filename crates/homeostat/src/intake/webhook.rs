//! Notifications of Alertmanager and Grafana.
//!
//! Both send the same shape: Grafana calls its version `1` and adds fields that say nothing about
//! what fires. A custom `payload` may leave out all but `alerts`. Fingerprints are taken as sent:
//! Grafana hashes labels that it does not send, so computing them again would give another alert.
//!
//! Source: `notify/webhook` and `template/template.go` of Alertmanager; `receivers/webhook` of
//! grafana/alerting.

use homeostat_core::alert::{Alert, Door, Observation, Status};
use homeostat_core::label::Fingerprint;
use homeostat_core::name::SourceName;
use homeostat_core::text;
use thiserror::Error;

use super::wire::{Alerts, Notification, Object, Problems, Sent, Text, Time};

/// Hexadecimal digits of a fingerprint as Alertmanager prints it.
const FINGERPRINT_DIGITS: usize = 16;

/// What a notification says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parsed {
    /// Its alerts, in the order in which they were sent.
    pub observations: Vec<Observation>,
    /// Those that were skipped.
    pub problems: Problems,
    /// How many alerts its sender left out.
    pub truncated: u64,
}

/// Why a body is not a notification.
#[derive(Debug, Error)]
pub enum Unusable {
    /// It is not JSON.
    #[error("the body is not JSON: {0}")]
    NotJson(#[source] serde_json::Error),
    /// It is JSON, but not an object.
    #[error("the body is {0}, not an object with alerts")]
    NotAnObject(&'static str),
    /// It has no `alerts`.
    #[error("the body has no alerts")]
    NoAlerts,
    /// Its `alerts` are not an array.
    #[error("the alerts are {0}, not an array")]
    NotAlerts(&'static str),
    /// None of its alerts can be used.
    #[error("no alert is usable: {0}")]
    NothingUsable(Problems),
}

/// Reads a notification.
///
/// Unknown fields are skipped, and one bad alert does not lose the others. Absence says nothing:
/// an alert that is not in the notification may well fire.
///
/// # Errors
///
/// The body says nothing about any alert.
pub fn parse(body: &[u8], source: &SourceName) -> Result<Parsed, Unusable> {
    match parse_utf8(body, source) {
        Err(Unusable::NotJson(_)) if str::from_utf8(body).is_err() => {
            // As Go reads it: a byte that is no UTF-8 is a replacement character.
            parse_utf8(String::from_utf8_lossy(body).as_bytes(), source)
        }
        parsed => parsed,
    }
}

fn parse_utf8(body: &[u8], source: &SourceName) -> Result<Parsed, Unusable> {
    let read: Object<Notification<'_>> = serde_json::from_slice(body).map_err(Unusable::NotJson)?;
    let notification = match read {
        Object::Read(notification) => notification,
        Object::Wrong(kind) => return Err(Unusable::NotAnObject(kind)),
    };
    let batch = match notification.alerts {
        Alerts::Batch(batch) => batch,
        Alerts::Absent => return Err(Unusable::NoAlerts),
        Alerts::Wrong(kind) => return Err(Unusable::NotAlerts(kind)),
    };
    let envelope = Envelope {
        source,
        receiver: notification.receiver.or_empty().into(),
        external_url: notification.external_url.or_empty().into(),
        group_labels: &notification.group_labels.set,
    };
    let mut parsed = Parsed {
        observations: Vec::with_capacity(batch.sent.len()),
        problems: Problems::default(),
        truncated: notification.truncated.0.saturating_add(batch.beyond),
    };
    for (index, sent) in batch.sent.into_iter().enumerate() {
        let observed = sent
            .map_err(|kind| format!("it is {kind}, not an object"))
            .and_then(|sent| envelope.observe(sent));
        match observed {
            Ok(observation) => parsed.observations.push(observation),
            Err(reason) => parsed.problems.add(index, reason),
        }
    }
    if parsed.observations.is_empty() && !parsed.problems.is_empty() {
        return Err(Unusable::NothingUsable(parsed.problems));
    }
    Ok(parsed)
}

/// What all alerts of a notification share.
struct Envelope<'a> {
    source: &'a SourceName,
    receiver: text::Text,
    external_url: text::Text,
    group_labels: &'a homeostat_core::label::LabelSet,
}

impl Envelope<'_> {
    fn observe(&self, sent: Sent<'_>) -> Result<Observation, String> {
        if let Some(wrong) = sent.labels.wrong {
            return Err(format!("its labels: {wrong}"));
        }
        let labels = sent.labels.set;
        if labels.is_empty() {
            return Err("it has no labels".into());
        }
        if labels.get("").is_some() {
            return Err("the name of a label is empty".into());
        }
        let ends_at = sent.ends_at.time();
        let status = status(&sent.status, ends_at)?;
        let fingerprint = fingerprint(&sent.fingerprint).unwrap_or_else(|| labels.fingerprint());
        Ok(Observation {
            alert: Alert {
                source: self.source.clone(),
                door: Door::Webhook,
                fingerprint,
                labels,
                annotations: sent.annotations.set,
                starts_at: sent.starts_at.time().known(),
                generator_url: sent.generator_url.or_empty().into(),
                receiver: self.receiver.clone(),
                external_url: self.external_url.clone(),
                group_labels: self.group_labels.clone(),
            },
            status,
            ends_at: ends_at.known(),
        })
    }
}

/// The status as sent. A payload of somebody's own may leave it out: then an alert that ended is
/// resolved, because Alertmanager gives no end to one that fires.
fn status(sent: &Text<'_>, ends_at: Time) -> Result<Status, String> {
    match sent {
        Text::Sent(text) if text.eq_ignore_ascii_case("firing") => Ok(Status::Firing),
        Text::Sent(text) if text.eq_ignore_ascii_case("resolved") => Ok(Status::Resolved),
        Text::Sent(text) => {
            let start: String = text.chars().take(32).collect();
            Err(format!("its status is {start:?}, neither firing nor resolved"))
        }
        Text::Wrong(kind) => Err(format!("its status is {kind}")),
        Text::Absent => match ends_at {
            Time::Absent => Ok(Status::Firing),
            Time::At(_) => Ok(Status::Resolved),
            Time::Wrong => Err("it has no status, and its endsAt is no time".into()),
        },
    }
}

fn fingerprint(sent: &Text<'_>) -> Option<Fingerprint> {
    match sent {
        Text::Sent(text) if text.len() == FINGERPRINT_DIGITS => text.parse().ok(),
        Text::Sent(_) | Text::Absent | Text::Wrong(_) => None,
    }
}
