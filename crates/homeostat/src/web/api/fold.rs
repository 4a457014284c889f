//! Folds the facts of one incident into what the API shows of it.
//!
//! This is a reading of the journal, not a second engine: it decides nothing, and shows what the
//! facts say even where a newer engine would decide otherwise.

use std::collections::BTreeMap;

use homeostat_core::alert::{Alert, Ending};
use homeostat_core::approval::{Asked, StandingUse, Vote};
use homeostat_core::command::Command;
use homeostat_core::fact::{Fact, What};
use homeostat_core::name::{EpisodeId, IncidentId, Part, title};
use homeostat_core::order::{Ended, Order, Outcome};
use homeostat_core::time::Timestamp;

use super::sentence::{self, holds_text, rulings};
use super::view::{
    AlertStatus, AlertView, ApprovalView, CollectedView, Entry, IncidentView, LookView, OrderState,
    OrderView, OwnerView, StandingUseView, StateView, VoteView,
};
use super::why;
use crate::incidents::ALERTS;

/// Folds the facts of an incident and of its episodes, in the order in which they happened.
///
/// Facts about other incidents of the same episodes are passed over. `None` if the facts do not
/// tell how the incident opened.
pub fn fold(id: IncidentId, facts: &[Fact]) -> Option<IncidentView> {
    Fold::of(id, facts).map(|fold| fold.view)
}

/// The incident as it opened.
fn opened(id: IncidentId, facts: &[Fact]) -> Option<IncidentView> {
    facts.iter().find_map(|fact| match &fact.what {
        What::IncidentOpened { incident, policy, target, relapse_of, settles_at, .. }
            if *incident == id =>
        {
            Some(IncidentView {
                id: id.to_string(),
                policy: policy.to_string(),
                team: None,
                target: target.clone(),
                state: StateView::Waiting,
                outcome: None,
                reason: match settles_at {
                    Some(until) => format!("the alert must fire until {until:.0} first"),
                    None => "the first remedy is being prepared".to_owned(),
                },
                reason_at: Some(fact.at),
                holds: Vec::new(),
                holds_until: None,
                next_at: *settles_at,
                grade: None,
                remedy: None,
                resolved_during_action: false,
                approval: None,
                relapse_of: relapse_of.map(|earlier| earlier.to_string()),
                opened_at: fact.at,
                closed_at: None,
                alerts: Vec::new(),
                alerts_total: 0,
                orders: Vec::new(),
                collected: Vec::new(),
                timeline: Vec::new(),
            })
        }
        _ => None,
    })
}

/// An incident that is told one fact after the other.
#[derive(Debug)]
pub(super) struct Fold {
    id: IncidentId,
    view: IncidentView,
    /// Where each episode stands among the alerts.
    episodes: BTreeMap<EpisodeId, usize>,
    /// The names of the alerts, for sentences.
    names: BTreeMap<EpisodeId, String>,
    /// How many have agreed to what was asked last, of how many, and who.
    agreed: Option<String>,
}

impl Fold {
    /// Begins with these facts, which must tell how it opened.
    pub(super) fn of(id: IncidentId, facts: &[Fact]) -> Option<Self> {
        let mut fold = Self::opening(id, facts)?;
        for fact in facts {
            fold.take(fact);
        }
        Some(fold)
    }

    /// The incident as it opens, by one of these facts, none of which is taken yet.
    pub(super) fn opening(id: IncidentId, facts: &[Fact]) -> Option<Self> {
        let view = opened(id, facts)?;
        Some(Self { id, view, episodes: BTreeMap::new(), names: BTreeMap::new(), agreed: None })
    }

    /// The incident, as far as it was told.
    pub(super) fn view(&self) -> &IncidentView {
        &self.view
    }

    /// Counts alerts of which nothing is told.
    pub(super) fn leave_out(&mut self, alerts: u64) {
        self.view.alerts_total += alerts;
    }

