use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use super::*;

mod proxy;
mod token;

/// What a test server was sent.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// Request line and headers.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

/// What it answers.
pub(crate) enum Canned {
    /// Status, headers with CRLF each, body.
    Answer(u16, &'static str, Vec<u8>),
    /// These very bytes, and then the end of the connection.
    Raw(&'static str),
    /// Nothing, until the server ends.
    Silence,
}

/// A server that answers as a test wants, one request a connection.
pub(crate) struct Server {
    pub(crate) url: String,
    received: Arc<Mutex<Vec<Received>>>,
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(answer: impl Fn(&Received) -> Canned + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::<Mutex<Vec<Received>>>::default();
        let stop = Arc::<AtomicBool>::default();
        let (stopped, seen) = (stop.clone(), received.clone());
        let thread = thread::spawn(move || {
            let mut silent = Vec::new();
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let mut stream = stream.unwrap();
                let Some(request) = read_request(&mut stream) else { continue };
                seen.lock().push(request.clone());
                match answer(&request) {
                    Canned::Silence => silent.push(stream),
                    Canned::Raw(text) => stream.write_all(text.as_bytes()).unwrap(),
                    Canned::Answer(status, headers, body) => {
                        let length = body.len();
                        // A client that hangs up early is its own business.
                        let _ = write!(
                            stream,
                            "HTTP/1.1 {status} X\r\nConnection: close\r\n{headers}\
                             Content-Length: {length}\r\n\r\n"
                        );
                        let _ = stream.write_all(&body);
                    }
                }
            }
        });
        Self { url, received, stop, thread: Some(thread) }
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().clone()
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.url, ClientOptions::default()).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
        self.thread.take().unwrap().join().unwrap();
    }
}

fn read_request(stream: &mut TcpStream) -> Option<Received> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let received = Received { head: head.to_owned(), body: body.to_owned() };
            let length = received.header("content-length").map_or(0, |n| n.parse().unwrap());
            if body.len() >= length {
                return Some(received);
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}

pub(crate) fn ok(body: &str) -> Canned {
    Canned::Answer(200, "", body.as_bytes().to_vec())
}

/// Looks until a condition holds; a look must not block for long.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !condition().await {
        assert!(began.elapsed() < Duration::from_secs(30), "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn what_is_no_http_url_is_refused_at_once() {
    for url in ["", "localhost:9093", "ftp://x", "http://", "unix:/run/x", "http://[::1"] {
        let error = Client::new(url, ClientOptions::default()).unwrap_err();
        assert!(error.to_string().contains("is not an http or https URL"), "{error}");
    }
}

