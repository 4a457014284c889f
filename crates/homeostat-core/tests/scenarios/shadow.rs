//! What a remedy in shadow would have been worth, for all ways in which its trouble may go on.

use crate::stage::*;
use homeostat_core::fact::What;
use homeostat_core::name::{PolicyName, RemedyName};
use homeostat_core::order::Found;
use homeostat_core::policy::{Book, BookLimits, Mode, Policy};
use homeostat_core::scenario::Scenario;
use homeostat_core::shadow::Worth;
use homeostat_core::snapshot::Record;
use homeostat_core::state::State;
use homeostat_core::time::Span;

/// Each remedy has 30 s to run, and 60 s to be proven.
fn watching() -> Policy {
    let mut policy = Policy { mode: Mode::Shadow, ..ladder() };
    policy.verify.within = secs(60);
    policy.remedies.truncate(1);
    policy.remedies[0].mode = Mode::Shadow;
    policy
}

/// What was judged so far: the remedy, its worth, and after how long.
fn judged(play: &Scenario) -> Vec<(String, Worth, Span)> {
    let judged = play.journal().iter().filter_map(|fact| match &fact.what {
        What::ShadowJudged { remedy, worth, after, .. } => {
            Some((remedy.to_string(), *worth, *after))
        }
        _ => None,
    });
    judged.collect()
}

/// How often it would have been needless, and needed.
fn score(state: &State) -> Option<(u64, u64)> {
    let (policy, remedy) = (PolicyName::new("web"), RemedyName::new("restart"));
    let score = state.ledgers().scores.of(&policy, &remedy)?;
    assert_eq!(score.judged(), score.needless + score.needed);
    Some((score.needless, score.needed))
}

#[test]
fn what_recovers_by_itself_in_time_needed_no_remedy() {
    for after in [0, 1, 89] {
        let mut play = alone(watching());
        fire(&mut play, A);
        play.advance(secs(after));
        assert_eq!(judged(&play), [], "nothing is known yet");
        resolve(&mut play, A);
        assert_eq!(judged(&play), [("restart".into(), Worth::Needless, secs(after))]);
        assert_eq!(score(play.state()), Some((1, 0)));
        play.advance(secs(3600));
        assert_eq!(judged(&play).len(), 1, "it is judged once");
    }
}

#[test]
fn what_was_judged_reads_back_as_it_was_written() {
    let mut play = alone(watching());
    fire(&mut play, A);
    play.advance(Span::from_micros(1_000_001));
    resolve(&mut play, A);
    for fact in play.journal() {
        let written = serde_json::to_string(&fact.what).unwrap();
        assert_eq!(serde_json::from_str::<What>(&written).unwrap(), fact.what, "{written}");
    }
}

#[test]
fn what_still_fires_when_a_healing_would_be_over_needed_one() {
    let mut play = alone(watching());
    fire(&mut play, A);
    play.advance(secs(89));
    assert_eq!(judged(&play), []);
    play.advance(secs(1));
    assert_eq!(judged(&play), [("restart".into(), Worth::Needed, secs(90))]);
    play.advance(secs(600));
    resolve(&mut play, A);
    assert_eq!(judged(&play).len(), 1, "it is judged once");
    assert_eq!(score(play.state()), Some((0, 1)));
}

#[test]
fn what_lapses_judges_nothing() {
    let mut policy = watching();
    policy.lapse = secs(45);
    let mut play = alone(policy);
    fire(&mut play, A);
    play.advance(secs(600));
    assert!(play.state().incidents().next().is_none(), "it lapsed, and is let go");
    assert_eq!((judged(&play), score(play.state())), (vec![], None));
}

#[test]
fn several_alerts_of_a_target_have_recovered_when_the_last_has() {
    let mut play = alone(watching());
    fire(&mut play, A);
    play.advance(secs(10));
    fire(&mut play, A2);
    play.advance(secs(10));
    resolve(&mut play, A);
    assert_eq!(judged(&play), []);
    play.advance(secs(10));
    resolve(&mut play, A2);
    assert_eq!(judged(&play), [("restart".into(), Worth::Needless, secs(30))]);
}

#[test]
fn each_rung_has_its_own_time() {
    let mut policy = watching();
    let mut reboot = remedy("reboot");
    (reboot.mode, reboot.timeout) = (Mode::Shadow, secs(300));
    policy.remedies.push(reboot);
    let mut play = alone(policy);
    fire(&mut play, A);
    play.advance(secs(200));
    resolve(&mut play, A);
    let wanted = [
        ("restart".into(), Worth::Needed, secs(90)),
        ("reboot".into(), Worth::Needless, secs(200)),
    ];
    assert_eq!(judged(&play), wanted);
}

