//! Which instance of which rule is an alert, and what the rule says of it.
//!
//! | what is known of the wire | an instance is the alert if |
//! |---|---|
//! | external labels and relabelling | what is sent of it is the alert, label by label |
//! | nothing | its labels are among the alert's, and no other instance's are: it may be the alert |
//! | something that cannot be applied | nobody can tell |

use std::collections::BTreeSet;
use std::sync::Arc;

use homeostat_core::evidence::{
    Beside, Input, Inputs, InstanceState, Memory, NotShown, RuleSays, share_target,
};
use homeostat_core::label::{Fingerprint, LabelSet};
use homeostat_core::limits;
use homeostat_core::policy::TargetLabels;

use super::answer::{Instance, Rule};
use super::wire::Mapping;

/// The alert that is looked for.
#[derive(Clone, Copy)]
pub(in super::super) struct Wanted<'a> {
    pub(in super::super) alertname: &'a Arc<str>,
    pub(in super::super) labels: &'a LabelSet,
    pub(in super::super) target: &'a TargetLabels,
}

/// Finds the instances that are an alert, each with its rule.
pub(super) fn find<'a>(
    rules: &'a [Rule],
    wanted: Wanted<'_>,
    mapping: &Mapping,
) -> Result<Vec<(&'a Rule, &'a Instance)>, NotShown> {
    let all = rules.iter().flat_map(|rule| rule.instances().map(move |shown| (rule, shown)));
    match mapping {
        Mapping::Known(wire) => {
            let is_sent = |shown: &Instance| {
                wire.send_all(&shown.labels).iter().any(|sent| sent == wanted.labels)
            };
            let found: Vec<_> = all.filter(|(_, shown)| is_sent(shown)).collect();
            if found.is_empty() { Err(NotShown::Nothing) } else { Ok(found) }
        }
        Mapping::Untold => {
            let found: Vec<_> =
                all.filter(|(_, shown)| shown.labels.is_within(wanted.labels)).collect();
            match found.len() {
                0 => Err(NotShown::Nothing),
                1 => Ok(found),
                instances => Err(NotShown::Ambiguous { instances }),
            }
        }
        Mapping::Inapplicable(why) => Err(NotShown::Unmapped { why: why.clone() }),
    }
}

/// Tells what a rule says of one of its instances, which need not be there any more. What it reads is
/// looked for by whoever asks.
pub(super) fn says(
    rule: &Rule,
    instance: &LabelSet,
    target: &TargetLabels,
    memory: Option<Memory>,
) -> RuleSays {
    let shown = rule.instances().find(|shown| shown.labels == *instance);
    RuleSays {
        rule: rule.id(),
        instance: instance.clone(),
        state: shown.map_or(InstanceState::Absent, Instance::state),
        unhealthy: rule.trouble(),
        evaluated_at: rule.last_evaluation,
        interval: rule.interval,
        memory,
        inputs: Inputs::Known(Vec::new()),
        beside: beside(rule, instance, target),
    }
}

/// Its other instances under the same target.
fn beside(rule: &Rule, instance: &LabelSet, target: &TargetLabels) -> Beside {
    let others = rule.instances().map(|shown| &shown.labels);
    let others = others.filter(|other| *other != instance && share_target(other, instance, target));
    let mut instances: BTreeSet<Fingerprint> = others.map(LabelSet::fingerprint).collect();
    let more = instances.len().saturating_sub(limits::BESIDE);
    while instances.len() > limits::BESIDE {
        instances.pop_last();
    }
    Beside { instances, more }
}

/// Puts together what was found of series that a rule reads.
pub(super) fn inputs(asked: &[Arc<str>], there: &BTreeSet<Arc<str>>) -> Inputs {
    let input = |selector: &Arc<str>| Input {
        selector: selector.clone(),
        has_data: there.contains(selector),
    };
    Inputs::Known(asked.iter().map(input).collect())
}
