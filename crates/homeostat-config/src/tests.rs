//! What is accepted, what is refused, and how it is said.

use std::fmt::Write;
use std::path::Path;

use homeostat_core::label::LabelSet;
use homeostat_core::limits::defaults;
use homeostat_core::name::{Part, PolicyName, RemedyName};
use homeostat_core::policy::{Action, Escalate, Mode, OnResolve, TargetLabels};
use homeostat_core::template::Template;
use homeostat_core::time::Span;

mod access;
mod approval;
mod collect;
mod errand;
mod files;
mod guard;
mod meaning;
mod notify;
mod owner;
mod policies;
mod radius;
mod regression;
mod request;
mod setting;
mod several;
mod sources;
mod teams;
mod typed;
mod web;

use crate::*;

/// All problems of a text: `line:column severity: message`, and help below it.
fn problems(text: &str) -> String {
    let report = match parse("homeostat.yml", text) {
        Ok(config) => config.warnings,
        Err(report) => report,
    };
    let mut shown = String::new();
    for row in report.rows() {
        let place = row.line.zip(row.column).map_or("-".into(), |(l, c)| format!("{l}:{c}"));
        let severity = match row.severity {
            Severity::Error => "",
            Severity::Warning => "warning: ",
            Severity::Note => "note: ",
        };
        wrap(&mut shown, &format!("{place} {severity}{}", row.message));
        if let Some(help) = row.help {
            wrap(&mut shown, &format!("  => {help}"));
        }
    }
    shown
}

fn wrap(shown: &mut String, line: &str) {
    let mut width = 0;
    for (position, word) in line.split(' ').enumerate() {
        if width + word.len() > 90 {
            shown.push_str("\n    ");
            width = 4;
        } else if position > 0 {
            shown.push(' ');
        }
        shown.push_str(word);
        width += word.len() + 1;
    }
    shown.push('\n');
}

/// A policy in which only these lines are of interest.
fn policy(lines: &str) -> String {
    let given = |key: &str| lines.lines().any(|line| line.starts_with(key));
    let mut text = "policies:\n  - name: a\n".to_owned();
    for line in lines.lines() {
        writeln!(text, "    {line}").unwrap();
    }
    for (key, line) in [
        ("matchers", "matchers: [a=b]"),
        ("mode", "mode: shadow"),
        ("remedies", "remedies: [{ name: x, exec: [x] }]"),
    ] {
        if !given(key) {
            writeln!(text, "    {line}").unwrap();
        }
    }
    text
}

/// Problems of a policy of these lines, numbered from the first of them.
fn of_policy(lines: &str) -> String {
    let shown = problems(&policy(lines));
    let renumber = |line: &str| {
        let (number, rest) = line.split_once(':')?;
        Some(format!("{}:{rest}", number.parse::<usize>().ok()?.saturating_sub(2)))
    };
    let lines = shown.lines().map(|line| renumber(line).unwrap_or_else(|| line.to_owned()));
    lines.collect::<Vec<_>>().join("\n")
}

const SOURCES: &str = "sources:
  alertmanagers: [{ name: main, urls: [\"http://127.0.0.1:9093\"] }]
  prometheuses: [{ name: main, url: \"http://127.0.0.1:9090\" }]
";
