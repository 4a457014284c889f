//! What people have approved ahead: shown with the policies, and ended from there.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use homeostat_core::approval::StandingApproval;
use maud::{Markup, html};

use super::deed::{Fields, Said, person};
use super::shell::{self, Page, Place, Viewer};
use super::{Answer, policies, words};
use crate::access::{Permission, Refusal};
use crate::web::api::Api;
use crate::web::api::approvals;

/// All that somebody may see; nothing where there is none.
pub(super) fn section(api: &Api, viewer: &Viewer) -> Markup {
    let all = approvals::seen(api, &viewer.caller);
    html! {
        @if !all.is_empty() {
            h2 id="ahead" { "Approved ahead" }
            table class="cards-below" {
                thead { tr { th { "What may run" } th { "By" } th class="tight" { "Runs left" }
                    th class="tight" { "Until" } th { "" } } }
                tbody { @for approval in &all { (row(approval, viewer)) } }
            }
        }
    }
}

fn row(approval: &StandingApproval, viewer: &Viewer) -> Markup {
    html! {
        tr data-item id={ "ahead" (approval.id) } {
            td {
                a href={ "policies#" (approval.policy) } { (approval.policy) } " · " b { (approval.remedy) }
                " on " span class="mono" { (words::pairs(&approval.target)) }
                pre { (approval.action) }
            }
            td data-of="by" { (voters(approval)) }
            td class="tight" data-of="runs left" { (approval.left()) " of " (approval.uses) }
            td class="tight" data-of="until" { (words::until(approval.until, viewer.now)) }
            td {
                @if may(viewer, approval) {
                    a class="deed harm" href={ "approvals/" (approval.id) "/revoke" } { "Revoke…" }
                }
            }
        }
    }
}

fn voters(approval: &StandingApproval) -> String {
    let names: Vec<String> = approval.votes.iter().map(|vote| vote.by.to_string()).collect();
    names.join(", ")
}

fn may(viewer: &Viewer, approval: &StandingApproval) -> bool {
    viewer.caller.may(Permission::Approve, &approvals::subject(approval)).is_ok()
}

pub(super) async fn ask_revoke(
    State(api): State<Arc<Api>>,
    viewer: Viewer,
    Path(id): Path<String>,
) -> Answer {
    let status = shell::standing(&api, &viewer).await?;
    let known = approvals::find(&api, &viewer.caller, &id);
    let code = if known.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND };
    let body = html! {
        div class="confirm" {
            @match &known {
                None => h1 { "There is no standing approval " (id) },
                Some(approval) => {
                    h1 { "Revoke what was approved ahead?" }
                    @if may(&viewer, approval) { (question(approval, &viewer)) }
                    @else { p class="said bad" { "You may not: it is for whoever may "
                        code { (Permission::Approve) } "." } }
                },
            }
            p { a href="policies" { "Back to the policies" } }
        }
    };
    Ok(shell::frame(&viewer, &status, code, &Page::still(Place::Policies, "Revoke", body)))
}

fn question(approval: &StandingApproval, viewer: &Viewer) -> Markup {
    html! {
        p { "Remedy " b { (approval.remedy) } " of policy " b { (approval.policy) } " will ask again before \
             it runs on " span class="mono" { (words::pairs(&approval.target)) } ". What runs now goes on." }
        pre { (approval.action) }
        p class="soft" { "Approved by " (voters(approval)) "; " (approval.left()) " of " (approval.uses)
            " runs are left, until " (words::moment(approval.until)) "." }
        form method="post" action={ "approvals/" (approval.id) "/revoke" } {
            (viewer.form_field())
            (person(viewer))
            label class="field" { "Why (for whoever reads it later)"
                textarea name="reason" maxlength="2000" {} }
            div class="deeds" { button class="harm" id="do" { "Revoke" } }
        }
    }
}

pub(super) async fn revoke(
    State(api): State<Arc<Api>>,
    viewer: Viewer,
    Path(id): Path<String>,
    body: Body,
) -> Result<Answer, Refusal> {
    let said = Fields::read(body).await.and_then(|fields| fields.command());
    let said = said.and_then(|said| said.checked(&viewer.caller, false));
    let told = approvals::end(&api, &viewer.caller, &id, said).await?;
    Ok(match Said::of(told) {
        Ok(said) => policies::after(&api, &viewer, &said).await,
        Err(broken) => Err(*broken),
    })
}
