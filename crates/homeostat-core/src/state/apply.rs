//! What each fact does to the state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::alert::{Ending, Episode};
use crate::fact::{Fact, What};
use crate::hold::{Gate, Scope};
use crate::incident::{Attached, Closing, End, Incident, Stage, Standing};
use crate::ledger::{Past, Trial};
use crate::limits;
use crate::name::{BootId, EpisodeId, IncidentId, OrderId, PolicyName};
use crate::notice::{Obligation, Topic};
use crate::order::Order;
use crate::time::Timestamp;
use crate::verdict::{Look, Verification};

use super::State;
use super::trials::told;

impl State {
    /// Takes in what happened. The only mutation.
    pub fn apply(&mut self, fact: &Fact) {
        let at = fact.at;
        match &fact.what {
            What::EngineStarted { boot } => self.start(boot, at),
            What::BookChanged => self.rejudge_all(),
            What::EnginePaused { pause } => self.ledgers.paused = Some(pause.clone()),
            What::EngineResumed { .. } => {
                self.ledgers.paused = None;
                self.open_gate(&Gate::Resume, usize::MAX);
            }
            What::WatchdogSeen { watchdog } => {
                self.open_gate(&Gate::Watchdog(watchdog.clone()), usize::MAX);
            }
            What::EpisodeBegan { episode, alert, lapse } => {
                self.last_episode = *episode;
                self.firing.insert(alert.key(), *episode);
                let (alert, lapse) = (alert.clone(), *lapse);
                let begun = Episode { alert, began_at: at, lapse, ended_at: None };
                self.episodes.insert(*episode, Arc::new(begun));
            }
            What::EpisodeEnded { episode, ending } => self.end_episode(*episode, ending, at),
            What::IncidentOpened { incident, episode, .. } => {
                self.open(*incident, *episode, fact);
            }
            What::EpisodeAttached { incident, episode } => {
                self.by_episode.insert((*episode, *incident));
                let standing = Standing::Firing;
                let attached = Attached { episode: *episode, standing };
                self.forget_earlier(*incident, *episode, at);
                self.amend(*incident, |incident| incident.episodes.push(attached));
                self.reconsider(*incident);
            }
            What::IncidentClosed { incident, closing, tell_at } => {
                self.close(*incident, closing, *tell_at, at);
            }
            What::LatchReleased { incident } => self.release(*incident, at),
            What::AlarmDropped { incident } => {
                self.amend(*incident, |incident| incident.tell_at = None);
            }
            What::NoticeRaised { notice } => {
                let owed = Obligation { notice: notice.clone(), cleared: false, told: false };
                self.notices.insert(notice.topic(), owed);
                self.drop_alarm(&notice.topic());
            }
            What::NoticeWithheld { topic, .. } => self.drop_alarm(topic),
            What::NoticeTold { topic } => {
                if let Some(owed) = self.notices.get_mut(topic) {
                    owed.told = true;
                }
            }
            What::NoticeCleared { topic } => {
                if let Some(owed) = self.notices.get_mut(topic) {
                    owed.cleared = true;
                }
            }
            What::NoticeEnded { topic } => {
                self.notices.remove(topic);
            }
            What::OrderIssued { order } => self.issue(order, at),
            What::OrderReissued { order } => {
                self.ledgers.lock(&order.locks, order.id.incident);
                self.ledgers.started(&self.policy_of(order.id.incident));
                self.try_remedy(&order.id);
                self.change(order.id.incident, |incident| {
                    incident.locks.extend(order.locks.iter().cloned());
                    incident.order = Some(Box::new(order.without_grants()));
                    incident.ordered_at = at;
                    incident.returned = false;
                    incident.stage = Stage::Acting;
                });
            }
            What::OrderReturned { order } => {
                self.stop_running(order);
                self.end_trial(order, None);
                self.change(order.incident, |incident| {
                    incident.returned = true;
                    incident.stage = Stage::Ready;
                });
            }
            What::OrderProgressed { order, .. } => {
                self.amend(order.incident, |incident| incident.progressed += 1);
            }
            What::OrderEnded { order, ended } => {
                self.stop_running(order);
                self.note_run(order, &ended.outcome, at);
                self.end_trial_of_run(order, &ended.outcome, at);
                self.change(order.incident, |incident| incident.stage = Stage::Ready);
            }
            What::EvidenceAsked { .. }
            | What::EvidenceSeen { .. }
            | What::OrderHeld { .. }
            | What::RemedyShadowed { .. }
            | What::RetryScheduled { .. }
            | What::RemedyGivenUp { .. } => self.move_on(&fact.what, at),
            What::VerificationBegan { incident, .. } => {
                self.move_on(&fact.what, at);
                self.consider(*incident);
            }
        }
    }

