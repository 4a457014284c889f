//! What is to be healed, picked from what a policy sees of an alert.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Policy;
use crate::alert::Episode;
use crate::errand::Errand;
use crate::label::LabelSet;
use crate::owner::{self, Lookup, Seen};
use crate::template::Values;

/// Which labels of an alert say what is to be healed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetLabels {
    /// All of them.
    All,
    /// These, in sorted order; each must be there.
    Named(Vec<Arc<str>>),
}

/// What is to be healed: the values of the policy's target labels.
pub type Target = LabelSet;

/// What a policy picks of an alert as its target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Picked {
    /// This.
    Target(Target),
    /// Not enough to act on.
    Part {
        /// What there is.
        target: Target,
        /// What is missing.
        lacks: Lacks,
    },
    /// Nothing yet: whose it is must be asked first.
    Asks(Box<Errand>),
}

/// Why an alert has no target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lacks {
    /// It does not have these labels.
    Labels(Vec<Arc<str>>),
    /// Whose it is cannot be told, and why.
    Owner(String),
}

impl fmt::Display for Lacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Labels(missing) => {
                let names: Vec<&str> = missing.iter().map(|name| &**name).collect();
                write!(f, "the alert has no target label {}", names.join(", "))
            }
            Self::Owner(why) => f.write_str(why),
        }
    }
}

impl TargetLabels {
    /// Picks the target from an alert's labels.
    ///
    /// # Errors
    ///
    /// The names of target labels that are missing or empty.
    pub fn pick(&self, labels: &LabelSet) -> Result<Target, Vec<Arc<str>>> {
        let names = match self {
            Self::All => return Ok(labels.clone()),
            Self::Named(names) => names,
        };
        let missing: Vec<Arc<str>> =
            names.iter().filter(|name| labels.get(name).is_none()).cloned().collect();
        if missing.is_empty() { Ok(self.present(labels)) } else { Err(missing) }
    }

    /// Picks those target labels that the alert has.
    pub fn present(&self, labels: &LabelSet) -> Target {
        match self {
            Self::All => labels.clone(),
            Self::Named(names) => LabelSet::from_pairs(
                names.iter().filter_map(|name| Some((&**name, labels.get(name)?))),
            ),
        }
    }
}

impl Policy {
    /// Returns what it sees of an alert: its labels, and where it wants them those of the owner of what
    /// the alert is about.
    pub fn sees(&self, labels: &LabelSet, annotations: &LabelSet, known: &[Lookup]) -> Seen {
        let Some(asks) = &self.owner_of else { return Seen::Labels(labels.clone()) };
        let (name, annotations) = (self.name.to_string(), annotations.clone());
        let values = Values::of_alert(labels.clone(), annotations, name);
        owner::see(asks, labels, &values, known)
    }

    /// Returns the labels by which it acts on an alert, as far as they are known.
    pub fn labels(&self, episode: &Episode) -> LabelSet {
        match self.sees(&episode.alert.labels, &episode.alert.annotations, &episode.owners) {
            Seen::Labels(labels) => labels,
            Seen::Asks(_) | Seen::Unowned { .. } => episode.alert.labels.clone(),
        }
    }

    /// Picks the target of an alert.
    pub fn picks(&self, labels: &LabelSet, annotations: &LabelSet, known: &[Lookup]) -> Picked {
        match self.sees(labels, annotations, known) {
            Seen::Labels(labels) => match self.target.pick(&labels) {
                Ok(target) => Picked::Target(target),
                Err(missing) => {
                    let target = self.target.present(&labels);
                    Picked::Part { target, lacks: Lacks::Labels(missing) }
                }
            },
            Seen::Asks(errand) => Picked::Asks(errand),
            Seen::Unowned { why, by } => {
                let own = self.target.present(labels);
                let target = LabelSet::from_pairs(own.iter().chain(by.iter()));
                Picked::Part { target, lacks: Lacks::Owner(why) }
            }
        }
    }

    /// Returns an alert of it as it sees it, for whoever acts.
    pub fn shown(&self, episode: &Arc<Episode>) -> Arc<Episode> {
        if self.owner_of.is_none() {
            return episode.clone();
        }
        let mut shown = Episode::clone(episode);
        shown.alert.labels = self.labels(episode);
        Arc::new(shown)
    }

    /// Returns the target labels that alerts themselves have. Who compares alerts has never heard of the
    /// others.
    pub fn own_target(&self) -> TargetLabels {
        match &self.target {
            TargetLabels::Named(names) if self.owner_of.is_some() => {
                let own = names.iter().filter(|name| !owner::LABELS.contains(&&***name));
                TargetLabels::Named(own.cloned().collect())
            }
            target => target.clone(),
        }
    }

    /// Returns the part of a target that alerts themselves have.
    pub fn own_part(&self, target: &Target) -> Target {
        if self.owner_of.is_none() {
            return target.clone();
        }
        LabelSet::from_pairs(target.iter().filter(|(name, _)| !owner::LABELS.contains(name)))
    }
}
