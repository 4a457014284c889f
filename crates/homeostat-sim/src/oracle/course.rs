//! The course of an incident: which remedy follows which, when it is given up, how it closes.

use std::collections::BTreeSet;

use homeostat_core::fact::What;
use homeostat_core::incident::{Cause, Closing, End};
use homeostat_core::name::{IncidentId, OrderId, RemedyName};
use homeostat_core::order::{Ended, Found, Outcome};
use homeostat_core::policy::{Book, Escalate, Mode, Policy};
use homeostat_core::time::{Span, Timestamp};

use super::guards::is_undo;
use super::witness::Sightings;
use super::{Case, Heard, Oracle, Past, Run, Verdict, Violation};

impl Oracle {
    pub(super) fn opens(
        &mut self,
        incident: IncidentId,
        what: &What,
        book: &Book,
        now: Timestamp,
    ) -> Verdict {
        let What::IncidentOpened { policy, target, episode, relapse_of, .. } = what else {
            return Ok(());
        };
        let subject = (policy.clone(), target.clone());
        let beside = self.open.insert(subject.clone(), incident);
        if let Some(other) = beside.filter(|other| !self.lets_others_open(*other)) {
            let text = format!("incident {incident} opens beside {other}, which still latches");
            return Err(Violation::new(now, "latch", text));
        }
        let known = book.policy(policy);
        let past = self.past.get(&subject);
        let relapses = known.map_or(Span::ZERO, |policy| policy.relapse);
        let again = self.retried.contains(&subject);
        let recent = past.filter(|past| past.healed && now.since(past.closed_at) <= relapses);
        let recent = recent.filter(|_| !again);
        let past_memory = relapse_of.is_some() && self.relapsed.take() == *relapse_of;
        if recent.is_some() != relapse_of.is_some() && !past_memory {
            let text = format!("incident {incident}: relapse of {relapse_of:?}, and {recent:?}");
            return Err(Violation::new(now, "relapse", text));
        }
        let unheld = match past {
            Some(past) if recent.is_some() || past_memory || !past.healed => past.unheld + 1,
            Some(_) | None => 0,
        };
        let earlier = relapse_of.and_then(|id| self.cases.get(&id));
        let orders_before = earlier.map_or(0, |case| case.orders_before + runs(case));
        let auto = known.filter(|policy| policy.mode != Mode::Shadow);
        let tells_after = auto.and_then(|policy| match policy.escalate {
            Escalate::After { after, .. } => Some(after),
            Escalate::Nobody => None,
        });
        self.flaps.begins(&subject, now);
        let case = Case {
            subject,
            opened_at: now,
            settles: known.map_or(Span::ZERO, |policy| policy.settle),
            tells_after,
            relapse_of: *relapse_of,
            orders_before,
            unheld,
            episodes: vec![*episode],
            runs: Vec::new(),
            given_up: [].into(),
            step: 0,
            answer: None,
            proving_since: None,
            over_at: None,
            looks: Vec::new(),
            sightings: Sightings::new(),
            window: None,
            looked_at: None,
            knows: None,
            last_words: Vec::new(),
            released: false,
            closed: None,
            removed: false,
            told: false,
            flies: false,
            asked: None,
            approved: None,
            votes: Vec::new(),
            asked_about: None,
            retried_by: None,
            retried: false,
            stopped: false,
            rejected: false,
            worse: false,
            undo: None,
            again_since: None,
            held: BTreeSet::new(),
        };
        self.cases.insert(incident, case);
        Ok(())
    }

    /// The same remedy again only after a known failure; another only higher up the ladder, and
    /// once the one before it was given up.
    pub(super) fn climbs(
        &self,
        case: &Case,
        policy: &Policy,
        id: &OrderId,
        now: Timestamp,
    ) -> Verdict {
        let broken = |law, text: String| Err(Violation::new(now, law, text));
        let rung = |name: &RemedyName| policy.remedies.iter().position(|r| r.name == *name);
        let Some(last) = case.runs.last() else {
            let before = case.relapse_of.and_then(|id| self.cases.get(&id));
            // What certainly did not start may be tried again.
            let before = before.and_then(|case| case.runs.iter().rfind(|run| run.has_run()));
            let before = before.filter(|run| self.reloaded_at < Some(run.issued_at));
            return match before.map(|run| rung(&run.order.id.remedy)) {
                Some(Some(tried)) if rung(&id.remedy) <= Some(tried) => {
                    broken("relapse", format!("order {id} tries again what did not hold"))
                }
                Some(_) | None => Ok(()),
            };
        };
        let tried = &last.order.id.remedy;
        if *tried != id.remedy {
            // What came before another ladder came into force is not compared with it.
            let changed = self.reloaded_at > Some(last.issued_at);
            let higher = rung(&id.remedy) > rung(tried) && case.given_up.contains(tried);
            let higher = higher || changed;
            return if higher {
                Ok(())
            } else {
                broken("ladder", format!("order {id} does not follow {}", last.order.id))
            };
        }
        // Nor is what was given up before: another ladder may come to the same remedy again.
        let first = case.runs.iter().find(|run| run.order.id.remedy == *tried);
        if first.is_some_and(|run| self.reloaded_at > Some(run.issued_at)) {
            return Ok(());
        }
        let failed = last.outcome.as_ref().is_some_and(is_failure);
        let harmless = last.after_crash && last.order.idempotent;
        if !failed && !harmless {
            let text = format!("order {id} runs again what {:?}", last.outcome);
            return broken("retry", text);
        }
        let failures = case.runs.iter().filter(|run| run.order.id.remedy == *tried);
        let failures = failures.filter(|run| !run.after_crash).count();
        let retries = policy.remedy(tried).map_or(0, |remedy| remedy.retries) as usize;
        if failures > retries && !harmless {
            return broken("retry", format!("order {id} is retry {failures} of {retries}"));
        }
        Ok(())
    }

