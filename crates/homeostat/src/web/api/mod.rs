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
pub mod audit;
mod explain;
mod policies;
mod control;
pub mod approvals;
mod whoami;
#[cfg(test)]
pub(crate) mod fixture;

use std::sync::Arc;

use homeostat_core::fact::Fact;
use homeostat_core::label::LabelSet;
use homeostat_core::name::{IncidentId, PolicyName};
use thiserror::Error;
use tokio::sync::Semaphore;

use super::Web;
use crate::access::{Gate, Permission, Routes};
use crate::deeds::{Deeds, Search};
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
    /// Under a policy of one of these names, in which `*` stands for any letters; `None`: of any.
    pub policies: Option<Vec<String>>,
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

/// An incident that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Under which policy.
    pub policy: PolicyName,
    /// What is to be healed.
    pub target: LabelSet,
    /// Its state, as in [`Filter::state`].
    pub state: String,
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

    /// Gives all incidents that are open.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    fn open(&self) -> Result<Vec<Open>, ReadError>;

    /// Lists what people did, the last deed first.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    fn deeds(&self, search: &Search) -> Result<Deeds, ReadError>;
}

/// What the handlers share.
struct Api {
    web: Web,
    readers: Semaphore,
    askers: Semaphore,
}

pub(super) fn routes(web: &Web) -> Routes {
    let (readers, askers) = (Semaphore::new(READERS), Semaphore::new(ASKERS));
    let api = Api { web: web.clone(), readers, askers };
    Routes::new()
        .get("/api/v1/incidents", Permission::View, incidents::list)
        .get("/api/v1/incidents/{id}", Permission::View, incidents::one)
        .post("/api/v1/incidents/{id}/approve", Permission::Approve, control::approve)
        .post("/api/v1/incidents/{id}/reject", Permission::Approve, control::reject)
        .post("/api/v1/incidents/{id}/cancel", Permission::Operate, control::cancel)
        .post("/api/v1/incidents/{id}/retry", Permission::Operate, control::retry)
        .get("/api/v1/approvals", Permission::View, approvals::list)
        .post("/api/v1/approvals/{id}/revoke", Permission::Approve, approvals::revoke)
        .get("/api/v1/audit", Permission::View, audit::list)
        .get("/api/v1/policies", Permission::View, policies::list)
        .get("/api/v1/explain", Permission::View, explain::show)
        .get("/api/v1/status", Permission::View, status::show)
        .get("/api/v1/whoami", Gate::Enter, whoami::show)
        .post("/api/v1/pause", Permission::Operate, control::pause)
        .post("/api/v1/resume", Permission::Operate, control::resume)
        .with_state(Arc::new(api))
}
