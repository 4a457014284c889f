//! From testimonies to a verdict: healed, still firing, worse, or unknown.
//!
//! ```text
//!  order ends ──> look ──> Reading ──> judge ──> Healing, as soon as all is proven
//!                   ▲         │
//!                   └─ every ─┘        one last look at the window's end:
//!                                      fires ─> still firing;  anything else ─> unknown
//! ```
//!
//! Each alert of an incident is judged by its own witnesses ([`crate::witness`]), and then the incident
//! by its alerts. Only [`judge`] makes a [`Healing`], and nothing else closes an incident as healed.
//!
//! | its best witness of before the act | the alert is over when |
//! |---|---|
//! | a rule, or rules | each of them says that it is gone |
//! | a Prometheus that gave no answer then | a rule of it was seen to fire it since, and says so |
//! | an Alertmanager | its source resolved it, or it is absent there twice in a row, and not mentioned between |
//! | nobody but its source | its source resolved it |
//!
//! | alerts | query, where there is one | verdict |
//! |---|---|---|
//! | one fires | any | still firing, at the window's end |
//! | all over | holds `times` in a row | healed: proven |
//! | some only remembered, or their inputs gone; the rest over | holds `times` in a row | healed: proven |
//! | all over | none | healed, with the least of their grades |
//! | anything else | any | unknown, at the window's end |
//!
//! What an Alertmanager says that fires is no proof against a query that holds: nobody knows what its
//! rule remembers. Where the policy has a `regression`, each look also compares the target's other
//! alerts with what was there before the act ([`crate::regression`]): *worse* comes first, at once, and
//! while it is not known that nothing became worse, nothing is healed.

mod look;
mod words;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::alert::Alert;
use crate::clock::Jump;
use crate::evidence::Grade;
use crate::limits;
use crate::name::{EpisodeId, OrderId};
use crate::order::Proof;
use crate::regression::Change;
use crate::time::Timestamp;
use crate::witness::{Case, NoWord, Sighting, Testimony, Witness};

pub use look::{Proving, proof, questions_before};

/// Whether the trouble goes on, as one look found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Firing {
    /// Positive evidence that it fires, of after the act.
    Yes,
    /// Whoever saw it fire says that it is gone.
    No,
    /// Neither.
    Unknown,
}

/// What the witnesses of one alert said at a look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// The alert's episode.
    pub episode: EpisodeId,
    /// The testimony of each sighting of its case, in their order.
    pub testimonies: Vec<Testimony>,
    /// What the look brought: who shows it now and was not known to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sighted: Vec<Sighting>,
    /// Whether a Prometheus gave no answer that may show it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub awaits: bool,
}

/// What one look found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Whether the trouble goes on.
    pub firing: Firing,
    /// Whether the query held, where there is one.
    pub query_holds: Option<bool>,
    /// Whether something else became worse, where the policy wants to know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
    /// What was said about each alert.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub said: Vec<Said>,
    /// The same for a person.
    pub text: String,
}

/// When to look next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Look {
    /// At this time.
    Due(Timestamp),
    /// Asked at this time, and not answered yet.
    Asked(Timestamp),
    /// There is nobody to ask: what the alert's source says is awaited.
    Nobody,
}

/// An action that is over, and whose healing is being proven.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// The order.
    pub order: OrderId,
    /// When its action was over, as far as that was known when the proof began.
    pub ended_at: Timestamp,
    /// When the window is over.
    pub until: Timestamp,
    /// When to look next.
    pub look: Look,
    /// When the action is over at the latest, where a crash may have left it running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_at: Option<Timestamp>,
    /// How often in a row the query held.
    pub held: u32,
    /// How often in a row each alert was absent from the Alertmanager that had listed it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub missed: BTreeMap<EpisodeId, u32>,
    /// The cases of alerts that joined since the order was issued, and those to which a look has
    /// added a sighting.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cases: Vec<Case>,
    /// What the last look found.
    pub last: Option<Reading>,
    /// Whether all alerts resolved while the action still ran.
    pub resolved_during_action: bool,
}

