//! What guards count: pauses, locks, rates, running orders, past healings, flaps, failures, targets
//! and storms. And what remedies in shadow would have been worth.
//!
//! Ledgers change only when a fact is applied; judging by them is `guard`'s duty. They hold no
//! limits, so that a changed configuration counts at once.

mod circuits;
mod flaps;
mod stragglers;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::collections::RisingSet;
use crate::hold::{Circuit, Scope};
use crate::limits;
use crate::name::{IncidentId, PolicyName, RemedyName, TeamName};
use crate::operator::Operator;
use crate::plan::{Ladder, LockKey};
use crate::policy::{Rate, Target};
use crate::reach::Reach;
use crate::shadow::{Score, Scores};
use crate::storm::{Storm, Storms};
use crate::time::{Span, Timestamp, age};

pub use circuits::{Circuits, Mark, Trial};
pub use flaps::Flaps;
pub use stragglers::{Straggler, Stragglers};

/// An operator's word that nothing may start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Who said so.
    pub by: Operator,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}

/// A bucket's level after an order, as the moment at which the bucket would be full again.
///
/// Source: the generic cell rate algorithm of ITU-T I.371, whose only state is the theoretical
/// arrival time; it is a token bucket of `max` tokens that refills evenly over `per`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// What is charged.
    pub scope: Scope,
    /// When the bucket is full again.
    pub full_at: Timestamp,
}

/// A bucket as its last charge left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    charged_at: Timestamp,
    full_at: Timestamp,
}

impl Bucket {
    /// When it is full by this rate: a bucket that a stricter rate has emptied is never emptier
    /// than empty by the present one.
    fn full_at(self, rate: Rate) -> Timestamp {
        self.charged_at + self.full_at.since(self.charged_at).min(rate.per)
    }
}

/// How the last healing of a target went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// The incident.
    pub incident: IncidentId,
    /// When it closed; `None` while it is open.
    pub closed_at: Option<Timestamp>,
    /// Whether it healed.
    pub healed: bool,
    /// How far up the ladder it got, the remedy that healed included.
    pub ladder: Ladder,
    /// Healings in a row before this one that did not hold.
    pub unheld: u32,
    /// When each remedy last ran on this target.
    pub ran_at: BTreeMap<RemedyName, Timestamp>,
}

/// What a limit is counted for: one policy on one target.
pub type Subject = (PolicyName, Target);

/// Where the past of a subject is kept.
fn place((policy, target): &Subject) -> (Target, PolicyName) {
    (target.clone(), policy.clone())
}

/// One line of a ledger, as a snapshot holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// Everything is paused.
    Paused(Pause),
    /// An incident holds a lock.
    Lock {
        /// What is locked.
        key: LockKey,
        /// By which incident.
        incident: IncidentId,
    },
    /// A bucket's level.
    Level {
        /// What is charged.
        scope: Scope,
        /// As the last charge left it.
        bucket: Bucket,
    },
    /// Orders run.
    Running {
        /// What is counted.
        scope: Scope,
        /// How many.
        orders: u32,
    },
    /// How the last healing of a target went.
    Past {
        /// By which policy.
        policy: PolicyName,
        /// The target.
        target: Target,
        /// How it went.
        past: Arc<Past>,
    },
    /// A trouble ended, and perhaps began again.
    Flaps {
        /// Under which policy.
        policy: PolicyName,
        /// Of which target.
        target: Target,
        /// When it last ended or began again.
        touched_at: Timestamp,
        /// Whether it is over, where that is not plain: it is, if what was noted last is no flap.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        over: Option<bool>,
        /// When it began again, the oldest first.
        flaps: Vec<Timestamp>,
    },
    /// The last results of a remedy.
    Results {
        /// Which remedy.
        circuit: Circuit,
        /// The results, the oldest first.
        marks: Vec<Mark>,
    },
    /// An incident tries a remedy.
    Trying {
        /// Which remedy.
        circuit: Circuit,
        /// Which incident.
        incident: IncidentId,
    },
    /// A target was acted on.
    Acted {
        /// By which policy.
        policy: PolicyName,
        /// The target.
        target: Target,
        /// When last.
        at: Timestamp,
    },
    /// What a remedy in shadow would have been worth.
    Shadow {
        /// Of which policy.
        policy: PolicyName,
        /// The remedy.
        remedy: RemedyName,
        /// How often, and which.
        score: Score,
    },
    /// A run may go on.
    Straggler(Straggler),
    /// There is a storm.
    Storm {
        /// Of which policy.
        policy: PolicyName,
        /// The storm.
        storm: Storm,
    },
}

