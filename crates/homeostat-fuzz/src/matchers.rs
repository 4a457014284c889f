//! Matchers in both grammars, and the regexes in them.

use homeostat_core::label::{LabelSet, Matcher, Matchers, Op};

/// Reads matchers by each grammar. What is printed reads back as the same, by the UTF-8 grammar,
/// which is that of everything we print; and it matches the same.
pub fn matchers(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let utf8 = Matchers::parse_utf8(text);
    let classic = Matchers::parse_classic(text);
    let labels = LabelSet::from_pairs([("job", "web"), ("a", "b"), ("text", text)]);
    for matchers in [&utf8, &classic].into_iter().flatten() {
        let printed = matchers.to_string();
        let read = match Matchers::parse_utf8(&printed) {
            Ok(read) => read,
            Err(error) => panic!("{text:?} prints as {printed:?}, which is none: {error}"),
        };
        assert_eq!(*matchers, read, "{text:?} prints as {printed:?}");
        assert_eq!(matchers.matches(&labels), read.matches(&labels), "{printed:?}");
    }
    match (Matchers::parse(text), &utf8, &classic) {
        (Ok(parsed), _, _) => {
            let one_of_both = Some(&parsed.matchers) == utf8.as_ref().ok()
                || Some(&parsed.matchers) == classic.as_ref().ok();
            assert!(one_of_both, "{text:?} reads as neither grammar has it");
        }
        (Err(error), Err(_), Err(_)) => error_is_in(&error.span, text),
        (Err(error), _, _) => panic!("a grammar accepts {text:?}, and yet: {error}"),
    }
}

/// Reads the text before the first NUL as a regex, and matches what follows with it.
pub fn regex(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let (regex, value) = text.split_once('\0').unwrap_or((text, ""));
    let matches = match Matcher::new("name", Op::Regex, regex) {
        Ok(matcher) => matcher.matches_value(value),
        Err(error) => return error_is_in(&error.span, regex),
    };
    let negated = Matcher::new("name", Op::NotRegex, regex);
    let negated = negated.expect("a regex is one whether it is negated or not");
    assert_ne!(matches, negated.matches_value(value), "{regex:?} and its opposite, {value:?}");
    // What is in a group of its own means the same, unless it closes the group that is put around
    // each regex, and opens another.
    let alone = Matcher::new("name", Op::Regex, format!("){regex}(?:"));
    let grouped = Matcher::new("name", Op::Regex, format!("(?:{regex})"));
    if let (Ok(_), Ok(grouped)) = (alone, grouped) {
        assert_eq!(matches, grouped.matches_value(value), "{regex:?} in a group, {value:?}");
    }
}

/// An error points at a place of the text that a caret can be put under.
fn error_is_in(span: &std::ops::Range<usize>, text: &str) {
    let is_in = span.start <= span.end && text.get(..span.start).is_some();
    let is_whole = span.end >= text.len() || text.is_char_boundary(span.end);
    assert!(is_in && is_whole && span.end <= text.len(), "{span:?} is no place of {text:?}");
}
