//! What is told to people, from the moment when it is owed until nothing is owed any more.
//!
//! Not its duty: who accepts a notice, and by which way it reaches a person (a door's).

use super::{Desk, firing};
use crate::event::Effect;
use crate::fact::What;
use crate::incident::{Incident, Stage};
use crate::limits::{self, defaults};
use crate::name::SourceName;
use crate::notice::{Matter, Notice, Obligation, Topic};
use crate::policy::Escalate;

/// Tells a person that an incident is theirs.
pub(super) fn escalate(
    desk: &mut Desk<'_>,
    incident: &Incident,
    escalate: &Escalate,
    reason: String,
) {
    let Escalate::After { severity, .. } = escalate else { return };
    let matter = Matter::Escalation { incident: incident.id, tried: incident.tried.clone() };
    // What is not known any more, because no alert fires, the notice before this one has said.
    let topic = Topic::Escalation { incident: incident.id };
    let before = desk.state.notice(&topic).map(|owed| &owed.notice);
    let (source, alertname) = match (firing(desk.state, incident).next(), before) {
        (Some((_, alert)), _) => (alert.source.clone(), alert.name().to_owned()),
        (None, Some(before)) => (before.source.clone(), before.alertname.clone()),
        (None, None) => (SourceName::new(""), String::new()),
    };
    raise(
        desk,
        Notice {
            matter,
            policy: incident.policy.clone(),
            target: incident.target.clone(),
            source,
            alertname,
            severity: severity.to_string(),
            reason,
            since: desk.now,
        },
    );
}

/// Tells a person about an incident that is open for long, or whose alert fires on.
pub(super) fn delay(desk: &mut Desk<'_>, incident: &Incident) {
    let age = desk.now.since(incident.opened_at);
    let reason = match &incident.stage {
        Stage::Closed { at, closing } => format!(
            "it was {} {} ago, and its alert still fires",
            closing.outcome,
            desk.now.since(*at)
        ),
        Stage::Held { holds, .. } => {
            let holds: Vec<String> = holds.iter().map(ToString::to_string).collect();
            format!("open for {age} and held: {}", holds.join("; "))
        }
        stage @ (Stage::Settling { .. }
        | Stage::Ready
        | Stage::Asking { .. }
        | Stage::BackingOff { .. }
        | Stage::Acting
        | Stage::Verifying(_)) => format!("open for {age} and {}; healing goes on", stage.as_str()),
    };
    let escalate = desk.book.policy(&incident.policy).map(|policy| policy.escalate.clone());
    let escalate = escalate.unwrap_or_else(|| Escalate::After {
        after: defaults::ESCALATE_AFTER,
        severity: defaults::ESCALATE_SEVERITY.into(),
    });
    let told_before = desk.decision.facts.len();
    self::escalate(desk, incident, &escalate, reason);
    if desk.decision.facts.len() == told_before {
        desk.note(What::AlarmDropped { incident: incident.id });
    }
}

/// Owes a notice to people. One about a topic that is open already takes its place.
pub(super) fn raise(desk: &mut Desk<'_>, notice: Notice) {
    let topic = notice.topic();
    let open = desk.state.notices().len() + desk.raised;
    if desk.state.notice(&topic).is_none() {
        if open >= limits::OPEN_NOTICES {
            return desk.note(What::NoticeWithheld { topic, open: open as u64 });
        }
        desk.raised += 1;
    }
    desk.note(What::NoticeRaised { notice: notice.clone() });
    desk.want(Effect::Tell(Box::new(notice)));
}

/// Owes people the word that it is over, where they were owed a notice.
pub(super) fn clear(desk: &mut Desk<'_>, topic: Topic) {
    if let Some(owed) = desk.state.notice(&topic).filter(|owed| !owed.cleared) {
        desk.note(What::NoticeCleared { topic });
        desk.want(Effect::Clear(Box::new(owed.notice.clone())));
    }
}

/// Takes the word that all have accepted a notice, unless another has taken its place since.
pub(super) fn told(desk: &mut Desk<'_>, notice: &Notice) {
    let topic = notice.topic();
    if desk.state.notice(&topic).is_some_and(|owed| !owed.told && owed.notice == *notice) {
        desk.note(What::NoticeTold { topic });
    }
}

/// Takes the word that nothing is owed any more, unless the topic was opened again since.
pub(super) fn ended(desk: &mut Desk<'_>, topic: Topic) {
    if desk.state.notice(&topic).is_some_and(|owed| owed.cleared) {
        desk.note(What::NoticeEnded { topic });
    }
}

/// Returns what an obligation asks for after a restart. What nobody heard of is told even if it is
/// over by now.
pub(super) fn again(owed: &Obligation) -> impl Iterator<Item = Effect> {
    let notice = || Box::new(owed.notice.clone());
    let tell = (!owed.told).then(|| Effect::Tell(notice()));
    let keep_up = (owed.told && !owed.cleared).then(|| Effect::Remind(notice()));
    let clear = owed.cleared.then(|| Effect::Clear(notice()));
    tell.into_iter().chain(keep_up).chain(clear)
}
