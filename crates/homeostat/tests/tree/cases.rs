//! Small inputs that an engine once got wrong, each of which stands for a kind: every policy test in
//! `cases` passes, and what can never do what it says does not pass `check`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

fn homeostat(arguments: &[&str], files: &[PathBuf]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_homeostat"));
    command.current_dir(cases()).args(arguments).args(files).output().unwrap()
}

fn said(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

#[test]
fn every_case_does_what_it_should() {
    let entries = std::fs::read_dir(cases()).unwrap().map(|entry| entry.unwrap().path());
    let is_test = |path: &PathBuf| path.to_string_lossy().ends_with(".test.yml");
    let mut files: Vec<PathBuf> = entries.filter(is_test).collect();
    files.sort();
    assert!(files.len() >= 2, "{files:?}");
    let output = homeostat(&["test"], &files);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(said(&output).matches("ok    ").count(), files.len());
}

/// What `check` says of a policy file, as JSON: each problem as `severity line: message`.
fn problems(file: &Path) -> Vec<String> {
    let output = homeostat(&["check", "--output=json", "--config.file"], &[file.to_owned()]);
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let problems = answer["problems"].as_array().unwrap().iter();
    let tell = |problem: &serde_json::Value| {
        assert!(problem["help"].is_string(), "no help: {problem}");
        let text = |key: &str| problem[key].as_str().unwrap().to_owned();
        format!("{} {}: {}", text("severity"), problem["line"], text("message"))
    };
    problems.map(tell).collect()
}

#[test]
fn each_line_that_can_never_do_what_it_says_is_told() {
    let found = problems(Path::new("check.yml"));
    for wanted in [
        "error 5: variables of the environment are not expanded here",
        "warning 6: there is no such file on this machine",
        "error 9: alerts with the label \"homeostat\" are Homeostat's own",
        "error 14: there is nothing at this path",
        "error 15: no shell expands `~` here",
        "error 16: no shell expands variables here",
        "error 17: no shell splits this into words",
        "warning 18: there is no program \"no-such-program-xyz\"",
        "error 19: no shell reads \"&&\" here",
        "warning 20: no shell expands this pattern",
        "error 21: no label has parts: labels.k8s.pod.name",
        "error 22: a placeholder cannot stand in shell text",
        "error 23: a placeholder cannot stand here: `ssh` hands",
        "warning 28: this query looks at nothing",
        "warning 29: 10 percent of fewer than 10 targets is none",
    ] {
        assert!(found.iter().any(|line| line.starts_with(wanted)), "{wanted}: {found:#?}");
    }
}

/// One line a kind: the action, and how what is said of it begins.
const NEVER: &[(&str, &str)] = &[
    ("exec: [scripts/fix.sh]", "error 5: there is nothing at this path"),
    ("exec: [../fix.sh]", "error 5: there is nothing at this path"),
    ("exec: [/bin/cat, ~/a]", "error 5: no shell expands `~`"),
    ("exec: [/bin/cat, '~root/a']", "error 5: no shell expands `~`"),
    ("exec: [/bin/echo, '${HOME}/a']", "error 5: no shell expands variables"),
    ("exec: [/bin/echo, '--home=$HOME']", "error 5: no shell expands variables"),
    ("exec: [/bin/echo, $HOMEOSTAT_LABEL_instance]", "error 5: no shell expands variables"),
    ("exec: [/bin/echo, a, '||', /bin/echo, b]", "error 5: no shell reads \"||\""),
    ("exec: [/bin/echo, a, '|', /bin/cat]", "error 5: no shell reads \"|\""),
    ("exec: [/bin/echo, a, ;, /bin/echo, b]", "error 5: no shell reads \";\""),
    ("exec: [/bin/echo, a, '>', /dev/null]", "error 5: no shell reads \">\""),
    ("exec: [/bin/echo, a, '2>&1']", "error 5: no shell reads \"2>&1\""),
    ("exec: [/bin/echo, a, '2>/dev/null']", "error 5: no shell reads \"2>/dev/null\""),
    ("exec: [/bin/cat, <, /dev/null]", "error 5: no shell reads \"<\""),
    ("exec: [/bin/ls, '*.log']", "warning 5: no shell expands this pattern"),
    ("exec: [/bin/sh, -ec, 'echo {{ labels.a }}']", "error 5: a placeholder cannot stand in shell"),
    ("exec: [/usr/bin/env, -S, 'a {{ labels.a }}']", "error 5: a placeholder cannot stand in text"),
    ("exec: [/bin/su, root, -c, 'echo {{ labels.a }}']", "error 5: a placeholder cannot stand in"),
    ("exec: [ssh, h, echo, '{{ labels.a }}']", "error 5: a placeholder cannot stand here: `ssh`"),
    ("exec: [python3, -c, 'print({{ labels.a }})']", "error 5: a placeholder cannot stand in the"),
    ("exec: [watch, ls, '{{ labels.a }}']", "error 5: a placeholder cannot stand in shell text"),
    ("exec: [make, 'UNIT={{ labels.a }}']", "error 5: a placeholder cannot stand in shell text"),
    (
        "exec: [sed, -i, 's/a/{{ labels.a }}/', /etc/a]",
        "error 5: a placeholder cannot stand in the",
    ),
    ("exec: [find, /a, -exec, perl, -e, '{{ labels.a }}', ;]", "error 5: a placeholder cannot"),
    // The filter makes it no program, and is of no use to another language.
    ("exec: [sh, -c, '{{ labels.a | word }} x']", "error 5: a placeholder cannot stand in shell"),
    ("exec: [sh, -c, 'a; {{ labels.a | word }}']", "error 5: a placeholder cannot stand in shell"),
    ("exec: [ssh, h, sudo, '{{ labels.a | word }}']", "error 5: a placeholder cannot stand here"),
    ("exec: [ssh, h, sh, -c, '{{ labels.a | word }}']", "error 5: a placeholder cannot stand here"),
    ("exec: [sh, -c, 'x {{ labels.a ~ labels.b | word }}']", "error 5: a placeholder cannot stand"),
    ("exec: [sh, -c, 'x {{ labels.a | word | lower }}']", "error 5: a placeholder cannot stand"),
    ("exec: [sh, -c, 'awk {{ labels.a | word }}']", "error 5: a placeholder cannot stand in shell"),
    ("exec: [python3, -c, 'print({{ labels.a | word }})']", "error 5: a placeholder cannot stand"),
    ("exec: [bash, /no/such/file.sh]", "warning 5: there is no such file on this machine"),
    ("exec: [/etc/passwd]", "warning 5: there is no program \"/etc/passwd\" on this machine"),
    ("script: \"#!/no/such/shell\\ntrue\"", "warning 5: there is no program \"/no/such/shell\""),
    ("script: \"#!/usr/bin/env no-such\\ntrue\"", "warning 5: there is no program \"no-such\""),
    ("script: \" #!/bin/sh\\ntrue\"", "warning 5: this line is a comment: /bin/sh runs the script"),
    ("exec: [/bin/echo, --password=hunter2]", "warning 5: this looks like a secret"),
    ("exec: [/bin/echo, --api-token, hunter2]", "warning 5: this looks like a secret"),
    ("exec: [curl, -H, 'Authorization: Bearer a']", "warning 5: this looks like a secret"),
    ("exec: [curl, 'https://a:b@c.example/']", "warning 5: this looks like a secret"),
    ("exec: [env, PGPASSWORD=a, /bin/true]", "warning 5: this looks like a secret"),
    (
        "http: { url: 'https://hooks.slack.com/services/T/B/x' }",
        "warning 5: this path looks like a",
    ),
    ("http: { url: 'https://a.example/', headers: { A: '${B}' } }", "warning 5: variables of the"),
    (
        "http: { url: 'https://a.example/', basic_auth: { username: $A } }",
        "warning 5: variables of",
    ),
];

/// What looks like the above and does what it says.
const FINE: &[&str] = &[
    "exec: [systemctl, restart, 'web@{{ labels.instance | host }}.service']",
    "exec: [curl, 'http://a.example/?a=b&c=d']",
    "exec: [rsync, -a, ./src/, 'host:/dst']",
    "exec: [find, /var, -name, '*.log', -exec, rm, '{}', ;]",
    "exec: [grep, -e, '^a.*$', /etc/hosts]",
    "exec: [awk, '{ print $1 }', /etc/hosts]",
    "exec: [git, reset, --hard, HEAD~1]",
    "exec: [ssh, --, 'root@{{ labels.instance | host }}', systemctl, restart, a, '&&', echo, $HOME]",
    "exec: [sh, -c, 'cat < /dev/null && echo \"$1\"', sh, '{{ labels.a }}']",
    "exec: [su, web, -c, 'echo $HOME > /tmp/a']",
    "exec: [sh, -c, 'systemctl restart web@{{ labels.a | host | word }} && echo \"{{ labels.b | word }}\"']",
    "exec: [ssh, --, a, sudo, systemctl, restart, '{{ labels.a | word }}']",
    "exec: [curl, -H, 'Authorization: {{ labels.a }}', --cookie-jar, /dev/null, 'http://a/']",
    "exec: [mysql, --password-file=/run/a, --token-file, /run/b]",
    "http: { url: 'https://a.example/0b0a8f0e-2f4c-4b0e-9c6c-0d1f2a3b4c5d/restart' }",
    "script: \"#!/bin/sh -e\\ntrue\"",
    "exec: [psql, -c, 'select * from a where b > 1']",
    "exec: [echo, \"{{ labels['k8s.pod.name'] }}\"]",
    "script: 'cd ~ && ./fix.sh > /dev/null'",
];

fn of_action(action: &str) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("homeostat.yml");
    let text = format!(
        "policies:\n  - {{ name: a, matchers: [a=b], target: [instance], mode: auto, escalate: none,\n      \
         relapse: 0s,\n      remedies:\n      [{{ name: r, {action} }}] }}\n"
    );
    std::fs::write(&file, text).unwrap();
    problems(&file)
}

