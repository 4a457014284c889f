//! What is true, and what witnesses say about it.
//!
//! The truth is simple: a part of the cast fires since a time, or it does not. Witnesses know it by
//! their last evaluation, and lie in their own ways.
//!
//! Each call is told `now` by `Play`: the time that passes. What somebody stamps is by the clock on
//! the wall, as it was at that moment (`clock`).

use std::collections::BTreeMap;
use std::sync::Arc;

use homeostat_core::evidence::{
    Ask, Finding, ListedAlert, Lister, Listing, Present, PresentAlert, RuleReport, Sight, Trouble,
    is_asked_for, is_same_alert,
};
use homeostat_core::label::{Fingerprint, LabelSet, Matchers};
use homeostat_core::limits::POLL_EVERY;
use homeostat_core::name::SourceName;
use homeostat_core::policy::{Target, TargetLabels};
use homeostat_core::poll::Roll;
use homeostat_core::time::{Span, Timestamp};

use crate::cast::{NAMES, Part, host_name};
use crate::clock::Clocks;
use crate::script::{Honesty, Manners, Stock};

/// How far behind a stale witness is.
const STALE_BY: Span = Span::from_secs(120);

/// One part of the cast, over time.
#[derive(Debug, Clone, Default)]
struct Health {
    since: Option<Timestamp>,
    before: Option<(Timestamp, Timestamp)>,
    generation: u64,
}

impl Health {
    /// Since when it fired at that time.
    fn firing_at(&self, at: Timestamp) -> Option<Timestamp> {
        match (self.since, self.before) {
            (Some(since), _) if since <= at => Some(since),
            (_, Some((since, until))) if since <= at && at < until => Some(since),
            _ => None,
        }
    }
}

/// The truth, and who may be asked about it.
#[derive(Debug)]
pub struct World {
    cast: Arc<[Part]>,
    health: Vec<Health>,
    by_key: BTreeMap<(SourceName, Fingerprint), usize>,
    evaluation: Span,
    idle: u64,
    /// What time it is, and for whom.
    pub clocks: Clocks,
    /// How the Alertmanager is.
    pub alertmanager: Honesty,
    /// How the Prometheus is.
    pub prometheus: Honesty,
    /// What the inventory says.
    pub stock: Stock,
}

impl World {
    /// Begins with everything well.
    pub fn new(cast: Arc<[Part]>, manners: &Manners, clocks: Clocks) -> Self {
        let (evaluation, idle) = (manners.evaluation, manners.idle);
        let keys = cast.iter().enumerate();
        let by_key = keys
            .map(|(number, part)| ((part.alert.source.clone(), part.alert.fingerprint), number))
            .collect();
        let health = vec![Health::default(); cast.len()];
        let (alertmanager, prometheus) = (Honesty::True, Honesty::True);
        let stock = Stock::True;
        Self { cast, health, by_key, evaluation, idle, clocks, alertmanager, prometheus, stock }
    }

    /// Lets a part fall ill. Returns the number of this illness, if it was well before.
    pub fn break_down(&mut self, part: usize, now: Timestamp) -> Option<u64> {
        let health = &mut self.health[part];
        if health.since.is_some() {
            return None;
        }
        health.since = Some(now);
        health.generation += 1;
        Some(health.generation)
    }

    /// Lets a part recover. Returns since when it was ill by its stamp, and the number of that
    /// illness.
    pub fn mend(&mut self, part: usize, now: Timestamp) -> Option<(Timestamp, u64)> {
        let health = &mut self.health[part];
        let since = health.since.take()?;
        health.before = Some((since, now));
        Some((self.clocks.wall(since), health.generation))
    }

    /// Since when a part is ill, by its stamp.
    pub fn ill_since(&self, part: usize) -> Option<Timestamp> {
        Some(self.clocks.wall(self.health[part].since?))
    }

    /// Tells whether this illness of a part still lasts.
    pub fn lasts(&self, part: usize, generation: u64) -> bool {
        self.health[part].generation == generation && self.health[part].since.is_some()
    }

    /// Since when a part was ill before the present illness, or last, by its stamp.
    pub fn earlier(&self, part: usize) -> Option<Timestamp> {
        let (since, _) = self.health[part].before?;
        Some(self.clocks.wall(since))
    }

