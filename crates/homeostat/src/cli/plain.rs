//! Text from elsewhere on a terminal: a label must not be able to move the cursor, to colour, or
//! to pass for another line.

use std::borrow::Cow;

/// Escapes what a terminal would obey rather than show.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_shown) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_shown(c) {
            plain.push(c);
        } else {
            plain.extend(c.escape_default());
        }
    }
    Cow::Owned(plain)
}

/// Escapes each line on its own.
pub(super) fn lines(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    text.lines().map(plain)
}

/// Cuts a text to a number of characters, and shows that it was cut.
pub(super) fn cut(text: &str, most: usize) -> Cow<'_, str> {
    if text.chars().nth(most).is_none() {
        return Cow::Borrowed(text);
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    Cow::Owned(kept + "…")
}

fn is_shown(c: char) -> bool {
    let hides = matches!(c,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    !c.is_control() && !hides
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        assert_eq!(plain("é ok"), "é ok");
        assert_eq!(plain("a\u{1b}[2Jb\n\u{202e}"), "a\\u{1b}[2Jb\\n\\u{202e}");
        assert_eq!(lines("a\r\nb\u{7}").collect::<Vec<_>>(), ["a", "b\\u{7}"]);
    }

    #[test]
    fn a_long_text_is_cut_visibly() {
        assert_eq!(cut("héllo", 5), "héllo");
        assert_eq!(cut("héllos", 5), "héll…");
    }
}
