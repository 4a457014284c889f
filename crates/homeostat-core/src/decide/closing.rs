//! How incidents end: in which words, and what else is known by it.

use std::collections::BTreeSet;

use super::next::Ending;
use super::view::View;
use crate::healing::{Healing, Patient, Verification};
use crate::incident::{Cause, Closing, Incident};
use crate::limits;
use crate::policy::{Escalate, Policy};
use crate::text::Text;
use crate::time::Timestamp;

/// Why an incident is cancelled whose policy was removed.
const POLICY_REMOVED: &str = "policy removed";

/// An end.
pub(super) struct Closed<'a> {
    /// What a person is told.
    pub(super) told: Option<String>,
    pub(super) closing: Closing,
    /// When a person is told that its alert still fires.
    pub(super) tell_at: Option<Timestamp>,
    /// Whether the person was told, too, that nothing is heard of its alerts any more.
    pub(super) unheard: bool,
    /// Earlier ones that were left to a person, and of which this one knows how they went on.
    pub(super) known: Vec<&'a Incident>,
}

impl Closed<'_> {
    fn unhealed(cause: Cause, reason: impl Into<Text>) -> Self {
        let closing = Closing::unhealed(cause, reason.into());
        Self { told: None, closing, tell_at: None, unheard: false, known: Vec::new() }
    }
}

/// Finds the words for an end.
pub(super) fn end<'a>(view: View<'a>, incident: &'a Incident, ending: Ending) -> Closed<'a> {
    match (ending, view.policy(incident)) {
        (Ending::Healed(verification, healing), _) => heal(view, incident, &verification, &healing),
        (Ending::Recovered, _) => recover(view, incident),
        (Ending::Recorded(reason), _) => Closed::unhealed(Cause::Recorded, reason),
        (Ending::Dismissed(cause, reason), _) => {
            let tell_at = latch_told_at(view, incident);
            Closed { tell_at, ..Closed::unhealed(cause, reason) }
        }
        (Ending::HandedOver(cause, reason), Some(policy)) => {
            hand_over(view, incident, policy, cause, reason)
        }
        (Ending::HandedOver(Cause::Worse, reason), None) => orphan_worse(&reason),
        (Ending::HandedOver(..) | Ending::Orphaned, _) => orphan(incident),
    }
}

/// Closes as healed, on proof. What had ended before the remedy ran has recovered by itself.
fn heal<'a>(
    view: View<'a>,
    incident: &'a Incident,
    verification: &Verification,
    healing: &Healing,
) -> Closed<'a> {
    // The last order may never have started: then the remedy before it has healed.
    let last = incident.acts.last().map(|act| &act.remedy);
    let remedy = last.unwrap_or(&verification.order.remedy);
    if had_ended_before(view, incident) {
        let reason = format!("the alert had ended before remedy {remedy} ran");
        return Closed::unhealed(Cause::EndedBeforeAct, reason);
    }
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
    Closed {
        told: None,
        closing: Closing::healed(healing, remedy.clone(), reason.into(), resolved),
        tell_at: latch_told_at(view, incident),
        unheard: false,
        known: unheard_before(view, incident),
    }
}

/// Tells whether all alerts of an incident had ended, by their sources, before its first order was
/// issued.
fn had_ended_before(view: View<'_>, incident: &Incident) -> bool {
    let (Some(first), clock) = (incident.acts.first(), view.state.clock()) else { return false };
    // What the wall clock showed then, nobody can tell after it has jumped.
    if clock.jump().is_some_and(|jump| first.since <= jump.to) {
        return false;
    }
    let began = clock.wall(first.since);
    let is_before =
        |at: Timestamp| at + limits::CLOCK_TOLERANCE <= began || clock.is_yet_to_come(at, view.now);
    incident.all_resolved()
        && incident.episodes.iter().all(|attached| {
            let known = view.state.episode(attached.episode);
            let ended_at = known.and_then(|episode| episode.ended_at);
            ended_at.is_some_and(is_before)
        })
}

/// Closes what ended by itself before any order started.
fn recover<'a>(view: View<'a>, incident: &'a Incident) -> Closed<'a> {
    if incident.any_lapsed() {
        let reason = "lapsed: its source stopped mentioning the alert, or ended it without proof";
        return Closed::unhealed(Cause::Lapsed, reason.to_owned());
    }
    let reason = "the alert resolved before any remedy ran".to_owned();
    let known = unheard_before(view, incident);
    Closed { known, ..Closed::unhealed(Cause::EndedUntouched, reason) }
}

/// An incident before this one of the same target may have been left to a person because nothing was
/// heard of its alerts any more. Where this one held alerts of the same names, it is known now how
/// that goes on.
fn unheard_before<'a>(view: View<'a>, incident: &Incident) -> Vec<&'a Incident> {
    let state = view.state;
    let is_left = |i: &&Incident| i.id != incident.id && !i.watches_worse();
    let mut earlier = state.unheard_of(&incident.subject()).filter(is_left).peekable();
    if earlier.peek().is_none() {
        return Vec::new();
    }
    let held: BTreeSet<&str> = state.patients(incident).map(|held| held.alert.name()).collect();
    let is_held = |lost: Patient<'_>| held.contains(lost.alert.name());
    let is_known = |earlier: &&Incident| {
        state.patients(earlier).filter(|patient| !patient.resolved).all(is_held)
    };
    earlier.filter(is_known).collect()
}

/// When a person is told that the alert of a closed incident still fires.
fn latch_told_at(view: View<'_>, incident: &Incident) -> Option<Timestamp> {
    match view.policy(incident).map(|policy| &policy.escalate) {
        Some(Escalate::After { .. }) => Some(view.now + limits::LATCH_TOLD_AFTER),
        Some(Escalate::Nobody) | None => None,
    }
}

/// Closes what lost its policy. If the policy comes back, what still fires is a new trouble. What was
/// acted on and still fires is handed over: somebody must know.
fn orphan(incident: &Incident) -> Closed<'static> {
    let goes_on = incident.has_acted() && !incident.all_resolved();
    let told =
        goes_on.then(|| format!("{POLICY_REMOVED}; a remedy had run, and the alert may fire on"));
    Closed { told, ..Closed::unhealed(Cause::PolicyRemoved, POLICY_REMOVED.to_owned()) }
}

/// Closes an incident whose order made something worse, and whose policy is gone. Nothing is taken
/// back then, because nothing says any more under which limits: so a person is told.
fn orphan_worse(reason: &str) -> Closed<'static> {
    let reason = format!("{POLICY_REMOVED}; {reason}");
    Closed { told: Some(reason.clone()), ..Closed::unhealed(Cause::Cancelled, reason) }
}

/// Stops and hands over to a person. Of what was only recorded nobody is told; of what was done
/// somebody is, though the policy may be in shadow meanwhile.
fn hand_over<'a>(
    view: View<'a>,
    incident: &'a Incident,
    policy: &Policy,
    cause: Cause,
    reason: String,
) -> Closed<'a> {
    let is_told = policy.mode.may_act() || incident.has_acted();
    let unheard = is_told && incident.all_ended() && incident.any_lapsed();
    let told = if unheard { with_silence(view, &reason) } else { reason.clone() };
    let known = unheard_before(view, incident);
    Closed { told: is_told.then_some(told), unheard, known, ..Closed::unhealed(cause, reason) }
}

/// Adds that nothing is heard of the alert any more.
pub(super) fn with_silence(view: View<'_>, reason: &str) -> String {
    format!(
        "{reason}; as of {:.0} its source says nothing of the alert any more, or ended it without \
         proof: whether the trouble is over is not known",
        view.wall()
    )
}
