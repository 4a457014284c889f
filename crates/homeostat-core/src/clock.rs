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

use crate::limits;
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

/// The stamps of others that are certainly later than some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct After {
    than: Timestamp,
    /// What is later is yet to come, and was shown before the wall clock was set back: before the
    /// moment, if that was since.
    until: Option<Timestamp>,
}

impl After {
    /// Those that are later than this one, where no clock has jumped.
    pub fn stamp(than: Timestamp) -> Self {
        Self { than, until: None }
    }

    /// Whether a stamp is one of them.
    pub fn holds(&self, stamp: Timestamp) -> bool {
        self.holds_by(stamp, Span::ZERO)
    }

    /// Whether a stamp is one of them, and later by more than this.
    pub fn holds_by(&self, stamp: Timestamp, margin: Span) -> bool {
        stamp > self.than + margin && self.until.is_none_or(|until| stamp <= until)
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

    /// Returns what others may have stamped only after a past moment of the engine's clock, as one
    /// sees it now.
    ///
    /// A moment up to the last jump has no place on the wall clock of today. But the wall clock was
    /// never ahead of the engine's, which never goes back: what was stamped later than the engine's
    /// clock showed then was stamped after it, before the jump or since. What was stamped no later may
    /// have been earlier, and so may what a clock shows that did not jump forwards with ours.
    pub fn certainly_after(&self, moment: Timestamp, now: Timestamp) -> After {
        match &self.jump {
            Some(jump) if moment <= jump.to => After::stamp(moment.max(jump.wall)),
            Some(_) | None => After { than: self.wall(moment), until: self.until(now) },
        }
    }

    /// Tells whether somebody stamped this before the last jump, as far as the stamp tells: it lies
    /// before all that the wall clock has shown since, or is yet to come and was shown before.
    pub fn is_of_before(&self, stamp: Timestamp, now: Timestamp) -> bool {
        self.jump.as_ref().is_some_and(|jump| stamp < jump.wall)
            || self.until(now).is_some_and(|until| stamp > until)
    }

    /// Tells whether the wall clock has certainly shown this before it was set back, and not since,
    /// whatever is allowed for clocks.
    pub fn is_yet_to_come(&self, stamp: Timestamp, now: Timestamp) -> bool {
        self.until(now).is_some_and(|until| stamp > until + limits::CLOCK_TOLERANCE)
    }

    /// Returns the time after which nothing is stamped yet, if the wall clock shows less than it has
    /// shown. Where it does not, the clock of whoever stamps may go ahead of ours.
    fn until(&self, now: Timestamp) -> Option<Timestamp> {
        (!self.ahead().is_zero()).then(|| self.wall(now))
    }

    /// Tells whether the first of two stamps of others is the earlier one, or the same. What was
    /// stamped since the last jump is later than what was stamped before, whatever they say.
    pub fn is_no_later(&self, first: Timestamp, second: Timestamp, now: Timestamp) -> bool {
        self.place(first, now) <= self.place(second, now)
    }

    /// Returns the later one of two stamps of others.
    pub fn later(
        &self,
        one: Option<Timestamp>,
        other: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        [one, other].into_iter().flatten().max_by_key(|stamp| self.place(*stamp, now))
    }

    fn place(&self, stamp: Timestamp, now: Timestamp) -> (bool, Timestamp) {
        (!self.is_of_before(stamp, now), stamp)
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
        let earliest = |clock: &Clock, moment: i64, now: i64| {
            let after = clock.certainly_after(at(moment), at(now));
            assert!(!after.holds(after.than));
            after.than
        };
        let mut clock = Clock::default();
        assert_eq!(earliest(&clock, 5_000, 6_000), at(5_000));
        let jump = Jump::new(&clock, Leap::Back(hours(1)), at(10_000));
        clock.jumped(&jump);
        // The wall shows 6400 now, when the engine's clock shows 10000.
        assert_eq!(earliest(&clock, 9_999, 10_060), at(9_999), "by the clock of then");
        assert_eq!(earliest(&clock, 10_000, 10_060), at(10_000), "it may have been before");
        assert_eq!(earliest(&clock, 10_001, 10_060), at(6_401));
        assert_eq!(earliest(&clock, 10_060, 10_060), at(6_460));
        let after = clock.certainly_after(at(10_001), at(10_060));
        let held = [6_401, 6_402, 6_460, 6_461, 10_000].map(|stamp| after.holds(at(stamp)));
        assert_eq!(held, [false, true, true, false, false], "what was shown before is not");
        let after = clock.certainly_after(at(9_990), at(10_060));
        let held = [6_460, 9_990, 9_991, 9_999].map(|stamp| after.holds(at(stamp)));
        assert_eq!(held, [false, false, true, true], "stamped after it, and before the jump");
        let to_come =
            [6_460, 6_461, 6_462, 9_999].map(|stamp| clock.is_yet_to_come(at(stamp), at(10_060)));
        assert_eq!(to_come, [false, false, true, true], "what is allowed for clocks is not");
        clock.jumped(&Jump::new(&clock, Leap::Forwards(hours(3)), at(11_000)));
        assert_eq!(earliest(&clock, 10_060, 18_300), at(18_200), "the wall right after the jump");
        assert_eq!(earliest(&clock, 18_300, 18_300), at(18_300));
    }

    #[test]
    fn what_was_stamped_since_a_jump_is_later_whatever_it_says() {
        let mut clock = Clock::default();
        assert!(clock.is_no_later(at(1), at(1), at(5)) && !clock.is_no_later(at(2), at(1), at(5)));
        assert!(!clock.is_no_later(at(9), at(1), at(5)), "of a clock that goes ahead of ours");
        clock.jumped(&Jump::new(&clock, Leap::Back(hours(1)), at(10_000)));
        // The wall showed 10000, was set to 6400, and shows 6500.
        let now = at(10_100);
        for (first, second, is) in [
            (9_000, 6_450, true),
            (6_450, 9_000, false),
            (8_000, 9_000, true),
            (9_000, 8_000, false),
            (6_399, 9_000, true),
            (6_410, 6_450, true),
            (6_450, 6_410, false),
        ] {
            assert_eq!(clock.is_no_later(at(first), at(second), now), is, "{first} {second}");
        }
        clock.jumped(&Jump::new(&clock, Leap::Forwards(Span::from_secs(120)), now));
        assert!(clock.is_no_later(at(9_000), at(6_630), at(10_150)), "shown before both jumps");
        assert!(clock.is_no_later(at(6_450), at(6_630), at(10_150)));
    }
}
