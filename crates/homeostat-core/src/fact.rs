//! What happened: the type of core that is written down, and that all else follows from.
//!
//! Facts are in the past tense. Folding them gives the state again, so each fact carries all that
//! its application needs: no clock, no configuration. A reader must go on understanding every
//! fact that was ever written; [`VERSION`] stands beside each.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::alert::{Alert, Ending};
use crate::approval::{Asked, Over, StandingApproval, Terms};
use crate::clock::Jump;
use crate::collect::{self, Moment};
use crate::command::Command;
use crate::configuration::Configuration;
use crate::errand::Errand;
use crate::guard::Grant;
use crate::healing::Reading;
use crate::hold::Hold;
use crate::incident::Closing;
use crate::ledger::Pause;
use crate::name::{
    ApprovalId, BootId, EpisodeId, IncidentId, OrderId, Part, PolicyName, RemedyName,
};
use crate::notice::{Notice, Topic};
use crate::operator::Operator;
use crate::order::{Ended, Order};
use crate::owner::Owner;
use crate::plan::{Ladder, Rendered};
use crate::policy::Target;
use crate::shadow::Worth;
use crate::storm::Gauge;
use crate::text::Text;
use crate::time::{Span, Timestamp};

use crate::why::Why;
use crate::witness::Sighting;

/// The version of the facts that this program writes.
pub const VERSION: u32 = 1;

/// Something that happened, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: What,
}

