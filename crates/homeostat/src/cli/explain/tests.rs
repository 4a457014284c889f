use super::*;

const BOOK: &str = r#"
sources:
  alertmanagers: [{ name: main, urls: ["http://127.0.0.1:9093"] }]
  prometheuses:
    - { name: main, url: "http://127.0.0.1:9090" }
    - { name: eu, url: "http://127.0.0.1:9091", labels: { cluster: eu } }
time_intervals:
  - { name: nights, time_intervals: [{ times: [{ start_time: "22:00", end_time: "24:00" }] }] }
policies:
  - name: web-down
    matchers: ['alertname="ServiceDown"', 'job="web"']
    target: [instance]
    mode: auto
    remedies:
      - { name: restart, exec: [systemctl, restart, "web@{{ labels.instance | host }}"], retries: 1, undo: { exec: [systemctl, stop, "web@{{ labels.instance | host }}"] } }
      - { name: reboot, mode: shadow, script: "exec reboot" }
      - { name: replace, mode: approve, exec: [replace], approval: { by: ["user:ann", "user:bob"], count: 2 } }
    verify: { query: 'up{instance="{{ labels.instance }}"} == 1' }
    regression: { matchers: ['severity="critical"'], worse: undo }
    guard: { lock: ["rack/{{ labels.rack }}"] }
    continue: true
  - name: log
    matchers: ['alertname=~"Service.*"']
    mode: shadow
    remedies: [{ name: log, exec: [logger, "{{ labels.alertname }}"] }]
    sources: [main]
    verify: { patience: 2h, vanishes: true }
    guard:
      freeze: [nights]
      watchdog: { matchers: ['alertname="Watchdog"'] }
      flap: {}
      breaker: none
  - { name: late, matchers: ['job="web"'], mode: shadow, remedies: [] }
  - { name: db, matchers: ['alertname="ServiceDown"', 'job="db"'], mode: shadow, remedies: [] }
  - { name: disk, matchers: ['alertname="DiskFull"'], mode: shadow, remedies: [] }
"#;

fn explain(labels: &[&str], output: Output) -> (Exit, String) {
    explain_by(BOOK, labels, None, output)
}

