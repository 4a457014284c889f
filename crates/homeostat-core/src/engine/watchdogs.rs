//! Which episodes are a watchdog, so that its last mention is found without looking at all.
//!
//! An index over the firing episodes and the book: it can be built anew from both at any time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::label::LabelSet;
use crate::limits;
use crate::name::EpisodeId;
use crate::policy::Book;
use crate::state::State;

/// The episodes of each watchdog, bounded in number.
#[derive(Debug, Default)]
pub(super) struct Watchdogs {
    episodes: BTreeMap<Arc<str>, BTreeSet<EpisodeId>>,
}

impl Watchdogs {
    /// Finds the watchdogs among all that fires.
    pub(super) fn find(book: &Book, state: &State) -> Self {
        let mut watchdogs = Self::default();
        if !book.watchdogs().is_empty() {
            for id in state.all_firing() {
                if let Some(episode) = state.episode(id) {
                    watchdogs.began(book, id, &episode.alert.labels);
                }
            }
        }
        watchdogs
    }

    /// Notes an episode that began. Of too many, the first are kept.
    pub(super) fn began(&mut self, book: &Book, id: EpisodeId, labels: &LabelSet) {
        for (key, matchers) in book.watchdogs() {
            if matchers.matches(labels) {
                let episodes = self.episodes.entry(key.clone()).or_default();
                if episodes.len() < limits::WATCHDOG_ALERTS {
                    episodes.insert(id);
                }
            }
        }
    }

    /// Forgets an episode that ended.
    pub(super) fn ended(&mut self, id: EpisodeId) {
        for episodes in self.episodes.values_mut() {
            episodes.remove(&id);
        }
    }

    /// Returns the episodes of a watchdog that fire.
    pub(super) fn of(&self, key: &str) -> impl Iterator<Item = EpisodeId> + use<'_> {
        self.episodes.get(key).into_iter().flatten().copied()
    }
}
