//! What an observation means: a new episode, a repeat, an end, or nothing that counts.

use std::collections::{BTreeMap, BTreeSet};

use super::desk::Desk;
use super::table::{Moment, Step};
use super::{leaving, notices};
use crate::alert::{Alert, Door, Ending, Episode, Observation, Presence, Status};
use crate::errand::Errand;
use crate::event::{About, Effect, Question, Remark};
use crate::evidence::{Ask, Evidence, RuleWord};
use crate::fact::{Held, What};
use crate::hold::Gate;
use crate::incident::{Cause, Closing, End, Incident, Stage, Standing};
use crate::label::LabelSet;
use crate::ledger::{Past, Subject};
use crate::limits::{self, defaults};
use crate::name::{EpisodeId, IncidentId};
use crate::owner::Lookup;
use crate::plan::Ladder;
use crate::policy::{Book, Escalate, Lacks, OnResolve, Picked, Policy, Target, TargetLabels};
use crate::state::State;
use crate::time::{Span, Timestamp};

/// What the engine remembers of an alert outside the state.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Before {
    /// When it was last mentioned, if it fires.
    pub(super) presence: Option<Presence>,
    /// How often in a row it was ignored as a late repeat since it ended.
    pub(super) ignored: u32,
}

pub(super) fn observe(desk: &mut Desk<'_>, observation: Observation, before: &Before) {
    let remark = if observation.alert.is_own() {
        Remark::Own
    } else {
        match observation.says(desk.wall()) {
            Status::Resolved => resolve(desk, &observation, before.presence),
            Status::Firing => {
                let labels = observation.alert.labels.clone();
                let remark = fire(desk, observation, before);
                note_watchdogs(desk, &labels, remark);
                remark
            }
        }
    };
    desk.decision.remark = Some(remark);
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
    let Some(episode) = desk.state.firing(&key) else { return resolve_lapsed(desk, observation) };
    let began = latest_start(desk, episode, presence);
    let outdated = presence.is_some_and(|known| is_outdated(desk, observation, known, began));
    if outdated || ended_earlier(desk, observation.ends_at, began) {
        return Remark::Stale;
    }
    end(desk, episode, observation);
    Remark::Ended
}

/// Since when an alert fires, by the latest that is known. Which one is later was told when it was heard:
/// once the clock has jumped since, it may tell no more which of two stamps is the later one.
fn latest_start(
    desk: &Desk<'_>,
    episode: EpisodeId,
    presence: Option<Presence>,
) -> Option<Timestamp> {
    let written = || desk.state.episode(episode).and_then(Episode::latest_start);
    presence.and_then(|presence| presence.starts_at).or_else(written)
}

/// Tells whether what a source ends is an earlier firing than the one that began then.
fn ended_earlier(desk: &Desk<'_>, ends_at: Option<Timestamp>, began: Option<Timestamp>) -> bool {
    let (Some(began), Some(ends_at)) = (began, ends_at) else { return false };
    ends_at != began && desk.state.clock().is_no_later(ends_at, began, desk.now)
}

/// Tells whether an end is about an earlier firing, and was over before it was last heard that the
/// present one goes on: a message of then that comes late. Only by the alerts API does what was to fire
/// end by its coming late.
fn is_outdated(
    desk: &Desk<'_>,
    observation: &Observation,
    known: Presence,
    began: Option<Timestamp>,
) -> bool {
    let (Some(starts_at), Some(began), Some(ends_at)) =
        (observation.alert.starts_at, began, observation.ends_at)
    else {
        return false;
    };
    let clock = desk.state.clock();
    let earlier = starts_at != began && clock.is_no_later(starts_at, began, desk.now);
    let heard_at = clock.wall(known.seen_at);
    let by_api = observation.alert.door == Door::Api;
    by_api && earlier && known.known && ends_at + limits::CLOCK_TOLERANCE < heard_at
}

/// Ends an episode by the word of its source, which may say why that proves nothing.
fn end(desk: &mut Desk<'_>, episode: EpisodeId, observation: &Observation) {
    if let Some(reason) = observation.unproven.clone() {
        desk.note(What::EpisodeEnded { episode, ending: Ending::Unproven { reason } });
        return;
    }
    let ends_at = observation.ends_at;
    desk.note(What::EpisodeEnded { episode, ending: Ending::Resolved { ends_at } });
    signal_actions(desk, episode);
}

