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

use super::hold;
use super::next::{Ending, Next};
use super::view::View;
use crate::collect::{Looks, Moment};
use crate::evidence::{Ask, Evidence};
use crate::guard::{self, Bench, Grant, Judgement, Permit, Reversal};
use crate::hold::Hold;
use crate::incident::{Cause, Incident, Worsened};
use crate::limits;
use crate::order::{Order, Undo};
use crate::plan;
use crate::policy::{Mode, Policy, Remedy, Worse};
use crate::regression::Baseline;
use crate::template::{TemplateError, Values};
use crate::time::Timestamp;
use crate::why::Why;

/// What is said where it was left as it is.
const NOT_TAKEN_BACK: &str = "it was not taken back";

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
pub(super) fn turned_worse(
    view: View<'_>,
    incident: &Incident,
    order: &Order,
    text: String,
) -> Vec<Next> {
    let what = reason(order, &text);
    let next = if let Some(word) = incident.seeks.cancelled() {
        let reason = format!("{what}; {NOT_TAKEN_BACK}: cancelled by {word}");
        Next::Close(Ending::HandedOver(Cause::Worse, reason))
    } else if order.undo.is_some() && view.policy(incident).is_some() {
        Next::Tell(format!("{what}; it is being taken back"))
    } else {
        Next::Close(Ending::HandedOver(Cause::Worse, what))
    };
    vec![Next::Worsen { order: order.id.clone(), text }, next]
}

/// Takes the next step towards the undo: asks, holds, issues, or leaves it.
pub(super) fn pursue(
    view: View<'_>,
    incident: &Incident,
    worse: &Worsened,
    evidence: Option<&Evidence>,
) -> Next {
    if incident.seeks.cancelled().is_some() {
        return ended(incident, worse, NOT_TAKEN_BACK);
    }
    let (Some(policy), Some(undo), Some(baseline)) =
        (view.policy(incident), &worse.order.undo, &worse.order.proof.baseline)
    else {
        return ended(incident, worse, NOT_TAKEN_BACK);
    };
    if policy.mode == Mode::Shadow {
        let why = format!("{NOT_TAKEN_BACK}, because the policy is in shadow now");
        return ended(incident, worse, &why);
    }
    if view.now >= patience_ends(worse) {
        let why = format!("{NOT_TAKEN_BACK}: for {} it was held", limits::UNDO_PATIENCE);
        return ended(incident, worse, &why);
    }
    let judgement = match judge(view, incident, policy, worse, baseline, evidence) {
        Ok(judgement) => judgement,
        Err(asks) => return Next::Ask(asks),
    };
    let nothing = Evidence::none(view.now);
    let known = evidence.unwrap_or(&nothing);
    match judgement {
        Judgement::Held { holds, cleared } => hold(view, incident, worse, (holds, cleared), known),
        Judgement::Stopped(why) => ended(incident, worse, &format!("{NOT_TAKEN_BACK}: {why}")),
        Judgement::Permitted(permit) => {
            Next::Issue(Box::new(order(view, worse, undo, known, permit)))
        }
        // No guard of an undo asks for that: whoever approved the remedy approved its undo.
        Judgement::Unapproved(_) => {
            ended(incident, worse, &format!("{NOT_TAKEN_BACK}: a person must agree first"))
        }
    }
}

/// Lets the guards judge: first by the ledgers alone, then by evidence. What must be asked first is the
/// error.
fn judge(
    view: View<'_>,
    incident: &Incident,
    policy: &Policy,
    worse: &Worsened,
    baseline: &Baseline,
    evidence: Option<&Evidence>,
) -> Result<Judgement, Vec<Ask>> {
    let since = view.state.clock().certainly_after(worse.since, view.now);
    let (incident, locks, now) = (incident.id, &worse.order.locks, view.now);
    let reversal = Reversal { incident, policy, locks, baseline, since, now };
    let bench = Bench { ledgers: view.state.ledgers(), book: view.book };
    let by_ledgers = guard::judge_undo(&reversal, bench, None);
    let (Judgement::Permitted(_), evidence) = (&by_ledgers, evidence) else {
        return Ok(by_ledgers);
    };
    let evidence = evidence.ok_or_else(|| baseline.questions().collect::<Vec<Ask>>())?;
    Ok(match hold::fresh(evidence, now) {
        Ok(()) => guard::judge_undo(&reversal, bench, Some(evidence)),
        Err(why) => Judgement::Held { holds: vec![Hold::NoListing { why }], cleared: Vec::new() },
    })
}

fn order(
    view: View<'_>,
    worse: &Worsened,
    undo: &Undo,
    evidence: &Evidence,
    permit: Permit,
) -> Order {
    let (grants, charges) = permit.spend();
    Order {
        id: worse.order.id.undo(),
        action: undo.action.clone(),
        timeout: undo.timeout,
        idempotent: false,
        proof: worse.order.proof.clone(),
        undo: None,
        locks: worse.order.locks.clone(),
        charges,
        grants,
        why: Why::default().on(evidence, view.now).boxed(),
        boot: view.boot(),
        team: worse.order.team.clone(),
        shared: None,
        standing: None,
        looks: looks_after(&worse.order),
    }
}

/// It is the last order of its incident, so what is looked at afterwards follows it.
fn looks_after(order: &Order) -> Option<Box<Looks>> {
    let after = order.looks(Moment::After).to_vec();
    (!after.is_empty()).then(|| Box::new(Looks { after, ..Looks::default() }))
}

fn patience_ends(worse: &Worsened) -> Timestamp {
    worse.since + limits::UNDO_PATIENCE
}

fn hold(
    view: View<'_>,
    incident: &Incident,
    worse: &Worsened,
    ruled: (Vec<Hold>, Vec<Grant>),
    evidence: &Evidence,
) -> Next {
    let what = (&worse.order.id.remedy, patience_ends(worse));
    Next::Hold(hold::undo(view, incident, what, ruled, evidence))
}

/// Holds an undo whose question nobody answered in time.
pub(super) fn no_answer(view: View<'_>, incident: &Incident, worse: &Worsened) -> Next {
    let holds = vec![Hold::NoListing { why: hold::no_answer() }];
    hold(view, incident, worse, (holds, Vec::new()), &Evidence::none(view.now))
}

/// An undo whose outcome a crash left unknown certainly does not run any more.
pub(super) fn give_up(incident: &Incident, worse: &Worsened) -> Next {
    let what = "whether it was taken back is unknown: the engine went down while its undo ran";
    ended(incident, worse, what)
}

/// Ends it with what became of the undo: a person has it, or has cancelled it.
pub(super) fn ended(incident: &Incident, worse: &Worsened, undone: &str) -> Next {
    let reason = format!("{}; {undone}", reason(&worse.order, &worse.text));
    Next::Close(match incident.seeks.cancelled() {
        // Nobody is told any more, because somebody knows.
        Some(word) => Ending::Dismissed(Cause::Cancelled, format!("{reason}; cancelled by {word}")),
        None => Ending::HandedOver(Cause::Worse, reason),
    })
}

fn reason(order: &Order, text: &str) -> String {
    format!("{} made something else worse: {text}", order.id.title())
}
