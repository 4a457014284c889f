//! The verdict: what became of each alert that was accepted.
//!
//! | law | broken by |
//! |---|---|
//! | nothing accepted is lost | a target without an incident, or one whose incident does not end |
//! | nothing runs twice | an order, or a target, whose action began more than once |
//! | what goes on is told | a process that outlived the end of its order, of which nothing says so |
//! | what did not run is told | an incident that ended otherwise than healed, of which nobody was told; a target whose action did not run, and that is called healed |

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use homeostat::web::api::view::{IncidentView, StateView};
use homeostat_core::incident::End;

use crate::world::{Known, Rebel, Run};

/// What is known of the world at the end.
#[derive(Debug)]
pub struct Evidence<'a> {
    /// All troubles.
    pub troubles: Vec<&'a Known>,
    /// All runs, each as often as it began.
    pub ran: Vec<Run>,
    /// The incidents of which a person was told.
    pub told: BTreeSet<String>,
    /// The processes that meant to outlive their limits, and live.
    pub rebels: Vec<Rebel>,
    /// All incidents.
    pub incidents: Vec<IncidentView>,
}

/// What it came to.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Account {
    /// Alerts that were accepted.
    pub accepted: usize,
    /// Incidents.
    pub incidents: usize,
    /// Those that were healed.
    pub healed: usize,
    /// Those that were handed to a person.
    pub escalated: usize,
    /// Orders that ran, by what their actions wrote.
    pub ran: usize,
    /// Orders whose outcome nobody knew, and that were verified.
    pub unknown: usize,
    /// What was accepted and has no end that it should have.
    pub lost: Vec<String>,
    /// What ran more than once.
    pub double: Vec<String>,
    /// What nobody was told.
    pub untold: Vec<String>,
    /// What lives though it is said to have ended.
    pub left: Vec<String>,
}

impl Account {
    /// Tells whether all laws were kept.
    pub fn is_clean(&self) -> bool {
        self.lost.is_empty()
            && self.double.is_empty()
            && self.untold.is_empty()
            && self.left.is_empty()
    }
}

/// Judges what is known.
pub fn judge(evidence: &Evidence<'_>) -> Account {
    let mut account = Account {
        accepted: evidence.troubles.iter().filter(|known| known.accepted).count(),
        incidents: evidence.incidents.len(),
        ran: evidence.ran.len(),
        ..Account::default()
    };
    account.double.extend(twice(evidence.ran.iter().map(|run| &*run.order), "order"));
    account.double.extend(twice(evidence.ran.iter().map(|run| &*run.target), "target"));
    account.left.extend(
        evidence.rebels.iter().filter_map(|rebel| Some((rebel, untold(rebel, evidence)?))).map(
            |(rebel, said)| {
                format!("order {}: process {} lives, and {said}", rebel.order, rebel.pid)
            },
        ),
    );
    let ran: BTreeSet<&str> = evidence.ran.iter().map(|run| &*run.target).collect();
    let mut by_target: BTreeMap<&str, Vec<&IncidentView>> = BTreeMap::new();
    for incident in &evidence.incidents {
        by_target
            .entry(incident.target.get("instance").unwrap_or_default())
            .or_default()
            .push(incident);
        account.note(incident);
    }
    for known in evidence.troubles.iter().filter(|known| known.accepted) {
        let target = known.trouble.target.as_str();
        match by_target.get(target).map(Vec::as_slice) {
            None | Some([]) => account.lost.push(format!("{target}: accepted, and no incident")),
            Some([incident]) => account.follow(target, incident, &ran, &evidence.told),
            Some(several) => {
                account.double.push(format!("{target}: {} incidents", several.len()));
            }
        }
    }
    account
}

/// What is said of the end of an order of which a process lives, where nothing tells of that. One whose
/// runner was killed is unknown: it may run still.
fn untold(rebel: &Rebel, evidence: &Evidence<'_>) -> Option<String> {
    let mut orders = evidence.incidents.iter().flat_map(|incident| &incident.orders);
    let order = orders.find(|order| order.id == rebel.order)?;
    let result = order.result.as_deref().filter(|result| *result != "unknown")?;
    let said = order.outcome.as_deref().unwrap_or_default();
    (!order.output.contains("still run")).then(|| format!("it is said to be {result}: {said}"))
}

impl Account {
    fn note(&mut self, incident: &IncidentView) {
        match incident.outcome {
            Some(End::Healed) => self.healed += 1,
            Some(End::Escalated) => self.escalated += 1,
            Some(End::Recovered | End::Shadowed | End::Rejected | End::Cancelled) | None => {}
        }
        self.unknown += incident
            .orders
            .iter()
            .filter(|order| order.result.as_deref() == Some("unknown"))
            .count();
    }

    fn follow(
        &mut self,
        target: &str,
        incident: &IncidentView,
        ran: &BTreeSet<&str>,
        told: &BTreeSet<String>,
    ) {
        let (id, state) = (&incident.id, incident.state);
        let ran = ran.contains(target);
        match incident.outcome {
            None => self.lost.push(format!("{target}: incident {id} is {}", state.as_str())),
            Some(End::Healed) if ran => {}
            Some(End::Healed) => self.lost.push(format!("{target}: {id} healed, and nothing ran")),
            Some(End::Escalated) if told.contains(id) => {}
            Some(End::Escalated) => {
                self.untold.push(format!("{target}: {id}, {}", incident.reason));
            }
            Some(end @ (End::Recovered | End::Shadowed | End::Rejected | End::Cancelled)) => {
                self.lost.push(format!("{target}: incident {id} ended as {end}"));
            }
        }
        if incident.orders.len() > 1 {
            self.double.push(format!("{target}: {} orders of {id}", incident.orders.len()));
        }
    }
}

