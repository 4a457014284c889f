//! What a run met: how often each guard held, and each fault struck. A law about what no world
//! comes to would say nothing.

use std::collections::BTreeMap;
use std::fmt;

use homeostat_core::hold::Hold;

/// How often the worlds came to what the laws are about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Met(BTreeMap<&'static str, u64>);

impl Met {
    /// Counts once more.
    pub fn count(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    /// How often it was met.
    pub fn of(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }

    /// All that was met.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.0.iter().map(|(what, count)| (*what, *count))
    }

    /// Takes in what another run met.
    pub fn add(&mut self, other: &Self) {
        for (what, count) in &other.0 {
            *self.0.entry(what).or_default() += count;
        }
    }

    /// Counts who holds.
    pub(super) fn note(&mut self, hold: &Hold) {
        self.count(hold.guard().as_str());
        match hold {
            Hold::Storming { until: None, .. } => self.count("storm that stops"),
            Hold::Storming { until: Some(_), .. } => self.count("storm that slows"),
            Hold::BreakerTried { .. } => self.count("breaker that is tried"),
            _ => {}
        }
    }
}

impl fmt::Display for Met {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> =
            self.0.iter().map(|(what, count)| format!("{what} {count}")).collect();
        f.write_str(&all.join(", "))
    }
}
