//! Whose word a run needs: who is named, how many, and whether there can be anybody.

use homeostat_core::policy::{Approvers, Remedy};

use super::*;

/// A policy that asks, beside grants of `approve` to these.
fn granted(who: &str, lines: &str) -> String {
    let policy = policy(&format!("mode: approve\nescalate: none\n{lines}"));
    format!(
        "access: {{ grants: [{{ who: [token:admin], may: [send, view, administer] }}, \
         {{ who: [{who}], may: [approve] }}] }}\n{SOURCES}{policy}"
    )
}

/// Problems of these lines of a policy, numbered from the first of them.
fn of_granted(who: &str, lines: &str) -> String {
    let before = granted(who, "").lines().position(|line| line.contains("escalate")).unwrap() + 1;
    renumbered(&problems(&granted(who, lines)), before)
}

fn renumbered(shown: &str, before: usize) -> String {
    let renumber = |line: &str| {
        let (number, rest) = line.split_once(':')?;
        Some(format!("{}:{rest}", number.parse::<usize>().ok()?.saturating_sub(before)))
    };
    let lines = shown.lines().map(|line| renumber(line).unwrap_or_else(|| line.to_owned()));
    lines.collect::<Vec<_>>().join("\n")
}

fn remedies(text: &str) -> Vec<Remedy> {
    let config = parse("homeostat.yml", text).unwrap_or_else(|report| panic!("{report}"));
    config.book.policies()[0].remedies.clone()
}

