//! What a remedy asks of a web service.
//!
//! Whoever may send an alert writes its labels, so a label may stand where it is data and nowhere
//! else: not in the host, which gets our credentials; not in a secret; not in a body that is text,
//! where it could end the string that it stands in.

use std::collections::BTreeSet;
use std::sync::Arc;

use ::http::HeaderName;
use homeostat_core::limits::REQUEST_BODY_BYTES;
use homeostat_core::request::{
    BodyTemplate, HeaderTemplate, Json, Method, RequestTemplate, Statuses,
};
use homeostat_core::template::Template;
use url::Url;

use super::{action, http, secrets};
use crate::config::RequestTarget;
use crate::files::Files;
use crate::http::{Secret, SecretSource};
use crate::nearest::nearest;
use crate::raw::request::{self as raw, HeaderValue, Key, Value, is_secret};
use crate::read::{Field, Problems, Text};
use crate::report::Problem;

/// The header by which a deed is known, unless the file names another.
///
/// Source: draft-ietf-httpapi-idempotency-key-header.
const KEY_HEADER: &str = "Idempotency-Key";

/// Headers that the connection is made of, or that have their own key, and help.
const RESERVED: [(&str, &str); 11] = [
    ("authorization", "write authorization: { credentials_file: … } or basic_auth: { … }"),
    ("proxy-authorization", "proxies are not used"),
    ("host", "the host is that of the URL"),
    ("content-length", "it follows from the body"),
    ("transfer-encoding", "it follows from the body"),
    ("connection", "each request has a connection of its own"),
    ("keep-alive", "each request has a connection of its own"),
    ("upgrade", "each request has a connection of its own"),
    ("te", "remove it"),
    ("trailer", "remove it"),
    ("expect", "remove it"),
];

/// Checks what is sent.
pub(super) fn check(raw: &raw::Request, problems: &mut Problems) -> Option<RequestTemplate> {
    let method = method(&raw.method, problems);
    let url = url(raw, problems);
    let mut names = BTreeSet::new();
    let headers = raw.headers.given().map_or(&[][..], Vec::as_slice);
    let headers: Vec<HeaderTemplate> =
        headers.iter().filter_map(|raw| header(raw, &mut names, problems)).collect();
    let key_header = key_header(raw, &mut names, problems);
    let body = body(&raw.body, problems);
    if let (Method::Get | Method::Head, Some(BodyTemplate::Json(_) | BodyTemplate::Text(_))) =
        (method, &body)
    {
        let message = format!("no body is sent with {}", method.as_str());
        let problem = Problem::error(raw.span.clone(), message);
        problems.report(problem.help("remove `body`, or write another `method`"));
    }
    let expected = expected(&raw.expected, problems);
    Some(RequestTemplate { method, url: url?, headers, body: body?, expected, key_header })
}

/// Checks where it is sent, and what only the sender may know. What `check` says of the same
/// values is not said again.
pub(super) fn target(
    raw: &raw::Request,
    files: &Files,
    problems: &mut Problems,
) -> Option<RequestTarget> {
    let http = http::http(&raw.http, files, problems);
    let mut secrets = Vec::new();
    for raw::Header { name, value } in raw.headers.given().map_or(&[][..], Vec::as_slice) {
        let secret = match value {
            HeaderValue::Text(text) if is_secret(&name.value) => {
                SecretSource::Inline(Secret::new(text.value.clone()))
            }
            HeaderValue::Text(_) => continue,
            HeaderValue::File(file) => {
                SecretSource::File(http::path(file, files, problems).unwrap_or_default())
            }
        };
        secrets.push((name.value.clone(), secret));
    }
    let mut url = Url::parse(&raw.url.given()?.value).ok()?;
    url.set_path("");
    url.set_query(None);
    Some(RequestTarget { url, http, secrets })
}

