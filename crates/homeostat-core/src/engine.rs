//! The turn as a plain synchronous value.
//!
//! ```text
//!  events ─> decide ─> apply ─> decide ─> apply … alarms … next steps ─> Turn { facts, effects }
//! ```
//!
//! Each event sees what those before it in the group changed, so two alerts of one group never
//! both open an incident. The caller commits the facts of the turn as one group and only then
//! performs its effects. If the commit fails, the engine has run ahead of the journal: throw it
//! away and [`Engine::restore`] it from what was committed.
//!
//! When an alert was last mentioned (its presence) is kept here, outside the state: repeats write
//! nothing, and most are answered without a turn ([`crate::repeats`]).

mod absences;
mod owners;
mod rest;
mod watchdogs;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::alert::{AlertKey, Door, Episode, Presence, Status};
use crate::clock::{Clock, Jump};
use crate::collections::{RisingMap, RisingSet};
use crate::command::Reply;
use crate::decide::table::Moment;
use crate::decide::{Account, account, decide};
use crate::event::{Effect, Event, Remark};
use crate::fact::{Fact, What};
use crate::incident::{Incident, StageKind};
use crate::label::LabelSet;
use crate::limits;
use crate::name::{EpisodeId, IncidentId};
use crate::policy::{Book, Policy, Watchdog};
use crate::state::State;
use crate::time::Timestamp;

use absences::{Absences, Rounds};
use owners::UnderWay;
use watchdogs::Watchdogs;

/// As many come of a new alert that is only observed: room is made for them once.
const FACTS_OF_AN_EVENT: usize = 3;

/// What one group of events came to.
#[derive(Debug, Default)]
pub struct Turn {
    /// What happened, to be committed as one group.
    pub facts: Vec<Fact>,
    /// What is wanted of the world, once the facts are committed.
    pub effects: Vec<Effect>,
    /// What each event of the group came to, for those that were observations.
    pub remarks: Vec<Option<Remark>>,
    /// What each event of the group came to, for those that were commands about an incident.
    pub replies: Vec<Option<Reply>>,
    /// Which places of the table of events and stages it was decided by.
    pub walked: BTreeSet<(Moment, StageKind)>,
    /// Episodes of which a repeat was heard.
    pub repeated: Vec<EpisodeId>,
    /// Episodes that have ended, and whose incidents were not looked at yet.
    pub(crate) ended: Vec<EpisodeId>,
}

/// When an episode was last mentioned, when it lapses, and when its timer goes off.
#[derive(Debug, Clone, Copy)]
struct Mentioned {
    presence: Presence,
    due: Timestamp,
    timer: Timestamp,
}

/// The decision core with its state, its book, and its memory of who was mentioned when.
#[derive(Debug)]
pub struct Engine {
    state: State,
    book: Arc<Book>,
    presence: RisingMap<EpisodeId, Mentioned>,
    /// Of those that ended in the last turn: they fire on if its commit fails.
    ended: BTreeMap<EpisodeId, Mentioned>,
    lapses: RisingSet<(Timestamp, EpisodeId)>,
    watchdogs: Watchdogs,
    /// The last jump of the wall clock that the presences have lived through.
    jumped_to: Option<Timestamp>,
    absences: Absences,
    /// The alerts of the alerts API that fire.
    by_api: RisingSet<EpisodeId>,
    rounds: Rounds,
    owners: UnderWay,
    /// How often each alert was ignored as a late repeat since it ended.
    ignored: BTreeMap<AlertKey, u32>,
}

impl Engine {
    /// Goes on from a state. What was mentioned when is not known any more: its timers start anew.
    pub fn restore(state: State, book: Arc<Book>, now: Timestamp) -> Self {
        let state_of_nothing = State::default();
        let (presence, lapses) = (RisingMap::default(), RisingSet::default());
        let mut engine = Self {
            state: state_of_nothing,
            book,
            presence,
            ended: BTreeMap::new(),
            lapses,
            watchdogs: Watchdogs::default(),
            jumped_to: None,
            absences: Absences::default(),
            by_api: RisingSet::default(),
            rounds: Rounds::new(now),
            owners: UnderWay::new(),
            ignored: BTreeMap::new(),
        };
        engine.rebuild(state, now);
        engine
    }

