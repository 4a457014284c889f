//! `(state, book, event, now) -> facts + effects`: every decision is made here, and nothing else
//! is done here.
//!
//! ```text
//!  event ─> table: what it means in this stage ─> a leaf: what is to become of it ─> write
//! ```
//!
//! [`table`] says what each event means in each stage of an incident. The leaves read a view and return
//! what is to become of the incident (`next`); they write nothing. `write` turns that into facts and
//! effects, on the desk. Each file uses only those above it, in the order below.

pub mod table;
mod view;
mod next;
mod desk;
mod notices;
mod hold;
mod closing;
mod approve;
mod undo;
mod prove;
mod pursue;
mod follow;
mod aftermath;
mod storm;
mod leaving;
mod observe;
mod owner;
mod write;
mod telling;
mod standing;
mod vote;
mod command;
mod halt;
mod account;

use std::collections::{BTreeMap, BTreeSet};

use crate::clock::Jump;
use crate::event::{Effect, Event};
use crate::evidence::Evidence;
use crate::fact::What;
use crate::incident::{Closing, Incident, Stage, Told};
use crate::limits;
use crate::name::{EpisodeId, IncidentId, OrderId};
use crate::order::{Ended, Found, Order, Outcome};
use crate::policy::Book;
use crate::process::{Process, still_run};
use crate::state::State;
use crate::time::Timestamp;

use desk::Desk;
use next::Next;
use table::{Moment, Step};
use view::{Presences, View};

pub use account::{Account, Contents, InShort, account};
pub use desk::Decision;

/// Decides what an event means.
pub fn decide(state: &State, book: &Book, event: Event, now: Timestamp) -> Decision {
    let mut desk = Desk::new(View { state, book, now });
    match event {
        Event::Started { boot } => {
            desk.note(What::EngineStarted { boot });
            desk.decision.effects = recover(state);
        }
        Event::ClockJumped(jump) => live_through(&mut desk, jump),
        Event::Observed { observation, presence, ignored, .. } => {
            let before = observe::Before { presence, ignored };
            observe::observe(&mut desk, *observation, &before);
        }
        Event::Vouched { observation, evidence } => {
            observe::vouched(&mut desk, &observation, &evidence);
        }
        Event::Unseen(episode) => observe::lapse(&mut desk, episode),
        Event::Listed(episode) => desk.note(What::EpisodeListed { episode }),
        Event::Mentioned(episode) => desk.note(What::EpisodeMentioned { episode }),
        Event::Sighted { episode, sightings } => {
            desk.note(What::EpisodeSighted { episode, sightings });
        }
        Event::OwnerDue(episode) => owner::due(&mut desk, episode),
        Event::OwnerTold { episode, evidence } => owner::told(&mut desk, episode, &evidence),
        Event::Missing { episode, since } => observe::miss(&mut desk, episode, since),
        // The engine has counted them, and sends those that are missing.
        Event::Polled(_) | Event::RulesPolled { .. } => {}
        Event::Answered { incident, step, evidence, presence } => {
            if let Some(incident) = state.incident(incident).filter(|i| i.step == step) {
                take(&mut desk, incident, Moment::Answer, &presence, Some(&evidence));
            }
        }
        Event::Ready { incident, presence } => {
            if let Some(incident) = state.incident(incident) {
                take(&mut desk, incident, Moment::Due, &presence, None);
            }
        }
        Event::Woke { incident, presence } => wake(&mut desk, incident, &presence),
        Event::OrderProgressed { order, text } => note_progress(&mut desk, order, &text),
        Event::Collected { order, moment, found } => {
            desk.note(What::Collected { order, moment, found });
        }
        Event::OrderEnded { order, ended } => end_order(&mut desk, &order, ended, false),
        Event::OrderFound { order, found } => find_order(&mut desk, &order, found),
        Event::OrderGone(order) => let_go(&mut desk, order),
        Event::Calmed(policy) => storm::calm(&mut desk, &policy),
        Event::NoticeTold(notice) => telling::told(&mut desk, &notice),
        Event::NoticeEnded(topic) => telling::ended(&mut desk, topic),
        Event::Pause { by, reason } => {
            desk.decision.reply = Some(halt::pause(&mut desk, by, reason));
        }
        Event::Resume { by, reason } => {
            desk.decision.reply = Some(halt::resume(&mut desk, by, reason));
        }
        Event::Command { incident, command, seen, ahead, by, reason } => {
            let word = vote::Word { by, reason, seen, ahead };
            desk.decision.reply = Some(command::obey(&mut desk, incident, command, &word));
        }
        Event::Revoke { approval, by, reason } => {
            desk.decision.reply = Some(standing::revoke(&mut desk, approval, by, reason));
        }
        Event::ApprovalExpired(approval) => standing::expire(&mut desk, approval),
        Event::Configured(configuration) => {
            desk.note(What::ConfigurationLoaded { configuration: *configuration });
        }
        Event::Reloaded => reload(&mut desk),
    }
    telling::guards(&mut desk);
    storm::rest(&mut desk);
    desk.decision
}

