//! Who is owed what about each topic, over all ways together: plain values, with time as an argument.
//!
//! Each way has its own table and its own pace. A notice counts as told once every way that it is
//! owed to has accepted it, and as ended once none of them is owed anything any more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use homeostat_core::event::Event;
use homeostat_core::name::PolicyName;
use homeostat_core::notice::{Notice, Topic};
use tokio::time::Instant;

use super::alertmanager::{Outcome, Parcel};
use super::outbox::{Letter, Outbox};
use super::owed::Table;
use super::{Pace, Recipients};

/// All that is owed, to all.
#[derive(Debug)]
pub(super) struct Desk {
    table: Table,
    outboxes: Vec<Outbox>,
    routes: BTreeMap<PolicyName, BTreeSet<String>>,
    open: BTreeMap<Topic, Open>,
    /// Topics that may have become told or ended.
    touched: BTreeSet<Topic>,
}

/// One topic that is open.
#[derive(Debug)]
struct Open {
    notice: Notice,
    /// Whether all have accepted it, as it is now.
    told: bool,
    /// Whether its trouble is over.
    over: bool,
}

/// What to do now.
#[derive(Debug, Default)]
pub(super) struct Due {
    /// To be sent to Alertmanagers.
    pub(super) parcels: Vec<Parcel>,
    /// To be sent through channels.
    pub(super) letters: Vec<Letter>,
    /// What channels were owed for too long.
    pub(super) dropped: Vec<(String, Topic)>,
    /// When to look again; `None`: when something changes.
    pub(super) next: Option<Instant>,
}

