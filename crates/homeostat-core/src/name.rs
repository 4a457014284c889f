//! Identifiers: the names that people give and the numbers that the engine gives.
//!
//! Every identifier is a type of its own, so that a policy's name never stands where a
//! remedy's is meant. Checking what people wrote is the configuration's duty, not this room's.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the name as it is written.
            pub fn new(name: impl Into<Arc<str>>) -> Self {
                Self(name.into())
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
    /// Names a remedy; unique in its policy.
    RemedyName
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

impl SourceName {
    /// Names the source of alerts that arrive through the alerts API.
    pub const API: &'static str = "api";
}

/// Identifies one run of one remedy: the same deed has the same id after a crash.
///
/// Written as `incident.remedy.attempt`, for example `17.restart.1`; this is also the name of the
/// directory that holds its output.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct OrderId {
    /// The incident that the order serves.
    pub incident: IncidentId,
    /// The remedy that it runs.
    pub remedy: RemedyName,
    /// Which run of this remedy in this incident, counted from 1.
    pub attempt: u32,
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.incident, self.remedy, self.attempt)
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
        let parts = text.split_once('.').and_then(|(incident, rest)| {
            let (remedy, attempt) = rest.rsplit_once('.')?;
            Some((incident.parse().ok()?, remedy, attempt.parse().ok()?))
        });
        let (incident, remedy, attempt) =
            parts.ok_or_else(|| format!("expected incident.remedy.attempt, found {text:?}"))?;
        Ok(Self { incident: IncidentId(incident), remedy: RemedyName::new(remedy), attempt })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_id_reads_back_even_when_the_remedy_has_dots() {
        let id =
            OrderId { incident: IncidentId(17), remedy: RemedyName::new("restart.v2"), attempt: 3 };
        assert_eq!(OrderId::try_from(id.to_string()), Ok(id));
        assert!(OrderId::try_from("17.restart".to_owned()).is_err());
    }
}
