//! `kubernetes` of a remedy.

use super::Default::{Count, Flag, Nothing, Required, Told};
use super::Shape::{Duration, Map, Text};
use super::{Entry, Group, Shape, Table, entry};
use crate::keys;

pub(super) static KUBERNETES: Table = Table {
    name: "kubernetes",
    keys: &keys::KUBERNETES,
    groups: &[&VERBS, &CLUSTER],
    one_of: &[
        "rollout_restart",
        "rollout_undo",
        "scale",
        "evict",
        "delete_pod",
        "cordon",
        "uncordon",
        "drain",
        "run_job",
    ],
};

static VERBS: Group = Group {
    name: "kubernetes",
    entries: &[
        entry("rollout_restart", Map(&ROLLOUT), Nothing, "replaces all pods, as a rollout does"),
        entry("rollout_undo", Map(&ROLLOUT), Nothing, "goes back to the revision before"),
        entry("scale", Map(&SCALE), Nothing, "another number of pods"),
        entry("evict", Map(&POD), Nothing, "ends a pod, where disruption budgets let it"),
        entry("delete_pod", Map(&POD), Nothing, "ends a pod, whatever budgets say"),
        entry("cordon", Map(&NODE), Nothing, "a node takes no further pods"),
        entry("uncordon", Map(&NODE), Nothing, "a node takes pods again"),
        entry("drain", Map(&DRAIN), Nothing, "cordons a node, and evicts its pods"),
        entry("run_job", Map(&JOB), Nothing, "a job, from the template of a CronJob"),
    ],
};

pub(super) static CLUSTER: Group = Group {
    name: "a cluster",
    entries: &[
        entry(
            "context",
            Text,
            Told("the engine's own cluster; that of `kubeconfig`, if it is given"),
            "a context of the kubeconfig, by name",
        ),
        entry(
            "kubeconfig",
            Text,
            Told("`KUBECONFIG`, else `~/.kube/config`"),
            "a file with contexts, from `/` on",
        ),
    ],
};

const TIMEOUT: Entry =
    entry("timeout", Duration, Told("the remedy's"), "the remedy's time limit, written here");
const NAMESPACE: Entry = entry("namespace", Text, Required, "where it is");
const DEPLOYMENT: Entry = entry("deployment", Text, Nothing, "the Deployment, by name");
const STATEFULSET: Entry = entry("statefulset", Text, Nothing, "the StatefulSet, by name");

static ROLLOUT: Table = Table {
    name: "rollout",
    keys: &keys::ROLLOUT,
    groups: &[&ROLLOUT_KEYS],
    one_of: &["deployment", "statefulset", "daemonset"],
};

static ROLLOUT_KEYS: Group = Group {
    name: "a rollout",
    entries: &[
        NAMESPACE,
        DEPLOYMENT,
        STATEFULSET,
        entry("daemonset", Text, Nothing, "the DaemonSet, by name"),
        TIMEOUT,
    ],
};

static SCALE: Table = Table {
    name: "scale",
    keys: &keys::SCALE,
    groups: &[&SCALE_KEYS],
    one_of: &["deployment", "statefulset"],
};

static SCALE_KEYS: Group = Group {
    name: "scale",
    entries: &[
        NAMESPACE,
        DEPLOYMENT,
        STATEFULSET,
        entry("by", Text, Nothing, "so many pods more, or fewer: `1`, `-1`"),
        entry("to", Shape::Count, Nothing, "so many pods, instead of `by`"),
        entry(
            "max",
            Shape::Count,
            Nothing,
            "no step goes above it; required where `by` is above 0",
        ),
        entry(
            "min",
            Shape::Count,
            Nothing,
            "no step goes below it; required where `by` is below 0",
        ),
        TIMEOUT,
    ],
};

static POD: Table = Table { name: "pod", keys: &keys::POD, groups: &[&POD_KEYS], one_of: &[] };

static POD_KEYS: Group = Group {
    name: "a pod",
    entries: &[
        NAMESPACE,
        entry("pod", Text, Required, "the pod, by name"),
        entry("uid", Text, Nothing, "the pod that is meant: one of another uid is left alone"),
        TIMEOUT,
    ],
};

pub(super) static OWNER_OF: Table = Table {
    name: "owner_of",
    keys: &keys::OWNER_OF,
    groups: &[&OWNER_OF_KEYS, &CLUSTER],
    one_of: &[],
};

static OWNER_OF_KEYS: Group = Group {
    name: "owner_of",
    entries: &[
        entry("namespace", Text, Required, "where the pod is"),
        entry("pod", Text, Required, "the pod, by name"),
    ],
};

const NAMED: Entry = entry("node", Text, Required, "the node, by name");

static NODE: Table = Table { name: "node", keys: &keys::NODE, groups: &[&NODE_KEYS], one_of: &[] };

static NODE_KEYS: Group = Group { name: "a node", entries: &[NAMED, TIMEOUT] };

static DRAIN: Table =
    Table { name: "drain", keys: &keys::DRAIN, groups: &[&DRAIN_KEYS], one_of: &[] };

static DRAIN_KEYS: Group = Group {
    name: "drain",
    entries: &[
        NAMED,
        entry("max_unavailable", Shape::Count, Count(5), "so many of its pods end at a time"),
        entry(
            "force",
            Shape::Flag,
            Flag(false),
            "whether pods go, too, that no controller would start elsewhere",
        ),
        TIMEOUT,
    ],
};

static JOB: Table = Table { name: "run_job", keys: &keys::JOB, groups: &[&JOB_KEYS], one_of: &[] };

static JOB_KEYS: Group = Group {
    name: "run_job",
    entries: &[
        NAMESPACE,
        entry("cronjob", Text, Required, "the CronJob, by name; it may be suspended"),
        TIMEOUT,
    ],
};
