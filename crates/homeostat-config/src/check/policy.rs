//! One policy.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use homeostat_core::alert::OWN_LABEL;
use homeostat_core::label::Matchers;
use homeostat_core::limits::defaults;
use homeostat_core::name::{PolicyName, RemedyName};
use homeostat_core::policy::{
    About, Action, Approval, Approvers, Escalate, GuardLimits, Managed, Mode, OnResolve, Policy,
    Remedy, TargetLabels,
};
use homeostat_core::time::Span;

use super::guard::Height;
use super::kubernetes;
use super::{
    Names, Surroundings, about, action, approval, carries, collect, guard, notify, owner,
    regression, some_time, verify,
};
use crate::read::{Field, Problems, Spanned, Text};
use crate::report::Problem;
use crate::{limits, raw};

/// Checks one policy.
pub(super) fn check(
    raw: &raw::Policy,
    surroundings: &Surroundings<'_>,
    names: &mut Names,
    problems: &mut Problems,
) -> Policy {
    let name = names.check(&raw.name, &raw.span, problems);
    let matchers = matchers(&raw.matchers, &raw.span, "policy", problems);
    refuse_own_alerts(&raw.matchers, problems);
    let mode = mode(raw, problems);
    let remedies = remedies(raw, mode, surroundings, problems);
    warn_of_one_rung(raw, mode, &remedies, problems);
    let height = height(raw);
    let settle = raw.settle.value_or(Span::ZERO);
    let about = about::check(raw, problems);
    Policy {
        name: PolicyName::new(name),
        escalate: escalate(raw, mode, settle, &about, surroundings, problems),
        about,
        matchers,
        target: target(&raw.target, problems),
        owner_of: owner::check(raw, problems).map(Box::new),
        mode,
        settle,
        remedies,
        sources: verify::sources(&raw.sources, surroundings, problems),
        verify: verify::check(&raw.verify, surroundings, problems),
        regression: regression::check(raw, surroundings, problems),
        collect: collect::check(&raw.collect, surroundings, problems),
        guard: GuardLimits {
            managed: raw.gitops.value_or(Managed::Ask),
            ..guard::check(raw.guard.given(), surroundings, &height, problems)
        },
        // What grants say is known when all policies are.
        approvers: Approvers::Anybody,
        on_resolve: raw.on_resolve.value_or(OnResolve::Finish),
        continues: raw.continues.value_or(false),
        relapse: raw.relapse.value_or(defaults::RELAPSE),
        lapse: some_time(&raw.lapse, defaults::LAPSE, problems),
    }
}

/// Reads the matchers of `owner`, which stands at `span`.
pub(super) fn matchers(
    field: &Field<Spanned<Vec<Text>>>,
    span: &Range<usize>,
    owner: &str,
    problems: &mut Problems,
) -> Matchers {
    let list = match field {
        Field::Given(list) => list,
        Field::Absent => {
            let message = format!("this {owner} has no `matchers`");
            let problem = Problem::error(span.clone(), message);
            problems.report(problem.help("to take every alert, say so: `matchers: []`"));
            return Matchers::default();
        }
        Field::Wrong => return Matchers::default(),
    };
    parsed(&list.value, problems)
}

/// Reads matchers, each on its own.
pub(super) fn parsed(list: &[Text], problems: &mut Problems) -> Matchers {
    let mut matchers = Matchers::default();
    for text in list {
        match Matchers::parse(&text.value) {
            Ok(parsed) => {
                if let Some(disagreement) = parsed.disagreement {
                    let message = disagreement.to_string();
                    problems.report(Problem::warning(text.span.clone(), message));
                }
                if parsed.matchers.is_empty() {
                    let problem = Problem::warning(text.span.clone(), "this is no condition");
                    problems.report(problem.help("to take every alert, write `matchers: []`"));
                }
                matchers.extend(parsed.matchers);
            }
            Err(error) => {
                let problem = Problem::error(text.part(&error.span), error.message);
                problems.report(match error.hint {
                    Some(hint) => problem.help(hint),
                    None => problem,
                });
            }
        }
    }
    matchers
}

