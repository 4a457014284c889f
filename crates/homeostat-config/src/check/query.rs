//! Placeholders in PromQL, and what a query probably does not mean.
//!
//! Duty: tell where in a query a placeholder stands. A value is escaped as the content of a
//! quoted string: anywhere else it would be read as PromQL, and whoever may send an alert could
//! write the query that proves its healing. In a regex it must be quoted once more by `re`.
//!
//! Source: `lexInsideBraces`, `lexEscape` and `lexRawString` in `promql/parser/lex.go` of
//! Prometheus.

use std::ops::Range;

use homeostat_core::template::Template;

use super::action;
use crate::read::{Problems, Text};
use crate::report::Problem;

/// Reads the template of a query whose result says whether something is so.
pub(super) fn check(text: &Text, problems: &mut Problems) -> Option<Template> {
    let template = placed(text, problems)?;
    let scan = scan(&text.value);
    if let Some(range) = &scan.bool_modifier {
        problems.report(
            Problem::warning(text.part(range), "with `bool` a comparison always has a result")
                .help("a query holds if its result is not empty: remove `bool`"),
        );
    }
    if is_constant(&scan.skeleton) {
        problems.report(
            Problem::warning(text.span.clone(), "this query looks at nothing: it never changes")
                .help("ask for what is well, as in up{job=\"web\"} == 1"),
        );
    } else if is_bare_selector(&text.value, &scan) {
        problems.report(
            Problem::warning(
                text.span.clone(),
                "this query holds as soon as the series exists, whatever its value",
            )
            .help("compare it: … == 1"),
        );
    }
    Some(template)
}

/// Reads the template of a query, whose placeholders stand where they can be nothing but values.
pub(super) fn placed(text: &Text, problems: &mut Problems) -> Option<Template> {
    if text.value.trim().is_empty() {
        problems.report(Problem::error(text.span.clone(), "this query is empty"));
        return None;
    }
    let template = action::template(text, problems)?;
    let scan = scan(&text.value);
    for placeholder in &scan.placeholders {
        let place = || text.part(&placeholder.range);
        let inner = &text.value[placeholder.range.clone()];
        match placeholder.stands {
            Stands::InString => {}
            Stands::InRegex if quotes_regex(inner) => {}
            Stands::InRegex => problems.report(
                Problem::error(place(), "in a regex the value must be quoted by the filter `re`")
                    .help(format!("write {}", with_re(inner))),
            ),
            Stands::InRawString => problems.report(
                Problem::error(place(), "no placeholder can stand between backticks")
                    .help("write the string in double quotes: there the value is escaped"),
            ),
            Stands::Outside => problems.report(
                Problem::error(place(), "a placeholder can only stand in a quoted string").help(
                    "its value would be read as PromQL: match on it, as in \
                         {instance=\"{{ labels.instance }}\"}",
                ),
            ),
        }
    }
    Some(template)
}

/// Tells whether an expression is a metric's name with label matchers and nothing else.
pub(super) fn is_series(query: &str) -> bool {
    is_bare_selector(query, &scan(query))
}

/// Tells whether an expression names no series: numbers, and what makes vectors of them.
fn is_constant(skeleton: &str) -> bool {
    const WORDS: [&str; 14] = [
        "vector", "scalar", "time", "pi", "bool", "and", "or", "unless", "on", "ignoring", "inf",
        "nan", "e", "x",
    ];
    let is_part = |c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':');
    let mut names = skeleton
        .split(is_part)
        .filter(|word| word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == ':'));
    !skeleton.contains('{') && names.all(|name| WORDS.contains(&name.to_lowercase().as_str()))
}

/// Where a placeholder stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    InString,
    InRegex,
    InRawString,
    Outside,
}

#[derive(Debug, PartialEq)]
struct Placeholder {
    range: Range<usize>,
    stands: Stands,
}

#[derive(Debug, Default, PartialEq)]
struct Scan {
    placeholders: Vec<Placeholder>,
    bool_modifier: Option<Range<usize>>,
    /// The query without strings, placeholders and comments.
    skeleton: String,
}

/// Walks through a query once, from its start to its end.
fn scan(query: &str) -> Scan {
    let mut scan = Scan::default();
    let mut at = 0;
    let mut quote: Option<char> = None;
    let mut word_start = 0;
    while let Some(c) = query[at..].chars().next() {
        let rest = &query[at..];
        if let Some(length) = placeholder_length(rest) {
            let range = at..at + length;
            if rest.starts_with("{{") {
                let stands = match quote {
                    None => Stands::Outside,
                    Some('`') => Stands::InRawString,
                    Some(_) if follows_regex_operator(&scan.skeleton) => Stands::InRegex,
                    Some(_) => Stands::InString,
                };
                scan.placeholders.push(Placeholder { range: range.clone(), stands });
            }
            at = range.end;
            word_start = at;
            continue;
        }
        match quote {
            Some(open) if c == open => {
                quote = None;
                scan.skeleton.push('"');
            }
            Some('`') => {}
            Some(_) if c == '\\' => at += rest[1..].chars().next().map_or(0, char::len_utf8),
            Some(_) => {}
            None if c == '#' => {
                at += rest.find('\n').unwrap_or(rest.len()) - 1;
            }
            None if matches!(c, '"' | '\'' | '`') => quote = Some(c),
            None => scan.skeleton.push(c),
        }
        at += c.len_utf8();
        let in_word = quote.is_none() && (c.is_alphanumeric() || c == '_' || c == ':');
        if !in_word {
            word_start = at;
        } else if &query[word_start..at] == "bool"
            && !query[at..].starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
        {
            scan.bool_modifier.get_or_insert(word_start..at);
        }
    }
    scan
}

