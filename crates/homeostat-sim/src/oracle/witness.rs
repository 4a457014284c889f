//! Who saw an alert fire, and what they said of it later: read once more, from the answers alone.
//!
//! Only who showed an alert as firing when its order was issued, or at a look since, counts. What
//! nobody showed proves nothing by not being found.

use std::collections::BTreeMap;
use std::sync::Arc;

use homeostat_core::evidence::{
    Ask, Evidence, Finding, Grade, Inputs, InstanceState, Knows, Memory, RuleId, RuleSays,
};
use homeostat_core::label::{Fingerprint, LabelSet};
use homeostat_core::name::SourceName;
use homeostat_core::order::{Order, Proof};
use homeostat_core::time::{Span, Timestamp};

use super::hours::Hours;
use super::{Case, Key, Known, Oracle, key};

/// How long an Alertmanager must run before its silence says anything.
const YOUNG: Span = Span::from_secs(300);

/// A rule that showed an alert as firing.
#[derive(Debug, Clone)]
pub(super) struct SeenBy {
    pub(super) prometheus: SourceName,
    rule: RuleId,
    pub(super) instance: LabelSet,
    memory: Option<Span>,
    /// What it read; `None` where nobody knows.
    inputs: Option<Vec<Arc<str>>>,
    beside: Vec<Fingerprint>,
}

/// Who saw one alert fire.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is what one law must know")]
pub(super) struct Seen {
    pub(super) rules: Vec<SeenBy>,
    pub(super) listed: bool,
    /// Whether a Prometheus gave no answer when the order was issued, and none showed it.
    pub(super) awaited: bool,
    /// Whether it joined since the order was issued.
    joined: bool,
    /// Whether at the last look a Prometheus gave no answer that may show it.
    unheard: bool,
}

/// All who saw the alerts of one order fire.
pub(super) type Sightings = BTreeMap<Key, Seen>;

/// What the witnesses of one alert say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// A rule was evaluated after its memory, and shows it.
    Fires,
    /// An Alertmanager that nobody knows better than was told of it since.
    ListedAnew,
    /// It may be about what is over.
    Remembered,
    /// It is gone, and so is what the rule reads.
    OutOfSight,
    /// All who saw it say that it is gone.
    Gone,
    /// It is over by the word of its source, or absent where it was listed.
    Reported,
    Unknown,
}

impl Seen {
    /// Takes in who shows an alert. What may be it is so unless it is another one, and unless one is
    /// silent that may know better.
    fn take_in(
        &mut self,
        known: &Known,
        evidence: &Evidence,
        is_anothers: impl Fn(&RuleSays) -> bool,
    ) {
        let mut silent = false;
        let mut similar = Vec::new();
        for word in evidence.words(&known.alert) {
            match &word.knows {
                Ok(Knows::Shows(all)) => {
                    for says in all {
                        self.see(&word.prometheus, says);
                    }
                }
                Ok(Knows::Resembles(says)) if is_anothers(says) => {}
                Ok(Knows::Resembles(says)) => similar.push((&word.prometheus, says)),
                Ok(Knows::NoRule | Knows::NotShown { .. }) => {}
                Err(_) => silent = true,
            }
        }
        if !silent || !self.rules.is_empty() {
            for (prometheus, says) in similar {
                self.see(prometheus, says);
            }
        }
        self.unheard = silent && self.rules.is_empty();
        let listing = evidence.listing(&known.alert);
        self.listed |= matches!(listing, Some(Ok(listing)) if listing.alert.is_some());
    }

    fn see(&mut self, prometheus: &SourceName, says: &RuleSays) {
        let fires = matches!(says.state, InstanceState::Firing | InstanceState::Kept);
        let same = |seen: &SeenBy| {
            seen.prometheus == *prometheus
                && seen.rule == says.rule
                && seen.instance == says.instance
        };
        if !fires || self.rules.iter().any(same) {
            return;
        }
        self.rules.push(SeenBy {
            prometheus: prometheus.clone(),
            rule: says.rule.clone(),
            instance: says.instance.clone(),
            memory: lasts(says.memory.as_ref()),
            inputs: match &says.inputs {
                Inputs::Known(all) => {
                    let had = all.iter().filter(|input| input.has_data);
                    Some(had.map(|input| input.selector.clone()).collect())
                }
                Inputs::Unknown { .. } => None,
            },
            beside: says.beside.instances.iter().copied().collect(),
        });
    }
}

