//! Regression: what else is there on the target can be listed, so that it can be told afterwards
//! whether the remedy made something worse. Only where the policy has a `regression`.
//!
//! A listing that may not be complete holds, and so does none: what was not seen before the act
//! would look like its work. Source of what a listing means: [`crate::regression`].

use super::{Deed, Ruling};
use crate::evidence::{Ask, Evidence};
use crate::hold::Hold;
use crate::policy::Book;
use crate::regression;

pub(super) fn questions(deed: &Deed<'_>, book: &Book) -> Vec<Ask> {
    regression::questions(deed.policy, deed.target, &book.witnesses)
}

pub(super) fn judge(deed: &Deed<'_>, book: &Book, evidence: &Evidence) -> Option<Ruling> {
    let asked = deed.policy.regression.as_ref()?;
    let witnesses = &book.witnesses;
    Some(match regression::baseline(deed.policy, asked, deed.target, witnesses, evidence) {
        Ok(baseline) => {
            let there: usize = baseline.listed.iter().map(|listed| listed.alerts.len()).sum();
            let alerts = if there == 1 { "alert" } else { "alerts" };
            Ruling::Clear(format!("{there} watched {alerts} of this target before the act"))
        }
        Err(why) => Ruling::Hold(Hold::NoListing { why }),
    })
}
