//! Alerts as Alertmanager sends them: about a kilobyte each, with the labels of a real rule.

use homeostat_core::label::LabelSet;
use serde_json::{Value, json};

/// The name that all alerts of the benchmark have.
pub(crate) const NAME: &str = "ServiceDown";

/// Since when all of them fire.
const STARTED: &str = "2026-01-05T09:00:00.123Z";

/// The body of a batch of the alerts API: alerts that fire for another hour, each with a number that no
/// other one has, and its instance.
pub(crate) fn batch(name: &str, alerts: impl IntoIterator<Item = (usize, String)>) -> Vec<u8> {
    let now = jiff::Timestamp::now();
    let one = |(number, instance): (usize, String)| {
        json!({
            "labels": {
                "alertname": name,
                "check": format!("check-{number:06}"),
                "cluster": "eu-central-1",
                "instance": instance,
                "job": "web",
                "severity": "critical",
            },
            "annotations": { "summary": format!("Check {number} of {instance} fails") },
            "startsAt": STARTED,
            "endsAt": (now + jiff::SignedDuration::from_hours(1)).to_string(),
            "generatorURL": "http://prometheus.example.org:9090/graph?g0.expr=up+%3D%3D+0&g0.tab=1",
        })
    };
    alerts.into_iter().map(one).collect::<Value>().to_string().into_bytes()
}

/// One alert that fires, as a part of a notification.
fn alert(family: &str, number: usize) -> Value {
    let instance = instance(family, number);
    let labels = [
        ("alertname", NAME),
        ("cluster", "eu-central-1"),
        ("instance", &instance),
        ("job", "web"),
        ("selfhealing", "true"),
        ("severity", "critical"),
    ];
    let fingerprint = LabelSet::from_pairs(labels).fingerprint().to_string();
    let labels: serde_json::Map<String, Value> =
        labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    json!({
        "status": "firing",
        "labels": labels,
        "annotations": {
            "description": format!("The web server {instance} has not answered for 1m."),
            "runbook_url": "https://runbooks.example.org/web/service-down",
            "summary": format!("Web server {instance} is down"),
        },
        "startsAt": STARTED,
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example.org:9090/graph?g0.expr=up+%3D%3D+0&g0.tab=1",
        "fingerprint": fingerprint,
    })
}

/// The instance that an alert is about; no two families share one.
pub(crate) fn instance(family: &str, number: usize) -> String {
    format!("{family}-{number:06}.example.org:9100")
}

/// The body of a notification of these alerts.
pub(crate) fn body(family: &str, numbers: impl IntoIterator<Item = usize>) -> Vec<u8> {
    let alerts: Vec<Value> = numbers.into_iter().map(|number| alert(family, number)).collect();
    json!({
        "version": "4",
        "groupKey": "{}:{alertname=\"ServiceDown\"}",
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "homeostat",
        "groupLabels": { "alertname": NAME },
        "commonLabels": { "alertname": NAME, "job": "web", "severity": "critical" },
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example.org:9093",
        "alerts": alerts,
    })
    .to_string()
    .into_bytes()
}

/// Notifications of new alerts, so many in each.
pub(crate) fn notifications(family: &str, notifications: usize, alerts: usize) -> Vec<Vec<u8>> {
    (0..notifications).map(|n| body(family, n * alerts..(n + 1) * alerts)).collect()
}
