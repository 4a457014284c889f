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
use crate::owner::Seen;
use crate::plan::{self, Step};
use crate::policy::{Book, Lacks, Picked, Policy, Remedy};
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
    let view = View { state, book, now };
    let policies = book.taking(alert.0).into_iter().take(limits::ACCOUNTS);
    policies.map(|policy| of(view, policy, alert, &presences(policy))).collect()
}

fn of(
    view: View<'_>,
    policy: &Policy,
    alert: (&LabelSet, &LabelSet),
    presences: &Presences,
) -> Account {
    // What is known of an alert that fires is known of it here, too.
    let known = view.state.fires_as(alert.0).map_or(&[][..], |episode| &episode.owners);
    let nothing = Contents::Nothing;
    let (target, picked) = match policy.picks(alert.0, alert.1, known) {
        Picked::Target(target) => (target, Ok(())),
        Picked::Part { target, lacks: Lacks::Labels(_) } => {
            (target, Err(nothing("the alert lacks a label of the target".into())))
        }
        Picked::Part { target, lacks: Lacks::Owner(why) } => (target, Err(nothing(why))),
        Picked::Asks(of) => {
            let why = format!("its target is known when it fires and this is asked: {of}");
            (policy.target.present(alert.0), Err(nothing(why)))
        }
    };
    let labels = match policy.sees(alert.0, alert.1, known) {
        Seen::Labels(labels) => labels,
        Seen::Asks(_) | Seen::Unowned { .. } => alert.0.clone(),
    };
    let subject = (policy.name.clone(), target);
    let contents = match (picked, policy.remedies.first()) {
        (Err(nothing), _) => nothing,
        (Ok(()), None) => nothing("the policy has no remedy".into()),
        (Ok(()), Some(first)) => {
            contents(view, (policy, first), &subject, (&labels, alert.1), presences)
        }
    };
    let incident = view.state.incident_of(&subject).map(told);
    Account { policy: policy.name.clone(), incident, contents }
}

/// What the guards say of the deed that would be next: of the incident that is open, or of the one that
/// would open.
fn contents(
    view: View<'_>,
    (policy, remedy): (&Policy, &Remedy),
    subject: &Subject,
    alert: (&LabelSet, &LabelSet),
    presences: &Presences,
) -> Contents {
    let (state, now) = (view.state, view.now);
    let open = state.incident_of(subject).filter(|incident| !incident.is_closed());
    let prospect = observe::prospect(state, policy, subject, now);
    let incident = open.map_or_else(|| state.next_incident(), |open| open.id);
    let values = values(incident, policy, remedy, alert);
    let locks = match plan::locks(policy, &subject.1, &values) {
        Ok(locks) => locks,
        Err(error) => return Contents::Nothing(format!("its locks cannot be told: {error}")),
    };
    let ladder = open.map_or(&prospect.ladder, |open| &open.ladder);
    let next = match open {
        Some(open) => pursue::next_step(policy, open),
        None => plan::next(policy, ladder),
    };
    let deed = Deed {
        incident,
        policy,
        remedy,
        action: None,
        target: &subject.1,
        ladder,
        continues: open.is_some_and(|open| open.order.is_some()),
        returned: open.is_some_and(Incident::is_returned),
        unheld: open.map_or(prospect.unheld, |open| open.unheld),
        locks: &locks,
        consent: Consent::NotNeeded,
        behind: None,
        firing: Vec::new(),
        watchdog: pursue::watchdog(view, policy, presences),
        now,
        wall: view.wall(),
    };
    let bench = Bench { ledgers: state.ledgers(), book: view.book };
    let remedies = policy.remedies.iter().take(limits::TOLD_CANDIDATES);
    Contents::Ledgers {
        next: match next {
            Step::Try(remedy) => Some(remedy.name.clone()),
            Step::Exhausted | Step::Gone(_) => None,
        },
        counts: Box::new(account::counts(&deed, bench)),
        opinions: account::opinions(&deed, bench),
        remedies: remedies
            .map(|remedy| account::of_remedy(&Deed { remedy, ..deed.clone() }, bench))
            .collect(),
    }
}

fn told(incident: &Incident) -> InShort {
    InShort {
        id: IncidentNumber(incident.id),
        state: incident.stage.as_str().to_owned(),
        opened_at: incident.opened_at,
    }
}

fn values(
    incident: IncidentId,
    policy: &Policy,
    remedy: &Remedy,
    (labels, annotations): (&LabelSet, &LabelSet),
) -> Values {
    Values {
        labels: labels.clone(),
        annotations: annotations.clone(),
        incident: incident.0,
        policy: policy.name.to_string(),
        remedy: remedy.name.to_string(),
        attempt: 1,
        key: String::new(),
    }
}
