//! Takes a workload back to the revision before.
//!
//! A Deployment's revisions are its `ReplicaSets`, those of the others are `ControllerRevisions`, which hold the
//! change that makes a workload what it was.
//!
//! Source: `kubectl rollout undo` (`polymorphichelpers/rollback.go`).

use serde_json::{Value, json};

use super::api::Form;
use super::change::{Change, Wanted};
use super::end::End;
use super::object::{Kind, ORDER, Object, Target};
use super::workload::{ROLLED_OUT, rolls_out};
use super::{Cluster, Look, rollout, say};

/// Which revision a `ReplicaSet` or a Deployment is at.
const REVISION: &str = "deployment.kubernetes.io/revision";

/// What tells the `ReplicaSets` of one Deployment apart, and stands in no Deployment.
const HASH: &str = "pod-template-hash";

/// Goes back to the revision before the one that is there.
pub(super) async fn undo(cluster: &Cluster<'_>) -> Result<(), End> {
    let target = Target::of(&cluster.doing.errand, &ROLLED_OUT)?;
    let Look::There(object) = cluster.look(&target).await? else {
        return Err(End::Gone(format!("there is no {target}")));
    };
    rolls_out(&target, &object)?;
    let back = match target.kind {
        Kind::DEPLOYMENT => of_replica_sets(cluster, &target, &object).await?,
        _ => of_revisions(cluster, &target, &object).await?,
    };
    say(&format!("{target}: back to revision {}", back.revision));
    let generation = object.number("/metadata/generation");
    let changed = Change::of(cluster, &target).make(|now, mark| {
        if now.uid() != object.uid() {
            return Err(End::Replaced(format!("the {target} of this name is another one")));
        }
        // What is before depends on what is there.
        if now.number("/metadata/generation") != generation {
            return Err(End::NotNow(format!("somebody else has just changed {target}")));
        }
        Ok(back.change(now, mark))
    });
    rollout::follow(cluster, &target, changed.await?).await
}

/// What to go back to.
struct Back {
    revision: i64,
    /// A template of pods, or a change that brings it.
    content: Value,
}

impl Back {
    fn change(&self, object: &Object, mark: &str) -> Wanted {
        let mut body = self.content.clone();
        if body["spec"].get("template").is_some() {
            body["metadata"] = json!({ "annotations": { ORDER: mark } });
            return Wanted::Patch(Form::Strategic, body);
        }
        let (path, value) = if object.at("/metadata/annotations").is_object() {
            ("/metadata/annotations/homeostat~1order", json!(mark))
        } else {
            ("/metadata/annotations", json!({ ORDER: mark }))
        };
        let annotation = json!({ "op": "add", "path": path, "value": value });
        let template = json!({ "op": "replace", "path": "/spec/template", "value": body });
        Wanted::Patch(Form::Operations, json!([template, annotation]))
    }
}

/// The revision before the newest one.
fn before(target: &Target, mut revisions: Vec<(i64, Object)>) -> Result<(i64, Object), End> {
    revisions.sort_by_key(|(revision, _)| -revision);
    let before = revisions.into_iter().nth(1);
    before.ok_or_else(|| End::Refused(format!("{target} has no revision before the one it is at")))
}

async fn of_replica_sets(
    cluster: &Cluster<'_>,
    target: &Target,
    object: &Object,
) -> Result<Back, End> {
    let path = Kind::REPLICA_SET.list(target.namespace.as_deref());
    let sets = cluster.list(&path, &[("labelSelector", &selector(object))]).await?;
    let sets = sets.into_iter().filter(|set| set.is_of(object.uid()));
    let numbered = sets.filter_map(|set| Some((set.annotation(REVISION)?.parse().ok()?, set)));
    let (revision, set) = before(target, numbered.collect())?;
    let mut template = set.at("/spec/template").clone();
    if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
        labels.remove(HASH);
    }
    Ok(Back { revision, content: template })
}

async fn of_revisions(
    cluster: &Cluster<'_>,
    target: &Target,
    object: &Object,
) -> Result<Back, End> {
    let path = Kind::REVISION.list(target.namespace.as_deref());
    let all = cluster.list(&path, &[("labelSelector", &selector(object))]).await?;
    let all = all.into_iter().filter(|revision| revision.is_of(object.uid()));
    let numbered = all.filter_map(|revision| Some((revision.number("/revision")?, revision)));
    let (revision, before) = before(target, numbered.collect())?;
    Ok(Back { revision, content: before.at("/data").clone() })
}

/// The labels by which a workload knows what is its own.
fn selector(object: &Object) -> String {
    let labels = object.at("/spec/selector/matchLabels").as_object();
    let pairs = labels.into_iter().flatten();
    let pairs = pairs.filter_map(|(name, value)| Some(format!("{name}={}", value.as_str()?)));
    pairs.collect::<Vec<_>>().join(",")
}
