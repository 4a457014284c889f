//! What would be done about an alert, and what the guards have counted for it.
//!
//! The engine gives the account, and the policies are read beside it from the book that it was given
//! by. Nothing is changed.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use homeostat_core::label::LabelSet;

use super::Api;
use super::incidents::pairs;
use crate::access::{Caller, Permission, Subject};
use crate::explanation::{self, Explanation};
use crate::queue::Busy;
use crate::web::answer;

const PATH: &str = "/api/v1/explain";

/// Labels and annotations that an alert may have here: more than any alert has.
const MOST_PAIRS: usize = 256;

pub(super) async fn show(
    State(api): State<Arc<Api>>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Response {
    let alert = match pairs(query.as_deref().unwrap_or_default()).and_then(Alert::read) {
        Ok(alert) => alert,
        Err(message) => return answer::problem(PATH, StatusCode::BAD_REQUEST, &message),
    };
    match told(&api, &caller, alert).await {
        Ok(explanation) => answer::json(StatusCode::OK, &explanation),
        Err(busy) => answer::problem(PATH, StatusCode::SERVICE_UNAVAILABLE, &busy.to_string()),
    }
}

/// Explains an alert, as far as somebody may see.
pub(in crate::web) async fn told(
    api: &Api,
    caller: &Caller,
    Alert { labels, annotations }: Alert,
) -> Result<Explanation, Busy> {
    let _asker = api.askers.acquire().await.expect("the semaphore is never closed");
    let accounted = api.web.queue.account(labels.clone(), annotations.clone()).await?;
    let explanation =
        explanation::explain(&accounted.book, labels, &annotations, &accounted.owners);
    let explanation = explanation.with_accounts(accounted.at, accounted.accounts);
    if caller.may_all(Permission::View) {
        return Ok(explanation);
    }
    Ok(explanation.seen_by(|policy, target| {
        let subject = match target {
            Some(target) => Subject::Incident { policy, target },
            None => Subject::Policy(policy),
        };
        caller.may(Permission::View, &subject).is_ok()
    }))
}

/// An alert, as it is asked about.
#[derive(Debug, PartialEq)]
pub(in crate::web) struct Alert {
    pub(in crate::web) labels: LabelSet,
    pub(in crate::web) annotations: LabelSet,
}

impl Alert {
    /// Reads the parameters of a query.
    pub(in crate::web) fn read(query: Vec<(String, String)>) -> Result<Self, String> {
        let (mut labels, mut annotations) = (Vec::new(), Vec::new());
        for (parameter, text) in query {
            let into = match parameter.as_str() {
                "label" => &mut labels,
                "annotation" => &mut annotations,
                _ => {
                    return Err(format!(
                        "unknown parameter {parameter:?}: expected label or annotation"
                    ));
                }
            };
            let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
            let (name, value) =
                pair.ok_or_else(|| format!("{parameter} {text:?}: expected name=value"))?;
            if into.iter().any(|(known, _)| known == name) {
                return Err(format!("{parameter} {name:?} comes twice"));
            }
            into.push((name.to_owned(), value.to_owned()));
            if into.len() > MOST_PAIRS {
                return Err(format!(
                    "too many parameters: expected at most {MOST_PAIRS} of a kind"
                ));
            }
        }
        if labels.is_empty() {
            return Err("there is no label: expected label=name=value, once for each".to_owned());
        }
        Ok(Self {
            labels: LabelSet::from_pairs(labels),
            annotations: LabelSet::from_pairs(annotations),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Alert, String> {
        pairs(query).and_then(Alert::read)
    }

    #[test]
    fn an_alert_is_read_strictly() {
        let alert = read("label=job=w%3Db&label=instance=a:80&annotation=summary=it%20is%20down");
        let labels = LabelSet::from_pairs([("instance", "a:80"), ("job", "w=b")]);
        let annotations = LabelSet::from_pairs([("summary", "it is down")]);
        assert_eq!(alert, Ok(Alert { labels, annotations }));
        let many = (0..257).map(|n| format!("label=l{n}=x")).collect::<Vec<_>>().join("&");
        for (query, complaint) in [
            ("", "there is no label"),
            ("annotation=a=b", "there is no label"),
            ("label=a", "label \"a\": expected name=value"),
            ("label==a", "expected name=value"),
            ("label=a=b&label=a=c", "label \"a\" comes twice"),
            ("labels=a=b", "unknown parameter \"labels\""),
            (many.trim_end_matches('&'), "at most 256"),
        ] {
            let error = read(query).unwrap_err();
            assert!(error.contains(complaint), "{query}: {error}");
        }
    }
}
