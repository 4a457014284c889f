//! Reading a request's body: bounded in size, in time, and in what all bodies take together. A body
//! that is compressed has the same bounds before and after.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use thiserror::Error;
use tokio::time::{Instant, timeout_at};

use super::gzip;

/// The bounds of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of one body.
    pub bytes: usize,
    /// Bytes of all bodies that are being taken in together.
    pub bytes_together: usize,
    /// How long a body may take to arrive.
    pub total: Duration,
    /// How long it may pause.
    pub idle: Duration,
}

impl Default for Bounds {
    /// 32 MiB are 30,000 alerts, more than Alertmanager puts into one group; four such bodies at
    /// once leave a small machine alive. Ten seconds are what Prometheus waits for an answer,
    /// thrice that is enough for 32 MiB over a slow line.
    fn default() -> Self {
        Self {
            bytes: 32 << 20,
            bytes_together: 128 << 20,
            total: Duration::from_secs(30),
            idle: Duration::from_secs(10),
        }
    }
}

/// How much of a body that is too large is still read and thrown away, as a multiple of the limit:
/// a sender that is cut off while it writes never sees the answer.
const DRAINED_LIMITS: usize = 4;

/// Why a body was not taken.
#[derive(Debug, Error)]
pub(super) enum Refusal {
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the body did not arrive in time")]
    TooSlow,
    #[error("too many bodies arrive at once")]
    Crowded,
    #[error("the sender broke off: {0}")]
    Aborted(#[source] axum::Error),
    #[error("the body is not the gzip that it begins as: {0}")]
    NotGzip(#[from] io::Error),
}

/// A body as it was sent, and its share of what all bodies may take.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) bytes: Bytes,
    share: Share,
}

/// A body that can be read, and its share of what all bodies may take.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) bytes: Bytes,
    _share: Share,
}

/// Reads bodies within bounds.
#[derive(Debug)]
pub(super) struct Reader {
    bounds: Bounds,
    taken: Arc<AtomicUsize>,
}

impl Reader {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { bounds, taken: Arc::default() }
    }

    pub(super) async fn read(&self, body: Body) -> Result<Taken, Refusal> {
        self.open(self.gather(body).await?)
    }

    /// Reads a body as it was sent.
    pub(super) async fn gather(&self, mut body: Body) -> Result<Gathered, Refusal> {
        let Bounds { bytes: limit, total, idle, .. } = self.bounds;
        let mut share = Share { bytes: 0, taken: self.taken.clone() };
        let mut pieces = Pieces::default();
        let mut length = 0_usize;
        let mut refused = usize::try_from(body.size_hint().lower()).map_or(true, |n| n > limit);
        let end = Instant::now() + total;
        while !body.is_end_stream() && length <= limit.saturating_mul(DRAINED_LIMITS) {
            let frame = timeout_at(end.min(Instant::now() + idle), body.frame()).await;
            let data = match frame {
                Err(_) if refused => break,
                Err(_) => return Err(Refusal::TooSlow),
                Ok(None) => break,
                Ok(Some(frame)) => frame.map_err(Refusal::Aborted)?.into_data(),
            };
            // What is no data are trailers.
            let Ok(data) = data else { continue };
            length = length.saturating_add(data.len());
            refused |= length > limit;
            if refused {
                pieces = Pieces::default();
                share.give_back();
            } else {
                share.grow(data.len(), self.bounds.bytes_together)?;
                pieces.add(data);
            }
        }
        if refused {
            return Err(Refusal::TooLarge(limit));
        }
        Ok(Gathered { bytes: pieces.join(), share })
    }

    /// Inflates a body that was compressed.
    pub(super) fn open(&self, Gathered { bytes, share }: Gathered) -> Result<Taken, Refusal> {
        if gzip::is_gzip(&bytes) {
            return self.inflate(&bytes);
        }
        Ok(Taken { bytes, _share: share })
    }

    /// Inflates a body within the bounds of one that is not compressed.
    fn inflate(&self, bytes: &[u8]) -> Result<Taken, Refusal> {
        let Bounds { bytes: limit, bytes_together, .. } = self.bounds;
        let mut share = Share { bytes: 0, taken: self.taken.clone() };
        let inflated = gzip::inflate(bytes, |more| {
            // First: whoever sends too much is told so, however crowded it is.
            if share.bytes + more > limit {
                return Err(Refusal::TooLarge(limit));
            }
            share.grow(more, bytes_together)
        })?;
        Ok(Taken { bytes: inflated.into(), _share: share })
    }
}

/// A part of what all bodies may take; given back when dropped.
#[derive(Debug)]
struct Share {
    bytes: usize,
    taken: Arc<AtomicUsize>,
}

impl Share {
    fn grow(&mut self, bytes: usize, most: usize) -> Result<(), Refusal> {
        self.bytes += bytes;
        let before = self.taken.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > most { Err(Refusal::Crowded) } else { Ok(()) }
    }

    fn give_back(&mut self) {
        self.taken.fetch_sub(std::mem::take(&mut self.bytes), Ordering::Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// The pieces of a body. Nearly all bodies are one piece, which is not copied.
#[derive(Debug, Default)]
struct Pieces {
    first: Bytes,
    all: Vec<u8>,
}

impl Pieces {
    fn add(&mut self, piece: Bytes) {
        if self.first.is_empty() && self.all.is_empty() {
            self.first = piece;
            return;
        }
        self.all.extend_from_slice(&std::mem::take(&mut self.first));
        self.all.extend_from_slice(&piece);
    }

    fn join(self) -> Bytes {
        if self.all.is_empty() { self.first } else { self.all.into() }
    }
}