/// Does what the table says: a leaf tells what is to become of the incident, and it is written.
fn take(
    desk: &mut Desk<'_>,
    incident: &Incident,
    moment: Moment,
    presence: &Presences,
    evidence: Option<&Evidence>,
) {
    let step = desk.step(moment, incident);
    let course = course(desk.view(), incident, step, presence, evidence);
    write::write(desk, incident, course);
}

/// What is to become of an incident by a step of the table that needs no more than this. The table gives
/// no other stage to a step.
fn course(
    view: View<'_>,
    incident: &Incident,
    step: Step,
    presence: &Presences,
    evidence: Option<&Evidence>,
) -> Vec<Next> {
    let worse = incident.seeks.worse();
    let proven = incident.stage.verification().zip(incident.order.as_deref());
    match step {
        Step::Pursue => match worse {
            Some(worse) => vec![undo::pursue(view, incident, worse, evidence)],
            None => pursue::pursue(view, incident, presence, evidence),
        },
        Step::HoldUnanswered => match worse {
            Some(worse) => vec![undo::no_answer(view, incident, worse)],
            None => pursue::no_answer(view, incident),
        },
        Step::Recover if incident.all_ended() => pursue::after_all_ended(view, incident),
        Step::Expire => incident.stage.asked().map_or_else(Vec::new, approve::expire),
        Step::Look => proven.map_or_else(Vec::new, |(verification, order)| {
            prove::wake(view, incident, verification, order)
        }),
        Step::Read => {
            proven.zip(evidence).map_or_else(Vec::new, |((verification, order), said)| {
                prove::read(view, incident, verification, order, (said, presence))
            })
        }
        Step::Heal => proven
            .map_or_else(Vec::new, |(verification, _)| prove::heal(view, incident, verification)),
        Step::GiveUp => worse.map(|worse| undo::give_up(incident, worse)).into_iter().collect(),
        Step::LookAfter => {
            // What is over needs no look any more.
            if let Some(next) = leaving::settle(view, incident) {
                return vec![next];
            }
            let mut course = leaving::overdue(view, incident);
            let left = incident.aftermath.as_ref();
            course.extend(left.and_then(|left| aftermath::wake(view, incident, left)));
            course
        }
        Step::ReadAfter => {
            incident.aftermath.as_ref().zip(evidence).map_or_else(Vec::new, |(left, evidence)| {
                aftermath::read(view, incident, left, evidence)
            })
        }
        Step::Settle => leaving::settle(view, incident).into_iter().collect(),
        // Nothing, or what needs more than this: it is taken where that is known.
        Step::Nothing
        | Step::Recover
        | Step::Void
        | Step::Note
        | Step::Follow
        | Step::Return
        | Step::EndRun
        | Step::Approve
        | Step::Reject
        | Step::Cancel
        | Step::Hush
        | Step::OpenAnother
        | Step::Refuse
        | Step::Review => Vec::new(),
    }
}

fn wake(desk: &mut Desk<'_>, incident: IncidentId, presence: &Presences) {
    let (state, now) = (desk.state, desk.now);
    let Some(incident) = state.incident(incident) else { return };
    if incident.tell_at.is_some_and(|at| at <= now) {
        telling::delay(desk, incident);
    }
    if incident.approval_expires_at().is_some_and(|at| at <= now) {
        take(desk, incident, Moment::Unused, presence, None);
    } else if incident.stage_wakes_at().is_some_and(|at| at <= now) {
        take(desk, incident, Moment::Alarm, presence, None);
    }
}

/// Lists what must be done again after a restart: running orders are asked about, those that were
/// told to end are told again, in case they go on and did not hear it, and so is what is owed to
/// people.
pub fn recover(state: &State) -> Vec<Effect> {
    let running = state
        .incidents()
        .filter_map(|incident| match &incident.stage {
            Stage::Acting(running) => Some((running, incident.order.as_ref()?)),
            _ => None,
        })
        .flat_map(|(running, order)| {
            let (order, issued_in) = (order.id.clone(), order.boot.clone());
            let cancel = (running.told == Told::ToEnd).then(|| Effect::Cancel(order.clone()));
            [Some(Effect::Inquire { order, issued_in }), cancel].into_iter().flatten()
        });
    let left = state.ledgers().stragglers.iter().filter(|run| !run.left.is_empty());
    let watched = left.map(|run| Effect::Watch {
        order: run.order.clone(),
        issued_in: run.boot.clone(),
        left: run.left.clone(),
    });
    running.chain(watched).chain(state.notices().flat_map(telling::again)).collect()
}

/// The incident whose last order this is.
fn of_last_order<'a>(state: &'a State, order: &OrderId) -> Option<(&'a Incident, &'a Order)> {
    let incident = state.incident(order.incident)?;
    let last = incident.order.as_deref().filter(|last| last.id == *order)?;
    Some((incident, last))
}

