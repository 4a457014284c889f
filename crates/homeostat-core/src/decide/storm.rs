//! What concerns a whole policy: storms begin, are measured anew and end; inventories fail and
//! answer again; a guard holds for long. People are told once for a policy and a guard, and not for
//! each incident.

use std::collections::BTreeSet;

use super::desk::Desk;
use super::notices;
use crate::fact::{Fact, What};
use crate::guard::Weather;
use crate::hold::{Guard, Hold, Telling};
use crate::incident::Incident;
use crate::name::{IncidentId, PolicyName};
use crate::notice::{Matter, Notice, Topic};
use crate::policy::Target;
use crate::storm::Storm;

/// Notes what evidence for a deed says about its policy's storm, and about its inventory.
pub(super) fn survey(desk: &mut Desk<'_>, incident: &Incident, weather: Weather, holds: &[Hold]) {
    if let Weather::Storm { firing, gauge } = weather {
        let policy = incident.policy.clone();
        match desk.state.ledgers().storms().get(&policy) {
            None => {
                let orders = if gauge.stops() { "stopped" } else { "slowed" };
                let storm = format!("{firing} targets of policy {policy} fire at once; {gauge}");
                let until = format!("until fewer fire for {}", gauge.cool_down);
                let reason = format!("{storm}; its orders are {orders} {until}");
                desk.note(What::StormBegan { policy, gauge, firing });
                tell(desk, incident, Guard::Storm, Held::Targets, reason);
            }
            Some(storm) if storm.gauge != gauge => desk.note(What::StormGauged { policy, gauge }),
            Some(_) => {}
        }
    }
    tell_inventory(desk, incident, holds);
}

/// Ends a storm whose cool-down is over.
pub(super) fn calm(desk: &mut Desk<'_>, policy: &PolicyName) {
    let storm = desk.state.ledgers().storms().get(policy);
    if storm.and_then(Storm::ends_at).is_some_and(|at| at <= desk.now) {
        end(desk, policy);
    }
}

/// Ends what the book does not know of any more.
pub(super) fn forget(desk: &mut Desk<'_>) {
    let (state, book) = (desk.state, desk.book);
    let limits = |policy: &PolicyName| book.policy(policy).map(|policy| &policy.guard);
    for (policy, _) in state.ledgers().storms().iter() {
        if limits(policy).is_none_or(|limits| limits.storm.is_none()) {
            end(desk, policy);
        }
    }
    for owed in state.notices() {
        let Topic::Guard { policy, guard } = owed.notice.topic() else { continue };
        let limits = limits(&policy);
        let is_over = match guard {
            Guard::BlastRadius => limits.is_none_or(|limits| limits.blast_radius.is_none()),
            // That of a storm was cleared with it.
            Guard::Storm => {
                state.ledgers().storms().get(&policy).is_none()
                    && limits.is_none_or(|limits| limits.storm.is_none())
            }
            // What another guard holds is over when that lets go.
            _ => false,
        };
        if is_over {
            desk.clear(Topic::Guard { policy, guard });
        }
    }
}

/// Tells that the inventory of a policy gives no answer, or that it answers again.
fn tell_inventory(desk: &mut Desk<'_>, incident: &Incident, holds: &[Hold]) {
    let state = desk.state;
    let is_silent = |guard: Guard| {
        holds
            .iter()
            .find(|hold| matches!(hold, Hold::NoInventory { asked_by, .. } if *asked_by == guard))
    };
    for guard in [Guard::BlastRadius, Guard::Storm] {
        let topic = Topic::Guard { policy: incident.policy.clone(), guard };
        // One cause is told once, by the first of the guards that must know.
        if let Some(hold) = is_silent(guard) {
            return tell(desk, incident, guard, Held::All, hold.to_string());
        }
        let owed = state.notice(&topic);
        if owed.is_some_and(|owed| is_about_inventory(&owed.notice))
            && desk.just_raised(&topic).is_none()
        {
            desk.clear(topic);
        }
    }
}

