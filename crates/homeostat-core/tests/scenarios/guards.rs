//! The guards that look at the time, at the watchdog and at how it went before: each holds, says
//! why, lets go at the right moment, and knows after a crash what it knew before.

use std::sync::Arc;

use crate::stage::{
    A, B, DONE, FAILED, closings, everybody, fire, ladder, orders, remedy, resolve, secs,
    start_time, witnessed,
};
use homeostat_core::alert::Door;
use homeostat_core::event::Event;
use homeostat_core::fact::{Fact, What};
use homeostat_core::hold::{Guard, Hold};
use homeostat_core::incident::Stage;
use homeostat_core::interval::{Part, TimeInterval};
use homeostat_core::label::Matchers;
use homeostat_core::name::{CircuitName, PolicyName};
use homeostat_core::notice::{Matter, Notice, Topic};
use homeostat_core::order::Found;
use homeostat_core::policy::{
    Book, BookLimits, Breaker, Damping, Escalate, GuardLimits, Policy, Rate, TargetLabels, Watchdog,
};
use homeostat_core::scenario::{Answer, Scenario};
use homeostat_core::time::{Span, Timestamp};
use jiff::tz::TimeZoneDatabase;

const C: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "c:80")];
const WATCHDOG: &[(&str, &str)] = &[("alertname", "Watchdog"), ("severity", "none")];

fn minutes(minutes: u64) -> Span {
    secs(minutes * 60)
}

/// A policy that nobody else than the guard in question holds, and that tells nobody.
fn with(guard: impl FnOnce(&mut GuardLimits)) -> Policy {
    let mut policy = ladder();
    policy.escalate = Escalate::Nobody;
    policy.guard.cooldown = Span::ZERO;
    policy.guard.rate = Rate { max: 1000, per: secs(3600) };
    policy.guard.concurrency = 100;
    guard(&mut policy.guard);
    policy
}

fn reasons(play: &Scenario) -> Vec<(Guard, String)> {
    match play.incident().map(|incident| &incident.stage) {
        Some(Stage::Held { holds, .. }) => {
            holds.iter().map(|hold| (hold.guard(), hold.to_string())).collect()
        }
        other => panic!("expected a held incident, found {other:?}"),
    }
}

fn reason(play: &Scenario) -> String {
    let mut reasons = reasons(play);
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    reasons.remove(0).1
}

fn held_until(play: &Scenario) -> Option<Timestamp> {
    match play.incident().map(|incident| &incident.stage) {
        Some(Stage::Held { until, .. }) => *until,
        other => panic!("expected a held incident, found {other:?}"),
    }
}

fn crash(play: &mut Scenario) {
    play.crash(&Found::NotStarted);
}

fn business_hours() -> Vec<Arc<TimeInterval>> {
    let zone = TimeZoneDatabase::bundled().get("Europe/Berlin").unwrap();
    let part = Part {
        times: std::iter::once(9 * 60..17 * 60).collect(),
        weekdays: vec![1..=5],
        days_of_month: Vec::new(),
        months: Vec::new(),
        years: Vec::new(),
        zone,
    };
    vec![Arc::new(TimeInterval { name: "business-hours".into(), parts: vec![part] })]
}

#[test]
fn a_freeze_holds_to_its_very_end_and_through_a_crash() {
    let mut play = witnessed(with(|guard| guard.freeze = business_hours()));
    fire(&mut play, A);
    assert_eq!(
        reason(&play),
        "freeze: frozen by time interval business-hours until 2026-01-05T17:00 Europe/Berlin"
    );
    assert_eq!(held_until(&play), Some("2026-01-05T16:00:00Z".parse().unwrap()));
    let written = play.journal().len();
    play.advance(secs(3600));
    assert_eq!(play.journal().len(), written, "nobody looks before it ends");
    crash(&mut play);
    play.advance(secs(6 * 3600 - 1));
    assert!(orders(&mut play).is_empty(), "15:59:59");
    play.advance(secs(1));
    assert_eq!(orders(&mut play), ["1.restart.1"], "16:00:00");
}

