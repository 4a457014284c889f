//! Identifiers: the names that people give and the numbers that the engine gives.
//!
//! Every identifier is a type of its own, so that a policy's name never stands where a
//! remedy's is meant. Checking what people wrote is the configuration's duty, not this room's.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::text::Text;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Text);

        impl $name {
            /// Takes the name as it is written.
            pub fn new(name: impl AsRef<str>) -> Self {
                Self(Text::new(name.as_ref()))
            }

            /// Returns the name as it is written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// Returns the number that follows this one.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

name! {
    /// Names who sent an alert: an Alertmanager cluster, Grafana, or the alerts API.
    SourceName
}
name! {
    /// Names a policy; unique in a book.
    PolicyName
}
name! {
    /// Names the team whose policies these are.
    TeamName
}
name! {
    /// Names a remedy; unique in its policy.
    RemedyName
}
name! {
    /// Names a breaker that remedies of several policies share.
    CircuitName
}
name! {
    /// Names a handler that the program was built with.
    HandlerName
}
name! {
    /// Identifies one boot of the machine, as the kernel reports it.
    BootId
}
number! {
    /// Numbers one continuous firing of one alert, in the order in which they began.
    EpisodeId
}
number! {
    /// Numbers one trouble on one target, in the order in which they opened.
    IncidentId
}
number! {
    /// Numbers what people have approved ahead, in the order in which they did.
    ApprovalId
}

impl SourceName {
    /// Names the source of alerts that arrive through the alerts API.
    pub const API: &'static str = "api";

    /// Names the source of the bare `/hooks` where no Alertmanager is configured, whose it would be.
    pub const BARE: &'static str = "alertmanager";
}

/// Which of a remedy's two actions is meant.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The action that is to heal.
    #[default]
    Heal,
    /// The action that takes it back.
    Undo,
}

impl Part {
    /// What follows the id of the order that is taken back. No attempt reads like this, so that no
    /// name of a remedy can be mistaken for it.
    const UNDO: &'static str = ".undo";
}

/// Identifies one run of one remedy: the same deed has the same id after a crash.
///
/// Written as `incident.remedy.attempt`, for example `17.restart.1`, and its undo as
/// `17.restart.1.undo`; this is also the name of the directory that holds its output.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct OrderId {
    /// The incident that the order serves.
    pub incident: IncidentId,
    /// The remedy that it runs.
    pub remedy: RemedyName,
    /// Which run of this remedy in this incident, counted from 1.
    pub attempt: u32,
    /// Whether it runs the remedy or takes that run back.
    pub part: Part,
}

impl OrderId {
    /// Names the order that takes this one back.
    #[must_use]
    pub fn undo(&self) -> Self {
        Self { part: Part::Undo, ..self.clone() }
    }

    /// Names what is run, in the middle of a sentence: `remedy restart`, `the undo of restart`.
    pub fn title(&self) -> String {
        title(&self.remedy, self.part)
    }
}

/// Names a part of a remedy in the middle of a sentence.
pub fn title(remedy: &RemedyName, part: Part) -> String {
    match part {
        Part::Heal => format!("remedy {remedy}"),
        Part::Undo => format!("the undo of {remedy}"),
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let undo = match self.part {
            Part::Heal => "",
            Part::Undo => Part::UNDO,
        };
        write!(f, "{}.{}.{}{undo}", self.incident, self.remedy, self.attempt)
    }
}

impl From<OrderId> for String {
    fn from(id: OrderId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for OrderId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let (run, part) = match text.strip_suffix(Part::UNDO) {
            Some(run) => (run, Part::Undo),
            None => (text.as_str(), Part::Heal),
        };
        let parts = run.split_once('.').and_then(|(incident, rest)| {
            let (remedy, attempt) = rest.rsplit_once('.')?;
            Some((incident.parse().ok()?, remedy, attempt.parse().ok()?))
        });
        let (incident, remedy, attempt) =
            parts.ok_or_else(|| format!("expected incident.remedy.attempt, found {text:?}"))?;
        let incident = IncidentId(incident);
        Ok(Self { incident, remedy: RemedyName::new(remedy), attempt, part })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_order_id_reads_back_as_it_prints(
            incident in any::<u64>(),
            remedy in "[a-zA-Z0-9_.-]{1,12}",
            attempt in any::<u32>(),
            undone in any::<bool>(),
        ) {
            let part = if undone { Part::Undo } else { Part::Heal };
            let remedy = RemedyName::new(remedy);
            let id = OrderId { incident: IncidentId(incident), remedy, attempt, part };
            prop_assert_eq!(OrderId::try_from(id.to_string()), Ok(id));
        }
    }

    #[test]
    fn an_order_id_reads_back_whatever_its_remedy_is_called() {
        for remedy in ["restart", "restart.v2", "restart.1", "undo", "restart.1.undo"] {
            let remedy = RemedyName::new(remedy);
            let id = OrderId { incident: IncidentId(17), remedy, attempt: 3, part: Part::Heal };
            assert_ne!(id.to_string(), id.undo().to_string());
            for id in [id.undo(), id] {
                assert_eq!(OrderId::try_from(id.to_string()), Ok(id));
            }
        }
        for wrong in ["17.restart", "17.restart.undo", "17.undo", ".undo"] {
            assert!(OrderId::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
