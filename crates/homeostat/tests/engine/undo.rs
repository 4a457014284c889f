//! A remedy that makes another alert of its target fire is taken back, once, and a person is told:
//! on a real engine process, with a real Prometheus and Alertmanager.

use std::path::Path;
use std::time::Duration;

use crate::support::exporter::exporter;
use crate::support::{Engine, notification, ran, until};
use homeostat::demo::stack::{Alertmanager, Prometheus, Sandbox, Timings};
use serde_json::Value;

const DOWN: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "a:80")];

const RULES: &str = "\
groups:
  - name: g
    rules:
      - { alert: Down, expr: 'down == 1', for: 7s }
      - { alert: Errors, expr: 'errors == 1', labels: { severity: page } }
";

/// The metrics of something that is down until `healed` is there, and gives errors while `broken` is.
fn patient(directory: &Path) -> String {
    let down = u8::from(!directory.join("healed").exists());
    let errors = u8::from(directory.join("broken").exists());
    format!("down {down}\nerrors {errors}\n")
}

fn config(directory: &Path, alertmanager: &str, prometheus: &str) -> String {
    let directory = directory.display();
    format!(
        r#"
sources:
  alertmanagers: [{{ name: main, urls: ["{alertmanager}"] }}]
  prometheuses: [{{ name: main, url: "{prometheus}" }}]
policies:
  - name: web
    matchers: ['alertname="Down"']
    target: [instance]
    mode: auto
    verify: {{ within: 1m, every: 1s, query: 'down{{instance="{{{{ labels.instance }}}}"}} == 0', times: 30 }}
    regression: {{ matchers: ['severity="page"'], worse: undo }}
    remedies:
      - name: drain
        script: |
          echo "$HOMEOSTAT_ORDER" >> {directory}/ran
          touch {directory}/healed {directory}/broken
        undo:
          script: |
            echo "$HOMEOSTAT_ORDER" >> {directory}/ran
            rm {directory}/broken
      - name: reboot
        script: echo "$HOMEOSTAT_ORDER" >> {directory}/ran
"#
    )
}

#[tokio::test]
async fn a_remedy_that_makes_another_alert_of_its_target_fire_is_taken_back_and_told() {
    let sandbox = Sandbox::new().unwrap();
    let alertmanager = Alertmanager::builder()
        .webhook("http://127.0.0.1:9/hooks")
        .timings(Timings::QUICK)
        .start(sandbox.path())
        .await
        .unwrap();
    let directory = sandbox.path().to_owned();
    let prometheus = Prometheus::builder()
        .interval(Duration::from_secs(1))
        .scrape("web", "a:80", exporter(move || patient(&directory)))
        .rules(RULES)
        .alertmanager(alertmanager.address())
        .start(sandbox.path())
        .await
        .unwrap();
    let config = config(sandbox.path(), &alertmanager.url(), &prometheus.url());
    let engine = Engine::start(&sandbox, &config, &[]).await;
    let down = until("the alert in Alertmanager", || async {
        alertmanager.alerts().await.unwrap().into_iter().find(|a| a.label("alertname") == "Down")
    })
    .await;
    let labels = [("alertname", "Down"), ("instance", "a:80"), ("job", down.label("job"))];
    assert_eq!(labels[..2], *DOWN);
    engine.post("/hooks/main", notification(&[&labels])).await;

    let incident = engine.incident_in("closed").await;
    assert_eq!(incident["outcome"], "escalated", "{incident:#}");
    assert_eq!(
        incident["reason"],
        "remedy drain made something else worse: alert Errors fires, which did not before the \
         action; it was taken back",
        "{incident:#}"
    );
    assert_eq!(ran(sandbox.path()), ["1.drain.1", "1.drain.1.undo"], "once, and nothing after it");
    let orders = incident["orders"].as_array().unwrap();
    let undo: Vec<(&Value, &Value)> =
        orders.iter().map(|o| (&o["undo"], &o["exit_code"])).collect();
    assert_eq!(undo, [(&false.into(), &0.into()), (&true.into(), &0.into())]);
    let timeline = incident["timeline"].as_array().unwrap();
    let told = timeline.iter().find(|entry| entry["kind"] == "turned_worse").unwrap();
    assert!(told["text"].as_str().unwrap().starts_with("Remedy drain made something"), "{told}");

    until("the escalation in Alertmanager", || async {
        let alerts = alertmanager.alerts().await.unwrap();
        alerts.into_iter().find(|alert| alert.label("homeostat") == "escalation")
    })
    .await;
    until("the end of what it made worse", || async {
        let rules = prometheus.rules().await.unwrap();
        let errors = rules.into_iter().find(|rule| rule.name == "Errors").unwrap();
        errors.alerts.is_empty().then_some(())
    })
    .await;
    assert_eq!(ran(sandbox.path()).len(), 2);
}
