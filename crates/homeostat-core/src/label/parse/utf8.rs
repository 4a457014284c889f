//! The UTF-8 grammar of matchers, Alertmanager's since 0.27.
//!
//! ```text
//!   matchers = [ "{" ] [ matcher { "," matcher } [ "," ] ] [ "}" ]     both braces or none
//!   matcher  = text op text
//!   text     = quoted | unquoted
//! ```
//!
//! Duty: accept exactly this, with Go's escapes between double quotes, and point at the first
//! place where the input departs from it. White space between tokens has no meaning.
//!
//! Source: `matcher/parse/lexer.go` and `parse.go` of Alertmanager; `strconv.Unquote` of Go.

use std::borrow::Cow;
use std::ops::Range;

use super::{Matchers, Op, ParseError, matcher};

/// Reads a list of matchers.
pub(in crate::label) fn parse(input: &str) -> Result<Matchers, ParseError> {
    let mut parser = Parser { lexer: Lexer { input, position: 0 } };
    let braced = parser.lexer.peek()?.kind == Kind::OpenBrace;
    if braced {
        parser.lexer.next()?;
    }
    let mut matchers = Vec::new();
    if !matches!(parser.lexer.peek()?.kind, Kind::CloseBrace | Kind::End) {
        loop {
            matchers.push(parser.matcher()?);
            if !parser.another()? {
                break;
            }
        }
    }
    parser.close(braced)?;
    Ok(matchers.into_iter().collect())
}

struct Parser<'a> {
    lexer: Lexer<'a>,
}

impl Parser<'_> {
    fn matcher(&mut self) -> Result<super::Matcher, ParseError> {
        let input = self.lexer.input;
        let name = self.lexer.next()?;
        let Kind::Text(name_text) = &name.kind else {
            return Err(name.unexpected(input, "a label name"));
        };
        let op = self.lexer.next()?;
        let Kind::Op(op) = op.kind else {
            return Err(op
                .unexpected(input, "an operator after the label name")
                .hint("the operators are = != =~ !~"));
        };
        let value = self.lexer.next()?;
        let Kind::Text(value_text) = &value.kind else {
            let error = value.unexpected(input, "a value after the operator");
            return Err(if value.kind == Kind::Op(Op::Equal) {
                error.hint("one = is enough")
            } else {
                error.hint("the empty value is written \"\"")
            });
        };
        matcher(input, name_text, op, value_text, value.inner(input))
    }

    /// Steps over a comma; whether another matcher follows.
    fn another(&mut self) -> Result<bool, ParseError> {
        let end = self.lexer.peek()?;
        match end.kind {
            Kind::CloseBrace | Kind::End => return Ok(false),
            Kind::Comma => {}
            Kind::OpenBrace | Kind::Op(_) | Kind::Text(_) => {
                return Err(end
                    .unexpected(self.lexer.input, "a comma or the end after a matcher")
                    .hint("put a value with spaces or special characters in double quotes"));
            }
        }
        self.lexer.next()?;
        let next = self.lexer.peek()?;
        match next.kind {
            Kind::Text(_) => Ok(true),
            Kind::CloseBrace | Kind::End => Ok(false),
            Kind::OpenBrace | Kind::Comma | Kind::Op(_) => {
                Err(next.unexpected(self.lexer.input, "a matcher or the end after a comma"))
            }
        }
    }

    fn close(&mut self, braced: bool) -> Result<(), ParseError> {
        let input = self.lexer.input;
        let mut end = self.lexer.next()?;
        let closed = end.kind == Kind::CloseBrace;
        if closed && !braced {
            return Err(ParseError::new(end.span, "closing brace without an opening brace")
                .hint("write both braces or none"));
        }
        if braced && !closed {
            return Err(end.unexpected(input, "a closing brace").hint("write both braces or none"));
        }
        if closed {
            end = self.lexer.next()?;
        }
        if end.kind == Kind::End {
            return Ok(());
        }
        Err(end.unexpected(input, "nothing after the closing brace"))
    }
}

/// A piece of the input that the grammar treats as a whole.
struct Token<'a> {
    kind: Kind<'a>,
    span: Range<usize>,
}

#[derive(PartialEq)]
enum Kind<'a> {
    OpenBrace,
    CloseBrace,
    Comma,
    Op(Op),
    /// A name or a value, without its quotes and escapes.
    Text(Cow<'a, str>),
    End,
}

impl Token<'_> {
    fn unexpected(&self, input: &str, expected: &str) -> ParseError {
        let found = if self.kind == Kind::End {
            "the end of the input".to_owned()
        } else {
            format!("`{}`", &input[self.span.clone()])
        };
        ParseError::new(self.span.clone(), format!("expected {expected}, found {found}"))
    }

    /// The span of a text without its quotes.
    fn inner(&self, input: &str) -> Range<usize> {
        let quoted = input[self.span.clone()].starts_with('"');
        self.span.start + usize::from(quoted)..self.span.end - usize::from(quoted)
    }
}

