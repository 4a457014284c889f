//! What people did, and who they were: by the API and the command line, on a real engine.

use std::process::{Command, Output};

use homeostat::demo::stack::{Sandbox, Signal};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::{Engine, notification, until};

fn sha256(text: &str) -> String {
    let digits: Vec<String> =
        Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

/// A policy that asks a person.
fn asking(directory: &std::path::Path) -> String {
    crate::support::policy(directory, "", "").replace("mode: auto", "mode: approve")
}

fn cli(engine: &Engine, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_homeostat"));
    command.args(words).args(["--url", &engine.url("/")]).output().unwrap()
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What was done, the first deed first: each as `what way`. Nothing where the connection ends: those of
/// before the listener's file was read again do.
async fn done(engine: &Engine) -> Option<Vec<String>> {
    let request = engine.client().get(engine.url("/api/v1/audit"));
    let list: Value = request.send().await.ok()?.json().await.ok()?;
    let entries = list["entries"].as_array().unwrap().iter().rev();
    let word = |entry: &Value, field: &str| entry[field].as_str().unwrap_or("-").to_owned();
    Some(entries.map(|entry| format!("{} {}", word(entry, "what"), word(entry, "way"))).collect())
}

#[tokio::test]
async fn every_command_and_configuration_is_listed_with_who_why_and_by_which_way() {
    let sandbox = Sandbox::new().unwrap();
    let config = asking(sandbox.path());
    let web = sandbox.write("web.yml", "").unwrap();
    let flag = format!("--web.config.file={}", web.display());
    let mut engine = Engine::start(&sandbox, &config, &[&flag]).await;
    let a = &[("alertname", "Down"), ("instance", "a:80")][..];
    engine.post("/hooks", notification(&[a])).await;
    engine.incident_in("awaiting_approval").await;
    for words in [
        &["approve", "1", "--by", "ann", "--reason", "looked at it"][..],
        &["pause", "--by", "bob", "--reason", "migration"],
        &["resume", "--by", "bob", "--reason", "it is over"],
    ] {
        text(&cli(&engine, words));
    }
    let changed = config.clone() + "# changed\n";
    std::fs::write(engine.directory.join("homeostat.yml"), &changed).unwrap();
    assert_eq!(engine.post("/-/reload", "").await, 200);
    // A file that cannot be put in force never was.
    std::fs::write(engine.directory.join("homeostat.yml"), "policies: 1").unwrap();
    assert_eq!(engine.post("/-/reload", "").await, 500);
    std::fs::write(engine.directory.join("homeostat.yml"), &config).unwrap();
    engine.signal(Signal::HUP);
    until("a reload by a signal", || async {
        done(&engine).await?.contains(&"reload signal".to_owned()).then_some(())
    })
    .await;
    std::fs::write(&web, "http_server_config: { headers: { X-Frame-Options: deny } }\n").unwrap();
    until("the listener's file", || async {
        done(&engine).await?.contains(&"reload change".to_owned()).then_some(())
    })
    .await;
    let all = [
        "start start",
        "start start",
        "approve unasked",
        "pause unasked",
        "resume unasked",
        "reload unasked",
        "reload signal",
        "reload change",
    ];
    assert_eq!(done(&engine).await.unwrap(), all);

    let list = engine.json("/api/v1/audit?what=reload&limit=2").await;
    let [listener, signal] = &list["entries"].as_array().unwrap()[..] else { panic!("{list}") };
    assert_eq!(listener["configuration"]["of"], "listener");
    let file = &signal["configuration"]["files"][0];
    assert_eq!(file["sha256"], sha256(&config), "as sha256sum says");
    assert!(file["name"].as_str().unwrap().ends_with("/homeostat.yml"), "{file}");
    let cursor = list["next_cursor"].as_str().unwrap();
    let rest = engine.json(&format!("/api/v1/audit?what=reload&cursor={cursor}")).await;
    assert_eq!(rest["entries"][0]["configuration"]["files"][0]["sha256"], sha256(&changed));
    assert_eq!(
        (rest["entries"].as_array().unwrap().len(), &rest["next_cursor"]),
        (1, &Value::Null)
    );

    let one = engine.json("/api/v1/audit?incident=1&policy=web&target=instance=a:80").await;
    let [approval] = &one["entries"].as_array().unwrap()[..] else { panic!("{one}") };
    let told = ["what", "who", "claimed", "incident", "policy", "reason"].map(|f| &approval[f]);
    assert_eq!(told, ["approve", "anonymous", "ann", "1", "web", "looked at it"]);
    assert!(approval["address"].as_str().unwrap().starts_with("127.0.0.1:"));
    for nothing in ["target=instance=b:80", "who=user:ann", "until=2026-01-01T00:00:00Z"] {
        let path = format!("/api/v1/audit?incident=1&{nothing}");
        assert_eq!(engine.json(&path).await["entries"], json!([]), "{nothing}");
    }
    told_by_the_command_line(&engine, all.len());
    engine.kill();
    engine.restart().await;
    until("what was done before, and the two of this start", || async {
        (done(&engine).await?.len() == all.len() + 2).then_some(())
    })
    .await;
}

fn told_by_the_command_line(engine: &Engine, all: usize) {
    let table = text(&cli(engine, &["audit", "--since", "1h"]));
    for (what, on, why) in [
        ("approve", "incident 1 web {instance=\"a:80\"}", "looked at it"),
        ("resume", "everything", "it is over"),
        ("pause", "everything", "migration"),
    ] {
        let row = table.lines().find(|line| line.contains(&format!(" {what} ")));
        let row = row.unwrap_or_else(|| panic!("{what}: {table}"));
        assert!(row.contains(on) && row.ends_with(why), "{row}");
    }
    let lines = text(&cli(engine, &["audit", "--output", "jsonl"]));
    let entries: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(entries.len(), all);
    let few = text(&cli(engine, &["audit", "--output", "jsonl", "--limit", "3"]));
    assert_eq!(few.lines().collect::<Vec<_>>(), lines.lines().take(3).collect::<Vec<_>>());
    let wrong = cli(engine, &["audit", "--what", "delete"]);
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert_eq!(wrong.status.code(), Some(2), "{said}");
    assert!(said.contains("expected one of approve, reject"), "{said}");
}

#[tokio::test]
async fn who_is_known_is_listed_by_identity() {
    let sandbox = Sandbox::new().unwrap();
    let config = format!(
        "access:
  tokens: [{{ name: ci, sha256: \"{}\" }}]
  grants:
    - {{ who: [\"token:ci\"], may: [operate] }}
    - {{ who: [\"token:admin\"], may: [view, administer] }}
{}",
        sha256("secret-of-ci"),
        asking(sandbox.path())
    );
    let file = sandbox.write("admin.token", "admin").unwrap();
    let token = sandbox.write("ci.token", "secret-of-ci").unwrap();
    let flag = format!("--web.bearer-token-file={}", file.display());
    let engine = Engine::start(&sandbox, &config, &[&flag]).await;
    let shown = ["--token-file", token.to_str().unwrap()];
    text(&cli(&engine, &[&["pause", "--by", "pope", "--reason", "r"][..], &shown].concat()));
    assert_eq!(engine.post("/-/reload", "").await, 200);
    for (who, what, way) in [("token:ci", "pause", "token"), ("token:admin", "reload", "token")] {
        let list = engine.json(&format!("/api/v1/audit?who={who}")).await;
        let [entry] = &list["entries"].as_array().unwrap()[..] else { panic!("{list}") };
        assert_eq!((&entry["what"], &entry["way"]), (&json!(what), &json!(way)));
    }
    let refused = cli(&engine, &[&["audit"][..], &shown].concat());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("view is granted to token:admin"), "{said}");
}

/// Runs `audit verify` on the engine's directory; gives the exit code and what was said.
fn verify(engine: &Engine, more: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_homeostat"));
    let data = engine.directory.join("data");
    let output = command
        .args(["audit", "verify", "--storage.path", data.to_str().unwrap()])
        .args(more)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), said + &String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
async fn the_journal_is_verified_beside_the_engine_and_without_it() {
    let sandbox = Sandbox::new().unwrap();
    let mut engine = Engine::start(&sandbox, &asking(sandbox.path()), &[]).await;
    let (exit, said) = verify(&engine, &[]);
    assert_eq!(exit, Some(0), "{said}");
    let head = said.lines().last().unwrap().strip_prefix("head ").unwrap().to_owned();
    let a = &[("alertname", "Down"), ("instance", "a:80")][..];
    engine.post("/hooks", notification(&[a])).await;
    engine.incident_in("awaiting_approval").await;
    text(&cli(&engine, &["approve", "1", "--by", "ann"]));
    let (exit, said) = verify(&engine, &["--head", &head]);
    assert_eq!(exit, Some(0), "{said}");
    assert!(
        said.contains("the journal is whole") && said.contains("that was kept is in it"),
        "{said}"
    );
    let (_, json) = verify(&engine, &["--output", "json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["whole"], &json["faults"]), (&json!(true), &json!([])));
    let later = json["head"].as_str().unwrap().to_owned();

    engine.kill();
    let journal = engine.directory.join("data/homeostat.db");
    let change = |sql: &str| {
        rusqlite::Connection::open(&journal).unwrap().execute_batch(sql).unwrap();
    };
    // Whose approval it was; and that there was one.
    change("UPDATE facts SET body = replace(body, 'ann', 'bob')");
    let (exit, said) = verify(&engine, &[]);
    assert_eq!(exit, Some(1), "{said}");
    assert!(said.contains("wrong: ") && said.contains("is not what was written"), "{said}");
    change(
        "CREATE TABLE kept AS SELECT * FROM facts WHERE kind = 'incident_commanded';
         DELETE FROM facts WHERE kind = 'incident_commanded'",
    );
    let (exit, said) = verify(&engine, &[]);
    assert_eq!(exit, Some(1), "{said}");
    assert!(said.contains("wrong: fact ") && said.contains(" is missing"), "{said}");
    // A chain that was made anew: as if it had always been bob's.
    change(
        "INSERT INTO facts SELECT * FROM kept; DROP TABLE kept;
         DROP TABLE chain; DROP TABLE gone; DROP TABLE folds; DROP TABLE alerts_of; DROP TABLE days;
         DROP TABLE indexed; DROP TABLE unindexed; DROP TABLE volumes; DROP TABLE IF EXISTS words_0; DROP INDEX incidents_open;
         PRAGMA user_version=3",
    );
    let (exit, said) = verify(&engine, &[]);
    assert_eq!(exit, Some(2), "{said}");
    assert!(said.contains("was written before there was a chain"), "{said}");
    engine.restart().await;
    let (exit, said) = verify(&engine, &[]);
    assert_eq!(exit, Some(0), "{said}");
    assert!(said.contains("were there before the chain"), "{said}");
    let (exit, said) = verify(&engine, &["--head", &later]);
    assert_eq!(exit, Some(1), "{said}");
    let is_found = said.contains("the end is missing") || said.contains("has another hash");
    assert!(is_found, "{said}");

    let (exit, said) = verify(&engine, &["--head", "12:ab"]);
    assert_eq!(exit, Some(2), "{said}");
    assert!(said.contains("with 64 hexadecimal digits"), "{said}");
    let nowhere = ["--storage.path", "/nonexistent"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_homeostat"));
    let output = command.args(["audit", "verify"]).args(nowhere).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("help: --storage.path is the directory"), "{said}");
}
