//! The pages: what an operator sees, and does.
//!
//! ```text
//!  request ─> Viewer ─> journal, status, book ─> a page ─> shell ─> HTML
//!  form ─> the guard has seen its token ─> deed ─> queue ─> the page again, with what came of it
//! ```
//!
//! They are made here and work without a script. With one, what changed is drawn anew while somebody
//! looks, and times count on. Whatever they show and do, the API shows and does.
//!
//! *Not* the duty of this room: who may come in, and deciding anything.

mod ahead;
mod alerts;
mod audit;
mod deed;
mod explain;
mod history;
mod incident;
mod incidents;
mod ladder;
mod look;
mod now;
mod policies;
mod shell;
mod sign_in;
mod words;

use std::sync::Arc;

use axum::response::Response;

use super::api::Api;
use crate::access::{Gate, Permission, Routes};

pub(super) use sign_in::{go_on, go_to, is_page, refused};

/// The field by which a form shows the token of its session.
pub(super) const FORM_TOKEN: &str = "csrf";

/// Pages, or why there is none.
type Answer = Result<Response, Response>;

pub(super) fn routes(api: &Arc<Api>) -> Routes {
    Routes::new()
        .get("/", Permission::View, now::show)
        .get("/incidents", Permission::View, incidents::show)
        .get("/incidents/{id}", Permission::View, incident::show)
        .get("/incidents/{id}/approve", Permission::Approve, deed::ask_approve)
        .get("/incidents/{id}/reject", Permission::Approve, deed::ask_reject)
        .get("/incidents/{id}/cancel", Permission::Operate, deed::ask_cancel)
        .get("/incidents/{id}/retry", Permission::Operate, deed::ask_retry)
        .post("/incidents/{id}/approve", Permission::Approve, deed::approve)
        .post("/incidents/{id}/reject", Permission::Approve, deed::reject)
        .post("/incidents/{id}/cancel", Permission::Operate, deed::cancel)
        .post("/incidents/{id}/retry", Permission::Operate, deed::retry)
        .get("/policies", Permission::View, policies::show)
        .get("/approvals/{id}/revoke", Permission::Approve, ahead::ask_revoke)
        .post("/approvals/{id}/revoke", Permission::Approve, ahead::revoke)
        .get("/alerts", Permission::View, alerts::show)
        .get("/explain", Permission::View, explain::show)
        .get("/history", Permission::View, history::show)
        .get("/audit", Permission::View, audit::show)
        .get("/pause", Permission::Operate, deed::ask_pause)
        .get("/resume", Permission::Operate, deed::ask_resume)
        .get("/reload", Permission::Administer, deed::ask_reload)
        .post("/pause", Permission::Operate, deed::pause)
        .post("/resume", Permission::Operate, deed::resume)
        .post("/reload", Permission::Administer, deed::reload)
        .get("/sign-in", Gate::Enter, sign_in::show)
        .with_state(api.clone())
}
