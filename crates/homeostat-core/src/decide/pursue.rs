//! The next step of an incident that waits: which remedy, which evidence, and whether it may.

use super::hold;
use super::next::{Ending, Next, Recorded};
use super::view::{Presences, View, presence_of};
use super::{approve, prove, undo};
use crate::alert::Presence;
use crate::approval::{Asked, Consent, Digest};
use crate::collect::{self, Collector, Looks, Moment};
use crate::evidence::{Ask, Evidence, Rehearsal};
use crate::guard::{self, Bench, Deed, Judgement, Permit};
use crate::healing;
use crate::hold::Hold;
use crate::incident::{Cause, Incident};
use crate::limits;
use crate::order::{Order, Proof, Undo};
use crate::plan::{self, LockKey, Rendered, Step};
use crate::policy::{Managed, Mode, Policy, Remedy, Target};
use crate::regression;
use crate::template::{Place, TemplateError, Values};
use crate::why::Why;
use crate::witness::Case;

/// A remedy made concrete for one incident.
struct Concrete<'a> {
    policy: &'a Policy,
    remedy: &'a Remedy,
    values: Values,
    action: Rendered,
    undo: Option<Undo>,
    locks: Vec<LockKey>,
    query: Option<String>,
}

impl Concrete<'_> {
    /// Tells deeds of this kind from any other: what is done, but for the key that each has of its own.
    fn kind(&self, values: &Values, target: &Target) -> Option<Digest> {
        let values = Values { key: String::new(), ..values.clone() };
        let action = plan::render(self.remedy, &values).ok()?;
        let told = self.remedy.action.is_told_the_alert().then_some(&values.labels);
        Some(Digest::of_kind(&self.policy.name, self.remedy, target, &action, told))
    }

    /// Tells whether somebody else manages what would be changed, and a person is to be asked for that.
    fn is_to_be_asked(&self, evidence: Option<&Evidence>) -> bool {
        let Rendered::Errand(errand) = &self.action else { return false };
        let says = evidence.and_then(|evidence| evidence.rehearsal(errand));
        let is_managed = matches!(says, Some(Ok(Rehearsal::Accepted { managed_by: Some(_) })));
        is_managed && self.policy.guard.managed == Managed::Ask
    }

    /// What there was to choose from, and what was known.
    fn why(&self, view: View<'_>, incident: &Incident, evidence: &Evidence) -> Why {
        hold::why(view, incident, self.policy, &self.remedy.name, evidence)
    }
}

/// Takes the next step: closes, asks, holds, or issues.
pub(super) fn pursue(
    view: View<'_>,
    incident: &Incident,
    presence: &Presences,
    evidence: Option<&Evidence>,
) -> Vec<Next> {
    let Some(policy) = view.policy(incident) else { return vec![Next::Close(Ending::Orphaned)] };
    if let Some(word) = incident.seeks.cancelled() {
        let reason = format!("cancelled by {word}");
        return vec![Next::Close(Ending::Dismissed(Cause::Cancelled, reason))];
    }
    if incident.all_ended() {
        return after_all_ended(view, incident);
    }
    if let Some(approved) = incident.approved.as_ref().filter(|a| a.has_expired(view.now)) {
        return approve::expire_unused(policy, incident, approved);
    }
    let remedy = match next_step(policy, incident) {
        Step::Try(remedy) => remedy,
        Step::Exhausted => return vec![Next::Close(exhausted(incident, policy))],
        Step::Gone(remedy) => {
            let reason =
                format!("remedy {remedy}, the last that was tried, is gone from the policy");
            return vec![Next::Close(Ending::HandedOver(Cause::RemedyGone, reason))];
        }
    };
    match concrete(view, incident, policy, remedy) {
        Ok(concrete) => weigh(view, incident, &concrete, presence, evidence),
        Err(error) => {
            let reason = format!("remedy {} cannot be run for this alert: {error}", remedy.name);
            vec![Next::Close(Ending::HandedOver(Cause::Refused, reason))]
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

/// How an incident ends whose ladder has no further rung.
fn exhausted(incident: &Incident, policy: &Policy) -> Ending {
    if incident.ladder.orders > 0 {
        let reason = match (incident.tried.as_slice(), incident.relapse_of) {
            ([], Some(earlier)) => {
                format!("it came back after incident {earlier}, and no further remedy is left")
            }
            (tried, _) => format!("no remedy healed it: {}", tried.join("; ")),
        };
        return Ending::HandedOver(Cause::Exhausted, reason);
    }
    Ending::Recorded(if policy.remedies.is_empty() {
        "recorded; this policy has no remedy".to_owned()
    } else {
        "recorded what would have been done".to_owned()
    })
}

/// What ended by itself has recovered; what ended after an order is still to be proven.
pub(super) fn after_all_ended(view: View<'_>, incident: &Incident) -> Vec<Next> {
    let next = match &incident.order {
        Some(order) if incident.has_acted() => prove::begin(view, incident, &order.proof, view.now),
        Some(_) | None => Next::Close(Ending::Recovered),
    };
    vec![Next::Withdraw, next]
}

fn concrete<'a>(
    view: View<'_>,
    incident: &Incident,
    policy: &'a Policy,
    remedy: &'a Remedy,
) -> Result<Concrete<'a>, TemplateError> {
    let values = values(view, incident, policy, remedy);
    let query = policy.verify.query.as_ref();
    Ok(Concrete {
        policy,
        remedy,
        action: plan::render(remedy, &values)?,
        undo: undo::prepare(policy, remedy, &values)?,
        locks: plan::locks(policy, &incident.target, &values)?,
        query: query.map(|query| query.render(Place::Promql, &values)).transpose()?,
        values,
    })
}

/// Returns the next remedy and what it would do, if it can be done.
pub(super) fn next_deed<'a>(view: View<'a>, incident: &Incident) -> Option<(&'a Remedy, Digest)> {
    let policy = view.policy(incident)?;
    let Step::Try(remedy) = next_step(policy, incident) else { return None };
    let concrete = concrete(view, incident, policy, remedy).ok()?;
    Some((remedy, Digest::of(&incident.next_order(&remedy.name), &concrete.action)))
}

