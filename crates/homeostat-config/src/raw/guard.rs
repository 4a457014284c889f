//! `guard`, of a policy or of `defaults`, as it was typed.

use std::ops::Range;

use super::radius::{self, BlastRadius, Storm};
use super::{Count, Field, Length, Rate, Reader, Spanned, Text, Words, rate};
use crate::keys::{self, Keys};
use crate::read::Fields;
use crate::yaml::{Kind, Node};

/// `guard`, of a policy or of `defaults`.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    pub(crate) cooldown: Length,
    pub(crate) rate: Field<Rate>,
    pub(crate) concurrency: Count,
    pub(crate) locks: Words,
    pub(crate) attempts: Count,
    pub(crate) fresh_max_age: Length,
    pub(crate) freeze: Words,
    pub(crate) watchdog: Switch<Watchdog>,
    pub(crate) flap: Switch<Flap>,
    pub(crate) breaker: Switch<Breaker>,
    pub(crate) dry_run: Field<Spanned<bool>>,
    pub(crate) blast_radius: Field<BlastRadius>,
    pub(crate) storm: Field<Storm>,
}

/// What can be switched off by `none`.
pub(crate) type Switch<T> = Field<Choice<T>>;

/// A map, or `none`.
#[derive(Debug)]
pub(crate) enum Choice<T> {
    Nothing,
    Map(T),
}

/// `guard.watchdog`.
#[derive(Debug)]
pub(crate) struct Watchdog {
    pub(crate) span: Range<usize>,
    pub(crate) matchers: Field<Spanned<Vec<Text>>>,
    pub(crate) max_age: Length,
}

/// `guard.flap`.
#[derive(Debug)]
pub(crate) struct Flap {
    pub(crate) span: Range<usize>,
    pub(crate) half_life: Length,
    pub(crate) suppress: Count,
    pub(crate) reuse: Count,
}

/// `guard.breaker`.
#[derive(Debug)]
pub(crate) struct Breaker {
    pub(crate) span: Range<usize>,
    pub(crate) failures: Count,
    pub(crate) of: Count,
    pub(crate) after: Length,
    pub(crate) shared: Field<Text>,
}

/// Reads `guard`, with the keys that it has where it stands.
pub(super) fn guard(reader: &mut Reader<'_>, node: &Node, keys: &'static Keys) -> Option<Guard> {
    let fields = reader.fields(node, keys)?;
    let fresh = fields.read(reader, "fresh", |reader, node| {
        let fields = reader.fields(node, &keys::FRESH)?;
        Some(fields.read(reader, "max_age", Reader::duration))
    });
    Some(Guard {
        cooldown: fields.read(reader, "cooldown", Reader::duration),
        rate: fields.read(reader, "rate", rate),
        concurrency: fields.read(reader, "concurrency", Reader::count),
        locks: if keys.known.contains(&"lock") {
            fields.read(reader, "lock", |reader, node| reader.texts(node, "lock"))
        } else {
            Field::Absent
        },
        attempts: fields.read(reader, "attempts", Reader::count),
        fresh_max_age: match fresh {
            Field::Given(max_age) => max_age,
            Field::Absent => Field::Absent,
            Field::Wrong => Field::Wrong,
        },
        freeze: fields.read(reader, "freeze", |reader, node| reader.texts(node, "freeze")),
        watchdog: fields.read(reader, "watchdog", |r, n| switch(r, n, WATCHDOG, watchdog)),
        flap: fields.read(reader, "flap", |reader, node| switch(reader, node, FLAP, flap)),
        breaker: fields.read(reader, "breaker", |r, n| switch(r, n, BREAKER, breaker)),
        dry_run: fields.read(reader, "dry_run", Reader::flag),
        blast_radius: of_a_policy(&fields, reader, keys, "blast_radius", radius::blast_radius),
        storm: of_a_policy(&fields, reader, keys, "storm", radius::storm),
    })
}

/// Reads a guard that has no defaults.
fn of_a_policy<T>(
    fields: &Fields<'_>,
    reader: &mut Reader<'_>,
    keys: &Keys,
    key: &'static str,
    read: fn(&mut Reader<'_>, &Node) -> Option<T>,
) -> Field<T> {
    if keys.known.contains(&key) { fields.read(reader, key, read) } else { Field::Absent }
}

const WATCHDOG: &str = "write watchdog: { matchers: ['alertname=\"Watchdog\"'], max_age: 5m }, or \
     watchdog: none";
const FLAP: &str = "write flap: {} for the usual limits, or flap: none";
const BREAKER: &str = "write breaker: { failures: 3, of: 5, after: 15m }, or breaker: none";

fn switch<T>(
    reader: &mut Reader<'_>,
    node: &Node,
    help: &str,
    read: fn(&mut Reader<'_>, &Node) -> Option<T>,
) -> Option<Choice<T>> {
    match &node.kind {
        Kind::Scalar(scalar) if scalar.text == "none" => Some(Choice::Nothing),
        Kind::Scalar(_) | Kind::List(_) => reader.wrong(node, "`none` or a map", Some(help)),
        Kind::Map(_) => read(reader, node).map(Choice::Map),
    }
}

fn watchdog(reader: &mut Reader<'_>, node: &Node) -> Option<Watchdog> {
    let fields = reader.fields(node, &keys::WATCHDOG)?;
    Some(Watchdog {
        matchers: fields.read(reader, "matchers", super::matchers),
        max_age: fields.read(reader, "max_age", Reader::duration),
        span: fields.span,
    })
}

fn flap(reader: &mut Reader<'_>, node: &Node) -> Option<Flap> {
    let fields = reader.fields(node, &keys::FLAP)?;
    Some(Flap {
        half_life: fields.read(reader, "half_life", Reader::duration),
        suppress: fields.read(reader, "suppress", Reader::count),
        reuse: fields.read(reader, "reuse", Reader::count),
        span: fields.span,
    })
}

fn breaker(reader: &mut Reader<'_>, node: &Node) -> Option<Breaker> {
    let fields = reader.fields(node, &keys::BREAKER)?;
    Some(Breaker {
        failures: fields.read(reader, "failures", Reader::count),
        of: fields.read(reader, "of", Reader::count),
        after: fields.read(reader, "after", Reader::duration),
        shared: fields.read(reader, "shared", Reader::text),
        span: fields.span,
    })
}
