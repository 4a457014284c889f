//! What is wrong with a configuration, shown where it stands.
//!
//! Duty: keep problems with their places, and show them: for a person with file, line, column,
//! the line itself, a caret and a hint; for a machine as rows. Not its duty: finding them.
//!
//! ```text
//! error: unknown key "exce" in a remedy
//!  --> homeostat.yml:6:28
//!   |
//! 6 |     remedies: [{ name: a, exce: [reboot] }]
//!   |                           ^^^^
//!   |
//!   = help: did you mean "exec"?
//! ```

use std::fmt::{self, Write as _};
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

use crate::files::Files;
use crate::limits;

/// Bytes of a line that are kept before and after the beginning of a problem.
const LINE_BYTES: usize = 1024;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can be used, and probably does not do what was meant.
    Warning,
    /// It does what is said there, which may not be expected.
    Note,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in lower case.
    pub message: String,
    /// The bytes of the text that are meant; `None` where it is the file as a whole.
    pub span: Option<Range<usize>>,
    /// The file that is meant as a whole, where it is one of several.
    pub file: Option<Box<str>>,
    /// Where the first of two stands of which only one may be.
    pub first: Option<Range<usize>>,
    /// How it is put right.
    pub help: Option<String>,
}

impl Problem {
    /// An error at a place.
    pub fn error(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span: Some(span), ..Self::of_file(message) }
    }

    /// An error of the file as a whole.
    pub fn of_file(message: impl Into<String>) -> Self {
        let (severity, message) = (Severity::Error, message.into());
        Self { severity, message, span: None, file: None, first: None, help: None }
    }

    /// A warning at a place.
    pub fn warning(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(span, message) }
    }

    /// A note at a place.
    pub fn note(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Note, ..Self::error(span, message) }
    }

    /// A warning about the file as a whole.
    pub fn warning_of_file(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::of_file(message) }
    }

    /// A note about the file as a whole.
    pub fn note_of_file(message: impl Into<String>) -> Self {
        Self { severity: Severity::Note, ..Self::of_file(message) }
    }

    /// Adds which of several files is meant as a whole.
    #[must_use]
    pub(crate) fn named(mut self, file: &str) -> Self {
        self.file = Some(file.into());
        self
    }

    /// Adds where the first of two stands; it is told where that is in another file.
    #[must_use]
    pub(crate) fn first_at(mut self, place: Range<usize>) -> Self {
        self.first = Some(place);
        self
    }

    /// Adds how it is put right.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// One problem for a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// How bad it is.
    pub severity: Severity,
    /// The name of the file.
    pub file: String,
    /// Counted from 1; absent where the file as a whole is meant.
    pub line: Option<usize>,
    /// Counted in characters from 1; absent where the file as a whole is meant.
    pub column: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// How it is put right.
    pub help: Option<String>,
}

/// Problems of one text, in the order of their places; it prints for a person.
///
/// It keeps the lines that have problems and not the whole text: configurations are large, and
/// hold secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    name: String,
    problems: Vec<Problem>,
    /// Where each problem stands, in the same order.
    excerpts: Vec<Option<Excerpt>>,
    unreadable: bool,
}

impl Report {
    /// Collects problems of a text that goes by this name.
    pub fn new(name: &str, text: &str, problems: Vec<Problem>) -> Self {
        Self::of(name, &Files::one(name, ""), text, problems)
    }

    /// Collects problems of files that are together called by this name. The text is theirs, as it
    /// may be shown.
    pub(crate) fn of(name: &str, files: &Files, text: &str, mut problems: Vec<Problem>) -> Self {
        problems.sort_by(|a, b| place(a).cmp(&place(b)));
        problems.dedup();
        let lines = Lines::of(text);
        let excerpt = |span: &Range<usize>| {
            let (file, start) = files.of(span);
            lines.excerpt(text, &clamp(text, span), (file, start))
        };
        for problem in &mut problems {
            let (Some(span), Some(first)) = (&problem.span, problem.first.take()) else { continue };
            let first = excerpt(&first);
            if first.file != files.of(span).0 {
                let help = problem.help.iter().map(String::as_str);
                let Excerpt { file, line, column, .. } = first;
                let first = format!("the first stands at {file}:{line}:{column}");
                problem.help = Some(help.chain([&*first]).collect::<Vec<_>>().join("; "));
            }
        }
        let excerpts = problems.iter().map(|problem| Some(excerpt(problem.span.as_ref()?)));
        let excerpts = excerpts.collect();
        Self { name: name.to_owned(), problems, excerpts, unreadable: false }
    }

