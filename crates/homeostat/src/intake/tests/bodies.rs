//! What is made of bodies.

use homeostat_core::alert::Door;
use homeostat_core::label::LabelSet;
use serde_json::{Value, json};

use super::super::alerts_api::ApiParsed;
use super::super::*;
use super::{FIRING, NOW, RESOLVED, main_source, time};

/// The example of Grafana's documentation, shortened to what our reading could stumble over.
const GRAFANA: &str = r#"{
  "receiver": "My Super Webhook", "status": "firing", "orgId": 1,
  "alerts": [
    { "status": "firing",
      "labels": { "alertname": "High memory usage", "team": "blue", "zone": "us-1" },
      "annotations": { "summary": "This alert was triggered for zone us-1" },
      "startsAt": "2021-10-12T09:51:03.157076+02:00", "endsAt": "0001-01-01T00:00:00Z",
      "generatorURL": "https://play.grafana.org/alerting/1afz29v7z/edit",
      "fingerprint": "c6eadffa33fcdf37", "silenceURL": "https://play.grafana.org/silence/new",
      "dashboardURL": "", "panelURL": "",
      "values": { "B": 44.23943737541908, "C": 1 } },
    { "status": "resolved",
      "labels": { "alertname": "High CPU usage", "team": "blue", "zone": "eu-1" },
      "annotations": {},
      "startsAt": "2021-10-12T09:56:03.157076+02:00",
      "endsAt": "2021-10-12T09:57:03.157076+02:00",
      "generatorURL": "https://play.grafana.org/alerting/d1rdpdv7k/edit",
      "fingerprint": "bc97ff14869b13e3", "silenceURL": "", "dashboardURL": "", "panelURL": "",
      "values": null, "valueString": "[ metric='' labels={} value=47043.702386305304 ]" }
  ],
  "groupLabels": {}, "commonLabels": { "team": "blue" }, "commonAnnotations": {},
  "externalURL": "https://play.grafana.org/", "version": "1", "groupKey": "{}:{}",
  "truncatedAlerts": 0, "title": "[FIRING:2]  (blue)", "state": "alerting", "message": "**Firing**"
}"#;

fn parse(body: &str) -> Result<webhook::Parsed, webhook::Unusable> {
    webhook::parse(body.as_bytes(), &main_source(), time(NOW))
}

fn one(alert: &Value) -> Observation {
    let body = json!({ "alerts": [alert] }).to_string();
    let parsed = parse(&body).unwrap();
    assert_eq!(parsed.observations.len(), 1, "{body}");
    parsed.observations.into_iter().next().unwrap()
}

// --- webhook bodies ---

