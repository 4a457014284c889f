use super::*;

const CONFIG: &str = "
policies:
  - name: web-down
    matchers: ['alertname=\"Down\"']
    target: [instance]
    mode: auto
    escalate: none
    remedies: [{ name: restart, exec: [restart, 'x{{ labels.instance }}'] }]
";

const TESTS: &str = "\
config_file: h.yml
tests:
  - name: it acts
    steps:
      - { at: 0s, fire: { alertname: Down, instance: a } }
    expect:
      - { eval_time: 1s, exp_state: acting }
  - name: it <heals> & \"more\"
    steps:
      - { at: 0s, fire: { alertname: Down, instance: \"a<\\e[2J\" } }
      - { at: 2s, exit: { remedy: restart, code: 1 } }
    expect:
      - { eval_time: 1s, exp_orders: [{ remedy: restart }] }
      - eval_time: 5s
        exp_outcome: healed
        exp_orders: []
";

/// Runs the command on files of these texts; what it says is shown without the directory's name.
fn run_on(texts: &[(&str, &str)], more: &[&str]) -> (Exit, String, String, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("h.yml"), CONFIG).unwrap();
    let mut line = vec!["homeostat".to_owned(), "test".to_owned()];
    for (name, text) in texts {
        if !text.is_empty() {
            std::fs::write(path(name), text).unwrap();
        }
        line.push(path(name).display().to_string());
    }
    line.extend(
        more.iter().map(|word| word.replace("DIR", &directory.path().display().to_string())),
    );
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit =
        crate::cli::run(line.into_iter().map(Into::into), Streams { out: &mut out, err: &mut err });
    let place = format!("{}/", directory.path().display());
    let read = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(&place, "");
    let xml = std::fs::read_to_string(path("junit.xml")).unwrap_or_default().replace(&place, "");
    (exit, read(out), read(err), xml)
}

#[test]
fn a_failing_expectation_shows_its_place_and_what_happened_instead() {
    let (exit, out, err, _) = run_on(&[("t.yml", TESTS)], &[]);
    assert_eq!(exit, Exit::No);
    insta::assert_snapshot!(out, @"FAIL  t.yml: 2 tests, 1 failed");
    insta::assert_snapshot!(err, @r#"
    FAIL  t.yml: it <heals> & "more"

    error: at 5s: expected outcome healed, found escalated
      --> t.yml:15:22
       |
    15 |         exp_outcome: healed
       |                      ^^^^^^
       |
       = help: incident 1: no remedy healed it: restart: exited with code 1

    what happened:
      0s  Source alertmanager says that alert Down fires.
      0s  Incident 1 opened: policy web-down takes care of {instance="a<\x1b[2J"}.
      0s  All guards agree: remedy restart starts: `restart "xa<\u{1b}[2J"`.
      2s  Remedy restart exited with code 1 after 2s.
      2s  Remedy restart is not tried again: it exited with code 1.
      2s  Closed as escalated: no remedy healed it: restart: exited with code 1.
    "#);
}

#[test]
fn tests_are_chosen_by_their_names() {
    let (exit, out, err, _) = run_on(&[("t.yml", TESTS)], &["--run", "^it a"]);
    assert_eq!((exit, err.as_str()), (Exit::Fine, ""));
    assert_eq!(out, "ok    t.yml: 1 test\n");
    let (exit, _, err, _) = run_on(&[("t.yml", TESTS)], &["--run", "nothing"]);
    assert_eq!((exit, err.as_str()), (Exit::Cannot, "error: no test is named like that\n"));
    let (exit, _, err, _) = run_on(&[("t.yml", TESTS)], &["--run", "("]);
    assert_eq!(exit, Exit::Cannot);
    assert!(err.contains("invalid value '(' for '--run <REGEX>'"), "{err}");
}

#[test]
fn the_exit_code_tells_a_failing_test_from_a_file_that_cannot_be_read() {
    let only_good = TESTS.split("  - name: it <heals>").next().unwrap();
    for (texts, wanted) in [
        (&[("a.yml", only_good)][..], Exit::Fine),
        (&[("a.yml", only_good), ("b.yml", TESTS)], Exit::No),
        (&[("a.yml", only_good), ("b.yml", "tests: x")], Exit::No),
        (&[("a.yml", only_good), ("b.yml", "config_file: gone.yml\ntests: []")], Exit::No),
        (&[("a.yml", only_good), ("gone.yml", "")], Exit::Cannot),
        (&[], Exit::Cannot),
    ] {
        let (exit, _, err, _) = run_on(texts, &[]);
        assert_eq!(exit, wanted, "{err}");
    }
}

#[test]
fn a_machine_gets_the_place_of_each_failure() {
    let (exit, out, err, _) = run_on(&[("t.yml", TESTS)], &["--output", "json"]);
    assert_eq!((exit, err.as_str()), (Exit::No, ""));
    insta::assert_snapshot!(out, @r#"
    {
      "passed": 1,
      "failed": 1,
      "invalid": 0,
      "files": [
        {
          "file": "t.yml",
          "problems": [],
          "tests": [
            {
              "name": "it acts",
              "line": 3,
              "passed": true,
              "failures": [],
              "timeline": []
            },
            {
              "name": "it <heals> & \"more\"",
              "line": 8,
              "passed": false,
              "failures": [
                {
                  "severity": "error",
                  "file": "t.yml",
                  "line": 15,
                  "column": 22,
                  "message": "at 5s: expected outcome healed, found escalated",
                  "help": "incident 1: no remedy healed it: restart: exited with code 1"
                }
              ],
              "timeline": [
                {
                  "at": "0s",
                  "incident": "1",
                  "text": "Source alertmanager says that alert Down fires."
                },
                {
                  "at": "0s",
                  "incident": "1",
                  "text": "Incident 1 opened: policy web-down takes care of {instance=\"a<\\x1b[2J\"}."
                },
                {
                  "at": "0s",
                  "incident": "1",
                  "text": "All guards agree: remedy restart starts: `restart \"xa<\\u{1b}[2J\"`."
                },
                {
                  "at": "2s",
                  "incident": "1",
                  "text": "Remedy restart exited with code 1 after 2s."
                },
                {
                  "at": "2s",
                  "incident": "1",
                  "text": "Remedy restart is not tried again: it exited with code 1."
                },
                {
                  "at": "2s",
                  "incident": "1",
                  "text": "Closed as escalated: no remedy healed it: restart: exited with code 1."
                }
              ]
            }
          ]
        }
      ]
    }
    "#);
}

/// Times are of the machine: they are shown as `T`.
fn without_times(xml: &str) -> String {
    let mut parts = xml.split(" time=\"");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (time, rest) = part.split_once('"').unwrap();
        assert!(time.parse::<f64>().is_ok_and(|seconds| seconds < 60.0), "{time}");
        shown = format!("{shown} time=\"T\"{rest}");
    }
    shown
}

#[test]
fn junit_has_a_suite_for_each_file_and_a_case_for_each_test() {
    let texts = [("t.yml", TESTS), ("w.yml", "tests: <x>")];
    let (exit, _, _, xml) = run_on(&texts, &["--junit", "DIR/junit.xml"]);
    assert_eq!(exit, Exit::No);
    insta::assert_snapshot!(without_times(&xml), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="homeostat" tests="3" failures="1" errors="1" time="T">
      <testsuite name="t.yml" file="t.yml" tests="2" failures="1" errors="0" skipped="0" time="T">
        <testcase name="it acts" classname="t.yml" file="t.yml" line="3" time="T"/>
        <testcase name="it &lt;heals&gt; &amp; &quot;more&quot;" classname="t.yml" file="t.yml" line="8" time="T">
          <failure type="expectation" message="at 5s: expected outcome healed, found escalated">error: at 5s: expected outcome healed, found escalated
      --&gt; t.yml:15:22
       |
    15 |         exp_outcome: healed
       |                      ^^^^^^
       |
       = help: incident 1: no remedy healed it: restart: exited with code 1

    what happened:
    0s  Source alertmanager says that alert Down fires.
    0s  Incident 1 opened: policy web-down takes care of {instance="a&lt;\x1b[2J"}.
    0s  All guards agree: remedy restart starts: `restart "xa&lt;\u{1b}[2J"`.
    2s  Remedy restart exited with code 1 after 2s.
    2s  Remedy restart is not tried again: it exited with code 1.
    2s  Closed as escalated: no remedy healed it: restart: exited with code 1.</failure>
        </testcase>
      </testsuite>
      <testsuite name="w.yml" file="w.yml" tests="1" failures="0" errors="1" skipped="0" time="T">
        <testcase name="the file is valid" classname="w.yml" file="w.yml" time="T">
          <error type="invalid" message="this file has no `config_file`">error: this file has no `config_file`
     --&gt; w.yml:1:1
      |
    1 | tests: &lt;x&gt;
      | ^^^^^^^^^^
      |
      = help: name the policies to test: config_file: homeostat.yml

    error: expected a list of tests, found a text
     --&gt; w.yml:1:8
      |
    1 | tests: &lt;x&gt;
      |        ^^^</error>
        </testcase>
      </testsuite>
    </testsuites>
    "#);
}

#[test]
fn results_that_cannot_be_written_are_an_error() {
    let (exit, _, err, _) = run_on(&[("t.yml", TESTS)], &["--junit", "DIR/none/junit.xml"]);
    assert_eq!(exit, Exit::Cannot);
    assert!(err.contains("error: none/junit.xml: cannot be written"), "{err}");
}
