//! Webhooks that are signed as Grafana signs them, by `openssl` and `curl`.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use homeostat::demo::stack::Sandbox;
use jiff::Timestamp;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::support::{Engine, Start, policy, ran, until};

const SECRET: &str = "it is a secret";

/// A notification of Grafana: of another version than Alertmanager's, and with what that has not.
fn body(instance: &str) -> String {
    let alert = json!({
        "status": "firing", "labels": { "alertname": "Down", "instance": instance },
        "annotations": {}, "startsAt": "2026-01-05T09:00:00Z", "endsAt": "0001-01-01T00:00:00Z",
        "values": null, "valueString": "", "generatorURL": "", "dashboardURL": "", "panelURL": "",
        "silenceURL": "",
    });
    json!({
        "receiver": "homeostat", "status": "firing", "orgId": 1, "alerts": [alert],
        "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "",
        "version": "1", "groupKey": "{}", "truncatedAlerts": 0, "title": "t", "state": "alerting",
        "message": "m",
    })
    .to_string()
}

fn sources(directory: &Path, hmac: &str) -> String {
    std::fs::write(directory.join("grafana.secret"), format!("{SECRET}\n")).unwrap();
    let file = directory.join("grafana.secret");
    format!(
        "sources:\n  webhooks: [{{ name: grafana, hmac: {{ secret_file: {}{hmac} }} }}]\n",
        file.display()
    )
}

/// What `openssl dgst -sha256 -hmac` says.
fn openssl(secret: &str, signed: &str) -> String {
    let mut command = Command::new("openssl");
    command.args(["dgst", "-sha256", "-hmac", secret]).stdin(Stdio::piped());
    let mut running = command.stdout(Stdio::piped()).spawn().unwrap();
    running.stdin.take().unwrap().write_all(signed.as_bytes()).unwrap();
    let said = String::from_utf8(running.wait_with_output().unwrap().stdout).unwrap();
    said.trim().rsplit(' ').next().unwrap().to_owned()
}

/// Sends a body by `curl`, and returns the status and what was answered.
fn curl(engine: &Engine, method: &str, headers: &[String], body: &str) -> (u16, String) {
    let mut command = Command::new("curl");
    command.args(["-sS", "-X", method, "-w", "\n%{http_code}", "--data-binary", body]);
    command.args(["-H", "Content-Type: application/json"]);
    for header in headers {
        command.args(["-H", header]);
    }
    let output = command.arg(engine.url("/hooks/grafana")).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let (answer, status) = said.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), answer.trim().to_owned())
}

/// The headers of a body that was signed in so many seconds from now.
fn signed(secret: &str, ahead: i64, body: &str) -> Vec<String> {
    let at = Timestamp::now().as_second() + ahead;
    let signature = openssl(secret, &format!("{at}:{body}"));
    vec![format!("X-Grafana-Alerting-Signature: {signature}"), format!("X-Signed-At: {at}")]
}

async fn refused(engine: &Engine, reason: &str) -> f64 {
    let counter = format!("homeostat_http_refusals_total{{reason=\"{reason}\"}}");
    engine.metric(&counter).await.unwrap_or(0.0)
}

