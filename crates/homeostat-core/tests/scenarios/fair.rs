//! What all policies share leaves room for each of them, and what a person said comes first.

use std::ops::Range;

use homeostat_core::command::Command;
use homeostat_core::hold::{Guard, Scope};
use homeostat_core::incident::Stage;
use homeostat_core::label::Matchers;
use homeostat_core::name::{IncidentId, PolicyName, TeamName};
use homeostat_core::policy::{Approval, Book, BookLimits, Mode, Policy, Rate, Remedy, TeamLimits};
use homeostat_core::scenario::Scenario;
use homeostat_core::snapshot::Record;
use homeostat_core::state::State;

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

/// A policy of a team.
fn of(owner: &str, name: &str) -> Policy {
    let mut policy = team(name, Mode::Auto);
    policy.about.team = Some(TeamName::new(owner));
    policy
}

fn limited(policies: Vec<Policy>, limits: BookLimits, team: TeamLimits) -> Book {
    let mut book = Book::new(policies, limits, nobody());
    book.teams.insert(TeamName::new("web"), team);
    book
}

fn running(state: &State, owner: &str) -> u32 {
    state.ledgers().running(&Scope::Team(TeamName::new(owner)))
}

#[test]
fn a_team_has_one_part_however_many_its_policies_are() {
    let all =
        || vec![of("web", "storm"), of("web", "again"), of("web", "more"), team("b", Mode::Auto)];
    let mut by_rate = play(all(), limits(40, 1_000));
    assert_eq!(storm(&mut by_rate, "storm", 0..100), 30);
    assert_eq!(storm(&mut by_rate, "again", 100..200), 0, "it is of the same team");
    let held = holds(&by_rate);
    assert!(held.contains("team web had 30 of the 40 orders"), "{held}");
    assert_eq!(storm(&mut by_rate, "b", 200..300), 10, "all that is kept is for one other");
    let mut by_place = play(all(), limits(10_000, 16));
    assert_eq!(storm(&mut by_place, "storm", 0..100), 12);
    assert_eq!(storm(&mut by_place, "again", 100..200), 0);
    let held = holds(&by_place);
    assert!(held.contains("12 orders of team web run of 16 of all"), "{held}");
    assert_eq!(storm(&mut by_place, "b", 200..300), 4);
    let mut alone = play(vec![of("web", "storm"), of("web", "again")], limits(40, 1_000));
    assert_eq!(storm(&mut alone, "storm", 0..100), 40, "a team shares with nobody");
}

#[test]
fn a_team_is_held_by_its_own_rate_and_what_was_approved_is_not() {
    let rate = Some(Rate { max: 3, per: secs(PER) });
    let asks = Policy { about: of("web", "").about, ..team("asks", Mode::Approve) };
    let policies = vec![of("web", "a"), of("web", "b"), asks, team("other", Mode::Auto)];
    let team = TeamLimits { rate, concurrency: None };
    let mut play = Scenario::new(limited(policies, limits(1_000, 1_000), team), start_time());
    fire_on(&mut play, "asks", 40);
    play.approve("alice");
    assert_eq!(orders(&mut play).len(), 1);
    assert_eq!(storm(&mut play, "a", 0..1), 1);
    assert_eq!(
        storm(&mut play, "b", 10..20),
        1,
        "together they may have three, the approved one too"
    );
    let held = holds(&play);
    assert!(held.contains("team web may issue 3 orders per 1h"), "{held}");
    assert_eq!(storm(&mut play, "other", 20..30), 10, "others are not held");
    fire_on(&mut play, "asks", 41);
    play.approve("alice");
    assert_eq!(orders(&mut play).len(), 1, "a person has said so");
    play.advance(secs(PER / 3));
    assert_eq!(orders(&mut play).len(), 1, "and the next comes when the rate has room");
}

#[test]
fn a_team_is_held_by_its_own_places_and_goes_on_when_one_is_free() {
    let team = TeamLimits { rate: None, concurrency: Some(2) };
    let policies = vec![of("web", "a"), of("web", "b"), of("db", "c")];
    let mut play = Scenario::new(limited(policies, limits(1_000, 1_000), team), start_time());
    assert_eq!(storm(&mut play, "a", 0..2), 2);
    assert_eq!(storm(&mut play, "b", 10..11), 0);
    let held = holds(&play);
    assert!(held.contains("2 orders of team web are running and 2 may"), "{held}");
    assert_eq!(storm(&mut play, "c", 20..25), 5, "another team is not held");
    assert_eq!((running(play.state(), "web"), running(play.state(), "db")), (2, 5));
    play.exit("restart", DONE);
    assert_eq!(orders(&mut play), ["3.restart.1"], "the place of the other policy's order is free");
}

#[test]
fn a_team_keeps_what_runs_when_a_reload_or_a_restart_comes_between() {
    let team = TeamLimits { rate: None, concurrency: Some(2) };
    let book = |owner| limited(vec![of(owner, "a")], limits(1_000, 1_000), team);
    let mut play = Scenario::new(book("web"), start_time());
    assert_eq!(storm(&mut play, "a", 0..2), 2);
    let mut recalled = State::default();
    for record in play.state().records() {
        let line = serde_json::to_string(&record).unwrap();
        recalled.recall(serde_json::from_str::<Record>(&line).unwrap());
    }
    assert_eq!(running(&recalled, "web"), 2, "a snapshot knows of it");
    play.reload(book("db"));
    play.exit("restart", DONE);
    play.exit("restart", DONE);
    assert_eq!((running(play.state(), "web"), running(play.state(), "db")), (0, 0));
}
