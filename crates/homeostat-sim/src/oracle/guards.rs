//! The guards that count targets, hear a watchdog or ask a person, judged by a count of our own;
//! and what may follow once an order made something worse.

use std::collections::BTreeSet;

use homeostat_core::command::Command;
use homeostat_core::evidence::{Ask, Evidence, Finding};
use homeostat_core::fact::What;
use homeostat_core::name::{IncidentId, OrderId, Part};
use homeostat_core::order::{Order, Proof};
use homeostat_core::policy::{Book, Extent, Policy};
use homeostat_core::time::Timestamp;

use super::{Case, Heard, Oracle, Verdict, Violation};

impl Oracle {
    /// Notes whether an incident's target is being healed.
    pub(super) fn note_flight(&mut self, what: &What) {
        let Some(case) = what.incident().and_then(|id| self.cases.get_mut(&id)) else { return };
        match what {
            What::OrderIssued { .. }
            | What::OrderReissued { .. }
            | What::VerificationBegan { .. }
            | What::RetryScheduled { .. } => case.flies = true,
            What::OrderReturned { .. }
            | What::OrderHeld { .. }
            | What::ApprovalAsked { .. }
            | What::RemedyGivenUp { .. }
            | What::RemedyShadowed { .. }
            | What::TurnedWorse { .. }
            | What::IncidentClosed { .. } => case.flies = false,
            What::EvidenceAsked { .. } if case.proving_since.is_none() => case.flies = false,
            _ => {}
        }
    }

    /// No more distinct targets in the window and in flight than may be, by an inventory that
    /// answered now.
    pub(super) fn is_within_reach(
        &self,
        case: &Case,
        policy: &Policy,
        id: &OrderId,
        now: Timestamp,
    ) -> Verdict {
        let broken = |law, text: String| Err(Violation::new(now, law, text));
        let evidence = case.answer.as_ref().filter(|(at, _)| *at == now).map(|(_, e)| e);
        if let Some(radius) = &policy.guard.blast_radius {
            let allowed = match &radius.extent {
                Extent::Targets(max) => u64::from(*max),
                Extent::Share { percent, inventory, max, min } => {
                    let Some(count) = counted(inventory, evidence) else {
                        return broken("radius", format!("order {id} without an inventory"));
                    };
                    let share = count * u64::from(*percent) / 100;
                    share.min(max.map_or(u64::MAX, u64::from)).max(u64::from(*min))
                }
            };
            let mine = |subject: &&super::Subject| subject.0 == case.subject.0;
            let flying = self.cases.values().filter(|other| other.flies).map(|c| &c.subject);
            let acted = self.acted.iter().filter(|(_, at)| now.since(**at) < radius.window);
            let counted = flying.chain(acted.map(|(subject, _)| subject)).filter(mine);
            let others: BTreeSet<_> = counted.filter(|subject| **subject != case.subject).collect();
            if others.len() as u64 >= allowed {
                let text = format!("order {id} beside {} targets, {allowed} may", others.len());
                return broken("radius", text);
            }
        }
        Ok(())
    }

    /// The watchdog was heard of since the engine started, and lately.
    pub(super) fn is_watched(&self, policy: &Policy, id: &OrderId, now: Timestamp) -> Verdict {
        if let Some(watchdog) = &policy.guard.watchdog {
            let heard = self.firing.iter().any(|(key, episode)| {
                let labels = self.episodes.get(episode).map(|known| &known.alert.labels);
                let mention = self.mentions.get(key);
                labels.is_some_and(|labels| watchdog.matchers.matches(labels))
                    && mention.is_some_and(|seen| now.since(seen.at) <= watchdog.max_age)
            });
            if !heard {
                let text = format!("order {id} while nobody hears the watchdog");
                return Err(Violation::new(now, "watchdog", text));
            }
        }
        Ok(())
    }

