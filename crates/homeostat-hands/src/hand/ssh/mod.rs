//! Runs a command on another machine, by the system's OpenSSH client and people's own configuration.
//!
//! ```text
//!  here                                       the host
//!  ssh: connects, is let in ────────────────> its shell: remote.sh
//!                       <──────────── ready ─ leads its process group, waits
//!  the word goes ──────────────────────────── go ─> the command begins
//!   before: certainly not begun                     │ ends by itself ─> exit N
//!   after, and no `exit`: unknown                   │ limit, or `end` ─> TERM, KILL ─> ended
//! ```
//!
//! Exit code 255 of `ssh` says nothing of the command: what counts is what the host said. A connection
//! that is lost after the word went ends nothing there: the command goes on, at most until its limit.
//!
//! A key that is not known, a way in that is refused, a configuration that cannot be read: nothing was
//! done, and a person is told at once, because the next remedy would not fare better.
//!
//! There is no shared connection of our own (`ControlMaster`): its master would have to be a process of
//! some run, and would end with it. One that people keep by themselves is used.

mod command;
mod said;
mod words;

use std::io::{self, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, Command};
use tokio::time::{Instant, sleep_until, timeout};

use self::command::Errands;
use self::words::{Word, Words};
use super::{Doing, Lasting, refused};
use crate::act::{Doubt, HAND, Outcome, draw, one_line};

/// The name of this hand.
pub(super) const NAME: &str = "ssh";

/// The file with what the client says.
const LOG: &str = "ssh.log";

/// Bytes of the log that are read: some lines.
const LOG_READ: u64 = 16 << 10;

/// How long `ssh` may take to end once the host has said how the command ended: what is still on its
/// way of the output. A service that the command started keeps the connection open for as long as it
/// lives.
const LINGER: Duration = Duration::from_secs(2);

/// How much sooner than its own grace a hand gives up waiting for the host, so that it can still say so.
const IN_TIME: Duration = Duration::from_secs(1);

/// With this code `ssh` says that it is about the connection, and not about the command.
const NO_CONNECTION: i32 = 255;

/// Starts what follows, and ignores the signal by which a hand is told to end: it ends the command on
/// the host first, for which it needs the connection.
const DEAF: &str = r#"trap '' TERM; exec "$@""#;

/// Runs the command of an errand.
pub(super) async fn perform(doing: Doing) -> Outcome {
    let errands = match Errands::of(&doing.errand) {
        Ok(errands) => errands,
        Err(never) => return never,
    };
    if !is_here("ssh") {
        return refused("there is no program \"ssh\" on this machine", Lasting::Yes);
    }
    // Half of the grace for the command's own end; the rest is for the way, and the record.
    let grace = (doing.grace.as_secs() / 2).max(1);
    // No command can know it beforehand.
    let started = draw()
        .map_err(|error| refused(&format!("cannot draw a token: {error}"), Lasting::No))
        .and_then(|token| {
            let remote = errands.remote(&token, grace)?;
            Session::start(&errands, &doing.work.join(LOG), remote, &token)
        });
    match started {
        Ok(session) => session.attend(&doing, &errands).await,
        Err(outcome) => outcome,
    }
}

/// Whether a program is on the `PATH`.
fn is_here(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

/// A client that runs.
struct Session {
    client: Child,
    /// Open as long as there may be something to say to the host.
    to_host: ChildStdin,
    from_host: ChildStderr,
    words: Words,
    stage: Stage,
}

/// How far it got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The word to begin was not said.
    Before,
    /// It was.
    Begun,
    /// The command was told to end.
    Ending,
    /// It was told to end, and the host has said that it is being killed.
    Killed,
}

/// What comes next.
enum Next {
    /// The host said something.
    Said(Vec<Word>),
    /// The client says nothing any more.
    Silent,
    /// The run is to end.
    End,
    /// It was to have ended by now.
    Late,
}