/// Tells of a guard that holds an incident for long, if it is one that holds a whole policy: once
/// for all that it holds. Returns whether it is. What a storm held that has just ended is about to
/// be judged anew.
pub(super) fn tell_delay(desk: &mut Desk<'_>, incident: &Incident) -> bool {
    let of_policy = |hold: &&Hold| match hold.guard() {
        Guard::BlastRadius | Guard::Storm => true,
        guard => guard.telling() == Telling::Late && !matches!(hold, Hold::BehindApproved { .. }),
    };
    let Some(hold) = incident.stage.holds().iter().find(of_policy) else { return false };
    let stormy = desk.state.ledgers().storms().get(&incident.policy).is_some();
    if stormy || !matches!(hold, Hold::Storming { .. }) {
        let held = match (hold, hold.guard().telling()) {
            (Hold::NoInventory { .. }, _) => Held::All,
            (_, Telling::Late) => Held::ByIt,
            (_, Telling::AtOnce | Telling::Apart) => Held::Targets,
        };
        tell(desk, incident, hold.guard(), held, hold.to_string());
    }
    true
}

/// Where nothing of a policy fires any more once what this decision lets go is gone, what was told of
/// its guards is over.
pub(super) fn rest(desk: &mut Desk<'_>) {
    let state = desk.state;
    let released: BTreeSet<IncidentId> = desk.decision.facts.iter().filter_map(released).collect();
    let known = released.iter().filter_map(|id| state.incident(*id));
    let policies: BTreeSet<PolicyName> = known.map(|incident| incident.policy.clone()).collect();
    for policy in policies {
        if begins(desk, &policy) || state.any_fires_beside(&policy, &released) {
            continue;
        }
        let storms = state.ledgers().storms().get(&policy).is_some();
        desk.clear(Topic::Guard { policy: policy.clone(), guard: Guard::BlastRadius });
        if !storms {
            desk.clear(Topic::Guard { policy, guard: Guard::Storm });
        }
    }
}

fn released(fact: &Fact) -> Option<IncidentId> {
    match &fact.what {
        What::LatchReleased { incident } => Some(*incident),
        _ => None,
    }
}

/// Tells whether this decision gives a policy an alert.
fn begins(desk: &Desk<'_>, policy: &PolicyName) -> bool {
    desk.decision.facts.iter().any(|fact| match &fact.what {
        What::IncidentOpened { policy: of, .. } => of == policy,
        What::EpisodeAttached { incident, .. } => {
            desk.state.incident(*incident).is_some_and(|incident| incident.policy == *policy)
        }
        _ => false,
    })
}

fn end(desk: &mut Desk<'_>, policy: &PolicyName) {
    desk.note(What::StormEnded { policy: policy.clone() });
    desk.clear(Topic::Guard { policy: policy.clone(), guard: Guard::Storm });
}

/// What a guard holds, as its notice tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    /// Whatever there may be, for want of an inventory.
    All,
    /// The targets that fire. There may be very many: they are looked up only to be told.
    Targets,
    /// The targets that it holds, and not those that fire besides.
    ByIt,
}

/// A notice without targets is about all that there may be.
fn is_about_inventory(notice: &Notice) -> bool {
    matches!(&notice.matter, Matter::Guard { targets, .. } if targets.is_empty())
}

/// The targets of a policy that fire, the oldest first.
fn targets(desk: &Desk<'_>, policy: &PolicyName) -> Vec<Target> {
    let firing = desk.state.ledgers().firing(policy);
    firing.filter_map(|id| Some(desk.state.incident(id)?.target.clone())).collect()
}

fn tell(desk: &mut Desk<'_>, incident: &Incident, guard: Guard, held: Held, reason: String) {
    let (state, book) = (desk.state, desk.book);
    let Some(policy) = book.policy(&incident.policy) else { return };
    let topic = Topic::Guard { policy: policy.name.clone(), guard };
    // What is told stands, but that a storm began is more than that nobody knows how many there are.
    let stands = state.notice(&topic).filter(|owed| !owed.cleared).is_some_and(|owed| match held {
        Held::All => true,
        Held::Targets | Held::ByIt => !is_about_inventory(&owed.notice),
    });
    if !policy.mode.may_act() || stands {
        return;
    }
    let targets = match held {
        Held::All => Vec::new(),
        Held::Targets => targets(desk, &policy.name),
        Held::ByIt => {
            state.held_by(&policy.name, guard).map(|incident| incident.target.clone()).collect()
        }
    };
    if let Some(notice) = notices::guard(desk.view(), policy, guard, (incident, targets), reason) {
        desk.raise(notice);
    }
}
