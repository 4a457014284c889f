//! What is told to people and what they say: notices, questions, commands.

use std::sync::Arc;

use crate::approval::{Approved, Vote};
use crate::command::Command;
use crate::fact::What;
use crate::incident::{Incident, Stage};
use crate::notice::{Obligation, Topic};
use crate::text::Text;
use crate::time::Timestamp;

use super::State;

impl State {
    pub(super) fn take_word(&mut self, what: &What, at: Timestamp) {
        match what {
            What::ApprovalAsked { incident, asked, .. } => self.change(*incident, |incident| {
                incident.approved = None;
                incident.votes.clear();
                incident.looks = 0;
                incident.stage = Stage::AwaitingApproval(Box::new(asked.clone()));
            }),
            What::ApprovalVoided { incident, .. } => self.change(*incident, |incident| {
                incident.approved = None;
                incident.votes.clear();
                incident.stage = Stage::Ready;
            }),
            What::IncidentCommanded { incident, command: Command::Approve, missing: 0, .. } => {
                self.change(*incident, |incident| approve(incident, what, at));
            }
            What::IncidentCommanded {
                incident,
                command: Command::Approve,
                by,
                reason,
                ahead,
                ..
            } => {
                let (by, reason, ahead) = (by.clone(), reason.clone(), *ahead);
                self.amend(*incident, |incident| {
                    incident.votes.room().push(Vote { by, reason, at, ahead });
                });
            }
            What::IncidentCommanded { incident, command: Command::Retry, by, .. } => {
                let who = by.identity().map(Text::new);
                self.amend(*incident, |incident| incident.retried_by = who);
            }
            What::IncidentCommanded { incident, command: Command::Cancel, by, reason, .. } => {
                let word =
                    if reason.is_empty() { by.to_string() } else { format!("{by}: {reason}") };
                self.amend(*incident, |incident| incident.seeks.cancel(word.into()));
            }
            What::ApprovalStands { approval } => {
                self.last_approval = approval.id;
                self.approvals.enter(Arc::new(approval.clone()));
            }
            What::ApprovalEnded { approval, .. } => self.approvals.remove(*approval),
            _ => {}
        }
    }

    pub(super) fn note_telling(&mut self, what: &What) {
        match what {
            What::NoticeRaised { notice } => {
                let owed = Obligation { notice: notice.clone(), cleared: false, told: false };
                self.notices.insert(notice.topic(), owed);
                self.drop_alarm(&notice.topic());
            }
            What::NoticeWithheld { topic, .. } => self.drop_alarm(topic),
            What::NoticeTold { topic } => {
                if let Some(owed) = self.notices.get_mut(topic) {
                    owed.told = true;
                }
            }
            What::NoticeCleared { topic } => {
                if let Some(owed) = self.notices.get_mut(topic) {
                    owed.cleared = true;
                }
                self.let_go_of(topic);
            }
            What::NoticeEnded { topic } => {
                self.notices.remove(topic);
            }
            _ => {}
        }
    }

    /// Nobody is told of a closed incident any more: what was still looked after for them is not.
    fn let_go_of(&mut self, topic: &Topic) {
        let Topic::Escalation { incident: id } = topic else { return };
        if self.incidents.get(id).is_some_and(|incident| incident.is_closed()) {
            self.amend(*id, |incident| {
                if incident.watches_worse() {
                    incident.aftermath = None;
                }
            });
            self.consider(*id);
        }
    }

    /// An incident that was escalated need not be told for its age any more.
    fn drop_alarm(&mut self, topic: &Topic) {
        match topic {
            Topic::Escalation { incident } => {
                self.amend(*incident, |incident| incident.tell_at = None);
            }
            Topic::Approval { .. } | Topic::Guard { .. } => {}
        }
    }
}

/// The last word that is needed is given.
fn approve(incident: &mut Incident, what: &What, at: Timestamp) {
    let (Stage::AwaitingApproval(asked), What::IncidentCommanded { by, reason, .. }) =
        (&incident.stage, what)
    else {
        return;
    };
    let (asked, by, reason) = ((**asked).clone(), by.clone(), reason.clone());
    let before = incident.votes.to_vec();
    incident.votes.clear();
    incident.approved = Some(Box::new(Approved { asked, by, reason, at, before }));
    incident.stage = Stage::Ready;
}
