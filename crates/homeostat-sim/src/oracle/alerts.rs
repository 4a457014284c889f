//! Alerts: what was accepted is kept, what is stale is not believed, and a latch holds.

use std::collections::BTreeMap;

use homeostat_core::alert::{Alert, Door, Ending, Status};
use homeostat_core::evidence::RuleWord;
use homeostat_core::incident::End;
use homeostat_core::name::{EpisodeId, IncidentId};
use homeostat_core::policy::Book;
use homeostat_core::text::Text;
use homeostat_core::time::{Span, Timestamp};

use super::witness::Word;
use super::{Heard, Key, Known, Mention, Oracle, Verdict, Violation, key};

/// How soon after a resolve what it ended is late, and how often that is ignored.
const STALE_FOR: Span = Span::from_secs(300);
const STALE_TIMES: u32 = 3;

/// How long an alert of the alerts API is believed that names no end.
const BELIEVED: Span = Span::from_secs(300);

impl Oracle {
    /// Notes what was mentioned, also in a group that could not be committed.
    pub fn note_mentions(&mut self, heard: &Heard, shown: Timestamp) {
        self.count_absences(heard, shown);
        self.absences.fail(shown);
        let now = self.hours.own(shown);
        self.disturbed_at = Some(self.truth.now());
        self.count_ignored(heard, now);
        self.mention(heard, now);
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
                self.note_start(key(alert), starts_at, now);
            }
        }
    }

    /// Notes since when an alert is said to fire: the latest counts.
    pub(super) fn note_start(&mut self, key: Key, starts_at: Timestamp, now: Timestamp) {
        let newest = self.newest_start.entry(key).or_insert(starts_at);
        *newest = self.hours.later(starts_at, *newest, now);
    }

    /// Whether a firing is from before the end that was heard of a while ago.
    pub(super) fn is_stale(&self, alert: &Alert, now: Timestamp) -> bool {
        let Some((at, Some(ended_at))) = self.last_end.get(&key(alert)) else { return false };
        now.since(*at) < STALE_FOR
            && alert.starts_at.is_some_and(|starts_at| {
                self.hours.place(starts_at, now) <= self.hours.place(*ended_at, now)
            })
    }

    /// Counts how often late repeats were ignored.
    pub(super) fn count_ignored(&mut self, heard: &Heard, now: Timestamp) {
        let wall = self.hours.wall(now);
        for observation in &heard.observations {
            let alert = &observation.alert;
            let said = status(observation.status, alert.door, observation.ends_at, wall);
            if said == Status::Firing
                && !self.firing.contains_key(&key(alert))
                && self.is_stale(alert, now)
            {
                *self.ignored.entry(key(alert)).or_default() += 1;
            }
        }
    }

    pub(super) fn begins(
        &mut self,
        episode: EpisodeId,
        (alert, by): (&Alert, Option<&Text>),
        heard: &Heard,
        now: Timestamp,
    ) -> Verdict {
        let key = key(alert);
        if self.is_stale(alert, now) {
            let vouched = heard.vouched.iter().filter(|(about, _)| *about == key);
            let fires = vouched.into_iter().any(|(_, evidence)| {
                let listing = evidence.listing(alert);
                matches!(listing, Some(Ok(listing)) if listing.alert.is_some())
                    || evidence.words(alert).iter().any(RuleWord::fires)
            });
            // What goes on being sent is no late repeat.
            let told = heard.observations.iter().filter(|o| self::key(&o.alert) == key).count();
            let ignored = self.ignored.get(&key).copied().unwrap_or(0) as usize;
            if !fires && ignored + told.saturating_sub(1) < STALE_TIMES as usize {
                let text =
                    format!("{} fires since before it ended, on nobody's word", alert.labels);
                return Err(Violation::new(now, "stale", text));
            }
        }
        self.firing.insert(key, episode);
        let known = Known {
            alert: alert.clone(),
            began_at: now,
            truly_began_at: self.truth.now(),
            mentioned_at: Some(now),
            fires: true,
            resolved: false,
            ended_at: None,
            by: by.cloned(),
        };
        self.episodes.insert(episode, known);
        Ok(())
    }

    pub(super) fn ends(&mut self, episode: EpisodeId, ending: &Ending, now: Timestamp) -> Verdict {
        let lapsed = |known: &&mut Known| !known.fires && !known.resolved;
        let again = matches!(ending, Ending::Resolved { .. });
        let known = self.episodes.get_mut(&episode);
        let Some(known) = known.filter(|known| known.fires || (again && lapsed(known))) else {
            let text = format!("episode {episode} ends, and did not fire");
            return Err(Violation::new(now, "alerts", text));
        };
        let fired = std::mem::take(&mut known.fires);
        let key = key(&known.alert);
        let wall = self.hours.wall(now);
        let ends_at = match ending {
            Ending::Resolved { ends_at } => {
                known.resolved = true;
                known.ended_at = Some(ends_at.unwrap_or(wall));
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
            // Neither is evidence that it is over.
            Ending::Lapsed | Ending::Unproven { .. } => None,
        };
        if known.resolved {
            // What was lost sight of before is known to be over, too.
            let same = |known: &&mut Known| self::key(&known.alert) == key && !known.fires;
            self.episodes.values_mut().filter(same).for_each(|known| known.resolved = true);
        }
        self.ignored.remove(&key);
        if !fired {
            self.last_end.insert(key, (now, ends_at));
            return Ok(());
        }
        self.firing.remove(&key);
        // One group may say that an alert ended and that it fires again.
        if self.mentions.get(&key).is_none_or(|mention| mention.at < now) {
            self.mentions.remove(&key);
            self.newest_start.remove(&key);
        }
        self.last_end.insert(key, (now, ends_at));
        Ok(())
    }

    /// A new episode of an alert stands for those before it.
    pub(super) fn attaches(
        &mut self,
        incident: IncidentId,
        episode: EpisodeId,
        now: Timestamp,
    ) -> Verdict {
        let (Some(case), Some(new)) = (self.cases.get_mut(&incident), self.episodes.get(&episode))
        else {
            return Ok(());
        };
        if matches!(case.closed, Some((_, End::Healed))) {
            let text = format!(
                "{} is attached to incident {incident}, in whose healing it had no part",
                new.alert.labels
            );
            return Err(Violation::new(now, "attached", text));
        }
        let same = |known: &Known| key(&known.alert) == key(&new.alert);
        let before = case.episodes.len();
        case.episodes.retain(|earlier| !self.episodes.get(earlier).is_some_and(same));
        if case.episodes.len() < before {
            self.flaps.again(&case.subject, now);
        }
        case.episodes.push(episode);
        Ok(())
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
        let healed = matches!(case.closed, Some((_, End::Healed)));
        let relapsed = healed && self.still_fires(case, now) == Some(Word::Fires);
        if relapsed {
            self.met.count("relapse past its memory");
            self.climbs_for_a_reason(incident, Word::Fires, now)?;
        }
        let Some(case) = self.cases.get(&incident) else { return Ok(()) };
        if case.closed.is_none() || (!back && !relapsed && fires) {
            let words: Vec<Word> =
                self.alerts(case).map(|known| self.word(case, known, now)).collect();
            let text = format!("incident {incident} is forgotten while its alert fires: {words:?}");
            return Err(Violation::new(now, "latch", text));
        }
        if self.open.get(&case.subject) == Some(&incident) {
            self.open.remove(&case.subject);
        }
        if relapsed {
            self.relapsed = Some(incident);
        }
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
                Status::Firing => !fires && !self.is_stale(alert, now),
                Status::Resolved => {
                    let newest = place(self.newest_start.get(&key).copied());
                    // What is about an earlier firing may be a message of then.
                    let of_this = place(alert.starts_at) >= newest;
                    let first = episode.and_then(|id| self.episodes.get(id)?.alert.starts_at);
                    fires && of_this && place(observation.ends_at) > newest.max(place(first))
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
