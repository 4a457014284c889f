//! How far a rollout is, by its own status, and waiting for its end, or for somebody who takes it back.
//!
//! Source: `kubectl rollout status` (`polymorphichelpers/rollout_status.go`).

use super::change::Changed;
use super::end::End;
use super::object::{Kind, Object, Target};
use super::revert::taken_back;
use super::{Cluster, Look, PACE, say};

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Progress {
    /// All pods are as they should be.
    Done,
    /// Not all of them, yet.
    Going(String),
    /// The controller has given it up.
    GivenUp(String),
}

/// Waits until what was changed is rolled out.
pub(super) async fn follow(
    cluster: &Cluster<'_>,
    target: &Target,
    changed: Changed,
) -> Result<(), End> {
    let stale = given_up(&changed.object);
    let mut object = changed.object.clone();
    let mut said = String::new();
    loop {
        let how = match progress(target.kind, &object) {
            Progress::Done => {
                say("the rollout is done");
                return Ok(());
            }
            Progress::GivenUp(why) if given_up(&object) != stale => return Err(End::Failed(why)),
            Progress::GivenUp(how) | Progress::Going(how) => how,
        };
        if said != how {
            say(&how);
            said = how;
        }
        if !cluster.pause(PACE).await {
            return Err(End::Unknown(format!("the rollout goes on: {said}")));
        }
        object = match cluster.look(target).await {
            Ok(Look::There(object)) if object.uid() == changed.object.uid() => object,
            Ok(Look::There(_)) => {
                return Err(End::Replaced(format!("the {target} of this name is another one")));
            }
            Ok(Look::Nothing) => return Err(End::Gone(format!("there is no {target} any more"))),
            Err(end) => {
                let reason = format!("the rollout was lost sight of: {}", end.why());
                return Err(End::Unknown(reason));
            }
        };
        if let Some(how) = taken_back(&changed, &object) {
            return Err(End::Failed(how));
        }
    }
}

/// When the controller gave a rollout up, if it did: one that was given up before a change says nothing
/// of what came after.
fn given_up(object: &Object) -> Option<String> {
    let condition = object.condition("Progressing")?;
    let is_so = condition["reason"] == "ProgressDeadlineExceeded";
    is_so.then(|| condition["lastUpdateTime"].to_string())
}

/// How far a workload is.
pub(super) fn progress(kind: Kind, object: &Object) -> Progress {
    let status = |name: &str| object.number(&format!("/status/{name}")).unwrap_or(0);
    if status("observedGeneration") < object.number("/metadata/generation").unwrap_or(0) {
        return Progress::Going("its controller has not seen the change yet".into());
    }
    let wanted = match kind {
        Kind::DAEMON_SET => status("desiredNumberScheduled"),
        _ => object.number("/spec/replicas").unwrap_or(1),
    };
    let (updated, available) = match kind {
        Kind::DAEMON_SET => (status("updatedNumberScheduled"), status("numberAvailable")),
        Kind::STATEFUL_SET => (status("updatedReplicas"), status("readyReplicas")),
        _ => (status("updatedReplicas"), status("availableReplicas")),
    };
    let Some(how) = missing(kind, object, wanted, (updated, available)) else {
        return Progress::Done;
    };
    match object.condition("Progressing") {
        Some(condition) if condition["reason"] == "ProgressDeadlineExceeded" => {
            let why = condition["message"].as_str().unwrap_or("it makes no progress");
            Progress::GivenUp(format!("ProgressDeadlineExceeded: {why} ({how})"))
        }
        Some(_) | None => Progress::Going(how),
    }
}

