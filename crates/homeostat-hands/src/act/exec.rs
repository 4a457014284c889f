//! One run of a process, from the claim to its recorded end.

use std::future::Future;
use std::io::{self, ErrorKind, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::pin::{Pin, pin};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::process::Signal;
use tokio::process::Child;
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::cgroup::Cgroup;
use super::claim::{Claimed, Directory, Sync, open_plain, storage};
use super::limits::{
    KILL_PATIENCE, LEFT_LOOK_EVERY, LEFT_TRIM_INTERVAL, RECORD_AGAIN, RECORD_TRIES, STUCK_INTERVAL,
    TREE_INTERVAL, TRIM_INTERVAL,
};
use super::output::{Outputs, Writers};
use super::owner::Owner;
use super::prepare::{self, Launch};
use super::setting::Secrets;
use super::spawn::{Newborn, NotBorn, Streams};
use super::start::{NotRunning, is_complete, off_thread};
use super::tree::{Ticks, Tree};
use super::{Doubt, Ended, Execution, Outcome, Refusal};
use crate::failpoint;

/// Prepares one order's process and runs it in this process's own hands: [`prepare`](super::prepare)
/// and [`run`] at once.
///
/// # Panics
///
/// Outside of a Tokio runtime with time and IO enabled.
pub async fn perform(
    root: &Path,
    execution: Execution,
    cancel: impl Future<Output = ()> + Send,
) -> Ended {
    let mut cancel = pin!(cancel);
    if is_complete(cancel.as_mut()).await {
        return Ended::refused(Refusal::Cancelled);
    }
    let storage = root.to_owned();
    match off_thread(move || prepare::prepare(&storage, &execution)).await {
        Ok(launch) => run(root, launch, &Owner::Engine, cancel).await.ended,
        Err(ended) => *ended,
    }
}

/// Runs one order's process, which was prepared, and tells how it ended.
///
/// `root` is the storage directory. When `cancel` completes, the process gets SIGTERM, and
/// SIGKILL after the grace, or is not started at all; pass [`std::future::pending`] where nothing
/// cancels. Beware that the receiver of a channel also completes when its sender is dropped.
///
/// An order runs at most once, whoever asks and however often: a second call, also after a crash
/// or at the same time, answers [`Doubt::AlreadyClaimed`].
///
/// A timeout ends all processes of the run, and so does a signal that ended its first one: that did
/// not come to its end. Whoever does leaves what it started in the background: a remedy may well start
/// a service.
///
/// The future must be polled to its end. Dropped, it leaves the process running without a timeout
/// and its order claimed without a recorded end, as a crash would.
///
/// # Panics
///
/// Outside of a Tokio runtime with time and IO enabled.
pub async fn run(
    root: &Path,
    launch: Launch,
    owner: &Owner,
    cancel: impl Future<Output = ()> + Send,
) -> RunOver {
    let mut cancel = pin!(cancel);
    if is_complete(cancel.as_mut()).await {
        return Ended::refused(Refusal::Cancelled).into();
    }
    let (root, owner) = (root.to_owned(), owner.clone());
    let (limit, grace) = (launch.timeout, launch.grace);
    match off_thread(move || start(&root, &launch, owner)).await {
        Ok(mut run) => {
            let outcome = match run.watch(limit, cancel).await {
                Watched::Ended(status) => run.left_behind(grace, Outcome::of(status)).await,
                Watched::Lost(error) => {
                    Outcome::Unknown { reason: Doubt::Wait { error: error.to_string() } }
                }
                Watched::Overdue => run.terminate(grace, Outcome::TimedOut).await,
                Watched::Cancelled => run.terminate(grace, Outcome::Cancelled).await,
            };
            run.finish(outcome).await
        }
        Err(not_running) => Ended::from(not_running).into(),
    }
}

/// A run that is over, and what goes on of it all the same.
#[derive(Debug)]
pub struct RunOver {
    /// How it ended.
    pub ended: Ended,
    /// What could not be ended; it is told to end, and watched, until it has.
    pub remains: Option<Remains>,
}

impl From<Ended> for RunOver {
    fn from(ended: Ended) -> Self {
        Self { ended, remains: None }
    }
}

/// What could not be ended of a run.
#[derive(Debug)]
pub struct Remains(oneshot::Receiver<()>);

impl Remains {
    /// Waits until nothing of it lives.
    pub async fn gone(self) {
        // An error says that nobody watches any more: the runtime is being shut down.
        let _ = self.0.await;
    }
}

impl Outcome {
    fn of(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Exited { code },
            (None, Some(signal)) => Self::Signalled { signal },
            (None, None) => {
                Self::Unknown { reason: Doubt::Wait { error: format!("wait status {status}") } }
            }
        }
    }
}

