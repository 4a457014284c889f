//! `homeostat explain --url`: what a real engine process has counted, shown by the real command.
//!
//! Times are of the machine's clock. Before one is replaced in a snapshot, it is checked to lie
//! within the test or where the limits put it.

use std::path::Path;
use std::process::Command;

use crate::support::{Engine, notification, until};
use homeostat::demo::stack::Sandbox;
use regex::Regex;
use serde_json::{Value, json};

const A: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "a:80")];
const B: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "b:80")];

/// The second order of the policy has no token for half an hour; the first order runs for as long
/// as the test does.
fn config(directory: &Path) -> String {
    let gate = directory.join("gate");
    format!(
        r#"
limits: {{ rate: {{ max: 2, per: 12h }} }}
policies:
  - name: web
    matchers: ['alertname="Down"']
    target: [instance]
    mode: auto
    escalate: none
    remedies:
      - name: restart
        timeout: 10m
        script: while [ ! -e {gate} ]; do sleep 0.05; done; exit 1
      - name: reboot
        mode: approve
        exec: ["true", "{{{{ labels.instance }}}}"]
    guard:
      rate: {{ max: 1, per: 30m }}
      concurrency: 1
      lock: ["rack/{{{{ labels.rack }}}}"]
      flap: {{}}
      watchdog: {{ matchers: ['alertname="Watchdog"'] }}
      blast_radius: {{ max: 2, window: 1h }}
"#,
        gate = gate.display()
    )
}

