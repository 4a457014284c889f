//! What a Prometheus says about a rule, whether an expression holds, and how many it counts.
//!
//! Rules are found by the name of their alert. External labels and alert relabelling are on the
//! wire and not in these answers, so that core's [`is_same_alert`] says which instance is the alert
//! in question. All rules of that name, over groups and Prometheuses, are put together as one: it
//! is healthy if all are, was evaluated when the last of them was, and its instances are theirs.
//! What is there on a target is listed by all rules that could fire an alert that matches.
//! Rules whose own labels contradict the alert's are another alert's.
//!
//! Source: `web/api/v1/api.go` of Prometheus.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use homeostat_core::evidence::{self, RuleReport, Sight, Trouble, is_same_alert};
use homeostat_core::label::{LabelSet, Matchers};
use homeostat_core::policy::TargetLabels;
use homeostat_core::time::{Span, Timestamp};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::flight::Flight;
use super::{Found, decode, present};
use crate::client::{self, Client, Reply, one_line};

/// Names by which the answer is narrowed. More would not fit into a URL; then all rules are sent.
const NAMES_ASKED: usize = 64;

/// How long a query may be evaluated, so that Prometheus gives up before we do and says so.
const QUERY_TIMEOUT: &str = "4s";

/// Up to here a float tells every whole number from the next.
const COUNTED_EXACTLY: f64 = 9_007_199_254_740_992.0;

/// One Prometheus.
#[derive(Debug)]
pub(super) struct Prometheus {
    client: Client,
    flight: Flight<BTreeSet<Arc<str>>, Answer>,
    inventories: Flight<BTreeSet<Arc<str>>, Counts>,
    all: Flight<(), Answer>,
}

/// The rules that one Prometheus has, and when it was asked.
type Answer = Arc<(Result<Vec<Rule>, Trouble>, Timestamp)>;

/// How many each inventory counts, and when it was asked.
type Counts = Arc<BTreeMap<Arc<str>, Found<u64>>>;

/// The alert whose rule is looked for.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) alertname: &'a Arc<str>,
    pub(super) labels: &'a LabelSet,
    pub(super) target: &'a TargetLabels,
}

impl Prometheus {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            flight: Flight::default(),
            inventories: Flight::default(),
            all: Flight::default(),
        }
    }

    /// Counts by an expression. Whoever asks the same at the same time shares one request: all
    /// incidents of a policy do when very many alerts fire at once.
    async fn count(
        &self,
        promql: &Arc<str>,
        places: &Semaphore,
        now: &impl Fn() -> Timestamp,
    ) -> Found<u64> {
        let want = |wanted: &mut BTreeSet<Arc<str>>| {
            wanted.insert(promql.clone());
        };
        let request = |wanted: BTreeSet<Arc<str>>| async move {
            let counts = wanted.into_iter().map(|promql| async move {
                let _place = places.acquire().await;
                let at = now();
                let count = ask_inventory(&self.client, &promql).await;
                (promql, (count, at))
            });
            Arc::new(client::all(counts).await.into_iter().collect())
        };
        let counts: Counts = self.inventories.join(want, request).await;
        counts
            .get(promql)
            .cloned()
            .unwrap_or_else(|| (Err(Trouble("it was not asked".into())), now()))
    }

    async fn rules(
        &self,
        alertname: &Arc<str>,
        places: &Semaphore,
        now: &impl Fn() -> Timestamp,
    ) -> Answer {
        let want = |names: &mut BTreeSet<Arc<str>>| {
            names.insert(alertname.clone());
        };
        let request = |names| async move {
            let _place = places.acquire().await;
            let at = now();
            Arc::new((ask_rules(&self.client, &names).await, at))
        };
        self.flight.join(want, request).await
    }

    async fn all_rules(&self, places: &Semaphore, now: &impl Fn() -> Timestamp) -> Answer {
        let request = |()| async {
            let _place = places.acquire().await;
            let at = now();
            Arc::new((ask_all_rules(&self.client).await, at))
        };
        self.all.join(|()| {}, request).await
    }
}

