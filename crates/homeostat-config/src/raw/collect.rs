//! What is looked at before an act and after it, as it was typed.

use std::ops::Range;

use homeostat_core::collect::Moment;

use super::Words;
use super::action::exec;
use super::errand::{self, Ssh};
use crate::keys;
use crate::read::{Field, Reader, Spanned, Text};
use crate::report::Problem;
use crate::yaml::Node;

/// One of `collect`.
#[derive(Debug)]
pub(crate) struct Collector {
    pub(crate) span: Range<usize>,
    pub(crate) name: Field<Text>,
    pub(crate) when: Field<Spanned<Moment>>,
    pub(crate) exec: Words,
    pub(crate) query: Field<Text>,
    pub(crate) ssh: Field<Ssh>,
    pub(crate) systemd: Field<Unit>,
    pub(crate) kubernetes: Field<Cluster>,
}

/// `systemd` of a collector.
#[derive(Debug)]
pub(crate) struct Unit {
    pub(crate) span: Range<usize>,
    pub(crate) status: Field<Text>,
}

/// `kubernetes` of a collector.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) span: Range<usize>,
    pub(crate) context: Field<Text>,
    pub(crate) kubeconfig: Field<Text>,
    pub(crate) logs: Field<Logs>,
}

/// `logs` of `kubernetes`.
#[derive(Debug)]
pub(crate) struct Logs {
    pub(crate) span: Range<usize>,
    pub(crate) namespace: Field<Text>,
    pub(crate) pod: Field<Text>,
    pub(crate) container: Field<Text>,
    pub(crate) previous: Field<Spanned<bool>>,
    pub(crate) tail: Field<Spanned<u32>>,
}

impl Collector {
    /// What it can look at, by its key, and where it stands if it does that.
    pub(crate) fn kinds(&self) -> [(&'static str, Field<Range<usize>>); 5] {
        [
            ("exec", self.exec.as_ref().map(|argv| argv.span.clone())),
            ("query", self.query.as_ref().map(|text| text.span.clone())),
            ("ssh", self.ssh.as_ref().map(|ssh| ssh.span.clone())),
            ("systemd", self.systemd.as_ref().map(|unit| unit.span.clone())),
            ("kubernetes", self.kubernetes.as_ref().map(|cluster| cluster.span.clone())),
        ]
    }
}

pub(super) fn collectors(reader: &mut Reader<'_>, node: &Node) -> Option<Spanned<Vec<Collector>>> {
    super::maps(reader, node, "a list of collectors", collector)
}

fn collector(reader: &mut Reader<'_>, node: &Node) -> Option<Collector> {
    let fields = reader.fields(node, &keys::COLLECTOR)?;
    Some(Collector {
        name: fields.read(reader, "name", Reader::text),
        when: fields.read(reader, "when", when),
        exec: fields.read(reader, "exec", exec),
        query: fields.read(reader, "query", Reader::text),
        ssh: fields.read(reader, "ssh", errand::ssh),
        systemd: fields.read(reader, "systemd", unit),
        kubernetes: fields.read(reader, "kubernetes", cluster),
        span: fields.span,
    })
}

fn when(reader: &mut Reader<'_>, node: &Node) -> Option<Spanned<Moment>> {
    let text = reader.text(node)?;
    let value = match text.value.as_str() {
        "before" => Moment::Before,
        "after" => Moment::After,
        other => {
            let problem = Problem::error(text.span, format!("there is no `when: {other}`"));
            let help = "write `when: before` or `when: after`; leave it out to look at both times";
            reader.problems.report(problem.help(help));
            return None;
        }
    };
    Some(Spanned { value, span: text.span })
}

fn unit(reader: &mut Reader<'_>, node: &Node) -> Option<Unit> {
    let fields = reader.fields(node, &keys::COLLECTED_UNIT)?;
    Some(Unit { status: fields.read(reader, "status", Reader::text), span: fields.span })
}

fn cluster(reader: &mut Reader<'_>, node: &Node) -> Option<Cluster> {
    let fields = reader.fields(node, &keys::COLLECTED_CLUSTER)?;
    Some(Cluster {
        context: fields.read(reader, "context", Reader::text),
        kubeconfig: fields.read(reader, "kubeconfig", Reader::text),
        logs: fields.read(reader, "logs", logs),
        span: fields.span,
    })
}

fn logs(reader: &mut Reader<'_>, node: &Node) -> Option<Logs> {
    let fields = reader.fields(node, &keys::LOGS)?;
    Some(Logs {
        namespace: fields.read(reader, "namespace", Reader::text),
        pod: fields.read(reader, "pod", Reader::text),
        container: fields.read(reader, "container", Reader::text),
        previous: fields.read(reader, "previous", Reader::flag),
        tail: fields.read(reader, "tail", Reader::count),
        span: fields.span,
    })
}
