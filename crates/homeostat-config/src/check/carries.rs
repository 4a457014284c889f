//! What a policy puts on its notices: labels by which people are reached, and annotations that they
//! read. What `escalate` says counts more than what the policy says of itself.

use std::sync::Arc;

use homeostat_core::label::is_classic_name;
use homeostat_core::notice::{HEALING_LABEL, OWN_ANNOTATIONS, OWN_LABELS, RUNBOOK};
use homeostat_core::policy::{About, Carries};

use crate::read::{Field, Problems, Text};
use crate::report::Problem;
use crate::{limits, raw};

/// A name and a text.
type Pair = (Arc<str>, Arc<str>);

/// One of the two maps.
struct Kind<'a> {
    /// What one of its entries is called.
    one: &'static str,
    /// The names that every notice has by itself.
    own: &'a [&'a str],
    /// The names by which a notice tells its target.
    target: Vec<&'a str>,
}

/// The label that says whose a policy is.
const TEAM: &str = "team";

/// The annotation that says what a policy is for; `description` says why a person is needed.
const DESCRIPTION: &str = "policy_description";

fn target(raw: &raw::Policy) -> Vec<&str> {
    let target = raw.target.given().map_or(&[][..], |list| &list.value);
    target.iter().map(|text| &*text.value).collect()
}

/// Checks the labels that a policy has for all its notices.
pub(super) fn own_labels(raw: &raw::Policy, problems: &mut Problems) -> Vec<Pair> {
    if let Some((name, _)) =
        raw.labels.given().and_then(|labels| labels.iter().find(|(name, _)| name.value == TEAM))
    {
        let problem =
            Problem::error(name.span.clone(), "the team of a policy has a key of its own");
        problems.report(problem.help("write team: NAME"));
    }
    pairs(&raw.labels, &Kind { one: "label", own: &OWN_LABELS, target: target(raw) }, problems)
}

/// Checks both maps of `escalate`, and puts them over what the policy says of itself. A label of the
/// target is the target's.
pub(super) fn carries(raw: &raw::Policy, about: &About, problems: &mut Problems) -> Carries {
    let team = about.team.iter().map(|team| (TEAM.into(), team.as_str().into()));
    let team = team.filter(|_| !target(raw).contains(&TEAM));
    let said = |name: &str, text: &Option<Arc<str>>| text.clone().map(|text| (name.into(), text));
    let texts = [(DESCRIPTION, &about.description), (RUNBOOK, &about.runbook_url)];
    let labels = team.chain(about.labels.iter().cloned()).collect();
    let annotations = texts.into_iter().filter_map(|(name, text)| said(name, text)).collect();
    let Some(raw::Escalate::Person { labels: more, annotations: words, .. }) = raw.escalate.given()
    else {
        return Carries { labels, annotations };
    };
    let of_labels = Kind { one: "label", own: &OWN_LABELS, target: target(raw) };
    let of_annotations = Kind { one: "annotation", own: &OWN_ANNOTATIONS, target: Vec::new() };
    Carries {
        labels: over(labels, pairs(more, &of_labels, problems)),
        annotations: over(annotations, pairs(words, &of_annotations, problems)),
    }
}

fn over(mut below: Vec<Pair>, above: Vec<Pair>) -> Vec<Pair> {
    below.retain(|(name, _)| above.iter().all(|(other, _)| other != name));
    below.extend(above);
    below
}

fn pairs(field: &Field<Vec<(Text, Text)>>, kind: &Kind<'_>, problems: &mut Problems) -> Vec<Pair> {
    let pairs = field.given().map_or(&[][..], Vec::as_slice);
    if let Some((name, _)) = pairs.get(limits::CARRIED) {
        let message = format!("more than {} {}s", limits::CARRIED, kind.one);
        problems.report(Problem::error(name.span.clone(), message));
    }
    for (name, value) in pairs {
        if let Some(problem) = wrong_name(name, kind).or_else(|| wrong_value(value)) {
            problems.report(problem);
        }
    }
    pairs.iter().map(|(name, value)| (Arc::from(&*name.value), Arc::from(&*value.value))).collect()
}

fn wrong_name(text: &Text, kind: &Kind<'_>) -> Option<Problem> {
    let (name, one) = (&*text.value, kind.one);
    let (message, help) = if !is_classic_name(name) || name.contains(':') {
        let message = format!("{name:?} is not the name of {}", with_article(one));
        (message, "write letters, digits and `_`, and no digit first".to_owned())
    } else if name == "severity" && kind.own.contains(&name) {
        let message = "the severity of notices has a key of its own".to_owned();
        (message, "write escalate: { severity: … }".to_owned())
    } else if kind.own.contains(&name) {
        (format!("notices have the {one} {name} of their own"), "choose another name".to_owned())
    } else if kind.target.contains(&name) {
        let message = format!("{name} is a label of this policy's target");
        (message, "leave it out: notices say which target they are about".to_owned())
    } else if one == "label" && name == HEALING_LABEL {
        let message = "a notice with this label would be routed to Homeostat, and to no person";
        (message.to_owned(), "leave it out".to_owned())
    } else {
        return None;
    };
    Some(Problem::error(text.span.clone(), message).help(help))
}

/// What is wrong with a text that goes to people as it is.
pub(super) fn wrong_value(text: &Text) -> Option<Problem> {
    let problem = |message: &str| Problem::error(text.span.clone(), message.to_owned());
    if text.value.contains("{{") {
        return Some(problem("placeholders are not filled in here").help(
            "write the text itself: labels that all alerts of an incident have are carried anyway",
        ));
    }
    let too_long = text.value.len() > limits::CARRIED_BYTES;
    too_long.then(|| problem(&format!("longer than {} bytes", limits::CARRIED_BYTES)))
}

fn with_article(one: &str) -> String {
    let vowel = one.starts_with('a');
    format!("{} {one}", if vowel { "an" } else { "a" })
}
