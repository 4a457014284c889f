//! One observation of an alert, and the episode that observations belong to.
//!
//! An observation is what somebody told us at one moment; an episode is one continuous firing.
//! `startsAt` is evidence and not identity: Alertmanager merges it backwards, and a Prometheus
//! that restarts moves it forwards.

use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::errand::Errand;
use crate::label::{Fingerprint, LabelSet};
use crate::limits;
use crate::name::SourceName;
use crate::owner::{Lookup, Sought};
use crate::text::Text;
use crate::time::{Span, Timestamp};

/// The label that our own alerts carry; an alert with it never opens an incident.
pub const OWN_LABEL: &str = "homeostat";

/// Through which door an observation came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Door {
    /// A webhook of Alertmanager or Grafana.
    Webhook,
    /// The alerts API, to which Prometheus and applications post.
    Api,
}

/// Whether an observation says that the alert fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It fires.
    Firing,
    /// It does not fire any more.
    Resolved,
}

impl Status {
    /// Returns the status as Alertmanager writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

/// What tells one alert from another. The fingerprint leads, so that maps seldom compare names.
pub type AlertKey = (Fingerprint, SourceName);

/// What stays the same of an alert while it fires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Who sent it.
    pub source: SourceName,
    /// Through which door.
    pub door: Door,
    /// As its source computed it, or computed from the labels where the source sent none.
    pub fingerprint: Fingerprint,
    /// Its labels.
    pub labels: LabelSet,
    /// Its annotations, as first seen.
    pub annotations: LabelSet,
    /// When its source says that it began.
    pub starts_at: Option<Timestamp>,
    /// The expression's page at its source, as sent: not trusted to be a link.
    pub generator_url: Text,
    /// The receiver of the notification.
    pub receiver: Text,
    /// The URL by which its Alertmanager calls itself.
    pub external_url: Text,
    /// The labels by which its notification was grouped.
    pub group_labels: LabelSet,
}

impl Alert {
    /// An alert for tests of which nothing but the name matters.
    #[cfg(test)]
    pub(crate) fn down() -> Self {
        let labels = LabelSet::from_pairs([("alertname", "Down")]);
        Self {
            source: SourceName::new("main"),
            door: Door::Webhook,
            fingerprint: labels.fingerprint(),
            labels,
            annotations: LabelSet::default(),
            starts_at: None,
            generator_url: "".into(),
            receiver: "".into(),
            external_url: "".into(),
            group_labels: LabelSet::default(),
        }
    }

    /// Returns the name of the alert, empty where it has none.
    pub fn name(&self) -> &str {
        self.labels.get("alertname").unwrap_or_default()
    }

    /// Returns what tells it from any other alert.
    pub fn key(&self) -> AlertKey {
        (self.fingerprint, self.source.clone())
    }

    /// Tells whether Homeostat fired it itself.
    pub fn is_own(&self) -> bool {
        self.labels.get(OWN_LABEL).is_some()
    }
}

/// What somebody told us about an alert at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// The alert.
    pub alert: Alert,
    /// Whether it fires.
    pub status: Status,
    /// When it ended, or, with the alerts API, until when it is to be believed.
    pub ends_at: Option<Timestamp>,
    /// Why its end, if it says so, proves nothing: its source resolved it for want of data, or
    /// because its rule was paused or deleted.
    pub unproven: Option<Text>,
    /// Who posted it, by their own identity, where a door knew it.
    pub by: Option<Text>,
}

impl Observation {
    /// Tells whether it says that the alert fires, by what the clock on the wall shows. Alerts of the
    /// alerts API fire until their `endsAt`.
    pub fn says(&self, wall: Timestamp) -> Status {
        match (self.alert.door, self.ends_at) {
            (Door::Api, Some(ends_at)) if ends_at <= wall => Status::Resolved,
            (Door::Api, _) => Status::Firing,
            (Door::Webhook, _) => self.status,
        }
    }

    /// Returns until when it asks to be believed that the alert fires, by what the clock on the wall shows.
    pub fn believed_until(&self, wall: Timestamp) -> Option<Timestamp> {
        match self.alert.door {
            Door::Api => Some(self.ends_at.unwrap_or(wall + limits::RESOLVE_TIMEOUT)),
            Door::Webhook => None,
        }
    }

