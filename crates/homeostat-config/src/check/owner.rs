//! Whose it is what a policy's alerts are about, and what cannot stand beside that.

use homeostat_core::errand::ErrandTemplate;
use homeostat_core::label::Matchers;
use homeostat_core::owner::LABELS;

use super::kubernetes;
use crate::raw;
use crate::read::{Problems, Text};
use crate::report::Problem;

/// How an owner is asked for, where the policy wants it.
pub(super) fn check(raw: &raw::Policy, problems: &mut Problems) -> Option<ErrandTemplate> {
    let owner_of = raw.owner_of.given()?;
    refuse_matchers(raw, problems);
    let names = raw.target.given().map_or(&[][..], |list| &list.value);
    let (theirs, own): (Vec<&Text>, Vec<&Text>) =
        names.iter().partition(|name| LABELS.contains(&name.value.as_str()));
    if theirs.is_empty() {
        let message = "no label of the owner is in `target`: each pod is a trouble of its own";
        let place = raw.target.given().map_or(&owner_of.span, |list| &list.span);
        let problem = Problem::warning(place.clone(), message);
        problems.report(problem.help("write target: [namespace, owner_kind, owner_name]"));
    } else {
        warn_of_neighbours(raw, &own, problems);
    }
    kubernetes::owner_of(owner_of, problems)
}

/// A policy takes an alert by the labels that it comes with, and the owner's never go before those.
fn refuse_matchers(raw: &raw::Policy, problems: &mut Problems) {
    let texts = raw.matchers.given().map_or(&[][..], |list| &list.value);
    for text in texts {
        let Ok(parsed) = Matchers::parse(&text.value) else { continue };
        let named = parsed.matchers.iter().find(|matcher| LABELS.contains(&matcher.name()));
        if let Some(matcher) = named {
            let name = matcher.name();
            let message = format!("whose it is is asked after this: {name} is the owner's label");
            let problem = Problem::error(text.span.clone(), message);
            problems.report(problem.help(format!(
                "where alerts have a label {name} of their own, name it otherwise before they are sent"
            )));
        }
    }
}

/// What became worse is found by the labels that alerts have: those of another owner may be among them.
fn warn_of_neighbours(raw: &raw::Policy, own: &[&Text], problems: &mut Problems) {
    let Some(regression) = raw.regression.given() else { return };
    let own: Vec<&str> = own.iter().map(|text| text.value.as_str()).collect();
    let found = if own.is_empty() { "nothing".to_owned() } else { own.join(", ") };
    let message =
        format!("alerts do not say whose they are: of this target are all with the same {found}");
    let problem = Problem::warning(regression.span.clone(), message);
    problems.report(problem.help("narrow `matchers` to what a remedy here could make worse"));
}