#[tokio::test]
async fn paths_are_added_to_the_base_and_credentials_are_not_shown() {
    let server = Server::start(|_| ok("yes"));
    let base = server.url.replace("http://", "http://anna:secret@") + "/prefix/";
    let client = Client::new(&base, ClientOptions::default()).unwrap();
    assert!(!client.server().contains("secret") && !format!("{client:?}").contains("secret"));
    let reply = client.get("/api/v2/x", &[("a", "b c"), ("d[]", "é&")]).await.unwrap();
    assert_eq!((reply.status, &*reply.body), (StatusCode::OK, &b"yes"[..]));
    client.post_form("/q", &[("query", "a + b == \"é\""), ("t", "1")]).await.unwrap();
    client.post_json("/j", b"[]".to_vec()).await.unwrap();
    let [get, form, json] = server.received().try_into().unwrap();
    assert!(get.head.starts_with("GET /prefix/api/v2/x?a=b+c&d%5B%5D=%C3%A9%26 "), "{get:?}");
    assert_eq!(get.header("authorization"), Some("Basic YW5uYTpzZWNyZXQ="));
    assert_eq!(form.body, "query=a+%2B+b+%3D%3D+%22%C3%A9%22&t=1");
    assert_eq!(form.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert!(form.head.starts_with("POST /prefix/q "), "{form:?}");
    assert_eq!((&*json.body, json.header("content-type")), ("[]", Some("application/json")));
}

#[tokio::test]
async fn credentials_in_files_are_read_for_each_request() {
    let server = Server::start(|_| ok(""));
    let file = tempfile::NamedTempFile::new().unwrap();
    let secret = Secret::File(file.path().to_owned());
    let bearer = ClientOptions {
        authorization: Some(Authorization { scheme: "Bearer".into(), credentials: secret.clone() }),
        ..ClientOptions::default()
    };
    let basic = ClientOptions {
        basic_auth: Some(BasicAuth { username: "u".into(), password: Some(secret) }),
        ..ClientOptions::default()
    };
    let bearer = Client::new(&server.url, bearer).unwrap();
    let basic = Client::new(&server.url, basic).unwrap();
    for token in ["one\n", " two "] {
        std::fs::write(file.path(), token).unwrap();
        bearer.get("/", &[]).await.unwrap();
        basic.get("/", &[]).await.unwrap();
    }
    let sent = server.received();
    let sent: Vec<_> = sent.iter().filter_map(|request| request.header("authorization")).collect();
    assert_eq!(sent, ["Bearer one", "Basic dTpvbmU=", "Bearer two", "Basic dTp0d28="]);
    std::fs::write(file.path(), "a\nb").unwrap();
    let error = bearer.get("/", &[]).await.unwrap_err().line();
    assert!(error.contains("the credentials do not fit into a header"), "{error}");
    drop(file);
    let error = bearer.get("/", &[]).await.unwrap_err().line();
    assert!(error.starts_with("reading /") && error.contains("No such file"), "{error}");
}

#[tokio::test]
async fn a_redirect_is_an_error_and_not_followed() {
    let server = Server::start(|_| Canned::Answer(302, "Location: /elsewhere\r\n", Vec::new()));
    let client = server.client();
    for reply in [client.get("/x", &[]).await, client.post_json("/x", b"[]".to_vec()).await] {
        let error = reply.unwrap_err().line();
        assert!(error.ends_with("redirects to /elsewhere: configure that URL if it is right"));
    }
    assert_eq!(server.received().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_given_up() {
    let server = Server::start(|_| Canned::Silence);
    let error = server.client().get("/x", &[]).await.unwrap_err().line();
    assert_eq!(error, format!("{} did not answer within 5 s", server.url));
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let server = Server::start(|_| Canned::Answer(200, "", vec![b'x'; ANSWER_BYTES + 1]));
    let error = server.client().get("/x", &[]).await.unwrap_err();
    assert!(matches!(error, ClientError::TooLong { .. }), "{error}");
}

#[tokio::test]
async fn nobody_there_is_said_with_its_cause() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = Client::new(&url, ClientOptions::default()).unwrap();
    let error = client.get("/x", &[]).await.unwrap_err().line();
    assert!(error.starts_with(&format!("{url} could not be reached: ")), "{error}");
    assert!(error.contains("Connection refused"), "{error}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_an_error_and_never_a_shorter_answer() {
    for (kind, text) in [
        ("length", "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{\"data\":[]}"),
        ("chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n14\r\n{\"data\":[]}"),
        ("end", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n{\"data\":[]}\r\n"),
    ] {
        let server = Server::start(move |_| Canned::Raw(text));
        let error = server.client().get("/x", &[]).await.unwrap_err().line();
        let begin = format!("the answer of {} broke off: ", server.url);
        assert!(error.starts_with(&begin), "{kind}: {error}");
    }
    // The same bytes with an end are an answer.
    let whole =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n{\"data\":[]}\r\n0\r\n\r\n";
    let server = Server::start(move |_| Canned::Raw(whole));
    assert_eq!(&*server.client().get("/x", &[]).await.unwrap().body, b"{\"data\":[]}");
}

#[tokio::test]
async fn headers_and_parameters_go_with_every_question() {
    let server = Server::start(|_| ok(""));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "from a file\n").unwrap();
    let org = ExtraHeader {
        name: "X-Scope-OrgID".into(),
        values: vec!["a".into(), "b".into()],
        secrets: Vec::new(),
    };
    let key = ExtraHeader {
        name: "X-Key".into(),
        values: Vec::new(),
        secrets: vec![Secret::Text("s".into()), Secret::File(file.path().to_owned())],
    };
    let params = vec![("tenant".to_owned(), "a b".to_owned()), ("tenant".into(), "c".into())];
    let options = ClientOptions { headers: vec![org, key], params, ..Default::default() };
    let client = Client::new(&server.url, options).unwrap();
    assert!(!format!("{client:?}").contains("X-Key"));
    client.get("/g", &[("q", "1")]).await.unwrap();
    client.post_form("/f", &[("q", "1")]).await.unwrap();
    client.post_json("/j", b"[]".to_vec()).await.unwrap();
    let received = server.received();
    let lines: Vec<&str> = received.iter().filter_map(|sent| sent.head.lines().next()).collect();
    assert_eq!(
        lines,
        [
            "GET /g?q=1&tenant=a+b&tenant=c HTTP/1.1",
            "POST /f?tenant=a+b&tenant=c HTTP/1.1",
            "POST /j?tenant=a+b&tenant=c HTTP/1.1"
        ]
    );
    for sent in &received {
        let values = |name: &str| -> Vec<&str> {
            let lines = sent.head.lines().filter_map(|line| line.split_once(": "));
            lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, v)| v).collect()
        };
        assert_eq!(values("x-scope-orgid"), ["a", "b"]);
        assert_eq!(values("x-key"), ["s", "from a file"]);
    }
    std::fs::write(file.path(), "two\nlines").unwrap();
    let error = client.get("/g", &[]).await.unwrap_err().line();
    assert!(error.contains("the header X-Key cannot carry its value"), "{error}");
}

/// What a server was asked, as method and path.
fn asked(server: &Server) -> Vec<String> {
    let received = server.received();
    let line = |sent: &Received| sent.head.split(" HTTP").next().unwrap().to_owned();
    received.iter().map(line).collect()
}

#[tokio::test]
async fn a_post_that_is_refused_is_asked_again_by_get() {
    for status in [403, 405, 501] {
        let server = Server::start(move |request| {
            let posted = request.head.starts_with("POST");
            if posted { Canned::Answer(status, "", b"no".to_vec()) } else { ok("yes") }
        });
        let client = server.client();
        for _ in 0..2 {
            let reply = client.form_or_query("/q", &[("query", "a b")]).await.unwrap();
            assert_eq!(&*reply.body, b"yes");
        }
        assert_eq!(asked(&server), ["POST /q", "GET /q?query=a+b", "GET /q?query=a+b"]);
        *client.post_refused.lock() = tokio::time::Instant::now().checked_sub(form::REMEMBERED);
        client.form_or_query("/q", &[]).await.unwrap();
        assert_eq!(asked(&server)[3..], ["POST /q", "GET /q"], "a while later");
    }
}

#[tokio::test]
async fn who_may_not_ask_at_all_is_not_taken_for_a_server_that_wants_get() {
    let server = Server::start(|request| {
        let posted = request.head.starts_with("POST");
        let (status, text) = if posted { (403, "not you") } else { (405, "use POST") };
        Canned::Answer(status, "", text.as_bytes().to_vec())
    });
    let client = server.client();
    for _ in 0..2 {
        let reply = client.form_or_query("/q", &[]).await.unwrap();
        assert_eq!((reply.status.as_u16(), &*reply.body), (403, &b"not you"[..]));
    }
    assert_eq!(asked(&server), ["POST /q", "GET /q", "POST /q", "GET /q"]);
}

#[tokio::test]
async fn other_refusals_of_a_post_are_answers() {
    for status in [400, 401, 404, 422, 503] {
        let server = Server::start(move |_| Canned::Answer(status, "", Vec::new()));
        let reply = server.client().form_or_query("/q", &[]).await.unwrap();
        assert_eq!(reply.status.as_u16(), status);
        assert_eq!(asked(&server), ["POST /q"]);
    }
}

#[tokio::test]
async fn a_server_that_takes_a_post_again_is_asked_by_post_again() {
    let gets = Arc::<AtomicBool>::new(true.into());
    let knob = gets.clone();
    let server = Server::start(move |request| {
        let taken = request.head.starts_with("GET") == knob.load(Ordering::Relaxed);
        if taken { ok("yes") } else { Canned::Answer(405, "", Vec::new()) }
    });
    let client = server.client();
    client.form_or_query("/q", &[]).await.unwrap();
    gets.store(false, Ordering::Relaxed);
    for _ in 0..2 {
        let reply = client.form_or_query("/q", &[]).await.unwrap();
        assert_eq!(reply.status, StatusCode::OK);
    }
    assert_eq!(asked(&server), ["POST /q", "GET /q", "GET /q", "POST /q", "POST /q"]);
}

#[tokio::test]
async fn all_waits_for_all_and_keeps_the_order() {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let first = async { receiver.await.unwrap() };
    let second = async {
        sender.send(1).unwrap();
        2
    };
    let both: [std::pin::Pin<Box<dyn Future<Output = i32>>>; 2] =
        [Box::pin(first), Box::pin(second)];
    assert_eq!(all(both).await, [1, 2]);
    assert!(all(Vec::<std::future::Ready<()>>::new()).await.is_empty());
}

mod tls {
    use std::path::Path;
    use std::process::Command;

    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

    use super::*;
    use crate::demo::stack::{Binary, Process, find, free_address};

    /// An authority, and certificates of its making, as files.
    struct Authority {
        issuer: Issuer<'static, KeyPair>,
    }

    impl Authority {
        fn new(directory: &Path, name: &str) -> Self {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let certificate = params.self_signed(&key).unwrap();
            std::fs::write(directory.join(format!("{name}.pem")), certificate.pem()).unwrap();
            Self { issuer: Issuer::new(params, key) }
        }

        fn sign(&self, directory: &Path, name: &str, host: &str) {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
            let certificate = params.signed_by(&key, &self.issuer).unwrap();
            std::fs::write(directory.join(format!("{name}.pem")), certificate.pem()).unwrap();
            std::fs::write(directory.join(format!("{name}.key")), key.serialize_pem()).unwrap();
        }
    }

    fn web_config(directory: &Path) -> String {
        let path = |name: &str| directory.join(name).display().to_string();
        format!(
            "tls_server_config:\n  cert_file: {}\n  key_file: {}\n  client_ca_file: {}\n  \
             client_auth_type: RequireAndVerifyClientCert\n",
            path("server.pem"),
            path("server.key"),
            path("ca.pem"),
        )
    }

    /// An Alertmanager that asks for our certificate and shows its own, for another name than the
    /// address that it listens on.
    #[tokio::test]
    async fn certificates_are_checked_both_ways_and_read_again_when_they_change() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let authority = Authority::new(directory.path(), "ca");
        authority.sign(directory.path(), "server", "alerts.example");
        authority.sign(directory.path(), "client", "homeostat.example");
        std::fs::write(path("web.yml"), web_config(directory.path())).unwrap();
        std::fs::write(path("am.yml"), "route: {receiver: x}\nreceivers: [{name: x}]\n").unwrap();
        let address = free_address().unwrap();
        let mut command = Command::new(find(Binary::Alertmanager).unwrap());
        command.arg(format!("--config.file={}", path("am.yml").display()));
        command.arg(format!("--web.config.file={}", path("web.yml").display()));
        command.arg(format!("--storage.path={}", path("data").display()));
        command.arg(format!("--web.listen-address={address}"));
        command.arg("--cluster.listen-address=");
        let mut process = Process::spawn("alertmanager", &mut command, directory.path()).unwrap();

        let right = TlsOptions {
            ca_file: Some(path("ca.pem")),
            cert_file: Some(path("client.pem")),
            key_file: Some(path("client.key")),
            server_name: Some("alerts.example".into()),
            insecure_skip_verify: false,
        };
        let url = format!("https://{address}");
        let client = |tls: &TlsOptions| {
            let options = ClientOptions { tls: tls.clone(), ..ClientOptions::default() };
            Client::new(&url, options).unwrap()
        };
        let known = client(&right);
        eventually("the right certificates are accepted", async || {
            process.must_run().unwrap();
            known.get("/api/v2/status", &[]).await.is_ok_and(|reply| reply.status.is_success())
        })
        .await;

        let refused = async |tls: &TlsOptions, why: &str| {
            let error = client(tls).get("/api/v2/status", &[]).await.unwrap_err().line();
            assert!(error.contains(why), "{error}");
        };
        refused(&TlsOptions { server_name: None, ..right.clone() }, "not valid for name").await;
        refused(&TlsOptions { ca_file: None, ..right.clone() }, "certificate").await;
        let nobody = TlsOptions { cert_file: None, key_file: None, ..right.clone() };
        refused(&nobody, "could not be reached").await;
        let odd = TlsOptions { server_name: Some("127.0.0.1".into()), ..right.clone() };
        refused(&odd, "is not a host name").await;
        let blind = TlsOptions {
            ca_file: None,
            server_name: None,
            insecure_skip_verify: true,
            ..right.clone()
        };
        assert!(client(&blind).get("/api/v2/status", &[]).await.is_ok());

        // Another authority is put in place of the first, as a rotation would; the same client
        // notices, and notices again when it is put back.
        let before = std::fs::read(path("ca.pem")).unwrap();
        Authority::new(directory.path(), "ca");
        let stranger = std::fs::read(path("ca.pem")).unwrap();
        std::fs::write(path("ca.pem"), [&stranger[..], b"\n"].concat()).unwrap();
        assert!(known.get("/api/v2/status", &[]).await.is_err());
        std::fs::write(path("ca.pem"), before).unwrap();
        assert!(known.get("/api/v2/status", &[]).await.is_ok());
        std::fs::remove_file(path("client.key")).unwrap();
        let error = known.get("/api/v2/status", &[]).await.unwrap_err().line();
        assert!(error.contains("client.key"), "{error}");
    }
}