    /// Goes on from an earlier state, after a commit that failed. What was mentioned when is kept
    /// for the episodes that the state knows, those too that ended in what was not committed.
    pub fn rebuild(&mut self, state: State, now: Timestamp) {
        let ended = std::mem::take(&mut self.ended);
        let before = std::mem::take(&mut self.presence);
        self.lapses.clear();
        self.absences.rebuild(state.next_episode());
        self.by_api.clear();
        self.rounds = Rounds::new(now);
        self.owners.clear();
        self.state = state;
        self.watchdogs = Watchdogs::find(&self.book, &self.state);
        let firing: Vec<EpisodeId> = self.state.all_firing().collect();
        for id in firing {
            match before.get(&id).or_else(|| ended.get(&id)) {
                Some(known) => self.watch(id, known.presence, known.due),
                None => self.remember(id, now),
            }
        }
    }

    /// Takes what the journal knows of an alert's presence. Its timers start anew.
    fn remember(&mut self, id: EpisodeId, now: Timestamp) {
        let Some(episode) = self.state.episode(id) else { return };
        let clock = self.state.clock();
        let presence = Presence::written(episode, clock);
        let due = lapses_at(episode, Presence::unknown(now), clock);
        self.watch(id, presence, due);
    }

    /// Returns what is known.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Returns the policies in force.
    pub fn book(&self) -> &Arc<Book> {
        &self.book
    }

    /// Tells what the guards have counted for an alert, and what each would say of an order now.
    /// Changes nothing, and asks nobody.
    pub fn account(
        &self,
        labels: &LabelSet,
        annotations: &LabelSet,
        now: Timestamp,
    ) -> Vec<Account> {
        let presences = |policy: &Policy| self.presence_of_watchdog(policy).collect();
        account(&self.state, &self.book, (labels, annotations), presences, now)
    }

    /// Takes a new book. Follow it with [`Event::Reloaded`], so that what waits is judged anew.
    pub fn replace_book(&mut self, book: Arc<Book>) {
        self.book = book;
        self.absences.clear();
        self.watchdogs = Watchdogs::find(&self.book, &self.state);
    }

    /// Returns when the engine must turn again though nothing happens.
    pub fn next_wake(&self) -> Option<Timestamp> {
        if self.state.first_ready().is_some() {
            return Some(Timestamp::MIN);
        }
        let alarm = self.state.first_alarm().map(|(at, _)| at);
        let lapse = self.lapses.first().map(|(at, _)| *at);
        let calm = self.state.ledgers().storms().first_end().map(|(at, _)| *at);
        let over = self.state.approvals().first_end().map(|(at, _)| at);
        let all = [alarm, lapse, calm, over, self.next_round(), self.next_owner()];
        all.into_iter().flatten().min()
    }

    /// Decides and applies each event of a group, then what has become due. What the turn before
    /// came to is committed.
    pub fn turn(&mut self, events: impl IntoIterator<Item = Event>, now: Timestamp) -> Turn {
        let events = events.into_iter();
        let facts = Vec::with_capacity(FACTS_OF_AN_EVENT * events.size_hint().0);
        let mut turn = Turn { facts, ..Turn::default() };
        self.ended.clear();
        self.absences.commit();
        let mut taken = 0;
        for event in events {
            taken += 1;
            // A notification is judged whole: no incident closes by a part of it.
            let more = matches!(event, Event::Observed { more: true, .. });
            let (remark, reply) = self.step(event, now, &mut turn);
            if !more {
                self.follow_the_ends(now, &mut turn);
            }
            turn.remarks.push(remark);
            turn.replies.push(reply);
        }
        self.follow_the_ends(now, &mut turn);
        self.lapse(now, &mut turn);
        self.end_storms(now, &mut turn);
        self.end_approvals(now, &mut turn);
        self.ask_owners(now, &mut turn);
        self.sound_alarms(now, &mut turn);
        // As many as came: else what waits would grow for as long as many come.
        self.take_next_steps(limits::PURSUED_PER_TURN.max(taken), now, &mut turn);
        self.make_round(now, &mut turn);
        turn
    }

