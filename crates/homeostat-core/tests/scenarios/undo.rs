//! What follows when a remedy makes something else worse: a person is told, and it is taken back
//! once.

use crate::stage::{
    A, DONE, FAILED, book, closings, everybody, fire, ladder, orders, policy, remedy, resolve,
    secs, start_time, witnessed,
};
use homeostat_core::alert::Door;
use homeostat_core::event::Event;
use homeostat_core::fact::What;
use homeostat_core::hold::{Guard, Hold, Scope};
use homeostat_core::incident::{Closing, End, Stage};
use homeostat_core::label::Matchers;
use homeostat_core::limits;
use homeostat_core::name::{Part, PolicyName};
use homeostat_core::order::{Found, Outcome};
use homeostat_core::plan::Rendered;
use homeostat_core::policy::{
    Action, Book, BookLimits, Breaker, Escalate, Mode, Policy, Rate, Regression, Remedy, Undo,
    Witnesses, Worse,
};
use homeostat_core::request::{BodyTemplate, Method, RequestTemplate, Statuses};
use homeostat_core::scenario::{Answer, Scenario};
use homeostat_core::template::Template;

/// Another trouble of the same target, of those that the policy watches.
const ERRORS: &[(&str, &str)] =
    &[("alertname", "Errors"), ("instance", "a:80"), ("severity", "page")];

fn undoable(name: &str) -> Remedy {
    let action = Action::Exec(vec![
        Template::parse("un{{ remedy }}").unwrap(),
        Template::parse("{{ labels.instance }}").unwrap(),
    ]);
    Remedy { undo: Some(Undo { action, timeout: secs(20) }), ..remedy(name) }
}

fn watching(worse: Worse) -> Policy {
    let matchers = Matchers::parse("severity=\"page\"").unwrap().matchers;
    Policy {
        regression: Some(Regression { matchers, worse }),
        ..policy(vec![undoable("restart"), remedy("reboot")])
    }
}

/// Plays until the remedy has run and made `ERRORS` fire; the next look finds it.
fn worsened(worse: Worse) -> Scenario {
    let mut play = witnessed(watching(worse));
    fire(&mut play, A);
    assert_eq!(orders(&mut play), ["1.restart.1"]);
    play.fire("api", Door::Api, ERRORS);
    play.exit("restart", DONE);
    play
}

fn last_closing(play: &Scenario) -> Closing {
    closings(play.journal()).pop().expect("an incident closed")
}

fn count(play: &Scenario, kind: &str) -> usize {
    play.journal().iter().filter(|fact| fact.what.kind() == kind).count()
}

fn holds(play: &Scenario) -> Vec<Hold> {
    match play.incident().map(|incident| &incident.stage) {
        Some(Stage::Held { holds, .. }) => holds.clone(),
        other => panic!("expected a held incident, found {other:?}"),
    }
}

fn pause(play: &mut Scenario) {
    play.send(Event::Pause { by: "sre".into(), reason: "deploy".into() });
}

fn resume(play: &mut Scenario) {
    play.send(Event::Resume { by: "sre".into(), reason: String::new() });
}

#[test]
fn what_made_something_else_worse_is_told_and_the_ladder_is_not_climbed() {
    let mut play = worsened(Worse::Tell);
    play.end_silently(A);
    play.advance(secs(120));
    let closing = last_closing(&play);
    assert_eq!(closing.outcome, End::Escalated, "though the alert itself was healed");
    assert_eq!(
        *closing.reason,
        *"remedy restart made something else worse: alert Errors fires, which did not before the \
         action"
    );
    assert!(orders(&mut play).is_empty(), "no undo, no next remedy");
    assert_eq!(play.told().next().unwrap().reason, *closing.reason);
}

