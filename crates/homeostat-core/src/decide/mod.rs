//! `(state, book, event, now) -> facts + effects`: every decision is made here, and nothing else
//! is done here.
//!
//! One visible table says what each event means in each stage of an incident; the leaves compute.
//!
//! | event | settling | ready, held, backing off | asking | acting | verifying | closed |
//! |---|---|---|---|---|---|---|
//! | alarm | pursue | pursue | hold: no answer | – | look, miss, or conclude | tell, judge shadows, look after |
//! | next step due | recover | pursue | recover | – | heal | say that sight is lost, or release |
//! | answer | – | – | pursue | – | read | read what was looked after |
//! | progress | – | – | – | note | – | – |
//! | run over | – | – | – | verify, retry, climb, close | – | – |
//! | approve, reject | refuse | refuse | refuse | refuse | refuse | refuse |
//! | cancel | close | close | close | end the run | close | clear its notice |
//! | retry | refuse | refuse | refuse | refuse | refuse | open another |
//!
//! | event | awaiting approval |
//! |---|---|
//! | alarm | hand over: nobody answered in time |
//! | next step due | recover |
//! | approve | pursue: all guards judge again |
//! | reject, cancel | close |
//! | reloaded | ask anew, or pursue, if it would do something else now |
//! | clock jumped | hand over: nobody knows how long it waited |
//!
//! An incident whose order made something else worse passes the same stages once more, for the undo:
//! then only `pursue` differs, and what ends its alerts moves it no more.
//!
//! Recover: all alerts ended by themselves. A verification that finds the alert still firing
//! climbs to the next remedy; one that knows nothing hands over to a person; one whose rules may only
//! remember goes on. A notification is judged whole: what its ends lead to is decided after all of it
//! (`engine`).

mod account;
mod aftermath;
mod approve;
mod closing;
mod command;
mod observe;
mod prove;
mod pursue;
mod reasons;
mod shadow;
mod storm;
mod telling;
mod undo;

use std::collections::{BTreeMap, BTreeSet};

use crate::alert::{Alert, Presence};
use crate::clock::Jump;
use crate::command::Reply;
use crate::event::{Effect, Event, Remark};
use crate::fact::{Fact, What};
use crate::healing::{Look, Patient, Verdict};
use crate::incident::{Closing, Incident, Stage, Standing, Told};
use crate::ledger::Pause;
use crate::limits;
use crate::name::{EpisodeId, IncidentId, OrderId};
use crate::order::{Ended, Found, Order, Outcome};
use crate::policy::Book;
use crate::process::{Process, still_run};
use crate::state::State;
use crate::time::Timestamp;

pub use account::{Account, Contents, InShort, account};

/// What one event leads to.
#[derive(Debug, Default)]
pub struct Decision {
    /// What happened, in order.
    pub facts: Vec<Fact>,
    /// What is wanted of the world.
    pub effects: Vec<Effect>,
    /// What an observation came to.
    pub remark: Option<Remark>,
    /// What a command about an incident came to.
    pub reply: Option<Reply>,
    /// Incidents whose next step is due once all this is applied, one after the other: each must
    /// see what the one before it took.
    pub woken: Vec<IncidentId>,
}

/// Everything a decision is made from, and the decision as it grows.
struct Desk<'a> {
    state: &'a State,
    book: &'a Book,
    now: Timestamp,
    decision: Decision,
    /// Notices that this decision has raised on topics that were not open.
    raised: usize,
}

impl Desk<'_> {
    fn note(&mut self, what: What) {
        self.decision.facts.push(Fact { at: self.now, what });
    }

    /// What the wall clock shows: calendars and the stamps of others are compared with it.
    fn wall(&self) -> Timestamp {
        self.state.clock().wall(self.now)
    }

    fn want(&mut self, effect: Effect) {
        self.decision.effects.push(effect);
    }
}

/// When an incident's alerts were last mentioned.
type Presences = [(EpisodeId, Presence)];

