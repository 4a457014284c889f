//! One run of a handler, from the claim to its recorded end.
//!
//! A handler runs in the engine's own process, so that it dies with it: then its claim has no end,
//! and the outcome is unknown. It runs in a task of its own, so that its panic is its own too.

use std::any::Any;
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::pin::pin;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{sleep_until, timeout};

use super::claim::{Directory, draw_run};
use super::handler::{Action, Cancelled, HandlerError, Handlers, Parts, Progress};
use super::limits::ABORT_PATIENCE;
use super::output;
use super::start::{self, NotRunning, off_thread};
use super::{Doubt, Ended, Outcome, Refusal, Subject, handler};

/// What one run of a handler needs.
#[derive(Debug, Clone)]
pub struct Call {
    /// The order's id.
    pub order: String,
    /// Its name, that of its directories: `[a-zA-Z0-9._-]+`.
    pub name: String,
    /// The handler's name.
    pub handler: String,
    /// How long it may run.
    pub timeout: Duration,
    /// How long it may take to end after it is asked to, before it is aborted.
    pub grace: Duration,
    /// What it is told.
    pub subject: Subject,
}

/// By what a handler is asked to stop before its time.
#[derive(Debug)]
pub struct Words {
    /// The engine stops: the handler is asked to, and waited for as before.
    pub stopping: watch::Receiver<bool>,
    /// The run is cancelled: the handler is asked to stop, and aborted if it does not.
    pub cancelled: watch::Receiver<bool>,
}

/// Calls the handler of one order and tells how it ended.
///
/// What the handler says of its progress goes to `progress`, as much of it as there is room for.
/// As with a process, an order runs at most once, and the future must be polled to its end.
///
/// # Panics
///
/// Outside of a Tokio runtime with time enabled.
pub async fn call(
    root: &Path,
    handlers: &Handlers,
    call: Call,
    progress: mpsc::Sender<String>,
    words: Words,
) -> Ended {
    let Some(run) = handlers.get(&call.handler) else {
        return Ended::refused(Refusal::NoHandler { handler: call.handler });
    };
    let (root, name) = (root.to_owned(), call.name.clone());
    let (subject, order) = (call.subject, call.order);
    let (taken, subject, order) = off_thread(move || {
        let taken = take(&root, &name, (&subject, &order));
        (taken, subject, order)
    })
    .await;
    let directory = match taken {
        Ok(directory) => directory,
        Err(not_running) => return not_running.into(),
    };
    let (cancel, cancelled) = watch::channel(None);
    let action = Action::from(Parts {
        order,
        subject,
        directory: directory.work().to_owned(),
        deadline: tokio::time::Instant::now() + call.timeout,
        cancel: cancelled,
        progress: Progress::new(progress),
    });
    let deadline = action.deadline();
    let (started_at, since) = (SystemTime::now(), Instant::now());
    // The handler itself is called in the task as well: it may panic before its first `await`.
    let mut task = tokio::spawn(async move { run(action).await });
    let over = match watch(&mut task, deadline, words, &cancel).await {
        Watched::Ended(result) => Over::of(result),
        Watched::Unwanted(why, outcome) => end(task, &cancel, call.grace, why, outcome).await,
    };
    off_thread(move || over.record(&directory, started_at, since.elapsed())).await
}

fn take(root: &Path, name: &str, told: (&Subject, &str)) -> Result<Directory, NotRunning> {
    start::take(root, name, &draw_run()?, told)
}

type Joined = Result<Result<handler::Outcome, HandlerError>, JoinError>;

/// What became of a handler while it was watched.
enum Watched {
    Ended(Joined),
    /// It has to end, for this reason, and this is its outcome then.
    Unwanted(Cancelled, Outcome),
}

/// Waits for the end, the deadline or the cancel. A stop is passed on to the handler, which may
/// well end in time.
async fn watch(
    task: &mut JoinHandle<Result<handler::Outcome, HandlerError>>,
    deadline: tokio::time::Instant,
    words: Words,
    cancel: &watch::Sender<Option<Cancelled>>,
) -> Watched {
    let Words { mut stopping, mut cancelled } = words;
    let mut overdue = pin!(sleep_until(deadline));
    let mut told = false;
    loop {
        tokio::select! {
            // An end that is there counts, whatever else is there with it.
            biased;
            result = &mut *task => return Watched::Ended(result),
            () = &mut overdue => return Watched::Unwanted(Cancelled::Overdue, Outcome::TimedOut),
            Ok(_) = cancelled.wait_for(|cancelled| *cancelled) => {
                return Watched::Unwanted(Cancelled::Unwanted, Outcome::Cancelled);
            }
            stop = stopping.wait_for(|stopping| *stopping), if !told => {
                told = true;
                if stop.is_ok() {
                    cancel.send_replace(Some(Cancelled::Stopping));
                }
            }
        }
    }
}

