//! Policies: matchers, templates, queries, ladders, and whether an alert reaches them.

use super::*;

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