#[test]
fn a_remedy_takes_what_it_does_not_say_from_its_policy() {
    let text = granted(
        "\"group:dba\", \"user:ann\"",
        "approval: { by: [\"group:dba\"], count: 2, expires: 10m }
remedies:
  - { name: a, exec: [a] }
  - { name: b, exec: [b], approval: { count: 1 } }
  - { name: c, exec: [c], approval: { by: [\"user:ann\", \"user:bob\"], expires: 1h } }",
    );
    let read = remedies(&text).into_iter().map(|remedy| {
        let approval = remedy.approval;
        let by: Vec<String> = approval.by.unwrap().iter().map(ToString::to_string).collect();
        (by.join(" "), approval.count, approval.expires)
    });
    let expected = [
        ("group:dba".to_owned(), Some(2), Span::from_secs(600)),
        ("group:dba".to_owned(), Some(1), Span::from_secs(600)),
        ("user:ann user:bob".to_owned(), Some(2), Span::from_secs(3600)),
    ];
    assert_eq!(read.collect::<Vec<_>>(), expected);
    let plain = remedies(&granted("anonymous", "remedies: [{ name: a, exec: [a] }]"));
    assert_eq!(plain[0].approval, homeostat_core::policy::Approval::default());
}

#[test]
fn a_policy_knows_who_is_granted_to_approve() {
    let text = format!(
        "access:
  grants:
    - {{ who: [\"group:dba\"], may: [approve], policies: [\"a*\"], targets: ['env!=\"prod\"'] }}
    - {{ who: [\"user:eve\"], may: [approve], policies: [\"b*\"] }}
    - {{ who: [\"group:everyone\"], may: [view, send, operate] }}
{SOURCES}{}",
        policy("mode: shadow")
    );
    let config = parse("homeostat.yml", &text).unwrap_or_else(|report| panic!("{report}"));
    let Approvers::Granted(granted) = &config.book.policies()[0].approvers else { panic!() };
    let [dba] = &granted[..] else { panic!("{granted:?}") };
    assert_eq!(dba.who.iter().map(|who| &**who).collect::<Vec<_>>(), ["group:dba"]);
    assert!(!dba.targets.matches(&LabelSet::from_pairs([("env", "prod")])));
    let without = parse("homeostat.yml", &format!("{SOURCES}{}", policy("mode: shadow"))).unwrap();
    assert_eq!(without.book.policies()[0].approvers, Approvers::Anybody);
}

#[test]
fn what_cannot_be_approved_by_anybody_is_an_error() {
    insta::assert_snapshot!(of_granted("\"group:everyone\"", "approval: { count: 0, by: [] }"), @r#"
    1:24 must be at least 1
    1:31 nobody may approve this
      => name who may, as in by: ["group:dba"], or remove `by`
    "#);
    insta::assert_snapshot!(of_granted(
        "\"group:everyone\"",
        "approval: { by: [\"user:ann\", \"user:bob\", \"user:ann\"], count: 3 }
remedies:
  - { name: a, exec: [a], approval: { count: 17 } }
  - { name: b, exec: [b], approval: { by: [anonymous, \"user:ann\"] } }
  - { name: c, exec: [c], approval: { by: [ann, \"grup:dba\", \"token:cl\"] } }
  - { name: d, exec: [d], approval: { count: two, who: x } }"
    ), @r#"
    1:66 3 different people must approve, and `by` names 2
      => name more, or a group
    3:50 more than 16 people
    4:47 anonymous is nobody in particular, and counts as nobody
      => where people are counted, `by` names who has a name
    5:48 "ann" does not say what it names
      => write user:NAME, token:NAME, cert:SAN, local:NAME or group:NAME, group:everyone for
        all who have a name, or anonymous
    5:53 "grup:dba" names nobody
      => did you mean "group"?
    5:65 no token of `access` is named "cl"
      => add it to `tokens`
    6:50 "two" is not a whole number from 0 to 2³²-1
    6:55 unknown key "who" in approval
      => write by: ["group:dba"]
    "#);
}

#[test]
fn names_that_no_grant_covers_are_warned_of() {
    for (who, by) in [
        ("\"group:dba\"", "\"group:dba\""),
        ("\"group:everyone\"", "\"group:dba\""),
        ("\"group:dba\"", "\"group:everyone\""),
        ("\"group:dba\"", "\"user:ann\""),
        ("\"user:ann\"", "\"group:dba\""),
        ("\"group:sre\", \"user:ann\"", "\"user:bob\", \"user:ann\""),
    ] {
        assert_eq!(of_granted(who, &format!("approval: {{ by: [{by}] }}")), "", "{who} {by}");
    }
    insta::assert_snapshot!(
        of_granted("\"group:sre\"", "approval: { by: [\"group:dba\", \"group:web\"] }"), @r#"
    1:21 warning: approve on policy a is granted to group:sre, and to none of these
      => `by` narrows what `grants` of `access` grant, and grants nothing
    "#
    );
    insta::assert_snapshot!(
        of_granted("\"user:eve\", anonymous", "approval: { by: [\"user:ann\"] }"), @r#"
    1:21 warning: approve on policy a is granted to anonymous, user:eve, and to none of these
      => `by` narrows what `grants` of `access` grant, and grants nothing
    "#
    );
}

#[test]
fn without_access_few_have_a_name_and_nobody_is_of_a_group() {
    let lines = "mode: approve\nescalate: none\napproval: { by: [\"group:dba\"], count: 2 }";
    let text = format!("{SOURCES}{}", policy(lines));
    let before = text.lines().position(|line| line.contains("approval")).unwrap();
    insta::assert_snapshot!(renumbered(&problems(&text), before), @r#"
    1:21 warning: without `access`, nobody is known to be of a group
      => add `access`, or name people: by: ["user:ann"]
    "#);
    let named = policy(
        "mode: approve\nescalate: none\napproval: { by: [\"user:ann\", \"user:bob\"], count: 2 }",
    );
    insta::assert_snapshot!(renumbered(&problems(&format!("{SOURCES}{named}")), before), @"");
}

#[test]
fn a_definition_tells_one_remedy_from_another_and_nothing_by_its_secrets() {
    let definition = |remedy: &str| {
        let text = granted("\"group:dba\"", &format!("remedies: [{remedy}]"));
        remedies(&text)[0].definition.to_string()
    };
    let first = definition("{ name: a, exec: [a, b] }");
    assert_eq!(first.len(), 64);
    assert_eq!(
        first,
        definition("{ name: 'a', exec: [\"a\",   b] }"),
        "the same, in other letters"
    );
    for other in [
        "{ name: a, exec: [a, c] }",
        "{ name: a, exec: [ab] }",
        "{ name: a, exec: [a, b], timeout: 1m }",
        "{ name: a, exec: [a, b], run_as: root }",
        "{ name: a, script: a b }",
    ] {
        assert_ne!(first, definition(other), "{other}");
    }
    let http = |secret: &str, url: &str| {
        definition(&format!(
            "{{ name: a, http: {{ method: POST, url: \"{url}\", \
             authorization: {{ credentials: {secret} }} }} }}"
        ))
    };
    let known = http("s3cret", "https://a.example/b");
    assert_eq!(known, http("other", "https://a.example/b"), "nobody can try secrets by it");
    assert_ne!(known, http("s3cret", "https://a.example/c"));
}
