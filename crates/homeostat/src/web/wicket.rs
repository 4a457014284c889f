//! The short way of a repeat: what `intake` answers for the engine is answered here, before the router.
//!
//! ```text
//!  a request ─> of a hook? ─> guard: may they? ─> has it come whole? ─> known? ── yes ─> 200
//!                  └─ no ────────┴─ no ──────────────┴─ no ──────────────┴─ no ─> router
//! ```
//!
//! The router would give the same answer to what is answered here, in more steps. What is not, it gets as
//! it came: with what was read of its body, and with what the guard has said of it, which is asked once.
//!
//! *Not* its duty: to refuse anybody, and to read what was posted.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{Method, Request, Response};
use homeostat_core::name::SourceName;
use hyper::body::{Frame, Incoming, SizeHint};

use super::entrance::Arrived;
use super::guard::{self, Guard, Judged, Judgement};
use super::peer::Peer;
use crate::access::{Arrival, Permission, Subject};

/// Who knows which notifications only repeat what is known.
pub trait Repeats: Send + Sync {
    /// Whose hook is at a path, where it is known already and nothing but its body counts.
    fn source(&self, path: &str) -> Option<SourceName>;

    /// Takes a notification in, if nothing of it is news; tells whether it did.
    fn take(&self, source: &SourceName, body: &[u8]) -> bool;
}

/// Answers repeats.
pub struct Wicket {
    /// Who may come in.
    pub guard: Arc<Guard>,
    /// The path below which all is served; may be empty.
    pub prefix: String,
    /// Who knows repeats.
    pub repeats: Arc<dyn Repeats>,
}

/// What the wicket came to.
pub(super) enum Passed {
    /// It is answered.
    Answered(Response<Body>),
    /// It is for the router.
    On(Request<Body>),
}

impl Wicket {
    /// Tells whose hook a request is for, if it may be answered here.
    pub(super) fn hook(&self, request: &Request<Incoming>) -> Option<SourceName> {
        let path = request.uri().path().strip_prefix(&self.prefix)?;
        if request.method() == Method::POST { self.repeats.source(path) } else { None }
    }

    /// Answers a request for this hook, or hands it on.
    pub(super) async fn pass(
        &self,
        request: Request<Incoming>,
        source: &SourceName,
        peer: &Peer,
    ) -> Passed {
        let (parts, mut body) = request.into_parts();
        let path = parts.uri.path().strip_prefix(&self.prefix).unwrap_or_default();
        let judged = self.guard.judge(&parts, path, Some(peer), None).await;
        let mut begun = Poll::Pending;
        if may_send(&judged, source) {
            begun = poll_fn(|context| Poll::Ready(Pin::new(&mut body).poll_frame(context))).await;
            if body.is_end_stream()
                && data(&begun).is_some_and(|all| self.repeats.take(source, all))
            {
                let mut response = Response::new(Body::empty());
                self.guard.dress(response.headers_mut());
                guard::protect(response.headers_mut());
                return Passed::Answered(response);
            }
        }
        let mut request = Request::from_parts(parts, Body::new(Resumed { begun, rest: body }));
        request.extensions_mut().insert(Judged(judged));
        Passed::On(request)
    }
}

fn may_send(judged: &Judgement, source: &SourceName) -> bool {
    let Ok(Arrived { arrival: Arrival(Ok(caller)), .. }) = judged else { return false };
    caller.may(Permission::Send, &Subject::Source(source)).is_ok()
}

/// What a body gives, if it gives anything yet.
type Begun = Poll<Option<Result<Frame<Bytes>, hyper::Error>>>;

fn data(begun: &Begun) -> Option<&Bytes> {
    if let Poll::Ready(Some(Ok(frame))) = begun { frame.data_ref() } else { None }
}

/// A body of which somebody has read the begin.
struct Resumed {
    begun: Begun,
    rest: Incoming,
}

impl HttpBody for Resumed {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match std::mem::replace(&mut self.begun, Poll::Pending) {
            Poll::Pending => Pin::new(&mut self.rest).poll_frame(context),
            begun @ Poll::Ready(_) => begun,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.begun.is_pending() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let begun = data(&self.begun).map_or(0, |begun| begun.len() as u64);
        let rest = self.rest.size_hint();
        let mut all = SizeHint::new();
        all.set_lower(rest.lower() + begun);
        if let Some(upper) = rest.upper() {
            all.set_upper(upper + begun);
        }
        all
    }
}
