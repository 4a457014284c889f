//! The world as a scenario's engine can know it: what fires, and what witnesses say about it.
//!
//! It tells the truth until it is made to lie. Of the answers that fit a question, the one that was
//! said last counts.

use std::collections::{BTreeMap, BTreeSet};

use crate::alert::{Alert, AlertKey};
use crate::evidence::{
    Ask, Beside, Finding, Input, Inputs, InstanceState, Knows, ListedAlert, Lister, Listing,
    Memory, NotShown, Present, PresentAlert, Rehearsal, RuleId, RuleSays, RuleWord, Sight, Trouble,
    is_asked_for, share_target,
};
use crate::label::{Fingerprint, LabelSet, Matchers};
use crate::limits;
use crate::name::{PolicyName, SourceName};
use crate::owner::Whose;
use crate::policy::{Target, TargetLabels};
use crate::time::{Span, Timestamp};

/// What a witness is made to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Alertmanagers cannot be asked.
    AlertmanagerErrs(String),
    /// Alertmanagers list nothing at all, as after a restart.
    AlertmanagerEmpty,
    /// Alertmanagers are healthy and list other alerts, but not these.
    Unlisted,
    /// Alertmanagers say that these silences suppress what they list.
    Silenced(String),
    /// Alertmanagers tell the truth again.
    AlertmanagerTruth,
    /// Prometheus cannot be asked, neither for rules nor for queries.
    PrometheusErrs(String),
    /// Prometheus gives no rules.
    RulesErr(String),
    /// Prometheus knows no rule.
    NoRule,
    /// The rules' last evaluation failed.
    RuleUnhealthy(String),
    /// The rules were last evaluated when this was said.
    RuleStuck,
    /// The rules fire.
    RuleFires,
    /// The rules find nothing.
    RuleInactive,
    /// The rules' expression holds, and not yet for long enough.
    RulePending,
    /// The rules' expression does not hold any more, and they fire on for so long.
    RuleKeptFiring(Span),
    /// Rules tell the truth again.
    RulesTruth,
    /// Rules look back for so long.
    LooksBack(Span),
    /// Nobody knows how long rules look back.
    LooksBackUnknown(String),
    /// The series that rules read are there, or gone.
    Inputs {
        /// Whether they are there.
        there: bool,
    },
    /// Prometheus tells the truth again, about rules too.
    PrometheusTruth,
    /// The query has so many samples.
    Query(usize),
    /// The query cannot be asked.
    QueryErrs(String),
    /// The inventory counts so many.
    Inventory(u64),
    /// The inventory has no answer.
    InventoryErrs(String),
    /// The hand says this of what it would do.
    Rehearsal(Rehearsal),
    /// The hand cannot say what would come of it.
    RehearsalErrs(String),
    /// The hand says whose something is.
    Owner(Whose),
    /// The hand cannot say whose something is.
    OwnerErrs(String),
}

/// Which questions an answer is for; what is left out fits all of its probe.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// Asked for an incident of this policy.
    pub policy: Option<PolicyName>,
    /// About an alert with these labels.
    pub labels: LabelSet,
    /// By a query whose rendered text has this in it.
    pub query: Option<String>,
}

impl Asked {
    fn fits(&self, policy: Option<&PolicyName>, labels: Option<&LabelSet>, promql: &str) -> bool {
        let same_policy = self.policy.is_none() || self.policy.as_ref() == policy;
        let of = |(name, value): (&str, &str)| labels.is_some_and(|l| l.get(name) == Some(value));
        let has = self.query.as_ref().is_none_or(|text| promql.contains(text.as_str()));
        same_policy && self.labels.iter().all(of) && has
    }
}

/// Whom an answer speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Probe {
    Alertmanager,
    Prometheus,
    Rules,
    Memory,
    Inputs,
    Query,
    Inventory,
    Rehearsal,
    Owner,
}

