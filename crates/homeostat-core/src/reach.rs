//! Which targets of a policy were acted on, and which of them are being healed.
//!
//! A target is counted from its last order, and for as long as an order of its incident runs, is
//! being proven, or will be tried again. The windows of the limits stand in the configuration, so
//! that entries are kept for the longest window that a limit may have. What may be done is
//! `guard`'s duty.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::collections::RisingSet;
use crate::limits;
use crate::name::PolicyName;
use crate::policy::{Extent, Target};
use crate::time::{Span, Timestamp, age};

/// The reach of one policy.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reach {
    acted: BTreeMap<Target, Timestamp>,
    by_age: RisingSet<(Timestamp, Target)>,
    in_flight: BTreeSet<Target>,
}

/// The targets besides one that count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Others {
    /// An order runs there, or its healing is being proven.
    pub in_flight: u64,
    /// Those that were acted on in the window and are not in flight any more.
    pub recent: u64,
}

impl Others {
    /// Returns how many targets that is.
    pub fn all(self) -> u64 {
        self.in_flight + self.recent
    }
}

/// How many targets count, and how many may: done aloud, for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// Under which policy.
    pub policy: PolicyName,
    /// The targets that count besides the one that is judged.
    pub others: Others,
    /// How many may count.
    pub extent: Extent,
    /// How many targets there are, where that was asked.
    pub inventory: Option<u64>,
    /// In which time.
    pub window: Span,
}

impl Sum {
    /// Returns how many targets may count, the one that is judged included. Where it was not asked
    /// how many there are, it is what is never exceeded.
    pub fn allowed(&self) -> u64 {
        self.inventory.map_or_else(|| self.extent.most(), |inventory| self.extent.of(inventory))
    }

    /// Tells whether the target that is judged may count, too.
    pub fn has_room(&self) -> bool {
        self.others.all() < self.allowed()
    }

    fn count(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { policy, window, others: Others { in_flight, recent }, .. } = self;
        let of = self.inventory.map_or_else(String::new, |inventory| format!(" of {inventory}"));
        let is = |count: u64| if count == 1 { "is" } else { "are" };
        let was = |count: u64| if count == 1 { "was" } else { "were" };
        let targets = |count: u64| {
            let noun = if count == 1 && of.is_empty() { "target" } else { "targets" };
            format!("{noun} of policy {policy}")
        };
        match (*in_flight, *recent) {
            (0, 0) => write!(f, "no other{of} {} counts in {window}", targets(1)),
            (0, recent) => write!(
                f,
                "{recent}{of} {} {} healed in the last {window}",
                targets(recent),
                was(recent)
            ),
            (healing, 0) => {
                write!(f, "{healing}{of} {} {} already being healed", targets(healing), is(healing))
            }
            (healing, recent) => write!(
                f,
                "{healing}{of} {} {} already being healed and {recent} {} in the last {window}",
                targets(healing),
                is(healing),
                was(recent)
            ),
        }
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.count(f)?;
        match (&self.extent, self.inventory) {
            (Extent::Targets(max), _) => write!(f, "; at most {max} may be"),
            (Extent::Share { .. }, None) => {
                write!(f, "; never more than {} may be", self.allowed())
            }
            (Extent::Share { percent, max, min, .. }, Some(inventory)) => {
                let share = Extent::share(*percent, inventory);
                write!(f, "; at most {percent} % of {inventory} is {share}")?;
                let capped = max.map_or(share, |max| share.min(max.into()));
                if capped < share {
                    write!(f, ", and never more than {capped}")?;
                }
                if capped < u64::from(*min) {
                    write!(f, ", and at least {min} may be")?;
                }
                Ok(())
            }
        }
    }
}

impl Reach {
    /// Counts the targets besides this one.
    pub fn others(&self, target: &Target, window: Span, now: Timestamp) -> Others {
        let in_flight = self.in_flight.iter().filter(|other| *other != target).count();
        let recent = self
            .in_window(window, now)
            .filter(|(_, other)| other != target && !self.in_flight.contains(other));
        Others { in_flight: in_flight as u64, recent: recent.count() as u64 }
    }

