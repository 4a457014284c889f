//! What a Prometheus says about rules and their instances, whether an expression holds, and how many
//! it counts.
//!
//! ```text
//!  Rule     ─> rules of that name ─> the instances that are the alert ─> memory, inputs ─> Knows
//!  Instance ─> rules of that name ─> this rule, this instance ─> its inputs, where it is gone
//!  texts    ─> rules of that name, whether they fire or not ─> memory, inputs
//!  Present  ─> all rules that could fire what is asked for ─> their instances, as they are sent
//! ```
//!
//! Each Prometheus speaks for itself: nothing of two is put together but a listing.

mod answer;
mod inputs;
mod rules;
mod texts;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use homeostat_core::evidence::{
    self, Inputs, InstanceState, Knows, RuleId, RuleSays, Sight, Trouble,
};
use homeostat_core::label::LabelSet;
use homeostat_core::name::SourceName;
use homeostat_core::policy::{Target, TargetLabels};
use homeostat_core::time::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::flight::Flight;
use super::{Found, present};
use crate::client::{self, Client, one_line};
use answer::{QueryData, Rule, RulesData, data};
pub(super) use rules::Wanted;
pub use texts::RuleText;
use wire::Mapping;

/// Names by which the answer is narrowed. More would not fit into a URL; then all rules are sent.
const NAMES_ASKED: usize = 64;

/// How long a query may be evaluated, so that Prometheus gives up before we do and says so.
const QUERY_TIMEOUT: &str = "4s";

/// Up to here a float tells every whole number from the next.
const COUNTED_EXACTLY: f64 = 9_007_199_254_740_992.0;

/// A Prometheus that can be asked.
#[derive(Debug)]
pub struct PrometheusSource {
    /// Its name.
    pub name: SourceName,
    /// How it is asked.
    pub client: Client,
    /// The labels that it adds on the wire, where our configuration says so.
    pub external_labels: Option<LabelSet>,
}

/// One Prometheus.
#[derive(Debug)]
pub(super) struct Prometheus {
    pub(super) name: SourceName,
    client: Client,
    external_labels: Option<LabelSet>,
    wire: wire::Memory,
    mappings: Flight<(), Asked<Mapping>>,
    named: Flight<BTreeSet<Arc<str>>, Asked<Arc<Vec<Rule>>>>,
    all: Flight<(), Asked<Arc<Vec<Rule>>>>,
    recorded: Flight<(), Asked<Arc<Vec<Rule>>>>,
    inputs: Flight<Texts, Asked<Arc<Texts>>>,
    queries: Flight<BTreeSet<Arc<str>>, Answers<usize>>,
    inventories: Flight<BTreeSet<Arc<str>>, Answers<u64>>,
}

/// Selectors, expressions or names.
type Texts = BTreeSet<Arc<str>>;

/// What was answered, and when it was asked.
type Asked<T> = (Result<T, Trouble>, Timestamp);

/// What each expression of a round was answered.
type Answers<T> = Arc<BTreeMap<Arc<str>, Found<T>>>;

impl Prometheus {
    pub(super) fn new(source: PrometheusSource) -> Self {
        let PrometheusSource { name, client, external_labels } = source;
        Self {
            name,
            client,
            external_labels,
            wire: wire::Memory::default(),
            mappings: Flight::default(),
            named: Flight::default(),
            all: Flight::default(),
            recorded: Flight::default(),
            inputs: Flight::default(),
            queries: Flight::default(),
            inventories: Flight::default(),
        }
    }

    /// Asks who fires an alert.
    pub(super) async fn knows(
        &self,
        wanted: Wanted<'_>,
        places: &Semaphore,
        now: &impl Fn() -> Timestamp,
    ) -> Found<Knows> {
        let at = now();
        (self.find(wanted, places, now).await, at)
    }

