//! What the table of events and stages says is tried: each place of it at which something is done is come
//! to, on random walks or by a short script, but for a few, each with its reason.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::stage::{
    A, DONE, FAILED, alone, everybody, fire, ladder, policy, remedy, resolve, secs,
};
use crate::stage::{start_time, witnessed};
use crate::walks::{book, steps, take};
use homeostat_core::alert::{Alert, Door, Observation, Status};
use homeostat_core::clock::{Jump, Leap};
use homeostat_core::command::Command;
use homeostat_core::decide::table::{Moment, Step, step};
use homeostat_core::engine::Engine;
use homeostat_core::event::Event;
use homeostat_core::incident::StageKind;
use homeostat_core::label::{LabelSet, Matchers};
use homeostat_core::limits;
use homeostat_core::name::{BootId, IncidentId, SourceName};
use homeostat_core::order::Found;
use homeostat_core::policy::{Action, Mode, OnResolve, Policy, Regression, Remedy, Undo, Worse};
use homeostat_core::scenario::Scenario;
use homeostat_core::state::State;
use homeostat_core::template::Template;
use homeostat_core::time::Timestamp;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;

type Places = BTreeSet<(Moment, StageKind)>;

/// Places that nothing here comes to, and why.
const UNWALKED: &[(Moment, StageKind, &str)] = &[
    (Moment::Unused, StageKind::Settling, "nothing is approved before it has settled"),
    (Moment::Unused, StageKind::BackingOff, "an approval is over with its run"),
    (Moment::Unused, StageKind::Ready, "what is ready is pursued in its turn, unless many are"),
    (Moment::Command(Command::Cancel), StageKind::Ready, "the same"),
    (Moment::Jumped, StageKind::Ready, "the same"),
    (Moment::Unused, StageKind::Asking, "an approval expires in the seconds of a question"),
];

/// All places of the table at which something is done.
fn places() -> impl Iterator<Item = (Moment, StageKind)> {
    let all = Moment::ALL.into_iter();
    let all = all.flat_map(|moment| StageKind::ALL.map(|stage| (moment, stage)));
    all.filter(|(moment, stage)| !matches!(step(*moment, *stage), Step::Nothing | Step::Refuse))
}

fn at_random() -> Places {
    let mut walks = TestRunner::deterministic();
    let mut walked = Places::new();
    for n in 0..300 {
        let steps = steps().new_tree(&mut walks).unwrap().current();
        let witnessed = n % 2 == 0;
        let mut play =
            Scenario::new(book(witnessed, false), Timestamp::from_seconds(1_700_000_000));
        for step in &steps {
            take(&mut play, step, witnessed);
        }
        walked.extend(play.walked());
    }
    walked
}

fn jump(play: &mut Scenario) {
    play.jump(Leap::Forwards(secs(3600)));
}

/// What settles, what is to be approved, what is told to end and what an undo leaves open.
fn by_script() -> Places {
    let mut walked = Places::new();
    let mut walk = |mut play: Scenario, then: &dyn Fn(&mut Scenario)| {
        fire(&mut play, A);
        then(&mut play);
        walked.extend(play.walked());
    };
    let settling = || alone(Policy { settle: secs(60), ..ladder() });
    walk(settling(), &|play| play.advance(secs(60)));
    walk(settling(), &|play| assert!(resolve(play, A).is_some()));
    walk(settling(), &|play| drop(play.cancel("ann")));
    walk(settling(), &jump);
    walk(alone(policy(vec![Remedy { retries: 1, ..remedy("restart") }])), &|play| {
        play.exit("restart", FAILED);
        resolve(play, A);
    });
    let asks = || alone(policy(vec![Remedy { mode: Mode::Approve, ..remedy("restart") }]));
    walk(asks(), &|play| drop(play.reject("ann")));
    walk(asks(), &|play| drop(play.cancel("ann")));
    walk(asks(), &|play| {
        play.send(Event::Pause { by: "ann".into(), reason: String::new() });
        play.approve("ann");
        play.advance(secs(1800));
    });
    walk(alone(Policy { on_resolve: OnResolve::Signal, ..ladder() }), &|play| {
        let order = play.take_orders()[0].order.id.clone();
        play.send(Event::OrderProgressed { order, text: "half".into() });
        resolve(play, A);
    });
    let action = || Action::Exec(vec![Template::parse("undo").unwrap()]);
    let matchers = || Matchers::parse("alertname=\"Errors\"").unwrap().matchers;
    let undoing = Policy {
        regression: Some(Regression { matchers: matchers(), worse: Worse::Undo }),
        ..policy(vec![Remedy {
            undo: Some(Undo { action: action(), timeout: secs(20) }),
            ..remedy("restart")
        }])
    };
    walk(witnessed(undoing), &|play| {
        play.fire("api", Door::Api, &[("alertname", "Errors"), ("instance", "a:80")]);
        play.exit("restart", DONE);
        play.advance(secs(1));
        play.crash(&Found::Unknown("no exit is recorded".into()));
        play.cancel("ann");
        play.advance(secs(20));
    });
    walked
}

/// What happens while witnesses are asked, who have not answered.
fn while_asking() -> Places {
    let labels: LabelSet = A.iter().copied().collect();
    let observed = |status, ends_at| {
        let alert = Alert {
            source: SourceName::new("main"),
            door: Door::Webhook,
            fingerprint: labels.fingerprint(),
            labels: labels.clone(),
            annotations: LabelSet::default(),
            starts_at: Some(start_time()),
            generator_url: "".into(),
            receiver: "".into(),
            external_url: "".into(),
            group_labels: LabelSet::default(),
        };
        Event::observed(Observation { alert, status, ends_at, unproven: None, by: None })
    };
    let (now, incident) = (start_time(), IncidentId(1));
    let (command, seen, ahead) = (Command::Cancel, None, None);
    let (by, reason) = ("ann".to_owned(), String::new());
    let leap = Jump::new(State::default().clock(), Leap::Forwards(secs(3600)), now);
    let mut walked = Places::new();
    for then in [
        vec![],
        vec![observed(Status::Resolved, Some(now + secs(1)))],
        vec![Event::Command { incident, command, seen, ahead, by: by.into(), reason }],
        vec![Event::ClockJumped(leap)],
    ] {
        let book = crate::stage::book(ladder(), everybody());
        let mut engine = Engine::restore(State::default(), Arc::new(book), now);
        let started = Event::Started { boot: BootId::new("boot-1") };
        for (events, at) in [
            (vec![started, observed(Status::Firing, None)], now),
            (then, now + secs(1)),
            (vec![], now + limits::ANSWER_PATIENCE),
        ] {
            walked.extend(engine.turn(events, at).walked);
        }
    }
    walked
}

#[test]
fn every_place_of_the_table_is_walked() {
    let walked: Places = [at_random(), by_script(), while_asking()].into_iter().flatten().collect();
    let unwalked: Places = places().filter(|place| !walked.contains(place)).collect();
    let known: Places = UNWALKED.iter().map(|(moment, stage, _)| (*moment, *stage)).collect();
    assert_eq!(unwalked, known);
}
