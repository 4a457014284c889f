//! What is told to people of what goes on for long, from the moment when it is owed until nothing is
//! owed any more.
//!
//! Not its duty: who accepts a notice, and by which way it reaches a person (a door's).

use std::collections::{BTreeMap, BTreeSet};

use super::desk::Desk;
use super::{notices, storm};
use crate::event::Effect;
use crate::fact::What;
use crate::hold::{Hold, Telling};
use crate::incident::{Incident, Stage};
use crate::name::IncidentId;
use crate::notice::{Notice, Obligation, Topic};
use crate::policy::Escalate;

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
        desk.clear(Topic::Guard { policy, guard });
    }
}

fn let_be(desk: &mut Desk<'_>, incident: &Incident, hold: &Hold) {
    let Some(policy) = desk.book.policy(&incident.policy) else { return };
    let topic = Topic::Guard { policy: policy.name.clone(), guard: hold.guard() };
    if desk.state.notice(&topic).is_some_and(|owed| !owed.cleared) {
        return;
    }
    let held = desk.state.held_by(&policy.name, hold.guard());
    let others = held.filter(|other| other.id != incident.id).map(|other| other.target.clone());
    let targets = std::iter::once(incident.target.clone()).chain(others);
    let (view, reason) = (desk.view(), format!("{}: {hold}", incident.target));
    let notice = notices::guard(view, policy, hold.guard(), (incident, targets), reason);
    if let Some(notice) = notice {
        desk.raise(notice);
    }
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
    let policy = desk.policy(incident);
    let escalate = policy.map_or_else(notices::unless_said_otherwise, |p| p.escalate.clone());
    if let (Escalate::After { after, .. }, true) = (&escalate, storm::tell_delay(desk, incident)) {
        let until = Some(desk.now + *after);
        return desk.note(What::AlarmDropped { incident: incident.id, until });
    }
    match notices::escalation(desk.view(), incident, reason) {
        Some(notice) => desk.raise(notice),
        None => desk.note(What::AlarmDropped { incident: incident.id, until: None }),
    }
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
