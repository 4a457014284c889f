//! Looks at the service, Prometheus, Alertmanager and the engine, and says what is new.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::act::{Entry, Stage};
use super::engine::Incident;
use super::fleet::Health;
use super::service::Instance;
use super::stack::{Rule, StackError};
use super::world::{ALERT, World};

/// Which stage an entry of an incident's timeline shows. `incident_closed` is told apart by the
/// incident's outcome; kinds that do not stand here are not shown.
const STAGES: [(&str, Stage); 6] = [
    ("incident_opened", Stage::Notified),
    ("order_held", Stage::Held),
    ("order_issued", Stage::Decided),
    ("order_ended", Stage::Acted),
    ("remedy_given_up", Stage::Unhealed),
    ("incident_closed", Stage::Closed),
];

/// Something new about an instance.
#[derive(Debug)]
pub(super) struct Sighting {
    pub(super) instance: Instance,
    pub(super) entry: Entry,
}

/// What was seen at the last look.
#[derive(Debug, Default)]
pub(super) struct Watch {
    ill: BTreeSet<Instance>,
    alerts: BTreeMap<Instance, String>,
    /// How many entries of each incident's timeline have been told.
    told: BTreeMap<String, usize>,
    resolved: BTreeSet<String>,
    escalated: BTreeSet<Instance>,
}

/// The news of one look.
#[derive(Debug, Default)]
pub(super) struct News {
    /// In the order in which they happened.
    pub(super) sightings: Vec<Sighting>,
    /// All incidents, as they are now.
    pub(super) incidents: Vec<(Instance, Incident)>,
}

impl News {
    fn add(&mut self, instance: Instance, stage: Stage, at: Timestamp, text: impl Into<String>) {
        let entry = Entry { stage, at, text: text.into() };
        self.sightings.push(Sighting { instance, entry });
    }
}

impl Watch {
    /// Looks once, at everything.
    pub(super) async fn look(&mut self, world: &World) -> Result<News, StackError> {
        let (rules, incidents, escalations) = tokio::try_join!(
            world.prometheus.rules(),
            world.engine.incidents(),
            world.alertmanager.alerts()
        )?;
        let mut news = News::default();
        for instance in Instance::ALL {
            let health = world.fleet.health(instance).await;
            self.see_health(&mut news, instance, &health);
            for rule in rules.iter().filter(|rule| rule.name == ALERT) {
                self.see_rule(&mut news, instance, rule);
            }
            let told = escalations.iter().find(|a| {
                a.label("homeostat") == "escalation"
                    && (a.label("instance") == instance.name()
                        || a.label("target").contains(&format!("instance=\"{instance}\"")))
            });
            if let Some(alert) = told.filter(|_| self.escalated.insert(instance)) {
                let name = alert.label("alertname");
                let text = format!("{name} is active in Alertmanager");
                news.add(instance, Stage::Told, Timestamp::now(), text);
            }
        }
        for incident in incidents {
            let name = incident.target.get("instance").map_or("", String::as_str);
            if let Some(instance) = Instance::from_name(name) {
                self.see_incident(&mut news, instance, &incident);
                news.incidents.push((instance, incident));
            }
        }
        news.sightings.sort_by_key(|sighting| sighting.entry.at);
        Ok(news)
    }

    fn see_health(&mut self, news: &mut News, instance: Instance, health: &Health) {
        match health {
            Health::Ill(_) => {
                self.ill.insert(instance);
            }
            Health::Sound if self.ill.remove(&instance) => {
                news.add(instance, Stage::Recovered, Timestamp::now(), "the service answers again");
            }
            Health::Sound => {}
        }
    }

