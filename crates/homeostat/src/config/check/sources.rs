//! Whom to ask, and how they are talked to.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use homeostat_core::name::SourceName;
use reqwest::Url;

use super::super::http::{
    ClientCertificate, Credentials, HttpConfig, Secret, SecretSource, TlsConfig,
};
use super::super::read::{Field, Problems, Text};
use super::super::report::Problem;
use super::super::{AlertmanagerSource, PrometheusSource, Sources, raw};
use super::Names;

/// The name under which alerts of unknown hooks are counted together.
const OTHER: &str = "other";

/// Checks all sources.
pub(super) fn check(raw: &raw::Sources, directory: &Path, problems: &mut Problems) -> Sources {
    let mut sources = Sources::default();
    let mut names = Names::of("source");
    for source in raw.alertmanagers.given().map_or(&[][..], |list| &list.value) {
        let name = name(&mut names, source, problems);
        let urls = urls(source, "urls", problems);
        let receivers = receivers(source, problems);
        let http = http(&source.http, directory, problems);
        sources.alertmanagers.push(AlertmanagerSource { name, urls, receivers, http });
    }
    let mut names = Names::of("source");
    for source in raw.prometheuses.given().map_or(&[][..], |list| &list.value) {
        let name = name(&mut names, source, problems);
        let urls = urls(source, "url", problems);
        let http = http(&source.http, directory, problems);
        sources.prometheuses.extend(urls.into_iter().next().map(|url| PrometheusSource {
            name,
            url,
            http,
        }));
    }
    sources
}

fn name(names: &mut Names, source: &raw::Source, problems: &mut Problems) -> SourceName {
    let name = names.check(&source.name, &source.span, problems);
    if let Some(text) = source.name.given()
        && (name == SourceName::API || name == OTHER)
    {
        let message = format!("no source can be named {name:?}");
        problems.report(Problem::error(text.span.clone(), message).help(
            "`api` names what comes by the alerts API, `other` what comes from unknown hooks",
        ));
    }
    SourceName::new(name)
}

fn receivers(source: &raw::Source, problems: &mut Problems) -> Vec<String> {
    let Some(list) = source.receivers.given() else { return Vec::new() };
    if list.value.is_empty() {
        let problem = Problem::error(list.span.clone(), "`receivers` names nobody");
        problems.report(
            problem.help(
                "name the receivers that lead here, or leave it out: notifications name theirs",
            ),
        );
    }
    for text in list.value.iter().filter(|text| text.value.is_empty()) {
        problems.report(Problem::error(text.span.clone(), "this receiver has no name"));
    }
    list.value.iter().map(|text| text.value.clone()).collect()
}

fn urls(source: &raw::Source, key: &str, problems: &mut Problems) -> Vec<Url> {
    let list = match &source.urls {
        Field::Given(list) if !list.value.is_empty() => list,
        Field::Wrong => return Vec::new(),
        Field::Given(_) | Field::Absent => {
            let place = source.urls.given().map_or(&source.span, |list| &list.span).clone();
            let message = format!("this source has no `{key}`");
            problems.report(Problem::error(place, message).help("add where it listens"));
            return Vec::new();
        }
    };
    let mut urls: Vec<Url> = Vec::new();
    let mut seen: BTreeSet<Url> = BTreeSet::new();
    for text in &list.value {
        match url(text) {
            Ok(url) if !seen.insert(url.clone()) => {
                let problem = Problem::error(text.span.clone(), "this peer is listed twice");
                problems.report(problem.help("remove one of them"));
            }
            Ok(url) => urls.push(url),
            Err(problem) => problems.report(problem),
        }
    }
    urls
}

fn url(text: &Text) -> Result<Url, Problem> {
    let url = http_url(text)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Problem::error(text.span.clone(), "a source has no query and no fragment")
            .help("remove it from the URL"));
    }
    Ok(url)
}

