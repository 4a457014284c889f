//! Who is missing: counts how often in a row an alert was not named by those who should know it.
//!
//! Two witnesses are read: what an Alertmanager lists of its own alerts ([`Event::Polled`]), and the
//! rules behind alerts that Prometheus sends by the alerts API and has stopped mentioning. It is all
//! outside of the state: a restart, a reload and a failed commit count anew.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::{Engine, Turn};
use crate::alert::{Door, Presence};
use crate::event::{About, Effect, Event, Question};
use crate::evidence::{Ask, Evidence};
use crate::limits;
use crate::name::EpisodeId;
use crate::policy::TargetLabels;
use crate::poll::{Poll, Silence};
use crate::time::{Span, Timestamp};

/// How often in a row each alert was absent; those that were not are not here.
#[derive(Debug, Default)]
pub(super) struct Absences {
    rows: BTreeMap<EpisodeId, Row>,
}

#[derive(Debug)]
struct Row {
    times: u32,
    since: Timestamp,
    last: Timestamp,
}

impl Absences {
    /// Begins the row of an episode anew: its alert was named, or nobody knows, or it is over.
    pub(super) fn forget(&mut self, id: EpisodeId) {
        self.rows.remove(&id);
    }

    /// Begins all rows anew.
    pub(super) fn clear(&mut self) {
        self.rows.clear();
    }

    /// Notes an absence at this moment. Returns since when, once it is enough.
    fn note(&mut self, id: EpisodeId, at: Timestamp) -> Option<Timestamp> {
        let row = self.rows.entry(id).or_insert(Row { times: 0, since: at, last: at });
        // The same evaluation of a rule, seen twice, is one.
        if row.times == 0 || at > row.last {
            row.times += 1;
            row.last = at;
        }
        (row.times >= limits::ABSENT_TIMES).then_some(row.since)
    }
}

/// When the rules behind unmentioned alerts are asked about.
#[derive(Debug)]
pub(super) struct Rounds {
    /// When next.
    due: Timestamp,
    /// When they were, while there is no answer.
    asked: Option<Timestamp>,
    /// Where the last round ended, so that a crowd gets its turn.
    last: EpisodeId,
}

impl Rounds {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { due: now, asked: None, last: EpisodeId::default() }
    }
}

impl Engine {
    /// Reads what an Alertmanager lists: whom it lists was mentioned, and whom it should list and
    /// does not is absent.
    pub(super) fn take_poll(&mut self, poll: &Poll, now: Timestamp, turn: &mut Turn) {
        let silence = poll.silence(self.book.polling.young);
        let mut missing = Vec::new();
        let firing: Vec<EpisodeId> = self.state.all_firing().collect();
        for id in firing {
            let Some(alert) = self.state.episode(id).map(|episode| &episode.alert) else {
                continue;
            };
            if alert.door != Door::Webhook || alert.source != poll.source {
                continue;
            }
            let Some(presence) = self.presence.get(&id).map(|known| known.presence) else {
                continue;
            };
            if let Some(starts_at) = poll.lists(alert.fingerprint) {
                let seen_at = presence.seen_at.max(poll.asked_at);
                let starts_at = Some(starts_at);
                self.mention(id, Presence { seen_at, starts_at, ..presence }, now);
                continue;
            }
            match silence {
                // It was mentioned since: the poll knows less.
                None if presence.seen_at >= poll.asked_at => {}
                None => {
                    let since = self.absences.note(id, poll.asked_at);
                    missing.extend(since.map(|since| (id, since)));
                }
                Some(Silence::Prompted) => {}
                Some(Silence::Failed | Silence::Empty | Silence::Young) => self.absences.forget(id),
            }
        }
        self.miss(missing, now, turn);
    }

    /// Tells when the rules behind unmentioned alerts are asked about next.
    pub(super) fn next_round(&self) -> Option<Timestamp> {
        let known = self.book.witnesses.prometheus && !self.by_api.is_empty();
        known.then_some(self.rounds.due)
    }

    /// Asks about the rules behind alerts that went unmentioned.
    pub(super) fn make_round(&mut self, now: Timestamp, turn: &mut Turn) {
        if self.next_round().is_none_or(|due| now < due) {
            return;
        }
        self.rounds.due = now + self.book.polling.every;
        let waits = |asked| now.since(asked) < limits::ANSWER_PATIENCE;
        if self.rounds.asked.is_some_and(waits) {
            return;
        }
        let after = (Bound::Excluded(self.rounds.last), Bound::Unbounded);
        let before = (Bound::Unbounded, Bound::Included(self.rounds.last));
        let all = self.by_api.range(after).chain(self.by_api.range(before));
        let episodes: Vec<EpisodeId> = all
            .filter(|id| self.is_overdue(**id, now))
            .take(limits::RULES_POLLED)
            .copied()
            .collect();
        let Some(last) = episodes.last() else { return };
        self.rounds.last = *last;
        self.rounds.asked = Some(now);
        let alerts = episodes.iter().filter_map(|id| Some(&self.state.episode(*id)?.alert));
        let asks = alerts.map(|alert| Ask::rule(alert, &TargetLabels::All)).collect();
        turn.effects.push(Effect::Ask(Question { about: About::Unmentioned(episodes), asks }));
    }

    /// Tells whether an alert of the alerts API was not mentioned in its turn. Prometheus asks to be
    /// believed for four times as long as it takes to say it again.
    fn is_overdue(&self, id: EpisodeId, now: Timestamp) -> bool {
        let Some(Presence { seen_at, ends_at, .. }) = self.presence.get(&id).map(|k| k.presence)
        else {
            return false;
        };
        let until = ends_at.map(|ends_at| self.state.clock().of_wall(ends_at));
        let promised = until.map_or(Span::ZERO, |until| until.since(seen_at));
        let third = Span::from_micros(promised.as_micros() / 3);
        now.since(seen_at) >= third.max(self.book.polling.every)
    }

    /// Reads what the rules behind unmentioned alerts say.
    pub(super) fn take_rules(
        &mut self,
        episodes: &[EpisodeId],
        evidence: &Evidence,
        now: Timestamp,
        turn: &mut Turn,
    ) {
        self.rounds.asked = None;
        let mut missing = Vec::new();
        for &id in episodes {
            let presence = self.presence.get(&id).map(|known| known.presence);
            let (Some(episode), Some(presence)) = (self.state.episode(id), presence) else {
                continue;
            };
            if presence.seen_at >= evidence.gathered_at {
                continue;
            }
            let evaluated = match evidence.rule(&episode.alert) {
                Some(Ok(Some(rule))) => rule.found_nothing_at(),
                Some(Ok(None) | Err(_)) | None => None,
            };
            let clock = self.state.clock();
            let evaluated = evaluated.filter(|at| !clock.is_of_before(*at, now));
            let evaluated = evaluated.map(|at| clock.of_wall(at));
            let Some(at) = evaluated.filter(|at| *at > presence.seen_at) else {
                self.absences.forget(id);
                continue;
            };
            let since = self.absences.note(id, at);
            missing.extend(since.map(|since| (id, since)));
        }
        self.miss(missing, now, turn);
    }

    fn miss(&mut self, missing: Vec<(EpisodeId, Timestamp)>, now: Timestamp, turn: &mut Turn) {
        for (episode, since) in missing {
            self.step(Event::Missing { episode, since }, now, turn);
        }
    }
}
