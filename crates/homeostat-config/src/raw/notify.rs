//! `notify`: the channels as they were typed.

use std::ops::Range;

use super::action::exec;
use super::{Http, Length, Words, http_of};
use crate::keys;
use crate::read::{Field, Reader, Spanned, Text};
use crate::yaml::{Kind, Node};

/// One channel.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) span: Range<usize>,
    pub(crate) name: Field<Text>,
    pub(crate) exec: Words,
    pub(crate) webhook: Field<Webhook>,
    pub(crate) timeout: Length,
    pub(crate) send_resolved: Field<Spanned<bool>>,
}

/// `webhook`.
#[derive(Debug)]
pub(crate) struct Webhook {
    pub(crate) span: Range<usize>,
    pub(crate) url: Field<Text>,
    pub(crate) url_file: Field<Text>,
    pub(crate) http: Http,
}

/// Reads one channel.
pub(super) fn channel(reader: &mut Reader<'_>, node: &Node) -> Option<Channel> {
    let fields = reader.fields(node, &keys::CHANNEL)?;
    Some(Channel {
        name: fields.read(reader, "name", Reader::text),
        exec: fields.read(reader, "exec", exec),
        webhook: fields.read(reader, "webhook", webhook),
        timeout: fields.read(reader, "timeout", Reader::duration),
        send_resolved: fields.read(reader, "send_resolved", Reader::flag),
        span: fields.span,
    })
}

fn webhook(reader: &mut Reader<'_>, node: &Node) -> Option<Webhook> {
    if !matches!(node.kind, Kind::Map(_)) {
        return reader.wrong(node, "a map", Some("write webhook: { url: \"https://…\" }"));
    }
    let fields = reader.fields(node, &keys::WEBHOOK)?;
    Some(Webhook {
        // The path of a webhook is often a secret.
        url: fields.read(reader, "url", Reader::secret),
        url_file: fields.read(reader, "url_file", Reader::text),
        http: http_of(reader, &fields),
        span: fields.span,
    })
}