impl Verification {
    /// Takes in what a look found, and plans the next one.
    pub(crate) fn note(&mut self, proof: &Proof, reading: &Reading, next: Timestamp) {
        self.held = if reading.query_holds == Some(true) { self.held + 1 } else { 0 };
        // In a row means without a look that says nothing between them.
        self.missed.retain(|episode, _| said_of(reading, *episode).is_some());
        for said in &reading.said {
            let case = self.case(proof, said.episode).cloned();
            let missing = case.as_ref().is_some_and(|case| says_missing(case, &said.testimonies));
            if missing {
                *self.missed.entry(said.episode).or_default() += 1;
            } else {
                self.missed.remove(&said.episode);
            }
            self.learn(case, said);
        }
        self.last = Some(reading.clone());
        self.look = Look::Due(next);
    }

    fn learn(&mut self, case: Option<Case>, said: &Said) {
        let joins = case.is_none();
        if !joins && said.sighted.is_empty() {
            return;
        }
        let mut case = case.unwrap_or_else(|| joined(said.episode));
        for sighting in &said.sighted {
            case.sight(sighting.clone());
        }
        self.cases.retain(|known| known.episode != said.episode);
        self.cases.push(case);
    }

    /// Returns the case of an alert as it stands now; `None` while it was not looked at.
    pub fn case<'a>(&'a self, proof: &'a Proof, episode: EpisodeId) -> Option<&'a Case> {
        self.cases.iter().chain(&proof.cases).find(|case| case.episode == episode)
    }

    /// Returns the cases of all alerts as they stand now.
    fn cases<'a>(&'a self, proof: &'a Proof) -> BTreeMap<EpisodeId, &'a Case> {
        let all = proof.cases.iter().chain(&self.cases);
        all.map(|case| (case.episode, case)).collect()
    }

    /// Returns when its action is over at the latest: a crash may have left it running.
    pub fn over_at(&self, proof: &Proof) -> Timestamp {
        // Those of an earlier version do not say it, and their windows were never prolonged.
        self.over_at.unwrap_or_else(|| self.ended_at.max(self.until - proof.within))
    }

    /// Lives through a jump of the wall clock: the window keeps its remaining time, and the proof
    /// begins anew. Who saw the alert fire has seen it.
    pub(crate) fn live_through(&mut self, jump: &Jump) {
        self.until = self.until + jump.followed();
        self.over_at = self.over_at.map(|at| at + jump.followed());
        self.look = match self.look {
            Look::Due(at) => Look::Due(at + jump.followed()),
            Look::Asked(_) => Look::Due(jump.to),
            Look::Nobody => Look::Nobody,
        };
        self.held = 0;
        self.missed.clear();
        self.last = None;
    }

    /// An alert fires again, in another episode: its witnesses are those that it had, and how often it
    /// was missed begins anew.
    pub(crate) fn fires_again(&mut self, earlier: &[EpisodeId], episode: EpisodeId) {
        for case in self.cases.iter_mut().filter(|case| earlier.contains(&case.episode)) {
            case.episode = episode;
        }
        for before in earlier {
            self.missed.remove(before);
        }
    }

    /// Tells whether the last look showed that nothing else became worse, where that is asked.
    pub fn nothing_is_worse(&self, proof: &Proof) -> bool {
        let change = self.last.as_ref().and_then(|reading| reading.change.as_ref());
        proof.baseline.is_none() || change == Some(&Change::Same)
    }
}

/// The case of an alert that joined after the act began, before anybody showed it.
fn joined(episode: EpisodeId) -> Case {
    Case {
        episode,
        required: Grade::Reported,
        sightings: Vec::new(),
        awaited: Vec::new(),
        blind: Vec::new(),
    }
}

fn says_missing(case: &Case, testimonies: &[Testimony]) -> bool {
    case.sightings.iter().zip(testimonies).any(|(sighting, testimony)| {
        matches!(sighting.witness(), Witness::Listing { .. }) && *testimony == Testimony::Gone
    })
}

