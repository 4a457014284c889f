//! Lock: one thing is healed by one incident at a time, through verification to its end.
//!
//! The default key is the target, across all policies. A policy without a target heals one thing
//! at a time.

use super::Ruling;
use crate::hold::Hold;
use crate::ledger::Ledgers;
use crate::name::IncidentId;
use crate::plan::LockKey;

pub(super) fn judge(incident: IncidentId, locks: &[LockKey], ledgers: &Ledgers) -> Ruling {
    for key in locks {
        match ledgers.holder(key) {
            Some(by) if by != incident => {
                return Ruling::Hold(Hold::Locked { key: key.clone(), by });
            }
            Some(_) | None => {}
        }
    }
    let keys: Vec<String> = locks.iter().map(ToString::to_string).collect();
    Ruling::Clear(format!("free: {}", keys.join(", ")))
}
