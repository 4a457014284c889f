//! What episodes do to incidents: they are attached, they end, and they are forgotten.

use std::sync::Arc;

use crate::alert::Ending;
use crate::incident::{Attached, Stage, Standing};
use crate::limits;
use crate::name::{EpisodeId, IncidentId};
use crate::time::{Timestamp, age};
use crate::witness::Case;

use super::State;

impl State {
    pub(super) fn end_episode(&mut self, id: EpisodeId, ending: &Ending, at: Timestamp) {
        self.stop_seeking(id);
        let Some(episode) = self.episodes.get_mut(&id).map(Arc::make_mut) else { return };
        let ends_at = match ending {
            Ending::Resolved { ends_at } => *ends_at,
            Ending::Absent { since } => Some(self.clock.wall(*since)),
            Ending::Superseded | Ending::Lapsed | Ending::Unproven { .. } => None,
        };
        let standing = match ending {
            Ending::Resolved { .. } | Ending::Superseded | Ending::Absent { .. } => {
                Standing::Resolved
            }
            Ending::Lapsed | Ending::Unproven { .. } => Standing::Lapsed,
        };
        self.sighted.remove(&id);
        // Since when it was missing is not when its source ended it: it may have been listed since.
        episode.ended_at = Some(match ending {
            Ending::Resolved { ends_at: Some(ends_at) } => *ends_at,
            Ending::Resolved { ends_at: None }
            | Ending::Absent { .. }
            | Ending::Superseded
            | Ending::Lapsed
            | Ending::Unproven { .. } => self.clock.wall(at),
        });
        let key = episode.alert.key();
        if self.firing.get(&key.1, &key.0) == Some(&id) {
            self.firing.remove(&key.1, &key.0);
        }
        if let Some((before, _)) = self.ended.insert(&key.1, key.0, (at, ends_at)) {
            self.ended_by_age.remove(&(before, key.clone()));
        }
        self.ended_by_age.insert((at, key.clone()));
        self.forget_ended(at);
        if self.ids_of(id).next().is_none() {
            self.episodes.remove(&id);
        } else {
            self.past.insert((key.clone(), id));
        }
        self.stand(id, standing);
        if standing == Standing::Resolved {
            // What was lost sight of before is known to be over, too.
            let earlier: Vec<EpisodeId> = self.all_lapsed(&key).collect();
            for episode in earlier {
                self.stand(episode, standing);
            }
        }
    }

    /// Sets how an episode that has ended stands in its incidents.
    fn stand(&mut self, id: EpisodeId, standing: Standing) {
        let incidents: Vec<IncidentId> = self.ids_of(id).collect();
        for &incident in &incidents {
            self.amend(incident, |incident| incident.episodes.stand(id, standing));
        }
        for incident in incidents {
            self.consider(incident);
        }
    }

    pub(super) fn move_episode(&mut self, id: EpisodeId, starts_at: Timestamp) {
        if let Some(episode) = self.episodes.get_mut(&id) {
            Arc::make_mut(episode).moved_to = Some(starts_at);
        }
    }

    pub(super) fn list_episode(&mut self, id: EpisodeId) {
        if let Some(episode) = self.episodes.get_mut(&id) {
            Arc::make_mut(episode).listed = true;
        }
    }

    /// Tells whether looks at its healing have missed an episode's alert.
    pub fn is_missed(&self, id: EpisodeId) -> bool {
        let mut proven = self.incidents_of(id).filter_map(|incident| incident.stage.verification());
        proven.any(|verification| verification.missed.contains_key(&id))
    }

    /// What was mentioned was not missing: how often it was begins anew.
    pub(super) fn mention_episode(&mut self, id: EpisodeId) {
        let incidents: Vec<IncidentId> = self.ids_of(id).collect();
        for incident in incidents {
            self.amend(incident, |incident| {
                if let Stage::Verifying(verification) = &mut incident.stage {
                    verification.missed.remove(&id);
                }
            });
            self.reconsider(incident);
        }
    }

    pub(super) fn attach(&mut self, id: IncidentId, episode: EpisodeId, at: Timestamp) {
        self.by_episode.insert((episode, id));
        let earlier = self.earlier(id, episode);
        if let (false, Some(incident)) = (earlier.is_empty(), self.incidents.get(&id)) {
            self.ledgers.flaps.again(&incident.subject(), at);
        }
        self.amend(id, |incident| {
            let attached = Attached { episode, standing: Standing::Firing };
            incident.episodes.replace(&earlier, attached);
            incident.unheard = false;
            // Whoever saw this alert fire before has seen this very alert.
            let is_earlier = |case: &&mut Case| earlier.contains(&case.episode);
            let known = incident.order.iter_mut().flat_map(|order| &mut order.proof.cases);
            known.filter(is_earlier).for_each(|case| case.episode = episode);
            if let Stage::Verifying(verification) = &mut incident.stage {
                verification.fires_again(&earlier, episode);
            }
        });
        for before in earlier {
            self.detach(before, id);
        }
        self.reconsider(id);
    }

    /// An incident remembers one episode of each alert that ended, and not each time that it did: these
    /// are forgotten for a new one.
    fn earlier(&self, id: IncidentId, episode: EpisodeId) -> Vec<EpisodeId> {
        let Some(new) = self.episodes.get(&episode) else { return Vec::new() };
        let past = self.all_past(&new.alert.key());
        past.filter(|before| self.by_episode.contains(&(*before, id))).collect()
    }

    pub(super) fn detach(&mut self, episode: EpisodeId, id: IncidentId) {
        self.by_episode.remove(&(episode, id));
        if self.ids_of(episode).next().is_none()
            && !self.is_firing(episode)
            && let Some(forgotten) = self.episodes.remove(&episode)
        {
            self.past.remove(&(forgotten.alert.key(), episode));
        }
    }

    fn forget_ended(&mut self, now: Timestamp) {
        let (memory, most) = (limits::ENDED_EPISODE_MEMORY, limits::ENDED_EPISODES);
        age::forget(&mut self.ended_by_age, now, memory, most, |key| {
            self.ended.remove(&key.1, &key.0);
        });
    }
}
