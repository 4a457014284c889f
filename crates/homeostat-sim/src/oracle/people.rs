//! Who agreed to a run, by a count of our own: enough different people, who may, and none of whom set the
//! incident going; and what they agreed to ahead: so many runs, of the same kind, and until then.

use std::collections::BTreeSet;

use homeostat_core::approval::{Asked, Over, StandingApproval};
use homeostat_core::engine::Turn;
use homeostat_core::fact::What;
use homeostat_core::label::LabelSet;
use homeostat_core::ledger::Subject;
use homeostat_core::name::{ApprovalId, IncidentId, OrderId};
use homeostat_core::operator::Operator;
use homeostat_core::order::Order;
use homeostat_core::plan::Rendered;
use homeostat_core::policy::{Approvers, Book, Mode, Policy, Remedy};
use homeostat_core::time::Timestamp;

use super::{Case, Heard, Oracle, Verdict, Violation};

/// What people have approved ahead.
#[derive(Debug)]
pub(super) struct Ahead {
    given: StandingApproval,
    subject: Subject,
    until: Timestamp,
    people: Vec<Operator>,
    /// The labels of the alert, where that itself is told to what is done.
    told: Option<LabelSet>,
    runs: BTreeSet<OrderId>,
}

/// Whether somebody may approve, as it is granted and asked for now. Whom no door knew, a door let in.
fn may(policy: &Policy, remedy: &Remedy, by: &Operator) -> bool {
    let is_named = |names: &[std::sync::Arc<str>]| {
        by.known.as_ref().is_some_and(|known| names.iter().any(|name| **name == known.who))
    };
    let is_granted = match &policy.approvers {
        Approvers::Anybody => true,
        Approvers::Granted(all) => {
            by.known.is_none() || all.iter().any(|granted| is_named(&granted.who))
        }
    };
    is_granted && remedy.approval.by.as_deref().is_none_or(is_named)
}

impl Oracle {
    /// The labels of the alert that leads.
    pub(super) fn leading(&self, case: &Case) -> Option<LabelSet> {
        let mut known = case.episodes.iter().filter_map(|episode| self.episodes.get(episode));
        known.find(|known| known.fires).map(|known| known.alert.labels.clone())
    }

    /// Whether so many different people agree, who may.
    fn are_enough(
        &self,
        (policy, remedy): (&Policy, &Remedy),
        case: &Case,
        people: &[Operator],
    ) -> bool {
        let mut willing = people.iter().filter(|by| may(policy, remedy, by));
        let Some(count) = remedy.approval.count else { return willing.next().is_some() };
        let posted: BTreeSet<&str> = case
            .episodes
            .iter()
            .filter_map(|episode| self.episodes.get(episode)?.by.as_deref())
            .collect();
        let counts = |who: &&str| !posted.contains(who) && case.retried_by.as_deref() != Some(who);
        let different: BTreeSet<&str> =
            willing.filter_map(Operator::identity).filter(counts).collect();
        different.len() >= count as usize
    }

    /// A word is taken only for what is asked, of whoever may, and once.
    pub(super) fn agrees(
        &mut self,
        incident: IncidentId,
        what: &What,
        book: &Book,
        now: Timestamp,
    ) -> Verdict {
        let What::IncidentCommanded { by, missing, .. } = what else { return Ok(()) };
        let broken = |text: String| Err(Violation::new(now, "people", text));
        let Some(case) = self.cases.get(&incident) else { return Ok(()) };
        let Some(Asked { order, .. }) = &case.asked else {
            let text = format!("incident {incident} is approved, and nobody was asked");
            return Err(Violation::new(now, "commands", text));
        };
        let policy = book.policy(&case.subject.0);
        let known = policy.and_then(|policy| Some((policy, policy.remedy(&order.remedy)?)));
        let Some((policy, remedy)) = known else {
            return broken(format!("{by} approves {order}, which is no remedy"));
        };
        if !may(policy, remedy, by) {
            return broken(format!("{by} approves {order}, and may not"));
        }
        let mut people = case.votes.clone();
        if remedy.approval.count.is_some() && people.iter().any(|one| one.person() == by.person()) {
            return broken(format!("{by} approves {order} for a second time"));
        }
        people.push(by.clone());
        let enough = self.are_enough((policy, remedy), case, &people);
        if enough != (*missing == 0) {
            return broken(format!("{missing} are missing to approve {order} by {people:?}"));
        }
        if people.len() > 1 && enough {
            self.met.count("several people agreed");
        }
        if let Some(case) = self.cases.get_mut(&incident) {
            case.votes = people;
            if enough {
                case.approved = case.asked.take();
            }
        }
        Ok(())
    }

