//! Silence: what a person has silenced, or another alert inhibits, is left alone.
//!
//! One alert of the incident that is not suppressed is enough to go on.

use super::{Deed, Ruling};
use crate::evidence::Evidence;
use crate::hold::Hold;

pub(super) fn judge(deed: &Deed<'_>, evidence: &Evidence) -> Ruling {
    let mut suppressed_by = None;
    for (alert, _) in &deed.firing {
        match evidence.listing(alert) {
            Some(Ok(listing)) => match &listing.alert {
                Some(listed) => match &listed.suppressed_by {
                    Some(by) => suppressed_by = Some(by.clone()),
                    None => return Ruling::Clear("not silenced".into()),
                },
                None => {}
            },
            Some(Err(_)) | None => {}
        }
    }
    match suppressed_by {
        Some(by) => Ruling::Hold(Hold::Silenced { by }),
        None => Ruling::Clear("no Alertmanager suppresses it".into()),
    }
}