fn mode(raw: &raw::Policy, problems: &mut Problems) -> Mode {
    if raw.mode.is_absent() {
        let problem = Problem::error(raw.span.clone(), "this policy has no `mode`");
        problems.report(problem.help(
            "write `mode: shadow` to watch what would be done, `mode: approve` to be asked, or \
             `mode: auto` to have it done",
        ));
    }
    raw.mode.value_or(Mode::Shadow)
}

fn target(field: &Field<Spanned<Vec<Text>>>, problems: &mut Problems) -> TargetLabels {
    let Some(list) = field.given() else { return TargetLabels::All };
    if list.value.is_empty() {
        let problem = Problem::error(list.span.clone(), "an empty target says nothing");
        problems.report(problem.help(
            "name the labels that say what is healed, as in target: [instance]; leave it out to \
             mean all labels",
        ));
    }
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for text in &list.value {
        if text.value.is_empty() {
            problems.report(Problem::error(text.span.clone(), "no label has an empty name"));
        } else if text.value.contains(['{', '=', '$']) {
            let message = "a target is the name of a label, not a template or a matcher";
            let problem = Problem::error(text.span.clone(), message);
            problems.report(problem.help("write target: [instance]"));
        } else if !names.insert(&text.value) {
            let problem = Problem::error(text.span.clone(), "this label is named twice");
            problems.report(problem.help("remove one of them"));
        }
    }
    TargetLabels::Named(names.into_iter().map(Arc::from).collect())
}

fn remedies(
    raw: &raw::Policy,
    mode: Mode,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Vec<Remedy> {
    let list = match &raw.remedies {
        Field::Given(list) => list,
        Field::Absent => {
            let problem = Problem::error(raw.span.clone(), "this policy has no `remedies`");
            problems.report(problem.help("write remedies: [{ name: restart, exec: [program] }]"));
            return Vec::new();
        }
        Field::Wrong => return Vec::new(),
    };
    if list.value.is_empty() && mode.may_act() {
        let message = format!("`mode: {}` without a remedy", mode.as_str());
        let problem = Problem::error(list.span.clone(), message);
        problems.report(problem.help("add a remedy, or write `mode: shadow`"));
    }
    let mut names = Names::of("remedy");
    let approval = approval::check(raw.approval.given(), &Approval::default(), problems);
    let trust = Trust { mode, approval: &approval };
    let remedies: Vec<Remedy> = list
        .value
        .iter()
        .map(|raw| remedy(raw, trust, surroundings, &mut names, problems))
        .collect();
    if remedies.iter().all(|remedy| remedy.mode != Mode::Approve) {
        warn_of_no_question(&raw.approval, problems);
    }
    remedies
}

/// What relapses goes on with the next remedy, and where there is none a person is told at once. A policy
/// in shadow is told so before it acts.
fn warn_of_one_rung(raw: &raw::Policy, mode: Mode, remedies: &[Remedy], problems: &mut Problems) {
    let relapse = raw.relapse.value_or(defaults::RELAPSE);
    let acts = |remedy: &&Remedy| mode == Mode::Shadow || remedy.mode.may_act();
    let acting: Vec<&Remedy> = remedies.iter().filter(acts).collect();
    let ([only], false, true) = (&acting[..], relapse.is_zero(), problems.looks_around()) else {
        return;
    };
    let place = raw.remedies.given().map_or_else(|| raw.span.clone(), |list| list.span.clone());
    let name = &only.name;
    let message =
        format!("if {name} heals and the alert comes back within {relapse}, a person is told");
    let problem = match mode {
        Mode::Shadow => Problem::note(place, format!("once this policy acts: {message}")),
        Mode::Approve | Mode::Auto => Problem::warning(place, message),
    };
    problems.report(problem.help(
        "what comes back takes the next remedy, and there is none: add one, or write `relapse: 0s` to \
         run this one again after its cooldown",
    ));
}

/// Alerts with our own label are ours, and heal nothing.
fn refuse_own_alerts(field: &Field<Spanned<Vec<Text>>>, problems: &mut Problems) {
    let Some(list) = field.given() else { return };
    for text in &list.value {
        let Ok(parsed) = Matchers::parse(&text.value) else { continue };
        let ours = parsed.matchers.iter().any(|m| m.name() == OWN_LABEL && !m.matches_value(""));
        if ours {
            let message = format!("alerts with the label {OWN_LABEL:?} are Homeostat's own");
            let problem = Problem::error(text.span.clone(), message);
            problems.report(problem.help("they never open an incident: remove this matcher"));
        }
    }
}

/// How far a policy is trusted, and who may trust it further.
#[derive(Clone, Copy)]
struct Trust<'a> {
    mode: Mode,
    approval: &'a Approval,
}

