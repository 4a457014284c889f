//! What adnanh/webhook is told, and what it makes of it.
//!
//! ```text
//!  their file ── read ──▶ hooks ── rule ──▶ ways: conditions that must hold together
//!                                  └── write ──▶ a policy for each way, or why there is none
//! ```
//!
//! Duty: hooks that Alertmanager calls. What a hook takes from a notification is the same here, by label
//! or annotation; what it takes from a header, the URL or a body of somebody else is not there, and such
//! a hook is left out. A condition that has no equal would make its policy take more than the hook did:
//! then the policy only records, whatever was wished.
//!
//! Source: `docs/Hook-Definition.md`, `Hook-Rules.md` and `Referencing-Request-Values.md` of
//! adnanh/webhook, and its package `internal/hook`.

mod read;
mod rule;
mod write;

#[cfg(test)]
mod tests;

use std::ops::Range;

pub(super) use read::read;
pub(super) use rule::Rule;
pub(super) use write::file;

use crate::read::Text;

/// One hook.
#[derive(Debug)]
pub(super) struct Hook {
    pub(super) span: Range<usize>,
    id: Text,
    command: Text,
    directory: Option<Text>,
    arguments: Vec<Value>,
    variables: Vec<Value>,
    rule: Option<Rule>,
    /// What the hook cannot do without, and has no equal.
    missing: Vec<(Range<usize>, String)>,
    /// What has no equal and changes nothing about what is done.
    aside: Vec<(Range<usize>, &'static str)>,
}

/// Something that is handed to the command.
#[derive(Debug)]
struct Value {
    span: Range<usize>,
    what: What,
    /// The name of the variable, where it is one.
    variable: String,
}

/// What a value of a request is, where it is one of a notification.
#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Constant(String),
    Label(String),
    Annotation(String),
    /// A variable that every script has.
    Variable(&'static str),
    /// The whole notification.
    Payload,
    /// It is in the payload of somebody else.
    NoPart(String),
    /// It is not in the payload: a header, a part of the URL.
    Elsewhere(String),
}

impl What {
    /// What a path into the payload of Alertmanager means.
    fn of_payload(path: &str) -> Self {
        let named = |prefix: &str| path.strip_prefix(prefix).map(str::to_owned);
        if let Some(label) = named("commonLabels.").or_else(|| named("groupLabels.")) {
            return Self::Label(label);
        }
        if let Some(annotation) = named("commonAnnotations.") {
            return Self::Annotation(annotation);
        }
        let of_alert = path.strip_prefix("alerts.").and_then(|rest| rest.split_once('.'));
        let (number, field) = of_alert.unwrap_or(("0", path));
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        match field.split_once('.') {
            Some(("labels", label)) if of_alert.is_some() && is_number => Self::Label(label.into()),
            Some(("annotations", name)) if of_alert.is_some() && is_number => {
                Self::Annotation(name.into())
            }
            None if is_number => match (field, of_alert.is_some()) {
                ("status", _) => Self::Constant("firing".into()),
                ("fingerprint", true) => Self::Variable("HOMEOSTAT_FINGERPRINT"),
                ("startsAt", true) => Self::Variable("HOMEOSTAT_STARTS_AT"),
                ("generatorURL", true) => Self::Variable("HOMEOSTAT_GENERATOR_URL"),
                ("receiver", false) => Self::Variable("AMX_RECEIVER"),
                ("externalURL", false) => Self::Variable("AMX_EXTERNAL_URL"),
                _ => Self::NoPart(path.to_owned()),
            },
            Some(_) | None => Self::NoPart(path.to_owned()),
        }
    }

    /// Why there is no such thing here, if there is none.
    fn why_not(&self) -> Option<String> {
        match self {
            Self::NoPart(path) => Some(format!("{path:?} is no part of an alert")),
            Self::Elsewhere(source) => {
                Some(format!("the request's {source:?} says nothing of an alert"))
            }
            Self::Constant(_)
            | Self::Label(_)
            | Self::Annotation(_)
            | Self::Variable(_)
            | Self::Payload => None,
        }
    }
}
