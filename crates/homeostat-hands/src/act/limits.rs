//! The bounds of this room, each with its reason.

use std::time::Duration;

/// Bytes that are kept of one output, half from its beginning and half from its end. Enough for
/// ten thousand lines; a thousand orders with both outputs full take 2 GiB.
pub const OUTPUT_MAX: u64 = 1 << 20;

/// Bytes of output that travel with the result into the journal and to people: about a screen.
pub const TAIL_MAX: usize = 4 << 10;

/// Bytes of one string for a new process, with its closing NUL: `MAX_ARG_STRLEN` of Linux with
/// pages of 4 KiB. Larger pages allow more; one bound for all machines is easier to test against.
pub const STRING_MAX: usize = 128 << 10;

/// Bytes of all arguments and variables that we add. Linux allows a quarter of the stack limit,
/// usually 2 MiB, for these, the inherited environment and a pointer to each.
pub const ENVIRONMENT_MAX: usize = 1 << 20;

/// Alerts that stand in the environment one by one, the first of them: a hundred variables each would
/// soon be more than the kernel takes. The JSON on stdin has all.
pub const ALERTS_IN_ENVIRONMENT: usize = 64;

/// Bytes of an order's id: a file name may have 255, and this leaves room for a suffix.
pub const ORDER_NAME_MAX: usize = 200;

/// Bytes that are kept of the answer to a request.
pub const RESPONSE_MAX: usize = 1 << 20;

/// Bytes of an answer that travel with the result: they share [`TAIL_MAX`] with the status.
pub const ANSWER_SHOWN: usize = TAIL_MAX - 512;

/// Characters of a text of somebody else that travel on as one line: a line or two for a person.
pub const LINE_CHARS: usize = 300;

/// How long a handler that was aborted may take until its next `await`. One that blocks its thread
/// never gets there.
pub const ABORT_PATIENCE: Duration = Duration::from_secs(1);

/// How often a growing output is trimmed. A program that writes 1 GB/s so takes 100 MB for that
/// long; twice as often costs twice the wake-ups for every quiet action.
pub const TRIM_INTERVAL: Duration = Duration::from_millis(100);

/// How often the output of processes that an action left behind is trimmed. They are services as a
/// rule, and live for months.
pub const LEFT_TRIM_INTERVAL: Duration = Duration::from_secs(1);

/// How many of those intervals pass between looks at whether such processes still live: a look
/// reads `/proc` once.
pub const LEFT_LOOK_EVERY: u32 = 30;

/// How often a tree that was told to end is looked at. A look reads `/proc`, some milliseconds.
pub const TREE_INTERVAL: Duration = Duration::from_millis(20);

/// How long SIGKILL may take. It is immediate but for processes in uninterruptible sleep, as on
/// a dead NFS server; for these no time is long enough.
pub const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// How often the first process of a container looks for dead children that nobody waits for. Who has
/// started one waits for it within a moment.
pub const ORPHANS_INTERVAL: Duration = Duration::from_secs(5);

/// How often processes that could not be ended are told to end again, and looked at.
pub const STUCK_INTERVAL: Duration = Duration::from_secs(1);

/// Characters of the command of a process that could not be ended: enough to know what it is.
pub const COMMAND_CHARS: usize = 120;

/// How many processes that could not be ended are recorded.
pub const STUCK_MAX: usize = 32;

/// Bytes of a secret that an action is handed: a key or a token has a few thousand.
pub const SECRET_MAX: u64 = 64 << 10;

/// Bytes read of another process's environment. The kernel's own bound is 6 MiB for arguments and
/// environment together.
pub const PROC_ENVIRON_MAX: u64 = 6 << 20;

/// Bytes read of an `exit` record; ours have some hundreds.
pub const RECORD_MAX: u64 = 64 << 10;

/// How long the record of an end waits to be written again on a full disk, and how often it is tried:
/// for an hour. After that a run is taken as unknown, which is safe.
pub const RECORD_AGAIN: Duration = Duration::from_secs(1);
/// See [`RECORD_AGAIN`].
pub const RECORD_TRIES: u32 = 3_600;

/// How deep cgroups are followed that an action made below its own: programs that do so, as
/// container engines, go two or three levels down.
pub const CGROUP_DEPTH_MAX: usize = 16;

/// How often an engine looks by itself whether processes that could not be ended live, where no
/// runner watches them.
pub const STUCK_LOOK: Duration = Duration::from_secs(1);