/// Asks every Prometheus which alerts of a target there are. All must answer: the one that is
/// silent may be the one that knows.
pub(super) async fn present(
    prometheuses: &[Prometheus],
    wanted: &present::Wanted<'_>,
    places: &Semaphore,
    now: &impl Fn() -> Timestamp,
) -> Found<evidence::Present> {
    let asked = prometheuses.iter().map(|known| known.all_rules(places, now));
    let answers = client::all(asked).await;
    let at = answers.iter().map(|answer| answer.1).min().unwrap_or_else(now);
    if prometheuses.is_empty() {
        return (Err(Trouble("no Prometheus is configured".into())), at);
    }
    let mut rules = Vec::new();
    for answer in &answers {
        match &answer.0 {
            Ok(known) => rules.extend(known.iter().filter(|rule| rule.may_fire(wanted.matchers))),
            Err(trouble) => return (Err(trouble.clone()), at),
        }
    }
    let sight = Sight::Rules {
        evaluated_at: rules.iter().map(|rule| rule.last_evaluation).min(),
        unhealthy: rules.iter().find_map(|rule| {
            rule.trouble().map(|error| format!("rule {} is not healthy: {error}", rule.name))
        }),
    };
    let instances = rules.iter().flat_map(|rule| rule.alerts.iter().flatten());
    let alerts = instances.map(|instance| (&instance.labels, instance.state == "firing"));
    (Ok(wanted.of(alerts, sight)), at)
}

/// Asks every Prometheus for the rule behind an alert.
///
/// One that does not answer is left out where another knows the rule. Where none knows it, it is
/// trouble: the one that is silent may be the one that knows.
pub(super) async fn rule(
    prometheuses: &[Prometheus],
    wanted: Wanted<'_>,
    places: &Semaphore,
    now: &impl Fn() -> Timestamp,
) -> Found<Option<RuleReport>> {
    let asked = prometheuses.iter().map(|known| known.rules(wanted.alertname, places, now));
    let answers = client::all(asked).await;
    let at = answers.iter().map(|answer| answer.1).min().unwrap_or_else(now);
    let rules = answers.iter().filter_map(|answer| answer.0.as_ref().ok()).flatten();
    if let Some(report) = report(rules, wanted) {
        return (Ok(Some(report)), at);
    }
    let trouble = answers.iter().find_map(|answer| answer.0.as_ref().err().cloned());
    (trouble.map_or(Ok(None), Err), at)
}

/// Asks the first Prometheus whether an expression gives anything.
pub(super) async fn query(
    prometheuses: &[Prometheus],
    promql: &str,
    places: &Semaphore,
    now: &impl Fn() -> Timestamp,
) -> Found<usize> {
    let Some(Prometheus { client, .. }) = prometheuses.first() else {
        return (Err(Trouble("no Prometheus is configured".into())), now());
    };
    let _place = places.acquire().await;
    let at = now();
    (ask_query(client, promql).await, at)
}

/// Asks the first Prometheus how many there are.
pub(super) async fn inventory(
    prometheuses: &[Prometheus],
    promql: &Arc<str>,
    places: &Semaphore,
    now: &impl Fn() -> Timestamp,
) -> Found<u64> {
    let Some(prometheus) = prometheuses.first() else {
        return (Err(Trouble("no Prometheus is configured".into())), now());
    };
    prometheus.count(promql, places, now).await
}

async fn ask_rules(client: &Client, names: &BTreeSet<Arc<str>>) -> Result<Vec<Rule>, Trouble> {
    let mut query = vec![("type", "alert")];
    if names.len() <= NAMES_ASKED {
        // Older ones do not know this filter and send all; names are compared again below.
        query.extend(names.iter().map(|name| ("rule_name[]", &**name)));
    }
    let mut rules = get_rules(client, &query).await?;
    rules.retain(|rule| names.contains(&*rule.name));
    Ok(rules)
}

async fn ask_all_rules(client: &Client) -> Result<Vec<Rule>, Trouble> {
    get_rules(client, &[("type", "alert")]).await
}

async fn get_rules(client: &Client, query: &[(&str, &str)]) -> Result<Vec<Rule>, Trouble> {
    let reply = client.get("/api/v1/rules", query).await.map_err(|e| Trouble(e.line()))?;
    let data: RulesData = data(client, reply).await?;
    Ok(data.groups.into_iter().flat_map(|group| group.rules).collect())
}

async fn ask_query(client: &Client, promql: &str) -> Result<usize, Trouble> {
    Ok(ask_vector::<IgnoredAny>(client, promql).await?.len())
}

/// Counts by the one value of an expression. Nothing that is not certainly a count is taken for
/// one: neither an empty result nor the first of several.
async fn ask_inventory(client: &Client, promql: &str) -> Result<u64, Trouble> {
    match &ask_vector::<Value>(client, promql).await?[..] {
        // A sample is { "metric": …, "value": [time, "number"] }.
        [sample] => whole(sample["value"][1].as_str().unwrap_or("not a number")),
        [] => Err(Trouble("the inventory returns nothing".into())),
        more => Err(Trouble(format!(
            "the inventory returns {} values; count them into one",
            more.len()
        ))),
    }
}

