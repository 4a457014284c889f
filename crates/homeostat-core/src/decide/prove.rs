//! The proof of a healing: when to look, what to ask, and what a look means.

use super::{Desk, Presences, closing, command, patients, pursue, undo};
use crate::evidence::Evidence;
use crate::fact::What;
use crate::healing::{Firing, Look, Patient, Proving, Reading, Verdict, Verification};
use crate::incident::{Cause, Incident};
use crate::limits;
use crate::order::{Order, Proof};
use crate::regression::Change;
use crate::time::Timestamp;
use crate::witness::Act;

/// Begins to prove what the last order did, whose action is over at `over_at` at the latest.
pub(super) fn begin(desk: &mut Desk<'_>, incident: &Incident, proof: &Proof, over_at: Timestamp) {
    let now = desk.now;
    let asks = proving(desk, incident, proof, None).questions(patients(desk.state, incident));
    desk.note(What::VerificationBegan {
        incident: incident.id,
        ended_at: now,
        until: over_at + proof.within,
        look: (!asks.is_empty()).then(|| now + proof.every.min(limits::FIRST_LOOK)),
        resolved: incident.all_ended(),
    });
}

/// Waits, with its locks, until a run whose outcome is unknown is certainly over.
pub(super) fn await_end(desk: &mut Desk<'_>, incident: &Incident, until: Timestamp) {
    let (incident, ended_at) = (incident.id, desk.now);
    desk.note(What::VerificationBegan { incident, ended_at, until, look: None, resolved: false });
}

pub(super) fn proving<'a>(
    desk: &Desk<'a>,
    incident: &Incident,
    proof: &'a Proof,
    verification: Option<&'a Verification>,
) -> Proving<'a> {
    let book = desk.book;
    Proving {
        proof,
        verification,
        policy: book.policy(&incident.policy),
        witnesses: &book.witnesses,
    }
}

/// Returns the end of an act, as it is seen now.
pub(super) fn act(desk: &Desk<'_>, proof: &Proof, verification: &Verification) -> Act {
    let after = desk.state.clock().certainly_after(verification.ended_at, desk.now);
    Act { after, over_at: verification.over_at(proof) }
}

/// Looks, gives up waiting for an answer, or concludes, whatever time it is for.
pub(super) fn wake(desk: &mut Desk<'_>, incident: &Incident, verification: &Verification) {
    let now = desk.now;
    match verification.look {
        Look::Asked(at) if now.since(at) < limits::ANSWER_PATIENCE => {}
        Look::Asked(at) => miss(desk, incident, verification, at),
        Look::Nobody if verification.until <= now => conclude(desk, incident, verification),
        // At the end of the window there is always one last look.
        Look::Due(at) if at <= now || verification.until <= now => {
            look(desk, incident, verification);
        }
        Look::Due(_) | Look::Nobody => {}
    }
}

/// Nobody answered in time.
fn miss(
    desk: &mut Desk<'_>,
    incident: &Incident,
    verification: &Verification,
    asked_at: Timestamp,
) {
    let Some(order) = &incident.order else { return };
    let reading = Reading {
        firing: Firing::Unknown,
        query_holds: None,
        change: None,
        said: Vec::new(),
        text: format!("nobody answered within {}", limits::ANSWER_PATIENCE),
    };
    let mut so_far = verification.clone();
    so_far.note(&order.proof, &reading, desk.now);
    desk.note(What::EvidenceSeen { incident: incident.id, reading, next: desk.now });
    if asked_at >= verification.until {
        conclude(desk, incident, &so_far);
    }
}

fn look(desk: &mut Desk<'_>, incident: &Incident, verification: &Verification) {
    let Some(order) = &incident.order else {
        return conclude(desk, incident, verification);
    };
    let proving = proving(desk, incident, &order.proof, Some(verification));
    let asks = proving.questions(patients(desk.state, incident));
    if asks.is_empty() {
        return conclude(desk, incident, verification);
    }
    pursue::ask(desk, incident, asks);
}

/// Reads an answer, and closes the incident as healed if it completes the proof.
pub(super) fn read(
    desk: &mut Desk<'_>,
    incident: &Incident,
    verification: &Verification,
    (evidence, presence): (&Evidence, &Presences),
) {
    let Some(order) = &incident.order else { return };
    let Look::Asked(asked_at) = verification.look else { return };
    let act = act(desk, &order.proof, verification);
    let proving = proving(desk, incident, &order.proof, Some(verification));
    let mentioned_at = |patient: Patient<'_>| {
        let known = presence.iter().find(|(id, seen)| *id == patient.episode && seen.known);
        known.map(|(_, seen)| seen.seen_at)
    };
    let all = patients(desk.state, incident);
    let all = all.map(|patient| Patient { mentioned_at: mentioned_at(patient), ..patient });
    let reading = proving.read(&act, all, evidence);
    let was_last = asked_at >= verification.until;
    // An answer that came after the window's end was not the last look yet.
    let next = if verification.until <= desk.now { desk.now } else { desk.now + order.proof.every };
    let mut so_far = verification.clone();
    so_far.note(&order.proof, &reading, next);
    desk.note(What::EvidenceSeen { incident: incident.id, reading: reading.clone(), next });
    // What may still run is looked at again: nothing is taken back beside it, nor let go.
    let over = command::may_run_until(desk, incident, order).is_none();
    if let (Some(Change::Worse { text }), true) = (reading.change, over) {
        undo::turned_worse(desk, incident, order, text);
    } else if let Verdict::Healed(healing) = desk.state.verdict(incident, &so_far) {
        closing::heal(desk, incident, &so_far, &healing);
    } else if was_last {
        conclude(desk, incident, &so_far);
    }
}

/// The window is over and the proof is not complete.
fn conclude(desk: &mut Desk<'_>, incident: &Incident, verification: &Verification) {
    let Some(order) = &incident.order else { return };
    let verdict = desk.state.verdict(incident, verification);
    if let Some(until) = prolongs(order, verification, &verdict) {
        return desk.note(What::VerificationProlonged { incident: incident.id, until });
    }
    let book = desk.book;
    let Some(policy) = book.policy(&incident.policy) else {
        return closing::cancel_without_policy(desk, incident);
    };
    if let Some(word) = incident.seeks.cancelled() {
        let reason = format!("cancelled by {word}");
        return closing::dismiss(desk, incident, Cause::Cancelled, reason);
    }
    let remedy = order.id.remedy.clone();
    let waited = verification.until.since(verification.over_at(&order.proof));
    let last = verification.last.as_ref().map_or("nobody could be asked", |last| &last.text);
    let fires = verdict == Verdict::Fires;
    if fires && incident.all_ended() {
        let reason = format!("its source says that it resolved, but after remedy {remedy} {last}");
        closing::hand_over(desk, incident, policy, Cause::Contradicted, reason);
    } else if fires && verification.nothing_is_worse(&order.proof) {
        let reason = format!("did not heal within {waited}: {last}");
        desk.note(What::RemedyGivenUp { incident: incident.id, remedy, reason });
    } else {
        let reason = format!(
            "whether remedy {remedy} healed is unknown: not {} within {waited} ({last}){}",
            order.proof.required,
            advice(&verdict)
        );
        closing::hand_over(desk, incident, policy, Cause::Unproven, reason);
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
