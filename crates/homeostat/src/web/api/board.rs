//! A board of what is open: incidents that are kept folded, so that a look at them reads only what was
//! committed since the last one.
//!
//! ```text
//!  driver ─ committed up to 812 ─┐
//!  History ─ facts after 790 ────┴─> folds ─┬─> Shown: what is open now
//!                                           └─> messages, once each ─> whoever listens (`stream`)
//! ```
//!
//! It is made when somebody looks, knows nothing that is not committed, and is asked on a thread that may
//! block. It holds so many incidents at most; of more, the newest ones and those that moved last.
//!
//! *Not* its duty: to know what an incident is ([`Fold`]), and who may see it.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;

use homeostat_core::configuration::Occasion;
use homeostat_core::fact::{Fact, What};
use homeostat_core::name::{IncidentId, PolicyName};
use homeostat_core::policy::Book;
use parking_lot::Mutex;
use tokio::sync::{broadcast, watch};

use super::fold::Fold;
use super::message::{Message, Piece};
use super::view::IncidentView;
use super::{AllOpen, History, Numbered, ReadError};

/// Incidents on the board: a few kilobytes each.
const MOST: usize = 2000;

/// Closed incidents that stay known: most of what follows an end comes soon after it.
const ENDED: usize = 256;

/// Facts that are read at once.
const BATCH: usize = 500;

/// Facts behind which it is quicker to begin anew than to catch up.
const FAR: i64 = 20_000;

/// Facts that are read again for somebody who comes back.
pub(super) const AGAIN: i64 = 5000;

/// Messages that stay there for those who come back, and that a slow reader may be behind.
pub(super) const KEPT: usize = 1024;

/// What is open, as of a fact.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Newest first; each with no more of its timeline than the last entry, and without output of runs.
    pub incidents: Vec<Arc<IncidentView>>,
    /// How many more are open: the journal lists them.
    pub more: usize,
    /// The number of the last fact that they know.
    pub number: i64,
}

/// The board.
pub struct Board {
    history: Arc<dyn History>,
    book: Arc<dyn Fn() -> Arc<Book> + Send + Sync>,
    committed: watch::Receiver<i64>,
    state: Mutex<Option<State>>,
    told: broadcast::Sender<Arc<Message>>,
}

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Board").finish_non_exhaustive()
    }
}

/// Where somebody begins to listen.
#[derive(Debug)]
pub(super) struct Place {
    /// After the fact of this number.
    pub(super) number: i64,
    /// What they missed, in order.
    pub(super) missed: Vec<Arc<Message>>,
    /// Why not all of what they missed can be told, where it cannot.
    pub(super) gap: Option<String>,
    /// What is told from now on.
    pub(super) told: broadcast::Receiver<Arc<Message>>,
}

impl Board {
    /// An empty board, which learns by `committed` up to which number there are facts.
    pub fn new(
        history: Arc<dyn History>,
        book: Arc<dyn Fn() -> Arc<Book> + Send + Sync>,
        committed: watch::Receiver<i64>,
    ) -> Self {
        let (state, told) = (Mutex::new(None), broadcast::Sender::new(KEPT));
        Self { history, book, committed, state, told }
    }

