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
fn one_remedy_and_a_window_of_relapse_is_worth_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("homeostat.yml");
    let of = |policy: &str| {
        let head = "matchers: [a=b], target: [instance], mode: auto, escalate: none";
        let text = format!("policies:\n  - {{ name: a, {head}, {policy} }}\n");
        std::fs::write(&file, text).unwrap();
        let mut found = problems(&file);
        found.retain(|line| line.contains("a person is told"));
        found
    };
    let one = "remedies: [{ name: a, exec: [/bin/true] }]";
    let two = "remedies: [{ name: a, exec: [/bin/true] }, { name: b, exec: [/bin/true] }]";
    let wanted = "warning 2: if a heals and the alert comes back within 30m, a person is told";
    assert_eq!(of(one), [wanted]);
    assert!(of(&format!("relapse: 0s, {one}")).is_empty());
    assert!(of(two).is_empty());
}