/// Decides what an event means.
pub fn decide(state: &State, book: &Book, event: Event, now: Timestamp) -> Decision {
    let mut desk = Desk { state, book, now, decision: Decision::default(), raised: 0 };
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
        Event::Missing { episode, since } => observe::miss(&mut desk, episode, since),
        // The engine has counted them, and sends those that are missing.
        Event::Polled(_) | Event::RulesPolled { .. } => {}
        Event::Answered { incident, step, evidence, presence } => {
            if let Some(incident) = state.incident(incident).filter(|i| i.step == step) {
                match &incident.stage {
                    Stage::Asking { .. } => {
                        pursue::pursue(&mut desk, incident, &presence, Some(&evidence));
                    }
                    Stage::Verifying(verification) => {
                        if let Look::Asked(_) = verification.look {
                            prove::read(&mut desk, incident, verification, (&evidence, &presence));
                        }
                    }
                    Stage::Closed { .. } => {
                        if let Some(left) = &incident.aftermath
                            && let Look::Asked(_) = left.look
                        {
                            aftermath::read(&mut desk, incident, left, &evidence);
                        }
                    }
                    Stage::Settling { .. }
                    | Stage::Ready
                    | Stage::Held { .. }
                    | Stage::BackingOff { .. }
                    | Stage::AwaitingApproval(_)
                    | Stage::Acting(_)
                    | Stage::Lost { .. } => {}
                }
            }
        }
        Event::Ready { incident, presence } => {
            if let Some(incident) = state.incident(incident) {
                step(&mut desk, incident, &presence);
            }
        }
        Event::Woke { incident, presence } => {
            if let Some(incident) = state.incident(incident) {
                wake(&mut desk, incident, &presence);
            }
        }
        Event::OrderProgressed { order, text } => note_progress(&mut desk, order, &text),
        Event::OrderEnded { order, ended } => end_order(&mut desk, &order, ended),
        Event::OrderGone(order) => {
            if state.ledgers().stragglers.left(&order).is_some() {
                desk.note(What::OrderGone { order });
            }
        }
        Event::OrderFound { order, found } => find_order(&mut desk, &order, found),
        Event::Calmed(policy) => storm::calm(&mut desk, &policy),
        Event::NoticeTold(notice) => telling::told(&mut desk, &notice),
        Event::NoticeEnded(topic) => telling::ended(&mut desk, topic),
        Event::Pause { by, reason } => {
            desk.note(What::EnginePaused { pause: Pause { by, reason, since: now } });
        }
        Event::Resume { by } => {
            if state.ledgers().paused.is_some() {
                desk.note(What::EngineResumed { by });
            }
        }
        Event::Command { incident, command, seen, by, reason } => {
            let word = command::Word { by, reason };
            let reply = command::obey(&mut desk, incident, command, seen.as_ref(), &word);
            desk.decision.reply = Some(reply);
        }
        Event::Reloaded => reload(&mut desk),
    }
    telling::guards(&mut desk);
    storm::rest(&mut desk);
    desk.decision
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

fn step(desk: &mut Desk<'_>, incident: &Incident, presence: &Presences) {
    match &incident.stage {
        Stage::Settling { .. } | Stage::Asking { .. } | Stage::AwaitingApproval(_) => {
            if incident.all_ended() {
                pursue::after_all_ended(desk, incident);
            }
        }
        Stage::Ready | Stage::Held { .. } | Stage::BackingOff { .. } => {
            pursue::pursue(desk, incident, presence, None);
        }
        Stage::Acting(_) | Stage::Lost { .. } => {}
        Stage::Verifying(verification) => {
            if let Verdict::Healed(healing) = desk.state.verdict(incident, verification) {
                closing::heal(desk, incident, verification, &healing);
            }
        }
        Stage::Closed { .. } => {
            if incident.all_ended() {
                closing::settle(desk, incident);
            }
        }
    }
}

