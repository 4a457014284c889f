//! What remedies in shadow would have been worth: did the trouble end without them?
//!
//! A remedy that is recorded instead of run gets the time that its healing would have had: its
//! `timeout`, and then `verify.within`. If all alerts of its incident resolve within that time, it
//! would have been **needless**. If one still fires at its end, it would have been **needed**. An
//! end counts when we hear of it, as it would in a verification.
//!
//! Nothing is judged where nobody can tell: an alert lapsed, another remedy ran, an operator
//! stepped in, or the engine was away when the time was over. Two alerts of one target end when the
//! last of them does.
//!
//! Not the duty of this room: whether the remedy would have healed, and who ended the trouble, itself or
//! somebody. Nobody knows that.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits;
use crate::name::{PolicyName, RemedyName};
use crate::time::Timestamp;

/// A remedy that was recorded instead of run, until it is judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shadow {
    /// The remedy.
    pub remedy: RemedyName,
    /// When it would have run.
    pub since: Timestamp,
    /// Until when its healing would have had time.
    pub until: Timestamp,
}

impl Shadow {
    /// Judges an incident whose alerts have all resolved at this moment.
    pub fn worth(&self, resolved_at: Timestamp) -> Worth {
        if resolved_at <= self.until { Worth::Needless } else { Worth::Needed }
    }
}

/// What a remedy in shadow would have been worth for one incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Worth {
    /// The trouble ended without it, in the time that the healing would have had.
    Needless,
    /// It was still there when that time was over.
    Needed,
}

impl Worth {
    /// Returns its name, as in the API and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Needless => "needless",
            Self::Needed => "needed",
        }
    }
}

impl fmt::Display for Worth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How often a remedy in shadow would have been needless, and needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Score {
    /// For how many incidents it would have been needless.
    pub needless: u64,
    /// For how many it would have been needed.
    pub needed: u64,
    /// When it was first judged.
    pub since: Timestamp,
    /// When it was last judged.
    pub last: Timestamp,
}

impl Score {
    /// Returns for how many incidents it was judged.
    pub fn judged(&self) -> u64 {
        self.needless.saturating_add(self.needed)
    }
}

/// The scores of all remedies that were judged, bounded in number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scores(BTreeMap<(PolicyName, RemedyName), Score>);

impl Scores {
    /// Returns the score of a policy's remedy.
    pub fn of(&self, policy: &PolicyName, remedy: &RemedyName) -> Option<Score> {
        self.0.get(&(policy.clone(), remedy.clone())).copied()
    }

    /// Returns all scores, by policy and remedy.
    pub fn iter(&self) -> impl Iterator<Item = (&PolicyName, &RemedyName, Score)> {
        self.0.iter().map(|((policy, remedy), score)| (policy, remedy, *score))
    }

    /// Counts what a remedy would have been worth. Of too many, the one that was judged longest ago
    /// is forgotten.
    pub(crate) fn judged(
        &mut self,
        policy: &PolicyName,
        remedy: &RemedyName,
        worth: Worth,
        at: Timestamp,
    ) {
        let new = Score { needless: 0, needed: 0, since: at, last: at };
        let score = self.0.entry((policy.clone(), remedy.clone())).or_insert(new);
        score.last = at;
        match worth {
            Worth::Needless => score.needless += 1,
            Worth::Needed => score.needed += 1,
        }
        while self.0.len() > limits::SHADOW_SCORES {
            let oldest = self.0.iter().min_by_key(|(key, score)| (score.last, *key));
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else { return };
            self.0.remove(&oldest);
        }
    }

    /// Enters a line of a snapshot.
    pub(crate) fn enter(&mut self, policy: PolicyName, remedy: RemedyName, score: Score) {
        self.0.insert((policy, remedy), score);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn what_resolves_in_the_time_of_a_healing_needed_none() {
        let shadow = Shadow { remedy: RemedyName::new("restart"), since: at(0), until: at(60) };
        for (resolved_at, worth) in
            [(0, Worth::Needless), (60, Worth::Needless), (61, Worth::Needed)]
        {
            assert_eq!(shadow.worth(at(resolved_at)), worth, "{resolved_at}");
        }
    }

    #[test]
    fn of_too_many_scores_the_one_judged_longest_ago_goes() {
        let mut scores = Scores::default();
        let (web, first) = (PolicyName::new("web"), RemedyName::new("first"));
        let second = RemedyName::new("second");
        scores.judged(&web, &second, Worth::Needed, at(0));
        scores.judged(&web, &first, Worth::Needed, at(1));
        scores.judged(&web, &second, Worth::Needless, at(2));
        for n in 0..limits::SHADOW_SCORES - 1 {
            let policy = PolicyName::new(format!("p{n}"));
            scores.judged(&policy, &first, Worth::Needed, at(3));
        }
        assert_eq!(scores.iter().count(), limits::SHADOW_SCORES);
        assert_eq!(scores.of(&web, &first), None);
        let kept = Score { needless: 1, needed: 1, since: at(0), last: at(2) };
        assert_eq!(scores.of(&web, &second), Some(kept));
        assert_eq!(kept.judged(), 2);
    }
}
