//! How incidents end.

use super::{Desk, approve, shadow, telling};
use crate::alert::Alert;
use crate::fact::What;
use crate::healing::{Healing, Patient, Verification};
use crate::incident::{Attached, Cause, Closing, Incident, Standing};
use crate::limits;
use crate::name::IncidentId;
use crate::notice::{Carried, Matter, Notice, Topic};
use crate::policy::{Escalate, Policy, Target};
use crate::time::Timestamp;

/// Why an incident is cancelled whose policy was removed.
const POLICY_REMOVED: &str = "policy removed";

fn close(desk: &mut Desk<'_>, incident: IncidentId, cause: Cause, reason: String) {
    let closing = Closing::unhealed(cause, reason.into());
    desk.note(What::IncidentClosed { incident, closing, tell_at: None });
}

/// Closes as healed, on proof. What had ended before the remedy ran has recovered by itself.
pub(super) fn heal(
    desk: &mut Desk<'_>,
    incident: &Incident,
    verification: &Verification,
    healing: &Healing,
) {
    let Some(order) = &incident.order else { return };
    // The last order may never have started: then the remedy before it has healed.
    let remedy = incident.acts.last().map_or(&order.id.remedy, |act| &act.remedy);
    if had_ended_before(desk, incident) {
        let reason = format!("the alert had ended before remedy {remedy} ran");
        return close(desk, incident.id, Cause::EndedBeforeAct, reason);
    }
    let tell_at = latch_told_at(desk, incident);
    let evidence = match &verification.last {
        Some(last) => last.text.clone(),
        None => "its source says that it resolved".to_owned(),
    };
    let after = match healing.remembered_until() {
        Some(until) => format!("; the alert may fire on until {until:.0}"),
        None => String::new(),
    };
    let reason = format!("{} by remedy {remedy}: {evidence}{after}", healing.grade());
    let resolved = verification.resolved_during_action;
    let closing = Closing::healed(healing, remedy.clone(), reason.into(), resolved);
    desk.note(What::IncidentClosed { incident: incident.id, closing, tell_at });
    lay_down_unheard(desk, incident);
}

/// Tells whether all alerts of an incident had ended, by their sources, before its first order was
/// issued.
fn had_ended_before(desk: &Desk<'_>, incident: &Incident) -> bool {
    let (Some(first), clock) = (incident.acts.first(), desk.state.clock()) else { return false };
    // What the wall clock showed then, nobody can tell after it has jumped.
    if clock.jump().is_some_and(|jump| first.since <= jump.to + limits::CLOCK_TOLERANCE) {
        return false;
    }
    let began = clock.wall(first.since) - limits::CLOCK_TOLERANCE;
    incident.episodes.iter().all(|attached| {
        let ended_at = desk.state.episode(attached.episode).and_then(|episode| episode.ended_at);
        attached.standing == Standing::Resolved
            && ended_at.is_some_and(|at| clock.is_no_later(at, began, desk.now))
    })
}

/// Closes what ended by itself before any order started.
pub(super) fn recover(desk: &mut Desk<'_>, incident: &Incident) {
    if incident.any_lapsed() {
        let reason = "lapsed: its source stopped mentioning the alert, or ended it without proof";
        close(desk, incident.id, Cause::Lapsed, reason.to_owned());
    } else {
        let reason = "the alert resolved before any remedy ran".to_owned();
        close(desk, incident.id, Cause::EndedUntouched, reason);
        lay_down_unheard(desk, incident);
    }
}

