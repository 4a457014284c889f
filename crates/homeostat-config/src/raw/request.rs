//! The request of a remedy as it was typed.

use std::collections::BTreeSet;
use std::ops::Range;

use super::{Http, http_of};
use crate::keys;
use crate::read::{Field, Reader, Spanned, Text};
use crate::report::Problem;
use crate::yaml::{Kind, Node};

/// `http` of a remedy.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) span: Range<usize>,
    pub(crate) method: Field<Text>,
    pub(crate) url: Field<Text>,
    pub(crate) headers: Field<Vec<Header>>,
    pub(crate) body: Field<Value>,
    pub(crate) expected: Field<Vec<Text>>,
    pub(crate) key: Field<Key>,
    pub(crate) http: Http,
}

/// One of `headers`.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) name: Text,
    pub(crate) value: HeaderValue,
}

/// The value of a header.
#[derive(Debug)]
pub(crate) enum HeaderValue {
    /// It stands there.
    Text(Text),
    /// It stands in a file.
    File(Field<Text>),
}

/// A value of `body`.
#[derive(Debug)]
pub(crate) enum Value {
    Null,
    Plain(Text),
    Quoted(Text),
    List(Vec<Value>),
    Map(Vec<(Text, Value)>),
}

/// `idempotency_key`.
#[derive(Debug)]
pub(crate) enum Key {
    /// `true` or `false`.
    Flag(bool),
    /// The name of a header.
    Header(Text),
}

/// Whether a name says that its value is nobody else's business.
pub(crate) fn is_secret(name: &str) -> bool {
    const SECRET: [&str; 10] = [
        "authorization",
        "cookie",
        "credential",
        "passwd",
        "password",
        "secret",
        "session",
        "signature",
        "token",
        "apikey",
    ];
    let name = name.to_ascii_lowercase();
    let is_key = ["api-key", "api_key", "auth-key", "access-key", "access_key", "private-token"];
    SECRET.iter().chain(&is_key).any(|word| name.contains(word))
}

pub(super) fn request(reader: &mut Reader<'_>, node: &Node) -> Option<Request> {
    let fields = reader.fields(node, &keys::REQUEST)?;
    Some(Request {
        method: fields.read(reader, "method", Reader::text),
        url: fields.read(reader, "url", Reader::text),
        headers: fields.read(reader, "headers", headers),
        body: fields.read(reader, "body", |reader, node| value(reader, node)),
        expected: fields.read(reader, "expected_status", expected),
        key: fields.read(reader, "idempotency_key", key),
        http: http_of(reader, &fields),
        span: fields.span,
    })
}

/// Reads a map whose keys are anybody's; a wrong pair is left out, so that the others are checked.
pub(super) fn pairs<T>(
    reader: &mut Reader<'_>,
    entries: &[(Node, Node)],
    mut read: impl FnMut(&mut Reader<'_>, Text, &Node) -> Option<T>,
) -> Option<Vec<T>> {
    let mut seen = BTreeSet::new();
    let mut read_pairs = Vec::new();
    for (key, value) in entries {
        let Some(name) = reader.text(key) else { continue };
        if !seen.insert(name.value.clone()) {
            let problem = Problem::error(name.span, format!("`{}` is given twice", name.value));
            reader.problems.report(problem.help("remove one of them"));
            continue;
        }
        read_pairs.extend(read(reader, name, value));
    }
    (read_pairs.len() == entries.len()).then_some(read_pairs)
}

fn headers(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<Header>> {
    let Kind::Map(entries) = &node.kind else {
        return reader.wrong(node, "headers as a map", Some("write headers: { X-Name: value }"));
    };
    pairs(reader, entries, |reader, name, node| {
        let value = match &node.kind {
            Kind::Map(_) => {
                let fields = reader.fields(node, &keys::HEADER)?;
                HeaderValue::File(fields.read(reader, "file", Reader::text))
            }
            Kind::Scalar(_) | Kind::List(_) if is_secret(&name.value) => {
                HeaderValue::Text(reader.secret(node)?)
            }
            Kind::Scalar(_) | Kind::List(_) => HeaderValue::Text(reader.text(node)?),
        };
        Some(Header { name, value })
    })
}

fn value(reader: &mut Reader<'_>, node: &Node) -> Option<Value> {
    match &node.kind {
        Kind::Scalar(scalar) if scalar.is_nothing() => Some(Value::Null),
        Kind::Scalar(scalar) if scalar.plain => reader.text(node).map(Value::Plain),
        Kind::Scalar(_) => reader.text(node).map(Value::Quoted),
        Kind::List(items) => {
            let read: Vec<Value> = items.iter().filter_map(|item| value(reader, item)).collect();
            (read.len() == items.len()).then_some(Value::List(read))
        }
        Kind::Map(_) if reader.is_unquoted(node) => {
            reader.wrong(node, "a value", Some("quote it: \"{{ labels.instance }}\""))
        }
        Kind::Map(entries) => {
            let pair = |reader: &mut Reader<'_>, name: Text, node: &Node| {
                if is_secret(&name.value) {
                    reader.problems.conceal(node.span.clone());
                }
                Some((name, value(reader, node)?))
            };
            pairs(reader, entries, pair).map(Value::Map)
        }
    }
}

fn expected(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<Text>> {
    match &node.kind {
        Kind::Scalar(_) => reader.text(node).map(|text| vec![text]),
        Kind::List(_) | Kind::Map(_) => {
            let list: Spanned<Vec<Text>> = reader.texts(node, "expected_status")?;
            Some(list.value)
        }
    }
}

fn key(reader: &mut Reader<'_>, node: &Node) -> Option<Key> {
    match &node.kind {
        Kind::Scalar(scalar) if scalar.plain && scalar.text == "true" => Some(Key::Flag(true)),
        Kind::Scalar(scalar) if scalar.plain && scalar.text == "false" => Some(Key::Flag(false)),
        Kind::Scalar(_) => reader.text(node).map(Key::Header),
        Kind::List(_) | Kind::Map(_) => reader.wrong(node, "true, or the name of a header", None),
    }
}
