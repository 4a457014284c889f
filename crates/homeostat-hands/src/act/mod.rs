//! Performs orders: a process, a hand, a request or a handler, from its claim to its recorded end.
//!
//! ```text
//!  prepare, in the engine                 run, in whoever owns the process
//!  Execution ─> environment ─> inputs ══> claim ─> spawn ─> watch ─> (terminate) ─> exit ─> Ended
//!                    │            │        │        │        │                       │
//!                    └── Refused ─┴────────│────────┘        └── output is trimmed   └─ inspect,
//!                                                 └── hand: a process of ours, which says
//!                                                     what its errand came to
//!  Call ───────────────────────────────> claim ─> handler ─> watch ─> (abort) ────> exit   after a
//!  Sending ────────────────────────────> claim ─> request ─> answer ──────────────> exit   crash
//!                                          └── Unknown: claimed before
//! ```
//!
//! The duty of this room: an action starts at most once for an order, its data can never become
//! program text, its time and its output are bounded, and what became of it can be told after a
//! crash. *Not* its duty: whether the order may run (`guard`), what it means that it ended
//! (`healing`), and when it is retried (`decide`).
//!
//! # The order's directory
//!
//! `orders/<name>/` holds what engine and runner must believe. It is private to the engine's user, and
//! an action has no business there: it works in `work/<name>/`, which it may fill, change and remove.
//! The name is the order's id with a token of the engine's start ([`Life`]).
//!
//! | file | what |
//! |---|---|
//! | `alert.json` | the complete data, also the action's stdin |
//! | `script` | the text of a `script` action, run by what its first line names, else by `/bin/sh` |
//! | `errand` | what a hand is asked to do; what it came to stands in `work/<name>/said` |
//! | `claim` | made with `O_EXCL` right before the spawn: whoever makes it may spawn, once |
//! | `stdout`, `stderr` | the output, middle left out where it is too long |
//! | `response` | the beginning of the answer to a request, without our own secrets |
//! | `exit` | what became of it with the end of its output, put in place by one rename after the end |
//! | `withheld` | its engine stopped, and did not start it |
//!
//! # Why files and not pipes
//!
//! stdin is `alert.json` opened for reading, stdout and stderr are files opened for appending. With
//! pipes an engine that dies, or is upgraded, sends SIGPIPE into the middle of a running remedy,
//! and later into any service which the remedy started with its output left as it was. Files
//! outlive us: running actions finish. They never block the writer, and there is no end of a pipe
//! to wait for. The price: the bound on disk is kept from outside, by freeing the middle of the
//! file every [`limits::TRIM_INTERVAL`], so that a burst may take more for that long; and an
//! action that opens `/dev/stderr` by name, instead of writing to `>&2`, truncates its log.

mod born;
mod call;
mod cgroup;
mod claim;
mod environment;
mod exec;
pub mod handler;
mod http;
mod identity;
mod life;
pub mod limits;
mod orphans;
mod outlet;
mod output;
mod owner;
mod prepare;
mod process;
mod said;
mod setting;
mod spawn;
mod start;
mod subject;
#[cfg(test)]
mod tests;
mod tree;

use std::time::{Duration, SystemTime};

use homeostat_core::errand::Errand;
use homeostat_core::owner::Whose;
use serde::{Deserialize, Serialize};

pub use call::{Call, Words, call};
pub use cgroup::Cgroups;
pub use claim::{Found, ORDERS, WORK, Word, forget, forget_all, printed, printed_within, withhold};
pub use environment::told;
pub use exec::{Remains, RunOver, perform, run};
pub use handler::Handlers;
pub use http::{Sending, send};
pub use identity::identity;
pub use life::{Life, current_boot, draw};
pub use orphans::reap_as_first;
pub use outlet::{Answer, NoAnswer, Outlet};
pub use output::{Tail, one_line};
pub use owner::{Nursery, Owner, Variables};
pub use prepare::{Command, Launch, prepare};
pub use process::{Process, living, until_gone};
pub use said::{Asked, HAND, heard, inspect, say};
pub use setting::{SECRETS, SECRETS_VARIABLE, SecretFile, Setting, is_variable};
pub use spawn::{Identity, close_on_exec};
pub use subject::{Subject, SubjectAlert};

/// What one run of a process needs.
#[derive(Debug, Clone)]
pub struct Execution {
    /// The order's id.
    pub order: String,
    /// Its name, that of its directories: `[a-zA-Z0-9._-]+`.
    pub name: String,
    /// What is run.
    pub program: Program,
    /// How long it may run; counted from the spawn.
    pub timeout: Duration,
    /// How long it may take to end after SIGTERM, before SIGKILL.
    pub grace: Duration,
    /// What it is told, as environment and on stdin.
    pub subject: Subject,
    /// As whom and where it runs, and what it has besides.
    pub setting: Setting,
}