/// An incident before this one of the same target may have been left to a person because nothing was
/// heard of its alerts any more. Where this one held alerts of the same names, it is known now how
/// that goes on.
fn lay_down_unheard(desk: &mut Desk<'_>, incident: &Incident) {
    let state = desk.state;
    let held = state.patients(incident);
    let is_left = |i: &&Incident| i.id != incident.id && !i.watches_worse();
    for earlier in state.unheard_of(&incident.subject()).filter(is_left) {
        let mut left = state.patients(earlier).into_iter().filter(|patient| !patient.resolved);
        let is_held = |lost: Patient<'_>| held.iter().any(|h| h.alert.name() == lost.alert.name());
        if left.all(is_held) {
            release(desk, earlier);
        }
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
pub(super) fn dismiss(desk: &mut Desk<'_>, incident: &Incident, cause: Cause, reason: String) {
    let tell_at = latch_told_at(desk, incident);
    let closing = Closing::unhealed(cause, reason.into());
    desk.note(What::IncidentClosed { incident: incident.id, closing, tell_at });
    approve::withdraw(desk, incident);
    telling::clear(desk, Topic::Escalation { incident: incident.id });
}

/// Closes what lost its policy. If the policy comes back, what still fires is a new trouble. What was
/// acted on and still fires is handed over: somebody must know.
pub(super) fn cancel_without_policy(desk: &mut Desk<'_>, incident: &Incident) {
    let over = |attached: &Attached| attached.standing == Standing::Resolved;
    if incident.has_acted() && !incident.episodes.iter().all(over) {
        let reason = format!("{POLICY_REMOVED}; a remedy had run, and the alert may fire on");
        telling::escalate(desk, incident, &telling::unless_said_otherwise(), reason);
    }
    close(desk, incident.id, Cause::PolicyRemoved, POLICY_REMOVED.to_owned());
}

/// Closes an incident whose order made something worse, and whose policy is gone. Nothing is taken
/// back then, because nothing says any more under which limits: so a person is told.
pub(super) fn cancel_worse(desk: &mut Desk<'_>, incident: &Incident, reason: &str) {
    let reason = format!("{POLICY_REMOVED}; {reason}");
    telling::escalate(desk, incident, &telling::unless_said_otherwise(), reason.clone());
    close(desk, incident.id, Cause::Cancelled, reason);
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
        return hand_over(desk, incident, policy, Cause::Exhausted, reason);
    }
    let reason = if policy.remedies.is_empty() {
        "recorded; this policy has no remedy".to_owned()
    } else {
        "recorded what would have been done".to_owned()
    };
    close(desk, incident.id, Cause::Recorded, reason);
}

/// Stops and hands over to a person. Of what was only recorded nobody is told; of what was done
/// somebody is, though the policy may be in shadow meanwhile.
pub(super) fn hand_over(
    desk: &mut Desk<'_>,
    incident: &Incident,
    policy: &Policy,
    cause: Cause,
    reason: String,
) {
    let mut unheard = false;
    if policy.mode.may_act() || incident.has_acted() {
        unheard = incident.all_ended() && incident.any_lapsed();
        let told = if unheard { with_silence(desk, &reason) } else { reason.clone() };
        telling::escalate(desk, incident, &policy.escalate, told);
    }
    close(desk, incident.id, cause, reason);
    if unheard {
        desk.note(What::SightLost { incident: incident.id });
    }
    lay_down_unheard(desk, incident);
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
    if let (Escalate::After { severity, carries, .. }, true) =
        (&policy.escalate, policy.mode.may_act())
    {
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
                carried: Carried::of([alert], target).with(carries),
            },
        );
    }
    close(desk, incident, Cause::NoTarget, reason);
}

/// Takes the next step of a closed incident whose alerts have all ended: it is forgotten, unless a
/// person was told of it and nobody knows that its trouble is over.
pub(super) fn settle(desk: &mut Desk<'_>, incident: &Incident) {
    if incident.watches_worse() {
        return;
    }
    if desk.state.is_owed_unheard(incident) {
        return lose_sight(desk, incident);
    }
    release(desk, incident);
}

/// Says in the notice that nothing is heard of the alert any more. Only its source, proof, or an
/// operator ends it.
fn lose_sight(desk: &mut Desk<'_>, incident: &Incident) {
    if incident.unheard {
        return;
    }
    desk.note(What::SightLost { incident: incident.id });
    let topic = Topic::Escalation { incident: incident.id };
    if let Some(owed) = desk.state.notice(&topic) {
        let notice = owed.notice.reworded(with_silence(desk, &owed.notice.reason));
        telling::raise(desk, notice);
    }
}

fn with_silence(desk: &Desk<'_>, reason: &str) -> String {
    format!(
        "{reason}; as of {:.0} its source says nothing of the alert any more, or ended it without \
         proof: whether the trouble is over is not known",
        desk.wall()
    )
}

/// Forgets a closed incident whose alerts have all ended: the next firing is a new trouble.
pub(super) fn release(desk: &mut Desk<'_>, incident: &Incident) {
    shadow::settle(desk, incident);
    desk.note(What::LatchReleased { incident: incident.id });
    telling::clear(desk, Topic::Escalation { incident: incident.id });
}