    /// Tells apart what may be one alert or another, by those that fire.
    fn tell_apart(&self, mut event: Event) -> Event {
        let (evidence, about) = match &mut event {
            Event::Answered { evidence, incident, .. } => {
                (evidence, self.state.incident(*incident))
            }
            Event::Vouched { evidence, .. } | Event::RulesPolled { evidence, .. } => {
                (evidence, None)
            }
            _ => return event,
        };
        let is_crowded = |i: &&Incident| i.episodes.len() > limits::ASKED_ALERTS;
        let patients =
            about.into_iter().filter(|i| !is_crowded(i)).flat_map(|i| self.state.patients(i));
        let beside: Vec<&LabelSet> = patients.map(|p| &p.alert.labels).collect();
        let beside = about.is_none_or(|i| !is_crowded(&i)).then_some(&*beside);
        evidence.tell_apart(|labels| self.state.any_fires(labels), beside);
        event
    }

    fn step(
        &mut self,
        event: Event,
        now: Timestamp,
        turn: &mut Turn,
    ) -> (Option<Remark>, Option<Reply>) {
        let event = self.tell_apart(event);
        match &event {
            Event::Polled(poll) => self.take_poll(poll, now, turn),
            Event::RulesPolled { episodes, evidence } => {
                self.take_rules(episodes, evidence, now, turn);
            }
            Event::OwnerTold { episode, .. } => drop(self.owners.remove(episode)),
            _ => {}
        }
        let mentioned = match &event {
            Event::Observed { observation, .. } | Event::Vouched { observation, .. } => {
                let clock = self.state.clock();
                let says = observation.says(clock.wall(now));
                Some((observation.alert.key(), says, observation.presence(now, clock)))
            }
            _ => None,
        };
        let listed = match &event {
            Event::Answered { evidence, .. } => self.newly_listed(evidence),
            _ => Vec::new(),
        };
        let event = self.with_presence(event);
        let decision = decide(&self.state, &self.book, event, now);
        for fact in &decision.facts {
            self.state.apply(fact);
            if let What::EpisodeBegan { episode, alert, .. } = &fact.what {
                self.watchdogs.began(&self.book, *episode, &alert.labels);
            }
            if let What::ClockJumped { jump } = &fact.what {
                self.live_through(jump);
            }
            if let Some(episode) = ended_episode(fact) {
                self.forget(episode);
            }
        }
        turn.ended.extend(decision.facts.iter().filter_map(ended_episode));
        turn.facts.extend(decision.facts);
        turn.effects.extend(decision.effects);
        turn.walked.extend(decision.walked);
        if let (Some((key, says, presence)), Some(remark)) = (mentioned, decision.remark) {
            self.hear(key, (says, remark), presence, now, turn);
        }
        for episode in listed {
            self.step(Event::Listed(episode), now, turn);
        }
        for incident in decision.woken {
            self.step(Event::Ready { incident, presence: Vec::new() }, now, turn);
        }
        (decision.remark, decision.reply)
    }

    /// Notes what an observation came to.
    fn hear(
        &mut self,
        key: AlertKey,
        (says, remark): (Status, Remark),
        presence: Presence,
        now: Timestamp,
        turn: &mut Turn,
    ) {
        match (remark, says) {
            (Remark::Began | Remark::Repeated, _) => {
                self.ignored.remove(&key);
                if let Some(id) = self.state.firing(&key) {
                    self.mention(id, presence, now, turn);
                    if remark == Remark::Repeated {
                        turn.repeated.push(id);
                    }
                }
            }
            (Remark::Ended, _) => drop(self.ignored.remove(&key)),
            (Remark::Stale, Status::Firing) => {
                if self.ignored.len() >= limits::ENDED_EPISODES {
                    self.ignored.clear();
                }
                *self.ignored.entry(key).or_default() += 1;
            }
            // A late end says nothing of what fires.
            (Remark::Stale, Status::Resolved)
            | (Remark::Doubted | Remark::Strange | Remark::Own, _) => {}
        }
    }

