//! Lock: one thing is healed by one incident at a time, through verification to its end; and by nothing
//! beside a run that may go on, whatever became of its incident.
//!
//! The default key is the target, across all policies. A policy without a target heals one thing
//! at a time.

use super::Ruling;
use crate::hold::Hold;
use crate::ledger::{Ledgers, Straggler};
use crate::name::IncidentId;
use crate::plan::LockKey;
use crate::policy::Remedy;
use crate::time::Timestamp;

/// Judges for a remedy, or for what takes one back.
pub(super) fn judge(
    (incident, remedy): (IncidentId, Option<&Remedy>),
    locks: &[LockKey],
    ledgers: &Ledgers,
    now: Timestamp,
) -> Ruling {
    for key in locks {
        if let Some(by) = ledgers.holder(key).filter(|by| *by != incident) {
            return Ruling::Hold(Hold::Locked { key: key.clone(), by });
        }
        // The configuration says that the same deed may be done twice.
        let again = |run: &Straggler| {
            let same = remedy.filter(|remedy| remedy.idempotent && remedy.name == run.order.remedy);
            run.order.incident == incident && run.until.is_some() && same.is_some()
        };
        if let Some(run) = ledgers.stragglers.on(key, now).filter(|run| !again(run)) {
            let Straggler { order, until, left, .. } = run.clone();
            return Ruling::Hold(Hold::MayGoOn { key: key.clone(), order, until, left });
        }
    }
    let keys: Vec<String> = locks.iter().map(ToString::to_string).collect();
    Ruling::Clear(format!("free: {}", keys.join(", ")))
}
