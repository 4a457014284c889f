//! An operator's commands about one incident: approve, reject, cancel, retry.
//!
//! | command | takes | becomes |
//! |---|---|---|
//! | approve | awaiting approval | ready: all guards judge again, in this turn |
//! | reject | awaiting approval | closed as rejected |
//! | cancel | what waits, and what is being verified | closed as cancelled |
//! | cancel | acting | acting until the action has ended, then closed as cancelled |
//! | cancel | closed, and a person is told | its notice is over |
//! | retry | closed without a healing, and still firing | another incident, from the first remedy |
//!
//! Anything else is refused with its reason and changes nothing.

use super::{Desk, approve, closing, firing, nth_incident, observe, telling};
use crate::approval::{Asked, Digest};
use crate::command::{Command, Reply};
use crate::event::Effect;
use crate::fact::What;
use crate::incident::{Cause, Closing, End, Incident, Running, Stage, Told};
use crate::name::{IncidentId, OrderId};
use crate::notice::Topic;
use crate::order::Order;
use crate::time::Timestamp;

/// Who commands, and why.
pub(super) struct Word {
    pub(super) by: String,
    pub(super) reason: String,
}

impl Word {
    /// As the reason of an end: `cancelled by alice: a planned reboot`.
    fn ending(&self, done: &str) -> String {
        let Self { by, reason } = self;
        if reason.is_empty() {
            format!("{done} by {by}")
        } else {
            format!("{done} by {by}: {reason}")
        }
    }
}

/// Does what an operator commands, or says why not.
pub(super) fn obey(
    desk: &mut Desk<'_>,
    id: IncidentId,
    command: Command,
    seen: Option<&Digest>,
    word: &Word,
) -> Reply {
    let Some(incident) = desk.state.incident(id) else {
        return if id > IncidentId(0) && id < desk.state.next_incident() {
            Reply::Refused(format!("incident {id} is over, and all of its alerts have ended"))
        } else {
            Reply::NoIncident(id)
        };
    };
    match command {
        Command::Approve => approve(desk, incident, seen, word),
        Command::Reject => reject(desk, incident, word),
        Command::Cancel => cancel(desk, incident, word),
        Command::Retry => retry(desk, incident, word),
    }
}

fn note(desk: &mut Desk<'_>, incident: IncidentId, command: Command, word: &Word) {
    let Word { by, reason } = word;
    let (by, reason) = (by.clone(), reason.clone());
    desk.note(What::IncidentCommanded { incident, command, by, reason });
}

/// What waits for a person's word, or why nothing does.
fn asked(incident: &Incident) -> Result<&Asked, Reply> {
    let id = incident.id;
    match (&incident.stage, &incident.approved) {
        (Stage::AwaitingApproval(asked), _) => Ok(asked),
        (Stage::Closed { closing, .. }, _) => {
            Err(Reply::Refused(format!("incident {id} is closed as {}", closing.outcome)))
        }
        (_, Some(approved)) => {
            let remedy = &approved.asked.order.remedy;
            Err(Reply::Refused(format!("remedy {remedy} is approved already: {approved}")))
        }
        (stage, None) => {
            let stage = stage.as_str();
            let text = format!("incident {id} is {stage}: nothing of it waits for approval");
            Err(Reply::Refused(text))
        }
    }
}

fn approve(desk: &mut Desk<'_>, incident: &Incident, seen: Option<&Digest>, word: &Word) -> Reply {
    let asked = match asked(incident) {
        Ok(asked) => asked,
        Err(refused) => return refused,
    };
    let (remedy, expires_at) = (&asked.order.remedy, asked.expires_at);
    if expires_at <= desk.now {
        return Reply::Refused(format!(
            "the approval of remedy {remedy} expired at {expires_at:.0}"
        ));
    }
    if seen.is_some_and(|seen| *seen != asked.digest) {
        let action = &asked.action;
        return Reply::Refused(format!(
            "this is not what you saw: remedy {remedy} is now `{action}`"
        ));
    }
    note(desk, incident.id, Command::Approve, word);
    approve::withdraw(desk, incident);
    Reply::Taken(format!(
        "remedy {remedy} is approved until {expires_at:.0}: all guards judge it again, and it \
         starts as soon as they agree"
    ))
}

fn reject(desk: &mut Desk<'_>, incident: &Incident, word: &Word) -> Reply {
    let asked = match asked(incident) {
        Ok(asked) => asked,
        Err(refused) => return refused,
    };
    note(desk, incident.id, Command::Reject, word);
    closing::dismiss(desk, incident, Cause::Rejected, word.ending("rejected"));
    Reply::Taken(format!(
        "remedy {} is rejected: nothing is done about this until its alerts have ended",
        asked.order.remedy
    ))
}