    /// Says that not all could be read, so that nothing is known about validity.
    pub(crate) fn with_unread(self) -> Self {
        Self { unreadable: true, ..self }
    }

    /// Says that there is no text: the file could not be read.
    pub(crate) fn unread(name: &str, why: &str) -> Self {
        let problem = Problem::of_file(format!("cannot be read: {why}"));
        Self::new(name, "", vec![problem]).with_unread()
    }

    /// Whether a file could not be read, so that nothing is known about validity.
    pub fn is_unreadable(&self) -> bool {
        self.unreadable
    }

    /// The name of the file, or of all of them.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The problems, in the order of their places.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// How many errors there are.
    pub fn errors(&self) -> usize {
        self.problems.iter().filter(|problem| problem.severity == Severity::Error).count()
    }

    /// How many warnings there are.
    pub fn warnings(&self) -> usize {
        self.problems.iter().filter(|problem| problem.severity == Severity::Warning).count()
    }

    /// The problems for a machine.
    pub fn rows(&self) -> Vec<Row> {
        let both = self.problems.iter().zip(&self.excerpts);
        both.map(|(problem, excerpt)| Row {
            severity: problem.severity,
            file: self.file(problem, excerpt.as_ref()).to_owned(),
            line: excerpt.as_ref().map(|excerpt| excerpt.line),
            column: excerpt.as_ref().map(|excerpt| excerpt.column),
            message: problem.message.clone(),
            help: problem.help.clone(),
        })
        .collect()
    }

    fn file<'a>(&'a self, problem: &'a Problem, excerpt: Option<&'a Excerpt>) -> &'a str {
        match (excerpt, &problem.file) {
            (Some(excerpt), _) => &excerpt.file,
            (None, Some(file)) => file,
            (None, None) => &self.name,
        }
    }

    /// The problems for a person, in color.
    pub fn styled(&self) -> String {
        self.render(&Renderer::styled())
    }

    fn render(&self, renderer: &Renderer) -> String {
        let mut out = String::new();
        let mut both: Vec<_> = self.problems.iter().zip(&self.excerpts).collect();
        if both.len() > limits::PROBLEMS_SHOWN {
            // What is cut must not be the error among many warnings.
            both.sort_by_key(|(problem, _)| problem.severity);
        }
        for (problem, excerpt) in both.into_iter().take(limits::PROBLEMS_SHOWN) {
            out.push_str(&self.render_one(renderer, problem, excerpt.as_ref()));
            out.push_str("\n\n");
        }
        if let Some(more @ 1..) = self.problems.len().checked_sub(limits::PROBLEMS_SHOWN) {
            let _ = writeln!(out, "… and {more} more problems");
        }
        out.truncate(out.trim_end().len());
        out
    }

    fn render_one(
        &self,
        renderer: &Renderer,
        problem: &Problem,
        excerpt: Option<&Excerpt>,
    ) -> String {
        let level = match problem.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let help = problem.help.as_deref().map(|help| Level::HELP.message(help));
        let Some(excerpt) = excerpt else {
            let message = format!("{}: {}", self.file(problem, None), problem.message);
            let title = Group::with_title(level.primary_title(message));
            return renderer.render(&[title.elements(help)]);
        };
        let snippet = Snippet::source(excerpt.text.as_str())
            .line_start(excerpt.line)
            .path(excerpt.file.as_str())
            .annotation(AnnotationKind::Primary.span(excerpt.span.clone()));
        let title = level.primary_title(problem.message.as_str());
        renderer.render(&[title.element(snippet).elements(help)])
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(&Renderer::plain()))
    }
}

