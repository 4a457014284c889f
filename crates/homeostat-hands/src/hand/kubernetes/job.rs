//! Runs a job from the template of a `CronJob`, once.
//!
//! Its name is made of the order's, so that an order can make one job only. The cluster ends it at the time
//! limit, also where nobody is left to say so.

use reqwest::Method;
use serde_json::{Value, json};

use super::api::{Answer, Form};
use super::end::End;
use super::object::{Kind, ORDER, Object, Target};
use super::{Cluster, Look, PACE, say};

/// The longest name of a job, whose pods have longer ones.
const NAME: usize = 63;

/// Runs it, and waits for its end.
pub(super) async fn run(cluster: &Cluster<'_>) -> Result<(), End> {
    let mut target = Target::of(&cluster.doing.errand, &[Kind::CRON_JOB])?;
    if !has_cron_jobs(cluster).await? {
        target.kind = Kind::OLD_CRON_JOB;
    }
    let Look::There(template) = cluster.look(&target).await? else {
        return Err(End::Gone(format!("there is no {target}")));
    };
    say(&format!("{target}: uid {}, resourceVersion {}", template.uid(), template.version()));
    let job = Target {
        kind: Kind::JOB,
        namespace: target.namespace.clone(),
        name: name_of(&target.name, &cluster.order),
    };
    let body = body(cluster, &template, &job, target.kind);
    let made = make(cluster, &job, &body).await?;
    let own = template.at("/spec/jobTemplate/spec/activeDeadlineSeconds");
    let ends_at_ours = *own != body["spec"]["activeDeadlineSeconds"];
    follow(cluster, &job, made, ends_at_ours).await
}

/// Whether the server has `CronJobs` in `batch/v1`, as all have since 1.21.
async fn has_cron_jobs(cluster: &Cluster<'_>) -> Result<bool, End> {
    let resources = cluster.read("/apis/batch/v1", &[]).await?.map_err(super::No::end)?;
    let mut all = resources["resources"].as_array().into_iter().flatten();
    Ok(all.any(|resource| resource["name"] == "cronjobs"))
}

fn body(cluster: &Cluster<'_>, template: &Object, job: &Target, kind: Kind) -> Value {
    let mut spec = template.at("/spec/jobTemplate/spec").clone();
    let limit = i64::try_from(cluster.left().as_secs()).unwrap_or(i64::MAX).max(1);
    let own = spec["activeDeadlineSeconds"].as_i64().unwrap_or(i64::MAX);
    spec["activeDeadlineSeconds"] = limit.min(own).into();
    let of = "/spec/jobTemplate/metadata";
    let mut annotations = template.at(&format!("{of}/annotations")).clone();
    annotations[ORDER] = cluster.order.as_str().into();
    annotations["cronjob.kubernetes.io/instantiate"] = "manual".into();
    let version = if kind == Kind::CRON_JOB { "batch/v1" } else { "batch/v1beta1" };
    let owner = json!({
        "apiVersion": version, "kind": "CronJob",
        "name": template.text("/metadata/name"), "uid": template.uid(),
    });
    json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {
            "name": job.name, "namespace": job.namespace,
            "labels": template.at(&format!("{of}/labels")),
            "annotations": annotations, "ownerReferences": [owner],
        },
        "spec": spec,
    })
}

/// Makes the job; where no answer came, looks for it.
async fn make(cluster: &Cluster<'_>, job: &Target, body: &Value) -> Result<Object, End> {
    let list = Kind::JOB.list(job.namespace.as_deref());
    let mut doubt = None;
    loop {
        if *cluster.doing.ending.borrow() {
            return Err(in_doubt(doubt, End::NotNow("it was to end before it was done".into())));
        }
        match cluster.write(Method::POST, &list, Form::Json, body.clone()).await? {
            Answer::Yes(made) => {
                cluster.begin();
                say(&format!("{job} was made"));
                return Ok(Object(made));
            }
            Answer::No(no) if no.code == 409 => match cluster.look(job).await {
                Ok(Look::There(made)) if made.annotation(ORDER) == Some(&cluster.order) => {
                    cluster.begin();
                    say(&format!("{job} was made, though no answer came"));
                    return Ok(made);
                }
                Ok(Look::There(_)) => {
                    return Err(End::Refused(format!("there is a {job} of somebody else")));
                }
                // It came and went, or was never there.
                Ok(Look::Nothing) => {}
                Err(end) => return Err(in_doubt(doubt, end)),
            },
            Answer::No(no) if no.code == 429 => {}
            Answer::No(no) => return Err(in_doubt(doubt, no.end())),
            Answer::Unsent(why) => say(&format!("not sent: {why}")),
            Answer::Lost(why) => {
                say(&format!("no answer: {why}"));
                doubt = Some(why);
            }
        }
        if !cluster.pause(PACE).await {
            return Err(in_doubt(doubt, End::NotNow("there was no time to do it".into())));
        }
    }
}

