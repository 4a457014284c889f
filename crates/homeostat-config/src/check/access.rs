//! Who may do what.

use std::collections::BTreeSet;
use std::path::PathBuf;

use homeostat_core::label::Matchers;
use homeostat_core::name::SourceName;
use homeostat_core::policy::{Mode, Policy};
use homeostat_core::time::Timestamp;

use super::{Names, about, oidc, policy};
use crate::access::{
    Access, AccessToken, Grant, Network, Pattern, Permission, TokenSecret, TrustedProxy,
};
use crate::config::Sources;
use crate::files::Files;
use crate::nearest::nearest;
use crate::read::{Field, Problems, Spanned, Text};
use crate::report::Problem;
use crate::{limits, raw};

/// The token of `--web.bearer-token-file`.
const ADMIN: &str = "admin";

/// What comes before the name of an identity or of a group.
pub(crate) const KINDS: [&str; 5] = ["user", "token", "cert", "local", "group"];

const NAMES_HELP: &str = "write user:NAME, token:NAME, cert:SAN, local:NAME or group:NAME, \
     group:everyone for all who have a name, or anonymous";

/// What grants may be about.
struct Around<'a> {
    tokens: BTreeSet<&'a str>,
    sources: Vec<&'a str>,
    policies: &'a [Policy],
}

/// Checks all of it.
pub(super) fn check(
    raw: &raw::access::Access,
    sources: &Sources,
    policies: &[Policy],
    files: &Files,
    problems: &mut Problems,
) -> Access {
    let mut names = Names::of("token");
    let list = raw.tokens.given().map_or(&[][..], |list| &list.value);
    too_many(&raw.tokens, limits::TOKENS, "tokens", problems);
    let tokens: Vec<AccessToken> =
        list.iter().filter_map(|raw| token(raw, &mut names, files, problems)).collect();
    let alertmanagers = sources.alertmanagers.iter().map(|source| &source.name);
    let webhooks = sources.webhooks.iter().map(|source| &source.name);
    let named = alertmanagers.chain(webhooks).map(SourceName::as_str);
    let around = Around {
        tokens: list.iter().filter_map(|raw| Some(&*raw.name.given()?.value)).collect(),
        sources: named.chain([SourceName::API, SourceName::BARE]).collect(),
        policies,
    };
    too_many(&raw.grants, limits::GRANTS, "grants", problems);
    let list = raw.grants.given().map_or(&[][..], |list| &list.value);
    let grants: Vec<Grant> = list.iter().map(|raw| grant(raw, &around, problems)).collect();
    let proxy = raw.proxy.given().and_then(|raw| proxy(raw, problems));
    let oidc = raw.oidc.given().and_then(|raw| oidc::check(raw, files, problems));
    let access = Access { tokens, grants, proxy, oidc };
    if !matches!(raw.grants, Field::Wrong) {
        warn_of_nobody(raw, &access.grants, policies, problems);
    }
    access
}

fn too_many<T>(list: &Field<Spanned<Vec<T>>>, most: usize, what: &str, problems: &mut Problems) {
    if let Some(list) = list.given()
        && list.value.len() > most
    {
        problems.report(Problem::error(list.span.clone(), format!("more than {most} {what}")));
    }
}

fn token(
    raw: &raw::access::Token,
    names: &mut Names,
    files: &Files,
    problems: &mut Problems,
) -> Option<AccessToken> {
    let name = names.check(&raw.name, &raw.span, problems);
    if let Some(text) = raw.name.given()
        && name == ADMIN
    {
        let problem = Problem::error(text.span.clone(), "no token can be named \"admin\" here");
        problems.report(problem.help("it is that of --web.bearer-token-file"));
    }
    let expires = raw.expires.given().and_then(|text| moment(text, problems));
    let secret = secret(raw, files, problems)?;
    Some(AccessToken { name, secret, expires })
}

fn moment(text: &Text, problems: &mut Problems) -> Option<Timestamp> {
    match text.value.parse() {
        Ok(moment) => Some(moment),
        Err(error) => {
            let error: homeostat_core::time::ParseTimestampError = error;
            let problem = Problem::error(text.span.clone(), error.to_string());
            problems.report(problem.help("write a time as in RFC 3339: 2027-01-31T00:00:00Z"));
            None
        }
    }
}

const WAYS: &str = "write sha256: …, which `printf %s TOKEN | sha256sum` prints, or file: …";

