//! What is to become of an incident, written: each step as its facts and effects.

use std::sync::Arc;

use super::desk::Desk;
use super::next::{Ending, Held, Next, Recorded};
use super::{closing, leaving, notices, observe, storm};
use crate::alert::Episode;
use crate::approval::Asked;
use crate::collect::Moment;
use crate::event::{About, Effect, Question, Run};
use crate::evidence::Ask;
use crate::fact::What;
use crate::guard::Grant;
use crate::incident::Incident;
use crate::notice::Topic;
use crate::order::Order;
use crate::why::Why;

/// Writes what is to become of an incident, in order.
pub(super) fn write(desk: &mut Desk<'_>, of: &Incident, course: impl IntoIterator<Item = Next>) {
    for next in course {
        write_one(desk, of, next);
    }
}

fn write_one(desk: &mut Desk<'_>, of: &Incident, next: Next) {
    let incident = of.id;
    let what = match next {
        Next::Ask(asks) => return ask(desk, of, asks),
        Next::Survey { weather, holds } => return storm::survey(desk, of, weather, &holds),
        Next::AskAPerson { asked, grants, why } => {
            return ask_a_person(desk, of, asked, grants, why);
        }
        Next::Withdraw => return desk.clear(Topic::Approval { incident }),
        Next::Issue(order) => return issue(desk, of, *order),
        Next::Judge(shadow, worth) => return leaving::judge(desk, of, &shadow, worth),
        Next::Tell(reason) => return tell(desk, of, reason),
        Next::Close(ending) => return close(desk, of, ending),
        Next::Relapse => return observe::open_relapse(desk, of),
        Next::Release => return leaving::release(desk, of),
        Next::LoseSight => return leaving::lose_sight(desk, of),
        Next::Hold(Held { remedy, part, holds, grants, until, why }) => {
            What::OrderHeld { incident, remedy, part, holds, until, grants, why: why.boxed() }
        }
        Next::Record(recorded) => {
            let Recorded { remedy, action, holds, grants, why, window } = *recorded;
            let (why, window) = (why.boxed(), Some(window));
            What::RemedyShadowed { incident, remedy, action, holds, grants, why, window }
        }
        Next::Void(reason) => What::ApprovalVoided { incident, reason },
        Next::BackOff(until) => What::RetryScheduled { incident, until },
        Next::Climb { remedy, reason } => What::RemedyGivenUp { incident, remedy, reason },
        Next::Verify { until, look, resolved } => {
            What::VerificationBegan { incident, ended_at: desk.now, until, look, resolved }
        }
        Next::See { reading, next } => What::EvidenceSeen { incident, reading, next },
        Next::Prolong(until) => What::VerificationProlonged { incident, until },
        Next::Worsen { order, text } => What::TurnedWorse { incident, order, text },
        Next::LookAfter { text, next } => What::AftermathSeen { incident, text, next },
    };
    desk.note(what);
}

fn ask(desk: &mut Desk<'_>, of: &Incident, asks: Vec<Ask>) {
    let (incident, step) = (of.id, of.step + 1);
    desk.note(What::EvidenceAsked { incident, step });
    desk.want(Effect::Ask(Question { about: About::Incident(incident, step), asks }));
}

fn ask_a_person(desk: &mut Desk<'_>, of: &Incident, asked: Asked, grants: Vec<Grant>, why: Why) {
    let notice = notices::petition(desk.view(), of, &asked);
    desk.note(What::ApprovalAsked { incident: of.id, asked, grants, why: why.boxed() });
    if let Some(notice) = notice {
        desk.raise(notice);
    }
}

/// Writes an order down and wants it to be run.
fn issue(desk: &mut Desk<'_>, of: &Incident, order: Order) {
    let run = run_of(desk, of, order.clone());
    desk.note(if of.is_returned() {
        What::OrderReissued { order }
    } else {
        What::OrderIssued { order }
    });
    desk.want(Effect::Run(Box::new(run)));
}

/// An order with its alerts, as its policy sees them.
fn run_of(desk: &Desk<'_>, of: &Incident, order: Order) -> Run {
    let policy = desk.policy(of);
    let shown = |alert: &Arc<Episode>| policy.map_or_else(|| alert.clone(), |p| p.shown(alert));
    let alerts = desk.state.alerts(of).map(shown).collect();
    Run { order, policy: of.policy.clone(), alerts, decided_at: desk.now }
}

/// Tells a person that an incident is theirs.
pub(super) fn tell(desk: &mut Desk<'_>, of: &Incident, reason: String) {
    if let Some(notice) = notices::escalation(desk.view(), of, reason) {
        desk.raise(notice);
    }
}

/// Wants people to see what it is like after the last act of an incident that closes.
fn look_after(desk: &mut Desk<'_>, of: &Incident) {
    let Some(order) = &of.order else { return };
    if !order.looks(Moment::After).is_empty() {
        let run = run_of(desk, of, (**order).clone());
        desk.want(Effect::LookAfter(Box::new(run)));
    }
}

fn close(desk: &mut Desk<'_>, of: &Incident, ending: Ending) {
    let incident = of.id;
    let is_dismissed = matches!(ending, Ending::Dismissed(..));
    let end = closing::end(desk.view(), of, ending);
    look_after(desk, of);
    if let Some(reason) = end.told {
        tell(desk, of, reason);
    }
    desk.note(What::IncidentClosed { incident, closing: end.closing, tell_at: end.tell_at });
    if end.unheard {
        desk.note(What::SightLost { incident });
    }
    if is_dismissed {
        desk.clear(Topic::Approval { incident });
        desk.clear(Topic::Escalation { incident });
    }
    for earlier in end.known {
        leaving::release(desk, earlier);
    }
}
