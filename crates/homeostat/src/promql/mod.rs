//! What an expression of an alerting rule reads, and how far back.
//!
//! Duty: from the text of an expression, how far back it looks ([`Memory`]), and which series it reads
//! ([`Selector`]), recording rules followed to what they read. *Not* its duty: asking a Prometheus, and
//! what follows from either. What cannot be read is said so, and never guessed.
//!
//! # Memory
//!
//! The largest sum of ranges, ranges of subqueries and offsets on any way from the expression to a
//! selector. A series that a recording rule writes is as old as what that rule looks at, and two of
//! its evaluations more. An `@`, an offset into the future, a series whose name is not said and might be
//! that of a recording rule, and `ALERTS`, which lasts as long as another alert: unknown.
//!
//! # Inputs
//!
//! | an alert goes when … | so its end says something of | [`Role`] |
//! |---|---|---|
//! | either side of an arithmetic, a comparison or `and` has no data | both | feeds |
//! | the left of `unless` has no data | the left | feeds |
//! | the right of `unless` has data | nothing: that it has none hides no alert | hides |
//! | `absent(x)`: `x` has data | likewise | hides |
//! | that side of `or` has no data from which the instance came; which one, is not known | both | feeds |
//!
//! What hides what hides feeds: `absent(absent(x))` fires while there is `x`.
//!
//! # Narrowing
//!
//! A selector is narrowed by those labels of an instance which it certainly gave to it unchanged. From
//! the result down, each step takes labels away, or leaves them:
//!
//! | step | leaves |
//! |---|---|
//! | functions of one vector | all; `histogram_quantile` all but `le` |
//! | `sum by (a)`, and the like | `a` |
//! | `sum without (a)` | all but `a` |
//! | `sum`, `scalar`, `absent`, `info` | none |
//! | `topk`, `bottomk`, `limitk`, `limit_ratio` | all: they only choose |
//! | `count_values("a", …)` | as `sum`, without `a` |
//! | `label_replace`, `label_join` | all but the label that they set |
//! | an operator between vectors | all, on both sides: they match by all labels |
//! | … `on (a)` | `a`; the left of `and` and `unless`, and both of `or`: all |
//! | … `ignoring (a)` | all but `a`; with the same exceptions |
//! | … `group_left (b)` | at the left all but `b`; at the right what matched, and `b` |
//! | … with `fill` | none: one side may be missing |
//! | a recording rule | all but its own labels |
//!
//! Any function that is not known leaves none.
//!
//! Source: `resultMetric`, `signatureFunc` and the functions in `promql/engine.go` and
//! `promql/functions.go` of Prometheus.

mod kept;
mod limits;
mod selector;
mod walk;

use homeostat_core::evidence::Memory;
use homeostat_core::label::LabelSet;
use homeostat_core::time::Span;
use promql_parser::parser::{self, Expr};

use crate::client::one_line;
use selector::Quoted;

pub use selector::{Role, Selector, narrow};

/// A rule that writes what an expression gives under a name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordingRule {
    /// Its expression.
    pub expression: String,
    /// How often it is evaluated.
    pub interval: Span,
    /// The labels that it sets itself.
    pub labels: LabelSet,
}

/// Finds the recording rules that write series of this name.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Vec<RecordingRule>;

/// What an expression reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// How far back it looks.
    pub memory: Memory,
    /// The series that it reads, each place once, in the order in which they stand there.
    pub selectors: Vec<Selector>,
    /// Why these are not all, where they are not.
    pub incomplete: Option<String>,
}

/// Reads an expression. `lookup` tells which recording rules write series of a name.
pub fn read(expression: &str, lookup: Lookup<'_>) -> Reading {
    walk::read(expression, lookup)
}

/// Returns how long an alert goes on firing after its cure: what its expression looks back, two evaluations
/// of its rule, and its `keep_firing_for`.
pub fn of_alert(expression: Memory, interval: Span, keep_firing_for: Span) -> Memory {
    expression.plus(interval.saturating_mul(2)).plus(keep_firing_for)
}

/// Tells whether an expression certainly reads no series at all, so that nothing in the world changes
/// what it gives.
pub fn is_constant(expression: &str) -> bool {
    let reading = read(expression, &|_| Vec::new());
    reading.selectors.is_empty() && reading.incomplete.is_none()
}

/// Parses an expression that is not too large for that.
fn parse(expression: &str) -> Result<Expr, String> {
    let is_level = |byte: u8| b"(+-*/%^<>=![".contains(&byte);
    let words = expression.split_ascii_whitespace();
    let words =
        words.filter(|w| ["and", "or", "unless", "atan2"].contains(&&*w.to_ascii_lowercase()));
    let levels = expression.bytes().filter(|byte| is_level(*byte)).count() + words.count();
    if expression.len() > limits::EXPRESSION_BYTES || levels > limits::LEVELS {
        return Err("its expression is too long to be read".to_owned());
    }
    parser::parse(&without_raw_strings(expression))
        .map_err(|error| format!("its expression is not understood: {}", one_line(&error)))
}

/// Writes strings between backticks in double quotes: the parser reads backslashes there, which mean
/// nothing in such a string.
fn without_raw_strings(expression: &str) -> String {
    let mut written = String::with_capacity(expression.len());
    let mut rest = expression;
    while let Some(start) = rest.find(['"', '\'', '`', '#']) {
        let (before, from) = rest.split_at(start);
        written.push_str(before);
        let (part, after) = from.split_at(part(from));
        match part.strip_prefix('`').and_then(|inner| inner.strip_suffix('`')) {
            Some(raw) => written.push_str(&Quoted(raw).to_string()),
            None => written.push_str(part),
        }
        rest = after;
    }
    written + rest
}

/// How long a string or a comment is that begins here.
fn part(text: &str) -> usize {
    let mut chars = text.char_indices();
    let open = chars.next().map(|(_, c)| c);
    let close = if open == Some('#') { '\n' } else { open.unwrap_or_default() };
    while let Some((position, c)) = chars.next() {
        if c == close {
            return position + c.len_utf8();
        }
        if c == '\\' && matches!(close, '"' | '\'') {
            chars.next();
        }
    }
    text.len()
}

#[cfg(test)]
mod tests;