fn warn_of_no_question(approval: &Field<raw::Approval>, problems: &mut Problems) {
    if let Some(approval) = approval.given() {
        let problem = Problem::warning(approval.span.clone(), "nobody is asked for approval here");
        problems.report(problem.help("write `mode: approve`, or remove `approval`"));
    }
}

fn remedy(
    raw: &raw::Remedy,
    trust: Trust<'_>,
    surroundings: &Surroundings<'_>,
    names: &mut Names,
    problems: &mut Problems,
) -> Remedy {
    let name = names.check(&raw.name, &raw.span, problems);
    if let Some(retries) = raw.retries.given()
        && retries.value > limits::RETRIES
    {
        let message = format!("more than {} retries", limits::RETRIES);
        let problem = Problem::error(retries.span.clone(), message);
        problems.report(problem.help("what fails that often needs another remedy"));
    }
    let retried = match &raw.retries {
        Field::Absent => false,
        Field::Wrong => true,
        Field::Given(retries) => retries.value > 0,
    };
    if let (Some(backoff), false) = (raw.backoff.given(), retried) {
        let problem = Problem::warning(backoff.span.clone(), "nothing is retried");
        problems.report(problem.help("`backoff` lies before retries: add `retries: 1`"));
    }
    let action = action::check(&raw.action, "remedy", surroundings.callable, problems);
    if let Some(action) = &action {
        check_retries(raw, action, problems);
    }
    let mode = raw.mode.value_or(trust.mode).min(trust.mode);
    if mode != Mode::Approve {
        warn_of_no_question(&raw.approval, problems);
    }
    Remedy {
        name: RemedyName::new(name),
        mode,
        approval: approval::check(raw.approval.given(), trust.approval, problems),
        definition: raw.definition.clone(),
        action: action.unwrap_or_else(|| Action::Exec(Vec::new())),
        timeout: kubernetes::timeout(&raw.timeout, &raw.action, defaults::TIMEOUT, problems),
        retries: raw.retries.value_or(0).min(limits::RETRIES),
        backoff: raw.backoff.value_or(defaults::BACKOFF),
        idempotent: raw.idempotent.value_or(false),
        undo: raw.undo.given().map(|undo| regression::undo(undo, surroundings.callable, problems)),
        collect: collect::check(&raw.collect, surroundings, problems),
    }
}

/// A request that failed may have had its effect all the same.
fn check_retries(raw: &raw::Remedy, action: &Action, problems: &mut Problems) {
    let Action::Http(request) = action else { return };
    let Some(retries) = raw.retries.given().filter(|retries| retries.value > 0) else { return };
    if request.is_repeatable() || raw.idempotent.value_or(false) {
        return;
    }
    let message = format!("{} is not retried: it might be done twice", request.method.as_str());
    let problem = Problem::error(retries.span.clone(), message);
    problems.report(problem.help(
        "add `idempotency_key: true` to `http` if the service heeds it, or `idempotent: true` to \
         the remedy if doing it twice does no harm",
    ));
}

