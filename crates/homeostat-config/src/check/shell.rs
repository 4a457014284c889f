//! Which words of a command a shell, or another interpreter, reads as its text.
//!
//! What stands in such a word is program text: a label in it would be run. Words that are handed on as
//! arguments are not meant, and neither is the host of `ssh`.

/// Programs that run the text after `-c`, and how a value gets to it otherwise.
const SHELLS: [&str; 8] = ["sh", "bash", "dash", "ash", "zsh", "ksh", "fish", "csh"];

/// Programs that run another program, whose name and arguments follow somewhere.
const WRAPPERS: [&str; 26] = [
    "sudo",
    "doas",
    "env",
    "xargs",
    "nohup",
    "nice",
    "ionice",
    "timeout",
    "time",
    "setsid",
    "stdbuf",
    "chroot",
    "nsenter",
    "unshare",
    "docker",
    "podman",
    "kubectl",
    "oc",
    "systemd-run",
    "runuser",
    "busybox",
    "flock",
    "watch",
    "exec",
    "command",
    "pkexec",
];

/// Options of `ssh` that are followed by a value.
const SSH_VALUES: &str = "BbcDEeFIiJLlmOopQRSWw";

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

/// The words that something reads as text, as a range of positions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) words: std::ops::Range<usize>,
    pub(super) by: Reader,
}

/// Finds the words of a command that are read as text, if there are any.
pub(super) fn text_of(argv: &[&str]) -> Option<Read> {
    let mut at = 0;
    while let Some(program) = argv.get(at).map(|word| base(word)) {
        if let Some(read) = read_by(program, argv, at) {
            return Some(read);
        }
        let is_wrapper = WRAPPERS.contains(&program) || is_assignment(argv[at]);
        let rest = argv[at + 1..].iter().map(|word| base(word));
        let mut rest = rest.enumerate().map(|(number, word)| (at + 1 + number, word));
        // A shell is looked for anywhere, as it needs its `-c` besides; others behind wrappers alone.
        let next = rest.find(|(_, word)| {
            SHELLS.contains(word) || is_wrapper && (is_reader(word) || WRAPPERS.contains(word))
        });
        at = next?.0;
    }
    None
}

fn base(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or_default()
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    })
}

fn is_reader(program: &str) -> bool {
    matches!(program, "su" | "ssh" | "eval" | "script" | "parallel") || language(program).is_some()
}

/// The options after which a language takes its program from.
fn language(program: &str) -> Option<&'static [&'static str]> {
    if program.starts_with("python") || program.starts_with("pypy") {
        return Some(&["c"]);
    }
    match program {
        "perl" => Some(&["e", "E"]),
        "ruby" | "lua" | "Rscript" => Some(&["e"]),
        "node" => Some(&["e", "p", "-eval", "-print"]),
        "php" => Some(&["r"]),
        _ => None,
    }
}

fn read_by(program: &str, argv: &[&str], at: usize) -> Option<Read> {
    let one = |word: usize, by: Reader| Some(Read { words: word..word + 1, by });
    let rest = |from: usize, by: Reader| {
        (from < argv.len()).then_some(Read { words: from..argv.len(), by })
    };
    if SHELLS.contains(&program) {
        return one(after_flag(argv, at, 'c')?, Reader::Shell);
    }
    if let Some(options) = language(program) {
        let is_one = |word: &str| {
            let flags = word.strip_prefix('-').unwrap_or_default();
            options.contains(&flags)
                || !flags.starts_with('-') && flags.ends_with(options[0]) && flags.len() <= 3
        };
        let option = (at + 1..argv.len()).take_while(|n| argv[*n].starts_with('-'));
        let option = option.into_iter().find(|n| is_one(argv[*n]))?;
        return (option + 1 < argv.len())
            .then_some(Read { words: option + 1..option + 2, by: Reader::Interpreter });
    }
    match program {
        "su" | "runuser" | "flock" | "script" => one(after_option(argv, at)?, Reader::Shell),
        "eval" | "parallel" => rest(at + 1, Reader::Shell),
        "watch" => watched(argv, at).and_then(|from| rest(from, Reader::Shell)),
        "env" => one(split(argv, at)?, Reader::Splitter),
        "ssh" => remote(argv, at).and_then(|from| rest(from, Reader::Remote)),
        _ => None,
    }
}

/// The word after the first group of short options that has this one, as in `-lc` and `-ec`.
fn after_flag(argv: &[&str], at: usize, flag: char) -> Option<usize> {
    let option = (at + 1..argv.len()).find(|n| {
        let flags = argv[*n].strip_prefix('-').unwrap_or_default();
        flags.contains(flag) && !flags.starts_with('-')
    })?;
    (option + 1 < argv.len()).then_some(option + 1)
}

