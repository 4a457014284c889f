//! The one way to the engine: a bounded queue of requests, each answered after its commit.
//!
//! Doors put requests in; the driver takes them out. A full queue is answered at once, so that a
//! slow disk makes senders try again instead of making memory grow.
//!
//! What is nothing but repeats of alerts that rest is answered without the engine
//! ([`homeostat_core::repeats`]): the driver shuts that way at the begin of a turn, and opens it once it
//! has decided.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use homeostat_core::alert::{Episode, Observation};
use homeostat_core::command::Reply;
use homeostat_core::configuration::Configuration;
use homeostat_core::decide::Account;
use homeostat_core::event::{Event, Remark};
use homeostat_core::label::LabelSet;
use homeostat_core::name::IncidentId;
use homeostat_core::owner::Lookup;
use homeostat_core::policy::Book;
use homeostat_core::repeats::{Mention, Repeat, Repeats, Resting, Woken};
use homeostat_core::time::{Span, Timestamp};
use parking_lot::Mutex;
use thiserror::Error;
use tokio::sync::oneshot;

use homeostat_hands::failpoint;

/// Requests that may wait. One is a whole notification; with a slow disk this is a second's worth.
pub const REQUESTS: usize = 4096;

/// Why a request was not taken. The sender may try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Busy {
    /// Too many requests wait already.
    #[error("too many requests wait already")]
    Full,
    /// The journal cannot be written.
    #[error("the journal cannot be written")]
    NotWritable,
    /// As many alerts fire as may be known at once.
    #[error("as many alerts fire as may be known at once")]
    TooManyAlerts,
    /// The engine is stopping.
    #[error("the engine is stopping")]
    Stopping,
}

/// What a door asks of the engine.
#[derive(Debug)]
pub enum Request {
    /// Take these observations, all or none, and say what each came to.
    Observe {
        /// The observations of one notification.
        observations: Vec<Observation>,
        /// Answered once they are committed.
        answer: oneshot::Sender<Result<Vec<Remark>, Busy>>,
    },
    /// Take this event, and say what it came to once that is committed.
    Command {
        /// The event.
        event: Event,
        /// Answered once it is committed; with a reply where the event is about an incident.
        answer: oneshot::Sender<Result<Option<Reply>, Busy>>,
    },
    /// Put this book in force.
    Reload {
        /// The new book.
        book: Arc<Book>,
        /// Where it is from, and who wanted it.
        configuration: Box<Configuration>,
        /// Answered once it is in force.
        answer: oneshot::Sender<Result<(), Busy>>,
    },
    /// Tell what the guards have counted for an alert.
    Account {
        /// Its labels.
        labels: LabelSet,
        /// Its annotations.
        annotations: LabelSet,
        /// Answered from what is committed.
        answer: oneshot::Sender<Result<Accounted, Busy>>,
    },
    /// Tell what fires.
    Firing {
        /// Answered from what is committed.
        answer: oneshot::Sender<Result<Firing, Busy>>,
    },
    /// Something happened that nobody waits for.
    Tell(Event),
    /// Stop after what waits already.
    Stop,
}

/// What the guards have counted for an alert.
#[derive(Debug)]
pub struct Accounted {
    /// When.
    pub at: Timestamp,
    /// The book in force.
    pub book: Arc<Book>,
    /// One account for each policy that takes the alert, as far as they are given.
    pub accounts: Vec<Account>,
    /// What is known of whose it is what the alert is about, where it fires.
    pub owners: Vec<Lookup>,
}

/// What fires.
#[derive(Debug)]
pub struct Firing {
    /// When.
    pub at: Timestamp,
    /// The book in force.
    pub book: Arc<Book>,
    /// The alerts that fire, each with the open incidents that it is part of.
    pub alerts: Vec<(Episode, Vec<IncidentId>)>,
    /// How many more there are.
    pub more: usize,
}

/// The doors' end of the queue.
#[derive(Debug, Clone)]
pub struct Queue {
    sender: SyncSender<Request>,
    shared: Arc<Shared>,
}

/// What both ends know.
#[derive(Debug, Default)]
struct Shared {
    length: AtomicUsize,
    /// How often the engine has looked for a request.
    looks: AtomicUsize,
    not_writable: AtomicBool,
    /// Why the journal cannot be written, for a person.
    trouble: Mutex<String>,
    stopping: AtomicBool,
    repeats: Mutex<Repeats>,
}

/// The driver's end of the queue.
#[derive(Debug)]
pub struct Inbox {
    receiver: Receiver<Request>,
    shared: Arc<Shared>,
}

/// Makes a queue.
pub fn queue() -> (Queue, Inbox) {
    let (sender, receiver) = sync_channel(REQUESTS);
    let shared = Arc::new(Shared::default());
    (Queue { sender, shared: shared.clone() }, Inbox { receiver, shared })
}

