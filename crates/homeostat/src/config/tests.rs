//! What is accepted, what is refused, and how it is said.

use std::fmt::Write;
use std::path::Path;

use homeostat_core::label::LabelSet;
use homeostat_core::limits::defaults;
use homeostat_core::policy::{Action, Escalate, Mode, OnResolve, TargetLabels};
use homeostat_core::template::Template;
use homeostat_core::time::Span;

mod guard;
mod notify;
mod radius;
mod regression;
mod request;
mod setting;
mod sources;

use super::*;

/// All problems of a text: `line:column severity: message`, and help below it.
fn problems(text: &str) -> String {
    let report = match parse("homeostat.yml", text) {
        Ok(config) => config.warnings,
        Err(report) => report,
    };
    let mut shown = String::new();
    for row in report.rows() {
        let place = row.line.zip(row.column).map_or("-".into(), |(l, c)| format!("{l}:{c}"));
        let severity = match row.severity {
            Severity::Error => "",
            Severity::Warning => "warning: ",
            Severity::Note => "note: ",
        };
        wrap(&mut shown, &format!("{place} {severity}{}", row.message));
        if let Some(help) = row.help {
            wrap(&mut shown, &format!("  => {help}"));
        }
    }
    shown
}

fn wrap(shown: &mut String, line: &str) {
    let mut width = 0;
    for (position, word) in line.split(' ').enumerate() {
        if width + word.len() > 90 {
            shown.push_str("\n    ");
            width = 4;
        } else if position > 0 {
            shown.push(' ');
        }
        shown.push_str(word);
        width += word.len() + 1;
    }
    shown.push('\n');
}

/// A policy in which only these lines are of interest.
fn policy(lines: &str) -> String {
    let given = |key: &str| lines.lines().any(|line| line.starts_with(key));
    let mut text = "policies:\n  - name: a\n".to_owned();
    for line in lines.lines() {
        writeln!(text, "    {line}").unwrap();
    }
    for (key, line) in [
        ("matchers", "matchers: [a=b]"),
        ("mode", "mode: shadow"),
        ("remedies", "remedies: [{ name: x, exec: [x] }]"),
    ] {
        if !given(key) {
            writeln!(text, "    {line}").unwrap();
        }
    }
    text
}

/// Problems of a policy of these lines, numbered from the first of them.
fn of_policy(lines: &str) -> String {
    let shown = problems(&policy(lines));
    let renumber = |line: &str| {
        let (number, rest) = line.split_once(':')?;
        Some(format!("{}:{rest}", number.parse::<usize>().ok()?.saturating_sub(2)))
    };
    let lines = shown.lines().map(|line| renumber(line).unwrap_or_else(|| line.to_owned()));
    lines.collect::<Vec<_>>().join("\n")
}

