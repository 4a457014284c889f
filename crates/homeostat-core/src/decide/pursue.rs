//! The next step of an incident that waits: which remedy, which evidence, and whether it may.

use super::reasons::Held;
use super::{
    Desk, Presences, alerts, approve, asked_alerts, asked_episodes, closing, firing, presence_of,
    prove, reasons, storm, undo,
};
use crate::alert::{Alert, Presence};
use crate::approval::{Asked, Consent, Digest};
use crate::event::{About, Effect, Question, Run};
use crate::evidence::{Ask, Evidence};
use crate::fact::What;
use crate::guard::{self, Bench, Deed, Judgement, Permit};
use crate::healing;
use crate::hold::{Gate, Hold};
use crate::incident::{Cause, Incident, Running, Stage};
use crate::limits;
use crate::name::{BootId, Part};
use crate::order::{Draft, Order, Outcome, Proof, Result as Taken, Undo};
use crate::plan::{self, Ladder, LockKey, Rendered, Step};
use crate::policy::{Mode, Policy, Remedy};
use crate::regression;
use crate::state::State;
use crate::template::{Place, TemplateError, Values};
use crate::time::Timestamp;
use crate::why::Why;
use crate::witness::Case;

/// A remedy made concrete for one incident.
struct Concrete<'a> {
    policy: &'a Policy,
    remedy: &'a Remedy,
    action: Rendered,
    undo: Option<Undo>,
    locks: Vec<LockKey>,
    query: Option<String>,
    ladder: Ladder,
}

impl Concrete<'_> {
    /// What there was to choose from, and what was known.
    fn why(&self, desk: &Desk<'_>, incident: &Incident, evidence: &Evidence) -> Why {
        reasons::of(desk, incident, self.policy, &self.remedy.name, evidence)
    }
}

/// Takes the next step: closes, asks, holds, or issues.
pub(super) fn pursue(
    desk: &mut Desk<'_>,
    incident: &Incident,
    presence: &Presences,
    evidence: Option<&Evidence>,
) {
    if let Some(worse) = incident.seeks.worse() {
        return undo::pursue(desk, incident, worse, evidence);
    }
    let book = desk.book;
    let Some(policy) = book.policy(&incident.policy) else {
        return closing::cancel_without_policy(desk, incident);
    };
    if let Some(word) = incident.seeks.cancelled() {
        let reason = format!("cancelled by {word}");
        return closing::dismiss(desk, incident, Cause::Cancelled, reason);
    }
    if incident.all_ended() {
        return after_all_ended(desk, incident);
    }
    if let Some(approved) = incident.approved.as_ref().filter(|a| a.has_expired(desk.now)) {
        return approve::expire_unused(desk, incident, approved);
    }
    let remedy = match next_step(policy, incident) {
        Step::Try(remedy) => remedy,
        Step::Exhausted => return closing::exhaust(desk, incident, policy),
        Step::Gone(remedy) => {
            let reason =
                format!("remedy {remedy}, the last that was tried, is gone from the policy");
            return closing::hand_over(desk, incident, policy, Cause::RemedyGone, reason);
        }
    };
    match concrete(desk, incident, policy, remedy) {
        Ok(concrete) => weigh(desk, incident, &concrete, presence, evidence),
        Err(error) => {
            let reason = format!("remedy {} cannot be run for this alert: {error}", remedy.name);
            closing::hand_over(desk, incident, policy, Cause::Refused, reason);
        }
    }
}

/// The rung that is being tried, until it is done with; else the next.
pub(super) fn next_step<'a>(policy: &'a Policy, incident: &Incident) -> Step<'a> {
    match &incident.order {
        Some(order) if incident.seeks.is_rung_of_last_order() => {
            plan::again(policy, &order.id.remedy)
        }
        Some(_) | None => plan::next(policy, &incident.ladder),
    }
}

/// What ended by itself has recovered; what ended after an order is still to be proven.
pub(super) fn after_all_ended(desk: &mut Desk<'_>, incident: &Incident) {
    approve::withdraw(desk, incident);
    match &incident.order {
        Some(order) if incident.has_acted() => {
            prove::begin(desk, incident, &order.proof, desk.now);
        }
        Some(_) | None => closing::recover(desk, incident),
    }
}

