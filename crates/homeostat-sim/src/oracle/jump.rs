//! What jumps of the clock make void: evidence, mentions, and what people were asked. A jump that the
//! engine never wrote down, because it died, has made nothing void.

use std::collections::{BTreeMap, BTreeSet};

use homeostat_core::approval::Asked;
use homeostat_core::clock::Jump;
use homeostat_core::engine::Turn;
use homeostat_core::evidence::Evidence;
use homeostat_core::fact::What;
use homeostat_core::name::IncidentId;
use homeostat_core::time::Timestamp;

use super::{Key, Oracle, Verdict, Violation};

/// What follows from the last jump.
#[derive(Debug, Default)]
pub(super) struct Jumps {
    /// Whose question to a person it has made void.
    voided: BTreeSet<IncidentId>,
    /// What was known before it, while it is not committed.
    before: BTreeMap<IncidentId, Before>,
}

#[derive(Debug)]
struct Before {
    answer: Option<(Timestamp, Evidence)>,
    looks: Vec<Evidence>,
    approved: Option<Asked>,
}

impl Oracle {
    /// Nobody knows how old evidence is, when an alert was mentioned, or how long a question waited.
    pub(super) fn lives_through(&mut self, jump: &Jump) {
        if !self.hours.jump(jump) {
            return;
        }
        self.mentions.clear();
        self.absences.clear();
        self.disturbed_at = Some(self.truth.now());
        for (incident, case) in self.cases.iter_mut().filter(|(_, case)| case.closed.is_none()) {
            let before = Before {
                answer: case.answer.take(),
                looks: std::mem::take(&mut case.looks),
                approved: case.approved.clone(),
            };
            self.jumps.before.insert(*incident, before);
            if !case.flies {
                case.approved = None;
            }
            if case.asked.is_some() {
                self.jumps.voided.insert(*incident);
            }
        }
    }

    /// The last jump is committed.
    pub(super) fn keep_jump(&mut self) {
        self.hours.commit();
        self.jumps.before.clear();
    }

    /// Whoever waits for a person as the clock jumps is handed over, or asks anew.
    pub(super) fn is_voided(&mut self, turn: &Turn, now: Timestamp) -> Verdict {
        for incident in std::mem::take(&mut self.jumps.voided) {
            let over = turn.facts.iter().any(|fact| match &fact.what {
                What::ApprovalVoided { incident: of, .. }
                | What::IncidentClosed { incident: of, .. } => *of == incident,
                _ => false,
            });
            if !over {
                let text = format!("incident {incident} waits on for a person as the clock jumps");
                return Err(Violation::new(now, "approval", text));
            }
        }
        Ok(())
    }

    /// Notes that the engine starts: what was mentioned before is not known any more.
    pub fn restart(&mut self) {
        let lost = self.hours.restart();
        for (incident, before) in std::mem::take(&mut self.jumps.before) {
            if let Some(case) = self.cases.get_mut(&incident).filter(|_| lost) {
                let Before { answer, looks, approved } = before;
                (case.answer, case.looks, case.approved) = (answer, looks, approved);
            }
        }
        self.jumps.voided.clear();
        self.absences.clear();
        self.mentions.clear();
        self.newest_start = self.written_starts();
        self.ignored.clear();
        self.disturbed_at = Some(self.truth.now());
    }

    /// Since when alerts fire, as it is written down: what only repeats is not.
    fn written_starts(&self) -> BTreeMap<Key, Timestamp> {
        let firing = self.firing.iter();
        let written = firing.filter_map(|(key, id)| {
            let starts_at = self.episodes.get(id)?.alert.starts_at?;
            Some((key.clone(), starts_at))
        });
        written.collect()
    }
}
