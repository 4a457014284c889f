//! The runner: a small process that owns the actions, so that they outlive the engine.
//!
//! ```text
//!  engine                                           runner (a process of its own)
//!  prepare ─> Client ══ runner.sock: start, cancel ══> Server ─> act::run ─> exit record
//!                │                                        │                     │
//!                └──────────── ended: a hint <────────────┘                     │
//!                      reads the record <─────────────────────────────────── the disk
//! ```
//!
//! When the engine crashes, is upgraded or killed, the runner goes on: it enforces time limits, bounds
//! the output, and records ends. The next engine finds it by the socket in the storage directory, is
//! told what runs, and adopts it: it waits for the ends and can cancel. What the runner says of an end
//! is a hint; the record on the disk says how it was, whoever is there to read it.
//!
//! ```text
//!  exit recorded │ claimed │ runner says │ so
//!  yes           │         │             │ it ended, as recorded
//!  no            │         │ running     │ it goes on, or is about to start: adopted
//!  no            │ yes     │             │ unknown: verified, never run again blindly
//!  no            │ no      │ over        │ unknown: its records are gone
//!  no            │ no      │ never taken │ certainly not started (in the same boot)
//!  no            │ no      │ nothing     │ unknown: nobody can say
//! ```
//!
//! That an order was *never taken* only that runner can say which would have taken it. A runner knows
//! of which starts of engines it alone took orders: an engine says with its greeting with whom it
//! spoke so far, tells the runner of what it does itself before it does it, and takes the socket from
//! a runner before it starts a process without one. So where a runner that is found has been there
//! since the first order of a start, nobody else can have started one of it.
//!
//! # Who is in command
//!
//! Each start of an engine has a number, its *fence*, that grows with the journal. A runner obeys the
//! engine with the greatest that it was greeted with, and of two with the same the later one; from the
//! moment of its `Welcome` nothing starts that an earlier one asked for and that is not listed there.
//!
//! # How it comes and goes
//!
//! The engine makes the socket, and starts its own program again, with the socket as standard input
//! and a variable that says so: [`become_one_if_asked`]. The runner leaves the engine's session, is
//! the reaper of all that descends from it, and gives each run a cgroup where it may. It ends by
//! itself: when the engine has said that nobody follows, or when for a while none came, as soon as
//! nothing runs. A socket that is replaced says that another runner is found from now on.
//!
//! Duty: whose processes actions are, and how engine and runner talk. *Not* its duty: what a run is
//! (`act`), whether it may be (`guard`), what its end means (`decide`).

mod client;
mod frame;
pub mod limits;
mod server;
mod socket;
mod start;
#[cfg(test)]
mod tests;

pub use client::{Client, Settings, Tally};
pub use frame::{ENGINE, FrameError, Hands, PROTOCOL, ToEngine, ToRunner, decode, encode};
pub use socket::NAME as SOCKET;
pub use start::{Fine, LOG, Program, become_one_if_asked, is_asked};

use std::fs;
use std::os::unix::fs::MetadataExt;

/// Which program this process is: the same for two processes only if they run the same file.
fn build() -> String {
    let version = env!("CARGO_PKG_VERSION");
    fs::metadata("/proc/self/exe").map_or_else(
        |_| version.to_owned(),
        |file| format!("{version} {}:{}:{}:{}", file.dev(), file.ino(), file.mtime(), file.size()),
    )
}
