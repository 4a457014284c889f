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
    webhook::parse(body.as_bytes(), &main_source())
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
    let parsed = webhook::parse(FIRING, &main_source()).unwrap();
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
    let parsed = webhook::parse(RESOLVED, &main_source()).unwrap();
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
fn annotations_that_are_no_text_are_left_out() {
    let seen = one(&json!({ "labels": { "a": "b" }, "annotations": { "n": 1, "s": "t" } }));
    assert_eq!(seen.alert.annotations.to_string(), r#"{s="t"}"#);
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
        (json!({ "labels": "x" }), "its labels: are a string"),
        (json!({ "labels": { "a": 1, "b": "c" } }), r#"its labels: "a" is a number"#),
        (json!({ "labels": { "a": { "b": "c" } } }), r#"its labels: "a" is an object"#),
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
fn an_alert_without_status_is_resolved_if_it_ended() {
    let ended = "2026-11-22T06:08:02Z";
    let seen = one(&json!({ "labels": { "a": "b" }, "endsAt": ended }));
    assert_eq!((seen.status, seen.ends_at), (Status::Resolved, Some(time(ended))));
    let seen = one(&json!({ "labels": { "a": "b" }, "endsAt": "0001-01-01T00:00:00Z" }));
    assert_eq!((seen.status, seen.ends_at), (Status::Firing, None));
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
fn bytes_that_are_no_utf8_are_read_as_go_reads_them() {
    let body = b"{\"alerts\":[{\"labels\":{\"a\":\"b\xff\"}}]}";
    let parsed = webhook::parse(body, &main_source()).unwrap();
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
        (json!({ "labels": { "a": 1 } }), r#"invalid labels: "a" is a number"#),
        (json!("x"), "it is a string, not an object"),
        (with("annotations", json!({ "": "x" })), "invalid annotations: a name is empty"),
        (with("endsAt", json!("soon")), "its endsAt is not an RFC 3339 time"),
        (with("startsAt", json!(7)), "its startsAt is not an RFC 3339 time"),
        (with("startsAt", json!("2026-11-22T13:00:00Z")), "start time must be before end time"),
        (with("generatorURL", json!(7)), "its generatorURL is a number"),
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