fn values(view: View<'_>, incident: &Incident, policy: &Policy, remedy: &Remedy) -> Values {
    let leading = incident.episodes.firing().next().and_then(|id| view.state.episode(id));
    Values {
        labels: leading.map(|leading| policy.labels(leading)).unwrap_or_default(),
        annotations: leading.map(|leading| leading.alert.annotations.clone()).unwrap_or_default(),
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
    view: View<'_>,
    incident: &Incident,
    concrete: &Concrete<'_>,
    presence: &Presences,
    evidence: Option<&Evidence>,
) -> Vec<Next> {
    let consent = consent(view, incident, concrete, evidence);
    let deed = deed(view, incident, concrete, consent, presence);
    let bench = Bench { ledgers: view.state.ledgers(), book: view.book };
    let by_ledgers = guard::judge_ledgers(&deed, bench);
    let nothing = Evidence::none(view.now);
    if concrete.remedy.mode == Mode::Shadow {
        return vec![record(view, incident, concrete, by_ledgers)];
    }
    if !matches!(by_ledgers, Judgement::Permitted(_)) {
        return vec![conclude(view, incident, concrete, consent, &nothing, by_ledgers)];
    }
    let asks = questions(view, incident, concrete, &deed);
    let evidence = match evidence {
        _ if asks.is_empty() => &nothing,
        Some(evidence) => evidence,
        None => return vec![Next::Ask(asks)],
    };
    if let Err(why) = hold::fresh(evidence, view.now) {
        let holds = vec![Hold::NotFresh { why }];
        let held = Judgement::Held { holds, cleared: Vec::new() };
        return vec![conclude(view, incident, concrete, consent, evidence, held)];
    }
    let weather = guard::weather(&deed, bench, evidence);
    let judgement = guard::judge(&deed, bench, evidence);
    let survey = Next::Survey { weather, holds: judgement.holds().to_vec() };
    vec![survey, conclude(view, incident, concrete, consent, evidence, judgement)]
}

fn deed<'a>(
    view: View<'a>,
    incident: &'a Incident,
    concrete: &'a Concrete<'a>,
    consent: Consent<'a>,
    presence: &Presences,
) -> Deed<'a> {
    let state = view.state;
    Deed {
        incident: incident.id,
        policy: concrete.policy,
        remedy: concrete.remedy,
        action: Some(&concrete.action),
        target: &incident.target,
        ladder: &incident.ladder,
        continues: incident.order.is_some(),
        returned: incident.is_returned(),
        unheld: incident.unheld,
        locks: &concrete.locks,
        consent,
        behind: state.goes_first(&concrete.policy.name, incident.id),
        firing: view
            .firing(incident)
            .filter_map(|(id, alert)| {
                let began_at = state.episode(id)?.began_at;
                Some((alert, presence_of(presence, id, began_at)))
            })
            .take(limits::ASKED_ALERTS)
            .collect(),
        watchdog: watchdog(view, concrete.policy, presence),
        now: view.now,
        wall: view.wall(),
    }
}

