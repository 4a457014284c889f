//! Approval: where the mode is `approve`, people have agreed to this very run, or ahead to runs of its
//! kind.
//!
//! An approval is bound to the order and to its rendered action, and it expires. One that was given
//! for anything else counts as none.

use super::{Deed, Ruling};
use crate::approval::Consent;

pub(super) fn judge(deed: &Deed<'_>) -> Option<Ruling> {
    match deed.consent {
        Consent::NotNeeded => None,
        Consent::Sought => Some(Ruling::Unapproved),
        Consent::Given(approved) => Some(Ruling::Clear(approved.to_string())),
        Consent::Standing(approval) => Some(Ruling::Clear(approval.to_string())),
    }
}
