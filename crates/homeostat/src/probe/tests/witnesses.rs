//! Who fires an alert, and what that one says of it later.

use std::time::Duration;

use homeostat_core::evidence::{
    Inputs, InstanceState, Knows, Memory, NotShown, RuleSays, RuleWord,
};

use super::*;

fn named(target: &[&str]) -> TargetLabels {
    TargetLabels::Named(target.iter().map(|name| Arc::from(*name)).collect())
}

async fn words(prober: &Prober, pairs: &[(&str, &str)], by: &[&str]) -> Vec<RuleWord> {
    let labels = labels(pairs);
    let ask = Ask::Rule {
        alertname: labels.get("alertname").unwrap().into(),
        labels,
        target: named(&["instance"]),
        by: by.iter().map(|name| SourceName::new(*name)).collect(),
    };
    match find(prober, ask).await {
        Finding::Rule(words) => words,
        other => panic!("rules were asked for: {other:?}"),
    }
}

/// What the only Prometheus says.
async fn knows(prober: &Prober, pairs: &[(&str, &str)]) -> Result<Knows, String> {
    let [word] = <[_; 1]>::try_from(words(prober, pairs, &["p0"]).await).unwrap();
    word.knows.map_err(|Trouble(why)| why)
}

async fn shown(prober: &Prober, pairs: &[(&str, &str)]) -> RuleSays {
    match knows(prober, pairs).await {
        Ok(Knows::Shows(mut all)) if all.len() == 1 => all.remove(0),
        Ok(Knows::Resembles(one)) => *one,
        other => panic!("one instance should be shown: {other:?}"),
    }
}

async fn later(prober: &Prober, seen: &RuleSays) -> Result<Option<RuleSays>, String> {
    let inputs = match &seen.inputs {
        Inputs::Known(all) => {
            all.iter().filter(|i| i.has_data).map(|i| i.selector.clone()).collect()
        }
        Inputs::Unknown { .. } => Vec::new(),
    };
    let ask = Ask::Instance {
        prometheus: SourceName::new("p0"),
        rule: seen.rule.clone(),
        instance: seen.instance.clone(),
        target: named(&["instance"]),
        inputs,
    };
    match find(prober, ask).await {
        Finding::Instance(says) => says.map(|says| says.map(|s| *s)).map_err(|Trouble(why)| why),
        other => panic!("an instance was asked for: {other:?}"),
    }
}

fn inputs(says: &RuleSays) -> Vec<(&str, bool)> {
    match &says.inputs {
        Inputs::Known(all) => all.iter().map(|i| (&*i.selector, i.has_data)).collect(),
        Inputs::Unknown { why } => panic!("{why}"),
    }
}

const RULES: &str = r#"
groups:
  - name: recordings
    rules:
      - { record: "x:sum", expr: 'sum by (instance) (sum_over_time(up[30s]))' }
  - name: first
    rules:
      - alert: Fires
        expr: 'label_replace(vector(1), "instance", "a", "", "")'
        labels: { severity: page }
      - alert: Fires
        expr: 'label_replace(vector(1), "instance", "b", "", "")'
        labels: { severity: page }
      - { alert: Waits, expr: 'vector(1)', for: 1h }
      - { alert: Quiet, expr: 'vector(0) > 1', keep_firing_for: 7m }
      - { alert: Recorded, expr: '{__name__="x:sum"} >= 0 or x:sum >= 0' }
      - { alert: Ranged, expr: 'sum_over_time(up[2m]) >= 0', keep_firing_for: 1m }
      - { alert: Breaks, expr: 'label_replace(vector(1), "a", "$1", "b", "(")' }
"#;

