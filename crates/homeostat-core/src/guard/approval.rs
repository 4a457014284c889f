//! Approval: where the mode is `approve`, a person has agreed to this very run.
//!
//! An approval is bound to the order and to its rendered action, and it expires. One that was given
//! for anything else counts as none.

use super::{Deed, Ruling};
use crate::approval::Consent;

pub(super) fn judge(deed: &Deed<'_>) -> Option<Ruling> {
    let Consent::Needed { digest, approved } = &deed.consent else { return None };
    Some(match approved {
        Some(approved) if approved.covers(digest, deed.now) => Ruling::Clear(approved.to_string()),
        Some(_) | None => Ruling::Unapproved,
    })
}
