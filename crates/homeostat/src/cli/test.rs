//! `homeostat test`: do the policies do what their tests say?

mod junit;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use regex::Regex;
use serde::Serialize;

use super::plain::plain;
use super::{Exit, Output, Streams, answered, counted, write_json};
use crate::policy_test::{self, Line, Outcome};
use homeostat_config::policy_test::{self as grammar, PolicyTests};
use homeostat_config::{Report, Row};

/// Run unit tests of policies
///
/// Each test plays alerts, answers and exits on the engine, in virtual time, and compares what the
/// policies do with what is expected. Nothing is started and nobody is asked. A test that fails
/// shows the expectation in its file, and what happened instead. Exits with 1 if a test fails or a
/// file is not valid, with 2 if a file cannot be read or no test is chosen.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  homeostat test homeostat.test.yml
  homeostat test --run 'second remedy' tests/*.yml
  homeostat test --junit report.xml examples/*/*.test.yml")]
pub(crate) struct Args {
    /// Files of policy tests
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Only tests whose name has this regular expression in it
    #[arg(long, value_name = "REGEX")]
    run: Option<Regex>,
    /// Also write the results here, as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// The form of the answer
    #[arg(long, value_name = "FORM", value_enum, default_value_t)]
    output: Output,
}

/// What one file came to.
#[derive(Debug)]
struct FileResult {
    name: String,
    took: Duration,
    tests: Result<Vec<TestResult>, Vec<Report>>,
}

/// What one test came to.
#[derive(Debug)]
struct TestResult {
    name: String,
    line: Option<usize>,
    took: Duration,
    /// What is wrong, where something is.
    failure: Option<(Report, Vec<Line>)>,
}

/// Runs the command.
pub(crate) fn run(args: &Args, streams: &mut Streams<'_>) -> Exit {
    let files: Vec<FileResult> =
        args.files.iter().map(|path| run_file(path, args.run.as_ref())).collect();
    let mut exit = files.iter().map(FileResult::exit).max().unwrap_or(Exit::Fine);
    let chosen = files.iter().flat_map(FileResult::tests).count();
    if exit == Exit::Fine && chosen == 0 {
        let _ = writeln!(streams.err, "error: no test is named like that");
        exit = Exit::Cannot;
    }
    if let Some(path) = &args.junit
        && let Err(error) = std::fs::write(path, junit::report(&files))
    {
        let _ = writeln!(streams.err, "error: {}: cannot be written: {error}", path.display());
        exit = Exit::Cannot;
    }
    let written = match args.output {
        Output::Json => write_json(streams.out, &Answer::of(&files)),
        Output::Text => show(&files, streams),
    };
    answered(&written, exit)
}

fn run_file(path: &Path, run: Option<&Regex>) -> FileResult {
    let began = Instant::now();
    let tests = grammar::load(path).map(|tests| {
        let chosen = tests.tests.iter().filter(|test| run.is_none_or(|r| r.is_match(&test.name)));
        chosen.map(|test| run_test(&tests, test)).collect()
    });
    FileResult { name: path.display().to_string(), took: began.elapsed(), tests }
}

fn run_test(tests: &PolicyTests, test: &grammar::PolicyTest) -> TestResult {
    let began = Instant::now();
    let outcome: Outcome = policy_test::play(tests, test);
    let failure = (!outcome.passed()).then(|| (outcome.report(tests), outcome.story));
    TestResult {
        name: test.name.clone(),
        line: tests.text.get(..test.span.start).map(|before| before.matches('\n').count() + 1),
        took: began.elapsed(),
        failure,
    }
}

impl FileResult {
    fn tests(&self) -> &[TestResult] {
        self.tests.as_ref().map_or(&[], Vec::as_slice)
    }

    fn exit(&self) -> Exit {
        match &self.tests {
            Ok(tests) if tests.iter().all(|test| test.failure.is_none()) => Exit::Fine,
            Err(reports) if reports.iter().any(|r| r.is_unreadable() && r.name() == self.name) => {
                Exit::Cannot
            }
            Ok(_) | Err(_) => Exit::No,
        }
    }
}

