//! The streams of one connection of HTTP/2: whether any is under way, and whether one is stuck.
//!
//! A peer of HTTP/1.1 that does not read holds up its connection, which is seen there
//! ([`Impatient`](super::impatient)). Of HTTP/2 it holds up one stream by its window, and keeps the
//! connection alive: so it is looked at each body, when it was last asked for more.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::time::Instant;

/// The streams of one connection. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Streams(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    next: u64,
    /// Streams that are under way: since when the peer takes nothing of what is there for it; `None`
    /// where it is we who have nothing for it.
    open: BTreeMap<u64, Option<Instant>>,
    /// When the last one was over.
    idle_since: Instant,
}

impl Streams {
    pub(super) fn new() -> Self {
        let idle_since = Instant::now();
        Self(Arc::new(Mutex::new(Inner { next: 0, open: BTreeMap::new(), idle_since })))
    }

    /// One more is under way, until the handle is dropped.
    pub(super) fn begin(&self) -> Stream {
        let mut inner = self.0.lock();
        let number = inner.next;
        inner.next += 1;
        inner.open.insert(number, None);
        Stream { number, streams: self.clone() }
    }

    /// Tells whether none was under way for so long.
    pub(super) fn is_idle(&self, time: Duration) -> bool {
        let inner = self.0.lock();
        inner.open.is_empty() && inner.idle_since.elapsed() >= time
    }

    /// Tells whether of one of them nothing was taken for so long.
    pub(super) fn is_stuck(&self, time: Duration) -> bool {
        let inner = self.0.lock();
        inner.open.values().flatten().any(|since| since.elapsed() >= time)
    }
}

/// One stream that is under way.
#[derive(Debug)]
pub(super) struct Stream {
    number: u64,
    streams: Streams,
}

impl Stream {
    fn mark(&self, waits_for_the_peer: bool) {
        let since = waits_for_the_peer.then(Instant::now);
        self.streams.0.lock().open.insert(self.number, since);
    }

    /// Its answer is there, and its body is to be taken.
    pub(super) fn watch(self, body: Body) -> Watched {
        self.mark(true);
        Watched { body, stream: self }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut inner = self.streams.0.lock();
        inner.open.remove(&self.number);
        inner.idle_since = Instant::now();
    }
}

/// A body that says when it was taken.
#[derive(Debug)]
pub(super) struct Watched {
    body: Body,
    stream: Stream,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        self.stream.mark(polled.is_ready());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[tokio::test(start_paused = true)]
    async fn a_stream_is_stuck_while_its_peer_takes_nothing() {
        let streams = Streams::new();
        assert!(streams.is_idle(Duration::ZERO) && !streams.is_idle(MINUTE));
        let stream = streams.begin();
        tokio::time::advance(MINUTE).await;
        assert!(!streams.is_stuck(MINUTE), "it is being answered");
        assert!(!streams.is_idle(Duration::ZERO));
        let mut body = stream.watch(Body::from("text"));
        tokio::time::advance(MINUTE).await;
        assert!(streams.is_stuck(MINUTE), "nothing of it was taken");
        assert!(body.frame().await.is_some());
        assert!(!streams.is_stuck(MINUTE));
        assert!(body.frame().await.is_none());
        drop(body);
        assert!(!streams.is_stuck(Duration::ZERO) && !streams.is_idle(MINUTE));
        tokio::time::advance(MINUTE).await;
        assert!(streams.is_idle(MINUTE));
    }
}
