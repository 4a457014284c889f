//! What is true, and what the laws say about it: healed means that the fault is gone, and no further
//! remedy follows where only memory fires.
//!
//! All moments here are of the time that passes, as the world lives by it. The oracles' own time is
//! another one once the engine was away while the clock was set: it takes that for time that passed.

use std::collections::BTreeMap;
use std::sync::Arc;

use homeostat_core::alert::Alert;
use homeostat_core::evidence::Grade;
use homeostat_core::healing::Reading;
use homeostat_core::incident::{Cause, Closing, End};
use homeostat_core::label::LabelSet;
use homeostat_core::name::{IncidentId, OrderId, SourceName};
use homeostat_core::policy::{Book, TargetLabels};
use homeostat_core::time::{Span, Timestamp};
use homeostat_core::witness::{NoWord, Testimony};

use super::witness::{Word, asks_query};
use super::{Case, Changed, Heard, Known, Oracle, Verdict, Violation, key};
use crate::cast::{Part, without_value};
use crate::health::History;
use crate::prometheus::{Prometheus, Reads};
use crate::script::{Honesty, Script};

/// How much the clock of a source may differ from ours.
const TOLERANCE: Span = Span::from_secs(1);

/// How long before an order nobody may have lied, so that its witnesses were whole and honest.
const HONEST_BEFORE: Span = Span::from_secs(180);

/// Of when an answer tells the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownAt {
    /// What the rules say.
    pub rules: Timestamp,
    /// What the query says.
    pub query: Timestamp,
    /// Which Prometheus was asked the query.
    pub query_by: Option<usize>,
}

/// What is true of one part.
#[derive(Debug, Clone, Default)]
struct Fate {
    faults: History,
    gone: History,
    /// When its source said last that it is over, or said so of its labels, though it was not.
    belied_at: Option<Timestamp>,
    /// Since when its source says without a break that it fires.
    told_since: Option<Timestamp>,
}

/// What is true.
#[derive(Debug)]
pub struct Truth {
    cast: Arc<[Part]>,
    proms: Arc<[Prometheus]>,
    by_labels: BTreeMap<(SourceName, LabelSet), usize>,
    evaluation: Span,
    fates: Vec<Fate>,
    ways: Vec<Honesty>,
    alertmanager: Option<Honesty>,
    /// When the Alertmanager was not honest last.
    misled_at: Option<Timestamp>,
    now: Timestamp,
    /// When a rule was replaced last.
    replaced_at: Option<Timestamp>,
    /// When actions were over, also those of which nobody heard.
    ended: BTreeMap<OrderId, Timestamp>,
    known: BTreeMap<(IncidentId, u32), KnownAt>,
    /// Whether any book asks a Prometheus.
    proms_are_asked: bool,
    /// When each Prometheus evaluated nothing last.
    idle_at: Vec<Option<Timestamp>>,
}

impl Default for Truth {
    fn default() -> Self {
        Self {
            cast: [].into(),
            proms: [].into(),
            by_labels: BTreeMap::new(),
            evaluation: Span::ZERO,
            fates: Vec::new(),
            ways: Vec::new(),
            alertmanager: None,
            misled_at: None,
            replaced_at: None,
            now: Timestamp::EPOCH,
            ended: BTreeMap::new(),
            known: BTreeMap::new(),
            proms_are_asked: false,
            idle_at: Vec::new(),
        }
    }
}

impl Truth {
    /// What is true of a world in which all is well.
    pub fn new(script: &Script) -> Self {
        let cast: Arc<[Part]> = script.cast.clone().into();
        let keys = cast
            .iter()
            .enumerate()
            .map(|(number, part)| ((part.alert.source.clone(), part.alert.labels.clone()), number));
        Self {
            by_labels: keys.collect(),
            fates: vec![Fate::default(); cast.len()],
            cast,
            proms: script.proms.clone().into(),
            evaluation: script.manners.evaluation,
            ways: vec![Honesty::True; script.proms.len()],
            idle_at: vec![None; script.proms.len()],
            proms_are_asked: script
                .books
                .iter()
                .any(|book| !book.witnesses.prometheuses.is_empty()),
            ..Self::default()
        }
    }