/// A person may have been left with an alert of which nothing was heard any more: now its source says
/// that it is over.
fn resolve_lapsed(desk: &mut Desk<'_>, observation: &Observation) -> Remark {
    let lapsed = desk.state.lapsed(&observation.alert.key());
    let Some(episode) = lapsed.filter(|_| observation.unproven.is_none()) else {
        return Remark::Strange;
    };
    let ends_at = observation.ends_at;
    let began = desk.state.episode(episode).and_then(Episode::latest_start);
    if ended_earlier(desk, ends_at, began) {
        return Remark::Stale;
    }
    desk.note(What::EpisodeEnded { episode, ending: Ending::Resolved { ends_at } });
    Remark::Ended
}

/// Tells actions to end whose policy wants that once all alerts have resolved. This episode was the
/// last that fired. An undo repairs something else, and goes on.
fn signal_actions(desk: &mut Desk<'_>, episode: EpisodeId) {
    let (state, book) = (desk.state, desk.book);
    for incident in state.incidents_of(episode).filter(|i| i.seeks.worse().is_none()) {
        let resolved = !incident.episodes.has_other_unresolved(episode);
        let policy = book.policy(&incident.policy);
        let signals = policy.is_some_and(|policy| policy.on_resolve == OnResolve::Signal);
        let ends = resolved && signals;
        if ends && desk.step(Moment::Resolved, incident) == Step::EndRun {
            desk.end_run(incident, "all alerts have resolved".to_owned());
        }
    }
}

fn fire(desk: &mut Desk<'_>, observation: Observation, before: &Before) -> Remark {
    let alert = &observation.alert;
    let key = alert.key();
    if let Some(episode) = desk.state.firing(&key) {
        return repeat(desk, episode, &observation, before);
    }
    if let Some(lapsed) = desk.state.lapsed(&key) {
        let left = leave_if_begun_anew(desk, lapsed, alert);
        begin(desk, &observation, &left);
        return Remark::Began;
    }
    if !is_stale(desk, alert, before) {
        begin(desk, &observation, &BTreeSet::new());
        return Remark::Began;
    }
    let witnesses = &desk.book.witnesses;
    let ask = if witnesses.alertmanagers.contains(&alert.source) {
        Ask::listed(alert)
    } else if alert.door == Door::Api && !witnesses.prometheuses.is_empty() {
        let by = witnesses.prometheuses.iter().map(|known| known.name.clone()).collect();
        Ask::rule(alert, &TargetLabels::All, by)
    } else {
        return Remark::Stale;
    };
    let about = About::Observation(Box::new(observation));
    desk.want(Effect::Ask(Question { about, asks: vec![ask] }));
    Remark::Doubted
}

/// What fires and is known to: it writes nothing, unless its source says that it began anew.
fn repeat(
    desk: &mut Desk<'_>,
    episode: EpisodeId,
    observation: &Observation,
    before: &Before,
) -> Remark {
    let alert = &observation.alert;
    let clock = desk.state.clock();
    let known = latest_start(desk, episode, before.presence);
    let moved = alert.starts_at.filter(|starts_at| {
        known.is_none_or(|known| !clock.is_no_later(*starts_at, known, desk.now))
    });
    if moved.is_some() && is_new_trouble(desk, episode, alert) {
        supersede(desk, episode, observation);
        return Remark::Began;
    }
    if let (Some(starts_at), Some(_)) = (moved, desk.state.incidents_of(episode).next()) {
        desk.note(What::EpisodeMoved { episode, starts_at });
    }
    wake_those_that_wait_for_it(desk, episode, observation);
    Remark::Repeated
}

/// A late repeat comes soon after the resolve that ended what it repeats, and not time and again.
fn is_stale(desk: &Desk<'_>, alert: &Alert, before: &Before) -> bool {
    let Some((heard_at, ended_at)) = desk.state.last_end(&alert.key()) else { return false };
    let (Some(ended_at), Some(starts_at)) = (ended_at, alert.starts_at) else { return false };
    desk.now.since(heard_at) < limits::STALE_FOR
        && before.ignored < limits::STALE_TIMES
        && desk.state.clock().is_no_later(starts_at, ended_at, desk.now)
}

