//! What an action is told, and the JSON document that tells it.
//!
//! The document has the shape of Alertmanager's webhook (version 4), so that scripts and libraries
//! that read one read the other; what is ours stands under the key `homeostat`. It is always
//! complete, whatever the environment could not carry. `groupKey` is absent: an order is about a
//! target, not about a group of notifications.
//!
//! Source: <https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>

use std::collections::BTreeMap;
use std::io::{self, Write};

use homeostat_core::alert::Status;
use homeostat_core::label::LabelSet;
use jiff::Timestamp;
use serde::ser::{Serialize, Serializer};

use super::said::Asked;

/// The alerts that an order is about, and where in its healing it stands.
#[derive(Debug, Clone, Default)]
pub struct Subject {
    /// The incident's id.
    pub incident: String,
    /// Which attempt of the incident this is, from 1.
    pub attempt: u32,
    /// The policy that took the alerts.
    pub policy: String,
    /// The remedy that runs.
    pub remedy: String,
    /// The receiver that Alertmanager sent to; empty for alerts that came another way.
    pub receiver: String,
    /// Where Alertmanager can be reached; empty for alerts that came another way.
    pub external_url: String,
    /// The labels by which Alertmanager grouped the alerts.
    pub group_labels: LabelSet,
    /// All alerts; the first is the leading one.
    pub alerts: Vec<SubjectAlert>,
}

/// One alert as an action sees it.
#[derive(Debug, Clone)]
pub struct SubjectAlert {
    /// Whether it fires.
    pub status: Status,
    /// Alertmanager's fingerprint of its labels, 16 hexadecimal digits.
    pub fingerprint: String,
    /// Its labels.
    pub labels: LabelSet,
    /// Its annotations.
    pub annotations: LabelSet,
    /// When it began, if its source said so.
    pub starts_at: Option<Timestamp>,
    /// When it ended, if it did.
    pub ends_at: Option<Timestamp>,
    /// Where its rule can be seen. Shown as it came: whoever opens it must check its scheme.
    pub generator_url: String,
}

/// How Go writes no time, which is what the webhook has for an alert that did not end.
const NO_TIME: &str = "0001-01-01T00:00:00Z";

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    version: &'static str,
    receiver: &'a str,
    status: Status,
    #[serde(rename = "externalURL")]
    external_url: &'a str,
    group_labels: &'a LabelSet,
    common_labels: BTreeMap<&'a str, &'a str>,
    common_annotations: BTreeMap<&'a str, &'a str>,
    truncated_alerts: u32,
    alerts: DocumentAlerts<'a>,
    homeostat: DocumentOrder<'a>,
}

/// There may be tens of thousands: each is made as it is written.
struct DocumentAlerts<'a>(&'a [SubjectAlert]);

impl Serialize for DocumentAlerts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(DocumentAlert::of))
    }
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct DocumentAlert<'a> {
    status: Status,
    labels: &'a LabelSet,
    annotations: &'a LabelSet,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: &'a str,
    fingerprint: &'a str,
}

#[derive(serde::Serialize)]
struct DocumentOrder<'a> {
    incident: &'a str,
    order: &'a str,
    attempt: u32,
    policy: &'a str,
    remedy: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hand: Option<&'a Asked>,
}

impl SubjectAlert {
    /// Tells whether it fires.
    pub fn is_firing(&self) -> bool {
        self.status == Status::Firing
    }
}

impl Subject {
    /// Firing if any alert fires, as Alertmanager sums up a group.
    pub(super) fn status(&self) -> Status {
        if self.alerts.iter().any(|alert| alert.status == Status::Firing) {
            Status::Firing
        } else {
            Status::Resolved
        }
    }

    /// The labels that all alerts share.
    pub(super) fn common_labels(&self) -> BTreeMap<&str, &str> {
        common(self.alerts.iter().map(|alert| &alert.labels))
    }

    /// The annotations that all alerts share.
    pub(super) fn common_annotations(&self) -> BTreeMap<&str, &str> {
        common(self.alerts.iter().map(|alert| &alert.annotations))
    }

