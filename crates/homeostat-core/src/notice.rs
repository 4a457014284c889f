//! What a person must be told: an obligation that lasts until it was accepted, and until its
//! trouble is over.
//!
//! There is one notice a topic: one that is raised again takes the place of the one before, and
//! is told again. How a notice travels is a door's duty; that it must is a fact.
//!
//! As it is written, a topic is told by the names of its fields, so that an escalation looks as it
//! always did: `incident`; `approval`; `policy` and `guard`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::hold::Guard;
use crate::limits;
use crate::name::{IncidentId, PolicyName, SourceName};
use crate::policy::Target;
use crate::time::Timestamp;

/// What a notice is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Topic {
    /// An incident that a person must take over, or that takes long.
    Escalation {
        /// Which.
        incident: IncidentId,
    },
    /// An order that waits for a person's word.
    Approval {
        /// Of which incident.
        #[serde(rename = "approval")]
        incident: IncidentId,
    },
    /// A guard that holds a whole policy.
    Guard {
        /// Which policy.
        policy: PolicyName,
        /// Which guard.
        guard: Guard,
    },
}

impl Topic {
    /// Returns the incident that it is about, where it is about one.
    pub fn incident(&self) -> Option<IncidentId> {
        match self {
            Self::Escalation { incident } | Self::Approval { incident } => Some(*incident),
            Self::Guard { .. } => None,
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Escalation { incident } => write!(f, "escalation/{incident}"),
            Self::Approval { incident } => write!(f, "approval/{incident}"),
            Self::Guard { policy, guard } => write!(f, "guard/{policy}/{guard}"),
        }
    }
}

/// What a person needs to know of a topic, beside what every notice says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Matter {
    /// Healing stopped, or takes long.
    Escalation {
        /// Which incident.
        incident: IncidentId,
        /// What was tried, in order.
        tried: Vec<String>,
    },
    /// An order waits for a person's word.
    Approval {
        /// Of which incident.
        #[serde(rename = "approval")]
        incident: IncidentId,
        /// What would be done, rendered.
        action: String,
        /// When it is too late.
        expires_at: Timestamp,
    },
    /// A guard holds a whole policy.
    Guard {
        /// Which guard.
        guard: Guard,
        /// What it holds: at most [`limits::NOTICE_TARGETS`].
        targets: Vec<Target>,
        /// How many more it holds.
        more: u64,
    },
}

impl Matter {
    /// Makes the matter of a guard that holds these targets, the first of which are listed.
    pub fn guard(guard: Guard, held: impl IntoIterator<Item = Target>) -> Self {
        let mut held = held.into_iter();
        let targets = held.by_ref().take(limits::NOTICE_TARGETS).collect();
        Self::Guard { guard, targets, more: held.count() as u64 }
    }
}

/// One thing to tell a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What it is about.
    #[serde(flatten)]
    pub matter: Matter,
    /// Under which policy.
    pub policy: PolicyName,
    /// About what target; empty where it is about a whole policy.
    pub target: Target,
    /// Who sent the alert: its own Alertmanager is told first.
    pub source: SourceName,
    /// The name of the alert.
    pub alertname: String,
    /// How bad it is.
    pub severity: String,
    /// Why a person is needed.
    pub reason: String,
    /// Since when a person is needed.
    pub since: Timestamp,
}

impl Notice {
    /// Returns what it is about: there is one notice a topic.
    pub fn topic(&self) -> Topic {
        match &self.matter {
            Matter::Escalation { incident, .. } => Topic::Escalation { incident: *incident },
            Matter::Approval { incident, .. } => Topic::Approval { incident: *incident },
            Matter::Guard { guard, .. } => {
                Topic::Guard { policy: self.policy.clone(), guard: *guard }
            }
        }
    }
}

/// How far a notice got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Obligation {
    /// The notice.
    pub notice: Notice,
    /// Whether its trouble is over, so that only its end is owed.
    pub cleared: bool,
    /// Whether all who must be told have accepted it, as it is now.
    pub told: bool,
}
