//! What an observation means: a new episode, a repeat, an end, or nothing that counts.

use std::collections::{BTreeMap, BTreeSet};

use super::{Desk, closing, command, nth_incident};
use crate::alert::{Alert, Door, Ending, Observation, Presence, Status};
use crate::event::{About, Effect, Question, Remark};
use crate::evidence::{Ask, Evidence};
use crate::fact::What;
use crate::hold::{Gate, Guard};
use crate::incident::{Attached, End, Stage, Standing};
use crate::label::LabelSet;
use crate::ledger::{Past, Subject};
use crate::limits::{self, defaults};
use crate::name::{EpisodeId, IncidentId};
use crate::plan::Ladder;
use crate::policy::{Escalate, OnResolve, Policy};
use crate::state::State;
use crate::time::{Span, Timestamp};

pub(super) fn observe(desk: &mut Desk<'_>, observation: Observation, presence: Option<Presence>) {
    let remark = if observation.alert.is_own() {
        Remark::Own
    } else {
        match status(desk, &observation) {
            Status::Resolved => resolve(desk, &observation, presence),
            Status::Firing => {
                let labels = observation.alert.labels.clone();
                let remark = fire(desk, observation);
                note_watchdogs(desk, &labels, remark);
                remark
            }
        }
    };
    desk.decision.remark = Some(remark);
}

/// Alerts of the alerts API fire until their `endsAt`.
fn status(desk: &Desk<'_>, observation: &Observation) -> Status {
    match (observation.alert.door, observation.ends_at) {
        (Door::Api, Some(ends_at)) if ends_at <= desk.wall() => Status::Resolved,
        (Door::Api, _) => Status::Firing,
        (Door::Webhook, _) => observation.status,
    }
}

/// Wakes those that wait for a watchdog, if this is one.
fn note_watchdogs(desk: &mut Desk<'_>, labels: &LabelSet, remark: Remark) {
    if !matches!(remark, Remark::Began | Remark::Repeated) {
        return;
    }
    let book = desk.book;
    for (key, matchers) in book.watchdogs() {
        let awaited = desk.state.is_awaited(&Gate::Watchdog(key.clone()));
        if awaited && matchers.matches(labels) {
            desk.note(What::WatchdogSeen { watchdog: key.clone() });
        }
    }
}

fn resolve(desk: &mut Desk<'_>, observation: &Observation, presence: Option<Presence>) -> Remark {
    let alert = &observation.alert;
    let key = alert.key();
    let Some(episode) = desk.state.firing(&key) else { return Remark::Strange };
    let first = desk.state.episode(episode).and_then(|known| known.alert.starts_at);
    let newest = presence.and_then(|presence| presence.starts_at);
    let clock = desk.state.clock();
    let began = clock.later(newest, first, desk.now);
    let ends_at = observation.ends_at;
    if let (Some(began), Some(ends_at)) = (began, ends_at)
        && ends_at != began
        && clock.is_no_later(ends_at, began, desk.now)
    {
        return Remark::Stale;
    }
    desk.note(What::EpisodeEnded { episode, ending: Ending::Resolved { ends_at } });
    signal_actions(desk, episode);
    Remark::Ended
}

/// Tells actions to end whose policy wants that once all alerts have resolved. This episode was the
/// last that fired. An undo repairs something else, and goes on.
fn signal_actions(desk: &mut Desk<'_>, episode: EpisodeId) {
    let (state, book) = (desk.state, desk.book);
    for incident in state.incidents_of(episode).filter(|incident| incident.worse.is_none()) {
        let others = incident.episodes.iter().filter(|attached| attached.episode != episode);
        let resolved = others.map(|a| a.standing).all(|standing| standing == Standing::Resolved);
        let policy = book.policy(&incident.policy);
        let signals = policy.is_some_and(|policy| policy.on_resolve == OnResolve::Signal);
        if let (Stage::Acting, true, true, Some(order)) =
            (&incident.stage, resolved, signals, &incident.order)
        {
            command::end_run(desk, incident, order, "all alerts have resolved".to_owned());
        }
    }
}