#[tokio::test]
async fn a_signed_webhook_of_grafana_heals_and_a_forged_one_leaves_no_trace() {
    let sandbox = Sandbox::new().unwrap();
    let hmac = ", timestamp_header: X-Signed-At";
    let config = sources(sandbox.path(), hmac) + &policy(sandbox.path(), "", "");
    let engine = Engine::start(&sandbox, &config, &[]).await;
    let facts = "homeostat_journal_facts_total";
    let written = || async { engine.metric(facts).await.filter(|count| *count > 0.0) };
    let before = until("its start to be written down", written).await;
    let a = body("a:80");
    let untimed = vec![format!("X-Grafana-Alerting-Signature: {}", openssl(SECRET, &a))];
    for (headers, reason, message) in [
        (Vec::new(), "no_signature", "this needs a signature"),
        (untimed, "no_signature", "this needs a signature"),
        (signed("guessed", 2, &a), "wrong_signature", "this signature is wrong"),
        (signed(SECRET, 2, &body("b:80")), "wrong_signature", "this signature is wrong"),
        (signed(SECRET, -301, &a), "signed_out_of_time", "this was signed too long ago"),
        (signed(SECRET, 330, &a), "signed_out_of_time", "this was signed in the future"),
    ] {
        let counted = refused(&engine, reason).await;
        let (status, answer) = curl(&engine, "POST", &headers, &a);
        assert_eq!(status, 401, "{headers:?}: {answer}");
        assert!(answer.starts_with(message), "{answer}");
        assert!((refused(&engine, reason).await - counted - 1.0).abs() < 0.1, "{reason}");
    }
    assert!(engine.incidents().await.is_empty() && ran(sandbox.path()).is_empty());
    assert_eq!(engine.metric(facts).await, Some(before), "nothing was written down");

    let headers = signed(SECRET, 2, &a);
    assert_eq!(curl(&engine, "PUT", &headers, &a).0, 200);
    engine.incident_in("verifying").await;
    assert_eq!(ran(sandbox.path()), ["1.first.1"]);
    assert_eq!(curl(&engine, "PUT", &headers, &a), (401, "this was taken in before".to_owned()));
    assert!((refused(&engine, "replayed").await - 1.0).abs() < 0.1);

    let log = engine.whole_log();
    for once in ["no_signature", "wrong_signature", "signed_out_of_time", "replayed"] {
        let told = format!("reason={once}");
        assert_eq!(log.matches(&told).count(), 1, "{once}: {log}");
    }
    let signature = headers[0].rsplit(' ').next().unwrap();
    for secret in [SECRET, signature, &*openssl("guessed", "x")] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[tokio::test]
async fn a_signature_without_a_time_may_come_again_by_either_of_grafanas_headers() {
    let sandbox = Sandbox::new().unwrap();
    let config = sources(sandbox.path(), "") + &policy(sandbox.path(), "", "");
    let engine = Engine::start(&sandbox, &config, &[]).await;
    let a = body("a:80");
    let signature = openssl(SECRET, &a);
    for header in ["X-Grafana-Alerting-Signature", "X-Grafana-Alert-Signature"] {
        for _ in 0..2 {
            let headers = [format!("{header}: {signature}")];
            assert_eq!(curl(&engine, "POST", &headers, &a).0, 200, "{header}");
        }
    }
    engine.incident_in("verifying").await;
    assert_eq!(ran(sandbox.path()), ["1.first.1"], "it is one alert");
}

/// A signature says what was sent, and not who brings it.
#[tokio::test]
async fn a_signature_is_asked_for_beside_the_grant_to_send() {
    let sandbox = Sandbox::new().unwrap();
    let token = |name: &str| {
        let digest = Sha256::digest(format!("secret-of-{name}"));
        let digest: Vec<String> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let digest = digest.concat();
        format!("  - {{ name: {name}, sha256: \"{digest}\" }}\n")
    };
    let grants = |who: &str| {
        format!(
            "access:\n  tokens:\n{}{}  grants:
  - {{ who: [{who}], may: [send], sources: [grafana] }}
  - {{ who: [\"token:other\"], may: [send], sources: [api] }}
  - {{ who: [\"token:admin\"], may: [view, administer] }}
",
            token("grafana"),
            token("other")
        )
    };
    let config = sources(sandbox.path(), "");
    let file = sandbox.write("admin.token", "admin").unwrap();
    let flag = format!("--web.bearer-token-file={}", file.display());
    let engine =
        Engine::start(&sandbox, &(config.clone() + &grants("\"token:grafana\"")), &[&flag]).await;
    let a = body("a:80");
    let signature = format!("X-Grafana-Alerting-Signature: {}", openssl(SECRET, &a));
    let bearer = |name: &str| format!("Authorization: Bearer secret-of-{name}");
    let send = |headers: &[String]| curl(&engine, "POST", headers, &a).0;
    assert_eq!(send(&[signature.clone(), bearer("grafana")]), 200);
    assert_eq!(send(&[bearer("grafana")]), 401, "who may send must sign, too");
    assert_eq!(send(std::slice::from_ref(&signature)), 401, "who signs must be let in, too");
    assert_eq!(send(&[signature.clone(), bearer("other")]), 403, "another source is granted");

    let open = config + &grants("anonymous");
    std::fs::write(engine.directory.join("homeostat.yml"), open).unwrap();
    assert_eq!(engine.post("/-/reload", "").await, 200);
    assert_eq!(send(&[signature]), 200, "here a signature is enough");
    assert_eq!(send(&[]), 401);
}

#[tokio::test]
async fn a_secret_that_is_not_there_is_told_and_changes_nothing_that_runs() {
    let sandbox = Sandbox::new().unwrap();
    let config = sources(sandbox.path(), "");
    let missing = config.replace("grafana.secret", "none.secret");
    let mut broken = Engine::broken(&sandbox, &Start { config: &missing, ..Start::default() });
    assert_eq!(broken.wait(), Some(2));
    assert!(broken.whole_log().contains("cannot read the secret in"), "{}", broken.whole_log());

    let engine = Engine::start(&sandbox, &config, &[]).await;
    std::fs::write(engine.directory.join("homeostat.yml"), &missing).unwrap();
    assert_eq!(engine.post("/-/reload", "").await, 500);
    let a = body("a:80");
    let headers = |secret: &str| [format!("X-Grafana-Alerting-Signature: {}", openssl(secret, &a))];
    assert_eq!(curl(&engine, "POST", &headers(SECRET), &a).0, 200);
    // The secret is replaced while it runs.
    std::fs::write(sandbox.path().join("grafana.secret"), "another\n").unwrap();
    until("the other secret", || async {
        (curl(&engine, "POST", &headers("another"), &a).0 == 200).then_some(())
    })
    .await;
    assert_eq!(curl(&engine, "POST", &headers(SECRET), &a).0, 401);
}
