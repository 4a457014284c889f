//! The signals of a service: TERM and INT stop, HUP reloads.

use std::future::Future;

use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};

use super::manager;

/// Waits for SIGTERM or SIGINT, from the call on: one that comes before this is polled counts.
///
/// # Panics
///
/// Outside of a Tokio runtime with IO enabled.
pub fn until_signalled() -> impl Future<Output = ()> {
    let (terminate, interrupt) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    async {
        match (terminate, interrupt) {
            (Ok(mut terminate), Ok(mut interrupt)) => {
                let name = tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                };
                info!(signal = name, "stopping");
                manager::stopping();
            }
            (Err(error), _) | (_, Err(error)) => {
                error!(%error, "signals cannot be received; stop the process otherwise");
                std::future::pending::<()>().await;
            }
        }
    }
}

/// Lets a SIGHUP that comes before the engine is ready pass, instead of ending the process.
pub(crate) fn survive_hangup() {
    // Once it was listened for, the kernel's default is gone for good.
    if let Err(error) = signal(SignalKind::hangup()) {
        error!(%error, "SIGHUP cannot be received");
    }
}

/// Does something at each SIGHUP.
pub(super) fn on_hangup<F, D>(act: D)
where
    F: Future<Output = ()> + Send + 'static,
    D: Fn() -> F + Send + 'static,
{
    match signal(SignalKind::hangup()) {
        Ok(mut hangup) => {
            tokio::spawn(async move {
                while hangup.recv().await.is_some() {
                    act().await;
                }
            });
        }
        Err(error) => error!(%error, "SIGHUP cannot be received"),
    }
}
