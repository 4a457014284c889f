//! What is started here, and what the host's shell reads.
//!
//! `ssh` hands the words after the host to the login shell of the other machine as one text. So they
//! are quoted, once, here; what the text says is a small script (`remote.sh`) and its arguments, among
//! them the command as it is.

use homeostat_core::errand::{Errand, Form};

use super::super::{Lasting, refused};
use crate::act::Outcome;
use crate::act::limits::STRING_MAX;

/// What runs on the host, by its `sh`, beside the command.
///
/// It leads the process group that the host's SSH server gives each session, and refuses where there
/// is none. It says that it is ready and waits for the word to begin, at most ten seconds, so that a word
/// which a network held back starts nothing late. It ends the group when it is told to or when the limit
/// is over, and says how the command ended. `relay` goes on reading when nobody is connected any more, so that
/// a lost connection breaks no pipe of the command.
const REMOTE: &str = include_str!("remote.sh");

/// Options that people's own configuration cannot change.
const OPTIONS: [&str; 14] = [
    // Nobody is there to be asked.
    "BatchMode=yes",
    // A key that nobody knows is not trusted, and none is learnt.
    "StrictHostKeyChecking=yes",
    "UpdateHostKeys=no",
    // A connection that others share would end with this run.
    "ControlMaster=no",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
    "RequestTTY=no",
    "LogLevel=INFO",
    // A host that is gone is noticed within a quarter of a minute.
    "ConnectTimeout=15",
    "ServerAliveInterval=5",
    "ServerAliveCountMax=3",
];

/// Where an errand goes.
#[derive(Debug)]
pub(super) struct Errands<'a> {
    pub(super) host: &'a str,
    pub(super) user: Option<&'a str>,
    port: Option<&'a str>,
    config_file: Option<&'a str>,
    argv: &'a [String],
}

impl<'a> Errands<'a> {
    /// Reads an errand, and refuses what could be read as something else than it is.
    pub(super) fn of(errand: &'a Errand) -> Result<Self, Outcome> {
        let never = |reason: &str| Err(refused(reason, Lasting::Yes));
        let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
        let (Some(host), Some(argv)) = (errand.text("host"), errand.list("argv")) else {
            return never("this is no errand for `ssh`");
        };
        let parsed = Self {
            host,
            user: errand.text("user"),
            port: errand.text("port"),
            config_file: errand.text("config_file"),
            argv,
        };
        if &*errand.verb != "exec" {
            return never(&format!("`ssh` cannot {}", errand.verb));
        }
        if !Form::HOST.admits(host) {
            return never(&format!("{host:?} is not {}", Form::HOST.what));
        }
        if let Some(user) = parsed.user.filter(|user| !Form::USER.admits(user)) {
            return never(&format!("{user:?} is not {}", Form::USER.what));
        }
        if parsed.port.is_some_and(|port| !is_port(port))
            || parsed.config_file.is_some_and(|file| !file.starts_with('/'))
        {
            return never("the port is no number, or the configuration no whole path");
        }
        if argv.first().is_none_or(String::is_empty) {
            return never("the action names no program");
        }
        if argv.iter().any(|word| word.contains('\0')) {
            return never("an argument contains a NUL byte");
        }
        Ok(parsed)
    }

    /// The arguments of `ssh`.
    pub(super) fn arguments(&self, log: &str, remote: String) -> Vec<String> {
        let mut arguments = vec!["-T".to_owned(), "-E".to_owned(), log.to_owned()];
        let given = [("-F", self.config_file), ("-p", self.port), ("-l", self.user)];
        for (option, value) in given {
            if let Some(value) = value {
                arguments.extend([option.to_owned(), value.to_owned()]);
            }
        }
        for option in OPTIONS {
            arguments.extend(["-o".to_owned(), option.to_owned()]);
        }
        arguments.extend(["--".to_owned(), self.host.to_owned(), remote]);
        arguments
    }