impl Queue {
    /// Hands over the observations of one notification; returns once they are committed.
    ///
    /// # Errors
    ///
    /// The engine cannot take them now; none was taken.
    pub async fn observe(&self, observations: Vec<Observation>) -> Result<Vec<Remark>, Busy> {
        let (answer, answered) = oneshot::channel();
        self.put(Request::Observe { observations, answer })?;
        failpoint::reach("queue.put");
        answered.await.unwrap_or(Err(Busy::Stopping))
    }

    /// Answers for the engine observations that are nothing but repeats of alerts that rest. Returns what
    /// they repeat, by which [`Self::repeat`] knows the same notification when it comes again; `None`
    /// where the engine must hear it.
    pub fn recognise(
        &self,
        observations: &[Observation],
        now: impl FnOnce() -> Timestamp,
    ) -> Option<Vec<Repeat>> {
        self.check().ok()?;
        let mut repeats = self.shared.repeats.lock();
        let now = now();
        let read = repeats.read(observations, now)?;
        repeats.take(&read, now).then_some(read)
    }

    /// Answers these repeats for the engine; returns whether it did.
    pub fn repeat(&self, read: &[Repeat], now: impl FnOnce() -> Timestamp) -> bool {
        self.check().is_ok() && {
            let mut repeats = self.shared.repeats.lock();
            repeats.take(read, now())
        }
    }

    /// Hands over an operator's command; returns what it came to once that is committed.
    ///
    /// # Errors
    ///
    /// The engine cannot take it now.
    pub async fn command(&self, event: Event) -> Result<Option<Reply>, Busy> {
        let (answer, answered) = oneshot::channel();
        self.put(Request::Command { event, answer })?;
        answered.await.unwrap_or(Err(Busy::Stopping))
    }

    /// Asks what the guards have counted for an alert. Changes nothing.
    ///
    /// # Errors
    ///
    /// The engine cannot tell now.
    pub async fn account(
        &self,
        labels: LabelSet,
        annotations: LabelSet,
    ) -> Result<Accounted, Busy> {
        let (answer, answered) = oneshot::channel();
        self.put(Request::Account { labels, annotations, answer })?;
        answered.await.unwrap_or(Err(Busy::Stopping))
    }

    /// Asks what fires. Changes nothing.
    ///
    /// # Errors
    ///
    /// The engine cannot tell now.
    pub async fn firing(&self) -> Result<Firing, Busy> {
        let (answer, answered) = oneshot::channel();
        self.put(Request::Firing { answer })?;
        answered.await.unwrap_or(Err(Busy::Stopping))
    }

    /// Puts a new book in force.
    ///
    /// # Errors
    ///
    /// The engine cannot take it now; the old book stays in force.
    pub async fn reload(&self, book: Arc<Book>, configuration: Configuration) -> Result<(), Busy> {
        let (answer, answered) = oneshot::channel();
        let configuration = Box::new(configuration);
        self.put(Request::Reload { book, configuration, answer })?;
        answered.await.unwrap_or(Err(Busy::Stopping))
    }

    /// Tells whether requests would be taken now.
    ///
    /// # Errors
    ///
    /// Why they would not.
    pub fn check(&self) -> Result<(), Busy> {
        if self.shared.stopping.load(Ordering::Relaxed) {
            Err(Busy::Stopping)
        } else if self.shared.not_writable.load(Ordering::Relaxed) {
            Err(Busy::NotWritable)
        } else {
            Ok(())
        }
    }

    /// Tells a person why requests would not be taken now, if so.
    pub fn trouble(&self) -> Option<String> {
        let busy = self.check().err()?;
        let trouble = self.shared.trouble.lock();
        let is_told = busy == Busy::NotWritable && !trouble.is_empty();
        Some(if is_told { trouble.clone() } else { busy.to_string() })
    }

    /// Returns how many requests wait.
    pub fn len(&self) -> usize {
        self.shared.length.load(Ordering::Relaxed)
    }

    /// Tells whether no request waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how often the engine has looked for a request, also in vain. It looks at least twice
    /// a second, unless it writes or is stuck.
    pub fn looks(&self) -> usize {
        self.shared.looks.load(Ordering::Relaxed)
    }