    async fn find(
        &self,
        wanted: Wanted<'_>,
        places: &Semaphore,
        now: &impl Fn() -> Timestamp,
    ) -> Result<Knows, Trouble> {
        let rules = self.rules(wanted.alertname, places, now).await.0?;
        if !rules.iter().any(|rule| *rule.name == **wanted.alertname) {
            return Ok(Knows::NoRule);
        }
        let mapping = self.mapping(places, now).await.0?;
        let found = match rules::find(&rules, wanted, &mapping) {
            Ok(found) => found,
            Err(why) => return Ok(Knows::NotShown { why }),
        };
        let mut shown = Vec::new();
        for (rule, instance) in found {
            let recorded = self.recorded(rule, places, now).await?;
            let read = inputs::read(rule, &instance.labels, &recorded);
            let inputs = match read.selectors {
                Ok(selectors) => {
                    let there = self.have_data(&selectors, places, now).await.0?;
                    rules::inputs(&selectors, &there)
                }
                Err(why) => Inputs::Unknown { why },
            };
            let says = rules::says(rule, &instance.labels, wanted.target, Some(read.memory));
            shown.push(RuleSays { inputs, ..says });
        }
        Ok(match (&mapping, shown.pop()) {
            (Mapping::Untold, Some(only)) => Knows::Resembles(Box::new(only)),
            (_, last) => Knows::Shows(shown.into_iter().chain(last).collect()),
        })
    }

    /// Asks what a rule says of an instance that it was seen to fire.
    pub(super) async fn says(
        &self,
        rule: &RuleId,
        instance: &LabelSet,
        target: &TargetLabels,
        inputs: &[Arc<str>],
        places: &Semaphore,
        now: &impl Fn() -> Timestamp,
    ) -> Found<Option<Box<RuleSays>>> {
        let (rules, at) = self.rules(&rule.name, places, now).await;
        let rules = match rules {
            Ok(rules) => rules,
            Err(trouble) => return (Err(trouble), at),
        };
        let own = rules.iter().filter(|known| known.id() == *rule);
        let says = own.map(|known| rules::says(known, instance, target, None));
        // A group may have the same rule twice: the one that shows it counts.
        let Some(mut says) = says.min_by_key(|says| says.state == InstanceState::Absent) else {
            return (Ok(None), at);
        };
        if says.state == InstanceState::Absent && !inputs.is_empty() {
            says.inputs = match self.have_data(inputs, places, now).await.0 {
                Ok(there) => rules::inputs(inputs, &there),
                Err(Trouble(why)) => Inputs::Unknown { why },
            };
        }
        (Ok(Some(Box::new(says))), at)
    }

    async fn rules(
        &self,
        alertname: &Arc<str>,
        places: &Semaphore,
        now: &impl Fn() -> Timestamp,
    ) -> Asked<Arc<Vec<Rule>>> {
        let want = |names: &mut BTreeSet<Arc<str>>| {
            names.insert(alertname.clone());
        };
        let request = |names: BTreeSet<Arc<str>>| async move {
            let _place = places.acquire().await;
            let at = now();
            (self.ask_named(&names).await.map(Arc::new), at)
        };
        self.named.join(want, request).await
    }

    async fn ask_named(&self, names: &BTreeSet<Arc<str>>) -> Result<Vec<Rule>, Trouble> {
        let mut query = vec![("type", "alert")];
        if names.len() <= NAMES_ASKED {
            // Older ones do not know this filter and send all; names are compared again below.
            query.extend(names.iter().map(|name| ("rule_name[]", &**name)));
        }
        let mut rules = self.get_rules(&query).await?;
        rules.retain(|rule| names.contains(&*rule.name));
        Ok(rules)
    }

    async fn get_rules(&self, query: &[(&str, &str)]) -> Result<Vec<Rule>, Trouble> {
        let reply = self.client.get("/api/v1/rules", query).await;
        let reply = reply.map_err(|error| Trouble(error.line()))?;
        let answer: RulesData = data(&self.client, reply).await?;
        Ok(answer.rules())
    }

