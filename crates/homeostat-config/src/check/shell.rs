//! Which words of a command a shell, or another interpreter, reads as its text.
//!
//! What stands in such a word is program text: a label in it would be run. Words that are handed on as
//! arguments are not meant, and neither is the host of `ssh`.

mod programs;

#[cfg(test)]
mod tests;

use programs::{LANGUAGES, Language, OPTIONS, SHELLS, WRAPPERS};

/// Options of `ssh` that are followed by a value.
const SSH_VALUES: &str = "BbcDEeFIiJLlmOopQRSWw";

/// Options of `autossh`, of `pdsh`, of `clush` and of `pssh` that are followed by a value, in one.
const FLEET_VALUES: &str = "BbcDEeFgHhIiJLlmMnOopQRStuWwx";

/// What reads words of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// A shell on this machine.
    Shell,
    /// A shell on another machine, behind `ssh`.
    Remote,
    /// A program that splits its text into words.
    Splitter,
    /// The interpreter of another language.
    Interpreter,
}

impl Reader {
    /// Whether it takes plain words for what they are.
    pub(super) fn has_words(self) -> bool {
        match self {
            Self::Shell | Self::Remote | Self::Splitter => true,
            Self::Interpreter => false,
        }
    }
}

/// The words that something reads as text, by their positions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) words: Vec<usize>,
    pub(super) by: Reader,
}

/// Finds the words of a command that are read as text, if there are any.
pub(super) fn text_of(argv: &[&str]) -> Option<Read> {
    let mut at = 0;
    while let Some(program) = argv.get(at).map(|word| base(word)) {
        if let Some((words, by)) = read_by(program, argv, at)
            && !words.is_empty()
        {
            return Some(Read { words, by });
        }
        at = next_program(program, argv, at)?;
    }
    None
}

/// Finds the file that a shell or a language is to run, as in `bash FILE`.
pub(super) fn file_of(argv: &[&str]) -> Option<usize> {
    let program = base(argv.first()?);
    let is_known = SHELLS.contains(&program) || language(program).is_some();
    let is_file = |word: &&str| !word.starts_with(['-', '+']);
    (is_known && argv.get(1).is_some_and(is_file)).then_some(1)
}

/// Tells whether what stands before a value makes the value a program, or a text of its own: `sudo`,
/// `then`, `;`, `sh -c`.
pub(super) fn begins_a_command(before: &str) -> bool {
    const KEYWORDS: [&str; 7] = ["then", "do", "else", "if", "while", "until", "!"];
    let before = before.trim_end_matches(['"', '\'']);
    let word = before.split_whitespace().next_back().map_or("", base);
    let is_apart = before.is_empty() || before.ends_with(char::is_whitespace);
    before.trim_end().ends_with([';', '|', '&', '(', '{', '`', '$', '<', '>'])
        || before.trim_end_matches([' ', '\t']).ends_with('\n')
        || is_apart
            && (word.is_empty()
                || is_group(word)
                || KEYWORDS.contains(&word)
                || WRAPPERS.contains(&word)
                || SHELLS.contains(&word)
                || is_reader(word))
}

/// Tells whether a text for a shell has text of another language in it.
pub(super) fn has_another_language(text: &str) -> bool {
    const STREAMS: [&str; 5] = ["awk", "gawk", "mawk", "nawk", "sed"];
    let is_edge = |c: char| c.is_whitespace() || ";|&(){}`'\"$".contains(c);
    text.split(is_edge).map(base).any(|word| {
        let options = OPTIONS.iter().find(|(names, ..)| names.contains(&word));
        STREAMS.contains(&word)
            || language(word).is_some()
            || options.is_some_and(|(.., by)| *by == Reader::Interpreter)
    })
}

fn base(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or_default()
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    })
}

fn language(program: &str) -> Option<&'static Language> {
    let versionless = program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    LANGUAGES.iter().find(|language| language.names.contains(&versionless))
}