#[test]
fn a_freeze_holds_the_next_remedy_of_an_incident_that_has_acted() {
    let mut play = witnessed(with(|_| {}));
    fire(&mut play, A);
    assert_eq!(orders(&mut play), ["1.restart.1"]);
    let frozen = with(|guard| guard.freeze = business_hours());
    play.reload(Book::new(vec![frozen], BookLimits::default(), everybody()));
    play.exit("restart", FAILED);
    assert_eq!(reasons(&play)[0].0, Guard::Freeze);
    play.advance(secs(7 * 3600));
    assert_eq!(orders(&mut play), ["1.reboot.1"]);
}

fn watched() -> Policy {
    let matchers = Matchers::parse("alertname=\"Watchdog\"").unwrap().matchers;
    with(|guard| guard.watchdog = Some(Watchdog { matchers, max_age: minutes(5) }))
}

#[test]
fn nothing_is_done_until_the_watchdog_is_heard_of() {
    let mut play = witnessed(watched());
    fire(&mut play, A);
    assert_eq!(
        reason(&play),
        "watchdog: monitoring is blind: the watchdog {alertname = \"Watchdog\"} does not fire; it \
         always should"
    );
    assert_eq!(held_until(&play), None, "only the watchdog itself ends it");
    let written = play.journal().len();
    play.advance(secs(3600));
    assert_eq!(play.journal().len(), written);
    fire(&mut play, WATCHDOG);
    assert_eq!(orders(&mut play), ["1.restart.1"], "at once, though no policy takes the watchdog");
}

#[test]
fn a_watchdog_that_is_heard_of_too_seldom_holds() {
    let mut play = witnessed(watched());
    fire(&mut play, WATCHDOG);
    let written = play.journal().len();
    play.advance(minutes(5));
    fire(&mut play, WATCHDOG);
    assert_eq!(play.journal().len(), written, "repeats write nothing");
    play.advance(minutes(5));
    fire(&mut play, A);
    assert_eq!(orders(&mut play), ["1.restart.1"], "five minutes are young enough");
    play.advance(secs(1));
    fire(&mut play, B);
    assert_eq!(
        reason(&play),
        "watchdog: monitoring is blind: the watchdog {alertname = \"Watchdog\"} was last mentioned \
         5m1s ago, and must be every 5m"
    );
    fire(&mut play, WATCHDOG);
    assert_eq!(orders(&mut play), ["2.restart.1"]);
    let seen = |fact: &&Fact| matches!(fact.what, What::WatchdogSeen { .. });
    assert_eq!(play.journal().iter().filter(seen).count(), 1, "written only where somebody waits");
}

#[test]
fn after_a_restart_the_watchdog_must_be_heard_of_again() {
    let mut play = witnessed(watched());
    fire(&mut play, WATCHDOG);
    crash(&mut play);
    fire(&mut play, A);
    assert!(
        reason(&play)
            .ends_with("has not been mentioned since the engine started or its clock jumped")
    );
    crash(&mut play);
    play.advance(minutes(1));
    assert!(orders(&mut play).is_empty());
    fire(&mut play, WATCHDOG);
    assert_eq!(orders(&mut play), ["1.restart.1"]);
}

#[test]
fn a_watchdog_that_resolves_holds() {
    let mut play = witnessed(watched());
    fire(&mut play, WATCHDOG);
    play.advance(secs(1));
    resolve(&mut play, WATCHDOG);
    fire(&mut play, A);
    assert_eq!(reasons(&play)[0].0, Guard::Watchdog);
}

#[test]
fn a_reload_finds_the_watchdog_among_what_fires() {
    let mut play = witnessed(with(|_| {}));
    fire(&mut play, WATCHDOG);
    play.reload(Book::new(vec![watched()], BookLimits::default(), everybody()));
    fire(&mut play, A);
    assert_eq!(orders(&mut play), ["1.restart.1"]);
}

#[test]
fn all_who_wait_for_the_watchdog_go_on() {
    let mut play = witnessed(watched());
    for number in 0..50 {
        let instance = format!("host-{number}:80");
        fire(&mut play, &[("alertname", "Down"), ("instance", &instance)]);
    }
    let mut book = Book::new(vec![watched()], BookLimits::default(), everybody());
    book.limits.concurrency = 100;
    book.limits.rate.max = 1000;
    play.reload(book);
    assert!(orders(&mut play).is_empty());
    fire(&mut play, WATCHDOG);
    assert_eq!(orders(&mut play).len(), 50);
}

