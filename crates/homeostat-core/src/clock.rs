//! The engine's clock and the clock on the wall: how they differ, and what a jump between them means.
//!
//! The engine's clock goes on by itself and never goes back. The clock on the wall, by which others
//! stamp what they say, may be set by anybody at any time:
//!
//! ```text
//!  set forwards   engine ────┐ follows                  wall ────┐
//!                            └────────────>                      └────────────>
//!  set back       engine ─────────────────> goes on     wall ────┐
//!                           `ahead` of the wall                  └─ (earlier) ─>
//! ```
//!
//! Where the engine's clock follows, what waits is moved along, so that it waits for as long as it
//! would have. Where it goes on, nothing that waits moves, and what others stamp is compared with the
//! wall clock that it then shows.
//!
//! Not the duty of this room: reading a clock, and noticing that one jumped (a door's).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time::{Span, Timestamp};

/// Which way the wall clock was set, and by how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leap {
    /// Forwards. A machine that was suspended finds its wall clock so, too.
    Forwards(Span),
    /// Back.
    Back(Span),
}

impl fmt::Display for Leap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forwards(by) => write!(f, "forwards by {by}"),
            Self::Back(by) => write!(f, "back by {by}"),
        }
    }
}

/// That the wall clock does not show what it should after the time that has passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jump {
    /// What the wall clock would show without it.
    pub expected: Timestamp,
    /// What it shows.
    pub wall: Timestamp,
    /// What the engine's clock showed.
    pub from: Timestamp,
    /// What the engine's clock shows from now on: never earlier.
    pub to: Timestamp,
}

impl Jump {
    /// Makes the jump of a wall clock that was set like this, when the engine's clock showed `now`.
    pub fn new(clock: &Clock, leap: Leap, now: Timestamp) -> Self {
        let expected = clock.wall(now);
        let wall = match leap {
            Leap::Forwards(by) => expected + by,
            Leap::Back(by) => expected - by,
        };
        Self { expected, wall, from: now, to: now.max(wall) }
    }

    /// Returns which way the wall clock jumped.
    pub fn leap(&self) -> Leap {
        // Nobody wants to read the microseconds that pass between two readings.
        let whole = |span: Span| Span::from_secs((span.as_millis() + 500) / 1000);
        if self.wall >= self.expected {
            Leap::Forwards(whole(self.wall.since(self.expected)))
        } else {
            Leap::Back(whole(self.expected.since(self.wall)))
        }
    }

    /// Returns by how much the engine's clock has followed: what waits is moved along by this.
    pub fn followed(&self) -> Span {
        self.to.since(self.from)
    }
}

impl fmt::Display for Jump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the wall clock jumped {}", self.leap())
    }
}

/// How the engine's clock stands to the wall clock, as far as it is written down.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    latest: Option<Timestamp>,
    jump: Option<Jump>,
}

impl Clock {
    /// Returns when the last thing happened: no engine begins earlier.
    pub fn latest(&self) -> Option<Timestamp> {
        self.latest
    }

    /// Returns the last jump.
    pub fn jump(&self) -> Option<&Jump> {
        self.jump.as_ref()
    }

    /// Returns how far the engine's clock is ahead of the wall clock.
    pub fn ahead(&self) -> Span {
        self.jump.as_ref().map_or(Span::ZERO, |jump| jump.to.since(jump.wall))
    }

    /// Returns what the wall clock shows when the engine's clock shows `now`. Calendars and the
    /// stamps of others are compared with this.
    pub fn wall(&self, now: Timestamp) -> Timestamp {
        now - self.ahead()
    }

    /// Returns what the engine's clock shows when the wall clock shows this.
    pub fn of_wall(&self, wall: Timestamp) -> Timestamp {
        wall + self.ahead()
    }

    /// Returns the time on the wall after which what others stamp is certainly later than a past
    /// moment of the engine's clock.
    ///
    /// A moment up to the last jump has no place on the wall clock of today. What was stamped
    /// before the jump, or no later than the moment as it then looked, may have been earlier.
    pub fn certainly_after(&self, moment: Timestamp) -> Timestamp {
        match &self.jump {
            Some(jump) if moment <= jump.to => moment.max(jump.wall),
            Some(_) | None => self.wall(moment),
        }
    }

    pub(crate) fn reads(&mut self, now: Timestamp) {
        self.latest = self.latest.max(Some(now));
    }

    pub(crate) fn jumped(&mut self, jump: &Jump) {
        self.jump = Some(jump.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn hours(hours: u64) -> Span {
        Span::from_secs(hours * 3600)
    }

    #[test]
    fn the_engines_clock_follows_forwards_and_never_goes_back() {
        let mut clock = Clock::default();
        let mut now = at(100_000);
        for (leap, followed, ahead) in [
            (Leap::Forwards(hours(1)), hours(1), hours(0)),
            (Leap::Back(hours(3)), hours(0), hours(3)),
            (Leap::Back(hours(1)), hours(0), hours(4)),
            (Leap::Forwards(hours(2)), hours(0), hours(2)),
            (Leap::Forwards(hours(5)), hours(3), hours(0)),
        ] {
            let jump = Jump::new(&clock, leap, now);
            assert_eq!((jump.followed(), jump.leap()), (followed, leap));
            now = jump.to;
            clock.jumped(&jump);
            assert_eq!((clock.ahead(), clock.wall(now)), (ahead, jump.wall), "{leap}");
            assert_eq!(clock.of_wall(jump.wall), now);
        }
    }

    #[test]
    fn what_was_stamped_before_a_jump_is_never_certainly_later() {
        let mut clock = Clock::default();
        assert_eq!(clock.certainly_after(at(5_000)), at(5_000));
        let jump = Jump::new(&clock, Leap::Back(hours(1)), at(10_000));
        clock.jumped(&jump);
        // The wall shows 6400 now, when the engine's clock shows 10000.
        assert_eq!(clock.certainly_after(at(9_999)), at(9_999), "by the clock of then");
        assert_eq!(clock.certainly_after(at(10_000)), at(10_000), "it may have been before");
        assert_eq!(clock.certainly_after(at(10_001)), at(6_401));
        assert_eq!(clock.certainly_after(at(10_060)), at(6_460));
        clock.jumped(&Jump::new(&clock, Leap::Forwards(hours(3)), at(11_000)));
        assert_eq!(clock.certainly_after(at(10_060)), at(18_200), "the wall right after the jump");
        assert_eq!(clock.certainly_after(at(18_300)), at(18_300));
    }
}
