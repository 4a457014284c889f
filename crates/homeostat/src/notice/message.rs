//! A notice as commands and webhooks get it: one JSON document of version 1.
//!
//! Fields are added and never changed or removed. `key` is the same each time that the same thing is
//! told again, also in other words, so that whoever has seen it can leave it at that.

use std::fmt;

use homeostat_core::hold::Guard;
use homeostat_core::label::LabelSet;
use homeostat_core::name::IncidentId;
use homeostat_core::notice::{Matter, Notice, RUNBOOK};
use homeostat_core::policy::Target;
use homeostat_core::time::Timestamp;
use serde::Serialize;

use super::wording;

/// The version of the document.
const VERSION: &str = "1";

/// Bytes of one variable of a command; the document is complete.
const VARIABLE_BYTES: usize = 8 << 10;

/// What a message says about its trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    /// It is there.
    Firing,
    /// It is over.
    Resolved,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        })
    }
}

/// One notice as one channel gets it.
#[derive(Debug, Serialize)]
pub(super) struct Message<'a> {
    version: &'static str,
    pub(super) key: String,
    status: Status,
    #[serde(flatten)]
    body: Body<'a>,
    policy: &'a str,
    target: &'a Target,
    alertname: &'a str,
    severity: &'a str,
    summary: String,
    reason: &'a str,
    since: Timestamp,
    labels: &'a LabelSet,
    annotations: &'a LabelSet,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
enum Body<'a> {
    Escalation { incident: IncidentId, tried: &'a [String] },
    Approval { incident: IncidentId, action: &'a str, expires_at: Timestamp },
    Guard { guard: Guard, targets: &'a [Target], more: u64 },
}

impl<'a> Message<'a> {
    pub(super) fn new(notice: &'a Notice, status: Status, external_url: Option<&str>) -> Self {
        Self {
            version: VERSION,
            key: key(notice, status),
            status,
            body: match &notice.matter {
                Matter::Escalation { incident, tried } => {
                    Body::Escalation { incident: *incident, tried }
                }
                Matter::Approval { incident, action, expires_at } => {
                    Body::Approval { incident: *incident, action, expires_at: *expires_at }
                }
                Matter::Guard { guard, targets, more } => {
                    Body::Guard { guard: *guard, targets, more: *more }
                }
            },
            policy: notice.policy.as_str(),
            target: &notice.target,
            alertname: &notice.alertname,
            severity: &notice.severity,
            summary: wording::summary(notice),
            reason: &notice.reason,
            since: notice.since,
            labels: &notice.carried.labels,
            annotations: &notice.carried.annotations,
            link: wording::link(notice, external_url),
        }
    }

    /// Writes the document.
    pub(super) fn document(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and times can be written as JSON")
    }

    /// Lists what a command finds in its environment: what one line of a message needs.
    pub(super) fn variables(&self) -> Vec<(&'static str, String)> {
        let (kind, of) = match &self.body {
            Body::Escalation { incident, .. } => {
                ("escalation", ("HOMEOSTAT_NOTICE_INCIDENT", incident.to_string()))
            }
            Body::Approval { incident, .. } => {
                ("approval", ("HOMEOSTAT_NOTICE_INCIDENT", incident.to_string()))
            }
            Body::Guard { guard, .. } => ("guard", ("HOMEOSTAT_NOTICE_GUARD", guard.to_string())),
        };
        let runbook = self.annotations.get(RUNBOOK).unwrap_or_default();
        let mut variables = vec![
            ("HOMEOSTAT_NOTICE_KEY", self.key.clone()),
            ("HOMEOSTAT_NOTICE_STATUS", self.status.to_string()),
            ("HOMEOSTAT_NOTICE_KIND", kind.to_owned()),
            of,
            ("HOMEOSTAT_NOTICE_POLICY", self.policy.to_owned()),
            ("HOMEOSTAT_NOTICE_TARGET", self.target.to_string()),
            ("HOMEOSTAT_NOTICE_ALERTNAME", self.alertname.to_owned()),
            ("HOMEOSTAT_NOTICE_SEVERITY", self.severity.to_owned()),
            ("HOMEOSTAT_NOTICE_SUMMARY", self.summary.clone()),
            ("HOMEOSTAT_NOTICE_REASON", self.reason.to_owned()),
            ("HOMEOSTAT_NOTICE_LINK", self.link.clone().unwrap_or_default()),
            ("HOMEOSTAT_NOTICE_LABELS", self.labels.to_string()),
            ("HOMEOSTAT_NOTICE_RUNBOOK_URL", runbook.to_owned()),
        ];
        for (_, value) in &mut variables {
            value.retain(|c| c != '\0');
            value.truncate(value.floor_char_boundary(VARIABLE_BYTES));
        }
        variables
    }
}

/// The same for the same notice, in this run of the engine and in the next, and in other words;
/// another one for a notice that took its place, and for its end.
fn key(notice: &Notice, status: Status) -> String {
    let text = serde_json::to_string(&notice.without_words())
        .expect("texts and times can be written as JSON");
    let fingerprint = LabelSet::from_pairs([("notice", text.as_str())]).fingerprint();
    format!("{}/{fingerprint}/{status}", notice.topic())
}
