//! Files of policy tests: from the text to steps and expectations.
//!
//! ```text
//!  text ──▶ tree ──▶ config_file ──▶ book ──┬─▶ steps ─────────┬─▶ PolicyTests
//!                                           └─▶ expectations ──┘
//! ```
//!
//! All errors of a file are found at once, as in a configuration. Not its duty: playing the steps
//! and comparing.

mod answer;
mod ending;
mod expect;
pub(crate) mod keys;
mod step;
mod word;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use homeostat_core::label::LabelSet;
use homeostat_core::name::{PolicyName, SourceName};
use homeostat_core::policy::Book;
use homeostat_core::scenario::Step;
use homeostat_core::time::{Span, Timestamp};

pub use expect::{Check, Expectation, STATES, Selection, TOPICS, WantedNotice, WantedOrder};

use crate::config::Config;
use crate::read::{Field, Fields, Reader, Spanned, Text};
use crate::report::{Problem, Report};
use crate::yaml::{Kind, Node};
use crate::{limits, yaml};

/// A file of policy tests that has been checked.
#[derive(Debug)]
pub struct PolicyTests {
    /// The name of the file.
    pub name: String,
    /// Its text, for showing places in it.
    pub text: String,
    /// The policies under test.
    pub book: Arc<Book>,
    /// The tests, in file order.
    pub tests: Vec<PolicyTest>,
}

/// One test.
#[derive(Debug)]
pub struct PolicyTest {
    /// Its name, unique in the file.
    pub name: String,
    /// Where its name stands.
    pub span: Range<usize>,
    /// When it begins.
    pub start: Timestamp,
    /// What happens, in order, each with its place.
    pub steps: Vec<(Step, Range<usize>)>,
    /// What is expected, in order.
    pub expectations: Vec<Expectation>,
}

/// When a test begins that does not say so: a Monday morning.
pub const START: &str = "2026-01-05T09:00:00Z";

/// What the readers of steps and expectations need to know of the file around them.
struct Setting {
    /// Paths are meant from here.
    directory: PathBuf,
    /// Whose webhook an alert comes from that does not say.
    source: SourceName,
    /// The names that the configurations have: of policies, and of remedies.
    policies: BTreeSet<String>,
    remedies: BTreeSet<String>,
    /// What is wrong with the configurations.
    reports: Vec<Report>,
}

/// Reads and checks a file of policy tests, and the configurations that it names.
///
/// # Errors
///
/// The file cannot be read, or it or a configuration has errors: a report for each such file.
pub fn load(path: &Path) -> Result<PolicyTests, Vec<Report>> {
    let text = crate::gather::read_text(path).map_err(|report| vec![report])?;
    parse(&path.display().to_string(), text)
}

/// Checks the text of a file of policy tests. Paths in it are meant from the directory of the file
/// that `name` says.
///
/// # Errors
///
/// It or a configuration has errors: a report for each such file.
pub fn parse(name: &str, text: String) -> Result<PolicyTests, Vec<Report>> {
    if text.len() > limits::FILE_BYTES {
        let message = format!("larger than {} MiB", limits::FILE_BYTES / (1024 * 1024));
        return Err(vec![Report::new(name, "", vec![Problem::of_file(message)])]);
    }
    let mut setting = Setting {
        directory: Path::new(name).parent().unwrap_or(Path::new("")).to_owned(),
        source: SourceName::new("alertmanager"),
        policies: BTreeSet::new(),
        remedies: BTreeSet::new(),
        reports: Vec::new(),
    };
    let mut reader = Reader::new(&text);
    let read = match yaml::parse(&text) {
        Ok(Some(document)) => file(&mut reader, &document, &mut setting),
        Ok(None) => {
            reader.problems.report(Problem::of_file("there are no tests in it"));
            None
        }
        Err(problem) => return Err(vec![Report::new(name, &text, vec![problem])]),
    };
    let report = Report::new(name, &text, reader.problems.into_vec());
    let mut reports: Vec<Report> = if report.errors() > 0 { vec![report] } else { Vec::new() };
    reports.append(&mut setting.reports);
    match read {
        Some((book, tests)) if reports.is_empty() => {
            Ok(PolicyTests { name: name.to_owned(), text, book, tests })
        }
        Some(_) | None => Err(reports),
    }
}

