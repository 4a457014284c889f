use homeostat_core::alert::Status;
use homeostat_core::approval::Terms;
use homeostat_core::clock::Leap;
use homeostat_core::command::Command;
use homeostat_core::name::{RemedyName, SourceName};
use homeostat_core::operator::{Known, Operator, Way};
use homeostat_core::order::{Ended, Found, Outcome};
use homeostat_core::owner::{Owner, Whose};
use homeostat_core::scenario::{Answer, Asked, Input, Signal, Step, WhichRun};

use super::*;

const CONFIG: &str = "
policies:
  - name: web-down
    matchers: ['alertname=\"Down\"']
    target: [instance]
    mode: auto
    escalate: none
    remedies: [{ name: restart, exec: [restart] }, { name: reboot, exec: [reboot] }]
";

/// Reads a text beside a configuration, and shows what is wrong without the directory's name.
fn read(text: &str) -> Result<PolicyTests, String> {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("h.yml"), CONFIG).unwrap();
    std::fs::write(directory.path().join("bad.yml"), "policys: []\n").unwrap();
    let name = directory.path().join("t.yml").display().to_string();
    parse(&name, text.to_owned()).map_err(|reports| {
        let shown: Vec<String> = reports.iter().map(ToString::to_string).collect();
        shown.join("\n\n").replace(&format!("{}/", directory.path().display()), "")
    })
}

/// One test with these steps and expectations, each a flow map.
fn file(steps: &str, expect: &str) -> String {
    format!(
        "config_file: h.yml\ntests:\n  - name: one\n    steps: [{steps}]\n    expect: [{expect}]\n"
    )
}

fn wrong(steps: &str, expect: &str) -> String {
    read(&file(steps, expect)).expect_err("the file is wrong")
}

const ENOUGH: &str = "{ eval_time: 1h, exp_incidents: 0 }";

fn signal() -> Signal {
    Signal {
        source: SourceName::new("api"),
        labels: LabelSet::from_pairs([
            ("alertname", "Down"),
            ("instance", "a:80"),
            ("no", "true"),
            ("text", "a 'b' \"c\" {d}: #e\n\u{7f}ü, - x"),
        ]),
        annotations: LabelSet::from_pairs([("summary", "5"), ("empty key: x", "~")]),
        lost: false,
    }
}

fn commands() -> Vec<Input> {
    let known = Known {
        who: "user:ada".into(),
        way: Way::Unasked,
        groups: vec!["group:dba".into()],
        address: String::new(),
    };
    let mut commands = vec![
        Input::Command {
            command: Command::Retry,
            target: None,
            by: "ada".into(),
            reason: String::new(),
            ahead: None,
        },
        Input::Command {
            command: Command::Approve,
            target: None,
            by: Operator { claimed: String::new(), known: Some(known) },
            reason: String::new(),
            ahead: Some(Terms { uses: 5, lasts: Span::from_secs(86_400) }),
        },
    ];
    commands.extend(Command::ALL.map(|command| Input::Command {
        command,
        target: Some(LabelSet::from_pairs([("instance", "a:80")])),
        by: "ada".into(),
        reason: "because: #1".into(),
        ahead: None,
    }));
    commands
}

