//! What a Prometheus says about a rule and the instance of it that is an alert.
//!
//! ```text
//!  before the act   Ask::Rule ────> each Prometheus ─> Knows: instances that are this alert, or why none
//!  after it         Ask::Instance ─> the one that saw it ─> RuleSays: this very instance, now
//! ```
//!
//! Duty: the words of one Prometheus as data. *Not* its duty: how an alert is found among instances
//! (a door's, by [`crate::relabel`]), and what follows ([`crate::witness`]).

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Memory, Trouble};
use crate::label::{Fingerprint, LabelSet};
use crate::name::SourceName;
use crate::policy::TargetLabels;
use crate::time::{Span, Timestamp};

/// A rule of one Prometheus, told from any other there. One whose expression or labels are changed is
/// another rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RuleId {
    /// The file of its group, as the Prometheus names it.
    pub file: Arc<str>,
    /// Its group.
    pub group: Arc<str>,
    /// Its name, which is its alert's.
    pub name: Arc<str>,
    /// Tells its expression and labels from others.
    pub digest: Fingerprint,
}

impl RuleId {
    /// Makes the identity of a rule with this expression and these labels of its own.
    pub fn new(file: &str, group: &str, name: &str, expression: &str, labels: &LabelSet) -> Self {
        let own = labels.iter().map(|(name, value)| (format!("label {name}"), value));
        let whole = std::iter::once(("expression".to_owned(), expression)).chain(own);
        let digest = LabelSet::from_pairs(whole).fingerprint();
        Self { file: file.into(), group: group.into(), name: name.into(), digest }
    }
}

/// How an instance of a rule stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstanceState {
    /// It fires.
    Firing,
    /// Its expression does not hold any more, and it fires on for the rule's `keep_firing_for`.
    Kept,
    /// Its expression holds, and not yet for long enough.
    Pending,
    /// It is not there.
    Absent,
}

/// Other instances of a rule under the same target. An alert whose label carries the value goes, and
/// comes back under another one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beside {
    /// At most [`limits::BESIDE`](crate::limits::BESIDE), by the fingerprint of their labels.
    pub instances: BTreeSet<Fingerprint>,
    /// How many more there are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: usize,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// A series that a rule reads, narrowed to an instance, and whether it has data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// The vector selector.
    pub selector: Arc<str>,
    /// Whether there is data.
    pub has_data: bool,
}

/// What a rule reads about an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Inputs {
    /// These series, at most [`limits::INPUTS`](crate::limits::INPUTS).
    Known(Vec<Input>),
    /// Nobody knows.
    Unknown {
        /// Why.
        why: String,
    },
}

/// What a rule says about one of its instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSays {
    /// Which rule.
    pub rule: RuleId,
    /// The instance, as the rule's Prometheus shows it.
    pub instance: LabelSet,
    /// How it stands.
    pub state: InstanceState,
    /// The error of the last evaluation, if the rule's health is not `ok`.
    pub unhealthy: Option<String>,
    /// When the rule was last evaluated.
    pub evaluated_at: Timestamp,
    /// How often it is evaluated.
    pub interval: Span,
    /// How long it may fire about what is over, where that was asked: a rule that was seen to fire is
    /// the same rule, and remembers as it did.
    pub memory: Option<Memory>,
    /// What it reads about this instance: all of it before an act, and later what had data then.
    pub inputs: Inputs,
    /// Its other instances under the same target, firing or pending.
    pub beside: Beside,
}

/// What one Prometheus knows of who fires an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Knows {
    /// These instances of its rules are the alert: at least one.
    Shows(Vec<RuleSays>),
    /// One instance may be the alert: what the Prometheus puts on the wire is not known, and the labels
    /// of no other are among the alert's.
    Resembles(Box<RuleSays>),
    /// No rule of it could have sent such an alert.
    NoRule,
    /// It has such a rule, and cannot say of any instance that it is this alert.
    NotShown {
        /// Why, for a person.
        why: NotShown,
    },
}

/// Why a Prometheus that has an alert's rule is no witness of the alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "not_shown")]
pub enum NotShown {
    /// The rule shows other instances, or none.
    Nothing,
    /// Several instances could be the alert, and what the Prometheus puts on the wire is not known.
    Ambiguous {
        /// How many.
        instances: usize,
    },
    /// One instance could be the alert, and is rather another alert that is known.
    Anothers,
    /// What the Prometheus makes of its alerts on the wire cannot be told.
    Unmapped {
        /// Why.
        why: String,
    },
}

impl fmt::Display for NotShown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("shows no instance of this alert"),
            Self::Ambiguous { instances } => {
                write!(f, "shows {instances} instances that could be this alert")
            }
            Self::Anothers => f.write_str("shows an instance that is rather another alert's"),
            Self::Unmapped { why } => {
                write!(f, "shows no instance that is certainly this alert: {why}")
            }
        }
    }
}

/// The word of one Prometheus about who fires an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleWord {
    /// Which one.
    pub prometheus: SourceName,
    /// What it knows, or why it could not be asked.
    pub knows: Result<Knows, Trouble>,
}

impl RuleWord {
    /// Returns what its rules say of the instances that are the alert, or may be.
    pub fn shown(&self) -> &[RuleSays] {
        match &self.knows {
            Ok(Knows::Shows(all)) => all,
            Ok(Knows::Resembles(one)) => std::slice::from_ref(one),
            Ok(Knows::NoRule | Knows::NotShown { .. }) | Err(_) => &[],
        }
    }

    /// Tells whether it shows the alert as firing.
    pub fn fires(&self) -> bool {
        self.shown().iter().any(|s| matches!(s.state, InstanceState::Firing | InstanceState::Kept))
    }
}

/// Tells whether two instances of a rule are of one target, as far as their labels say. Where the
/// target is all labels, no two are.
pub fn share_target(one: &LabelSet, other: &LabelSet, target: &TargetLabels) -> bool {
    match target {
        TargetLabels::All => one == other,
        TargetLabels::Named(names) => names.iter().all(|name| one.get(name) == other.get(name)),
    }
}
