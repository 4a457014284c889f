//! The walk of an alert through the core, as scenarios: what is decided, in which order, and why.

use crate::stage::{
    A, A2, B, DONE, FAILED, alone, closings, fire, ladder, orders, policy, remedy, resolve, secs,
    witnessed,
};
use homeostat_core::alert::{Door, Observation, Status};
use homeostat_core::event::{Event, Remark};
use homeostat_core::fact::What;
use homeostat_core::hold::{Guard, Hold};
use homeostat_core::incident::{Closing, End, Stage};
use homeostat_core::label::Matchers;
use homeostat_core::limits::{self, defaults};
use homeostat_core::name::{PolicyName, RemedyName, SourceName};
use homeostat_core::notice::Matter;
use homeostat_core::order::{Ended, Found, Outcome};
use homeostat_core::policy::{
    Book, BookLimits, Escalate, Mode, Policy, PrometheusWitness, Rate, TargetLabels, Witnesses,
};
use homeostat_core::scenario::{Answer, Scenario};
use homeostat_core::template::Template;
use homeostat_core::time::Timestamp;

fn last_closing(scenario: &Scenario) -> Closing {
    closings(scenario.journal()).pop().expect("an incident closed")
}

fn holds(scenario: &Scenario) -> Vec<Guard> {
    match scenario.incident().map(|incident| &incident.stage) {
        Some(Stage::Held { holds, .. }) => holds.iter().map(Hold::guard).collect(),
        other => panic!("expected a held incident, found {other:?}"),
    }
}

/// The first observation of the first alert, to be sent again.
fn first_observation(play: &Scenario) -> Observation {
    let alert = play.journal().iter().find_map(|fact| match &fact.what {
        What::EpisodeBegan { alert, .. } => Some(alert.clone()),
        _ => None,
    });
    Observation {
        alert: alert.unwrap(),
        status: Status::Firing,
        ends_at: None,
        unproven: None,
        by: None,
    }
}

#[test]
fn without_configuration_every_alert_is_recorded_once_and_nothing_runs() {
    let mut play = Scenario::new(Book::observe(), Timestamp::from_seconds(1_000_000));
    assert_eq!(fire(&mut play, A), Some(Remark::Began));
    for _ in 0..12 {
        play.advance(secs(10));
        let before = play.journal().len();
        assert_eq!(fire(&mut play, A), Some(Remark::Repeated));
        assert_eq!(play.journal().len(), before, "repeats write nothing");
    }
    assert_eq!(closings(play.journal()).len(), 1);
    assert_eq!(last_closing(&play).outcome, End::Shadowed);
    assert_eq!(resolve(&mut play, A), Some(Remark::Ended));
    assert!(play.incident().is_none(), "the latch is released");
    assert!(orders(&mut play).is_empty());
}

#[test]
fn a_remedy_that_heals_is_proven_by_the_rule() {
    let mut play = witnessed(ladder());
    fire(&mut play, A);
    assert_eq!(orders(&mut play), ["1.restart.1"]);
    play.advance(secs(2));
    play.end_silently(A);
    play.exit("restart", DONE);
    play.advance(secs(20));
    let closing = last_closing(&play);
    assert_eq!(closing.outcome, End::Healed);
    assert_eq!(closing.remedy, Some(RemedyName::new("restart")));
    assert!(closing.reason.starts_with("confirmed by remedy restart"), "{}", closing.reason);
    assert!(play.incident().is_some(), "latched until its source says that it resolved");
    resolve(&mut play, A);
    assert!(play.incident().is_none());
}

