//! Whose word counts for a run, and whether enough people have given it.
//!
//! | a word counts | where |
//! |---|---|
//! | of whoever may approve, as it is granted now | always |
//! | of those whom `by` names | the remedy or its policy has a `by` |
//! | of whoever has a name, and once for each | it has a `count` |
//! | of whoever neither posted an alert of the incident nor had it tried again | it has a `count` |
//!
//! Who has no name cannot be told apart from who has agreed already, or from who set it going: where
//! people are counted, they are none. What is granted and what `by` says is looked at when the word is
//! given and once more when it is used, by the groups that somebody was of when they gave it.

use std::collections::BTreeSet;
use std::fmt;

use crate::operator::Operator;
use crate::policy::{Approvers, Policy, Remedy, Target};

/// Who must agree to a run of a remedy.
#[derive(Debug, Clone)]
pub struct Quorum<'a> {
    policy: &'a Policy,
    remedy: &'a Remedy,
    target: &'a Target,
    movers: Movers<'a>,
}

/// Who set an incident going, as far as that is known.
#[derive(Debug, Clone, Default)]
pub struct Movers<'a> {
    /// Who posted its alerts.
    pub posted: BTreeSet<&'a str>,
    /// Who had it tried again.
    pub retried: Option<&'a str>,
}

/// Why somebody's word does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Objection {
    /// Only these may approve.
    NotGranted(Vec<String>),
    /// Of those who may, only these do.
    NotAmong(Vec<String>),
    /// People are counted, and nobody knows who this is.
    Nameless,
    /// They posted an alert of the incident.
    Posted,
    /// They had the incident tried again.
    Retried,
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotGranted(who) => write!(f, "approve is granted to {}", names(who)),
            Self::NotAmong(who) => write!(f, "approve is narrowed to {}", names(who)),
            Self::Nameless => f.write_str("people are counted here, and nobody knows who this is"),
            Self::Posted => f.write_str("they posted an alert of it: somebody else must approve"),
            Self::Retried => f.write_str("they had it tried again: somebody else must approve"),
        }
    }
}

fn names(who: &[String]) -> String {
    if who.is_empty() { "nobody".to_owned() } else { who.join(", ") }
}

impl<'a> Quorum<'a> {
    /// Who must agree to any run of a remedy on a target.
    pub fn of(policy: &'a Policy, remedy: &'a Remedy, target: &'a Target) -> Self {
        Self { policy, remedy, target, movers: Movers::default() }
    }

    /// Who must agree in an incident that these set going.
    #[must_use]
    pub fn beside(self, movers: Movers<'a>) -> Self {
        Self { movers, ..self }
    }

    /// Tells whether people are counted, each by their name.
    pub fn counts_people(&self) -> bool {
        self.remedy.approval.count.is_some()
    }

    /// Returns how many must agree.
    pub fn need(&self) -> usize {
        self.remedy.approval.count.map_or(1, |count| count as usize)
    }

