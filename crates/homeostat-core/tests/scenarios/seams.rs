//! Where guards, operators' words and undos meet.

use crate::stage::{
    A, B, DONE, FAILED, alone, closings, everybody, fire, orders, policy, remedy, resolve, secs,
    witnessed,
};
use homeostat_core::alert::Door;
use homeostat_core::command::Reply;
use homeostat_core::hold::Guard;
use homeostat_core::incident::{End, Stage};
use homeostat_core::label::Matchers;
use homeostat_core::limits;
use homeostat_core::name::IncidentId;
use homeostat_core::notice::{Notice, Topic};
use homeostat_core::order::Found;
use homeostat_core::policy::{
    Action, BlastRadius, Book, BookLimits, Damping, Escalate, Extent, Mode, OnResolve, Policy,
    Regression, Remedy, Undo, Worse,
};
use homeostat_core::scenario::{Answer, Scenario};
use homeostat_core::storm::StormLimits;
use homeostat_core::template::Template;

const ERRORS: &[(&str, &str)] =
    &[("alertname", "Errors"), ("instance", "a:80"), ("severity", "page")];

fn watching() -> Policy {
    let argv = ["un{{ remedy }}", "{{ labels.instance }}"];
    let argv = argv.map(|element| Template::parse(element).unwrap());
    let undo = Undo { action: Action::Exec(argv.into()), timeout: secs(40) };
    let matchers = Matchers::parse("severity=\"page\"").unwrap().matchers;
    Policy {
        regression: Some(Regression { matchers, worse: Worse::Undo }),
        ..policy(vec![Remedy { undo: Some(undo), ..remedy("restart") }])
    }
}

/// Plays until what the remedy made worse is being taken back.
fn undoing(policy: Policy) -> Scenario {
    let mut play = witnessed(policy);
    fire(&mut play, A);
    play.fire("api", Door::Api, ERRORS);
    play.exit("restart", DONE);
    play.advance(secs(1));
    assert_eq!(orders(&mut play), ["1.restart.1", "1.restart.1.undo"]);
    play
}

fn about(play: &Scenario, guard: Guard) -> Option<&Notice> {
    play.told().find(|n| matches!(n.topic(), Topic::Guard { guard: found, .. } if found == guard))
}

fn is_held_by(play: &Scenario, incident: u64, guard: Guard) -> bool {
    match &play.state().incident(IncidentId(incident)).unwrap().stage {
        Stage::Held { holds, .. } => holds.iter().any(|hold| hold.guard() == guard),
        _ => false,
    }
}

#[test]
fn an_undo_runs_to_its_end_though_the_alerts_of_its_incident_have_resolved() {
    let mut play = undoing(Policy { on_resolve: OnResolve::Signal, ..watching() });
    resolve(&mut play, A);
    assert_eq!(play.runs().count(), 1);
    play.exit("restart", DONE);
    let closing = closings(play.journal()).pop().unwrap();
    assert!(closing.reason.ends_with("it was taken back"), "{}", closing.reason);
}

#[test]
fn an_undo_that_may_still_run_after_a_crash_cannot_be_cancelled_and_keeps_its_locks() {
    let mut play = undoing(watching());
    play.crash(&Found::Unknown("no exit is recorded".into()));
    assert!(matches!(play.cancel("sre"), Reply::Refused(_)));
    assert!(closings(play.journal()).is_empty());
    play.advance(secs(40));
    assert_eq!(closings(play.journal()).pop().unwrap().outcome, End::Escalated);
}

#[test]
fn an_undo_that_an_operator_cancelled_closes_as_cancelled() {
    let mut play = undoing(watching());
    assert!(matches!(play.cancel("sre"), Reply::Taken(_)));
    let closing = closings(play.journal()).pop().unwrap();
    assert_eq!(closing.outcome, End::Cancelled);
    assert!(closing.reason.contains("made something else worse"), "{}", closing.reason);
    assert_eq!(play.told().count(), 0, "somebody knows");
}

#[test]
fn what_was_cancelled_is_not_taken_back_and_a_person_is_told_what_it_made_worse() {
    let mut play = witnessed(watching());
    fire(&mut play, A);
    play.fire("api", Door::Api, ERRORS);
    play.ignore_cancels();
    play.cancel("sre");
    play.crash(&Found::Unknown("no exit is recorded".into()));
    play.advance(secs(1));
    assert!(closings(play.journal()).is_empty(), "it may still run");
    play.advance(secs(60));
    assert_eq!(orders(&mut play), ["1.restart.1"]);
    let closing = closings(play.journal()).pop().unwrap();
    assert_eq!(closing.outcome, End::Escalated);
    let reason = &closing.reason;
    assert!(reason.contains("it was not taken back: cancelled by sre"), "{reason}");
}

