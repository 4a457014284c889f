//! What a person is asked before a run, and what becomes of the question.
//!
//! The default is no: a question that nobody answers, and an approval that no guard let pass in
//! its time, hand the incident over to a person. Nothing else is tried then: whoever wants to
//! approve one remedy does not want the next one instead.

use super::{Desk, closing, firing, pursue, telling};
use crate::approval::{Approved, Asked};
use crate::fact::What;
use crate::guard::Grant;
use crate::incident::{Cause, Incident, Stage};
use crate::notice::{Carried, Matter, Notice, Topic};
use crate::policy::{Escalate, Mode, Policy};
use crate::why::Why;

/// Asks a person whether a run may start that all guards would let pass.
pub(super) fn ask(
    desk: &mut Desk<'_>,
    incident: &Incident,
    policy: &Policy,
    asked: &Asked,
    grants: Vec<Grant>,
    why: Why,
) {
    let (incident_id, why) = (incident.id, why.boxed());
    desk.note(What::ApprovalAsked { incident: incident_id, asked: asked.clone(), grants, why });
    tell(desk, incident, &policy.escalate, asked);
}

fn tell(desk: &mut Desk<'_>, incident: &Incident, escalate: &Escalate, asked: &Asked) {
    let Escalate::After { severity, carries, .. } = escalate else { return };
    let alerts = || firing(desk.state, incident).map(|(_, alert)| alert);
    let Some(leading) = alerts().next() else { return };
    let notice = Notice {
        matter: Matter::Approval {
            incident: incident.id,
            action: asked.action.to_string(),
            expires_at: asked.expires_at,
        },
        policy: incident.policy.clone(),
        target: incident.target.clone(),
        source: leading.source.clone(),
        alertname: leading.name().to_owned(),
        severity: severity.to_string(),
        reason: format!(
            "to let remedy {} start: homeostat approve {}",
            asked.order.remedy, incident.id
        ),
        since: desk.now,
        carried: Carried::of(alerts(), &incident.target).with(carries),
    };
    telling::raise(desk, notice);
}

/// Tells that nothing waits for a person's word any more.
pub(super) fn withdraw(desk: &mut Desk<'_>, incident: &Incident) {
    telling::clear(desk, Topic::Approval { incident: incident.id });
}

/// Nobody answered in time.
pub(super) fn expire(desk: &mut Desk<'_>, incident: &Incident, asked: &Asked) {
    let book = desk.book;
    withdraw(desk, incident);
    let Some(policy) = book.policy(&incident.policy) else {
        return closing::cancel_without_policy(desk, incident);
    };
    let reason = format!(
        "nobody approved remedy {} by {:.0}: it was not run",
        asked.order.remedy, asked.expires_at
    );
    closing::hand_over(desk, incident, policy, Cause::Unapproved, reason);
}

/// Nobody could make use of an approval in its time. Whoever gave it is told so; asked again, they
/// would have to answer for as long as the guards hold.
pub(super) fn expire_unused(desk: &mut Desk<'_>, incident: &Incident, approved: &Approved) {
    let book = desk.book;
    let remedy = &approved.asked.order.remedy;
    let Some(policy) = book.policy(&incident.policy) else {
        return closing::cancel_without_policy(desk, incident);
    };
    if policy.remedy(remedy).is_none_or(|remedy| remedy.mode != Mode::Approve) {
        let reason = format!("remedy {remedy} does not ask for approval any more");
        return desk.note(What::ApprovalVoided { incident: incident.id, reason });
    }
    let held = match &incident.stage {
        Stage::Held { holds, .. } => {
            let holds: Vec<String> = holds.iter().map(ToString::to_string).collect();
            format!("it was held: {}", holds.join("; "))
        }
        stage => format!("it was {}", stage.as_str()),
    };
    let expired = approved.asked.expires_at;
    let reason = format!("the approval of remedy {remedy} expired at {expired:.0} unused; {held}");
    closing::hand_over(desk, incident, policy, Cause::Unapproved, reason);
}

/// What was asked and what was approved expires with a jump of the wall clock.
pub(super) fn expire_by(desk: &mut Desk<'_>, incident: &Incident, why: &str) {
    let reason = match (&incident.stage, &incident.approved) {
        (Stage::AwaitingApproval(asked), _) => {
            let remedy = &asked.order.remedy;
            format!("{why}: the question whether remedy {remedy} may run is void; it was not run")
        }
        (_, Some(approved)) if incident.approval_expires_at().is_some() => {
            let remedy = &approved.asked.order.remedy;
            format!("{why}: the approval of remedy {remedy} is void; it was not run")
        }
        (_, _) => return,
    };
    withdraw(desk, incident);
    match desk.book.policy(&incident.policy) {
        Some(policy) => closing::hand_over(desk, incident, policy, Cause::Unapproved, reason),
        None => closing::cancel_without_policy(desk, incident),
    }
}

/// Takes back what is asked where it is not what the present book would do.
pub(super) fn review(desk: &mut Desk<'_>, incident: &Incident) {
    let Stage::AwaitingApproval(asked) = &incident.stage else { return };
    let reason = match pursue::next_deed(desk, incident) {
        Some((Mode::Approve, digest)) if digest == asked.digest => return,
        Some((Mode::Approve, _)) => "the configuration changed what would be done",
        Some((Mode::Auto | Mode::Shadow, _)) => "the configuration changed the mode",
        None => "the configuration has no such remedy any more",
    };
    withdraw(desk, incident);
    desk.note(What::ApprovalVoided { incident: incident.id, reason: reason.to_owned() });
}
