//! What the file of `--web.config.file` means.
//!
//! What exporter-toolkit refuses is refused. A little more is: what it takes and what can only let
//! nobody in, or more than was meant, as a certificate that any public authority may sign.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::files::Files;
use crate::http::Secret;
use crate::nearest::nearest;
use crate::raw::web::{Web, WebHttp, WebRate, WebTls};
use crate::read::{Field, Problems, Spanned, Text};
use crate::report::Problem;
use crate::web::{CipherSuite, ClientAuth, Curve, Pem, RequestRate, ServerTls, TlsVersion};

/// The headers that exporter-toolkit lets one set, and the values that they may have.
const HEADERS: [(&str, &[&str]); 5] = [
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
    ("Content-Security-Policy", &[]),
];

/// Requests that a bucket holds at most; more is no limit.
const BURST: u32 = 1_000_000;

/// What a file means.
pub(crate) struct CheckedWeb {
    pub(crate) tls: Option<ServerTls>,
    pub(crate) http2: bool,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) users: BTreeMap<String, Secret>,
    pub(crate) rate: Option<RequestRate>,
}

/// Checks a file. The meaning counts only if no error was reported.
pub(crate) fn check(file: &Web, files: &Files, problems: &mut Problems) -> CheckedWeb {
    let http = file.http.given();
    CheckedWeb {
        tls: file.tls.given().and_then(|raw| tls(raw, files, problems)),
        http2: http.is_none_or(|http| http.http2.value_or(true)),
        headers: http.map(|http| headers(http, problems)).unwrap_or_default(),
        users: users(&file.users, problems),
        rate: file.rate.given().and_then(|raw| rate(raw, problems)),
    }
}

fn tls(raw: &WebTls, files: &Files, problems: &mut Problems) -> Option<ServerTls> {
    let client_auth = client_auth(&raw.client_auth_type, problems);
    let is_meant = [
        &raw.cert,
        &raw.cert_file,
        &raw.key,
        &raw.key_file,
        &raw.client_ca,
        &raw.client_ca_file,
        &raw.client_auth_type,
    ];
    if is_meant.iter().all(|field| field.is_absent()) {
        let problem = Problem::warning(raw.span.clone(), "no certificate is named: TLS is off");
        problems.report(problem.help("write cert_file: … and key_file: …"));
        return None;
    }
    let certificate = pem("cert", (&raw.cert, &raw.cert_file), files, problems);
    let key = pem("key", (&raw.key, &raw.key_file), files, problems);
    for (name, found) in [("cert", &certificate), ("key", &key)] {
        if *found == Found::Nothing {
            let message = format!("there is neither `{name}_file` nor `{name}`");
            let problem = Problem::error(raw.span.clone(), message);
            problems.report(problem.help(format!("write {name}_file: …")));
        }
    }
    let client_ca = pem("client_ca", (&raw.client_ca, &raw.client_ca_file), files, problems);
    clients(raw, client_auth, &client_ca, problems);
    let sans = raw.client_allowed_sans.given();
    let versions = versions(raw, problems);
    let cipher_suites = suites(&raw.cipher_suites, problems);
    let curves = curves(&raw.curve_preferences, problems);
    let (Found::Pem(certificate), Found::Pem(key)) = (certificate, key) else { return None };
    Some(ServerTls {
        certificate,
        key,
        client_auth: client_auth?,
        client_ca: match client_ca {
            Found::Pem(pem) => Some(pem),
            Found::Nothing | Found::Wrong => None,
        },
        allowed_sans: sans.map(|l| l.value.iter().map(|text| text.value.clone()).collect()),
        versions: versions?,
        cipher_suites,
        prefer_server_cipher_suites: raw.prefer_server_cipher_suites.value_or(true),
        curves,
    })
}