/// Programs that read text without an option that would tell them from other words.
fn is_reader(program: &str) -> bool {
    const PLAIN: [&str; 15] = [
        "su",
        "ssh",
        "autossh",
        "rsh",
        "pdsh",
        "clush",
        "pssh",
        "parallel-ssh",
        "eval",
        "script",
        "parallel",
        "sg",
        "make",
        "awk",
        "sed",
    ];
    PLAIN.contains(&program) || language(program).is_some()
}

/// Where the next program may stand that this one starts.
fn next_program(program: &str, argv: &[&str], at: usize) -> Option<usize> {
    const EXEC: [&str; 4] = ["-exec", "-execdir", "-ok", "-okdir"];
    if program == "find" {
        return (at + 1..argv.len()).find(|n| EXEC.contains(&argv[n - 1]));
    }
    let is_wrapper = WRAPPERS.contains(&program) || is_assignment(argv[at]);
    // A shell or a language is looked for anywhere, as it needs its `-c` besides; others behind
    // wrappers alone.
    (at + 1..argv.len()).find(|n| {
        let word = base(argv[*n]);
        SHELLS.contains(&word)
            || language(word).is_some()
            || is_wrapper && (is_reader(word) || word == "find" || WRAPPERS.contains(&word))
    })
}

fn read_by(program: &str, argv: &[&str], at: usize) -> Option<(Vec<usize>, Reader)> {
    let rest = |from: usize| (from..argv.len()).collect::<Vec<_>>();
    if SHELLS.contains(&program) {
        return Some((of_shell(argv, at)?, Reader::Shell));
    }
    if let Some(language) = language(program) {
        return Some((of_language(language, argv, at), Reader::Interpreter));
    }
    if let Some((_, options, by)) = OPTIONS.iter().find(|(names, ..)| names.contains(&program)) {
        return Some((of_options(options, argv, at), *by));
    }
    Some(match program {
        "su" | "runuser" => (of_su(argv, at)?, Reader::Shell),
        "flock" => (of_flock(argv, at)?, Reader::Shell),
        "sg" => (rest(at + 2), Reader::Shell),
        "eval" | "make" | "gmake" | "tmux" => (rest(at + 1), Reader::Shell),
        "parallel" => (of_parallel(argv, at), Reader::Shell),
        "watch" => (rest(watched(argv, at)?), Reader::Shell),
        "env" => (vec![split(argv, at)?], Reader::Splitter),
        "ssh" | "rsh" => return of_ssh(argv, at),
        "autossh" | "pdsh" | "clush" | "pssh" | "parallel-ssh" => {
            let hosts = usize::from(program == "autossh");
            (rest(after_options(argv, at, FLEET_VALUES) + hosts), Reader::Remote)
        }
        "awk" | "gawk" | "mawk" | "nawk" => (of_awk(argv, at)?, Reader::Interpreter),
        "sed" => (of_sed(argv, at)?, Reader::Interpreter),
        _ => return None,
    })
}

/// The text of `-c`, also in a group as in `-lc`: the first word that is no option.
fn of_shell(argv: &[&str], at: usize) -> Option<Vec<usize>> {
    let mut has_flag = false;
    let mut n = at + 1;
    while let Some(word) = argv.get(n).filter(|word| word.starts_with(['-', '+'])) {
        let flags = word.strip_prefix('-').unwrap_or_default();
        let is_long = flags.starts_with('-');
        has_flag |= flags.contains('c') && !is_long || word.eq_ignore_ascii_case("-command");
        let takes_value = matches!(*word, "--rcfile" | "--init-file" | "-ExecutionPolicy")
            || !is_long && flags.len() <= 4 && flags.ends_with(['o', 'O']);
        n += 1 + usize::from(takes_value);
        if *word == "--" {
            break;
        }
    }
    (has_flag && n < argv.len()).then(|| vec![n])
}

