//! Our text for what am-executor did, with comments that say how the one became the other.
//!
//! All texts of their file are written as quoted scalars, so that none of them can mean anything
//! else than itself; in comments, too, so that none can end its line.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use homeostat_core::limits::defaults;

use super::Wishes;
use super::am_executor::{Command, Settings};
use crate::check::words::is_meant_for_a_shell;
use crate::limits::NAME_CHARS;

/// What a command that runs for ever is given before it is ended.
pub(super) const TIMEOUT: &str = "10m";

/// Characters of a command that a comment shows.
const SHOWN_CHARS: usize = 60;

/// Writes a whole configuration.
pub(super) fn file(
    name: &str,
    text: &str,
    settings: &Settings,
    commands: &[Command],
    wishes: &Wishes,
) -> String {
    let origin = match text {
        "" => "the command line".to_owned(),
        _ => format!("{}, a configuration", scalar(name)),
    };
    let mut out = header(&origin, settings);
    sources(&mut out, wishes);
    line(&mut out, "");
    line(&mut out, if commands.is_empty() { "policies: []" } else { "policies:" });
    let mut names = BTreeSet::new();
    for (index, command) in commands.iter().enumerate() {
        if index > 0 {
            line(&mut out, "");
        }
        let place = match &command.span {
            Some(span) => format!("line {}", line_of(text, span.start)),
            None => "the command line".to_owned(),
        };
        let title = format!("{place}: {}", scalar(&cut(&command.argv.join(" "))));
        let is_last = index + 1 == commands.len();
        policy(&mut out, &title, command, &unique(command, &mut names), is_last, wishes);
    }
    out
}

/// Whom to ask, as was wished.
pub(super) fn sources(out: &mut String, wishes: &Wishes) {
    match &wishes.alertmanager {
        Some(url) => {
            line(out, "sources:");
            line(out, "  alertmanagers:");
            line(out, "    - name: main");
            line(out, &format!("      urls: [{}]", scalar(url)));
        }
        None => out.push_str(NO_SOURCES),
    }
}

const NO_SOURCES: &str = "\
# Whom to ask whether an alert still fires, and to tell people by. Without it only webhooks tell,
# and nobody is told when healing did not work.
# sources:
#   alertmanagers: [{ name: main, urls: [\"http://127.0.0.1:9093\"] }]
";

fn header(origin: &str, settings: &Settings) -> String {
    let mut out = String::new();
    let listened = settings.listen_address.given().map_or(":8080", |text| &text.value);
    let _ = write!(
        out,
        "\
# Translated from {origin} of prometheus-am-executor.
#
# Alertmanager's receiver gets the URL http://127.0.0.1:9999/hooks (am-executor listened on
# {listened}). Watch what would be done with `mode: shadow`, then write `mode: auto`.
#
# What is different for all commands:
# - A command runs once for an incident, not at every repeat; then its alert must resolve.
# - A policy takes single alerts; match_labels had to be common to a whole notification.
# - A running command finishes when its alert resolves; am-executor killed it unless told otherwise.
# - A command is ended at its `timeout`; am-executor waited for ever.
# - It starts in a directory of its own, with the alerts as JSON on stdin; its output is kept there.
# - Each policy starts at most {} orders in {} and {} at once, the whole book {} in {} and {}
#   at once; a target is left alone for {} after a healing. `limits` and `guard` say otherwise.

",
        defaults::POLICY_RATE_MAX,
        defaults::POLICY_RATE_PER,
        defaults::POLICY_CONCURRENCY,
        defaults::BOOK_RATE_MAX,
        defaults::BOOK_RATE_PER,
        defaults::BOOK_CONCURRENCY,
        defaults::COOLDOWN,
        listened = scalar(listened),
    );
    out
}

fn policy(
    out: &mut String,
    title: &str,
    command: &Command,
    name: &str,
    is_last: bool,
    wishes: &Wishes,
) {
    line(out, &format!("  # {title}"));
    for note in notes(command, wishes) {
        line(out, &format!("  # - {note}"));
    }
    line(out, &format!("  - name: {}", named(name)));
    let matchers: Vec<String> = command.labels.iter().map(matcher).collect();
    line(out, &format!("    matchers: {}", list(&matchers)));
    if wishes.target.is_empty() {
        line(out, "    # target: [instance]   # what is healed; without it, one thing at a time");
    } else {
        line(out, &format!("    target: {}", list(&wishes.target)));
    }
    line(out, &format!("    mode: {}", wishes.mode.as_str()));
    if !is_last {
        line(out, "    continue: true");
    }
    if command.ignore_resolved.as_ref().is_some_and(|ignore| ignore.value) {
        line(out, "    on_resolve: finish");
    }
    if let Some(max) = command.max {
        line(out, &format!("    guard: {{ concurrency: {max} }}"));
    }
    let told = command.notify_on_failure && wishes.alertmanager.is_some();
    let (after, severity) = (defaults::ESCALATE_AFTER, defaults::ESCALATE_SEVERITY);
    if told {
        line(out, &format!("    escalate: {{ after: {after}, severity: {severity} }}"));
    } else {
        line(out, "    escalate: none");
    }
    line(out, "    remedies:");
    line(out, &format!("      - name: {}", named(&remedy_name(command))));
    action(out, &command.argv);
    line(out, &format!("        timeout: {TIMEOUT}"));
    if command.notify_on_failure {
        line(out, "        retries: 1");
    }
}

