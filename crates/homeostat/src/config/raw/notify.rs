//! `notify`: the channels as they were typed.

use std::ops::Range;

use super::super::keys;
use super::super::read::{Field, Reader, Spanned, Text};
use super::super::yaml::{Kind, Node};
use super::action::exec;
use super::{Http, Length, Words, http_of};

/// One channel.
#[derive(Debug)]
pub(in super::super) struct Channel {
    pub(in super::super) span: Range<usize>,
    pub(in super::super) name: Field<Text>,
    pub(in super::super) exec: Words,
    pub(in super::super) webhook: Field<Webhook>,
    pub(in super::super) timeout: Length,
    pub(in super::super) send_resolved: Field<Spanned<bool>>,
}

/// `webhook`.
#[derive(Debug)]
pub(in super::super) struct Webhook {
    pub(in super::super) span: Range<usize>,
    pub(in super::super) url: Field<Text>,
    pub(in super::super) http: Http,
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
        http: http_of(reader, &fields),
        span: fields.span,
    })
}