fn show(files: &[FileResult], streams: &mut Streams<'_>) -> io::Result<()> {
    for file in files {
        match &file.tests {
            Ok(tests) => {
                let failed = tests.iter().filter_map(|test| Some((test, test.failure.as_ref()?)));
                for (test, (report, story)) in failed {
                    show_failure(&file.name, test, report, story, streams.err)?;
                }
                let failed = tests.iter().filter(|test| test.failure.is_some()).count();
                let word = if failed == 0 { "ok" } else { "FAIL" };
                let tests = counted(tests.len(), "test", "tests");
                let failed = if failed == 0 { String::new() } else { format!(", {failed} failed") };
                writeln!(streams.out, "{word:<5} {}: {tests}{failed}", plain(&file.name))?;
            }
            Err(reports) => {
                for report in reports {
                    writeln!(streams.err, "{report}\n")?;
                }
                writeln!(streams.out, "FAIL  {}: not valid", plain(&file.name))?;
            }
        }
    }
    Ok(())
}

fn show_failure(
    file: &str,
    test: &TestResult,
    report: &Report,
    story: &[Line],
    err: &mut dyn Write,
) -> io::Result<()> {
    writeln!(err, "FAIL  {}: {}\n\n{report}\n", plain(file), plain(&test.name))?;
    writeln!(err, "what happened:")?;
    story_lines(story).iter().try_for_each(|line| writeln!(err, "  {line}"))?;
    writeln!(err)
}

/// A story as lines: when, to which incident, what.
fn story_lines(story: &[Line]) -> Vec<String> {
    if story.is_empty() {
        return vec!["nothing".to_owned()];
    }
    let width = story.iter().map(|line| line.at.to_string().len()).max().unwrap_or(0);
    let several = story.iter().any(|line| line.incident != story[0].incident);
    let tell = |line: &Line| {
        let incident = match &line.incident {
            Some(id) if several => format!("[{id}] "),
            Some(_) | None => String::new(),
        };
        format!("{:>width$}  {incident}{}", line.at.to_string(), plain(&line.text))
    };
    story.iter().map(tell).collect()
}

/// The answer for a machine.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    passed: usize,
    failed: usize,
    invalid: usize,
    files: Vec<FileAnswer<'a>>,
}

#[derive(Debug, Serialize)]
struct FileAnswer<'a> {
    file: &'a str,
    problems: Vec<Row>,
    tests: Vec<TestAnswer<'a>>,
}

#[derive(Debug, Serialize)]
struct TestAnswer<'a> {
    name: &'a str,
    line: Option<usize>,
    passed: bool,
    failures: Vec<Row>,
    timeline: &'a [Line],
}

impl<'a> Answer<'a> {
    fn of(files: &'a [FileResult]) -> Self {
        let all = || files.iter().flat_map(FileResult::tests);
        let failed = all().filter(|test| test.failure.is_some()).count();
        Self {
            passed: all().count() - failed,
            failed,
            invalid: files.iter().filter(|file| file.tests.is_err()).count(),
            files: files.iter().map(FileAnswer::of).collect(),
        }
    }
}

impl<'a> FileAnswer<'a> {
    fn of(file: &'a FileResult) -> Self {
        let reports = file.tests.as_ref().err().map_or(&[][..], Vec::as_slice);
        Self {
            file: &file.name,
            problems: reports.iter().flat_map(Report::rows).collect(),
            tests: file.tests().iter().map(TestAnswer::of).collect(),
        }
    }
}

impl<'a> TestAnswer<'a> {
    fn of(test: &'a TestResult) -> Self {
        Self {
            name: &test.name,
            line: test.line,
            passed: test.failure.is_none(),
            failures: test.failure.as_ref().map_or_else(Vec::new, |(report, _)| report.rows()),
            timeline: test.failure.as_ref().map_or(&[], |(_, story)| story),
        }
    }
}

#[cfg(test)]
mod tests;