fn inputs() -> Vec<Input> {
    let which = |target: Option<LabelSet>| WhichRun {
        remedy: RemedyName::new("restart"),
        policy: target.is_some().then(|| PolicyName::new("web-down")),
        target,
    };
    let narrow = |labels: LabelSet| Asked {
        policy: Some(PolicyName::new("web-down")),
        labels,
        ..Asked::default()
    };
    let moment: Timestamp = "2026-01-05T08:00:00Z".parse().unwrap();
    let mut inputs = vec![
        Input::Fire(signal()),
        Input::Fire(Signal { lost: true, ..signal() }),
        Input::Resolve(Signal { annotations: LabelSet::default(), ..signal() }),
        Input::Send {
            signal: signal(),
            status: Status::Resolved,
            starts_at: Some(moment),
            ends_at: Some(moment),
        },
        Input::Send { signal: signal(), status: Status::Firing, starts_at: None, ends_at: None },
        Input::Progress { run: which(None), text: "half: done".into() },
        Input::Pause { by: "ada".into(), reason: "because: #1".into() },
        Input::Resume { by: "on".into() },
        Input::Crash(Found::NotStarted),
        Input::Jump(Leap::Forwards(Span::from_secs(3600))),
        Input::Jump(Leap::Back(Span::from_secs(90))),
        Input::Crash(Found::Unknown("it started, and no exit is recorded".into())),
        Input::Crash(Found::Ended(Ended {
            outcome: Outcome::Exited { code: 0 },
            started_at: None,
            output: String::new(),
            left: Vec::new(),
        })),
        Input::Answer(narrow(LabelSet::from_pairs([("a", "b")])), Answer::Unlisted),
        Input::Answer(narrow(LabelSet::default()), Answer::RuleStuck),
        Input::Answer(
            Asked { query: Some("up{x=\"y\"} == 1".into()), ..Asked::default() },
            Answer::Query(1),
        ),
    ];
    let why = || "why: not".to_owned();
    let outcomes = [
        Outcome::Exited { code: 3 },
        Outcome::Signalled { signal: 9 },
        Outcome::Answered { status: 202, expected: true },
        Outcome::Answered { status: 202, expected: false },
        Outcome::Done,
        Outcome::Failed { reason: why() },
        Outcome::TimedOut,
        Outcome::NotStarted { reason: why() },
        Outcome::Refused { reason: why() },
        Outcome::Unknown { reason: why() },
    ];
    inputs.extend(commands());
    inputs.extend(outcomes.into_iter().map(|outcome| Input::Exit {
        run: which(Some(LabelSet::from_pairs([("instance", "a:80")]))),
        outcome,
        output: "line 1\nline 2".into(),
    }));
    let (kind, name, uid) = ("Deployment", "web", "uid-of-Deployment-web");
    let owner = Owner { kind: kind.into(), name: name.into(), uid: uid.into() };
    let answers = [
        Answer::AlertmanagerErrs(why()),
        Answer::AlertmanagerEmpty,
        Answer::Silenced(why()),
        Answer::AlertmanagerTruth,
        Answer::PrometheusErrs(why()),
        Answer::PrometheusTruth,
        Answer::RulesErr(why()),
        Answer::NoRule,
        Answer::RuleUnhealthy(why()),
        Answer::RuleFires,
        Answer::RuleInactive,
        Answer::RulePending,
        Answer::RuleKeptFiring(Span::from_secs(90)),
        Answer::RulesTruth,
        Answer::Query(0),
        Answer::QueryErrs(why()),
        Answer::Inventory(3),
        Answer::InventoryErrs(why()),
        Answer::Owner(Whose::Of(owner)),
        Answer::Owner(Whose::Nobody { why: why() }),
        Answer::OwnerErrs(why()),
    ];
    inputs.extend(answers.into_iter().map(|answer| Input::Answer(Asked::default(), answer)));
    inputs
}

#[test]
fn every_step_that_is_printed_reads_back() {
    for input in inputs() {
        let step = Step { at: Span::from_secs(5), input };
        let tests =
            read(&file(&step.to_string(), ENOUGH)).unwrap_or_else(|e| panic!("{step}\n{e}"));
        let (back, _) = &tests.tests[0].steps[0];
        assert_eq!(format!("{back:?}"), format!("{step:?}"), "{step}");
    }
}

#[test]
fn a_reload_reads_its_configuration() {
    let tests = read(&file("{ at: 0s, reload: h.yml }", ENOUGH)).unwrap();
    let (step, _) = &tests.tests[0].steps[0];
    assert_eq!(step.to_string(), "{ at: 0s, reload: h.yml }");
}

#[test]
fn an_alert_comes_from_the_first_alertmanager_or_from_the_bare_hook() {
    let steps = "{ at: 0s, fire: { alertname: Down } }";
    let tests = read(&file(steps, ENOUGH)).unwrap();
    let Input::Fire(signal) = &tests.tests[0].steps[0].0.input else { panic!("not a firing") };
    assert_eq!(signal.source.as_str(), "alertmanager");
    assert_eq!(tests.tests[0].start.to_string(), START);
}

