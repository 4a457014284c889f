//! One look at a healing: whom it asks, and what it finds.
//!
//! Before the act it is asked who sees the alerts fire; after it, those who did are asked about what
//! they saw. Who sees an alert is sought again only where it joined after the act began, or where a
//! Prometheus gave no answer before.

use std::collections::BTreeSet;

use super::{Firing, Patient, Reading, Said, UNASKED, Verification, is_of_old, joined, words};
use crate::alert::Alert;
use crate::evidence::{Ask, Evidence, Grade, RuleWord};
use crate::name::{EpisodeId, SourceName};
use crate::order::Proof;
use crate::policy::{Policy, TargetLabels, Witnesses};
use crate::regression::Baseline;
use crate::witness::{Act, Case, NoWord, Sighting, Testimony};

/// Lists what is asked before acting, to know who sees the alerts fire.
pub fn questions_before<'a>(
    policy: &Policy,
    alerts: impl Iterator<Item = &'a Alert>,
    witnesses: &Witnesses,
) -> Vec<Ask> {
    let target = policy.own_target();
    alerts.flat_map(|alert| who_sees(alert, policy, &target, witnesses)).collect()
}

/// Asks all who may see an alert fire.
fn who_sees(
    alert: &Alert,
    policy: &Policy,
    target: &TargetLabels,
    witnesses: &Witnesses,
) -> impl Iterator<Item = Ask> {
    let by = witnesses.of_alert(policy, &alert.labels);
    let rules = (!by.is_empty()).then(|| Ask::rule(alert, target, by));
    let listed = witnesses.alertmanagers.contains(&alert.source).then(|| Ask::listed(alert));
    rules.into_iter().chain(listed)
}

/// Sets what will prove the healing: the best grade that these alerts can be given.
pub fn proof(
    policy: &Policy,
    query: Option<(String, Option<SourceName>)>,
    baseline: Option<Baseline>,
    cases: Vec<Case>,
) -> Proof {
    let least = cases.iter().map(|case| case.required).min().unwrap_or(Grade::Reported);
    let required = if query.is_some() { Grade::Proven } else { least };
    let verify = &policy.verify;
    let (query, query_by) = query.map_or((None, None), |(query, by)| (Some(query), by));
    Proof {
        required,
        target: policy.own_target(),
        rules: Vec::new(),
        cases,
        query,
        query_by,
        within: verify.within,
        patience: verify.patience,
        vanishes: verify.vanishes,
        every: verify.every,
        times: verify.times,
        baseline,
    }
}

/// A look at a healing: what is being proven, and whom it may ask.
#[derive(Debug, Clone, Copy)]
pub struct Proving<'a> {
    /// How the healing is to be proven.
    pub proof: &'a Proof,
    /// How far that got; `None` before the first look.
    pub verification: Option<&'a Verification>,
    /// The policy, if it is still there.
    pub policy: Option<&'a Policy>,
    /// Whom the engine may ask.
    pub witnesses: &'a Witnesses,
}

