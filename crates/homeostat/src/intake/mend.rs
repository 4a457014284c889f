//! Bodies that are nearly JSON, made JSON as Go's reader takes them.
//!
//! A body is mended only where it cannot be read as it is. What is cut off, or has a comma too many,
//! stays what it is: guessing would give an alert that nobody sent.

use std::borrow::Cow;

/// What some programs write before their text.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// The body without a mark before it that only says that it is UTF-8.
pub(super) fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(MARK).unwrap_or(body)
}

/// The body with a replacement character for each byte that is no UTF-8, and for each escaped half
/// of a pair of surrogates whose other half is missing; `None` where there is nothing to mend.
pub(super) fn mended(body: &[u8]) -> Option<Vec<u8>> {
    let text = String::from_utf8_lossy(body);
    let is_mended = matches!(text, Cow::Owned(_));
    let mut bytes = text.into_owned().into_bytes();
    let mut at = 0;
    let mut halves = 0;
    while let Some(found) = bytes[at..].iter().position(|byte| *byte == b'\\') {
        at += found;
        match unit(&bytes, at) {
            Some(0xd800..=0xdbff) if matches!(unit(&bytes, at + 6), Some(0xdc00..=0xdfff)) => {
                at += 12;
            }
            Some(0xd800..=0xdfff) => {
                bytes[at + 2..at + 6].copy_from_slice(b"fffd");
                halves += 1;
                at += 6;
            }
            // The escaped character may be a backslash itself.
            Some(_) | None => at = bytes.len().min(at + 2),
        }
    }
    (is_mended || halves > 0).then_some(bytes)
}

/// The number that is escaped at a place, as in `\u00e9`.
fn unit(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    let digits = str::from_utf8(digits).ok().filter(|text| !text.starts_with('+'))?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_of_pairs_become_replacement_characters() {
        for (sent, meant) in [
            (r#""cut \ud83d""#, r#""cut \ufffd""#),
            (r#""\uD83D\uD83D\uDE00""#, r#""\ufffd\uD83D\uDE00""#),
            (r#""\ude00\ud83dx""#, r#""\ufffd\ufffdx""#),
            (r#""\\\ud800\n""#, r#""\\\ufffd\n""#),
        ] {
            let mended = mended(sent.as_bytes()).map(|bytes| String::from_utf8(bytes).unwrap());
            assert_eq!(mended.as_deref(), Some(meant));
        }
        assert_eq!(mended(b"a\xff\\ud800").unwrap(), "a\u{fffd}\\ufffd".as_bytes());
    }

    #[test]
    fn what_is_whole_or_only_looks_broken_is_left_alone() {
        for text in [r#""\ud83d\ude00""#, r#""\\ud83d""#, r"\", r"\u", r"\ud8", r"\u+800", ""] {
            assert_eq!(mended(text.as_bytes()), None, "{text}");
        }
        assert_eq!(without_mark(b"\xef\xbb\xbf{}"), b"{}");
    }
}
