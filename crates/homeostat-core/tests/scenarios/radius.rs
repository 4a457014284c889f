//! The guards `blast_radius` and `storm`, as scenarios: what they hold, what they say, and that
//! they let go by themselves.

use crate::stage::{
    A, B, DONE, FAILED, everybody, fire, ladder, orders, resolve, secs, start_time,
};
use homeostat_core::event::Event;
use homeostat_core::hold::Guard;
use homeostat_core::incident::{Incident, Stage};
use homeostat_core::name::IncidentId;
use homeostat_core::order::Found;
use homeostat_core::policy::{BlastRadius, Book, BookLimits, Extent, Policy, Rate};
use homeostat_core::scenario::{Answer, Scenario};
use homeostat_core::storm::StormLimits;
use homeostat_core::time::Timestamp;

const C: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "c:80")];

fn radius(extent: Extent, window: u64) -> BlastRadius {
    BlastRadius { window: secs(window), extent }
}

fn share(percent: u32, max: Option<u32>, min: u32) -> Extent {
    Extent::Share { percent, inventory: "count(up)".into(), max, min }
}

fn storms(percent: u32, min: u32) -> StormLimits {
    StormLimits { percent, min, cool_down: secs(300), inventory: "count(up)".into() }
}

/// A ladder with these limits, of which nothing else holds.
fn open_handed() -> Policy {
    let mut open = ladder();
    open.guard.rate = Rate { max: 10_000, per: secs(3600) };
    open.guard.concurrency = 10_000;
    open.verify.within = secs(60);
    open
}

fn play(policy: Policy) -> Scenario {
    let limits = BookLimits { concurrency: 10_000, rate: Rate { max: 100_000, per: secs(3600) } };
    Scenario::new(Book::new(vec![policy], limits, everybody()), start_time())
}

fn with_radius(extent: Extent, window: u64) -> Scenario {
    let mut policy = open_handed();
    policy.guard.blast_radius = Some(radius(extent, window));
    play(policy)
}

/// What holds an incident, guard by guard.
fn held(play: &Scenario, incident: u64) -> Vec<(Guard, String)> {
    match play.state().incident(IncidentId(incident)).map(|incident| &incident.stage) {
        Some(Stage::Held { holds, .. }) => {
            holds.iter().map(|hold| (hold.guard(), hold.to_string())).collect()
        }
        other => panic!("expected a held incident, found {other:?}"),
    }
}

fn looks_again_at(play: &Scenario, incident: u64) -> Option<Timestamp> {
    play.state().incident(IncidentId(incident)).and_then(Incident::wakes_at)
}

fn count(play: &Scenario, kind: &str) -> usize {
    play.journal().iter().filter(|fact| fact.what.kind() == kind).count()
}

/// Heals one target: its alert ends, and its order does.
fn heal(play: &mut Scenario, labels: &[(&str, &str)], remedy: &str) {
    play.end_silently(labels);
    play.exit(remedy, DONE);
    play.advance(secs(2));
}

#[test]
fn a_second_target_waits_until_the_first_has_left_the_window_and_the_reason_does_the_sum() {
    let mut play = with_radius(share(34, Some(3), 1), 60);
    play.answer(Answer::Inventory(3));
    fire(&mut play, A);
    play.advance(secs(20));
    fire(&mut play, B);
    assert_eq!(orders(&mut play), ["1.restart.1"]);
    let [(guard, reason)] = &held(&play, 2)[..] else { panic!("one hold") };
    assert_eq!(*guard, Guard::BlastRadius);
    assert_eq!(
        reason,
        "blast_radius: 1 of 3 targets of policy web is already being healed; at most 34 % of 3 is \
         1; there is room in 40s, at 2026-01-05T09:01:00Z"
    );
    assert_eq!(looks_again_at(&play, 2), Some(start_time() + secs(60)));
    heal(&mut play, A, "restart");
    play.advance(secs(37));
    assert!(orders(&mut play).is_empty(), "it was healed, and is in the window");
    assert!(held(&play, 2)[0].1.contains("1 of 3 targets of policy web was healed in the last 1m"));
    play.advance(secs(1));
    assert_eq!(orders(&mut play), ["2.restart.1"]);
}