    /// Lets incidents recover, heal or be forgotten at once when the last of their alerts ended: the
    /// next notification of the same group may be that it fires again.
    fn follow_the_ends(&mut self, now: Timestamp, turn: &mut Turn) {
        while !turn.ended.is_empty() {
            for episode in std::mem::take(&mut turn.ended) {
                self.follow_the_end(episode, now, turn);
            }
        }
    }

    fn follow_the_end(&mut self, episode: EpisodeId, now: Timestamp, turn: &mut Turn) {
        let incidents = self.state.incidents_of(episode).filter(|incident| incident.all_ended());
        let ids: Vec<IncidentId> = incidents.map(|incident| incident.id).collect();
        for incident in ids {
            while self.state.is_ready(incident) {
                self.step(Event::Ready { incident, presence: Vec::new() }, now, turn);
            }
        }
    }

    fn with_presence(&self, event: Event) -> Event {
        match event {
            Event::Observed { observation, more, .. } => {
                let known = self
                    .state
                    .firing(&observation.alert.key())
                    .and_then(|id| self.presence.get(&id));
                let presence = known.map(|known| known.presence);
                let ignored = self.ignored.get(&observation.alert.key()).copied();
                let ignored = ignored.unwrap_or_default();
                Event::Observed { observation, presence, ignored, more }
            }
            Event::Answered { incident, step, evidence, .. } => {
                Event::Answered { incident, step, evidence, presence: self.presence_of(incident) }
            }
            Event::Ready { incident, .. } => {
                Event::Ready { incident, presence: self.presence_of(incident) }
            }
            Event::Woke { incident, .. } => {
                Event::Woke { incident, presence: self.presence_of(incident) }
            }
            event => event,
        }
    }

    /// When the alerts of an incident that fire, as many as are asked about, and the watchdog of its
    /// policy, were last mentioned.
    fn presence_of(&self, incident: IncidentId) -> Vec<(EpisodeId, Presence)> {
        let Some(incident) = self.state.incident(incident) else { return Vec::new() };
        let policy = self.book.policy(&incident.policy);
        let watching = policy.into_iter().flat_map(|policy| self.presence_of_watchdog(policy));
        let episodes = incident.episodes.firing().take(limits::ASKED_ALERTS);
        episodes.filter_map(|id| self.presence_of_episode(id)).chain(watching).collect()
    }