/// The text of `-c TEXT`, `-cTEXT`, `--command TEXT` and `--command=TEXT`.
fn after_option(argv: &[&str], at: usize) -> Option<usize> {
    for n in at + 1..argv.len() {
        let word = argv[n];
        if word == "--" {
            return None;
        }
        if matches!(word, "-c" | "--command" | "--session-command") || is_group(word) {
            return (n + 1 < argv.len()).then_some(n + 1);
        }
        if word.starts_with("-c") || word.starts_with("--command=") {
            return Some(n);
        }
    }
    None
}

/// Short options in one word, the last of which is `-c`.
fn is_group(word: &str) -> bool {
    let flags = word.strip_prefix('-').unwrap_or_default();
    flags.ends_with('c') && flags.bytes().all(|b| b.is_ascii_alphabetic())
}

/// The text of `env -S TEXT`.
fn split(argv: &[&str], at: usize) -> Option<usize> {
    let is_split = |word: &str| {
        word.starts_with("-S") || word.starts_with("-vS") || word.starts_with("--split-string")
    };
    let option = (at + 1..argv.len()).find(|n| is_split(argv[*n]))?;
    let is_apart = matches!(argv[option], "-S" | "-vS" | "--split-string");
    let text = option + usize::from(is_apart);
    (text < argv.len()).then_some(text)
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
                let takes_value = flags.len() == 1 && SSH_VALUES.contains(flags);
                n += 1 + usize::from(takes_value);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The words that are read, joined, and by what.
    fn read(command: &str) -> Option<(String, Reader)> {
        let argv: Vec<&str> = command.split('|').collect();
        text_of(&argv).map(|read| (argv[read.words].join(" "), read.by))
    }

    #[test]
    fn what_a_shell_reads_is_found_behind_whatever_runs_it() {
        for (command, text, by) in [
            ("sh|-c|T", "T", Reader::Shell),
            ("/bin/bash|-ec|T|bash|a", "T", Reader::Shell),
            ("bash|-o|pipefail|-lc|T", "T", Reader::Shell),
            ("sudo|-u|web|sh|-c|T", "T", Reader::Shell),
            ("xargs|-0|sh|-c|T", "T", Reader::Shell),
            ("docker|exec|db|sh|-c|T", "T", Reader::Shell),
            ("kubectl|exec|pod/a|--|bash|-c|T", "T", Reader::Shell),
            ("nsenter|-t|1|-m|--|sh|-c|T", "T", Reader::Shell),
            ("chroot|/mnt|/bin/sh|-c|T", "T", Reader::Shell),
            ("su|root|-c|T", "T", Reader::Shell),
            ("su|-|postgres|--command=T", "--command=T", Reader::Shell),
            ("runuser|-u|web|-c|T", "T", Reader::Shell),
            ("eval|a|T", "a T", Reader::Shell),
            ("watch|-n|5|ls|T", "ls T", Reader::Shell),
            ("env|-S|T", "T", Reader::Splitter),
            ("ssh|host|systemctl|T", "systemctl T", Reader::Remote),
            ("ssh|--|host|systemctl|T", "systemctl T", Reader::Remote),
            ("ssh|-p|22|-o|BatchMode=yes|host|T", "T", Reader::Remote),
            ("sudo|ssh|host|T", "T", Reader::Remote),
            ("timeout|5|ssh|host|T", "T", Reader::Remote),
            ("python3|-c|T", "T", Reader::Interpreter),
            ("perl|-e|T", "T", Reader::Interpreter),
            ("perl|-ne|T", "T", Reader::Interpreter),
            ("ruby|-e|T", "T", Reader::Interpreter),
            ("node|--eval|T", "T", Reader::Interpreter),
            ("env|A=b|python3|-c|T", "T", Reader::Interpreter),
        ] {
            assert_eq!(read(command), Some((text.to_owned(), by)), "{command}");
        }
    }

    #[test]
    fn arguments_and_hosts_are_read_by_nobody() {
        for command in [
            "systemctl|restart|web@a.service",
            "systemctl|restart|ssh|a",
            "bash|/opt/fix.sh|a",
            "ssh|root@a",
            "ssh|-p|22|a",
            "su|-|web",
            "runuser|-u|web|--|systemctl|--user|restart|a",
            "env|A=b|systemctl|restart|a",
            "watch|-x|ls|a",
            "python3|/opt/fix.py|a",
            "curl|-c|cookies|http://a?b=c&d=e",
            "rsync|-a|./src/|host:/dst",
            "grep|-e|a|file",
        ] {
            assert_eq!(read(command), None, "{command}");
        }
    }
}
