//! What is true, and what witnesses say about it.
//!
//! ```text
//!  fault ──> each rule that looks at it ──> what its source tells, and its Alertmanager lists
//!            (at its evaluations, and for as long as it remembers)
//! ```
//!
//! A part of the cast is faulty since a time, or it is not: that alone is the truth. Its alert fires
//! because a rule says so, later, longer, or not at all where its series are gone; and an Alertmanager
//! lists it because it was told. Witnesses know this by their last evaluation, and lie in their own
//! ways.
//!
//! Each call is told `now` by `Play`: the time that passes. What somebody stamps is by the clock on
//! the wall, as it was at that moment (`clock`).

mod answers;

use std::collections::BTreeMap;
use std::sync::Arc;

use homeostat_core::alert::Alert;
use homeostat_core::label::LabelSet;
use homeostat_core::name::SourceName;
use homeostat_core::time::{Span, Timestamp};

use crate::cast::{Part, without_value};
use crate::clock::Clocks;
use crate::health::{History, Spell};
use crate::prometheus::{Prometheus, Reads, Rule};
use crate::random::Fate;
use crate::script::{Honesty, Manners, Script, Stock};

/// How far behind a stale witness is.
const STALE_BY: Span = Span::from_secs(120);

/// One part of the cast, over time.
#[derive(Debug, Clone, Default)]
struct Health {
    /// When its fault was there.
    faults: History,
    /// When its target was gone, with its series.
    gone: History,
    /// When each of its rules fired, in the order of its homes.
    rules: Vec<History>,
    /// When its source told that it fires.
    told: History,
    /// Since when its source says that it fires, where that is not when it began to say it.
    starts_at: Option<Timestamp>,
    value: u64,
    /// Whether its source was made to say nothing of it, though it fires.
    muted: bool,
    generation: u64,
}

/// The truth, and who may be asked about it.
#[derive(Debug)]
pub struct World {
    cast: Arc<[Part]>,
    proms: Arc<[Prometheus]>,
    health: Vec<Health>,
    evaluation: Span,
    idle: u64,
    query_lag: Span,
    by_labels: BTreeMap<(SourceName, LabelSet), usize>,
    /// Since when each Prometheus is as it is.
    ways: Vec<(Honesty, Timestamp)>,
    /// From when to when each of them did not evaluate, the last time.
    gaps: Vec<Option<(Timestamp, Timestamp)>>,
    /// Whether what it told last is not believed any more.
    buried: Vec<bool>,
    /// How often each rule was replaced, by its Prometheus and name.
    versions: BTreeMap<(usize, String), u64>,
    /// What hands say.
    fate: Fate,
    /// What time it is, and for whom.
    pub clocks: Clocks,
    /// How the Alertmanager is.
    pub alertmanager: Honesty,
    /// What the inventory says.
    pub stock: Stock,
}

/// What became of what a source tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It tells that the part fires.
    Begins,
    /// It tells that it does not any more.
    Ends(Spell),
    /// It tells that it fires with other labels, and not with these any more.
    Changes(Spell),
}

impl World {
    /// Begins with everything well.
    pub fn new(script: &Script, clocks: Clocks, begin: Timestamp) -> Self {
        let Manners { evaluation, idle, query_lag, .. } = script.manners;
        let cast: Arc<[Part]> = script.cast.clone().into();
        let health = cast.iter().map(|part| {
            let rules = vec![History::default(); part.homes.len()];
            Health { rules, ..Health::default() }
        });
        let keys = cast.iter().enumerate();
        let by_labels = keys
            .map(|(number, part)| ((part.alert.source.clone(), part.alert.labels.clone()), number))
            .collect();
        Self {
            fate: Fate::new(script.seed),
            health: health.collect(),
            by_labels,
            cast,
            proms: script.proms.clone().into(),
            evaluation,
            idle,
            query_lag,
            ways: vec![(Honesty::True, begin); script.proms.len()],
            gaps: vec![None; script.proms.len()],
            buried: vec![false; script.proms.len()],
            versions: BTreeMap::new(),
            clocks,
            alertmanager: Honesty::True,
            stock: Stock::True,
        }
    }

    /// Lets a part fall ill. Returns the number of this illness, if it was well before.
    pub fn break_down(&mut self, part: usize, now: Timestamp) -> Option<u64> {
        let health = &mut self.health[part];
        if health.faults.now().is_some() {
            return None;
        }
        health.faults.begin(now, 0);
        health.generation += 1;
        Some(health.generation)
    }

