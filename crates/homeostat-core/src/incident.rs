//! Alerts that are one trouble on one target, and how far its healing got.
//!
//! ```text
//!             ┌───────────── waiting ─────────────┐
//!  opened ──> │ settling ─> ready ─> asking       │ ──> acting ──> verifying ──> closed
//!             │              ▲ └──> held          │        │           │
//!             │              └──── backing off    │ <──────┴───────────┘ retry, next remedy
//!             └───────────────────────────────────┘
//!                 │ all guards agree       ▲ approved
//!                 └─> awaiting approval ───┘──> closed: rejected, or nobody answered in time
//! ```
//!
//! An order that made something else worse ends the ladder: at most its undo is pursued, by the same
//! stages, and then a person has it.
//!
//! Closing latches: nothing new starts for this policy and target until all of the incident's
//! alerts have ended.

mod rare;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::approval::{Approved, Asked};
use crate::clock::Jump;
use crate::evidence::Grade;
use crate::healing::{Healing, Look, Verification};
use crate::hold::{Gate, Guard, Hold, Telling};
use crate::ledger::Subject;
use crate::limits;
use crate::name::{EpisodeId, IncidentId, OrderId, Part, PolicyName, RemedyName};
use crate::order::Order;
use crate::plan::{Ladder, LockKey};
use crate::policy::Target;
use crate::shadow::Shadow;
use crate::text::Text;
use crate::time::{Span, Timestamp};

pub use rare::Rare;

/// How an incident ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// A remedy healed it, to the grade that was required.
    Healed,
    /// It recovered by itself before any order started.
    Recovered,
    /// Homeostat stopped and handed over; the reason says why.
    Escalated,
    /// What would have been done is recorded, and nothing was done.
    Shadowed,
    /// A person did not let the remedy start.
    Rejected,
    /// It lost its object: the alert lapsed, the policy was removed, or an operator stopped it.
    Cancelled,
}

impl End {
    /// Returns the outcome's name, as in the API and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healed => "healed",
            Self::Recovered => "recovered",
            Self::Escalated => "escalated",
            Self::Shadowed => "shadowed",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why an incident ended that was not healed, in one word: what follows is decided by it, and never by
/// what people read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// All of its alerts ended before any remedy ran.
    EndedUntouched,
    /// All of its alerts had ended before the remedy ran.
    EndedBeforeAct,
    /// Its alerts were lost sight of, and nothing had been done.
    Lapsed,
    /// Its policy was removed.
    PolicyRemoved,
    /// An operator cancelled it.
    Cancelled,
    /// A person did not let the remedy start.
    Rejected,
    /// What would have been done is recorded.
    Recorded,
    /// No remedy is left.
    Exhausted,
    /// Whether it was healed is not known.
    Unproven,
    /// Its source says that it resolved, and whoever saw it fire says that it still does.
    Contradicted,
    /// A remedy made something else worse.
    Worse,
    /// A remedy cannot be run for this alert, or refused.
    Refused,
    /// A guard stopped it for good.
    Stopped,
    /// The alert has no target.
    NoTarget,
    /// Nobody approved in time, or no guard let what was approved pass.
    Unapproved,
    /// The rung on which it stood is gone from its policy.
    RemedyGone,
}

impl Cause {
    /// Returns how an incident has ended that closed for this.
    pub fn end(self) -> End {
        match self {
            Self::EndedUntouched | Self::EndedBeforeAct => End::Recovered,
            Self::Lapsed | Self::PolicyRemoved | Self::Cancelled => End::Cancelled,
            Self::Rejected => End::Rejected,
            Self::Recorded => End::Shadowed,
            Self::Exhausted
            | Self::Unproven
            | Self::Contradicted
            | Self::Worse
            | Self::Refused
            | Self::Stopped
            | Self::NoTarget
            | Self::Unapproved
            | Self::RemedyGone => End::Escalated,
        }
    }

    /// Reads what an earlier version wrote, which told why for people only.
    fn of_old(outcome: End, reason: &str) -> Option<Self> {
        Some(match outcome {
            End::Healed => return None,
            End::Recovered => Self::EndedUntouched,
            End::Escalated => Self::Exhausted,
            End::Shadowed => Self::Recorded,
            End::Rejected => Self::Rejected,
            End::Cancelled if reason == "policy removed" => Self::PolicyRemoved,
            End::Cancelled if reason.starts_with("lapsed") => Self::Lapsed,
            End::Cancelled => Self::Cancelled,
        })
    }
}