fn secret(raw: &raw::access::Token, files: &Files, problems: &mut Problems) -> Option<TokenSecret> {
    match (&raw.sha256, &raw.file) {
        (Field::Given(text), Field::Absent) => {
            let digest = digest(&text.value);
            if digest.is_none() {
                let message = "expected the SHA-256 of a token: 64 hexadecimal digits";
                problems.report(Problem::error(text.span.clone(), message).help(WAYS));
            }
            digest.map(TokenSecret::Sha256)
        }
        (Field::Absent, Field::Given(text)) => {
            Some(TokenSecret::File(secret_file(text, files, problems)))
        }
        (Field::Absent, Field::Absent) => {
            let problem = Problem::error(raw.span.clone(), "this token says nothing of its secret");
            problems.report(problem.help(WAYS));
            None
        }
        (Field::Given(_) | Field::Wrong, Field::Given(_) | Field::Wrong) => {
            let message = "a token has either `sha256` or `file`";
            problems.report(Problem::error(raw.span.clone(), message).help("remove one of them"));
            None
        }
        (Field::Wrong, Field::Absent) | (Field::Absent, Field::Wrong) => None,
    }
}

fn digest(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, place) in digest.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&text[place..place + 2], 16).ok()?;
    }
    Some(digest)
}

fn grant(raw: &raw::access::Grant, around: &Around<'_>, problems: &mut Problems) -> Grant {
    let who = words(&raw.who, "who", raw, problems);
    for text in who {
        if let Some((message, help)) = wrong_name(&text.value, &around.tokens) {
            problems.report(Problem::error(text.span.clone(), message).help(help));
        }
    }
    let who: Vec<String> = who.iter().map(|text| text.value.clone()).collect();
    let permissions = words(&raw.may, "may", raw, problems);
    let may: BTreeSet<Permission> =
        permissions.iter().filter_map(|text| permission(text, problems)).collect();
    let sources = raw.sources.given().map(|list| senders(list, around, problems));
    let policies = raw.policies.given().map(|list| patterns(list, around, problems));
    let policies = match raw.teams.given() {
        Some(list) => Some(of_teams(list, policies.as_deref(), around.policies, problems)),
        None => policies,
    };
    let targets = raw.targets.given();
    let targets =
        targets.map_or_else(Matchers::default, |list| policy::parsed(&list.value, problems));
    // What could not be read has been told of: nothing further follows from it.
    if !permissions.is_empty() && may.len() == permissions.len() {
        misplaced(raw, &may, problems);
    }
    Grant { who, may, sources, policies, targets }
}

/// The words of a list that must not be empty.
fn words<'a>(
    list: &'a raw::Words,
    key: &str,
    raw: &raw::access::Grant,
    problems: &mut Problems,
) -> &'a [Text] {
    match list {
        Field::Given(list) if !list.value.is_empty() => &list.value,
        Field::Wrong => &[],
        Field::Given(_) | Field::Absent => {
            let place = list.given().map_or(&raw.span, |list| &list.span).clone();
            let problem = Problem::error(place, format!("this grant has no `{key}`"));
            problems.report(problem.help(if key == "who" {
                NAMES_HELP.to_owned()
            } else {
                format!("write may: [{}]", Permission::ALL.map(Permission::as_str).join(", "))
            }));
            &[]
        }
    }
}

/// Tells why a text names no identity and no group.
pub(super) fn wrong_name(text: &str, tokens: &BTreeSet<&str>) -> Option<(String, String)> {
    if text == "anonymous" {
        return None;
    }
    let Some((kind, name)) = text.split_once(':') else {
        let message = format!("{text:?} does not say what it names");
        return Some((message, NAMES_HELP.into()));
    };
    if !KINDS.contains(&kind) || name.is_empty() {
        let meant = nearest(kind, KINDS).filter(|meant| *meant != kind);
        let help = meant.map_or(NAMES_HELP.into(), |meant| format!("did you mean {meant:?}?"));
        return Some((format!("{text:?} names nobody"), help));
    }
    if kind == "token" && name != ADMIN && !tokens.contains(name) {
        let message = format!("no token of `access` is named {name:?}");
        let help = match nearest(name, tokens.iter().copied()) {
            Some(meant) => format!("did you mean {meant:?}?"),
            None => "add it to `tokens`".into(),
        };
        return Some((message, help));
    }
    None
}