    /// Returns what is known of a firing alert's presence once it was observed.
    pub fn presence(&self, now: Timestamp, clock: &Clock) -> Presence {
        let ends_at = self.believed_until(clock.wall(now));
        let starts_at = self.alert.starts_at;
        Presence { seen_at: now, ends_at, starts_at, known: true, written: false }
    }
}

/// One continuous firing of one alert of one source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Episode {
    /// The alert.
    pub alert: Alert,
    /// When we first heard of it.
    pub began_at: Timestamp,
    /// How long it may go unmentioned before it has lapsed.
    pub lapse: Span,
    /// When it ended, by its source, or where it did not say by the clock on our wall; `None` while
    /// it fires.
    pub ended_at: Option<Timestamp>,
    /// The latest time since which its source says that it fires, where that has moved since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_to: Option<Timestamp>,
    /// Whether its own Alertmanager was seen to list it: only then it can be missed there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub listed: bool,
    /// Who posted what began it, by their own identity, where a door knew it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Text>,
    /// Whose it was asked to be, by policies that want to know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<Lookup>,
}

impl Episode {
    /// Makes one that begins.
    pub fn new(alert: Alert, began_at: Timestamp, lapse: Span, by: Option<Text>) -> Self {
        let (ended_at, moved_to, listed, owners) = (None, None, false, Vec::new());
        Self { alert, began_at, lapse, ended_at, moved_to, listed, by, owners }
    }

    /// Returns how far a lookup got.
    pub fn sought(&self, of: &Errand) -> Option<&Sought> {
        self.owners.iter().find(|lookup| lookup.of == *of).map(|lookup| &lookup.stands)
    }

    /// Says how far a lookup got, where it is asked anew.
    pub(crate) fn seek(&mut self, of: &Errand, stands: Sought) {
        match self.owners.iter_mut().find(|lookup| lookup.of == *of) {
            Some(lookup) => lookup.stands = stands,
            None => self.owners.push(Lookup { of: of.clone(), stands }),
        }
    }

    /// Returns since when its alert fires, by the latest that is written down.
    pub fn latest_start(&self) -> Option<Timestamp> {
        self.moved_to.or(self.alert.starts_at)
    }
}

/// How an episode ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "how")]
pub enum Ending {
    /// Its source said so.
    Resolved {
        /// When it ended, by its source.
        ends_at: Option<Timestamp>,
    },
    /// It was healed, and fires again since a later time: its source never said that it ended.
    Superseded,
    /// Its source stopped mentioning it. Never evidence of healing.
    Lapsed,
    /// Its source resolved it without knowing that it is over: for want of data, or because its
    /// rule was paused or deleted. No evidence of healing either.
    Unproven {
        /// Why its source resolved it.
        reason: Text,
    },
    /// Whoever should know that it fires was asked, and did not name it, twice in a row.
    Absent {
        /// When that was asked first.
        since: Timestamp,
    },
}

/// When an alert was last mentioned as firing, and until when it asked to be believed.
///
/// This lives outside the state: repeats of a firing alert write nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presence {
    /// When it was last mentioned, or when we started, where we do not know.
    pub seen_at: Timestamp,
    /// Until when it fires unless mentioned again, by the clock on the wall.
    pub ends_at: Option<Timestamp>,
    /// Since when it fires: the latest that was mentioned.
    pub starts_at: Option<Timestamp>,
    /// False from a restart, or a jump of the wall clock, until the alert is mentioned again.
    pub known: bool,
    /// Whether it was seen when its episode began, and nothing later is written down: repeats are not.
    pub written: bool,
}

impl Presence {
    /// Makes the presence of an alert that was not mentioned since we started.
    pub fn unknown(now: Timestamp) -> Self {
        Self { seen_at: now, ends_at: None, starts_at: None, known: false, written: false }
    }

    /// Makes the presence of an alert of which the journal knows that its episode began: that is its last
    /// mention, unless the wall clock has jumped since.
    pub fn written(episode: &Episode, clock: &Clock) -> Self {
        let seen_at = episode.began_at;
        let written = clock.jump().is_none_or(|jump| seen_at > jump.to);
        Self { seen_at, ends_at: None, starts_at: episode.latest_start(), known: false, written }
    }
}
