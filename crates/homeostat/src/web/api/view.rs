//! An incident as the API shows it. The command line reads the same types back.

use homeostat_core::approval::{Digest, Vote};
use homeostat_core::collect::Found;
use homeostat_core::evidence::Grade;
use homeostat_core::incident::End;
use homeostat_core::label::LabelSet;
use homeostat_core::owner::Owner;
use homeostat_core::time::Timestamp;
use homeostat_core::why::Answer;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A page of incidents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct IncidentList<I = IncidentView> {
    /// Newest first.
    pub incidents: Vec<I>,
    /// What to give as `cursor` for the next page.
    pub next_cursor: Option<String>,
}

/// One incident with all that happened to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct IncidentView {
    /// Its number.
    pub id: String,
    /// The policy that took it.
    pub policy: String,
    /// Whose policy that is, by the configuration in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// What is to be healed.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub target: LabelSet,
    /// Where it stands.
    pub state: StateView,
    /// How it ended, once closed.
    #[schema(value_type = Option<String>)]
    pub outcome: Option<End>,
    /// Why it ended so; while it is open, what it waits for.
    pub reason: String,
    /// As of when: what is waited for was judged then.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub reason_at: Option<Timestamp>,
    /// How well the healing is known.
    #[schema(value_type = Option<String>)]
    pub grade: Option<Grade>,
    /// The remedy that healed.
    pub remedy: Option<String>,
    /// Whether the alert resolved while the action still ran.
    pub resolved_during_action: bool,
    /// Why each guard holds what is next, where guards hold it now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Ruling>,
    /// When they judge it again, where time alone can let it go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub holds_until: Option<Timestamp>,
    /// When something follows at the latest, whatever it waits for: a further judgement, a further run,
    /// the end of a question, the end of a proof.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_at: Option<Timestamp>,
    /// What waits for a person's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalView>,
    /// Of which incident it is a relapse.
    pub relapse_of: Option<String>,
    /// When it opened.
    #[schema(value_type = String, format = DateTime)]
    pub opened_at: Timestamp,
    /// When it closed.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub closed_at: Option<Timestamp>,
    /// Its alerts, in the order in which they came. Of very many, the first and the last.
    pub alerts: Vec<AlertView>,
    /// How many there are in all, each time counted that one fired.
    #[serde(default)]
    pub alerts_total: u64,
    /// Runs of remedies, in order.
    pub orders: Vec<OrderView>,
    /// What it looked like before the first act and after the last; left out of a list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub collected: Vec<CollectedView>,
    /// What happened, in order, for a person; left out of a list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timeline: Vec<Entry>,
}

/// What a person is asked to approve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ApprovalView {
    /// The order's id: one run of one remedy.
    pub order: String,
    /// The remedy.
    pub remedy: String,
    /// What would be done, with every placeholder filled in.
    pub action: String,
    /// Tells this deed from any other; show it with the approval, to approve nothing else.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// When the question is void.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// Who may answer, of those who may approve; all of them where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Vec<String>>,
    /// How many different people must agree.
    #[serde(default = "one")]
    pub count: u32,
    /// Who has agreed so far.
    #[serde(default)]
    pub votes: Vec<VoteView>,
}

fn one() -> u32 {
    1
}

/// That a person agrees.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VoteView {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

impl VoteView {
    /// Shows a vote.
    pub(super) fn of(vote: &Vote) -> Self {
        let Vote { by, reason, at, .. } = vote;
        Self { by: by.person().to_owned(), reason: reason.clone(), at: *at }
    }
}

impl IncidentView {
    /// How its alerts stand, taken together: one that fires outweighs one that lapsed, and that one those
    /// that resolved.
    pub(crate) fn alert_status(&self) -> Option<AlertStatus> {
        let order = [AlertStatus::Firing, AlertStatus::Lapsed, AlertStatus::Resolved];
        order.into_iter().find(|status| self.alerts.iter().any(|alert| alert.status == *status))
    }

    /// Tells whether the last run took another one back.
    pub(super) fn is_undoing(&self) -> bool {
        self.orders.last().is_some_and(|order| order.undo)
    }
}

/// Where an incident stands.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum StateView {
    /// For something; the reason says for what.
    Waiting,
    /// A person is asked first.
    AwaitingApproval,
    /// A remedy runs.
    Acting,
    /// A remedy ran, and its healing is being proven.
    Verifying,
    /// It is over.
    Closed,
}

impl StateView {
    /// All states, in the order in which an incident passes them.
    pub const ALL: [Self; 5] =
        [Self::Waiting, Self::AwaitingApproval, Self::Acting, Self::Verifying, Self::Closed];

    /// Returns the state's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::AwaitingApproval => "awaiting_approval",
            Self::Acting => "acting",
            Self::Verifying => "verifying",
            Self::Closed => "closed",
        }
    }
}

/// One alert of an incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AlertView {
    /// As its source computed it, sixteen hexadecimal digits.
    pub fingerprint: String,
    /// Who sent it.
    pub source: String,
    /// Its labels.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub labels: LabelSet,
    /// Whose it is what it is about, where a policy asked that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<OwnerView>,
    /// Its annotations, as first seen.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub annotations: LabelSet,
    /// How it stands.
    pub status: AlertStatus,
    /// When its source says that it began.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub starts_at: Option<Timestamp>,
    /// When we heard that it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// The expression's page at its source, as sent: a link only if it is http or https.
    pub generator_url: String,
    /// The page of the Alertmanager that sent it, as sent; empty where another sent it.
    #[serde(default)]
    pub external_url: String,
}