    pub(super) fn order_ends(
        &mut self,
        order: &OrderId,
        ended: &Ended,
        heard: &Heard,
        now: Timestamp,
    ) -> Verdict {
        let told = heard.ended.iter().any(|(id, told)| id == order && told == ended);
        let found = heard.found.iter().find(|(id, _)| id == order).map(|(_, found)| found);
        let after_crash = matches!(found, Some(Found::Unknown(_)));
        let recorded = matches!(found, Some(Found::Ended(recorded)) if recorded == ended);
        let unknown = after_crash && matches!(ended.outcome, Outcome::Unknown { .. });
        if !told && !recorded && !unknown {
            let text = format!("order {order} is said to have ended, which nobody told");
            return Err(Violation::new(now, "course", text));
        }
        self.in_flight.remove(order);
        let Some(case) = self.cases.get_mut(&order.incident) else { return Ok(()) };
        if let Some(undo) = case.undo.as_mut().filter(|_| is_undo(order)) {
            undo.outcome = Some(ended.outcome.clone());
            undo.after_crash = after_crash;
            return Ok(());
        }
        case.approved = None;
        let not = matches!(ended.outcome, Outcome::NotStarted { .. } | Outcome::Refused { .. });
        if !not {
            self.ran.insert((case.subject.clone(), order.remedy.clone()), now);
        }
        if let Some(run) = case.runs.iter_mut().rev().find(|run| run.order.id == *order) {
            run.outcome = Some(ended.outcome.clone());
            run.after_crash = after_crash;
        }
        Ok(())
    }

    /// Only what certainly did not start may be permitted anew.
    pub(super) fn returns(&mut self, order: &OrderId, heard: &Heard, now: Timestamp) -> Verdict {
        let not_started =
            heard.found.iter().any(|(id, found)| id == order && *found == Found::NotStarted);
        if !not_started {
            let text = format!("order {order} is called back, and may have run");
            return Err(Violation::new(now, "once", text));
        }
        self.in_flight.remove(order);
        if let Some(case) = self.cases.get_mut(&order.incident)
            && let Some(run) = match &mut case.undo {
                Some(undo) if is_undo(order) => Some(undo),
                Some(_) | None => case.runs.last_mut(),
            }
        {
            run.returned = true;
        }
        Ok(())
    }

    /// A remedy is given up for a known failure, or because its alert is known to fire.
    pub(super) fn gives_up(
        &mut self,
        incident: IncidentId,
        remedy: &RemedyName,
        reason: &str,
        now: Timestamp,
    ) -> Verdict {
        let Some(case) = self.cases.get(&incident) else { return Ok(()) };
        let last = case.runs.last().and_then(|run| run.outcome.as_ref());
        let failed = last.is_some_and(is_failure);
        let fires = self.still_fires(case, now);
        if reason.is_empty() || !(failed || fires.is_some()) {
            let text = format!("{incident}: {remedy} is given up without evidence: {reason}");
            return Err(Violation::new(now, "unknown", text));
        }
        if let Some(word) = fires.filter(|_| !failed) {
            looked_to_the_end(incident, case, now)?;
            self.climbs_for_a_reason(incident, word, now)?;
        }
        let Some(case) = self.cases.get_mut(&incident) else { return Ok(()) };
        case.given_up.insert(remedy.clone());
        case.proving_since = None;
        Ok(())
    }

