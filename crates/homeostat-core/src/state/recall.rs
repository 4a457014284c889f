//! A state as the records of a snapshot, and back.

use std::sync::Arc;

use crate::alert::Episode;
use crate::clock::Clock;
use crate::incident::Incident;
use crate::ledger::Line;
use crate::name::EpisodeId;
use crate::snapshot::Record;

use super::{Counted, State};

impl State {
    /// Returns how much it knows: about how many records it has.
    pub fn size(&self) -> usize {
        let known = self.episodes.len() + self.incidents.len() + self.ended.len();
        known + self.notices.len() + self.approvals.iter().len()
    }

    /// Lists what it knows now, for a snapshot. The list stays as it is while the state goes on:
    /// taking it costs a pointer an episode and an incident, and the work is done as it is read.
    pub fn records(&self) -> impl Iterator<Item = Record> + Send + use<> {
        let counters = Record::Counters {
            boot: self.boot.clone(),
            episode: self.last_episode,
            incident: self.last_incident,
            approval: self.last_approval,
        };
        // As in older snapshots, nothing is said of a clock of which nothing is known.
        let known = Some(self.clock.clone()).filter(|clock| *clock != Clock::default());
        let mut firing: Vec<EpisodeId> = self.firing.values().copied().collect();
        firing.sort_unstable();
        let episodes: Vec<(EpisodeId, Arc<Episode>)> =
            self.episodes.iter().map(|(&id, episode)| (id, episode.clone())).collect();
        let ended: Vec<_> = self
            .ended
            .iter()
            .map(|(source, fingerprint, times)| (source.clone(), *fingerprint, *times))
            .collect();
        let sighted: Vec<_> = self.sighted.iter().map(|(id, all)| (*id, all.clone())).collect();
        let incidents: Vec<Arc<Incident>> = self.incidents.values().cloned().collect();
        let ready = self.ready.clone();
        let approvals: Vec<_> = self.approvals.iter().cloned().collect();
        let notices: Vec<_> = self.notices.values().cloned().collect();
        let lines: Vec<Line> = self.ledgers.lines().collect();

        let episodes = episodes.into_iter().map(move |(id, episode)| {
            let fires = firing.binary_search(&id).is_ok();
            Record::Episode { id, fires, episode }
        });
        let ended = ended.into_iter().map(|(source, fingerprint, (at, ends_at))| Record::Ended {
            source,
            fingerprint,
            at,
            ends_at,
        });
        let sighted = sighted.into_iter().map(|(id, sightings)| Record::Sighted { id, sightings });
        let incidents = incidents.into_iter().map(move |incident| {
            let ready = ready.contains(&incident.id);
            Record::Incident { ready, incident }
        });
        let approvals = approvals.into_iter().map(Record::Approval);
        let notices = notices.into_iter().map(Record::Notice);
        let lines = lines.into_iter().map(Record::Ledger);
        let first = std::iter::once(counters).chain(known.map(Record::Clock));
        let all = first.chain(episodes).chain(sighted).chain(ended).chain(incidents);
        all.chain(approvals).chain(notices).chain(lines)
    }

    /// Takes in a record of a snapshot. All records of one, recalled in any order by an empty
    /// state, make the state that they were taken from.
    pub fn recall(&mut self, record: Record) {
        match record {
            Record::Counters { boot, episode, incident, approval } => {
                self.boot = boot;
                self.last_episode = episode;
                self.last_incident = incident;
                self.last_approval = approval;
            }
            Record::Clock(clock) => self.clock = clock,
            Record::Episode { id, fires, episode } => {
                if fires {
                    let alert = &episode.alert;
                    self.firing.insert(&alert.source, alert.fingerprint, id);
                }
                if !fires {
                    self.past.insert((episode.alert.key(), id));
                }
                self.episodes.insert(id, episode);
                self.index_owners(id);
            }
            Record::Sighted { id, sightings } => drop(self.sighted.insert(id, sightings)),
            Record::Ended { source, fingerprint, at, ends_at } => {
                self.ended.insert(&source, fingerprint, (at, ends_at));
                self.ended_by_age.insert((at, (fingerprint, source)));
            }
            Record::Incident { ready, incident } => self.recall_incident(ready, incident),
            Record::Approval(approval) => self.approvals.enter(approval),
            Record::Notice(owed) => drop(self.notices.insert(owed.notice.topic(), owed)),
            Record::Ledger(line) => self.ledgers.enter(line),
        }
    }

    fn recall_incident(&mut self, ready: bool, incident: Arc<Incident>) {
        let id = incident.id;
        self.enter_subject(&incident);
        for attached in incident.episodes.iter() {
            self.by_episode.insert((attached.episode, id));
        }
        self.incidents.insert(id, incident);
        self.count(id, Counted::default());
        self.index(id);
        if ready {
            self.ready.insert(id);
        }
    }
}
