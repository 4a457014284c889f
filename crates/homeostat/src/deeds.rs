//! What is asked about what people did, and what is answered.
//!
//! The journal answers, and `web` asks; neither knows the other.

use homeostat_core::fact::Fact;
use homeostat_core::label::LabelSet;
use homeostat_core::name::{IncidentId, PolicyName};
use homeostat_core::time::Timestamp;

/// Which deeds to list. Whatever is said must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Search {
    /// By this identity.
    pub who: Option<String>,
    /// Of this kind: one of [`homeostat_core::deed::ALL`].
    pub what: Option<String>,
    /// On this incident.
    pub incident: Option<IncidentId>,
    /// On an incident under this policy.
    pub policy: Option<String>,
    /// On an incident whose target has all of these labels.
    pub target: Vec<(String, String)>,
    /// Done then or later.
    pub since: Option<Timestamp>,
    /// Done before then.
    pub until: Option<Timestamp>,
    /// At most so many, at least one.
    pub limit: usize,
    /// Before the deed of this number.
    pub before: Option<i64>,
}

/// Some deeds, the last one first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Deeds {
    /// Each as it is written down.
    pub deeds: Vec<Done>,
    /// From where the next page goes on ([`Search::before`]), where there may be one.
    pub next: Option<i64>,
}

/// One deed.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// Its number in the journal.
    pub number: i64,
    /// The fact that tells of it.
    pub fact: Fact,
    /// The policy and the target of its incident, where it is about one.
    pub subject: Option<(PolicyName, LabelSet)>,
}
