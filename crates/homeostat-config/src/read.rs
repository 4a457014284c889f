//! Reads single values out of the tree, and says where one is not what it should be.
//!
//! Duty: types, and keys that nobody knows. Not its duty: what the values mean together.

use std::collections::BTreeSet;
use std::ops::Range;

use homeostat_core::time::Span;

use crate::keys::{self, Keys};
use crate::limits;
use crate::nearest::nearest;
use crate::report::{Problem, Severity};
use crate::yaml::{Kind, Node, Scalar};

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Spanned<T> {
    pub(crate) value: T,
    pub(crate) span: Range<usize>,
}

impl<T> Spanned<T> {
    /// The same place, and something else.
    pub(crate) fn map<U>(self, to: impl FnOnce(T) -> U) -> Spanned<U> {
        Spanned { value: to(self.value), span: self.span }
    }
}

/// A text, where it stands, and where its parts stand.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    pub(crate) value: String,
    pub(crate) span: Range<usize>,
    /// Which byte of the text stands at which of the file: one pair for a text that stands there
    /// letter by letter, else one for each word; empty where escapes hide it.
    landmarks: Vec<(usize, usize)>,
}

impl Text {
    fn new(scalar: &Scalar, span: &Range<usize>, source: &str) -> Self {
        let written = source.get(span.clone()).unwrap_or_default();
        let landmarks = match written.find(&scalar.text) {
            Some(at) => vec![(0, span.start + at)],
            None => words(&scalar.text, written)
                .map(|words| words.into_iter().map(|(own, at)| (own, span.start + at)).collect())
                .unwrap_or_default(),
        };
        Self { value: scalar.text.clone(), span: span.clone(), landmarks }
    }

    /// Where a part of the text stands in the file; where escapes hide it, the whole text.
    pub(crate) fn part(&self, part: &Range<usize>) -> Range<usize> {
        let locate = |offset: usize| {
            let after = self.landmarks.partition_point(|(own, _)| *own <= offset);
            let (own, at) = self.landmarks.get(after.checked_sub(1)?)?;
            Some(at + offset - own)
        };
        match (locate(part.start), locate(part.end.saturating_sub(1).max(part.start))) {
            (Some(start), Some(last)) if part.end <= self.value.len() => {
                start..last + usize::from(part.end > part.start)
            }
            _ => self.span.clone(),
        }
    }
}

/// Finds the words of a text that is written with other space between them, as in a block.
fn words(text: &str, written: &str) -> Option<Vec<(usize, usize)>> {
    let mut from = 0;
    let mut words = Vec::new();
    for word in text.split_whitespace() {
        let at = from + written[from..].find(word)?;
        words.push((word.as_ptr() as usize - text.as_ptr() as usize, at));
        from = at + word.len();
    }
    Some(words)
}

/// What a key holds.
#[derive(Debug, Clone, Default)]
pub(crate) enum Field<T> {
    /// The key is not there.
    #[default]
    Absent,
    /// It is there, and its value has been reported as wrong.
    Wrong,
    /// It is there.
    Given(T),
}

impl<T> Field<T> {
    pub(crate) fn given(&self) -> Option<&T> {
        match self {
            Self::Given(value) => Some(value),
            Self::Absent | Self::Wrong => None,
        }
    }

    pub(crate) fn given_owned(self) -> Option<T> {
        match self {
            Self::Given(value) => Some(value),
            Self::Absent | Self::Wrong => None,
        }
    }

    pub(crate) fn as_ref(&self) -> Field<&T> {
        match self {
            Self::Absent => Field::Absent,
            Self::Wrong => Field::Wrong,
            Self::Given(value) => Field::Given(value),
        }
    }

    pub(crate) fn map<U>(self, to: impl FnOnce(T) -> U) -> Field<U> {
        match self {
            Self::Absent => Field::Absent,
            Self::Wrong => Field::Wrong,
            Self::Given(value) => Field::Given(to(value)),
        }
    }

    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

impl<T: Copy> Field<Spanned<T>> {
    pub(crate) fn value_or(&self, default: T) -> T {
        self.given().map_or(default, |spanned| spanned.value)
    }
}

/// Problems as they are found, bounded in number.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    kept: Vec<Problem>,
    errors: usize,
    warnings: usize,
    looks_around: bool,
    needs_files: bool,
    concealed: Vec<Range<usize>>,
}

impl Problems {
    /// Also tells what only this machine shows, and what is worth a thought while one writes.
    pub(crate) fn look_around(&mut self) {
        self.looks_around = true;
    }

