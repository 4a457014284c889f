//! The file as it was typed: every value where it stands, nothing filled in yet.
//!
//! Duty: the shape of the file. Not its duty: defaults, and what values mean together (`check`).

pub(crate) mod access;
pub(crate) mod action;
pub(crate) mod collect;
mod definition;
pub(crate) mod errand;
pub(crate) mod kubernetes;
pub(crate) mod guard;
pub(crate) mod http;
pub(crate) mod interval;
mod join;
pub(crate) mod notify;
pub(crate) mod oidc;
pub(crate) mod radius;
pub(crate) mod request;
pub(crate) mod setting;
pub(crate) mod source;
mod trust;
pub(crate) mod web;

use std::ops::Range;
use std::sync::Arc;

use homeostat_core::policy::{Managed, Mode, OnResolve};
use homeostat_core::time::Span;

use crate::keys;
use crate::read::{Field, Reader, Spanned, Text, matchers_of};
use crate::yaml::{Kind, Node};
pub(crate) use action::{Action, Regression, Undo};
use action::{action, regression, undo};
use guard::guard;
pub(crate) use trust::Approval;
use trust::{approval, gitops, mode, on_resolve};

pub(crate) use guard::Guard;
use http::http_of;
pub(crate) use http::{Authorization, BasicAuth, Http, Tls};
pub(crate) use join::join;
pub(crate) use source::{Source, Sources};

pub(crate) type Length = Field<Spanned<Span>>;
type Count = Field<Spanned<u32>>;
pub(crate) type Words = Field<Spanned<Vec<Text>>>;

/// The whole file.
#[derive(Debug, Default)]
pub(crate) struct File {
    pub(crate) sources: Field<Sources>,
    pub(crate) time_intervals: Field<Spanned<Vec<interval::TimeInterval>>>,
    pub(crate) limits: Field<Limits>,
    pub(crate) defaults: Field<Guard>,
    pub(crate) notify: Field<Spanned<Vec<notify::Channel>>>,
    pub(crate) access: Field<access::Access>,
    pub(crate) redact: Words,
    pub(crate) policies: Field<Spanned<Vec<Policy>>>,
}

/// `limits`.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    pub(crate) concurrency: Count,
    pub(crate) rate: Field<Rate>,
    pub(crate) teams: Field<Vec<(Text, TeamLimits)>>,
}

/// One of `limits.teams`.
#[derive(Debug)]
pub(crate) struct TeamLimits {
    pub(crate) concurrency: Count,
    pub(crate) rate: Field<Rate>,
}

/// A rate.
#[derive(Debug)]
pub(crate) struct Rate {
    pub(crate) span: Range<usize>,
    pub(crate) max: Count,
    pub(crate) per: Length,
}

/// One policy.
#[derive(Debug)]
pub(crate) struct Policy {
    pub(crate) span: Range<usize>,
    pub(crate) name: Field<Text>,
    pub(crate) team: Field<Text>,
    pub(crate) labels: Field<Vec<(Text, Text)>>,
    pub(crate) description: Field<Text>,
    pub(crate) runbook_url: Field<Text>,
    pub(crate) matchers: Words,
    pub(crate) target: Words,
    pub(crate) owner_of: Field<kubernetes::OwnerOf>,
    pub(crate) mode: Field<Spanned<Mode>>,
    pub(crate) settle: Length,
    pub(crate) remedies: Field<Spanned<Vec<Remedy>>>,
    pub(crate) sources: Words,
    pub(crate) verify: Field<Verify>,
    pub(crate) regression: Field<Regression>,
    pub(crate) collect: Field<Spanned<Vec<collect::Collector>>>,
    pub(crate) gitops: Field<Spanned<Managed>>,
    pub(crate) guard: Field<Guard>,
    pub(crate) escalate: Field<Escalate>,
    pub(crate) on_resolve: Field<Spanned<OnResolve>>,
    pub(crate) approval: Field<Approval>,
    pub(crate) continues: Field<Spanned<bool>>,
    pub(crate) relapse: Length,
    pub(crate) lapse: Length,
}

