//! What happened, in sentences for a person who was just woken.
//!
//! A sentence says what is, and what follows from it. It never says what the reader must feel.

use std::collections::BTreeMap;

use homeostat_core::alert::Ending;
use homeostat_core::approval::{Asked, StandingApproval, StandingUse, Terms};
use homeostat_core::clock::Jump;
use homeostat_core::collect::{Found, Moment};
use homeostat_core::command::Command;
use homeostat_core::fact::{Held, What};
use homeostat_core::guard::Grant;
use homeostat_core::hold::Hold;
use homeostat_core::incident::Closing;
use homeostat_core::name::{EpisodeId, IncidentId, OrderId, RemedyName, title};
use homeostat_core::notice::{Matter, Notice, Topic};
use homeostat_core::operator::Operator;
use homeostat_core::order::Ended;
use homeostat_core::process::still_run;
use homeostat_core::shadow::Worth;
use homeostat_core::time::{Span, Timestamp};

use super::view::{IncidentView, Ruling};
use crate::access::agreeing;

/// Tells a fact, or nothing where it would tell a person nothing.
///
/// `incident` is the incident as it stands after the fact.
#[expect(clippy::too_many_lines, reason = "one arm for each kind of fact")]
pub(super) fn text(
    what: &What,
    incident: &IncidentView,
    names: &BTreeMap<EpisodeId, String>,
) -> Option<String> {
    let name = |episode| names.get(episode).map_or("", String::as_str);
    Some(match what {
        What::EpisodeBegan { alert, .. } => {
            format!("Source {} says that alert {} fires.", alert.source, alert.name())
        }
        What::EpisodeEnded { episode, ending } => episode_ended(name(episode), ending),
        What::EpisodeAttached { episode, .. } => format!(
            "Alert {} belongs to this trouble: nothing further is started for it.",
            name(episode)
        ),
        What::EvidenceSeen { reading, .. } => format!("Looked: {}.", reading.text),
        What::RetryScheduled { until, .. } => format!("It will be tried again at {until:.0}."),
        What::IncidentOpened { relapse_of, held, settles_at, tell_at, .. } => {
            opened(incident, relapse_of.map(|of| (of, *held)), *settles_at, *tell_at)
        }
        What::OrderHeld { remedy, part, holds, .. } => {
            format!("{} is held: {}.", begin(&title(remedy, *part)), holds_text(holds))
        }
        What::ApprovalAsked { asked, .. } => format!(
            "All guards agree, and {} must approve remedy {} by {:.0}: `{}`.",
            people(asked),
            asked.order.remedy,
            asked.expires_at,
            asked.action
        ),
        What::ApprovalVoided { reason, .. } => {
            format!("The question for approval is void: {}.", without_stop(reason))
        }
        What::IncidentCommanded { command, by, reason, ahead, .. } => {
            commanded(*command, by, reason, *ahead)
        }
        What::ApprovalStands { approval } => stands(approval),
        What::OrderCancelled { order, reason } => {
            format!("Remedy {} is told to end: {}.", order.remedy, without_stop(reason))
        }
        What::RemedyShadowed { remedy, action, holds, .. } => {
            let held = held_too(holds);
            format!("Shadow mode: remedy {remedy} would run `{action}`; nothing was done.{held}")
        }
        What::OrderIssued { order } => {
            let (title, attempt) = (order.id.title(), order.id.attempt);
            let again = if attempt == 1 { String::new() } else { format!(", run {attempt}") };
            let ahead = approved_ahead(order.standing.as_ref());
            format!("All guards agree: {title} starts{again}: `{}`.{ahead}", order.action)
        }
        What::OrderReissued { order } => format!(
            "{} certainly had not started before the restart, and starts now: `{}`.{}",
            begin(&order.id.title()),
            order.action,
            approved_ahead(order.standing.as_ref())
        ),
        What::OrderReturned { order } => format!(
            "The engine restarted before {} had started; the guards judge it anew.",
            order.title()
        ),
        What::OrderGone { order } => format!(
            "Nothing of {} runs any more, or nothing that does harm: what it locked is free.",
            order.title()
        ),
        What::OrderProgressed { order, text } => {
            format!("{} says: {}.", begin(&order.title()), without_stop(text))
        }
        What::Collected { order, moment, found } => collected(order, *moment, found),
        What::OrderEnded { order, ended } => {
            let title = begin(&order.title());
            let left = match ended.left.as_slice() {
                [] => String::new(),
                left => format!("; {}", still_run(left)),
            };
            format!("{title} {}{}{left}.", ended.outcome, took(ended, incident))
        }
        What::RemedyGivenUp { remedy, reason, .. } => {
            format!("Remedy {remedy} is not tried again: it {}.", without_stop(reason))
        }
        What::TurnedWorse { order, text, .. } => format!(
            "{} made something else worse: {}. No further remedy is tried.",
            begin(&order.title()),
            without_stop(text)
        ),
        What::VerificationBegan { until, .. } if incident.is_undoing() => {
            format!("The undo may still run until {until:.0}; until then its locks are kept.")
        }
        What::VerificationBegan { until, look, resolved, .. } => {
            verification_began(*until, look.is_some(), *resolved)
        }
        What::VerificationProlonged { until, .. } => format!(
            "A rule fires, and may still be looking at what is over: that is awaited until \
             {until:.0}."
        ),
        What::AftermathSeen { text, next: Some(_), .. } => {
            format!("Looked after it: {}. It is looked at again.", without_stop(text))
        }
        What::AftermathSeen { text, next: None, .. } => {
            format!("Looked after it: {}.", without_stop(text))
        }
        What::SightLost { .. } => {
            "Nothing is heard of its alerts any more, and nobody knows that the trouble is over: \
             the notice stays until its source, a proof or an operator ends it."
                .to_owned()
        }
        What::EpisodeSighted { episode, sightings } => {
            let seen: Vec<String> = sightings.iter().map(ToString::to_string).collect();
            format!("Alert {} is fired by {}.", name(episode), seen.join(", "))
        }
        What::EpisodeMentioned { episode } => {
            format!(
                "Alert {} is mentioned again: whether it is gone is counted anew.",
                name(episode)
            )
        }
        What::EpisodeMoved { episode, starts_at } => {
            format!("Alert {} fires since {starts_at:.0}, by its source.", name(episode))
        }
        What::OwnerSought { episode, of } => {
            format!("Whose it is what alert {} is about is asked: `{of}`.", name(episode))
        }
        What::OwnerFound { episode, owner, .. } => {
            format!("What alert {} is about belongs to {owner}.", name(episode))
        }
        What::OwnerMissed { why, again: Some(again), .. } => format!(
            "Whose it is was not told: {}. It is asked again at {again:.0}.",
            without_stop(why)
        ),
        What::OwnerMissed { why, again: None, .. } => {
            format!("Whose it is cannot be told: {}.", without_stop(why))
        }
        What::OwnerDropped { .. } => "Nobody wants to know any more whose it is.".to_owned(),
        What::IncidentClosed { closing, .. } => closed(closing),
        What::ShadowJudged { remedy, worth, after, .. } => {
            format!("{}.", begin(&shadow_judged(remedy, *worth, *after)))
        }
        What::LatchReleased { .. } => {
            "All its alerts have ended: what fires here from now on is a new incident.".to_owned()
        }
        What::NoticeRaised { notice } => notice_raised(notice),
        What::NoticeWithheld { open, .. } => format!(
            "A person should be told, and nobody is: {open} notices are open already, and there \
             may be no more."
        ),
        What::NoticeTold { .. } => "Everybody who must be told has been reached.".to_owned(),
        What::NoticeCleared { topic } => notice_cleared(topic),
        What::NoticeEnded { .. } => "Nobody is told anything further about it.".to_owned(),
        What::ClockJumped { jump } => clock_jumped(jump),
        What::EvidenceAsked { .. }
        | What::EpisodeListed { .. }
        | What::AlarmDropped { .. }
        | What::StormBegan { .. }
        | What::StormGauged { .. }
        | What::StormEnded { .. }
        | What::EngineStarted { .. }
        | What::BookChanged
        | What::ConfigurationLoaded { .. }
        | What::EnginePaused { .. }
        | What::ApprovalEnded { .. }
        | What::WatchdogSeen { .. }
        | What::EngineResumed { .. } => return None,
    })
}