    /// Lets a part recover. Returns whether it was ill.
    pub fn mend(&mut self, part: usize, now: Timestamp) -> bool {
        self.health[part].faults.end(now).is_some()
    }

    /// Lets the target of a part vanish, or come back. Returns whether that is new.
    pub fn vanish(&mut self, part: usize, gone: bool, now: Timestamp) -> bool {
        let history = &mut self.health[part].gone;
        match (history.now().is_some(), gone) {
            (false, true) => history.begin(now, 0),
            (true, false) => drop(history.end(now)),
            (true, true) | (false, false) => return false,
        }
        true
    }

    /// Lets the value change that a part's labels carry.
    pub fn change_value(&mut self, part: usize) {
        self.health[part].value += u64::from(self.cast[part].carries);
    }

    /// Makes the source of a part say nothing of it, or lets it speak again.
    pub fn mute(&mut self, part: usize, muted: bool) {
        self.health[part].muted = muted;
    }

    /// Sets the ways of a Prometheus.
    pub fn behaves(&mut self, prom: usize, honesty: Honesty, now: Timestamp) {
        let (before, since) = std::mem::replace(&mut self.ways[prom], (honesty, now));
        if !before.evaluates() {
            // Another way not to evaluate goes on with the same gap.
            let begun = self.gaps[prom].filter(|(_, to)| *to == since).map(|(from, _)| from);
            self.gaps[prom] = Some((begun.unwrap_or(since), now));
        }
        self.buried[prom] = false;
    }

    /// What a Prometheus told last is not believed any more, if it has been silent since then.
    pub fn bury(&mut self, prom: usize, since: Timestamp) -> bool {
        let (honesty, begun) = self.ways[prom];
        self.buried[prom] = !honesty.evaluates() && begun == since;
        self.buried[prom]
    }

    /// The last moment up to which a part's source can have told anything.
    fn heard_until(&self, part: usize, at: Timestamp) -> Timestamp {
        let heard = self.cast[part].homes.iter().map(|home| match self.ways[*home] {
            (honesty, since) if !honesty.evaluates() => since.min(at),
            _ => at,
        });
        heard.max().unwrap_or(at)
    }

    /// How a Prometheus is.
    pub fn way(&self, prom: usize) -> Honesty {
        self.ways[prom].0
    }

    /// Takes another rule of this name in the place of one.
    pub fn replace_rule(&mut self, prom: usize, name: &str) {
        *self.versions.entry((prom, name.to_owned())).or_default() += 1;
    }

    /// Tells whether this illness of a part still lasts.
    pub fn lasts(&self, part: usize, generation: u64) -> bool {
        let health = &self.health[part];
        health.generation == generation && health.faults.now().is_some()
    }

    /// What a part's source tells now, if it tells that it fires.
    pub fn told(&self, part: usize) -> Option<&Spell> {
        self.health[part].told.now()
    }

    /// Since when a part fires, by its source and its stamp.
    pub fn fires_since(&self, part: usize) -> Option<Timestamp> {
        let health = &self.health[part];
        let since = health.starts_at.unwrap_or(health.told.now()?.from);
        Some(self.clocks.wall(since))
    }

    /// Lets the source of a part say that it fires since then.
    pub fn began_at(&mut self, part: usize, at: Option<Timestamp>) {
        self.health[part].starts_at = at;
    }

    /// Since when a part fired before the present firing, or last, by its stamp, and with which value.
    pub fn earlier(&self, part: usize) -> Option<(Timestamp, u64)> {
        let spell = self.health[part].told.past().next()?;
        Some((self.clocks.wall(spell.from), spell.value))
    }