fn method(field: &Field<Text>, problems: &mut Problems) -> Method {
    let Some(text) = field.given() else { return Method::Post };
    let upper = text.value.to_ascii_uppercase();
    let known = Method::ALL.into_iter().find(|method| method.as_str() == upper);
    known.unwrap_or_else(|| {
        let names = Method::ALL.map(|method| method.as_str().to_ascii_lowercase());
        let message = format!("there is no method {:?}", text.value);
        let problem = Problem::error(text.span.clone(), message);
        problems.report(problem.help(
            match nearest(&text.value, names.iter().map(String::as_str)) {
                Some(meant) => format!("did you mean {}?", meant.to_ascii_uppercase()),
                None => "write POST, PUT, PATCH, DELETE, GET, HEAD or OPTIONS".to_owned(),
            },
        ));
        Method::Post
    })
}

fn url(raw: &raw::Request, problems: &mut Problems) -> Option<Template> {
    let text = match &raw.url {
        Field::Given(text) => text,
        Field::Absent => {
            let problem = Problem::error(raw.span.clone(), "this request has no `url`");
            problems.report(problem.help("add `url: \"https://…\"`"));
            return None;
        }
        Field::Wrong => return None,
    };
    let authority = text.value.find("://").map_or(0, |at| at + 3);
    let authority_end = text.value[authority..]
        .find(['/', '?', '#', '\\'])
        .map_or(text.value.len(), |at| authority + at);
    if let Some(at) = text.value[..authority_end].find('{') {
        let problem = Problem::error(
            text.part(&(at..authority_end)),
            "a placeholder cannot stand before the path",
        );
        problems.report(problem.help(
            "whoever sends an alert would choose who gets the request; call such a service by \
             `exec: [curl, …]` or a handler",
        ));
        return None;
    }
    if let Err(problem) = http::http_url(text) {
        problems.report(problem);
        return None;
    }
    if let Ok(url) = Url::parse(&text.value) {
        if url.fragment().is_some() {
            let problem = Problem::error(text.span.clone(), "a fragment is never sent");
            problems.report(problem.help("remove it; in a path write %23"));
        }
        secrets::check_url(text, &url, secrets::IN_A_REQUEST, problems);
    }
    action::template(text, problems)
}

fn header(
    raw: &raw::Header,
    names: &mut BTreeSet<String>,
    problems: &mut Problems,
) -> Option<HeaderTemplate> {
    header_name(&raw.name, names, problems)?;
    let name: Arc<str> = Arc::from(raw.name.value.as_str());
    let text = match &raw.value {
        HeaderValue::Text(text) => text,
        HeaderValue::File(file) => {
            if file.is_absent() {
                let problem = Problem::error(raw.name.span.clone(), "this header has no value");
                problems.report(problem.help("write { file: … }, or the value itself"));
            }
            return Some(HeaderTemplate { name, value: None });
        }
    };
    http::warn_of_variable(text, problems);
    if text.value.chars().any(char::is_control) {
        let message = "no header can carry a line break or another control character";
        problems.report(Problem::error(text.span.clone(), message));
        return None;
    }
    if !is_secret(&name) {
        let value = action::template(text, problems)?;
        return Some(HeaderTemplate { name, value: Some(value) });
    }
    if has_placeholder(&text.value) {
        let message = format!("{name} looks like a secret, which does not come from an alert");
        let problem = Problem::error(text.span.clone(), message);
        problems.report(problem.help("name a file: { file: … }, or give the header another name"));
        return None;
    }
    Some(HeaderTemplate { name, value: None })
}

fn header_name(text: &Text, names: &mut BTreeSet<String>, problems: &mut Problems) -> Option<()> {
    let lower = text.value.to_ascii_lowercase();
    let wrong = if HeaderName::from_bytes(text.value.as_bytes()).is_err() {
        Problem::error(text.span.clone(), "this cannot be the name of a header")
    } else if let Some((_, help)) = RESERVED.iter().find(|(name, _)| *name == lower) {
        Problem::error(text.span.clone(), format!("{} is not set here", text.value)).help(*help)
    } else if !names.insert(lower) {
        Problem::error(text.span.clone(), "this header is given twice").help("remove one of them")
    } else {
        return Some(());
    };
    problems.report(wrong);
    None
}

