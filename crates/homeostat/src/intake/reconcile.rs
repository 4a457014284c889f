//! Asks each Alertmanager from time to time for all that it lists, and so finds what its
//! notifications lost.
//!
//! ```text
//!  a turn each minute ─┐                     ┌─> active, ours ─> observations ─┐
//!  a notification that ├─> every peer ─> all ┤                                 ├─> queue
//!  does not tell all ──┘                     └─> who is there ─> Event::Polled ┘
//! ```
//!
//! What is listed as active and meant for us is observed like a notification, so that it begins an
//! episode only where none is known. Who is there at all, core compares with what it knows: whoever
//! is missing twice in a row is over ([`homeostat_core::poll`]).
//!
//! Only what is routed to us may begin: by a receiver that the configuration names for the source,
//! else by one that its notifications have named. Only what that Alertmanager would tell us now: by
//! its own routes, which its status shows, the group has waited and the route is not mute (`routes`).
//! And only what began longer ago than a turn, unless a notification was incomplete: it is for
//! Alertmanager to group, and to wait for what inhibits. Where its routes cannot be read, the last
//! alone has to do.
//!
//! *Not* its duty: what absence means (core), and how an Alertmanager is asked
//! ([`crate::listing`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use homeostat_core::alert::{Alert, Door, Observation, Status};
use homeostat_core::event::{Event, Remark};
use homeostat_core::evidence::Trouble;
use homeostat_core::label::{Fingerprint, LabelSet};
use homeostat_core::name::SourceName;
use homeostat_core::policy::Polling;
use homeostat_core::poll::{Occasion, Poll, Roll, Silence};
use homeostat_core::time::Timestamp;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::Tally;
use super::leads::{self, Lead, Leads};
use super::routes;
use crate::client::{self, Client};
use crate::listing::{self, Entry, Together};
use crate::queue::{Busy, Queue};
use homeostat_config::alertmanager::Route;

/// Between two polls of one source, however often it is asked out of turn.
const PAUSE: Duration = Duration::from_secs(1);

/// Observations that are handed over together, so that no turn of the engine takes long.
const BATCH: usize = 1024;

/// Alerts that are looked at, each with all routes, before others get their turn.
const LOOKS: usize = 256;

/// One cluster of Alertmanagers.
#[derive(Debug)]
pub struct Cluster {
    /// Its name, under which its notifications arrive.
    pub name: SourceName,
    /// Its peers.
    pub peers: Vec<Client>,
    /// The receivers by which it reaches us; where there are none, its notifications tell.
    pub receivers: BTreeSet<String>,
}

/// What the parts of reconciling share.
pub struct Settings {
    /// Where what was found goes.
    pub queue: Queue,
    /// What notifications tell.
    pub leads: Leads,
    /// The wall clock, by which an Alertmanager stamps what it lists.
    pub wall: Box<dyn Fn() -> Timestamp + Send + Sync>,
    /// What the engine's clock shows when the wall clock shows that.
    pub of_wall: Box<dyn Fn(Timestamp) -> Timestamp + Send + Sync>,
    /// What counts.
    pub tally: Arc<dyn Tally>,
    /// When to ask, and when silence counts.
    pub polling: Polling,
}

/// Polls each cluster in a task of its own: one poll of a source at a time.
pub struct Reconciler {
    settings: Arc<Settings>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl std::fmt::Debug for Reconciler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reconciler")
            .field("sources", &self.tasks.lock().len())
            .finish_non_exhaustive()
    }
}

impl Reconciler {
    /// Asks nobody yet.
    pub fn new(settings: Settings) -> Self {
        Self { settings: Arc::new(settings), tasks: Mutex::default() }
    }

    /// Asks these from now on, and at once, in place of all others.
    pub fn configure(&self, clusters: Vec<Cluster>) {
        let mut tasks = self.tasks.lock();
        tasks.drain(..).for_each(|task| task.abort());
        for cluster in clusters {
            let watch = Watch::new(cluster, self.settings.clone());
            tasks.push(tokio::spawn(watch.run()));
        }
    }

    /// Asks nobody any more.
    pub fn stop(&self) {
        self.configure(Vec::new());
    }
}

