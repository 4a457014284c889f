//! An operator's commands about one incident: approve, reject, cancel, retry.
//!
//! What each takes and what it becomes, [`super::table`] says. Anything else is refused with its reason and
//! changes nothing.

use super::desk::Desk;
use super::next::{Ending, Next};
use super::table::{Moment, Step};
use super::vote::Word;
use super::{leaving, observe, vote, write};
use crate::approval::Asked;
use crate::command::{Command, Reply};
use crate::fact::What;
use crate::incident::{Cause, Closing, End, Incident, Stage};
use crate::name::{IncidentId, OrderId};
use crate::notice::Topic;
use crate::owner::Sought;
use crate::policy::{Lacks, Picked};

impl Word {
    /// As the reason of an end: `cancelled by alice: a planned reboot`.
    fn ending(&self, done: &str) -> String {
        let Self { by, reason, .. } = self;
        if reason.is_empty() {
            format!("{done} by {by}")
        } else {
            format!("{done} by {by}: {reason}")
        }
    }
}

/// Does what an operator commands, or says why not.
pub(super) fn obey(desk: &mut Desk<'_>, id: IncidentId, command: Command, word: &Word) -> Reply {
    let Some(incident) = desk.state.incident(id) else {
        return if id > IncidentId(0) && id < desk.state.next_incident() {
            Reply::Refused(format!("incident {id} is over, and all of its alerts have ended"))
        } else {
            Reply::NoIncident(id)
        };
    };
    match (desk.step(Moment::Command(command), incident), &incident.stage) {
        (Step::Approve, Stage::AwaitingApproval(asked)) => {
            vote::approve(desk, incident, asked, word)
        }
        (Step::Reject, Stage::AwaitingApproval(asked)) => reject(desk, incident, asked, word),
        (Step::EndRun, _) => cancel_action(desk, incident, word),
        (Step::Cancel, _) => cancel(desk, incident, word),
        (Step::Hush, Stage::Closed { closing, .. }) => hush(desk, incident, closing, word),
        (Step::OpenAnother, Stage::Closed { closing, .. }) => retry(desk, incident, closing, word),
        (_, _) => refuse(incident, command),
    }
}

fn note(desk: &mut Desk<'_>, incident: IncidentId, command: Command, word: &Word) {
    let Word { by, reason, .. } = word;
    let (by, reason) = (by.clone(), reason.clone());
    let (missing, ahead) = (0, None);
    desk.note(What::IncidentCommanded { incident, command, by, reason, missing, ahead });
}

/// Why a command makes no sense now.
fn refuse(incident: &Incident, command: Command) -> Reply {
    let (id, stage) = (incident.id, incident.stage.as_str());
    Reply::Refused(match (command, incident.stage.closing(), &incident.approved) {
        (Command::Retry, _, _) => {
            format!("incident {id} is not tried again: it is still open, and {stage}")
        }
        (_, Some(closing), _) => format!("incident {id} is closed as {}", closing.outcome),
        (_, None, Some(approved)) => {
            let remedy = &approved.asked.order.remedy;
            format!("remedy {remedy} is approved already: {approved}")
        }
        (_, None, None) => format!("incident {id} is {stage}: nothing of it waits for approval"),
    })
}

fn reject(desk: &mut Desk<'_>, incident: &Incident, asked: &Asked, word: &Word) -> Reply {
    note(desk, incident.id, Command::Reject, word);
    dismiss(desk, incident, Cause::Rejected, word.ending("rejected"));
    Reply::Taken(format!(
        "remedy {} is rejected: nothing is done about this until its alerts have ended",
        asked.order.remedy
    ))
}

fn dismiss(desk: &mut Desk<'_>, incident: &Incident, cause: Cause, reason: String) {
    write::write(desk, incident, [Next::Close(Ending::Dismissed(cause, reason))]);
}

fn cancel(desk: &mut Desk<'_>, incident: &Incident, word: &Word) -> Reply {
    let id = incident.id;
    if let (Some(until), Some(order)) = (incident.may_run_until(), &incident.order)
        && desk.now < until
    {
        let run = order.id.title();
        return Reply::Refused(format!(
            "{run} may still run, out of our reach since a restart, until {until:.0} at the \
             latest: cancel incident {id} then"
        ));
    }
    note(desk, id, Command::Cancel, word);
    dismiss(desk, incident, Cause::Cancelled, word.ending("cancelled"));
    Reply::Taken(format!(
        "incident {id} is cancelled: nothing is done about this until its alerts have ended"
    ))
}

