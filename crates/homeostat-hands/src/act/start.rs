//! What every run begins with: its directory, its inputs and its claim. Those of a process are taken
//! in two steps instead, by two processes (`prepare`, `exec`).

use std::future::Future;
use std::panic;
use std::path::Path;
use std::pin::Pin;

use super::claim::{Claimed, Directory};
use super::{Doubt, Ended, Outcome, Refusal, Subject};
use crate::failpoint;

/// Why there is no run to watch.
#[derive(Clone)]
pub(super) enum NotRunning {
    Refused(Refusal),
    Unknown(Doubt),
}

impl From<Refusal> for NotRunning {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<NotRunning> for Ended {
    fn from(not_running: NotRunning) -> Self {
        Self::without_run(match not_running {
            NotRunning::Refused(reason) => Outcome::Refused { reason },
            NotRunning::Unknown(reason) => Outcome::Unknown { reason },
        })
    }
}

/// Prepares an order's directory and takes the right to run it, which exists once.
pub(super) fn take(
    root: &Path,
    name: &str,
    run: &str,
    (subject, order): (&Subject, &str),
) -> Result<Directory, NotRunning> {
    let directory = Directory::prepare(root, name, run)?;
    if directory.is_claimed()? {
        return Err(NotRunning::Unknown(Doubt::AlreadyClaimed));
    }
    directory.write_inputs(|to| subject.write(order, None, to), None)?;
    failpoint::reach("act.prepared");
    match directory.claim()? {
        Claimed::Now => {
            failpoint::reach("act.claimed");
            Ok(directory)
        }
        Claimed::Before => Err(NotRunning::Unknown(Doubt::AlreadyClaimed)),
    }
}

/// Does blocking work where it blocks no other task.
pub(super) async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(payload) => panic::resume_unwind(payload),
            // The runtime is being shut down: nobody will poll us again.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Whether a future completes without waiting.
pub(super) async fn is_complete(future: Pin<&mut (impl Future<Output = ()> + Send)>) -> bool {
    tokio::select! {
        biased;
        () = future => true,
        () = std::future::ready(()) => false,
    }
}
