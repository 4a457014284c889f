//! The repeats that the engine need not hear one by one.
//!
//! A repeat of an alert that fires, and for which nobody waits, changes one thing: when the alert was last
//! mentioned. Whoever takes notifications in answers it by this table, without a turn; the next turn
//! begins with all that was answered so.
//!
//! ```text
//!  a repeat:  open? ── yes ─> does the alert rest? ── yes ─> noted, answered
//!                └─ no ──────────────┴─ no ─────────────────> to the engine, as any observation
//!  a turn:    shut ─> what was noted ─> events ─> decided: wake what changed, open ─> committed: rest
//! ```
//!
//! So a mention that was answered came either before a turn, which knows of it, or after the turn had
//! decided, by what that decided: there is no third case. What a turn decided is in force here before it
//! is committed, where it wakes somebody; what lets an alert rest is so only once it is committed.
//!
//! Not the duty of this room: who rests (the engine says it), and locks.

use crate::alert::{AlertKey, Door, Observation, Status};
use crate::collections::{Nested, RisingMap};
use crate::label::{Fingerprint, LabelSet};
use crate::name::{EpisodeId, SourceName};
use crate::time::{Span, Timestamp};

/// An alert that fires, and of which a repeat changes nothing but when it was last mentioned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resting {
    /// Its episode.
    pub episode: EpisodeId,
    /// What tells it from others.
    pub key: AlertKey,
    /// Through which door it came.
    pub door: Door,
    /// Its labels.
    pub labels: LabelSet,
    /// Since when it fires, by the latest that was mentioned.
    pub starts_at: Option<Timestamp>,
    /// Until when it asked to be believed.
    pub ends_at: Option<Timestamp>,
}

/// A repeat of an alert, as far as it can change anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeat {
    /// Of which episode.
    pub episode: EpisodeId,
    /// Since when the alert fires, by this repeat.
    pub starts_at: Option<Timestamp>,
    /// Until when it asks to be believed.
    pub ends_at: Option<Timestamp>,
}

/// The last repeat of an alert that was answered since the last turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mention {
    /// Of which episode.
    pub episode: EpisodeId,
    /// When.
    pub seen_at: Timestamp,
    /// Until when it asks to be believed.
    pub ends_at: Option<Timestamp>,
}

/// Whom a turn has woken: the next repeat of these is for the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Woken {
    /// These.
    Some(Vec<EpisodeId>),
    /// All.
    All,
}

/// The alerts that rest, and what was heard of them since the last turn.
#[derive(Debug, Default)]
pub struct Repeats {
    resting: RisingMap<EpisodeId, Rest>,
    episodes: Nested<SourceName, Fingerprint, EpisodeId>,
    noted: Vec<EpisodeId>,
    is_open: bool,
    /// How far the engine's clock is ahead of the clock on the wall.
    ahead: Span,
}

/// There is one for each alert that fires.
#[derive(Debug)]
struct Rest {
    alert: Resting,
    /// When it was last mentioned since the last turn.
    seen_at: Option<Timestamp>,
}

impl Repeats {
    /// Tells of which alerts observations are repeats, if all of them are, of alerts that rest.
    pub fn read(&self, observations: &[Observation], now: Timestamp) -> Option<Vec<Repeat>> {
        if self.is_open {
            observations.iter().map(|o| self.read_one(o, now)).collect()
        } else {
            None
        }
    }

    fn read_one(&self, observation: &Observation, now: Timestamp) -> Option<Repeat> {
        let alert = &observation.alert;
        let wall = now - self.ahead;
        if observation.says(wall) == Status::Resolved {
            return None;
        }
        let episode = *self.episodes.get(&alert.source, &alert.fingerprint)?;
        let known = &self.resting.get(&episode)?.alert;
        let ends_at = observation.believed_until(wall);
        let repeat = Repeat { episode, starts_at: alert.starts_at, ends_at };
        let is_same = known.door == alert.door && known.labels == alert.labels;
        is_same.then_some(repeat)
    }

