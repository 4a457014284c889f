//! Several people agree, and agree ahead: on a real engine process that is killed meanwhile, by the real
//! command line, each with a token of their own; and by the groups that a proxy tells.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Engine, policy, ran, until};
use homeostat::demo::stack::Sandbox;
use serde_json::{Value, json};

const PEOPLE: [&str; 5] = ["ann", "bob", "cat", "eve", "ci"];

fn token_file(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}.token"))
}

/// Whoever may do what by a token of their own, and a policy that wants two of them to agree.
fn config(directory: &Path) -> String {
    let tokens: Vec<String> = PEOPLE
        .iter()
        .map(|name| {
            let file = token_file(directory, name);
            std::fs::write(&file, format!("secret-of-{name}\n")).unwrap();
            format!("    - {{ name: {name}, file: {:?} }}\n", file.display().to_string())
        })
        .collect();
    let policy = asking(directory, "    approval: { count: 2 }\n");
    format!(
        "access:
  tokens:
{}  grants:
    - {{ who: [\"token:admin\"], may: [view, operate, administer] }}
    - {{ who: [\"token:ci\", \"token:ann\"], may: [send] }}
    - {{ who: [\"token:ann\", \"token:bob\", \"token:cat\"], may: [view, approve] }}
    - {{ who: [\"token:eve\"], may: [view] }}
{policy}",
        tokens.concat()
    )
}

fn asking(directory: &Path, approval: &str) -> String {
    let more = format!(
        "    relapse: 0s\n    guard: {{ cooldown: 0s, rate: {{ max: 60, per: 1m }} }}\n{approval}"
    );
    policy(directory, "", &more).replace("mode: auto", "mode: approve")
}

/// An engine, the directory of its world, and the command line of each person.
struct Play {
    engine: Engine,
    sandbox: Sandbox,
}

impl Play {
    async fn start() -> Self {
        let sandbox = Sandbox::new().unwrap();
        let admin = token_file(sandbox.path(), "admin");
        std::fs::write(&admin, "secret-of-admin\n").unwrap();
        let shown = format!("--web.bearer-token-file={}", admin.display());
        let engine = Engine::start(&sandbox, &config(sandbox.path()), &[&shown]).await;
        Self { engine, sandbox }
    }

    /// Runs a command line as somebody: its exit code and what it printed.
    async fn by(&self, who: &str, words: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_homeostat"));
        let token = token_file(self.sandbox.path(), who);
        command.args(words).args(["--url", &self.engine.url("")]).arg("--token-file").arg(token);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout) + &text(output.stderr))
    }

    async fn posts(&self, who: &str, more: &[&str]) {
        let words = [&["fire", "alertname=Down", "instance=a:80"], more].concat();
        let (code, text) = self.by(who, &words).await;
        assert_eq!(code, Some(0), "{text}");
    }

    /// Waits until the newest incident is this one and in this state.
    async fn newest(&self, id: &str, state: &str) -> Value {
        until(&format!("incident {id}, {state}"), || async {
            let newest = self.engine.incidents().await.pop()?;
            (newest["id"] == id && newest["state"] == state).then_some(newest)
        })
        .await
    }

    async fn heals(&self, id: &str) {
        self.newest(id, "verifying").await;
        self.posts("ci", &["--resolve"]).await;
        self.newest(id, "closed").await;
    }

    async fn approvals(&self) -> Vec<Value> {
        let (code, text) = self.by("eve", &["approvals", "--output", "json"]).await;
        assert_eq!(code, Some(0), "{text}");
        let list: Value = serde_json::from_str(&text).unwrap();
        list["approvals"].as_array().unwrap().clone()
    }
}

fn texts(incident: &Value) -> String {
    let timeline = incident["timeline"].as_array().unwrap();
    let texts: Vec<&str> = timeline.iter().map(|entry| entry["text"].as_str().unwrap()).collect();
    texts.join("\n")
}

#[tokio::test]
async fn two_people_agree_and_agree_ahead_and_a_kill_forgets_nothing() {
    let mut play = Play::start().await;
    play.posts("ci", &[]).await;
    let asked = play.newest("1", "awaiting_approval").await;
    assert_eq!(asked["approval"]["count"], 2);
    let (code, text) = play.by("ann", &["approve", "1", "--next", "2", "--for", "1h"]).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("1 of 2 approvals: token:ann; 1 more must approve"), "{text}");
    let (code, text) = play.by("ann", &["approve", "1"]).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("refused: token:ann has approved it already"), "{text}");
    let (code, text) = play.by("eve", &["approve", "1"]).await;
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("403 Forbidden: approve is granted to token:ann"), "{text}");

    play.engine.kill();
    play.engine.restart().await;
    play.posts("ci", &[]).await;
    let asked = play.newest("1", "awaiting_approval").await;
    assert_eq!(asked["approval"]["votes"][0]["by"], "token:ann");
    assert!(ran(play.sandbox.path()).is_empty());
    let words = ["approve", "1", "--next", "5", "--for", "2h", "--reason", "until it is replaced"];
    let (code, text) = play.by("bob", &words).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("standing approval 1: it may start 2 more times"), "{text}");
    play.heals("1").await;
    let told = texts(&play.newest("1", "closed").await);
    for part in [
        " approves, and 2 more runs like it within 1h. 1 of 2 approvals: token:ann.",
        "within 2h: until it is replaced. 2 of 2 approvals: token:ann, token:bob.",
        "Standing approval 1 of token:ann, token:bob: remedy first may start 2 more times",
    ] {
        assert!(told.contains(part), "{part} is missing in {told}");
    }

    play.posts("ci", &[]).await;
    play.heals("2").await;
    let second = play.newest("2", "closed").await;
    let told = texts(&second);
    assert!(told.contains("Standing approval 1 of token:ann, token:bob: 1 more until"), "{told}");
    assert!(!told.contains("must approve"), "{told}");
    let used = &second["orders"][0]["standing_approval"];
    assert_eq!((&used["id"], &used["left"]), (&json!("1"), &json!(1)));
    assert_eq!(ran(play.sandbox.path()), ["1.first.1", "2.first.1"]);

    // Who stands for it and posts the alert is not one of two who did not.
    play.posts("ann", &[]).await;
    play.newest("3", "awaiting_approval").await;
    let (code, text) = play.by("ann", &["approve", "3"]).await;
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("they posted an alert of it: somebody else must approve"), "{text}");
    play.posts("ci", &["--resolve"]).await;
    play.newest("3", "closed").await;

    play.engine.kill();
    play.engine.restart().await;
    let [known] = &play.approvals().await[..] else { panic!() };
    assert_eq!((&known["left"], &known["orders"]), (&json!(1), &json!(["2.first.1"])));
    let (code, text) = play.by("eve", &["revoke", "1"]).await;
    assert_eq!(code, Some(2), "{text}");
    let (code, text) = play.by("cat", &["revoke", "1", "--reason", "it was replaced"]).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("standing approval 1 is revoked"), "{text}");
    assert_eq!(play.approvals().await, [Value::Null; 0]);
    assert_eq!(play.engine.metric("homeostat_standing_approvals").await, Some(0.0));
    play.posts("ci", &[]).await;
    play.newest("4", "awaiting_approval").await;
    assert_eq!(ran(play.sandbox.path()).len(), 2);
}

#[tokio::test]
async fn the_groups_that_a_proxy_tells_count_until_they_are_granted_nothing() {
    let sandbox = Sandbox::new().unwrap();
    let admin = token_file(sandbox.path(), "admin");
    std::fs::write(&admin, "secret-of-admin\n").unwrap();
    let config = |approvers: &str| {
        format!(
            "access:
  proxy: {{ trusted: [\"127.0.0.1\"], user_header: X-User, groups_header: X-Groups }}
  grants:
    - {{ who: [\"token:admin\"], may: [view, send, administer] }}
    - {{ who: [\"group:everyone\"], may: [view] }}
    - {{ who: [{approvers}], may: [approve] }}
{}",
            asking(sandbox.path(), "    approval: { by: [\"group:dba\"] }\n")
        )
    };
    let shown = format!("--web.bearer-token-file={}", admin.display());
    let first = config("\"group:dba\", \"group:sre\"");
    let engine = Engine::start(&sandbox, &first, &[&shown]).await;
    let proxied = reqwest::Client::builder().no_proxy().build().unwrap();
    let fires = |ends_at: Option<String>| {
        let mut alert = json!({ "labels": { "alertname": "Down", "instance": "a:80" } });
        alert["endsAt"] = ends_at.map_or(Value::Null, Value::from);
        engine.post("/api/v2/alerts", json!([alert]).to_string())
    };
    fires(None).await;
    engine.incident_in("awaiting_approval").await;
    let approve = async |who, body: Value| {
        let request = proxied.post(engine.url("/api/v1/incidents/1/approve")).json(&body);
        let (user, groups) = who;
        let request = request.header("X-User", user).header("X-Groups", groups);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let (status, answer) = approve(("ann", "sre,dev"), json!({})).await;
    assert_eq!((status, &answer["error"]), (403, &json!("approve is narrowed to group:dba")));
    let ahead = json!({ "next": 5, "for": "24h" });
    let (status, answer) = approve(("dan", "dev,dba"), ahead).await;
    assert_eq!(status, 200, "{answer}");
    let list = engine.json("/api/v1/approvals").await;
    assert_eq!(list["approvals"][0]["votes"][0]["by"], "user:dan");

    std::fs::write(engine.directory.join("homeostat.yml"), config("\"group:sre\"")).unwrap();
    assert_eq!(engine.post("/-/reload", "").await, 200);
    assert_eq!(engine.json("/api/v1/approvals").await, json!({ "approvals": [] }));
    assert!(engine.whole_log().contains("whoever gave it may not approve any more"));
}
