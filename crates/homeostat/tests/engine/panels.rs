//! What the dashboards show of an engine that healed once: a real Prometheus asks it, and answers each
//! panel.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use homeostat::demo::stack::{Prometheus, Sandbox};
use serde_json::Value;

use crate::support::{Engine, notification, policy, resolution, until};

/// What may be without an answer where only this has happened.
const QUIET: [&str; 11] = [
    "Found without a notification",
    "Healed of what was tried, by policy",
    "Holds, by guard",
    "Holds, by policy and guard",
    "Escalated, by policy",
    "Notices, by result",
    "Open incidents, by state",
    "Remedies in shadow",
    "Requests refused, by reason",
    "Sources asked, by result",
    "What people answered",
];

/// A panel's title and one of its queries, as Grafana sends it.
fn queries(dashboard: &str) -> Vec<(String, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contrib/mixin/dashboards");
    let text = std::fs::read_to_string(directory.join(dashboard)).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap();
    let mut queries = Vec::new();
    for panel in json["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let mut query = target["expr"].as_str().unwrap().to_owned();
            for (name, value) in [
                ("$__rate_interval", "1m"),
                ("$__interval", "1m"),
                ("$__range", "10m"),
                ("$instance", ".*"),
                ("$policy", ".*"),
                ("$team", ".*"),
            ] {
                query = query.replace(name, value);
            }
            queries.push((panel["title"].as_str().unwrap().to_owned(), query));
        }
    }
    queries
}

#[tokio::test]
async fn one_healing_is_seen_on_every_panel_that_is_about_it() {
    let sandbox = Sandbox::new().unwrap();
    let engine = Engine::start(&sandbox, &policy(sandbox.path(), "", ""), &[]).await;
    let prometheus = Prometheus::builder().scrape("homeostat", "h:9999", engine.address);
    let prometheus = prometheus.interval(Duration::from_millis(200));
    let prometheus = prometheus.start(sandbox.path()).await.unwrap();
    let holds = async |query: &str| {
        until(query, || async { prometheus.query(query).await.unwrap().pop() }).await;
    };
    // It must have been seen before, as it is anywhere.
    holds("count_over_time(homeostat_build_info[1m]) > 2").await;
    let alert = &[("alertname", "Down"), ("instance", "a:80")][..];
    engine.post("/hooks", notification(&[alert])).await;
    engine.incident_in("verifying").await;
    engine.post("/hooks", resolution(&[alert])).await;
    engine.incident_in("closed").await;
    holds("count_over_time(homeostat_incidents_closed_total[1m]) > 2").await;
    // A gauge is of a moment ago.
    holds("(sum(homeostat_incidents_open) or vector(0)) == 0").await;

    let mut shown: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (title, query) in ["healing.json", "engine.json"].into_iter().flat_map(queries) {
        let samples = prometheus.query(&query).await;
        let samples = samples.unwrap_or_else(|error| panic!("{title}: {error}"));
        shown.entry(title).or_default().extend(samples.iter().map(|sample| sample.value));
    }
    for (title, values) in &shown {
        let quiet = QUIET.contains(&title.as_str());
        assert!(quiet || !values.is_empty(), "{title} shows nothing");
        assert!(!values.iter().any(|value| value.is_nan()), "{title} shows no number: {values:?}");
    }
    for (title, expected) in [
        ("Healed", 1.0),
        ("Pages saved", 1.0),
        ("Escalated", 0.0),
        ("Healed of what was tried", 1.0),
        ("Open now", 0.0),
        ("How incidents ended", 1.0),
        ("Runs of remedies, by result", 1.0),
        ("Reached", 1.0),
        ("Journal", 1.0),
        ("Paused", 0.0),
    ] {
        let sum: f64 = shown[title].iter().sum();
        assert!((sum - expected).abs() < 0.5, "{title} shows {sum} and not {expected}");
    }
    let times = &shown["Time to heal"];
    assert!(times.iter().any(|value| *value > 0.0), "how long it took is not seen: {times:?}");
}
