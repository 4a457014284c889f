use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::get;
use homeostat_config::{Access, Pattern};
use homeostat_core::approval::Objection;
use homeostat_core::command::{Command, Reply};
use homeostat_core::event::Event;
use homeostat_core::fact::{Fact, What};
use homeostat_core::label::LabelSet;
use homeostat_core::name::{IncidentId, PolicyName};
use homeostat_core::operator::{ANONYMOUS, Known, Operator, Way};
use homeostat_core::time::Timestamp;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

mod access;
mod approvals;
mod listener;
mod oidc;
mod signin;
mod wicket;

use super::api::fixture;
use super::api::status::{ConfigStatus, PauseView};
use super::api::{AllOpen, Closings, Filter, Numbered, Open, Page, ReadError, Story};
use super::auth::Token;
use super::entrance::{Entrance, Rules};
use super::listening::Listening;
use super::origin::Names;
use super::server::{Front, Limits, serve};
use super::wicket::{Repeats, Wicket};
use super::*;
use crate::access::{Gate, Listed, Permission};
use crate::deeds::{Deeds, Done, Search};
use crate::queue::{Inbox, Request, queue};

/// A journal that holds two worlds' incidents.
struct Journal(Vec<(IncidentId, Vec<Fact>)>);

impl History for Journal {
    fn list(&self, filter: &Filter) -> Result<Page, ReadError> {
        if filter.named.as_deref().is_some_and(|named| named == ["broken"]) {
            return Err(ReadError("disk I/O error".into()));
        }
        let is_older = |id: IncidentId| filter.before.is_none_or(|before| id < before);
        // As SQL does, by the policy; the first one is web-down's, the second db-primary's.
        let policy = |id: IncidentId| if id.0 == 1 { "web-down" } else { "db-primary" };
        let is_asked = |id: IncidentId| {
            let mut patterns = filter.policies.iter().flatten();
            let is_one = patterns.any(|one| Pattern::new(one.clone()).matches(policy(id)));
            filter.policies.is_none() || is_one
        };
        let incidents = self.0.iter().rev().filter(|(id, _)| is_older(*id) && is_asked(*id));
        let mut incidents: Vec<_> = incidents.collect();
        let next = incidents.get(filter.limit).map(|_| incidents[filter.limit - 1].0);
        incidents.truncate(filter.limit);
        let incidents = incidents.into_iter().map(|(id, facts)| (*id, whole(facts)));
        Ok(Page { incidents: incidents.collect(), next })
    }

    fn incident(&self, id: IncidentId) -> Result<Option<Story>, ReadError> {
        Ok(self.0.iter().find(|(known, _)| *known == id).map(|(_, facts)| whole(facts)))
    }

    fn open(&self) -> Result<Vec<Open>, ReadError> {
        let target = LabelSet::from_pairs([("instance", "b:80")]);
        let open = |policy: &str| Open {
            policy: PolicyName::new(policy),
            target: target.clone(),
            state: "waiting".into(),
        };
        Ok(vec![open("db-primary"), open("db-primary"), open("web-down")])
    }

    fn last(&self) -> Result<i64, ReadError> {
        Ok(0)
    }

    fn follow(&self, _: i64, _: usize) -> Result<Vec<Numbered>, ReadError> {
        Ok(Vec::new())
    }

    fn all_open(&self, _: usize) -> Result<AllOpen, ReadError> {
        let closes = |fact: &Fact| matches!(fact.what, What::IncidentClosed { .. });
        let open = self.0.iter().rev().filter(|(_, facts)| !facts.iter().any(closes));
        let stories: Vec<_> = open.map(|(id, facts)| (*id, whole(facts))).collect();
        let open = stories.iter().map(|(id, _)| *id).collect();
        Ok(AllOpen { last: 0, open, stories })
    }

    fn story_before(&self, _: IncidentId, _: i64) -> Result<Story, ReadError> {
        Ok(Story::default())
    }

    fn days(&self, from: i64, _: i64) -> Result<Vec<Closings>, ReadError> {
        let closed = |policy: &str| Closings {
            day: from,
            policy: PolicyName::new(policy),
            outcome: "healed".into(),
            step: crate::incidents::Step(10),
            incidents: 3,
            alone: 2,
        };
        Ok(vec![closed("db-primary"), closed("web-down")])
    }

    fn deeds(&self, search: &Search) -> Result<Deeds, ReadError> {
        let before = search.before.unwrap_or(i64::MAX);
        let mut deeds = deeds();
        deeds.retain(|done| done.number < before);
        let next = deeds.get(search.limit).map(|_| deeds[search.limit - 1].number);
        deeds.truncate(search.limit);
        Ok(Deeds { deeds, next })
    }
}

/// An approval on each of the two incidents, a pause and a reload, the last one first.
fn deeds() -> Vec<Done> {
    let done = |number: i64, what: Value, policy: Option<&str>| Done {
        number,
        fact: Fact { at: Timestamp::EPOCH, what: serde_json::from_value(what).unwrap() },
        subject: policy
            .map(|policy| (PolicyName::new(policy), LabelSet::from_pairs([("instance", "b:80")]))),
    };
    let ann = json!({
        "claimed": "the pope", "who": "user:ann", "way": "password", "address": "10.0.0.7:1",
    });
    let approve = |incident: u64| {
        json!({
            "kind": "incident_commanded", "incident": incident, "command": "approve", "by": ann,
            "reason": "r",
        })
    };
    let pause = json!({ "by": ann, "reason": "p", "since": Timestamp::EPOCH });
    let reload = json!({
        "kind": "configuration_loaded", "of": "engine",
        "files": [{ "name": "f", "sha256": "00" }], "occasion": "signal",
    });
    vec![
        done(40, reload, None),
        done(30, json!({ "kind": "engine_paused", "pause": pause }), None),
        done(20, approve(2), Some("db-primary")),
        done(10, approve(1), Some("web-down")),
    ]
}

