//! What an incident's orders are for: the next one while it waits, else the one that was issued last.
//!
//! ```text
//!  opened ──> rung ── its run failed, and retries are left ──> retry ──┐ it failed once more
//!              ▲                                                ▲ └────┘
//!              └────────── given up, or only recorded ──────────┘
//!
//!  rung, retry ── the order certainly did not start ──> same ── issued again ──> rung, retry
//!  rung, retry ── the order made something else worse ──> undo
//!  any ── an operator cancelled ──> nothing: it closes as soon as no run of it goes on
//! ```

use serde::{Deserialize, Serialize};

use crate::order::Order;
use crate::text::Text;
use crate::time::Timestamp;

/// What an incident's orders are for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seeks {
    /// To heal, by the next rung of its ladder.
    Rung,
    /// To heal, by the rung of the last order once more.
    Retry {
        /// How often that rung is known to have failed.
        failures: u32,
    },
    /// To heal, by the last order once more, under its own id: it certainly did not start.
    Same {
        /// How often its rung is known to have failed before.
        failures: u32,
    },
    /// To take back, once, what made something else worse. No further remedy is tried then.
    Undo(Box<Worsened>),
    /// Nothing any more: an operator cancelled it.
    Nothing {
        /// Who, and why.
        by: Text,
        /// What had made something else worse by then.
        worse: Option<Box<Worsened>>,
    },
}

/// That an order made something else worse.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Worsened {
    /// The order, with its undo, if it has one.
    pub order: Order,
    /// What fires now that did not before, for a person.
    pub text: String,
    /// When it was found.
    pub since: Timestamp,
}

impl Seeks {
    fn rung(failures: u32) -> Self {
        if failures == 0 { Self::Rung } else { Self::Retry { failures } }
    }

    /// Returns how often the rung that is being tried is known to have failed.
    pub fn failures(&self) -> u32 {
        match self {
            Self::Retry { failures } | Self::Same { failures } => *failures,
            Self::Rung | Self::Undo(_) | Self::Nothing { .. } => 0,
        }
    }

    /// Tells whether it is the rung of the last order that is tried once more.
    pub fn is_rung_of_last_order(&self) -> bool {
        match self {
            Self::Retry { .. } | Self::Same { .. } => true,
            Self::Rung | Self::Undo(_) | Self::Nothing { .. } => false,
        }
    }

    /// Returns what made something else worse, if anything did.
    pub fn worse(&self) -> Option<&Worsened> {
        match self {
            Self::Undo(worse) | Self::Nothing { worse: Some(worse), .. } => Some(worse),
            Self::Rung | Self::Retry { .. } | Self::Same { .. } | Self::Nothing { .. } => None,
        }
    }

    pub(super) fn worse_mut(&mut self) -> Option<&mut Worsened> {
        match self {
            Self::Undo(worse) | Self::Nothing { worse: Some(worse), .. } => Some(worse),
            Self::Rung | Self::Retry { .. } | Self::Same { .. } | Self::Nothing { .. } => None,
        }
    }

    /// Returns who cancelled it and why, if an operator did.
    pub fn cancelled(&self) -> Option<&Text> {
        match self {
            Self::Nothing { by, .. } => Some(by),
            Self::Rung | Self::Retry { .. } | Self::Same { .. } | Self::Undo(_) => None,
        }
    }

    /// The last order certainly did not start. An undo is issued once: that it is sought though it was
    /// issued says the same of it.
    pub(crate) fn returned(&mut self) {
        match self {
            Self::Rung | Self::Retry { .. } | Self::Same { .. } => {
                *self = Self::Same { failures: self.failures() };
            }
            Self::Undo(_) | Self::Nothing { .. } => {}
        }
    }

    /// What certainly did not start is issued again, or something else follows instead.
    pub(crate) fn resumed(&mut self) {
        if let Self::Same { failures } = self {
            *self = Self::rung(*failures);
        }
    }

    /// A run of the rung failed, and is followed by another.
    pub(crate) fn failed(&mut self) {
        match self {
            Self::Rung | Self::Retry { .. } | Self::Same { .. } => {
                *self = Self::Retry { failures: self.failures() + 1 };
            }
            Self::Undo(_) | Self::Nothing { .. } => {}
        }
    }

    /// The rung is done with.
    pub(crate) fn climbed(&mut self) {
        match self {
            Self::Rung | Self::Retry { .. } | Self::Same { .. } => *self = Self::Rung,
            Self::Undo(_) | Self::Nothing { .. } => {}
        }
    }

    /// An order made something else worse.
    pub(crate) fn turned(&mut self, found: Worsened) {
        match self {
            Self::Nothing { worse, .. } => *worse = Some(Box::new(found)),
            Self::Rung | Self::Retry { .. } | Self::Same { .. } | Self::Undo(_) => {
                *self = Self::Undo(Box::new(found));
            }
        }
    }

    /// An operator cancels it.
    pub(crate) fn cancel(&mut self, by: Text) {
        let worse = match std::mem::replace(self, Self::Rung) {
            Self::Undo(worse) => Some(worse),
            Self::Nothing { worse, .. } => worse,
            Self::Rung | Self::Retry { .. } | Self::Same { .. } => None,
        };
        *self = Self::Nothing { by, worse };
    }
}
