//! Whose a policy is, and what people should know of it.

use std::sync::Arc;

use homeostat_core::name::TeamName;
use homeostat_core::policy::About;
use url::Url;

use super::{carries, is_name, name_help};
use crate::raw;
use crate::read::{Field, Problems, Text};
use crate::report::Problem;

/// Checks what a policy says of itself.
pub(super) fn check(raw: &raw::Policy, problems: &mut Problems) -> About {
    let team = raw.team.given().map(|text| team(text, problems));
    if let Some(text) = raw.runbook_url.given() {
        check_runbook(text, problems);
    }
    let mut text = |field: &Field<Text>| {
        let text = field.given()?;
        carries::wrong_value(text).into_iter().for_each(|problem| problems.report(problem));
        Some(Arc::from(&*text.value))
    };
    let (description, runbook_url) = (text(&raw.description), text(&raw.runbook_url));
    About { team, labels: carries::own_labels(raw, problems), description, runbook_url }
}

/// Checks the name of a team.
pub(super) fn team(text: &Text, problems: &mut Problems) -> TeamName {
    if !is_name(&text.value) {
        let message = format!("{:?} cannot be the name of a team", super::cut(&text.value));
        problems.report(Problem::error(text.span.clone(), message).help(name_help()));
    }
    TeamName::new(&text.value)
}

fn check_runbook(text: &Text, problems: &mut Problems) {
    let scheme = Url::parse(&text.value).map(|url| url.scheme().to_owned());
    if !scheme.is_ok_and(|scheme| matches!(&*scheme, "http" | "https")) {
        let problem = Problem::error(text.span.clone(), "this is no address of a page");
        problems.report(problem.help("write a whole URL: https://wiki.example/runbook"));
    }
}