fn whole(facts: &[Fact]) -> Story {
    Story { facts: facts.to_vec(), left_out: 0 }
}

/// A server on a socket, with everything behind it that a test wants to see.
struct House {
    address: SocketAddr,
    events: Arc<Mutex<Vec<Event>>>,
    reload_fails: Arc<AtomicBool>,
    /// Who had the configuration read again.
    reloads: Arc<Mutex<Vec<Operator>>>,
    slow: Arc<Slow>,
    queue: Queue,
    routes: Vec<Listed>,
    entrance: Arc<Entrance>,
    stop: Option<oneshot::Sender<()>>,
    /// Who listens is let go, and learns that there is more.
    _signals: (watch::Sender<bool>, watch::Sender<i64>),
    served: JoinHandle<()>,
}

/// How a house differs from the usual one.
#[derive(Default)]
struct Ways {
    prefix: &'static str,
    token: Option<Token>,
    access: Option<Access>,
    listening: Option<Arc<Listening>>,
    doors: Vec<server::Door>,
    not_ready: Option<String>,
    limits: Limits,
    repeats: Option<Arc<dyn Repeats>>,
}

fn status(not_ready: Option<String>) -> Status {
    Status {
        version: "1.2.3".into(),
        revision: "abc".into(),
        started_at: Timestamp::EPOCH,
        boot: "boot".into(),
        not_ready,
        paused: Some(PauseView {
            by: "ann".into(),
            reason: "migration".into(),
            since: Timestamp::EPOCH,
        }),
        queue_length: 0,
        alerts_active: Some(2),
        standing_approvals: 2,
        incidents_open: [("waiting".to_owned(), 1)].into(),
        config: ConfigStatus::default(),
        listen_addresses: vec!["127.0.0.1:9999".into()],
    }
}

/// What the engine says that is paused.
const PAUSED: &str = "paused: no remedy starts until somebody resumes";

/// Incidents of which the engine counts people, and of which somebody's word does not count.
const COUNTED: u64 = 3;
const OBJECTED: u64 = 4;

/// Answers commands as the driver does, until the queue stops.
fn drive(inbox: Inbox, events: Arc<Mutex<Vec<Event>>>) {
    std::thread::spawn(move || {
        while !inbox.is_stopping() {
            if let Some(Request::Command { event, answer }) = inbox.wait(Duration::from_millis(20))
            {
                let reply = match &event {
                    Event::Command { incident: IncidentId(1), .. } => {
                        Some(Reply::Taken("it starts".into()))
                    }
                    Event::Command { incident: IncidentId(2), .. } => {
                        Some(Reply::Refused("nothing waits".into()))
                    }
                    Event::Command { incident: IncidentId(COUNTED), .. } => {
                        let message = "1 of 2 approvals: user:ann".to_owned();
                        Some(Reply::Counted { message, have: 1, need: 2 })
                    }
                    Event::Command { incident: IncidentId(OBJECTED), .. } => {
                        Some(Reply::NotTheirs(Objection::Retried))
                    }
                    Event::Command { incident, .. } => Some(Reply::NoIncident(*incident)),
                    Event::Revoke { .. } => Some(Reply::Taken("it is revoked".into())),
                    Event::Pause { .. } => Some(Reply::Taken(PAUSED.into())),
                    Event::Resume { .. } => Some(Reply::Taken("nothing was paused".into())),
                    _ => None,
                };
                events.lock().push(event);
                let _ = answer.send(Ok(reply));
            }
        }
    });
}

impl House {
    async fn open(ways: Ways) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let events = Arc::new(Mutex::new(Vec::new()));
        let (queue, inbox) = queue();
        drive(inbox, events.clone());
        let reload_fails = Arc::new(AtomicBool::new(false));
        let slow = Arc::new(Slow::default());
        let external = Some("https://homeostat.example/");
        let names = Names::new(&[address], external, &["heal.example".into()]).unwrap();
        let mut held = fixture::held().facts;
        for fact in &mut held {
            renumber(fact);
        }
        let healed = fixture::healed_by_the_second().facts;
        let fails = reload_fails.clone();
        let reloads = Arc::<Mutex<Vec<Operator>>>::default();
        let asked = reloads.clone();
        let rules = Rules::new(ways.access.as_ref()).unwrap();
        let listening = ways.listening.unwrap_or_else(|| Arc::new(Listening::plain()));
        let entrance = Arc::new(Entrance::new(ways.token, rules, listening.clone()));
        let history: Arc<dyn History> =
            Arc::new(Journal(vec![(IncidentId(1), healed), (IncidentId(2), held)]));
        let book: Arc<dyn Fn() -> Arc<Book> + Send + Sync> = Arc::new(|| Arc::new(Book::observe()));
        let (stopping, committed) = (watch::Sender::new(false), watch::Sender::new(0));
        let web = Web {
            guard: Arc::new(Guard { entrance: entrance.clone(), names }),
            queue: queue.clone(),
            metrics: Arc::new(Metrics::new("1.2.3", "abc", "main")),
            board: Arc::new(Board::new(history.clone(), book.clone(), committed.subscribe())),
            history,
            stopping: stopping.subscribe(),
            status: Arc::new(move || status(ways.not_ready.clone())),
            book,
            scores: Arc::new(Arc::default),
            approvals: Arc::new(approvals::of_both_policies),
            printed: Arc::new(|_, _| String::new()),
            reload: Arc::new(move |by| {
                let fails = fails.load(Ordering::Relaxed);
                asked.lock().push(by);
                Box::pin(async move { if fails { Err("line 3 is odd".into()) } else { Ok(()) } })
            }),
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let routes = routes(&web, intake(slow.clone())).listed().to_vec();
        let router = router(&web, intake(slow.clone()));
        let router = refusals::watch(router, ways.prefix, web.metrics.clone());
        let mut front = Front::from(router);
        if let Some(repeats) = ways.repeats {
            let (guard, prefix) = (web.guard.clone(), ways.prefix.to_owned());
            front = front.with_wicket(Wicket { guard, prefix, repeats });
        }
        let stopped = async { drop(stopped.await) };
        let doors = ways.doors.into_iter().chain([listener.into()]).collect();
        let served = tokio::spawn(serve(doors, listening, front, ways.limits, stopped));
        Self {
            address,
            events,
            reload_fails,
            reloads,
            slow,
            queue,
            routes,
            entrance,
            stop: Some(stop),
            _signals: (stopping, committed),
            served,
        }
    }

