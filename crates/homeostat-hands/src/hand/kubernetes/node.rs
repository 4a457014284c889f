//! Closes a node for further pods, and opens it again.

use serde_json::{Value, json};

use super::Cluster;
use super::api::Form;
use super::change::{Change, Changed, Wanted};
use super::end::End;
use super::object::{Kind, ORDER, Object, Target};

/// The node of an errand.
pub(super) fn target(cluster: &Cluster<'_>) -> Result<Target, End> {
    Target::of(&cluster.doing.errand, &[Kind::NODE])
}

/// The node takes no further pods.
pub(super) async fn cordon(cluster: &Cluster<'_>) -> Result<(), End> {
    close(cluster, &target(cluster)?).await.map(|_| ())
}

/// The node takes pods again.
pub(super) async fn uncordon(cluster: &Cluster<'_>) -> Result<(), End> {
    let target = target(cluster)?;
    let change = Change::of(cluster, &target);
    let opened = change.make(|node, mark| Ok(schedulable(node, mark, true)));
    opened.await.map(|_| ())
}

/// Closes a node, and tells whether it was open.
pub(super) async fn close(cluster: &Cluster<'_>, target: &Target) -> Result<Changed, End> {
    let change = Change::of(cluster, target);
    change.make(|node, mark| Ok(schedulable(node, mark, false))).await
}

/// Opens a node that this order has closed, and that is still closed by it.
pub(super) async fn open_again(cluster: &Cluster<'_>, target: &Target) -> Result<Changed, End> {
    let change = Change::back(cluster, target);
    let opened = change.make(|node, mark| {
        let is_ours = node.annotation(ORDER) == Some(&cluster.order);
        Ok(if is_ours { schedulable(node, mark, true) } else { Wanted::So })
    });
    opened.await
}

fn schedulable(node: &Object, mark: &str, wanted: bool) -> Wanted {
    let is_open = node.at("/spec/unschedulable") != true;
    if is_open == wanted {
        return Wanted::So;
    }
    let unschedulable = if wanted { Value::Null } else { true.into() };
    let body = json!({
        "metadata": { "annotations": { ORDER: mark } },
        "spec": { "unschedulable": unschedulable },
    });
    Wanted::Patch(Form::Merge, body)
}
