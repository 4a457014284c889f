//! Ends a pod: by eviction, which disruption budgets may forbid, or by deleting it.
//!
//! Each request demands the pod's `uid` and `resourceVersion`: what has its name by now is left alone. So it
//! may be asked again when no answer came: what has ended cannot be ended twice.

use std::time::Duration;

use homeostat_core::errand::Form as Names;
use reqwest::Method;
use serde_json::json;

use super::api::{Answer, Form};
use super::end::{End, of_form};
use super::object::{Kind, Object, Target};
use super::{Cluster, Look, PACE, say};

/// Between two questions whether a budget lets a pod go.
pub(super) const BUDGET: Duration = Duration::from_secs(2);

/// How often a server may fail, before it is said that it does.
const FAILURES: u32 = 3;

/// How a pod is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Where its disruption budget lets it go.
    Evict,
    /// In any case.
    Delete,
}

/// What the server says.
pub(super) enum Asked {
    /// It ends.
    Accepted,
    /// It is gone, or another one by now, or has just changed: the next look tells.
    Stale,
    /// A budget lets it not go yet.
    Held(String),
    /// The server has too much to do.
    Busy(Duration),
    /// Nothing was sent.
    Unsent(String),
    /// It may have been done.
    Lost(String),
    /// The server fails at it, and says how.
    Failing(String),
    /// It does not do it.
    No(End),
}

/// Asks once that a pod ends, if it is still as it was seen.
pub(super) async fn ask(cluster: &Cluster<'_>, pod: &Object, way: Way) -> Asked {
    let (name, namespace) = (pod.text("/metadata/name"), pod.text("/metadata/namespace"));
    let target =
        Target { kind: Kind::POD, namespace: Some(namespace.to_owned()), name: name.to_owned() };
    let preconditions = json!({ "uid": pod.uid(), "resourceVersion": pod.version() });
    let answer = match way {
        Way::Delete => {
            let body = json!({
                "apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions,
            });
            cluster.write(Method::DELETE, &target.path(), Form::Json, body).await
        }
        Way::Evict => {
            let version = match policy(cluster).await {
                Ok(version) => version,
                Err(end) => return Asked::No(end),
            };
            let body = json!({
                "apiVersion": format!("policy/{version}"), "kind": "Eviction",
                "metadata": { "name": name, "namespace": namespace },
                "deleteOptions": { "preconditions": preconditions },
            });
            let path = format!("{}/eviction", target.path());
            cluster.write(Method::POST, &path, Form::Json, body).await
        }
    };
    match answer {
        Err(end) => Asked::No(end),
        Ok(Answer::Yes(_)) => {
            cluster.begin();
            Asked::Accepted
        }
        Ok(Answer::Unsent(why)) => Asked::Unsent(why),
        Ok(Answer::Lost(why)) => Asked::Lost(why),
        Ok(Answer::No(no)) => match no.code {
            404 | 409 => Asked::Stale,
            429 if no.budget.is_some() => {
                let why = no.budget.unwrap_or_default();
                Asked::Held(format!("pod {namespace}/{name} stands in the way: {why}"))
            }
            429 => Asked::Busy(no.retry_after.unwrap_or(BUDGET)),
            500.. => Asked::Failing(no.message),
            _ => Asked::No(no.end()),
        },
    }
}

/// In which version the server has evictions: `v1` since 1.22.
async fn policy(cluster: &Cluster<'_>) -> Result<&'static str, End> {
    if let Some(known) = cluster.policy.get() {
        return Ok(known);
    }
    let resources = cluster.read("/api/v1", &[]).await?.map_err(super::No::end)?;
    let all = resources["resources"].as_array().into_iter().flatten();
    let mut evictions = all.filter(|resource| resource["name"] == "pods/eviction");
    let version = match evictions.next() {
        Some(eviction) if eviction["version"] == "v1beta1" => "v1beta1",
        Some(_) | None => "v1",
    };
    cluster.policy.set(Some(version));
    Ok(version)
}

/// Ends the pod of an errand, and waits until it is gone.
pub(super) async fn end(cluster: &Cluster<'_>, way: Way) -> Result<(), End> {
    let errand = &cluster.doing.errand;
    let target = Target::of(errand, &[Kind::POD])?;
    let meant = errand.text("uid").map(|uid| of_form(Some(uid), &Names::UID)).transpose()?;
    let mut ending = Ending { cluster, target, uid: meant.map(str::to_owned), so_far: SoFar::Not };
    loop {
        let Some(pod) = ending.look().await? else { return Ok(()) };
        let pause = ending.step(&pod, way).await?;
        if !cluster.pause(pause).await {
            return Err(ending.out_of_time());
        }
    }
}

/// A pod that is being ended.
struct Ending<'a> {
    cluster: &'a Cluster<'a>,
    target: Target,
    uid: Option<String>,
    so_far: SoFar,
}