#[tokio::test]
async fn a_real_prometheus_shows_an_alert_by_the_labels_that_it_sends() {
    let sandbox = stack::Sandbox::new().unwrap();
    let prometheus = stack::Prometheus::builder()
        .rules(RULES)
        .global("  external_labels: { cluster: eu, replica: one }\n")
        .alerting(
            "alerting:\n  alert_relabel_configs:\n    - { regex: replica, action: labeldrop }\n",
        )
        .start(sandbox.path())
        .await
        .unwrap();
    let prober = prometheuses(&[&prometheus.url()]);
    let sent = [("alertname", "Fires"), ("cluster", "eu"), ("instance", "a"), ("severity", "page")];
    eventually("the rule fires", async || {
        matches!(knows(&prober, &sent).await, Ok(Knows::Shows(_)))
    })
    .await;
    let says = shown(&prober, &sent).await;
    assert_eq!(says.state, InstanceState::Firing);
    assert_eq!(says.instance.get("cluster"), None, "as the rule has it");
    assert_eq!(says.unhealthy, None);
    assert_eq!(says.memory, Some(Memory::Lasts(Span::from_secs(2))), "two evaluations");

    // Each of these is another alert, or none of its.
    for other in [
        &[("alertname", "Fires"), ("instance", "a"), ("severity", "page")][..],
        &[("alertname", "Fires"), ("cluster", "us"), ("instance", "a"), ("severity", "page")],
        &[("alertname", "Fires"), ("cluster", "eu"), ("instance", "c"), ("severity", "page")],
        &[("alertname", "Fires"), ("cluster", "eu"), ("instance", "a"), ("severity", "warning")],
    ] {
        let nothing = Ok(Knows::NotShown { why: NotShown::Nothing });
        assert_eq!(knows(&prober, other).await, nothing, "{other:?}");
    }
    assert_eq!(knows(&prober, &[("alertname", "Unknown")]).await, Ok(Knows::NoRule));

    let waits = shown(&prober, &[("alertname", "Waits"), ("cluster", "eu")]).await;
    assert_eq!(waits.state, InstanceState::Pending);
    let seen = later(&prober, &says).await.unwrap().unwrap();
    assert_eq!((seen.state, seen.memory), (InstanceState::Firing, None));
    let gone = RuleSays { instance: labels(&[("alertname", "Fires")]), ..says.clone() };
    let gone = later(&prober, &gone).await.unwrap().unwrap();
    assert_eq!(gone.state, InstanceState::Absent);
}

