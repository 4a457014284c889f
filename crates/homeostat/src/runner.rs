//! How this program becomes a runner, or a hand, where an engine or a runner started it to be one.
//!
//! What these are and do is the hands' (`homeostat_hands`); here a runner learns to log.

pub use homeostat_hands::runner::*;
use tracing::Level;

use crate::telemetry::logging::{self, Format};

/// Becomes a runner or a hand if this process was started to be one, and returns its exit code when it
/// ends.
///
/// A program that is built with this crate need not call it: whatever makes an
/// [`App`](crate::App) does, and does not return then. Called as the first thing in `main`, it
/// spares the runner all that the program does before that.
pub fn become_one_if_asked() -> Option<Fine> {
    if let Some(said) = homeostat_hands::hand::become_one_if_asked() {
        return Some(said.into());
    }
    homeostat_hands::runner::become_one_if_asked(|| logging::start(Level::INFO, Format::Logfmt))
}
