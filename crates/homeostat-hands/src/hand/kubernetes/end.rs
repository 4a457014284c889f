//! How an errand in a cluster ends, in one word that people and programs can rely on.

use homeostat_core::errand::Form;
use homeostat_core::owner::Whose;

use crate::act::{Doubt, Outcome, one_line};
use crate::hand::{Lasting, refused};

/// How an errand ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// What was asked for is so.
    Done,
    /// It would be done, and nothing was: who else manages what would be changed.
    Rehearsed(Option<String>),
    /// It was asked whose something is, and that is known.
    Owned(Whose),
    /// What it is about is not there.
    Gone(String),
    /// What it is about is not there, and something else has its name.
    Replaced(String),
    /// A disruption budget lets no pod go.
    HeldByBudget(String),
    /// The server knows us, or does not, and says no.
    Forbidden(String),
    /// It cannot be done as it is asked for, however often.
    Refused(String),
    /// It could not be done now.
    NotNow(String),
    /// It was done, and came to nothing.
    Failed(String),
    /// It was told to end before its time, and has.
    Cancelled,
    /// It may have been done.
    Unknown(String),
}

impl End {
    /// What the engine is told. Once something was `begun`, nothing is said not to have started.
    pub(super) fn outcome(self, begun: bool) -> Outcome {
        let (lasting, reason) = match self {
            Self::Done => return Outcome::Done,
            Self::Rehearsed(managed_by) => return Outcome::Rehearsed { managed_by },
            Self::Owned(whose) => return Outcome::Owned { whose },
            Self::Cancelled => return Outcome::Cancelled,
            Self::Unknown(reason) => {
                return Outcome::Unknown { reason: Doubt::Hand { reason: one_line(&reason) } };
            }
            Self::Failed(reason) => return Outcome::Failed { reason: one_line(&reason) },
            Self::Gone(reason) => (Lasting::No, format!("gone: {reason}")),
            Self::Replaced(reason) => (Lasting::No, format!("replaced: {reason}")),
            Self::HeldByBudget(reason) => (Lasting::No, format!("held_by_budget: {reason}")),
            Self::NotNow(reason) => (Lasting::No, reason),
            Self::Forbidden(reason) => (Lasting::Yes, format!("forbidden: {reason}")),
            Self::Refused(reason) => (Lasting::Yes, reason),
        };
        let reason = one_line(&reason);
        if begun { Outcome::Failed { reason } } else { refused(&reason, lasting) }
    }

    /// The same of a rehearsal, which leaves nothing behind that might have failed or be in doubt.
    pub(super) fn of_a_rehearsal(self) -> Self {
        match self {
            Self::Done => Self::Rehearsed(None),
            Self::Failed(reason) | Self::Unknown(reason) => Self::NotNow(reason),
            Self::Rehearsed(_)
            | Self::Owned(_)
            | Self::Gone(_)
            | Self::Replaced(_)
            | Self::HeldByBudget(_)
            | Self::Forbidden(_)
            | Self::Refused(_)
            | Self::NotNow(_)
            | Self::Cancelled => self,
        }
    }

    /// Why it ended so, in words.
    pub(super) fn why(&self) -> &str {
        match self {
            Self::Done => "it is done",
            Self::Rehearsed(_) => "it would be done",
            Self::Owned(_) => "it is known whose it is",
            Self::Cancelled => "it was cancelled",
            Self::Gone(why)
            | Self::Replaced(why)
            | Self::HeldByBudget(why)
            | Self::Forbidden(why)
            | Self::Refused(why)
            | Self::NotNow(why)
            | Self::Failed(why)
            | Self::Unknown(why) => why,
        }
    }

    /// The same, and what was done about it.
    pub(super) fn and(self, more: &str) -> Self {
        let add = |reason: String| format!("{reason}; {more}");
        match self {
            Self::Done | Self::Rehearsed(_) | Self::Owned(_) | Self::Cancelled => self,
            Self::Gone(reason) => Self::Gone(add(reason)),
            Self::Replaced(reason) => Self::Replaced(add(reason)),
            Self::HeldByBudget(reason) => Self::HeldByBudget(add(reason)),
            Self::Forbidden(reason) => Self::Forbidden(add(reason)),
            Self::Refused(reason) => Self::Refused(add(reason)),
            Self::NotNow(reason) => Self::NotNow(add(reason)),
            Self::Failed(reason) => Self::Failed(add(reason)),
            Self::Unknown(reason) => Self::Unknown(add(reason)),
        }
    }
}

/// A text that is not of its form never becomes a part of a path.
pub(super) fn of_form<'a>(text: Option<&'a str>, form: &Form) -> Result<&'a str, End> {
    match text {
        Some(text) if form.admits(text) => Ok(text),
        Some(text) => Err(End::Refused(format!("{text:?} is not {}", form.what))),
        None => Err(End::Refused("this is no errand for a cluster".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::Refusal;

    #[test]
    fn an_end_says_nothing_was_started_only_where_that_is_certain() {
        let said = |end: End, begun| match end.outcome(begun) {
            Outcome::Refused { reason: Refusal::Hand { reason, lasting } } => {
                format!("{} {reason}", if lasting { "refused" } else { "not started" })
            }
            Outcome::Failed { reason } => format!("failed {reason}"),
            Outcome::Unknown { reason } => format!("unknown {reason}"),
            other => format!("{other:?}"),
        };
        let why = || "why".to_owned();
        for (end, first, later) in [
            (End::Done, "Done", "Done"),
            (
                End::Rehearsed(None),
                "Rehearsed { managed_by: None }",
                "Rehearsed { managed_by: None }",
            ),
            (End::Cancelled, "Cancelled", "Cancelled"),
            (End::Gone(why()), "not started gone: why", "failed gone: why"),
            (End::Replaced(why()), "not started replaced: why", "failed replaced: why"),
            (
                End::HeldByBudget(why()),
                "not started held_by_budget: why",
                "failed held_by_budget: why",
            ),
            (End::Forbidden(why()), "refused forbidden: why", "failed forbidden: why"),
            (End::Refused(why()), "refused why", "failed why"),
            (End::NotNow(why()), "not started why", "failed why"),
            (End::Failed(why()), "failed why", "failed why"),
            (End::Unknown(why()), "unknown why", "unknown why"),
        ] {
            assert_eq!(said(end.clone(), false), first);
            assert_eq!(said(end, true), later);
        }
    }
}