fn lasts(memory: Option<&Memory>) -> Option<Span> {
    match memory {
        Some(Memory::Lasts(span)) => Some(*span),
        Some(Memory::Unknown { .. }) | None => None,
    }
}

impl SeenBy {
    fn says<'a>(&self, known: &Known, look: &'a Evidence) -> Option<&'a RuleSays> {
        let asked = look.found.iter().find_map(|(ask, finding)| match (ask, finding) {
            (Ask::Instance { prometheus, rule, instance, .. }, Finding::Instance(Ok(says)))
                if *prometheus == self.prometheus
                    && *rule == self.rule
                    && *instance == self.instance =>
            {
                says.as_deref()
            }
            _ => None,
        });
        // What was first seen at this look is heard by what showed it.
        let shown = || {
            let words = look.words(&known.alert).iter();
            let mine = words.filter(|word| word.prometheus == self.prometheus);
            mine.filter_map(|word| word.knows.as_ref().ok())
                .flat_map(|knows| match knows {
                    Knows::Shows(all) => all.as_slice(),
                    Knows::Resembles(one) => std::slice::from_ref(&**one),
                    Knows::NoRule | Knows::NotShown { .. } => &[],
                })
                .find(|says| says.rule == self.rule && says.instance == self.instance)
        };
        asked.or_else(shown)
    }

    fn hear(&self, says: &RuleSays, ended: &After<'_>, over: &After<'_>) -> Word {
        if says.unhealthy.is_some() || !ended.holds(says.evaluated_at, Span::ZERO) {
            return Word::Unknown;
        }
        match says.state {
            InstanceState::Pending => Word::Unknown,
            InstanceState::Firing | InstanceState::Kept => {
                let told = says.memory.is_none() || lasts(says.memory.as_ref()).is_some();
                let Some(memory) = self.memory.filter(|_| told) else { return Word::Unknown };
                let memory = memory.max(lasts(says.memory.as_ref()).unwrap_or_default());
                if !over.holds(says.evaluated_at, memory) {
                    Word::Remembered
                } else if says.state == InstanceState::Kept {
                    Word::Unknown
                } else {
                    Word::Fires
                }
            }
            InstanceState::Absent => {
                let new = |print: &Fingerprint| !self.beside.contains(print);
                let Some(inputs) = &self.inputs else { return Word::Unknown };
                if says.beside.instances.iter().any(new) {
                    return Word::Unknown;
                }
                let has = |selector: &Arc<str>| match &says.inputs {
                    Inputs::Known(all) => {
                        all.iter().any(|input| input.selector == *selector && input.has_data)
                    }
                    Inputs::Unknown { .. } => false,
                };
                if inputs.iter().all(has) { Word::Gone } else { Word::OutOfSight }
            }
        }
    }
}

/// What counts as later than the end of an action.
pub(super) struct After<'a> {
    pub(super) hours: &'a Hours,
    pub(super) since: Timestamp,
    pub(super) now: Timestamp,
}

impl After<'_> {
    /// Whether a stamp is later than that, by more than this. Of an action before the clock jumped,
    /// only what was certainly stamped after it is, as far as one can tell who remembers no jump
    /// before the last: later than what the wall clock showed at both.
    fn holds(&self, stamp: Timestamp, by: Span) -> bool {
        match self.hours.set_at().filter(|set_at| self.since <= *set_at) {
            Some(set_at) => {
                self.hours.earliest(stamp) > self.since + by
                    && stamp > self.hours.showed(self.since) + by
                    && stamp > self.hours.wall(set_at) + by
            }
            None => self.hours.latest(stamp, self.now) > self.since + by,
        }
    }
}

impl Oracle {
    pub(super) fn alerts<'a>(&'a self, case: &'a Case) -> impl Iterator<Item = &'a Known> {
        case.episodes.iter().filter_map(|id| self.episodes.get(id))
    }

