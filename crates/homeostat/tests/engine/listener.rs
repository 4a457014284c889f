//! The listener with the real peers: what promtool takes of a web configuration, and Prometheus and
//! Alertmanager that come by certificate, by password and by token.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use homeostat::demo::stack::{self, Binary, Process, Sandbox, find};
use homeostat::web::listening::Served;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use reqwest::Client;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::support::{Engine, until};

/// The hash of `secret`, by bcrypt with cost 4.
const HASH: &str = "$2y$04$cDOV4OiDtLXgDqGkJr.wK.ZTkTVVO8TYOWLzQuL6I4Ct/fcl9cf4G";

fn certificates(directory: &Path) {
    drop(stack::client());
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "authority");
    let authority = params.self_signed(&key).unwrap();
    std::fs::write(directory.join("ca.pem"), authority.pem()).unwrap();
    let issuer = Issuer::new(params, key);
    for (name, host) in [
        ("server", "localhost"),
        ("alertmanager", "alertmanager.example"),
        ("prometheus", "prometheus.example"),
        ("other", "localhost"),
    ] {
        let key = KeyPair::generate().unwrap();
        let names = vec![host.to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &issuer).unwrap();
        std::fs::write(directory.join(format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(directory.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
    std::fs::write(directory.join("no.pem"), "nothing\n").unwrap();
}

/// What both think of a file.
enum Verdict {
    /// Both take it.
    Good,
    /// Both refuse it.
    Bad,
    /// Prometheus takes it, and we do not.
    Stricter,
    /// The Prometheus of the distribution may be too old to know it; we take it.
    New,
    /// As before, and we do not.
    NewAndBad,
}

/// Lines that begin each `tls_server_config`.
const TLS: &str = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n";

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn what_promtool_refuses_is_refused() {
    use Verdict::{Bad, Good, New, NewAndBad, Stricter};
    let sandbox = Sandbox::new().unwrap();
    certificates(sandbox.path());
    let tls = |lines: &str| format!("{TLS}{lines}");
    let mtls = "  client_ca_file: ca.pem\n  client_auth_type: ";
    let inline = |key: &str| {
        let pem = |name: &str| std::fs::read_to_string(sandbox.path().join(name)).unwrap();
        let indented = |text: String| text.replace('\n', "\n    ");
        format!(
            "tls_server_config:\n  cert: |\n    {}\n  key: |\n    {}\n",
            indented(pem("server.pem")),
            indented(pem(key))
        )
    };
    let users = |hash: &str| format!("basic_auth_users:\n  ann: {hash}\n");
    let headers = |line: &str| format!("http_server_config:\n  headers:\n    {line}\n");
    let table: Vec<(String, Verdict)> = vec![
        (String::new(), Good),
        (TLS.into(), Good),
        ("basic_auth_users:\n".into(), Good),
        (users(HASH), Good),
        (users(&HASH.replace("2y", "2a")), Good),
        (tls(&users(HASH)), Good),
        (users("secret"), Bad),
        (users("\"\""), Bad),
        (users(&HASH[..40]), Bad),
        (users(&HASH.replace("$04$", "$99$")), Bad),
        ("junk".into(), Bad),
        ("- a\n".into(), Bad),
        ("tls_server_config: [a]\n".into(), Bad),
        ("tls_config: {}\n".into(), Bad),
        ("basic_auth_users: { ann: a, ann: b }\n".into(), Bad),
        (tls("  cret_file: x\n"), Bad),
        ("tls_server_config:\n  cert_file: server.pem\n".into(), Bad),
        ("tls_server_config:\n  key_file: server.key\n".into(), Bad),
        ("tls_server_config:\n  cert_file: \"\"\n  key_file: server.key\n".into(), Bad),
        ("tls_server_config:\n  cert_file: \"\"\n  key_file: \"\"\n".into(), Good),
        ("tls_server_config:\n  cert_file: none.pem\n  key_file: server.key\n".into(), Bad),
        ("tls_server_config:\n  cert_file: no.pem\n  key_file: server.key\n".into(), Bad),
        ("tls_server_config:\n  cert_file: server.pem\n  key_file: no.pem\n".into(), Bad),
        ("tls_server_config:\n  cert_file: server.pem\n  key_file: other.key\n".into(), Bad),
        (tls(&format!("{mtls}RequireAndVerifyClientCert\n")), Good),
        (tls(&format!("{mtls}VerifyClientCertIfGiven\n")), Good),
        (tls(&format!("{mtls}RequireAnyClientCert\n")), Good),
        (tls(&format!("{mtls}RequireClientCert\n")), Good),
        (tls(&format!("{mtls}RequestClientCert\n")), Good),
        (tls(&format!("{mtls}NoClientCert\n")), Bad),
        (tls(&format!("{mtls}requireandverifyclientcert\n")), Bad),
        (tls("  client_ca_file: ca.pem\n"), Bad),
        (tls("  client_ca_file: none.pem\n  client_auth_type: RequestClientCert\n"), Bad),
        (tls("  client_auth_type: RequestClientCert\n"), Good),
        (tls("  client_auth_type: RequireAndVerifyClientCert\n"), Stricter),
        (
            tls("  client_ca_file: no.pem\n  client_auth_type: RequireAndVerifyClientCert\n"),
            Stricter,
        ),
        (tls(&format!("{mtls}RequireAndVerifyClientCert\n  client_allowed_sans: [a]\n")), New),
        (tls("  client_allowed_sans: [a]\n"), NewAndBad),
        (tls("  min_version: TLS12\n  max_version: TLS13\n"), Good),
        (tls("  min_version: TLS13\n"), Good),
        (tls("  min_version: TLS13\n  max_version: TLS12\n"), Stricter),
        (tls("  min_version: TLS10\n"), Stricter),
        (tls("  min_version: TLS111\n"), Bad),
        (tls("  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384]\n"), Good),
        (tls("  cipher_suites: [TLS_AES_128_GCM_SHA256]\n"), Good),
        (tls("  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]\n"), Stricter),
        (tls("  cipher_suites: [TLS_INVENTED]\n"), Bad),
        (tls("  prefer_server_cipher_suites: false\n"), Good),
        (tls("  prefer_server_cipher_suites: perhaps\n"), Bad),
        (tls("  curve_preferences: [CurveP256, CurveP384, X25519]\n"), Good),
        (tls("  curve_preferences: [CurveP521]\n"), Stricter),
        (tls("  curve_preferences: [CurveInvented]\n"), Bad),
        (inline("server.key"), New),
        (inline("other.key"), NewAndBad),
        ("http_server_config: { http2: false }\n".into(), Good),
        ("http_server_config: { http2: perhaps }\n".into(), Bad),
        ("http_server_config: { http3: true }\n".into(), Bad),
        (headers("X-Frame-Options: deny"), Good),
        (headers("X-Frame-Options: none"), Bad),
        (headers("X-Content-Type-Options: nosniff"), Good),
        (headers("X-Content-Type-Options: sniff"), Bad),
        (headers("Strict-Transport-Security: max-age=31536000"), Good),
        (headers("Content-Security-Policy: \"default-src 'self'\""), Good),
        (headers("X-XSS-Protection: \"1\""), Good),
        (headers("Server: me"), Bad),
        (headers("x-frame-options: deny"), Bad),
        ("rate_limit: { interval: 1s, burst: 10 }\n".into(), New),
        ("rate_limit: { interval: 0s, burst: 10 }\n".into(), New),
        ("rate_limit: { interval: soon, burst: 10 }\n".into(), NewAndBad),
        ("rate_limit: { interval: 1s }\n".into(), NewAndBad),
    ];
    for (text, verdict) in table {
        let path = sandbox.path().join("web.yml");
        std::fs::write(&path, &text).unwrap();
        let promtool = Command::new("promtool").args(["check", "web-config"]).arg(&path).output();
        let theirs = promtool.expect("promtool comes with Prometheus");
        let said = String::from_utf8_lossy(&theirs.stderr).into_owned();
        let theirs = theirs.status.success();
        let ours = Served::read(&path).map_err(|error| error.to_string());
        let expected = match verdict {
            Good => (Some(true), true),
            Bad => (Some(false), false),
            Stricter => (Some(true), false),
            New => (None, true),
            NewAndBad => (None, false),
        };
        let told = format!("{text}\npromtool: {said}\nours: {:?}", ours.as_ref().err());
        assert!(expected.0.is_none_or(|expected| theirs == expected), "promtool: {told}");
        assert_eq!(ours.is_ok(), expected.1, "ours: {told}");
    }
}

/// A client that trusts the authority, and shows a token.
fn client(directory: &Path, token: &str) -> Client {
    drop(stack::client());
    let ca = std::fs::read(directory.join("ca.pem")).unwrap();
    let mut headers = reqwest::header::HeaderMap::new();
    headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
    Client::builder()
        .no_proxy()
        .tls_certs_only([reqwest::Certificate::from_pem(&ca).unwrap()])
        .default_headers(headers)
        .build()
        .unwrap()
}

/// The ways in which a peer says who it is, and the lines of each in its `http_config`.
fn ways(directory: &Path, name: &str) -> [(&'static str, String); 3] {
    let at = |file: String| directory.join(file).display().to_string();
    let ca = format!("ca_file: {}, server_name: localhost", at("ca.pem".into()));
    let [certificate, key] = ["pem", "key"].map(|ending| at(format!("{name}.{ending}")));
    let shown = format!("cert_file: {certificate}, key_file: {key}");
    let password = format!("basic_auth: {{ username: {name}, password: secret }}");
    [
        ("certificate", format!("tls_config: {{ {ca}, {shown} }}")),
        ("password", format!("{password}, tls_config: {{ {ca} }}")),
        ("token", format!("authorization: {{ credentials: {name} }}, tls_config: {{ {ca} }}")),
    ]
}

/// Starts an Alertmanager that tells of an alert in the way that its label says.
fn alertmanager(directory: &Path, engine: &Engine, address: SocketAddr) -> Process {
    let ways = ways(directory, "alertmanager");
    let routes = ways
        .each_ref()
        .map(|(way, _)| format!("  - {{ matchers: ['way=\"{way}\"'], receiver: {way} }}\n"));
    let receivers = ways.each_ref().map(|(way, lines)| {
        let url = engine.url("/hooks");
        format!(
            "- name: {way}\n  webhook_configs: [{{ url: \"{url}\", http_config: {{ {lines} }} }}]\n"
        )
    });
    let config = format!(
        "route:\n  receiver: token\n  group_wait: 0s\n  group_by: [alertname]\n  routes:\n{}\
         receivers:\n{}",
        routes.concat(),
        receivers.concat()
    );
    let at = |name: &str| directory.join(name).display().to_string();
    std::fs::write(at("alertmanager.yml"), config).unwrap();
    let mut command = Command::new(find(Binary::Alertmanager).unwrap());
    command.args([
        format!("--config.file={}", at("alertmanager.yml")),
        format!("--web.listen-address={address}"),
        format!("--storage.path={}", at("am")),
        "--cluster.listen-address=".into(),
    ]);
    Process::spawn("alertmanager", &mut command, directory).unwrap()
}

/// Starts a Prometheus that scrapes the engine, and tells it of an alert about that, in one way.
fn prometheus(directory: &Path, engine: &Engine, way: &str, lines: &str) -> Process {
    let at = directory.join(format!("prometheus-{way}"));
    let target = engine.address;
    std::fs::create_dir(&at).unwrap();
    // Beside the targets, in lines of their own.
    let lines = lines.replacen(", tls_config", "\n  tls_config", 1);
    let config = format!(
        "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}
rule_files: [rules.yml]
alerting:
  alertmanagers:
  - static_configs: [{{ targets: [\"{target}\"] }}]
    scheme: https
    {}
scrape_configs:
- job_name: homeostat
  scheme: https
  static_configs: [{{ targets: [\"{target}\"] }}]
  {lines}
",
        lines.replace("\n  ", "\n    "),
    );
    std::fs::write(at.join("prometheus.yml"), config).unwrap();
    let rule = format!(
        "groups: [{{ name: g, rules: [{{ alert: Scraped_by_{way}, expr: homeostat_build_info }}] }}]\n"
    );
    std::fs::write(at.join("rules.yml"), rule).unwrap();
    let mut command = Command::new(find(Binary::Prometheus).unwrap());
    command.args([
        format!("--config.file={}", at.join("prometheus.yml").display()),
        format!("--web.listen-address={}", stack::free_address().unwrap()),
        format!("--storage.tsdb.path={}", at.join("tsdb").display()),
    ]);
    Process::spawn("prometheus", &mut command, &at).unwrap()
}

/// Each peer in each way is somebody of its own, who may do no more than it needs.
fn who_may_what() -> String {
    let token = |name: &str| {
        let digest: Vec<String> =
            Sha256::digest(name).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("    - {{ name: {name}, sha256: {} }}\n", digest.concat())
    };
    format!(
        "access:
  tokens:
{}{}  grants:
    - {{ who: [\"cert:prometheus.example\", \"user:prometheus\", \"token:prometheus\"], may: [view] }}
    - who: [\"cert:prometheus.example\", \"user:prometheus\", \"token:prometheus\"]
      may: [send]
      sources: [api]
    - who: [\"cert:alertmanager.example\", \"user:alertmanager\", \"token:alertmanager\"]
      may: [send]
      sources: [alertmanager]
    - {{ who: [\"token:admin\"], may: [view] }}
policies:
  - {{ name: all, matchers: [], mode: shadow, remedies: [] }}
",
        token("alertmanager"),
        token("prometheus")
    )
}

#[tokio::test]
async fn prometheus_and_alertmanager_come_by_certificate_password_and_token() {
    let sandbox = Sandbox::new().unwrap();
    certificates(sandbox.path());
    let at = |name: &str| sandbox.path().join(name).display().to_string();
    std::fs::write(at("token"), "t0ken\n").unwrap();
    let web = format!(
        "{TLS}  client_ca_file: ca.pem
  client_auth_type: VerifyClientCertIfGiven
basic_auth_users: {{ alertmanager: {HASH}, prometheus: {HASH} }}
"
    );
    std::fs::write(at("web.yml"), web).unwrap();
    let web_file = format!("--web.config.file={}", at("web.yml"));
    let token_file = format!("--web.bearer-token-file={}", at("token"));
    let arguments = [&*web_file, &token_file];
    let engine = Engine::start_secure(&sandbox, &who_may_what(), &arguments, |directory| {
        client(directory, "t0ken")
    })
    .await;
    let address = stack::free_address().unwrap();
    let mut running = vec![alertmanager(sandbox.path(), &engine, address)];
    let ways = ways(sandbox.path(), "prometheus");
    running.extend(ways.iter().map(|(way, lines)| prometheus(sandbox.path(), &engine, way, lines)));
    let post = format!("http://{address}/api/v2/alerts");
    let fired = ways.each_ref().map(|(way, _)| {
        serde_json::json!({ "labels": { "alertname": format!("Told_by_{way}"), "way": way } })
    });
    until("an Alertmanager", || async {
        let answer = stack::client().post(&post).json(&fired).send().await.ok()?;
        answer.status().is_success().then_some(())
    })
    .await;
    for (way, _) in &ways {
        for alertname in [format!("Told_by_{way}"), format!("Scraped_by_{way}")] {
            until(&alertname, || async {
                let incidents = engine.incidents().await;
                let of =
                    |incident: &Value| incident["alerts"][0]["labels"]["alertname"] == *alertname;
                incidents.iter().any(of).then_some(())
            })
            .await;
        }
    }
    drop(running);
}

#[tokio::test]
async fn one_file_lets_amtool_send_an_alert_and_the_command_line_see_it() {
    let sandbox = Sandbox::new().unwrap();
    certificates(sandbox.path());
    let at = |name: &str| sandbox.path().join(name).display().to_string();
    std::fs::write(at("token"), "t0ken\n").unwrap();
    let mtls = "  client_ca_file: ca.pem\n  client_auth_type: VerifyClientCertIfGiven\n";
    std::fs::write(at("web.yml"), format!("{TLS}{mtls}")).unwrap();
    let web_file = format!("--web.config.file={}", at("web.yml"));
    let token_file = format!("--web.bearer-token-file={}", at("token"));
    let arguments = [&*web_file, &token_file];
    let engine = Engine::start_secure(&sandbox, &who_may_what(), &arguments, |directory| {
        client(directory, "t0ken")
    })
    .await;
    let http = format!(
        "tls_config:\n  ca_file: {}\n  cert_file: {}\n  key_file: {}\n",
        at("ca.pem"),
        at("prometheus.pem"),
        at("prometheus.key")
    );
    std::fs::write(at("http.yml"), http).unwrap();
    let file = format!("--http.config.file={}", at("http.yml"));
    let url = format!("--alertmanager.url={}", engine.url(""));
    let amtool = Command::new("amtool")
        .env("HOME", sandbox.path())
        .args([&*file, &url, "alert", "add", "alertname=ByAmtool"])
        .output();
    let amtool = amtool.expect("amtool comes with Alertmanager");
    assert!(amtool.status.success(), "{amtool:?}");
    let run = |arguments: &[&str]| {
        let program = env!("CARGO_BIN_EXE_homeostat");
        let url = format!("--url={}", engine.url(""));
        let output = Command::new(program).args(arguments).args([&file, &url]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let who = run(&["whoami"]);
    assert!(who.contains("identity cert:prometheus.example"), "{who}");
    let incidents = run(&["incidents", "--output", "json"]);
    assert!(incidents.contains("ByAmtool"), "{incidents}");
    let explained = run(&["explain", "alertname=ByAmtool"]);
    assert!(explained.contains("all"), "{explained}");
}

#[test]
fn what_is_wrong_with_a_file_that_the_web_configuration_names_is_told_at_its_place() {
    let sandbox = Sandbox::new().unwrap();
    certificates(sandbox.path());
    let path = sandbox.path().join("web.yml");
    let named = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let checked = Command::new(env!("CARGO_BIN_EXE_homeostat"))
            .args(["serve", "--web.config.file"])
            .arg(&path)
            .current_dir(sandbox.path())
            .output()
            .unwrap();
        assert_eq!(checked.status.code(), Some(1), "{checked:?}");
        String::from_utf8(checked.stderr).unwrap()
    };
    let mtls = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ";
    for (text, place, message) in [
        (TLS.replace("server.pem", "none.pem"), "2:14", "none.pem: No such file or directory"),
        (TLS.replace("server.key", "none.key"), "3:13", "none.key: No such file or directory"),
        (TLS.replace("server.pem", "no.pem"), "2:14", "no.pem holds no certificate in PEM"),
        (TLS.replace("server.key", "no.pem"), "3:13", "no.pem holds no key in PEM"),
        (format!("{TLS}{mtls}none.pem\n"), "5:19", "none.pem: No such file or directory"),
    ] {
        let told = named(&text);
        let place = format!("--> {}:{place}\n", path.display());
        assert!(told.contains(&place) && told.contains(message), "{text}: {told}");
    }
}

#[tokio::test]
async fn a_socket_serves_the_command_line_by_the_users_name() {
    let sandbox = Sandbox::new().unwrap();
    let socket = sandbox.path().join("homeostat.sock");
    let listen = format!("--web.listen-address=unix:{}", socket.display());
    let engine = Engine::start(&sandbox, "", &[&listen]).await;
    let url = format!("unix:{}", socket.display());
    let run = |arguments: &[&str]| {
        let program = env!("CARGO_BIN_EXE_homeostat");
        let output = Command::new(program).args(arguments).args(["--url", &url]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let who = run(&["whoami"]);
    assert!(who.contains("identity local:") && who.contains("socket, from unix"), "{who}");
    run(&["pause", "--reason", "by socket", "--by", "the pope"]);
    let paused = engine.json("/api/v1/status").await["paused"]["by"].clone();
    let paused = paused.as_str().unwrap();
    assert!(paused.starts_with("local:") && paused.ends_with("(as \"the pope\")"), "{paused}");
    drop(engine);
}