/// Whoever sees to it that there is what an alert is about: its labels `owner_kind`, `owner_name` and
/// `owner_uid` for target, locks and templates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OwnerView {
    /// What it is, as `Deployment`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Which one of that name.
    pub uid: String,
}

impl OwnerView {
    /// Shows an owner.
    pub(super) fn of(owner: &Owner) -> Self {
        let Owner { kind, name, uid } = owner;
        Self { kind: kind.to_string(), name: name.to_string(), uid: uid.to_string() }
    }
}

/// How an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertStatus {
    /// It fires, as far as we were told.
    Firing,
    /// Its source said that it resolved.
    Resolved,
    /// Its source stopped mentioning it.
    Lapsed,
}

impl AlertStatus {
    /// Returns the status' name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
            Self::Lapsed => "lapsed",
        }
    }
}

/// One run of a remedy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OrderView {
    /// `incident.remedy.attempt`; the name of the directory that holds its output begins with it.
    pub id: String,
    /// The remedy.
    pub remedy: String,
    /// Which run of this remedy, counted from 1.
    pub attempt: u32,
    /// Whether it takes that run back instead.
    #[serde(default)]
    pub undo: bool,
    /// Whether it runs.
    pub state: OrderState,
    /// What is done, with every placeholder filled in.
    pub action: String,
    /// When it was decided.
    #[schema(value_type = String, format = DateTime)]
    pub issued_at: Timestamp,
    /// When it started, where it did and that is known.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    /// When it was over.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// Its exit code, where it had one.
    pub exit_code: Option<i32>,
    /// The signal that ended it, where one did.
    pub signal: Option<i32>,
    /// The status with which a web service answered, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// What became of it, in one word: `succeeded`, `failed`, `signalled`, `timed_out`,
    /// `cancelled`, `not_started`, `refused` or `unknown`.
    pub result: Option<String>,
    /// What became of it, for a person.
    pub outcome: Option<String>,
    /// What people had approved ahead, where that let it start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing_approval: Option<StandingUseView>,
    /// The last part of its output, while it runs that of this moment; left out of a list.
    #[serde(default)]
    pub output: String,
}

/// What collectors found at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CollectedView {
    /// The order that they go with.
    pub order: String,
    /// `before` its act, or `after` its incident closed.
    pub moment: String,
    /// When all of it was there.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What each found.
    pub found: Vec<LookView>,
}

/// What one collector found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LookView {
    /// Its name.
    pub name: String,
    /// At what it looked.
    pub at: String,
    /// The end of what was to be seen, without what is known to be a secret.
    pub text: String,
    /// Whether there was more.
    pub cut: bool,
    /// Why it is not all, or nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

impl LookView {
    /// Shows what a look found.
    pub(super) fn of(found: Found) -> Self {
        let Found { name, at, text, cut, trouble } = found;
        Self { name: name.to_string(), at, text, cut, trouble }
    }
}

/// That a run started because people had approved it ahead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StandingUseView {
    /// The number of the standing approval.
    pub id: String,
    /// Who stood for it.
    pub by: Vec<String>,
    /// How many runs were left then.
    pub left: u32,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
}

/// Whether an order runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// It runs.
    Running,
    /// It did not start before a restart, and waits to be permitted anew.
    Waiting,
    /// It is over.
    Ended,
}

impl OrderState {
    /// Returns the state's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Ended => "ended",
        }
    }
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Entry {
    /// When; of equal ones in a row, the first.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The fact's name.
    pub kind: String,
    /// What happened, in sentences.
    pub text: String,
    /// How often in a row it happened, where more than once.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub count: u32,
    /// When it happened last, where more than once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_at: Option<Timestamp>,
    /// Until when, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
    /// The remedy it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// The order it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    /// Why each guard held.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Ruling>,
    /// Why each guard let the order pass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<Ruling>,
    /// Why the choice was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<WhyView>,
}

/// Why a choice was made: what there was to choose from, what each guard said, what was known.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WhyView {
    /// The ladder as it stood, from the first rung to the last.
    #[serde(default)]
    pub candidates: Vec<CandidateView>,
    /// What each guard said that was asked: those that hold first.
    #[serde(default)]
    pub guards: Vec<VerdictView>,
    /// What was asked, what was answered, and how old that was when it was decided upon.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    pub evidence: Vec<Answer>,
    /// How many further answers there were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more_evidence: Option<usize>,
}

/// A remedy that could be chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CandidateView {
    /// Its name.
    pub remedy: String,
    /// `chosen`, `tried`, `shadowed`, `relapsed`, `passed_over` or `ahead`.
    pub rank: String,
    /// The same, for a person.
    pub text: String,
}

impl CandidateView {
    /// Tells whether it was neither chosen nor left for later.
    pub(crate) fn came_before(&self) -> bool {
        !matches!(self.rank.as_str(), "chosen" | "ahead")
    }
}

/// What one guard said, and whether it let it pass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VerdictView {
    /// The guard.
    pub guard: String,
    /// Whether it let it pass.
    pub verdict: Verdict,
    /// Its reason.
    pub reason: String,
}

/// Whether a guard let something pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It did.
    Clear,
    /// Not now.
    Hold,
}

impl Verdict {
    /// Returns the verdict's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::Hold => "hold",
        }
    }
}

/// What one guard said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Ruling {
    /// The guard.
    pub guard: String,
    /// Its reason.
    pub reason: String,
}

fn once() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_once(count: &u32) -> bool {
    *count == 1
}
