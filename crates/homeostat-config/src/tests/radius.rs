//! The guards that count targets.

use homeostat_core::policy::{BlastRadius, Extent};
use homeostat_core::storm::StormLimits;

use super::*;

/// Problems of a guard in a file with a Prometheus, without their help.
fn of_guard(guard: &str) -> String {
    let text = problems(&format!("{SOURCES}{}", policy(&format!("guard: {guard}"))));
    let told = text.lines().filter(|line| !line.trim_start().starts_with("=>"));
    told.map(|line| line.split_once(' ').map_or(line, |(_, rest)| rest))
        .collect::<Vec<_>>()
        .join("\n")
}

fn meant(guard: &str) -> (Option<BlastRadius>, Option<StormLimits>) {
    let text = format!("{SOURCES}{}", policy(&format!("guard: {guard}")));
    let config =
        parse("/etc/homeostat/homeostat.yml", &text).unwrap_or_else(|report| panic!("{report}"));
    let limits = &config.book.policies()[0].guard;
    (limits.blast_radius.clone(), limits.storm.clone())
}

#[test]
fn a_blast_radius_and_a_storm_are_read_with_their_defaults() {
    let window = Span::from_secs(900);
    assert_eq!(
        meant("{ blast_radius: { max: 3, window: 15m } }"),
        (Some(BlastRadius { window, extent: Extent::Targets(3) }), None)
    );
    let inventory: std::sync::Arc<str> = "count(up)".into();
    let extent = Extent::Share { percent: 34, inventory: inventory.clone(), max: Some(3), min: 0 };
    let storm = StormLimits { percent: 55, min: 3, cool_down: Span::from_secs(300), inventory };
    assert_eq!(
        meant(
            "{ blast_radius: { max: 3, percent: 34, window: 15m, inventory: count(up) }, storm: {} }"
        ),
        (Some(BlastRadius { window, extent }), Some(storm))
    );
    let (_, storm) = meant("{ storm: { percent: 80, min: 9, cool_down: 1m, inventory: sum(x) } }");
    let storm = storm.unwrap();
    assert_eq!((storm.percent, storm.min, &*storm.inventory), (80, 9, "sum(x)"));
}

#[test]
fn what_cannot_be_counted_is_told() {
    for (guard, told) in [
        ("{ blast_radius: { max: 3 } }", "this blast radius has no `window`"),
        ("{ blast_radius: { window: 1m } }", "this blast radius has no extent"),
        ("{ blast_radius: { max: 0, window: 1m } }", "must be at least 1"),
        ("{ blast_radius: { max: 20000, window: 1m } }", "at most 10000 targets are counted"),
        ("{ blast_radius: { max: 1, window: 8d } }", "targets are remembered for 1w and no longer"),
        (
            "{ blast_radius: { max: 1, min: 1, window: 1m } }",
            "`min` says nothing without `percent`",
        ),
        (
            "{ blast_radius: { max: 1, inventory: count(up), window: 1m } }",
            "`inventory` says nothing without `percent`",
        ),
        (
            "{ blast_radius: { percent: 5, window: 1m } }",
            "`percent` needs an `inventory`: of how many?",
        ),
        (
            "{ blast_radius: { percent: 101, window: 1m, inventory: count(up) } }",
            "no share is more than 100 percent",
        ),
        (
            "{ blast_radius: { percent: 5, max: 1, min: 2, window: 1m, inventory: count(up) } }",
            "`min` is 2, more than `max`: 1",
        ),
        ("{ storm: {} }", "a storm needs an `inventory`: a share of how many?"),
        ("{ storm: { inventory: '' } }", "this inventory is empty"),
        ("{ storm: { inventory: up } }", "this inventory is a series, and must be one number"),
        (
            "{ storm: { inventory: 'count(up{job=\"{{ labels.job }}\"})' } }",
            "an inventory has no placeholders",
        ),
    ] {
        assert_eq!(of_guard(guard), told, "{guard}");
    }
    let lines = "guard: { blast_radius: { percent: 5, window: 1m, inventory: count(up) } }";
    assert!(of_policy(lines).contains("there is no Prometheus to count by"));
    let defaults = problems("defaults: { guard: { storm: {} } }\npolicies: []\n");
    assert!(defaults.contains("a storm is one of the targets of one policy"), "{defaults}");
}