/// How far it got.
enum SoFar {
    /// Nothing was done, and why.
    Not,
    /// A budget held it.
    Held(String),
    /// It was asked for, and no answer came, so many times.
    Doubt(String, u32),
    /// It ends.
    Accepted,
}

impl Ending<'_> {
    /// Looks at the pod. Nothing where it has ended, as it was to.
    async fn look(&mut self) -> Result<Option<Object>, End> {
        let target = &self.target;
        let is_over = matches!(self.so_far, SoFar::Accepted | SoFar::Doubt(..));
        let pod = match self.cluster.look(target).await {
            Ok(Look::There(pod)) => pod,
            Ok(Look::Nothing) if is_over => {
                self.cluster.begin();
                say("it is gone");
                return Ok(None);
            }
            Ok(Look::Nothing) => return Err(End::Gone(format!("there is no {target}"))),
            Err(End::NotNow(why)) if is_over => {
                return Err(End::Unknown(format!("it was asked for, and then: {why}")));
            }
            Err(end) => return Err(end),
        };
        match &self.uid {
            Some(uid) if uid != pod.uid() && is_over => {
                self.cluster.begin();
                say("it is gone, and another one has its name");
                Ok(None)
            }
            Some(uid) if uid != pod.uid() => {
                Err(End::Replaced(format!("the {target} of this name is another one")))
            }
            Some(_) => Ok(Some(pod)),
            None => {
                say(&format!("{target}: uid {}, resourceVersion {}", pod.uid(), pod.version()));
                self.uid = Some(pod.uid().to_owned());
                Ok(Some(pod))
            }
        }
    }

    /// Does the next step, and tells how long to wait then.
    async fn step(&mut self, pod: &Object, way: Way) -> Result<Duration, End> {
        if pod.is_ending() {
            if self.cluster.doing.rehearse {
                return Err(End::Rehearsed(None));
            }
            if !matches!(self.so_far, SoFar::Accepted) {
                say("it is ending");
                self.so_far = SoFar::Accepted;
            }
            return Ok(PACE);
        }
        if *self.cluster.doing.ending.borrow() {
            return Ok(Duration::ZERO);
        }
        match ask(self.cluster, pod, way).await {
            Asked::Accepted => {
                self.so_far = SoFar::Accepted;
                Ok(PACE / 2)
            }
            Asked::Stale => Ok(PACE / 5),
            Asked::Busy(pause) => Ok(pause),
            Asked::Unsent(why) => {
                say(&format!("not sent: {why}"));
                Ok(PACE)
            }
            // As things are, it is held; whether it will be later, the next rehearsal tells.
            Asked::Held(why) if self.cluster.doing.rehearse => Err(End::HeldByBudget(why)),
            Asked::Held(why) => {
                if !matches!(&self.so_far, SoFar::Held(known) if *known == why) {
                    say(&why);
                }
                self.so_far = SoFar::Held(why);
                Ok(BUDGET)
            }
            Asked::Lost(why) => {
                say(&format!("no answer: {why}"));
                self.so_far = SoFar::Doubt(why, 0);
                Ok(PACE)
            }
            Asked::Failing(why) => {
                let times = match self.so_far {
                    SoFar::Doubt(_, times) => times + 1,
                    SoFar::Not | SoFar::Held(_) | SoFar::Accepted => 1,
                };
                if times >= FAILURES {
                    return Err(End::Failed(format!("the server fails at it: {why}")));
                }
                self.so_far = SoFar::Doubt(why, times);
                Ok(PACE)
            }
            Asked::No(end) => Err(end),
        }
    }

    /// There is no time for more, or it was told to end.
    fn out_of_time(self) -> End {
        let is_cancelled = self.cluster.is_cancelled();
        match self.so_far {
            SoFar::Not | SoFar::Held(_) if is_cancelled => End::Cancelled,
            SoFar::Not => End::NotNow("there was no time to do it".into()),
            SoFar::Held(why) => End::HeldByBudget(why),
            SoFar::Doubt(why, _) => End::Unknown(format!("it may have been done: {why}")),
            SoFar::Accepted => End::Unknown(format!("{} has not ended yet", self.target)),
        }
    }
}
