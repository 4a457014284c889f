//! What worked with prometheus-am-executor goes on working: its configuration is translated, its
//! scripts heal, and they get the variables that it documents.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::{Engine, until};
use homeostat::demo::stack::{Alertmanager, Sandbox, Timings};
use serde_json::{Map, Value, json};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/am-executor").join(name)
}

fn homeostat(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_homeostat")).args(arguments).output().unwrap()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_real_configuration_is_translated_and_passes_the_check() {
    let sandbox = Sandbox::new().unwrap();
    let executor = fixture("executor.yml");
    let new = homeostat(&["migrate", "am-executor", executor.to_str().unwrap()]);
    assert_eq!(new.status.code(), Some(0), "{}", text(new.stderr));
    let said = text(new.stderr);
    assert!(said.contains("executor.yml:3:17\n"), "where to listen: {said}");
    assert!(said.contains("executor.yml:24:22\n"), "the signal: {said}");
    assert!(said.ends_with("executor.yml: 2 policies, 2 warnings\n"), "{said}");
    let file = sandbox.path().join("homeostat.yml");
    std::fs::write(&file, &new.stdout).unwrap();
    let check = homeostat(&["check", "--config.file", file.to_str().unwrap()]);
    assert_eq!(check.status.code(), Some(0), "{}", text(check.stderr));
    // What is not on this machine, and ladders of one rung, are worth a warning.
    assert!(text(check.stdout).contains(": valid, with 2 policies"));
}

#[tokio::test]
async fn a_migrated_script_heals() {
    let sandbox = Sandbox::new().unwrap();
    let engine = Engine::start(&sandbox, "policies: []", &[]).await;
    let alertmanager = Alertmanager::builder()
        .webhook(&engine.url("/hooks"))
        .timings(Timings::QUICK)
        .start(sandbox.path())
        .await
        .unwrap();
    let executor = std::fs::read_to_string(fixture("executor.yml")).unwrap();
    let executor = executor
        .replace("/usr/local/lib/am-executor", fixture("").to_str().unwrap())
        .replace("/run/web", sandbox.path().to_str().unwrap());
    let old = sandbox.path().join("executor.yml");
    std::fs::write(&old, executor).unwrap();
    let url = alertmanager.url();
    let new = homeostat(&[
        "migrate",
        "am-executor",
        old.to_str().unwrap(),
        "--mode=auto",
        "--target=instance",
        "--alertmanager",
        &url,
    ]);
    assert_eq!(new.status.code(), Some(0), "{}", text(new.stderr));
    std::fs::write(engine.directory.join("homeostat.yml"), &new.stdout).unwrap();
    assert_eq!(engine.post("/-/reload", "").await, 200);

    let down = sandbox.path().join("web01.down");
    std::fs::write(&down, "").unwrap();
    let alert: &[(&str, &str)] = &[
        ("alertname", "ServiceDown"),
        ("instance", "web01:9100"),
        ("job", "web"),
        ("selfhealing", "true"),
    ];
    alertmanager.fire(alert).await.unwrap();
    until("the service", || async { (!down.exists()).then_some(()) }).await;
    // What a rule in Prometheus would do, now that the service is there.
    alertmanager.resolve(alert).await.unwrap();
    let incident = engine.incident_in("closed").await;
    assert_eq!(incident["outcome"], "healed", "{incident:#}");
    let orders = incident["orders"].as_array().unwrap();
    assert_eq!(orders.len(), 1, "{incident:#}");
    assert_eq!(orders[0]["exit_code"], 0);
    assert_eq!(orders[0]["output"], "restarting web on web01 for my-receiver\n");
}

/// The variables that am-executor documents, for one notification.
fn documented(body: &Value) -> BTreeMap<String, String> {
    let string = |value: &Value| value.as_str().unwrap().to_owned();
    let seconds = |value: &Value| match value.as_str().unwrap() {
        "0001-01-01T00:00:00Z" => "0".to_owned(),
        time => time.parse::<jiff::Timestamp>().unwrap().as_second().to_string(),
    };
    let alerts = body["alerts"].as_array().unwrap();
    let mut variables = BTreeMap::from([
        ("AMX_RECEIVER".to_owned(), string(&body["receiver"])),
        ("AMX_STATUS".to_owned(), string(&body["status"])),
        ("AMX_EXTERNAL_URL".to_owned(), string(&body["externalURL"])),
        ("AMX_ALERT_LEN".to_owned(), alerts.len().to_string()),
    ]);
    let mut pairs = |prefix: &str, map: &Value| {
        for (name, value) in map.as_object().unwrap() {
            variables.insert(format!("{prefix}_{name}"), string(value));
        }
    };
    pairs("AMX_LABEL", &body["commonLabels"]);
    pairs("AMX_GLABEL", &body["groupLabels"]);
    pairs("AMX_ANNOTATION", &body["commonAnnotations"]);
    for (number, alert) in (1..).zip(alerts) {
        let prefix = format!("AMX_ALERT_{number}");
        pairs(&format!("{prefix}_LABEL"), &alert["labels"]);
        pairs(&format!("{prefix}_ANNOTATION"), &alert["annotations"]);
        let single = json!({
            "STATUS": alert["status"],
            "START": seconds(&alert["startsAt"]),
            "END": seconds(&alert["endsAt"]),
            "URL": alert["generatorURL"],
            "FINGERPRINT": alert["fingerprint"],
        });
        pairs(&prefix, &single);
    }
    variables
}

/// A policy whose remedy writes its environment to a file.
fn printing(file: &Path, more: &str) -> String {
    format!(
        "policies:\n  - name: old\n    matchers: ['job=\"web\"']\n    target: [job]\n    \
         mode: auto\n    escalate: none\n{more}    remedies:\n      - name: print\n        \
         script: env -0 > {file}.part && mv {file}.part {file}\n",
        file = file.display()
    )
}