    fn see_rule(&mut self, news: &mut News, instance: Instance, rule: &Rule) {
        let alert = rule.alerts.iter().find(|alert| alert.label("instance") == instance.name());
        let before = match alert {
            Some(alert) => self.alerts.insert(instance, alert.state.clone()),
            None => self.alerts.remove(&instance),
        };
        let Some(alert) = alert.filter(|alert| before.as_ref() != Some(&alert.state)) else {
            return;
        };
        if before.is_none() {
            let text = format!("{ALERT} must hold for 1 s");
            news.add(instance, Stage::Pending, alert.active_at, text);
        }
        if alert.state == "firing" {
            let text = "Alertmanager groups it, for up to 10 s";
            news.add(instance, Stage::Firing, rule.last_evaluation, text);
        }
    }

    fn see_incident(&mut self, news: &mut News, instance: Instance, incident: &Incident) {
        let told = self.told.entry(incident.id.clone()).or_default();
        for entry in incident.timeline.iter().skip(*told) {
            let Some(&(_, stage)) = STAGES.iter().find(|(kind, _)| *kind == entry.kind) else {
                continue;
            };
            let (stage, text) = match stage {
                Stage::Notified => (stage, "Alertmanager's webhook reached Homeostat"),
                Stage::Closed => (closing(incident), entry.text.as_str()),
                _ => (stage, entry.text.as_str()),
            };
            news.add(instance, stage, entry.at, text);
        }
        *told = incident.timeline.len();
        if incident.is_resolved() && self.resolved.insert(incident.id.clone()) {
            let text = "Alertmanager tells that the alert is over";
            news.add(instance, Stage::Resolved, Timestamp::now(), text);
        }
    }
}

/// The stage of the end of an incident.
fn closing(incident: &Incident) -> Stage {
    match incident.outcome.as_deref() {
        Some("healed") => Stage::Proven,
        Some("escalated") => Stage::Escalated,
        _ => Stage::Closed,
    }
}

#[cfg(test)]
mod tests {
    use super::super::engine;
    use super::super::stack::RuleAlert;
    use super::*;

    fn stages(news: &News) -> Vec<Stage> {
        news.sightings.iter().map(|sighting| sighting.entry.stage).collect()
    }

    #[test]
    fn an_alert_is_news_when_its_state_changes() {
        let (mut watch, mut news) = (Watch::default(), News::default());
        for state in [Some("pending"), Some("pending"), Some("firing"), None, Some("firing")] {
            let alert = |state: &str| RuleAlert {
                labels: BTreeMap::from([("instance".to_owned(), "a".to_owned())]),
                state: state.to_owned(),
                active_at: Timestamp::UNIX_EPOCH,
            };
            let rule = Rule {
                name: ALERT.to_owned(),
                health: "ok".to_owned(),
                last_evaluation: Timestamp::UNIX_EPOCH,
                alerts: state.map(alert).into_iter().collect(),
            };
            watch.see_rule(&mut news, Instance::A, &rule);
        }
        let expected = [Stage::Pending, Stage::Firing, Stage::Pending, Stage::Firing];
        assert_eq!(stages(&news), expected);
    }

    #[test]
    fn only_what_was_added_to_an_incident_is_news() {
        let (mut watch, mut news) = (Watch::default(), News::default());
        let entry = |kind: &str| engine::Entry {
            at: Timestamp::UNIX_EPOCH,
            kind: kind.to_owned(),
            text: String::new(),
        };
        let mut incident = Incident { id: "i1".to_owned(), ..Incident::default() };
        incident.timeline =
            vec![entry("incident_opened"), entry("order_issued"), entry("evidence")];
        watch.see_incident(&mut news, Instance::B, &incident);
        watch.see_incident(&mut news, Instance::B, &incident);
        assert_eq!(stages(&news), [Stage::Notified, Stage::Decided]);

        incident.timeline.push(entry("incident_closed"));
        incident.state = "closed".to_owned();
        incident.outcome = Some("healed".to_owned());
        watch.see_incident(&mut news, Instance::B, &incident);
        assert_eq!(stages(&news)[2..], [Stage::Proven]);
    }
}