    /// Returns those of these whose word counts, each once.
    pub fn counted<'o, T: AsRef<Operator>>(
        &self,
        said: impl IntoIterator<Item = &'o T>,
    ) -> Vec<&'o T> {
        let mut counted: Vec<&T> = Vec::new();
        for one in said {
            let by = one.as_ref();
            let is_known = counted.iter().any(|known| (*known).as_ref().person() == by.person());
            if !is_known && self.objection(by).is_none() {
                counted.push(one);
            }
        }
        counted
    }

    /// Tells whether these are enough.
    pub fn is_met<'o>(&self, said: impl IntoIterator<Item = &'o Operator>) -> bool {
        self.counted(said).len() >= self.need()
    }

    /// Returns why somebody's word does not count, if it does not.
    pub fn objection(&self, by: &Operator) -> Option<Objection> {
        self.not_granted(by).or_else(|| self.not_among(by)).or_else(|| self.not_counted(by))
    }

    /// Of whom nothing was known when they came, a door let in by what was granted then.
    fn not_granted(&self, by: &Operator) -> Option<Objection> {
        let (Approvers::Granted(all), Some(known)) = (&self.policy.approvers, &by.known) else {
            return None;
        };
        let here = || all.iter().filter(|granted| granted.targets.matches(self.target));
        if here().any(|granted| known.is_meant(granted.who.iter().map(|who| &**who))) {
            return None;
        }
        let mut who: Vec<String> = Vec::new();
        for name in here().flat_map(|granted| granted.who.iter()) {
            if !who.iter().any(|known| *known == **name) {
                who.push(name.to_string());
            }
        }
        Some(Objection::NotGranted(who))
    }

    fn not_among(&self, by: &Operator) -> Option<Objection> {
        let among = self.remedy.approval.by.as_deref()?;
        let known = by.known.as_ref();
        let is_among = known.is_some_and(|known| known.is_meant(among.iter().map(|who| &**who)));
        (!is_among).then(|| Objection::NotAmong(among.iter().map(ToString::to_string).collect()))
    }

    fn not_counted(&self, by: &Operator) -> Option<Objection> {
        if !self.counts_people() {
            return None;
        }
        match by.identity() {
            None => Some(Objection::Nameless),
            Some(who) if self.movers.posted.contains(who) => Some(Objection::Posted),
            Some(who) if self.movers.retried == Some(who) => Some(Objection::Retried),
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::Matchers;
    use crate::name::RemedyName;
    use crate::operator::{ANONYMOUS, Known, Way};
    use crate::policy::{Action, Approval, Granted, Mode};
    use crate::time::Span;

    fn person(who: &str, groups: &[&str]) -> Operator {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        let known = Known { who: who.into(), way: Way::Password, groups, address: String::new() };
        Operator { claimed: String::new(), known: Some(known) }
    }

    fn remedy(by: &[&str], count: Option<u32>) -> Remedy {
        let by = (!by.is_empty()).then(|| by.iter().map(|who| (*who).into()).collect());
        Remedy {
            name: RemedyName::new("reboot"),
            mode: Mode::Approve,
            approval: Approval { by, count, expires: Span::from_secs(1) },
            definition: "".into(),
            action: Action::Script("reboot".into()),
            timeout: Span::from_secs(1),
            retries: 0,
            backoff: Span::ZERO,
            idempotent: false,
            undo: None,
            collect: Vec::new(),
        }
    }

    fn granted(all: &[(&[&str], &str)]) -> Policy {
        let granted = all.iter().map(|(who, targets)| Granted {
            who: who.iter().map(|who| (*who).into()).collect(),
            targets: Matchers::parse(targets).unwrap().matchers,
        });
        Policy { approvers: Approvers::Granted(granted.collect()), ..Policy::observe() }
    }

    #[test]
    fn a_word_counts_of_whom_it_is_granted_to_and_asked_of() {
        let target = Target::from_pairs([("env", "prod")]);
        let policy = granted(&[
            (&["group:dba", "user:eve"], ""),
            (&["user:ann"], "env=\"prod\""),
            (&["user:bob"], "env=\"test\""),
            (&["group:everyone"], "env=\"dev\""),
            (&[ANONYMOUS], ""),
        ]);
        let among = || Some(Objection::NotAmong(vec!["group:dba".into(), "user:ann".into()]));
        let not_granted = || {
            let who = ["group:dba", "user:eve", "user:ann", ANONYMOUS];
            Some(Objection::NotGranted(who.map(str::to_owned).to_vec()))
        };
        for (who, groups, whoever, asked) in [
            ("user:ann", &[][..], None, None),
            ("user:bob", &[], not_granted(), not_granted()),
            ("user:bob", &["group:dba"], None, None),
            ("user:eve", &["group:sre"], None, among()),
            ("cert:eve", &[], not_granted(), not_granted()),
            (ANONYMOUS, &[], None, among()),
        ] {
            let person = person(who, groups);
            for (remedy, expected) in
                [(remedy(&[], None), whoever), (remedy(&["group:dba", "user:ann"], None), asked)]
            {
                let quorum = Quorum::of(&policy, &remedy, &target);
                assert_eq!(quorum.objection(&person), expected, "{who} {groups:?}");
            }
        }
    }

    #[test]
    fn each_person_counts_once() {
        let (policy, target) = (Policy::observe(), Target::default());
        let ann = || person("user:ann", &[]);
        let in_other_words = Operator { claimed: "the pope".into(), ..ann() };
        let by_token = person("token:ann", &[]);
        for (count, said, counted) in [
            (Some(2), vec![ann()], 1),
            (Some(2), vec![ann(), ann(), in_other_words], 1),
            (Some(2), vec![ann(), by_token], 2),
            (Some(2), vec![person(ANONYMOUS, &[]), "bob".into(), ann()], 1),
            (None, vec![person(ANONYMOUS, &[])], 1),
        ] {
            let remedy = remedy(&[], count);
            let quorum = Quorum::of(&policy, &remedy, &target);
            assert_eq!(quorum.counted(&said).len(), counted, "{said:?}");
            assert_eq!(quorum.is_met(&said), counted >= count.unwrap_or(1) as usize, "{said:?}");
        }
    }
}
