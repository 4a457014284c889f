//! Starts a process that is in its cgroup before its program runs. The one file of this program
//! where the compiler's word is not enough.
//!
//! A move from outside comes too late: the first child of the program may be outside by then. A
//! launcher that enters and then runs the program would turn a program that there is not into an
//! exit code, and an order that certainly did not start into one that failed. `pre_exec` of the
//! standard library makes it fork, and a fork of a process with many threads costs more than all
//! else of a short run: the tables of its memory are copied, and each page that is written next
//! faults. So this is what `posix_spawn` does, and the child is born in its cgroup:
//!
//! ```text
//!  this thread          the child, in the same memory, on a stack of its own
//!  block signals
//!  clone3, and sleep ─> streams, directory, group, signals
//!  wake up <─────────── execve, or its error and the end
//!  unblock signals
//! ```
//!
//! Where `clone3` is refused, as in some sandboxes, or not known here, as on other processors, the
//! child is cloned in the old way and enters by itself, by a write to `cgroup.procs`. That is as
//! safe, but the kernel now and then keeps it waiting for 20 ms, until no processor is in the middle
//! of a fork.
//!
//! Source: `clone(2)`, `vfork(2)`, `signal-safety(7)`; for the wait, `percpu_down_write` of
//! `cgroup_threadgroup_rwsem` in Linux.

#![allow(unsafe_code, reason = "see the argument at each use")]

use std::ffi::{CString, OsStr, OsString, c_char, c_int, c_void};
use std::fs::{self, File};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::fs::{Access, access};
use rustix::io::{Errno, FdFlags};
use rustix::process::{Pid, PidfdFlags, WaitOptions, pidfd_open, waitpid};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Bytes of the child's stack. It calls some thirty functions of the system, one after the other.
const STACK: usize = 32 << 10;

/// Where programs are looked for when nobody says where: what `execvp(3)` takes then.
const PATH: &str = "/bin:/usr/bin";

/// The cgroup that a child is to be in.
#[derive(Debug)]
pub(super) struct Place {
    /// Its directory.
    pub(super) directory: OwnedFd,
    /// Its `cgroup.procs`, for writing.
    pub(super) entrance: File,
}

/// What a process has as its standard streams.
pub(super) struct Streams {
    pub(super) stdin: File,
    pub(super) stdout: File,
    pub(super) stderr: File,
}

/// A child that was started here. Dropped before it was waited for, it is a zombie once it ends,
/// until somebody waits for its number.
#[derive(Debug)]
pub(super) struct Newborn {
    pid: Pid,
    descriptor: AsyncFd<OwnedFd>,
}

impl Newborn {
    /// Starts a program in a group of its own and in a cgroup.
    ///
    /// Of the command its program, arguments, directory and variables count: it inherits no others.
    /// No word may have a NUL: the standard library puts another word in its place.
    ///
    /// A process that may not enter the cgroup runs outside of it.
    ///
    /// # Errors
    ///
    /// Of clone and execve: then nothing runs. Or of watching what runs.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime with IO enabled.
    pub(super) fn start(command: &Command, streams: &Streams, place: &Place) -> io::Result<Self> {
        let pid = Words::of(command)?.start(streams, place)?;
        let descriptor = pidfd_open(pid, PidfdFlags::empty())?;
        // SAFETY: it owns the descriptor, which stays the same and open until it is dropped.
        let registered = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) };
        Ok(Self { pid, descriptor: registered.map_err(|refused| refused.into_parts().1)? })
    }

    /// Its number, which is its own until it was waited for.
    pub(super) fn id(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Waits for its end. May be dropped and called again, until it has returned.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        loop {
            let mut ready = self.descriptor.readable().await?;
            if let Some((_, status)) = waitpid(Some(self.pid), WaitOptions::NOHANG)? {
                return Ok(ExitStatus::from_raw(status.as_raw()));
            }
            ready.clear_ready();
        }
    }
}

/// Whether a child can be watched here at all: sandboxes may refuse it.
pub(super) fn can_watch() -> bool {
    pidfd_open(rustix::process::getpid(), PidfdFlags::empty()).is_ok()
}

/// What execve is called with.
struct Words {
    program: CString,
    arguments: Vec<CString>,
    environment: Vec<CString>,
    directory: CString,
}

