//! How things stand now.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use homeostat_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::incidents::ask;
use super::{Api, History, Open, approvals};
use crate::access::{Caller, Permission, Subject};
use crate::web::answer;

/// How things stand now, as `/api/v1/status` shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// The version that runs.
    pub version: String,
    /// The revision that it was built from.
    pub revision: String,
    /// When the process started.
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// Identifies this boot of the machine.
    pub boot: String,
    /// Why the engine is not ready; `null` when it is.
    pub not_ready: Option<String>,
    /// Who paused, why and since when; `null` when nobody did.
    pub paused: Option<PauseView>,
    /// Requests that wait for the engine.
    pub queue_length: usize,
    /// Alerts that fire now; `null` for whom they do not all concern.
    pub alerts_active: Option<usize>,
    /// What people have approved ahead, as far as the caller may see it.
    #[serde(default)]
    pub standing_approvals: usize,
    /// Incidents that are open now, by state; as far as the caller may see them.
    pub incidents_open: BTreeMap<String, usize>,
    /// The configuration.
    pub config: ConfigStatus,
    /// The addresses that are served.
    pub listen_addresses: Vec<String>,
}

/// Who paused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PauseView {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
}

/// The configuration in force.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ConfigStatus {
    /// The file, or all that are given, with commas between; `null` where there is none, and every alert is shadowed.
    pub file: Option<String>,
    /// When the configuration in force was read.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub loaded_at: Option<Timestamp>,
    /// What was wrong with the file when it was last read; the earlier one is in force.
    pub last_error: Option<String>,
}

pub(super) async fn show(State(api): State<Arc<Api>>, caller: Caller) -> Response {
    match seen(&api, &caller).await {
        Ok(status) => answer::json(StatusCode::OK, &status),
        Err(response) => response,
    }
}

/// How things stand, as far as somebody may see it.
pub(in crate::web) async fn seen(api: &Api, caller: &Caller) -> Result<Status, Response> {
    let mut status = (api.web.status)();
    if !caller.may_all(Permission::View) {
        let open = ask(api, History::open).await?;
        status.alerts_active = None;
        status.standing_approvals = approvals::seen(api, caller).len();
        status.incidents_open = BTreeMap::new();
        for Open { policy, target, state } in open {
            let subject = Subject::Incident { policy: &policy, target: &target };
            if caller.may(Permission::View, &subject).is_ok() {
                *status.incidents_open.entry(state).or_default() += 1;
            }
        }
    }
    Ok(status)
}