/// Who must agree to what is asked.
fn people(asked: &Asked) -> String {
    match (asked.count, &asked.by) {
        (None, None) => "a person".to_owned(),
        (count, by) => agreeing(count, by.as_deref()),
    }
}

fn notice_cleared(topic: &Topic) -> String {
    let what = match topic {
        Topic::Approval { .. } => "Nobody has to answer any more",
        Topic::Escalation { .. } | Topic::Guard { .. } => "Nobody is needed for it any more",
    };
    format!("{what}, and that is told as well.")
}

fn clock_jumped(jump: &Jump) -> String {
    format!(
        "{}. What waits keeps its remaining time, what witnesses said is asked anew, and approvals \
         are void.",
        begin(&jump.to_string())
    )
}

fn commanded(command: Command, by: &Operator, reason: &str, ahead: Option<Terms>) -> String {
    let said = match (command, ahead) {
        (Command::Approve, None) => "approves".to_owned(),
        (Command::Approve, Some(Terms { uses, lasts })) => {
            format!("approves, and {uses} more runs like it within {lasts}")
        }
        (Command::Reject, _) => "rejects".to_owned(),
        (Command::Cancel, _) => "cancels".to_owned(),
        (Command::Retry, _) => "wants it tried again".to_owned(),
    };
    match reason {
        "" => format!("{by} {said}."),
        reason => format!("{by} {said}: {}.", without_stop(reason)),
    }
}

