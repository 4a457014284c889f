//! Who may fall ill: the alerts of one world, each on a host, each with the way it is sent.

use homeostat_core::alert::{Alert, Door, Observation, Status};
use homeostat_core::label::LabelSet;
use homeostat_core::name::SourceName;
use homeostat_core::time::Timestamp;

use crate::random::Dice;

/// The Alertmanager that some books may ask.
pub const MAIN: &str = "main";
/// A sender of webhooks that nobody can ask.
pub const OTHER: &str = "other";

/// The names of alerts.
pub const NAMES: [&str; 3] = ["Down", "Slow", "Full"];

/// One alert that may fire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// On which host.
    pub host: usize,
    /// The alert as it is sent, without its times.
    pub alert: Alert,
}

impl Part {
    fn new(name: &str, host: usize, source: &str, team: Option<&str>) -> Self {
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
            labels,
            annotations: LabelSet::default(),
            starts_at: None,
            generator_url: "".into(),
            receiver: "".into(),
            external_url: "".into(),
            group_labels: LabelSet::default(),
        };
        Self { host, alert }
    }

    /// The alert as its source tells it.
    pub fn tells(&self, status: Status, since: Timestamp, ends: Option<Timestamp>) -> Observation {
        let alert = Alert { starts_at: Some(since), ..self.alert.clone() };
        Observation { alert, status, ends_at: ends }
    }
}

/// The `instance` of a host.
pub fn host_name(host: usize) -> String {
    format!("h{host}:80")
}

/// Draws the alerts of a world with so many hosts.
pub fn draw(dice: &mut Dice, hosts: usize) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for host in 0..hosts {
        let count = dice.range(1, 3);
        for _ in 0..count {
            let name = *dice.pick(&NAMES);
            let source = match dice.below(10) {
                0..6 => MAIN,
                6..8 => OTHER,
                _ => SourceName::API,
            };
            let team = dice.percent(20).then_some("db");
            let part = Part::new(name, host, source, team);
            if !parts.contains(&part) {
                parts.push(part);
            }
        }
    }
    parts
}
