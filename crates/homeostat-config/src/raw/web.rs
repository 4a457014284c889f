//! The file of `--web.config.file` as it was typed.
//!
//! As in Go, whose file this is, a key without a value and an empty text are the same as no key.

use std::ops::Range;

use super::request::pairs;
use crate::keys;
use crate::read::{Field, Fields, Reader, Spanned, Text};
use crate::yaml::{Kind, Node};

/// The whole file.
#[derive(Debug, Default)]
pub(crate) struct Web {
    pub(crate) tls: Field<WebTls>,
    pub(crate) http: Field<WebHttp>,
    pub(crate) users: Field<Vec<(Text, Text)>>,
    pub(crate) rate: Field<WebRate>,
}

/// `tls_server_config`.
#[derive(Debug)]
pub(crate) struct WebTls {
    pub(crate) span: Range<usize>,
    pub(crate) cert: Field<Text>,
    pub(crate) cert_file: Field<Text>,
    pub(crate) key: Field<Text>,
    pub(crate) key_file: Field<Text>,
    pub(crate) client_auth_type: Field<Text>,
    pub(crate) client_ca: Field<Text>,
    pub(crate) client_ca_file: Field<Text>,
    pub(crate) client_allowed_sans: Field<Spanned<Vec<Text>>>,
    pub(crate) min_version: Field<Text>,
    pub(crate) max_version: Field<Text>,
    pub(crate) cipher_suites: Field<Spanned<Vec<Text>>>,
    pub(crate) prefer_server_cipher_suites: Field<Spanned<bool>>,
    pub(crate) curve_preferences: Field<Spanned<Vec<Text>>>,
}

/// `http_server_config`.
#[derive(Debug)]
pub(crate) struct WebHttp {
    pub(crate) http2: Field<Spanned<bool>>,
    pub(crate) headers: Field<Vec<(Text, Text)>>,
}

/// `rate_limit`.
#[derive(Debug)]
pub(crate) struct WebRate {
    pub(crate) span: Range<usize>,
    pub(crate) interval: Field<Text>,
    pub(crate) burst: Field<Spanned<u32>>,
}

/// Reads the whole file.
pub(crate) fn web(reader: &mut Reader<'_>, node: &Node) -> Option<Web> {
    let fields = reader.fields(node, &keys::WEB_FILE)?;
    Some(Web {
        tls: given(&fields, reader, "tls_server_config", tls),
        http: given(&fields, reader, "http_server_config", http),
        users: given(&fields, reader, "basic_auth_users", |reader, node| {
            texts_by_name(reader, node, "users as a map", "write { NAME: HASH }", hidden)
        }),
        rate: given(&fields, reader, "rate_limit", rate),
    })
}

/// Reads the value of a key, unless it has none.
fn given<'a, T>(
    fields: &Fields<'_>,
    reader: &mut Reader<'a>,
    key: &'static str,
    read: impl FnOnce(&mut Reader<'a>, &Node) -> Option<T>,
) -> Field<T> {
    let is_nothing = |node: &Node| match &node.kind {
        Kind::Scalar(scalar) => scalar.is_nothing() || scalar.text.is_empty(),
        Kind::List(_) | Kind::Map(_) => false,
    };
    match fields.node(key) {
        Some(node) if is_nothing(node) => Field::Absent,
        Some(_) | None => fields.read(reader, key, read),
    }
}

fn tls(reader: &mut Reader<'_>, node: &Node) -> Option<WebTls> {
    let fields = reader.fields(node, &keys::WEB_TLS)?;
    let list =
        |key: &'static str| move |reader: &mut Reader<'_>, node: &Node| reader.texts(node, key);
    Some(WebTls {
        cert: given(&fields, reader, "cert", Reader::text),
        cert_file: given(&fields, reader, "cert_file", Reader::text),
        key: given(&fields, reader, "key", Reader::secret),
        key_file: given(&fields, reader, "key_file", Reader::text),
        client_auth_type: given(&fields, reader, "client_auth_type", Reader::text),
        client_ca: given(&fields, reader, "client_ca", Reader::text),
        client_ca_file: given(&fields, reader, "client_ca_file", Reader::text),
        client_allowed_sans: given(
            &fields,
            reader,
            "client_allowed_sans",
            list("client_allowed_sans"),
        ),
        min_version: given(&fields, reader, "min_version", Reader::text),
        max_version: given(&fields, reader, "max_version", Reader::text),
        cipher_suites: given(&fields, reader, "cipher_suites", list("cipher_suites")),
        prefer_server_cipher_suites: given(
            &fields,
            reader,
            "prefer_server_cipher_suites",
            Reader::flag,
        ),
        curve_preferences: given(&fields, reader, "curve_preferences", list("curve_preferences")),
        span: fields.span,
    })
}

fn http(reader: &mut Reader<'_>, node: &Node) -> Option<WebHttp> {
    let fields = reader.fields(node, &keys::WEB_HTTP)?;
    Some(WebHttp {
        http2: given(&fields, reader, "http2", Reader::flag),
        headers: given(&fields, reader, "headers", |reader, node| {
            texts_by_name(reader, node, "headers as a map", "write { NAME: value }", shown)
        }),
    })
}

fn rate(reader: &mut Reader<'_>, node: &Node) -> Option<WebRate> {
    let fields = reader.fields(node, &keys::WEB_RATE)?;
    Some(WebRate {
        interval: given(&fields, reader, "interval", Reader::text),
        burst: given(&fields, reader, "burst", Reader::count),
        span: fields.span,
    })
}

fn shown(reader: &mut Reader<'_>, node: &Node) -> Option<Text> {
    reader.text(node)
}

fn hidden(reader: &mut Reader<'_>, node: &Node) -> Option<Text> {
    reader.secret(node)
}

fn texts_by_name(
    reader: &mut Reader<'_>,
    node: &Node,
    wanted: &str,
    help: &str,
    read: fn(&mut Reader<'_>, &Node) -> Option<Text>,
) -> Option<Vec<(Text, Text)>> {
    let Kind::Map(entries) = &node.kind else { return reader.wrong(node, wanted, Some(help)) };
    pairs(reader, entries, |reader, name, node| Some((name, read(reader, node)?)))
}
