//! What a route asks for, and who is let in.

use std::fmt;

use axum::extract::{Request, State};
use axum::http::{Extensions, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::caller::Caller;
use super::grants::{Lacking, Subject};
use homeostat_config::Permission;
use homeostat_core::approval::Objection;
use homeostat_core::name::SourceName;

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
    /// They may do this, and their word does not count here.
    Objected(Objection),
    /// What they bring is not signed as what comes from this source must be.
    Unsigned(SourceName, Unsigned),
}

/// Why a body is not taken for what its source has signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsigned {
    /// It shows no signature, or not the time of it.
    Absent,
    /// None of the secrets makes this signature of it.
    Wrong,
    /// Its time is too far from ours: so many seconds before it, or after it where negative.
    OutOfTime {
        /// How old it is.
        seconds: i64,
    },
    /// It was taken in before.
    Replayed,
    /// The same is being taken in.
    Underway,
    /// Nobody knows whether it was taken in before: it is older than what is remembered.
    Forgotten,
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
    /// They show a token of a provider, which does not count here.
    Token(Fault),
    /// They show a token of a provider whose keys nobody has.
    Unverifiable,
}

/// Why a token of a provider does not count here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It cannot be read.
    Unreadable,
    /// It is a token for something else.
    Kind,
    /// It is signed in a way that is not taken, or not at all.
    Algorithm,
    /// The provider has no such key.
    Key,
    /// The provider did not sign this.
    Signature,
    /// It is of another issuer.
    Issuer,
    /// It is for somebody else.
    Audience,
    /// Its time has not come.
    Early,
    /// It is of another sign-in.
    Nonce,
    /// It lacks what every token says.
    Claims,
    /// It does not say whose it is.
    Nameless,
    /// It names somebody by an address that nobody has verified.
    Unverified,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreadable => "this token cannot be read",
            Self::Kind => "this is a token for something else",
            Self::Algorithm => "this token is signed in a way that is not taken, or not at all",
            Self::Key => "this token is signed by a key that the provider does not have",
            Self::Signature => "the signature of this token is wrong",
            Self::Issuer => "this token is of another issuer",
            Self::Audience => "this token is for another audience",
            Self::Early => "the time of this token has not come",
            Self::Nonce => "this token is of another sign-in",
            Self::Claims => "this token does not say from when to when it counts",
            Self::Nameless => "this token does not say whose it is, by the claim that should",
            Self::Unverified => "this token names somebody by an address that is not verified",
        })
    }
}

impl Unsigned {
    /// Returns what it is answered with. Whoever has signed it need only send again, signed anew, what
    /// is not known to have been taken in.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Absent | Self::Wrong | Self::OutOfTime { .. } | Self::Replayed => {
                StatusCode::UNAUTHORIZED
            }
            Self::Underway | Self::Forgotten => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl fmt::Display for Unsigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("this needs a signature"),
            Self::Wrong => f.write_str("this signature is wrong"),
            Self::OutOfTime { seconds: seconds @ 0.. } => {
                write!(f, "this was signed too long ago: {seconds}s before now")
            }
            Self::OutOfTime { seconds } => {
                write!(f, "this was signed in the future: {}s after now", seconds.unsigned_abs())
            }
            Self::Replayed => f.write_str("this was taken in before"),
            Self::Underway => f.write_str("the same is being taken in: try again"),
            Self::Forgotten => {
                f.write_str("whether this was taken in before is not remembered: sign it anew")
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Unknown(
                Stranger::Nothing | Stranger::Wrong | Stranger::Expired | Stranger::Token(_),
            ) => StatusCode::UNAUTHORIZED,
            Self::Unknown(Stranger::Crowded | Stranger::Unverifiable) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Lacking(_) | Self::Objected(_) => StatusCode::FORBIDDEN,
            Self::Unsigned(_, why) => why.status(),
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