impl Drop for Reconciler {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The watch over one cluster.
struct Watch {
    cluster: Cluster,
    settings: Arc<Settings>,
    lead: Arc<Lead>,
    /// Why the last poll said nothing, if it did: only changes are logged.
    silence: Option<Silence>,
    /// It was said that nobody knows which alerts are ours.
    told_of_no_receiver: bool,
    routing: Routing,
}

/// How we hear of an alert that is active.
enum Heard {
    /// By this receiver, now.
    By(String),
    /// Not yet, or not at this time of the day.
    Later,
    /// It goes to others.
    Never,
}

/// The routes of an Alertmanager, read again where its configuration has changed.
#[derive(Default)]
struct Routing {
    config: Option<String>,
    root: Option<Route>,
    /// It was said that the routes cannot be read, and why: only changes are logged.
    trouble: Option<String>,
}

impl Routing {
    fn learn(&mut self, source: &SourceName, config: Option<&str>) {
        if self.config.is_some() && self.config.as_deref() == config {
            return;
        }
        self.config = config.map(str::to_owned);
        let read = config.map_or_else(|| Err("its status does not show it".into()), Route::read);
        let (root, trouble) = match read {
            Ok(root) => (Some(root), None),
            Err(reason) => (None, Some(reason)),
        };
        if let Some(reason) = trouble.as_ref().filter(|_| trouble != self.trouble) {
            tracing::warn!(
                %source, reason,
                "the configuration of the Alertmanager cannot be read: what it lists may begin \
                 although its routes are mute, or wait longer"
            );
        }
        (self.root, self.trouble) = (root, trouble);
    }
}

/// What one poll found.
type Found = BTreeMap<Fingerprint, Entry>;

impl Watch {
    fn new(cluster: Cluster, settings: Arc<Settings>) -> Self {
        let lead = settings.leads.of(&cluster.name);
        let routing = Routing::default();
        Self { cluster, settings, lead, silence: None, told_of_no_receiver: false, routing }
    }

    async fn run(mut self) {
        let every = Duration::from(self.settings.polling.every);
        let mut due = Instant::now();
        let mut occasion = Occasion::Due;
        loop {
            if occasion == Occasion::Due {
                due = Instant::now() + every;
            }
            let pause = Instant::now() + PAUSE.min(every);
            self.poll(occasion).await;
            sleep_until(pause).await;
            occasion = tokio::select! {
                biased;
                () = sleep_until(due) => Occasion::Due,
                () = self.lead.prompted.notified() => Occasion::Prompted,
            };
        }
    }

    async fn poll(&mut self, occasion: Occasion) {
        let asked_at = (self.settings.wall)();
        let asked = self.cluster.peers.iter().map(|peer| listing::ask(peer, asked_at));
        let answers = client::all(asked).await;
        let said = match Together::of(answers.iter()) {
            Ok(together) => {
                self.routing.learn(&self.cluster.name, together.config());
                let (uptime, found) = (together.uptime, together.all());
                let alerts = found.iter().map(|(print, entry)| (*print, entry.listed.starts_at));
                let roll = Roll { uptime, alerts: alerts.collect() };
                // What was found and not taken was not mentioned: its absence later must not count.
                let taken = self.begin(found, occasion, asked_at).await;
                taken.map(|()| roll).map_err(|busy| Trouble(busy.to_string()))
            }
            Err(trouble) => Err(trouble),
        };
        let source = self.cluster.name.clone();
        let asked_at = (self.settings.of_wall)(asked_at);
        let poll = Poll { source, asked_at, occasion, said };
        self.tell(&poll);
        self.settings.queue.report(Event::Polled(Box::new(poll))).await;
    }

