//! Proxies: one for HTTP that hands on whole requests and opens tunnels, and one for SOCKS.

use super::*;

/// What was asked of a proxy.
type Log = Arc<Mutex<Vec<String>>>;

/// A proxy that knows the way to one server, whatever host it is asked for.
struct Proxy {
    address: String,
    log: Log,
}

impl Proxy {
    fn start(serve: fn(TcpStream, &str, &Log), target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (log, target) = (Log::default(), target.to_owned());
        let seen = log.clone();
        // It ends with the test.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (target, log) = (target.clone(), seen.clone());
                thread::spawn(move || serve(stream, &target, &log));
            }
        });
        Self { address, log }
    }

    fn client(&self, base: &str, scheme: &str, options: ClientOptions) -> Client {
        let url = format!("{scheme}://anna:geheim@{}", self.address);
        let proxy = Some(ProxyOptions { url, except: Some("127.0.0.2,.direct".into()) });
        Client::new(base, ClientOptions { proxy, single_use: true, ..options }).unwrap()
    }

    fn log(&self) -> Vec<String> {
        self.log.lock().clone()
    }
}

/// Carries bytes in both directions until one of them ends.
fn join(one: &TcpStream, other: &TcpStream) {
    let (mut from, mut to) = (one.try_clone().unwrap(), other.try_clone().unwrap());
    let back = thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
    let (mut from, mut to) = (other.try_clone().unwrap(), one.try_clone().unwrap());
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(std::net::Shutdown::Both);
    back.join().unwrap();
}

/// Serves one connection as a proxy for HTTP does.
fn http(mut stream: TcpStream, target: &str, log: &Log) {
    let Some(request) = read_request(&mut stream) else { return };
    let line = request.head.lines().next().unwrap().to_owned();
    let known = request.header("proxy-authorization").unwrap_or("-");
    log.lock().push(format!("{line} {known}"));
    let Ok(mut upstream) = TcpStream::connect(target) else { return };
    if line.starts_with("CONNECT ") {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    } else {
        let url = Url::parse(line.split(' ').nth(1).unwrap()).unwrap();
        let head = request.head.replace(&format!("http://{}", url.authority()), "");
        write!(upstream, "{head}\r\n\r\n{}", request.body).unwrap();
    }
    join(&stream, &upstream);
}

