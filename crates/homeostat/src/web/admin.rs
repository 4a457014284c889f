//! What Prometheus and supervisors ask: alive, ready, metrics; and the order to reload.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::{Web, answer};
use crate::access::{Caller, Gate, Permission, Refusal, Routes, Subject};
use crate::telemetry::Metrics;

pub(super) fn routes(web: &Web) -> Routes {
    Routes::new()
        .get("/-/healthy", Gate::Open, healthy)
        .get("/-/ready", Gate::Open, ready)
        .post_or_put("/-/reload", Permission::Administer, reload)
        .get("/metrics", Permission::View, metrics)
        .with_state(Arc::new(web.clone()))
}

async fn healthy() -> Response {
    answer::text(StatusCode::OK, "Homeostat is Healthy.")
}

async fn ready(State(web): State<Arc<Web>>) -> Response {
    let not_ready = (web.status)().not_ready;
    match not_ready.or_else(|| web.queue.trouble()) {
        None => answer::text(StatusCode::OK, "Homeostat is Ready."),
        Some(reason) => answer::text(
            StatusCode::SERVICE_UNAVAILABLE,
            &format!("Homeostat is not ready: {reason}."),
        ),
    }
}

async fn reload(State(web): State<Arc<Web>>, caller: Caller) -> Response {
    match (web.reload)(caller.operator(String::new())).await {
        Ok(()) => answer::text(StatusCode::OK, "the configuration was read again"),
        Err(error) => answer::text(
            StatusCode::INTERNAL_SERVER_ERROR,
            &format!("failed to reload the configuration: {error}"),
        ),
    }
}

/// They name policies and count over all of them: who sees some of these only, sees none of it.
async fn metrics(State(web): State<Arc<Web>>, caller: Caller) -> Result<Response, Refusal> {
    caller.may(Permission::View, &Subject::Everything)?;
    web.metrics.set_queue_length(web.queue.len());
    Ok(answer::with_type(StatusCode::OK, Metrics::CONTENT_TYPE, web.metrics.print()))
}