/// Asks a handler to stop that has to end, and aborts it if it does not.
async fn end(
    mut task: JoinHandle<Result<handler::Outcome, HandlerError>>,
    cancel: &watch::Sender<Option<Cancelled>>,
    grace: Duration,
    why: Cancelled,
    outcome: Outcome,
) -> Over {
    cancel.send_replace(Some(why));
    if let Ok(result) = timeout(grace, &mut task).await {
        return Over { outcome, ..Over::of(result) };
    }
    task.abort();
    let left = u32::from(timeout(ABORT_PATIENCE, task).await.is_err());
    let output = match left {
        0 => String::new(),
        _ => "the handler blocks its thread and could not be aborted\n".to_owned(),
    };
    Over { outcome, output, left }
}

/// What a handler came to.
struct Over {
    outcome: Outcome,
    output: String,
    left: u32,
}

impl Over {
    fn of(result: Joined) -> Self {
        let (outcome, output) = match result {
            Ok(Ok(outcome)) => {
                let output = outcome.output().to_owned();
                match outcome.failure() {
                    None => (Outcome::Done, output),
                    Some(reason) => (Outcome::Failed { reason: one_line(reason) }, output),
                }
            }
            Ok(Err(error)) => {
                (Outcome::Failed { reason: one_line(&error.to_string()) }, chain(&*error))
            }
            Err(error) => match error.try_into_panic() {
                Ok(payload) => {
                    let reason = format!("the handler panicked: {}", message(&*payload));
                    (Outcome::Failed { reason: one_line(&reason) }, format!("{reason}\n"))
                }
                Err(error) => {
                    let reason = Doubt::Wait { error: error.to_string() };
                    (Outcome::Unknown { reason }, String::new())
                }
            },
        };
        Self { outcome, output, left: 0 }
    }

    fn record(self, directory: &Directory, started_at: SystemTime, duration: Duration) -> Ended {
        directory.keep(output::STDOUT, self.output.as_bytes());
        let tail = output::tail(directory.path());
        let ended = Ended {
            outcome: self.outcome,
            started_at: Some(started_at),
            duration,
            tail: tail.text,
            truncated: tail.truncated,
            left: self.left,
            stuck: Vec::new(),
        };
        directory.record(&ended);
        ended
    }
}

/// The error and its causes, a line each.
fn chain(error: &dyn Error) -> String {
    let mut text = format!("{error}\n");
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing into a text never fails.
        let _ = writeln!(text, "caused by: {error}");
        cause = error.source();
    }
    text
}

/// What a panic said: a text, as nearly all do.
fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// A reason as it travels into the journal: one harmless line of bounded length.
fn one_line(text: &str) -> String {
    output::harmless(&output::one_line(text))
}

#[cfg(test)]
mod tests {
    use super::super::{Found, Life, Word, inspect};
    use super::*;

    const ORDER: &str = "1.move.1";

    struct Bench {
        root: tempfile::TempDir,
        handlers: Handlers,
        stop: watch::Sender<bool>,
        cancel: watch::Sender<bool>,
    }

    impl Bench {
        fn new<F, Fut>(handler: F) -> Self
        where
            F: Fn(Action) -> Fut + Send + Sync + 'static,
            Fut: Future<Output = Result<handler::Outcome, HandlerError>> + Send + 'static,
        {
            let mut handlers = Handlers::default();
            assert!(handlers.add("move", handler));
            Self {
                root: tempfile::tempdir().unwrap(),
                handlers,
                stop: watch::Sender::new(false),
                cancel: watch::Sender::new(false),
            }
        }

