//! The limits of a book, counted anew from what was ordered and what became of it.

use std::collections::BTreeSet;

use homeostat_core::hold::Hold;
use homeostat_core::name::{IncidentId, OrderId};
use homeostat_core::order::Order;
use homeostat_core::policy::{Book, Mode, Policy, Rate, TargetLabels, TeamLimits};
use homeostat_core::time::{Span, Timestamp};

use super::course::runs;
use super::freeze;
use super::guards::is_undo;
use super::{Case, Oracle, Run, Verdict, Violation};
use crate::book;

/// The longest cooldown, as the configuration's reference says, unless its base is longer.
const LONGEST_COOLDOWN: Span = Span::from_secs(24 * 3_600);

/// A bucket that holds time: it is full with `per`, and an order takes its share of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket {
    rate: Rate,
    level: u64,
    at: Timestamp,
}

impl Bucket {
    fn full(rate: Rate, now: Timestamp) -> Self {
        Self { rate, level: rate.per.as_micros(), at: now }
    }

    /// Takes the share of one order. False if there is too little left.
    fn take(&mut self, now: Timestamp) -> bool {
        let share = self.rate.per.as_micros() / u64::from(self.rate.max.max(1));
        let refilled = self.level.saturating_add(now.since(self.at).as_micros());
        self.level = refilled.min(self.rate.per.as_micros());
        self.at = now;
        let enough = self.level >= share;
        self.level = self.level.saturating_sub(share);
        enough
    }
}

/// Who shares what is for all.
fn sharer(policy: &Policy) -> String {
    match &policy.about.team {
        Some(team) => format!("team {team}"),
        None => format!("policy {}", policy.name),
    }
}

impl Oracle {
    pub(super) fn issues(&mut self, order: &Order, book: &Book, now: Timestamp) -> Verdict {
        let broken = |law, text: String| Err(Violation::new(now, law, text));
        let id = &order.id;
        if !self.ordered.insert(id.clone()) {
            return broken("once", format!("order {id} is issued a second time"));
        }
        let Some(case) = self.cases.get(&id.incident).cloned() else {
            return broken("course", format!("order {id} belongs to no incident"));
        };
        let Some(policy) = book.policy(&case.subject.0) else {
            return broken("mode", format!("order {id} of a policy that was removed"));
        };
        if is_undo(id) {
            return self.issues_undo(&case, policy, order, book, now);
        }
        if case.worse {
            return broken("worse", format!("order {id} follows what made something worse"));
        }
        if case.stopped {
            return broken("commands", format!("order {id} of an incident that was cancelled"));
        }
        Self::within_attempts(&case, policy, id, now)?;
        self.within_cooldown(&case, policy, id, now)?;
        let debt = self.within_rate(&case, policy, book, id, now)?;
        self.may_start(&case, policy, order, book, now)?;
        self.climbs(&case, policy, id, now)?;
        self.note_pace(&case, policy, debt, now);
        if let Some(case) = self.cases.get_mut(&id.incident) {
            case.runs.push(Run::new(order, now, self.truth.now()));
            case.again_since = None;
            case.proving_since = None;
            case.looks.clear();
            self.acted.insert(case.subject.clone(), now);
        }
        Ok(())
    }

    fn issues_undo(
        &mut self,
        case: &Case,
        policy: &Policy,
        order: &Order,
        book: &Book,
        now: Timestamp,
    ) -> Verdict {
        let id = &order.id;
        self.takes_back(case, order, now)?;
        self.met.count("undo");
        self.within_concurrency(case, policy, book, id, now)?;
        self.in_flight.insert(id.clone(), case.subject.clone());
        self.acted.insert(case.subject.clone(), now);
        if let Some(case) = self.cases.get_mut(&id.incident) {
            case.undo = Some(Run::new(order, now, self.truth.now()));
        }
        Ok(())
    }