    /// Whether that is told.
    pub(crate) fn looks_around(&self) -> bool {
        self.looks_around
    }

    /// What is named is read next, here: a file that is not there is an error.
    pub(crate) fn need_files(&mut self) {
        self.needs_files = true;
    }

    /// Whether it is.
    pub(crate) fn needs_files(&self) -> bool {
        self.needs_files
    }

    /// Keeps a place from being shown: a secret stands there.
    pub(crate) fn conceal(&mut self, place: Range<usize>) {
        self.concealed.push(place);
    }

    /// Whether this place is not to be shown.
    pub(crate) fn is_concealed(&self, place: &Range<usize>) -> bool {
        self.concealed.contains(place)
    }

    /// The places that are not to be shown.
    pub(crate) fn take_concealed(&mut self) -> Vec<Range<usize>> {
        std::mem::take(&mut self.concealed)
    }

    /// Errors and warnings are bounded apart: no flood of warnings may hide that there is an error.
    pub(crate) fn report(&mut self, mut problem: Problem) {
        cut(&mut problem.message);
        problem.help.iter_mut().for_each(cut);
        let count = match problem.severity {
            Severity::Error => &mut self.errors,
            Severity::Warning | Severity::Note => &mut self.warnings,
        };
        if *count < limits::PROBLEMS_KEPT {
            *count += 1;
            self.kept.push(problem);
        }
    }

    /// Whether further errors are not kept, so that looking for them is of no use.
    pub(crate) fn are_too_many(&self) -> bool {
        self.errors >= limits::PROBLEMS_KEPT
    }

    /// Whether something within this place has been reported as wrong.
    pub(crate) fn has_error_in(&self, place: &Range<usize>) -> bool {
        let within = |span: &Range<usize>| place.start <= span.start && span.end <= place.end;
        let errors = self.kept.iter().filter(|problem| problem.severity == Severity::Error);
        errors.filter_map(|problem| problem.span.as_ref()).any(within)
    }

    pub(crate) fn into_vec(self) -> Vec<Problem> {
        self.kept
    }
}

/// Some messages repeat what they are about, which may be the whole file.
fn cut(text: &mut String) {
    if text.len() > limits::MESSAGE_BYTES {
        text.truncate(text.floor_char_boundary(limits::MESSAGE_BYTES));
        text.push('…');
    }
}

/// Reads the values of one text.
pub(crate) struct Reader<'a> {
    pub(crate) source: &'a str,
    pub(crate) problems: Problems,
}

/// One map whose keys have been looked at.
pub(crate) struct Fields<'n> {
    entries: &'n [(Node, Node)],
    keys: &'static Keys,
    /// Where the map stands.
    pub(crate) span: Range<usize>,
    /// Known keys that an unknown one was probably meant to be.
    meant: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// The value of a key.
    pub(crate) fn node(&self, key: &str) -> Option<&'n Node> {
        debug_assert!(self.keys.known.contains(&key), "{key} is not a key of {}", self.keys.of);
        self.entries.iter().find(|(name, _)| name_of(name) == Some(key)).map(|(_, value)| value)
    }

    /// The values of the keys that nobody knows.
    pub(crate) fn strange(&self) -> impl Iterator<Item = &'n Node> {
        let is_known =
            |key: &Node| name_of(key).is_some_and(|name| self.keys.known.contains(&name));
        self.entries.iter().filter(move |(key, _)| !is_known(key)).map(|(_, value)| value)
    }

    /// Reads the value of a key.
    pub(crate) fn read<'a, T>(
        &self,
        reader: &mut Reader<'a>,
        key: &'static str,
        read: impl FnOnce(&mut Reader<'a>, &Node) -> Option<T>,
    ) -> Field<T> {
        let Some(node) = self.node(key) else {
            return if self.meant.contains(&key) { Field::Wrong } else { Field::Absent };
        };
        match &node.kind {
            Kind::Scalar(scalar) if scalar.is_nothing() => {
                let problem = Problem::error(self.key_span(key), format!("`{key}` has no value"));
                reader.problems.report(problem.help("write a value, or leave the key out"));
                Field::Wrong
            }
            Kind::Scalar(_) | Kind::List(_) | Kind::Map(_) => {
                read(reader, node).map_or(Field::Wrong, Field::Given)
            }
        }
    }

    fn key_span(&self, key: &str) -> Range<usize> {
        let found = self.entries.iter().find(|(name, _)| name_of(name) == Some(key));
        found.map_or_else(|| self.span.clone(), |(name, _)| name.span.clone())
    }
}

