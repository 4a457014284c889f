//! What can be asked of the world, what it answers, and which grade of proof an answer can give.
//!
//! Core never asks by itself: it returns questions, and answers arrive as events. An answer that
//! could not be had is an answer too ([`Trouble`]); it never counts as good news.

mod memory;
mod rule;
mod told;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::alert::{Alert, OWN_LABEL};
use crate::errand::Errand;
use crate::label::{Fingerprint, LabelSet, Matchers};
use crate::name::{PolicyName, RemedyName, SourceName};
use crate::owner::Whose;
use crate::policy::{Target, TargetLabels};
use crate::time::{Span, Timestamp};

pub use memory::Memory;
pub use rule::{
    Beside, Input, Inputs, InstanceState, Knows, NotShown, RuleId, RuleSays, RuleWord, share_target,
};

/// How well a healing is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// The alert's source says that it resolved.
    Reported,
    /// The rule that was seen to fire it was evaluated after the action, and does not show it any
    /// more, though what it reads is there.
    Confirmed,
    /// And the policy's query held.
    Proven,
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reported => "reported",
            Self::Confirmed => "confirmed",
            Self::Proven => "proven",
        })
    }
}

/// Who can list what fires on a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lister {
    /// Every Prometheus, together.
    Prometheus,
    /// These Prometheuses, together.
    Prometheuses(Vec<SourceName>),
    /// An Alertmanager.
    Alertmanager(SourceName),
}

impl fmt::Display for Lister {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prometheus => f.write_str("Prometheus"),
            Self::Prometheuses(names) => {
                let names: Vec<&str> = names.iter().map(SourceName::as_str).collect();
                write!(f, "Prometheus {}", names.join(", "))
            }
            Self::Alertmanager(name) => write!(f, "Alertmanager {name}"),
        }
    }
}

/// One thing to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Does this Alertmanager list the alert?
    Listed {
        /// The Alertmanager.
        source: SourceName,
        /// The alert's fingerprint there.
        fingerprint: Fingerprint,
    },
    /// Which rules show this alert?
    Rule {
        /// Name of the alert.
        alertname: Arc<str>,
        /// The alert's labels as they came, perhaps relabelled on the way.
        labels: LabelSet,
        /// The labels by which instances beside it are of the same target.
        target: TargetLabels,
        /// The Prometheuses that are asked.
        by: Vec<SourceName>,
    },
    /// What does this rule say about the instance that it was seen to fire?
    Instance {
        /// The Prometheus.
        prometheus: SourceName,
        /// The rule.
        rule: RuleId,
        /// The instance, as that Prometheus shows it.
        instance: LabelSet,
        /// The labels by which instances beside it are of the same target.
        target: TargetLabels,
        /// Selectors that had data: where the instance is gone, it is asked whether they still have.
        inputs: Vec<Arc<str>>,
    },
    /// Which alerts that match are there, of those that have all labels of the target?
    Present {
        /// Who is asked.
        by: Lister,
        /// What they must match.
        matchers: Matchers,
        /// The labels that they must have, with these values.
        target: Target,
    },
    /// Is the result of this PromQL not empty?
    Query {
        /// The expression, rendered.
        promql: String,
        /// The Prometheus that is asked; `None` for the first.
        by: Option<SourceName>,
    },
    /// How many are there? The one value of this PromQL, rounded down.
    Inventory {
        /// The expression.
        promql: Arc<str>,
        /// The Prometheus that is asked; `None` for the first.
        by: Option<SourceName>,
    },
    /// What would come of this errand, if it were done now? Nothing is done.
    Rehearsal {
        /// What would be done.
        errand: Box<Errand>,
        /// Under which policy.
        policy: PolicyName,
        /// As which remedy: its hand has the same rights.
        remedy: RemedyName,
    },
    /// Whose is it, what this errand names?
    Owner {
        /// What is asked of which hand.
        of: Errand,
    },
}