/// A process that was started.
struct Run {
    leader: Leader,
    directory: Directory,
    outputs: Arc<Mutex<Outputs>>,
    tree: Arc<Mutex<Tree>>,
    owner: Owner,
    secrets: Option<Secrets>,
    started_at: SystemTime,
    since: Instant,
}

/// The process from which all others of a run descend.
enum Leader {
    /// It has a cgroup.
    Entered(Newborn),
    /// It has none.
    Spawned(i32, Box<Child>),
}

impl Leader {
    fn id(&self) -> i32 {
        match self {
            Self::Entered(newborn) => newborn.id(),
            Self::Spawned(id, _) => *id,
        }
    }

    /// Waits for its end. May be dropped and called again, until it has returned.
    async fn wait(&mut self) -> io::Result<ExitStatus> {
        match self {
            Self::Entered(newborn) => newborn.wait().await,
            Self::Spawned(_, child) => child.wait().await,
        }
    }
}

/// Claims and spawns. It is one piece of blocking work, so that dropping the future cannot come
/// between claim and spawn.
fn start(root: &Path, launch: &Launch, owner: Owner) -> Result<Run, NotRunning> {
    let directory = Directory::prepared(root, &launch.order, &launch.run)?;
    match directory.claim()? {
        Claimed::Now => failpoint::reach("act.claimed"),
        Claimed::Before => return Err(NotRunning::Unknown(Doubt::AlreadyClaimed)),
    }
    let cgroup = owner.cgroup(&launch.order, &launch.run);
    let before = Ticks::now();
    match spawn(root, &directory, launch, &owner, cgroup.as_ref()) {
        Ok(Spawned { leader, outputs, secrets }) => {
            failpoint::reach("act.spawned");
            let (started_at, since) = (SystemTime::now(), Instant::now());
            let tree = Tree::of(leader.id(), before, &launch.run, owner.clone(), cgroup);
            let tree = Arc::new(Mutex::new(tree));
            let outputs = Arc::new(Mutex::new(outputs));
            Ok(Run { leader, directory, outputs, tree, owner, secrets, started_at, since })
        }
        Err(not_running) => {
            if let Some(cgroup) = cgroup {
                cgroup.remove();
            }
            directory.record(&not_running.clone().into());
            Err(not_running)
        }
    }
}

/// What a process that was started has.
struct Spawned {
    leader: Leader,
    outputs: Outputs,
    secrets: Option<Secrets>,
}

