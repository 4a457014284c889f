//! What all policies share leaves room for each of them, and what a person said comes first.

use std::ops::Range;

use homeostat_core::command::Command;
use homeostat_core::hold::Guard;
use homeostat_core::incident::Stage;
use homeostat_core::label::Matchers;
use homeostat_core::name::{IncidentId, PolicyName};
use homeostat_core::policy::{Approval, Book, BookLimits, Mode, Policy, Rate, Remedy};
use homeostat_core::scenario::Scenario;

use crate::stage::*;

const PER: u64 = 3600;

/// A policy of its own alert, which no limit of its own holds.
fn team(name: &str, mode: Mode) -> Policy {
    let mut team = policy(vec![Remedy { mode, ..remedy("restart") }]);
    team.name = PolicyName::new(name);
    team.matchers = Matchers::parse(&format!("alertname=\"{name}\"")).unwrap().matchers;
    team.guard.rate = Rate { max: 1_000, per: secs(PER) };
    team.guard.concurrency = 1_000;
    team.guard.breaker = None;
    team.guard.fresh_max_age = secs(10 * PER);
    team
}

fn play(policies: Vec<Policy>, limits: BookLimits) -> Scenario {
    Scenario::new(Book::new(policies, limits, nobody()), start_time())
}

fn limits(rate: u32, concurrency: u32) -> BookLimits {
    BookLimits { rate: Rate { max: rate, per: secs(PER) }, concurrency }
}

fn fire_on(play: &mut Scenario, name: &str, host: u32) {
    let host = format!("h{host}");
    fire(play, &[("alertname", name), ("instance", &host)]);
}

fn storm(play: &mut Scenario, name: &str, hosts: Range<u32>) -> usize {
    for host in hosts {
        fire_on(play, name, host);
    }
    orders(play).len()
}

fn holds(play: &Scenario) -> String {
    match &play.incident().unwrap().stage {
        Stage::Held { holds, .. } => {
            holds.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        }
        stage => panic!("not held: {stage:?}"),
    }
}

#[test]
fn the_storm_of_one_policy_leaves_the_rate_of_others() {
    let both = || vec![team("storm", Mode::Auto), team("other", Mode::Auto)];
    let mut play = play(both(), limits(40, 1_000));
    assert_eq!(storm(&mut play, "storm", 0..1_000), 30, "three quarters of it");
    let held = holds(&play);
    assert!(held.contains("the last 10 are kept for others"), "{held}");
    fire_on(&mut play, "other", 5_000);
    assert_eq!(orders(&mut play).len(), 1, "at once");
    assert_eq!(storm(&mut play, "other", 6_000..6_050), 9, "and no more than that is kept");
    // What refills goes to whoever waits, at the whole rate.
    play.advance(secs(PER));
    assert!(orders(&mut play).len() >= 38);
}

#[test]
fn what_one_policy_has_for_itself_it_may_use_up() {
    let mut alone = play(vec![team("storm", Mode::Auto)], limits(40, 1_000));
    assert_eq!(storm(&mut alone, "storm", 0..100), 40);
    let watching =
        vec![team("storm", Mode::Auto), Policy { mode: Mode::Shadow, ..team("b", Mode::Auto) }];
    assert_eq!(
        storm(&mut play(watching, limits(40, 1_000)), "storm", 0..100),
        40,
        "shadows take none"
    );
    let two = vec![team("storm", Mode::Auto), team("other", Mode::Auto)];
    assert_eq!(storm(&mut play(two, limits(3, 1_000)), "storm", 0..100), 3, "too few to be shared");
}

#[test]
fn the_storm_of_one_policy_leaves_places_to_others() {
    let both = vec![team("storm", Mode::Auto), team("other", Mode::Auto)];
    let mut play = play(both, limits(10_000, 16));
    assert_eq!(storm(&mut play, "storm", 0..100), 12);
    let held = holds(&play);
    assert!(held.contains("the last 4 are kept for others"), "{held}");
    assert_eq!(storm(&mut play, "other", 6_000..6_100), 4);
}

#[test]
fn a_storm_neither_delays_a_question_nor_what_was_approved() {
    let both = vec![team("storm", Mode::Auto), team("asks", Mode::Approve)];
    let mut play = play(both, limits(3, 1_000));
    assert_eq!(storm(&mut play, "storm", 0..100), 3, "all of the rate is spent");
    fire_on(&mut play, "asks", 5_000);
    assert_eq!(play.incident().unwrap().stage.as_str(), "awaiting_approval");
    play.approve("alice");
    assert_eq!(orders(&mut play).len(), 1, "the shared rate does not hold it");
}

#[test]
fn what_was_approved_goes_first_in_its_own_policy() {
    let mut mixed = team("mixed", Mode::Auto);
    mixed.remedies.push(Remedy {
        mode: Mode::Approve,
        approval: Approval { expires: secs(PER), ..Approval::default() },
        definition: "".into(),
        ..remedy("reboot")
    });
    mixed.guard.rate = Rate { max: 2, per: secs(PER) };
    let other = team("other", Mode::Auto);
    let mut play = play(vec![mixed, other], limits(1_000, 1_000));
    // Incident 2 waits for its target to cool down, and then for the rate as those after it do.
    fire_on(&mut play, "other", 1);
    play.exit("restart", DONE);
    resolve(&mut play, &[("alertname", "other"), ("instance", "h1")]);
    fire_on(&mut play, "mixed", 1);
    fire_on(&mut play, "mixed", 2);
    play.exit("restart", FAILED);
    fire_on(&mut play, "mixed", 3);
    assert_eq!(orders(&mut play), ["1.restart.1", "3.restart.1", "4.restart.1"]);
    play.command_about(IncidentId(3), Command::Approve, None, "alice");
    play.advance(secs(PER / 4));
    let waiting = play.state().incident(IncidentId(2)).unwrap();
    assert_eq!(waiting.told_guards().collect::<Vec<_>>(), [Guard::Rate]);
    play.advance(secs(PER / 4));
    assert_eq!(orders(&mut play), ["3.reboot.1"], "though incident 2 has waited for longer");
    play.advance(secs(PER / 2));
    assert_eq!(orders(&mut play), ["2.restart.1"]);
}
