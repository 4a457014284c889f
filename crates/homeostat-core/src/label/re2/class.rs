//! Classes of characters.
//!
//! Duty: read `[…]`, `\d`, `[:alpha:]` and `\p{Greek}` by Go's rules into sets of characters.
//! Inside brackets only `]`, `\`, a leading `^`, `-` between two characters, and `[:name:]` mean
//! anything; the first character may be a literal `]`.
//!
//! Folding comes before negation: after `(?i)`, `[^k]` excludes `K` and the Kelvin sign too.
//!
//! Not its duty: Unicode's tables, which are those of `regex-syntax`.
//!
//! Source: `parseClass`, `parseNamedClass`, `parseUnicodeClass` and `appendGroup` in
//! `regexp/syntax/parse.go` of Go.

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};

use super::RegexError;
use super::cursor::{CodePoint, Cursor};

const DIGIT: &[(char, char)] = &[('0', '9')];
const WORD: &[(char, char)] = &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];
const PERL_SPACE: &[(char, char)] = &[('\t', '\n'), ('\x0c', '\r'), (' ', ' ')];

/// The named classes. `\s` differs from `[:space:]` by the vertical tab.
const NAMED: [(&str, &[(char, char)]); 14] = [
    ("alnum", &[('0', '9'), ('A', 'Z'), ('a', 'z')]),
    ("alpha", &[('A', 'Z'), ('a', 'z')]),
    ("ascii", &[('\0', '\x7f')]),
    ("blank", &[('\t', '\t'), (' ', ' ')]),
    ("cntrl", &[('\0', '\x1f'), ('\x7f', '\x7f')]),
    ("digit", DIGIT),
    ("graph", &[('!', '~')]),
    ("lower", &[('a', 'z')]),
    ("print", &[(' ', '~')]),
    ("punct", &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')]),
    ("space", &[('\t', '\r'), (' ', ' ')]),
    ("upper", &[('A', 'Z')]),
    ("word", WORD),
    ("xdigit", &[('0', '9'), ('A', 'F'), ('a', 'f')]),
];

/// Scripts whose name has four letters. Other words of four letters are ISO 15924 codes, which
/// `regex-syntax` knows and Go does not.
const FOUR_LETTER_SCRIPTS: [&str; 9] =
    ["ahom", "cham", "kawi", "lisu", "miao", "modi", "newa", "thai", "toto"];

/// Reads a class in brackets; the cursor is at the opening one.
pub(super) fn bracketed(cursor: &mut Cursor<'_>, fold: bool) -> Result<ClassUnicode, RegexError> {
    let start = cursor.position();
    cursor.eat("[");
    let negated = cursor.eat("^");
    let mut class = ClassUnicode::empty();
    let mut first = true;
    while first || !cursor.eat("]") {
        first = false;
        if let Some(part) = named(cursor, fold)? {
            class.union(&part);
        } else if let Some(part) = escaped(cursor, fold)? {
            class.union(&part);
        } else {
            let (low, high) = range(cursor, start)?;
            class.union(&folded(code_points(low, high), fold));
        }
    }
    if negated {
        class.negate();
    }
    Ok(class)
}

/// Reads `\d`, `\pL` and their like, if one is here.
pub(super) fn escaped(
    cursor: &mut Cursor<'_>,
    fold: bool,
) -> Result<Option<ClassUnicode>, RegexError> {
    let mut chars = cursor.rest().chars();
    let (Some('\\'), Some(letter)) = (chars.next(), chars.next()) else { return Ok(None) };
    let ranges = match letter.to_ascii_lowercase() {
        'p' => return unicode(cursor, fold).map(Some),
        'd' => DIGIT,
        's' => PERL_SPACE,
        'w' => WORD,
        _ => return Ok(None),
    };
    cursor.bump();
    cursor.bump();
    Ok(Some(signed(folded(ascii(ranges), fold), letter.is_ascii_uppercase())))
}

/// A class of one character, with its variants in case if it folds.
pub(super) fn character(c: char, fold: bool) -> ClassUnicode {
    folded(ClassUnicode::new([ClassUnicodeRange::new(c, c)]), fold)
}

/// Reads `[:name:]`, if one is here. Without its end it is none, and `[` a character.
fn named(cursor: &mut Cursor<'_>, fold: bool) -> Result<Option<ClassUnicode>, RegexError> {
    let start = cursor.position();
    let Some(after) = cursor.rest().strip_prefix("[:") else { return Ok(None) };
    if !after.contains(":]") {
        return Ok(None);
    }
    cursor.eat("[:");
    let written = cursor.eat_until(":]").unwrap_or_default();
    let name = written.strip_prefix('^').unwrap_or(written);
    let Some((_, ranges)) = NAMED.iter().find(|(known, _)| *known == name) else {
        let message = format!("unknown class `{}`", cursor.text_from(start));
        return Err(RegexError::new(cursor.span_from(start), message).hint(
            "the classes are alnum, alpha, ascii, blank, cntrl, digit, graph, lower, print, \
                 punct, space, upper, word and xdigit",
        ));
    };
    Ok(Some(signed(folded(ascii(ranges), fold), written.starts_with('^'))))
}

/// Reads one character or a range of them.
fn range(cursor: &mut Cursor<'_>, class: usize) -> Result<(CodePoint, CodePoint), RegexError> {
    let start = cursor.position();
    let low = member(cursor, class)?;
    let mut ahead = cursor.rest().chars();
    // A minus sign before the closing bracket is itself.
    if ahead.next() != Some('-') || matches!(ahead.next(), Some(']') | None) {
        return Ok((low, low));
    }
    cursor.eat("-");
    let high = member(cursor, class)?;
    if high < low {
        let message = format!("the range `{}` goes backwards", cursor.text_from(start));
        return Err(RegexError::new(cursor.span_from(start), message)
            .hint("to mean the minus sign itself, write \\-"));
    }
    Ok((low, high))
}

fn member(cursor: &mut Cursor<'_>, class: usize) -> Result<CodePoint, RegexError> {
    if cursor.peek() == Some('\\') {
        return cursor.escape();
    }
    cursor.bump().map(u32::from).ok_or_else(|| {
        RegexError::new(cursor.span_from(class), "class without a closing bracket")
            .hint("to mean the bracket itself, write \\[")
    })
}

/// Reads `\pL`, `\p{Greek}`, `\P{^Greek}`; the cursor is at the backslash.
fn unicode(cursor: &mut Cursor<'_>, fold: bool) -> Result<ClassUnicode, RegexError> {
    let start = cursor.position();
    let negated = cursor.rest().starts_with("\\P");
    cursor.bump();
    cursor.bump();
    let written = if cursor.eat("{") {
        cursor.eat_until("}")
    } else {
        let letter = cursor.position();
        cursor.bump().map(|_| cursor.text_from(letter))
    };
    let written = written.unwrap_or_default();
    let name = written.strip_prefix('^').unwrap_or(written);
    let class = unicode_class(name).ok_or_else(|| {
        let message = format!("unknown Unicode class `{}`", cursor.text_from(start));
        RegexError::new(cursor.span_from(start), message)
            .hint("Unicode classes are general categories and scripts, as in \\pL or \\p{Greek}")
    })?;
    Ok(signed(folded(class, fold), negated != written.starts_with('^')))
}

fn unicode_class(name: &str) -> Option<ClassUnicode> {
    let is_separator = |c: char| matches!(c, ' ' | '_' | '-');
    let bare: String =
        name.chars().filter(|c| !is_separator(*c)).map(|c| c.to_ascii_lowercase()).collect();
    if bare.is_empty() || !bare.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return None;
    }
    if bare == "cs" || bare == "surrogate" {
        return Some(ClassUnicode::empty());
    }
    // `regex-syntax` ignores a leading `is`, Go does not; nothing that Go knows begins so.
    if bare.starts_with("is") {
        return None;
    }
    table(&format!("\\p{{gc={bare}}}")).or_else(|| {
        let is_name = bare.len() != 4 || FOUR_LETTER_SCRIPTS.contains(&bare.as_str());
        if is_name { table(&format!("\\p{{sc={bare}}}")) } else { None }
    })
}