/// How and why an incident ended. Only [`Closing::healed`] makes one that says *healed*, and it takes a
/// [`Healing`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    /// How.
    pub outcome: End,
    /// Why it was not healed, where the version that wrote it told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cause: Option<Cause>,
    /// Why, for a person. Of incidents that close at once, many close for the same reason.
    pub reason: Text,
    /// The remedy that healed.
    pub remedy: Option<RemedyName>,
    /// How well the healing is known.
    pub grade: Option<Grade>,
    /// Until when rules may go on firing about what is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remembered_until: Option<Timestamp>,
    /// Whether the alert resolved while the action still ran.
    pub resolved_during_action: bool,
}

impl Closing {
    /// Makes the end of what was healed, by this remedy.
    pub fn healed(healing: &Healing, remedy: RemedyName, reason: Text, resolved: bool) -> Self {
        Self {
            outcome: End::Healed,
            cause: None,
            reason,
            remedy: Some(remedy),
            grade: Some(healing.grade()),
            remembered_until: healing.remembered_until(),
            resolved_during_action: resolved,
        }
    }

    /// Makes the end of what was not healed.
    pub fn unhealed(cause: Cause, reason: Text) -> Self {
        Self {
            outcome: cause.end(),
            cause: Some(cause),
            reason,
            remedy: None,
            grade: None,
            remembered_until: None,
            resolved_during_action: false,
        }
    }

    /// Returns why it was not healed; `None` where it was.
    pub fn cause(&self) -> Option<Cause> {
        self.cause.or_else(|| Cause::of_old(self.outcome, &self.reason))
    }

    /// Tells whether it closed only because its policy was removed: whoever puts the policy back
    /// wants what still fires to be healed.
    pub(crate) fn is_for_want_of_policy(&self) -> bool {
        self.cause() == Some(Cause::PolicyRemoved)
    }
}

/// What is still to be found out of a closed incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Aftermath {
    /// What.
    pub matter: Loose,
    /// When to look.
    pub look: Look,
}

/// What a closed incident has left open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loose {
    /// It was healed by the word of a query, and rules fired on about what was over: what fires on
    /// past their memory was not healed.
    Memory(Box<Verification>),
    /// What a remedy made worse still fires.
    Worse,
}

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
    /// An order runs.
    Acting,
    /// An action is over and its healing is being proven.
    Verifying(Box<Verification>),
    /// It is over.
    Closed {
        /// When.
        at: Timestamp,
        /// How and why.
        closing: Closing,
    },
}

impl Stage {
    /// Returns the state's name, as in the API and in metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Settling { .. }
            | Self::Ready
            | Self::Asking { .. }
            | Self::Held { .. }
            | Self::BackingOff { .. } => "waiting",
            Self::AwaitingApproval(_) => "awaiting_approval",
            Self::Acting => "acting",
            Self::Verifying(_) => "verifying",
            Self::Closed { .. } => "closed",
        }
    }
}

/// How an incident's alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It fires, as far as we were told.
    Firing,
    /// Its source said that it resolved.
    Resolved,
    /// Its source stopped mentioning it.
    Lapsed,
}

/// An alert of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    /// Its episode.
    pub episode: EpisodeId,
    /// How it stands.
    pub standing: Standing,
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

/// One trouble on one target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is true of any stage: none excludes another"
)]
pub struct Incident {
    /// Its number.
    pub id: IncidentId,
    /// Under which policy.
    pub policy: PolicyName,
    /// What is to be healed.
    pub target: Target,
    /// When it opened.
    pub opened_at: Timestamp,
    /// Of which incident it is a relapse.
    pub relapse_of: Option<IncidentId>,
    /// Healings in a row before this one that did not hold.
    pub unheld: u32,
    /// Its alerts' episodes, in the order in which they came.
    pub episodes: Box<[Attached]>,
    /// Where it stands.
    pub stage: Stage,
    /// How far up the ladder it got.
    pub ladder: Ladder,
    /// How often each remedy was run.
    pub runs: Rare<BTreeMap<RemedyName, u32>>,
    /// What it has locked.
    pub locks: Rare<BTreeSet<LockKey>>,
    /// The last order, without what its guards said: the journal has that.
    pub order: Option<Box<Order>>,
    /// When the last order was issued.
    pub ordered_at: Timestamp,
    /// How often the last order has said how far it is.
    pub progressed: u32,
    /// Whether the last order certainly did not start before a restart, and waits for its permit.
    pub returned: bool,
    /// Runs that certainly did not start, and were not permitted anew under the same id.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unstarted: u32,
    /// The remedy of the last run that is over and ran, or may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ran: Option<RemedyName>,
    /// What a person has approved and is not over yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<Box<Approved>>,
    /// Whether the last order was told to end before its time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub order_cancelled: bool,
    /// Who cancelled it and why, while an action still has to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled: Option<Text>,
    /// Whether an order made something else worse: no further remedy is tried then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worse: Option<Box<Worsened>>,
    /// What was tried and did not heal, in order, for a person.
    pub tried: Rare<Vec<String>>,
    /// Counts questions, so that an answer to an earlier one is told apart.
    pub step: u32,
    /// How often in a row the guards held.
    pub looks: u32,
    /// When a person is told, unless told before.
    pub tell_at: Option<Timestamp>,
    /// Whether it is open for so long that a person was told, and not for this incident alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub overdue: bool,
    /// Remedies that were recorded instead of run, and are not judged yet.
    #[serde(default, skip_serializing_if = "Rare::is_empty")]
    pub shadows: Rare<Vec<Shadow>>,
    /// When its first order was issued, of those that ran or may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acted_at: Option<Timestamp>,
    /// What is still to be found out though it is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aftermath: Option<Box<Aftermath>>,
    /// Whether a person was told that nothing is heard of its alerts any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unheard: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Incident {
    /// Gives up an order that certainly did not start: what comes next is another one.
    pub(crate) fn let_go(&mut self) {
        if std::mem::take(&mut self.returned) {
            self.unstarted += 1;
            self.ladder.orders = self.ladder.orders.saturating_sub(1);
        }
    }

