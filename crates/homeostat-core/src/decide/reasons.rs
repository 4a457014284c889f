//! What is written down beside a choice, so that somebody can be told why: the candidates, the
//! guards that cleared, the evidence.
//!
//! An order, a shadow note and a question for approval tell all of it. Holds are written again and
//! again, for days perhaps, so a hold that follows one of the same remedy tells only what is new:
//! never the candidates, which cannot have moved; the guards that cleared only where other guards
//! hold than before; what was asked, if anybody was.

use super::Desk;
use crate::evidence::Evidence;
use crate::fact::What;
use crate::guard::Grant;
use crate::hold::{Guard, Hold};
use crate::incident::{Incident, Stage};
use crate::name::{Part, RemedyName};
use crate::policy::Policy;
use crate::time::Timestamp;
use crate::why::{self, Why};

/// What there was to choose from, and what was known when this remedy was chosen.
pub(super) fn of(
    desk: &Desk<'_>,
    incident: &Incident,
    policy: &Policy,
    remedy: &RemedyName,
    evidence: &Evidence,
) -> Why {
    let candidates = why::candidates(policy, remedy, &incident.tried, incident.relapse_of);
    Why { candidates, ..Why::default() }.on(evidence, desk.now)
}

/// What is held, and by whom.
pub(super) struct Held {
    /// Which remedy.
    pub(super) remedy: RemedyName,
    /// The remedy, or its undo.
    pub(super) part: Part,
    /// Why it is held.
    pub(super) holds: Vec<Hold>,
    /// What the other guards say.
    pub(super) cleared: Vec<Grant>,
    /// When it is judged again.
    pub(super) until: Option<Timestamp>,
}

/// Writes a hold down. An undo is no rung of the policy's ladder and has no candidates.
pub(super) fn hold(
    desk: &mut Desk<'_>,
    incident: &Incident,
    held: Held,
    evidence: &Evidence,
    policy: Option<&Policy>,
) {
    let Held { remedy, part, holds, cleared, until } = held;
    let is_first = incident.looks == 0;
    let why = match policy.filter(|_| is_first) {
        Some(policy) => of(desk, incident, policy, &remedy, evidence),
        None => Why::default().on(evidence, desk.now),
    };
    let grants = if is_first || other_guards_hold(incident, &holds) { cleared } else { Vec::new() };
    let (incident, why) = (incident.id, why.boxed());
    desk.note(What::OrderHeld { incident, remedy, part, holds, until, grants, why });
}

/// Tells whether other guards hold it than at the last look, as far as that is still known.
fn other_guards_hold(incident: &Incident, holds: &[Hold]) -> bool {
    let Stage::Held { holds: before, .. } = &incident.stage else { return false };
    let guards = |holds: &[Hold]| holds.iter().map(Hold::guard).collect::<Vec<Guard>>();
    guards(before) != guards(holds)
}