/// Lets an alert come and go, and come back; each time a second later.
fn flap(play: &mut Scenario, times: u32) {
    for _ in 0..times {
        fire(play, A);
        play.advance(secs(1));
        resolve(play, A);
        play.advance(secs(1));
    }
    fire(play, A);
}

fn damped() -> Policy {
    let mut policy = with(|guard| guard.flap = Some(Damping::default()));
    policy.settle = secs(10);
    policy
}

#[test]
fn a_trouble_that_comes_and_goes_is_let_be_until_it_calmed_down() {
    let mut play = witnessed(damped());
    flap(&mut play, 3);
    let last_flap = play.now();
    play.advance(secs(10));
    let text = reason(&play);
    assert!(
        text.starts_with(
            "flap: it began again 3 times after it had ended: its penalty rose above 2000, is 29"
        ),
        "{text}"
    );
    let until = held_until(&play).unwrap();
    let held = until.since(last_flap);
    assert!(minutes(29) < held && held < minutes(30), "{held}");
    crash(&mut play);
    play.advance(until.since(play.now()).saturating_sub(secs(1)));
    assert!(orders(&mut play).is_empty());
    play.advance(secs(1));
    assert_eq!(orders(&mut play), ["4.restart.1"]);
}

#[test]
fn a_person_is_told_once_for_all_targets_that_flap() {
    let mut policy = damped();
    policy.escalate = Escalate::after(minutes(600), "page");
    let mut play = witnessed(policy);
    flap(&mut play, 3);
    for _ in 0..3 {
        fire(&mut play, B);
        play.advance(secs(1));
        resolve(&mut play, B);
        play.advance(secs(1));
    }
    fire(&mut play, B);
    play.advance(secs(10));
    assert_eq!(play.state().incidents().count(), 2);
    let told: Vec<&Notice> = play.told().collect();
    assert_eq!(told.len(), 1);
    assert!(told[0].reason.starts_with("{instance=\"a:80\"}: flap: "), "{}", told[0].reason);
    crash(&mut play);
    resolve(&mut play, A);
    assert_eq!(play.told().count(), 1, "the other is still let be");
    play.advance(minutes(31));
    assert_eq!(orders(&mut play).len(), 1);
    assert_eq!(play.told().count(), 0);
    assert_eq!(play.state().notices().len(), 0);
}

#[test]
fn two_flaps_are_not_many_and_other_targets_do_not_count() {
    let mut play = witnessed(damped());
    flap(&mut play, 2);
    fire(&mut play, B);
    play.advance(secs(10));
    assert_eq!(orders(&mut play).len(), 2);
}

#[test]
fn flaps_are_not_damped_unless_asked_for() {
    let mut policy = damped();
    policy.guard.flap = None;
    let mut play = witnessed(policy);
    flap(&mut play, 8);
    play.advance(secs(10));
    assert_eq!(orders(&mut play).len(), 1);
}

#[test]
fn an_alert_that_comes_and_goes_under_an_action_flaps_too() {
    let mut play = witnessed(with(|guard| guard.flap = Some(Damping::default())));
    fire(&mut play, A);
    for _ in 0..3 {
        play.advance(secs(1));
        resolve(&mut play, A);
        play.advance(secs(1));
        fire(&mut play, A);
    }
    assert_eq!(orders(&mut play), ["1.restart.1"]);
    play.exit("restart", FAILED);
    assert_eq!(reasons(&play)[0].0, Guard::Flap);
}

fn target(number: u32) -> Vec<(&'static str, String)> {
    vec![("alertname", "Down".to_owned()), ("instance", format!("host-{number}:80"))]
}

fn fire_at(play: &mut Scenario, number: u32) {
    let labels = target(number);
    let labels: Vec<(&str, &str)> = labels.iter().map(|(n, v)| (*n, v.as_str())).collect();
    play.fire("main", Door::Webhook, &labels);
}

fn end_at(play: &mut Scenario, number: u32) {
    let labels = target(number);
    let labels: Vec<(&str, &str)> = labels.iter().map(|(n, v)| (*n, v.as_str())).collect();
    play.end_silently(&labels);
}

fn one_rung() -> Policy {
    let mut policy = with(|_| {});
    policy.remedies = vec![remedy("restart")];
    policy.verify.within = secs(60);
    policy
}