fn concrete<'a>(
    desk: &Desk<'_>,
    incident: &Incident,
    policy: &'a Policy,
    remedy: &'a Remedy,
) -> Result<Concrete<'a>, TemplateError> {
    let leading = firing(desk.state, incident).next().map(|(_, alert)| alert);
    let values = values(incident, remedy, leading);
    let query = policy.verify.query.as_ref();
    Ok(Concrete {
        policy,
        remedy,
        action: plan::render(remedy, &values)?,
        undo: undo::prepare(policy, remedy, &values)?,
        locks: plan::locks(policy, &incident.target, &values)?,
        query: query.map(|query| query.render(Place::Promql, &values)).transpose()?,
        ladder: incident.ladder.clone(),
    })
}

/// Tells how far the next remedy is trusted and what it would do, if it can be done.
pub(super) fn next_deed(desk: &Desk<'_>, incident: &Incident) -> Option<(Mode, Digest)> {
    let policy = desk.book.policy(&incident.policy)?;
    let Step::Try(remedy) = plan::next(policy, &incident.ladder) else { return None };
    let concrete = concrete(desk, incident, policy, remedy).ok()?;
    Some((remedy.mode, Digest::of(&incident.next_order(&remedy.name), &concrete.action)))
}

fn values(incident: &Incident, remedy: &Remedy, leading: Option<&Alert>) -> Values {
    Values {
        labels: leading.map(|alert| alert.labels.clone()).unwrap_or_default(),
        annotations: leading.map(|alert| alert.annotations.clone()).unwrap_or_default(),
        incident: incident.id.0,
        policy: incident.policy.to_string(),
        remedy: remedy.name.to_string(),
        attempt: incident.next_order(&remedy.name).attempt,
        key: key(incident, remedy),
    }
}

/// Tells the deed from any other, also from one of an earlier journal that counted from 1 too. All
/// retries share it: whoever gets it twice is asked to do the same thing once.
fn key(incident: &Incident, remedy: &Remedy) -> String {
    format!("{}.{}.{}", incident.id, remedy.name, incident.opened_at.micros())
}

/// Lets the guards judge: first by the ledgers alone, then by evidence.
fn weigh(
    desk: &mut Desk<'_>,
    incident: &Incident,
    concrete: &Concrete<'_>,
    presence: &Presences,
    evidence: Option<&Evidence>,
) {
    let (state, book) = (desk.state, desk.book);
    let deed = Deed {
        incident: incident.id,
        policy: concrete.policy,
        remedy: concrete.remedy,
        target: &incident.target,
        ladder: &concrete.ladder,
        continues: incident.order.is_some(),
        returned: incident.is_returned(),
        unheld: incident.unheld,
        locks: &concrete.locks,
        consent: consent(incident, concrete),
        behind: state.goes_first(&concrete.policy.name, incident.id),
        firing: firing(state, incident)
            .filter_map(|(id, alert)| {
                let began_at = state.episode(id)?.began_at;
                Some((alert, presence_of(presence, id, began_at)))
            })
            .take(limits::ASKED_ALERTS)
            .collect(),
        watchdog: watchdog(state, concrete.policy, presence),
        now: desk.now,
        wall: desk.wall(),
    };
    let bench = Bench { ledgers: state.ledgers(), book };
    let by_ledgers = guard::judge_ledgers(&deed, bench);
    if concrete.remedy.mode == Mode::Shadow {
        return shadow(desk, incident, concrete, by_ledgers);
    }
    if !matches!(by_ledgers, Judgement::Permitted(_)) {
        return conclude(desk, incident, concrete, &Evidence::none(desk.now), by_ledgers);
    }
    let asks = questions(desk, incident, concrete, &deed);
    let evidence = match evidence {
        _ if asks.is_empty() => Evidence::none(desk.now),
        Some(evidence) if desk.now.since(evidence.gathered_at) <= limits::EVIDENCE_AGE => {
            evidence.clone()
        }
        Some(evidence) => {
            let age = desk.now.since(evidence.gathered_at);
            let why = format!("evidence was {age} old when it came: witnesses are too slow");
            let holds = vec![Hold::NotFresh { why }];
            let held = Judgement::Held { holds, cleared: Vec::new() };
            return conclude(desk, incident, concrete, evidence, held);
        }
        None => return ask(desk, incident, asks),
    };
    storm::watch(desk, incident, &deed, bench, &evidence);
    let judgement = guard::judge(&deed, bench, &evidence);
    storm::tell_inventory(desk, incident, judgement.holds());
    conclude(desk, incident, concrete, &evidence, judgement);
}

