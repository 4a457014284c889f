//! What a Prometheus answers, as JSON, and whether it is the whole answer.
//!
//! HTTP 200 is not enough: an answer that is marked as partial, or that carries warnings other than
//! remarks about the query itself, says nothing about what it leaves out. Servers that speak this API
//! are read, too: Thanos, Mimir, `VictoriaMetrics` and its vmalert, under their own names.
//!
//! Source: `web/api/v1/api.go` of Prometheus; `app/vmalert/rule/web.go` of `VictoriaMetrics`.

use homeostat_core::evidence::{InstanceState, RuleId, Trouble};
use homeostat_core::label::{LabelSet, Matchers};
use homeostat_core::time::{Span, Timestamp};
use serde::{Deserialize, Deserializer};

use super::super::decode;
use crate::client::{Client, Reply, one_line};

/// How Prometheus begins what it remarks about a query, and not about its answer.
const REMARKS: [&str; 2] = ["PromQL info:", "PromQL warning:"];

/// Reads the envelope of an answer, which must be a whole one.
pub(super) async fn data<T: for<'de> Deserialize<'de> + Send + 'static>(
    client: &Client,
    reply: Reply,
) -> Result<T, Trouble> {
    let server = client.server();
    if reply.status.is_success() {
        let answer: Success<T> = decode(reply.body, server).await?;
        return match answer.gap() {
            Some(gap) => Err(Trouble(format!("{server} did not answer in full: {gap}"))),
            None => Ok(answer.data),
        };
    }
    let text = match serde_json::from_slice::<Failure>(&reply.body) {
        Ok(Failure { error_type, error }) => {
            format!("{}: {}", one_line(&error_type), one_line(&error))
        }
        Err(_) => reply.excerpt(),
    };
    Err(Trouble(format!("{server} answered {}: {text}", reply.status)))
}

#[derive(Deserialize)]
struct Success<T> {
    data: T,
    #[serde(default)]
    warnings: Option<Vec<String>>,
    /// Of `VictoriaMetrics`.
    #[serde(default, rename = "isPartial")]
    is_partial: bool,
}

impl<T> Success<T> {
    /// Why it may leave something out.
    fn gap(&self) -> Option<String> {
        if self.is_partial {
            return Some("it says that its answer is partial".to_owned());
        }
        let is_remark = |text: &&String| REMARKS.iter().any(|remark| text.starts_with(remark));
        let warnings = self.warnings.iter().flatten();
        warnings.filter(|text| !is_remark(text)).map(|text| one_line(text)).next()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    error_type: String,
    error: String,
}

/// The answer of a query.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct QueryData<T> {
    pub(super) result_type: String,
    pub(super) result: Vec<T>,
}

#[derive(Deserialize)]
pub(super) struct RulesData {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    #[serde(default)]
    name: String,
    #[serde(default)]
    file: String,
    #[serde(default)]
    interval: f64,
    #[serde(default)]
    rules: Vec<Rule>,
}

/// A rule, with what its group says of it.
#[derive(Debug, Deserialize)]
pub(super) struct Rule {
    #[serde(skip)]
    file: String,
    #[serde(skip)]
    group: String,
    #[serde(skip)]
    pub(super) interval: Span,
    pub(super) name: String,
    /// Its expression; some servers do not tell it.
    #[serde(default)]
    pub(super) query: Option<String>,
    #[serde(default)]
    pub(super) labels: LabelSet,
    #[serde(default)]
    health: String,
    #[serde(default, rename = "lastError")]
    last_error: String,
    #[serde(rename = "lastEvaluation")]
    pub(super) last_evaluation: Timestamp,
    #[serde(
        default,
        rename = "keepFiringFor",
        alias = "keep_firing_for",
        deserialize_with = "seconds"
    )]
    pub(super) keep_firing_for: Span,
    #[serde(default)]
    alerts: Option<Vec<Instance>>,
}

/// An instance of a rule.
#[derive(Debug, Deserialize)]
pub(super) struct Instance {
    pub(super) labels: LabelSet,
    state: String,
    #[serde(default, rename = "keepFiringSince")]
    keep_firing_since: Option<Timestamp>,
    /// Of vmalert: it fires on for `keep_firing_for`.
    #[serde(default)]
    stabilizing: bool,
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
    f64::deserialize(deserializer).map(span)
}

fn span(seconds: f64) -> Span {
    std::time::Duration::try_from_secs_f64(seconds).map_or(Span::ZERO, Span::from)
}

impl RulesData {
    /// Returns all rules, each with what its group says.
    pub(super) fn rules(self) -> Vec<Rule> {
        let of = |group: Group| {
            let (name, file, interval) = (group.name, group.file, span(group.interval));
            group.rules.into_iter().map(move |rule| Rule {
                group: name.clone(),
                file: file.clone(),
                interval,
                ..rule
            })
        };
        self.groups.into_iter().flat_map(of).collect()
    }
}

impl Rule {
    /// Returns what tells it from any other.
    pub(super) fn id(&self) -> RuleId {
        let expression = self.query.as_deref().unwrap_or_default();
        RuleId::new(&self.file, &self.group, &self.name, expression, &self.labels)
    }

    /// Returns its instances that fire or are about to.
    pub(super) fn instances(&self) -> impl Iterator<Item = &Instance> {
        let there = |instance: &&Instance| instance.state() != InstanceState::Absent;
        self.alerts.iter().flatten().filter(there)
    }

    /// Whether an alert of this rule may match: what its series add is not known before.
    pub(super) fn may_fire(&self, matchers: &Matchers) -> bool {
        matchers.iter().all(|matcher| {
            if matcher.name() == "alertname" {
                return matcher.matches_value(&self.name);
            }
            match self.labels.get(matcher.name()) {
                Some(value) if !value.contains("{{") => matcher.matches_value(value),
                Some(_) | None => true,
            }
        })
    }

    /// Why its last evaluation tells nothing, if it does not.
    pub(super) fn trouble(&self) -> Option<String> {
        match (self.health.as_str(), self.last_error.as_str()) {
            ("ok", _) => None,
            (_, "") if self.last_evaluation.is_go_zero() => Some("it was never evaluated".into()),
            (health, "") => Some(format!("its health is {:?}", one_line(health))),
            (_, error) => Some(one_line(error)),
        }
    }
}

impl Instance {
    /// Returns how it stands.
    pub(super) fn state(&self) -> InstanceState {
        let kept = self.stabilizing || self.keep_firing_since.is_some_and(|at| !at.is_go_zero());
        match self.state.as_str() {
            "pending" => InstanceState::Pending,
            "firing" if kept => InstanceState::Kept,
            "firing" => InstanceState::Firing,
            _ => InstanceState::Absent,
        }
    }
}
