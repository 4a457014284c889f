//! Takes alerts in: the only room that knows the JSON of Alertmanager, Prometheus and Grafana.
//!
//! ```text
//!  POST, PUT /hooks…  ─> body ─> signature ─> webhook ─┐                     ┌─ committed ─> 200
//!                                  └─ known ─ repeat? ─┼─> observations ─> queue ─ repeat ─> 200
//!  POST /api/v2/alerts ─> body ──────────> alerts_api ─┘                     └─ busy ──────> 503
//!
//!  each minute, and when a webhook did not tell all ─> reconcile ─> queue
//! ```
//!
//! Duty: turn what others send into observations, hand them to the engine, and answer so that no
//! sender ever loses an alert or sends one in a loop. *Not* its duty: what an observation means
//! (core), and who may post (`web`).
//!
//! | what happens | answer | why |
//! |---|---|---|
//! | committed, all of it or what was usable | 200 | |
//! | a webhook's body is unusable | 200 | it would be sent again for ever; it is quarantined |
//! | the same, or some of it, with the alerts API | 400 | not sent again; valid ones are kept |
//! | overload, shutdown, the disk failed | 503 | Alertmanager tries again soon |
//! | larger than the limit, or inflates to more | 413 | |
//! | slower than the time limits | 408 | |
//! | another method | 405 | a GET that got 200 would count as delivered |
//! | not signed as its source must sign | 401 | somebody else sent it; nothing of it is read |
//!
//! Never a redirect, which would be followed by a GET, and never a 429, which Alertmanager does
//! not try again.

pub mod alerts_api;
mod body;
mod gzip;
mod known;
mod leads;
mod mend;
pub mod reconcile;
mod routes;
mod senders;
pub mod signature;
mod sources;
#[cfg(test)]
mod tests;
mod value;
pub mod webhook;
mod wire;

use std::fmt;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::{CONNECTION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use homeostat_core::alert::{Observation, Status};
use homeostat_core::name::SourceName;
use homeostat_core::repeats::Repeat;
use homeostat_core::text::Text;
use homeostat_core::time::Timestamp;

use crate::access::{self, Caller, Permission, Routes, Subject};
use crate::queue::{Busy, Queue};
use homeostat_hands::failpoint;

pub use body::Bounds;
use body::{Gathered, Reader, Refusal, Taken};
use known::Known;
pub use leads::Leads;
use senders::Senders;
use signature::Signatures;
pub use sources::{Named, OTHER_NAMES, Sources};
pub use wire::{Problem, Problems};

/// Bytes of a quarantined body that are logged: enough to see what sent it and why it does not fit.
const SAMPLE_BYTES: usize = 512;

/// What one request came to; a label of `notifications_received_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotificationResult {
    /// All of it is committed.
    Accepted,
    /// What was usable is committed.
    Partial,
    /// Nothing was usable: kept aside (webhooks), or refused (alerts API).
    Quarantined,
    /// The engine could not take it now.
    Busy,
    /// Its body is too large.
    TooLarge,
    /// Its body did not arrive.
    Incomplete,
}

impl NotificationResult {
    /// Returns the value of the label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Partial => "partial",
            Self::Quarantined => "quarantined",
            Self::Busy => "busy",
            Self::TooLarge => "too_large",
            Self::Incomplete => "incomplete",
        }
    }
}

/// Counts what comes in. Called in the middle of answering: must neither wait nor fail.
pub trait Tally: Send + Sync {
    /// A request was answered.
    fn notification(&self, source: &SourceName, result: NotificationResult);

    /// So many alerts with this status were committed.
    fn alerts(&self, source: &SourceName, status: Status, count: u64);

    /// A source was asked for all of its alerts; `result` is one of few fixed words.
    fn polled(&self, source: &SourceName, result: &str);

    /// So many alerts were found that no notification told.
    fn found(&self, count: u64);
}

/// The doors for alerts, ready to be opened by [`routes`].
pub struct Intake {
    queue: Queue,
    sources: Sources,
    leads: Leads,
    senders: Senders,
    signatures: Arc<Signatures>,
    reader: Reader,
    known: Known,
    /// The clock on the wall.
    clock: Time,
    /// The engine's, by which repeats are answered for it; without it, the engine hears all.
    engines: Option<Time>,
    tally: Arc<dyn Tally>,
}

type Time = Box<dyn Fn() -> Timestamp + Send + Sync>;

