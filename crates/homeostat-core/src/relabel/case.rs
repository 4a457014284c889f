//! Upper and lower case as Go has it: each character becomes one character.
//!
//! Source: `strings.ToLower`, `strings.ToUpper` of Go; `UnicodeData.txt`.

/// Writes a text in lower case.
pub(super) fn lower(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            // The only one whose full mapping has two characters.
            'İ' => 'i',
            _ => only(c.to_lowercase()).unwrap_or(c),
        })
        .collect()
}

/// Writes a text in upper case.
pub(super) fn upper(text: &str) -> String {
    text.chars().map(|c| only(c.to_uppercase()).unwrap_or_else(|| simple_upper(c))).collect()
}

/// The upper case of what has two or more characters by the full mapping: of some Greek letters
/// with iota there is a simple one, of all others none.
fn simple_upper(c: char) -> char {
    let distance = match c {
        '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => 8,
        '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => 9,
        _ => 0,
    };
    char::from_u32(u32::from(c) + distance).unwrap_or(c)
}

fn only(mut mapped: impl Iterator<Item = char>) -> Option<char> {
    let first = mapped.next();
    first.filter(|_| mapped.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_character_becomes_one() {
        for (text, low, high) in [
            ("Web-01", "web-01", "WEB-01"),
            ("ÉÜ", "éü", "ÉÜ"),
            ("straße", "straße", "STRAßE"),
            ("ΣΑΣ", "σασ", "ΣΑΣ"),
            ("İx", "ix", "İX"),
            ("ǆ", "ǆ", "Ǆ"),
            ("\u{1f80}\u{1fb3}ŉ", "\u{1f80}\u{1fb3}ŉ", "\u{1f88}\u{1fbc}ŉ"),
        ] {
            assert_eq!((lower(text).as_str(), upper(text).as_str()), (low, high));
        }
    }
}