#[test]
fn what_made_something_else_worse_is_taken_back_once_and_a_person_is_told() {
    let mut play = worsened(Worse::Undo);
    play.advance(secs(1));
    let undo = play.take_orders().pop().expect("the undo runs");
    assert_eq!(undo.order.id.to_string(), "1.restart.1.undo");
    assert_eq!(undo.order.action, Rendered::Exec(vec!["unrestart".into(), "a:80".into()]));
    assert_eq!(undo.order.timeout, secs(20));
    let granted: Vec<Guard> = undo.order.grants.iter().map(|grant| grant.guard).collect();
    assert_eq!(granted, [Guard::Pause, Guard::Lock, Guard::Concurrency, Guard::Regression]);
    let why = undo.order.why.clone().expect("it says what was known");
    assert!(why.evidence[0].answer.contains("Errors fires"), "{why:?}");
    assert_eq!(why.candidates, [], "an undo is no rung");
    let told = &play.told().next().unwrap().reason;
    assert!(told.ends_with("; it is being taken back"), "told before it is over: {told}");
    play.advance(secs(5));
    play.exit("restart", DONE);
    let closing = last_closing(&play);
    assert_eq!(closing.outcome, End::Escalated);
    assert!(closing.reason.ends_with("before the action; it was taken back"), "{}", closing.reason);
    assert_eq!(play.told().count(), 1);
    assert_eq!(play.told().next().unwrap().reason, *closing.reason);
    play.advance(secs(3600));
    assert!(orders(&mut play).is_empty(), "once, and no next remedy");
    assert_eq!(count(&play, "turned_worse"), 1);
}

#[test]
fn what_the_undo_came_to_is_told_as_it_is() {
    for (outcome, told) in [
        (FAILED, "; it was not taken back: its undo exited with code 1"),
        (
            Outcome::NotStarted { reason: "no such file".into() },
            "; it was not taken back: its undo did not start: no such file",
        ),
        (
            Outcome::TimedOut,
            "; whether it was taken back is unknown: its undo ran into its time limit and was ended",
        ),
    ] {
        let mut play = worsened(Worse::Undo);
        play.advance(secs(1));
        assert_eq!(orders(&mut play), ["1.restart.1.undo"]);
        play.exit("restart", outcome.clone());
        let closing = last_closing(&play);
        assert_eq!(closing.outcome, End::Escalated, "{outcome}");
        assert!(closing.reason.ends_with(told), "{}", closing.reason);
        play.advance(secs(600));
        assert!(orders(&mut play).is_empty(), "an undo is neither retried nor undone");
    }
}

#[test]
fn nothing_is_healed_until_it_is_known_that_nothing_else_became_worse() {
    let mut play = witnessed(watching(Worse::Tell));
    fire(&mut play, A);
    play.answer(Answer::NoRule);
    play.exit("restart", DONE);
    resolve(&mut play, A);
    play.advance(secs(30));
    assert!(closings(play.journal()).is_empty());
    play.answer(Answer::PrometheusTruth);
    play.advance(secs(10));
    let closing = last_closing(&play);
    assert_eq!(closing.outcome, End::Healed);
    assert!(closing.reason.ends_with("nothing else became worse"), "{}", closing.reason);
}

#[test]
fn a_resolve_alone_does_not_heal_where_something_else_may_be_worse() {
    let witnesses = Witnesses { prometheuses: Vec::new(), ..everybody() };
    let mut play = Scenario::new(book(watching(Worse::Tell), witnesses), start_time());
    fire(&mut play, A);
    play.answer(Answer::AlertmanagerErrs("refused".into()));
    play.exit("restart", DONE);
    resolve(&mut play, A);
    assert!(closings(play.journal()).is_empty(), "reported, but the listing is not there");
    play.advance(secs(5));
    play.answer(Answer::AlertmanagerTruth);
    play.advance(secs(10));
    assert_eq!(last_closing(&play).outcome, End::Healed);
}

