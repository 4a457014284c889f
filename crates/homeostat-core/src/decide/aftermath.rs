//! What a closed incident has left open: looked after until it is known.
//!
//! | left open | a look finds | becomes |
//! |---|---|---|
//! | rules remember, a query decided | one fires past its memory | a relapse, with the next remedy |
//! | | none fires any more | nothing is left |
//! | | no word | looked at again, while its alert fires |
//! | what a remedy made worse | it fires no more, by a complete listing | its notice ends with its alerts |
//! | | anything else | looked at again |

use super::{Desk, observe, patients, prove, pursue};
use crate::evidence::{Ask, Evidence};
use crate::fact::What;
use crate::healing::{self, Firing, Look, Verification};
use crate::incident::{Aftermath, Incident, Loose};
use crate::limits;
use crate::regression::{Baseline, Change};

/// Looks, if it is time, or gives up waiting for an answer.
pub(super) fn wake(desk: &mut Desk<'_>, incident: &Incident, left: &Aftermath) {
    match left.look {
        Look::Due(at) if at <= desk.now => look(desk, incident, left),
        Look::Asked(at) if desk.now.since(at) >= limits::ANSWER_PATIENCE => {
            again(desk, incident, format!("nobody answered within {}", limits::ANSWER_PATIENCE));
        }
        Look::Due(_) | Look::Asked(_) | Look::Nobody => {}
    }
}

fn look(desk: &mut Desk<'_>, incident: &Incident, left: &Aftermath) {
    let asks: Vec<Ask> = match (&left.matter, &incident.order) {
        (Loose::Memory(verification), Some(order)) => {
            let proving = prove::proving(desk, incident, &order.proof, Some(verification));
            proving.questions(patients(desk.state, incident))
        }
        (Loose::Worse, _) => {
            baseline(incident).map(Baseline::questions).into_iter().flatten().collect()
        }
        (Loose::Memory(_), None) => Vec::new(),
    };
    if asks.is_empty() {
        return over(desk, incident, "nobody can be asked any more".to_owned());
    }
    pursue::ask(desk, incident, asks);
}

fn baseline(incident: &Incident) -> Option<&Baseline> {
    incident.seeks.worse()?.order.proof.baseline.as_ref()
}

/// Reads what a look found.
pub(super) fn read(
    desk: &mut Desk<'_>,
    incident: &Incident,
    left: &Aftermath,
    evidence: &Evidence,
) {
    match &left.matter {
        Loose::Memory(verification) => read_memory(desk, incident, verification, evidence),
        Loose::Worse => read_worse(desk, incident, evidence),
    }
}

fn read_memory(
    desk: &mut Desk<'_>,
    incident: &Incident,
    verification: &Verification,
    evidence: &Evidence,
) {
    let Some(order) = &incident.order else { return };
    let act = prove::act(desk, &order.proof, verification);
    let proving = prove::proving(desk, incident, &order.proof, Some(verification));
    let reading = proving.read(&act, patients(desk.state, incident), evidence);
    let goes_on =
        healing::goes_on(&order.proof, verification, &reading, &desk.state.patients(incident));
    match (goes_on, desk.book.policy(&incident.policy)) {
        (Firing::Yes, Some(policy)) => {
            over(desk, incident, format!("it was not healed: {}", reading.text));
            observe::open_relapse(desk, incident, policy);
        }
        (Firing::No, _) | (Firing::Yes, None) => over(desk, incident, reading.text),
        (Firing::Unknown, _) => again(desk, incident, reading.text),
    }
}

fn read_worse(desk: &mut Desk<'_>, incident: &Incident, evidence: &Evidence) {
    let (Some(worse), Some(baseline)) = (incident.seeks.worse(), baseline(incident)) else {
        return over(desk, incident, "nothing is known of it any more".to_owned());
    };
    let since = desk.state.clock().certainly_after(worse.since, desk.now);
    match baseline.compare(since, evidence) {
        Change::Same => over(desk, incident, "what became worse fires no more".to_owned()),
        Change::Worse { text } | Change::Unknown { text } => again(desk, incident, text),
    }
}

fn over(desk: &mut Desk<'_>, incident: &Incident, text: String) {
    desk.note(What::AftermathSeen { incident: incident.id, text, next: None });
}

fn again(desk: &mut Desk<'_>, incident: &Incident, text: String) {
    let next = Some(desk.now + limits::AFTERMATH_LOOK);
    desk.note(What::AftermathSeen { incident: incident.id, text, next });
}