#[test]
fn a_query_must_hold_as_often_in_a_row_as_it_says() {
    let mut with_query = ladder();
    with_query.verify.query =
        Some(Template::parse("up{instance=\"{{ labels.instance }}\"} == 1").unwrap());
    with_query.verify.every = secs(5);
    let mut play = witnessed(with_query);
    play.answer(Answer::Query(1));
    fire(&mut play, A);
    play.end_silently(A);
    play.exit("restart", DONE);
    play.advance(secs(2));
    play.answer(Answer::Query(0));
    play.advance(secs(5));
    play.answer(Answer::Query(1));
    play.advance(secs(10));
    assert!(closings(play.journal()).is_empty(), "held, not, held, held: only two in a row");
    play.advance(secs(5));
    assert_eq!(last_closing(&play).outcome, End::Healed);
    assert!(last_closing(&play).reason.starts_with("proven"));
}

#[test]
fn a_remedy_that_did_not_heal_is_followed_by_the_next_and_then_by_a_person() {
    let mut play = witnessed(ladder());
    fire(&mut play, A);
    play.exit("restart", DONE);
    play.advance(secs(61));
    assert_eq!(orders(&mut play), ["1.restart.1", "1.reboot.1"]);
    play.exit("reboot", DONE);
    play.advance(secs(61));
    let closing = last_closing(&play);
    assert_eq!(closing.outcome, End::Escalated);
    assert!(closing.reason.contains("restart: did not heal"), "{}", closing.reason);
    assert_eq!(play.told().count(), 1);
    let matter = &play.told().next().unwrap().matter;
    assert!(matches!(matter, Matter::Escalation { tried, .. } if tried.len() == 2), "{matter:?}");
    resolve(&mut play, A);
    assert_eq!(play.told().count(), 0, "cleared once the alert ends");
    assert!(play.state().notices().next().is_none());
}

#[test]
fn unknown_never_climbs_the_ladder() {
    for answer in [
        Answer::PrometheusErrs("connection refused".into()),
        Answer::RuleUnhealthy("many-to-many matching".into()),
        Answer::NoRule,
    ] {
        let mut play = witnessed(ladder());
        fire(&mut play, A);
        assert_eq!(orders(&mut play), ["1.restart.1"]);
        play.answer(answer.clone());
        play.exit("restart", DONE);
        play.advance(secs(120));
        assert_eq!(last_closing(&play).outcome, End::Escalated, "{answer:?}");
        assert!(last_closing(&play).reason.contains("unknown"), "{answer:?}");
        assert!(orders(&mut play).is_empty(), "{answer:?}");
    }
}

#[test]
fn with_nothing_but_webhooks_a_success_does_not_lead_to_the_next_remedy() {
    let mut play = alone(ladder());
    fire(&mut play, A);
    assert_eq!(orders(&mut play), ["1.restart.1"]);
    play.exit("restart", DONE);
    for _ in 0..60 {
        play.advance(secs(10));
        fire(&mut play, A);
    }
    assert!(orders(&mut play).is_empty(), "a repeated webhook is no evidence");
    resolve(&mut play, A);
    assert_eq!(last_closing(&play).outcome, End::Healed);
    assert!(last_closing(&play).reason.starts_with("reported"));
}

#[test]
fn with_nothing_but_webhooks_silence_is_unknown() {
    let mut play = alone(ladder());
    fire(&mut play, A);
    play.exit("restart", DONE);
    play.advance(defaults::VERIFY_WITHIN_WEBHOOK);
    assert_eq!(last_closing(&play).outcome, End::Escalated);
    assert_eq!(orders(&mut play).len(), 1);
}

#[test]
fn a_known_failure_is_retried_with_backoff_and_then_given_up() {
    let mut restart = remedy("restart");
    restart.retries = 2;
    let mut play = alone(policy(vec![restart, remedy("reboot")]));
    fire(&mut play, A);
    play.exit("restart", FAILED);
    play.advance(secs(4));
    assert_eq!(orders(&mut play), ["1.restart.1"]);
    play.advance(secs(1));
    assert_eq!(orders(&mut play), ["1.restart.2"]);
    play.exit("restart", Outcome::Signalled { signal: 9 });
    play.advance(secs(10));
    assert_eq!(orders(&mut play), ["1.restart.3"]);
    play.exit("restart", Outcome::NotStarted { reason: "no such file".into() });
    assert_eq!(orders(&mut play), ["1.reboot.1"], "the next remedy follows at once");
}

