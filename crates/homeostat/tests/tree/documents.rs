//! Keeps the documents true: what they show can be used, and what they list is there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use homeostat::demo::stack::{self, Binary, Sandbox};
use homeostat::telemetry::Metrics;
use homeostat_config::{self as config, Callable};
use homeostat_core::limits::defaults;

pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

pub(super) fn read(document: &str) -> String {
    std::fs::read_to_string(root().join(document)).unwrap()
}

/// The blocks of a document that are marked as YAML and begin with one of these keys.
fn blocks<'d>(document: &'d str, keys: &[&str]) -> Vec<&'d str> {
    let blocks = document.split("\n```yaml\n").skip(1);
    let blocks = blocks.filter_map(|rest| rest.split("\n```").next());
    blocks.filter(|block| keys.iter().any(|key| block.starts_with(key))).collect()
}

/// A program that comes with Prometheus or Alertmanager: beside it, else on the `PATH`.
pub(super) fn tool(name: &str, with: Binary) -> Command {
    let beside = stack::find(with).unwrap().with_file_name(name);
    Command::new(if beside.is_file() { beside } else { name.into() })
}

/// Lets a program check a file, and shows what it says where it does not like it.
pub(super) fn passes(mut command: Command, file: &Path) {
    let output = command.arg(file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}:\n{said}{complained}", file.display());
}

#[test]
fn every_configuration_in_the_documents_is_valid() {
    let mut seen = 0;
    let documents = [
        "README.md",
        "docs/configuration.md",
        "docs/migrating.md",
        "docs/sources.md",
        "docs/testing-policies.md",
    ];
    for document in documents {
        let text = read(document);
        for block in blocks(&text, &["policies:", "sources:", "time_intervals:", "notify:"]) {
            seen += 1;
            if let Err(report) = config::parse(document, block) {
                panic!("{document} shows a configuration that is not valid:\n{report}");
            }
        }
    }
    assert!(seen >= 10, "the configurations in the documents were not found");
}

#[test]
fn every_example_is_valid_and_has_no_warnings() {
    let examples = root().join("examples");
    let directories = std::fs::read_dir(&examples).unwrap().map(|entry| entry.unwrap().path());
    let directories = directories.filter(|path| path.is_dir()).chain([examples]);
    let mut seen = 0;
    for path in directories.map(|directory| directory.join("homeostat.yml")) {
        seen += 1;
        match config::load_for(&[&path], Callable::These(&["move-primary"])) {
            Ok(config) => assert!(config.warnings.problems().is_empty(), "{}", config.warnings),
            Err(report) => panic!("{report}"),
        }
    }
    assert!(seen > 8, "the examples were not found");
}

#[test]
fn every_alertmanager_configuration_in_the_documents_is_valid() {
    let sandbox = Sandbox::new().unwrap();
    let text = read("README.md");
    let blocks = blocks(&text, &["route:"]);
    assert_eq!(blocks.len(), 2, "the mission's and the fallback route");
    for block in blocks {
        let file = sandbox.write("alertmanager.yml", block).unwrap();
        let mut command = tool("amtool", Binary::Alertmanager);
        command.arg("check-config");
        passes(command, &file);
    }
}

#[test]
fn every_alert_rule_in_the_documents_is_valid() {
    let sandbox = Sandbox::new().unwrap();
    let text = read("README.md");
    let blocks = blocks(&text, &["groups:"]);
    assert_eq!(blocks.len(), 1, "the rule of the fallback");
    for block in blocks {
        let mut command = tool("promtool", Binary::Prometheus);
        command.args(["check", "rules"]);
        passes(command, &sandbox.write("rules.yml", block).unwrap());
    }
}

/// The cells of the row that begins with this key, below a heading.
fn row<'d>(document: &'d str, heading: &str, key: &str) -> Vec<&'d str> {
    let mut below = document.lines().skip_while(|line| *line != heading);
    let start = format!("| `{key}` |");
    let row = below.find(|line| line.starts_with(&start));
    let row = row.unwrap_or_else(|| panic!("{heading} has no row {key}"));
    row.trim_matches('|').split(" | ").map(str::trim).collect()
}

