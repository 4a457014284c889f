//! Alerts: what was accepted is kept, what is stale is not believed, and a latch holds.

use std::collections::BTreeMap;

use homeostat_core::alert::{Alert, Door, Ending, Status};
use homeostat_core::name::{EpisodeId, IncidentId};
use homeostat_core::policy::Book;
use homeostat_core::time::{Span, Timestamp};

use super::{Heard, Known, Mention, Oracle, Verdict, Violation, key};

/// How long the end of an alert is certainly remembered.
const MEMORY: Span = Span::from_secs(3_600);

/// How long an alert of the alerts API is believed that names no end.
const BELIEVED: Span = Span::from_secs(300);

impl Oracle {
    /// Notes what was mentioned, also in a group that could not be committed.
    pub fn note_mentions(&mut self, heard: &Heard, shown: Timestamp) {
        self.count_absences(heard, shown);
        self.absences.fail(shown);
        self.mention(heard, self.hours.own(shown));
    }

    pub(super) fn mention(&mut self, heard: &Heard, now: Timestamp) {
        let wall = self.hours.wall(now);
        for observation in &heard.observations {
            let alert = &observation.alert;
            if status(observation.status, alert.door, observation.ends_at, wall) != Status::Firing {
                continue;
            }
            let ends_at = match alert.door {
                Door::Api => Some(observation.ends_at.unwrap_or(wall + BELIEVED)),
                Door::Webhook => None,
            };
            self.mentions.insert(key(alert), Mention { at: now, ends_at });
            if let Some(starts_at) = alert.starts_at {
                let newest = self.newest_start.entry(key(alert)).or_insert(starts_at);
                *newest = self.hours.later(starts_at, *newest, now);
            }
        }
    }

    pub(super) fn begins(
        &mut self,
        episode: EpisodeId,
        alert: &Alert,
        heard: &Heard,
        now: Timestamp,
    ) -> Verdict {
        let key = key(alert);
        if let Some((at, Some(ended_at))) = self.last_end.get(&key)
            && now.since(*at) <= MEMORY
            && alert.starts_at.is_some_and(|starts_at| {
                self.hours.place(starts_at, now) <= self.hours.place(*ended_at, now)
            })
        {
            let vouched = heard.vouched.iter().filter(|(about, _)| *about == key);
            let fires = vouched.into_iter().any(|(_, evidence)| {
                let listing = evidence.listing(alert);
                let rule = evidence.rule(alert);
                matches!(listing, Some(Ok(listing)) if listing.alert.is_some())
                    || matches!(rule, Some(Ok(Some(report))) if report.firing > 0)
            });
            if !fires {
                let text =
                    format!("{} fires since before it ended, on nobody's word", alert.labels);
                return Err(Violation::new(now, "stale", text));
            }
        }
        self.firing.insert(key, episode);
        let known = Known { alert: alert.clone(), fires: true, resolved: false };
        self.episodes.insert(episode, known);
        Ok(())
    }

    pub(super) fn ends(&mut self, episode: EpisodeId, ending: &Ending, now: Timestamp) -> Verdict {
        let Some(known) = self.episodes.get_mut(&episode).filter(|known| known.fires) else {
            let text = format!("episode {episode} ends, and did not fire");
            return Err(Violation::new(now, "alerts", text));
        };
        known.fires = false;
        let key = key(&known.alert);
        let ends_at = match ending {
            Ending::Resolved { ends_at } => {
                known.resolved = true;
                *ends_at
            }
            Ending::Superseded => {
                known.resolved = true;
                None
            }
            Ending::Absent { since } => {
                known.resolved = true;
                Some(self.hours.wall(self.hours.own(*since)))
            }
            Ending::Lapsed => None,
        };
        self.firing.remove(&key);
        // One group may say that an alert ended and that it fires again.
        if self.mentions.get(&key).is_some_and(|mention| mention.at < now) {
            self.mentions.remove(&key);
            self.newest_start.remove(&key);
        }
        self.last_end.insert(key, (now, ends_at));
        Ok(())
    }

    /// A new episode of an alert stands for those before it.
    pub(super) fn attaches(&mut self, incident: IncidentId, episode: EpisodeId, now: Timestamp) {
        let (Some(case), Some(new)) = (self.cases.get_mut(&incident), self.episodes.get(&episode))
        else {
            return;
        };
        let same = |known: &Known| key(&known.alert) == key(&new.alert);
        let before = case.episodes.len();
        case.episodes.retain(|earlier| !self.episodes.get(earlier).is_some_and(same));
        if case.episodes.len() < before {
            self.flaps.again(&case.subject, now);
        }
        case.episodes.push(episode);
    }

    /// The next firing is a new trouble only when all alerts of the old one have ended.
    /// What was closed because its policy was gone is a new trouble when the policy is back.
    pub(super) fn releases(
        &mut self,
        incident: IncidentId,
        book: &Book,
        now: Timestamp,
    ) -> Verdict {
        let Some(case) = self.cases.get(&incident) else { return Ok(()) };
        let mut episodes = case.episodes.iter().filter_map(|id| self.episodes.get(id));
        let back =
            case.removed && self.reloaded_at == Some(now) && book.policy(&case.subject.0).is_some();
        let back = back || case.retried;
        if case.retried {
            self.retried.insert(case.subject.clone());
        }
        let fires = episodes.any(|known| known.fires);
        if case.closed.is_none() || (!back && fires) {
            let text = format!("incident {incident} is forgotten while its alert fires");
            return Err(Violation::new(now, "latch", text));
        }
        self.open.remove(&case.subject);
        if !fires {
            self.flaps.ends(&case.subject, now);
        }
        Ok(())
    }

    /// After a group was accepted, each of its alerts stands as the last word about it says.
    pub(super) fn nothing_is_lost(&self, heard: &Heard, now: Timestamp) -> Verdict {
        let wall = self.hours.wall(now);
        let place = |stamp: Option<Timestamp>| Some(self.hours.place(stamp?, now));
        let last: BTreeMap<_, _> = heard.observations.iter().map(|o| (key(&o.alert), o)).collect();
        for (key, observation) in last {
            let alert = &observation.alert;
            let episode = self.firing.get(&key);
            let fires = episode.is_some();
            let wrong = match status(observation.status, alert.door, observation.ends_at, wall) {
                Status::Firing => {
                    let ended = self.last_end.get(&key).and_then(|(_, ends_at)| *ends_at);
                    let stale = ended.is_some() && place(alert.starts_at) <= place(ended);
                    !fires && !stale
                }
                Status::Resolved => {
                    let newest = self.newest_start.get(&key).copied();
                    let newest = place(newest).max(place(alert.starts_at));
                    let first = episode.and_then(|id| self.episodes.get(id)?.alert.starts_at);
                    fires && place(observation.ends_at) > newest.max(place(first))
                }
            };
            if wrong {
                let text = format!("{} was accepted as {:?}", alert.labels, observation.status);
                return Err(Violation::new(now, "lost", format!("{text}, and is not")));
            }
        }
        Ok(())
    }
}

/// Alerts of the alerts API fire until their end, by the clock on the wall.
fn status(said: Status, door: Door, ends_at: Option<Timestamp>, now: Timestamp) -> Status {
    match (door, ends_at) {
        (Door::Api, Some(ends_at)) if ends_at <= now => Status::Resolved,
        (Door::Api, _) => Status::Firing,
        (Door::Webhook, _) => said,
    }
}
