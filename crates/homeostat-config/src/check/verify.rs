//! How a healing is proven, and by whom.

use std::collections::BTreeSet;

use homeostat_core::limits::defaults;
use homeostat_core::name::SourceName;
use homeostat_core::policy::Verify;
use homeostat_core::time::Span;

use super::{Surroundings, at_least_one, query, some_time};
use crate::nearest::nearest;
use crate::raw;
use crate::read::{Field, Problems};
use crate::report::Problem;

const ADD_HELP: &str =
    "add sources: { prometheuses: [{ name: main, url: \"http://127.0.0.1:9090\" }] }";

/// Checks `sources` of a policy.
pub(super) fn sources(
    field: &raw::Words,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<Vec<SourceName>> {
    let list = field.given()?;
    if list.value.is_empty() {
        let problem = Problem::error(list.span.clone(), "`sources` names nobody");
        problems.report(problem.help(
            "name the Prometheuses that may be witnesses of this policy's alerts, or leave it out \
             to mean all of them",
        ));
    }
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for text in &list.value {
        if !seen.insert(&text.value) {
            let problem = Problem::error(text.span.clone(), "this source is named twice");
            problems.report(problem.help("remove one of them"));
            continue;
        }
        let Some(known) = &surroundings.prometheuses else { continue };
        if !known.contains(&&*text.value) {
            let message = format!("no Prometheus of `sources` is named {:?}", text.value);
            let help = match nearest(&text.value, known.iter().copied()) {
                Some(meant) => format!("did you mean {meant:?}?"),
                None if known.is_empty() => ADD_HELP.to_owned(),
                None => format!("there are: {}", known.join(", ")),
            };
            problems.report(Problem::error(text.span.clone(), message).help(help));
        }
    }
    Some(list.value.iter().map(|text| SourceName::new(&text.value)).collect())
}

/// Checks `verify`.
pub(super) fn check(
    field: &Field<raw::Verify>,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Verify {
    let within = if surroundings.prometheus {
        defaults::VERIFY_WITHIN_PROMETHEUS
    } else if surroundings.alertmanager {
        defaults::VERIFY_WITHIN_ALERTMANAGER
    } else {
        defaults::VERIFY_WITHIN_WEBHOOK
    };
    let Some(raw) = field.given() else {
        return Verify {
            within,
            query: None,
            every: defaults::VERIFY_EVERY,
            times: defaults::VERIFY_TIMES,
            patience: defaults::VERIFY_PATIENCE,
            vanishes: false,
        };
    };
    let verify = Verify {
        within: some_time(&raw.within, within, problems),
        query: raw.query.given().and_then(|text| query::check(text, problems)),
        every: some_time(&raw.every, defaults::VERIFY_EVERY, problems),
        times: at_least_one(&raw.times, defaults::VERIFY_TIMES, problems),
        patience: some_time(&raw.patience, defaults::VERIFY_PATIENCE, problems),
        vanishes: raw.vanishes.value_or(false),
    };
    check_seen(raw, surroundings, problems);
    if let (Some(text), false) = (raw.query.given(), surroundings.prometheus) {
        let problem = Problem::error(text.span.clone(), "there is no Prometheus to ask this query");
        problems.report(problem.help(ADD_HELP));
    }
    if let (Some(times), true) = (raw.times.given(), raw.query.is_absent()) {
        let problem = Problem::warning(times.span.clone(), "there is no query to hold so often");
        problems.report(problem.help("add `query: …`, or remove `times`"));
    }
    check_window(raw, &verify, problems);
    verify
}

/// The window must have room for the proof that is asked for.
fn check_window(raw: &raw::Verify, verify: &Verify, problems: &mut Problems) {
    let looks = verify.every.saturating_mul(u64::from(verify.times - 1));
    let place = || raw.within.given().map_or(&raw.span, |within| &within.span).clone();
    if raw.query.given().is_some() && looks >= verify.within {
        let message = format!(
            "{} leaves no room for {} looks {} apart, which take {looks}",
            verify.within, verify.times, verify.every
        );
        problems.report(
            Problem::error(place(), message)
                .help("make `within` longer, or `every` or `times` smaller"),
        );
    } else if verify.within < Span::from_secs(30) {
        let message = format!("{} is shorter than most scrapes and evaluations", verify.within);
        problems.report(Problem::warning(place(), message).help(
            "`within` should outlast scrape interval, evaluation interval and the rule's `for`: \
             what is not seen by then is unknown and goes to a person",
        ));
    }
}

/// What rules remember and what vanishes, only a Prometheus sees.
fn check_seen(raw: &raw::Verify, surroundings: &Surroundings<'_>, problems: &mut Problems) {
    if surroundings.prometheus {
        return;
    }
    if let Some(patience) = raw.patience.given() {
        let message = "there is no Prometheus whose rules could remember anything";
        problems.report(Problem::warning(patience.span.clone(), message).help(ADD_HELP));
    }
    if let Some(vanishes) = raw.vanishes.given().filter(|vanishes| vanishes.value) {
        let message = "there is no Prometheus that could see that a target is gone";
        problems.report(Problem::warning(vanishes.span.clone(), message).help(ADD_HELP));
    }
}