    /// An incident that was escalated need not be told for its age any more.
    fn drop_alarm(&mut self, topic: &Topic) {
        match topic {
            Topic::Escalation { incident } => {
                self.amend(*incident, |incident| incident.tell_at = None);
            }
            Topic::Approval { .. } | Topic::Guard { .. } => {}
        }
    }

    fn move_on(&mut self, what: &What, at: Timestamp) {
        let Some(id) = what.incident() else { return };
        if let What::RemedyGivenUp { reason, .. } = what {
            self.end_trial_of(id, Some(&(at, Trial::Failed(told(reason)))));
        }
        self.change(id, |incident| match what {
            What::EvidenceAsked { step, .. } => {
                incident.step = *step;
                match &mut incident.stage {
                    Stage::Verifying(verification) => verification.look = Look::Asked(at),
                    stage => *stage = Stage::Asking { asked_at: at },
                }
            }
            What::EvidenceSeen { reading, next, .. } => {
                if let Stage::Verifying(verification) = &mut incident.stage {
                    verification.note(reading, *next);
                }
            }
            What::OrderHeld { holds, until, .. } => {
                incident.looks += 1;
                incident.stage = Stage::Held { holds: holds.clone(), until: *until, judged_at: at };
            }
            What::RemedyShadowed { remedy, .. } | What::RemedyGivenUp { remedy, .. } => {
                incident.ladder.climbed = Some(remedy.clone());
                incident.ladder.failures = 0;
                incident.looks = 0;
                incident.stage = Stage::Ready;
                if let What::RemedyGivenUp { reason, .. } = what {
                    incident.tried.push(format!("{remedy}: {reason}"));
                }
            }
            What::RetryScheduled { until, .. } => {
                incident.ladder.failures += 1;
                incident.stage = Stage::BackingOff { until: *until };
            }
            What::VerificationBegan { ended_at, until, look, resolved, .. } => {
                if let Some(order) = &incident.order {
                    incident.stage = Stage::Verifying(Verification {
                        order: order.id.clone(),
                        ended_at: *ended_at,
                        until: *until,
                        look: look.map_or(Look::Nobody, Look::Due),
                        held: 0,
                        absent: 0,
                        last: None,
                        resolved_during_action: *resolved,
                    });
                }
            }
            _ => {}
        });
    }

    /// Moves an incident on: whatever it was woken for is done with.
    fn change(&mut self, id: IncidentId, change: impl FnOnce(&mut Incident)) {
        self.ready.remove(&id);
        self.amend(id, change);
    }

    /// Changes an incident and keeps the indices true.
    fn amend(&mut self, id: IncidentId, change: impl FnOnce(&mut Incident)) {
        self.unindex(id);
        let Some(incident) = self.incidents.get_mut(&id) else { return };
        change(Arc::make_mut(incident));
        self.index(id);
    }

    pub(super) fn open_gate(&mut self, gate: &Gate, most: usize) {
        if let Some(waiting) = self.gates.get(gate) {
            self.ready.extend(waiting.iter().take(most));
        }
    }

