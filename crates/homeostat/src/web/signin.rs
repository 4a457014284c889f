//! Signing in and out, for browsers: a session in a cookie instead of credentials in each request.
//!
//! | route | does |
//! |---|---|
//! | `GET /-/session` | tells who is signed in, what forms must show, and how one can sign in |
//! | `POST /-/session` | signs in: `{"user", "password"}` or `{"token"}` |
//! | `DELETE /-/session` | signs out |
//!
//! The cookie is for this server alone, is not seen by scripts, and goes with no request of another
//! site. What changes something must show the form token of its session, besides: the guard sees to it.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Extension, State};
use axum::http::header::SET_COOKIE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::json;

use super::entrance::{Entrance, FormToken};
use super::{Web, answer};
use crate::access::{Arrival, Gate, Refusal, Routes};

/// Bytes that a sign-in may have.
const MOST_BYTES: usize = 16 * 1024;

pub(super) fn routes(web: &Web) -> Routes {
    Routes::new()
        .get(answer::SESSION, Gate::Enter, show)
        .post(answer::SESSION, Gate::Enter, sign_in)
        .delete(answer::SESSION, Gate::Enter, sign_out)
        .with_state(web.guard.entrance.clone())
}

/// What somebody signs in with.
#[derive(Deserialize)]
#[serde(untagged)]
enum Credentials {
    Password { user: String, password: String },
    Token { token: String },
}

async fn show(
    State(entrance): State<Arc<Entrance>>,
    Extension(arrival): Extension<Arrival>,
    form_token: Option<Extension<FormToken>>,
) -> Response {
    let identity = arrival.0.ok().map(|caller| caller.identity().to_string());
    let form_token = form_token.map(|Extension(FormToken(token))| token);
    let ways = entrance.ways();
    let known = json!({ "identity": identity, "form_token": form_token, "ways": ways });
    answer::json(StatusCode::OK, &known)
}

async fn sign_in(State(entrance): State<Arc<Entrance>>, parts: Parts, body: Body) -> Response {
    let is_json = super::guard::is_json(&parts.headers);
    let bytes = to_bytes(body, MOST_BYTES).await.unwrap_or_default();
    let read: Option<Credentials> = serde_json::from_slice(&bytes).ok().filter(|_| is_json);
    let signed_in = match read {
        Some(Credentials::Password { user, password }) => {
            entrance.sign_in_by_password(&user, password.as_bytes()).await
        }
        Some(Credentials::Token { token }) => entrance.sign_in_by_token(&token),
        None => {
            let message = "expected {\"user\": …, \"password\": …} or {\"token\": …} as JSON";
            return answer::problem(answer::SESSION, StatusCode::BAD_REQUEST, message);
        }
    };
    match signed_in {
        Ok((identity, secret, form_token)) => {
            tracing::info!(%identity, "somebody signed in");
            let known = json!({ "identity": identity.to_string(), "form_token": form_token });
            let mut response = answer::json(StatusCode::OK, &known);
            set(response.headers_mut(), &entrance.cookie(parts.extensions.get(), &secret));
            response
        }
        Err(why) => Refusal::Unknown(why).into_response(),
    }
}

async fn sign_out(State(entrance): State<Arc<Entrance>>, parts: Parts) -> Response {
    if let Some(secret) = entrance.secret_in(&parts.headers, parts.extensions.get()) {
        entrance.sign_out(&secret);
    }
    let mut response = answer::json(StatusCode::OK, &json!({ "identity": null }));
    set(response.headers_mut(), &entrance.cookie(parts.extensions.get(), ""));
    response
}

/// Sets a cookie, or clears it where it is empty.
fn set(headers: &mut HeaderMap, cookie: &str) {
    if let Ok(value) = HeaderValue::try_from(cookie) {
        headers.append(SET_COOKIE, value);
    }
}