    /// The text that the login shell of the host reads. What is told to end may take so many seconds.
    pub(super) fn remote(&self, token: &str, grace: u64) -> Result<String, Outcome> {
        let mut text = format!("exec sh -c {} homeostat", quoted(REMOTE));
        let own = [token.to_owned(), grace.to_string()];
        for word in own.iter().chain(self.argv) {
            text.push(' ');
            text.push_str(&quoted(word));
        }
        if text.len() >= STRING_MAX {
            let bytes = text.len();
            let reason =
                format!("the command takes {bytes} bytes, at most {STRING_MAX} are carried");
            return Err(refused(&reason, Lasting::Yes));
        }
        Ok(text)
    }

    /// The program on the host.
    pub(super) fn program(&self) -> &str {
        self.argv.first().map_or("", String::as_str)
    }
}

/// Quotes a text for a shell, so that it is one word there, whatever it is.
///
/// Source: POSIX.1-2024, Shell Command Language, 2.2.2: between single quotes every character stands for
/// itself, and a single quote cannot stand there.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    use homeostat_core::errand::Field;
    use proptest::prelude::*;

    use super::*;

    fn errand(host: &str, user: &str, argv: &[&str]) -> Errand {
        let argv = argv.iter().map(|&word| word.to_owned()).collect();
        let fields = vec![
            ("host".into(), Field::Text(host.to_owned())),
            ("user".into(), Field::Text(user.to_owned())),
            ("argv".into(), Field::List(argv)),
        ];
        Errand { hand: "ssh".into(), verb: "exec".into(), fields }
    }

    /// What a program gets as its arguments when a shell has read our text, as an SSH server has it
    /// read.
    fn carried(argv: &[String]) -> Vec<String> {
        let all: Vec<&str> = argv.iter().map(String::as_str).collect();
        let errand = errand("h", "u", &[&["printf", "%s\\0"][..], &all[..]].concat());
        let text = Errands::of(&errand).unwrap().remote("token", 1).unwrap();
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(text).process_group(0);
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut running = shell.spawn().unwrap();
        std::io::Write::write_all(&mut running.stdin.take().unwrap(), b"go 60\n").unwrap();
        let output = running.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let mut words: Vec<String> = text.split('\0').map(str::to_owned).collect();
        words.pop();
        words
    }

    #[test]
    fn every_byte_comes_through_the_shell_as_it_is() {
        let one_by_one: Vec<String> =
            (1..=127_u8).map(|byte| char::from(byte).to_string()).collect();
        let together: String = (1..=127_u8).map(char::from).collect();
        let mut argv = one_by_one;
        argv.extend([together, String::new(), "é\u{10ffff}".into(), "-n".into(), "'".repeat(99)]);
        assert_eq!(carried(&argv), argv);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn every_argv_comes_through_the_shell_as_it_is(
            argv in prop::collection::vec("[^\0]{0,40}", 1..8)
        ) {
            prop_assert_eq!(carried(&argv), argv);
        }
    }

    #[test]
    fn what_could_be_read_as_an_option_is_refused_before_anything_starts() {
        let hostile = ["", "-oProxyCommand=x", "a b", "a;b", "a$b", "a\nb", "a'b", "a/b", "u@h"];
        for host in hostile {
            let errand = errand(host, "root", &["true"]);
            assert!(Errands::of(&errand).is_err(), "{host:?}");
        }
        for user in ["", "-x", "a b", "a`b`", "a\\b"] {
            let errand = errand("h", user, &["true"]);
            assert!(Errands::of(&errand).is_err(), "{user:?}");
        }
        for argv in [&[][..], &[""], &["a", "b\0"]] {
            assert!(Errands::of(&errand("h", "root", argv)).is_err(), "{argv:?}");
        }
        let long = "x".repeat(STRING_MAX);
        let errand = errand("h", "root", &["echo", &long]);
        assert!(Errands::of(&errand).unwrap().remote("t", 1).is_err());
    }

    #[test]
    fn the_host_stands_where_no_option_can_be_read() {
        let errand = errand("web1", "root", &["systemctl", "restart", "web"]);
        let arguments = Errands::of(&errand).unwrap().arguments("/log", "text".into());
        let [.., dashes, host, text] = &arguments[..] else { panic!() };
        assert_eq!((dashes.as_str(), host.as_str(), text.as_str()), ("--", "web1", "text"));
        assert!(arguments.windows(2).any(|pair| pair == ["-l", "root"]));
        assert!(arguments.windows(2).any(|pair| pair == ["-o", "StrictHostKeyChecking=yes"]));
    }
}