    fn start(&mut self, boot: &BootId, at: Timestamp) {
        self.boot = Some(boot.clone());
        let ids: Vec<IncidentId> = self.incidents.keys().copied().collect();
        for id in ids {
            self.amend(id, |incident| match &mut incident.stage {
                stage @ Stage::Asking { .. } => *stage = Stage::Ready,
                Stage::Verifying(verification) => {
                    if let Look::Asked(_) = verification.look {
                        verification.look = Look::Due(at);
                    }
                }
                Stage::Settling { .. }
                | Stage::Ready
                | Stage::Held { .. }
                | Stage::BackingOff { .. }
                | Stage::Acting
                | Stage::Closed { .. } => {}
            });
        }
    }

    fn rejudge_all(&mut self) {
        let held = self.incidents.values().filter(|i| matches!(i.stage, Stage::Held { .. }));
        self.ready.extend(held.map(|incident| incident.id));
    }

    fn end_episode(&mut self, id: EpisodeId, ending: &Ending, at: Timestamp) {
        let Some(episode) = self.episodes.get_mut(&id).map(Arc::make_mut) else { return };
        let ends_at = match ending {
            Ending::Resolved { ends_at } => *ends_at,
            Ending::Superseded | Ending::Lapsed => None,
        };
        episode.ended_at = Some(ends_at.unwrap_or(at));
        let key = episode.alert.key();
        if self.firing.get(&key) == Some(&id) {
            self.firing.remove(&key);
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
                        Ending::Resolved { .. } | Ending::Superseded => Standing::Resolved,
                        Ending::Lapsed => Standing::Lapsed,
                    };
                }
            });
            self.consider(incident);
        }
    }

    /// What ended may let an incident recover, prove its healing, or be forgotten: if so, it is
    /// looked at in this turn.
    fn consider(&mut self, id: IncidentId) {
        let Some(incident) = self.incidents.get(&id) else { return };
        let moves = match &incident.stage {
            Stage::Acting => false,
            Stage::Verifying(verification) => self.is_healed(incident, verification),
            Stage::Settling { .. }
            | Stage::Ready
            | Stage::Asking { .. }
            | Stage::Held { .. }
            | Stage::BackingOff { .. }
            | Stage::Closed { .. } => incident.all_ended(),
        };
        if moves {
            self.ready.insert(id);
        }
    }

    /// A further alert may have come in the same turn in which the others ended: what they woke the
    /// incident for is void then. What waits for its guards is judged all the same.
    fn reconsider(&mut self, id: IncidentId) {
        let Some(incident) = self.incidents.get(&id) else { return };
        match &incident.stage {
            Stage::Ready | Stage::Held { .. } => {}
            Stage::Settling { .. }
            | Stage::Asking { .. }
            | Stage::BackingOff { .. }
            | Stage::Acting
            | Stage::Verifying(_)
            | Stage::Closed { .. } => {
                self.ready.remove(&id);
                self.consider(id);
            }
        }
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
        let earlier: Vec<Attached> = incident.episodes.extract_if(.., |a| is_earlier(a)).collect();
        if !earlier.is_empty() {
            self.ledgers.flaps.again(&incident.subject(), at);
        }
        for attached in earlier {
            self.detach(attached.episode, id);
        }
    }

    fn detach(&mut self, episode: EpisodeId, id: IncidentId) {
        self.by_episode.remove(&(episode, id));
        if self.ids_of(episode).next().is_none() && !self.is_firing(episode) {
            self.episodes.remove(&episode);
        }
    }

    fn forget_ended(&mut self, now: Timestamp) {
        while let Some((at, key)) = self.ended_by_age.first().cloned() {
            let old = now.since(at) > limits::ENDED_EPISODE_MEMORY;
            if !old && self.ended_by_age.len() <= limits::ENDED_EPISODES {
                return;
            }
            self.ended_by_age.remove(&(at, key.clone()));
            self.ended.remove(&key);
        }
    }

    fn open(&mut self, id: IncidentId, episode: EpisodeId, fact: &Fact) {
        let What::IncidentOpened {
            policy,
            target,
            relapse_of,
            ladder,
            unheld,
            settles_at,
            tell_at,
            ..
        } = &fact.what
        else {
            return;
        };
        self.last_incident = id;
        let incident = Incident {
            id,
            policy: policy.clone(),
            target: target.clone(),
            opened_at: fact.at,
            relapse_of: *relapse_of,
            unheld: *unheld,
            episodes: vec![Attached { episode, standing: Standing::Firing }],
            stage: Stage::Acting,
            ladder: ladder.clone(),
            runs: BTreeMap::new(),
            locks: BTreeSet::new(),
            order: None,
            ordered_at: fact.at,
            progressed: 0,
            returned: false,
            tried: Vec::new(),
            step: 0,
            looks: 0,
            tell_at: None,
        };
        self.ledgers.flaps.began(&incident.subject(), fact.at);
        self.by_subject.insert(incident.subject(), id);
        self.by_episode.insert((episode, id));
        self.incidents.insert(id, Arc::new(incident));
        self.change(id, |incident| {
            incident.tell_at = *tell_at;
            incident.stage = settles_at.map_or(Stage::Ready, |until| Stage::Settling { until });
        });
    }

    fn policy_of(&self, id: IncidentId) -> PolicyName {
        let known = self.incidents.get(&id);
        known.map_or_else(|| PolicyName::new(""), |i| i.policy.clone())
    }

    fn issue(&mut self, order: &Order, at: Timestamp) {
        let id = order.id.incident;
        let Some(incident) = self.incidents.get(&id) else { return };
        let subject = incident.subject();
        self.ledgers.take(&order.charges, at);
        self.ledgers.lock(&order.locks, id);
        self.ledgers.started(&subject.0);
        self.try_remedy(&order.id);
        self.change(id, |incident| {
            incident.ladder.orders += 1;
            incident.runs.insert(order.id.remedy.clone(), order.id.attempt);
            incident.looks = 0;
            incident.locks.extend(order.locks.iter().cloned());
            incident.order = Some(Box::new(order.without_grants()));
            incident.ordered_at = at;
            incident.progressed = 0;
            incident.stage = Stage::Acting;
        });
    }

    fn stop_running(&mut self, order: &OrderId) {
        let policy = self.policy_of(order.incident);
        self.ledgers.ended(&policy);
        self.open_gate(&Gate::Running(Scope::Policy(policy)), limits::WOKEN_PER_GATE);
        self.open_gate(&Gate::Running(Scope::Book), limits::WOKEN_PER_GATE);
    }

    fn close(
        &mut self,
        id: IncidentId,
        closing: &Closing,
        tell_at: Option<Timestamp>,
        at: Timestamp,
    ) {
        let Some(incident) = self.incidents.get(&id) else { return };
        if incident.has_acted() {
            let subject = incident.subject();
            let mut ladder = incident.ladder.clone();
            ladder.failures = 0;
            if let Some(remedy) = &closing.remedy {
                ladder.climbed = Some(remedy.clone());
            }
            let past = Past {
                incident: id,
                closed_at: Some(at),
                healed: closing.outcome == End::Healed,
                ladder,
                unheld: incident.unheld,
                ran_at: BTreeMap::new(),
            };
            self.ledgers.closed(&subject, at, past);
        }
        let locks = incident.locks.clone();
        let trial = match closing.outcome {
            End::Healed => Some((at, Trial::Healed)),
            End::Escalated => Some((at, Trial::Failed(told(&closing.reason)))),
            End::Recovered | End::Shadowed | End::Cancelled => None,
        };
        self.end_trial_of(id, trial.as_ref());
        self.ledgers.unlock(locks.iter());
        for key in locks {
            self.open_gate(&Gate::Lock(key), limits::WOKEN_PER_GATE);
        }
        self.change(id, |incident| {
            incident.tell_at = tell_at;
            incident.stage = Stage::Closed { at, closing: closing.clone() };
        });
        self.consider(id);
    }

    fn release(&mut self, id: IncidentId, at: Timestamp) {
        self.change(id, |incident| incident.tell_at = None);
        let Some(incident) = self.incidents.remove(&id) else { return };
        self.ledgers.flaps.ended(&incident.subject(), at);
        self.by_subject.remove(&incident.subject());
        for attached in &incident.episodes {
            self.detach(attached.episode, id);
        }
    }
}