#[test]
fn whether_it_is_worse_being_unknown_goes_to_a_person_and_never_to_the_next_remedy() {
    let mut play = witnessed(watching(Worse::Undo));
    fire(&mut play, A);
    assert_eq!(orders(&mut play), ["1.restart.1"]);
    play.answer(Answer::PrometheusErrs("refused".into()));
    play.exit("restart", DONE);
    play.advance(secs(120));
    let closing = last_closing(&play);
    assert_eq!(closing.outcome, End::Escalated);
    assert!(closing.reason.contains("else became worse is not known"), "{}", closing.reason);
    assert!(orders(&mut play).is_empty(), "unknown undoes nothing and climbs nothing");
}

#[test]
fn where_only_the_others_are_unknown_an_alert_that_fires_on_does_not_climb() {
    let witnesses = Witnesses { prometheuses: Vec::new(), ..everybody() };
    let mut watching = watching(Worse::Undo);
    watching.verify.within = secs(60);
    let mut play = Scenario::new(book(watching, witnesses), start_time());
    fire(&mut play, A);
    assert_eq!(orders(&mut play), ["1.restart.1"]);
    play.exit("restart", DONE);
    for _ in 0..5 {
        play.advance(secs(10));
        play.refresh();
    }
    play.answer(Answer::AlertmanagerEmpty);
    play.advance(secs(60));
    assert_eq!(last_closing(&play).outcome, End::Escalated);
    assert!(orders(&mut play).is_empty());
}

#[test]
fn what_still_fires_and_made_nothing_worse_leads_to_the_next_remedy() {
    let mut play = witnessed(watching(Worse::Undo));
    play.fire("api", Door::Api, ERRORS);
    fire(&mut play, A);
    play.exit("restart", DONE);
    play.advance(secs(61));
    assert_eq!(orders(&mut play), ["1.restart.1", "1.reboot.1"], "it was there before the act");
}

#[test]
fn without_a_listing_nothing_is_done() {
    for (answer, why) in [
        (Answer::PrometheusErrs("refused".into()), "Prometheus main could not be asked: refused"),
        (Answer::RuleUnhealthy("many-to-many".into()), "Prometheus main cannot tell: many-to-many"),
        (Answer::NoRule, "Prometheus main has no rule that could fire such an alert"),
    ] {
        let mut play = witnessed(watching(Worse::Tell));
        play.answer(answer);
        fire(&mut play, A);
        assert!(orders(&mut play).is_empty());
        let why = Hold::NoListing { why: why.to_owned() };
        assert_eq!(holds(&play), [why]);
        play.answer(Answer::PrometheusTruth);
        play.advance(limits::LOOK_AGAIN.saturating_mul(2));
        assert_eq!(orders(&mut play), ["1.restart.1"]);
    }
    let witnesses = Witnesses { prometheuses: Vec::new(), ..everybody() };
    let mut play = Scenario::new(book(watching(Worse::Tell), witnesses), start_time());
    play.answer(Answer::AlertmanagerEmpty);
    fire(&mut play, A);
    assert!(orders(&mut play).is_empty(), "an Alertmanager that just started is no baseline");
}

#[test]
fn a_pause_holds_an_undo_and_a_person_knows_already() {
    let mut play = worsened(Worse::Undo);
    pause(&mut play);
    play.advance(secs(60));
    assert!(orders(&mut play).is_empty());
    assert_eq!(holds(&play).iter().map(Hold::guard).collect::<Vec<_>>(), [Guard::Pause]);
    let part = play.journal().iter().rev().find_map(|fact| match &fact.what {
        What::OrderHeld { part, .. } => Some(*part),
        _ => None,
    });
    assert_eq!(part, Some(Part::Undo));
    assert_eq!(play.told().count(), 1);
    resume(&mut play);
    assert_eq!(orders(&mut play), ["1.restart.1.undo"]);
}

#[test]
fn an_undo_that_is_held_for_long_is_left_to_the_person_who_was_told() {
    for answers in [true, false] {
        let mut play = worsened(Worse::Undo);
        pause(&mut play);
        play.advance(secs(1));
        if !answers {
            play.answer(Answer::PrometheusErrs("refused".into()));
            resume(&mut play);
        }
        play.advance(limits::UNDO_PATIENCE);
        let closing = last_closing(&play);
        assert_eq!(closing.outcome, End::Escalated);
        let told = "; it was not taken back: for 1h it was held";
        assert!(closing.reason.ends_with(told), "{}", closing.reason);
        resume(&mut play);
        play.answer(Answer::PrometheusTruth);
        play.advance(secs(60));
        assert!(orders(&mut play).is_empty());
    }
}