    /// All parts that are ill.
    pub fn ill(&self) -> impl Iterator<Item = usize> + '_ {
        let all = self.health.iter().enumerate();
        all.filter(|(_, h)| h.faults.now().is_some()).map(|(part, _)| part)
    }

    /// Since when the fault of a part is there.
    pub fn faulty_since(&self, part: usize) -> Option<Timestamp> {
        Some(self.health[part].faults.now()?.from)
    }

    /// Whether the fault of a part was there at any moment after one and up to another.
    pub fn was_faulty(&self, part: usize, after: Timestamp, to: Timestamp) -> bool {
        self.health[part].faults.within(after, to)
    }

    /// Whether the target of a part was gone at any moment after one and up to another.
    pub fn was_gone(&self, part: usize, after: Timestamp, to: Timestamp) -> bool {
        self.health[part].gone.within(after, to)
    }

    /// Whose alert this is.
    pub fn part_of(&self, alert: &Alert) -> Option<usize> {
        self.by_labels.get(&(alert.source.clone(), without_value(&alert.labels))).copied()
    }

    /// One of the cast.
    pub fn part(&self, part: usize) -> &Part {
        &self.cast[part]
    }

    /// One of the Prometheuses.
    pub fn prom(&self, prom: usize) -> &Prometheus {
        &self.proms[prom]
    }

    /// The number of the Prometheus of this name.
    pub fn prom_of(&self, name: &SourceName) -> Option<usize> {
        self.proms.iter().position(|prom| prom.name == *name)
    }

    /// Time between two evaluations of a rule.
    pub fn evaluation(&self) -> Span {
        self.evaluation
    }

    /// The rules that fire a part, with the numbers of their Prometheuses.
    pub fn rules(&self, part: usize) -> impl Iterator<Item = (usize, &Rule)> + '_ {
        let part = &self.cast[part];
        let name = part.alert.name();
        part.homes.iter().filter_map(move |home| Some((*home, self.proms[*home].rule(name)?)))
    }

    /// All parts on what actions call by this `instance`.
    pub fn on_instance(&self, instance: &str) -> Vec<usize> {
        let on = self.cast.iter().enumerate();
        on.filter(|(_, part)| part.target() == instance).map(|(number, _)| number).collect()
    }

    /// All parts that a Prometheus fires.
    pub fn fired_by(&self, prom: usize) -> Vec<usize> {
        let all = self.cast.iter().enumerate();
        all.filter(|(_, part)| part.homes.contains(&prom)).map(|(number, _)| number).collect()
    }

    /// When a rule of a part is evaluated next.
    pub fn evaluates(&self, part: usize, place: usize, at: Timestamp) -> Timestamp {
        self.proms[self.cast[part].homes[place]].evaluates(at, self.evaluation)
    }

    /// Evaluates a rule of a part. Returns when something may change though nothing happens.
    pub fn evaluate(&mut self, part: usize, place: usize, now: Timestamp) -> Option<Timestamp> {
        let who = &self.cast[part];
        let home = who.homes[place];
        let rule = *self.proms[home].rule(who.alert.name())?;
        if !self.ways[home].0.evaluates() {
            return None;
        }
        let health = &mut self.health[part];
        let value = health.value;
        let (there, gone) = (health.faults.now().is_some(), health.gone.now().is_some());
        let hidden = gone && rule.reads != Reads::Absence;
        let sees = !hidden && (there || health.faults.within(now - rule.memory, now));
        let over = health.faults.past().next().and_then(|spell| spell.until);
        let history = &mut health.rules[place];
        match (history.now().copied(), sees) {
            (None, true) => history.begin(now, value),
            (Some(spell), true) if spell.value != value => history.begin(now, value),
            (None, false) => {}
            (Some(_), true) => {
                history.now_mut().into_iter().for_each(|spell| spell.kept_since = None);
            }
            (Some(spell), false) => {
                let since = spell.kept_since.unwrap_or(now);
                if hidden || now >= since + rule.keep {
                    history.end(now);
                    return None;
                }
                history.now_mut().into_iter().for_each(|spell| spell.kept_since = Some(since));
                return Some(since + rule.keep);
            }
        }
        over.filter(|_| sees && !there).map(|at| at + rule.memory)
    }

    /// Compares what a part's source should tell now with what it told.
    pub fn follow(&mut self, part: usize, now: Timestamp) -> Option<Turn> {
        let who = &self.cast[part];
        let buried = &self.buried;
        let health = &mut self.health[part];
        let alive = |(place, home): (usize, &usize)| {
            let fires = health.rules[place].now().filter(|_| !buried[*home]);
            fires.map(|spell| spell.value)
        };
        let by_rule = who.homes.iter().enumerate().filter_map(alive).max();
        let alone = who.homes.is_empty() && health.faults.now().is_some();
        let fires = by_rule.or(alone.then_some(health.value)).filter(|_| !health.muted);
        match (health.told.now().copied(), fires) {
            (None, Some(value)) => {
                health.told.begin(now, value);
                Some(Turn::Begins)
            }
            (Some(_), None) => {
                health.starts_at = None;
                health.told.end(now).map(Turn::Ends)
            }
            (Some(spell), Some(value)) if spell.value != value => {
                health.starts_at = None;
                let ended = health.told.end(now)?;
                health.told.begin(now, value);
                Some(Turn::Changes(ended))
            }
            (Some(_), Some(_)) | (None, None) => None,
        }
    }
}
