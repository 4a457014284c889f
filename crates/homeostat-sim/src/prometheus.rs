//! The Prometheuses of a world: what they put on the wire, and what their rules remember and read.
//!
//! *Not* its duty: what they say at a moment (`world`).

use homeostat_core::label::LabelSet;
use homeostat_core::name::SourceName;
use homeostat_core::time::{Span, Timestamp};

use crate::cast::NAMES;
use crate::random::Dice;

/// The label by which the two of a pair differ, and which never reaches the wire.
const REPLICA: &str = "replica";

/// What is done to the labels of alerts before they are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relabelling {
    /// Nothing.
    Nothing,
    /// A label is dropped.
    Drop(&'static str),
    /// A label gets another value.
    Replace(&'static str, &'static str),
    /// The port is cut off the instance.
    CutPort,
}

/// What a rule reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// Series of its instance, which vanish with it.
    Series,
    /// That there are none.
    Absence,
    /// Nobody can tell.
    Unknown,
}

/// A rule, by what matters of its expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// How long it really fires about what is over.
    pub memory: Span,
    /// How long it is kept firing after that.
    pub keep: Span,
    /// Whether anybody can read that from it.
    pub is_read: bool,
    /// Through how many recording rules it looks.
    pub recordings: u64,
    /// What it reads.
    pub reads: Reads,
}

/// A Prometheus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prometheus {
    /// Its name.
    pub name: SourceName,
    /// What it adds to its alerts.
    pub external: Vec<(&'static str, &'static str)>,
    /// What it then does to them.
    pub relabelling: Relabelling,
    /// Whether the door knows both.
    pub mapped: bool,
    /// Of which one it is the second of a pair.
    pub pair_of: Option<usize>,
    /// How much later than on the whole it evaluates.
    pub offset: Span,
    /// Its rules, by the names of alerts; a name without one is none of its.
    pub rules: Vec<(&'static str, Rule)>,
}

impl Prometheus {
    /// What it makes of an instance's labels on the wire.
    pub fn on_the_wire(&self, instance: &LabelSet) -> LabelSet {
        let own = instance.iter();
        let free = |(name, _): &&(&str, &str)| instance.get(name).is_none();
        let added = self.external.iter().filter(free).copied();
        let all = own.chain(added);
        match self.relabelling {
            Relabelling::Nothing => LabelSet::from_pairs(all),
            Relabelling::Drop(gone) => LabelSet::from_pairs(all.filter(|(name, _)| *name != gone)),
            Relabelling::Replace(which, value) => LabelSet::from_pairs(
                all.map(|(name, old)| (name, if name == which { value } else { old })),
            ),
            Relabelling::CutPort => LabelSet::from_pairs(all.map(|(name, value)| {
                let host = value.split(':').next().unwrap_or(value);
                (name, if name == "instance" { host } else { value })
            })),
        }
    }

    /// Whether an alert shows which Prometheus has fired it, be it only by a label.
    pub fn is_told_apart(&self) -> bool {
        self.mapped || self.cluster().next().is_some()
    }

    /// The labels that it adds, and that reach the wire.
    pub fn cluster(&self) -> impl Iterator<Item = (&'static str, &'static str)> + '_ {
        self.external.iter().copied().filter(|(name, _)| *name != REPLICA)
    }

    /// Its rule of this name.
    pub fn rule(&self, name: &str) -> Option<&Rule> {
        self.rules.iter().find(|(known, _)| *known == name).map(|(_, rule)| rule)
    }

    /// Lets its rules remember nothing, and all be known of them.
    pub fn forget_nothing(&mut self) {
        self.remember_at_most(Span::ZERO);
        for (_, rule) in &mut self.rules {
            (rule.is_read, rule.reads) = (true, Reads::Series);
        }
        self.mapped = true;
    }

    /// Lets its rules remember for no longer than this.
    pub fn remember_at_most(&mut self, most: Span) {
        for (_, rule) in &mut self.rules {
            rule.memory = rule.memory.min(most);
            rule.keep = rule
                .keep
                .min(Span::from_micros(most.as_micros().saturating_sub(rule.memory.as_micros())));
        }
    }

    /// The last time up to a moment at which it evaluates.
    pub fn evaluated(&self, at: Timestamp, every: Span) -> Timestamp {
        let begin = Timestamp::EPOCH + self.offset;
        let every = every.as_micros().max(1);
        begin + Span::from_micros(at.since(begin).as_micros() / every * every)
    }

    /// The first time from a moment on at which it evaluates.
    pub fn evaluates(&self, at: Timestamp, every: Span) -> Timestamp {
        let last = self.evaluated(at, every);
        if last == at { at } else { last + every }
    }
}

/// Draws the Prometheuses of a world.
pub fn draw(dice: &mut Dice) -> Vec<Prometheus> {
    let count = dice.range(1, 3);
    let rich = dice.percent(60);
    let mut proms: Vec<Prometheus> = Vec::new();
    for number in 0..count {
        let pair = (number > 0 && dice.percent(35)).then_some(0);
        let mut prom = match pair {
            // The second of a pair does the same.
            Some(first) => proms[first].clone(),
            None => one(dice, number, rich),
        };
        if pair.is_some() && prom.relabelling == Relabelling::Nothing {
            prom.external.push((REPLICA, "b"));
            prom.relabelling = Relabelling::Drop(REPLICA);
        }
        prom.name = SourceName::new(format!("prom-{number}"));
        prom.pair_of = pair;
        prom.offset = Span::from_secs(number * 2);
        proms.push(prom);
    }
    proms
}

fn one(dice: &mut Dice, number: u64, rich: bool) -> Prometheus {
    let clusters = ["eu", "us", "ap"];
    let cluster = clusters[usize::try_from(number).unwrap_or(0) % clusters.len()];
    let external = if dice.percent(50) { vec![("cluster", cluster)] } else { Vec::new() };
    let relabelling = match dice.below(10) {
        0 | 1 => Relabelling::Drop("job"),
        2 => Relabelling::Replace("job", "nodes"),
        3 => Relabelling::CutPort,
        _ => Relabelling::Nothing,
    };
    let rules = NAMES[..2].iter().map(|name| (*name, rule(dice, rich))).collect();
    Prometheus {
        name: SourceName::new(""),
        external,
        relabelling,
        mapped: dice.percent(75),
        pair_of: None,
        offset: Span::ZERO,
        rules,
    }
}

fn rule(dice: &mut Dice, rich: bool) -> Rule {
    let simple = !rich || dice.percent(45);
    let long = dice.percent(8);
    let memory = match dice.below(3) {
        _ if simple => Span::ZERO,
        _ if long => dice.seconds(3_000, 9_000),
        0 => dice.seconds(15, 60),
        _ => dice.seconds(60, 900),
    };
    let kept = rich && dice.percent(15);
    Rule {
        memory,
        keep: if kept { dice.seconds(20, 300) } else { Span::ZERO },
        is_read: simple || dice.percent(88),
        recordings: if memory.is_zero() { 0 } else { dice.below(3) },
        reads: match dice.below(20) {
            0 => Reads::Absence,
            1 => Reads::Unknown,
            _ => Reads::Series,
        },
    }
}
