//! The indices that follow from where an incident stands, so that nothing is searched for.

use std::collections::{BTreeMap, BTreeSet};

use super::State;
use crate::incident::Stage;
use crate::name::IncidentId;

impl State {
    /// Enters an incident into the indices.
    pub(super) fn index(&mut self, id: IncidentId) {
        let Some(incident) = self.incidents.get(&id) else { return };
        if let Some(at) = incident.wakes_at() {
            self.alarms.insert((at, id));
        }
        for gate in incident.gates() {
            self.gates.entry(gate).or_default().insert(id);
        }
        for guard in incident.told_guards() {
            self.held_by.entry((incident.policy.clone(), guard)).or_default().insert(id);
        }
        if incident.stage == Stage::Ready {
            self.ready.insert(id);
        }
        if incident.goes_first() {
            self.approved.insert((incident.policy.clone(), id));
        }
    }

    /// Takes an incident out of the indices, before it changes.
    pub(super) fn unindex(&mut self, id: IncidentId) {
        let Some(incident) = self.incidents.get(&id) else { return };
        if let Some(at) = incident.wakes_at() {
            self.alarms.remove(&(at, id));
        }
        for gate in incident.gates() {
            leave(&mut self.gates, &gate, id);
        }
        for guard in incident.told_guards() {
            leave(&mut self.held_by, &(incident.policy.clone(), guard), id);
        }
        if incident.goes_first() {
            self.approved.remove(&(incident.policy.clone(), id));
        }
    }
}

fn leave<K: Ord>(index: &mut BTreeMap<K, BTreeSet<IncidentId>>, key: &K, id: IncidentId) {
    if let Some(incidents) = index.get_mut(key) {
        incidents.remove(&id);
        if incidents.is_empty() {
            index.remove(key);
        }
    }
}
