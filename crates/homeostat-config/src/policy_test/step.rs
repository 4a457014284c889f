//! One step of a policy test: what the world does, or an operator.

use std::ops::Range;
use std::sync::Arc;

use homeostat_core::alert::Status;
use homeostat_core::approval::Terms;
use homeostat_core::clock::Leap;
use homeostat_core::command::Command;
use homeostat_core::limits::CLOCK_JUMP;
use homeostat_core::name::SourceName;
use homeostat_core::operator::{Known, Operator, Way};
use homeostat_core::scenario::{Input, Signal, Step};

use super::answer::answer;
use super::ending::{found, outcome, which_run};
use super::word::no_such;
use super::{Setting, keys, labels, moment, only, taken};
use crate::check::KINDS;
use crate::limits;
use crate::read::{Field, Fields, Reader};
use crate::report::Problem;
use crate::yaml::Node;

/// Reads one step.
pub(super) fn read(
    reader: &mut Reader<'_>,
    node: &Node,
    setting: &mut Setting,
) -> Option<(Step, Range<usize>)> {
    let fields = reader.fields(node, &keys::STEP)?;
    let at = fields.read(reader, "at", Reader::duration);
    if at.is_absent() {
        let problem = Problem::error(fields.span.clone(), "this step has no `at`");
        reader.problems.report(problem.help("say when it happens: at: 5s"));
    }
    let key = only(reader, &fields, &keys::INPUTS, "a step does")?;
    check_companions(reader, &fields, key);
    let read = |reader: &mut Reader<'_>, node: &Node| input(reader, node, key, &fields, setting);
    let input = taken(fields.read(reader, key, read))?;
    Some((Step { at: at.given()?.value, input }, fields.span))
}

/// What stands beside an input must belong to it.
fn check_companions(reader: &mut Reader<'_>, fields: &Fields<'_>, key: &str) {
    let fitting: &[&str] = match key {
        "fire" | "resolve" => &["source", "annotations", "lost"],
        "send" => &["source", "annotations", "status", "starts_at", "ends_at"],
        _ => &[],
    };
    for companion in ["source", "annotations", "lost", "status", "starts_at", "ends_at"] {
        if let (Some(node), false) = (fields.node(companion), fitting.contains(&companion)) {
            let message = format!("`{companion}` does not go with `{key}`");
            reader.problems.report(Problem::error(node.span.clone(), message));
        }
    }
}

fn input(
    reader: &mut Reader<'_>,
    node: &Node,
    key: &str,
    fields: &Fields<'_>,
    setting: &mut Setting,
) -> Option<Input> {
    Some(match key {
        "fire" => Input::Fire(signal(reader, node, fields, setting)?),
        "resolve" => Input::Resolve(signal(reader, node, fields, setting)?),
        "send" => {
            let signal = signal(reader, node, fields, setting)?;
            let (starts_at, ends_at) = (
                fields.read(reader, "starts_at", moment).given().map(|at| at.value),
                fields.read(reader, "ends_at", moment).given().map(|at| at.value),
            );
            let status = fields.read(reader, "status", status).given().copied();
            Input::Send { signal, status: status.unwrap_or(Status::Firing), starts_at, ends_at }
        }
        "answer" => {
            let (asked, answer) = answer(reader, node, setting)?;
            Input::Answer(asked, answer)
        }
        "exit" => {
            let fields = reader.fields(node, &keys::EXIT)?;
            let run = which_run(reader, &fields, setting)?;
            let outcome = outcome(reader, &fields)?;
            let output = taken(fields.read(reader, "output", Reader::text));
            Input::Exit { run, outcome, output: output.map_or_else(String::new, |t| t.value) }
        }
        "progress" => {
            let fields = reader.fields(node, &keys::PROGRESS)?;
            let run = which_run(reader, &fields, setting)?;
            Input::Progress { run, text: needed(reader, &fields, "text", "a progress")? }
        }
        "pause" => {
            let fields = reader.fields(node, &keys::PAUSE)?;
            let reason = needed(reader, &fields, "reason", "a pause")?;
            Input::Pause { by: by(reader, &fields), reason }
        }
        "resume" => {
            let fields = reader.fields(node, &keys::RESUME)?;
            Input::Resume { by: by(reader, &fields) }
        }
        "approve" => command(reader, node, Command::Approve)?,
        "reject" => command(reader, node, Command::Reject)?,
        "cancel" => command(reader, node, Command::Cancel)?,
        "retry" => command(reader, node, Command::Retry)?,
        "reload" => {
            let file = reader.text(node)?.value;
            let config = super::config(reader, node, setting)?;
            Input::Reload { file, book: Arc::new(config.book) }
        }
        "jump" => Input::Jump(leap(reader, node)?),
        _ => Input::Crash(found(reader, node)?),
    })
}