impl Session {
    fn start(
        errands: &Errands<'_>,
        log: &Path,
        remote: String,
        token: &str,
    ) -> Result<Self, Outcome> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", DEAF, "sh", "ssh"]);
        command.args(errands.arguments(&log.to_string_lossy(), remote)).env_remove(HAND);
        command.stdin(Stdio::piped()).stdout(Stdio::inherit()).stderr(Stdio::piped());
        let refuse = |error: io::Error| {
            let reason = format!("cannot start \"ssh\": {error}");
            refused(&reason, Lasting::No)
        };
        let mut client = command.spawn().map_err(refuse)?;
        let (to_host, from_host) = (client.stdin.take(), client.stderr.take());
        let to_host = to_host.expect("it was given a pipe");
        let from_host = from_host.expect("it was given a pipe");
        Ok(Self { client, to_host, from_host, words: Words::new(token), stage: Stage::Before })
    }

    /// Goes through it to its end, and says what came of it.
    async fn attend(mut self, doing: &Doing, errands: &Errands<'_>) -> Outcome {
        let mut patience = None;
        loop {
            match self.next(doing, patience).await {
                Next::Said(words) => {
                    for word in words {
                        if let Some(outcome) = self.hear(word, doing, errands).await {
                            self.part().await;
                            return outcome;
                        }
                    }
                }
                Next::Silent => return self.over(doing, errands).await,
                Next::End if self.stage == Stage::Before => {
                    self.kill().await;
                    let reason = format!("no connection to {} in time", errands.host);
                    return refused(&reason, Lasting::No);
                }
                Next::End => {
                    self.stage = Stage::Ending;
                    patience = Some(Instant::now() + doing.grace.saturating_sub(IN_TIME));
                    // Where it cannot be said, its own limit ends it.
                    let _ = self.to_host.write_all(b"end\n").await;
                }
                Next::Late => {
                    self.kill().await;
                    return unknown(format!(
                        "{} did not say that the command has ended; it ends it at its time limit",
                        errands.host
                    ));
                }
            }
        }
    }

    async fn next(&mut self, doing: &Doing, patience: Option<Instant>) -> Next {
        let mut buffer = [0; 8 << 10];
        let is_told = matches!(self.stage, Stage::Ending | Stage::Killed);
        let late = async {
            match patience {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // A command that never stops talking is ended, too; an end that it came to counts all the same.
            biased;
            () = doing.told_to_end(), if !is_told => Next::End,
            () = late => Next::Late,
            read = self.from_host.read(&mut buffer) => match read {
                Ok(0) | Err(_) => Next::Silent,
                Ok(length) => {
                    let mut output = Vec::new();
                    let words = self.words.feed(&buffer[..length], &mut output);
                    show(&output);
                    Next::Said(words)
                }
            },
        }
    }

    /// Takes what the host says, and says what came of the errand where that is known by it.
    async fn hear(&mut self, word: Word, doing: &Doing, errands: &Errands<'_>) -> Option<Outcome> {
        let host = errands.host;
        match (word, self.stage) {
            (Word::Alone, Stage::Before) => {
                let reason = format!(
                    "the SSH server of {host} gives commands no process group of their own, so that \
                     none could be ended"
                );
                Some(refused(&reason, Lasting::Yes))
            }
            (Word::Missing, Stage::Before) => {
                let program = errands.program();
                let reason = format!("there is no program {program:?} on {host}");
                Some(refused(&reason, Lasting::Yes))
            }
            (Word::Ready, Stage::Before) => {
                // From here on it may have begun.
                self.stage = Stage::Begun;
                // In whole seconds, and not before its limit here.
                let limit = doing.left().as_secs() + 1;
                let go = format!("go {limit}\n");
                // A host that cannot be told has ended its session, which is seen next.
                let _ = self.to_host.write_all(go.as_bytes()).await;
                None
            }
            (Word::Exit(code), Stage::Begun | Stage::Ending) => Some(Outcome::Exited { code }),
            (Word::Ended, Stage::Ending) => Some(Outcome::Cancelled),
            (Word::Ended, Stage::Begun) => Some(ended_untold(doing, host)),
            (Word::Killed, Stage::Ending) => {
                self.stage = Stage::Killed;
                None
            }
            // What does not belong there says nothing.
            (_, _) => None,
        }
    }

    /// The client says nothing any more: it has ended.
    async fn over(mut self, doing: &Doing, errands: &Errands<'_>) -> Outcome {
        show(&self.words.finish());
        self.part().await;
        match self.stage {
            Stage::Before => self.not_begun(doing, errands),
            // The host has told all of it to end at once, and its session is over.
            Stage::Killed => Outcome::Cancelled,
            Stage::Begun | Stage::Ending => {
                let log = read_log(doing);
                let last = said::last(&log).map(|last| format!(": {}", one_line(last)));
                unknown(format!(
                    "the connection to {} was lost after the command began{}",
                    errands.host,
                    last.unwrap_or_default()
                ))
            }
        }
    }

    /// The client has ended, and the word to begin was not said.
    fn not_begun(&mut self, doing: &Doing, errands: &Errands<'_>) -> Outcome {
        let log = read_log(doing);
        let status = self.client.try_wait().ok().flatten();
        match status.and_then(|status| status.code()) {
            // Its own word that there is no connection, or not any more. Of what came then it says
            // nothing in its log.
            Some(NO_CONNECTION) => {
                let (reason, lasting) = said::why(errands.host, &log);
                refused(&one_line(&reason), lasting)
            }
            Some(_) => unknown(format!(
                "{} did something, and not what was sent: perhaps a command is forced there",
                errands.host
            )),
            None => refused("somebody ended ssh before the command began", Lasting::No),
        }
    }

    /// Waits a moment for the client's end, with what is still on its way, and then ends it.
    async fn part(&mut self) {
        let rest = async {
            let mut buffer = [0; 8 << 10];
            while let Ok(length @ 1..) = self.from_host.read(&mut buffer).await {
                let mut output = Vec::new();
                self.words.feed(&buffer[..length], &mut output);
                show(&output);
            }
            show(&self.words.finish());
            let _ = self.client.wait().await;
        };
        if timeout(LINGER, rest).await.is_err() {
            self.kill().await;
        }
    }

    async fn kill(&mut self) {
        // It cannot be refused: the client is our own, and not reaped.
        let _ = self.client.kill().await;
    }
}

/// The command was told to end, and not by us: at its limit by the host's own clock, or by somebody
/// there.
fn ended_untold(doing: &Doing, host: &str) -> Outcome {
    if doing.left() <= LINGER {
        return Outcome::Cancelled;
    }
    unknown(format!("somebody ended the command on {host}"))
}

fn unknown(reason: String) -> Outcome {
    Outcome::Unknown { reason: Doubt::Hand { reason } }
}

/// What the command says is this process's own output.
fn show(output: &[u8]) {
    let _ = io::stderr().write_all(output);
}

fn read_log(doing: &Doing) -> String {
    use std::io::Read;
    let mut text = Vec::new();
    if let Ok(file) = std::fs::File::open(doing.work.join(LOG)) {
        let _ = file.take(LOG_READ).read_to_end(&mut text);
    }
    String::from_utf8_lossy(&text).into_owned()
}