    async fn usual() -> Self {
        Self::open(Ways::default()).await
    }

    /// Sends a request with these headers besides `Host`, and reads the whole answer.
    async fn ask(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Answer {
        let host = format!("Host: {}", self.address);
        let mut all = vec![host.as_str()];
        all.extend(headers);
        self.ask_bare(method, path, &all, body).await
    }

    async fn ask_bare(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request(method, path, headers, body).as_bytes()).await.unwrap();
        Answer::read(&mut stream).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "").await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        let headers = ["Content-Type: application/json; charset=utf-8"];
        self.ask("POST", path, &headers, &body.to_string()).await
    }
}

/// The second world's incident is the journal's incident 2.
fn renumber(fact: &mut Fact) {
    let text = serde_json::to_string(&fact.what).unwrap();
    let text = text.replace("\"incident\":1", "\"incident\":2");
    let text = text.replace("web-down", "db-primary");
    fact.what = serde_json::from_str(&text).unwrap();
}

/// A request to `/slow`, as a test sees and steers it.
#[derive(Default)]
struct Slow {
    /// It is being handled.
    begun: Notify,
    /// Lets it go on.
    go_on: Notify,
}

/// Stands in for intake.
fn intake(slow: Arc<Slow>) -> Routes {
    let slow = move || {
        let slow = slow.clone();
        async move {
            slow.begun.notify_one();
            slow.go_on.notified().await;
            "done"
        }
    };
    let taken = |body: Bytes| async move { format!("taken {}", body.len()) };
    Routes::new()
        .post_or_put("/hooks", Permission::Send, taken)
        .post_or_put("/hooks/{name}", Permission::Send, taken)
        .post("/api/v2/alerts", Permission::Send, taken)
        .post("/api/v1/alerts", Permission::Send, taken)
        .post("/slow", Permission::Send, slow)
}

fn request(method: &str, path: &str, headers: &[&str], body: &str) -> String {
    let headers = headers.join("\r\n");
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nContent-Length: {length}\r\n\
         Connection: close\r\n{headers}\r\n\r\n{body}"
    )
}

#[derive(Debug)]
struct Answer {
    status: u16,
    /// In small letters.
    head: String,
    head_as_sent: String,
    body: String,
}

impl Answer {
    async fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        // A stream of events does not end.
        let is_stream = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
            text.contains("content-type: text/event-stream") && text.contains("\r\n\r\n")
        };
        while stream.read_buf(&mut bytes).await.unwrap() > 0 && !is_stream(&bytes) {}
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.get(9..12).and_then(|code| code.parse().ok()).unwrap_or(0);
        let (head, head_as_sent) = (head.to_ascii_lowercase(), head.to_owned());
        Self { status, head, head_as_sent, body: body.to_owned() }
    }

    fn json(&self) -> Value {
        let types = ["application/json", answer::PROBLEM];
        assert!(types.map(Some).contains(&self.header("content-type")), "{self:?}");
        serde_json::from_str(&self.body).unwrap()
    }

    /// The first header of this name.
    fn header(&self, name: &str) -> Option<&str> {
        self.head_as_sent.lines().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    fn error(&self) -> String {
        self.json()["error"].as_str().unwrap().to_owned()
    }
}

/// Who commanded the event of this number in the name of ann, and was not asked.
fn anonymous(house: &House, number: usize) -> Operator {
    let events = house.events.lock();
    let (Event::Pause { by, .. } | Event::Resume { by, .. } | Event::Command { by, .. }) =
        &events[number]
    else {
        panic!("{events:?}")
    };
    let address = by.known.as_ref().unwrap().address.clone();
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    let (who, groups) = (ANONYMOUS.into(), Vec::new());
    let known = Known { who, way: Way::Unasked, groups, address };
    Operator { claimed: "ann".into(), known: Some(known) }
}

fn token() -> (tempfile::TempDir, Token) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    std::fs::write(&path, "s3cret\n").unwrap();
    let token = Token::from_file(&path).unwrap();
    (directory, token)
}

#[tokio::test]
async fn supervisors_are_answered_and_head_has_no_body() {
    let house = House::usual().await;
    for path in ["/-/healthy", "/-/ready"] {
        let answer = house.get(path).await;
        assert_eq!((answer.status, answer.body.starts_with("Homeostat is ")), (200, true));
        let answer = house.ask("HEAD", path, &[], "").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    }
    let metrics = house.get("/metrics").await;
    assert!(metrics.head.contains("content-type: text/plain; version=0.0.4"));
    assert!(metrics.body.contains("\nhomeostat_build_info{"));
}