fn wake(desk: &mut Desk<'_>, incident: &Incident, presence: &Presences) {
    let now = desk.now;
    if incident.tell_at.is_some_and(|at| at <= now) {
        telling::delay(desk, incident);
    }
    if incident.is_closed() {
        shadow::overdue(desk, incident);
        if let Some(left) = &incident.aftermath {
            aftermath::wake(desk, incident, left);
        }
    }
    match &incident.stage {
        _ if incident.approval_expires_at().is_some_and(|at| at <= now) => {
            pursue::pursue(desk, incident, presence, None);
        }
        Stage::AwaitingApproval(asked) if asked.expires_at <= now => {
            approve::expire(desk, incident, asked);
        }
        Stage::Settling { until } | Stage::BackingOff { until } if *until <= now => {
            pursue::pursue(desk, incident, presence, None);
        }
        Stage::Held { until: Some(until), .. } if *until <= now => {
            pursue::pursue(desk, incident, presence, None);
        }
        Stage::Asking { asked_at } if now.since(*asked_at) >= limits::ANSWER_PATIENCE => {
            pursue::no_answer(desk, incident);
        }
        Stage::Verifying(verification) => prove::wake(desk, incident, verification),
        Stage::Lost { until } if *until <= now => undo::give_up(desk, incident),
        Stage::Settling { .. }
        | Stage::BackingOff { .. }
        | Stage::Held { .. }
        | Stage::Asking { .. }
        | Stage::AwaitingApproval(_)
        | Stage::Ready
        | Stage::Acting(_)
        | Stage::Lost { .. }
        | Stage::Closed { .. } => {}
    }
}

/// The incident that waits for this order, if one does.
fn acting_on<'a>(state: &'a State, order: &OrderId) -> Option<&'a Incident> {
    state.incident(order.incident).filter(|incident| {
        incident.is_acting() && incident.order.as_ref().is_some_and(|o| o.id == *order)
    })
}

/// Writes down what a run says of itself: on one line, of bounded length, and not too often.
fn note_progress(desk: &mut Desk<'_>, order: OrderId, text: &str) {
    let Some(incident) = acting_on(desk.state, &order) else { return };
    let Stage::Acting(running) = &incident.stage else { return };
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

fn end_order(desk: &mut Desk<'_>, order: &OrderId, ended: Ended) {
    let Some(incident) = acting_on(desk.state, order) else { return };
    let outcome = ended.outcome.clone();
    let left = ended.left.clone();
    desk.note(What::OrderEnded { order: order.clone(), ended });
    if let (false, Some(run)) = (left.is_empty(), &incident.order) {
        tell_what_is_left(desk, incident, run, left);
    }
    pursue::after_order(desk, incident, &outcome, false);
}

/// A person must know what could not be ended: what it locked stays locked until it is gone.
fn tell_what_is_left(desk: &mut Desk<'_>, incident: &Incident, order: &Order, left: Vec<Process>) {
    let title = order.id.title();
    let reason =
        format!("{title}: {}; until it is gone nothing else is done there", still_run(&left));
    let escalate = desk.book.policy(&incident.policy).map(|policy| &policy.escalate);
    let otherwise = telling::unless_said_otherwise();
    telling::escalate(desk, incident, escalate.unwrap_or(&otherwise), reason);
    desk.want(Effect::Watch { order: order.id.clone(), issued_in: order.boot.clone(), left });
}

fn find_order(desk: &mut Desk<'_>, order: &OrderId, found: Found) {
    let Some(incident) = acting_on(desk.state, order) else { return };
    match found {
        Found::NotStarted => desk.note(What::OrderReturned { order: order.clone() }),
        Found::Ended(ended) => end_order(desk, order, ended),
        Found::Unknown(reason) => {
            let outcome = Outcome::Unknown { reason };
            let ended = Ended {
                outcome: outcome.clone(),
                started_at: None,
                output: String::new(),
                left: Vec::new(),
            };
            desk.note(What::OrderEnded { order: order.clone(), ended });
            pursue::after_order(desk, incident, &outcome, true);
        }
    }
}

/// Nobody knows how long a question waited, or how old what was approved is.
fn live_through(desk: &mut Desk<'_>, jump: Jump) {
    let why = jump.to_string();
    desk.note(What::ClockJumped { jump });
    for incident in desk.state.incidents() {
        approve::expire_by(desk, incident, &why);
    }
}

fn reload(desk: &mut Desk<'_>) {
    desk.note(What::BookChanged);
    storm::forget(desk);
    for incident in desk.state.incidents() {
        approve::review(desk, incident);
    }
    let mut opened = BTreeMap::new();
    let released = release_those_whose_policy_is_back(desk);
    for id in desk.state.all_firing() {
        let Some(episode) = desk.state.episode(id) else { continue };
        observe::open_incidents(desk, id, &episode.alert, &mut opened, &released);
    }
}

/// Lifts the latches of incidents that closed only because their policy was removed, and whose alerts
/// open another one now that it is back.
fn release_those_whose_policy_is_back(desk: &mut Desk<'_>) -> BTreeSet<IncidentId> {
    let (state, book) = (desk.state, desk.book);
    let is_back = |incident: &&Incident| {
        incident.stage.closing().is_some_and(Closing::is_for_want_of_policy)
            && firing(state, incident).any(|(_, alert)| observe::is_taken(book, incident, alert))
    };
    // What was lost sight of opens nothing anew, nor does what became worse: people keep what they
    // know of it.
    let is_kept = |incident: &&Incident| {
        incident.watches_worse() || (incident.unheard && state.is_owed_unheard(incident))
    };
    let back = state.incidents().filter(is_back).filter(|incident| !is_kept(incident));
    let released = back.map(|incident| {
        closing::release(desk, incident);
        incident.id
    });
    released.collect()
}

/// The incident's alerts that fire, the leading one first.
fn firing<'a>(
    state: &'a State,
    incident: &'a Incident,
) -> impl Iterator<Item = (EpisodeId, &'a Alert)> {
    let firing = incident.episodes.iter().filter(|a| a.standing == Standing::Firing);
    firing.filter_map(|a| Some((a.episode, &state.episode(a.episode)?.alert)))
}

