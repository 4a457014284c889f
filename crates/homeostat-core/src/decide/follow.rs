//! What follows from the end of a run: a pure table, told whole by its test.
//!
//! A retry is for a known failure only. A time-out or an unknown outcome is verified, because the action
//! may have had its effect; it is run again only after a crash, and only if its remedy says that this
//! does no harm. An undo is neither verified nor retried: a person has the incident now.

use super::next::{Ending, Next};
use super::view::View;
use super::{prove, undo};
use crate::incident::{Cause, Incident, Running};
use crate::name::Part;
use crate::order::{Order, Outcome, Result as Taken};
use crate::plan;
use crate::policy::{Mode, Policy};

/// How a run ended, and what there is to go on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RunsEnd {
    /// What was run.
    pub(super) part: Part,
    /// How it ended.
    pub(super) how: How,
    /// Whether an operator has cancelled the incident.
    pub(super) cancelled: bool,
    /// What the book says now.
    pub(super) ground: Ground,
}

/// How a run ended, as far as what follows depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// It did what it should.
    Done,
    /// It is known to have failed.
    Failed,
    /// It must not be run for this alert.
    Refused,
    /// It may or may not have had its effect, and is over.
    Uncertain,
    /// A crash has lost sight of it.
    Lost {
        /// Whether it may go on without the engine.
        outlives: bool,
        /// Whether running it again does no harm.
        idempotent: bool,
    },
}

/// What the book says, now, of the remedy that was run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ground {
    /// It is gone, or its policy is.
    Gone,
    /// It is there.
    Remedy {
        /// Whether a known failure is tried again.
        retries: bool,
        /// Whether it may be issued again at once, without being handed over or asked about instead.
        at_once: bool,
    },
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Follows {
    /// Its healing is proven, and it is over now.
    Verify,
    /// Its healing is proven, though it may go on until its time limit.
    VerifyWhileItMayRun,
    /// It is issued again at once.
    RunAgain,
    /// It is issued again after a pause.
    Retry,
    /// The next rung is tried.
    Climb,
    /// A person has it, if its policy is still there.
    HandOver,
    /// It closes because an operator said so.
    Dismiss,
    /// A person has it, and knows that what became worse was taken back.
    Undone,
    /// A person has it, and knows that it was not taken back.
    NotUndone,
    /// A person has it, and nobody knows whether it was taken back.
    PerhapsUndone,
    /// The end of an undo is awaited: it may go on until its time limit.
    AwaitUndo,
}

impl RunsEnd {
    /// Reads it from the incident whose order is over.
    pub(super) fn of(
        incident: &Incident,
        order: &Order,
        outcome: &Outcome,
        after_crash: bool,
        policy: Option<&Policy>,
    ) -> Self {
        let (outlives, idempotent) = (order.action.outlives_the_engine(), order.idempotent);
        let how = match outcome.result() {
            Taken::Done => How::Done,
            Taken::Failed => How::Failed,
            Taken::Refused => How::Refused,
            Taken::Uncertain if after_crash => How::Lost { outlives, idempotent },
            Taken::Uncertain => How::Uncertain,
        };
        let known = policy.and_then(|policy| Some((policy, policy.remedy(&order.id.remedy)?)));
        let ground = known.map_or(Ground::Gone, |(policy, remedy)| Ground::Remedy {
            retries: incident.seeks.failures() < remedy.retries,
            at_once: policy.guard.attempts > incident.ladder.orders && remedy.mode == Mode::Auto,
        });
        let cancelled = incident.seeks.cancelled().is_some();
        Self { part: order.id.part, how, cancelled, ground }
    }
}

/// Tells what follows from a run's end.
pub(super) fn follows(run: RunsEnd) -> Follows {
    let may_go_on = matches!(run.how, How::Lost { outlives: true, .. });
    if run.cancelled && !may_go_on {
        return Follows::Dismiss;
    }
    let again = matches!(run.ground, Ground::Remedy { at_once: true, .. }) && !run.cancelled;
    match (run.part, run.how) {
        (Part::Heal, How::Lost { idempotent: true, .. }) if again => Follows::RunAgain,
        (Part::Heal, How::Lost { outlives: true, .. }) => Follows::VerifyWhileItMayRun,
        (Part::Heal, How::Done | How::Uncertain | How::Lost { .. }) => Follows::Verify,
        (Part::Heal, How::Failed) => match run.ground {
            Ground::Remedy { retries: true, .. } => Follows::Retry,
            Ground::Gone | Ground::Remedy { .. } => Follows::Climb,
        },
        (Part::Heal, How::Refused) => Follows::HandOver,
        (Part::Undo, How::Lost { outlives: true, .. }) => Follows::AwaitUndo,
        (Part::Undo, How::Done) => Follows::Undone,
        (Part::Undo, How::Failed | How::Refused) => Follows::NotUndone,
        (Part::Undo, How::Uncertain | How::Lost { .. }) => Follows::PerhapsUndone,
    }
}

