//! Accepts connections and serves one router on all of them.
//!
//! Bounds: so many connections at once (further ones wait in the kernel's backlog), so long for
//! the head of a request, so long for a peer to take its answer, and so long to finish once the
//! server stops. Between two requests of one connection the bound for the head counts as well.
//!
//! ```text
//!  listener ─> accept ─> connection ─> router        stop: accept no more, finish what runs,
//!     ▲ slot                  │                            cut off what does not finish in time
//!     └───────────────────────┘
//! ```

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use super::impatient::Impatient;
use super::peer::Peer;

/// How long to wait after the kernel had no room for a connection.
const AFTER_REFUSAL: Duration = Duration::from_millis(200);

/// Bytes that one connection may have buffered: the longest head, and the largest step in which a
/// body is read. All connections together have at most 64 MiB.
const BUFFER: usize = 64 << 10;

/// The server's bounds.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once, over all listeners.
    pub connections: usize,
    /// How long the head of a request may take to arrive.
    pub head: Duration,
    /// How long a peer may take to read an answer.
    pub answer: Duration,
    /// How long requests may take to finish once the server stops.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            head: Duration::from_secs(10),
            answer: Duration::from_mins(1),
            drain: Duration::from_secs(10),
        }
    }
}

/// Serves `router` on all listeners until `stop`, and returns when what ran then is over.
pub async fn serve(
    listeners: Vec<TcpListener>,
    router: Router,
    limits: Limits,
    stop: impl Future<Output = ()>,
) {
    let (stopping, stopped) = watch::channel(false);
    let slots = Arc::new(Semaphore::new(limits.connections));
    let mut lanes = JoinSet::new();
    for listener in listeners {
        let service = TowerToHyperService::new(router.clone());
        let lane = Lane { service, limits, slots: slots.clone(), stopped: stopped.clone() };
        lanes.spawn(lane.run(listener));
    }
    stop.await;
    stopping.send_replace(true);
    while lanes.join_next().await.is_some() {}
}

/// Serves one listener.
struct Lane {
    service: TowerToHyperService<Router>,
    limits: Limits,
    slots: Arc<Semaphore>,
    stopped: watch::Receiver<bool>,
}

impl Lane {
    async fn run(mut self, listener: TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                _ = self.stopped.changed() => break,
                Some(_) = connections.join_next() => {}
                (stream, address, slot) = accept(&listener, &self.slots) => {
                    let (inner, limits) = (self.service.clone(), self.limits);
                    let service = Introduced { inner, peer: Peer { address } };
                    let stopped = self.stopped.clone();
                    connections.spawn(async move {
                        let _slot = slot;
                        converse(stream, service, limits, stopped).await;
                    });
                }
            }
        }
        drop(listener);
        let finished = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(self.limits.drain, finished).await.is_err() {
            tracing::warn!(connections = connections.len(), "connections were cut off");
            connections.shutdown().await;
        }
    }
}

/// Puts beside each request from whom it came.
struct Introduced {
    inner: TowerToHyperService<Router>,
    peer: Peer,
}

impl Service<Request<Incoming>> for Introduced {
    type Response = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Response;
    type Error = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Error;
    type Future = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer.clone());
        self.inner.call(request)
    }
}

/// Takes a slot first, and then a connection: what has no slot waits in the backlog.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    let slot = slots.clone().acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                // Without it small answers wait for an acknowledgement; nothing else depends on it.
                let _ = stream.set_nodelay(true);
                return (stream, address, slot);
            }
            Err(error) if is_of_the_peer(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(AFTER_REFUSAL).await;
            }
        }
    }
}

/// Whether only the connection is broken, and the next can be taken at once.
fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn converse(
    stream: TcpStream,
    service: Introduced,
    limits: Limits,
    mut stopped: watch::Receiver<bool>,
) {
    let mut protocol = http1::Builder::new();
    protocol.timer(TokioTimer::new()).header_read_timeout(limits.head).max_buf_size(BUFFER);
    let stream = Impatient::new(stream, limits.answer);
    let mut served = pin!(protocol.serve_connection(TokioIo::new(stream), service));
    let result = tokio::select! {
        result = served.as_mut() => result,
        _ = stopped.changed() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended early");
    }
}
