//! What each fact does to the state.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::alert::Episode;
use crate::fact::{Fact, What};
use crate::healing::{Look, Verdict, Verification};
use crate::hold::Gate;
use crate::incident::{
    Aftermath, Closing, End, Episodes, Incident, Loose, Rare, Running, Seeks, Stage, Standing,
    Told, Worsened,
};
use crate::ledger::{Past, Subject, Trial};
use crate::limits;
use crate::name::{BootId, EpisodeId, IncidentId, Part};
use crate::notice::Topic;
use crate::shadow::Shadow;
use crate::time::Timestamp;

use super::succession::Succession;
use super::trials::told;
use super::{Counted, State};

impl State {
    /// Takes in what happened. The only mutation.
    pub fn apply(&mut self, fact: &Fact) {
        let at = fact.at;
        self.clock.reads(at);
        match &fact.what {
            What::EngineStarted { boot } => self.start(boot, at),
            What::ClockJumped { jump } => self.live_through(jump),
            What::BookChanged => self.rejudge_all(),
            What::ConfigurationLoaded { .. } | What::Collected { .. } => {}
            What::EnginePaused { pause } => self.ledgers.paused = Some(pause.clone()),
            What::EngineResumed { .. } => {
                self.ledgers.paused = None;
                self.open_gate(&Gate::Resume, usize::MAX);
            }
            What::WatchdogSeen { watchdog } => {
                self.open_gate(&Gate::Watchdog(watchdog.clone()), usize::MAX);
            }
            What::EpisodeBegan { episode, alert, lapse, by } => {
                self.last_episode = *episode;
                self.firing.insert(&alert.source, alert.fingerprint, *episode);
                let begun = Episode::new(alert.clone(), at, *lapse, by.clone());
                self.episodes.insert(*episode, Arc::new(begun));
            }
            What::EpisodeEnded { episode, ending } => self.end_episode(*episode, ending, at),
            What::EpisodeMoved { episode, starts_at } => self.move_episode(*episode, *starts_at),
            What::EpisodeListed { episode } => self.list_episode(*episode),
            What::EpisodeMentioned { episode } => self.mention_episode(*episode),
            What::EpisodeSighted { episode, sightings } => {
                if self.is_firing(*episode) {
                    self.sighted.insert(*episode, sightings.clone().into());
                }
            }
            What::OwnerSought { .. }
            | What::OwnerFound { .. }
            | What::OwnerMissed { .. }
            | What::OwnerDropped { .. } => self.seek_owner(&fact.what, at),
            What::IncidentOpened { incident, episode, .. } => {
                self.open(*incident, *episode, fact);
            }
            What::EpisodeAttached { incident, episode } => self.attach(*incident, *episode, at),
            What::IncidentClosed { incident, closing, tell_at } => {
                self.close(*incident, closing, *tell_at, at);
            }
            What::LatchReleased { incident } => self.release(*incident, at),
            What::AlarmDropped { incident, until } => {
                self.amend(*incident, |incident| {
                    incident.tell_at = *until;
                    incident.overdue = until.is_some();
                });
            }
            What::StormBegan { .. } | What::StormGauged { .. } | What::StormEnded { .. } => {
                self.change_weather(&fact.what, at);
            }
            What::NoticeRaised { .. }
            | What::NoticeWithheld { .. }
            | What::NoticeTold { .. }
            | What::NoticeCleared { .. }
            | What::NoticeEnded { .. } => self.note_telling(&fact.what),
            What::ShadowJudged { .. } => self.judge_shadow(&fact.what, at),
            What::OrderIssued { order } => self.issue(order, at),
            What::OrderReissued { order } => self.reissue(order, at),
            What::OrderReturned { order } => self.give_back(order),
            What::OrderProgressed { order, .. } => {
                self.amend_run(order.incident, |running| running.progressed += 1);
            }
            What::OrderCancelled { order, .. } => {
                self.amend_run(order.incident, |running| running.told = Told::ToEnd);
            }
            What::ApprovalAsked { .. }
            | What::ApprovalVoided { .. }
            | What::ApprovalStands { .. }
            | What::ApprovalEnded { .. }
            | What::IncidentCommanded { .. } => self.take_word(&fact.what, at),
            What::OrderEnded { order, ended } => self.end_run(order, ended, at),
            What::OrderGone { order } => self.let_go(order),
            What::EvidenceAsked { .. }
            | What::EvidenceSeen { .. }
            | What::OrderHeld { .. }
            | What::RemedyShadowed { .. }
            | What::RetryScheduled { .. }
            | What::VerificationProlonged { .. }
            | What::TurnedWorse { .. } => self.move_on(&fact.what, at),
            What::AftermathSeen { incident, next, .. } => self.look_after(*incident, *next),
            What::SightLost { incident } => {
                self.change(*incident, |incident| incident.unheard = true);
                // Where nobody is owed a word of it, it is nobody's.
                self.consider(*incident);
            }
            What::RemedyGivenUp { incident, .. } => {
                self.move_on(&fact.what, at);
                self.make_room(*incident);
            }
            What::VerificationBegan { incident, .. } => {
                self.move_on(&fact.what, at);
                self.consider(*incident);
            }
        }
        self.ledgers.weather(at);
    }

