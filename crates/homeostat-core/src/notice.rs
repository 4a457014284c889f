//! What a person must be told: an obligation that lasts until it was accepted, and until its
//! trouble is over.
//!
//! How a notice travels is a door's duty; that it must is a fact.

use serde::{Deserialize, Serialize};

use crate::name::{IncidentId, PolicyName, SourceName};
use crate::policy::Target;
use crate::time::Timestamp;

/// One thing to tell a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// About which incident; there is one notice an incident.
    pub incident: IncidentId,
    /// Under which policy.
    pub policy: PolicyName,
    /// About what target.
    pub target: Target,
    /// Who sent the alert: its own Alertmanager is told first.
    pub source: SourceName,
    /// The name of the alert.
    pub alertname: String,
    /// How bad it is.
    pub severity: String,
    /// Why a person is needed.
    pub reason: String,
    /// What was tried, in order.
    pub tried: Vec<String>,
    /// Since when a person is needed.
    pub since: Timestamp,
}

/// How far a notice got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Obligation {
    /// The notice.
    pub notice: Notice,
    /// Whether its trouble is over, so that only its end is owed.
    pub cleared: bool,
    /// Whether anybody accepted it yet.
    pub told: bool,
}