pub(crate) fn name_of(node: &Node) -> Option<&str> {
    match &node.kind {
        Kind::Scalar(scalar) => Some(&scalar.text),
        Kind::List(_) | Kind::Map(_) => None,
    }
}

impl<'a> Reader<'a> {
    pub(crate) fn new(source: &'a str) -> Self {
        Self { source, problems: Problems::default() }
    }

    /// Reports that a value is of another kind than wanted.
    pub(crate) fn wrong<T>(&mut self, node: &Node, wanted: &str, help: Option<&str>) -> Option<T> {
        let message = format!("expected {wanted}, found {}", node.describe());
        let problem = Problem::error(node.span.clone(), message);
        self.problems.report(match help.or_else(|| self.quoting_help(node)) {
            Some(help) => problem.help(help),
            None => problem,
        });
        None
    }

    /// YAML takes a placeholder that is not quoted for a map of a map.
    pub(crate) fn is_unquoted(&self, node: &Node) -> bool {
        matches!(node.kind, Kind::Map(_))
            && self.source.get(node.span.clone()).is_some_and(|text| text.starts_with("{{"))
    }

    fn quoting_help(&self, node: &Node) -> Option<&'static str> {
        let unquoted = self.is_unquoted(node);
        unquoted.then_some("a text with a placeholder must be quoted: \"{{ labels.instance }}\"")
    }

    /// Looks at the keys of a map: reports those that nobody knows, all of them.
    pub(crate) fn fields<'n>(&mut self, node: &'n Node, keys: &'static Keys) -> Option<Fields<'n>> {
        let Kind::Map(entries) = &node.kind else {
            let help = format!("{} is a map of: {}", keys.of, keys.known.join(", "));
            return self.wrong(node, &format!("{} as a map", keys.of), Some(&help));
        };
        let mut fields = Fields { entries, keys, span: node.span.clone(), meant: Vec::new() };
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        for (key, value) in entries {
            if self.problems.are_too_many() {
                break;
            }
            let Some(name) = name_of(key) else {
                self.wrong::<()>(key, "a key", None);
                continue;
            };
            if !seen.insert(name) {
                let problem = Problem::error(key.span.clone(), format!("`{name}` is given twice"));
                self.problems.report(problem.help("remove one of them"));
            } else if keys.later.contains(&name) {
                let problem =
                    Problem::error(key.span.clone(), format!("`{name}` is not built yet"));
                self.problems.report(problem.help(
                    "remove it: an engine that ignored it would be less careful than it says",
                ));
            } else if !keys.known.contains(&name) {
                fields.meant.extend(self.unknown(key, name, value, keys));
            }
        }
        Some(fields)
    }

    /// Reports an unknown key; returns the known one that was probably meant.
    fn unknown(
        &mut self,
        key: &Node,
        name: &str,
        value: &Node,
        keys: &'static Keys,
    ) -> Option<&'static str> {
        let shown: String = name.chars().take(limits::NAME_CHARS).collect();
        let problem =
            Problem::error(key.span.clone(), format!("unknown key {shown:?} in {}", keys.of));
        let (meant, help) = meaning(name, value, keys);
        self.problems.report(problem.help(help));
        meant
    }

    fn scalar<'n>(&mut self, node: &'n Node, wanted: &str) -> Option<&'n Scalar> {
        match &node.kind {
            Kind::Scalar(scalar) if !scalar.is_nothing() => Some(scalar),
            Kind::Scalar(_) | Kind::List(_) | Kind::Map(_) => self.wrong(node, wanted, None),
        }
    }

    /// Reads a text. A number or a truth value that is not quoted is taken as it is written:
    /// nobody who writes `[sleep, 5]` means anything else.
    pub(crate) fn text(&mut self, node: &Node) -> Option<Text> {
        let scalar = self.scalar(node, "a text")?;
        Some(Text::new(scalar, &node.span, self.source))
    }

    /// Reads a text that is never shown.
    pub(crate) fn secret(&mut self, node: &Node) -> Option<Text> {
        self.problems.conceal(node.span.clone());
        self.text(node)
    }

    /// Keeps a URL from being shown that has a password in it, as it must not.
    pub(crate) fn hide_credentials(&mut self, url: &Text) {
        if url.value.contains('@') {
            self.problems.conceal(url.span.clone());
        }
    }

    /// Reads `true` or `false`.
    pub(crate) fn flag(&mut self, node: &Node) -> Option<Spanned<bool>> {
        let scalar = self.scalar(node, "true or false")?;
        let value = match scalar.text.as_str() {
            "true" if scalar.plain => true,
            "false" if scalar.plain => false,
            _ => return self.wrong(node, "true or false", Some("write true or false, unquoted")),
        };
        Some(Spanned { value, span: node.span.clone() })
    }

    /// Reads a whole number that is not negative.
    pub(crate) fn count(&mut self, node: &Node) -> Option<Spanned<u32>> {
        let scalar = self.scalar(node, "a whole number")?;
        let digits = !scalar.text.is_empty() && scalar.text.bytes().all(|b| b.is_ascii_digit());
        match scalar.text.parse() {
            Ok(value) if scalar.plain && digits => Some(Spanned { value, span: node.span.clone() }),
            Ok(_) | Err(_) => {
                let message = format!("{:?} is not a whole number from 0 to 2³²-1", scalar.text);
                self.problems.report(Problem::error(node.span.clone(), message));
                None
            }
        }
    }

    /// Reads a Prometheus duration.
    pub(crate) fn duration(&mut self, node: &Node) -> Option<Spanned<Span>> {
        let scalar = self.scalar(node, "a duration")?;
        match scalar.text.parse() {
            Ok(value) => Some(Spanned { value, span: node.span.clone() }),
            Err(error) => {
                let error: homeostat_core::time::ParseSpanError = error;
                let problem = Problem::error(node.span.clone(), error.to_string());
                let digits = scalar.text.bytes().all(|b| b.is_ascii_digit());
                self.problems.report(if digits && !scalar.text.is_empty() {
                    problem.help(format!("a duration has a unit: write {}s", scalar.text))
                } else {
                    problem.help("durations are Prometheus's: 30s, 5m, 1h30m, 2d")
                });
                None
            }
        }
    }

    /// Reads a list, and reports all of its elements that are wrong.
    pub(crate) fn list<T>(
        &mut self,
        node: &Node,
        wanted: &str,
        help: impl FnOnce(&Node) -> Option<String>,
        mut read: impl FnMut(&mut Self, &Node) -> Option<T>,
    ) -> Option<Spanned<Vec<T>>> {
        let Kind::List(items) = &node.kind else {
            let help = help(node);
            return self.wrong(node, wanted, help.as_deref());
        };
        let read: Vec<T> = items.iter().filter_map(|item| read(self, item)).collect();
        (read.len() == items.len()).then(|| Spanned { value: read, span: node.span.clone() })
    }

    /// Reads a list of texts.
    pub(crate) fn texts(&mut self, node: &Node, key: &str) -> Option<Spanned<Vec<Text>>> {
        let help = |node: &Node| match &node.kind {
            Kind::Scalar(scalar) => Some(format!("write a list: {key}: [{:?}]", scalar.text)),
            Kind::List(_) | Kind::Map(_) => None,
        };
        self.list(node, "a list of texts", help, Self::text)
    }
}

