//! What is answered before the router is what the router would have answered.

use super::access::{access, bearer};
use super::*;
use homeostat_core::name::SourceName;

/// Knows one source, and one notification of it.
#[derive(Default)]
struct Known;

impl Repeats for Known {
    fn source(&self, path: &str) -> Option<SourceName> {
        ["/hooks", "/hooks/main"].contains(&path).then(|| SourceName::new("main"))
    }

    fn take(&self, source: &SourceName, body: &[u8]) -> bool {
        source.as_str() == "main" && body == b"known"
    }
}

/// Two houses that differ in nothing but the wicket: the first has one.
async fn houses(ways: impl Fn() -> Ways) -> [House; 2] {
    let repeats: Option<Arc<dyn Repeats>> = Some(Arc::new(Known));
    [House::open(Ways { repeats, ..ways() }).await, House::open(ways()).await]
}

/// What an answer says, but for when, and for what the router's handler says of itself.
fn said(answer: &Answer) -> (u16, Vec<&str>) {
    let mut lines: Vec<&str> = answer.head.lines().skip(1).collect();
    let own = |line: &str| {
        let of_a_body = line.starts_with("content-length:") || line.starts_with("content-type:");
        line.starts_with("date:") || (answer.status == 200 && of_a_body)
    };
    lines.retain(|line| !own(line));
    lines.sort_unstable();
    (answer.status, lines)
}

/// By whom a request was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Wicket,
    Router,
}

use By::{Router as ByRouter, Wicket as ByWicket};

fn by(answer: &Answer) -> By {
    if answer.status == 200 && answer.body.is_empty() { ByWicket } else { ByRouter }
}

/// Asks both, and returns by whom the first was answered, and with what status.
async fn ask(houses: &[House; 2], request: (&str, &str, &[&str], &str)) -> (By, u16) {
    let (method, path, headers, body) = request;
    let [first, second] = houses;
    let first = first.ask(method, path, headers, body).await;
    let second = second.ask(method, path, headers, body).await;
    assert_eq!(said(&first), said(&second), "{request:?}");
    assert_eq!(by(&second), ByRouter, "{request:?}");
    let told = by(&first);
    assert!(told == ByWicket || first.body == second.body, "{request:?}: {first:?}");
    (told, first.status)
}

#[tokio::test]
async fn only_what_is_known_whole_is_answered_before_the_router_and_like_there() {
    let houses = houses(Ways::default).await;
    for (method, path, headers, body, expected) in [
        ("POST", "/hooks", &[][..], "known", (ByWicket, 200)),
        ("POST", "/hooks?x=y", &[], "known", (ByWicket, 200)),
        ("POST", "/hooks/main", &["Content-Type: text/plain"], "known", (ByWicket, 200)),
        ("POST", "/hooks", &[], "news", (ByRouter, 200)),
        ("POST", "/hooks", &[], "", (ByRouter, 200)),
        ("POST", "/hooks/other", &[], "known", (ByRouter, 200)),
        ("PUT", "/hooks", &[], "known", (ByRouter, 200)),
        ("POST", "/api/v2/alerts", &[], "known", (ByRouter, 200)),
        ("GET", "/hooks", &[], "known", (ByRouter, 405)),
        ("POST", "/nothing", &[], "known", (ByRouter, 404)),
        ("POST", "/hooks", &["Origin: https://evil.example"], "known", (ByRouter, 403)),
        ("POST", "/hooks", &["Host: evil.example"], "known", (ByRouter, 403)),
    ] {
        assert_eq!(
            ask(&houses, (method, path, headers, body)).await,
            expected,
            "{path} {headers:?}"
        );
    }
}

#[tokio::test]
async fn who_may_not_send_is_refused_whatever_is_known() {
    let tokens = ["sender", "elsewhere", "viewer"];
    let grants = "  - { who: [\"token:sender\"], may: [send] }\n  \
                  - { who: [\"token:elsewhere\"], may: [send], sources: [api] }\n  \
                  - { who: [\"token:viewer\"], may: [view] }\n";
    let ways = || Ways { access: Some(access(&tokens, grants)), ..Ways::default() };
    let houses = houses(ways).await;
    for (name, expected) in
        [("sender", (ByWicket, 200)), ("viewer", (ByRouter, 403)), ("wrong", (ByRouter, 401))]
    {
        let shown = bearer(name);
        let asked = ask(&houses, ("POST", "/hooks", &[&shown], "known")).await;
        assert_eq!(asked, expected, "{name}");
    }
    assert_eq!(ask(&houses, ("POST", "/hooks", &[], "known")).await, (ByRouter, 401));
    // What a source is, the stand-in for intake does not ask; the wicket does.
    let shown = bearer("elsewhere");
    let answer = houses[0].ask("POST", "/hooks", &[&shown], "known").await;
    assert_eq!(by(&answer), ByRouter);
}

#[tokio::test]
async fn below_a_prefix_it_is_the_same() {
    let houses = houses(|| Ways { prefix: "/heal", ..Ways::default() }).await;
    for (path, expected) in [
        ("/heal/hooks", (ByWicket, 200)),
        ("/heal/hooks/main", (ByWicket, 200)),
        ("/heal/hooks/other", (ByRouter, 200)),
        ("/hooks", (ByRouter, 404)),
        ("/healthy/hooks", (ByRouter, 404)),
    ] {
        assert_eq!(ask(&houses, ("POST", path, &[], "known")).await, expected, "{path}");
    }
}

#[tokio::test]
async fn a_request_counts_once_and_carries_the_same_headers_by_either_way() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.yml");
    let text = "rate_limit: { interval: 1h, burst: 3 }\n\
                http_server_config: { headers: { X-Frame-Options: sameorigin } }\n";
    std::fs::write(&path, text).unwrap();
    let ways =
        || Ways { listening: Some(Arc::new(Listening::open(&path).unwrap())), ..Ways::default() };
    let houses = houses(ways).await;
    for (body, expected) in
        [("known", (ByWicket, 200)), ("news", (ByRouter, 200)), ("known", (ByWicket, 200))]
    {
        assert_eq!(ask(&houses, ("POST", "/hooks", &[], body)).await, expected);
    }
    assert_eq!(ask(&houses, ("POST", "/hooks", &[], "known")).await, (ByRouter, 503));
}

#[tokio::test]
async fn what_comes_in_pieces_reaches_the_router_whole() {
    let houses = houses(Ways::default).await;
    let address = houses[0].address;
    let host = format!("POST /hooks HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (head, pieces) in [
        ("Content-Length: 5\r\n\r\n", &["new", "s!"][..]),
        ("Content-Length: 5\r\n\r\nnew", &["s!"]),
        ("Transfer-Encoding: chunked\r\n\r\n", &["5\r\nknown\r\n", "0\r\n\r\n"]),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nknown\r\n", &["0\r\n\r\n"]),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nknown\r\n0\r\n\r\n", &[]),
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream.write_all(format!("{host}{head}").as_bytes()).await.unwrap();
        for piece in pieces {
            // Mostly it does not come with what was sent before then; what is answered does not hang on it.
            tokio::time::sleep(Duration::from_millis(20)).await;
            stream.write_all(piece.as_bytes()).await.unwrap();
        }
        let answer = Answer::read(&mut stream).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "taken 5"), "{head:?}");
    }
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("{host}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut first = [0; 25];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"news!").await.unwrap();
    assert_eq!(Answer::read(&mut stream).await.body, "taken 5");
}