fn fire(desk: &mut Desk<'_>, observation: Observation) -> Remark {
    let alert = &observation.alert;
    let key = alert.key();
    if let Some(episode) = desk.state.firing(&key) {
        if is_again_after_healing(desk, episode, alert) {
            supersede(desk, episode, alert);
            return Remark::Began;
        }
        wake_those_that_wait_for_it(desk, episode, &observation);
        return Remark::Repeated;
    }
    let stale = match (desk.state.last_end(&key), alert.starts_at) {
        (Some(ended_at), Some(starts_at)) => {
            desk.state.clock().is_no_later(starts_at, ended_at, desk.now)
        }
        (Some(_) | None, _) => false,
    };
    if !stale {
        begin(desk, &observation.alert, &BTreeSet::new());
        return Remark::Began;
    }
    let witnesses = &desk.book.witnesses;
    let ask = if witnesses.alertmanagers.contains(&alert.source) {
        Ask::listed(alert)
    } else if alert.door == Door::Api && witnesses.prometheus {
        Ask::rule(alert, &crate::policy::TargetLabels::All)
    } else {
        return Remark::Stale;
    };
    let about = About::Observation(Box::new(observation));
    desk.want(Effect::Ask(Question { about, asks: vec![ask] }));
    Remark::Doubted
}

/// A resolve and a new firing within one `group_interval` send nothing. Where a healing was proven
/// and the alert fires since a later time, it is not the firing that was healed.
fn is_again_after_healing(desk: &Desk<'_>, episode: EpisodeId, alert: &Alert) -> bool {
    let clock = desk.state.clock();
    let mut incidents = desk.state.incidents_of(episode).peekable();
    incidents.peek().is_some()
        && incidents.all(|incident| match &incident.stage {
            Stage::Closed { at, closing } => {
                let healing = clock.certainly_after(*at, desk.now);
                closing.outcome == End::Healed
                    && alert.starts_at.is_some_and(|began| healing.holds(began))
            }
            Stage::Settling { .. }
            | Stage::Ready
            | Stage::Asking { .. }
            | Stage::Held { .. }
            | Stage::BackingOff { .. }
            | Stage::AwaitingApproval(_)
            | Stage::Acting
            | Stage::Verifying(_) => false,
        })
}

/// Ends the episode that was healed, releases what it alone has latched, and begins another.
fn supersede(desk: &mut Desk<'_>, episode: EpisodeId, alert: &Alert) {
    desk.note(What::EpisodeEnded { episode, ending: Ending::Superseded });
    let state = desk.state;
    let mut released = BTreeSet::new();
    for incident in state.incidents_of(episode) {
        let fires = |a: &Attached| a.standing == Standing::Firing && a.episode != episode;
        if !incident.episodes.iter().any(fires) {
            closing::release(desk, incident);
            released.insert(incident.id);
        }
    }
    begin(desk, alert, &released);
}

/// A repeat is what the guard `fresh` waits for, after a restart for instance. Where its
/// Alertmanager is asked, it is asked at most once in a while.
fn wake_those_that_wait_for_it(desk: &mut Desk<'_>, episode: EpisodeId, observation: &Observation) {
    let asked = desk.book.witnesses.alertmanagers.contains(&observation.alert.source);
    let patience = if asked { limits::LOOK_ON_MENTION } else { Span::ZERO };
    let state = desk.state;
    for incident in state.incidents_of(episode) {
        let Stage::Held { holds, judged_at, .. } = &incident.stage else { continue };
        let doubted = holds.iter().any(|h| matches!(h.guard(), Guard::Fresh | Guard::Silence));
        if doubted && desk.now.since(*judged_at) >= patience {
            desk.decision.woken.push(incident.id);
        }
    }
}

/// Takes an observation that looked stale, if a witness says that it fires now.
pub(super) fn vouched(desk: &mut Desk<'_>, observation: &Observation, evidence: &Evidence) {
    let alert = &observation.alert;
    let key = alert.key();
    let listed = matches!(evidence.listing(alert), Some(Ok(listing)) if listing.alert.is_some());
    let by_rule = matches!(evidence.rule(alert), Some(Ok(Some(report))) if report.firing > 0);
    let remark = if desk.state.firing(&key).is_some() {
        Remark::Repeated
    } else if listed || by_rule {
        begin(desk, &observation.alert, &BTreeSet::new());
        Remark::Began
    } else {
        Remark::Stale
    };
    note_watchdogs(desk, &alert.labels, remark);
    desk.decision.remark = Some(remark);
}

/// Ends an episode that its source stopped mentioning.
pub(super) fn lapse(desk: &mut Desk<'_>, episode: EpisodeId) {
    if desk.state.is_firing(episode) {
        desk.note(What::EpisodeEnded { episode, ending: Ending::Lapsed });
    }
}

/// Ends an episode that those who should know do not know any more.
pub(super) fn miss(desk: &mut Desk<'_>, episode: EpisodeId, since: Timestamp) {
    if desk.state.is_firing(episode) {
        desk.note(What::EpisodeEnded { episode, ending: Ending::Absent { since } });
        signal_actions(desk, episode);
    }
}

