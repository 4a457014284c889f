//! What is answered, over TCP.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use homeostat_core::alert::Door;
use homeostat_core::event::Remark;
use homeostat_core::label::LabelSet;
use homeostat_core::policy::Witnesses;
use parking_lot::Mutex;
use serde_json::json;

use super::super::*;
use super::{FIRING, NOW, main_source, time};
use crate::access::{Arrival, Caller};
use crate::demo::stack;
use crate::queue::{self, Request};

#[derive(Default)]
struct Counts(Mutex<Vec<String>>);

impl Tally for Counts {
    fn notification(&self, source: &SourceName, result: NotificationResult) {
        self.0.lock().push(format!("{source} {}", result.as_str()));
    }

    fn alerts(&self, source: &SourceName, status: Status, count: u64) {
        self.0.lock().push(format!("{source} {status:?} {count}"));
    }

    fn polled(&self, source: &SourceName, result: &str) {
        self.0.lock().push(format!("{source} polled {result}"));
    }

    fn found(&self, count: u64) {
        self.0.lock().push(format!("found {count}"));
    }
}

/// An engine that answers as it is told, and remembers what it was given.
pub(super) struct Engine {
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
    pub(super) seen: Arc<Mutex<Vec<Observation>>>,
    pub(super) refuse: Arc<Mutex<Option<Busy>>>,
    pub(super) received: Arc<AtomicUsize>,
}

impl Engine {
    fn start(inbox: queue::Inbox) -> Self {
        let (stop, seen) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Vec<_>>>::default());
        let refuse = Arc::<Mutex<Option<Busy>>>::default();
        let received = Arc::<AtomicUsize>::default();
        let (stopped, observed, refused) = (stop.clone(), seen.clone(), refuse.clone());
        let counted = received.clone();
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let Some(request) = inbox.wait(Duration::from_millis(20)) else { continue };
                let Request::Observe { observations, answer } = request else { continue };
                counted.fetch_add(1, Ordering::Relaxed);
                let given = match *refused.lock() {
                    Some(busy) => Err(busy),
                    None => Ok(vec![Remark::Began; observations.len()]),
                };
                if given.is_ok() {
                    observed.lock().extend(observations);
                }
                let _ = answer.send(given);
            }
        });
        Self { stop, thread: Some(thread), seen, refuse, received }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

pub(super) struct House {
    address: SocketAddr,
    queue: Queue,
    counts: Arc<Counts>,
    pub(super) engine: Engine,
    runtime: tokio::runtime::Runtime,
}

/// An Alertmanager with one peer, and a webhook.
fn named() -> Named {
    let (main, grafana) = (main_source(), SourceName::new("grafana"));
    let witnesses = Witnesses {
        alertmanagers: [main.clone()].into(),
        webhooks: [grafana.clone()].into(),
        prometheuses: Vec::new(),
    };
    let peers = vec!["http://vm:9093/".parse().unwrap()];
    Named { alertmanagers: vec![(main, peers)], webhooks: vec![grafana], witnesses }
}

pub(super) fn house(bounds: Bounds) -> House {
    signed_house(bounds, Arc::default())
}

/// A house in which sources sign.
pub(super) fn signed_house(bounds: Bounds, signatures: Arc<Signatures>) -> House {
    let (queue, inbox) = queue::queue();
    let counts = Arc::<Counts>::default();
    let sources = Sources::new(named());
    let intake = Intake::new(queue.clone(), sources, counts.clone(), || time(NOW));
    let intake = intake.bounds(bounds).signatures(signatures);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let anyone = Arrival(Ok(Caller::anyone("here".into())));
    let routes = routes(Arc::new(intake));
    runtime.spawn(axum::serve(listener, routes.served_to(anyone)).into_future());
    let engine = Engine::start(inbox);
    House { address, queue, counts, engine, runtime }
}

pub(super) struct Answer {
    pub(super) status: u16,
    head: String,
    body: String,
}

