//! What a person must be told: an obligation that lasts until it was accepted, and until its
//! trouble is over.
//!
//! There is one notice a topic: one that is raised again takes the place of the one before, and
//! is told again. How a notice travels is a door's duty; that it must is a fact.
//!
//! As it is written, a topic is told by the names of its fields, so that an escalation looks as it
//! always did: `incident`; `approval`; `policy` and `guard`.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::alert::{Alert, OWN_LABEL};
use crate::hold::Guard;
use crate::label::{LabelSet, Matcher};
use crate::limits;
use crate::name::{IncidentId, PolicyName, SourceName};
use crate::policy::{Carries, Policy, Target};
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

/// The labels that a notice has of its own.
pub const OWN_LABELS: [&str; 7] =
    ["alertname", OWN_LABEL, "policy", "severity", "alert", "incident", "guard"];

/// The annotations that a notice has of its own, one kind or another.
pub const OWN_ANNOTATIONS: [&str; 9] =
    ["summary", "description", "link", "tried", "action", "expires", "approve", "reject", "held"];

/// The label by which our documents route alerts to Homeostat. It says that a machine is to heal,
/// and a notice that had it would be routed to us, and to no person.
pub const HEALING_LABEL: &str = "selfhealing";

/// The annotation of alerts that says where a person reads what to do.
pub const RUNBOOK: &str = "runbook_url";

/// What a notice carries of its alerts and of its policy, for those who route and read it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    /// Labels that all of its alerts have, beside those of its target, and those of its policy. They
    /// stay what they were when the topic was first told, or each change would be a new alert.
    #[serde(default, skip_serializing_if = "LabelSet::is_empty")]
    pub labels: LabelSet,
    /// The runbook of its leading alert, and the annotations of its policy.
    #[serde(default, skip_serializing_if = "LabelSet::is_empty")]
    pub annotations: LabelSet,
}

impl Carried {
    /// Takes what all alerts have in common, the leading one first. What a notice says by itself,
    /// and what its target says, is left out.
    pub fn of<'a>(alerts: impl IntoIterator<Item = &'a Alert>, target: &Target) -> Self {
        let mut alerts = alerts.into_iter();
        let Some(leading) = alerts.next() else { return Self::default() };
        let labels = leading.labels.iter().filter(|(name, value)| target.get(name) != Some(value));
        let mut common: Vec<(&str, &str)> =
            labels.filter(|(name, _)| is_free(name)).take(limits::CARRIED_LABELS).collect();
        for alert in alerts {
            common.retain(|(name, value)| alert.labels.get(name) == Some(value));
        }
        Self { labels: LabelSet::from_pairs(common), annotations: runbook(leading) }
    }

    /// Takes what every alert of a policy has, because its matchers require it: what is about a whole
    /// policy must not go to whom some alert of it would go to.
    pub fn of_policy(policy: &Policy, leading: Option<&Alert>) -> Self {
        let required = policy.matchers.iter().filter_map(Matcher::equality);
        let labels: Vec<_> = required.filter(|(name, _)| is_free(name)).collect();
        let annotations = leading.map(runbook).unwrap_or_default();
        Self { labels: LabelSet::from_pairs(labels), annotations }
    }

    /// Puts on it what the policy says, which counts more than what the alerts say.
    #[must_use]
    pub fn with(self, policy: &Carries) -> Self {
        Self {
            labels: overlaid(&self.labels, &policy.labels),
            annotations: overlaid(&self.annotations, &policy.annotations),
        }
    }

    fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.annotations.is_empty()
    }
}

/// Tells whether a label of this name may be carried.
pub fn is_free(name: &str) -> bool {
    !OWN_LABELS.contains(&name) && name != HEALING_LABEL
}

fn runbook(alert: &Alert) -> LabelSet {
    alert.annotations.get(RUNBOOK).map(|url| (RUNBOOK, url)).into_iter().collect()
}

fn overlaid(alerts: &LabelSet, policy: &[(Arc<str>, Arc<str>)]) -> LabelSet {
    let policy = policy.iter().map(|(name, value)| (&**name, &**value));
    LabelSet::from_pairs(alerts.iter().chain(policy).collect::<Vec<_>>())
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
    /// What it carries for those who route and read it.
    #[serde(default, skip_serializing_if = "Carried::is_empty")]
    pub carried: Carried,
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

    /// Returns the same notice with other words: whoever was told is not called again for them. What
    /// a person must be called for anew is a notice of its own, with a `since` of its own.
    #[must_use]
    pub fn reworded(&self, reason: String) -> Self {
        Self { reason, ..self.clone() }
    }

    /// Tells whether the other says the same in other words: nothing but texts differ.
    pub fn is_reworded(&self, other: &Self) -> bool {
        self.without_words() == other.without_words()
    }

    /// Returns what of the notice stays when it is reworded.
    #[must_use]
    pub fn without_words(&self) -> Self {
        let carried = Carried { annotations: LabelSet::default(), ..self.carried.clone() };
        Self { reason: String::new(), carried, ..self.clone() }
    }

    /// Takes from the notice in whose place it is told what people know it by: the alert that it is
    /// about, and its labels. A change of these would be another alert, which calls a person again,
    /// though nothing happened that they would be called for.
    #[must_use]
    pub fn in_place_of(self, before: &Self) -> Self {
        let annotations = before.carried.annotations.iter().chain(self.carried.annotations.iter());
        let annotations = annotations.collect();
        let carried = Carried { labels: before.carried.labels.clone(), annotations };
        if before.alertname.is_empty() {
            return Self { carried, ..self };
        }
        let (source, alertname) = (before.source.clone(), before.alertname.clone());
        Self { source, alertname, carried, ..self }
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
