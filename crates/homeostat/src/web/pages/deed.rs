//! What a person does from a page: each deed asks first, with what exactly will happen.
//!
//! ```text
//!  GET  /incidents/17/approve ─> what will run, its digest, a reason?
//!  POST /incidents/17/approve ─> the same as the API's ─> the incident again, with what came of it
//! ```

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use homeostat_core::approval::Digest;
use homeostat_core::command::Command as Verb;
use homeostat_core::event::Event;
use homeostat_core::incident::End;
use homeostat_core::time::Span;
use maud::{Markup, html};
use serde::Deserialize;

use super::look;
use super::shell::{self, Page, Place, Viewer};
use super::{Answer, incident, now, words};
use crate::access::{Identity, Permission, Refusal, Subject};
use crate::web::api::Api;
use crate::web::api::control::{self, Command, Told};
use crate::web::api::view::{IncidentView, StateView};

/// Bytes that a form may have.
const MOST_BYTES: usize = 16 * 1024;

/// What came of a deed, for the page that follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) code: StatusCode,
    text: String,
}

impl Said {
    /// What a command came to, or why that could not be found out.
    pub(super) fn of(told: Told) -> Result<Self, Box<Response>> {
        match told {
            Told::Taken { message, .. } => Ok(Self { code: StatusCode::OK, text: message }),
            Told::Not(code, text) => Ok(Self { code, text }),
            Told::Broken(response) => Err(Box::new(response)),
        }
    }

    pub(super) fn markup(&self) -> Markup {
        let class = if self.code.is_success() { "said" } else { "said bad" };
        html! { p class=(class) role="status" id="said" { (self.text) } }
    }
}

/// What a form says.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Fields {
    #[serde(default)]
    by: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    digest: String,
    #[serde(default)]
    next: String,
    #[serde(default, rename = "for")]
    lasts: String,
}

impl Fields {
    pub(super) async fn read(body: Body) -> Result<Self, String> {
        let bytes = to_bytes(body, MOST_BYTES).await;
        let bytes = bytes.map_err(|_| format!("expected a form of at most {MOST_BYTES} bytes"))?;
        serde_urlencoded::from_bytes(&bytes).map_err(|error| format!("this is no form: {error}"))
    }

    /// As a program would say it; a field that was left empty was not said.
    pub(super) fn command(&self) -> Result<Command, String> {
        let digest = match self.digest.trim() {
            "" => None,
            text => Some(
                Digest::try_from(text.to_owned())
                    .map_err(|_| format!("{text:?} is no digest of a deed"))?,
            ),
        };
        let next = match self.next.trim() {
            "" => None,
            text => Some(text.parse().map_err(|_| format!("{text:?} is no number of runs"))?),
        };
        let lasts: Option<Span> = match self.lasts.trim() {
            "" => None,
            text => Some(text.parse().map_err(|error| format!("{text:?}: {error}, as in 24h"))?),
        };
        Ok(Command::new(&self.by, &self.reason, digest, next, lasts))
    }
}

/// Whether what was given up may be begun anew.
pub(super) fn can_be_tried_again(incident: &IncidentView) -> bool {
    matches!(incident.outcome, Some(End::Escalated | End::Rejected | End::Cancelled))
}

