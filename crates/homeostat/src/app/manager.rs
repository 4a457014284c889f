//! What a service manager is told, where one listens: ready, reloading, stopping, and alive.
//!
//! Duty: the four words of `sd_notify`, and when each is true. *Not* its duty: to start anew what died;
//! that is the manager's.
//!
//! Alive is who turns: the word is sent on behalf of the driver, and only where that looked at its
//! queue since the last one. A server that answers in front of a driver that hangs is not alive. A
//! journal that cannot be written is no reason to be killed: the driver goes on looking.

use sd_notify::NotifyState;
use tracing::warn;

use super::Running;
use crate::queue::Queue;

/// Words in each time after which the manager gives up: some may come late.
const WORDS: u32 = 4;

impl Running {
    /// Tells the service manager, where there is one, that the engine is ready, and that it is
    /// alive for as long as it is.
    pub fn report_to_the_manager(&self) {
        keep_alive(self.queue.clone());
        ready();
    }
}

/// It serves, or does so again.
pub(super) fn ready() {
    tell(&[NotifyState::Ready, NotifyState::Status("")]);
}

/// It serves what it served before: there are errors in the new configuration.
pub(super) fn ready_with_the_old_configuration() {
    let status = "The configuration has errors; the earlier one stays in force.";
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// It reads its configuration again.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => warn!(%error, "the service manager is not told of the reload"),
    }
}

/// It stops.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Says that the engine is alive, for as long as it is, if the manager wants to know.
fn keep_alive(queue: Queue) {
    let Some(patience) = sd_notify::watchdog_enabled() else { return };
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(patience / WORDS);
        let mut seen = None;
        loop {
            ticks.tick().await;
            let looks = queue.looks();
            if seen.replace(looks) != Some(looks) {
                tell(&[NotifyState::Watchdog]);
            }
        }
    });
}

fn tell(words: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(words) {
        warn!(%error, "the service manager cannot be told");
    }
}