/// The texts of a language's options, apart from them or in one word with them.
fn of_language(language: &Language, argv: &[&str], at: usize) -> Vec<usize> {
    let mut texts = Vec::new();
    let mut n = at + 1;
    while let Some(word) = argv.get(n).filter(|word| word.starts_with('-')) {
        let long = word.split_once('=').filter(|(name, _)| name.starts_with("--"));
        let flags = word.strip_prefix('-').unwrap_or_default();
        let group = language.text.iter().find_map(|option| {
            let flag = option.strip_prefix('-').filter(|flag| flag.len() == 1)?;
            let others = flags.find(flag).filter(|at| *at <= 2)?;
            let are_flags =
                flags[..others].bytes().all(|b| b.is_ascii_alphabetic() && !b"rmMICx".contains(&b));
            are_flags.then_some(others + 1 == flags.len())
        });
        if language.text.contains(word) || group == Some(true) {
            texts.push(n + 1);
            n += 2;
        } else if group == Some(false)
            || long.is_some_and(|(name, _)| language.text.contains(&name))
        {
            texts.push(n);
            n += 1;
        } else {
            n += 1 + usize::from(language.valued.contains(word));
        }
    }
    texts.retain(|n| *n < argv.len());
    texts
}

/// The texts of options wherever they stand, apart from them or after `=`.
fn of_options(options: &[&str], argv: &[&str], at: usize) -> Vec<usize> {
    let is_text = |n: &usize| {
        let name = argv[*n].split_once('=').map(|(name, _)| name);
        options.contains(&argv[n - 1]) || name.is_some_and(|name| options.contains(&name))
    };
    (at + 1..argv.len()).filter(is_text).collect()
}

/// The text of `-c TEXT`, `-cTEXT`, `--command TEXT` and `--command=TEXT`. `runuser -u` starts a
/// program without a shell.
fn of_su(argv: &[&str], at: usize) -> Option<Vec<usize>> {
    let words = &argv[at + 1..];
    let has_user = |word: &&str| matches!(*word, "-u" | "--user") || word.starts_with("--user=");
    let is_direct = base(argv[at]) == "runuser" && words.iter().any(has_user);
    let mut n = at + 1;
    while n < argv.len() {
        let word = argv[n];
        if is_direct && (word == "--" || !word.starts_with('-')) {
            return None;
        }
        if matches!(word, "-c" | "--command" | "--session-command") || is_group(word) {
            return (n + 1 < argv.len()).then(|| vec![n + 1]);
        }
        if word.starts_with("-c") || word.starts_with("--command=") {
            return Some(vec![n]);
        }
        n += 1 + usize::from(matches!(word, "-u" | "--user" | "-s" | "--shell" | "-g" | "-G"));
    }
    None
}

/// Short options in one word, the last of which is `-c`.
fn is_group(word: &str) -> bool {
    let flags = word.strip_prefix('-').unwrap_or_default();
    flags.ends_with('c') && flags.bytes().all(|b| b.is_ascii_alphabetic())
}

/// The text of `flock FILE -c TEXT`.
fn of_flock(argv: &[&str], at: usize) -> Option<Vec<usize>> {
    let file = after_options(argv, at, "wE");
    let is_text = matches!(*argv.get(file + 1)?, "-c" | "--command");
    (is_text && file + 2 < argv.len()).then(|| vec![file + 2])
}

/// The words of `parallel` before `:::`; what follows is quoted, unless it is all that there is.
fn of_parallel(argv: &[&str], at: usize) -> Vec<usize> {
    let from = after_options(argv, at, "jaINnS");
    let inputs = (from..argv.len()).find(|n| argv[*n].starts_with(":::"));
    let until = inputs.filter(|inputs| *inputs > from).unwrap_or(argv.len());
    (from..until).collect()
}

/// The text of `env -S TEXT`.
fn split(argv: &[&str], at: usize) -> Option<usize> {
    for n in at + 1..argv.len() {
        let flags = match argv[n].strip_prefix('-') {
            Some("-split-string") => "S",
            Some(long) if long.starts_with("-split-string=") => "S=",
            Some(flags) if !flags.starts_with('-') => flags,
            Some(_) | None => continue,
        };
        let others = flags.trim_start_matches(['i', 'v', '0']);
        if let Some(attached) = others.strip_prefix('S') {
            let text = n + usize::from(attached.is_empty());
            return (text < argv.len()).then_some(text);
        }
    }
    None
}