#[test]
fn a_timeout_is_verified_and_never_retried() {
    let mut restart = remedy("restart");
    restart.retries = 5;
    let mut play = witnessed(policy(vec![restart]));
    fire(&mut play, A);
    play.advance(secs(31));
    assert!(matches!(play.incident().unwrap().stage, Stage::Verifying(_)));
    play.advance(secs(120));
    assert_eq!(orders(&mut play), ["1.restart.1"]);
    assert_eq!(last_closing(&play).outcome, End::Escalated);
}

#[test]
fn what_recovers_before_an_order_is_recovered() {
    let mut patient = ladder();
    patient.settle = secs(60);
    let mut play = alone(patient);
    fire(&mut play, A);
    play.advance(secs(30));
    resolve(&mut play, A);
    assert_eq!(last_closing(&play).outcome, End::Recovered);
    play.advance(secs(60));
    assert!(orders(&mut play).is_empty());
}

#[test]
fn what_resolves_while_the_action_runs_is_still_verified() {
    let mut play = alone(ladder());
    fire(&mut play, A);
    resolve(&mut play, A);
    assert!(closings(play.journal()).is_empty());
    play.exit("restart", DONE);
    let closing = last_closing(&play);
    assert_eq!(closing.outcome, End::Healed);
    assert!(closing.resolved_during_action);
}

#[test]
fn what_lapses_is_cancelled_and_never_healed() {
    let mut patient = ladder();
    patient.settle = secs(100_000);
    patient.lapse = secs(3600);
    let mut play = alone(patient);
    fire(&mut play, A);
    play.advance(secs(1800));
    fire(&mut play, A);
    play.advance(secs(3599));
    assert!(closings(play.journal()).is_empty());
    play.advance(secs(1));
    assert_eq!(last_closing(&play).outcome, End::Cancelled);
    assert!(last_closing(&play).reason.contains("lapsed"));

    let mut play = alone(Policy { lapse: secs(60), ..ladder() });
    fire(&mut play, A);
    play.exit("restart", DONE);
    play.advance(defaults::VERIFY_WITHIN_WEBHOOK);
    assert_eq!(last_closing(&play).outcome, End::Escalated, "a lapse proves nothing");
}

#[test]
fn one_trouble_is_healed_once_however_many_alerts_it_has() {
    let mut play = alone(ladder());
    fire(&mut play, A);
    fire(&mut play, &[("alertname", "Down"), ("instance", "a:80"), ("severity", "page")]);
    play.fire("other", Door::Webhook, A);
    assert_eq!(orders(&mut play), ["1.restart.1"]);
    assert_eq!(play.incident().unwrap().episodes.len(), 3);
}

#[test]
fn an_order_is_told_when_its_resolved_alerts_ended() {
    let mut play = alone(Policy { settle: secs(60), lapse: secs(30), ..ladder() });
    let more: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "a:80"), ("x", "y")];
    let silent: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "a:80"), ("x", "z")];
    fire(&mut play, more);
    fire(&mut play, silent);
    fire(&mut play, A);
    play.advance(secs(10));
    let resolved_at = play.now();
    resolve(&mut play, more);
    play.advance(secs(10));
    fire(&mut play, A);
    play.advance(secs(10));
    let lapsed_at = play.now();
    play.advance(secs(10));
    fire(&mut play, A);
    play.advance(secs(20));
    let run = play.take_orders().remove(0);
    let told: Vec<_> =
        run.alerts.iter().map(|known| (known.alert.labels.get("x"), known.ended_at)).collect();
    let resolved = (Some("y"), Some(resolved_at));
    assert_eq!(told, [(None, None), resolved, (Some("z"), Some(lapsed_at))]);
}

