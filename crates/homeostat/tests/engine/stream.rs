//! What happens, as it is heard on the stream of a real engine.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::support::{Engine, PATIENCE, notification, policy, resolution, until};
use homeostat::demo::stack::Sandbox;
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};
use sha2::Digest as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

const A: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "a:80")];

/// Somebody who listens, by a connection of their own.
struct Listener {
    stream: TcpStream,
    read: Vec<u8>,
    /// The number that was heard last.
    last: i64,
}

/// One event.
#[derive(Debug)]
struct Heard {
    kind: String,
    number: i64,
    data: Value,
}

impl Listener {
    async fn begin(address: SocketAddr, query: &str, header: &str) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap(), query, header).await
    }

    async fn over(mut stream: TcpStream, query: &str, header: &str) -> Self {
        let request = format!(
            "GET /api/v1/stream{query} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{header}\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut listener = Self { stream, read: Vec::new(), last: 0 };
        let head = listener.until("\r\n\r\n").await.unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(head.contains("content-type: text/event-stream"), "{head}");
        listener
    }

    /// What comes up to these letters; `None` where it ends before.
    async fn until(&mut self, end: &str) -> Option<String> {
        let end = end.as_bytes();
        loop {
            let found = self.read.windows(end.len()).position(|window| window == end);
            if let Some(at) = found {
                let rest = self.read.split_off(at + end.len());
                let text = std::mem::replace(&mut self.read, rest);
                return Some(String::from_utf8(text).unwrap());
            }
            let mut buffer = [0; 4 << 10];
            let read = timeout(PATIENCE, self.stream.read(&mut buffer)).await;
            // A connection that is cut has ended, too.
            match read.expect("something is heard").unwrap_or(0) {
                0 => return None,
                read => self.read.extend_from_slice(&buffer[..read]),
            }
        }
    }

    /// The next event that says something; `None` at the end.
    async fn next(&mut self) -> Option<Heard> {
        loop {
            let text = self.until("\n\n").await?;
            // Bodies of an unknown length come in pieces, each after its length.
            let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
            if let Some(number) = value("id: ") {
                self.last = number.parse().unwrap();
            }
            if let Some(data) = value("data: ") {
                let kind = value("event: ").unwrap_or("message").to_owned();
                let data = serde_json::from_str(data).unwrap();
                return Some(Heard { kind, number: self.last, data });
            }
        }
    }

    /// The entries of all that is heard until one of this kind.
    async fn entries_to(&mut self, kind: &str) -> Vec<Value> {
        let mut entries = Vec::new();
        loop {
            let heard =
                self.next().await.unwrap_or_else(|| panic!("{kind} is not heard: {entries:#?}"));
            let lines = heard.data["entries"].as_array().unwrap_or_else(|| panic!("{heard:?}"));
            entries.extend(lines.iter().cloned());
            if entries.last().is_some_and(|line| line["entry"]["kind"] == kind) {
                return entries;
            }
        }
    }
}

/// The timeline that somebody has who has heard these.
fn timeline(lines: &[Value]) -> Vec<Value> {
    let mut timeline: Vec<Value> = Vec::new();
    for line in lines {
        if line["entry"]["count"].as_u64().is_some() {
            timeline.pop();
        }
        timeline.push(line["entry"].clone());
    }
    timeline
}

#[tokio::test]
async fn what_is_committed_is_heard_once_and_in_order_also_over_a_kill() {
    let sandbox = Sandbox::new().unwrap();
    let gate = sandbox.path().join("gate");
    let script = format!("while [ ! -e {} ]; do sleep 0.05; done", gate.display());
    let config = policy(sandbox.path(), &script, "");
    let mut engine = Engine::start(&sandbox, &config, &[]).await;
    let mut first = Listener::begin(engine.address, "", "").await;
    engine.post("/hooks", notification(&[A])).await;
    let mut heard = first.entries_to("order_issued").await;
    assert_eq!((&heard[0]["incident"], &heard[0]["policy"]), (&json!("1"), &json!("web")));
    engine.kill();
    assert!(first.next().await.is_none());
    std::fs::write(&gate, "").unwrap();
    engine.restart().await;
    let last = format!("Last-Event-ID: {}\r\n", first.last);
    let mut second = Listener::begin(engine.address, "", &last).await;
    // It is over once the alert is.
    engine.post("/hooks", resolution(&[A])).await;
    heard.extend(second.entries_to("latch_released").await);
    let incident = engine.json("/api/v1/incidents/1").await;
    assert_eq!(json!(timeline(&heard)), incident["timeline"]);
    // Who comes for the first time, and says from where on, hears all of it; and who asks for another
    // incident, nothing.
    let mut third = Listener::begin(engine.address, "?last_event_id=0&incident=1", "").await;
    assert_eq!(json!(timeline(&third.entries_to("latch_released").await)), incident["timeline"]);
    let mut other = Listener::begin(engine.address, "?last_event_id=0&incident=2", "").await;
    assert_eq!(engine.post("/-/reload", "").await, 200);
    let over = other.next().await.unwrap();
    assert_eq!(
        (over.kind.as_str(), &over.data["reason"]),
        ("over", &json!("the configuration was read: come again"))
    );
    assert!(over.number >= second.last && other.next().await.is_none());
}