/// What a workload lacks whose controller has seen all of it.
fn missing(
    kind: Kind,
    object: &Object,
    wanted: i64,
    (updated, available): (i64, i64),
) -> Option<String> {
    let there = object.number("/status/replicas").unwrap_or(0);
    if updated < wanted_to_be_updated(kind, object, wanted) {
        return Some(format!("{updated} of {wanted} pods are new"));
    }
    if kind == Kind::DEPLOYMENT && there > updated {
        return Some(format!("{} old pods have not ended", there - updated));
    }
    if kind == Kind::STATEFUL_SET && there > wanted {
        return Some(format!("{} pods too many have not ended", there - wanted));
    }
    (available < wanted).then(|| format!("{available} of {wanted} pods are available"))
}

/// How many pods are to be of the newest revision: of a `StatefulSet`, those above its partition.
fn wanted_to_be_updated(kind: Kind, object: &Object, wanted: i64) -> i64 {
    if kind != Kind::STATEFUL_SET {
        return wanted;
    }
    let is_one = object.text("/status/updateRevision") == object.text("/status/currentRevision");
    let partition = object.number("/spec/updateStrategy/rollingUpdate/partition").unwrap_or(0);
    // Once all are of one revision, nothing is counted as updated any more.
    if is_one { 0 } else { (wanted - partition).max(0) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rollout_is_done_when_its_status_says_so() {
        let deployment = |generation: u32, status: serde_json::Value| {
            json!({ "metadata": { "generation": generation }, "spec": { "replicas": 3 },
                    "status": status })
        };
        let whole = json!({ "observedGeneration": 2, "replicas": 3, "updatedReplicas": 3,
                            "availableReplicas": 3 });
        let with = |key: &str, value: serde_json::Value| {
            let mut status = whole.clone();
            status[key] = value;
            status
        };
        let given_up = json!([{ "type": "Progressing", "status": "False", "message": "timed out",
                                "reason": "ProgressDeadlineExceeded" }]);
        for (object, says) in [
            (deployment(2, whole.clone()), "Done"),
            (deployment(3, whole.clone()), "not seen the change"),
            (deployment(2, json!({})), "not seen the change"),
            (deployment(2, with("updatedReplicas", 1.into())), "1 of 3 pods are new"),
            (deployment(2, with("replicas", 4.into())), "1 old pods"),
            (deployment(2, with("availableReplicas", 2.into())), "2 of 3 pods are available"),
            (deployment(2, with("conditions", given_up.clone())), "Done"),
            (
                {
                    let mut status = with("conditions", given_up);
                    status["availableReplicas"] = 2.into();
                    deployment(2, status)
                },
                "GivenUp",
            ),
        ] {
            let progress = format!("{:?}", progress(Kind::DEPLOYMENT, &Object(object)));
            assert!(progress.contains(says), "{progress} and {says}");
        }
    }

    #[test]
    fn a_stateful_set_counts_what_is_above_its_partition_and_a_daemon_set_its_nodes() {
        let set = |updated: u32, ready: u32, partition: u32, current: &str| {
            Object(json!({
                "spec": { "replicas": 3,
                          "updateStrategy": { "rollingUpdate": { "partition": partition } } },
                "status": { "replicas": 3, "updatedReplicas": updated, "readyReplicas": ready,
                            "updateRevision": "b", "currentRevision": current },
            }))
        };
        for (object, is_done) in [
            (set(3, 3, 0, "a"), true),
            (set(2, 3, 0, "a"), false),
            (set(2, 3, 1, "a"), true),
            (set(0, 3, 0, "b"), true),
            (set(0, 2, 0, "b"), false),
        ] {
            assert_eq!(progress(Kind::STATEFUL_SET, &object) == Progress::Done, is_done);
        }
        let daemons = |updated: u32, available: u32| {
            Object(json!({ "status": { "desiredNumberScheduled": 2,
                                       "updatedNumberScheduled": updated,
                                       "numberAvailable": available } }))
        };
        for (object, is_done) in
            [(daemons(2, 2), true), (daemons(1, 2), false), (daemons(2, 1), false)]
        {
            assert_eq!(progress(Kind::DAEMON_SET, &object) == Progress::Done, is_done);
        }
    }
}