    /// Notes repeats of one notification that came at this moment, if all of their alerts rest. Where it
    /// does not, the engine must hear it whole.
    pub fn take(&mut self, repeats: &[Repeat], now: Timestamp) -> bool {
        if !self.is_open || !repeats.iter().all(|repeat| self.rests(repeat)) {
            return false;
        }
        for &Repeat { episode, ends_at, .. } in repeats {
            let Some(rest) = self.resting.get_mut(&episode) else { continue };
            rest.alert.ends_at = ends_at;
            if rest.seen_at.replace(now).is_none() {
                self.noted.push(episode);
            }
        }
        true
    }

    /// An alert that is said to have begun at another time, or to end earlier than it said before, is
    /// news.
    fn rests(&self, repeat: &Repeat) -> bool {
        self.resting.get(&repeat.episode).is_some_and(|Rest { alert, .. }| {
            alert.starts_at == repeat.starts_at && alert.ends_at <= repeat.ends_at
        })
    }

    /// A turn begins: nothing is answered until it has decided. Returns what was, for [`hear_repeats`].
    ///
    /// [`hear_repeats`]: crate::engine::Engine::hear_repeats
    pub fn begin_turn(&mut self) -> Vec<Mention> {
        self.is_open = false;
        let noted = std::mem::take(&mut self.noted);
        let mention = |episode| {
            let rest = self.resting.get_mut(&episode)?;
            Some(Mention { episode, seen_at: rest.seen_at.take()?, ends_at: rest.alert.ends_at })
        };
        noted.into_iter().filter_map(mention).collect()
    }

    /// A turn has decided: whom it has woken is woken, and the others are answered again.
    pub fn decided(&mut self, woken: Woken, ahead: Span) {
        match woken {
            Woken::All => {
                self.resting.clear();
                self.episodes = Nested::default();
            }
            Woken::Some(episodes) => episodes.iter().for_each(|episode| self.wake(*episode)),
        }
        self.ahead = ahead;
        self.is_open = true;
    }

    fn wake(&mut self, episode: EpisodeId) {
        if let Some(Rest { alert, .. }) = self.resting.remove(&episode) {
            self.episodes.remove(&alert.key.1, &alert.key.0);
        }
    }