fn permission(text: &Text, problems: &mut Problems) -> Option<Permission> {
    let words = Permission::ALL.map(Permission::as_str);
    let found = Permission::ALL.into_iter().find(|known| known.as_str() == text.value);
    if found.is_none() {
        let meant = match text.value.as_str() {
            "read" | "list" | "get" | "see" => Some("view"),
            "post" | "write" | "fire" => Some("send"),
            "admin" | "reload" => Some("administer"),
            "pause" | "resume" | "cancel" | "retry" => Some("operate"),
            "reject" => Some("approve"),
            other => nearest(other, words),
        };
        let help = match meant {
            Some(meant) => format!("did you mean {meant:?}?"),
            None => format!("permissions are {}", words.join(", ")),
        };
        let message = format!("there is no permission {:?}", text.value);
        problems.report(Problem::error(text.span.clone(), message).help(help));
    }
    found
}

fn senders(
    list: &Spanned<Vec<Text>>,
    around: &Around<'_>,
    problems: &mut Problems,
) -> Vec<SourceName> {
    for text in &list.value {
        if around.sources.contains(&&*text.value) {
            continue;
        }
        let message = format!("no source is named {:?}", text.value);
        let help = match nearest(&text.value, around.sources.iter().copied()) {
            Some(meant) => format!("did you mean {meant:?}?"),
            None => "name an Alertmanager or a webhook of `sources`, or `api` for the alerts API \
                     that Prometheus posts to"
                .to_owned(),
        };
        problems.report(Problem::error(text.span.clone(), message).help(help));
    }
    list.value.iter().map(|text| SourceName::new(&text.value)).collect()
}

fn patterns(
    list: &Spanned<Vec<Text>>,
    around: &Around<'_>,
    problems: &mut Problems,
) -> Vec<Pattern> {
    let of = |text: &Text| Pattern::new(text.value.clone());
    for text in &list.value {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-*".contains(&byte);
        if text.value.is_empty() || !text.value.bytes().all(is_plain) {
            let message =
                format!("{:?} is no name of a policy, nor a pattern of names", text.value);
            let problem = Problem::error(text.span.clone(), message);
            problems.report(problem.help("`*` stands for any letters: policies: [\"db-*\"]"));
            continue;
        }
        let mut policies = around.policies.iter();
        if !policies.any(|policy| of(text).matches(policy.name.as_str())) {
            let message = format!("no policy is named {:?}", text.value);
            let names = around.policies.iter().map(|policy| policy.name.as_str());
            let problem = Problem::warning(text.span.clone(), message);
            problems.report(match nearest(&text.value, names) {
                Some(meant) => problem.help(format!("did you mean {meant:?}?")),
                None => problem,
            });
        }
    }
    list.value.iter().map(of).collect()
}

/// The policies of teams, by name, as far as they are among these: a reload that gives a policy to another
/// team takes it from those who may do something with the policies of this one.
fn of_teams(
    list: &Spanned<Vec<Text>>,
    among: Option<&[Pattern]>,
    policies: &[Policy],
    problems: &mut Problems,
) -> Vec<Pattern> {
    for text in &list.value {
        about::known_team(text, policies, problems);
    }
    let is_theirs = |policy: &&Policy| {
        let team = policy.about.team.as_ref();
        team.is_some_and(|team| list.value.iter().any(|text| text.value == team.as_str()))
    };
    let theirs: Vec<&Policy> = policies.iter().filter(is_theirs).collect();
    let is_meant = |policy: &&&Policy| {
        let matches = |pattern: &Pattern| pattern.matches(policy.name.as_str());
        among.is_none_or(|among| among.iter().any(matches))
    };
    let meant = theirs.iter().filter(is_meant);
    let meant: Vec<Pattern> = meant.map(|policy| Pattern::new(policy.name.as_str())).collect();
    if meant.is_empty() && !theirs.is_empty() {
        let message = "none of these policies is of these teams: nothing is granted";
        problems.report(Problem::warning(list.span.clone(), message));
    }
    meant
}