impl std::error::Error for Report {}

fn place(problem: &Problem) -> (usize, Severity, usize, &str) {
    let span = problem.span.clone().unwrap_or(0..0);
    (span.start, problem.severity, span.end, &problem.message)
}

/// Moves a span to where it can be shown: within the text, on character boundaries, and no
/// further than the end of its first line, because a caret under a whole block says nothing.
fn clamp(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = text.floor_char_boundary(span.start);
    let end = text.ceil_char_boundary(span.end).max(start);
    start..text[start..end].find(['\n', '\r']).map_or(end, |at| start + at)
}

/// The line in which a problem stands.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Excerpt {
    file: String,
    text: String,
    /// Counted from 1, in the file.
    line: usize,
    /// Counted in characters from 1.
    column: usize,
    /// The problem's place in `text`.
    span: Range<usize>,
}

/// Where the lines of a text begin.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self(std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect())
    }

    /// The line of a place; only a part of it if it is too long to be read.
    fn excerpt(&self, text: &str, span: &Range<usize>, (file, at): (&str, usize)) -> Excerpt {
        let number = |place: usize| self.0.partition_point(|start| *start <= place);
        let (line, first) = (number(span.start).saturating_sub(1), number(at).saturating_sub(1));
        let start = self.0[line];
        let column = text[start..span.start].chars().count() + 1;
        let start = start.max(text.floor_char_boundary(span.start.saturating_sub(LINE_BYTES)));
        let end = text.ceil_char_boundary(span.start + LINE_BYTES);
        let end = text[span.start..end].find(['\n', '\r']).map_or(end, |at| span.start + at);
        Excerpt {
            text: text[start..end].to_owned(),
            file: file.to_owned(),
            line: line - first + 1,
            column,
            span: span.start - start..span.end.min(end) - start,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_shows_file_line_column_the_line_a_caret_and_help() {
        let text = "a: 1\r\nä: bé\nc: 3\n";
        let at = text.find('b').unwrap();
        let problem = Problem::error(at..at + 3, "no b here").help("write c");
        let report = Report::new("f.yml", text, vec![problem]);
        insta::assert_snapshot!(report, @r#"
        error: no b here
         --> f.yml:2:4
          |
        2 | ä: bé
          |    ^^
          |
          = help: write c
        "#);
        let rows = report.rows();
        assert_eq!((rows[0].line, rows[0].column), (Some(2), Some(4)));
    }

    #[test]
    fn no_place_can_break_it() {
        for text in ["", "é", "a\nb", "\r\n\r\n", "a\n", "\u{feff}a: b"] {
            for start in 0..6 {
                for end in 0..9 {
                    let problem = Problem::error(start..end, "x");
                    let report = Report::new("f", text, vec![problem]);
                    assert!(report.to_string().contains("error: x"), "{text:?} {start} {end}");
                    assert!(report.styled().contains('x'));
                    assert_eq!(report.rows().len(), 1);
                }
            }
        }
    }

    #[test]
    fn a_file_without_a_place_is_named() {
        let report =
            Report::new("f.yml", "", vec![Problem::of_file("cannot be read").help("chmod")]);
        insta::assert_snapshot!(report, @r#"
        error: f.yml: cannot be read
         |
         = help: chmod
        "#);
    }

    #[test]
    fn a_flood_of_problems_is_cut() {
        let text = "x\n".repeat(1000);
        let problems = (0..1000).map(|n| Problem::error(n * 2..n * 2 + 1, "bad")).collect();
        let shown = Report::new("f", &text, problems).to_string();
        assert!(shown.ends_with("… and 950 more problems"), "{shown}");
        let warnings = (0..999).map(|n| Problem::warning(n * 2..n * 2 + 1, "odd"));
        let problems = warnings.chain([Problem::error(1998..1999, "bad")]).collect();
        let shown = Report::new("f", &text, problems).to_string();
        assert!(shown.starts_with("error: bad"), "{shown}");
    }
}