/// Reads a URL that can be talked to and shown.
pub(super) fn http_url(text: &Text) -> Result<Url, Problem> {
    let wrong =
        |message: String, help: &str| Err(Problem::error(text.span.clone(), message).help(help));
    let help = "write it as in \"http://127.0.0.1:9093\"";
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

/// Reads who we are, and how we trust each other.
pub(super) fn http(raw: &raw::Http, directory: &Path, problems: &mut Problems) -> HttpConfig {
    let basic = raw.basic_auth.given().map(|basic| basic_auth(basic, directory, problems));
    let header = raw.authorization.given().map(|raw| authorization(raw, directory, problems));
    if let (Some(_), Some(authorization)) = (&basic, raw.authorization.given()) {
        let message = "`basic_auth` and `authorization` cannot be sent together";
        let problem = Problem::error(authorization.span.clone(), message);
        problems.report(problem.help("remove one of them"));
    }
    let tls = raw.tls.given().map(|tls| tls_config(tls, directory, problems));
    HttpConfig { credentials: basic.or(header).unwrap_or_default(), tls: tls.unwrap_or_default() }
}

fn basic_auth(raw: &raw::BasicAuth, directory: &Path, problems: &mut Problems) -> Credentials {
    if raw.username.is_absent() {
        problems.report(Problem::error(raw.span.clone(), "`basic_auth` has no `username`"));
    }
    let username = raw.username.given().map_or_else(String::new, |text| text.value.clone());
    let password = secret(
        (&raw.password, &raw.password_file),
        ["password", "password_file"],
        directory,
        problems,
    );
    Credentials::Basic { username, password }
}

fn authorization(
    raw: &raw::Authorization,
    directory: &Path,
    problems: &mut Problems,
) -> Credentials {
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
        directory,
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

fn secret(
    (inline, file): (&Field<Text>, &Field<Text>),
    [inline_key, file_key]: [&str; 2],
    directory: &Path,
    problems: &mut Problems,
) -> Option<SecretSource> {
    if let (Some(_), Some(file)) = (inline.given(), file.given()) {
        let message = format!("`{inline_key}` and `{file_key}` exclude each other");
        problems.report(Problem::error(file.span.clone(), message).help("remove one of them"));
    }
    if let Some(text) = inline.given() {
        if !text.value.bytes().all(|b| b >= b' ' && b != 0x7f) {
            let message = format!("`{inline_key}` has a line break or a control character in it");
            problems.report(Problem::error(text.span.clone(), message));
        }
        return Some(SecretSource::Inline(Secret::new(text.value.clone())));
    }
    path(file, directory, problems).map(SecretSource::File)
}

fn tls_config(raw: &raw::Tls, directory: &Path, problems: &mut Problems) -> TlsConfig {
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
    let cert_file = path(&raw.cert_file, directory, problems);
    let key_file = path(&raw.key_file, directory, problems);
    if let Some(skip) = raw.insecure_skip_verify.given()
        && skip.value
    {
        let message = "whoever can answer in this source's place will be believed";
        let problem = Problem::warning(skip.span.clone(), message);
        problems.report(problem.help("name the authority instead: `ca_file: …`"));
    }
    TlsConfig {
        ca_file: path(&raw.ca_file, directory, problems),
        client: cert_file
            .zip(key_file)
            .map(|(cert_file, key_file)| ClientCertificate { cert_file, key_file }),
        server_name: raw.server_name.given().map(|text| text.value.clone()),
        insecure_skip_verify: raw.insecure_skip_verify.value_or(false),
    }
}

/// Resolves a path against the directory of the configuration file.
pub(super) fn path(
    field: &Field<Text>,
    directory: &Path,
    problems: &mut Problems,
) -> Option<PathBuf> {
    let text = field.given()?;
    if text.value.is_empty() || text.value.contains('\0') {
        problems.report(Problem::error(text.span.clone(), "not the path of a file"));
    }
    Some(directory.join(&text.value))
}