    /// Writes the complete data as JSON, with a closing line feed; for a hand, with what it is asked.
    pub(super) fn write(
        &self,
        order: &str,
        hand: Option<&Asked>,
        to: &mut dyn Write,
    ) -> io::Result<()> {
        let document = Document {
            version: "4",
            receiver: &self.receiver,
            status: self.status(),
            external_url: &self.external_url,
            group_labels: &self.group_labels,
            common_labels: self.common_labels(),
            common_annotations: self.common_annotations(),
            truncated_alerts: 0,
            alerts: DocumentAlerts(&self.alerts),
            homeostat: DocumentOrder {
                incident: &self.incident,
                order,
                attempt: self.attempt,
                policy: &self.policy,
                remedy: &self.remedy,
                hand,
            },
        };
        serde_json::to_writer(&mut *to, &document)?;
        to.write_all(b"\n")
    }
}

impl<'a> DocumentAlert<'a> {
    fn of(alert: &'a SubjectAlert) -> Self {
        let time = |at: Option<Timestamp>| at.map_or_else(|| NO_TIME.into(), |at| at.to_string());
        Self {
            status: alert.status,
            labels: &alert.labels,
            annotations: &alert.annotations,
            starts_at: time(alert.starts_at),
            ends_at: time(alert.ends_at),
            generator_url: &alert.generator_url,
            fingerprint: &alert.fingerprint,
        }
    }
}

fn common<'a>(mut sets: impl Iterator<Item = &'a LabelSet>) -> BTreeMap<&'a str, &'a str> {
    let Some(first) = sets.next() else { return BTreeMap::new() };
    let mut shared: BTreeMap<&str, &str> = first.iter().collect();
    for set in sets {
        shared.retain(|name, value| set.get(name) == Some(*value));
    }
    shared
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> LabelSet {
        pairs.iter().copied().collect()
    }

    fn document(subject: &Subject, order: &str) -> serde_json::Value {
        let mut json = Vec::new();
        subject.write(order, None, &mut json).unwrap();
        assert!(json.ends_with(b"\n"));
        serde_json::from_slice(&json).unwrap()
    }

    fn alert(labels: &[(&str, &str)], status: Status) -> SubjectAlert {
        SubjectAlert {
            status,
            fingerprint: "00f2".into(),
            labels: map(labels),
            annotations: map(&[("summary", "\"quoted\"\n")]),
            starts_at: Some("2026-01-05T09:00:00.25Z".parse().unwrap()),
            ends_at: None,
            generator_url: "http://p/graph?a=b&c".into(),
        }
    }

    #[test]
    fn the_document_has_the_shape_of_the_webhook() {
        let subject = Subject {
            incident: "i1".into(),
            attempt: 2,
            policy: "web".into(),
            remedy: "restart".into(),
            receiver: "heal".into(),
            external_url: "http://am".into(),
            group_labels: map(&[("job", "web")]),
            alerts: vec![
                alert(&[("job", "web"), ("instance", "a")], Status::Resolved),
                alert(&[("job", "web"), ("instance", "b")], Status::Firing),
            ],
        };
        let json = document(&subject, "i1-restart-2");
        let alert = |status: &str, instance: &str| {
            serde_json::json!({
                "status": status,
                "labels": { "job": "web", "instance": instance },
                "annotations": { "summary": "\"quoted\"\n" },
                "startsAt": "2026-01-05T09:00:00.25Z",
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "http://p/graph?a=b&c",
                "fingerprint": "00f2",
            })
        };
        let expected = serde_json::json!({
            "version": "4",
            "receiver": "heal",
            "status": "firing",
            "externalURL": "http://am",
            "groupLabels": { "job": "web" },
            "commonLabels": { "job": "web" },
            "commonAnnotations": { "summary": "\"quoted\"\n" },
            "truncatedAlerts": 0,
            "alerts": [alert("resolved", "a"), alert("firing", "b")],
            "homeostat": {
                "incident": "i1", "order": "i1-restart-2", "attempt": 2,
                "policy": "web", "remedy": "restart",
            },
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn no_alert_makes_an_empty_document_that_does_not_fire() {
        let json = document(&Subject::default(), "o");
        assert_eq!(json["status"], "resolved");
        assert_eq!(json["alerts"], serde_json::json!([]));
        assert_eq!(json["commonLabels"], serde_json::json!({}));
    }
}
