//! What is approved ahead, over HTTP: who sees it, who revokes it, and how it is asked for.

use super::access::{bearer, house};
use super::*;
use homeostat_core::approval::{Digest, Objection, StandingApproval, Terms, Vote};
use homeostat_core::name::{ApprovalId, OrderId, Part, RemedyName};
use homeostat_core::plan::Rendered;
use homeostat_core::time::Span;

/// One for each of the two policies of the house, on the same target.
pub(super) fn of_both_policies() -> Vec<Arc<StandingApproval>> {
    let approval = |number, policy: &str| {
        let order = OrderId {
            incident: IncidentId(1),
            remedy: RemedyName::new("reboot"),
            attempt: 1,
            part: Part::Heal,
        };
        let action = Rendered::Exec(vec!["reboot".into(), "b:80".into()]);
        let since = Timestamp::from_seconds(1_767_603_600);
        let vote = |who: &str| Vote {
            by: Operator {
                claimed: String::new(),
                known: Some(Known {
                    who: who.into(),
                    way: Way::Password,
                    groups: Vec::new(),
                    address: "10.0.0.7:51".into(),
                }),
            },
            reason: "until the new disk is there".into(),
            at: since,
            ahead: Some(Terms { uses: 5, lasts: Span::from_secs(86_400) }),
        };
        Arc::new(StandingApproval {
            id: ApprovalId(number),
            policy: PolicyName::new(policy),
            remedy: order.remedy.clone(),
            definition: "".into(),
            target: LabelSet::from_pairs([("instance", "b:80")]),
            kind: Digest::of(&order, &action),
            action,
            incident: order.incident,
            votes: vec![vote("user:ann"), vote("user:bob")],
            since,
            until: since + Span::from_secs(86_400),
            uses: 5,
            runs: [order].into(),
        })
    };
    vec![approval(1, "web-down"), approval(2, "db-primary")]
}

