//! Who somebody is here, how that is known, and what they may do.

use axum::http::StatusCode;
use axum::response::Response;
use homeostat_config::{Grant, Pattern, Permission};
use serde_json::{Value, json};

use crate::access::Caller;
use crate::web::answer;

pub(super) async fn show(caller: Caller) -> Response {
    let groups: Vec<&str> = caller.groups().collect();
    let may: Value = match caller.grants() {
        None => Permission::ALL.iter().map(|all| json!({ "permission": all.as_str() })).collect(),
        Some(grants) => grants.flat_map(of_grant).collect(),
    };
    let known = json!({
        "identity": caller.identity().to_string(),
        "groups": groups,
        "way": caller.way(),
        "address": caller.address(),
        "may": may,
    });
    answer::json(StatusCode::OK, &known)
}

/// What one grant allows; what it is not narrowed to is left out.
fn of_grant(grant: &Grant) -> impl Iterator<Item = Value> {
    grant.may.iter().map(|permission| {
        let mut allowed = json!({ "permission": permission.as_str() });
        if let Some(sources) = &grant.sources {
            allowed["sources"] = json!(sources);
        }
        if let Some(policies) = &grant.policies {
            allowed["policies"] = policies.iter().map(Pattern::as_str).collect();
        }
        if !grant.targets.is_empty() {
            allowed["targets"] = grant.targets.iter().map(ToString::to_string).collect();
        }
        allowed
    })
}
