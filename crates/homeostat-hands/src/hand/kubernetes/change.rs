//! One change of an object: made at most once, of the object that was looked at.
//!
//! ```text
//!  look ─> is it still that one? ─> is our mark on it: it was done
//!   ^        └── gone, replaced       └── ask, if it is as it was seen
//!   │                                      ├── done
//!   ├── somebody else was first ───────────┤
//!   └── no word: perhaps done ─────────────┘
//! ```
//!
//! Each write demands the `resourceVersion` that was seen, and changes it. So of two writes that were sent
//! with the same one, one is done; and one of which no word came can no more be done once the object is at
//! another version.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::api::{Answer, Form, No};
use super::end::End;
use super::managed::managed_by;
use super::object::{Kind, ORDER, Object, Target};
use super::{Cluster, Look, PACE, say};

/// How often a server may fail, before it is said that it does.
const FAILURES: u32 = 3;

/// What is to become of an object, as it is now.
pub(super) enum Wanted {
    /// It is so already.
    So,
    /// Some fields are to have other values, in this form.
    Patch(Form, Value),
}

/// A change that is being made.
pub(super) struct Change<'a> {
    cluster: &'a Cluster<'a>,
    target: &'a Target,
    /// What the annotation is to say.
    mark: String,
    /// The object that is meant.
    uid: Option<String>,
    /// The object for which a write was sent last.
    sent: Option<Object>,
    /// At which version a write was sent of which no word came.
    doubt: Option<String>,
    failures: u32,
    /// Until when it is tried, where it must be done after the time limit, too.
    last: Option<Instant>,
}

/// An object after its change.
pub(super) struct Changed {
    /// As it was before.
    pub(super) before: Object,
    pub(super) object: Object,
    /// Whether it was changed, and not so before.
    pub(super) is_ours: bool,
}

impl<'a> Change<'a> {
    /// A change by the order that is being done.
    pub(super) fn of(cluster: &'a Cluster<'a>, target: &'a Target) -> Self {
        let mark = cluster.order.clone();
        Self { cluster, target, mark, uid: None, sent: None, doubt: None, failures: 0, last: None }
    }

    /// A second change by the same order, which takes the first one back.
    pub(super) fn back(cluster: &'a Cluster<'a>, target: &'a Target) -> Self {
        let mark = format!("{}.back", cluster.order);
        let last = Some(Instant::now() + cluster.doing.grace / 2);
        Self { mark, last, ..Self::of(cluster, target) }
    }

    /// Makes it: `wanted` says what is to become of the object that it is shown.
    pub(super) async fn make(
        mut self,
        wanted: impl Fn(&Object, &str) -> Result<Wanted, End>,
    ) -> Result<Changed, End> {
        let made = self.attempt(wanted).await;
        made.map_err(|end| self.end(end))
    }

    async fn attempt(
        &mut self,
        wanted: impl Fn(&Object, &str) -> Result<Wanted, End>,
    ) -> Result<Changed, End> {
        loop {
            let object = self.look().await?;
            if self.is_marked(&object) {
                say("the change was made, though no answer came");
                let before = self.sent.take().unwrap_or_else(|| object.clone());
                return Ok(Changed { before, object, is_ours: true });
            }
            let (form, body) = match wanted(&object, &self.mark)? {
                Wanted::So if self.cluster.doing.rehearse => return Err(End::Rehearsed(None)),
                Wanted::So => {
                    return Ok(Changed { before: object.clone(), object, is_ours: false });
                }
                Wanted::Patch(form, body) => (form, conditional(form, body, &object)),
            };
            if self.last.is_none() && *self.cluster.doing.ending.borrow() {
                return Err(End::NotNow("it was to end before it was done".into()));
            }
            let path = self.target.path();
            let answer = self.cluster.write(Method::PATCH, &path, form, body).await;
            let pause = match answer.map_err(|end| self.of_whose(end, &object))? {
                Answer::Yes(value) => {
                    self.cluster.begin();
                    return Ok(Changed { before: object, object: Object(value), is_ours: true });
                }
                Answer::No(no) => self.refused(no, &object)?,
                Answer::Unsent(why) => {
                    say(&format!("not sent: {why}"));
                    PACE
                }
                Answer::Lost(why) => {
                    say(&format!("no answer: {why}"));
                    self.doubt = Some(object.version().to_owned());
                    PACE
                }
            };
            self.sent = Some(object);
            if !self.pause(pause).await {
                return Err(End::NotNow("there was no time to do it".into()));
            }
        }
    }

