//! Stands between a sender and the engine, and remembers what went by.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::StatusCode;
use parking_lot::Mutex;
use tokio::net::TcpListener;

/// What went by.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub(crate) answers: Vec<u16>,
    pub(crate) took: Vec<Duration>,
    under_way: usize,
    pub(crate) most_under_way: usize,
}

/// What a proxy makes of a body.
pub(crate) type Mangle = fn(String) -> String;

#[derive(Clone)]
struct Lane {
    target: String,
    mangle: Mangle,
    client: reqwest::Client,
    seen: Arc<Mutex<Seen>>,
}

/// A proxy that runs until the test ends.
pub(crate) struct Proxy {
    pub(crate) url: String,
    seen: Arc<Mutex<Seen>>,
}

impl Proxy {
    /// Hands on all that is posted to one URL, as `mangle` makes it.
    pub(crate) async fn start(target: String, mangle: Mangle) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hooks", listener.local_addr().unwrap());
        let seen = Arc::<Mutex<Seen>>::default();
        let client = homeostat::demo::stack::client();
        let lane = Lane { target, mangle, client, seen: seen.clone() };
        let router = axum::Router::new().fallback(hand_on).with_state(lane);
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, seen }
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().clone()
    }
}

async fn hand_on(State(lane): State<Lane>, request: Request) -> StatusCode {
    let body = axum::body::to_bytes(request.into_body(), 64 << 20).await.unwrap();
    let body = (lane.mangle)(String::from_utf8(body.to_vec()).unwrap());
    {
        let mut seen = lane.seen.lock();
        seen.under_way += 1;
        seen.most_under_way = seen.most_under_way.max(seen.under_way);
    }
    let begun = Instant::now();
    let answer = lane.client.post(&lane.target).body(body).send().await;
    let status = answer.map_or(StatusCode::BAD_GATEWAY, |answer| answer.status());
    let mut seen = lane.seen.lock();
    seen.under_way -= 1;
    seen.took.push(begun.elapsed());
    seen.answers.push(status.as_u16());
    status
}
