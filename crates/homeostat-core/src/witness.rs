//! Who saw this very alert fire, and what that one says later.
//!
//! ```text
//!  before the act ─> findings ─> Sighting: made only from one that shows the alert firing
//!                                   │
//!  each look ─────> findings ─> Sighting::hear ─> Testimony: fires, remembers, gone, or no word
//! ```
//!
//! Only who has **seen** an alert fire may say that it is over: what was never seen cannot be missed.
//! So a [`Sighting`] is made only from a finding that shows the alert firing, and only a sighting can
//! read a later finding. Not finding something is no testimony: it is [`NoWord`].
//!
//! | asked | says | testimony |
//! |---|---|---|
//! | the rule on its Prometheus | fires, evaluated after the act and the rule's memory | fires |
//! | | fires, within its memory of what was before the act's end | remembers |
//! | | fires, and what it remembers is not known | no word |
//! | | healthy, evaluated after the act, this instance is not there, what it reads is | gone |
//! | | anything else | no word |
//! | an Alertmanager that listed it | told after the act that it fires | fires |
//! | | healthy, not young, lists others and not this one | gone |
//! | | anything else | no word |
//!
//! *Not* its duty: what the testimonies about all alerts of an incident come to ([`crate::healing`]).

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::alert::Alert;
use crate::clock::After;
use crate::evidence::{
    Ask, Beside, Evidence, Finding, Grade, Inputs, InstanceState, Knows, Listing, Memory, NotShown,
    RuleId, RuleSays, RuleWord, Trouble,
};
use crate::label::{Fingerprint, LabelSet};
use crate::limits;
use crate::name::{EpisodeId, SourceName};
use crate::policy::TargetLabels;
use crate::time::{Span, Timestamp};

/// Somebody who can be asked again about exactly the alert that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Witness {
    /// A rule on one Prometheus, and the instance of it as that Prometheus shows it.
    Rule(Box<RuleWitness>),
    /// An Alertmanager that lists it under its fingerprint.
    Listing {
        /// Which one.
        alertmanager: SourceName,
        /// The alert there.
        fingerprint: Fingerprint,
    },
}

/// A rule that was seen to fire an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleWitness {
    /// On which Prometheus.
    pub prometheus: SourceName,
    /// Which rule.
    pub rule: RuleId,
    /// The instance, as that Prometheus shows it.
    pub instance: LabelSet,
    /// How long it may fire about what is over.
    pub memory: Memory,
    /// How often it is evaluated.
    pub interval: Span,
    /// What it read.
    pub inputs: Inputs,
    /// Its other instances under the same target.
    pub beside: Beside,
}

/// That somebody saw this very alert fire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    witness: Witness,
    seen_at: Timestamp,
}

/// The end of an act, as it is seen now.
#[derive(Debug, Clone, Copy)]
pub struct Act {
    /// What others stamped after it.
    pub after: After,
    /// What they stamped after it was over at the latest: one whose outcome is unknown may have
    /// gone on.
    pub past: After,
    /// When it was over at the latest, by the engine's clock.
    pub over_at: Timestamp,
}

/// What a witness says of its sighting later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "says")]
pub enum Testimony {
    /// It fires, and that is no news of before the act.
    Fires,
    /// It fires, but may still be looking at what was before the act.
    Remembers {
        /// Until when: one evaluation after its memory has ended.
        until: Timestamp,
    },
    /// A complete answer of after the act: it is not there any more, and could be seen if it were.
    Gone,
    /// Everything else.
    Silent {
        /// Why.
        why: NoWord,
    },
}

/// Why a witness says nothing about its sighting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "no_word")]
pub enum NoWord {
    /// It was not asked.
    NotAsked,
    /// It gave no answer, or not a whole one.
    NoAnswer {
        /// Why.
        why: String,
    },
    /// Its Prometheus has no such rule any more.
    RuleGone,
    /// The rule's last evaluation failed.
    Unhealthy {
        /// How.
        error: String,
    },
    /// The rule was not evaluated since the act.
    NotEvaluated,
    /// The rule's expression holds, and not yet for long enough.
    Pending,
    /// The rule is kept firing.
    Kept,
    /// It fires, and may do so about what is over.
    MemoryUnknown {
        /// Why nobody knows how long.
        why: String,
    },
    /// It is gone, and the rule shows others under the same target that were not there.
    Changed {
        /// How many.
        others: usize,
    },
    /// Its instance is gone, and so are series that the rule reads.
    InputsGone {
        /// One of them.
        selector: Arc<str>,
    },
    /// Its instance is gone, and nobody knows whether what the rule reads is there.
    InputsUnknown {
        /// Why.
        why: String,
    },
    /// An Alertmanager lists it, and was not told of it since the act.
    ListedFromBefore,
    /// An Alertmanager does not list it, and it was mentioned since that was asked.
    MentionedSince,
    /// An Alertmanager lists nothing at all.
    ListsNothing,
    /// An Alertmanager does not list it, and has not run for long.
    Young {
        /// For how long it runs.
        uptime: Span,
    },
}

