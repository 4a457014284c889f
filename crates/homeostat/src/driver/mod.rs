//! The one loop around the engine: take what waits, turn, commit as one group, perform, answer.
//!
//! ```text
//!  Inbox ─> events ─> Engine::turn ─> Journal::commit ─┬─> effects performed, senders answered
//!                                                      └─> failed: nothing performed, 503
//! ```
//!
//! It runs on a thread of its own, because a commit blocks. While it commits, requests gather in
//! the queue and become the next group: the slower the disk, the larger the groups. Where nothing
//! waits, it keeps the journal small.

mod aside;
mod clock;
mod observe;
mod perform;
mod stop;
mod subject;
#[cfg(test)]
mod tests;
mod upkeep;
mod waiting;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use homeostat_core::alert::{Observation, Status};
use homeostat_core::configuration::{Occasion, Scope};
use homeostat_core::engine::{Engine, Turn};
use homeostat_core::event::{Effect, Event};
use homeostat_core::label::LabelSet;
use homeostat_core::limits::OPEN_EPISODES;
use homeostat_core::name::{BootId, OrderId, SourceName};
use homeostat_core::policy::Book;
use homeostat_core::repeats::Woken;
use homeostat_core::text::Text;
use homeostat_core::time::{Span, Timestamp};
use parking_lot::RwLock;
use thiserror::Error;
use tokio::sync::watch;
use tracing::{error, info, warn};

use observe::Observer;
use upkeep::Upkeep;
use waiting::{Waiting, answer, refuse};

pub use aside::Aside;
pub use clock::Clock;
pub use observe::Standing;
pub use perform::{Doors, Outlets, Setting, Settings, Underway};
pub use stop::{AtStop, DRAIN, Shutdown};

use crate::journal::{CommitError, Journal, JournalError, Mover, Recovered};
use crate::queue::{Accounted, Busy, Firing, Inbox, Request};
use crate::telemetry::Metrics;
use homeostat_hands::failpoint;

/// Requests that become one group at most, so that no commit takes long.
const GROUP: usize = 512;

/// Alerts that are told to somebody who asks what fires.
const FIRING: usize = 10_000;

/// The longest time without a look at the clock and at whether to stop.
const IDLE: Duration = Duration::from_millis(500);

