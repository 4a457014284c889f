//! What a decision is made from: read by all leaves, and changed by none.

use crate::alert::{Alert, Presence};
use crate::approval::Quorum;
use crate::healing::Patient;
use crate::incident::Incident;
use crate::limits;
use crate::name::{BootId, EpisodeId, IncidentId};
use crate::policy::{Book, Policy, Remedy};
use crate::state::State;
use crate::time::Timestamp;

/// When an incident's alerts were last mentioned.
pub(super) type Presences = [(EpisodeId, Presence)];

/// All that is known at this moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) state: &'a State,
    pub(super) book: &'a Book,
    pub(super) now: Timestamp,
}

impl<'a> View<'a> {
    /// What the wall clock shows: calendars and the stamps of others are compared with it.
    pub(super) fn wall(self) -> Timestamp {
        self.state.clock().wall(self.now)
    }

    /// In which boot of the machine the engine runs.
    pub(super) fn boot(self) -> BootId {
        self.state.boot().cloned().unwrap_or_else(|| BootId::new(""))
    }

    /// The number of an incident opened in this very decision.
    pub(super) fn nth_incident(self, already_opened: u64) -> IncidentId {
        IncidentId(self.state.next_incident().0 + already_opened)
    }

    /// The policy of an incident, if the book still has it.
    pub(super) fn policy(self, incident: &Incident) -> Option<&'a Policy> {
        self.book.policy(&incident.policy)
    }

    /// Who must agree to a run of an incident. Who set it going is looked for only where people are
    /// counted: there may be very many alerts.
    pub(super) fn quorum<'b>(
        self,
        incident: &'b Incident,
        policy: &'b Policy,
        remedy: &'b Remedy,
    ) -> Quorum<'b>
    where
        'a: 'b,
    {
        let quorum = Quorum::of(policy, remedy, &incident.target);
        if quorum.counts_people() { quorum.beside(self.state.movers(incident)) } else { quorum }
    }

    /// The incident's alerts that fire, the leading one first.
    pub(super) fn firing(
        self,
        incident: &'a Incident,
    ) -> impl Iterator<Item = (EpisodeId, &'a Alert)> {
        let firing = incident.episodes.firing();
        firing.filter_map(move |id| Some((id, &self.state.episode(id)?.alert)))
    }

    /// The incident's alerts that one question may ask about, those that fire first.
    pub(super) fn asked_alerts(self, incident: &'a Incident) -> impl Iterator<Item = &'a Alert> {
        let all = self.state.alerts(incident).map(|episode| &episode.alert);
        all.take(limits::ASKED_ALERTS)
    }

    /// The incident's alerts whose healing is proven, those that fire first, as many as may be asked
    /// about and all whose source has not said that they resolved.
    pub(super) fn patients(self, incident: &'a Incident) -> impl Iterator<Item = Patient<'a>> {
        self.state.patients(incident).take(limits::ASKED_ALERTS)
    }
}

/// When an alert was last mentioned, as far as that is known.
pub(super) fn presence_of(presences: &Presences, id: EpisodeId, began_at: Timestamp) -> Presence {
    let known = presences.iter().find(|(episode, _)| *episode == id).map(|(_, p)| *p);
    known.unwrap_or(Presence::unknown(began_at))
}
