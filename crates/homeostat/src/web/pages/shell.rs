//! The frame around every page: where one is, who one is, and what is wrong with *us*.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::FromRequestParts;
use axum::http::header::{CONTENT_SECURITY_POLICY, HeaderValue, REFERRER_POLICY};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use homeostat_core::time::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use super::words;
use crate::access::{Caller, Identity, Permission, Refusal};
use crate::web::answer;
use crate::web::api::{Api, Status};
use crate::web::entrance::FormToken;

const STYLE: &str = include_str!("assets/style.css");
const MORPH: &str = include_str!("assets/idiomorph.min.js");
const SCRIPT: &str = include_str!("assets/live.js");

/// The pages that stand in the bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Now,
    Incidents,
    Policies,
    Alerts,
    History,
    Audit,
    /// None of them.
    Elsewhere,
}

const BAR: [(Place, &str, &str); 6] = [
    (Place::Now, "./", "Now"),
    (Place::Incidents, "incidents", "Incidents"),
    (Place::Policies, "policies", "Policies"),
    (Place::Alerts, "alerts", "Alerts"),
    (Place::History, "history", "History"),
    (Place::Audit, "audit", "Audit"),
];

/// Who looks at a page, from where, and when.
#[derive(Debug, Clone)]
pub(super) struct Viewer {
    pub(super) caller: Caller,
    /// What the forms of their session must show.
    pub(super) form_token: Option<String>,
    /// The address of the page.
    pub(super) uri: Uri,
    pub(super) now: Timestamp,
    /// Whether there is a way to be somebody else.
    can_sign_in: bool,
}

impl FromRequestParts<Arc<Api>> for Viewer {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<Api>) -> Result<Self, Refusal> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let form_token = parts.extensions.get().map(|FormToken(token)| token.clone());
        let can_sign_in = !state.web.guard.entrance.ways().is_empty();
        Ok(Self { caller, form_token, uri: parts.uri.clone(), now: now(), can_sign_in })
    }
}

impl Viewer {
    /// The field that a form must have.
    pub(super) fn form_field(&self) -> Markup {
        html! {
            @if let Some(token) = &self.form_token {
                input type="hidden" name=(super::FORM_TOKEN) value=(token);
            }
        }
    }
}

/// The time of this machine.
pub(super) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// A page before its frame is around it.
pub(super) struct Page {
    pub(super) here: Place,
    /// Without the name of the product.
    pub(super) title: String,
    /// Whether it is kept true while somebody looks.
    pub(super) is_live: bool,
    /// The address that it is read from, where this is not it.
    pub(super) place: Option<String>,
    pub(super) body: Markup,
}

impl Page {
    pub(super) fn live(here: Place, title: impl Into<String>, body: Markup) -> Self {
        Self { here, title: title.into(), is_live: true, place: None, body }
    }

    pub(super) fn still(here: Place, title: impl Into<String>, body: Markup) -> Self {
        Self { is_live: false, ..Self::live(here, title, body) }
    }
}

/// Puts the frame around a page for somebody who is let in.
pub(super) fn frame(viewer: &Viewer, status: &Status, code: StatusCode, page: &Page) -> Response {
    let waiting = status.incidents_open.get("awaiting_approval").copied().unwrap_or_default();
    let title = match waiting {
        0 => page.title.clone(),
        some => format!("({some}) needs you · {}", page.title),
    };
    let bar = html! {
        nav aria-label="Pages" {
            ul {
                @for (place, path, name) in BAR {
                    li { a href=(path) aria-current=[(place == page.here).then_some("page")] { (name) } }
                }
            }
        }
        div class="who" { (who(viewer)) }
    };
    let body = html! { (troubles(viewer, status)) (page.body) };
    let foot = html! {
        span { "Homeostat " (status.version) }
        @if let Some(file) = &status.config.file { span { "configuration " (file) } }
        span { "as of " (words::moment(viewer.now)) }
        span { "times in " button class="quiet" id="zone" type="button" { "UTC" } }
        (keys())
    };
    let whole = document(&title, page, viewer.uri.path(), viewer.now, &bar, &body, &foot);
    respond(code, whole)
}