#[test]
fn closing_latches_until_all_alerts_have_ended() {
    let mut play = witnessed(policy(vec![remedy("restart")]));
    fire(&mut play, A);
    play.exit("restart", FAILED);
    play.advance(secs(5));
    assert_eq!(last_closing(&play).outcome, End::Escalated);
    play.fire("main", Door::Webhook, &[("alertname", "Down"), ("instance", "a:80"), ("x", "y")]);
    play.advance(secs(600));
    assert_eq!(orders(&mut play).len(), 1, "a further alert of a closed incident starts nothing");
    resolve(&mut play, A);
    assert!(play.incident().is_some(), "one alert still fires");
}

#[test]
fn an_alert_that_had_no_part_in_the_proof_opens_another_incident() {
    let mut play = witnessed(ladder());
    fire(&mut play, A);
    play.end_silently(A);
    play.exit("restart", DONE);
    play.advance(secs(5));
    assert_eq!(last_closing(&play).outcome, End::Healed);
    play.advance(secs(600));
    fire(&mut play, A2);
    let incident = play.incident().unwrap();
    assert_eq!(incident.relapse_of.map(|id| id.0), Some(1));
    resolve(&mut play, A);
    assert_eq!(play.state().incidents().count(), 1, "the healed one is forgotten by itself");
    assert_eq!(play.incident().unwrap().episodes.len(), 1);
}

#[test]
fn a_relapse_takes_the_next_remedy_after_a_doubled_cooldown() {
    let mut play = witnessed(ladder());
    fire(&mut play, A);
    play.end_silently(A);
    play.exit("restart", DONE);
    play.advance(secs(5));
    resolve(&mut play, A);
    play.advance(secs(10));
    fire(&mut play, A);
    assert_eq!(holds(&play), [Guard::Cooldown]);
    assert_eq!(play.incident().unwrap().relapse_of.unwrap().0, 1);
    orders(&mut play);
    play.advance(secs(580));
    assert!(orders(&mut play).is_empty(), "ten minutes: the healing did not hold");
    play.advance(secs(10));
    assert_eq!(orders(&mut play), ["2.reboot.1"]);
    play.end_silently(A);
    play.exit("reboot", DONE);
    play.advance(secs(5));
    resolve(&mut play, A);
    play.advance(secs(10));
    fire(&mut play, A);
    assert_eq!(last_closing(&play).outcome, End::Escalated, "no remedy is left: no loops");
}

#[test]
fn a_healing_that_held_is_followed_by_the_first_remedy_again() {
    let mut play = witnessed(ladder());
    fire(&mut play, A);
    play.end_silently(A);
    play.exit("restart", DONE);
    play.advance(secs(5));
    resolve(&mut play, A);
    play.advance(secs(1801));
    orders(&mut play);
    fire(&mut play, A);
    assert_eq!(orders(&mut play), ["2.restart.1"]);
    assert_eq!(play.incident().unwrap().relapse_of, None);
}

#[test]
fn the_default_lock_holds_across_policies_until_the_other_closes() {
    let mut other = Policy {
        name: PolicyName::new("disk"),
        matchers: Matchers::parse("alertname=\"Full\"").unwrap().matchers,
        ..policy(vec![remedy("clean")])
    };
    other.guard.cooldown = secs(0);
    let alertmanagers = [SourceName::new("main")].into();
    let mut first = ladder();
    first.verify.within = secs(60);
    let witnesses = Witnesses {
        alertmanagers,
        webhooks: [].into(),
        prometheuses: vec![PrometheusWitness::new("main")],
    };
    let book = Book::new(vec![first, other], BookLimits::default(), witnesses);
    let mut play = Scenario::new(book, Timestamp::from_seconds(1_000_000));
    fire(&mut play, A);
    fire(&mut play, &[("alertname", "Full"), ("instance", "a:80")]);
    assert_eq!(orders(&mut play), ["1.restart.1"]);
    assert_eq!(holds(&play), [Guard::Lock]);
    play.end_silently(A);
    play.exit("restart", DONE);
    assert!(orders(&mut play).is_empty(), "held through verification");
    play.advance(secs(2));
    assert_eq!(orders(&mut play), ["2.clean.1"], "woken by the lock's release");
}

