//! The limits of a policy's guards, as they are set.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::interval::TimeInterval;
use crate::label::Matchers;
use crate::limits::{self, defaults};
use crate::name::CircuitName;
use crate::storm::StormLimits;
use crate::template::Template;
use crate::time::Span;

/// At most `max` in `per`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub max: u32,
    /// In which time.
    pub per: Span,
}

impl Rate {
    /// Returns the time in which one order's share refills. A rate of none at all lets one pass in
    /// its whole time; the configuration refuses it.
    pub fn cost(self) -> Span {
        Span::from_micros(self.per.as_micros() / u64::from(self.max.max(1)))
    }

    /// Returns a rate that is so many times slower, and lets nothing pass in a burst.
    #[must_use]
    pub fn slowed(self, times: u64) -> Self {
        Self { max: 1, per: self.cost().saturating_mul(times) }
    }
}

/// How many targets of a policy may be acted on in a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlastRadius {
    /// In which time. A target that is being healed counts longer, if need be.
    pub window: Span,
    /// How many.
    pub extent: Extent,
}

/// How many targets a blast radius has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// So many.
    Targets(u32),
    /// A share of all that there are.
    Share {
        /// The share.
        percent: u32,
        /// PromQL that counts all that there are.
        inventory: Arc<str>,
        /// No more than this, however many there are.
        max: Option<u32>,
        /// No fewer than this, however few there are.
        min: u32,
    },
}

impl Extent {
    /// Returns the PromQL that must be asked.
    pub fn inventory(&self) -> Option<&Arc<str>> {
        match self {
            Self::Targets(_) => None,
            Self::Share { inventory, .. } => Some(inventory),
        }
    }

    /// Computes how many of so many targets it is.
    pub fn of(&self, inventory: u64) -> u64 {
        match self {
            Self::Targets(max) => u64::from(*max).min(limits::REACHED_TARGETS as u64),
            Self::Share { percent, max, min, .. } => {
                let share = Self::share(*percent, inventory);
                let bounded = max.map_or(share, |max| share.min(max.into()));
                bounded.max((*min).into()).min(limits::REACHED_TARGETS as u64)
            }
        }
    }

    /// Computes a share, rounded down.
    pub fn share(percent: u32, of: u64) -> u64 {
        of.saturating_mul(percent.into()) / 100
    }

    /// Returns what it never exceeds, however many targets there are.
    pub fn most(&self) -> u64 {
        self.of(u64::MAX)
    }
}

/// An alert that always fires: where it is not heard of, monitoring is blind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watchdog {
    /// Which alerts are it; one that is heard of is enough.
    pub matchers: Matchers,
    /// How long it may go unmentioned.
    pub max_age: Span,
}

impl Watchdog {
    /// Returns what tells it from others: its matchers, as they print.
    pub fn key(&self) -> Arc<str> {
        self.matchers.to_string().into()
    }
}

/// How a target that flaps is damped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damping {
    /// The time in which its penalty halves.
    pub half_life: Span,
    /// It is suppressed when its penalty rises above this.
    pub suppress: u32,
    /// It is let go when its penalty has fallen to this.
    pub reuse: u32,
}

impl Default for Damping {
    fn default() -> Self {
        Self {
            half_life: defaults::FLAP_HALF_LIFE,
            suppress: defaults::FLAP_SUPPRESS,
            reuse: defaults::FLAP_REUSE,
        }
    }
}

/// When a remedy that fails is not run any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breaker {
    /// At so many failures.
    pub failures: u32,
    /// Of so many results.
    pub of: u32,
    /// How long after the last failure one trial may pass.
    pub after: Span,
    /// The breaker that the policy's remedies share with those of all policies that name it.
    pub shared: Option<CircuitName>,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            failures: defaults::BREAKER_FAILURES,
            of: defaults::BREAKER_OF,
            after: defaults::BREAKER_AFTER,
            shared: None,
        }
    }
}

/// What follows where somebody else manages what a remedy would change, as Git does by a controller.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Managed {
    /// A person is asked first.
    #[default]
    Ask,
    /// It is changed as anything else.
    Act,
}

/// The limits of a policy's guards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardLimits {
    /// Time between healings of one target.
    pub cooldown: Span,
    /// Orders of the policy in a time.
    pub rate: Rate,
    /// Orders of the policy that run at once.
    pub concurrency: u32,
    /// Keys to lock besides the target.
    pub locks: Vec<Template>,
    /// Orders of one incident.
    pub attempts: u32,
    /// How young a firing observation must be where nobody can be asked.
    pub fresh_max_age: Span,
    /// When nothing may be done.
    pub freeze: Vec<Arc<TimeInterval>>,
    /// Without which alert nothing may be done.
    pub watchdog: Option<Watchdog>,
    /// How a target that flaps is damped, if it is.
    pub flap: Option<Damping>,
    /// When a remedy that fails is not run any more, if ever.
    pub breaker: Option<Breaker>,
    /// How many targets may be acted on in a time; `None`: any number.
    pub blast_radius: Option<BlastRadius>,
    /// What makes a storm; `None`: nothing.
    pub storm: Option<StormLimits>,
    /// Whether a hand that can do so says first what would come of it.
    pub dry_run: bool,
    /// What follows where somebody else manages what would be changed.
    pub managed: Managed,
}