    /// Tells what is open now. May block.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    pub fn open(&self) -> Result<Shown, ReadError> {
        let mut state = self.state.lock();
        let state = self.up_to_date(&mut state)?;
        let book = (self.book)();
        state.judge_by(&book);
        let open = state.open.iter().rev();
        let incidents = open.filter_map(|id| state.folds.get_mut(id).map(|fold| fold.show(&book)));
        let incidents: Vec<_> = incidents.collect();
        let more = state.open.len() - incidents.len();
        Ok(Shown { incidents, more, number: state.number })
    }

    /// Returns by what it learns that there is more.
    pub(super) fn committed(&self) -> watch::Receiver<i64> {
        self.committed.clone()
    }

    /// Tells whether anybody listens.
    pub(super) fn is_heard(&self) -> bool {
        self.told.receiver_count() > 0
    }

    /// Tells those who listen what was committed meanwhile; `false` where nobody does. May block.
    pub(super) fn tell(&self) -> Result<bool, ReadError> {
        let mut state = self.state.lock();
        if !self.is_heard() {
            return Ok(false);
        }
        self.up_to_date(&mut state).map(|_| true)
    }

    /// Begins to listen, from after the fact of a number on where one is named. May block.
    pub(super) fn listen(&self, from: Option<i64>) -> Result<Place, ReadError> {
        let mut state = self.state.lock();
        let state = self.up_to_date(&mut state)?;
        let told = self.told.subscribe();
        let number = state.number;
        let (missed, gap) = match from {
            None => (Vec::new(), None),
            Some(from) if from > number => {
                let gap =
                    format!("there is no fact {from} yet: told is what follows fact {number}");
                (Vec::new(), Some(gap))
            }
            Some(from) if number - from > AGAIN => {
                let behind = number - from;
                let gap =
                    format!("{behind} facts ago is too long: told is what follows fact {number}");
                (Vec::new(), Some(gap))
            }
            Some(from) => (state.missed(from, &*self.history)?, None),
        };
        Ok(Place { number, missed, gap, told })
    }

    fn up_to_date<'s>(&self, state: &'s mut Option<State>) -> Result<&'s mut State, ReadError> {
        let committed = *self.committed.borrow();
        // What was told to those who listen must go on where it was.
        let is_far = |known: &State| !self.is_heard() && committed - known.number > FAR;
        if state.as_ref().is_none_or(is_far) {
            *state = Some(State::of(self.history.all_open(MOST)?));
        }
        let known = state.as_mut().expect("it is there");
        if known.number < committed
            && let Err(error) = self.catch_up(known)
        {
            // What was taken halfway is not gone on from.
            *state = None;
            return Err(error);
        }
        Ok(state.as_mut().expect("it is there"))
    }

    fn catch_up(&self, state: &mut State) -> Result<(), ReadError> {
        let is_heard = self.is_heard();
        loop {
            let facts = self.history.follow(state.number, BATCH)?;
            let is_all = facts.len() < BATCH;
            for fact in facts {
                let message = state.take(fact, &*self.history, is_heard)?;
                if let Some(message) = message.map(Arc::new) {
                    state.keep(message.clone());
                    // They may have gone meanwhile.
                    let _ = self.told.send(message);
                }
            }
            if is_all {
                break;
            }
        }
        if !is_heard {
            state.forget_messages();
        }
        state.refill(&*self.history)
    }
}

/// What the board knows.
struct State {
    /// The last fact that it has taken.
    number: i64,
    /// All that are open.
    open: BTreeSet<IncidentId>,
    folds: BTreeMap<IncidentId, Kept>,
    /// Closed incidents that are still known, the one that closed first in front.
    ended: VecDeque<IncidentId>,
    /// All messages about the facts after `since`, in order.
    messages: VecDeque<Arc<Message>>,
    since: i64,
    /// By which configuration the incidents are shown.
    book: Option<Arc<Book>>,
}

struct Kept {
    fold: Fold,
    shown: Option<Arc<IncidentView>>,
    /// The last fact that moved it.
    moved: i64,
}

impl Kept {
    fn new(fold: Fold) -> Self {
        Self { fold, shown: None, moved: 0 }
    }

    fn show(&mut self, book: &Book) -> Arc<IncidentView> {
        let make = || Arc::new(in_force(self.fold.view().clone(), book));
        self.shown.get_or_insert_with(make).clone()
    }
}

/// Adds to an incident what the configuration in force says of it.
pub(super) fn in_force(mut incident: IncidentView, book: &Book) -> IncidentView {
    let policy = book.policy(&PolicyName::new(&incident.policy));
    incident.team = policy.and_then(|policy| policy.about.team.as_ref().map(ToString::to_string));
    incident
}

impl State {
    fn of(all: AllOpen) -> Self {
        let AllOpen { last, open, stories } = all;
        let mut state = Self::empty(last);
        state.open = open.into_iter().collect();
        for (id, story) in stories {
            if let Some(mut fold) = Fold::of(id, &story.facts) {
                fold.leave_out(story.left_out);
                fold.lighten();
                state.folds.insert(id, Kept::new(fold));
            }
        }
        state
    }

    fn empty(number: i64) -> Self {
        Self {
            number,
            open: BTreeSet::new(),
            folds: BTreeMap::new(),
            ended: VecDeque::new(),
            messages: VecDeque::new(),
            since: number,
            book: None,
        }
    }

    /// Another configuration may say something else of what is shown.
    fn judge_by(&mut self, book: &Arc<Book>) {
        if !self.book.as_ref().is_some_and(|known| Arc::ptr_eq(known, book)) {
            self.folds.values_mut().for_each(|kept| kept.shown = None);
            self.book = Some(book.clone());
        }
    }