    fn presence_of_watchdog(
        &self,
        policy: &Policy,
    ) -> impl Iterator<Item = (EpisodeId, Presence)> + '_ {
        let key = policy.guard.watchdog.as_ref().map(Watchdog::key);
        let watching = key.into_iter().flat_map(|key| self.watchdogs.of(&key));
        watching.filter_map(|id| self.presence_of_episode(id))
    }

    fn presence_of_episode(&self, id: EpisodeId) -> Option<(EpisodeId, Presence)> {
        Some((id, self.presence.get(&id)?.presence))
    }

    /// Notes that an episode was mentioned. It is written down only where somebody has missed it.
    fn mention(&mut self, id: EpisodeId, mut presence: Presence, now: Timestamp, turn: &mut Turn) {
        let Some(episode) = self.state.episode(id) else { return };
        // What was said before may come late.
        let before = self.presence.get(&id).and_then(|known| known.presence.starts_at);
        presence.starts_at = self.state.clock().later(before, presence.starts_at, now);
        let due = lapses_at(episode, presence, self.state.clock());
        self.absences.forget(id);
        self.watch(id, presence, due);
        if self.state.is_missed(id) {
            self.step(Event::Mentioned(id), now, turn);
        }
    }

    /// Sets when an episode lapses. Its timer is lazy: a later end is found when the timer goes
    /// off, and only an earlier one sets it anew.
    fn watch(&mut self, id: EpisodeId, presence: Presence, due: Timestamp) {
        if self.state.episode(id).is_some_and(|episode| episode.alert.door == Door::Api) {
            self.by_api.insert(id);
        }
        let before = self.presence.get(&id).map(|known| known.timer);
        let timer = before.map_or(due, |before| before.min(due));
        if before != Some(timer) {
            if let Some(before) = before {
                self.lapses.remove(&(before, id));
            }
            self.lapses.insert((timer, id));
        }
        self.presence.insert(id, Mentioned { presence, due, timer });
    }

    /// Lets all presences live through a jump of the wall clock: nobody knows any more how long ago
    /// they were mentioned, and their timers keep their remaining time. A jump whose commit failed is
    /// noted again.
    fn live_through(&mut self, jump: &Jump) {
        if self.jumped_to >= Some(jump.to) {
            return;
        }
        self.jumped_to = Some(jump.to);
        let by = jump.followed();
        self.absences.clear();
        self.rounds.forget(jump.to);
        self.owners.clear();
        for known in self.presence.values_mut().chain(self.ended.values_mut()) {
            let Presence { seen_at, starts_at, .. } = known.presence;
            known.presence = Presence { starts_at, ..Presence::unknown(seen_at + by) };
            (known.due, known.timer) = (known.due + by, known.timer + by);
        }
        self.lapses = self.presence.iter().map(|(id, known)| (known.timer, *id)).collect();
    }

    fn forget(&mut self, id: EpisodeId) {
        self.watchdogs.ended(id);
        self.absences.end(id);
        self.by_api.remove(&id);
        if let Some(known) = self.presence.remove(&id) {
            self.lapses.remove(&(known.timer, id));
            self.ended.insert(id, known);
        }
    }

    /// Ends what went unmentioned.
    fn lapse(&mut self, now: Timestamp, turn: &mut Turn) {
        while let Some(&(at, id)) = self.lapses.first().filter(|(at, _)| *at <= now) {
            self.lapses.remove(&(at, id));
            let Some(known) = self.presence.get_mut(&id) else { continue };
            if known.due <= now {
                self.step(Event::Unseen(id), now, turn);
                self.follow_the_ends(now, turn);
            } else {
                known.timer = known.due;
                self.lapses.insert((known.due, id));
            }
        }
    }

    fn end_storms(&mut self, now: Timestamp, turn: &mut Turn) {
        while let Some((at, policy)) = self.state.ledgers().storms().first_end().cloned() {
            if at > now {
                return;
            }
            self.step(Event::Calmed(policy), now, turn);
        }
    }

    fn end_approvals(&mut self, now: Timestamp, turn: &mut Turn) {
        while let Some((_, approval)) =
            self.state.approvals().first_end().filter(|(at, _)| *at <= now)
        {
            self.step(Event::ApprovalExpired(approval), now, turn);
        }
    }

    fn sound_alarms(&mut self, now: Timestamp, turn: &mut Turn) {
        for _ in 0..limits::PURSUED_PER_TURN {
            let due = self.state.first_alarm().filter(|(at, _)| *at <= now);
            let Some((_, incident)) = due else { return };
            let before = turn.facts.len();
            self.step(Event::Woke { incident, presence: Vec::new() }, now, turn);
            self.follow_the_ends(now, turn);
            debug_assert!(turn.facts.len() > before, "an alarm must move its incident");
        }
    }

    fn take_next_steps(&mut self, most: usize, now: Timestamp, turn: &mut Turn) {
        for _ in 0..most {
            let Some(incident) = self.state.first_ready() else { return };
            let before = turn.facts.len();
            self.step(Event::Ready { incident, presence: Vec::new() }, now, turn);
            self.follow_the_ends(now, turn);
            debug_assert!(turn.facts.len() > before, "a step that is due must move its incident");
        }
    }
}

fn ended_episode(fact: &Fact) -> Option<EpisodeId> {
    match &fact.what {
        What::EpisodeEnded { episode, .. } => Some(*episode),
        _ => None,
    }
}

fn lapses_at(episode: &Episode, presence: Presence, clock: &Clock) -> Timestamp {
    match (episode.alert.door, presence.ends_at) {
        (Door::Api, Some(ends_at)) => clock.of_wall(ends_at),
        (Door::Api, None) => presence.seen_at + limits::RESOLVE_TIMEOUT,
        (Door::Webhook, _) => presence.seen_at + episode.lapse,
    }
}
