//! Start on an empty directory, and the size of the binary.

use anyhow::Result;

use crate::bench::Bench;
use crate::engine::Engine;
use crate::figure::{Figures, number};
use crate::row::{Row, Verdict};

/// Starts of a round: one is over in no time.
const STARTS: usize = 4;

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let mut starts = Figures::default();
    for _ in 0..bench.rounds * STARTS {
        let directory = bench.directory()?;
        let (engine, seconds) = Engine::start_in(bench, &directory, None)?;
        starts.add(seconds * 1e3);
        drop(engine);
    }
    #[expect(clippy::cast_precision_loss, reason = "a binary has far fewer than 2^52 bytes")]
    let megabytes = std::fs::metadata(&bench.engine)?.len() as f64 / 1e6;
    Ok(vec![
        Row {
            what: "start on an empty directory".into(),
            ours: format!("{} ms", starts.spread()),
            against: "–".into(),
            ratio: "–".into(),
            bar: "≤ 50 ms".into(),
            verdict: Verdict::of(starts.median() <= 50.0),
        },
        Row {
            what: "size of the binary".into(),
            ours: format!("{} MB", number(megabytes)),
            against: "–".into(),
            ratio: "–".into(),
            bar: "≤ 20 MB".into(),
            verdict: Verdict::of(megabytes <= 20.0),
        },
    ])
}
