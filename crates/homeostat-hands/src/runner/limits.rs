//! The bounds of this room, each with its reason.

use std::time::Duration;

/// Bytes of one frame. The largest is an order: its arguments and variables are at most 1 MiB, and
/// JSON may need six bytes for one of them.
pub const FRAME_MAX: usize = 8 << 20;

/// Runs that one runner owns. Guards let through far fewer; each takes some descriptors.
pub const RUNS_MAX: usize = 4_096;

/// Orders that are over and that a runner remembers, so that it can say that it took them. Of what
/// ends while no engine is there nothing may be forgotten, and that is at most what runs; what ended
/// before as many others was heard of by an engine, and stands in its journal.
pub const OVER_KEPT: usize = 2 * RUNS_MAX;

/// Starts of engines that a runner remembers: an order is asked about by the next one, or by the one
/// after it where that crashed at once.
pub const LIVES_KEPT: usize = 64;

/// How often an engine looks by itself whether processes that could not be ended live, where no
/// runner watches them.
pub const STUCK_LOOK: Duration = Duration::from_secs(1);

/// Frames that wait to be written. A peer that reads none of so many is stuck: the runner drops it,
/// and it learns from the disk and from the next `Welcome` what it missed.
pub const FRAMES_WAITING: usize = 2 * RUNS_MAX;

/// Connections that have not said yet who they are. There is one engine, and a person with a tool.
pub const STRANGERS_MAX: usize = 8;

/// How long either side may take to say who it is. It is done in a millisecond; a runner that is
/// stopped, or swapped out, must not keep the engine from acting for long.
pub const GREETING: Duration = Duration::from_secs(5);

/// After how much silence a runner is asked whether it is there, and how long it may take to say so.
/// A runner that hangs enforces no time limit, so it is given up while that matters.
pub const SILENCE: Duration = Duration::from_secs(5);

/// How long a runner without an engine and without a run waits for either: an engine that is
/// upgraded, or that crashed, is back by then.
pub const ORPHANED: Duration = Duration::from_secs(10);

/// How often a runner looks around: whether it is still needed, and which orphans have died.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Bytes of the runner's log before it begins anew. It says a few lines a run at most.
pub const LOG_MAX: u64 = 1 << 20;

/// Bytes of a path that fit a socket's address, without the closing NUL: `sun_path` of Linux.
pub const SOCKET_PATH_MAX: usize = 107;

/// Threads for what blocks in the runner. Spawns are the most of it, and more of them at once than
/// this are not faster; each thread takes memory.
pub const THREADS: usize = 8;
