//! TLS, certificates, passwords and sockets, with curl and openssl at the other end.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use tokio::process::Command as Program;

use super::*;
use crate::web::server::Door;
use crate::web::socket::Socket;

/// An authority, and certificates of its making, as files of a directory.
struct Authority {
    directory: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(directory: &Path, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, format!("authority {name}"));
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(directory.join(format!("{name}.pem")), certificate.pem()).unwrap();
        Self { directory: directory.to_owned(), issuer: Issuer::new(params, key) }
    }

    fn sign(&self, name: &str, host: &str) {
        self.sign_until(name, host, 2100);
    }

    fn sign_until(&self, name: &str, host: &str, year: i32) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 1, 1);
        params.distinguished_name.push(DnType::CommonName, host);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let file = |ending: &str| self.directory.join(format!("{name}.{ending}"));
        std::fs::write(file("key"), key.serialize_pem()).unwrap();
        std::fs::write(file("pem"), certificate.pem()).unwrap();
    }
}

/// A directory with an authority `ca`, another one `other`, and a certificate `server`.
fn directory() -> (tempfile::TempDir, Authority, Authority) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let directory = tempfile::tempdir().unwrap();
    let ca = Authority::new(directory.path(), "ca");
    let other = Authority::new(directory.path(), "other");
    ca.sign("server", "localhost");
    (directory, ca, other)
}

const SERVER: &str = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n";

/// A house behind a web configuration, in a directory with certificates.
struct Secure {
    house: House,
    directory: PathBuf,
    listening: Arc<Listening>,
}

async fn secure(directory: &Path, config: &str) -> Secure {
    secure_with(directory, config, Ways::default()).await
}

async fn secure_with(directory: &Path, config: &str, ways: Ways) -> Secure {
    let path = directory.join("web.yml");
    std::fs::write(&path, config).unwrap();
    let listening = Listening::open(&path).unwrap_or_else(|error| panic!("{error}"));
    let listening = Arc::new(listening);
    let house = House::open(Ways { listening: Some(listening.clone()), ..ways }).await;
    Secure { house, directory: directory.to_owned(), listening }
}