#[test]
fn a_policy_without_a_target_heals_one_thing_at_a_time() {
    let mut play = alone(Policy { target: TargetLabels::All, ..ladder() });
    fire(&mut play, A);
    fire(&mut play, B);
    assert_eq!(orders(&mut play), ["1.restart.1"]);
    assert_eq!(holds(&play), [Guard::Lock]);
}

#[test]
fn named_locks_are_shared_by_targets() {
    let mut locked = ladder();
    locked.guard.locks = vec![Template::parse("web/{{ labels.alertname }}").unwrap()];
    let mut play = alone(locked);
    fire(&mut play, A);
    fire(&mut play, B);
    assert_eq!(orders(&mut play), ["1.restart.1"]);
    assert_eq!(holds(&play), [Guard::Lock]);
}

#[test]
fn concurrency_holds_and_an_ended_order_wakes_the_next() {
    let mut narrow = ladder();
    narrow.guard.concurrency = 1;
    let mut play = alone(narrow);
    fire(&mut play, A);
    fire(&mut play, B);
    assert_eq!(holds(&play), [Guard::Concurrency]);
    orders(&mut play);
    play.exit("restart", DONE);
    assert_eq!(orders(&mut play), ["2.restart.1"]);
}

#[test]
fn the_rate_holds_until_its_next_token() {
    let mut slow = ladder();
    slow.guard.rate = Rate { max: 1, per: secs(60) };
    let mut play = alone(slow);
    fire(&mut play, A);
    fire(&mut play, B);
    assert_eq!(orders(&mut play), ["1.restart.1"]);
    assert_eq!(holds(&play), [Guard::Rate]);
    play.advance(secs(59));
    assert!(orders(&mut play).is_empty());
    play.advance(secs(1));
    assert_eq!(orders(&mut play), ["2.restart.1"]);
}

#[test]
fn attempts_end_the_ladder_early() {
    let mut few = ladder();
    few.guard.attempts = 1;
    let mut play = alone(few);
    fire(&mut play, A);
    play.exit("restart", FAILED);
    assert_eq!(last_closing(&play).outcome, End::Escalated);
    assert!(last_closing(&play).reason.contains("attempts"));
    assert_eq!(orders(&mut play).len(), 1);
}

#[test]
fn a_pause_holds_and_survives_a_restart_and_verification_goes_on() {
    let mut play = witnessed(ladder());
    fire(&mut play, A);
    play.send(Event::Pause { by: "sre".into(), reason: "deploy".into() });
    play.end_silently(A);
    play.exit("restart", DONE);
    play.advance(secs(5));
    assert_eq!(last_closing(&play).outcome, End::Healed);
    fire(&mut play, B);
    play.crash(&Found::NotStarted);
    orders(&mut play);
    play.advance(secs(600));
    assert_eq!(holds(&play), [Guard::Pause]);
    fire(&mut play, B);
    play.send(Event::Resume { by: "sre".into(), reason: String::new() });
    assert_eq!(orders(&mut play), ["2.restart.1"]);
}

#[test]
fn what_its_alertmanager_does_not_list_is_not_acted_on() {
    for (answer, guard) in [
        (Answer::AlertmanagerErrs("timeout".into()), Guard::Fresh),
        (Answer::AlertmanagerEmpty, Guard::Fresh),
        (Answer::Silenced("silence 123".into()), Guard::Silence),
    ] {
        let mut play = witnessed(ladder());
        play.answer(answer);
        fire(&mut play, A);
        assert_eq!(holds(&play), [guard]);
        play.advance(secs(300));
        assert!(orders(&mut play).is_empty());
        play.answer(Answer::AlertmanagerTruth);
        play.advance(limits::LOOK_AGAIN_CAP);
        assert_eq!(orders(&mut play)[0], "1.restart.1");
    }
}

