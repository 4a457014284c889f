//! What is told to people, from the moment when it is owed until nothing is owed any more.
//!
//! Not its duty: who accepts a notice, and by which way it reaches a person (a door's).

use std::collections::{BTreeMap, BTreeSet};

use super::{Desk, firing, storm};
use crate::event::Effect;
use crate::fact::What;
use crate::hold::{Hold, Telling};
use crate::incident::{Incident, Stage};
use crate::limits::{self, defaults};
use crate::name::{IncidentId, SourceName};
use crate::notice::{Carried, Matter, Notice, Obligation, Topic};
use crate::policy::{Escalate, Target};

/// Tells a person that an incident is theirs.
pub(super) fn escalate(
    desk: &mut Desk<'_>,
    incident: &Incident,
    escalate: &Escalate,
    reason: String,
) {
    let Escalate::After { severity, carries, .. } = escalate else { return };
    let matter = Matter::Escalation { incident: incident.id, tried: incident.tried.to_vec() };
    let alerts = || firing(desk.state, incident).map(|(_, alert)| alert);
    // What is not known any more, because no alert fires, the notice before this one has said.
    let (source, alertname) = match alerts().next() {
        Some(alert) => (alert.source.clone(), alert.name().to_owned()),
        None => (SourceName::new(""), String::new()),
    };
    let carried = Carried::of(alerts(), &incident.target).with(carries);
    raise(
        desk,
        Notice {
            matter,
            policy: incident.policy.clone(),
            target: incident.target.clone(),
            source,
            alertname,
            severity: severity.to_string(),
            reason,
            since: desk.now,
            carried,
        },
    );
}

/// Tells a person of guards that let targets be, once for a policy and a guard; and of all guards
/// that are told once, that it is over when the last of these incidents moves on.
pub(super) fn guards(desk: &mut Desk<'_>) {
    let mut held: BTreeMap<IncidentId, Vec<Hold>> = BTreeMap::new();
    for fact in &desk.decision.facts {
        match (&fact.what, fact.what.incident()) {
            (What::OrderHeld { incident, holds, .. }, _) => {
                let told = |hold: &&Hold| hold.guard().telling() != Telling::Apart;
                held.insert(*incident, holds.iter().filter(told).cloned().collect());
            }
            (what, Some(incident)) if what.moves_on() => {
                held.insert(incident, Vec::new());
            }
            (_, _) => {}
        }
    }
    let state = desk.state;
    let mut over = BTreeSet::new();
    for (&id, holds) in &held {
        let Some(incident) = state.incident(id) else { continue };
        let is_due = |hold: &&Hold| match hold.guard().telling() {
            Telling::AtOnce => true,
            // What is open for long is told by whatever holds it then, if that is told together.
            Telling::Late => incident.overdue,
            Telling::Apart => false,
        };
        for hold in holds.iter().filter(is_due) {
            let_be(desk, incident, hold);
        }
        for guard in incident.told_guards() {
            let lets_go = |other: &Incident| {
                held.get(&other.id).is_some_and(|holds| holds.iter().all(|h| h.guard() != guard))
            };
            if lets_go(incident) && state.held_by(&incident.policy, guard).all(lets_go) {
                over.insert((incident.policy.clone(), guard));
            }
        }
    }
    for (policy, guard) in over {
        clear(desk, Topic::Guard { policy, guard });
    }
}

fn let_be(desk: &mut Desk<'_>, incident: &Incident, hold: &Hold) {
    let Some(policy) = desk.book.policy(&incident.policy) else { return };
    let Escalate::After { severity, carries, .. } = &policy.escalate else { return };
    let topic = Topic::Guard { policy: policy.name.clone(), guard: hold.guard() };
    if desk.state.notice(&topic).is_some_and(|owed| !owed.cleared) {
        return;
    }
    let leading = firing(desk.state, incident).next().map(|(_, alert)| alert);
    let held = desk.state.held_by(&policy.name, hold.guard());
    let others = held.filter(|other| other.id != incident.id).map(|other| other.target.clone());
    let targets = std::iter::once(incident.target.clone()).chain(others);
    let notice = Notice {
        matter: Matter::guard(hold.guard(), targets),
        policy: policy.name.clone(),
        target: Target::default(),
        source: leading.map_or_else(|| SourceName::new(""), |alert| alert.source.clone()),
        alertname: leading.map_or_else(String::new, |alert| alert.name().to_owned()),
        severity: severity.to_string(),
        reason: format!("{}: {hold}", incident.target),
        since: desk.now,
        carried: Carried::of_policy(policy, leading).with(carries),
    };
    raise(desk, notice);
}