/// What is run.
///
/// Neither form lets data become program text: an argv goes to the kernel as it is, and a script is
/// a constant of the configuration that gets its data by environment and stdin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// A program, found on the engine's `PATH` unless it has a slash, and its arguments. No shell.
    /// A relative path with a slash is seen from the working directory, and finds nothing in one that
    /// is the run's own.
    Argv(Vec<String>),
    /// The text of a shell script. It is written to the order's directory and run from there,
    /// because `sh -c` would limit it to 128 KiB and show it to everybody in the process list.
    Script(String),
    /// One of the hands, which are this very program.
    Hand(Hand),
}

/// A hand and what it is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hand {
    /// The arguments with which this program comes to where it becomes a hand.
    pub arguments: Vec<String>,
    /// The errand.
    pub errand: Errand,
    /// Whether it is only to find out whether it could do it.
    pub rehearse: bool,
}

impl Hand {
    /// The program that it starts on this machine as somebody else's process. It is told of the alert as
    /// that of `exec` is.
    fn program(&self) -> Option<&[String]> {
        let Errand { hand, verb, .. } = &self.errand;
        if (&**hand, &**verb) == ("systemd", "run") { self.errand.list("argv") } else { None }
    }
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Outcome {
    /// It ended by itself.
    Exited {
        /// Its exit code, 0–255.
        code: i32,
    },
    /// A signal ended it that we did not send.
    Signalled {
        /// The signal's number.
        signal: i32,
    },
    /// A handler did it.
    Done,
    /// A hand would do it, as things are; nothing was done.
    Rehearsed {
        /// Who else manages what would be changed, and may take it back: `Argo CD (application shop)`,
        /// `Flux (Kustomization flux-system/apps)`.
        managed_by: Option<String>,
    },
    /// A hand says whose something is; nothing was done.
    Owned {
        /// Whose.
        whose: Whose,
    },
    /// A handler says that it failed, or died of a bug.
    Failed {
        /// Why, on one line.
        reason: String,
    },
    /// A web service answered.
    Answered {
        /// The HTTP status.
        status: u16,
        /// Whether that is a success.
        expected: bool,
    },
    /// It was still running after its timeout, and was ended.
    TimedOut,
    /// It was running when it was cancelled, and was ended.
    Cancelled,
    /// This call certainly started nothing. Whether an earlier one did, [`inspect`] tells.
    Refused {
        /// Why.
        reason: Refusal,
    },
    /// It may have run, wholly, in part or not at all.
    Unknown {
        /// Why nobody can say.
        reason: Doubt,
    },
}

/// Why an order was certainly not started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Refusal {
    /// The order's id cannot name a directory.
    #[error("order id {order:?} cannot name a directory")]
    OrderName {
        /// The id.
        order: String,
    },
    /// There is no program in the argv.
    #[error("the action names no program")]
    NoProgram,
    /// A NUL byte: the kernel ends strings there.
    #[error("{place} contains a NUL byte")]
    Nul {
        /// The variable, argument or script.
        place: String,
    },
    /// Longer than one string may be that is handed to a new process.
    #[error("{place} takes {bytes} bytes, the kernel takes at most {}", limits::STRING_MAX)]
    TooLong {
        /// The variable or argument.
        place: String,
        /// Its length with name, `=` and the closing NUL.
        bytes: usize,
    },
    /// All strings together are too long, even without annotations.
    #[error(
        "arguments and labels take {bytes} bytes together, at most {} are carried",
        limits::ENVIRONMENT_MAX
    )]
    TooMuch {
        /// Their length.
        bytes: usize,
    },
    /// Two labels of different values would become one environment variable.
    #[error("labels {first:?} and {second:?} both become the variable {variable}")]
    Collision {
        /// The variable.
        variable: String,
        /// The label that came first.
        first: String,
        /// The other one.
        second: String,
    },
    /// The order's files could not be prepared.
    #[error("cannot {attempt}: {error}")]
    Storage {
        /// What was tried.
        attempt: String,
        /// The system's answer.
        error: String,
    },
    /// The system did not start the program.
    #[error("cannot start {program:?}: {error}")]
    Spawn {
        /// The program.
        program: String,
        /// The system's answer.
        error: String,
        /// Whether it would not start the next time either: the program is not there, or is none.
        #[serde(default)]
        lasting: bool,
    },
    /// The program has no such handler.
    #[error("this program has no handler {handler:?}")]
    NoHandler {
        /// The handler.
        handler: String,
    },
    /// This machine has no such user or group.
    #[error("this machine has no user or group {name:?} in /etc/passwd and /etc/group")]
    NoIdentity {
        /// The name.
        name: String,
    },
    /// The configuration no longer has this action.
    #[error("the configuration changed before it was done")]
    Reconfigured,
    /// What was rendered is no request.
    #[error("{reason}")]
    NoRequest {
        /// Why.
        reason: String,
    },
    /// Nothing of the request was sent.
    #[error("the request was not sent: {error}")]
    NotSent {
        /// Why.
        error: String,
    },
    /// A hand says that it did nothing.
    #[error("{reason}")]
    Hand {
        /// Why.
        reason: String,
        /// Whether it would not the next time either, until somebody changes something.
        lasting: bool,
    },
    /// This program cannot start itself to be a hand.
    #[error("this program has no runner, and so no hands: see App::with_runner")]
    NoHands,
    /// It was cancelled before it started.
    #[error("cancelled before it started")]
    Cancelled,
    /// The runner obeys a later engine.
    #[error("a later engine is in command of the runner")]
    Outdated,
    /// A runner owns as many runs as it may.
    #[error("the runner has {runs} runs already")]
    Crowded {
        /// How many.
        runs: usize,
    },
}

