//! Who is believed by `OpenID` Connect.

use url::{Host, Url};

use super::http::{http_url, proxy, secret, tls_config, warn_of_variable};
use crate::access::{OidcClient, OidcProvider};
use crate::files::Files;
use crate::limits;
use crate::raw::oidc::Oidc;
use crate::read::{Field, Problems, Text};
use crate::report::Problem;

/// What is asked for where nothing is said.
const SCOPES: [&str; 2] = ["openid", "profile"];

/// The claim that no provider gives to two people.
const USERNAME_CLAIM: &str = "sub";

/// The claim that lists groups at most providers.
const GROUPS_CLAIM: &str = "groups";

/// Checks `oidc`.
pub(super) fn check(raw: &Oidc, files: &Files, problems: &mut Problems) -> Option<OidcProvider> {
    let tls = raw.tls.given().map(|tls| tls_config(tls, files, problems));
    let proxy = proxy(&raw.proxy, &raw.tls, problems);
    let client = client(raw, files, problems);
    let audience = word(&raw.audience, "audience", problems);
    if raw.client_id.is_absent() && raw.audience.is_absent() {
        let problem = Problem::error(raw.span.clone(), "nobody can come by this `oidc`");
        problems.report(problem.help(
            "add client_id: … to let people sign in at the page, audience: … for the tokens of \
             programs, or both",
        ));
    }
    let username_claim = word(&raw.username_claim, "username_claim", problems);
    let groups_claim = word(&raw.groups_claim, "groups_claim", problems);
    let issuer = match &raw.issuer {
        Field::Given(text) => issuer(text, problems),
        Field::Absent => {
            let problem = Problem::error(raw.span.clone(), "this `oidc` has no `issuer`");
            problems.report(problem.help("add its URL: issuer: https://…"));
            None
        }
        Field::Wrong => None,
    };
    Some(OidcProvider {
        issuer: issuer?,
        client,
        audience,
        username_claim: username_claim.unwrap_or_else(|| USERNAME_CLAIM.to_owned()),
        groups_claim: groups_claim.unwrap_or_else(|| GROUPS_CLAIM.to_owned()),
        tls: tls.unwrap_or_default(),
        proxy,
    })
}

/// The name of a provider is compared with that in its tokens to the letter, so that it stays as it is
/// written.
fn issuer(text: &Text, problems: &mut Problems) -> Option<String> {
    if text.value.contains('@') {
        problems.report(Problem::error(text.span.clone(), "an issuer has no credentials"));
        return None;
    }
    let url = http_url(text).map_err(|problem| problems.report(problem)).ok()?;
    if url.query().is_some() || url.fragment().is_some() {
        let problem = Problem::error(text.span.clone(), "an issuer has no `?` and no `#`");
        problems.report(problem.help("write it as the provider calls itself"));
    }
    if url.path().ends_with("/.well-known/openid-configuration") {
        let problem =
            Problem::error(text.span.clone(), "this is where the issuer says what it has");
        problems.report(problem.help("write what comes before /.well-known"));
    }
    if url.scheme() == "http" && !is_this_machine(&url) {
        let message = "whoever is on the way there can say who somebody is";
        let problem = Problem::error(text.span.clone(), message);
        problems.report(problem.help("write https://…; http is for this machine only"));
    }
    Some(text.value.clone())
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn client(raw: &Oidc, files: &Files, problems: &mut Problems) -> Option<OidcClient> {
    let client_secret = secret(
        (&raw.client_secret, &raw.client_secret_file),
        ["client_secret", "client_secret_file"],
        files,
        problems,
    );
    if raw.client_id.is_absent() {
        for (key, place) in [
            ("client_secret", raw.client_secret.given().map(|text| &text.span)),
            ("client_secret_file", raw.client_secret_file.given().map(|text| &text.span)),
            ("scopes", raw.scopes.given().map(|list| &list.span)),
            ("session", raw.session.given().map(|length| &length.span)),
        ] {
            let Some(place) = place else { continue };
            let message = format!("`{key}` is about sign-in, and there is no `client_id`");
            let problem = Problem::error(place.clone(), message);
            problems.report(problem.help("add client_id: …, as the provider knows us"));
        }
    }
    let client_id = word(&raw.client_id, "client_id", problems);
    let scopes = scopes(raw, problems);
    let session = session(raw, problems);
    Some(OidcClient { client_id: client_id?, client_secret, scopes, session })
}

fn session(raw: &Oidc, problems: &mut Problems) -> homeostat_core::time::Span {
    let Some(length) = raw.session.given() else { return limits::OIDC_SESSION };
    let (least, most) = (limits::OIDC_SESSION_MIN, limits::OIDC_SESSION_MAX);
    if length.value < least || length.value > most {
        let message = format!("a session lasts for {least} at least, and {most} at most");
        problems.report(Problem::error(length.span.clone(), message));
    }
    length.value
}

fn scopes(raw: &Oidc, problems: &mut Problems) -> Vec<String> {
    let Some(list) = raw.scopes.given() else { return SCOPES.map(str::to_owned).to_vec() };
    for text in &list.value {
        if !is_word(&text.value) {
            let problem = Problem::error(text.span.clone(), "a scope is one word");
            problems.report(problem.help("write each as an element: scopes: [openid, profile]"));
        }
    }
    if !list.value.iter().any(|text| text.value == "openid") {
        let message = "without the scope `openid` no provider says who somebody is";
        let problem = Problem::error(list.span.clone(), message);
        problems.report(problem.help("add it: scopes: [openid, …]"));
    }
    list.value.iter().map(|text| text.value.clone()).collect()
}

/// A text of visible ASCII characters.
fn word(field: &Field<Text>, key: &str, problems: &mut Problems) -> Option<String> {
    let text = field.given()?;
    warn_of_variable(text, problems);
    if !is_word(&text.value) {
        problems.report(Problem::error(text.span.clone(), format!("`{key}` is one word")));
    }
    Some(text.value.clone())
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}
