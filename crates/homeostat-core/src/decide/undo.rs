//! Taking back an order that made something else worse: once, as an order of its own.
//!
//! ```text
//!  worse ─> told ─> guards ─> listing: still worse? ─> undo runs ─> escalated: undone, or not
//!                     ▲               │
//!                     └──── held ─────┴─> not worse any more: escalated, not undone
//! ```
//!
//! An undo that is held for too long is left: by then a person has repaired it, or will.
//! What the undo does was rendered and stored when the order was issued, so that neither a reload
//! nor another leading alert changes it. An undo is not verified, not retried and never undone:
//! a person has the incident now, and is told what became of it.

use super::reasons::Held;
use super::{Desk, closing, prove, pursue, reasons, telling};
use crate::evidence::{Ask, Evidence};
use crate::fact::What;
use crate::guard::{self, Bench, Grant, Judgement, Permit, Reversal};
use crate::hold::Hold;
use crate::incident::{Cause, Incident, Running, Stage, Worsened};
use crate::limits;
use crate::name::Part;
use crate::order::{Draft, Order, Outcome, Result as Taken, Undo};
use crate::plan;
use crate::policy::{Mode, Policy, Remedy, Worse};
use crate::regression::Baseline;
use crate::template::{TemplateError, Values};
use crate::time::Timestamp;
use crate::why::Why;

/// Renders the undo of a remedy, where the policy wants it to be taken back.
pub(super) fn prepare(
    policy: &Policy,
    remedy: &Remedy,
    values: &Values,
) -> Result<Option<Undo>, TemplateError> {
    let undo = match policy.regression.as_ref().map(|regression| regression.worse) {
        Some(Worse::Undo) => remedy.undo.as_ref(),
        Some(Worse::Tell) | None => None,
    };
    let rendered = undo
        .map(|undo| Ok(Undo { action: plan::render_undo(undo, values)?, timeout: undo.timeout }));
    rendered.transpose()
}

/// A look found that the order made something else worse.
pub(super) fn turned_worse(desk: &mut Desk<'_>, incident: &Incident, order: &Order, text: String) {
    let worse = Worsened { order: order.clone(), text: text.clone(), since: desk.now };
    desk.note(What::TurnedWorse { incident: incident.id, order: order.id.clone(), text });
    let book = desk.book;
    if let Some(word) = incident.seeks.cancelled() {
        let why = format!("it was not taken back: cancelled by {word}");
        return close(desk, incident, &worse, Some(&why));
    }
    match book.policy(&incident.policy) {
        Some(policy) if order.undo.is_some() => {
            let reason = format!("{}; it is being taken back", reason(&worse));
            telling::escalate(desk, incident, &policy.escalate, reason);
        }
        Some(_) | None => close(desk, incident, &worse, None),
    }
}

/// Takes the next step towards the undo: asks, holds, issues, or leaves it.
pub(super) fn pursue(
    desk: &mut Desk<'_>,
    incident: &Incident,
    worse: &Worsened,
    evidence: Option<&Evidence>,
) {
    if let Some(word) = incident.seeks.cancelled() {
        return dismiss(desk, incident, worse, word, "it was not taken back");
    }
    let book = desk.book;
    let policy = book.policy(&incident.policy);
    let (Some(policy), Some(undo), Some(baseline)) =
        (policy, &worse.order.undo, &worse.order.proof.baseline)
    else {
        return close(desk, incident, worse, Some("it was not taken back"));
    };
    if policy.mode == Mode::Shadow {
        let why = "it was not taken back, because the policy is in shadow now";
        return close(desk, incident, worse, Some(why));
    }
    if desk.now >= patience_ends(worse) {
        let why = format!("it was not taken back: for {} it was held", limits::UNDO_PATIENCE);
        return close(desk, incident, worse, Some(&why));
    }
    let reversal = reversal(desk, incident, policy, worse, baseline);
    let bench = Bench { ledgers: desk.state.ledgers(), book };
    let by_ledgers = guard::judge_undo(&reversal, bench, None);
    let judgement = match (by_ledgers, evidence) {
        (held @ (Judgement::Held { .. } | Judgement::Stopped(_) | Judgement::Unapproved(_)), _) => {
            held
        }
        (Judgement::Permitted(_), None) => {
            return pursue::ask(desk, incident, baseline.questions().collect::<Vec<Ask>>());
        }
        (Judgement::Permitted(_), Some(evidence)) => {
            let age = desk.now.since(evidence.gathered_at);
            if age <= limits::EVIDENCE_AGE {
                guard::judge_undo(&reversal, bench, Some(evidence))
            } else {
                let why = format!("evidence was {age} old when it came: witnesses are too slow");
                let holds = vec![Hold::NoListing { why }];
                Judgement::Held { holds, cleared: Vec::new() }
            }
        }
    };
    let nothing = Evidence::none(desk.now);
    let known = evidence.unwrap_or(&nothing);
    match judgement {
        Judgement::Held { holds, cleared } => {
            hold(desk, incident, worse, holds, cleared, known);
        }
        Judgement::Stopped(why) => {
            close(desk, incident, worse, Some(&format!("it was not taken back: {why}")));
        }
        Judgement::Permitted(permit) => issue(desk, incident, worse, undo, known, permit),
        // No guard of an undo asks for that: whoever approved the remedy approved its undo.
        Judgement::Unapproved(_) => {
            let why = "it was not taken back: a person must agree first";
            close(desk, incident, worse, Some(why));
        }
    }
}