    /// Lets no further request in, and lets the driver stop after those that wait.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        self.shared.length.fetch_add(1, Ordering::Relaxed);
        // A full queue needs no word: the driver looks at the flag after each group.
        if self.sender.try_send(Request::Stop).is_err() {
            self.shared.length.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn put(&self, request: Request) -> Result<(), Busy> {
        self.check()?;
        self.shared.length.fetch_add(1, Ordering::Relaxed);
        self.sender.try_send(request).map_err(|error| {
            self.shared.length.fetch_sub(1, Ordering::Relaxed);
            match error {
                TrySendError::Full(_) => Busy::Full,
                TrySendError::Disconnected(_) => Busy::Stopping,
            }
        })
    }

    /// Tells the engine what one of its own effects came to. Waits for room: an outcome is never
    /// dropped.
    pub async fn report(&self, event: Event) {
        let mut request = Request::Tell(event);
        self.shared.length.fetch_add(1, Ordering::Relaxed);
        loop {
            match self.sender.try_send(request) {
                Ok(()) | Err(TrySendError::Disconnected(_)) => return,
                Err(TrySendError::Full(back)) => {
                    request = back;
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
            }
        }
    }
}

impl Inbox {
    /// Waits for a request until `deadline`.
    pub(crate) fn wait(&self, most: std::time::Duration) -> Option<Request> {
        self.shared.looks.fetch_add(1, Ordering::Relaxed);
        let request = self.receiver.recv_timeout(most).ok()?;
        self.shared.length.fetch_sub(1, Ordering::Relaxed);
        Some(request)
    }

    /// Takes a request if one waits.
    pub(crate) fn take(&self) -> Option<Request> {
        self.shared.looks.fetch_add(1, Ordering::Relaxed);
        let request = self.receiver.try_recv().ok()?;
        self.shared.length.fetch_sub(1, Ordering::Relaxed);
        Some(request)
    }

    /// A turn begins: no repeat is answered until it has decided. Returns those that were.
    pub(crate) fn begin_turn(&self) -> Vec<Mention> {
        self.shared.repeats.lock().begin_turn()
    }

    /// A turn has decided, and the engine's clock is so far ahead of the wall: who has woken is not
    /// answered for any more, and the others are again.
    pub(crate) fn decided(&self, woken: Woken, ahead: Span) {
        self.shared.repeats.lock().decided(woken, ahead);
    }

    /// A turn is committed, and lets these rest.
    pub(crate) fn rest(&self, alerts: impl IntoIterator<Item = Resting>) {
        self.shared.repeats.lock().rest(alerts);
    }

    /// Tells whether the engine is to stop.
    pub(crate) fn is_stopping(&self) -> bool {
        self.shared.stopping.load(Ordering::Relaxed)
    }

    /// Says whether the journal can be written, or why not; then the doors answer at once.
    pub(crate) fn set_writable(&self, writable: Result<(), String>) {
        self.shared.not_writable.store(writable.is_err(), Ordering::Relaxed);
        *self.shared.trouble.lock() = writable.err().unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicI64;

    use homeostat_core::alert::Door;
    use homeostat_core::label::LabelSet;
    use homeostat_core::name::{EpisodeId, SourceName};

    use super::*;

    /// Turns that are taken while others send.
    const TURNS: usize = 300;

    fn resting() -> Resting {
        let labels = LabelSet::from_pairs([("alertname", "Down")]);
        let key = (labels.fingerprint(), SourceName::new("main"));
        let (starts_at, ends_at) = (None, None);
        Resting { episode: EpisodeId(1), key, door: Door::Webhook, labels, starts_at, ends_at }
    }

    #[test]
    fn no_repeat_that_was_answered_is_missed_by_the_turn_after_it() {
        let (queue, inbox) = queue();
        inbox.decided(Woken::All, Span::ZERO);
        let repeat = [Repeat { episode: EpisodeId(1), starts_at: None, ends_at: None }];
        // The clock goes on by one each time that it is read.
        let (clock, answered) = (AtomicI64::new(1), AtomicI64::new(0));
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !is_over.load(Ordering::SeqCst) {
                        let mut at = 0;
                        let now = || {
                            at = clock.fetch_add(1, Ordering::SeqCst);
                            Timestamp::from_seconds(at)
                        };
                        if queue.repeat(&repeat, now) {
                            answered.fetch_max(at, Ordering::SeqCst);
                        }
                        std::thread::yield_now();
                    }
                });
            }
            let (mut heard, mut missed) = (0, None);
            for turn in 0..TURNS {
                // Somebody sends in this turn, too.
                let before = answered.load(Ordering::SeqCst);
                while turn > 0 && answered.load(Ordering::SeqCst) == before {
                    std::thread::yield_now();
                }
                let before = answered.load(Ordering::SeqCst);
                for mention in inbox.begin_turn() {
                    heard = mention.seen_at.seconds();
                }
                if heard < before {
                    missed = Some((before, heard));
                    break;
                }
                let woken = if turn % 3 == 0 { Woken::All } else { Woken::Some(Vec::new()) };
                inbox.decided(woken, Span::ZERO);
                inbox.rest([resting()]);
            }
            is_over.store(true, Ordering::SeqCst);
            assert_eq!(missed, None, "what was answered last, and what was heard last");
        });
    }
}
