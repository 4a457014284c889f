//! How long a rule goes on seeing what was.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time::Span;

/// How far back a rule looks. Within that time after a cure it may go on firing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Memory {
    /// So far; zero where it looks at nothing but the newest samples.
    Lasts(Span),
    /// Nobody can say.
    Unknown {
        /// Why, for a person.
        why: String,
    },
}

impl Memory {
    /// The memory of what looks at nothing but the newest samples.
    pub const NONE: Self = Self::Lasts(Span::ZERO);

    /// Makes a memory of which nothing is known.
    pub fn unknown(why: impl Into<String>) -> Self {
        Self::Unknown { why: why.into() }
    }

    /// Returns the memory of what looks so much further back.
    #[must_use]
    pub fn plus(self, more: Span) -> Self {
        match self {
            Self::Lasts(span) => Self::Lasts(span.saturating_add(more)),
            Self::Unknown { .. } => self,
        }
    }

    /// Returns the longer of two memories; one that is unknown may be longer than any other.
    #[must_use]
    pub fn or_longer(self, other: Self) -> Self {
        match (&self, &other) {
            (Self::Unknown { .. }, _) => self,
            (_, Self::Unknown { .. }) => other,
            (Self::Lasts(one), Self::Lasts(two)) => Self::Lasts(*one.max(two)),
        }
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lasts(span) if span.is_zero() => f.write_str("does not look back"),
            Self::Lasts(span) => write!(f, "looks back {span}"),
            Self::Unknown { why } => write!(f, "looks back nobody knows how far: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Memory = Memory::Lasts(Span::from_secs(60));
    const LONG: Memory = Memory::Lasts(Span::from_secs(600));

    #[test]
    fn the_longer_memory_counts_and_an_unknown_one_is_longest() {
        let unknown = Memory::unknown("a");
        for (one, two, expected) in [
            (SHORT, LONG, LONG),
            (LONG, SHORT, LONG),
            (unknown.clone(), LONG, unknown.clone()),
            (LONG, unknown.clone(), unknown.clone()),
            (unknown.clone(), Memory::unknown("b"), unknown.clone()),
        ] {
            assert_eq!(one.or_longer(two), expected);
        }
        assert_eq!(SHORT.plus(Span::from_secs(540)), LONG);
        assert_eq!(unknown.clone().plus(Span::from_secs(1)), unknown);
    }

    #[test]
    fn a_memory_says_itself_in_words_and_reads_back() {
        for (memory, words) in [
            (LONG, "looks back 10m"),
            (Memory::NONE, "does not look back"),
            (Memory::unknown("it has an @"), "looks back nobody knows how far: it has an @"),
        ] {
            assert_eq!(memory.to_string(), words);
            let json = serde_json::to_string(&memory).unwrap();
            assert_eq!(serde_json::from_str::<Memory>(&json).unwrap(), memory, "{json}");
        }
    }
}
