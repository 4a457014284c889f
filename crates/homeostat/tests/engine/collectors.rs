//! What it looked like before a remedy and after it: real engines, real programs.

use std::path::PathBuf;
use std::process::Command;

use crate::support::hands::ended_order;
use crate::support::{Engine, notification, policy, ran, resolution, until};
use homeostat::demo::stack::Sandbox;
use serde_json::Value;

const A: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "a:80")];

/// A policy whose remedy mends the file `state`, and these collectors.
fn config(sandbox: &Sandbox, collectors: &str) -> String {
    let state = sandbox.path().join("state");
    std::fs::write(&state, "broken\npassword=hunter2\n").unwrap();
    let mend = format!("echo mended > {}", state.display());
    policy(sandbox.path(), &mend, &format!("    collect:\n{collectors}"))
}

fn state(sandbox: &Sandbox) -> String {
    let state = sandbox.path().join("state");
    format!("      - {{ name: state, exec: [cat, {}] }}\n", state.display())
}

async fn collected(engine: &Engine, moments: usize) -> Vec<Value> {
    until("what was looked at", || async {
        let incident = engine.json("/api/v1/incidents/1").await;
        incident["collected"].as_array().filter(|all| all.len() == moments).cloned()
    })
    .await
}

fn found<'a>(collected: &'a Value, name: &str) -> &'a Value {
    let found = collected["found"].as_array().unwrap();
    found.iter().find(|look| look["name"] == name).unwrap_or_else(|| panic!("{collected:#}"))
}

/// Directories that are no order's.
fn aside(engine: &Engine) -> Vec<PathBuf> {
    let of = |kind: &str| std::fs::read_dir(engine.directory.join("data").join(kind));
    let entries = ["orders", "work"].into_iter().flat_map(|kind| of(kind).into_iter().flatten());
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.to_string_lossy().contains("/aside.")).collect()
}

fn process_named(word: &str) -> bool {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.into_iter().any(|entry| {
        let command = std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
        command.contains(word)
    })
}

#[tokio::test]
async fn what_it_looked_like_before_and_after_is_with_the_incident() {
    let sandbox = Sandbox::new().unwrap();
    let late = "300.125";
    let collectors = state(&sandbox)
        + "      - { name: half, when: before, exec: [sh, -c, 'echo half; exit 3'] }\n"
        + "      - { name: told, when: before, exec: [sh, -c, 'echo $HOMEOSTAT_LABEL_instance'] }\n"
        + "      - { name: gone, when: before, exec: [/nowhere/token=named/found] }\n"
        + &format!("      - {{ name: late, when: before, exec: [sleep, \"{late}\"] }}\n");
    let engine = Engine::start(&sandbox, &config(&sandbox, &collectors), &[]).await;
    assert_eq!(engine.post("/hooks/main", notification(&[A])).await, 200);
    let order = ended_order(&engine).await;
    assert_eq!(order["result"], "succeeded", "{order:#}");
    let before = collected(&engine, 1).await.remove(0);
    assert_eq!((&before["moment"], &before["order"]), (&"before".into(), &"1.first.1".into()));
    let seen = found(&before, "state");
    assert_eq!(seen["text"], "broken\npassword=[redacted]\n", "{before:#}");
    assert_eq!((&seen["cut"], seen.get("trouble")), (&false.into(), None));
    let half = found(&before, "half");
    assert_eq!(
        (&half["text"], &half["trouble"]),
        (&"half\n".into(), &"it exited with code 3".into())
    );
    assert_eq!(found(&before, "told")["text"], "a:80\n");
    assert!(
        found(&before, "gone")["trouble"].as_str().unwrap().contains("/nowhere/token=[redacted]")
    );
    let told = engine.json("/api/v1/incidents/1").await["timeline"].to_string();
    let sentence =
        "Before remedy first it was looked at state, told, and in vain at half, gone, late.";
    assert!(told.contains(sentence), "{told}");
    let slow = found(&before, "late");
    assert_eq!(
        (&slow["text"], &slow["trouble"]),
        (&"".into(), &"it took longer than 5 s, and was left out".into())
    );
    // The remedy did not wait for it, and nothing of it goes on.
    assert_eq!(ran(sandbox.path()), ["1.first.1"]);
    until("its end", || async { (!process_named(late)).then_some(()) }).await;

    assert_eq!(engine.post("/hooks/main", resolution(&[A])).await, 200);
    let after = collected(&engine, 2).await.remove(1);
    assert_eq!((&after["moment"], &after["order"]), (&"after".into(), &"1.first.1".into()));
    assert_eq!(after["found"].as_array().unwrap().len(), 1);
    assert_eq!(found(&after, "state")["text"], "mended\n");
    until("nothing left on disk", || async { aside(&engine).is_empty().then_some(()) }).await;

    let journal = std::fs::read(engine.directory.join("data/homeostat.db")).unwrap();
    let log = std::fs::read(engine.directory.join("data/homeostat.db-wal")).unwrap_or_default();
    for bytes in [journal, log] {
        assert!(!bytes.windows(7).any(|window| window == b"hunter2"), "a secret is in the journal");
    }
    let page = engine.client().get(engine.url("/incidents/1")).send().await.unwrap();
    let page = page.text().await.unwrap();
    for words in ["Before and after", "password=[redacted]", "mended", "it took longer than 5 s"] {
        assert!(page.contains(words), "{words}");
    }
    let told = Command::new(env!("CARGO_BIN_EXE_homeostat"))
        .args(["incidents", "1", "--url", &engine.url("")])
        .output()
        .unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.contains("    | password=[redacted]"), "{told}");
}