impl fmt::Debug for Intake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Intake").field("sources", &self.sources).finish_non_exhaustive()
    }
}

impl Intake {
    /// Builds doors that hand observations to this queue.
    pub fn new(
        queue: Queue,
        sources: Sources,
        tally: Arc<dyn Tally>,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        Self {
            queue,
            sources,
            leads: Leads::default(),
            senders: Senders::default(),
            signatures: Arc::default(),
            reader: Reader::new(Bounds::default()),
            known: Known::default(),
            clock: Box::new(clock),
            engines: None,
            tally,
        }
    }

    /// Sets other bounds for bodies than the default ones.
    #[must_use]
    pub fn bounds(mut self, bounds: Bounds) -> Self {
        self.reader = Reader::new(bounds);
        self
    }

    /// Answers for the engine what only repeats what it knows, by its clock.
    #[must_use]
    pub fn answering_repeats(
        mut self,
        engines: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        self.engines = Some(Box::new(engines));
        self
    }

    /// Leaves what notifications tell of their sources with these.
    #[must_use]
    pub fn leads(mut self, leads: Leads) -> Self {
        self.leads = leads;
        self
    }

    /// Asks for signatures by these.
    #[must_use]
    pub fn signatures(mut self, signatures: Arc<Signatures>) -> Self {
        self.signatures = signatures;
        self
    }

