//! The proof of a healing: when to look, what to ask, and what a look means.

use super::next::{Ending, Next};
use super::view::{Presences, View};
use super::{hold, undo};
use crate::evidence::Evidence;
use crate::healing::{Firing, Look, Patient, Proving, Reading, Verdict, Verification};
use crate::incident::{Cause, Incident};
use crate::limits;
use crate::order::{Order, Proof};
use crate::regression::Change;
use crate::time::Timestamp;
use crate::witness::Act;

/// Begins to prove what the last order did, whose action is over at `over_at` at the latest.
pub(super) fn begin(
    view: View<'_>,
    incident: &Incident,
    proof: &Proof,
    over_at: Timestamp,
) -> Next {
    let asks = proving(view, incident, proof, None).questions(view.patients(incident));
    Next::Verify {
        until: over_at + proof.within,
        look: (!asks.is_empty()).then(|| view.now + proof.every.min(limits::FIRST_LOOK)),
        resolved: incident.all_ended(),
    }
}

pub(super) fn proving<'a>(
    view: View<'a>,
    incident: &Incident,
    proof: &'a Proof,
    verification: Option<&'a Verification>,
) -> Proving<'a> {
    let witnesses = &view.book.witnesses;
    Proving { proof, verification, policy: view.policy(incident), witnesses }
}

/// Returns the end of an act, as it is seen now.
pub(super) fn act(view: View<'_>, proof: &Proof, verification: &Verification) -> Act {
    let over_at = verification.over_at(proof);
    let since = |moment| view.state.clock().certainly_after(moment, view.now);
    Act { after: since(verification.ended_at), past: since(over_at), over_at }
}

/// Looks, gives up waiting for an answer, or concludes, whatever time it is for.
pub(super) fn wake(
    view: View<'_>,
    incident: &Incident,
    verification: &Verification,
    order: &Order,
) -> Vec<Next> {
    match verification.look {
        Look::Asked(at) => miss(view, incident, verification, order, at),
        Look::Nobody => vec![conclude(view, incident, verification, order)],
        // At the end of the window there is always one last look.
        Look::Due(_) => {
            let proving = proving(view, incident, &order.proof, Some(verification));
            let asks = proving.questions(view.patients(incident));
            if asks.is_empty() {
                // Those who could be asked are gone with a configuration. The sources' word is awaited.
                let nothing = Evidence::none(view.now);
                return see(view, incident, verification, order, (&nothing, &[], view.now));
            }
            vec![Next::Ask(asks)]
        }
    }
}

/// Nobody answered in time.
fn miss(
    view: View<'_>,
    incident: &Incident,
    verification: &Verification,
    order: &Order,
    asked_at: Timestamp,
) -> Vec<Next> {
    let reading = Reading {
        firing: Firing::Unknown,
        query_holds: None,
        change: None,
        said: Vec::new(),
        text: hold::no_answer(),
    };
    let mut so_far = verification.clone();
    so_far.note(&order.proof, &reading, view.now);
    let mut all = vec![Next::See { reading, next: view.now }];
    if asked_at >= verification.until {
        all.push(conclude(view, incident, &so_far, order));
    }
    all
}

/// Reads an answer, and closes the incident as healed if it completes the proof.
pub(super) fn read(
    view: View<'_>,
    incident: &Incident,
    verification: &Verification,
    order: &Order,
    (evidence, presence): (&Evidence, &Presences),
) -> Vec<Next> {
    let Look::Asked(asked_at) = verification.look else { return Vec::new() };
    see(view, incident, verification, order, (evidence, presence, asked_at))
}

