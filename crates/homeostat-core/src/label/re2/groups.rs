//! A regex of which is asked what its groups match.
//!
//! Duty: find the first match, as Go does, and what each group has of it, by number and by name.
//! Not its duty: what is made of it (`relabel`).
//!
//! Source: `regexp` of Go: `FindStringSubmatchIndex`, `SubexpNames`.

use regex::{Captures, Regex};

use super::parse::{self, parse_groups};
use super::{RegexError, SUFFIX, engine, unwrapped};

/// A regex between `^(?:` and `)$`, with its groups.
#[derive(Debug, Clone)]
pub(crate) struct Groups {
    regex: Regex,
    /// Of each number in the regex as it was written: the name, and the number in the engine.
    groups: Vec<(Option<String>, Option<usize>)>,
}

impl Groups {
    /// Compiles a regex. `dot_all` says whether a `.` is a line feed, too.
    pub(crate) fn compile(value: &str, dot_all: bool) -> Result<Self, RegexError> {
        let prefix = if dot_all { "^(?s:" } else { super::PREFIX };
        let (tree, names) = parse_groups(&format!("{prefix}{value}{SUFFIX}"))
            .map_err(|error| unwrapped(value, error))?;
        let regex = engine(value, &tree)?;
        let place = |number| {
            let name = parse::group(number);
            regex.capture_names().position(|found| found == Some(&*name))
        };
        let groups = names.into_iter().enumerate().map(|(number, name)| match number {
            0 => (name, Some(0)),
            _ => (name, place(number)),
        });
        let groups = groups.collect();
        Ok(Self { regex, groups })
    }

    /// Tells whether there is a match.
    pub(crate) fn matches(&self, value: &str) -> bool {
        self.regex.is_match(value)
    }

    /// Returns the first match.
    pub(crate) fn find<'a>(&'a self, value: &'a str) -> Option<Found<'a>> {
        let captures = self.regex.captures(value)?;
        Some(Found { groups: &self.groups, captures })
    }

    /// Returns all matches that do not overlap.
    pub(crate) fn find_all<'a>(&'a self, value: &'a str) -> impl Iterator<Item = Found<'a>> {
        self.regex.captures_iter(value).map(|captures| Found { groups: &self.groups, captures })
    }
}

/// A match.
#[derive(Debug)]
pub(crate) struct Found<'a> {
    groups: &'a [(Option<String>, Option<usize>)],
    captures: Captures<'a>,
}

impl Found<'_> {
    /// The bytes of the whole match.
    pub(crate) fn range(&self) -> std::ops::Range<usize> {
        self.captures.get(0).map_or(0..0, |whole| whole.range())
    }

    /// What the group of this number matches; empty where there is none or it takes no part.
    pub(crate) fn number(&self, number: usize) -> &str {
        let place = self.groups.get(number).and_then(|(_, place)| *place);
        place.and_then(|place| self.captures.get(place)).map_or("", |found| found.as_str())
    }

    /// What the first group of this name matches that takes part; empty where there is none.
    pub(crate) fn name(&self, name: &str) -> &str {
        let named = self.groups.iter().filter(|(own, _)| own.as_deref() == Some(name));
        let mut found = named.filter_map(|(_, place)| self.captures.get((*place)?));
        found.next().map_or("", |found| found.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_match_what_they_match_in_go() {
        for (regex, value, expected) in [
            ("(.*)", "a:80", &["a:80", "a:80"][..]),
            ("(.*):(.*)", "a:b:80", &["a:b:80", "a:b", "80"]),
            ("(.*?):(.*)", "a:b:80", &["a:b:80", "a", "b:80"]),
            ("(?U)(.*):(.*)", "a:b:80", &["a:b:80", "a", "b:80"]),
            ("(?U:(.*?)):(.*)", "a:b:80", &["a:b:80", "a:b", "80"]),
            ("(?:a)(b)(?P<n>c)|(d)", "d", &["d", "", "", "d"]),
            ("(x){0}(a)", "a", &["a", "", "a"]),
            ("(a|(b))+", "ab", &["ab", "b", "b"]),
        ] {
            let groups = Groups::compile(regex, true).unwrap();
            let found = groups.find(value).unwrap();
            let texts: Vec<_> = (0..expected.len()).map(|number| found.number(number)).collect();
            assert_eq!(texts, expected, "{regex} on {value}");
            assert_eq!(found.number(expected.len()), "");
        }
    }

    #[test]
    fn a_name_is_that_of_a_group_that_takes_part() {
        let groups = Groups::compile(r"(?P<host>[^:]+):(?<port>\d+)", true).unwrap();
        let found = groups.find("a:80").unwrap();
        assert_eq!((found.name("host"), found.name("port"), found.name("x")), ("a", "80", ""));
    }

    #[test]
    fn a_dot_is_a_line_feed_where_it_is_asked_to_be() {
        assert!(Groups::compile("a.*", true).unwrap().matches("a\nb"));
        assert!(!Groups::compile("a.*", false).unwrap().matches("a\nb"));
    }

    #[test]
    fn what_re2_refuses_is_refused() {
        for regex in ["(a", "a)", "a**", "(?=a)"] {
            assert!(Groups::compile(regex, true).is_err(), "{regex}");
        }
    }
}
