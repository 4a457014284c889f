//! Keys that nobody knows, values of the wrong kind, what is missing, and habits from elsewhere.

use super::*;

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
        12:16 a remedy does one thing: `exec`, `script`, `http`, `call`, `ssh`, `systemd` or
            `kubernetes`
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
          => labels come as environment: write "$HOMEOSTAT_LABEL_job", or {{ … | word }}, which
            refuses what is not one plain word
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
          => a configuration is a map of: include, sources, time_intervals, limits, defaults,
            notify, access, redact, policies
        "#);
    insta::assert_snapshot!(problems("hello"), @r#"
        1:1 expected a configuration as a map, found a text
          => a configuration is a map of: include, sources, time_intervals, limits, defaults,
            notify, access, redact, policies
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
          => add `exec: [program, argument]`, `script: …`, `http: { url: … }`, `call: …`,
            `ssh: { host: …, exec: […] }`, `systemd: { restart: … }` or `kubernetes: {
            evict: … }`
        1:16 this remedy has no `name`
          => add `name: …`
        1:20 this remedy does nothing
          => add `exec: [program, argument]`, `script: …`, `http: { url: … }`, `call: …`,
            `ssh: { host: …, exec: […] }`, `systemd: { restart: … }` or `kubernetes: {
            evict: … }`
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