/// Whether an incident has come to rest.
pub fn is_over(incident: &IncidentView) -> bool {
    incident.state == StateView::Closed
}

fn twice<'a>(names: impl Iterator<Item = &'a str>, what: &str) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    let several = counts.into_iter().filter(|(_, count)| *count > 1);
    several.map(|(name, count)| format!("{what} {name} ran {count} times")).collect()
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "alerts accepted        {:>8}", self.accepted)?;
        writeln!(f, "incidents              {:>8}", self.incidents)?;
        writeln!(f, "  healed               {:>8}", self.healed)?;
        writeln!(f, "  handed to a person   {:>8}", self.escalated)?;
        writeln!(f, "orders that ran        {:>8}", self.ran)?;
        writeln!(f, "outcome not known      {:>8}", self.unknown)?;
        for (name, list) in [
            ("lost", &self.lost),
            ("double", &self.double),
            ("not told", &self.untold),
            ("left behind", &self.left),
        ] {
            writeln!(f, "{name:<23}{:>8}", list.len())?;
            for line in list.iter().take(20) {
                writeln!(f, "  {line}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::*;
    use crate::plan::{Temper, Trouble};

    fn known(target: &str) -> Known {
        let trouble = Trouble { target: target.into(), nap: Duration::ZERO, temper: Temper::Calm };
        Known { trouble, since: Timestamp::UNIX_EPOCH, accepted: true, resolved: None, late: 0 }
    }

    fn incident(id: &str, target: &str, state: &str, outcome: &Value) -> IncidentView {
        serde_json::from_value(json!({
            "id": id, "policy": "torture", "target": { "instance": target }, "state": state,
            "outcome": outcome, "reason": "", "grade": null, "remedy": null,
            "resolved_during_action": false, "relapse_of": null,
            "opened_at": "2026-01-05T09:00:00Z", "closed_at": null,
            "alerts": [], "orders": [], "timeline": [],
        }))
        .unwrap()
    }

    fn account(ran: &[(&str, &str)], told: &[&str], incidents: Vec<IncidentView>) -> Account {
        let known = known("a");
        judge(&Evidence {
            troubles: vec![&known],
            ran: ran.iter().map(|(o, t)| Run { order: (*o).into(), target: (*t).into() }).collect(),
            told: told.iter().map(|id| (*id).to_owned()).collect(),
            rebels: Vec::new(),
            incidents,
        })
    }

    #[test]
    fn what_ran_once_and_healed_is_clean_and_so_is_what_a_person_was_told() {
        let healed = vec![incident("1", "a", "closed", &json!("healed"))];
        assert!(account(&[("1.heal.1", "a")], &[], healed).is_clean());
        let escalated = vec![incident("1", "a", "closed", &json!("escalated"))];
        assert!(account(&[], &["1"], escalated).is_clean());
    }

    #[test]
    fn a_process_that_outlives_the_end_of_its_order_is_seen_unless_it_is_told() {
        let known = known("a");
        let left = |result: &Value, output: &str| {
            let mut one = incident("1", "a", "closed", &json!("healed"));
            let order = json!({
                "id": "1.heal.1", "remedy": "heal", "attempt": 1, "action": "x", "state": "ended",
                "result": result, "output": output, "reasons": [],
                "issued_at": "2026-01-05T09:00:00Z",
            });
            one.orders.push(serde_json::from_value(order).unwrap());
            let rebels = vec![Rebel { order: "1.heal.1".into(), pid: 1 }];
            judge(&Evidence {
                troubles: vec![&known],
                ran: Vec::new(),
                told: BTreeSet::new(),
                rebels,
                incidents: vec![one],
            })
            .left
            .len()
        };
        assert_eq!(left(&json!("timed_out"), ""), 1);
        assert_eq!(left(&json!("timed_out"), "1 process still runs: sleep 600 (root)"), 0);
        assert_eq!(left(&json!("unknown"), ""), 0);
    }

    #[test]
    fn what_is_lost_runs_twice_or_is_not_told_is_seen() {
        let healed = || vec![incident("1", "a", "closed", &json!("healed"))];
        assert_eq!(account(&[], &[], Vec::new()).lost.len(), 1, "no incident");
        assert_eq!(account(&[], &[], healed()).lost.len(), 1, "healed without a run");
        let open = vec![incident("1", "a", "acting", &Value::Null)];
        assert_eq!(account(&[("1.heal.1", "a")], &[], open).lost.len(), 1, "never over");
        let cancelled = vec![incident("1", "a", "closed", &json!("cancelled"))];
        assert_eq!(account(&[], &[], cancelled).lost.len(), 1, "cancelled by nobody");
        let same = account(&[("1.heal.1", "a"), ("1.heal.1", "a")], &[], healed());
        assert_eq!(same.double.len(), 2, "the order and its target ran twice");
        let other = account(&[("1.heal.1", "a"), ("2.heal.1", "a")], &[], healed());
        assert_eq!(other.double.len(), 1, "the target ran twice");
        let mut two = healed();
        two.push(incident("2", "a", "closed", &json!("healed")));
        assert_eq!(account(&[("1.heal.1", "a")], &[], two).double.len(), 1, "two incidents");
        let escalated = vec![incident("1", "a", "closed", &json!("escalated"))];
        assert_eq!(account(&[("1.heal.1", "a")], &[], escalated).untold.len(), 1);
    }
}
