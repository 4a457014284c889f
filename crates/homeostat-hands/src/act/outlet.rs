//! Where the requests of a remedy go. The engine brings it: it knows the server, the secrets and how
//! to speak with it, and what is done with an answer is decided here (`http`).

use std::future::Future;
use std::time::Duration;

use homeostat_core::request::Request;

use super::Refusal;

/// One server, to which the requests of one remedy go.
pub trait Outlet: Sync {
    /// A request with all that it needs to be sent.
    type Letter: Send;

    /// Puts to a request what only its sender knows, and makes sure that it goes where it belongs.
    /// Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// It cannot be sent, or not from here.
    fn prepare(
        &self,
        request: &Request,
        timeout: Duration,
    ) -> impl Future<Output = Result<Self::Letter, Refusal>> + Send;

    /// Sends it, once, and keeps at most [`RESPONSE_MAX`](super::limits::RESPONSE_MAX) bytes of the
    /// answer, without our own secrets.
    ///
    /// # Errors
    ///
    /// There is no answer.
    fn send(&self, letter: Self::Letter) -> impl Future<Output = Result<Answer, NoAnswer>> + Send;
}

/// What a server answered to a deed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Where a redirect points to. It is not followed.
    pub location: Option<String>,
    /// The beginning of the body, without our own secrets.
    pub body: Vec<u8>,
    /// Whether the body is longer, or broke off.
    pub truncated: bool,
}

/// Why there is no answer, each with its reason on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoAnswer {
    /// Nothing was sent.
    NotSent(String),
    /// It was sent, at least in part.
    Broken(String),
    /// Its time was over; it may have been sent.
    TooSlow,
}