/// What would be done, and what would hold it.
fn record(
    view: View<'_>,
    incident: &Incident,
    concrete: &Concrete<'_>,
    by_ledgers: Judgement,
) -> Next {
    let (holds, grants) = match by_ledgers {
        Judgement::Held { holds, cleared } => (holds, cleared),
        Judgement::Permitted(permit) => (Vec::new(), permit.spend().0),
        Judgement::Unapproved(grants) => (Vec::new(), grants),
        Judgement::Stopped(_) => (Vec::new(), Vec::new()),
    };
    Next::Record(Box::new(Recorded {
        remedy: concrete.remedy.name.clone(),
        action: concrete.action.clone(),
        holds,
        grants,
        why: concrete.why(view, incident, &Evidence::none(view.now)),
        window: concrete.remedy.timeout.saturating_add(concrete.policy.verify.within),
    }))
}

/// When the policy's watchdog was last mentioned, of several the one that was mentioned last.
pub(super) fn watchdog(view: View<'_>, policy: &Policy, presences: &Presences) -> Option<Presence> {
    let watchdog = policy.guard.watchdog.as_ref()?;
    let seen = presences.iter().filter(|(id, _)| {
        let fires = view.state.episode(*id).filter(|_| view.state.is_firing(*id));
        fires.is_some_and(|episode| watchdog.matchers.matches(&episode.alert.labels))
    });
    seen.map(|(_, presence)| *presence).max_by_key(|seen| (seen.known, seen.seen_at))
}

/// Whether a person must agree, and whether enough have. Digests are computed only where one must.
///
/// Where somebody else manages what would be changed, a person must agree although the mode is `auto`;
/// one whose word is there was asked for that.
fn consent<'a>(
    view: View<'a>,
    incident: &'a Incident,
    concrete: &Concrete<'_>,
    evidence: Option<&Evidence>,
) -> Consent<'a> {
    let (policy, remedy) = (concrete.policy, concrete.remedy);
    let is_needed = match remedy.mode {
        Mode::Shadow => false,
        Mode::Approve => true,
        Mode::Auto => incident.approved.is_some() || concrete.is_to_be_asked(evidence),
    };
    if !is_needed {
        return Consent::NotNeeded;
    }
    let order = incident.next_order(&remedy.name);
    let (state, now) = (view.state, view.now);
    let quorum = view.quorum(incident, policy, remedy);
    if let Some(approved) = incident.approved.as_deref()
        && approved.covers(&Digest::of(&order, &concrete.action), now)
        && quorum.is_met(approved.people())
    {
        return Consent::Given(approved);
    }
    let mut ahead =
        state.approvals().about(&policy.name, &remedy.name, &incident.target).peekable();
    let kind = ahead.peek().and_then(|_| concrete.kind(&concrete.values, &incident.target));
    let standing = kind.and_then(|kind| {
        ahead.find(|known| known.covers(&kind, &order, now) && quorum.is_met(known.people()))
    });
    standing.map_or(Consent::Sought, Consent::Standing)
}

/// What a person is asked, with the kind of the deed, where another incident may have one of it.
fn asked(view: View<'_>, incident: &Incident, concrete: &Concrete<'_>) -> Asked {
    let (order, action) = (incident.next_order(&concrete.remedy.name), concrete.action.clone());
    let digest = Digest::of(&order, &action);
    let approval = &concrete.remedy.approval;
    let kind = |values: &Values| concrete.kind(values, &incident.target);
    let of_another = Values { incident: incident.id.next().0, ..concrete.values.clone() };
    Asked {
        order,
        action,
        digest,
        expires_at: view.now + approval.expires,
        by: approval.by.clone(),
        count: approval.count,
        kind: kind(&concrete.values).filter(|one| kind(&of_another).as_ref() == Some(one)),
    }
}

fn questions(
    view: View<'_>,
    incident: &Incident,
    concrete: &Concrete<'_>,
    deed: &Deed<'_>,
) -> Vec<Ask> {
    let mut asks = guard::questions(deed, view.book);
    let alerts = view.asked_alerts(incident);
    for ask in healing::questions_before(concrete.policy, alerts, &view.book.witnesses) {
        if !asks.contains(&ask) {
            asks.push(ask);
        }
    }
    asks
}

