//! An operator's commands: committed before they are answered.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use homeostat_core::approval::{Digest, Terms};
use homeostat_core::command::{Command as Verb, Reply};
use homeostat_core::event::Event;
use homeostat_core::name::IncidentId;
use homeostat_core::operator::Operator;
use homeostat_core::time::Span;
use serde::Deserialize;
use serde_json::json;

use super::Api;
use super::incidents::{read_id, subject};
use crate::access::{Caller, Identity, Permission, Refusal, Subject};
use crate::web::answer;

/// Bytes that a command may have.
const MOST_BYTES: usize = 16 * 1024;

const ROOT: &str = "/api/v1";

/// Characters that an operator's name may have.
const MOST_NAME: usize = 200;

/// Characters that a reason may have.
const MOST_REASON: usize = 2000;

/// What they say of themselves who command, and why.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct Command {
    #[serde(default)]
    by: String,
    #[serde(default)]
    reason: String,
    /// The deed that they saw, where they approve one.
    #[serde(default)]
    digest: Option<Digest>,
    /// How many further runs they approve ahead.
    #[serde(default)]
    next: Option<u32>,
    /// For how long they do.
    #[serde(default, rename = "for")]
    lasts: Option<Span>,
}

impl Command {
    /// What somebody says by a form.
    pub(in crate::web) fn new(
        by: &str,
        reason: &str,
        digest: Option<Digest>,
        next: Option<u32>,
        lasts: Option<Span>,
    ) -> Self {
        Self { by: by.to_owned(), reason: reason.to_owned(), digest, next, lasts }
    }

    /// The same without what surrounds it, if it is short enough and says what it must.
    pub(in crate::web) fn checked(
        self,
        caller: &Caller,
        needs_reason: bool,
    ) -> Result<Self, String> {
        let by = within("by", &self.by, MOST_NAME)?;
        let reason = within("reason", &self.reason, MOST_REASON)?;
        if by.is_empty() && *caller.identity() == Identity::Anonymous {
            return Err("\"by\" is empty: say who you are".into());
        }
        if needs_reason && reason.is_empty() {
            return Err("\"reason\" is empty: say why, for whoever reads it at night".into());
        }
        Ok(Self { by, reason, ..self })
    }

    /// What they approve ahead.
    fn ahead(&self) -> Result<Option<Terms>, String> {
        match (self.next, self.lasts) {
            (None, None) => Ok(None),
            (Some(uses), Some(lasts)) => Ok(Some(Terms { uses, lasts })),
            (Some(_), None) => Err("\"next\" needs a \"for\": for how long, as in \"24h\"".into()),
            (None, Some(_)) => Err("\"for\" needs a \"next\": for how many runs".into()),
        }
    }

    /// Who commands, as they say, and why, where there is nothing else to say.
    pub(in crate::web) fn plain(self) -> Result<(String, String), String> {
        let Self { by, reason, digest, next, lasts } = self;
        let more =
            [("digest", digest.is_some()), ("next", next.is_some()), ("for", lasts.is_some())];
        match more.into_iter().find(|(_, is_given)| *is_given) {
            Some((name, _)) => Err(format!("{name:?} goes with an approval only")),
            None => Ok((by, reason)),
        }
    }
}

pub(super) async fn pause(
    State(api): State<Arc<Api>>,
    caller: Caller,
    body: Body,
) -> Result<Response, Refusal> {
    // Nothing at all starts then.
    caller.may(Permission::Operate, &Subject::Everything)?;
    match read(body, &caller, true).await.and_then(Command::plain) {
        Ok((by, reason)) => {
            let by = operator(&api, &caller, by);
            tracing::info!(%by, reason, "an operator pauses");
            perform(&api, Event::Pause { by, reason }, true).await
        }
        Err(message) => Ok(refuse(&message)),
    }
}

pub(super) async fn resume(
    State(api): State<Arc<Api>>,
    caller: Caller,
    body: Body,
) -> Result<Response, Refusal> {
    caller.may(Permission::Operate, &Subject::Everything)?;
    match read(body, &caller, false).await.and_then(Command::plain) {
        Ok((by, reason)) => {
            let by = operator(&api, &caller, by);
            tracing::info!(%by, reason, "an operator resumes");
            perform(&api, Event::Resume { by, reason }, false).await
        }
        Err(message) => Ok(refuse(&message)),
    }
}

pub(super) type Answer = Result<Response, Refusal>;

pub(super) async fn approve(
    api: State<Arc<Api>>,
    caller: Caller,
    id: Path<String>,
    body: Body,
) -> Answer {
    command(&api, &caller, &id, Verb::Approve, body).await
}

pub(super) async fn reject(
    api: State<Arc<Api>>,
    caller: Caller,
    id: Path<String>,
    body: Body,
) -> Answer {
    command(&api, &caller, &id, Verb::Reject, body).await
}

pub(super) async fn cancel(
    api: State<Arc<Api>>,
    caller: Caller,
    id: Path<String>,
    body: Body,
) -> Answer {
    command(&api, &caller, &id, Verb::Cancel, body).await
}

pub(super) async fn retry(
    api: State<Arc<Api>>,
    caller: Caller,
    id: Path<String>,
    body: Body,
) -> Answer {
    command(&api, &caller, &id, Verb::Retry, body).await
}

pub(in crate::web) const fn permission(command: Verb) -> Permission {
    match command {
        Verb::Approve | Verb::Reject => Permission::Approve,
        Verb::Cancel | Verb::Retry => Permission::Operate,
    }
}

/// What a command came to, before it is written for a program or for a person.
#[derive(Debug)]
pub(in crate::web) enum Told {
    /// It is taken: what follows, and how many have agreed of how many, where people are counted.
    Taken { message: String, approvals: Option<(usize, usize)> },
    /// Nothing was changed, and why.
    Not(StatusCode, String),
    /// Whether it may be taken could not be found out.
    Broken(Response),
}