impl fmt::Display for NoWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAsked => f.write_str("was not asked"),
            Self::NoAnswer { why } => write!(f, "could not be asked: {why}"),
            Self::RuleGone => f.write_str("has no such rule any more"),
            Self::Unhealthy { error } => write!(f, "is not healthy: {error}"),
            Self::NotEvaluated => f.write_str("was not evaluated since the action"),
            Self::Pending => f.write_str("is pending"),
            Self::Kept => f.write_str("is kept firing"),
            Self::MemoryUnknown { why } => {
                write!(f, "fires, and what it remembers is not known: {why}")
            }
            Self::Changed { others: 1 } => f.write_str("shows the same target under other labels"),
            Self::Changed { others } => {
                write!(f, "shows the same target under {others} other sets of labels")
            }
            Self::InputsGone { selector } => {
                write!(f, "is inactive, but the series that it reads are gone: {selector}")
            }
            Self::InputsUnknown { why } => {
                write!(f, "is inactive, and whether its series are there is not known: {why}")
            }
            Self::ListedFromBefore => f.write_str("lists it, from before the action's end"),
            Self::MentionedSince => {
                f.write_str("does not list it, and was asked before it was mentioned again")
            }
            Self::ListsNothing => f.write_str("lists nothing at all"),
            Self::Young { uptime } => {
                write!(f, "does not list it, but runs for {uptime} only")
            }
        }
    }
}

impl Sighting {
    /// Makes the sighting of a rule that shows the alert firing.
    pub fn of_rule(prometheus: &SourceName, says: &RuleSays, seen_at: Timestamp) -> Option<Self> {
        match says.state {
            InstanceState::Firing | InstanceState::Kept => {}
            InstanceState::Pending | InstanceState::Absent => return None,
        }
        let witness = RuleWitness {
            prometheus: prometheus.clone(),
            rule: says.rule.clone(),
            instance: says.instance.clone(),
            memory: says
                .memory
                .clone()
                .unwrap_or_else(|| Memory::Unknown { why: "it was not asked".to_owned() }),
            interval: says.interval,
            inputs: says.inputs.clone(),
            beside: says.beside.clone(),
        };
        Some(Self { witness: Witness::Rule(Box::new(witness)), seen_at })
    }

    /// Makes the sighting of an Alertmanager that lists the alert.
    pub fn of_listing(alert: &Alert, listing: &Listing, seen_at: Timestamp) -> Option<Self> {
        listing.alert.as_ref()?;
        let (alertmanager, fingerprint) = (alert.source.clone(), alert.fingerprint);
        Some(Self { witness: Witness::Listing { alertmanager, fingerprint }, seen_at })
    }

    /// Returns who saw it.
    pub fn witness(&self) -> &Witness {
        &self.witness
    }

    /// Returns the rule that saw it, if a rule did.
    pub fn rule(&self) -> Option<&RuleWitness> {
        match &self.witness {
            Witness::Rule(rule) => Some(rule),
            Witness::Listing { .. } => None,
        }
    }

    /// Returns the grade that its word can give.
    pub fn grade(&self) -> Grade {
        match &self.witness {
            Witness::Rule(_) => Grade::Confirmed,
            Witness::Listing { .. } => Grade::Reported,
        }
    }

    /// Asks its witness about it.
    pub fn ask(&self, target: &TargetLabels) -> Ask {
        match &self.witness {
            Witness::Rule(rule) => Ask::Instance {
                prometheus: rule.prometheus.clone(),
                rule: rule.rule.clone(),
                instance: rule.instance.clone(),
                target: target.clone(),
                inputs: rule.asked_inputs(),
            },
            Witness::Listing { alertmanager, fingerprint } => {
                Ask::Listed { source: alertmanager.clone(), fingerprint: *fingerprint }
            }
        }
    }