    /// An operator said so, and what they approve was asked.
    pub(super) fn commands(
        &mut self,
        incident: IncidentId,
        what: &What,
        (heard, book): (&Heard, &Book),
        now: Timestamp,
    ) -> Verdict {
        let What::IncidentCommanded { command, by, .. } = what else { return Ok(()) };
        let command = *command;
        let said = heard.commands.iter().any(|(id, said, who)| {
            *said == command && who == by && (*id == incident || command == Command::Retry)
        });
        if !said {
            let text = format!("{command} of incident {incident} was said by nobody");
            return Err(Violation::new(now, "commands", text));
        }
        if command == Command::Approve {
            return self.agrees(incident, what, book, now);
        }
        let Some(case) = self.cases.get_mut(&incident) else { return Ok(()) };
        match command {
            Command::Approve => {}
            // The same word stands beside the incident that follows.
            Command::Retry => {
                case.retried = case.closed.is_some();
                case.retried_by = by.identity().map(str::to_owned);
            }
            Command::Cancel => case.stopped = true,
            Command::Reject => case.rejected = true,
        }
        Ok(())
    }

    /// That something else became worse was seen in the look before.
    pub(super) fn turns_worse(&mut self, order: &OrderId, text: &str, now: Timestamp) -> Verdict {
        let Some(case) = self.cases.get_mut(&order.incident) else { return Ok(()) };
        let run = case.runs.iter().rev().find(|run| run.order.id == *order);
        let seen = run.zip(case.looks.last());
        if !seen.is_some_and(|(run, look)| has_new(&run.order.proof, look)) || case.worse {
            let text = format!("order {order} is said to have made it worse: {text}");
            return Err(Violation::new(now, "worse", text));
        }
        case.worse = true;
        case.proving_since = None;
        Ok(())
    }

    /// Only what made something worse is taken back, once, and only while nobody paused.
    pub(super) fn takes_back(&self, case: &Case, order: &Order, now: Timestamp) -> Verdict {
        let broken = |text: String| Err(Violation::new(now, "undo", text));
        let id = &order.id;
        let last = case.runs.iter().rev().find(|run| !run.returned);
        let mine = last.is_some_and(|run| run.order.id.undo() == *id && run.outcome.is_some());
        if !case.worse || !mine {
            return broken(format!("{id} takes back what did not make it worse"));
        }
        if case.closed.is_some() {
            return broken(format!("{id} comes after its incident closed"));
        }
        if self.paused {
            return broken(format!("{id} is issued during a pause"));
        }
        let answer = case.answer.as_ref().filter(|(at, _)| *at == now);
        let seen = last.zip(answer).is_some_and(|(run, (_, look))| has_new(&run.order.proof, look));
        if !seen {
            return broken(format!("{id} takes back what nobody sees to be worse any more"));
        }
        Ok(())
    }
}

/// Whether an order takes another back.
pub(super) fn is_undo(id: &OrderId) -> bool {
    match id.part {
        Part::Heal => false,
        Part::Undo => true,
    }
}

pub(super) fn counted(promql: &str, evidence: Option<&Evidence>) -> Option<u64> {
    let found = &evidence?.found;
    found.iter().find_map(|(ask, finding)| match (ask, finding) {
        (Ask::Inventory { promql: asked, .. }, Finding::Inventory(Ok(count)))
            if **asked == *promql && *count > 0 =>
        {
            Some(*count)
        }
        _ => None,
    })
}

/// Whether a look lists an alert that fires and was not there before.
pub(super) fn has_new(proof: &Proof, look: &Evidence) -> bool {
    let Some(baseline) = &proof.baseline else { return false };
    look.found.iter().any(|(ask, finding)| match (ask, finding) {
        (Ask::Present { by, .. }, Finding::Present(Ok(present))) => {
            let before = baseline.listed.iter().find(|listed| listed.by == *by);
            let known = |print| before.is_some_and(|listed| listed.alerts.contains(&print));
            present.alerts.iter().any(|alert| alert.fires && !known(alert.labels.fingerprint()))
        }
        _ => false,
    })
}
