//! Our JSON: what operators, the page and the command line read, and what operators command.
//!
//! ```text
//!  History (the journal) ─> facts ─> fold ─> IncidentView ─> JSON ─> page, command line
//!  {by, reason} ─> queue ─> committed ─> 200
//!  labels ─> queue ─> the guards' account ─> Explanation ─> JSON
//! ```
//!
//! Reads see what is committed and never touch the engine, but for one: what the guards have counted
//! is asked of the engine through the queue, by few at a time.

pub mod view;
pub mod status;
mod fold;
mod sentence;
mod why;
mod incidents;
mod explain;
mod policies;
mod control;
#[cfg(test)]
pub(crate) mod fixture;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use homeostat_core::fact::Fact;
use homeostat_core::name::IncidentId;
use thiserror::Error;
use tokio::sync::Semaphore;

use super::Web;
pub use fold::fold;
pub use status::Status;

/// Readings of the journal at once. More would only wait for the same disk.
const READERS: usize = 8;

/// Accounts of the guards at once. The engine gives them between its turns, and must not spend
/// those on readers.
const ASKERS: usize = 2;

/// Why the journal gives no answer.
#[derive(Debug, Error)]
#[error("the journal cannot be read: {0}")]
pub struct ReadError(pub String);

/// Which incidents to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// In this state: one of `waiting`, `awaiting_approval`, `acting`, `verifying`, `closed`.
    pub state: Option<String>,
    /// Under this policy.
    pub policy: Option<String>,
    /// With all of these target labels.
    pub target: Vec<(String, String)>,
    /// At most so many, at least one.
    pub limit: usize,
    /// Older than this one.
    pub before: Option<IncidentId>,
}

/// What there is to read of an incident.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Story {
    /// The facts of the incident and those of its episodes, in the order in which they happened.
    pub facts: Vec<Fact>,
    /// Episodes whose facts are left out, because there are too many.
    pub left_out: u64,
}

/// Some incidents, newest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// Each with its story.
    pub incidents: Vec<(IncidentId, Story)>,
    /// From where the next page goes on ([`Filter::before`]), where there is one.
    pub next: Option<IncidentId>,
}

/// What was committed, for reading. May block: it is asked on a thread that may.
pub trait History: Send + Sync + 'static {
    /// Lists incidents, newest first.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    fn list(&self, filter: &Filter) -> Result<Page, ReadError>;

    /// Gives the story of one incident.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    fn incident(&self, id: IncidentId) -> Result<Option<Story>, ReadError>;
}

/// What the handlers share.
struct Api {
    web: Web,
    readers: Semaphore,
    askers: Semaphore,
}

pub(super) fn routes(web: &Web) -> Router {
    let (readers, askers) = (Semaphore::new(READERS), Semaphore::new(ASKERS));
    let api = Api { web: web.clone(), readers, askers };
    Router::new()
        .route("/api/v1/incidents", get(incidents::list))
        .route("/api/v1/incidents/{id}", get(incidents::one))
        .route("/api/v1/incidents/{id}/approve", post(control::approve))
        .route("/api/v1/incidents/{id}/reject", post(control::reject))
        .route("/api/v1/incidents/{id}/cancel", post(control::cancel))
        .route("/api/v1/incidents/{id}/retry", post(control::retry))
        .route("/api/v1/policies", get(policies::list))
        .route("/api/v1/explain", get(explain::show))
        .route("/api/v1/status", get(status::show))
        .route("/api/v1/pause", post(control::pause))
        .route("/api/v1/resume", post(control::resume))
        .with_state(Arc::new(api))
}