    /// Reads what its witness was found to say after an act.
    pub fn hear(&self, target: &TargetLabels, evidence: &Evidence, act: &Act) -> Testimony {
        let silent = |why| Testimony::Silent { why };
        match (&self.witness, evidence.finding(&self.ask(target))) {
            (Witness::Rule(rule), Some(Finding::Instance(Ok(Some(says))))) => rule.hear(says, act),
            (Witness::Rule(_), Some(Finding::Instance(Ok(None)))) => silent(NoWord::RuleGone),
            (Witness::Rule(_), Some(Finding::Instance(Err(Trouble(why)))))
            | (Witness::Listing { .. }, Some(Finding::Listed(Err(Trouble(why))))) => {
                silent(NoWord::NoAnswer { why: why.clone() })
            }
            (Witness::Listing { .. }, Some(Finding::Listed(Ok(listing)))) => {
                hear_listing(listing, act)
            }
            (Witness::Rule(_) | Witness::Listing { .. }, _) => silent(NoWord::NotAsked),
        }
    }
}

impl fmt::Display for Sighting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.witness {
            Witness::Rule(rule) => write!(f, "rule {} of {}", rule.rule.name, rule.prometheus),
            Witness::Listing { alertmanager, .. } => write!(f, "Alertmanager {alertmanager}"),
        }
    }
}

impl RuleWitness {
    /// The selectors that had data.
    fn asked_inputs(&self) -> Vec<Arc<str>> {
        match &self.inputs {
            Inputs::Known(inputs) => {
                let had = inputs.iter().filter(|input| input.has_data);
                had.map(|input| input.selector.clone()).collect()
            }
            Inputs::Unknown { .. } => Vec::new(),
        }
    }

    /// Reads what the rule says of its instance after an act.
    pub fn hear(&self, says: &RuleSays, act: &Act) -> Testimony {
        let silent = |why| Testimony::Silent { why };
        if !act.after.holds(says.evaluated_at) {
            return silent(NoWord::NotEvaluated);
        }
        if let Some(error) = &says.unhealthy {
            return silent(NoWord::Unhealthy { error: error.clone() });
        }
        match says.state {
            InstanceState::Firing | InstanceState::Kept => self.hear_firing(says, act),
            InstanceState::Pending => silent(NoWord::Pending),
            InstanceState::Absent => self.hear_absent(says),
        }
    }

    /// What fires is news only once the rule cannot see what was before the act's end. What it
    /// remembers is taken as long as it ever was: the rule may read other recordings by now.
    fn hear_firing(&self, says: &RuleSays, act: &Act) -> Testimony {
        let lasts = match (&self.memory, &says.memory) {
            (Memory::Lasts(then), Some(Memory::Lasts(now))) => (*then).max(*now),
            (Memory::Lasts(then), None) => *then,
            (Memory::Unknown { why }, _) | (_, Some(Memory::Unknown { why })) => {
                return Testimony::Silent { why: NoWord::MemoryUnknown { why: why.clone() } };
            }
        };
        if !act.past.holds_by(says.evaluated_at, lasts) {
            let lasts = lasts.saturating_add(says.interval);
            return Testimony::Remembers { until: act.over_at + lasts };
        }
        match says.state {
            InstanceState::Kept => Testimony::Silent { why: NoWord::Kept },
            InstanceState::Firing | InstanceState::Pending | InstanceState::Absent => {
                Testimony::Fires
            }
        }
    }

    fn hear_absent(&self, says: &RuleSays) -> Testimony {
        let silent = |why| Testimony::Silent { why };
        let new = says.beside.instances.difference(&self.beside.instances).count();
        // Where there are too many to remember, nobody can tell new ones from old ones.
        let others = new + if self.beside.more > 0 { 0 } else { says.beside.more };
        if others > 0 {
            return silent(NoWord::Changed { others });
        }
        let asked = self.asked_inputs();
        match (&self.inputs, &says.inputs) {
            (Inputs::Unknown { why }, _) => silent(NoWord::InputsUnknown { why: why.clone() }),
            (Inputs::Known(_), Inputs::Unknown { why }) if !asked.is_empty() => {
                silent(NoWord::InputsUnknown { why: why.clone() })
            }
            (Inputs::Known(_), Inputs::Unknown { .. }) => Testimony::Gone,
            (Inputs::Known(_), Inputs::Known(now)) => {
                let there: BTreeSet<&Arc<str>> = now
                    .iter()
                    .filter(|input| input.has_data)
                    .map(|input| &input.selector)
                    .collect();
                match asked.iter().find(|selector| !there.contains(selector)) {
                    Some(gone) => silent(NoWord::InputsGone { selector: gone.clone() }),
                    None => Testimony::Gone,
                }
            }
        }
    }
}

