//! Who is missing: counts how often in a row an alert was not named by those who should know it.
//!
//! Two witnesses are read: what an Alertmanager lists of its own alerts ([`Event::Polled`]), and the
//! rules behind alerts that Prometheus sends by the alerts API and has stopped mentioning. It is all
//! outside of the state: a restart, a reload and a failed commit count anew. A failed commit forgets
//! nothing else: what ended in it fires on, and was listed before.

use std::collections::{BTreeMap, BTreeSet};

use super::{Engine, Turn};
use crate::alert::{Door, Presence};
use crate::clock::After;
use crate::event::{About, Effect, Event, Question};
use crate::evidence::{Ask, Evidence, Finding};
use crate::limits;
use crate::name::EpisodeId;
use crate::policy::TargetLabels;
use crate::poll::{Poll, Silence};
use crate::time::{Span, Timestamp};
use crate::witness::{Act, Case, Sighting, Testimony};

/// How often in a row each alert was absent; those that were not are not here.
#[derive(Debug, Default)]
pub(super) struct Absences {
    rows: BTreeMap<EpisodeId, Row>,
    /// Alerts that their Alertmanager was seen to list, beside those of which that is written down.
    listed: BTreeSet<EpisodeId>,
    /// Alerts of the alerts API about which it was asked who sees them fire.
    sought: BTreeSet<EpisodeId>,
    /// Those that ended in the last turn: they fire on if its commit fails.
    ended: BTreeSet<EpisodeId>,
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

    /// Goes on after a commit that failed. Episodes from `next` on never were: others get their ids.
    pub(super) fn rebuild(&mut self, next: EpisodeId) {
        self.clear();
        self.ended.clear();
        self.listed.retain(|id| *id < next);
        self.sought.retain(|id| *id < next);
    }

    /// An episode is over: its row is, and all else once that is committed.
    pub(super) fn end(&mut self, id: EpisodeId) {
        self.rows.remove(&id);
        self.ended.insert(id);
    }

    /// What ended in the last turn is over for good.
    pub(super) fn commit(&mut self) {
        for id in std::mem::take(&mut self.ended) {
            self.listed.remove(&id);
            self.sought.remove(&id);
        }
    }

    fn is_listed(&self, id: EpisodeId) -> bool {
        self.listed.contains(&id)
    }

    fn list(&mut self, id: EpisodeId) {
        self.listed.insert(id);
    }

    /// Tells whether nobody was asked yet who sees an alert, and there is room to remember it.
    fn wants_sighting(&self, id: EpisodeId) -> bool {
        !self.sought.contains(&id) && self.sought.len() < limits::SIGHTED_BY_API
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
    /// Since when anything is known of what is mentioned: the start, or the last jump of the clock.
    known_since: Timestamp,
}

impl Rounds {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { due: now, asked: None, last: EpisodeId::default(), known_since: now }
    }

    /// Nothing is known any more of what was mentioned.
    pub(super) fn forget(&mut self, now: Timestamp) {
        self.known_since = now;
    }
}