/// Sees what a look found that was asked for then.
fn see(
    view: View<'_>,
    incident: &Incident,
    verification: &Verification,
    order: &Order,
    (evidence, presence, asked_at): (&Evidence, &Presences, Timestamp),
) -> Vec<Next> {
    let act = act(view, &order.proof, verification);
    let proving = proving(view, incident, &order.proof, Some(verification));
    let mentioned_at = |patient: Patient<'_>| {
        let known = presence.iter().find(|(id, seen)| *id == patient.episode && seen.known);
        known.map(|(_, seen)| seen.seen_at)
    };
    let all = view.patients(incident);
    let all = all.map(|patient| Patient { mentioned_at: mentioned_at(patient), ..patient });
    let reading = proving.read(&act, all, evidence);
    let was_last = asked_at >= verification.until;
    // An answer that came after the window's end was not the last look yet.
    let next = if verification.until <= view.now { view.now } else { view.now + order.proof.every };
    let mut so_far = verification.clone();
    so_far.note(&order.proof, &reading, next);
    let change = reading.change.clone();
    let mut all = vec![Next::See { reading, next }];
    // What may still run is looked at again: nothing is taken back beside it, nor let go.
    let over = incident.may_run_until().is_none_or(|until| until <= view.now);
    if let (Some(Change::Worse { text }), true) = (change, over) {
        all.extend(undo::turned_worse(view, incident, order, text));
    } else if let Verdict::Healed(healing) = view.state.verdict(incident, &so_far) {
        all.push(Next::Close(Ending::Healed(Box::new(so_far), healing)));
    } else if was_last {
        all.push(conclude(view, incident, &so_far, order));
    }
    all
}

/// Closes as healed what its alerts' ends prove.
pub(super) fn heal(view: View<'_>, incident: &Incident, verification: &Verification) -> Vec<Next> {
    let Verdict::Healed(healing) = view.state.verdict(incident, verification) else {
        return Vec::new();
    };
    vec![Next::Close(Ending::Healed(Box::new(verification.clone()), healing))]
}

/// The window is over and the proof is not complete.
fn conclude(
    view: View<'_>,
    incident: &Incident,
    verification: &Verification,
    order: &Order,
) -> Next {
    let verdict = view.state.verdict(incident, verification);
    if let Some(until) = prolongs(order, verification, &verdict) {
        return Next::Prolong(until);
    }
    if view.policy(incident).is_none() {
        return Next::Close(Ending::Orphaned);
    }
    if let Some(word) = incident.seeks.cancelled() {
        let reason = format!("cancelled by {word}");
        return Next::Close(Ending::Dismissed(Cause::Cancelled, reason));
    }
    let remedy = order.id.remedy.clone();
    let waited = verification.until.since(verification.over_at(&order.proof));
    let last = verification.last.as_ref().map_or("nobody could be asked", |last| &last.text);
    let fires = verdict == Verdict::Fires;
    if fires && incident.all_ended() {
        let reason = format!("its source says that it resolved, but after remedy {remedy} {last}");
        Next::Close(Ending::HandedOver(Cause::Contradicted, reason))
    } else if fires && verification.nothing_is_worse(&order.proof) {
        Next::Climb { remedy, reason: format!("did not heal within {waited}: {last}") }
    } else {
        let reason = format!(
            "whether remedy {remedy} healed is unknown: not {} within {waited} ({last}){}",
            order.proof.required,
            advice(&verdict)
        );
        Next::Close(Ending::HandedOver(Cause::Unproven, reason))
    }
}

fn advice(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Remembers { .. } => {
            "; the rule looks back for longer than is waited: only a query can tell"
        }
        Verdict::Healed(_) | Verdict::Fires | Verdict::Unknown => "",
    }
}

/// Until when the proof is awaited for longer, because rules fire, perhaps about what is over, and
/// tell the two apart within the policy's patience.
fn prolongs(order: &Order, verification: &Verification, verdict: &Verdict) -> Option<Timestamp> {
    let Verdict::Remembers { until } = verdict else { return None };
    let patience_ends = verification.over_at(&order.proof) + order.proof.patience;
    let awaited = *until <= patience_ends && *until >= verification.until;
    // The last look is after the evaluation that tells.
    awaited.then(|| *until + order.proof.every)
}
