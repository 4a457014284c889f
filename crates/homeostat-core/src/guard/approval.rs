//! Approval: where the mode is `approve`, a person has agreed to this very run.
//!
//! An approval is bound to the order and to its rendered action, and it expires. One that was given
//! for anything else counts as none.

use super::{Deed, Ruling};
use crate::approval::Consent;

pub(super) fn judge(deed: &Deed<'_>) -> Option<Ruling> {
    match deed.consent {
        Consent::NotNeeded => None,
        Consent::Needed { .. } => Some(
            deed.consent
                .given(deed.now)
                .map_or(Ruling::Unapproved, |approved| Ruling::Clear(approved.to_string())),
        ),
    }
}
