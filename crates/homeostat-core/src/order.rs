//! What the world is asked to do, and what became of it.
//!
//! Whoever makes an order spends a [`Permit`] for its reasons and charges, and only `guard` makes one. An
//! order stores all that is needed to finish and to verify it, so that neither a restart nor a changed
//! configuration can lose it.
//!
//! [`Permit`]: crate::guard::Permit

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::approval::StandingUse;
use crate::collect::{Look, Looks, Moment};
use crate::evidence::Grade;
use crate::guard::Grant;
use crate::ledger::Charge;
use crate::limits::defaults;
use crate::name::{BootId, CircuitName, OrderId, SourceName, TeamName};
use crate::plan::{LockKey, Rendered};
use crate::policy::TargetLabels;
use crate::process::Process;
use crate::regression::Baseline;
use crate::time::{Span, Timestamp};
use crate::why::Why;
use crate::witness::Case;

/// How the healing by one order is to be proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The best grade that the incident's alerts could be given when the order was issued.
    pub required: Grade,
    /// The labels by which instances of a rule are of one target.
    pub target: TargetLabels,
    /// Alerts whose rule a Prometheus knew then, by name: so an earlier version told it, which did
    /// not ask who saw them fire.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Arc<str>>,
    /// Each alert, who saw it fire, and what must be known for it to be over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cases: Vec<Case>,
    /// The query, rendered.
    pub query: Option<String>,
    /// The Prometheus that is asked the query; `None` for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_by: Option<SourceName>,
    /// How long to wait for the proof.
    pub within: Span,
    /// How long to wait for it at most where rules remember what is over.
    #[serde(default = "patience", skip_serializing_if = "is_patience")]
    pub patience: Span,
    /// Whether a target that is gone is healed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub vanishes: bool,
    /// Time between two looks.
    pub every: Span,
    /// How often in a row the query must hold.
    pub times: u32,
    /// What else was there on the target before the act, where the policy has a `regression`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Baseline>,
}

fn patience() -> Span {
    defaults::VERIFY_PATIENCE
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_patience(span: &Span) -> bool {
    *span == patience()
}

/// How an order is taken back if it made things worse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undo {
    /// What is done, with every placeholder filled in.
    pub action: Rendered,
    /// A run longer than this is ended.
    pub timeout: Span,
}

/// One run of one remedy, permitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Which run this is.
    pub id: OrderId,
    /// What is done, with every placeholder filled in.
    pub action: Rendered,
    /// A run longer than this is ended.
    pub timeout: Span,
    /// Whether an unknown outcome may be run again.
    pub idempotent: bool,
    /// How its healing is proven.
    pub proof: Proof,
    /// How it is taken back if it made things worse. An order that takes another back has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Undo>,
    /// What it locks until its incident closes.
    pub locks: Vec<LockKey>,
    /// What it took from the rates.
    pub charges: Vec<Charge>,
    /// Why each guard let it pass.
    pub grants: Vec<Grant>,
    /// What there was to choose from, and what was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Box<Why>>,
    /// In which boot of the machine it was issued.
    pub boot: BootId,
    /// Whose policy it was issued under: the team counts it, whatever a reload says meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<TeamName>,
    /// The breaker that counts what it comes to, too, besides its remedy's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<CircuitName>,
    /// What people had approved ahead, where that lets it start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<StandingUse>,
    /// What is looked at before it and after it, so that people see what it was like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looks: Option<Box<Looks>>,
}

impl Order {
    /// Returns what is looked at.
    pub fn looks(&self, moment: Moment) -> &[Look] {
        self.looks.as_deref().map_or(&[], |looks| looks.of(moment))
    }

    /// Copies all that is needed to finish and to verify it: why it was permitted is history.
    #[must_use]
    pub(crate) fn without_grants(&self) -> Self {
        Self {
            grants: Vec::new(),
            why: None,
            id: self.id.clone(),
            action: self.action.clone(),
            timeout: self.timeout,
            idempotent: self.idempotent,
            proof: self.proof.clone(),
            undo: self.undo.clone(),
            locks: self.locks.clone(),
            charges: self.charges.clone(),
            boot: self.boot.clone(),
            team: self.team.clone(),
            shared: self.shared.clone(),
            standing: self.standing.clone(),
            looks: self.looks.clone(),
        }
    }
}

