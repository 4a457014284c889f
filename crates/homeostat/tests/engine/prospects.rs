//! Who could say that an alert is over, and how soon: what `explain` and `check --ask-sources` tell of a
//! real Prometheus.

use std::path::Path;
use std::process::Command;

use crate::support::until;
use homeostat::demo::stack::{Alertmanager, Prometheus, Sandbox, free_address};
use regex::Regex;
use serde_json::{Value, json};

/// `Down` reads nothing that could be missing, `Errors` looks back, `Slow` for longer than anybody
/// waits, and nobody knows of `Odd`.
const RULES: &str = r#"
groups:
  - name: g
    rules:
      - { alert: Down, expr: 'label_replace(vector(1), "instance", "a:80", "", "")', labels: { severity: page } }
      - { alert: Errors, expr: 'sum_over_time(up[10m]) >= 0' }
      - { alert: Slow, expr: 'max_over_time(up[2h]) < 0' }
      - { alert: Odd, expr: 'up @ end() < 0' }
"#;

/// A Prometheus that has fired all that it fires, and labels it on the wire.
async fn prometheus(sandbox: &Sandbox) -> Prometheus {
    let own = free_address().unwrap();
    let prometheus = Prometheus::builder()
        .rules(RULES)
        .listen(own)
        .scrape("self", "me:1", own)
        .global("  external_labels: { cluster: eu }\n")
        .start(sandbox.path())
        .await
        .unwrap();
    until("both alerts", || async {
        let rules = prometheus.rules().await.unwrap();
        let fires = |name: &str| {
            let mut named = rules.iter().filter(|rule| rule.name == name);
            named.any(|rule| rule.alerts.iter().any(|alert| alert.state == "firing"))
        };
        (fires("Down") && fires("Errors")).then_some(())
    })
    .await;
    prometheus
}

fn config(sandbox: &Sandbox, sources: &str) -> String {
    let policies = r#"
policies:
  - { name: web, matchers: ['alertname="Down"'], target: [instance], mode: shadow, remedies: [] }
  - { name: errors, matchers: ['alertname="Errors"'], target: [instance], mode: shadow, remedies: [] }
  - { name: slow, matchers: ['alertname="Slow"'], mode: shadow, remedies: [] }
  - { name: odd, matchers: ['alertname="Odd"'], mode: shadow, remedies: [] }
  - { name: lost, matchers: ['alertname="Nothing"'], mode: shadow, remedies: [] }
"#;
    let file = sandbox.path().join("homeostat.yml");
    std::fs::write(&file, format!("{sources}{policies}")).unwrap();
    file.display().to_string()
}