#[tokio::test]
async fn not_being_ready_is_said_with_its_reason() {
    let ways = Ways { not_ready: Some("the journal is read".into()), ..Ways::default() };
    let answer = House::open(ways).await.get("/-/ready").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.body, "Homeostat is not ready: the journal is read.\n");
    let house = House::usual().await;
    house.queue.stop();
    let answer = house.get("/-/ready").await;
    assert_eq!((answer.status, answer.body.contains("the engine is stopping")), (503, true));
    assert_eq!(house.get("/-/healthy").await.status, 200);
}

#[tokio::test]
async fn a_reload_says_what_is_wrong() {
    let house = House::usual().await;
    for method in ["POST", "PUT"] {
        assert_eq!(house.ask(method, "/-/reload", &[], "").await.status, 200);
    }
    house.reload_fails.store(true, Ordering::Relaxed);
    let answer = house.ask("POST", "/-/reload", &[], "").await;
    assert_eq!((answer.status, answer.body.contains("line 3 is odd")), (500, true));
    assert_eq!(house.get("/-/reload").await.status, 405);
}

#[tokio::test]
async fn a_wrong_path_or_method_is_404_or_405_and_never_a_redirect() {
    let house = House::usual().await;
    for (method, path, expected) in [
        ("GET", "/hooks", 405),
        ("GET", "/hooks/main", 405),
        ("DELETE", "/api/v2/alerts", 405),
        ("POST", "/", 405),
        ("POST", "/-/healthy", 405),
        ("POST", "/metrics", 405),
        ("GET", "/api/v1/pause", 405),
        ("GET", "//", 404),
        ("GET", "/hooks/a/b", 404),
        ("POST", "/hook", 404),
        ("GET", "/metrics/", 404),
        ("GET", "/-/healthy/", 404),
        ("GET", "/api/v1/incidents/", 404),
        ("GET", "/api", 404),
        ("GET", "/index.html", 404),
        ("GET", "/%2e%2e/etc/passwd", 404),
    ] {
        let answer = house.ask(method, path, &[], "").await;
        assert_eq!(answer.status, expected, "{method} {path}: {answer:?}");
        assert_eq!(answer.head.contains("\nallow: "), expected == 405, "{method} {path}");
        if path.starts_with("/api/") {
            assert!(!answer.error().is_empty());
        } else {
            assert!(answer.head.contains("text/plain"));
        }
    }
}

#[tokio::test]
async fn every_answer_tells_browsers_to_be_careful() {
    let house = House::usual().await;
    for path in ["/", "/metrics", "/api/v1/status", "/nowhere", "/api/v1/incidents?limit=x"] {
        let head = house.get(path).await.head;
        for header in [
            "x-content-type-options: nosniff",
            "content-security-policy: default-src 'none';",
            "frame-ancestors 'none'",
            "x-frame-options: deny",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
        ] {
            // Forms say where they come from, to us alone.
            let is_page = path == "/" && header == "referrer-policy: no-referrer";
            let header = if is_page { "referrer-policy: same-origin" } else { header };
            assert!(head.contains(header), "{path}: {header} is missing in\n{head}");
        }
    }
    let page = house.get("/").await;
    assert!(page.head.contains("script-src 'sha256-") && page.head.contains("text/html"));
    assert!(!page.head.contains("unsafe"));
    assert!(page.body.starts_with("<!DOCTYPE html>"));
}

#[tokio::test]
async fn a_stranger_with_a_browser_is_asked_who_they_are_and_a_program_is_refused() {
    let (_directory, token) = token();
    let house = House::open(Ways { token: Some(token), ..Ways::default() }).await;
    for path in ["/", "/incidents/7?x=y", "/nowhere"] {
        let page = house.ask("GET", path, &["Accept: text/html"], "").await;
        assert_eq!(page.status, 401, "{path}");
        assert!(
            page.body.contains("<h1>Sign in</h1>") && page.head.contains("text/html"),
            "{path}"
        );
        assert!(page.body.contains(&format!("name=\"next\" value=\"{path}\"")), "{path}");
        assert!(!page.head.contains("basic"), "its browser would ask for a password, and keep it");
        assert!(house.get(path).await.head.contains("text/plain"), "{path}");
    }
    let answer = house.ask("GET", "/api/v1/status", &["Accept: text/html"], "").await;
    assert!(answer.head.contains("application/problem+json"));
}

#[tokio::test]
async fn with_a_token_strangers_come_to_nothing_but_what_is_open() {
    let (_directory, token) = token();
    let house = House::open(Ways { token: Some(token), ..Ways::default() }).await;
    for path in ["/sign-in", "/-/healthy", "/-/ready"] {
        assert_eq!(house.get(path).await.status, 200, "{path}");
    }
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/incidents/1"),
        ("GET", "/metrics"),
        ("GET", "/api/v1/status"),
        ("GET", "/nowhere"),
        ("POST", "/hooks"),
        ("POST", "/-/reload"),
        ("POST", "/"),
        ("POST", "/api/v2/alerts"),
    ] {
        let answer = house.ask(method, path, &[], "").await;
        assert_eq!(answer.status, 401, "{method} {path}");
        assert!(answer.head.contains("www-authenticate: bearer"));
        let wrong = house.ask(method, path, &["Authorization: Bearer s3cre"], "").await;
        assert_eq!(wrong.status, 401, "{method} {path}");
    }
    let shown = "Authorization: Bearer s3cret";
    assert_eq!(house.ask("GET", "/metrics", &[shown], "").await.status, 200);
    assert_eq!(house.ask("POST", "/hooks", &[shown], "").await.status, 200);
    assert_eq!(house.ask("GET", "/metrics", &[shown, shown], "").await.status, 401);
    let by_any_name = house.ask_bare("GET", "/metrics", &["Host: any.example", shown], "").await;
    assert_eq!(by_any_name.status, 200);
    let foreign = ["Origin: http://evil.example", shown];
    assert_eq!(house.ask("POST", "/hooks", &foreign, "").await.status, 403);
}

