//! The file as it was typed: every value where it stands, nothing filled in yet.
//!
//! Duty: the shape of the file. Not its duty: defaults, and what values mean together (`check`).

pub(super) mod action;
pub(super) mod guard;
pub(super) mod http;
pub(super) mod interval;
pub(super) mod notify;
pub(super) mod radius;
pub(super) mod request;
pub(super) mod setting;
pub(super) mod source;
mod trust;

use std::ops::Range;

use homeostat_core::policy::{Mode, OnResolve};
use homeostat_core::time::Span;

use super::keys;
use super::read::{Field, Reader, Spanned, Text, matchers_of};
use super::yaml::{Kind, Node};
pub(super) use action::{Action, Regression, Undo};
use action::{action, regression, undo};
use guard::guard;
use trust::{approval, mode, on_resolve};

pub(super) use guard::Guard;
use http::http_of;
pub(super) use http::{Authorization, BasicAuth, Http, Tls};
pub(super) use source::{Source, Sources};

type Length = Field<Spanned<Span>>;
type Count = Field<Spanned<u32>>;
pub(super) type Words = Field<Spanned<Vec<Text>>>;

/// The whole file.
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) sources: Field<Sources>,
    pub(super) time_intervals: Field<Spanned<Vec<interval::TimeInterval>>>,
    pub(super) limits: Field<Limits>,
    pub(super) defaults: Field<Guard>,
    pub(super) notify: Field<Spanned<Vec<notify::Channel>>>,
    pub(super) policies: Field<Spanned<Vec<Policy>>>,
}

/// `limits`.
#[derive(Debug, Default)]
pub(super) struct Limits {
    pub(super) concurrency: Count,
    pub(super) rate: Field<Rate>,
}

/// A rate.
#[derive(Debug)]
pub(super) struct Rate {
    pub(super) span: Range<usize>,
    pub(super) max: Count,
    pub(super) per: Length,
}

/// One policy.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) span: Range<usize>,
    pub(super) name: Field<Text>,
    pub(super) matchers: Words,
    pub(super) target: Words,
    pub(super) mode: Field<Spanned<Mode>>,
    pub(super) settle: Length,
    pub(super) remedies: Field<Spanned<Vec<Remedy>>>,
    pub(super) sources: Words,
    pub(super) verify: Field<Verify>,
    pub(super) regression: Field<Regression>,
    pub(super) guard: Field<Guard>,
    pub(super) escalate: Field<Escalate>,
    pub(super) on_resolve: Field<Spanned<OnResolve>>,
    pub(super) approval_expires: Length,
    pub(super) continues: Field<Spanned<bool>>,
    pub(super) relapse: Length,
    pub(super) lapse: Length,
}

/// One remedy.
#[derive(Debug)]
pub(super) struct Remedy {
    pub(super) span: Range<usize>,
    pub(super) name: Field<Text>,
    pub(super) mode: Field<Spanned<Mode>>,
    pub(super) action: Action,
    pub(super) timeout: Length,
    pub(super) retries: Count,
    pub(super) backoff: Length,
    pub(super) idempotent: Field<Spanned<bool>>,
    pub(super) approval_expires: Length,
    pub(super) undo: Field<Undo>,
}

/// `verify`.
#[derive(Debug)]
pub(super) struct Verify {
    pub(super) span: Range<usize>,
    pub(super) within: Length,
    pub(super) query: Field<Text>,
    pub(super) every: Length,
    pub(super) times: Count,
    pub(super) patience: Length,
    pub(super) vanishes: Field<Spanned<bool>>,
}

/// `escalate`.
#[derive(Debug)]
pub(super) enum Escalate {
    /// `none`.
    Nobody,
    /// A map.
    Person {
        span: Range<usize>,
        after: Length,
        severity: Field<Text>,
        notify: Words,
        labels: Field<Vec<(Text, Text)>>,
        annotations: Field<Vec<(Text, Text)>>,
    },
}

/// Reads the whole file.
pub(super) fn file(reader: &mut Reader<'_>, node: &Node) -> Option<File> {
    let fields = reader.fields(node, &keys::FILE)?;
    Some(File {
        sources: fields.read(reader, "sources", source::sources),
        time_intervals: fields.read(reader, "time_intervals", interval::time_intervals),
        limits: fields.read(reader, "limits", limits),
        defaults: fields.read(reader, "defaults", |reader, node| {
            let fields = reader.fields(node, &keys::DEFAULTS)?;
            Some(match fields.read(reader, "guard", default_guard) {
                Field::Given(guard) => guard,
                Field::Absent | Field::Wrong => Guard::default(),
            })
        }),
        notify: fields.read(reader, "notify", |reader, node| {
            maps(reader, node, "a list of channels", notify::channel)
        }),
        policies: fields.read(reader, "policies", |reader, node| {
            maps(reader, node, "a list of policies", policy)
        }),
    })
}