/// What was approved ahead, for the incidents to come.
fn stands(approval: &StandingApproval) -> String {
    let StandingApproval { remedy, uses, until, .. } = approval;
    format!(
        "{}: remedy {remedy} may start {uses} more times on this target until {until:.0} without a \
         question.",
        begin(&approval.to_string())
    )
}

/// By which standing approval a run starts.
fn approved_ahead(used: Option<&StandingUse>) -> String {
    used.map_or_else(String::new, |used| format!(" {}.", begin(&used.to_string())))
}

fn held_too(holds: &[Hold]) -> String {
    match holds {
        [] => String::new(),
        holds => format!(" It would have been held: {}.", holds_text(holds)),
    }
}

fn closed(closing: &Closing) -> String {
    let during = if closing.resolved_during_action {
        " The alert resolved while the remedy still ran."
    } else {
        ""
    };
    format!("Closed as {}: {}.{during}", closing.outcome, without_stop(&closing.reason))
}

fn notice_raised(notice: &Notice) -> String {
    let reason = without_stop(&notice.reason);
    match &notice.matter {
        Matter::Escalation { .. } | Matter::Guard { .. } => format!("A person is told: {reason}."),
        Matter::Approval { action, expires_at, .. } => {
            format!("A person is asked until {expires_at:.0} whether `{action}` may run: {reason}.")
        }
    }
}

/// The reasons of all holds, side by side.
pub(super) fn holds_text(holds: &[Hold]) -> String {
    let holds: Vec<String> = holds.iter().map(ToString::to_string).collect();
    holds.join("; ")
}

/// The holds, guard by guard.
pub(super) fn rulings(holds: &[Hold]) -> Vec<Ruling> {
    let ruling = |hold: &Hold| {
        let (guard, text) = (hold.guard().to_string(), hold.to_string());
        let reason = text.strip_prefix(&format!("{guard}: ")).unwrap_or(&text).to_owned();
        Ruling { guard, reason }
    };
    holds.iter().map(ruling).collect()
}

/// The grants, guard by guard.
pub(super) fn grants(grants: &[Grant]) -> Vec<Ruling> {
    let ruling =
        |grant: &Grant| Ruling { guard: grant.guard.to_string(), reason: grant.reason.clone() };
    grants.iter().map(ruling).collect()
}

