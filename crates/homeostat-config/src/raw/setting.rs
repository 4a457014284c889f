//! As whom, where and with what a program runs, as it was typed.

use super::request::pairs;
use crate::keys;
use crate::read::{Field, Fields, Reader, Spanned, Text};
use crate::yaml::{Kind, Node};

/// What stands beside `exec` or `script`.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) run_as: Field<Text>,
    pub(crate) working_directory: Field<Text>,
    pub(crate) env: Field<Vec<(Text, Text)>>,
    pub(crate) secrets: Field<Vec<Handed>>,
}

/// One of `secrets`.
#[derive(Debug)]
pub(crate) struct Handed {
    pub(crate) name: Text,
    pub(crate) file: Field<Text>,
    pub(crate) variable: Field<Spanned<bool>>,
}

pub(super) fn setting(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Setting {
    Setting {
        run_as: fields.read(reader, "run_as", Reader::text),
        working_directory: fields.read(reader, "working_directory", Reader::text),
        env: fields.read(reader, "env", variables),
        secrets: fields.read(reader, "secrets", secrets),
    }
}

fn variables(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<(Text, Text)>> {
    let Kind::Map(entries) = &node.kind else {
        return reader.wrong(node, "variables as a map", Some("write env: { NAME: value }"));
    };
    pairs(reader, entries, |reader, name, node| Some((name, reader.text(node)?)))
}

fn secrets(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<Handed>> {
    let Kind::Map(entries) = &node.kind else {
        return reader.wrong(node, "secrets as a map", Some("write secrets: { NAME: /PATH }"));
    };
    pairs(reader, entries, |reader, name, node| {
        if matches!(node.kind, Kind::Map(_)) {
            let fields = reader.fields(node, &keys::HANDED_SECRET)?;
            let file = fields.read(reader, "file", Reader::text);
            let variable = fields.read(reader, "variable", Reader::flag);
            return Some(Handed { name, file, variable });
        }
        let file = Field::Given(reader.text(node)?);
        Some(Handed { name, file, variable: Field::Absent })
    })
}