    /// Who shows the alerts of a case as firing in what was answered when its order is issued.
    pub(super) fn who_sees(&self, case: &Case, now: Timestamp) -> Sightings {
        let answer = case.answer.as_ref().filter(|(at, _)| *at == now);
        let see = |known: &Known| {
            let mut seen = Seen::default();
            if let Some((_, evidence)) = answer {
                seen.take_in(known, evidence, |says| self.is_anothers(known, says, Some(case)));
            }
            seen.awaited = std::mem::take(&mut seen.unheard);
            (key(&known.alert), seen)
        };
        self.alerts(case).map(see).collect()
    }

    /// A look may show who sees an alert that was not seen before.
    pub(super) fn sees_more(&self, case: &Case, look: &Evidence) -> Sightings {
        let mut sightings = case.sightings.clone();
        for known in self.alerts(case) {
            let joined = || Seen { joined: true, ..Seen::default() };
            let seen = sightings.entry(key(&known.alert)).or_insert_with(joined);
            seen.unheard = false;
            if seen.rules.is_empty() && (seen.joined || seen.awaited) {
                seen.take_in(known, look, |says| self.is_anothers(known, says, Some(case)));
            }
        }
        sightings
    }

    /// What the witnesses of an alert say, by the last look.
    pub(super) fn word(&self, case: &Case, known: &Known, now: Timestamp) -> Word {
        let nothing = Seen::default();
        let seen = case.sightings.get(&key(&known.alert)).unwrap_or(&nothing);
        let Some(since) = case.proving_since else { return Word::Unknown };
        let after = |since| After { hours: &self.hours, since, now };
        // What may have gone on may have been seen until it was over at the latest.
        let (ended, over) = (after(since), after(case.over_at.unwrap_or(since)));
        let last = case.looks.last();
        if !seen.rules.is_empty() {
            let Some(look) = last else { return Word::Unknown };
            let hear = |seen: &SeenBy| {
                seen.says(known, look).map_or(Word::Unknown, |says| seen.hear(says, &ended, &over))
            };
            return all_of(seen.rules.iter().map(hear));
        }
        if seen.awaited || seen.unheard {
            return Word::Unknown;
        }
        let listed = last.and_then(|look| look.listing(&known.alert));
        let anew = seen.listed
            && matches!(listed, Some(Ok(listing)) if listing.alert.as_ref()
                .is_some_and(|listed| over.holds(listed.updated_at, Span::ZERO)));
        let absent = seen.listed && {
            let looks = case.looks.iter().rev().take(2);
            // Whoever was asked before it was mentioned again knows less.
            let since = |look: &&Evidence| {
                let asked_at = self.hours.own(look.gathered_at);
                known.mentioned_at.is_none_or(|mentioned_at| asked_at > mentioned_at)
            };
            looks.filter(since).filter(|look| is_absent(known, look)).count() == 2
        };
        match (anew, known.resolved || absent) {
            (true, _) => Word::ListedAnew,
            (false, true) => Word::Reported,
            (false, false) => Word::Unknown,
        }
    }

    /// Whether the grade that the order requires was reached, by what was told and answered.
    pub(super) fn is_proven(
        &self,
        case: &Case,
        order: &Order,
        now: Timestamp,
    ) -> Result<Grade, String> {
        let proof = &order.proof;
        let held = case.looks.iter().rev().take_while(|look| query_holds(look)).count();
        let queried = proof.query.is_some();
        if queried && held < proof.times as usize {
            return Err(format!("the query held {held} times in a row, not {}", proof.times));
        }
        let mut least = if queried { Grade::Proven } else { Grade::Confirmed };
        for known in self.alerts(case) {
            let labels = &known.alert.labels;
            match self.word(case, known, now) {
                Word::Gone => {}
                Word::Reported => least = least.min(of(queried, Grade::Reported)),
                Word::OutOfSight if queried || proof.vanishes => {}
                Word::Remembered if queried => {}
                // What no rule ever showed is over by the query's word.
                Word::Unknown if queried && Self::is_unseen(case, known) => {}
                word => return Err(format!("of {labels} it is said: {word:?}")),
            }
        }
        Ok(least)
    }