impl Words {
    fn of(command: &Command) -> io::Result<Self> {
        let given = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
        let given: Vec<(&OsStr, &OsStr)> = given.collect();
        let path = given.iter().find(|(name, _)| *name == "PATH").map(|(_, value)| *value);
        let name = command.get_program();
        let arguments = std::iter::once(name).chain(command.get_args()).map(words);
        let entry = |(name, value): &(&OsStr, &OsStr)| {
            let mut entry = OsString::from(name);
            entry.push("=");
            entry.push(value);
            words(&entry)
        };
        Ok(Self {
            program: words(locate(name, path)?.as_os_str())?,
            arguments: arguments.collect::<io::Result<_>>()?,
            environment: given.iter().map(entry).collect::<io::Result<_>>()?,
            directory: words(command.get_current_dir().unwrap_or(Path::new(".")).as_os_str())?,
        })
    }

    fn start(&self, streams: &Streams, place: &Place) -> io::Result<Pid> {
        let (arguments, environment) = (pointers(&self.arguments), pointers(&self.environment));
        let plan = Plan {
            program: self.program.as_ptr(),
            arguments: arguments.as_ptr(),
            environment: environment.as_ptr(),
            directory: self.directory.as_ptr(),
            streams: [&streams.stdin, &streams.stdout, &streams.stderr].map(AsRawFd::as_raw_fd),
            entrance: AtomicI32::new(NONE),
            error: AtomicI32::new(0),
        };
        let mut stack = Box::<[u8]>::new_uninit_slice(STACK);
        // A child that did not become the program was made all the same: only the plan says why.
        let pid = born_there(&plan, &mut stack, &place.directory).or_else(|_| {
            plan.entrance.store(place.entrance.as_raw_fd(), Ordering::Relaxed);
            entering(&plan, &mut stack)
        })?;
        match plan.error.load(Ordering::Acquire) {
            0 => Ok(pid),
            error => {
                // It never was the program; nobody else knows its number.
                waitpid(Some(pid), WaitOptions::empty())?;
                Err(io::Error::from_raw_os_error(error))
            }
        }
    }
}

fn words(text: &OsStr) -> io::Result<CString> {
    // As the standard library answers.
    CString::new(text.as_bytes()).map_err(|_| Errno::INVAL.into())
}

fn pointers(words: &[CString]) -> Vec<*const c_char> {
    words.iter().map(|word| word.as_ptr()).chain([ptr::null()]).collect()
}

/// Finds a program as `execvp(3)` does. A name with a slash is a path.
fn locate(name: &OsStr, path: Option<&OsStr>) -> io::Result<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return Ok(name.into());
    }
    let mut found = Errno::NOENT;
    for directory in path.unwrap_or(OsStr::new(PATH)).as_bytes().split(|byte| *byte == b':') {
        let candidate = Path::new(&OsString::from_vec(directory.to_vec())).join(name);
        if !name.is_empty() && fs::metadata(&candidate).is_ok_and(|file| file.is_file()) {
            match access(&candidate, Access::EXEC_OK) {
                Ok(()) => return Ok(candidate),
                Err(error) => found = error,
            }
        }
    }
    Err(found.into())
}

/// What the child needs: nothing that it would have to ask for memory for.
struct Plan {
    program: *const c_char,
    arguments: *const *const c_char,
    environment: *const *const c_char,
    directory: *const c_char,
    streams: [RawFd; 3],
    /// What it enters its cgroup by, if it is not born there.
    entrance: AtomicI32,
    /// Why it did not become the program; 0 if it did.
    error: AtomicI32,
}

/// No descriptor.
const NONE: RawFd = -1;

/// A child's stack.
type Stack = [MaybeUninit<u8>];

