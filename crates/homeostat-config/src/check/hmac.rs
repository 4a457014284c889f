//! How the notifications of a webhook are signed.

use std::path::PathBuf;

use super::access::{header, secret_file};
use super::some_time;
use crate::config::{Hmac, SignedTime};
use crate::files::Files;
use crate::limits;
use crate::raw::source;
use crate::read::{Field, Problems, Text};
use crate::report::Problem;

/// Where Grafana puts the signature, unless it is told otherwise: now, and in its first version that
/// signed.
///
/// Source: `http/hmac.go` of grafana/alerting.
const HEADERS: [&str; 2] = ["x-grafana-alerting-signature", "x-grafana-alert-signature"];

/// Checks how notifications are signed.
pub(super) fn check(raw: &source::Hmac, files: &Files, problems: &mut Problems) -> Option<Hmac> {
    let secret_files = secrets(raw, files, problems);
    let named = raw.header.given().and_then(|text| header(text, problems));
    let headers = match &raw.header {
        Field::Absent => HEADERS.map(str::to_owned).to_vec(),
        Field::Given(_) | Field::Wrong => named.into_iter().collect(),
    };
    let timestamp = signed_time(raw, &headers, problems);
    let is_whole = !secret_files.is_empty() && !headers.is_empty();
    is_whole.then_some(Hmac { secret_files, headers, timestamp })
}

const SECRETS_HELP: &str = "write secret_file: …, or while it is changed secret_files: [new, old]";

fn secrets(raw: &source::Hmac, files: &Files, problems: &mut Problems) -> Vec<PathBuf> {
    let texts: &[Text] = match (&raw.secret_file, &raw.secret_files) {
        (Field::Given(text), Field::Absent) => std::slice::from_ref(text),
        (Field::Absent, Field::Given(list)) if !list.value.is_empty() => &list.value,
        (Field::Absent, Field::Absent | Field::Given(_)) => {
            let place = raw.secret_files.given().map_or(&raw.span, |list| &list.span).clone();
            let problem = Problem::error(place, "these signatures have no secret");
            problems.report(problem.help(SECRETS_HELP));
            &[]
        }
        (Field::Given(_) | Field::Wrong, Field::Given(_) | Field::Wrong) => {
            let message = "there is either `secret_file` or `secret_files`";
            problems.report(Problem::error(raw.span.clone(), message).help("remove one of them"));
            &[]
        }
        (Field::Wrong, Field::Absent) | (Field::Absent, Field::Wrong) => &[],
    };
    if let Some(text) = texts.get(limits::HMAC_SECRETS) {
        let message = format!("more than {} secrets", limits::HMAC_SECRETS);
        problems.report(Problem::error(text.span.clone(), message).help("remove the old ones"));
    }
    texts.iter().map(|text| secret_file(text, files, problems)).collect()
}

fn signed_time(
    raw: &source::Hmac,
    signatures: &[String],
    problems: &mut Problems,
) -> Option<SignedTime> {
    let tolerance = some_time(&raw.tolerance, limits::HMAC_TOLERANCE, problems);
    if let Some(given) = raw.tolerance.given() {
        if given.value > limits::HMAC_TOLERANCE_MAX {
            let message = format!("must be at most {}", limits::HMAC_TOLERANCE_MAX);
            let problem = Problem::error(given.span.clone(), message);
            problems.report(problem.help("for so long, each signature is remembered"));
        }
        if raw.timestamp_header.is_absent() {
            let message = "`tolerance` says nothing without `timestamp_header`";
            let problem = Problem::error(given.span.clone(), message);
            problems.report(
                problem.help("name the header that holds when it was signed, here and in Grafana"),
            );
        }
    }
    let text = raw.timestamp_header.given()?;
    let header = header(text, problems)?;
    if signatures.contains(&header) {
        let message = "this header holds the signature";
        let problem = Problem::error(text.span.clone(), message);
        problems.report(problem.help("the time stands in one of its own"));
    }
    Some(SignedTime { header, tolerance })
}
