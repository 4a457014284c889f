//! What a route asks for, and who is let in.

use axum::extract::{Request, State};
use axum::http::{Extensions, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Permission;

/// What a route asks of whoever comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gate {
    /// Nothing: it tells only whether this process lives, and can do its work.
    Open,
    /// Nothing yet: here people say who they are. It holds no data.
    Enter,
    /// This permission.
    To(Permission),
}

impl From<Permission> for Gate {
    fn from(permission: Permission) -> Self {
        Self::To(permission)
    }
}

/// Who has come, as the guard before all routes found out. Without one, a gate is shut.
#[derive(Debug, Clone)]
pub struct Arrival(pub Result<(), Refusal>);

/// Why somebody is not let in. As an answer it is a status alone: the guard, which knows who asked
/// and for what, puts it into words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody knows who this is.
    Unknown,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Unknown => StatusCode::UNAUTHORIZED,
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
            Self::To(_) => extensions.get::<Arrival>().map_or(Err(Refusal::Unknown), |who| who.0),
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