/// Records what would be done, and what would hold it.
fn shadow(
    desk: &mut Desk<'_>,
    incident: &Incident,
    concrete: &Concrete<'_>,
    by_ledgers: Judgement,
) {
    let (holds, grants) = match by_ledgers {
        Judgement::Held { holds, cleared } => (holds, cleared),
        Judgement::Permitted(permit) => (Vec::new(), permit.spend().0),
        Judgement::Unapproved(grants) => (Vec::new(), grants),
        Judgement::Stopped(_) => (Vec::new(), Vec::new()),
    };
    let why = concrete.why(desk, incident, &Evidence::none(desk.now)).boxed();
    desk.note(What::RemedyShadowed {
        incident: incident.id,
        remedy: concrete.remedy.name.clone(),
        action: concrete.action.clone(),
        holds,
        grants,
        why,
        window: Some(concrete.remedy.timeout.saturating_add(concrete.policy.verify.within)),
    });
}

/// When the policy's watchdog was last mentioned, of several the one that was mentioned last.
pub(super) fn watchdog(state: &State, policy: &Policy, presences: &Presences) -> Option<Presence> {
    let watchdog = policy.guard.watchdog.as_ref()?;
    let seen = presences.iter().filter(|(id, _)| {
        let fires = state.episode(*id).filter(|_| state.is_firing(*id));
        fires.is_some_and(|episode| watchdog.matchers.matches(&episode.alert.labels))
    });
    seen.map(|(_, presence)| *presence).max_by_key(|seen| (seen.known, seen.seen_at))
}

/// Whether a person must agree. The hash is computed only where one must.
fn consent<'a>(incident: &'a Incident, concrete: &Concrete<'_>) -> Consent<'a> {
    match concrete.remedy.mode {
        Mode::Shadow | Mode::Auto => Consent::NotNeeded,
        Mode::Approve => Consent::Needed {
            digest: Digest::of(&incident.next_order(&concrete.remedy.name), &concrete.action),
            approved: incident.approved.as_deref(),
        },
    }
}

fn questions(
    desk: &Desk<'_>,
    incident: &Incident,
    concrete: &Concrete<'_>,
    deed: &Deed<'_>,
) -> Vec<Ask> {
    let mut asks = guard::questions(deed, desk.book);
    let alerts = asked_alerts(desk.state, incident);
    for ask in healing::questions_before(concrete.policy, alerts, &desk.book.witnesses) {
        if !asks.contains(&ask) {
            asks.push(ask);
        }
    }
    asks
}

pub(super) fn ask(desk: &mut Desk<'_>, incident: &Incident, asks: Vec<Ask>) {
    let step = incident.step + 1;
    desk.note(What::EvidenceAsked { incident: incident.id, step });
    desk.want(Effect::Ask(Question { about: About::Incident(incident.id, step), asks }));
}

