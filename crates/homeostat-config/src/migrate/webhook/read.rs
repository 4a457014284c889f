//! Reads a file of hooks, as JSON or YAML.

use std::ops::Range;

use super::rule;
use super::{Hook, Value, What};
use crate::keys::Keys;
use crate::read::{Field, Reader, Text};
use crate::report::Problem;
use crate::yaml::Node;

static HOOK: Keys = Keys {
    of: "a hook of webhook",
    known: &[
        "id",
        "execute-command",
        "command-working-directory",
        "response-message",
        "response-headers",
        "success-http-response-code",
        "incoming-payload-content-type",
        "http-methods",
        "include-command-output-in-response",
        "include-command-output-in-response-on-error",
        "parse-parameters-as-json",
        "pass-arguments-to-command",
        "pass-environment-to-command",
        "pass-file-to-command",
        "keep-file-environment",
        "trigger-rule",
        "trigger-rule-mismatch-http-response-code",
        "trigger-signature-soft-failures",
        "pre-hook-command",
    ],
    later: &[],
    habits: &[],
};

static VALUE: Keys = Keys {
    of: "a value of a request",
    known: &["source", "name", "envname", "base64decode"],
    later: &[],
    habits: &[],
};

/// Keys about how the sender is answered.
const ANSWERS: [&str; 7] = [
    "response-message",
    "response-headers",
    "success-http-response-code",
    "http-methods",
    "include-command-output-in-response",
    "include-command-output-in-response-on-error",
    "trigger-rule-mismatch-http-response-code",
];

/// Reads all hooks.
pub(in super::super) fn read(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<Hook>> {
    let help = |_: &Node| Some("write a list: [{ id: …, execute-command: … }]".to_owned());
    let read = |reader: &mut Reader<'_>, node: &Node| hook(reader, node);
    reader.list(node, "a list of hooks", help, read).map(|list| list.value)
}

fn hook(reader: &mut Reader<'_>, node: &Node) -> Option<Hook> {
    let fields = reader.fields(node, &HOOK)?;
    let id = fields.read(reader, "id", Reader::text);
    let command = fields.read(reader, "execute-command", Reader::text);
    let directory = fields.read(reader, "command-working-directory", Reader::text);
    let arguments = fields.read(reader, "pass-arguments-to-command", values);
    let variables = fields.read(reader, "pass-environment-to-command", values);
    let rule = fields.read(reader, "trigger-rule", rule::read);
    let mut missing = Vec::new();
    for (key, why) in [
        ("pass-file-to-command", "no file is made of a notification: it comes on standard input"),
        ("pre-hook-command", "no command runs before a notification is taken in"),
        ("parse-parameters-as-json", "a label is a text, and is not read as JSON"),
    ] {
        missing.extend(fields.node(key).map(|node| (node.span.clone(), why.to_owned())));
    }
    let answers = ANSWERS.iter().filter_map(|key| fields.node(key));
    let aside = answers
        .map(|node| {
            let why = "no equal: a notification is answered when it is written down, before anything runs";
            (node.span.clone(), why)
        })
        .collect();
    let id = required(reader, id, &fields.span, "id")?;
    let command = required(reader, command, &fields.span, "execute-command")?;
    let list = |field: Field<Vec<Value>>| match field {
        Field::Given(values) => values,
        Field::Absent | Field::Wrong => Vec::new(),
    };
    Some(Hook {
        span: id.span.clone(),
        id,
        command,
        directory: directory.given().cloned(),
        arguments: list(arguments),
        variables: list(variables),
        rule: match rule {
            Field::Given(rule) => Some(rule),
            Field::Absent | Field::Wrong => None,
        },
        missing,
        aside,
    })
}

fn required(
    reader: &mut Reader<'_>,
    field: Field<Text>,
    span: &Range<usize>,
    key: &str,
) -> Option<Text> {
    match field {
        Field::Given(text) if !text.value.trim().is_empty() => Some(text),
        Field::Wrong => None,
        Field::Given(_) | Field::Absent => {
            let problem = Problem::error(span.clone(), format!("this hook has no `{key}`"));
            reader.problems.report(problem.help("webhook does not run it either: remove it"));
            None
        }
    }
}

fn values(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<Value>> {
    let help = |_: &Node| Some("write a list: [{ source: payload, name: … }]".to_owned());
    reader.list(node, "a list of values of the request", help, value).map(|list| list.value)
}

fn value(reader: &mut Reader<'_>, node: &Node) -> Option<Value> {
    let fields = reader.fields(node, &VALUE)?;
    let text =
        |field: Field<Text>| field.given().map(|text| text.value.clone()).unwrap_or_default();
    let source = text(fields.read(reader, "source", Reader::text));
    let name = text(fields.read(reader, "name", Reader::text));
    let variable = text(fields.read(reader, "envname", Reader::text));
    let variable = if variable.is_empty() { format!("HOOK_{name}") } else { variable };
    Some(Value { span: node.span.clone(), what: what(&source, &name), variable })
}

/// What a referenced value is.
pub(super) fn what(source: &str, name: &str) -> What {
    match source {
        "string" => What::Constant(name.to_owned()),
        "payload" => What::of_payload(name),
        "entire-payload" => What::Payload,
        _ => What::Elsewhere(source.to_owned()),
    }
}

/// A rule's parameter.
pub(super) fn parameter(reader: &mut Reader<'_>, node: &Node) -> Option<What> {
    value(reader, node).map(|value| value.what)
}