/// Where the command of `watch` begins, which a shell reads unless `-x` says otherwise.
fn watched(argv: &[&str], at: usize) -> Option<usize> {
    let mut n = at + 1;
    while let Some(word) = argv.get(n).filter(|word| word.starts_with('-')) {
        match *word {
            "-x" | "--exec" => return None,
            "-n" | "--interval" => n += 2,
            _ => n += 1,
        }
    }
    Some(n)
}

/// What `ssh` reads: a command in one of its options, or what it hands to the other machine's shell.
fn of_ssh(argv: &[&str], at: usize) -> Option<(Vec<usize>, Reader)> {
    let is_command = |n: &usize| {
        let option = argv[*n].strip_prefix("-o").unwrap_or(argv[*n]);
        let name = option.split(['=', ' ']).next().unwrap_or_default();
        (option.len() < argv[*n].len() || argv[n - 1] == "-o")
            && name.to_ascii_lowercase().ends_with("command")
    };
    let commands: Vec<usize> = (at + 1..argv.len()).filter(is_command).collect();
    if commands.iter().any(|n| argv[*n].contains("{{")) {
        return Some((commands, Reader::Shell));
    }
    Some(((remote(argv, at)?..argv.len()).collect(), Reader::Remote))
}

/// Where the words begin that `ssh` hands to the shell of the other machine: after its host.
fn remote(argv: &[&str], at: usize) -> Option<usize> {
    let mut n = at + 1;
    let mut host = None;
    while let Some(word) = argv.get(n) {
        if *word == "--" {
            n += 1;
            return Some(if host.is_some() { n } else { n + 1 });
        }
        match word.strip_prefix('-') {
            Some(flags) if !flags.is_empty() => {
                n += 1 + usize::from(takes_value(flags, SSH_VALUES));
            }
            Some(_) | None if host.is_none() => {
                host = Some(n);
                n += 1;
            }
            Some(_) | None => return Some(n),
        }
    }
    None
}

/// Whether the next word is the value of a group of short options, as in `-4i key`.
fn takes_value(flags: &str, valued: &str) -> bool {
    let first = flags.find(|flag| valued.contains(flag));
    !flags.starts_with('-') && first.is_some_and(|at| at + 1 == flags.len())
}

/// The first word that is no option, nor the value of one of these.
fn after_options(argv: &[&str], at: usize, valued: &str) -> usize {
    let mut n = at + 1;
    while let Some(flags) = argv.get(n).and_then(|word| word.strip_prefix('-')) {
        n += 1 + usize::from(takes_value(flags, valued));
        if flags == "-" {
            break;
        }
    }
    n
}

/// The program of `awk`, unless it is in a file.
fn of_awk(argv: &[&str], at: usize) -> Option<Vec<usize>> {
    let from = after_options(argv, at, "Fvf");
    let is_in_a_file = argv[at + 1..from.min(argv.len())].iter().any(|word| word.starts_with("-f"));
    (!is_in_a_file && from < argv.len()).then(|| vec![from])
}

/// The texts of `sed`: those of `-e`, or else its first word that is no option.
fn of_sed(argv: &[&str], at: usize) -> Option<Vec<usize>> {
    let group =
        |word: &str| word.starts_with('-') && !word.starts_with("--") && word.ends_with('e');
    let mut texts: Vec<usize> = (at + 2..argv.len()).filter(|n| group(argv[n - 1])).collect();
    texts.extend((at + 1..argv.len()).filter(|n| argv[*n].starts_with("--expression=")));
    if texts.is_empty() {
        let from = after_options(argv, at, "fl");
        let is_in_a_file =
            argv[at + 1..from.min(argv.len())].iter().any(|word| word.starts_with("-f"));
        texts.extend((!is_in_a_file && from < argv.len()).then_some(from));
    }
    (!texts.is_empty()).then_some(texts)
}