    pub(super) fn closes(
        &mut self,
        incident: IncidentId,
        closing: &Closing,
        book: &Book,
        now: Timestamp,
    ) -> Verdict {
        let broken = |law, text: String| Err(Violation::new(now, law, text));
        let Some(case) = self.cases.get(&incident).cloned() else {
            return broken("course", format!("incident {incident} closes and never opened"));
        };
        let case = &case;
        if case.closed.is_some() {
            return broken("course", format!("incident {incident} closes twice"));
        }
        if closing.reason.is_empty() {
            return broken("reasons", format!("incident {incident} closes without a reason"));
        }
        let acted = case.has_acted();
        Self::leaves_nothing_running(case, closing, now)?;
        match closing.outcome {
            End::Healed => {
                self.heals(incident, case, closing, now)?;
                self.is_truly_healed(incident, closing, now)?;
            }
            // What its source ended before anything was done was not healed by it.
            End::Recovered if acted && closing.cause() == Some(Cause::EndedBeforeAct) => {
                if !self.ended_before_act(case, now) {
                    let text = format!("incident {incident} fired when its order was issued");
                    return broken("before", text);
                }
                self.met.count("ended before the act");
            }
            End::Recovered | End::Shadowed if acted => {
                let text = format!("incident {incident} is {}, but acted", closing.outcome);
                return broken("course", text);
            }
            End::Rejected | End::Shadowed | End::Recovered if case.worse => {
                return broken("worse", format!("incident {incident} ends, and nobody has it"));
            }
            End::Escalated => {
                if closing.cause() == Some(Cause::Unproven) && !case.worse {
                    looked_to_the_end(incident, case, now)?;
                }
                if closing.reason.starts_with("attempts:") {
                    self.met.count("attempts");
                }
                let policy = book.policy(&case.subject.0);
                let tells = policy.is_some_and(|policy| {
                    policy.mode != Mode::Shadow && policy.escalate != Escalate::Nobody
                });
                if tells && !case.told {
                    let text = format!("incident {incident} is handed over, and nobody is told");
                    return broken("told", text);
                }
            }
            _ => {}
        }
        self.note_outcome(incident, closing, now);
        let Some(case) = self.cases.get(&incident) else { return Ok(()) };
        let (subject, unheld) = (case.subject.clone(), case.unheld);
        self.unlock(incident);
        if acted {
            let healed = closing.outcome == End::Healed;
            self.past.insert(subject, Past { closed_at: now, healed, unheld });
        }
        if let Some(case) = self.cases.get_mut(&incident) {
            case.closed = Some((now, closing.outcome));
            case.removed =
                closing.outcome == End::Cancelled && book.policy(&case.subject.0).is_none();
        }
        Ok(())
    }

    /// What may still run keeps its locks until it certainly does not any more, unless its trouble
    /// was proven to be over all the same, or it was to be run again meanwhile: that does no harm.
    fn leaves_nothing_running(case: &Case, closing: &Closing, now: Timestamp) -> Verdict {
        let last = case.undo.as_ref().or_else(|| case.runs.last());
        let again = case.again_since.is_some_and(|since| since < now);
        if let Some(run) = last.filter(|run| run.may_still_run(now))
            && closing.outcome != End::Healed
            && closing.cause() != Some(Cause::EndedBeforeAct)
            && !again
        {
            let text = format!("{} may still run, and its incident closes", run.order.id);
            return Err(Violation::new(now, "alone", text));
        }
        Ok(())
    }

    /// Healed needs an action that is over, and the proof that was asked for.
    fn heals(
        &self,
        incident: IncidentId,
        case: &Case,
        closing: &Closing,
        now: Timestamp,
    ) -> Verdict {
        let healer = case.runs.iter().rev().find(|run| run.has_run());
        let healer = healer.map(|run| &run.order.id.remedy);
        // An order that certainly did not start and waits for its permit heals nothing; the one
        // before it may have.
        let why = match case.runs.iter().rev().find(|run| !run.returned) {
            _ if case.worse => Some("it made something else worse".to_owned()),
            _ if closing.remedy.as_ref() != healer => {
                Some(format!("by {:?}, and {healer:?} ran last", closing.remedy))
            }
            None => Some("it did nothing".to_owned()),
            Some(Run { outcome: None, .. }) => Some("its action is not over".to_owned()),
            Some(run) => match self.is_proven(case, &run.order, now) {
                Err(why) => Some(why),
                Ok(grade) if closing.grade > Some(grade) => {
                    Some(format!("{:?}, and what was said gives {grade}", closing.grade))
                }
                Ok(_) if self.ended_before_act(case, now) => {
                    Some("its alerts had ended before the first order was issued".to_owned())
                }
                Ok(_) => None,
            },
        };
        match why {
            None => Ok(()),
            Some(why) => {
                let text = format!("incident {incident} is called healed, but {why}");
                Err(Violation::new(now, "healed", text))
            }
        }
    }
}

/// At the end of the window there is one last look, where anybody can be asked at all.
fn looked_to_the_end(incident: IncidentId, case: &Case, now: Timestamp) -> Verdict {
    match (case.looked_at, case.window) {
        (Some(looked_at), Some(until)) if looked_at < until => {
            let text = format!(
                "incident {incident} is given up, and was looked at last at {looked_at}, before \
                 its window ended at {until}"
            );
            Err(Violation::new(now, "last look", text))
        }
        _ => Ok(()),
    }
}

/// Whether a run is known to have failed: then, and only then, it may be tried again.
fn is_failure(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Exited { code } => *code != 0,
        Outcome::Answered { expected, .. } => !expected,
        Outcome::Signalled { .. } | Outcome::Failed { .. } | Outcome::NotStarted { .. } => true,
        Outcome::Done
        | Outcome::TimedOut
        | Outcome::Cancelled
        | Outcome::Refused { .. }
        | Outcome::Unknown { .. } => false,
    }
}

pub(super) fn runs(case: &Case) -> u32 {
    u32::try_from(case.runs.iter().filter(|run| !run.returned).count()).unwrap_or(u32::MAX)
}
