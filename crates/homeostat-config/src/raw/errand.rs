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
