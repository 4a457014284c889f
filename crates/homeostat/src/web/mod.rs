//! Our own HTTP: for operators, for Prometheus, and the gate before every route.
//!
//! ```text
//!  doors ─> server ─┬─> refusals ─> guard ─┬─> intake's routes (given by the app)
//!                   └─> wicket: repeats    ├─> api    /api/v1/…
//!                                          ├─> admin  /-/…, /metrics
//!                                          ├─> signin /-/session, /-/session/oidc
//!                                          └─> pages  /, /incidents/…
//! ```
//!
//! Duty: find out who comes and let in who may ([`entrance`], [`origin`], [`guard`]), answer what is asked from what
//! is committed, and hand an operator's commands to the queue.
//! Not its duty: reading alerts, which is `intake`'s, and storage: `api` asks a [`api::History`].
//!
//! There is no redirect anywhere: Alertmanager would follow it without its body, and what a form asks
//! for is answered by the page that follows.

pub mod refusals;
pub mod exposure;
pub mod origin;
pub mod auth;
pub mod certificate;
pub mod tls;
mod random;
mod hearing;
mod passwords;
pub mod listening;
pub mod peer;
pub mod socket;
pub mod oidc;
mod sessions;
pub mod entrance;
pub mod guard;
pub mod answer;
pub mod api;
mod admin;
mod signin;
mod pages;
mod impatient;
mod streams;
pub mod wicket;
pub mod server;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::Extension;
use axum::middleware;
use axum::response::{IntoResponse as _, Response};
use homeostat_core::approval::StandingApproval;
use homeostat_core::name::BootId;
use homeostat_core::operator::Operator;
use homeostat_core::policy::Book;
use homeostat_core::shadow::Scores;
use tokio::sync::watch;

use crate::access::{Arrival, Refusal, Routes};
use crate::queue::Queue;
use crate::telemetry::Metrics;
use api::board::Board;
use api::{Api, History, Status};
use guard::Guard;
use refusals::{NOTHING_HERE, Reason, because};

/// What a reload comes to: nothing, or what is wrong, for a person.
pub type Reloading = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// Gives what a run has printed by now, by its order and the life of the engine that issued it.
pub type Printed = Arc<dyn Fn(&str, &BootId) -> String + Send + Sync>;

/// All that the routes are made of. The app gives it.
#[derive(Clone)]
pub struct Web {
    /// Who may come in.
    pub guard: Arc<Guard>,
    /// The way to the engine.
    pub queue: Queue,
    /// What is printed at `/metrics`.
    pub metrics: Arc<Metrics>,
    /// The journal, for reading.
    pub history: Arc<dyn History>,
    /// What is open, kept up to date.
    pub board: Arc<Board>,
    /// Whether the engine stops: who listens is let go.
    pub stopping: watch::Receiver<bool>,
    /// Tells how things stand now.
    pub status: Arc<dyn Fn() -> Status + Send + Sync>,
    /// Gives the book in force.
    pub book: Arc<dyn Fn() -> Arc<Book> + Send + Sync>,
    /// Gives what remedies in shadow would have been worth.
    pub scores: Arc<dyn Fn() -> Arc<Scores> + Send + Sync>,
    /// Gives what people have approved ahead.
    pub approvals: Arc<dyn Fn() -> Vec<Arc<StandingApproval>> + Send + Sync>,
    /// Gives what a run has printed by now.
    pub printed: Printed,
    /// Reads the configuration again, because somebody asks for it.
    pub reload: Arc<dyn Fn(Operator) -> Reloading + Send + Sync>,
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Web").field("guard", &self.guard).finish_non_exhaustive()
    }
}

/// All routes, those of `intake` too.
pub fn routes(web: &Web, intake: Routes) -> Routes {
    let api = Arc::new(Api::new(web));
    intake
        .merge(api::routes(&api))
        .merge(pages::routes(&api))
        .merge(admin::routes(web))
        .merge(signin::routes(web))
}

/// Joins all routes behind the guard.
pub fn router(web: &Web, intake: Routes) -> Router {
    let guard = web.guard.clone();
    routes(web, intake)
        .into_router()
        .fallback(fallback)
        .method_not_allowed_fallback(not_allowed)
        .layer(middleware::from_fn_with_state(guard, guard::stand))
}

/// Strangers are not told what there is.
async fn fallback(Extension(arrival): Extension<Arrival>, uri: axum::http::Uri) -> Response {
    arrival.0.map_or_else(Refusal::into_response, |_| nothing_here(&uri))
}

fn nothing_here(uri: &axum::http::Uri) -> Response {
    let status = axum::http::StatusCode::NOT_FOUND;
    because(Reason::UnknownPath, answer::problem(uri.path(), status, NOTHING_HERE))
}

async fn not_allowed(Extension(arrival): Extension<Arrival>, uri: axum::http::Uri) -> Response {
    if let Err(refusal) = arrival.0 {
        return refusal.into_response();
    }
    let status = axum::http::StatusCode::METHOD_NOT_ALLOWED;
    let answer = answer::problem(uri.path(), status, "this method is not allowed here");
    because(Reason::WrongMethod, answer)
}

#[cfg(test)]
mod tests;
