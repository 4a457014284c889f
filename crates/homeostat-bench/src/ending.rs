//! An end before the end: what was started is ended, and the scratch directory goes.

use std::path::PathBuf;
use std::process;
use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use homeostat::demo::stack::{Process, Signal};
use rustix::process::{Pid, kill_process};
use tokio::signal::unix::{SignalKind, signal};

/// Children of ours that run. They are in groups of their own: a Ctrl-C reaches only us.
static RUNNING: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// A child that is ended with us, as long as this is kept.
#[derive(Debug)]
pub(crate) struct Watched(u32);

impl Watched {
    /// Spawns a child. It is known before anybody is told to end.
    pub(crate) fn spawn(spawn: impl FnOnce() -> Result<Process>) -> Result<(Self, Process)> {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let process = spawn()?;
        running.push(process.pid());
        Ok((Self(process.pid()), process))
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).retain(|pid| *pid != self.0);
    }
}

/// From now on a signal that asks us to end leaves nothing behind.
pub(crate) fn clean_up_on_signals(scratch: PathBuf) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async {
            let wanted = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
            let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = wanted.map(signal) else {
                return;
            };
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            // Held to the end, so that nothing is started, or reaped and forgotten, meanwhile.
            let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
            let pids = running.iter().filter_map(|pid| Pid::from_raw(i32::try_from(*pid).ok()?));
            for pid in pids {
                let _ = kill_process(pid, Signal::KILL);
            }
            let _ = std::fs::remove_dir_all(&scratch);
            process::exit(130);
        });
    })?;
    Ok(())
}
