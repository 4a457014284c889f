//! Effects and facts: what is wanted was committed, and what was committed is wanted.

use std::collections::BTreeMap;

use homeostat_core::engine::Turn;
use homeostat_core::event::{About, Effect, Run};
use homeostat_core::fact::What;
use homeostat_core::hold::Scope;
use homeostat_core::incident::End;
use homeostat_core::notice::Topic;
use homeostat_core::order::Order;
use homeostat_core::state::State;
use homeostat_core::time::Timestamp;

use super::{Oracle, Verdict, Violation};
use crate::act::Acts;

/// What ties a fact and an effect together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Deed {
    Run(String),
    Cancel(String),
    Ask(u64, u32),
    Tell(Topic),
    Clear(Topic),
}

impl Oracle {
    /// Each effect stands beside the fact that it follows from, and each such fact beside its
    /// effect. After a start, what is owed to people is told again without a fact.
    pub(super) fn effects_follow_facts(turn: &Turn, now: Timestamp) -> Verdict {
        let mut promised: BTreeMap<Deed, u32> = BTreeMap::new();
        let mut promise = |deed| *promised.entry(deed).or_default() += 1;
        let mut started = false;
        for fact in &turn.facts {
            match &fact.what {
                What::OrderIssued { order } | What::OrderReissued { order } => {
                    promise(Deed::Run(order.id.to_string()));
                }
                What::OrderCancelled { order, .. } => promise(Deed::Cancel(order.to_string())),
                What::EvidenceAsked { incident, step } => {
                    promise(Deed::Ask(incident.0, *step));
                }
                What::NoticeRaised { notice } => {
                    promise(Deed::Tell(notice.topic()));
                }
                What::NoticeCleared { topic } => {
                    promise(Deed::Clear(topic.clone()));
                }
                What::EngineStarted { .. } => started = true,
                _ => {}
            }
        }
        for effect in &turn.effects {
            let deed = match effect {
                Effect::Run(run) => Deed::Run(run.order.id.to_string()),
                Effect::Cancel(order) => Deed::Cancel(order.to_string()),
                Effect::Ask(question) => match question.about {
                    About::Incident(incident, step) => Deed::Ask(incident.0, step),
                    About::Observation(_) | About::Unmentioned(_) | About::Owner(_) => continue,
                },
                Effect::Tell(notice) => Deed::Tell(notice.topic()),
                Effect::Clear(notice) => Deed::Clear(notice.topic()),
                Effect::LookAfter(run) => {
                    let id = run.order.id.incident;
                    let closes = |what: &What| matches!(what, What::IncidentClosed { incident, .. } if *incident == id);
                    if turn.facts.iter().any(|fact| closes(&fact.what)) {
                        continue;
                    }
                    let text = format!("incident {id} is looked after, and has not closed");
                    return Err(Violation::new(now, "effects", text));
                }
                Effect::Inquire { .. } | Effect::Watch { .. } | Effect::Remind(_) => continue,
            };
            let again = matches!(deed, Deed::Tell(_) | Deed::Clear(_) | Deed::Cancel(_));
            let owed = started && again;
            let kept = promised.get_mut(&deed).filter(|count| **count > 0);
            let follows = kept.is_some();
            if let Some(count) = kept {
                *count -= 1;
            }
            if !follows && !owed {
                let text = format!("{deed:?} is wanted, and no fact was committed for it");
                return Err(Violation::new(now, "effects", text));
            }
        }
        match promised.iter().find(|(_, count)| **count > 0) {
            None => Ok(()),
            Some((deed, _)) => {
                let text = format!("{deed:?} was committed, and nobody is asked to do it");
                Err(Violation::new(now, "effects", text))
            }
        }
    }

    /// An order runs at most once, and beside no other that locks the same.
    pub(super) fn runs_once_and_alone(&self, run: &Run, acts: &Acts, now: Timestamp) -> Verdict {
        let order = &run.order;
        if acts.was_claimed(&order.id) {
            let text = format!("order {} is to run a second time", order.id);
            return Err(Violation::new(now, "once", text));
        }
        for other in acts.living() {
            let other = &other.run.order;
            let shared = other.locks.iter().find(|lock| order.locks.contains(lock));
            if let (Some(lock), false) = (shared, self.is_excused(other)) {
                let text =
                    format!("order {} joins {}, which still runs on {lock}", order.id, other.id);
                return Err(Violation::new(now, "alone", text));
            }
        }
        Ok(())
    }

    /// Nobody knows how long an action runs whose end a crash lost. It may be joined once it was run
    /// again, because that does no harm, or once its healing was proven all the same.
    fn is_excused(&self, order: &Order) -> bool {
        let Some(case) = self.cases.get(&order.id.incident) else { return false };
        let lost = case.runs.iter().any(|run| run.order.id == order.id && run.after_crash);
        let again = order.idempotent && case.runs.last().is_some_and(|r| r.order.id != order.id);
        lost && (again || matches!(case.closed, Some((_, End::Healed))))
    }

    /// The engine counts those orders as running of which it knows no end.
    pub(super) fn running_is_counted(&self, state: &State, now: Timestamp) -> Verdict {
        let counted = state.ledgers().running(&Scope::Book) as usize;
        let running = self.in_flight.len();
        if counted == running {
            return Ok(());
        }
        let text = format!("{running} orders run, and {counted} are counted");
        Err(Violation::new(now, "running", text))
    }
}