    /// All parts that are ill.
    pub fn ill(&self) -> impl Iterator<Item = usize> + '_ {
        self.health.iter().enumerate().filter(|(_, h)| h.since.is_some()).map(|(part, _)| part)
    }

    /// All parts on the host with this `instance`.
    pub fn on_instance(&self, instance: &str) -> Vec<usize> {
        let on = self.cast.iter().enumerate();
        on.filter(|(_, part)| part.alert.labels.get("instance") == Some(instance))
            .map(|(number, _)| number)
            .collect()
    }

    /// How a witness answers a question now.
    pub fn find(&self, ask: &Ask, now: Timestamp) -> Finding {
        match ask {
            Ask::Listed { source, fingerprint } => {
                Finding::Listed(self.listing(&(source.clone(), *fingerprint), now))
            }
            Ask::Rule { alertname, labels, target } => {
                Finding::Rule(self.rule(alertname, labels, target, now))
            }
            Ask::Query { promql } => Finding::Query(self.query(promql, now)),
            Ask::Inventory { .. } => Finding::Inventory(self.count()),
            Ask::Present { by, matchers, target } => {
                Finding::Present(self.present(by, matchers, target, now))
            }
        }
    }

    /// How many hosts there are, by the inventory.
    fn count(&self) -> Result<u64, Trouble> {
        let trouble = |text: &str| Err(Trouble(text.to_owned()));
        match self.stock {
            Stock::True => {
                let hosts = self.cast.iter().map(|part| part.host).max();
                Ok(hosts.map_or(0, |last| last as u64 + 1) + self.idle)
            }
            Stock::Says(count) => Ok(count),
            Stock::Errs => trouble("connection refused"),
            Stock::Empty => trouble("the result is empty"),
            Stock::NotANumber => trouble("the result is NaN"),
        }
    }

    /// Which alerts of a target a witness lists.
    fn present(
        &self,
        by: &Lister,
        matchers: &Matchers,
        target: &Target,
        now: Timestamp,
    ) -> Result<Present, Trouble> {
        let honesty = match by {
            Lister::Prometheus => self.prometheus,
            Lister::Alertmanager(_) => self.alertmanager,
        };
        let at = Self::known_at(honesty, now)?;
        let empty = honesty == Honesty::Empty;
        let (at, sight) = match by {
            Lister::Prometheus => {
                let evaluated_at = self.clocks.wall(self.evaluated(Timestamp::EPOCH, at));
                let unhealthy = honesty == Honesty::Odd;
                let unhealthy = unhealthy.then(|| "many-to-many matching".to_owned());
                let evaluated_at = (!empty).then_some(evaluated_at);
                let known = if empty { at } else { self.evaluated(Timestamp::EPOCH, at) };
                (known, Sight::Rules { evaluated_at, unhealthy })
            }
            Lister::Alertmanager(_) => (at, Sight::Alertmanager { uptime: self.uptime() }),
        };
        let known = self.health.iter().zip(self.cast.iter()).filter(|_| !empty);
        let known = known.filter(|(_, part)| match by {
            Lister::Prometheus => true,
            Lister::Alertmanager(source) => part.alert.source == *source && self.was_told(part),
        });
        let ill = known.filter(|(health, _)| health.firing_at(at).is_some());
        let labels = ill.map(|(_, part)| &part.alert.labels);
        let asked = labels.filter(|labels| is_asked_for(labels, matchers, target));
        let alerts = asked.map(|labels| PresentAlert { labels: labels.clone(), fires: true });
        Ok(Present { alerts: alerts.collect(), more: 0, sight })
    }

    fn listing(&self, key: &(SourceName, Fingerprint), now: Timestamp) -> Result<Listing, Trouble> {
        let at = Self::known_at(self.alertmanager, now)?;
        let uptime = self.uptime();
        if self.alertmanager == Honesty::Empty {
            return Ok(Listing { uptime, total: 0, alert: None });
        }
        let silenced = self.alertmanager == Honesty::Odd;
        let suppressed_by = silenced.then(|| "silence 1".to_owned());
        let part = self.by_key.get(key).filter(|part| self.was_told(&self.cast[**part]));
        let since = part.and_then(|part| self.health[*part].firing_at(at));
        let alert = since.map(|since| ListedAlert {
            suppressed_by,
            updated_at: self.clocks.wall(self.evaluated(since, at)),
            starts_at: self.clocks.wall(since),
        });
        Ok(Listing { uptime, total: self.ill().count() + 1, alert })
    }

    /// What a source that is asked for all of its alerts says, and which parts it lists.
    pub fn poll(&self, source: &SourceName, now: Timestamp) -> Result<(Roll, Vec<usize>), Trouble> {
        let at = Self::known_at(self.alertmanager, now)?;
        let empty = self.alertmanager == Honesty::Empty;
        let all = self.cast.iter().enumerate().filter(|_| !empty);
        let told = all.filter(|(_, part)| part.alert.source == *source && self.was_told(part));
        let firing = told.filter_map(|(number, part)| {
            let since = self.health[number].firing_at(at)?;
            Some((number, part.alert.fingerprint, self.clocks.wall(since)))
        });
        let (mut alerts, mut listed) = (BTreeMap::new(), Vec::new());
        // A watchdog of its own always fires, so that a healthy one never lists nothing.
        if !empty {
            alerts.insert(Fingerprint(0), self.clocks.wall(at));
        }
        for (number, fingerprint, since) in firing {
            alerts.insert(fingerprint, since);
            // What began within the last turn may still wait for its group.
            let wall = self.clocks.wall(now);
            if wall.since(since).max(since.since(wall)) >= POLL_EVERY {
                listed.push(number);
            }
        }
        Ok((Roll { uptime: self.uptime(), alerts }, listed))
    }

    /// Of when a witness tells what it knows.
    fn known_at(honesty: Honesty, now: Timestamp) -> Result<Timestamp, Trouble> {
        match honesty {
            Honesty::Errs => Err(Trouble("connection refused".into())),
            Honesty::Truncated => Err(Trouble("its answer was cut off".into())),
            Honesty::Stale => Ok(now - STALE_BY),
            Honesty::True
            | Honesty::Empty
            | Honesty::Slow
            | Honesty::Mute
            | Honesty::Odd
            | Honesty::Young
            | Honesty::Partial => Ok(now),
        }
    }

    /// For how long the Alertmanager runs.
    fn uptime(&self) -> Span {
        match self.alertmanager {
            Honesty::Young => Span::from_secs(100),
            _ => Span::from_secs(86_400),
        }
    }

    /// Whether the Alertmanager was told of a part.
    fn was_told(&self, part: &Part) -> bool {
        match self.alertmanager {
            Honesty::Young | Honesty::Partial => part.alert.fingerprint.0.is_multiple_of(2),
            _ => true,
        }
    }

    /// The last evaluation of a rule at that time; those of a firing alert count from its begin.
    fn evaluated(&self, from: Timestamp, at: Timestamp) -> Timestamp {
        let every = self.evaluation.as_micros().max(1);
        from + Span::from_micros(at.since(from).as_micros() / every * every)
    }

    fn rule(
        &self,
        alertname: &str,
        sent: &LabelSet,
        target: &TargetLabels,
        now: Timestamp,
    ) -> Result<Option<RuleReport>, Trouble> {
        let at = Self::known_at(self.prometheus, now)?;
        if self.prometheus == Honesty::Empty {
            return Ok(None);
        }
        let unhealthy = self.prometheus == Honesty::Odd;
        let unhealthy = unhealthy.then(|| "many-to-many matching".to_owned());
        // What is full is told by the application itself: no rule explains it.
        if alertname == NAMES[2] {
            return Ok(None);
        }
        let last_evaluation = self.evaluated(Timestamp::EPOCH, at);
        let ill = self.health.iter().zip(self.cast.iter());
        let ill = ill.filter(|(health, _)| health.firing_at(last_evaluation).is_some());
        let firing = ill.filter(|(_, part)| is_same_alert(&part.alert.labels, sent, target));
        let firing = if unhealthy.is_some() { 0 } else { firing.count() };
        Ok(Some(RuleReport {
            unhealthy,
            last_evaluation: self.clocks.wall(last_evaluation),
            firing,
            pending: 0,
            kept_firing: 0,
            keep_firing_for: Span::ZERO,
        }))
    }

    /// The query of all books: whether a host is well.
    fn query(&self, promql: &str, now: Timestamp) -> Result<usize, Trouble> {
        let at = Self::known_at(self.prometheus, now)?;
        if matches!(self.prometheus, Honesty::Empty | Honesty::Odd) {
            return Ok(0);
        }
        let ill = self.health.iter().zip(self.cast.iter());
        let mut ill = ill.filter(|(health, _)| health.firing_at(at).is_some());
        let sick = ill.any(|(_, part)| promql.contains(&format!("\"{}\"", host_name(part.host))));
        Ok(usize::from(!sick))
    }
}