    async fn all_rules(
        &self,
        places: &Semaphore,
        now: &impl Fn() -> Timestamp,
    ) -> Asked<Arc<Vec<Rule>>> {
        let request = |()| async {
            let _place = places.acquire().await;
            let at = now();
            (self.get_rules(&[("type", "alert")]).await.map(Arc::new), at)
        };
        self.all.join(|()| {}, request).await
    }

    /// The recording rules, where an expression may read some.
    async fn recorded(
        &self,
        rule: &Rule,
        places: &Semaphore,
        now: &impl Fn() -> Timestamp,
    ) -> Result<Arc<Vec<Rule>>, Trouble> {
        if rule.query.is_none() {
            return Ok(Arc::default());
        }
        let request = |()| async {
            let _place = places.acquire().await;
            let at = now();
            (self.get_rules(&[("type", "record")]).await.map(Arc::new), at)
        };
        self.recorded.join(|()| {}, request).await.0
    }

    async fn mapping(&self, places: &Semaphore, now: &impl Fn() -> Timestamp) -> Asked<Mapping> {
        let request = |()| async {
            let _place = places.acquire().await;
            let at = now();
            (self.wire.mapping(&self.client, self.external_labels.as_ref()).await, at)
        };
        self.mappings.join(|()| {}, request).await
    }

    /// Asks which of these selectors have data.
    async fn have_data(
        &self,
        selectors: &[Arc<str>],
        places: &Semaphore,
        now: &impl Fn() -> Timestamp,
    ) -> Asked<Arc<BTreeSet<Arc<str>>>> {
        if selectors.is_empty() {
            return (Ok(Arc::default()), now());
        }
        let want = |wanted: &mut BTreeSet<Arc<str>>| wanted.extend(selectors.iter().cloned());
        let request = |wanted: BTreeSet<Arc<str>>| async move {
            let _place = places.acquire().await;
            let at = now();
            (inputs::ask(&self.client, &wanted).await.map(Arc::new), at)
        };
        self.inputs.join(want, request).await
    }

    /// Asks whether an expression gives anything.
    pub(super) async fn query(
        &self,
        promql: &Arc<str>,
        places: &Semaphore,
        now: &impl Fn() -> Timestamp,
    ) -> Found<usize> {
        let ask = |promql: Arc<str>| async move {
            Ok(ask_vector::<IgnoredAny>(&self.client, &promql).await?.len())
        };
        shared(&self.queries, promql, ask, places, now).await
    }

    /// Counts by an expression.
    pub(super) async fn inventory(
        &self,
        promql: &Arc<str>,
        places: &Semaphore,
        now: &impl Fn() -> Timestamp,
    ) -> Found<u64> {
        let ask = |promql: Arc<str>| async move { ask_inventory(&self.client, &promql).await };
        shared(&self.inventories, promql, ask, places, now).await
    }

    /// Reads what an expression returns: a line for each series.
    pub(super) async fn show(&self, promql: &str, places: &Semaphore) -> Result<String, Trouble> {
        let _place = places.acquire().await;
        let samples = ask_vector::<Shown>(&self.client, promql).await?;
        let lines = samples.into_iter().map(|sample| sample.to_string());
        Ok(lines.collect::<Vec<_>>().join("\n"))
    }
}

/// A sample, for a person.
#[derive(Deserialize)]
struct Shown {
    metric: BTreeMap<String, String>,
    value: (Value, String),
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.metric.get("__name__").map_or("", String::as_str);
        let labels = self.metric.iter().filter(|(label, _)| *label != "__name__");
        let labels = LabelSet::from_pairs(labels.map(|(label, value)| (&**label, &**value)));
        write!(f, "{name}{labels} {}", self.value.1)
    }
}

