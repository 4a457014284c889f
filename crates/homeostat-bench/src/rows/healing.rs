//! The engine's share of healing: what the demo says of itself, with the real stack.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::bench::Bench;
use crate::figure::Figures;
use crate::row::{Row, Verdict};

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    // One call heals two instances and takes a minute, nearly all of it the stack's.
    let output = Command::new(&bench.engine)
        .arg("demo")
        .stdin(Stdio::null())
        .output()
        .context("the demo could not be run")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the demo failed: {}", errors.trim());
    let healed = healings(&text);
    ensure!(!healed.is_empty(), "the demo healed nothing:\n{text}");
    let took: Figures = healed.iter().map(|healing| healing.ours * 1e3).collect();
    let whole: Figures = healed.iter().map(|healing| healing.whole).collect();
    let share: Figures = healed.iter().map(|h| h.ours / h.whole * 100.0).collect();
    Ok(vec![Row {
        what: "engine's share of healing".into(),
        ours: format!("{} ms", took.spread()),
        against: format!("fault to healed: {} s", whole.spread()),
        ratio: format!("{} %", share.spread()),
        bar: "≤ 1 %".into(),
        verdict: Verdict::of(share.median() <= 1.0),
    }])
}

/// One healing, in seconds.
struct Healing {
    whole: f64,
    ours: f64,
}

/// Reads the verdicts: `healed by restart, and proven, 14.5 s after the fault; Homeostat took 16
/// ms`, wrapped anywhere.
fn healings(text: &str) -> Vec<Healing> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let flat = words.join(" ");
    let parts = flat.split(" s after the fault; Homeostat took ");
    let (before, after) = (parts.clone(), parts.skip(1));
    before
        .zip(after)
        .filter_map(|(before, after)| {
            let whole = before.rsplit(' ').next()?.parse().ok()?;
            let milliseconds: f64 = after.split(' ').next()?.parse().ok()?;
            Some(Healing { whole, ours: milliseconds / 1e3 })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_read_however_they_are_wrapped() {
        let text = "  ok    1. a  healed by restart, and proven, 14.5 s after the fault; \
                    Homeostat\n    took 16 ms\n  ok  2. b  healed by x, and proven, 16 s after the fault; \
                    Homeostat took 14\n             ms\n  ok  3. held; Homeostat took 0 ms\n";
        let read: Vec<(f64, f64)> = healings(text).iter().map(|h| (h.whole, h.ours)).collect();
        assert_eq!(read, [(14.5, 0.016), (16.0, 0.014)]);
    }
}
