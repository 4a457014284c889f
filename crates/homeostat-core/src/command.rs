//! What an operator may command about one incident, and what it came to.
//!
//! What a command does is `decide`'s duty; who may command is a door's.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::approval::Objection;
use crate::name::{ApprovalId, IncidentId};

/// A command about one incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Let the run start that waits for it.
    Approve,
    /// Do not let it start, and try nothing else.
    Reject,
    /// Stop healing: end what runs, and try nothing else.
    Cancel,
    /// Begin anew what was given up.
    Retry,
}

impl Command {
    /// All commands.
    pub const ALL: [Self; 4] = [Self::Approve, Self::Reject, Self::Cancel, Self::Retry];

    /// Returns the command's name, as in the API and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Cancel => "cancel",
            Self::Retry => "retry",
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a command came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// It is taken. What follows from it, for a person.
    Taken(String),
    /// A word is taken where people are counted.
    Counted {
        /// What follows from it, for a person.
        message: String,
        /// How many have agreed.
        have: usize,
        /// How many must.
        need: usize,
    },
    /// Nothing was changed, because of how things stand.
    Refused(String),
    /// Nothing was changed, because of who commands.
    NotTheirs(Objection),
    /// There never was such an incident.
    NoIncident(IncidentId),
    /// There is no such standing approval.
    NoApproval(ApprovalId),
}
