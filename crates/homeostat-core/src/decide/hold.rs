//! A hold as it is written down: with what it should be told beside, and when it is judged again.
//!
//! An order, a shadow note and a question for approval tell all that was known. Holds are written again
//! and again, for days perhaps, so a hold that follows one of the same remedy tells only what is new:
//! never the candidates, which cannot have moved; the guards that cleared only where other guards
//! hold than before; what was asked, if anybody was.

use super::next::Held;
use super::view::View;
use crate::evidence::Evidence;
use crate::guard::Grant;
use crate::hold::{Gate, Guard, Hold};
use crate::incident::Incident;
use crate::limits;
use crate::name::{Part, RemedyName};
use crate::policy::Policy;
use crate::time::Timestamp;
use crate::why::{self, Why};

/// What there was to choose from, and what was known when this remedy was chosen.
pub(super) fn why(
    view: View<'_>,
    incident: &Incident,
    policy: &Policy,
    remedy: &RemedyName,
    evidence: &Evidence,
) -> Why {
    let candidates = why::candidates(policy, remedy, &incident.tried, incident.relapse_of);
    Why { candidates, ..Why::default() }.on(evidence, view.now)
}

/// A remedy that is held.
pub(super) fn remedy(
    view: View<'_>,
    incident: &Incident,
    (policy, remedy): (&Policy, &RemedyName),
    (holds, cleared): (Vec<Hold>, Vec<Grant>),
    evidence: &Evidence,
) -> Held {
    let why = if incident.looks == 0 {
        self::why(view, incident, policy, remedy, evidence)
    } else {
        Why::default().on(evidence, view.now)
    };
    let until = look_again(view, incident, &holds);
    let grants = told(incident, &holds, cleared);
    Held { remedy: remedy.clone(), part: Part::Heal, holds, grants, until, why }
}

/// An undo that is held, until it is left at the latest. It is no rung of the policy's ladder and has no
/// candidates.
pub(super) fn undo(
    view: View<'_>,
    incident: &Incident,
    (remedy, left_at): (&RemedyName, Timestamp),
    (holds, cleared): (Vec<Hold>, Vec<Grant>),
    evidence: &Evidence,
) -> Held {
    let until = look_again(view, incident, &holds).map_or(left_at, |until| until.min(left_at));
    let why = Why::default().on(evidence, view.now);
    let grants = told(incident, &holds, cleared);
    Held { remedy: remedy.clone(), part: Part::Undo, holds, grants, until: Some(until), why }
}

/// What the guards that cleared say, where other guards hold than at the last look, as far as that is
/// still known.
fn told(incident: &Incident, holds: &[Hold], cleared: Vec<Grant>) -> Vec<Grant> {
    let guards = |holds: &[Hold]| holds.iter().map(Hold::guard).collect::<Vec<Guard>>();
    let before = incident.stage.holds();
    let others = !before.is_empty() && guards(before) != guards(holds);
    if incident.looks == 0 || others { cleared } else { Vec::new() }
}

/// When a hold is judged again. A gate wakes the oldest who wait for it; the others look by
/// themselves, in case those that were woken did not use it.
///
/// There may be room for a few at a moment for which a thousand wait: those far behind leave it to
/// the oldest, and follow when these have moved.
fn look_again(view: View<'_>, incident: &Incident, holds: &[Hold]) -> Option<Timestamp> {
    let by_itself = view.now + incident.look_again_after();
    if let Some(known) = holds.iter().filter_map(Hold::until).max() {
        let behind = |gate: &Gate| {
            matches!(gate, Gate::Radius(_) | Gate::Calm(_))
                && view.state.is_far_behind(gate, incident.id)
        };
        let behind = holds.iter().filter_map(Hold::gate).any(|gate| behind(&gate));
        return Some(if behind { by_itself.max(known + limits::GATE_PATIENCE) } else { known });
    }
    if holds.iter().any(|hold| hold.gate().is_none() || hold.changes_by_itself()) {
        return Some(by_itself);
    }
    let all_are_woken = holds.iter().filter_map(Hold::gate).all(|gate| gate.is_for_all());
    (!all_are_woken).then(|| view.now + limits::GATE_PATIENCE)
}

/// How long nobody answered, for a person.
pub(super) fn no_answer() -> String {
    format!("nobody answered within {}", limits::ANSWER_PATIENCE)
}

/// Evidence as fresh as an order needs it, or why it is not.
pub(super) fn fresh(evidence: &Evidence, now: Timestamp) -> Result<(), String> {
    let age = now.since(evidence.gathered_at);
    if age <= limits::EVIDENCE_AGE {
        return Ok(());
    }
    Err(format!("evidence was {age} old when it came: witnesses are too slow"))
}