fn hear_listing(listing: &Listing, act: &Act) -> Testimony {
    let silent = |why| Testimony::Silent { why };
    match &listing.alert {
        Some(listed) if act.past.holds(listed.updated_at) => Testimony::Fires,
        Some(_) => silent(NoWord::ListedFromBefore),
        None if listing.total == 0 => silent(NoWord::ListsNothing),
        None if listing.uptime < limits::YOUNG_ALERTMANAGER => {
            silent(NoWord::Young { uptime: listing.uptime })
        }
        None => Testimony::Gone,
    }
}

/// One alert of an incident, who saw it fire, and what must be known for it to be over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// The alert's episode.
    pub episode: EpisodeId,
    /// The grade that the best witness of before the act could give.
    pub required: Grade,
    /// Who saw it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sightings: Vec<Sighting>,
    /// Prometheuses that gave no answer when they were asked who fires it: their word is awaited.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub awaited: Vec<SourceName>,
    /// Prometheuses that have its rule, and why they are no witnesses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blind: Vec<(SourceName, NotShown)>,
}

impl Case {
    /// Makes the case of an alert from what was found before the act, or when it joined.
    ///
    /// A Prometheus that gives no answer is held to know the alert's rule, unless another one certainly
    /// shows it: the proof is then awaited from it, and its silence is unknown.
    pub fn open(episode: EpisodeId, alert: &Alert, evidence: &Evidence) -> Self {
        let seen_at = evidence.gathered_at;
        let mut case = Self {
            episode,
            required: Grade::Reported,
            sightings: Vec::new(),
            awaited: Vec::new(),
            blind: Vec::new(),
        };
        let mut certain = false;
        for word @ RuleWord { prometheus, knows } in evidence.words(alert) {
            let seen = |says| Sighting::of_rule(prometheus, says, seen_at);
            case.sightings.extend(word.shown().iter().filter_map(seen));
            match knows {
                Ok(Knows::Shows(_)) => certain |= word.fires(),
                Ok(Knows::Resembles(_) | Knows::NoRule) => {}
                Ok(Knows::NotShown { why }) => case.blind.push((prometheus.clone(), why.clone())),
                Err(_) => case.awaited.push(prometheus.clone()),
            }
        }
        // What only may be it is not taken for it while the one that is silent may know better.
        if certain {
            case.awaited.clear();
        } else if !case.awaited.is_empty() {
            case.sightings.clear();
        }
        if !case.sightings.is_empty() || !case.awaited.is_empty() {
            case.required = Grade::Confirmed;
        }
        // Beside a rule's word, a listing is none: it is told of the alert by some rule.
        if let (true, Some(Ok(listing))) = (case.sightings.is_empty(), evidence.listing(alert)) {
            case.sightings.extend(Sighting::of_listing(alert, listing, seen_at));
        }
        case
    }

    /// Tells whether it may still be found out who saw it: a word is awaited.
    pub fn is_awaited(&self) -> bool {
        !self.awaited.is_empty() && self.rules().next().is_none()
    }

    /// Returns the rules that saw it.
    pub fn rules(&self) -> impl Iterator<Item = &RuleWitness> {
        self.sightings.iter().filter_map(Sighting::rule)
    }

    /// Takes a sighting that a look has brought.
    pub fn sight(&mut self, sighting: Sighting) {
        self.required = self.required.max(sighting.grade());
        if !self.sightings.iter().any(|known| known.witness == sighting.witness) {
            self.sightings.push(sighting);
        }
    }

    /// Says why no rule can confirm, where a Prometheus has the alert's rule and is no witness.
    pub fn shortfall(&self, alertname: &str) -> Option<String> {
        let (prometheus, why) = self.blind.first()?;
        let awaits = self.required > Grade::Reported;
        (!awaits).then(|| {
            format!("Prometheus {prometheus} has rule {alertname}, but {why}: it cannot confirm")
        })
    }
}

#[cfg(test)]
mod tests;