/// Three targets on which the remedy fails, in three ways.
fn broken() -> Scenario {
    let mut play = witnessed(one_rung());
    fire_at(&mut play, 1);
    play.exit("restart", FAILED);
    fire_at(&mut play, 2);
    play.exit("restart", DONE);
    play.advance(secs(61));
    fire_at(&mut play, 3);
    play.advance(secs(30));
    assert_eq!(orders(&mut play), ["1.restart.1", "2.restart.1", "3.restart.1"]);
    play
}

#[test]
fn a_remedy_that_failed_three_times_is_not_run_for_a_while() {
    let mut play = broken();
    let opened = play.now();
    crash(&mut play);
    fire_at(&mut play, 4);
    let until = opened + minutes(15);
    assert_eq!(held_until(&play), Some(until));
    let text = reason(&play);
    let told = [
        "breaker: remedy restart of policy web failed 3 times of the last 3",
        "(incident 3: ran into its time limit and was ended; incident 2: did not heal within 1m",
        "incident 1: exited with code 1); one trial may run at 2026-01-05T09:16:31Z",
    ];
    assert!(told.iter().all(|part| text.contains(part)), "{text}");
    play.advance(until.since(play.now()).saturating_sub(secs(1)));
    assert!(orders(&mut play).is_empty());
    play.advance(secs(1));
    assert_eq!(orders(&mut play), ["4.restart.1"]);
}

#[test]
fn a_half_open_breaker_lets_one_try_and_its_success_lets_all_go() {
    let mut play = broken();
    fire_at(&mut play, 4);
    fire_at(&mut play, 5);
    play.advance(minutes(15));
    assert_eq!(orders(&mut play), ["4.restart.1"]);
    assert_eq!(
        reason(&play),
        "breaker: remedy restart of policy web failed too often, and incident 4 tries it first"
    );
    crash(&mut play);
    let written = orders(&mut play);
    assert_eq!(written, ["4.restart.1"], "it had not started: it is issued again");
    end_at(&mut play, 4);
    play.exit("restart", DONE);
    play.advance(secs(20));
    assert_eq!(closings(play.journal()).last().unwrap().outcome.as_str(), "healed");
    assert_eq!(orders(&mut play), ["5.restart.1"]);
}

#[test]
fn a_trial_that_fails_opens_the_breaker_again() {
    let mut play = broken();
    fire_at(&mut play, 4);
    fire_at(&mut play, 5);
    play.advance(minutes(15));
    assert_eq!(orders(&mut play), ["4.restart.1"]);
    play.exit("restart", FAILED);
    assert_eq!(held_until(&play), Some(play.now() + minutes(15)));
    play.advance(minutes(15));
    assert_eq!(orders(&mut play), ["5.restart.1"]);
}

#[test]
fn a_trial_that_a_changed_ladder_ends_keeps_nobody_waiting() {
    let renamed = |name: &str, retries: u32| {
        let mut policy = one_rung();
        policy.remedies = vec![remedy(name)];
        policy.remedies[0].retries = retries;
        Book::new(vec![policy], BookLimits::default(), everybody())
    };
    let mut play = broken();
    play.reload(renamed("restart", 1));
    fire_at(&mut play, 4);
    play.advance(minutes(15));
    play.exit("restart", FAILED);
    play.reload(renamed("reload", 0));
    play.advance(secs(5));
    assert_eq!(orders(&mut play), ["4.restart.1"], "it is gone: a person has incident 4");
    play.reload(renamed("restart", 1));
    fire_at(&mut play, 5);
    play.advance(minutes(15));
    assert_eq!(orders(&mut play), ["5.restart.1"], "incident 4 does not try it any more");
}

#[test]
fn a_run_with_its_retries_is_one_result() {
    let mut policy = one_rung();
    policy.remedies[0].retries = 5;
    let mut play = witnessed(policy);
    fire_at(&mut play, 1);
    for failure in 0..5 {
        play.exit("restart", FAILED);
        play.advance(secs(5 << failure));
    }
    assert_eq!(orders(&mut play).len(), 6, "no breaker stands between a run and its retry");
}

