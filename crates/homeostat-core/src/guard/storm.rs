//! Storm: when very many targets fire at once, the trouble is a common one, and healing them one
//! by one is no remedy.
//!
//! A storm begins when `percent` of the inventory fires, and at least `min` targets. It stops the
//! policy's orders where there are at most 50 targets; among more it makes its rate ten times
//! slower, without a burst. It is over when fewer targets have fired for `cool_down`. A target
//! fires as long as an alert of it does, also when its incident is closed. An inventory that is
//! empty, fails, or counts none at all holds.
//!
//! Source: `ComputeZoneState`, `ReducedQPSFunc` and their defaults in Kubernetes' node lifecycle
//! controller (55 %, more than two nodes, a tenth of the rate, none in clusters of 50 nodes or
//! fewer); the storm cool-down of medik8s' `NodeHealthCheck`.

use super::{Bench, Deed, Ruling, inventory};
use crate::evidence::Evidence;
use crate::hold::{Guard, Hold, Scope};
use crate::limits;
use crate::policy::Rate;
use crate::storm::Gauge;

/// What evidence says about the storm of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Weather {
    /// There is none.
    Calm,
    /// There is one.
    Storm {
        /// How many targets fire.
        firing: u64,
        /// By what it is measured.
        gauge: Gauge,
    },
    /// Nobody knows how many targets there are.
    Unknown(String),
}

impl Weather {
    /// Returns the policy's rate in a storm that slows it.
    pub(super) fn slowed(&self, rate: Rate) -> Option<Rate> {
        match self {
            Self::Storm { gauge, .. } if !gauge.stops() => {
                Some(rate.slowed(limits::STORM_SLOWDOWN))
            }
            Self::Storm { .. } | Self::Calm | Self::Unknown(_) => None,
        }
    }
}

/// Reads the weather of a deed's policy. A storm that has begun goes on until it has ended.
pub(super) fn weather(deed: &Deed<'_>, bench: Bench<'_>, evidence: &Evidence) -> Weather {
    let Some(limits) = &deed.policy.guard.storm else { return Weather::Calm };
    let inventory = match inventory::count(&limits.inventory, evidence) {
        Ok(inventory) => inventory,
        Err(why) => return Weather::Unknown(why),
    };
    let gauge = Gauge::new(limits, inventory);
    let policy = &deed.policy.name;
    let firing = bench.ledgers.count_firing(policy);
    if firing >= gauge.threshold || bench.ledgers.storms().get(policy).is_some() {
        Weather::Storm { firing, gauge }
    } else {
        Weather::Calm
    }
}

/// Judges where the policy says what a storm is.
pub(super) fn judge(deed: &Deed<'_>, bench: Bench<'_>, weather: &Weather) -> Ruling {
    if deed.policy.guard.storm.is_none() {
        return Ruling::Unset;
    }
    let (firing, gauge) = match weather {
        Weather::Calm => return Ruling::Clear("there is no storm".into()),
        Weather::Unknown(why) => return inventory::hold(Guard::Storm, why.clone()),
        Weather::Storm { firing, gauge } => (*firing, gauge.clone()),
    };
    let policy = deed.policy.name.clone();
    let until = match weather.slowed(deed.policy.guard.rate) {
        None => None,
        Some(rate) => match bench.ledgers.next_token(&Scope::Policy(policy.clone()), rate) {
            Some(until) if until > deed.now => Some(until),
            Some(_) | None => {
                let rate = format!("one order in {}", rate.per);
                return Ruling::Clear(format!("a storm, which lets pass {rate}"));
            }
        },
    };
    Ruling::Hold(Hold::Storming { policy, firing, gauge, until })
}
