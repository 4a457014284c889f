//! Handlers written in Rust: what one is given, and what it answers.
//!
//! A handler is an async function from an [`Action`] to an [`Outcome`]. It gets the order as data
//! and does with it what its author knows best; the guards before it, the proof after it, the
//! journal and the timeline are the engine's, as for any other remedy.
//!
//! Not the duty of this room's part: starting and ending one (`call`).

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use homeostat_core::alert::Status;
use homeostat_core::label::LabelSet;
use homeostat_core::limits::{ORDER_PROGRESS, PROGRESS_BYTES};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::limits::OUTPUT_MAX;
use super::output::harmless;
use super::{Subject, SubjectAlert};

/// What a handler fails with: any error, so that `?` works on all of them.
pub type HandlerError = Box<dyn Error + Send + Sync>;

/// What a handler comes to.
pub(super) type Answer = Pin<Box<dyn Future<Output = Result<Outcome, HandlerError>> + Send>>;

type Handler = Arc<dyn Fn(Action) -> Answer + Send + Sync>;

/// A label that the leading alert of an order does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the alert has no label {name:?}; it has {}", present.join(", "))]
pub struct MissingLabel {
    /// The label.
    pub name: String,
    /// The labels that there are.
    pub present: Vec<String>,
}

/// Why a handler is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// Its time is over: it is aborted after a short grace, whatever it answers counts as timed
    /// out, and its healing is verified.
    Overdue,
    /// An operator cancelled it, or all alerts have resolved and the policy wants it to end then:
    /// it is aborted after a short grace, and whatever it answers counts as cancelled.
    Unwanted,
    /// The engine stops: what it answers within half a minute counts, later its outcome is
    /// unknown.
    Stopping,
}

/// An order, as a handler gets it.
///
/// Cloning is cheap; all clones are the same order.
#[derive(Debug, Clone)]
pub struct Action {
    order: Arc<str>,
    subject: Arc<Subject>,
    directory: Arc<Path>,
    deadline: Instant,
    cancel: watch::Receiver<Option<Cancelled>>,
    progress: Progress,
}

/// Where a handler says how far it is.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    sender: mpsc::Sender<String>,
    said: Arc<AtomicU32>,
}

impl Progress {
    pub(super) fn new(sender: mpsc::Sender<String>) -> Self {
        Self { sender, said: Arc::default() }
    }

    fn say(&self, text: &str) {
        if self.said.fetch_add(1, Ordering::Relaxed) >= ORDER_PROGRESS {
            // Counting on would start anew some day.
            self.said.store(ORDER_PROGRESS, Ordering::Relaxed);
            return;
        }
        // The core bounds the line; this bounds what waits for it.
        let most = text.floor_char_boundary(2 * PROGRESS_BYTES);
        // Who reads may be gone, or slow: then a word about progress is not worth waiting for.
        let _ = self.sender.try_send(harmless(&text[..most]));
    }
}

/// What an action is made of.
pub(super) struct Parts {
    pub(super) order: String,
    pub(super) subject: Subject,
    pub(super) directory: PathBuf,
    pub(super) deadline: Instant,
    pub(super) cancel: watch::Receiver<Option<Cancelled>>,
    pub(super) progress: Progress,
}

impl From<Parts> for Action {
    fn from(parts: Parts) -> Self {
        Self {
            order: parts.order.into(),
            subject: Arc::new(parts.subject),
            directory: parts.directory.into(),
            deadline: parts.deadline,
            cancel: parts.cancel,
            progress: parts.progress,
        }
    }
}