/// The incident's alerts whose healing is proven, those that fire first, as many as may be asked about
/// and all whose source has not said that they resolved.
fn patients<'a>(state: &'a State, incident: &'a Incident) -> impl Iterator<Item = Patient<'a>> {
    let mut all = state.patients(incident);
    all.sort_by_key(|patient| patient.resolved);
    all.into_iter().take(limits::ASKED_ALERTS)
}

/// The incident's alerts, those that fire first, each with when it ended, if it did.
fn alerts<'a>(state: &'a State, incident: &Incident) -> Vec<(&'a Alert, Option<Timestamp>)> {
    let episodes = incident.episodes.iter().filter_map(|a| state.episode(a.episode));
    let mut alerts: Vec<_> = episodes.map(|e| (&e.alert, e.ended_at)).collect();
    alerts.sort_by_key(|(_, ended_at)| ended_at.is_some());
    alerts
}

/// The incident's alerts that one question may ask about, with their episodes.
fn asked_episodes<'a>(
    state: &'a State,
    incident: &'a Incident,
) -> impl Iterator<Item = (EpisodeId, &'a Alert)> {
    patients(state, incident).map(|patient| (patient.episode, patient.alert))
}

/// The incident's alerts that one question may ask about.
fn asked_alerts<'a>(state: &'a State, incident: &'a Incident) -> impl Iterator<Item = &'a Alert> {
    let alerts = alerts(state, incident).into_iter().map(|(alert, _)| alert);
    alerts.take(limits::ASKED_ALERTS)
}

fn presence_of(presences: &Presences, id: EpisodeId, began_at: Timestamp) -> Presence {
    let known = presences.iter().find(|(episode, _)| *episode == id).map(|(_, p)| *p);
    known.unwrap_or(Presence::unknown(began_at))
}

/// The number of an incident opened in this very decision.
fn nth_incident(state: &State, already_opened: u64) -> IncidentId {
    IncidentId(state.next_incident().0 + already_opened)
}
