//! Pause: while an operator says so, nothing starts. Running actions finish and are verified.

use super::Ruling;
use crate::hold::Hold;
use crate::ledger::Ledgers;

pub(super) fn judge(ledgers: &Ledgers) -> Ruling {
    match &ledgers.paused {
        None => Ruling::Clear("not paused".into()),
        Some(pause) => {
            Ruling::Hold(Hold::Paused { by: pause.by.to_string(), reason: pause.reason.clone() })
        }
    }
}
