//! Laws that hold whatever happens: random walks through the core.
//!
//! Each walk fires, resolves, ends actions, changes what witnesses say, crashes and lets time
//! pass, in any order. [`Scenario`] itself asserts after each turn that the fold of the journal is
//! the state.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its own constants must fail")]

use std::collections::{BTreeMap, BTreeSet};

use homeostat_core::alert::Door;
use homeostat_core::event::Event;
use homeostat_core::fact::What;
use homeostat_core::incident::{End, Stage};
use homeostat_core::label::Matchers;
use homeostat_core::name::{IncidentId, OrderId, PolicyName, RemedyName, SourceName};
use homeostat_core::order::{Found, Outcome};
use homeostat_core::policy::{
    Action, Book, BookLimits, Escalate, GuardLimits, Mode, Policy, Remedy, TargetLabels, Witnesses,
};
use homeostat_core::scenario::{Answer, Scenario};
use homeostat_core::template::Template;
use homeostat_core::time::{Span, Timestamp};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Fire(u8, bool),
    Resolve(u8, bool),
    EndSilently(u8),
    Exit(bool, i32),
    Advance(u16),
    Say(u8),
    Crash(bool),
    Pause(bool),
    Reload(bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (0..4_u8, any::<bool>()).prop_map(|(alert, api)| Step::Fire(alert, api)),
        3 => (0..4_u8, any::<bool>()).prop_map(|(alert, api)| Step::Resolve(alert, api)),
        1 => (0..4_u8).prop_map(Step::EndSilently),
        5 => (any::<bool>(), 0..2_i32).prop_map(|(first, code)| Step::Exit(first, code)),
        5 => (0..900_u16).prop_map(Step::Advance),
        2 => (0..9_u8).prop_map(Step::Say),
        1 => any::<bool>().prop_map(Step::Crash),
        1 => any::<bool>().prop_map(Step::Pause),
        1 => any::<bool>().prop_map(Step::Reload),
    ];
    prop::collection::vec(step, 0..60)
}

fn book(witnessed: bool, narrow: bool) -> Book {
    let remedy = |name: &str, retries| Remedy {
        name: RemedyName::new(name),
        mode: Mode::Auto,
        action: Action::Exec(vec![Template::parse("{{ labels.instance }}").unwrap()]),
        timeout: Span::from_secs(30),
        retries,
        backoff: Span::from_secs(5),
        idempotent: retries > 0,
    };
    let named = |name: &str, matchers: &str| Policy {
        name: PolicyName::new(name),
        matchers: Matchers::parse(matchers).unwrap().matchers,
        target: TargetLabels::Named(vec!["instance".into()]),
        mode: Mode::Auto,
        remedies: vec![remedy("first", 1), remedy("second", 0)],
        escalate: Escalate::After { after: Span::from_secs(600), severity: "page".into() },
        guard: GuardLimits {
            attempts: 3,
            concurrency: if narrow { 1 } else { 4 },
            ..Policy::observe().guard
        },
        ..Policy::observe()
    };
    let mut down = named("down", "alertname=\"Down\"");
    down.continues = true;
    let policies = vec![down, named("any", "")];
    let alertmanagers = if witnessed { [SourceName::new("main")].into() } else { [].into() };
    let asked = Witnesses { alertmanagers, prometheus: witnessed };
    Book::new(policies, BookLimits::default(), asked)
}

fn labels(alert: u8) -> [(&'static str, &'static str); 2] {
    let name = if alert < 2 { "Down" } else { "Slow" };
    [("alertname", name), ("instance", if alert.is_multiple_of(2) { "a:80" } else { "b:80" })]
}

fn door(api: bool) -> (&'static str, Door) {
    if api { ("api", Door::Api) } else { ("main", Door::Webhook) }
}

