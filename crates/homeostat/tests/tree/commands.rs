//! Every command in the documents: ours are read by the real command line, targets and crates exist,
//! and the shell can read all of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use homeostat::cli;

use super::blocks::{Block, blocks, is_for_users};
use super::documents::{read, root};
use super::manual::{documents, prose};

/// Programs that belong to others; that the shell can read their lines is all that we know.
const OTHERS: [&str; 17] = [
    "apt-get",
    "cargo",
    "curl",
    "echo",
    "export",
    "grep",
    "helm",
    "jq",
    "kubectl",
    "mkdir",
    "openssl",
    "podman",
    "printf",
    "sha256sum",
    "sqlite3",
    "ssh",
    "systemctl",
];

/// Checks a block of commands; of a console, what is typed there.
pub(super) fn check_block(block: &Block) {
    let place = block.document.display().to_string();
    let mut typed = String::new();
    let mut goes_on = false;
    for line in block.text.lines() {
        let line = match (block.language.as_str(), line.strip_prefix("$ ")) {
            ("console", Some(line)) => line,
            ("console", None) if goes_on => line,
            ("console", None) => continue,
            _ => line,
        };
        goes_on = line.ends_with('\\');
        typed.push_str(line.trim_end_matches('\\'));
        typed.push(if goes_on { ' ' } else { '\n' });
    }
    assert!(!typed.trim().is_empty(), "{place}: a block without commands");
    let mut shell = Command::new("sh");
    shell.args(["-n", "-c", &typed]).stderr(Stdio::piped());
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{place}: {}", String::from_utf8_lossy(&output.stderr));
    for line in typed.lines() {
        check(&place, line);
    }
}

/// Checks one line of a shell, each of its commands.
pub(super) fn check(place: &str, line: &str) {
    for words in commands(line) {
        let mut words = words.iter().map(String::as_str).peekable();
        // Variables of one command.
        let is_variable = |word: &&str| {
            word.split_once('=').is_some_and(|(name, _)| {
                name.chars().all(|c| c.is_ascii_uppercase() || c == '_') && !name.is_empty()
            })
        };
        while words.next_if(is_variable).is_some() {}
        let Some(program) = words.next() else { continue };
        let arguments: Vec<&str> = words.collect();
        match program.rsplit('/').next().unwrap_or_default() {
            "homeostat" => is_understood(place, line, &arguments),
            "make" => is_a_target(place, arguments.first().copied().unwrap_or("help")),
            name => assert!(OTHERS.contains(&name), "{place}: nobody knows {name}: {line}"),
        }
        for argument in &arguments {
            is_in_the_tree(place, argument);
        }
    }
}

/// The commands of a line, each as its words.
fn commands(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        let is_quote = quote.map_or(matches!(letter, '\'' | '"'), |open| letter == open);
        match letter {
            _ if is_quote => {
                quote = if quote.is_none() { Some(letter) } else { None };
                word.get_or_insert_default();
            }
            '\\' if quote.is_none() => word.get_or_insert_default().extend(letters.next()),
            '#' if quote.is_none() && word.is_none() => break,
            letter if quote.is_none() && letter.is_whitespace() => {
                commands.last_mut().unwrap().extend(word.take());
            }
            '|' | ';' | '&' if quote.is_none() => {
                commands.last_mut().unwrap().extend(word.take());
                commands.push(Vec::new());
            }
            letter => word.get_or_insert_default().push(letter),
        }
    }
    commands.last_mut().unwrap().extend(word);
    commands.retain(|words| !words.is_empty());
    commands.iter().map(|words| without_redirections(words)).collect()
}

fn without_redirections(words: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            ">" | ">>" | "<" => {
                words.next();
            }
            word if word.starts_with('>') => {}
            word => kept.push(word.to_owned()),
        }
    }
    kept
}

fn is_understood(place: &str, line: &str, arguments: &[&str]) {
    let line_of_ours = std::iter::once("homeostat").chain(arguments.iter().copied());
    if let Err(error) = cli::command().try_get_matches_from(line_of_ours) {
        use clap::error::ErrorKind::{DisplayHelp, DisplayVersion};
        let is_help = matches!(error.kind(), DisplayHelp | DisplayVersion);
        assert!(is_help, "{place}: {line}\n{error}");
    }
}

fn is_a_target(place: &str, target: &str) {
    let makefile = read("Makefile");
    let is_there = makefile.lines().any(|line| line.starts_with(&format!("{target}:")));
    assert!(is_there, "{place}: there is no `make {target}`");
}

/// What looks like a path of the tree is one.
fn is_in_the_tree(place: &str, argument: &str) {
    let folders = ["crates/", "docs/", "examples/", "scripts/", "contrib/"];
    if folders.iter().any(|folder| argument.starts_with(folder)) {
        let path = root().join(argument).display().to_string();
        let found = glob_like(&path);
        assert!(found, "{place}: there is no {argument}");
    }
}

/// Whether a path is there, in which one part may be a `*`.
fn glob_like(path: &str) -> bool {
    let Some((before, after)) = path.split_once("/*/") else { return Path::new(path).exists() };
    let mut inside = std::fs::read_dir(before).unwrap();
    inside.any(|entry| entry.unwrap().path().join(after).exists())
}

/// `homeostat …` in the text: the command is there, and has the flags that are named.
#[test]
fn every_command_in_a_sentence_is_there() {
    let all = cli::command();
    let mut seen = 0;
    for document in documents().iter().filter(|document| is_for_users(document)) {
        let text = prose(&std::fs::read_to_string(document).unwrap());
        for span in text.split('`').skip(1).step_by(2) {
            let Some(line) = span.strip_prefix("homeostat ") else { continue };
            seen += 1;
            let place = document.display();
            let words: Vec<String> = commands(line).into_iter().next().unwrap_or_default();
            let mut command = &all;
            let mut named = words.iter().take_while(|word| !word.starts_with('-'));
            let Some(name) = named.next().filter(|name| *name != "help") else { continue };
            let found = command.find_subcommand(name);
            command = found.unwrap_or_else(|| panic!("{place}: {span}: there is no {name}"));
            if let Some(inner) = named.next().and_then(|word| command.find_subcommand(word)) {
                command = inner;
            }
            let ours = words.iter().take_while(|word| *word != "--");
            for flag in ours.filter_map(|word| word.strip_prefix("--")) {
                let flag = flag.split('=').next().unwrap();
                let is_there = command.get_arguments().any(|it| it.get_long() == Some(flag));
                assert!(is_there, "{place}: {span}: there is no --{flag}");
            }
        }
    }
    assert!(seen > 40, "only {seen} commands were found");
}

/// Contributors' commands are read by the shell, and their targets and crates exist.
#[test]
fn every_command_for_contributors_is_there() {
    let manifests: BTreeSet<String> = std::fs::read_dir(root().join("crates"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    let mut seen = 0;
    for document in documents().iter().filter(|document| !is_for_users(document)) {
        for block in blocks(document).iter().filter(|block| block.language == "sh") {
            seen += 1;
            check_block(block);
            for line in block.text.lines() {
                for words in commands(line) {
                    let package = words.iter().skip_while(|word| *word != "-p").nth(1);
                    let is_there = package.is_none_or(|name| manifests.contains(name));
                    assert!(is_there, "{}: {line}", document.display());
                }
            }
        }
    }
    assert!(seen > 5, "only {seen} blocks were found");
}