#[test]
fn all_errors_are_found_at_once_each_with_its_place_and_help() {
    let text = "\
config_file: h.yml
evaluation_interval: 1m
tests:
  - name: one
    steps:
      - { at: 5, fire: { alertname: Down } }
      - { at: 5s, fier: { alertname: Down } }
      - { at: 4s, fire: { alertname: Down }, exit: { remedy: restart, code: 0 } }
      - { at: 1s, approve: { incident: 1 } }
    expect:
      - { eval_time: 1s, exp_state: healed, exp_holds: [coldown] }
      - { exp_order: [], exp_grade: sure }
  - name: one
    expect: []
";
    insta::assert_snapshot!(read(text).unwrap_err(), @r#"
    error: unknown key "evaluation_interval" in a file of policy tests
     --> t.yml:2:1
      |
    2 | evaluation_interval: 1m
      | ^^^^^^^^^^^^^^^^^^^
      |
      = help: time runs from event to event here: leave it out

    error: duration without unit: expected 5 with y, w, d, h, m, s or ms
     --> t.yml:6:15
      |
    6 |       - { at: 5, fire: { alertname: Down } }
      |               ^
      |
      = help: a duration has a unit: write 5s

    error: unknown key "fier" in a step
     --> t.yml:7:19
      |
    7 |       - { at: 5s, fier: { alertname: Down } }
      |                   ^^^^
      |
      = help: did you mean "fire"?

    error: a step does one thing, and here are `fire` and `exit`
     --> t.yml:8:9
      |
    8 |       - { at: 4s, fire: { alertname: Down }, exit: { remedy: restart, code: 0 } }
      |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    error: unknown key "incident" in a command
     --> t.yml:9:30
      |
    9 |       - { at: 1s, approve: { incident: 1 } }
      |                              ^^^^^^^^
      |
      = help: name its target: target: { instance: "a:80" }

    error: there is no state "healed"
      --> t.yml:11:37
       |
    11 |       - { eval_time: 1s, exp_state: healed, exp_holds: [coldown] }
       |                                     ^^^^^^
       |
       = help: that is an outcome: write exp_outcome: healed

    error: there is no guard "coldown"
      --> t.yml:11:57
       |
    11 |       - { eval_time: 1s, exp_state: healed, exp_holds: [coldown] }
       |                                                         ^^^^^^^
       |
       = help: did you mean "cooldown"?

    error: this expectation has no `eval_time`
      --> t.yml:12:9
       |
    12 |       - { exp_order: [], exp_grade: sure }
       |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: say when it is looked at: eval_time: 1m

    error: unknown key "exp_order" in an expectation
      --> t.yml:12:11
       |
    12 |       - { exp_order: [], exp_grade: sure }
       |           ^^^^^^^^^
       |
       = help: did you mean "exp_orders"?

    error: there is no grade "sure"
      --> t.yml:12:37
       |
    12 |       - { exp_order: [], exp_grade: sure }
       |                                     ^^^^
       |
       = help: there are: reported, confirmed, proven

    error: this test expects nothing
      --> t.yml:13:5
       |
    13 |   - name: one
       |     ^^^^^^^^^
       |
       = help: add expect: [{ eval_time: 1s, exp_state: acting }]

    error: a second test is named "one"
      --> t.yml:13:11
       |
    13 |   - name: one
       |           ^^^
       |
       = help: names are unique in a file
    "#);
}

#[test]
fn what_a_step_says_must_make_sense() {
    for (step, wanted) in [
        ("{ at: 0s }", "a step does nothing"),
        ("{ fire: { alertname: Down } }", "this step has no `at`"),
        ("{ at: 0s, fire: {} }", "an alert has labels"),
        ("{ at: 0s, fire: [Down] }", "expected labels as a map"),
        ("{ at: 0s, pause: { reason: x }, lost: true }", "`lost` does not go with `pause`"),
        ("{ at: 0s, exit: { remedy: restrat, code: 0 } }", "did you mean \"restart\"?"),
        ("{ at: 0s, exit: { code: 0 } }", "which run is meant?"),
        ("{ at: 0s, exit: { remedy: restart } }", "a run ends by nothing"),
        ("{ at: 0s, exit: { remedy: restart, code: 256 } }", "`code` is at most 255"),
        ("{ at: 0s, exit: { remedy: restart, code: 0, signal: 9 } }", "`code` and `signal`"),
        ("{ at: 0s, exit: { remedy: restart, done: false } }", "`done: false` says nothing"),
        (
            "{ at: 0s, exit: { remedy: restart, code: 0, expected: true } }",
            "goes with `http_status`",
        ),
        ("{ at: 0s, exit: { remedy: restart, spawn_error: x } }", "write `not_started`"),
        ("{ at: 0s, answer: { holds: true } }", "who answers?"),
        ("{ at: 0s, answer: { probe: querry, holds: true } }", "did you mean \"query\"?"),
        ("{ at: 0s, answer: { probe: query, value: 1 } }", "`query` does not answer with"),
        ("{ at: 0s, answer: { probe: query } }", "this answer says nothing"),
        ("{ at: 0s, answer: { probe: query, silenced: x } }", "`query` does not answer with"),
        ("{ at: 0s, answer: { probe: rules, firing: true, query: up } }", "not asked by `query`"),
        ("{ at: 0s, answer: { probe: rules, empty: true, policy: web } }", "there is no policy"),
        ("{ at: 0s, crash: { found: nothing } }", "there are: not_started, unknown"),
        ("{ at: 0s, jump: { forwards: 60s } }", "a jump is by more than 1m"),
        ("{ at: 0s, jump: { forwards: 1h, back: 1h } }", "`forwards` and `back`"),
        ("{ at: 0s, jump: { back: 60d } }", "is more than 30d"),
        ("{ at: 0s, jump: {} }", "a jump goes by nothing"),
        ("{ at: 0s, pause: { by: ada } }", "a pause has a `reason`"),
        ("{ at: 0s, send: { a: b }, status: fired }", "there is no status \"fired\""),
        ("{ at: 0s, send: { a: b }, starts_at: soon }", "write it as in 2026-01-05T09:00:00Z"),
        ("{ at: 0s, reload: bad.yml }", "unknown key \"policys\""),
        ("{ at: 0s, reload: none.yml }", "none.yml: cannot be read"),
        ("{ at: 2h, resume: {} }", "nothing is expected after 1h"),
        ("{ at: 60d, resume: {} }", "is later than 30d"),
        ("{ at: 0s, retry: { target: [a] } }", "expected labels as a map"),
        ("{ at: 0s, reject: ada }", "expected a command as a map"),
        ("{ at: 0s, cancel: {}, lost: true }", "`lost` does not go with `cancel`"),
    ] {
        let found = wrong(step, ENOUGH);
        assert!(found.contains(wanted), "{step}: expected {wanted:?} in\n{found}");
    }
}

#[test]
fn what_is_expected_must_make_sense() {
    for (expectation, wanted) in [
        ("{ exp_state: acting }", "this expectation has no `eval_time`"),
        ("{ eval_time: 1s }", "this expectation expects nothing"),
        ("{ eval_time: 1s, exp_state: activ }", "did you mean \"acting\"?"),
        ("{ eval_time: 1s, exp_state: healed }", "write exp_outcome: healed"),
        ("{ eval_time: 1s, exp_outcome: acting }", "there is no outcome \"acting\""),
        ("{ eval_time: 1s, exp_grade: provn }", "did you mean \"proven\"?"),
        ("{ eval_time: 1s, exp_holds: cooldown }", "write exp_holds: [cooldown]"),
        ("{ eval_time: 1s, exp_orders: [{ remedy: restart, exec: x }] }", "write `action`"),
        ("{ eval_time: 1s, exp_orders: [{ remedy: restrat }] }", "did you mean \"restart\"?"),
        ("{ eval_time: 1s, exp_orders: { remedy: restart } }", "begin each element with `- `"),
        ("{ eval_time: 1s, exp_notices: [{ reasn: x }] }", "did you mean \"reason\"?"),
        ("{ eval_time: 1s, exp_incidents: -1 }", "is not a whole number"),
        ("{ eval_time: 1s, exp_notices: [{ topic: guards }] }", "did you mean \"guard\"?"),
        ("{ at: 1s, exp_incidents: 0 }", "write eval_time: 5s"),
        (
            "{ eval_time: 2s, exp_incidents: 0 }, { eval_time: 1s, exp_incidents: 0 }",
            "this expectation at 1s stands after one at 2s",
        ),
    ] {
        let found = wrong("", expectation);
        assert!(found.contains(wanted), "{expectation}: expected {wanted:?} in\n{found}");
    }
}

#[test]
fn a_file_needs_a_configuration_and_tests() {
    for (text, wanted) in [
        ("", "there are no tests in it"),
        ("tests: []", "this file has no `config_file`"),
        ("config_file: h.yml", "there are no `tests` in this file"),
        ("config_file: none.yml\ntests: []", "the configuration none.yml cannot be used"),
        ("rule_files: [a.yml]\ntests: []", "write config_file: homeostat.yml"),
        ("- a", "expected a file of policy tests as a map"),
        ("a: [", "not valid YAML"),
    ] {
        let found = read(text).expect_err(text);
        assert!(found.contains(wanted), "{text}: expected {wanted:?} in\n{found}");
    }
}
