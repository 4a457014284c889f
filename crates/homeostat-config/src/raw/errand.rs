//! What one of the hands is to do, as it was typed.

use std::ops::Range;

use super::Words;
use super::action::exec;
use crate::keys;
use crate::read::{Field, Reader, Text};
use crate::yaml::Node;

/// `ssh` of a remedy.
#[derive(Debug)]
pub(crate) struct Ssh {
    pub(crate) span: Range<usize>,
    pub(crate) host: Field<Text>,
    pub(crate) user: Field<Text>,
    pub(crate) port: Field<Text>,
    pub(crate) config_file: Field<Text>,
    pub(crate) exec: Words,
}

/// `systemd` of a remedy: what is done with a unit that is there, or what is run as one.
#[derive(Debug)]
pub(crate) struct Systemd {
    pub(crate) span: Range<usize>,
    pub(crate) verbs: Vec<(&'static str, Text)>,
    pub(crate) run: Words,
    /// What is said of the unit that is run.
    pub(crate) properties: Vec<(&'static str, Text)>,
    /// Whether all that was given could be read.
    pub(crate) is_whole: bool,
}

pub(super) fn systemd(reader: &mut Reader<'_>, node: &Node) -> Option<Systemd> {
    let fields = reader.fields(node, &keys::SYSTEMD)?;
    let run = fields.read(reader, "run", exec);
    let mut is_whole = !matches!(run, Field::Wrong);
    let mut texts = |names: &[&'static str]| {
        let mut texts = Vec::new();
        for name in names {
            match fields.read(reader, name, Reader::text) {
                Field::Absent => {}
                Field::Wrong => is_whole = false,
                Field::Given(text) => texts.push((*name, text)),
            }
        }
        texts
    };
    let verbs = texts(&keys::UNIT_VERBS);
    let properties = texts(&keys::UNIT_PROPERTIES);
    Some(Systemd { span: fields.span.clone(), verbs, run, properties, is_whole })
}

pub(super) fn ssh(reader: &mut Reader<'_>, node: &Node) -> Option<Ssh> {
    let fields = reader.fields(node, &keys::SSH)?;
    Some(Ssh {
        host: fields.read(reader, "host", Reader::text),
        user: fields.read(reader, "user", Reader::text),
        port: fields.read(reader, "port", Reader::text),
        config_file: fields.read(reader, "config_file", Reader::text),
        exec: fields.read(reader, "exec", exec),
        span: fields.span,
    })
}
