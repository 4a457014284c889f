//! Answers: JSON for programs, plain text for people.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// Where pages sign in.
pub const SESSION: &str = "/-/session";

/// Where pages begin to sign in at a provider.
pub const PROVIDER: &str = "/-/session/oidc";

/// Answers with JSON.
pub fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => with_type(status, "application/json", bytes),
        Err(error) => unwritten(&error),
    }
}

fn unwritten(error: &serde_json::Error) -> Response {
    tracing::error!(%error, "an answer could not be written as JSON");
    text(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be written as JSON")
}

/// Answers with a line of JSON for each value.
pub fn json_lines(values: &[impl Serialize]) -> Response {
    let lines: Result<Vec<String>, _> = values.iter().map(serde_json::to_string).collect();
    match lines {
        Ok(lines) => {
            let text: String = lines.into_iter().map(|line| line + "\n").collect();
            with_type(StatusCode::OK, "application/jsonl", text)
        }
        Err(error) => unwritten(&error),
    }
}

/// Answers with one line of text.
pub fn text(status: StatusCode, line: &str) -> Response {
    with_type(status, "text/plain; charset=utf-8", format!("{line}\n"))
}

/// Answers that something is wrong: as `{"error": …}` under `/api/` and to the page that signs in, else
/// as a line of text.
pub fn problem(path: &str, status: StatusCode, message: &str) -> Response {
    if path.starts_with("/api/") || [SESSION, PROVIDER].contains(&path) {
        json(status, &serde_json::json!({ "error": message }))
    } else {
        text(status, message)
    }
}

/// Answers with a body of a content type.
pub fn with_type(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Body>,
) -> Response {
    let mut response = (status, body.into()).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