fn episode_ended(name: &str, ending: &Ending) -> String {
    match ending {
        Ending::Resolved { .. } => format!("The source of alert {name} says that it resolved."),
        Ending::Superseded => format!(
            "Alert {name} fires again since a later time: that is a new trouble, and its firing of \
             before is over."
        ),
        Ending::Unproven { reason } => format!(
            "The source of alert {name} ended it, which proves nothing: {}.",
            without_stop(reason)
        ),
        Ending::Absent { since } => format!(
            "Alert {name} is over: whoever should know that it fires was asked twice and did not \
             name it, first at {since:.0}. No word that it resolved was received."
        ),
        Ending::Lapsed => format!(
            "Alert {name} lapsed: its source no longer mentions it. This does not prove that \
             anything healed."
        ),
    }
}

fn opened(
    incident: &IncidentView,
    relapse: Option<(IncidentId, Option<Held>)>,
    settles_at: Option<Timestamp>,
    tell_at: Option<Timestamp>,
) -> String {
    let relapse = relapse.map(|(earlier, held)| {
        let (soon, within) = match held {
            Some(Held { lasted, within }) => {
                let whole = Span::from_secs(lasted.as_millis() / 1000);
                (whole.to_string(), format!(" (relapse: {within})"))
            }
            None => ("soon".to_owned(), String::new()),
        };
        format!(
            " It came back {soon} after incident {earlier} was healed{within}, so what was tried then \
             is passed over."
        )
    });
    let settles =
        settles_at.map(|until| format!(" Nothing is done unless it still fires at {until:.0}."));
    let tells = tell_at.map(|at| format!(" A person is told if it is still open at {at:.0}."));
    format!(
        "Incident {} opened: policy {} takes care of {}.{}{}{}",
        incident.id,
        incident.policy,
        incident.target,
        relapse.unwrap_or_default(),
        settles.unwrap_or_default(),
        tells.unwrap_or_default()
    )
}

fn verification_began(until: Timestamp, is_asked: bool, resolved: bool) -> String {
    let so_far = if resolved { "All alerts resolved while the remedy ran. " } else { "" };
    let who = if is_asked {
        "Now it is checked whether that healed"
    } else {
        "Whether that healed, only the alert's own source can say"
    };
    format!("{so_far}{who}; the answer is due by {until:.0}.")
}

/// What a remedy in shadow would have been worth.
pub(super) fn shadow_judged(remedy: &RemedyName, worth: Worth, after: Span) -> String {
    // Nobody reads parts of a second of minutes.
    let whole = Span::from_secs(after.as_millis() / 1000);
    let after = if whole.is_zero() { after } else { whole };
    match worth {
        // Who ended it is not known: it may have been somebody who did what the remedy would have done.
        Worth::Needless => format!(
            "it ended without us after {after}, by itself or by somebody: remedy {remedy} counts as \
             needless"
        ),
        Worth::Needed => format!(
            "it still fired after {after}, the time that a healing by remedy {remedy} would have \
             had: it would have been needed"
        ),
    }
}

fn collected(order: &OrderId, moment: Moment, found: &[Found]) -> String {
    let when = match moment {
        Moment::Before => format!("Before {}", order.title()),
        Moment::After => "Afterwards".to_owned(),
    };
    let (vain, seen): (Vec<&Found>, Vec<&Found>) =
        found.iter().partition(|found| found.trouble.is_some());
    let names =
        |found: &[&Found]| found.iter().map(|found| &*found.name).collect::<Vec<_>>().join(", ");
    match (seen.is_empty(), vain.is_empty()) {
        (_, true) => format!("{when} it was looked at {}.", names(&seen)),
        (true, false) => format!("{when} it was looked at {}, in vain.", names(&vain)),
        (false, false) => {
            format!("{when} it was looked at {}, and in vain at {}.", names(&seen), names(&vain))
        }
    }
}

/// How long a run took, where that is known.
fn took(ended: &Ended, incident: &IncidentView) -> String {
    let order = incident.orders.iter().rev().find(|order| order.ended_at.is_some());
    match (ended.started_at, order.and_then(|order| order.ended_at)) {
        (Some(started_at), Some(ended_at)) => format!(" after {}", ended_at.since(started_at)),
        _ => String::new(),
    }
}

/// Begins a sentence.
fn begin(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn without_stop(text: &str) -> &str {
    text.strip_suffix('.').unwrap_or(text)
}

#[cfg(test)]
mod tests;