fn read(mut stream: &TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

fn read_text(stream: &TcpStream) -> String {
    let length = read(stream, 1)[0];
    String::from_utf8(read(stream, length.into())).unwrap()
}

/// Serves one connection as RFC 1928 and RFC 1929 say.
fn socks(mut stream: TcpStream, target: &str, log: &Log) {
    let ways = read(&stream, 2)[1];
    assert!(read(&stream, ways.into()).contains(&2), "a name and a password are offered");
    stream.write_all(&[5, 2]).unwrap();
    assert_eq!(read(&stream, 1), [1]);
    let (name, password) = (read_text(&stream), read_text(&stream));
    stream.write_all(&[1, 0]).unwrap();
    assert_eq!(read(&stream, 4), [5, 1, 0, 3], "a connection to a host by its name");
    let host = read_text(&stream);
    read(&stream, 2);
    log.lock().push(format!("{host} {name} {password}"));
    let upstream = TcpStream::connect(target).unwrap();
    stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
    join(&stream, &upstream);
}

fn address(server: &Server) -> &str {
    server.url.trim_start_matches("http://")
}

#[tokio::test]
async fn a_proxy_hands_on_requests_to_hosts_that_only_it_knows() {
    let server = Server::start(|_| ok("yes"));
    let proxy = Proxy::start(http, address(&server));
    let client = proxy.client("http://prometheus.invalid:9090/p", "http", ClientOptions::default());
    assert_eq!(&*client.get("/q", &[("a", "b")]).await.unwrap().body, b"yes");
    client.post_form("/q", &[("a", "b")]).await.unwrap();
    assert_eq!(
        proxy.log(),
        [
            "GET http://prometheus.invalid:9090/p/q?a=b HTTP/1.1 Basic YW5uYTpnZWhlaW0=",
            "POST http://prometheus.invalid:9090/p/q HTTP/1.1 Basic YW5uYTpnZWhlaW0="
        ]
    );
    let [_, form] = server.received().try_into().unwrap();
    assert_eq!((&*form.body, form.header("host")), ("a=b", Some("prometheus.invalid:9090")));
}

#[tokio::test]
async fn what_is_excepted_goes_past_the_proxy() {
    let server = Server::start(|_| ok("yes"));
    let proxy = Proxy::start(http, "127.0.0.1:1");
    let proxy_url = format!("http://{}", proxy.address);
    let options = |except: &str| ClientOptions {
        proxy: Some(ProxyOptions { url: proxy_url.clone(), except: Some(except.into()) }),
        ..ClientOptions::default()
    };
    let client = Client::new(&server.url, options("elsewhere, 127.0.0.0/8")).unwrap();
    assert_eq!(&*client.get("/q", &[]).await.unwrap().body, b"yes");
    assert!(proxy.log().is_empty());
    let client = Client::new(&server.url, options("elsewhere, 127.0.1.0/24")).unwrap();
    assert!(client.get("/q", &[]).await.is_err(), "this proxy knows no way");
    assert_eq!(proxy.log().len(), 1);
}

#[tokio::test]
async fn a_proxy_by_socks_is_given_the_name_of_the_host() {
    let server = Server::start(|_| ok("yes"));
    let proxy = Proxy::start(socks, address(&server));
    let client = proxy.client("http://prometheus.invalid", "socks5", ClientOptions::default());
    assert_eq!(&*client.get("/q", &[]).await.unwrap().body, b"yes");
    assert_eq!(proxy.log(), ["prometheus.invalid anna geheim"]);
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_said_without_its_password() {
    let nobody = crate::demo::stack::free_address().unwrap();
    let url = format!("http://anna:geheim@{nobody}");
    let proxy = Some(ProxyOptions { url, except: None });
    let options = ClientOptions { proxy, ..ClientOptions::default() };
    assert!(!format!("{options:?}").contains("geheim"));
    let client = Client::new("http://prometheus.invalid", options).unwrap();
    let error = client.get("/", &[]).await.unwrap_err().line();
    assert!(error.contains("Connection refused") && !error.contains("geheim"), "{error}");
}

#[tokio::test]
async fn a_tunnel_carries_tls_to_the_server_and_not_to_the_proxy() {
    let directory = tempfile::tempdir().unwrap();
    let (url, ca) = tls_server(directory.path());
    let proxy = Proxy::start(http, url.trim_start_matches("https://"));
    let tls = TlsOptions { ca_file: Some(ca), ..TlsOptions::default() };
    let options = ClientOptions { tls, ..ClientOptions::default() };
    let client = proxy.client("https://prometheus.invalid", "http", options);
    assert_eq!(&*client.get("/secret", &[]).await.unwrap().body, b"hello");
    assert_eq!(proxy.log(), ["CONNECT prometheus.invalid:443 HTTP/1.1 Basic YW5uYTpnZWhlaW0="]);
}

/// A server of TLS for `prometheus.invalid`, and the certificate of who vouches for it.
fn tls_server(directory: &Path) -> (String, std::path::PathBuf) {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["prometheus.invalid".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let ca = directory.join("ca.pem");
    std::fs::write(&ca, certificate.pem()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let config = Arc::new(config);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut session = rustls::ServerConnection::new(config.clone()).unwrap();
            let mut stream = stream;
            let mut stream = rustls::Stream::new(&mut session, &mut stream);
            let mut buffer = [0; 4096];
            if stream.read(&mut buffer).is_ok_and(|count| count > 0) {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
            }
        }
    });
    (url, ca)
}
