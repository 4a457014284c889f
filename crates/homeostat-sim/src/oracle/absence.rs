//! Who is missing: an alert ends as absent only when those who should know it did not name it, twice
//! in a row; and then it does end.

use std::collections::{BTreeMap, BTreeSet};

use homeostat_core::alert::Door;
use homeostat_core::evidence::Evidence;
use homeostat_core::name::EpisodeId;
use homeostat_core::poll::{Occasion, Poll};
use homeostat_core::time::{Span, Timestamp};

use super::witness::{After, Seen};
use super::{Heard, Key, Oracle, Verdict, Violation};

/// How long an Alertmanager must run before its silence says anything.
const YOUNG: Span = Span::from_secs(300);

/// How often in a row.
const TIMES: u32 = 2;

/// What was said about who is there, in the order in which it was heard.
#[derive(Debug)]
pub(super) enum Roster {
    Named(Key),
    Poll(Box<Poll>),
    Rules(Vec<EpisodeId>, Evidence),
}

/// How often in a row an alert was missing.
#[derive(Debug, Clone, Copy, Default)]
struct Row {
    /// At most, and certainly: what was asked before the clock jumped or a commit failed need not
    /// count.
    at_most: u32,
    certainly: u32,
    last: Option<Timestamp>,
}

/// Those who were missing.
#[derive(Debug, Default)]
pub(super) struct Absences {
    rows: BTreeMap<EpisodeId, Row>,
    /// When each was last mentioned, on the engine's clock.
    named: BTreeMap<EpisodeId, Timestamp>,
    /// Which their Alertmanager was seen to list, and certainly knows the engine of that.
    listed: BTreeMap<EpisodeId, bool>,
    /// Which rules show those of the alerts API.
    seen: BTreeMap<EpisodeId, Seen>,
    /// When a commit failed last.
    failed_at: Option<Timestamp>,
    /// Who may end as absent in this turn, and who must.
    may_end: BTreeSet<EpisodeId>,
    must_end: BTreeSet<EpisodeId>,
}

impl Absences {
    /// Nothing is known any more: neither how often one was missing nor when it was mentioned. Who was
    /// listed may be written down, and who saw it fire is.
    pub(super) fn clear(&mut self) {
        let mut listed = std::mem::take(&mut self.listed);
        for certainly in listed.values_mut() {
            *certainly = false;
        }
        let seen = std::mem::take(&mut self.seen);
        *self = Self { listed, seen, ..Self::default() };
    }

    /// Rows begin anew.
    pub(super) fn forget_rows(&mut self) {
        self.rows.clear();
    }

    /// A commit failed: rows begin anew, and what ended in it was not mentioned before now.
    pub(super) fn fail(&mut self, shown: Timestamp) {
        self.rows.clear();
        // That it was listed may be forgotten with its end, where nobody waits for that.
        for id in &self.may_end {
            self.listed.insert(*id, false);
        }
        self.failed_at = Some(shown);
    }

    /// Its Alertmanager was seen to list it.
    pub(super) fn list(&mut self, id: EpisodeId) {
        self.listed.insert(id, true);
    }

    /// It was listed, perhaps before its episode began.
    pub(super) fn list_perhaps(&mut self, id: EpisodeId) {
        self.listed.entry(id).or_insert(false);
    }

    /// It is there.
    pub(super) fn name(&mut self, id: EpisodeId, at: Timestamp) {
        self.rows.remove(&id);
        self.named.insert(id, at);
    }

    /// It is missing. The same evaluation, seen twice, is one.
    fn miss(&mut self, id: EpisodeId, at: Timestamp, certainly: bool) {
        let row = self.rows.entry(id).or_default();
        if row.last.is_none_or(|last| at > last) {
            row.at_most += 1;
            row.certainly += u32::from(certainly);
            row.last = Some(at);
        }
        if row.at_most >= TIMES {
            self.may_end.insert(id);
        }
        if row.certainly >= TIMES {
            self.must_end.insert(id);
        }
    }
}

impl Oracle {
    /// Counts who is missing by what was heard in this group.
    pub(super) fn count_absences(&mut self, heard: &Heard, shown: Timestamp) {
        self.absences.may_end.clear();
        self.absences.must_end.clear();
        let now = self.hours.own(shown);
        for roster in &heard.rosters {
            match roster {
                Roster::Named(key) => {
                    if let Some(id) = self.firing.get(key) {
                        self.absences.name(*id, shown);
                    }
                }
                Roster::Poll(poll) => self.take_poll(poll, now),
                Roster::Rules(episodes, evidence) => self.take_rules(episodes, evidence, now),
            }
        }
    }

