//! Where guards, operators' words and undos meet.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its own constants must fail")]

mod stage;

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
use stage::{
    A, B, DONE, FAILED, alone, closings, everybody, fire, orders, policy, remedy, resolve, secs,
    witnessed,
};

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
    assert_eq!(orders(&mut play), ["1.restart.1"]);
    let closing = closings(play.journal()).pop().unwrap();
    assert_eq!(closing.outcome, End::Escalated);
    let reason = &closing.reason;
    assert!(reason.contains("it was not taken back: cancelled by sre"), "{reason}");
}