fn table(class: &str) -> Option<ClassUnicode> {
    // A class of one character comes back as that character.
    match regex_syntax::parse(class).ok()?.into_kind() {
        HirKind::Class(Class::Unicode(class)) => Some(class),
        HirKind::Literal(literal) => {
            let c = std::str::from_utf8(&literal.0).ok()?.chars().next()?;
            Some(character(c, false))
        }
        _ => None,
    }
}

fn ascii(ranges: &[(char, char)]) -> ClassUnicode {
    ClassUnicode::new(ranges.iter().map(|(low, high)| ClassUnicodeRange::new(*low, *high)))
}

/// The characters of a range of code points: the surrogates within it are none.
fn code_points(low: CodePoint, high: CodePoint) -> ClassUnicode {
    let low = char::from_u32(low).unwrap_or('\u{e000}');
    let high = char::from_u32(high).unwrap_or('\u{d7ff}');
    if high < low {
        return ClassUnicode::empty();
    }
    ClassUnicode::new([ClassUnicodeRange::new(low, high)])
}

fn folded(mut class: ClassUnicode, fold: bool) -> ClassUnicode {
    if fold {
        class.case_fold_simple();
    }
    class
}

fn signed(mut class: ClassUnicode, negated: bool) -> ClassUnicode {
    if negated {
        class.negate();
    }
    class
}