    /// Only a healthy Alertmanager that was asked in its turn, and not before the last mention, says
    /// by its silence that something is over.
    fn take_poll(&mut self, poll: &Poll, now: Timestamp) {
        let knows = match &poll.said {
            Ok(roll) => !roll.alerts.is_empty() && roll.uptime >= YOUNG,
            Err(_) => false,
        };
        let due = poll.occasion == Occasion::Due;
        for (key, id) in self.firing.iter().filter(|(key, _)| key.0 == poll.source) {
            if self.episodes.get(id).is_none_or(|known| known.alert.door != Door::Webhook) {
                continue;
            }
            let named = self.absences.named.get(id).copied();
            if let Some(starts_at) = poll.lists(key.1) {
                let newest = self.newest_start.entry(key.clone()).or_insert(starts_at);
                *newest = self.hours.later(starts_at, *newest, now);
                let at = named.map_or(poll.asked_at, |named| named.max(poll.asked_at));
                self.absences.name(*id, at);
                self.absences.list(*id);
                if let Some(mention) = self.mentions.get_mut(key) {
                    mention.at = mention.at.max(self.hours.own(poll.asked_at));
                }
            } else if !knows {
                self.absences.rows.remove(id);
            } else if due && named.is_none_or(|named| named < poll.asked_at) {
                // What it never listed it cannot miss.
                let Some(listed) = self.absences.listed.get(id).copied() else { continue };
                let certainly = listed
                    && !self.hours.is_before_jump(poll.asked_at)
                    && self.absences.failed_at < Some(poll.asked_at);
                self.absences.miss(*id, poll.asked_at, certainly);
            }
        }
    }

    /// Notes what was mentioned, by a notification or a listing, in a group that was committed.
    pub(super) fn note_accepted(&mut self, heard: &Heard, now: Timestamp) {
        for roster in &heard.rosters {
            let (keys, at): (Vec<Key>, Timestamp) = match roster {
                Roster::Named(key) => (vec![key.clone()], now),
                Roster::Poll(poll) => {
                    let all = poll.said.iter().flat_map(|roll| roll.alerts.keys());
                    let keys = all.map(|fingerprint| (poll.source.clone(), *fingerprint));
                    (keys.collect(), self.hours.own(poll.asked_at))
                }
                Roster::Rules(..) => continue,
            };
            for id in keys.iter().filter_map(|key| self.firing.get(key)) {
                if let Some(known) = self.episodes.get_mut(id) {
                    known.mentioned_at = known.mentioned_at.max(Some(at));
                }
            }
        }
    }

    /// A rule that was seen to fire it, was evaluated since and finds nothing says so.
    fn take_rules(&mut self, episodes: &[EpisodeId], evidence: &Evidence, now: Timestamp) {
        for id in episodes {
            let Some(known) = self.episodes.get(id) else { continue };
            let Some(seen) = self.absences.seen.get(id).filter(|seen| !seen.rules.is_empty())
            else {
                self.absences.seen.insert(*id, self.shown_by(known, evidence));
                continue;
            };
            // One that may be of after the jump is, once another one follows it.
            let jumped = self.hours.set_at().map(|set_at| set_at + Span::from_micros(1));
            let since = jumped.unwrap_or(Timestamp::MIN);
            let after = After { hours: &self.hours, since, now };
            match known.gone_by(seen, evidence, &after) {
                Some(at) => self.absences.miss(*id, self.hours.latest(at, now), false),
                None => {
                    self.absences.rows.remove(id);
                }
            }
        }
    }

    /// What ends as absent was missing often enough.
    pub(super) fn was_missing(&mut self, id: EpisodeId, now: Timestamp) -> Verdict {
        self.met.count("absent");
        if self.absences.may_end.contains(&id) {
            return Ok(());
        }
        let text =
            format!("episode {id} ends as absent, and was not missing {TIMES} times in a row");
        Err(Violation::new(now, "absent", text))
    }

    /// What was missing often enough has ended.
    pub(super) fn missing_have_ended(&self, now: Timestamp) -> Verdict {
        let fires = |id: &&EpisodeId| self.episodes.get(id).is_some_and(|known| known.fires);
        match self.absences.must_end.iter().find(fires) {
            Some(id) => {
                let text = format!("episode {id} was missing {TIMES} times in a row, and fires on");
                Err(Violation::new(now, "absent", text))
            }
            None => Ok(()),
        }
    }
}
