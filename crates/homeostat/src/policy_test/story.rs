//! What happened in a test, in the sentences that `homeostat incidents` prints.

use std::collections::BTreeSet;

use homeostat_core::fact::{Fact, What};
use homeostat_core::name::{EpisodeId, IncidentId};
use homeostat_core::time::{Span, Timestamp};
use serde::Serialize;

use crate::web::api;
use crate::web::api::view::IncidentView;

/// Lines of a story. A test that fails after more of them is looked at from its end.
const LINES: usize = 60;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// When, counted from the test's beginning.
    pub at: Span,
    /// To which incident; `None` for an alert that no policy takes.
    pub incident: Option<String>,
    /// What, in sentences.
    pub text: String,
}

/// Shows all incidents that ever opened, oldest first, as the API would.
pub(super) fn incidents(journal: &[Fact]) -> Vec<IncidentView> {
    let opened = journal.iter().filter_map(|fact| match &fact.what {
        What::IncidentOpened { incident, .. } => Some(*incident),
        _ => None,
    });
    opened.filter_map(|id| api::fold(id, &about(id, journal))).collect()
}

/// The facts of an incident and of its episodes, and the jumps of the clock while it was open.
fn about(id: IncidentId, journal: &[Fact]) -> Vec<Fact> {
    let is_of = |fact: &&Fact| fact.what.incident() == Some(id);
    let episodes: BTreeSet<EpisodeId> =
        journal.iter().filter(is_of).filter_map(|fact| fact.what.episode()).collect();
    let mut is_open = false;
    let concerns = |fact: &&Fact| match (&fact.what, fact.what.incident()) {
        (what, Some(other)) => {
            if other == id {
                is_open = match what {
                    What::IncidentOpened { .. } => true,
                    What::IncidentClosed { .. } => false,
                    _ => is_open,
                };
            }
            other == id
        }
        (What::ClockJumped { .. }, None) => is_open,
        (what, None) => what.episode().is_some_and(|episode| episodes.contains(&episode)),
    };
    journal.iter().filter(concerns).cloned().collect()
}

/// Tells what happened so far.
pub(super) fn tell(journal: &[Fact], start: Timestamp) -> Vec<Line> {
    let mut lines: Vec<(Timestamp, Line)> = Vec::new();
    for incident in incidents(journal) {
        for entry in &incident.timeline {
            let times =
                if entry.count > 1 { format!(" ({} times)", entry.count) } else { String::new() };
            let line = Line {
                at: entry.at.since(start),
                incident: Some(incident.id.clone()),
                text: format!("{}{times}", entry.text),
            };
            lines.push((entry.at, line));
        }
    }
    lines.extend(untaken(journal, start));
    lines.sort_by_key(|(at, _)| *at);
    let before = lines.len().saturating_sub(LINES);
    lines.drain(..before);
    lines.into_iter().map(|(_, line)| line).collect()
}

/// Alerts that no policy takes.
fn untaken(journal: &[Fact], start: Timestamp) -> Vec<(Timestamp, Line)> {
    let taken: BTreeSet<EpisodeId> = journal
        .iter()
        .filter(|fact| fact.what.incident().is_some())
        .filter_map(|fact| fact.what.episode())
        .collect();
    let untaken = journal.iter().filter_map(|fact| match &fact.what {
        What::EpisodeBegan { episode, alert, .. } if !taken.contains(episode) => {
            let text = format!("Alert {} fires, and no policy takes it.", alert.labels);
            let line = Line { at: fact.at.since(start), incident: None, text };
            Some((fact.at, line))
        }
        _ => None,
    });
    untaken.collect()
}
