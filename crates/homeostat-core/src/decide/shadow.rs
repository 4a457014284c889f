//! What remedies in shadow would have been worth: judged when their time is over, or when the
//! trouble is.

use super::Desk;
use crate::fact::What;
use crate::incident::{Incident, Standing};
use crate::shadow::{Shadow, Worth};
use crate::time::Span;

/// Judges those whose time is over while an alert still fires.
pub(super) fn overdue(desk: &mut Desk<'_>, incident: &Incident) {
    let now = desk.now;
    for shadow in incident.shadows.iter().filter(|shadow| shadow.until <= now) {
        judge(desk, incident, shadow, Worth::Needed);
    }
}

/// Judges those whose time is not over, if all alerts of their incident have resolved by now.
pub(super) fn settle(desk: &mut Desk<'_>, incident: &Incident) {
    let resolved = |standing: Standing| standing == Standing::Resolved;
    if incident.episodes.iter().all(|attached| resolved(attached.standing)) {
        for shadow in incident.shadows.iter() {
            judge(desk, incident, shadow, shadow.worth(desk.now));
        }
    }
}

fn judge(desk: &mut Desk<'_>, incident: &Incident, shadow: &Shadow, worth: Worth) {
    // A span is written to the millisecond.
    let after = Span::from_millis(desk.now.since(shadow.since).as_millis());
    desk.note(What::ShadowJudged {
        incident: incident.id,
        policy: incident.policy.clone(),
        remedy: shadow.remedy.clone(),
        worth,
        after,
    });
}
