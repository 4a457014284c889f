//! The guards that count targets, as they were typed.

use std::ops::Range;

use homeostat_core::time::Span;

use super::super::keys;
use super::super::read::{Field, Reader, Spanned, Text};
use super::super::yaml::Node;

/// `guard.blast_radius`.
#[derive(Debug)]
pub(in crate::config) struct BlastRadius {
    pub(in crate::config) span: Range<usize>,
    pub(in crate::config) max: Field<Spanned<u32>>,
    pub(in crate::config) percent: Field<Spanned<u32>>,
    pub(in crate::config) min: Field<Spanned<u32>>,
    pub(in crate::config) window: Field<Spanned<Span>>,
    pub(in crate::config) inventory: Field<Text>,
}

/// `guard.storm`.
#[derive(Debug)]
pub(in crate::config) struct Storm {
    pub(in crate::config) span: Range<usize>,
    pub(in crate::config) percent: Field<Spanned<u32>>,
    pub(in crate::config) min: Field<Spanned<u32>>,
    pub(in crate::config) cool_down: Field<Spanned<Span>>,
    pub(in crate::config) inventory: Field<Text>,
}

pub(super) fn blast_radius(reader: &mut Reader<'_>, node: &Node) -> Option<BlastRadius> {
    let fields = reader.fields(node, &keys::BLAST_RADIUS)?;
    Some(BlastRadius {
        max: fields.read(reader, "max", Reader::count),
        percent: fields.read(reader, "percent", Reader::count),
        min: fields.read(reader, "min", Reader::count),
        window: fields.read(reader, "window", Reader::duration),
        inventory: fields.read(reader, "inventory", Reader::text),
        span: fields.span,
    })
}

pub(super) fn storm(reader: &mut Reader<'_>, node: &Node) -> Option<Storm> {
    let fields = reader.fields(node, &keys::STORM)?;
    Some(Storm {
        percent: fields.read(reader, "percent", Reader::count),
        min: fields.read(reader, "min", Reader::count),
        cool_down: fields.read(reader, "cool_down", Reader::duration),
        inventory: fields.read(reader, "inventory", Reader::text),
        span: fields.span,
    })
}
