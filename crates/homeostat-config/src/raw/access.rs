//! `access` as it was typed.

use std::ops::Range;

use super::oidc::Oidc;
use super::{Words, maps};
use crate::keys;
use crate::read::{Field, Reader, Spanned, Text};
use crate::yaml::Node;

/// `access`.
#[derive(Debug)]
pub(crate) struct Access {
    pub(crate) span: Range<usize>,
    pub(crate) tokens: Field<Spanned<Vec<Token>>>,
    pub(crate) grants: Field<Spanned<Vec<Grant>>>,
    pub(crate) proxy: Field<Proxy>,
    pub(crate) oidc: Field<Oidc>,
}

/// One of `tokens`.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) span: Range<usize>,
    pub(crate) name: Field<Text>,
    pub(crate) sha256: Field<Text>,
    pub(crate) file: Field<Text>,
    pub(crate) expires: Field<Text>,
}

/// One of `grants`.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) span: Range<usize>,
    pub(crate) who: Words,
    pub(crate) may: Words,
    pub(crate) sources: Words,
    pub(crate) policies: Words,
    pub(crate) teams: Words,
    pub(crate) targets: Words,
}

/// `proxy`.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) span: Range<usize>,
    pub(crate) trusted: Words,
    pub(crate) user_header: Field<Text>,
    pub(crate) groups_header: Field<Text>,
}

/// Reads all of it.
pub(super) fn access(reader: &mut Reader<'_>, node: &Node) -> Option<Access> {
    let fields = reader.fields(node, &keys::ACCESS)?;
    Some(Access {
        tokens: fields.read(reader, "tokens", |reader, node| {
            maps(reader, node, "a list of tokens, as [{ name: ci, sha256: … }]", token)
        }),
        grants: fields.read(reader, "grants", |reader, node| {
            maps(reader, node, "a list of grants, as [{ who: […], may: […] }]", grant)
        }),
        proxy: fields.read(reader, "proxy", proxy),
        oidc: fields.read(reader, "oidc", super::oidc::oidc),
        span: fields.span,
    })
}

fn token(reader: &mut Reader<'_>, node: &Node) -> Option<Token> {
    let fields = reader.fields(node, &keys::ACCESS_TOKEN)?;
    Some(Token {
        name: fields.read(reader, "name", Reader::text),
        // Who writes the token itself here should not see it shown.
        sha256: fields.read(reader, "sha256", Reader::secret),
        file: fields.read(reader, "file", Reader::text),
        expires: fields.read(reader, "expires", Reader::text),
        span: fields.span,
    })
}

fn grant(reader: &mut Reader<'_>, node: &Node) -> Option<Grant> {
    let fields = reader.fields(node, &keys::GRANT)?;
    Some(Grant {
        who: fields.read(reader, "who", |reader, node| reader.texts(node, "who")),
        may: fields.read(reader, "may", |reader, node| reader.texts(node, "may")),
        sources: fields.read(reader, "sources", |reader, node| reader.texts(node, "sources")),
        policies: fields.read(reader, "policies", |reader, node| reader.texts(node, "policies")),
        teams: fields.read(reader, "teams", |reader, node| reader.texts(node, "teams")),
        targets: fields.read(reader, "targets", super::matchers),
        span: fields.span,
    })
}

fn proxy(reader: &mut Reader<'_>, node: &Node) -> Option<Proxy> {
    let fields = reader.fields(node, &keys::ACCESS_PROXY)?;
    Some(Proxy {
        trusted: fields.read(reader, "trusted", |reader, node| reader.texts(node, "trusted")),
        user_header: fields.read(reader, "user_header", Reader::text),
        groups_header: fields.read(reader, "groups_header", Reader::text),
        span: fields.span,
    })
}