/// Starts the process: once, by whoever has the claim.
fn spawn(
    root: &Path,
    directory: &Directory,
    launch: &Launch,
    owner: &Owner,
    cgroup: Option<&Cgroup>,
) -> Result<Spawned, NotRunning> {
    let (outputs, writers) = Outputs::create(directory.path())
        .map_err(|error| storage("make the files for the output", &error))?;
    let alert = directory.open_alert().map_err(|error| storage("open alert.json", &error))?;
    let Writers { stdout, stderr } = writers;
    let streams = Streams { stdin: alert, stdout, stderr };
    let setting = &launch.setting;
    setting.hand_over(directory.work())?;
    let mut command = command(directory, launch)?;
    owner.dress(&mut command);
    let secrets = setting.dress(&mut command, root, &launch.order)?;
    command
        .envs(launch.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(setting.directory.as_deref().unwrap_or(directory.work()));
    let identity = setting.identity.as_ref();
    if identity.is_some() {
        owner.dress_whole(&mut command);
    }
    let program = command.get_program().to_string_lossy().into_owned();
    let spawned = owner.spawn(|| {
        let place = cgroup.and_then(Cgroup::place);
        let leader = if place.is_some() || identity.is_some() {
            let newborn = Newborn::start(&command, &streams, place.as_ref(), identity);
            newborn.map(Leader::Entered)?
        } else {
            spawn_plainly(command, streams).map_err(not_born)?
        };
        let id = leader.id();
        Ok((leader, id))
    });
    spawned.map(|leader| Spawned { leader, outputs, secrets }).map_err(|not_born| match not_born {
        NotBorn::Nothing(error) => {
            let lasting = is_lasting(&error);
            NotRunning::Refused(Refusal::Spawn { program, error: error.to_string(), lasting })
        }
        NotBorn::Perhaps(error) => {
            let error = error.to_string();
            NotRunning::Unknown(Doubt::Spawn { program, error })
        }
    })
}

/// Tells whether what could not be started could not be started the next time either.
fn is_lasting(error: &io::Error) -> bool {
    let kinds = [
        io::ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied,
        io::ErrorKind::NotADirectory,
        io::ErrorKind::IsADirectory,
    ];
    kinds.contains(&error.kind()) || error.raw_os_error() == Some(libc::ENOEXEC)
}

fn spawn_plainly(mut command: Command, streams: Streams) -> io::Result<Leader> {
    command
        .process_group(0)
        .stdin(Stdio::from(streams.stdin))
        .stdout(Stdio::from(streams.stdout))
        .stderr(Stdio::from(streams.stderr));
    let child = tokio::process::Command::from(command).spawn()?;
    let id = child.id().expect("a child has its number until it is waited for");
    let id = i32::try_from(id).expect("Linux has fewer than 2^22 process numbers");
    Ok(Leader::Spawned(id, Box::new(child)))
}

fn command(directory: &Directory, launch: &Launch) -> Result<Command, Refusal> {
    match &launch.command {
        prepare::Command::Argv(argv) => {
            if let Some(number) = argv.iter().position(|word| word.contains('\0')) {
                // Refused as it is prepared; here it may come from elsewhere.
                return Err(Refusal::Nul { place: format!("argument {number}") });
            }
            let (program, arguments) = argv.split_first().ok_or(Refusal::NoProgram)?;
            let mut command = Command::new(program);
            command.args(arguments);
            Ok(command)
        }
        prepare::Command::Script => {
            let path = directory.script_path();
            let (program, argument) = interpreter(&path);
            let path = if launch.setting.identity.is_some() {
                // It may not look into the records.
                let copied = directory.copy_script_to_work();
                let copy = copied.map_err(|error| storage("write the script", &error))?;
                launch.setting.hand_over(&copy)?;
                copy
            } else {
                path
            };
            let mut command = Command::new(program);
            command.args(argument).arg(path);
            Ok(command)
        }
    }
}

/// The longest first line that is read for an interpreter, as in Linux.
const SHEBANG: usize = 256;

/// What runs a script: what its first line names after `#!`, with at most one argument, as the kernel
/// reads it; else the shell.
fn interpreter(script: &Path) -> (String, Option<String>) {
    let mut head = Vec::new();
    let read = open_plain(script).and_then(|file| file.take(SHEBANG as u64).read_to_end(&mut head));
    let text = read.ok().and_then(|_| head.strip_prefix(b"#!"));
    let line = text.and_then(|text| text.split(|byte| *byte == b'\n').next());
    let line = line.and_then(|line| std::str::from_utf8(line).ok()).unwrap_or_default().trim();
    match line.split_once([' ', '\t']) {
        _ if line.is_empty() => ("/bin/sh".to_owned(), None),
        Some((program, argument)) => (program.to_owned(), Some(argument.trim().to_owned())),
        None => (line.to_owned(), None),
    }
}

/// What a failed spawn of the standard library says: the answers of fork and exec certainly started
/// nothing. Others may come from registering the child that already runs, as ENOMEM and ENOSPC from
/// epoll.
fn not_born(error: io::Error) -> NotBorn {
    let exec = [
        Errno::NOENT,
        Errno::ACCESS,
        Errno::PERM,
        Errno::NOTDIR,
        Errno::ISDIR,
        Errno::LOOP,
        Errno::NAMETOOLONG,
        Errno::NOEXEC,
        Errno::TXTBSY,
        Errno::TOOBIG,
        Errno::AGAIN,
    ];
    match Errno::from_io_error(&error) {
        Some(errno) if exec.contains(&errno) => NotBorn::Nothing(error),
        Some(_) | None => NotBorn::Perhaps(error),
    }
}

/// What became of a process while it was watched.
enum Watched {
    Ended(ExitStatus),
    /// The system does not tell.
    Lost(io::Error),
    Overdue,
    Cancelled,
}

impl Run {
    /// Waits for the end, the timeout or the cancel, and keeps the output within its bound.
    async fn watch(
        &mut self,
        limit: Duration,
        mut cancel: Pin<&mut (impl Future<Output = ()> + Send)>,
    ) -> Watched {
        let mut overdue = pin!(sleep(limit.saturating_sub(self.since.elapsed())));
        let mut trim = interval(TRIM_INTERVAL);
        trim.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                // An end that is there counts, whatever else is there with it.
                biased;
                end = self.leader.wait() => {
                    self.release();
                    return end.map_or_else(Watched::Lost, Watched::Ended);
                }
                () = &mut overdue => return Watched::Overdue,
                () = cancel.as_mut() => return Watched::Cancelled,
                _ = trim.tick() => trim_outputs(&self.outputs).await,
            }
        }
    }

    /// Ends the others where the leader was ended by somebody else, as for want of memory.
    async fn left_behind(&mut self, grace: Duration, outcome: Outcome) -> Outcome {
        if let Outcome::Signalled { .. } = outcome {
            self.end_all(grace).await;
        }
        outcome
    }

    /// Ends all processes of the run, and then reaps the leader.
    async fn terminate(&mut self, grace: Duration, outcome: Outcome) -> Outcome {
        self.end_all(grace).await;
        if timeout(KILL_PATIENCE, self.leader.wait()).await.is_ok() {
            self.release();
        } else {
            // Stuck in the kernel. Its number stays taken as long, and then it is an orphan.
            self.owner.let_go(self.leader.id());
        }
        outcome
    }

    /// Ends all processes of the run, as far as that can be done.
    async fn end_all(&mut self, grace: Duration) {
        let asked = Instant::now();
        self.signal(Signal::TERM).await;
        while self.living().await > 0 && asked.elapsed() < grace {
            trim_outputs(&self.outputs).await;
            sleep(TREE_INTERVAL).await;
        }
        let forced = Instant::now();
        while self.signal(Signal::KILL).await > 0 && forced.elapsed() < KILL_PATIENCE {
            sleep(TREE_INTERVAL).await;
        }
    }

    /// The leader is reaped: its number may belong to a stranger from now on.
    fn release(&self) {
        self.tree.lock().release_group();
        self.owner.let_go(self.leader.id());
    }

    /// Sends a signal to all processes of the run and tells how many there were.
    async fn signal(&self, signal: Signal) -> u32 {
        let tree = Arc::clone(&self.tree);
        off_thread(move || tree.lock().signal(signal)).await
    }

    async fn living(&self) -> u32 {
        let tree = Arc::clone(&self.tree);
        off_thread(move || tree.lock().count()).await
    }

    /// Brings the output into its final form and records the end.
    async fn finish(self, outcome: Outcome) -> RunOver {
        let duration = self.since.elapsed();
        let Self { directory, outputs, tree, owner, secrets, started_at, .. } = self;
        let was_ended =
            matches!(outcome, Outcome::TimedOut | Outcome::Cancelled | Outcome::Signalled { .. });
        let (kept_outputs, kept_tree, recorder) = (outputs.clone(), tree.clone(), owner.clone());
        // One piece of work, because a run of a millisecond would spend another on each more.
        let (directory, ended, recorded) = off_thread(move || {
            drop(secrets);
            outputs.lock().finish();
            let tail = outputs.lock().tail();
            let left = tree.lock().count();
            let stuck = if was_ended && left > 0 { tree.lock().list() } else { Vec::new() };
            let ended = Ended {
                outcome,
                started_at: Some(started_at),
                duration,
                tail: tail.text,
                truncated: tail.truncated,
                left,
                stuck,
            };
            if ended.left == 0 {
                tree.lock().close();
            }
            let recorded = record(&directory, &ended, &recorder);
            (directory, ended, recorded)
        })
        .await;
        let mut remains = None;
        if !ended.stuck.is_empty() {
            let (over, gone) = oneshot::channel();
            remains = Some(Remains(gone));
            tokio::spawn(end_at_last(kept_outputs, kept_tree, over));
        } else if ended.left > 0 {
            tokio::spawn(trim_while_living(kept_outputs, kept_tree));
        }
        let ended = match recorded {
            Err(error) if may_pass(&error) => record_at_last(directory, ended, owner).await,
            Ok(()) | Err(_) => ended,
        };
        RunOver { ended, remains }
    }
}