#[test]
fn an_old_observation_is_not_fresh_where_nobody_can_be_asked() {
    let mut slow = ladder();
    slow.settle = secs(300);
    let mut play = alone(slow);
    fire(&mut play, A);
    play.advance(secs(301));
    assert_eq!(holds(&play), [Guard::Fresh]);
    fire(&mut play, A);
    assert_eq!(orders(&mut play), ["1.restart.1"], "a repeat is what it waits for");
}

#[test]
fn an_application_vouches_for_its_own_alert_until_its_end() {
    let mut play = witnessed(ladder());
    play.answer(Answer::NoRule);
    play.fire("api", Door::Api, A);
    assert_eq!(orders(&mut play), ["1.restart.1"]);
    play.exit("restart", FAILED);
    assert_eq!(orders(&mut play), ["1.reboot.1"]);
    play.advance(limits::RESOLVE_TIMEOUT);
    let ended = play.journal().iter().any(|fact| fact.what.kind() == "episode_ended");
    assert!(ended, "an alert that is no longer refreshed lapses");
}

#[test]
fn a_stale_firing_starts_nothing_unless_a_witness_confirms_it() {
    let mut play = alone(ladder());
    fire(&mut play, A);
    let stale = first_observation(&play);
    play.advance(secs(5));
    resolve(&mut play, A);
    play.exit("restart", DONE);
    assert_eq!(play.observe(stale.clone()), Some(Remark::Stale));
    assert_eq!(orders(&mut play).len(), 1);

    let mut play = witnessed(ladder());
    fire(&mut play, A);
    play.advance(secs(5));
    resolve(&mut play, A);
    assert_eq!(play.observe(stale.clone()), Some(Remark::Doubted));
    assert!(play.state().all_firing().next().is_none(), "the witness does not confirm it");
    play.remember(&stale);
    assert_eq!(play.observe(stale), Some(Remark::Doubted));
    assert_eq!(play.state().all_firing().count(), 1, "the witness confirms it");
}

#[test]
fn our_own_alerts_open_nothing() {
    let mut play = alone(ladder());
    let own = [("alertname", "Down"), ("instance", "a:80"), ("homeostat", "escalation")];
    assert_eq!(fire(&mut play, &own), Some(Remark::Own));
    assert!(play.incident().is_none());
}

#[test]
fn a_missing_target_label_is_handed_over_and_nothing_runs() {
    let mut play = alone(ladder());
    fire(&mut play, &[("alertname", "Down")]);
    assert_eq!(last_closing(&play).outcome, End::Escalated);
    assert!(last_closing(&play).reason.contains("instance"));
    assert_eq!(play.told().count(), 1);
    assert!(orders(&mut play).is_empty());
    resolve(&mut play, &[("alertname", "Down")]);
    assert_eq!(play.told().count(), 0);
}

#[test]
fn a_label_that_cannot_be_carried_is_handed_over_and_others_go_on() {
    let mut play = alone(ladder());
    fire(&mut play, &[("alertname", "Down"), ("instance", "-rf")]);
    assert_eq!(last_closing(&play).outcome, End::Escalated);
    fire(&mut play, A);
    assert_eq!(orders(&mut play), ["2.restart.1"]);
}

#[test]
fn a_crash_before_the_start_runs_the_same_order_once() {
    let mut play = alone(ladder());
    fire(&mut play, A);
    assert_eq!(orders(&mut play), ["1.restart.1"]);
    play.advance(secs(1));
    play.crash(&Found::NotStarted);
    assert_eq!(orders(&mut play), ["1.restart.1"], "the same id: it began a second ago");
    assert_eq!(play.incident().unwrap().ladder.orders, 1, "not charged twice");
}

