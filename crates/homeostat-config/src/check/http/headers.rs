//! Headers that go with every request to a server.

use std::collections::BTreeSet;

use ::http::HeaderName;

use super::{path_of, warn_of_variable};
use crate::files::Files;
use crate::http::{HttpHeader, Secret, SecretSource};
use crate::raw::http::Header;
use crate::read::{Field, Problems, Text};
use crate::report::Problem;

/// Headers that have their own key, that the connection is made of, or that we write.
///
/// Source: `reservedHeaders` in `config/headers.go` of prometheus/common, and those of RFC 9110 that
/// are about one connection.
const RESERVED: [(&str, &str); 20] = [
    ("authorization", "write authorization: { credentials_file: … }, basic_auth or oauth2"),
    ("host", "the host is that of the URL"),
    ("content-encoding", "remove it"),
    ("content-length", "it follows from the body"),
    ("content-type", "it follows from the body"),
    ("user-agent", "remove it"),
    ("connection", "remove it"),
    ("keep-alive", "remove it"),
    ("upgrade", "remove it"),
    ("te", "remove it"),
    ("trailer", "remove it"),
    ("transfer-encoding", "remove it"),
    ("expect", "remove it"),
    ("proxy-authenticate", "remove it"),
    ("proxy-authorization", "write the credentials into `proxy_url`"),
    ("www-authenticate", "remove it"),
    ("accept-encoding", "remove it"),
    ("x-amz-date", "remove it"),
    ("x-amz-security-token", "remove it"),
    ("x-amz-content-sha256", "remove it"),
];

/// Checks `http_headers`.
pub(super) fn check(
    field: &Field<Vec<Header>>,
    files: &Files,
    problems: &mut Problems,
) -> Vec<HttpHeader> {
    let mut names = BTreeSet::new();
    let headers = field.given().map_or(&[][..], Vec::as_slice);
    headers.iter().map(|raw| header(raw, &mut names, files, problems)).collect()
}

fn header(
    raw: &Header,
    names: &mut BTreeSet<String>,
    files: &Files,
    problems: &mut Problems,
) -> HttpHeader {
    check_name(&raw.name, names, problems);
    let [values, secrets, named] =
        [&raw.values, &raw.secrets, &raw.files].map(|field| field.given().map(|list| &list.value));
    let texts = values.into_iter().chain(secrets).flatten();
    for text in texts {
        warn_of_variable(text, problems);
        if text.value.chars().any(char::is_control) {
            let message = "no header can carry a line break or another control character";
            problems.report(Problem::error(text.span.clone(), message));
        }
    }
    let is_wrong =
        [&raw.values, &raw.secrets, &raw.files].iter().any(|field| matches!(field, Field::Wrong));
    let count = [values, secrets, named].into_iter().flatten().map(Vec::len).sum::<usize>();
    if count == 0 && !is_wrong {
        let problem = Problem::error(raw.name.span.clone(), "this header has no value");
        problems.report(problem.help("add `values: […]`, `secrets: […]` or `files: […]`"));
    }
    let inline = secrets.into_iter().flatten();
    let inline = inline.map(|text| SecretSource::Inline(Secret::new(text.value.clone())));
    let mut all: Vec<SecretSource> = inline.collect();
    for text in named.into_iter().flatten() {
        all.push(SecretSource::File(path_of(text, files, problems)));
    }
    HttpHeader {
        name: raw.name.value.clone(),
        values: values.into_iter().flatten().map(|text| text.value.clone()).collect(),
        secrets: all,
    }
}

fn check_name(text: &Text, names: &mut BTreeSet<String>, problems: &mut Problems) {
    let lower = text.value.to_ascii_lowercase();
    let wrong = if HeaderName::from_bytes(text.value.as_bytes()).is_err() {
        Problem::error(text.span.clone(), "this cannot be the name of a header")
    } else if let Some((_, help)) = RESERVED.iter().find(|(name, _)| *name == lower) {
        Problem::error(text.span.clone(), format!("{} is not set here", text.value)).help(*help)
    } else if !names.insert(lower) {
        Problem::error(text.span.clone(), "this header is given twice").help("remove one of them")
    } else {
        return;
    };
    problems.report(wrong);
}
