//! What stands at each key: its shape, its default and what it is for.
//!
//! ```text
//!  keys ── which there are ──┐
//!                            ├─> JSON Schema, for editors       (homeostat schema)
//!  the tables of this room ──┴─> the tables of the reference    (docs/reference)
//! ```
//!
//! Duty: to describe the files that we read. Not its duty: to read them. A test goes through the keys
//! of both, and another lets the reader and the schema judge the same files.
//!
//! Source: JSON Schema, draft 2020-12, of which this is a small part.

mod access;
mod book;
mod collect;
mod emit;
mod guard;
mod kubernetes;
mod policy;
mod server;
mod source;
mod test;

#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use homeostat_core::time::Span;
use serde_json::Value;

use crate::keys::Keys;

/// What may stand at a key.
#[derive(Debug, Clone, Copy)]
enum Shape {
    /// A text. A number or a truth value is taken as it is written.
    Text,
    /// A text that must be quoted where it looks like anything else.
    Quoted,
    /// A Prometheus duration.
    Duration,
    /// A whole number that is not negative.
    Count,
    /// `true` or `false`.
    Flag,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A map of known keys.
    Map(&'static Table),
    /// A list, of one shape.
    List(&'static Shape),
    /// A map whose keys are anybody's, and whose values have one shape.
    Named(&'static Shape),
    /// One of these shapes.
    Either(&'static [Shape]),
    /// Any value.
    Anything,
}

/// What holds where a key is left out.
#[derive(Debug, Clone, Copy)]
enum Default {
    /// It must not be left out.
    Required,
    /// Nothing.
    Nothing,
    /// This text.
    Text(&'static str),
    /// This word or number.
    Flag(bool),
    Count(u32),
    Span(Span),
    Rate(u32, Span),
    /// What only a person can be told.
    Told(&'static str),
}

/// One key.
#[derive(Debug)]
struct Entry {
    key: &'static str,
    shape: Shape,
    default: Default,
    /// What it is for, in Markdown, as the reference has it.
    what: &'static str,
}

/// Keys that are described together, once.
#[derive(Debug)]
struct Group {
    /// What it has, as the reference calls it.
    name: &'static str,
    entries: &'static [Entry],
}

/// One kind of map.
#[derive(Debug)]
struct Table {
    /// Its name in a schema.
    name: &'static str,
    /// The keys that the reader takes.
    keys: &'static Keys,
    /// Where they are described.
    groups: &'static [&'static Group],
    /// Keys of which exactly one must stand there.
    one_of: &'static [&'static str],
}

const fn entry(key: &'static str, shape: Shape, default: Default, what: &'static str) -> Entry {
    Entry { key, shape, default, what }
}

const TEXTS: Shape = Shape::List(&Shape::Text);
const LABELS: Shape = Shape::Named(&Shape::Text);

impl Table {
    fn entries(&self) -> impl Iterator<Item = &'static Entry> {
        self.groups.iter().flat_map(|group| group.entries)
    }
}

/// The JSON Schema of a configuration.
pub fn configuration() -> Value {
    emit::document(&book::FILE, "A configuration of Homeostat")
}

/// The JSON Schema of a file of policy tests.
pub fn policy_tests() -> Value {
    emit::document(&test::FILE, "Policy tests of Homeostat")
}

/// The tables of the reference, in Markdown: the name of each, and its rows.
pub fn reference() -> Vec<(&'static str, String)> {
    let mut tables: Vec<(&'static str, String)> = Vec::new();
    let files = [&book::FILE, &test::FILE];
    for group in files.into_iter().flat_map(emit::reachable).flat_map(|table| table.groups) {
        if !tables.iter().any(|(name, _)| *name == group.name) {
            tables.push((group.name, group.rows()));
        }
    }
    tables
}

impl Group {
    fn rows(&self) -> String {
        let mut text = format!("| {} | what | default |\n|---|---|---|\n", self.name);
        for Entry { key, default, what, .. } in self.entries {
            // Writing to a text does not fail.
            let _ = writeln!(text, "| `{key}` | {what} | {} |", default.shown());
        }
        text
    }
}

impl Default {
    fn shown(self) -> String {
        match self {
            Self::Required => "required".to_owned(),
            Self::Nothing => "none".to_owned(),
            Self::Told(words) => words.to_owned(),
            Self::Text(text) => format!("`{text}`"),
            Self::Flag(flag) => format!("`{flag}`"),
            Self::Count(count) => format!("`{count}`"),
            Self::Span(span) => format!("`{span}`"),
            Self::Rate(max, per) => format!("`{max}` per `{per}`"),
        }
    }

    /// As a value of the file, where it is one.
    fn value(self) -> Option<Value> {
        Some(match self {
            Self::Required | Self::Nothing | Self::Told(_) => return None,
            Self::Text(text) => text.into(),
            Self::Flag(flag) => flag.into(),
            Self::Count(count) => count.into(),
            Self::Span(span) => span.to_string().into(),
            Self::Rate(max, per) => serde_json::json!({ "max": max, "per": per.to_string() }),
        })
    }
}