    /// It is now.
    pub fn at(&mut self, now: Timestamp) {
        self.now = now;
        for (way, idle_at) in self.ways.iter().zip(&mut self.idle_at) {
            *idle_at = if way.evaluates() { *idle_at } else { Some(now) };
        }
        if self.alertmanager.is_some_and(|honesty| honesty != Honesty::True) {
            self.misled_at = Some(now);
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    /// A part falls ill.
    pub fn break_down(&mut self, part: usize, now: Timestamp) {
        self.fates[part].faults.begin(now, 0);
    }

    /// A part recovers.
    pub fn mend(&mut self, part: usize, now: Timestamp) {
        self.fates[part].faults.end(now);
    }

    /// A target vanishes, or comes back.
    pub fn vanish(&mut self, part: usize, gone: bool, now: Timestamp) {
        if gone {
            self.fates[part].gone.begin(now, 0);
        } else {
            self.fates[part].gone.end(now);
        }
    }

    /// The source of a part begins to tell that it fires, or ends.
    pub fn tells(&mut self, part: usize, fires: bool, now: Timestamp) {
        let fate = &mut self.fates[part];
        fate.told_since = fires.then_some(now);
        if fate.faults.now().is_some() {
            fate.belied_at = Some(now);
        }
    }

    /// A Prometheus changes its ways.
    pub fn behaves(&mut self, prom: usize, honesty: Honesty) {
        self.ways[prom] = honesty;
    }

    /// The Alertmanager changes its ways.
    pub fn lists(&mut self, honesty: Honesty) {
        self.alertmanager = Some(honesty);
    }

    /// Another rule takes the place of one.
    pub fn replaces_rule(&mut self, now: Timestamp) {
        self.replaced_at = Some(now);
    }

    /// An action is over.
    pub fn ends(&mut self, order: &OrderId, now: Timestamp) {
        self.ended.insert(order.clone(), now);
    }

    /// Of when an answer tells the truth.
    pub fn answers(&mut self, incident: IncidentId, step: u32, knows: KnownAt) {
        self.known.insert((incident, step), knows);
    }

    pub(super) fn known_of(&self, incident: IncidentId, step: u32) -> Option<KnownAt> {
        self.known.get(&(incident, step)).copied()
    }

    fn part_of(&self, alert: &Alert) -> Option<usize> {
        self.by_labels.get(&(alert.source.clone(), without_value(&alert.labels))).copied()
    }

    fn is_honest(&self) -> bool {
        let listed = self.alertmanager.is_none_or(|honesty| honesty == Honesty::True);
        listed && self.ways.iter().all(|honesty| *honesty == Honesty::True)
    }
}

impl Oracle {
    fn parts<'a>(&'a self, case: &'a Case) -> impl Iterator<Item = (&'a Known, usize)> {
        self.alerts(case).filter_map(|known| Some((known, self.truth.part_of(&known.alert)?)))
    }

    /// Notes whether anybody lies.
    pub(super) fn note_lies(&mut self) {
        if !self.truth.is_honest() {
            self.disturbed_at = Some(self.truth.now);
        }
    }

    /// Healed means that the fault is gone, as far as honest witnesses could know it.
    pub(super) fn is_truly_healed(
        &mut self,
        incident: IncidentId,
        closing: &Closing,
        now: Timestamp,
    ) -> Verdict {
        let Some(case) = self.cases.get(&incident) else { return Ok(()) };
        let mut met = Vec::new();
        for (known, part) in self.parts(case) {
            let Some(since) = self.truth.fates[part].faults.now().map(|spell| spell.from) else {
                continue;
            };
            if let Some(why) = self.is_a_lie(case, (known, part), since, now, &mut met) {
                let labels = &known.alert.labels;
                let grade = closing.grade;
                let text = format!(
                    "incident {incident} is called healed ({grade:?}), and the fault behind \
                     {labels} is there since {since}: {why}"
                );
                return Err(Violation::new(now, "truth", text));
            }
        }
        if closing.grade == Some(Grade::Reported) && self.all_seen_by_rules(case) {
            let text = format!("incident {incident} is healed by report, and rules saw it fire");
            return Err(Violation::new(now, "truth", text));
        }
        let remembered = closing.remembered_until.is_some();
        met.extend(closing.grade.map(|grade| match grade {
            Grade::Reported => "healed, reported",
            Grade::Confirmed => "healed, confirmed",
            Grade::Proven if remembered => "healed, proven while a rule remembers",
            Grade::Proven => "healed, proven",
        }));
        for what in met {
            self.met.count(what);
        }
        Ok(())
    }

    /// Why it cannot be called over, if its fault is there since then.
    fn is_a_lie(
        &self,
        case: &Case,
        (known, part): (&Known, usize),
        since: Timestamp,
        now: Timestamp,
        met: &mut Vec<&'static str>,
    ) -> Option<String> {
        let fate = &self.truth.fates[part];
        let knows = case.knows?;
        let query = case.runs.iter().rfind(|run| !run.returned);
        let queried = query.is_some_and(|run| asks_query(&run.order.proof));
        let of_all = query.is_some_and(|run| run.order.proof.target == TargetLabels::All);
        let homes = &self.truth.cast[part].homes;
        let sees = homes.is_empty() || knows.query_by.is_some_and(|prom| homes.contains(&prom));
        match self.word(case, known, now) {
            // Where the target is all labels, no other labels are of the same one.
            Word::Gone if since <= knows.rules && self.truth.cast[part].carries && of_all => {
                met.push("healed under one value, of a target that is all labels");
                None
            }
            Word::Gone if since <= knows.rules && self.is_mistaken(case, (known, part)) => {
                met.push("healed by the instance of another alert, of which nobody had heard");
                None
            }
            Word::Gone if since <= knows.rules => {
                Some(format!("a rule evaluated at {} said that it is gone", knows.rules))
            }
            Word::OutOfSight | Word::Remembered | Word::Unknown | Word::Reported
                if queried && sees && since <= knows.query =>
            {
                Some(format!("the query held at {}", knows.query))
            }
            Word::OutOfSight if !queried => {
                met.push("a target that is gone, taken for healed");
                None
            }
            Word::Remembered | Word::OutOfSight | Word::Unknown if queried && !sees => {
                met.push("healed by the query of the wrong Prometheus");
                None
            }
            Word::Reported if !queried => {
                let first = case.runs.first()?.truly_issued_at;
                let told = fate.told_since.is_some_and(|told| told <= known.truly_began_at);
                let since = first.min(known.truly_began_at);
                let lied = self.truth.misled_at.max(fate.belied_at) >= Some(since);
                if told && !lied && self.hours.set_at().is_none() {
                    return Some("its source never said that it is over".to_owned());
                }
                met.push("healed by the wrong word of its source");
                None
            }
            _ => None,
        }
    }

    /// Whether an instance was taken for an alert that is another's, on a Prometheus of which nobody knows
    /// what it puts on the wire.
    fn is_mistaken(&self, case: &Case, (known, part): (&Known, usize)) -> bool {
        let cast = &self.truth.cast[part];
        let seen = case.sightings.get(&key(&known.alert));
        seen.into_iter().flat_map(|seen| &seen.rules).any(|rule| {
            let prom = self.truth.proms.iter().position(|prom| prom.name == rule.prometheus);
            prom.is_some_and(|prom| {
                let own = cast.homes.contains(&prom) && cast.is_shown_as(&rule.instance);
                !self.truth.proms[prom].mapped && !own
            })
        })
    }

    /// A notification is judged whole: what it ends, and says to fire with other labels, did not end.
    /// What another one had ended before, in the same group, did: that said nothing of other labels.
    pub(super) fn is_judged_whole(
        &self,
        incident: IncidentId,
        closing: &Closing,
        heard: &Heard,
        book: &Book,
        now: Timestamp,
    ) -> Verdict {
        let Some(case) = self.cases.get(&incident) else { return Ok(()) };
        let over = matches!(closing.outcome, End::Healed | End::Recovered);
        // The same policy takes it under its other labels, and for the same target. One that asks first
        // whose it is opens another one later.
        let goes_on = |labels: &LabelSet| {
            book.taking(labels).iter().any(|policy| {
                policy.name == case.subject.0
                    && policy.owner_of.is_none()
                    && policy.target.present(labels) == case.subject.1
            })
        };
        let changed = |known: &Known| {
            let of = key(&known.alert);
            heard.changed.iter().any(|Changed { over, ends_at, fires }| {
                let by_this = ends_at.is_none() || *ends_at == known.ended_at;
                *over == of && by_this && goes_on(&fires.labels) && !self.is_stale(fires, now)
            })
        };
        if over && self.hours.set_at().is_none() && self.alerts(case).any(changed) {
            let text = format!(
                "incident {incident} is {}, and what ended fires with other labels, as the same \
                 notification says",
                closing.outcome
            );
            return Err(Violation::new(now, "whole", text));
        }
        Ok(())
    }

    /// What fires on past its memory was not healed: it is not let be.
    pub(super) fn looks_after(&mut self, incident: IncidentId, over: bool, now: Timestamp) {
        let Some(case) = self.cases.get(&incident) else { return };
        let healed = matches!(case.closed, Some((_, End::Healed)));
        if over && healed && self.still_fires(case, now) == Some(Word::Fires) {
            self.owes_relapse = Some(incident);
        }
    }

    /// Whatever was found not to be healed is a trouble again.
    pub(super) fn relapses_are_open(&mut self, book: &Book, now: Timestamp) -> Verdict {
        let Some(incident) = self.owes_relapse.take() else { return Ok(()) };
        let Some(case) = self.cases.get(&incident) else { return Ok(()) };
        let known = book.policy(&case.subject.0).is_some();
        let fires = self.alerts(case).any(|known| known.fires);
        let open = self.open.get(&case.subject).is_some_and(|newest| *newest > incident);
        if known && fires && !open {
            let text = format!("incident {incident} fires past its memory, and is let be");
            return Err(Violation::new(now, "memory", text));
        }
        Ok(())
    }

    /// No further remedy while the cure had worked and only memory fires.
    pub(super) fn climbs_for_a_reason(
        &mut self,
        incident: IncidentId,
        word: Word,
        now: Timestamp,
    ) -> Verdict {
        let Some(case) = self.cases.get(&incident) else { return Ok(()) };
        let last = case.runs.iter().rfind(|run| !run.returned);
        let ended = last.and_then(|run| self.truth.ended.get(&run.order.id)).copied();
        let Some(ended) = ended else { return Ok(()) };
        let there = |(_, part): (&Known, usize)| {
            self.truth.fates[part].faults.within(ended, self.truth.now)
        };
        if self.parts(case).any(there) || self.parts(case).next().is_none() {
            return Ok(());
        }
        // A jump that the engine never wrote down it takes for time that passed.
        let passed = case.proving_since.map(|since| self.hours.own(now).since(since));
        if passed > Some(self.truth.now.since(ended).saturating_add(TOLERANCE)) {
            self.met.count("memory over by a jump that nobody wrote down");
            return Ok(());
        }
        // What resembles one of its alerts may be it, as far as anybody can tell.
        let is_there = |part: usize| self.truth.fates[part].faults.within(ended, self.truth.now);
        let parts = self.truth.cast.iter().enumerate();
        let mut there = parts.filter(|(part, _)| is_there(*part)).map(|(_, part)| &part.shown);
        if there.any(|shown| Self::is_seen_as(case, shown)) {
            self.met.count("what resembled its alert fired on");
            return Ok(());
        }
        // What it remembers nobody knows where an Alertmanager alone lists it.
        if word == Word::ListedAnew && self.truth.proms_are_asked {
            self.met.count("memory behind a listing alone");
            return Ok(());
        }
        let idle = |(_, part): (&Known, usize)| {
            let homes = self.truth.cast[part].homes.iter();
            homes.map(|home| self.truth.idle_at[*home]).any(|at| at >= Some(ended))
        };
        if word == Word::ListedAnew && self.parts(case).any(idle) {
            self.met.count("listed on after its Prometheus had died");
            return Ok(());
        }
        let text = format!(
            "incident {incident} was cured when its action ended at {ended}, and it is given up: \
             only memory fires"
        );
        Err(Violation::new(now, "memory", text))
    }

    /// Whether all alerts had ended by their sources before the first order was issued.
    pub(super) fn ended_before_act(&self, case: &Case, now: Timestamp) -> bool {
        let Some(first) = case.runs.iter().find(|run| run.has_run()) else { return false };
        let issued_at = first.issued_at;
        if self.hours.set_at().is_some_and(|set_at| issued_at <= set_at) {
            return false;
        }
        let (issued, shows) = (self.hours.wall(issued_at), self.hours.wall(now));
        // What is yet to come was shown before the clock was set back.
        let before = |known: &Known| {
            known.resolved
                && known
                    .ended_at
                    .is_some_and(|at| at + TOLERANCE <= issued || at > shows + TOLERANCE)
        };
        self.alerts(case).all(before)
    }

    /// Counts how what was acted on ends, and why what ends unknown does.
    pub(super) fn note_outcome(&mut self, incident: IncidentId, closing: &Closing, now: Timestamp) {
        let Some(case) = self.cases.get(&incident).filter(|case| case.has_acted()) else { return };
        let known = match (closing.outcome, closing.cause()) {
            (End::Healed, _) | (_, Some(Cause::Exhausted | Cause::Contradicted)) => true,
            (_, Some(Cause::Unproven)) => false,
            _ => return,
        };
        let whole = self.is_whole(case, now);
        let words = case.last_words.clone();
        self.met.count("acted");
        if whole {
            self.met.count("acted, with whole and honest witnesses");
        }
        if known {
            return;
        }
        self.met.count("unknown");
        if whole {
            self.met.count("unknown, with whole and honest witnesses");
        }
        let nobody = ["unknown: nobody was asked"];
        let words = if words.is_empty() { &nobody[..] } else { &words };
        for why in words {
            self.met.count(why);
        }
    }

    /// Whether all of a case's alerts had a complete, honest witness from before its first order.
    fn is_whole(&self, case: &Case, now: Timestamp) -> bool {
        let (Some(first), Some(last)) = (case.runs.first(), case.runs.last()) else { return false };
        let proof = &last.order.proof;
        let disturbed_at = self.disturbed_at.max(self.truth.replaced_at);
        let undisturbed = disturbed_at < Some(first.truly_issued_at - HONEST_BEFORE);
        let twice = proof.within >= self.truth.evaluation.saturating_mul(3);
        let plain = proof.query.is_none() && proof.baseline.is_none();
        let all = self.parts(case).all(|(known, part)| {
            let seen = case.sightings.get(&key(&known.alert));
            let homes = &self.truth.cast[part].homes;
            let known_to = |home: &usize| {
                let prom = &self.truth.proms[*home];
                let rule = prom.rule(known.alert.name());
                let read = rule.is_some_and(|rule| rule.is_read && rule.reads == Reads::Series);
                let seen = seen
                    .is_some_and(|seen| seen.rules.iter().any(|rule| rule.prometheus == prom.name));
                prom.mapped && read && seen
            };
            let fate = &self.truth.fates[part];
            let there = !fate.gone.within(first.truly_issued_at, self.truth.now);
            // And the fault neither comes nor goes while it is proven.
            let ended = self.truth.ended.get(&last.order.id).copied();
            let steady = ended.is_some_and(|ended| match fate.faults.now() {
                Some(spell) => spell.from <= ended,
                None => !fate.faults.within(ended, self.truth.now),
            });
            // Labels that carry a value are another alert with each value: nobody sees one for long.
            let there = there && steady && !self.truth.cast[part].carries;
            !homes.is_empty() && homes.iter().all(known_to) && there
        });
        let patient = self.parts(case).all(|(known, part)| {
            let homes = self.truth.cast[part].homes.iter();
            let mut rules =
                homes.filter_map(|home| self.truth.proms[*home].rule(known.alert.name()));
            rules.all(|rule| {
                let evaluations =
                    self.truth.evaluation.saturating_mul(2 * (1 + rule.recordings) + 2);
                rule.memory.saturating_add(rule.keep).saturating_add(evaluations) <= proof.patience
            })
        });
        undisturbed && twice && plain && all && patient && now >= first.issued_at
    }
}

/// Why the last look did not tell, as core read it.
pub(super) fn words_of(reading: &Reading) -> Vec<&'static str> {
    let mut words = Vec::new();
    if reading.query_holds == Some(false) {
        words.push("unknown: the query does not hold");
    }
    for said in &reading.said {
        if said.awaits {
            words.push("unknown: a Prometheus gave no answer since before the act");
        }
        if said.testimonies.is_empty() {
            words.push("unknown: nobody was seen to see it");
        }
        words.extend(said.testimonies.iter().filter_map(|testimony| match testimony {
            Testimony::Fires | Testimony::Gone => None,
            Testimony::Remembers { .. } => Some("unknown: memory is longer than patience"),
            Testimony::Silent { why } => Some(no_word(why)),
        }));
    }
    words.sort_unstable();
    words.dedup();
    words
}

fn no_word(why: &NoWord) -> &'static str {
    match why {
        NoWord::NotAsked => "unknown: not asked",
        NoWord::NoAnswer { .. } => "unknown: no answer",
        NoWord::RuleGone => "unknown: the rule is gone",
        NoWord::Unhealthy { .. } => "unknown: the rule is not healthy",
        NoWord::NotEvaluated => "unknown: not evaluated since the act",
        NoWord::Pending => "unknown: pending",
        NoWord::Kept => "unknown: kept firing",
        NoWord::MemoryUnknown { .. } => "unknown: nobody knows the memory",
        NoWord::Changed { .. } => "unknown: the target fires under other labels",
        NoWord::InputsGone { .. } => "unknown: the series are gone",
        NoWord::InputsUnknown { .. } => "unknown: nobody knows the series",
        NoWord::ListedFromBefore => "unknown: listed from before",
        NoWord::MentionedSince => "unknown: mentioned since it was asked",
        NoWord::ListsNothing => "unknown: the Alertmanager lists nothing",
        NoWord::Young { .. } => "unknown: the Alertmanager is young",
    }
}