impl Ask {
    /// Asks whether an alert's own Alertmanager lists it.
    pub fn listed(alert: &Alert) -> Self {
        Self::Listed { source: alert.source.clone(), fingerprint: alert.fingerprint }
    }

    /// Asks which rules of these Prometheuses show an alert.
    pub fn rule(alert: &Alert, target: &TargetLabels, by: Vec<SourceName>) -> Self {
        Self::Rule {
            alertname: alert.name().into(),
            labels: alert.labels.clone(),
            target: target.clone(),
            by,
        }
    }
}

/// Tells whether an alert is one that [`Ask::Present`] asks for. Homeostat's own never are.
pub fn is_asked_for(labels: &LabelSet, matchers: &Matchers, target: &Target) -> bool {
    labels.get(OWN_LABEL).is_none()
        && target.iter().all(|(name, value)| labels.get(name) == Some(value))
        && matchers.matches(labels)
}

/// Why there is no answer, for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble(pub String);

/// What an Alertmanager says about one alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// For how long the Alertmanager runs.
    pub uptime: Span,
    /// How many alerts it lists in all.
    pub total: usize,
    /// The alert, if it is listed.
    pub alert: Option<ListedAlert>,
}

/// An alert as an Alertmanager lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedAlert {
    /// Who silences or inhibits it, if anybody does.
    pub suppressed_by: Option<String>,
    /// When it was last told to fire.
    pub updated_at: Timestamp,
    /// When it began.
    pub starts_at: Timestamp,
}

/// What fires on a target, or is about to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Present {
    /// The alerts, at most [`limits::LISTED_ALERTS`](crate::limits::LISTED_ALERTS).
    pub alerts: Vec<PresentAlert>,
    /// How many more there are.
    pub more: usize,
    /// What the lister can know.
    pub sight: Sight,
}

/// An alert that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentAlert {
    /// Its labels, as the lister has them.
    pub labels: LabelSet,
    /// Whether it fires; else it is pending.
    pub fires: bool,
}

/// How far a listing can be relied on to be complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// An Alertmanager, and for how long it runs.
    Alertmanager {
        /// The shortest of its peers.
        uptime: Span,
    },
    /// The rules of Prometheus that could fire such an alert.
    Rules {
        /// When the last of them was evaluated; `None` where there is no such rule.
        evaluated_at: Option<Timestamp>,
        /// The first that is not healthy, and why.
        unhealthy: Option<String>,
    },
}

/// What a hand says of an errand that it has not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rehearsal {
    /// It would be done.
    Accepted {
        /// Who else says how that is which it would change, and may change it back.
        managed_by: Option<String>,
    },
    /// It could not be done as things are now.
    NotNow(String),
    /// It would be refused, however often it is asked for.
    Refused(String),
}

/// One answer, in the order of the asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Answers [`Ask::Listed`].
    Listed(Result<Listing, Trouble>),
    /// Answers [`Ask::Rule`]: the word of each Prometheus that is asked.
    Rule(Vec<RuleWord>),
    /// Answers [`Ask::Instance`]; `None` where there is no such rule any more.
    Instance(Result<Option<Box<RuleSays>>, Trouble>),
    /// Answers [`Ask::Present`].
    Present(Result<Present, Trouble>),
    /// Answers [`Ask::Query`] with the number of samples.
    Query(Result<usize, Trouble>),
    /// Answers [`Ask::Inventory`]. What is not one finite number from zero up is trouble.
    Inventory(Result<u64, Trouble>),
    /// Answers [`Ask::Rehearsal`].
    Rehearsal(Result<Rehearsal, Trouble>),
    /// Answers [`Ask::Owner`].
    Owner(Result<Whose, Trouble>),
}

/// Asks and their findings, side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// What was asked and what was found.
    pub found: Vec<(Ask, Finding)>,
    /// When the oldest of the findings was gathered.
    pub gathered_at: Timestamp,
}

impl Evidence {
    /// Makes evidence where nothing needed to be asked.
    pub fn none(now: Timestamp) -> Self {
        Self { found: Vec::new(), gathered_at: now }
    }

