//! The guards that count targets: `blast_radius`, `storm`, and the inventory of both.

use std::sync::Arc;

use homeostat_core::limits::{self, defaults};
use homeostat_core::policy::{BlastRadius, Extent};
use homeostat_core::storm::StormLimits;
use homeostat_core::time::Span;

use super::{Surroundings, at_least_one, query, some_time};
use crate::raw;
use crate::read::{Field, Problems, Spanned, Text};
use crate::report::Problem;

/// Where a number is wrong, what is meant instead; a file with errors is never used.
const SOME_WINDOW: Span = Span::from_secs(900);

/// Checks `guard.blast_radius`.
pub(super) fn blast_radius(
    guard: &raw::guard::Guard,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<BlastRadius> {
    let raw = guard.blast_radius.given()?;
    let window = window(raw, problems);
    let max = raw.max.given().map(|_| at_least_one(&raw.max, 1, problems));
    too_many(&raw.max, problems);
    too_many(&raw.min, problems);
    if raw.percent.is_absent() {
        without_percent(raw, problems);
        return Some(BlastRadius { window, extent: Extent::Targets(max.unwrap_or(1)) });
    }
    let percent = percent(&raw.percent, 1, problems);
    let min = raw.min.value_or(0);
    if let (Some(given), 0, true) = (raw.percent.given(), min, problems.looks_around()) {
        let enough = 100_u32.div_ceil(percent.max(1));
        let message = format!(
            "{percent} percent of fewer than {enough} targets is none: nothing is done then"
        );
        let problem = Problem::warning(given.span.clone(), message);
        problems.report(problem.help("`min: 1` lets one be touched however few there are"));
    }
    if let (Some(most), Some(least)) = (raw.max.given(), raw.min.given())
        && least.value > most.value
    {
        let message = format!("`min` is {}, more than `max`: {}", least.value, most.value);
        let problem = Problem::error(least.span.clone(), message);
        problems.report(problem.help("`min` is what may be touched of very few targets"));
    }
    if raw.inventory.is_absent() {
        let message = "`percent` needs an `inventory`: of how many?";
        let place = raw.percent.given().map_or_else(|| raw.span.clone(), |p| p.span.clone());
        problems.report(Problem::error(place, message).help(INVENTORY_HELP));
    }
    let inventory = inventory(&raw.inventory, surroundings, problems);
    Some(BlastRadius { window, extent: Extent::Share { percent, inventory, max, min } })
}

const INVENTORY_HELP: &str = "write inventory: 'count(last_over_time(up{job=\"web\"}[1h]))'";

/// Checks `guard.storm`. What it does not say of its inventory, the blast radius says.
pub(super) fn storm(
    guard: &raw::guard::Guard,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<StormLimits> {
    let raw = guard.storm.given()?;
    let of_radius = guard.blast_radius.given().map(|radius| &radius.inventory);
    let inventory = match (&raw.inventory, of_radius) {
        (Field::Absent, Some(Field::Given(text))) => text.value.as_str().into(),
        (Field::Absent, Some(Field::Wrong)) => "".into(),
        (Field::Absent, Some(Field::Absent) | None) => {
            let message = "a storm needs an `inventory`: a share of how many?";
            problems.report(Problem::error(raw.span.clone(), message).help(INVENTORY_HELP));
            "".into()
        }
        (own @ (Field::Given(_) | Field::Wrong), _) => inventory(own, surroundings, problems),
    };
    Some(StormLimits {
        percent: percent(&raw.percent, defaults::STORM_PERCENT, problems),
        min: at_least_one(&raw.min, defaults::STORM_MIN, problems),
        cool_down: some_time(&raw.cool_down, defaults::STORM_COOL_DOWN, problems),
        inventory,
    })
}

fn window(raw: &raw::radius::BlastRadius, problems: &mut Problems) -> Span {
    if raw.window.is_absent() {
        let problem = Problem::error(raw.span.clone(), "this blast radius has no `window`");
        problems.report(problem.help("write `window: 15m`: in which time targets are counted"));
    }
    let window = some_time(&raw.window, SOME_WINDOW, problems);
    if let Some(given) = raw.window.given().filter(|given| given.value > limits::REACH_MEMORY) {
        let message = format!("targets are remembered for {} and no longer", limits::REACH_MEMORY);
        problems.report(Problem::error(given.span.clone(), message).help("shorten the window"));
    }
    window
}

/// What only means something beside `percent`.
fn without_percent(raw: &raw::radius::BlastRadius, problems: &mut Problems) {
    if raw.max.is_absent() {
        let problem = Problem::error(raw.span.clone(), "this blast radius has no extent");
        problems.report(problem.help("write `max`, or `percent` with an `inventory`"));
    }
    let min = raw.min.given().map(|min| ("min", min.span.clone()));
    let inventory = raw.inventory.given().map(|text| ("inventory", text.span.clone()));
    for (key, place) in [min, inventory].into_iter().flatten() {
        let message = format!("`{key}` says nothing without `percent`");
        problems.report(Problem::error(place, message).help("add `percent`, or remove it"));
    }
}

fn too_many(field: &Field<Spanned<u32>>, problems: &mut Problems) {
    let most = limits::REACHED_TARGETS;
    if let Some(given) = field.given().filter(|given| given.value as usize > most) {
        let message = format!("at most {most} targets are counted");
        problems.report(Problem::error(given.span.clone(), message).help("write a lower number"));
    }
}

fn percent(field: &Field<Spanned<u32>>, default: u32, problems: &mut Problems) -> u32 {
    let percent = at_least_one(field, default, problems);
    if let Some(given) = field.given().filter(|given| given.value > 100) {
        let problem = Problem::error(given.span.clone(), "no share is more than 100 percent");
        problems.report(problem.help("write a number from 1 to 100"));
    }
    percent.min(100)
}

/// Checks PromQL that counts. It is one for the whole policy: no alert may change what is counted.
fn inventory(
    field: &Field<Text>,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Arc<str> {
    let Some(text) = field.given() else { return "".into() };
    let promql = text.value.trim();
    let problem = |message: &str| Problem::error(text.span.clone(), message);
    if promql.is_empty() {
        problems.report(problem("this inventory is empty").help(INVENTORY_HELP));
    } else if promql.contains("{{") || promql.contains("{%") {
        problems.report(
            problem("an inventory has no placeholders")
                .help("it counts all targets of the policy, whichever alert fires"),
        );
    } else if query::is_series(promql) {
        problems.report(
            problem("this inventory is a series, and must be one number").help(INVENTORY_HELP),
        );
    }
    if !surroundings.prometheus {
        problems.report(
            problem("there is no Prometheus to count by")
                .help("add one under `sources.prometheuses`"),
        );
    }
    promql.into()
}
