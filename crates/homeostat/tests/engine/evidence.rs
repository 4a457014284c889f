//! What looks like healing and is none: on a real Prometheus.

use std::path::Path;

use crate::support::exporter::exporter;
use crate::support::{Engine, notification, ran, until};
use homeostat::demo::stack::{Prometheus, Sandbox};
use serde_json::Value;

const A: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "a:80")];

fn config(directory: &Path, prometheus: &str, query: &str) -> String {
    let directory = directory.display();
    format!(
        r#"
sources:
  prometheuses: [{{ name: main, url: "{prometheus}" }}]
policies:
  - name: web
    matchers: ['alertname="Down"']
    target: [instance]
    mode: auto
    escalate: none
    verify: {{ within: 8s, every: 1s, {query} }}
    remedies:
      - name: first
        script: |
          echo "$HOMEOSTAT_ORDER" >> {directory}/ran
          touch {directory}/acted
      - name: second
        script: echo "$HOMEOSTAT_ORDER" >> {directory}/ran
"#
    )
}

/// Fires under this rule, acts, and returns the incident when it has closed. What is printed depends on
/// whether the remedy ran: on whether the file `acted` is there.
async fn play(
    sandbox: &Sandbox,
    expression: &str,
    print: fn(bool) -> &'static str,
    query: &str,
) -> (Value, Prometheus) {
    let rules =
        format!("groups: [{{ name: g, rules: [{{ alert: Down, expr: '{expression}' }}] }}]");
    let acted = sandbox.path().join("acted");
    let prometheus = Prometheus::builder()
        .scrape("web", "a:80", exporter(move || print(acted.exists()).to_owned()))
        .rules(&rules)
        .start(sandbox.path())
        .await
        .unwrap();
    until("the alert of the rule", || async {
        let rules = prometheus.rules().await.unwrap();
        rules.into_iter().find(|rule| !rule.alerts.is_empty())
    })
    .await;
    let config = config(sandbox.path(), &prometheus.url(), query);
    let engine = Engine::start(sandbox, &config, &[]).await;
    engine.post("/hooks", notification(&[A])).await;
    let incident = engine.incident_in("closed").await;
    assert_eq!(ran(sandbox.path()), ["1.first.1"], "unknown never climbs the ladder");
    (incident, prometheus)
}

/// Two limits for one instance: what was a comparison is an error.
const LIMITED: &str = "level < on (instance) limit";

#[tokio::test]
async fn a_rule_that_errs_after_the_action_has_healed_nothing() {
    let sandbox = Sandbox::new().unwrap();
    let print = |acted| {
        if acted {
            "level 9\nlimit{kind=\"a\"} 1\nlimit{kind=\"b\"} 1\n"
        } else {
            "level 0\nlimit 1\n"
        }
    };
    let (incident, prometheus) = play(&sandbox, LIMITED, print, "times: 1").await;
    assert_eq!(incident["outcome"], "escalated", "{incident:#}");
    assert!(incident["reason"].as_str().unwrap().contains("unknown"), "{incident:#}");
    let rules = prometheus.rules().await.unwrap();
    assert_eq!(rules[0].health, "err");
}

#[tokio::test]
async fn a_rule_that_holds_no_more_after_the_action_is_confirmed() {
    let sandbox = Sandbox::new().unwrap();
    let print = |acted| if acted { "level 9\nlimit 1\n" } else { "level 0\nlimit 1\n" };
    let (incident, _) = play(&sandbox, LIMITED, print, "times: 1").await;
    let healed = (&incident["outcome"], &incident["grade"]);
    assert_eq!(healed, (&"healed".into(), &"confirmed".into()), "{incident:#}");
}

#[tokio::test]
async fn series_that_vanish_after_the_action_prove_nothing() {
    let sandbox = Sandbox::new().unwrap();
    let print = |acted| if acted { "" } else { "level 0\n" };
    let query = r#"query: 'level{instance="{{ labels.instance }}"} == 9', times: 1"#;
    let (incident, _) = play(&sandbox, "level == 0", print, query).await;
    assert_eq!(incident["outcome"], "escalated", "{incident:#}");
}
