use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread::JoinHandle;

use homeostat_core::name::IncidentId;
use serde_json::{Value, json};

use super::*;
use crate::web::api::view::IncidentView;
use crate::web::api::{fixture, fold};

/// Runs a command line; gives the exit, what was printed, and what was complained about.
fn run_line(arguments: &[&str]) -> (Exit, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let args = std::iter::once("homeostat").chain(arguments.iter().copied()).map(OsString::from);
    let streams = Streams { out: &mut out, err: &mut err };
    let exit = run(args, streams);
    (exit, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

/// A server that gives one answer; the handle gives the request that it got.
fn server(status: &str, body: &str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut buffer = [0; 4096];
        while !is_whole(&request) {
            let read = stream.read(&mut buffer).unwrap();
            request.extend_from_slice(&buffer[..read]);
        }
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8(request).unwrap()
    });
    (url, asked)
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().ok())?
    });
    body.len() >= length.unwrap_or(0)
}

fn body(request: &str) -> Value {
    serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap()
}

fn healed() -> IncidentView {
    fold(IncidentId(1), &fixture::healed_by_the_second().facts).unwrap()
}

fn held() -> IncidentView {
    fold(IncidentId(1), &fixture::held().facts).unwrap()
}

fn printed(print: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> String {
    let mut out = Vec::new();
    print(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_version_is_said_as_in_the_ecosystem() {
    let (exit, out, _) = run_line(&["--version"]);
    assert_eq!(exit, Exit::Fine);
    let first = out.lines().next().unwrap();
    assert!(first.starts_with(&format!("homeostat, version {VERSION} (branch: ")), "{first}");
    assert!(first.contains(", revision: ") && first.ends_with(')'), "{first}");
}

#[test]
fn wrong_usage_is_exit_2_and_help_is_fine() {
    for line in [
        vec![],
        vec!["frobnicate"],
        vec!["serve", "--web.max-body", "huge"],
        vec!["serve", "--web.listen-address", "here"],
        vec!["serve", "--log.format", "xml"],
        vec!["serve", "--web.external-url", "homeostat.example"],
        vec!["fire"],
        vec!["fire", "no-pair"],
        vec!["pause"],
        vec!["approve"],
        vec!["incidents", "1", "--state", "closed"],
        vec!["explain", "--config.file", "h.yml", "--url", "http://127.0.0.1:9", "a=b"],
        vec!["explain", "--token-file", "token", "a=b"],
    ] {
        let (exit, out, err) = run_line(&line);
        assert_eq!((exit, out.as_str()), (Exit::Cannot, ""), "{line:?}");
        assert!(!err.is_empty(), "{line:?}");
    }
    for line in [vec!["--help"], vec!["help", "fire"]] {
        let (exit, out, err) = run_line(&line);
        assert_eq!((exit, out.is_empty(), err.as_str()), (Exit::Fine, false, ""), "{line:?}");
    }
}

#[test]
fn each_help_teaches_with_an_example() {
    for command in [
        "serve",
        "fire",
        "status",
        "alerts",
        "policies",
        "reload",
        "incidents",
        "approve",
        "approvals",
        "reject",
        "cancel",
        "retry",
        "revoke",
        "pause",
        "resume",
        "healthy",
        "schema",
        "completions",
    ] {
        let (_, out, _) = run_line(&[command, "--help"]);
        assert!(out.contains(&format!("Example:\n  homeostat {command}")), "{out}");
    }
}

#[test]
fn the_help_lists_what_there_is() {
    insta::assert_snapshot!(run_line(&["-h"]).1, @r#"
    A self-healing engine for the Prometheus stack

    Usage: homeostat <COMMAND>

    Commands:
      serve        Run the engine
      check        Validate a configuration
      explain      Show what would be done about an alert
      match        Tell whether matchers match labels
      migrate      Translate another program's configuration
      test         Run unit tests of policies
      fire         Send a test alert
      status       Show how an engine stands, and who is needed
      incidents    List incidents, or tell one
      approve      Let the remedy start that waits for approval
      approvals    List standing approvals: runs that start without a question
      reject       Do not let the remedy start that waits for approval
      cancel       Stop healing an incident
      retry        Try an incident again that was given up
      revoke       Revoke a standing approval: a person is asked again
      pause        Let no remedy start until `resume`
      resume       Let remedies start again
      alerts       List what fires, by policy
      policies     List the policies in force
      reload       Have an engine read its configuration again
      audit        List what people did, or verify the journal that tells it
      whoami       Show who you are to an engine, and what you may do
      healthy      Ask a server whether it is healthy
      rbac         Print what the engine needs to be allowed in Kubernetes
      schema       Print the JSON Schema of a configuration, or of policy tests
      completions  Print what a shell needs to complete this command line
      demo         Watch the whole loop on this machine, in about a minute
      help         Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help (see more with '--help')
      -V, --version  Print version

    Start with `homeostat serve`: without a configuration it takes every alert in
    and only says what it saw.
    "#);
}

#[test]
fn each_shell_gets_completions_of_what_is_shown() {
    for shell in ["bash", "zsh", "fish"] {
        let (exit, out, err) = run_line(&["completions", shell]);
        assert_eq!((exit, err.as_str()), (Exit::Fine, ""));
        assert!(out.contains("storage.path") && out.contains("whoami"), "{shell}: {out}");
    }
    let (exit, _, err) = run_line(&["completions", "command.com"]);
    assert!(exit == Exit::Cannot && err.contains("possible values"), "{err}");
}

#[test]
fn each_command_that_is_shown_has_a_page_in_the_manual() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().to_str().unwrap();
    let (exit, out, err) = run_line(&["man", place]);
    assert_eq!((exit, out.as_str(), err.as_str()), (Exit::Fine, "", ""));
    let page = |name: &str| std::fs::read_to_string(directory.path().join(name));
    assert!(page("homeostat.1").unwrap().contains("homeostat\\-serve(1)"));
    assert!(page("homeostat-serve.1").unwrap().contains("storage.retention"));
    assert!(page("homeostat-man.1").is_err() && page("homeostat-help.1").is_err());
    let (exit, _, err) = run_line(&["man", "/no/such/place"]);
    assert!(exit == Exit::Cannot && err.contains("cannot write into /no/such/place"), "{err}");
}

#[test]
fn healthy_is_what_the_server_says() {
    let ask = |status, body, more: &[&str]| {
        let (url, asked) = server(status, body);
        let answer = run_line(&[&["healthy", "--url", url.as_str()], more].concat());
        (answer.0, answer.1, asked.join().unwrap())
    };
    let (exit, out, request) = ask("200 OK", "Homeostat is Healthy.", &[]);
    assert_eq!((exit, out.as_str()), (Exit::Fine, "Homeostat is Healthy.\n"));
    assert!(request.starts_with("GET /-/healthy "), "{request}");
    let no = "503 Service Unavailable";
    let (exit, out, request) = ask(no, "Homeostat is not ready: it stops.", &["--ready"]);
    assert_eq!((exit, out.as_str()), (Exit::No, "Homeostat is not ready: it stops.\n"));
    assert!(request.starts_with("GET /-/ready "), "{request}");
    assert_eq!(ask("404 Not Found", "no such page", &[]).0, Exit::Cannot);
    let (exit, _, err) = run_line(&["healthy", "--url", "http://127.0.0.1:1"]);
    assert!(exit == Exit::Cannot && err.contains("cannot reach"), "{err}");
}

#[test]
fn the_help_of_fire_shows_how() {
    insta::assert_snapshot!(run_line(&["fire", "-h"]).1, @r#"
    Send a test alert

    Usage: homeostat fire [OPTIONS] <NAME=VALUE>...

    Arguments:
      <NAME=VALUE>...  The alert's labels

    Options:
          --annotation <NAME=VALUE>
              An annotation; may be given more than once
          --resolve
              Say that the alert is over
          --url <URL>
              The server: a URL, or `unix:` and the path of a socket
          --token-file <FILE>
              Show the token in this file; without it, in that of
              `HOMEOSTAT_TOKEN_FILE`
          --username <NAME>
              Sign in as this user, with the password in --password-file
          --password-file <FILE>
              The file that holds the password
          --ca-file <FILE>
              The certificates (PEM) of those who may vouch for the server; else
              those of the system
          --cert-file <FILE>
              Show this certificate (PEM)
          --key-file <FILE>
              The key (PEM) of --cert-file
          --http.config.file <FILE>
              How to talk to the server: a file as that of promtool and amtool,
              instead of the flags above
      -h, --help
              Print help (see more with '--help')

    Example:
      homeostat fire alertname=ServiceDown job=web instance=a:80 \
          --annotation summary='a does not answer'
      homeostat fire alertname=ServiceDown job=web instance=a:80 --resolve
    "#);
}

fn serve_options(arguments: &[&str]) -> String {
    let args = ["homeostat", "serve"].into_iter().chain(arguments.iter().copied());
    match CommandLine::try_parse_from(args).unwrap().command {
        Command::Serve(options) => format!("{options:?}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn serve_needs_nothing_and_takes_the_flags_of_the_ecosystem() {
    let out = serve_options(&[]);
    for part in
        ["config_files: []", "./data", "[127.0.0.1:9999]", "Size(33554432)", "Info", "Logfmt"]
    {
        assert!(out.contains(part), "{part} is missing in {out}");
    }
    let out = serve_options(&[
        "--config.file=h.yml",
        "--web.listen-address=:1",
        "--web.listen-address=[::1]:2",
        "--web.allowed-host=heal.example",
        "--web.max-body=1MiB",
        "--log.level=debug",
        "--log.format=json",
        "--web.allow-anonymous",
    ]);
    for part in ["0.0.0.0:1", "[::1]:2", "heal.example", "1048576", "Debug", "Json"] {
        assert!(out.contains(part), "{part} is missing in {out}");
    }
}

#[test]
fn below_the_table_stands_what_remedies_in_shadow_would_have_been_worth() {
    let score =
        json!({ "judged": 12, "needless": 9, "needed": 3, "since": "2026-01-05T09:00:00Z" });
    let policies = |shadow| {
        let remedies = json!([{ "name": "restart", "shadow": shadow }, { "name": "reboot" }]);
        let policies = json!({ "policies": [{ "name": "web-down", "remedies": remedies }] });
        serde_json::from_value(policies).unwrap()
    };
    let wanted = "\nin shadow: 9 of 12 times since 2026-01-05T09:00:00Z it ended without remedy \
                  restart of web-down, by itself or by somebody\n";
    assert_eq!(printed(|out| incidents::scores(&policies(score), out)), wanted);
    assert_eq!(printed(|out| incidents::scores(&policies(Value::Null), out)), "");
}

#[test]
fn one_incident_is_told_with_its_timeline_and_reasons() {
    insta::assert_snapshot!(printed(|out| incidents::tell(&healed(), false, out)), @r#"
    incident 1: healed by reboot, confirmed
      policy   web-down
      target   {instance="a:80"}
      opened   2026-01-05T09:00:00Z
      closed   2026-01-05T09:00:15Z, after 15s
      reason   confirmed by remedy reboot: rule ServiceDown is inactive

    alerts
      resolved {alertname="ServiceDown", instance="a:80", job="web"}, says main

    orders
      1.restart.1      systemctl restart web@a: exited with code 1
                       | Job for web@a.service failed.
      1.restart.2      systemctl restart web@a: exited with code 1
                       | Job for web@a.service failed.
      1.reboot.1       script: exec reboot: exited with code 0

    timeline
      2026-01-05T09:00:00Z  Source main says that alert ServiceDown fires.
      2026-01-05T09:00:00Z  Incident 1 opened: policy web-down takes care of {instance="a:80"}. A person is told if it is still open at 2026-01-05T09:15:00Z.
      2026-01-05T09:00:00Z  All guards agree: remedy restart starts: `systemctl restart web@a`.
                              asked   Alertmanager main, alert 8459147829d7e238: lists it active, updated 0s before (0s old)
                              asked   Prometheus, rule ServiceDown: main shows it: fires, evaluated 0s before (0s old)
      2026-01-05T09:00:03Z  Remedy restart exited with code 1 after 2s.
      2026-01-05T09:00:03Z  It will be tried again at 2026-01-05T09:00:08Z.
      2026-01-05T09:00:08Z  All guards agree: remedy restart starts, run 2: `systemctl restart web@a`.
                              asked   Alertmanager main, alert 8459147829d7e238: lists it active, updated 0s before (0s old)
                              asked   Prometheus, rule ServiceDown: main shows it: fires, evaluated 0s before (0s old)
      2026-01-05T09:00:10Z  Remedy restart exited with code 1 after 2s.
      2026-01-05T09:00:10Z  Remedy restart is not tried again: it exited with code 1.
      2026-01-05T09:00:10Z  All guards agree: remedy reboot starts: `script: exec reboot`.
                              before  restart: tried: exited with code 1
                              asked   Alertmanager main, alert 8459147829d7e238: lists it active, updated 0s before (0s old)
                              asked   Prometheus, rule ServiceDown: main shows it: fires, evaluated 0s before (0s old)
      2026-01-05T09:00:14Z  Remedy reboot exited with code 0 after 2s.
      2026-01-05T09:00:14Z  Now it is checked whether that healed; the answer is due by 2026-01-05T09:15:14Z.
      2026-01-05T09:00:15Z  Looked: rule ServiceDown is inactive.
      2026-01-05T09:00:15Z  Closed as healed: confirmed by remedy reboot: rule ServiceDown is inactive.
      2026-01-05T09:00:16Z  The source of alert ServiceDown says that it resolved.
      2026-01-05T09:00:16Z  All its alerts have ended: what fires here from now on is a new incident.

    all reasons: homeostat incidents 1 --why
    "#);
}

#[test]
fn all_reasons_of_a_choice_are_told_on_demand() {
    let mut incident = healed();
    incident.timeline.retain(|entry| entry.kind == "order_issued");
    incident.timeline.drain(..2);
    let told = printed(|out| incidents::tell(&incident, true, out));
    insta::assert_snapshot!(told.split("timeline\n").nth(1).unwrap(), @r#"
    2026-01-05T09:00:10Z  All guards agree: remedy reboot starts: `script: exec reboot`.
                            remedy  restart: tried: exited with code 1
                            remedy  reboot: chosen
                            clear   pause: not paused
                            clear   lock: free: target {instance="a:80"}
                            clear   cooldown: the same incident goes on
                            clear   rate: within the rate
                            clear   concurrency: few enough orders are running
                            clear   breaker: it did not fail often of late
                            clear   attempts: order 3 of at most 3
                            clear   fresh: Alertmanager main lists it now
                            clear   silence: not silenced
                            asked   Alertmanager main, alert 8459147829d7e238: lists it active, updated 0s before (0s old)
                            asked   Prometheus, rule ServiceDown: main shows it: fires, evaluated 0s before (0s old)
    "#);
}

#[test]
fn a_held_incident_says_why_and_how_often() {
    insta::assert_snapshot!(printed(|out| incidents::tell(&held(), false, out)), @r#"
    incident 1: waiting
      policy   web-down
      target   {instance="a:80"}
      opened   2026-01-05T09:00:00Z
      reason   remedy restart is held: pause: paused by ann: migration
      as of    2026-01-05T09:00:30Z

    alerts
      firing   {alertname="ServiceDown", instance="a:80", job="web"}, says main

    timeline
      2026-01-05T09:00:00Z  Source main says that alert ServiceDown fires.
      2026-01-05T09:00:00Z  Incident 1 opened: policy web-down takes care of {instance="a:80"}. A person is told if it is still open at 2026-01-05T09:15:00Z.
      2026-01-05T09:00:00Z  Remedy restart is held: pause: paused by ann: migration. (4 times)

    all reasons: homeostat incidents 1 --why
    "#);
}

#[test]
fn a_list_is_asked_for_with_its_filters() {
    let (url, asked) = server("200 OK", r#"{"incidents":[],"next_cursor":null}"#);
    let (exit, out, _) = run_line(&[
        "incidents",
        "--state",
        "waiting",
        "--target",
        "instance=a:80",
        "--limit",
        "3",
        "--output",
        "json",
        "--url",
        &format!("{url}/prefix/"),
    ]);
    assert_eq!(exit, Exit::Fine);
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["incidents"], json!([]));
    let request = asked.join().unwrap();
    let line = request.lines().next().unwrap();
    assert_eq!(
        line,
        "GET /prefix/api/v1/incidents?limit=3&state=waiting&target=instance%3Da%3A80 HTTP/1.1"
    );
}

#[test]
fn a_test_alert_is_posted_by_the_alerts_api() {
    let (url, asked) = server("200 OK", "");
    let labels = ["alertname=Down", "query=a=b"];
    let line = ["fire", labels[0], labels[1], "--annotation", "summary=it is down", "--url", &url];
    let (exit, out, _) = run_line(&line);
    assert_eq!(exit, Exit::Fine);
    assert_eq!(out, format!("fired {{alertname=\"Down\", query=\"a=b\"}} at {url}/\n"));
    let request = asked.join().unwrap();
    assert!(request.starts_with("POST /api/v2/alerts HTTP/1.1"));
    let alert = &body(&request)[0];
    assert_eq!(alert["labels"], json!({ "alertname": "Down", "query": "a=b" }));
    assert_eq!(alert["annotations"], json!({ "summary": "it is down" }));
    assert!(alert["startsAt"].is_string() && alert.get("endsAt").is_none());
    let (url, asked) = server("200 OK", "");
    assert_eq!(run_line(&["fire", "alertname=Down", "--resolve", "--url", &url]).0, Exit::Fine);
    let alert = &body(&asked.join().unwrap())[0];
    assert!(alert["endsAt"].is_string() && alert.get("startsAt").is_none());
}

#[test]
fn an_operator_pauses_with_a_token() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    std::fs::write(&path, "s3cret\n").unwrap();
    let (url, asked) = server("200 OK", r#"{"paused":true}"#);
    let token = path.to_str().unwrap();
    let line =
        ["pause", "--reason", "migration", "--by", "ann", "--token-file", token, "--url", &url];
    assert_eq!(run_line(&line).0, Exit::Fine);
    let request = asked.join().unwrap();
    assert!(request.starts_with("POST /api/v1/pause HTTP/1.1"));
    assert!(request.to_lowercase().contains("authorization: bearer s3cret\r\n"));
    assert!(request.to_lowercase().contains("content-type: application/json\r\n"));
    assert_eq!(body(&request), json!({ "by": "ann", "reason": "migration" }));
}

#[test]
fn what_cannot_be_done_says_why_and_what_to_do() {
    let (exit, _, err) = run_line(&["incidents", "--url", "http://127.0.0.1:1"]);
    assert_eq!(exit, Exit::Cannot);
    assert!(
        err.starts_with("error: cannot reach http://127.0.0.1:1/: Connection refused"),
        "{err}"
    );
    assert!(err.contains("help: is `homeostat serve` running there?"), "{err}");

    let (url, _asked) = server("401 Unauthorized", "{\"error\":\"this needs a token\"}");
    let (exit, _, err) = run_line(&["resume", "--url", &url]);
    assert_eq!(exit, Exit::Cannot);
    assert!(err.contains("401 Unauthorized: this needs a token"), "{err}");
    assert!(err.contains("help: show the server's token with --token-file, or sign in"), "{err}");

    let (url, _asked) = server("302 Found", "");
    assert_eq!(run_line(&["pause", "--reason", "r", "--url", &url]).0, Exit::Cannot);

    let (url, _asked) = server("200 OK", "<html>");
    let (exit, _, err) = run_line(&["incidents", "7", "--url", &url]);
    assert_eq!(exit, Exit::Cannot);
    assert!(err.contains("gave an answer that cannot be read"), "{err}");

    let line = ["incidents", "--token-file", "/nonexistent/token"];
    assert!(run_line(&line).2.contains("cannot read /nonexistent/token"));
}

#[test]
fn a_file_says_how_to_talk_to_the_server() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("http.yml");
    std::fs::write(directory.path().join("password"), "s3cret\n").unwrap();
    let file = path.to_str().unwrap();
    let sent = |text: &str| {
        let (url, asked) = server("200 OK", r#"{"paused":true}"#);
        std::fs::write(&path, text.replace("{server}", &url)).unwrap();
        let url = if text.contains("{server}") { "http://engine.invalid".to_owned() } else { url };
        let line = ["pause", "--reason", "r", "--http.config.file", file, "--url", &url];
        let (exit, _, err) = run_line(&line);
        assert_eq!(exit, Exit::Fine, "{err}");
        asked.join().unwrap().to_lowercase()
    };
    let basic = sent("basic_auth: { username: ann, password_file: password }");
    assert!(basic.contains("authorization: basic yw5uonmzy3jlda==\r\n"), "{basic}");
    assert!(basic.contains("content-type: application/json\r\n"), "{basic}");
    assert!(basic.starts_with("post /api/v1/pause http/1.1"), "{basic}");
    let bearer =
        sent("authorization: { credentials: t0ken }\nhttp_headers: { X-A: { values: [b] } }");
    assert!(bearer.contains("authorization: bearer t0ken\r\n") && bearer.contains("x-a: b\r\n"));
    let proxied = sent("proxy_url: \"{server}\"");
    assert!(proxied.starts_with("post http://engine.invalid/api/v1/pause http/1.1"), "{proxied}");
    let nothing = sent("");
    assert!(!nothing.contains("authorization"), "{nothing}");

    let (url, _asked) = server("401 Unauthorized", "{\"error\":\"who are you\"}");
    let (exit, _, err) = run_line(&["resume", "--http.config.file", file, "--url", &url]);
    assert_eq!(exit, Exit::Cannot);
    assert!(err.contains("401 Unauthorized: who are you"), "{err}");
    assert!(err.contains("help: the credentials of --http.config.file are not"), "{err}");
    let nobody = ["resume", "--http.config.file", file, "--url", "http://127.0.0.1:1"];
    let (exit, _, err) = run_line(&nobody);
    assert_eq!(exit, Exit::Cannot);
    assert!(err.contains("http://127.0.0.1:1 could not be reached: "), "{err}");
    assert!(err.contains("help: is `homeostat serve` running there?"), "{err}");
}

#[test]
fn what_is_wrong_with_such_a_file_is_shown_with_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("http.yml");
    let file = path.to_str().unwrap();
    for (text, place, message) in [
        ("basic_atuh: {}", "1:1", "unknown key \"basic_atuh\" in a file of --http.config.file"),
        ("tls_config:\n  ca_file: none.pem", "2:12", "there is no such file on this machine"),
        (
            "authorization:\n  credentials_file: none",
            "2:21",
            "there is no such file on this machine",
        ),
        (
            "basic_auth: { username: a, password: hunter2 }\noauth2: { client_id: x }",
            "2:9",
            "has no `token_url`",
        ),
        ("[", "1:1", ""),
    ] {
        std::fs::write(&path, text).unwrap();
        let (exit, _, err) = run_line(&["whoami", "--http.config.file", file]);
        assert_eq!(exit, Exit::Cannot, "{text}");
        let place = format!("--> {file}:{place}\n");
        assert!(err.contains(&place) && err.contains(message), "{text}: {err}");
        assert!(!err.contains("hunter2"), "{err}");
    }
    let (exit, _, err) = run_line(&["whoami", "--http.config.file", "/nonexistent/http.yml"]);
    assert!(exit == Exit::Cannot && err.contains("cannot be read"), "{err}");
    let both = run_line(&["whoami", "--http.config.file", file, "--token-file", "x"]);
    assert!(both.2.contains("cannot be used with"), "{}", both.2);
}

#[test]
fn standing_approvals_are_a_table() {
    let none = json!({ "approvals": [] });
    let list = |value: Value| serde_json::from_value(value).unwrap();
    assert_eq!(printed(|out| approvals::table(&list(none), out)), "no standing approvals\n");
    let one = json!({ "approvals": [{
        "id": "3", "policy": "db-primary", "remedy": "reboot", "target": { "instance": "a:80" },
        "action": "reboot a:80", "incident": "17", "since": "2026-01-05T09:00:00Z",
        "until": "2026-01-06T09:00:00.5Z", "uses": 5, "left": 4, "orders": ["18.reboot.1"],
        "votes": [
            { "by": "user:ann", "reason": "", "at": "2026-01-05T09:00:00Z" },
            { "by": "user:bob", "reason": "", "at": "2026-01-05T09:00:00Z" },
        ],
    }] });
    insta::assert_snapshot!(printed(|out| approvals::table(&list(one), out)), @r#"
    ID  LEFT    UNTIL                 POLICY      REMEDY  TARGET             BY                  ACTION
    3   4 of 5  2026-01-06T09:00:00Z  db-primary  reboot  {instance="a:80"}  user:ann, user:bob  reboot a:80
    "#);
}

#[test]
fn a_standing_approval_is_revoked_by_its_number() {
    let taken = r#"{"approval":"3","message":"standing approval 3 is revoked"}"#;
    let (url, asked) = server("200 OK", taken);
    let line = ["revoke", "3", "--by", "ann", "--reason", "replaced", "--url", &url];
    let (exit, out, _) = run_line(&line);
    assert_eq!((exit, &*out), (Exit::Fine, "standing approval 3 is revoked\n"));
    let request = asked.join().unwrap();
    assert!(request.starts_with("POST /api/v1/approvals/3/revoke HTTP/1.1"), "{request}");
    assert_eq!(body(&request), json!({ "by": "ann", "reason": "replaced" }));
    let (exit, _, err) = run_line(&["approve", "17", "--next", "5"]);
    assert_eq!(exit, Exit::Cannot);
    assert!(err.contains("--for <DURATION>"), "{err}");
}

#[test]
fn an_incident_that_waits_for_several_says_who_has_agreed() {
    let mut incident = held();
    incident.approval = serde_json::from_value(json!({
        "order": "1.restart.1", "remedy": "restart", "action": "systemctl restart web@a",
        "digest": "0f".repeat(32), "expires_at": "2026-01-05T09:30:00Z",
        "by": ["group:dba"], "count": 2,
        "votes": [{ "by": "user:ann", "reason": "it is empty", "at": "2026-01-05T09:01:00Z" }],
    }))
    .unwrap();
    let told = printed(|out| incidents::tell(&incident, false, out));
    let part = told.split("\n\n").nth(1).unwrap();
    insta::assert_snapshot!(part, @r#"
    waits for approval until 2026-01-05T09:30:00Z, by 2 different people of group:dba
      approved   by user:ann at 2026-01-05T09:01:00Z: it is empty
      would run  systemctl restart web@a
      yes        homeostat approve 1
      no         homeostat reject 1
    "#);
}