fn record(directory: &Directory, ended: &Ended, owner: &Owner) -> io::Result<()> {
    match owner {
        Owner::Engine => {
            directory.record(ended);
            Ok(())
        }
        Owner::Runner(_) => {
            let sync = if owner.must_sync() { Sync::Yes } else { Sync::No };
            directory.record_for_others(ended, sync)
        }
    }
}

/// Whether what keeps a record from being written may be over in a minute. A directory that was
/// removed does not come back.
fn may_pass(error: &io::Error) -> bool {
    let passing = [ErrorKind::StorageFull, ErrorKind::QuotaExceeded, ErrorKind::ReadOnlyFilesystem];
    passing.contains(&error.kind())
}

/// Tries again to record an end that others hear of by its record alone.
async fn record_at_last(directory: Directory, ended: Ended, owner: Owner) -> Ended {
    let ended = Arc::new(ended);
    let directory = Arc::new(directory);
    for _ in 0..RECORD_TRIES {
        sleep(RECORD_AGAIN).await;
        let (directory, ended, owner) = (directory.clone(), ended.clone(), owner.clone());
        if off_thread(move || record(&directory, &ended, &owner).is_ok()).await {
            break;
        }
    }
    Arc::unwrap_or_clone(ended)
}

/// Tells what could not be ended to end, over and over, until nothing of it lives.
async fn end_at_last(
    outputs: Arc<Mutex<Outputs>>,
    tree: Arc<Mutex<Tree>>,
    over: oneshot::Sender<()>,
) {
    loop {
        sleep(STUCK_INTERVAL).await;
        trim_outputs(&outputs).await;
        let tree = Arc::clone(&tree);
        let is_over = off_thread(move || {
            let mut tree = tree.lock();
            tree.signal(Signal::KILL);
            tree.is_over()
        });
        if is_over.await {
            // Perhaps nobody waits for it.
            let _ = over.send(());
            return;
        }
    }
}

/// Keeps the output of what an action left in the background within its bound, as long as it lives
/// and we do.
async fn trim_while_living(outputs: Arc<Mutex<Outputs>>, tree: Arc<Mutex<Tree>>) {
    loop {
        for _ in 0..LEFT_LOOK_EVERY {
            sleep(LEFT_TRIM_INTERVAL).await;
            trim_outputs(&outputs).await;
        }
        let tree = Arc::clone(&tree);
        if off_thread(move || tree.lock().is_over()).await {
            return;
        }
    }
}

/// Trims where there is something to trim; looking costs two `fstat`, so it is done here.
async fn trim_outputs(outputs: &Arc<Mutex<Outputs>>) {
    if outputs.lock().are_long() {
        let outputs = Arc::clone(outputs);
        off_thread(move || outputs.lock().trim()).await;
    }
}