    pub(super) fn issues_again(&mut self, order: &Order, book: &Book, now: Timestamp) -> Verdict {
        let id = &order.id;
        let broken = |law, text: String| Err(Violation::new(now, law, text));
        let Some(case) = self.cases.get(&id.incident).cloned() else {
            return broken("course", format!("order {id} belongs to no incident"));
        };
        let Some(policy) = book.policy(&case.subject.0) else {
            return broken("mode", format!("order {id} of a policy that was removed"));
        };
        let last = if is_undo(id) { case.undo.as_ref() } else { case.runs.last() };
        if !last.is_some_and(|run| run.returned && run.order.id == *id) {
            return broken("once", format!("order {id} is issued again and may have run"));
        }
        if is_undo(id) {
            return self.issues_undo(&case, policy, order, book, now);
        }
        if case.stopped {
            return broken("commands", format!("order {id} of an incident that was cancelled"));
        }
        self.may_start(&case, policy, order, book, now)?;
        if let Some(run) = self.cases.get_mut(&id.incident).and_then(|case| case.runs.last_mut()) {
            run.returned = false;
            run.issued_at = now;
            run.truly_issued_at = self.truth.now();
            run.order = order.clone();
        }
        Ok(())
    }

    /// What holds for each start, the first and the one after a crash.
    fn may_start(
        &mut self,
        case: &Case,
        policy: &Policy,
        order: &Order,
        book: &Book,
        now: Timestamp,
    ) -> Verdict {
        let id = &order.id;
        let broken = |law, text: String| Err(Violation::new(now, law, text));
        if case.closed.is_some() {
            return broken("course", format!("order {id} comes after its incident closed"));
        }
        if self.paused {
            return broken("pause", format!("order {id} is issued during a pause"));
        }
        let acts = policy.mode != Mode::Shadow
            && policy.remedy(&id.remedy).is_some_and(|remedy| remedy.mode != Mode::Shadow);
        if !acts {
            return broken("mode", format!("order {id} acts in shadow"));
        }
        if now < case.opened_at + case.settles {
            let text = format!("order {id} comes before its alert fired for {}", case.settles);
            return broken("for", text);
        }
        if let Some(grant) = order.grants.iter().find(|grant| grant.reason.is_empty()) {
            return broken("reasons", format!("order {id}: {} gives no reason", grant.guard));
        }
        self.within_concurrency(case, policy, book, id, now)?;
        self.within_locks(case, policy, id, now)?;
        self.is_fresh(case, policy, order, book, now)?;
        self.is_within_reach(case, policy, id, now)?;
        self.is_calm(case, policy, id, now)?;
        if policy.regression.is_some() && order.proof.baseline.is_none() {
            let text = format!("order {id}, and nobody could tell what it makes worse");
            return broken("worse", text);
        }
        self.is_watched(policy, id, now)?;
        freeze::is_thawed(policy, id, self.hours.wall(now))?;
        self.flaps.is_quiet(&case.subject, policy.guard.flap, id, now)?;
        self.breakers.lets_pass(policy, id, now)?;
        self.is_rehearsed(case, policy, order, now)?;
        self.is_approved(case, policy, order, now)?;
        self.in_flight.insert(id.clone(), case.subject.clone());
        Ok(())
    }

    fn within_attempts(case: &Case, policy: &Policy, id: &OrderId, now: Timestamp) -> Verdict {
        let before = runs(case);
        let used = case.orders_before.saturating_add(before);
        let max = policy.guard.attempts;
        if used < max {
            return Ok(());
        }
        let text = format!("order {id} is number {} of at most {max}", used + 1);
        Err(Violation::new(now, "attempts", text))
    }

