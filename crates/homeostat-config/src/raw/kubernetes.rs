//! What is to be done in a cluster, as it was typed.

use std::ops::Range;

use super::Length;
use crate::keys::{self, Keys};
use crate::read::{Field, Reader, Spanned, Text};
use crate::yaml::Node;

/// `kubernetes` of a remedy: a verb, and in which cluster.
#[derive(Debug)]
pub(crate) struct Kubernetes {
    pub(crate) span: Range<usize>,
    pub(crate) context: Field<Text>,
    pub(crate) kubeconfig: Field<Text>,
    /// All verbs that were given.
    pub(crate) deeds: Vec<Deed>,
    /// Whether all that was given could be read.
    pub(crate) is_whole: bool,
}

/// One verb, and what it is told.
#[derive(Debug)]
pub(crate) struct Deed {
    pub(crate) span: Range<usize>,
    pub(crate) verb: &'static str,
    /// What it acts on, by key.
    pub(crate) objects: Vec<(&'static str, Field<Text>)>,
    pub(crate) by: Field<Text>,
    pub(crate) to: Field<Spanned<u32>>,
    pub(crate) max: Field<Spanned<u32>>,
    pub(crate) min: Field<Spanned<u32>>,
    pub(crate) max_unavailable: Field<Spanned<u32>>,
    pub(crate) force: Field<Spanned<bool>>,
    pub(crate) timeout: Length,
}

/// `owner_of` of a policy.
#[derive(Debug)]
pub(crate) struct OwnerOf {
    pub(crate) span: Range<usize>,
    pub(crate) namespace: Field<Text>,
    pub(crate) pod: Field<Text>,
    pub(crate) context: Field<Text>,
    pub(crate) kubeconfig: Field<Text>,
}

pub(super) fn owner_of(reader: &mut Reader<'_>, node: &Node) -> Option<OwnerOf> {
    let fields = reader.fields(node, &keys::OWNER_OF)?;
    Some(OwnerOf {
        namespace: fields.read(reader, "namespace", Reader::text),
        pod: fields.read(reader, "pod", Reader::text),
        context: fields.read(reader, "context", Reader::text),
        kubeconfig: fields.read(reader, "kubeconfig", Reader::text),
        span: fields.span,
    })
}

/// Verbs, and the keys of each.
const VERBS: [(&str, &Keys); 9] = [
    ("rollout_restart", &keys::ROLLOUT),
    ("rollout_undo", &keys::ROLLOUT),
    ("scale", &keys::SCALE),
    ("evict", &keys::POD),
    ("delete_pod", &keys::POD),
    ("cordon", &keys::NODE),
    ("uncordon", &keys::NODE),
    ("drain", &keys::DRAIN),
    ("run_job", &keys::JOB),
];

/// Keys that name something in the cluster.
const OBJECTS: [&str; 8] =
    ["namespace", "deployment", "statefulset", "daemonset", "pod", "uid", "node", "cronjob"];

pub(super) fn kubernetes(reader: &mut Reader<'_>, node: &Node) -> Option<Kubernetes> {
    let fields = reader.fields(node, &keys::KUBERNETES)?;
    let (mut deeds, mut is_whole) = (Vec::new(), true);
    for (verb, keys) in VERBS {
        match fields.read(reader, verb, |reader, node| deed(reader, node, verb, keys)) {
            Field::Absent => {}
            Field::Wrong => is_whole = false,
            Field::Given(deed) => deeds.push(deed),
        }
    }
    Some(Kubernetes {
        context: fields.read(reader, "context", Reader::text),
        kubeconfig: fields.read(reader, "kubeconfig", Reader::text),
        deeds,
        is_whole,
        span: fields.span,
    })
}

fn deed(
    reader: &mut Reader<'_>,
    node: &Node,
    verb: &'static str,
    keys: &'static Keys,
) -> Option<Deed> {
    let fields = reader.fields(node, keys)?;
    let takes = |key: &str| keys.known.contains(&key);
    let objects = OBJECTS.into_iter().filter(|key| takes(key));
    let objects: Vec<_> =
        objects.map(|key| (key, fields.read(reader, key, Reader::text))).collect();
    let mut count = |key| {
        if takes(key) { fields.read(reader, key, Reader::count) } else { Field::Absent }
    };
    let (to, max, min) = (count("to"), count("max"), count("min"));
    let max_unavailable = count("max_unavailable");
    let by = takes("by").then(|| fields.read(reader, "by", Reader::text));
    let force = takes("force").then(|| fields.read(reader, "force", Reader::flag));
    Some(Deed {
        verb,
        objects,
        by: by.unwrap_or_default(),
        to,
        max,
        min,
        max_unavailable,
        force: force.unwrap_or_default(),
        timeout: fields.read(reader, "timeout", Reader::duration),
        span: fields.span,
    })
}

impl Kubernetes {
    /// The time limit that stands with a verb.
    pub(crate) fn timeout(&self) -> Length {
        let mut timeouts = self.deeds.iter().map(|deed| deed.timeout.clone());
        timeouts.find(|timeout| !timeout.is_absent()).unwrap_or_default()
    }
}