/// Puts the frame around a page for somebody who is not.
pub(super) fn bare(
    code: StatusCode,
    path: &str,
    title: &str,
    place: Option<String>,
    body: &Markup,
) -> Response {
    let title = title.to_owned();
    let page = Page { here: Place::Elsewhere, title, is_live: false, place, body: html! {} };
    let foot = html! { span { "Homeostat" } };
    respond(code, document(&page.title, &page, path, now(), &html! {}, body, &foot))
}

/// The way from a page to the first one: what stands before that is not ours to know, as a prefix is.
pub(super) fn root(path: &str) -> String {
    match path.trim_start_matches('/').matches('/').count() {
        0 => "./".to_owned(),
        depth => "../".repeat(depth),
    }
}

fn document(
    title: &str,
    page: &Page,
    path: &str,
    now: Timestamp,
    bar: &Markup,
    body: &Markup,
    foot: &Markup,
) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Homeostat" }
                base href=(root(path));
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body data-live=(if page.is_live { "yes" } else { "no" }) data-place=[page.place.as_deref()] {
                a class="hidden skip" href={ (path.trim_start_matches('/')) "#main" } { "Skip to the page" }
                header class="bar" {
                    div id="bar" { a class="brand" href="./" { "Homeostat" } (bar) }
                }
                main id="main" tabindex="-1" data-now=(now.micros() / 1000) {
                    p id="age" role="status" {}
                    (body)
                }
                footer class="foot" id="foot" { (foot) }
                script { (PreEscaped(MORPH)) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
}

fn respond(code: StatusCode, page: Markup) -> Response {
    let mut response = answer::with_type(code, "text/html; charset=utf-8", page.into_string());
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, policy());
    // Forms say where they come from, to us alone.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

/// Our style and our scripts are named by their hashes, so that a browser runs nothing else, whatever a
/// label may say.
fn policy() -> HeaderValue {
    static POLICY: std::sync::LazyLock<HeaderValue> = std::sync::LazyLock::new(|| {
        let hash =
            |text: &str| format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text)));
        let text = format!(
            "default-src 'none'; script-src {} {}; style-src {}; connect-src 'self'; img-src data:; \
             base-uri 'self'; form-action 'self'; frame-ancestors 'none'",
            hash(MORPH),
            hash(SCRIPT),
            hash(STYLE)
        );
        HeaderValue::from_str(&text).expect("a policy is visible ASCII")
    });
    POLICY.clone()
}

fn who(viewer: &Viewer) -> Markup {
    let identity = viewer.caller.identity();
    html! {
        @if *identity == Identity::Anonymous {
            @if viewer.can_sign_in { a href="sign-in" { "Sign in" } }
        } @else {
            span id="who" { (identity) }
        }
        @if viewer.form_token.is_some() {
            form method="post" action="sign-out" {
                (viewer.form_field())
                button class="quiet" id="out" { "Sign out" }
            }
        }
    }
}

fn keys() -> Markup {
    html! {
        details id="keys" {
            summary { "Keys" }
            "j, k: next, previous · Enter: open · a: approve · r: reject · p: pause or resume · ?: this"
        }
    }
}

/// What is wrong with us, each with what ends it.
fn troubles(viewer: &Viewer, status: &Status) -> Markup {
    let may = |permission| viewer.caller.may_all(permission);
    html! {
        @if let Some(why) = &status.not_ready {
            div class="strip" role="alert" { p { b { "Not ready: " } (why) } }
        }
        @if let Some(pause) = &status.paused {
            div class="strip" role="alert" {
                p {
                    b { "Paused" } " by " (pause.by) " since " (words::since(pause.since, viewer.now))
                    ": nothing is started. "
                    @if !pause.reason.is_empty() { q { (pause.reason) } }
                }
                @if may(Permission::Operate) {
                    a class="deed" data-deed="resume" href="resume" { "Resume…" }
                }
            }
        }
        @if let Some(error) = &status.config.last_error {
            div class="strip" role="alert" {
                div {
                    p { b { "The configuration has an error" } "; the one of before is in force." }
                    pre { (error) }
                }
                @if may(Permission::Administer) {
                    a class="deed" href="reload" { "Reload…" }
                }
            }
        }
        @if status.config.file.is_none() {
            div class="strip mild" {
                p { b { "No configuration" } ": every alert is recorded, and nothing is done." }
            }
        }
    }
}

/// The page says how things stand, too.
pub(super) async fn standing(api: &Arc<Api>, viewer: &Viewer) -> Result<Status, Response> {
    crate::web::api::status::seen(api, &viewer.caller).await
}
