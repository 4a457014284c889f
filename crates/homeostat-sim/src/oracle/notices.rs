//! A notice lives exactly as long as its trouble; and what begins anew under a closed incident is a
//! new one.

use std::collections::BTreeSet;

use homeostat_core::alert::{Door, Status};
use homeostat_core::fact::What;
use homeostat_core::incident::End;
use homeostat_core::name::{EpisodeId, IncidentId};
use homeostat_core::notice::Topic;
use homeostat_core::time::Timestamp;

use super::guards::has_new;
use super::{Case, Heard, Key, Known, Oracle, Verdict, Violation, key};

/// What people were told of incidents.
#[derive(Debug, Default)]
pub(super) struct Notices {
    stand: BTreeSet<IncidentId>,
    /// What they were told in this turn to be over.
    cleared: Vec<IncidentId>,
    /// What begins anew in this turn under incidents that are closed.
    anew: Vec<(Key, EpisodeId)>,
}

impl Oracle {
    /// Notes what people are told.
    pub(super) fn follow_notices(&mut self, what: &What) {
        match what {
            What::NoticeRaised { notice } => {
                if let Topic::Escalation { incident } = notice.topic() {
                    self.notices.stand.insert(incident);
                }
            }
            What::NoticeCleared { topic: Topic::Escalation { incident } }
                if self.notices.stand.remove(incident) =>
            {
                self.notices.cleared.push(*incident);
            }
            What::LatchReleased { incident } => {
                if let Some(case) = self.cases.get_mut(incident) {
                    case.released = true;
                }
            }
            _ => {}
        }
    }

    /// What people are told to be over is over, and what is over they are told.
    pub(super) fn notices_end(&mut self, now: Timestamp) -> Verdict {
        for incident in std::mem::take(&mut self.notices.cleared) {
            let Some(case) = self.cases.get(&incident) else { continue };
            self.met.count("escalation that ended");
            if !self.is_known_to_be_over(incident, case) {
                let left: Vec<String> = self
                    .alerts(case)
                    .filter(|known| known.fires || !known.resolved)
                    .map(|known| {
                        let fires = if known.fires { "fires" } else { "was lost sight of" };
                        format!("{} {fires}", known.alert.labels)
                    })
                    .collect();
                let text = format!(
                    "people are told that incident {incident} is over, which nobody proved: {left:?}"
                );
                return Err(Violation::new(now, "notice", text));
            }
        }
        let over = self.notices.stand.iter().find(|incident| {
            self.cases
                .get(incident)
                .is_some_and(|case| case.closed.is_some() && !case.worse && self.all_resolved(case))
        });
        match over {
            Some(incident) => {
                let text = format!("incident {incident} is over, and people are still told of it");
                Err(Violation::new(now, "notice", text))
            }
            None => Ok(()),
        }
    }

    fn all_resolved(&self, case: &Case) -> bool {
        self.alerts(case).all(|known| known.resolved && !known.fires)
    }

    /// By its source, by proof, by an operator, or because another incident stands for it.
    fn is_known_to_be_over(&self, incident: IncidentId, case: &Case) -> bool {
        let healed = matches!(case.closed, Some((_, End::Healed)));
        let newer = self.open.get(&case.subject).is_some_and(|newest| *newest > incident);
        let said = case.stopped || case.retried || case.rejected;
        if said || newer || self.is_laid_down(incident, case) {
            return true;
        }
        let worse = case.worse && {
            let undone = case.runs.iter().rfind(|run| !run.returned);
            let answer = case.answer.as_ref();
            undone.zip(answer).is_some_and(|(run, (_, look))| has_new(&run.order.proof, look))
        };
        !worse && (healed || self.all_resolved(case))
    }

    /// Whether a later incident of its target is over that had alerts of the same names.
    fn is_laid_down(&self, incident: IncidentId, case: &Case) -> bool {
        let later = self.cases.range(incident..).skip(1).map(|(_, later)| later);
        let mut later =
            later.filter(|later| later.subject == case.subject && later.closed.is_some());
        let left = || self.alerts(case).filter(|known| !known.resolved);
        later.any(|later| {
            left().all(|known| {
                self.alerts(later).any(|other| other.alert.name() == known.alert.name())
            })
        })
    }

    /// Tells whether another incident of its target may open beside this one: it is over, and takes
    /// no further alert.
    pub(super) fn lets_others_open(&self, incident: IncidentId) -> bool {
        self.cases.get(&incident).is_some_and(|case| {
            let ended = self.alerts(case).all(|known| !known.fires);
            case.closed.is_some_and(|(_, end)| end == End::Healed || ended)
        })
    }

    /// Notes which alerts are said to fire since a later time than they were known to, while all of
    /// their incidents are closed.
    pub(super) fn note_what_begins_anew(&mut self, heard: &Heard, now: Timestamp) {
        self.notices.anew.clear();
        if !heard.rosters.iter().all(|roster| matches!(roster, super::Roster::Named(_))) {
            return;
        }
        for observation in &heard.observations {
            let alert = &observation.alert;
            let key = key(alert);
            let told = heard.observations.iter().filter(|o| self::key(&o.alert) == key).count();
            let (Some(id), Some(starts_at)) = (self.firing.get(&key), alert.starts_at) else {
                continue;
            };
            let newest = self.newest_start.get(&key).copied();
            let known = self.episodes.get(id).and_then(|known| known.alert.starts_at);
            let later = newest.is_some_and(|newest| {
                let newest = known.map_or(newest, |known| self.hours.later(known, newest, now));
                self.hours.place(starts_at, now) > self.hours.place(newest, now)
            });
            let plain = told == 1
                && observation.status == Status::Firing
                && alert.door == Door::Webhook
                && self.hours.set_at().is_none();
            if later && plain && self.is_left_behind(*id, starts_at) {
                self.notices.anew.push((key, *id));
            }
        }
    }

    fn is_left_behind(&self, id: EpisodeId, starts_at: Timestamp) -> bool {
        let mut mine =
            self.cases.values().filter(|case| !case.released && case.episodes.contains(&id));
        let left = |case: &Case| match case.closed {
            // What is told of before a healing is told late.
            Some((at, End::Healed)) => starts_at > at,
            Some(_) => true,
            None => false,
        };
        mine.next().is_some_and(left) && mine.all(left)
    }

    /// What fires since a later time under closed incidents is a new trouble.
    pub(super) fn begun_anew_is_new(&mut self, now: Timestamp) -> Verdict {
        for (key, id) in std::mem::take(&mut self.notices.anew) {
            self.met.count("begun anew under a closed incident");
            if self.firing.get(&key) == Some(&id) {
                let labels = self.episodes.get(&id).map(|Known { alert, .. }| &alert.labels);
                let text = format!("{labels:?} began anew under a closed incident, and opens none");
                return Err(Violation::new(now, "anew", text));
            }
        }
        Ok(())
    }
}
