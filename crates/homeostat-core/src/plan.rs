//! The next remedy to try, and the deed that it comes to: rendered, with its locks.
//!
//! The order is the ladder's: from the first rung to the last, each with its retries. Where an
//! incident stands is kept by the name of the remedy, so that a reload may move rungs about. Whether the
//! deed may be done now is `guard`'s duty.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::errand::{Errand, Words};
use crate::limits;
use crate::name::{HandlerName, RemedyName};
use crate::policy::{Action, Policy, Remedy, Target, Undo};
use crate::request::Request;
use crate::template::{Place, TemplateError, Values};
use crate::time::Span;

/// How far up the ladder an incident got.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ladder {
    /// The highest rung that is done with: it failed, did not heal, or was only shadowed.
    pub climbed: Option<RemedyName>,
    /// Orders issued, those of the incident of which this one is a relapse included, and without what
    /// certainly did not start and was not issued again.
    pub orders: u32,
}

/// What comes next.
#[derive(Debug, PartialEq)]
pub enum Step<'a> {
    /// This rung.
    Try(&'a Remedy),
    /// There is no further rung.
    Exhausted,
    /// The rung on which the incident stood is no longer in the policy.
    Gone(RemedyName),
}

/// Picks the next rung, after the one that is done with.
pub fn next<'a>(policy: &'a Policy, ladder: &Ladder) -> Step<'a> {
    let position = match &ladder.climbed {
        None => 0,
        Some(name) => match policy.remedies.iter().position(|remedy| remedy.name == *name) {
            Some(position) => position + 1,
            None => return Step::Gone(name.clone()),
        },
    };
    policy.remedies.get(position).map_or(Step::Exhausted, Step::Try)
}

/// Picks a rung once more: for a retry, or because its run certainly did not start.
pub fn again<'a>(policy: &'a Policy, remedy: &RemedyName) -> Step<'a> {
    policy.remedy(remedy).map_or_else(|| Step::Gone(remedy.clone()), Step::Try)
}

/// Computes the pause before a retry: doubled for each failure, within a bound.
pub fn backoff(remedy: &Remedy, failures: u32) -> Span {
    let doubled = remedy.backoff.saturating_mul(1 << failures.saturating_sub(1).min(20));
    doubled.min(limits::BACKOFF_CAP.max(remedy.backoff))
}

/// An action whose placeholders have been filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rendered {
    /// A program and its arguments.
    Exec(Vec<String>),
    /// A script for `/bin/sh`.
    Script(Arc<str>),
    /// A request to a web service.
    Http(Box<Request>),
    /// A handler to call.
    Call(HandlerName),
    /// What one of the hands is to do.
    Errand(Box<Errand>),
}

impl Rendered {
    /// Tells whether the action goes on when the engine is gone: a process does, as a hand is one, and
    /// what the engine does itself does not.
    pub fn outlives_the_engine(&self) -> bool {
        match self {
            Self::Exec(_) | Self::Script(_) | Self::Errand(_) => true,
            Self::Http(_) | Self::Call(_) => false,
        }
    }
}

impl fmt::Display for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Script(text) => {
                let first = text.lines().find(|l| !l.trim().is_empty()).unwrap_or_default();
                write!(f, "script: {}", first.trim())
            }
            Self::Http(request) => request.fmt(f),
            Self::Call(handler) => write!(f, "call {handler}"),
            Self::Exec(argv) => Words(argv).fmt(f),
            Self::Errand(errand) => errand.fmt(f),
        }
    }
}

/// Fills in the placeholders of a remedy's action.
///
/// # Errors
///
/// A value is missing or cannot be carried. The remedy is then not run.
pub fn render(remedy: &Remedy, values: &Values) -> Result<Rendered, TemplateError> {
    render_action(&remedy.action, remedy.idempotent, values)
}

/// Fills in the placeholders of the action that takes a remedy back. It carries a key of its own:
/// whoever heeds keys must not take it for the remedy's repeat.
///
/// # Errors
///
/// A value is missing or cannot be carried. The remedy is then not run either.
pub fn render_undo(undo: &Undo, values: &Values) -> Result<Rendered, TemplateError> {
    let values = Values { key: format!("{}.undo", values.key), ..values.clone() };
    render_action(&undo.action, false, &values)
}

fn render_action(
    action: &Action,
    idempotent: bool,
    values: &Values,
) -> Result<Rendered, TemplateError> {
    match action {
        Action::Exec(argv) => argv
            .iter()
            .map(|element| element.render(Place::Argument, values))
            .collect::<Result<_, _>>()
            .map(Rendered::Exec),
        Action::Script(text) => Ok(Rendered::Script(text.clone())),
        Action::Http(request) => {
            request.render(values, idempotent).map(|r| Rendered::Http(Box::new(r)))
        }
        Action::Call(handler) => Ok(Rendered::Call(handler.clone())),
        Action::Errand(errand) => errand.render(values).map(|e| Rendered::Errand(Box::new(e))),
    }
}

/// Names what must not be healed by two incidents at once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LockKey(pub Arc<str>);

impl fmt::Display for LockKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Lists the locks of a deed: the target across all policies (or the policy itself, where it does
/// not say what it heals), and those that the policy names.
///
/// # Errors
///
/// A named lock's placeholder is missing.
pub fn locks(
    policy: &Policy,
    target: &Target,
    values: &Values,
) -> Result<Vec<LockKey>, TemplateError> {
    use crate::policy::TargetLabels;
    let own = match policy.target {
        TargetLabels::All => format!("policy {}", policy.name),
        TargetLabels::Named(_) => format!("target {target}"),
    };
    let mut keys = vec![LockKey(own.into())];
    for template in &policy.guard.locks {
        let key = template.render(Place::Argument, values)?;
        keys.push(LockKey(format!("lock {key}").into()));
    }
    keys.sort();
    keys.dedup();
    Ok(keys)
}