/// Once a request was sent of which no word came, nothing is certain but its failure.
fn in_doubt(doubt: Option<String>, end: End) -> End {
    match doubt {
        None => end,
        Some(why) => End::Unknown(format!("the job may have been made: {why}")),
    }
}

async fn follow(
    cluster: &Cluster<'_>,
    target: &Target,
    mut job: Object,
    ends_at_ours: bool,
) -> Result<(), End> {
    let uid = job.uid().to_owned();
    loop {
        if let Some(over) = over(&job, ends_at_ours) {
            return over;
        }
        if !cluster.pause(PACE).await {
            return Err(stop(cluster, target, &job).await);
        }
        job = match cluster.look(target).await {
            Ok(Look::There(now)) if now.uid() == uid => now,
            Ok(Look::There(_) | Look::Nothing) => {
                return Err(End::Unknown(format!("somebody deleted {target}")));
            }
            Err(_) => return Err(End::Unknown(format!("{target} was lost sight of"))),
        };
    }
}

/// How a job ended, once it has. Its deadline is the order's time limit, or was its template's own.
fn over(job: &Object, ends_at_ours: bool) -> Option<Result<(), End>> {
    let is_so = |kind: &str| job.condition(kind).is_some_and(|it| it["status"] == "True");
    if is_so("Complete") {
        return Some(Ok(()));
    }
    let failed = job.condition("Failed").filter(|it| it["status"] == "True")?;
    let said = |key: &str| failed[key].as_str().unwrap_or_default().to_owned();
    let why = format!("the job failed: {}: {}", said("reason"), said("message"));
    let is_limit = ends_at_ours && said("reason") == "DeadlineExceeded";
    Some(Err(if is_limit { End::Cancelled } else { End::Failed(why) }))
}

/// Ends a job that has no more time: its deadline is now.
async fn stop(cluster: &Cluster<'_>, target: &Target, job: &Object) -> End {
    let body = json!({
        "metadata": { "uid": job.uid() }, "spec": { "activeDeadlineSeconds": 1 },
    });
    let answer = cluster.write(Method::PATCH, &target.path(), Form::Merge, body).await;
    if !matches!(answer, Ok(Answer::Yes(_))) {
        return End::Unknown(format!("{target} could not be ended: it ends at its deadline"));
    }
    let until = tokio::time::Instant::now() + cluster.doing.grace / 2;
    while tokio::time::Instant::now() < until {
        tokio::time::sleep(PACE / 2).await;
        if let Ok(Look::There(now)) = cluster.look(target).await
            && let Some(over) = over(&now, true)
        {
            return over.err().unwrap_or(End::Done);
        }
    }
    End::Unknown(format!("{target} was told to end, and nobody says that it has"))
}

/// The name of an order's job: that of its `CronJob`, and a digest of the order's.
fn name_of(cron_job: &str, order: &str) -> String {
    // FNV-1a, 64 bits: https://datatracker.ietf.org/doc/html/draft-eastlake-fnv
    let digest = order.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let digest = format!("{digest:016x}");
    let most = NAME - digest.len() - 1;
    let begins: String = cron_job.chars().take(most).collect();
    format!("{}-{digest}", begins.trim_end_matches(['-', '.']))
}

#[cfg(test)]
mod tests {
    use homeostat_core::errand::Form as Names;

    use super::*;

    #[test]
    fn an_order_has_one_job_whose_name_is_one() {
        let name = name_of("cleanup", "1.restart.1-a");
        assert_eq!(name, name_of("cleanup", "1.restart.1-a"));
        assert_ne!(name, name_of("cleanup", "1.restart.1-b"));
        for cron_job in ["a", "a.b-c", &"x".repeat(52), &"-".repeat(60), &"a.".repeat(30)] {
            let name = name_of(cron_job, "1.restart.1-a");
            let is_one = Names::OBJECT.admits(&name) || !Names::OBJECT.admits(cron_job);
            assert!(name.len() <= NAME && is_one, "{name}");
        }
    }
}