    fn amend_run(&mut self, id: IncidentId, change: impl FnOnce(&mut Running)) {
        self.amend(id, |incident| {
            if let Stage::Acting(running) = &mut incident.stage {
                change(running);
            }
        });
    }

    fn judge_shadow(&mut self, what: &What, at: Timestamp) {
        let What::ShadowJudged { incident, policy, remedy, worth, .. } = what else { return };
        self.ledgers.scores.judged(policy, remedy, *worth, at);
        self.amend(*incident, |incident| {
            incident.shadows.change(|all| all.retain(|shadow| shadow.remedy != *remedy));
        });
    }

    fn change_weather(&mut self, what: &What, at: Timestamp) {
        match what {
            What::StormBegan { policy, gauge, .. } => {
                self.ledgers.storms_mut().began(policy, gauge, at);
            }
            What::StormGauged { policy, gauge } => self.ledgers.storms_mut().gauged(policy, gauge),
            What::StormEnded { policy } => {
                self.ledgers.storms_mut().ended(policy);
                self.open_gate(&Gate::Calm(policy.clone()), usize::MAX);
            }
            _ => {}
        }
    }

    fn move_on(&mut self, what: &What, at: Timestamp) {
        let Some(id) = what.incident() else { return };
        if let What::RemedyGivenUp { reason, .. } = what {
            self.end_trial_of(id, Some(&(at, Trial::Failed(told(reason)))));
        }
        if let What::TurnedWorse { text, order, .. } = what {
            self.end_trial(order, Some(&(at, Trial::Worse(told(text)))));
        }
        self.change(id, |incident| match what {
            What::EvidenceAsked { step, .. } => {
                incident.step = *step;
                match (&mut incident.stage, &mut incident.aftermath) {
                    (Stage::Verifying(verification), _) => verification.look = Look::Asked(at),
                    (Stage::Closed { .. }, Some(left)) => left.look = Look::Asked(at),
                    (Stage::Closed { .. }, None) => {}
                    (stage, _) => *stage = Stage::Asking { asked_at: at },
                }
            }
            What::EvidenceSeen { reading, next, .. } => {
                if let (Stage::Verifying(verification), Some(order)) =
                    (&mut incident.stage, &incident.order)
                {
                    verification.note(&order.proof, reading, *next);
                }
            }
            What::VerificationProlonged { until, .. } => {
                if let (Stage::Verifying(verification), Some(order)) =
                    (&mut incident.stage, &incident.order)
                {
                    verification.until = *until;
                    verification.look = Look::Due((at + order.proof.every).min(*until));
                }
            }
            What::OrderHeld { holds, until, .. } => {
                incident.looks += 1;
                incident.stage = Stage::Held { holds: holds.clone(), until: *until, judged_at: at };
            }
            What::RemedyShadowed { remedy, .. } | What::RemedyGivenUp { remedy, .. } => {
                incident.ladder.climbed = Some(remedy.clone());
                incident.keep_sightings();
                incident.seeks.climbed();
                incident.looks = 0;
                incident.approved = None;
                incident.stage = Stage::Ready;
                if let What::RemedyShadowed { window: Some(window), .. } = what {
                    let (remedy, until) = (remedy.clone(), at + *window);
                    incident.shadows.room().push(Shadow { remedy, since: at, until });
                }
                if let What::RemedyGivenUp { reason, .. } = what {
                    incident.tried.room().push(format!("{remedy}: {reason}"));
                }
            }
            What::TurnedWorse { text, order, .. } => {
                incident.tried.room().push(format!("{}: made it worse: {text}", order.remedy));
                // What a person let start was a remedy, and no further one is tried.
                incident.approved = None;
                incident.looks = 0;
                incident.stage = Stage::Ready;
                if let Some(order) = &incident.order {
                    let (order, text) = ((**order).clone(), text.clone());
                    incident.seeks.turned(Worsened { order, text, since: at });
                }
            }
            What::RetryScheduled { until, .. } => {
                incident.seeks.failed();
                incident.stage = Stage::BackingOff { until: *until };
            }
            What::VerificationBegan { .. } => begin_verification(incident, what),
            _ => {}
        });
    }

