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
//! Beside where it stands ([`Stage`]) an incident says what its orders are for ([`Seeks`]). Together
//! they tell what was and what will be:
//!
//! | what happens | the stages, each with what is sought |
//! |---|---|
//! | it heals | ready: rung → acting: rung → verifying: rung → closed |
//! | a run fails, and its retry | acting: rung → backing off: retry 1 → acting: retry 1 → ready: rung → … |
//! | a crash, and it did not start | acting: rung → ready: same → acting: rung |
//! | a crash, and nobody knows | acting: rung → verifying: rung, over at the end of its time |
//! | it is cancelled while it runs | acting: rung → acting: nothing, told to end → closed |
//! | it made something worse | verifying: rung → ready: undo → acting: undo → closed |
//! | a crash while its undo runs | acting: undo → lost: undo → closed |
//! | a person is asked | ready: rung → awaiting approval: rung → ready: rung → acting: rung |
//! | its alerts end while it runs | acting: rung, perhaps told to end → verifying: rung → closed |
//!
//! An order that made something else worse ends the ladder: at most its undo is pursued, by the same
//! stages, and then a person has it. What a crash may have left running keeps its locks as a straggler
//! ([`crate::ledger`]), whatever becomes of its incident.
//!
//! Closing latches: nothing new starts for this policy and target until all of the incident's
//! alerts have ended.

mod ending;
mod episodes;
mod rare;
mod seeks;
mod stage;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::approval::{Approved, Vote};
use crate::clock::Jump;
use crate::healing::{Look, Verification};
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

pub use ending::{Cause, Closing, End};
pub use episodes::{Attached, Episodes, Standing};
pub use rare::Rare;
pub use seeks::{Seeks, Worsened};
pub use stage::{Running, Stage, StageKind, Told};

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

/// A run of a remedy that goes on, or is over and ran, or may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// Of which remedy.
    pub remedy: RemedyName,
    /// When its order was issued.
    pub since: Timestamp,
}

/// One trouble on one target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// Its alerts' episodes, in the order in which they began.
    pub episodes: Episodes,
    /// Where it stands.
    pub stage: Stage,
    /// What its orders are for.
    pub seeks: Seeks,
    /// How far up the ladder it got.
    pub ladder: Ladder,
    /// The number of each remedy's last order.
    pub runs: Rare<BTreeMap<RemedyName, u32>>,
    /// What it has locked.
    pub locks: Rare<BTreeSet<LockKey>>,
    /// The last order, without what its guards said: the journal has that.
    pub order: Option<Box<Order>>,
    /// What was done, in order: without what certainly did not start, and without what takes it back.
    pub acts: Rare<Vec<Act>>,
    /// What a person has approved and is not over yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<Box<Approved>>,
    /// Who agrees to what is asked, where one word is not enough.
    #[serde(default, skip_serializing_if = "Rare::is_empty")]
    pub votes: Rare<Vec<Vote>>,
    /// Who had it tried again, and so opened it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retried_by: Option<Text>,
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
    /// What is still to be found out though it is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aftermath: Option<Box<Aftermath>>,
    /// Whether a person was told that nothing is heard of its alerts any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unheard: bool,
}

impl Incident {
    /// Lives through a jump of the wall clock. What it waits for keeps its remaining time, what
    /// witnesses said is void, and so is what a person has approved.
    ///
    /// When it opened and closed stays as it was: these are dates, and no time runs from them.
    pub(crate) fn live_through(&mut self, jump: &Jump) {
        let by = jump.followed();
        match &mut self.stage {
            Stage::Settling { until } | Stage::BackingOff { until } | Stage::Lost { until } => {
                *until = *until + by;
            }
            stage @ Stage::Asking { .. } => *stage = Stage::Ready,
            Stage::Held { until, judged_at, .. } => {
                *until = until.map(|at| at + by);
                *judged_at = *judged_at + by;
            }
            Stage::Acting(running) => running.since = running.since + by,
            Stage::Verifying(verification) => verification.live_through(jump),
            Stage::Ready | Stage::AwaitingApproval(_) | Stage::Closed { .. } => {}
        }
        self.approved = None;
        self.tell_at = self.tell_at.map(|at| at + by);
        if let Some(worse) = self.seeks.worse_mut() {
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
        match self.stage.kind() {
            StageKind::BackingOff | StageKind::Acting | StageKind::Verifying | StageKind::Lost => {
                true
            }
            StageKind::Settling
            | StageKind::Ready
            | StageKind::Asking
            | StageKind::Held
            | StageKind::AwaitingApproval
            | StageKind::Closed => false,
        }
    }

    /// Tells whether an order of it runs.
    pub fn is_acting(&self) -> bool {
        matches!(self.stage, Stage::Acting(_))
    }

    /// Tells whether all of its alerts have ended.
    pub fn all_ended(&self) -> bool {
        self.episodes.count(Standing::Firing) == 0
    }

    /// Tells whether one of its alerts was lost sight of.
    pub fn any_lapsed(&self) -> bool {
        self.episodes.count(Standing::Lapsed) > 0
    }

    /// Tells whether the sources of all of its alerts said that they resolved.
    pub fn all_resolved(&self) -> bool {
        self.episodes.count(Standing::Resolved) == self.episodes.len()
    }

    /// Tells whether something that became worse is still looked after.
    pub fn watches_worse(&self) -> bool {
        self.aftermath.as_ref().is_some_and(|left| left.matter == Loose::Worse)
    }

    /// Tells whether a guard holds it until its alert is mentioned.
    pub fn is_doubted(&self) -> bool {
        let Stage::Held { holds, .. } = &self.stage else { return false };
        holds.iter().any(|hold| matches!(hold.guard(), Guard::Fresh | Guard::Silence))
    }

    /// Lists those of its alerts whose next mention it waits for.
    pub fn awaited(&self) -> impl Iterator<Item = EpisodeId> + '_ {
        let doubted = self.is_doubted().then(|| self.episodes.firing());
        let missed = self.stage.verification().map(|proof| proof.missed.keys().copied());
        doubted.into_iter().flatten().chain(missed.into_iter().flatten())
    }