struct Lexer<'a> {
    input: &'a str,
    position: usize,
}

impl<'a> Lexer<'a> {
    fn peek(&self) -> Result<Token<'a>, ParseError> {
        Lexer { input: self.input, position: self.position }.next()
    }

    fn next(&mut self) -> Result<Token<'a>, ParseError> {
        let rest = &self.input[self.position..];
        let text = rest.trim_start();
        let start = self.position + rest.len() - text.len();
        let mut chars = text.chars();
        let (kind, length) = match (chars.next(), chars.next()) {
            (None, _) => (Kind::End, 0),
            (Some('{'), _) => (Kind::OpenBrace, 1),
            (Some('}'), _) => (Kind::CloseBrace, 1),
            (Some(','), _) => (Kind::Comma, 1),
            (Some('='), Some('~')) => (Kind::Op(Op::Regex), 2),
            (Some('='), _) => (Kind::Op(Op::Equal), 1),
            (Some('!'), Some('=')) => (Kind::Op(Op::NotEqual), 2),
            (Some('!'), Some('~')) => (Kind::Op(Op::NotRegex), 2),
            (Some('!'), _) => {
                return Err(ParseError::new(start..start + 1, "expected `=` or `~` after `!`"));
            }
            (Some('"'), _) => {
                let length = quoted_length(text).ok_or_else(|| {
                    let span = start..self.input.len();
                    ParseError::new(span, "expected a closing double quote")
                        .hint("inside double quotes, a double quote is written \\\"")
                })?;
                let content = unquote(&text[1..length - 1], start + 1)?;
                (Kind::Text(content), length)
            }
            (Some(first), _) if is_reserved(first) => return Err(stray(first, start)),
            (Some(_), _) => {
                let length = text.find(is_reserved).unwrap_or(text.len());
                (Kind::Text(Cow::Borrowed(&text[..length])), length)
            }
        };
        self.position = start + length;
        Ok(Token { kind, span: start..start + length })
    }
}

fn is_reserved(c: char) -> bool {
    c.is_whitespace() || "{}!=~,\\\"'`".contains(c)
}

fn stray(found: char, start: usize) -> ParseError {
    let error = ParseError::new(
        start..start + found.len_utf8(),
        format!("`{found}` stands for itself only inside double quotes"),
    );
    match found {
        '\'' | '`' => error.hint("quote names and values with double quotes"),
        _ => error.hint("put the name or value in double quotes"),
    }
}

/// The length in bytes of the quoted text at the start, both quotes included.
fn quoted_length(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (position, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(position + 1),
            _ => {}
        }
    }
    None
}

/// Resolves Go's escapes in the text between two double quotes, which starts at `start`.
fn unquote(text: &str, start: usize) -> Result<Cow<'_, str>, ParseError> {
    if let Some(line_end) = text.find('\n') {
        let place = start + line_end;
        return Err(ParseError::new(place..place + 1, "line break between double quotes")
            .hint("inside double quotes, a line break is written \\n"));
    }
    if !text.contains('\\') {
        return Ok(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let escape = &rest[at..];
        let length = unescape(escape, &mut bytes).ok_or_else(|| {
            let place = start + text.len() - escape.len();
            let second = escape[1..].chars().next().map_or(0, char::len_utf8);
            let message = format!("unknown escape `{}`", &escape[..=second]);
            ParseError::new(place..place + 1 + second, message)
                .hint("inside double quotes, a backslash is written \\\\")
        })?;
        rest = &escape[length..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| {
        ParseError::new(start..start + text.len(), "the escaped bytes are not valid UTF-8")
    })
}

/// Resolves the escape at the start of the text; its length, or `None` if Go knows no such escape.
fn unescape(escape: &str, bytes: &mut Vec<u8>) -> Option<usize> {
    let number = |digits: Range<usize>, radix: u32| {
        let digits = escape.get(digits)?;
        // `from_str_radix` alone would accept a sign.
        let plain = digits.chars().all(|digit| digit.is_digit(radix));
        if plain { u32::from_str_radix(digits, radix).ok() } else { None }
    };
    let simple = match escape.as_bytes().get(1)? {
        b'a' => 0x07,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0b,
        b'\\' => b'\\',
        b'"' => b'"',
        b'x' => {
            bytes.push(u8::try_from(number(2..4, 16)?).ok()?);
            return Some(4);
        }
        b'0'..=b'7' => {
            bytes.push(u8::try_from(number(1..4, 8)?).ok()?);
            return Some(4);
        }
        long @ (b'u' | b'U') => {
            let length = if *long == b'u' { 6 } else { 10 };
            let c = char::from_u32(number(2..length, 16)?)?;
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            return Some(length);
        }
        _ => return None,
    };
    bytes.push(simple);
    Some(2)
}