#[test]
fn words_that_only_a_shell_understands_are_told_of_whatever_they_are() {
    for (action, wanted) in NEVER {
        let found = of_action(action);
        assert!(found.iter().any(|line| line.starts_with(wanted)), "{action}: {found:#?}");
    }
}

#[test]
fn commands_that_do_what_they_say_pass() {
    for action in FINE {
        let mut found = of_action(action);
        // Whether the program is there is another question.
        found.retain(|line| !line.contains("there is no program"));
        assert!(found.is_empty(), "{action}: {found:#?}");
    }
}

#[test]
fn commands_that_tell_people_are_checked_like_remedies() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("homeostat.yml");
    for (words, wanted) in [
        ("scripts/page.sh", "error 1: there is nothing at this path"),
        ("/bin/echo, a, '&&', /bin/echo", "error 1: no shell reads \"&&\""),
        ("/bin/cat, ~/a", "error 1: no shell expands `~`"),
        ("/bin/echo, $HOMEOSTAT_NOTICE_SUMMARY", "error 1: no shell expands variables"),
        ("no-such-program-xyz", "warning 1: there is no program \"no-such-program-xyz\""),
        ("/bin/echo, --token=a", "warning 1: this looks like a secret"),
    ] {
        std::fs::write(&file, format!("notify: [{{ name: a, exec: [{words}] }}]\n")).unwrap();
        let found = problems(&file);
        assert!(found.iter().any(|line| line.starts_with(wanted)), "{words}: {found:#?}");
    }
}

