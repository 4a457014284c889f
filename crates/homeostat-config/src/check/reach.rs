//! Policies that no alert can reach.
//!
//! Alerts go to the first policy that matches. Only what is certain is said: a policy with the
//! very matchers of an earlier one, or after one that takes every alert.

use std::collections::BTreeMap;

use homeostat_core::label::Op;
use homeostat_core::policy::Policy;

use crate::raw;
use crate::read::Problems;
use crate::report::Problem;

/// Warns of policies that cannot be reached, and of those that act on whatever comes.
pub(super) fn check(raw: &[raw::Policy], policies: &[Policy], problems: &mut Problems) {
    let mut takers: BTreeMap<Vec<(&str, Op, &str)>, &Policy> = BTreeMap::new();
    for (raw, policy) in raw.iter().zip(policies) {
        let Some(given) = raw.matchers.given() else { continue };
        let place = given.span.clone();
        let parts = policy.matchers.iter().map(|m| (m.name(), m.op(), m.value()));
        let mut matchers: Vec<_> = parts.collect();
        matchers.sort();
        matchers.dedup();
        // A list that has texts and no matchers was reported as wrong, or takes everything.
        if matchers.is_empty() && !given.value.is_empty() && given.value.iter().any(has_words) {
            continue;
        }
        let taker = takers.get(&Vec::new()).or_else(|| takers.get(&matchers));
        if let Some(taker) = taker {
            let message = format!("no alert reaches this policy: {} takes them all", taker.name);
            problems.report(
                Problem::warning(place, message)
                    .help("add `continue: true` to the earlier policy, or move this one up"),
            );
            continue;
        }
        if matchers.is_empty() && policy.mode.may_act() {
            problems.report(
                Problem::warning(place, "this policy acts on every alert that there is")
                    .help("name the alerts that its remedies can heal"),
            );
        }
        if !policy.continues {
            takers.insert(matchers, policy);
        }
    }
}

fn has_words(text: &super::Text) -> bool {
    text.value.chars().any(|c| !c.is_whitespace() && !matches!(c, '{' | '}' | ','))
}