const NARROW: &str = "  - { who: [\"token:dba\"], may: [view, approve], policies: [\"db-*\"] }
  - { who: [\"token:west\"], may: [view, approve], targets: ['instance=\"west:80\"'] }
  - { who: [\"token:all\"], may: [view, approve] }
  - { who: [\"token:viewer\"], may: [view] }
  - { who: [\"token:mixed\"], may: [view] }
  - { who: [\"token:mixed\"], may: [approve], policies: [\"web-*\"] }
";

const WHO: [&str; 5] = ["dba", "west", "all", "viewer", "mixed"];

#[tokio::test]
async fn what_is_approved_ahead_is_listed_for_whoever_may_see_its_incidents() {
    let house = house(&WHO, NARROW).await;
    let list = async |who: &str| {
        let answer = house.ask("GET", "/api/v1/approvals", &[&bearer(who)], "").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["approvals"].clone()
    };
    let ids = |list: &Value| {
        list.as_array().unwrap().iter().map(|one| one["id"].clone()).collect::<Vec<_>>()
    };
    for (who, expected) in
        [("dba", vec!["2"]), ("west", vec![]), ("all", vec!["1", "2"]), ("viewer", vec!["1", "2"])]
    {
        assert_eq!(ids(&list(who).await), expected, "{who}");
        let status = house.ask("GET", "/api/v1/status", &[&bearer(who)], "").await.json();
        assert_eq!(status["standing_approvals"], expected.len(), "{who}");
    }
    let shown = list("dba").await[0].clone();
    let vote = |who: &str| json!({ "by": who, "reason": "until the new disk is there", "at": "2026-01-05T09:00:00Z" });
    let expected = json!({
        "id": "2",
        "policy": "db-primary",
        "remedy": "reboot",
        "target": { "instance": "b:80" },
        "action": "reboot b:80",
        "incident": "1",
        "votes": [vote("user:ann"), vote("user:bob")],
        "since": "2026-01-05T09:00:00Z",
        "until": "2026-01-06T09:00:00Z",
        "uses": 5,
        "left": 4,
        "orders": ["1.reboot.1"],
    });
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn whoever_may_approve_for_a_target_may_revoke() {
    let house = house(&WHO, NARROW).await;
    let revoke = async |id: &str, who: &str, body: &str| {
        let path = format!("/api/v1/approvals/{id}/revoke");
        let headers = ["Content-Type: application/json", &bearer(who)];
        house.ask("POST", &path, &headers, body).await
    };
    let body = json!({ "reason": "the disk was replaced" }).to_string();
    for (id, who, status) in [
        ("1", "dba", 404),
        ("1", "west", 404),
        ("9", "all", 404),
        ("x", "all", 404),
        ("2", "mixed", 403),
        ("2", "viewer", 403),
        ("1", "mixed", 200),
        ("2", "dba", 200),
    ] {
        assert_eq!(revoke(id, who, &body).await.status, status, "{id} by {who}");
    }
    let hidden = revoke("1", "dba", &body).await.error();
    assert_eq!(hidden, revoke("9", "all", &body).await.error().replace('9', "1"));
    let refused = revoke("2", "mixed", &body).await.error();
    let expected = "approve on policy db-primary, target {instance=\"b:80\"} is granted to token:dba, \
                    token:all";
    assert_eq!(refused, expected);
    let more = revoke("2", "dba", r#"{ "next": 5 }"#).await;
    assert_eq!((more.status, &*more.error()), (400, "\"next\" goes with an approval only"));
    let events = house.events.lock();
    let revoked = events.iter().map(|event| match event {
        Event::Revoke { approval, by, reason } => (approval.0, by.to_string(), reason.clone()),
        event => panic!("{event:?}"),
    });
    let why = || "the disk was replaced".to_owned();
    let expected = [(1, "token:mixed".to_owned(), why()), (2, "token:dba".to_owned(), why())];
    assert_eq!(revoked.collect::<Vec<_>>(), expected, "nothing else reached the engine");
}

#[tokio::test]
async fn an_approval_says_how_many_runs_ahead_and_for_how_long() {
    let house = House::usual().await;
    let approve = async |body: Value| {
        let path = "/api/v1/incidents/1/approve";
        house.ask("POST", path, &["Content-Type: application/json"], &body.to_string()).await
    };
    for (more, error) in [
        (json!({ "next": 5 }), "\"next\" needs a \"for\": for how long, as in \"24h\""),
        (json!({ "for": "24h" }), "\"for\" needs a \"next\": for how many runs"),
        (json!({ "next": -1, "for": "24h" }), "expected u32"),
        (json!({ "next": 5, "for": "a day" }), "a duration as in 1h30m"),
    ] {
        let mut body = json!({ "by": "ann" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = approve(body).await;
        assert_eq!(answer.status, 400);
        assert!(answer.error().contains(error), "{}", answer.error());
    }
    assert_eq!(approve(json!({ "by": "ann", "next": 5, "for": "24h" })).await.status, 200);
    let events = house.events.lock();
    let [Event::Command { ahead, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(*ahead, Some(Terms { uses: 5, lasts: Span::from_secs(86_400) }));
}

#[tokio::test]
async fn whose_word_does_not_count_is_told_why_and_is_counted_among_the_refusals() {
    let house = House::usual().await;
    let headers = ["Content-Type: application/json"];
    let approve = async |id: u64| {
        let path = format!("/api/v1/incidents/{id}/approve");
        house.ask("POST", &path, &headers, r#"{ "by": "ann" }"#).await
    };
    let answer = approve(COUNTED).await;
    assert_eq!(answer.status, 200);
    let expected = json!({
        "incident": COUNTED.to_string(),
        "message": "1 of 2 approvals: user:ann",
        "approvals": { "have": 1, "count": 2 },
    });
    assert_eq!(answer.json(), expected);
    let refused = approve(OBJECTED).await;
    assert_eq!((refused.status, refused.error()), (403, Objection::Retried.to_string()));
    assert_eq!(refusals(&house, "", &[]).await, [r#"{reason="not_granted"} 1"#]);
}