#[test]
fn a_restart_in_time_changes_nothing_and_one_that_takes_too_long_judges_nothing() {
    let crash = Found::NotStarted;
    let mut play = alone(watching());
    fire(&mut play, A);
    play.advance(secs(40));
    play.crash(&crash);
    play.advance(secs(50));
    assert_eq!(judged(&play), [("restart".into(), Worth::Needed, secs(90))]);

    let mut state = State::default();
    let mut play = alone(watching());
    fire(&mut play, A);
    play.journal().iter().for_each(|fact| state.apply(fact));
    let id = state.incidents().next().unwrap().id;
    let boot = homeostat_core::name::BootId::new("later");
    let back = homeostat_core::fact::Fact {
        at: start_time() + secs(3600),
        what: What::EngineStarted { boot },
    };
    state.apply(&back);
    assert!(state.incident(id).unwrap().shadows.is_empty(), "nobody watched when it was over");
    assert_eq!(state.incident(id).unwrap().wakes_at(), None);
}

#[test]
fn a_policy_that_is_removed_or_acts_from_now_on_is_judged_for_what_it_had_recorded() {
    let acts = Policy { mode: Mode::Auto, ..ladder() };
    for book in [Book::new(vec![], BookLimits::default(), nobody()), book(acts, nobody())] {
        let mut play = alone(watching());
        fire(&mut play, A);
        play.reload(book);
        play.advance(secs(20));
        resolve(&mut play, A);
        assert_eq!(judged(&play), [("restart".into(), Worth::Needless, secs(20))]);
        assert_eq!(score(play.state()), Some((1, 0)));
    }
}

#[test]
fn where_something_was_done_a_shadow_beside_it_is_not_judged() {
    let mut policy = ladder();
    policy.remedies[0].mode = Mode::Shadow;
    let mut play = alone(policy);
    fire(&mut play, A);
    assert_eq!(orders(&mut play), ["1.reboot.1"]);
    play.exit("reboot", DONE);
    resolve(&mut play, A);
    play.advance(secs(3600));
    assert_eq!(judged(&play), []);
}

#[test]
fn a_shadow_is_judged_where_the_trouble_ends_before_the_next_rung_may_run() {
    let mut policy = ladder();
    policy.remedies[0].mode = Mode::Shadow;
    policy.remedies[1].mode = Mode::Approve;
    let mut play = alone(policy);
    fire(&mut play, A);
    play.advance(secs(20));
    resolve(&mut play, A);
    assert_eq!(judged(&play), [("restart".into(), Worth::Needless, secs(20))]);
}

#[test]
fn scores_add_up_and_outlive_a_snapshot() {
    let mut play = alone(watching());
    for pause in [10, 200, 30] {
        fire(&mut play, A);
        play.advance(secs(pause));
        resolve(&mut play, A);
        play.advance(secs(10));
    }
    fire(&mut play, B);
    assert_eq!(score(play.state()), Some((2, 1)));
    let mut recalled = State::default();
    for record in play.state().records() {
        let line = serde_json::to_string(&record).unwrap();
        recalled.recall(serde_json::from_str::<Record>(&line).unwrap());
    }
    assert!(recalled == *play.state());
    assert_eq!(score(&recalled), Some((2, 1)));
}

#[test]
fn what_was_recorded_by_an_earlier_version_is_not_judged() {
    let mut play = alone(watching());
    fire(&mut play, A);
    let mut state = State::default();
    for fact in play.journal() {
        let mut written = serde_json::to_value(&fact.what).unwrap();
        written.as_object_mut().unwrap().remove("window");
        let what = serde_json::from_value(written).unwrap();
        state.apply(&homeostat_core::fact::Fact { at: fact.at, what });
    }
    assert!(state.incidents().all(|incident| incident.shadows.is_empty()));
}

#[test]
fn where_a_person_steps_in_nothing_is_judged() {
    let mut play = alone(watching());
    fire(&mut play, A);
    play.reload(book(Policy { mode: Mode::Auto, ..ladder() }, nobody()));
    play.retry("ada");
    assert_eq!(orders(&mut play), ["2.restart.1"]);
    play.exit("restart", DONE);
    resolve(&mut play, A);
    play.advance(secs(3600));
    assert_eq!(judged(&play), []);
}