const SOURCES: &str = "sources:
  alertmanagers: [{ name: main, urls: [\"http://127.0.0.1:9093\"] }]
  prometheuses: [{ name: main, url: \"http://127.0.0.1:9090\" }]
";

#[test]
fn five_lines_are_enough() {
    let text = "\
policies:
  - name: restart-web
    matchers: ['alertname=\"WebDown\"']
    mode: auto
    escalate: none
    remedies: [{ name: restart, exec: [systemctl, restart, web] }]
";
    let config = parse("homeostat.yml", text).unwrap();
    assert_eq!(config.warnings.problems(), []);
    let policy = &config.book.policies()[0];
    assert_eq!((policy.mode, &policy.escalate), (Mode::Auto, &Escalate::Nobody));
    assert_eq!(policy.target, TargetLabels::All);
    assert_eq!(policy.verify.within, defaults::VERIFY_WITHIN_WEBHOOK);
    assert_eq!((policy.guard.attempts, policy.guard.cooldown), (1, defaults::COOLDOWN));
    let remedy = &policy.remedies[0];
    assert_eq!((remedy.mode, remedy.timeout, remedy.retries), (Mode::Auto, defaults::TIMEOUT, 0));
    let Action::Exec(argv) = &remedy.action else { panic!() };
    let argv: Vec<&str> = argv.iter().map(Template::source).collect();
    assert_eq!(argv, ["systemctl", "restart", "web"]);
}

#[test]
fn the_example_of_the_repository_passes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/homeostat.yml");
    let config = load(&path).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(config.warnings.problems(), [], "{}", config.warnings);
    assert_eq!(config.book.policies().len(), 3);
    let web = &config.book.policies()[0];
    assert_eq!(web.guard.attempts, 3);
    assert_eq!(web.escalate, Escalate::after(Span::from_secs(600), "critical"));
    assert_eq!(config.book.witnesses.alertmanagers.len(), 1);
    assert_eq!(config.book.witnesses.prometheuses.len(), 1);
}

#[test]
fn what_a_file_says_is_what_is_meant() {
    let text = format!(
        "{SOURCES}
limits: {{ concurrency: 3, rate: {{ max: 7, per: 10m }} }}
defaults: {{ guard: {{ cooldown: 1m, concurrency: 2, fresh: {{ max_age: 9s }} }} }}
policies:
  - name: a
    matchers: ['a=b, c=~\"d|e\"', '{{f!=g}}']
    target: [z, m]
    mode: shadow
    for: 30s
    remedies:
      - {{ name: r1, mode: auto, exec: [sleep, 5, true, 'null'] }}
      - {{ name: r2, script: \"exec reboot\", retries: 2, backoff: 1s, idempotent: true }}
    verify: {{ within: 3m, query: 'up == 1', every: 5s, times: 1 }}
    guard: {{ cooldown: 0s, rate: {{ max: 9, per: 1h }}, lock: ['k/{{{{ labels.z }}}}'] }}
    escalate: {{ severity: page }}
    continue: true
    relapse: 1h
    on_resolve: finish
    lapse: 1d
"
    );
    let config = parse("homeostat.yml", &text).unwrap_or_else(|report| panic!("{report}"));
    let policy = &config.book.policies()[0];
    let matchers: Vec<String> = policy.matchers.iter().map(ToString::to_string).collect();
    assert_eq!(matchers, ["a = \"b\"", "c =~ \"d|e\"", "f != \"g\""]);
    assert_eq!(policy.target, TargetLabels::Named(vec!["m".into(), "z".into()]));
    assert_eq!(policy.settle, Span::from_secs(30));
    assert_eq!(policy.remedies[0].mode, Mode::Shadow, "no remedy is bolder than its policy");
    let Action::Exec(argv) = &policy.remedies[0].action else { panic!() };
    let argv: Vec<&str> = argv.iter().map(Template::source).collect();
    assert_eq!(argv, ["sleep", "5", "true", "null"]);
    assert_eq!(policy.remedies[1].action, Action::Script("exec reboot".into()));
    assert_eq!(policy.guard.attempts, 5, "an idempotent rung may run once more, after a crash");
    assert_eq!((policy.guard.cooldown, policy.guard.concurrency), (Span::ZERO, 2));
    assert_eq!(policy.guard.fresh_max_age, Span::from_secs(9));
    assert_eq!((policy.guard.rate.max, policy.guard.rate.per), (9, Span::from_secs(3600)));
    assert_eq!(policy.guard.locks[0].source(), "k/{{ labels.z }}");
    assert_eq!((policy.verify.within, policy.verify.times), (Span::from_secs(180), 1));
    assert_eq!((policy.relapse, policy.continues), (Span::from_secs(3600), true));
    assert_eq!(config.book.limits.concurrency, 3);
    assert_eq!(config.book.limits.rate.max, 7);
}

#[test]
fn the_window_of_a_verification_follows_who_can_be_asked() {
    let within = |sources: &str| {
        let text = format!("{sources}\n{}", policy(""));
        parse("f", &text).unwrap().book.policies()[0].verify.within
    };
    assert_eq!(within(SOURCES), defaults::VERIFY_WITHIN_PROMETHEUS);
    let alertmanager = "sources: { alertmanagers: [{ name: m, urls: [\"http://a:1\"] }] }";
    assert_eq!(within(alertmanager), defaults::VERIFY_WITHIN_ALERTMANAGER);
    assert_eq!(within(""), defaults::VERIFY_WITHIN_WEBHOOK);
}

#[test]
fn the_full_example_names_all_that_is_not_built_yet() {
    let text = r#"
sources:
  alertmanagers:
    - name: main
      urls: ["http://127.0.0.1:9093"]
  prometheuses:
    - name: main
      url: "http://127.0.0.1:9090"

time_intervals: []
limits: { concurrency: 16, rate: { max: 60, per: 1h } }
defaults:
  guard:  { cooldown: 5m, rate: { max: 6, per: 1h }, concurrency: 4 }

policies:
  - name: web-down
    matchers: ['alertname="ServiceDown"', 'job="web"', 'selfhealing="true"']
    target: [instance]
    mode: auto
    for: 0s
    remedies:
      - name: restart
        exec: [systemctl, restart, "web@{{ labels.instance | host }}.service"]
        timeout: 30s
        retries: 1
      - name: reboot
        mode: approve
        script: |
          exec ssh -- "${HOMEOSTAT_LABEL_instance%%:*}" sudo reboot
        timeout: 5m
      - name: replace
        http: { method: POST, url: "https://cloud.example/replace" }
    verify: { within: 2m, query: 'up{job="web", instance="{{ labels.instance }}"} == 1', every: 10s, times: 3 }
    guard:
      blast_radius: { max: 3, percent: 34, min: 1, window: 15m, inventory: 'count(up)' }
      lock: ["web"]
    escalate: { after: 10m, severity: critical }
"#;
    assert_eq!(problems(text), "");
}

#[test]
fn keys_that_are_to_come_are_errors_and_never_ignored() {
    let text = of_policy(
        "remedies:
  - { name: b, exec: [b], when: x }",
    );
    insta::assert_snapshot!(text, @r#"
        2:31 `when` is not built yet
          => remove it: an engine that ignored it would be less careful than it says
        "#);
}

#[test]
fn a_policy_and_a_remedy_say_who_is_asked_for_how_long_and_what_a_resolve_does() {
    let text = policy(
        "escalate: none\non_resolve: signal\nmode: approve\napproval: { expires: 10m }\n\
         remedies:\n  - { name: a, exec: [a] }\n  - { name: b, exec: [b], mode: shadow }\n  \
         - { name: c, exec: [c], mode: auto, approval: { expires: 1h } }",
    );
    let config = parse("homeostat.yml", &text).unwrap();
    let policy = &config.book.policies()[0];
    assert_eq!((policy.mode, policy.on_resolve), (Mode::Approve, OnResolve::Signal));
    let asked: Vec<_> = policy.remedies.iter().map(|r| (r.mode, r.approval_expires)).collect();
    let (short, long) = (Span::from_secs(600), Span::from_secs(3600));
    assert_eq!(asked, [(Mode::Approve, short), (Mode::Shadow, short), (Mode::Approve, long)]);
}

#[test]
fn an_approval_that_nobody_is_asked_for_and_a_mode_that_is_none_are_told() {
    let text = of_policy(
        "escalate: none
on_resolve: kill
approval: { expires: 10m }
remedies:
  - { name: a, exec: [a], approval: { expires: 0s, within: 3m } }
  - { name: b, exec: [b], approval: yes, mode: manual }",
    );
    insta::assert_snapshot!(text, @r#"
        2:17 there is no `on_resolve: kill`
          => write `on_resolve: finish`, which is the default, or `on_resolve: signal`, which ends
            what runs
        3:26 warning: nobody is asked for approval here
          => write `mode: approve`, or remove `approval`
        5:52 must be at least 1s
        5:52 warning: nobody is asked for approval here
          => write `mode: approve`, or remove `approval`
        5:56 unknown key "within" in approval
          => write `expires`
        6:41 expected a map, found a text
          => write approval: { expires: 30m }
        6:52 there is no mode "manual"
          => did you mean "approve"?
        "#);
}

#[test]
fn unknown_keys_are_all_named_with_what_was_meant() {
    let text = "source: {}\nroute: {}\nlimits: { concurency: 3 }\n".to_owned()
        + &policy(
            "taget: [instance]\ncooldown: 5m\nfoo: bar\n? [x, y]\n: z\n<<: {}\n\
             remedies: [{ name: x, command: ls, timout: 3s, shell: ls }]",
        );
    insta::assert_snapshot!(problems(&text), @r#"
        1:1 unknown key "source" in a configuration
          => did you mean "sources"?
        2:1 unknown key "route" in a configuration
          => alerts find their policy by its `matchers`
        3:11 unknown key "concurency" in limits
          => did you mean "concurrency"?
        6:5 unknown key "taget" in a policy
          => did you mean "target"?
        7:5 unknown key "cooldown" in a policy
          => `cooldown` belongs to `guard`
        8:5 unknown key "foo" in a policy
          => did you mean "for"?
        9:7 expected a key, found a list
        11:5 unknown key "<<" in a policy
          => merge keys are not YAML 1.2: write the keys out
        12:16 a remedy does one thing: `exec`, `script`, `http` or `call`
          => remove one, or make it a remedy of its own
        12:27 unknown key "command" in a remedy
          => a program and its arguments stand under `exec: [program, argument]`, shell text under
            `script:`
        12:40 unknown key "timout" in a remedy
          => did you mean "timeout"?
        12:52 unknown key "shell" in a remedy
          => shell text stands under `script:`; /bin/sh runs it
        "#);
}

#[test]
fn habits_from_elsewhere_get_a_hint() {
    let text = "policies:
  - name: a
    match: { alertname: WebDown, job: web }
    receiver: x
    dry_run: true
  - name: b
    match_re: { job: \"web|db\" }
    mode: auto
    command: reboot
  - name: c
    matchers: { job: web }
    mode: dry-run
    remedies:
      - { name: a, exec: [echo, \"{{ $labels.instance }}\", \"{{ .Labels.job }}\", '{{ $value }}'] }
      - { name: b, exec: systemctl restart web }
      - { name: c, script: \"echo {{ labels.job }}\" }
      - { name: d, exec: [sudo, bash, -ec, \"reboot {{ labels.job }}\"] }
      - { name: e, script: \"docker inspect --format '{{.State.Status}}' x\" }
  - name: d
    matchers: job=web
    mode: on
    remedies: []
";
    insta::assert_snapshot!(problems(text), @r#"
        3:5 unknown key "match" in a policy
          => write matchers: ['alertname="WebDown"', 'job="web"']
        4:5 unknown key "receiver" in a policy
          => Homeostat acts instead of notifying: a policy names its actions under `remedies`
        5:5 unknown key "dry_run" in a policy
          => write `mode: shadow`
        7:5 unknown key "match_re" in a policy
          => write matchers: ['job=~"web|db"']
        8:11 this policy acts, and there is no way to tell a person
          => add sources: { alertmanagers: [{ name: main, urls: ["http://127.0.0.1:9093"] }] }, or
            a channel to `notify`, or say that nobody is told: `escalate: none`
        9:5 unknown key "command" in a policy
          => write remedies: [{ name: …, exec: [program, argument] }]
        11:15 expected a list of matchers, found a map
          => write matchers: ['job="web"']
        12:11 there is no mode "dry-run"
          => did you mean "shadow"?
        14:37 this is a placeholder of Go's templates, not of ours
          => write {{ labels.instance }}
        14:63 this is a placeholder of Go's templates, not of ours
          => write {{ labels.job }}
        14:84 $: unexpected character
          => an alert does not carry the value of its expression
        15:26 expected a program and its arguments as a list, found a text
          => no shell splits it: write exec: [systemctl, restart, web]; shell text stands under
            `script:`
        16:34 a placeholder cannot stand in a script
          => labels come as environment: write "$HOMEOSTAT_LABEL_job"
        17:44 a placeholder cannot stand in shell text
          => labels come as environment: write "$HOMEOSTAT_LABEL_job"
        20:15 expected a list of matchers, found a text
          => write a list: matchers: ['job=web']
        21:11 there is no mode "on"
          => did you mean "auto"?
        "#);
}

#[test]
fn values_of_the_wrong_kind_are_told() {
    insta::assert_snapshot!(problems(&policy(
        "target: instance\nfor: 30\nrelapse: 5 minutes\nlapse: 0s\ncontinue: yes\nescalate: later
guard: { cooldown: [], rate: 6/1h, concurrency: 1.5, attempts: -1, lock: x }
verify: 2m
remedies: { name: x, exec: [x] }"
    )), @r#"
        3:13 expected a list of texts, found a text
          => write a list: target: ["instance"]
        4:10 duration without unit: expected 30 with y, w, d, h, m, s or ms
          => a duration has a unit: write 30s
        5:14 unknown unit " minutes": expected y, w, d, h, m, s or ms
          => durations are Prometheus's: 30s, 5m, 1h30m, 2d
        6:12 must be at least 1s
        7:15 expected true or false, found a text
          => write true or false, unquoted
        8:15 expected `none` or a map, found a text
          => write escalate: { after: 15m, severity: critical }, or escalate: none
        9:24 expected a duration, found a list
        9:34 expected a rate, found a text
          => write rate: { max: 6, per: 1h }
        9:53 "1.5" is not a whole number from 0 to 2³²-1
        9:68 "-1" is not a whole number from 0 to 2³²-1
        9:78 expected a list of texts, found a text
          => write a list: lock: ["x"]
        10:13 expected verify as a map, found a text
          => verify is a map of: within, query, every, times, patience, vanishes
        11:15 expected a list of remedies, found a map
          => begin each element with `- `
        "#);
    insta::assert_snapshot!(problems("policies: {}"), @r#"
        1:11 expected a list of policies, found a map
          => begin each element with `- `
        "#);
    insta::assert_snapshot!(problems("- a"), @r#"
        1:1 expected a configuration as a map, found a list
          => a configuration is a map of: sources, time_intervals, limits, defaults, notify,
            policies
        "#);
    insta::assert_snapshot!(problems("hello"), @r#"
        1:1 expected a configuration as a map, found a text
          => a configuration is a map of: sources, time_intervals, limits, defaults, notify,
            policies
        "#);
}

#[test]
fn what_is_missing_is_told() {
    insta::assert_snapshot!(problems("policies: [{}, { name: }]"), @r#"
        1:12 this policy has no `matchers`
          => to take every alert, say so: `matchers: []`
        1:12 this policy has no `mode`
          => write `mode: shadow` to watch what would be done, `mode: approve` to be asked, or
            `mode: auto` to have it done
        1:12 this policy has no `name`
          => add `name: …`
        1:12 this policy has no `remedies`
          => write remedies: [{ name: restart, exec: [program] }]
        1:16 this policy has no `matchers`
          => to take every alert, say so: `matchers: []`
        1:16 this policy has no `mode`
          => write `mode: shadow` to watch what would be done, `mode: approve` to be asked, or
            `mode: auto` to have it done
        1:16 this policy has no `remedies`
          => write remedies: [{ name: restart, exec: [program] }]
        1:18 `name` has no value
          => write a value, or leave the key out
        "#);
    insta::assert_snapshot!(of_policy("remedies: [{}, { name: x }, { name: y, exec: [] }]"), @r#"
        1:16 this remedy does nothing
          => add `exec: [program, argument]`, `script: …`, `http: { url: … }` or `call: …`
        1:16 this remedy has no `name`
          => add `name: …`
        1:20 this remedy does nothing
          => add `exec: [program, argument]`, `script: …`, `http: { url: … }` or `call: …`
        1:50 `exec` names no program
          => write exec: [program, argument, …]
        "#);
}

#[test]
fn names_are_checked() {
    let long = "x".repeat(64);
    insta::assert_snapshot!(problems(&format!(
        "policies:
  - {{ name: a b, matchers: [a=b], mode: shadow, remedies: [] }}
  - {{ name: {long}, matchers: [a=c], mode: shadow, remedies: [] }}
  - {{ name: x, matchers: [a=d], mode: shadow, remedies: [{{ name: r, exec: [r] }}, {{ name: r, exec: [r] }}] }}
  - {{ name: x, name: y, matchers: [a=e], mode: shadow, remedies: [] }}
  - {{ name: x, matchers: [a=f], mode: shadow, remedies: [] }}
  - {{ name: -x, matchers: [a=g], mode: shadow, remedies: [] }}
"
    )), @r#"
        2:13 "a b" cannot be the name of a policy
          => a name has at most 63 letters, digits, `_`, `.` and `-`, and begins with a letter or
            a digit
        3:13 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" cannot be the name
            of a policy
          => a name has at most 63 letters, digits, `_`, `.` and `-`, and begins with a letter or
            a digit
        4:90 a second remedy is named "r"
          => names are unique
        5:13 a second policy is named "x"
          => names are unique
        5:16 `name` is given twice
          => remove one of them
        6:13 a second policy is named "x"
          => names are unique
        7:13 "-x" cannot be the name of a policy
          => a name has at most 63 letters, digits, `_`, `.` and `-`, and begins with a letter or
            a digit
        "#);
}

#[test]
fn matchers_point_at_the_wrong_place() {
    insta::assert_snapshot!(of_policy(
        "matchers: ['a=~\"((\"', 'b', \"c='x\", 'd=\"\\\"', {e: f}, '']"
    ), @r#"
        1:22 group is not closed
          => to mean the parenthesis itself, write \(
        1:29 expected an operator after the label name, found the end of the input
          => the operators are = != =~ !~
        1:32 warning: only the classic grammar reads these matchers (`'` stands for itself only
            inside double quotes): write {c = "'x"}
        1:43 expected a closing double quote
          => inside double quotes, a double quote is written \"
        1:49 expected a matcher as a text, found a map
          => write matchers: ['e="f"']
        1:57 warning: this is no condition
          => to take every alert, write `matchers: []`
        "#);
}

#[test]
fn templates_are_checked() {
    insta::assert_snapshot!(of_policy(
        "remedies:
  - name: x
    exec: [x, '{{ labels.a | hsot }}', '{{ lables.a }}', '{{ labels.a', \"\\t{{ foo }}\"]
  - { name: y, exec: ['{{ labels.cmd }}'] }
  - { name: z, exec: ['systemctl restart web'] }
guard: { lock: ['{{ x }}', ''] }"
    ), @r#"
        3:34 hsot: filter hsot is unknown
          => write placeholders as in {{ labels.instance | host }}
        3:48 unknown name "lables"; there are labels, annotations, incident, policy, remedy,
            attempt
          => write placeholders as in {{ labels.instance | host }}
        3:73 a: unexpected end of input, expected end of variable block
          => write placeholders as in {{ labels.instance | host }}
        3:83 unknown name "foo"; there are labels, annotations, incident, policy, remedy, attempt
          => write placeholders as in {{ labels.instance | host }}
        4:27 the program itself cannot come from an alert
          => name the program; placeholders may stand in its arguments
        5:27 no shell splits this into words
          => write exec: [systemctl, restart, web]
        6:25 unknown name "x"; there are labels, annotations, incident, policy, remedy, attempt
          => write placeholders as in {{ labels.instance | host }}
        6:32 this lock has no name
        "#);
    insta::assert_snapshot!(of_policy("remedies: [{ name: x, exec: [a@{{ labels.x }}.b] }]"), @r#"
        1:36 not valid YAML: while parsing a flow sequence, expected ',' or ']'
          => a text with a placeholder must be quoted: "web@{{ labels.instance }}"
        "#);
    insta::assert_snapshot!(of_policy("remedies: [{ name: x, exec: [{{ labels.x }}] }]"), @r#"
        1:34 expected a text, found a map
          => a text with a placeholder must be quoted: "{{ labels.instance }}"
        "#);
}

#[test]
fn queries_are_checked() {
    let of_query =
        |verify: &str| problems(&format!("{SOURCES}{}", policy(&format!("verify: {verify}"))));
    insta::assert_snapshot!(of_query(
        "{ query: 'up{i=~\"{{ labels.i }}\", j=`{{ labels.j }}`} == bool {{ labels.k }}' }"
    ), @r#"
        6:30 in a regex the value must be quoted by the filter `re`
          => write {{ labels.i | re }}
        6:50 no placeholder can stand between backticks
          => write the string in double quotes: there the value is escaped
        6:70 warning: with `bool` a comparison always has a result
          => a query holds if its result is not empty: remove `bool`
        6:75 a placeholder can only stand in a quoted string
          => its value would be read as PromQL: match on it, as in {instance="{{ labels.instance
            }}"}
        "#);
    insta::assert_snapshot!(of_query("{ query: 'up{i=~\"{{ labels.i | re }}:.*\"} == 1' }"), @"");
    insta::assert_snapshot!(of_query("{ query: 'up{i=\"{{ labels.i }}\"}' }"), @r#"
        6:22 warning: this query holds as soon as the series exists, whatever its value
          => compare it: … == 1
        "#);
    insta::assert_snapshot!(of_query("{ query: up == 1, within: 20s, times: 3 }"), @r#"
        6:39 20s leaves no room for 3 looks 10s apart, which take 20s
          => make `within` longer, or `every` or `times` smaller
        "#);
    insta::assert_snapshot!(of_query("{ within: 10s, times: 0, every: 0s }"), @r#"
        6:23 warning: 10s is shorter than most scrapes and evaluations
          => `within` should outlast scrape interval, evaluation interval and the rule's `for`:
            what is not seen by then is unknown and goes to a person
        6:35 must be at least 1
        6:35 warning: there is no query to hold so often
          => add `query: …`, or remove `times`
        6:45 must be at least 1s
        "#);
    insta::assert_snapshot!(of_policy("verify: { query: up == 1 }"), @r#"
        1:22 there is no Prometheus to ask this query
          => add sources: { prometheuses: [{ name: main, url: "http://127.0.0.1:9090" }] }
        "#);
}

#[test]
fn ladders_and_their_limits_fit() {
    insta::assert_snapshot!(of_policy(
        "remedies: [{ name: a, exec: [a], retries: 2 }, { name: b, mode: shadow, exec: [b] }]
guard: { attempts: 2, rate: { max: 2, per: 1h } }"
    ), @r#"
        2:24 2 attempts cannot climb this ladder: with its retries it has 3 orders
          => write `attempts: 3` or more, or leave it out: it counts the ladder by itself
        2:33 warning: this ladder has 3 orders, more than the rate lets pass at once (2): each
            further one waits 30m
          => allow at least one ladder in `rate`
        "#);
    insta::assert_snapshot!(of_policy(
        "remedies: [{ name: a, exec: [a], retries: 200, backoff: 1s }, { name: b, exec: [b], backoff: 1s }]"
    ), @r#"
        1:15 warning: this ladder has 102 orders, more than the rate lets pass at once (6): each
            further one waits 10m
          => allow at least one ladder in `rate`
        1:47 more than 100 retries
          => what fails that often needs another remedy
        1:98 warning: nothing is retried
          => `backoff` lies before retries: add `retries: 1`
        "#);
    insta::assert_snapshot!(of_policy(
        "guard: { attempts: 0, concurrency: 0, rate: { max: 0, per: 0s } }"
    ), @r#"
        1:24 must be at least 1
        1:40 must be at least 1
        1:56 must be at least 1
        1:64 must be at least 1s
        "#);
    insta::assert_snapshot!(of_policy("guard: { rate: { max: 3 } }"), @r#"
        1:20 this rate has no `per`
          => write both, as in rate: { max: 6, per: 1h }
        "#);
    let text = "defaults: { guard: { attempts: 1, concurrency: 0, lock: [x] }, mode: auto }\n"
        .to_owned()
        + &policy("remedies: [{ name: a, exec: [a] }, { name: b, exec: [b] }]");
    insta::assert_snapshot!(problems(&text), @r#"
        1:48 must be at least 1
        1:51 unknown key "lock" in defaults.guard
          => a lock belongs to the `guard` of each policy that needs it
        1:64 unknown key "mode" in defaults
          => every policy says its own `mode`, so that nobody is surprised
        4:15 1 attempts cannot climb this ladder: with its retries it has 2 orders
          => write `attempts: 2` or more, or leave it out: it counts the ladder by itself
        "#);
}

#[test]
fn whoever_acts_can_tell_or_says_that_nobody_is_told() {
    insta::assert_snapshot!(of_policy("mode: auto"), @r#"
        1:11 this policy acts, and there is no way to tell a person
          => add sources: { alertmanagers: [{ name: main, urls: ["http://127.0.0.1:9093"] }] }, or
            a channel to `notify`, or say that nobody is told: `escalate: none`
        "#);
    insta::assert_snapshot!(of_policy("mode: auto\nescalate: { after: 5m }"), @r#"
        2:15 this policy acts, and there is no way to tell a person
          => add sources: { alertmanagers: [{ name: main, urls: ["http://127.0.0.1:9093"] }] }, or
            a channel to `notify`, or say that nobody is told: `escalate: none`
        "#);
    insta::assert_snapshot!(of_policy("mode: shadow\nescalate: { after: 5m }"), @r#"
        2:15 warning: nobody can be told: there is no way to tell a person
          => add sources: { alertmanagers: [{ name: main, urls: ["http://127.0.0.1:9093"] }] }, or
            a channel to `notify`, or say that nobody is told: `escalate: none`
        "#);
    insta::assert_snapshot!(of_policy("mode: auto\nescalate: none"), @"");
    let with_sources = |lines: &str| problems(&format!("{SOURCES}{}", policy(lines)));
    insta::assert_snapshot!(with_sources("mode: auto"), @"");
    insta::assert_snapshot!(with_sources("mode: auto\nfor: 20m"), @r#"
        7:10 warning: a person is told after 15m, before anything is tried
          => `for: 20m` runs first: tell later than that
        "#);
    insta::assert_snapshot!(with_sources("mode: auto\nescalate: { severity: '' }"), @"7:27 this severity is empty");
    insta::assert_snapshot!(with_sources("mode: auto\nremedies: []"), @r#"
        7:15 `mode: auto` without a remedy
          => add a remedy, or write `mode: shadow`
        "#);
}

#[test]
fn policies_that_no_alert_reaches_are_told() {
    let book = "policies:
  - { name: a, matchers: [a=b, c=d], mode: shadow, remedies: [], continue: true }
  - { name: b, matchers: [c=d, a=b], mode: shadow, remedies: [] }
  - { name: c, matchers: ['{a=b,c=d}'], mode: shadow, remedies: [] }
  - { name: d, matchers: [], mode: auto, escalate: none, remedies: [{ name: x, exec: [x] }] }
  - { name: e, matchers: [x=y], mode: shadow, remedies: [] }
";
    insta::assert_snapshot!(problems(book), @r#"
        4:26 warning: no alert reaches this policy: b takes them all
          => add `continue: true` to the earlier policy, or move this one up
        5:26 warning: this policy acts on every alert that there is
          => name the alerts that its remedies can heal
        6:26 warning: no alert reaches this policy: d takes them all
          => add `continue: true` to the earlier policy, or move this one up
        "#);
    assert!(problems("").starts_with("1:1 warning: there are no policies"));
}

#[test]
fn targets_are_names_of_labels() {
    insta::assert_snapshot!(of_policy("target: []"), @r#"
        1:13 an empty target says nothing
          => name the labels that say what is healed, as in target: [instance]; leave it out to
            mean all labels
        "#);
    insta::assert_snapshot!(of_policy("target: [a, '', a, '{{ labels.b }}']"), @r#"
        1:17 no label has an empty name
        1:21 this label is named twice
          => remove one of them
        1:24 a target is the name of a label, not a template or a matcher
          => write target: [instance]
        "#);
}

#[test]
fn receivers_of_an_alertmanager_are_names() {
    insta::assert_snapshot!(problems("sources:
  alertmanagers:
    - { name: a, urls: ['http://a'], receivers: [] }
    - { name: b, urls: ['http://b'], receivers: [web.hook, ''] }
    - { name: c, urls: ['http://c'], receiver: x }
policies: []
"), @r#"
        3:49 `receivers` names nobody
          => name the receivers that lead here, or leave it out: notifications name theirs
        4:60 this receiver has no name
        5:38 unknown key "receiver" in an Alertmanager
          => write a list: receivers: [homeostat]
        6:11 warning: there are no policies
          => until there are, every alert is recorded in shadow
        "#);
}

#[test]
fn sources_are_checked() {
    insta::assert_snapshot!(problems("sources:
  alertmanagers:
    - { name: api, urls: [] }
    - { urls: ['http://a:9093', 'http://a:9093/', 'ftp://a', 'a:9093', 'http://u:p@a', 'http://a?b'] }
    - { name: x, url: 'http://a' }
    - name: x
      urls: ['http://a']
      basic_auth: { password: a, password_file: b }
      authorization: { type: Basic, credentials: a }
      tls_config: { cert_file: a, insecure_skip_verify: true }
      http_config: { authorization: {} }
      proxy_connect_header: {}
      bearer_token: x
policies: []
"), @r#"
        3:15 no source can be named "api"
          => `api` names what comes by the alerts API, `other` what comes from unknown hooks
        3:26 this source has no `urls`
          => add where it listens
        4:7 this source has no `name`
          => add `name: …`
        4:33 this peer is listed twice
          => remove one of them
        4:51 cannot talk "ftp", only http and https
          => write it as in "http://127.0.0.1:9093"
        4:62 not a URL: it begins with http:// or https://
          => write it as in "http://127.0.0.1:9093"
        4:72 credentials do not belong into a URL, which is logged
          => write basic_auth: { username: …, password_file: … }
        4:88 a source has no query and no fragment
          => write parameters beside the URL, as in params: { tenant: [a] }
        5:18 unknown key "url" in an Alertmanager
          => an Alertmanager has `urls`, all peers of one cluster: urls: ["…"]
        6:13 a second source is named "x"
          => names are unique
        11:20 `http_config` is given in two places
          => move all of its keys here, or beside the URL
        11:37 `authorization` has no credentials
          => add `credentials_file: …`
        12:7 `proxy_connect_header` is not built yet
          => remove it: an engine that ignored it would be less careful than it says
        13:7 unknown key "bearer_token" in an Alertmanager
          => write authorization: { credentials_file: … }; its type is Bearer unless it says
            otherwise
        14:11 warning: there are no policies
          => until there are, every alert is recorded in shadow
        "#);
}

#[test]
fn webhooks_are_named_once_and_have_a_name_only() {
    insta::assert_snapshot!(problems("sources:
  alertmanagers: [{ name: main, urls: ['http://a:9093'] }]
  webhooks:
    - { name: main }
    - { name: grafana, hmac: x }
    - { name: other }
    - { name: a/b, url: 'http://grafana' }
    - {}
  prometheuses: [{ name: main, url: 'http://b' }]
policies: []
"), @r#"
        4:15 a second source is named "main"
          => names are unique
        5:24 unknown key "hmac" in a webhook of `sources`
          => a webhook of `sources` has: name
        6:15 no source can be named "other"
          => `api` names what comes by the alerts API, `other` what comes from unknown hooks
        7:15 "a/b" cannot be the name of a source
          => a name has at most 63 letters, digits, `_`, `.` and `-`, and begins with a letter or
            a digit
        7:20 unknown key "url" in a webhook of `sources`
          => it is the sender that posts here: to /hooks/NAME
        8:7 this source has no `name`
          => add `name: …`
        10:11 warning: there are no policies
          => until there are, every alert is recorded in shadow
        "#);
    insta::assert_snapshot!(problems("sources: { webhooks: [grafana], grafana: {} }\npolicies: []"), @r#"
        1:23 expected a webhook of `sources` as a map, found a text
          => a webhook of `sources` is a map of: name
        1:33 unknown key "grafana" in sources
          => write webhooks: [{ name: grafana }]
        2:11 warning: there are no policies
          => until there are, every alert is recorded in shadow
        "#);
    let text = "sources: { webhooks: [{ name: grafana }, { name: alertmanager }] }";
    let config = parse("t.yml", text).unwrap();
    let named = |name: &str| SourceName::new(name);
    assert_eq!(config.sources.webhooks, [named("grafana"), named("alertmanager")]);
    let witnesses = &config.book.witnesses;
    assert_eq!(witnesses.webhooks, [named("alertmanager"), named("grafana")].into());
    assert!(witnesses.is_unnamed(&named("main")) && !witnesses.is_unnamed(&named("grafana")));
}

#[test]
fn paths_are_meant_from_the_directory_of_the_file() {
    let text = "sources:
  alertmanagers:
    - name: m
      urls: ['https://a:9093']
      http_config: { authorization: { credentials_file: token }, tls_config: { ca_file: /ca.pem } }
  prometheuses:
    - name: m
      url: http://b/prefix/
      basic_auth: { username: u, password: geheim }
      tls_config: { cert_file: c.pem, key_file: ../k.pem, server_name: b }
policies: []
";
    let config = parse("/etc/homeostat/homeostat.yml", text).unwrap();
    let alertmanager = &config.sources.alertmanagers[0].http;
    assert_eq!(
        alertmanager.credentials,
        Credentials::Header {
            scheme: "Bearer".into(),
            credentials: SecretSource::File("/etc/homeostat/token".into())
        }
    );
    assert_eq!(alertmanager.tls.ca_file, Some("/ca.pem".into()));
    let prometheus = &config.sources.prometheuses[0];
    assert_eq!(prometheus.url.as_str(), "http://b/prefix/");
    let client = prometheus.http.tls.client.as_ref().unwrap();
    assert_eq!(client.key_file, Path::new("/etc/homeostat/../k.pem"));
    assert!(!format!("{config:?}").contains("geheim"), "a secret is shown");
    let Credentials::Basic { password: Some(SecretSource::Inline(password)), .. } =
        &prometheus.http.credentials
    else {
        panic!()
    };
    assert_eq!(password.reveal(), "geheim");
}

#[test]
fn a_secret_is_not_shown_with_its_line() {
    let text = "sources: { prometheuses: [{ name: m, url: x, basic_auth: { password: geheim } }] }";
    let report = parse("f", text).unwrap_err();
    assert!(report.to_string().contains("{ password: ****** }"), "{report}");
}

#[test]
fn anchors_serve_and_stay_bounded() {
    let text = "policies:
  - { name: a, matchers: &m [a=b], mode: shadow, remedies: &r [{ name: x, exec: [x] }], continue: true }
  - { name: b, matchers: *m, mode: shadow, remedies: *r }
";
    let config = parse("f", text).unwrap();
    assert_eq!(config.book.taking(&LabelSet::from_pairs([("a", "b")])).len(), 2);
}

#[test]
fn a_file_that_is_no_text_is_shown_where_it_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f.yml");
    std::fs::write(&path, b"policies: \xff\n").unwrap();
    let report = load(&path).unwrap_err();
    let rows = report.rows();
    assert_eq!((rows[0].line, rows[0].column), (Some(1), Some(11)));
    assert!(!report.is_unreadable());
    assert!(load(directory.path()).unwrap_err().is_unreadable());
}

#[test]
fn ten_thousand_policies_are_no_matter() {
    let mut text = SOURCES.to_owned() + "policies:\n";
    for n in 0..10_000 {
        write!(
            text,
            "  - name: p{n}
    matchers: ['alertname=\"Alert{n}\"', 'job=\"web\"']
    target: [instance]
    mode: auto
    remedies: [{{ name: restart, exec: [systemctl, restart, \"web@{{{{ labels.instance | host }}}}\"] }}]
    verify: {{ query: 'up{{instance=\"{{{{ labels.instance }}}}\"}} == 1' }}
"
        )
        .unwrap();
    }
    let started = std::time::Instant::now();
    let config = parse("homeostat.yml", &text).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(config.book.policies().len(), 10_000);
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}

#[test]
fn no_flood_of_warnings_hides_an_error() {
    let mut text = "policies:\n".to_owned();
    for n in 0..2 * limits::PROBLEMS_KEPT {
        writeln!(text, "- {{ name: p{n}, matchers: [a=b], mode: shadow, remedies: [] }}").unwrap();
    }
    assert_eq!(parse("f", &text).unwrap().book.policies().len(), 2 * limits::PROBLEMS_KEPT);
    for wrong in ["mode: shadow, remedies: [], oops: 1", "mode: oops, remedies: []"] {
        let text = format!("{text}- {{ name: last, matchers: [a=b], {wrong} }}\n");
        assert_eq!(parse("f", &text).unwrap_err().errors(), 1);
    }
}

#[test]
fn hostile_files_cost_little() {
    let many = |piece: &str| piece.repeat(512 * 1024 / piece.len());
    let (mut keys, mut anchors) = (String::new(), String::new());
    (0..100_000).for_each(|n| writeln!(keys, "k{n}: 1").unwrap());
    (0..60).for_each(|n| write!(anchors, "&a{n} [").unwrap());
    let files = [
        keys,
        format!("{{{}}}", many("k: 1, ")),
        format!("policies: [{}]", many("{}, ")),
        format!("policies: [{}]", many("{name: a}, ")),
        format!("{anchors}{}", many("x, ")),
        format!("sources: {{ alertmanagers: [{{ urls: [{}] }}] }}", many("x, ")),
        policy(&format!("remedies: [{{ name: x, script: \"{}\" }}]", many("{{"))),
        policy(&format!("remedies: [{{ name: x, exec: [x, \"{}\"] }}]", many("{{"))),
        policy(&format!("verify: {{ query: '{}' }}", many("{{ labels.a }}"))),
        policy(&format!("matchers: ['a=~\"{}\"']", many("("))),
        policy(&format!("target: [{}]", many("x, "))),
        many("["),
        many("- "),
        many("a: &a\n"),
        many("'"),
    ];
    for text in files {
        let started = std::time::Instant::now();
        let length = parse("f", &text).map_or_else(|r| r.to_string().len(), |_| 0);
        assert!(length < 1_000_000, "{text:.60}: {length} bytes");
        assert!(started.elapsed().as_secs() < 20, "{text:.60}: {:?}", started.elapsed());
    }
}

/// Throws damaged configurations at the parser: it may refuse, and it must not panic.
#[test]
fn no_text_makes_it_panic() {
    let example = include_str!("../../../../examples/homeostat.yml");
    let full =
        policy("matchers: ['a=~\"ä|((\"']\ntarget: [é]\nverify: { query: 'up{a=~\"{{ x }}\"}' }");
    let pieces = [
        "{{",
        "}}",
        "{%",
        "{#",
        "\"",
        "'",
        "\\",
        "\n",
        "\t",
        ": ",
        "- ",
        "&a ",
        "*a",
        "[",
        "]",
        "{",
        "}",
        "|",
        ">",
        "#",
        "!",
        "\u{feff}",
        "é",
        "\0",
        "null",
        "0",
        "99999999999999999999",
        "---\n",
    ];
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut below = |bound: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % (bound as u64)).unwrap()
    };
    for round in 0..1_500 {
        let mut text = if round % 2 == 0 { example.to_owned() } else { full.clone() };
        for _ in 0..=below(4) {
            let at = text.floor_char_boundary(below(text.len() + 1));
            let end = text.ceil_char_boundary((at + below(30)).min(text.len()));
            match below(4) {
                0 => text.replace_range(at..end, ""),
                1 => text.insert_str(at, pieces[below(pieces.len())]),
                2 => text.replace_range(at..end, pieces[below(pieces.len())]),
                _ => text.truncate(at),
            }
        }
        match parse("homeostat.yml", &text) {
            Ok(config) => drop(config.warnings.to_string()),
            Err(report) => {
                assert!(!report.to_string().is_empty());
                assert!(report.rows().iter().all(|row| !row.message.is_empty()));
            }
        }
    }
}
