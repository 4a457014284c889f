//! One command that tells somebody: the document on stdin, its outline in the environment.
//!
//! It runs in a process group of its own and has no shell around it. When its time is over, and when
//! we stop, the whole group is killed. What it says is read and dropped, save the end of stderr, for
//! the log. *Not* its duty: orders, which run at most once and outlive us (`act`).

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::client::one_line;
use homeostat_hands::inherited::not_inherited;

/// Bytes that are kept of what a command says.
const KEPT: usize = 2 << 10;

/// How long we listen on after the command has ended: what it left behind may hold its stderr.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// Runs a command to its end. It has accepted the notice if it exits with 0.
pub(super) async fn run(
    argv: &[String],
    variables: Vec<(&'static str, String)>,
    document: Vec<u8>,
    limit: Duration,
) -> Result<(), String> {
    let (program, arguments) = argv.split_first().ok_or("it names no program")?;
    let mut command = Command::new(program);
    command.args(arguments).process_group(0).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    for name in not_inherited() {
        command.env_remove(name);
    }
    command.envs(variables);
    let child = command.spawn().map_err(|error| format!("{program} cannot be started: {error}"))?;
    let mut group = Group(child);
    timeout(limit, group.work(document))
        .await
        .unwrap_or_else(|_| Err(format!("{program} ran longer than {limit:?} and was killed")))
}

/// A command and all that it starts. Dropped before its end, all of it is killed.
struct Group(Child);

impl Group {
    async fn work(&mut self, document: Vec<u8>) -> Result<(), String> {
        let (stdin, stderr) = (self.0.stdin.take(), self.0.stderr.take());
        let mut said = Vec::new();
        let status = {
            let feed = async {
                if let Some(mut stdin) = stdin {
                    // A command need not read it.
                    let _ = stdin.write_all(&document).await;
                }
            };
            let listen = async {
                if let Some(stderr) = stderr {
                    keep_end(stderr, &mut said).await;
                }
            };
            let mut talk = std::pin::pin!(async { tokio::join!(feed, listen) });
            let mut talked = false;
            let status = loop {
                tokio::select! {
                    status = self.0.wait() => break status,
                    _ = &mut talk, if !talked => talked = true,
                }
            };
            if !talked {
                // An error says that something else holds the pipe.
                let _ = timeout(LAST_WORDS, talk).await;
            }
            status
        };
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => {
                let said = one_line(&String::from_utf8_lossy(&said));
                Err(if said.is_empty() { status.to_string() } else { format!("{status}: {said}") })
            }
            Err(error) => Err(format!("its end is not known: {error}")),
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A child has its number until it is waited for, and as long the group's is its own.
        let leader = self.0.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(leader) = leader {
            // It may have ended just now.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// Reads to the end, and keeps the last bytes.
async fn keep_end(mut from: impl AsyncRead + Unpin, kept: &mut Vec<u8>) {
    let mut chunk = [0; KEPT];
    while let Ok(count @ 1..) = from.read(&mut chunk).await {
        kept.extend_from_slice(&chunk[..count]);
        kept.drain(..kept.len().saturating_sub(KEPT));
    }
}
