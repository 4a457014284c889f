//! The guards that count targets, as they were typed.

use std::ops::Range;

use homeostat_core::time::Span;

use crate::keys;
use crate::read::{Field, Reader, Spanned, Text};
use crate::yaml::Node;

/// `guard.blast_radius`.
#[derive(Debug)]
pub(crate) struct BlastRadius {
    pub(crate) span: Range<usize>,
    pub(crate) max: Field<Spanned<u32>>,
    pub(crate) percent: Field<Spanned<u32>>,
    pub(crate) min: Field<Spanned<u32>>,
    pub(crate) window: Field<Spanned<Span>>,
    pub(crate) inventory: Field<Text>,
}

/// `guard.storm`.
#[derive(Debug)]
pub(crate) struct Storm {
    pub(crate) span: Range<usize>,
    pub(crate) percent: Field<Spanned<u32>>,
    pub(crate) min: Field<Spanned<u32>>,
    pub(crate) cool_down: Field<Spanned<Span>>,
    pub(crate) inventory: Field<Text>,
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
