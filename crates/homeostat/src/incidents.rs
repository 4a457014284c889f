//! What is asked about incidents, and what is answered.
//!
//! The journal answers, and `web` asks; neither knows the other.

use homeostat_core::fact::Fact;
use homeostat_core::label::LabelSet;
use homeostat_core::name::{IncidentId, PolicyName};
use homeostat_core::time::{Span, Timestamp};

/// Which incidents to list. Whatever is said must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// In one of these states: `waiting`, `awaiting_approval`, `acting`, `verifying`, `closed`; in any
    /// where none is named.
    pub states: Vec<String>,
    /// Closed with one of these outcomes; with any, or still open, where none is named.
    pub outcomes: Vec<String>,
    /// Under one of these policies; `None`: under any.
    pub named: Option<Vec<String>>,
    /// Under a policy of one of these names, in which `*` stands for any letters; `None`: of any.
    pub policies: Option<Vec<String>>,
    /// With all of these target labels.
    pub target: Vec<(String, String)>,
    /// With this text in the policy's name, in the target or in the name of an alert, whatever the case
    /// of its letters; or of this number.
    pub text: Option<String>,
    /// Opened then or later.
    pub since: Option<Timestamp>,
    /// Opened before then.
    pub until: Option<Timestamp>,
    /// At most so many, at least one.
    pub limit: usize,
    /// Older than this one.
    pub before: Option<IncidentId>,
}

/// What there is to read of an incident.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Story {
    /// The facts of the incident and those of its episodes, in the order in which they happened.
    pub facts: Vec<Fact>,
    /// Episodes whose facts are left out, because there are too many.
    pub left_out: u64,
}

/// Some incidents, newest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// Each with its story.
    pub incidents: Vec<(IncidentId, Story)>,
    /// From where the next page goes on ([`Filter::before`]), where there is one.
    pub next: Option<IncidentId>,
}

/// An incident that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Under which policy.
    pub policy: PolicyName,
    /// What is to be healed.
    pub target: LabelSet,
    /// Its state, as in [`Filter::states`].
    pub state: String,
}

/// Alerts of one incident that are told: with the first one the last of them. A person reads a few, and an
/// incident may have tens of thousands.
pub const ALERTS: usize = 128;

/// All incidents that are open, as of one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AllOpen {
    /// The number of the last fact then.
    pub last: i64,
    /// All that are open, newest first.
    pub open: Vec<IncidentId>,
    /// The stories of the newest ones.
    pub stories: Vec<(IncidentId, Story)>,
}

/// A fact, and whose story it is part of.
#[derive(Debug, Clone, PartialEq)]
pub struct Numbered {
    /// Its number: later facts have larger ones.
    pub number: i64,
    /// What happened.
    pub fact: Fact,
    /// The incidents that it is about, or whose alert it is about.
    pub of: Vec<IncidentId>,
    /// Of an alert that becomes part of an incident by it: what was known of the alert before.
    pub before: Vec<Fact>,
}

/// How long something took, about: steps of a tenth, so that a median is known to a twentieth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Step(pub u16);

/// By how much each step is longer than the one before.
const FACTOR: f64 = 1.1;

impl Step {
    /// The step of a time. What took less than a second is the first one.
    pub fn of(took: Span) -> Self {
        let seconds = took.as_secs_f64().max(1.0);
        // Below 2^16 for any time that there is: 1.1^500 seconds are more.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is small")]
        let step = (seconds.ln() / FACTOR.ln()) as u16;
        Self(step)
    }

    /// A time in the middle of the step, in seconds.
    pub fn seconds(self) -> f64 {
        FACTOR.powf(f64::from(self.0) + 0.5)
    }
}

/// Incidents of one policy that closed on one day with one outcome, after about the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closings {
    /// The day, in UTC, counted from 1970-01-01.
    pub day: i64,
    /// Their policy.
    pub policy: PolicyName,
    /// How they closed.
    pub outcome: String,
    /// How long after they opened, of those that were healed.
    pub step: Step,
    /// How many.
    pub incidents: u64,
    /// How many of them were healed without that anybody was told or asked.
    pub alone: u64,
}