    /// Moves an incident on: whatever it was woken for is done with.
    pub(super) fn change(&mut self, id: IncidentId, change: impl FnOnce(&mut Incident)) {
        self.ready.remove(&id);
        self.amend(id, change);
    }

    /// Changes an incident and keeps the indices true.
    pub(super) fn amend(&mut self, id: IncidentId, change: impl FnOnce(&mut Incident)) {
        self.unindex(id);
        let Some(incident) = self.incidents.get_mut(&id) else { return };
        let stood = Counted::of(incident);
        change(Arc::make_mut(incident));
        self.count(id, stood);
        self.index(id);
    }

    /// Lets the ledgers count an incident where it stands now.
    pub(super) fn count(&mut self, id: IncidentId, stood: Counted) {
        let Some(incident) = self.incidents.get(&id) else { return };
        let stands = Counted::of(incident);
        if stood.flies != stands.flies {
            self.ledgers.flies(&incident.subject(), stands.flies);
        }
        if stood.fires != stands.fires {
            let subject = incident.subject();
            self.ledgers.fires(&subject.0, id, stands.fires);
            let others = self.by_subject.get(&subject.0, &subject.1);
            if others.is_some_and(|succession| !succession.is_alone()) {
                self.count_once(&subject);
            }
        }
    }

    /// A target fires once, however many incidents of it do: the oldest stands for them.
    fn count_once(&mut self, subject: &Subject) {
        let Some(succession) = self.by_subject.get(&subject.0, &subject.1) else { return };
        let fires = |id: &IncidentId| self.incident(*id).is_some_and(|i| Counted::of(i).fires);
        let firing: Vec<IncidentId> = succession.iter().filter(fires).collect();
        for (place, id) in firing.into_iter().enumerate() {
            self.ledgers.fires(&subject.0, id, place == 0);
        }
    }

