//! Tells people: fires an alert of our own into Alertmanager for each notice, and keeps it firing
//! until the trouble is over; and hands it to the commands and webhooks that are configured.
//!
//! ```text
//!                  ┌─> alerts ──accepted──> and again each minute ─┐
//!  tell ──> desk ──┤                                               ├─> all: NoticeTold
//!                  └─> outbox of each channel ──accepted───────────┘
//!  clear ─> desk ──> the same ways ──accepted, lapsed, or given up──> all: NoticeEnded
//! ```
//!
//! Duty: go on until everybody who is owed a notice has accepted it, each at its own pace, and say
//! so to the engine. What is owed is a fact of the journal: after a restart the engine tells again
//! what not all have accepted, and nothing is kept here; so whoever has accepted it may get it once
//! more, under the same key. *Not* its duty: whether a person must be told (core), and how
//! Alertmanager reaches one.
//!
//! One task works off one desk. What is due to one cluster goes out in batches, so that a storm of
//! notices costs a dead Alertmanager a few time-outs and not thousands.

mod alertmanager;
mod channel;
mod command;
mod desk;
mod message;
mod outbox;
mod owed;
mod webhook;
mod wording;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use homeostat_core::name::{PolicyName, SourceName};
use homeostat_core::notice::Notice;
use homeostat_core::time::Timestamp;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::client::Client;
use crate::queue::Queue;
use alertmanager::{Outcome, Parcel};
pub use channel::{Channel, Way};
use desk::Desk;
use homeostat_hands::failpoint;
use message::Message;
use outbox::Letter;
pub use webhook::Webhook;

/// How long what Alertmanagers are told goes on.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How often it is told again.
    pub refresh: Duration,
    /// How long an alert of ours that calls for help fires at least once it was accepted, even if its
    /// trouble is over at once.
    pub least: Duration,
}

impl Pace {
    /// As often as Prometheus does; and for longer than Alertmanager's usual `group_interval`, or
    /// nobody would be called.
    pub const USUAL: Self = Self { refresh: Duration::from_mins(1), least: Duration::from_mins(6) };
}

/// How long an alert of ours fires unless it is told again: long enough for a person to be called
/// while Homeostat is away, short enough not to be forgotten.
pub const LASTING: Duration = Duration::from_hours(1);

/// Requests to Alertmanagers under way at once. Each goes to all peers of one cluster.
const UNDER_WAY: usize = 8;

/// The longest pause of the loop. Any would do, since it is woken for whatever is new.
const NAP: Duration = Duration::from_mins(1);

/// One cluster of Alertmanagers that can be told.
#[derive(Debug)]
pub struct Cluster {
    /// Its name: trouble with alerts that came from it is told to it.
    pub name: SourceName,
    /// Its peers; all are told, one that accepts is enough.
    pub peers: Vec<Client>,
}

/// Whom to tell.
#[derive(Debug, Default)]
pub struct Recipients {
    /// Alertmanagers, which get every notice.
    pub clusters: Vec<Cluster>,
    /// Commands and webhooks.
    pub channels: Vec<Channel>,
    /// The names of the channels through which a policy tells; through all if it is not here.
    pub routes: BTreeMap<PolicyName, BTreeSet<String>>,
}

/// Counts what became of a try to tell.
pub trait Tally: Send + Sync {
    /// Counts notices that were `accepted`, that `failed` and will be tried again, or were `dropped`.
    /// A cluster of Alertmanagers is called `alertmanager/NAME`.
    fn notices(&self, channel: &str, result: &str, count: u64);
}

/// What a teller needs beside those whom it tells.
pub struct Settings {
    /// The URL under which people reach Homeostat, for links.
    pub external_url: Option<String>,
    /// The clock on the wall.
    pub clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
    /// How long what is told goes on, [`Pace::USUAL`] unless somebody cannot wait.
    pub pace: Pace,
    /// Who counts.
    pub tally: Arc<dyn Tally>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("external_url", &self.external_url)
            .field("pace", &self.pace)
            .finish_non_exhaustive()
    }
}

/// The end by which notices are handed over. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Teller {
    shared: Arc<Shared>,
}

/// The task that tells; [`Telling::stop`] ends it.
#[derive(Debug)]
pub struct Telling {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    desk: Mutex<Desk>,
    changed: Notify,
    settings: Settings,
}

