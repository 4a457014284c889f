//! Who may fall ill: the alerts of one world, each on a host, each with the way it is sent.

use homeostat_core::alert::{Alert, Door, Observation, Status};
use homeostat_core::label::LabelSet;
use homeostat_core::name::SourceName;
use homeostat_core::text::Text;
use homeostat_core::time::Timestamp;

use crate::prometheus::Prometheus;
use crate::random::Dice;

/// The Alertmanager that some books may ask.
pub const MAIN: &str = "main";
/// A sender of webhooks that nobody can ask.
pub const OTHER: &str = "other";

/// The names of alerts.
pub const NAMES: [&str; 3] = ["Down", "Slow", "Full"];

/// The label that carries the value, where there is one.
const VALUE: &str = "value";

/// One alert that may fire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// On which host.
    pub host: usize,
    /// The alert as it is sent, without its times.
    pub alert: Alert,
    /// Its labels, as its rules show them.
    pub shown: LabelSet,
    /// Which Prometheuses have a rule that fires it. None: its sender finds out by itself.
    pub homes: Vec<usize>,
    /// Whether a label carries the value.
    pub carries: bool,
    /// Whether it comes by the hook of an Alertmanager that never heard of it.
    pub foreign: bool,
    /// Who posts it, by their own identity, where anybody knows.
    pub posted_by: Option<Text>,
}

impl Part {
    fn new((name, host): (&str, usize), source: &str, team: Option<&str>) -> Self {
        let zone = if host.is_multiple_of(2) { "north" } else { "south" };
        let instance = host_name(host);
        let mut pairs = vec![("alertname", name), ("zone", zone), ("instance", instance.as_str())];
        pairs.extend(team.map(|team| ("team", team)));
        let labels = LabelSet::from_pairs(pairs);
        let door = if source == SourceName::API { Door::Api } else { Door::Webhook };
        let alert = Alert {
            source: SourceName::new(source),
            door,
            fingerprint: labels.fingerprint(),
            labels: labels.clone(),
            annotations: LabelSet::default(),
            starts_at: None,
            generator_url: "".into(),
            receiver: "".into(),
            external_url: "".into(),
            group_labels: LabelSet::default(),
        };
        let (homes, carries, foreign, posted_by) = (Vec::new(), false, false, None);
        Self { host, alert, shown: labels, homes, carries, foreign, posted_by }
    }

    /// Lets Prometheuses fire it: what it is on the wire is the first one's doing.
    fn fired_by(mut self, homes: Vec<usize>, proms: &[Prometheus]) -> Self {
        self.shown = with(&self.shown, "job", "node");
        self.homes = homes;
        if let Some(home) = self.homes.first().and_then(|home| proms.get(*home)) {
            self.alert.labels = home.on_the_wire(&self.shown);
            self.alert.fingerprint = self.alert.labels.fingerprint();
        }
        self
    }

    /// The alert with the value that its labels carry.
    pub fn alert(&self, value: u64) -> Alert {
        let labels = self.valued(&self.alert.labels, value);
        Alert { fingerprint: labels.fingerprint(), labels, ..self.alert.clone() }
    }

    /// Its labels with that value, as its rules show them.
    pub fn instance(&self, value: u64) -> LabelSet {
        self.valued(&self.shown, value)
    }

    fn valued(&self, labels: &LabelSet, value: u64) -> LabelSet {
        if self.carries { with(labels, VALUE, &(90 + value).to_string()) } else { labels.clone() }
    }

    /// Whether this is its alert, whatever value the labels carry.
    pub fn is(&self, alert: &Alert) -> bool {
        self.alert.source == alert.source && self.alert.labels == without_value(&alert.labels)
    }

    /// What its source tells.
    pub fn tells(
        &self,
        status: Status,
        value: u64,
        since: Timestamp,
        ends: Option<Timestamp>,
    ) -> Observation {
        let alert = Alert { starts_at: Some(since), ..self.alert(value) };
        Observation { alert, status, ends_at: ends, unproven: None, by: self.posted_by.clone() }
    }

    /// What its source tells that resolves it without knowing that it is over.
    pub fn gives_up(&self, value: u64, since: Timestamp, at: Timestamp, why: &str) -> Observation {
        let told = self.tells(Status::Resolved, value, since, Some(at));
        Observation { unproven: Some(Text::from(why)), ..told }
    }

    /// What actions are done to.
    pub fn target(&self) -> &str {
        self.alert.labels.get("instance").unwrap_or_default()
    }
}

/// Labels with one more.
fn with(labels: &LabelSet, name: &str, value: &str) -> LabelSet {
    let others = labels.iter().filter(|(known, _)| *known != name);
    LabelSet::from_pairs(others.chain([(name, value)]))
}

/// Labels without the value that they carry.
pub fn without_value(labels: &LabelSet) -> LabelSet {
    LabelSet::from_pairs(labels.iter().filter(|(name, _)| *name != VALUE))
}

/// The `instance` of a host.
pub fn host_name(host: usize) -> String {
    format!("h{host}:80")
}

/// Draws the alerts of a world with so many hosts.
pub fn draw(dice: &mut Dice, hosts: usize, proms: &[Prometheus]) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let (foreign, carries) = (dice.below(3) * 8, dice.below(3) * 15);
    for host in 0..hosts {
        for _ in 0..dice.range(1, 3) {
            let name = *dice.pick(&NAMES);
            let source = match dice.below(10) {
                0..6 => MAIN,
                6..8 => OTHER,
                _ => SourceName::API,
            };
            let team = dice.percent(20).then_some("db");
            let mut part = Part::new((name, host), source, team);
            // One rule shows one instance, wherever its alert is sent.
            let labels = part.alert.labels.clone();
            let known = |known: &Part| {
                known.host == host && known.alert.name() == name && known.team() == team
            };
            if parts.iter().any(known) {
                continue;
            }
            part.foreign = source == MAIN && dice.percent(foreign);
            part.carries = dice.percent(carries);
            // What is full is told by the application itself: no rule explains it.
            if name == NAMES[2] {
                parts.push(part);
                continue;
            }
            let home = usize::try_from(dice.below(proms.len() as u64)).unwrap_or(0);
            let pair = proms.iter().position(|prom| prom.pair_of == Some(home));
            let homes: Vec<usize> = [home].into_iter().chain(pair).collect();
            let namesake = proms.iter().enumerate().find(|(number, prom)| {
                !homes.contains(number)
                    && prom.pair_of.is_none()
                    && prom.is_told_apart()
                    && proms[home].is_told_apart()
                    && prom.on_the_wire(&labels) != proms[home].on_the_wire(&labels)
            });
            let namesake = namesake.map(|(number, _)| number).filter(|_| dice.percent(35));
            if let Some(other) = namesake {
                parts.push(part.clone().fired_by(vec![other], proms));
            }
            parts.push(part.fired_by(homes, proms));
        }
    }
    parts
}

impl Part {
    fn team(&self) -> Option<&str> {
        self.alert.labels.get("team")
    }
}