fn file(
    reader: &mut Reader<'_>,
    node: &Node,
    setting: &mut Setting,
) -> Option<(Arc<Book>, Vec<PolicyTest>)> {
    let fields = reader.fields(node, &keys::FILE)?;
    let config = fields.read(reader, "config_file", |reader, node| config(reader, node, setting));
    if config.is_absent() {
        let problem = Problem::error(fields.span.clone(), "this file has no `config_file`");
        reader
            .problems
            .report(problem.help("name the policies to test: config_file: homeostat.yml"));
    }
    if let Some(first) = config.given().and_then(|config| config.sources.alertmanagers.first()) {
        setting.source = first.name.clone();
    }
    let tests = fields.read(reader, "tests", |reader, node| {
        maps(reader, node, "a list of tests", |reader, node| test(reader, node, setting))
    });
    let no_tests = match &tests {
        Field::Absent => Some(fields.span.clone()),
        Field::Given(tests) if tests.value.is_empty() => Some(tests.span.clone()),
        Field::Given(_) | Field::Wrong => None,
    };
    if let Some(span) = no_tests {
        reader.problems.report(Problem::error(span, "there are no `tests` in this file"));
    }
    let (config, tests) = (taken(config)?, taken(tests)?.value);
    check_names(reader, &tests);
    Some((Arc::new(config.book), tests))
}

/// Reads the configuration of which the file names one file or several, and remembers its names.
fn config(reader: &mut Reader<'_>, node: &Node, setting: &mut Setting) -> Option<Config> {
    let files = match &node.kind {
        Kind::List(_) => reader.texts(node, "config_file")?.value,
        Kind::Scalar(_) | Kind::Map(_) => vec![reader.text(node)?],
    };
    if files.is_empty() {
        let problem = Problem::error(node.span.clone(), "this list names no file");
        reader.problems.report(problem.help("write config_file: [homeostat.yml]"));
        return None;
    }
    let paths: Vec<PathBuf> =
        files.iter().map(|file| setting.directory.join(&file.value)).collect();
    match crate::load::load(&paths) {
        Ok(config) => {
            for policy in config.book.policies() {
                setting.policies.insert(policy.name.to_string());
                setting.remedies.extend(policy.remedies.iter().map(|r| r.name.to_string()));
            }
            Some(config)
        }
        Err(report) => {
            let message = format!("the configuration {} cannot be used", report.name());
            reader.problems.report(Problem::error(node.span.clone(), message));
            if !setting.reports.contains(&report) {
                setting.reports.push(report);
            }
            None
        }
    }
}

fn check_names(reader: &mut Reader<'_>, tests: &[PolicyTest]) {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for test in tests {
        if !test.name.is_empty() && !seen.insert(&test.name) {
            let message = format!("a second test is named {:?}", test.name);
            let problem = Problem::error(test.span.clone(), message);
            reader.problems.report(problem.help("names are unique in a file"));
        }
    }
}

fn test(reader: &mut Reader<'_>, node: &Node, setting: &mut Setting) -> Option<PolicyTest> {
    let fields = reader.fields(node, &keys::TEST)?;
    let name = fields.read(reader, "name", Reader::text);
    if name.is_absent() || name.given().is_some_and(|name| name.value.trim().is_empty()) {
        let problem = Problem::error(fields.span.clone(), "this test has no `name`");
        reader.problems.report(problem.help("say what it shows: name: a restart heals it"));
    }
    let start = fields.read(reader, "start", moment);
    let steps = fields.read(reader, "steps", |reader, node| {
        maps(reader, node, "a list of steps", |reader, node| step::read(reader, node, setting))
    });
    let expectations = fields.read(reader, "expect", |reader, node| {
        maps(reader, node, "a list of expectations", |reader, node| {
            expect::read(reader, node, setting)
        })
    });
    let nothing = match &expectations {
        Field::Absent => true,
        Field::Given(list) => list.value.is_empty(),
        Field::Wrong => false,
    };
    if nothing {
        let problem = Problem::error(fields.span.clone(), "this test expects nothing");
        reader.problems.report(problem.help("add expect: [{ eval_time: 1s, exp_state: acting }]"));
    }
    let steps = taken(steps).map_or_else(Vec::new, |list| list.value);
    let expectations = taken(expectations).map_or_else(Vec::new, |list| list.value);
    check_order(reader, steps.iter().map(|(step, span)| (step.at, span)), "at", "step");
    let times = expectations.iter().map(|expected| (expected.at, &expected.span));
    check_order(reader, times, "eval_time", "expectation");
    check_end(reader, &steps, &expectations);
    let span = name.given().map_or(&fields.span, |name| &name.span).clone();
    Some(PolicyTest {
        name: taken(name).map_or_else(String::new, |name| name.value),
        span,
        start: start.given().map_or_else(default_start, |start| start.value),
        steps,
        expectations,
    })
}

fn default_start() -> Timestamp {
    START.parse().expect("the default start is a time")
}

/// Time only goes forwards, and a file is read from its top.
fn check_order<'a>(
    reader: &mut Reader<'_>,
    times: impl Iterator<Item = (Span, &'a Range<usize>)>,
    key: &str,
    kind: &str,
) {
    let mut before = Span::ZERO;
    for (at, span) in times {
        if at > limits::TEST_TIME {
            let message = format!("{key}: {at} is later than {}", limits::TEST_TIME);
            reader.problems.report(Problem::error(span.clone(), message));
        } else if at < before {
            let message = format!("this {kind} at {at} stands after one at {before}");
            let problem = Problem::error(span.clone(), message);
            reader.problems.report(problem.help(format!("sort them by `{key}`")));
        }
        before = before.max(at);
    }
}