impl Answer {
    fn probe(&self) -> Probe {
        match self {
            Self::AlertmanagerErrs(_)
            | Self::AlertmanagerEmpty
            | Self::Unlisted
            | Self::Silenced(_)
            | Self::AlertmanagerTruth => Probe::Alertmanager,
            Self::PrometheusErrs(_) | Self::PrometheusTruth => Probe::Prometheus,
            Self::RulesErr(_)
            | Self::NoRule
            | Self::RuleUnhealthy(_)
            | Self::RuleStuck
            | Self::RuleFires
            | Self::RuleInactive
            | Self::RulePending
            | Self::RuleKeptFiring(_)
            | Self::RulesTruth => Probe::Rules,
            Self::LooksBack(_) | Self::LooksBackUnknown(_) => Probe::Memory,
            Self::Inputs { .. } => Probe::Inputs,
            Self::Query(_) | Self::QueryErrs(_) => Probe::Query,
            Self::Inventory(_) | Self::InventoryErrs(_) => Probe::Inventory,
            Self::Rehearsal(_) | Self::RehearsalErrs(_) => Probe::Rehearsal,
            Self::Owner(_) | Self::OwnerErrs(_) => Probe::Owner,
        }
    }
}

#[derive(Debug, Clone)]
struct Said {
    asked: Asked,
    answer: Answer,
    at: Timestamp,
}

/// An alert that fires, and when its Alertmanager was told so.
#[derive(Debug, Clone)]
struct Truth {
    alert: Alert,
    updated_at: Timestamp,
}

/// The world, as the engine can know it.
#[derive(Debug, Clone, Default)]
pub(super) struct World {
    firing: BTreeMap<AlertKey, Truth>,
    said: Vec<Said>,
    /// How often Prometheus tells Alertmanagers again about all that fires, where it does.
    pub(super) resend: Option<Span>,
}

impl World {
    /// Makes an alert fire; one that fires already goes on as it is.
    pub(super) fn fire(&mut self, alert: Alert, now: Timestamp) -> Alert {
        let key = alert.key();
        let known = self.firing.get(&key).map(|truth| truth.alert.clone());
        let alert = known.unwrap_or(alert);
        self.firing.insert(key, Truth { alert: alert.clone(), updated_at: now });
        alert
    }

    /// Makes an alert fire as it is, in place of one that fires already.
    pub(super) fn remember(&mut self, alert: Alert, now: Timestamp) {
        let key = alert.key();
        self.firing.insert(key, Truth { alert, updated_at: now });
    }

    /// Makes an alert end; returns it as it fired.
    pub(super) fn resolve(&mut self, alert: Alert) -> Alert {
        let key = alert.key();
        self.firing.remove(&key).map_or(alert, |truth| truth.alert)
    }

    /// Makes all alerts with exactly these labels end.
    pub(super) fn end(&mut self, labels: &LabelSet) {
        self.firing.retain(|_, truth| truth.alert.labels != *labels);
    }

    /// Lets Prometheus tell Alertmanagers once more about all that fires.
    pub(super) fn refresh(&mut self, now: Timestamp) {
        for truth in self.firing.values_mut() {
            truth.updated_at = now;
        }
    }

    /// Makes a witness say something else.
    pub(super) fn say(&mut self, asked: Asked, answer: Answer, at: Timestamp) {
        let probe = answer.probe();
        let takes_back = |said: &Said| match (said.answer.probe(), &answer) {
            (Probe::Rules | Probe::Prometheus, Answer::PrometheusTruth) => true,
            (before, _) => before == probe,
        };
        let everywhere = asked == Asked::default();
        self.said.retain(|said| !takes_back(said) || !(everywhere || said.asked == asked));
        self.said.push(Said { asked, answer, at });
    }

