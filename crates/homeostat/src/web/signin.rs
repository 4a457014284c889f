//! Signing in and out, for browsers: a session in a cookie instead of credentials in each request.
//!
//! | route | does |
//! |---|---|
//! | `GET /-/session` | tells who is signed in, what forms must show, and how one can sign in |
//! | `POST /-/session` | signs in: `{"user", "password"}`, `{"token"}`, or `{"code", "state"}` of a provider |
//! | `DELETE /-/session`, `POST /sign-out` | signs out |
//! | `POST /-/session/oidc` | begins to sign in at a provider: tells where |
//!
//! A form of a page is answered by a page, which leads to where its field `next` says.
//!
//! The cookies are for this server alone, are not seen by scripts, and go with no request of another
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

use super::entrance::{Entrance, FormToken, SignedIn};
use super::guard::is_form;
use super::oidc::{Back, SignInError};
use super::refusals::{Details, Reason, because};
use super::{Web, answer, pages};
use crate::access::{Arrival, Gate, Refusal, Routes, Stranger};

/// Bytes that a sign-in may have.
const MOST_BYTES: usize = 16 * 1024;

pub(super) fn routes(web: &Web) -> Routes {
    Routes::new()
        .get(answer::SESSION, Gate::Enter, show)
        .post(answer::SESSION, Gate::Enter, sign_in)
        .delete(answer::SESSION, Gate::Enter, sign_out)
        .post("/sign-out", Gate::Enter, sign_out)
        .post(answer::PROVIDER, Gate::Enter, go_elsewhere)
        .with_state(web.guard.entrance.clone())
}

/// What somebody signs in with.
#[derive(Deserialize)]
#[serde(untagged)]
enum Credentials {
    Password { user: String, password: String },
    Token { token: String },
    Provider(Back),
}

async fn show(
    State(entrance): State<Arc<Entrance>>,
    Extension(arrival): Extension<Arrival>,
    form_token: Option<Extension<FormToken>>,
) -> Response {
    let identity = arrival.0.ok().map(|caller| caller.identity().to_string());
    let form_token = form_token.map(|Extension(FormToken(token))| token);
    let provider = entrance.provider().and_then(|provider| provider.name());
    let ways = entrance.ways();
    answer::json(
        StatusCode::OK,
        &json!({
            "identity": identity,
            "form_token": form_token,
            "ways": ways,
            "provider": provider,
        }),
    )
}

/// What a form of a page says.
#[derive(Default, Deserialize)]
struct Form {
    #[serde(default)]
    user: String,
    #[serde(default)]
    secret: String,
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    #[serde(default)]
    next: String,
}

impl Form {
    async fn read(body: Body) -> Self {
        let bytes = to_bytes(body, MOST_BYTES).await.unwrap_or_default();
        serde_urlencoded::from_bytes(&bytes).unwrap_or_default()
    }

    fn credentials(self) -> Credentials {
        let Self { user, secret, code, state, iss, .. } = self;
        match (code, state) {
            (Some(code), Some(state)) => Credentials::Provider(Back { code, state, iss }),
            _ if user.trim().is_empty() => Credentials::Token { token: secret },
            _ => Credentials::Password { user: user.trim().to_owned(), password: secret },
        }
    }
}

async fn sign_in(State(entrance): State<Arc<Entrance>>, parts: Parts, body: Body) -> Response {
    let (read, next) = if is_form(&parts.headers) {
        let form = Form::read(body).await;
        let next = Some(form.next.clone());
        (Some(form.credentials()), next)
    } else {
        let is_json = super::guard::is_json(&parts.headers);
        let bytes = to_bytes(body, MOST_BYTES).await.unwrap_or_default();
        (serde_json::from_slice(&bytes).ok().filter(|_| is_json), None)
    };
    let peer = parts.extensions.get();
    let signed_in = match read {
        Some(Credentials::Password { user, password }) => {
            entrance.sign_in_by_password(&user, password.as_bytes()).await
        }
        Some(Credentials::Token { token }) => entrance.sign_in_by_token(&token),
        Some(Credentials::Provider(back)) => {
            let signed_in = entrance.sign_in_by_provider(&parts.headers, peer, &back).await;
            // Where they were when they went to the provider.
            let next = next.map(|_| entrance.place_before(&parts.headers, peer));
            let mut response = match signed_in {
                Ok(signed_in) => welcome(&entrance, &parts, &signed_in, next.as_deref()),
                Err(error) => refuse(&entrance, &parts, &error, next.is_some()),
            };
            set(response.headers_mut(), &entrance.pending_cookie(peer, "", ""));
            return response;
        }
        None => {
            let message = "expected {\"user\": …, \"password\": …}, {\"token\": …} or \
                           {\"code\": …, \"state\": …} as JSON";
            return answer::problem(answer::SESSION, StatusCode::BAD_REQUEST, message);
        }
    };
    match signed_in {
        Ok(signed_in) => welcome(&entrance, &parts, &signed_in, next.as_deref()),
        Err(why) => Refusal::Unknown(why).into_response(),
    }
}

