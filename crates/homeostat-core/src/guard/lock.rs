//! Lock: one thing is healed by one incident at a time, through verification to its end.
//!
//! The default key is the target, across all policies. A policy without a target heals one thing
//! at a time.

use super::{Deed, Ruling};
use crate::hold::Hold;
use crate::ledger::Ledgers;

pub(super) fn judge(deed: &Deed<'_>, ledgers: &Ledgers) -> Ruling {
    for key in deed.locks {
        match ledgers.holder(key) {
            Some(by) if by != deed.incident => {
                return Ruling::Hold(Hold::Locked { key: key.clone(), by });
            }
            Some(_) | None => {}
        }
    }
    let keys: Vec<String> = deed.locks.iter().map(ToString::to_string).collect();
    Ruling::Clear(format!("free: {}", keys.join(", ")))
}
