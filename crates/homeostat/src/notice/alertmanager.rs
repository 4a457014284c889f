//! Notices as alerts: what Alertmanager gets to see.
//!
//! | what | value |
//! |---|---|
//! | `alertname` | `HomeostatEscalation`, or `HomeostatApprovalNeeded` |
//! | `homeostat` | `escalation` or `approval`: our own intake knows it by this label and opens no incident |
//! | `policy`, `severity`, `alert` | of the notice; `alert` is the alert's name |
//! | `incident`, or `guard` | of the topic |
//! | the target's labels, and those that the notice carries | as they are, unless they are called like one of these |
//!
//! Alertmanager merges what it is sent with what it knows of the same labels. An end that has passed
//! by its own clock counts; of two ends that are still to come it keeps the later one. So nothing is
//! over by an end that is to come: what must fire for some time is told on for so long, and then
//! ended by a time that has passed on every clock that is not out of order.
//!
//! Source: `api/v2/openapi.yaml`, `Alert.Merge` of `types` (since 0.34 of `alert`), and
//! `Alerts.Put` of `provider/mem` of Alertmanager; the same from 0.15.3 to 0.34.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use homeostat_core::alert::OWN_LABEL;
use homeostat_core::label::is_classic_name;
use homeostat_core::notice::{Matter, Notice, is_free};
use homeostat_core::time::{Span, Timestamp};
use reqwest::StatusCode;
use serde::Serialize;

use super::{Cluster, LASTING, wording};
use crate::client;

/// The name of the alert that calls a person.
const ESCALATION: &str = "HomeostatEscalation";

/// The name of the alert that asks for a person's word.
const APPROVAL: &str = "HomeostatApprovalNeeded";

/// How far the clock of an Alertmanager may be behind ours: what ends is said to have ended so long
/// ago. An end that lay in its future would not count.
const CLOCKS_APART: Span = Span::from_secs(60);

/// What goes to one cluster in one request.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) cluster: Arc<Cluster>,
    pub(super) items: Vec<Item>,
    /// Whether labels with unusual names are left out: an Alertmanager before 0.27 refuses them,
    /// and a person must be told.
    pub(super) careful: bool,
}

/// One notice as it was when it was sent.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) notice: Notice,
    /// What it was called before: over.
    pub(super) former: Vec<Notice>,
    /// Whether it is ended: its trouble is over, and it has fired for long enough.
    pub(super) ending: bool,
    pub(super) version: u64,
}

/// What came of a parcel.
#[derive(Debug)]
pub(super) enum Outcome {
    /// All peers took it, or the rest of them never will.
    Accepted,
    /// One peer took it, and one could not be reached.
    Partly(String),
    /// Somebody says that it is not valid.
    Refused(String),
    /// Nobody could be reached, or nobody could take it now.
    Failed(String),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert<'a> {
    labels: BTreeMap<&'a str, Cow<'a, str>>,
    annotations: BTreeMap<&'a str, String>,
    starts_at: Timestamp,
    ends_at: Timestamp,
    #[serde(rename = "generatorURL", skip_serializing_if = "String::is_empty")]
    generator_url: String,
}

impl Parcel {
    /// Writes all alerts of the parcel, as of now.
    pub(super) fn alerts(&self, now: Timestamp, external_url: Option<&str>) -> Vec<u8> {
        let (ahead, ended) = (now + Span::from(LASTING), now - CLOCKS_APART);
        let mut alerts = Vec::with_capacity(self.items.len());
        for item in &self.items {
            let of = |notice, ends_at| self.alert(notice, (now, ends_at), external_url);
            alerts.extend(item.former.iter().map(|former| of(former, ended)));
            let ends_at = if item.ending { ended } else { ahead };
            alerts.push(of(&item.notice, ends_at));
        }
        serde_json::to_vec(&alerts).expect("texts and times can be written as JSON")
    }

