//! Keeps the journal small and quick to search: writes snapshots, lets go of what is older than the
//! retention, and reads on for the index.
//!
//! ```text
//!  resting ──> writing a snapshot ──> clearing what earlier ones left ──> sweeping ──> folding ──> indexing ──> resting
//!                                                                          │   ▲    the chain
//!                                                     directories of orders └───┘
//! ```
//!
//! All of it happens in steps of a few milliseconds on the driver's thread, where nothing else
//! waits: the journal has one writer, and a second one could hold up a commit for as long
//! as it likes. Only what holds up nobody is done elsewhere: the journal's log is moved into the
//! database, and the directories of orders, whose size is their actions' doing, are removed; the sweep
//! goes on once they are gone.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

use homeostat_core::state::State;
use homeostat_core::time::{Span, Timestamp};
use tracing::{info, warn};

use super::{Doors, chain};
use crate::journal::{Batch, CommitError, Draft, Journal, Mover};
use homeostat_hands::act;

/// Facts after a snapshot that make the next one worth its while: they are read back in less time
/// than a start takes anyway. A larger state waits for as many facts as it has entries, so that
/// snapshots never cost more than the facts themselves.
const SNAPSHOT_AFTER: usize = 10_000;

/// A snapshot is written this often however few facts came, because only what two snapshots cover
/// may go: what is over so goes within two days of the retention. Oftener where the
/// retention is shorter, but never as often as it is looked for what may go.
const SNAPSHOT_EVERY: Span = Span::from_secs(86_400);

/// Facts after which the index reads on: a search looks at their incidents one by one.
const INDEX_AFTER: i64 = 1_000;

/// Facts that make one worth its while when the engine stops.
const SNAPSHOT_AT_STOP: usize = 1_000;

/// The pause between two steps, in which whatever arrives goes first.
pub(super) const PAUSE: Duration = Duration::from_millis(2);

/// Where nothing is ever idle, a step is taken this often all the same.
const NO_LATER_THAN: Duration = Duration::from_millis(100);

/// Writing steps, or facts, after which the journal's log is moved into the database: about 1 MiB.
const MOVE_AFTER: u32 = 4;
const MOVE_AFTER_FACTS: i64 = 1_000;

/// How often it is looked for what has become old, and how long to wait after a failure.
const REST: Duration = Duration::from_mins(10);

/// What is being done.
#[derive(Debug)]
enum Work {
    Resting { until: Instant },
    Writing { draft: Box<Draft>, begun: Instant },
    Clearing,
    Sweeping { after: i64 },
    Emptying { batch: Batch, emptied: Receiver<()> },
    Folding { after: i64 },
    Indexing { until: Instant },
}

/// The housekeeper.
#[derive(Debug)]
pub(super) struct Upkeep {
    retention: Span,
    work: Work,
    /// The last fact that the newest snapshot covers.
    covered: i64,
    /// When that was written, or when the engine started, where there is none.
    covered_at: Timestamp,
    /// The last fact when the index last began to read on.
    indexed: i64,
    /// Facts that this sweep let go.
    gone: usize,
    /// Moves the journal's log.
    mover: Mover,
    /// Writing steps since it was told to, and the last fact then.
    written: u32,
    moved: i64,
    stepped_at: Instant,
}

impl Upkeep {
    /// `newest` is the last fact that the newest snapshot covers, and when that was written.
    pub(super) fn new(retention: Span, newest: (i64, Timestamp), mover: Mover) -> Self {
        let (covered, covered_at) = newest;
        Self {
            retention,
            work: Work::Clearing,
            covered,
            covered_at,
            indexed: 0,
            gone: 0,
            mover,
            written: 0,
            moved: covered,
            stepped_at: Instant::now(),
        }
    }

    /// Tells whether a step is due soon.
    pub(super) fn is_busy(&self) -> bool {
        !matches!(self.work, Work::Resting { .. })
    }

