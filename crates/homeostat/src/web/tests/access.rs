//! Who may do what: every route with every identity, and what narrowed grants show and allow.

use super::*;
use crate::access::Refusal;
use sha2::Digest as _;

/// What a program shows whose token has this name.
pub(super) fn bearer(name: &str) -> String {
    format!("Authorization: Bearer secret-of-{name}")
}

/// Tokens of these names, each with the secret that [`bearer`] shows, and these grants.
pub(super) fn access(tokens: &[&str], grants: &str) -> Access {
    let tokens: Vec<String> = tokens
        .iter()
        .map(|name| {
            let digest = sha2::Sha256::digest(format!("secret-of-{name}"));
            let digest: Vec<String> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            let digest = digest.concat();
            let end = if *name == "old" { ", expires: 2020-01-01T00:00:00Z" } else { "" };
            format!("  - {{ name: {name}, sha256: \"{digest}\"{end} }}\n")
        })
        .collect();
    let text = format!("access:\n  tokens:\n{}  grants:\n{grants}", tokens.concat());
    let config = homeostat_config::parse("homeostat.yml", &text);
    config.unwrap_or_else(|report| panic!("{report}")).access.unwrap()
}

pub(super) async fn house(tokens: &[&str], grants: &str) -> House {
    House::open(Ways { access: Some(access(tokens, grants)), ..Ways::default() }).await
}

