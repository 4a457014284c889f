//! Which configuration was put in force, why, and by whom: for whoever asks later.
//!
//! *Not* the duty of this room: what a configuration means ([`crate::policy`]), and reading one.

use serde::{Deserialize, Serialize};

use crate::operator::Operator;

/// A configuration that was put in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// Of what.
    pub of: Scope,
    /// The files that were read, in their order; none where there is no configuration.
    pub files: Vec<ReadFile>,
    /// Why it was read.
    pub occasion: Occasion,
    /// Who wanted that, where somebody asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Operator>,
}

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadFile {
    /// Its name.
    pub name: String,
    /// The SHA-256 of what it held, in hexadecimal.
    pub sha256: String,
}

/// What a configuration is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The engine: the file of `--config.file`.
    Engine,
    /// Its listener, and the people who have passwords: the file of `--web.config.file`.
    Listener,
}

/// Why a configuration was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    /// The engine started.
    Start,
    /// Somebody asked for it.
    Request,
    /// A signal came; nobody knows whose.
    Signal,
    /// The file has changed.
    Change,
}

impl Occasion {
    /// Returns the word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Request => "request",
            Self::Signal => "signal",
            Self::Change => "change",
        }
    }
}
