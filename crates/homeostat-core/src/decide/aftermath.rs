//! What a closed incident has left open: looked after until it is known.
//!
//! | left open | a look finds | becomes |
//! |---|---|---|
//! | rules remember, a query decided | one fires past its memory | a relapse, with the next remedy |
//! | | none fires any more | nothing is left |
//! | | no word | looked at again, while its alert fires |
//! | what a remedy made worse | it fires no more, by a complete listing | its notice ends with its alerts |
//! | | anything else | looked at again |

use super::next::Next;
use super::view::View;
use super::{hold, prove};
use crate::evidence::{Ask, Evidence};
use crate::healing::{self, Firing, Look, Verification};
use crate::incident::{Aftermath, Incident, Loose};
use crate::limits;
use crate::regression::{Baseline, Change};

/// Looks, if it is time, or gives up waiting for an answer.
pub(super) fn wake(view: View<'_>, incident: &Incident, left: &Aftermath) -> Option<Next> {
    match left.look {
        Look::Due(at) if at <= view.now => Some(look(view, incident, left)),
        Look::Asked(at) if view.now.since(at) >= limits::ANSWER_PATIENCE => {
            Some(again(view, hold::no_answer()))
        }
        Look::Due(_) | Look::Asked(_) | Look::Nobody => None,
    }
}

fn look(view: View<'_>, incident: &Incident, left: &Aftermath) -> Next {
    let asks: Vec<Ask> = match (&left.matter, &incident.order) {
        (Loose::Memory(verification), Some(order)) => {
            let proving = prove::proving(view, incident, &order.proof, Some(verification));
            proving.questions(view.patients(incident))
        }
        (Loose::Worse, _) => {
            baseline(incident).map(Baseline::questions).into_iter().flatten().collect()
        }
        (Loose::Memory(_), None) => Vec::new(),
    };
    if asks.is_empty() {
        return over("nobody can be asked any more".to_owned());
    }
    Next::Ask(asks)
}

fn baseline(incident: &Incident) -> Option<&Baseline> {
    incident.seeks.worse()?.order.proof.baseline.as_ref()
}

/// Reads what a look found.
pub(super) fn read(
    view: View<'_>,
    incident: &Incident,
    left: &Aftermath,
    evidence: &Evidence,
) -> Vec<Next> {
    match (left.look, &left.matter) {
        (Look::Due(_) | Look::Nobody, _) => Vec::new(),
        (Look::Asked(_), Loose::Memory(verification)) => {
            read_memory(view, incident, verification, evidence)
        }
        (Look::Asked(_), Loose::Worse) => vec![read_worse(view, incident, evidence)],
    }
}

fn read_memory(
    view: View<'_>,
    incident: &Incident,
    verification: &Verification,
    evidence: &Evidence,
) -> Vec<Next> {
    let Some(order) = &incident.order else { return Vec::new() };
    let act = prove::act(view, &order.proof, verification);
    let proving = prove::proving(view, incident, &order.proof, Some(verification));
    let reading = proving.read(&act, view.patients(incident), evidence);
    let ward = view.state.ward(incident, &order.proof, verification);
    let goes_on = healing::goes_on(&order.proof, verification, &reading, ward.patients());
    match (goes_on, view.policy(incident)) {
        (Firing::Yes, Some(_)) => {
            vec![over(format!("it was not healed: {}", reading.text)), Next::Relapse]
        }
        (Firing::No, _) | (Firing::Yes, None) => vec![over(reading.text)],
        (Firing::Unknown, _) => vec![again(view, reading.text)],
    }
}

fn read_worse(view: View<'_>, incident: &Incident, evidence: &Evidence) -> Next {
    let (Some(worse), Some(baseline)) = (incident.seeks.worse(), baseline(incident)) else {
        return over("nothing is known of it any more".to_owned());
    };
    let since = view.state.clock().certainly_after(worse.since, view.now);
    match baseline.compare(since, evidence) {
        Change::Same => over("what became worse fires no more".to_owned()),
        Change::Worse { text } | Change::Unknown { text } => again(view, text),
    }
}

fn over(text: String) -> Next {
    Next::LookAfter { text, next: None }
}

fn again(view: View<'_>, text: String) -> Next {
    Next::LookAfter { text, next: Some(view.now + limits::AFTERMATH_LOOK) }
}
