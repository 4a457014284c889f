//! The clocks of a world: the time that passes, the clock on the wall, and the engine's.
//!
//! The world lives by the time that passes: nothing turns that. Witnesses and senders stamp what
//! they say by the clock on the wall, which jumps. The engine's clock follows it forwards, and goes
//! on ahead of it where it was set back.

use homeostat_core::clock::{Clock as Known, Jump, Leap};
use homeostat_core::limits::CLOCK_JUMP;
use homeostat_core::time::{Span, Timestamp};

/// How far the wall clock may be behind its beginning, so that no calendar leaves its year.
const FURTHEST_BACK: Span = Span::from_secs(3 * 86_400);

/// All clocks of a world.
#[derive(Debug, Clone)]
pub struct Clocks {
    begin: Timestamp,
    /// Each moment at which the wall clock was set, and what it showed then.
    set: Vec<(Timestamp, Timestamp)>,
    /// By how much the engine's clock differs from the time that passed, in microseconds.
    engine: i64,
}

impl Clocks {
    /// Begins with all clocks alike.
    pub fn new(begin: Timestamp) -> Self {
        Self { begin, set: vec![(begin, begin)], engine: 0 }
    }

    /// What the wall clock showed at a moment.
    pub fn wall(&self, at: Timestamp) -> Timestamp {
        let set = self.set.iter().rev().find(|(since, _)| *since <= at);
        let (since, shown) = set.copied().unwrap_or((self.begin, self.begin));
        Timestamp::from_micros(shown.micros() + (at.micros() - since.micros()))
    }

    /// What the engine's clock shows now.
    pub fn engine(&self, now: Timestamp) -> Timestamp {
        Timestamp::from_micros(now.micros() + self.engine)
    }

    /// When the engine's clock shows this.
    pub fn of_engine(&self, shown: Timestamp) -> Timestamp {
        Timestamp::from_micros(shown.micros().saturating_sub(self.engine))
    }

    /// Sets the wall clock. None where it would leave the calendar of the world.
    pub fn jump(&mut self, known: &Known, leap: Leap, now: Timestamp) -> Option<Jump> {
        let leap = match leap {
            Leap::Forwards(by) => Leap::Forwards(by),
            Leap::Back(by) => Leap::Back(by.min(self.wall(now).since(self.begin - FURTHEST_BACK))),
        };
        if let Leap::Back(by) | Leap::Forwards(by) = leap
            && by <= CLOCK_JUMP
        {
            return None;
        }
        let jump = Jump::new(known, leap, self.engine(now));
        self.set.push((now, jump.wall));
        self.set_engine(jump.to, now);
        Some(jump)
    }

    /// Goes on with another life of the engine, which knows of jumps only what was written down.
    /// Returns the jump that it finds out about by itself.
    pub fn resume(&mut self, known: &Known, now: Timestamp) -> Option<Jump> {
        let wall = self.wall(now);
        let agreed = known.of_wall(wall);
        let from = known.latest().map_or(agreed, |latest| latest.max(agreed));
        self.set_engine(from, now);
        let expected = known.wall(from);
        if expected.since(wall) > CLOCK_JUMP {
            return Some(Jump { expected, wall, from, to: from });
        }
        // So little is steered away.
        if expected != wall {
            self.set.push((now, expected));
        }
        None
    }

    fn set_engine(&mut self, shown: Timestamp, now: Timestamp) {
        self.engine = shown.micros() - now.micros();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_clock_jumps_and_the_engine_follows_it_forwards_only() {
        let begin = Timestamp::from_seconds(1_000_000);
        let after = |seconds: u64| begin + Span::from_secs(seconds);
        let hours = |hours: u64| Span::from_secs(hours * 3_600);
        let mut clocks = Clocks::new(begin);
        let forwards = clocks.jump(&Known::default(), Leap::Forwards(hours(1)), after(100));
        assert_eq!(forwards.map(|jump| jump.followed()), Some(hours(1)));
        let back = clocks.jump(&Known::default(), Leap::Back(hours(2)), after(200));
        assert_eq!(back.map(|jump| jump.followed()), Some(Span::ZERO));
        for (at, wall) in [
            (after(99), after(99)),
            (after(100), after(3_700)),
            (after(300), after(300) - hours(1)),
        ] {
            assert_eq!(clocks.wall(at), wall);
        }
        assert_eq!(clocks.engine(after(300)), after(3_900));
        assert_eq!(clocks.of_engine(after(3_900)), after(300));
    }

    #[test]
    fn an_engine_that_lost_a_jump_finds_it_or_takes_it_for_time_that_passed() {
        let begin = Timestamp::from_seconds(1_000_000);
        let after = |seconds: u64| begin + Span::from_secs(seconds);
        let hour = Span::from_secs(3_600);
        let mut clocks = Clocks::new(begin);
        clocks.jump(&Known::default(), Leap::Forwards(hour), after(100));
        assert_eq!(clocks.resume(&Known::default(), after(110)), None);
        assert_eq!(clocks.engine(after(110)), after(3_710));
    }
}