/// Reads a sample's value as a count, rounded down.
fn whole(value: &str) -> Result<u64, Trouble> {
    let refused = || Trouble(format!("the inventory is {}, which is no count", one_line(value)));
    let number: f64 = value.parse().map_err(|_| refused())?;
    if !(0.0..=COUNTED_EXACTLY).contains(&number) {
        return Err(refused());
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is not negative and within what a float counts exactly"
    )]
    Ok(number.floor() as u64)
}

async fn ask_vector<T: for<'de> Deserialize<'de> + Send + 'static>(
    client: &Client,
    promql: &str,
) -> Result<Vec<T>, Trouble> {
    let form = [("query", promql), ("timeout", QUERY_TIMEOUT)];
    let reply = client.post_form("/api/v1/query", &form).await.map_err(|e| Trouble(e.line()))?;
    let data: QueryData<T> = data(client, reply).await?;
    match data.result_type.as_str() {
        "vector" => Ok(data.result),
        other => {
            let other = one_line(other);
            Err(Trouble(format!("the query returns a {other}; use a vector expression")))
        }
    }
}

/// Reads the envelope of an answer. Warnings are left out: they do not change what was found.
async fn data<T: for<'de> Deserialize<'de> + Send + 'static>(
    client: &Client,
    reply: Reply,
) -> Result<T, Trouble> {
    let server = client.server();
    if reply.status.is_success() {
        let answer: Success<T> = decode(reply.body, server).await?;
        return Ok(answer.data);
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
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    error_type: String,
    error: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct QueryData<T> {
    result_type: String,
    result: Vec<T>,
}

#[derive(Deserialize)]
struct RulesData {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    #[serde(default)]
    rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    name: String,
    #[serde(default)]
    labels: LabelSet,
    #[serde(default)]
    health: String,
    #[serde(default)]
    last_error: String,
    last_evaluation: Timestamp,
    #[serde(default)]
    keep_firing_for: f64,
    #[serde(default)]
    alerts: Option<Vec<Instance>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Instance {
    labels: LabelSet,
    state: String,
    #[serde(default)]
    keep_firing_since: Option<Timestamp>,
}

fn report<'a>(rules: impl Iterator<Item = &'a Rule>, wanted: Wanted<'_>) -> Option<RuleReport> {
    let mut merged: Option<RuleReport> = None;
    for rule in rules.filter(|rule| rule.may_have_sent(wanted)) {
        let found = rule.report(wanted);
        merged = Some(match merged {
            None => found,
            Some(one) => RuleReport {
                unhealthy: one.unhealthy.or(found.unhealthy),
                last_evaluation: one.last_evaluation.min(found.last_evaluation),
                firing: one.firing + found.firing,
                pending: one.pending + found.pending,
                kept_firing: one.kept_firing + found.kept_firing,
                keep_firing_for: one.keep_firing_for.max(found.keep_firing_for),
            },
        });
    }
    merged
}

impl Rule {
    /// Whether an alert of this rule may match: what its series add is not known before.
    fn may_fire(&self, matchers: &Matchers) -> bool {
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

    /// A label whose value is a template may have any value.
    fn may_have_sent(&self, wanted: Wanted<'_>) -> bool {
        let contradicts = |(name, value): (&str, &str)| {
            !value.contains("{{") && wanted.labels.get(name).is_some_and(|sent| sent != value)
        };
        *self.name == **wanted.alertname && !self.labels.iter().any(contradicts)
    }

    fn report(&self, wanted: Wanted<'_>) -> RuleReport {
        let keeping = std::time::Duration::try_from_secs_f64(self.keep_firing_for);
        let mut report = RuleReport {
            unhealthy: self.trouble(),
            last_evaluation: self.last_evaluation,
            firing: 0,
            pending: 0,
            kept_firing: 0,
            keep_firing_for: keeping.map_or(Span::ZERO, Span::from),
        };
        for instance in self.alerts.iter().flatten() {
            if !is_same_alert(&instance.labels, wanted.labels, wanted.target) {
                continue;
            }
            let kept = instance.keep_firing_since.is_some_and(|since| !since.is_go_zero());
            match instance.state.as_str() {
                "pending" => report.pending += 1,
                "firing" if kept => report.kept_firing += 1,
                "firing" => report.firing += 1,
                _ => {}
            }
        }
        report
    }

    fn trouble(&self) -> Option<String> {
        match (self.health.as_str(), self.last_error.as_str()) {
            ("ok", _) => None,
            (_, "") if self.last_evaluation.is_go_zero() => Some("it was never evaluated".into()),
            (health, "") => Some(format!("its health is {:?}", one_line(health))),
            (_, error) => Some(one_line(error)),
        }
    }
}