impl Told {
    pub(super) fn unknown(what: &str, id: &str) -> Self {
        Self::Not(StatusCode::NOT_FOUND, format!("there is no {what} {id:?}"))
    }

    /// As JSON, about something with a number.
    pub(super) fn json(self, what: &str, id: &str) -> Response {
        match self {
            Self::Taken { message, approvals } => {
                let mut told = json!({ what: id, "message": message });
                if let Some((have, count)) = approvals {
                    told["approvals"] = json!({ "have": have, "count": count });
                }
                answer::json(StatusCode::OK, &told)
            }
            Self::Not(status, message) => error(status, &message),
            Self::Broken(response) => response,
        }
    }
}

async fn command(api: &Api, caller: &Caller, id: &str, command: Verb, body: Body) -> Answer {
    let said = read(body, caller, false).await;
    let told = carry_out(api, caller, id, command, said).await?;
    // The number is told as it is counted, and not as it was asked for.
    let id = read_id(id).map_or_else(|| id.to_owned(), |id| id.to_string());
    Ok(told.json("incident", &id))
}

/// Commands something about one incident, and tells what follows from it or why nothing does.
pub(in crate::web) async fn carry_out(
    api: &Api,
    caller: &Caller,
    id: &str,
    command: Verb,
    said: Result<Command, String>,
) -> Result<Told, Refusal> {
    let unknown = || Ok(Told::unknown("incident", id));
    let Some(incident) = read_id(id) else { return unknown() };
    let permission = permission(command);
    // What is granted for some incidents only depends on which one it is.
    if !(caller.may_all(Permission::View) && caller.may_all(permission)) {
        match subject(api, caller, incident).await {
            Ok(Some((policy, target))) => {
                let subject = Subject::Incident { policy: &policy, target: &target };
                caller.may(permission, &subject)?;
            }
            Ok(None) => return unknown(),
            Err(response) => return Ok(Told::Broken(response)),
        }
    }
    match said.and_then(|said| event(api, caller, (incident, command), said)) {
        Ok(event) => hand_over("incident", id, api, event).await,
        Err(message) => Ok(Told::Not(StatusCode::BAD_REQUEST, message)),
    }
}

fn event(
    api: &Api,
    caller: &Caller,
    (incident, command): (IncidentId, Verb),
    said: Command,
) -> Result<Event, String> {
    let (by, reason, seen, ahead) = match command {
        Verb::Approve => {
            let ahead = said.ahead()?;
            (
                noted(api, caller.approver(said.by, &(api.web.book)())),
                said.reason,
                said.digest,
                ahead,
            )
        }
        Verb::Reject | Verb::Cancel | Verb::Retry => {
            let (by, reason) = said.plain()?;
            (operator(api, caller, by), reason, None, None)
        }
    };
    Ok(Event::Command { incident, command, seen, ahead, by, reason })
}

/// Hands over a command, and tells what follows from it or why nothing does.
pub(in crate::web) async fn hand_over(
    what: &str,
    id: &str,
    api: &Api,
    event: Event,
) -> Result<Told, Refusal> {
    Ok(match api.web.queue.command(event).await {
        Ok(Some(Reply::Taken(message))) => Told::Taken { message, approvals: None },
        Ok(Some(Reply::Counted { message, have, need })) => {
            Told::Taken { message, approvals: Some((have, need)) }
        }
        Ok(Some(Reply::Refused(why))) => Told::Not(StatusCode::CONFLICT, why),
        Ok(Some(Reply::NotTheirs(objection))) => return Err(Refusal::Objected(objection)),
        Ok(Some(Reply::NoIncident(_) | Reply::NoApproval(_)) | None) => Told::unknown(what, id),
        Err(busy) => Told::Not(StatusCode::SERVICE_UNAVAILABLE, busy.to_string()),
    })
}

/// Who commands: what they say of themselves, beside who they are.
pub(in crate::web) fn operator(api: &Api, caller: &Caller, claimed: String) -> Operator {
    noted(api, caller.operator(claimed))
}

fn noted(api: &Api, operator: Operator) -> Operator {
    if operator.claims_another() {
        api.web.metrics.claimed_another();
    }
    operator
}

async fn perform(api: &Api, event: Event, paused: bool) -> Result<Response, Refusal> {
    Ok(match hand_over("pause", "", api, event).await? {
        Told::Taken { message, .. } => {
            answer::json(StatusCode::OK, &json!({ "paused": paused, "message": message }))
        }
        told @ (Told::Not(..) | Told::Broken(_)) => told.json("pause", ""),
    })
}

pub(super) fn refuse(message: &str) -> Response {
    error(StatusCode::BAD_REQUEST, message)
}

fn error(status: StatusCode, message: &str) -> Response {
    answer::problem(ROOT, status, message)
}

pub(super) async fn read(
    body: Body,
    caller: &Caller,
    needs_reason: bool,
) -> Result<Command, String> {
    let bytes = to_bytes(body, MOST_BYTES).await;
    let bytes = bytes.map_err(|_| format!("expected a body of at most {MOST_BYTES} bytes"))?;
    let command: Command = serde_json::from_slice(&bytes)
        .map_err(|error| format!("expected {{\"by\": …, \"reason\": …}}: {error}"))?;
    command.checked(caller, needs_reason)
}

fn within(name: &str, text: &str, most: usize) -> Result<String, String> {
    let text = text.trim();
    if text.chars().count() > most {
        return Err(format!("{name:?} is too long: expected at most {most} characters"));
    }
    Ok(text.to_owned())
}
