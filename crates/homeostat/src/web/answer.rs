//! Answers: JSON for programs, plain text for people.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// Where pages sign in.
pub const SESSION: &str = "/-/session";

/// Where pages begin to sign in at a provider.
pub const PROVIDER: &str = "/-/session/oidc";

/// The type of what says that something is wrong (RFC 9457).
pub const PROBLEM: &str = "application/problem+json";

/// Bytes of a hash that are a tag: nobody is fooled by it but who asks.
const TAG_BYTES: usize = 16;

/// Answers with JSON.
pub fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => with_type(status, "application/json", bytes),
        Err(error) => unwritten(&error),
    }
}

/// Answers with JSON, and a tag by which whoever asks again learns that nothing has changed.
pub fn tagged_json(asked: &HeaderMap, value: &impl Serialize) -> Response {
    let bytes = match serde_json::to_vec(value) {
        Ok(bytes) => bytes,
        Err(error) => return unwritten(&error),
    };
    let hash = Sha256::digest(&bytes);
    let tag = format!("\"{}\"", BASE64_URL_SAFE_NO_PAD.encode(&hash[..TAG_BYTES]));
    let mut response = if is_known(asked, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        with_type(StatusCode::OK, "application/json", bytes)
    };
    let tag = HeaderValue::from_str(&tag).expect("letters and digits in quotes are visible ASCII");
    response.headers_mut().insert(header::ETAG, tag);
    response
}

/// Whether one of the tags that are shown is this one; a weak one is as good (RFC 9110, 13.1.2).
fn is_known(asked: &HeaderMap, tag: &str) -> bool {
    let shown = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut shown = shown.flat_map(|value| value.split(',')).map(str::trim);
    shown.any(|shown| shown == "*" || shown.strip_prefix("W/").unwrap_or(shown) == tag)
}

/// Answers that we could not write what was to be answered.
pub fn unwritten(error: &serde_json::Error) -> Response {
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

/// What is wrong, as RFC 9457 has it. What it is about, its status says: there are no types of our own.
#[derive(Debug, Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    /// The same as `detail`: so it was called before, and scripts read it.
    error: &'a str,
}

/// Answers that something is wrong: as `application/problem+json` under `/api/` and to the page that
/// signs in, else as a line of text.
pub fn problem(path: &str, status: StatusCode, message: &str) -> Response {
    if path.starts_with("/api/") || [SESSION, PROVIDER].contains(&path) {
        let problem = Problem {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: message,
            error: message,
        };
        match serde_json::to_vec(&problem) {
            Ok(bytes) => with_type(status, PROBLEM, bytes),
            Err(error) => unwritten(&error),
        }
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