/// All ledgers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ledgers {
    /// Whether everything is paused.
    pub paused: Option<Pause>,
    /// How often troubles began again.
    pub flaps: Flaps,
    /// How remedies went.
    pub circuits: Circuits,
    /// What remedies in shadow would have been worth.
    pub scores: Scores,
    /// Runs that may go on though their order has ended.
    pub stragglers: Stragglers,
    locks: BTreeMap<LockKey, IncidentId>,
    buckets: BTreeMap<Scope, Bucket>,
    running: BTreeMap<Scope, u32>,
    /// By target first: what lies between healings of a target asks for all policies.
    past: BTreeMap<(Target, PolicyName), Arc<Past>>,
    past_by_age: RisingSet<(Timestamp, (Target, PolicyName))>,
    reaches: BTreeMap<PolicyName, Reach>,
    firing: BTreeMap<PolicyName, RisingSet<IncidentId>>,
    storms: Storms,
}

impl Ledgers {
    /// Returns the incident that holds a lock.
    pub fn holder(&self, key: &LockKey) -> Option<IncidentId> {
        self.locks.get(key).copied()
    }

    /// Returns how many orders run.
    pub fn running(&self, scope: &Scope) -> u32 {
        self.running.get(scope).copied().unwrap_or(0)
    }

    /// Returns the last healing of a target by a policy.
    pub fn past(&self, subject: &Subject) -> Option<&Past> {
        self.past.get(&place(subject)).map(Arc::as_ref)
    }

