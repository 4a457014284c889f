//! How witnesses answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use homeostat_core::evidence::{
    Ask, Beside, Finding, Input, Inputs, InstanceState, Knows, ListedAlert, Lister, Listing,
    Memory, NotShown, Present, PresentAlert, RuleId, RuleSays, RuleWord, Sight, Trouble,
    is_asked_for, share_target,
};
use homeostat_core::label::{Fingerprint, LabelSet, Matchers};
use homeostat_core::limits::POLL_EVERY;
use homeostat_core::name::SourceName;
use homeostat_core::policy::{Target, TargetLabels};
use homeostat_core::poll::Roll;
use homeostat_core::time::{Span, Timestamp};

use super::{STALE_BY, World};
use crate::cast::Part;
use crate::hands;
use crate::health::Spell;
use crate::oracle::KnownAt;
use crate::owners;
use crate::prometheus::{Reads, Rule};
use crate::script::{Honesty, Stock};

/// One instance of a rule that fires, as its Prometheus shows it.
struct Shown<'a> {
    labels: LabelSet,
    spell: &'a Spell,
}

impl World {
    /// How a witness answers a question now.
    pub fn find(&self, ask: &Ask, now: Timestamp) -> Finding {
        match ask {
            Ask::Listed { source, fingerprint } => {
                Finding::Listed(self.listing(source, *fingerprint, now))
            }
            Ask::Rule { alertname, labels, target, by } => {
                let word = |name: &SourceName| {
                    let knows = self.knows(name, alertname, (labels, target), now);
                    RuleWord { prometheus: name.clone(), knows }
                };
                Finding::Rule(by.iter().map(word).collect())
            }
            Ask::Instance { prometheus, rule, instance, target, inputs } => {
                let says = self.says_now(prometheus, rule, (instance, target), inputs, now);
                Finding::Instance(says)
            }
            Ask::Query { promql, by } => Finding::Query(self.query(promql, by.as_ref(), now)),
            Ask::Inventory { .. } => Finding::Inventory(self.count()),
            Ask::Rehearsal { errand, .. } => {
                Finding::Rehearsal(hands::says(self.fate, errand, now))
            }
            Ask::Owner { of } => Finding::Owner(owners::says(self.fate, of, now)),
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
        let names: Vec<&SourceName> = match by {
            Lister::Alertmanager(source) => {
                return self.listed_present(source, matchers, target, now);
            }
            Lister::Prometheus => self.proms.iter().map(|prom| &prom.name).collect(),
            Lister::Prometheuses(names) => names.iter().collect(),
        };
        let mut alerts = Vec::new();
        let (mut evaluated_at, mut unhealthy) = (None::<Timestamp>, None);
        for name in names {
            let (prom, at) = self.asked(name, now)?;
            let (honesty, _) = self.ways[prom];
            if honesty == Honesty::Empty {
                continue;
            }
            let wall = self.clocks.wall(at);
            evaluated_at = Some(evaluated_at.map_or(wall, |known| known.min(wall)));
            if honesty == Honesty::Odd {
                unhealthy = Some("many-to-many matching".to_owned());
            }
            let who = &self.proms[prom];
            for shown in self.firing_on(prom, None, at) {
                let labels = if who.mapped { who.on_the_wire(&shown.labels) } else { shown.labels };
                if is_asked_for(&labels, matchers, target) {
                    alerts.push(PresentAlert { labels, fires: true });
                }
            }
        }
        alerts.dedup_by(|one, other| one.labels == other.labels);
        Ok(Present { alerts, more: 0, sight: Sight::Rules { evaluated_at, unhealthy } })
    }

    fn listed_present(
        &self,
        source: &SourceName,
        matchers: &Matchers,
        target: &Target,
        now: Timestamp,
    ) -> Result<Present, Trouble> {
        let at = self.listed_at(now)?;
        let listed = self.all_listed(source, at, now);
        let labels = listed.map(|(part, spell)| self.cast[part].alert(spell.value).labels);
        let asked = labels.filter(|labels| is_asked_for(labels, matchers, target));
        let alerts = asked.map(|labels| PresentAlert { labels, fires: true }).collect();
        Ok(Present { alerts, more: 0, sight: Sight::Alertmanager { uptime: self.uptime() } })
    }

    /// Which parts an Alertmanager lists of those of a moment.
    fn all_listed(
        &self,
        source: &SourceName,
        at: Timestamp,
        now: Timestamp,
    ) -> impl Iterator<Item = (usize, &Spell)> + '_ {
        let empty = self.alertmanager == Honesty::Empty;
        let source = source.clone();
        let all = self.cast.iter().enumerate().filter(move |_| !empty);
        let told = all.filter(move |(_, part)| {
            part.alert.source == source && !part.foreign && self.was_told(part, now)
        });
        told.filter_map(move |(part, _)| Some((part, self.health[part].told.at(at)?)))
    }

