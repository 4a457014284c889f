//! An operator's commands: committed before they are answered.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use homeostat_core::event::Event;
use serde::Deserialize;
use serde_json::json;

use super::Api;
use crate::web::answer;

/// Bytes that a command may have.
const MOST_BYTES: usize = 16 * 1024;

/// Characters that an operator's name may have.
const MOST_NAME: usize = 200;

/// Characters that a reason may have.
const MOST_REASON: usize = 2000;

/// Who commands, and why.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Command {
    by: String,
    #[serde(default)]
    reason: String,
}

pub(super) async fn pause(State(api): State<Arc<Api>>, body: Body) -> Response {
    match read(body, true).await {
        Ok(Command { by, reason }) => {
            tracing::info!(by, reason, "an operator pauses");
            perform(&api, Event::Pause { by, reason }, true).await
        }
        Err(message) => refuse(&message),
    }
}

pub(super) async fn resume(State(api): State<Arc<Api>>, body: Body) -> Response {
    match read(body, false).await {
        Ok(Command { by, reason }) => {
            tracing::info!(by, reason, "an operator resumes");
            perform(&api, Event::Resume { by }, false).await
        }
        Err(message) => refuse(&message),
    }
}

async fn perform(api: &Api, event: Event, paused: bool) -> Response {
    match api.web.queue.command(event).await {
        Ok(()) => answer::json(StatusCode::OK, &json!({ "paused": paused })),
        Err(busy) => {
            let error = json!({ "error": busy.to_string() });
            answer::json(StatusCode::SERVICE_UNAVAILABLE, &error)
        }
    }
}

fn refuse(message: &str) -> Response {
    answer::json(StatusCode::BAD_REQUEST, &json!({ "error": message }))
}

async fn read(body: Body, needs_reason: bool) -> Result<Command, String> {
    let bytes = to_bytes(body, MOST_BYTES).await;
    let bytes = bytes.map_err(|_| format!("expected a body of at most {MOST_BYTES} bytes"))?;
    let command: Command = serde_json::from_slice(&bytes)
        .map_err(|error| format!("expected {{\"by\": …, \"reason\": …}}: {error}"))?;
    let by = within("by", &command.by, MOST_NAME)?;
    let reason = within("reason", &command.reason, MOST_REASON)?;
    if by.is_empty() {
        return Err("\"by\" is empty: say who you are".into());
    }
    if needs_reason && reason.is_empty() {
        return Err("\"reason\" is empty: say why, for whoever reads it at night".into());
    }
    Ok(Command { by, reason })
}

fn within(name: &str, text: &str, most: usize) -> Result<String, String> {
    let text = text.trim();
    if text.chars().count() > most {
        return Err(format!("{name:?} is too long: expected at most {most} characters"));
    }
    Ok(text.to_owned())
}
