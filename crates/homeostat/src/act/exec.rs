//! One run of a process, from the claim to its recorded end.

use std::future::Future;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::pin::{Pin, pin};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::process::Signal;
use tokio::process::{Child, Command};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::claim::{Directory, draw_run, storage};
use super::environment::Environment;
use super::limits::{
    KILL_PATIENCE, LEFT_LOOK_EVERY, LEFT_TRIM_INTERVAL, TREE_INTERVAL, TRIM_INTERVAL,
};
use super::output::{self, Outputs, Writers};
use super::start::{self, NotRunning, is_complete, off_thread};
use super::tree::Tree;
use super::{Doubt, Ended, Execution, Outcome, Program, Refusal};
use crate::inherited::not_inherited;

/// Runs one order's process and tells how it ended.
///
/// `root` is the directory of all orders. When `cancel` completes, the process gets SIGTERM, and
/// SIGKILL after the grace, or is not started at all; pass [`std::future::pending`] where nothing
/// cancels. Beware that the receiver of a channel also completes when its sender is dropped.
///
/// An order runs at most once, whoever asks and however often: a second call, also after a crash
/// or at the same time, answers [`Doubt::AlreadyClaimed`].
///
/// A timeout ends all processes of the run. A normal end leaves what the action started in the
/// background: a remedy may well start a service.
///
/// The future must be polled to its end. Dropped, it leaves the process running without a timeout
/// and its order claimed without a recorded end, as a crash would.
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
        return Ended::without_run(Outcome::Refused { reason: Refusal::Cancelled });
    }
    let root = root.to_owned();
    let (limit, grace) = (execution.timeout, execution.grace);
    match off_thread(move || start(&root, &execution)).await {
        Ok(mut run) => {
            let outcome = match run.watch(limit, cancel).await {
                Watched::Ended(status) => Outcome::of(status),
                Watched::Lost(error) => {
                    Outcome::Unknown { reason: Doubt::Wait { error: error.to_string() } }
                }
                Watched::Overdue => run.terminate(grace, Outcome::TimedOut).await,
                Watched::Cancelled => run.terminate(grace, Outcome::Cancelled).await,
            };
            run.finish(outcome).await
        }
        Err(not_running) => not_running.into(),
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
    child: Child,
    directory: Directory,
    outputs: Arc<Mutex<Outputs>>,
    tree: Arc<Mutex<Tree>>,
    started_at: SystemTime,
    since: Instant,
}

/// Checks, prepares, claims and spawns. It is one piece of blocking work, so that dropping the
/// future cannot come between claim and spawn.
fn start(root: &Path, execution: &Execution) -> Result<Run, NotRunning> {
    let run = draw_run()?;
    let environment = Environment::of(execution, &run)?;
    let script = match &execution.program {
        Program::Argv(_) => None,
        Program::Script(text) => Some(text.as_str()),
    };
    let document = execution.subject.document(&execution.order);
    let directory = start::take(root, &execution.order, &run, &document, script)?;
    match spawn(&directory, execution, &environment) {
        Ok((child, outputs)) => {
            let leader = child.id().expect("a child has its number until it is waited for");
            let (started_at, since) = (SystemTime::now(), Instant::now());
            let tree = Arc::new(Mutex::new(Tree::of(leader, &run)));
            let outputs = Arc::new(Mutex::new(outputs));
            Ok(Run { child, directory, outputs, tree, started_at, since })
        }
        Err(NotRunning::Refused(reason)) => {
            let outcome = Outcome::Refused { reason: reason.clone() };
            directory.record(&Ended::without_run(outcome));
            Err(NotRunning::Refused(reason))
        }
        Err(NotRunning::Unknown(doubt)) => Err(NotRunning::Unknown(doubt)),
    }
}

/// Starts the process: once, by whoever has the claim.
///
/// The environment is edited and not cleared, and no `PATH` is set: either would make the standard
/// library look for the program itself, after a fork, which copies the page tables of the engine.
fn spawn(
    directory: &Directory,
    execution: &Execution,
    environment: &Environment,
) -> Result<(Child, Outputs), NotRunning> {
    let (outputs, writers) = Outputs::create(directory.path())
        .map_err(|error| storage("make the files for the output", &error))?;
    let alert = directory.open_alert().map_err(|error| storage("open alert.json", &error))?;
    let Writers { stdout, stderr } = writers;
    let mut command = command(directory, &execution.program);
    for name in not_inherited() {
        command.env_remove(name);
    }
    command
        .envs(environment.iter())
        .current_dir(directory.path())
        .process_group(0)
        .stdin(Stdio::from(alert))
        .stdout(Stdio::from(stdout))
        .stderr(Stdio::from(stderr));
    match command.spawn() {
        Ok(child) => Ok((child, outputs)),
        Err(error) => {
            let program = command.as_std().get_program().to_string_lossy().into_owned();
            let text = error.to_string();
            Err(if is_certain(&error) {
                NotRunning::Refused(Refusal::Spawn { program, error: text })
            } else {
                NotRunning::Unknown(Doubt::Spawn { program, error: text })
            })
        }
    }
}

fn command(directory: &Directory, program: &Program) -> Command {
    match program {
        Program::Argv(argv) => {
            let (program, arguments) = argv.split_first().expect("an argv without program refuses");
            let mut command = Command::new(program);
            command.args(arguments);
            command
        }
        Program::Script(_) => {
            let mut command = Command::new("/bin/sh");
            command.arg(directory.script_path());
            command
        }
    }
}

/// Whether a failed spawn certainly started nothing: the answers of fork and exec do. Others may
/// come from registering the child that already runs, as ENOMEM and ENOSPC from epoll.
fn is_certain(error: &io::Error) -> bool {
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
    Errno::from_io_error(error).is_some_and(|errno| exec.contains(&errno))
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
                end = self.child.wait() => {
                    self.tree.lock().release_group();
                    return end.map_or_else(Watched::Lost, Watched::Ended);
                }
                () = &mut overdue => return Watched::Overdue,
                () = cancel.as_mut() => return Watched::Cancelled,
                _ = trim.tick() => trim_outputs(&self.outputs).await,
            }
        }
    }

    /// Ends all processes of the run, and then reaps the leader.
    async fn terminate(&mut self, grace: Duration, outcome: Outcome) -> Outcome {
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
        // A leader that is stuck in the kernel is left; its number stays taken as long.
        if timeout(KILL_PATIENCE, self.child.wait()).await.is_ok() {
            self.tree.lock().release_group();
        }
        outcome
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
    async fn finish(self, outcome: Outcome) -> Ended {
        let duration = self.since.elapsed();
        let Self { directory, outputs, tree, started_at, .. } = self;
        let (kept_outputs, kept_tree) = (Arc::clone(&outputs), Arc::clone(&tree));
        let ended = off_thread(move || {
            outputs.lock().finish();
            let tail = output::tail(directory.path());
            let ended = Ended {
                outcome,
                started_at: Some(started_at),
                duration,
                tail: tail.text,
                truncated: tail.truncated,
                left: tree.lock().count(),
            };
            directory.record(&ended);
            ended
        })
        .await;
        if ended.left > 0 {
            tokio::spawn(trim_while_living(kept_outputs, kept_tree));
        }
        ended
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
        if off_thread(move || tree.lock().count()).await == 0 {
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