/// The length of the placeholder, statement or comment of a template that begins here.
fn placeholder_length(rest: &str) -> Option<usize> {
    let end = match rest.get(..2)? {
        "{{" => "}}",
        "{%" => "%}",
        "{#" => "#}",
        _ => return None,
    };
    // The template parses, so each has its end; a `}}` in a string of the placeholder does too.
    rest.find(end).map(|at| at + 2)
}

fn follows_regex_operator(skeleton: &str) -> bool {
    let before = skeleton.trim_end();
    before.ends_with("=~") || before.ends_with("!~")
}

/// Whether the last filter of a placeholder is `re`.
fn quotes_regex(placeholder: &str) -> bool {
    let inner = placeholder.trim_start_matches('{').trim_end_matches('}');
    let inner = inner.trim_matches(|c: char| c == '-' || c == '+' || c.is_whitespace());
    inner.rsplit_once('|').is_some_and(|(_, filter)| filter.trim() == "re")
}

fn with_re(placeholder: &str) -> String {
    let inner = placeholder.trim_start_matches('{').trim_end_matches('}');
    format!("{{{{ {} | re }}}}", inner.trim())
}

/// Whether a query is a metric's name with label matchers and nothing else. `ALERTS` has no
/// interesting value.
fn is_bare_selector(query: &str, scan: &Scan) -> bool {
    let name_end = scan.skeleton.find('{').unwrap_or(scan.skeleton.len());
    let name = scan.skeleton[..name_end].trim();
    let matchers = scan.skeleton[name_end..].trim();
    let is_name = !name.is_empty()
        && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == ':')
        && !name.starts_with(|c: char| c.is_ascii_digit());
    let braces = matchers.is_empty()
        || (matchers.ends_with('}') && matchers.matches(['{', '}']).count() == 2);
    is_name && braces && !query.trim_start().starts_with("ALERTS")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stands(query: &str) -> Vec<Stands> {
        scan(query).placeholders.iter().map(|placeholder| placeholder.stands).collect()
    }

    #[test]
    fn it_is_known_where_a_placeholder_stands() {
        use Stands::{InRawString, InRegex, InString, Outside};
        for (query, wanted) in [
            (r#"up{i="{{ labels.i }}"} == 1"#, vec![InString]),
            ("up{i='{{ labels.i }}'} == 1", vec![InString]),
            (r#"up{i=~"{{ labels.i }}:.*"} == 1"#, vec![InRegex]),
            (r#"up{i !~ "a\"{{ labels.i }}", j="{{ labels.j }}"}"#, vec![InRegex, InString]),
            (r#"up{i=~"x", j="{{ labels.j }}"}"#, vec![InString]),
            ("up{i=`{{ labels.i }}`}", vec![InRawString]),
            ("up > {{ labels.i }}", vec![Outside]),
            ("up # \"\n > {{ labels.i }}", vec![Outside]),
            (r#"up{i="{% if labels.i %}{{ labels.i }}{% endif %}"}"#, vec![InString]),
            (r#"up{i="ä\\"} > {{ labels.i }}"#, vec![Outside]),
            ("up{i=\"\\", vec![]),
            ("#", vec![]),
        ] {
            assert_eq!(stands(query), wanted, "{query}");
        }
    }

    #[test]
    fn the_last_filter_must_quote() {
        for (placeholder, quotes) in [
            ("{{ labels.i | re }}", true),
            ("{{labels.i|host|re}}", true),
            ("{{- labels.i | re -}}", true),
            ("{{ labels.i }}", false),
            ("{{ labels.i | re | upper }}", false),
            ("{{ labels.re }}", false),
        ] {
            assert_eq!(quotes_regex(placeholder), quotes, "{placeholder}");
        }
    }

    #[test]
    fn bool_is_found_as_a_word_outside_of_strings() {
        for (query, found) in [
            ("up == bool 1", true),
            ("up ==bool(1)", true),
            ("my_bool == 1", false),
            ("bool_x == 1", false),
            ("up{a=\"bool\"} == 1", false),
        ] {
            assert_eq!(scan(query).bool_modifier.is_some(), found, "{query}");
        }
    }

    #[test]
    fn a_bare_selector_is_told_from_a_question() {
        for (query, bare) in [
            ("up", true),
            ("up{job=\"web\"}", true),
            (" up{job=\"{{ labels.job }}\"} ", true),
            ("up == 1", false),
            ("absent(up)", false),
            ("up{a=\"b\"} unless down{a=\"b\"}", false),
            ("ALERTS{alertname=\"x\"}", false),
            ("{job=\"x\"}", false),
            ("up[5m]", false),
            ("1", false),
        ] {
            assert_eq!(is_bare_selector(query, &scan(query)), bare, "{query}");
        }
    }
}
