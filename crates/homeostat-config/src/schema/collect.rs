//! `collect` of a policy or of a remedy.

use super::Default::{Flag, Nothing, Required, Text as Value, Told};
use super::Shape::{Map, Text, Word};
use super::policy::SSH;
use super::{Group, Shape, TEXTS, Table, entry, kubernetes};
use crate::keys;

pub(super) static COLLECTOR: Table = Table {
    name: "collector",
    keys: &keys::COLLECTOR,
    groups: &[&COLLECTOR_KEYS],
    one_of: &["exec", "query", "ssh", "systemd", "kubernetes"],
};

static COLLECTOR_KEYS: Group = Group {
    name: "a collector",
    entries: &[
        entry("name", Text, Required, "unique in its list"),
        entry(
            "when",
            Word(&["before", "after"]),
            Told("both"),
            "`before` the act, or `after` the incident closed",
        ),
        entry("exec", TEXTS, Nothing, "what a program prints; its arguments as a list; no shell"),
        entry("query", Text, Nothing, "the result of PromQL"),
        entry("ssh", Map(&SSH), Nothing, "what a command on another machine prints"),
        entry("systemd", Map(&UNIT), Nothing, "a unit of this machine"),
        entry("kubernetes", Map(&CLUSTER), Nothing, "something of a cluster"),
    ],
};

static UNIT: Table = Table {
    name: "collected_unit",
    keys: &keys::COLLECTED_UNIT,
    groups: &[&UNIT_KEYS],
    one_of: &[],
};

static UNIT_KEYS: Group = Group {
    name: "systemd of a collector",
    entries: &[entry("status", Text, Required, "the unit: how it stands, and its last lines")],
};

static CLUSTER: Table = Table {
    name: "collected_cluster",
    keys: &keys::COLLECTED_CLUSTER,
    groups: &[&CLUSTER_KEYS, &kubernetes::CLUSTER],
    one_of: &[],
};

static CLUSTER_KEYS: Group = Group {
    name: "kubernetes of a collector",
    entries: &[entry("logs", Map(&LOGS), Required, "the end of a pod's log")],
};

static LOGS: Table = Table { name: "logs", keys: &keys::LOGS, groups: &[&LOGS_KEYS], one_of: &[] };

static LOGS_KEYS: Group = Group {
    name: "logs",
    entries: &[
        entry("namespace", Text, Required, "where it is"),
        entry("pod", Text, Required, "the pod, by name"),
        entry("container", Text, Told("the only one"), "which of its containers"),
        entry("previous", Shape::Flag, Flag(false), "of the container before it was restarted"),
        entry("tail", Shape::Count, Value("100"), "so many lines, at most 10000"),
    ],
};
