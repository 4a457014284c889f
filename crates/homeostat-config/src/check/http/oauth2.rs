//! Where a token comes from.

use super::{http_url, proxy, secret, tls_config};
use crate::files::Files;
use crate::http::{Credentials, OAuth2Config, Secret};
use crate::raw;
use crate::raw::http::OAuth2;
use crate::read::{Field, Problems, Text};
use crate::report::Problem;

/// Parameters that the flow itself says, and the key that stands for each.
const RESERVED: [(&str, &str); 4] = [
    ("grant_type", "it is always client_credentials"),
    ("client_id", "write `client_id` beside `endpoint_params`"),
    ("client_secret", "write `client_secret` or `client_secret_file` beside `endpoint_params`"),
    ("scope", "write `scopes` beside `endpoint_params`"),
];

/// Checks `oauth2`.
pub(super) fn check(raw: &OAuth2, files: &Files, problems: &mut Problems) -> Credentials {
    if raw.client_id.is_absent() {
        problems.report(Problem::error(raw.span.clone(), "`oauth2` has no `client_id`"));
    }
    let client_secret = secret(
        (&raw.client_secret, &raw.client_secret_file),
        ["client_secret", "client_secret_file"],
        files,
        problems,
    );
    let scopes = scopes(&raw.scopes, problems);
    let endpoint_params = endpoint_params(&raw.endpoint_params, problems);
    let tls = raw.tls.given().map(|tls| tls_config(tls, files, problems));
    let proxy = proxy(&raw.proxy, &raw.tls, problems);
    let token_url = match &raw.token_url {
        Field::Given(text) => http_url(text).map_err(|problem| problems.report(problem)).ok(),
        Field::Absent => {
            let problem = Problem::error(raw.span.clone(), "`oauth2` has no `token_url`");
            problems.report(problem.help("add where tokens are asked for: `token_url: …`"));
            None
        }
        Field::Wrong => None,
    };
    let Some(token_url) = token_url else { return Credentials::Anonymous };
    Credentials::Token(Box::new(OAuth2Config {
        client_id: raw.client_id.given().map_or_else(String::new, |text| text.value.clone()),
        client_secret,
        token_url,
        scopes,
        endpoint_params,
        tls: tls.unwrap_or_default(),
        proxy,
    }))
}

fn scopes(field: &raw::Words, problems: &mut Problems) -> Vec<String> {
    let scopes = field.given().map_or(&[][..], |list| &list.value);
    for text in scopes {
        if text.value.is_empty() || text.value.contains(char::is_whitespace) {
            let problem = Problem::error(text.span.clone(), "a scope is one word");
            problems.report(problem.help("write each as an element: scopes: [read, write]"));
        }
    }
    scopes.iter().map(|text| text.value.clone()).collect()
}

fn endpoint_params(
    field: &Field<Vec<(Text, Text)>>,
    problems: &mut Problems,
) -> Vec<(String, Secret)> {
    let params = field.given().map_or(&[][..], Vec::as_slice);
    for (name, _) in params {
        if let Some((_, help)) = RESERVED.iter().find(|(reserved, _)| *reserved == name.value) {
            let message = format!("`{}` is not set here", name.value);
            problems.report(Problem::error(name.span.clone(), message).help(*help));
        }
    }
    let read =
        |(name, value): &(Text, Text)| (name.value.clone(), Secret::new(value.value.clone()));
    params.iter().map(read).collect()
}
