//! What remedies must not make worse, and their undos.

use homeostat_core::policy::{Regression, Undo, Worse};

use super::*;

/// A policy of these lines, with somebody to ask.
fn asked(lines: &str) -> String {
    format!("{SOURCES}{}", policy(lines))
}

/// Problems of such a policy, numbered from the first of its lines.
fn of_asked(lines: &str) -> String {
    let shown = problems(&asked(lines));
    let renumber = |line: &str| {
        let (number, rest) = line.split_once(':')?;
        Some(format!("{}:{rest}", number.trim().parse::<usize>().ok()?.saturating_sub(5)))
    };
    let lines = shown.lines().map(|line| renumber(line).unwrap_or_else(|| line.to_owned()));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn what_must_not_become_worse_and_how_it_is_taken_back_is_meant_as_it_says() {
    let text = asked(
        "target: [instance]
regression: { matchers: ['severity=\"critical\"'], worse: undo }
remedies:
  - { name: x, exec: [x], undo: { exec: [unx, \"{{ labels.instance }}\"], timeout: 20s } }
  - { name: y, exec: [y], undo: { http: { url: \"http://127.0.0.1/y\" } } }
  - { name: z, exec: [z] }",
    );
    let config = parse("homeostat.yml", &text).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(config.warnings.problems(), [], "{}", config.warnings);
    let policy = &config.book.policies()[0];
    let Some(Regression { matchers, worse }) = &policy.regression else { panic!() };
    assert_eq!((matchers.to_string().as_str(), *worse), ("{severity = \"critical\"}", Worse::Undo));
    let [x, y, z] = policy.remedies.as_slice() else { panic!() };
    let Some(Undo { action: Action::Exec(argv), timeout }) = &x.undo else { panic!() };
    assert_eq!((argv.len(), *timeout), (2, Span::from_secs(20)));
    let Some(Undo { action: Action::Http(_), timeout }) = &y.undo else { panic!() };
    assert_eq!(*timeout, defaults::TIMEOUT);
    assert_eq!(z.undo, None);
    let targets: Vec<_> = config.requests.keys().map(|(_, name, part)| (name, part)).collect();
    assert_eq!(targets, [(&RemedyName::new("y"), &Part::Undo)], "it is sent by the undo alone");
}

#[test]
fn a_person_is_told_where_nothing_else_is_said() {
    let text = asked("target: [instance]\nregression: { matchers: [] }");
    let config = parse("homeostat.yml", &text).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(config.warnings.problems(), [], "{}", config.warnings);
    assert_eq!(config.book.policies()[0].regression.as_ref().unwrap().worse, Worse::Tell);
}

#[test]
fn an_undo_and_a_regression_need_each_other() {
    insta::assert_snapshot!(of_asked("remedies: [{ name: x, exec: [x], undo: { exec: [y] } }]"), @r#"
    1:44 nothing asks for this undo: its policy has no `regression`
      => add regression: { matchers: ['severity="critical"'], worse: undo } to the policy
    "#);
    let undone = "remedies: [{ name: x, exec: [x], undo: { exec: [y] } }]";
    let text = format!("target: [i]\nregression: {{ matchers: [], worse: tell }}\n{undone}");
    insta::assert_snapshot!(of_asked(&text), @"
    3:44 warning: this undo is never run
      => write `worse: undo` in the policy's `regression`
    ");
    insta::assert_snapshot!(of_asked("target: [i]\nregression: { matchers: [], worse: undo }"), @"
    2:40 no remedy of this policy has an `undo`
      => add undo: { exec: [program, argument] } to a remedy, or write `worse: tell`
    ");
}

#[test]
fn what_can_never_be_seen_is_refused() {
    insta::assert_snapshot!(of_policy("target: [i]\nregression: { matchers: [] }"), @r#"
    2:17 there is nobody to ask what else fires
      => add sources: { prometheuses: [{ name: main, url: "http://127.0.0.1:9090" }] }
    "#);
    insta::assert_snapshot!(of_asked("regression: { worse: tell }"), @"
    1:17 this regression has no `matchers`
      => to take every alert, say so: `matchers: []`
    1:17 without a `target` no other alert is of the same target
      => name the labels that say what is healed, as in target: [instance]: alerts that have
        them with the same values are compared
    ");
}

#[test]
fn words_that_mean_something_else_are_told() {
    let text = "target: [i]
regression: { matchers: ['a=~\"(\"'], worse: rollback, undo: {} }
verify: { worse: undo }
remedies:
  - { name: x, exec: [x], undo: [y] }
  - { name: y, exec: [y], undo: { exec: [y], script: z, retries: 2 }, rollback: z }
  - { name: z, exec: [z], undo: { timeout: 0s } }";
    insta::assert_snapshot!(of_asked(text), @r#"
    2:35 group is not closed
      => to mean the parenthesis itself, write \(
    2:48 there is no `worse: rollback`
      => write `worse: tell` or `worse: undo`; either way a person is told
    2:58 unknown key "undo" in regression
      => write `worse: undo`; what is done stands in each remedy: undo: {…}
    3:15 unknown key "worse" in verify
      => what a remedy must not make worse stands in its policy: regression: { matchers:
        ['severity="critical"'], worse: undo }
    5:37 expected an action, found a list
      => write undo: { exec: [program, argument] }
    6:58 an undo does one thing: `exec`, `script`, `http`, `call`, `ssh`, `systemd` or
        `kubernetes`
      => remove one, or make it a remedy of its own
    6:61 unknown key "retries" in an undo
      => an undo runs once: a person has the incident then
    6:75 unknown key "rollback" in a remedy
      => write undo: { exec: [program, argument] }
    7:37 this undo does nothing
      => add `exec: [program, argument]`, `script: …`, `http: { url: … }`, `call: …`,
        `ssh: { host: …, exec: […] }`, `systemd: { restart: … }` or `kubernetes: {
        evict: … }`
    7:48 must be at least 1s
    "#);
}