    /// Waits, and tells whether there is time to go on.
    async fn pause(&self, how_long: Duration) -> bool {
        match self.last {
            None => self.cluster.pause(how_long).await,
            Some(last) => {
                sleep(how_long).await;
                Instant::now() < last
            }
        }
    }

    /// Looks at the object, and that it is still the one that is meant.
    async fn look(&mut self) -> Result<Object, End> {
        let target = self.target;
        let Look::There(object) = self.cluster.look(target).await? else {
            return Err(End::Gone(format!("there is no {target}")));
        };
        match &self.uid {
            None => {
                say(&format!(
                    "{target}: uid {}, resourceVersion {}",
                    object.uid(),
                    object.version()
                ));
                self.uid = Some(object.uid().to_owned());
            }
            Some(uid) if uid == object.uid() => {}
            Some(_) => {
                return Err(End::Replaced(format!("the {target} of this name is another one")));
            }
        }
        // What was sent for another version can no more be done.
        if self.doubt.as_deref().is_some_and(|version| version != object.version())
            && !self.is_marked(&object)
        {
            self.doubt = None;
        }
        Ok(object)
    }

    fn is_marked(&self, object: &Object) -> bool {
        let is_marked = object.annotation(ORDER) == Some(&self.mark);
        if is_marked {
            self.cluster.begin();
        }
        is_marked
    }

    /// The server says no: how long to wait until it is asked again, if it is.
    fn refused(&mut self, no: No, object: &Object) -> Result<Duration, End> {
        match no.code {
            // Somebody else was first, or it is another one: the next look tells.
            409 => Ok(PACE / 5),
            429 => Ok(no.retry_after.unwrap_or(PACE)),
            500.. => {
                self.failures += 1;
                self.doubt = Some(object.version().to_owned());
                if self.failures < FAILURES {
                    return Ok(PACE);
                }
                Err(End::Failed(format!("the server fails at it: {}", no.message)))
            }
            _ => Err(no.end()),
        }
    }

    /// A rehearsal's end says who else manages the object. A node is nobody's: what is closed stays closed.
    fn of_whose(&self, end: End, object: &Object) -> End {
        match end {
            End::Rehearsed(_) if self.target.kind != Kind::NODE => {
                End::Rehearsed(managed_by(object))
            }
            end => end,
        }
    }

    /// How it ends, where a write may have been done.
    fn end(&self, end: End) -> End {
        match (&self.doubt, end) {
            (
                Some(_),
                End::NotNow(why)
                | End::Replaced(why)
                | End::Gone(why)
                | End::Forbidden(why)
                | End::Refused(why),
            ) => End::Unknown(format!("no answer came to the change, and then: {why}")),
            (_, end) => end,
        }
    }
}

/// A change that demands that the object is still as it was seen.
fn conditional(form: Form, mut body: Value, object: &Object) -> Value {
    let (uid, version) = (object.uid(), object.version());
    if let (Form::Operations, Value::Array(operations)) = (form, &mut body) {
        for (path, value) in [("/metadata/uid", uid), ("/metadata/resourceVersion", version)] {
            operations.push(json!({ "op": "replace", "path": path, "value": value }));
        }
        return body;
    }
    body["metadata"]["uid"] = uid.into();
    body["metadata"]["resourceVersion"] = version.into();
    body
}