/// What certificates of clients are good for.
fn clients(
    raw: &WebTls,
    client_auth: Option<ClientAuth>,
    client_ca: &Found,
    problems: &mut Problems,
) {
    let Some(client_auth) = client_auth else { return };
    let place = |field: &Field<Text>| field.given().map(|text| text.span.clone());
    if let Found::Pem(_) = client_ca
        && client_auth == ClientAuth::Nothing
    {
        let place = place(&raw.client_ca_file).or_else(|| place(&raw.client_ca));
        let message = "no client is asked for a certificate";
        let problem = Problem::error(place.unwrap_or_else(|| raw.span.clone()), message);
        problems.report(problem.help("add client_auth_type: RequireAndVerifyClientCert"));
    }
    if *client_ca == Found::Nothing && client_auth.verifies() {
        let place = place(&raw.client_auth_type).unwrap_or_else(|| raw.span.clone());
        let message = "nobody is named who may vouch for clients";
        problems.report(Problem::error(place, message).help(
            "add client_ca_file: …; without it, whoever has a certificate of any authority that \
             this system knows would be let in",
        ));
    }
    if let Some(sans) = raw.client_allowed_sans.given()
        && client_auth == ClientAuth::Nothing
    {
        let message = "no client is asked for a certificate";
        let problem = Problem::error(sans.span.clone(), message);
        problems.report(problem.help("add client_auth_type: RequireAndVerifyClientCert"));
    }
    if matches!(client_auth, ClientAuth::Request | ClientAuth::RequireAny) {
        let place = place(&raw.client_auth_type).unwrap_or_else(|| raw.span.clone());
        let message = "nobody looks who vouches for these certificates: they let nobody in";
        let problem = Problem::warning(place, message);
        problems.report(problem.help("write RequireAndVerifyClientCert, VerifyClientCertIfGiven"));
    }
}

/// What two keys say of one thing.
#[derive(PartialEq)]
enum Found {
    Nothing,
    Wrong,
    Pem(Pem),
}

fn pem(
    key: &str,
    (inline, file): (&Field<Text>, &Field<Text>),
    files: &Files,
    problems: &mut Problems,
) -> Found {
    match (inline, file) {
        (Field::Absent, Field::Absent) => Found::Nothing,
        (Field::Given(text), Field::Absent) => Found::Pem(Pem::Inline(text.value.clone())),
        (Field::Absent, Field::Given(text)) => {
            Found::Pem(Pem::File(files.resolve(&text.span, &text.value)))
        }
        (Field::Given(_), Field::Given(text)) => {
            let message = format!("`{key}` and `{key}_file` are both given");
            let problem = Problem::error(text.span.clone(), message);
            problems.report(problem.help("remove one of them"));
            Found::Wrong
        }
        (Field::Wrong, _) | (_, Field::Wrong) => Found::Wrong,
    }
}

fn client_auth(field: &Field<Text>, problems: &mut Problems) -> Option<ClientAuth> {
    let text = match field {
        Field::Absent => return Some(ClientAuth::Nothing),
        Field::Wrong => return None,
        Field::Given(text) => text,
    };
    if text.value == "RequireClientCert" {
        return Some(ClientAuth::RequireAny);
    }
    let found = ClientAuth::ALL.into_iter().find(|known| known.as_str() == text.value);
    if found.is_none() {
        let names = ClientAuth::ALL.map(ClientAuth::as_str);
        let message = format!("there is no client_auth_type {:?}", text.value);
        problems.report(unknown(text, message, &names));
    }
    found
}

fn unknown(text: &Text, message: String, names: &[&str]) -> Problem {
    let help = match nearest(&text.value, names.iter().copied()) {
        Some(meant) => format!("did you mean {meant:?}?"),
        None => format!("there are {}", names.join(", ")),
    };
    Problem::error(text.span.clone(), message).help(help)
}