/// How often a journal that could not be written is tried.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// Why the driver cannot go on.
#[derive(Debug, Error)]
pub enum Fatal {
    /// Whether the last facts were written is uncertain: start again from what is on the disk.
    #[error("the journal failed while it was synced; start again to recover from the disk")]
    Uncertain(#[source] CommitError),
    /// The journal could not be read back.
    #[error("the journal could not be read back")]
    Unreadable(#[source] JournalError),
    /// The driver's thread died of a bug.
    #[error("the driver died of a bug; its log line says where")]
    Died,
}

/// The loop and all that it owns.
#[derive(Debug)]
pub struct Driver {
    engine: Engine,
    journal: Journal,
    inbox: Inbox,
    doors: Arc<Doors>,
    metrics: Arc<Metrics>,
    observer: Observer,
    upkeep: Upkeep,
    /// Events that were taken from the queue and whose group was not committed.
    owed: VecDeque<Event>,
    /// Orders that were issued while the engine stops, and are left to its next start.
    not_started: BTreeSet<OrderId>,
    shutdown: Shutdown,
    /// Up to which number there are facts, for readers.
    committed: watch::Sender<i64>,
}

impl Driver {
    /// Recovers from the journal. What is over for longer than the retention is let go.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    pub fn recover(
        journal: Journal,
        book: Arc<Book>,
        inbox: Inbox,
        doors: Arc<Doors>,
        metrics: Arc<Metrics>,
        started_in: BootId,
        retention: Span,
    ) -> Result<Self, Fatal> {
        let Recovered { state, covered, taken_at, .. } = recover(&journal)?;
        doors.clock.resume(state.clock());
        let now = doors.clock.now();
        let engine = Engine::restore(state, book, now);
        let observer = Observer::new(metrics.clone(), &engine);
        metrics.set_journal_writable(true);
        // The configuration may be another one than that of the last run.
        let owed = VecDeque::from([Event::Started { boot: started_in }, Event::Reloaded]);
        doors.tidy_aside();
        let mover = Mover::new(&doors.storage);
        let upkeep = Upkeep::new(retention, (covered, taken_at.unwrap_or(now)), mover);
        let committed = watch::Sender::new(journal.last());
        Ok(Self {
            engine,
            journal,
            inbox,
            doors,
            metrics,
            observer,
            upkeep,
            owed,
            not_started: BTreeSet::new(),
            shutdown: Shutdown::default(),
            committed,
        })
    }

    /// Says what is done with running actions at the end, instead of waiting for them.
    #[must_use]
    pub fn with_shutdown(self, shutdown: Shutdown) -> Self {
        Self { shutdown, ..self }
    }

    /// Returns what it publishes for readers.
    pub fn standing(&self) -> Arc<RwLock<Standing>> {
        self.observer.standing()
    }

    /// Returns by what readers learn up to which number there are facts.
    pub fn committed(&self) -> watch::Receiver<i64> {
        self.committed.subscribe()
    }

    /// Returns the sources of the alerts that fire.
    pub fn sources(&self) -> BTreeSet<SourceName> {
        let state = self.engine.state();
        let firing = state.all_firing().filter_map(|id| state.episode(id));
        firing.map(|episode| episode.alert.source.clone()).collect()
    }

    /// Returns the receivers by which the alerts that are known came, with their sources.
    pub fn receivers(&self) -> BTreeSet<(SourceName, Text)> {
        let state = self.engine.state();
        let of_incidents = state.incidents().flat_map(|incident| incident.episodes.iter());
        let known = state.all_firing().chain(of_incidents.map(|attached| attached.episode));
        let alerts = known.filter_map(|id| state.episode(id)).map(|episode| &episode.alert);
        alerts.map(|alert| (alert.source.clone(), alert.receiver.clone())).collect()
    }

    /// Takes turns until the queue says stop and what is waited for is over.
    ///
    /// # Errors
    ///
    /// The engine cannot go on; its process must end.
    pub fn run(mut self) -> Result<(), Fatal> {
        let mut stop_by: Option<Instant> = None;
        loop {
            let first = if self.owed.is_empty() { self.inbox.wait(self.patience()) } else { None };
            let idle = first.is_none();
            self.take_turn(first)?;
            self.upkeep
                .step(&mut self.journal, self.engine.state(), &self.doors, idle)
                .map_err(Fatal::Uncertain)?;
            if self.inbox.is_stopping() {
                let by = *stop_by.get_or_insert_with(|| self.begin_to_stop());
                if self.awaited() == 0 || Instant::now() >= by {
                    let running = self.running();
                    if running > 0 {
                        warn!(running, "stopped while actions run; they go on");
                    }
                    let now = self.doors.clock.now();
                    self.upkeep.stop(&mut self.journal, self.engine.state(), now);
                    return Ok(());
                }
            }
        }
    }

    /// Does with running actions what was said, and returns until when they are waited for.
    fn begin_to_stop(&self) -> Instant {
        let most = match self.shutdown.actions {
            AtStop::Wait | AtStop::Leave => self.shutdown.timeout,
            AtStop::Kill => {
                self.doors.end_all();
                perform::END_WITHIN.max(self.shutdown.timeout)
            }
        };
        Instant::now() + most
    }

    /// Orders that are issued and not over.
    fn running(&self) -> usize {
        let issued = observe::running(self.engine.state());
        issued.saturating_sub(self.not_started.len())
    }

    /// Those of them that the end waits for.
    fn awaited(&self) -> usize {
        match self.shutdown.actions {
            AtStop::Wait | AtStop::Kill => self.running(),
            AtStop::Leave => self.running().min(self.doors.runs_in_engine()),
        }
    }

    /// How long nothing need happen.
    fn patience(&self) -> Duration {
        let most = if self.upkeep.is_busy() { upkeep::PAUSE } else { IDLE };
        match self.engine.next_wake() {
            Some(at) => Duration::from(at.since(self.doors.clock.now())).min(most),
            None => most,
        }
    }

    fn take_turn(&mut self, first: Option<Request>) -> Result<(), Fatal> {
        // Before the clock is read: it was told without the jump that this turn may take.
        self.hear_repeats();
        self.owe_jump();
        let now = self.doors.clock.now();
        let book = self.engine.book().clone();
        let mut events: Vec<Event> = self.owed.drain(..).collect();
        let mut waiting = Vec::new();
        let mut next = first.or_else(|| self.inbox.take());
        let mut taken = 0;
        while let Some(request) = next {
            self.take_in(request, &mut events, &mut waiting);
            taken += 1;
            next = if taken < GROUP { self.inbox.take() } else { None };
        }
        // What nobody would send again must survive a failed commit.
        let kept: Vec<Event> = events.iter().filter(|event| is_owed(event)).cloned().collect();
        let turn = self.engine.turn(events, now);
        self.inbox.decided(self.engine.woken(&turn), self.engine.state().clock().ahead());
        match self.commit(&turn) {
            Ok(()) => {
                self.inbox.rest(self.engine.at_rest(&turn));
                self.finish(turn, waiting, now);
                Ok(())
            }
            Err(CommitError::NotWritten(error)) => {
                error!(error = %chain(&error), "journal cannot be written; senders get 503");
                self.hear_repeats();
                refuse(waiting, Busy::NotWritable);
                self.owed.extend(kept);
                self.engine.replace_book(book);
                self.wait_for_the_journal(&error)
            }
            Err(uncertain @ CommitError::Uncertain(_)) => {
                refuse(waiting, Busy::NotWritable);
                Err(Fatal::Uncertain(uncertain))
            }
        }
    }

    /// Takes what was answered without the engine, and answers for it no more until it has decided.
    fn hear_repeats(&mut self) {
        self.engine.hear_repeats(self.inbox.begin_turn());
    }

    /// Puts a jump of the wall clock before all that follows it: what waits is moved along before
    /// the new time is used.
    fn owe_jump(&mut self) {
        if let Some(jump) = self.doors.clock.take_jump() {
            let is_jump = |event: &&Event| matches!(event, Event::ClockJumped(_));
            let earlier = self.owed.iter().take_while(is_jump).count();
            self.owed.insert(earlier, Event::ClockJumped(jump));
        }
    }

    fn take_in(&mut self, request: Request, events: &mut Vec<Event>, waiting: &mut Vec<Waiting>) {
        match request {
            Request::Observe { observations, answer } => {
                failpoint::reach("driver.taken");
                let waiting_too: usize = waiting.iter().map(Waiting::new_alerts).sum();
                let new_alerts = self.count_new(&observations);
                let firing = self.engine.state().count_firing() + waiting_too;
                if new_alerts > 0 && firing + new_alerts > OPEN_EPISODES {
                    // The sender may have gone; then nobody needs the answer.
                    let _ = answer.send(Err(Busy::TooManyAlerts));
                    return;
                }
                let mine = events.len()..events.len() + observations.len();
                events.extend(Event::notified(observations));
                waiting.push(Waiting::Observations { events: mine, new_alerts, answer });
            }
            Request::Command { event, answer } => {
                events.push(event);
                waiting.push(Waiting::Command { event: events.len() - 1, answer });
            }
            Request::Reload { book, configuration, answer } => {
                self.engine.replace_book(book);
                events.extend([Event::Reloaded, Event::Configured(configuration)]);
                waiting.push(Waiting::Reload { answer });
            }
            Request::Account { labels, annotations, answer } => {
                waiting.push(Waiting::Account { labels, annotations, answer });
            }
            Request::Firing { answer } => waiting.push(Waiting::Firing { answer }),
            Request::Tell(event) => events.push(event),
            Request::Stop => {}
        }
    }

    /// Counts what would begin to fire: a full engine still hears of repeats and ends.
    fn count_new(&self, observations: &[Observation]) -> usize {
        let state = self.engine.state();
        let is_new = |observation: &&Observation| {
            let alert = &observation.alert;
            observation.status == Status::Firing && state.firing(&alert.key()).is_none()
        };
        observations.iter().filter(is_new).count()
    }

    fn commit(&mut self, turn: &Turn) -> Result<(), CommitError> {
        if turn.facts.is_empty() {
            return Ok(());
        }
        failpoint::reach("driver.decided");
        let begun = Instant::now();
        self.journal.commit(&turn.facts)?;
        failpoint::reach("driver.committed");
        self.metrics.committed(begun.elapsed().as_secs_f64(), turn.facts.len());
        self.committed.send_replace(self.journal.last());
        Ok(())
    }

    fn finish(&mut self, turn: Turn, waiting: Vec<Waiting>, now: Timestamp) {
        for effect in turn.effects {
            // A stopping engine starts nothing: an order that was not started is found so at the
            // next start, and is permitted anew.
            match effect {
                Effect::Run(run) if self.inbox.is_stopping() => {
                    self.doors.withhold(&run.order);
                    self.not_started.insert(run.order.id);
                }
                effect => self.doors.perform(effect),
            }
        }
        if !turn.facts.is_empty() {
            failpoint::reach("driver.performed");
        }
        self.observer.show(&turn.facts, &self.engine, self.doors.queue.len());
        let account = |labels: &LabelSet, annotations: &LabelSet| Accounted {
            at: now,
            book: self.engine.book().clone(),
            accounts: self.engine.account(labels, annotations, now),
            owners: self
                .engine
                .state()
                .fires_as(labels)
                .map_or_else(Vec::new, |e| e.owners.clone()),
        };
        answer(waiting, &turn.remarks, turn.replies, account, || self.firing(now));
    }

    /// What fires, as far as it is told: copying it must not keep senders waiting.
    fn firing(&self, at: Timestamp) -> Firing {
        let state = self.engine.state();
        let told = state.all_firing().take(FIRING).filter_map(|id| {
            let open = state.incidents_of(id).filter(|incident| !incident.is_closed());
            Some((state.episode(id)?.clone(), open.map(|incident| incident.id).collect()))
        });
        let more = state.count_firing().saturating_sub(FIRING);
        Firing { at, book: self.engine.book().clone(), alerts: told.collect(), more }
    }

    /// Answers 503 until the journal can be written again, then goes on from what it holds.
    fn wait_for_the_journal(&mut self, error: &JournalError) -> Result<(), Fatal> {
        self.inbox.set_writable(Err(chain(error)));
        self.metrics.set_journal_writable(false);
        loop {
            let until = Instant::now() + PROBE_EVERY;
            while let Some(left) = until.checked_duration_since(Instant::now()) {
                match self.inbox.wait(left) {
                    Some(Request::Tell(event)) => self.owed.push_back(event),
                    Some(request) => refuse(Waiting::of(request), Busy::NotWritable),
                    None => {}
                }
            }
            if self.inbox.is_stopping() {
                return self.rebuild();
            }
            if let Err(error) = self.journal.probe() {
                warn!(error = %chain(&error), "journal still cannot be written");
                continue;
            }
            self.rebuild()?;
            self.inbox.set_writable(Ok(()));
            self.metrics.set_journal_writable(true);
            info!("journal can be written again");
            return Ok(());
        }
    }

    /// Goes back to what is on the disk: the engine has run ahead of it.
    fn rebuild(&mut self) -> Result<(), Fatal> {
        let Recovered { state, .. } = recover(&self.journal)?;
        let ahead = state.clock().ahead();
        self.engine.rebuild(state, self.doors.clock.now());
        self.inbox.decided(Woken::All, ahead);
        Ok(())
    }
}

/// Events that come from effects, or from the start: nobody sends them a second time.
fn is_owed(event: &Event) -> bool {
    match event {
        Event::Started { .. }
        | Event::ClockJumped(_)
        | Event::Reloaded
        | Event::OrderProgressed { .. }
        | Event::Collected { .. }
        | Event::OrderEnded { .. }
        | Event::OrderGone(_)
        | Event::OrderFound { .. }
        | Event::Answered { .. }
        | Event::Vouched { .. }
        | Event::OwnerTold { .. }
        | Event::NoticeTold(_)
        | Event::NoticeEnded(_) => true,
        // Who had it reloaded is told that it was not.
        Event::Configured(configuration) => match (configuration.occasion, configuration.of) {
            (Occasion::Start, _) | (Occasion::Change, Scope::Listener) => true,
            (Occasion::Request | Occasion::Signal, _) | (Occasion::Change, Scope::Engine) => false,
        },
        Event::Observed { .. }
        | Event::Unseen(_)
        | Event::Polled(_)
        | Event::RulesPolled { .. }
        | Event::Missing { .. }
        | Event::Listed(_)
        | Event::Mentioned(_)
        | Event::Sighted { .. }
        | Event::OwnerDue(_)
        | Event::Calmed(_)
        | Event::Ready { .. }
        | Event::Woke { .. }
        | Event::Pause { .. }
        | Event::Resume { .. }
        | Event::Command { .. }
        | Event::Revoke { .. }
        | Event::ApprovalExpired(_) => false,
    }
}

fn recover(journal: &Journal) -> Result<Recovered, Fatal> {
    let begun = Instant::now();
    let recovered = journal.recover().map_err(Fatal::Unreadable)?;
    let (seconds, snapshot) = (begun.elapsed().as_secs_f64(), recovered.covered);
    // A log that is kept elsewhere so keeps the head.
    info!(snapshot, facts = recovered.facts, seconds, head = %journal.head(), "journal replayed");
    Ok(recovered)
}

/// Answers all who wait for a group that is committed.
/// Writes an error with its causes.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
