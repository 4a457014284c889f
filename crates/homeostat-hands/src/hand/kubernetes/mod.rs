//! Tells the API of a Kubernetes cluster to roll out, scale, evict, drain or run something, and waits for
//! what comes of it.
//!
//! ```text
//!  look: which one is it ─> ask, if it is still that one ─> follow: the rollout, the pod, the job
//!   └── gone, replaced       ├── held by a budget: again       └── done, or why not
//!                            ├── forbidden, refused
//!                            └── no word: look, whether it was done
//! ```
//!
//! No write is made of an object that was not looked at right before, and each demands that the object is
//! still the one that was seen: by `uid` and `resourceVersion`. So a write may be sent again of which
//! nobody knows what came of it: it has its effect once. What was changed carries the order's name, in the
//! annotation `homeostat/order`, by which it is known again.
//!
//! A rehearsal looks the same way, asks for its first change as a dry run, of which the server keeps nothing,
//! and ends there.
//!
//! The API is spoken to in JSON, and no type of it is known here but what is read.

mod end;
mod access;
mod api;
mod object;
mod managed;
mod change;
mod revert;
mod rollout;
mod workload;
mod undo;
mod pod;
mod node;
mod drain;
mod job;
mod logs;
mod owner;
mod rights;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::io::Write as _;
use std::time::{Duration, Instant};

use homeostat_core::errand::Form;
use reqwest::Method;
use serde_json::Value;
use tokio::time::sleep;

use self::access::find;
use self::api::{Answer, Api, No};
use self::end::{End, of_form};
use self::object::{Object, Target, items};
pub use self::rights::{Place, Right, review, rights};
use super::Doing;
use crate::act::Outcome;

/// The name of this hand.
pub(super) const NAME: &str = "kubernetes";

/// How long a server may be out of reach before nothing more is tried: its replicas follow each other.
const REACH: Duration = Duration::from_secs(15);

/// Between two looks at something that takes its time.
const PACE: Duration = Duration::from_millis(500);

/// The most that is kept of a time limit for what must be done before it.
const RESERVE: Duration = Duration::from_secs(3);

/// Does what an errand says.
pub(super) async fn perform(doing: Doing) -> Outcome {
    let mut begun = false;
    let end = match Cluster::reach(&doing).await {
        Ok(cluster) => {
            let end = does(&cluster).await;
            begun = cluster.has_begun.get();
            end
        }
        Err(end) => end,
    };
    if doing.rehearse { end.of_a_rehearsal().outcome(false) } else { end.outcome(begun) }
}

async fn does(cluster: &Cluster<'_>) -> End {
    let done = match &*cluster.doing.errand.verb {
        "rollout_restart" => workload::restart(cluster).await,
        "rollout_undo" => undo::undo(cluster).await,
        "scale" => workload::scale(cluster).await,
        "evict" => pod::end(cluster, pod::Way::Evict).await,
        "delete_pod" => pod::end(cluster, pod::Way::Delete).await,
        "cordon" => node::cordon(cluster).await,
        "uncordon" => node::uncordon(cluster).await,
        "drain" => drain::drain(cluster).await,
        "run_job" => job::run(cluster).await,
        "logs" => logs::read(cluster).await,
        "owner" => owner::tell(cluster).await,
        verb => Err(End::Refused(format!("this hand does not know {verb:?}"))),
    };
    done.map_or_else(|end| end, |()| End::Done)
}

/// A cluster, and the errand that is done in it.
struct Cluster<'a> {
    api: Api,
    doing: &'a Doing,
    /// The order's name, which no other order has.
    order: String,
    /// Whether anything was changed.
    has_begun: Cell<bool>,
    /// In which version the server has evictions, once that was asked.
    policy: Cell<Option<&'static str>>,
}

/// What a look came to.
enum Look {
    There(Object),
    /// There is none of this name.
    Nothing,
}

impl<'a> Cluster<'a> {
    async fn reach(doing: &'a Doing) -> Result<Self, End> {
        let errand = &doing.errand;
        let context = errand.text("context").map(|name| of_form(Some(name), &Form::CONTEXT));
        let access = find(errand.text("kubeconfig"), context.transpose()?).await?;
        let order = doing.work.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let api = Api::new(access, doing.rehearse).await?;
        Ok(Self { api, doing, order, has_begun: Cell::new(false), policy: Cell::new(None) })
    }

    /// Looks at an object, as often as it takes to reach the server.
    async fn look(&self, target: &Target) -> Result<Look, End> {
        match self.read(&target.path(), &[]).await? {
            Ok(value) => Ok(Look::There(Object(value))),
            Err(no) if no.code == 404 => Ok(Look::Nothing),
            Err(no) => Err(no.end()),
        }
    }

    /// Lists objects.
    async fn list(&self, path: &str, query: &[(&str, &str)]) -> Result<Vec<Object>, End> {
        self.read(path, query).await?.map(items).map_err(No::end)
    }

    /// Reads something.
    async fn read(&self, path: &str, query: &[(&str, &str)]) -> Result<Result<Value, No>, End> {
        self.answered(async || self.api.get(path, query).await).await
    }

    /// Asks what may be asked again: until there is an answer, or none for too long.
    async fn answered(&self, ask: impl AsyncFn() -> Answer) -> Result<Result<Value, No>, End> {
        let since = Instant::now();
        loop {
            let why = match ask().await {
                Answer::Yes(value) => return Ok(Ok(value)),
                Answer::No(no) if no.code != 429 && no.code < 500 => return Ok(Err(no)),
                Answer::No(no) => no.message,
                Answer::Unsent(why) | Answer::Lost(why) => why,
            };
            let patience = REACH.checked_sub(since.elapsed());
            if patience.is_none() || !self.pause(PACE).await {
                return Err(End::NotNow(format!("no answer from the cluster: {why}")));
            }
        }
    }

    /// Asks for a change. A rehearsal ends with it, unless the server says to ask again.
    async fn write(
        &self,
        method: Method,
        path: &str,
        form: api::Form,
        body: Value,
    ) -> Result<Answer, End> {
        let answer = self.api.write(method, path, form, body).await;
        if !self.doing.rehearse {
            return Ok(answer);
        }
        match answer {
            Answer::Yes(_) => Err(End::Rehearsed(None)),
            Answer::No(no) if no.code >= 500 => Err(no.end()),
            Answer::No(no) => Ok(Answer::No(no)),
            // What was to change nothing may be lost.
            Answer::Unsent(why) | Answer::Lost(why) => {
                Err(End::NotNow(format!("no answer from the cluster: {why}")))
            }
        }
    }

    /// Waits, and tells whether there is time to go on.
    async fn pause(&self, how_long: Duration) -> bool {
        let how_long = how_long.min(self.left());
        tokio::select! {
            () = self.doing.told_to_end() => false,
            () = sleep(how_long) => !self.left().is_zero(),
        }
    }

    /// How much time is left until what must be done before the limit.
    fn left(&self) -> Duration {
        let reserve = RESERVE.min(self.doing.timeout / 10);
        self.doing.left().saturating_sub(reserve)
    }

    /// Whether it was told to end before its limit.
    fn is_cancelled(&self) -> bool {
        *self.doing.ending.borrow() && !self.left().is_zero()
    }

    /// Something is changed from here on.
    fn begin(&self) {
        self.has_begun.set(true);
    }
}

/// Says something to whoever reads the order's output.
fn say(line: &str) {
    // Nobody is helped where it cannot be written.
    let _ = writeln!(std::io::stdout(), "{}", crate::act::one_line(line));
}