impl Action {
    /// Makes an order about one firing alert with these labels, as a test of a handler needs it:
    /// due in a minute, never cancelled, with progress that nobody reads.
    ///
    /// ```
    /// # use homeostat_hands::act::handler as homeostat;
    /// use homeostat::Action;
    ///
    /// let order = Action::example([("instance", "db1:5432")]);
    /// assert_eq!(order.label("instance").unwrap(), "db1:5432");
    /// assert_eq!(
    ///     order.label("job").unwrap_err().to_string(),
    ///     "the alert has no label \"job\"; it has instance"
    /// );
    /// ```
    pub fn example<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let alert = SubjectAlert {
            status: Status::Firing,
            fingerprint: "0000000000000000".to_owned(),
            labels: labels.into_iter().collect(),
            annotations: LabelSet::default(),
            starts_at: None,
            ends_at: None,
            generator_url: String::new(),
        };
        let subject = Subject {
            incident: "1".to_owned(),
            attempt: 1,
            policy: "example".to_owned(),
            remedy: "example".to_owned(),
            alerts: vec![alert],
            ..Subject::default()
        };
        let (_, cancel) = watch::channel(None);
        Parts {
            order: "1.example.1".to_owned(),
            subject,
            directory: std::env::temp_dir(),
            deadline: Instant::now() + Duration::from_mins(1),
            cancel,
            progress: Progress::new(mpsc::channel(1).0),
        }
        .into()
    }

    /// Returns a label of the leading alert.
    ///
    /// # Errors
    ///
    /// The alert has no such label. With `?` this fails the order, and its timeline says which
    /// label was missing.
    pub fn label(&self, name: &str) -> Result<&str, MissingLabel> {
        let labels = self.alerts().first().map(|leading| &leading.labels);
        labels.and_then(|labels| labels.get(name)).ok_or_else(|| {
            let present = labels.into_iter().flat_map(LabelSet::iter);
            let present = present.map(|(name, _)| name.to_owned()).collect();
            MissingLabel { name: name.to_owned(), present }
        })
    }

    /// Returns an annotation of the leading alert. Annotations are prose for people: they may be
    /// missing, and nothing should be decided by them.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.alerts().first()?.annotations.get(name)
    }

    /// Returns the labels of the leading alert.
    pub fn labels(&self) -> LabelSet {
        self.alerts().first().map(|alert| alert.labels.clone()).unwrap_or_default()
    }

    /// Returns all alerts of the incident, those that fire first; the first one leads.
    pub fn alerts(&self) -> &[SubjectAlert] {
        &self.subject.alerts
    }

    /// Returns the incident's number.
    pub fn incident(&self) -> &str {
        &self.subject.incident
    }

    /// Returns the order's id, `incident.remedy.attempt`: the same deed has the same id after a
    /// crash.
    pub fn order_id(&self) -> &str {
        &self.order
    }

    /// Returns the policy that took the alert.
    pub fn policy(&self) -> &str {
        &self.subject.policy
    }

    /// Returns the remedy that calls the handler.
    pub fn remedy(&self) -> &str {
        &self.subject.remedy
    }

    /// Returns which run of this remedy it is in this incident, counted from 1.
    pub fn attempt(&self) -> u32 {
        self.subject.attempt
    }

    /// Returns a directory of the order's own, to work in. What is written there is kept with the
    /// order.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns when the remedy's timeout is over, as [`tokio::time::timeout_at`] takes it.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Waits until the handler is asked to stop, and says why. It never completes otherwise.
    pub async fn cancelled(&self) -> Cancelled {
        let mut cancel = self.cancel.clone();
        let asked = cancel.wait_for(Option::is_some).await.ok().and_then(|asked| *asked);
        match asked {
            Some(cancelled) => cancelled,
            // Nobody is left who could ask.
            None => std::future::pending().await,
        }
    }

    /// Tells whether the handler is asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.cancel.borrow().is_some()
    }

    /// Says how far it is: a line of the incident's timeline, while the handler runs.
    ///
    /// It never waits. A line has at most 500 bytes and an order at most 50 of them; what is more
    /// is left out.
    pub fn progress(&self, text: impl AsRef<str>) {
        self.progress.say(text.as_ref());
    }
}

/// What a handler came to.
///
/// Whether that healed is not for the handler to say: the engine proves it afterwards.
///
/// ```
/// # use homeostat_hands::act::handler as homeostat;
/// use homeostat::Outcome;
///
/// let outcome = Outcome::done().evidence("new primary", "db2").note("db1 is fenced");
/// assert_eq!(outcome.output(), "new primary: db2\ndb1 is fenced\n");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a handler returns its outcome"]
pub struct Outcome {
    failure: Option<String>,
    output: String,
}

impl Outcome {
    /// It did what it should.
    pub fn done() -> Self {
        Self { failure: None, output: String::new() }
    }

    /// It is known to have failed: the remedy's retries follow, then the next remedy.
    pub fn failed(reason: impl Into<String>) -> Self {
        Self { failure: Some(reason.into()), output: String::new() }
    }

    /// Adds something that was found or made, to be shown as the order's output.
    pub fn evidence(self, key: impl fmt::Display, value: impl fmt::Display) -> Self {
        self.note(format_args!("{key}: {value}"))
    }

    /// Adds a line to the order's output.
    pub fn note(mut self, text: impl fmt::Display) -> Self {
        let line = format!("{text}\n");
        if self.output.len() as u64 + line.len() as u64 <= OUTPUT_MAX {
            self.output.push_str(&line);
        }
        self
    }

    /// Returns why it failed, if it did.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Returns what will be shown as the order's output.
    pub fn output(&self) -> &str {
        &self.output
    }
}

/// The handlers that a program was built with.
#[derive(Clone, Default)]
pub struct Handlers {
    by_name: BTreeMap<String, Handler>,
}

impl fmt::Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_name.keys()).finish()
    }
}

impl Handlers {
    /// Adds a handler. Returns whether its name was free; if not, the earlier one stays.
    #[must_use]
    pub fn add<F, Fut>(&mut self, name: &str, handler: F) -> bool
    where
        F: Fn(Action) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Outcome, HandlerError>> + Send + 'static,
    {
        if self.by_name.contains_key(name) {
            return false;
        }
        let handler: Handler = Arc::new(move |action| Box::pin(handler(action)));
        self.by_name.insert(name.to_owned(), handler);
        true
    }

    /// Returns the names of all handlers, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    pub(super) fn get(&self, name: &str) -> Option<Handler> {
        self.by_name.get(name).cloned()
    }
}
