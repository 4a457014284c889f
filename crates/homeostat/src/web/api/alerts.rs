//! What fires now, by policy; first what no policy takes.
//!
//! The engine tells it between two turns. By which policies an alert is taken, the book says that it was
//! told with.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use homeostat_core::alert::Episode;
use homeostat_core::label::LabelSet;
use homeostat_core::name::{IncidentId, PolicyName};
use homeostat_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::incidents::pairs;
use crate::access::{Caller, Permission, Subject};
use crate::queue::Firing;
use crate::web::answer;

const ROOT: &str = "/api/v1/alerts";

/// What fires.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AlertList {
    /// As of when.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// First what no policy takes, then by policy. An alert that several take is in each.
    pub groups: Vec<AlertGroup>,
    /// How many more fire that are not told of.
    pub more: usize,
}

/// What fires under one policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AlertGroup {
    /// The policy; `null`: no policy takes them, and nothing is done about them.
    pub policy: Option<String>,
    /// The one that began last in front.
    pub alerts: Vec<FiringAlert>,
}

/// An alert that fires.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FiringAlert {
    /// As its source computed it, sixteen hexadecimal digits.
    pub fingerprint: String,
    /// Who sent it.
    pub source: String,
    /// Its labels.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub labels: LabelSet,
    /// Whose it is what it is about, or how far the answer got, where a policy asks that. No incident is
    /// opened before there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Its annotations, as first seen.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub annotations: LabelSet,
    /// When its source says that it began.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub starts_at: Option<Timestamp>,
    /// When we first heard of it.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// The expression's page at its source, as sent: a link only if it is http or https.
    pub generator_url: String,
    /// The open incidents that it is part of.
    pub incidents: Vec<String>,
}

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    match pairs(query.as_deref().unwrap_or_default()) {
        Ok(pairs) if pairs.is_empty() => {}
        Ok(pairs) => {
            let message = format!("unknown parameter {:?}: none is expected", pairs[0].0);
            return answer::problem(ROOT, StatusCode::BAD_REQUEST, &message);
        }
        Err(message) => return answer::problem(ROOT, StatusCode::BAD_REQUEST, &message),
    }
    match told(&api, &caller).await {
        Ok(list) => answer::tagged_json(&headers, &list),
        Err(response) => response,
    }
}

/// What fires, as far as somebody may see it.
pub(in crate::web) async fn told(api: &Api, caller: &Caller) -> Result<AlertList, Response> {
    let _asker = api.askers.acquire().await.expect("the semaphore is never closed");
    let firing = api.web.queue.firing().await.map_err(|busy| {
        answer::problem(ROOT, StatusCode::SERVICE_UNAVAILABLE, &busy.to_string())
    })?;
    Ok(tell(firing, caller))
}

/// What of it somebody may see.
fn tell(firing: Firing, caller: &Caller) -> AlertList {
    let Firing { at, book, alerts, more } = firing;
    let sees_all = caller.may_all(Permission::View);
    let mut groups: BTreeMap<Option<PolicyName>, Vec<FiringAlert>> = BTreeMap::new();
    for (episode, incidents) in alerts {
        let takers = book.taking(&episode.alert.labels);
        let view = view(&episode, &incidents);
        if takers.is_empty() && sees_all {
            groups.entry(None).or_default().push(view.clone());
        }
        for policy in takers {
            let target = policy.target.present(&policy.labels(&episode));
            let subject = Subject::Incident { policy: &policy.name, target: &target };
            if caller.may(Permission::View, &subject).is_ok() {
                groups.entry(Some(policy.name.clone())).or_default().push(view.clone());
            }
        }
    }
    let groups = groups.into_iter().map(|(policy, mut alerts)| {
        alerts.sort_by_key(|alert| std::cmp::Reverse(alert.since));
        AlertGroup { policy: policy.map(|policy| policy.to_string()), alerts }
    });
    AlertList { at, groups: groups.collect(), more: if sees_all { more } else { 0 } }
}

fn view(episode: &Episode, incidents: &[IncidentId]) -> FiringAlert {
    let alert = &episode.alert;
    FiringAlert {
        fingerprint: alert.fingerprint.to_string(),
        source: alert.source.to_string(),
        starts_at: alert.starts_at,
        since: episode.began_at,
        generator_url: alert.generator_url.to_string(),
        labels: alert.labels.clone(),
        owner: episode.owners.last().map(|lookup| lookup.stands.to_string()),
        annotations: alert.annotations.clone(),
        incidents: incidents.iter().map(ToString::to_string).collect(),
    }
}
