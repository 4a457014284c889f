//! How far a policy or a remedy is trusted, and who must agree, as it was typed.

use std::ops::Range;

use homeostat_core::policy::{Managed, Mode, OnResolve};

use super::{Count, Length, Words};
use crate::keys;
use crate::nearest::nearest;
use crate::read::{Reader, Spanned};
use crate::report::Problem;
use crate::yaml::{Kind, Node};

/// `mode`, of a policy or of a remedy.
pub(super) fn mode(reader: &mut Reader<'_>, node: &Node) -> Option<Spanned<Mode>> {
    let text = reader.text(node)?;
    let value = match text.value.as_str() {
        "shadow" => Mode::Shadow,
        "auto" => Mode::Auto,
        "approve" => Mode::Approve,
        other => {
            let problem = Problem::error(text.span, format!("there is no mode {other:?}"));
            let meant = match other {
                "dry-run" | "dry_run" | "dryrun" | "off" | "test" => Some("shadow"),
                "manual" | "ask" | "approval" | "confirm" => Some("approve"),
                "on" | "active" | "enforce" | "act" => Some("auto"),
                _ => nearest(other, ["shadow", "approve", "auto"]),
            };
            reader.problems.report(problem.help(meant.map_or_else(
                || {
                    "modes are `shadow`, which records what would be done, `approve`, which asks a \
                     person first, and `auto`"
                        .to_owned()
                },
                |meant| format!("did you mean {meant:?}?"),
            )));
            return None;
        }
    };
    Some(Spanned { value, span: text.span })
}

/// `on_resolve` of a policy.
pub(super) fn on_resolve(reader: &mut Reader<'_>, node: &Node) -> Option<Spanned<OnResolve>> {
    let text = reader.text(node)?;
    let value = match text.value.as_str() {
        "finish" => OnResolve::Finish,
        "signal" => OnResolve::Signal,
        other => {
            let problem = Problem::error(text.span, format!("there is no `on_resolve: {other}`"));
            reader.problems.report(problem.help(
                "write `on_resolve: finish`, which is the default, or `on_resolve: signal`, which \
                 ends what runs",
            ));
            return None;
        }
    };
    Some(Spanned { value, span: text.span })
}

/// `gitops` of a policy.
pub(super) fn gitops(reader: &mut Reader<'_>, node: &Node) -> Option<Spanned<Managed>> {
    let text = reader.text(node)?;
    let value = match text.value.as_str() {
        "approve" => Managed::Ask,
        "act" => Managed::Act,
        other => {
            let problem = Problem::error(text.span, format!("there is no `gitops: {other}`"));
            reader.problems.report(problem.help(
                "write `gitops: approve`, which is the default and asks a person where Git says how \
                 an object is, or `gitops: act`",
            ));
            return None;
        }
    };
    Some(Spanned { value, span: text.span })
}

/// `approval`, of a policy or of a remedy.
#[derive(Debug)]
pub(crate) struct Approval {
    pub(crate) span: Range<usize>,
    pub(crate) by: Words,
    pub(crate) count: Count,
    pub(crate) expires: Length,
}

/// Reads `approval`, of a policy or of a remedy.
pub(super) fn approval(reader: &mut Reader<'_>, node: &Node) -> Option<Approval> {
    if !matches!(node.kind, Kind::Map(_)) {
        let example = "write approval: { by: [\"group:dba\"], count: 2, expires: 30m }";
        return reader.wrong(node, "a map", Some(example));
    }
    let fields = reader.fields(node, &keys::APPROVAL)?;
    Some(Approval {
        by: fields.read(reader, "by", |reader, node| reader.texts(node, "by")),
        count: fields.read(reader, "count", Reader::count),
        expires: fields.read(reader, "expires", Reader::duration),
        span: fields.span,
    })
}
