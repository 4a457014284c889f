//! Templates of a match: `$1`, `${1}`, `$name`.
//!
//! Source: `Regexp.expand` and `extract` in `regexp/regexp.go` of Go.

use crate::label::Found;
use crate::limits;

/// Puts what the groups of a match are in place of their names. What grows beyond
/// [`limits::RELABELLED_BYTES`] is left as long as that: its labels are too long in any case.
pub(super) fn expand(template: &str, found: &Found<'_>) -> String {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('$') {
        text.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            text.push('$');
            rest = after;
        } else if let Some((name, after)) = reference(after) {
            text.push_str(number(name).map_or_else(|| found.name(name), |n| found.number(n)));
            rest = after;
        } else {
            text.push('$');
            rest = after;
        }
        if text.len() > limits::RELABELLED_BYTES {
            return text;
        }
    }
    text.push_str(rest);
    text
}

/// The name after a `$`, and what comes after it.
fn reference(text: &str) -> Option<(&str, &str)> {
    let braced = text.strip_prefix('{');
    let start = braced.unwrap_or(text);
    let length = start.find(|c: char| !is_name(c)).unwrap_or(start.len());
    let (name, after) = start.split_at(length);
    let after = if braced.is_some() { after.strip_prefix('}')? } else { after };
    (!name.is_empty()).then_some((name, after))
}

/// A letter, a decimal digit of any script, or `_`.
fn is_name(c: char) -> bool {
    c == '_' || c.is_alphabetic() || (c.is_numeric() && regex_syntax::is_word_character(c))
}

/// A name that is a number; one with a leading zero or of a hundred million and more is none.
fn number(name: &str) -> Option<usize> {
    let is_padded = name.len() > 1 && name.starts_with('0');
    let is_short = name.len() <= 9 && name.bytes().all(|byte| byte.is_ascii_digit());
    (is_short && !is_padded).then(|| name.parse().ok())?
}
