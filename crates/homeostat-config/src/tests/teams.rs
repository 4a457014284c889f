//! Whose a policy is, and what it says of itself.

use super::*;

const OWN: &str = "mode: auto
team: dba
labels: { cost_center: '42', zone: eu }
description: Promotes a replica.
runbook_url: https://wiki.example/db
";

type Pairs = Vec<(String, String)>;

fn carries(text: &str) -> (Pairs, Pairs) {
    let config = parse("h.yml", text).unwrap_or_else(|report| panic!("{report}"));
    let Escalate::After { carries, .. } = &config.book.policies()[0].escalate else { panic!() };
    let plain = |pairs: &[(std::sync::Arc<str>, std::sync::Arc<str>)]| {
        pairs.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect()
    };
    (plain(&carries.labels), plain(&carries.annotations))
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn what_a_policy_says_of_itself_is_known_and_stands_in_its_notices() {
    let text = format!("{SOURCES}{}", policy(OWN));
    let config = parse("h.yml", &text).unwrap();
    let about = &config.book.policies()[0].about;
    assert_eq!(about.team.as_ref().map(homeostat_core::name::TeamName::as_str), Some("dba"));
    assert_eq!(about.description.as_deref(), Some("Promotes a replica."));
    assert_eq!(config.book.teams().collect::<Vec<_>>(), [("a", "dba")]);
    let (labels, annotations) = carries(&text);
    assert_eq!(labels, pairs(&[("team", "dba"), ("cost_center", "42"), ("zone", "eu")]));
    let description = ("policy_description", "Promotes a replica.");
    let runbook = ("runbook_url", "https://wiki.example/db");
    assert_eq!(annotations, pairs(&[description, runbook]));
}

#[test]
fn what_escalate_says_counts_more_and_the_target_most() {
    let text = format!(
        "{OWN}escalate: {{ labels: {{ team: oncall, zone: '' }}, annotations: {{ runbook_url: '' }} }}"
    );
    let (labels, annotations) = carries(&format!("{SOURCES}{}", policy(&text)));
    assert_eq!(labels, pairs(&[("cost_center", "42"), ("team", "oncall"), ("zone", "")]));
    let description = ("policy_description", "Promotes a replica.");
    assert_eq!(annotations, pairs(&[description, ("runbook_url", "")]));
    let text = "mode: auto\nteam: dba\ntarget: [team]";
    assert_eq!(carries(&format!("{SOURCES}{}", policy(text))), (vec![], vec![]));
}

#[test]
fn what_a_policy_cannot_say_of_itself_is_told_with_its_place() {
    let shown = of_policy(
        "team: the dbas\ntarget: [instance]\nlabels: { team: x, 1st: x, instance: y, severity: page, \
         host: '{{ labels.host }}' }\ndescription: []\nrunbook_url: wiki/db",
    );
    insta::assert_snapshot!(shown, @r#"
    1:11 "the dbas" cannot be the name of a team
      => a name has at most 63 letters, digits, `_`, `.` and `-`, and begins with a letter or
        a digit
    3:15 the team of a policy has a key of its own
      => write team: NAME
    3:24 "1st" is not the name of a label
      => write letters, digits and `_`, and no digit first
    3:32 instance is a label of this policy's target
      => leave it out: notices say which target they are about
    3:45 the severity of notices has a key of its own
      => write escalate: { severity: … }
    3:67 placeholders are not filled in here
      => write the text itself: labels that all alerts of an incident have are carried anyway
    4:18 expected a text, found a list
    5:18 this is no address of a page
      => write a whole URL: https://wiki.example/runbook
    "#);
    let shown =
        of_policy("teem: dba\nowner: dba\nrunbook: x\nannotations: { a: b }\ndescripton: x");
    insta::assert_snapshot!(shown, @r#"
    1:5 unknown key "teem" in a policy
      => did you mean "team"?
    2:5 unknown key "owner" in a policy
      => write team: NAME
    3:5 unknown key "runbook" in a policy
      => write runbook_url: https://…
    4:5 unknown key "annotations" in a policy
      => write escalate: { annotations: { NAME: text } }
    5:5 unknown key "descripton" in a policy
      => did you mean "description"?
    "#);
}

#[test]
fn a_grant_to_a_team_is_about_its_policies() {
    let policy = |name: &str, team: &str| {
        format!("- {{ name: {name}, {team} matchers: [a={name}], mode: shadow, remedies: [] }}\n")
    };
    let all = [
        policy("db-1", "team: dba,"),
        policy("db-2", "team: dba,"),
        policy("web-1", "team: web,"),
        policy("db-3", ""),
    ];
    let with = |grants: &str| {
        format!(
            "access:\n  grants:\n  - {{ who: [anonymous], may: [send, view] }}\n{grants}policies:\n{}",
            all.concat()
        )
    };
    let of = |narrows: &str| {
        let text = with(&format!("  - {{ who: [\"group:dba\"], may: [operate], {narrows} }}\n"));
        let access = parse("h.yml", &text).unwrap_or_else(|r| panic!("{r}")).access.unwrap();
        let policies = access.grants[1].policies.clone().unwrap();
        policies.iter().map(|pattern| pattern.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(of("teams: [dba]"), ["db-1", "db-2"]);
    assert_eq!(of("teams: [dba, web], policies: ['*-1']"), ["db-1", "web-1"]);
    assert!(of("teams: [web], policies: ['db-*']").is_empty());
    let wrong = with(
        "  - { who: [anonymous], may: [operate], teams: [dbaa, ops] }
  - { who: [anonymous], may: [send], teams: [dba] }
  - { who: [anonymous], may: [operate], team: dba }
  - { who: [anonymous], may: [operate], teams: [web], policies: [db-1] }
",
    );
    insta::assert_snapshot!(problems(&wrong), @r#"
    4:49 no policy is of a team "dbaa"
      => did you mean "dba"?
    4:55 no policy is of a team "ops"
      => a policy says whose it is: team: NAME
    5:45 `teams` does not narrow `send`
      => give `send` in a grant of its own
    6:41 unknown key "team" in a grant
      => write a list: teams: [NAME]
    7:48 warning: none of these policies is of these teams: nothing is granted
    "#);
}

#[test]
fn a_team_has_limits_beside_those_of_all() {
    let with = |limits: &str| format!("limits:\n{limits}\n{}", policy("team: dba\nmode: shadow"));
    let text =
        with("  concurrency: 8\n  teams: { dba: { concurrency: 2, rate: { max: 3, per: 1h } } }");
    let book = parse("h.yml", &text).unwrap_or_else(|report| panic!("{report}")).book;
    assert_eq!(book.limits.concurrency, 8);
    let (team, limits) = book.team_of(&book.policies()[0]).unwrap();
    let rate = homeostat_core::policy::Rate { max: 3, per: Span::from_secs(3_600) };
    assert_eq!((team.as_str(), limits.concurrency, limits.rate), ("dba", Some(2), Some(rate)));
    let wrong = "  teams:
    dbaa: { concurrency: 0 }
    dba: {}
    web: { rate: { max: 3 }, concurency: 1 }";
    insta::assert_snapshot!(problems(&with(wrong)), @r#"
    3:5 no policy is of a team "dbaa"
      => did you mean "dba"?
    3:26 must be at least 1
    4:5 this team is limited by nothing
      => write { concurrency: 4 }, { rate: { max: 10, per: 1h } } or both
    5:5 no policy is of a team "web"
      => a policy says whose it is: team: NAME
    5:18 this rate has no `per`
      => write both, as in rate: { max: 6, per: 1h }
    5:30 unknown key "concurency" in the limits of a team
      => did you mean "concurrency"?
    "#);
    insta::assert_snapshot!(problems(&with("  teams: [dba]")), @r#"
    2:10 expected teams as a map, found a list
      => write teams: { NAME: { concurrency: 4 } }
    "#);
}
