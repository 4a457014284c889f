//! What people are told, composed: by the way that a policy has for it.

use super::view::View;
use crate::alert::Alert;
use crate::approval::Asked;
use crate::hold::Guard;
use crate::incident::Incident;
use crate::limits::{self, defaults};
use crate::name::{IncidentId, PolicyName, SourceName};
use crate::notice::{Carried, Matter, Notice};
use crate::policy::{Escalate, Policy, Target};

/// How a person is told where no policy says it.
pub(super) fn unless_said_otherwise() -> Escalate {
    Escalate::after(defaults::ESCALATE_AFTER, defaults::ESCALATE_SEVERITY)
}

/// That an incident is a person's.
pub(super) fn escalation(view: View<'_>, incident: &Incident, reason: String) -> Option<Notice> {
    let matter = Matter::Escalation { incident: incident.id, tried: incident.tried.to_vec() };
    of_incident(view, incident, matter, reason)
}

/// That a person is asked whether an order may run.
pub(super) fn petition(view: View<'_>, incident: &Incident, asked: &Asked) -> Option<Notice> {
    let id = incident.id;
    let (action, expires_at) = (asked.action.to_string(), asked.expires_at);
    let matter = Matter::Approval { incident: id, action, expires_at };
    let reason = to_let_it_start(id, asked);
    view.firing(incident).next()?;
    of_incident(view, incident, matter, reason)
}

/// What lets an order start that waits for a person's word.
pub(super) fn to_let_it_start(id: IncidentId, asked: &Asked) -> String {
    let remedy = &asked.order.remedy;
    let people = match asked.count.filter(|count| *count > 1) {
        Some(count) => format!(", by {count} people"),
        None => String::new(),
    };
    format!("to let remedy {remedy} start: homeostat approve {id}{people}")
}

fn of_incident(
    view: View<'_>,
    incident: &Incident,
    matter: Matter,
    reason: String,
) -> Option<Notice> {
    let policy = view.policy(incident).map(|policy| &policy.escalate);
    let otherwise = unless_said_otherwise();
    let alerts = || view.firing(incident).take(limits::ASKED_ALERTS).map(|(_, alert)| alert);
    // What is not known any more, because no alert fires, the notice before this one has said.
    let carried = Carried::of(alerts(), &incident.target);
    let about = (&incident.policy, &incident.target, alerts().next());
    compose(view, policy.unwrap_or(&otherwise), about, matter, carried, reason)
}

/// That an incident which this very decision has opened is a person's.
pub(super) fn unopened(
    view: View<'_>,
    incident: IncidentId,
    policy: &Policy,
    (target, alert): (&Target, &Alert),
    reason: String,
) -> Option<Notice> {
    let matter = Matter::Escalation { incident, tried: Vec::new() };
    let about = (&policy.name, target, Some(alert));
    compose(view, &policy.escalate, about, matter, Carried::of([alert], target), reason)
}

/// That a guard holds these targets of a policy.
pub(super) fn guard(
    view: View<'_>,
    policy: &Policy,
    guard: Guard,
    (incident, targets): (&Incident, impl IntoIterator<Item = Target>),
    reason: String,
) -> Option<Notice> {
    let leading = view.firing(incident).next().map(|(_, alert)| alert);
    let carried = Carried::of_policy(policy, leading);
    let about = (&policy.name, &Target::default(), leading);
    compose(view, &policy.escalate, about, Matter::guard(guard, targets), carried, reason)
}

/// `None` where the policy wants nobody told.
fn compose(
    view: View<'_>,
    escalate: &Escalate,
    (policy, target, leading): (&PolicyName, &Target, Option<&Alert>),
    matter: Matter,
    carried: Carried,
    reason: String,
) -> Option<Notice> {
    let Escalate::After { severity, carries, .. } = escalate else { return None };
    Some(Notice {
        matter,
        policy: policy.clone(),
        target: target.clone(),
        source: leading.map_or_else(|| SourceName::new(""), |alert| alert.source.clone()),
        alertname: leading.map_or_else(String::new, |alert| alert.name().to_owned()),
        severity: severity.to_string(),
        reason,
        since: view.now,
        carried: carried.with(carries),
    })
}