/// One remedy.
#[derive(Debug)]
pub(crate) struct Remedy {
    pub(crate) span: Range<usize>,
    pub(crate) name: Field<Text>,
    pub(crate) mode: Field<Spanned<Mode>>,
    pub(crate) action: Action,
    pub(crate) timeout: Length,
    pub(crate) retries: Count,
    pub(crate) backoff: Length,
    pub(crate) idempotent: Field<Spanned<bool>>,
    pub(crate) approval: Field<Approval>,
    pub(crate) undo: Field<Undo>,
    pub(crate) collect: Field<Spanned<Vec<collect::Collector>>>,
    /// Tells all that is typed from anything else, but for secrets.
    pub(crate) definition: Arc<str>,
}

/// `verify`.
#[derive(Debug)]
pub(crate) struct Verify {
    pub(crate) span: Range<usize>,
    pub(crate) within: Length,
    pub(crate) query: Field<Text>,
    pub(crate) every: Length,
    pub(crate) times: Count,
    pub(crate) patience: Length,
    pub(crate) vanishes: Field<Spanned<bool>>,
}

/// `escalate`.
#[derive(Debug)]
pub(crate) enum Escalate {
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

/// Which files a file includes.
pub(crate) fn includes(reader: &mut Reader<'_>, node: &Node) -> Vec<Text> {
    let Some(fields) = reader.fields(node, &keys::FILE) else { return Vec::new() };
    let include = fields.read(reader, "include", |reader, node| reader.texts(node, "include"));
    include.given().map_or_else(Vec::new, |list| list.value.clone())
}

/// Reads the whole file.
pub(crate) fn file(reader: &mut Reader<'_>, node: &Node) -> Option<File> {
    let fields = reader.fields(node, &keys::FILE)?;
    // What it includes was found before; here it is only said where that cannot be it.
    let _: Words = fields.read(reader, "include", |reader, node| reader.texts(node, "include"));
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
        access: fields.read(reader, "access", access::access),
        redact: fields.read(reader, "redact", |reader, node| reader.texts(node, "redact")),
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
        teams: fields.read(reader, "teams", |reader, node| {
            let Kind::Map(entries) = &node.kind else {
                let help = "write teams: { NAME: { concurrency: 4 } }";
                return reader.wrong(node, "teams as a map", Some(help));
            };
            request::pairs(reader, entries, |reader, name, node| {
                Some((name, team_limits(reader, node)?))
            })
        }),
    })
}

fn team_limits(reader: &mut Reader<'_>, node: &Node) -> Option<TeamLimits> {
    let fields = reader.fields(node, &keys::TEAM_LIMITS)?;
    Some(TeamLimits {
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
        team: fields.read(reader, "team", Reader::text),
        labels: fields.read(reader, "labels", carried),
        description: fields.read(reader, "description", Reader::text),
        runbook_url: fields.read(reader, "runbook_url", Reader::text),
        matchers: fields.read(reader, "matchers", matchers),
        target: fields.read(reader, "target", |reader, node| reader.texts(node, "target")),
        owner_of: fields.read(reader, "owner_of", kubernetes::owner_of),
        mode: fields.read(reader, "mode", mode),
        settle: fields.read(reader, "for", Reader::duration),
        remedies: fields.read(reader, "remedies", |reader, node| {
            maps(reader, node, "a list of remedies", remedy)
        }),
        sources: fields.read(reader, "sources", |reader, node| reader.texts(node, "sources")),
        verify: fields.read(reader, "verify", verify),
        regression: fields.read(reader, "regression", regression),
        collect: fields.read(reader, "collect", collect::collectors),
        gitops: fields.read(reader, "gitops", gitops),
        guard: fields.read(reader, "guard", |reader, node| guard(reader, node, &keys::GUARD)),
        escalate: fields.read(reader, "escalate", escalate),
        on_resolve: fields.read(reader, "on_resolve", on_resolve),
        approval: fields.read(reader, "approval", approval),
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
        approval: fields.read(reader, "approval", approval),
        undo: fields.read(reader, "undo", undo),
        collect: fields.read(reader, "collect", collect::collectors),
        definition: definition::of(node, &reader.problems).into(),
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