/// What narrows a grant must narrow all that it grants: what it could not narrow would be granted
/// whole, which is not what it looks like.
fn misplaced(raw: &raw::access::Grant, may: &BTreeSet<Permission>, problems: &mut Problems) {
    let about = |permission: &Permission| match permission {
        Permission::Send => "sources",
        Permission::View | Permission::Operate | Permission::Approve => "policies",
        Permission::Administer => "nothing",
    };
    for (key, list, narrows) in [
        ("sources", &raw.sources, "sources"),
        ("policies", &raw.policies, "policies"),
        ("teams", &raw.teams, "policies"),
        ("targets", &raw.targets, "policies"),
    ] {
        let Some(list) = list.given() else { continue };
        if let Some(whole) = may.iter().find(|permission| about(permission) != narrows) {
            let message = format!("`{key}` does not narrow `{whole}`");
            let problem = Problem::error(list.span.clone(), message);
            problems.report(problem.help(format!("give `{whole}` in a grant of its own")));
        }
    }
}

fn proxy(raw: &raw::access::Proxy, problems: &mut Problems) -> Option<TrustedProxy> {
    let trusted = match &raw.trusted {
        Field::Given(list) if !list.value.is_empty() => &list.value[..],
        Field::Wrong => &[],
        Field::Given(_) | Field::Absent => {
            let problem = Problem::error(raw.span.clone(), "this proxy has no `trusted`");
            problems.report(problem.help("write from where it comes: trusted: [\"10.0.0.5\"]"));
            &[]
        }
    };
    let mut networks = Vec::new();
    for text in trusted {
        let Some(network) = Network::parse(&text.value) else {
            let message = format!("{:?} is no address", text.value);
            let problem = Problem::error(text.span.clone(), message);
            problems.report(problem.help("write 10.0.0.5, 10.0.0.0/8 or fd00::/8"));
            continue;
        };
        if network.is_everybody() {
            let message = "everybody is trusted to say who they are";
            problems.report(Problem::warning(text.span.clone(), message));
        }
        networks.push(network);
    }
    if raw.user_header.is_absent() {
        let problem = Problem::error(raw.span.clone(), "this proxy has no `user_header`");
        problems.report(problem.help("write user_header: X-Forwarded-User"));
    }
    let user_header = header(raw.user_header.given()?, problems)?;
    let groups_header = raw.groups_header.given().and_then(|text| header(text, problems));
    Some(TrustedProxy { trusted: networks, user_header, groups_header })
}

/// The file of a secret that we read ourselves.
pub(super) fn secret_file(text: &Text, files: &Files, problems: &mut Problems) -> PathBuf {
    let path = files.resolve(&text.span, &text.value);
    if problems.looks_around() && !path.is_file() {
        let message = format!("there is no file {} on this machine", path.display());
        problems.report(Problem::warning(text.span.clone(), message));
    }
    path
}

/// The name of a header that others send.
pub(super) fn header(text: &Text, problems: &mut Problems) -> Option<String> {
    if http::HeaderName::try_from(text.value.as_str()).is_ok() {
        return Some(text.value.to_ascii_lowercase());
    }
    let message = format!("{:?} is not the name of a header", text.value);
    problems.report(Problem::error(text.span.clone(), message));
    None
}

/// Default deny can leave an engine that nobody can use.
fn warn_of_nobody(
    raw: &raw::access::Access,
    grants: &[Grant],
    policies: &[Policy],
    problems: &mut Problems,
) {
    let is_granted = |permission| grants.iter().any(|grant| grant.may.contains(&permission));
    let mut warn = |message: String| {
        let problem = Problem::warning(raw.span.clone(), message);
        problems.report(problem.help("what `grants` do not grant is refused"));
    };
    if !is_granted(Permission::Send) {
        warn("nobody may send: no alert comes in".into());
    }
    if !is_granted(Permission::View) {
        warn("nobody may view: no incident is seen by anybody".into());
    }
    let asks = |policy: &&Policy| {
        policy.mode == Mode::Approve
            || policy.remedies.iter().any(|remedy| remedy.mode == Mode::Approve)
    };
    let may_approve = |policy: &Policy| {
        let mut grants = grants.iter().filter(|grant| grant.may.contains(&Permission::Approve));
        grants.any(|grant| {
            grant.policies.as_ref().is_none_or(|policies| {
                policies.iter().any(|pattern| pattern.matches(policy.name.as_str()))
            })
        })
    };
    if let Some(policy) = policies.iter().filter(asks).find(|policy| !may_approve(policy)) {
        warn(format!("nobody may approve what policy {} asks for", policy.name));
    }
}
