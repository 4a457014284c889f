//! Storm: where very many targets fire at once, orders are stopped or slowed, by a count of our own.

use std::collections::BTreeSet;

use homeostat_core::fact::What;
use homeostat_core::name::{OrderId, PolicyName};
use homeostat_core::policy::{Book, Policy, Rate};
use homeostat_core::storm::{Gauge, StormLimits};
use homeostat_core::time::{Span, Timestamp};

use super::guards::counted;
use super::{Case, Oracle, Verdict, Violation};

/// Up to so many targets, a storm stops all orders; among more it makes them so many times slower,
/// as the configuration's reference says.
const SMALL: u64 = 50;
const SLOWER: u64 = 10;

/// How much later than due a storm may end: a turn waits for a disk or a start.
const GRACE: Span = Span::from_secs(300);

/// A storm of one policy.
#[derive(Debug)]
pub(super) struct Storm {
    threshold: u64,
    cool_down: Span,
    calm_since: Option<Timestamp>,
}

/// When a policy's last order was issued, and how long the next must wait in a storm.
#[derive(Debug)]
pub(super) struct Pace {
    rate: Rate,
    at: Timestamp,
    debt: Span,
}

impl Oracle {
    /// Follows storms, and says what is wrong about them.
    pub(super) fn follow_storms(&mut self, what: &What, book: &Book, now: Timestamp) -> Verdict {
        let broken = |text: String| Err(Violation::new(now, "storm", text));
        match what {
            What::StormBegan { policy, gauge, firing } => {
                self.is_gauged(policy, gauge, book, now)?;
                let fire = self.targets_that_fire(policy);
                if fire != *firing || fire < gauge.threshold || self.storms.contains_key(policy) {
                    return broken(format!("a storm of {policy} begins, and {fire} targets fire"));
                }
                let (threshold, cool_down) = (gauge.threshold, gauge.cool_down);
                let storm = Storm { threshold, cool_down, calm_since: None };
                self.storms.insert(policy.clone(), storm);
            }
            What::StormGauged { policy, gauge } => {
                self.is_gauged(policy, gauge, book, now)?;
                let Some(storm) = self.storms.get_mut(policy) else {
                    return broken(format!("{policy} has no storm that could be measured"));
                };
                (storm.threshold, storm.cool_down) = (gauge.threshold, gauge.cool_down);
            }
            What::StormEnded { policy } => {
                let over = self.storms.remove(policy).and_then(|storm| storm.ends_at());
                let gone = book.policy(policy).is_none_or(|policy| policy.guard.storm.is_none());
                if !gone && over.is_none_or(|at| at > now) {
                    return broken(format!("the storm of {policy} ends, and lasts until {over:?}"));
                }
            }
            _ => {}
        }
        let policies: Vec<PolicyName> = self.storms.keys().cloned().collect();
        for policy in policies {
            let fire = self.targets_that_fire(&policy);
            let Some(storm) = self.storms.get_mut(&policy) else { continue };
            let calm = fire < storm.threshold;
            storm.calm_since = calm.then(|| storm.calm_since.unwrap_or(now));
        }
        Ok(())
    }

    /// A storm does not go on for ever.
    pub(super) fn storms_end(&self, now: Timestamp) -> Verdict {
        let overdue = |storm: &Storm| storm.ends_at().is_some_and(|at| at + GRACE < now);
        match self.storms.iter().find(|(_, storm)| overdue(storm)) {
            Some((policy, _)) => {
                let text = format!("the storm of {policy} is over, and does not end");
                Err(Violation::new(now, "storm", text))
            }
            None => Ok(()),
        }
    }

    /// No order in a storm that stops all, nor sooner than the slower rate lets one pass.
    pub(super) fn is_calm(
        &self,
        case: &Case,
        policy: &Policy,
        id: &OrderId,
        now: Timestamp,
    ) -> Verdict {
        let broken = |text: String| Err(Violation::new(now, "storm", text));
        let Some(limits) = &policy.guard.storm else { return Ok(()) };
        let Some(count) = count_now(case, limits, now) else {
            return broken(format!("order {id} without an inventory"));
        };
        let firing = self.targets_that_fire(&policy.name);
        if !self.storms_over(policy, limits, count) {
            return Ok(());
        }
        if count <= SMALL {
            return broken(format!("order {id} while {firing} of {count} targets fire"));
        }
        let slow = slower(policy.guard.rate);
        // Another rate may have come into force meanwhile.
        if let Some(pace) = self.paces.get(&policy.name).filter(|p| p.rate == policy.guard.rate)
            && now < pace.at + pace.debt.min(slow)
        {
            let ago = now.since(pace.at);
            return broken(format!("order {id} comes {ago} after the last one in a storm"));
        }
        Ok(())
    }