/// Greets who has signed in: by a page, if they did by one.
fn welcome(
    entrance: &Entrance,
    parts: &Parts,
    signed_in: &SignedIn,
    next: Option<&str>,
) -> Response {
    let SignedIn { identity, secret, form_token } = signed_in;
    tracing::info!(%identity, "somebody signed in");
    let known = json!({ "identity": identity.to_string(), "form_token": form_token });
    let mut response = match next {
        Some(next) => pages::go_on(&parts.uri, next),
        None => answer::json(StatusCode::OK, &known),
    };
    set(response.headers_mut(), &entrance.cookie(parts.extensions.get(), secret));
    response
}

/// Tells why nobody could sign in by a provider.
fn refuse(entrance: &Entrance, parts: &Parts, error: &SignInError, is_page: bool) -> Response {
    let message = error.to_string();
    let answer = |status| {
        if is_page {
            pages::refused(entrance, status, &message, &parts.uri)
        } else {
            answer::problem(answer::SESSION, status, &message)
        }
    };
    let (status, reason) = match error {
        SignInError::NotOffered => return answer(StatusCode::BAD_REQUEST),
        SignInError::NoAnswer(_) => (StatusCode::SERVICE_UNAVAILABLE, Reason::NoProvider),
        SignInError::Crowded => (StatusCode::SERVICE_UNAVAILABLE, Reason::Crowded),
        SignInError::Token(Stranger::Expired) => (StatusCode::UNAUTHORIZED, Reason::Expired),
        SignInError::NotBegun | SignInError::Refused(_) | SignInError::Token(_) => {
            (StatusCode::UNAUTHORIZED, Reason::WrongCredentials)
        }
    };
    let mut response = because(reason, answer(status));
    response.extensions_mut().insert(Details(message));
    response
}

async fn go_elsewhere(State(entrance): State<Arc<Entrance>>, parts: Parts, body: Body) -> Response {
    let next = if is_form(&parts.headers) { Some(Form::read(body).await.next) } else { None };
    let begun = match entrance.provider() {
        Some(provider) => provider.begin().await,
        None => Err(SignInError::NotOffered),
    };
    match begun {
        Ok(begun) => {
            let mut response = match next {
                Some(_) => pages::go_to(begun.url.as_str()),
                None => answer::json(StatusCode::OK, &json!({ "url": begun.url.as_str() })),
            };
            let place = next.unwrap_or_default();
            let cookie = entrance.pending_cookie(parts.extensions.get(), &begun.cookie, &place);
            set(response.headers_mut(), &cookie);
            response
        }
        Err(error) => refuse(&entrance, &parts, &error, next.is_some()),
    }
}

async fn sign_out(State(entrance): State<Arc<Entrance>>, parts: Parts) -> Response {
    if let Some(secret) = entrance.secret_in(&parts.headers, parts.extensions.get()) {
        entrance.sign_out(&secret);
    }
    let mut response = if is_form(&parts.headers) {
        pages::go_on(&parts.uri, "/")
    } else {
        answer::json(StatusCode::OK, &json!({ "identity": null }))
    };
    set(response.headers_mut(), &entrance.cookie(parts.extensions.get(), ""));
    response
}

/// Sets a cookie, or clears it where it is empty.
fn set(headers: &mut HeaderMap, cookie: &str) {
    if let Ok(value) = HeaderValue::try_from(cookie) {
        headers.append(SET_COOKIE, value);
    }
}
