//! The one clock: wall time that never goes back.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use homeostat_core::time::Timestamp;

/// Tells the time.
///
/// Time advances with the monotonic clock from where it was when the clock was made, and follows
/// the wall clock where that is ahead, so that it agrees with what Prometheus and Alertmanager
/// write down. Where the wall clock was set back, time goes on: timers still go off, and evidence
/// stamped by the wall clock counts as too old until the wall clock has caught up.
#[derive(Debug)]
pub struct Clock {
    started: Instant,
    /// Microseconds between the monotonic clock and the time told.
    offset: AtomicI64,
}

impl Default for Clock {
    fn default() -> Self {
        Self { started: Instant::now(), offset: AtomicI64::new(wall()) }
    }
}

impl Clock {
    /// Returns the time.
    pub fn now(&self) -> Timestamp {
        let elapsed = i64::try_from(self.started.elapsed().as_micros()).unwrap_or(i64::MAX);
        let ahead = wall().saturating_sub(elapsed);
        let offset = self.offset.fetch_max(ahead, Ordering::Relaxed).max(ahead);
        Timestamp::from_micros(offset.saturating_add(elapsed))
    }
}

fn wall() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_goes_back_and_agrees_with_the_wall() {
        let clock = Clock::default();
        let mut last = clock.now();
        for _ in 0..10_000 {
            let now = clock.now();
            assert!(now >= last);
            last = now;
        }
        assert!((last.micros() - wall()).abs() < 1_000_000);
    }
}
