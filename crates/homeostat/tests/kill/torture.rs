//! A few rounds of `make torture`: killed at any moment, nothing is lost and nothing runs twice.

use homeostat::failpoint;
use homeostat_torture::torture::{Torture, torture};

/// Enough to strike before, within and after the load of a round, and few enough for each commit.
const ROUNDS: u64 = 25;

/// A fixed seed: what is sent, and when it is struck, is the same each time.
const SEED: u64 = 1948;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_over_and_over_it_loses_nothing_and_does_nothing_twice() {
    let asked = Torture {
        program: env!("CARGO_BIN_EXE_homeostat").into(),
        seed: SEED,
        rounds: ROUNDS,
        points: failpoint::ALL.iter().map(|&point| point.to_owned()).collect(),
    };
    let outcome = torture(&asked, |_| {}).await.unwrap();
    assert!(outcome.account.is_clean(), "{outcome}");
    assert_eq!(outcome.rounds, ROUNDS);
    assert!(outcome.records_lost > 0, "{outcome}");
    assert!(outcome.account.ran > 0 && outcome.sent_again > 0, "{outcome}");
    assert!(outcome.struck > 0 && outcome.struck_at_points > 0, "{outcome}");
}