/// Writes the pairs of an Alertmanager's `match` or `match_re` as matchers.
pub(crate) fn matchers_of(key: &str, value: &Node) -> Option<String> {
    let op = match key {
        "match" | "matchers" | "match_labels" | "labels" | "matcher" => "=",
        "match_re" => "=~",
        _ => return None,
    };
    let Kind::Map(entries) = &value.kind else { return None };
    let pairs: Option<Vec<String>> = entries
        .iter()
        .take(8)
        .map(|(name, value)| Some(format!("'{}{op}{:?}'", name_of(name)?, name_of(value)?)))
        .collect();
    pairs.map(|pairs| format!("write matchers: [{}]", pairs.join(", ")))
}

/// Guesses what an unknown key was meant to be: the known key, and help.
fn meaning(name: &str, value: &Node, keys: &'static Keys) -> (Option<&'static str>, String) {
    if let Some(habit) = keys.habit(name) {
        let meant = keys.known.iter().find(|known| **known == habit.meant).copied();
        let help = matchers_of(name, value).unwrap_or_else(|| habit.help.to_owned());
        return (meant, help);
    }
    if name == "<<" {
        return (None, "merge keys are not YAML 1.2: write the keys out".into());
    }
    let all = keys.known.iter().chain(keys.later).copied();
    if let Some(meant) = nearest(name, all) {
        return (Some(meant), format!("did you mean {meant:?}?"));
    }
    if let Some(home) = keys::home(name) {
        return (None, format!("`{name}` belongs to {home}"));
    }
    (None, format!("{} has: {}", keys.of, keys.known.join(", ")))
}
