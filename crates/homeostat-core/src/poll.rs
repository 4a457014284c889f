//! What a source says about all of its alerts at once, and whether its silence about one counts.
//!
//! ```text
//!  poll ──> listed: the alert is there          ──> mentioned; the row begins anew
//!       ├─> not listed, by one who should know  ──> absent: once, twice in a row ──> it is over
//!       └─> not listed, by one who may not know ──> the row begins anew
//! ```
//!
//! | poll | those it lists | those it does not list |
//! |---|---|---|
//! | in its turn | mentioned | absent once more |
//! | out of turn | mentioned | as before: too soon after the last one to count |
//! | of a young Alertmanager | mentioned | not known |
//! | that lists nothing at all | – | not known: it may have forgotten all |
//! | that failed | – | not known |
//!
//! Not its duty: to count (`engine`, outside of the state: a restart begins anew), and what to do
//! with an alert that is listed and was not known: that is an observation like any other.

use std::collections::BTreeMap;

use crate::evidence::Trouble;
use crate::label::Fingerprint;
use crate::name::SourceName;
use crate::time::{Span, Timestamp};

/// One reading of all that an Alertmanager lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poll {
    /// Which one.
    pub source: SourceName,
    /// When it was asked. What was mentioned since then, it may not know.
    pub asked_at: Timestamp,
    /// Why it was asked.
    pub occasion: Occasion,
    /// What it said.
    pub said: Result<Roll, Trouble>,
}

/// Why a source was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// It was its turn.
    Due,
    /// A notification said that it does not say all.
    Prompted,
}

/// All alerts that an Alertmanager lists, silenced and inhibited ones too, but none of our own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roll {
    /// For how long the Alertmanager runs.
    pub uptime: Span,
    /// Each alert, and since when it fires.
    pub alerts: BTreeMap<Fingerprint, Timestamp>,
}

/// Why it says nothing that a poll does not list an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// The Alertmanager did not answer, or not in full.
    Failed,
    /// It lists nothing at all.
    Empty,
    /// It runs for too short a time to have heard of all.
    Young,
    /// It was asked out of turn.
    Prompted,
}

impl Silence {
    /// Returns one word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Empty => "empty",
            Self::Young => "young",
            Self::Prompted => "prompted",
        }
    }
}

impl Poll {
    /// Tells why it says nothing that an alert is not listed; `None` where it counts as absent.
    ///
    /// `young` is how old an Alertmanager must be.
    pub fn silence(&self, young: Span) -> Option<Silence> {
        match &self.said {
            Err(_) => Some(Silence::Failed),
            Ok(roll) if roll.alerts.is_empty() => Some(Silence::Empty),
            Ok(roll) if roll.uptime < young => Some(Silence::Young),
            Ok(_) => match self.occasion {
                Occasion::Due => None,
                Occasion::Prompted => Some(Silence::Prompted),
            },
        }
    }

    /// Returns since when an alert fires, if it is listed.
    pub fn lists(&self, fingerprint: Fingerprint) -> Option<Timestamp> {
        self.said.as_ref().ok()?.alerts.get(&fingerprint).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_counts_only_of_one_who_should_know() {
        let now = Timestamp::from_micros(0);
        let poll = |uptime: u64, alerts: u64, occasion| Poll {
            source: SourceName::new("main"),
            asked_at: now,
            occasion,
            said: Ok(Roll {
                uptime: Span::from_secs(uptime),
                alerts: (0..alerts).map(|n| (Fingerprint(n), now)).collect(),
            }),
        };
        let young = Span::from_secs(300);
        for (poll, expected) in [
            (poll(300, 1, Occasion::Due), None),
            (poll(299, 1, Occasion::Due), Some(Silence::Young)),
            (poll(300, 0, Occasion::Due), Some(Silence::Empty)),
            (poll(0, 0, Occasion::Due), Some(Silence::Empty)),
            (poll(300, 1, Occasion::Prompted), Some(Silence::Prompted)),
            (poll(1, 1, Occasion::Prompted), Some(Silence::Young)),
        ] {
            assert_eq!(poll.silence(young), expected, "{poll:?}");
        }
        let failed = Poll { said: Err(Trouble("no".into())), ..poll(300, 1, Occasion::Due) };
        assert_eq!(failed.silence(young), Some(Silence::Failed));
        assert_eq!(failed.lists(Fingerprint(0)), None);
    }
}