    /// What was said last to this question by one of these probes.
    fn said(
        &self,
        by: &[Probe],
        policy: Option<&PolicyName>,
        labels: Option<&LabelSet>,
        promql: &str,
    ) -> Option<&Said> {
        let fits = |said: &&Said| {
            by.contains(&said.answer.probe()) && said.asked.fits(policy, labels, promql)
        };
        self.said.iter().rev().find(fits)
    }

    /// Answers one question, asked for a policy or for none, and perhaps about an alert.
    pub(super) fn find(
        &self,
        (policy, about): (Option<&PolicyName>, Option<&LabelSet>),
        ask: &Ask,
        now: Timestamp,
    ) -> Finding {
        match ask {
            Ask::Listed { source, fingerprint } => {
                let key = (*fingerprint, source.clone());
                let labels = self.firing.get(&key).map(|truth| &truth.alert.labels);
                let said = self.said(&[Probe::Alertmanager], policy, labels, "");
                Finding::Listed(self.listing(&key, said.map(|said| &said.answer), now))
            }
            Ask::Rule { labels, target, by, .. } => {
                let word = |prometheus: &SourceName| RuleWord {
                    prometheus: prometheus.clone(),
                    knows: self.knows(policy, labels, target, now),
                };
                Finding::Rule(by.iter().map(word).collect())
            }
            Ask::Instance { instance, target, .. } => {
                let says = self.says(policy, instance, target, now);
                Finding::Instance(says.map(|says| says.map(Box::new)))
            }
            Ask::Present { by, matchers, target } => {
                let probes = match by {
                    Lister::Prometheus | Lister::Prometheuses(_) => {
                        &[Probe::Rules, Probe::Prometheus][..]
                    }
                    Lister::Alertmanager(_) => &[Probe::Alertmanager],
                };
                let said = self.said(probes, policy, Some(target), "");
                let sight = sight(by, said, now);
                Finding::Present(sight.map(|sight| self.present(matchers, target, said, sight)))
            }
            Ask::Query { promql, .. } => {
                Finding::Query(match self.said_to_promql(Probe::Query, policy, promql) {
                    Some(Answer::Query(samples)) => Ok(*samples),
                    Some(Answer::QueryErrs(error) | Answer::PrometheusErrs(error)) => {
                        Err(Trouble(error.clone()))
                    }
                    _ => Err(Trouble("the scenario gives no answer".into())),
                })
            }
            Ask::Rehearsal { .. } => {
                let said = self.said(&[Probe::Rehearsal], policy, None, "");
                Finding::Rehearsal(match said.map(|said| &said.answer) {
                    Some(Answer::Rehearsal(says)) => Ok(says.clone()),
                    Some(Answer::RehearsalErrs(error)) => Err(Trouble(error.clone())),
                    _ => Ok(Rehearsal::Accepted { managed_by: None }),
                })
            }
            Ask::Owner { .. } => {
                let said = self.said(&[Probe::Owner], policy, about, "");
                Finding::Owner(match said.map(|said| &said.answer) {
                    Some(Answer::Owner(whose)) => Ok(whose.clone()),
                    Some(Answer::OwnerErrs(error)) => Err(Trouble(error.clone())),
                    _ => Err(Trouble("the scenario gives no answer".into())),
                })
            }
            Ask::Inventory { promql, .. } => {
                Finding::Inventory(match self.said_to_promql(Probe::Inventory, policy, promql) {
                    Some(Answer::Inventory(count)) => Ok(*count),
                    Some(Answer::InventoryErrs(error) | Answer::PrometheusErrs(error)) => {
                        Err(Trouble(error.clone()))
                    }
                    _ => Err(Trouble("the scenario gives no answer".into())),
                })
            }
        }
    }

    /// What was said last to an expression; a Prometheus that tells the truth again says nothing.
    fn said_to_promql(
        &self,
        probe: Probe,
        policy: Option<&PolicyName>,
        promql: &str,
    ) -> Option<&Answer> {
        let ask = |by: &[Probe]| self.said(by, policy, None, promql);
        let said = match ask(&[probe, Probe::Prometheus]) {
            Some(Said { answer: Answer::PrometheusTruth, .. }) => ask(&[probe]),
            said => said,
        };
        said.map(|said| &said.answer)
    }