    /// Tells whether it waits for the next mention of an alert.
    pub fn awaits_mention_of(&self, episode: EpisodeId) -> bool {
        let missed = |proof: &Verification| proof.missed.contains_key(&episode);
        self.is_doubted() || self.stage.verification().is_some_and(missed)
    }

    /// Tells whether an order of this incident ran, or may have run.
    pub fn has_acted(&self) -> bool {
        !self.acts.is_empty()
    }

    /// Tells whether the last order certainly did not start, and is sought again under its id: of an
    /// undo, which is issued once, that it is still sought says so.
    pub fn is_returned(&self) -> bool {
        match &self.seeks {
            Seeks::Same { .. } => true,
            Seeks::Undo(_) => {
                let last = self.order.as_ref().filter(|_| self.stage.waits());
                last.is_some_and(|order| order.id.part == Part::Undo)
            }
            Seeks::Rung | Seeks::Retry { .. } | Seeks::Nothing { .. } => false,
        }
    }

    /// Tells whether a person approved its run, and it is judged or waits for the rate.
    pub fn goes_first(&self) -> bool {
        let waits_for_rate = || self.stage.holds().iter().any(|hold| hold.guard() == Guard::Rate);
        let is_judged = matches!(self.stage, Stage::Ready | Stage::Asking { .. });
        self.approved.is_some() && (is_judged || waits_for_rate())
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
        Ladder { climbed, ..self.ladder }
    }

    /// Returns the id of the next run of a remedy.
    pub fn next_order(&self, remedy: &RemedyName) -> OrderId {
        let runs = self.runs.get(remedy).copied().unwrap_or(0);
        let attempt = if self.is_returned() { runs } else { runs + 1 };
        OrderId { incident: self.id, remedy: remedy.clone(), attempt, part: Part::Heal }
    }

    /// Returns when it must be looked at again, if time alone can move it.
    pub fn wakes_at(&self) -> Option<Timestamp> {
        let all = [self.stage_wakes_at(), self.tell_at, self.approval_expires_at()];
        all.into_iter().flatten().min()
    }

    /// Returns when what it waits for in its stage is due.
    pub fn stage_wakes_at(&self) -> Option<Timestamp> {
        match &self.stage {
            Stage::Settling { until } | Stage::BackingOff { until } | Stage::Lost { until } => {
                Some(*until)
            }
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
            Stage::Ready | Stage::Acting(_) => None,
        }
    }

    /// Returns until when a run of it may go on of which a restart has lost sight.
    pub fn may_run_until(&self) -> Option<Timestamp> {
        match (&self.stage, &self.order) {
            (Stage::Verifying(proof), Some(order)) => Some(proof.over_at(&order.proof)),
            (Stage::Lost { until }, _) => Some(*until),
            (_, _) => None,
        }
    }

    /// Returns when an approval is void that no order has made use of yet.
    pub fn approval_expires_at(&self) -> Option<Timestamp> {
        let unused = self.approved.as_ref().filter(|_| self.stage.waits());
        unused.map(|approved| approved.asked.expires_at)
    }

    /// Returns the gates whose opening may move it.
    pub fn gates(&self) -> impl Iterator<Item = Gate> + '_ {
        self.stage.holds().iter().filter_map(Hold::gate)
    }

    /// Returns the guards that hold it and of which a person is told once for all that they hold.
    pub fn told_guards(&self) -> impl Iterator<Item = Guard> + '_ {
        let guards = self.stage.holds().iter().map(Hold::guard);
        guards.filter(|guard| guard.telling() != Telling::Apart)
    }

    /// Returns how long to wait before judging a hold again that has no known end.
    pub fn look_again_after(&self) -> Span {
        limits::LOOK_AGAIN.saturating_mul(1 << self.looks.min(10)).min(limits::LOOK_AGAIN_CAP)
    }
}