impl Engine {
    /// Reads what an Alertmanager lists: whom it lists was mentioned, and whom it should list and
    /// does not is absent.
    pub(super) fn take_poll(&mut self, poll: &Poll, now: Timestamp, turn: &mut Turn) {
        let silence = poll.silence(self.book.polling.young);
        let (mut missing, mut listed) = (Vec::new(), Vec::new());
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
            let known =
                self.absences.is_listed(id) || self.state.episode(id).is_some_and(|e| e.listed);
            if let Some(starts_at) = poll.lists(alert.fingerprint) {
                let seen_at = presence.seen_at.max(poll.asked_at);
                let starts_at = Some(starts_at);
                self.mention(id, Presence { seen_at, starts_at, ..presence }, now, turn);
                if !known {
                    listed.push(id);
                }
                continue;
            }
            match silence {
                // What it never listed it cannot miss: somebody else may have sent it.
                None if !known => {}
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
        for id in listed {
            self.absences.list(id);
            // It is written down where somebody waits for its end, so that a restart does not lose it.
            if self.state.incidents_of(id).next().is_some() {
                self.step(Event::Listed(id), now, turn);
            }
        }
        self.miss(missing, now, turn);
    }

    /// Returns the episodes whose own Alertmanager is found to list their alert, as far as that was not
    /// written down.
    pub(super) fn newly_listed(&self, evidence: &Evidence) -> Vec<EpisodeId> {
        let listed = evidence.found.iter().filter_map(|(ask, finding)| match (ask, finding) {
            (Ask::Listed { source, fingerprint }, Finding::Listed(Ok(listing))) => {
                listing.alert.as_ref()?;
                self.state.firing(&(*fingerprint, source.clone()))
            }
            _ => None,
        });
        listed.filter(|id| self.state.episode(*id).is_some_and(|known| !known.listed)).collect()
    }

    /// Tells when the rules behind unmentioned alerts are asked about next.
    pub(super) fn next_round(&self) -> Option<Timestamp> {
        let known = !self.book.witnesses.prometheuses.is_empty() && !self.by_api.is_empty();
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
        let last = self.rounds.last;
        let after = self.by_api.starting_at(&last).filter(|id| **id > last);
        let before = self.by_api.iter().take_while(|id| **id <= last);
        let episodes: Vec<EpisodeId> = after
            .chain(before)
            .filter(|id| self.is_polled(**id, now))
            .take(limits::RULES_POLLED)
            .copied()
            .collect();
        let Some(last) = episodes.last() else { return };
        self.rounds.last = *last;
        self.rounds.asked = Some(now);
        let asks = episodes.iter().flat_map(|id| self.ask_of_rules(*id)).collect();
        turn.effects.push(Effect::Ask(Question { about: About::Unmentioned(episodes), asks }));
    }

    /// Asks those who saw an alert fire about it; where none is known, who sees it.
    fn ask_of_rules(&self, id: EpisodeId) -> Vec<Ask> {
        let Some(episode) = self.state.episode(id) else { return Vec::new() };
        let sightings = self.state.sightings(id);
        if !sightings.is_empty() {
            return sightings.iter().map(|seen| seen.ask(&TargetLabels::All)).collect();
        }
        let by = self.book.witnesses.of_labels(&episode.alert.labels);
        vec![Ask::rule(&episode.alert, &TargetLabels::All, by)]
    }

    /// Tells whether the rules behind an alert are asked about: it was not mentioned in its turn, or
    /// nobody knows yet who sees it.
    fn is_polled(&self, id: EpisodeId, now: Timestamp) -> bool {
        let unseen = self.state.sightings(id).is_empty();
        self.is_overdue(id, now) || (unseen && self.absences.wants_sighting(id))
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
        let (mut missing, mut sighted) = (Vec::new(), Vec::<(EpisodeId, Vec<Sighting>)>::new());
        for &id in episodes {
            let presence = self.presence.get(&id).map(|known| known.presence);
            let (Some(episode), Some(presence)) = (self.state.episode(id), presence) else {
                continue;
            };
            if self.state.sightings(id).is_empty() {
                let case = Case::open(id, &episode.alert, evidence);
                if case.awaited.is_empty() {
                    self.absences.sought.insert(id);
                }
                let rules = case.sightings.into_iter().filter(|seen| seen.rule().is_some());
                sighted.push((id, rules.collect()));
                continue;
            }
            if presence.seen_at >= evidence.gathered_at {
                continue;
            }
            let Some(at) = self.gone_at(id, presence.seen_at, evidence, now) else {
                self.absences.forget(id);
                continue;
            };
            let since = self.absences.note(id, at);
            missing.extend(since.map(|since| (id, since)));
        }
        for (episode, sightings) in sighted.into_iter().filter(|(_, seen)| !seen.is_empty()) {
            self.step(Event::Sighted { episode, sightings }, now, turn);
        }
        self.miss(missing, now, turn);
    }

    /// Returns when all rules that saw an alert fire had been evaluated without showing it, by a whole
    /// answer of after it was last mentioned.
    fn gone_at(
        &self,
        id: EpisodeId,
        seen_at: Timestamp,
        evidence: &Evidence,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let clock = self.state.clock();
        let seen_at = seen_at.max(self.rounds.known_since);
        // Which evaluations are later is told by the clock that has jumped, one by one.
        let ever = After::stamp(Timestamp::MIN);
        let act = Act { after: ever, past: ever, over_at: seen_at };
        let target = TargetLabels::All;
        let gone_at = |seen: &Sighting| match evidence.finding(&seen.ask(&target)) {
            Some(Finding::Instance(Ok(Some(says)))) => {
                let gone = seen.hear(&target, evidence, &act) == Testimony::Gone;
                let at = Some(says.evaluated_at).filter(|at| gone && !clock.is_of_before(*at, now));
                at.map(|at| clock.of_wall(at)).filter(|at| *at > seen_at)
            }
            _ => None,
        };
        let all: Option<Vec<Timestamp>> = self.state.sightings(id).iter().map(gone_at).collect();
        all?.into_iter().min()
    }

    fn miss(&mut self, missing: Vec<(EpisodeId, Timestamp)>, now: Timestamp, turn: &mut Turn) {
        for (episode, since) in missing {
            self.step(Event::Missing { episode, since }, now, turn);
            self.follow_the_ends(now, turn);
        }
    }
}
