//! Starts a process that is in its cgroup, and another user where it is to be one, before its program
//! runs. With [`born`](super::born) the one place of this program where the compiler's word is not
//! enough.
//!
//! A move from outside comes too late: the first child of the program may be outside by then. A
//! launcher that enters and then runs the program would turn a program that there is not into an
//! exit code, and an order that certainly did not start into one that failed. So the child is born in
//! its cgroup, does there what must be done before its program, and says why it did not become the
//! program, if it did not:
//!
//! ```text
//!  this thread             the child, in our memory
//!  clone3 ───────────────> streams, group, directory, signals
//!  goes on  <───────────── execve, or its error stands in the plan
//! ```
//!
//! A child that is to be another user, whom its memory must not show ours, gets a copy of it, and says
//! its error through a pipe. A copy costs the tables of our memory, and that each page which we write to
//! from then on is copied.
//!
//! Where `clone3` is refused or not known, as in some sandboxes, the child is forked and enters by
//! itself, by a write to `cgroup.procs`. That is as safe, but the kernel now and then keeps it
//! waiting for 20 ms, until no processor is in the middle of a fork. The `pre_exec` of the standard
//! library could do no more than that, either.
//!
//! Source: `clone(2)`, `signal-safety(7)`, `credentials(7)`; for the wait, `percpu_down_write` of
//! `cgroup_threadgroup_rwsem` in Linux.

#![allow(unsafe_code, reason = "see the argument at each use")]

use std::cell::Cell;
use std::ffi::{CString, OsStr, OsString, c_char, c_void};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::ptr;

use rustix::fs::{Access, access};
use rustix::io::{Errno, FdFlags};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Gid, Pid, PidfdFlags, Uid, WaitOptions, pidfd_open, waitpid};
use serde::{Deserialize, Serialize};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::born::{self, Blocked};

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

/// As whom a program runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The user's number.
    pub user: u32,
    /// The number of the user's own group.
    pub group: u32,
    /// The numbers of the other groups.
    pub groups: Vec<u32>,
}

/// A child that was started here. Dropped before it was waited for, it is a zombie once it ends,
/// until somebody waits for its number.
#[derive(Debug)]
pub(super) struct Newborn {
    pid: Pid,
    descriptor: AsyncFd<OwnedFd>,
}

/// Why there is no child to watch.
#[derive(Debug)]
pub(super) enum NotBorn {
    /// Nothing runs.
    Nothing(io::Error),
    /// Something may run that cannot be watched.
    Perhaps(io::Error),
}

impl Newborn {
    /// Starts a program in a group of its own, in a cgroup where it has one, as another user where
    /// it is to be one.
    ///
    /// Of the command its program, arguments, directory and variables count: it inherits no others.
    /// No word may have a NUL: the standard library puts another word in its place.
    ///
    /// A process that may not enter the cgroup runs outside of it. One that may not become the user,
    /// or enter the directory as that user, does not run.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime with IO enabled.
    pub(super) fn start(
        command: &Command,
        streams: &Streams,
        place: Option<&Place>,
        identity: Option<&Identity>,
    ) -> Result<Self, NotBorn> {
        let words = Words::of(command).map_err(NotBorn::Nothing)?;
        let pid = words.start(streams, place, identity).map_err(NotBorn::Nothing)?;
        let perhaps = |error: Errno| NotBorn::Perhaps(error.into());
        let descriptor = pidfd_open(pid, PidfdFlags::empty()).map_err(perhaps)?;
        // SAFETY: it owns the descriptor, which stays the same and open until it is dropped.
        let registered = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) };
        let descriptor = registered.map_err(|refused| NotBorn::Perhaps(refused.into_parts().1))?;
        Ok(Self { pid, descriptor })
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

    /// Returns once the child runs its program. An error says that nothing runs.
    fn start(
        &self,
        streams: &Streams,
        place: Option<&Place>,
        identity: Option<&Identity>,
    ) -> io::Result<Pid> {
        let (arguments, environment) = (pointers(&self.arguments), pointers(&self.environment));
        let groups: Vec<Gid> = identity
            .map(|identity| identity.groups.iter().map(|group| Gid::from_raw(*group)).collect())
            .unwrap_or_default();
        let mut plan = Plan {
            words: self,
            arguments: arguments.as_ptr(),
            environment: environment.as_ptr(),
            streams,
            entrance: None,
            identity: identity.map(|identity| (identity, groups.as_slice())),
            failed: Cell::new(None),
        };
        let cgroup = place.map(|place| place.directory.as_fd());
        let blocked = Blocked::all();
        let made = match identity {
            None => plan.begin_in_our_memory(cgroup),
            Some(_) => Err(Errno::NOSYS),
        };
        if let Ok(pid) = made {
            drop(blocked);
            let failed = plan.failed.take().map(|(step, error)| (step, error.into()));
            return failed.map_or(Ok(pid), |failed| Err(self.bury(pid, failed)));
        }
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        // SAFETY: of a child this does nothing but `live`.
        let mut made = cgroup.map_or(Err(Errno::NOSYS), |cgroup| unsafe { born::in_copy(cgroup) });
        if made.is_err() {
            plan.entrance = place.map(|place| place.entrance.as_fd());
            // SAFETY: as above.
            made = unsafe { born::forked() };
        }
        match made? {
            0 => plan.live(writer),
            pid => {
                drop((blocked, writer));
                let pid = Pid::from_raw(pid).expect("a child has a number");
                hear(reader.into()).map_or(Ok(pid), |failed| Err(self.bury(pid, failed)))
            }
        }
    }

    /// Reaps a child that never was the program, and whose number nobody else knows.
    fn bury(&self, pid: Pid, (step, error): (Step, io::Error)) -> io::Error {
        let _ = waitpid(Some(pid), WaitOptions::empty());
        step.explain(error, self)
    }
}

