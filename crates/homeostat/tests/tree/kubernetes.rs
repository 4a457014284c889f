//! The chart: what is committed is what it makes, its configuration is one, and Prometheus takes its
//! rules. That all of it is valid, for those who publish the schemas, `scripts/chart` sees to.

use std::process::Command;

use homeostat::demo::stack::{Binary, Sandbox};
use serde_json::Value;

use super::documents::{passes, read, root, tool};

fn manifest(name: &str) -> Value {
    serde_saphyr::from_str(&read(&format!("contrib/kubernetes/{name}.yaml"))).unwrap()
}

/// Where one of the programs that render or validate cannot be had, says so.
fn can_render() -> bool {
    let has = |program: &str| Command::new(program).arg("--version").output().is_ok();
    let can = has("npm") && (has("helm") || has("python3"));
    if !can {
        eprintln!("skipped: there is no npm here, or neither helm nor Python");
    }
    can
}

#[test]
fn what_is_committed_is_valid_and_what_the_chart_makes() {
    if !can_render() {
        return;
    }
    let sandbox = Sandbox::new().unwrap();
    let made = sandbox.path().join("made");
    passes(Command::new(root().join("scripts/chart")), &made);
    let mut seen = 0;
    for entry in std::fs::read_dir(&made).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        let committed = std::fs::read_to_string(root().join("contrib/kubernetes").join(&name));
        let same = committed.is_ok_and(|text| text == std::fs::read_to_string(&path).unwrap());
        assert!(
            same,
            "contrib/kubernetes/{} is not what the chart makes: run `make chart`",
            name.display()
        );
        seen += 1;
    }
    assert_eq!(seen, std::fs::read_dir(root().join("contrib/kubernetes")).unwrap().count());
}

#[test]
fn its_configuration_is_valid_and_acts_on_nothing() {
    let config = manifest("configmap")["data"]["homeostat.yml"].as_str().unwrap().to_owned();
    let parsed = homeostat_config::parse("homeostat.yml", &config).unwrap();
    assert!(parsed.warnings.problems().is_empty(), "{}", parsed.warnings);
    assert!(config.contains("mode: shadow") && !config.contains("auto"), "{config}");
}

#[test]
fn its_flags_are_those_of_the_program() {
    let container = &manifest("statefulset")["spec"]["template"]["spec"]["containers"][0];
    let mut command = Command::new(env!("CARGO_BIN_EXE_homeostat"));
    let help = command.args(["serve", "--help"]).output().unwrap().stdout;
    let help = String::from_utf8(help).unwrap();
    let arguments = container["args"].as_array().unwrap();
    assert!(arguments.len() >= 4);
    for argument in arguments {
        let flag = argument.as_str().unwrap().split('=').next().unwrap();
        assert!(help.contains(&format!("{flag} <")), "there is no flag {flag}");
    }
}

#[test]
fn prometheus_takes_its_rules() {
    let sandbox = Sandbox::new().unwrap();
    let rules = manifest("prometheusrule")["spec"].to_string();
    let mut command = tool("promtool", Binary::Prometheus);
    command.args(["check", "rules"]);
    passes(command, &sandbox.write("rules.yml", &rules).unwrap());
}