/// Writes down what a run says of itself: on one line, of bounded length, and not too often.
fn note_progress(desk: &mut Desk<'_>, order: OrderId, text: &str) {
    let Some((incident, _)) = of_last_order(desk.state, &order) else { return };
    let (Step::Note, Stage::Acting(running)) =
        (desk.step(Moment::Progress, incident), &incident.stage)
    else {
        return;
    };
    if running.progressed >= limits::ORDER_PROGRESS {
        return;
    }
    let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.retain(|c| !c.is_control());
    if text.len() > limits::PROGRESS_BYTES {
        text.truncate(text.floor_char_boundary(limits::PROGRESS_BYTES));
        text.push('…');
    }
    if !text.is_empty() {
        desk.note(What::OrderProgressed { order, text });
    }
}

fn end_order(desk: &mut Desk<'_>, order: &OrderId, ended: Ended, after_crash: bool) {
    let Some((incident, run)) = of_last_order(desk.state, order) else { return };
    let (Step::Follow, Stage::Acting(running)) =
        (desk.step(Moment::RunOver, incident), &incident.stage)
    else {
        return;
    };
    let Ended { outcome, left, .. } = ended.clone();
    desk.note(What::OrderEnded { order: order.clone(), ended });
    if !left.is_empty() {
        tell_what_is_left(desk, incident, run, left);
    }
    let end = (&outcome, after_crash);
    let next = follow::after_run(desk.view(), incident, (run, running), end);
    write::write(desk, incident, [next]);
}

/// A person must know what could not be ended: what it locked stays locked until it is gone.
fn tell_what_is_left(desk: &mut Desk<'_>, incident: &Incident, order: &Order, left: Vec<Process>) {
    let title = order.id.title();
    let reason =
        format!("{title}: {}; until it is gone nothing else is done there", still_run(&left));
    write::tell(desk, incident, reason);
    desk.want(Effect::Watch { order: order.id.clone(), issued_in: order.boot.clone(), left });
}

fn find_order(desk: &mut Desk<'_>, order: &OrderId, found: Found) {
    match found {
        Found::NotStarted => {
            let Some((incident, _)) = of_last_order(desk.state, order) else { return };
            if desk.step(Moment::NotStarted, incident) == Step::Return {
                desk.note(What::OrderReturned { order: order.clone() });
            }
        }
        Found::Ended(ended) => end_order(desk, order, ended, false),
        Found::Unknown(reason) => {
            let (outcome, output) = (Outcome::Unknown { reason }, String::new());
            let ended = Ended { outcome, started_at: None, output, left: Vec::new() };
            end_order(desk, order, ended, true);
        }
    }
}

/// Takes note that what could not be ended of a run has ended.
fn let_go(desk: &mut Desk<'_>, order: OrderId) {
    if desk.state.ledgers().stragglers.left(&order).is_some() {
        desk.note(What::OrderGone { order });
    }
}

/// Nobody knows how long a question waited, or how old what was approved is.
fn live_through(desk: &mut Desk<'_>, jump: Jump) {
    let why = jump.to_string();
    desk.note(What::ClockJumped { jump });
    for incident in desk.state.incidents() {
        if desk.step(Moment::Jumped, incident) == Step::Void {
            write::write(desk, incident, approve::expire_by(incident, &why));
        }
    }
    standing::live_through(desk, &why);
}

fn reload(desk: &mut Desk<'_>) {
    desk.note(What::BookChanged);
    storm::forget(desk);
    standing::review(desk);
    for incident in desk.state.incidents() {
        let step = desk.step(Moment::Reloaded, incident);
        if let (Step::Review, Stage::AwaitingApproval(asked)) = (step, &incident.stage) {
            let deed = pursue::next_deed(desk.view(), incident);
            write::write(desk, incident, approve::review(asked, deed));
        }
    }
    let mut opened = BTreeMap::new();
    let released = release_those_whose_policy_is_back(desk);
    // In the order in which they began, as everywhere.
    let firing: BTreeSet<EpisodeId> = desk.state.all_firing().collect();
    for id in firing {
        let Some(episode) = desk.state.episode(id) else { continue };
        let known = (&episode.alert, &episode.owners[..]);
        observe::open_incidents(desk, id, known, &mut opened, &released);
    }
}

/// Lifts the latches of incidents that closed only because their policy was removed, and whose alerts
/// open another one now that it is back.
fn release_those_whose_policy_is_back(desk: &mut Desk<'_>) -> BTreeSet<IncidentId> {
    let view = desk.view();
    let is_back = |incident: &&Incident| {
        incident.stage.closing().is_some_and(Closing::is_for_want_of_policy)
            && incident.episodes.firing().filter_map(|id| view.state.episode(id)).any(|episode| {
                observe::is_taken(view.book, incident, &episode.alert, &episode.owners)
            })
    };
    // What was lost sight of opens nothing anew, nor does what became worse: people keep what they
    // know of it.
    let is_kept = |incident: &&Incident| {
        incident.watches_worse() || (incident.unheard && view.state.is_owed_unheard(incident))
    };
    let back = view.state.incidents().filter(is_back).filter(|incident| !is_kept(incident));
    let released = back.map(|incident| {
        leaving::release(desk, incident);
        incident.id
    });
    released.collect()
}
