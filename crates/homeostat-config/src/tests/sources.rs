//! How sources are talked to, what they add to alerts, and whom policies ask.

use homeostat_core::name::SourceName;

use super::*;

fn prometheus(lines: &str) -> Config {
    let mut text = "sources:\n  prometheuses:\n    - name: main\n      url: http://p\n".to_owned();
    for line in lines.lines() {
        writeln!(text, "      {line}").unwrap();
    }
    parse("/etc/h/homeostat.yml", &text).unwrap_or_else(|report| panic!("{report}"))
}

fn of_prometheus(lines: &str) -> String {
    let mut text = "sources:\n  prometheuses:\n    - name: main\n      url: http://p\n".to_owned();
    for line in lines.lines() {
        writeln!(text, "      {line}").unwrap();
    }
    problems(&(text + "policies: [{ name: a, matchers: [], mode: shadow, remedies: [] }]\n"))
}

#[test]
fn headers_parameters_a_proxy_and_labels_are_read() {
    let config = prometheus(
        "http_headers:
  X-Scope-OrgID: { values: [a, b] }
  X-Key: { secrets: [geheim], files: [key] }
params: { tenant: [a, b], dedup: ['false'] }
proxy_url: SOCKS5://u:geheim@proxy:1080
no_proxy: localhost,10.0.0.0/8
external_labels: { cluster: eu, replica: '1' }
labels: { cluster: eu }",
    );
    assert!(!format!("{config:?}").contains("geheim"), "a secret is shown");
    let source = &config.sources.prometheuses[0];
    let [org, key] = &source.http.headers[..] else { panic!("{:?}", source.http.headers) };
    assert_eq!(
        (&*org.name, &org.values[..], &org.secrets[..]),
        ("X-Scope-OrgID", &["a".to_owned(), "b".to_owned()][..], &[][..])
    );
    assert_eq!((&*key.name, key.values.len()), ("X-Key", 0));
    assert_eq!(
        key.secrets,
        [SecretSource::Inline(Secret::new("geheim")), SecretSource::File("/etc/h/key".into())]
    );
    let params = [("tenant", "a"), ("tenant", "b"), ("dedup", "false")];
    assert_eq!(source.http.params, params.map(|(name, value)| (name.into(), value.into())));
    let proxy = source.http.proxy.as_ref().unwrap();
    assert_eq!(proxy.url.reveal(), "socks5://u:geheim@proxy:1080");
    assert_eq!(proxy.except.as_deref(), Some("localhost,10.0.0.0/8"));
    let both = LabelSet::from_pairs([("cluster", "eu"), ("replica", "1")]);
    assert_eq!(source.external_labels, Some(both));
    let own = LabelSet::from_pairs([("cluster", "eu")]);
    assert_eq!(source.labels, own);
    let witness = &config.book.witnesses.prometheuses[0];
    assert_eq!((witness.name.as_str(), &witness.labels), ("main", &own));
}

#[test]
fn no_external_labels_are_told_from_none_that_are_known() {
    assert_eq!(prometheus("").sources.prometheuses[0].external_labels, None);
    let said = &prometheus("external_labels: {}").sources.prometheuses[0];
    assert_eq!(said.external_labels, Some(LabelSet::default()));
}

#[test]
fn oauth2_is_read_with_what_its_own_service_needs() {
    let config = prometheus(
        "oauth2:
  client_id: me
  client_secret_file: secret
  token_url: https://id/token?x=1
  scopes: [read, write]
  endpoint_params: { audience: geheim }
  tls_config: { ca_file: ca.pem }
  proxy_url: http://proxy:3128",
    );
    assert!(!format!("{config:?}").contains("geheim"), "a secret is shown");
    let Credentials::Token(token) = &config.sources.prometheuses[0].http.credentials else {
        panic!()
    };
    assert_eq!((&*token.client_id, token.token_url.as_str()), ("me", "https://id/token?x=1"));
    assert_eq!(token.client_secret, Some(SecretSource::File("/etc/h/secret".into())));
    assert_eq!(token.scopes, ["read", "write"]);
    assert_eq!(token.endpoint_params, [("audience".to_owned(), Secret::new("geheim"))]);
    assert_eq!(token.tls.ca_file, Some("/etc/h/ca.pem".into()));
    assert_eq!(token.proxy.as_ref().unwrap().url.reveal(), "http://proxy:3128/");
}

