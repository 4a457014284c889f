//! Silence: what a person has silenced, or another alert inhibits, is left alone.
//!
//! One alert of the incident that its Alertmanager lists and nobody suppresses is enough to go on.

use super::{Deed, Ruling};
use crate::evidence::{Evidence, Listing};
use crate::hold::Hold;

pub(super) fn judge(deed: &Deed<'_>, evidence: &Evidence) -> Ruling {
    let mut suppressed_by = None;
    for (alert, _) in &deed.firing {
        let Some(Ok(Listing { alert: Some(listed), .. })) = evidence.listing(alert) else {
            continue;
        };
        match &listed.suppressed_by {
            Some(by) => suppressed_by = Some(by.clone()),
            None => return Ruling::Clear("not silenced".into()),
        }
    }
    match suppressed_by {
        Some(by) => Ruling::Hold(Hold::Silenced { by }),
        None => Ruling::Clear("no Alertmanager suppresses it".into()),
    }
}