/// Asks before a deed about an incident.
async fn ask(api: &Arc<Api>, viewer: &Viewer, id: &str, verb: Verb) -> Answer {
    let incident = incident::find(api, viewer, id).await?;
    let status = shell::standing(api, viewer).await?;
    let (name, target) = (look::name(&incident), words::values(&incident.target));
    let question = match verb {
        Verb::Approve => "Approve",
        Verb::Reject => "Reject",
        Verb::Cancel => "Cancel",
        Verb::Retry => "Try again",
    };
    let back = format!("incidents/{}", incident.id);
    let fits = match verb {
        Verb::Approve | Verb::Reject => incident.approval.is_some(),
        Verb::Cancel => incident.state != StateView::Closed,
        Verb::Retry => can_be_tried_again(&incident),
    };
    let may = now::may(viewer, &incident);
    let permission = control::permission(verb);
    let body = html! {
        div class="confirm" {
            h1 { (question) ": " (name) " · " (target) "?" }
            @if !fits {
                p class="said bad" { "There is nothing to " (verb) " now: " (incident.reason) }
                p { a class="deed" href=(back) { "Back to the incident" } }
            } @else if !may(permission) {
                p class="said bad" { "You may not: it is for whoever may " code { (permission) } "." }
                p { a class="deed" href=(back) { "Back to the incident" } }
            } @else {
                (what_follows(&incident, verb))
                form method="post" action={ (back) "/" (verb) } {
                    (viewer.form_field())
                    @if let Some(approval) = incident.approval.as_ref().filter(|_| verb == Verb::Approve) {
                        input type="hidden" name="digest" value=(approval.digest);
                    }
                    (person(viewer))
                    label class="field" { "Why (for whoever reads it later)"
                        textarea name="reason" maxlength="2000" {} }
                    @if verb == Verb::Approve { (ahead()) }
                    div class="deeds" {
                        @let class = if verb == Verb::Approve { "first" } else { "harm" };
                        button class=(class) id="do" { (question) }
                        a class="deed" href=(back) { "Back" }
                    }
                }
            }
        }
    };
    let page = Page::still(Place::Incidents, format!("{question}: {name} · {target}"), body);
    Ok(shell::frame(viewer, &status, StatusCode::OK, &page))
}

/// What exactly will happen.
fn what_follows(incident: &IncidentView, verb: Verb) -> Markup {
    let running = incident.state == StateView::Acting;
    html! {
        @match verb {
            Verb::Approve => @if let Some(approval) = &incident.approval {
                p { "Remedy " b { (approval.remedy) } " will run on this target, once the guards have agreed again:" }
                pre { (approval.action) }
                dl class="pairs" {
                    dt { "digest" } dd class="mono" { (approval.digest) }
                    dt { "void" } dd { (words::moment(approval.expires_at)) }
                    @if approval.count > 1 {
                        dt { "agreed" }
                        dd { (approval.votes.len()) " of " (approval.count)
                            @for vote in &approval.votes { ", " (vote.by) } }
                    }
                }
            },
            Verb::Reject => {
                @if let Some(approval) = &incident.approval {
                    p { "Remedy " b { (approval.remedy) } " will not run, and nothing else is tried:" }
                    pre { (approval.action) }
                }
                p { "The incident is closed as rejected." }
            }
            Verb::Cancel => {
                @if running { p { "What runs now is ended." } }
                p { "Nothing else is tried, and the incident is closed as cancelled." }
            }
            Verb::Retry => p { "The ladder begins anew: guards judge each remedy as for a new trouble." },
        }
    }
}

/// Who it is, where nobody asked.
pub(super) fn person(viewer: &Viewer) -> Markup {
    html! {
        @if *viewer.caller.identity() == Identity::Anonymous {
            label class="field" { "Your name (required)" input name="by" required maxlength="200" autocomplete="name"; }
        }
    }
}

/// The next runs like this one, too.
fn ahead() -> Markup {
    html! {
        details {
            summary { "Approve the next ones like it, too" }
            div class="filter" {
                label { "How many" input name="next" type="number" min="1" inputmode="numeric"; }
                label { "For how long, as in 24h" input name="for" placeholder="24h"; }
            }
        }
    }
}

async fn perform(
    api: &Arc<Api>,
    viewer: &Viewer,
    id: &str,
    verb: Verb,
    body: Body,
) -> Result<Answer, Refusal> {
    let said = Fields::read(body).await.and_then(|fields| fields.command());
    let said = said.and_then(|said| said.checked(&viewer.caller, false));
    let told = control::carry_out(api, &viewer.caller, id, verb, said).await?;
    Ok(match Said::of(told) {
        Ok(said) => incident::after(api, viewer, id, said).await,
        Err(broken) => Err(*broken),
    })
}

/// The same for each command about an incident.
macro_rules! deeds {
    ($($ask:ident, $perform:ident: $verb:expr;)*) => {$(
        pub(super) async fn $ask(
            State(api): State<Arc<Api>>,
            viewer: Viewer,
            Path(id): Path<String>,
        ) -> Answer {
            ask(&api, &viewer, &id, $verb).await
        }

        pub(super) async fn $perform(
            State(api): State<Arc<Api>>,
            viewer: Viewer,
            Path(id): Path<String>,
            body: Body,
        ) -> Result<Answer, Refusal> {
            perform(&api, &viewer, &id, $verb, body).await
        }
    )*};
}