impl Proving<'_> {
    fn case(&self, episode: EpisodeId) -> Option<&Case> {
        match self.verification {
            Some(verification) => verification.case(self.proof, episode),
            None => self.proof.cases.iter().find(|case| case.episode == episode),
        }
    }

    /// Lists what one look asks.
    pub fn questions<'a>(&self, patients: impl Iterator<Item = Patient<'a>>) -> Vec<Ask> {
        let mut asks = Vec::new();
        for patient in patients {
            let case = self.case(patient.episode);
            let seen = case.into_iter().flat_map(|case| &case.sightings);
            let seen = seen.map(|sighting| sighting.ask(&self.proof.target));
            let sought = self.seeks(case, patient.alert).then_some(self.policy).flatten();
            let sought = sought.into_iter().flat_map(|policy| {
                who_sees(patient.alert, policy, &self.proof.target, self.witnesses)
            });
            for ask in seen.chain(sought) {
                if !asks.contains(&ask) {
                    asks.push(ask);
                }
            }
        }
        if let Some(promql) = &self.proof.query {
            asks.push(Ask::Query { promql: promql.clone(), by: self.proof.query_by.clone() });
        }
        asks.extend(self.proof.baseline.iter().flat_map(Baseline::questions));
        asks
    }

    /// Tells whether it is still sought who sees an alert: it joined after the act began, or a
    /// Prometheus gave no answer before.
    fn seeks(&self, case: Option<&Case>, alert: &Alert) -> bool {
        let Some(case) = case else { return true };
        let joined = !self.proof.cases.iter().any(|known| known.episode == case.episode);
        case.rules().next().is_none()
            && (joined || case.is_awaited() || is_of_old(self.proof, case, alert))
    }

    /// Reads the evidence of one look.
    pub fn read<'a>(
        &self,
        act: &Act,
        patients: impl Iterator<Item = Patient<'a>>,
        evidence: &Evidence,
    ) -> Reading {
        let mut said = Vec::new();
        let mut texts = Vec::new();
        for patient in patients {
            let known = self.case(patient.episode);
            let sought = self.seeks(known, patient.alert);
            let mut case = known.cloned().unwrap_or_else(|| joined(patient.episode));
            let (sighted, awaits) = if sought {
                let found = Case::open(patient.episode, patient.alert, evidence);
                let new = |sighting: &Sighting| {
                    !case.sightings.iter().any(|s| s.witness() == sighting.witness())
                };
                let sighted: Vec<Sighting> =
                    found.sightings.iter().filter(|s| new(s)).cloned().collect();
                (sighted, found.is_awaited())
            } else {
                (Vec::new(), false)
            };
            for sighting in &sighted {
                case.sight(sighting.clone());
            }
            let testimonies: Vec<Testimony> = case
                .sightings
                .iter()
                .map(|sighting| self.hear(sighting, patient, act, evidence))
                .collect();
            words::of_case(&case, patient, &testimonies, evidence, &mut texts);
            said.push(Said { episode: patient.episode, testimonies, sighted, awaits });
        }
        let query_holds = self.read_query(evidence, &mut texts);
        let change = self.proof.baseline.as_ref().map(|before| before.compare(act.after, evidence));
        texts.extend(change.as_ref().map(words::of_change));
        let mut known = BTreeSet::new();
        texts.retain(|text| known.insert(text.clone()));
        let nobody = "nobody could be asked".to_owned();
        let text = if texts.is_empty() { nobody } else { texts.join("; ") };
        Reading { firing: firing(&said), query_holds, change, said, text }
    }

    /// What was first seen at this look is heard by what showed it. Whoever does not list what was
    /// mentioned since it was asked knows less.
    fn hear(
        &self,
        sighting: &Sighting,
        patient: Patient<'_>,
        act: &Act,
        evidence: &Evidence,
    ) -> Testimony {
        let heard = sighting.hear(&self.proof.target, evidence, act);
        let knows_less = patient.mentioned_at.is_some_and(|at| at >= evidence.gathered_at);
        if knows_less && sighting.rule().is_none() && heard == Testimony::Gone {
            return Testimony::Silent { why: NoWord::MentionedSince };
        }
        let unasked = heard == UNASKED;
        let shown = sighting.rule().filter(|_| unasked).and_then(|rule| {
            let word = evidence
                .words(patient.alert)
                .iter()
                .find(|word| word.prometheus == rule.prometheus);
            let mut all = word.map_or(&[][..], RuleWord::shown).iter();
            all.find(|says| says.rule == rule.rule && says.instance == rule.instance)
                .map(|says| rule.hear(says, act))
        });
        shown.unwrap_or(heard)
    }

    fn read_query(&self, evidence: &Evidence, texts: &mut Vec<String>) -> Option<bool> {
        self.proof.query.as_ref()?;
        let (holds, text) = match evidence.query() {
            Some(Ok(0)) => (false, "the query does not hold".to_owned()),
            Some(Ok(_)) => (true, "the query holds".to_owned()),
            Some(Err(trouble)) => (false, format!("the query could not be asked: {}", trouble.0)),
            None => (false, "the query was not asked".to_owned()),
        };
        texts.push(text);
        Some(holds)
    }
}

/// Whether the trouble goes on, as far as those say who saw it fire.
fn firing(said: &[Said]) -> Firing {
    let mut all = said.iter().flat_map(|said| &said.testimonies).peekable();
    let silent = all.peek().is_none();
    let (mut fires, mut gone) = (false, !silent);
    for testimony in all {
        fires |= *testimony == Testimony::Fires;
        gone &= *testimony == Testimony::Gone;
    }
    match (fires, gone) {
        (true, _) => Firing::Yes,
        (false, true) => Firing::No,
        (false, false) => Firing::Unknown,
    }
}
