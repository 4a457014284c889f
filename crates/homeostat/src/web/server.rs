//! Accepts connections and serves one router on all of them.
//!
//! Bounds: so many connections at once (further ones wait in the kernel's backlog), so long for a
//! handshake and for the head of a request, so long for a peer to take its answer, and so long to
//! finish once the server stops. Between two requests of one connection the bound for the head counts
//! as well; one of HTTP/2 may be idle for longer.
//!
//! ```text
//!  door ─> accept ─> [TLS] ─> connection ─> router     stop: accept no more, finish what runs,
//!     ▲ slot                      │                          cut off what does not finish in time
//!     └───────────────────────────┘
//! ```
//!
//! A connection that began before TLS was configured anew is finished likewise: who was let in by it
//! has to show again that they may.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::certificate::subject_alt_names;
use super::impatient::Impatient;
use super::listening::Listening;
use super::peer::{Address, Certified, Peer};
use super::socket::Socket;
use super::streams::Streams;
use super::tls::Tls;
use super::wicket::{Passed, Wicket};

/// How long to wait after the kernel had no room for a connection.
const AFTER_REFUSAL: Duration = Duration::from_millis(200);

/// Bytes that one connection may have buffered: the longest head, and the largest step in which a
/// body is read. All connections together have at most 128 MiB.
const BUFFER: usize = 64 << 10;

/// Requests at once on one connection of HTTP/2.
const STREAMS: u32 = 64;

/// How often a connection of HTTP/2 is looked at, and its peer asked whether it is there.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The server's bounds.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once, over all doors.
    pub connections: usize,
    /// How long a handshake and the head of a request may take to arrive.
    pub head: Duration,
    /// How long a peer may take to read an answer.
    pub answer: Duration,
    /// How long a connection of HTTP/2 may be idle.
    pub idle: Duration,
    /// How long requests may take to finish once the server stops.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 2048,
            head: Duration::from_secs(10),
            answer: Duration::from_mins(1),
            idle: Duration::from_mins(2),
            drain: Duration::from_secs(10),
        }
    }
}

/// Where connections come in.
#[derive(Debug)]
pub enum Door {
    /// An address; TLS is spoken there, where it is configured.
    Tcp(TcpListener),
    /// A socket of this machine.
    Unix(Socket),
}

impl Door {
    /// Returns the address, where it has one.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }
}

impl From<TcpListener> for Door {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

/// What answers requests: a router, and before it what answers some of them in fewer steps.
#[derive(Clone)]
pub struct Front {
    router: TowerToHyperService<Router>,
    wicket: Option<Arc<Wicket>>,
}

impl From<Router> for Front {
    fn from(router: Router) -> Self {
        Self { router: TowerToHyperService::new(router), wicket: None }
    }
}

impl Front {
    /// Answers repeats before the router.
    #[must_use]
    pub fn with_wicket(self, wicket: Wicket) -> Self {
        Self { wicket: Some(Arc::new(wicket)), ..self }
    }
}

/// Serves `front` at all doors until `stop`, and returns when what ran then is over.
pub async fn serve(
    doors: Vec<Door>,
    listening: Arc<Listening>,
    front: impl Into<Front>,
    limits: Limits,
    stop: impl Future<Output = ()>,
) {
    let front = front.into();
    let (stopping, stopped) = watch::channel(false);
    let slots = Arc::new(Semaphore::new(limits.connections));
    let mut lanes = JoinSet::new();
    for door in doors {
        let front = front.clone();
        let (listening, stopped) = (listening.clone(), stopped.clone());
        let lane = Lane { front, listening, limits, slots: slots.clone(), stopped };
        lanes.spawn(lane.run(door));
    }
    stop.await;
    stopping.send_replace(true);
    while lanes.join_next().await.is_some() {}
}

/// Serves one door.
struct Lane {
    front: Front,
    listening: Arc<Listening>,
    limits: Limits,
    slots: Arc<Semaphore>,
    stopped: watch::Receiver<bool>,
}

impl Lane {
    async fn run(mut self, door: Door) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                _ = self.stopped.changed() => break,
                Some(_) = connections.join_next() => {}
                (accepted, slot) = accept(&door, &self.slots) => {
                    let talk = Talk {
                        front: self.front.clone(),
                        limits: self.limits,
                        stopped: self.stopped.clone(),
                        turned: self.listening.turns(),
                    };
                    let tls = self.listening.served().tls.clone();
                    connections.spawn(async move {
                        let _slot = slot;
                        talk.meet(accepted, tls).await;
                    });
                }
            }
        }
        drop(door);
        let finished = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(self.limits.drain, finished).await.is_err() {
            tracing::warn!(connections = connections.len(), "connections were cut off");
            connections.shutdown().await;
        }
    }
}

/// A connection, as it came in.
enum Accepted {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream, u32),
}

