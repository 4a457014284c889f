//! What is a secret in what collectors find: the usual patterns, and those of the file.

use regex::Regex;

use crate::limits;
use crate::read::{Field, Problems, Spanned, Text};
use crate::report::Problem;

/// What is a secret everywhere. The group `secret` is what is blotted out, where there is one.
const USUAL: [&str; 4] = [
    r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\z)",
    r#"(?i)\bauthorization\b["']?\s*[:=]\s*["']?(?:(?:bearer|basic|token)\s+)?(?<secret>[^\s"',;]+)"#,
    r"(?i)\b(?:bearer|basic)\s+(?<secret>[a-z0-9._~+/=-]{8,})",
    r#"(?i)(?:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key|credentials?)["']?\s*[:=]\s*(?<secret>"[^"]*"|'[^']*'|[^\s"',;&]+)"#,
];

/// The usual patterns and those of `redact`.
pub(super) fn check(field: &Field<Spanned<Vec<Text>>>, problems: &mut Problems) -> Vec<Regex> {
    let mut patterns: Vec<Regex> =
        USUAL.iter().map(|usual| Regex::new(usual).expect("it is a constant")).collect();
    let Some(list) = field.given() else { return patterns };
    if list.value.len() > limits::REDACTED {
        let message = format!("more than {} patterns", limits::REDACTED);
        problems.report(Problem::error(list.span.clone(), message));
        return patterns;
    }
    for text in &list.value {
        match Regex::new(&text.value) {
            Ok(pattern) if pattern.is_match("") => {
                let message = "this pattern takes nothing at all for a secret";
                let problem = Problem::error(text.span.clone(), message);
                problems.report(problem.help("let it match one character at least"));
            }
            Ok(pattern) => patterns.push(pattern),
            Err(error) => {
                let reason = error.to_string();
                let reason = reason.lines().last().unwrap_or_default().trim();
                let reason = reason.strip_prefix("error: ").unwrap_or(reason);
                let problem = Problem::error(text.span.clone(), format!("no pattern: {reason}"));
                problems.report(problem.help("patterns are regular expressions, as in RE2"));
            }
        }
    }
    patterns
}
