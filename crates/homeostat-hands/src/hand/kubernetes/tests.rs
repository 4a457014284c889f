//! What an errand comes to, by the answers that a real server of Kubernetes 1.20.2 gave
//! (`recorded.json`), played in their order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use homeostat_core::errand::{Errand, Field};
use homeostat_core::owner::Whose;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::*;
use crate::act::{Doubt, Refusal};

/// An answer by its name; `403 words` is one of somebody who stands before the server.
fn answer(recorded: &Value, name: &str) -> Option<(String, String)> {
    if let Some((status, text)) = name.split_once(' ') {
        return Some((status.to_owned(), text.to_owned()));
    }
    let answer = recorded.get(name)?;
    Some((answer["status"].to_string(), answer["body"].to_string()))
}

/// A server that answers as it is told, each request by the next answer; and what it was asked.
async fn server(
    answers: &[&str],
    directory: &std::path::Path,
) -> Arc<parking_lot::Mutex<Vec<String>>> {
    let recorded: Value = serde_json::from_str(include_str!("recorded.json")).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = format!(
        "current-context: a\nclusters: [{{name: a, cluster: {{server: 'http://{}'}}}}]\n\
         users: [{{name: a, user: {{token: t}}}}]\n\
         contexts: [{{name: a, context: {{cluster: a, user: a}}}}]\n",
        listener.local_addr().unwrap()
    );
    std::fs::write(directory.join("config"), config).unwrap();
    let asked = Arc::<parking_lot::Mutex<Vec<String>>>::default();
    let noted = asked.clone();
    let answers: Vec<_> = answers.iter().map(|name| answer(&recorded, name)).collect();
    tokio::spawn(async move {
        let mut answers = answers.into_iter();
        while let Ok((connection, _)) = listener.accept().await {
            let mut connection = BufReader::new(connection);
            let (mut line, mut length) = (String::new(), 0);
            connection.read_line(&mut line).await.unwrap();
            loop {
                let mut header = String::new();
                connection.read_line(&mut header).await.unwrap();
                let Some((name, value)) = header.trim().split_once(':') else { break };
                if name == "content-length" {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            connection.read_exact(&mut body).await.unwrap();
            let first = line.rsplit_once(' ').unwrap().0;
            noted.lock().push(format!("{first} {}", String::from_utf8(body).unwrap()));
            // What is not told is a connection that is cut.
            let Some((status, body)) = answers.next().flatten() else { continue };
            let text = format!(
                "HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            connection.write_all(text.as_bytes()).await.unwrap();
        }
    });
    asked
}

/// What came of an errand, and what was asked for it.
type Played = (String, Vec<String>);

/// Does an errand by these answers.
async fn played(verb: &str, fields: &[(&str, &str)], answers: &[&str], limit: u64) -> Played {
    play(verb, fields, answers, (limit, false)).await
}

/// Rehearses an errand by these answers.
async fn rehearsed(verb: &str, fields: &[(&str, &str)], answers: &[&str]) -> Played {
    play(verb, fields, answers, (10, true)).await
}

async fn play(
    verb: &str,
    fields: &[(&str, &str)],
    answers: &[&str],
    (limit, rehearse): (u64, bool),
) -> Played {
    let directory = tempfile::tempdir().unwrap();
    let asked = server(answers, directory.path()).await;
    let config = directory.path().join("config").display().to_string();
    let all = [&[("namespace", "shop"), ("kubeconfig", config.as_str())], fields].concat();
    let fields = all.iter().map(|(name, text)| ((*name).into(), Field::Text((*text).into())));
    let (_end, ending) = watch::channel(false);
    let doing = Doing {
        errand: Errand { hand: NAME.into(), verb: verb.into(), fields: fields.collect() },
        rehearse,
        since: Instant::now(),
        timeout: Duration::from_secs(limit),
        grace: Duration::from_secs(1),
        work: "/orders/1.a.1-life".into(),
        ending,
    };
    let outcome = match perform(doing).await {
        Outcome::Done => "done".to_owned(),
        Outcome::Rehearsed { managed_by: None } => "rehearsed".to_owned(),
        Outcome::Owned { whose: Whose::Of(owner) } => format!("of {owner}, {}", owner.uid),
        Outcome::Owned { whose: Whose::Nobody { why } } => format!("of nobody: {why}"),
        Outcome::Rehearsed { managed_by: Some(who) } => format!("rehearsed: {who}"),
        Outcome::Failed { reason } => format!("failed: {reason}"),
        Outcome::Refused { reason: Refusal::Hand { reason, lasting } } => {
            format!("{}: {reason}", if lasting { "refused" } else { "not started" })
        }
        Outcome::Unknown { reason: Doubt::Hand { reason } } => format!("unknown: {reason}"),
        other => format!("{other:?}"),
    };
    let asked = asked.lock().clone();
    (outcome, asked)
}

const POD: &[(&str, &str)] = &[("pod", "web-5455f8b588-ztr6k")];
const DEPLOYMENT: &[(&str, &str)] = &[("deployment", "web")];

/// A verb, its fields, the answers, and how the outcome begins.
type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [&'a str], &'a str);

#[tokio::test]
async fn each_answer_has_its_outcome() {
    let scale = [DEPLOYMENT, &[("to", "3")]].concat();
    let node: &[(&str, &str)] = &[("node", "n1")];
    let rows: &[Row<'_>] = &[
        ("evict", POD, &["pod", "resources", "eviction_done", "pod_missing"], "done"),
        ("evict", POD, &["pod", "resources", "eviction_done", "pod_ending"], "unknown: "),
        ("evict", POD, &["pod_missing"], "not started: gone: there is no pod shop/web-"),
        (
            "evict",
            POD,
            &["pod", "resources", "eviction_held"],
            "not started: held_by_budget: pod shop/web-5455f8b588-ztr6k stands in the way: The \
             disruption budget web needs 1 healthy pods and has 1 currently",
        ),
        ("evict", POD, &["pod", "resources", "eviction_stale", "pod_missing"], "not started: gone"),
        ("evict", POD, &["pod", "resources", "lost", "pod_missing"], "done"),
        ("evict", POD, &["pod", "resources", "lost"], "unknown: it was asked for, and then"),
        ("evict", POD, &["lost"], "not started: no answer from the cluster"),
        ("rollout_restart", DEPLOYMENT, &["forbidden"], "refused: forbidden: deployments.apps"),
        (
            "rollout_restart",
            DEPLOYMENT,
            &["nobody"],
            "refused: forbidden: the server does not know",
        ),
        ("rollout_restart", DEPLOYMENT, &["deployment", "forbidden"], "refused: forbidden: "),
        ("rollout_restart", DEPLOYMENT, &["deployment", "lost"], "unknown: no answer came to"),
        ("scale", &scale, &["deployment", "patch_invalid"], "refused: the server refused: Depl"),
        (
            "scale",
            &scale,
            &["deployment", "patch_conflict", "deployment", "patch_conflict"],
            "not started: no answer from the cluster",
        ),
        (
            "cordon",
            node,
            &["403 no entry\nhere"],
            "refused: forbidden: 403 Forbidden: no entry here",
        ),
        ("cordon", node, &["403 <html>no</html>"], "refused: forbidden: 403 Forbidden"),
        ("logs", POD, &["pod", "200 an error\n"], "done"),
        ("logs", POD, &["pod_missing"], "not started: gone: there is no pod"),
        ("logs", POD, &["pod", "pod_missing"], "not started: gone: pods \"nobody\" not found"),
        ("logs", POD, &["pod", "log_no_container"], "not started: container zz is not valid for"),
        ("logs", POD, &["pod", "401 who are you"], "refused: forbidden: the server does not know"),
        ("logs", POD, &["pod", "502 no way"], "not started: no answer from the cluster: "),
    ];
    for (verb, fields, answers, expected) in rows {
        let (outcome, asked) = played(verb, fields, answers, 1).await;
        assert!(outcome.starts_with(expected), "{verb} {answers:?}: {outcome}\n{asked:#?}");
    }
}

#[tokio::test]
async fn a_write_demands_the_object_that_was_seen() {
    let (_, asked) = played("evict", POD, &["pod", "resources", "eviction_done"], 1).await;
    let eviction = &asked[2];
    assert!(
        eviction.starts_with("POST /api/v1/namespaces/shop/pods/web-5455f8b588-ztr6k/eviction?")
    );
    let body: Value = serde_json::from_str(eviction.splitn(3, ' ').nth(2).unwrap()).unwrap();
    assert_eq!(body["apiVersion"], "policy/v1beta1", "as this server has it");
    let demanded = &body["deleteOptions"]["preconditions"];
    assert_eq!(demanded["uid"], "159e71f7-b2ad-40e0-8a66-ae17b345934e");
    assert_eq!(demanded["resourceVersion"], "10400");
    let (_, asked) = played("rollout_restart", DEPLOYMENT, &["deployment", "forbidden"], 1).await;
    let patch = &asked[1];
    assert!(patch.starts_with("PATCH ") && patch.contains("fieldManager=homeostat"), "{patch}");
    let body: Value = serde_json::from_str(patch.splitn(3, ' ').nth(2).unwrap()).unwrap();
    let metadata = &body["metadata"];
    assert_eq!(metadata["uid"], "cdc3a2d5-fa45-46ab-8dc3-b01e6201e477");
    assert_eq!(metadata["resourceVersion"], "10402");
    assert_eq!(metadata["annotations"]["homeostat/order"], "1.a.1-life");
}

/// An object as a server has it, of an owner.
fn owned(uid: &str, owner: Option<(&str, &str, &str)>) -> String {
    let owners = owner.map(|(group, kind, name)| {
        let uid = format!("uid of {name}");
        serde_json::json!({ "apiVersion": group, "kind": kind, "name": name, "uid": uid, "controller": true })
    });
    let owners: Vec<Value> = owners.into_iter().collect();
    format!("200 {}", serde_json::json!({ "metadata": { "uid": uid, "ownerReferences": owners } }))
}

#[tokio::test]
async fn a_pod_belongs_to_the_topmost_controller() {
    // As the recorded pod says it.
    let of_pod = "09d403cb-4968-43c9-8b36-b580f867203f";
    let replica_set = owned(of_pod, Some(("apps/v1", "Deployment", "web")));
    let rollout = owned(of_pod, Some(("argoproj.io/v1alpha1", "Rollout", "web")));
    let (alone, another) = (owned(of_pod, None), owned("other", None));
    let stateful = owned("p", Some(("apps/v1", "StatefulSet", "db")));
    let (of_job, job) = (
        owned("p", Some(("batch/v1", "Job", "clean-1"))),
        owned("uid of clean-1", Some(("batch/v1", "CronJob", "clean"))),
    );
    let of_another_group = owned("p", Some(("example.org/v1", "Job", "x")));
    let hostile = owned("p", Some(("apps/v1", "ReplicaSet", "../../nodes/n1")));
    let bare = owned("p", None);
    let rows: &[(&[&str], &str)] = &[
        (&["pod", &replica_set], "of Deployment web, uid of web"),
        (&["pod", &rollout], "of Rollout web, uid of web"),
        (&["pod", &alone], &format!("of ReplicaSet web-5455f8b588, {of_pod}")),
        (&[&stateful], "of StatefulSet db, uid of db"),
        (&[&of_job, &job], "of CronJob clean, uid of clean"),
        (&[&of_another_group], "of Job x, uid of x"),
        (&[&bare], "of nobody: pod shop/web-5455f8b588-ztr6k has no owner"),
        (&["pod_missing"], "not started: gone: there is no pod shop/web-5455f8b588-ztr6k"),
        (&["pod", "pod_missing"], "not started: gone: there is no replicaset shop/web-5455f8b588"),
        (&["pod", &another], "not started: replaced: the replicaset shop/web-5455f8b588 of this"),
        (&["forbidden"], "refused: forbidden: deployments.apps"),
        (&["pod", "forbidden"], "refused: forbidden: deployments.apps"),
        (&["nobody"], "refused: forbidden: the server does not know"),
        (&[&hostile], "refused: \"../../nodes/n1\" is not the name of an object"),
    ];
    for (answers, expected) in rows {
        let (outcome, asked) = played("owner", POD, answers, 10).await;
        assert!(outcome.starts_with(expected), "{answers:?}: {outcome}\n{asked:#?}");
        assert_eq!(asked.len(), answers.len(), "{answers:?}: {asked:#?}");
        assert!(asked.iter().all(|asked| asked.starts_with("GET /ap")), "{asked:#?}");
    }
}

#[tokio::test]
async fn a_rehearsal_ends_with_its_first_write_as_the_deed_would() {
    let scale = [DEPLOYMENT, &[("to", "3")]].concat();
    let node: &[(&str, &str)] = &[("node", "n1")];
    let job: &[(&str, &str)] = &[("cronjob", "clean")];
    let argo = "rehearsed: Argo CD (application shop)";
    let denied =
        "admission webhook \"friday.example.org\" denied the request: no changes on a Friday";
    let rows: &[Row<'_>] = &[
        ("rollout_restart", DEPLOYMENT, &["deployment", "patch_dry"], "rehearsed"),
        ("rollout_restart", DEPLOYMENT, &["deployment_of_argo", "patch_dry"], argo),
        ("scale", &scale, &["deployment_of_argo", "patch_dry"], argo),
        ("scale", &[DEPLOYMENT, &[("to", "1")]].concat(), &["deployment_of_argo"], "rehearsed"),
        (
            "scale",
            &[DEPLOYMENT, &[("by", "1"), ("max", "1")]].concat(),
            &["deployment"],
            "not started: there are 1 pods, which `max` ends at",
        ),
        ("evict", POD, &["pod", "resources", "eviction_done"], "rehearsed"),
        ("evict", POD, &["pod", "resources", "eviction_held"], "not started: held_by_budget: pod"),
        ("evict", POD, &["pod", "resources", "eviction_stale", "pod_missing"], "not started: gone"),
        ("evict", POD, &["pod_ending"], "rehearsed"),
        ("delete_pod", POD, &["pod", "delete_dry"], "rehearsed"),
        ("delete_pod", POD, &["pod_missing"], "not started: gone: there is no pod"),
        ("cordon", node, &["node", "node_dry"], "rehearsed"),
        ("uncordon", node, &["node"], "rehearsed"),
        ("drain", node, &["no_pods", "node", "node_dry"], "rehearsed"),
        ("drain", node, &["pods"], "refused: pod shop/web-0 stands in the way: no controller"),
        ("run_job", job, &["batch", "cronjob", "job_dry"], "rehearsed"),
        (
            "run_job",
            job,
            &["batch", "cronjob", "job_quota"],
            "refused: forbidden: jobs.batch \"clean-1\" is forbidden: exceeded quota",
        ),
        (
            "scale",
            &scale,
            &["deployment", "patch_forbidden"],
            "refused: forbidden: deployments.apps",
        ),
        ("scale", &scale, &["deployment", "patch_invalid"], "refused: the server refused: Depl"),
        (
            "scale",
            &scale,
            &["deployment", "patch_denied"],
            &format!("refused: forbidden: {denied}"),
        ),
        (
            "scale",
            &scale,
            &["deployment", "patch_denied_no_code"],
            &format!("refused: the server refused: {denied}"),
        ),
        (
            "scale",
            &scale,
            &["deployment", "patch_no_dry_run"],
            "refused: the server refused: admission webhook \"old.example.org\" does not support",
        ),
        (
            "scale",
            &scale,
            &["deployment", "patch_webhook_down"],
            "not started: the server refused: Internal error occurred: failed calling webhook",
        ),
        (
            "scale",
            &scale,
            &["deployment", "patch_conflict", "deployment", "patch_dry"],
            "rehearsed",
        ),
        // Nothing can have been done, whatever was lost.
        ("scale", &scale, &["deployment", "lost"], "not started: no answer from the cluster"),
        ("evict", POD, &["pod", "resources", "lost"], "not started: no answer from the cluster"),
        ("run_job", job, &["batch", "cronjob", "lost"], "not started: no answer from the cluster"),
    ];
    for (verb, fields, answers, expected) in rows {
        let (outcome, asked) = rehearsed(verb, fields, answers).await;
        assert!(outcome.starts_with(expected), "{verb} {answers:?}: {outcome}\n{asked:#?}");
        assert_eq!(outcome == "rehearsed", *expected == "rehearsed", "{outcome}");
        assert_eq!(asked.len(), answers.len(), "{verb} {answers:?}: {asked:#?}");
        let mut writes = asked.iter().filter(|asked| !asked.starts_with("GET "));
        assert!(writes.all(|write| is_dry(write)), "{asked:#?}");
    }
}

/// Whether a server would keep nothing of a request. Of a deletion it reads the body alone.
fn is_dry(asked: &str) -> bool {
    let mut words = asked.splitn(3, ' ');
    let (method, path, body) = (words.next(), words.next().unwrap(), words.next().unwrap());
    if method == Some("DELETE") {
        return serde_json::from_str::<Value>(body).unwrap()["dryRun"]
            == serde_json::json!(["All"]);
    }
    path.ends_with("?fieldManager=homeostat&dryRun=All")
}

#[tokio::test]
async fn a_rehearsal_asks_for_what_the_deed_asks_for() {
    let scale = [DEPLOYMENT, &[("to", "3")]].concat();
    for (verb, fields, answers) in [
        ("scale", &scale[..], &["deployment", "forbidden"][..]),
        ("evict", POD, &["pod", "resources", "forbidden"]),
        ("delete_pod", POD, &["pod", "forbidden"]),
        ("cordon", &[("node", "n1")], &["node", "forbidden"]),
    ] {
        let (_, deed) = played(verb, fields, answers, 1).await;
        let (_, rehearsal) = rehearsed(verb, fields, answers).await;
        let (deed, rehearsal) = (deed.last().unwrap(), rehearsal.last().unwrap());
        assert!(!is_dry(deed) && is_dry(rehearsal), "{deed}\n{rehearsal}");
        let bare = rehearsal.replace("&dryRun=All", "").replace(r#""dryRun":["All"],"#, "");
        assert_eq!(*deed, bare, "{verb}");
    }
}

#[tokio::test]
async fn whoever_takes_a_change_back_is_named() {
    let scale = [DEPLOYMENT, &[("to", "2")]].concat();
    let answers = &["deployment_of_argo", "scaled", "scaled_back"];
    let (outcome, asked) = played("scale", &scale, answers, 2).await;
    let expected = "failed: argocd-controller took the change back: the number of pods is what it \
                    was before";
    assert_eq!(outcome, expected, "{asked:#?}");
}

#[tokio::test]
async fn a_name_that_is_none_is_never_asked_for() {
    for hostile in ["../../nodes/n1", "a/b", "a?b", "", "A"] {
        let (outcome, asked) = played("delete_pod", &[("pod", hostile)], &[], 1).await;
        assert!(outcome.starts_with("refused: ") && asked.is_empty(), "{hostile}: {outcome}");
    }
}