fn key_header(
    raw: &raw::Request,
    names: &mut BTreeSet<String>,
    problems: &mut Problems,
) -> Option<Arc<str>> {
    match raw.key.given()? {
        Key::Flag(false) => None,
        Key::Flag(true) => {
            if names.contains(&KEY_HEADER.to_ascii_lowercase()) {
                let message = format!("{KEY_HEADER} is given twice");
                let problem = Problem::error(raw.span.clone(), message);
                problems.report(problem.help("`idempotency_key: true` sends it: remove the other"));
            }
            Some(Arc::from(KEY_HEADER))
        }
        Key::Header(text) => {
            header_name(text, names, problems)?;
            Some(Arc::from(text.value.as_str()))
        }
    }
}

fn body(field: &Field<Value>, problems: &mut Problems) -> Option<BodyTemplate> {
    let value = match field {
        Field::Absent => return Some(BodyTemplate::Nothing),
        Field::Wrong => return None,
        Field::Given(value) => value,
    };
    let text = match value {
        Value::Plain(text) | Value::Quoted(text) => text,
        Value::Null | Value::List(_) | Value::Map(_) => {
            return json(value, problems).map(BodyTemplate::Json);
        }
    };
    if has_placeholder(&text.value) {
        let message = "a placeholder cannot stand in a body that is text";
        let problem = Problem::error(text.span.clone(), message);
        problems.report(problem.help(
            "write the body as a map: body: { host: \"{{ labels.instance }}\" }; it is sent as \
             JSON, in which each value stays a value",
        ));
        return None;
    }
    if text.value.len() > REQUEST_BODY_BYTES {
        problems.report(Problem::error(text.span.clone(), "a body has at most 128 KiB"));
        return None;
    }
    Some(BodyTemplate::Text(Arc::from(text.value.as_str())))
}

fn has_placeholder(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}

fn json(value: &Value, problems: &mut Problems) -> Option<Json> {
    Some(match value {
        Value::Null => Json::Null,
        Value::Plain(text) => match text.value.as_str() {
            "true" => Json::Bool(true),
            "false" => Json::Bool(false),
            number if is_number(number) => Json::Number(Arc::from(number)),
            _ => Json::Text(action::template(text, problems)?),
        },
        Value::Quoted(text) => Json::Text(action::template(text, problems)?),
        Value::List(items) => {
            let read: Vec<Json> = items.iter().filter_map(|item| json(item, problems)).collect();
            (read.len() == items.len()).then_some(Json::List(read))?
        }
        Value::Map(entries) => {
            let mut read = Vec::with_capacity(entries.len());
            for (name, value) in entries {
                if has_placeholder(&name.value) {
                    let message = "the names in a body are constant";
                    problems.report(Problem::error(name.span.clone(), message));
                    continue;
                }
                warn_of_secret(name, value, problems);
                read.extend(json(value, problems).map(|json| (Arc::from(&*name.value), json)));
            }
            (read.len() == entries.len()).then_some(Json::Map(read))?
        }
    })
}

fn warn_of_secret(name: &Text, value: &Value, problems: &mut Problems) {
    if let (true, Value::Plain(_) | Value::Quoted(_)) = (is_secret(&name.value), value) {
        let message = format!("{:?} looks like a secret, and bodies are written down", name.value);
        let problem = Problem::warning(name.span.clone(), message);
        problems.report(problem.help("send it as a header: headers: { NAME: { file: … } }"));
    }
}

/// Whether a plain value is a number of JSON as it stands; `007` and `.5` are texts.
fn is_number(text: &str) -> bool {
    serde_json::from_str::<serde_json::Number>(text).is_ok()
}

fn expected(field: &Field<Vec<Text>>, problems: &mut Problems) -> Vec<Statuses> {
    let Some(list) = field.given() else { return vec![Statuses::SUCCESS] };
    let mut expected = Vec::new();
    for text in list {
        match statuses(&text.value) {
            Some(statuses) => expected.push(statuses),
            None => problems.report(
                Problem::error(text.span.clone(), format!("{:?} is no status", text.value))
                    .help("write expected_status: 204, or a list: [2xx, 404]"),
            ),
        }
    }
    expected
}

fn statuses(text: &str) -> Option<Statuses> {
    if let Some(class) = text.strip_suffix("xx") {
        let first = class.parse::<u16>().ok().filter(|class| (2..=5).contains(class))? * 100;
        return Some(Statuses { first, last: first + 99 });
    }
    let status = text.parse().ok().filter(|status| (200..=599).contains(status))?;
    Some(Statuses { first: status, last: status })
}
