//! What is left of a request's body once it is answered.
//!
//! Who answers need not read all that was sent: a refusal reads nothing of it. But many clients hear no
//! answer while they still send, and take a stream that ends before for a broken one: curl 7.88 says
//! 92, Alertmanager sends it again. So what is left is read first, within bounds.
//!
//! Source: RFC 9113, section 8.1.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody, to_bytes};
use hyper::body::{Frame, SizeHint};
use parking_lot::Mutex;

/// How much is read of what is left.
const BYTES: usize = 256 * 1024;

/// How long it is read.
const PATIENCE: Duration = Duration::from_secs(1);

/// A body that may be read to its end by somebody else.
struct Shared(Arc<Mutex<Body>>);

/// What nobody has read.
pub(super) struct Left(Arc<Mutex<Body>>);

/// Returns a body for whoever answers, and what that one will have left.
pub(super) fn share(body: Body) -> (Body, Left) {
    let body = Arc::new(Mutex::new(body));
    (Body::new(Shared(Arc::clone(&body))), Left(body))
}

impl Left {
    /// Reads it, within bounds.
    pub(super) async fn hear_out(self) {
        let body = std::mem::take(&mut *self.0.lock());
        if !body.is_end_stream() {
            // What it says, and whether it ends, does not matter any more.
            let _ = tokio::time::timeout(PATIENCE, to_bytes(body, BYTES)).await;
        }
    }
}

impl HttpBody for Shared {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut *self.0.lock()).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().size_hint()
    }
}