/// Says what follows from the end of an incident's run.
pub(super) fn after_run(
    view: View<'_>,
    incident: &Incident,
    (order, running): (&Order, &Running),
    (outcome, after_crash): (&Outcome, bool),
) -> Next {
    let policy = view.policy(incident);
    let limit = (running.since + order.timeout).max(view.now);
    let remedy = &order.id.remedy;
    let undone = |what: &str| match incident.seeks.worse() {
        Some(worse) => undo::ended(incident, worse, what),
        None => Next::Close(Ending::HandedOver(Cause::Worse, what.to_owned())),
    };
    match follows(RunsEnd::of(incident, order, outcome, after_crash, policy)) {
        Follows::Verify => prove::begin(view, incident, &order.proof, view.now),
        Follows::VerifyWhileItMayRun => prove::begin(view, incident, &order.proof, limit),
        Follows::RunAgain => Next::BackOff(view.now),
        Follows::Retry => {
            let failures = incident.seeks.failures() + 1;
            let known = policy.and_then(|policy| policy.remedy(remedy));
            let pause = known.map(|remedy| plan::backoff(remedy, failures)).unwrap_or_default();
            Next::BackOff(view.now + pause)
        }
        Follows::Climb => Next::Climb { remedy: remedy.clone(), reason: outcome.to_string() },
        Follows::HandOver => {
            let reason = format!("remedy {remedy} {outcome}");
            Next::Close(Ending::HandedOver(Cause::Refused, reason))
        }
        Follows::Dismiss => match (order.id.part, incident.seeks.cancelled()) {
            (Part::Heal, Some(word)) => {
                let reason = format!("cancelled by {word}; remedy {remedy} {outcome}");
                Next::Close(Ending::Dismissed(Cause::Cancelled, reason))
            }
            (Part::Heal | Part::Undo, _) => undone(&format!("its undo {outcome}")),
        },
        Follows::Undone => undone("it was taken back"),
        Follows::NotUndone => undone(&format!("it was not taken back: its undo {outcome}")),
        Follows::PerhapsUndone => {
            undone(&format!("whether it was taken back is unknown: its undo {outcome}"))
        }
        Follows::AwaitUndo => Next::Verify { until: limit, look: None, resolved: false },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUNDS: [Ground; 5] = [
        Ground::Gone,
        Ground::Remedy { retries: false, at_once: false },
        Ground::Remedy { retries: false, at_once: true },
        Ground::Remedy { retries: true, at_once: false },
        Ground::Remedy { retries: true, at_once: true },
    ];

    /// Every end of a run on every ground: those of `GROUNDS`, from the left, where they differ.
    const TABLE: &str = "
Heal Done: Verify
Heal Done, cancelled: Dismiss
Undo Done: Undone
Undo Done, cancelled: Dismiss
Heal Failed: Climb, Climb, Climb, Retry, Retry
Heal Failed, cancelled: Dismiss
Undo Failed: NotUndone
Undo Failed, cancelled: Dismiss
Heal Refused: HandOver
Heal Refused, cancelled: Dismiss
Undo Refused: NotUndone
Undo Refused, cancelled: Dismiss
Heal Uncertain: Verify
Heal Uncertain, cancelled: Dismiss
Undo Uncertain: PerhapsUndone
Undo Uncertain, cancelled: Dismiss
Heal Lost { outlives: false, idempotent: false }: Verify
Heal Lost { outlives: false, idempotent: false }, cancelled: Dismiss
Undo Lost { outlives: false, idempotent: false }: PerhapsUndone
Undo Lost { outlives: false, idempotent: false }, cancelled: Dismiss
Heal Lost { outlives: false, idempotent: true }: Verify, Verify, RunAgain, Verify, RunAgain
Heal Lost { outlives: false, idempotent: true }, cancelled: Dismiss
Undo Lost { outlives: false, idempotent: true }: PerhapsUndone
Undo Lost { outlives: false, idempotent: true }, cancelled: Dismiss
Heal Lost { outlives: true, idempotent: false }: VerifyWhileItMayRun
Heal Lost { outlives: true, idempotent: false }, cancelled: VerifyWhileItMayRun
Undo Lost { outlives: true, idempotent: false }: AwaitUndo
Undo Lost { outlives: true, idempotent: false }, cancelled: AwaitUndo
Heal Lost { outlives: true, idempotent: true }: \
  VerifyWhileItMayRun, VerifyWhileItMayRun, RunAgain, VerifyWhileItMayRun, RunAgain
Heal Lost { outlives: true, idempotent: true }, cancelled: VerifyWhileItMayRun
Undo Lost { outlives: true, idempotent: true }: AwaitUndo
Undo Lost { outlives: true, idempotent: true }, cancelled: AwaitUndo";

    fn table() -> String {
        let mut table = Vec::new();
        let (lost, bools) =
            (|outlives, idempotent| How::Lost { outlives, idempotent }, [false, true]);
        let lost = bools.into_iter().flat_map(|o| bools.map(|i| lost(o, i)));
        let hows = [How::Done, How::Failed, How::Refused, How::Uncertain].into_iter().chain(lost);
        for how in hows {
            for part in [Part::Heal, Part::Undo] {
                for cancelled in bools {
                    let all = GROUNDS
                        .map(|ground| follows(RunsEnd { part, how, cancelled, ground }))
                        .map(|follows| format!("{follows:?}"));
                    let same = all.iter().all(|follows| *follows == all[0]);
                    let all = if same { all[0].clone() } else { all.join(", ") };
                    let cancelled = if cancelled { ", cancelled" } else { "" };
                    table.push(format!("\n{part:?} {how:?}{cancelled}: {all}"));
                }
            }
        }
        table.concat()
    }

    #[test]
    fn every_end_of_a_run_leads_where_the_table_says() {
        assert_eq!(table(), TABLE);
    }
}