    /// What a turn decided is committed: these rest from now on.
    pub fn rest(&mut self, alerts: impl IntoIterator<Item = Resting>) {
        for mut alert in alerts {
            // It rested already, and was mentioned since the turn decided.
            let known = self.resting.get(&alert.episode).filter(|rest| rest.seen_at.is_some());
            alert.ends_at = known.map_or(alert.ends_at, |rest| rest.alert.ends_at);
            let seen_at = known.and_then(|rest| rest.seen_at);
            self.episodes.insert(&alert.key.1, alert.key.0, alert.episode);
            self.resting.insert(alert.episode, Rest { alert, seen_at });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Alert;
    use crate::name::SourceName;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn repeat(alert: Alert) -> Observation {
        Observation { alert, status: Status::Firing, ends_at: None, unproven: None, by: None }
    }

    fn down() -> Alert {
        Alert { starts_at: Some(at(1)), ..Alert::down() }
    }

    fn resting(id: u64, alert: &Alert, ends_at: Option<Timestamp>) -> Resting {
        Resting {
            episode: EpisodeId(id),
            key: alert.key(),
            door: alert.door,
            labels: alert.labels.clone(),
            starts_at: alert.starts_at,
            ends_at,
        }
    }

    /// A table in which this alert rests.
    fn of(alert: &Alert, ends_at: Option<Timestamp>) -> Repeats {
        let mut repeats = Repeats::default();
        repeats.rest([resting(7, alert, ends_at)]);
        repeats.decided(Woken::Some(Vec::new()), Span::ZERO);
        repeats
    }

    fn takes(repeats: &mut Repeats, observations: &[Observation], now: i64) -> bool {
        let read = repeats.read(observations, at(now));
        read.is_some_and(|read| repeats.take(&read, at(now)))
    }

    fn seen(repeats: &mut Repeats) -> Vec<Timestamp> {
        repeats.begin_turn().iter().map(|mention| mention.seen_at).collect()
    }

    #[test]
    fn what_is_answered_is_heard_by_the_next_turn_once_and_at_its_latest() {
        let mut repeats = of(&down(), None);
        let body = [repeat(down())];
        assert!(takes(&mut repeats, &body, 10) && takes(&mut repeats, &body, 20));
        assert_eq!(seen(&mut repeats), [at(20)]);
        assert!(!takes(&mut repeats, &body, 21), "a turn has begun, and has not decided");
        repeats.decided(Woken::Some(Vec::new()), Span::ZERO);
        assert!(takes(&mut repeats, &body, 22), "not committed yet; it rested before and after");
        repeats.rest([resting(7, &down(), None)]);
        assert_eq!(seen(&mut repeats), [at(22)], "the commit has not lost it");
        assert_eq!(seen(&mut repeats), []);
    }

    #[test]
    fn who_is_woken_is_for_the_engine_from_the_decision_on() {
        for woken in [Woken::Some(vec![EpisodeId(7)]), Woken::All] {
            let mut repeats = of(&down(), None);
            let read = repeats.read(&[repeat(down())], at(9)).unwrap();
            repeats.begin_turn();
            repeats.decided(woken, Span::ZERO);
            assert!(!repeats.take(&read, at(10)), "what was read before does not count");
            assert_eq!(repeats.read(&[repeat(down())], at(10)), None);
            repeats.rest([resting(7, &down(), None)]);
            assert!(takes(&mut repeats, &[repeat(down())], 11));
        }
    }

    #[test]
    fn a_notification_is_answered_whole_or_not_at_all() {
        let mut repeats = of(&down(), None);
        let stranger = Alert { fingerprint: LabelSet::default().fingerprint(), ..down() };
        let both = [repeat(down()), repeat(stranger)];
        assert!(!takes(&mut repeats, &both, 10));
        assert_eq!(seen(&mut repeats), [], "nothing of it is noted");
    }

    #[test]
    fn what_says_anything_new_is_for_the_engine() {
        let later = Alert { starts_at: Some(at(2)), ..down() };
        let timeless = Alert { starts_at: None, ..down() };
        let labels = LabelSet::from_pairs([("alertname", "Up")]);
        let relabelled = Alert { labels, ..down() };
        let by_api = Alert { door: Door::Api, ..down() };
        let other = Alert { source: SourceName::new("other"), ..down() };
        for alert in [later, timeless, relabelled, by_api, other] {
            assert!(!takes(&mut of(&down(), None), &[repeat(alert.clone())], 10), "{alert:?}");
        }
        let over = Observation { status: Status::Resolved, ..repeat(down()) };
        assert!(!takes(&mut of(&down(), None), &[over], 10));
    }

    #[test]
    fn by_the_alerts_api_an_end_may_move_on_and_must_lie_ahead_on_the_wall() {
        let alert = Alert { door: Door::Api, ..down() };
        let until = |end| Observation { ends_at: Some(at(end)), ..repeat(alert.clone()) };
        let mut repeats = of(&alert, Some(at(100)));
        assert!(!takes(&mut repeats, &[until(99)], 10), "it ends earlier than it said");
        assert!(takes(&mut repeats, &[until(100)], 10) && takes(&mut repeats, &[until(130)], 10));
        assert!(!takes(&mut repeats, &[until(120)], 11));
        let mention = repeats.begin_turn();
        let wanted = Mention { episode: EpisodeId(7), seen_at: at(10), ends_at: Some(at(130)) };
        assert_eq!(mention, [wanted]);
        repeats.decided(Woken::Some(Vec::new()), Span::from_secs(3600));
        assert!(takes(&mut repeats, &[until(130)], 3729), "the wall shows 129");
        assert!(!takes(&mut repeats, &[until(130)], 3730), "it is over");
    }
}
