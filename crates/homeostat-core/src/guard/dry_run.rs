//! Dry run: whoever is asked to do it says first what would come of it, in this very turn's evidence.
//!
//! A no that lasts stops the incident before anything was done, in the words of whoever said no. One that
//! may pass, and no answer, hold. Only a hand that can do so is asked.

use super::{Deed, Ruling};
use crate::errand::Errand;
use crate::evidence::{Ask, Evidence, Rehearsal};
use crate::hold::{Hold, Stop};
use crate::plan::Rendered;
use crate::policy::Action;

/// What is asked, where the deed is rehearsed.
pub(super) fn question(deed: &Deed<'_>) -> Option<Ask> {
    let errand = rehearsed(deed)?;
    Some(Ask::Rehearsal {
        errand: Box::new(errand.clone()),
        policy: deed.policy.name.clone(),
        remedy: deed.remedy.name.clone(),
    })
}

pub(super) fn judge(deed: &Deed<'_>, evidence: &Evidence) -> Option<Ruling> {
    let hold = |why: String| Ruling::Hold(Hold::NotRehearsed { why });
    Some(match evidence.rehearsal(rehearsed(deed)?) {
        Some(Ok(accepted @ Rehearsal::Accepted { .. })) => Ruling::Clear(accepted.to_string()),
        Some(Ok(no @ Rehearsal::NotNow(_))) => hold(no.to_string()),
        Some(Ok(Rehearsal::Refused(why))) => {
            Ruling::Stop(Stop::WouldBeRefused { why: why.clone() })
        }
        Some(Err(trouble)) => hold(format!("no answer: {}", trouble.0)),
        None => hold("nobody was asked".into()),
    })
}

fn rehearsed<'a>(deed: &Deed<'a>) -> Option<&'a Errand> {
    if !deed.policy.guard.dry_run {
        return None;
    }
    match (&deed.remedy.action, deed.action) {
        (Action::Errand(template), Some(Rendered::Errand(errand))) if template.rehearsed => {
            Some(errand)
        }
        _ => None,
    }
}