/// What happens after the last look is never seen.
fn check_end(
    reader: &mut Reader<'_>,
    steps: &[(Step, Range<usize>)],
    expectations: &[Expectation],
) {
    let Some(last) = expectations.iter().map(|expected| expected.at).max() else { return };
    if let Some((step, span)) = steps.iter().find(|(step, _)| step.at > last) {
        let message =
            format!("this step comes at {}, and nothing is expected after {last}", step.at);
        let problem = Problem::error(span.clone(), message);
        reader.problems.report(problem.help("add an expectation after it, or remove it"));
    }
}

fn taken<T>(field: Field<T>) -> Option<T> {
    match field {
        Field::Given(value) => Some(value),
        Field::Absent | Field::Wrong => None,
    }
}

/// Reads a list of maps; a wrong one is left out, so that the others are still checked.
fn maps<T>(
    reader: &mut Reader<'_>,
    node: &Node,
    wanted: &str,
    mut read: impl FnMut(&mut Reader<'_>, &Node) -> Option<T>,
) -> Option<Spanned<Vec<T>>> {
    let help = |node: &Node| match &node.kind {
        Kind::Map(_) => Some("begin each element with `- `".to_owned()),
        Kind::Scalar(_) | Kind::List(_) => None,
    };
    let list = reader.list(node, wanted, help, |reader, node| Some(read(reader, node)))?;
    Some(Spanned { value: list.value.into_iter().flatten().collect(), span: list.span })
}

/// Reads a moment.
fn moment(reader: &mut Reader<'_>, node: &Node) -> Option<Spanned<Timestamp>> {
    let text = reader.text(node)?;
    match text.value.parse() {
        Ok(value) => Some(Spanned { value, span: text.span }),
        Err(error) => {
            let error: homeostat_core::time::ParseTimestampError = error;
            let problem = Problem::error(text.span, error.to_string());
            reader.problems.report(problem.help(format!("write it as in {START}")));
            None
        }
    }
}

/// Reads labels with their values; nothing stands for none.
fn labels(reader: &mut Reader<'_>, node: &Node) -> Option<LabelSet> {
    let Kind::Map(entries) = &node.kind else {
        return reader.wrong(node, "labels as a map", Some("write { alertname: Down, job: web }"));
    };
    let mut pairs: Vec<(String, String)> = Vec::new();
    for (key, value) in entries {
        let (name, value) = (reader.text(key)?, reader.text(value)?);
        if pairs.iter().any(|(known, _)| *known == name.value) {
            let problem = Problem::error(name.span, format!("`{}` is given twice", name.value));
            reader.problems.report(problem.help("remove one of them"));
            return None;
        }
        pairs.push((name.value, value.value));
    }
    Some(LabelSet::from_pairs(pairs))
}

impl Setting {
    /// Reads the name of a policy that there is.
    fn policy(&self, reader: &mut Reader<'_>, node: &Node) -> Option<PolicyName> {
        let text = known(reader, node, "policy", &self.policies)?;
        Some(PolicyName::new(text.value))
    }
}

/// Reads a name that must be among those of the configuration. Where there are none the
/// configuration is wrong, and has been reported.
fn known(
    reader: &mut Reader<'_>,
    node: &Node,
    kind: &str,
    names: &BTreeSet<String>,
) -> Option<Text> {
    let text = reader.text(node)?;
    if names.is_empty() || names.contains(&text.value) {
        return Some(text);
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    reader.problems.report(word::no_such(&text.value, text.span.clone(), kind, &names));
    None
}

/// Finds the one key of several that is there.
fn only(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    of: &[&'static str],
    subject: &str,
) -> Option<&'static str> {
    let given: Vec<&'static str> =
        of.iter().copied().filter(|k| fields.node(k).is_some()).collect();
    match given.as_slice() {
        [key] => return Some(key),
        // An unknown key has been reported, and was probably meant to be one of these.
        [] if reader.problems.has_error_in(&fields.span) => {}
        [] => {
            let problem = Problem::error(fields.span.clone(), format!("{subject} nothing"));
            reader.problems.report(problem.help(format!("it is one of: {}", of.join(", "))));
        }
        [first, second, ..] => {
            let message = format!("{subject} one thing, and here are `{first}` and `{second}`");
            reader.problems.report(Problem::error(fields.span.clone(), message));
        }
    }
    None
}

/// Reads a key that says something by being there.
fn yes(reader: &mut Reader<'_>, fields: &Fields<'_>, key: &'static str) -> Option<()> {
    let flag = taken(fields.read(reader, key, Reader::flag))?;
    if flag.value {
        return Some(());
    }
    let problem = Problem::error(flag.span, format!("`{key}: false` says nothing"));
    reader.problems.report(problem.help(format!("write {key}: true, or leave it out")));
    None
}