#[test]
fn every_default_in_the_documents_is_the_one_in_the_code() {
    let rate = |max: u32, per: homeostat_core::time::Span| format!("`{max}` per `{per}`");
    let one = |value: &dyn std::fmt::Display| format!("`{value}`");
    let text = read("docs/configuration.md");
    for (heading, key, default) in [
        ("## `limits`", "limits.concurrency", one(&defaults::BOOK_CONCURRENCY)),
        ("## `limits`", "limits.rate", rate(defaults::BOOK_RATE_MAX, defaults::BOOK_RATE_PER)),
        ("## `policies`", "relapse", one(&defaults::RELAPSE)),
        ("## `policies`", "lapse", one(&defaults::LAPSE)),
        ("### `remedies`", "timeout", one(&defaults::TIMEOUT)),
        ("### `remedies`", "backoff", one(&defaults::BACKOFF)),
        ("### `verify`", "every", one(&defaults::VERIFY_EVERY)),
        ("### `verify`", "times", one(&defaults::VERIFY_TIMES)),
        ("### `verify`", "patience", one(&defaults::VERIFY_PATIENCE)),
        ("### `guard`", "cooldown", one(&defaults::COOLDOWN)),
        ("### `guard`", "rate", rate(defaults::POLICY_RATE_MAX, defaults::POLICY_RATE_PER)),
        ("### `guard`", "concurrency", one(&defaults::POLICY_CONCURRENCY)),
        ("### `guard`", "fresh.max_age", one(&defaults::FRESH_MAX_AGE)),
        ("#### `guard.watchdog`", "max_age", one(&defaults::WATCHDOG_MAX_AGE)),
        ("#### `guard.flap`", "half_life", one(&defaults::FLAP_HALF_LIFE)),
        ("#### `guard.flap`", "suppress", one(&defaults::FLAP_SUPPRESS)),
        ("#### `guard.flap`", "reuse", one(&defaults::FLAP_REUSE)),
        ("#### `guard.breaker`", "failures", one(&defaults::BREAKER_FAILURES)),
        ("#### `guard.breaker`", "of", one(&defaults::BREAKER_OF)),
        ("#### `guard.breaker`", "after", one(&defaults::BREAKER_AFTER)),
        ("#### `guard.storm`", "percent", one(&defaults::STORM_PERCENT)),
        ("#### `guard.storm`", "min", one(&defaults::STORM_MIN)),
        ("#### `guard.storm`", "cool_down", one(&defaults::STORM_COOL_DOWN)),
        ("### `escalate`", "after", one(&defaults::ESCALATE_AFTER)),
        ("### `escalate`", "severity", one(&defaults::ESCALATE_SEVERITY)),
    ] {
        let cells = row(&text, heading, key);
        assert_eq!(cells.last(), Some(&default.as_str()), "{heading}: {key}");
    }
    let windows = [
        defaults::VERIFY_WITHIN_PROMETHEUS,
        defaults::VERIFY_WITHIN_ALERTMANAGER,
        defaults::VERIFY_WITHIN_WEBHOOK,
    ];
    let [prometheus, alertmanager, webhook] = windows.map(|window| format!("`{window}`"));
    let sentence = format!(
        "`within` is {prometheus} where a Prometheus is configured, {alertmanager} where only an \
         Alertmanager is, and {webhook} where nothing but notifications tell."
    );
    let words: Vec<&str> = text.split_whitespace().collect();
    assert!(words.join(" ").contains(&sentence), "the default of verify.within");
}

#[test]
fn every_metric_is_documented_and_every_documented_metric_is_there() {
    let metrics = Metrics::new("1.2.3", "abc", "main");
    metrics.notification("main", "accepted");
    metrics.refused("unknown_path");
    metrics.alerts("main", "firing", 1);
    metrics.notices("oncall", "accepted", 1);
    metrics.polled("main", "listed");
    metrics.reconciled("began", 1);
    metrics.set_incidents_open([(("web", "waiting"), 1)]);
    metrics.incident_closed("web", "healed");
    metrics.order_ended("web", "restart", "succeeded", Some(1.0));
    metrics.held("web", "cooldown");
    metrics.answered("web", "approved");
    metrics.shadow_judged("web", "restart", "needless");
    metrics.healed("web", 1.0);
    metrics.runner_start("started");
    let printed = metrics.print();
    let there: BTreeSet<(&str, &str)> =
        printed.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    let text = read("docs/metrics.md");
    let told: BTreeSet<(&str, &str)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `homeostat_")?.split_once("` | "))
        .filter_map(|(name, rest)| Some((name, rest.split_once(" | ")?.0)))
        .collect();
    let there: BTreeSet<(&str, &str)> = there
        .into_iter()
        .map(|(name, kind)| (name.strip_prefix("homeostat_").unwrap(), kind))
        .collect();
    assert_eq!(told, there);
}

/// The rows of a table below a heading, each by its cells.
fn table<'d>(document: &'d str, heading: &str) -> Vec<Vec<&'d str>> {
    let below = document.lines().skip_while(|line| *line != heading);
    let rows =
        below.skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    rows.skip(2).map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

fn sources(directory: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text.push_str(&sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            text.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
    text
}

#[test]
fn every_threat_names_tests_that_are_there() {
    let code = sources(&root().join("crates"));
    let is_test = |name: &str| {
        let function = format!("fn {name}()");
        let found = code.split_once(&function);
        found.is_some_and(|(before, _)| {
            let (above, _) = before.rsplit_once('\n').unwrap_or_default();
            let lines = above.lines().rev().take_while(|line| !line.trim().is_empty());
            lines.take(6).any(|line| line.contains("#[test]") || line.contains("#[tokio::test"))
        })
    };
    let document = read("SECURITY.md");
    let threats = table(&document, "## Threats");
    for threat in &threats {
        let [who, .., tests] = &threat[..] else { panic!("{threat:?}") };
        assert_eq!(threat.len(), 4, "{threat:?}");
        let tests: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "{threat:?} names no test");
        for test in tests {
            assert!(is_test(test), "{who}: there is no test {test}");
        }
    }
    let who: BTreeSet<&str> = threats.iter().map(|threat| threat[0]).collect();
    for attacker in [
        "a sender",
        "a viewer",
        "somebody on the network",
        "a label",
        "a remedy",
        "somebody with the disk",
    ] {
        assert!(who.contains(attacker), "no threat is by {attacker}: {who:?}");
    }
}
