//! Commands, and which of their words are read as text.

use super::*;

/// The words that are read, joined, and by what.
fn read(command: &str) -> Option<(String, Reader)> {
    let argv: Vec<&str> = command.split('|').collect();
    text_of(&argv).map(|read| {
        let words: Vec<&str> = read.words.iter().map(|at| argv[*at]).collect();
        (words.join(" "), read.by)
    })
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

#[test]
fn an_option_of_ssh_may_be_a_command() {
    for command in ["ssh|-o|ProxyCommand=nc {{ a }} 22|host", "ssh|-oLocalCommand={{ a }}|host"] {
        assert_eq!(read(command).unwrap().1, Reader::Shell, "{command}");
    }
}

#[test]
fn what_comes_first_is_a_program() {
    for before in
        ["", "a; ", "a && ", "sudo ", "if ! ", "sh -c ", "/bin/sh -c \"", "$(", "a\n", "> "]
    {
        assert!(begins_a_command(before), "{before:?}");
    }
    for before in ["systemctl restart ", "echo \"", "web@", "a --b="] {
        assert!(!begins_a_command(before), "{before:?}");
    }
}