/// What the command comes to: its exit code and what it prints.
fn explain(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_homeostat"));
    let output = command.arg("explain").args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Replaces times, each of which must lie within these seconds from the beginning of the test.
fn stable(text: &str, began: jiff::Timestamp, within: std::ops::Range<i64>) -> String {
    let time = Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z").unwrap();
    for found in time.find_iter(text) {
        let at: jiff::Timestamp = found.as_str().parse().unwrap();
        let seconds = at.as_second() - began.as_second();
        assert!(within.contains(&seconds), "{} is {seconds} s off: {text}", found.as_str());
    }
    let text = time.replace_all(text, "TIME");
    let ago = Regex::new(r"mentioned \S+ ago").unwrap();
    ago.replace_all(&text, "mentioned A MOMENT ago").into_owned()
}

/// An engine that has restarted A's service for as long as nobody opens the gate, and is paused.
async fn busy(sandbox: &Sandbox) -> Engine {
    let engine = Engine::start(sandbox, &config(sandbox.path()), &[]).await;
    engine.post("/hooks", notification(&[&[("alertname", "Watchdog")]])).await;
    let rack = |alert: &[(&'static str, &'static str)]| [alert, &[("rack", "r1")]].concat();
    engine.post("/hooks", notification(&[&rack(A)])).await;
    engine.incident_in("acting").await;
    engine.post("/api/v1/pause", json!({"by": "ann", "reason": "migration"}).to_string()).await;
    engine.post("/hooks", notification(&[&rack(B)])).await;
    until("the second incident", || async {
        let incidents = engine.incidents().await;
        incidents.get(1).filter(|incident| incident["state"] == "waiting").cloned()
    })
    .await;
    engine
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "it is one answer, and shown whole")]
async fn a_running_engine_tells_what_its_guards_have_counted() {
    let began = jiff::Timestamp::now();
    let sandbox = Sandbox::new().unwrap();
    let engine = busy(&sandbox).await;
    let labels = ["alertname=Down", "instance=b:80", "rack=r1"];
    let url = format!("--url={}", engine.url("/"));
    let (code, out, err) = explain(&[&[url.as_str()], &labels[..]].concat());
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let now = &out[out.find("  now ").expect("an account")..];
    insta::assert_snapshot!(stable(now, began, -1..31 * 60), @r#"
    now       at TIME: incident 2 is waiting, open since TIME
                pause        hold  paused by ann: migration (since TIME)
                watchdog     clear the watchdog was mentioned A MOMENT ago (at TIME)
                lock         hold  incident 1 is healing lock rack/r1
                flap         clear its penalty for flapping is 0 (0 flaps; suppressed above 2000, until it is 750)
                rate         hold  policy web may issue 1 orders per 30m; next at TIME (all policies together: 1 of 2 left; policy web: 0 of 1 left, next at TIME)
                concurrency  hold  1 orders of policy web are running and 1 may (policy web: 1 of 1; all policies together: 1 of 16)
                attempts     clear order 1 of at most 2
                blast_radius clear 1 target of policy web is already being healed; at most 2 may be
              remedy restart, the next
                cooldown     clear this target was not healed before
                breaker      clear it did not fail often of late
              remedy reboot
                cooldown     clear this target was not healed before
                breaker      clear it did not fail often of late
              what needs evidence is asked when an order is due, and not now
    "#);

    let before = engine.metric("homeostat_journal_facts_total").await;
    let (code, out, err) = explain(&[&[url.as_str(), "--output=json"], &labels[..]].concat());
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let answer: Value = serde_json::from_str(&out).unwrap();
    let account = serde_json::to_string_pretty(&answer["taken"][0]["account"]).unwrap();
    insta::assert_snapshot!(stable(&account, began, -1..31 * 60), @r#"
    {
      "incident": {
        "id": "2",
        "opened_at": "TIME",
        "state": "waiting"
      },
      "ledgers": {
        "counts": {
          "attempts": {
            "max": 2,
            "used": 0
          },
          "blast_radius": {
            "extent": {
              "targets": 2
            },
            "inventory": null,
            "others": {
              "in_flight": 1,
              "recent": 0
            },
            "policy": "web",
            "window": "1h"
          },
          "flap": {
            "flaps": 0,
            "penalty": 0,
            "reuse": 750,
            "suppress": 2000,
            "suppressed_until": null
          },
          "locks": [
            {
              "held_by": "1",
              "key": "lock rack/r1"
            },
            {
              "held_by": null,
              "key": "target {instance=\"b:80\"}"
            }
          ],
          "pause": {
            "by": "ann",
            "reason": "migration",
            "since": "TIME"
          },
          "rates": [
            {
              "max": 2,
              "next_at": null,
              "per": "12h",
              "scope": "book",
              "tokens": 1
            },
            {
              "max": 1,
              "next_at": "TIME",
              "per": "30m",
              "scope": {
                "policy": "web"
              },
              "tokens": 0
            }
          ],
          "running": [
            {
              "max": 1,
              "running": 1,
              "scope": {
                "policy": "web"
              }
            },
            {
              "max": 16,
              "running": 1,
              "scope": "book"
            }
          ],
          "storm": null,
          "watchdog": {
            "at": "TIME"
          }
        },
        "next": "restart",
        "opinions": [
          {
            "guard": "pause",
            "reason": "paused by ann: migration",
            "until": null,
            "verdict": "hold"
          },
          {
            "guard": "watchdog",
            "reason": "the watchdog was mentioned A MOMENT ago",
            "verdict": "clear"
          },
          {
            "guard": "lock",
            "reason": "incident 1 is healing lock rack/r1",
            "until": null,
            "verdict": "hold"
          },
          {
            "guard": "flap",
            "reason": "its penalty for flapping is 0",
            "verdict": "clear"
          },
          {
            "guard": "rate",
            "reason": "policy web may issue 1 orders per 30m; next at TIME",
            "until": "TIME",
            "verdict": "hold"
          },
          {
            "guard": "concurrency",
            "reason": "1 orders of policy web are running and 1 may",
            "until": null,
            "verdict": "hold"
          },
          {
            "guard": "attempts",
            "reason": "order 1 of at most 2",
            "verdict": "clear"
          },
          {
            "guard": "blast_radius",
            "reason": "1 target of policy web is already being healed; at most 2 may be",
            "verdict": "clear"
          }
        ],
        "remedies": [
          {
            "breakers": [
              {
                "circuit": {
                  "remedy": [
                    "web",
                    "restart"
                  ]
                },
                "position": {
                  "state": "closed"
                },
                "results": []
              }
            ],
            "opinions": [
              {
                "guard": "cooldown",
                "reason": "this target was not healed before",
                "verdict": "clear"
              },
              {
                "guard": "breaker",
                "reason": "it did not fail often of late",
                "verdict": "clear"
              }
            ],
            "remedy": "restart"
          },
          {
            "breakers": [
              {
                "circuit": {
                  "remedy": [
                    "web",
                    "reboot"
                  ]
                },
                "position": {
                  "state": "closed"
                },
                "results": []
              }
            ],
            "opinions": [
              {
                "guard": "cooldown",
                "reason": "this target was not healed before",
                "verdict": "clear"
              },
              {
                "guard": "breaker",
                "reason": "it did not fail often of late",
                "verdict": "clear"
              }
            ],
            "remedy": "reboot"
          }
        ]
      },
      "policy": "web"
    }
    "#);
    assert!(answer["at"].is_string(), "{answer:#}");
    let after = engine.metric("homeostat_journal_facts_total").await;
    assert_eq!(before, after, "asking writes nothing");
    std::fs::write(sandbox.path().join("gate"), "").unwrap();
}

#[tokio::test]
async fn a_failed_order_is_in_the_breakers_results_and_the_tokens_are_gone() {
    let began = jiff::Timestamp::now();
    let sandbox = Sandbox::new().unwrap();
    let engine = busy(&sandbox).await;
    std::fs::write(sandbox.path().join("gate"), "").unwrap();
    until("the end of the order", || async {
        let incidents = engine.incidents().await;
        (incidents[0]["state"] == "waiting").then_some(())
    })
    .await;
    let query = "/api/v1/explain?label=alertname=Down&label=instance=a:80&label=rack=r1";
    let account = engine.json(query).await["taken"][0]["account"].take();
    assert_eq!(account["incident"]["id"], "1");
    let ledgers = &account["ledgers"];
    assert_eq!(ledgers["next"], "reboot");
    assert_eq!(ledgers["counts"]["attempts"], json!({"used": 1, "max": 2}));
    let breaker = &ledgers["remedies"][0]["breakers"][0];
    assert_eq!(breaker["position"], json!({"state": "closed"}));
    assert_eq!(breaker["results"][0]["trial"], json!({"failed": "exited with code 1"}));
    let bucket = &ledgers["counts"]["rates"][1];
    assert_eq!(bucket["tokens"], 0);
    let next_at: jiff::Timestamp = bucket["next_at"].as_str().unwrap().parse().unwrap();
    let wait = next_at.as_second() - began.as_second();
    assert!((1799..=1800 + 60).contains(&wait), "{wait} s");
}

#[tokio::test]
async fn the_engine_is_asked_with_its_token_and_answers_no_where_nothing_takes_the_alert() {
    let sandbox = Sandbox::new().unwrap();
    let token = sandbox.path().join("token");
    std::fs::write(&token, "a-token-of-some-length").unwrap();
    let program = env!("CARGO_BIN_EXE_homeostat").into();
    let file = format!("--web.bearer-token-file={}", token.display());
    let config = config(sandbox.path());
    let engine = Engine::run(program, &["serve"], &sandbox, &config, &[file.as_str()]).await;
    let url = format!("--url={}", engine.url("/"));
    let (code, _, err) = explain(&[&url, "alertname=Down"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("401") && err.contains("--token-file"), "{err}");
    let token = format!("--token-file={}", token.display());
    let (code, out, _) = explain(&[&url, &token, "alertname=Other"]);
    assert_eq!(code, Some(1));
    assert!(out.starts_with("no policy takes {alertname=\"Other\"}"), "{out}");
    let (code, out, _) = explain(&[&url, &token, "alertname=Down"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("no guard is asked: the alert lacks a label of the target"), "{out}");
}