/// Tells a person about an incident that is open for long, or whose alert fires on.
pub(super) fn delay(desk: &mut Desk<'_>, incident: &Incident) {
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
        Stage::AwaitingApproval(asked) => {
            format!("open for {age}, and nobody has approved remedy {}", asked.order.remedy)
        }
        stage => format!("open for {age} and {}; healing goes on", stage.as_str()),
    };
    let policy = desk.book.policy(&incident.policy);
    let escalate = policy.map_or_else(unless_said_otherwise, |policy| policy.escalate.clone());
    if let (Escalate::After { after, .. }, true) = (&escalate, storm::tell_delay(desk, incident)) {
        let until = Some(desk.now + *after);
        return desk.note(What::AlarmDropped { incident: incident.id, until });
    }
    let told_before = desk.decision.facts.len();
    self::escalate(desk, incident, &escalate, reason);
    if desk.decision.facts.len() == told_before {
        desk.note(What::AlarmDropped { incident: incident.id, until: None });
    }
}

/// How a person is told where no policy says it.
pub(super) fn unless_said_otherwise() -> Escalate {
    Escalate::after(defaults::ESCALATE_AFTER, defaults::ESCALATE_SEVERITY)
}

/// Owes a notice to people. One about a topic that is open already takes its place, and goes on
/// under the labels by which people know it.
pub(super) fn raise(desk: &mut Desk<'_>, notice: Notice) {
    let topic = notice.topic();
    let open = desk.state.notices().len() + desk.raised;
    let known = desk.state.notice(&topic).map(|owed| &owed.notice);
    let notice = match just_raised(desk, &topic).or(known) {
        Some(before) => notice.in_place_of(before),
        None => notice,
    };
    if known.is_none() {
        if open >= limits::OPEN_NOTICES {
            return desk.note(What::NoticeWithheld { topic, open: open as u64 });
        }
        desk.raised += 1;
    }
    desk.note(What::NoticeRaised { notice: notice.clone() });
    desk.want(Effect::Tell(Box::new(notice)));
}

/// Owes people the word that it is over, where they were owed a notice.
pub(super) fn clear(desk: &mut Desk<'_>, topic: Topic) {
    let owed = desk.state.notice(&topic).filter(|owed| !owed.cleared).map(|owed| &owed.notice);
    if let Some(notice) = just_raised(desk, &topic).or(owed).cloned() {
        desk.note(What::NoticeCleared { topic });
        desk.want(Effect::Clear(Box::new(notice)));
    }
}

/// Returns the notice on a topic that this very decision has raised.
pub(super) fn just_raised<'a>(desk: &'a Desk<'_>, topic: &Topic) -> Option<&'a Notice> {
    desk.decision.facts.iter().rev().find_map(|fact| match &fact.what {
        What::NoticeRaised { notice } if notice.topic() == *topic => Some(notice),
        _ => None,
    })
}

/// Takes the word that all have accepted a notice, unless another has taken its place since.
pub(super) fn told(desk: &mut Desk<'_>, notice: &Notice) {
    let topic = notice.topic();
    if desk.state.notice(&topic).is_some_and(|owed| !owed.told && owed.notice == *notice) {
        desk.note(What::NoticeTold { topic });
    }
}

/// Takes the word that nothing is owed any more, unless the topic was opened again since.
pub(super) fn ended(desk: &mut Desk<'_>, topic: Topic) {
    if desk.state.notice(&topic).is_some_and(|owed| owed.cleared) {
        desk.note(What::NoticeEnded { topic });
    }
}

/// Returns what an obligation asks for after a restart. What nobody heard of is told even if it is
/// over by now.
pub(super) fn again(owed: &Obligation) -> impl Iterator<Item = Effect> {
    let notice = || Box::new(owed.notice.clone());
    let tell = (!owed.told).then(|| Effect::Tell(notice()));
    let keep_up = (owed.told && !owed.cleared).then(|| Effect::Remind(notice()));
    let clear = owed.cleared.then(|| Effect::Clear(notice()));
    tell.into_iter().chain(keep_up).chain(clear)
}
