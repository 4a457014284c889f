//! The whole way of an alert's labels from a rule to the wire.

use super::Rules;
use super::builder::Builder;
use crate::label::LabelSet;

/// What one Prometheus does with an alert's labels before it sends them.
///
/// A label of the alert's own is never changed by an external one. Then the rules for all Alertmanagers
/// are applied, then those for each.
///
/// Source: `Manager.Send` and `alertmanagerSet.send` in `notifier` of Prometheus.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wire {
    external_labels: LabelSet,
    relabel: Rules,
    /// What each Alertmanager that has rules, or has none, gets of its own.
    alertmanagers: Vec<Rules>,
}

impl Wire {
    /// A way on which all Alertmanagers get the same.
    pub fn new(external_labels: LabelSet, relabel: Rules) -> Self {
        Self { external_labels, relabel, alertmanagers: Vec::new() }
    }

    /// Adds rules that one or more of the Alertmanagers have beside those for all; none are rules, too.
    #[must_use]
    pub fn with_alertmanager(mut self, own: Rules) -> Self {
        if !self.alertmanagers.contains(&own) {
            self.alertmanagers.push(own);
        }
        self
    }

    /// Returns the external labels.
    pub fn external_labels(&self) -> &LabelSet {
        &self.external_labels
    }

    /// Tells whether an alert goes out as the rule has it.
    pub fn is_plain(&self) -> bool {
        self.external_labels.is_empty()
            && self.relabel.is_empty()
            && self.alertmanagers.iter().all(Rules::is_empty)
    }

    /// Returns what is sent of this instance of a rule to an Alertmanager that has no rules of its own;
    /// `None` where it is dropped.
    pub fn send(&self, instance: &LabelSet) -> Option<LabelSet> {
        let mut labels = Builder::new(instance);
        for (name, value) in self.external_labels.iter() {
            if instance.get(name).is_none() {
                labels.set(name, value);
            }
        }
        self.relabel.run(&mut labels).then(|| labels.labels())
    }

    /// Returns all that is sent of this instance, each set of labels once, in the order of the
    /// Alertmanagers; nothing where it is dropped. Without Alertmanagers it is what [`Wire::send`] says.
    pub fn send_all(&self, instance: &LabelSet) -> Vec<LabelSet> {
        let Some(sent) = self.send(instance) else { return Vec::new() };
        if self.alertmanagers.is_empty() {
            return vec![sent];
        }
        let mut all = Vec::new();
        for own in self.alertmanagers.iter().filter_map(|rules| rules.apply(&sent)) {
            if !all.contains(&own) {
                all.push(own);
            }
        }
        all
    }
}
