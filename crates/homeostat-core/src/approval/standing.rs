//! What people have approved ahead: the next runs of one remedy on one target, so many, and not for
//! long.
//!
//! It is bound to what is done ([`Digest::of_kind`]) and to what the configuration says of the remedy, and
//! whoever stands for it must still be one whose word counts ([`super::Quorum`]) when it is used. It is
//! no permit: all guards judge each run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Digest, Vote};
use crate::name::{ApprovalId, IncidentId, OrderId, PolicyName, RemedyName};
use crate::operator::Operator;
use crate::plan::Rendered;
use crate::policy::Target;
use crate::time::{Span, Timestamp};

/// What somebody approves ahead, beside the run that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// How many further runs.
    pub uses: u32,
    /// For how long.
    pub lasts: Span,
}

/// What people have approved ahead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandingApproval {
    /// Its number.
    pub id: ApprovalId,
    /// Under which policy.
    pub policy: PolicyName,
    /// Which remedy.
    pub remedy: RemedyName,
    /// What the configuration said of that.
    pub definition: Arc<str>,
    /// On which target.
    pub target: Target,
    /// What was to be done, as it was shown.
    pub action: Rendered,
    /// Tells runs of this kind from any other.
    pub kind: Digest,
    /// In which incident it was asked for.
    pub incident: IncidentId,
    /// Who stands for it.
    pub votes: Vec<Vote>,
    /// Since when.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// How many runs it lets start.
    pub uses: u32,
    /// Those that it has let start.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub runs: BTreeSet<OrderId>,
}

impl StandingApproval {
    /// Tells whether it lets this run start now. One that certainly did not start may have been let start
    /// before.
    pub fn covers(&self, kind: &Digest, order: &OrderId, now: Timestamp) -> bool {
        self.kind == *kind && now < self.until && (self.runs.contains(order) || self.left() > 0)
    }

    /// Returns how many runs are left.
    pub fn left(&self) -> u32 {
        self.uses.saturating_sub(u32::try_from(self.runs.len()).unwrap_or(u32::MAX))
    }

    /// Returns who stands for it.
    pub fn people(&self) -> impl Iterator<Item = &Operator> {
        self.votes.iter().map(|vote| &vote.by)
    }

    /// Makes use of it for a run.
    pub fn used_for(&self, order: &OrderId) -> StandingUse {
        let more = u32::from(!self.runs.contains(order));
        let by = self.people().map(|by| by.person().to_owned()).collect();
        StandingUse {
            approval: self.id,
            by,
            left: self.left().saturating_sub(more),
            until: self.until,
        }
    }
}

impl fmt::Display for StandingApproval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let people: Vec<&str> = self.people().map(Operator::person).collect();
        write!(f, "standing approval {} of {}", self.id, people.join(", "))
    }
}

/// That a run starts because people approved it ahead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandingUse {
    /// By which standing approval.
    pub approval: ApprovalId,
    /// Who stood for it.
    pub by: Vec<String>,
    /// How many runs are left after this one.
    pub left: u32,
    /// Until when.
    pub until: Timestamp,
}

impl fmt::Display for StandingUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { approval, by, left, until } = self;
        let by = by.join(", ");
        write!(f, "standing approval {approval} of {by}: {left} more until {until:.0}")
    }
}

/// Why a standing approval is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "how")]
pub enum Over {
    /// Its time is.
    Expired,
    /// Somebody who may approve does not want it any more.
    Revoked {
        /// Who.
        by: Operator,
        /// Why.
        reason: String,
    },
    /// What it was given for, or who gave it, is not what it was.
    Void {
        /// Why.
        reason: String,
    },
}

impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired => f.write_str("its time is over"),
            Self::Revoked { by, reason } if reason.is_empty() => write!(f, "{by} revoked it"),
            Self::Revoked { by, reason } => write!(f, "{by} revoked it: {reason}"),
            Self::Void { reason } => f.write_str(reason),
        }
    }
}

/// All that is approved ahead, by number. One that is used up stays until its time is over: the run that
/// it let start last may come back, not started.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StandingApprovals {
    all: BTreeMap<ApprovalId, Arc<StandingApproval>>,
    ends: BTreeSet<(Timestamp, ApprovalId)>,
}

impl StandingApprovals {
    /// Returns all, the oldest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<StandingApproval>> {
        self.all.values()
    }

    /// Returns the one of this number.
    pub fn get(&self, id: ApprovalId) -> Option<&StandingApproval> {
        self.all.get(&id).map(Arc::as_ref)
    }

    /// Returns those for a remedy on a target, the oldest first.
    pub fn about<'a, 'k>(
        &'a self,
        policy: &'k PolicyName,
        remedy: &'k RemedyName,
        target: &'k Target,
    ) -> impl Iterator<Item = &'a StandingApproval> + use<'a, 'k> {
        let all = self.all.values().map(Arc::as_ref);
        all.filter(move |known| {
            known.policy == *policy && known.remedy == *remedy && known.target == *target
        })
    }

    /// Returns whose time is over first, and when.
    pub fn first_end(&self) -> Option<(Timestamp, ApprovalId)> {
        self.ends.first().copied()
    }

    pub(crate) fn enter(&mut self, approval: Arc<StandingApproval>) {
        self.ends.insert((approval.until, approval.id));
        self.all.insert(approval.id, approval);
    }

    pub(crate) fn remove(&mut self, id: ApprovalId) {
        if let Some(known) = self.all.remove(&id) {
            self.ends.remove(&(known.until, id));
        }
    }

    pub(crate) fn note_run(&mut self, id: ApprovalId, order: &OrderId) {
        if let Some(known) = self.all.get_mut(&id) {
            Arc::make_mut(known).runs.insert(order.clone());
        }
    }
}
