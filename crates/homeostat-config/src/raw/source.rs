//! `sources` as they were typed.

use std::ops::Range;

use super::request::pairs;
use super::{Http, Length, Words, http_of, maps};
use crate::keys;
use crate::read::{Field, Reader, Spanned, Text};
use crate::report::Problem;
use crate::yaml::{Kind, Node};

/// `sources`.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    pub(crate) alertmanagers: Field<Spanned<Vec<Source>>>,
    pub(crate) webhooks: Field<Spanned<Vec<Hook>>>,
    pub(crate) prometheuses: Field<Spanned<Vec<Source>>>,
}

/// One of `sources.webhooks`.
#[derive(Debug)]
pub(crate) struct Hook {
    pub(crate) span: Range<usize>,
    pub(crate) name: Field<Text>,
    pub(crate) hmac: Field<Hmac>,
}

/// `hmac` of a webhook.
#[derive(Debug)]
pub(crate) struct Hmac {
    pub(crate) span: Range<usize>,
    pub(crate) secret_file: Field<Text>,
    pub(crate) secret_files: Words,
    pub(crate) header: Field<Text>,
    pub(crate) timestamp_header: Field<Text>,
    pub(crate) tolerance: Length,
}

/// An Alertmanager or a Prometheus.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) span: Range<usize>,
    pub(crate) name: Field<Text>,
    /// `urls` of an Alertmanager, the one `url` of a Prometheus.
    pub(crate) urls: Words,
    /// `receivers` of an Alertmanager.
    pub(crate) receivers: Words,
    /// `external_labels` of a Prometheus.
    pub(crate) external_labels: Labels,
    /// `labels` of a Prometheus.
    pub(crate) labels: Labels,
    pub(crate) params: Field<Vec<Param>>,
    pub(crate) http: Http,
}

/// Names of labels, and their values as far as they are texts.
pub(crate) type Labels = Field<Vec<(Text, Option<Text>)>>;

/// One of `params`: its name, and its values as far as they are texts.
pub(crate) type Param = (Text, Option<Spanned<Vec<Text>>>);

/// Reads all sources.
pub(super) fn sources(reader: &mut Reader<'_>, node: &Node) -> Option<Sources> {
    let fields = reader.fields(node, &keys::SOURCES)?;
    Some(Sources {
        alertmanagers: fields.read(reader, "alertmanagers", |reader, node| {
            maps(reader, node, "a list of Alertmanagers", alertmanager)
        }),
        webhooks: fields.read(reader, "webhooks", |reader, node| {
            maps(reader, node, "a list of webhooks, as [{ name: grafana }]", hook)
        }),
        prometheuses: fields.read(reader, "prometheuses", |reader, node| {
            maps(reader, node, "a list of Prometheuses", prometheus)
        }),
    })
}

fn alertmanager(reader: &mut Reader<'_>, node: &Node) -> Option<Source> {
    let fields = reader.fields(node, &keys::ALERTMANAGER)?;
    Some(Source {
        name: fields.read(reader, "name", Reader::text),
        urls: fields.read(reader, "urls", |reader, node| {
            let urls = reader.texts(node, "urls")?;
            urls.value.iter().for_each(|url| reader.hide_credentials(url));
            Some(urls)
        }),
        receivers: fields
            .read(reader, "receivers", |reader, node| reader.texts(node, "names of receivers")),
        external_labels: Field::Absent,
        labels: Field::Absent,
        params: fields.read(reader, "params", params),
        http: http_of(reader, &fields),
        span: fields.span,
    })
}

fn hook(reader: &mut Reader<'_>, node: &Node) -> Option<Hook> {
    let fields = reader.fields(node, &keys::HOOK)?;
    Some(Hook {
        name: fields.read(reader, "name", Reader::text),
        hmac: fields.read(reader, "hmac", hmac),
        span: fields.span,
    })
}

fn hmac(reader: &mut Reader<'_>, node: &Node) -> Option<Hmac> {
    if !matches!(node.kind, Kind::Map(_)) {
        reader.problems.conceal(node.span.clone());
        return reader.wrong(node, "how it is signed", Some("write hmac: { secret_file: … }"));
    }
    let fields = reader.fields(node, &keys::HMAC)?;
    // Who writes the secret itself here should not see it shown.
    for node in fields.strange() {
        reader.problems.conceal(node.span.clone());
    }
    Some(Hmac {
        secret_file: fields.read(reader, "secret_file", Reader::text),
        secret_files: fields
            .read(reader, "secret_files", |reader, node| reader.texts(node, "secret_files")),
        header: fields.read(reader, "header", Reader::text),
        timestamp_header: fields.read(reader, "timestamp_header", Reader::text),
        tolerance: fields.read(reader, "tolerance", Reader::duration),
        span: fields.span,
    })
}

fn prometheus(reader: &mut Reader<'_>, node: &Node) -> Option<Source> {
    let fields = reader.fields(node, &keys::PROMETHEUS)?;
    Some(Source {
        name: fields.read(reader, "name", Reader::text),
        urls: fields.read(reader, "url", |reader, node| {
            let url = reader.text(node)?;
            reader.hide_credentials(&url);
            Some(Spanned { span: url.span.clone(), value: vec![url] })
        }),
        receivers: Field::Absent,
        external_labels: fields.read(reader, "external_labels", |reader, node| {
            labels(reader, node, "write external_labels: { cluster: eu }")
        }),
        labels: fields.read(reader, "labels", |reader, node| {
            labels(reader, node, "write labels: { cluster: eu }")
        }),
        params: fields.read(reader, "params", params),
        http: http_of(reader, &fields),
        span: fields.span,
    })
}

fn labels(reader: &mut Reader<'_>, node: &Node, help: &str) -> Option<Vec<(Text, Option<Text>)>> {
    let Kind::Map(entries) = &node.kind else {
        return reader.wrong(node, "labels as a map", Some(help));
    };
    pairs(reader, entries, |reader, name, node| Some((name, label_value(reader, node))))
}

/// Reads the value of a label. What others may read as a number is refused: `1.10` and `1.1` are two
/// values of a label and one number, and whoever does not quote them may not know which was sent.
fn label_value(reader: &mut Reader<'_>, node: &Node) -> Option<Text> {
    if let Kind::Scalar(scalar) = &node.kind
        && scalar.is_number_or_truth()
    {
        let message = "the value of a label is a text, and this is none without quotes";
        let problem = Problem::error(node.span.clone(), message);
        reader.problems.report(problem.help(format!("quote it: \"{}\"", scalar.text)));
        return None;
    }
    reader.text(node)
}

fn params(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<Param>> {
    let Kind::Map(entries) = &node.kind else {
        let help = "write params: { tenant: [a] }";
        return reader.wrong(node, "parameters as a map", Some(help));
    };
    pairs(reader, entries, |reader, name, node| {
        let values = reader.texts(node, &name.value);
        Some((name, values))
    })
}
