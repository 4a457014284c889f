//! What a route asks for, and who is let in.

use axum::extract::{Request, State};
use axum::http::{Extensions, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::caller::Caller;
use super::grants::{Lacking, Subject};
use homeostat_config::Permission;

/// What a route asks of whoever comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gate {
    /// Nothing: it tells only whether this process lives, and can do its work.
    Open,
    /// Nothing yet: here people say who they are. It holds no data.
    Enter,
    /// This permission, to anything: to what exactly, the handler asks ([`Caller::may`]).
    To(Permission),
}

impl From<Permission> for Gate {
    fn from(permission: Permission) -> Self {
        Self::To(permission)
    }
}

/// Who has come, as the guard before all routes found out. Without one, a gate is shut.
#[derive(Debug, Clone)]
pub struct Arrival(pub Result<Caller, Refusal>);

/// Why somebody is not let in. As an answer it is a status alone: the guard, which knows who asked
/// and for what, puts it into words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody knows who this is.
    Unknown(Stranger),
    /// It is known who this is, and they may not do this.
    Lacking(Lacking),
}

/// Why nobody knows who somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stranger {
    /// They show nothing.
    Nothing,
    /// What they show is wrong.
    Wrong,
    /// What they show was right, and its time is over.
    Expired,
    /// Too many wait for what they show to be looked at.
    Crowded,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Unknown(Stranger::Nothing | Stranger::Wrong | Stranger::Expired) => {
                StatusCode::UNAUTHORIZED
            }
            Self::Unknown(Stranger::Crowded) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Lacking(_) => StatusCode::FORBIDDEN,
        };
        let mut response = status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl Gate {
    /// Tells whether who came is let in.
    ///
    /// # Errors
    ///
    /// They are not.
    pub fn judge(self, extensions: &Extensions) -> Result<(), Refusal> {
        match self {
            Self::Open | Self::Enter => Ok(()),
            Self::To(permission) => match extensions.get::<Arrival>() {
                Some(Arrival(Ok(caller))) => caller.may(permission, &Subject::Anything),
                Some(Arrival(Err(refusal))) => Err(refusal.clone()),
                None => Err(Refusal::Unknown(Stranger::Nothing)),
            },
        }
    }
}

/// Stands before one route.
pub(super) async fn stand(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    match gate.judge(request.extensions()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}
