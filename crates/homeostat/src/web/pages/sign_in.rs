//! Signing in: the page for whom nobody knows, and what they are told who may not.

use axum::extract::{Extension, State};
use axum::http::header::ACCEPT;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use maud::{DOCTYPE, Markup, html};
use std::sync::Arc;

use super::shell;
use crate::access::{Arrival, Identity};
use crate::web::answer;
use crate::web::api::{Api, incidents};
use crate::web::entrance::{Entrance, FormToken};

/// What is no page, whatever a client says that it accepts.
const NO_PAGES: [&str; 4] = ["/api/", "/-/", "/hooks", "/metrics"];

/// Whether a browser wants to show what it asks for.
pub(in crate::web) fn is_page(path: &str, headers: &HeaderMap) -> bool {
    let accepts = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    let wants = accepts.is_some_and(|accept| accept.contains("text/html"));
    let is_session = [answer::SESSION, answer::PROVIDER].contains(&path);
    wants && (is_session || !NO_PAGES.iter().any(|prefix| path.starts_with(prefix)))
}

/// What a page says to whom it is not shown.
pub(in crate::web) fn refused(
    entrance: &Entrance,
    code: StatusCode,
    message: &str,
    uri: &Uri,
) -> Response {
    if code == StatusCode::UNAUTHORIZED {
        return ask(entrance, code, message, uri, None);
    }
    let body = html! {
        h1 { "You may not see this" }
        p { (message) }
        p { a class="deed" href="./" { "Now" } " " a class="deed" href="sign-in" { "Sign in as somebody else" } }
    };
    shell::bare(code, uri.path(), "You may not see this", None, &body)
}

/// Brings a browser on after it has signed in or out: to the page that it wanted, which it loads itself,
/// and so without sending anything again.
pub(in crate::web) fn go_on(uri: &Uri, next: &str) -> Response {
    let place = local(next).trim_start_matches('/');
    go_to(&format!("{}{place}", shell::root(uri.path())))
}

/// Brings a browser to another page.
pub(in crate::web) fn go_to(url: &str) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="refresh" content={ "0; url=" (url) };
                title { "Homeostat" }
            }
            body { p { a href=(url) { "Go on" } } }
        }
    };
    answer::with_type(StatusCode::OK, "text/html; charset=utf-8", page.into_string())
}

/// A place of ours; anything else is the first page.
fn local(place: &str) -> &str {
    let is_ours = place.starts_with('/')
        && !place.starts_with("//")
        && !place.contains('\\')
        && place.bytes().all(|byte| byte.is_ascii_graphic());
    if is_ours { place } else { "/" }
}

pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Extension(arrival): Extension<Arrival>,
    form_token: Option<Extension<FormToken>>,
    parts: Parts,
) -> Response {
    let is_known = arrival.0.is_ok_and(|caller| *caller.identity() != Identity::Anonymous);
    let token = form_token.map(|Extension(FormToken(token))| token);
    let message = if is_known { "You are signed in." } else { "" };
    ask(&api.web.guard.entrance, StatusCode::OK, message, &parts.uri, token.as_deref())
}

/// Asks who somebody is.
fn ask(
    entrance: &Entrance,
    code: StatusCode,
    message: &str,
    uri: &Uri,
    token: Option<&str>,
) -> Response {
    let ways = entrance.ways();
    let provider = entrance.provider().and_then(|provider| provider.name());
    let back = incidents::pairs(uri.query().unwrap_or_default()).unwrap_or_default();
    let said = |name: &str| back.iter().find(|pair| pair.0 == name).map(|pair| pair.1.as_str());
    let place = uri.path_and_query().map_or("/", |place| place.as_str());
    let comes_back = said("error").is_some() || (said("state").is_some() && said("code").is_some());
    let next = match place {
        _ if comes_back => "/",
        "/sign-in" | answer::SESSION | answer::PROVIDER => "/",
        place => local(place),
    };
    let has = |way: &'static str| ways.contains(&way);
    let hidden = |name: &str, value: &str| html! { input type="hidden" name=(name) value=(value); };
    let field = html! {
        @if let Some(token) = token { (hidden(super::FORM_TOKEN, token)) }
        (hidden("next", next))
    };
    let body = html! {
        div class="confirm" {
            h1 { "Sign in" }
            @if comes_back {
                (coming_back(&back, &field))
            } @else if !message.is_empty() {
                p id="refusal" class=(if code.is_success() { "said" } else { "said bad" }) role="alert" { (message) }
            }
            @if has("password") || has("token") {
                form id="login" method="post" action=(answer::SESSION.trim_start_matches('/')) {
                    (field)
                    @if has("password") {
                        label class="field" { "Name"
                            @if has("token") { " (none with a token)" }
                            input id="user" name="user" autocomplete="username"; }
                    }
                    label class="field" {
                        (if has("password") && has("token") { "Password or token" } else if has("token") { "Token" } else { "Password" })
                        input id="secret" name="secret" type="password" autocomplete="current-password" required;
                    }
                    div class="deeds" { button class="first" { "Sign in" } }
                }
            }
            @if let Some(name) = provider {
                form id="elsewhere" method="post" action=(answer::PROVIDER.trim_start_matches('/')) {
                    (field)
                    div class="deeds" { button id="provider" { "Sign in at " (name) } }
                }
            }
            @if ways.is_empty() { p class="soft" { "There is no way to sign in here: nobody is asked who they are." } }
        }
    };
    let place = comes_back.then(|| "./".to_owned());
    shell::bare(code, uri.path(), "Sign in", place, &body)
}

/// Hands over what a provider has sent somebody back with: by a form of ours, for our cookies go with
/// no request of another site.
fn coming_back(back: &[(String, String)], field: &Markup) -> Markup {
    let said = |name: &str| back.iter().find(|pair| pair.0 == name).map(|pair| pair.1.as_str());
    html! {
        @if said("code").is_some() {
            form id="back" method="post" action=(answer::SESSION.trim_start_matches('/')) {
                (field)
                @for name in ["code", "state", "iss"] {
                    @if let Some(value) = said(name) { input type="hidden" name=(name) value=(value); }
                }
                p { "You come back from your provider. " button class="first" { "Go on" } }
            }
        } @else {
            p id="refusal" class="said bad" role="alert" {
                "The provider did not let you in"
                @if let Some(word) = said("error").filter(|word| is_word(word)) { " (" (word) ")" }
                "."
            }
        }
    }
}

/// Whether it is a word of the protocol, and not somebody's text.
fn is_word(text: &str) -> bool {
    (1..=40).contains(&text.len())
        && text.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_elsewhere() {
        for (place, goes) in [
            ("/incidents/7?x=y", "/incidents/7?x=y"),
            ("//evil.example", "/"),
            ("/\\evil.example", "/"),
            ("https://evil.example", "/"),
            ("/a\nb", "/"),
            ("", "/"),
        ] {
            assert_eq!(local(place), goes, "{place:?}");
        }
    }

    #[test]
    fn pages_are_what_browsers_show() {
        let mut headers = HeaderMap::new();
        assert!(!is_page("/", &headers));
        headers.insert(ACCEPT, "text/html,*/*;q=0.8".parse().unwrap());
        assert!(is_page("/", &headers) && is_page("/incidents/7", &headers));
        for path in ["/api/v1/status", "/-/ready", "/hooks", "/hooks/main", "/metrics"] {
            assert!(!is_page(path, &headers), "{path}");
        }
    }
}