impl Teller {
    /// Starts telling. What comes of it is reported to the queue.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn start(recipients: Recipients, settings: Settings, queue: Queue) -> (Self, Telling) {
        let desk = Mutex::new(Desk::new(recipients));
        let shared = Arc::new(Shared { desk, changed: Notify::new(), settings });
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(run(shared.clone(), queue, stopped));
        (Self { shared }, Telling { stop, task })
    }

    /// Puts other recipients in force, after a reload. All that is owed is told to Alertmanagers at
    /// once; a channel that is new is owed what not everybody has accepted yet.
    pub fn configure(&self, recipients: Recipients) {
        self.change(|desk, now| desk.configure(recipients, now));
    }

    /// Tells a person, and goes on until cleared. A notice about a topic that is told already takes
    /// the place of the one before. Returns at once.
    pub fn tell(&self, notice: Notice) {
        self.change(|desk, now| {
            if desk.is_nobody_there(&notice) {
                tracing::error!(
                    topic = %notice.topic(), policy = %notice.policy,
                    target = %notice.target, reason = %notice.reason,
                    "person needed but nobody to tell is configured"
                );
            }
            desk.tell(notice, now);
        });
    }

    /// Keeps up what was told before a restart, until cleared. Returns at once.
    pub fn remind(&self, notice: Notice) {
        let least = self.least_left(&notice);
        self.change(|desk, now| desk.remind(notice, now + least, now));
    }

    /// Tells that it is over. Returns at once.
    pub fn clear(&self, notice: Notice) {
        let least = self.least_left(&notice);
        self.change(|desk, now| desk.clear(notice, now + least, now));
    }

    /// Returns for how many notices something is owed.
    pub fn owed(&self) -> usize {
        self.shared.desk.lock().len()
    }

    /// How much longer a notice fires at least that was accepted before a restart. When that was is not
    /// known, but not that it was after a person was needed.
    fn least_left(&self, notice: &Notice) -> Duration {
        let age = (self.shared.settings.clock)().since(notice.since);
        self.shared.settings.pace.least.saturating_sub(age.into())
    }

    fn change(&self, change: impl FnOnce(&mut Desk, Instant)) {
        change(&mut self.shared.desk.lock(), Instant::now());
        self.shared.changed.notify_one();
    }
}

impl Telling {
    /// Stops telling; what is under way is given up. Alerts that fire do so until they lapse.
    pub async fn stop(self) {
        // Neither can fail in a way that matters: then the task has ended already.
        let _ = self.stop.send(true);
        let _ = self.task.await;
    }
}

/// What came of what was under way.
enum Done {
    Parcel(Parcel, Outcome),
    Letter(Letter, Result<(), String>),
}

async fn run(shared: Arc<Shared>, queue: Queue, mut stopped: watch::Receiver<bool>) {
    let settings = &shared.settings;
    let mut parcels: JoinSet<Done> = JoinSet::new();
    let mut letters: JoinSet<Done> = JoinSet::new();
    loop {
        let began = Instant::now();
        let (due, events) = {
            let mut desk = shared.desk.lock();
            (desk.due(began, UNDER_WAY - parcels.len()), desk.events())
        };
        for (channel, topic) in due.dropped {
            tracing::error!(channel, %topic, "notice given up");
            settings.tally.notices(&channel, "dropped", 1);
        }
        for parcel in due.parcels {
            let alerts = parcel.alerts((settings.clock)(), settings.external_url.as_deref());
            parcels.spawn(async move {
                let (parcel, outcome) = parcel.send(alerts).await;
                Done::Parcel(parcel, outcome)
            });
        }
        for letter in due.letters {
            letters.spawn(send(letter, settings.external_url.clone()));
        }
        let wake_at = due.next.unwrap_or(began + NAP).min(began + NAP);
        let step = async {
            for event in events {
                queue.report(event).await;
            }
            tokio::select! {
                Some(done) = parcels.join_next() => Some(done),
                Some(done) = letters.join_next() => Some(done),
                () = shared.changed.notified() => None,
                () = tokio::time::sleep_until(wake_at) => None,
            }
        };
        let done = tokio::select! {
            // An error says that whoever could stop us is gone.
            _ = stopped.wait_for(|stop| *stop) => return,
            done = step => done,
        };
        if let Some(Ok(done)) = done {
            settle(&shared, done);
        }
    }
}

async fn send(letter: Letter, external_url: Option<String>) -> Done {
    let message = Message::new(&letter.notice, letter.status, external_url.as_deref());
    let result = letter.channel.send(&message).await;
    Done::Letter(letter, result)
}

fn settle(shared: &Shared, done: Done) {
    failpoint::reach("notice.sent");
    let Settings { tally, pace, .. } = &shared.settings;
    let now = Instant::now();
    match done {
        Done::Parcel(parcel, outcome) => {
            let result = match outcome {
                Outcome::Accepted | Outcome::Partly(_) => "accepted",
                Outcome::Refused(_) | Outcome::Failed(_) => "failed",
            };
            let channel = format!("alertmanager/{}", parcel.cluster.name);
            tally.notices(&channel, result, parcel.items.len() as u64);
            shared.desk.lock().settle_parcel(&parcel, &outcome, now, *pace);
        }
        Done::Letter(letter, result) => {
            let (channel, topic) = (&letter.channel.name, letter.notice.topic());
            let status = letter.status;
            match &result {
                Ok(()) => tracing::info!(channel, %topic, %status, "notice handed over"),
                Err(error) => {
                    tracing::warn!(channel, %topic, %status, error, "notice not handed over");
                }
            }
            tally.notices(channel, if result.is_ok() { "accepted" } else { "failed" }, 1);
            shared.desk.lock().settle_letter(&letter, result.is_ok(), now);
        }
    }
}
