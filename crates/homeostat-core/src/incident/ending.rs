//! How incidents end, and why.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::evidence::Grade;
use crate::healing::Healing;
use crate::name::RemedyName;
use crate::text::Text;
use crate::time::Timestamp;

/// How an incident ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// A remedy healed it, to the grade that was required.
    Healed,
    /// It recovered before any order started.
    Recovered,
    /// Homeostat stopped and handed over; the reason says why.
    Escalated,
    /// What would have been done is recorded, and nothing was done.
    Shadowed,
    /// A person did not let the remedy start.
    Rejected,
    /// It lost its object: the alert lapsed, the policy was removed, or an operator stopped it.
    Cancelled,
}

impl End {
    /// Returns the outcome's name, as in the API and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healed => "healed",
            Self::Recovered => "recovered",
            Self::Escalated => "escalated",
            Self::Shadowed => "shadowed",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why an incident ended that was not healed, in one word: what follows is decided by it, and never by
/// what people read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// All of its alerts ended before any remedy ran.
    EndedUntouched,
    /// All of its alerts had ended before the remedy ran.
    EndedBeforeAct,
    /// Its alerts were lost sight of, and nothing had been done.
    Lapsed,
    /// Its policy was removed.
    PolicyRemoved,
    /// An operator cancelled it.
    Cancelled,
    /// A person did not let the remedy start.
    Rejected,
    /// What would have been done is recorded.
    Recorded,
    /// No remedy is left.
    Exhausted,
    /// Whether it was healed is not known.
    Unproven,
    /// Its source says that it resolved, and whoever saw it fire says that it still does.
    Contradicted,
    /// A remedy made something else worse.
    Worse,
    /// A remedy cannot be run for this alert, or refused.
    Refused,
    /// A guard stopped it for good.
    Stopped,
    /// The alert has no target.
    NoTarget,
    /// Whose it is what the alert is about cannot be told.
    NoOwner,
    /// Nobody approved in time, or no guard let what was approved pass.
    Unapproved,
    /// The rung on which it stood is gone from its policy.
    RemedyGone,
}

impl Cause {
    /// Returns how an incident has ended that closed for this.
    pub fn end(self) -> End {
        match self {
            Self::EndedUntouched | Self::EndedBeforeAct => End::Recovered,
            Self::Lapsed | Self::PolicyRemoved | Self::Cancelled => End::Cancelled,
            Self::Rejected => End::Rejected,
            Self::Recorded => End::Shadowed,
            Self::Exhausted
            | Self::Unproven
            | Self::Contradicted
            | Self::Worse
            | Self::Refused
            | Self::Stopped
            | Self::NoTarget
            | Self::NoOwner
            | Self::Unapproved
            | Self::RemedyGone => End::Escalated,
        }
    }

    /// Reads what an earlier version wrote, which told why for people only.
    fn of_old(outcome: End, reason: &str) -> Option<Self> {
        Some(match outcome {
            End::Healed => return None,
            End::Recovered => Self::EndedUntouched,
            End::Escalated => Self::Exhausted,
            End::Shadowed => Self::Recorded,
            End::Rejected => Self::Rejected,
            End::Cancelled if reason == "policy removed" => Self::PolicyRemoved,
            End::Cancelled if reason.starts_with("lapsed") => Self::Lapsed,
            End::Cancelled => Self::Cancelled,
        })
    }
}

/// How and why an incident ended. Only [`Closing::healed`] makes one that says *healed*, and it takes a
/// [`Healing`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    /// How.
    pub outcome: End,
    /// Why it was not healed, where the version that wrote it told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cause: Option<Cause>,
    /// Why, for a person. Of incidents that close at once, many close for the same reason.
    pub reason: Text,
    /// The remedy that healed.
    pub remedy: Option<RemedyName>,
    /// How well the healing is known.
    pub grade: Option<Grade>,
    /// Until when rules may go on firing about what is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remembered_until: Option<Timestamp>,
    /// Whether the alert resolved while the action still ran.
    pub resolved_during_action: bool,
}

impl Closing {
    /// Makes the end of what was healed, by this remedy.
    pub fn healed(healing: &Healing, remedy: RemedyName, reason: Text, resolved: bool) -> Self {
        Self {
            outcome: End::Healed,
            cause: None,
            reason,
            remedy: Some(remedy),
            grade: Some(healing.grade()),
            remembered_until: healing.remembered_until(),
            resolved_during_action: resolved,
        }
    }

    /// Makes the end of what was not healed.
    pub fn unhealed(cause: Cause, reason: Text) -> Self {
        Self {
            outcome: cause.end(),
            cause: Some(cause),
            reason,
            remedy: None,
            grade: None,
            remembered_until: None,
            resolved_during_action: false,
        }
    }

    /// Returns why it was not healed; `None` where it was.
    pub fn cause(&self) -> Option<Cause> {
        self.cause.or_else(|| Cause::of_old(self.outcome, &self.reason))
    }

    /// Tells whether it closed only because its policy was removed: whoever puts the policy back
    /// wants what still fires to be healed.
    pub(crate) fn is_for_want_of_policy(&self) -> bool {
        self.cause() == Some(Cause::PolicyRemoved)
    }
}