/// Takes a slot first, and then a connection: what has no slot waits in the backlog.
async fn accept(door: &Door, slots: &Arc<Semaphore>) -> (Accepted, OwnedSemaphorePermit) {
    let slot = slots.clone().acquire_owned().await.expect("the semaphore is never closed");
    loop {
        let accepted = match door {
            Door::Tcp(listener) => listener.accept().await.map(|(stream, address)| {
                // Without it small answers wait for an acknowledgement; nothing else depends on it.
                let _ = stream.set_nodelay(true);
                Accepted::Tcp(stream, address)
            }),
            Door::Unix(socket) => {
                socket.accept().await.map(|(stream, user)| Accepted::Unix(stream, user))
            }
        };
        match accepted {
            Ok(accepted) => return (accepted, slot),
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

/// What one connection needs.
struct Talk {
    front: Front,
    limits: Limits,
    stopped: watch::Receiver<bool>,
    turned: watch::Receiver<u64>,
}

impl Talk {
    async fn meet(self, accepted: Accepted, tls: Option<Tls>) {
        let result = match (accepted, tls) {
            (Accepted::Unix(stream, user), _) => {
                let peer = Peer::plain(Address::Unix { user });
                self.http1(stream, peer).await
            }
            (Accepted::Tcp(stream, address), None) => {
                let peer = Peer::plain(Address::Tcp(address));
                self.http1(stream, peer).await
            }
            (Accepted::Tcp(stream, address), Some(tls)) => self.tls(stream, address, tls).await,
        };
        if let Err(error) = result {
            tracing::debug!(%error, "a connection ended early");
        }
    }

    async fn tls(self, stream: TcpStream, address: SocketAddr, tls: Tls) -> Result<(), BoxError> {
        let handshake = TlsAcceptor::from(tls.server.clone()).accept(stream);
        let stream = tokio::time::timeout(self.limits.head, handshake).await??;
        let (address, certified) = (Address::Tcp(address), certified(&stream, &tls));
        let peer = Peer::secure(address, certified);
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            self.http2(stream, peer).await
        } else {
            self.http1(stream, peer).await
        }
    }

    async fn http1<S>(mut self, stream: S, peer: Peer) -> Result<(), BoxError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = Introduced { front: self.front, peer, streams: None };
        let mut protocol = http1::Builder::new();
        protocol
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head)
            .max_buf_size(BUFFER);
        let stream = Impatient::new(stream, self.limits.answer);
        let mut served = pin!(protocol.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            result = served.as_mut() => return Ok(result?),
            _ = self.stopped.changed() => {}
            _ = self.turned.changed() => {}
        }
        served.as_mut().graceful_shutdown();
        Ok(served.await?)
    }

    async fn http2<S>(mut self, stream: S, peer: Peer) -> Result<(), BoxError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let streams = Streams::new();
        let service = Introduced { front: self.front, peer, streams: Some(streams.clone()) };
        let mut protocol = http2::Builder::new(TokioExecutor::new());
        protocol
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(u32::try_from(BUFFER).unwrap_or(u32::MAX))
            .max_send_buf_size(BUFFER)
            .keep_alive_interval(LOOK_EVERY)
            .keep_alive_timeout(self.limits.head);
        let stream = Impatient::new(stream, self.limits.answer);
        let mut served = pin!(protocol.serve_connection(TokioIo::new(stream), service));
        let mut clock = tokio::time::interval(LOOK_EVERY.min(self.limits.idle));
        let mut ends = false;
        loop {
            tokio::select! {
                result = served.as_mut() => return Ok(result?),
                _ = self.stopped.changed(), if !ends => ends = true,
                _ = self.turned.changed(), if !ends => ends = true,
                _ = clock.tick() => {
                    if streams.is_stuck(self.limits.answer) {
                        return Err("the peer does not read its answer".into());
                    }
                    if ends || !streams.is_idle(self.limits.idle) {
                        continue;
                    }
                    ends = true;
                }
            }
            served.as_mut().graceful_shutdown();
        }
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What the certificate says that a peer has shown.
fn certified(stream: &TlsStream<TcpStream>, tls: &Tls) -> Certified {
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    match shown {
        Some(certificate) if tls.client_auth.verifies() => {
            let name = subject_alt_names(certificate).into_iter().next().map(Into::into);
            Certified::Yes { name, is_mandatory: tls.client_auth.is_mandatory() }
        }
        Some(_) | None => Certified::No,
    }
}

/// Puts beside each request from whom it came.
struct Introduced {
    front: Front,
    peer: Peer,
    streams: Option<Streams>,
}

type Answering = Pin<Box<dyn Future<Output = Result<Response, std::convert::Infallible>> + Send>>;

impl Service<Request<Incoming>> for Introduced {
    type Response = Response;
    type Error = std::convert::Infallible;
    type Future = Answering;

    fn call(&self, request: Request<Incoming>) -> Answering {
        let (Front { router, wicket }, peer) = (self.front.clone(), self.peer.clone());
        if self.streams.is_none()
            && let Some(wicket) = wicket
            && let Some(source) = wicket.hook(&request)
        {
            return Box::pin(async move {
                match wicket.pass(request, &source, &peer).await {
                    Passed::Answered(response) => Ok(response),
                    Passed::On(request) => introduce(&router, request, peer).await,
                }
            });
        }
        let stream = self.streams.as_ref().map(Streams::begin);
        Box::pin(async move {
            let response = introduce(&router, request.map(Body::new), peer).await?;
            Ok(match stream {
                Some(stream) => response.map(|body| Body::new(stream.watch(body))),
                None => response,
            })
        })
    }
}

/// Gives a request to the router.
fn introduce(
    router: &TowerToHyperService<Router>,
    mut request: Request<Body>,
    peer: Peer,
) -> impl Future<Output = Result<Response, std::convert::Infallible>> + Send + use<> {
    request.extensions_mut().insert(peer);
    router.call(request)
}