#[tokio::test]
async fn a_real_prometheus_tells_what_its_rules_read_and_remember() {
    let sandbox = stack::Sandbox::new().unwrap();
    let own = stack::free_address().unwrap();
    let prometheus = stack::Prometheus::builder()
        .rules(RULES)
        .listen(own)
        .scrape("self", "me:1", own)
        .start(sandbox.path())
        .await
        .unwrap();
    let prober = prometheuses(&[&prometheus.url()]);
    let ranged = [("alertname", "Ranged"), ("instance", "me:1"), ("job", "self")];
    eventually("the rule fires", async || {
        matches!(knows(&prober, &ranged).await, Ok(Knows::Shows(_)))
    })
    .await;
    let says = shown(&prober, &ranged).await;
    assert_eq!(says.memory, Some(Memory::Lasts(Span::from_secs(120 + 60 + 2))));
    assert_eq!(inputs(&says), [(r#"up{instance="me:1",job="self"}"#, true)]);
    let other = RuleSays { instance: labels(&[("alertname", "Ranged")]), ..says.clone() };
    let gone = later(&prober, &other).await.unwrap().unwrap();
    assert_eq!(inputs(&gone), [(r#"up{instance="me:1",job="self"}"#, true)]);

    // What is recorded is followed to what it was recorded from.
    let recorded = [("alertname", "Recorded"), ("instance", "me:1")];
    eventually("the rule over a recording fires", async || {
        matches!(knows(&prober, &recorded).await, Ok(Knows::Shows(_)))
    })
    .await;
    let says = shown(&prober, &recorded).await;
    let memory = says.memory.clone().unwrap();
    let at_least = Memory::Lasts(Span::from_secs(30 + 2 + 2));
    assert!(memory == at_least || matches!(memory, Memory::Unknown { .. }), "{memory}");
}

fn instance(pairs: &[(&str, &str)], state: &str, more: &Value) -> Value {
    let mut shown = json!({ "labels": pairs.iter().copied().collect::<std::collections::BTreeMap<_, _>>(),
        "state": state, "activeAt": "2026-11-22T11:00:00Z", "value": "1e+00" });
    let all = shown.as_object_mut().unwrap();
    all.extend(more.as_object().cloned().unwrap_or_default());
    shown
}

fn down(instances: &[Value]) -> Value {
    json!({ "type": "alerting", "name": "Down", "query": "up == 0", "health": "ok",
            "lastEvaluation": "2026-11-22T12:00:00Z", "labels": {}, "alerts": instances })
}

const A: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "a")];

#[tokio::test]
async fn a_server_that_does_not_tell_what_it_sends_shows_what_nothing_else_could_be() {
    let two = prometheus_with(&[down(&[
        instance(A, "firing", &json!({})),
        instance(&[("alertname", "Down"), ("instance", "b")], "firing", &json!({})),
    ])]);
    let sent = [("alertname", "Down"), ("cluster", "eu"), ("instance", "a")];
    let why = knows(&prometheuses(&[&two.url]), &sent).await.unwrap_err();
    assert!(why.contains("404"), "it is shown, and its series are asked for: {why}");
}

#[tokio::test]
async fn where_several_could_be_the_alert_none_is_shown() {
    let vague = prometheus_with(&[down(&[
        instance(A, "firing", &json!({})),
        instance(&[("alertname", "Down"), ("job", "web")], "firing", &json!({})),
    ])]);
    let sent = [("alertname", "Down"), ("instance", "a"), ("job", "web")];
    let ambiguous = Ok(Knows::NotShown { why: NotShown::Ambiguous { instances: 2 } });
    assert_eq!(knows(&prometheuses(&[&vague.url]), &sent).await, ambiguous);

    // Our configuration says what it adds: then labels are compared whole.
    let source = PrometheusSource {
        name: SourceName::new("p0"),
        client: client(&vague.url),
        external_labels: Some(labels(&[("job", "web")])),
    };
    let told = Prober::new(Witnesses { alertmanagers: Vec::new(), prometheuses: vec![source] });
    match knows(&told, &sent).await {
        Err(why) => {
            assert!(why.contains("404"), "it is shown, and its series are asked for: {why}");
        }
        other => panic!("its inputs cannot be asked for here: {other:?}"),
    }
}

#[tokio::test]
async fn each_prometheus_speaks_for_itself_and_one_that_hangs_only_for_itself() {
    let other = json!({ "type": "alerting", "name": "Else", "health": "ok",
                        "lastEvaluation": "2026-11-22T12:00:00Z", "alerts": [] });
    let (empty, without) = (prometheus_with(&[down(&[])]), prometheus_with(&[other]));
    let dead = dead();
    let prober = prometheuses(&[&empty.url, &without.url, &dead]);
    let all = words(&prober, A, &["p0", "p1", "p2", "p7"]).await;
    let of = |number: usize| &all[number].knows;
    assert_eq!(*of(0), Ok(Knows::NotShown { why: NotShown::Nothing }));
    assert_eq!(*of(1), Ok(Knows::NoRule));
    assert!(of(2).as_ref().is_err_and(|Trouble(why)| why.contains("could not be reached")));
    assert!(of(3).as_ref().is_err_and(|Trouble(why)| why.contains("configured as p7")));
    assert!(
        empty.received()[0].head.starts_with("GET /api/v1/rules?type=alert&rule_name%5B%5D=Down ")
    );
}

#[tokio::test]
async fn an_answer_that_says_it_is_not_whole_is_none() {
    for (more, gap) in [
        (json!({ "isPartial": true }), "partial"),
        (json!({ "warnings": ["remote_read: connection refused"] }), "remote_read"),
    ] {
        let mut body = json!({ "status": "success",
            "data": { "groups": [{ "rules": [down(&[])] }], "resultType": "vector", "result": [] } });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let server = Server::start(move |_| ok(&body.to_string()));
        let prober = prometheuses(&[&server.url]);
        let trouble = knows(&prober, A).await.unwrap_err();
        assert!(trouble.contains("did not answer in full") && trouble.contains(gap), "{trouble}");
        assert!(query(&prober, "up").await.unwrap_err().contains(gap));
        assert!(inventory(&prober, "up").await.unwrap_err().contains(gap));
        let listing = presence(&prober, present(Lister::Prometheus, "", &[])).await;
        assert!(listing.unwrap_err().contains(gap));
    }
    let remarks = json!({ "status": "success", "data": { "resultType": "vector", "result": [] },
        "warnings": ["PromQL warning: bucket label"], "infos": ["PromQL info: not a counter"] });
    let server = Server::start(move |_| ok(&remarks.to_string()));
    assert_eq!(query(&prometheuses(&[&server.url]), "up").await, Ok(0), "a remark is no gap");
}

#[tokio::test]
async fn names_of_compatible_servers_are_read() {
    let vmalert = json!({ "type": "alerting", "name": "Down", "query": "up == 0", "health": "ok",
        "lastEvaluation": "2026-11-22T12:00:00Z", "keep_firing_for": 300, "labels": {},
        "alerts": [instance(A, "firing", &json!({ "stabilizing": true }))] });
    let untold = json!({ "type": "alerting", "name": "Down", "health": "ok",
        "lastEvaluation": "2026-11-22T12:00:00Z", "labels": {},
        "alerts": [instance(A, "firing", &json!({}))] });
    let answering = |rule: Value| {
        let body = json!({ "status": "success", "data": { "groups":
            [{ "name": "g", "file": "f", "interval": 30, "rules": [rule] }] } });
        let counted =
            json!({ "status": "success", "data": { "resultType": "vector", "result": [] } });
        Server::start(move |request| match request.head.split(' ').nth(1).unwrap() {
            path if path.starts_with("/api/v1/rules") => ok(&body.to_string()),
            path if path.starts_with("/api/v1/query") => ok(&counted.to_string()),
            _ => Canned::Answer(404, "", Vec::new()),
        })
    };
    let server = answering(vmalert);
    let says = shown(&prometheuses(&[&server.url]), A).await;
    assert_eq!(says.state, InstanceState::Kept);
    assert_eq!(says.memory, Some(Memory::Lasts(Span::from_secs(300 + 60))));
    assert_eq!(inputs(&says), [(r#"up{instance="a"}"#, false)]);
    let server = answering(untold);
    let says = shown(&prometheuses(&[&server.url]), A).await;
    let why = "its Prometheus does not tell the rule's expression";
    assert_eq!(says.memory, Some(Memory::Unknown { why: why.into() }));
    assert_eq!(says.inputs, Inputs::Unknown { why: why.into() });
}

#[tokio::test]
async fn a_relabelling_that_cannot_be_applied_is_said_so_and_never_guessed() {
    let rules = json!({ "status": "success",
        "data": { "groups": [{ "rules": [down(&[instance(A, "firing", &json!({}))])] }] } });
    let yaml =
        "global: {}\nalerting:\n  alert_relabel_configs:\n  - { regex: x, action: reverse }\n";
    let config = json!({ "status": "success", "data": { "yaml": yaml } });
    let server = Server::start(move |request| match request.head.split(' ').nth(1).unwrap() {
        path if path.starts_with("/api/v1/rules") => ok(&rules.to_string()),
        "/api/v1/status/config" => ok(&config.to_string()),
        _ => Canned::Answer(404, "", Vec::new()),
    });
    match knows(&prometheuses(&[&server.url]), A).await {
        Ok(Knows::NotShown { why: NotShown::Unmapped { why } }) => {
            assert!(why.contains("reverse"), "{why}");
        }
        other => panic!("it cannot be told which instance this is: {other:?}"),
    }
}

#[tokio::test]
async fn the_configuration_is_asked_for_anew_when_it_was_loaded_anew() {
    let sandbox = stack::Sandbox::new().unwrap();
    let global = |cluster: &str| format!("  external_labels: {{ cluster: {cluster} }}\n");
    let start = async |cluster: &str, address| {
        let builder = stack::Prometheus::builder().rules(RULES).global(&global(cluster));
        builder.listen(address).start(sandbox.path()).await.unwrap()
    };
    let address = stack::free_address().unwrap();
    let prober = prometheuses(&[&format!("http://{address}")]);
    let fires = async |cluster: &str| {
        let sent =
            [("alertname", "Fires"), ("cluster", cluster), ("instance", "a"), ("severity", "page")];
        matches!(knows(&prober, &sent).await, Ok(Knows::Shows(_)))
    };
    let first = start("eu", address).await;
    eventually("it fires in eu", async || fires("eu").await).await;
    assert!(!fires("us").await);
    drop(first);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let _second = start("us", address).await;
    eventually("it fires in us", async || fires("us").await).await;
    assert!(!fires("eu").await);
}