/// What a token may do besides `view`, which is needed to find an incident.
fn granted(name: &str) -> Vec<Permission> {
    match name {
        "sender" => vec![Permission::Send],
        "viewer" => vec![Permission::View],
        "operator" => vec![Permission::View, Permission::Operate],
        "approver" => vec![Permission::View, Permission::Approve],
        "administrator" => vec![Permission::Administer],
        "all" => Permission::ALL.to_vec(),
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn every_identity_comes_to_what_it_is_granted_on_every_route() {
    let known = ["sender", "viewer", "operator", "approver", "administrator", "all", "nothing"];
    let grants: Vec<String> = known
        .iter()
        .filter(|name| !granted(name).is_empty())
        .map(|name| {
            let may: Vec<&str> = granted(name).iter().map(|may| may.as_str()).collect();
            format!("  - {{ who: [\"token:{name}\"], may: [{}] }}\n", may.join(", "))
        })
        .collect();
    let all = [&known[..], &["old"]].concat();
    let house = house(&all, &grants.concat()).await;
    let identities = [&all[..], &["wrong", ""]].concat();
    let mut cells = 0;
    for route in &house.routes {
        for method in &route.methods {
            for name in &identities {
                let (method, path) = (method.as_str(), path_of(route.path));
                if path == "/slow" {
                    continue;
                }
                let shown = bearer(name);
                let mut headers = vec!["Content-Type: application/json"];
                headers.extend((!name.is_empty()).then_some(&*shown));
                let body = r#"{"by": "ann", "reason": "r"}"#;
                let answer = house.ask(method, &path, &headers, body).await;
                let is_stranger = ["old", "wrong", ""].contains(name);
                let expected = match route.gate {
                    Gate::Enter if path == "/api/v1/whoami" && is_stranger => Some(401),
                    Gate::Open | Gate::Enter => None,
                    Gate::To(_) if is_stranger => Some(401),
                    Gate::To(permission) if granted(name).contains(&permission) => None,
                    Gate::To(_) => Some(403),
                };
                let cell = format!("{method} {path} by {name:?}: {answer:?}");
                match expected {
                    Some(status) => assert_eq!(answer.status, status, "{cell}"),
                    None => assert!(![401, 403, 404, 405].contains(&answer.status), "{cell}"),
                }
                cells += 1;
            }
        }
    }
    assert!(cells > 200, "{cells}");
}

#[tokio::test]
async fn a_refusal_says_what_is_missing_and_is_counted_by_reason() {
    let grants = "  - { who: [\"token:viewer\", \"token:all\"], may: [view] }
  - { who: [\"group:dba\", \"user:ann\"], may: [approve, operate], policies: [\"db-*\"] }
  - { who: [\"token:all\"], may: [operate] }
  - { who: [\"token:sender\"], may: [send], sources: [alertmanager] }
";
    let house = house(&["viewer", "sender", "old", "all"], grants).await;
    let json = "Content-Type: application/json";
    let body = json!({ "by": "ann", "reason": "r" }).to_string();
    let viewer = bearer("viewer");
    let refused = async |method: &str, path: &str, who: &str| {
        let answer = house.ask(method, path, &[json, &bearer(who)], &body).await;
        assert_eq!(answer.status, 403, "{path}: {answer:?}");
        answer.error()
    };
    let path = |id: u64, command: &str| format!("/api/v1/incidents/{id}/{command}");
    assert_eq!(
        refused("POST", &path(2, "cancel"), "viewer").await,
        "operate is granted to group:dba, user:ann, token:all"
    );
    assert_eq!(
        refused("POST", &path(2, "approve"), "all").await,
        "approve is granted to group:dba, user:ann"
    );
    assert_eq!(refused("POST", "/api/v1/alerts", "all").await, "send is granted to token:sender");
    let sender = house.ask("POST", "/-/reload", &[&bearer("sender")], "").await;
    assert_eq!((sender.status, &*sender.body), (403, "administer is granted to nobody\n"));
    for (header, reason, message) in [
        ("X: y".to_owned(), "no_token", "nobody knows who you are: this needs credentials"),
        (bearer("viewe"), "wrong_credentials", "these credentials are wrong"),
        ("Authorization: Basic YTpi".into(), "wrong_credentials", "these credentials are wrong"),
        (bearer("old"), "expired", "this token has expired"),
    ] {
        let answer = house.ask("GET", "/api/v1/status", &[&header], "").await;
        assert_eq!((answer.status, &*answer.error()), (401, message));
        let counted = refusals(&house, "", &[&viewer]).await;
        assert!(counted.iter().any(|line| line.contains(reason)), "{counted:?}");
    }
    assert_eq!(
        refusals(&house, "", &[&viewer]).await,
        [
            r#"{reason="expired"} 1"#,
            r#"{reason="no_token"} 1"#,
            r#"{reason="not_granted"} 4"#,
            r#"{reason="wrong_credentials"} 2"#,
        ]
    );
}

const NARROW: &str =
    "  - { who: [\"token:dba\"], may: [view, operate, approve], policies: [\"db-*\"] }
  - { who: [\"token:west\"], may: [view], targets: ['instance=\"west:80\"'] }
  - { who: [\"token:all\"], may: [view, operate] }
  - { who: [\"token:mixed\"], may: [view] }
  - { who: [\"token:mixed\"], may: [operate], policies: [\"web-*\"] }
";

#[tokio::test]
async fn whoever_may_not_see_a_policy_does_not_see_its_incidents() {
    let house = house(&["dba", "west", "all", "mixed"], NARROW).await;
    let json = "Content-Type: application/json";
    let get = async |path: &str, who: &str| house.ask("GET", path, &[&bearer(who)], "").await;
    let listed = async |who: &str| {
        let list = get("/api/v1/incidents?limit=1", who).await.json();
        let ids = list["incidents"].as_array().unwrap().iter().map(|i| i["id"].clone());
        (ids.collect::<Vec<_>>(), list["next_cursor"].clone())
    };
    assert_eq!(listed("all").await, (vec![json!("2")], json!("2")));
    assert_eq!(listed("dba").await, (vec![json!("2")], Value::Null));
    assert_eq!(listed("west").await, (vec![], Value::Null));
    for (who, first, second) in [("all", 200, 200), ("dba", 404, 200), ("west", 404, 404)] {
        assert_eq!(get("/api/v1/incidents/1", who).await.status, first, "{who}");
        assert_eq!(get("/api/v1/incidents/2", who).await.status, second, "{who}");
    }
    let unknown = get("/api/v1/incidents/1", "dba").await.error();
    assert_eq!(unknown, get("/api/v1/incidents/9", "all").await.error().replace('9', "1"));
    let counts = async |who: &str| {
        let status = get("/api/v1/status", who).await.json();
        (status["incidents_open"].clone(), status["alerts_active"].clone())
    };
    assert_eq!(counts("all").await, (json!({ "waiting": 1 }), json!(2)));
    assert_eq!(counts("dba").await, (json!({ "waiting": 2 }), Value::Null));
    assert_eq!(counts("west").await, (json!({}), Value::Null));
    let metrics = get("/metrics", "dba").await;
    assert_eq!(
        (metrics.status, &*metrics.body),
        (403, "view everything is granted to token:all, token:mixed\n")
    );
    let policies = async |who: &str| get("/api/v1/policies", who).await.json()["policies"].clone();
    assert_eq!(policies("all").await.as_array().unwrap().len(), 1);
    assert_eq!(policies("dba").await, json!([]));
    let command = async |id: u64, command: &str, who: &str| {
        let path = format!("/api/v1/incidents/{id}/{command}");
        let body = json!({ "reason": "r" }).to_string();
        house.ask("POST", &path, &[json, &bearer(who)], &body).await
    };
    assert_eq!(command(2, "cancel", "dba").await.status, 409, "the engine was asked");
    assert_eq!(command(1, "cancel", "dba").await.status, 404, "as if there were none");
    assert_eq!(command(9, "cancel", "dba").await.status, 404);
    assert_eq!(command(1, "cancel", "mixed").await.status, 200);
    let refused = command(2, "cancel", "mixed").await;
    assert_eq!(refused.status, 403);
    assert_eq!(refused.error(), "operate on policy db-primary is granted to token:dba, token:all");
    let pause = json!({ "reason": "r" }).to_string();
    let paused = house.ask("POST", "/api/v1/pause", &[json, &bearer("dba")], &pause).await;
    assert_eq!(paused.status, 403);
    assert_eq!(paused.error(), "operate everything is granted to token:all");
    let who: Vec<String> = house.events.lock().iter().map(who_commanded).collect();
    assert_eq!(who, ["token:dba", "token:mixed"], "nothing else reached the engine");
}

#[tokio::test]
async fn whoever_may_not_see_a_policy_does_not_see_what_was_done_about_it() {
    let house = house(&["dba", "west", "all", "mixed"], NARROW).await;
    let listed = async |who: &str, query: &str| {
        let path = format!("/api/v1/audit{query}");
        let list = house.ask("GET", &path, &[&bearer(who)], "").await.json();
        let ids = list["entries"].as_array().unwrap().iter();
        let ids: Vec<String> = ids.map(|entry| entry["id"].as_str().unwrap().to_owned()).collect();
        (ids.join(" "), list["next_cursor"].clone())
    };
    assert_eq!(listed("all", "").await, ("40 30 20 10".into(), Value::Null));
    assert_eq!(listed("dba", "").await, ("20".into(), Value::Null));
    assert_eq!(listed("west", "").await, (String::new(), Value::Null));
    assert_eq!(listed("all", "?limit=2").await, ("40 30".into(), json!("30")));
    assert_eq!(listed("all", "?limit=2&cursor=30").await, ("20 10".into(), Value::Null));
    assert_eq!(listed("dba", "?limit=1").await, ("20".into(), json!("20")));
    let lines = house.ask("GET", "/api/v1/audit?format=jsonl", &[&bearer("dba")], "").await;
    assert!(lines.head.contains("content-type: application/jsonl"), "{lines:?}");
    let entry: Value = serde_json::from_str(lines.body.trim()).unwrap();
    assert_eq!(
        entry,
        json!({
            "id": "20", "at": "1970-01-01T00:00:00Z", "what": "approve", "who": "user:ann",
            "claimed": "the pope", "way": "password", "address": "10.0.0.7:1", "incident": "2",
            "policy": "db-primary", "target": { "instance": "b:80" }, "reason": "r",
            "ahead": null, "approval": null, "configuration": null,
        })
    );
    let wrong = house.ask("GET", "/api/v1/audit?what=nothing", &[&bearer("all")], "").await;
    assert_eq!((wrong.status, wrong.error().contains("expected one of")), (400, true));
}

#[tokio::test]
async fn a_reload_is_by_who_asks_for_it() {
    let house = house(&["ci"], "  - { who: [\"token:ci\"], may: [administer] }\n").await;
    assert_eq!(house.ask("POST", "/-/reload", &[&bearer("ci")], "").await.status, 200);
    let who: Vec<String> = house.reloads.lock().iter().map(ToString::to_string).collect();
    assert_eq!(who, ["token:ci"]);
}

fn who_commanded(event: &Event) -> String {
    let (Event::Pause { by, .. } | Event::Resume { by, .. } | Event::Command { by, .. }) = event
    else {
        panic!("{event:?}")
    };
    by.to_string()
}

#[tokio::test]
async fn a_name_that_is_claimed_is_kept_beside_the_identity_and_counted() {
    let house = house(&["ci"], "  - { who: [\"token:ci\"], may: [view, operate] }\n").await;
    let headers = ["Content-Type: application/json", &bearer("ci")];
    for by in ["the pope", "ci", ""] {
        let body = json!({ "by": by, "reason": "r" }).to_string();
        assert_eq!(house.ask("POST", "/api/v1/pause", &headers, &body).await.status, 200);
    }
    let who: Vec<String> = house.events.lock().iter().map(who_commanded).collect();
    assert_eq!(who, ["token:ci (as \"the pope\")", "token:ci", "token:ci"]);
    let metrics = house.ask("GET", "/metrics", &[&bearer("ci")], "").await.body;
    assert!(metrics.contains("\nhomeostat_claims_differing_total 1\n"), "{metrics}");
}

#[tokio::test]
async fn whoami_tells_the_identity_and_what_it_is_granted() {
    let house = house(&["dba"], NARROW.lines().next().unwrap()).await;
    let known = house.ask("GET", "/api/v1/whoami", &[&bearer("dba")], "").await.json();
    assert_eq!((&known["identity"], &known["way"]), (&json!("token:dba"), &json!("token")));
    assert!(known["address"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert_eq!(known["may"][0], json!({ "permission": "view", "policies": ["db-*"] }));
    let anyone = House::usual().await.get("/api/v1/whoami").await.json();
    assert_eq!((&anyone["identity"], &anyone["way"]), (&json!("anonymous"), &json!("unasked")));
    assert_eq!(anyone["may"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn what_is_granted_to_anonymous_is_for_everybody_and_the_rest_asks_who_they_are() {
    let grants =
        "  - { who: [anonymous], may: [view] }\n  - { who: [\"token:ci\"], may: [operate] }\n";
    let house = house(&["ci"], grants).await;
    assert_eq!(house.get("/api/v1/status").await.status, 200);
    let json = "Content-Type: application/json";
    let stranger = house.ask("POST", "/api/v1/pause", &[json], "{}").await;
    assert_eq!(stranger.status, 401);
    let rebound = house.ask_bare("GET", "/metrics", &["Host: evil.example"], "").await;
    assert_eq!(rebound.status, 403, "a page must not read what its user can reach");
}

#[tokio::test]
async fn only_a_trusted_proxy_tells_who_somebody_is() {
    let text = |trusted: &str| {
        format!(
            "access:
  proxy: {{ trusted: [\"{trusted}\"], user_header: X-User, groups_header: X-Groups }}
  grants: [{{ who: [\"group:sre\"], may: [view, send] }}, {{ who: [\"user:bob\"], may: [view] }}]
"
        )
    };
    let open = async |trusted: &str| {
        let config = homeostat_config::parse("homeostat.yml", &text(trusted));
        let access = config.unwrap_or_else(|report| panic!("{report}")).access;
        House::open(Ways { access, ..Ways::default() }).await
    };
    let house = open("127.0.0.0/8").await;
    let groups = "X-Groups: dev, sre,everyone,";
    for (headers, status) in [
        (&["X-User: ann", groups][..], 200),
        (&["X-User: bob"], 200),
        (&["X-User: ann"], 403),
        (&[groups], 401),
        (&["X-User: "], 401),
        (&["X-User: ann", "X-User: bob", groups], 401),
        (&["X-User: ann", groups, "Authorization: Bearer x"], 401),
    ] {
        let answer = house.ask("GET", "/api/v1/status", headers, "").await;
        assert_eq!(answer.status, status, "{headers:?}: {answer:?}");
    }
    let known = house.ask("GET", "/api/v1/whoami", &["X-User: ann", groups], "").await.json();
    assert_eq!(known["identity"], "user:ann");
    assert_eq!(known["groups"], json!(["group:dev", "group:sre"]));
    let stranger = open("10.0.0.5").await;
    let answer = stranger.ask("GET", "/api/v1/status", &["X-User: bob"], "").await;
    assert_eq!(answer.status, 401);
}

#[test]
fn a_gate_without_a_guard_before_it_is_shut() {
    let nobody = axum::http::Extensions::new();
    let shut = Gate::To(Permission::View).judge(&nobody);
    assert!(matches!(shut, Err(Refusal::Unknown(_))));
}
