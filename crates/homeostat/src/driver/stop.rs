//! What a stopping engine does with running actions.

use std::time::Duration;

/// How long a stopping engine waits for running actions, where nothing else is said.
pub const DRAIN: Duration = Duration::from_secs(30);

/// What a stopping engine does with running actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shutdown {
    /// What becomes of them.
    pub actions: AtStop,
    /// How long they are waited for.
    pub timeout: Duration,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { actions: AtStop::Wait, timeout: DRAIN }
    }
}

/// What becomes of running actions when the engine stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtStop {
    /// They are waited for; those that take longer are left to the runner.
    Wait,
    /// They are left to the runner at once. What the engine does itself is waited for.
    Leave,
    /// They are told to end, and killed if they do not; their ends are written down.
    Kill,
}
