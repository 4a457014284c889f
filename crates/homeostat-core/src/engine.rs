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
//! nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::alert::{Door, Episode, Presence};
use crate::decide::decide;
use crate::event::{Effect, Event, Remark};
use crate::fact::{Fact, What};
use crate::limits;
use crate::name::{EpisodeId, IncidentId};
use crate::policy::Book;
use crate::state::State;
use crate::time::Timestamp;

/// What one group of events came to.
#[derive(Debug, Default)]
pub struct Turn {
    /// What happened, to be committed as one group.
    pub facts: Vec<Fact>,
    /// What is wanted of the world, once the facts are committed.
    pub effects: Vec<Effect>,
    /// What each event of the group came to, for those that were observations.
    pub remarks: Vec<Option<Remark>>,
}

/// The decision core with its state, its book, and its memory of who was mentioned when.
#[derive(Debug)]
pub struct Engine {
    state: State,
    book: Arc<Book>,
    presence: BTreeMap<EpisodeId, Presence>,
    lapses: BTreeSet<(Timestamp, EpisodeId)>,
}

impl Engine {
    /// Goes on from a state. What was mentioned when is not known any more: its timers start anew.
    pub fn restore(state: State, book: Arc<Book>, now: Timestamp) -> Self {
        let state_of_nothing = State::default();
        let (presence, lapses) = (BTreeMap::new(), BTreeSet::new());
        let mut engine = Self { state: state_of_nothing, book, presence, lapses };
        engine.rebuild(state, now);
        engine
    }

    /// Goes on from an earlier state, after a commit that failed. What was mentioned when is kept
    /// for the episodes that the state knows.
    pub fn rebuild(&mut self, state: State, now: Timestamp) {
        let before = std::mem::take(&mut self.presence);
        self.lapses.clear();
        self.state = state;
        let firing: Vec<EpisodeId> = self.state.all_firing().collect();
        for id in firing {
            let unknown = Presence { seen_at: now, ends_at: None, known: false };
            self.mention(id, before.get(&id).copied().unwrap_or(unknown));
        }
    }

    /// Returns what is known.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Returns the policies in force.
    pub fn book(&self) -> &Arc<Book> {
        &self.book
    }

    /// Takes a new book. Follow it with [`Event::Reloaded`], so that what waits is judged anew.
    pub fn replace_book(&mut self, book: Arc<Book>) {
        self.book = book;
    }

    /// Returns when the engine must turn again though nothing happens.
    pub fn next_wake(&self) -> Option<Timestamp> {
        if self.state.first_ready().is_some() {
            return Some(Timestamp::MIN);
        }
        let alarm = self.state.first_alarm().map(|(at, _)| at);
        let lapse = self.lapses.first().map(|(at, _)| *at);
        match (alarm, lapse) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Decides and applies each event of a group, then what has become due.
    pub fn turn(&mut self, events: impl IntoIterator<Item = Event>, now: Timestamp) -> Turn {
        let mut turn = Turn::default();
        for event in events {
            let remark = self.step(event, now, &mut turn);
            turn.remarks.push(remark);
        }
        self.lapse(now, &mut turn);
        self.sound_alarms(now, &mut turn);
        self.take_next_steps(now, &mut turn);
        turn
    }

    fn step(&mut self, event: Event, now: Timestamp, turn: &mut Turn) -> Option<Remark> {
        let mentioned = match &event {
            Event::Observed(observation) | Event::Vouched { observation, .. } => {
                let alert = &observation.alert;
                let key = (alert.source.clone(), alert.fingerprint);
                Some((key, observation.presence(now)))
            }
            _ => None,
        };
        let event = self.with_presence(event);
        let decision = decide(&self.state, &self.book, event, now);
        for fact in &decision.facts {
            self.state.apply(fact);
            if let What::EpisodeEnded { episode, .. } = &fact.what {
                self.presence.remove(episode);
            }
        }
        if let (Some((key, presence)), Some(Remark::Began | Remark::Repeated)) =
            (mentioned, decision.remark)
            && let Some(id) = self.state.firing(&key)
        {
            self.mention(id, presence);
        }
        turn.facts.extend(decision.facts);
        turn.effects.extend(decision.effects);
        decision.remark
    }

    fn with_presence(&self, event: Event) -> Event {
        match event {
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

    fn presence_of(&self, incident: IncidentId) -> Vec<(EpisodeId, Presence)> {
        let episodes = self.state.incident(incident).map(|i| i.episodes.as_slice());
        let known = episodes.unwrap_or_default().iter();
        known.filter_map(|a| Some((a.episode, *self.presence.get(&a.episode)?))).collect()
    }

    fn mention(&mut self, id: EpisodeId, presence: Presence) {
        if self.presence.insert(id, presence).is_none()
            && let Some(episode) = self.state.episode(id)
        {
            self.lapses.insert((lapses_at(episode, presence), id));
        }
    }

    /// Ends what went unmentioned. The timers are lazy: one that goes off too early, because the
    /// alert was mentioned since, is set anew.
    fn lapse(&mut self, now: Timestamp, turn: &mut Turn) {
        while let Some(&(at, id)) = self.lapses.first().filter(|(at, _)| *at <= now) {
            self.lapses.remove(&(at, id));
            let (Some(presence), Some(episode)) = (self.presence.get(&id), self.state.episode(id))
            else {
                continue;
            };
            let due = lapses_at(episode, *presence);
            if due <= now {
                self.step(Event::Unseen(id), now, turn);
            } else {
                self.lapses.insert((due, id));
            }
        }
    }

    fn sound_alarms(&mut self, now: Timestamp, turn: &mut Turn) {
        for _ in 0..limits::PURSUED_PER_TURN {
            let due = self.state.first_alarm().filter(|(at, _)| *at <= now);
            let Some((_, incident)) = due else { return };
            let before = turn.facts.len();
            self.step(Event::Woke { incident, presence: Vec::new() }, now, turn);
            debug_assert!(turn.facts.len() > before, "an alarm must move its incident");
        }
    }

    fn take_next_steps(&mut self, now: Timestamp, turn: &mut Turn) {
        for _ in 0..limits::PURSUED_PER_TURN {
            let Some(incident) = self.state.first_ready() else { return };
            let before = turn.facts.len();
            self.step(Event::Ready { incident, presence: Vec::new() }, now, turn);
            debug_assert!(turn.facts.len() > before, "a step that is due must move its incident");
        }
    }
}

fn lapses_at(episode: &Episode, presence: Presence) -> Timestamp {
    match (episode.alert.door, presence.ends_at) {
        (Door::Api, Some(ends_at)) => ends_at,
        (Door::Api, None) => presence.seen_at + limits::RESOLVE_TIMEOUT,
        (Door::Webhook, _) => presence.seen_at + episode.lapse,
    }
}