fn leap(reader: &mut Reader<'_>, node: &Node) -> Option<Leap> {
    let fields = reader.fields(node, &keys::JUMP)?;
    let key = only(reader, &fields, &["forwards", "back"], "a jump goes by")?;
    let by = taken(fields.read(reader, key, Reader::duration))?;
    if by.value <= CLOCK_JUMP {
        let message = format!("a clock that is set by {} has not jumped", by.value);
        let problem = Problem::error(by.span, message);
        reader.problems.report(problem.help(format!("a jump is by more than {CLOCK_JUMP}")));
        return None;
    }
    if by.value > limits::TEST_TIME {
        let message = format!("{key}: {} is more than {}", by.value, limits::TEST_TIME);
        reader.problems.report(Problem::error(by.span, message));
        return None;
    }
    Some(if key == "back" { Leap::Back(by.value) } else { Leap::Forwards(by.value) })
}

fn command(reader: &mut Reader<'_>, node: &Node, command: Command) -> Option<Input> {
    let fields = reader.fields(node, &keys::COMMAND)?;
    let reason = taken(fields.read(reader, "reason", Reader::text));
    let target = taken(fields.read(reader, "target", labels));
    let reason = reason.map_or_else(String::new, |text| text.value);
    let by = operator(reader, &fields);
    let ahead = taken(ahead(reader, &fields, command));
    Some(Input::Command { command, target, by, reason, ahead })
}

/// Who commands: a name that says what it names is an identity; any other is only what somebody says.
fn operator(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Operator {
    let who = by(reader, fields);
    let groups = fields.read(reader, "groups", |reader, node| reader.texts(node, "groups"));
    let groups = taken(groups).map_or_else(Vec::new, |list| list.value);
    let is_identity = who.split_once(':').is_some_and(|(kind, _)| KINDS.contains(&kind));
    for group in groups.iter().filter(|group| !group.value.starts_with("group:") || !is_identity) {
        let problem = Problem::error(group.span.clone(), "this is no group of an identity");
        let help = "write by: \"user:ann\", groups: [\"group:dba\"]";
        reader.problems.report(problem.help(help));
    }
    if !is_identity {
        return who.into();
    }
    let groups = groups.into_iter().map(|group| group.value).collect();
    let known = Known { who, way: Way::Unasked, groups, address: String::new() };
    Operator { claimed: String::new(), known: Some(known) }
}

/// What is approved ahead: `next` so many runs, `for` so long.
fn ahead(reader: &mut Reader<'_>, fields: &Fields<'_>, command: Command) -> Field<Terms> {
    let uses = fields.read(reader, "next", Reader::count);
    let lasts = fields.read(reader, "for", Reader::duration);
    let whole = match (&uses, &lasts) {
        (Field::Absent, Field::Absent) => return Field::Absent,
        (Field::Given(uses), Field::Given(lasts)) if command == Command::Approve => {
            return Field::Given(Terms { uses: uses.value, lasts: lasts.value });
        }
        (Field::Wrong, _) | (_, Field::Wrong) => return Field::Wrong,
        (Field::Given(uses), _) => &uses.span,
        (_, Field::Given(lasts)) => &lasts.span,
    };
    let problem = Problem::error(whole.clone(), "`next` and `for` go together, with `approve`");
    reader.problems.report(problem.help("write approve: { next: 5, for: 24h }"));
    Field::Wrong
}

fn signal(
    reader: &mut Reader<'_>,
    node: &Node,
    fields: &Fields<'_>,
    setting: &Setting,
) -> Option<Signal> {
    let source = taken(fields.read(reader, "source", Reader::text));
    let annotations = fields.read(reader, "annotations", labels);
    let lost = fields.read(reader, "lost", Reader::flag).value_or(false);
    let labels = labels(reader, node)?;
    if labels.is_empty() {
        let problem = Problem::error(node.span.clone(), "an alert has labels");
        reader.problems.report(problem.help("write fire: { alertname: … }"));
        return None;
    }
    Some(Signal {
        source: source.map_or_else(|| setting.source.clone(), |text| SourceName::new(text.value)),
        labels,
        annotations: taken(annotations).unwrap_or_default(),
        lost,
    })
}

fn status(reader: &mut Reader<'_>, node: &Node) -> Option<Status> {
    let text = reader.text(node)?;
    match text.value.as_str() {
        "firing" => Some(Status::Firing),
        "resolved" => Some(Status::Resolved),
        other => {
            let problem = no_such(other, text.span, "status", &["firing", "resolved"]);
            reader.problems.report(problem);
            None
        }
    }
}

/// Who gives an operator's command, where it matters.
fn by(reader: &mut Reader<'_>, fields: &Fields<'_>) -> String {
    taken(fields.read(reader, "by", Reader::text)).map_or_else(|| "operator".into(), |t| t.value)
}

/// Reads a text that must be there.
fn needed(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    key: &'static str,
    owner: &str,
) -> Option<String> {
    let field = fields.read(reader, key, Reader::text);
    if field.is_absent() {
        let message = format!("{owner} has a `{key}`");
        reader.problems.report(Problem::error(fields.span.clone(), message));
    }
    taken(field).map(|text| text.value)
}
