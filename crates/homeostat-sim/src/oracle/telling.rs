//! What a person was told of a guard is over once it holds nobody any more.

use std::collections::{BTreeMap, BTreeSet};

use homeostat_core::fact::What;
use homeostat_core::hold::{Guard, Hold};
use homeostat_core::name::PolicyName;
use homeostat_core::notice::Topic;
use homeostat_core::time::Timestamp;

use super::{Oracle, Verdict, Violation};

/// What people know of guards.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Of which they were told, and were not told that it is over.
    stand: BTreeSet<(PolicyName, Guard)>,
    /// When they were told last of a policy that one of its guards lets it be again.
    over: BTreeMap<PolicyName, Timestamp>,
}

impl Told {
    /// Until when people knew that a guard holds this policy.
    pub(super) fn until(&self, policy: &PolicyName) -> Option<Timestamp> {
        self.over.get(policy).copied()
    }
}

impl Oracle {
    /// Notes who is held by what, and what people are told of it.
    pub(super) fn note_telling(&mut self, what: &What, now: Timestamp) {
        match what {
            What::NoticeRaised { notice } => {
                if let Topic::Guard { policy, guard } = notice.topic() {
                    self.told.stand.insert((policy, guard));
                }
            }
            What::NoticeCleared { topic: Topic::Guard { policy, guard } } => {
                self.told.stand.remove(&(policy.clone(), *guard));
                self.told.over.insert(policy.clone(), now);
            }
            _ => {}
        }
        let Some(case) = what.incident().and_then(|id| self.cases.get_mut(&id)) else { return };
        match what {
            What::OrderHeld { holds, .. } => {
                case.held = holds.iter().map(Hold::guard).collect();
            }
            What::ApprovalAsked { .. }
            | What::RemedyShadowed { .. }
            | What::OrderIssued { .. }
            | What::OrderReissued { .. }
            | What::VerificationBegan { .. }
            | What::IncidentClosed { .. } => case.held.clear(),
            _ => {}
        }
    }

    /// Whatever people were told of holds somebody. Of a storm, and of an inventory that gives no
    /// answer, they are told for as long as it lasts.
    pub(super) fn told_guards_hold(&self, now: Timestamp) -> Verdict {
        let holds = |(policy, guard): &&(PolicyName, Guard)| {
            let mine = self.open.iter().filter(|((of, _), _)| of == policy);
            let mut cases = mine.filter_map(|(_, id)| self.cases.get(id));
            cases.any(|case| case.held.contains(guard))
        };
        match self.told.stand.iter().find(|told| is_told_while_it_holds(told.1) && !holds(told)) {
            Some((policy, guard)) => {
                let text =
                    format!("people are told that {guard} holds {policy}, and it holds nobody");
                Err(Violation::new(now, "told", text))
            }
            None => Ok(()),
        }
    }
}

fn is_told_while_it_holds(guard: Guard) -> bool {
    use Guard::{Breaker, Flap, Freeze, Rate, Watchdog};
    matches!(guard, Flap | Freeze | Watchdog | Rate | Breaker)
}
