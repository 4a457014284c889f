//! All incidents and ledgers. [`State::apply`] is the only mutation.
//!
//! The state is a fold of facts. Beside what the facts say it keeps indices (by target, by alarm,
//! by gate), each a function of the rest, so that nothing is searched for. What is not an index
//! can be listed as the records of a snapshot, and a state recalled from them is the same state.

mod apply;
mod episodes;
mod index;
mod jump;
mod orders;
mod owners;
mod recall;
mod succession;
mod trials;
mod word;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::alert::{AlertKey, Episode};
use crate::approval::{Movers, StandingApprovals};
use crate::clock::Clock;
use crate::collections::{Nested, RisingMap, RisingSet};
use crate::healing::{self, Patient, Verdict, Verification, Ward};
use crate::hold::{Gate, Guard};
use crate::incident::{Attached, Incident, Standing};
use crate::label::{Fingerprint, LabelSet};
use crate::ledger::{Ledgers, Subject};
use crate::limits;
use crate::name::{ApprovalId, BootId, EpisodeId, IncidentId, PolicyName, SourceName};
use crate::notice::{Obligation, Topic};
use crate::order::Proof;
use crate::policy::Target;
use crate::time::Timestamp;
use crate::witness::Sighting;

use succession::Succession;

/// All that is known.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    boot: Option<BootId>,
    clock: Clock,
    episodes: RisingMap<EpisodeId, Arc<Episode>>,
    firing: Nested<SourceName, Fingerprint, EpisodeId>,
    ended: Nested<SourceName, Fingerprint, (Timestamp, Option<Timestamp>)>,
    ended_by_age: RisingSet<(Timestamp, AlertKey)>,
    incidents: RisingMap<IncidentId, Arc<Incident>>,
    by_subject: Nested<PolicyName, Target, Succession>,
    by_episode: RisingSet<(EpisodeId, IncidentId)>,
    /// Episodes that have ended and are still known, because an incident has them.
    past: BTreeSet<(AlertKey, EpisodeId)>,
    /// Which rules were seen to fire alerts of the alerts API.
    sighted: BTreeMap<EpisodeId, Arc<[Sighting]>>,
    /// Episodes whose alert's owner is asked for, by when.
    owners_due: BTreeSet<(Timestamp, EpisodeId)>,
    /// The same, by when it is too late.
    owners_late: BTreeSet<(Timestamp, EpisodeId)>,
    approvals: StandingApprovals,
    notices: BTreeMap<Topic, Obligation>,
    ledgers: Ledgers,
    alarms: BTreeSet<(Timestamp, IncidentId)>,
    gates: BTreeMap<Gate, BTreeSet<IncidentId>>,
    held_by: BTreeMap<(PolicyName, Guard), BTreeSet<IncidentId>>,
    ready: BTreeSet<IncidentId>,
    /// Those whose approved run waits for its policy's rate, or is about to be judged.
    approved: BTreeSet<(PolicyName, IncidentId)>,
    last_episode: EpisodeId,
    last_incident: IncidentId,
    last_approval: ApprovalId,
}

/// What the ledgers count of an incident.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    /// An order of it runs, or is being proven.
    flies: bool,
    /// An alert of it fires.
    fires: bool,
}

impl Counted {
    fn of(incident: &Incident) -> Self {
        Self { flies: incident.is_in_flight(), fires: !incident.all_ended() }
    }
}

impl State {
    /// Returns the boot in which the engine runs.
    pub fn boot(&self) -> Option<&BootId> {
        self.boot.as_ref()
    }

    /// Returns how the engine's clock stands to the wall clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Returns an episode that fires, or whose incident is not yet forgotten.
    pub fn episode(&self, id: EpisodeId) -> Option<&Episode> {
        self.episodes.get(&id).map(Arc::as_ref)
    }

    /// Tells whether a target of a policy fires by another incident than these.
    pub fn any_fires_beside(&self, policy: &PolicyName, but: &BTreeSet<IncidentId>) -> bool {
        let fires = |id: &IncidentId| self.incident(*id).is_some_and(|i| !i.all_ended());
        self.ledgers.firing(policy).any(|id| {
            // The oldest that fires stands for all of its target.
            let target = self.incident(id).map(|incident| &incident.target);
            let all = target.and_then(|target| self.by_subject.get(policy, target));
            let mut others = all.into_iter().flat_map(Succession::iter);
            !but.contains(&id) || others.any(|other| !but.contains(&other) && fires(&other))
        })
    }

    /// Returns the number of the episode in which an alert fires.
    pub fn firing(&self, key: &AlertKey) -> Option<EpisodeId> {
        let (fingerprint, source) = key;
        self.firing.get(source, fingerprint).copied()
    }