    /// Returns when at most `most` targets besides this one can be left, as far as time alone
    /// tells: `None` where that depends on a healing that has outlasted the window.
    ///
    /// A target in flight stays at least as long as it is in the window.
    pub fn room_at(
        &self,
        target: &Target,
        window: Span,
        most: u64,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let excess = self.others(target, window, now).all().checked_sub(most)?;
        let last_to_leave = usize::try_from(excess).ok()?.checked_sub(1)?;
        let mut leaving = self.in_window(window, now).filter(|(_, other)| other != target);
        leaving.nth(last_to_leave).map(|(at, _)| *at + window)
    }

    /// The targets acted on in the window, the oldest first.
    fn in_window(
        &self,
        window: Span,
        now: Timestamp,
    ) -> impl Iterator<Item = &(Timestamp, Target)> {
        let just_left = now - window;
        self.by_age
            .starting_at(&(just_left, Target::default()))
            .skip_while(move |(at, _)| *at <= just_left)
    }

    /// Lists the targets that were acted on and when, the oldest first.
    pub(crate) fn acted_on(&self) -> impl Iterator<Item = &(Timestamp, Target)> {
        self.by_age.iter()
    }

    /// Tells whether it knows of no target.
    pub(crate) fn is_empty(&self) -> bool {
        self.acted.is_empty() && self.in_flight.is_empty()
    }

    pub(crate) fn acted(&mut self, target: &Target, now: Timestamp) {
        self.enter(target, now);
        self.forget(now);
    }

    pub(crate) fn enter(&mut self, target: &Target, at: Timestamp) {
        if let Some(before) = self.acted.insert(target.clone(), at) {
            self.by_age.remove(&(before, target.clone()));
        }
        self.by_age.insert((at, target.clone()));
    }

    /// Moves all moments along.
    pub(crate) fn move_along(&mut self, by: Span) {
        self.by_age.clear();
        for (target, at) in &mut self.acted {
            *at = *at + by;
            self.by_age.insert((*at, target.clone()));
        }
    }

    pub(crate) fn took_off(&mut self, target: &Target) {
        self.in_flight.insert(target.clone());
    }

    pub(crate) fn landed(&mut self, target: &Target) {
        self.in_flight.remove(target);
    }