/// What the command comes to, with times that differ from run to run replaced.
async fn run(command: &str, file: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut run = Command::new(env!("CARGO_BIN_EXE_homeostat"));
    run.args([command, "--config.file", file]).args(arguments);
    let output = tokio::task::spawn_blocking(move || run.output().unwrap()).await.unwrap();
    let place = format!("{}/", Path::new(file).parent().unwrap().display());
    let moment = Regex::new(r"(evaluated|updated|runs for) \d+m?s").unwrap();
    let text = |bytes| {
        let text = String::from_utf8(bytes).unwrap().replace(&place, "");
        moment.replace_all(&text, "$1 MOMENTS").into_owned()
    };
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// What the answer says of witnesses: its lines from there to the grade.
fn prospect(out: &str) -> String {
    let lines = out.lines().skip_while(|line| !line.starts_with("  verify")).skip(1);
    let mut lines: Vec<&str> = lines.collect();
    let end = lines.iter().position(|line| line.starts_with("  grade")).unwrap();
    lines.truncate(end + 1);
    lines.join("\n")
}

#[tokio::test]
async fn explain_tells_who_shows_an_alert_and_how_well_its_end_can_be_known() {
    let sandbox = Sandbox::new().unwrap();
    let prometheus = prometheus(&sandbox).await;
    let sources = format!(
        "sources:\n  prometheuses:\n    - {{ name: main, url: \"{}\" }}\n    \
         - {{ name: us, url: \"{0}\", labels: {{ cluster: us }} }}\n",
        prometheus.url()
    );
    let file = config(&sandbox, &sources);

    let down = ["alertname=Down", "cluster=eu", "instance=a:80", "severity=page"];
    let (code, out, err) = run("explain", &file, &down).await;
    assert_eq!((code, err.as_str()), (Some(0), ""));
    insta::assert_snapshot!(prospect(&out), @r#"
    witnesses Prometheus main shows it: fires, evaluated MOMENTS before
    memory    rule Down looks back 2s: without a query it takes up to 3s after a cure to know
    reads     nothing whose absence would hide the alert
    grade     confirmed at best: `proven` needs a `verify.query`
    "#);

    // Without its external label it is an alert of somebody else.
    let other = ["alertname=Down", "instance=a:80", "severity=page"];
    let (_, out, _) = run("explain", &file, &other).await;
    insta::assert_snapshot!(prospect(&out), @r#"
    witnesses Prometheus main has the rule, but shows no instance of this alert
    memory    rule Down looks back 2s: without a query it takes up to 3s after a cure to know
    reads     nothing whose absence would hide the alert
    grade     reported at best: Prometheus main has rule Down, but shows no instance of this alert: it cannot confirm; `confirmed` needs a Prometheus to show it firing when the remedy starts
    "#);

    let errors = ["alertname=Errors", "cluster=eu", "instance=me:1", "job=self"];
    let (_, out, _) = run("explain", &file, &errors).await;
    insta::assert_snapshot!(prospect(&out), @r#"
    witnesses Prometheus main shows it: fires, evaluated MOMENTS before
    memory    rule Errors looks back 10m2s: without a query it takes up to 10m3s after a cure to know
    reads     up{instance="me:1",job="self"} (has data)
    grade     confirmed at best: `proven` needs a `verify.query`
    "#);

    let (code, out, _) = run("explain", &file, &["alertname=Slow", "cluster=eu"]).await;
    assert_eq!(code, Some(0));
    insta::assert_snapshot!(prospect(&out), @r#"
    witnesses Prometheus main has the rule, but shows no instance of this alert
    memory    rule Slow looks back 2h2s, which with an evaluation is longer than `patience` (1h): while it fires, only a query can tell
    reads     up
    grade     reported at best: Prometheus main has rule Slow, but shows no instance of this alert: it cannot confirm; `confirmed` needs a Prometheus to show it firing when the remedy starts
    "#);

    let (_, out, _) = run("explain", &file, &["alertname=Nothing", "cluster=mars"]).await;
    insta::assert_snapshot!(prospect(&out), @r#"
    witnesses Prometheus main has no such rule
    grade     reported at best: no Prometheus has a rule Nothing
    "#);

    let far = format!(
        "sources: {{ prometheuses: [{{ name: us, url: \"{}\", labels: {{ cluster: us }} }}] }}\n",
        prometheus.url()
    );
    let (_, out, _) = run("explain", &config(&sandbox, &far), &down).await;
    let nobody =
        "reported at best: no Prometheus may be its witness: the alert lacks the `labels` of each";
    assert!(prospect(&out).ends_with(nobody), "{out}");
    let file = config(&sandbox, &sources);

    let (code, out, _) = run("explain", &file, &["alertname=Other"]).await;
    assert_eq!(code, Some(1), "{out}");
    let (_, out, _) = run("explain", &file, &["--offline", "alertname=Down"]).await;
    assert!(!out.contains("witnesses"), "{out}");

    let (_, out, _) = run("explain", &file, &[&["--output=json"], &errors[..]].concat()).await;
    let answer: Value = serde_json::from_str(&out).unwrap();
    let prospect = &answer["taken"][0]["prospect"]["is"];
    assert_eq!(prospect["grade"], "confirmed");
    assert_eq!(prospect["witnesses"][0]["sees"], true);
    assert_eq!(prospect["rules"][0]["memory"], json!({"lasts": "10m2s"}));
    let reads =
        json!({"is": [{"selector": "up{instance=\"me:1\",job=\"self\"}", "has_data": true}]});
    assert_eq!(prospect["rules"][0]["reads"], reads);
}

#[tokio::test]
async fn without_a_prometheus_nobody_knows_what_a_rule_remembers() {
    let sandbox = Sandbox::new().unwrap();
    let alertmanager = Alertmanager::builder().start(sandbox.path()).await.unwrap();
    let sources = format!(
        "sources:\n  alertmanagers: [{{ name: main, urls: [\"{}\"] }}]\n",
        alertmanager.url()
    );
    let file = config(&sandbox, &sources);
    let (code, out, _) = run("explain", &file, &["alertname=Down", "instance=a:80"]).await;
    assert_eq!(code, Some(0));
    insta::assert_snapshot!(prospect(&out), @r#"
    witnesses Alertmanager main does not list it, of 0 in all; it runs for MOMENTS
    memory    nobody knows what its rule remembers: `within` must be longer than it looks back, for what an Alertmanager was told after an action counts as firing
    grade     reported at best: no Prometheus is configured
    "#);
    let (code, out, err) = run("check", &file, &["--ask-sources"]).await;
    assert_eq!((code, out.as_str()), (Some(0), "homeostat.yml: valid, with 5 policies\n"));
    insta::assert_snapshot!(err, @r#"
    note: homeostat.yml: no Prometheus is configured: nobody knows what rules remember
     |
     = help: `within` of each policy must be longer than its rules look back: what an Alertmanager was told after an action counts as firing
    "#);
}

#[tokio::test]
async fn check_asks_for_the_rules_behind_policies() {
    let sandbox = Sandbox::new().unwrap();
    let prometheus = prometheus(&sandbox).await;
    let sources =
        format!("sources: {{ prometheuses: [{{ name: main, url: \"{}\" }}] }}\n", prometheus.url());
    let file = config(&sandbox, &sources);
    let (code, out, err) = run("check", &file, &["--ask-sources"]).await;
    assert_eq!(code, Some(0));
    assert_eq!(out, "homeostat.yml: valid, with 5 policies and 3 warnings\n");
    insta::assert_snapshot!(err, @r#"
    warning: homeostat.yml: policy lost: no Prometheus has a rule Nothing
     |
     = help: a healing can only be reported, and neither confirmed nor known to have failed by a rule; see the name, and `sources`

    warning: homeostat.yml: policy odd: on Prometheus main, rule Odd looks back nobody knows how far: its expression has an `@`; while it fires, only a query can tell
     |
     = help: give the policy a `verify.query`

    warning: homeostat.yml: policy slow: on Prometheus main, rule Slow looks back 2h2s, which with an evaluation is longer than `patience` (1h): while it fires, only a query can tell
     |
     = help: give the policy a `verify.query`, or more `patience`

    note: homeostat.yml: policy errors: on Prometheus main, rule Errors looks back 10m2s: without a query it takes up to 10m3s after a cure to know
     |
     = help: a `verify.query` tells sooner
    "#);
    let (_, out, err) = run("check", &file, &[]).await;
    assert_eq!((out.as_str(), err.as_str()), ("homeostat.yml: valid, with 5 policies\n", ""));

    let (_, out, _) = run("check", &file, &["--ask-sources", "--output=json"]).await;
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&answer["valid"], &answer["warnings"]), (&json!(true), &json!(3)));
    let severities: Vec<&Value> =
        answer["problems"].as_array().unwrap().iter().map(|row| &row["severity"]).collect();
    assert_eq!(severities, ["warning", "warning", "warning", "note"]);

    let nobody = free_address().unwrap();
    let sources =
        format!("sources: {{ prometheuses: [{{ name: main, url: \"http://{nobody}\" }}] }}\n");
    let file = config(&sandbox, &sources);
    let (code, _, err) = run("check", &file, &["--ask-sources"]).await;
    assert_eq!(code, Some(0));
    assert_eq!(err.matches("Prometheus main gave no answer").count(), 1, "{err}");
    let (code, out, _) = run("explain", &file, &["alertname=Down", "instance=a:80"]).await;
    assert_eq!(code, Some(0));
    assert!(prospect(&out).contains("confirmed at best: Prometheus main gives no answer"), "{out}");
}