/// A resolve and a new firing within one `group_interval` send nothing. What fires since a later time
/// than it did, under incidents that are all closed, is a new trouble.
///
/// After a healing it must have begun later than that: what is told of before is told late. So it must
/// where the alerts API tells: two Prometheuses of a pair say different times in turn.
fn is_new_trouble(desk: &Desk<'_>, episode: EpisodeId, alert: &Alert) -> bool {
    let clock = desk.state.clock();
    let mut incidents = desk.state.incidents_of(episode).peekable();
    incidents.peek().is_some()
        && incidents.all(|incident| {
            let Stage::Closed { at, closing } = &incident.stage else { return false };
            let closed = clock.certainly_after(*at, desk.now);
            let late = closing.outcome == End::Healed || alert.door == Door::Api;
            !late || alert.starts_at.is_some_and(|began| closed.holds(began))
        })
}

/// An alert that was lost sight of fires: it goes on, unless it fires since a later time. Returns the
/// incidents that are left behind then: of those, what is still owed to people stays.
fn leave_if_begun_anew(
    desk: &mut Desk<'_>,
    lapsed: EpisodeId,
    alert: &Alert,
) -> BTreeSet<IncidentId> {
    let state = desk.state;
    let anew = is_begun_anew(desk, lapsed, alert);
    let is_left = |incident: &&Incident| incident.is_closed() && incident.all_ended();
    let mut left = BTreeSet::new();
    for incident in state.incidents_of(lapsed).filter(|incident| anew && is_left(incident)) {
        left.insert(incident.id);
        let others = incident.episodes.has_other_unresolved(lapsed);
        // Where no other incident stands for it, people have only this one's notice.
        let nobody = !is_taken(desk.book, incident, alert, &[]);
        let owed = state.is_owed_unheard(incident) && (others || nobody);
        if !owed && !incident.watches_worse() {
            leaving::release(desk, incident);
        }
    }
    left
}

/// Tells whether an alert that was lost sight of fires since a later time than it did.
fn is_begun_anew(desk: &Desk<'_>, lapsed: EpisodeId, alert: &Alert) -> bool {
    let known = desk.state.episode(lapsed).and_then(Episode::latest_start);
    match (alert.starts_at, known) {
        (Some(starts_at), Some(known)) => {
            !desk.state.clock().is_no_later(starts_at, known, desk.now)
        }
        (Some(_) | None, _) => false,
    }
}

/// Tells whether the policy of an incident takes an alert, for the incident's target. While it is not
/// known whose it is, nothing else stands for it, and people keep what they know of it.
pub(super) fn is_taken(book: &Book, incident: &Incident, alert: &Alert, owners: &[Lookup]) -> bool {
    let is_its = |policy: &Policy| match policy.picks(&alert.labels, &alert.annotations, owners) {
        Picked::Target(target) | Picked::Part { target, .. } => target == incident.target,
        Picked::Asks(_) => false,
    };
    let mut taking = book.taking(&alert.labels).into_iter();
    taking.any(|policy| policy.name == incident.policy && is_its(policy))
}

/// Ends the episode that was healed, leaves behind what it alone has latched, and begins another.
fn supersede(desk: &mut Desk<'_>, episode: EpisodeId, observation: &Observation) {
    desk.note(What::EpisodeEnded { episode, ending: Ending::Superseded });
    let state = desk.state;
    let mut left = BTreeSet::new();
    for incident in state.incidents_of(episode) {
        if incident.episodes.has_other(episode, Standing::Firing) {
            continue;
        }
        left.insert(incident.id);
        // Of what else became worse, or was lost sight of, this alert says nothing.
        if !incident.watches_worse() && !state.is_owed_unheard(incident) {
            leaving::release(desk, incident);
        }
    }
    begin(desk, observation, &left);
}

