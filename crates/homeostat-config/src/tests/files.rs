//! Files as a whole: paths, secrets, anchors, size, and bytes that are no text.

use super::*;

#[test]
fn paths_are_meant_from_the_directory_of_the_file() {
    let text = "sources:
  alertmanagers:
    - name: m
      urls: ['https://a:9093']
      http_config: { authorization: { credentials_file: token }, tls_config: { ca_file: /ca.pem } }
  prometheuses:
    - name: m
      url: http://b/prefix/
      basic_auth: { username: u, password: geheim }
      tls_config: { cert_file: c.pem, key_file: ../k.pem, server_name: b }
policies: []
";
    let config = parse("/etc/homeostat/homeostat.yml", text).unwrap();
    let alertmanager = &config.sources.alertmanagers[0].http;
    assert_eq!(
        alertmanager.credentials,
        Credentials::Header {
            scheme: "Bearer".into(),
            credentials: SecretSource::File("/etc/homeostat/token".into())
        }
    );
    assert_eq!(alertmanager.tls.ca_file, Some("/ca.pem".into()));
    let prometheus = &config.sources.prometheuses[0];
    assert_eq!(prometheus.url.as_str(), "http://b/prefix/");
    let client = prometheus.http.tls.client.as_ref().unwrap();
    assert_eq!(client.key_file, Path::new("/etc/homeostat/../k.pem"));
    assert!(!format!("{config:?}").contains("geheim"), "a secret is shown");
    let Credentials::Basic { password: Some(SecretSource::Inline(password)), .. } =
        &prometheus.http.credentials
    else {
        panic!()
    };
    assert_eq!(password.reveal(), "geheim");
}

#[test]
fn a_secret_is_not_shown_with_its_line() {
    let text = "sources: { prometheuses: [{ name: m, url: x, basic_auth: { password: geheim } }] }";
    let report = parse("f", text).unwrap_err();
    assert!(report.to_string().contains("{ password: ****** }"), "{report}");
}

#[test]
fn anchors_serve_and_stay_bounded() {
    let text = "policies:
  - { name: a, matchers: &m [a=b], mode: shadow, remedies: &r [{ name: x, exec: [x] }], continue: true }
  - { name: b, matchers: *m, mode: shadow, remedies: *r }
";
    let config = parse("f", text).unwrap();
    assert_eq!(config.book.taking(&LabelSet::from_pairs([("a", "b")])).len(), 2);
}

#[test]
fn a_file_that_is_no_text_is_shown_where_it_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f.yml");
    std::fs::write(&path, b"policies: \xff\n").unwrap();
    let report = load(&[&path]).unwrap_err();
    let rows = report.rows();
    assert_eq!((rows[0].line, rows[0].column), (Some(1), Some(11)));
    assert!(!report.is_unreadable());
    assert!(load(&[directory.path().join("gone.yml")]).unwrap_err().is_unreadable());
}

#[test]
fn ten_thousand_policies_are_no_matter() {
    let mut text = SOURCES.to_owned() + "policies:\n";
    for n in 0..10_000 {
        write!(
            text,
            "  - name: p{n}
    matchers: ['alertname=\"Alert{n}\"', 'job=\"web\"']
    target: [instance]
    mode: auto
    remedies: [{{ name: restart, exec: [systemctl, restart, \"web@{{{{ labels.instance | host }}}}\"] }}]
    verify: {{ query: 'up{{instance=\"{{{{ labels.instance }}}}\"}} == 1' }}
"
        )
        .unwrap();
    }
    let started = std::time::Instant::now();
    let config = parse("homeostat.yml", &text).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(config.book.policies().len(), 10_000);
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}

#[test]
fn no_flood_of_warnings_hides_an_error() {
    let mut text = "policies:\n".to_owned();
    for n in 0..2 * limits::PROBLEMS_KEPT {
        writeln!(text, "- {{ name: p{n}, matchers: [a=b], mode: shadow, remedies: [] }}").unwrap();
    }
    assert_eq!(parse("f", &text).unwrap().book.policies().len(), 2 * limits::PROBLEMS_KEPT);
    for wrong in ["mode: shadow, remedies: [], oops: 1", "mode: oops, remedies: []"] {
        let text = format!("{text}- {{ name: last, matchers: [a=b], {wrong} }}\n");
        assert_eq!(parse("f", &text).unwrap_err().errors(), 1);
    }
}

#[test]
fn hostile_files_cost_little() {
    let many = |piece: &str| piece.repeat(512 * 1024 / piece.len());
    let (mut keys, mut anchors) = (String::new(), String::new());
    (0..100_000).for_each(|n| writeln!(keys, "k{n}: 1").unwrap());
    (0..60).for_each(|n| write!(anchors, "&a{n} [").unwrap());
    let files = [
        keys,
        format!("{{{}}}", many("k: 1, ")),
        format!("policies: [{}]", many("{}, ")),
        format!("policies: [{}]", many("{name: a}, ")),
        format!("{anchors}{}", many("x, ")),
        format!("sources: {{ alertmanagers: [{{ urls: [{}] }}] }}", many("x, ")),
        policy(&format!("remedies: [{{ name: x, script: \"{}\" }}]", many("{{"))),
        policy(&format!("remedies: [{{ name: x, exec: [x, \"{}\"] }}]", many("{{"))),
        policy(&format!("verify: {{ query: '{}' }}", many("{{ labels.a }}"))),
        policy(&format!("matchers: ['a=~\"{}\"']", many("("))),
        policy(&format!("target: [{}]", many("x, "))),
        many("["),
        many("- "),
        many("a: &a\n"),
        many("'"),
    ];
    for text in files {
        let started = std::time::Instant::now();
        let length = parse("f", &text).map_or_else(|r| r.to_string().len(), |_| 0);
        assert!(length < 1_000_000, "{text:.60}: {length} bytes");
        assert!(started.elapsed().as_secs() < 20, "{text:.60}: {:?}", started.elapsed());
    }
}

/// Throws damaged configurations at the parser: it may refuse, and it must not panic.
#[test]
fn no_text_makes_it_panic() {
    let example = include_str!("../../../../examples/homeostat.yml");
    let full =
        policy("matchers: ['a=~\"ä|((\"']\ntarget: [é]\nverify: { query: 'up{a=~\"{{ x }}\"}' }");
    let pieces = [
        "{{",
        "}}",
        "{%",
        "{#",
        "\"",
        "'",
        "\\",
        "\n",
        "\t",
        ": ",
        "- ",
        "&a ",
        "*a",
        "[",
        "]",
        "{",
        "}",
        "|",
        ">",
        "#",
        "!",
        "\u{feff}",
        "é",
        "\0",
        "null",
        "0",
        "99999999999999999999",
        "---\n",
    ];
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut below = |bound: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % (bound as u64)).unwrap()
    };
    for round in 0..1_500 {
        let mut text = if round % 2 == 0 { example.to_owned() } else { full.clone() };
        for _ in 0..=below(4) {
            let at = text.floor_char_boundary(below(text.len() + 1));
            let end = text.ceil_char_boundary((at + below(30)).min(text.len()));
            match below(4) {
                0 => text.replace_range(at..end, ""),
                1 => text.insert_str(at, pieces[below(pieces.len())]),
                2 => text.replace_range(at..end, pieces[below(pieces.len())]),
                _ => text.truncate(at),
            }
        }
        match parse("homeostat.yml", &text) {
            Ok(config) => drop(config.warnings.to_string()),
            Err(report) => {
                assert!(!report.to_string().is_empty());
                assert!(report.rows().iter().all(|row| !row.message.is_empty()));
            }
        }
    }
}