#[test]
fn a_notification_of_alertmanager_is_read_whole() {
    let parsed = webhook::parse(FIRING, &main_source(), time(NOW)).unwrap();
    assert_eq!((parsed.problems.count, parsed.truncated), (0, 0));
    let [observation] = parsed.observations.as_slice() else { panic!("one alert") };
    let alert = &observation.alert;
    assert_eq!(observation.status, Status::Firing);
    assert_eq!(observation.ends_at, None);
    assert_eq!(alert.starts_at, Some(time("2026-11-22T06:07:50.028807Z")));
    assert_eq!((alert.source.as_str(), alert.door), ("main", Door::Webhook));
    assert_eq!(alert.fingerprint, alert.labels.fingerprint());
    assert_eq!(alert.annotations.get("summary"), Some("down"));
    assert_eq!(&*alert.generator_url, "http://prom:9090/graph");
    assert_eq!((&*alert.receiver, &*alert.external_url), ("my-receiver", "http://vm:9093"));
    assert_eq!(alert.group_labels.to_string(), r#"{alertname="ServiceDown"}"#);
}

#[test]
fn a_resolved_alert_says_when_it_ended() {
    let parsed = webhook::parse(RESOLVED, &main_source(), time(NOW)).unwrap();
    assert_eq!(parsed.observations[0].status, Status::Resolved);
    assert_eq!(parsed.observations[0].ends_at, Some(time("2026-11-22T06:08:02Z")));
}

#[test]
fn grafana_is_read_as_it_is_and_its_fingerprints_are_never_computed_again() {
    let parsed = parse(GRAFANA).unwrap();
    let seen: Vec<_> = parsed
        .observations
        .iter()
        .map(|seen| (seen.alert.fingerprint.to_string(), seen.status, seen.ends_at))
        .collect();
    let ended = Some(time("2021-10-12T07:57:03.157076Z"));
    assert_eq!(
        seen,
        [
            ("c6eadffa33fcdf37".into(), Status::Firing, None),
            ("bc97ff14869b13e3".into(), Status::Resolved, ended),
        ]
    );
    assert_ne!(parsed.observations[0].alert.labels.fingerprint().to_string(), "c6eadffa33fcdf37");
}

#[test]
fn what_is_not_needed_may_be_missing_null_or_of_any_type() {
    let labels = r#""labels":{"alertname":"X"}"#;
    for body in [
        format!(r#"{{"alerts":[{{"status":"firing",{labels}}}]}}"#),
        format!(r#"{{"alerts":[{{{labels}}}],"version":"99","groupKey":7}}"#),
        format!(r#"{{"alerts":[{{{labels},"annotations":null,"startsAt":null,"values":null}}]}}"#),
        format!(r#"{{"alerts":[{{{labels},"annotations":[1],"generatorURL":{{"a":[]}}}}]}}"#),
        format!(r#"{{"alerts":[{{{labels},"fingerprint":7}}],"truncatedAlerts":null}}"#),
        format!(r#"{{"alerts":[{{{labels},"fingerprint":"xyz"}}],"truncatedAlerts":"3"}}"#),
        format!(r#"{{"receiver":null,"externalURL":1,"groupLabels":"x","alerts":[{{{labels}}}]}}"#),
        format!(r#"{{"alerts":[{{{labels},"startsAt":"yesterday"}}],"commonLabels":null}}"#),
        format!(r#"{{"alerts":[{{{labels},"status":"Firing"}}],"truncatedAlerts":-1}}"#),
        format!(r#"  {{"alerts":[1],"x":{{"y":[{{}}]}},"alerts":[{{{labels}}}]}}  "#),
        format!("{{\"alerts\":[{{{labels},\"annotations\":{{\"a\":\"\u{1F600}\\u00e9\"}}}}]}}"),
    ] {
        let parsed = parse(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
        let [seen] = parsed.observations.as_slice() else { panic!("one alert: {body}") };
        assert_eq!(seen.alert.labels.to_string(), r#"{alertname="X"}"#, "{body}");
        assert_eq!(seen.status, Status::Firing, "{body}");
        assert_eq!(seen.alert.starts_at, None, "{body}");
        assert_eq!(seen.alert.fingerprint, seen.alert.labels.fingerprint(), "{body}");
        assert_eq!(parsed.truncated, 0, "{body}");
    }
}

#[test]
fn what_cannot_be_read_of_an_alert_is_left_out_and_told() {
    for (alert, labels, annotations, told) in [
        (
            r#"{"labels":{"a":"b"},"annotations":{"o":{},"n":1.50,"t":true,"z":null}}"#,
            r#"{a="b"}"#,
            r#"{n="1.50", t="true"}"#,
            r#"its annotation "o" is an object, and was left out"#,
        ),
        (
            r#"{"labels":{"a":"b","l":[1],"m":{}},"annotations":[1]}"#,
            r#"{a="b"}"#,
            "{}",
            r#"its label "l" is an array, and was left out; alert 0: its annotations are an array"#,
        ),
        (
            r#"{"labels":{"a":"b","l":null,"a":"c"},"annotations":{"":"x"}}"#,
            r#"{a="c"}"#,
            "{}",
            "an annotation has no name, and was left out",
        ),
        (
            r#"{"labels":{"a":1e400},"annotations":null,"startsAt":1700000000}"#,
            r#"{a="1e400"}"#,
            "{}",
            "its startsAt is a number, 1700000000, not a time as 2026-11-22T06:07:50Z",
        ),
    ] {
        let parsed = parse(&format!(r#"{{"alerts":[{alert}]}}"#)).unwrap();
        let seen = &parsed.observations[0].alert;
        assert_eq!(seen.labels.to_string(), labels, "{alert}");
        assert_eq!(seen.annotations.to_string(), annotations, "{alert}");
        assert_eq!(parsed.problems.to_string(), format!("alert 0: {told}"), "{alert}");
        let batch = alerts_api::parse(format!("[{alert}]").as_bytes(), time(NOW)).unwrap();
        assert!(!batch.invalid.is_empty(), "{alert}");
    }
}

#[test]
fn one_bad_alert_does_not_lose_the_others() {
    let good = json!({ "status": "firing", "labels": { "alertname": "X" } });
    for (bad, reason) in [
        (json!(1), "it is a number, not an object"),
        (json!(null), "it is null, not an object"),
        (json!([good]), "it is an array, not an object"),
        (json!({}), "it has no labels"),
        (json!({ "labels": null }), "it has no labels"),
        (json!({ "labels": { "a": "" } }), "it has no labels"),
        (json!({ "labels": "x" }), "its labels are a string"),
        (
            json!({ "labels": { "a": { "b": "c" } } }),
            r#"its label "a" is an object, and was left out"#,
        ),
        (json!({ "labels": { "": "c" } }), "the name of a label is empty"),
        (json!({ "labels": { "a": "b" }, "status": 1 }), "its status is a number"),
        (
            json!({ "labels": { "a": "b" }, "status": "pending" }),
            r#"its status is "pending", neither firing nor resolved"#,
        ),
        (
            json!({ "labels": { "a": "b" }, "endsAt": "soon" }),
            "it has no status, and its endsAt is no time",
        ),
    ] {
        let parsed = parse(&json!({ "alerts": [good, bad, good] }).to_string()).unwrap();
        assert_eq!(parsed.observations.len(), 2, "{bad}");
        assert_eq!(parsed.problems.to_string(), format!("alert 1: {reason}"));
    }
}

#[test]
fn an_alert_without_status_takes_it_from_its_end_or_its_notification() {
    let (past, ahead) = (json!("2026-11-22T06:08:02Z"), json!("2026-11-22T18:00:00Z"));
    let zero = json!("0001-01-01T00:00:00Z");
    for (of_all, ends_at, status) in [
        (json!(null), json!(null), Status::Firing),
        (json!(null), zero.clone(), Status::Firing),
        (json!(null), ahead.clone(), Status::Firing),
        (json!(null), past.clone(), Status::Resolved),
        (json!(null), json!(NOW), Status::Resolved),
        (json!("firing"), past, Status::Resolved),
        (json!("firing"), zero.clone(), Status::Firing),
        (json!("Resolved"), zero, Status::Resolved),
        (json!("resolved"), json!("soon"), Status::Resolved),
        (json!("resolved"), ahead, Status::Firing),
    ] {
        let alert = json!({ "labels": { "a": "b" }, "endsAt": ends_at });
        let body = json!({ "status": of_all, "alerts": [alert] }).to_string();
        assert_eq!(parse(&body).unwrap().observations[0].status, status, "{body}");
    }
    let own = json!({ "labels": { "a": "b" }, "status": "firing" });
    let body = json!({ "status": "resolved", "alerts": [own] }).to_string();
    assert_eq!(parse(&body).unwrap().observations[0].status, Status::Firing);
}

#[test]
fn an_end_for_which_grafana_names_a_reason_proves_nothing() {
    for reason in ["MissingSeries", "NoData", "Paused", "RuleDeleted", "Error, KeepLast", "new"] {
        for place in ["annotations", "labels"] {
            let mut alert = json!({ "status": "resolved", "labels": { "alertname": "X" } });
            alert[place]["grafana_state_reason"] = json!(reason);
            let told = format!("Grafana resolved it because of {reason}");
            assert_eq!(one(&alert).unproven.as_deref(), Some(told.as_str()));
            alert["endsAt"] = json!("2026-11-22T11:00:00Z");
            assert_eq!(api(&json!([alert])).valid[0].unproven.as_deref(), Some(told.as_str()));
            alert["endsAt"] = json!("2026-11-22T13:00:00Z");
            assert_eq!(api(&json!([alert])).valid[0].unproven, None);
            alert["status"] = json!("firing");
            assert_eq!(one(&alert).unproven, None);
        }
    }
    for empty in ["", " \n"] {
        let annotations = json!({ "grafana_state_reason": empty });
        let labels = json!({ "a": "b" });
        let alert = json!({ "status": "resolved", "labels": labels, "annotations": annotations });
        assert_eq!(one(&alert).unproven, None);
    }
}

#[test]
fn a_reason_is_told_on_one_line_and_not_at_length() {
    let annotations = json!({ "grafana_state_reason": format!("a\nb{}", "x".repeat(1000)) });
    let alert = json!({ "status": "resolved", "labels": { "a": "b" }, "annotations": annotations });
    let told = one(&alert).unproven.unwrap();
    assert!(told.starts_with("Grafana resolved it because of a bxxx"), "{told}");
    assert!(told.len() < 200, "{}", told.len());
}

#[test]
fn a_body_that_says_nothing_is_unusable() {
    for (body, reason) in [
        ("", "the body is not JSON"),
        ("hello", "the body is not JSON"),
        (r#"{"alerts":["#, "the body is not JSON"),
        (r#"{"alerts":[]} {}"#, "the body is not JSON"),
        ("null", "the body is null, not an object"),
        ("[]", "the body is an array, not an object"),
        (r#""text""#, "the body is a string, not an object"),
        ("{}", "the body has no alerts"),
        (r#"{"alerts":{}}"#, "the alerts are an object, not an array"),
        (r#"{"alerts":"none"}"#, "the alerts are a string, not an array"),
        (
            r#"{"alerts":[1,2]}"#,
            "no alert is usable: alert 0: it is a number, not an object; alert 1",
        ),
    ] {
        let error = parse(body).unwrap_err().to_string();
        assert!(error.starts_with(reason), "{error}: {body}");
    }
    for empty in [r#"{"alerts":[]}"#, r#"{"alerts":null}"#] {
        assert_eq!(parse(empty).unwrap(), webhook::Parsed::default());
    }
}

#[test]
fn deep_and_wide_bodies_are_no_danger() {
    let deep = format!(r#"{{"x":{}1{},"alerts":[]}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert!(parse(&deep).is_ok());
    let wide = format!(r#"{{"alerts":[{}1]}}"#, "1,".repeat(300_000));
    let webhook::Unusable::NothingUsable(problems) = parse(&wide).unwrap_err() else {
        panic!("nothing is usable")
    };
    assert_eq!((problems.told.len(), problems.count), (16, 200_000));
}

#[test]
fn truncated_alerts_are_counted() {
    let body = r#"{"alerts":[{"labels":{"a":"b"}}],"truncatedAlerts":2}"#;
    assert_eq!(parse(body).unwrap().truncated, 2);
}

#[test]
fn a_mark_of_utf8_is_no_part_of_a_body() {
    let marked = format!("\u{feff}{GRAFANA}");
    assert_eq!(parse(&marked).unwrap(), parse(GRAFANA).unwrap());
    let batch = "\u{feff}[{\"labels\":{\"a\":\"b\"}}]";
    assert_eq!(alerts_api::parse(batch.as_bytes(), time(NOW)).unwrap().valid.len(), 1);
    assert!(parse("\u{feff}\u{feff}{}").is_err());
}

#[test]
fn half_a_character_is_a_replacement_character_wherever_it_stands() {
    let body = r#"{"x":"\ude00","alerts":[{"labels":{"a\ud83d":"b\ud83d\ude00"}}]}"#;
    let seen = parse(body).unwrap().observations.remove(0).alert;
    assert_eq!(seen.labels.to_string(), "{\"a\u{fffd}\"=\"b\u{1f600}\"}");
}

#[test]
fn what_no_person_would_send_is_not_guessed_at() {
    let utf16: Vec<u8> = r#"{"alerts":[]}"#.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for body in [utf16.as_slice(), br#"{"alerts":[],}"#, br#"{"alerts":[]"#, b"{'alerts':[]}"] {
        assert!(matches!(
            webhook::parse(body, &main_source(), time(NOW)),
            Err(webhook::Unusable::NotJson(_))
        ));
    }
}

#[test]
fn bytes_that_are_no_utf8_are_read_as_go_reads_them() {
    let body = b"{\"alerts\":[{\"labels\":{\"a\":\"b\xff\"}}]}";
    let parsed = webhook::parse(body, &main_source(), time(NOW)).unwrap();
    assert_eq!(parsed.observations[0].alert.labels.get("a"), Some("b\u{fffd}"));
}

// --- bodies of the alerts API ---

fn api(body: &Value) -> ApiParsed {
    alerts_api::parse(body.to_string().as_bytes(), time(NOW)).unwrap()
}

#[test]
fn times_of_the_alerts_api_are_filled_in_as_alertmanager_does() {
    let (past, ahead) = ("2026-11-22T11:00:00Z", "2026-11-22T12:04:00Z");
    let zero = "0001-01-01T00:00:00Z";
    for (sent, starts_at, ends_at) in [
        (json!({}), NOW, "2026-11-22T12:05:00Z"),
        (json!({ "startsAt": zero, "endsAt": zero }), NOW, "2026-11-22T12:05:00Z"),
        (json!({ "startsAt": past }), past, "2026-11-22T12:05:00Z"),
        (json!({ "endsAt": past }), past, past),
        (json!({ "startsAt": past, "endsAt": ahead }), past, ahead),
    ] {
        let mut alert = sent.clone();
        alert["labels"] = json!({ "alertname": "X", "empty": "" });
        alert["generatorURL"] = json!("javascript:alert(1)");
        let parsed = api(&json!([alert]));
        let [seen] = parsed.valid.as_slice() else { panic!("{sent}") };
        assert_eq!(seen.alert.starts_at, Some(time(starts_at)), "{sent}");
        assert_eq!(seen.ends_at, Some(time(ends_at)), "{sent}");
        assert_eq!(seen.status, Status::Firing);
        assert_eq!((seen.alert.source.as_str(), seen.alert.door), ("api", Door::Api));
        assert_eq!(seen.alert.labels, LabelSet::from_pairs([("alertname", "X")]));
        assert_eq!(seen.alert.fingerprint, seen.alert.labels.fingerprint());
        assert_eq!(&*seen.alert.generator_url, "javascript:alert(1)");
    }
}

#[test]
fn invalid_alerts_are_told_and_valid_ones_kept() {
    let good = json!({ "labels": { "alertname": "X" } });
    let with = |field: &str, value: Value| {
        let mut alert = good.clone();
        alert[field] = value;
        alert
    };
    for (bad, reason) in [
        (json!({}), "at least one label pair required"),
        (json!({ "labels": { "a": "" } }), "at least one label pair required"),
        (json!({ "labels": { "": "x" } }), "invalid labels: a name is empty"),
        (json!("x"), "it is a string, not an object"),
        (
            with("endsAt", json!("soon")),
            r#"its endsAt is "soon", not a time as 2026-11-22T06:07:50Z"#,
        ),
        (
            with("startsAt", json!(7)),
            "its startsAt is a number, 7, not a time as 2026-11-22T06:07:50Z",
        ),
        (with("startsAt", json!("2026-11-22T13:00:00Z")), "start time must be before end time"),
    ] {
        let parsed = api(&json!([good, bad, good]));
        assert_eq!(parsed.valid.len(), 2, "{bad}");
        assert_eq!(parsed.invalid.to_string(), format!("alert 1: {reason}"), "{bad}");
    }
    let utf8 = api(&json!([{ "labels": { "service.name": "x", "é": "y" } }]));
    assert_eq!(utf8.valid.len(), 1);
}

#[test]
fn what_is_no_array_is_no_batch() {
    for body in ["", "{", "{}", "1", "[] []"] {
        assert!(alerts_api::parse(body.as_bytes(), time(NOW)).is_err(), "{body}");
    }
    assert_eq!(api(&json!([])), ApiParsed::default());
}

// --- what failed once ---

/// What one body of a case is, and what is to be read from it.
#[derive(serde::Deserialize)]
struct Case {
    why: String,
    #[serde(default)]
    post: Vec<Value>,
    post_raw: Option<String>,
    #[serde(default)]
    post_api: Option<Value>,
    seen: Vec<String>,
}

fn shown(observation: &Observation) -> String {
    let Observation { alert, status, ends_at, unproven, by: _ } = observation;
    let annotations = Some(&alert.annotations).filter(|annotations| !annotations.is_empty());
    let parts = [
        Some(format!("{} {}", status.as_str(), alert.labels)),
        annotations.map(|annotations| format!(" {annotations}")),
        alert.starts_at.map(|at| format!(" from {at}")),
        ends_at.map(|at| format!(" to {at}")),
        unproven.as_ref().map(|why| format!(": {why}")),
    ];
    parts.into_iter().flatten().collect()
}

#[test]
fn cases_that_failed_once_are_read() {
    let now = time("2026-11-28T16:30:00Z");
    for line in include_str!("../fixtures/cases.jsonl").lines() {
        let case: Case = serde_json::from_str(line).unwrap();
        let bodies = case.post.iter().map(Value::to_string).chain(case.post_raw);
        let mut seen: Vec<Observation> = Vec::new();
        for body in bodies {
            let parsed = webhook::parse(body.as_bytes(), &main_source(), now);
            let parsed = parsed.unwrap_or_else(|error| panic!("{}: {error}", case.why));
            assert!(parsed.problems.is_empty(), "{}: {}", case.why, parsed.problems);
            seen.extend(parsed.observations);
        }
        if let Some(batch) = &case.post_api {
            let parsed = alerts_api::parse(batch.to_string().as_bytes(), now).unwrap();
            assert!(parsed.invalid.is_empty(), "{}: {}", case.why, parsed.invalid);
            seen.extend(parsed.valid);
        }
        assert_eq!(seen.iter().map(shown).collect::<Vec<_>>(), case.seen, "{}", case.why);
    }
}