    /// Notes that an order was issued, which leaves so much of its policy's rate to be refilled, and
    /// more in a storm.
    pub(super) fn note_pace(&mut self, case: &Case, policy: &Policy, debt: Span, now: Timestamp) {
        let limits = policy.guard.storm.as_ref();
        let count = limits.and_then(|limits| Some((limits, count_now(case, limits, now)?)));
        let slowed = count.is_some_and(|(limits, count)| self.storms_over(policy, limits, count));
        if slowed {
            self.met.count("order in a storm");
        }
        let debt = if slowed { slower(policy.guard.rate) } else { debt };
        let pace = Pace { rate: policy.guard.rate, at: now, debt };
        self.paces.insert(policy.name.clone(), pace);
    }

    fn storms_over(&self, policy: &Policy, limits: &StormLimits, count: u64) -> bool {
        self.storms.contains_key(&policy.name)
            || self.targets_that_fire(&policy.name) >= threshold(limits, count)
    }

    /// A storm holds only while there is one, and as it should.
    pub(super) fn is_storm(
        &self,
        case: &Case,
        policy: &Policy,
        (firing, gauge, until): (u64, &Gauge, Option<Timestamp>),
        now: Timestamp,
    ) -> Verdict {
        let broken = |text: String| Err(Violation::new(now, "storm", text));
        let limits = policy.guard.storm.as_ref();
        let count = limits.and_then(|limits| count_now(case, limits, now));
        let fire = self.targets_that_fire(&policy.name);
        let lasts = fire >= gauge.threshold || self.storms.contains_key(&policy.name);
        let told = Some(gauge.inventory) == count && firing == fire;
        if !lasts || !told {
            return broken(format!("{firing} of {gauge:?} are a storm: {fire} of {count:?} fire"));
        }
        let stops = gauge.inventory <= SMALL;
        let latest = now + slower(policy.guard.rate);
        match until {
            Some(until) if stops || until <= now || until > latest => {
                broken(format!("a storm of {fire} of {} holds until {until}", gauge.inventory))
            }
            None if !stops => broken(format!("a storm of {fire} of {} stops all", gauge.inventory)),
            Some(_) | None => Ok(()),
        }
    }

    /// A storm is measured by an inventory that was answered now, and by the book.
    fn is_gauged(
        &self,
        policy: &PolicyName,
        gauge: &Gauge,
        book: &Book,
        now: Timestamp,
    ) -> Verdict {
        let limits = book.policy(policy).and_then(|policy| policy.guard.storm.as_ref());
        let right = limits.is_some_and(|limits| {
            let mine = self.open.iter().filter(|(subject, _)| subject.0 == *policy);
            let mut cases = mine.filter_map(|(_, id)| self.cases.get(id));
            let told = cases.any(|case| count_now(case, limits, now) == Some(gauge.inventory));
            let measured = (gauge.threshold, gauge.cool_down);
            told && measured == (threshold(limits, gauge.inventory), limits.cool_down)
        });
        if right {
            return Ok(());
        }
        let text = format!("a storm of {policy} is measured by {gauge:?}, which nobody told");
        Err(Violation::new(now, "storm", text))
    }

    /// How many targets of a policy have an alert that fires, also where their incident is closed.
    fn targets_that_fire(&self, policy: &PolicyName) -> u64 {
        let fires = |case: &&Case| {
            let mut episodes = case.episodes.iter().filter_map(|id| self.episodes.get(id));
            case.subject.0 == *policy && !case.released && episodes.any(|known| known.fires)
        };
        let targets = self.cases.values().filter(fires).map(|case| &case.subject.1);
        targets.collect::<BTreeSet<_>>().len() as u64
    }
}

impl Storm {
    fn ends_at(&self) -> Option<Timestamp> {
        self.calm_since.map(|since| since + self.cool_down)
    }
}

fn count_now(case: &Case, limits: &StormLimits, now: Timestamp) -> Option<u64> {
    let evidence = case.answer.as_ref().filter(|(at, _)| *at == now).map(|(_, e)| e);
    counted(&limits.inventory, evidence)
}

fn threshold(limits: &StormLimits, count: u64) -> u64 {
    let share = (count * u64::from(limits.percent)).div_ceil(100);
    share.max(u64::from(limits.min))
}

/// The time between two orders in a storm that slows.
fn slower(rate: Rate) -> Span {
    Span::from_micros(rate.per.as_micros() / u64::from(rate.max.max(1))).saturating_mul(SLOWER)
}