#[test]
fn after_a_crash_what_began_long_ago_waits_until_it_is_mentioned() {
    let mut policy = ladder();
    policy.guard.fresh_max_age = secs(10);
    let mut play = alone(policy);
    fire(&mut play, A);
    orders(&mut play);
    play.advance(secs(11));
    play.crash(&Found::NotStarted);
    assert!(orders(&mut play).is_empty(), "nobody has vouched for it since the restart");
    fire(&mut play, A);
    assert_eq!(orders(&mut play), ["1.restart.1"], "the same id");
}

#[test]
fn a_crash_while_it_ran_is_unknown_and_verified_and_not_run_again() {
    let mut play = witnessed(ladder());
    fire(&mut play, A);
    orders(&mut play);
    play.crash(&Found::Unknown("no exit is recorded".into()));
    assert!(matches!(play.incident().unwrap().stage, Stage::Verifying(_)));
    play.end_silently(A);
    play.advance(secs(10));
    assert_eq!(last_closing(&play).outcome, End::Healed);
    assert!(orders(&mut play).is_empty());
}

#[test]
fn a_crash_while_an_idempotent_action_ran_runs_it_again() {
    let mut restart = remedy("restart");
    restart.idempotent = true;
    let mut play = witnessed(policy(vec![restart]));
    fire(&mut play, A);
    orders(&mut play);
    play.crash(&Found::Unknown("no exit is recorded".into()));
    assert_eq!(orders(&mut play), ["1.restart.2"]);
}

#[test]
fn an_outcome_found_after_a_crash_is_taken() {
    let mut play = alone(ladder());
    fire(&mut play, A);
    orders(&mut play);
    fire(&mut play, A);
    let ended =
        Ended { outcome: FAILED, started_at: None, output: String::new(), left: Vec::new() };
    play.crash(&Found::Ended(ended));
    fire(&mut play, A);
    play.advance(secs(60));
    assert_eq!(orders(&mut play), ["1.reboot.1"]);
}

#[test]
fn a_person_is_told_when_it_takes_long_and_healing_goes_on() {
    let mut slow = ladder();
    slow.escalate = Escalate::after(secs(20), "page");
    let mut play = witnessed(slow);
    fire(&mut play, A);
    play.advance(secs(21));
    assert_eq!(play.told().next().unwrap().severity, "page");
    play.end_silently(A);
    play.exit("restart", DONE);
    play.advance(secs(5));
    assert_eq!(last_closing(&play).outcome, End::Healed);
    resolve(&mut play, A);
    assert_eq!(play.told().count(), 0);
}

#[test]
fn an_alert_that_fires_on_after_its_healing_is_told_after_a_day() {
    let mut play = witnessed(ladder());
    fire(&mut play, A);
    let repeat = first_observation(&play);
    play.end_silently(A);
    play.exit("restart", DONE);
    play.advance(secs(5));
    for _ in 0..24 {
        assert_eq!(play.told().count(), 0);
        play.advance(secs(3600));
        assert_eq!(play.observe(repeat.clone()), Some(Remark::Repeated));
    }
    assert_eq!(play.told().count(), 1);
}

#[test]
fn shadow_records_and_does_nothing() {
    let mut shadow = ladder();
    shadow.mode = Mode::Shadow;
    shadow.remedies.iter_mut().for_each(|remedy| remedy.mode = Mode::Shadow);
    let mut play = witnessed(shadow);
    fire(&mut play, A);
    assert_eq!(last_closing(&play).outcome, End::Shadowed);
    let shadowed = play.journal().iter().filter(|fact| fact.what.kind() == "remedy_shadowed");
    assert_eq!(shadowed.count(), 2);
    assert!(orders(&mut play).is_empty());
}

