//! The ladder across reloads and relapses: from where it goes on, and when a person has it.

use crate::stage::{
    A, A2, DONE, FAILED, alone, book, closings, everybody, fire, ladder, nobody, orders, policy,
    remedy, resolve, secs, witnessed,
};
use homeostat_core::event::Event;
use homeostat_core::hold::Circuit;
use homeostat_core::incident::{Closing, End, Stage};
use homeostat_core::name::{PolicyName, RemedyName};
use homeostat_core::order::{Found, Outcome};
use homeostat_core::policy::{Book, BookLimits, Escalate, Mode, Policy, Remedy};
use homeostat_core::scenario::Scenario;

fn last_closing(play: &Scenario) -> Closing {
    closings(play.journal()).pop().expect("an incident closed")
}

fn retried(name: &str, retries: u32) -> Remedy {
    Remedy { retries, ..remedy(name) }
}

fn no_policy() -> Book {
    Book::new(Vec::new(), BookLimits::default(), everybody())
}

/// Heals by `remedy`, and lets its source say that it resolved.
fn heal(play: &mut Scenario, remedy: &str) {
    play.end_silently(A);
    play.exit(remedy, DONE);
    play.advance(secs(5));
    resolve(play, A);
    assert_eq!(last_closing(play).outcome, End::Healed);
}

#[test]
fn a_relapse_counts_the_attempts_of_the_incident_before_it() {
    let mut short = policy(vec![retried("restart", 1), remedy("reboot")]);
    short.guard.attempts = 2;
    short.guard.cooldown = secs(1);
    let mut play = witnessed(short);
    fire(&mut play, A);
    play.exit("restart", FAILED);
    play.advance(secs(5));
    heal(&mut play, "restart");
    assert_eq!(orders(&mut play), ["1.restart.1", "1.restart.2"]);
    play.advance(secs(60));
    fire(&mut play, A);
    assert!(orders(&mut play).is_empty());
    assert_eq!(last_closing(&play).outcome, End::Escalated);
    assert!(last_closing(&play).reason.starts_with("attempts"), "{}", last_closing(&play).reason);
}

#[test]
fn a_relapse_of_the_last_remedy_is_handed_over_each_time_that_it_comes_back() {
    let mut play = witnessed(Policy { relapse: secs(600), ..policy(vec![remedy("restart")]) });
    fire(&mut play, A);
    heal(&mut play, "restart");
    orders(&mut play);
    for _ in 0..3 {
        play.advance(secs(60));
        fire(&mut play, A);
        assert_eq!(last_closing(&play).outcome, End::Escalated);
        assert_eq!(play.told().count(), 1);
        resolve(&mut play, A);
    }
    assert!(orders(&mut play).is_empty(), "no loops");
    play.advance(secs(600));
    fire(&mut play, A);
    assert_eq!(orders(&mut play), ["5.restart.1"], "the healing has held for long enough");
}

#[test]
fn what_recovers_by_itself_between_is_no_end_of_a_relapse() {
    let mut patient = ladder();
    patient.settle = secs(30);
    patient.guard.cooldown = secs(1);
    let mut play = witnessed(patient);
    fire(&mut play, A);
    play.advance(secs(30));
    heal(&mut play, "restart");
    play.advance(secs(60));
    fire(&mut play, A);
    resolve(&mut play, A);
    assert_eq!(last_closing(&play).outcome, End::Recovered);
    play.advance(secs(60));
    fire(&mut play, A);
    play.advance(secs(30));
    assert_eq!(orders(&mut play), ["1.restart.1", "3.reboot.1"]);
}

#[test]
fn a_retry_is_of_the_remedy_that_failed_wherever_a_reload_puts_it() {
    let mut play = alone(policy(vec![retried("restart", 2), remedy("reboot")]));
    fire(&mut play, A);
    play.exit("restart", FAILED);
    let round = policy(vec![remedy("reboot"), retried("restart", 2)]);
    play.reload(book(round, nobody()));
    play.advance(secs(5));
    assert_eq!(orders(&mut play), ["1.restart.1", "1.restart.2"]);
}

#[test]
fn a_retry_of_a_remedy_that_is_gone_is_handed_over() {
    let mut play = alone(policy(vec![retried("restart", 2), remedy("reboot")]));
    fire(&mut play, A);
    play.exit("restart", FAILED);
    play.reload(book(policy(vec![remedy("kick"), remedy("reboot")]), nobody()));
    play.advance(secs(5));
    assert_eq!(orders(&mut play), ["1.restart.1"]);
    assert_eq!(last_closing(&play).outcome, End::Escalated);
    assert!(last_closing(&play).reason.contains("is gone"), "{}", last_closing(&play).reason);
}

#[test]
fn an_order_that_did_not_start_is_not_taken_for_another_remedy_after_a_reload() {
    let mut play = alone(ladder());
    fire(&mut play, A);
    play.send(homeostat_core::event::Event::Pause { by: "sre".into(), reason: "x".into() });
    play.crash(&Found::NotStarted);
    play.reload(book(policy(vec![remedy("reboot"), remedy("restart")]), nobody()));
    fire(&mut play, A);
    play.send(homeostat_core::event::Event::Resume { by: "sre".into(), reason: String::new() });
    assert_eq!(orders(&mut play), ["1.restart.1", "1.restart.1"], "the same one, once more");
}

