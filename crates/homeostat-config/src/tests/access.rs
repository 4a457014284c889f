//! Who may do what: tokens, grants, proxies.

use super::*;

const DIGEST: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

fn with(access: &str) -> String {
    let indented: Vec<String> = access.lines().map(|line| format!("  {line}\n")).collect();
    format!("access:\n{}{SOURCES}{}", indented.concat(), policy("mode: shadow"))
}

/// Problems of `access` with these lines, numbered from the first of them.
fn of_access(lines: &str) -> String {
    let shown = problems(&with(lines));
    let renumber = |line: &str| {
        let (number, rest) = line.split_once(':')?;
        Some(format!("{}:{rest}", number.parse::<usize>().ok()?.saturating_sub(1)))
    };
    let lines = shown.lines().map(|line| renumber(line).unwrap_or_else(|| line.to_owned()));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn tokens_grants_and_proxies_are_read() {
    let text = with(&format!(
        "tokens:
- {{ name: alertmanager, sha256: {DIGEST}, expires: 2027-01-31T00:00:00Z }}
- {{ name: ci, file: ci.token }}
grants:
- {{ who: [\"token:alertmanager\"], may: [send], sources: [main, api] }}
- {{ who: [\"group:everyone\", anonymous], may: [view] }}
- {{ who: [\"group:dba\"], may: [approve, operate], policies: [\"a*\"], targets: ['env!=\"prod\"'] }}
- {{ who: [\"token:admin\"], may: [administer] }}
proxy: {{ trusted: [\"10.0.0.0/8\"], user_header: X-Forwarded-User, groups_header: X-Groups }}"
    ));
    let config = parse("/etc/homeostat/homeostat.yml", &text).unwrap_or_else(|r| panic!("{r}"));
    let access = config.access.unwrap();
    let [alertmanager, ci] = &access.tokens[..] else { panic!() };
    let TokenSecret::Sha256(digest) = &alertmanager.secret else { panic!() };
    assert_eq!((digest[0], digest[31]), (0x2b, 0x5b));
    assert_eq!(alertmanager.expires.unwrap().to_string(), "2027-01-31T00:00:00Z");
    assert_eq!(ci.secret, TokenSecret::File("/etc/homeostat/ci.token".into()));
    let [send, view, dba, _] = &access.grants[..] else { panic!() };
    assert_eq!(send.sources.as_ref().unwrap().len(), 2);
    assert_eq!((view.sources.is_none(), view.policies.is_none()), (true, true));
    let may: Vec<Permission> = dba.may.iter().copied().collect();
    assert_eq!(may, [Permission::Operate, Permission::Approve]);
    assert!(dba.policies.as_ref().unwrap()[0].matches("abc"));
    assert!(!dba.targets.matches(&LabelSet::from_pairs([("env", "prod")])));
    let proxy = access.proxy.unwrap();
    assert_eq!(proxy.user_header, "x-forwarded-user");
    assert!(proxy.trusted[0].contains("10.1.2.3".parse().unwrap()));
}

#[test]
fn what_is_wrong_with_a_token_is_told_and_a_token_is_not_shown() {
    let report =
        parse("homeostat.yml", &with("tokens: [{ name: a, sha256: my-secret-token }]\ngrants: []"));
    assert!(!report.unwrap_err().to_string().contains("my-secret"));
    insta::assert_snapshot!(of_access(&format!(
        "tokens:
- {{ name: a, sha256: abc }}
- {{ name: a, file: x, sha256: {DIGEST} }}
- {{ name: b }}
- {{ name: admin, file: x }}
- {{ name: c, token: x }}
- {{ name: d, file: x, expires: tomorrow }}
grants: [{{ who: [\"token:aa\"], may: [send, view] }}]"
    )), @r#"
    2:24 expected the SHA-256 of a token: 64 hexadecimal digits
      => write sha256: …, which `printf %s TOKEN | sha256sum` prints, or file: …
    3:5 a token has either `sha256` or `file`
      => remove one of them
    3:13 a second token is named "a"
      => names are unique
    4:5 this token says nothing of its secret
      => write sha256: …, which `printf %s TOKEN | sha256sum` prints, or file: …
    5:13 no token can be named "admin" here
      => it is that of --web.bearer-token-file
    6:16 unknown key "token" in a token of `access`
      => write sha256: …, which `printf %s TOKEN | sha256sum` prints, or file: …
    7:34 "tomorrow" is not an RFC 3339 time: expected a date as in 2026-11-22
      => write a time as in RFC 3339: 2027-01-31T00:00:00Z
    8:20 no token of `access` is named "aa"
      => did you mean "a"?
    "#);
}

#[test]
fn what_is_wrong_with_a_grant_is_told() {
    insta::assert_snapshot!(of_access(
        "grants:
- { who: [ann, \"usr:ann\", \"user:\"], may: [send, view] }
- { who: [], may: [] }
- { who: [\"user:ann\"], may: [reed, read, reload] }
- { who: [\"user:ann\"], may: [send], sources: [mian] }
- { who: [\"user:ann\"], may: [view], policies: [b, \"a b\"], targets: ['x'] }
- { who: [\"user:ann\"], may: [view, administer], policies: [a] }
- { who: [\"user:ann\"], may: [view, send], sources: [main] }
- { who: [\"user:ann\"], may: [view], teams: [x] }"
    ), @r#"
    2:13 "ann" does not say what it names
      => write user:NAME, token:NAME, cert:SAN, local:NAME or group:NAME, group:everyone for
        all who have a name, or anonymous
    2:18 "usr:ann" names nobody
      => did you mean "user"?
    2:29 "user:" names nobody
      => write user:NAME, token:NAME, cert:SAN, local:NAME or group:NAME, group:everyone for
        all who have a name, or anonymous
    3:12 this grant has no `who`
      => write user:NAME, token:NAME, cert:SAN, local:NAME or group:NAME, group:everyone for
        all who have a name, or anonymous
    3:21 this grant has no `may`
      => write may: [send, view, operate, approve, administer]
    4:32 there is no permission "reed"
      => did you mean "send"?
    4:38 there is no permission "read"
      => did you mean "view"?
    4:44 there is no permission "reload"
      => did you mean "administer"?
    5:49 no source is named "mian"
      => did you mean "main"?
    6:50 warning: no policy is named "b"
      => did you mean "a"?
    6:53 "a b" is no name of a policy, nor a pattern of names
      => `*` stands for any letters: policies: ["db-*"]
    6:73 expected an operator after the label name, found the end of the input
      => the operators are = != =~ !~
    7:61 `policies` does not narrow `administer`
      => give `administer` in a grant of its own
    8:54 `sources` does not narrow `view`
      => give `view` in a grant of its own
    9:39 `teams` is not built yet
      => remove it: an engine that ignored it would be less careful than it says
    "#);
}

#[test]
fn what_is_wrong_with_a_proxy_is_told() {
    insta::assert_snapshot!(of_access(
        "grants: [{ who: [anonymous], may: [send, view] }]
proxy: { trusted: [\"10.0.0\", \"0.0.0.0/0\"], user_header: \"a b\" }"
    ), @r#"
    2:22 "10.0.0" is no address
      => write 10.0.0.5, 10.0.0.0/8 or fd00::/8
    2:32 warning: everybody is trusted to say who they are
    2:59 "a b" is not the name of a header
    "#);
    insta::assert_snapshot!(of_access(
        "grants: [{ who: [anonymous], may: [send, view] }]\nproxy: { groups_header: x }"
    ), @r#"
    2:10 this proxy has no `trusted`
      => write from where it comes: trusted: ["10.0.0.5"]
    2:10 this proxy has no `user_header`
      => write user_header: X-Forwarded-User
    "#);
}

#[test]
fn what_nobody_may_do_is_warned_of() {
    let text =
        format!("access: {{ grants: [] }}\n{SOURCES}{}", policy("mode: approve\nescalate: none"));
    insta::assert_snapshot!(problems(&text), @r#"
    1:9 warning: nobody may approve what policy a asks for
      => what `grants` do not grant is refused
    1:9 warning: nobody may send: no alert comes in
      => what `grants` do not grant is refused
    1:9 warning: nobody may view: no incident is seen by anybody
      => what `grants` do not grant is refused
    "#);
}
