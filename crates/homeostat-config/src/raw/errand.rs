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

/// `systemd` of a remedy: each key is a verb, and names a unit.
#[derive(Debug)]
pub(crate) struct Systemd {
    pub(crate) span: Range<usize>,
    pub(crate) verbs: Vec<(&'static str, Text)>,
    /// Whether all that was given could be read.
    pub(crate) is_whole: bool,
}

pub(super) fn systemd(reader: &mut Reader<'_>, node: &Node) -> Option<Systemd> {
    let fields = reader.fields(node, &keys::SYSTEMD)?;
    let mut systemd = Systemd { span: fields.span.clone(), verbs: Vec::new(), is_whole: true };
    for verb in keys::SYSTEMD.known {
        match fields.read(reader, verb, Reader::text) {
            Field::Absent => {}
            Field::Wrong => systemd.is_whole = false,
            Field::Given(unit) => systemd.verbs.push((verb, unit)),
        }
    }
    Some(systemd)
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