    /// A target may not be in flight any more: who waits for room looks.
    pub(super) fn make_room(&mut self, id: IncidentId) {
        let gate = Gate::Radius(self.policy_of(id));
        self.open_gate(&gate, limits::WOKEN_PER_GATE);
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
            // Nobody knows what went on while the engine was away.
            self.amend(id, |incident| incident.shadows.change(|all| all.retain(|s| s.until > at)));
            self.amend(id, |incident| match &mut incident.stage {
                stage @ Stage::Asking { .. } => *stage = Stage::Ready,
                Stage::Verifying(verification) => {
                    if let Look::Asked(_) = verification.look {
                        verification.look = Look::Due(at);
                    }
                }
                Stage::Closed { .. } => {
                    if let Some(left) = &mut incident.aftermath
                        && let Look::Asked(_) = left.look
                    {
                        left.look = Look::Due(at);
                    }
                }
                Stage::Settling { .. }
                | Stage::Ready
                | Stage::Held { .. }
                | Stage::BackingOff { .. }
                | Stage::AwaitingApproval(_)
                | Stage::Acting(_)
                | Stage::Lost { .. } => {}
            });
        }
    }

    pub(super) fn rejudge_all(&mut self) {
        let held = self.incidents.values().filter(|i| matches!(i.stage, Stage::Held { .. }));
        self.ready.extend(held.map(|incident| incident.id));
    }

    /// What ended may let an incident recover, prove its healing, or be forgotten: if so, it is
    /// looked at in this turn.
    pub(super) fn consider(&mut self, id: IncidentId) {
        let Some(incident) = self.incidents.get(&id) else { return };
        let moves = match &incident.stage {
            Stage::Verifying(verification) => self.is_proven(incident, verification),
            Stage::Closed { .. } => {
                incident.all_ended()
                    && !incident.watches_worse()
                    && !(incident.unheard && self.is_owed_unheard(incident))
            }
            open => open.waits() && incident.all_ended() && incident.seeks.worse().is_none(),
        };
        if moves {
            self.ready.insert(id);
        }
    }

    fn is_proven(&self, incident: &Incident, verification: &Verification) -> bool {
        // Of a crowd, most are over by their sources' word alone: while that is awaited of more than
        // were ever asked about, nobody need be judged.
        let asked = incident.order.iter().map(|order| order.proof.cases.len()).sum::<usize>();
        let unresolved = incident.episodes.len() - incident.episodes.count(Standing::Resolved);
        unresolved <= (asked + verification.cases.len()).max(limits::ASKED_ALERTS)
            && matches!(self.verdict(incident, verification), Verdict::Healed(_))
    }

    /// A further alert may have come in the same turn in which the others ended: what they woke the
    /// incident for is void then. What waits for its guards is judged all the same.
    pub(super) fn reconsider(&mut self, id: IncidentId) {
        let Some(incident) = self.incidents.get(&id) else { return };
        if !matches!(incident.stage, Stage::Ready | Stage::Held { .. }) {
            self.ready.remove(&id);
            self.consider(id);
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
            episodes: Episodes::of(episode),
            stage: Stage::Ready,
            seeks: Seeks::Rung,
            ladder: ladder.clone(),
            runs: Rare::default(),
            locks: Rare::default(),
            order: None,
            acts: Rare::default(),
            approved: None,
            votes: Rare::default(),
            retried_by: None,
            tried: Rare::default(),
            step: 0,
            looks: 0,
            tell_at: None,
            overdue: false,
            shadows: Rare::default(),
            aftermath: None,
            unheard: false,
        };
        self.ledgers.flaps.began(&incident.subject(), fact.at);
        self.enter_subject(&incident);
        self.by_episode.insert((episode, id));
        self.incidents.insert(id, Arc::new(incident));
        self.count(id, Counted::default());
        self.change(id, |incident| {
            incident.tell_at = *tell_at;
            incident.stage = settles_at.map_or(Stage::Ready, |until| Stage::Settling { until });
        });
    }

    fn close(
        &mut self,
        id: IncidentId,
        closing: &Closing,
        tell_at: Option<Timestamp>,
        at: Timestamp,
    ) {
        let Some(incident) = self.incidents.get(&id) else { return };
        let has_acted = incident.has_acted();
        if has_acted {
            let subject = incident.subject();
            let ladder = incident.ladder_after(closing);
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
        let last = incident.order.as_ref().map(|order| &order.id.remedy);
        let trial = match closing.outcome {
            // The last remedy may never have started: it has not healed then.
            End::Healed if closing.remedy.as_ref() != last => None,
            End::Healed => Some((at, Trial::Healed)),
            End::Escalated => Some((at, Trial::Failed(told(&closing.reason)))),
            End::Recovered | End::Shadowed | End::Rejected | End::Cancelled => None,
        };
        self.end_trial_of(id, trial.as_ref());
        self.ledgers.unlock(locks.iter());
        for key in locks.iter() {
            self.open_gate(&Gate::Lock(key.clone()), limits::WOKEN_PER_GATE);
        }
        let topic = Topic::Escalation { incident: id };
        let is_told = self.notices.get(&topic).is_some_and(|owed| !owed.cleared);
        let by_itself = matches!(closing.outcome, End::Shadowed | End::Recovered);
        self.change(id, |incident| {
            incident.tell_at = tell_at;
            if has_acted || !by_itself {
                incident.shadows.clear();
            }
            let stage = Stage::Closed { at, closing: closing.clone() };
            let before = std::mem::replace(&mut incident.stage, stage);
            incident.aftermath = aftermath(incident, before, closing, at, is_told).map(Box::new);
        });
        if has_acted {
            self.make_room(id);
        }
        self.consider(id);
    }

    fn release(&mut self, id: IncidentId, at: Timestamp) {
        // What is forgotten wakes nobody.
        self.change(id, |incident| {
            incident.tell_at = None;
            incident.aftermath = None;
            incident.shadows.clear();
        });
        let Some(incident) = self.incidents.remove(&id) else { return };
        if incident.all_ended() {
            self.ledgers.flaps.ended(&incident.subject(), at);
        }
        self.leave_subject(&incident);
        if Counted::of(&incident).fires {
            self.ledgers.fires(&incident.policy, id, false);
            self.count_once(&incident.subject());
        }
        for attached in incident.episodes.iter() {
            self.detach(attached.episode, id);
        }
    }
}

