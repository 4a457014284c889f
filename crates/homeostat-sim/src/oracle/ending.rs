//! How a run ends: in a calm world every incident ends or a person is told, and once all is well
//! nothing is left behind.

use homeostat_core::hold::{Hold, Scope};
use homeostat_core::incident::Stage;
use homeostat_core::notice::Topic;
use homeostat_core::policy::Book;
use homeostat_core::state::State;
use homeostat_core::time::{Span, Timestamp};

use super::{Oracle, Verdict, Violation};

/// How much later than due a person may be told: a turn waits for a disk or a start.
const GRACE: Span = Span::from_secs(300);

impl Oracle {
    /// Judges a world that has been calm for hours.
    ///
    /// # Errors
    ///
    /// The law that it breaks.
    pub fn judge_calm(&self, state: &State, book: &Book, shown: Timestamp) -> Verdict {
        let now = self.hours.own(shown);
        for (id, case) in self.cases.iter().filter(|(_, case)| case.closed.is_none()) {
            let Some(after) = case.tells_after else { continue };
            // What a guard holds for a whole policy is told once for all of it.
            let policy = &case.subject.0;
            let of_guard = |topic| matches!(topic, Topic::Guard { policy: p, .. } if p == *policy);
            if state.notices().any(|owed| of_guard(owed.notice.topic())) {
                continue;
            }
            // And told of it alone only if it is still open for so long after that.
            let since = self.told.until(policy).max(Some(case.opened_at)).unwrap_or(now);
            if !case.told && now.since(since) > after.saturating_add(GRACE) {
                let stage = state.incident(*id).map(|incident| &incident.stage);
                let text = format!("incident {id} is open for long and nobody knows: {stage:?}");
                return Err(Violation::new(now, "told", text));
            }
        }
        for incident in state.incidents().filter(|_| !self.paused) {
            let lasts = |hold: &Hold| matches!(hold, Hold::Blind { .. } | Hold::Storming { .. });
            if let Stage::Held { holds, until: None, .. } = &incident.stage
                && !holds.iter().any(lasts)
            {
                let text =
                    format!("incident {} waits, and nothing ends it: {holds:?}", incident.id);
                return Err(Violation::new(now, "rest", text));
            }
        }
        for episode in self.firing.values() {
            let Some(known) = self.episodes.get(episode) else { continue };
            let labels = &known.alert.labels;
            for policy in book.taking(labels) {
                if policy.owner_of.is_some() {
                    // That it has one, or is asked about, is judged after each turn.
                    continue;
                }
                let target = policy.target.pick(labels);
                let target = target.unwrap_or_else(|_| policy.target.present(labels));
                if state.incident_of(&(policy.name.clone(), target)).is_none() {
                    let text =
                        format!("policy {} takes {labels}, without an incident", policy.name);
                    return Err(Violation::new(now, "taken", text));
                }
            }
        }
        Ok(())
    }

    /// Judges a world in which all has been well for days.
    ///
    /// # Errors
    ///
    /// The law that it breaks.
    pub fn judge_end(&self, state: &State, shown: Timestamp) -> Verdict {
        let now = self.hours.own(shown);
        let broken = |text: String| Err(Violation::new(now, "left", text));
        if let Some(incident) = state.incidents().next() {
            let (id, stage) = (incident.id, &incident.stage);
            return broken(format!("incident {id} does not end: {stage:?}"));
        }
        if let Some(approval) = state.approvals().iter().next() {
            return broken(format!("{approval} does not end"));
        }
        if let Some(owed) = state.notices().next() {
            return broken(format!("the notice {} does not end", owed.notice.topic()));
        }
        let runs = self.cases.values().flat_map(|case| &case.runs);
        for lock in runs.flat_map(|run| &run.order.locks) {
            if let Some(holder) = state.ledgers().holder(lock) {
                return broken(format!("{lock} is still locked by incident {holder}"));
            }
        }
        if !self.in_flight.is_empty() || state.ledgers().running(&Scope::Book) > 0 {
            return broken("an order is still counted as running".to_owned());
        }
        if let Some(key) = self.firing.keys().next() {
            return broken(format!("alert {key:?} fires on"));
        }
        Ok(())
    }
}
