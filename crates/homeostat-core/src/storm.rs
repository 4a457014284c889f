//! Storms: so many targets of one policy fire at once that the trouble is a common one.
//!
//! ```text
//!  calm ──(enough targets fire)──> storm ──(fewer fire, for as long as the cool-down)──> calm
//! ```
//!
//! Duty: the measure of a storm, and which storms there are. Not its duty: what is allowed in one
//! (`guard`).
//!
//! Source: `ComputeZoneState` and `unhealthy-zone-threshold` of Kubernetes' node lifecycle
//! controller (55 %, and more than two nodes); the storm cool-down of medik8s' `NodeHealthCheck`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::limits;
use crate::name::PolicyName;
use crate::time::{Span, Timestamp};

/// What makes a storm of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StormLimits {
    /// Which share of all targets must fire at once.
    pub percent: u32,
    /// And at least so many of them.
    pub min: u32,
    /// How long fewer must fire before it is over.
    pub cool_down: Span,
    /// PromQL that counts all targets.
    pub inventory: Arc<str>,
}

/// What a storm is measured by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gauge {
    /// How many targets there are.
    pub inventory: u64,
    /// Which share of them makes a storm.
    pub percent: u32,
    /// How many targets make one.
    pub threshold: u64,
    /// How long fewer must fire before it is over.
    pub cool_down: Span,
}

impl Gauge {
    /// Measures by so many targets.
    pub fn new(limits: &StormLimits, inventory: u64) -> Self {
        let share = inventory.saturating_mul(limits.percent.into()).div_ceil(100);
        Self {
            inventory,
            percent: limits.percent,
            threshold: share.max(limits.min.into()),
            cool_down: limits.cool_down,
        }
    }

    /// Tells whether a storm stops everything: of so few targets none can be spared. Among more,
    /// it slows.
    pub fn stops(&self) -> bool {
        self.inventory <= limits::STORM_SMALL
    }
}

impl fmt::Display for Gauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { inventory, percent, threshold, .. } = self;
        write!(f, "a storm is {threshold} of {inventory}, from {percent} %")
    }
}

/// A storm of one policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storm {
    /// When it began.
    pub began_at: Timestamp,
    /// What it was last measured by.
    pub gauge: Gauge,
    /// Since when fewer targets fire.
    pub calm_since: Option<Timestamp>,
}

impl Storm {
    /// Returns when it is over, unless more targets fire before.
    pub fn ends_at(&self) -> Option<Timestamp> {
        self.calm_since.map(|since| since + self.gauge.cool_down)
    }
}

/// All storms.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Storms {
    by_policy: BTreeMap<PolicyName, Storm>,
    ends: BTreeSet<(Timestamp, PolicyName)>,
}

impl Storms {
    /// Returns the storm of a policy.
    pub fn get(&self, policy: &PolicyName) -> Option<&Storm> {
        self.by_policy.get(policy)
    }

    /// Returns all storms.
    pub fn iter(&self) -> impl Iterator<Item = (&PolicyName, &Storm)> {
        self.by_policy.iter()
    }

    /// Returns the storm that is over first.
    pub fn first_end(&self) -> Option<&(Timestamp, PolicyName)> {
        self.ends.first()
    }

    pub(crate) fn began(&mut self, policy: &PolicyName, gauge: &Gauge, at: Timestamp) {
        let storm = Storm { began_at: at, gauge: gauge.clone(), calm_since: None };
        self.enter(policy, storm);
    }

    pub(crate) fn gauged(&mut self, policy: &PolicyName, gauge: &Gauge) {
        if let Some(storm) = self.by_policy.get(policy).cloned() {
            self.enter(policy, Storm { gauge: gauge.clone(), ..storm });
        }
    }

    pub(crate) fn ended(&mut self, policy: &PolicyName) {
        if let Some(end) = self.by_policy.remove(policy).and_then(|storm| storm.ends_at()) {
            self.ends.remove(&(end, policy.clone()));
        }
    }

    /// Takes in how many targets of each policy fire now.
    pub(crate) fn firing(&mut self, firing: impl Fn(&PolicyName) -> u64, at: Timestamp) {
        let turned = self.by_policy.iter().filter_map(|(policy, storm)| {
            let calm = firing(policy) < storm.gauge.threshold;
            let turns = calm != storm.calm_since.is_some();
            turns.then(|| {
                (policy.clone(), Storm { calm_since: calm.then_some(at), ..storm.clone() })
            })
        });
        for (policy, storm) in turned.collect::<Vec<_>>() {
            self.enter(&policy, storm);
        }
    }

    /// Moves the cool-downs along that have begun.
    pub(crate) fn move_along(&mut self, by: Span) {
        for (policy, storm) in self.by_policy.clone() {
            let calm_since = storm.calm_since.map(|since| since + by);
            self.enter(&policy, Storm { calm_since, ..storm });
        }
    }

    pub(crate) fn enter(&mut self, policy: &PolicyName, storm: Storm) {
        self.ended(policy);
        self.ends.extend(storm.ends_at().map(|end| (end, policy.clone())));
        self.by_policy.insert(policy.clone(), storm);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(percent: u32, min: u32) -> StormLimits {
        let cool_down = Span::from_secs(300);
        StormLimits { percent, min, cool_down, inventory: "count(up)".into() }
    }

    #[test]
    fn a_storm_is_a_share_rounded_up_and_never_less_than_its_minimum() {
        for (percent, min, inventory, threshold, stops) in [
            (55, 3, 100, 55, false),
            (55, 3, 101, 56, false),
            (55, 3, 50, 28, true),
            (55, 3, 51, 29, false),
            (55, 3, 3, 3, true),
            (55, 3, 1, 3, true),
            (100, 1, 7, 7, true),
            (1, 1, 5, 1, true),
            (55, 3, u64::MAX, u64::MAX.div_ceil(100), false),
        ] {
            let gauge = Gauge::new(&limits(percent, min), inventory);
            assert_eq!((gauge.threshold, gauge.stops()), (threshold, stops), "{inventory}");
        }
    }

    #[test]
    fn a_storm_ends_a_cool_down_after_fewer_fire_and_not_while_more_do() {
        let policy = PolicyName::new("web");
        let at = |seconds: i64| Timestamp::from_seconds(1_000 + seconds);
        let mut storms = Storms::default();
        storms.began(&policy, &Gauge::new(&limits(55, 3), 10), at(0));
        assert_eq!(storms.first_end(), None);
        storms.firing(|_| 5, at(10));
        storms.firing(|_| 4, at(20));
        assert_eq!(storms.first_end(), Some(&(at(310), policy.clone())));
        storms.firing(|_| 6, at(30));
        assert_eq!(storms.first_end(), None);
        storms.firing(|_| 5, at(40));
        storms.gauged(&policy, &Gauge::new(&limits(30, 3), 10));
        storms.firing(|_| 5, at(50));
        assert_eq!(storms.first_end(), None, "by the new measure it goes on");
        storms.firing(|_| 2, at(60));
        storms.ended(&policy);
        assert_eq!((storms.first_end(), storms.get(&policy)), (None, None));
    }
}
