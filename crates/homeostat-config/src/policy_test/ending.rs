//! How a run ends, and which run it is: what `exit`, `progress` and `crash` have in common.

use homeostat_core::name::RemedyName;
use homeostat_core::order::{Ended, Found, Outcome};
use homeostat_core::scenario::WhichRun;

use super::word::no_such;
use super::{Setting, keys, known, labels, only, taken, yes};
use crate::read::{Field, Fields, Reader, Text};
use crate::report::Problem;
use crate::yaml::{Kind, Node};

/// Reads which of the running orders is meant.
pub(super) fn which_run(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    setting: &Setting,
) -> Option<WhichRun> {
    let policy = fields.read(reader, "policy", |reader, node| setting.policy(reader, node));
    let target = fields.read(reader, "target", labels);
    let remedy = fields
        .read(reader, "remedy", |reader, node| known(reader, node, "remedy", &setting.remedies));
    if remedy.is_absent() {
        let problem = Problem::error(fields.span.clone(), "which run is meant?");
        reader.problems.report(problem.help("name its `remedy`"));
    }
    Some(WhichRun {
        remedy: RemedyName::new(taken(remedy)?.value),
        policy: taken(policy),
        target: taken(target),
    })
}

const OUTCOMES: [&str; 9] = [
    "code",
    "signal",
    "http_status",
    "done",
    "failed",
    "timed_out",
    "not_started",
    "refused",
    "unknown",
];

/// Reads how a run ended.
pub(super) fn outcome(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<Outcome> {
    let key = only(reader, fields, &OUTCOMES, "a run ends by")?;
    if let (Some(node), false) = (fields.node("expected"), key == "http_status") {
        let problem = Problem::error(node.span.clone(), "`expected` goes with `http_status`");
        reader.problems.report(problem);
    }
    let reason = |reader: &mut Reader<'_>| {
        taken(fields.read(reader, key, Reader::text)).map(|text: Text| text.value)
    };
    Some(match key {
        "code" => Outcome::Exited { code: number(reader, fields, key, 255)? },
        "signal" => Outcome::Signalled { signal: number(reader, fields, key, 64)? },
        "http_status" => {
            let status = u16::try_from(number(reader, fields, key, 599)?).unwrap_or(599);
            let expected = fields.read(reader, "expected", Reader::flag);
            let expected = expected.value_or((200..300).contains(&status));
            Outcome::Answered { status, expected }
        }
        "done" => yes(reader, fields, key).map(|()| Outcome::Done)?,
        "timed_out" => yes(reader, fields, key).map(|()| Outcome::TimedOut)?,
        "failed" => Outcome::Failed { reason: reason(reader)? },
        "not_started" => Outcome::NotStarted { reason: reason(reader)? },
        "refused" => Outcome::Refused { reason: reason(reader)? },
        _ => Outcome::Unknown { reason: reason(reader)? },
    })
}

fn number(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    key: &'static str,
    most: i32,
) -> Option<i32> {
    let number = taken(fields.read(reader, key, Reader::count))?;
    match i32::try_from(number.value) {
        Ok(value) if value <= most => Some(value),
        Ok(_) | Err(_) => {
            let message = format!("`{key}` is at most {most}");
            reader.problems.report(Problem::error(number.span, message));
            None
        }
    }
}

/// Reads what is found of the runs after a crash.
pub(super) fn found(reader: &mut Reader<'_>, node: &Node) -> Option<Found> {
    let fields = reader.fields(node, &keys::CRASH)?;
    let found = fields.read(reader, "found", |reader, node| match &node.kind {
        Kind::Map(_) => {
            let fields = reader.fields(node, &keys::FOUND)?;
            let outcome = outcome(reader, &fields)?;
            Some(Found::Ended(Ended {
                outcome,
                started_at: None,
                output: String::new(),
                left: Vec::new(),
            }))
        }
        Kind::Scalar(_) | Kind::List(_) => {
            let text = reader.text(node)?;
            match text.value.as_str() {
                "not_started" => Some(Found::NotStarted),
                "unknown" => Some(Found::Unknown("it started, and no exit is recorded".into())),
                other => {
                    let words = ["not_started", "unknown"];
                    let problem = no_such(other, text.span, "such finding", &words);
                    reader.problems.report(problem);
                    None
                }
            }
        }
    });
    match found {
        Field::Given(found) => Some(found),
        Field::Wrong => None,
        Field::Absent => Some(Found::Unknown("it started, and no exit is recorded".into())),
    }
}