#[test]
fn without_a_share_no_inventory_is_needed() {
    let mut play = with_radius(Extent::Targets(2), 60);
    for labels in [A, B, C] {
        fire(&mut play, labels);
    }
    assert_eq!(orders(&mut play), ["1.restart.1", "2.restart.1"]);
    assert!(
        held(&play, 3)[0].1.contains("2 targets of policy web are already being healed; at most 2")
    );
}

#[test]
fn a_target_that_counts_is_not_refused_by_itself() {
    let mut policy = Policy { relapse: secs(0), ..open_handed() };
    policy.guard.blast_radius = Some(radius(share(34, None, 0), 600));
    let mut play = play(policy);
    play.answer(Answer::Inventory(3));
    fire(&mut play, A);
    play.exit("restart", FAILED);
    assert_eq!(orders(&mut play), ["1.restart.1", "1.reboot.1"]);
    fire(&mut play, B);
    heal(&mut play, A, "reboot");
    assert!(orders(&mut play).is_empty());
    resolve(&mut play, A);
    play.advance(secs(301));
    fire(&mut play, A);
    assert_eq!(orders(&mut play), ["3.restart.1"], "its own entry does not count");
}

#[test]
fn a_target_that_is_being_healed_counts_longer_than_the_window() {
    let mut play = with_radius(Extent::Targets(1), 10);
    fire(&mut play, A);
    orders(&mut play);
    play.advance(secs(20));
    fire(&mut play, B);
    let (_, reason) = &held(&play, 2)[0];
    assert!(
        reason.ends_with("there is room once the healing of one of them has ended"),
        "{reason}"
    );
    heal(&mut play, A, "restart");
    assert_eq!(orders(&mut play), ["2.restart.1"], "the gate woke it");
}

#[test]
fn an_order_that_is_issued_again_after_a_crash_is_counted_once_and_the_ledger_survives() {
    let mut play = with_radius(Extent::Targets(1), 600);
    fire(&mut play, A);
    play.crash(&Found::NotStarted);
    assert_eq!(orders(&mut play), ["1.restart.1", "1.restart.1"]);
    fire(&mut play, B);
    assert_eq!(held(&play, 2)[0].0, Guard::BlastRadius);
    heal(&mut play, A, "restart");
    play.crash(&Found::NotStarted);
    play.advance(secs(590));
    assert!(orders(&mut play).is_empty());
    play.advance(secs(20));
    fire(&mut play, B);
    assert_eq!(orders(&mut play), ["2.restart.1"]);
}

#[test]
fn an_inventory_that_is_silent_or_counts_none_lets_nothing_pass_and_says_so() {
    for (answer, why) in [
        (Answer::InventoryErrs("the query returns nothing".into()), "returns nothing (count(up))"),
        (Answer::Inventory(0), "the inventory counts none, and here is one (count(up))"),
        (Answer::PrometheusErrs("connection refused".into()), "connection refused (count(up))"),
    ] {
        let mut policy = open_handed();
        policy.guard.blast_radius = Some(radius(share(50, None, 1), 60));
        policy.guard.storm = Some(storms(55, 3));
        let mut play = play(policy);
        play.answer(answer);
        fire(&mut play, A);
        play.advance(secs(7_200));
        assert!(orders(&mut play).is_empty());
        let [(Guard::BlastRadius, radius), (Guard::Storm, storm)] = &held(&play, 1)[..] else {
            panic!("both guards hold")
        };
        assert!(radius.starts_with("blast_radius: how many targets there are is not known: "));
        assert!(radius.ends_with(why), "{radius}");
        assert!(storm.ends_with(why), "{storm}");
        let told: Vec<_> = play.told().map(|notice| notice.reason.clone()).collect();
        assert_eq!(told, [radius.as_str()], "a person is told once");
        play.answer(Answer::PrometheusTruth);
        play.answer(Answer::Inventory(9));
        play.advance(secs(900));
        assert_eq!(orders(&mut play)[0], "1.restart.1", "healing goes on by itself");
        assert!(play.told().all(|notice| notice.reason != *told[0]), "and it is told that it does");
    }
}

