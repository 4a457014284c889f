//! How things stand now.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use homeostat_core::ledger::Pause;
use homeostat_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::Api;
use crate::web::answer;

/// How things stand now, as `/api/v1/status` shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The version that runs.
    pub version: String,
    /// The revision that it was built from.
    pub revision: String,
    /// When the process started.
    pub started_at: Timestamp,
    /// Identifies this boot of the machine.
    pub boot: String,
    /// Why the engine is not ready; `null` when it is.
    pub not_ready: Option<String>,
    /// Who paused, why and since when; `null` when nobody did.
    pub paused: Option<Pause>,
    /// Requests that wait for the engine.
    pub queue_length: usize,
    /// Alerts that fire now.
    pub alerts_active: usize,
    /// Incidents that are open now, by state.
    pub incidents_open: BTreeMap<String, usize>,
    /// The configuration.
    pub config: ConfigStatus,
    /// The addresses that are served.
    pub listen_addresses: Vec<String>,
}

/// The configuration in force.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ConfigStatus {
    /// The file; `null` where there is none, and every alert is shadowed.
    pub file: Option<String>,
    /// When the configuration in force was read.
    pub loaded_at: Option<Timestamp>,
    /// What was wrong with the file when it was last read; the earlier one is in force.
    pub last_error: Option<String>,
}

pub(super) async fn show(State(api): State<Arc<Api>>) -> Response {
    answer::json(StatusCode::OK, &(api.web.status)())
}