fn conclude(
    view: View<'_>,
    incident: &Incident,
    concrete: &Concrete<'_>,
    consent: Consent<'_>,
    evidence: &Evidence,
    judgement: Judgement,
) -> Next {
    match judgement {
        Judgement::Held { holds, cleared } => {
            let what = (concrete.policy, &concrete.remedy.name);
            Next::Hold(hold::remedy(view, incident, what, (holds, cleared), evidence))
        }
        Judgement::Stopped(stop) => {
            Next::Close(Ending::HandedOver(Cause::Stopped, stop.to_string()))
        }
        Judgement::Unapproved(grants) => {
            let asked = asked(view, incident, concrete);
            Next::AskAPerson { asked, grants, why: concrete.why(view, incident, evidence) }
        }
        Judgement::Permitted(permit) => {
            Next::Issue(Box::new(order(view, incident, concrete, consent, evidence, permit)))
        }
    }
}

/// Sets what will prove the healing, by who is seen to see the alerts fire.
fn proof(
    view: View<'_>,
    incident: &Incident,
    concrete: &Concrete<'_>,
    evidence: &Evidence,
) -> Proof {
    let (policy, witnesses) = (concrete.policy, &view.book.witnesses);
    let leading = view.firing(incident).next().map(|(_, alert)| &alert.labels);
    let query = concrete.query.clone().map(|query| (query, witnesses.asked(policy, leading)));
    let baseline = policy.regression.as_ref().and_then(|regression| {
        // The guard has seen that there is one.
        regression::baseline(policy, regression, &incident.target, witnesses, evidence).ok()
    });
    let cases =
        view.patients(incident).map(|patient| Case::open(patient.episode, patient.alert, evidence));
    healing::proof(policy, query, baseline, cases.collect())
}

fn order(
    view: View<'_>,
    incident: &Incident,
    concrete: &Concrete<'_>,
    consent: Consent<'_>,
    evidence: &Evidence,
    permit: Permit,
) -> Order {
    let breaker = concrete.policy.guard.breaker.as_ref();
    let (grants, charges) = permit.spend();
    let id = incident.next_order(&concrete.remedy.name);
    Order {
        standing: match consent {
            Consent::Standing(approval) => Some(approval.used_for(&id)),
            Consent::NotNeeded | Consent::Sought | Consent::Given(_) => None,
        },
        id,
        action: concrete.action.clone(),
        timeout: concrete.remedy.timeout,
        idempotent: concrete.remedy.idempotent,
        proof: proof(view, incident, concrete, evidence),
        undo: concrete.undo.clone(),
        locks: concrete.locks.clone(),
        charges,
        grants,
        why: concrete.why(view, incident, evidence).boxed(),
        boot: view.boot(),
        team: concrete.policy.about.team.clone(),
        shared: breaker.and_then(|breaker| breaker.shared.clone()),
        looks: looks(view, incident, concrete),
    }
}

/// What is looked at beside an order: before the incident's first act what its policy says, before each
/// remedy's first run what the remedy says, and all of it afterwards.
fn looks(view: View<'_>, incident: &Incident, concrete: &Concrete<'_>) -> Option<Box<Looks>> {
    let (policy, remedy) = (concrete.policy, concrete.remedy);
    if policy.collect.is_empty() && remedy.collect.is_empty() {
        return None;
    }
    let leading = view.firing(incident).next().map(|(_, alert)| &alert.labels);
    let by = view.book.witnesses.asked(policy, leading);
    let of = |collectors: &[Collector], moment| {
        collect::looks(collectors, moment, &concrete.values, by.as_ref())
    };
    let mut looks = Looks::default();
    match &incident.order {
        // It certainly did not start: what was to be looked at before it is looked at now.
        Some(order) if incident.is_returned() => {
            looks.before = order.looks(Moment::Before).to_vec();
        }
        order => {
            if order.is_none() {
                looks.before.extend(of(&policy.collect, Moment::Before));
            }
            if incident.next_order(&remedy.name).attempt == 1 {
                looks.before.extend(of(&remedy.collect, Moment::Before));
            }
        }
    }
    looks.after.extend(of(&policy.collect, Moment::After));
    looks.after.extend(of(&remedy.collect, Moment::After));
    Some(Box::new(looks))
}

/// Holds an incident whose question nobody answered in time.
pub(super) fn no_answer(view: View<'_>, incident: &Incident) -> Vec<Next> {
    let policy = view.policy(incident);
    let step = policy.map(|policy| (policy, next_step(policy, incident)));
    let Some((policy, Step::Try(remedy))) = step else {
        return pursue(view, incident, &[], None);
    };
    let holds = vec![Hold::NotFresh { why: hold::no_answer() }];
    let (what, nothing) = ((policy, &remedy.name), Evidence::none(view.now));
    vec![Next::Hold(hold::remedy(view, incident, what, (holds, Vec::new()), &nothing))]
}
