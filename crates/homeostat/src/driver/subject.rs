//! What an action is told of its incident.

use homeostat_core::alert::{Episode, Status};
use homeostat_core::event::Run;
use homeostat_core::label::LabelSet;
use homeostat_core::limits::ASKED_ALERTS;
use homeostat_core::time::Timestamp;
use homeostat_hands::act;

/// Tells what a run is about. To tell of tens of thousands of alerts takes long, and other tasks wait for
/// their thread.
pub(super) async fn of(run: &Run) -> act::Subject {
    if run.alerts.len() <= ASKED_ALERTS {
        return subject(run);
    }
    let many = run.clone();
    let told = tokio::task::spawn_blocking(move || subject(&many)).await;
    // The runtime ends, and nobody waits for it any more.
    told.unwrap_or_else(|_| subject(run))
}

/// Of what is about no alert.
pub(super) fn none(policy: &str, remedy: &str) -> act::Subject {
    act::Subject {
        incident: String::new(),
        attempt: 0,
        policy: policy.to_owned(),
        remedy: remedy.to_owned(),
        receiver: String::new(),
        external_url: String::new(),
        group_labels: LabelSet::default(),
        alerts: Vec::new(),
    }
}

fn subject(run: &Run) -> act::Subject {
    let order = &run.order.id;
    let leading = run.alerts.first().map(|leading| &leading.alert);
    act::Subject {
        incident: order.incident.to_string(),
        attempt: order.attempt,
        policy: run.policy.to_string(),
        remedy: order.remedy.to_string(),
        receiver: leading.map(|alert| alert.receiver.to_string()).unwrap_or_default(),
        external_url: leading.map(|alert| alert.external_url.to_string()).unwrap_or_default(),
        group_labels: leading.map(|alert| alert.group_labels.clone()).unwrap_or_default(),
        alerts: run.alerts.iter().map(|known| subject_alert(known)).collect(),
    }
}

fn subject_alert(known: &Episode) -> act::SubjectAlert {
    let Episode { alert, ended_at, .. } = known;
    let time = |at: Timestamp| jiff::Timestamp::from_microsecond(at.micros()).ok();
    act::SubjectAlert {
        status: if ended_at.is_some() { Status::Resolved } else { Status::Firing },
        fingerprint: alert.fingerprint.to_string(),
        labels: alert.labels.clone(),
        annotations: alert.annotations.clone(),
        starts_at: alert.starts_at.and_then(time),
        ends_at: ended_at.and_then(time),
        generator_url: alert.generator_url.to_string(),
    }
}