/// A repeat is what the guard `fresh` waits for, after a restart for instance. Where its
/// Alertmanager is asked, it is asked at most once in a while.
fn wake_those_that_wait_for_it(desk: &mut Desk<'_>, episode: EpisodeId, observation: &Observation) {
    let asked = desk.book.witnesses.alertmanagers.contains(&observation.alert.source);
    let patience = if asked { limits::LOOK_ON_MENTION } else { Span::ZERO };
    let state = desk.state;
    for incident in state.incidents_of(episode) {
        let Stage::Held { judged_at, .. } = incident.stage else { continue };
        if incident.is_doubted() && desk.now.since(judged_at) >= patience {
            desk.decision.woken.push(incident.id);
        }
    }
}

/// Takes an observation that looked stale, if a witness says that it fires now.
pub(super) fn vouched(desk: &mut Desk<'_>, observation: &Observation, evidence: &Evidence) {
    let alert = &observation.alert;
    let key = alert.key();
    let listed = matches!(evidence.listing(alert), Some(Ok(listing)) if listing.alert.is_some());
    let by_rule = evidence.words(alert).iter().any(RuleWord::fires);
    let remark = if desk.state.firing(&key).is_some() {
        Remark::Repeated
    } else if listed || by_rule {
        begin(desk, observation, &BTreeSet::new());
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

fn begin(desk: &mut Desk<'_>, observation: &Observation, left: &BTreeSet<IncidentId>) {
    let Observation { alert, by, .. } = observation;
    let episode = desk.state.next_episode();
    let taking = desk.book.taking(&alert.labels);
    let lapse = taking.iter().map(|policy| policy.lapse).max().unwrap_or(defaults::LAPSE);
    let by = by.clone();
    desk.note(What::EpisodeBegan { episode, alert: alert.clone(), lapse, by });
    open_incidents(desk, episode, (alert, &[]), &mut BTreeMap::new(), left);
}

/// Gives an episode to the policies that take its alert: each opens an incident for its target, or
/// attaches the episode to the one that is open or latched. One that must know first whose it is what
/// the alert is about has that asked.
///
/// `opened` has the incidents that this very decision has opened or added to before, and `left` those
/// that it has left behind.
pub(super) fn open_incidents(
    desk: &mut Desk<'_>,
    episode: EpisodeId,
    (alert, owners): (&Alert, &[Lookup]),
    opened: &mut BTreeMap<Subject, IncidentId>,
    left: &BTreeSet<IncidentId>,
) {
    let mut asked: Vec<Box<Errand>> = Vec::new();
    for policy in desk.book.taking(&alert.labels) {
        let (target, lacks) = match policy.picks(&alert.labels, &alert.annotations, owners) {
            Picked::Target(target) => (target, None),
            Picked::Part { target, lacks } => (target, Some(lacks)),
            Picked::Asks(of) => {
                let is_asked = owners.iter().any(|known| known.of == *of) || asked.contains(&of);
                if !is_asked {
                    desk.note(What::OwnerSought { episode, of: (*of).clone() });
                    asked.push(of);
                }
                continue;
            }
        };
        let subject = (policy.name.clone(), target);
        let mut own = desk.state.incidents_of(episode).filter(|i| !left.contains(&i.id));
        if own.any(|incident| incident.policy == subject.0 && incident.target == subject.1) {
            continue;
        }
        let known = desk.state.incident_of(&subject).filter(|i| !left.contains(&i.id));
        let known = known.filter(|incident| takes(desk, incident, alert));
        let existing = opened.get(&subject).copied().or(known.map(|incident| incident.id));
        if let Some(incident) = existing {
            desk.note(What::EpisodeAttached { incident, episode });
            opened.insert(subject, incident);
            continue;
        }
        let next = desk.state.next_incident();
        let new = opened.values().filter(|incident| **incident >= next).count();
        let incident = desk.nth_incident(new as u64);
        open(desk, incident, policy, &subject, episode);
        opened.insert(subject.clone(), incident);
        if let Some(lacks) = lacks {
            hand_over_unopened(desk, incident, policy, (&subject.1, alert), &lacks);
        }
    }
}

/// Hands over an incident that this very decision has opened.
fn hand_over_unopened(
    desk: &mut Desk<'_>,
    incident: IncidentId,
    policy: &Policy,
    about: (&Target, &Alert),
    lacks: &Lacks,
) {
    let reason = lacks.to_string();
    let cause = match lacks {
        Lacks::Labels(_) => Cause::NoTarget,
        Lacks::Owner(_) => Cause::NoOwner,
    };
    if policy.mode.may_act()
        && let Some(notice) =
            notices::unopened(desk.view(), incident, policy, about, reason.clone())
    {
        desk.raise(notice);
    }
    let closing = Closing::unhealed(cause, reason.into());
    desk.note(What::IncidentClosed { incident, closing, tell_at: None });
}

/// Tells whether an incident takes a further alert. One that is healed does not: this alert had no part
/// in the proof. Nor does one whose alerts have all ended and that only a person still looks after,
/// unless this is the alert of which nothing was heard any more, and it goes on.
fn takes(desk: &Desk<'_>, incident: &Incident, alert: &Alert) -> bool {
    let Some(closing) = incident.stage.closing() else { return true };
    if closing.outcome == End::Healed {
        return false;
    }
    let goes_on = |id| incident.episodes.has(id) && !is_begun_anew(desk, id, alert);
    !incident.all_ended() || desk.state.lapsed(&alert.key()).is_some_and(goes_on)
}

/// Where a new incident begins, by how the last one of its subject went.
pub(super) struct Prospect {
    /// Of which incident it is a relapse.
    pub(super) relapse_of: Option<IncidentId>,
    /// How long that healing held, where it came back.
    pub(super) held: Option<Held>,
    /// How far up the ladder that one got.
    pub(super) ladder: Ladder,
    /// Healings in a row before it that did not hold.
    pub(super) unheld: u32,
}

/// Opens the relapse of an incident that was healed by the word of a query, and whose rule fires on
/// past its memory: of the same alerts. If a later incident takes them, they join it.
pub(super) fn open_relapse(desk: &mut Desk<'_>, healed: &Incident) {
    let (state, policy) = (desk.state, desk.policy(healed));
    let (Some(policy), Some(healing)) = (policy, healed.stage.closing()) else { return };
    let subject = healed.subject();
    let firing: Vec<EpisodeId> = healed.episodes.firing().collect();
    let later = state.incident_of(&subject).filter(|later| {
        let alerts = firing.iter().filter_map(|id| state.episode(*id));
        alerts.map(|episode| &episode.alert).any(|alert| takes(desk, later, alert))
    });
    let has = |id: &EpisodeId| later.is_some_and(|i| i.episodes.has(*id));
    let mut joining = firing.iter().copied().filter(|id| !has(id)).peekable();
    let Some(first) = joining.peek().copied() else { return };
    leaving::release(desk, healed);
    let incident = if let Some(later) = later {
        later.id
    } else {
        let prospect = Prospect {
            relapse_of: Some(healed.id),
            held: None,
            ladder: healed.ladder_after(healing),
            unheld: healed.unheld + 1,
        };
        let incident = desk.nth_incident(0);
        begin_incident(desk, incident, policy, &subject, first, prospect);
        joining.next();
        incident
    };
    for episode in joining {
        desk.note(What::EpisodeAttached { incident, episode });
    }
}

/// Tells where an incident would begin for what fires now. The same trouble soon after it was
/// healed is a relapse.
pub(super) fn prospect(
    state: &State,
    policy: &Policy,
    subject: &Subject,
    now: Timestamp,
) -> Prospect {
    let held = |past: &Past| {
        let lasted = past.closed_at.map(|at| now.since(at)).filter(|_| past.healed)?;
        // As it is written down.
        let whole = Span::from_millis(lasted.as_millis());
        (lasted <= policy.relapse).then_some(Held { lasted: whole, within: policy.relapse })
    };
    let recent = state.ledgers().past(subject);
    let recent = recent.and_then(|past| held(past).map(|held| (past, held)));
    after(state, subject, recent)
}

fn after(state: &State, subject: &Subject, recent: Option<(&Past, Held)>) -> Prospect {
    let (recent, held) = recent.unzip();
    let unheld = match (recent, state.ledgers().past(subject)) {
        (Some(past), _) => past.unheld + 1,
        (None, Some(past)) if !past.healed => past.unheld + 1,
        (None, _) => 0,
    };
    Prospect {
        relapse_of: recent.map(|past| past.incident),
        held,
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
        held: prospect.held,
        ladder: prospect.ladder,
        unheld: prospect.unheld,
        settles_at,
        tell_at,
    });
}
