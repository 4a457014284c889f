//! Words of a command that look right and can never do what they say, because no shell reads them.
//!
//! Duty: to find what is certainly meant for a shell, and what is probably so (a warning): a program
//! may have a use of its own for an asterisk or a semicolon. Where a shell does read the words, behind
//! `ssh` or after `sh -c`, nothing is said of them but that no placeholder may stand there.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::action::environment_help;
use super::secrets;
use super::shell::{self, Read, Reader};
use crate::read::{Problems, Text};
use crate::report::Problem;

/// What only a shell understands, each as a word of its own.
const OPERATORS: [&str; 16] = [
    "&&", "||", "|", "|&", ";", ";;", "&", ">", ">>", "<", "<<", "2>", "2>>", "&>", "2>&1", "1>&2",
];

/// Programs that have a meaning of their own for some of these words.
const EXPRESSIONS: [&str; 5] = ["find", "expr", "test", "[", "jq"];

/// Programs that take files, and know no patterns.
const FILE_PROGRAMS: [&str; 14] = [
    "rm", "rmdir", "cp", "mv", "ls", "cat", "chmod", "chown", "touch", "gzip", "truncate", "shred",
    "ln", "tail",
];

/// Programs that read patterns themselves.
const PATTERN_PROGRAMS: [&str; 8] =
    ["find", "grep", "egrep", "rg", "curl", "locate", "systemctl", "tar"];

/// Whose command it is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Whose<'a> {
    /// A remedy's, with the directory in which it runs, where that is not the run's own.
    Remedy(Option<&'a str>),
    /// That of a channel of `notify`.
    Channel,
    /// A remedy's that runs on another machine.
    Host,
    /// A remedy's that systemd runs, in a directory which is not the run's own.
    Unit,
}

/// Checks the words of a command, the program first.
pub(super) fn check(argv: &[Text], whose: Whose<'_>, problems: &mut Problems) {
    let words: Vec<&str> = argv.iter().map(|text| text.value.as_str()).collect();
    let read = shell::text_of(&words);
    if let Some(read) = &read {
        placeholders(read, argv, whose, problems);
    }
    if let Some(program) = argv.first() {
        check_program(program, &words, whose, problems);
    }
    for (at, text) in argv.iter().enumerate().skip(1) {
        if !read.as_ref().is_some_and(|read| read.words.contains(&at)) {
            check_word(text, &words, at, problems);
        }
    }
    if !matches!(whose, Whose::Host) {
        check_file(argv, &words, problems);
    }
    secrets::check(argv, whose, problems);
}

/// Refuses placeholders in what is read as text, unless each can only be one plain word there.
fn placeholders(read: &Read, argv: &[Text], whose: Whose<'_>, problems: &mut Problems) {
    let mut before = String::new();
    for at in &read.words {
        let text = &argv[*at];
        if text.value.contains("{{") && !(read.by.has_words() && are_words(&before, &text.value)) {
            let problem = Problem::error(text.span.clone(), message(read.by));
            let help = match whose {
                Whose::Host => AS_ARGUMENT.to_owned(),
                Whose::Remedy(_) | Whose::Channel | Whose::Unit => way_out(read.by, &text.value),
            };
            problems.report(problem.help(help));
        }
        before.push_str(&text.value);
        before.push(' ');
    }
}

/// Whether each placeholder of a text passes the filter `word`, is no program, and is not within the
/// text of another language.
fn are_words(before: &str, text: &str) -> bool {
    let mut read = before.to_owned();
    let mut rest = text;
    while let Some((fixed, from)) = rest.split_once("{{") {
        read.push_str(fixed);
        let Some((inner, after)) = from.split_once("}}") else { return false };
        let mut steps = inner.trim_matches('-').split('|').map(str::trim);
        let is_path = steps.next().is_some_and(|path| !path.contains([' ', '~', '+', '*', '(']));
        let steps: Vec<&str> = steps.collect();
        let are_filters = steps.iter().all(|step| step.bytes().all(|b| b.is_ascii_lowercase()));
        if !is_path
            || !are_filters
            || steps.last() != Some(&"word")
            || shell::begins_a_command(&read)
        {
            return false;
        }
        read.push('x');
        rest = after;
    }
    !text.contains("{%") && !shell::has_another_language(&format!("{before}{text}"))
}

