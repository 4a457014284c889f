//! What the guards have counted for an alert, for a person who asks. Nothing is decided by it.
//!
//! The deed that is judged is the one that would be next: of the incident that is open for the
//! alert's target, or of the one that the alert would open.

use serde::{Deserialize, Serialize};

use super::view::{Presences, View};
use super::{observe, pursue};
use crate::alert::Presence;
use crate::approval::Consent;
use crate::guard::account::{self, Counts, IncidentNumber, Opinion, RemedyAccount};
use crate::guard::{Bench, Deed};
use crate::incident::Incident;
use crate::label::LabelSet;
use crate::ledger::Subject;
use crate::limits;
use crate::name::{EpisodeId, IncidentId, PolicyName, RemedyName};
use crate::plan::{self, Ladder, LockKey, Step};
use crate::policy::{Book, Policy, Remedy, Target};
use crate::state::State;
use crate::template::Values;
use crate::time::Timestamp;

/// What the guards have counted for an alert under one policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// The policy.
    pub policy: PolicyName,
    /// The incident that is open or latched for the alert's target; `None` where there is none.
    pub incident: Option<InShort>,
    /// What is in it.
    #[serde(flatten)]
    pub contents: Contents,
}

/// An incident, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InShort {
    /// Its number.
    pub id: IncidentNumber,
    /// Its state, as in the API. Where it is `closed`, nothing new starts before its alerts have
    /// ended.
    pub state: String,
    /// When it opened.
    pub opened_at: Timestamp,
}

/// What the guards say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contents {
    /// No guard is asked, because nothing would be done.
    Nothing(String),
    /// This.
    Ledgers {
        /// The remedy that is next; `None` where none is left.
        next: Option<RemedyName>,
        /// What is counted for the policy and the target.
        counts: Box<Counts>,
        /// What the guards say that look at these.
        opinions: Vec<Opinion>,
        /// What is counted for each remedy, in the ladder's order.
        remedies: Vec<RemedyAccount>,
    },
}

/// Tells what the guards have counted for an alert with these labels and annotations, for the first
/// [`limits::ACCOUNTS`] policies that take it.
///
/// `presences` says when the watchdog of a policy was last mentioned.
pub fn account(
    state: &State,
    book: &Book,
    alert: (&LabelSet, &LabelSet),
    presences: impl Fn(&Policy) -> Vec<(EpisodeId, Presence)>,
    now: Timestamp,
) -> Vec<Account> {
    let taking = book.taking(alert.0);
    let policies = taking.into_iter().take(limits::ACCOUNTS);
    policies.map(|policy| of(state, book, policy, alert, &presences(policy), now)).collect()
}

fn of(
    state: &State,
    book: &Book,
    policy: &Policy,
    (labels, annotations): (&LabelSet, &LabelSet),
    presences: &Presences,
    now: Timestamp,
) -> Account {
    let picked = policy.target.pick(labels);
    let target = picked.clone().unwrap_or_else(|_| policy.target.present(labels));
    let subject = (policy.name.clone(), target);
    let known = state.incident_of(&subject);
    let start = Start::of(state, policy, &subject, now);
    let contents = match (picked, policy.remedies.first()) {
        (Err(_), _) => Contents::Nothing("the alert lacks a label of the target".into()),
        (Ok(_), None) => Contents::Nothing("the policy has no remedy".into()),
        (Ok(_), Some(first)) => {
            let values = values(&start, policy, first, labels, annotations);
            match plan::locks(policy, &subject.1, &values) {
                Err(error) => Contents::Nothing(format!("its locks cannot be told: {error}")),
                Ok(locks) => {
                    let watchdog = pursue::watchdog(View { state, book, now }, policy, presences);
                    let bench = Bench { ledgers: state.ledgers(), book };
                    let wall = state.clock().wall(now);
                    let deed = deed(&start, policy, first, &subject.1, &locks, now, wall);
                    judge(&start, &Deed { watchdog, ..deed }, bench)
                }
            }
        }
    };
    Account { policy: policy.name.clone(), incident: known.map(told), contents }
}

fn told(incident: &Incident) -> InShort {
    InShort {
        id: IncidentNumber(incident.id),
        state: incident.stage.as_str().to_owned(),
        opened_at: incident.opened_at,
    }
}

/// Where the incident stands whose next order is judged.
struct Start {
    incident: IncidentId,
    ladder: Ladder,
    next: Option<RemedyName>,
    continues: bool,
    returned: bool,
    unheld: u32,
}

impl Start {
    fn of(state: &State, policy: &Policy, subject: &Subject, now: Timestamp) -> Self {
        let name = |step: Step<'_>| match step {
            Step::Try(remedy) => Some(remedy.name.clone()),
            Step::Exhausted | Step::Gone(_) => None,
        };
        match state.incident_of(subject) {
            Some(open) if !open.is_closed() => Self {
                incident: open.id,
                next: name(pursue::next_step(policy, open)),
                ladder: open.ladder.clone(),
                continues: open.order.is_some(),
                returned: open.is_returned(),
                unheld: open.unheld,
            },
            Some(_) | None => {
                let prospect = observe::prospect(state, policy, subject, now);
                Self {
                    incident: state.next_incident(),
                    next: name(plan::next(policy, &prospect.ladder)),
                    ladder: prospect.ladder,
                    continues: false,
                    returned: false,
                    unheld: prospect.unheld,
                }
            }
        }
    }
}

fn deed<'a>(
    start: &'a Start,
    policy: &'a Policy,
    remedy: &'a Remedy,
    target: &'a Target,
    locks: &'a [LockKey],
    now: Timestamp,
    wall: Timestamp,
) -> Deed<'a> {
    Deed {
        incident: start.incident,
        policy,
        remedy,
        target,
        ladder: &start.ladder,
        continues: start.continues,
        returned: start.returned,
        unheld: start.unheld,
        locks,
        consent: Consent::NotNeeded,
        behind: None,
        firing: Vec::new(),
        watchdog: None,
        now,
        wall,
    }
}

fn judge(start: &Start, deed: &Deed<'_>, bench: Bench<'_>) -> Contents {
    let remedies = deed.policy.remedies.iter().take(limits::TOLD_CANDIDATES);
    Contents::Ledgers {
        next: start.next.clone(),
        counts: Box::new(account::counts(deed, bench)),
        opinions: account::opinions(deed, bench),
        remedies: remedies
            .map(|remedy| account::of_remedy(&Deed { remedy, ..deed.clone() }, bench))
            .collect(),
    }
}

fn values(
    start: &Start,
    policy: &Policy,
    remedy: &Remedy,
    labels: &LabelSet,
    annotations: &LabelSet,
) -> Values {
    Values {
        labels: labels.clone(),
        annotations: annotations.clone(),
        incident: start.incident.0,
        policy: policy.name.to_string(),
        remedy: remedy.name.to_string(),
        attempt: 1,
        key: String::new(),
    }
}