    /// Returns another incident of a policy whose approved run goes first.
    pub fn goes_first(&self, policy: &PolicyName, but: IncidentId) -> Option<IncidentId> {
        let all = self.approved.range((policy.clone(), IncidentId(0))..);
        let mut all = all.take_while(|(of, _)| of == policy).map(|(_, id)| *id);
        all.find(|id| *id != but)
    }

    /// Tells whether an alert with exactly these labels is known to fire, by whatever source.
    pub fn any_fires(&self, labels: &LabelSet) -> bool {
        self.fires_as(labels).is_some()
    }

    /// Returns an episode that fires, of an alert with exactly these labels, by whatever source.
    pub fn fires_as(&self, labels: &LabelSet) -> Option<&Episode> {
        let fingerprint = labels.fingerprint();
        let mut all = self.firing.all(&fingerprint).filter_map(|id| self.episode(*id));
        all.find(|episode| episode.alert.labels == *labels)
    }

    /// Returns the rules that were seen to fire an alert of the alerts API, where that is written down.
    pub fn sightings(&self, id: EpisodeId) -> &[Sighting] {
        self.sighted.get(&id).map_or(&[], |all| all)
    }

    /// Returns all episodes that fire.
    pub fn all_firing(&self) -> impl Iterator<Item = EpisodeId> + '_ {
        self.firing.values().copied()
    }

    /// Returns how many episodes fire.
    pub fn count_firing(&self) -> usize {
        self.firing.len()
    }

    /// Tells whether an episode still fires.
    pub fn is_firing(&self, id: EpisodeId) -> bool {
        let alert = self.episodes.get(&id).map(|episode| &episode.alert);
        alert.is_some_and(|a| self.firing.get(&a.source, &a.fingerprint) == Some(&id))
    }

    /// Returns when we heard that an alert's last episode had ended, and with which `endsAt`, where that
    /// is remembered.
    pub fn last_end(&self, key: &AlertKey) -> Option<(Timestamp, Option<Timestamp>)> {
        self.ended.get(&key.1, &key.0).copied()
    }

    /// Returns the last episode of an alert that an incident still knows and of which nothing is heard
    /// any more, or that ended without proof.
    pub fn lapsed(&self, key: &AlertKey) -> Option<EpisodeId> {
        self.all_lapsed(key).next_back()
    }

    fn all_lapsed(&self, key: &AlertKey) -> impl DoubleEndedIterator<Item = EpisodeId> + '_ {
        let is_lapsed = |id: EpisodeId| {
            let lapsed = Some(Standing::Lapsed);
            self.incidents_of(id).any(|incident| incident.episodes.standing(id) == lapsed)
        };
        self.all_past(key).filter(move |id| is_lapsed(*id))
    }

    /// Returns the ended episodes of an alert that an incident still knows.
    fn all_past(&self, key: &AlertKey) -> impl DoubleEndedIterator<Item = EpisodeId> + '_ {
        let all = (key.clone(), EpisodeId(0))..=(key.clone(), EpisodeId(u64::MAX));
        self.past.range(all).map(|(_, episode)| *episode)
    }

    /// Returns the closed incidents of a subject of whose alerts nothing is heard any more, and which
    /// only a person still looks after.
    pub fn unheard_of<'a>(
        &'a self,
        subject: &Subject,
    ) -> impl Iterator<Item = &'a Incident> + use<'a> {
        let known = self.by_subject.get(&subject.0, &subject.1);
        let all = known.into_iter().flat_map(Succession::iter).filter_map(|id| self.incident(id));
        all.filter(|incident| incident.unheard && incident.any_lapsed())
    }

    /// Tells whether a person was told of an incident whose alerts ended without proof: then it is
    /// theirs until it is known that the trouble is over.
    pub fn is_owed_unheard(&self, incident: &Incident) -> bool {
        let topic = Topic::Escalation { incident: incident.id };
        incident.any_lapsed() && self.notices.get(&topic).is_some_and(|owed| !owed.cleared)
    }

    /// Returns an incident that is open or latched.
    pub fn incident(&self, id: IncidentId) -> Option<&Incident> {
        self.incidents.get(&id).map(Arc::as_ref)
    }

    /// Returns all incidents that are open or latched.
    pub fn incidents(&self) -> impl Iterator<Item = &Incident> {
        self.incidents.values().map(Arc::as_ref)
    }

    /// Returns the newest incident that is open or latched for a policy and a target.
    pub fn incident_of(&self, subject: &Subject) -> Option<&Incident> {
        self.by_subject.get(&subject.0, &subject.1).and_then(|ids| self.incident(ids.newest()))
    }

    /// Returns the incidents of an episode.
    pub fn incidents_of(&self, episode: EpisodeId) -> impl Iterator<Item = &Incident> {
        self.ids_of(episode).filter_map(|id| self.incident(id))
    }

    fn ids_of(&self, episode: EpisodeId) -> impl Iterator<Item = IncidentId> + '_ {
        let all = self.by_episode.starting_at(&(episode, IncidentId(0)));
        all.take_while(move |(of, _)| *of == episode).map(|(_, incident)| *incident)
    }

    /// Returns what the guards count.
    pub fn ledgers(&self) -> &Ledgers {
        &self.ledgers
    }

    /// Returns what must be told.
    pub fn notices(&self) -> impl ExactSizeIterator<Item = &Obligation> {
        self.notices.values()
    }

    /// Returns what must be told about a topic.
    pub fn notice(&self, topic: &Topic) -> Option<&Obligation> {
        self.notices.get(topic)
    }

    /// Returns what people have approved ahead.
    pub fn approvals(&self) -> &StandingApprovals {
        &self.approvals
    }

    /// Returns the number that the next standing approval gets.
    pub fn next_approval(&self) -> ApprovalId {
        self.last_approval.next()
    }

    /// Returns who set an incident going, as far as that is known.
    pub fn movers<'a>(&'a self, incident: &'a Incident) -> Movers<'a> {
        let posted = self.alerts(incident).filter_map(|episode| episode.by.as_deref());
        Movers { posted: posted.collect(), retried: incident.retried_by.as_deref() }
    }

    /// Returns the first incident whose next step is due.
    pub fn first_ready(&self) -> Option<IncidentId> {
        self.ready.first().copied()
    }

    /// Tells whether an incident's next step is due.
    pub fn is_ready(&self, id: IncidentId) -> bool {
        self.ready.contains(&id)
    }

    /// Tells whether an incident waits for this gate to open.
    pub fn is_awaited(&self, gate: &Gate) -> bool {
        self.gates.contains_key(gate)
    }

    /// Returns the incidents of a policy that a guard holds, where that is told once for all of them.
    pub fn held_by(&self, policy: &PolicyName, guard: Guard) -> impl Iterator<Item = &Incident> {
        let ids = self.held_by.get(&(policy.clone(), guard)).into_iter().flatten();
        ids.filter_map(|id| self.incident(*id))
    }

    /// Tells whether more incidents than a gate wakes at once wait for it, all older than this one.
    pub fn is_far_behind(&self, gate: &Gate, id: IncidentId) -> bool {
        let last_woken =
            self.gates.get(gate).and_then(|w| w.iter().nth(limits::WOKEN_PER_GATE - 1));
        last_woken.is_some_and(|last| *last < id)
    }

    /// Returns the first alarm.
    pub fn first_alarm(&self) -> Option<(Timestamp, IncidentId)> {
        self.alarms.first().copied()
    }

    /// Returns the number that the next episode gets.
    pub fn next_episode(&self) -> EpisodeId {
        self.last_episode.next()
    }

    /// Returns the number that the next incident gets.
    pub fn next_incident(&self) -> IncidentId {
        self.last_incident.next()
    }

    /// Returns what is known about the healing of an incident whose action is over.
    pub fn verdict(&self, incident: &Incident, verification: &Verification) -> Verdict {
        match &incident.order {
            Some(order) => {
                let ward = self.ward(incident, &order.proof, verification);
                healing::judge(&order.proof, verification, &ward)
            }
            None => Verdict::Unknown,
        }
    }

    /// Returns the alerts of an incident whose healing is proven. Of more than can be asked about, those
    /// that were are seen one by one; the others are counted.
    pub fn ward<'a>(
        &'a self,
        incident: &'a Incident,
        proof: &Proof,
        verification: &Verification,
    ) -> Ward<'a> {
        let all = &incident.episodes;
        if all.len() <= limits::ASKED_ALERTS {
            return Ward::of(self.patients(incident).collect());
        }
        let asked = proof.cases.iter().chain(&verification.cases).map(|case| case.episode);
        let asked: BTreeSet<EpisodeId> = asked.collect();
        let known = asked
            .into_iter()
            .filter_map(|episode| Some(Attached { episode, standing: all.standing(episode)? }));
        let patients = known.filter_map(|attached| self.patient(attached));
        let counted = (all.count(Standing::Resolved), all.len());
        Ward::of(patients.collect()).among(counted)
    }

    /// Returns the alerts of an incident whose healing is proven, those first of which it is not said
    /// that they resolved.
    pub fn patients<'a>(&'a self, incident: &'a Incident) -> impl Iterator<Item = Patient<'a>> {
        incident.episodes.unresolved_first().filter_map(|attached| self.patient(attached))
    }

    fn patient(&self, Attached { episode, standing }: Attached) -> Option<Patient<'_>> {
        let alert = &self.episode(episode)?.alert;
        Some(Patient {
            episode,
            alert,
            resolved: standing == Standing::Resolved,
            mentioned_at: None,
        })
    }

    /// Returns the alerts of an incident, those that fire first.
    pub fn alerts<'a>(&'a self, incident: &'a Incident) -> impl Iterator<Item = &'a Arc<Episode>> {
        incident.episodes.firing_first().filter_map(|id| self.episodes.get(&id))
    }
}