/// Makes a child in its cgroup, and returns when it runs its program or is over. An error says that
/// none was made.
#[cfg(target_arch = "x86_64")]
fn born_there(plan: &Plan, stack: &mut Stack, cgroup: &OwnedFd) -> io::Result<Pid> {
    // What the kernel calls `struct clone_args`, up to `cgroup`.
    let bottom = stack.as_mut_ptr().addr().next_multiple_of(16);
    let end = (stack.as_mut_ptr().addr() + stack.len()) & !15;
    let flags = u64::from((libc::CLONE_VM | libc::CLONE_VFORK).unsigned_abs())
        | CLONE_CLEAR_SIGHAND
        | CLONE_INTO_CGROUP;
    let signal = u64::from(libc::SIGCHLD.unsigned_abs());
    let group = u64::from(cgroup.as_raw_fd().unsigned_abs());
    let (bottom, size) = (bottom as u64, (end - bottom) as u64);
    let arguments = [flags, 0, 0, 0, signal, bottom, size, 0, 0, 0, group];
    let made: i64;
    let blocked = Blocked::all();
    // SAFETY: as for `entering`, with this besides. The parent comes out of the block once, behind
    // the label, with the registers as it left them but those that a system call changes. The child
    // never does: it calls `child` on the stack whose end the kernel has put into its stack pointer,
    // a multiple of 16 as the ABI asks, and ends. The arguments live until the call returns.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r8",
            "call r9",
            "mov edi, eax",
            "mov eax, {exit}",
            "syscall",
            "ud2",
            "2:",
            exit = const libc::SYS_exit,
            inlateout("rax") libc::SYS_clone3 => made,
            in("rdi") arguments.as_ptr(),
            in("rsi") size_of_val(&arguments),
            in("r8") ptr::from_ref(plan),
            in("r9") child as extern "C" fn(*mut c_void) -> c_int,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    drop(blocked);
    let made = i32::try_from(made).expect("numbers of processes and of errors are small");
    if made < 0 { Err(io::Error::from_raw_os_error(-made)) } else { Ok(number(made)) }
}

/// Handlers of signals are none of the child's. Source: `linux/sched.h`.
#[cfg(target_arch = "x86_64")]
const CLONE_CLEAR_SIGHAND: u64 = 1 << 32;

/// The child is in the cgroup that is handed in. Source: `linux/sched.h`.
#[cfg(target_arch = "x86_64")]
const CLONE_INTO_CGROUP: u64 = 1 << 33;

/// Nobody has tried it there.
#[cfg(not(target_arch = "x86_64"))]
fn born_there(_: &Plan, _: &mut Stack, _: &OwnedFd) -> io::Result<Pid> {
    Err(Errno::NOSYS.into())
}

/// Makes a child that enters its cgroup by itself, and returns when it runs its program or is over.
fn entering(plan: &Plan, stack: &mut Stack) -> io::Result<Pid> {
    let blocked = Blocked::all();
    // SAFETY:
    // - `CLONE_VM` without `CLONE_VFORK` would be two threads that know nothing of each other; with
    //   it this thread sleeps in the kernel until the child has called execve or has ended. So
    //   `plan`, what it points to, and `stack` outlive the child's use of them, and nobody but the
    //   child touches them meanwhile. What the child changes of thread-local memory (`errno`) is
    //   this thread's, which sleeps.
    // - The stack grows down from its end, which is a multiple of 16 as every ABI of Linux asks:
    //   the boundary is rounded down to it.
    // - No handler of a signal runs in the child, in memory that is not its own: all signals are
    //   blocked before it is made, and it lets them through only when none has a handler.
    // - `child` has the type that is asked for, and neither unwinds nor returns to us.
    let made = unsafe {
        let end = stack.as_mut_ptr().add(stack.len());
        let end = end.sub(end.addr() % 16).cast::<c_void>();
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        let made = libc::clone(child, end, flags, ptr::from_ref(plan).cast_mut().cast());
        if made < 0 { Err(io::Error::last_os_error()) } else { Ok(made) }
    };
    drop(blocked);
    made.map(number)
}

fn number(pid: i32) -> Pid {
    Pid::from_raw(pid).expect("a child has a number")
}

/// All signals are blocked in this thread as long as this is kept.
struct Blocked {
    before: libc::sigset_t,
}