#[test]
fn what_cannot_be_sent_is_told_with_its_place() {
    insta::assert_snapshot!(of_prometheus("http_headers:
  Authorization: { values: [x] }
  X-A: {}
  x-a: { values: [x] }
  X B: { value: x }
  X-C: x
  X-Token: { values: [\"gehe\\nim\"] }
params: { query: [up], a: b, c: [] }
proxy_url: ftp://x
oauth2: { token_url: nowhere, scopes: ['a b'], endpoint_params: { grant_type: x } }
basic_auth: { username: u }
authorization: { credentials: x }"), @r#"
        6:9 Authorization is not set here
          => write authorization: { credentials_file: … }, basic_auth or oauth2
        7:9 this header has no value
          => add `values: […]`, `secrets: […]` or `files: […]`
        8:9 this header is given twice
          => remove one of them
        9:9 this cannot be the name of a header
        9:16 unknown key "value" in a header
          => write a list: values: […]
        10:14 expected a header's values as a map, found a text
          => write http_headers: { X-Scope-OrgID: { values: [team-a] } }
        11:29 no header can carry a line break or another control character
        12:17 `query` is set by each question
          => remove it
        12:33 expected a list of texts, found a text
          => write a list: a: ["b"]
        12:39 `c` has no value
          => write a value, or leave the parameter out
        13:18 there is no proxy by "ftp"
          => proxies are http://HOST:PORT, https://… or socks5://…
        14:15 `basic_auth` and `oauth2` cannot be sent together
          => remove one of them
        14:15 `oauth2` has no `client_id`
        14:28 not a URL: relative URL without a base
          => write it as in "http://127.0.0.1:9093"
        14:46 a scope is one word
          => write each as an element: scopes: [read, write]
        14:73 `grant_type` is not set here
          => it is always client_credentials
        16:22 `basic_auth` and `authorization` cannot be sent together
          => remove one of them
        "#);
    insta::assert_snapshot!(of_prometheus("no_proxy: [a]"), @r#"
        5:17 expected a text, found a list
          => write one text: no_proxy: "localhost,10.0.0.0/8,.internal"
        "#);
    insta::assert_snapshot!(of_prometheus("no_proxy: a"), @r#"
        5:17 `no_proxy` without a `proxy_url`
          => add `proxy_url: …`: no proxy of the environment is used
        "#);
    insta::assert_snapshot!(of_prometheus("proxy_url: http://x
tls_config: { server_name: y }"), @r#"
        6:34 `server_name` cannot be used through a proxy
          => the proxy is asked for the host whose certificate is expected: write that host into
            the URL, or remove `proxy_url`
        "#);
}

#[test]
fn a_secret_header_is_not_shown_with_its_line() {
    for header in ["X-A: { secrets: geheim, x: y }", "X-Api-Key: { values: [geheim], x: y }"] {
        let text = format!(
            "sources: {{ prometheuses: [{{ name: m, url: x, http_headers: {{ {header} }} }}] }}"
        );
        let report = parse("f", &text).unwrap_err().to_string();
        assert!(report.contains("******") && !report.contains("geheim"), "{report}");
    }
}

#[test]
fn labels_that_no_alert_can_have_are_told() {
    insta::assert_snapshot!(of_prometheus("external_labels:
  __name__: x
  homeostat: x
  'cluster=': x
  '': x
  replica: 1
  up: true
  empty: ''
  host: ${HOSTNAME}
  list: [a]
  k8s.cluster/name: eu
labels: [a]"), @r#"
        6:9 "__name__" is reserved: no alert carries it
          => labels that begin with `__` end with the relabelling
        7:9 "homeostat" is reserved: it marks the alerts that Homeostat fires itself
          => choose another label
        8:9 "cluster=" is not the name of a label
          => write names and values as a map: { cluster: eu }
        9:9 "" is not the name of a label
          => write names and values as a map: { cluster: eu }
        10:18 the value of a label is a text, and this is none without quotes
          => quote it: "1"
        11:13 the value of a label is a text, and this is none without quotes
          => quote it: "true"
        12:16 a label without a value is no label
          => leave it out
        13:15 no variables are put in here
          => write the value that it has
        14:15 expected a text, found a list
        16:15 expected labels as a map, found a list
          => write labels: { cluster: eu }
        "#);
}

#[test]
fn a_policy_names_prometheuses_that_there_are() {
    let two = "sources: { prometheuses: [{ name: eu-1, url: 'http://a' }, { name: us, url: 'http://b' }] }\n";
    let config = parse("f", &(two.to_owned() + &policy("sources: [us, eu-1]"))).unwrap();
    let sources = config.book.policies()[0].sources.as_deref();
    assert_eq!(sources, Some(&[SourceName::new("us"), SourceName::new("eu-1")][..]));
    let config = parse("f", &(two.to_owned() + &policy(""))).unwrap();
    assert_eq!(config.book.policies()[0].sources, None);

    let wrong = |lines: &str| problems(&(two.to_owned() + &policy(lines)));
    insta::assert_snapshot!(wrong("sources: [eu1, us, us, elsewhere]"), @r#"
        4:15 no Prometheus of `sources` is named "eu1"
          => did you mean "eu-1"?
        4:24 this source is named twice
          => remove one of them
        4:28 no Prometheus of `sources` is named "elsewhere"
          => there are: eu-1, us
        "#);
    insta::assert_snapshot!(wrong("sources: []"), @r#"
        4:14 `sources` names nobody
          => name the Prometheuses that may be witnesses of this policy's alerts, or leave it out
            to mean all of them
        "#);
    insta::assert_snapshot!(wrong("sources: us"), @r#"
        4:14 expected a list of texts, found a text
          => write a list: sources: ["us"]
        "#);
    insta::assert_snapshot!(problems(&policy("sources: [main]")), @r#"
        3:15 no Prometheus of `sources` is named "main"
          => add sources: { prometheuses: [{ name: main, url: "http://127.0.0.1:9090" }] }
        "#);
}

#[test]
fn patience_and_what_vanishes_are_read() {
    let verify = |lines: &str| {
        let config = parse("f", &(SOURCES.to_owned() + &policy(lines))).unwrap();
        let verify = &config.book.policies()[0].verify;
        (verify.patience, verify.vanishes)
    };
    assert_eq!(verify(""), (defaults::VERIFY_PATIENCE, false));
    assert_eq!(verify("verify: { every: 5s }"), (defaults::VERIFY_PATIENCE, false));
    let given = verify("verify: { patience: 2h, vanishes: true }");
    assert_eq!(given, (Span::from_secs(7200), true));
    insta::assert_snapshot!(of_policy("verify: { patience: 2h, vanishes: true }"), @r#"
        1:25 warning: there is no Prometheus whose rules could remember anything
          => add sources: { prometheuses: [{ name: main, url: "http://127.0.0.1:9090" }] }
        1:39 warning: there is no Prometheus that could see that a target is gone
          => add sources: { prometheuses: [{ name: main, url: "http://127.0.0.1:9090" }] }
        "#);
    insta::assert_snapshot!(of_policy("verify: { patience: 0s, vanishes: yes, vanish: true }"), @r#"
        1:25 must be at least 1s
        1:25 warning: there is no Prometheus whose rules could remember anything
          => add sources: { prometheuses: [{ name: main, url: "http://127.0.0.1:9090" }] }
        1:39 expected true or false, found a text
          => write true or false, unquoted
        1:44 unknown key "vanish" in verify
          => write `vanishes: true`
        "#);
}

#[test]
fn receivers_of_an_alertmanager_are_names() {
    insta::assert_snapshot!(problems("sources:
  alertmanagers:
    - { name: a, urls: ['http://a'], receivers: [] }
    - { name: b, urls: ['http://b'], receivers: [web.hook, ''] }
    - { name: c, urls: ['http://c'], receiver: x }
policies: []
"), @r#"
        3:49 `receivers` names nobody
          => name the receivers that lead here, or leave it out: notifications name theirs
        4:60 this receiver has no name
        5:38 unknown key "receiver" in an Alertmanager
          => write a list: receivers: [homeostat]
        6:11 warning: there are no policies
          => until there are, every alert is recorded in shadow
        "#);
}

#[test]
fn sources_are_checked() {
    insta::assert_snapshot!(problems("sources:
  alertmanagers:
    - { name: api, urls: [] }
    - { urls: ['http://a:9093', 'http://a:9093/', 'ftp://a', 'a:9093', 'http://u:p@a', 'http://a?b'] }
    - { name: x, url: 'http://a' }
    - name: x
      urls: ['http://a']
      basic_auth: { password: a, password_file: b }
      authorization: { type: Basic, credentials: a }
      tls_config: { cert_file: a, insecure_skip_verify: true }
      http_config: { authorization: {} }
      proxy_connect_header: {}
      bearer_token: x
policies: []
"), @r#"
        3:15 no source can be named "api"
          => `api` names what comes by the alerts API, `other` what comes from unknown hooks
        3:26 this source has no `urls`
          => add where it listens
        4:7 this source has no `name`
          => add `name: …`
        4:33 this peer is listed twice
          => remove one of them
        4:51 cannot talk "ftp", only http and https
          => write it as in "http://127.0.0.1:9093"
        4:62 not a URL: it begins with http:// or https://
          => write it as in "http://127.0.0.1:9093"
        4:72 credentials do not belong into a URL, which is logged
          => write basic_auth: { username: …, password_file: … }
        4:88 a source has no query and no fragment
          => write parameters beside the URL, as in params: { tenant: [a] }
        5:18 unknown key "url" in an Alertmanager
          => an Alertmanager has `urls`, all peers of one cluster: urls: ["…"]
        6:13 a second source is named "x"
          => names are unique
        11:20 `http_config` is given in two places
          => move all of its keys here, or beside the URL
        11:37 `authorization` has no credentials
          => add `credentials_file: …`
        12:7 `proxy_connect_header` is not built yet
          => remove it: an engine that ignored it would be less careful than it says
        13:7 unknown key "bearer_token" in an Alertmanager
          => write authorization: { credentials_file: … }; its type is Bearer unless it says
            otherwise
        14:11 warning: there are no policies
          => until there are, every alert is recorded in shadow
        "#);
}

#[test]
fn webhooks_are_named_once() {
    insta::assert_snapshot!(problems("sources:
  alertmanagers: [{ name: main, urls: ['http://a:9093'] }]
  webhooks:
    - { name: main }
    - { name: grafana, hmacs: x }
    - { name: other }
    - { name: a/b, url: 'http://grafana' }
    - {}
  prometheuses: [{ name: main, url: 'http://b' }]
policies: []
"), @r#"
        4:15 a second source is named "main"
          => names are unique
        5:24 unknown key "hmacs" in a webhook of `sources`
          => did you mean "hmac"?
        6:15 no source can be named "other"
          => `api` names what comes by the alerts API, `other` what comes from unknown hooks
        7:15 "a/b" cannot be the name of a source
          => a name has at most 63 letters, digits, `_`, `.` and `-`, and begins with a letter or
            a digit
        7:20 unknown key "url" in a webhook of `sources`
          => it is the sender that posts here: to /hooks/NAME
        8:7 this source has no `name`
          => add `name: …`
        10:11 warning: there are no policies
          => until there are, every alert is recorded in shadow
        "#);
    insta::assert_snapshot!(problems("sources: { webhooks: [grafana], grafana: {} }\npolicies: []"), @r#"
        1:23 expected a webhook of `sources` as a map, found a text
          => a webhook of `sources` is a map of: name, hmac
        1:33 unknown key "grafana" in sources
          => write webhooks: [{ name: grafana }]
        2:11 warning: there are no policies
          => until there are, every alert is recorded in shadow
        "#);
    let text = "sources: { webhooks: [{ name: grafana }, { name: alertmanager }] }";
    let config = parse("t.yml", text).unwrap();
    let named = |name: &str| SourceName::new(name);
    let webhook = |name: &str| WebhookSource { name: named(name), hmac: None };
    assert_eq!(config.sources.webhooks, [webhook("grafana"), webhook("alertmanager")]);
    let witnesses = &config.book.witnesses;
    assert_eq!(witnesses.webhooks, [named("alertmanager"), named("grafana")].into());
    assert!(witnesses.is_unnamed(&named("main")) && !witnesses.is_unnamed(&named("grafana")));
}

fn signed(lines: &str) -> String {
    format!("sources: {{ webhooks: [{{ name: grafana, hmac: {{ {lines} }} }}] }}\n{}", policy(""))
}

#[test]
fn how_a_webhook_is_signed_is_read_with_grafanas_defaults() {
    let hmac = |lines: &str| {
        let config = parse("/etc/h/homeostat.yml", &signed(lines));
        let config = config.unwrap_or_else(|report| panic!("{report}"));
        config.sources.webhooks[0].hmac.clone().unwrap()
    };
    let header = |name: &str| name.to_owned();
    assert_eq!(
        hmac("secret_file: grafana.secret"),
        Hmac {
            secret_files: vec!["/etc/h/grafana.secret".into()],
            headers: ["x-grafana-alerting-signature", "x-grafana-alert-signature"]
                .map(header)
                .into(),
            timestamp: None,
        }
    );
    let timed = hmac("secret_files: [/new, old], header: X-Sig, timestamp_header: X-Time");
    let tolerance = Span::from_secs(300);
    assert_eq!(timed.secret_files, [Path::new("/new"), Path::new("/etc/h/old")]);
    assert_eq!(timed.headers, ["x-sig"]);
    assert_eq!(timed.timestamp, Some(SignedTime { header: header("x-time"), tolerance }));
    let short = hmac("secret_file: s, timestamp_header: T, tolerance: 30s").timestamp.unwrap();
    assert_eq!(short.tolerance, Span::from_secs(30));
}

#[test]
fn what_is_wrong_with_a_signature_is_told_with_its_place() {
    let wrong = |lines: &str| problems(&signed(lines));
    insta::assert_snapshot!(wrong(""), @r#"
        1:46 these signatures have no secret
          => write secret_file: …, or while it is changed secret_files: [new, old]
        "#);
    insta::assert_snapshot!(wrong("secret: geheim, algorithm: sha1"), @r#"
        1:48 unknown key "secret" in hmac
          => write secret_file: …, a file that holds it
        1:64 unknown key "algorithm" in hmac
          => it is HMAC-SHA-256, as Grafana has it
        "#);
    insta::assert_snapshot!(wrong("secret_file: a, secret_files: [b]"), @r#"
        1:46 there is either `secret_file` or `secret_files`
          => remove one of them
        "#);
    insta::assert_snapshot!(wrong("secret_files: [a, b, c, d, e, f, g, h, i], header: 'X Y'"), @r#"
        1:87 more than 8 secrets
          => remove the old ones
        1:99 "X Y" is not the name of a header
        "#);
    insta::assert_snapshot!(wrong("secret_file: a, tolerance: 5m"), @r#"
        1:75 `tolerance` says nothing without `timestamp_header`
          => name the header that holds when it was signed, here and in Grafana
        "#);
    insta::assert_snapshot!(
        wrong("secret_file: a, header: X-S, timestamp_header: x-s, tolerance: 2h"),
        @r#"
        1:95 this header holds the signature
          => the time stands in one of its own
        1:111 must be at most 1h
          => for so long, each signature is remembered
        "#
    );
    insta::assert_snapshot!(problems(&format!(
        "sources:
  webhooks: [{{ name: a, hmac: secret }}]
  alertmanagers: [{{ name: b, urls: ['http://b'], hmac: {{ secret_file: c }} }}]
{}",
        policy("")
    )), @r#"
        2:31 expected how it is signed, found a text
          => write hmac: { secret_file: … }
        3:50 unknown key "hmac" in an Alertmanager
          => an Alertmanager signs nothing: let it show a token of `access.tokens`, or a
            certificate
        "#);
}

#[test]
fn a_secret_that_is_written_where_its_file_should_be_named_is_not_shown() {
    let bare = format!("sources: {{ webhooks: [{{ name: a, hmac: geheim }}] }}\n{}", policy(""));
    for text in [signed("secret: geheim"), signed("secrets: [geheim]"), bare] {
        let report = parse("f", &text).unwrap_err().to_string();
        assert!(report.contains("******") && !report.contains("geheim"), "{report}");
    }
}