    /// Takes a step, if there is one to take and nothing else to do. `state` is the fold of all
    /// that is committed.
    ///
    /// # Errors
    ///
    /// Nobody knows what is on the disk. A step that certainly failed is put off.
    pub(super) fn step(
        &mut self,
        journal: &mut Journal,
        state: &State,
        doors: &Arc<Doors>,
        idle: bool,
    ) -> Result<(), CommitError> {
        let last = journal.last();
        if self.written >= MOVE_AFTER || last - self.moved >= MOVE_AFTER_FACTS {
            (self.written, self.moved) = (0, last);
            self.mover.wake();
        }
        if !idle && self.stepped_at.elapsed() < NO_LATER_THAN {
            return Ok(());
        }
        let now = doors.clock.now();
        let work = std::mem::replace(&mut self.work, rest());
        let result = match work {
            Work::Resting { until } => {
                self.work = self.wake(journal, state, now, until);
                if matches!(self.work, Work::Indexing { .. }) {
                    self.indexed = journal.last();
                }
                return Ok(());
            }
            Work::Writing { draft, begun } => self.write(journal, draft, begun),
            Work::Clearing => journal.clear_parts().map(|more| {
                self.gone = 0;
                self.work = if more { Work::Clearing } else { Work::Sweeping { after: 0 } };
            }),
            Work::Sweeping { after } => self.sweep(journal, state, doors, after, now),
            Work::Emptying { batch, emptied } => match emptied.try_recv() {
                Err(TryRecvError::Empty) => {
                    self.work = Work::Emptying { batch, emptied };
                    Ok(())
                }
                Ok(()) | Err(TryRecvError::Disconnected) => self.let_go(journal, &batch),
            },
            Work::Folding { after } => journal.fold(after).map(|next| {
                self.written += 1;
                match next {
                    Some(after) => self.work = Work::Folding { after },
                    None => self.begin_to_index(journal),
                }
            }),
            Work::Indexing { until } => journal.index().map(|more| {
                self.written += u32::from(more);
                self.work = self.go_on_indexing(journal, state, now, until, more);
            }),
        };
        self.stepped_at = Instant::now();
        match result {
            Ok(()) => Ok(()),
            Err(CommitError::NotWritten(error)) => {
                warn!(error = %chain(&error), "journal could not be kept small; tried again later");
                self.work = rest();
                Ok(())
            }
            Err(uncertain @ CommitError::Uncertain(_)) => Err(uncertain),
        }
    }

    /// Writes a snapshot at once, if one is worth its while when the engine stops.
    pub(super) fn stop(mut self, journal: &mut Journal, state: &State, now: Timestamp) {
        if journal.last() - self.covered <= at_most(SNAPSHOT_AT_STOP) {
            return;
        }
        let begun = Instant::now();
        let mut draft = journal.draft(state, now);
        loop {
            match journal.write_part(&mut draft) {
                Ok(false) => {}
                Ok(true) => return self.wrote(journal, &draft, begun),
                Err(error) => {
                    let error = chain(&error);
                    return warn!(error, "no snapshot at the stop; the next start reads facts");
                }
            }
        }
    }

    fn wake(&self, journal: &Journal, state: &State, now: Timestamp, until: Instant) -> Work {
        let facts = journal.last() - self.covered;
        let every = SNAPSHOT_EVERY.min(self.retention).max(Span::from_secs(REST.as_secs()));
        let is_old = facts > 0 && now.since(self.covered_at) >= every;
        if is_old || facts >= at_most(SNAPSHOT_AFTER.max(state.size())) {
            Work::Writing { draft: Box::new(journal.draft(state, now)), begun: Instant::now() }
        } else if Instant::now() >= until {
            Work::Sweeping { after: 0 }
        } else if journal.last() - self.indexed >= INDEX_AFTER {
            Work::Indexing { until }
        } else {
            Work::Resting { until }
        }
    }

    /// What follows a step of the index. Where facts never end, the index does not either: what is due
    /// goes first.
    fn go_on_indexing(
        &self,
        journal: &Journal,
        state: &State,
        now: Timestamp,
        until: Instant,
        more: bool,
    ) -> Work {
        match self.wake(journal, state, now, until) {
            due @ (Work::Writing { .. } | Work::Sweeping { .. }) => due,
            _ if more => Work::Indexing { until },
            _ => Work::Resting { until },
        }
    }

    fn write(
        &mut self,
        journal: &mut Journal,
        mut draft: Box<Draft>,
        begun: Instant,
    ) -> Result<(), CommitError> {
        self.written += 1;
        if journal.write_part(&mut draft)? {
            self.wrote(journal, &draft, begun);
            self.work = Work::Clearing;
        } else {
            self.work = Work::Writing { draft, begun };
        }
        Ok(())
    }