fn explain_by(book: &str, labels: &[&str], of: Option<&str>, output: Output) -> (Exit, String) {
    let directory = tempfile::tempdir().unwrap();
    let config_file = directory.path().join("homeostat.yml");
    std::fs::write(&config_file, book).unwrap();
    let labels = labels.iter().map(|label| label.parse().unwrap()).collect();
    let args = Args {
        config_files: vec![config_file],
        url: None,
        token_file: None,
        ca_file: None,
        http_config_file: None,
        offline: true,
        labels,
        annotations: Vec::new(),
        owner: of.map(|of| owner(of).unwrap()),
        output,
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = run(&args, &mut out, &mut err);
    assert_eq!(String::from_utf8(err).unwrap(), "");
    (exit, String::from_utf8(out).unwrap())
}

#[test]
fn it_shows_who_takes_an_alert_and_what_would_be_done() {
    let labels = ["alertname=ServiceDown", "job=web", "instance=a:80", "rack=r1"];
    let (exit, out) = explain(&labels, Output::Text);
    assert_eq!(exit, Exit::Fine);
    insta::assert_snapshot!(out, @r#"
      policy    web-down (auto)
      target    {instance="a:80"}
      for       0s
      remedies  1. restart (auto, 1 retry after 5s, at most 1m): systemctl restart web@a
                   undo (at most 1m): systemctl stop web@a
                2. reboot (shadow, at most 1m): script: exec reboot
                3. replace (approve, at most 1m): replace
                   approved within 30m by 2 different people of user:ann, user:bob, not who set it going
      locks     lock rack/r1, target {instance="a:80"}
      guards    cooldown 5m; 6 orders per 1h, 4 at once; 3 attempts; alert at most 2m old
                breaker opens at 3 failures of the last 5, for 15m
                all policies: 60 orders per 1h, 16 at once
      sources   eu is not asked: it is for cluster="eu", and there is no such label
      verify    within 2m: 3 times, 10s apart: up{instance="a:80"} == 1
      worse if  an alert with severity = "critical" begins to fire on this target: a person is told, and the remedy is taken back
      relapse   within 30m the ladder goes on where it stood
      escalate  after 15m, as critical
      continue  later policies may take it too

      policy    log (shadow)
      target    {alertname="ServiceDown", instance="a:80", job="web", rack="r1"}
      for       0s
      remedies  1. log (shadow, at most 1m): logger ServiceDown
      locks     policy log
      guards    cooldown 5m; 6 orders per 1h, 4 at once; 1 attempt; alert at most 2m old
                frozen in nights
                only if {alertname = "Watchdog"} was heard of in the last 5m
                flapping above 2000 waits to fall to 750, half-life 15m
                all policies: 60 orders per 1h, 16 at once
      sources   only main
      verify    within 2m: the alert is resolved
                what a rule remembers is waited for up to 2h
                a target that is gone is healed
      relapse   within 30m the ladder goes on where it stood
      escalate  after 15m, as critical

    not taken by
      late: it matches, but log takes the alert first
      db: job = "db" does not hold: it is "web"
      … and 1 more

    what the guards have counted, a running engine knows: ask it with --url
    "#);
}

#[test]
fn it_shows_what_refuses() {
    let (exit, out) = explain(&["alertname=ServiceDown", "job=web"], Output::Text);
    assert_eq!(exit, Exit::Fine);
    assert!(out.contains("there is no label instance"), "{out}");
    assert!(out.contains("labels.rack is not set on this alert"), "{out}");
    assert!(out.contains("labels.instance is not set on this alert"), "{out}");
}

#[test]
fn an_alert_that_nobody_takes_is_a_no_with_the_near_misses() {
    let (exit, out) = explain(&["alertname=Other", "job=db"], Output::Text);
    assert_eq!(exit, Exit::No);
    insta::assert_snapshot!(out, @r#"
    no policy takes {alertname="Other", job="db"}
    not taken by
      db: alertname = "ServiceDown" does not hold: it is "Other"
      … and 4 more
    "#);
    let (exit, out) = explain(&["alertname=ServiceDown", "homeostat=escalation"], Output::Text);
    assert_eq!(exit, Exit::No);
    assert!(out.contains("our own"), "{out}");
}

#[test]
fn a_name_that_no_policy_is_about_is_compared_with_those_that_they_are_about() {
    let (exit, out) = explain(&["alertname=diskFul", "instance=a:80"], Output::Text);
    assert_eq!(exit, Exit::No);
    insta::assert_snapshot!(out, @r#"
    no policy takes {alertname="diskFul", instance="a:80"}
      did you mean alertname="DiskFull", as policy disk does?
    policies about other alerts: 5
    "#);
    for known in ["ServiceDown", "ServiceDowm", "DiskFull"] {
        let (_, out) = explain(&[&format!("alertname={known}"), "job=db"], Output::Json);
        assert!(!out.contains("meant"), "{out}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "it is one answer, and shown whole")]
fn a_machine_gets_the_same() {
    let (exit, out) = explain(&["alertname=ServiceDown", "instance=a:80"], Output::Json);
    assert_eq!(exit, Exit::Fine);
    insta::assert_snapshot!(out, @r#"
    {
      "labels": {
        "alertname": "ServiceDown",
        "instance": "a:80"
      },
      "ignored": null,
      "taken": [
        {
          "policy": "log",
          "mode": "shadow",
          "target": {
            "alertname": "ServiceDown",
            "instance": "a:80"
          },
          "missing": [],
          "for": "0s",
          "remedies": [
            {
              "name": "log",
              "mode": "shadow",
              "action": {
                "is": {
                  "exec": [
                    "logger",
                    "ServiceDown"
                  ]
                }
              },
              "timeout": "1m",
              "retries": 0,
              "backoff": "5s",
              "idempotent": false,
              "undo": null
            }
          ],
          "locks": {
            "is": [
              "policy log"
            ]
          },
          "guards": {
            "cooldown": "5m",
            "rate": {
              "max": 6,
              "per": "1h"
            },
            "concurrency": 4,
            "attempts": 1,
            "fresh_max_age": "2m",
            "freeze": [
              "nights"
            ],
            "watchdog": {
              "matchers": "{alertname = \"Watchdog\"}",
              "max_age": "5m"
            },
            "flap": {
              "half_life": "15m",
              "suppress": 2000,
              "reuse": 750
            },
            "breaker": null,
            "blast_radius": null,
            "storm": null,
            "book_rate": {
              "max": 60,
              "per": "1h"
            },
            "book_concurrency": 16
          },
          "sources": [
            "main"
          ],
          "not_asked": [],
          "verify": {
            "within": "2m",
            "query": null,
            "every": "10s",
            "times": 3,
            "patience": "2h",
            "vanishes": true
          },
          "regression": null,
          "escalate": {
            "after": "15m",
            "severity": "critical"
          },
          "relapse": "30m",
          "continue": false,
          "prospect": null,
          "account": null
        }
      ],
      "passed": [
        {
          "policy": "web-down",
          "because": "job = \"web\" does not hold: there is no such label"
        },
        {
          "policy": "db",
          "because": "job = \"db\" does not hold: there is no such label"
        }
      ],
      "others": 2,
      "at": null
    }
    "#);
}

#[test]
fn whose_a_pod_is_is_asked_when_it_fires_and_what_follows_can_be_seen() {
    let book = r#"
policies:
  - name: crash
    matchers: ['alertname="Crash"']
    owner_of: { namespace: "{{ labels.namespace }}", pod: "{{ labels.pod }}" }
    target: [namespace, owner_name]
    mode: shadow
    remedies: [{ name: restart, exec: [restart, "{{ labels.owner_kind }}/{{ labels.owner_name }}"] }]
"#;
    let labels = ["alertname=Crash", "namespace=shop", "pod=web-1"];
    let first = |out: String| out.lines().take(5).collect::<Vec<_>>().join("\n");
    let (_, out) = explain_by(book, &labels, None, Output::Text);
    insta::assert_snapshot!(first(out), @r#"
      policy    crash (shadow)
      owner     asked when it fires: kubernetes owner namespace=shop pod=web-1; see what follows with --owner KIND/NAME
      target    {namespace="shop"}
      for       0s
      remedies  1. restart (shadow, at most 1m): refused: {{ labels.owner_kind }}/{{ labels.owner_name }}: labels.owner_kind, labels.owner_name is not set on this alert
    "#);
    let (_, out) = explain_by(book, &labels, Some("Deployment/web"), Output::Text);
    insta::assert_snapshot!(first(out), @r#"
      policy    crash (shadow)
      owner     Deployment web
      target    {namespace="shop", owner_name="web"}
      for       0s
      remedies  1. restart (shadow, at most 1m): restart Deployment/web
    "#);
    let (_, out) = explain_by(book, &["alertname=Crash"], None, Output::Text);
    assert!(
        out.contains("owner     cannot be told, nothing is done: its owner cannot be"),
        "{out}"
    );
    assert!(owner("web").is_err() && owner("/web").is_err());
}