#[test]
fn what_somebody_repaired_meanwhile_is_not_taken_back() {
    let mut play = worsened(Worse::Undo);
    pause(&mut play);
    play.advance(secs(60));
    play.end_silently(ERRORS);
    resume(&mut play);
    play.advance(secs(60));
    assert!(orders(&mut play).is_empty());
    let closing = last_closing(&play);
    assert_eq!(closing.outcome, End::Escalated);
    let told = "; it was not taken back: nothing is worse any more";
    assert!(closing.reason.ends_with(told), "{}", closing.reason);
}

#[test]
fn an_undo_waits_for_an_answer() {
    let mut play = worsened(Worse::Undo);
    pause(&mut play);
    play.advance(secs(10));
    play.answer(Answer::PrometheusErrs("refused".into()));
    resume(&mut play);
    assert_eq!(holds(&play).iter().map(Hold::guard).collect::<Vec<_>>(), [Guard::Regression]);
    assert!(orders(&mut play).is_empty());
    play.answer(Answer::PrometheusTruth);
    play.advance(limits::LOOK_AGAIN.saturating_mul(2));
    assert_eq!(orders(&mut play), ["1.restart.1.undo"]);
}

#[test]
fn an_undo_is_taken_back_though_rate_and_attempts_are_spent_and_its_alert_has_ended() {
    let mut tight = watching(Worse::Undo);
    tight.guard.rate = Rate { max: 1, per: secs(3600) };
    tight.guard.attempts = 1;
    let mut play = witnessed(tight);
    fire(&mut play, A);
    play.fire("api", Door::Api, ERRORS);
    play.exit("restart", DONE);
    pause(&mut play);
    play.advance(secs(1));
    resolve(&mut play, A);
    assert!(closings(play.journal()).is_empty(), "an end does not recover what became worse");
    resume(&mut play);
    let issued = orders(&mut play);
    assert_eq!(issued, ["1.restart.1", "1.restart.1.undo"]);
    let scope = Scope::Policy(PolicyName::new("web"));
    let rate = Rate { max: 1, per: secs(3600) };
    let next = play.state().ledgers().next_token(&scope, rate).unwrap();
    assert!(next > start_time() + secs(3600), "and it is counted: {next}");
}

#[test]
fn concurrency_holds_an_undo_until_another_order_ends() {
    let mut narrow = watching(Worse::Undo);
    narrow.guard.concurrency = 1;
    let mut play = witnessed(narrow);
    let b: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "b:80")];
    fire(&mut play, A);
    fire(&mut play, b);
    play.fire("api", Door::Api, ERRORS);
    play.exit("restart", DONE);
    assert_eq!(orders(&mut play), ["1.restart.1", "2.restart.1"]);
    play.advance(secs(1));
    assert!(orders(&mut play).is_empty());
    play.exit("restart", DONE);
    assert_eq!(orders(&mut play), ["1.restart.1.undo"]);
}

#[test]
fn the_target_stays_locked_until_the_undo_is_over() {
    let mut other = ladder();
    other.name = PolicyName::new("other");
    other.matchers = Matchers::parse("alertname=\"Other\"").unwrap().matchers;
    other.guard.cooldown = secs(0);
    let policies = vec![watching(Worse::Undo), other];
    let mut play =
        Scenario::new(Book::new(policies, BookLimits::default(), everybody()), start_time());
    fire(&mut play, A);
    fire(&mut play, &[("alertname", "Other"), ("instance", "a:80")]);
    play.fire("api", Door::Api, ERRORS);
    play.exit("restart", DONE);
    play.advance(secs(1));
    assert_eq!(orders(&mut play), ["1.restart.1", "1.restart.1.undo"]);
    play.exit("restart", DONE);
    assert_eq!(orders(&mut play), ["2.restart.1"]);
}

