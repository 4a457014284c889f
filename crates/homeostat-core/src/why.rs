//! What there was to choose from and what was known when a choice was made, in words.
//!
//! It is written down with each order, hold, shadow note and question for approval, beside what the
//! guards said, for whoever asks later. Nothing is ever decided by it, so the state keeps none of
//! it. All of it is bounded by `limits`.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::evidence::{Ask, Evidence, Finding};
use crate::limits;
use crate::name::{IncidentId, RemedyName};
use crate::policy::{Mode, Policy, Remedy};
use crate::time::{Span, Timestamp};

/// Why a choice was made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// The ladder as it stood.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<Candidate>,
    /// What was asked, and what was answered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Answer>,
    /// How many further answers there were.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_evidence: usize,
}

impl Why {
    /// Adds what was known when it was decided.
    #[must_use]
    pub fn on(self, evidence: &Evidence, now: Timestamp) -> Self {
        let age = now.since(evidence.gathered_at);
        let age = Span::from_millis(age.as_millis());
        let tell = |(ask, finding): &(Ask, Finding)| {
            let answer = cut(finding.told(evidence.gathered_at).to_string());
            Answer { asked: cut(ask.to_string()), answer, age }
        };
        let told: Vec<Answer> =
            evidence.found.iter().take(limits::TOLD_ANSWERS).map(tell).collect();
        Self { more_evidence: evidence.found.len() - told.len(), evidence: told, ..self }
    }

    /// Boxes it for a fact, where there is anything to tell.
    pub fn boxed(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// A remedy that could be chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its name.
    pub remedy: RemedyName,
    /// How it stood.
    #[serde(flatten)]
    pub rank: Rank,
}

/// How a remedy stood when one was chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "rank")]
pub enum Rank {
    /// It is the one.
    Chosen,
    /// It was tried for this incident.
    Tried {
        /// What came of it.
        how: String,
    },
    /// It is in shadow: it is recorded, and not run.
    Shadowed,
    /// The incident of which this is a relapse had done with it.
    Relapsed {
        /// That incident.
        of: IncidentId,
    },
    /// Another configuration was in force when its turn was.
    PassedOver,
    /// Its turn comes after the one that is chosen.
    Ahead,
}

/// One question with its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Who was asked, and what.
    pub asked: String,
    /// What was answered.
    pub answer: String,
    /// How old the answer was when it was decided upon.
    pub age: Span,
}

/// Lists the rungs of a ladder around the one that is chosen. `tried` says what came of those that
/// were tried, each as `remedy: what came of it`.
pub fn candidates(
    policy: &Policy,
    chosen: &RemedyName,
    tried: &[String],
    relapse_of: Option<IncidentId>,
) -> Vec<Candidate> {
    let place = policy.remedies.iter().position(|remedy| remedy.name == *chosen);
    let place = place.unwrap_or_default();
    // Those next to the chosen one, where not all are told: most of them below it.
    let first = (place + 2).saturating_sub(limits::TOLD_CANDIDATES);
    let rungs = policy.remedies.iter().enumerate().skip(first).take(limits::TOLD_CANDIDATES);
    let candidate = |(position, remedy): (usize, &Remedy)| {
        let rank = match position.cmp(&place) {
            Ordering::Equal => Rank::Chosen,
            Ordering::Greater => Rank::Ahead,
            Ordering::Less => match (outcome(tried, &remedy.name), relapse_of) {
                (Some(how), _) => Rank::Tried { how: cut(how.to_owned()) },
                (None, _) if remedy.mode == Mode::Shadow => Rank::Shadowed,
                (None, Some(of)) => Rank::Relapsed { of },
                (None, None) => Rank::PassedOver,
            },
        };
        Candidate { remedy: remedy.name.clone(), rank }
    };
    rungs.map(candidate).collect()
}