#[test]
fn a_breaker_can_be_switched_off() {
    let mut play = broken();
    let mut policy = one_rung();
    policy.guard.breaker = None;
    play.reload(Book::new(vec![policy], BookLimits::default(), everybody()));
    fire_at(&mut play, 4);
    assert_eq!(orders(&mut play), ["4.restart.1"]);
}

/// Three policies whose remedies have one name, and that share a breaker or do not.
fn namesakes(shared: Option<&str>) -> Book {
    let named = |name: &str, alertname: &str| {
        let mut policy = one_rung();
        policy.name = PolicyName::new(name);
        let matchers = format!("alertname=\"{alertname}\"");
        policy.matchers = Matchers::parse(&matchers).unwrap().matchers;
        let shared = shared.map(CircuitName::new);
        policy.guard.breaker = Some(Breaker { shared, ..Breaker::default() });
        policy
    };
    let policies = vec![named("a", "A"), named("b", "B"), named("c", "C")];
    Book::new(policies, BookLimits::default(), everybody())
}

#[test]
fn failures_of_other_policies_count_where_they_share_a_breaker_and_nowhere_else() {
    for (shared, open) in [(None, false), (Some("fleet-restart"), true)] {
        let mut play = Scenario::new(namesakes(shared), start_time());
        for (number, alertname) in ["A", "B", "A"].iter().enumerate() {
            let instance = format!("host-{number}:80");
            fire(&mut play, &[("alertname", alertname), ("instance", &instance)]);
            play.exit("restart", FAILED);
        }
        fire(&mut play, &[("alertname", "C"), ("instance", "c:80")]);
        assert_eq!(orders(&mut play).len(), if open { 3 } else { 4 }, "{shared:?}");
        if open {
            let told = "what shares the breaker fleet-restart failed 3 times of the last 3";
            assert!(reason(&play).contains(told), "{}", reason(&play));
            play.advance(minutes(15));
            assert_eq!(orders(&mut play), ["4.restart.1"], "it is the trial of all");
            fire(&mut play, &[("alertname", "A"), ("instance", "d:80")]);
            assert!(reason(&play).contains("incident 4 tries it first"), "{}", reason(&play));
        }
    }
}

#[test]
fn a_breaker_that_a_reload_shares_counts_what_is_ordered_from_then_on() {
    let mut play = Scenario::new(namesakes(None), start_time());
    for (number, alertname) in ["A", "B", "A", "B", "A", "C"].iter().enumerate() {
        if number == 2 {
            play.reload(namesakes(Some("fleet")));
        }
        let instance = format!("host-{number}:80");
        fire(&mut play, &[("alertname", alertname), ("instance", &instance)]);
        play.exit("restart", FAILED);
    }
    assert_eq!(orders(&mut play).len(), 5, "three since the reload open it for the sixth");
}

/// Policies of these names that take alerts of these names on the same targets.
fn on_one_target(names: &[(&str, &str)], target: &TargetLabels) -> Book {
    let named = |(name, alertname): &(&str, &str)| {
        let mut policy = one_rung();
        policy.name = PolicyName::new(name);
        let matchers = format!("alertname=\"{alertname}\"");
        policy.matchers = Matchers::parse(&matchers).unwrap().matchers;
        policy.target = target.clone();
        policy.guard.cooldown = minutes(5);
        policy
    };
    Book::new(names.iter().map(named).collect(), BookLimits::default(), everybody())
}

#[test]
fn a_target_cools_down_whatever_policy_healed_it_and_whatever_that_is_called_now() {
    let by_instance = TargetLabels::Named(vec!["instance".into()]);
    let books = [[("down", "Down"), ("slow", "Slow")], [("outage", "Down"), ("slow", "Slow")]];
    for (renamed, second) in [(false, "Slow"), (true, "Slow"), (true, "Down")] {
        let mut play = Scenario::new(on_one_target(&books[0], &by_instance), start_time());
        fire(&mut play, A);
        play.exit("restart", FAILED);
        resolve(&mut play, A);
        let closed_at = play.now();
        play.advance(minutes(1));
        if renamed {
            play.reload(on_one_target(&books[1], &by_instance));
        }
        assert_eq!(orders(&mut play), ["1.restart.1"]);
        fire(&mut play, &[("alertname", second), ("instance", "a:80")]);
        assert_eq!(reasons(&play)[0].0, Guard::Cooldown, "{renamed} {second}");
        assert_eq!(held_until(&play), Some(closed_at + minutes(5)), "{renamed} {second}");
        fire(&mut play, &[("alertname", second), ("instance", "b:80")]);
        assert_eq!(orders(&mut play), ["3.restart.1"], "another target does not cool down");
        play.advance(minutes(4));
        assert_eq!(orders(&mut play), ["2.restart.1"]);
    }
}

