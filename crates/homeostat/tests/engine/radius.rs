//! A blast radius on a real stack: web services that break, a Prometheus that scrapes and counts
//! them, an Alertmanager that lists their alerts, and an engine process that heals one at a time.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::exporter::service;
use crate::support::{Engine, notification, ran, until};
use homeostat::demo::stack::{Alertmanager, Prometheus, Sandbox, Timings};
use serde_json::Value;

fn broken(directory: &Path, instance: &str) -> PathBuf {
    directory.join(format!("broken-{instance}"))
}

fn configuration(directory: &Path, alertmanager: &str, prometheus: &str) -> String {
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
    guard:
      blast_radius:
        percent: 34
        window: 10s
        inventory: 'count(last_over_time(up{{job="web"}}[1h]))'
    remedies:
      - name: restart
        script: |
          echo "$HOMEOSTAT_ORDER" >> {directory}/ran
          sleep 1
          rm {directory}/broken-$HOMEOSTAT_LABEL_instance
    verify:
      within: 30s
      every: 1s
      times: 1
      query: 'up{{job="web", instance="{{{{ labels.instance }}}}"}} == 1'
"#
    )
}

#[tokio::test]
async fn of_three_services_a_second_is_not_touched_while_the_first_is_being_healed() {
    let sandbox = Sandbox::new().unwrap();
    let alertmanager = Alertmanager::builder()
        .webhook("http://127.0.0.1:9/hooks")
        .timings(Timings::QUICK)
        .start(sandbox.path())
        .await
        .unwrap();
    let mut prometheus = Prometheus::builder()
        .interval(Duration::from_secs(1))
        .rules(
            "groups: [{ name: g, rules: [{ alert: Down, expr: 'up{job=\"web\"} == 0', for: 7s }] }]",
        )
        .alertmanager(alertmanager.address());
    for instance in ["a", "b", "c"] {
        let broken = broken(sandbox.path(), instance);
        let address = service(move || (!broken.exists()).then(String::new));
        prometheus = prometheus.scrape("web", instance, address);
    }
    for instance in ["a", "b"] {
        std::fs::write(broken(sandbox.path(), instance), "").unwrap();
    }
    let prometheus = prometheus.start(sandbox.path()).await.unwrap();
    let config = configuration(sandbox.path(), &alertmanager.url(), &prometheus.url());
    let engine = Engine::start(&sandbox, &config, &[]).await;
    until("both alerts in Alertmanager", || async {
        let alerts = alertmanager.alerts().await.unwrap();
        (alerts.iter().filter(|alert| alert.label("alertname") == "Down").count() == 2)
            .then_some(())
    })
    .await;
    let alert = |instance| [("alertname", "Down"), ("instance", instance), ("job", "web")];
    engine.post("/hooks/main", notification(&[&alert("a"), &alert("b")])).await;
    let held: Value = until("a held incident", || async {
        let incidents = engine.incidents().await;
        incidents.into_iter().find(|one| one["reason"].as_str().unwrap().contains("blast_radius"))
    })
    .await;
    let reason = held["reason"].as_str().unwrap();
    let sum = "1 of 3 targets of policy web is already being healed; at most 34 % of 3 is 1; there \
               is room in ";
    assert!(reason.contains(sum), "{reason}");
    assert!(ran(sandbox.path()).len() <= 1, "only one is touched");
    let healed = until("both healed", || async {
        let incidents = engine.incidents().await;
        let healed = incidents.iter().all(|incident| incident["outcome"] == "healed");
        (healed && incidents.len() == 2).then_some(incidents)
    })
    .await;
    let mut issued: Vec<jiff::Timestamp> = healed
        .iter()
        .map(|incident| incident["orders"][0]["started_at"].as_str().unwrap().parse().unwrap())
        .collect();
    issued.sort_unstable();
    assert!(
        issued[1].duration_since(issued[0]).as_secs() >= 9,
        "a window lies between: {issued:?}"
    );
    assert_eq!(ran(sandbox.path()).len(), 2);
}
