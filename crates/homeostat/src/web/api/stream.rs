//! What happens, as it is committed: server-sent events.
//!
//! ```text
//!  Board ─ messages, each written once ─> broadcast ─> a task for each reader ─> 16 places ─> its body
//! ```
//!
//! A reader has what it may see, in order, each once: the `id` of an event is the number of a fact, and
//! whoever shows it as `Last-Event-ID` goes on after that. Nothing is read or written while nobody
//! listens. A reader that does not keep up is told so and let go; nobody waits for it. Whom the
//! configuration allows what may change: so a reload ends all streams, as some time does, and whoever
//! comes again is asked again who they are.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame};
use serde_json::json;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, mpsc, watch};
use tokio::time::{Instant, interval_at, sleep, timeout};

use super::Api;
use super::board::{Board, KEPT, Place};
use super::incidents::{ask_board, pairs, read_id, read_number};
use super::message::{Ear, Message};
use crate::access::Caller;
use crate::web::answer;

const ROOT: &str = "/api/v1/stream";

/// Who listens at once. Each has a connection, of which there must be some for alerts.
pub(super) const READERS: usize = 1024;

/// Messages that wait for one reader, besides those that all may be behind.
const WAITING: usize = 16;

/// Bytes that one reader is told at once, but for the last message of them.
const AT_ONCE: usize = 16 << 10;

/// How often a reader hears that the engine is there.
const BEAT: Duration = Duration::from_secs(15);

/// How long a reader is believed to be who they were.
const LIFE: Duration = Duration::from_mins(10);

/// How long a reader that was too slow may take to hear so.
const NOTED_WITHIN: Duration = Duration::from_secs(5);

/// How often it is looked whether anybody still listens, and how long a journal that cannot be read is
/// left alone.
const LOOK: Duration = Duration::from_secs(1);

/// What all streams share.
#[derive(Debug)]
pub(super) struct Hub {
    seats: Arc<Semaphore>,
    /// Whether somebody looks for what is committed.
    is_driven: Arc<AtomicBool>,
    /// How many came so far: who comes again does so at different moments.
    came: AtomicU64,
}

impl Hub {
    pub(super) fn new() -> Self {
        let seats = Arc::new(Semaphore::new(READERS));
        Self { seats, is_driven: Arc::default(), came: AtomicU64::new(0) }
    }

    fn drive(&self, board: &Arc<Board>) {
        if !self.is_driven.swap(true, Ordering::SeqCst) {
            tokio::spawn(drive(board.clone(), self.is_driven.clone()));
        }
    }
}

/// Has the board tell what was committed, as long as anybody listens.
async fn drive(board: Arc<Board>, is_driven: Arc<AtomicBool>) {
    let mut committed = board.committed();
    loop {
        committed.mark_unchanged();
        let asked = board.clone();
        match tokio::task::spawn_blocking(move || asked.tell()).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => {
                is_driven.store(false, Ordering::SeqCst);
                // Who came just now has seen that somebody looks.
                if !board.is_heard() || is_driven.swap(true, Ordering::SeqCst) {
                    return;
                }
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "the journal could not be read for those who listen");
                sleep(LOOK).await;
            }
            Err(error) => tracing::error!(%error, "those who listen could not be told"),
        }
        // Whether it has changed or not: perhaps nobody listens any more.
        if let Ok(Err(_)) = timeout(LOOK, committed.changed()).await {
            // The engine has ended, and nothing follows.
            return;
        }
    }
}

pub(super) async fn show(
    State(api): State<Arc<Api>>,
    caller: Caller,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let asked = match read(&headers, query.as_deref().unwrap_or_default()) {
        Ok(asked) => asked,
        Err(message) => return answer::problem(ROOT, StatusCode::BAD_REQUEST, &message),
    };
    let Ok(seat) = api.hub.seats.clone().try_acquire_owned() else {
        let message = format!("{READERS} listen already: try again");
        return answer::problem(ROOT, StatusCode::SERVICE_UNAVAILABLE, &message);
    };
    let from = asked.from;
    let place = match ask_board(&api, move |board| board.listen(from)).await {
        Ok(place) => place,
        Err(response) => return response,
    };
    api.hub.drive(&api.web.board);
    let (out, waiting) = mpsc::channel(WAITING);
    let came = api.hub.came.fetch_add(1, Ordering::Relaxed);
    let reader = Reader {
        ear: Ear { caller, incident: asked.incident },
        out,
        number: place.number,
        came,
        _seat: seat,
    };
    tokio::spawn(reader.run(place, api.web.stopping.clone()));
    let mut response =
        answer::with_type(StatusCode::OK, "text/event-stream", Body::new(Waiting(waiting)));
    // A proxy that gathers would tell nothing for long.
    let unbuffered = HeaderName::from_static("x-accel-buffering");
    response.headers_mut().insert(unbuffered, HeaderValue::from_static("no"));
    response
}

