//! Tells whose a pod is: who sees to it that there is one, up to the topmost of those. Changes nothing.
//!
//! ```text
//!  pod ─> ReplicaSet ─> Deployment, Rollout, …
//!     ├─> Job ─> CronJob
//!     └─> StatefulSet, DaemonSet, Node, …
//! ```
//!
//! Only what commonly is between a pod and what people have written is looked at; of anything else the
//! name in the pod is the answer.

use homeostat_core::errand::Form;
use homeostat_core::owner::{Owner, Whose};
use serde_json::Value;

use super::end::{End, of_form};
use super::object::{Kind, Object, Target};
use super::{Cluster, Look};

/// What is between: its API group, its kind there, and how it is found.
const BETWEEN: [(&str, &str, Kind); 2] =
    [("apps/", "ReplicaSet", Kind::REPLICA_SET), ("batch/", "Job", Kind::JOB)];

/// How many owners there may be one above the other; there are two.
const MOST: usize = 4;

/// Tells whose the pod of an errand is.
pub(super) async fn tell(cluster: &Cluster<'_>) -> Result<(), End> {
    let mut target = Target::of(&cluster.doing.errand, &[Kind::POD])?;
    let mut object = there(cluster, &target).await?;
    let mut owner = None;
    for _ in 0..MOST {
        let Some(above) = object.controller().cloned() else { break };
        let between = BETWEEN.iter().find(|(group, kind, _)| {
            above["kind"] == *kind
                && above["apiVersion"].as_str().is_some_and(|it| it.starts_with(group))
        });
        owner = Some(named(&above)?);
        let Some((_, _, kind)) = between else { break };
        let name = of_form(above["name"].as_str(), &Form::OBJECT)?.to_owned();
        target = Target { kind: *kind, name, ..target };
        object = there(cluster, &target).await?;
        if above["uid"] != object.uid() {
            return Err(End::Replaced(format!("the {target} of this name is another one")));
        }
    }
    let nobody = || Whose::Nobody { why: format!("{target} has no owner") };
    Err(End::Owned(owner.map_or_else(nobody, Whose::Of)))
}

async fn there(cluster: &Cluster<'_>, target: &Target) -> Result<Object, End> {
    match cluster.look(target).await? {
        Look::There(object) => Ok(object),
        Look::Nothing => Err(End::Gone(format!("there is no {target}"))),
    }
}

/// Whom a reference names.
fn named(reference: &Value) -> Result<Owner, End> {
    let text = |key: &str| match reference[key].as_str() {
        Some(text) if !text.is_empty() => Ok(text.into()),
        Some(_) | None => Err(End::NotNow(format!("the reference to its owner has no {key}"))),
    };
    Ok(Owner { kind: text("kind")?, name: text("name")?, uid: text("uid")? })
}
