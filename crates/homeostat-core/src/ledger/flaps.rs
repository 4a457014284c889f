//! How often the trouble of a target began again after it had ended.
//!
//! A **flap** of a policy's target is that its trouble begins again after it had ended:
//!
//! - an incident opens for it, and an earlier one was let go because all of its alerts had ended;
//! - an alert of its open incident fires again that had ended.
//!
//! The first trouble is no flap, and neither is a further alert beside one that still fires, nor an
//! incident that opens for what never ended, because somebody wants it tried again.
//! Moments are kept and no penalty: what they come to is computed by the limits in force.

use super::{Line, Subject};
use crate::collections::{Nested, RisingSet};
use crate::limits;
use crate::name::PolicyName;
use crate::policy::Target;
use crate::time::{Span, Timestamp, age};

/// What is remembered of a target whose trouble ended at least once.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Flapping {
    touched_at: Timestamp,
    /// Whether its trouble is over: it ended, and none began since.
    over: bool,
    flaps: Vec<Timestamp>,
}

impl Flapping {
    /// Whether what was noted last is no flap. Where a trouble ended in the moment in which it began,
    /// that does not tell.
    fn looks_over(&self) -> bool {
        self.flaps.last() != Some(&self.touched_at)
    }
}

/// The flaps of all targets, bounded in number and by age.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flaps {
    known: Nested<PolicyName, Target, Flapping>,
    by_age: RisingSet<(Timestamp, Subject)>,
}

impl Flaps {
    /// Returns when the trouble of a target began again, the oldest first.
    pub fn of(&self, subject: &Subject) -> &[Timestamp] {
        self.known.get(&subject.0, &subject.1).map_or(&[], |flapping| &flapping.flaps)
    }

    /// Remembers that the trouble of a target ended.
    pub(crate) fn ended(&mut self, subject: &Subject, at: Timestamp) {
        self.touch(subject, at, None);
    }

    /// Notes that an incident opens: a flap, if an earlier trouble ended and none began since.
    pub(crate) fn began(&mut self, subject: &Subject, at: Timestamp) {
        if self.known.get(&subject.0, &subject.1).is_some_and(|known| known.over) {
            self.again(subject, at);
        }
    }

    /// Notes a flap.
    pub(crate) fn again(&mut self, subject: &Subject, at: Timestamp) {
        self.touch(subject, at, Some(at));
    }

    /// Lists all lines, for a snapshot.
    pub(super) fn lines(&self) -> impl Iterator<Item = Line> + '_ {
        self.known.iter().map(|(policy, target, flapping)| Line::Flaps {
            policy: policy.clone(),
            target: target.clone(),
            touched_at: flapping.touched_at,
            over: Some(flapping.over).filter(|over| *over != flapping.looks_over()),
            flaps: flapping.flaps.clone(),
        })
    }

    /// Enters a line of a snapshot.
    pub(super) fn enter(
        &mut self,
        subject: Subject,
        touched_at: Timestamp,
        over: Option<bool>,
        flaps: Vec<Timestamp>,
    ) {
        let mut flapping = Flapping { touched_at, over: false, flaps };
        flapping.over = over.unwrap_or_else(|| flapping.looks_over());
        self.by_age.insert((touched_at, subject.clone()));
        self.known.insert(&subject.0, subject.1, flapping);
    }

    /// Moves all moments along.
    pub(super) fn move_along(&mut self, by: Span) {
        self.by_age.clear();
        for (policy, target, flapping) in self.known.iter_mut() {
            flapping.touched_at = flapping.touched_at + by;
            flapping.flaps.iter_mut().for_each(|flap| *flap = *flap + by);
            self.by_age.insert((flapping.touched_at, (policy.clone(), target.clone())));
        }
    }

    fn touch(&mut self, subject: &Subject, at: Timestamp, flap: Option<Timestamp>) {
        let new = || Flapping { touched_at: at, over: false, flaps: Vec::new() };
        let known = self.known.get_or_insert_with(&subject.0, &subject.1, new);
        let before = std::mem::replace(&mut known.touched_at, at);
        known.over = flap.is_none();
        known.flaps.extend(flap);
        known.flaps.retain(|flap| at.since(*flap) <= limits::FLAP_MEMORY);
        let surplus = known.flaps.len().saturating_sub(limits::FLAPS);
        known.flaps.drain(..surplus);
        if before != at {
            self.by_age.remove(&(before, subject.clone()));
        }
        self.by_age.insert((at, subject.clone()));
        self.forget(at);
    }

    fn forget(&mut self, now: Timestamp) {
        let (memory, most) = (limits::FLAP_MEMORY, limits::FLAPPING_TARGETS);
        age::forget(&mut self.by_age, now, memory, most, |subject| {
            self.known.remove(&subject.0, &subject.1);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::LabelSet;
    use crate::name::PolicyName;

    fn subject(name: &str) -> Subject {
        (PolicyName::new("web"), LabelSet::from_pairs([("instance", name)]))
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn only_what_ended_can_begin_again() {
        let mut flaps = Flaps::default();
        flaps.began(&subject("a"), at(1));
        assert_eq!(flaps.of(&subject("a")), []);
        flaps.ended(&subject("a"), at(2));
        flaps.began(&subject("b"), at(3));
        flaps.began(&subject("a"), at(4));
        flaps.again(&subject("a"), at(5));
        flaps.began(&subject("a"), at(6));
        assert_eq!(flaps.of(&subject("a")), [at(4), at(5)]);
        flaps.ended(&subject("a"), at(5));
        flaps.began(&subject("a"), at(7));
        assert_eq!(flaps.of(&subject("a")), [at(4), at(5), at(7)], "it ended as soon as it began");
        assert_eq!(flaps.of(&subject("b")), []);
    }

    #[test]
    fn the_newest_flaps_are_kept_and_old_ones_are_forgotten() {
        let mut flaps = Flaps::default();
        for second in 0..100 {
            flaps.again(&subject("a"), at(second));
        }
        assert_eq!(flaps.of(&subject("a")).len(), limits::FLAPS);
        assert_eq!(flaps.of(&subject("a")).last(), Some(&at(99)));
        let later = at(99) + limits::FLAP_MEMORY + Span::from_secs(1);
        flaps.ended(&subject("b"), later);
        assert_eq!(flaps.of(&subject("a")), []);
        assert_eq!(flaps, {
            let mut only = Flaps::default();
            only.ended(&subject("b"), later);
            only
        });
    }

    #[test]
    fn targets_are_bounded_in_number() {
        let mut flaps = Flaps::default();
        let many = i64::try_from(limits::FLAPPING_TARGETS).unwrap();
        for number in 0..=many {
            flaps.ended(&subject(&number.to_string()), Timestamp::from_micros(number));
        }
        assert_eq!((flaps.known.len(), flaps.by_age.len()), (20_000, 20_000));
        flaps.began(&subject("0"), at(1));
        assert_eq!(flaps.of(&subject("0")), [], "the oldest was forgotten");
    }
}