    /// Returns the last healing of a target by each policy that healed it, whatever it is called by
    /// now. Two targets are one if their labels have the same names and values; a target without any
    /// label is no place, and only its own policy's.
    pub fn pasts<'a>(
        &'a self,
        (policy, target): &'a Subject,
    ) -> impl Iterator<Item = (&'a PolicyName, &'a Past)> {
        let first = (target.clone(), PolicyName::new(""));
        let here = self.past.range(first..).take_while(move |((other, _), _)| other == target);
        let here = here.filter(move |((_, by), _)| !target.is_empty() || by == policy);
        here.map(|((_, by), past)| (by, past.as_ref()))
    }

    /// Returns when a bucket has its next token.
    pub fn next_token(&self, scope: &Scope, rate: Rate) -> Option<Timestamp> {
        let burst = rate.per.saturating_sub(rate.cost());
        self.buckets.get(scope).map(|bucket| bucket.full_at(rate) - burst)
    }

    /// Returns when a bucket holds so many tokens.
    pub fn tokens_at(&self, scope: &Scope, rate: Rate, tokens: u32) -> Option<Timestamp> {
        let held = rate.cost().saturating_mul(tokens.into());
        let missing = rate.per.saturating_sub(held);
        self.buckets.get(scope).map(|bucket| bucket.full_at(rate) - missing)
    }

    /// Returns how many tokens a bucket holds now: at least one exactly where the next is not in the
    /// future.
    pub fn tokens(&self, scope: &Scope, rate: Rate, now: Timestamp) -> u32 {
        let missing = self.buckets.get(scope).map(|bucket| bucket.full_at(rate).since(now));
        let filled = rate.per.saturating_sub(missing.unwrap_or(Span::ZERO)).as_micros();
        let tokens = filled / rate.cost().as_micros().max(1);
        u32::try_from(tokens).unwrap_or(u32::MAX).min(rate.max)
    }

    /// Computes the level after taking a token now. What a stricter rate still asks for is not forgotten
    /// by it: an undo in a storm is not slowed, and the next order is.
    pub fn charge(&self, scope: Scope, rate: Rate, now: Timestamp) -> Charge {
        let bucket = self.buckets.get(&scope);
        let level = bucket.map_or(now, |bucket| bucket.full_at(rate).max(now));
        let stricter = bucket.map_or(now, |bucket| bucket.full_at);
        Charge { scope, full_at: (level + rate.cost()).max(stricter) }
    }

    /// Returns which targets of a policy were acted on.
    pub fn reach(&self, policy: &PolicyName) -> Option<&Reach> {
        self.reaches.get(policy)
    }

    /// Returns the incidents of a policy whose alerts fire, closed ones too: for each target that
    /// fires the oldest.
    pub fn firing(&self, policy: &PolicyName) -> impl Iterator<Item = IncidentId> + '_ {
        self.firing.get(policy).into_iter().flat_map(RisingSet::iter).copied()
    }

    /// Returns how many targets of a policy fire.
    pub fn count_firing(&self, policy: &PolicyName) -> u64 {
        self.firing.get(policy).map_or(0, RisingSet::len) as u64
    }

    /// Returns the storms.
    pub fn storms(&self) -> &Storms {
        &self.storms
    }

    pub(crate) fn acted(&mut self, (policy, target): &Subject, at: Timestamp) {
        self.reaches.entry(policy.clone()).or_default().acted(target, at);
    }

    /// A target's order runs or is being proven, or does not any more.
    pub(crate) fn flies(&mut self, (policy, target): &Subject, flies: bool) {
        let reach = self.reaches.entry(policy.clone()).or_default();
        if flies {
            reach.took_off(target);
        } else {
            reach.landed(target);
        }
        if reach.is_empty() {
            self.reaches.remove(policy);
        }
    }

    /// A target fires, or does not any more.
    pub(crate) fn fires(&mut self, policy: &PolicyName, incident: IncidentId, fires: bool) {
        let firing = self.firing.entry(policy.clone()).or_default();
        if fires {
            firing.insert(incident);
        } else {
            firing.remove(&incident);
        }
        if firing.is_empty() {
            self.firing.remove(policy);
        }
    }

    /// Lets the storms, of which there are seldom any, take in how many targets fire.
    pub(crate) fn weather(&mut self, at: Timestamp) {
        let firing = |policy: &PolicyName| self.firing.get(policy).map_or(0, RisingSet::len) as u64;
        self.storms.firing(firing, at);
    }

    pub(crate) fn storms_mut(&mut self) -> &mut Storms {
        &mut self.storms
    }

    pub(crate) fn take(&mut self, charges: &[Charge], now: Timestamp) {
        for charge in charges {
            let bucket = Bucket { charged_at: now, full_at: charge.full_at };
            self.buckets.insert(charge.scope.clone(), bucket);
        }
    }

    pub(crate) fn lock(&mut self, keys: &[LockKey], incident: IncidentId) {
        for key in keys {
            self.locks.insert(key.clone(), incident);
        }
    }

    pub(crate) fn unlock<'a>(&mut self, keys: impl Iterator<Item = &'a LockKey>) {
        for key in keys {
            self.locks.remove(key);
        }
    }

    pub(crate) fn started(&mut self, policy: &PolicyName, team: Option<&TeamName>) {
        for scope in counted(policy, team) {
            *self.running.entry(scope).or_default() += 1;
        }
    }

    pub(crate) fn ended(&mut self, policy: &PolicyName, team: Option<&TeamName>) {
        for scope in counted(policy, team) {
            if let Some(count) = self.running.get_mut(&scope) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    self.running.remove(&scope);
                }
            }
        }
    }

    pub(crate) fn ran(
        &mut self,
        subject: &Subject,
        incident: IncidentId,
        remedy: &RemedyName,
        at: Timestamp,
    ) {
        let past = self.past.entry(place(subject)).or_insert_with(|| {
            Arc::new(Past {
                incident,
                closed_at: None,
                healed: false,
                ladder: Ladder::default(),
                unheld: 0,
                ran_at: BTreeMap::new(),
            })
        });
        Arc::make_mut(past).ran_at.insert(remedy.clone(), at);
    }

    /// Remembers how an incident that acted ended.
    pub(crate) fn closed(&mut self, subject: &Subject, at: Timestamp, ended: Past) {
        let ended = Past { closed_at: Some(at), ..ended };
        match self.past.entry(place(subject)) {
            Entry::Vacant(vacant) => drop(vacant.insert(Arc::new(ended))),
            Entry::Occupied(mut occupied) => {
                let past = Arc::make_mut(occupied.get_mut());
                if let Some(closed_at) = past.closed_at {
                    self.past_by_age.remove(&(closed_at, place(subject)));
                }
                let ran_at = std::mem::take(&mut past.ran_at);
                *past = Past { ran_at, ..ended };
            }
        }
        self.past_by_age.insert((at, place(subject)));
        self.forget(at);
    }

    /// Moves along all that runs out, so that it has as much time left as before. When an operator
    /// paused and when a storm began are dates, and stay.
    pub(crate) fn move_along(&mut self, by: Span) {
        if by.is_zero() {
            return;
        }
        for bucket in self.buckets.values_mut() {
            (bucket.charged_at, bucket.full_at) = (bucket.charged_at + by, bucket.full_at + by);
        }
        self.past_by_age.clear();
        for (place, past) in &mut self.past {
            let past = Arc::make_mut(past);
            past.closed_at = past.closed_at.map(|at| at + by);
            past.ran_at.values_mut().for_each(|at| *at = *at + by);
            if let Some(at) = past.closed_at {
                self.past_by_age.insert((at, place.clone()));
            }
        }
        self.reaches.values_mut().for_each(|reach| reach.move_along(by));
        self.flaps.move_along(by);
        self.circuits.move_along(by);
        self.storms.move_along(by);
        self.stragglers.move_along(by);
    }

    /// Lists all lines, for a snapshot.
    pub(crate) fn lines(&self) -> impl Iterator<Item = Line> + '_ {
        let paused = self.paused.iter().cloned().map(Line::Paused);
        let locks = self.locks.iter();
        let locks = locks.map(|(key, &incident)| Line::Lock { key: key.clone(), incident });
        let levels = self.buckets.iter();
        let levels = levels.map(|(scope, &bucket)| Line::Level { scope: scope.clone(), bucket });
        let running = self.running.iter();
        let running =
            running.map(|(scope, &orders)| Line::Running { scope: scope.clone(), orders });
        let past = self.past.iter().map(|((target, policy), past)| Line::Past {
            policy: policy.clone(),
            target: target.clone(),
            past: past.clone(),
        });
        let reaches = self.reaches.iter();
        let acted = reaches.flat_map(|(policy, reach)| {
            let line = |(at, target): &(Timestamp, Target)| Line::Acted {
                policy: policy.clone(),
                target: target.clone(),
                at: *at,
            };
            reach.acted_on().map(line)
        });
        let storms = self
            .storms
            .iter()
            .map(|(policy, storm)| Line::Storm { policy: policy.clone(), storm: storm.clone() });
        let scores = self.scores.iter().map(|(policy, remedy, score)| Line::Shadow {
            policy: policy.clone(),
            remedy: remedy.clone(),
            score,
        });
        let stragglers = self.stragglers.iter().cloned().map(Line::Straggler);
        let storms = storms.chain(scores).chain(stragglers);
        let first = paused.chain(locks).chain(levels).chain(running).chain(past);
        first.chain(self.flaps.lines()).chain(self.circuits.lines()).chain(acted).chain(storms)
    }

    /// Enters a line of a snapshot.
    pub(crate) fn enter(&mut self, line: Line) {
        match line {
            Line::Paused(pause) => self.paused = Some(pause),
            Line::Lock { key, incident } => drop(self.locks.insert(key, incident)),
            Line::Level { scope, bucket } => drop(self.buckets.insert(scope, bucket)),
            Line::Running { scope, orders } => drop(self.running.insert(scope, orders)),
            Line::Past { policy, target, past } => {
                let place = (target, policy);
                if let Some(closed_at) = past.closed_at {
                    self.past_by_age.insert((closed_at, place.clone()));
                }
                self.past.insert(place, past);
            }
            Line::Flaps { policy, target, touched_at, over, flaps } => {
                self.flaps.enter((policy, target), touched_at, over, flaps);
            }
            Line::Results { circuit, marks } => self.circuits.enter_results(circuit, marks),
            Line::Trying { circuit, incident } => self.circuits.enter_trying(circuit, incident),
            Line::Acted { policy, target, at } => {
                self.reaches.entry(policy).or_default().enter(&target, at);
            }
            Line::Shadow { policy, remedy, score } => self.scores.enter(policy, remedy, score),
            Line::Storm { policy, storm } => self.storms.enter(&policy, storm),
            Line::Straggler(straggler) => self.stragglers.enter(straggler),
        }
    }

    fn forget(&mut self, now: Timestamp) {
        let (memory, most) = (limits::PAST_HEALING_MEMORY, limits::PAST_HEALINGS);
        age::forget(&mut self.past_by_age, now, memory, most, |place| {
            self.past.remove(place);
        });
    }
}

