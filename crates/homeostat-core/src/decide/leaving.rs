//! How a closed incident is left: forgotten, or kept for a person though nothing is heard of it; and what
//! remedies in shadow would have been worth, which is known when their time is over, or the trouble is.

use super::closing;
use super::desk::Desk;
use super::next::Next;
use super::view::View;
use crate::fact::What;
use crate::incident::Incident;
use crate::notice::Topic;
use crate::shadow::{Shadow, Worth};
use crate::time::Span;

/// Takes the next step of a closed incident whose alerts have all ended: it is forgotten, unless a
/// person was told of it and nobody knows that its trouble is over.
pub(super) fn settle(view: View<'_>, incident: &Incident) -> Option<Next> {
    if !incident.all_ended() || incident.watches_worse() {
        return None;
    }
    match (view.state.is_owed_unheard(incident), incident.unheard) {
        (false, _) => Some(Next::Release),
        (true, false) => Some(Next::LoseSight),
        (true, true) => None,
    }
}

/// Says in the notice that nothing is heard of the alert any more. Only its source, proof, or an
/// operator ends it.
pub(super) fn lose_sight(desk: &mut Desk<'_>, incident: &Incident) {
    desk.note(What::SightLost { incident: incident.id });
    let topic = Topic::Escalation { incident: incident.id };
    if let Some(owed) = desk.state.notice(&topic) {
        let reason = closing::with_silence(desk.view(), &owed.notice.reason);
        desk.raise(owed.notice.reworded(reason));
    }
}

/// Forgets a closed incident whose alerts have all ended: the next firing is a new trouble.
pub(super) fn release(desk: &mut Desk<'_>, incident: &Incident) {
    if incident.all_resolved() {
        for shadow in incident.shadows.iter() {
            judge(desk, incident, shadow, shadow.worth(desk.now));
        }
    }
    desk.note(What::LatchReleased { incident: incident.id });
    desk.clear(Topic::Escalation { incident: incident.id });
}

/// Judges what was recorded and whose time is over while an alert still fires.
pub(super) fn overdue(view: View<'_>, incident: &Incident) -> Vec<Next> {
    let overdue = incident.shadows.iter().filter(|shadow| shadow.until <= view.now);
    overdue.map(|shadow| Next::Judge(shadow.clone(), Worth::Needed)).collect()
}

/// Notes what a record was worth.
pub(super) fn judge(desk: &mut Desk<'_>, incident: &Incident, shadow: &Shadow, worth: Worth) {
    // A span is written to the millisecond.
    let after = Span::from_millis(desk.now.since(shadow.since).as_millis());
    let (incident, policy) = (incident.id, incident.policy.clone());
    let remedy = shadow.remedy.clone();
    desk.note(What::ShadowJudged { incident, policy, remedy, worth, after });
}