    /// Lives through a jump of the wall clock. What it waits for keeps its remaining time, what
    /// witnesses said is void, and so is what a person has approved.
    ///
    /// When it opened and closed stays as it was: these are dates, and no time runs from them.
    pub(crate) fn live_through(&mut self, jump: &Jump) {
        let by = jump.followed();
        match &mut self.stage {
            Stage::Settling { until } | Stage::BackingOff { until } => *until = *until + by,
            stage @ Stage::Asking { .. } => *stage = Stage::Ready,
            Stage::Held { until, judged_at, .. } => {
                *until = until.map(|at| at + by);
                *judged_at = *judged_at + by;
            }
            Stage::Verifying(verification) => verification.live_through(jump),
            Stage::Ready | Stage::AwaitingApproval(_) | Stage::Acting | Stage::Closed { .. } => {}
        }
        self.approved = None;
        self.ordered_at = self.ordered_at + by;
        self.tell_at = self.tell_at.map(|at| at + by);
        if let Some(worse) = &mut self.worse {
            worse.since = worse.since + by;
        }
        if let Some(aftermath) = &mut self.aftermath {
            aftermath.look = match aftermath.look {
                Look::Due(at) => Look::Due(at + by),
                Look::Asked(_) => Look::Due(jump.to),
                Look::Nobody => Look::Nobody,
            };
            if let Loose::Memory(verification) = &mut aftermath.matter {
                verification.live_through(jump);
            }
        }
        self.shadows.change(|shadows| {
            for shadow in shadows {
                (shadow.since, shadow.until) = (shadow.since + by, shadow.until + by);
            }
        });
    }

    /// Returns what limits are counted for.
    pub fn subject(&self) -> Subject {
        (self.policy.clone(), self.target.clone())
    }

    /// Tells whether it is over.
    pub fn is_closed(&self) -> bool {
        matches!(self.stage, Stage::Closed { .. })
    }

    /// Tells whether an order of it runs, is being proven, or will be tried again.
    pub fn is_in_flight(&self) -> bool {
        matches!(self.stage, Stage::Acting | Stage::Verifying(_) | Stage::BackingOff { .. })
    }

    /// Tells whether all of its alerts have ended.
    pub fn all_ended(&self) -> bool {
        self.episodes.iter().all(|attached| attached.standing != Standing::Firing)
    }

    /// Tells whether one of its alerts was lost sight of.
    pub fn any_lapsed(&self) -> bool {
        self.episodes.iter().any(|attached| attached.standing == Standing::Lapsed)
    }

    /// Tells whether something that became worse is still looked after.
    pub fn watches_worse(&self) -> bool {
        self.aftermath.as_ref().is_some_and(|left| left.matter == Loose::Worse)
    }

    /// Tells whether an order of this incident ran, or may have run.
    pub fn has_acted(&self) -> bool {
        // What waits for its permit when something became worse is an undo.
        let is_remedy = self.returned && self.worse.is_none();
        self.runs.values().sum::<u32>() > self.unstarted + u32::from(is_remedy)
    }

    /// Tells whether a person approved its run, and it is judged or waits for the rate.
    pub fn goes_first(&self) -> bool {
        let waits = match &self.stage {
            Stage::Ready | Stage::Asking { .. } => true,
            Stage::Held { holds, .. } => holds.iter().any(|hold| hold.guard() == Guard::Rate),
            Stage::Settling { .. }
            | Stage::BackingOff { .. }
            | Stage::AwaitingApproval(_)
            | Stage::Acting
            | Stage::Verifying(_)
            | Stage::Closed { .. } => false,
        };
        waits && self.approved.is_some()
    }

