//! Words that core has a closed list of: guards, outcomes, grades.
//!
//! The list is the type's own, as it is written in facts, so that none can be forgotten here.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{self, Deserialize, IntoDeserializer};

use crate::nearest::nearest;
use crate::read::{Reader, Spanned};
use crate::report::Problem;
use crate::yaml::Node;

/// The words that there are, where one is not among them.
#[derive(Debug)]
struct Unknown(&'static [&'static str]);

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

impl std::error::Error for Unknown {}

impl de::Error for Unknown {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self(&[])
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self(expected)
    }
}

/// Reads one of a closed list of words; `kind` is what they are, for a person.
pub(super) fn word<T: for<'de> Deserialize<'de>>(
    reader: &mut Reader<'_>,
    node: &Node,
    kind: &str,
) -> Option<Spanned<T>> {
    let text = reader.text(node)?;
    let word: StrDeserializer<'_, Unknown> = text.value.as_str().into_deserializer();
    match T::deserialize(word) {
        Ok(value) => Some(Spanned { value, span: text.span }),
        Err(Unknown(words)) => {
            reader.problems.report(no_such(&text.value, text.span, kind, words));
            None
        }
    }
}

/// Says that a word is not among those that there are.
pub(super) fn no_such(
    word: &str,
    span: std::ops::Range<usize>,
    kind: &str,
    words: &[&str],
) -> Problem {
    let problem = Problem::error(span, format!("there is no {kind} {word:?}"));
    problem.help(match nearest(word, words.iter().copied()) {
        Some(meant) => format!("did you mean {meant:?}?"),
        None if words.is_empty() => format!("the configuration has no {kind}"),
        None => format!("there are: {}", words.join(", ")),
    })
}