/// Counts the orders of the whole ladder. A policy in shadow is counted as if it acted, so that
/// its ladder is known to hold before it does.
fn height(raw: &raw::Policy) -> Height {
    let Some(list) = raw.remedies.given() else {
        return Height { orders: 0, spare: 0, span: 0..0 };
    };
    let acts = |remedy: &&raw::Remedy| remedy.mode.value_or(Mode::Auto).may_act();
    let runs = |remedy: &raw::Remedy| 1 + remedy.retries.value_or(0).min(limits::RETRIES);
    let orders = list.value.iter().filter(acts).map(runs).fold(0, u32::saturating_add);
    let again = |remedy: &&raw::Remedy| remedy.idempotent.value_or(false);
    let spare = list.value.iter().filter(acts).filter(again).count();
    Height { orders, spare: u32::try_from(spare).unwrap_or(u32::MAX), span: list.span.clone() }
}

fn escalate(
    raw: &raw::Policy,
    mode: Mode,
    settle: Span,
    about: &About,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Escalate {
    let (span, after, severity) = match &raw.escalate {
        Field::Given(raw::Escalate::Nobody) => return Escalate::Nobody,
        Field::Given(raw::Escalate::Person { span, after, severity, .. }) => {
            (Some(span), after, severity.given())
        }
        Field::Absent | Field::Wrong => (None, &Field::Absent, None),
    };
    let carries = carries::carries(raw, about, problems);
    let channels = notify::chosen(raw).map_or(surroundings.channels, |list| !list.value.is_empty());
    if !surroundings.alertmanager && !channels {
        cannot_tell(raw, mode, span.cloned(), problems);
        return Escalate::Nobody;
    }
    if let Some(text) = severity
        && text.value.trim().is_empty()
    {
        problems.report(Problem::error(text.span.clone(), "this severity is empty"));
    }
    let place = after.given().map(|after| after.span.clone()).or(span.cloned());
    let after = some_time(after, defaults::ESCALATE_AFTER, problems);
    if after <= settle {
        let message = format!("a person is told after {after}, before anything is tried");
        let place = place.or(raw.settle.given().map(|settle| settle.span.clone()));
        let place = place.unwrap_or_else(|| raw.span.clone());
        let problem = Problem::warning(place, message);
        problems.report(problem.help(format!("`for: {settle}` runs first: tell later than that")));
    }
    let severity = severity.map_or(defaults::ESCALATE_SEVERITY, |text| &text.value);
    Escalate::After { after, severity: Arc::from(severity), carries }
}

const TELL_HELP: &str = "add sources: { alertmanagers: [{ name: main, urls: \
    [\"http://127.0.0.1:9093\"] }] }, or a channel to `notify`, or say that nobody is told: \
    `escalate: none`";

/// What acts on its own must be able to call for help, or say that it will not.
fn cannot_tell(
    raw: &raw::Policy,
    mode: Mode,
    escalate: Option<Range<usize>>,
    problems: &mut Problems,
) {
    let wrong = matches!(raw.escalate, Field::Wrong);
    match (mode, escalate) {
        (Mode::Auto | Mode::Approve, _) if wrong => {}
        (Mode::Auto | Mode::Approve, span) => {
            let mode = raw.mode.given().map(|mode| mode.span.clone());
            let place = span.or(mode).unwrap_or_else(|| raw.span.clone());
            let message = "this policy acts, and there is no way to tell a person";
            problems.report(Problem::error(place, message).help(TELL_HELP));
        }
        (Mode::Shadow, Some(span)) => {
            let message = "nobody can be told: there is no way to tell a person";
            problems.report(Problem::warning(span, message).help(TELL_HELP));
        }
        (Mode::Shadow, None) => {}
    }
}