fn versions(raw: &WebTls, problems: &mut Problems) -> Option<Vec<TlsVersion>> {
    let mut read = |field: &Field<Text>, default| match field {
        Field::Absent => Some(default),
        Field::Wrong => None,
        Field::Given(text) => match text.value.as_str() {
            "TLS12" => Some(TlsVersion::Tls12),
            "TLS13" => Some(TlsVersion::Tls13),
            "TLS10" | "TLS11" => {
                let message = format!("{} is not spoken here", text.value);
                let problem = Problem::error(text.span.clone(), message);
                problems.report(problem.help("there are TLS12 and TLS13"));
                None
            }
            _ => {
                let message = format!("there is no version {:?} of TLS", text.value);
                problems.report(unknown(text, message, &["TLS12", "TLS13"]));
                None
            }
        },
    };
    let least = read(&raw.min_version, TlsVersion::Tls12);
    let most = read(&raw.max_version, TlsVersion::Tls13);
    let (least, most) = (least?, most?);
    if least > most {
        let place = raw.max_version.given().map_or_else(|| raw.span.clone(), |t| t.span.clone());
        let message = "no version is left between `min_version` and `max_version`";
        problems.report(Problem::error(place, message));
    }
    let all = [TlsVersion::Tls13, TlsVersion::Tls12];
    Some(all.into_iter().filter(|version| (least..=most).contains(version)).collect())
}

fn suites(field: &Field<Spanned<Vec<Text>>>, problems: &mut Problems) -> Option<Vec<CipherSuite>> {
    let list = field.given().filter(|list| !list.value.is_empty())?;
    let mut found = Vec::new();
    for text in &list.value {
        if CipherSuite::OF_TLS13.contains(&&*text.value) {
            continue;
        }
        let known = CipherSuite::ALL.iter().find(|(name, _)| *name == text.value);
        if let Some((_, suite)) = known {
            found.push(*suite);
        } else {
            let names = CipherSuite::ALL.map(|(name, _)| name);
            let message = format!("there is no cipher suite {:?} here", text.value);
            let problem = Problem::error(text.span.clone(), message);
            problems.report(problem.help(format!("there are {}", names.join(", "))));
        }
    }
    Some(found)
}

fn curves(field: &Field<Spanned<Vec<Text>>>, problems: &mut Problems) -> Option<Vec<Curve>> {
    let list = field.given().filter(|list| !list.value.is_empty())?;
    let mut found = Vec::new();
    for text in &list.value {
        let known = Curve::ALL.iter().find(|(name, _)| *name == text.value);
        if let Some((_, curve)) = known {
            found.push(*curve);
        } else {
            let names = Curve::ALL.map(|(name, _)| name);
            let message = format!("there is no curve {:?} here", text.value);
            let problem = Problem::error(text.span.clone(), message);
            problems.report(problem.help(format!("there are {}", names.join(", "))));
        }
    }
    Some(found)
}

fn headers(raw: &WebHttp, problems: &mut Problems) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    for (name, value) in raw.headers.given().map_or(&[][..], Vec::as_slice) {
        let Some((_, values)) = HEADERS.iter().find(|(known, _)| *known == name.value) else {
            let names = HEADERS.map(|(name, _)| name);
            let message = format!("the header {:?} cannot be set here", name.value);
            problems.report(unknown(name, message, &names));
            continue;
        };
        if !values.is_empty() && !values.contains(&&*value.value) {
            let message = format!("{} cannot be {:?}", name.value, value.value);
            let problem = Problem::error(value.span.clone(), message);
            problems.report(problem.help(format!("it may be {}", values.join(" or "))));
        } else if http::HeaderValue::from_str(&value.value).is_err() {
            let message = "this cannot be the value of a header";
            problems.report(Problem::error(value.span.clone(), message));
        } else if !value.value.is_empty() {
            headers.push((name.value.clone(), value.value.clone()));
        }
    }
    headers
}

