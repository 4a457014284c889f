//! What is acted on: its kind, where it is, and which one of its name it is.

use std::fmt;

use homeostat_core::errand::{Errand, Form};
use serde_json::Value;

use super::end::{End, of_form};

/// The annotation that says by which order an object was changed last.
pub(super) const ORDER: &str = "homeostat/order";

/// A kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    /// Its key in an errand, by which people are told of it, too.
    pub(super) key: &'static str,
    group: &'static str,
    plural: &'static str,
}

impl Kind {
    pub(super) const POD: Self = Self::of("pod", "/api/v1", "pods");
    pub(super) const NODE: Self = Self::of("node", "/api/v1", "nodes");
    pub(super) const CRON_JOB: Self = Self::of("cronjob", "/apis/batch/v1", "cronjobs");
    /// As servers before 1.21 have it.
    pub(super) const OLD_CRON_JOB: Self = Self::of("cronjob", "/apis/batch/v1beta1", "cronjobs");
    pub(super) const JOB: Self = Self::of("job", "/apis/batch/v1", "jobs");
    pub(super) const DEPLOYMENT: Self = Self::of("deployment", "/apis/apps/v1", "deployments");
    pub(super) const STATEFUL_SET: Self = Self::of("statefulset", "/apis/apps/v1", "statefulsets");
    pub(super) const DAEMON_SET: Self = Self::of("daemonset", "/apis/apps/v1", "daemonsets");
    pub(super) const REPLICA_SET: Self = Self::of("replicaset", "/apis/apps/v1", "replicasets");
    pub(super) const REVISION: Self = Self::of("revision", "/apis/apps/v1", "controllerrevisions");

    const fn of(key: &'static str, group: &'static str, plural: &'static str) -> Self {
        Self { key, group, plural }
    }

    /// The path of all of them, in a namespace or in the cluster.
    pub(super) fn list(self, namespace: Option<&str>) -> String {
        let Self { group, plural, .. } = self;
        match namespace {
            Some(namespace) => format!("{group}/namespaces/{namespace}/{plural}"),
            None => format!("{group}/{plural}"),
        }
    }
}

/// An object by its name, which is of the form that names have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) kind: Kind,
    pub(super) namespace: Option<String>,
    pub(super) name: String,
}

impl Target {
    /// What an errand is about: one of some kinds.
    pub(super) fn of(errand: &Errand, kinds: &[Kind]) -> Result<Self, End> {
        let named = kinds.iter().find_map(|kind| Some((*kind, errand.text(kind.key)?)));
        let (kind, name) = named.map_or((Kind::POD, None), |(kind, name)| (kind, Some(name)));
        let name = of_form(name, &Form::OBJECT)?.to_owned();
        let namespace = match kind {
            Kind::NODE => None,
            _ => Some(of_form(errand.text("namespace"), &Form::NAMESPACE)?.to_owned()),
        };
        Ok(Self { kind, namespace, name })
    }

    /// Where it is.
    pub(super) fn path(&self) -> String {
        format!("{}/{}", self.kind.list(self.namespace.as_deref()), self.name)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind.key, self.name),
            None => write!(f, "{} {}", self.kind.key, self.name),
        }
    }
}

/// An object as the server has it.
#[derive(Debug, Clone)]
pub(super) struct Object(pub(super) Value);

impl Object {
    /// A part of it; nothing where it has none.
    pub(super) fn at(&self, pointer: &str) -> &Value {
        self.0.pointer(pointer).unwrap_or(&Value::Null)
    }

    pub(super) fn text(&self, pointer: &str) -> &str {
        self.at(pointer).as_str().unwrap_or_default()
    }

    pub(super) fn number(&self, pointer: &str) -> Option<i64> {
        self.at(pointer).as_i64()
    }

    pub(super) fn uid(&self) -> &str {
        self.text("/metadata/uid")
    }

    pub(super) fn version(&self) -> &str {
        self.text("/metadata/resourceVersion")
    }

    /// Whether it is being deleted.
    pub(super) fn is_ending(&self) -> bool {
        !self.at("/metadata/deletionTimestamp").is_null()
    }

    pub(super) fn annotation(&self, name: &str) -> Option<&str> {
        self.at("/metadata/annotations").get(name)?.as_str()
    }

    pub(super) fn label(&self, name: &str) -> Option<&str> {
        self.at("/metadata/labels").get(name)?.as_str()
    }

    /// The owner that sees to it that there is one.
    pub(super) fn controller(&self) -> Option<&Value> {
        let owners = self.at("/metadata/ownerReferences").as_array()?;
        owners.iter().find(|owner| owner["controller"] == true)
    }

    /// Whether another object, by uid, is its controller.
    pub(super) fn is_of(&self, uid: &str) -> bool {
        self.controller().is_some_and(|owner| owner["uid"] == uid)
    }

    /// One of its conditions.
    pub(super) fn condition(&self, kind: &str) -> Option<&Value> {
        let conditions = self.at("/status/conditions").as_array()?;
        conditions.iter().find(|condition| condition["type"] == kind)
    }
}

/// The objects of a list.
pub(super) fn items(mut list: Value) -> Vec<Object> {
    match list["items"].take() {
        Value::Array(items) => items.into_iter().map(Object).collect(),
        _ => Vec::new(),
    }
}