    fn listing(
        &self,
        source: &SourceName,
        fingerprint: Fingerprint,
        now: Timestamp,
    ) -> Result<Listing, Trouble> {
        let at = self.listed_at(now)?;
        let uptime = self.uptime();
        if self.alertmanager == Honesty::Empty {
            return Ok(Listing { uptime, total: 0, alert: None });
        }
        let silenced = self.alertmanager == Honesty::Odd;
        let suppressed_by = silenced.then(|| "silence 1".to_owned());
        let alert = self.all_listed(source, at, now).find_map(|(part, spell)| {
            let own = self.cast[part].alert(spell.value).fingerprint == fingerprint;
            own.then(|| ListedAlert {
                suppressed_by: suppressed_by.clone(),
                updated_at: self.clocks.wall(self.updated(part, spell.from, at)),
                starts_at: self.clocks.wall(spell.from),
            })
        });
        Ok(Listing { uptime, total: self.ill().count() + 1, alert })
    }

    /// What a source that is asked for all of its alerts says, and which parts it lists, with their
    /// values.
    pub fn poll(
        &self,
        source: &SourceName,
        now: Timestamp,
    ) -> Result<(Roll, Vec<(usize, u64)>), Trouble> {
        let at = self.listed_at(now)?;
        let (mut alerts, mut listed) = (BTreeMap::new(), Vec::new());
        // A watchdog of its own always fires, so that a healthy one never lists nothing.
        if self.alertmanager != Honesty::Empty {
            alerts.insert(Fingerprint(0), self.clocks.wall(at));
        }
        for (part, spell) in self.all_listed(source, at, now) {
            let since = self.clocks.wall(spell.from);
            alerts.insert(self.cast[part].alert(spell.value).fingerprint, since);
            // What began within the last turn may still wait for its group.
            let wall = self.clocks.wall(now);
            if wall.since(since).max(since.since(wall)) >= POLL_EVERY {
                listed.push((part, spell.value));
            }
        }
        Ok((Roll { uptime: self.uptime(), alerts }, listed))
    }

    /// Of when the Alertmanager tells what it knows.
    fn listed_at(&self, now: Timestamp) -> Result<Timestamp, Trouble> {
        known_at((self.alertmanager, now), now)
    }

    /// When an Alertmanager was told last that an alert fires.
    fn updated(&self, part: usize, from: Timestamp, at: Timestamp) -> Timestamp {
        let at = self.heard_until(part, at).max(from);
        let every = self.evaluation.as_micros().max(1);
        from + Span::from_micros(at.since(from).as_micros() / every * every)
    }

    /// For how long the Alertmanager runs.
    fn uptime(&self) -> Span {
        match self.alertmanager {
            Honesty::Young => Span::from_secs(100),
            _ => Span::from_secs(86_400),
        }
    }

    /// Whether the Alertmanager that answers was told of a part.
    fn was_told(&self, part: &Part, now: Timestamp) -> bool {
        let half = part.alert.fingerprint.0.is_multiple_of(2);
        match self.alertmanager {
            Honesty::Young | Honesty::Partial => half,
            // Now one of its peers answers, and now the other.
            Honesty::Differs => half || (now.micros() / 7_000_000) % 2 == 0,
            _ => true,
        }
    }

    /// A Prometheus that answers, and of when its last evaluation is.
    fn asked(&self, name: &SourceName, now: Timestamp) -> Result<(usize, Timestamp), Trouble> {
        let prom = self.prom_of(name).ok_or_else(|| Trouble("no such Prometheus".into()))?;
        let at = known_at(self.ways[prom], now)?;
        let evaluated = self.proms[prom].evaluated(at, self.evaluation);
        let at = match self.gaps[prom] {
            Some((from, to)) if from <= evaluated && evaluated < to => {
                self.proms[prom].evaluated(from, self.evaluation)
            }
            _ => evaluated,
        };
        Ok((prom, at))
    }