fn reversal<'a>(
    desk: &Desk<'_>,
    incident: &Incident,
    policy: &'a Policy,
    worse: &'a Worsened,
    baseline: &'a Baseline,
) -> Reversal<'a> {
    let now: Timestamp = desk.now;
    let locks = &worse.order.locks;
    let since = desk.state.clock().certainly_after(worse.since, now);
    Reversal { incident: incident.id, policy, locks, baseline, since, now }
}

fn issue(
    desk: &mut Desk<'_>,
    incident: &Incident,
    worse: &Worsened,
    undo: &Undo,
    evidence: &Evidence,
    permit: Permit,
) {
    let draft = Draft {
        id: worse.order.id.undo(),
        action: undo.action.clone(),
        timeout: undo.timeout,
        idempotent: false,
        proof: worse.order.proof.clone(),
        undo: None,
        locks: worse.order.locks.clone(),
        why: Why::default().on(evidence, desk.now),
        boot: pursue::boot(desk),
        shared: None,
    };
    pursue::send(desk, incident, Order::issue(draft, permit));
}

fn patience_ends(worse: &Worsened) -> Timestamp {
    worse.since + limits::UNDO_PATIENCE
}

fn hold(
    desk: &mut Desk<'_>,
    incident: &Incident,
    worse: &Worsened,
    holds: Vec<Hold>,
    cleared: Vec<Grant>,
    evidence: &Evidence,
) {
    let patience_ends = patience_ends(worse);
    let until = pursue::look_again(desk, incident, &holds);
    let until = Some(until.map_or(patience_ends, |until| until.min(patience_ends)));
    let remedy = worse.order.id.remedy.clone();
    let held = Held { remedy, part: Part::Undo, holds, cleared, until };
    reasons::hold(desk, incident, held, evidence, None);
}

/// Holds an undo whose question nobody answered in time.
pub(super) fn no_answer(desk: &mut Desk<'_>, incident: &Incident, worse: &Worsened) {
    let why = format!("nobody answered within {}", limits::ANSWER_PATIENCE);
    let nothing = Evidence::none(desk.now);
    hold(desk, incident, worse, vec![Hold::NoListing { why }], Vec::new(), &nothing);
}

/// What follows the undo: a person has it, whatever became of the run.
pub(super) fn after_run(
    desk: &mut Desk<'_>,
    incident: &Incident,
    worse: &Worsened,
    outcome: &Outcome,
    after_crash: bool,
) {
    let (Some(undo), Stage::Acting(Running { since, .. })) = (&incident.order, &incident.stage)
    else {
        return;
    };
    match outcome.result() {
        Taken::Uncertain if after_crash && undo.action.outlives_the_engine() => {
            // It may still run: its locks are kept until it certainly does not any more.
            let until = (*since + undo.timeout).max(desk.now);
            prove::await_end(desk, incident, until);
        }
        Taken::Done | Taken::Failed | Taken::Refused | Taken::Uncertain
            if let Some(word) = incident.seeks.cancelled() =>
        {
            dismiss(desk, incident, worse, word, &format!("its undo {outcome}"));
        }
        Taken::Done => close(desk, incident, worse, Some("it was taken back")),
        Taken::Failed | Taken::Refused => {
            close(
                desk,
                incident,
                worse,
                Some(&format!("it was not taken back: its undo {outcome}")),
            );
        }
        Taken::Uncertain => {
            let what = format!("whether it was taken back is unknown: its undo {outcome}");
            close(desk, incident, worse, Some(&what));
        }
    }
}

/// An undo whose outcome a crash left unknown certainly does not run any more.
pub(super) fn give_up(desk: &mut Desk<'_>, incident: &Incident) {
    let Some(worse) = incident.seeks.worse() else { return };
    let what = "whether it was taken back is unknown: the engine went down while its undo ran";
    if let Some(word) = incident.seeks.cancelled() {
        return dismiss(desk, incident, worse, word, what);
    }
    close(desk, incident, worse, Some(what));
}

fn reason(worse: &Worsened) -> String {
    format!("{} made something else worse: {}", worse.order.id.title(), worse.text)
}

/// Closes because an operator cancelled the undo. Nobody is told any more, because somebody knows.
fn dismiss(desk: &mut Desk<'_>, incident: &Incident, worse: &Worsened, word: &str, undone: &str) {
    let reason = format!("{}; {undone}; cancelled by {word}", reason(worse));
    closing::dismiss(desk, incident, Cause::Cancelled, reason);
}

/// Hands over, with what became of the undo, where there is one.
fn close(desk: &mut Desk<'_>, incident: &Incident, worse: &Worsened, undone: Option<&str>) {
    let reason = match undone {
        Some(undone) => format!("{}; {undone}", reason(worse)),
        None => reason(worse),
    };
    let book = desk.book;
    match book.policy(&incident.policy) {
        Some(policy) => closing::hand_over(desk, incident, policy, Cause::Worse, reason),
        None => closing::cancel_worse(desk, incident, &reason),
    }
}
