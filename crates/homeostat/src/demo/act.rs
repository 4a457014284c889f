//! The four acts: what breaks, how it should end, and whether it did.

use jiff::Timestamp;

use super::engine::Incident;
use super::fleet::Fault;
use super::service::Instance;

/// What can be seen of a fault on its way, in the order of a fault that is healed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The service fails.
    Fault,
    /// Prometheus sees it; the alert's `for` runs.
    Pending,
    /// The alert fires.
    Firing,
    /// Alertmanager's notification reached the engine.
    Notified,
    /// A guard holds the engine back.
    Held,
    /// The engine issued an order.
    Decided,
    /// The order ended.
    Acted,
    /// The remedy is known not to have healed.
    Unhealed,
    /// The service answers again.
    Recovered,
    /// The incident is closed as healed.
    Proven,
    /// The incident is closed and handed over to a person.
    Escalated,
    /// The incident is closed in another way.
    Closed,
    /// The escalation is visible in Alertmanager.
    Told,
    /// Alertmanager told the engine that the alert is over.
    Resolved,
}

impl Stage {
    /// Its name in a column.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Fault => "fault",
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Notified => "notified",
            Self::Held => "held",
            Self::Decided => "decided",
            Self::Acted => "acted",
            Self::Unhealed => "unhealed",
            Self::Recovered => "recovered",
            Self::Proven => "proven",
            Self::Escalated => "escalated",
            Self::Closed => "closed",
            Self::Told => "told",
            Self::Resolved => "resolved",
        }
    }

    /// Whether the text of an entry says more than the stage's name.
    pub(super) const fn has_more_to_say(self) -> bool {
        !matches!(
            self,
            Self::Pending | Self::Firing | Self::Notified | Self::Recovered | Self::Resolved
        )
    }

    /// Whether an act can have it more than once.
    const fn repeats(self) -> bool {
        matches!(self, Self::Decided | Self::Acted | Self::Held)
    }
}

/// How an act should end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Healed by the last of these remedies, and proven.
    Healed(&'static [&'static str]),
    /// Nothing done: the cooldown holds.
    HeldByCooldown,
    /// Handed over, after these remedies did not heal.
    Escalated(&'static [&'static str]),
}

/// One act.
#[derive(Debug)]
pub(super) struct Act {
    pub(super) instance: Instance,
    pub(super) fault: Fault,
    pub(super) title: &'static str,
    pub(super) story: &'static str,
    /// What is done to the instance, for its timeline.
    pub(super) deed: &'static str,
    pub(super) ending: Ending,
    /// The stage after which the next act may begin; the ending, where there is none.
    pub(super) next_after: Option<Stage>,
}

/// The play.
///
/// The last two overlap: while Alertmanager's group waits to tell that a is down again, c fails.
pub(super) const ACTS: [Act; 4] = [
    Act {
        instance: Instance::A,
        fault: Fault::Crash,
        title: "Instance a crashes",
        story: "The first remedy, a restart, heals it.",
        deed: "its process is killed",
        ending: Ending::Healed(&["restart"]),
        next_after: None,
    },
    Act {
        instance: Instance::B,
        fault: Fault::CorruptCache,
        title: "The cache of b becomes corrupt",
        story: "That outlives a restart: the second remedy, clearing the cache, heals it.",
        deed: "its cache is overwritten",
        ending: Ending::Healed(&["restart", "clear-cache"]),
        next_after: None,
    },
    Act {
        instance: Instance::A,
        fault: Fault::Crash,
        title: "Instance a crashes again, too soon",
        story: "The cooldown holds Homeostat back: what keeps breaking is not restarted for ever.",
        deed: "its process is killed",
        ending: Ending::HeldByCooldown,
        next_after: Some(Stage::Firing),
    },
    Act {
        instance: Instance::C,
        fault: Fault::LoseData,
        title: "Instance c loses its data",
        story: "No remedy can heal that: Homeostat stops and calls a person, through Alertmanager.",
        deed: "its data is deleted",
        ending: Ending::Escalated(&["restart", "clear-cache"]),
        next_after: None,
    },
];

/// Something that was seen, and when it happened.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) stage: Stage,
    pub(super) at: Timestamp,
    pub(super) text: String,
}

/// What was seen of an act so far.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) act: &'static Act,
    /// Since when its instance fails.
    pub(super) began: Timestamp,
    /// In the order of [`Entry::at`].
    pub(super) entries: Vec<Entry>,
    /// Its incident, as it was last seen.
    pub(super) incident: Option<Incident>,
}

