//! The API as it describes itself, tried on a real engine by schemathesis; and what it tells of alerts and
//! of days.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::support::{Engine, notification, policy, program, resolution, until};
use homeostat::demo::stack::Sandbox;
use serde_json::json;

const A: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "a:80")];
const OTHER: &[(&str, &str)] = &[("alertname", "Other"), ("instance", "b:80")];

/// Seconds that schemathesis may take.
const SECONDS: u32 = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_does_what_its_description_says() {
    let Some(schemathesis) = program("schemathesis") else {
        eprintln!("skipped: there is no schemathesis on the PATH; `make test` installs it");
        return;
    };
    let sandbox = Sandbox::new().unwrap();
    let config = policy(sandbox.path(), "exit 0", "");
    let engine = Engine::start(&sandbox, &config, &["--log.level=error"]).await;
    engine.post("/hooks", notification(&[A, OTHER])).await;
    engine.incident_in("verifying").await;
    let mut command = Command::new(schemathesis);
    command
        .args(["run", &engine.url("/api/v1/openapi.json")])
        .args(["--phases", "coverage,fuzzing", "--max-time", &SECONDS.to_string()])
        .args(["--seed", "1", "--max-examples", "20", "--request-timeout", "10"])
        // It does not end; and alerts are read by what their senders send, not by what is said of them.
        .args(["--exclude-path", "/api/v1/stream", "--exclude-path-regex", "^/api/v1/alerts$"])
        .args(["--exclude-method", "HEAD"])
        .args(["--checks", "not_a_server_error,status_code_conformance,content_type_conformance"])
        .args(["--checks", "response_schema_conformance,negative_data_rejection"])
        .args(["--warnings", "off"])
        .current_dir(sandbox.path());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("/api/v1/openapi.json") && text.contains("generated"), "{text}");
}

#[tokio::test]
async fn what_fires_is_told_by_policy_and_first_what_none_takes() {
    let sandbox = Sandbox::new().unwrap();
    let config = policy(sandbox.path(), "sleep 100", "");
    let engine = Engine::start(&sandbox, &config, &[]).await;
    engine.post("/hooks", notification(&[A, OTHER])).await;
    let list = engine.json("/api/v1/alerts").await;
    let [none, web] = &list["groups"].as_array().unwrap()[..] else { panic!("{list:#}") };
    assert_eq!((&none["policy"], &web["policy"]), (&json!(null), &json!("web")));
    assert_eq!(none["alerts"][0]["labels"]["alertname"], "Other");
    assert_eq!(
        (&none["alerts"][0]["incidents"], &web["alerts"][0]["incidents"]),
        (&json!([]), &json!(["1"]))
    );
    engine.post("/hooks", resolution(&[OTHER])).await;
    let list = engine.json("/api/v1/alerts").await;
    assert_eq!(list["groups"].as_array().unwrap().len(), 1, "{list:#}");
    assert_eq!(engine.json("/api/v1/alerts?x=1").await["status"], 400);
}

#[tokio::test]
async fn a_healing_without_a_person_is_a_page_saved() {
    let sandbox = Sandbox::new().unwrap();
    let config = policy(sandbox.path(), "exit 0", "");
    let mut engine = Engine::start(&sandbox, &config, &[]).await;
    engine.post("/hooks", notification(&[A])).await;
    engine.incident_in("verifying").await;
    engine.post("/hooks", resolution(&[A])).await;
    engine.incident_in("closed").await;
    let history = until("a day with an incident", || async {
        let history = engine.json("/api/v1/history").await;
        (history["days"].as_array()?.len() == 1).then_some(history)
    })
    .await;
    let of = &history["policies"][0];
    assert_eq!(
        (&of["policy"], &of["outcomes"], &of["pages_saved"]),
        (&json!("web"), &json!({ "healed": 1 }), &json!(1))
    );
    assert!(of["heal_median_seconds"].as_f64().is_some(), "{of:#}");
    engine.kill();
    engine.restart().await;
    assert_eq!(engine.json("/api/v1/history").await, history);
}

/// The first cells of the table of the API in the reference, against what the API says of itself.
#[tokio::test]
async fn the_reference_lists_every_route_of_the_api_and_no_other() {
    let sandbox = Sandbox::new().unwrap();
    let engine = Engine::start(&sandbox, "policies: []\n", &[]).await;
    let description = engine.json("/api/v1/openapi.json").await;
    let mut described = BTreeSet::new();
    for (path, methods) in description["paths"].as_object().unwrap() {
        let parts = path.split('/').map(|part| if part.starts_with('{') { "ID" } else { part });
        let path = parts.collect::<Vec<_>>().join("/");
        let methods = methods.as_object().unwrap().keys();
        described.extend(methods.map(|method| format!("{} {path}", method.to_uppercase())));
    }
    assert!(described.remove("POST /api/v1/alerts"), "it is listed where alerts come in");
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/http.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, api) = page.split_once("\n## API\n").unwrap();
    let rows = api.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let listed = rows.filter(|row| row.contains(" /api/v1/")).map(str::to_owned);
    assert_eq!(listed.collect::<BTreeSet<_>>(), described);
}