    /// Enough people agreed ahead, in this very turn.
    pub(super) fn stands(&mut self, given: &StandingApproval, now: Timestamp) -> Verdict {
        let broken = |text: String| Err(Violation::new(now, "standing", text));
        let id = given.id;
        let case = self.cases.get(&given.incident);
        let Some(case) = case.filter(|case| case.approved.is_some()) else {
            return broken(format!("{id} is given, and nobody approved anything"));
        };
        let people: Vec<Operator> = given.people().cloned().collect();
        if people.is_empty() || people.iter().any(|by| !case.votes.contains(by)) {
            return broken(format!("{id} is given by others than those who agreed"));
        }
        let (subject, until) = (case.subject.clone(), self.hours.own(given.until));
        let given = given.clone();
        let is_told = matches!(given.action, Rendered::Call(_));
        let told = case.asked_about.clone().filter(|_| is_told);
        let ahead = Ahead { given, subject, until, people, told, runs: BTreeSet::new() };
        if self.standing.insert(id, ahead).is_some() {
            return broken(format!("{id} is given twice"));
        }
        Ok(())
    }

    /// What was approved ahead ends at its time, or for a reason.
    pub(super) fn is_over(
        &mut self,
        id: ApprovalId,
        why: &Over,
        heard: &Heard,
        now: Timestamp,
    ) -> Verdict {
        let broken = |text: String| Err(Violation::new(now, "standing", text));
        let Some(known) = self.standing.remove(&id) else {
            return broken(format!("{id} is over, and was not"));
        };
        match why {
            Over::Expired if now < known.until => broken(format!("{id} expires too early")),
            Over::Revoked { .. } if !heard.revoked.contains(&id) => {
                broken(format!("{id} was revoked by nobody"))
            }
            Over::Revoked { .. } => {
                self.met.count("standing approval revoked");
                Ok(())
            }
            Over::Expired | Over::Void { .. } => Ok(()),
        }
    }

    /// What is in force after a turn would be given by the present book; after a jump nothing is.
    pub(super) fn standing_is_sound(&self, turn: &Turn, book: &Book, now: Timestamp) -> Verdict {
        let broken = |text: String| Err(Violation::new(now, "standing", text));
        let has = |kind: fn(&What) -> bool| turn.facts.iter().any(|fact| kind(&fact.what));
        let has_jumped = has(|what| matches!(what, What::ClockJumped { .. }));
        let is_changed = has(|what| matches!(what, What::BookChanged));
        for (id, Ahead { given, until, people, .. }) in &self.standing {
            if has_jumped {
                return broken(format!("{id} stands on as the clock jumps"));
            }
            if *until <= now {
                return broken(format!("{id} stands on after its time"));
            }
            let policy = book.policy(&given.policy);
            let known = policy.and_then(|policy| Some((policy, policy.remedy(&given.remedy)?)));
            let stands = known.is_some_and(|(policy, remedy)| {
                let different: BTreeSet<&str> = people.iter().map(Operator::person).collect();
                let willing = people.iter().filter(|by| may(policy, remedy, by));
                let need = remedy.approval.count.map_or(1, |count| count as usize);
                remedy.definition == given.definition
                    && willing.count().min(different.len()) >= need
            });
            if is_changed && !stands {
                return broken(format!("{id} stands on by a book that would not give it"));
            }
        }
        Ok(())
    }

    /// Where a person must agree, enough agreed to this very run, in time; or ahead to runs like it.
    pub(super) fn is_approved(
        &mut self,
        case: &Case,
        policy: &Policy,
        order: &Order,
        now: Timestamp,
    ) -> Verdict {
        let Some(remedy) = policy.remedy(&order.id.remedy) else { return Ok(()) };
        if remedy.mode != Mode::Approve && !Self::is_asked_for(case, policy, order, now) {
            return Ok(());
        }
        if let Some(used) = &order.standing {
            return self.is_approved_ahead(case, (policy, remedy), order, used.approval, now);
        }
        let covered = case.approved.as_ref().is_some_and(|asked| {
            asked.order == order.id && asked.action == order.action && now < asked.expires_at
        });
        if covered && self.are_enough((policy, remedy), case, &case.votes) {
            return Ok(());
        }
        let text = format!("order {} runs, and nobody approved it in time", order.id);
        Err(Violation::new(now, "approval", text))
    }

    fn is_approved_ahead(
        &mut self,
        case: &Case,
        known: (&Policy, &Remedy),
        order: &Order,
        id: ApprovalId,
        now: Timestamp,
    ) -> Verdict {
        let broken = |text: String| Err(Violation::new(now, "standing", text));
        let run = &order.id;
        let Some(ahead) = self.standing.get(&id) else {
            return broken(format!("order {run} runs by {id}, which is not in force"));
        };
        let Ahead { given, subject, until, people, told, .. } = ahead;
        let is_alike = *subject == case.subject
            && given.remedy == run.remedy
            && given.action == order.action
            && given.definition == known.1.definition
            && (told.is_none() || *told == self.leading(case));
        if !is_alike {
            return broken(format!("order {run} is not what {id} was given for"));
        }
        if *until <= now {
            return broken(format!("order {run} runs by {id} after its time"));
        }
        if !self.are_enough(known, case, people) {
            return broken(format!("order {run} runs by {id}, which too few stand for"));
        }
        self.met.count("run approved ahead");
        let Some(ahead) = self.standing.get_mut(&id) else { return Ok(()) };
        ahead.runs.insert(run.clone());
        if ahead.runs.len() > ahead.given.uses as usize {
            return broken(format!("order {run} is one more than {id} lets start"));
        }
        Ok(())
    }
}
