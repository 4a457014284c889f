//! Text to matchers, with the two grammars of Alertmanager.
//!
//! Duty: read a list of matchers as Alertmanager reads it, also where its two grammars disagree,
//! and point at the place when neither can.
//!
//! ```text
//!             ┌─ utf8 ───▶ A or error          A  B
//!   input ──┤                                  ✓  ✗   A
//!             └─ classic ▶ B or error          ✗  ✓   B, with a warning
//!                                              ✓  ✓   A if A = B, else B with a warning
//!                                              ✗  ✗   the error that says more
//! ```
//!
//! Not its duty: drawing the error; it has a span for whoever does.
//!
//! Source: `matcher/compat/parse.go` of Alertmanager, its fallback mode, which is the default.

mod classic;
mod utf8;

use std::fmt;
use std::ops::Range;

use super::matcher::{Matcher, Matchers, Op};
use super::re2::RegexError;

pub(super) use classic::parse as classic;
pub(super) use utf8::parse as utf8;

/// Matchers as they were read, and whether the two grammars agreed on them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// The matchers that count.
    pub matchers: Matchers,
    /// What an operator should be told about the input, if anything.
    pub disagreement: Option<Disagreement>,
}

/// How the two grammars differed on an input that one of them accepted.
///
/// It prints as a sentence for a log or a warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disagreement {
    /// Only the classic grammar accepts the input; its reading counts.
    OnlyClassic {
        /// What the UTF-8 grammar said.
        utf8: ParseError,
        /// The input in a form that both grammars read alike.
        suggestion: String,
    },
    /// Both grammars accept the input with different meanings; the classic one counts.
    Different {
        /// The meaning that the UTF-8 grammar gives.
        utf8: Matchers,
    },
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OnlyClassic { utf8, suggestion } => {
                write!(f, "only the classic grammar reads these matchers ({utf8}): ")?;
                write!(f, "write {suggestion}")
            }
            Self::Different { utf8 } => write!(
                f,
                "the classic grammar counts: the UTF-8 grammar would read these matchers as {utf8}"
            ),
        }
    }
}

/// Why an input is not a list of matchers, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// The bytes of the input that are wrong; empty where something is missing.
    pub span: Range<usize>,
    /// What is wrong, in lower case.
    pub message: String,
    /// How it is probably put right.
    pub hint: Option<String>,
    kind: Kind,
}

/// Which part of the work failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Grammar,
    Regex,
}