impl Record {
    pub(super) const fn new(act: &'static Act, began: Timestamp) -> Self {
        Self { act, began, entries: Vec::new(), incident: None }
    }

    /// Takes an entry in, unless it says again what is already known.
    pub(super) fn take(&mut self, entry: Entry) -> bool {
        if self.has(entry.stage) && !entry.stage.repeats() {
            return false;
        }
        let place = self.entries.partition_point(|earlier| earlier.at <= entry.at);
        self.entries.insert(place, entry);
        true
    }

    pub(super) fn has(&self, stage: Stage) -> bool {
        self.at(stage).is_some()
    }

    /// When a stage was first reached.
    fn at(&self, stage: Stage) -> Option<Timestamp> {
        self.entries.iter().find(|entry| entry.stage == stage).map(|entry| entry.at)
    }

    /// Whether the act has come to an end, the right one or another.
    pub(super) fn has_ended(&self) -> bool {
        let closed = self.incident.as_ref().is_some_and(Incident::is_closed);
        let outcome = self.incident.as_ref().and_then(|incident| incident.outcome.as_deref());
        match self.act.ending {
            Ending::HeldByCooldown => closed || self.cooldown().is_some(),
            Ending::Healed(_) => {
                closed && (outcome != Some("healed") || self.has(Stage::Recovered))
            }
            Ending::Escalated(_) => {
                closed && (outcome != Some("escalated") || self.has(Stage::Told))
            }
        }
    }

    /// Whether the next act may begin.
    pub(super) fn lets_go_on(&self) -> bool {
        self.has_ended() || self.act.next_after.is_some_and(|stage| self.has(stage))
    }

    /// The hold by the cooldown, if there is one.
    fn cooldown(&self) -> Option<&Entry> {
        let held = self.entries.iter().filter(|entry| entry.stage == Stage::Held);
        held.rev().find(|entry| {
            let text = entry.text.to_lowercase();
            text.contains("cooldown") || text.contains("cooling down")
        })
    }

    /// The seconds between the arrival of the notification and the start of the first order; the
    /// hold, where nothing was done. All the rest is waiting for others.
    pub(super) fn own_share(&self) -> Option<f64> {
        let notified = self.at(Stage::Notified)?;
        let orders = self.incident.iter().flat_map(|incident| &incident.orders);
        let started = orders.filter_map(|order| order.started_at).min();
        let answered = match self.act.ending {
            Ending::HeldByCooldown => self.cooldown().map(|entry| entry.at),
            Ending::Healed(_) | Ending::Escalated(_) => started.or_else(|| self.at(Stage::Decided)),
        };
        Some(answered?.duration_since(notified).as_secs_f64())
    }

    /// Whether it ended as it should: how it did, or what is wrong.
    pub(super) fn verdict(&self) -> Result<String, String> {
        let Some(incident) = &self.incident else {
            return Err("no incident was opened".to_owned());
        };
        let orders: Vec<&str> = incident.orders.iter().map(|o| o.remedy.as_str()).collect();
        let (expected, outcome) = match self.act.ending {
            Ending::Healed(remedies) => (remedies, Some("healed")),
            Ending::Escalated(remedies) => (remedies, Some("escalated")),
            Ending::HeldByCooldown => (&[][..], None),
        };
        if orders != expected {
            let (orders, expected) = (listed(&orders), listed(expected));
            return Err(format!("the remedies were {orders}, not {expected}"));
        }
        if incident.outcome.as_deref() != outcome {
            let outcome = incident.outcome.as_deref().unwrap_or("none");
            let (state, reason) = (&incident.state, incident.reason.as_deref().unwrap_or(""));
            return Err(format!("its state is {state}, its outcome {outcome}: {reason}"));
        }
        match self.act.ending {
            Ending::Healed(_) => self.healed(incident, &orders),
            Ending::HeldByCooldown => match self.cooldown() {
                Some(_) => Ok("held by the cooldown; nothing was done to it".to_owned()),
                None => Err("it was not held by the cooldown".to_owned()),
            },
            Ending::Escalated(_) if self.has(Stage::Told) => {
                Ok(format!("escalated after {}; visible in Alertmanager", listed(&orders)))
            }
            Ending::Escalated(_) => Err("the escalation is not in Alertmanager".to_owned()),
        }
    }