#[test]
fn an_undo_that_certainly_did_not_start_runs_after_a_crash_and_is_judged_anew() {
    let mut play = worsened(Worse::Undo);
    play.advance(secs(1));
    assert_eq!(orders(&mut play), ["1.restart.1.undo"]);
    play.crash(&Found::NotStarted);
    assert_eq!(orders(&mut play), ["1.restart.1.undo"], "the same order");
    assert_eq!(count(&play, "order_issued"), 2);
    assert_eq!(count(&play, "order_reissued"), 1);
    play.crash(&Found::NotStarted);
    play.take_orders();
    pause(&mut play);
    play.crash(&Found::NotStarted);
    assert!(orders(&mut play).is_empty());
    play.end_silently(ERRORS);
    resume(&mut play);
    play.advance(secs(60));
    assert_eq!(last_closing(&play).outcome, End::Escalated);
    assert!(orders(&mut play).is_empty());
}

#[test]
fn an_undo_that_a_crash_left_unknown_is_told_once_it_certainly_does_not_run_any_more() {
    let mut play = worsened(Worse::Undo);
    play.advance(secs(1));
    play.crash(&Found::Unknown("no exit is recorded".into()));
    play.take_orders();
    play.end_silently(A);
    play.advance(secs(10));
    resolve(&mut play, A);
    assert!(closings(play.journal()).is_empty(), "it may still run: the locks are kept");
    play.advance(secs(10));
    let closing = last_closing(&play);
    assert_eq!(closing.outcome, End::Escalated, "never healed by an undo");
    assert!(closing.reason.contains("whether it was taken back is unknown"), "{}", closing.reason);
    assert!(orders(&mut play).is_empty(), "never run again blindly");
}

#[test]
fn the_undo_is_the_one_that_was_stored_with_the_order() {
    let mut play = worsened(Worse::Undo);
    let mut changed = watching(Worse::Tell);
    changed.remedies[0].undo = None;
    changed.verify.within = secs(60);
    play.reload(book(changed, everybody()));
    play.advance(secs(1));
    assert_eq!(orders(&mut play), ["1.restart.1.undo"]);
}

#[test]
fn a_policy_that_is_gone_or_in_shadow_takes_nothing_back_and_a_person_is_told() {
    let shadowed = Policy { mode: Mode::Shadow, ..watching(Worse::Undo) };
    let matchers = Matchers::parse("alertname=\"Other\"").unwrap().matchers;
    let gone = Policy { name: PolicyName::new("other"), matchers, ..ladder() };
    for (changed, outcome) in [(shadowed, End::Escalated), (gone, End::Cancelled)] {
        let mut play = worsened(Worse::Undo);
        play.reload(book(changed, everybody()));
        play.advance(secs(120));
        assert!(orders(&mut play).is_empty());
        let closing = last_closing(&play);
        assert_eq!(closing.outcome, outcome, "{}", closing.reason);
        assert!(closing.reason.contains("made something else worse"), "{}", closing.reason);
        assert_eq!(play.told().next().unwrap().reason, *closing.reason);
    }
}

#[test]
fn a_remedy_whose_undo_cannot_be_rendered_is_not_run() {
    let mut watching = watching(Worse::Undo);
    let action = Action::Exec(vec![Template::parse("{{ labels.rack }}").unwrap()]);
    watching.remedies[0].undo = Some(Undo { action, timeout: secs(20) });
    let mut play = witnessed(watching.clone());
    fire(&mut play, A);
    assert!(orders(&mut play).is_empty());
    assert!(last_closing(&play).reason.contains("labels.rack"), "{}", last_closing(&play).reason);
    watching.regression.as_mut().unwrap().worse = Worse::Tell;
    let mut play = witnessed(watching);
    fire(&mut play, A);
    assert_eq!(orders(&mut play), ["1.restart.1"], "nobody would use that undo");
}