#[test]
fn a_policy_that_comes_to_a_target_waits_as_long_as_healings_there_that_did_not_hold_ask() {
    let by_instance = TargetLabels::Named(vec!["instance".into()]);
    let book = on_one_target(&[("down", "Down"), ("slow", "Slow")], &by_instance);
    let mut play = Scenario::new(book, start_time());
    let mut closed_at = play.now();
    for _ in 0..2 {
        play.advance(minutes(11));
        fire(&mut play, A);
        play.exit("restart", FAILED);
        resolve(&mut play, A);
        closed_at = play.now();
    }
    play.advance(minutes(6));
    assert_eq!(orders(&mut play), ["1.restart.1", "2.restart.1"]);
    fire(&mut play, &[("alertname", "Slow"), ("instance", "a:80")]);
    assert_eq!(held_until(&play), Some(closed_at + minutes(10)), "{}", reason(&play));
}

#[test]
fn an_alert_without_labels_of_its_own_target_is_no_place_that_others_share() {
    // Both targets are the empty set of labels: the policies have nothing in common by it.
    let nothing = TargetLabels::Named(Vec::new());
    let book = on_one_target(&[("down", "Down"), ("slow", "Slow")], &nothing);
    let mut play = Scenario::new(book, start_time());
    fire(&mut play, A);
    play.exit("restart", FAILED);
    resolve(&mut play, A);
    assert_eq!(orders(&mut play), ["1.restart.1"]);
    fire(&mut play, &[("alertname", "Slow"), ("instance", "a:80")]);
    assert_eq!(orders(&mut play), ["2.restart.1"]);
}

#[test]
fn a_stricter_breaker_counts_what_was_before_it() {
    let mut play = witnessed(one_rung());
    fire_at(&mut play, 1);
    play.exit("restart", FAILED);
    let mut strict = one_rung();
    strict.guard.breaker = Some(Breaker { failures: 1, ..Breaker::default() });
    play.reload(Book::new(vec![strict], BookLimits::default(), everybody()));
    fire_at(&mut play, 2);
    assert_eq!(reasons(&play)[0].0, Guard::Breaker);
}

#[test]
fn holds_are_read_back_as_they_were_written() {
    let mut play = broken();
    fire_at(&mut play, 4);
    let Some(Stage::Held { holds, .. }) = play.incident().map(|i| i.stage.clone()) else {
        panic!("expected a held incident")
    };
    let text = serde_json::to_string(&holds).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Hold>>(&text).unwrap(), holds);
}

/// The notices that are open, each with how many targets it lists and how many more there are.
fn guards_told(play: &Scenario) -> Vec<(Guard, usize, u64)> {
    let told = play.told().map(|notice| match &notice.matter {
        Matter::Guard { guard, targets, more } => (*guard, targets.len(), *more),
        matter => panic!("told one by one: {matter:?}"),
    });
    told.collect()
}

