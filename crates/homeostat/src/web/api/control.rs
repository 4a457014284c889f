//! An operator's commands: committed before they are answered.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use homeostat_core::approval::Digest;
use homeostat_core::command::{Command as Verb, Reply};
use homeostat_core::event::Event;
use serde::Deserialize;
use serde_json::json;

use super::Api;
use super::incidents::read_id;
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
    /// The deed that they saw, where they approve one.
    #[serde(default)]
    digest: Option<Digest>,
}

pub(super) async fn pause(State(api): State<Arc<Api>>, body: Body) -> Response {
    match read(body, true).await {
        Ok(Command { by, reason, .. }) => {
            tracing::info!(by, reason, "an operator pauses");
            perform(&api, Event::Pause { by, reason }, true).await
        }
        Err(message) => refuse(&message),
    }
}

pub(super) async fn resume(State(api): State<Arc<Api>>, body: Body) -> Response {
    match read(body, false).await {
        Ok(Command { by, reason, .. }) => {
            tracing::info!(by, reason, "an operator resumes");
            perform(&api, Event::Resume { by }, false).await
        }
        Err(message) => refuse(&message),
    }
}

pub(super) async fn approve(api: State<Arc<Api>>, id: Path<String>, body: Body) -> Response {
    command(&api, &id, Verb::Approve, body).await
}

pub(super) async fn reject(api: State<Arc<Api>>, id: Path<String>, body: Body) -> Response {
    command(&api, &id, Verb::Reject, body).await
}

pub(super) async fn cancel(api: State<Arc<Api>>, id: Path<String>, body: Body) -> Response {
    command(&api, &id, Verb::Cancel, body).await
}

pub(super) async fn retry(api: State<Arc<Api>>, id: Path<String>, body: Body) -> Response {
    command(&api, &id, Verb::Retry, body).await
}

/// Commands something about one incident, and tells what follows from it or why nothing does.
async fn command(api: &Api, id: &str, command: Verb, body: Body) -> Response {
    let Command { by, reason, digest: seen } = match read(body, false).await {
        Ok(read) => read,
        Err(message) => return refuse(&message),
    };
    let unknown = || error(StatusCode::NOT_FOUND, &format!("there is no incident {id:?}"));
    let Some(incident) = read_id(id) else { return unknown() };
    if seen.is_some() && command != Verb::Approve {
        return refuse("\"digest\" goes with an approval only");
    }
    match api.web.queue.command(Event::Command { incident, command, seen, by, reason }).await {
        Ok(Some(Reply::Taken(message))) => {
            let taken = json!({ "incident": incident.to_string(), "message": message });
            answer::json(StatusCode::OK, &taken)
        }
        Ok(Some(Reply::Refused(why))) => error(StatusCode::CONFLICT, &why),
        Ok(Some(Reply::NoIncident(_)) | None) => unknown(),
        Err(busy) => error(StatusCode::SERVICE_UNAVAILABLE, &busy.to_string()),
    }
}

async fn perform(api: &Api, event: Event, paused: bool) -> Response {
    match api.web.queue.command(event).await {
        Ok(_) => answer::json(StatusCode::OK, &json!({ "paused": paused })),
        Err(busy) => error(StatusCode::SERVICE_UNAVAILABLE, &busy.to_string()),
    }
}

fn refuse(message: &str) -> Response {
    error(StatusCode::BAD_REQUEST, message)
}

fn error(status: StatusCode, message: &str) -> Response {
    answer::json(status, &json!({ "error": message }))
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
    Ok(Command { by, reason, digest: command.digest })
}

fn within(name: &str, text: &str, most: usize) -> Result<String, String> {
    let text = text.trim();
    if text.chars().count() > most {
        return Err(format!("{name:?} is too long: expected at most {most} characters"));
    }
    Ok(text.to_owned())
}