    /// Returns what the alert's own Alertmanager said.
    pub fn listing(&self, alert: &Alert) -> Option<&Result<Listing, Trouble>> {
        self.found.iter().find_map(|(ask, finding)| match (ask, finding) {
            (Ask::Listed { source, fingerprint }, Finding::Listed(listing))
                if *source == alert.source && *fingerprint == alert.fingerprint =>
            {
                Some(listing)
            }
            _ => None,
        })
    }

    /// Returns what each Prometheus that was asked knows of who fires an alert.
    pub fn words(&self, alert: &Alert) -> &[RuleWord] {
        let words = self.found.iter().find_map(|(ask, finding)| match (ask, finding) {
            (Ask::Rule { labels, .. }, Finding::Rule(words)) if *labels == alert.labels => {
                Some(words.as_slice())
            }
            _ => None,
        });
        words.unwrap_or_default()
    }

    /// Tells apart what may be an alert and is rather another: one that is known to fire under exactly
    /// the labels of the instance, or one of the same incident that has fewer labels besides. Where
    /// there are too many of these to look at, it may be any of them.
    pub(crate) fn tell_apart(
        &mut self,
        fires: impl Fn(&LabelSet) -> bool,
        beside: Option<&[&LabelSet]>,
    ) {
        for (ask, finding) in &mut self.found {
            let (Ask::Rule { labels, .. }, Finding::Rule(words)) = (ask, finding) else { continue };
            for word in words {
                let Ok(Knows::Resembles(says)) = &word.knows else { continue };
                let own = &says.instance;
                let closer = |other: &&LabelSet| other.len() < labels.len() && own.is_within(other);
                let is_anothers = || beside.is_none_or(|all| all.iter().any(closer));
                if own != labels && (fires(own) || is_anothers()) {
                    word.knows = Ok(Knows::NotShown { why: NotShown::Anothers });
                }
            }
        }
    }

    /// Returns what was found where exactly this was asked.
    pub fn finding(&self, asked: &Ask) -> Option<&Finding> {
        self.found.iter().find(|(ask, _)| ask == asked).map(|(_, finding)| finding)
    }

    /// Returns what the query gave.
    pub fn query(&self) -> Option<&Result<usize, Trouble>> {
        self.found.iter().find_map(|(_, finding)| match finding {
            Finding::Query(result) => Some(result),
            Finding::Listed(_)
            | Finding::Rule(_)
            | Finding::Instance(_)
            | Finding::Present(_)
            | Finding::Inventory(_)
            | Finding::Rehearsal(_)
            | Finding::Owner(_) => None,
        })
    }

    /// Returns how many an inventory counts.
    pub fn inventory(&self, of: &str) -> Option<&Result<u64, Trouble>> {
        self.found.iter().find_map(|(ask, finding)| match (ask, finding) {
            (Ask::Inventory { promql, .. }, Finding::Inventory(count)) if **promql == *of => {
                Some(count)
            }
            _ => None,
        })
    }

    /// Returns what a hand says of this errand.
    pub fn rehearsal(&self, of: &Errand) -> Option<&Result<Rehearsal, Trouble>> {
        self.found.iter().find_map(|(ask, finding)| match (ask, finding) {
            (Ask::Rehearsal { errand, .. }, Finding::Rehearsal(says)) if **errand == *of => {
                Some(says)
            }
            _ => None,
        })
    }

    /// Returns what was said to be there.
    pub fn present(&self, asked: &Ask) -> Option<&Result<Present, Trouble>> {
        self.found.iter().find_map(|(ask, finding)| match finding {
            Finding::Present(present) if ask == asked => Some(present),
            Finding::Present(_)
            | Finding::Listed(_)
            | Finding::Rule(_)
            | Finding::Instance(_)
            | Finding::Query(_)
            | Finding::Inventory(_)
            | Finding::Rehearsal(_)
            | Finding::Owner(_) => None,
        })
    }
}