    fn alert<'a>(
        &self,
        notice: &'a Notice,
        (now, ends_at): (Timestamp, Timestamp),
        external_url: Option<&str>,
    ) -> Alert<'a> {
        let usual = |name: &str| !self.careful || (is_classic_name(name) && !name.contains(':'));
        let mut labels: BTreeMap<&str, Cow<'a, str>> = BTreeMap::new();
        let of_alerts = notice.target.iter().chain(notice.carried.labels.iter());
        for (name, value) in of_alerts.filter(|(name, _)| usual(name) && is_free(name)) {
            labels.insert(name, value.into());
        }
        labels.extend(own_labels(notice));
        let carried = notice.carried.annotations.iter();
        let mut annotations: BTreeMap<&str, String> =
            carried.map(|(name, text)| (name, text.to_owned())).collect();
        annotations.extend(wording::details(notice));
        annotations.insert("summary", wording::summary(notice));
        annotations.insert("description", notice.reason.clone());
        let link = wording::link(notice, external_url);
        if let Some(link) = &link {
            annotations.insert("link", link.clone());
        }
        let generator_url = link.filter(|_| !self.careful).unwrap_or_default();
        // Neither a clock that was set back nor a short trouble makes an alert that ends before it
        // starts: it would be refused.
        let starts_at = notice.since.min(now).min(ends_at);
        Alert { labels, annotations, starts_at, ends_at, generator_url }
    }

    /// Sends the alerts to every peer of the cluster.
    pub(super) async fn send(self, alerts: Vec<u8>) -> (Self, Outcome) {
        let posts = self.cluster.peers.iter().map(|peer| async {
            let reply = peer.post_json("/api/v2/alerts", alerts.clone()).await;
            let reply = match reply {
                Ok(reply) if reply.status.is_success() => return Outcome::Accepted,
                Ok(reply) => reply,
                Err(error) => return Outcome::Failed(error.line()),
            };
            let text = format!("{} answered {}: {}", peer.server(), reply.status, reply.excerpt());
            match reply.status {
                StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => {
                    Outcome::Refused(text)
                }
                _ => Outcome::Failed(text),
            }
        });
        let nobody = Outcome::Failed("the cluster has no URL".into());
        let outcome = client::all(posts).await.into_iter().reduce(better).unwrap_or(nobody);
        let (cluster, notices) = (&self.cluster.name, self.items.len());
        match &outcome {
            Outcome::Accepted => tracing::debug!(%cluster, notices, "notices accepted"),
            Outcome::Partly(error) => {
                tracing::debug!(%cluster, notices, %error, "notices accepted by some peers");
            }
            Outcome::Refused(error) => {
                tracing::error!(%cluster, notices, %error, "notices refused");
            }
            Outcome::Failed(error) => {
                tracing::warn!(%cluster, notices, %error, "notices could not be sent");
            }
        }
        (self, outcome)
    }
}

/// Of two peers' answers: one that accepts counts; else one that says what is wrong. Whoever refuses
/// a notice does not fire it, and need not hear its end; whoever could not be reached may fire it.
fn better(one: Outcome, other: Outcome) -> Outcome {
    use Outcome::{Accepted, Failed, Partly, Refused};
    match (one, other) {
        (Partly(error), _)
        | (_, Partly(error))
        | (Accepted, Failed(error))
        | (Failed(error), Accepted) => Partly(error),
        (Accepted, Accepted | Refused(_)) | (Refused(_), Accepted) => Accepted,
        (refused @ Refused(_), _) | (_, refused @ Refused(_)) => refused,
        (failed @ Failed(_), Failed(_)) => failed,
    }
}

/// The labels by which people route and silence our alerts.
fn own_labels(notice: &Notice) -> Vec<(&'static str, Cow<'_, str>)> {
    let (alertname, kind, of): (_, _, (_, Cow<'_, str>)) = match &notice.matter {
        Matter::Escalation { incident, .. } => {
            (ESCALATION, "escalation", ("incident", incident.to_string().into()))
        }
        Matter::Approval { incident, .. } => {
            (APPROVAL, "approval", ("incident", incident.to_string().into()))
        }
        Matter::Guard { guard, .. } => (ESCALATION, "escalation", ("guard", guard.as_str().into())),
    };
    vec![
        ("alertname", alertname.into()),
        (OWN_LABEL, kind.into()),
        ("policy", notice.policy.as_str().into()),
        ("severity", notice.severity.as_str().into()),
        ("alert", notice.alertname.as_str().into()),
        of,
    ]
}
