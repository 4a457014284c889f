//! In whose hands the processes of a run are: the engine's, or a runner's that outlives it.
//!
//! ```text
//!                  engine                 runner
//!  spawn           plain                  into a cgroup of its own, where there are any
//!  orphans         go to init             come to the runner, which reaps them one by one
//!  the record      for the engine at once  for an engine that may be away: then it is synced
//! ```
//!
//! Everything else about a run is the same code. *Not* the duty of this part: the run (`exec`), and
//! who may ask for one (the room `runner`).

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, RwLock};
use rustix::process::{Pid, WaitOptions, waitpid};

use super::cgroup::{Cgroup, Cgroups};
use crate::inherited::{inherited, not_inherited};

/// In whose hands the processes of a run are.
#[derive(Debug, Clone)]
pub enum Owner {
    /// This process, which is an engine: what it starts has its environment, and is nobody's when
    /// it dies.
    Engine,
    /// This process, which is a runner.
    Runner(Arc<Nursery>),
}

/// Variables, as they are handed on.
pub type Variables = Vec<(OsString, OsString)>;

/// What a runner knows of all its processes.
#[derive(Debug, Default)]
pub struct Nursery {
    /// The leaders that are not reaped. Whoever spawns holds it for reading from before the fork
    /// until the number is in `fresh`, so that no child is taken for an orphan.
    spawning: RwLock<()>,
    leaders: Mutex<BTreeSet<i32>>,
    /// What processes inherit, as the engine that is connected has it.
    inherited: Mutex<Arc<Variables>>,
    attended: AtomicBool,
    cgroups: Option<Cgroups>,
    /// Whether orphans come to this process.
    is_reaper: bool,
}

impl Nursery {
    /// Makes one. Where this process is no reaper of what descends from it, the living are looked
    /// for in all of `/proc`, as in an engine.
    pub fn new(cgroups: Option<Cgroups>) -> Self {
        let is_reaper = matches!(rustix::process::child_subreaper(), Ok(Some(_)));
        Self { cgroups, is_reaper, ..Self::default() }
    }

    /// Says what processes inherit from now on.
    pub fn inherit(&self, variables: Variables) {
        *self.inherited.lock() = Arc::new(variables);
    }

    /// Says whether an engine is there, which journals at once what it hears of.
    pub fn attend(&self, attended: bool) {
        self.attended.store(attended, Ordering::Relaxed);
    }

    /// Reaps what has come to this process from runs, and died: by their numbers, because a wait
    /// for any child would take the ends of the leaders from those who wait for them. Returns
    /// whether any such process lives.
    pub fn reap_orphans(&self) -> bool {
        if !self.is_reaper || self.strangers().is_empty() {
            return false;
        }
        let _nobody_spawns = self.spawning.write();
        let living = self.strangers().into_iter().filter(|pid| {
            // An error means that it is no child of ours any more.
            let pid = Pid::from_raw(*pid);
            pid.is_some() && matches!(waitpid(pid, WaitOptions::NOHANG), Ok(None))
        });
        living.count() > 0
    }

    /// Children of this process that are no leaders.
    fn strangers(&self) -> Vec<i32> {
        let mut children = children();
        let leaders = self.leaders.lock();
        children.retain(|pid| !leaders.contains(pid));
        children
    }

    /// Whether runs have cgroups.
    pub fn has_cgroups(&self) -> bool {
        self.cgroups.is_some()
    }

    /// Removes cgroups that are empty. Only while nothing is started.
    pub fn tidy(&self) {
        if let Some(cgroups) = &self.cgroups {
            cgroups.tidy();
        }
    }

    /// Removes all that is empty, at the runner's end.
    pub fn close(&self) {
        if let Some(cgroups) = &self.cgroups {
            cgroups.remove();
        }
    }
}

impl Owner {
    /// A cgroup for one run, where this owner has any.
    pub(super) fn cgroup(&self, order: &str, run: &str) -> Option<Cgroup> {
        match self {
            Self::Engine => None,
            Self::Runner(nursery) => nursery.cgroups.as_ref()?.make(order, run),
        }
    }

    /// Spawns by `spawn`, which returns the leader's number.
    pub(super) fn spawn<T, E>(&self, spawn: impl FnOnce() -> Result<(T, i32), E>) -> Result<T, E> {
        match self {
            Self::Engine => spawn().map(|(spawned, _)| spawned),
            Self::Runner(nursery) => {
                let _no_orphan_yet = nursery.spawning.read();
                let (spawned, leader) = spawn()?;
                nursery.leaders.lock().insert(leader);
                Ok(spawned)
            }
        }
    }

    /// A leader is reaped, or nobody waits for it any more.
    pub(super) fn let_go(&self, leader: i32) {
        match self {
            Self::Engine => {}
            Self::Runner(nursery) => {
                nursery.leaders.lock().remove(&leader);
            }
        }
    }

    /// Whether nothing of a run whose leader has ended can be alive: what outlives its parents
    /// comes to the reaper, so that where nothing came, nothing lives.
    pub(super) fn has_no_orphans(&self) -> bool {
        match self {
            Self::Engine => false,
            Self::Runner(nursery) => nursery.is_reaper && !nursery.reap_orphans(),
        }
    }

    /// Whether a process came to this one because its parents of some run are gone.
    pub(super) fn is_orphan(&self, pid: i32, parent: i32) -> bool {
        match self {
            Self::Engine => false,
            Self::Runner(nursery) => {
                let is_ours = u32::try_from(parent).is_ok_and(|pid| pid == std::process::id());
                nursery.is_reaper && is_ours && !nursery.leaders.lock().contains(&pid)
            }
        }
    }

    /// Gives a command the variables that it inherits.
    ///
    /// In the engine the environment is edited and not cleared, and no `PATH` is set: either would
    /// make the standard library look for the program itself, after a fork, which copies the page
    /// tables of the engine. A runner has few of them, and its own environment may be that of an
    /// engine of long ago.
    pub(super) fn dress(&self, command: &mut Command) {
        match self {
            Self::Engine => {
                for name in not_inherited() {
                    command.env_remove(name);
                }
            }
            Self::Runner(nursery) => {
                let inherited = Arc::clone(&nursery.inherited.lock());
                command.env_clear().envs(inherited.iter().map(|(name, value)| (name, value)));
            }
        }
    }

    /// Gives a command all variables that it inherits, where the standard library does not start it
    /// and so would not add them.
    pub(super) fn dress_whole(&self, command: &mut Command) {
        match self {
            Self::Engine => {
                let own: Variables = command
                    .get_envs()
                    .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
                    .collect();
                command.env_clear().envs(inherited()).envs(own);
            }
            Self::Runner(_) => {}
        }
    }

    /// Whether the record of an end must outlive a loss of power. An engine that hears of it
    /// journals it at once; where none is there, the record is all that there is.
    pub(super) fn must_sync(&self) -> bool {
        match self {
            Self::Engine => false,
            Self::Runner(nursery) => !nursery.attended.load(Ordering::Relaxed),
        }
    }
}

/// The children of this process's first thread: the kernel gives orphans to it.
fn children() -> Vec<i32> {
    let own = std::process::id();
    let list = Path::new("/proc/self/task").join(own.to_string()).join("children");
    match fs::read_to_string(list) {
        Ok(list) => list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect(),
        // A kernel without CONFIG_PROC_CHILDREN.
        Err(_) => super::tree::children_of(own),
    }
}
