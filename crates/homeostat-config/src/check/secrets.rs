//! Secrets where they are written down: in arguments, which every process may read and the journal
//! keeps, and in URLs, which are logged.

use url::Url;

use super::words::Whose;
use crate::raw::request::is_secret;
use crate::read::{Problems, Text};
use crate::report::Problem;

/// How the names of options and variables end whose values are secret.
const NAMES: [&str; 11] = [
    "password",
    "passwd",
    "secret",
    "token",
    "apikey",
    "api-key",
    "api_key",
    "access-key",
    "access_key",
    "authorization",
    "cookie",
];

/// How tokens begin that say what they are.
const TOKENS: [&str; 9] =
    ["ghp_", "gho_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "sk_live_", "AKIA", "eyJhbGciOi"];

/// Where a path is all that a sender needs, and how it begins.
const HOOKS: [(&str, &str); 6] = [
    ("hooks.slack.com", "/services/"),
    ("discord.com", "/api/webhooks/"),
    ("discordapp.com", "/api/webhooks/"),
    ("api.telegram.org", "/bot"),
    ("webhook.office.com", "/"),
    ("hooks.zapier.com", "/"),
];

/// From how many characters on a part of a path may be a random one.
const RANDOM_CHARS: usize = 24;

const IN_A_REMEDY: &str = "hand it over, secrets: { NAME: /PATH }, and let a `script` read it from \
     $HOMEOSTAT_SECRETS/NAME, or name a file: most programs have an option for it";
const IN_A_CHANNEL: &str = "name a file: most programs have an option for it";

/// What to do about a URL of a request that says a secret.
pub(super) const IN_A_REQUEST: &str = "send it as a header: headers: { NAME: { file: … } }; where \
     the service takes none, let a program read it from a file: exec: […]";

/// What to do about a URL of a webhook that says a secret.
pub(super) const IN_A_WEBHOOK: &str = "write it into a file that only Homeostat can read, and name \
     that: url_file: …";

/// Warns of arguments that look like secrets. They are not shown.
pub(super) fn check(argv: &[Text], whose: Whose<'_>, problems: &mut Problems) {
    let help = match whose {
        Whose::Remedy(_) => IN_A_REMEDY,
        Whose::Channel | Whose::Host | Whose::Unit => IN_A_CHANNEL,
    };
    let words: Vec<&str> = argv.iter().map(|text| text.value.as_str()).collect();
    for (at, text) in argv.iter().enumerate().skip(1) {
        if is_secret_word(&words, at) {
            problems.conceal(text.span.clone());
            let message = "this looks like a secret, and commands are written down and listed";
            problems.report(Problem::warning(text.span.clone(), message).help(help));
        }
    }
}

fn is_secret_word(words: &[&str], at: usize) -> bool {
    let (program, before, word) = (words[0].rsplit('/').next(), words[at - 1], words[at]);
    if word.contains("{{") || word.contains('$') {
        return false;
    }
    let is_value = |value: &str| !value.is_empty() && !value.starts_with(['-', '/', '@', '<']);
    let is_header = |(name, value): (&str, &str)| names_a_secret(name) && is_value(value.trim());
    let url = Url::parse(word).ok();
    TOKENS.iter().any(|token| word.starts_with(token))
        || before.starts_with("--") && names_a_secret(before) && is_value(word)
        || word.split_once('=').is_some_and(|(name, value)| names_a_secret(name) && is_value(value))
        || word.split_once(": ").is_some_and(is_header)
        || url.is_some_and(|url| url.password().is_some() || is_in_path(&url))
        || matches!(before, "-u" | "--user") && program == Some("curl") && word.contains(':')
        || before == "-p" && program == Some("sshpass")
}

fn names_a_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    name.chars().all(is_word) && NAMES.iter().any(|end| name.ends_with(end))
}

/// Warns of a URL that says a secret.
pub(super) fn check_url(text: &Text, url: &Url, help: &str, problems: &mut Problems) {
    let message = if let Some((name, _)) = url.query_pairs().find(|(name, _)| is_secret(name)) {
        format!("{name:?} looks like a secret, and URLs are written down")
    } else if is_in_path(url) {
        "this path looks like a secret, and URLs are written down".to_owned()
    } else {
        return;
    };
    problems.conceal(text.span.clone());
    problems.report(Problem::warning(text.span.clone(), message).help(help));
}

fn is_in_path(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let is_hook = HOOKS.iter().any(|(of, path)| {
        let is_host = host == *of || host.strip_suffix(of).is_some_and(|sub| sub.ends_with('.'));
        is_host && url.path().len() > path.len() && url.path().starts_with(path)
    });
    let is_random = |part: &str| {
        let has = |kind: fn(&u8) -> bool| part.bytes().any(|b| kind(&b));
        let is_word = part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        part.len() >= RANDOM_CHARS
            && is_word
            && has(u8::is_ascii_digit)
            && has(u8::is_ascii_lowercase)
            && has(u8::is_ascii_uppercase)
    };
    is_hook || url.path().split('/').any(is_random)
}
