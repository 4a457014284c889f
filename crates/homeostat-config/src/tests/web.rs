//! The file of `--web.config.file`.

use super::*;

/// All problems of a web configuration: `line:column severity: message`, and help below it.
fn problems_of_web(text: &str) -> String {
    let report = match parse_web("web.yml", text) {
        Ok(config) => config.warnings,
        Err(report) => report,
    };
    let mut shown = String::new();
    for row in report.rows() {
        let place = row.line.zip(row.column).map_or("-".into(), |(l, c)| format!("{l}:{c}"));
        wrap(&mut shown, &format!("{place} {}", row.message));
        if let Some(help) = row.help {
            wrap(&mut shown, &format!("  => {help}"));
        }
    }
    shown
}

#[test]
fn all_of_exporter_toolkits_file_is_read() {
    let config = parse_web(
        "/etc/homeostat/web.yml",
        "tls_server_config:
  cert_file: server.crt
  key: inline
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.crt
  client_allowed_sans: [am.example]
  min_version: TLS13
  cipher_suites: [TLS_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]
  prefer_server_cipher_suites: false
  curve_preferences: [CurveP256, X25519]
http_server_config:
  http2: false
  headers: { X-Frame-Options: deny, Content-Security-Policy: \"\" }
basic_auth_users:
  ann: $2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi
rate_limit: { interval: 1.5s, burst: 20 }
",
    );
    let config = config.unwrap_or_else(|report| panic!("{report}"));
    let tls = config.tls.unwrap();
    assert_eq!(tls.certificate, Pem::File("/etc/homeostat/server.crt".into()));
    assert_eq!(tls.key, Pem::Inline("inline".into()));
    assert_eq!(tls.client_ca, Some(Pem::File("/etc/homeostat/ca.crt".into())));
    assert!(tls.client_auth.verifies() && tls.client_auth.is_mandatory());
    assert_eq!(tls.allowed_sans.as_deref(), Some(&["am.example".to_owned()][..]));
    assert_eq!(tls.versions, [TlsVersion::Tls13]);
    assert_eq!(tls.cipher_suites, Some(vec![CipherSuite::EcdheRsaAes128]));
    assert_eq!(tls.curves, Some(vec![Curve::P256, Curve::X25519]));
    assert!(!tls.prefer_server_cipher_suites && !config.http2);
    assert_eq!(config.headers, [("X-Frame-Options".to_owned(), "deny".to_owned())]);
    assert_eq!(config.users.keys().collect::<Vec<_>>(), ["ann"]);
    let rate = config.rate.unwrap();
    assert_eq!((rate.interval.as_millis(), rate.burst), (1500, 20));
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_a_key_is_not_shown() {
    let text = "tls_server_config:
  cert_file: a
  cert: b
  client_auth_type: RequireAndVerify
  min_version: TLS11
  cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]
  curve_preferences: [CurveP521]
http_server_config:
  headers: { X-Frame-Options: none, Server: me }
basic_auth_users: { \"a:b\": secret }
rate_limit: { interval: soon }
policies: []
";
    insta::assert_snapshot!(problems_of_web(text), @r#"
    2:3 there is neither `key_file` nor `key`
      => write key_file: …
    2:14 `cert` and `cert_file` are both given
      => remove one of them
    4:21 there is no client_auth_type "RequireAndVerify"
      => there are NoClientCert, RequestClientCert, RequireAnyClientCert,
        VerifyClientCertIfGiven, RequireAndVerifyClientCert
    5:16 TLS11 is not spoken here
      => there are TLS12 and TLS13
    6:19 there is no cipher suite "TLS_RSA_WITH_AES_128_CBC_SHA" here
      => there are TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
    7:23 there is no curve "CurveP521" here
      => there are X25519, CurveP256, CurveP384
    9:31 X-Frame-Options cannot be "none"
      => it may be deny or sameorigin
    9:37 the header "Server" cannot be set here
      => there are Strict-Transport-Security, X-Content-Type-Options, X-Frame-Options,
        X-XSS-Protection, Content-Security-Policy
    10:21 this cannot be the name of a user: basic auth ends it at a colon
    10:28 this is not the bcrypt hash of a:b's password
      => `htpasswd -nBC 10 "" | tr -d ':\n'` asks for a password and prints one
    11:25 "soon" is not a duration
      => durations are Go's here: 100ms, 1.5s, 1m30s
    12:1 unknown key "policies" in a web configuration
      => policies stand in the file of --config.file
    "#);
    insta::assert_snapshot!(problems_of_web(
        "tls_server_config: { cert_file: a, key: b, client_auth_type: VerifyClientCertIfGiven }"
    ), @r#"
    1:62 nobody is named who may vouch for clients
      => add client_ca_file: …; without it, whoever has a certificate of any authority that
        this system knows would be let in
    "#);
    insta::assert_snapshot!(problems_of_web(
        "tls_server_config: { cert_file: a, key: b, client_ca: c, client_allowed_sans: [d] }"
    ), @r#"
    1:55 no client is asked for a certificate
      => add client_auth_type: RequireAndVerifyClientCert
    1:79 no client is asked for a certificate
      => add client_auth_type: RequireAndVerifyClientCert
    "#);
    let report = parse_web("web.yml", "tls_server_config: { key: private, oops: 1 }").unwrap_err();
    assert!(!report.to_string().contains("private"));
    let report = parse_web("web.yml", "basic_auth_users: { ann: my-password }").unwrap_err();
    assert!(!report.to_string().contains("my-password"));
}
