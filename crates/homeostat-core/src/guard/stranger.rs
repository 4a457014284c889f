//! Stranger: whoever sent the alert is named. A hook of any name takes alerts in; as soon as the
//! configuration names anybody, what comes by another name is not acted on until it is named, too:
//! nobody could vouch for it.
//!
//! One alert of the incident that fires and comes from somebody who is named is enough.

use super::{Deed, Ruling};
use crate::hold::Hold;
use crate::policy::Book;

pub(super) fn judge(deed: &Deed<'_>, book: &Book) -> Ruling {
    let witnesses = &book.witnesses;
    let mut strange = deed.firing.iter().filter(|(alert, _)| witnesses.is_stranger(alert));
    match strange.next() {
        Some((alert, _)) if strange.count() + 1 == deed.firing.len() => {
            Ruling::Hold(Hold::Unnamed { source: alert.source.clone() })
        }
        Some(_) | None => Ruling::Unset,
    }
}
