//! Empties a node: closes it, and evicts its pods, a few at a time.
//!
//! ```text
//!  which pods go? ─> close ─> evict some ─> wait ─> … ─> none is left
//!   └── refused               └── held by a budget until there is no time:
//!                                 the node is opened again, if it was closed by us
//! ```

use std::collections::BTreeSet;
use std::time::Duration;

use homeostat_core::errand::Form;

use super::end::{End, of_form};
use super::node::{close, open_again, target};
use super::object::{Kind, Object, Target};
use super::pod::{Asked, BUDGET, Way, ask};
use super::{Cluster, PACE, say};

/// A pod that the node itself keeps: deleting it changes nothing.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// How often a server may fail, before it is said that it does.
const FAILURES: u32 = 3;

/// Empties the node of an errand.
pub(super) async fn drain(cluster: &Cluster<'_>) -> Result<(), End> {
    let errand = &cluster.doing.errand;
    let node = target(cluster)?;
    let most = errand.text("max_unavailable").unwrap_or("5");
    let most = most.parse::<usize>().ok().filter(|most| *most > 0);
    let most = most.ok_or_else(|| End::Refused("max_unavailable is no number of pods".into()))?;
    let force = errand.text("force") == Some("true");
    let mut drain = Drain { cluster, node, most, force, asked: BTreeSet::new(), failures: 0 };
    drain.refuse_what_would_not_come_back(&drain.pods().await?)?;
    let closed = close(cluster, &drain.node).await?;
    let emptied = drain.empty().await;
    match emptied {
        Err(end) if closed.is_ours => Err(drain.give_up(end).await),
        emptied => emptied,
    }
}

/// A node that is being emptied.
struct Drain<'a> {
    cluster: &'a Cluster<'a>,
    node: Target,
    /// How many pods end at a time.
    most: usize,
    /// Whether pods go that nobody starts elsewhere.
    force: bool,
    /// Pods that were asked to end, by uid.
    asked: BTreeSet<String>,
    failures: u32,
}

/// What stands in the way, and how long to wait for it.
struct InTheWay {
    what: String,
    is_budget: bool,
    pause: Duration,
}

impl Drain<'_> {
    /// The pods that are to go.
    async fn pods(&self) -> Result<Vec<Object>, End> {
        let on_node = format!("spec.nodeName={}", of_form(Some(&self.node.name), &Form::OBJECT)?);
        let pods = self.cluster.list(&Kind::POD.list(None), &[("fieldSelector", &on_node)]).await?;
        Ok(pods.into_iter().filter(goes).collect())
    }

    fn refuse_what_would_not_come_back(&self, pods: &[Object]) -> Result<(), End> {
        let alone = pods.iter().find(|pod| pod.controller().is_none() && !is_over(pod));
        match alone {
            Some(pod) if !self.force => Err(End::Refused(format!(
                "{} stands in the way: no controller would start it elsewhere; `force: true` lets \
                 it go",
                named(pod)
            ))),
            Some(_) | None => Ok(()),
        }
    }

    /// Evicts until there is none left.
    async fn empty(&mut self) -> Result<(), End> {
        let mut said = String::new();
        loop {
            let pods = self.pods().await?;
            if pods.is_empty() {
                say(&format!("{} is empty: {} pods were evicted", self.node, self.asked.len()));
                return Ok(());
            }
            self.refuse_what_would_not_come_back(&pods)?;
            let in_the_way = self.round(&pods).await?;
            if said != in_the_way.what {
                say(&in_the_way.what);
                said.clone_from(&in_the_way.what);
            }
            if !self.cluster.pause(in_the_way.pause).await {
                if self.cluster.is_cancelled() {
                    return Err(End::Cancelled);
                }
                let InTheWay { what, is_budget, .. } = in_the_way;
                return Err(if is_budget { End::HeldByBudget(what) } else { End::Failed(what) });
            }
        }
    }

    /// Asks as many pods to end as may, and tells what is waited for.
    async fn round(&mut self, pods: &[Object]) -> Result<InTheWay, End> {
        let (ending, staying): (Vec<&Object>, Vec<&Object>) =
            pods.iter().partition(|pod| pod.is_ending());
        let mut room = self.most.saturating_sub(ending.len());
        let mut held = None;
        let mut pause = PACE;
        for pod in staying {
            if room == 0 || *self.cluster.doing.ending.borrow() {
                break;
            }
            match ask(self.cluster, pod, Way::Evict).await {
                Asked::Accepted => {
                    say(&format!("{} was evicted", named(pod)));
                    self.asked.insert(pod.uid().to_owned());
                    room -= 1;
                }
                Asked::Stale => {}
                Asked::Held(why) => held = held.or(Some(why)),
                Asked::Busy(wait) => {
                    pause = pause.max(wait);
                    break;
                }
                Asked::Unsent(why) | Asked::Lost(why) => {
                    say(&format!("{}: no answer: {why}", named(pod)));
                    break;
                }
                Asked::Failing(why) => {
                    self.failures += 1;
                    if self.failures >= FAILURES {
                        let reason = format!("the server fails at {}: {why}", named(pod));
                        return Err(End::Failed(reason));
                    }
                }
                Asked::No(end) => return Err(end.and(&format!("at {}", named(pod)))),
            }
        }
        Ok(match (held, ending.first()) {
            (Some(what), None) => InTheWay { what, is_budget: true, pause: BUDGET },
            // What ends makes room in its budget.
            (Some(what), Some(_)) => InTheWay { what, is_budget: true, pause },
            (None, Some(pod)) => {
                let what = format!("{} has not ended yet", named(pod));
                InTheWay { what, is_budget: false, pause }
            }
            (None, None) => {
                let what = format!("{} pods are left", pods.len());
                InTheWay { what, is_budget: false, pause }
            }
        })
    }

    /// It comes to no end: the node is opened again.
    async fn give_up(&self, end: End) -> End {
        match open_again(self.cluster, &self.node).await {
            Ok(_) => end.and(&format!("{} was uncordoned", self.node)),
            Err(why) => {
                let reason = format!("{} could not be uncordoned: {}", self.node, why.why());
                match end {
                    End::Cancelled => End::Failed(format!("it was cancelled; {reason}")),
                    end => end.and(&reason),
                }
            }
        }
    }
}

/// Whether a pod goes from a node that is emptied: those of a `DaemonSet` would be there at once again.
fn goes(pod: &Object) -> bool {
    let is_daemon = pod.controller().is_some_and(|owner| owner["kind"] == "DaemonSet");
    !is_daemon && pod.annotation(MIRROR).is_none()
}

/// Whether it has come to its own end.
fn is_over(pod: &Object) -> bool {
    matches!(pod.text("/status/phase"), "Succeeded" | "Failed")
}

fn named(pod: &Object) -> String {
    format!("pod {}/{}", pod.text("/metadata/namespace"), pod.text("/metadata/name"))
}