#[tokio::test]
async fn a_stop_lets_those_who_listen_go() {
    let sandbox = Sandbox::new().unwrap();
    let mut engine = Engine::start(&sandbox, "", &[]).await;
    let mut listener = Listener::begin(engine.address, "", "").await;
    engine.signal(homeostat::demo::stack::Signal::TERM);
    assert!(listener.next().await.is_none());
    assert_eq!(engine.wait(), Some(0));
    assert!(!engine.whole_log().contains("connections were cut off"), "{}", engine.log());
}

#[tokio::test]
async fn everybody_hears_of_what_they_may_see() {
    let sandbox = Sandbox::new().unwrap();
    let sha = |text: &str| {
        let hash = sha2::Sha256::digest(text);
        hash.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
    };
    let file = sandbox.write("admin.token", "admin").unwrap();
    let config = format!(
        "access:
  tokens: [{{ name: b, sha256: \"{}\" }}]
  grants:
    - {{ who: [\"token:b\"], may: [view], targets: ['instance=\"b:80\"'] }}
    - {{ who: [\"token:admin\"], may: [view, send] }}
{}",
        sha("secret-of-b"),
        policy(sandbox.path(), "exit 0", "")
    );
    let flag = format!("--web.bearer-token-file={}", file.display());
    let engine = Engine::start(&sandbox, &config, &[&flag]).await;
    let shown = |token: &str| format!("Authorization: Bearer {token}\r\n");
    let mut some = Listener::begin(engine.address, "", &shown("secret-of-b")).await;
    let mut all = Listener::begin(engine.address, "", &shown("admin")).await;
    let b = &[("alertname", "Down"), ("instance", "b:80")][..];
    engine.post("/hooks", notification(&[A, b])).await;
    engine.post("/hooks", resolution(&[A, b])).await;
    let mut heard = BTreeMap::<String, usize>::new();
    while heard.get("2").copied().unwrap_or_default() == 0 || heard.len() < 2 {
        for line in all.next().await.unwrap().data["entries"].as_array().unwrap() {
            *heard.entry(line["incident"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    for line in some.entries_to("latch_released").await {
        assert_eq!(line["target"]["instance"], "b:80", "{line:#}");
    }
    let stranger = engine.client().get(engine.url("/api/v1/stream")).bearer_auth("wrong");
    assert_eq!(stranger.send().await.unwrap().status(), 401);
}

/// A connection for each, here and there.
const READERS: usize = 1000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_readers_hear_the_same_beside_intake() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let sandbox = Sandbox::new().unwrap();
    let engine = Engine::start(&sandbox, "", &[]).await;
    let mut readers = tokio::task::JoinSet::new();
    let (listens, mut listening) = tokio::sync::mpsc::channel(READERS);
    for _ in 0..READERS {
        let (address, listens) = (engine.address, listens.clone());
        readers.spawn(async move {
            let mut listener = Listener::begin(address, "", "").await;
            listens.send(()).await.unwrap();
            let mut heard = Vec::new();
            loop {
                let event = listener.next().await.expect("it goes on");
                let ends = event.data.to_string().contains("\"instance\":\"last\"");
                heard.push((event.number, event.data.to_string()));
                if ends {
                    return heard;
                }
            }
        });
    }
    for _ in 0..READERS {
        listening.recv().await.unwrap();
    }
    for number in 0..50 {
        let instance = if number == 49 { "last".to_owned() } else { format!("i{number}") };
        let alert = [("alertname", "Down"), ("instance", instance.as_str())];
        assert_eq!(engine.post("/hooks", notification(&[&alert])).await, 200);
    }
    let heard = readers.join_all().await;
    assert!(heard[0].len() >= 50, "{}", heard[0].len());
    assert!(heard.iter().all(|one| *one == heard[0]));
    // All seats but a few are taken by those who still listen, and there is room for alerts.
    assert_eq!(engine.post("/hooks", notification(&[A])).await, 200);
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_let_go_and_nobody_waits_for_it() {
    let sandbox = Sandbox::new().unwrap();
    let engine = Engine::start(&sandbox, "", &["--log.level=warn"]).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let slow = socket.connect(engine.address).await.unwrap();
    let mut slow = Listener::over(slow, "", "").await;
    let mut quick = Listener::begin(engine.address, "", "").await;
    let wide = "x".repeat(4000);
    let told = tokio::spawn(async move {
        let mut numbers = Vec::new();
        loop {
            let event = quick.next().await.expect("it goes on");
            numbers.push(event.number);
            if event.data.to_string().contains("\"instance\":\"last\"") {
                return numbers;
            }
        }
    });
    let mut fired = 0;
    while !engine.log().contains("who listens was too slow") {
        let names: Vec<String> = (fired..fired + 50).map(|n| format!("i{n}")).collect();
        let alerts: Vec<[(&str, &str); 3]> = names
            .iter()
            .map(|n| [("alertname", "Down"), ("instance", n.as_str()), ("wide", wide.as_str())])
            .collect();
        let alerts: Vec<&[(&str, &str)]> = alerts.iter().map(|alert| &alert[..]).collect();
        assert_eq!(engine.post("/hooks", notification(&alerts)).await, 200);
        fired += 50;
        // As quickly as those hear it who read.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        assert!(fired < 20_000, "a reader that does not read is waited for");
    }
    let last = [("alertname", "Down"), ("instance", "last")];
    assert_eq!(engine.post("/hooks", notification(&[&last])).await, 200);
    let all = timeout(PATIENCE, told).await.expect("the other one hears all").unwrap();
    // What was sent before can be read, and the rest is heard by coming again.
    let mut numbers = Vec::new();
    while let Some(event) = slow.next().await {
        if event.kind == "message" {
            numbers.push(event.number);
        }
    }
    let from = *numbers.last().unwrap();
    assert!(from < *all.last().unwrap());
    let mut again = Listener::begin(engine.address, &format!("?last_event_id={from}"), "").await;
    let next = again.next().await.unwrap();
    if next.kind == "message" {
        numbers.push(next.number);
        while numbers.len() < all.len() {
            numbers.push(again.next().await.unwrap().number);
        }
        assert_eq!(numbers, all);
    } else {
        assert_eq!(next.kind, "gap", "more than can be told again was missed");
    }
}

/// The board and the journal tell the same of what is open.
#[tokio::test]
async fn what_is_open_is_listed_the_same_from_the_board_and_from_the_journal() {
    let sandbox = Sandbox::new().unwrap();
    let config = policy(sandbox.path(), "sleep 100", "    guard: { concurrency: 2 }");
    let engine = Engine::start(&sandbox, &config, &[]).await;
    let instances: Vec<String> = (0..5).map(|number| format!("i{number}")).collect();
    for instance in &instances {
        let alert = [("alertname", "Down"), ("instance", instance.as_str())];
        engine.post("/hooks", notification(&[&alert])).await;
    }
    until("two that run", || async {
        let acting = engine.json("/api/v1/incidents?state=acting").await;
        (acting["incidents"].as_array()?.len() == 2).then_some(())
    })
    .await;
    for query in [
        "state=open",
        "state=open&q=i3",
        "state=waiting&limit=1",
        "state=acting&target=instance=i0",
    ] {
        let board = engine.json(&format!("/api/v1/incidents?{query}")).await;
        let mut journal = engine.json(&format!("/api/v1/incidents?{query}&fields=all")).await;
        for incident in journal["incidents"].as_array_mut().unwrap() {
            incident.as_object_mut().unwrap().remove("timeline");
        }
        assert_eq!(board, journal, "{query}");
        assert!(!board["incidents"].as_array().unwrap().is_empty(), "{query}");
    }
    let held = engine.json("/api/v1/incidents?state=waiting").await;
    assert_eq!(held["incidents"][0]["holds"][0]["guard"], "concurrency", "{held:#}");
}
