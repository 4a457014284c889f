//! Time as the oracle counts it: what passed, without what jumps of the wall clock skipped; and when
//! it was that somebody stamped what they said.

use homeostat_core::clock::Jump;
use homeostat_core::evidence::Evidence;
use homeostat_core::time::{Span, Timestamp};

/// A wall clock that was set, since when, and to what.
#[derive(Debug, Clone, Copy)]
struct Setting {
    since: Timestamp,
    shown: Timestamp,
    /// What the engine's clock skipped until then.
    skipped: Span,
}

/// What is known of the clocks.
#[derive(Debug, Default, Clone)]
pub(super) struct Hours {
    skipped: Span,
    settings: Vec<Setting>,
    last: Option<Jump>,
    /// What was known before the last jump, while that is not committed.
    before: Option<Box<Hours>>,
}

impl Hours {
    /// The engine is told of a jump; once more, where its commit failed.
    pub(super) fn jump(&mut self, jump: &Jump) -> bool {
        if self.last.as_ref() == Some(jump) {
            return false;
        }
        self.before = Some(Box::new(self.clone()));
        self.skipped = self.skipped.saturating_add(jump.followed());
        let (since, skipped) = (self.own(jump.to), self.skipped);
        self.settings.push(Setting { since, shown: jump.wall, skipped });
        self.last = Some(jump.clone());
        true
    }

    /// The last jump is committed.
    pub(super) fn commit(&mut self) {
        self.before = None;
    }

    /// The engine starts: what was not committed it takes for time that passed. Returns whether
    /// there was such a jump.
    pub(super) fn restart(&mut self) -> bool {
        let before = self.before.take();
        let lost = before.is_some();
        if let Some(before) = before {
            *self = *before;
        }
        lost
    }

    /// When the engine's clock showed this, if that was after the last jump.
    pub(super) fn own(&self, shown: Timestamp) -> Timestamp {
        shown - self.skipped
    }

    /// What the engine's clock showed then.
    pub(super) fn showed(&self, at: Timestamp) -> Timestamp {
        let setting = self.settings.iter().rfind(|setting| setting.since < at);
        at + setting.map_or(Span::ZERO, |setting| setting.skipped)
    }

    /// What the wall clock shows, unless it jumps before.
    pub(super) fn wall(&self, at: Timestamp) -> Timestamp {
        match self.settings.last() {
            Some(setting) => setting.shows(at),
            None => at,
        }
    }

    /// Since when the wall clock shows what it does.
    pub(super) fn set_at(&self) -> Option<Timestamp> {
        Some(self.settings.last()?.since)
    }

    /// Whether evidence was gathered before the clock jumped: nobody knows how old it is.
    pub(super) fn is_void(&self, evidence: &Evidence) -> bool {
        self.is_before_jump(evidence.gathered_at)
    }

    /// Whether the engine's clock showed this before the clock jumped.
    pub(super) fn is_before_jump(&self, shown: Timestamp) -> bool {
        self.last.as_ref().is_some_and(|jump| shown < jump.to)
    }

    /// A moment of our own, unless the clock has jumped since.
    pub(super) fn unless_jumped(&self, at: Timestamp) -> Option<Timestamp> {
        self.set_at().is_none_or(|set_at| at > set_at).then_some(at)
    }

    /// How long ago evidence was gathered.
    pub(super) fn age(&self, evidence: &Evidence, now: Timestamp) -> Span {
        now.since(self.own(evidence.gathered_at))
    }

    /// Where a stamp stands among others: those of before the last jump are the earlier ones.
    pub(super) fn place(&self, stamp: Timestamp, now: Timestamp) -> (bool, Timestamp) {
        let is_since = self.settings.last().is_none_or(|setting| {
            let at = setting.when(stamp);
            setting.since <= at && at <= now
        });
        (is_since, stamp)
    }

    /// The later one of two stamps.
    pub(super) fn later(&self, one: Timestamp, other: Timestamp, now: Timestamp) -> Timestamp {
        if self.place(one, now) > self.place(other, now) { one } else { other }
    }

    /// The last moment, up to now, at which the wall clock may have shown this.
    pub(super) fn latest(&self, stamp: Timestamp, now: Timestamp) -> Timestamp {
        let mut until = now;
        for setting in self.settings.iter().rev() {
            let at = setting.when(stamp);
            if setting.since <= at && at <= until {
                return at;
            }
            until = setting.since;
        }
        // It has always shown so much, until it was set.
        stamp.min(until)
    }
}

impl Hours {
    /// The first moment at which the wall clock may have shown this.
    pub(super) fn earliest(&self, stamp: Timestamp) -> Timestamp {
        let epoch = Timestamp::from_micros(0);
        let mut setting = Setting { since: epoch, shown: epoch, skipped: Span::ZERO };
        for next in &self.settings {
            let at = setting.when(stamp);
            if setting.since <= at && at < next.since {
                return at;
            }
            setting = *next;
        }
        setting.when(stamp)
    }
}

impl Setting {
    fn shows(self, at: Timestamp) -> Timestamp {
        Timestamp::from_micros(self.shown.micros() + (at.micros() - self.since.micros()))
    }

    fn when(self, shown: Timestamp) -> Timestamp {
        Timestamp::from_micros(self.since.micros() + (shown.micros() - self.shown.micros()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use homeostat_core::clock::{Clock, Leap};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn a_stamp_is_of_the_last_moment_at_which_the_wall_clock_showed_it() {
        let mut hours = Hours::default();
        let hour = Span::from_secs(3_600);
        let back = Jump::new(&Clock::default(), Leap::Back(hour), at(10_000));
        assert!(hours.jump(&back) && !hours.jump(&back));
        assert_eq!(hours.wall(at(10_060)), at(6_460));
        assert_eq!(hours.latest(at(9_999), at(10_060)), at(9_999), "it was before the jump");
        assert_eq!(hours.latest(at(6_450), at(10_060)), at(10_050), "it is shown once more");
        assert_eq!(hours.latest(at(6_300), at(10_060)), at(6_300));
        hours.restart();
        assert_eq!(hours.wall(at(10_060)), at(10_060), "nobody wrote the jump down");
        let forwards = Jump::new(&Clock::default(), Leap::Forwards(hour), at(10_000));
        hours.jump(&forwards);
        hours.commit();
        hours.restart();
        assert_eq!(hours.own(at(13_660)), at(10_060), "an hour was skipped");
        assert_eq!(hours.latest(at(13_660), at(10_100)), at(10_060));
    }
}