impl Secure {
    /// What curl prints, and its exit code.
    async fn curl(&self, path: &str, arguments: &[&str]) -> (i32, String) {
        let port = self.house.address.port();
        let resolve = format!("localhost:{port}:127.0.0.1");
        let url = format!("https://localhost:{port}{path}");
        let output = Program::new("curl")
            .args(["-sS", "--max-time", "20", "--resolve", &resolve])
            .args(arguments)
            .arg(&url)
            .current_dir(&self.directory)
            .output();
        let output = output.await.expect("curl is installed");
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Who curl is here, with these arguments; or the exit code.
    async fn whoami(&self, arguments: &[&str]) -> Result<String, i32> {
        let all = [&["--cacert", "ca.pem"], arguments].concat();
        match self.curl("/api/v1/whoami", &all).await {
            (0, body) => {
                let json: Value = serde_json::from_str(&body).unwrap();
                Ok(json["identity"].as_str().or(json["error"].as_str()).unwrap().to_owned())
            }
            (code, _) => Err(code),
        }
    }

    /// Whether openssl completes a handshake with these arguments.
    async fn handshake(&self, arguments: &[&str]) -> Result<String, String> {
        let port = self.house.address.port();
        let output = Program::new("openssl")
            .args([
                "s_client",
                "-connect",
                &format!("127.0.0.1:{port}"),
                "-servername",
                "localhost",
            ])
            .args(["-CAfile", "ca.pem", "-verify_return_error", "-ign_eof"])
            .args(arguments)
            .current_dir(&self.directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = output.expect("openssl is installed");
        let mut stdin = child.stdin.take().unwrap();
        let host = format!("localhost:{port}");
        let request =
            format!("GET /-/healthy HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        // It may be gone already.
        let _ = stdin.write_all(request.as_bytes()).await;
        let output = child.wait_with_output().await.unwrap();
        drop(stdin);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if text.contains("Homeostat is Healthy.") {
            Ok(text)
        } else {
            Err(text + &String::from_utf8_lossy(&output.stderr))
        }
    }
}

/// Arguments of curl by which it shows a certificate.
fn showing(name: &str) -> [String; 4] {
    ["--cert".into(), format!("{name}.pem"), "--key".into(), format!("{name}.key")]
}

async fn as_whom(secure: &Secure, name: &str) -> Result<String, i32> {
    let shown = showing(name);
    secure.whoami(&shown.each_ref().map(String::as_str)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_speaks_both_versions_of_http_over_tls_and_trusts_by_the_authority() {
    let (directory, ..) = directory();
    let secure = secure(directory.path(), SERVER).await;
    let version = ["-o", "out", "-w", "%{http_version}"];
    for (arguments, expected) in [(&[][..], "2"), (&["--http1.1"], "1.1"), (&["--http2"], "2")] {
        let all = [&["--cacert", "ca.pem"], &version[..], arguments].concat();
        assert_eq!(secure.curl("/-/healthy", &all).await, (0, expected.to_owned()));
    }
    assert_eq!(secure.curl("/-/healthy", &[]).await.0, 60, "nobody vouches for the server");
    assert_eq!(secure.curl("/-/healthy", &["--cacert", "other.pem"]).await.0, 60);
    let plain = format!("http://127.0.0.1:{}/-/healthy", secure.house.address.port());
    let answer = Program::new("curl").args(["-sS", &plain]).output().await.unwrap();
    assert!(!answer.status.success(), "it is served over TLS only");
    let large = secure.curl("/metrics", &["--cacert", "ca.pem"]).await.1;
    assert!(large.contains("homeostat_build_info"));
    let posted = ["--cacert", "ca.pem", "-X", "POST", "-d", "{}"];
    assert_eq!(secure.curl("/hooks", &posted).await, (0, "taken 2".into()));
    let foreign = ["--cacert", "ca.pem", "-H", "Origin: https://evil.example", "-d", "{}"];
    assert!(secure.curl("/hooks", &foreign).await.1.contains("another origin"));
    std::fs::write(directory.path().join("long"), "x".repeat(60_000)).unwrap();
    let long = [&foreign[..4], &["--data-binary", "@long"]].concat();
    for _ in 0..20 {
        let (code, answer) = secure.curl("/hooks", &long).await;
        assert!(code == 0 && answer.contains("another origin"), "curl: {code} {answer}");
    }
    let rebound = ["--cacert", "ca.pem", "-H", "Host: evil.example"];
    assert!(secure.curl("/metrics", &rebound).await.1.contains("this Host is not known"));
    let without = secure_with(
        directory.path(),
        &format!("{SERVER}http_server_config: {{ http2: false }}\n"),
        Ways::default(),
    )
    .await;
    let all = [&["--cacert", "ca.pem"], &version[..]].concat();
    assert_eq!(without.curl("/-/healthy", &all).await, (0, "1.1".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_vouched_for_is_an_identity_and_no_other_comes_in() {
    let (directory, ca, other) = directory();
    ca.sign("am", "am.example");
    ca.sign("grafana", "grafana.example");
    ca.sign_until("expired", "am.example", 2001);
    other.sign("stranger", "am.example");
    let mtls = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n";
    let all = secure(directory.path(), &format!("{SERVER}{mtls}")).await;
    assert_eq!(as_whom(&all, "am").await, Ok("cert:am.example".into()));
    assert_eq!(as_whom(&all, "grafana").await, Ok("cert:grafana.example".into()));
    for name in ["expired", "stranger"] {
        assert!(as_whom(&all, name).await.is_err(), "{name}");
    }
    assert!(all.whoami(&[]).await.is_err(), "one must be shown");
    let narrow = format!("{SERVER}{mtls}  client_allowed_sans: [am.example, 10.0.0.9]\n");
    let narrow = secure(directory.path(), &narrow).await;
    assert_eq!(as_whom(&narrow, "am").await, Ok("cert:am.example".into()));
    assert!(as_whom(&narrow, "grafana").await.is_err(), "its name is not allowed");
    let optional = mtls.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven");
    let optional = secure(directory.path(), &format!("{SERVER}{optional}")).await;
    assert_eq!(as_whom(&optional, "am").await, Ok("cert:am.example".into()));
    let nobody = "nobody knows who you are: this needs credentials";
    assert_eq!(optional.whoami(&[]).await, Ok(nobody.into()));
    assert!(as_whom(&optional, "stranger").await.is_err());
    for (kind, without) in [("RequestClientCert", true), ("RequireAnyClientCert", false)] {
        let any = format!("{SERVER}  client_auth_type: {kind}\n");
        let any = secure(directory.path(), &any).await;
        let who = as_whom(&any, "stranger").await;
        assert_eq!(who, Ok("anonymous".into()), "{kind}: nobody vouches for it");
        assert_eq!(any.whoami(&[]).await.is_ok(), without, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_all_show_certificates_and_there_are_users_both_are_needed() {
    let (directory, ca, _) = directory();
    ca.sign("am", "am.example");
    let hash = bcrypt::hash("secret", 4).unwrap();
    let users = format!("basic_auth_users: {{ ann: \"{hash}\" }}\n");
    let mtls = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n";
    let nobody = "nobody knows who you are: this needs credentials".to_owned();
    let both = secure(directory.path(), &format!("{SERVER}{mtls}{users}")).await;
    assert_eq!(as_whom(&both, "am").await, Ok(nobody));
    let shown = showing("am");
    let shown = shown.each_ref().map(String::as_str);
    let ann = [&shown[..], &["-u", "ann:secret"]].concat();
    assert_eq!(both.whoami(&ann).await, Ok("user:ann".into()));
    let either = mtls.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven");
    let either = secure(directory.path(), &format!("{SERVER}{either}{users}")).await;
    assert_eq!(as_whom(&either, "am").await, Ok("cert:am.example".into()));
    assert_eq!(either.whoami(&["-u", "ann:secret"]).await, Ok("user:ann".into()));
    let wrong = "these credentials are wrong".to_owned();
    let wrong_one = [&shown[..], &["-u", "ann:wrong"]].concat();
    assert_eq!(either.whoami(&wrong_one).await, Ok(wrong.clone()), "what is shown must be right");
    assert_eq!(either.whoami(&["-u", "bob:secret"]).await, Ok(wrong));
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_suites_and_curves_are_those_that_are_named() {
    let (directory, ..) = directory();
    for (lines, good, bad) in [
        ("", &["-tls1_2"][..], &["-tls1_1"][..]),
        ("  min_version: TLS13\n", &["-tls1_3"], &["-tls1_2"]),
        ("  max_version: TLS12\n", &["-tls1_2"], &["-tls1_3"]),
        (
            "  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]\n",
            &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"],
            &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"],
        ),
        ("  curve_preferences: [CurveP384]\n", &["-groups", "P-384"], &["-groups", "X25519:P-256"]),
    ] {
        let secure = secure(directory.path(), &format!("{SERVER}{lines}")).await;
        let met = secure.handshake(good).await;
        assert!(met.is_ok(), "{lines}{good:?}: {met:?}");
        assert!(secure.handshake(bad).await.is_err(), "{lines}{bad:?}");
    }
}

/// Waits until curl gets another answer than this one.
async fn until_other<T: PartialEq, F: Future<Output = T>>(than: T, ask: impl Fn() -> F) -> T {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let now = ask().await;
        if now != than {
            return now;
        }
        assert!(tokio::time::Instant::now() < deadline, "nothing changed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_and_users_are_renewed_while_it_runs_and_a_bad_file_changes_nothing() {
    let (directory, ca, other) = directory();
    ca.sign("am", "am.example");
    let mtls = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: clients.pem\n";
    let at = |name: &str| directory.path().join(name);
    std::fs::copy(at("ca.pem"), at("clients.pem")).unwrap();
    let secure = secure(directory.path(), &format!("{SERVER}{mtls}")).await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = told.clone();
    tokio::spawn(secure.listening.clone().follow(
        |_| Ok(()),
        move |good| {
            tell.lock().push(good);
            async {}
        },
    ));
    assert_eq!(as_whom(&secure, "am").await, Ok("cert:am.example".into()));
    // A key that is not that of the certificate, as it is for a moment while both are replaced.
    other.sign("server", "localhost");
    ca.sign("spare", "localhost");
    std::fs::copy(at("spare.key"), at("server.key")).unwrap();
    until_other(Vec::new(), || async { told.lock().clone() }).await;
    assert_eq!(*told.lock(), [false]);
    assert_eq!(as_whom(&secure, "am").await, Ok("cert:am.example".into()), "the old ones serve");
    std::fs::copy(at("spare.pem"), at("server.pem")).unwrap();
    until_other(vec![false], || async { told.lock().clone() }).await;
    assert_eq!(*told.lock(), [false, true]);
    // Who was vouched for is no longer.
    std::fs::copy(at("other.pem"), at("clients.pem")).unwrap();
    let refused = until_other(Ok("cert:am.example".into()), || as_whom(&secure, "am")).await;
    assert!(refused.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_are_added_and_what_is_too_much_is_refused() {
    let (directory, ..) = directory();
    let secure = secure(
        directory.path(),
        &format!(
            "{SERVER}http_server_config:
  headers:
    X-Frame-Options: sameorigin
    Strict-Transport-Security: max-age=31536000
    Content-Security-Policy: \"default-src 'self'\"
rate_limit: {{ interval: 1h, burst: 3 }}
"
        ),
    )
    .await;
    let all = ["--cacert", "ca.pem", "-D", "-", "-o", "out"];
    let (_, head) = secure.curl("/api/v1/status", &all).await;
    for line in [
        "x-frame-options: sameorigin",
        "strict-transport-security: max-age=31536000",
        "content-security-policy: default-src 'none'; frame-ancestors 'none'",
        "content-security-policy: default-src 'self'",
    ] {
        assert!(head.contains(line), "{line} is missing in {head}");
    }
    for _ in 0..2 {
        assert!(secure.curl("/-/healthy", &all).await.1.contains(" 200"));
    }
    let posted = [&all[..], &["-X", "POST", "-d", "{}"]].concat();
    let (_, sent) = secure.curl("/hooks", &posted).await;
    assert!(sent.contains(" 503"), "Alertmanager sends it again: {sent}");
    let (_, read) = secure.curl("/metrics", &all).await;
    assert!(read.contains(" 429"), "{read}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_by_a_socket_is_known_by_the_user() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("homeostat.sock");
    let (_keep, token) = token();
    let door = Door::Unix(Socket::bind(&path).unwrap());
    let ways = Ways { token: Some(token), doors: vec![door], ..Ways::default() };
    let _house = House::open(ways).await;
    let asked = Program::new("curl")
        .args(["-sS", "--unix-socket", path.to_str().unwrap(), "http://x/api/v1/whoami"])
        .output();
    let known: Value = serde_json::from_slice(&asked.await.unwrap().stdout).unwrap();
    let me = rustix::process::geteuid().as_raw();
    assert_eq!(known["identity"], format!("local:{}", crate::web::socket::user_name(me)));
    assert_eq!((&known["way"], &known["address"]), (&json!("socket"), &json!("unix")));
}
