//! The classic grammar of matchers, Alertmanager's before 0.27.
//!
//! ```text
//!   matchers = [ "{" ] matcher { "," matcher } [ "," ] [ "}" ]      each brace on its own
//!   matcher  = name op value           name: [a-zA-Z_:][a-zA-Z0-9_:]*, the value may be empty
//! ```
//!
//! Duty: accept exactly what Alertmanager's old reader accepts, its odd corners included: they are
//! what existing configurations rely on. There is no grammar behind it but two passes, and so
//! there is none here: first the input is cut at commas outside quotes, then each piece is read.
//! Inside and outside quotes, `\"`, `\n` and `\\` are escapes and any other backslash is itself.
//!
//! Source: `pkg/labels/parse.go` of Alertmanager.

use std::ops::Range;

use super::{Matcher, Matchers, Op, ParseError, matcher};

/// Reads a list of matchers.
pub(in crate::label) fn parse(input: &str) -> Result<Matchers, ParseError> {
    let start = usize::from(input.starts_with('{'));
    let end = input.len() - usize::from(input[start..].ends_with('}'));
    cut(input, start..end).into_iter().map(|piece| read(input, piece)).collect()
}

/// Cuts at the commas outside quotes. A last piece of nothing but white space is dropped.
fn cut(input: &str, place: Range<usize>) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    let mut start = place.start;
    let mut quoted = false;
    let mut escaped = false;
    for (offset, byte) in input[place.clone()].bytes().enumerate() {
        match byte {
            // A comma does not end an escape: after a backslash and commas, a quote is escaped.
            b',' if !quoted => {
                pieces.push(start..place.start + offset);
                start = place.start + offset + 1;
            }
            b',' => {}
            b'"' if escaped => escaped = false,
            b'"' => quoted = !quoted,
            b'\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    // Only the last piece loses white space of all of Unicode; `read` knows ASCII alone.
    let last = trim(input, start..place.end, char::is_whitespace);
    if !last.is_empty() {
        pieces.push(last);
    }
    pieces
}

fn trim(input: &str, place: Range<usize>, dropped: impl Fn(char) -> bool) -> Range<usize> {
    let text = &input[place.clone()];
    let without_start = text.trim_start_matches(&dropped);
    let start = place.start + text.len() - without_start.len();
    start..start + without_start.trim_end_matches(&dropped).len()
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0c' | '\r')
}

/// Reads one piece as name, operator and value.
fn read(input: &str, piece: Range<usize>) -> Result<Matcher, ParseError> {
    let trimmed = trim(input, piece.clone(), is_space);
    let text = &input[trimmed.clone()];
    if text.is_empty() {
        return Err(ParseError::new(piece, "expected a matcher, found nothing")
            .hint("between two commas there must be a matcher"));
    }
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let name_length = text.find(|c| !is_name(c)).unwrap_or(text.len());
    let name = &text[..name_length];
    if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
        return Err(ParseError::new(trimmed, format!("expected a label name at `{text}`")));
    }
    let after_name = text[name_length..].trim_start_matches(is_space);
    let Some(op) = [Op::Regex, Op::Equal, Op::NotEqual, Op::NotRegex]
        .into_iter()
        .find(|op| after_name.starts_with(op.as_str()))
    else {
        let place = trimmed.end - after_name.len()..trimmed.end;
        let message = format!("expected an operator after the label name `{name}`");
        return Err(ParseError::new(place, message).hint("the operators are = != =~ !~"));
    };
    let after_op = trimmed.end - after_name.len() + op.as_str().len()..trimmed.end;
    let raw = trim(input, after_op, is_space);
    let value = unescape(input, raw.clone())?;
    let quotes = usize::from(input[raw.clone()].starts_with('"'));
    matcher(input, name, op, &value, raw.start + quotes..raw.end - quotes)
}

/// Takes the quotes off a value and resolves its escapes.
fn unescape(input: &str, raw: Range<usize>) -> Result<String, ParseError> {
    let opened = input[raw.clone()].strip_prefix('"');
    let text = opened.unwrap_or(&input[raw.clone()]);
    let mut awaits_quote = opened.is_some();
    let mut value = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => value.push('\n'),
                Some(escaped @ ('"' | '\\')) => value.push(escaped),
                Some(other) => value.extend(['\\', other]),
                None => value.push('\\'),
            },
            '"' if awaits_quote && chars.as_str().is_empty() => awaits_quote = false,
            '"' => {
                let place = raw.end - chars.as_str().len();
                return Err(ParseError::new(place - 1..place, "double quote inside a value")
                    .hint("inside a value, a double quote is written \\\""));
            }
            other => value.push(other),
        }
    }
    if awaits_quote {
        return Err(ParseError::new(raw, "expected a closing double quote"));
    }
    Ok(value)
}