deeds! {
    ask_approve, approve: Verb::Approve;
    ask_reject, reject: Verb::Reject;
    ask_cancel, cancel: Verb::Cancel;
    ask_retry, retry: Verb::Retry;
}

/// A question about the whole engine.
struct Question {
    title: &'static str,
    text: &'static str,
    action: &'static str,
    needs_reason: Option<bool>,
}

async fn whole(api: &Arc<Api>, viewer: &Viewer, question: &Question) -> Answer {
    let status = shell::standing(api, viewer).await?;
    let Question { title, text, action, needs_reason } = *question;
    let body = html! {
        div class="confirm" {
            h1 { (title) "?" }
            p { (text) }
            form method="post" action=(action) {
                (viewer.form_field())
                @if let Some(required) = needs_reason {
                    (person(viewer))
                    label class="field" { "Why (for whoever reads it at night)"
                        textarea name="reason" maxlength="2000" required[required] {} }
                }
                div class="deeds" {
                    button class="first" id="do" { (title) }
                    a class="deed" href="./" { "Back" }
                }
            }
        }
    };
    Ok(shell::frame(viewer, &status, StatusCode::OK, &Page::still(Place::Elsewhere, title, body)))
}

pub(super) async fn ask_pause(State(api): State<Arc<Api>>, viewer: Viewer) -> Answer {
    let text = "Nothing is started until somebody resumes, also after a restart. What runs finishes, \
                and is verified.";
    let question = Question { title: "Pause", text, action: "pause", needs_reason: Some(true) };
    whole(&api, &viewer, &question).await
}

pub(super) async fn ask_resume(State(api): State<Arc<Api>>, viewer: Viewer) -> Answer {
    let text = "Remedies start again, as far as the guards agree.";
    let question = Question { title: "Resume", text, action: "resume", needs_reason: Some(false) };
    whole(&api, &viewer, &question).await
}

pub(super) async fn ask_reload(State(api): State<Arc<Api>>, viewer: Viewer) -> Answer {
    let text =
        "The configuration is read again. If it has an error, the one of before stays in force.";
    let question = Question { title: "Reload", text, action: "reload", needs_reason: None };
    whole(&api, &viewer, &question).await
}

pub(super) async fn pause(
    State(api): State<Arc<Api>>,
    viewer: Viewer,
    body: Body,
) -> Result<Answer, Refusal> {
    halt(&api, &viewer, body, true).await
}

pub(super) async fn resume(
    State(api): State<Arc<Api>>,
    viewer: Viewer,
    body: Body,
) -> Result<Answer, Refusal> {
    halt(&api, &viewer, body, false).await
}

async fn halt(
    api: &Arc<Api>,
    viewer: &Viewer,
    body: Body,
    pauses: bool,
) -> Result<Answer, Refusal> {
    viewer.caller.may(Permission::Operate, &Subject::Everything)?;
    let said = Fields::read(body).await.and_then(|fields| fields.command());
    let said = said.and_then(|said| said.checked(&viewer.caller, pauses));
    let told = match said.and_then(Command::plain) {
        Ok((by, reason)) => {
            let by = control::operator(api, &viewer.caller, by);
            let event =
                if pauses { Event::Pause { by, reason } } else { Event::Resume { by, reason } };
            match Said::of(control::hand_over("pause", "", api, event).await?) {
                Ok(said) => said,
                Err(broken) => return Ok(Err(*broken)),
            }
        }
        Err(text) => Said { code: StatusCode::BAD_REQUEST, text },
    };
    Ok(now::after(api, viewer, told).await)
}

pub(super) async fn reload(State(api): State<Arc<Api>>, viewer: Viewer) -> Answer {
    let said = match (api.web.reload)(viewer.caller.operator(String::new())).await {
        Ok(()) => {
            Said { code: StatusCode::OK, text: "The configuration was read again.".to_owned() }
        }
        Err(text) => Said { code: StatusCode::INTERNAL_SERVER_ERROR, text },
    };
    now::after(&api, &viewer, said).await
}