    fn forget(&mut self, now: Timestamp) {
        let (memory, most) = (limits::REACH_MEMORY, limits::REACHED_TARGETS);
        age::forget(&mut self.by_age, now, memory, most, |target| {
            self.acted.remove(target);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Span = Span::from_secs(60);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_000_000 + seconds)
    }

    fn target(name: &str) -> Target {
        Target::from_pairs([("instance", name)])
    }

    #[test]
    fn a_target_counts_once_until_it_has_left_the_window_and_its_flight_is_over() {
        let mut reach = Reach::default();
        reach.acted(&target("a"), at(0));
        reach.took_off(&target("a"));
        reach.acted(&target("a"), at(10));
        reach.acted(&target("b"), at(20));
        let count = |reach: &Reach, of: &str, now: i64| {
            let others = reach.others(&target(of), WINDOW, at(now));
            (others.in_flight, others.recent)
        };
        assert_eq!(count(&reach, "c", 30), (1, 1));
        assert_eq!(count(&reach, "a", 30), (0, 1), "not its own entry");
        assert_eq!(count(&reach, "b", 30), (1, 0));
        assert_eq!(count(&reach, "c", 79), (1, 1));
        assert_eq!(count(&reach, "c", 80), (1, 0), "b has left the window, a is in flight");
        reach.landed(&target("a"));
        assert_eq!(count(&reach, "c", 80), (0, 0));
    }

    #[test]
    fn the_moment_at_which_there_is_room_is_exact() {
        let mut reach = Reach::default();
        for (name, seconds) in [("a", 0), ("b", 10), ("c", 20)] {
            reach.acted(&target(name), at(seconds));
        }
        reach.took_off(&target("c"));
        let room = |reach: &Reach, of: &str, most: u64, now: i64| {
            reach.room_at(&target(of), WINDOW, most, at(now))
        };
        assert_eq!(room(&reach, "d", 2, 30), Some(at(60)));
        assert_eq!(room(&reach, "d", 1, 30), Some(at(70)));
        assert_eq!(room(&reach, "d", 0, 30), Some(at(80)), "not before, as it is in flight");
        assert_eq!(room(&reach, "a", 1, 30), Some(at(70)), "its own entry is not waited for");
        assert_eq!(room(&reach, "d", 0, 90), None, "c has outlasted the window");
        assert_eq!(room(&reach, "d", 3, 30), None, "there is room");
    }

    #[test]
    fn what_is_older_than_any_window_or_beyond_the_bound_is_forgotten() {
        let mut reach = Reach::default();
        reach.acted(&target("old"), at(0));
        let later = at(1) + limits::REACH_MEMORY;
        reach.acted(&target("new"), later);
        assert_eq!(reach.acted.len(), 1);
        for n in 0..limits::REACHED_TARGETS {
            reach.acted(&target(&n.to_string()), later);
        }
        assert_eq!(reach.acted.len(), limits::REACHED_TARGETS);
        assert_eq!(reach.by_age.len(), limits::REACHED_TARGETS);
    }

    #[test]
    fn the_sum_is_done_aloud() {
        let share =
            |percent, max, min| Extent::Share { percent, inventory: "count(up)".into(), max, min };
        let rows = [
            (
                0,
                0,
                Extent::Targets(3),
                None,
                3,
                "no other target of policy web counts in 1m; at most 3 may be",
            ),
            (
                3,
                0,
                Extent::Targets(3),
                None,
                3,
                "3 targets of policy web are already being healed; at most 3 may be",
            ),
            (
                1,
                0,
                share(34, Some(3), 1),
                Some(3),
                1,
                "1 of 3 targets of policy web is already being healed; at most 34 % of 3 is 1",
            ),
            (
                0,
                1,
                share(34, None, 0),
                Some(2),
                0,
                "1 of 2 targets of policy web was healed in the last 1m; at most 34 % of 2 is 0",
            ),
            (
                0,
                2,
                share(34, None, 1),
                Some(2),
                1,
                "2 of 2 targets of policy web were healed in the last 1m; at most 34 % of 2 is \
                 0, and at least 1 may be",
            ),
            (
                1,
                2,
                share(50, Some(3), 0),
                Some(100),
                3,
                "1 of 100 targets of policy web is already being healed and 2 were in the last \
                 1m; at most 50 % of 100 is 50, and never more than 3",
            ),
            (
                5,
                0,
                share(50, Some(3), 5),
                Some(100),
                5,
                "5 of 100 targets of policy web are already being healed; at most 50 % of 100 \
                 is 50, and never more than 3, and at least 5 may be",
            ),
            (
                4,
                0,
                share(50, Some(3), 0),
                None,
                3,
                "4 targets of policy web are already being healed; never more than 3 may be",
            ),
            (
                4,
                0,
                share(100, None, 0),
                None,
                10_000,
                "4 targets of policy web are already being healed; never more than 10000 may be",
            ),
        ];
        for (in_flight, recent, extent, inventory, allowed, text) in rows {
            let others = Others { in_flight, recent };
            let policy = PolicyName::new("web");
            let sum = Sum { policy, others, extent, inventory, window: WINDOW };
            assert_eq!(sum.allowed(), allowed, "{text}");
            assert_eq!(sum.has_room(), in_flight + recent < allowed, "{text}");
            assert_eq!(sum.to_string(), text);
        }
    }
}
