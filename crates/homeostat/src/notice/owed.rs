//! What is owed, to whom, and when it is due: plain values, with time as an argument.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::time::Duration;

use homeostat_core::notice::{Matter, Notice, Topic};
use tokio::time::Instant;

use super::alertmanager::{Item, Outcome, Parcel};
use super::{Cluster, LASTING, Pace};

/// Notices in one request: as many alerts as Prometheus sends in one.
const BATCH: usize = 256;

/// The pause after a first failure, doubled after each further one.
const BACKOFF: Duration = Duration::from_millis(500);

/// The longest pause after a failure: a person should be called soon after Alertmanager is back.
const BACKOFF_CAP: Duration = Duration::from_secs(30);

/// When a request that is under way counts as lost. No request takes as long.
const LOST_AFTER: Duration = Duration::from_secs(30);

/// Earlier forms of a notice, under other labels, whose end is still owed. Notices change a few
/// times at most; older ones lapse by themselves.
const FORMER: usize = 4;

/// All that is owed. Bounded by the engine: there is one notice a topic, and so many topics.
#[derive(Debug)]
pub(super) struct Table {
    owed: BTreeMap<Topic, Owed>,
    clusters: Vec<Arc<Cluster>>,
}

/// What is owed for one topic.
#[derive(Debug)]
pub(super) struct Owed {
    notice: Notice,
    former: Vec<Notice>,
    /// Whether its trouble is over.
    clearing: bool,
    /// Until when it fires at least, once it was accepted under its labels.
    least: Option<Instant>,
    /// Whether it was accepted, as it is now.
    told: bool,
    /// Counts changes, so that an answer to what was sent before one is known.
    version: u64,
    due: Instant,
    failures: u32,
    /// Until when a request about it is under way.
    under_way: Option<Instant>,
    /// When whatever was told has ended by itself.
    lapses_at: Instant,
    /// Whether it was refused: sent alone since, and without labels of unusual names.
    careful: bool,
}

/// What to do now.
#[derive(Debug, Default)]
pub(super) struct Due {
    /// To be sent.
    pub(super) parcels: Vec<Parcel>,
    /// Nothing is owed for these any more.
    pub(super) ended: Vec<Topic>,
    /// When to look again; `None`: when something changes.
    pub(super) next: Option<Instant>,
}

impl Table {
    pub(super) fn new(clusters: Vec<Cluster>) -> Self {
        Self { owed: BTreeMap::new(), clusters: clusters.into_iter().map(Arc::new).collect() }
    }

    /// Tells whether no Alertmanager has accepted the notice yet, as it is now.
    pub(super) fn owes_telling(&self, topic: &Topic) -> bool {
        !self.is_nobody_there() && self.owed.get(topic).is_some_and(|owed| !owed.told)
    }

    /// Tells whether the topic is open here.
    pub(super) fn knows(&self, topic: &Topic) -> bool {
        !self.is_nobody_there() && self.owed.contains_key(topic)
    }

    pub(super) fn is_nobody_there(&self) -> bool {
        self.clusters.is_empty()
    }

    pub(super) fn configure(&mut self, clusters: Vec<Cluster>, now: Instant) {
        self.clusters = clusters.into_iter().map(Arc::new).collect();
        for owed in self.owed.values_mut() {
            owed.change(now);
        }
    }

    pub(super) fn tell(&mut self, notice: Notice, now: Instant) {
        match self.owed.entry(notice.topic()) {
            Entry::Occupied(mut owed) => owed.get_mut().replace(notice, now),
            Entry::Vacant(place) => drop(place.insert(Owed::new(notice, now))),
        }
    }

    /// Keeps up what was told before, and fires until `least` at least.
    pub(super) fn remind(&mut self, notice: Notice, least: Instant, now: Instant) {
        let told = Owed { told: true, least: Some(least), ..Owed::new(notice, now) };
        self.owed.insert(told.notice.topic(), told);
    }

    /// Ends what is told, or was told before a restart and fires until `least` at least.
    pub(super) fn clear(&mut self, notice: Notice, least: Instant, now: Instant) {
        let known = self.owed.entry(notice.topic());
        let owed = known.or_insert_with(|| Owed { least: Some(least), ..Owed::new(notice, now) });
        let due = owed.due;
        owed.clearing = true;
        owed.change(now);
        if let (Some(least), false) = (owed.least, owed.is_ending(now)) {
            // Until then it is told on as before.
            owed.due = due.min(least).max(now);
        }
    }

    /// Takes what is due, the longest overdue first, in at most `room` parcels.
    pub(super) fn due(&mut self, now: Instant, room: usize) -> Due {
        let nobody = self.clusters.is_empty();
        let over = |owed: &Owed| owed.clearing && (nobody || owed.lapses_at <= now);
        let ended: Vec<Topic> =
            self.owed.extract_if(.., |_, owed| over(owed)).map(|(topic, _)| topic).collect();
        if nobody {
            return Due { ended, ..Due::default() };
        }
        let mut ready: Vec<&mut Owed> =
            self.owed.values_mut().filter(|owed| owed.ready_at() <= now).collect();
        ready.sort_by_key(|owed| owed.ready_at());
        let mut parcels: Vec<Parcel> = Vec::new();
        for owed in ready {
            let cluster = cluster_of(&self.clusters, &owed.notice);
            let fits = |parcel: &&mut Parcel| {
                !owed.careful
                    && !parcel.careful
                    && parcel.items.len() < BATCH
                    && Arc::ptr_eq(&parcel.cluster, cluster)
            };
            let item = owed.item(now);
            if let Some(parcel) = parcels.iter_mut().find(fits) {
                parcel.items.push(item);
            } else if parcels.len() < room {
                let (cluster, careful) = (cluster.clone(), owed.careful);
                parcels.push(Parcel { cluster, items: vec![item], careful });
            } else {
                // It stays due; the end of any request makes room.
                continue;
            }
            owed.under_way = Some(now + LOST_AFTER);
        }
        let later = self.owed.values().map(Owed::ready_at).filter(|at| *at > now);
        Due { parcels, ended, next: later.min() }
    }

