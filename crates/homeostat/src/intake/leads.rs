//! What notifications tell of a source besides its alerts: by which receivers it reaches us, and
//! that it did not tell all. Whoever reconciles follows these leads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use homeostat_core::name::SourceName;
use parking_lot::RwLock;
use tokio::sync::Notify;

/// Receivers of one source that are remembered; a configuration that has more should name them.
const RECEIVERS: usize = 64;

/// What Go's `regexp.QuoteMeta` puts a backslash before: so Alertmanager writes a receiver's name.
const QUOTED: &str = r"\.+*?()|[]{}^$";

/// The leads. Cheap to clone; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Leads {
    sources: Arc<RwLock<BTreeMap<SourceName, Arc<Lead>>>>,
}

/// What is known of one source.
#[derive(Debug, Default)]
pub(super) struct Lead {
    receivers: RwLock<BTreeSet<String>>,
    /// Somebody did not tell all.
    pub(super) prompted: Notify,
}

impl Leads {
    /// Learns that a source reaches us by a receiver, as its notifications write the name.
    pub fn learn(&self, source: &SourceName, receiver: &str) {
        if receiver.is_empty() {
            return;
        }
        let name = unquote(receiver);
        let lead = self.of(source);
        if lead.receivers.read().contains(&name) {
            return;
        }
        let mut receivers = lead.receivers.write();
        if receivers.len() < RECEIVERS {
            receivers.insert(name);
        }
    }

    /// Has a source asked for all of its alerts soon.
    pub(super) fn prompt(&self, source: &SourceName) {
        // One permit is kept: whoever is asking already looks once more.
        self.of(source).prompted.notify_one();
    }

    /// Returns what is known of a source. Their names are bounded by [`super::Sources`].
    pub(super) fn of(&self, source: &SourceName) -> Arc<Lead> {
        if let Some(lead) = self.sources.read().get(source) {
            return lead.clone();
        }
        self.sources.write().entry(source.clone()).or_default().clone()
    }
}

impl Lead {
    /// The receivers that notifications have named.
    pub(super) fn receivers(&self) -> BTreeSet<String> {
        self.receivers.read().clone()
    }
}

/// Writes a receiver's name as notifications do.
pub(super) fn quote(name: &str) -> String {
    let mut quoted = String::with_capacity(name.len());
    for c in name.chars() {
        if QUOTED.contains(c) {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}

fn unquote(quoted: &str) -> String {
    let mut name = String::with_capacity(quoted.len());
    let mut rest = quoted.chars().peekable();
    while let Some(c) = rest.next() {
        match rest.peek() {
            Some(&next) if c == '\\' && QUOTED.contains(next) => {
                name.push(next);
                rest.next();
            }
            Some(_) | None => name.push(c),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_as_go_does_and_read_back() {
        for (name, quoted) in [
            ("web.hook", r"web\.hook"),
            (r"a\b", r"a\\b"),
            ("team-a/oncall", "team-a/oncall"),
            ("^(x|y)$[z]{1}*+?", r"\^\(x\|y\)\$\[z\]\{1\}\*\+\?"),
            ("ä", "ä"),
        ] {
            assert_eq!(quote(name), quoted);
            assert_eq!(unquote(quoted), name);
        }
        assert_eq!(unquote(r"not quoted\"), r"not quoted\");
    }

    #[test]
    fn receivers_are_learned_for_each_source_and_bounded() {
        let leads = Leads::default();
        let (main, second) = (SourceName::new("main"), SourceName::new("second"));
        leads.learn(&main, r"web\.hook");
        leads.learn(&main, "");
        assert_eq!(leads.of(&main).receivers(), BTreeSet::from(["web.hook".to_owned()]));
        assert!(leads.of(&second).receivers().is_empty());
        for number in 0..100 {
            leads.learn(&second, &number.to_string());
        }
        assert_eq!(leads.of(&second).receivers().len(), RECEIVERS);
    }
}
