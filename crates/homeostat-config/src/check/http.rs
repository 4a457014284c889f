//! How a server is talked to.

mod headers;
mod oauth2;

use std::path::PathBuf;

use url::Url;

use crate::files::Files;
use crate::http::{
    ClientCertificate, Credentials, HttpConfig, ProxyConfig, Secret, SecretSource, TlsConfig,
};
use crate::raw;
use crate::read::{Field, Problems, Text};
use crate::report::Problem;

const UNEXPANDED: &str = "variables of the environment are not expanded here";

/// Warns of a value that is the name of a variable.
pub(super) fn warn_of_variable(text: &Text, problems: &mut Problems) {
    let name = text
        .value
        .strip_prefix('$')
        .map(|name| name.strip_prefix('{').and_then(|name| name.strip_suffix('}')).unwrap_or(name));
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    if name.is_some_and(is_name) {
        let problem = Problem::warning(text.span.clone(), UNEXPANDED);
        problems.report(problem.help("write the value, or name a file that has it"));
    }
}

/// Reads a URL that can be talked to and shown.
pub(super) fn http_url(text: &Text) -> Result<Url, Problem> {
    let wrong =
        |message: String, help: &str| Err(Problem::error(text.span.clone(), message).help(help));
    let help = "write it as in \"http://127.0.0.1:9093\"";
    if text.value.contains('$') {
        return wrong(UNEXPANDED.into(), help);
    }
    let url = match Url::parse(&text.value) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => url,
        Ok(url) if url.has_host() => {
            return wrong(format!("cannot talk {:?}, only http and https", url.scheme()), help);
        }
        Ok(_) => return wrong("not a URL: it begins with http:// or https://".into(), help),
        Err(error) => return wrong(format!("not a URL: {error}"), help),
    };
    if !url.username().is_empty() || url.password().is_some() {
        let help = "write basic_auth: { username: …, password_file: … }";
        return wrong("credentials do not belong into a URL, which is logged".into(), help);
    }
    Ok(url)
}

/// Reads how a server is talked to.
pub(crate) fn http(raw: &raw::Http, files: &Files, problems: &mut Problems) -> HttpConfig {
    let tls = raw.tls.given().map(|tls| tls_config(tls, files, problems));
    HttpConfig {
        credentials: credentials(raw, files, problems),
        tls: tls.unwrap_or_default(),
        proxy: proxy(&raw.proxy, &raw.tls, problems),
        headers: headers::check(&raw.headers, files, problems),
        params: Vec::new(),
    }
}

fn credentials(raw: &raw::Http, files: &Files, problems: &mut Problems) -> Credentials {
    let basic = raw.basic_auth.given().map(|basic| basic_auth(basic, files, problems));
    let header = raw.authorization.given().map(|raw| authorization(raw, files, problems));
    let token = raw.oauth2.given().map(|raw| oauth2::check(raw, files, problems));
    let ways = [
        ("basic_auth", raw.basic_auth.given().map(|raw| &raw.span)),
        ("authorization", raw.authorization.given().map(|raw| &raw.span)),
        ("oauth2", raw.oauth2.given().map(|raw| &raw.span)),
    ];
    let mut given = ways.into_iter().filter_map(|(key, span)| Some((key, span?)));
    if let Some((first, _)) = given.next() {
        for (key, span) in given {
            let message = format!("`{first}` and `{key}` cannot be sent together");
            let problem = Problem::error(span.clone(), message);
            problems.report(problem.help("remove one of them"));
        }
    }
    basic.or(header).or(token).unwrap_or_default()
}

/// Reads through whom a server is reached.
pub(super) fn proxy(
    raw: &raw::http::Proxy,
    tls: &Field<raw::Tls>,
    problems: &mut Problems,
) -> Option<ProxyConfig> {
    let except = raw.except.given();
    let Some(text) = raw.url.given() else {
        if let (Some(except), true) = (except, raw.url.is_absent()) {
            let problem = Problem::error(except.span.clone(), "`no_proxy` without a `proxy_url`");
            problems
                .report(problem.help("add `proxy_url: …`: no proxy of the environment is used"));
        }
        return None;
    };
    let is_known = |url: &Url| matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h");
    let url = match Url::parse(&text.value) {
        _ if text.value.contains("${") || text.value.contains("//$") => Err(UNEXPANDED.to_owned()),
        Ok(url) if is_known(&url) && url.has_host() => Ok(url.to_string()),
        Ok(url) if url.has_host() => Err(format!("there is no proxy by {:?}", url.scheme())),
        Ok(_) => Err("not the URL of a proxy".to_owned()),
        Err(error) => Err(format!("not the URL of a proxy: {error}")),
    };
    let url = url.unwrap_or_else(|message| {
        let problem = Problem::error(text.span.clone(), message);
        problems.report(problem.help("proxies are http://HOST:PORT, https://… or socks5://…"));
        String::new()
    });
    if let Some(name) = tls.given().and_then(|tls| tls.server_name.given()) {
        let message = "`server_name` cannot be used through a proxy";
        let problem = Problem::error(name.span.clone(), message);
        problems.report(problem.help(
            "the proxy is asked for the host whose certificate is expected: write that host into \
             the URL, or remove `proxy_url`",
        ));
    }
    Some(ProxyConfig { url: Secret::new(url), except: except.map(|text| text.value.clone()) })
}

