//! What is looked at beside an act, and what is asked of a hand before it.

use homeostat_core::collect::{At, Look, Looked, Moment, looks};
use homeostat_core::policy::Managed;
use homeostat_core::template::Values;

use super::*;

const SOURCES: &str = "sources: { prometheuses: [{ name: main, url: 'http://127.0.0.1:9090' }] }\n";

fn read(collect: &str) -> Vec<Look> {
    let text = format!("{SOURCES}{}", policy(&format!("collect: [{collect}]")));
    let config = parse("homeostat.yml", &text).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(config.warnings.problems(), [], "{}", config.warnings);
    let values = Values {
        labels: LabelSet::from_pairs([("instance", "web1:80"), ("pod", "web-0")]),
        annotations: LabelSet::default(),
        incident: 1,
        policy: "a".into(),
        remedy: "x".into(),
        attempt: 1,
        key: String::new(),
    };
    looks(&config.book.policies()[0].collect, Moment::Before, &values, None)
}

#[test]
fn each_kind_of_collector_is_read_and_rendered() {
    let all = r#"{ name: top, exec: [top, -b, -n, "1"] },
      { name: load, query: 'node_load1{instance="{{ labels.instance }}"}' },
      { name: disk, ssh: { host: "{{ labels.instance | host }}", exec: [df] } },
      { name: unit, systemd: { status: web.service } },
      { name: log, kubernetes: { context: prod, logs: { namespace: shop, pod: "{{ labels.pod }}", previous: true, tail: 50 } } },
      { name: later, when: after, exec: [true] }"#;
    let shown: Vec<String> =
        read(all).iter().map(|look| format!("{}: {}", look.name, look.at)).collect();
    assert_eq!(
        shown,
        [
            "top: top -b -n 1",
            "load: node_load1{instance=\"web1:80\"}",
            "disk: ssh exec host=web1 argv=[df]",
            "unit: systemd status unit=web.service",
            "log: kubernetes logs namespace=shop pod=web-0 previous=true tail=50 context=prod",
        ]
    );
}

#[test]
fn a_hostile_value_is_data_or_nothing_is_looked_at() {
    let pod =
        r#"{ name: log, kubernetes: { logs: { namespace: shop, pod: "{{ labels.instance }}" } } }"#;
    let At::Nothing { why } = &read(pod)[0].at else { panic!("a pod has no colon in its name") };
    assert!(why.contains("labels.instance"), "{why}");
}

#[test]
fn a_collector_does_one_thing_and_changes_nothing() {
    for (collector, problem) in [
        ("{ name: a }", "this collector looks at nothing"),
        ("{ exec: [top] }", "this collector has no `name`"),
        ("{ name: a, exec: [top], query: up }", "a collector looks at one thing"),
        ("{ name: a, systemd: { restart: x.service } }", "unknown key \"restart\""),
        ("{ name: a, kubernetes: { evict: { namespace: a, pod: b } } }", "unknown key \"evict\""),
        ("{ name: a, kubernetes: { context: prod } }", "`kubernetes` looks at nothing"),
        ("{ name: a, kubernetes: { logs: { pod: b } } }", "it says no `namespace`"),
        (
            "{ name: a, kubernetes: { logs: { namespace: b, pod: c, tail: 0 } } }",
            "so many lines cannot be asked for",
        ),
        ("{ name: a, systemd: { status: web } }", "the name of a unit says what it is"),
        ("{ name: a, when: during, exec: [top] }", "there is no `when: during`"),
        ("{ name: a, exec: [\"{{ labels.x }}\"] }", "the program itself cannot come from an alert"),
        ("{ name: a, query: 'up == {{ labels.x }}' }", "a placeholder can only stand in a quoted"),
        ("{ name: a, script: top }", "unknown key \"script\""),
        ("{ name: a, exec: [top] }, { name: a, exec: [df] }", "a second collector is named \"a\""),
    ] {
        let said = problems(&format!("{SOURCES}{}", policy(&format!("collect: [{collector}]"))));
        assert!(said.contains(problem), "{collector}\n{said}");
    }
    let nine: Vec<String> = (0..9).map(|n| format!("{{ name: c{n}, exec: [top] }}")).collect();
    let said = problems(&policy(&format!("collect: [{}]", nine.join(", "))));
    assert!(said.contains("more than 8 collectors"), "{said}");
    let said = problems(&policy("collect: [{ name: a, query: up }]"));
    assert!(said.contains("there is no Prometheus to ask this"), "{said}");
}

#[test]
fn secrets_have_patterns() {
    for (pattern, problem) in [
        ("'('", "no pattern"),
        ("'x*'", "this pattern takes nothing at all for a secret"),
        ("'(?=x)'", "no pattern"),
    ] {
        let said = problems(&format!("redact: [{pattern}]\n{}", policy("relapse: 1h")));
        assert!(said.contains(problem), "{pattern}\n{said}");
    }
    let usual = parse("homeostat.yml", &policy("relapse: 1h")).unwrap().redact.len();
    let more = format!("redact: ['key-[0-9]+']\n{}", policy("relapse: 1h"));
    assert_eq!(parse("homeostat.yml", &more).unwrap().redact.len(), usual + 1);
}

#[test]
fn hands_are_asked_first_and_people_where_git_says_how_it_is() {
    let read = |text: &str| parse("homeostat.yml", text).unwrap().book.policies()[0].clone();
    let usual = read(&policy("relapse: 1h"));
    assert!(usual.guard.dry_run && usual.guard.managed == Managed::Ask);
    let other = read(&policy("gitops: act\nguard: { dry_run: false }"));
    assert!(!other.guard.dry_run && other.guard.managed == Managed::Act);
    let defaults =
        format!("defaults: {{ guard: {{ dry_run: false }} }}\n{}", policy("relapse: 1h"));
    assert!(!read(&defaults).guard.dry_run);
    let said = problems(&policy("gitops: yes"));
    assert!(said.contains("there is no `gitops: yes`"), "{said}");
    let remedy = "kubernetes: { evict: { namespace: a, pod: b } }";
    let read = read(&policy(&format!(
        "remedies: [{{ name: x, {remedy}, collect: [{{ name: y, exec: [z] }}] }}]"
    )));
    let Action::Errand(errand) = &read.remedies[0].action else { panic!() };
    assert!(errand.rehearsed);
    assert!(matches!(read.remedies[0].collect[0].at, Looked::Exec(_)));
}
