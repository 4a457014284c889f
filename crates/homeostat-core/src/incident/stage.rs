//! Where an incident stands.

use serde::{Deserialize, Serialize};

use super::Closing;
use crate::approval::Asked;
use crate::healing::Verification;
use crate::hold::Hold;
use crate::time::Timestamp;

/// Where an incident stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The alert must fire for a while first.
    Settling {
        /// Until then.
        until: Timestamp,
    },
    /// The next step is due in this turn.
    Ready,
    /// Evidence for the guards has been asked for.
    Asking {
        /// When.
        asked_at: Timestamp,
    },
    /// Guards hold the next order.
    Held {
        /// Why.
        holds: Vec<Hold>,
        /// When to judge again, where a gate alone does not tell.
        until: Option<Timestamp>,
        /// When it was judged.
        judged_at: Timestamp,
    },
    /// A retry waits.
    BackingOff {
        /// Until then.
        until: Timestamp,
    },
    /// All guards would let the next order pass, and a person is asked.
    AwaitingApproval(Box<Asked>),
    /// The last order runs.
    Acting(Running),
    /// A remedy's run is over, at the end of its time at the latest, and its healing is being proven.
    Verifying(Box<Verification>),
    /// A restart has lost sight of an undo, which may still run.
    Lost {
        /// Until then: its time limit holds whatever happens.
        until: Timestamp,
    },
    /// It is over.
    Closed {
        /// When.
        at: Timestamp,
        /// How and why.
        closing: Closing,
    },
}

/// The run of an order, as far as it is known not to be over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// When its order was issued.
    pub since: Timestamp,
    /// How often it has said how far it is.
    pub progressed: u32,
    /// What it was told since.
    pub told: Told,
}

/// What a run was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// Nothing.
    Nothing,
    /// To end before its time.
    ToEnd,
}

/// A stage without what is known in it, in the order in which an incident may come to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is told at its stage")]
pub enum StageKind {
    Settling,
    Ready,
    Asking,
    Held,
    BackingOff,
    AwaitingApproval,
    Acting,
    Verifying,
    Lost,
    Closed,
}

impl StageKind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Settling,
        Self::Ready,
        Self::Asking,
        Self::Held,
        Self::BackingOff,
        Self::AwaitingApproval,
        Self::Acting,
        Self::Verifying,
        Self::Lost,
        Self::Closed,
    ];
}

impl Stage {
    /// Returns which it is.
    pub fn kind(&self) -> StageKind {
        match self {
            Self::Settling { .. } => StageKind::Settling,
            Self::Ready => StageKind::Ready,
            Self::Asking { .. } => StageKind::Asking,
            Self::Held { .. } => StageKind::Held,
            Self::BackingOff { .. } => StageKind::BackingOff,
            Self::AwaitingApproval(_) => StageKind::AwaitingApproval,
            Self::Acting(_) => StageKind::Acting,
            Self::Verifying(_) => StageKind::Verifying,
            Self::Lost { .. } => StageKind::Lost,
            Self::Closed { .. } => StageKind::Closed,
        }
    }

    /// Returns the state's name, as in the API and in metrics.
    pub fn as_str(&self) -> &'static str {
        match self.kind() {
            StageKind::Settling
            | StageKind::Ready
            | StageKind::Asking
            | StageKind::Held
            | StageKind::BackingOff => "waiting",
            StageKind::AwaitingApproval => "awaiting_approval",
            StageKind::Acting => "acting",
            StageKind::Verifying | StageKind::Lost => "verifying",
            StageKind::Closed => "closed",
        }
    }

    /// Tells whether the next order is still to come: for its time, its guards, or a person's word.
    pub fn waits(&self) -> bool {
        self.kind() <= StageKind::AwaitingApproval
    }

    /// Returns what holds the next order.
    pub fn holds(&self) -> &[Hold] {
        if let Self::Held { holds, .. } = self { holds } else { &[] }
    }

    /// Returns what a person is asked, if one is.
    pub fn asked(&self) -> Option<&Asked> {
        if let Self::AwaitingApproval(asked) = self { Some(asked) } else { None }
    }

    /// Returns what is known of the proof, while it is under way.
    pub fn verification(&self) -> Option<&Verification> {
        if let Self::Verifying(verification) = self { Some(verification) } else { None }
    }

    /// Returns how it ended, if it has.
    pub fn closing(&self) -> Option<&Closing> {
        if let Self::Closed { closing, .. } = self { Some(closing) } else { None }
    }
}
