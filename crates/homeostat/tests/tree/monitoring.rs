//! The mixin: what is committed is what its source makes, Prometheus takes every query of it, and
//! no query asks for what the engine does not count.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use homeostat::demo::stack::{Binary, Sandbox};
use serde_json::{Value, json};

use super::documents::{passes, read, root, tool};

const DASHBOARDS: [&str; 2] = ["healing.json", "engine.json"];

fn mixin() -> PathBuf {
    root().join("contrib/mixin")
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

fn promtool(verb: &str) -> Command {
    let mut command = tool("promtool", Binary::Prometheus);
    command.args([verb, "rules"]);
    command
}

fn panels(dashboard: &str) -> Vec<Value> {
    let json: Value =
        serde_json::from_str(&text(&mixin().join("dashboards").join(dashboard))).unwrap();
    json["panels"].as_array().unwrap().clone()
}

/// The queries of a dashboard, each with the title of its panel.
fn queries(dashboard: &str) -> Vec<(String, String)> {
    let mut queries = Vec::new();
    for panel in panels(dashboard) {
        let title = panel["title"].as_str().unwrap().to_owned();
        for target in panel["targets"].as_array().into_iter().flatten() {
            queries.push((title.clone(), target["expr"].as_str().unwrap().to_owned()));
        }
    }
    queries
}

/// A query as Grafana sends it, with something in place of each of its variables.
fn filled_in(query: &str) -> String {
    let times = [("$__rate_interval", "5m"), ("$__interval", "5m"), ("$__range", "7d")];
    let labels = [("$instance", ".*"), ("$policy", ".*"), ("$team", ".*")];
    let filled = times.into_iter().chain(labels);
    let filled = filled.fold(query.to_owned(), |text, (name, value)| text.replace(name, value));
    assert!(!filled.contains('$'), "an unknown variable: {filled}");
    filled
}

/// The metrics of the engine that a text names, without what histograms add to them.
fn metrics(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let names = words.filter(|word| word.starts_with("homeostat_"));
    let base = |name: &str| {
        let ends = ["_bucket", "_count", "_sum"];
        ends.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name).to_owned()
    };
    names.map(base).collect()
}

/// The metrics that the page lists.
fn listed() -> BTreeSet<String> {
    let page = read("docs/reference/metrics.md");
    let rows = page.lines().filter(|line| line.starts_with("| `homeostat_"));
    let rows = rows.filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| Some(row.split_once('`')?.0.to_owned())).collect()
}

#[test]
fn what_is_committed_is_what_the_source_makes() {
    if Command::new("jsonnet").arg("--version").output().is_err() {
        eprintln!("skipped: jsonnet is not there; `make test` installs it where it may");
        return;
    }
    let sandbox = Sandbox::new().unwrap();
    let made = sandbox.path().join("made");
    passes(Command::new(root().join("scripts/mixin")), &made);
    let dashboards = DASHBOARDS.map(|name| format!("dashboards/{name}"));
    let names = ["alerts.yml", "rules.yml"].map(str::to_owned).into_iter().chain(dashboards);
    for name in names {
        let same = text(&made.join(&name)) == text(&mixin().join(&name));
        assert!(same, "contrib/mixin/{name} is not what its source makes: run `make mixin`");
    }
}

#[test]
fn every_rule_is_valid_and_does_what_it_says() {
    for name in ["alerts", "rules"] {
        passes(promtool("check"), &mixin().join(format!("{name}.yml")));
        passes(promtool("test"), &mixin().join(format!("{name}.test.yml")));
    }
}

#[test]
fn prometheus_takes_the_query_of_every_panel() {
    let sandbox = Sandbox::new().unwrap();
    for dashboard in DASHBOARDS {
        let queries = queries(dashboard);
        assert!(queries.len() > 15, "the queries of {dashboard} were not found");
        for (title, query) in queries {
            let rule = json!({ "record": "a:panel", "expr": filled_in(&query) });
            let rules = json!({ "groups": [{ "name": title, "rules": [rule] }] });
            passes(promtool("check"), &sandbox.write("panel.yml", &rules.to_string()).unwrap());
        }
    }
}

#[test]
fn no_rule_and_no_panel_asks_for_what_is_not_counted() {
    let listed = listed();
    assert!(listed.len() > 25, "the metrics of docs/reference/metrics.md were not found");
    let mut asked = BTreeSet::new();
    for name in ["alerts.yml", "rules.yml", "alerts.test.yml", "rules.test.yml"] {
        let names = metrics(&text(&mixin().join(name)));
        asked.extend(names.into_iter().map(|metric| (name.to_owned(), metric)));
    }
    for dashboard in DASHBOARDS {
        for (title, query) in queries(dashboard) {
            let names = metrics(&query);
            asked.extend(names.into_iter().map(|metric| (format!("{dashboard}: {title}"), metric)));
        }
    }
    for (place, metric) in &asked {
        // What is recorded is named after what it is made of, without `_total`.
        let known = listed.contains(metric) || listed.contains(&format!("{metric}_total"));
        assert!(known, "{place} asks for {metric}, which docs/reference/metrics.md does not list");
    }
    let seen: BTreeSet<&String> = asked.iter().map(|(_, metric)| metric).collect();
    for metric in &listed {
        assert!(seen.contains(metric), "no rule and no panel shows {metric}");
    }
}

#[test]
fn panels_lie_beside_each_other_and_say_what_they_show() {
    for dashboard in DASHBOARDS {
        let mut taken = BTreeSet::new();
        let mut ids = BTreeSet::new();
        for panel in panels(dashboard) {
            let title = panel["title"].as_str().unwrap();
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{dashboard}: {title}");
            let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            assert!(at("x") + at("w") <= 24, "{dashboard}: {title} is too wide");
            for x in at("x")..at("x") + at("w") {
                for y in at("y")..at("y") + at("h") {
                    assert!(taken.insert((x, y)), "{dashboard}: {title} covers another panel");
                }
            }
            let described = panel["description"].as_str().is_some_and(|text| !text.is_empty());
            assert!(described || panel["type"] == "row", "{dashboard}: {title} says nothing");
        }
    }
}
