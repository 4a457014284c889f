//! What one channel is owed, and when it is due: plain values, with time as an argument.
//!
//! First that there is trouble, then that it is over: what is over before a channel has accepted it
//! is told all the same. Two messages about one topic are never under way at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use homeostat_core::notice::{Notice, Topic};
use tokio::time::Instant;

use super::channel::Channel;
use super::message::Status;
use super::owed::luck;

/// Messages of one channel under way at once: a command that hangs must not hold up the rest.
const AT_ONCE: usize = 4;

/// The pause after a first failure, doubled after each further one.
const BACKOFF: Duration = Duration::from_secs(1);

/// The longest pause after a failure: a person should be told soon after the channel is back.
const BACKOFF_CAP: Duration = Duration::from_mins(1);

/// What is over is tried no longer than this: a channel that never comes back must not keep the
/// engine from ever letting go of it.
const GIVEN_UP_AFTER: Duration = Duration::from_hours(24);

/// Beyond its time limit, when a message that is under way counts as lost.
const LOST_AFTER: Duration = Duration::from_secs(30);

/// All that one channel is owed.
#[derive(Debug)]
pub(super) struct Outbox {
    pub(super) channel: Arc<Channel>,
    owed: BTreeMap<Topic, Owed>,
}

#[derive(Debug)]
struct Owed {
    notice: Notice,
    /// Whether that there is trouble was not accepted yet.
    telling: bool,
    /// Since when the trouble is over.
    over_since: Option<Instant>,
    /// Counts notices, so that an answer to one before is known.
    version: u64,
    due: Instant,
    failures: u32,
    /// Until when a message about it is under way.
    under_way: Option<Instant>,
}

/// One message to one channel.
#[derive(Debug)]
pub(super) struct Letter {
    pub(super) channel: Arc<Channel>,
    pub(super) notice: Notice,
    pub(super) status: Status,
    version: u64,
}

/// What to do now.
#[derive(Debug, Default)]
pub(super) struct Due {
    /// To be sent.
    pub(super) letters: Vec<Letter>,
    /// Given up.
    pub(super) dropped: Vec<Topic>,
    /// When to look again; `None`: when something changes.
    pub(super) next: Option<Instant>,
}

impl Outbox {
    pub(super) fn new(channel: Arc<Channel>) -> Self {
        Self { channel, owed: BTreeMap::new() }
    }

    /// Owes the channel a notice. For other words alone nobody is called again: they go with what is
    /// sent anyway.
    pub(super) fn tell(&mut self, notice: &Notice, now: Instant) {
        let topic = notice.topic();
        if let Some(known) = self.owed.get_mut(&topic)
            && known.over_since.is_none()
            && known.notice.is_reworded(notice)
        {
            known.notice = notice.clone();
            return;
        }
        let version = self.owed.get(&topic).map_or(0, |before| before.version + 1);
        let under_way = self.owed.get(&topic).and_then(|before| before.under_way);
        let owed = Owed::new(notice, now);
        self.owed.insert(topic, Owed { version, under_way, ..owed });
    }

    /// Knows of a notice that the channel need not be told.
    pub(super) fn remind(&mut self, notice: &Notice, now: Instant) {
        self.owed.insert(notice.topic(), Owed { telling: false, ..Owed::new(notice, now) });
    }

    /// Owes the channel the end of a notice.
    pub(super) fn clear(&mut self, notice: &Notice, now: Instant) {
        let known = self.owed.entry(notice.topic());
        let owed = known.or_insert_with(|| Owed { telling: false, ..Owed::new(notice, now) });
        owed.over_since = owed.over_since.or(Some(now));
        if owed.telling {
            return;
        }
        owed.due = now;
        owed.failures = 0;
        if !self.channel.send_resolved {
            self.owed.remove(&notice.topic());
        }
    }

    /// Tells whether the channel has not accepted yet that there is trouble.
    pub(super) fn owes_telling(&self, topic: &Topic) -> bool {
        self.owed.get(topic).is_some_and(|owed| owed.telling)
    }

    /// Tells whether the topic is open here.
    pub(super) fn knows(&self, topic: &Topic) -> bool {
        self.owed.contains_key(topic)
    }

    /// Takes what is due, the longest overdue first.
    pub(super) fn due(&mut self, now: Instant) -> Due {
        let given_up = |owed: &Owed| owed.over_since.is_some_and(|at| now >= at + GIVEN_UP_AFTER);
        let dropped = self.owed.extract_if(.., |_, owed| given_up(owed)).map(|(topic, _)| topic);
        let dropped: Vec<Topic> = dropped.collect();
        let busy = self.owed.values().filter(|owed| owed.is_under_way(now)).count();
        let mut ready: Vec<&mut Owed> =
            self.owed.values_mut().filter(|o| o.ready_at().is_some_and(|at| at <= now)).collect();
        ready.sort_by_key(|owed| owed.due);
        let mut letters = Vec::new();
        for owed in ready.into_iter().take(AT_ONCE.saturating_sub(busy)) {
            owed.under_way = Some(now + self.channel.timeout + LOST_AFTER);
            let status = if owed.telling { Status::Firing } else { Status::Resolved };
            let (channel, notice) = (self.channel.clone(), owed.notice.clone());
            letters.push(Letter { channel, notice, status, version: owed.version });
        }
        // What is ready and found no room is woken by the end of any message.
        let next = self.owed.values().filter_map(Owed::ready_at).filter(|at| *at > now).min();
        Due { letters, dropped, next }
    }

    /// Takes in what came of a message.
    pub(super) fn settle(&mut self, letter: &Letter, accepted: bool, now: Instant) {
        let topic = letter.notice.topic();
        let Some(owed) = self.owed.get_mut(&topic) else { return };
        owed.under_way = None;
        if owed.version != letter.version {
            return;
        }
        if !accepted {
            let doubled = BACKOFF.saturating_mul(1 << owed.failures.min(16)).min(BACKOFF_CAP);
            owed.due = now + doubled.mul_f64(luck());
            owed.failures += 1;
            return;
        }
        owed.due = now;
        owed.failures = 0;
        let is_last = !self.channel.send_resolved || letter.status == Status::Resolved;
        owed.telling = false;
        if owed.over_since.is_some() && is_last {
            self.owed.remove(&topic);
        }
    }
}

impl Owed {
    fn new(notice: &Notice, now: Instant) -> Self {
        Self {
            notice: notice.clone(),
            telling: true,
            over_since: None,
            version: 0,
            due: now,
            failures: 0,
            under_way: None,
        }
    }

    /// When there is something to send; `None` while there is nothing.
    fn ready_at(&self) -> Option<Instant> {
        let owes = self.telling || self.over_since.is_some();
        owes.then(|| self.under_way.map_or(self.due, |until| until.max(self.due)))
    }

    fn is_under_way(&self, now: Instant) -> bool {
        self.under_way.is_some_and(|until| until > now)
    }
}
