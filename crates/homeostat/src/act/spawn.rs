//! The one file of this program where the compiler's word is not enough.
//!
//! A process must be in its cgroup before its program runs, or its first child may be outside.
//! Nothing in safe Rust does that: a move from outside comes too late, and `clone3` with
//! `CLONE_INTO_CGROUP` needs more of this than the one `write` between fork and exec here. A
//! launcher that enters and then runs the program would turn a program that there is not into an
//! exit code, and an order that certainly did not start into one that failed.

#![allow(unsafe_code, reason = "see the argument at each use")]

use std::fs::File;
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::process::CommandExt;

use rustix::io::FdFlags;
use tokio::process::Command;

/// Lets the process of a command enter the cgroup whose `cgroup.procs` is handed in.
///
/// It forks, and so costs what the tables of this process's memory cost: only a runner may do so.
pub(super) fn enter(command: &mut Command, entrance: File) {
    let enter = move || {
        // A process that did not get in is found as without cgroups, and is better than none.
        let _ = rustix::io::write(&entrance, b"0");
        Ok(())
    };
    // SAFETY: between fork and exec of a process with threads only what is safe in a signal handler
    // may be called. The closure makes one system call, directly and without libc, on a descriptor
    // that is open; it neither allocates nor locks nor panics, and dropping its result does
    // nothing.
    unsafe {
        command.as_std_mut().pre_exec(enter);
    }
}

/// Sees to it that no program which is run from here on inherits a descriptor. Of one that is not
/// open nothing is changed.
pub fn close_on_exec(number: RawFd) {
    // SAFETY: the descriptor is borrowed for one system call that neither closes nor uses what it
    // refers to. If it is not open, or is another one by now, then that call fails or sets the flag
    // that this program sets on all of its descriptors anyway. -1 is no number of a descriptor.
    let descriptor = (number >= 0).then(|| unsafe { BorrowedFd::borrow_raw(number) });
    if let Some(descriptor) = descriptor {
        let _ = rustix::io::fcntl_setfd(descriptor, FdFlags::CLOEXEC);
    }
}
