//! Plays a bounded number of worlds: those that once found a bug, some that are always the same,
//! and some that never were played before.

#![expect(clippy::print_stdout, reason = "a test says which worlds it played")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use homeostat_sim::command::{Options, Tally, play_many, play_safely};
use homeostat_sim::play::Watch;
use homeostat_sim::script::{Script, World};

/// Seeds that once broke a law, each with what it found. They say what they said as long as the
/// worlds are drawn in the same way; the smallest test of each bug stands in `regressions.rs` of
/// core.
const FOUND: [(u64, &str); 5] = [
    (448, "what may still run was handed over, and its lock given away"),
    (608, "what did not start, and came into shadow, was recorded without end"),
    (1_795_357_435, "the notice of a guard went on once its incident asked for approval"),
    (1_590, "what may still run was taken back beside it"),
    (6113, "an alert that fired again between two looks was gone after the second"),
];

/// Worlds that are played at every commit.
const FIXED: u64 = 60;

/// Worlds that are new each time.
const RANDOM: u64 = 40;

fn plain(start: u64, seeds: u64) -> Tally {
    let jobs = 2;
    let options = Options { start, seeds, jobs, failures: 1, ..Options::default() };
    play_many(options, |_, _| {}).0
}

fn assert_lawful(tally: &Tally) {
    if let Some((seed, violation)) = tally.violations.first_key_value() {
        panic!("{violation}\n  cargo run -p homeostat-sim -- --seed {seed}");
    }
}

#[test]
fn what_was_found_once_is_not_found_again() {
    for (seed, bug) in FOUND {
        let script = Script::draw(seed, World::Hostile);
        let violation = play_safely(&script, Watch::Closely, false).violation;
        assert_eq!(violation, None, "seed {seed}: {bug}");
    }
}

#[test]
fn no_law_is_broken_in_worlds_that_are_always_the_same() {
    let tally = plain(1, FIXED);
    assert_lawful(&tally);
    assert!(tally.incidents > 1_000 && tally.orders > 500, "the worlds are dull: {tally:?}");
}

#[test]
fn no_law_is_broken_in_worlds_that_were_never_played_before() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let start = now.as_secs();
    println!("seeds {start} to {}", start + RANDOM - 1);
    assert_lawful(&plain(start, RANDOM));
}

#[test]
fn a_seed_is_the_same_run_each_time() {
    for world in [World::Hostile, World::Kind] {
        let script = Script::draw(7, world);
        let [one, two] = [0, 1].map(|_| play_safely(&script, Watch::Closely, true));
        assert_eq!(one.journal, two.journal);
        assert!(!one.journal.is_empty());
    }
}