/// Another machine gets no variables of ours.
const AS_ARGUMENT: &str = "hand the value on as an argument: exec: [sh, -c, '… \"$1\" …', sh, \
     \"{{ labels.instance }}\"]";

/// The filter that makes a value safe for shells, in words.
const WORD: &str = "{{ … | word }}, which refuses what is not one plain word";

fn message(by: Reader) -> &'static str {
    match by {
        Reader::Shell => "a placeholder cannot stand in shell text",
        Reader::Remote => {
            "a placeholder cannot stand here: `ssh` hands these words to the shell of the other \
             machine as text"
        }
        Reader::Splitter => "a placeholder cannot stand in text that is split into words",
        Reader::Interpreter => "a placeholder cannot stand in the text of a program",
    }
}

fn way_out(by: Reader, text: &str) -> String {
    let help = environment_help(text);
    match by {
        Reader::Shell => format!("{help}, or {WORD}"),
        Reader::Splitter => format!("{help}, give each word as an element of `exec`, or {WORD}"),
        Reader::Interpreter => format!(
            "{help} by the language's own means, or hand the value on as an argument after the text"
        ),
        Reader::Remote => format!(
            "{help} in a `script`, and send it by stdin: printf '%s\\n' \"$HOMEOSTAT_LABEL_…\" | ssh -- \
             HOST 'read -r value; … \"$value\"'; use what needs no shell there, as systemctl --host; or \
             {WORD}"
        ),
    }
}

/// Checks what is to be started.
fn check_program(text: &Text, words: &[&str], whose: Whose<'_>, problems: &mut Problems) {
    let program = text.value.as_str();
    let directory = match whose {
        Whose::Remedy(directory) => directory.filter(|_| program.contains('/')),
        Whose::Channel | Whose::Host | Whose::Unit => None,
    };
    if program.trim().is_empty() || program.contains("{{") || program.contains('\0') {
        return;
    }
    let there = || Path::new(program).is_file();
    let (message, help) = if let Some((message, help)) = unexpanded(program) {
        (message, help)
    } else if program.contains(char::is_whitespace) && !there() {
        let all: Vec<&str> = words.iter().flat_map(|word| word.split_whitespace()).collect();
        ("no shell splits this into words", format!("write exec: [{}]", all.join(", ")))
    } else if program.contains('/') && !program.starts_with('/') && directory.is_none() {
        let help = "the working directory is the order's own, which is empty: write the whole path, \
                    from `/` on";
        ("there is nothing at this path, relative to the directory in which it runs", help.into())
    } else {
        let path = directory.map_or(program.into(), |directory| Path::new(directory).join(program));
        if problems.looks_around() && !matches!(whose, Whose::Host) && !is_installed(&path) {
            let problem = Problem::warning(text.span.clone(), absent(program));
            problems.report(problem.help(ABSENT_HELP));
        }
        return;
    };
    problems.report(Problem::error(text.span.clone(), message).help(help));
}

/// What a shell would have expanded at the beginning of a word.
fn unexpanded(word: &str) -> Option<(&'static str, String)> {
    if let Some(rest) = word.strip_prefix('~')
        && rest
            .split('/')
            .next()
            .is_some_and(|user| user.bytes().all(|b| b.is_ascii_alphanumeric()))
    {
        return Some(("no shell expands `~` here", "write the whole path, from `/` on".into()));
    }
    let value = match word.split_once('=') {
        Some((option, value)) if option.starts_with('-') => value,
        Some(_) | None => word,
    };
    let name = value.strip_prefix('$')?;
    let name = name.strip_prefix('{').unwrap_or(name);
    let length = name.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
    let (name, rest) = name.split_at(length);
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let ends = rest.is_empty() || rest.starts_with('/') || rest.starts_with('}');
    (begins && ends).then(|| {
        let help = match name.strip_prefix("HOMEOSTAT_LABEL_") {
            Some(label) => format!("write {{{{ labels.{label} }}}}"),
            None => "write the value, or use `script`, where a shell reads it".to_owned(),
        };
        ("no shell expands variables here", help)
    })
}