#[test]
fn a_share_of_few_is_none_unless_the_configuration_says_so() {
    for (min, ran) in [(0, 0), (1, 1)] {
        let mut play = with_radius(share(34, None, min), 60);
        play.answer(Answer::Inventory(2));
        fire(&mut play, A);
        assert_eq!(orders(&mut play).len(), ran);
        if ran == 0 {
            let reason = "blast_radius: no other of 2 targets of policy web counts in 1m; at most \
                          34 % of 2 is 0";
            assert_eq!(held(&play, 1)[0].1, reason);
        }
    }
}

#[test]
fn among_few_targets_a_storm_stops_all_orders_until_its_cool_down_is_over() {
    let mut policy = open_handed();
    policy.guard.storm = Some(storms(55, 3));
    let mut play = play(policy);
    play.answer(Answer::Inventory(4));
    play.send(Event::Pause { by: "sre".into(), reason: "deploy".into() });
    for labels in [A, B, C] {
        fire(&mut play, labels);
    }
    play.send(Event::Resume { by: "sre".into(), reason: String::new() });
    assert!(orders(&mut play).is_empty());
    assert_eq!(count(&play, "storm_began"), 1);
    assert_eq!(
        held(&play, 1)[0].1,
        "storm: 3 targets of policy web fire at once; a storm is 3 of 4, from 55 %; of 50 or fewer \
         none is touched, until fewer fire for 5m"
    );
    play.crash(&Found::NotStarted);
    play.advance(secs(3600));
    assert!(orders(&mut play).is_empty());
    resolve(&mut play, C);
    play.advance(secs(299));
    assert!(orders(&mut play).is_empty(), "its cool-down goes on");
    play.advance(secs(1));
    assert_eq!(count(&play, "storm_ended"), 1);
    assert_eq!(orders(&mut play), ["1.restart.1", "2.restart.1"], "it woke whom it held");
}

#[test]
fn among_many_targets_a_storm_slows_the_rate_to_a_tenth() {
    let mut policy = open_handed();
    policy.guard.rate = Rate { max: 60, per: secs(3600) };
    policy.guard.storm = Some(storms(1, 3));
    let mut play = play(policy);
    play.answer(Answer::Inventory(100));
    fire(&mut play, A);
    fire(&mut play, B);
    assert_eq!(orders(&mut play).len(), 2, "two are no storm");
    fire(&mut play, C);
    assert_eq!(
        held(&play, 3)[0].1,
        "storm: 3 targets of policy web fire at once; a storm is 3 of 100, from 1 %; orders are 10 \
         times slower, next at 2026-01-05T09:02:00Z, until fewer fire for 5m"
    );
    heal(&mut play, A, "restart");
    heal(&mut play, B, "restart");
    play.advance(secs(115));
    assert!(orders(&mut play).is_empty());
    play.advance(secs(1));
    assert_eq!(orders(&mut play), ["3.restart.1"]);
}

#[test]
fn a_storm_is_measured_anew_when_the_inventory_grows() {
    let mut policy = open_handed();
    policy.guard.storm = Some(storms(55, 3));
    let mut play = play(policy);
    play.answer(Answer::Inventory(3));
    for labels in [A, B, C] {
        fire(&mut play, labels);
    }
    assert_eq!(orders(&mut play).len(), 2, "two are no storm");
    play.answer(Answer::Inventory(1_000));
    play.advance(secs(400));
    assert_eq!(count(&play, "storm_gauged"), 1, "three of a thousand are none");
    assert_eq!(count(&play, "storm_ended"), 1);
    assert!(orders(&mut play).contains(&"3.restart.1".to_owned()));
}

#[test]
fn a_storm_of_which_the_configuration_knows_nothing_any_more_is_over() {
    let mut policy = open_handed();
    policy.guard.storm = Some(storms(55, 3));
    let mut stormy = play(policy);
    stormy.answer(Answer::Inventory(3));
    for labels in [A, B, C] {
        fire(&mut stormy, labels);
    }
    orders(&mut stormy);
    stormy.reload(Book::new(vec![open_handed()], BookLimits::default(), everybody()));
    assert_eq!(count(&stormy, "storm_ended"), 1);
    assert_eq!(orders(&mut stormy), ["3.restart.1"]);
}