    fn listing(
        &self,
        key: &AlertKey,
        said: Option<&Answer>,
        now: Timestamp,
    ) -> Result<Listing, Trouble> {
        let (uptime, total) = (limits::YOUNG_ALERTMANAGER, self.firing.len() + 1);
        let suppressed_by = match said {
            Some(Answer::AlertmanagerErrs(error)) => return Err(Trouble(error.clone())),
            Some(Answer::AlertmanagerEmpty) => {
                return Ok(Listing { uptime: Span::from_secs(10), total: 0, alert: None });
            }
            Some(Answer::Unlisted) => return Ok(Listing { uptime, total, alert: None }),
            Some(Answer::Silenced(by)) => Some(by.clone()),
            _ => None,
        };
        let alert = self.firing.get(key).map(|truth| ListedAlert {
            suppressed_by,
            updated_at: self.last_sent(truth, now),
            starts_at: truth.alert.starts_at.unwrap_or(truth.updated_at),
        });
        Ok(Listing { uptime, total, alert })
    }

    fn present(
        &self,
        matchers: &Matchers,
        target: &Target,
        said: Option<&Said>,
        sight: Sight,
    ) -> Present {
        let lists = !matches!(
            said.map(|said| &said.answer),
            Some(Answer::AlertmanagerEmpty | Answer::Unlisted)
        );
        let all = self.firing.values().map(|truth| &truth.alert.labels);
        let wanted = all.filter(|labels| lists && is_asked_for(labels, matchers, target));
        let alerts = wanted.map(|labels| PresentAlert { labels: labels.clone(), fires: true });
        Present { alerts: alerts.collect(), more: 0, sight }
    }

    /// When an Alertmanager was last told that an alert fires.
    fn last_sent(&self, truth: &Truth, now: Timestamp) -> Timestamp {
        let every = self.resend.map_or(0, Span::as_micros);
        let since = now.since(truth.updated_at).as_micros();
        let rest = since.checked_rem(every).unwrap_or(since);
        truth.updated_at + Span::from_micros(since - rest)
    }

    /// What a Prometheus knows of who fires an alert.
    fn knows(
        &self,
        policy: Option<&PolicyName>,
        labels: &LabelSet,
        target: &TargetLabels,
        now: Timestamp,
    ) -> Result<Knows, Trouble> {
        Ok(match self.says(policy, labels, target, now)? {
            None => Knows::NoRule,
            Some(says) if says.state == InstanceState::Absent => {
                Knows::NotShown { why: NotShown::Nothing }
            }
            Some(says) => Knows::Shows(vec![says]),
        })
    }

    /// What its rule says of an alert; `None` where there is none.
    fn says(
        &self,
        policy: Option<&PolicyName>,
        labels: &LabelSet,
        target: &TargetLabels,
        now: Timestamp,
    ) -> Result<Option<RuleSays>, Trouble> {
        let said = self.said(&[Probe::Rules, Probe::Prometheus], policy, Some(labels), "");
        let fires = self.firing.values().any(|truth| truth.alert.labels == *labels);
        let name = labels.get("alertname").unwrap_or_default();
        let mut says = RuleSays {
            rule: RuleId::new("", "", name, "", &LabelSet::default()),
            instance: labels.clone(),
            state: if fires { InstanceState::Firing } else { InstanceState::Absent },
            unhealthy: None,
            evaluated_at: now,
            interval: Span::ZERO,
            memory: Some(self.memory(policy, labels)),
            inputs: self.inputs(policy, labels),
            beside: self.beside(labels, target),
        };
        match said.map(|said| (&said.answer, said.at)) {
            Some((Answer::PrometheusErrs(error) | Answer::RulesErr(error), _)) => {
                return Err(Trouble(error.clone()));
            }
            Some((Answer::NoRule, _)) => return Ok(None),
            Some((Answer::RuleUnhealthy(error), _)) => says.unhealthy = Some(error.clone()),
            Some((Answer::RuleStuck, at)) => says.evaluated_at = at,
            Some((Answer::RuleFires, _)) => says.state = InstanceState::Firing,
            Some((Answer::RuleInactive, _)) => says.state = InstanceState::Absent,
            Some((Answer::RulePending, _)) => says.state = InstanceState::Pending,
            Some((Answer::RuleKeptFiring(span), _)) => {
                says.state = InstanceState::Kept;
                says.memory = Some(Memory::Lasts(*span));
            }
            _ => {}
        }
        Ok(Some(says))
    }