    /// Takes in what came of a parcel.
    pub(super) fn settle(&mut self, parcel: &Parcel, outcome: &Outcome, now: Instant, pace: Pace) {
        // One pause for all, so that they stay together in their next batch.
        let luck = luck();
        for item in &parcel.items {
            let topic = item.notice.topic();
            let Some(owed) = self.owed.get_mut(&topic) else { continue };
            owed.under_way = None;
            match outcome {
                Outcome::Accepted if item.ending && owed.version == item.version => {
                    self.owed.remove(&topic);
                }
                // A peer that did not hear of the end may fire it on.
                Outcome::Partly(_) if item.ending => owed.failed(item, now, luck),
                Outcome::Accepted | Outcome::Partly(_) => {
                    owed.accepted(item, now, pace);
                    owed.told |= !item.ending && owed.notice == item.notice;
                }
                Outcome::Refused(_) if !owed.careful => {
                    owed.careful = true;
                    owed.due = now;
                }
                Outcome::Refused(_) | Outcome::Failed(_) => owed.failed(item, now, luck),
            }
        }
    }
}

/// The cluster that the alert came from, else the first.
fn cluster_of<'a>(clusters: &'a [Arc<Cluster>], notice: &Notice) -> &'a Arc<Cluster> {
    let own = clusters.iter().find(|cluster| cluster.name == notice.source);
    own.unwrap_or(&clusters[0])
}

impl Owed {
    fn new(notice: Notice, now: Instant) -> Self {
        Self {
            notice,
            former: Vec::new(),
            clearing: false,
            least: None,
            told: false,
            version: 0,
            due: now,
            failures: 0,
            under_way: None,
            // An earlier run may have told it until just now.
            lapses_at: now + LASTING,
            careful: false,
        }
    }

    fn change(&mut self, now: Instant) {
        self.version += 1;
        self.failures = 0;
        self.due = now;
    }

    fn replace(&mut self, notice: Notice, now: Instant) {
        let before = std::mem::replace(&mut self.notice, notice);
        if is_another_alert(&before, &self.notice) {
            self.least = None;
            if self.former.len() < FORMER {
                self.former.push(before);
            }
        }
        self.former.retain(|former| is_another_alert(former, &self.notice));
        self.clearing = false;
        self.told = false;
        self.change(now);
    }

    /// Two requests about one topic never overlap: the later one could arrive first.
    fn ready_at(&self) -> Instant {
        self.under_way.map_or(self.due, |until| until.max(self.due))
    }

    /// Whether it is to end: what is over at once fires long enough for somebody to be called, which
    /// begins when it is accepted. Nobody need be called for a question that needs no answer.
    fn is_ending(&self, now: Instant) -> bool {
        let is_question = matches!(self.notice.matter, Matter::Approval { .. });
        self.clearing && (is_question || self.least.is_some_and(|least| least <= now))
    }

    fn item(&self, now: Instant) -> Item {
        Item {
            notice: self.notice.clone(),
            former: self.former.clone(),
            ending: self.is_ending(now),
            version: self.version,
        }
    }

    fn accepted(&mut self, item: &Item, now: Instant, pace: Pace) {
        self.failures = 0;
        self.lapses_at = now + LASTING;
        if !item.ending && !is_another_alert(&item.notice, &self.notice) {
            self.least.get_or_insert(now + pace.least);
        }
        if self.version == item.version {
            self.former.clear();
            self.due = now + pace.refresh;
            if let (true, Some(least)) = (self.clearing, self.least) {
                self.due = self.due.min(least);
            }
        }
    }

    fn failed(&mut self, item: &Item, now: Instant, luck: f64) {
        if self.version == item.version {
            let doubled = BACKOFF.saturating_mul(1 << self.failures.min(16));
            self.due = now + doubled.min(BACKOFF_CAP).mul_f64(luck);
            self.failures += 1;
        }
    }
}

/// Whether Alertmanager takes the two for different alerts.
fn is_another_alert(one: &Notice, other: &Notice) -> bool {
    let labels = |notice: &Notice| notice.carried.labels.clone();
    (&one.policy, &one.severity, &one.alertname, &one.target, labels(one))
        != (&other.policy, &other.severity, &other.alertname, &other.target, labels(other))
}

/// A number between a half and one, so that several senders do not fall into step.
pub(super) fn luck() -> f64 {
    let random = u32::try_from(RandomState::new().hash_one(()) >> 32).unwrap_or_default();
    0.5 + 0.5 * f64::from(random) / f64::from(u32::MAX)
}