    /// Takes the next fact, and says what it tells, where that is wanted.
    fn take(
        &mut self,
        told: Numbered,
        history: &dyn History,
        is_wanted: bool,
    ) -> Result<Option<Message>, ReadError> {
        let Numbered { number, fact, of, before } = told;
        let mut pieces = Vec::new();
        for id in of {
            let Some(kept) = self.known(id, number, &fact, history)? else { continue };
            for fact in before.iter().chain([&fact]) {
                if kept.fold.take(fact) && is_wanted {
                    pieces.extend(Piece::of(kept.fold.view()));
                }
            }
            kept.fold.lighten();
            (kept.shown, kept.moved) = (None, number);
        }
        self.number = number;
        match &fact.what {
            What::IncidentOpened { incident, .. } => _ = self.open.insert(*incident),
            What::IncidentClosed { incident, .. } => {
                self.open.remove(incident);
                self.ended.push_back(*incident);
            }
            _ => {}
        }
        self.let_go();
        // At a start nobody has been let in by another one.
        let ends = matches!(&fact.what, What::ConfigurationLoaded { configuration }
            if configuration.occasion != Occasion::Start);
        let is_any = is_wanted && (ends || !pieces.is_empty());
        Ok(is_any.then(|| Message::new(number, pieces, ends)))
    }

    /// The incident, as it was before a fact.
    fn known(
        &mut self,
        id: IncidentId,
        before: i64,
        fact: &Fact,
        history: &dyn History,
    ) -> Result<Option<&mut Kept>, ReadError> {
        let vacant = match self.folds.entry(id) {
            Entry::Occupied(known) => return Ok(Some(known.into_mut())),
            Entry::Vacant(vacant) => vacant,
        };
        let opens = matches!(&fact.what, What::IncidentOpened { incident, .. } if *incident == id);
        let fold = if opens {
            Fold::opening(id, std::slice::from_ref(fact))
        } else {
            let story = history.story_before(id, before)?;
            Fold::of(id, &story.facts).map(|mut fold| {
                fold.leave_out(story.left_out);
                fold.lighten();
                fold
            })
        };
        // What is gone is told no more.
        let Some(fold) = fold else { return Ok(None) };
        if !opens && !self.open.contains(&id) {
            self.ended.push_back(id);
        }
        Ok(Some(vacant.insert(Kept::new(fold))))
    }

    /// Lets go of what is beyond the bounds.
    fn let_go(&mut self) {
        while self.ended.len() > ENDED {
            let Some(id) = self.ended.pop_front() else { break };
            if !self.open.contains(&id) {
                self.folds.remove(&id);
            }
        }
        while self.folds.len() > MOST + ENDED {
            let open = self.folds.iter().filter(|(id, _)| self.open.contains(id));
            let least = open.min_by_key(|(id, kept)| (kept.moved, **id)).map(|(id, _)| *id);
            let Some(least) = least else { break };
            self.folds.remove(&least);
        }
    }

    /// Takes on those that are open and had no room, once there is some.
    fn refill(&mut self, history: &dyn History) -> Result<(), ReadError> {
        let room = MOST.saturating_sub(self.folds.len()).min(BATCH);
        let missing = self.open.iter().rev().filter(|id| !self.folds.contains_key(id));
        let missing: Vec<IncidentId> = missing.take(room).copied().collect();
        for id in missing {
            let story = history.story_before(id, self.number + 1)?;
            if let Some(mut fold) = Fold::of(id, &story.facts) {
                fold.leave_out(story.left_out);
                fold.lighten();
                self.folds.insert(id, Kept::new(fold));
            }
        }
        Ok(())
    }

    fn keep(&mut self, message: Arc<Message>) {
        self.messages.push_back(message);
        while self.messages.len() > KEPT {
            let Some(oldest) = self.messages.pop_front() else { break };
            self.since = oldest.number();
        }
    }

    fn forget_messages(&mut self) {
        self.messages.clear();
        self.since = self.number;
    }

    /// What was told after the fact of a number.
    fn missed(&mut self, from: i64, history: &dyn History) -> Result<Vec<Arc<Message>>, ReadError> {
        if from < self.since {
            self.read_again(from, history)?;
        }
        let missed = self.messages.iter().filter(|message| message.number() > from);
        Ok(missed.cloned().collect())
    }

    /// Reads again what is not kept any more, and keeps it: many come back at once.
    fn read_again(&mut self, from: i64, history: &dyn History) -> Result<(), ReadError> {
        let mut then = Self::empty(from);
        let mut again = VecDeque::new();
        loop {
            let mut facts = history.follow(then.number, BATCH)?;
            facts.retain(|fact| fact.number <= self.since);
            if facts.is_empty() {
                break;
            }
            for fact in facts {
                again.extend(then.take(fact, history, true)?.map(Arc::new));
            }
        }
        again.append(&mut self.messages);
        (self.messages, self.since) = (again, from);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