/// What a request asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    from: Option<i64>,
    incident: Option<String>,
}

/// Browsers that come again show the header; who comes for the first time cannot, and says it in the
/// query.
fn read(headers: &HeaderMap, query: &str) -> Result<Asked, String> {
    let mut asked = Asked::default();
    let number = |text: &str| {
        let number = read_number(text).and_then(|number| i64::try_from(number).ok());
        number.ok_or_else(|| format!("last_event_id {text:?}: expected the id of an event"))
    };
    for (name, value) in pairs(query)? {
        match name.as_str() {
            "last_event_id" => asked.from = Some(number(&value)?),
            "incident" => {
                let id = read_id(&value);
                let id = id.ok_or_else(|| {
                    format!("incident {value:?}: expected the number of an incident")
                })?;
                asked.incident = Some(id.to_string());
            }
            _ => {
                return Err(format!(
                    "unknown parameter {name:?}: expected last_event_id or incident"
                ));
            }
        }
    }
    // What was heard last counts, and not what a first visit began with.
    if let Some(shown) = headers.get("last-event-id").filter(|shown| !shown.is_empty()) {
        asked.from = Some(number(&String::from_utf8_lossy(shown.as_bytes()))?);
    }
    Ok(asked)
}

/// Somebody who listens.
struct Reader {
    ear: Ear,
    out: mpsc::Sender<Bytes>,
    /// The last fact that they have heard of, if they may.
    number: i64,
    came: u64,
    _seat: OwnedSemaphorePermit,
}

/// They have gone.
struct Gone;

/// What is told to all.
type Told = broadcast::Receiver<Arc<Message>>;

/// What waits for one reader, in one piece: a thousand small ones would keep everybody busy.
struct Heap {
    bytes: Bytes,
    /// The last fact of it.
    number: i64,
    then: Then,
}

/// What follows.
enum Then {
    GoOn,
    ComeAgain,
    /// So many messages are lost to them.
    TooSlow(u64),
}

impl Heap {
    /// Takes what is there already, as much as may go at once.
    fn gather(first: Arc<Message>, told: &mut Told, ear: &Ear) -> Self {
        let mut gathered: Vec<Bytes> = Vec::new();
        let mut length = 0;
        let (mut number, mut next) = (first.number(), first);
        let then = loop {
            number = number.max(next.number());
            if next.ends() {
                break Then::ComeAgain;
            }
            let heard = next.heard_by(ear);
            length += heard.as_ref().map_or(0, Bytes::len);
            gathered.extend(heard);
            if length >= AT_ONCE {
                break Then::GoOn;
            }
            next = match told.try_recv() {
                Ok(message) => message,
                Err(TryRecvError::Lagged(missed)) => break Then::TooSlow(missed),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break Then::GoOn,
            };
        };
        let bytes = match gathered.as_slice() {
            [one] => one.clone(),
            several => several.concat().into(),
        };
        Self { bytes, number, then }
    }
}

impl Reader {
    async fn run(mut self, place: Place, mut stopping: watch::Receiver<bool>) {
        let out = self.out.clone();
        tokio::select! {
            // Whether they have gone or were told all: there is nothing more to do.
            _ = self.tell(place) => {}
            () = out.closed() => {}
            // A sender that is gone means the same.
            _ = stopping.wait_for(|stopping| *stopping) => {}
        }
    }

