//! `access.oidc` as it was typed.

use std::ops::Range;

use super::http::{Proxy, Tls, proxy, tls};
use super::{Length, Words};
use crate::keys;
use crate::read::{Field, Reader, Text};
use crate::yaml::Node;

/// `oidc`.
#[derive(Debug)]
pub(crate) struct Oidc {
    pub(crate) span: Range<usize>,
    pub(crate) issuer: Field<Text>,
    pub(crate) client_id: Field<Text>,
    pub(crate) client_secret: Field<Text>,
    pub(crate) client_secret_file: Field<Text>,
    pub(crate) scopes: Words,
    pub(crate) session: Length,
    pub(crate) audience: Field<Text>,
    pub(crate) username_claim: Field<Text>,
    pub(crate) groups_claim: Field<Text>,
    pub(crate) tls: Field<Tls>,
    pub(crate) proxy: Proxy,
}

/// Reads it.
pub(super) fn oidc(reader: &mut Reader<'_>, node: &Node) -> Option<Oidc> {
    let fields = reader.fields(node, &keys::ACCESS_OIDC)?;
    Some(Oidc {
        issuer: fields.read(reader, "issuer", |reader, node| {
            let url = reader.text(node)?;
            reader.hide_credentials(&url);
            Some(url)
        }),
        client_id: fields.read(reader, "client_id", Reader::text),
        client_secret: fields.read(reader, "client_secret", Reader::secret),
        client_secret_file: fields.read(reader, "client_secret_file", Reader::text),
        scopes: fields.read(reader, "scopes", |reader, node| reader.texts(node, "scopes")),
        session: fields.read(reader, "session", Reader::duration),
        audience: fields.read(reader, "audience", Reader::text),
        username_claim: fields.read(reader, "username_claim", Reader::text),
        groups_claim: fields.read(reader, "groups_claim", Reader::text),
        tls: fields.read(reader, "tls_config", tls),
        proxy: proxy(reader, &fields),
        span: fields.span,
    })
}