/// The `AMX_*` variables that the remedy got.
async fn printed(file: &Path) -> BTreeMap<String, String> {
    let bytes = until("the environment", || async { std::fs::read(file).ok() }).await;
    let text = String::from_utf8(bytes).unwrap();
    let pairs = text.split_terminator('\0').filter_map(|pair| pair.split_once('='));
    let ours = pairs.filter(|(name, _)| name.starts_with("AMX_"));
    ours.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[tokio::test]
async fn a_script_gets_the_documented_variables_of_a_captured_notification() {
    let sandbox = Sandbox::new().unwrap();
    let file = sandbox.path().join("environment");
    let engine = Engine::start(&sandbox, &printing(&file, ""), &[]).await;
    let body = include_str!("../../src/intake/fixtures/alertmanager-0.25/firing.json");
    assert_eq!(engine.post("/hooks", body).await, 200);
    let got = printed(&file).await;
    assert_eq!(got, documented(&serde_json::from_str(body).unwrap()));
    assert_eq!(got["AMX_ALERT_1_START"], "1795327670");
    assert_eq!(got["AMX_ALERT_1_END"], "0");
}

/// One alert of a group, as Alertmanager sends it.
fn member(number: usize, more: &[(&str, &str)], ends_at: Option<&str>) -> Value {
    let mut labels: Map<String, Value> =
        json!({ "alertname": "WebDown", "job": "web", "instance": format!("web0{number}:80") })
            .as_object()
            .unwrap()
            .clone();
    labels.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())));
    json!({
        "status": if ends_at.is_some() { "resolved" } else { "firing" },
        "labels": labels,
        "annotations": { "summary": "down; \"restart\" it\nsoon", "number": number.to_string() },
        "startsAt": format!("2026-01-05T09:00:0{number}.9+01:00"),
        "endsAt": ends_at.unwrap_or("0001-01-01T00:00:00Z"),
        "generatorURL": format!("http://prometheus:9090/graph?g0.expr=up%3D%3D{number}&g0.tab=1"),
        "fingerprint": format!("00000000000000a{number}"),
    })
}

fn group(alerts: &[Value]) -> Value {
    json!({
        "version": "4",
        "receiver": "web\\.hook",
        "status": "firing",
        "alerts": alerts,
        "groupLabels": { "alertname": "WebDown" },
        "commonLabels": { "alertname": "WebDown", "job": "web" },
        "commonAnnotations": { "summary": "down; \"restart\" it\nsoon" },
        "externalURL": "http://alertmanager:9093/path",
        "groupKey": "{}:{alertname=\"WebDown\"}",
        "truncatedAlerts": 0,
    })
}

#[tokio::test]
async fn a_script_gets_the_documented_variables_of_a_group_of_three() {
    let sandbox = Sandbox::new().unwrap();
    let file = sandbox.path().join("environment");
    // The group changes while the policy waits.
    let engine = Engine::start(&sandbox, &printing(&file, "    for: 2s\n"), &[]).await;
    let labels: &[(&str, &str)] = &[("severity", "page"), ("path", "C:\\temp dir")];
    let firing = [member(1, &[], None), member(2, labels, None), member(3, &[], None)];
    assert_eq!(engine.post("/hooks", group(&firing).to_string()).await, 200);
    let ended = member(3, &[], Some("2026-01-05T09:30:00.5Z"));
    let mixed = group(&[firing[0].clone(), firing[1].clone(), ended]);
    assert_eq!(engine.post("/hooks", mixed.to_string()).await, 200);
    let got = printed(&file).await;
    assert_eq!(got, documented(&mixed));
    assert_eq!(got["AMX_ALERT_LEN"], "3");
    assert_eq!(got["AMX_ALERT_3_STATUS"], "resolved");
    assert_eq!(got["AMX_ALERT_3_START"], "1767600003");
    assert_eq!(got["AMX_ALERT_3_END"], "1767605400");
    assert_eq!(engine.incidents().await.len(), 1);
}

#[test]
fn the_examples_of_the_document_are_what_is_printed() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/how-to/migrate.md");
    let document = std::fs::read_to_string(document).unwrap();
    let blocks: Vec<_> = document.split("```").skip(1).step_by(2).collect();
    let of = |kind| blocks.iter().filter_map(move |block| block.strip_prefix(kind)).collect();
    let (yaml, json): (Vec<_>, Vec<_>) = (of("yaml\n"), of("json\n"));
    let [old, new, policies, ..] = yaml[..] else { panic!("{} blocks", yaml.len()) };
    let [hooks, ..] = json[..] else { panic!("{} blocks", json.len()) };

    let sandbox = Sandbox::new().unwrap();
    let file = sandbox.path().join("old.yml");
    std::fs::write(&file, old).unwrap();
    let wishes = ["--target=instance", "--alertmanager=http://127.0.0.1:9093"];
    let arguments = [&["migrate", "am-executor", file.to_str().unwrap()][..], &wishes].concat();
    let printed = text(homeostat(&arguments).stdout);
    assert!(printed.ends_with(new), "{printed}");

    std::fs::write(&file, hooks).unwrap();
    let arguments = [&["migrate", "webhook", file.to_str().unwrap()][..], &wishes].concat();
    let printed = text(homeostat(&arguments).stdout);
    assert!(printed.ends_with(policies), "{printed}");
    std::fs::write(&file, printed).unwrap();
    let check = homeostat(&["check", "--config.file", file.to_str().unwrap()]);
    assert_eq!(check.status.code(), Some(0), "{}", text(check.stderr));
}
