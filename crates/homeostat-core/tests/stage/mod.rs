//! The props of the scenarios: alerts, a ladder of two remedies, and who can be asked.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use homeostat_core::alert::Door;
use homeostat_core::event::Remark;
use homeostat_core::fact::{Fact, What};
use homeostat_core::incident::Closing;
use homeostat_core::label::Matchers;
use homeostat_core::name::{PolicyName, RemedyName, SourceName};
use homeostat_core::operator::{Known, Operator, Way};
use homeostat_core::order::Outcome;
use homeostat_core::policy::{
    Action, Approval, Book, BookLimits, Escalate, GuardLimits, Mode, Policy, PrometheusWitness,
    Remedy, TargetLabels, Witnesses,
};
use homeostat_core::scenario::Scenario;
use homeostat_core::template::Template;
use homeostat_core::time::{Span, Timestamp};

pub(crate) const A: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "a:80")];
pub(crate) const A2: &[(&str, &str)] =
    &[("alertname", "Down"), ("instance", "a:80"), ("severity", "page")];
pub(crate) const B: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "b:80")];
pub(crate) const DONE: Outcome = Outcome::Exited { code: 0 };
pub(crate) const FAILED: Outcome = Outcome::Exited { code: 1 };

pub(crate) fn secs(seconds: u64) -> Span {
    Span::from_secs(seconds)
}

pub(crate) fn remedy(name: &str) -> Remedy {
    Remedy {
        name: RemedyName::new(name),
        mode: Mode::Auto,
        approval: Approval { expires: secs(1800), ..Approval::default() },
        definition: "".into(),
        action: Action::Exec(vec![
            Template::parse(name).unwrap(),
            Template::parse("{{ labels.instance }}").unwrap(),
        ]),
        timeout: secs(30),
        retries: 0,
        backoff: secs(5),
        idempotent: false,
        undo: None,
        collect: Vec::new(),
    }
}

pub(crate) fn policy(remedies: Vec<Remedy>) -> Policy {
    Policy {
        name: PolicyName::new("web"),
        matchers: Matchers::parse("alertname=\"Down\"").unwrap().matchers,
        target: TargetLabels::Named(vec!["instance".into()]),
        mode: Mode::Auto,
        remedies,
        escalate: Escalate::after(secs(3600), "critical"),
        guard: GuardLimits { attempts: 9, ..Policy::observe().guard },
        ..Policy::observe()
    }
}

pub(crate) fn ladder() -> Policy {
    policy(vec![remedy("restart"), remedy("reboot")])
}

pub(crate) fn start_time() -> Timestamp {
    "2026-01-05T09:00:00Z".parse().unwrap()
}

pub(crate) fn nobody() -> Witnesses {
    Witnesses::default()
}

/// The Alertmanager `main` and a Prometheus can be asked.
pub(crate) fn everybody() -> Witnesses {
    Witnesses {
        alertmanagers: [SourceName::new("main")].into(),
        webhooks: [].into(),
        prometheuses: vec![PrometheusWitness::new("main")],
    }
}

pub(crate) fn book(policy: Policy, witnesses: Witnesses) -> Book {
    Book::new(vec![policy], BookLimits::default(), witnesses)
}

pub(crate) fn alone(policy: Policy) -> Scenario {
    Scenario::new(book(policy, nobody()), start_time())
}

pub(crate) fn witnessed(mut policy: Policy) -> Scenario {
    policy.verify.within = secs(60);
    Scenario::new(book(policy, everybody()), start_time())
}

pub(crate) fn fire(scenario: &mut Scenario, labels: &[(&str, &str)]) -> Option<Remark> {
    scenario.fire("main", Door::Webhook, labels)
}

pub(crate) fn resolve(scenario: &mut Scenario, labels: &[(&str, &str)]) -> Option<Remark> {
    scenario.resolve("main", Door::Webhook, labels)
}

pub(crate) fn orders(scenario: &mut Scenario) -> Vec<String> {
    scenario.take_orders().iter().map(|run| run.order.id.to_string()).collect()
}

pub(crate) fn closings(facts: &[Fact]) -> Vec<Closing> {
    let closings = facts.iter().filter_map(|fact| match &fact.what {
        What::IncidentClosed { closing, .. } => Some(closing.clone()),
        _ => None,
    });
    closings.collect()
}

/// Somebody whose identity is known, and the groups that they are of.
pub(crate) fn known(who: &str, groups: &[&str]) -> Operator {
    let groups = groups.iter().map(|group| (*group).to_owned()).collect();
    let address = "10.0.0.7:51234".into();
    let known = Known { who: who.into(), way: Way::Password, groups, address };
    Operator { claimed: String::new(), known: Some(known) }
}
