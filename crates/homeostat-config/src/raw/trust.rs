//! How far a policy or a remedy is trusted, as it was typed.

use homeostat_core::policy::{Mode, OnResolve};

use super::Length;
use crate::keys;
use crate::nearest::nearest;
use crate::read::{Field, Fields, Reader, Spanned};
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

/// `approval`, of a policy or of a remedy.
pub(super) fn approval(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Length {
    let nested = fields.read(reader, "approval", |reader, node| {
        if !matches!(node.kind, Kind::Map(_)) {
            return reader.wrong(node, "a map", Some("write approval: { expires: 30m }"));
        }
        let fields = reader.fields(node, &keys::APPROVAL)?;
        Some(fields.read(reader, "expires", Reader::duration))
    });
    match nested {
        Field::Given(expires) => expires,
        Field::Absent => Field::Absent,
        Field::Wrong => Field::Wrong,
    }
}
