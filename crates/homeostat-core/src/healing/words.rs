//! What a look found, for a person.

use super::Patient;
use crate::evidence::{Evidence, Trouble};
use crate::regression::Change;
use crate::witness::{Case, NoWord, Sighting, Testimony, Witness};

/// Tells what was said about one alert.
pub(super) fn of_case(
    case: &Case,
    patient: Patient<'_>,
    testimonies: &[Testimony],
    evidence: &Evidence,
    texts: &mut Vec<String>,
) {
    let several = case.rules().count() > 1;
    for (sighting, testimony) in case.sightings.iter().zip(testimonies) {
        texts.push(of_testimony(sighting, testimony, several));
    }
    let name = patient.alert.name();
    if case.rules().next().is_none() {
        let unseen = format!("no Prometheus has shown who fires {name}, and");
        let unheard = evidence.words(patient.alert).iter().find_map(|word| match &word.knows {
            Err(Trouble(why)) => Some((&word.prometheus, NoWord::NoAnswer { why: why.clone() })),
            Ok(_) => None,
        });
        match (unheard, case.awaited.first()) {
            (Some((prometheus, why)), _) => texts.push(format!("{unseen} {prometheus} {why}")),
            (None, Some(prometheus)) => {
                texts.push(format!("{unseen} {prometheus} gave no answer before the act"));
            }
            (None, None) if patient.resolved => {}
            (None, None) => texts.extend(case.shortfall(name)),
        }
    }
    if patient.resolved && case.sightings.is_empty() {
        texts.push(format!("the source of {name} says that it resolved"));
    }
}

fn of_testimony(sighting: &Sighting, testimony: &Testimony, several: bool) -> String {
    let who = match sighting.witness() {
        Witness::Rule(rule) if several => {
            format!("rule {} on Prometheus {}", rule.rule.name, rule.prometheus)
        }
        Witness::Rule(rule) => format!("rule {}", rule.rule.name),
        Witness::Listing { alertmanager, .. } => format!("Alertmanager {alertmanager}"),
    };
    match (sighting.witness(), testimony) {
        (Witness::Rule(rule), Testimony::Silent { why: why @ NoWord::NoAnswer { .. } }) => {
            format!("Prometheus {} {why}", rule.prometheus)
        }
        (Witness::Rule(rule), Testimony::Silent { why: why @ NoWord::RuleGone }) => {
            format!("Prometheus {} {why}: {}", rule.prometheus, rule.rule.name)
        }
        (_, Testimony::Silent { why }) => format!("{who} {why}"),
        (Witness::Rule(_), Testimony::Fires) => format!("{who} fires"),
        (Witness::Rule(_), Testimony::Remembers { until }) => {
            format!("{who} fires, and until {until:.0} that may be about what is over")
        }
        (Witness::Rule(_), Testimony::Gone) => format!("{who} is inactive"),
        (Witness::Listing { .. }, Testimony::Fires | Testimony::Remembers { .. }) => {
            format!("{who} was told after the action that it fires")
        }
        (Witness::Listing { .. }, Testimony::Gone) => format!("{who} does not list it any more"),
    }
}

pub(super) fn of_change(change: &Change) -> String {
    match change {
        Change::Same => "nothing else became worse".to_owned(),
        Change::Worse { text } => format!("something else became worse: {text}"),
        Change::Unknown { text } => {
            format!("whether something else became worse is not known: {text}")
        }
    }
}