    /// Whether nobody who could confirm ever showed an alert, and no such word is awaited.
    fn is_unseen(case: &Case, known: &Known) -> bool {
        let seen = case.sightings.get(&key(&known.alert));
        seen.is_none_or(|seen| seen.rules.is_empty() && !seen.awaited && !seen.unheard)
    }

    /// Whether a rule's instance of these labels was taken for an alert of a case.
    pub(super) fn is_seen_as(case: &Case, shown: &LabelSet) -> bool {
        let mut rules = case.sightings.values().flat_map(|seen| &seen.rules);
        rules.any(|seen| seen.instance == *shown)
    }

    /// Whether what was answered last is positive evidence that the trouble goes on: by a rule past its
    /// memory, or, where no rule saw it, by an Alertmanager.
    pub(super) fn still_fires(&self, case: &Case, now: Timestamp) -> Option<Word> {
        let held = case.looks.last().is_some_and(query_holds);
        let mut found = None;
        for known in self.alerts(case) {
            match self.word(case, known, now) {
                Word::Fires => return Some(Word::Fires),
                Word::ListedAnew if !held => found = Some(Word::ListedAnew),
                _ => {}
            }
        }
        found
    }

    /// Whether each alert of a case was shown by a rule.
    pub(super) fn all_seen_by_rules(&self, case: &Case) -> bool {
        let by_rule = |known: &Known| {
            case.sightings.get(&key(&known.alert)).is_some_and(|seen| !seen.rules.is_empty())
        };
        self.alerts(case).all(by_rule)
    }
}

fn of(queried: bool, grade: Grade) -> Grade {
    if queried { Grade::Proven } else { grade }
}

/// Each rule that saw it must say that it is gone; one that fires is enough for it to fire.
fn all_of(words: impl Iterator<Item = Word>) -> Word {
    let order = |word: &Word| match word {
        Word::Gone | Word::Reported => 0,
        Word::OutOfSight => 1,
        Word::Remembered => 2,
        Word::Unknown => 3,
        Word::ListedAnew => 4,
        Word::Fires => 5,
    };
    words.max_by_key(order).unwrap_or(Word::Unknown)
}

/// Whether a proof and what answers it are of one mind about a query.
pub(super) fn query_holds(look: &Evidence) -> bool {
    matches!(look.query(), Some(Ok(samples)) if *samples > 0)
}

/// Whether an order's proof asks a query.
pub(super) fn asks_query(proof: &Proof) -> bool {
    proof.query.is_some()
}

fn is_absent(known: &Known, look: &Evidence) -> bool {
    matches!(look.listing(&known.alert), Some(Ok(listing))
        if listing.alert.is_none() && listing.total > 0 && listing.uptime >= YOUNG)
}

impl Known {
    /// What rules show of an alert, and whether all of them said that it is gone since a moment: when
    /// the first of them was evaluated.
    pub(super) fn gone_by(
        &self,
        rules: &Seen,
        evidence: &Evidence,
        after: &After<'_>,
    ) -> Option<Timestamp> {
        let gone = |seen: &SeenBy| {
            let says = seen.says(self, evidence)?;
            (seen.hear(says, after, after) == Word::Gone).then_some(says.evaluated_at)
        };
        let all: Option<Vec<Timestamp>> = rules.rules.iter().map(gone).collect();
        all?.into_iter().min()
    }
}

impl Oracle {
    /// Who shows an alert, by one answer.
    pub(super) fn shown_by(&self, known: &Known, evidence: &Evidence) -> Seen {
        let mut seen = Seen::default();
        seen.take_in(known, evidence, |says| self.is_anothers(known, says, None));
        seen
    }

    /// Whether an instance that may be an alert is rather another one: that fires under just its labels,
    /// or is of the same case and has fewer labels besides.
    fn is_anothers(&self, known: &Known, says: &RuleSays, case: Option<&Case>) -> bool {
        let (own, mine) = (&says.instance, &known.alert.labels);
        let mut firing = self.firing.values().filter_map(|id| self.episodes.get(id));
        let mut beside = case.into_iter().flat_map(|case| self.alerts(case));
        own != mine
            && (firing.any(|other| other.alert.labels == *own)
                || beside.any(|other| {
                    let labels = &other.alert.labels;
                    labels.iter().count() < mine.iter().count() && own.is_within(labels)
                }))
    }
}
