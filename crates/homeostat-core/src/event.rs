//! Everything that may wake the engine, and everything that it may want: two closed enums.

use std::sync::Arc;

use crate::alert::{Episode, Observation, Presence};
use crate::approval::{Digest, Terms};
use crate::clock::Jump;
use crate::collect::{self, Moment};
use crate::command::Command;
use crate::configuration::Configuration;
use crate::evidence::{Ask, Evidence};
use crate::name::{ApprovalId, BootId, EpisodeId, IncidentId, OrderId, PolicyName};
use crate::notice::{Notice, Topic};
use crate::operator::Operator;
use crate::order::{Ended, Found, Order};
use crate::poll::Poll;
use crate::process::Process;
use crate::time::Timestamp;
use crate::witness::Sighting;

/// What may wake the engine.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The engine starts, in this boot of the machine.
    Started {
        /// The boot.
        boot: BootId,
    },
    /// The wall clock jumped.
    ClockJumped(Jump),
    /// Somebody told us about an alert.
    Observed {
        /// What they told.
        observation: Box<Observation>,
        /// When the alert was last mentioned, if it fires.
        presence: Option<Presence>,
        /// How often in a row the alert was ignored as a late repeat.
        ignored: u32,
        /// Whether more of the same notification follows: it is judged whole.
        more: bool,
    },
    /// Witnesses were asked about an observation that looked stale.
    Vouched {
        /// The observation.
        observation: Box<Observation>,
        /// What they said.
        evidence: Evidence,
    },
    /// An episode went unmentioned for too long.
    Unseen(EpisodeId),
    /// All that an Alertmanager lists was read, or could not be. The engine, which knows when each
    /// alert was mentioned, tells which are [`Event::Missing`].
    Polled(Box<Poll>),
    /// The rules behind alerts that went unmentioned were asked about.
    RulesPolled {
        /// Whose.
        episodes: Vec<EpisodeId>,
        /// What was said.
        evidence: Evidence,
    },
    /// An episode's own Alertmanager lists its alert: from now on it can be missed there.
    Listed(EpisodeId),
    /// An alert was mentioned that those had missed who look whether it is healed.
    Mentioned(EpisodeId),
    /// Rules were seen to fire an alert of the alerts API.
    Sighted {
        /// Its episode.
        episode: EpisodeId,
        /// Which rules.
        sightings: Vec<Sighting>,
    },
    /// It is time to ask whose it is what an episode's alert is about, or to give that up.
    OwnerDue(EpisodeId),
    /// A hand was asked whose it is what an episode's alert is about.
    OwnerTold {
        /// The episode.
        episode: EpisodeId,
        /// What was said.
        evidence: Evidence,
    },
    /// Whoever should know that an episode's alert fires did not name it, twice in a row.
    Missing {
        /// The episode.
        episode: EpisodeId,
        /// When that was asked first.
        since: Timestamp,
    },
    /// Witnesses answered a question about an incident.
    Answered {
        /// Which incident.
        incident: IncidentId,
        /// The number of the question.
        step: u32,
        /// What they said.
        evidence: Evidence,
        /// When its alerts, and the watchdog of its policy, were last mentioned.
        presence: Vec<(EpisodeId, Presence)>,
    },
    /// An incident's next step is due.
    Ready {
        /// Which incident.
        incident: IncidentId,
        /// When its alerts, and the watchdog of its policy, were last mentioned.
        presence: Vec<(EpisodeId, Presence)>,
    },
    /// An incident's alarm went off.
    Woke {
        /// Which incident.
        incident: IncidentId,
        /// When its alerts, and the watchdog of its policy, were last mentioned.
        presence: Vec<(EpisodeId, Presence)>,
    },
    /// A run says how far it is.
    OrderProgressed {
        /// Which order.
        order: OrderId,
        /// What it says, for a person.
        text: String,
    },
    /// What was looked at before an act or after it was found to be so.
    Collected {
        /// The act.
        order: OrderId,
        /// When.
        moment: Moment,
        /// What each look found, in the order of the configuration.
        found: Vec<collect::Found>,
    },
    /// A run is over.
    OrderEnded {
        /// Which order.
        order: OrderId,
        /// How it ended.
        ended: Ended,
    },
    /// What could not be ended of a run is gone.
    OrderGone(OrderId),
    /// After a restart, this was found of a run.
    OrderFound {
        /// Which order.
        order: OrderId,
        /// What.
        found: Found,
    },
    /// Fewer targets of a policy fire, for as long as its storm's cool-down.
    Calmed(PolicyName),
    /// All who must be told have accepted this notice, as it stands here.
    NoticeTold(Box<Notice>),
    /// Nothing is owed for a notice any more.
    NoticeEnded(Topic),
    /// An operator pauses.
    Pause {
        /// Who.
        by: Operator,
        /// Why.
        reason: String,
    },
    /// An operator resumes.
    Resume {
        /// Who.
        by: Operator,
        /// Why.
        reason: String,
    },
    /// An operator commands something about one incident.
    Command {
        /// Which incident.
        incident: IncidentId,
        /// What.
        command: Command,
        /// The deed that the operator saw, where they approve what they saw.
        seen: Option<Digest>,
        /// What they approve ahead, beside that.
        ahead: Option<Terms>,
        /// Who.
        by: Operator,
        /// Why.
        reason: String,
    },
    /// An operator does not want any more what was approved ahead.
    Revoke {
        /// Which standing approval.
        approval: ApprovalId,
        /// Who.
        by: Operator,
        /// Why.
        reason: String,
    },
    /// The time of a standing approval is over.
    ApprovalExpired(ApprovalId),
    /// The configuration changed.
    Reloaded,
    /// A configuration was put in force: this one.
    Configured(Box<Configuration>),
}