impl ParseError {
    fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), hint: None, kind: Kind::Grammar }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The error of a regex that was written at `place`, the value without its quotes.
    fn regex(input: &str, place: Range<usize>, value: &str, error: RegexError) -> Self {
        // With escapes in it the value has other offsets than the input: point at all of it.
        let span = if input.get(place.clone()) == Some(value) {
            place.start + error.span.start..place.start + error.span.end
        } else {
            place
        };
        Self { span, message: error.message, hint: error.hint, kind: Kind::Regex }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ParseError {}

/// Reads by both grammars and lets the classic one decide where they disagree.
pub(super) fn with_fallback(input: &str) -> Result<Parsed, ParseError> {
    match (utf8(input), classic(input)) {
        (Ok(utf8), Ok(classic)) if utf8 != classic => {
            Ok(Parsed { matchers: classic, disagreement: Some(Disagreement::Different { utf8 }) })
        }
        (Ok(matchers), Ok(_) | Err(_)) => Ok(Parsed { matchers, disagreement: None }),
        (Err(utf8), Ok(matchers)) => {
            let suggestion = suggestion(&matchers);
            let disagreement = Some(Disagreement::OnlyClassic { utf8, suggestion });
            Ok(Parsed { matchers, disagreement })
        }
        // The UTF-8 grammar points more precisely. But where the classic one found all its parts
        // and only the regex is wrong, the regex is what the writer wants to hear about.
        (Err(utf8), Err(classic)) => match classic.kind {
            Kind::Regex => Err(classic),
            Kind::Grammar => Err(utf8),
        },
    }
}

/// Writes matchers of the classic grammar so that both grammars read them alike.
///
/// The canonical form will not do: of the escapes in a JSON string, the classic grammar knows but
/// three. Other control characters are written as they are, which both grammars accept.
fn suggestion(matchers: &Matchers) -> String {
    let written: Vec<String> = matchers
        .iter()
        .map(|matcher| {
            let value =
                matcher.value().replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            format!("{} {} \"{value}\"", matcher.name(), matcher.op())
        })
        .collect();
    format!("{{{}}}", written.join(", "))
}

/// Builds a matcher whose value was written at `place`, quotes excluded.
fn matcher(
    input: &str,
    name: &str,
    op: Op,
    value: &str,
    place: Range<usize>,
) -> Result<Matcher, ParseError> {
    Matcher::new(name, op, value).map_err(|error| ParseError::regex(input, place, value, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fails(input: &str) -> ParseError {
        with_fallback(input).expect_err(input)
    }

    #[test]
    fn errors_point_at_the_place() {
        for (input, marked, message) in [
            ("job", "", "expected an operator after the label name, found the end of the input"),
            ("job web", "web", "expected an operator after the label name, found `web`"),
            ("a=1,,b=2", ",", "expected a matcher or the end after a comma, found `,`"),
            (",a=1", ",", "expected a label name, found `,`"),
            ("job=\"web", "\"web", "expected a closing double quote"),
            ("é=1, job~x", "~", "`~` stands for itself only inside double quotes"),
            ("job!web", "!", "expected `=` or `~` after `!`"),
            ("\"a\\qb\"=1", "\\q", "unknown escape `\\q`"),
            ("a=1, é=~\"x(y\"", "(y", "group is not closed"),
            ("a=1, é=~\"x\\\\8\"", "x\\\\8", "unknown escape `\\8`"),
        ] {
            let error = fails(input);
            assert_eq!((&input[error.span.clone()], &*error.message), (marked, message), "{input}");
        }
        assert_eq!(fails("a=1,,b=2").span, 4..5);
        assert_eq!(fails("job").span, 3..3);
    }

    #[test]
    fn a_wrong_regex_is_reported_even_where_only_the_classic_grammar_reaches_it() {
        let error = fails("job=~a{2}(");
        assert_eq!((error.span, error.message.as_str()), (9..10, "group is not closed"));
    }

    #[test]
    fn errors_have_hints_for_habits_from_elsewhere() {
        for (input, hint) in [
            ("'job'='web'", "quote names and values with double quotes"),
            ("job like web", "the operators are = != =~ !~"),
            ("a.b='x'", "quote names and values with double quotes"),
            ("a.b==x", "one = is enough"),
            ("a.b=", "the empty value is written \"\""),
            ("{a.b=x", "write both braces or none"),
            ("job=~\"(?!web)\"", "RE2 cannot look ahead"),
            ("job=~\"(?<!web)x\"", "RE2 cannot look behind"),
            ("job=~\"a++\"", "group the inner repetition; RE2 has no possessive ones"),
        ] {
            assert_eq!(fails(input).hint.as_deref(), Some(hint), "{input}");
        }
    }

    #[test]
    fn disagreements_are_told_with_a_way_out() {
        let parsed = with_fallback("foo=bar baz").unwrap();
        assert_eq!(
            parsed.disagreement.unwrap().to_string(),
            "only the classic grammar reads these matchers (expected a comma or the end after a \
             matcher, found `baz`): write {foo = \"bar baz\"}"
        );
        let parsed = with_fallback("foo=\"a\\tb\"").unwrap();
        assert_eq!(parsed.matchers.to_string(), "{foo = \"a\\\\tb\"}");
        assert_eq!(
            parsed.disagreement.unwrap().to_string(),
            "the classic grammar counts: the UTF-8 grammar would read these matchers as \
             {foo = \"a\\tb\"}"
        );
    }

    proptest! {
        #[test]
        fn no_input_breaks_a_grammar(
            input in "([{}=!~,\"\\\\ \n'a-cé(\\[*]|foo|=~|\\\\x41){0,12}",
        ) {
            for result in [utf8(&input), classic(&input)] {
                if let Err(error) = result {
                    prop_assert!(input.get(error.span).is_some());
                }
            }
        }

        #[test]
        fn a_suggestion_is_read_alike_by_both_grammars(
            input in "[a-c]=[a-c ()\"{}\\\\\t\n]{0,6}",
        ) {
            let read = with_fallback(&input);
            if let Ok(Parsed { matchers, disagreement: Some(found) }) = read
                && let Disagreement::OnlyClassic { suggestion, .. } = found
            {
                let agreed = Parsed { matchers, disagreement: None };
                prop_assert_eq!(with_fallback(&suggestion), Ok(agreed));
            }
        }
    }
}