fn begin(desk: &mut Desk<'_>, alert: &Alert, released: &BTreeSet<IncidentId>) {
    let episode = desk.state.next_episode();
    let taking = desk.book.taking(&alert.labels);
    let lapse = taking.iter().map(|policy| policy.lapse).max().unwrap_or(defaults::LAPSE);
    desk.note(What::EpisodeBegan { episode, alert: alert.clone(), lapse });
    open_incidents(desk, episode, alert, &mut BTreeMap::new(), released);
}

/// Gives an episode to the policies that take its alert: each opens an incident for its target, or
/// attaches the episode to the one that is open or latched.
///
/// `opened` and `released` are the incidents that this very decision has opened or released before.
pub(super) fn open_incidents(
    desk: &mut Desk<'_>,
    episode: EpisodeId,
    alert: &Alert,
    opened: &mut BTreeMap<Subject, IncidentId>,
    released: &BTreeSet<IncidentId>,
) {
    for policy in desk.book.taking(&alert.labels) {
        let picked = policy.target.pick(&alert.labels);
        let target = picked.clone().unwrap_or_else(|_| policy.target.present(&alert.labels));
        let subject = (policy.name.clone(), target);
        let known = desk.state.incident_of(&subject).filter(|i| !released.contains(&i.id));
        if known.is_some_and(|i| i.episodes.iter().any(|attached| attached.episode == episode)) {
            continue;
        }
        let existing = known.map(|incident| incident.id).or_else(|| opened.get(&subject).copied());
        if let Some(incident) = existing {
            desk.note(What::EpisodeAttached { incident, episode });
            continue;
        }
        let incident = nth_incident(desk.state, opened.len() as u64);
        open(desk, incident, policy, &subject, episode);
        opened.insert(subject.clone(), incident);
        if let Err(missing) = picked {
            let names: Vec<&str> = missing.iter().map(|name| &**name).collect();
            let reason = format!("the alert has no target label {}", names.join(", "));
            closing::hand_over_unopened(desk, incident, policy, &subject.1, alert, reason);
        }
    }
}

/// Where a new incident begins, by how the last one of its subject went.
pub(super) struct Prospect {
    /// Of which incident it is a relapse.
    pub(super) relapse_of: Option<IncidentId>,
    /// How far up the ladder that one got.
    pub(super) ladder: Ladder,
    /// Healings in a row before it that did not hold.
    pub(super) unheld: u32,
}

/// Tells where an incident would begin for what fires now. The same trouble soon after it was
/// healed is a relapse.
pub(super) fn prospect(
    state: &State,
    policy: &Policy,
    subject: &Subject,
    now: Timestamp,
) -> Prospect {
    let recent = state.ledgers().past(subject).filter(|past| {
        past.healed && past.closed_at.is_some_and(|at| now.since(at) <= policy.relapse)
    });
    after(state, subject, recent)
}

fn after(state: &State, subject: &Subject, recent: Option<&Past>) -> Prospect {
    let unheld = match (recent, state.ledgers().past(subject)) {
        (Some(past), _) => past.unheld + 1,
        (None, Some(past)) if !past.healed => past.unheld + 1,
        (None, _) => 0,
    };
    Prospect {
        relapse_of: recent.map(|past| past.incident),
        ladder: recent.map_or_else(Ladder::default, |past| past.ladder.clone()),
        unheld,
    }
}

/// Opens an incident for what fires.
fn open(
    desk: &mut Desk<'_>,
    incident: IncidentId,
    policy: &Policy,
    subject: &Subject,
    episode: EpisodeId,
) {
    let prospect = prospect(desk.state, policy, subject, desk.now);
    begin_incident(desk, incident, policy, subject, episode, prospect);
}

/// Opens an incident because an operator wants it tried again, from the first remedy.
pub(super) fn open_again(
    desk: &mut Desk<'_>,
    incident: IncidentId,
    policy: &Policy,
    subject: &Subject,
    episode: EpisodeId,
) {
    let prospect = after(desk.state, subject, None);
    begin_incident(desk, incident, policy, subject, episode, prospect);
}

fn begin_incident(
    desk: &mut Desk<'_>,
    incident: IncidentId,
    policy: &Policy,
    subject: &Subject,
    episode: EpisodeId,
    prospect: Prospect,
) {
    let now = desk.now;
    let tell_at = match &policy.escalate {
        Escalate::After { after, .. } if policy.mode.may_act() => Some(now + *after),
        Escalate::After { .. } | Escalate::Nobody => None,
    };
    let settles_at = (!policy.settle.is_zero()).then(|| now + policy.settle);
    desk.note(What::IncidentOpened {
        incident,
        policy: subject.0.clone(),
        target: subject.1.clone(),
        episode,
        relapse_of: prospect.relapse_of,
        ladder: prospect.ladder,
        unheld: prospect.unheld,
        settles_at,
        tell_at,
    });
}
