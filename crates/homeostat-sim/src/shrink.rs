//! Makes a failing script small: drops steps, by halves and then one by one, while the same law is
//! still broken.
//!
//! Source: the delta debugging of Zeller and Hildebrandt, "Simplifying and isolating
//! failure-inducing input" (IEEE TSE 2002), without its search among complements of all sizes.

use crate::script::{Script, Step};

/// Runs that a shrink may take.
const RUNS: usize = 2_000;

/// Shrinks a script for which `fails` holds.
pub fn shrink(script: &Script, fails: impl Fn(&Script) -> bool) -> Script {
    let mut best = script.clone();
    let mut runs = 0;
    let mut size = best.steps.len().div_ceil(2);
    while size > 0 && runs < RUNS {
        let mut at = 0;
        let mut dropped = false;
        while at < best.steps.len() && runs < RUNS {
            let end = (at + size).min(best.steps.len());
            let mut steps: Vec<Step> = best.steps.clone();
            steps.drain(at..end);
            let shorter = Script { steps, ..best.clone() };
            runs += 1;
            if fails(&shorter) {
                best = shorter;
                dropped = true;
            } else {
                at = end;
            }
        }
        if size == 1 && !dropped {
            break;
        }
        size = if dropped { size } else { size / 2 };
    }
    best
}