/// What came of the last try of a remedy.
fn outcome<'a>(tried: &'a [String], remedy: &RemedyName) -> Option<&'a str> {
    tried.iter().rev().find_map(|tried| tried.strip_prefix(remedy.as_str())?.strip_prefix(": "))
}

/// Cuts a text to what one line holds.
fn cut(mut text: String) -> String {
    if text.len() > limits::TOLD_BYTES {
        text.truncate(text.floor_char_boundary(limits::TOLD_BYTES));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::policy::{Action, Approval};

    fn policy(rungs: usize) -> Policy {
        let base = Policy::observe();
        let rung = |number: usize| Remedy {
            name: RemedyName::new(format!("r{number}")),
            mode: Mode::Auto,
            approval: Approval { expires: Span::ZERO, ..Approval::default() },
            definition: "".into(),
            action: Action::Script("true".into()),
            timeout: Span::ZERO,
            retries: 0,
            backoff: Span::ZERO,
            idempotent: false,
            undo: None,
            collect: Vec::new(),
        };
        Policy { remedies: (1..=rungs).map(rung).collect(), ..base }
    }

    fn ranks(policy: &Policy, chosen: &str, tried: &[&str], of: Option<u64>) -> Vec<Rank> {
        let tried: Vec<String> = tried.iter().map(|&text| text.to_owned()).collect();
        let told = candidates(policy, &RemedyName::new(chosen), &tried, of.map(IncidentId));
        told.into_iter().map(|candidate| candidate.rank).collect()
    }

    #[test]
    fn each_rung_says_how_it_stood() {
        let mut ladder = policy(4);
        ladder.remedies[1].mode = Mode::Shadow;
        let tried = |how: &str| Rank::Tried { how: how.to_owned() };
        assert_eq!(
            ranks(&ladder, "r3", &["r1: exited with code 1", "r10: is another"], None),
            [tried("exited with code 1"), Rank::Shadowed, Rank::Chosen, Rank::Ahead]
        );
        assert_eq!(
            ranks(&ladder, "r3", &[], Some(7)),
            [Rank::Relapsed { of: IncidentId(7) }, Rank::Shadowed, Rank::Chosen, Rank::Ahead]
        );
        assert_eq!(
            ranks(&ladder, "r2", &[], None),
            [Rank::PassedOver, Rank::Chosen, Rank::Ahead, Rank::Ahead]
        );
    }

    #[test]
    fn of_a_long_ladder_the_rungs_around_the_chosen_one_are_told() {
        let told = candidates(&policy(100), &RemedyName::new("r50"), &[], None);
        assert_eq!(told.len(), limits::TOLD_CANDIDATES);
        let names: Vec<&str> = told.iter().map(|candidate| candidate.remedy.as_str()).collect();
        assert_eq!((names.first(), names.last()), (Some(&"r36"), Some(&"r51")));
    }

    #[test]
    fn what_is_told_is_bounded() {
        let long: Arc<str> = "ä".repeat(1000).into();
        let ask = Ask::Inventory { promql: long, by: None };
        let found = vec![(ask, Finding::Inventory(Ok(3))); limits::TOLD_ANSWERS + 5];
        let gathered_at = Timestamp::from_seconds(1000);
        let evidence = Evidence { found, gathered_at };
        let why = Why::default().on(&evidence, gathered_at + Span::from_micros(2_000_700));
        assert_eq!((why.evidence.len(), why.more_evidence), (limits::TOLD_ANSWERS, 5));
        let answer = &why.evidence[0];
        assert!(answer.asked.len() <= limits::TOLD_BYTES + '…'.len_utf8());
        assert!(answer.asked.ends_with("ä…"), "{}", answer.asked);
        assert_eq!((&*answer.answer, answer.age), ("counts 3", Span::from_secs(2)));
    }

    #[test]
    fn where_there_is_nothing_to_tell_nothing_is_written() {
        let nobody = Why::default()
            .on(&Evidence::none(Timestamp::from_seconds(1)), Timestamp::from_seconds(1));
        assert_eq!(nobody.boxed(), None);
    }
}