#[test]
fn what_holds_a_whole_policy_for_long_is_told_once_and_until_the_last_moves_on() {
    let watchdog = || {
        let matchers = Matchers::parse("alertname=\"Watchdog\"").unwrap().matchers;
        Some(Watchdog { matchers, max_age: minutes(5) })
    };
    let breaker = || Some(Breaker { failures: 1, of: 1, after: minutes(600), shared: None });
    for (guard, limits) in [
        (Guard::Freeze, GuardLimits { freeze: business_hours(), ..with(|_| ()).guard }),
        (Guard::Watchdog, GuardLimits { watchdog: watchdog(), ..with(|_| ()).guard }),
        (
            Guard::Rate,
            GuardLimits { rate: Rate { max: 1, per: minutes(600) }, ..with(|_| ()).guard },
        ),
        (Guard::Breaker, GuardLimits { breaker: breaker(), ..with(|_| ()).guard }),
    ] {
        let mut policy = Policy { guard: limits, ..with(|_| ()) };
        policy.remedies.truncate(1);
        let mut play = witnessed(policy.clone());
        if matches!(guard, Guard::Rate | Guard::Breaker) {
            fire(&mut play, A);
            play.exit("restart", FAILED);
            resolve(&mut play, A);
        }
        policy.escalate = Escalate::after(minutes(10), "page");
        play.reload(crate::stage::book(policy, everybody()));
        let names: Vec<String> = (0..25).map(|n| format!("t{n}:80")).collect();
        for name in &names {
            fire(&mut play, &[("alertname", "Down"), ("instance", name)]);
        }
        assert_eq!(reason(&play).split(':').next(), Some(guard.as_str()));
        play.advance(minutes(10).saturating_sub(secs(1)));
        assert_eq!(guards_told(&play), [], "{guard}");
        play.advance(secs(1));
        assert_eq!(guards_told(&play), [(guard, 20, 5)]);
        play.advance(minutes(10));
        assert_eq!(guards_told(&play), [(guard, 20, 5)], "it is not told again");
        let raised = |fact: &&Fact| matches!(fact.what, What::NoticeRaised { .. });
        assert_eq!(play.journal().iter().filter(raised).count(), 1, "{guard}");
        for name in &names[1..] {
            resolve(&mut play, &[("alertname", "Down"), ("instance", name)]);
        }
        assert_eq!(guards_told(&play), [(guard, 20, 5)], "the last is still held");
        crash(&mut play);
        resolve(&mut play, &[("alertname", "Down"), ("instance", &names[0])]);
        assert_eq!(guards_told(&play), [], "{guard}");
        assert_eq!(play.state().notices().len(), 0);
    }
}

#[test]
fn a_guard_that_lets_go_as_it_is_told_is_told_to_be_over() {
    let mut policy = with(|guard| guard.rate = Rate { max: 1, per: minutes(10) });
    policy.escalate = Escalate::after(minutes(10), "page");
    let mut play = witnessed(policy);
    fire(&mut play, A);
    fire(&mut play, B);
    assert_eq!(orders(&mut play), ["1.restart.1"]);
    play.exit("restart", DONE);
    play.end_silently(A);
    play.advance(minutes(10));
    assert_eq!(orders(&mut play), ["2.restart.1"], "there is a token at the same moment");
    assert_eq!(guards_told(&play), []);
    assert_eq!(play.state().notices().len(), 0);
}

#[test]
fn what_another_guard_holds_afterwards_is_told_by_itself() {
    let mut policy = with(|guard| guard.freeze = business_hours());
    policy.escalate = Escalate::after(minutes(10), "page");
    let mut play = witnessed(policy);
    fire(&mut play, A);
    play.advance(minutes(10));
    assert_eq!(guards_told(&play), [(Guard::Freeze, 1, 0)]);
    play.send(Event::Pause { by: "sre".into(), reason: "deploy".into() });
    play.advance(minutes(7 * 60));
    assert_eq!(reason(&play), "pause: paused by sre: deploy");
    play.advance(minutes(10));
    let told: Vec<Topic> = play.told().map(Notice::topic).collect();
    assert_eq!(told, [Topic::Escalation { incident: play.incident().unwrap().id }]);
}

#[test]
fn what_is_held_again_after_it_was_told_is_told_at_once() {
    let mut policy = with(|guard| guard.rate = Rate { max: 1, per: minutes(10) });
    policy.escalate = Escalate::after(minutes(10), "page");
    let mut play = witnessed(policy);
    fire(&mut play, A);
    fire(&mut play, B);
    play.exit("restart", DONE);
    play.end_silently(A);
    play.answer(Answer::Silenced("silence 1".into()));
    play.advance(minutes(10));
    assert_eq!(reason(&play).split(':').next(), Some("silence"));
    assert_eq!(guards_told(&play), []);
    play.answer(Answer::AlertmanagerTruth);
    fire(&mut play, C);
    assert_eq!(orders(&mut play), ["1.restart.1", "3.restart.1"], "it took the token");
    play.advance(minutes(1));
    assert_eq!(guards_told(&play), [(Guard::Rate, 1, 0)], "and not after ten more minutes");
}
