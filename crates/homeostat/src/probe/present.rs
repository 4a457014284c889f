//! Which alerts of a target are there, whoever lists them.
//!
//! Duty: choose those that are asked for, each once, within a bound. Not its duty: who lists, and
//! what it means (core's `regression`).

use std::collections::BTreeMap;

use homeostat_core::evidence::{Present, PresentAlert, Sight, is_asked_for};
use homeostat_core::label::{LabelSet, Matchers};
use homeostat_core::limits::LISTED_ALERTS;
use homeostat_core::policy::Target;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) matchers: &'a Matchers,
    pub(super) target: &'a Target,
}

impl Wanted<'_> {
    /// Chooses among alerts, each with whether it fires. One that several list fires if any says so.
    pub(super) fn of<'l>(
        &self,
        alerts: impl Iterator<Item = (&'l LabelSet, bool)>,
        sight: Sight,
    ) -> Present {
        let mut chosen: BTreeMap<&LabelSet, bool> = BTreeMap::new();
        for (labels, fires) in alerts {
            if is_asked_for(labels, self.matchers, self.target) {
                *chosen.entry(labels).or_default() |= fires;
            }
        }
        let more = chosen.len().saturating_sub(LISTED_ALERTS);
        let mut chosen: Vec<(&LabelSet, bool)> = chosen.into_iter().collect();
        // Those that fire come first: they are what would make it worse. Then by name, for people.
        chosen.sort_by(|(one, fires), (other, too)| {
            too.cmp(fires).then_with(|| one.iter().cmp(other.iter()))
        });
        let alert =
            |(labels, fires): (&LabelSet, bool)| PresentAlert { labels: labels.clone(), fires };
        let alerts = chosen.into_iter().take(LISTED_ALERTS).map(alert).collect();
        Present { alerts, more, sight }
    }
}