#[test]
fn a_shadow_rung_is_recorded_and_skipped() {
    let mut first = remedy("restart");
    first.mode = Mode::Shadow;
    let mut play = alone(policy(vec![first, remedy("reboot")]));
    fire(&mut play, A);
    assert_eq!(orders(&mut play), ["1.reboot.1"]);
}

#[test]
fn a_reload_judges_held_incidents_anew_and_takes_alerts_that_fire() {
    let mut narrow = ladder();
    narrow.guard.concurrency = 1;
    let mut play = alone(narrow);
    fire(&mut play, A);
    fire(&mut play, B);
    let other: &[(&str, &str)] = &[("alertname", "Full"), ("instance", "c:80")];
    fire(&mut play, other);
    assert_eq!(orders(&mut play), ["1.restart.1"]);
    let disk = Policy {
        name: PolicyName::new("disk"),
        matchers: Matchers::parse("alertname=\"Full\"").unwrap().matchers,
        ..policy(vec![remedy("clean")])
    };
    let book = Book::new(vec![ladder(), disk], BookLimits::default(), Witnesses::default());
    play.reload(book);
    assert_eq!(orders(&mut play), ["2.restart.1", "3.clean.1"]);
}

#[test]
fn a_removed_policy_cancels_after_the_running_order_is_verified() {
    let mut play = witnessed(ladder());
    fire(&mut play, A);
    let alertmanagers = [SourceName::new("main")].into();
    let witnesses = Witnesses {
        alertmanagers,
        webhooks: [].into(),
        prometheuses: vec![PrometheusWitness::new("main")],
    };
    play.reload(Book::new(Vec::new(), BookLimits::default(), witnesses));
    play.exit("restart", DONE);
    assert!(matches!(play.incident().unwrap().stage, Stage::Verifying(_)));
    play.advance(secs(120));
    assert_eq!(last_closing(&play).outcome, End::Cancelled);
    assert_eq!(orders(&mut play).len(), 1);
}

#[test]
fn a_remedy_that_is_gone_from_the_policy_is_handed_over() {
    let mut play = alone(ladder());
    fire(&mut play, A);
    let renamed = policy(vec![remedy("kick"), remedy("reboot")]);
    play.reload(Book::new(vec![renamed], BookLimits::default(), Witnesses::default()));
    play.exit("restart", FAILED);
    assert_eq!(last_closing(&play).outcome, End::Escalated);
    assert!(last_closing(&play).reason.contains("gone"));
}

#[test]
fn policies_are_tried_in_file_order_and_the_first_takes_the_alert() {
    let named = |name: &str, matchers: &str| Policy {
        name: PolicyName::new(name),
        matchers: Matchers::parse(matchers).unwrap().matchers,
        ..policy(vec![remedy("restart")])
    };
    let mut first = named("any", "");
    first.continues = true;
    let policies = vec![
        named("other", "alertname=\"Other\""),
        first,
        named("down", "alertname=\"Down\""),
        named("late", "alertname=~\"Do.*\""),
    ];
    let book = Book::new(policies, BookLimits::default(), Witnesses::default());
    let labels = homeostat_core::label::LabelSet::from_pairs(A.iter().copied());
    let taking: Vec<&str> = book.taking(&labels).iter().map(|p| p.name.as_str()).collect();
    assert_eq!(taking, ["any", "down"]);
}

#[test]
fn facts_read_back_as_they_were_written() {
    let mut play = witnessed(ladder());
    fire(&mut play, A);
    play.exit("restart", FAILED);
    play.exit("reboot", DONE);
    play.advance(secs(120));
    resolve(&mut play, A);
    play.send(Event::Pause { by: "sre".into(), reason: "x".into() });
    assert!(play.journal().len() > 12);
    for fact in play.journal() {
        let written = serde_json::to_string(&fact.what).unwrap();
        let read: What = serde_json::from_str(&written).unwrap();
        assert_eq!(read, fact.what, "{written}");
    }
}