    /// Takes a notification in, once it is known that its source has signed it, where that must.
    async fn take_webhook(
        self: Arc<Self>,
        (source, by): (SourceName, Option<Text>),
        headers: &HeaderMap,
        body: Body,
    ) -> Answer {
        let sent = match self.reader.gather(body).await {
            Ok(sent) => sent,
            Err(refusal) => return Ok(self.refuse(&source, &refusal)),
        };
        failpoint::reach("intake.read");
        let admitted = self.signatures.admit(&source, headers, &sent.bytes, (self.clock)());
        let unsigned = |why| access::Refusal::Unsigned(source.clone(), why);
        let Some(admission) = admitted.map_err(unsigned)? else {
            return Ok(self.take_notification(&source, by, sent).await);
        };
        // Its sender may leave before the end: what it came to must be known all the same.
        let taking = tokio::spawn(async move {
            let response = self.take_notification(&source, by, sent).await;
            if response.status().is_success() {
                admission.keep();
            }
            response
        });
        Ok(taking.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a notification was not taken in");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }))
    }

    async fn take_notification(
        &self,
        source: &SourceName,
        by: Option<Text>,
        sent: Gathered,
    ) -> Response {
        let hash = self.known.hash(source, &sent.bytes);
        if self.is_known(source, hash) {
            self.tally.notification(source, NotificationResult::Accepted);
            return StatusCode::OK.into_response();
        }
        let body = match self.reader.open(sent) {
            Ok(body) => body,
            Err(refusal) => return self.refuse(source, &refusal),
        };
        let parsed = match webhook::parse(&body.bytes, source, (self.clock)()) {
            Ok(parsed) => parsed,
            Err(unusable) => {
                self.put_aside(source, &body, &unusable.to_string());
                return StatusCode::OK.into_response();
            }
        };
        failpoint::reach("intake.parsed");
        if let Some(Observation { alert, .. }) = parsed.observations.first() {
            self.leads.learn(source, &alert.receiver);
            self.senders.compare(&self.sources, source, &alert.external_url);
        }
        let truncated = parsed.truncated;
        let is_flawless = truncated == 0 && parsed.problems.is_empty();
        // What says until when it fires may say something else later, by the same words.
        let is_lasting = parsed.observations.iter().all(|told| told.ends_at.is_none());
        match self.commit(source, by, parsed.observations).await {
            Ok(Some(repeats)) if is_flawless && is_lasting => {
                self.known.learn(hash, repeats);
            }
            Ok(_) => {}
            Err(busy) => return self.busy(source, busy),
        }
        if truncated > 0 {
            self.leads.prompt(source);
            tracing::warn!(%source, truncated, "notification truncated by its sender");
        }
        if parsed.problems.is_empty() {
            self.tally.notification(source, NotificationResult::Accepted);
        } else {
            let (skipped, problems) = (parsed.problems.count, &parsed.problems);
            tracing::warn!(%source, skipped, %problems, "parts of a notification skipped");
            self.tally.notification(source, NotificationResult::Partial);
        }
        StatusCode::OK.into_response()
    }

    async fn take_alerts(&self, by: Option<Text>, body: Body) -> Response {
        let source = SourceName::new(SourceName::API);
        let body = match self.reader.read(body).await {
            Ok(body) => body,
            Err(refusal) => return self.refuse(&source, &refusal),
        };
        let parsed = match alerts_api::parse(&body.bytes, (self.clock)()) {
            Ok(parsed) => parsed,
            Err(unparseable) => {
                let reason = unparseable.to_string();
                self.put_aside(&source, &body, &reason);
                return bad_request(&reason);
            }
        };
        let kept = parsed.valid.len();
        if let Err(busy) = self.commit(&source, by, parsed.valid).await {
            return self.busy(&source, busy);
        }
        if parsed.invalid.is_empty() {
            self.tally.notification(&source, NotificationResult::Accepted);
            return StatusCode::OK.into_response();
        }
        let (invalid, problems) = (parsed.invalid.count, &parsed.invalid);
        tracing::warn!(%source, invalid, %problems, "invalid alerts refused");
        let nothing = kept == 0;
        let partly = NotificationResult::Partial;
        let result = if nothing { NotificationResult::Quarantined } else { partly };
        self.tally.notification(&source, result);
        bad_request(&problems.to_string())
    }

    /// Returns the source of a hook at a path, where it is known and signs nothing.
    pub fn unsigned(&self, path: &str) -> Option<SourceName> {
        let source = match path.strip_prefix("/hooks")? {
            "" => self.sources.bare(),
            named => self.sources.find(named.strip_prefix('/')?)?,
        };
        (!self.signatures.has(&source)).then_some(source)
    }

    /// Takes in a body that an unsigned source has sent, if it is known and repeats nothing but what the
    /// engine need not hear. Tells whether it did.
    pub fn take_repeat(&self, source: &SourceName, body: &[u8]) -> bool {
        let is_known = self.is_known(source, self.known.hash(source, body));
        if is_known {
            self.tally.notification(source, NotificationResult::Accepted);
        }
        is_known
    }

    /// Tells whether a notification is known and repeats nothing but what the engine need not hear.
    fn is_known(&self, source: &SourceName, hash: u64) -> bool {
        let Some((engines, repeats)) = self.engines.as_ref().zip(self.known.find(hash)) else {
            return false;
        };
        let is_answered = self.queue.repeat(&repeats, engines);
        if is_answered {
            self.tally.alerts(source, Status::Firing, repeats.len() as u64);
        }
        is_answered
    }

    /// Returns once the engine has committed these; nothing is asked of it for nothing, nor where all of
    /// them are repeats that it need not hear, which are returned.
    async fn commit(
        &self,
        source: &SourceName,
        by: Option<Text>,
        mut observations: Vec<Observation>,
    ) -> Result<Option<Vec<Repeat>>, Busy> {
        if observations.is_empty() {
            return Ok(None);
        }
        let engines = self.engines.as_ref();
        if let Some(repeats) = engines.and_then(|now| self.queue.recognise(&observations, now)) {
            self.tally.alerts(source, Status::Firing, repeats.len() as u64);
            return Ok(Some(repeats));
        }
        let now = (self.clock)();
        let fires = |observation: &&Observation| is_firing(observation, now);
        let firing = observations.iter().filter(fires).count() as u64;
        let resolved = observations.len() as u64 - firing;
        for observation in &mut observations {
            observation.by.clone_from(&by);
        }
        self.queue.observe(observations).await?;
        failpoint::reach("intake.committed");
        for (status, count) in [(Status::Firing, firing), (Status::Resolved, resolved)] {
            if count > 0 {
                self.tally.alerts(source, status, count);
            }
        }
        Ok(None)
    }

    fn put_aside(&self, source: &SourceName, body: &Taken, reason: &str) {
        let length = body.bytes.len();
        let sample = String::from_utf8_lossy(&body.bytes[..length.min(SAMPLE_BYTES)]);
        tracing::warn!(%source, error = reason, bytes = length, %sample, "notification quarantined");
        self.tally.notification(source, NotificationResult::Quarantined);
    }

    fn busy(&self, source: &SourceName, busy: Busy) -> Response {
        // Not louder: an overload would fill the disk with it. It is counted.
        tracing::debug!(%source, reason = %busy, "notification refused for now");
        self.tally.notification(source, NotificationResult::Busy);
        (StatusCode::SERVICE_UNAVAILABLE, busy.to_string()).into_response()
    }

    fn refuse(&self, source: &SourceName, refusal: &Refusal) -> Response {
        tracing::warn!(%source, error = %refusal, "body of a notification refused");
        let (status, result) = match refusal {
            Refusal::TooLarge(_) => {
                self.leads.prompt(source);
                (StatusCode::PAYLOAD_TOO_LARGE, NotificationResult::TooLarge)
            }
            Refusal::TooSlow => (StatusCode::REQUEST_TIMEOUT, NotificationResult::Incomplete),
            Refusal::Crowded => (StatusCode::SERVICE_UNAVAILABLE, NotificationResult::Busy),
            Refusal::Aborted(_) => (StatusCode::BAD_REQUEST, NotificationResult::Incomplete),
            // Like any other body that cannot be read.
            Refusal::NotGzip(_) => {
                self.tally.notification(source, NotificationResult::Quarantined);
                let is_api = source.as_str() == SourceName::API;
                let reason = refusal.to_string();
                return if is_api { bad_request(&reason) } else { StatusCode::OK.into_response() };
            }
        };
        self.tally.notification(source, result);
        // The rest of the body may still be on its way: nothing else can follow it.
        let close = [(CONNECTION, HeaderValue::from_static("close"))];
        (status, close, refusal.to_string()).into_response()
    }
}

/// Opens the doors.
///
/// Whoever nests this below a prefix keeps the rule that no path here is ever redirected.
pub fn routes(intake: Arc<Intake>) -> Routes {
    Routes::new()
        .post_or_put("/hooks", Permission::Send, bare_hook)
        .post_or_put("/hooks/", Permission::Send, bare_hook)
        .post_or_put("/hooks/{name}", Permission::Send, named_hook)
        .post_or_put("/hooks/{name}/", Permission::Send, named_hook)
        .post("/api/v2/alerts", Permission::Send, alerts)
        .post("/api/v2/alerts/", Permission::Send, alerts)
        .post("/api/v1/alerts", Permission::Send, alerts)
        .post("/api/v1/alerts/", Permission::Send, alerts)
        .with_state(intake)
}

type Answer = Result<Response, access::Refusal>;

async fn bare_hook(
    State(intake): State<Arc<Intake>>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let source = intake.sources.bare();
    caller.may(Permission::Send, &Subject::Source(&source))?;
    intake.take_webhook((source, poster(&caller)), &headers, body).await
}

async fn named_hook(
    State(intake): State<Arc<Intake>>,
    caller: Caller,
    name: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let name = name.as_deref().ok();
    // Before the name takes a place among those that are told apart.
    let asked = match name.map(String::as_str) {
        Some("") => intake.sources.bare(),
        Some(name) => SourceName::new(name),
        None => intake.sources.other(),
    };
    caller.may(Permission::Send, &Subject::Source(&asked))?;
    let source = match name.map(String::as_str) {
        // A slash too many; what is not UTF-8 is not a name either, but its alerts are alerts.
        Some("") | None => asked,
        Some(name) => intake.sources.named(name),
    };
    intake.senders.meet(&intake.sources, &source, name.map_or("", String::as_str));
    intake.take_webhook((source, poster(&caller)), &headers, body).await
}

async fn alerts(State(intake): State<Arc<Intake>>, caller: Caller, body: Body) -> Answer {
    let source = SourceName::new(SourceName::API);
    caller.may(Permission::Send, &Subject::Source(&source))?;
    Ok(intake.take_alerts(poster(&caller), body).await)
}

/// Who posts, where that is anybody in particular.
fn poster(caller: &Caller) -> Option<Text> {
    caller.operator(String::new()).identity().map(Text::new)
}

/// Alertmanager's own form of an error: a JSON string.
fn bad_request(reason: &str) -> Response {
    let json = serde_json::Value::from(reason).to_string();
    (StatusCode::BAD_REQUEST, [(CONTENT_TYPE, "application/json")], json).into_response()
}

/// Whether an observation says that its alert fires now: with the alerts API, by its end.
fn is_firing(observation: &Observation, now: Timestamp) -> bool {
    use homeostat_core::alert::Door;
    match observation.alert.door {
        Door::Webhook => observation.status == Status::Firing,
        Door::Api => observation.ends_at.is_none_or(|ends_at| ends_at > now),
    }
}
