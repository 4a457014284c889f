//! Keeps the documents true: what they show can be used, and what they list is there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use homeostat::demo::stack::{self, Binary};
use homeostat::telemetry::Metrics;
use homeostat_config::{self as config, Callable};
use homeostat_core::limits::defaults;

pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

pub(super) fn read(document: &str) -> String {
    std::fs::read_to_string(root().join(document)).unwrap()
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
fn the_windows_of_a_proof_in_the_documents_are_those_in_the_code() {
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
    let text = read("docs/reference/configuration.md");
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
    let text = read("docs/reference/metrics.md");
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
