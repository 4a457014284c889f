use std::process::Command as Process;

use homeostat_core::label::LabelSet;
use homeostat_core::policy::{Action, Policy, TargetLabels};
use homeostat_core::template::{Place, Values};

use super::*;

/// The file that am-executor's own documentation would lead to.
const EXECUTOR: &str = r#"---
listen_address: ":23222"
verbose: yes
tls_key: "certs/key.pem"
commands:
  - cmd: /usr/local/bin/restart-service.sh
    args: ["--now", 5]
    match_labels:
      "alertname": "ServiceDown"
      "env": "testing"
    notify_on_failure: false
    resolved_signal: SIGUSR1
  - cmd: /bin/true
    max: 3
    ignore_resolved: true
"#;

fn wishes() -> Wishes {
    Wishes { mode: Mode::Shadow, alertmanager: None, target: Vec::new() }
}

fn translate(text: &str) -> Result<Translation, Report> {
    am_executor("executor.yml", text, &[], &wishes())
}

fn policies(new: &Translation) -> Vec<Policy> {
    let config = crate::load::parse("homeostat.yml", &new.text).unwrap();
    config.book.policies().to_vec()
}

#[test]
fn each_command_becomes_a_policy_that_says_how() {
    let new = translate(EXECUTOR).unwrap();
    let (_, policies) = new.text.split_once("\npolicies:\n").unwrap();
    insta::assert_snapshot!(policies, @r#"
      # line 6: "/usr/local/bin/restart-service.sh --now 5"
      # - notify_on_failure: false: no second try, and nobody is told.
      # - resolved_signal: "SIGUSR1" has no equal; a running command finishes.
      - name: service-down
        matchers: ['alertname="ServiceDown"', 'env="testing"']
        # target: [instance]   # what is healed; without it, one thing at a time
        mode: shadow
        continue: true
        escalate: none
        remedies:
          - name: restart-service
            exec: ["/usr/local/bin/restart-service.sh", "--now", "5"]
            timeout: 10m

      # line 13: "/bin/true"
      # - no match_labels: it takes every alert.
      # - max: 3 became guard.concurrency, which counts the policy's runs.
      # - notify_on_failure: a failure is tried again; nobody can be told yet.
      # - ignore_resolved: on_resolve: finish says the same.
      - name: "true"
        matchers: []
        # target: [instance]   # what is healed; without it, one thing at a time
        mode: shadow
        on_resolve: finish
        guard: { concurrency: 3 }
        escalate: none
        remedies:
          - name: "true"
            exec: ["/bin/true"]
            timeout: 10m
            retries: 1
    "#);
}

#[test]
fn what_has_no_equal_is_warned_of_at_its_place() {
    let new = translate(EXECUTOR).unwrap();
    let rows = new.warnings.rows();
    let warned: Vec<_> = rows.iter().map(|row| (row.line.unwrap(), row.message.as_str())).collect();
    assert_eq!(
        warned,
        [
            (2, "where to listen is no part of a configuration here"),
            (3, "how much is logged is no part of a configuration here"),
            (4, "how addresses are served is no part of a configuration here"),
            (12, "no equal: no signal of your choice is sent when an alert resolves"),
            (13, "this command runs for every alert that there is"),
        ]
    );
    assert_eq!(new.warnings.errors(), 0);
}

#[test]
fn wishes_stand_in_every_policy() {
    let wishes = Wishes {
        mode: Mode::Auto,
        alertmanager: Some("http://127.0.0.1:9093".into()),
        target: vec!["instance".into()],
    };
    let new = am_executor("executor.yml", EXECUTOR, &["/bin/last".into()], &wishes).unwrap();
    assert_eq!(new.policies, 3);
    assert!(new.text.contains("urls: [\"http://127.0.0.1:9093\"]"));
    for policy in policies(&new) {
        assert_eq!(policy.mode, Mode::Auto);
        assert_eq!(policy.target, TargetLabels::Named(vec!["instance".into()]));
    }
    assert_eq!(new.text.matches("escalate: { after: 15m, severity: critical }").count(), 2);
    assert_eq!(new.text.matches("continue: true").count(), 2, "all that match run");
}

#[test]
fn a_wish_that_no_configuration_could_hold_is_told() {
    let wrong = Wishes { alertmanager: Some("localhost".into()), ..wishes() };
    assert!(wrong.check().unwrap_err().starts_with("not a URL"));
    let wrong = Wishes { target: vec!["{{ x }}".into()], ..wishes() };
    assert!(wrong.check().unwrap_err().contains("target"));
    assert_eq!(wishes().check(), Ok(()));
}

#[test]
fn what_am_executor_never_runs_is_left_out() {
    let text = "commands:\n- { cmd: a, args: [x] }\n- { cmd: a, args: [x], max: 2 }\n\
                - { cmd: b, match_labels: { job: '' } }\n";
    let new = translate(text).unwrap();
    assert_eq!(new.policies, 1);
    let left_out = new.warnings.rows().into_iter().filter(|row| row.message.contains("left out"));
    assert_eq!(left_out.map(|row| row.line.unwrap()).collect::<Vec<_>>(), [3, 4]);
    let nothing = translate("commands: [{ cmd: b, match_labels: { job: '' } }]").unwrap();
    assert!(nothing.text.ends_with("\npolicies: []\n"));
}

#[test]
fn values_are_read_as_am_executor_reads_them() {
    for (key, told) in [("yes", true), ("Off", false), ("true", true), ("n", false)] {
        let new = translate(&format!("commands: [{{ cmd: a, notify_on_failure: {key} }}]"));
        assert_eq!(new.unwrap().text.contains("retries: 1"), told, "{key}");
    }
    for (max, guard) in [("0", false), ("-1", false), ("2", true)] {
        let new = translate(&format!("commands: [{{ cmd: a, max: {max} }}]")).unwrap();
        assert_eq!(new.text.contains(&format!("concurrency: {max}")), guard, "{max}");
    }
}

#[test]
fn names_are_well_formed_and_unique() {
    let long = "x".repeat(200);
    let text = format!(
        "commands: [{{ cmd: /a/Restart_Me.sh }}, {{ cmd: restart-me }}, {{ cmd: '+' }}, \
         {{ cmd: '{long}' }}, {{ cmd: '{long}y' }}, {{ cmd: a, match_labels: {{ alertname: é }} }}]"
    );
    let new = translate(&text).unwrap();
    let names: Vec<_> = policies(&new).iter().map(|policy| policy.name.to_string()).collect();
    assert_eq!(names[..3], ["restart-me", "restart-me-2", "command"]);
    assert_eq!(names[5], "a");
}

#[test]
fn what_is_wrong_has_a_place_and_is_not_translated() {
    for (text, line, message) in [
        ("commands:\n- { cmd: a, match_label: {} }", 2, "unknown key \"match_label\""),
        ("commands:\n- { args: [a] }", 2, "this command names no program"),
        ("commands:\n- { cmd: ' ' }", 2, "this command names no program"),
        ("commands:\n- { cmd: a, max: many }", 2, "expected a whole number, found a text"),
        ("commands:\n- { cmd: a, args: b }", 2, "expected a list of texts, found a text"),
        ("commands:\n- { cmd: a, match_labels: [b] }", 2, "expected a map of labels and values"),
        ("commands:\n- { cmd: a, match_labels: { b: 1, b: 2 } }", 2, "given twice"),
        ("commands:\n- { cmd: a, ignore_resolved: 2 }", 2, "expected true or false"),
        ("commands:\n- a", 2, "expected a command of am-executor as a map, found a text"),
        ("a: [", 1, "not valid YAML"),
        ("commands:\n- { cmd: 'a{{', args: ['{{ .Labels.x }}'] }", 2, "placeholder"),
        ("commands:\n- { cmd: a, args: [\"\\0\"] }", 2, "NUL"),
    ] {
        let report = translate(text).unwrap_err();
        let row = report.rows().into_iter().find(|row| row.severity == Severity::Error).unwrap();
        assert_eq!(row.line, Some(line), "{text}: {report}");
        assert!(row.message.contains(message), "{text}: {report}");
    }
    for text in ["", "commands: []", "verbose: true"] {
        assert!(translate(text).unwrap_err().to_string().contains("no command to run"), "{text}");
    }
}

const HOSTILE: [&str; 22] = [
    "plain",
    "",
    " ",
    "5",
    "true",
    "~",
    "# no comment",
    "a: b",
    "it's \"quoted\" \\ and \\n",
    "line\nfeed\r\n\ttab\n",
    "\u{1}\u{7f}\u{85}\u{2028}\u{202e}\u{feff}",
    "é 日本 🦀 e\u{301}",
    "'",
    "''\"\"",
    "{{ labels_of_nobody }}",
    "{% if %}",
    "${#array[@]}",
    "{\n",
    "{{{{%{#",
    "}} {{.State.Status}} {{",
    "\n{{x}}\n\n  indented\n",
    "-rf *; $(touch pwned) `id` & | > <",
];

/// A scalar that can only be read as what is meant: every character is escaped.
fn escaped(text: &str) -> String {
    let escapes = text.chars().map(|c| format!("\\U{:08x}", u32::from(c)));
    format!("\"{}\"", escapes.collect::<String>())
}

/// The arguments as the action would get them.
fn arguments(action: &Action) -> Vec<String> {
    match action {
        Action::Exec(argv) => {
            let values = Values {
                labels: LabelSet::default(),
                annotations: LabelSet::default(),
                incident: 1,
                policy: String::new(),
                remedy: String::new(),
                attempt: 1,
                key: String::new(),
            };
            let argv = argv.iter().map(|part| part.render(Place::Argument, &values).unwrap());
            argv.skip(2).collect()
        }
        Action::Http(_) | Action::Call(_) | Action::Errand(_) => {
            panic!("am-executor has commands only")
        }
        Action::Script(text) => {
            let output = Process::new("/bin/sh").arg("-c").arg(&**text).output().unwrap();
            let printed = String::from_utf8(output.stdout).unwrap();
            printed.split_terminator('\0').map(str::to_owned).collect()
        }
    }
}

#[test]
fn no_argument_can_become_another_one() {
    let pairs = HOSTILE.iter().flat_map(|a| HOSTILE.iter().map(move |b| [*a, *b]));
    for pair in pairs {
        let (format, a, b) = (escaped("%s\\0"), escaped(pair[0]), escaped(pair[1]));
        let text = format!("commands: [{{ cmd: printf, args: [{format}, {a}, {b}] }}]");
        let new = translate(&text).unwrap_or_else(|report| panic!("{report}"));
        let policies = policies(&new);
        assert_eq!(arguments(&policies[0].remedies[0].action), pair, "{}", new.text);
    }
}

#[test]
fn no_label_can_become_another_condition() {
    let pairs = HOSTILE.iter().flat_map(|a| HOSTILE.iter().map(move |b| (*a, *b)));
    for (name, value) in pairs.filter(|(name, value)| !name.is_empty() && !value.is_empty()) {
        let labels = format!("{{ {}: {} }}", escaped(name), escaped(value));
        let text = format!("commands: [{{ cmd: a, match_labels: {labels} }}]");
        let new = translate(&text).unwrap_or_else(|report| panic!("{report}"));
        let policies = policies(&new);
        let read: Vec<_> = policies[0].matchers.iter().map(|m| (m.name(), m.value())).collect();
        assert_eq!(read, [(name, value)], "{}", new.text);
        assert!(policies[0].matchers.matches(&LabelSet::from_pairs([(name, value)])));
        assert!(!policies[0].matchers.matches(&LabelSet::from_pairs([(name, "other")])));
    }
}