#[test]
fn an_undo_carries_a_key_of_its_own() {
    let request = RequestTemplate {
        method: Method::Post,
        url: Template::parse("https://cloud.example/{{ labels.instance | host }}").unwrap(),
        headers: Vec::new(),
        body: BodyTemplate::Nothing,
        expected: vec![Statuses::SUCCESS],
        key_header: Some("Idempotency-Key".into()),
    };
    let mut watching = watching(Worse::Undo);
    watching.remedies[0].action = Action::Http(Box::new(request.clone()));
    let action = Action::Http(Box::new(request));
    watching.remedies[0].undo = Some(Undo { action, timeout: secs(20) });
    let mut play = witnessed(watching);
    fire(&mut play, A);
    play.fire("api", Door::Api, ERRORS);
    play.exit("restart", DONE);
    play.advance(secs(1));
    let keys: Vec<Option<String>> = play
        .take_orders()
        .iter()
        .map(|run| match &run.order.action {
            Rendered::Http(request) => request.headers[0].value.clone(),
            other => panic!("expected a request, found {other}"),
        })
        .collect();
    assert_eq!(keys.len(), 2);
    assert_ne!(keys[0], keys[1], "a service that heeds keys must not take it for a repeat");
}

#[test]
fn nobody_is_told_where_the_policy_says_so() {
    let mut quiet = watching(Worse::Undo);
    quiet.escalate = Escalate::Nobody;
    let mut play = witnessed(quiet);
    fire(&mut play, A);
    play.fire("api", Door::Api, ERRORS);
    play.exit("restart", DONE);
    play.advance(secs(1));
    play.exit("restart", DONE);
    assert_eq!(last_closing(&play).outcome, End::Escalated);
    assert_eq!(play.told().count(), 0);
}

#[test]
fn what_became_worse_cools_down_like_a_healing_that_did_not_hold() {
    let mut play = worsened(Worse::Undo);
    play.advance(secs(1));
    play.exit("restart", DONE);
    play.take_orders();
    resolve(&mut play, A);
    play.end_silently(ERRORS);
    play.advance(secs(10));
    fire(&mut play, A);
    assert_eq!(
        holds(&play).iter().map(Hold::guard).collect::<Vec<_>>(),
        [Guard::Cooldown, Guard::Breaker]
    );
    play.advance(secs(900));
    assert_eq!(orders(&mut play), ["2.restart.1"], "no relapse: it was not healed");
}

#[test]
fn what_made_things_worse_once_opens_the_breaker_and_its_undo_is_no_trial() {
    let mut guarded = watching(Worse::Undo);
    guarded.guard.breaker = Some(Breaker::default());
    guarded.guard.cooldown = secs(1);
    let mut play = witnessed(guarded);
    fire(&mut play, A);
    play.fire("api", Door::Api, ERRORS);
    play.exit("restart", DONE);
    play.advance(secs(1));
    assert_eq!(orders(&mut play), ["1.restart.1", "1.restart.1.undo"], "it does not hold the undo");
    play.exit("restart", DONE);
    fire(&mut play, &[("alertname", "Down"), ("instance", "b:80")]);
    assert_eq!(holds(&play).iter().map(Hold::guard).collect::<Vec<_>>(), [Guard::Breaker]);
}

#[test]
fn orders_of_earlier_versions_read_back_without_a_baseline_and_an_undo() {
    let mut play = worsened(Worse::Undo);
    play.advance(secs(1));
    for fact in play.journal() {
        let written = serde_json::to_value(&fact.what).unwrap();
        let read: What = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(read, fact.what);
        let mut earlier = written;
        if let Some(order) = earlier.get_mut("order").and_then(|o| o.as_object_mut()) {
            order.remove("undo");
            order["proof"].as_object_mut().unwrap().remove("baseline");
        }
        if let Some(reading) = earlier.get_mut("reading").and_then(|r| r.as_object_mut()) {
            reading.remove("change");
        }
        serde_json::from_value::<What>(earlier).unwrap();
    }
}