    fn healed(&self, incident: &Incident, orders: &[&str]) -> Result<String, String> {
        let grade = incident.grade.as_deref().unwrap_or("no grade");
        if !self.has(Stage::Recovered) {
            return Err("the service did not recover".to_owned());
        }
        if grade != "proven" {
            return Err(format!("healed, with {grade} in place of proven"));
        }
        let remedy = orders.last().copied().unwrap_or_default();
        let after = self.at(Stage::Proven).map_or(0.0, |at| self.since_fault(at));
        Ok(format!("healed by {remedy}, and proven, {after:.1} s after the fault"))
    }

    /// The seconds from the fault to an instant.
    pub(super) fn since_fault(&self, at: Timestamp) -> f64 {
        at.duration_since(self.began).as_secs_f64()
    }
}

fn listed(remedies: &[&str]) -> String {
    if remedies.is_empty() { "none".to_owned() } else { remedies.join(", then ") }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::super::engine::Order;
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_millis(millis)
    }

    fn record(act: usize, stages: &[(Stage, i64, &str)]) -> Record {
        let mut record = Record::new(&ACTS[act], at(0));
        for &(stage, millis, text) in stages {
            record.take(Entry { stage, at: at(millis), text: text.to_owned() });
        }
        record
    }

    fn incident(outcome: &str, grade: &str, remedies: &[&str]) -> Incident {
        let order =
            |remedy: &&str| Order { remedy: (*remedy).to_owned(), started_at: Some(at(12_040)) };
        Incident {
            state: if outcome.is_empty() { "waiting" } else { "closed" }.to_owned(),
            outcome: Some(outcome.to_owned()).filter(|outcome| !outcome.is_empty()),
            grade: Some(grade.to_owned()),
            orders: remedies.iter().map(order).collect(),
            ..Incident::default()
        }
    }

    #[test]
    fn an_act_that_ends_as_it_should_says_how() {
        let stages = [
            (Stage::Notified, 12_000, ""),
            (Stage::Recovered, 12_500, ""),
            (Stage::Proven, 15_000, ""),
        ];
        let mut healed = record(0, &stages);
        healed.incident = Some(incident("healed", "proven", &["restart"]));
        assert!(healed.has_ended());
        assert_eq!(
            healed.verdict().unwrap(),
            "healed by restart, and proven, 15.0 s after the fault"
        );
        assert!((healed.own_share().unwrap() - 0.04).abs() < 1e-9);
    }

    #[test]
    fn an_act_that_ends_otherwise_says_what_is_wrong() {
        let seen = [(Stage::Recovered, 1, ""), (Stage::Proven, 2, "")];
        for (act, incident, wrong) in [
            (0, incident("healed", "confirmed", &["restart"]), "confirmed in place of proven"),
            (0, incident("healed", "proven", &["restart", "clear-cache"]), "not restart"),
            (0, incident("escalated", "", &["restart"]), "its outcome escalated"),
            (1, incident("healed", "proven", &["restart"]), "not restart, then clear-cache"),
            (2, incident("", "", &["restart"]), "not none"),
            (2, incident("", "", &[]), "not held by the cooldown"),
            (3, incident("escalated", "", &["restart", "clear-cache"]), "not in Alertmanager"),
        ] {
            let mut record = record(act, &seen);
            record.incident = Some(incident);
            let told = record.verdict().unwrap_err();
            assert!(told.contains(wrong), "{told}");
        }
        assert!(record(0, &seen).verdict().unwrap_err().contains("no incident"));
    }

    #[test]
    fn only_the_cooldown_ends_the_third_act() {
        let mut held = record(2, &[(Stage::Held, 1, "waits for evidence")]);
        held.incident = Some(incident("", "", &[]));
        assert!(!held.has_ended());
        held.take(Entry { stage: Stage::Held, at: at(2), text: "cooldown until 9:05".to_owned() });
        assert!(held.has_ended());
        assert_eq!(held.verdict().unwrap(), "held by the cooldown; nothing was done to it");
    }

    #[test]
    fn entries_stand_in_the_order_in_which_they_happened() {
        let record = record(
            0,
            &[
                (Stage::Fault, 0, ""),
                (Stage::Firing, 9, ""),
                (Stage::Pending, 5, ""),
                (Stage::Firing, 12, ""),
            ],
        );
        let stages: Vec<Stage> = record.entries.iter().map(|entry| entry.stage).collect();
        assert_eq!(stages, [Stage::Fault, Stage::Pending, Stage::Firing]);
    }
}
