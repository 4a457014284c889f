//! Why an order must wait, as a fact that a person can read.
//!
//! A hold never just says no: it says which guard, why, and what ends it: a moment, or a gate
//! that opens when another incident or an operator moves.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::limits;
use crate::name::{CircuitName, IncidentId, OrderId, PolicyName, RemedyName, SourceName, TeamName};
use crate::plan::LockKey;
use crate::process::{Process, still_run};
use crate::reach::Sum;
use crate::storm::Gauge;
use crate::time::{Span, Timestamp};

/// A guard, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// Holds everything while an operator says so.
    Pause,
    /// No time in which nothing may be done.
    Freeze,
    /// Monitoring is not blind.
    Watchdog,
    /// Whoever sent the alert is named in the configuration.
    Stranger,
    /// The alert fires now.
    Fresh,
    /// Nobody has silenced it.
    Silence,
    /// Nothing else heals the same thing.
    Lock,
    /// It was not healed a moment ago.
    Cooldown,
    /// Its trouble does not come and go.
    Flap,
    /// Not too many orders in a time.
    Rate,
    /// Not too many orders at once.
    Concurrency,
    /// The remedy does not fail time and again.
    Breaker,
    /// Not too many orders for one incident.
    Attempts,
    /// What became worse can be told afterwards; and still is worse, before it is taken back.
    Regression,
    /// Not too many targets in a time.
    BlastRadius,
    /// Not while very many targets fire at once.
    Storm,
    /// Whoever is asked to do it would do it.
    DryRun,
    /// A person has agreed, where the mode asks for it.
    Approval,
}

impl Guard {
    /// Returns the guard's name as it stands in the configuration and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Freeze => "freeze",
            Self::Watchdog => "watchdog",
            Self::Stranger => "stranger",
            Self::Fresh => "fresh",
            Self::Silence => "silence",
            Self::Lock => "lock",
            Self::Cooldown => "cooldown",
            Self::Flap => "flap",
            Self::Rate => "rate",
            Self::Concurrency => "concurrency",
            Self::Breaker => "breaker",
            Self::Attempts => "attempts",
            Self::Regression => "regression",
            Self::BlastRadius => "blast_radius",
            Self::Storm => "storm",
            Self::DryRun => "dry_run",
            Self::Approval => "approval",
        }
    }
}

impl Guard {
    /// Tells when a person hears that it holds a policy's targets.
    pub fn telling(self) -> Telling {
        match self {
            Self::Flap | Self::Stranger => Telling::AtOnce,
            Self::Freeze | Self::Watchdog | Self::Rate | Self::Breaker => Telling::Late,
            Self::Pause
            | Self::Fresh
            | Self::Silence
            | Self::Lock
            | Self::Cooldown
            | Self::Concurrency
            | Self::Attempts
            | Self::BlastRadius
            | Self::Storm
            | Self::DryRun
            | Self::Approval
            | Self::Regression => Telling::Apart,
        }
    }
}

/// When a person hears that a guard holds the targets of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telling {
    /// At once, and once for all of them: they are let be for long.
    AtOnce,
    /// When it holds one for longer than `escalate.after`, and once for all of them: it concerns the
    /// whole policy.
    Late,
    /// With each incident, or by a rule of its own.
    Apart,
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
    /// All policies of a team.
    Team(TeamName),
    /// What one policy takes of what all share, which is nobody's in particular.
    Share(PolicyName),
    /// What a team takes of what all share.
    TeamShare(TeamName),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Book => f.write_str("all policies together"),
            Self::Policy(name) => write!(f, "policy {name}"),
            Self::Team(name) => write!(f, "team {name}"),
            Self::Share(name) => write!(f, "the share of policy {name}"),
            Self::TeamShare(name) => write!(f, "the share of team {name}"),
        }
    }
}

/// What a breaker interrupts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Circuit {
    /// A remedy of one policy.
    Remedy(PolicyName, RemedyName),
    /// All remedies of the policies that name this breaker.
    Shared(CircuitName),
    /// The remedies of this name in all policies. Version 0.1.0 took equal names for one thing;
    /// its journals tell of it, and nothing is counted by it any more.
    Everywhere(RemedyName),
}