#[tokio::test]
async fn an_engine_that_dies_beside_a_look_runs_the_order_once() {
    let sandbox = Sandbox::new().unwrap();
    let begun = sandbox.path().join("begun");
    let collectors = format!(
        "      - {{ name: long, when: before, exec: [sh, -c, 'echo x >> \"$1\"; sleep 3', sh, {}] }}\n",
        begun.display()
    );
    let mut engine = Engine::start(&sandbox, &config(&sandbox, &collectors), &[]).await;
    assert_eq!(engine.post("/hooks/main", notification(&[A])).await, 200);
    until("the look", || async { begun.exists().then_some(()) }).await;
    engine.kill();
    assert_eq!(ran(sandbox.path()), [""; 0], "it was looked at first");
    engine.restart().await;
    let order = ended_order(&engine).await;
    assert_eq!((&order["id"], &order["result"]), (&"1.first.1".into(), &"succeeded".into()));
    assert_eq!(ran(sandbox.path()), ["1.first.1"]);
    let looks = std::fs::read_to_string(&begun).unwrap().lines().count();
    assert_eq!((looks, collected(&engine, 1).await.len()), (2, 1));
}

#[tokio::test]
async fn what_is_cancelled_beside_a_look_does_not_start() {
    let sandbox = Sandbox::new().unwrap();
    let begun = sandbox.path().join("begun");
    let collectors = format!(
        "      - {{ name: long, when: before, exec: [sh, -c, 'touch \"$1\"; sleep 60', sh, {}] }}\n",
        begun.display()
    );
    let engine = Engine::start(&sandbox, &config(&sandbox, &collectors), &[]).await;
    assert_eq!(engine.post("/hooks/main", notification(&[A])).await, 200);
    until("the look", || async { begun.exists().then_some(()) }).await;
    let cancel = engine.client().post(engine.url("/api/v1/incidents/1/cancel"));
    let cancel = cancel.json(&serde_json::json!({ "by": "ann", "reason": "no" })).send().await;
    assert_eq!(cancel.unwrap().status(), 200);
    let order = ended_order(&engine).await;
    assert_eq!(order["result"], "not_started", "{order:#}");
    assert_eq!(ran(sandbox.path()), [""; 0]);
}

/// What collectors print is not kept whole, and what is kept is the end.
#[tokio::test]
async fn of_very_much_the_end_is_kept() {
    let sandbox = Sandbox::new().unwrap();
    let script = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done";
    let collectors =
        format!("      - {{ name: much, when: before, exec: [sh, -c, '{script}'] }}\n");
    let engine = Engine::start(&sandbox, &config(&sandbox, &collectors), &[]).await;
    assert_eq!(engine.post("/hooks/main", notification(&[A])).await, 200);
    let before = collected(&engine, 1).await.remove(0);
    let much = found(&before, "much");
    let text = much["text"].as_str().unwrap();
    assert!(text.ends_with("line 19999\n") && text.len() <= 16 << 10, "{}", text.len());
    assert_eq!(much["cut"], true);
}
