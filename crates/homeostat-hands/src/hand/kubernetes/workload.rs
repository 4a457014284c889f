//! Rolls a workload out anew, and scales it.

use serde_json::json;

use super::api::Form;
use super::change::{Change, Wanted};
use super::end::End;
use super::object::{Kind, ORDER, Object, Target};
use super::{Cluster, rollout, say};

/// What is rolled out.
pub(super) const ROLLED_OUT: [Kind; 3] = [Kind::DEPLOYMENT, Kind::STATEFUL_SET, Kind::DAEMON_SET];

/// By what kubectl, too, makes a template another one, so that all pods are replaced.
const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

/// Replaces all pods, as fast as the workload lets it.
pub(super) async fn restart(cluster: &Cluster<'_>) -> Result<(), End> {
    let target = Target::of(&cluster.doing.errand, &ROLLED_OUT)?;
    let now = jiff::Timestamp::now().to_string();
    let changed = Change::of(cluster, &target).make(|object, mark| {
        rolls_out(&target, object)?;
        let annotations = json!({ ORDER: mark });
        let of_pods = json!({ ORDER: mark, RESTARTED_AT: now });
        let body = json!({
            "metadata": { "annotations": annotations },
            "spec": { "template": { "metadata": { "annotations": of_pods } } },
        });
        Ok(Wanted::Patch(Form::Merge, body))
    });
    rollout::follow(cluster, &target, changed.await?).await
}

/// Refuses where a change would bring no rollout.
pub(super) fn rolls_out(target: &Target, object: &Object) -> Result<(), End> {
    if object.at("/spec/paused") == true {
        return Err(End::Refused(format!("the rollouts of {target} are paused")));
    }
    if object.text("/spec/updateStrategy/type") == "OnDelete" {
        let message = format!("{target} replaces its pods when somebody deletes them (OnDelete)");
        return Err(End::Refused(message));
    }
    Ok(())
}

/// Gives a workload another number of pods.
pub(super) async fn scale(cluster: &Cluster<'_>) -> Result<(), End> {
    let target = Target::of(&cluster.doing.errand, &[Kind::DEPLOYMENT, Kind::STATEFUL_SET])?;
    let number = |name: &str| match cluster.doing.errand.text(name) {
        None => Ok(None),
        Some(text) => {
            let number = text.parse::<i64>().map(Some);
            number.map_err(|_| End::Refused(format!("{name}: {text:?} is no number")))
        }
    };
    let (by, to) = (number("by")?, number("to")?);
    let (min, max) = (number("min")?, number("max")?);
    let changed = Change::of(cluster, &target).make(|object, mark| {
        let now = object.number("/spec/replicas").unwrap_or(1);
        let wanted = wanted(now, by, to, (min, max))?;
        if wanted == now {
            say(&format!("{target} has {now} pods already"));
            return Ok(Wanted::So);
        }
        say(&format!("{target}: {now} pods, {wanted} are wanted"));
        let body = json!({
            "metadata": { "annotations": { ORDER: mark } },
            "spec": { "replicas": wanted },
        });
        Ok(Wanted::Patch(Form::Merge, body))
    });
    rollout::follow(cluster, &target, changed.await?).await
}

/// How many pods are wanted; a step that its bound leaves no room for is none.
fn wanted(
    now: i64,
    by: Option<i64>,
    to: Option<i64>,
    (min, max): (Option<i64>, Option<i64>),
) -> Result<i64, End> {
    let Some(by) = by else {
        return to.ok_or_else(|| End::Refused("this is no errand for a cluster".into()));
    };
    let (least, most) = (min.unwrap_or(0).max(0), max.unwrap_or(i64::MAX));
    let wanted = now.saturating_add(by).clamp(least, most.max(least));
    // One that is beyond its bound is not scaled the other way.
    if (wanted - now).signum() != by.signum() {
        let bound = if by > 0 { "max" } else { "min" };
        return Err(End::NotNow(format!("there are {now} pods, which `{bound}` ends at")));
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_ends_at_its_bound_and_never_goes_the_other_way() {
        let step = |now, by, min, max| wanted(now, Some(by), None, (min, max)).ok();
        for (now, by, min, max, expected) in [
            (3, 1, None, Some(5), Some(4)),
            (4, 3, None, Some(5), Some(5)),
            (5, 1, None, Some(5), None),
            (7, 1, None, Some(5), None),
            (3, -1, Some(2), None, Some(2)),
            (3, -2, Some(2), None, Some(2)),
            (2, -1, Some(2), None, None),
            (1, -1, Some(2), None, None),
            (0, 1, Some(2), Some(5), Some(2)),
            (1, -5, Some(0), None, Some(0)),
        ] {
            assert_eq!(step(now, by, min, max), expected, "{now} by {by} in {min:?}..{max:?}");
        }
        assert_eq!(wanted(3, None, Some(0), (None, None)), Ok(0));
    }
}
