//! Which alerts rest: those of which a repeat changes nothing but when they were last mentioned.
//!
//! A mention is waited for in few places, and each of them is asked about here:
//!
//! | who waits | where |
//! |---|---|
//! | an incident that the guard `fresh` or `silence` holds | [`Incident::awaits_mention_of`] |
//! | a proof that has missed the alert in a look | the same |
//! | those whom a watchdog holds | [`Book::watchdogs`] |
//! | a lapse, the rows of absence, who asks how fresh an alert is | in a turn, which begins with [`Engine::hear_repeats`] |
//! | an alert that ended, was superseded, or is not committed | it does not rest yet, or any more |

use super::{Engine, Mentioned, Turn, lapses_at};
use crate::alert::Presence;
use crate::fact::What;
use crate::incident::Incident;
use crate::name::EpisodeId;
use crate::policy::Book;
use crate::repeats::{Mention, Resting, Woken};

impl Engine {
    /// Hears the repeats that were answered since the last turn. Nobody waits for them.
    pub fn hear_repeats(&mut self, mentions: impl IntoIterator<Item = Mention>) {
        for Mention { episode: id, seen_at, ends_at } in mentions {
            debug_assert!(self.resting(id).is_some(), "{id} was answered for, and does not rest");
            let (Some(episode), Some(known)) = (self.state.episode(id), self.presence.get(&id))
            else {
                continue;
            };
            let starts_at = known.presence.starts_at;
            let presence = Presence { seen_at, ends_at, starts_at, known: true, written: false };
            let due = lapses_at(episode, presence, self.state.clock());
            self.absences.forget(id);
            self.watch(id, presence, due);
        }
    }

    /// Returns the alerts of which a turn heard a repeat, and that rest now. Call it once the turn is
    /// committed.
    pub fn at_rest<'a>(&'a self, turn: &'a Turn) -> impl Iterator<Item = Resting> + 'a {
        turn.repeated.iter().filter_map(|id| self.resting(*id))
    }

    fn resting(&self, id: EpisodeId) -> Option<Resting> {
        let alert = &self.state.episode(id).filter(|_| self.state.is_firing(id))?.alert;
        let Mentioned { presence, .. } = self.presence.get(&id)?;
        let is_watchdog =
            |book: &Book| book.watchdogs().iter().any(|(_, m)| m.matches(&alert.labels));
        let is_awaited = self.state.incidents_of(id).any(|incident| incident.awaits_mention_of(id));
        (!is_awaited && !is_watchdog(&self.book)).then(|| Resting {
            episode: id,
            key: alert.key(),
            door: alert.door,
            labels: alert.labels.clone(),
            starts_at: presence.starts_at,
            ends_at: presence.ends_at,
        })
    }

    /// Tells whose next repeat is for the engine, by what a turn has changed.
    pub fn woken(&self, turn: &Turn) -> Woken {
        let mut woken = Vec::new();
        for fact in &turn.facts {
            if let What::EngineStarted { .. } | What::BookChanged = fact.what {
                return Woken::All;
            }
            woken.extend(fact.what.episode());
            let incident = fact.what.incident().and_then(|id| self.state.incident(id));
            woken.extend(incident.into_iter().flat_map(Incident::awaited));
        }
        Woken::Some(woken)
    }
}
