//! The example policies and their tests, as a user runs them; and that no expectation is empty.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use homeostat::policy_test;
use homeostat_config::policy_test::{self as grammar, Check, PolicyTests};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The test files of all examples.
fn test_files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root().join("examples")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let tests = path.join("homeostat.test.yml");
            assert!(tests.is_file(), "{} has no tests", path.display());
            found.push(tests);
        }
    }
    found.sort();
    found
}

fn homeostat(arguments: &[&str], files: &[PathBuf]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_homeostat"));
    command.current_dir(root()).args(arguments).args(files).output().unwrap()
}

fn said(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_tests_of_all_examples_pass() {
    let files = test_files();
    assert!(files.len() >= 8, "at least eight real policies");
    let output = homeostat(&["test"], &files);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(said(&output).matches("ok    ").count(), files.len());
}

#[test]
fn a_second_remedy_asks_a_person_when_the_first_did_not_heal() {
    let tests = root().join("crates/homeostat/tests/interface/homeostat.test.yml");
    let output = homeostat(&["test"], &[tests]);
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn the_configurations_of_all_examples_are_valid() {
    for file in test_files() {
        let config = file.with_file_name("homeostat.yml");
        let output = homeostat(&["check", "--config.file"], &[config]);
        assert!(output.status.success(), "{}", said(&output));
    }
}

#[test]
fn the_list_of_examples_names_each() {
    let list = std::fs::read_to_string(root().join("examples/README.md")).unwrap();
    for file in test_files() {
        let name = file.parent().unwrap().file_name().unwrap().to_string_lossy().into_owned();
        assert!(list.contains(&format!("]({name}/homeostat.yml)")), "{name} is not listed");
    }
}

#[test]
fn junit_is_xml_that_others_can_read() {
    let directory = tempfile::tempdir().unwrap();
    let nasty = directory.path().join("t.yml");
    let config = root().join("examples/service-restart/homeostat.yml");
    let text = format!(
        "config_file: {config:?}\ntests:\n  - name: \"a < b & c > \\\"d\\\" 'e' \\u0001\\uFFFE ]]> ü\\t\\n\"\n    \
         expect: [{{ eval_time: 1s, exp_state: acting }}]\n"
    );
    std::fs::write(&nasty, text).unwrap();
    let xml = directory.path().join("junit.xml");
    let flag = format!("--junit={}", xml.display());
    let mut files = test_files();
    files.push(nasty);
    let output = homeostat(&["test", &flag], &files);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let script = "import sys, xml.etree.ElementTree as e\n\
        r = e.parse(sys.argv[1]).getroot()\n\
        s = r.findall('testsuite'); c = r.findall('testsuite/testcase')\n\
        f = r.findall('testsuite/testcase/failure')\n\
        assert len(c) == int(r.get('tests')) and len(f) == int(r.get('failures')) == 1\n\
        assert f[0].text.count('no incident has opened') == 1\n\
        print(len(s), c[-1].get('name'))";
    let read = Command::new("python3").args(["-c", script]).arg(&xml).output().unwrap();
    assert!(read.status.success(), "{}", said(&read));
    let wanted = format!("{} a < b & c > \"d\" 'e' \u{fffd}\u{fffd} ]]> ü\t\n\n", files.len());
    assert_eq!(said(&read), wanted);
}

/// Other values for what is expected: none of them may pass.
fn mutations(check: &Check, text: &str) -> Vec<String> {
    let replaced = |from: &str, to: &str| {
        assert!(text.contains(from), "{from:?} is not in {text:?}");
        text.replacen(from, to, 1)
    };
    match check {
        Check::State(state) => {
            let others = grammar::STATES.iter().filter(|other| *other != state);
            others.map(|other| (*other).to_owned()).collect()
        }
        Check::Outcome(_) => {
            ["healed", "recovered", "escalated", "shadowed", "rejected", "cancelled"]
                .into_iter()
                .filter(|other| *other != text)
                .map(str::to_owned)
                .collect()
        }
        Check::Grade(_) => ["reported", "confirmed", "proven"]
            .into_iter()
            .filter(|other| *other != text)
            .map(str::to_owned)
            .collect(),
        Check::Reason(_) => vec!["none of the reasons".to_owned()],
        Check::Holds(guards) if guards.is_empty() => vec!["[attempts]".to_owned()],
        Check::Holds(_) => vec!["[]".to_owned(), "[attempts]".to_owned()],
        Check::Incidents(count) => vec![(count + 1).to_string()],
        Check::Orders(orders) if orders.is_empty() => vec!["[{}]".to_owned()],
        Check::Orders(orders) => {
            let mut all = vec!["[]".to_owned()];
            for order in orders {
                all.extend(
                    order.attempt.map(|n| {
                        replaced(&format!("attempt: {n}"), &format!("attempt: {}", n + 1))
                    }),
                );
                all.extend(order.action.as_ref().map(|action| replaced(action, "true")));
                let labels = order.of.target.iter();
                all.extend(labels.map(|(name, _)| replaced(&format!("{name}: "), "elsewhere: ")));
            }
            all
        }
        Check::Notices(notices) if notices.is_empty() => vec!["[{}]".to_owned()],
        Check::Notices(notices) => {
            let mut all = vec!["[]".to_owned()];
            for notice in notices {
                let texts = notice.reason.iter().chain(&notice.severity);
                all.extend(texts.map(|text| replaced(text, "none-such")));
                let labels = notice.of.target.iter();
                all.extend(labels.map(|(name, _)| replaced(&format!("{name}: "), "elsewhere: ")));
            }
            all
        }
    }
}

fn is_passed(tests: &PolicyTests) -> bool {
    tests.tests.iter().all(|test| policy_test::play(tests, test).passed())
}

/// Whoever reads a test believes what stands in it: an expectation that nobody compares is a lie.
#[test]
fn no_expectation_of_any_example_can_be_changed_without_failing() {
    let mut changed = 0;
    for file in test_files() {
        let name = file.display().to_string();
        let tests = grammar::load(&file).unwrap();
        assert!(is_passed(&tests), "{name}");
        let checks = tests.tests.iter().flat_map(|test| &test.expectations);
        for (check, span) in checks.flat_map(|expected| &expected.checks) {
            let old = tests.text[span.clone()].trim_end();
            for new in mutations(check, old) {
                let mut text = tests.text.clone();
                text.replace_range(span.start..span.start + old.len(), &new);
                let mutated = grammar::parse(&name, text).unwrap_or_else(|reports| {
                    panic!("{new} in place of {old} is not valid:\n{}", reports[0])
                });
                assert!(!is_passed(&mutated), "{name}: {new} passes in place of {old}");
                changed += 1;
            }
        }
    }
    assert!(changed > 100, "only {changed} expectations were found");
}
