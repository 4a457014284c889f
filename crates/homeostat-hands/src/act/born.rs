//! The ways in which a child comes into being, as the kernel has them.
//!
//! | way | memory | cgroup |
//! |---|---|---|
//! | [`in_our_memory`] | ours, while this thread waits | born in it |
//! | [`in_copy`] | a copy | born in it |
//! | [`forked`] | a copy | ours |
//!
//! Source: `clone(2)`, `vfork(2)`, `linux/sched.h`.

#![allow(unsafe_code, reason = "see the argument at each use")]

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use std::arch::asm;
use std::ffi::c_void;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use rustix::io::Errno;

/// Memory is shared. Source: `linux/sched.h`, as of the others.
const CLONE_VM: u64 = 1 << 8;

/// Whoever makes the child waits until it runs a program, or is over.
const CLONE_VFORK: u64 = 1 << 14;

/// Handlers of signals are none of the child's.
const CLONE_CLEAR_SIGHAND: u64 = 1 << 32;

/// The child is in the cgroup that is handed in.
const CLONE_INTO_CGROUP: u64 = 1 << 33;

/// Stack of a child in our memory, in units of 16 bytes, by which it is aligned. It makes system calls.
const STACK: usize = (64 << 10) / size_of::<u128>();

/// What the kernel calls `struct clone_args`, up to `cgroup`.
type Arguments = [u64; 11];

fn arguments(flags: u64, stack: &[MaybeUninit<u128>], cgroup: Option<BorrowedFd<'_>>) -> Arguments {
    let into = if cgroup.is_some() { CLONE_INTO_CGROUP } else { 0 };
    let flags = CLONE_CLEAR_SIGHAND | flags | into;
    let signal = u64::from(libc::SIGCHLD.unsigned_abs());
    let group = cgroup.map_or(0, |group| u64::from(group.as_raw_fd().unsigned_abs()));
    let lowest = if stack.is_empty() { 0 } else { stack.as_ptr().expose_provenance() as u64 };
    [flags, 0, 0, 0, signal, lowest, size_of_val(stack) as u64, 0, 0, 0, group]
}

/// Makes a child in our memory, in a cgroup where one is given. Returns its number once it runs a
/// program, or is over. All signals are to be blocked.
///
/// # Safety
///
/// Until then it does nothing but `live(what)`, which must neither allocate nor lock nor panic: other
/// threads go on. What it writes to must be there until this returns.
pub(super) unsafe fn in_our_memory(
    cgroup: Option<BorrowedFd<'_>>,
    live: extern "C" fn(*const c_void) -> !,
    what: *const c_void,
) -> Result<i32, Errno> {
    let stack = Box::<[u128]>::new_uninit_slice(STACK);
    let arguments = arguments(CLONE_VM | CLONE_VFORK, &stack, cgroup);
    // SAFETY: the child begins after the call with our registers and a stack of its own, and calls
    // `live`, which does not return: our frame is not touched. This thread goes on here once the child
    // does not use the stack any more. The arguments are read by the call alone.
    let made = unsafe { clone3(&arguments, live, what) };
    drop(stack);
    number(made)
}

/// Makes the call. The child calls `live(what)` on its stack. On machines of other kinds it is refused.
unsafe fn clone3(
    arguments: &Arguments,
    live: extern "C" fn(*const c_void) -> !,
    what: *const c_void,
) -> i64 {
    let made: i64;
    // SAFETY: as `in_our_memory` says.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r13",
            "call r12",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 => made,
            in("rdi") arguments.as_ptr(),
            in("rsi") size_of::<Arguments>(),
            in("r12") live,
            in("r13") what,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x30, xzr",
            "mov x0, x21",
            "blr x20",
            "brk #1",
            "2:",
            in("x8") libc::SYS_clone3,
            inlateout("x0") arguments.as_ptr() => made,
            in("x1") size_of::<Arguments>(),
            in("x20") live,
            in("x21") what,
        );
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        let _ = (arguments, live, what);
        made = -i64::from(libc::ENOSYS);
    }
    made
}

/// What the kernel answers: a number, or an error below zero.
fn number(made: i64) -> Result<i32, Errno> {
    match i32::try_from(made) {
        Ok(made) if made > 0 => Ok(made),
        Ok(error) => Err(Errno::from_raw_os_error(-error)),
        Err(_) => Err(Errno::NOSYS),
    }
}

/// Makes a child in a cgroup, with a copy of our memory. As `fork(2)` it returns twice: 0 in the child.
///
/// # Safety
///
/// The child has one thread, and may do only what needs neither an allocator nor a lock.
pub(super) unsafe fn in_copy(cgroup: BorrowedFd<'_>) -> Result<i32, Errno> {
    let arguments = arguments(0, &[], Some(cgroup));
    // SAFETY: no memory is shared and no stack is asked for, so this is a fork: the child goes on
    // here in a copy of all that there is. The arguments are read by the call alone.
    let made =
        unsafe { libc::syscall(libc::SYS_clone3, arguments.as_ptr(), size_of::<Arguments>()) };
    i32::try_from(made).ok().filter(|made| *made >= 0).ok_or_else(last)
}

/// The same without a cgroup, on any kernel.
///
/// # Safety
///
/// As of [`in_copy`].
pub(super) unsafe fn forked() -> Result<i32, Errno> {
    // SAFETY: whoever calls this answers for what the child does.
    match unsafe { libc::fork() } {
        -1 => Err(last()),
        pid => Ok(pid),
    }
}

fn last() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::NOSYS)
}

/// All signals are blocked in this thread as long as this is kept: none is taken by a child that has
/// our handlers still.
pub(super) struct Blocked {
    before: libc::sigset_t,
}

impl Blocked {
    pub(super) fn all() -> Self {
        let mut before = MaybeUninit::<libc::sigset_t>::uninit();
        let mut all = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: both sets are written by the calls that make them before anybody reads them.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
            Self { before: before.assume_init() }
        }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // SAFETY: it is the set that was in force.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.before, ptr::null_mut());
        }
    }
}