    async fn tell(&mut self, place: Place) -> Result<(), Gone> {
        let Place { number, missed, gap, mut told } = place;
        // Not all at once: a thousand may come again.
        let retry = 1000 + self.came * 37 % 2000;
        let begin = missed.first().map_or(number, |first| first.number() - 1);
        self.send(format!("retry: {retry}\nid: {begin}\n\n")).await?;
        if let Some(reason) = gap {
            self.note("gap", &reason).await?;
        }
        for message in missed {
            self.pass(message.heard_by(&self.ear).unwrap_or_default(), &told).await?;
        }
        self.number = number;
        let mut beat = interval_at(Instant::now() + BEAT, BEAT);
        let mut life = std::pin::pin!(sleep(LIFE));
        loop {
            tokio::select! {
                biased;
                next = told.recv() => match next {
                    Ok(message) => {
                        let heap = Heap::gather(message, &mut told, &self.ear);
                        self.pass(heap.bytes, &told).await?;
                        self.number = heap.number;
                        match heap.then {
                            Then::GoOn => {}
                            Then::ComeAgain => {
                                let reason = "the configuration was read: come again";
                                return self.note("over", reason).await;
                            }
                            Then::TooSlow(missed) => return self.drop_as_slow(missed).await,
                        }
                    }
                    Err(RecvError::Lagged(missed)) => return self.drop_as_slow(missed).await,
                    Err(RecvError::Closed) => return Ok(()),
                },
                // With the number: what they may not see has passed, too.
                _ = beat.tick() => self.send(format!(": here\nid: {}\n\n", self.number)).await?,
                () = &mut life => return self.note("over", "come again").await,
            }
        }
    }

    /// Waits for a reader as long as all the others' messages have room.
    async fn pass(&self, bytes: Bytes, told: &Told) -> Result<(), Gone> {
        if bytes.is_empty() {
            return Ok(());
        }
        loop {
            match timeout(LOOK, self.out.reserve()).await {
                Ok(room) => {
                    room.map_err(|_| Gone)?.send(bytes);
                    return Ok(());
                }
                Err(_) if told.len() > KEPT => {
                    self.drop_as_slow(told.len() as u64).await?;
                    return Err(Gone);
                }
                Err(_) => {}
            }
        }
    }

    async fn drop_as_slow(&self, missed: u64) -> Result<(), Gone> {
        let who = self.ear.caller.identity();
        tracing::warn!(%who, missed, "who listens was too slow, and is let go");
        let reason = "you were too slow: come again, and hear what you missed";
        timeout(NOTED_WITHIN, self.note("over", reason)).await.unwrap_or(Err(Gone))
    }

    async fn note(&self, event: &str, reason: &str) -> Result<(), Gone> {
        let data = json!({ "reason": reason });
        let id = self.number;
        self.send(format!("event: {event}\nid: {id}\ndata: {data}\n\n")).await
    }

    async fn send(&self, text: String) -> Result<(), Gone> {
        self.out.send(text.into()).await.map_err(|_| Gone)
    }
}

/// A body of what waits for a reader.
struct Waiting(mpsc::Receiver<Bytes>);

impl HttpBody for Waiting {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_heard_last_is_read_from_the_header_or_the_query() {
        let shown = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("last-event-id", text.parse().unwrap());
            headers
        };
        let from = |headers: &HeaderMap, query| read(headers, query).map(|asked| asked.from);
        let none = HeaderMap::new();
        assert_eq!(from(&none, ""), Ok(None));
        assert_eq!(from(&none, "last_event_id=7"), Ok(Some(7)));
        assert_eq!(from(&shown("9"), "last_event_id=7"), Ok(Some(9)));
        assert_eq!(from(&shown(""), "last_event_id=7"), Ok(Some(7)));
        assert_eq!(read(&none, "incident=017").unwrap().incident.as_deref(), Some("17"));
        for (query, complaint) in [
            ("last_event_id=-1", "last_event_id \"-1\": expected the id of an event"),
            ("incident=x", "expected the number of an incident"),
            ("since=7", "unknown parameter \"since\": expected last_event_id or incident"),
        ] {
            let error = read(&none, query).unwrap_err();
            assert!(error.contains(complaint), "{query}: {error}");
        }
        assert!(read(&shown("x"), "").unwrap_err().contains("expected the id of an event"));
    }
}