impl Event {
    /// Makes the event of an observation.
    pub fn observed(observation: Observation) -> Self {
        Self::Observed {
            observation: Box::new(observation),
            presence: None,
            ignored: 0,
            more: false,
        }
    }

    /// Makes the events of one notification, which is judged whole.
    pub fn notified(observations: Vec<Observation>) -> impl Iterator<Item = Self> {
        let last = observations.len().saturating_sub(1);
        observations.into_iter().enumerate().map(move |(n, observation)| Self::Observed {
            observation: Box::new(observation),
            presence: None,
            ignored: 0,
            more: n < last,
        })
    }
}

/// What an observation came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Remark {
    /// It began an episode.
    Began,
    /// It repeats what is known, and wrote nothing.
    Repeated,
    /// It ended an episode.
    Ended,
    /// It is older than the end of the episode it belongs to.
    Stale,
    /// It looks stale, and witnesses are asked.
    Doubted,
    /// It resolves what is not known to fire.
    Strange,
    /// Homeostat fired it itself.
    Own,
}

/// Whom an answer is for.
#[derive(Debug, Clone, PartialEq)]
pub enum About {
    /// An incident, and the number of the question.
    Incident(IncidentId, u32),
    /// An observation that looks stale.
    Observation(Box<Observation>),
    /// Alerts of the alerts API that went unmentioned, whose rules may know them.
    Unmentioned(Vec<EpisodeId>),
    /// An episode whose alert's owner is wanted.
    Owner(EpisodeId),
}

/// Things to ask together.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// Whom the answer is for.
    pub about: About,
    /// What to ask.
    pub asks: Vec<Ask>,
}

/// An order with the data that goes with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// The order.
    pub order: Order,
    /// Under which policy.
    pub policy: PolicyName,
    /// The incident's alerts, those that fire first, each as it was when that was decided.
    pub alerts: Vec<Arc<Episode>>,
    /// When it was decided.
    pub decided_at: Timestamp,
}

/// What the engine wants of the world. Performed only once the facts are committed.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Run this, and take its looks before.
    Run(Box<Run>),
    /// Take the looks that follow this run, the last of its incident.
    LookAfter(Box<Run>),
    /// Find out what became of this run.
    Inquire {
        /// The order.
        order: OrderId,
        /// The boot in which it was issued: after another one, its claim tells nothing.
        issued_in: BootId,
    },
    /// Tell this run to end before its time: politely first, as when it runs too long. Its end is
    /// reported as ever. A run that cannot be reached, as one whose runner is gone, goes on.
    Cancel(OrderId),
    /// Tell when these processes of a run, which could not be ended, are gone.
    Watch {
        /// The order.
        order: OrderId,
        /// The boot in which it was issued.
        issued_in: BootId,
        /// Its processes.
        left: Vec<Process>,
    },
    /// Ask this.
    Ask(Question),
    /// Tell a person, and go on telling until cleared.
    Tell(Box<Notice>),
    /// All have accepted this before a restart: keep it up where it would lapse.
    Remind(Box<Notice>),
    /// Tell that it is over.
    Clear(Box<Notice>),
}