fn conclude(
    desk: &mut Desk<'_>,
    incident: &Incident,
    concrete: &Concrete<'_>,
    evidence: &Evidence,
    judgement: Judgement,
) {
    match judgement {
        Judgement::Held { holds, cleared } => {
            let until = look_again(desk, incident, &holds);
            let remedy = concrete.remedy.name.clone();
            let held = Held { remedy, part: Part::Heal, holds, cleared, until };
            reasons::hold(desk, incident, held, evidence, Some(concrete.policy));
        }
        Judgement::Stopped(stop) => {
            let reason = stop.to_string();
            closing::hand_over(desk, incident, concrete.policy, Cause::Stopped, reason);
        }
        Judgement::Unapproved(grants) => {
            let (order, action) =
                (incident.next_order(&concrete.remedy.name), concrete.action.clone());
            let digest = Digest::of(&order, &action);
            let expires_at = desk.now + concrete.remedy.approval_expires;
            let asked = Asked { order, action, digest, expires_at };
            let why = concrete.why(desk, incident, evidence);
            approve::ask(desk, incident, concrete.policy, &asked, grants, why);
        }
        Judgement::Permitted(permit) => {
            let proof = proof(desk, incident, concrete, evidence);
            let why = concrete.why(desk, incident, evidence);
            issue(desk, incident, concrete, proof, why, permit);
        }
    }
}

/// Sets what will prove the healing, by who is seen to see the alerts fire.
fn proof(
    desk: &Desk<'_>,
    incident: &Incident,
    concrete: &Concrete<'_>,
    evidence: &Evidence,
) -> Proof {
    let (policy, witnesses) = (concrete.policy, &desk.book.witnesses);
    let leading = firing(desk.state, incident).next().map(|(_, alert)| &alert.labels);
    let query = concrete.query.clone().map(|query| (query, witnesses.asked(policy, leading)));
    let baseline = policy.regression.as_ref().and_then(|regression| {
        // The guard has seen that there is one.
        regression::baseline(policy, regression, &incident.target, witnesses, evidence).ok()
    });
    let cases = asked_episodes(desk.state, incident)
        .map(|(episode, alert)| Case::open(episode, alert, evidence));
    healing::proof(policy, query, baseline, cases.collect())
}

fn issue(
    desk: &mut Desk<'_>,
    incident: &Incident,
    concrete: &Concrete<'_>,
    proof: Proof,
    why: Why,
    permit: Permit,
) {
    let draft = Draft {
        id: incident.next_order(&concrete.remedy.name),
        action: concrete.action.clone(),
        timeout: concrete.remedy.timeout,
        idempotent: concrete.remedy.idempotent,
        proof,
        undo: concrete.undo.clone(),
        locks: concrete.locks.clone(),
        why,
        boot: boot(desk),
        shared: concrete.policy.guard.breaker.as_ref().and_then(|breaker| breaker.shared.clone()),
    };
    send(desk, incident, Order::issue(draft, permit));
}

pub(super) fn boot(desk: &Desk<'_>) -> BootId {
    desk.state.boot().cloned().unwrap_or_else(|| BootId::new(""))
}

/// Writes an order down and wants it to be run.
pub(super) fn send(desk: &mut Desk<'_>, incident: &Incident, order: Order) {
    let alerts =
        alerts(desk.state, incident).into_iter().map(|(a, end)| (a.clone(), end)).collect();
    let policy = incident.policy.clone();
    let run = Run { order: order.clone(), policy, alerts, decided_at: desk.now };
    desk.note(if incident.is_returned() {
        What::OrderReissued { order }
    } else {
        What::OrderIssued { order }
    });
    desk.want(Effect::Run(Box::new(run)));
}

/// When a hold is judged again. A gate wakes the oldest who wait for it; the others look by
/// themselves, in case those that were woken did not use it.
///
/// There may be room for a few at a moment for which a thousand wait: those far behind leave it to
/// the oldest, and follow when these have moved.
pub(super) fn look_again(
    desk: &Desk<'_>,
    incident: &Incident,
    holds: &[Hold],
) -> Option<Timestamp> {
    let by_itself = desk.now + incident.look_again_after();
    if let Some(known) = holds.iter().filter_map(Hold::until).max() {
        let behind = |gate: &Gate| match gate {
            Gate::Radius(_) | Gate::Calm(_) => desk.state.is_far_behind(gate, incident.id),
            Gate::Resume
            | Gate::Lock(_)
            | Gate::Running(_)
            | Gate::Watchdog(_)
            | Gate::Circuit(_) => false,
        };
        let behind = holds.iter().filter_map(Hold::gate).any(|gate| behind(&gate));
        return Some(if behind { by_itself.max(known + limits::GATE_PATIENCE) } else { known });
    }
    if holds.iter().any(|hold| hold.gate().is_none() || hold.changes_by_itself()) {
        return Some(by_itself);
    }
    let all_are_woken = holds.iter().filter_map(Hold::gate).all(|gate| gate.is_for_all());
    (!all_are_woken).then(|| desk.now + limits::GATE_PATIENCE)
}

