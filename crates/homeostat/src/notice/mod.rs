//! Tells people: fires an alert of our own into Alertmanager for each notice, and keeps it firing
//! until the trouble is over.
//!
//! ```text
//!  tell ──> telling ──accepted──> NoticeTold, and again each minute
//!              │ clear                         │ clear
//!              └────────> clearing <───────────┘
//!                            └──accepted, or lapsed by itself──> NoticeEnded
//! ```
//!
//! Duty: go on until an Alertmanager has accepted what is owed, and say so to the engine. What is
//! owed is a fact of the journal: after a restart the engine tells again, and nothing is kept here.
//! *Not* its duty: whether a person must be told (core), and how Alertmanager reaches one.
//!
//! One task works off one table. What is due to one cluster goes out in batches, so that a storm
//! of notices costs a dead Alertmanager a few time-outs and not thousands.

mod alertmanager;
mod owed;
mod wording;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use homeostat_core::event::Event;
use homeostat_core::name::SourceName;
use homeostat_core::notice::Notice;
use homeostat_core::time::Timestamp;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::client::Client;
use crate::queue::Queue;
use alertmanager::{Outcome, Parcel};
use owed::Table;

/// How often what is told is told again; as often as Prometheus does.
pub const REFRESH: Duration = Duration::from_mins(1);

/// How long an alert of ours fires unless it is told again: long enough for a person to be called
/// while Homeostat is away, short enough not to be forgotten.
pub const LASTING: Duration = Duration::from_hours(1);

/// Requests under way at once. Each goes to all peers of one cluster.
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

/// What a teller needs beside those whom it tells.
pub struct Settings {
    /// The URL under which people reach Homeostat, for links.
    pub external_url: Option<String>,
    /// The clock on the wall.
    pub clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
    /// How often what is told is told again, [`REFRESH`] unless somebody cannot wait.
    pub refresh: Duration,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("external_url", &self.external_url)
            .field("refresh", &self.refresh)
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
    table: Mutex<Table>,
    changed: Notify,
    settings: Settings,
}

impl Teller {
    /// Starts telling. What comes of it is reported to the queue.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn start(clusters: Vec<Cluster>, settings: Settings, queue: Queue) -> (Self, Telling) {
        let table = Mutex::new(Table::new(clusters));
        let shared = Arc::new(Shared { table, changed: Notify::new(), settings });
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(run(shared.clone(), queue, stopped));
        (Self { shared }, Telling { stop, task })
    }

    /// Puts other Alertmanagers in force, after a reload. All that is owed is told to them at once.
    pub fn configure(&self, clusters: Vec<Cluster>) {
        self.change(|table, now| table.configure(clusters, now));
    }

    /// Tells a person, and goes on until cleared. A notice about a topic that is told already takes
    /// the place of the one before. Returns at once.
    pub fn tell(&self, notice: Notice) {
        self.change(|table, now| {
            if table.is_nobody_there() {
                tracing::error!(
                    topic = %notice.topic(), policy = %notice.policy,
                    target = %notice.target, reason = %notice.reason,
                    "person needed but no Alertmanager configured"
                );
            }
            table.tell(notice, now);
        });
    }

    /// Keeps up what was told before a restart, until cleared. Returns at once.
    pub fn remind(&self, notice: Notice) {
        self.change(|table, now| table.remind(notice, now));
    }

    /// Tells that it is over. Returns at once.
    pub fn clear(&self, notice: Notice) {
        self.change(|table, now| table.clear(notice, now));
    }

    /// Returns for how many notices something is owed.
    pub fn owed(&self) -> usize {
        self.shared.table.lock().len()
    }

    fn change(&self, change: impl FnOnce(&mut Table, Instant)) {
        change(&mut self.shared.table.lock(), Instant::now());
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

async fn run(shared: Arc<Shared>, queue: Queue, mut stopped: watch::Receiver<bool>) {
    let mut under_way: JoinSet<(Parcel, Outcome)> = JoinSet::new();
    let mut events: Vec<Event> = Vec::new();
    loop {
        let began = Instant::now();
        let due = shared.table.lock().due(began, UNDER_WAY - under_way.len());
        events.extend(due.ended.into_iter().map(Event::NoticeEnded));
        for parcel in due.parcels {
            let settings = &shared.settings;
            let alerts = parcel.alerts((settings.clock)(), settings.external_url.as_deref());
            under_way.spawn(parcel.send(alerts));
        }
        let wake_at = due.next.unwrap_or(began + NAP).min(began + NAP);
        let step = async {
            for event in events.drain(..) {
                queue.report(event).await;
            }
            tokio::select! {
                Some(done) = under_way.join_next() => Some(done),
                () = shared.changed.notified() => None,
                () = tokio::time::sleep_until(wake_at) => None,
            }
        };
        let done = tokio::select! {
            // An error says that whoever could stop us is gone.
            _ = stopped.wait_for(|stop| *stop) => return,
            done = step => done,
        };
        if let Some(Ok((parcel, outcome))) = done {
            let mut table = shared.table.lock();
            events = table.settle(&parcel, &outcome, Instant::now(), shared.settings.refresh);
        }
    }
}
