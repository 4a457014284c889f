//! The alerts API: what Prometheus, vmalert and applications post to an Alertmanager.
//!
//! Every alert is told again and again while it fires, with an `endsAt` that lies ahead; whether
//! it still fires is for core to say, by that time. Validity is Alertmanager's: valid alerts of a
//! batch are kept even where others are not. Beyond Alertmanager, one alert with a value of the
//! wrong type does not lose the others.
//!
//! Source: `postAlertsHandler` in `api/v2/api.go` of Alertmanager; `Alert.Validate` in
//! `model/alert.go` of `prometheus/common`.

use homeostat_core::alert::{Alert, Door, Observation, Status};
use homeostat_core::label::LabelSet;
use homeostat_core::limits;
use homeostat_core::name::SourceName;
use homeostat_core::time::Timestamp;
use thiserror::Error;

use super::wire::{Alerts, Problems, Sent, Text, Time};

/// What a batch of alerts says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApiParsed {
    /// The valid alerts, in the order in which they were sent.
    pub valid: Vec<Observation>,
    /// The others.
    pub invalid: Problems,
}

/// Why a body is not a batch of alerts.
#[derive(Debug, Error)]
pub enum Unparseable {
    /// It is not JSON.
    #[error("the body is not JSON: {0}")]
    NotJson(#[source] serde_json::Error),
    /// It is not an array.
    #[error("the body is {0}, not an array of alerts")]
    NotAnArray(&'static str),
    /// It has more alerts than may fire at once.
    #[error("more than {} alerts in one request", limits::OPEN_EPISODES)]
    TooMany,
}

/// Reads a batch of alerts that arrived at `now`.
///
/// # Errors
///
/// The body is not an array, or has more alerts than may fire at once; none is kept.
pub fn parse(body: &[u8], now: Timestamp) -> Result<ApiParsed, Unparseable> {
    let batch = match serde_json::from_slice(body).map_err(Unparseable::NotJson)? {
        Alerts::Batch(batch) => batch,
        Alerts::Absent => return Err(Unparseable::NotAnArray("null")),
        Alerts::Wrong(kind) => return Err(Unparseable::NotAnArray(kind)),
    };
    if batch.beyond > 0 {
        return Err(Unparseable::TooMany);
    }
    let source = SourceName::new(SourceName::API);
    let mut parsed = ApiParsed::default();
    for (index, sent) in batch.sent.into_iter().enumerate() {
        let observed = sent
            .map_err(|kind| format!("it is {kind}, not an object"))
            .and_then(|sent| observe(&source, sent, now));
        match observed {
            Ok(observation) => parsed.valid.push(observation),
            Err(reason) => parsed.invalid.add(index, reason),
        }
    }
    Ok(parsed)
}

fn observe(source: &SourceName, sent: Sent<'_>, now: Timestamp) -> Result<Observation, String> {
    let moment = |name: &str, text: &Text<'_>| match text.time() {
        Time::Absent => Ok(None),
        Time::At(moment) => Ok(Some(moment)),
        Time::Wrong => Err(format!("its {name} is not an RFC 3339 time")),
    };
    let ends_at = moment("endsAt", &sent.ends_at)?;
    let starts_at = moment("startsAt", &sent.starts_at)?.or(ends_at).unwrap_or(now);
    let ends_at = ends_at.unwrap_or(now + limits::RESOLVE_TIMEOUT);
    if ends_at < starts_at {
        return Err("start time must be before end time".into());
    }
    let labels = named("labels", sent.labels)?;
    if labels.is_empty() {
        return Err("at least one label pair required".into());
    }
    let annotations = named("annotations", sent.annotations)?;
    let generator_url = match sent.generator_url {
        Text::Wrong(kind) => return Err(format!("its generatorURL is {kind}")),
        text @ (Text::Sent(_) | Text::Absent) => text.or_empty().into(),
    };
    Ok(Observation {
        alert: Alert {
            source: source.clone(),
            door: Door::Api,
            fingerprint: labels.fingerprint(),
            labels,
            annotations,
            starts_at: Some(starts_at),
            generator_url,
            receiver: "".into(),
            external_url: "".into(),
            group_labels: LabelSet::default(),
        },
        status: Status::Firing,
        ends_at: Some(ends_at),
    })
}

/// Any name but the empty one is valid since Alertmanager speaks UTF-8.
fn named(what: &str, sent: super::wire::Labels) -> Result<LabelSet, String> {
    match sent.wrong {
        Some(wrong) => Err(format!("invalid {what}: {wrong}")),
        None if sent.set.get("").is_some() => Err(format!("invalid {what}: a name is empty")),
        None => Ok(sent.set),
    }
}