fn cancel(desk: &mut Desk<'_>, incident: &Incident, word: &Word) -> Reply {
    let id = incident.id;
    match (&incident.stage, &incident.order) {
        (Stage::Closed { closing, .. }, _) => cancel_notice(desk, incident, closing, word),
        (Stage::Acting(running), Some(order)) => {
            cancel_action(desk, incident, running, order, word)
        }
        (_, Some(order)) if let Some(until) = may_run_until(desk, incident, order) => {
            let run = order.id.title();
            Reply::Refused(format!(
                "{run} may still run, out of our reach since a restart, until {until:.0} at the \
                 latest: cancel incident {id} then"
            ))
        }
        (_, _) => {
            note(desk, id, Command::Cancel, word);
            closing::dismiss(desk, incident, Cause::Cancelled, word.ending("cancelled"));
            Reply::Taken(format!(
                "incident {id} is cancelled: nothing is done about this until its alerts have ended"
            ))
        }
    }
}

/// Until when a run of before a restart, of which that lost sight, may go on.
pub(super) fn may_run_until(
    desk: &Desk<'_>,
    incident: &Incident,
    order: &Order,
) -> Option<Timestamp> {
    let until = match &incident.stage {
        Stage::Verifying(verification) => verification.over_at(&order.proof),
        Stage::Lost { until } => *until,
        _ => return None,
    };
    Some(until).filter(|until| desk.now < *until)
}

fn cancel_notice(
    desk: &mut Desk<'_>,
    incident: &Incident,
    closing: &Closing,
    word: &Word,
) -> Reply {
    let topic = Topic::Escalation { incident: incident.id };
    let id = incident.id;
    let stragglers = &desk.state.ledgers().stragglers;
    let left: Vec<OrderId> = stragglers.left_of(id).map(|run| run.order.clone()).collect();
    if !left.is_empty() {
        note(desk, id, Command::Cancel, word);
        for order in left {
            desk.note(What::OrderGone { order });
        }
        telling::clear(desk, topic);
        return Reply::Taken(format!(
            "what still runs of incident {id} is taken for harmless: its target is free again"
        ));
    }
    if desk.state.notice(&topic).is_none_or(|owed| owed.cleared) {
        let outcome = closing.outcome;
        return Reply::Refused(format!("incident {id} is closed as {outcome}, and nobody is told"));
    }
    note(desk, id, Command::Cancel, word);
    telling::clear(desk, topic);
    Reply::Taken(format!("nobody is told about incident {id} any more"))
}

fn cancel_action(
    desk: &mut Desk<'_>,
    incident: &Incident,
    running: &Running,
    order: &Order,
    word: &Word,
) -> Reply {
    if let Some(before) = incident.seeks.cancelled() {
        return Reply::Refused(format!("incident {} is being cancelled by {before}", incident.id));
    }
    note(desk, incident.id, Command::Cancel, word);
    end_run(desk, running, order, word.ending("cancelled"));
    Reply::Taken(format!(
        "{} is told to end; incident {} is cancelled as soon as it has",
        order.id.title(),
        incident.id
    ))
}

/// Tells a run to end before its time, once.
pub(super) fn end_run(desk: &mut Desk<'_>, running: &Running, order: &Order, reason: String) {
    if running.told == Told::Nothing {
        desk.note(What::OrderCancelled { order: order.id.clone(), reason });
        desk.want(Effect::Cancel(order.id.clone()));
    }
}

fn retry(desk: &mut Desk<'_>, incident: &Incident, word: &Word) -> Reply {
    let (id, state, book) = (incident.id, desk.state, desk.book);
    let refused = |why: &str| Reply::Refused(format!("incident {id} is not tried again: {why}"));
    let Some(closing) = incident.stage.closing() else {
        return refused(&format!("it is still open, and {}", incident.stage.as_str()));
    };
    match closing.outcome {
        End::Escalated | End::Shadowed | End::Rejected | End::Cancelled => {}
        End::Healed | End::Recovered => {
            return refused(&format!("it is closed as {}", closing.outcome));
        }
    }
    let Some((episode, alert)) = firing(state, incident).next() else {
        return refused("all of its alerts have ended");
    };
    let taking = book.taking(&alert.labels);
    let Some(policy) = taking.into_iter().find(|policy| policy.name == incident.policy) else {
        return refused(&format!("policy {} does not take its alert any more", incident.policy));
    };
    if policy.target.pick(&alert.labels).ok().as_ref() != Some(&incident.target) {
        return refused("by its policy the alert has another target now, or none");
    }
    note(desk, id, Command::Retry, word);
    closing::release(desk, incident);
    let next = nth_incident(state, 0);
    observe::open_again(desk, next, policy, &incident.subject(), episode);
    note(desk, next, Command::Retry, word);
    for (episode, _) in firing(state, incident).skip(1) {
        desk.note(What::EpisodeAttached { incident: next, episode });
    }
    Reply::Taken(format!(
        "incident {next} is opened for the same policy and target: it begins with the first \
         remedy, and all guards apply"
    ))
}
