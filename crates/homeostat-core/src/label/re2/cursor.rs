//! A place in a regex, and the escapes that stand for one character.
//!
//! Duty: step through the text; read `\n`, `\x41`, `\101` and the like.
//! Not its duty: escapes for classes or positions.
//!
//! Source: `parseEscape` in `regexp/syntax/parse.go` of Go.

use std::ops::Range;

use super::RegexError;

/// A code point as Go has it: surrogates are allowed, although no text has them.
pub(super) type CodePoint = u32;

const CODE_POINT_MAX: CodePoint = 0x10_ffff;

pub(super) struct Cursor<'a> {
    text: &'a str,
    position: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, position: 0 }
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.position..]
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.position == self.text.len()
    }

    /// What was read from `start` up to here.
    pub(super) fn span_from(&self, start: usize) -> Range<usize> {
        start..self.position
    }

    pub(super) fn text_from(&self, start: usize) -> &'a str {
        &self.text[start..self.position]
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.position += c.len_utf8();
        Some(c)
    }

    pub(super) fn eat(&mut self, expected: &str) -> bool {
        let found = self.rest().starts_with(expected);
        if found {
            self.position += expected.len();
        }
        found
    }

    /// Reads up to `end` and over it.
    pub(super) fn eat_until(&mut self, end: &str) -> Option<&'a str> {
        let (before, _) = self.rest().split_once(end)?;
        self.position += before.len() + end.len();
        Some(before)
    }

    pub(super) fn eat_rest(&mut self) -> &'a str {
        let rest = self.rest();
        self.position = self.text.len();
        rest
    }

    fn digit(&mut self, radix: u32) -> Option<u32> {
        let digit = self.peek()?.to_digit(radix)?;
        self.position += 1;
        Some(digit)
    }

    /// Reads an escape that stands for one character; the cursor is at the backslash.
    pub(super) fn escape(&mut self) -> Result<CodePoint, RegexError> {
        let start = self.position;
        self.eat("\\");
        let Some(c) = self.bump() else {
            return Err(RegexError::new(self.span_from(start), "backslash at the end"));
        };
        let found = match c {
            'a' => Some(0x07),
            'f' => Some(0x0c),
            'n' => Some(0x0a),
            'r' => Some(0x0d),
            't' => Some(0x09),
            'v' => Some(0x0b),
            'x' => self.hexadecimal(),
            '0'..='7' => self.octal(c),
            _ if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(u32::from(c)),
            _ => None,
        };
        found.ok_or_else(|| self.unknown_escape(start, c))
    }

    /// The one to three digits of which the first is read. One digit alone, unless it is zero,
    /// would refer back to a group.
    fn octal(&mut self, first: char) -> Option<CodePoint> {
        let mut number = first.to_digit(8)?;
        let mut digits = 1;
        while digits < 3
            && let Some(digit) = self.digit(8)
        {
            number = number * 8 + digit;
            digits += 1;
        }
        (digits > 1 || first == '0').then_some(number)
    }

    /// Two digits, or any number of them in braces.
    fn hexadecimal(&mut self) -> Option<CodePoint> {
        if !self.eat("{") {
            return Some(self.digit(16)? * 16 + self.digit(16)?);
        }
        let mut number = self.digit(16)?;
        while let Some(digit) = self.digit(16) {
            number = number * 16 + digit;
            if number > CODE_POINT_MAX {
                return None;
            }
        }
        self.eat("}").then_some(number)
    }

    fn unknown_escape(&self, start: usize, c: char) -> RegexError {
        let written = self.text_from(start);
        let error = RegexError::new(self.span_from(start), format!("unknown escape `{written}`"));
        match c {
            '1'..='9' => error.hint("RE2 has no references back to a group"),
            'x' => error.hint("write \\x41 or \\x{10FFFF}"),
            'Z' => error.hint("the end of the text is \\z"),
            'C' => error.hint("RE2 matches characters, never single bytes"),
            _ => error.hint("a backslash is written \\\\"),
        }
    }
}