/// How long a healing held, and what comes back how soon is the same trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// From its end to the alert that came back.
    pub lasted: Span,
    /// The policy's `relapse`.
    pub within: Span,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum What {
    /// The engine started: whatever was asked before is void.
    EngineStarted {
        /// In which boot of the machine.
        boot: BootId,
    },
    /// The wall clock jumped: what waits keeps its remaining time, and what was known of the world
    /// is void.
    ClockJumped {
        /// From when to when.
        #[serde(flatten)]
        jump: Jump,
    },
    /// The configuration changed: whatever waits is judged anew.
    BookChanged,
    /// A configuration was put in force. It changes nothing by itself, and is there to be found.
    ConfigurationLoaded {
        /// Which one, why, and who wanted it.
        #[serde(flatten)]
        configuration: Configuration,
    },
    /// Nothing may start until an operator resumes.
    EnginePaused {
        /// Who and why.
        pause: Pause,
    },
    /// Orders may start again.
    EngineResumed {
        /// Who said so.
        by: Operator,
        /// Why.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
    },
    /// An alert that always fires is heard of again, and somebody waited for it.
    WatchdogSeen {
        /// Its matchers.
        watchdog: Arc<str>,
    },
    /// An alert began to fire.
    EpisodeBegan {
        /// The episode's number.
        episode: EpisodeId,
        /// The alert.
        alert: Alert,
        /// How long it may go unmentioned.
        lapse: Span,
        /// Who posted that, by their own identity, where a door knew it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Text>,
    },
    /// An alert stopped firing, or being mentioned.
    EpisodeEnded {
        /// The episode.
        episode: EpisodeId,
        /// How.
        ending: Ending,
    },
    /// Its source says that an alert fires since a later time than before.
    EpisodeMoved {
        /// The episode.
        episode: EpisodeId,
        /// Since when.
        starts_at: Timestamp,
    },
    /// Its own Alertmanager lists an alert: from now on it can be missed there.
    EpisodeListed {
        /// The episode.
        episode: EpisodeId,
    },
    /// An alert was mentioned that looks at its healing had missed: they count anew.
    EpisodeMentioned {
        /// The episode.
        episode: EpisodeId,
    },
    /// Rules were seen to fire an alert of the alerts API: from now on they can say that it is over.
    EpisodeSighted {
        /// The episode.
        episode: EpisodeId,
        /// Which rules.
        sightings: Vec<Sighting>,
    },
    /// A policy wants to know whose it is what an alert is about: it is asked.
    OwnerSought {
        /// The alert's episode.
        episode: EpisodeId,
        /// What is asked.
        of: Errand,
    },
    /// It was told whose it is what an alert is about.
    OwnerFound {
        /// The alert's episode.
        episode: EpisodeId,
        /// What was asked.
        of: Errand,
        /// Whose it is.
        owner: Owner,
    },
    /// It was not told whose it is what an alert is about, or it is nobody's.
    OwnerMissed {
        /// The alert's episode.
        episode: EpisodeId,
        /// What was asked.
        of: Errand,
        /// Why, for a person.
        why: Text,
        /// When it is asked again; `None` where it is not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        again: Option<Timestamp>,
    },
    /// No policy wants to know any more whose it is what an alert is about.
    OwnerDropped {
        /// The alert's episode.
        episode: EpisodeId,
        /// What was asked.
        of: Errand,
    },
    /// A trouble was recognised.
    IncidentOpened {
        /// Its number.
        incident: IncidentId,
        /// The policy that takes it.
        policy: PolicyName,
        /// What is to be healed.
        target: Target,
        /// The alert that opened it.
        episode: EpisodeId,
        /// Of which incident it is a relapse.
        relapse_of: Option<IncidentId>,
        /// How long that healing held, where it came back; facts of before do not tell.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        held: Option<Held>,
        /// Where on the ladder it starts.
        ladder: Ladder,
        /// Healings in a row before this one that did not hold.
        unheld: u32,
        /// Until when the alert must fire before anything is done.
        settles_at: Option<Timestamp>,
        /// When a person is told, unless told before.
        tell_at: Option<Timestamp>,
    },
    /// A further alert of the same trouble.
    EpisodeAttached {
        /// The incident.
        incident: IncidentId,
        /// The alert's episode.
        episode: EpisodeId,
    },
    /// Evidence was asked for.
    EvidenceAsked {
        /// For which incident.
        incident: IncidentId,
        /// The number of the question.
        step: u32,
    },
    /// A look at the healing found this.
    EvidenceSeen {
        /// Of which incident.
        incident: IncidentId,
        /// What was found.
        reading: Reading,
        /// When to look next.
        next: Timestamp,
    },
    /// Guards held an order.
    OrderHeld {
        /// Of which incident.
        incident: IncidentId,
        /// The remedy that is held.
        remedy: RemedyName,
        /// Whether it is held, or its undo.
        #[serde(default)]
        part: Part,
        /// All reasons.
        holds: Vec<Hold>,
        /// When it is judged again, besides when a gate opens.
        until: Option<Timestamp>,
        /// Why each other guard let it pass, where that was not told before.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        grants: Vec<Grant>,
        /// What else was known, where it was not told before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<Box<Why>>,
    },
    /// Guards let a run pass, and a person was asked whether it may start.
    ApprovalAsked {
        /// Of which incident.
        incident: IncidentId,
        /// What is to be approved, and until when.
        asked: Asked,
        /// Why each guard let it pass.
        grants: Vec<Grant>,
        /// What there was to choose from, and what was known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<Box<Why>>,
    },
    /// What was asked or approved is not what would be done now: it is judged anew.
    ApprovalVoided {
        /// Of which incident.
        incident: IncidentId,
        /// Why.
        reason: String,
    },
    /// An operator commanded something about an incident.
    IncidentCommanded {
        /// Which incident.
        incident: IncidentId,
        /// What.
        command: Command,
        /// Who.
        by: Operator,
        /// Why.
        reason: String,
        /// How many more people must approve, where this one is not enough.
        #[serde(default, skip_serializing_if = "is_none_left")]
        missing: u32,
        /// What they approve ahead, if anything.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ahead: Option<Terms>,
    },
    /// Enough people have approved the next runs of a remedy on a target, beside the one that waited.
    ApprovalStands {
        /// All there is to know about it.
        approval: StandingApproval,
    },
    /// What people have approved ahead does not count any more.
    ApprovalEnded {
        /// Which standing approval.
        approval: ApprovalId,
        /// Why.
        why: Over,
    },
    /// A remedy in shadow was recorded instead of run.
    RemedyShadowed {
        /// For which incident.
        incident: IncidentId,
        /// Which remedy.
        remedy: RemedyName,
        /// What would have been done.
        action: Rendered,
        /// What would have held it.
        holds: Vec<Hold>,
        /// Why each other guard would have let it pass. No evidence is asked for in shadow.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        grants: Vec<Grant>,
        /// What there was to choose from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<Box<Why>>,
        /// The time that its healing would have had.
        #[serde(default)]
        window: Option<Span>,
    },
    /// It is known what a remedy in shadow would have been worth.
    ShadowJudged {
        /// For which incident.
        incident: IncidentId,
        /// Of which policy.
        policy: PolicyName,
        /// Which remedy.
        remedy: RemedyName,
        /// What it would have been worth.
        worth: Worth,
        /// How long after it would have run.
        after: Span,
    },
    /// A remedy will run.
    OrderIssued {
        /// All there is to know about it.
        order: Order,
    },
    /// An order that certainly did not start before a restart will run.
    OrderReissued {
        /// The same order, permitted anew.
        order: Order,
    },
    /// An order that certainly did not start before a restart waits to be permitted anew.
    OrderReturned {
        /// Which order.
        order: OrderId,
    },
    /// Processes of an order that could not be ended are gone, or a person says that they do no harm.
    OrderGone {
        /// Which order.
        order: OrderId,
    },
    /// A run says how far it is.
    OrderProgressed {
        /// Which order.
        order: OrderId,
        /// What it says, on one line.
        text: String,
    },
    /// What was looked at before an act, or when its incident had closed.
    Collected {
        /// The act.
        order: OrderId,
        /// Which of both.
        moment: Moment,
        /// What each look found.
        found: Vec<collect::Found>,
    },
    /// A run was told to end before its time.
    OrderCancelled {
        /// Which order.
        order: OrderId,
        /// Why.
        reason: String,
    },
    /// A run is over.
    OrderEnded {
        /// Which order.
        order: OrderId,
        /// How it ended.
        ended: Ended,
    },
    /// A known failure will be tried again.
    RetryScheduled {
        /// Of which incident.
        incident: IncidentId,
        /// When.
        until: Timestamp,
    },
    /// A remedy is done with: it failed, or did not heal.
    RemedyGivenUp {
        /// Of which incident.
        incident: IncidentId,
        /// Which remedy.
        remedy: RemedyName,
        /// Why.
        reason: String,
    },
    /// The healing by an order is being proven.
    VerificationBegan {
        /// Of which incident.
        incident: IncidentId,
        /// Since when evidence counts.
        ended_at: Timestamp,
        /// Until when to wait for it.
        until: Timestamp,
        /// When to look first; `None` where nobody can be asked.
        look: Option<Timestamp>,
        /// Whether all alerts resolved while the action still ran.
        resolved: bool,
    },
    /// Rules may remember what is over: the proof is awaited for longer.
    VerificationProlonged {
        /// Of which incident.
        incident: IncidentId,
        /// Until when.
        until: Timestamp,
    },
    /// A look found what became of what a closed incident has left open.
    AftermathSeen {
        /// Of which incident.
        incident: IncidentId,
        /// What was found, for a person.
        text: String,
        /// When to look again; `None` where it is over.
        next: Option<Timestamp>,
    },
    /// Nothing is heard any more of the alerts of a closed incident of which a person was told.
    SightLost {
        /// Of which incident.
        incident: IncidentId,
    },
    /// A look found that an order made something else worse.
    TurnedWorse {
        /// Of which incident.
        incident: IncidentId,
        /// Which order.
        order: OrderId,
        /// What fires now that did not before, for a person.
        text: String,
    },
    /// An incident is over. Its target stays latched until its alerts have ended.
    IncidentClosed {
        /// Which incident.
        incident: IncidentId,
        /// How and why.
        closing: Closing,
        /// When a person is told that its alert still fires.
        tell_at: Option<Timestamp>,
    },
    /// All alerts of a closed incident have ended: the next firing is a new trouble.
    LatchReleased {
        /// Which incident.
        incident: IncidentId,
    },
    /// An alarm went off about which no person is told, or not for this incident alone.
    AlarmDropped {
        /// Of which incident.
        incident: IncidentId,
        /// When it goes off again.
        #[serde(default)]
        until: Option<Timestamp>,
    },
    /// So many targets of a policy fire at once that its orders are slowed or stopped.
    StormBegan {
        /// The policy.
        policy: PolicyName,
        /// By what it is measured.
        gauge: Gauge,
        /// How many targets fire.
        firing: u64,
    },
    /// A storm is measured anew: there are more targets than before, or fewer.
    StormGauged {
        /// The policy.
        policy: PolicyName,
        /// By what it is measured now.
        gauge: Gauge,
    },
    /// A storm is over: what it held is judged anew.
    StormEnded {
        /// The policy.
        policy: PolicyName,
    },
    /// A person must be told.
    NoticeRaised {
        /// What.
        notice: Notice,
    },
    /// A person should be told, and is not: too many notices are open.
    NoticeWithheld {
        /// About what.
        #[serde(flatten)]
        topic: Topic,
        /// How many are open.
        open: u64,
    },
    /// All who must be told have accepted the notice.
    NoticeTold {
        /// About what.
        #[serde(flatten)]
        topic: Topic,
    },
    /// The notice's trouble is over, and this must be told too.
    NoticeCleared {
        /// About what.
        #[serde(flatten)]
        topic: Topic,
    },
    /// Nothing is owed for a notice any more.
    NoticeEnded {
        /// About what.
        #[serde(flatten)]
        topic: Topic,
    },
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_none_left(missing: &u32) -> bool {
    *missing == 0
}

impl What {
    /// Returns the fact's name, as it is written.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::EngineStarted { .. } => "engine_started",
            Self::ClockJumped { .. } => "clock_jumped",
            Self::BookChanged => "book_changed",
            Self::ConfigurationLoaded { .. } => "configuration_loaded",
            Self::EnginePaused { .. } => "engine_paused",
            Self::EngineResumed { .. } => "engine_resumed",
            Self::WatchdogSeen { .. } => "watchdog_seen",
            Self::EpisodeBegan { .. } => "episode_began",
            Self::EpisodeEnded { .. } => "episode_ended",
            Self::EpisodeMoved { .. } => "episode_moved",
            Self::EpisodeListed { .. } => "episode_listed",
            Self::EpisodeMentioned { .. } => "episode_mentioned",
            Self::EpisodeSighted { .. } => "episode_sighted",
            Self::OwnerSought { .. } => "owner_sought",
            Self::OwnerFound { .. } => "owner_found",
            Self::OwnerMissed { .. } => "owner_missed",
            Self::OwnerDropped { .. } => "owner_dropped",
            Self::IncidentOpened { .. } => "incident_opened",
            Self::EpisodeAttached { .. } => "episode_attached",
            Self::EvidenceAsked { .. } => "evidence_asked",
            Self::EvidenceSeen { .. } => "evidence_seen",
            Self::OrderHeld { .. } => "order_held",
            Self::ApprovalAsked { .. } => "approval_asked",
            Self::ApprovalVoided { .. } => "approval_voided",
            Self::IncidentCommanded { .. } => "incident_commanded",
            Self::ApprovalStands { .. } => "approval_stands",
            Self::ApprovalEnded { .. } => "approval_ended",
            Self::RemedyShadowed { .. } => "remedy_shadowed",
            Self::ShadowJudged { .. } => "shadow_judged",
            Self::OrderIssued { .. } => "order_issued",
            Self::OrderReissued { .. } => "order_reissued",
            Self::OrderReturned { .. } => "order_returned",
            Self::OrderGone { .. } => "order_gone",
            Self::OrderProgressed { .. } => "order_progressed",
            Self::Collected { .. } => "collected",
            Self::OrderCancelled { .. } => "order_cancelled",
            Self::OrderEnded { .. } => "order_ended",
            Self::RetryScheduled { .. } => "retry_scheduled",
            Self::RemedyGivenUp { .. } => "remedy_given_up",
            Self::VerificationBegan { .. } => "verification_began",
            Self::VerificationProlonged { .. } => "verification_prolonged",
            Self::AftermathSeen { .. } => "aftermath_seen",
            Self::SightLost { .. } => "sight_lost",
            Self::TurnedWorse { .. } => "turned_worse",
            Self::IncidentClosed { .. } => "incident_closed",
            Self::LatchReleased { .. } => "latch_released",
            Self::AlarmDropped { .. } => "alarm_dropped",
            Self::StormBegan { .. } => "storm_began",
            Self::StormGauged { .. } => "storm_gauged",
            Self::StormEnded { .. } => "storm_ended",
            Self::NoticeRaised { .. } => "notice_raised",
            Self::NoticeWithheld { .. } => "notice_withheld",
            Self::NoticeTold { .. } => "notice_told",
            Self::NoticeCleared { .. } => "notice_cleared",
            Self::NoticeEnded { .. } => "notice_ended",
        }
    }

    /// Returns the incident that the fact is about, where it is about one.
    pub fn incident(&self) -> Option<IncidentId> {
        match self {
            Self::IncidentOpened { incident, .. }
            | Self::EpisodeAttached { incident, .. }
            | Self::EvidenceAsked { incident, .. }
            | Self::EvidenceSeen { incident, .. }
            | Self::OrderHeld { incident, .. }
            | Self::ApprovalAsked { incident, .. }
            | Self::ApprovalVoided { incident, .. }
            | Self::IncidentCommanded { incident, .. }
            | Self::RemedyShadowed { incident, .. }
            | Self::ShadowJudged { incident, .. }
            | Self::RetryScheduled { incident, .. }
            | Self::RemedyGivenUp { incident, .. }
            | Self::VerificationBegan { incident, .. }
            | Self::VerificationProlonged { incident, .. }
            | Self::AftermathSeen { incident, .. }
            | Self::SightLost { incident }
            | Self::TurnedWorse { incident, .. }
            | Self::IncidentClosed { incident, .. }
            | Self::LatchReleased { incident }
            | Self::AlarmDropped { incident, .. } => Some(*incident),
            Self::NoticeRaised { notice } => notice.topic().incident(),
            Self::NoticeWithheld { topic, .. }
            | Self::NoticeTold { topic }
            | Self::NoticeCleared { topic }
            | Self::NoticeEnded { topic } => topic.incident(),
            Self::ApprovalStands { approval } => Some(approval.incident),
            Self::OrderIssued { order } | Self::OrderReissued { order } => Some(order.id.incident),
            Self::OrderReturned { order }
            | Self::OrderGone { order }
            | Self::OrderProgressed { order, .. }
            | Self::Collected { order, .. }
            | Self::OrderCancelled { order, .. }
            | Self::OrderEnded { order, .. } => Some(order.incident),
            Self::EngineStarted { .. }
            | Self::ClockJumped { .. }
            | Self::BookChanged
            | Self::ConfigurationLoaded { .. }
            | Self::EnginePaused { .. }
            | Self::EngineResumed { .. }
            | Self::ApprovalEnded { .. }
            | Self::WatchdogSeen { .. }
            | Self::StormBegan { .. }
            | Self::StormGauged { .. }
            | Self::StormEnded { .. }
            | Self::EpisodeBegan { .. }
            | Self::EpisodeMoved { .. }
            | Self::EpisodeListed { .. }
            | Self::EpisodeMentioned { .. }
            | Self::EpisodeSighted { .. }
            | Self::OwnerSought { .. }
            | Self::OwnerFound { .. }
            | Self::OwnerMissed { .. }
            | Self::OwnerDropped { .. }
            | Self::EpisodeEnded { .. } => None,
        }
    }

    /// Tells whether its incident does not wait for its guards any more.
    pub fn moves_on(&self) -> bool {
        matches!(
            self,
            Self::EvidenceAsked { .. }
                | Self::ApprovalAsked { .. }
                | Self::ApprovalVoided { .. }
                | Self::RemedyShadowed { .. }
                | Self::OrderIssued { .. }
                | Self::OrderReissued { .. }
                | Self::VerificationBegan { .. }
                | Self::IncidentClosed { .. }
        )
    }

    /// Returns the episode that the fact is about, where it is about one.
    pub fn episode(&self) -> Option<EpisodeId> {
        match self {
            Self::EpisodeBegan { episode, .. }
            | Self::EpisodeMoved { episode, .. }
            | Self::EpisodeListed { episode }
            | Self::EpisodeMentioned { episode }
            | Self::EpisodeSighted { episode, .. }
            | Self::EpisodeEnded { episode, .. }
            | Self::OwnerSought { episode, .. }
            | Self::OwnerFound { episode, .. }
            | Self::OwnerMissed { episode, .. }
            | Self::OwnerDropped { episode, .. }
            | Self::IncidentOpened { episode, .. }
            | Self::EpisodeAttached { episode, .. } => Some(*episode),
            _ => None,
        }
    }
}