impl Desk {
    pub(super) fn new(recipients: Recipients) -> Self {
        let Recipients { clusters, channels, routes } = recipients;
        Self {
            table: Table::new(clusters),
            outboxes: channels.into_iter().map(|one| Outbox::new(Arc::new(one))).collect(),
            routes,
            open: BTreeMap::new(),
            touched: BTreeSet::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// Tells whether a notice has no way to go.
    pub(super) fn is_nobody_there(&self, notice: &Notice) -> bool {
        let routes = &self.routes;
        self.table.is_nobody_there()
            && !self.outboxes.iter().any(|outbox| is_routed(routes, notice, outbox))
    }

    /// Puts other recipients in force. A channel that was not there before is owed what not all have
    /// accepted yet, as it would be after a restart.
    pub(super) fn configure(&mut self, recipients: Recipients, now: Instant) {
        let Recipients { clusters, channels, routes } = recipients;
        self.table.configure(clusters, now);
        let mut before: BTreeMap<String, Outbox> =
            self.outboxes.drain(..).map(|one| (one.channel.name.clone(), one)).collect();
        for channel in channels.into_iter().map(Arc::new) {
            if let Some(mut known) = before.remove(&channel.name) {
                known.channel = channel;
                self.outboxes.push(known);
                continue;
            }
            let mut outbox = Outbox::new(channel);
            for open in self.open.values() {
                if is_routed(&routes, &open.notice, &outbox) {
                    open.hand_to(&mut outbox, now);
                }
            }
            self.outboxes.push(outbox);
        }
        self.routes = routes;
        self.touched.extend(self.open.keys().cloned());
    }

    pub(super) fn tell(&mut self, notice: Notice, now: Instant) {
        let routes = &self.routes;
        for outbox in self.outboxes.iter_mut().filter(|one| is_routed(routes, &notice, one)) {
            outbox.tell(&notice, now);
        }
        let open = Open { notice: notice.clone(), told: false, over: false };
        self.open.insert(notice.topic(), open);
        // Other words alone are owed to no channel.
        self.touched.insert(notice.topic());
        self.table.tell(notice, now);
    }

    /// Keeps up what all have accepted before, until `least` at least.
    pub(super) fn remind(&mut self, notice: Notice, least: Instant, now: Instant) {
        let routes = &self.routes;
        for outbox in self.outboxes.iter_mut().filter(|one| is_routed(routes, &notice, one)) {
            outbox.remind(&notice, now);
        }
        let open = Open { notice: notice.clone(), told: true, over: false };
        self.open.insert(notice.topic(), open);
        self.table.remind(notice, least, now);
    }

    /// Tells that it is over. If it was told before a restart, it fires until `least` at least.
    pub(super) fn clear(&mut self, notice: Notice, least: Instant, now: Instant) {
        let (topic, routes) = (notice.topic(), &self.routes);
        for outbox in &mut self.outboxes {
            if outbox.knows(&topic) || is_routed(routes, &notice, outbox) {
                outbox.clear(&notice, now);
            }
        }
        let fresh = || Open { notice: notice.clone(), told: true, over: true };
        self.open.entry(topic.clone()).or_insert_with(fresh).over = true;
        self.table.clear(notice, least, now);
        self.touched.insert(topic);
    }

    /// Takes what is due; at most `room` parcels.
    pub(super) fn due(&mut self, now: Instant, room: usize) -> Due {
        let from_table = self.table.due(now, room);
        self.touched.extend(from_table.ended);
        let mut due = Due { parcels: from_table.parcels, next: from_table.next, ..Due::default() };
        for outbox in &mut self.outboxes {
            let from_outbox = outbox.due(now);
            due.letters.extend(from_outbox.letters);
            due.next = [due.next, from_outbox.next].into_iter().flatten().min();
            self.touched.extend(from_outbox.dropped.iter().cloned());
            let name = &outbox.channel.name;
            due.dropped.extend(from_outbox.dropped.into_iter().map(|topic| (name.clone(), topic)));
        }
        due
    }

    /// Takes what the engine should know.
    pub(super) fn events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        for topic in std::mem::take(&mut self.touched) {
            self.conclude(topic, &mut events);
        }
        events
    }

    /// Takes in what came of a parcel.
    pub(super) fn settle_parcel(
        &mut self,
        parcel: &Parcel,
        outcome: &Outcome,
        now: Instant,
        pace: Pace,
    ) {
        self.table.settle(parcel, outcome, now, pace);
        self.touched.extend(parcel.items.iter().map(|item| item.notice.topic()));
    }

    /// Takes in what came of a letter.
    pub(super) fn settle_letter(&mut self, letter: &Letter, accepted: bool, now: Instant) {
        let outbox = self.outboxes.iter_mut().find(|one| one.channel.name == letter.channel.name);
        if let Some(outbox) = outbox {
            outbox.settle(letter, accepted, now);
        }
        self.touched.insert(letter.notice.topic());
    }

    /// Says what has become true of a topic: that all were told, and that nothing is owed.
    fn conclude(&mut self, topic: Topic, events: &mut Vec<Event>) {
        let Some(open) = self.open.get(&topic) else { return };
        let waits = self.table.owes_telling(&topic)
            || self.outboxes.iter().any(|outbox| outbox.owes_telling(&topic));
        let told = open.told || !(waits || self.is_nobody_there(&open.notice));
        if told && !open.told {
            events.push(Event::NoticeTold(Box::new(open.notice.clone())));
        }
        let known = self.table.knows(&topic) || self.outboxes.iter().any(|one| one.knows(&topic));
        if open.over && !known {
            self.open.remove(&topic);
            events.push(Event::NoticeEnded(topic));
        } else if let Some(open) = self.open.get_mut(&topic) {
            open.told = told;
        }
    }
}

impl Open {
    /// Hands what is open to a channel that has not heard of it.
    fn hand_to(&self, outbox: &mut Outbox, now: Instant) {
        if self.told {
            outbox.remind(&self.notice, now);
        } else {
            outbox.tell(&self.notice, now);
        }
        if self.over {
            outbox.clear(&self.notice, now);
        }
    }
}

/// Whether a policy tells through this channel: through all, unless it names some.
fn is_routed(
    routes: &BTreeMap<PolicyName, BTreeSet<String>>,
    notice: &Notice,
    outbox: &Outbox,
) -> bool {
    let named = routes.get(&notice.policy);
    named.is_none_or(|names| names.contains(&outbox.channel.name))
}