/// An alert of an incident whose healing is being proven.
#[derive(Debug, Clone, Copy)]
pub struct Patient<'a> {
    /// Its episode.
    pub episode: EpisodeId,
    /// The alert.
    pub alert: &'a Alert,
    /// Whether its source said that it resolved.
    pub resolved: bool,
    /// When it was last mentioned as firing, where that is known and matters.
    pub mentioned_at: Option<Timestamp>,
}

/// The alerts of an incident whose healing is proven: those that may have been asked about, and how
/// many there are besides, of which only their sources' word counts.
#[derive(Debug)]
pub struct Ward<'a> {
    patients: Vec<Patient<'a>>,
    resolved: usize,
    unresolved: usize,
}

impl<'a> Ward<'a> {
    /// These, and none besides.
    pub fn of(patients: Vec<Patient<'a>>) -> Self {
        Self { patients, resolved: 0, unresolved: 0 }
    }

    /// The same, of so many that resolved among so many in all.
    #[must_use]
    pub fn among(self, (resolved, all): (usize, usize)) -> Self {
        let known = self.patients.iter().filter(|patient| patient.resolved).count();
        let unknown = self.patients.len() - known;
        Self {
            resolved: resolved.saturating_sub(known),
            unresolved: (all - resolved).saturating_sub(unknown),
            ..self
        }
    }

    /// Returns those that may have been asked about.
    pub fn patients(&self) -> &[Patient<'a>] {
        &self.patients
    }

    fn len(&self) -> usize {
        self.patients.len() + self.resolved + self.unresolved
    }
}

/// That all alerts of an incident are over, as those who saw them fire say. Only [`judge`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Healing {
    grade: Grade,
    remembered_until: Option<Timestamp>,
}

impl Healing {
    /// Returns how well it is known.
    pub fn grade(&self) -> Grade {
        self.grade
    }

    /// Returns until when rules may go on firing about what is over, where a query decided sooner.
    pub fn remembered_until(&self) -> Option<Timestamp> {
        self.remembered_until
    }
}

/// What is known about an incident's healing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is proven.
    Healed(Healing),
    /// There is positive evidence that the trouble goes on.
    Fires,
    /// A rule fires, perhaps about what is over, and tells the two apart only later.
    Remembers {
        /// When it does.
        until: Timestamp,
    },
    /// Nobody can tell.
    Unknown,
}

/// What is known about one alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Over(Grade),
    Fires,
    /// A rule fires, perhaps about what is over.
    Remembered(Timestamp),
    /// It and what its rule reads are gone.
    OutOfSight,
    Unknown,
}

/// Judges an incident by its alerts, each by its own witnesses.
pub fn judge(proof: &Proof, verification: &Verification, ward: &Ward<'_>) -> Verdict {
    let held = proof.query.is_some() && verification.held >= proof.times;
    let mut least = Grade::Proven;
    let mut remembered = None;
    let (mut fires, mut unknown, mut doubtful) = (false, false, false);
    // What is beyond those that are asked about is over by its source's word alone.
    let many = ward.len() > limits::ASKED_ALERTS;
    if ward.resolved > 0 {
        least = Grade::Reported;
    }
    unknown |= ward.unresolved > 0;
    let cases = verification.cases(proof);
    let last = verification.last.iter().flat_map(|last| &last.said);
    let said: BTreeMap<EpisodeId, &Said> = last.map(|said| (said.episode, said)).collect();
    for patient in ward.patients() {
        let case = cases.get(&patient.episode).copied();
        let said = said.get(&patient.episode).copied();
        match stand(proof, verification, patient, (case, said), many) {
            Standing::Over(grade) => least = least.min(grade),
            Standing::Fires => fires = true,
            Standing::Remembered(until) => {
                doubtful = true;
                remembered = remembered.max(Some(until));
            }
            Standing::OutOfSight if proof.vanishes => least = least.min(Grade::Confirmed),
            Standing::OutOfSight => doubtful = true,
            Standing::Unknown => unknown = true,
        }
    }
    if fires {
        return Verdict::Fires;
    }
    let decided = if proof.query.is_some() { held && !unknown } else { !unknown && !doubtful };
    if !decided || !verification.nothing_is_worse(proof) {
        return remembered.map_or(Verdict::Unknown, |until| Verdict::Remembers { until });
    }
    let grade = if proof.query.is_some() { Grade::Proven } else { least.min(Grade::Confirmed) };
    Verdict::Healed(Healing { grade, remembered_until: remembered })
}

