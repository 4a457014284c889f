//! What is known of whose it is what alerts are about, and when that is asked.

use std::sync::Arc;

use crate::alert::Episode;
use crate::clock::Jump;
use crate::fact::What;
use crate::name::EpisodeId;
use crate::owner::{Lookup, Sought};
use crate::time::Timestamp;

use super::State;

impl State {
    /// Lists the episodes whose alert's owner is asked for, by when it is to be.
    pub fn owners_due(&self) -> impl Iterator<Item = (Timestamp, EpisodeId)> + '_ {
        self.owners_due.iter().copied()
    }

    /// Returns the first episode whose alert goes to a person for want of an owner, and when.
    pub fn first_owner_late(&self) -> Option<(Timestamp, EpisodeId)> {
        self.owners_late.first().copied()
    }

    pub(super) fn seek_owner(&mut self, what: &What, at: Timestamp) {
        let Some(episode) = what.episode().filter(|id| self.is_firing(*id)) else { return };
        self.amend_owners(episode, |episode| match what {
            What::OwnerSought { of, .. } => episode.seek(of, Sought::from(at)),
            What::OwnerFound { of, owner, .. } => episode.seek(of, Sought::Found(owner.clone())),
            What::OwnerMissed { of, why, again, .. } => {
                let known = episode.owners.iter_mut().find(|lookup| lookup.of == *of);
                if let Some(lookup) = known {
                    lookup.stands.miss(why, *again);
                }
            }
            What::OwnerDropped { of, .. } => episode.owners.retain(|lookup| lookup.of != *of),
            _ => {}
        });
    }

    /// What has ended is asked for no more.
    pub(super) fn stop_seeking(&mut self, id: EpisodeId) {
        self.amend_owners(id, |episode| episode.owners.retain(|known| !known.stands.is_open()));
    }

    pub(super) fn move_owners(&mut self, jump: &Jump) {
        let sought: Vec<EpisodeId> = self.owners_late.iter().map(|(_, id)| *id).collect();
        for id in sought {
            self.amend_owners(id, |episode| {
                for known in &mut episode.owners {
                    known.stands.live_through(jump);
                }
            });
        }
    }

    /// Changes what is known of an episode's owners, and keeps the indices true. Most have none.
    fn amend_owners(&mut self, id: EpisodeId, change: impl FnOnce(&mut Episode)) {
        let Some(episode) = self.episodes.get_mut(&id) else { return };
        if let Some((due, late)) = times(&episode.owners) {
            self.owners_due.remove(&(due, id));
            self.owners_late.remove(&(late, id));
        }
        change(Arc::make_mut(episode));
        self.index_owners(id);
    }

    pub(super) fn index_owners(&mut self, id: EpisodeId) {
        let owners = self.episodes.get(&id).and_then(|episode| times(&episode.owners));
        if let Some((due, late)) = owners {
            self.owners_due.insert((due, id));
            self.owners_late.insert((late, id));
        }
    }
}

/// When the first of some lookups is to be asked, and when the first is too late.
fn times(owners: &[Lookup]) -> Option<(Timestamp, Timestamp)> {
    let due = owners.iter().filter_map(|lookup| lookup.stands.due()).min();
    due.zip(owners.iter().filter_map(|lookup| lookup.stands.deadline()).min())
}
