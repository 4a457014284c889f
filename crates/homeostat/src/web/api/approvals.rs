//! What people have approved ahead: listed, and revoked.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use homeostat_core::approval::StandingApproval;
use homeostat_core::event::Event;
use homeostat_core::label::LabelSet;
use homeostat_core::name::ApprovalId;
use homeostat_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::control::{self, Answer, Command, Told};
use super::incidents::read_number;
use super::view::VoteView;
use crate::access::{Caller, Permission, Refusal, Subject};
use crate::web::answer;

/// All that is in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ApprovalList {
    /// The oldest first.
    pub approvals: Vec<StandingView>,
}

/// What people have approved ahead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StandingView {
    /// Its number.
    pub id: String,
    /// Under which policy.
    pub policy: String,
    /// Which remedy.
    pub remedy: String,
    /// On which target.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub target: LabelSet,
    /// What was to be done, as it was shown.
    pub action: String,
    /// In which incident it was asked for.
    pub incident: String,
    /// Who stands for it.
    pub votes: Vec<VoteView>,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
    /// How many runs it lets start.
    pub uses: u32,
    /// How many are left.
    pub left: u32,
    /// The orders that it has let start.
    pub orders: Vec<String>,
}

impl StandingView {
    fn of(approval: &StandingApproval) -> Self {
        Self {
            id: approval.id.to_string(),
            policy: approval.policy.to_string(),
            remedy: approval.remedy.to_string(),
            target: approval.target.clone(),
            action: approval.action.to_string(),
            incident: approval.incident.to_string(),
            votes: approval.votes.iter().map(VoteView::of).collect(),
            since: approval.since,
            until: approval.until,
            uses: approval.uses,
            left: approval.left(),
            orders: approval.runs.iter().map(ToString::to_string).collect(),
        }
    }
}

const NOUN: &str = "standing approval";

pub(in crate::web) fn subject(approval: &StandingApproval) -> Subject<'_> {
    Subject::Incident { policy: &approval.policy, target: &approval.target }
}

/// Those that somebody may see.
pub(in crate::web) fn seen(api: &Api, caller: &Caller) -> Vec<Arc<StandingApproval>> {
    let mut all = (api.web.approvals)();
    all.retain(|approval| caller.may(Permission::View, &subject(approval)).is_ok());
    all
}

pub(super) async fn list(State(api): State<Arc<Api>>, caller: Caller) -> Response {
    let seen = seen(&api, &caller);
    let approvals = seen.iter().map(|approval| StandingView::of(approval)).collect();
    answer::json(StatusCode::OK, &ApprovalList { approvals })
}

pub(super) async fn revoke(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    body: Body,
) -> Answer {
    let said = control::read(body, &caller, false).await;
    let told = end(&api, &caller, &id, said).await?;
    // The number is told as it is counted, and not as it was asked for.
    let id = read_number(&id).map_or(id, |id| id.to_string());
    Ok(told.json("approval", &id))
}

/// Ends one, and tells what follows from it or why nothing does.
pub(in crate::web) async fn end(
    api: &Api,
    caller: &Caller,
    id: &str,
    said: Result<Command, String>,
) -> Result<Told, Refusal> {
    let Some(known) = find(api, caller, id) else { return Ok(Told::unknown(NOUN, id)) };
    caller.may(Permission::Approve, &subject(&known))?;
    match said.and_then(Command::plain) {
        Ok((by, reason)) => {
            let by = control::operator(api, caller, by);
            let event = Event::Revoke { approval: known.id, by, reason };
            control::hand_over(NOUN, id, api, event).await
        }
        Err(message) => Ok(Told::Not(StatusCode::BAD_REQUEST, message)),
    }
}

/// One that somebody may see.
pub(in crate::web) fn find(api: &Api, caller: &Caller, id: &str) -> Option<Arc<StandingApproval>> {
    let id = read_number(id).map(ApprovalId)?;
    seen(api, caller).into_iter().find(|known| known.id == id)
}
