//! How incidents end.

use super::{Desk, approve, shadow, storm, telling};
use crate::alert::Alert;
use crate::fact::What;
use crate::incident::{Closing, End, Incident};
use crate::limits;
use crate::name::IncidentId;
use crate::notice::{Matter, Notice, Topic};
use crate::policy::{Escalate, Policy, Target};
use crate::time::Timestamp;
use crate::verdict::Verification;

fn close(desk: &mut Desk<'_>, incident: IncidentId, outcome: End, reason: String) {
    let closing = Closing {
        outcome,
        reason: reason.into(),
        remedy: None,
        grade: None,
        resolved_during_action: false,
    };
    desk.note(What::IncidentClosed { incident, closing, tell_at: None });
}

/// Closes as healed: the required grade holds.
pub(super) fn heal(desk: &mut Desk<'_>, incident: &Incident, verification: &Verification) {
    let Some(order) = &incident.order else { return };
    let tell_at = latch_told_at(desk, incident);
    let evidence = match &verification.last {
        Some(last) => last.text.clone(),
        None => "its source says that it resolved".to_owned(),
    };
    // The last order may never have started: then the remedy before it has healed.
    let remedy = incident.ran.as_ref().unwrap_or(&order.id.remedy);
    let closing = Closing {
        outcome: End::Healed,
        reason: format!("{} by remedy {remedy}: {evidence}", order.proof.required).into(),
        remedy: Some(remedy.clone()),
        grade: Some(order.proof.required),
        resolved_during_action: verification.resolved_during_action,
    };
    desk.note(What::IncidentClosed { incident: incident.id, closing, tell_at });
}

/// Closes what ended by itself before any order started.
pub(super) fn recover(desk: &mut Desk<'_>, incident: &Incident) {
    if incident.all_lapsed() {
        cancel(desk, incident, "lapsed: its source stopped mentioning the alert");
    } else {
        let reason = "the alert resolved before any remedy ran".to_owned();
        close(desk, incident.id, End::Recovered, reason);
    }
}

/// When a person is told that the alert of a closed incident still fires.
fn latch_told_at(desk: &Desk<'_>, incident: &Incident) -> Option<Timestamp> {
    match desk.book.policy(&incident.policy).map(|policy| &policy.escalate) {
        Some(Escalate::After { .. }) => Some(desk.now + limits::LATCH_TOLD_AFTER),
        Some(Escalate::Nobody) | None => None,
    }
}

/// Closes because a person says so. Nobody is told, because somebody knows.
pub(super) fn dismiss(desk: &mut Desk<'_>, incident: &Incident, outcome: End, reason: String) {
    let tell_at = latch_told_at(desk, incident);
    let closing = Closing {
        outcome,
        reason: reason.into(),
        remedy: None,
        grade: None,
        resolved_during_action: false,
    };
    desk.note(What::IncidentClosed { incident: incident.id, closing, tell_at });
    approve::withdraw(desk, incident);
    telling::clear(desk, Topic::Escalation { incident: incident.id });
}

/// Closes what lost its policy. If the policy comes back, what still fires is a new trouble.
pub(super) fn cancel_without_policy(desk: &mut Desk<'_>, incident: &Incident) {
    cancel(desk, incident, Closing::POLICY_REMOVED);
}

/// Closes what lost its object.
fn cancel(desk: &mut Desk<'_>, incident: &Incident, reason: &str) {
    close(desk, incident.id, End::Cancelled, reason.to_owned());
}

/// Closes an incident whose order made something worse, and whose policy is gone. Nothing is taken
/// back then, because nothing says any more under which limits: so a person is told.
pub(super) fn cancel_worse(desk: &mut Desk<'_>, incident: &Incident, reason: &str) {
    let reason = format!("{}; {reason}", Closing::POLICY_REMOVED);
    telling::escalate(desk, incident, &telling::unless_said_otherwise(), reason.clone());
    cancel(desk, incident, &reason);
}

/// Closes an incident whose ladder has no further rung.
pub(super) fn exhaust(desk: &mut Desk<'_>, incident: &Incident, policy: &Policy) {
    if incident.ladder.orders > 0 {
        let reason = match (incident.tried.as_slice(), incident.relapse_of) {
            ([], Some(earlier)) => {
                format!("it came back after incident {earlier}, and no further remedy is left")
            }
            (tried, _) => format!("no remedy healed it: {}", tried.join("; ")),
        };
        return hand_over(desk, incident, policy, reason);
    }
    let reason = if policy.remedies.is_empty() {
        "recorded; this policy has no remedy".to_owned()
    } else {
        "recorded what would have been done".to_owned()
    };
    close(desk, incident.id, End::Shadowed, reason);
}

/// Stops and hands over to a person. Of what was only recorded nobody is told; of what was done
/// somebody is, though the policy may be in shadow meanwhile.
pub(super) fn hand_over(desk: &mut Desk<'_>, incident: &Incident, policy: &Policy, reason: String) {
    if policy.mode.may_act() || incident.has_acted() {
        telling::escalate(desk, incident, &policy.escalate, reason.clone());
    }
    close(desk, incident.id, End::Escalated, reason);
}

/// Hands over an incident that this very decision has opened.
pub(super) fn hand_over_unopened(
    desk: &mut Desk<'_>,
    incident: IncidentId,
    policy: &Policy,
    target: &Target,
    alert: &Alert,
    reason: String,
) {
    if let (Escalate::After { severity, .. }, true) = (&policy.escalate, policy.mode.may_act()) {
        telling::raise(
            desk,
            Notice {
                matter: Matter::Escalation { incident, tried: Vec::new() },
                policy: policy.name.clone(),
                target: target.clone(),
                source: alert.source.clone(),
                alertname: alert.name().to_owned(),
                severity: severity.to_string(),
                reason: reason.clone(),
                since: desk.now,
            },
        );
    }
    close(desk, incident, End::Escalated, reason);
}

/// Forgets a closed incident whose alerts have all ended: the next firing is a new trouble.
pub(super) fn release(desk: &mut Desk<'_>, incident: &Incident) {
    shadow::settle(desk, incident);
    desk.note(What::LatchReleased { incident: incident.id });
    telling::clear(desk, Topic::Escalation { incident: incident.id });
    storm::rest(desk, &incident.policy);
}
