//! Remedies that send a request or call a handler.

use homeostat_core::request::{BodyTemplate, Json, Method, RequestTemplate, Statuses};

use super::*;

fn request(lines: &str) -> (RequestTemplate, RequestTarget) {
    let config = parse("/etc/homeostat/homeostat.yml", &remedy(lines))
        .unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(config.warnings.problems(), [], "{}", config.warnings);
    let remedy = &config.book.policies()[0].remedies[0];
    let Action::Http(request) = &remedy.action else { panic!() };
    let target = config.requests[&(PolicyName::new("a"), RemedyName::new("x"), Part::Heal)].clone();
    ((**request).clone(), target)
}

/// A policy whose only remedy sends a request of these lines.
fn remedy(lines: &str) -> String {
    policy(&format!("remedies:\n{}", http(lines)))
}

fn http(lines: &str) -> String {
    let mut text = "  - name: x\n    http:\n".to_owned();
    for line in lines.lines() {
        writeln!(text, "      {line}").unwrap();
    }
    text
}

/// Problems of a request of these lines, numbered from the first of them.
fn of_request(lines: &str) -> String {
    let shown = of_policy(&format!("remedies:\n{}", http(lines)));
    let renumber = |line: &str| {
        let (number, rest) = line.split_once(':')?;
        Some(format!("{}:{rest}", number.trim().parse::<usize>().ok()?.saturating_sub(3)))
    };
    let lines = shown.lines().map(|line| renumber(line).unwrap_or_else(|| line.to_owned()));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_url_alone_is_a_request() {
    let (request, target) = request("url: https://cloud.example/replace");
    assert_eq!((request.method, &request.body), (Method::Post, &BodyTemplate::Nothing));
    assert_eq!(request.expected, [Statuses::SUCCESS]);
    assert_eq!((request.headers, request.key_header), (vec![], None));
    assert_eq!(target.url.as_str(), "https://cloud.example/");
    assert_eq!(target.http, HttpConfig::default());
}

#[test]
fn all_keys_are_read_and_secrets_stay_out_of_the_book() {
    let (request, target) = request(
        r#"method: put
url: "https://cloud.example:8443/hosts/{{ labels.instance | host }}?reason={{ labels.alertname }}"
headers:
  X-Host: "h={{ labels.instance }}"
  X-Api-Key: abc
  X-Signed: { file: key }
body:
  host: "{{ labels.instance | host }}"
  list: [1, "1", 007, true, "true", null, -1.5e3, 1.10]
expected_status: [2xx, 404]
idempotency_key: X-Request-Token
authorization: { credentials_file: token }"#,
    );
    assert_eq!(request.method, Method::Put);
    let headers: Vec<_> = request
        .headers
        .iter()
        .map(|header| (&*header.name, header.value.as_ref().map(Template::source)))
        .collect();
    let expected =
        [("X-Host", Some("h={{ labels.instance }}")), ("X-Api-Key", None), ("X-Signed", None)];
    assert_eq!(headers, expected);
    let BodyTemplate::Json(body) = &request.body else { panic!() };
    assert!(matches!(body, Json::Map(_)));
    assert_eq!(
        body.source(),
        r#"{"host":"{{ labels.instance | host }}","list":["#.to_owned()
            + r#"1,"1","007",true,"true",null,-1.5e3,1.10]}"#
    );
    let statuses: Vec<String> = request.expected.iter().map(ToString::to_string).collect();
    assert_eq!(statuses, ["2xx", "404"]);
    assert_eq!(request.key_header.as_deref(), Some("X-Request-Token"));
    assert_eq!(target.url.as_str(), "https://cloud.example:8443/");
    let file = |name| SecretSource::File(Path::new("/etc/homeostat").join(name));
    let secrets = [
        ("X-Api-Key".to_owned(), SecretSource::Inline(Secret::new("abc"))),
        ("X-Signed".to_owned(), file("key")),
    ];
    assert_eq!(target.secrets, secrets);
    let credentials = Credentials::Header { scheme: "Bearer".into(), credentials: file("token") };
    assert_eq!(target.http.credentials, credentials);
    assert!(!format!("{request:?}{target:?}").contains("abc"));
}

#[test]
fn a_label_may_not_stand_where_it_is_more_than_data() {
    insta::assert_snapshot!(of_request(
        r#"url: "https://{{ labels.instance }}/x"
headers: { X-Token: "{{ labels.token }}", "{{ labels.x }}": x }
body: '{ "host": "{{ labels.instance }}" }'"#
    ), @r#"
    1:25 a placeholder cannot stand before the path
      => whoever sends an alert would choose who gets the request; call such a service by
        `exec: [curl, …]` or a handler
    2:31 X-Token looks like a secret, which does not come from an alert
      => name a file: { file: … }, or give the header another name
    2:53 this cannot be the name of a header
    3:17 a placeholder cannot stand in a body that is text
      => write the body as a map: body: { host: "{{ labels.instance }}" }; it is sent as JSON,
        in which each value stays a value
    "#);
    insta::assert_snapshot!(of_request(
        r#"url: "https://c.example{{ labels.x }}"
body: { "{{ labels.x }}": 1, a: {{ labels.x }} }"#
    ), @r#"
    1:34 a placeholder cannot stand before the path
      => whoever sends an alert would choose who gets the request; call such a service by
        `exec: [curl, …]` or a handler
    2:43 expected a value, found a map
      => quote it: "{{ labels.instance }}"
    "#);
}

#[test]
fn what_is_wrong_with_a_request_is_told_with_its_place() {
    insta::assert_snapshot!(of_request(
        r#"method: PSOT
url: "ftp://u:p@c.example/x"
headers: { Host: a, "a b": c, X-A: "1\n2", x-a: 3, Authorization: x, X-B: { file: "" } }
expected_status: [2xx, 99, 1xx, all]
idempotency_key: "a b"
json: {}"#
    ), @r#"
    1:19 there is no method "PSOT"
      => did you mean POST?
    2:16 cannot talk "ftp", only http and https
      => write it as in "http://127.0.0.1:9093"
    3:22 Host is not set here
      => the host is that of the URL
    3:31 this cannot be the name of a header
    3:46 no header can carry a line break or another control character
    3:54 this header is given twice
      => remove one of them
    3:62 Authorization is not set here
      => write authorization: { credentials_file: … } or basic_auth: { … }
    3:93 not the path of a file
    4:34 "99" is no status
      => write expected_status: 204, or a list: [2xx, 404]
    4:38 "1xx" is no status
      => write expected_status: 204, or a list: [2xx, 404]
    4:43 "all" is no status
      => write expected_status: 204, or a list: [2xx, 404]
    5:28 this cannot be the name of a header
    6:11 unknown key "json" in a request
      => write `body`: a map is sent as JSON
    "#);
    insta::assert_snapshot!(of_request(
        "url: https://c.example\nheaders: { idempotency-key: x }\nidempotency_key: true"
    ), @r#"
    1:11 Idempotency-Key is given twice
      => `idempotency_key: true` sends it: remove the other
    "#);
    insta::assert_snapshot!(of_request("method: GET\nbody: { a: 1, a: 2 }"), @r#"
    1:11 this request has no `url`
      => add `url: "https://…"`
    2:25 `a` is given twice
      => remove one of them
    "#);
    insta::assert_snapshot!(
        of_request("url: https://u:p@c.example/#x\nmethod: GET\nbody: hello"), @r#"
    1:11 no body is sent with GET
      => remove `body`, or write another `method`
    1:16 credentials do not belong into a URL, which is logged
      => write basic_auth: { username: …, password_file: … }
    "#);
}

#[test]
fn what_looks_like_a_secret_and_is_written_down_is_warned_of() {
    insta::assert_snapshot!(of_request(
        "url: https://c.example/x?api_key=abc\nbody: { password: hunter2, nested: { token: {} } }"
    ), @r#"
    1:16 warning: "api_key" looks like a secret, and URLs are written down
      => send it as a header: headers: { NAME: { file: … } }; where the service takes none,
        let a program read it from a file: exec: […]
    2:19 warning: "password" looks like a secret, and bodies are written down
      => send it as a header: headers: { NAME: { file: … } }
    "#);
}

#[test]
fn a_request_that_might_be_done_twice_is_not_retried() {
    let retried = |lines: &str, more: &str| {
        of_policy(&format!("remedies:\n{}    retries: 1\n{more}", http(lines)))
    };
    insta::assert_snapshot!(retried("url: https://c.example/x", ""), @r#"
    5:18 POST is not retried: it might be done twice
      => add `idempotency_key: true` to `http` if the service heeds it, or `idempotent: true`
        to the remedy if doing it twice does no harm
    "#);
    for (lines, more) in [
        ("url: https://c.example/x\nmethod: DELETE", ""),
        ("url: https://c.example/x\nidempotency_key: true", ""),
        ("url: https://c.example/x", "    idempotent: true"),
    ] {
        assert_eq!(retried(lines, more), "", "{lines} {more}");
    }
}

fn with_handlers(name: &str, handlers: &[&str]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("homeostat.yml");
    std::fs::write(&path, policy(&format!("remedies: [{{ name: x, call: {name} }}]"))).unwrap();
    let report = match load_for(&[&path], Callable::These(handlers)) {
        Ok(config) => config.warnings,
        Err(report) => report,
    };
    let mut shown = String::new();
    for row in report.rows() {
        wrap(&mut shown, &row.message);
        wrap(&mut shown, &format!("  => {}", row.help.unwrap_or_default()));
    }
    shown
}

#[test]
fn a_handler_that_there_is_not_is_an_error_where_it_is_known() {
    assert_eq!(with_handlers("move-primary", &["move-primary"]), "");
    insta::assert_snapshot!(with_handlers("move-primry", &["move-primary", "x"]), @r#"
    no handler is named "move-primry"
      => did you mean "move-primary"?
    "#);
    insta::assert_snapshot!(with_handlers("drain", &["move-primary", "x"]), @r#"
    no handler is named "drain"
      => there are: move-primary, x
    "#);
    insta::assert_snapshot!(with_handlers("drain", &[]), @r#"
    no handler is named "drain": this program has none
      => handlers are written in Rust: build a program of your own with the crate `homeostat`,
        App::from_file(…)?.action("NAME", …)
    "#);
    insta::assert_snapshot!(of_policy("remedies: [{ name: x, call: drain }]"), @r#"
    1:33 warning: no handler is named "drain" here: this binary has none
      => handlers are written in Rust: build a program of your own with the crate `homeostat`,
        App::from_file(…)?.action("NAME", …)
    "#);
    insta::assert_snapshot!(of_policy("remedies: [{ name: x, call: 'a b', exec: [x] }]"), @r#"
    1:46 a remedy does one thing: `exec`, `script`, `http`, `call`, `ssh`, `systemd` or
        `kubernetes`
      => remove one, or make it a remedy of its own
    "#);
    insta::assert_snapshot!(of_policy("remedies: [{ name: x, call: 'a b' }]"), @r#"
    1:33 this cannot be the name of a handler
      => a handler is called by the name that it is registered with
    "#);
}