    fn wrote(&mut self, journal: &Journal, draft: &Draft, begun: Instant) {
        (self.covered, self.covered_at) = draft.covers();
        let (seconds, head) = (begun.elapsed().as_secs_f64(), journal.head());
        info!(facts = self.covered, parts = draft.parts(), seconds, %head, "snapshot written");
    }

    fn sweep(
        &mut self,
        journal: &mut Journal,
        state: &State,
        doors: &Arc<Doors>,
        after: i64,
        now: Timestamp,
    ) -> Result<(), CommitError> {
        let expired = journal.expired(after, now - self.retention, state);
        let mut batch = expired.map_err(CommitError::NotWritten)?;
        if batch.orders.is_empty() {
            return self.let_go(journal, &batch);
        }
        let (done, emptied) = sync_channel(1);
        let (orders, root) = (std::mem::take(&mut batch.orders), doors.storage.clone());
        doors.runtime.spawn_blocking(move || {
            for (order, issued_in) in orders {
                let name = act::Life::of(&issued_in).name(&order);
                if let Err(error) = act::forget(&root, &name) {
                    warn!(order, %error, "directory of an old order could not be removed");
                }
            }
            // The driver may have stopped; then it sweeps again at its next start.
            let _ = done.send(());
        });
        self.work = Work::Emptying { batch, emptied };
        Ok(())
    }

    fn begin_to_index(&mut self, journal: &Journal) {
        self.indexed = journal.last();
        self.work = Work::Indexing { until: Instant::now() + REST };
    }

    fn let_go(&mut self, journal: &mut Journal, batch: &Batch) -> Result<(), CommitError> {
        if !batch.is_empty() {
            self.written += 1;
            journal.let_go(batch)?;
            self.gone += batch.len();
        }
        if let Some(after) = batch.next {
            self.work = Work::Sweeping { after };
            return Ok(());
        }
        if self.gone > 0 {
            info!(facts = self.gone, "old facts let go");
            self.work = Work::Folding { after: 0 };
        } else {
            self.begin_to_index(journal);
        }
        self.gone = 0;
        Ok(())
    }
}

fn rest() -> Work {
    Work::Resting { until: Instant::now() + REST }
}

fn at_most(facts: usize) -> i64 {
    i64::try_from(facts).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use homeostat_core::fact::{Fact, What};
    use homeostat_core::name::BootId;

    use super::*;

    #[test]
    fn a_snapshot_is_due_by_facts_or_by_age() {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(directory.path()).unwrap();
        let now = Timestamp::from_seconds(1_700_000_000);
        let day = SNAPSHOT_EVERY;
        let started = What::EngineStarted { boot: BootId::new("boot") };
        let fact = Fact { at: now, what: started };
        let due = |journal: &Journal, covered: i64, age: Span, retention: Span| {
            let mover = Mover::new(directory.path());
            let upkeep = Upkeep::new(retention, (covered, now - age), mover);
            let until = Instant::now() + REST;
            matches!(upkeep.wake(journal, &State::default(), now, until), Work::Writing { .. })
        };
        let long = Span::from_secs(90 * 86_400);
        assert!(!due(&journal, 0, long, long), "there is nothing to write");
        journal.commit(std::slice::from_ref(&fact)).unwrap();
        assert!(!due(&journal, 0, Span::from_secs(86_399), long));
        assert!(due(&journal, 0, day, long));
        assert!(!due(&journal, 1, day, long));
        assert!(due(&journal, 0, Span::from_secs(3600), Span::from_secs(3600)));
        assert!(!due(&journal, 0, Span::from_secs(60), Span::from_secs(1)));
        journal.commit(&vec![fact; SNAPSHOT_AFTER]).unwrap();
        assert!(due(&journal, 0, Span::ZERO, long));
        assert!(!due(&journal, 2, Span::ZERO, long));
        let after_indexing = |covered: i64, until: Instant, more: bool| {
            let upkeep = Upkeep::new(long, (covered, now), Mover::new(directory.path()));
            upkeep.go_on_indexing(&journal, &State::default(), now, until, more)
        };
        let later = Instant::now() + REST;
        assert!(matches!(after_indexing(0, later, true), Work::Writing { .. }), "it is due");
        assert!(matches!(after_indexing(2, Instant::now(), true), Work::Sweeping { .. }));
        assert!(matches!(after_indexing(2, later, true), Work::Indexing { .. }));
        assert!(matches!(after_indexing(2, later, false), Work::Resting { .. }));
    }
}