impl Blocked {
    fn all() -> Self {
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

/// Becomes the program. What it returns is the exit code of a child that did not.
extern "C" fn child(plan: *mut c_void) -> c_int {
    // SAFETY: it is the plan of whoever made this child, which nobody changes while this runs.
    let plan = unsafe { &*plan.cast_const().cast::<Plan>() };
    // SAFETY: this is that child.
    plan.error.store(unsafe { become_program(plan) }, Ordering::Release);
    127
}

/// Returns the error that kept it from becoming the program.
///
/// # Safety
///
/// To be called by `child` alone. It calls nothing but what is safe in the handler of a signal, and it neither allocates nor locks nor panics, as its memory is that of other threads.
unsafe fn become_program(plan: &Plan) -> c_int {
    // SAFETY: all pointers of the plan are to words that end with NUL, or to lists of them that end
    // with a null pointer, and outlive this. The sets and actions of signals are this stack's.
    unsafe {
        for (target, stream) in (0..).zip(plan.streams) {
            // None of them is a standard stream of ours, as those are never closed; the copy is not
            // closed by execve.
            if libc::dup2(stream, target) < 0 {
                return *libc::__errno_location();
            }
        }
        if libc::chdir(plan.directory) < 0 || libc::setpgid(0, 0) < 0 {
            return *libc::__errno_location();
        }
        let entrance = plan.entrance.load(Ordering::Relaxed);
        if entrance != NONE {
            // A process that did not get in is found as without cgroups, and is better than none.
            libc::write(entrance, c"0".as_ptr().cast(), 1);
        }
        stop_handling_signals();
        let mut none = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(none.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut());
        libc::execve(plan.program, plan.arguments, plan.environment);
        *libc::__errno_location()
    }
}

/// Takes back what this process does on signals, and that Rust ignores SIGPIPE.
///
/// # Safety
///
/// As `become_program`: what a child does on signals is its own, and we would lose our handlers.
unsafe fn stop_handling_signals() {
    // SAFETY: an action is read after the call that writes it has succeeded. Numbers that are none
    // are refused.
    unsafe {
        for signal in 1..=libc::SIGRTMAX() {
            let mut action = MaybeUninit::<libc::sigaction>::uninit();
            if libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) < 0 {
                continue;
            }
            let mut action = action.assume_init();
            let ignored = action.sa_sigaction == libc::SIG_IGN && signal != libc::SIGPIPE;
            if action.sa_sigaction != libc::SIG_DFL && !ignored {
                action.sa_sigaction = libc::SIG_DFL;
                action.sa_flags = 0;
                libc::sigaction(signal, &raw const action, ptr::null_mut());
            }
        }
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

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::*;
    use crate::act::Cgroups;

    /// Runs it with a directory of its own, and returns how it ended and what it printed.
    async fn run(command: &mut Command) -> io::Result<(ExitStatus, String)> {
        let directory = TempDir::new().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("in"), "what it reads\n").unwrap();
        command.current_dir(directory.path());
        let streams = Streams {
            stdin: File::open(path("in")).unwrap(),
            stdout: File::create(path("out")).unwrap(),
            stderr: File::create(path("err")).unwrap(),
        };
        // It is no cgroup, so that nobody is born there.
        let entrance = File::create(path("cgroup.procs")).unwrap();
        let place = Place { directory: File::open(directory.path()).unwrap().into(), entrance };
        let mut newborn = Newborn::start(command, &streams, &place)?;
        let status = newborn.wait().await?;
        assert_eq!(fs::read_to_string(path("cgroup.procs")).unwrap(), "0", "it enters by itself");
        let said = fs::read_to_string(path("out"))? + &fs::read_to_string(path("err"))?;
        Ok((status, said.replace(&*directory.path().to_string_lossy(), "DIR")))
    }

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).env("A", "b c");
        command
    }

    #[tokio::test]
    async fn it_has_its_streams_directory_variables_and_group_and_nothing_else_of_ours() {
        // Whoever opened this forgot to say that no program is to inherit it.
        let left = rustix::io::dup(File::open("/dev/null").unwrap()).unwrap();
        close_on_exec(left.as_raw_fd());
        let script = format!(
            "cat; pwd -P; env | grep -v -e PWD -e SHLVL -e _=; test -e /proc/$$/fd/{} && echo left;
             cut -d' ' -f5 /proc/$$/stat | grep -qx $$ && echo leads; echo err >&2; exit 3",
            left.as_raw_fd()
        );
        let (status, said) = run(&mut shell(&script)).await.unwrap();
        assert_eq!(status.code(), Some(3));
        assert_eq!(said, "what it reads\nDIR\nA=b c\nleads\nerr\n");
    }

    /// Only where this user may make cgroups, as root does on most machines.
    #[cfg(target_arch = "x86_64")]
    #[tokio::test]
    async fn it_is_born_in_its_cgroup() {
        let directory = TempDir::new().unwrap();
        let Some(cgroups) = Cgroups::create(directory.path()) else { return };
        let cgroup = cgroups.make("order", "run").unwrap();
        let file = |name: &str| File::create(directory.path().join(name)).unwrap();
        let streams = Streams {
            stdin: File::open("/dev/null").unwrap(),
            stdout: file("out"),
            stderr: file("err"),
        };
        // It need not enter.
        let place = Place { entrance: file("entrance"), ..cgroup.place().unwrap() };
        let mut command = Command::new("/bin/cat");
        let mut newborn =
            Newborn::start(command.arg("/proc/self/cgroup"), &streams, &place).unwrap();
        let ended = newborn.wait().await.unwrap();
        cgroup.remove();
        cgroups.remove();
        let read = |name: &str| fs::read_to_string(directory.path().join(name)).unwrap();
        assert!(ended.success(), "{}", read("err"));
        let groups = read("out");
        assert!(groups.lines().any(|line| line.ends_with("/order-run")), "{groups}");
        assert_eq!(read("entrance"), "");
    }

    #[tokio::test]
    async fn it_blocks_and_ignores_no_signals_as_we_do() {
        let _handled = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup());
        let mask = |status: &str, name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            u64::from_str_radix(line.trim_start_matches(':').trim(), 16).unwrap()
        };
        let pipe = 1 << (libc::SIGPIPE - 1);
        let ours = fs::read_to_string("/proc/self/status").unwrap();
        assert!(mask(&ours, "SigIgn") & pipe > 0 && mask(&ours, "SigCgt") > 0, "{ours}");
        let (_, its) = run(&mut shell("exec cat /proc/self/status")).await.unwrap();
        assert_eq!((mask(&its, "SigBlk"), mask(&its, "SigCgt")), (0, 0));
        assert_eq!(mask(&its, "SigIgn"), mask(&ours, "SigIgn") & !pipe, "as whoever started us");
        let mut own = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: the set is written by the call that says so, and then read.
        let blocked = unsafe {
            libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), own.as_mut_ptr());
            libc::sigismember(own.as_ptr(), libc::SIGTERM)
        };
        assert_eq!(blocked, 0, "this thread takes signals as before");
    }

    #[tokio::test]
    async fn what_cannot_be_run_is_an_error_and_leaves_no_child() {
        let directory = TempDir::new().unwrap();
        let plain = directory.path().join("plain");
        fs::write(&plain, "true").unwrap();
        let error = async |program: &OsStr, path: &Path| {
            let mut command = Command::new(program);
            let error = run(command.env("PATH", path)).await.map(|(status, _)| status).unwrap_err();
            Errno::from_io_error(&error).unwrap()
        };
        let (name, nowhere) = (OsStr::new("plain"), Path::new("/nowhere:"));
        assert_eq!(error(OsStr::new("/nowhere/at-all"), nowhere).await, Errno::NOENT);
        assert_eq!(error(name, nowhere).await, Errno::NOENT);
        assert_eq!(error(OsStr::new(""), directory.path()).await, Errno::NOENT);
        assert_eq!(error(directory.path().as_os_str(), nowhere).await, Errno::ACCESS);
        fs::set_permissions(&plain, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(error(name, directory.path()).await, Errno::ACCESS);
        fs::set_permissions(&plain, Permissions::from_mode(0o700)).unwrap();
        assert_eq!(
            error(name, directory.path()).await,
            Errno::NOEXEC,
            "no shell guesses what it is"
        );
    }

    #[tokio::test]
    async fn a_name_is_looked_for_on_the_path_that_the_command_has() {
        let directory = TempDir::new().unwrap();
        let mine = directory.path().join("mine");
        fs::write(&mine, "#!/bin/sh\necho found as $0 with $1\n").unwrap();
        fs::set_permissions(&mine, Permissions::from_mode(0o700)).unwrap();
        let mut path = OsString::from("/nowhere:");
        path.push(directory.path());
        let (status, said) =
            run(Command::new("mine").arg("words that\nare one").env("PATH", path)).await.unwrap();
        assert!(status.success());
        assert_eq!(said, format!("found as {} with words that are one\n", mine.display()));
        // As everybody has them who says nothing.
        assert!(run(&mut Command::new("true")).await.unwrap().0.success());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn many_at_once_are_each_their_own() {
        let runs = (0..64).map(|number| {
            tokio::spawn(async move {
                let script = format!("echo {number}; exit {number}");
                let (status, said) = run(&mut shell(&script)).await.unwrap();
                (status.code(), said) == (Some(number), format!("{number}\n"))
            })
        });
        for run in runs.collect::<Vec<_>>() {
            assert!(run.await.unwrap());
        }
    }
}
