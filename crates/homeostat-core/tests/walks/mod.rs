//! Random walks through the core: what may happen, in any order, and the book under which it does.

use homeostat_core::alert::Door;
use homeostat_core::clock::Leap;
use homeostat_core::command::Command;
use homeostat_core::errand::{ErrandTemplate, FieldTemplate, Form};
use homeostat_core::event::Event;
use homeostat_core::label::Matchers;
use homeostat_core::name::{IncidentId, PolicyName, RemedyName, SourceName};
use homeostat_core::order::{Found, Outcome};
use homeostat_core::owner::{Owner, Whose};
use homeostat_core::policy::{
    Action, Approval, BlastRadius, Book, BookLimits, Breaker, Damping, Escalate, Extent,
    GuardLimits, Mode, Policy, PrometheusWitness, Regression, Remedy, TargetLabels, Undo, Watchdog,
    Witnesses, Worse,
};
use homeostat_core::scenario::{Answer, Scenario};
use homeostat_core::storm::StormLimits;
use homeostat_core::template::Template;
use homeostat_core::time::Span;
use proptest::prelude::*;

/// One thing that happens.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Fire(u8, bool),
    Resolve(u8, bool),
    EndSilently(u8),
    Exit(bool, i32),
    Advance(u16),
    Say(u8),
    Crash(bool),
    Pause(bool),
    Reload(bool),
    Command(u8, u8),
    Jump(bool, u16),
}

/// Up to sixty things that happen.
pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (0..4_u8, any::<bool>()).prop_map(|(alert, api)| Step::Fire(alert, api)),
        3 => (0..4_u8, any::<bool>()).prop_map(|(alert, api)| Step::Resolve(alert, api)),
        1 => (0..4_u8).prop_map(Step::EndSilently),
        5 => (any::<bool>(), 0..2_i32).prop_map(|(first, code)| Step::Exit(first, code)),
        5 => (0..900_u16).prop_map(Step::Advance),
        2 => (0..15_u8).prop_map(Step::Say),
        1 => any::<bool>().prop_map(Step::Crash),
        1 => any::<bool>().prop_map(Step::Pause),
        1 => any::<bool>().prop_map(Step::Reload),
        4 => (0..4_u8, 0..4_u8).prop_map(|(command, back)| Step::Command(command, back)),
        1 => (any::<bool>(), 61..7200_u16).prop_map(|(back, seconds)| Step::Jump(back, seconds)),
    ];
    prop::collection::vec(step, 0..60)
}

/// Two policies that take the same alerts.
pub(crate) fn book(witnessed: bool, narrow: bool) -> Book {
    let remedy = |name: &str, retries| Remedy {
        name: RemedyName::new(name),
        mode: if name == "second" { Mode::Approve } else { Mode::Auto },
        approval: Approval { expires: Span::from_secs(600), ..Approval::default() },
        definition: "".into(),
        action: Action::Exec(vec![Template::parse("{{ labels.instance }}").unwrap()]),
        timeout: Span::from_secs(30),
        retries,
        backoff: Span::from_secs(5),
        idempotent: retries > 0,
        undo: (retries == 0).then(|| Undo {
            action: Action::Exec(vec![Template::parse("{{ labels.instance }}").unwrap()]),
            timeout: Span::from_secs(20),
        }),
        collect: Vec::new(),
    };
    let named = |name: &str, matchers: &str| Policy {
        name: PolicyName::new(name),
        matchers: Matchers::parse(matchers).unwrap().matchers,
        target: TargetLabels::Named(vec!["instance".into()]),
        mode: Mode::Auto,
        remedies: vec![remedy("first", 1), remedy("second", 0)],
        escalate: Escalate::after(Span::from_secs(600), "page"),
        guard: GuardLimits {
            attempts: 3,
            concurrency: if narrow { 1 } else { 4 },
            ..Policy::observe().guard
        },
        ..Policy::observe()
    };
    let mut down = named("down", "alertname=\"Down\"");
    down.continues = true;
    let slow = Matchers::parse("alertname=\"Slow\"").unwrap().matchers;
    down.regression = Some(Regression { matchers: slow, worse: Worse::Undo });
    let mut any = named("any", "");
    any.guard.flap = Some(Damping::default());
    if !narrow {
        let extent = Extent::Targets(1);
        down.guard.blast_radius = Some(BlastRadius { window: Span::from_secs(900), extent });
    }
    if witnessed {
        any.guard.storm = Some(StormLimits {
            percent: 50,
            min: 2,
            cool_down: Span::from_secs(300),
            inventory: "count(up)".into(),
        });
    }
    if narrow {
        let matchers = Matchers::parse("alertname=\"Slow\"").unwrap().matchers;
        down.guard.watchdog = Some(Watchdog { matchers, max_age: Span::from_secs(600) });
        down.guard.breaker = Some(Breaker { failures: 1, ..Breaker::default() });
    }
    if narrow {
        let asked = Template::parse("{{ labels.instance }}").unwrap();
        let fields = vec![("host".into(), FieldTemplate::Text(asked, Form::HOST))];
        let (hand, verb, rehearsed) = ("cluster".into(), "owner".into(), false);
        any.owner_of = Some(Box::new(ErrandTemplate { hand, verb, fields, rehearsed }));
        any.target = TargetLabels::Named(vec!["owner_name".into()]);
    }
    let policies = vec![down, any];
    let alertmanagers = if witnessed { [SourceName::new("main")].into() } else { [].into() };
    let prometheuses = witnessed.then(|| PrometheusWitness::new("main")).into_iter().collect();
    let asked = Witnesses { alertmanagers, webhooks: [].into(), prometheuses };
    Book::new(policies, BookLimits::default(), asked)
}

fn labels(alert: u8) -> [(&'static str, &'static str); 2] {
    let name = if alert < 2 { "Down" } else { "Slow" };
    [("alertname", name), ("instance", if alert.is_multiple_of(2) { "a:80" } else { "b:80" })]
}

fn door(api: bool) -> (&'static str, Door) {
    if api { ("api", Door::Api) } else { ("main", Door::Webhook) }
}

/// Lets it happen.
pub(crate) fn take(play: &mut Scenario, step: &Step, witnessed: bool) {
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
        Step::Jump(true, seconds) => play.jump(Leap::Back(Span::from_secs(u64::from(*seconds)))),
        Step::Jump(false, seconds) => {
            play.jump(Leap::Forwards(Span::from_secs(u64::from(*seconds))));
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
            8 => Answer::Inventory(0),
            9 => Answer::Inventory(3),
            10 => Answer::InventoryErrs("refused".into()),
            11 => Answer::OwnerErrs("refused".into()),
            12 => Answer::Owner(Whose::Nobody { why: "it has no owner".into() }),
            13 => {
                let (kind, name, uid) = ("Deployment".into(), "web".into(), "1".into());
                Answer::Owner(Whose::Of(Owner { kind, name, uid }))
            }
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
        Step::Pause(false) => play.send(Event::Resume { by: "sre".into(), reason: String::new() }),
        Step::Reload(narrow) => play.reload(book(witnessed, *narrow)),
        Step::Command(command, back) => {
            let newest = play.state().next_incident().0.saturating_sub(1);
            let incident = IncidentId(newest.saturating_sub(u64::from(*back)));
            play.command_about(incident, Command::ALL[usize::from(*command)], None, "sre");
        }
    }
}