        async fn call(&self, timeout: Duration) -> (Ended, Vec<String>) {
            let one = Call {
                order: ORDER.into(),
                name: ORDER.into(),
                handler: "move".into(),
                timeout,
                grace: Duration::from_millis(50),
                subject: Subject::default(),
            };
            let (sender, mut said) = mpsc::channel(1_000);
            let words =
                Words { stopping: self.stop.subscribe(), cancelled: self.cancel.subscribe() };
            let ended = call(self.root.path(), &self.handlers, one, sender, words).await;
            let mut words = Vec::new();
            while let Ok(word) = said.try_recv() {
                words.push(word);
            }
            (ended, words)
        }

        fn found(&self) -> Found {
            inspect(self.root.path(), ORDER, &Life::begin().unwrap(), Word::NeverTook)
        }
    }

    const LONG: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn an_order_is_called_once_and_its_end_is_found() {
        let bench =
            Bench::new(|_| async { Ok(handler::Outcome::failed("a\nb").note("\u{1b}[2J")) });
        assert_eq!(bench.found(), Found::NotStarted);
        let (ended, _) = bench.call(LONG).await;
        assert_eq!(ended.outcome, Outcome::Failed { reason: "a b".into() });
        assert_eq!(ended.tail, "\u{241b}[2J\n");
        let Found::Ended(found) = bench.found() else { panic!() };
        assert_eq!((found.outcome, found.tail), (ended.outcome, ended.tail));
        let (again, _) = bench.call(LONG).await;
        assert_eq!(again.outcome, Outcome::Unknown { reason: Doubt::AlreadyClaimed });
    }

    #[tokio::test]
    async fn progress_is_bounded_where_it_is_said() {
        let bench = Bench::new(|order: Action| async move {
            (0..1_000).for_each(|_| order.progress("é".repeat(10_000)));
            Ok(handler::Outcome::done())
        });
        let (ended, said) = bench.call(LONG).await;
        assert_eq!(ended.outcome, Outcome::Done);
        assert_eq!(said.len(), homeostat_core::limits::ORDER_PROGRESS as usize);
        assert!(said.iter().all(|word| word.len() <= 1_000));
    }

    #[tokio::test]
    async fn a_word_in_the_grace_is_kept_and_changes_nothing() {
        let bench = Bench::new(|order: Action| async move {
            assert_eq!(order.cancelled().await, Cancelled::Overdue);
            Ok(handler::Outcome::done().note("cleaned up"))
        });
        let (ended, _) = bench.call(Duration::from_millis(10)).await;
        assert_eq!((ended.outcome, ended.tail.as_str()), (Outcome::TimedOut, "cleaned up\n"));
    }

    #[tokio::test]
    async fn a_handler_that_is_not_wanted_any_more_is_asked_to_stop() {
        let bench = Bench::new(|order: Action| async move {
            assert_eq!(order.cancelled().await, Cancelled::Unwanted);
            Ok(handler::Outcome::done().note("cleaned up"))
        });
        bench.cancel.send_replace(true);
        let (ended, _) = bench.call(LONG).await;
        assert_eq!((ended.outcome, ended.tail.as_str()), (Outcome::Cancelled, "cleaned up\n"));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_handler_that_blocks_its_thread_is_left_and_told() {
        let (unblock, blocked) = std::sync::mpsc::channel::<()>();
        let blocked = parking_lot::Mutex::new(Some(blocked));
        let bench = Bench::new(move |_| {
            let blocked = blocked.lock().take();
            async move {
                // The sender is dropped at the end of the test.
                let _ = blocked.map(|blocked| blocked.recv());
                Ok(handler::Outcome::done())
            }
        });
        let (ended, _) = bench.call(Duration::from_millis(10)).await;
        assert_eq!((ended.outcome, ended.left), (Outcome::TimedOut, 1));
        assert!(ended.tail.contains("could not be aborted"), "{}", ended.tail);
        drop(unblock);
    }

    #[tokio::test]
    async fn a_handler_that_panics_before_its_first_await_is_only_a_failure() {
        #[expect(unreachable_code, reason = "the handler's type is wanted")]
        let bench = Bench::new(|_| {
            panic!("no {}", "future");
            async { Ok(handler::Outcome::done()) }
        });
        let (ended, _) = bench.call(LONG).await;
        let reason = "the handler panicked: no future".to_owned();
        assert_eq!(ended.outcome, Outcome::Failed { reason });
        let _ = bench.stop.send_replace(true);
    }
}
