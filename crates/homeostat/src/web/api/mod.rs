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
pub(super) mod incidents;
pub(super) mod search;
mod slim;
mod message;
pub mod board;
mod pick;
mod stream;
pub mod audit;
pub mod history;
pub mod alerts;
mod openapi;
pub(in crate::web) mod explain;
mod policies;
pub(super) mod control;
pub mod approvals;
mod whoami;
#[cfg(test)]
pub(crate) mod fixture;

use std::sync::Arc;

use homeostat_core::name::IncidentId;
use thiserror::Error;
use tokio::sync::Semaphore;

use super::Web;
use crate::access::{Gate, Permission, Routes};
use crate::deeds::{Deeds, Search};
pub use crate::incidents::{AllOpen, Closings, Filter, Numbered, Open, Page, Story};
pub use fold::fold;
#[cfg(test)]
pub(crate) use openapi::tests::described;
pub use status::Status;
use stream::Hub;

/// Readings of the journal at once. More would only wait for the same disk.
const READERS: usize = 8;

/// Accounts of the guards at once. The engine gives them between its turns, and must not spend
/// those on readers.
const ASKERS: usize = 2;

/// Why the journal gives no answer.
#[derive(Debug, Error)]
#[error("the journal cannot be read: {0}")]
pub struct ReadError(pub String);

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

    /// Gives the number of the last fact; 0 where there is none.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    fn last(&self) -> Result<i64, ReadError>;

    /// Gives the facts after the one of this number, in order, at most so many.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    fn follow(&self, after: i64, most: usize) -> Result<Vec<Numbered>, ReadError>;

    /// Gives the numbers of all incidents that are open, and the stories of so many of the newest ones.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    fn all_open(&self, most: usize) -> Result<AllOpen, ReadError>;

    /// Gives the story of an incident before the fact of this number; without any fact where it had not
    /// opened then, or is gone.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    fn story_before(&self, id: IncidentId, before: i64) -> Result<Story, ReadError>;

    /// Tells what became of the incidents that closed on these days in UTC, counted from 1970-01-01,
    /// the last one not among them; by day, then by policy.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    fn days(&self, from: i64, until: i64) -> Result<Vec<Closings>, ReadError>;

    /// Lists what people did, the last deed first.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    fn deeds(&self, search: &Search) -> Result<Deeds, ReadError>;
}

/// What the handlers share, those of pages too.
pub(super) struct Api {
    pub(super) web: Web,
    readers: Semaphore,
    askers: Semaphore,
    hub: Hub,
}

impl Api {
    pub(super) fn new(web: &Web) -> Self {
        let (readers, askers) = (Semaphore::new(READERS), Semaphore::new(ASKERS));
        Self { web: web.clone(), readers, askers, hub: Hub::new() }
    }
}

pub(super) fn routes(api: &Arc<Api>) -> Routes {
    Routes::new()
        .get("/api/v1/incidents", Permission::View, incidents::list)
        .get("/api/v1/incidents/{id}", Permission::View, incidents::one)
        .post("/api/v1/incidents/{id}/approve", Permission::Approve, control::approve)
        .post("/api/v1/incidents/{id}/reject", Permission::Approve, control::reject)
        .post("/api/v1/incidents/{id}/cancel", Permission::Operate, control::cancel)
        .post("/api/v1/incidents/{id}/retry", Permission::Operate, control::retry)
        .get("/api/v1/stream", Permission::View, stream::show)
        .get("/api/v1/approvals", Permission::View, approvals::list)
        .post("/api/v1/approvals/{id}/revoke", Permission::Approve, approvals::revoke)
        .get("/api/v1/alerts", Permission::View, alerts::list)
        .get("/api/v1/history", Permission::View, history::show)
        .get("/api/v1/openapi.json", Gate::Enter, openapi::show)
        .get("/api/v1/audit", Permission::View, audit::list)
        .get("/api/v1/policies", Permission::View, policies::list)
        .get("/api/v1/explain", Permission::View, explain::show)
        .get("/api/v1/status", Permission::View, status::show)
        .get("/api/v1/whoami", Gate::Enter, whoami::show)
        .post("/api/v1/pause", Permission::Operate, control::pause)
        .post("/api/v1/resume", Permission::Operate, control::resume)
        .with_state(api.clone())
}
