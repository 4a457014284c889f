//! How incidents end, and what is told to people.

use super::{Desk, firing};
use crate::alert::Alert;
use crate::event::Effect;
use crate::fact::What;
use crate::incident::{Closing, End, Incident, Stage};
use crate::limits::{self, defaults};
use crate::name::{IncidentId, SourceName};
use crate::notice::Notice;
use crate::policy::{Escalate, Mode, Policy, Target};
use crate::verdict::Verification;

fn close(desk: &mut Desk<'_>, incident: IncidentId, outcome: End, reason: String) {
    let closing =
        Closing { outcome, reason, remedy: None, grade: None, resolved_during_action: false };
    desk.note(What::IncidentClosed { incident, closing, tell_at: None });
}

/// Closes as healed: the required grade holds.
pub(super) fn heal(desk: &mut Desk<'_>, incident: &Incident, verification: &Verification) {
    let Some(order) = &incident.order else { return };
    let tells = desk.book.policy(&incident.policy).map(|policy| &policy.escalate);
    let tell_at = match tells {
        Some(Escalate::After { .. }) => Some(desk.now + limits::LATCH_TOLD_AFTER),
        Some(Escalate::Nobody) | None => None,
    };
    let evidence = match &verification.last {
        Some(last) => last.text.clone(),
        None => "its source says that it resolved".to_owned(),
    };
    let closing = Closing {
        outcome: End::Healed,
        reason: format!("{} by remedy {}: {evidence}", order.proof.required, order.id.remedy),
        remedy: Some(order.id.remedy.clone()),
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

/// Closes what lost its object.
pub(super) fn cancel(desk: &mut Desk<'_>, incident: &Incident, reason: &str) {
    close(desk, incident.id, End::Cancelled, reason.to_owned());
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

/// Stops and hands over to a person.
pub(super) fn hand_over(desk: &mut Desk<'_>, incident: &Incident, policy: &Policy, reason: String) {
    if policy.mode == Mode::Auto {
        tell(desk, incident, &policy.escalate, &reason);
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
    if let Escalate::After { severity, .. } = &policy.escalate {
        raise(
            desk,
            Notice {
                incident,
                policy: policy.name.clone(),
                target: target.clone(),
                source: alert.source.clone(),
                alertname: alert.name().to_owned(),
                severity: severity.to_string(),
                reason: reason.clone(),
                tried: Vec::new(),
                since: desk.now,
            },
        );
    }
    close(desk, incident, End::Escalated, reason);
}

/// Tells a person about an incident that is open for long, or whose alert fires on.
pub(super) fn tell_delay(desk: &mut Desk<'_>, incident: &Incident) {
    let age = desk.now.since(incident.opened_at);
    let reason = match &incident.stage {
        Stage::Closed { at, closing } => format!(
            "it was {} {} ago, and its alert still fires",
            closing.outcome,
            desk.now.since(*at)
        ),
        Stage::Held { holds, .. } => {
            let holds: Vec<String> = holds.iter().map(ToString::to_string).collect();
            format!("open for {age} and held: {}", holds.join("; "))
        }
        stage @ (Stage::Settling { .. }
        | Stage::Ready
        | Stage::Asking { .. }
        | Stage::BackingOff { .. }
        | Stage::Acting
        | Stage::Verifying(_)) => format!("open for {age} and {}; healing goes on", stage.as_str()),
    };
    let severity = desk.book.policy(&incident.policy).map(|policy| policy.escalate.clone());
    let escalate = severity.unwrap_or_else(|| Escalate::After {
        after: defaults::ESCALATE_AFTER,
        severity: defaults::ESCALATE_SEVERITY.into(),
    });
    let told_before = desk.decision.facts.len();
    tell(desk, incident, &escalate, &reason);
    if desk.decision.facts.len() == told_before {
        desk.note(What::AlarmDropped { incident: incident.id });
    }
}

fn tell(desk: &mut Desk<'_>, incident: &Incident, escalate: &Escalate, reason: &str) {
    let Escalate::After { severity, .. } = escalate else { return };
    let leading = firing(desk.state, incident).next().map(|(_, alert)| alert);
    let source = leading.map_or_else(|| SourceName::new(""), |alert| alert.source.clone());
    let alertname = leading.map_or_else(String::new, |alert| alert.name().to_owned());
    raise(
        desk,
        Notice {
            incident: incident.id,
            policy: incident.policy.clone(),
            target: incident.target.clone(),
            source,
            alertname,
            severity: severity.to_string(),
            reason: reason.to_owned(),
            tried: incident.tried.clone(),
            since: desk.now,
        },
    );
}

fn raise(desk: &mut Desk<'_>, notice: Notice) {
    desk.note(What::NoticeRaised { notice: notice.clone() });
    desk.want(Effect::Tell(Box::new(notice)));
}

/// Forgets a closed incident whose alerts have all ended: the next firing is a new trouble.
pub(super) fn release(desk: &mut Desk<'_>, incident: &Incident) {
    desk.note(What::LatchReleased { incident: incident.id });
    if let Some(owed) = desk.state.notice(incident.id).filter(|owed| !owed.cleared) {
        desk.note(What::NoticeCleared { incident: incident.id });
        desk.want(Effect::Clear(Box::new(owed.notice.clone())));
    }
}