impl Circuit {
    /// Returns the circuits of a policy's remedy: its own, and the one that it shares, if any.
    pub fn of(
        policy: &PolicyName,
        remedy: &RemedyName,
        shared: Option<&CircuitName>,
    ) -> impl Iterator<Item = Self> + use<> {
        let own = Self::Remedy(policy.clone(), remedy.clone());
        [own].into_iter().chain(shared.cloned().map(Self::Shared))
    }
}

impl fmt::Display for Circuit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remedy(policy, remedy) => write!(f, "remedy {remedy} of policy {policy}"),
            Self::Shared(name) => write!(f, "what shares the breaker {name}"),
            Self::Everywhere(remedy) => write!(f, "remedy {remedy} of all policies"),
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

impl fmt::Display for Cooling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(id) => write!(f, "incident {id} of this target closed"),
            Self::Ran => f.write_str("this remedy ran here"),
        }
    }
}

/// Why an order must never be, for this incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// All orders that one incident may have are used.
    AttemptsUsed {
        /// How many these are.
        max: u32,
    },
    /// What a remedy made worse is over: nothing is taken back.
    NothingIsWorse,
    /// Whoever is asked to do it would refuse, however often.
    WouldBeRefused {
        /// In whose words.
        why: String,
    },
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AttemptsUsed { max: 1 } => {
                f.write_str("attempts: the one order that an incident may have is used")
            }
            Self::AttemptsUsed { max } => {
                write!(f, "attempts: all {max} orders that one incident may have are used")
            }
            Self::NothingIsWorse => f.write_str("nothing is worse any more"),
            Self::WouldBeRefused { why } => write!(f, "dry_run: it would be refused: {why}"),
        }
    }
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
    /// It is a time in which nothing may be done.
    Frozen {
        /// The time intervals that last until then, the present one first.
        intervals: Vec<String>,
        /// Until when, as a clock of the interval's time zone shows it.
        local: String,
        /// Until when.
        until: Timestamp,
        /// Whether it ends then; else the end was not looked for any further.
        ends: bool,
    },
    /// An alert that always fires is not heard of.
    Blind {
        /// The matchers of that alert.
        watchdog: Arc<str>,
        /// What is known of it.
        why: String,
    },
    /// The alert came by a hook that the configuration does not name, although it names others.
    Unnamed {
        /// The name of the hook.
        source: SourceName,
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
    /// Whoever is asked to do it would not do it now, or could not be asked.
    NotRehearsed {
        /// Why.
        why: String,
    },
    /// Another incident heals the same thing.
    Locked {
        /// What is locked.
        key: LockKey,
        /// By which incident.
        by: IncidentId,
    },
    /// A run may still go on there.
    MayGoOn {
        /// What is locked.
        key: LockKey,
        /// Which run.
        order: OrderId,
        /// When it is over at the latest, where that is known.
        until: Option<Timestamp>,
        /// Its processes that could not be ended.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        left: Vec<Process>,
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
    /// The target's trouble comes and goes.
    Flapping {
        /// How often it began again, as far as that is remembered.
        flaps: u32,
        /// Its penalty now.
        penalty: u32,
        /// Above which penalty a target is suppressed.
        suppress: u32,
        /// To what the penalty must fall.
        reuse: u32,
        /// When it has.
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
    /// A policy or its team had its part of what all share: the rest is kept for others.
    ShareTaken {
        /// The policy.
        policy: PolicyName,
        /// The team, where it is a team that had its part.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        team: Option<TeamName>,
        /// How many orders it had.
        taken: u32,
        /// Of how many that all may have.
        max: u32,
        /// In which time.
        per: Span,
        /// How many are kept for others.
        kept: u32,
        /// When there is one more than that.
        until: Timestamp,
    },
    /// A run of the same policy that a person approved goes first.
    BehindApproved {
        /// Its incident.
        incident: IncidentId,
        /// When to look again.
        until: Timestamp,
    },
    /// A policy or its team has its part of the places that all share: the rest is kept for others.
    ShareRunning {
        /// The policy.
        policy: PolicyName,
        /// The team, where it is a team that has its part.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        team: Option<TeamName>,
        /// How many of its orders run.
        running: u32,
        /// How many of all may.
        max: u32,
        /// How many places are kept for others.
        kept: u32,
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
    /// The remedy failed too often of late.
    BreakerOpen {
        /// What is interrupted.
        circuit: Circuit,
        /// How many of the last results are failures.
        failures: u32,
        /// How many results there are.
        of: u32,
        /// The last failures, the newest first.
        last: Vec<String>,
        /// When one trial may pass.
        until: Timestamp,
    },
    /// The remedy failed too often, and another incident tries it.
    BreakerTried {
        /// What is interrupted.
        circuit: Circuit,
        /// By which incident it is tried.
        by: IncidentId,
    },
    /// With this target, too many would be acted on.
    BeyondRadius {
        /// Which count, and how many may.
        sum: Box<Sum>,
        /// When it was judged.
        judged_at: Timestamp,
        /// When there is room, as far as time alone tells.
        until: Option<Timestamp>,
    },
    /// How many targets there are is not known.
    NoInventory {
        /// The guard that must know it.
        asked_by: Guard,
        /// What was found instead.
        why: String,
    },
    /// So many targets fire at once that orders are stopped or slowed.
    Storming {
        /// Under which policy.
        policy: PolicyName,
        /// How many targets fire.
        firing: u64,
        /// By what the storm is measured.
        gauge: Gauge,
        /// When there may be another order, where orders are slowed and not stopped.
        until: Option<Timestamp>,
    },
    /// The other alerts of the target cannot be listed.
    NoListing {
        /// Why.
        why: String,
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
    /// A target of this policy is done with.
    Radius(PolicyName),
    /// The storm of this policy is over.
    Calm(PolicyName),
    /// An alert that always fires is heard of again.
    Watchdog(Arc<str>),
    /// A result of a remedy is known.
    Circuit(Circuit),
}

impl Gate {
    /// Tells whether all who wait may go on once it opens, so that none of them needs to look for
    /// itself.
    pub fn is_for_all(&self) -> bool {
        match self {
            Self::Resume | Self::Watchdog(_) | Self::Calm(_) => true,
            Self::Lock(_) | Self::Running(_) | Self::Circuit(_) | Self::Radius(_) => false,
        }
    }
}

impl Hold {
    /// Returns the guard that holds.
    pub fn guard(&self) -> Guard {
        match self {
            Self::Paused { .. } => Guard::Pause,
            Self::Frozen { .. } => Guard::Freeze,
            Self::Blind { .. } => Guard::Watchdog,
            Self::Unnamed { .. } => Guard::Stranger,
            Self::NotFresh { .. } => Guard::Fresh,
            Self::Silenced { .. } => Guard::Silence,
            Self::NotRehearsed { .. } => Guard::DryRun,
            Self::Locked { .. } | Self::MayGoOn { .. } => Guard::Lock,
            Self::CoolingDown { .. } => Guard::Cooldown,
            Self::Flapping { .. } => Guard::Flap,
            Self::RateSpent { .. } | Self::ShareTaken { .. } | Self::BehindApproved { .. } => {
                Guard::Rate
            }
            Self::TooManyRunning { .. } | Self::ShareRunning { .. } => Guard::Concurrency,
            Self::BreakerOpen { .. } | Self::BreakerTried { .. } => Guard::Breaker,
            Self::BeyondRadius { .. } => Guard::BlastRadius,
            Self::NoInventory { asked_by, .. } => *asked_by,
            Self::Storming { .. } => Guard::Storm,
            Self::NoListing { .. } => Guard::Regression,
        }
    }

    /// Returns when the hold ends by itself, where that is known.
    pub fn until(&self) -> Option<Timestamp> {
        match self {
            Self::Frozen { until, .. }
            | Self::CoolingDown { until, .. }
            | Self::Flapping { until, .. }
            | Self::RateSpent { until, .. }
            | Self::ShareTaken { until, .. }
            | Self::BehindApproved { until, .. }
            | Self::BreakerOpen { until, .. } => Some(*until),
            Self::BeyondRadius { until, .. }
            | Self::Storming { until, .. }
            | Self::MayGoOn { until, .. } => *until,
            Self::Paused { .. }
            | Self::Blind { .. }
            | Self::Unnamed { .. }
            | Self::NotFresh { .. }
            | Self::Silenced { .. }
            | Self::NotRehearsed { .. }
            | Self::Locked { .. }
            | Self::NoInventory { .. }
            | Self::TooManyRunning { .. }
            | Self::ShareRunning { .. }
            | Self::BreakerTried { .. }
            | Self::NoListing { .. } => None,
        }
    }

    /// Returns the gate whose opening may end the hold, if there is one.
    pub fn gate(&self) -> Option<Gate> {
        match self {
            Self::Paused { .. } => Some(Gate::Resume),
            Self::Locked { key, .. } | Self::MayGoOn { key, .. } => Some(Gate::Lock(key.clone())),
            Self::TooManyRunning { scope, .. } => Some(Gate::Running(scope.clone())),
            Self::ShareRunning { .. } => Some(Gate::Running(Scope::Book)),
            Self::BeyondRadius { sum, .. } => Some(Gate::Radius(sum.policy.clone())),
            Self::Storming { policy, .. } => Some(Gate::Calm(policy.clone())),
            Self::Blind { watchdog, .. } => Some(Gate::Watchdog(watchdog.clone())),
            Self::BreakerOpen { circuit, .. } | Self::BreakerTried { circuit, .. } => {
                Some(Gate::Circuit(circuit.clone()))
            }
            Self::Frozen { .. }
            | Self::Unnamed { .. }
            | Self::NotFresh { .. }
            | Self::Silenced { .. }
            | Self::NotRehearsed { .. }
            | Self::NoInventory { .. }
            | Self::CoolingDown { .. }
            | Self::Flapping { .. }
            | Self::RateSpent { .. }
            | Self::ShareTaken { .. }
            | Self::BehindApproved { .. }
            | Self::NoListing { .. } => None,
        }
    }
}

impl Hold {
    /// Tells whether what is held by a gate may also end because the world changes, so that asking
    /// again is worth while.
    pub fn changes_by_itself(&self) -> bool {
        match self {
            Self::Storming { .. } => true,
            Self::BeyondRadius { sum, .. } => sum.others.in_flight == 0,
            Self::Paused { .. }
            | Self::Frozen { .. }
            | Self::Blind { .. }
            | Self::Flapping { .. }
            | Self::BreakerOpen { .. }
            | Self::BreakerTried { .. }
            | Self::Unnamed { .. }
            | Self::NotFresh { .. }
            | Self::Silenced { .. }
            | Self::NotRehearsed { .. }
            | Self::Locked { .. }
            | Self::MayGoOn { .. }
            | Self::CoolingDown { .. }
            | Self::RateSpent { .. }
            | Self::ShareTaken { .. }
            | Self::BehindApproved { .. }
            | Self::ShareRunning { .. }
            | Self::TooManyRunning { .. }
            | Self::NoInventory { .. }
            | Self::NoListing { .. } => false,
        }
    }
}

/// Who shares what is for all: a team, or a policy that is nobody's in particular.
fn sharer(policy: &PolicyName, team: Option<&TeamName>) -> String {
    team.map_or_else(|| format!("policy {policy}"), |team| format!("team {team}"))
}

impl fmt::Display for Hold {
    #[expect(clippy::too_many_lines, reason = "one sentence for each hold")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.guard())?;
        match self {
            Self::Paused { by, reason } => write!(f, "paused by {by}: {reason}"),
            Self::Frozen { intervals, local, ends, .. } => {
                let s = if intervals.len() == 1 { "" } else { "s" };
                write!(f, "frozen by time interval{s} {}", intervals.join(", "))?;
                match ends {
                    true => write!(f, " until {local}"),
                    false => write!(f, " until {local} at least; looked at again then"),
                }
            }
            Self::Blind { watchdog, why } => {
                write!(f, "monitoring is blind: the watchdog {watchdog} {why}")
            }
            Self::NotFresh { why } | Self::NotRehearsed { why } => f.write_str(why),
            Self::Unnamed { source } => write!(
                f,
                "alerts of {source} are taken in and not acted on, because `sources` does not name \
                 it: add `webhooks: [{{ name: {source} }}]` there"
            ),
            Self::Silenced { by } => write!(f, "the alert is suppressed by {by}"),
            Self::Locked { key, by } => write!(f, "incident {by} is healing {key}"),
            Self::MayGoOn { key, order, until: Some(until), .. } => write!(
                f,
                "{} may still run on {key}, out of our reach, until {until:.0} at the latest",
                order.title()
            ),
            Self::MayGoOn { key, order, until: None, left } => {
                write!(f, "{} still runs on {key}: {}", order.title(), still_run(left))
            }
            Self::CoolingDown { since, cooldown, unheld, until } => {
                write!(f, "{since} less than {cooldown} ago")?;
                match unheld {
                    0 => {}
                    1 => f.write_str(" (doubled: the last healing did not hold)")?,
                    n => write!(f, " (grown: the last {n} healings did not hold)")?,
                }
                write!(f, "; until {until:.0}")
            }
            Self::Flapping { flaps, penalty, suppress, reuse, until } => write!(
                f,
                "it began again {flaps} times after it had ended: its penalty rose above \
                 {suppress}, is {penalty}, and falls to {reuse} at {until:.0}"
            ),
            Self::RateSpent { scope, max, per, until } => {
                write!(f, "{scope} may issue {max} orders per {per}; next at {until:.0}")
            }
            Self::ShareTaken { policy, team, taken, max, per, kept, until } => {
                let sharer = sharer(policy, team.as_ref());
                let all = format_args!("{max} orders that all policies may have per {per}");
                let rest = format_args!("the last {kept} are kept for others");
                write!(f, "{sharer} had {taken} of the {all}, and {rest}; next at {until:.0}")
            }
            Self::BehindApproved { incident, .. } => {
                write!(f, "the approved run of incident {incident} goes first")
            }
            Self::ShareRunning { policy, team, running, max, kept } => {
                let sharer = sharer(policy, team.as_ref());
                let rest = format_args!("the last {kept} are kept for others");
                write!(f, "{running} orders of {sharer} run of {max} of all, and {rest}")
            }
            Self::TooManyRunning { scope, running, max } => {
                write!(f, "{running} orders of {scope} are running and {max} may")
            }
            Self::BreakerOpen { circuit, failures, of, last, until } => write!(
                f,
                "{circuit} failed {failures} times of the last {of} ({}); one trial may run at \
                 {until:.0}",
                last.join("; ")
            ),
            Self::BreakerTried { circuit, by } => {
                write!(f, "{circuit} failed too often, and incident {by} tries it first")
            }
            Self::BeyondRadius { sum, judged_at, until } => {
                write!(f, "{sum}")?;
                match until {
                    Some(until) => {
                        let wait = until.since(*judged_at);
                        write!(f, "; there is room in {wait}, at {until:.0}")
                    }
                    None if sum.others.in_flight > 0 && sum.allowed() > 0 => {
                        f.write_str("; there is room once the healing of one of them has ended")
                    }
                    None => Ok(()),
                }
            }
            Self::NoInventory { why, .. } => {
                write!(f, "how many targets there are is not known: {why}")
            }
            Self::Storming { policy, firing, gauge, until } => {
                write!(f, "{firing} targets of policy {policy} fire at once; {gauge}; ")?;
                match until {
                    Some(until) => write!(
                        f,
                        "orders are {} times slower, next at {until:.0}",
                        limits::STORM_SLOWDOWN
                    )?,
                    None => write!(f, "of {} or fewer none is touched", limits::STORM_SMALL)?,
                }
                write!(f, ", until fewer fire for {}", gauge.cool_down)
            }
            Self::NoListing { why } => {
                write!(f, "what else fires on this target is not known: {why}")
            }
        }
    }
}