fn take(play: &mut Scenario, step: &Step, witnessed: bool) {
    match step {
        Step::Fire(alert, api) => {
            let (source, door) = door(*api);
            play.fire(source, door, &labels(*alert));
        }
        Step::Resolve(alert, api) => {
            let (source, door) = door(*api);
            play.resolve(source, door, &labels(*alert));
        }
        Step::EndSilently(alert) => play.end_silently(&labels(*alert)),
        Step::Exit(first, code) => {
            let remedy = if *first { "first" } else { "second" };
            play.exit(remedy, Outcome::Exited { code: *code });
        }
        Step::Advance(seconds) => play.advance(Span::from_secs(u64::from(*seconds))),
        Step::Say(what) => play.answer(match what {
            0 => Answer::AlertmanagerErrs("refused".into()),
            1 => Answer::AlertmanagerEmpty,
            2 => Answer::Silenced("silence 1".into()),
            3 => Answer::AlertmanagerTruth,
            4 => Answer::PrometheusErrs("refused".into()),
            5 => Answer::NoRule,
            6 => Answer::RuleUnhealthy("many-to-many".into()),
            7 => Answer::Query(0),
            _ => Answer::PrometheusTruth,
        }),
        Step::Crash(started) => play.crash(&if *started {
            Found::Unknown("no exit is recorded".into())
        } else {
            Found::NotStarted
        }),
        Step::Pause(true) => {
            play.send(Event::Pause { by: "sre".into(), reason: "deploy".into() });
        }
        Step::Pause(false) => play.send(Event::Resume { by: "sre".into() }),
        Step::Reload(narrow) => play.reload(book(witnessed, *narrow)),
    }
}

/// One trouble on one target is healed by one order at a time, whichever policies take it.
fn one_order_a_target(play: &Scenario) {
    let mut acting = BTreeSet::new();
    for incident in play.state().incidents().filter(|i| i.stage == Stage::Acting) {
        assert!(acting.insert(incident.target.clone()), "two orders run on {}", incident.target);
    }
}

/// No order is issued twice, none is issued while paused, and none after its incident closed.
fn orders_are_sound(play: &Scenario) {
    let mut issued: BTreeSet<OrderId> = BTreeSet::new();
    let mut orders: BTreeMap<IncidentId, u32> = BTreeMap::new();
    let mut closed: BTreeSet<IncidentId> = BTreeSet::new();
    let mut returned: BTreeSet<OrderId> = BTreeSet::new();
    let mut paused = false;
    for fact in play.journal() {
        match &fact.what {
            What::EnginePaused { .. } => paused = true,
            What::EngineResumed { .. } => paused = false,
            What::OrderIssued { order } => {
                assert!(!paused, "an order was issued during a pause");
                assert!(issued.insert(order.id.clone()), "{} was issued twice", order.id);
                assert!(!closed.contains(&order.id.incident), "{} comes too late", order.id);
                *orders.entry(order.id.incident).or_default() += 1;
            }
            What::OrderReturned { order } => {
                returned.insert(order.clone());
            }
            What::OrderReissued { order } => {
                assert!(!paused, "an order was issued again during a pause");
                assert!(returned.remove(&order.id), "{} may have run before", order.id);
            }
            What::IncidentClosed { incident, .. } => {
                assert!(closed.insert(*incident), "incident {incident} closed twice");
            }
            _ => {}
        }
    }
    assert!(orders.values().all(|count| *count <= 3), "an incident had too many orders");
}

/// Nothing is called healed without an order that ended, and no verdict comes from silence.
fn healing_is_earned(play: &Scenario) {
    let mut ended: BTreeSet<IncidentId> = BTreeSet::new();
    for fact in play.journal() {
        match &fact.what {
            What::OrderEnded { order, .. } => drop(ended.insert(order.incident)),
            What::IncidentClosed { incident, closing, .. } if closing.outcome == End::Healed => {
                assert!(ended.contains(incident), "incident {incident} healed without an order");
                assert!(closing.grade.is_some() && closing.remedy.is_some());
            }
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_core_stays_sound_and_every_incident_ends(
        steps in steps(),
        witnessed in any::<bool>(),
    ) {
        let mut play =
            Scenario::new(book(witnessed, false), Timestamp::from_seconds(1_700_000_000));
        for step in &steps {
            take(&mut play, step, witnessed);
            one_order_a_target(&play);
        }
        orders_are_sound(&play);
        healing_is_earned(&play);
        for alert in 0..4 {
            for api in [true, false] {
                take(&mut play, &Step::Resolve(alert, api), witnessed);
            }
        }
        play.send(Event::Resume { by: "sre".into() });
        play.advance(Span::from_secs(7 * 86_400));
        orders_are_sound(&play);
        let open: Vec<String> = play.state().incidents().map(|i| format!("{i:?}")).collect();
        prop_assert!(open.is_empty(), "left open: {open:?}");
        prop_assert_eq!(play.state().notices().count(), 0, "a notice was left");
    }
}
