//! What a rule reads about one of its instances, how long it remembers it, and whether it is there.

use std::collections::BTreeSet;
use std::sync::Arc;

use homeostat_core::evidence::{Memory, Trouble};
use homeostat_core::label::LabelSet;
use homeostat_core::limits;
use serde_json::Value;

use super::answer::Rule;
use super::ask_vector;
use crate::client::Client;
use crate::promql::{self, RecordingRule, Role};

/// Selectors that one query looks for. Each is a few dozen bytes, and is counted where it stands.
const SELECTORS_ASKED: usize = 32;

/// The label by which the counts of one query are told apart.
const NUMBER: &str = "homeostat_input";

/// What is known of what a rule reads.
pub(super) struct Read {
    pub(super) memory: Memory,
    pub(super) selectors: Result<Vec<Arc<str>>, String>,
}

/// Reads the expression of a rule, and those of the recording rules that it reads.
pub(super) fn read(rule: &Rule, instance: &LabelSet, recorded: &[Rule]) -> Read {
    let unknown =
        |why: String| Read { memory: Memory::Unknown { why: why.clone() }, selectors: Err(why) };
    let Some(expression) = &rule.query else {
        return unknown("its Prometheus does not tell the rule's expression".to_owned());
    };
    let lookup = |name: &str| {
        let named = recorded.iter().filter(|known| known.name == name);
        named.filter_map(recording).collect()
    };
    let reading = promql::read(expression, &lookup);
    let memory = promql::of_alert(reading.memory, rule.interval, rule.keep_firing_for);
    let feeding = reading.selectors.iter().filter(|selector| selector.role() == Role::Feeds);
    let narrowed: BTreeSet<Arc<str>> =
        feeding.map(|selector| promql::narrow(selector, instance, &rule.labels).into()).collect();
    let selectors = match reading.incomplete {
        Some(why) => Err(why),
        None if narrowed.len() > limits::INPUTS => {
            Err(format!("it reads {} series, too many to look for", narrowed.len()))
        }
        None => Ok(narrowed.into_iter().collect()),
    };
    Read { memory, selectors }
}

fn recording(rule: &Rule) -> Option<RecordingRule> {
    let expression = rule.query.clone()?;
    Some(RecordingRule { expression, interval: rule.interval, labels: rule.labels.clone() })
}

/// Asks which of these selectors have data.
pub(super) async fn ask(
    client: &Client,
    selectors: &BTreeSet<Arc<str>>,
) -> Result<BTreeSet<Arc<str>>, Trouble> {
    let all: Vec<&Arc<str>> = selectors.iter().collect();
    let mut there = BTreeSet::new();
    for some in all.chunks(SELECTORS_ASKED) {
        let count = |(number, selector): (usize, &&Arc<str>)| {
            format!("label_replace(count({selector}), \"{NUMBER}\", \"{number}\", \"\", \"\")")
        };
        let counts: Vec<String> = some.iter().enumerate().map(count).collect();
        for sample in ask_vector::<Value>(client, &counts.join(" or ")).await? {
            let number = sample["metric"][NUMBER].as_str().and_then(|text| text.parse().ok());
            let known = number.and_then(|number: usize| some.get(number));
            there.extend(known.map(|selector| (*selector).clone()));
        }
    }
    Ok(there)
}
