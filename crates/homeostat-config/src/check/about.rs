//! Whose a policy is, and what people should know of it.

use std::sync::Arc;

use homeostat_core::name::TeamName;
use homeostat_core::policy::{About, Policy};
use url::Url;

use super::{carries, is_name, name_help};
use crate::nearest::nearest;
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
        if let Some(problem) = carries::wrong_value(text) {
            problems.report(problem);
        }
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

/// Reports a team that no policy is of. Where there are no policies at all, they could not be read.
pub(super) fn known_team(text: &Text, policies: &[Policy], problems: &mut Problems) {
    let teams = || policies.iter().filter_map(|policy| Some(policy.about.team.as_ref()?.as_str()));
    if policies.is_empty() || teams().any(|team| team == text.value) {
        return;
    }
    let problem = Problem::error(
        text.span.clone(),
        format!("no policy is of a team {:?}", super::cut(&text.value)),
    );
    problems.report(match nearest(&text.value, teams()) {
        Some(meant) => problem.help(format!("did you mean {meant:?}?")),
        None => problem.help("a policy says whose it is: team: NAME"),
    });
}

fn check_runbook(text: &Text, problems: &mut Problems) {
    let scheme = Url::parse(&text.value).map(|url| url.scheme().to_owned());
    if !scheme.is_ok_and(|scheme| matches!(&*scheme, "http" | "https")) {
        let problem = Problem::error(text.span.clone(), "this is no address of a page");
        problems.report(problem.help("write a whole URL: https://wiki.example/runbook"));
    }
}
