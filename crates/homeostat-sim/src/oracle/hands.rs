//! What can be rehearsed was, by the evidence of that moment, and nothing spoke against it.

use homeostat_core::evidence::{Evidence, Rehearsal};
use homeostat_core::order::Order;
use homeostat_core::plan::Rendered;
use homeostat_core::policy::{Action, Managed, Policy};
use homeostat_core::time::Timestamp;

use super::{Case, Oracle, Verdict, Violation};

impl Oracle {
    /// A hand that can say what would come of its errand said that it would be done.
    pub(super) fn is_rehearsed(
        &mut self,
        case: &Case,
        policy: &Policy,
        order: &Order,
        now: Timestamp,
    ) -> Verdict {
        let action = policy.remedy(&order.id.remedy).map(|remedy| &remedy.action);
        let can = matches!(action, Some(Action::Errand(errand)) if errand.rehearsed);
        if !can || !policy.guard.dry_run {
            return Ok(());
        }
        if let Some(Rehearsal::Accepted { managed_by }) = rehearsal(case, order, now) {
            self.met.count(match managed_by {
                Some(_) => "run of what somebody else manages",
                None => "run that was rehearsed",
            });
            return Ok(());
        }
        let text = format!("order {}, and its hand did not say that it would be done", order.id);
        Err(Violation::new(now, "dry run", text))
    }

    /// Whether a person is to be asked, because somebody else manages what would be changed.
    pub(super) fn is_asked_for(
        case: &Case,
        policy: &Policy,
        order: &Order,
        now: Timestamp,
    ) -> bool {
        let says = rehearsal(case, order, now);
        policy.guard.managed == Managed::Ask
            && policy.guard.dry_run
            && matches!(says, Some(Rehearsal::Accepted { managed_by: Some(_) }))
    }
}

fn rehearsal<'a>(case: &'a Case, order: &Order, now: Timestamp) -> Option<&'a Rehearsal> {
    let answer = case.answer.as_ref().filter(|(at, _)| *at == now);
    let evidence: &Evidence = answer.map(|(_, evidence)| evidence)?;
    let Rendered::Errand(errand) = &order.action else { return None };
    evidence.rehearsal(errand)?.as_ref().ok()
}