fn basic_auth(raw: &raw::BasicAuth, files: &Files, problems: &mut Problems) -> Credentials {
    if raw.username.is_absent() {
        problems.report(Problem::error(raw.span.clone(), "`basic_auth` has no `username`"));
    }
    if let Some(text) = raw.username.given() {
        warn_of_variable(text, problems);
    }
    let username = raw.username.given().map_or_else(String::new, |text| text.value.clone());
    let password =
        secret((&raw.password, &raw.password_file), ["password", "password_file"], files, problems);
    Credentials::Basic { username, password }
}

fn authorization(raw: &raw::Authorization, files: &Files, problems: &mut Problems) -> Credentials {
    let scheme = raw.scheme.given().map_or("Bearer", |text| text.value.trim());
    if let Some(text) = raw.scheme.given() {
        if scheme.eq_ignore_ascii_case("basic") {
            let problem = Problem::error(text.span.clone(), "this type is not for `authorization`");
            problems.report(problem.help("write basic_auth: { username: …, password_file: … }"));
        } else if scheme.is_empty() || !scheme.bytes().all(|b| b.is_ascii_graphic()) {
            problems.report(Problem::error(text.span.clone(), "not a type of authorization"));
        }
    }
    let credentials = secret(
        (&raw.credentials, &raw.credentials_file),
        ["credentials", "credentials_file"],
        files,
        problems,
    );
    let wrong = [&raw.credentials, &raw.credentials_file].iter().any(|f| matches!(f, Field::Wrong));
    if credentials.is_none() && !wrong {
        let problem = Problem::error(raw.span.clone(), "`authorization` has no credentials");
        problems.report(problem.help("add `credentials_file: …`"));
    }
    Credentials::Header {
        scheme: scheme.to_owned(),
        credentials: credentials.unwrap_or_else(|| SecretSource::Inline(Secret::new(""))),
    }
}

pub(super) fn secret(
    (inline, file): (&Field<Text>, &Field<Text>),
    [inline_key, file_key]: [&str; 2],
    files: &Files,
    problems: &mut Problems,
) -> Option<SecretSource> {
    if let (Some(_), Some(file)) = (inline.given(), file.given()) {
        let message = format!("`{inline_key}` and `{file_key}` exclude each other");
        problems.report(Problem::error(file.span.clone(), message).help("remove one of them"));
    }
    if let Some(text) = inline.given() {
        warn_of_variable(text, problems);
        if !text.value.bytes().all(|b| b >= b' ' && b != 0x7f) {
            let message = format!("`{inline_key}` has a line break or a control character in it");
            problems.report(Problem::error(text.span.clone(), message));
        }
        return Some(SecretSource::Inline(Secret::new(text.value.clone())));
    }
    path(file, files, problems).map(SecretSource::File)
}

pub(super) fn tls_config(raw: &raw::Tls, files: &Files, problems: &mut Problems) -> TlsConfig {
    let halves = [
        ("cert_file", &raw.cert_file, "key_file", &raw.key_file),
        ("key_file", &raw.key_file, "cert_file", &raw.cert_file),
    ];
    for (given_key, given, missing_key, missing) in halves {
        if let (Some(text), true) = (given.given(), missing.is_absent()) {
            let message = format!("`{given_key}` needs a `{missing_key}`");
            problems.report(Problem::error(text.span.clone(), message));
        }
    }
    let cert_file = path(&raw.cert_file, files, problems);
    let key_file = path(&raw.key_file, files, problems);
    if let Some(skip) = raw.insecure_skip_verify.given()
        && skip.value
    {
        let message = "whoever can answer in this source's place will be believed";
        let problem = Problem::warning(skip.span.clone(), message);
        problems.report(problem.help("name the authority instead: `ca_file: …`"));
    }
    TlsConfig {
        ca_file: path(&raw.ca_file, files, problems),
        client: cert_file
            .zip(key_file)
            .map(|(cert_file, key_file)| ClientCertificate { cert_file, key_file }),
        server_name: raw.server_name.given().map(|text| text.value.clone()),
        insecure_skip_verify: raw.insecure_skip_verify.value_or(false),
    }
}

/// Resolves a path against the directory of the configuration file.
pub(super) fn path(field: &Field<Text>, files: &Files, problems: &mut Problems) -> Option<PathBuf> {
    field.given().map(|text| path_of(text, files, problems))
}

fn path_of(text: &Text, files: &Files, problems: &mut Problems) -> PathBuf {
    if text.value.is_empty() || text.value.contains('\0') {
        problems.report(Problem::error(text.span.clone(), "not the path of a file"));
    } else if text.value.starts_with(['~', '$']) || text.value.contains("${") {
        let problem = Problem::error(text.span.clone(), "no shell expands this path");
        problems
            .report(problem.help("write it from `/` on, or from the configuration's directory"));
    } else if problems.needs_files() && !files.resolve(&text.span, &text.value).exists() {
        let message = "there is no such file on this machine";
        problems.report(Problem::error(text.span.clone(), message));
    } else if problems.looks_around() && !files.resolve(&text.span, &text.value).exists() {
        let message = "there is no such file on this machine";
        let problem = Problem::warning(text.span.clone(), message);
        problems.report(problem.help("it is read when it is needed, where the engine runs"));
    }
    files.resolve(&text.span, &text.value)
}
