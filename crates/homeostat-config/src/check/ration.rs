//! The limits of all policies together, and those of teams.

use std::collections::BTreeMap;

use homeostat_core::name::TeamName;
use homeostat_core::policy::{BookLimits, Policy, TeamLimits};

use super::{about, at_least_one, guard};
use crate::raw;
use crate::read::{Problems, Text};
use crate::report::Problem;

/// Checks the limits of the book.
pub(super) fn of_book(raw: &raw::Limits, problems: &mut Problems) -> BookLimits {
    let default = BookLimits::default();
    BookLimits {
        concurrency: at_least_one(&raw.concurrency, default.concurrency, problems),
        rate: guard::rate(&raw.rate, default.rate, problems),
    }
}

/// Checks the limits of teams. Where a team has none of one kind, that of the book holds it.
pub(super) fn limits(
    raw: &raw::Limits,
    policies: &[Policy],
    problems: &mut Problems,
) -> BTreeMap<TeamName, TeamLimits> {
    let teams = raw.teams.given().map_or(&[][..], Vec::as_slice);
    teams.iter().map(|(name, raw)| of_team(name, raw, policies, problems)).collect()
}

fn of_team(
    name: &Text,
    raw: &raw::TeamLimits,
    policies: &[Policy],
    problems: &mut Problems,
) -> (TeamName, TeamLimits) {
    about::known_team(name, policies, problems);
    if raw.concurrency.is_absent() && raw.rate.is_absent() {
        let problem = Problem::error(name.span.clone(), "this team is limited by nothing");
        problems.report(
            problem.help("write { concurrency: 4 }, { rate: { max: 10, per: 1h } } or both"),
        );
    }
    let default = BookLimits::default();
    let concurrency = raw.concurrency.given().map(|_| at_least_one(&raw.concurrency, 1, problems));
    let rate = raw.rate.given().map(|_| guard::rate(&raw.rate, default.rate, problems));
    (TeamName::new(&name.value), TeamLimits { concurrency, rate })
}