impl State {
    pub(super) fn enter_subject(&mut self, incident: &Incident) {
        let (policy, target, id) = (&incident.policy, &incident.target, incident.id);
        match self.by_subject.get_mut(policy, target) {
            Some(succession) => succession.enter(id),
            None => drop(self.by_subject.insert(policy, target.clone(), Succession::of(id))),
        }
    }

    fn leave_subject(&mut self, incident: &Incident) {
        let (policy, target) = (&incident.policy, &incident.target);
        let left = self.by_subject.get_mut(policy, target);
        if left.is_some_and(|succession| !succession.leave(incident.id)) {
            self.by_subject.remove(policy, target);
        }
    }

    fn look_after(&mut self, id: IncidentId, next: Option<Timestamp>) {
        self.amend(id, |incident| match (next, &mut incident.aftermath) {
            (Some(next), Some(left)) => left.look = Look::Due(next),
            (None | Some(_), left) => *left = None,
        });
        self.consider(id);
    }
}

/// An action is over, or will be: its healing is proven, or the end of an undo is awaited.
fn begin_verification(incident: &mut Incident, what: &What) {
    let What::VerificationBegan { ended_at, until, look, resolved, .. } = what else { return };
    let Some(order) = &incident.order else { return };
    incident.stage = match order.id.part {
        Part::Heal => Stage::Verifying(Box::new(Verification {
            order: order.id.clone(),
            ended_at: *ended_at,
            until: *until,
            look: look.map_or(Look::Nobody, Look::Due),
            over_at: Some((*until - order.proof.within).max(*ended_at)),
            held: 0,
            missed: BTreeMap::new(),
            cases: Vec::new(),
            last: None,
            resolved_during_action: *resolved,
        })),
        Part::Undo => Stage::Lost { until: *until },
    };
    incident.seeks.resumed();
}

/// What is still to be found out of an incident that closes.
fn aftermath(
    incident: &Incident,
    before: Stage,
    closing: &Closing,
    at: Timestamp,
    is_told: bool,
) -> Option<Aftermath> {
    match (before, closing.remembered_until) {
        (Stage::Verifying(verification), Some(until)) => {
            let look = Look::Due(until.max(at));
            Some(Aftermath { matter: Loose::Memory(verification), look })
        }
        _ if is_told && incident.seeks.worse().is_some() => {
            let look = Look::Due(at + limits::AFTERMATH_LOOK);
            Some(Aftermath { matter: Loose::Worse, look })
        }
        (_, _) => None,
    }
}