    /// Takes a fact, and tells whether there is something new to say: the last entry of the timeline.
    ///
    /// A fact about another incident is passed over, and one about an alert of which nothing is told.
    pub(super) fn take(&mut self, fact: &Fact) -> bool {
        let is_known = match (fact.what.incident(), fact.what.episode()) {
            (Some(incident), _) => incident == self.id,
            (None, Some(episode)) => {
                let begins = matches!(fact.what, What::EpisodeBegan { .. });
                begins != self.episodes.contains_key(&episode)
            }
            (None, None) => true,
        };
        is_known && self.tell_of(fact)
    }

    /// Lets go of what is long, and told one by one: all of the timeline but its last entry, the output
    /// of runs, and alerts beyond those that are shown.
    pub(super) fn lighten(&mut self) {
        let view = &mut self.view;
        view.timeline.drain(..view.timeline.len().saturating_sub(1));
        for order in &mut view.orders {
            order.output = String::new();
        }
        while view.alerts.len() > ALERTS {
            // The first one stays, as in what is read from the journal.
            view.alerts.remove(1);
            self.episodes.retain(|episode, place| {
                if *place == 1 {
                    self.names.remove(episode);
                    return false;
                }
                *place -= usize::from(*place > 1);
                true
            });
        }
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each kind of fact")]
    fn tell_of(&mut self, fact: &Fact) -> bool {
        let at = fact.at;
        match &fact.what {
            What::EpisodeBegan { episode, alert, .. } => self.begin_episode(*episode, alert),
            What::EpisodeEnded { episode, ending } => self.end_episode(*episode, ending, at),
            What::OwnerFound { episode, owner, .. } => {
                let position = self.episodes.get(episode);
                let alert = position.and_then(|&position| self.view.alerts.get_mut(position));
                if let Some(alert) = alert {
                    alert.owner = Some(OwnerView::of(owner));
                }
            }
            What::EvidenceAsked { .. } => {
                if self.view.state != StateView::Verifying {
                    self.wait(at, "it is being asked whether the alert fires now".to_owned());
                }
            }
            What::EvidenceSeen { reading, .. } => self.look(at, &reading.text),
            What::OrderHeld { remedy, part, holds, until, .. } => {
                let mut reason = format!("{} is held: {}", title(remedy, *part), holds_text(holds));
                if let Some(until) = until.filter(|until| !reason.contains(&format!("{until:.0}")))
                {
                    reason = format!("{reason}; judged again at {until:.0}");
                }
                self.wait(at, reason);
                if self.view.state != StateView::Closed {
                    self.view.holds = rulings(holds);
                    (self.view.holds_until, self.view.next_at) = (*until, *until);
                }
            }
            What::ApprovalAsked { asked, .. } => self.ask(at, asked),
            What::ApprovalVoided { reason, .. } => self.wait(at, reason.clone()),
            What::IncidentCommanded {
                command: Command::Approve,
                by,
                reason,
                missing,
                ahead,
                ..
            } => {
                let (by, reason, ahead) = (by.clone(), reason.clone(), *ahead);
                self.agree(&Vote { by, reason, at, ahead }, *missing);
            }
            What::RemedyShadowed { .. } | What::RemedyGivenUp { .. } => {
                self.wait(at, "the next remedy is being prepared".to_owned());
            }
            What::OrderIssued { order } | What::OrderReissued { order } => self.issue(order, at),
            What::OrderReturned { order } => {
                self.amend_order(&order.to_string(), |order| order.state = OrderState::Waiting);
                self.wait(
                    at,
                    format!(
                        "{} had not started before a restart, and is judged anew",
                        order.title()
                    ),
                );
            }
            What::OrderProgressed { order, text } => {
                self.say(at, format!("{} runs: {text}", order.title()));
            }
            What::Collected { order, moment, found } => {
                let (order, moment) = (order.to_string(), moment.as_str().to_owned());
                let found = found.iter().cloned().map(LookView::of).collect();
                self.view.collected.push(CollectedView { order, moment, at, found });
            }
            What::OrderEnded { order, ended } => {
                self.amend_order(&order.to_string(), |order| end(order, ended, at));
                self.wait(at, "a run is over, and what follows is being decided".to_owned());
            }
            What::RetryScheduled { until, .. } => {
                self.wait(at, format!("the remedy failed, and is tried again at {until:.0}"));
                self.view.next_at = Some(*until);
            }
            What::OrderCancelled { order, reason } => {
                self.say(at, format!("remedy {} was told to end: {reason}", order.remedy));
            }
            What::VerificationBegan { until, .. } => {
                self.view.approval = None;
                self.view.state = StateView::Verifying;
                self.say(
                    at,
                    if self.view.is_undoing() {
                        format!("the undo may still run until {until:.0}")
                    } else {
                        format!("it is checked until {until:.0} whether that healed")
                    },
                );
                self.view.next_at = Some(*until);
            }
            What::VerificationProlonged { until, .. } => {
                self.say(
                    at,
                    format!(
                        "a rule may still fire about what is over: it is checked until {until:.0} \
                     whether that healed"
                    ),
                );
                self.view.next_at = Some(*until);
            }
            What::TurnedWorse { order, text, .. } => {
                self.wait(at, format!("{} made something else worse: {text}", order.title()));
            }
            What::ShadowJudged { remedy, worth, after, .. } => {
                let judged = sentence::shadow_judged(remedy, *worth, *after);
                let reason = format!("{}; {judged}", self.view.reason);
                // What it waits for is the same.
                (self.view.reason, self.view.reason_at) = (reason, Some(at));
            }
            What::IncidentClosed { closing, .. } => {
                self.view.approval = None;
                self.view.state = StateView::Closed;
                self.view.closed_at = Some(at);
                self.view.outcome = Some(closing.outcome);
                self.say(at, closing.reason.to_string());
                self.view.grade = closing.grade;
                self.view.remedy = closing.remedy.as_ref().map(ToString::to_string);
                self.view.resolved_during_action = closing.resolved_during_action;
            }
            What::OrderGone { .. }
            | What::ApprovalStands { .. }
            | What::ApprovalEnded { .. }
            | What::IncidentCommanded {
                command: Command::Reject | Command::Cancel | Command::Retry,
                ..
            }
            | What::IncidentOpened { .. }
            | What::EpisodeAttached { .. }
            | What::EpisodeMoved { .. }
            | What::EpisodeListed { .. }
            | What::EpisodeMentioned { .. }
            | What::EpisodeSighted { .. }
            | What::OwnerSought { .. }
            | What::OwnerMissed { .. }
            | What::OwnerDropped { .. }
            | What::AftermathSeen { .. }
            | What::SightLost { .. }
            | What::LatchReleased { .. }
            | What::AlarmDropped { .. }
            | What::StormBegan { .. }
            | What::StormGauged { .. }
            | What::StormEnded { .. }
            | What::NoticeRaised { .. }
            | What::NoticeWithheld { .. }
            | What::NoticeTold { .. }
            | What::NoticeCleared { .. }
            | What::NoticeEnded { .. }
            | What::EngineStarted { .. }
            | What::ClockJumped { .. }
            | What::BookChanged
            | What::ConfigurationLoaded { .. }
            | What::EnginePaused { .. }
            | What::WatchdogSeen { .. }
            | What::EngineResumed { .. } => {}
        }
        self.tell(fact)
    }

    fn begin_episode(&mut self, episode: EpisodeId, alert: &Alert) {
        self.episodes.insert(episode, self.view.alerts.len());
        self.names.insert(episode, alert.name().to_owned());
        self.view.alerts_total += 1;
        self.view.alerts.push(AlertView {
            fingerprint: alert.fingerprint.to_string(),
            source: alert.source.to_string(),
            labels: alert.labels.clone(),
            owner: None,
            annotations: alert.annotations.clone(),
            status: AlertStatus::Firing,
            starts_at: alert.starts_at,
            ended_at: None,
            generator_url: alert.generator_url.to_string(),
            external_url: alert.external_url.to_string(),
        });
    }

    fn end_episode(&mut self, episode: EpisodeId, ending: &Ending, at: Timestamp) {
        let position = self.episodes.get(&episode);
        if let Some(alert) = position.and_then(|&position| self.view.alerts.get_mut(position)) {
            alert.ended_at = Some(at);
            alert.status = match ending {
                Ending::Resolved { .. } | Ending::Superseded | Ending::Absent { .. } => {
                    AlertStatus::Resolved
                }
                Ending::Lapsed | Ending::Unproven { .. } => AlertStatus::Lapsed,
            };
        }
    }

    /// Says what is waited for, or why it ended, as of a moment. What held before does not count.
    fn say(&mut self, at: Timestamp, reason: String) {
        (self.view.reason, self.view.reason_at) = (reason, Some(at));
        (self.view.holds, self.view.holds_until, self.view.next_at) = (Vec::new(), None, None);
    }

    fn ask(&mut self, at: Timestamp, asked: &Asked) {
        let (order, expires_at) = (&asked.order, asked.expires_at);
        self.view.state = StateView::AwaitingApproval;
        self.say(at, format!("remedy {} waits for approval until {expires_at:.0}", order.remedy));
        self.view.next_at = Some(expires_at);
        self.view.approval = Some(ApprovalView {
            order: order.to_string(),
            remedy: order.remedy.to_string(),
            action: asked.action.to_string(),
            digest: asked.digest,
            expires_at,
            by: asked.by.as_ref().map(|by| by.iter().map(ToString::to_string).collect()),
            count: asked.count.unwrap_or(1),
            votes: Vec::new(),
        });
    }

    /// Takes a word for what is asked, of which so many are still missing.
    fn agree(&mut self, vote: &Vote, missing: u32) {
        let asked = self.view.approval.as_mut().map(|approval| {
            approval.votes.push(VoteView::of(vote));
            let who: Vec<&str> = approval.votes.iter().map(|vote| vote.by.as_str()).collect();
            (approval.count, who.join(", "), approval.expires_at)
        });
        // Where one word is enough, nobody is counted.
        let counted = asked.filter(|(count, ..)| *count > 1);
        self.agreed = counted.as_ref().map(|(count, who, _)| {
            format!("{} of {count} approvals: {who}", count.saturating_sub(missing))
        });
        match (&self.agreed, counted) {
            (Some(agreed), Some((.., until))) if missing > 0 => {
                self.say(vote.at, format!("{agreed}; it waits for others until {until:.0}"));
                self.view.next_at = Some(until);
            }
            (Some(agreed), _) => {
                self.wait(vote.at, format!("{agreed}; the guards judge it again"));
            }
            (None, _) => {
                let reason = format!("approved by {}; the guards judge it again", vote.by);
                self.wait(vote.at, reason);
            }
        }
    }

    fn wait(&mut self, at: Timestamp, reason: String) {
        self.view.approval = None;
        if self.view.state != StateView::Closed {
            self.view.state = StateView::Waiting;
            self.say(at, reason);
        }
    }

    fn look(&mut self, at: Timestamp, text: &str) {
        if self.view.state == StateView::Verifying {
            let until = self.view.reason.split("; last look: ").next().unwrap_or_default();
            let reason = format!("{until}; last look: {text}");
            (self.view.reason, self.view.reason_at) = (reason, Some(at));
        }
    }

    fn issue(&mut self, order: &Order, at: Timestamp) {
        self.view.state = StateView::Acting;
        self.say(at, format!("{} runs", order.id.title()));
        let id = order.id.to_string();
        self.view.orders.retain(|known| known.id != id);
        self.view.orders.push(OrderView {
            id,
            remedy: order.id.remedy.to_string(),
            attempt: order.id.attempt,
            undo: order.id.part == Part::Undo,
            state: OrderState::Running,
            action: order.action.to_string(),
            issued_at: at,
            started_at: None,
            ended_at: None,
            exit_code: None,
            signal: None,
            http_status: None,
            result: None,
            outcome: None,
            standing_approval: order.standing.as_ref().map(standing_use),
            output: String::new(),
        });
    }

    fn amend_order(&mut self, id: &str, amend: impl FnOnce(&mut OrderView)) {
        if let Some(order) = self.view.orders.iter_mut().find(|order| order.id == id) {
            amend(order);
        }
    }

    /// Adds what happened to the timeline, unless it says what the last entry says. Tells whether there
    /// was anything to say.
    fn tell(&mut self, fact: &Fact) -> bool {
        let Some(mut text) = sentence::text(&fact.what, &self.view, &self.names) else {
            return false;
        };
        if let (What::IncidentCommanded { command: Command::Approve, .. }, Some(agreed)) =
            (&fact.what, &self.agreed)
        {
            text = format!("{text} {agreed}.");
        }
        let mut entry = Entry {
            at: fact.at,
            kind: fact.what.kind().to_owned(),
            text,
            count: 1,
            last_at: None,
            until: None,
            remedy: None,
            order: None,
            holds: Vec::new(),
            grants: Vec::new(),
            why: why::told(&fact.what),
        };
        match &fact.what {
            What::OrderHeld { remedy, holds, until, .. } => {
                entry.remedy = Some(remedy.to_string());
                entry.until = *until;
                entry.holds = rulings(holds);
            }
            What::RemedyShadowed { remedy, holds, .. } => {
                entry.remedy = Some(remedy.to_string());
                entry.holds = rulings(holds);
            }
            What::OrderIssued { order } | What::OrderReissued { order } => {
                entry.remedy = Some(order.id.remedy.to_string());
                entry.order = Some(order.id.to_string());
                entry.grants = sentence::grants(&order.grants);
            }
            What::ApprovalAsked { asked, grants, .. } => {
                entry.remedy = Some(asked.order.remedy.to_string());
                entry.order = Some(asked.order.to_string());
                entry.until = Some(asked.expires_at);
                entry.grants = sentence::grants(grants);
            }
            What::OrderReturned { order }
            | What::OrderGone { order }
            | What::OrderProgressed { order, .. }
            | What::Collected { order, .. }
            | What::OrderCancelled { order, .. }
            | What::OrderEnded { order, .. }
            | What::TurnedWorse { order, .. } => {
                entry.remedy = Some(order.remedy.to_string());
                entry.order = Some(order.to_string());
            }
            What::RemedyGivenUp { remedy, .. } | What::ShadowJudged { remedy, .. } => {
                entry.remedy = Some(remedy.to_string());
            }
            What::RetryScheduled { until, .. } | What::VerificationBegan { until, .. } => {
                entry.until = Some(*until);
            }
            _ => {}
        }
        let repeats = matches!(fact.what, What::OrderHeld { .. } | What::EvidenceSeen { .. });
        match self.view.timeline.last_mut() {
            Some(last)
                if repeats
                    && (&last.kind, &last.text, &last.remedy)
                        == (&entry.kind, &entry.text, &entry.remedy) =>
            {
                last.count += 1;
                last.last_at = Some(entry.at);
                last.until = entry.until;
                why::amend(last, entry.why);
            }
            _ => self.view.timeline.push(entry),
        }
        true
    }
}

fn standing_use(used: &StandingUse) -> StandingUseView {
    let StandingUse { approval, by, left, until } = used;
    StandingUseView { id: approval.to_string(), by: by.clone(), left: *left, until: *until }
}

fn end(order: &mut OrderView, ended: &Ended, at: Timestamp) {
    order.state = OrderState::Ended;
    order.started_at = ended.started_at;
    order.ended_at = Some(at);
    order.result = Some(ended.outcome.as_str().to_owned());
    order.outcome = Some(ended.outcome.to_string());
    order.output.clone_from(&ended.output);
    match &ended.outcome {
        Outcome::Exited { code } => order.exit_code = Some(*code),
        Outcome::Signalled { signal } => order.signal = Some(*signal),
        Outcome::Answered { status, .. } => order.http_status = Some(*status),
        Outcome::Done
        | Outcome::Failed { .. }
        | Outcome::TimedOut
        | Outcome::Cancelled
        | Outcome::NotStarted { .. }
        | Outcome::Refused { .. }
        | Outcome::Unknown { .. } => {}
    }
}

#[cfg(test)]
mod tests;