    fn memory(&self, policy: Option<&PolicyName>, labels: &LabelSet) -> Memory {
        let said = self.said(&[Probe::Memory], policy, Some(labels), "");
        match said.map(|said| &said.answer) {
            Some(Answer::LooksBack(span)) => Memory::Lasts(*span),
            Some(Answer::LooksBackUnknown(why)) => Memory::Unknown { why: why.clone() },
            _ => Memory::Lasts(Span::ZERO),
        }
    }

    /// Each rule reads one series about each of its instances.
    fn inputs(&self, policy: Option<&PolicyName>, labels: &LabelSet) -> Inputs {
        let said = self.said(&[Probe::Inputs], policy, Some(labels), "");
        let has_data =
            !matches!(said.map(|said| &said.answer), Some(Answer::Inputs { there: false }));
        let selector = format!("series{labels}").into();
        Inputs::Known(vec![Input { selector, has_data }])
    }

    /// Other alerts of the same name that fire under the same target.
    fn beside(&self, labels: &LabelSet, target: &TargetLabels) -> Beside {
        let all = self.firing.values().map(|truth| &truth.alert.labels);
        let others = all.filter(|other| {
            *other != labels
                && other.get("alertname") == labels.get("alertname")
                && share_target(other, labels, target)
        });
        let mut instances: BTreeSet<Fingerprint> = others.map(LabelSet::fingerprint).collect();
        let more = instances.len().saturating_sub(limits::BESIDE);
        while instances.len() > limits::BESIDE {
            instances.pop_last();
        }
        Beside { instances, more }
    }
}

/// How complete a listing is, by what was said to whoever lists.
fn sight(by: &Lister, said: Option<&Said>, now: Timestamp) -> Result<Sight, Trouble> {
    let answer = said.map(|said| (&said.answer, said.at));
    match by {
        Lister::Alertmanager(_) => match answer {
            Some((Answer::AlertmanagerErrs(error), _)) => Err(Trouble(error.clone())),
            Some((Answer::AlertmanagerEmpty, _)) => {
                Ok(Sight::Alertmanager { uptime: Span::from_secs(10) })
            }
            _ => Ok(Sight::Alertmanager { uptime: limits::YOUNG_ALERTMANAGER }),
        },
        Lister::Prometheus | Lister::Prometheuses(_) => match answer {
            Some((Answer::PrometheusErrs(error) | Answer::RulesErr(error), _)) => {
                Err(Trouble(error.clone()))
            }
            Some((Answer::NoRule, _)) => Ok(Sight::Rules { evaluated_at: None, unhealthy: None }),
            Some((Answer::RuleStuck, at)) => {
                Ok(Sight::Rules { evaluated_at: Some(at), unhealthy: None })
            }
            Some((Answer::RuleUnhealthy(error), _)) => {
                Ok(Sight::Rules { evaluated_at: Some(now), unhealthy: Some(error.clone()) })
            }
            _ => Ok(Sight::Rules { evaluated_at: Some(now), unhealthy: None }),
        },
    }
}
