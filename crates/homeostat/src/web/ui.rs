//! The page at `/`: one file, no resources from elsewhere, no data of its own.
//!
//! Its style and its script are named in the content security policy by their hashes, so a
//! browser runs nothing else, whatever a label may say.

use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};

use super::answer;
use crate::access::{Gate, Routes};

const PAGE: &str = include_str!("ui.html");

pub(super) fn routes() -> Routes {
    let policy = HeaderValue::from_str(&policy()).expect("a policy is visible ASCII");
    Routes::new().get("/", Gate::Enter, async move || page(policy))
}

fn page(policy: HeaderValue) -> Response {
    let mut response = answer::with_type(StatusCode::OK, "text/html; charset=utf-8", PAGE);
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    response
}

fn policy() -> String {
    let hash = |tag: &str| inside(PAGE, tag).map(sha256).unwrap_or_default();
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash("script"),
        hash("style")
    )
}

/// What stands between a tag and its end.
fn inside<'p>(page: &'p str, tag: &str) -> Option<&'p str> {
    let (_, rest) = page.split_once(&format!("<{tag}>"))?;
    Some(rest.split_once(&format!("</{tag}>"))?.0)
}

fn sha256(text: &str) -> String {
    BASE64_STANDARD.encode(Sha256::digest(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_one_that_browsers_compute() {
        assert_eq!(sha256(""), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    }

    #[test]
    fn the_page_has_one_script_and_one_style_and_nothing_inline_elsewhere() {
        for tag in ["script", "style"] {
            assert_eq!(PAGE.matches(&format!("<{tag}")).count(), 1, "{tag}");
            assert!(inside(PAGE, tag).is_some_and(|text| text.len() > 100), "{tag}");
        }
        for forbidden in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            " style=",
            " onclick=",
            " onload=",
            "eval(",
            "src=\"http",
            "href=\"http",
        ] {
            assert!(!PAGE.contains(forbidden), "{forbidden}");
        }
    }
}