/// What became of the keys of one command.
fn notes(command: &Command, wishes: &Wishes) -> Vec<String> {
    let mut notes = Vec::new();
    if command.labels.is_empty() {
        notes.push("no match_labels: it takes every alert.".to_owned());
    }
    if let Some(max) = command.max {
        notes.push(format!("max: {max} became guard.concurrency, which counts the policy's runs."));
    }
    notes.push(
        match (command.notify_on_failure, wishes.alertmanager.is_some()) {
            (true, true) => "notify_on_failure: a failure is tried again, then a person is told.",
            (true, false) => "notify_on_failure: a failure is tried again; nobody can be told yet.",
            (false, _) => "notify_on_failure: false: no second try, and nobody is told.",
        }
        .to_owned(),
    );
    let leaves = command.ignore_resolved.as_ref().is_some_and(|ignore| ignore.value);
    if leaves {
        notes.push("ignore_resolved: on_resolve: finish says the same.".to_owned());
    } else if let Some(signal) = &command.resolved_signal {
        let signal = scalar(&cut(&signal.value));
        notes.push(format!("resolved_signal: {signal} has no equal; a running command finishes."));
    }
    if has_braces(&command.argv) {
        notes.push("a script: in exec, these braces would be placeholders.".to_owned());
    } else if looks_like_shell(&command.argv) {
        notes
            .push("a script: in exec, these words look as if a shell should read them.".to_owned());
    }
    notes
}

fn action(out: &mut String, argv: &[String]) {
    if !has_braces(argv) && !looks_like_shell(argv) {
        return line(out, &format!("        exec: {}", list(argv)));
    }
    let words: Vec<String> = argv.iter().map(|word| shell_word(word)).collect();
    let script = format!("exec {}", words.join(" "));
    if script.chars().any(|c| c != '\n' && hides(c)) {
        return line(out, &format!("        script: {}", scalar(&script)));
    }
    line(out, "        script: |");
    for text in script.split('\n') {
        line(out, &format!("          {text}"));
    }
}

/// Whether `check` would ask if a shell was meant. None was: the program got these very words.
fn looks_like_shell(argv: &[String]) -> bool {
    let has_space = argv.first().is_some_and(|program| program.contains(char::is_whitespace));
    has_space || argv.iter().any(|word| is_meant_for_a_shell(word))
}

/// Whether a template would read something else than this text. A template that has braces also
/// loses a line feed at its end.
fn has_braces(argv: &[String]) -> bool {
    argv.iter().any(|text| {
        ["{{", "{%", "{#"].iter().any(|opening| text.contains(opening))
            || (text.contains('{') && text.ends_with('\n'))
    })
}

/// Quotes one word for a shell.
pub(super) fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// Writes an equality as a matcher that Alertmanager's two grammars read alike: the older one knows
/// no escapes but these three.
fn matcher((name, value): (&String, &String)) -> String {
    let quoted = |text: &str| {
        let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        format!("\"{escaped}\"")
    };
    let name = quoted_label(name);
    format!("{name}={}", quoted(value))
}

/// The name of a label, in quotes where it is no plain one.
pub(super) fn quoted_label(name: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let is_bare = !name.is_empty()
        && name.chars().all(is_word)
        && !name.starts_with(|c: char| c.is_ascii_digit());
    if is_bare {
        return name.to_owned();
    }
    let escaped = name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}

/// Quotes a name that other readers of YAML would take for something else than a text.
pub(super) fn named(name: &str) -> String {
    let words = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"];
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic()) && !words.contains(&name);
    if plain { name.to_owned() } else { scalar(name) }
}

pub(super) fn list(texts: &[String]) -> String {
    let scalars: Vec<String> = texts.iter().map(|text| scalar(text)).collect();
    format!("[{}]", scalars.join(", "))
}

/// Quotes a text for YAML: in single quotes where escapes would hide it, else in double quotes.
pub(super) fn scalar(text: &str) -> String {
    if text.contains(['"', '\\']) && !text.chars().any(hides) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if hides(c) => {
                let _ = write!(out, "\\U{:08X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Whether a character is not seen for what it is: control characters, line breaks of all kinds,
/// marks that reverse the direction of writing.
fn hides(c: char) -> bool {
    !matches!(c, '"' | '\'' | '\\') && c.escape_debug().count() > 1
}

pub(super) fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

pub(super) fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

pub(super) fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

/// A policy is named after its alert, else after its program.
fn unique(command: &Command, names: &mut BTreeSet<String>) -> String {
    let alert = command.labels.get("alertname").map(|name| as_name(name));
    let name = alert.filter(|name| !name.is_empty()).unwrap_or_else(|| remedy_name(command));
    free_name(&name, names)
}

/// A name that nobody has yet: this one, or this one with a number.
pub(super) fn free_name(name: &str, names: &mut BTreeSet<String>) -> String {
    let room = NAME_CHARS - "-00000".len();
    let name = &name[..name.len().min(room)];
    let numbered = (2..).map(|number: usize| format!("{name}-{number}"));
    let mut candidates = std::iter::once(name.to_owned()).chain(numbered);
    let free = candidates.find(|candidate| !names.contains(candidate)).unwrap_or_default();
    names.insert(free.clone());
    free
}

fn remedy_name(command: &Command) -> String {
    let file = command.program().rsplit('/').next().unwrap_or_default();
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let name = as_name(stem);
    if name.is_empty() { "command".to_owned() } else { name }
}

/// Writes a text as names are written: `ServiceDown` becomes `service-down`.
pub(super) fn as_name(text: &str) -> String {
    let mut name = String::new();
    let mut before = ' ';
    for c in text.chars() {
        if c.is_ascii_uppercase() && before.is_ascii_lowercase() {
            name.push('-');
        }
        match c {
            c if c.is_ascii_alphanumeric() => name.push(c.to_ascii_lowercase()),
            _ if name.is_empty() || name.ends_with('-') => {}
            _ => name.push('-'),
        }
        before = c;
    }
    name.truncate(NAME_CHARS);
    name.truncate(name.trim_end_matches('-').len());
    name
}
