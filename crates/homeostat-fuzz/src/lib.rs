//! What Homeostat does with bytes of strangers: one function for each door.
//!
//! ```text
//!  make fuzz ─> fuzz/targets/NAME.rs ─┐
//!                                     ├─> a function here ─> panics if a law is broken
//!  make test ─> tests/replay.rs ──────┘
//! ```
//!
//! Duty: feed a door and assert its laws. Nothing may panic, loop or exhaust memory, whatever the
//! bytes are; what is printed reads back as the same. Not its duty: making up bytes, which is the
//! fuzzer's, so that the workspace builds without one.

pub mod bodies;
pub mod files;
pub mod frames;
pub mod matchers;

/// A function that is fed.
pub type Target = fn(&[u8]);

/// All targets, each with the places of its seeds: below `fuzz/corpus/NAME`, and these besides,
/// from the root of the tree.
pub const TARGETS: [(&str, Target, &[&str]); 7] = [
    ("matchers", matchers::matchers, &[]),
    ("regex", matchers::regex, &[]),
    ("webhook", bodies::webhook, &[BODIES]),
    ("alerts_api", bodies::alerts_api, &[]),
    ("config", files::config, &["examples", "contrib"]),
    ("policy_test", files::policy_test, &["examples"]),
    ("frames", frames::frames, &[]),
];

const BODIES: &str = "crates/homeostat/src/intake/fixtures/alertmanager-0.25";
