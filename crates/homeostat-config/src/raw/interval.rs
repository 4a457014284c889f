//! `time_intervals`, as they were typed: the shape of Alertmanager's.

use std::ops::Range;

use super::{Field, Reader, Spanned, Text, Words, maps};
use crate::keys;
use crate::yaml::Node;

/// One of `time_intervals`.
#[derive(Debug)]
pub(crate) struct TimeInterval {
    pub(crate) span: Range<usize>,
    pub(crate) name: Field<Text>,
    pub(crate) parts: Field<Spanned<Vec<Part>>>,
}

/// One of the `time_intervals` of a time interval.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) times: Field<Spanned<Vec<Times>>>,
    pub(crate) weekdays: Words,
    pub(crate) days_of_month: Words,
    pub(crate) months: Words,
    pub(crate) years: Words,
    pub(crate) location: Field<Text>,
}

/// A range of times of the day.
#[derive(Debug)]
pub(crate) struct Times {
    pub(crate) span: Range<usize>,
    pub(crate) start: Field<Text>,
    pub(crate) end: Field<Text>,
}

/// Reads the list of all time intervals.
pub(crate) fn time_intervals(
    reader: &mut Reader<'_>,
    node: &Node,
) -> Option<Spanned<Vec<TimeInterval>>> {
    maps(reader, node, "a list of time intervals", |reader, node| {
        let fields = reader.fields(node, &keys::TIME_INTERVAL)?;
        Some(TimeInterval {
            name: fields.read(reader, "name", Reader::text),
            parts: fields.read(reader, "time_intervals", |reader, node| {
                maps(reader, node, "a list of maps", part)
            }),
            span: fields.span,
        })
    })
}

fn part(reader: &mut Reader<'_>, node: &Node) -> Option<Part> {
    let fields = reader.fields(node, &keys::INTERVAL_PART)?;
    let texts = |reader: &mut Reader<'_>, key: &'static str| {
        fields.read(reader, key, |reader, node| reader.texts(node, key))
    };
    Some(Part {
        weekdays: texts(reader, "weekdays"),
        days_of_month: texts(reader, "days_of_month"),
        months: texts(reader, "months"),
        years: texts(reader, "years"),
        times: fields.read(reader, "times", |reader, node| {
            maps(reader, node, "a list of time ranges", times)
        }),
        location: fields.read(reader, "location", Reader::text),
    })
}

fn times(reader: &mut Reader<'_>, node: &Node) -> Option<Times> {
    let fields = reader.fields(node, &keys::TIME_RANGE)?;
    Some(Times {
        start: fields.read(reader, "start_time", Reader::text),
        end: fields.read(reader, "end_time", Reader::text),
        span: fields.span,
    })
}
