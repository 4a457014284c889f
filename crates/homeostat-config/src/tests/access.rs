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
    9:47 no policy is of a team "x"
      => a policy says whose it is: team: NAME
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

#[test]
fn a_provider_of_openid_connect_is_read() {
    let text = with(
        "oidc:
  issuer: https://idp.example/realms/main
  client_id: homeostat
  client_secret_file: oidc.secret
  audience: api
  username_claim: email
  tls_config: { ca_file: ca.pem }
  proxy_url: http://proxy.example:3128
grants: [{ who: [\"group:sre\"], may: [send, view] }]",
    );
    let config = parse("/etc/homeostat/homeostat.yml", &text).unwrap_or_else(|r| panic!("{r}"));
    let provider = config.access.unwrap().oidc.unwrap();
    assert_eq!(provider.issuer, "https://idp.example/realms/main");
    assert_eq!(
        (provider.username_claim.as_str(), provider.groups_claim.as_str()),
        ("email", "groups")
    );
    assert_eq!(provider.audience.as_deref(), Some("api"));
    assert_eq!(provider.tls.ca_file, Some("/etc/homeostat/ca.pem".into()));
    assert!(provider.proxy.is_some());
    let client = provider.client.unwrap();
    let secret = SecretSource::File("/etc/homeostat/oidc.secret".into());
    assert_eq!((client.client_id.as_str(), client.client_secret), ("homeostat", Some(secret)));
    assert_eq!(
        (client.scopes, client.session),
        (vec!["openid".into(), "profile".into()], Span::from_secs(28_800))
    );
    let text = with("oidc: { issuer: \"http://127.0.0.1:9400\", audience: api }\ngrants: []");
    let provider = parse("homeostat.yml", &text).unwrap().access.unwrap().oidc.unwrap();
    assert_eq!((provider.client, provider.username_claim.as_str()), (None, "sub"));
}

#[test]
fn what_is_wrong_with_a_provider_is_told_and_its_secret_is_not_shown() {
    let granted = "grants: [{ who: [anonymous], may: [send, view] }]\n";
    insta::assert_snapshot!(of_access(&format!(
        "{granted}oidc:
  issuer: http://idp.example/?x
  client_id: a b
  client_secret: s3cret
  client_secret_file: x
  scopes: [profile, \"a b\"]
  session: 3d
  issuer_url: x
  redirect_uri: x
  groops_claim: x"
    )), @r#"
    3:13 an issuer has no `?` and no `#`
      => write it as the provider calls itself
    3:13 whoever is on the way there can say who somebody is
      => write https://…; http is for this machine only
    4:16 `client_id` is one word
    6:25 `client_secret` and `client_secret_file` exclude each other
      => remove one of them
    7:13 without the scope `openid` no provider says who somebody is
      => add it: scopes: [openid, …]
    7:23 a scope is one word
      => write each as an element: scopes: [openid, profile]
    8:14 a session lasts for 5m at least, and 12h at most
    9:5 unknown key "issuer_url" in `oidc` of access
      => write `issuer`
    10:5 unknown key "redirect_uri" in `oidc` of access
      => people come back to --web.external-url
    11:5 unknown key "groops_claim" in `oidc` of access
      => did you mean "groups_claim"?
    "#);
    insta::assert_snapshot!(of_access(&format!(
        "{granted}oidc: {{ issuer: \"http://idp.example\", scopes: [openid], session: 1h }}"
    )), @r#"
    2:9 nobody can come by this `oidc`
      => add client_id: … to let people sign in at the page, audience: … for the tokens of
        programs, or both
    2:19 whoever is on the way there can say who somebody is
      => write https://…; http is for this machine only
    2:49 `scopes` is about sign-in, and there is no `client_id`
      => add client_id: …, as the provider knows us
    2:68 `session` is about sign-in, and there is no `client_id`
      => add client_id: …, as the provider knows us
    "#);
    insta::assert_snapshot!(of_access(&format!(
        "{granted}oidc: {{ issuer: \"https://a:b@idp.example\", client_id: $ID }}"
    )), @r#"
    2:19 an issuer has no credentials
    2:57 warning: variables of the environment are not expanded here
      => write the value, or name a file that has it
    "#);
    insta::assert_snapshot!(of_access(&format!(
        "{granted}oidc: {{ client_id: x, issuer: \"https://x/.well-known/openid-configuration\" }}"
    )), @r#"
    2:33 this is where the issuer says what it has
      => write what comes before /.well-known
    "#);
    insta::assert_snapshot!(of_access(&format!("{granted}oidc: {{ audience: \"\" }}")), @r#"
    2:9 this `oidc` has no `issuer`
      => add its URL: issuer: https://…
    2:21 `audience` is one word
    "#);
    let report =
        parse("homeostat.yml", &with("oidc: { issuer: x, client_secret: hunter2 }\ngrants: []"));
    assert!(!report.unwrap_err().to_string().contains("hunter2"));
}