#[tokio::test]
async fn an_unlisted_host_is_refused() {
    let house = House::usual().await;
    for (host, expected) in [
        ("localhost", 200),
        ("localhost:4711", 200),
        ("127.0.0.1", 200),
        ("[::1]:9999", 200),
        ("heal.example", 200),
        ("homeostat.example", 200),
        ("evil.example", 403),
        ("evil.example:9999", 403),
        ("", 403),
    ] {
        let answer = house.ask_bare("GET", "/metrics", &[&format!("Host: {host}")], "").await;
        assert_eq!(answer.status, expected, "{host:?}");
    }
    let none = house.ask_bare("GET", "/metrics", &[], "").await;
    assert_ne!(none.status, 200, "HTTP/1.1 needs a Host");
    let two =
        house.ask_bare("GET", "/metrics", &["Host: localhost", "Host: evil.example"], "").await;
    assert_ne!(two.status, 200);
    let target = house.ask("GET", "http://evil.example/metrics", &[], "").await;
    assert_eq!(target.status, 403);
}

/// The counters of refusals as they are printed.
async fn refusals(house: &House, prefix: &str, headers: &[&str]) -> Vec<String> {
    let metrics = house.ask("GET", &format!("{prefix}/metrics"), headers, "").await.body;
    let lines =
        metrics.lines().filter_map(|line| line.strip_prefix("homeostat_http_refusals_total"));
    let mut lines: Vec<String> = lines.map(str::to_owned).collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn refusals_are_counted_by_reason() {
    let house = House::usual().await;
    assert!(refusals(&house, "", &[]).await.is_empty());
    for (method, path, header, status) in [
        ("POST", "/hook", "X: y", 404),
        ("POST", "/prom/api/v2/alerts", "X: y", 404),
        ("GET", "/nowhere", "X: y", 404),
        ("POST", "/", "X: y", 405),
        ("GET", "/hooks", "X: y", 405),
        ("POST", "/api/v1/pause", "Content-Type: text/plain", 415),
        ("POST", "/hooks", "Origin: http://evil.example", 403),
        // These are answers.
        ("GET", "/api/v1/incidents/99", "X: y", 404),
        ("GET", "/api/v1/incidents?state=odd", "X: y", 400),
    ] {
        assert_eq!(house.ask(method, path, &[header], "").await.status, status, "{method} {path}");
    }
    house.ask_bare("POST", "/hooks", &["Host: evil.example"], "").await;
    assert_eq!(
        refusals(&house, "", &[]).await,
        [
            r#"{reason="foreign_origin"} 1"#,
            r#"{reason="unknown_path"} 3"#,
            r#"{reason="unlisted_host"} 1"#,
            r#"{reason="wrong_method"} 2"#,
            r#"{reason="wrong_type"} 1"#,
        ]
    );
    let (_directory, token) = token();
    let house = House::open(Ways { token: Some(token), ..Ways::default() }).await;
    assert_eq!(house.ask("POST", "/nowhere", &[], "").await.status, 401);
    let shown = "Authorization: Bearer s3cret";
    assert_eq!(refusals(&house, "", &[shown]).await, [r#"{reason="no_token"} 1"#]);
}

#[tokio::test]
async fn who_sends_to_a_wrong_path_is_told_the_right_one() {
    let house = House::usual().await;
    for path in ["/hook", "/webhook", "/api/v1/webhook"] {
        let json = "Content-Type: application/json";
        let answer = house.ask("POST", path, &[json], "{}").await;
        assert_eq!(answer.status, 404, "{path}");
        let told = "there is nothing here: webhooks go to /hooks or /hooks/NAME";
        assert!(answer.body.contains(told), "{path}: {}", answer.body);
        assert!(answer.head.contains("x-content-type-options: nosniff"), "{}", answer.head);
    }
    assert_eq!(house.get("/nowhere").await.body, "there is nothing here\n");
}

#[tokio::test]
async fn what_misses_the_prefix_is_told_of_it_and_counted() {
    let house = House::open(Ways { prefix: "/heal", ..Ways::default() }).await;
    assert_eq!(house.ask("POST", "/heal/hooks", &[], "").await.status, 200);
    let answer = house.ask("POST", "/hooks", &[], "").await;
    assert_eq!(answer.status, 404);
    assert!(answer.body.contains("webhooks go to /heal/hooks"), "{}", answer.body);
    let answer = house.ask("POST", "/api/v2/alerts", &[], "[]").await;
    assert!(answer.error().contains("set `path_prefix: /heal`"), "{}", answer.body);
    assert_eq!(refusals(&house, "/heal", &[]).await, [r#"{reason="unknown_path"} 2"#]);
}

#[tokio::test]
async fn a_foreign_origin_is_refused_everywhere() {
    let house = House::usual().await;
    let own = format!("Origin: http://{}", house.address);
    for (method, path) in
        [("POST", "/hooks"), ("POST", "/api/v2/alerts"), ("POST", "/-/reload"), ("GET", "/metrics")]
    {
        for origin in
            ["Origin: http://evil.example", "Origin: null", "Origin: http://localhost:3000"]
        {
            let answer = house.ask(method, path, &[origin], "").await;
            assert_eq!(answer.status, 403, "{method} {path} {origin}");
        }
        for origin in [own.as_str(), "Origin: https://homeostat.example"] {
            let answer = house.ask(method, path, &[origin], "").await;
            assert_eq!(answer.status, 200, "{method} {path} {origin}");
        }
        let two = house.ask(method, path, &[&own, "Origin: http://evil.example"], "").await;
        assert_eq!(two.status, 403, "{method} {path}");
    }
}

#[tokio::test]
async fn what_changes_something_must_be_json_but_alerts_need_not() {
    let house = House::usual().await;
    let body = json!({ "by": "ann", "reason": "r" }).to_string();
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp"] {
        let header = format!("Content-Type: {content_type}");
        let answer = house.ask("POST", "/api/v1/pause", &[&header], &body).await;
        assert_eq!(answer.status, 415, "{content_type}");
        assert!(answer.error().contains("application/json"));
    }
    assert_eq!(house.ask("POST", "/api/v1/pause", &[], &body).await.status, 415);
    for path in ["/api/v1/alerts", "/api/v2/alerts", "/hooks", "/hooks/main"] {
        assert_eq!(house.ask("POST", path, &[], "[]").await.status, 200, "{path}");
    }
    assert!(house.events.lock().is_empty());
}

#[tokio::test]
async fn an_operators_command_is_answered_once_the_engine_has_it() {
    let house = House::usual().await;
    let body = json!({ "by": " ann ", "reason": "migration" });
    let answer = house.post("/api/v1/pause", &body).await;
    let told = json!({ "paused": true, "message": PAUSED });
    assert_eq!((answer.status, answer.json()), (200, told));
    let answer = house.post("/api/v1/resume", &json!({ "by": "ann" })).await;
    let told = json!({ "paused": false, "message": "nothing was paused" });
    assert_eq!((answer.status, answer.json()), (200, told));
    let events = house.events.lock().clone();
    assert_eq!(
        events,
        [
            Event::Pause { by: anonymous(&house, 0), reason: "migration".into() },
            Event::Resume { by: anonymous(&house, 1), reason: String::new() },
        ]
    );
    house.queue.stop();
    let answer = house.post("/api/v1/pause", &body).await;
    assert_eq!((answer.status, answer.error().as_str()), (503, "the engine is stopping"));
}

#[tokio::test]
async fn a_command_about_an_incident_is_answered_with_what_follows_or_why_nothing_does() {
    let house = House::open(Ways::default()).await;
    let word = json!({ "by": "ann", "reason": "planned" });
    for command in Command::ALL {
        let path = |id: &str| format!("/api/v1/incidents/{id}/{command}");
        let taken = house.post(&path("1"), &word).await;
        assert_eq!(taken.status, 200, "{command}");
        assert_eq!(taken.json(), json!({ "incident": "1", "message": "it starts" }));
        let refused = house.post(&path("2"), &word).await;
        assert_eq!((refused.status, refused.error().as_str()), (409, "nothing waits"));
        for unknown in ["9", "x", "-1"] {
            let answer = house.post(&path(unknown), &word).await;
            let error = format!("there is no incident {unknown:?}");
            assert_eq!((answer.status, answer.error()), (404, error));
        }
        assert_eq!(house.post(&path("1"), &json!({})).await.status, 400, "who says so?");
        assert_eq!(house.ask("GET", &path("1"), &[], "").await.status, 405);
    }
    let events = house.events.lock();
    let commanded = events.iter().filter_map(|event| match event {
        Event::Command {
            incident: IncidentId(1),
            command,
            seen: None,
            ahead: None,
            by,
            reason,
        } => Some((*command, by.to_string(), reason.clone())),
        _ => None,
    });
    let expected = Command::ALL.map(|command| (command, "ann".to_owned(), "planned".to_owned()));
    assert_eq!(commanded.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn an_approval_may_show_what_was_seen_and_nothing_else_may() {
    let house = House::open(Ways::default()).await;
    let digest = "0f".repeat(32);
    let word = json!({ "by": "ann", "digest": digest });
    assert_eq!(house.post("/api/v1/incidents/1/approve", &word).await.status, 200);
    let seen = house.events.lock().iter().any(|event| {
        matches!(event, Event::Command { seen: Some(seen), .. } if seen.to_string() == digest)
    });
    assert!(seen);
    assert_eq!(house.post("/api/v1/incidents/1/cancel", &word).await.status, 400);
    let wrong = json!({ "by": "ann", "digest": "0f" });
    let answer = house.post("/api/v1/incidents/1/approve", &wrong).await;
    assert_eq!(answer.status, 400);
    assert!(answer.json()["error"].as_str().unwrap().contains("64 hexadecimal digits"));
}

#[tokio::test]
async fn a_command_that_says_too_little_or_too_much_is_refused() {
    let house = House::usual().await;
    for (body, complaint) in [
        (json!({ "reason": "r" }), "\"by\" is empty"),
        (json!({ "by": " ", "reason": "r" }), "\"by\" is empty"),
        (json!({ "by": "ann" }), "\"reason\" is empty"),
        (json!({ "by": "ann", "reason": "r", "until": "1h" }), "unknown field `until`"),
        (json!({ "by": "ann", "reason": "r", "for": "1h" }), "\"for\" goes with an approval only"),
        (json!({ "by": "a".repeat(201), "reason": "r" }), "\"by\" is too long"),
        (json!({ "by": "ann", "reason": "r".repeat(2001) }), "\"reason\" is too long"),
        (json!({ "by": "ann", "reason": "r".repeat(20_000) }), "at most 16384 bytes"),
        (json!("ann"), "expected {\"by\""),
    ] {
        let answer = house.post("/api/v1/pause", &body).await;
        assert_eq!(answer.status, 400);
        assert!(answer.error().contains(complaint), "{complaint}: {}", answer.error());
    }
    assert!(house.events.lock().is_empty());
}

#[tokio::test]
async fn incidents_are_listed_page_by_page_and_told_one_by_one() {
    let house = House::usual().await;
    let first = house.get("/api/v1/incidents?limit=1").await.json();
    assert_eq!(first["incidents"][0]["id"], "2");
    assert_eq!(first["incidents"][0]["state"], "waiting");
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = house.get(&format!("/api/v1/incidents?limit=1&cursor={cursor}")).await.json();
    assert_eq!(second["incidents"][0]["id"], "1");
    assert_eq!(second["next_cursor"], Value::Null);
    let all = house.get("/api/v1/incidents").await.json();
    assert_eq!(
        (all["incidents"].as_array().unwrap().len(), &all["next_cursor"]),
        (2, &Value::Null)
    );
    let one = house.get("/api/v1/incidents/1").await.json();
    assert_eq!(
        (&one["outcome"], &one["orders"][2]["id"]),
        (&json!("healed"), &json!("1.reboot.1"))
    );
    for id in ["3", "x", "-1", "+1", "99999999999999999999"] {
        let answer = house.get(&format!("/api/v1/incidents/{id}")).await;
        assert_eq!(answer.status, 404, "{id}");
        assert!(answer.error().contains(id));
    }
    let answer = house.get("/api/v1/incidents?state=odd").await;
    assert_eq!((answer.status, answer.error().contains("unknown state")), (400, true));
    let answer = house.get("/api/v1/incidents?policy=broken").await;
    assert_eq!((answer.status, answer.error().contains("disk I/O error")), (500, true));
}

#[tokio::test]
async fn a_list_is_slim_and_is_sent_again_only_where_it_has_changed() {
    let house = House::usual().await;
    let list = house.get("/api/v1/incidents").await;
    let incident = &list.json()["incidents"][0];
    assert_eq!(
        (&incident["timeline"], &incident["holds"][0]["guard"]),
        (&Value::Null, &json!("pause"))
    );
    let tag = list.header("etag").unwrap().to_owned();
    for (shown, status) in [
        (format!("If-None-Match: {tag}"), 304),
        (format!("If-None-Match: \"x\", W/{tag}"), 304),
        ("If-None-Match: \"x\"".to_owned(), 200),
    ] {
        let again = house.ask("GET", "/api/v1/incidents", &[&shown], "").await;
        assert_eq!((again.status, again.header("etag")), (status, Some(&*tag)), "{shown}");
        assert_eq!(again.body.is_empty(), status == 304, "{shown}");
    }
    let all = house.get("/api/v1/incidents?fields=all").await.json();
    assert_eq!(all["incidents"][0]["timeline"][0]["kind"], "episode_began");
    let some = house.get("/api/v1/incidents?fields=state").await.json();
    assert_eq!(some["incidents"][0], json!({ "id": "2", "state": "waiting" }));
}

/// What the document describes is what is served, and the other way round.
#[tokio::test]
async fn every_route_of_the_api_is_described() {
    let house = House::usual().await;
    let of_api = house.routes.iter().filter(|route| route.path.starts_with("/api/v1/"));
    let served: std::collections::BTreeSet<(String, String)> = of_api
        .flat_map(|route| {
            route.methods.iter().map(|method| (method.to_string(), route.path.to_owned()))
        })
        .collect();
    assert_eq!(super::api::described(), served);
    let document = house.get("/api/v1/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
}

#[tokio::test]
async fn what_became_of_incidents_is_told_as_json_and_as_csv() {
    let house = House::usual().await;
    let list = house.get("/api/v1/history?since=2026-11-01&until=2026-11-30").await.json();
    assert_eq!(
        (&list["days"][0]["day"], &list["days"][0]["policy"]),
        (&json!("2026-11-01"), &json!("db-primary"))
    );
    assert_eq!(
        (&list["policies"][1]["outcomes"]["healed"], &list["policies"][1]["pages_saved"]),
        (&json!(3), &json!(2))
    );
    let csv = house.get("/api/v1/history?since=2026-11-01&format=csv&policy=web-down").await;
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    assert_eq!(csv.body.lines().count(), 2, "{}", csv.body);
}

#[tokio::test]
async fn what_is_wrong_is_told_as_rfc_9457_has_it() {
    let house = House::usual().await;
    let answer = house.get("/api/v1/incidents?limit=0").await;
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let detail = "limit \"0\": expected a number from 1 to 1000";
    let problem = json!({
        "type": "about:blank", "title": "Bad Request", "status": 400, "detail": detail,
        "error": detail,
    });
    assert_eq!(answer.json(), problem);
    let unknown = house.get("/api/v1/nowhere").await;
    assert_eq!(unknown.header("content-type"), Some("application/problem+json"));
}

#[tokio::test]
async fn status_and_policies_are_told() {
    let house = House::usual().await;
    let answer = house.get("/api/v1/status").await.json();
    assert_eq!(serde_json::from_value::<Status>(answer).unwrap(), status(None));
    let policies = house.get("/api/v1/policies").await.json();
    assert_eq!(policies["policies"][0]["name"], "observe");
    assert_eq!(policies["policies"][0]["guard"]["cooldown"], "5m");
    assert_eq!(
        policies["limits"],
        json!({ "concurrency": 16, "rate": { "max": 60, "per": "1h" }, "teams": {} })
    );
}

/// A path of a route, with its placeholders filled in.
fn path_of(route: &str) -> String {
    route.replace("{id}", "1").replace("{name}", "main")
}

#[tokio::test]
async fn every_route_is_made_with_a_gate_and_strangers_pass_two_kinds_only() {
    let (_directory, token) = token();
    let house = House::open(Ways { token: Some(token), ..Ways::default() }).await;
    let json = "Content-Type: application/json";
    let shown = "Authorization: Bearer s3cret";
    let mut open = Vec::new();
    for route in &house.routes {
        for method in &route.methods {
            let (method, path) = (method.as_str(), path_of(route.path));
            if path == "/slow" {
                continue;
            }
            let stranger = house.ask(method, &path, &[json], "{}").await.status;
            if path == "/api/v1/whoami" {
                assert_eq!(stranger, 401, "a stranger is nobody");
                continue;
            }
            let known = house.ask(method, &path, &[json, shown], "{}").await.status;
            let is_open = matches!(route.gate, Gate::Open | Gate::Enter);
            assert_eq!(stranger == 401, !is_open, "{method} {path}: {stranger}");
            assert!(![401, 403, 404, 405].contains(&known), "{method} {path}: {known}");
            if route.gate == Gate::Open {
                open.push(path);
            }
        }
    }
    assert_eq!(open, ["/-/healthy", "/-/ready"]);
    assert!(house.routes.len() > 15, "{}", house.routes.len());
}

/// Starts a request to `/slow` and waits until it is being handled.
async fn start_slow(house: &House) -> TcpStream {
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    let host = format!("Host: {}", house.address);
    stream.write_all(request("POST", "/slow", &[&host], "").as_bytes()).await.unwrap();
    house.slow.begun.notified().await;
    stream
}

#[tokio::test]
async fn what_runs_when_the_server_stops_is_finished() {
    let mut house = House::usual().await;
    let mut running = start_slow(&house).await;
    let mut idle = TcpStream::connect(house.address).await.unwrap();
    let healthy = format!("GET /-/healthy HTTP/1.1\r\nHost: {}\r\n\r\n", house.address);
    idle.write_all(healthy.as_bytes()).await.unwrap();
    let mut answered = Vec::new();
    while !answered.ends_with(b"Healthy.\n") {
        idle.read_buf(&mut answered).await.unwrap();
    }
    house.stop.take().unwrap().send(()).unwrap();
    let mut byte = [0];
    assert_eq!(idle.read(&mut byte).await.unwrap(), 0, "an idle connection is closed");
    assert!(TcpStream::connect(house.address).await.is_err(), "no further one is accepted");
    assert!(!house.served.is_finished());
    house.slow.go_on.notify_one();
    let answer = Answer::read(&mut running).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "done"));
    house.served.await.unwrap();
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_cut_off() {
    let limits = Limits { drain: Duration::from_millis(100), ..Limits::default() };
    let mut house = House::open(Ways { limits, ..Ways::default() }).await;
    let mut running = start_slow(&house).await;
    house.stop.take().unwrap().send(()).unwrap();
    house.served.await.unwrap();
    let mut rest = Vec::new();
    let ended = running.read_to_end(&mut rest).await;
    assert!(ended.is_err() || rest.is_empty(), "{rest:?}");
}

#[tokio::test]
async fn beyond_the_bound_connections_wait_their_turn() {
    let limits = Limits { connections: 1, ..Limits::default() };
    let house = House::open(Ways { limits, ..Ways::default() }).await;
    let mut running = start_slow(&house).await;
    let second = tokio::time::timeout(Duration::from_millis(200), house.get("/-/healthy")).await;
    assert!(second.is_err(), "the only slot is taken");
    house.slow.go_on.notify_one();
    assert_eq!(Answer::read(&mut running).await.status, 200);
    assert_eq!(house.get("/-/healthy").await.status, 200);
}

#[tokio::test]
async fn a_head_that_never_ends_is_given_up() {
    let limits = Limits { head: Duration::from_millis(100), ..Limits::default() };
    let house = House::open(Ways { limits, ..Ways::default() }).await;
    for start in ["", "GET /metrics HTTP/1.1\r\nHost: local"] {
        let mut stream = TcpStream::connect(house.address).await.unwrap();
        stream.write_all(start.as_bytes()).await.unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(5), Answer::read(&mut stream)).await;
        let answer = ended.expect("the connection is closed");
        assert!(answer.status == 0 || answer.status == StatusCode::REQUEST_TIMEOUT, "{answer:?}");
    }
}

#[tokio::test]
async fn a_connection_that_idles_between_requests_is_closed_without_a_word() {
    let limits = Limits { head: Duration::from_millis(100), ..Limits::default() };
    let house = House::open(Ways { limits, ..Ways::default() }).await;
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    let host = house.address;
    let request = format!("GET /-/healthy HTTP/1.1\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let answer = Answer::read(&mut stream).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "Homeostat is Healthy.\n"));
}

/// What a peer that does not read leaves of a large answer.
async fn unread(patience: Duration) -> bool {
    let large = "x".repeat(64 << 20);
    let large = Router::new().route("/large", get(move || async move { large }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let limits = Limits { connections: 1, answer: patience, ..Limits::default() };
    let (doors, plain) = (vec![listener.into()], Arc::new(Listening::plain()));
    tokio::spawn(server::serve(doors, plain, large, limits, std::future::pending()));
    let mut deaf = TcpStream::connect(address).await.unwrap();
    deaf.write_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    deaf.readable().await.unwrap();
    // It has the only slot.
    let mut next = TcpStream::connect(address).await.unwrap();
    next.write_all(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let answered = tokio::time::timeout(Duration::from_secs(3), next.readable()).await;
    drop(deaf);
    answered.is_err()
}

#[tokio::test]
async fn a_peer_that_does_not_read_its_answer_is_given_up() {
    assert!(!unread(Duration::from_millis(100)).await, "the slot is free again");
    assert!(unread(Duration::from_mins(1)).await, "it is the bound that frees it");
}