    fn within_cooldown(
        &self,
        case: &Case,
        policy: &Policy,
        id: &OrderId,
        now: Timestamp,
    ) -> Verdict {
        if !case.runs.is_empty() {
            return Ok(());
        }
        let base = policy.guard.cooldown;
        // The same labels with the same values are one target, whatever the policy is.
        let target = &case.subject.1;
        let pasts = || self.past.iter().filter(|((_, healed), _)| healed == target);
        let others = pasts().filter(|(subject, _)| **subject != case.subject);
        let unheld = others.map(|(_, past)| past.unheld).fold(case.unheld, u32::max);
        let grown = base.saturating_mul(1 << unheld.min(20));
        let length = grown.min(LONGEST_COOLDOWN.max(base));
        let closed = pasts().map(|(_, past)| past.closed_at).max();
        let ran =
            self.ran.iter().filter(|(((_, ran), remedy), _)| ran == target && *remedy == id.remedy);
        let ran = ran.map(|(_, at)| *at).max();
        match closed.max(ran) {
            Some(last) if now < last + length => {
                let ago = now.since(last);
                let text = format!("order {id} comes {ago} after the last healing, not {length}");
                Err(Violation::new(now, "cooldown", text))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Takes the share of one order, and returns what the policy's bucket lacks then. What a person
    /// approved is not held by what all policies share.
    fn within_rate(
        &mut self,
        case: &Case,
        policy: &Policy,
        book: &Book,
        id: &OrderId,
        now: Timestamp,
    ) -> Result<Span, Violation> {
        let all = book.limits.rate;
        let approved = case.approved.as_ref().is_some_and(|asked| asked.order == *id);
        let (enough, left) = self.take("all policies".to_owned(), all, now);
        if !enough && !approved {
            let text = format!("all policies: more than {} orders in {}", all.max, all.per);
            return Err(Violation::new(now, "rate", text));
        }
        let acting = book.policies().iter().filter(|other| other.mode.may_act());
        let others = acting.map(sharer).collect::<BTreeSet<_>>().len() as u64;
        let kept = u64::from(all.max / 4);
        if others > 1 && kept > 0 {
            let (_, own) = self.take(format!("share of {}", sharer(policy)), all, now);
            // This order is the last of what it took.
            let taken = u64::from(all.max).saturating_sub(own + 1);
            if left < kept && taken >= (kept / (others - 1)).max(1) && !approved {
                let text = format!("order {id}: {left} of {kept} are left for others");
                return Err(Violation::new(now, "fair", text));
            }
        }
        if let Some((team, TeamLimits { rate: Some(rate), .. })) = book.team_of(policy) {
            let (enough, _) = self.take(format!("team {team}"), rate, now);
            if !enough && !approved {
                let text = format!("{team}: more than {} orders in {}", rate.max, rate.per);
                return Err(Violation::new(now, "rate", text));
            }
        }
        let rate = policy.guard.rate;
        let (enough, _) = self.take(format!("policy {}", policy.name), rate, now);
        if !enough {
            let text = format!("{}: more than {} orders in {}", policy.name, rate.max, rate.per);
            return Err(Violation::new(now, "rate", text));
        }
        let bucket = self.buckets.get(&format!("policy {}", policy.name));
        let level = bucket.map_or(0, |bucket| bucket.level);
        Ok(rate.per.saturating_sub(Span::from_micros(level)))
    }

    /// Takes one order from a bucket. Whether there was one, and how many are left.
    fn take(&mut self, scope: String, rate: Rate, now: Timestamp) -> (bool, u64) {
        let full = Bucket::full(rate, now);
        let bucket = self.buckets.entry(scope).or_insert(full);
        // After a reload the count begins anew: what was taken by another rate is not compared.
        if bucket.rate != rate {
            *bucket = full;
        }
        let enough = bucket.take(now);
        let share = rate.per.as_micros() / u64::from(rate.max.max(1));
        (enough, bucket.level / share.max(1))
    }

    fn within_concurrency(
        &self,
        case: &Case,
        policy: &Policy,
        book: &Book,
        id: &OrderId,
        now: Timestamp,
    ) -> Verdict {
        let mine = self.in_flight.values().filter(|subject| subject.0 == case.subject.0).count();
        let limits = [
            ("all policies", self.in_flight.len(), book.limits.concurrency),
            (policy.name.as_str(), mine, policy.guard.concurrency),
        ];
        let team = book.team_of(policy).and_then(|(team, limits)| {
            let of_team =
                |name| book.policy(name).is_some_and(|p| p.about.team.as_ref() == Some(team));
            let running = self.in_flight.values().filter(|subject| of_team(&subject.0)).count();
            Some((team.as_str(), running, limits.concurrency?))
        });
        for (scope, running, max) in limits.into_iter().chain(team) {
            if running >= max as usize {
                let text = format!("order {id}: {running} orders of {scope} run, {max} may");
                return Err(Violation::new(now, "concurrency", text));
            }
        }
        Ok(())
    }

    fn within_locks(
        &mut self,
        case: &Case,
        policy: &Policy,
        id: &OrderId,
        now: Timestamp,
    ) -> Verdict {
        for key in self.lock_keys(case, policy) {
            match self.locks.get(&key) {
                Some(by) if *by != id.incident => {
                    let text = format!("order {id} needs {key}, which incident {by} holds");
                    return Err(Violation::new(now, "lock", text));
                }
                Some(_) | None => {
                    self.locks.insert(key, id.incident);
                }
            }
        }
        Ok(())
    }

    fn lock_keys(&self, case: &Case, policy: &Policy) -> Vec<String> {
        let mut keys = vec![match policy.target {
            TargetLabels::All => format!("policy {}", policy.name),
            TargetLabels::Named(_) => format!("target {}", case.subject.1),
        }];
        let mut alerts = case.episodes.iter().filter_map(|id| self.episodes.get(id));
        let zone = alerts.next().and_then(|known| known.alert.labels.get("zone"));
        for template in &policy.guard.locks {
            if *template == book::lock_on_all() {
                keys.push("all".to_owned());
            } else {
                keys.push(format!("zone {}", zone.unwrap_or_default()));
            }
        }
        keys
    }

    pub(super) fn unlock(&mut self, incident: IncidentId) {
        self.locks.retain(|_, holder| *holder != incident);
    }

    /// A hold says why, and what ends it; and what it says of these guards is so.
    pub(super) fn holds(
        &mut self,
        incident: IncidentId,
        (holds, until): (&[Hold], Option<Timestamp>),
        book: &Book,
        now: Timestamp,
    ) -> Verdict {
        for hold in holds {
            self.met.note(hold);
        }
        if let Some(case) = self.cases.get(&incident)
            && let Some(policy) = book.policy(&case.subject.0)
        {
            holds.iter().try_for_each(|hold| self.is_true(incident, case, policy, hold, now))?;
        }
        let silent = holds.is_empty() || holds.iter().any(|hold| hold.to_string().len() < 15);
        let gated = holds.iter().all(|hold| hold.gate().is_some());
        if silent || !(gated || until.is_some_and(|until| until > now)) {
            let text = format!("a hold without a reason or an end: {holds:?} until {until:?}");
            return Err(Violation::new(now, "reasons", text));
        }
        Ok(())
    }

    fn is_true(
        &self,
        incident: IncidentId,
        case: &Case,
        policy: &Policy,
        hold: &Hold,
        now: Timestamp,
    ) -> Verdict {
        match hold {
            Hold::Frozen { until, ends, .. } => {
                let until = self.hours.wall(self.hours.own(*until));
                freeze::is_held_rightly(policy, until, *ends, self.hours.wall(now))
            }
            Hold::Flapping { until, .. } => {
                let until = self.hours.own(*until);
                self.flaps.is_held_rightly(&case.subject, policy.guard.flap, until, now)
            }
            Hold::BreakerOpen { circuit, until, .. } => {
                self.breakers.is_open_until(policy, circuit, self.hours.own(*until), now)
            }
            Hold::BreakerTried { circuit, by } => {
                self.breakers.is_tried_by(policy, circuit, (incident, *by), now)
            }
            Hold::Storming { firing, gauge, until, .. } => {
                let until = until.map(|until| self.hours.own(until));
                self.is_storm(case, policy, (*firing, gauge, until), now)
            }
            _ => Ok(()),
        }
    }
}
