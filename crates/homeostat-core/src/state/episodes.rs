//! What episodes do to incidents: they are attached, they end, and they are forgotten.

use std::sync::Arc;

use crate::alert::Ending;
use crate::incident::{Attached, Stage, Standing};
use crate::limits;
use crate::name::{EpisodeId, IncidentId};
use crate::time::{Timestamp, age};

use super::State;

impl State {
    pub(super) fn end_episode(&mut self, id: EpisodeId, ending: &Ending, at: Timestamp) {
        let Some(episode) = self.episodes.get_mut(&id).map(Arc::make_mut) else { return };
        let ends_at = match ending {
            Ending::Resolved { ends_at } => *ends_at,
            Ending::Absent { since } => Some(self.clock.wall(*since)),
            Ending::Superseded | Ending::Lapsed => None,
        };
        episode.ended_at = Some(ends_at.unwrap_or(self.clock.wall(at)));
        let key = episode.alert.key();
        if self.firing.get(&key.1, &key.0) == Some(&id) {
            self.firing.remove(&key.1, &key.0);
        }
        if let Some((before, _)) = self.ended.insert(key.clone(), (at, ends_at)) {
            self.ended_by_age.remove(&(before, key.clone()));
        }
        self.ended_by_age.insert((at, key));
        self.forget_ended(at);
        let incidents: Vec<IncidentId> = self.ids_of(id).collect();
        if incidents.is_empty() {
            self.episodes.remove(&id);
        }
        for incident in incidents {
            self.amend(incident, |incident| {
                for attached in incident.episodes.iter_mut().filter(|a| a.episode == id) {
                    attached.standing = match ending {
                        Ending::Resolved { .. } | Ending::Superseded | Ending::Absent { .. } => {
                            Standing::Resolved
                        }
                        Ending::Lapsed => Standing::Lapsed,
                    };
                }
            });
            self.consider(incident);
        }
    }

    pub(super) fn attach(&mut self, id: IncidentId, episode: EpisodeId, at: Timestamp) {
        self.by_episode.insert((episode, id));
        self.forget_earlier(id, episode, at);
        self.amend(id, |incident| {
            let attached = Attached { episode, standing: Standing::Firing };
            incident.episodes = incident.episodes.iter().copied().chain([attached]).collect();
            // Absence is counted for all alerts together: this one was not looked for yet.
            if let Stage::Verifying(verification) = &mut incident.stage {
                verification.absent = 0;
            }
        });
        self.reconsider(id);
    }

    /// An incident remembers one episode of each alert that ended, and not each time that it did.
    fn forget_earlier(&mut self, id: IncidentId, episode: EpisodeId, at: Timestamp) {
        let Some(new) = self.episodes.get(&episode).map(|e| e.alert.key()) else { return };
        let Some(incident) = self.incidents.get_mut(&id).map(Arc::make_mut) else { return };
        let episodes = &self.episodes;
        let is_earlier = |attached: &Attached| {
            attached.standing != Standing::Firing
                && episodes.get(&attached.episode).is_some_and(|e| e.alert.key() == new)
        };
        let (earlier, others): (Vec<Attached>, Vec<Attached>) =
            incident.episodes.iter().partition(|attached| is_earlier(attached));
        if !earlier.is_empty() {
            incident.episodes = others.into();
            self.ledgers.flaps.again(&incident.subject(), at);
        }
        for attached in earlier {
            self.detach(attached.episode, id);
        }
    }

    pub(super) fn detach(&mut self, episode: EpisodeId, id: IncidentId) {
        self.by_episode.remove(&(episode, id));
        if self.ids_of(episode).next().is_none() && !self.is_firing(episode) {
            self.episodes.remove(&episode);
        }
    }

    fn forget_ended(&mut self, now: Timestamp) {
        let (memory, most) = (limits::ENDED_EPISODE_MEMORY, limits::ENDED_EPISODES);
        age::forget(&mut self.ended_by_age, now, memory, most, |key| {
            self.ended.remove(key);
        });
    }
}