/// Why nobody can say what became of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Doubt {
    /// Somebody claimed this order before; it was not run again.
    #[error("the order is already claimed")]
    AlreadyClaimed,
    /// It is claimed, and its end was not recorded: it may run still.
    #[error("the order is claimed and no end is recorded")]
    NoExit,
    /// The machine was started anew since: a claim may have been lost with the power.
    #[error("the machine was started anew since the order was issued")]
    OtherBoot,
    /// The runner that ran it is gone, and its end was not recorded: it may run still.
    #[error("the runner that ran the order is gone, and no end is recorded")]
    RunnerGone,
    /// The runner that took it is there, and neither its claim nor its end.
    #[error("the order was taken, and its records are gone")]
    RecordsGone,
    /// It is not claimed, and whoever would have started it is not there to say that it did not.
    #[error("nobody is left who can say whether the order was started")]
    NoWitness,
    /// The boot id of this machine could not be read.
    #[error("cannot read the boot id: {error}")]
    NoBootId {
        /// The system's answer.
        error: String,
    },
    /// The order's records could not be read.
    #[error("cannot read the order's record: {error}")]
    Record {
        /// The system's or the parser's answer.
        error: String,
    },
    /// The spawn failed in a way that may leave a process behind.
    #[error("starting {program:?} failed half-way: {error}")]
    Spawn {
        /// The program.
        program: String,
        /// The system's answer.
        error: String,
    },
    /// The request was sent, at least in part, and no answer came.
    #[error("the request was sent, and its answer did not come: {error}")]
    NoAnswer {
        /// What happened instead.
        error: String,
    },
    /// Somebody in between answered, who does not know whether the request was done.
    #[error("a gateway answered {status}, which does not say whether the request was done")]
    Gateway {
        /// The HTTP status.
        status: u16,
    },
    /// A hand did something, and cannot say what it came to.
    #[error("{reason}")]
    Hand {
        /// Why.
        reason: String,
    },
    /// A hand is gone that did not say what it came to.
    #[error("the hand ended without a word of what its errand came to")]
    NotSaid,
    /// The process was started, and the system did not tell how it ended.
    #[error("cannot learn how the process ended: {error}")]
    Wait {
        /// The system's answer.
        error: String,
    },
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// What became of it.
    pub outcome: Outcome,
    /// When it was spawned; nothing if it was not.
    pub started_at: Option<SystemTime>,
    /// From spawn to end, by the monotonic clock; zero if it was not spawned.
    pub duration: Duration,
    /// The end of its output: at most [`limits::TAIL_MAX`] bytes, stdout's first, then stderr's.
    /// Control characters are replaced, so that it is safe to print.
    pub tail: String,
    /// Whether `tail` is less than the whole output.
    pub truncated: bool,
    /// Processes of this run that were alive after it: what it left in the background, or, after a
    /// timeout or a cancel, what could not be ended.
    pub left: u32,
    /// What was to end and could not be ended, as a process of another user or one that is stuck in
    /// the kernel: it goes on, and whoever starts something beside it must know. Nothing of a run
    /// that ended by itself.
    pub stuck: Vec<Process>,
}

impl Ended {
    /// The end of a run that certainly did not begin.
    pub fn refused(reason: Refusal) -> Self {
        Self::without_run(Outcome::Refused { reason })
    }

    /// The end of a run that has none: nothing was started, or nobody knows.
    fn without_run(outcome: Outcome) -> Self {
        Self {
            outcome,
            started_at: None,
            duration: Duration::ZERO,
            tail: String::new(),
            truncated: false,
            left: 0,
            stuck: Vec::new(),
        }
    }
}