/// Holds an incident whose question nobody answered in time.
pub(super) fn no_answer(desk: &mut Desk<'_>, incident: &Incident) {
    if let Some(worse) = incident.seeks.worse() {
        return undo::no_answer(desk, incident, worse);
    }
    let policy = desk.book.policy(&incident.policy);
    let step = policy.map_or(Step::Exhausted, |policy| next_step(policy, incident));
    let Step::Try(remedy) = step else {
        return pursue(desk, incident, &[], None);
    };
    let why = format!("nobody answered within {}", limits::ANSWER_PATIENCE);
    let holds = vec![Hold::NotFresh { why }];
    let until = look_again(desk, incident, &holds);
    let remedy = remedy.name.clone();
    let held = Held { remedy, part: Part::Heal, holds, cleared: Vec::new(), until };
    reasons::hold(desk, incident, held, &Evidence::none(desk.now), policy);
}

/// What follows a run: proof, a retry, or the next remedy. A retry is for a known failure only;
/// a time-out or an unknown outcome is verified, because the action may have had its effect.
pub(super) fn after_order(
    desk: &mut Desk<'_>,
    incident: &Incident,
    outcome: &Outcome,
    after_crash: bool,
) {
    let (Some(order), Stage::Acting(Running { since, .. })) = (&incident.order, &incident.stage)
    else {
        return;
    };
    if let Some(worse) = incident.seeks.worse() {
        return undo::after_run(desk, incident, worse, outcome, after_crash);
    }
    let book = desk.book;
    let policy = book.policy(&incident.policy);
    let remedy = policy.and_then(|policy| policy.remedy(&order.id.remedy));
    let may_still_run =
        outcome.result() == Taken::Uncertain && after_crash && order.action.outlives_the_engine();
    if let Some(word) = incident.seeks.cancelled().filter(|_| !may_still_run) {
        let reason = format!("cancelled by {word}; remedy {} {outcome}", order.id.remedy);
        return closing::dismiss(desk, incident, Cause::Cancelled, reason);
    }
    // Otherwise it would be handed over, or asked about, while it may still run.
    let runs_again = policy.is_some_and(|policy| policy.guard.attempts > incident.ladder.orders)
        && remedy.is_some_and(|remedy| remedy.mode == Mode::Auto)
        && incident.seeks.cancelled().is_none();
    match outcome.result() {
        Taken::Uncertain if after_crash && order.idempotent && runs_again => {
            desk.note(What::RetryScheduled { incident: incident.id, until: desk.now });
        }
        Taken::Uncertain if may_still_run => {
            // It may still run: the window opens when it certainly does not any more.
            let over_at = (*since + order.timeout).max(desk.now);
            prove::begin(desk, incident, &order.proof, over_at);
        }
        Taken::Done | Taken::Uncertain => prove::begin(desk, incident, &order.proof, desk.now),
        Taken::Failed => match remedy {
            Some(remedy) if incident.seeks.failures() < remedy.retries => {
                let until = desk.now + plan::backoff(remedy, incident.seeks.failures() + 1);
                desk.note(What::RetryScheduled { incident: incident.id, until });
            }
            Some(_) | None => desk.note(What::RemedyGivenUp {
                incident: incident.id,
                remedy: order.id.remedy.clone(),
                reason: outcome.to_string(),
            }),
        },
        Taken::Refused => {
            let reason = format!("remedy {} {outcome}", order.id.remedy);
            match policy {
                Some(policy) => {
                    closing::hand_over(desk, incident, policy, Cause::Refused, reason);
                }
                None => closing::cancel_without_policy(desk, incident),
            }
        }
    }
}