fn stand(
    proof: &Proof,
    verification: &Verification,
    patient: &Patient<'_>,
    (case, said): (Option<&Case>, Option<&Said>),
    many: bool,
) -> Standing {
    // An order of an earlier version was content with its source's word where no rule explained it.
    let content = proof.cases.is_empty() && !is_explained(proof, patient.alert);
    let unasked = many || content || verification.look == Look::Nobody;
    let Some(case) = case else {
        // It joined, and no look has asked about it yet.
        return if unasked && patient.resolved {
            Standing::Over(Grade::Reported)
        } else {
            Standing::Unknown
        };
    };
    if case.rules().next().is_some() {
        return by_rules(heard(case, said, true));
    }
    let awaits = case.is_awaited() || said.is_some_and(|said| said.awaits);
    if awaits || is_of_old(proof, case, patient.alert) {
        return Standing::Unknown;
    }
    let fires = heard(case, said, false).any(|testimony| *testimony == Testimony::Fires);
    // The last look was about an earlier firing.
    let anew = verification.last.is_some() && said.is_none() && !unasked;
    let missed = verification.missed.get(&patient.episode).copied().unwrap_or_default();
    match (fires, proof.query.is_some()) {
        // Nobody knows what the rule behind a listing remembers: the query knows better.
        (true, true) if verification.held > 0 => Standing::Unknown,
        (true, _) => Standing::Fires,
        (false, _) if anew => Standing::Unknown,
        (false, true) => Standing::Over(Grade::Reported),
        (false, false) if patient.resolved || missed >= limits::ABSENT_TIMES => {
            Standing::Over(Grade::Reported)
        }
        (false, false) => Standing::Unknown,
    }
}

/// What the rules that saw an alert fire said at a look, or what the others did.
fn heard<'a>(
    case: &'a Case,
    said: Option<&'a Said>,
    of_rules: bool,
) -> impl Iterator<Item = &'a Testimony> {
    let asked = said.map_or(&[][..], |said| &said.testimonies);
    case.sightings
        .iter()
        .enumerate()
        .filter(move |(_, sighting)| sighting.rule().is_some() == of_rules)
        .map(|(place, _)| asked.get(place).unwrap_or(&UNASKED))
}

/// Tells whether what a query decided goes on all the same, by the rules that saw it: what an
/// Alertmanager was told, it was told by what may remember.
pub(crate) fn goes_on(
    proof: &Proof,
    verification: &Verification,
    reading: &Reading,
    patients: &[Patient<'_>],
) -> Firing {
    let mut known = Firing::No;
    for patient in patients {
        let case = verification.case(proof, patient.episode);
        let Some(case) = case.filter(|case| case.rules().next().is_some()) else { continue };
        match by_rules(heard(case, said_of(reading, patient.episode), true)) {
            Standing::Fires => return Firing::Yes,
            Standing::Over(_) => {}
            Standing::Remembered(_) | Standing::OutOfSight | Standing::Unknown => {
                known = Firing::Unknown;
            }
        }
    }
    known
}

const UNASKED: Testimony = Testimony::Silent { why: NoWord::NotAsked };

/// Orders of an earlier version say by the names of their alerts which ones a rule explains, and not
/// who saw them: such a rule is awaited.
fn is_of_old(proof: &Proof, case: &Case, alert: &Alert) -> bool {
    case.rules().next().is_none() && is_explained(proof, alert)
}

fn is_explained(proof: &Proof, alert: &Alert) -> bool {
    proof.rules.iter().any(|name| **name == *alert.name())
}

/// Each rule that saw it must say that it is gone; one that fires is enough for it to fire.
fn by_rules<'a>(heard: impl Iterator<Item = &'a Testimony>) -> Standing {
    let mut standing = Standing::Over(Grade::Confirmed);
    for testimony in heard {
        let one = match testimony {
            Testimony::Fires => return Standing::Fires,
            Testimony::Remembers { until } => Standing::Remembered(*until),
            Testimony::Gone => Standing::Over(Grade::Confirmed),
            Testimony::Silent { why: NoWord::InputsGone { .. } } => Standing::OutOfSight,
            Testimony::Silent { .. } => Standing::Unknown,
        };
        standing = match (standing, one) {
            (Standing::Unknown, _) | (_, Standing::Unknown) => Standing::Unknown,
            (Standing::Remembered(a), Standing::Remembered(b)) => Standing::Remembered(a.max(b)),
            (Standing::Remembered(until), _) | (_, Standing::Remembered(until)) => {
                Standing::Remembered(until)
            }
            (Standing::OutOfSight, _) | (_, Standing::OutOfSight) => Standing::OutOfSight,
            (Standing::Over(_) | Standing::Fires, one) => one,
        };
    }
    standing
}

