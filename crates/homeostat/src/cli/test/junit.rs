//! The results as JUnit XML, which Jenkins, GitLab, GitHub and others read.
//!
//! A file is a test suite, a test a test case. A file that is not valid is a suite with one case,
//! which is an error. Source: the schema of Jenkins' xUnit plugin (`junit-10.xsd`).

use std::fmt::Write as _;
use std::time::Duration;

use super::{FileResult, TestResult, story_lines};
use homeostat_config::Report;

/// Writes all results.
pub(super) fn report(files: &[FileResult]) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let (tests, failures, errors) = files
        .iter()
        .map(count)
        .fold((0, 0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1, sum.2 + one.2));
    let took = files.iter().map(|file| file.took).sum();
    let _ = writeln!(
        xml,
        "<testsuites name=\"homeostat\" tests=\"{tests}\" failures=\"{failures}\" \
         errors=\"{errors}\" time=\"{}\">",
        seconds(took)
    );
    for file in files {
        suite(&mut xml, file);
    }
    xml.push_str("</testsuites>\n");
    xml
}

/// How many tests, failures and errors a file has.
fn count(file: &FileResult) -> (usize, usize, usize) {
    match &file.tests {
        Ok(tests) => (tests.len(), tests.iter().filter(|test| test.failure.is_some()).count(), 0),
        Err(_) => (1, 0, 1),
    }
}

fn suite(xml: &mut String, file: &FileResult) {
    let name = attribute(&file.name);
    let (tests, failures, errors) = count(file);
    let _ = writeln!(
        xml,
        "  <testsuite name=\"{name}\" file=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" \
         errors=\"{errors}\" skipped=\"0\" time=\"{}\">",
        seconds(file.took)
    );
    match &file.tests {
        Ok(tests) => tests.iter().for_each(|test| case(xml, &name, test)),
        Err(reports) => {
            let shown: Vec<String> = reports.iter().map(ToString::to_string).collect();
            let _ = writeln!(
                xml,
                "    <testcase name=\"the file is valid\" classname=\"{name}\" file=\"{name}\" \
                 time=\"0.000\">\n      <error type=\"invalid\" message=\"{}\">{}</error>\n    \
                 </testcase>",
                attribute(&reports.first().map_or_else(String::new, first_message)),
                content(&shown.join("\n\n"))
            );
        }
    }
    xml.push_str("  </testsuite>\n");
}

fn case(xml: &mut String, file: &str, test: &TestResult) {
    let line = test.line.map_or_else(String::new, |line| format!(" line=\"{line}\""));
    let _ = write!(
        xml,
        "    <testcase name=\"{}\" classname=\"{file}\" file=\"{file}\"{line} time=\"{}\"",
        attribute(&test.name),
        seconds(test.took)
    );
    let Some((report, story)) = &test.failure else {
        xml.push_str("/>\n");
        return;
    };
    let text = format!("{report}\n\nwhat happened:\n{}", story_lines(story).join("\n"));
    let _ = writeln!(
        xml,
        ">\n      <failure type=\"expectation\" message=\"{}\">{}</failure>\n    </testcase>",
        attribute(&first_message(report)),
        content(&text)
    );
}

fn first_message(report: &Report) -> String {
    report.problems().first().map_or_else(String::new, |problem| problem.message.clone())
}

fn seconds(took: Duration) -> String {
    format!("{:.3}", took.as_secs_f64())
}

/// The value of an attribute: line breaks would be read as spaces.
fn attribute(text: &str) -> String {
    content(text).replace('"', "&quot;").replace('\n', "&#10;").replace('\t', "&#9;")
}

/// The text of an element. XML cannot hold some characters, however they are written.
fn content(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\r' => escaped.push_str("&#13;"),
            '\n' | '\t' => escaped.push(c),
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}
