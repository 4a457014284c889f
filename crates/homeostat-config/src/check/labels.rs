//! Labels as they are written in the configuration: those that a Prometheus adds to its alerts, and
//! those that an alert must have.

use homeostat_core::alert::OWN_LABEL;
use homeostat_core::label::LabelSet;

use crate::raw::source::Labels;
use crate::read::{Problems, Text};
use crate::report::Problem;

/// Checks labels; `None` where none are given.
pub(super) fn check(field: &Labels, problems: &mut Problems) -> Option<LabelSet> {
    let pairs = field.given()?;
    for (name, value) in pairs {
        if let Some(problem) = wrong_name(name).or_else(|| wrong_value(value.as_ref()?)) {
            problems.report(problem);
        }
    }
    let known =
        pairs.iter().filter_map(|(name, value)| Some((&*name.value, &*value.as_ref()?.value)));
    Some(LabelSet::from_pairs(known))
}

/// A name may hold whatever a matcher need not quote, which is what Prometheus and Alertmanager take.
fn wrong_name(text: &Text) -> Option<Problem> {
    let name = text.value.as_str();
    let error = |message: String| Problem::error(text.span.clone(), message);
    if name.starts_with("__") {
        let message = format!("{name:?} is reserved: no alert carries it");
        return Some(error(message).help("labels that begin with `__` end with the relabelling"));
    }
    if name == OWN_LABEL {
        let message =
            format!("{name:?} is reserved: it marks the alerts that Homeostat fires itself");
        return Some(error(message).help("choose another label"));
    }
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || "{}!=~,\\\"'`".contains(c);
    if name.is_empty() || name.contains(is_odd) {
        let message = format!("{name:?} is not the name of a label");
        return Some(error(message).help("write names and values as a map: { cluster: eu }"));
    }
    None
}

fn wrong_value(text: &Text) -> Option<Problem> {
    let error = |message: &str| Problem::error(text.span.clone(), message);
    if text.value.is_empty() {
        return Some(error("a label without a value is no label").help("leave it out"));
    }
    if text.value.contains("${") {
        return Some(error("no variables are put in here").help("write the value that it has"));
    }
    None
}
