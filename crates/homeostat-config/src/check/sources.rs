//! Whom to ask, and how they are talked to.

use std::collections::BTreeSet;
use std::ops::Range;

use homeostat_core::name::SourceName;
use url::Url;

use super::http::http_url;
use super::{Names, hmac, http, labels};
use crate::config::{AlertmanagerSource, PrometheusSource, Sources, WebhookSource};
use crate::files::Files;
use crate::http::HttpConfig;
use crate::raw;
use crate::read::{Field, Problems, Text};
use crate::report::Problem;

/// What our own questions say, so that nothing else can be said by it.
///
/// Source: the parameters of `/api/v1/query`, `/api/v1/query_range`, `/api/v1/series` and
/// `/api/v1/rules` of Prometheus, and of `/api/v2/alerts` of Alertmanager.
const OUR_PARAMS: [&str; 21] = [
    "active",
    "end",
    "exclude_alerts",
    "file[]",
    "filter",
    "group_limit",
    "group_next_token",
    "inhibited",
    "limit",
    "match[]",
    "query",
    "receiver",
    "rule_group[]",
    "rule_name[]",
    "silenced",
    "start",
    "step",
    "time",
    "timeout",
    "type",
    "unprocessed",
];

/// The name under which alerts of unknown hooks are counted together.
const OTHER: &str = "other";

/// Checks all sources.
pub(super) fn check(raw: &raw::Sources, files: &Files, problems: &mut Problems) -> Sources {
    let mut sources = Sources::default();
    let mut names = Names::of("source");
    for source in raw.alertmanagers.given().map_or(&[][..], |list| &list.value) {
        let name = name(&mut names, (&source.name, &source.span), problems);
        let urls = urls(source, "urls", problems);
        let receivers = receivers(source, problems);
        let http = talk(source, files, problems);
        sources.alertmanagers.push(AlertmanagerSource { name, urls, receivers, http });
    }
    // Both have a hook by their name.
    for hook in raw.webhooks.given().map_or(&[][..], |list| &list.value) {
        let name = name(&mut names, (&hook.name, &hook.span), problems);
        let hmac = hook.hmac.given().and_then(|raw| hmac::check(raw, files, problems));
        sources.webhooks.push(WebhookSource { name, hmac });
    }
    let mut names = Names::of("source");
    for source in raw.prometheuses.given().map_or(&[][..], |list| &list.value) {
        let name = name(&mut names, (&source.name, &source.span), problems);
        let urls = urls(source, "url", problems);
        let http = talk(source, files, problems);
        let external_labels = labels::check(&source.external_labels, problems);
        let labels = labels::check(&source.labels, problems).unwrap_or_default();
        sources.prometheuses.extend(urls.into_iter().next().map(|url| PrometheusSource {
            name,
            url,
            external_labels,
            labels,
            http,
        }));
    }
    sources
}

fn name(
    names: &mut Names,
    (field, owner): (&Field<Text>, &Range<usize>),
    problems: &mut Problems,
) -> SourceName {
    let name = names.check(field, owner, problems);
    if let Some(text) = field.given()
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
            .help("write parameters beside the URL, as in params: { tenant: [a] }"));
    }
    Ok(url)
}

/// Reads how a source is talked to, and what goes with every question to it.
fn talk(source: &raw::Source, files: &Files, problems: &mut Problems) -> HttpConfig {
    let http = http::http(&source.http, files, problems);
    let mut params = Vec::new();
    for (name, values) in source.params.given().map_or(&[][..], Vec::as_slice) {
        if OUR_PARAMS.contains(&name.value.as_str()) {
            let message = format!("`{}` is set by each question", name.value);
            problems.report(Problem::error(name.span.clone(), message).help("remove it"));
        }
        let Some(values) = values else { continue };
        if values.value.is_empty() {
            let message = format!("`{}` has no value", name.value);
            let problem = Problem::error(values.span.clone(), message);
            problems.report(problem.help("write a value, or leave the parameter out"));
        }
        params.extend(values.value.iter().map(|value| (name.value.clone(), value.value.clone())));
    }
    HttpConfig { params, ..http }
}