/// For what a running order counts.
fn counted(policy: &PolicyName, team: Option<&TeamName>) -> impl Iterator<Item = Scope> {
    let team = team.cloned().map(Scope::Team);
    [Scope::Book, Scope::Policy(policy.clone())].into_iter().chain(team)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { max: 3, per: Span::from_secs(30) };

    #[test]
    fn a_bucket_gives_its_burst_at_once_and_then_refills_evenly() {
        let mut ledgers = Ledgers::default();
        let start = Timestamp::from_seconds(1_000);
        for left in [3, 2, 1] {
            assert_eq!(ledgers.tokens(&Scope::Book, RATE, start), left);
            let free = ledgers.next_token(&Scope::Book, RATE).is_none_or(|at| at <= start);
            assert!(free, "the burst is free");
            let charge = ledgers.charge(Scope::Book, RATE, start);
            ledgers.take(&[charge], start);
        }
        let next = ledgers.next_token(&Scope::Book, RATE);
        assert_eq!(next, Some(start + Span::from_secs(10)));
        for (seconds, tokens) in [(0, 0), (9, 0), (10, 1), (19, 1), (20, 2), (30, 3), (99, 3)] {
            let now = start + Span::from_secs(seconds);
            assert_eq!(ledgers.tokens(&Scope::Book, RATE, now), tokens, "after {seconds} s");
        }
    }

    #[test]
    fn what_a_stricter_rate_asks_for_outlives_a_charge_by_a_laxer_one() {
        let mut ledgers = Ledgers::default();
        let start = Timestamp::from_seconds(1_000);
        let slow = RATE.slowed(10);
        let charge = ledgers.charge(Scope::Book, slow, start);
        ledgers.take(&[charge], start);
        let undo_at = start + Span::from_secs(20);
        let charge = ledgers.charge(Scope::Book, RATE, undo_at);
        ledgers.take(&[charge], undo_at);
        let of_slow = Some(start + Span::from_secs(100));
        assert_eq!(ledgers.next_token(&Scope::Book, slow), of_slow);
        let of_plain = Some(undo_at + Span::from_secs(10));
        assert_eq!(
            ledgers.next_token(&Scope::Book, RATE),
            of_plain,
            "and is never more than empty"
        );
    }

    #[test]
    fn old_healings_are_forgotten() {
        let mut ledgers = Ledgers::default();
        let subject = |name: &str| (PolicyName::new(name), Target::default());
        let past = Past {
            incident: IncidentId(1),
            closed_at: None,
            healed: true,
            ladder: Ladder::default(),
            unheld: 0,
            ran_at: BTreeMap::new(),
        };
        let start = Timestamp::from_seconds(0);
        ledgers.closed(&subject("a"), start, past.clone());
        ledgers.closed(&subject("b"), start + Span::from_secs(401 * 86_400), past);
        assert!(ledgers.past(&subject("a")).is_none());
        assert!(ledgers.past(&subject("b")).is_some());
    }
}
