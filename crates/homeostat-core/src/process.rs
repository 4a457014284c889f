//! Processes that go on though their run was to end: another user's, or ones that cannot be interrupted.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits;

/// A process that goes on though its run was to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// When it was started, in clock ticks since the machine was: with its number this tells it from
    /// any other of the same boot.
    pub started: u64,
    /// What it was started as.
    pub command: String,
    /// As whom it acts.
    pub user: String,
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.command, self.user)
    }
}

/// Tells a person which processes go on: `2 processes still run: sleep 45 (root), cat (1000)`.
pub fn still_run(processes: &[Process]) -> String {
    let count = processes.len();
    let verb = if count == 1 { "process still runs" } else { "processes still run" };
    let named = processes.iter().take(limits::PROCESSES_NAMED);
    let mut names: Vec<_> = named.map(ToString::to_string).collect();
    if count > limits::PROCESSES_NAMED {
        names.push("…".to_owned());
    }
    format!("{count} {verb}: {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_processes_the_first_are_named() {
        let process = |pid| Process { pid, started: 1, command: "x".into(), user: "root".into() };
        assert_eq!(still_run(&[process(1)]), "1 process still runs: x (root)");
        let many: Vec<_> = (0..20).map(process).collect();
        let text = still_run(&many);
        assert!(text.starts_with("20 processes still run: x (root), x (root)"), "{text}");
        let named = text.matches("x (root)").count();
        assert!(text.ends_with(", …") && named == limits::PROCESSES_NAMED, "{text}");
    }
}