/// Checks an argument.
fn check_word(text: &Text, words: &[&str], at: usize, problems: &mut Problems) {
    let word = text.value.as_str();
    let program = words[0].rsplit('/').next().unwrap_or_default();
    if program != "envsubst"
        && let Some((message, help)) = unexpanded(word)
    {
        problems.report(Problem::error(text.span.clone(), message).help(help));
    } else if !EXPRESSIONS.contains(&program) && is_operator(word) {
        let message = format!("no shell reads {word:?} here: the program gets it as an argument");
        let help = "write a `script`, or make it a remedy of its own";
        problems.report(Problem::error(text.span.clone(), message).help(help));
    } else if is_pattern(word, words[at - 1], program) {
        let message = "no shell expands this pattern: the program gets it as it stands";
        let help = "write a `script`, or use `find`; leave it if the program reads patterns itself";
        problems.report(Problem::warning(text.span.clone(), message).help(help));
    }
}

/// Tells whether `check` takes a word, where a program gets it as it stands, for one that was meant for
/// a shell.
pub(crate) fn is_meant_for_a_shell(word: &str) -> bool {
    unexpanded(word).is_some() || is_operator(word)
}

/// An operator of the shell, or a redirection to a file that is written in one word.
fn is_operator(word: &str) -> bool {
    let to = word.trim_start_matches(|c: char| c.is_ascii_digit() || c == '&');
    let file = to.strip_prefix(">>").or_else(|| to.strip_prefix('>'));
    OPERATORS.contains(&word)
        || file.is_some_and(|file| file.starts_with(['/', '.', '~', '$', '&']))
}

fn is_pattern(word: &str, before: &str, program: &str) -> bool {
    let has_wildcard = word.contains('*') || word.contains('?') || word.contains('[');
    let is_path = word.starts_with('/') || word.starts_with("./") || word.starts_with("../");
    let is_value = before.starts_with('-') && before.len() > 1 && !is_path;
    has_wildcard
        && !word.contains("{{")
        && !word.starts_with('-')
        && !is_value
        && !PATTERN_PROGRAMS.contains(&program)
        && (is_path || FILE_PROGRAMS.contains(&program))
}

/// Checks what a script's first line says that runs it.
pub(super) fn check_interpreter(script: &Text, problems: &mut Problems) {
    if !problems.looks_around() {
        return;
    }
    let first = script.value.lines().next().unwrap_or_default();
    let Some((before, line)) = first.split_once("#!") else { return };
    let place = script.part(&(0..first.len()));
    if !before.is_empty() {
        if before.trim().is_empty() {
            let problem =
                Problem::warning(place, "this line is a comment: /bin/sh runs the script");
            problems.report(problem.help("begin the script with `#!`, without a space before it"));
        }
        return;
    }
    let mut words = line.split_whitespace();
    let Some(program) = words.next() else { return };
    let by_env = program.ends_with("/env").then(|| words.find(|word| !word.starts_with('-')));
    let named = by_env.flatten().filter(|name| !name.contains('='));
    if let Some(missing) =
        [program].into_iter().chain(named).find(|name| !is_installed(Path::new(name)))
    {
        problems.report(Problem::warning(place, absent(missing)).help(ABSENT_HELP));
    }
}

const ABSENT_HELP: &str =
    "it is looked for on the PATH; where the engine runs elsewhere, see that it is there";

fn absent(program: &str) -> String {
    format!("there is no program {program:?} on this machine")
}

/// Checks that a file is there which a shell or a language is to run.
fn check_file(argv: &[Text], words: &[&str], problems: &mut Problems) {
    let Some(at) = shell::file_of(words).filter(|_| problems.looks_around()) else { return };
    let file = words[at];
    if file.starts_with('/') && !file.contains("{{") && !Path::new(file).exists() {
        let problem =
            Problem::warning(argv[at].span.clone(), "there is no such file on this machine");
        problems.report(problem.help("where the engine runs elsewhere, see that it is there"));
    }
}

/// Tells whether a program is there and may be run, as it would be looked for.
fn is_installed(program: &Path) -> bool {
    let is_program = |path: &Path| {
        path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    if program.components().nth(1).is_some() {
        return is_program(program);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| is_program(&directory.join(program)))
}