fn hush(desk: &mut Desk<'_>, incident: &Incident, closing: &Closing, word: &Word) -> Reply {
    let topic = Topic::Escalation { incident: incident.id };
    let id = incident.id;
    let stragglers = &desk.state.ledgers().stragglers;
    let left: Vec<OrderId> = stragglers.left_of(id).map(|run| run.order.clone()).collect();
    if !left.is_empty() {
        note(desk, id, Command::Cancel, word);
        for order in left {
            desk.note(What::OrderGone { order });
        }
        desk.clear(topic);
        return Reply::Taken(format!(
            "what still runs of incident {id} is taken for harmless: its target is free again"
        ));
    }
    if desk.state.notice(&topic).is_none_or(|owed| owed.cleared) {
        let outcome = closing.outcome;
        return Reply::Refused(format!("incident {id} is closed as {outcome}, and nobody is told"));
    }
    note(desk, id, Command::Cancel, word);
    desk.clear(topic);
    Reply::Taken(format!("nobody is told about incident {id} any more"))
}

fn cancel_action(desk: &mut Desk<'_>, incident: &Incident, word: &Word) -> Reply {
    if let Some(before) = incident.seeks.cancelled() {
        return Reply::Refused(format!("incident {} is being cancelled by {before}", incident.id));
    }
    note(desk, incident.id, Command::Cancel, word);
    desk.end_run(incident, word.ending("cancelled"));
    let title = incident.order.as_ref().map_or_else(String::new, |order| order.id.title());
    Reply::Taken(format!(
        "{title} is told to end; incident {} is cancelled as soon as it has",
        incident.id
    ))
}

fn retry(desk: &mut Desk<'_>, incident: &Incident, closing: &Closing, word: &Word) -> Reply {
    let (id, book) = (incident.id, desk.book);
    let refused = |why: &str| Reply::Refused(format!("incident {id} is not tried again: {why}"));
    match closing.outcome {
        End::Escalated | End::Shadowed | End::Rejected | End::Cancelled => {}
        End::Healed | End::Recovered => {
            return refused(&format!("it is closed as {}", closing.outcome));
        }
    }
    let Some((episode, alert)) = desk.view().firing(incident).next() else {
        return refused("all of its alerts have ended");
    };
    let taking = book.taking(&alert.labels);
    let Some(policy) = taking.into_iter().find(|policy| policy.name == incident.policy) else {
        return refused(&format!("policy {} does not take its alert any more", incident.policy));
    };
    let owners = desk.state.episode(episode).map_or(&[][..], |episode| &episode.owners);
    match policy.picks(&alert.labels, &alert.annotations, owners) {
        Picked::Target(target) if target == incident.target => {}
        Picked::Part { target, lacks: Lacks::Owner(why) } if target == incident.target => {
            return seek_again(desk, incident, word).unwrap_or_else(|| refused(&why));
        }
        Picked::Asks(of) => return refused(&format!("its target is being asked for: {of}")),
        Picked::Target(_) | Picked::Part { .. } => {
            return refused("by its policy the alert has another target now, or none");
        }
    }
    note(desk, id, Command::Retry, word);
    leaving::release(desk, incident);
    let next = desk.nth_incident(0);
    observe::open_again(desk, next, policy, &incident.subject(), episode);
    note(desk, next, Command::Retry, word);
    for (episode, _) in desk.view().firing(incident).skip(1) {
        desk.note(What::EpisodeAttached { incident: next, episode });
    }
    Reply::Taken(format!(
        "incident {next} is opened for the same policy and target: it begins with the first \
         remedy, and all guards apply"
    ))
}

/// Has those owners asked for once more that were not told. Whoever is told of them has an incident
/// opened then.
///
/// `None` where of one of its alerts nothing could be asked: none is let go without another incident.
fn seek_again(desk: &mut Desk<'_>, incident: &Incident, word: &Word) -> Option<Reply> {
    let mut sought = Vec::new();
    for id in incident.episodes.firing() {
        let known = &desk.state.episode(id)?.owners;
        let missing = known.iter().filter(|known| matches!(known.stands, Sought::Missing { .. }));
        let before = sought.len();
        sought.extend(missing.map(|known| (id, known.of.clone())));
        if sought.len() == before {
            return None;
        }
    }
    note(desk, incident.id, Command::Retry, word);
    leaving::release(desk, incident);
    for (episode, of) in sought {
        desk.note(What::OwnerSought { episode, of });
    }
    Some(Reply::Taken(
        "whose it is is asked once more: another incident is opened when that is known, or when it \
         is not to be had"
            .to_owned(),
    ))
}