    /// Hands over what is listed as active and is ours. Most of it is known, and thereby mentioned.
    async fn begin(
        &mut self,
        found: Found,
        occasion: Occasion,
        asked_at: Timestamp,
    ) -> Result<(), Busy> {
        let learned = self.lead.receivers();
        let ours =
            if self.cluster.receivers.is_empty() { &learned } else { &self.cluster.receivers };
        let mut batch = Vec::new();
        let mut unrouted = 0_usize;
        let mut begun = 0_usize;
        let active = found.into_iter().filter(|(_, entry)| entry.is_active);
        for (looks, (fingerprint, entry)) in active.enumerate() {
            match self.heard(ours, &entry, occasion, asked_at) {
                Heard::By(receiver) => {
                    batch.push(self.observation(fingerprint, entry, &receiver));
                }
                Heard::Later => {}
                Heard::Never => unrouted += 1,
            }
            if looks % LOOKS == LOOKS - 1 {
                tokio::task::yield_now().await;
            }
            if batch.len() >= BATCH {
                begun += self.observe(std::mem::take(&mut batch)).await?;
            }
        }
        begun += self.observe(batch).await?;
        let source = &self.cluster.name;
        if ours.is_empty() && unrouted > 0 && !self.told_of_no_receiver {
            self.told_of_no_receiver = true;
            tracing::info!(
                %source, alerts = unrouted,
                "reconcile begins nothing until a notification names its receiver"
            );
        }
        if begun > 0 {
            tracing::warn!(%source, alerts = begun, "alerts found that no notification told");
            self.settings.tally.found(begun as u64);
        }
        Ok(())
    }

    /// Tells whether an alert that is listed as active is told to us, by one of these receivers.
    fn heard(
        &self,
        ours: &BTreeSet<String>,
        entry: &Entry,
        occasion: Occasion,
        asked_at: Timestamp,
    ) -> Heard {
        let mut receivers = entry.receivers.iter().filter(|name| ours.contains(*name)).peekable();
        if receivers.peek().is_none() {
            return Heard::Never;
        }
        // What fires since a time far ahead began before the wall clock was set back.
        let starts_at = entry.listed.starts_at;
        let age = asked_at.since(starts_at).max(starts_at.since(asked_at));
        if occasion != Occasion::Prompted && age < self.settings.polling.every {
            return Heard::Later;
        }
        let told = self.routing.root.as_ref();
        let told = told.map(|root| routes::told(root, &entry.labels, age, asked_at));
        let is_told =
            |name: &&String| told.as_ref().is_none_or(|told| told.contains(&name.as_str()));
        receivers.find(is_told).map_or(Heard::Later, |receiver| Heard::By(receiver.clone()))
    }

    async fn observe(&self, batch: Vec<Observation>) -> Result<usize, Busy> {
        if batch.is_empty() {
            return Ok(0);
        }
        let remarks = self.settings.queue.observe(batch).await?;
        Ok(remarks.iter().filter(|remark| **remark == Remark::Began).count())
    }

    fn observation(&self, fingerprint: Fingerprint, entry: Entry, receiver: &str) -> Observation {
        Observation {
            alert: Alert {
                source: self.cluster.name.clone(),
                door: Door::Webhook,
                fingerprint,
                labels: entry.labels,
                annotations: entry.annotations,
                starts_at: Some(entry.listed.starts_at),
                generator_url: entry.generator_url,
                receiver: leads::quote(receiver).into(),
                // Its listing tells neither; a notification that comes first does.
                external_url: "".into(),
                group_labels: LabelSet::default(),
            },
            status: Status::Firing,
            ends_at: None,
            unproven: None,
            by: None,
        }
    }

    fn tell(&mut self, poll: &Poll) {
        let silence = poll.silence(self.settings.polling.young);
        let result = silence.map_or("listed", Silence::as_str);
        self.settings.tally.polled(&poll.source, result);
        // A poll out of turn says nothing of how the others go.
        if silence == self.silence || silence == Some(Silence::Prompted) {
            return;
        }
        self.silence = silence;
        let source = &poll.source;
        match (&poll.said, silence) {
            (Err(Trouble(reason)), _) => {
                tracing::warn!(%source, reason, "reconcile cannot ask the Alertmanager");
            }
            (Ok(roll), Some(_)) => {
                let (alerts, uptime) = (roll.alerts.len(), roll.uptime);
                tracing::info!(
                    %source, alerts, %uptime, result,
                    "the Alertmanager may not know all alerts: what it does not list is left alone"
                );
            }
            (Ok(roll), None) => {
                tracing::info!(%source, alerts = roll.alerts.len(), "the Alertmanager is reconciled");
            }
        }
    }
}
