//! The alerts API: what Prometheus, vmalert and applications post to an Alertmanager.
//!
//! Every alert is told again and again while it fires, with an `endsAt` that lies ahead; whether
//! it still fires is for core to say, by that time. Validity is Alertmanager's: valid alerts of a
//! batch are kept even where others are not. Beyond Alertmanager, a number is a label value, too, and
//! one value of the wrong type loses neither its own alert nor the others.
//!
//! Source: `postAlertsHandler` in `api/v2/api.go` of Alertmanager; `Alert.Validate` in
//! `model/alert.go` of `prometheus/common`.

use homeostat_core::alert::{Alert, Door, Observation, Status};
use homeostat_core::label::LabelSet;
use homeostat_core::limits;
use homeostat_core::name::SourceName;
use homeostat_core::time::Timestamp;
use thiserror::Error;

use super::value::Text;
use super::wire::{Alerts, Problems, Sent};
use super::{mend, webhook};

/// What a batch of alerts says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApiParsed {
    /// The valid alerts, in the order in which they were sent.
    pub valid: Vec<Observation>,
    /// The others, and what the valid ones had to leave out.
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
    let body = mend::without_mark(body);
    match parse_json(body, now) {
        Err(Unparseable::NotJson(error)) => match mend::mended(body) {
            Some(mended) => parse_json(&mended, now),
            None => Err(Unparseable::NotJson(error)),
        },
        parsed => parsed,
    }
}

fn parse_json(body: &[u8], now: Timestamp) -> Result<ApiParsed, Unparseable> {
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
            .and_then(|sent| observe(&source, &sent, now));
        match observed {
            Ok((observation, flaws)) => {
                for flaw in flaws {
                    parsed.invalid.add(index, flaw);
                }
                parsed.valid.push(observation);
            }
            Err(reason) => parsed.invalid.add(index, reason),
        }
    }
    Ok(parsed)
}

/// Reads one alert, and what it had to leave out.
fn observe(
    source: &SourceName,
    sent: &Sent<'_>,
    now: Timestamp,
) -> Result<(Observation, Vec<String>), String> {
    let moment = |name: &str, text: &Text<'_>| {
        let time = text.time();
        match time.problem(name) {
            Some(problem) => Err(problem),
            None => Ok(time.known()),
        }
    };
    let ends_at = moment("endsAt", &sent.ends_at)?;
    let starts_at = moment("startsAt", &sent.starts_at)?.or(ends_at).unwrap_or(now);
    let ends_at = ends_at.unwrap_or(now + limits::RESOLVE_TIMEOUT);
    if ends_at < starts_at {
        return Err("start time must be before end time".into());
    }
    let labels = sent.labels.set.clone();
    if labels.is_empty() {
        let wrong = sent.labels.problem("label");
        return Err(wrong.unwrap_or_else(|| "at least one label pair required".into()));
    }
    // Any other name is valid since Alertmanager speaks UTF-8.
    if labels.get("").is_some() {
        return Err("invalid labels: a name is empty".into());
    }
    let annotations = sent.annotations.named();
    let link = match &sent.generator_url {
        Text::Wrong(kind) => Some(format!("its generatorURL is {kind}, and was left out")),
        Text::Sent(_) | Text::Bare(..) | Text::Absent => None,
    };
    let flaws = [
        sent.labels.problem("label"),
        sent.annotations.problem("annotation"),
        sent.annotations.nameless(),
        link,
    ];
    let unproven = if ends_at > now { None } else { webhook::unproven(&labels, &annotations) };
    let alert = Alert {
        source: source.clone(),
        door: Door::Api,
        fingerprint: labels.fingerprint(),
        labels,
        annotations,
        starts_at: Some(starts_at),
        generator_url: sent.generator_url.or_empty().into(),
        receiver: "".into(),
        external_url: "".into(),
        group_labels: LabelSet::default(),
    };
    let observation =
        Observation { alert, status: Status::Firing, ends_at: Some(ends_at), unproven, by: None };
    Ok((observation, flaws.into_iter().flatten().collect()))
}
