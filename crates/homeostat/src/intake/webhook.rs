//! Notifications of Alertmanager and Grafana.
//!
//! Both send the same shape: Grafana calls its version `1` and adds fields that say nothing about
//! what fires. A custom `payload` may leave out all but `alerts`. Fingerprints are taken as sent:
//! Grafana hashes labels that it does not send, so computing them again would give another alert.
//!
//! Source: `notify/webhook` and `template/template.go` of Alertmanager; `receivers/webhook` of
//! grafana/alerting.

use homeostat_core::alert::{Alert, Door, Observation, Status};
use homeostat_core::label::{Fingerprint, LabelSet};
use homeostat_core::name::SourceName;
use homeostat_core::text;
use homeostat_core::time::Timestamp;
use thiserror::Error;

use super::mend;
use super::value::{Text, Time, start_of};
use super::wire::{Alerts, Notification, Object, Problems, Sent};

/// Hexadecimal digits of a fingerprint as Alertmanager prints it.
const FINGERPRINT_DIGITS: usize = 16;

/// What a notification says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parsed {
    /// Its alerts, in the order in which they were sent.
    pub observations: Vec<Observation>,
    /// What was skipped of it.
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

/// Reads a notification that arrived at `now`.
///
/// Unknown fields are skipped, and one bad alert, label or annotation does not lose the others.
/// Absence says nothing: an alert that is not in the notification may well fire.
///
/// # Errors
///
/// The body says nothing about any alert.
pub fn parse(body: &[u8], source: &SourceName, now: Timestamp) -> Result<Parsed, Unusable> {
    let body = mend::without_mark(body);
    match parse_json(body, source, now) {
        Err(Unusable::NotJson(error)) => match mend::mended(body) {
            Some(mended) => parse_json(&mended, source, now),
            None => Err(Unusable::NotJson(error)),
        },
        parsed => parsed,
    }
}

fn parse_json(body: &[u8], source: &SourceName, now: Timestamp) -> Result<Parsed, Unusable> {
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
        now,
        is_resolved: notification.status.or_empty().eq_ignore_ascii_case("resolved"),
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
            .and_then(|sent| envelope.observe(&sent));
        match observed {
            Ok((observation, flaws)) => {
                for flaw in flaws {
                    parsed.problems.add(index, flaw);
                }
                parsed.observations.push(observation);
            }
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
    now: Timestamp,
    /// Whether the notification says that all of its alerts are over.
    is_resolved: bool,
    receiver: text::Text,
    external_url: text::Text,
    group_labels: &'a LabelSet,
}

impl Envelope<'_> {
    /// Reads one alert, and what is wrong with it and does not matter.
    fn observe(&self, sent: &Sent<'_>) -> Result<(Observation, Vec<String>), String> {
        let labels = sent.labels.set.clone();
        if labels.is_empty() {
            let wrong = sent.labels.problem("label");
            return Err(wrong.unwrap_or_else(|| "it has no labels".into()));
        }
        if labels.get("").is_some() {
            return Err("the name of a label is empty".into());
        }
        let (starts_at, ends_at) = (sent.starts_at.time(), sent.ends_at.time());
        let status = self.status(&sent.status, &ends_at)?;
        let annotations = sent.annotations.named();
        let unproven = match status {
            Status::Resolved => unproven(&labels, &annotations),
            Status::Firing => None,
        };
        let flaws = [
            sent.labels.problem("label"),
            sent.annotations.problem("annotation"),
            sent.annotations.nameless(),
            starts_at.problem("startsAt"),
            ends_at.problem("endsAt"),
        ];
        let fingerprint = fingerprint(&sent.fingerprint).unwrap_or_else(|| labels.fingerprint());
        let alert = Alert {
            source: self.source.clone(),
            door: Door::Webhook,
            fingerprint,
            labels,
            annotations,
            starts_at: starts_at.known(),
            generator_url: sent.generator_url.or_empty().into(),
            receiver: self.receiver.clone(),
            external_url: self.external_url.clone(),
            group_labels: self.group_labels.clone(),
        };
        let ends_at = ends_at.known();
        let observation = Observation { alert, status, ends_at, unproven, by: None };
        Ok((observation, flaws.into_iter().flatten().collect()))
    }

    /// The status as sent. A payload of somebody's own may leave it out: then an end that lies
    /// ahead says that it fires, and one that is past, or a notification of what is over, that it
    /// does not. Alertmanager gives no end to an alert that fires.
    fn status(&self, sent: &Text<'_>, ends_at: &Time) -> Result<Status, String> {
        match sent {
            Text::Sent(text) if text.eq_ignore_ascii_case("firing") => Ok(Status::Firing),
            Text::Sent(text) if text.eq_ignore_ascii_case("resolved") => Ok(Status::Resolved),
            Text::Sent(text) => {
                Err(format!("its status is {:?}, neither firing nor resolved", start_of(text)))
            }
            Text::Bare(_, kind) | Text::Wrong(kind) => Err(format!("its status is {kind}")),
            Text::Absent => match ends_at {
                Time::At(end) if *end > self.now => Ok(Status::Firing),
                Time::At(_) => Ok(Status::Resolved),
                Time::Absent | Time::Wrong(_) if self.is_resolved => Ok(Status::Resolved),
                Time::Absent => Ok(Status::Firing),
                Time::Wrong(_) => Err("it has no status, and its endsAt is no time".into()),
            },
        }
    }
}

/// Where Grafana says why it changed the state of an alert for another reason than its query: the
/// series are missing, there is no data, an error, the rule was paused, changed or deleted.
///
/// Source: `StateReasonAnnotation` in `ngalert/models` of Grafana.
const STATE_REASON: &str = "grafana_state_reason";

/// How much of such a reason is told.
const REASON_CHARS: usize = 128;

/// Why the end of an alert proves nothing, if its sender says so: whatever Grafana names as its
/// reason, it is not that the query found nothing wrong.
pub(super) fn unproven(labels: &LabelSet, annotations: &LabelSet) -> Option<text::Text> {
    let said = [annotations, labels].into_iter().find_map(|set| set.get(STATE_REASON))?;
    let words: Vec<&str> = said.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    let reason: String = words.join(" ").trim().chars().take(REASON_CHARS).collect();
    let is_empty = reason.is_empty();
    (!is_empty).then(|| format!("Grafana resolved it because of {reason}").as_str().into())
}

fn fingerprint(sent: &Text<'_>) -> Option<Fingerprint> {
    let text = sent.or_empty();
    (text.len() == FINGERPRINT_DIGITS).then(|| text.parse().ok()).flatten()
}