fn read_answer(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{text:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

impl House {
    pub(super) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    pub(super) fn send(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        self.send_with(&[], method, path, body)
    }

    pub(super) fn send_with(
        &self,
        headers: &[String],
        method: &str,
        path: &str,
        body: &[u8],
    ) -> Answer {
        let mut stream = self.connect();
        let length = body.len();
        let more: Vec<String> = headers.iter().map(|line| format!("{line}\r\n")).collect();
        let more = more.concat();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
             {more}Content-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        read_answer(&mut stream)
    }

    fn counted(&self) -> Vec<String> {
        std::mem::take(&mut self.counts.0.lock())
    }
}

#[test]
fn every_hook_takes_a_notification_and_never_redirects() {
    let house = house(Bounds::default());
    for (method, path, source) in [
        ("POST", "/hooks", "main"),
        ("PUT", "/hooks", "main"),
        ("POST", "/hooks/", "main"),
        ("PUT", "/hooks/", "main"),
        ("POST", "/hooks/main", "main"),
        ("POST", "/hooks/grafana", "grafana"),
        ("PUT", "/hooks/grafana/", "grafana"),
        ("POST", "/hooks/a%20b", "other"),
        ("POST", "/hooks/%ff", "other"),
        ("POST", "/hooks/api", "other"),
        ("POST", "/hooks?x=y", "main"),
        ("POST", "/hooks//", "main"),
    ] {
        let answer = house.send(method, path, FIRING);
        assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{method} {path}");
        let expected = [format!("{source} Firing 1"), format!("{source} accepted")];
        assert_eq!(house.counted(), expected, "{method} {path}");
    }
    assert_eq!(house.engine.seen.lock().len(), 12);
}

#[test]
fn other_methods_and_paths_are_refused_without_a_redirect() {
    let house = house(Bounds::default());
    let methods = ["GET", "HEAD", "OPTIONS", "DELETE", "PATCH"];
    for path in [
        "/hooks",
        "/hooks/",
        "/hooks/main",
        "/hooks/main/",
        "/api/v2/alerts",
        "/api/v2/alerts/",
        "/api/v1/alerts",
        "/api/v1/alerts/",
    ] {
        for method in methods {
            assert_eq!(house.send(method, path, b"").status, 405, "{method} {path}");
        }
    }
    assert_eq!(house.send("PUT", "/api/v2/alerts", b"[]").status, 405);
    for path in ["/hook", "/hooks///", "/hooks/a/b", "/hooks//a", "//hooks", "/api/v2/alerts/x"] {
        assert_eq!(house.send("POST", path, FIRING).status, 404, "{path}");
    }
    assert!(house.engine.seen.lock().is_empty());
}

#[test]
fn garbage_is_answered_200_and_counted() {
    let house = house(Bounds::default());
    assert_eq!(house.send("POST", "/hooks/x", b"not json").status, 200);
    let long = format!("{{\"alerts\":7,\"x\":\"{}\"}}", "y".repeat(10_000));
    assert_eq!(house.send("POST", "/hooks", long.as_bytes()).status, 200);
    assert_eq!(house.counted(), ["x quarantined", "main quarantined"]);
    assert!(house.engine.seen.lock().is_empty());
}

#[test]
fn what_is_usable_of_a_notification_is_taken() {
    let house = house(Bounds::default());
    let body = r#"{"alerts":[{"labels":{"a":"b"}},{"labels":{"a":{}}}],"truncatedAlerts":3}"#;
    assert_eq!(house.send("POST", "/hooks", body.as_bytes()).status, 200);
    assert_eq!(house.counted(), ["main Firing 1", "main partial"]);
    let body = r#"{"alerts":[{"labels":{"a":"b"},"annotations":{"a":[]}}]}"#;
    assert_eq!(house.send("POST", "/hooks", body.as_bytes()).status, 200);
    assert_eq!(house.counted(), ["main Firing 1", "main partial"]);
    assert_eq!(house.send("POST", "/hooks", br#"{"alerts":[]}"#).status, 200);
    assert_eq!(house.counted(), ["main accepted"]);
}

#[test]
fn an_engine_that_cannot_take_it_now_is_a_503_never_a_429() {
    let house = house(Bounds::default());
    for busy in [Busy::Full, Busy::NotWritable, Busy::TooManyAlerts, Busy::Stopping] {
        *house.engine.refuse.lock() = Some(busy);
        for (path, body) in [("/hooks", FIRING), ("/api/v2/alerts", br#"[{"labels":{"a":"b"}}]"#)] {
            assert_eq!(house.send("POST", path, body).status, 503, "{busy} {path}");
        }
        assert_eq!(house.counted(), ["main busy", "api busy"]);
    }
    *house.engine.refuse.lock() = None;
    assert_eq!(house.send("POST", "/hooks", FIRING).status, 200);
    house.queue.stop();
    assert_eq!(house.send("POST", "/hooks", FIRING).status, 503);
}

#[test]
fn the_answer_waits_for_the_commit() {
    let house = house(Bounds::default());
    let lock = house.engine.refuse.lock();
    let mut stream = house.connect();
    let head = "POST /hooks HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ";
    write!(stream, "{head}{}\r\n\r\n", FIRING.len()).unwrap();
    stream.write_all(FIRING).unwrap();
    wait_until(|| house.engine.received.load(Ordering::Relaxed) == 1);
    stream.set_nonblocking(true).unwrap();
    let early = stream.read(&mut [0; 1]).unwrap_err();
    assert_eq!(early.kind(), std::io::ErrorKind::WouldBlock);
    stream.set_nonblocking(false).unwrap();
    drop(lock);
    assert_eq!(read_answer(&mut stream).status, 200);
}

#[test]
fn the_alerts_api_keeps_the_valid_and_refuses_the_others() {
    let house = house(Bounds::default());
    let past = "2026-11-22T11:00:00Z";
    let mixed = json!([{ "labels": { "a": "b" } }, { "labels": {} },
                       { "labels": { "a": "c" }, "startsAt": past, "endsAt": past }]);
    for path in ["/api/v2/alerts", "/api/v1/alerts", "/api/v2/alerts/", "/api/v1/alerts/"] {
        let answer = house.send("POST", path, mixed.to_string().as_bytes());
        let expected = r#""alert 1: at least one label pair required""#;
        assert_eq!((answer.status, answer.body.as_str()), (400, expected), "{path}");
        assert!(answer.head.contains("content-type: application/json"), "{}", answer.head);
        assert_eq!(house.counted(), ["api Firing 1", "api Resolved 1", "api partial"]);
    }
    assert_eq!(house.engine.seen.lock().len(), 8);
    let answer = house.send("POST", "/api/v2/alerts", b"garbage");
    assert_eq!(answer.status, 400);
    assert!(answer.body.starts_with("\"the body is not JSON"), "{}", answer.body);
    assert_eq!(house.send("POST", "/api/v2/alerts", b"[]").status, 200);
    let fine = house.send("POST", "/api/v1/alerts", br#"[{"labels":{"a":"b"}}]"#);
    assert_eq!((fine.status, fine.body.as_str()), (200, ""));
}

fn small() -> Bounds {
    Bounds {
        bytes: 64 << 10,
        bytes_together: 96 << 10,
        total: Duration::from_secs(2),
        idle: Duration::from_millis(300),
    }
}

#[test]
fn a_body_beyond_the_limit_is_a_413_and_asks_for_the_rest() {
    let house = house(small());
    // Announced, and read to its end: the sender sees the answer.
    let answer = house.send("POST", "/hooks", &vec![b' '; 200 << 10]);
    assert_eq!(answer.status, 413);
    assert!(answer.head.contains("connection: close"), "{}", answer.head);
    // Not announced.
    let mut stream = house.connect();
    let head = "POST /hooks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    for _ in 0..10 {
        write!(stream, "4000\r\n{}\r\n", " ".repeat(0x4000)).unwrap();
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    assert_eq!(read_answer(&mut stream).status, 413);
    assert_eq!(house.counted(), ["main too_large", "main too_large"]);
    // Up to the limit it is taken.
    let mut padded = FIRING.to_vec();
    padded.resize(64 << 10, b' ');
    assert_eq!(house.send("POST", "/hooks", &padded).status, 200);
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_compressed_body_is_read_like_any_other() {
    let house = house(Bounds::default());
    assert_eq!(house.send("POST", "/hooks", &gzip(FIRING)).status, 200);
    assert_eq!(house.counted(), ["main Firing 1", "main accepted"]);
    // Two members after each other are one body.
    let (start, end) = FIRING.split_at(FIRING.len() / 2);
    let body = [gzip(start), gzip(end)].concat();
    assert_eq!(house.send("POST", "/hooks", &body).status, 200);
    assert_eq!(house.counted(), ["main Firing 1", "main accepted"]);
    let batch = gzip(br#"[{"labels":{"a":"b"}}]"#);
    assert_eq!(house.send("POST", "/api/v2/alerts", &batch).status, 200);
    assert_eq!(house.counted(), ["api Firing 1", "api accepted"]);
}

#[test]
fn a_compressed_body_that_is_cut_off_or_torn_is_unusable() {
    let house = house(Bounds::default());
    let whole = gzip(FIRING);
    let mut torn = whole.clone();
    let last = torn.len() - 5;
    torn[last] ^= 0xff;
    for body in [&whole[..whole.len() / 2], &whole[..2], &torn] {
        assert_eq!(house.send("POST", "/hooks", body).status, 200);
        assert_eq!(house.counted(), ["main quarantined"]);
        let answer = house.send("POST", "/api/v2/alerts", body);
        assert_eq!(answer.status, 400);
        assert!(answer.body.contains("not the gzip that it begins as"), "{}", answer.body);
        assert_eq!(house.counted(), ["api quarantined"]);
    }
    assert!(house.engine.seen.lock().is_empty());
}

#[test]
fn a_small_body_that_inflates_beyond_the_limit_is_a_413() {
    let house = house(small());
    let mut padded = FIRING.to_vec();
    padded.resize(64 << 10, b' ');
    assert_eq!(house.send("POST", "/hooks", &gzip(&padded)).status, 200);
    assert_eq!(house.counted(), ["main Firing 1", "main accepted"]);
    for length in [(64 << 10) + 1, 16 << 20] {
        padded.resize(length, b' ');
        let bomb = gzip(&padded);
        assert!(bomb.len() <= 64 << 10, "{} bytes are too many already", bomb.len());
        assert_eq!(house.send("POST", "/hooks", &bomb).status, 413, "{length}");
        assert_eq!(house.counted(), ["main too_large"]);
    }
    // Nothing of its room is kept.
    assert_eq!(house.send("POST", "/hooks", &gzip(FIRING)).status, 200);
}

#[test]
fn a_body_that_pauses_is_a_408() {
    let house = house(small());
    let began = Instant::now();
    let mut stream = house.connect();
    stream.write_all(b"POST /hooks HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{").unwrap();
    let answer = read_answer(&mut stream);
    assert_eq!(answer.status, 408);
    assert!(answer.head.contains("connection: close"), "{}", answer.head);
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_eq!(house.counted(), ["main incomplete"]);
}

#[test]
fn a_body_that_trickles_is_a_408_too() {
    let house = house(small());
    let began = Instant::now();
    let mut stream = house.connect();
    stream.write_all(b"POST /hooks HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n\r\n").unwrap();
    let mut writer = stream.try_clone().unwrap();
    let trickle = thread::spawn(move || {
        while began.elapsed() < Duration::from_secs(15) && writer.write_all(b" ").is_ok() {
            thread::sleep(Duration::from_millis(50));
        }
    });
    assert_eq!(read_answer(&mut stream).status, 408);
    assert!(began.elapsed() >= Duration::from_secs(2));
    trickle.join().unwrap();
}

#[test]
fn a_sender_that_breaks_off_is_forgotten() {
    let house = house(small());
    let mut stream = house.connect();
    stream.write_all(b"POST /hooks HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n\r\n{").unwrap();
    drop(stream);
    // The connection's end drops the request, with or without a word about it.
    assert_eq!(house.send("POST", "/hooks", FIRING).status, 200);
    assert_eq!(house.engine.seen.lock().len(), 1);
}

#[test]
fn bodies_together_are_bounded_and_give_their_share_back() {
    let house = house(small());
    let begin = |length: usize| {
        let mut stream = house.connect();
        let head = "POST /hooks HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ";
        write!(stream, "{head}{length}\r\n\r\n").unwrap();
        stream.write_all(&vec![b' '; 60 << 10]).unwrap();
        stream
    };
    let mut first = begin((60 << 10) + 2);
    let answers: Vec<u16> = (0..3).map(|_| read_answer(&mut begin(60 << 10)).status).collect();
    // The first body is held by us; beside it there is no room for another of its size.
    assert!(answers.contains(&503), "{answers:?}");
    first.write_all(b"{}").unwrap();
    assert_eq!(read_answer(&mut first).status, 200);
    assert_eq!(read_answer(&mut begin(60 << 10)).status, 200);
}

// --- the real senders ---

#[test]
fn a_real_alertmanager_delivers_once_the_engine_can_take_it() {
    let house = house(Bounds::default());
    *house.engine.refuse.lock() = Some(Busy::NotWritable);
    let sandbox = stack::Sandbox::new().unwrap();
    let started = stack::Alertmanager::builder()
        .webhook(&format!("http://{}/hooks/real", house.address))
        .timings(stack::Timings::QUICK)
        .start(sandbox.path());
    let alertmanager = house.runtime.block_on(started).unwrap();
    let labels = [("alertname", "ServiceDown"), ("instance", "web01:9100"), ("odd", "é\"\n\\")];
    house.runtime.block_on(alertmanager.fire(&labels)).unwrap();
    wait_until(|| house.counted().contains(&"real busy".to_owned()));
    assert!(house.engine.seen.lock().is_empty());
    *house.engine.refuse.lock() = None;
    wait_until(|| !house.engine.seen.lock().is_empty());
    let seen = house.engine.seen.lock()[0].clone();
    assert_eq!((seen.alert.source.as_str(), seen.status), ("real", Status::Firing));
    assert_eq!(seen.alert.labels, LabelSet::from_pairs(labels));
    assert_eq!(seen.alert.fingerprint, seen.alert.labels.fingerprint());
    assert_eq!(&*seen.alert.receiver, "my-receiver");
    house.runtime.block_on(alertmanager.resolve(&labels)).unwrap();
    wait_until(|| house.engine.seen.lock().iter().any(|seen| seen.status == Status::Resolved));
}

#[test]
fn a_real_prometheus_posts_to_the_alerts_api() {
    let house = house(Bounds::default());
    let sandbox = stack::Sandbox::new().unwrap();
    // Prometheus knows its Alertmanagers after five seconds only, and what fires before is sent
    // again a minute later.
    let rules = "groups: [{ name: x, rules: [{ alert: Fires, expr: vector(1), for: 8s }] }]";
    let started =
        stack::Prometheus::builder().rules(rules).alertmanager(house.address).start(sandbox.path());
    let _prometheus = house.runtime.block_on(started).unwrap();
    wait_until(|| !house.engine.seen.lock().is_empty());
    let seen = house.engine.seen.lock()[0].clone();
    assert_eq!((seen.alert.source.as_str(), seen.alert.door), ("api", Door::Api));
    assert_eq!(seen.alert.labels, LabelSet::from_pairs([("alertname", "Fires")]));
    let lasting = seen.ends_at.unwrap().since(seen.alert.starts_at.unwrap());
    assert!(lasting > homeostat_core::time::Span::from_secs(60), "{lasting}");
    assert!(house.counted().iter().all(|count| count.starts_with("api ")));
}

/// Alertmanager lists what it takes for the start of an alert.
#[test]
fn a_real_alertmanager_reads_times_as_we_do() {
    let house = house(Bounds::default());
    let sandbox = stack::Sandbox::new().unwrap();
    let started = stack::Alertmanager::builder().start(sandbox.path());
    let alertmanager = house.runtime.block_on(started).unwrap();
    let alert = |(index, (sent, _)): (usize, &(&str, &str))| {
        json!({ "labels": { "a": index.to_string() }, "startsAt": sent,
                "endsAt": "2099-01-01T00:00:00Z" })
    };
    let alerts: Vec<_> = super::TIMES.iter().enumerate().map(alert).collect();
    house.runtime.block_on(alertmanager.post(json!(alerts))).unwrap();
    let url = format!("{}/api/v2/alerts", alertmanager.url());
    let listed: Vec<serde_json::Value> = house
        .runtime
        .block_on(async { stack::client().get(&url).send().await.unwrap().json().await.unwrap() });
    assert_eq!(listed.len(), super::TIMES.len());
    for listed in listed {
        let index: usize = listed["labels"]["a"].as_str().unwrap().parse().unwrap();
        let (sent, meant) = super::TIMES[index];
        // It cuts what it shows to the millisecond.
        let shown = time(listed["startsAt"].as_str().unwrap());
        assert_eq!(shown.micros() / 1000, time(meant).micros() / 1000, "{sent}");
    }
}

pub(super) fn wait_until(condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < Duration::from_secs(20), "it did not come about");
        thread::sleep(Duration::from_millis(5));
    }
}
