//! Why an order must wait, as a fact that a person can read.
//!
//! A hold never just says no: it says which guard, why, and what ends it: a moment, or a gate
//! that opens when another incident or an operator moves.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::name::{IncidentId, PolicyName};
use crate::plan::LockKey;
use crate::time::{Span, Timestamp};

/// A guard, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// Holds everything while an operator says so.
    Pause,
    /// The alert fires now.
    Fresh,
    /// Nobody has silenced it.
    Silence,
    /// Nothing else heals the same thing.
    Lock,
    /// It was not healed a moment ago.
    Cooldown,
    /// Not too many orders in a time.
    Rate,
    /// Not too many orders at once.
    Concurrency,
    /// Not too many orders for one incident.
    Attempts,
}

impl Guard {
    /// Returns the guard's name as it stands in the configuration and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Fresh => "fresh",
            Self::Silence => "silence",
            Self::Lock => "lock",
            Self::Cooldown => "cooldown",
            Self::Rate => "rate",
            Self::Concurrency => "concurrency",
            Self::Attempts => "attempts",
        }
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a limit counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// All policies together.
    Book,
    /// One policy.
    Policy(PolicyName),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Book => f.write_str("all policies together"),
            Self::Policy(name) => write!(f, "policy {name}"),
        }
    }
}

/// What a cooldown counts from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cooling {
    /// The end of the last incident of this target.
    Closed(IncidentId),
    /// The last run of the same remedy on this target.
    Ran,
}

/// Why an order must wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "hold")]
pub enum Hold {
    /// An operator has paused everything.
    Paused {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// Nobody vouches that the alert fires now.
    NotFresh {
        /// What was found instead.
        why: String,
    },
    /// A person has silenced the alert, or another alert inhibits it.
    Silenced {
        /// Which silence or alert.
        by: String,
    },
    /// Another incident heals the same thing.
    Locked {
        /// What is locked.
        key: LockKey,
        /// By which incident.
        by: IncidentId,
    },
    /// The target was healed a moment ago.
    CoolingDown {
        /// From what the cooldown counts.
        since: Cooling,
        /// How long it is.
        cooldown: Span,
        /// How many healings in a row did not hold.
        unheld: u32,
        /// When it ends.
        until: Timestamp,
    },
    /// There were enough orders for now.
    RateSpent {
        /// What the rate counts.
        scope: Scope,
        /// How many orders.
        max: u32,
        /// In which time.
        per: Span,
        /// When there may be another.
        until: Timestamp,
    },
    /// Enough orders are running.
    TooManyRunning {
        /// What is counted.
        scope: Scope,
        /// How many run.
        running: u32,
        /// How many may.
        max: u32,
    },
}

/// What opens when another incident or an operator moves.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gate {
    /// The pause ends.
    Resume,
    /// A lock is released.
    Lock(LockKey),
    /// An order ends.
    Running(Scope),
}

impl Hold {
    /// Returns the guard that holds.
    pub fn guard(&self) -> Guard {
        match self {
            Self::Paused { .. } => Guard::Pause,
            Self::NotFresh { .. } => Guard::Fresh,
            Self::Silenced { .. } => Guard::Silence,
            Self::Locked { .. } => Guard::Lock,
            Self::CoolingDown { .. } => Guard::Cooldown,
            Self::RateSpent { .. } => Guard::Rate,
            Self::TooManyRunning { .. } => Guard::Concurrency,
        }
    }

    /// Returns when the hold ends by itself, where that is known.
    pub fn until(&self) -> Option<Timestamp> {
        match self {
            Self::CoolingDown { until, .. } | Self::RateSpent { until, .. } => Some(*until),
            Self::Paused { .. }
            | Self::NotFresh { .. }
            | Self::Silenced { .. }
            | Self::Locked { .. }
            | Self::TooManyRunning { .. } => None,
        }
    }

    /// Returns the gate whose opening may end the hold, if there is one.
    pub fn gate(&self) -> Option<Gate> {
        match self {
            Self::Paused { .. } => Some(Gate::Resume),
            Self::Locked { key, .. } => Some(Gate::Lock(key.clone())),
            Self::TooManyRunning { scope, .. } => Some(Gate::Running(scope.clone())),
            Self::NotFresh { .. }
            | Self::Silenced { .. }
            | Self::CoolingDown { .. }
            | Self::RateSpent { .. } => None,
        }
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.guard())?;
        match self {
            Self::Paused { by, reason } => write!(f, "paused by {by}: {reason}"),
            Self::NotFresh { why } => f.write_str(why),
            Self::Silenced { by } => write!(f, "the alert is suppressed by {by}"),
            Self::Locked { key, by } => write!(f, "incident {by} is healing {key}"),
            Self::CoolingDown { since, cooldown, unheld, until } => {
                match since {
                    Cooling::Closed(id) => {
                        write!(f, "incident {id} of this target closed less than {cooldown} ago")?;
                    }
                    Cooling::Ran => write!(f, "this remedy ran here less than {cooldown} ago")?,
                }
                match unheld {
                    0 => {}
                    1 => f.write_str(" (doubled: the last healing did not hold)")?,
                    n => write!(f, " (grown: the last {n} healings did not hold)")?,
                }
                write!(f, "; until {until:.0}")
            }
            Self::RateSpent { scope, max, per, until } => {
                write!(f, "{scope} may issue {max} orders per {per}; next at {until:.0}")
            }
            Self::TooManyRunning { scope, running, max } => {
                write!(f, "{running} orders of {scope} are running and {max} may")
            }
        }
    }
}
