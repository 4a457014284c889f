//! What a file means that says little, and one that says much.

use super::*;

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
    let config = load(&[&path]).unwrap_or_else(|report| panic!("{report}"));
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
    let asked: Vec<_> = policy.remedies.iter().map(|r| (r.mode, r.approval.expires)).collect();
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
        3:15 warning: nobody is asked for approval here
          => write `mode: approve`, or remove `approval`
        5:41 warning: nobody is asked for approval here
          => write `mode: approve`, or remove `approval`
        5:52 must be at least 1s
        5:56 unknown key "within" in approval
          => write `expires`
        6:41 expected a map, found a text
          => write approval: { by: ["group:dba"], count: 2, expires: 30m }
        6:52 there is no mode "manual"
          => did you mean "approve"?
        "#);
}