/// Reads a list of maps; a wrong one is left out, so that the others are still checked.
fn maps<T>(
    reader: &mut Reader<'_>,
    node: &Node,
    wanted: &str,
    read: fn(&mut Reader<'_>, &Node) -> Option<T>,
) -> Option<Spanned<Vec<T>>> {
    let help = |node: &Node| match &node.kind {
        Kind::Map(_) => Some("begin each element with `- `".to_owned()),
        Kind::Scalar(_) | Kind::List(_) => None,
    };
    let read = |reader: &mut Reader<'_>, node: &Node| Some(read(reader, node));
    let list = reader.list(node, wanted, help, read)?;
    Some(Spanned { value: list.value.into_iter().flatten().collect(), span: list.span })
}

fn limits(reader: &mut Reader<'_>, node: &Node) -> Option<Limits> {
    let fields = reader.fields(node, &keys::LIMITS)?;
    Some(Limits {
        concurrency: fields.read(reader, "concurrency", Reader::count),
        rate: fields.read(reader, "rate", rate),
    })
}

fn rate(reader: &mut Reader<'_>, node: &Node) -> Option<Rate> {
    if !matches!(node.kind, Kind::Map(_)) {
        return reader.wrong(node, "a rate", Some("write rate: { max: 6, per: 1h }"));
    }
    let fields = reader.fields(node, &keys::RATE)?;
    Some(Rate {
        max: fields.read(reader, "max", Reader::count),
        per: fields.read(reader, "per", Reader::duration),
        span: fields.span,
    })
}

fn default_guard(reader: &mut Reader<'_>, node: &Node) -> Option<Guard> {
    guard(reader, node, &keys::DEFAULT_GUARD)
}

fn policy(reader: &mut Reader<'_>, node: &Node) -> Option<Policy> {
    let fields = reader.fields(node, &keys::POLICY)?;
    Some(Policy {
        name: fields.read(reader, "name", Reader::text),
        matchers: fields.read(reader, "matchers", matchers),
        target: fields.read(reader, "target", |reader, node| reader.texts(node, "target")),
        mode: fields.read(reader, "mode", mode),
        settle: fields.read(reader, "for", Reader::duration),
        remedies: fields.read(reader, "remedies", |reader, node| {
            maps(reader, node, "a list of remedies", remedy)
        }),
        sources: fields.read(reader, "sources", |reader, node| reader.texts(node, "sources")),
        verify: fields.read(reader, "verify", verify),
        regression: fields.read(reader, "regression", regression),
        guard: fields.read(reader, "guard", |reader, node| guard(reader, node, &keys::GUARD)),
        escalate: fields.read(reader, "escalate", escalate),
        on_resolve: fields.read(reader, "on_resolve", on_resolve),
        approval_expires: approval(reader, &fields),
        continues: fields.read(reader, "continue", Reader::flag),
        relapse: fields.read(reader, "relapse", Reader::duration),
        lapse: fields.read(reader, "lapse", Reader::duration),
        span: fields.span,
    })
}

fn matchers(reader: &mut Reader<'_>, node: &Node) -> Option<Spanned<Vec<Text>>> {
    let help = |node: &Node| match &node.kind {
        Kind::Map(_) => matchers_of("matchers", node),
        Kind::Scalar(scalar) => {
            let quoted = scalar.text.trim().replace('\'', "''");
            Some(format!("write a list: matchers: ['{quoted}']"))
        }
        Kind::List(_) => None,
    };
    // A wrong one is left out, so that the others are still checked.
    let read = |reader: &mut Reader<'_>, node: &Node| {
        Some(match &node.kind {
            Kind::Map(_) => {
                let help = matchers_of("matchers", node);
                reader.wrong(node, "a matcher as a text", help.as_deref())
            }
            Kind::Scalar(_) | Kind::List(_) => reader.text(node),
        })
    };
    let list = reader.list(node, "a list of matchers", help, read)?;
    Some(Spanned { value: list.value.into_iter().flatten().collect(), span: list.span })
}

fn remedy(reader: &mut Reader<'_>, node: &Node) -> Option<Remedy> {
    let fields = reader.fields(node, &keys::REMEDY)?;
    Some(Remedy {
        name: fields.read(reader, "name", Reader::text),
        mode: fields.read(reader, "mode", mode),
        action: action(reader, &fields),
        timeout: fields.read(reader, "timeout", Reader::duration),
        retries: fields.read(reader, "retries", Reader::count),
        backoff: fields.read(reader, "backoff", Reader::duration),
        idempotent: fields.read(reader, "idempotent", Reader::flag),
        approval_expires: approval(reader, &fields),
        undo: fields.read(reader, "undo", undo),
        span: fields.span,
    })
}

fn verify(reader: &mut Reader<'_>, node: &Node) -> Option<Verify> {
    let fields = reader.fields(node, &keys::VERIFY)?;
    Some(Verify {
        within: fields.read(reader, "within", Reader::duration),
        query: fields.read(reader, "query", Reader::text),
        every: fields.read(reader, "every", Reader::duration),
        times: fields.read(reader, "times", Reader::count),
        patience: fields.read(reader, "patience", Reader::duration),
        vanishes: fields.read(reader, "vanishes", Reader::flag),
        span: fields.span,
    })
}

fn escalate(reader: &mut Reader<'_>, node: &Node) -> Option<Escalate> {
    match &node.kind {
        Kind::Scalar(scalar) if scalar.text == "none" => Some(Escalate::Nobody),
        Kind::Scalar(_) | Kind::List(_) => reader.wrong(
            node,
            "`none` or a map",
            Some("write escalate: { after: 15m, severity: critical }, or escalate: none"),
        ),
        Kind::Map(_) => {
            let fields = reader.fields(node, &keys::ESCALATE)?;
            Some(Escalate::Person {
                after: fields.read(reader, "after", Reader::duration),
                severity: fields.read(reader, "severity", Reader::text),
                notify: fields.read(reader, "notify", |reader, node| reader.texts(node, "notify")),
                labels: fields.read(reader, "labels", carried),
                annotations: fields.read(reader, "annotations", carried),
                span: fields.span,
            })
        }
    }
}

fn carried(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<(Text, Text)>> {
    let Kind::Map(entries) = &node.kind else {
        return reader.wrong(node, "texts as a map", Some("write { NAME: text }"));
    };
    request::pairs(reader, entries, |reader, name, node| Some((name, reader.text(node)?)))
}