/// What became of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "result")]
pub enum Outcome {
    /// It ended by itself.
    Exited {
        /// Its exit code.
        code: i32,
    },
    /// A signal ended it.
    Signalled {
        /// Its number.
        signal: i32,
    },
    /// A web service answered it.
    Answered {
        /// The HTTP status.
        status: u16,
        /// Whether that is a success.
        expected: bool,
    },
    /// A handler did it.
    Done,
    /// A handler says that it failed.
    Failed {
        /// Why.
        reason: String,
    },
    /// It ran into its time limit and was ended.
    TimedOut,
    /// It was ended on demand: an operator cancelled, or all alerts had resolved.
    Cancelled,
    /// It certainly did not start.
    NotStarted {
        /// Why.
        reason: String,
    },
    /// The alert's data cannot be carried to it; it was not started, on purpose.
    Refused {
        /// Why.
        reason: String,
    },
    /// Nobody knows: the engine went down while it ran, or it cannot be observed.
    Unknown {
        /// Why nobody knows.
        reason: String,
    },
}

/// How a run's outcome is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Result {
    /// It did what it should; whether that healed is to be verified.
    Done,
    /// It is known to have failed: a retry, or the next remedy.
    Failed,
    /// It may or may not have had its effect: to be verified, never run again blindly.
    Uncertain,
    /// It must not be run for this alert: a person is told.
    Refused,
}

impl Outcome {
    /// Tells how the outcome is to be taken.
    pub fn result(&self) -> Result {
        match self {
            Self::Exited { code: 0 } | Self::Answered { expected: true, .. } | Self::Done => {
                Result::Done
            }
            Self::Exited { .. }
            | Self::Signalled { .. }
            | Self::Answered { expected: false, .. }
            | Self::Failed { .. }
            | Self::NotStarted { .. } => Result::Failed,
            Self::TimedOut | Self::Cancelled | Self::Unknown { .. } => Result::Uncertain,
            Self::Refused { .. } => Result::Refused,
        }
    }

    /// Tells whether the action ran, or may have run.
    pub fn has_run(&self) -> bool {
        match self {
            Self::NotStarted { .. } | Self::Refused { .. } => false,
            Self::Exited { .. }
            | Self::Signalled { .. }
            | Self::Answered { .. }
            | Self::Done
            | Self::Failed { .. }
            | Self::TimedOut
            | Self::Cancelled
            | Self::Unknown { .. } => true,
        }
    }

    /// Returns the outcome's name for metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Exited { code: 0 } | Self::Answered { expected: true, .. } | Self::Done => {
                "succeeded"
            }
            Self::Exited { .. } | Self::Answered { expected: false, .. } | Self::Failed { .. } => {
                "failed"
            }
            Self::Signalled { .. } => "signalled",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::NotStarted { .. } => "not_started",
            Self::Refused { .. } => "refused",
            Self::Unknown { .. } => "unknown",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited { code } => write!(f, "exited with code {code}"),
            Self::Signalled { signal } => write!(f, "was ended by signal {signal}"),
            Self::Answered { status, expected: true } => write!(f, "was answered {status}"),
            Self::Answered { status, expected: false } => {
                write!(f, "was answered {status}, which is no success")
            }
            Self::Done => f.write_str("is done"),
            Self::Failed { reason } => write!(f, "failed: {reason}"),
            Self::TimedOut => f.write_str("ran into its time limit and was ended"),
            Self::Cancelled => f.write_str("was told to end, and ended"),
            Self::NotStarted { reason } => write!(f, "did not start: {reason}"),
            Self::Refused { reason } => write!(f, "was refused: {reason}"),
            Self::Unknown { reason } => write!(f, "has an unknown outcome: {reason}"),
        }
    }
}

/// A run that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// What became of it.
    pub outcome: Outcome,
    /// When it started, where it did and that is known.
    pub started_at: Option<Timestamp>,
    /// The last part of its output, for a person.
    pub output: String,
    /// Processes of it that were to end and could not be ended: they go on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<Process>,
}

/// What is found of an order's run after a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It certainly did not start.
    NotStarted,
    /// It is over, and this became of it.
    Ended(Ended),
    /// It started, and nobody knows how it went.
    Unknown(String),
}
