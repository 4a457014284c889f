//! Regexes that mean what they mean in Alertmanager.
//!
//! Duty: accept exactly the regexes that RE2 accepts, in the dialect of Go, and match whole values
//! with them. Rust's `regex` reads a similar but different language, so nothing is handed to it as
//! it was written: a value is parsed here by Go's rules into a tree without ambiguity, and only
//! that tree reaches the engine.
//!
//! ```text
//!   web|db ────────────────────────────────▶ Texts: compared, no engine
//!   we[b-d].* ── parse by Go's rules ── Hir ──▶ Engine: Rust's regex
//! ```
//!
//! Some of what differs: `\d \w \s \b` are ASCII; `&&`, `--`, `~~` and `[` have no meaning inside
//! a class; `x{,3}` is literal; `a**` is an error; repetition stops at 1000; `\Q…\E` quotes; after
//! `(?i)` even `\w` folds, to `ſ` and the Kelvin sign.
//!
//! Alertmanager writes `^(?:` and `)$` around a value before it parses it, so that `a)|(?:b` is a
//! regex there and `\Qa` is none; the same is done here. Names of Unicode classes follow Go 1.25,
//! which ignores case, spaces, `_` and `-` in them.
//!
//! Not its duty: what is done with groups. Matchers ask only whether a value matches, so there groups
//! are read and forgotten ([`Pattern`]); relabelling asks what they match ([`Groups`]).
//!
//! Source: `regexp/syntax/parse.go` of Go; RE2's syntax page; `NewMatcher` in
//! `pkg/labels/matcher.go` of Alertmanager.

mod class;
mod cursor;
mod groups;
mod parse;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};
use regex_syntax::hir::Hir;

pub(crate) use groups::{Found, Groups};

const PREFIX: &str = "^(?:";
const SUFFIX: &str = ")$";

/// How large a compiled regex may be, in bytes; RE2 has a bound of the same kind.
const COMPILED_LIMIT: usize = 10 << 20;

/// Why a text is not a regex that RE2 accepts, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegexError {
    /// The bytes of the regex that are wrong; empty where something is missing.
    pub span: Range<usize>,
    /// What is wrong, in lower case.
    pub message: String,
    /// How it is probably put right.
    pub hint: Option<String>,
}

impl RegexError {
    fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), hint: None }
    }

    fn hint(mut self, hint: &str) -> Self {
        self.hint = Some(hint.to_owned());
        self
    }
}

impl fmt::Display for RegexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for RegexError {}

/// A regex, ready to match whole values.
#[derive(Debug, Clone)]
pub(super) enum Pattern {
    /// The values that match, sorted.
    Texts(Arc<[String]>),
    /// Everything else.
    Engine(Regex),
}

impl Pattern {
    pub(super) fn compile(value: &str) -> Result<Self, RegexError> {
        if let Some(mut texts) = plain_alternatives(value) {
            texts.sort_unstable();
            return Ok(Self::Texts(texts.into()));
        }
        let whole = format!("{PREFIX}{value}{SUFFIX}");
        let tree = parse::parse(&whole).map_err(|error| unwrapped(value, error))?;
        engine(value, &tree).map(Self::Engine)
    }

    pub(super) fn matches(&self, value: &str) -> bool {
        match self {
            Self::Texts(texts) => texts.binary_search_by(|text| text.as_str().cmp(value)).is_ok(),
            Self::Engine(regex) => regex.is_match(value),
        }
    }
}

fn engine(value: &str, tree: &Hir) -> Result<Regex, RegexError> {
    RegexBuilder::new(&tree.to_string())
        .size_limit(COMPILED_LIMIT)
        .build()
        .map_err(|error| refused_by_engine(value, &error))
}

/// The texts of a regex that only lists texts, as most in real configurations do.
fn plain_alternatives(value: &str) -> Option<Vec<String>> {
    let mut texts = vec![String::new()];
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        let literal = match c {
            '|' => {
                texts.push(String::new());
                continue;
            }
            '\\' => chars.next().filter(|c| c.is_ascii() && !c.is_ascii_alphanumeric())?,
            '.' | '+' | '*' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '^' | '$' => return None,
            other => other,
        };
        texts.last_mut()?.push(literal);
    }
    Some(texts)
}

/// The error of a regex as it was written, of which only the wrapped form was parsed.
fn unwrapped(value: &str, error: RegexError) -> RegexError {
    match parse::parse(value) {
        Err(plain) => plain,
        // Alone it is a regex: then it is a quote without end that has swallowed the suffix.
        Ok(_) if value.contains("\\Q") => {
            RegexError::new(value.len()..value.len(), "quoted text is not closed")
                .hint("end it with \\E")
        }
        Ok(_) => RegexError { span: 0..value.len(), ..error },
    }
}

fn refused_by_engine(value: &str, error: &regex::Error) -> RegexError {
    let message = match error {
        regex::Error::CompiledTooBig(limit) => {
            format!("the regex is too large: compiled it takes more than {} MiB", limit >> 20)
        }
        other => format!("the regex cannot be compiled: {other}"),
    };
    RegexError::new(0..value.len(), message).hint("use smaller repetition counts or classes")
}