    /// The instances that a Prometheus shows as firing, of rules of one name or of all.
    fn firing_on<'a>(
        &'a self,
        prom: usize,
        name: Option<&'a str>,
        at: Timestamp,
    ) -> impl Iterator<Item = Shown<'a>> + 'a {
        let all = self.cast.iter().enumerate();
        let named = all.filter(move |(_, part)| name.is_none_or(|name| part.alert.name() == name));
        named.filter_map(move |(number, part)| {
            let place = part.homes.iter().position(|home| *home == prom)?;
            let spell = self.health[number].rules[place].at(at)?;
            Some(Shown { labels: part.instance(spell.value), spell })
        })
    }

    /// What one Prometheus knows of who fires an alert.
    fn knows(
        &self,
        name: &SourceName,
        alertname: &str,
        (sent, target): (&LabelSet, &TargetLabels),
        now: Timestamp,
    ) -> Result<Knows, Trouble> {
        let (number, at) = self.asked(name, now)?;
        let prom = &self.proms[number];
        let Some(rule) = prom.rule(alertname).filter(|_| self.way(number) != Honesty::Empty) else {
            return Ok(Knows::NoRule);
        };
        let firing: Vec<Shown<'_>> = self.firing_on(number, Some(alertname), at).collect();
        let mine: Vec<&Shown<'_>> = if prom.mapped {
            firing.iter().filter(|shown| prom.on_the_wire(&shown.labels) == *sent).collect()
        } else {
            firing.iter().filter(|shown| shown.labels.is_within(sent)).collect()
        };
        match mine.as_slice() {
            [] => Ok(Knows::NotShown { why: NotShown::Nothing }),
            [one] => {
                let asked = (&one.labels, target);
                let says = self.says((number, alertname, rule), asked, &firing, at);
                let resembles = || Knows::Resembles(Box::new(says.clone()));
                Ok(if prom.mapped { Knows::Shows(vec![says]) } else { resembles() })
            }
            several => {
                Ok(Knows::NotShown { why: NotShown::Ambiguous { instances: several.len() } })
            }
        }
    }

    fn says_now(
        &self,
        name: &SourceName,
        rule: &RuleId,
        asked: (&LabelSet, &TargetLabels),
        inputs: &[Arc<str>],
        now: Timestamp,
    ) -> Result<Option<Box<RuleSays>>, Trouble> {
        let (number, at) = self.asked(name, now)?;
        let Some(known) = self.proms[number].rule(&rule.name) else { return Ok(None) };
        if self.way(number) == Honesty::Empty || self.rule_id(number, &rule.name) != *rule {
            return Ok(None);
        }
        let firing: Vec<Shown<'_>> = self.firing_on(number, Some(&rule.name), at).collect();
        let mut says = self.says((number, &rule.name, known), asked, &firing, at);
        if let Inputs::Known(known) = &mut says.inputs {
            known.retain(|input| inputs.contains(&input.selector));
        }
        Ok(Some(Box::new(says)))
    }

    fn says(
        &self,
        (number, name, rule): (usize, &str, &Rule),
        (instance, target): (&LabelSet, &TargetLabels),
        firing: &[Shown<'_>],
        at: Timestamp,
    ) -> RuleSays {
        let shown = firing.iter().find(|shown| shown.labels == *instance);
        let state = match shown.map(|shown| shown.spell.kept_since) {
            None => InstanceState::Absent,
            Some(Some(since)) if since <= at => InstanceState::Kept,
            Some(_) => InstanceState::Firing,
        };
        let others = firing.iter().filter(|other| {
            other.labels != *instance && share_target(&other.labels, instance, target)
        });
        let beside: BTreeSet<Fingerprint> =
            others.map(|other| other.labels.fingerprint()).collect();
        let unhealthy = self.way(number) == Honesty::Odd;
        RuleSays {
            rule: self.rule_id(number, name),
            instance: instance.clone(),
            state,
            unhealthy: unhealthy.then(|| "many-to-many matching".to_owned()),
            evaluated_at: self.clocks.wall(at),
            interval: self.evaluation,
            memory: Some(self.memory(rule)),
            inputs: self.inputs(number, instance, rule, at),
            beside: Beside { instances: beside, more: 0 },
        }
    }

    /// What is read from a rule's expression: two evaluations of each rule on the way come to it.
    pub fn memory(&self, rule: &Rule) -> Memory {
        if !rule.is_read {
            return Memory::Unknown { why: "its expression cannot be read".into() };
        }
        let evaluations = self.evaluation.saturating_mul(2 * (1 + rule.recordings));
        Memory::Lasts(rule.memory.saturating_add(rule.keep).saturating_add(evaluations))
    }

    fn inputs(&self, number: usize, instance: &LabelSet, rule: &Rule, at: Timestamp) -> Inputs {
        let there = || {
            let mut parts = self.cast.iter().zip(&self.health);
            let own =
                parts.find(|(part, _)| part.homes.contains(&number) && part.is_shown_as(instance));
            own.is_some_and(|(_, health)| health.gone.at(at).is_none())
        };
        let selector = format!("up{{{instance}}}").into();
        match rule.reads {
            Reads::Series => Inputs::Known(vec![Input { selector, has_data: there() }]),
            Reads::Absence => Inputs::Known(vec![Input { selector, has_data: false }]),
            Reads::Unknown => Inputs::Unknown { why: "its expression cannot be read".into() },
        }
    }

    fn rule_id(&self, number: usize, name: &str) -> RuleId {
        let version = self.versions.get(&(number, name.to_owned())).copied().unwrap_or(0);
        let expression = format!("up == {version}");
        RuleId::new("rules.yml", "hosts", name, &expression, &LabelSet::default())
    }

    /// The query of all books: whether what it names is well, as far as a Prometheus sees it.
    fn query(
        &self,
        promql: &str,
        by: Option<&SourceName>,
        now: Timestamp,
    ) -> Result<usize, Trouble> {
        let name = by.ok_or_else(|| Trouble("no Prometheus is configured".into()))?;
        let (number, at) = self.asked(name, now)?;
        if matches!(self.way(number), Honesty::Empty | Honesty::Odd) {
            return Ok(0);
        }
        let at = at - self.query_lag;
        let mine = |(part, _): &(&Part, _)| {
            let here = part.homes.is_empty() || part.homes.contains(&number);
            here && promql.contains(&format!("\"{}\"", part.target()))
        };
        let mut seen = self.cast.iter().zip(&self.health).filter(mine).peekable();
        let known = seen.peek().is_some();
        let well = seen.all(|(_, h)| h.faults.at(at).is_none() && h.gone.at(at).is_none());
        Ok(usize::from(known && well))
    }

    /// Of when the answers to these are true.
    pub fn known_at(&self, asks: &[Ask], now: Timestamp) -> KnownAt {
        let mut knows = KnownAt { rules: now, query: now, query_by: None };
        for ask in asks {
            match ask {
                Ask::Instance { prometheus, .. } => {
                    if let Ok((_, at)) = self.asked(prometheus, now) {
                        knows.rules = knows.rules.min(at);
                    }
                }
                Ask::Query { by: Some(by), .. } => {
                    if let Ok((prom, at)) = self.asked(by, now) {
                        (knows.query, knows.query_by) = (at - self.query_lag, Some(prom));
                    }
                }
                Ask::Rule { by, .. } => {
                    let all = by.iter().filter_map(|name| self.asked(name, now).ok());
                    all.for_each(|(_, at)| knows.rules = knows.rules.min(at));
                }
                Ask::Query { by: None, .. }
                | Ask::Listed { .. }
                | Ask::Present { .. }
                | Ask::Inventory { .. }
                | Ask::Rehearsal { .. }
                | Ask::Owner { .. } => {}
            }
        }
        knows
    }
}

impl Part {
    /// Tells whether a Prometheus shows it as this instance, whatever its value.
    pub fn is_shown_as(&self, instance: &LabelSet) -> bool {
        crate::cast::without_value(instance) == self.shown
    }
}

/// Of when a witness tells what it knows.
fn known_at((honesty, since): (Honesty, Timestamp), now: Timestamp) -> Result<Timestamp, Trouble> {
    match honesty {
        Honesty::Errs | Honesty::Dead => Err(Trouble("connection refused".into())),
        Honesty::Truncated => Err(Trouble("its answer was cut off".into())),
        Honesty::Stale => Ok(now - STALE_BY),
        Honesty::Skips => Ok(since),
        Honesty::True
        | Honesty::Empty
        | Honesty::Slow
        | Honesty::Mute
        | Honesty::Odd
        | Honesty::Young
        | Honesty::Differs
        | Honesty::Partial => Ok(now),
    }
}
