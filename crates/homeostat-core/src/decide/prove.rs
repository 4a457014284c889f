//! The proof of a healing: when to look, what to ask, and what a look means.

use super::{Desk, asked_alerts, closing, command, pursue, reports, undo};
use crate::evidence::Evidence;
use crate::fact::What;
use crate::incident::{End, Incident};
use crate::limits;
use crate::order::Proof;
use crate::regression::Change;
use crate::time::Timestamp;
use crate::verdict::{self, Firing, Look, Reading, Verification};

/// Begins to prove what the last order did, whose action is over at `over_at` at the latest.
pub(super) fn begin(desk: &mut Desk<'_>, incident: &Incident, proof: &Proof, over_at: Timestamp) {
    let now = desk.now;
    let alerts = asked_alerts(desk.state, incident);
    let somebody = !verdict::questions(proof, alerts, &desk.book.witnesses).is_empty();
    desk.note(What::VerificationBegan {
        incident: incident.id,
        ended_at: now,
        until: over_at + proof.within,
        look: somebody.then(|| now + proof.every.min(limits::FIRST_LOOK)),
        resolved: incident.all_ended(),
    });
}

/// Waits, with its locks, until a run whose outcome is unknown is certainly over.
pub(super) fn await_end(desk: &mut Desk<'_>, incident: &Incident, until: Timestamp) {
    let (incident, ended_at) = (incident.id, desk.now);
    desk.note(What::VerificationBegan { incident, ended_at, until, look: None, resolved: false });
}

/// Looks, gives up waiting for an answer, or concludes, whatever time it is for.
pub(super) fn wake(desk: &mut Desk<'_>, incident: &Incident, verification: &Verification) {
    let now = desk.now;
    if verification.until <= now {
        return conclude(desk, incident, verification);
    }
    match verification.look {
        Look::Due(at) if at <= now => {
            let Some(order) = &incident.order else { return };
            let alerts = asked_alerts(desk.state, incident);
            let asks = verdict::questions(&order.proof, alerts, &desk.book.witnesses);
            pursue::ask(desk, incident, asks);
        }
        Look::Asked(at) if now.since(at) >= limits::ANSWER_PATIENCE => {
            let reading = Reading {
                firing: Firing::Unknown,
                query_holds: None,
                absent: false,
                change: None,
                text: format!("nobody answered within {}", limits::ANSWER_PATIENCE),
            };
            desk.note(What::EvidenceSeen { incident: incident.id, reading, next: now });
        }
        Look::Due(_) | Look::Asked(_) | Look::Nobody => {}
    }
}

/// Reads an answer, and closes the incident as healed if it completes the proof.
pub(super) fn read(
    desk: &mut Desk<'_>,
    incident: &Incident,
    verification: &Verification,
    evidence: &Evidence,
) {
    let Some(order) = &incident.order else { return };
    let alerts = reports(desk.state, incident);
    let after = desk.state.clock().certainly_after(verification.ended_at, desk.now);
    let reading = verdict::read(&order.proof, after, alerts, evidence);
    let next = desk.now + order.proof.every;
    let mut so_far = verification.clone();
    so_far.note(&reading, next);
    desk.note(What::EvidenceSeen { incident: incident.id, reading: reading.clone(), next });
    // What may still run is looked at again: nothing is taken back beside it, nor let go.
    let over = !command::may_run(desk, incident, verification, order);
    if let (Some(Change::Worse { text }), true) = (reading.change, over) {
        undo::turned_worse(desk, incident, order, text);
    } else if desk.state.is_healed(incident, &so_far) {
        closing::heal(desk, incident, &so_far);
    } else if verification.until <= desk.now {
        conclude(desk, incident, &so_far);
    }
}

/// The window is over and the proof is not complete.
fn conclude(desk: &mut Desk<'_>, incident: &Incident, verification: &Verification) {
    if let Some(worse) = &incident.worse {
        return undo::give_up(desk, incident, worse);
    }
    let book = desk.book;
    let Some(policy) = book.policy(&incident.policy) else {
        return closing::cancel_without_policy(desk, incident);
    };
    let Some(order) = &incident.order else { return };
    if let Some(word) = &incident.cancelled {
        let reason = format!("cancelled by {word}");
        return closing::dismiss(desk, incident, End::Cancelled, reason);
    }
    let remedy = order.id.remedy.clone();
    let within = order.proof.within;
    let last = verification.last.as_ref().map_or("nobody could be asked", |last| &last.text);
    if verification.still_fires() && incident.all_ended() {
        let reason = format!("its source says that it resolved, but after remedy {remedy} {last}");
        closing::hand_over(desk, incident, policy, reason);
    } else if verification.still_fires() && verification.nothing_is_worse(&order.proof) {
        let reason = format!("did not heal within {within}: {last}");
        desk.note(What::RemedyGivenUp { incident: incident.id, remedy, reason });
    } else {
        let reason = format!(
            "whether remedy {remedy} healed is unknown: not {} within {within} ({last})",
            order.proof.required
        );
        closing::hand_over(desk, incident, policy, reason);
    }
}