/// Waits until a child has become its program, or says why not.
fn hear(mut pipe: File) -> Option<(Step, io::Error)> {
    let mut said = [0; 5];
    // One that is killed before it says anything has ended by that signal, as any other.
    pipe.read_exact(&mut said).ok()?;
    let [step, error @ ..] = said;
    let error = io::Error::from_raw_os_error(i32::from_ne_bytes(error));
    Some((Step::ALL.into_iter().find(|known| *known as u8 == step).unwrap_or(Step::Program), error))
}

/// What a child does before it is its program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Step {
    Streams,
    Identity,
    Directory,
    Program,
}

impl Step {
    const ALL: [Self; 4] = [Self::Streams, Self::Identity, Self::Directory, Self::Program];

    /// The error, with what was attempted where it is not the program that is wrong.
    fn explain(self, error: io::Error, words: &Words) -> io::Error {
        let kind = error.kind();
        match self {
            Self::Program => error,
            Self::Streams => io::Error::new(kind, format!("its streams cannot be set: {error}")),
            Self::Identity => {
                io::Error::new(kind, format!("it cannot run as another user: {error}"))
            }
            Self::Directory => {
                let directory = words.directory.to_string_lossy();
                io::Error::new(kind, format!("it cannot enter {directory}: {error}"))
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

/// What the child needs: nothing that it would have to ask for memory for. Other threads may have
/// held the locks of the allocator when it was made, and they are not there to let go of them.
struct Plan<'a> {
    words: &'a Words,
    arguments: *const *const c_char,
    environment: *const *const c_char,
    streams: &'a Streams,
    /// What it enters its cgroup by, if it is not born there.
    entrance: Option<BorrowedFd<'a>>,
    identity: Option<(&'a Identity, &'a [Gid])>,
    /// Why the child is not the program, where it lives in our memory.
    failed: Cell<Option<(Step, Errno)>>,
}

impl Plan<'_> {
    /// Makes a child in our memory. Returns once it is its program, or is over.
    fn begin_in_our_memory(&self, cgroup: Option<BorrowedFd<'_>>) -> Result<Pid, Errno> {
        // SAFETY: the plan outlives the child's stay in our memory, as this thread waits for its end.
        // `live_in_our_memory` only does what `become_program` does, and writes to the plan alone.
        let made =
            unsafe { born::in_our_memory(cgroup, live_in_our_memory, ptr::from_ref(self).cast()) };
        made.map(|pid| Pid::from_raw(pid).expect("a child has a number"))
    }

    /// The child's whole life in a copy of our memory, until it is the program or is over.
    fn live(&self, pipe: OwnedFd) -> ! {
        let (step, error) = self.become_program();
        let mut said = [0; 5];
        said[0] = step as u8;
        said[1..].copy_from_slice(&error.raw_os_error().to_ne_bytes());
        // Who reads waits for it.
        let _ = File::from(pipe).write_all(&said);
        // SAFETY: it ends this process at once, and runs nothing of ours.
        unsafe { libc::_exit(127) }
    }

    /// Returns what kept it from becoming the program. It neither allocates nor locks nor panics:
    /// all but the last calls are system calls as they are, without the C library.
    fn become_program(&self) -> (Step, Errno) {
        let Err(failed) = self.settle();
        failed
    }

    fn settle(&self) -> Result<std::convert::Infallible, (Step, Errno)> {
        let at = |step: Step| move |error: Errno| (step, error);
        // None of them is a standard stream of ours, as those are never closed; the copy is not
        // closed by execve.
        rustix::stdio::dup2_stdin(&self.streams.stdin).map_err(at(Step::Streams))?;
        rustix::stdio::dup2_stdout(&self.streams.stdout).map_err(at(Step::Streams))?;
        rustix::stdio::dup2_stderr(&self.streams.stderr).map_err(at(Step::Streams))?;
        rustix::process::setpgid(None, None).map_err(at(Step::Streams))?;
        if let Some(entrance) = self.entrance {
            // A process that did not get in is found as without cgroups, and is better than none.
            let _ = rustix::io::write(entrance, b"0");
        }
        if let Some((identity, groups)) = self.identity {
            let (user, group) = (Uid::from_raw(identity.user), Gid::from_raw(identity.group));
            rustix::thread::set_thread_groups(groups).map_err(at(Step::Identity))?;
            rustix::thread::set_thread_res_gid(group, group, group).map_err(at(Step::Identity))?;
            rustix::thread::set_thread_res_uid(user, user, user).map_err(at(Step::Identity))?;
        }
        rustix::process::chdir(self.words.directory.as_c_str()).map_err(at(Step::Directory))?;
        let mut none = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: the set is written before it is read. All pointers are to words that end with NUL,
        // or to lists of them that end with a null pointer, and outlive this. What a handler of ours
        // would do is done in a copy of our memory; execve takes all handlers away. Rust ignores
        // SIGPIPE, and no program expects that.
        unsafe {
            libc::signal(libc::SIGPIPE, libc::SIG_DFL);
            libc::sigemptyset(none.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut());
            libc::execve(self.words.program.as_ptr(), self.arguments, self.environment);
        }
        let error = io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
        Err((Step::Program, Errno::from_raw_os_error(error)))
    }
}

/// The child's whole life in our memory, until it is the program or is over.
extern "C" fn live_in_our_memory(plan: *const c_void) -> ! {
    // SAFETY: `begin_in_our_memory` hands its own plan in, and nobody else reads or writes it meanwhile.
    let plan = unsafe { &*plan.cast::<Plan<'_>>() };
    plan.failed.set(Some(plan.become_program()));
    // SAFETY: it ends this process at once, and runs nothing of ours.
    unsafe { libc::_exit(127) }
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

    use std::os::fd::AsRawFd;

    use super::*;
    use crate::act::Cgroups;

    /// Runs it with a directory of its own, in our memory and in a copy, and returns how it ended and what
    /// it printed.
    async fn run(command: &mut Command) -> io::Result<(ExitStatus, String)> {
        let [ours, copied] = [run_in(command, true).await, run_in(command, false).await];
        match (&ours, &copied) {
            (Ok(ours), Ok(copied)) => assert_eq!(ours, copied),
            (Err(ours), Err(copied)) => assert_eq!(ours.to_string(), copied.to_string()),
            (Ok(_), Err(_)) | (Err(_), Ok(_)) => panic!("{ours:?}, {copied:?}"),
        }
        ours
    }

    async fn run_in(command: &mut Command, our_memory: bool) -> io::Result<(ExitStatus, String)> {
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
        let place = Some(&place).filter(|_| !our_memory);
        let mut newborn = Newborn::start(command, &streams, place, None).map_err(why)?;
        let status = newborn.wait().await?;
        let entered = if our_memory { "" } else { "0" };
        assert_eq!(
            fs::read_to_string(path("cgroup.procs")).unwrap(),
            entered,
            "it enters by itself"
        );
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

    fn why(not_born: NotBorn) -> io::Error {
        match not_born {
            NotBorn::Nothing(error) => error,
            NotBorn::Perhaps(error) => panic!("{error}"),
        }
    }

    /// Only where this user may make cgroups, as root does on most machines.
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
            Newborn::start(command.arg("/proc/self/cgroup"), &streams, Some(&place), None).unwrap();
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
        for our_memory in [true, false] {
            let mut status = shell("exec cat /proc/self/status");
            let (_, its) = run_in(&mut status, our_memory).await.unwrap();
            assert_eq!((mask(&its, "SigBlk"), mask(&its, "SigCgt")), (0, 0));
            assert_eq!(
                mask(&its, "SigIgn"),
                mask(&ours, "SigIgn") & !pipe,
                "as whoever started us"
            );
        }
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

    /// Only root can become another user.
    #[tokio::test]
    async fn it_is_another_user_and_in_that_users_groups_alone() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: only root can be another user");
            return;
        }
        let file = |path: &str| File::options().read(true).write(true).open(path).unwrap();
        let streams = Streams {
            stdin: file("/dev/null"),
            stdout: file("/dev/null"),
            stderr: file("/dev/null"),
        };
        let nobody = Identity { user: 65_534, group: 65_534, groups: vec![65_534] };
        let start = |script: &str, directory: &Path| {
            let mut command = shell(script);
            command.current_dir(directory);
            Newborn::start(&command, &streams, None, Some(&nobody)).map_err(why)
        };
        let is_nobody = "test \"$(id -u):$(id -ru):$(id -g):$(id -G)\" = 65534:65534:65534:65534";
        let mut newborn = start(is_nobody, Path::new("/")).unwrap();
        assert!(newborn.wait().await.unwrap().success());
        let private = TempDir::new().unwrap();
        fs::set_permissions(private.path(), Permissions::from_mode(0o700)).unwrap();
        let error = start("true", private.path()).unwrap_err();
        assert!(error.to_string().starts_with("it cannot enter /"), "{error}");
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