fn storms() -> StormLimits {
    StormLimits { percent: 50, min: 2, cool_down: secs(300), inventory: "count(up)".into() }
}

fn asking(guard: impl FnOnce(&mut Policy)) -> Policy {
    let mut asking = policy(vec![Remedy { mode: Mode::Approve, ..remedy("restart") }]);
    asking.mode = Mode::Approve;
    asking.escalate = Escalate::after(secs(600), "critical");
    guard(&mut asking);
    asking
}

#[test]
fn a_storm_is_told_where_each_remedy_asks_for_approval_too() {
    let mut play = witnessed(asking(|policy| policy.guard.storm = Some(storms())));
    play.answer(Answer::Inventory(3));
    fire(&mut play, A);
    fire(&mut play, B);
    assert!(is_held_by(&play, 2, Guard::Storm));
    assert!(about(&play, Guard::Storm).is_some());
}

#[test]
fn a_radius_that_holds_for_long_is_told_where_each_remedy_asks_for_approval_too() {
    let mut play = alone(asking(|policy| {
        let (extent, window) = (Extent::Targets(1), secs(86_400));
        policy.guard.blast_radius = Some(BlastRadius { extent, window });
    }));
    fire(&mut play, A);
    play.approve("sre");
    play.exit("restart", DONE);
    fire(&mut play, B);
    play.advance(secs(601));
    assert!(is_held_by(&play, 2, Guard::BlastRadius));
    assert!(about(&play, Guard::BlastRadius).is_some());
}

#[test]
fn that_a_target_flaps_is_over_once_a_person_is_asked() {
    let mut play = alone(asking(|policy| policy.guard.flap = Some(Damping::default())));
    for _ in 0..3 {
        fire(&mut play, A);
        play.advance(secs(1));
        resolve(&mut play, A);
        play.advance(secs(1));
    }
    fire(&mut play, A);
    assert!(about(&play, Guard::Flap).is_some());
    while is_held_by(&play, play.incident().unwrap().id.0, Guard::Flap) {
        play.advance(secs(60));
        fire(&mut play, A);
    }
    let incident = play.incident().unwrap();
    assert_eq!(incident.stage.as_str(), "awaiting_approval", "{:?}", incident.stage);
    assert!(about(&play, Guard::Flap).is_none());
}

#[test]
fn what_an_operator_tries_again_does_not_flap() {
    let mut damped = policy(vec![remedy("restart")]);
    damped.guard.flap = Some(Damping::default());
    damped.guard.cooldown = secs(0);
    damped.guard.breaker = None;
    let mut play = alone(damped);
    fire(&mut play, A);
    play.exit("restart", FAILED);
    play.advance(secs(1));
    resolve(&mut play, A);
    play.advance(secs(1));
    fire(&mut play, A);
    for _ in 0..4 {
        play.exit("restart", FAILED);
        assert!(matches!(play.retry("sre"), Reply::Taken(_)));
    }
    let subject = play.incident().unwrap().subject();
    assert_eq!(play.state().ledgers().flaps.of(&subject).len(), 1);
}

#[test]
fn a_storm_is_told_though_it_was_told_before_that_the_inventory_is_silent() {
    let mut stormy = policy(vec![remedy("restart")]);
    stormy.guard.storm = Some(storms());
    let mut play = witnessed(stormy);
    play.answer(Answer::InventoryErrs("it has no series".into()));
    fire(&mut play, A);
    fire(&mut play, B);
    assert!(about(&play, Guard::Storm).unwrap().reason.contains("is not known"));
    play.answer(Answer::Inventory(3));
    play.advance(limits::LOOK_AGAIN.saturating_mul(2));
    assert!(is_held_by(&play, 2, Guard::Storm));
    let told = &about(&play, Guard::Storm).unwrap().reason;
    assert!(told.contains("fire at once"), "{told}");
}

#[test]
fn that_an_inventory_is_silent_is_over_when_nothing_asks_for_it_any_more() {
    let mut stormy = policy(vec![remedy("restart")]);
    stormy.guard.storm = Some(storms());
    let mut play = witnessed(stormy);
    play.answer(Answer::InventoryErrs("it has no series".into()));
    fire(&mut play, A);
    assert!(about(&play, Guard::Storm).is_some());
    play.reload(Book::new(Vec::new(), BookLimits::default(), everybody()));
    assert!(about(&play, Guard::Storm).is_none());
}