fn users(field: &Field<Vec<(Text, Text)>>, problems: &mut Problems) -> BTreeMap<String, Secret> {
    let mut users = BTreeMap::new();
    for (name, hash) in field.given().map_or(&[][..], Vec::as_slice) {
        if name.value.is_empty() || name.value.contains(':') {
            let message = "this cannot be the name of a user: basic auth ends it at a colon";
            problems.report(Problem::error(name.span.clone(), message));
        }
        if !is_bcrypt(&hash.value) {
            let message = format!("this is not the bcrypt hash of {}'s password", name.value);
            let problem = Problem::error(hash.span.clone(), message);
            problems.report(
                problem.help(
                    "`htpasswd -nBC 10 \"\" | tr -d ':\\n'` asks for a password and prints one",
                ),
            );
        }
        users.insert(name.value.clone(), Secret::new(hash.value.clone()));
    }
    users
}

/// Source: `newFromHash` of golang.org/x/crypto/bcrypt, which looks at the version and the cost.
fn is_bcrypt(hash: &str) -> bool {
    let Some(rest) = hash.strip_prefix("$2") else { return false };
    let Some(rest) = rest.strip_prefix(['a', 'b', 'x', 'y']) else { return false };
    let mut parts = rest.split('$');
    let (Some(""), Some(cost), Some(hash), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/');
    let is_cost = cost.len() == 2 && cost.parse().is_ok_and(|cost: u8| (4..=31).contains(&cost));
    is_cost && hash.len() == 53 && hash.bytes().all(is_letter)
}

fn rate(raw: &WebRate, problems: &mut Problems) -> Option<RequestRate> {
    let text = raw.interval.given()?;
    let Some(interval) = go_duration(&text.value) else {
        let message = format!("{:?} is not a duration", text.value);
        let problem = Problem::error(text.span.clone(), message);
        problems.report(problem.help("durations are Go's here: 100ms, 1.5s, 1m30s"));
        return None;
    };
    if interval.is_zero() {
        return None;
    }
    let burst = raw.burst.value_or(0);
    if burst == 0 || burst > BURST {
        let place = raw.burst.given().map_or_else(|| raw.span.clone(), |count| count.span.clone());
        let message = format!("`burst` must be from 1 to {BURST}");
        let problem = Problem::error(place, message);
        problems.report(problem.help("with 0, which is what it is if left out, nothing is let in"));
    }
    Some(RequestRate { interval, burst })
}

/// Reads a duration as Go's `time.ParseDuration` does, as far as it is not negative; a number alone
/// is nanoseconds, as its YAML reads it.
fn go_duration(text: &str) -> Option<Duration> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().map(Duration::from_nanos);
    }
    let (mut rest, mut nanos) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        nanos += number
            * match &rest[..end] {
                "ns" => 1.0,
                "us" | "µs" | "μs" => 1e3,
                "ms" => 1e6,
                "s" => 1e9,
                "m" => 60e9,
                "h" => 3600e9,
                _ => return None,
            };
        rest = &rest[end..];
    }
    Duration::try_from_secs_f64(nanos / 1e9).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        for (text, millis) in [
            ("1s", 1000),
            ("100ms", 100),
            ("1.5s", 1500),
            ("1m30s", 90_000),
            ("0", 0),
            ("1000000", 1),
        ] {
            assert_eq!(go_duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for wrong in ["1", "s", "1d", "-1s", "1s 2s", "one"] {
            let read = go_duration(wrong);
            assert!(read.is_none() || wrong == "1", "{wrong}: {read:?}");
        }
    }

    #[test]
    fn a_hash_of_bcrypt_is_told_from_other_texts() {
        let hash = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";
        assert!(is_bcrypt(hash) && is_bcrypt(&hash.replace("2y", "2a")));
        for wrong in ["", "secret", &hash[1..], &hash[..59], &hash.replace("$10$", "$03$"), "$1$x"]
        {
            assert!(!is_bcrypt(wrong), "{wrong}");
        }
    }
}