fn said_of(reading: &Reading, episode: EpisodeId) -> Option<&Said> {
    reading.said.iter().find(|said| said.episode == episode)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{
        Beside, Inputs, InstanceState, ListedAlert, Listing, Memory, RuleId, RuleSays,
    };
    use crate::label::LabelSet;
    use crate::name::{IncidentId, Part, RemedyName, SourceName};
    use crate::policy::TargetLabels;
    use crate::time::Span;

    const NOW: Timestamp = Timestamp::from_seconds(1_000);

    fn by_rule(prometheus: &str) -> Sighting {
        let says = RuleSays {
            rule: RuleId::new("f", "g", "Down", "up == 0", &LabelSet::default()),
            instance: LabelSet::default(),
            state: InstanceState::Firing,
            unhealthy: None,
            evaluated_at: NOW,
            interval: Span::ZERO,
            memory: Some(Memory::Lasts(Span::ZERO)),
            inputs: Inputs::Known(Vec::new()),
            beside: Beside::default(),
        };
        Sighting::of_rule(&SourceName::new(prometheus), &says, NOW).expect("it fires")
    }

    fn by_listing() -> Sighting {
        let listed = ListedAlert { suppressed_by: None, updated_at: NOW, starts_at: NOW };
        let listing = Listing { uptime: Span::from_secs(3600), total: 2, alert: Some(listed) };
        Sighting::of_listing(&Alert::down(), &listing, NOW).expect("it is listed")
    }

    fn silent() -> Testimony {
        Testimony::Silent { why: NoWord::NotEvaluated }
    }

    fn vanished() -> Testimony {
        Testimony::Silent { why: NoWord::InputsGone { selector: "up".into() } }
    }

    fn proof(query: bool, sightings: Vec<Sighting>, awaited: bool) -> Proof {
        let mut case = joined(EpisodeId(1));
        for sighting in sightings {
            case.sight(sighting);
        }
        case.awaited = awaited.then(|| SourceName::new("other")).into_iter().collect();
        Proof {
            required: case.required,
            target: TargetLabels::All,
            rules: Vec::new(),
            cases: vec![case],
            query: query.then(|| "up == 1".to_owned()),
            query_by: None,
            within: Span::from_secs(60),
            patience: Span::from_secs(3600),
            vanishes: false,
            every: Span::from_secs(10),
            times: 2,
            baseline: None,
        }
    }

    /// What is known after `looks` looks of which each brought these testimonies.
    fn verdict(proof: &Proof, resolved: bool, looks: u32, heard: &[Testimony]) -> Verdict {
        let mut verification = Verification {
            order: OrderId {
                incident: IncidentId(1),
                remedy: RemedyName::new("restart"),
                attempt: 1,
                part: Part::Heal,
            },
            ended_at: NOW,
            until: NOW + Span::from_secs(60),
            look: Look::Due(NOW),
            over_at: None,
            held: 0,
            missed: BTreeMap::new(),
            cases: Vec::new(),
            last: None,
            resolved_during_action: false,
        };
        let reading = Reading {
            firing: Firing::Unknown,
            query_holds: proof.query.as_ref().map(|_| true),
            change: None,
            said: vec![Said {
                episode: EpisodeId(1),
                testimonies: heard.to_vec(),
                sighted: Vec::new(),
                awaits: false,
            }],
            text: String::new(),
        };
        for _ in 0..looks {
            verification.note(proof, &reading, NOW);
        }
        let alert = Alert::down();
        let episode = EpisodeId(1);
        let patient = Patient { episode, alert: &alert, resolved, mentioned_at: None };
        judge(proof, &verification, &Ward::of(vec![patient]))
    }

    fn healed(grade: Grade) -> Verdict {
        Verdict::Healed(Healing { grade, remembered_until: None })
    }

    #[test]
    fn whoever_saw_it_at_the_best_grade_must_say_that_it_is_over() {
        use Testimony::{Fires, Gone};
        let until = NOW + Span::from_secs(600);
        let remembers = || Testimony::Remembers { until };
        let one = || vec![by_rule("a")];
        let two = || vec![by_rule("a"), by_rule("b")];
        let both = || vec![by_rule("a"), by_listing()];
        for (sightings, resolved, heard, expected) in [
            (one(), false, vec![Gone], healed(Grade::Confirmed)),
            (one(), true, vec![silent()], Verdict::Unknown),
            (one(), true, vec![Fires], Verdict::Fires),
            (one(), false, vec![vanished()], Verdict::Unknown),
            (one(), false, vec![remembers()], Verdict::Remembers { until }),
            (two(), false, vec![Gone, Gone], healed(Grade::Confirmed)),
            (two(), true, vec![Gone, silent()], Verdict::Unknown),
            (two(), false, vec![Gone, Fires], Verdict::Fires),
            (two(), false, vec![Gone, remembers()], Verdict::Remembers { until }),
            (two(), false, vec![silent(), remembers()], Verdict::Unknown),
            (both(), true, vec![silent(), Gone], Verdict::Unknown),
            (both(), false, vec![Gone, Fires], healed(Grade::Confirmed)),
            (Vec::new(), false, Vec::new(), Verdict::Unknown),
            (Vec::new(), true, Vec::new(), healed(Grade::Reported)),
        ] {
            let proof = proof(false, sightings, false);
            assert_eq!(verdict(&proof, resolved, 1, &heard), expected, "{heard:?} {resolved}");
        }
        let awaited = proof(false, vec![by_listing()], true);
        assert_eq!(verdict(&awaited, true, 9, &[Gone]), Verdict::Unknown, "its word is awaited");
        let listed = proof(false, vec![by_listing()], false);
        assert_eq!(verdict(&listed, false, 1, &[Gone]), Verdict::Unknown, "missed once");
        assert_eq!(verdict(&listed, false, 2, &[Gone]), healed(Grade::Reported));
    }

    #[test]
    fn a_query_decides_over_memory_and_what_is_out_of_sight_and_over_nothing_else() {
        use Testimony::{Fires, Gone};
        let until = NOW + Span::from_secs(600);
        let remembers = || Testimony::Remembers { until };
        let one = || proof(true, vec![by_rule("a")], false);
        assert_eq!(verdict(&one(), false, 1, &[Gone]), Verdict::Unknown, "it must hold twice");
        assert_eq!(verdict(&one(), false, 2, &[Gone]), healed(Grade::Proven));
        assert_eq!(verdict(&one(), false, 2, &[vanished()]), healed(Grade::Proven));
        let remembered = Healing { grade: Grade::Proven, remembered_until: Some(until) };
        assert_eq!(verdict(&one(), false, 2, &[remembers()]), Verdict::Healed(remembered));
        assert_eq!(verdict(&one(), true, 2, &[silent()]), Verdict::Unknown);
        assert_eq!(verdict(&one(), false, 9, &[Fires]), Verdict::Fires, "firing outweighs it");
        let listed = proof(true, vec![by_listing()], false);
        assert_eq!(verdict(&listed, false, 2, &[Gone]), healed(Grade::Proven));
        assert_eq!(verdict(&listed, false, 2, &[Fires]), Verdict::Unknown, "nobody knows its rule");
    }
}