#[test]
fn a_policy_that_is_put_back_heals_what_still_fires() {
    let mut patient = ladder();
    patient.settle = secs(30);
    let mut play = witnessed(patient.clone());
    fire(&mut play, A);
    fire(&mut play, A2);
    play.reload(no_policy());
    play.advance(secs(30));
    assert_eq!(last_closing(&play).outcome, End::Cancelled);
    play.advance(secs(60));
    play.reload(book(patient, everybody()));
    let incident = play.incident().unwrap();
    assert_eq!(
        (incident.id.0, incident.episodes.len()),
        (2, 2),
        "one new trouble with both alerts"
    );
    assert_eq!(play.state().incidents().count(), 1);
    play.advance(secs(30));
    assert_eq!(orders(&mut play), ["2.restart.1"]);
}

#[test]
fn a_policy_that_stayed_does_not_heal_again_what_it_gave_up() {
    let mut play = witnessed(policy(vec![remedy("restart")]));
    fire(&mut play, A);
    play.exit("restart", FAILED);
    assert_eq!(last_closing(&play).outcome, End::Escalated);
    play.reload(book(ladder(), everybody()));
    play.reload(no_policy());
    play.reload(book(ladder(), everybody()));
    assert_eq!(play.incident().unwrap().id.0, 1, "it is latched, and a person has it");
    assert_eq!(orders(&mut play), ["1.restart.1"]);
}

#[test]
fn what_a_crash_left_unknown_is_verified_though_its_policy_is_gone() {
    let mut play = witnessed(policy(vec![Remedy { idempotent: true, ..remedy("restart") }]));
    fire(&mut play, A);
    play.reload(no_policy());
    play.crash(&Found::Unknown("no exit is recorded".into()));
    assert!(matches!(play.incident().unwrap().stage, Stage::Verifying(_)));
    play.end_silently(A);
    play.advance(secs(20));
    assert_eq!(last_closing(&play).outcome, End::Healed);
    assert_eq!(orders(&mut play), ["1.restart.1"], "nothing new starts");
}

#[test]
fn what_was_done_is_told_though_the_policy_is_in_shadow_now() {
    let mut play = witnessed(ladder());
    fire(&mut play, A);
    let mut shadow = ladder();
    shadow.mode = Mode::Shadow;
    shadow.remedies.iter_mut().for_each(|remedy| remedy.mode = Mode::Shadow);
    play.reload(book(shadow, everybody()));
    play.exit("restart", FAILED);
    assert_eq!(last_closing(&play).outcome, End::Escalated);
    assert_eq!(play.told().count(), 1);
}

#[test]
fn a_missing_target_label_tells_nobody_in_shadow() {
    for (mode, told) in [(Mode::Shadow, 0), (Mode::Auto, 1)] {
        let mut play = alone(Policy { mode, ..ladder() });
        fire(&mut play, &[("alertname", "Down")]);
        assert_eq!(last_closing(&play).outcome, End::Escalated);
        assert_eq!(play.told().count(), told, "{mode:?}");
    }
}

#[test]
fn the_time_until_a_person_is_told_counts_from_the_opening_through_retries_and_remedies() {
    let mut slow = policy(vec![retried("restart", 1), remedy("reboot")]);
    slow.escalate = Escalate::after(secs(100), "page");
    let mut play = witnessed(slow);
    fire(&mut play, A);
    play.advance(secs(20));
    play.exit("restart", FAILED);
    play.advance(secs(25));
    play.exit("restart", FAILED);
    play.advance(secs(20));
    play.exit("reboot", DONE);
    play.advance(secs(34));
    assert_eq!(play.told().count(), 0);
    play.advance(secs(2));
    assert_eq!(play.told().count(), 1);
    assert!(closings(play.journal()).is_empty(), "healing goes on");
}

/// A reboot that certainly does not start, after a restart that failed.
fn not_started() -> Outcome {
    Outcome::NotStarted { reason: "no such program".into() }
}

#[test]
fn an_order_that_did_not_start_is_not_named_as_the_healer() {
    let mut second = remedy("reboot");
    (second.retries, second.backoff) = (1, secs(60));
    for crashed in [false, true] {
        let mut play = witnessed(policy(vec![remedy("restart"), second.clone()]));
        fire(&mut play, A);
        play.exit("restart", FAILED);
        if crashed {
            play.send(Event::Pause { by: "sre".into(), reason: "deploy".into() });
            play.crash(&Found::NotStarted);
        } else {
            play.exit("reboot", not_started());
        }
        assert_eq!(play.incident().unwrap().order.as_ref().unwrap().id.to_string(), "1.reboot.1");
        resolve(&mut play, A);
        play.advance(secs(20));
        let closing = closings(play.journal()).pop().unwrap();
        assert_eq!(closing.outcome, End::Healed, "{}", closing.reason);
        assert_eq!(closing.remedy, Some(RemedyName::new("restart")), "{}", closing.reason);
        assert!(closing.reason.contains("by remedy restart"), "{}", closing.reason);
        let circuit = Circuit::Remedy(PolicyName::new("web"), RemedyName::new("reboot"));
        assert_eq!(play.state().ledgers().circuits.newest(&circuit).count(), 0);
    }
}

#[test]
fn what_ends_before_any_order_has_started_has_recovered() {
    let mut only = remedy("restart");
    (only.retries, only.backoff) = (1, secs(60));
    let mut play = witnessed(policy(vec![only]));
    fire(&mut play, A);
    play.exit("restart", not_started());
    resolve(&mut play, A);
    play.advance(secs(20));
    assert_eq!(closings(play.journal()).pop().unwrap().outcome, End::Recovered);
}