/// Asks an expression. Whoever asks the same at the same time shares one request: all incidents of a
/// policy do when very many alerts fire at once.
async fn shared<T: Clone, F: Future<Output = Result<T, Trouble>>>(
    flight: &Flight<BTreeSet<Arc<str>>, Answers<T>>,
    promql: &Arc<str>,
    ask: impl Fn(Arc<str>) -> F,
    places: &Semaphore,
    now: &impl Fn() -> Timestamp,
) -> Found<T> {
    let want = |wanted: &mut BTreeSet<Arc<str>>| {
        wanted.insert(promql.clone());
    };
    let ask = &ask;
    let request = |wanted: BTreeSet<Arc<str>>| async move {
        let answers = wanted.into_iter().map(|promql| async move {
            let _place = places.acquire().await;
            let at = now();
            let answer = ask(promql.clone()).await;
            (promql, (answer, at))
        });
        Arc::new(client::all(answers).await.into_iter().collect())
    };
    let answers: Answers<T> = flight.join(want, request).await;
    let unasked = || (Err(Trouble("it was not asked".into())), now());
    answers.get(promql).cloned().unwrap_or_else(unasked)
}

/// Asks Prometheuses which alerts of a target there are. All must answer: the one that is silent may be
/// the one that knows.
pub(super) async fn present(
    prometheuses: &[&Prometheus],
    wanted: &present::Wanted<'_>,
    places: &Semaphore,
    now: &impl Fn() -> Timestamp,
) -> Found<evidence::Present> {
    let at = now();
    if prometheuses.is_empty() {
        return (Err(Trouble("no Prometheus is configured".into())), at);
    }
    let asked = prometheuses.iter().map(|known| async {
        let rules = known.all_rules(places, now).await.0?;
        let mapping = known.mapping(places, now).await.0?;
        Ok::<_, Trouble>((rules, mapping))
    });
    let answers: Result<Vec<_>, Trouble> = client::all(asked).await.into_iter().collect();
    let answers = match answers {
        Ok(answers) => answers,
        Err(trouble) => return (Err(trouble), at),
    };
    let mut alerts: Vec<(LabelSet, bool)> = Vec::new();
    let (mut evaluated_at, mut unhealthy) = (None::<Timestamp>, None);
    for (rules, mapping) in &answers {
        for rule in rules.iter().filter(|rule| rule.may_fire(wanted.matchers)) {
            let last = rule.last_evaluation;
            evaluated_at = Some(evaluated_at.map_or(last, |at| at.min(last)));
            let error = rule.trouble();
            let error = error.map(|error| format!("rule {} is not healthy: {error}", rule.name));
            unhealthy = unhealthy.or(error);
            for instance in rule.instances() {
                let fires = instance.state() != InstanceState::Pending;
                match sent(mapping, &instance.labels, wanted.target) {
                    Ok(all) => alerts.extend(all.into_iter().map(|labels| (labels, fires))),
                    Err(why) => unhealthy = unhealthy.or(Some(why)),
                }
            }
        }
    }
    let listed = alerts.iter().map(|(labels, fires)| (labels, *fires));
    (Ok(wanted.of(listed, Sight::Rules { evaluated_at, unhealthy })), at)
}

/// What is sent of an instance. Where that is not known, an instance that lacks a label of the target
/// may be of it, or not.
fn sent(mapping: &Mapping, instance: &LabelSet, target: &Target) -> Result<Vec<LabelSet>, String> {
    match mapping {
        Mapping::Known(wire) => Ok(wire.send_all(instance)),
        Mapping::Untold if target.iter().all(|(name, _)| instance.get(name).is_some()) => {
            Ok(vec![instance.clone()])
        }
        Mapping::Untold => {
            let why = "which labels its Prometheus adds on the wire is not known: say so by \
                       `external_labels`";
            Err(why.to_owned())
        }
        Mapping::Inapplicable(why) => Err(why.clone()),
    }
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
    let reply = client.form_or_query("/api/v1/query", &form).await;
    let reply = reply.map_err(|error| Trouble(error.line()))?;
    let data: QueryData<T> = data(client, reply).await?;
    match data.result_type.as_str() {
        "vector" => Ok(data.result),
        other => {
            let other = one_line(other);
            Err(Trouble(format!("the query returns a {other}; use a vector expression")))
        }
    }
}