    /// What certainly did not start was no act, so that it has not begun yet.
    pub(crate) fn forget_unstarted_act(&mut self) {
        if !self.has_acted() {
            self.acted_at = None;
        }
    }

    /// Keeps with the order what its looks have shown: it may be proven once more.
    pub(crate) fn keep_sightings(&mut self) {
        let (Stage::Verifying(verification), Some(order)) = (&self.stage, &mut self.order) else {
            return;
        };
        let cases = &mut order.proof.cases;
        for case in verification.cases.iter().filter(|case| case.rules().next().is_some()) {
            cases.retain(|known| known.episode != case.episode);
            cases.push(case.clone());
        }
    }

    /// Returns how far up the ladder it got in the end, the remedy that healed included.
    pub fn ladder_after(&self, closing: &Closing) -> Ladder {
        let healed_by = closing.remedy.clone();
        let climbed = healed_by.or_else(|| self.ladder.climbed.clone());
        Ladder { climbed, failures: 0, ..self.ladder }
    }

    /// Returns the id of the next run of a remedy.
    pub fn next_order(&self, remedy: &RemedyName) -> OrderId {
        let runs = self.runs.get(remedy).copied().unwrap_or(0);
        let attempt = if self.returned { runs } else { runs + 1 };
        OrderId { incident: self.id, remedy: remedy.clone(), attempt, part: Part::Heal }
    }

    /// Returns when it must be looked at again, if time alone can move it.
    pub fn wakes_at(&self) -> Option<Timestamp> {
        let stage = match &self.stage {
            Stage::Settling { until } | Stage::BackingOff { until } => Some(*until),
            Stage::Asking { asked_at } => Some(*asked_at + limits::ANSWER_PATIENCE),
            Stage::Held { until, .. } => *until,
            Stage::Verifying(verification) => Some(match verification.look {
                Look::Due(at) => at.min(verification.until),
                Look::Asked(at) => at + limits::ANSWER_PATIENCE,
                Look::Nobody => verification.until,
            }),
            Stage::AwaitingApproval(asked) => Some(asked.expires_at),
            Stage::Closed { .. } => {
                let shadows = self.shadows.iter().map(|shadow| shadow.until).min();
                let aftermath = self.aftermath.as_ref().and_then(|left| match left.look {
                    Look::Due(at) => Some(at),
                    Look::Asked(at) => Some(at + limits::ANSWER_PATIENCE),
                    Look::Nobody => None,
                });
                [shadows, aftermath].into_iter().flatten().min()
            }
            Stage::Ready | Stage::Acting => None,
        };
        [stage, self.tell_at, self.approval_expires_at()].into_iter().flatten().min()
    }

    /// Returns when an approval is void that no order has made use of yet.
    pub fn approval_expires_at(&self) -> Option<Timestamp> {
        let expires_at = self.approved.as_ref().map(|approved| approved.asked.expires_at);
        match &self.stage {
            Stage::Settling { .. }
            | Stage::Ready
            | Stage::Asking { .. }
            | Stage::Held { .. }
            | Stage::BackingOff { .. } => expires_at,
            Stage::AwaitingApproval(_)
            | Stage::Acting
            | Stage::Verifying(_)
            | Stage::Closed { .. } => None,
        }
    }

    /// Returns the gates whose opening may move it.
    pub fn gates(&self) -> Vec<Gate> {
        match &self.stage {
            Stage::Held { holds, .. } => holds.iter().filter_map(Hold::gate).collect(),
            Stage::Settling { .. }
            | Stage::Ready
            | Stage::Asking { .. }
            | Stage::BackingOff { .. }
            | Stage::AwaitingApproval(_)
            | Stage::Acting
            | Stage::Verifying(_)
            | Stage::Closed { .. } => Vec::new(),
        }
    }

    /// Returns the guards that hold it and of which a person is told once for all that they hold.
    pub fn told_guards(&self) -> impl Iterator<Item = Guard> + '_ {
        let holds = match &self.stage {
            Stage::Held { holds, .. } => holds.as_slice(),
            Stage::Settling { .. }
            | Stage::Ready
            | Stage::Asking { .. }
            | Stage::BackingOff { .. }
            | Stage::AwaitingApproval(_)
            | Stage::Acting
            | Stage::Verifying(_)
            | Stage::Closed { .. } => &[],
        };
        holds.iter().map(Hold::guard).filter(|guard| guard.telling() != Telling::Apart)
    }

    /// Returns how long to wait before judging a hold again that has no known end.
    pub fn look_again_after(&self) -> Span {
        limits::LOOK_AGAIN.saturating_mul(1 << self.looks.min(10)).min(limits::LOOK_AGAIN_CAP)
    }
}
