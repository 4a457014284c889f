//! Quoted text, as JSON and as Go write it.
//!
//! Duty: print a text in double quotes so that a reader of the format gets the same text back.
//! Not its duty: reading; each grammar has its own rules for that.

use std::fmt::{self, Write};

/// Writes a JSON string, the same that `serde_json` writes.
pub(super) fn json(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            '\u{8}' => f.write_str("\\b")?,
            '\u{c}' => f.write_str("\\f")?,
            '\0'..='\x1f' => write!(f, "\\u{:04x}", u32::from(c))?,
            _ => f.write_char(c)?,
        }
    }
    f.write_str("\"")
}

/// Writes a text as Go's `%q` does, so that nothing in it can pass for something else: control
/// characters, marks that reverse the direction of writing and the like are escaped.
pub(super) fn go(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            '\x07' => f.write_str("\\a")?,
            '\x08' => f.write_str("\\b")?,
            '\x0b' => f.write_str("\\v")?,
            '\x0c' => f.write_str("\\f")?,
            '\0'..='\x1f' | '\x7f' => write!(f, "\\x{:02x}", u32::from(c))?,
            ' '..='~' => f.write_char(c)?,
            '\u{10000}'.. if !is_printable(c) => write!(f, "\\U{:08x}", u32::from(c))?,
            _ if !is_printable(c) => write!(f, "\\u{:04x}", u32::from(c))?,
            _ => f.write_char(c)?,
        }
    }
    f.write_str("\"")
}

/// Whether a character leaves a mark of its own, by the tables behind Rust's `{:?}`.
fn is_printable(c: char) -> bool {
    // A combining mark is escaped only where it has nothing to combine with: give it a letter.
    let pair: String = ['a', c].iter().collect();
    pair.escape_debug().count() == 2
}