#[test]
fn what_looks_like_a_secret_is_not_shown() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("homeostat.yml");
    let text = "notify:\n  - { name: a, exec: [/bin/echo, --token=hunter2] }\n  - { name: b, webhook: { \
                url: 'https://hooks.slack.com/services/T/B/hunter2' } }\n";
    std::fs::write(&file, text).unwrap();
    let output = homeostat(&["check", "--config.file"], &[file]);
    let said = said(&output);
    assert!(said.contains("looks like a secret") && said.contains("****"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn one_remedy_and_a_window_of_relapse_is_worth_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("homeostat.yml");
    let of = |mode: &str, policy: &str| {
        let head = format!("matchers: [a=b], target: [instance], mode: {mode}, escalate: none");
        let text = format!("policies:\n  - {{ name: a, {head}, {policy} }}\n");
        std::fs::write(&file, text).unwrap();
        let mut found = problems(&file);
        found.retain(|line| line.contains("a person is told"));
        found
    };
    let one = "remedies: [{ name: a, exec: [/bin/true] }]";
    let two = "remedies: [{ name: a, exec: [/bin/true] }, { name: b, exec: [/bin/true] }]";
    let wanted = "warning 2: if a heals and the alert comes back within 30m, a person is told";
    assert_eq!(of("auto", one), [wanted]);
    let later = "note 2: once this policy acts: if a heals and the alert comes back within 30m, a person \
                 is told";
    assert_eq!(of("shadow", one), [later]);
    for mode in ["auto", "shadow"] {
        assert!(of(mode, &format!("relapse: 0s, {one}")).is_empty());
        assert!(of(mode, two).is_empty());
    }
}
